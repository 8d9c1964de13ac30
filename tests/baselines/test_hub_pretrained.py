"""`from_pretrained`, `save_pretrained` and `push_to_hub`: the same folders as everywhere."""

# ruff: noqa: E402 (what follows the check needs torch)

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: .[baselines]")

from baselines import hub_emulator
from hand_baselines.internet.model import InterNet
from hand_baselines.models import MODELS
from hand_baselines.pretrained import Pretrained
from hand_baselines.svegonet.model import SVEgoNet
from hand_baselines.weights import load_weights
from hand_bench.errors import BaselineError

FACTS = {"root_depth": [1.0, 2.0], "reading": "expected"}


@pytest.fixture
def server():
    with hub_emulator.running() as running:
        yield running


@pytest.fixture
def network(tiny_preset):
    torch.manual_seed(0)
    return InterNet(tiny_preset)


def test_a_network_is_saved_and_read_with_its_facts(network, tmp_path):
    network.facts = FACTS
    network.save_pretrained(tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "README.md", "config.json", "model.safetensors"
    }  # fmt: skip
    again = InterNet.from_pretrained(tmp_path / "saved")
    assert again.facts == FACTS and again.config == network.config and not again.training
    loaded = load_weights(tmp_path / "saved")
    assert loaded.preset == "tiny" and loaded.facts == FACTS
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in network.state_dict().items())


def test_a_network_of_another_class_is_refused(network, tmp_path):
    network.save_pretrained(tmp_path / "saved")
    with pytest.raises(BaselineError, match=r"(?s)HB302 .*holds a InterNet, not a SVEgoNet"):
        SVEgoNet.from_pretrained(tmp_path / "saved")
    with pytest.raises(TypeError, match="no option 'map_location'"):
        InterNet.from_pretrained(tmp_path / "saved", map_location="cpu")


def test_every_model_inherits_it():
    for model in MODELS.values():
        assert hasattr(model.network_class(), "from_pretrained")


def test_a_network_that_is_no_model_says_so(tmp_path):
    class Other(Pretrained, torch.nn.Module):
        pass

    with pytest.raises(BaselineError, match="HB302 Other: is no network"):
        Other().save_pretrained(tmp_path / "saved")


def test_push_to_hub_and_from_pretrained_with_a_revision(network, server, tmp_path):
    code = (
        "import sys, torch\n"
        "from hand_baselines.internet.model import InterNet\n"
        "network = InterNet.from_pretrained(sys.argv[1])\n"
        "network.push_to_hub('someone/x', token='writer')\n"
        "first = InterNet.from_pretrained('someone/x')\n"
        "pinned = InterNet.from_pretrained('someone/x', revision=sys.argv[2] or 'main')\n"
        "for key, value in network.state_dict().items():\n"
        "    assert torch.equal(value, first.state_dict()[key])\n"
        "assert first.facts == pinned.facts == network.facts\n"
        "InterNet.from_pretrained('someone/x', local_files_only=True, token='writer')\n"
    )
    network.facts = FACTS
    network.save_pretrained(tmp_path / "saved")
    env = {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path / "hf"), "PATH": ""}
    env |= {"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"}
    given = [sys.executable, "-c", code, str(tmp_path / "saved"), ""]
    done = subprocess.run(given, env=env, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    there = server.repos["model", "someone/x"].files
    assert set(there) == {"README.md", "config.json", "model.safetensors"}
