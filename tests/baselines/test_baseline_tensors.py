"""Tensors in one file or several: every one exactly once, read back exactly, damage named."""

# ruff: noqa: E402 (what follows the check needs torch)

import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("safetensors", reason="safetensors is not installed: .[baselines]")

from safetensors.torch import load_file, save_file

from hand_baselines import tensors
from hand_baselines.tensors import INDEX, SINGLE, names, read, write

STATE = {
    "big": torch.arange(300, dtype=torch.float32),
    "count": torch.tensor(7),
    "half": torch.ones(100, dtype=torch.float16),
    "small": torch.zeros(10),
}


def test_small_networks_are_one_file(tmp_path):
    write(tmp_path, STATE)
    assert names(tmp_path) == [SINGLE] == [path.name for path in tmp_path.iterdir()]


def test_cut_at_hand_computed_sizes(tmp_path):
    # 1200 + 8, then 200 + 40 bytes: the third tensor would be the first beyond 1300.
    write(tmp_path, STATE, max_shard=1300)
    index = json.loads((tmp_path / INDEX).read_text())
    first, second = (f"model-0000{k}-of-00002.safetensors" for k in (1, 2))
    assert index["metadata"] == {"total_size": 1448}
    assert index["weight_map"] == {"big": first, "count": first, "half": second, "small": second}
    assert names(tmp_path) == [INDEX, first, second]


@pytest.mark.parametrize("size", [1, 200, 1208, 1300, 10_000, None])
def test_every_tensor_is_stored_once_and_comes_back(tmp_path, size):
    write(tmp_path, STATE, size)
    stored = [key for path in tmp_path.glob("*.safetensors") for key in load_file(path)]
    assert sorted(stored) == sorted(STATE)
    state = read(tmp_path)
    assert all(torch.equal(state[key], value.to(state[key].dtype)) for key, value in STATE.items())
    assert state["half"].dtype == torch.float32 and state["count"].dtype == torch.int64


def test_files_of_another_cut_are_replaced(tmp_path):
    for size in (1, 1300, None, 200):
        write(tmp_path, STATE, size)
        assert {path.name for path in tmp_path.iterdir()} == set(names(tmp_path))
        assert set(read(tmp_path)) == set(STATE)


@pytest.fixture
def cut(tmp_path):
    write(tmp_path, STATE, 1300)
    return tmp_path


def test_a_tensor_in_two_files_or_in_none_is_refused(cut):
    path = cut / "model-00002-of-00002.safetensors"
    save_file({**load_file(path), "big": STATE["big"]}, path)
    with pytest.raises(ValueError, match=f"other tensors than {INDEX} says"):
        read(cut)
    save_file({"half": STATE["half"]}, path)
    with pytest.raises(ValueError, match="model-00002-of-00002"):
        read(cut)


def test_a_missing_or_damaged_file_is_an_error(cut):
    path = cut / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=path.name):
        read(cut)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(cut)


@pytest.mark.parametrize("where", [{}, {"big": "../model.safetensors"}, {"big": "other.bin"}])
def test_an_index_that_leads_elsewhere_is_refused(cut, where):
    (cut / INDEX).write_text(json.dumps({"weight_map": where}))
    with pytest.raises(ValueError, match=INDEX):
        read(cut)


def test_names_of_tensor_files_are_known():
    assert all(map(tensors.is_weights_file, (SINGLE, INDEX, "model-00001-of-00002.safetensors")))
    assert not any(
        map(tensors.is_weights_file, ("config.json", "a/model.safetensors", "model.bin"))
    )


def test_bytes_are_within_half_a_step_of_their_channels_largest(tmp_path):
    torch.manual_seed(0)
    state = {
        "convolution": torch.randn(8, 32, 3, 3) * torch.logspace(-3, 1, 8)[:, None, None, None],
        "zero": torch.zeros(4, 1024),
        "bias": torch.randn(2000),
        "count": torch.tensor(3),
    }
    write(tmp_path, tensors.stored(state, "byte"), max_shard=2000)
    found = read(tmp_path)
    assert set(found) == set(state) and found["count"] == 3
    away = (found["convolution"] - state["convolution"]).flatten(1).abs().amax(dim=1)
    largest = state["convolution"].flatten(1).abs().amax(dim=1)
    assert (away <= largest / 127 * 0.501).all() and away.max() > 0
    assert not found["zero"].any()
    assert torch.equal(found["bias"], state["bias"].half().float())
    size = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    write(tmp_path / "half", tensors.stored(state, "half"))
    assert size < 0.75 * (tmp_path / "half" / SINGLE).stat().st_size
