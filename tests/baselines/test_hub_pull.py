"""Weights from the Hub: once, checked, pinned, offline; what goes wrong has a name."""

# ruff: noqa: E402 (what follows the check needs torch)

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: .[baselines]")

from huggingface_hub import constants, file_download

from baselines import hub_emulator
from hand_baselines import hub, hub_errors, weights
from hand_baselines.models import find_model
from hand_baselines.tensors import INDEX
from hand_baselines.weights import load_weights, save_weights, seal
from hand_bench.errors import BaselineError

REPO = "someone/internet-tiny"
MODEL = find_model("internet")
SHARD = "model-00003-of-00005.safetensors"


@pytest.fixture
def sealed(tiny_preset, tmp_path) -> Path:
    """A folder of weights in several files, with their SHA-256."""
    torch.manual_seed(0)
    folder = tmp_path / "tiny"
    network = MODEL.network_class()(tiny_preset)
    save_weights(folder, MODEL, "tiny", network, {"root_depth": [1.0, 2.0]}, max_shard=250_000)
    seal(folder)
    (folder / "README.md").write_text("# tiny\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def server(sealed):
    with hub_emulator.running() as running:
        running.add(REPO, {**contents(sealed), "predictions.parquet": b"not wanted"})
        yield running


@pytest.fixture
def get(server, tmp_path):
    """`hub.get` from the emulator into a cache of the test."""

    def get(name=REPO, **options):
        options = {"endpoint": server.endpoint, "cache": tmp_path / "cache", **options}
        return hub.get(name, **options)

    return get


def test_weights_arrive_whole_and_load(get, sealed):
    folder = get()
    assert contents(folder) == contents(sealed)
    loaded, source = load_weights(folder), load_weights(sealed)
    assert (loaded.name, loaded.facts) == ("internet-tiny", {"root_depth": [1.0, 2.0]})
    state = loaded.network.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in source.network.state_dict().items())


def test_get_twice_downloads_once(get, server, sealed):
    first = get()
    names = server.downloads()
    assert sorted(names) == sorted(contents(sealed))
    assert get() == first and server.downloads() == names


def test_a_plain_name_is_the_projects_own(get, server, sealed):
    server.add(f"{hub.ORGANISATION}/tiny", contents(sealed))
    assert load_weights(get("tiny")).name == "tiny"


def test_a_revision_pins_a_commit_a_tag_or_a_branch(get, server, sealed):
    repo = server.repos["model", REPO]
    old = repo.refs["main"]
    repo.refs["v1"] = old
    server.add(REPO, {**contents(sealed), "README.md": b"# newer\n"})
    assert (get() / "README.md").read_text() == "# newer\n"
    assert get(revision=old) == get(revision="v1")
    assert (get(revision="v1") / "README.md").read_text() == "# tiny\n"


def test_a_pinned_commit_in_the_cache_asks_nothing(get, server):
    commit = get().name
    asked = len(server.log)
    get(revision=commit)
    assert len(server.log) == asked


def test_offline_finds_what_is_in_the_cache_and_nothing_else(get, server):
    with pytest.raises(BaselineError, match=r"(?s)HB403 .*not in the cache.*Go online once"):
        get(offline=True)
    folder, asked = get(), len(server.log)
    assert get(offline=True) == folder and len(server.log) == asked
    with pytest.raises(BaselineError, match=r"HB403 .*revision 'v2' is not in the cache"):
        get(offline=True, revision="v2")


def test_the_environment_can_forbid_the_network(get, server, monkeypatch):
    folder, asked = get(), len(server.log)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert get() == folder and len(server.log) == asked
    with pytest.raises(BaselineError, match=r"HB403 .*this is offline"):
        get(revision="v2")


def test_without_network_the_cache_answers_or_the_error_says_so(get):
    with pytest.raises(BaselineError, match=r"(?s)HB403 .*127.0.0.1:9 cannot be reached.*proxy"):
        get(endpoint="http://127.0.0.1:9")
    folder = get()
    assert get(endpoint="http://127.0.0.1:9") == folder


def test_an_outage_is_told_from_a_missing_network(get, server):
    server.down = True
    with pytest.raises(BaselineError, match=r"(?s)HB403 .*answers with an error.*503.*outage"):
        get()


def test_a_missing_repository_is_named(get):
    with pytest.raises(BaselineError, match=r"(?s)HB404 someone/nothing: there is no such.*typing"):
        get("someone/nothing")


def test_a_private_repository_needs_a_token(get, server, sealed):
    server.add("someone/private", contents(sealed), private=True)
    with pytest.raises(BaselineError, match=r"(?s)HB404 someone/private: .*private.*hf auth login"):
        get("someone/private", token=False)
    assert get("someone/private", token="reader").is_dir()


@pytest.mark.parametrize("token", [False, "reader"])
def test_a_gated_repository_says_where_to_ask(get, server, sealed, token):
    server.add("someone/gated", contents(sealed), gated=True)
    with pytest.raises(BaselineError, match=r"(?s)HB404 .*gated.*Ask for access at http"):
        get("someone/gated", token=token)


def test_a_missing_revision_is_named(get):
    with pytest.raises(BaselineError, match=r"HB404 .*has no branch, tag or commit 'v9'"):
        get(revision="v9")


@pytest.mark.parametrize("files", [
    {"README.md": b"# another project\n"},
    {"config.json": b'{"architectures": ["Other"]}', "model.safetensors": b"12"},
    {"config.json": b'["format"]'},
])  # fmt: skip
def test_a_repository_of_another_kind_is_refused_before_its_weights_come(get, server, files):
    server.add("someone/other", files)
    with pytest.raises(BaselineError, match="HB402 someone/other: is no repository of hand-bench"):
        get("someone/other")
    assert server.downloads() in ([], ["config.json"])


def test_a_configuration_without_hashes_or_with_strange_files_is_refused(get, server, sealed):
    about = json.loads((sealed / "config.json").read_text())
    for sealed_names in ({}, {"../../.bashrc": "0" * 64}, None):
        about["sha256"] = sealed_names
        server.add(REPO, {"config.json": json.dumps(about).encode()})
        with pytest.raises(BaselineError, match=r"HB402 .*no SHA-256 of weights"):
            get()


@pytest.mark.parametrize("index", [b"{}", b"[]", b"no JSON", b'{"weight_map": {"a": "x.bin"}}'])
def test_published_files_that_contradict_each_other_are_refused(get, server, sealed, index):
    about = json.loads((sealed / "config.json").read_text())
    about["sha256"] = {INDEX: hashlib.sha256(index).hexdigest()}
    server.add(REPO, {"config.json": json.dumps(about).encode(), INDEX: index})
    with pytest.raises(BaselineError, match=r"HB402 .*other files than those of its tensors"):
        get()


@pytest.mark.parametrize("name", ["a/b/c", "no name", "../up", ""])
def test_what_is_no_name_is_refused(get, name):
    with pytest.raises(BaselineError, match=r"HB301 .*no name on the Hub"):
        get(name)


def test_bytes_changed_on_the_way_are_found_removed_and_fetched_again(get, server, sealed):
    server.corrupt = {SHARD}
    with pytest.raises(BaselineError, match=rf"(?s)HB405 {REPO}: {SHARD}: .*removed.*again"):
        get()
    server.corrupt = set()
    before = len(server.downloads())
    assert contents(get()) == contents(sealed)
    assert server.downloads()[before:] == [SHARD]


def test_a_configuration_changed_on_the_way_is_found_too(get, server, sealed):
    server.corrupt = {"config.json"}
    with pytest.raises(BaselineError, match=r"HB405 .*config.json"):
        get()
    server.corrupt = set()
    assert contents(get()) == contents(sealed)


def test_a_file_that_rots_in_the_cache_is_fetched_again(get, server, sealed, tmp_path):
    path = (get() / SHARD).resolve()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert hub.cached(REPO, cache=tmp_path / "cache") is None
    assert contents(get()) == contents(sealed)


def test_a_connection_that_breaks_off_is_taken_up_where_it_stopped(
    get, server, sealed, monkeypatch
):
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    server.cut = {SHARD: [1000, 2000]}
    assert contents(get()) == contents(sealed)


def test_a_connection_that_keeps_breaking_is_an_error_that_a_rerun_mends(
    get, server, sealed, monkeypatch
):
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    server.cut = {SHARD: [0] * 6}
    with pytest.raises(BaselineError, match=r"(?s)HB403 .*broke off.*Give the command again"):
        get()
    assert contents(get()) == contents(sealed)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_nothing_broken_stays(get, sealed, tmp_path, monkeypatch, number):
    def full(url, temp_file, **_):
        temp_file.write(b"the first bytes")
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(file_download, "http_get", full)
        with pytest.raises(
            BaselineError, match=rf"(?s)HB402 {tmp_path}/cache: the disk is full.*HF_HOME"
        ):
            get()
    assert contents(get()) == contents(sealed)


def test_a_cache_that_cannot_be_written_is_named(get, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BaselineError, match=r"(?s)HB402 .*cannot be used.*set HF_HOME"):
        get(cache=tmp_path / "file")


def test_a_download_that_is_killed_finishes_on_a_rerun(get, server, sealed, tmp_path):
    code = (
        "import sys; from hand_baselines import hub; from huggingface_hub import constants\n"
        "constants.DOWNLOAD_CHUNK_SIZE = 65536\n"
        "hub.get(sys.argv[1], endpoint=sys.argv[2], cache=sys.argv[3])\n"
    )
    server.pause = 0.1
    given = [sys.executable, "-c", code, REPO, server.endpoint, tmp_path / "cache"]
    blobs = tmp_path / "cache/models--someone--internet-tiny/blobs"
    started = time.monotonic()
    with subprocess.Popen(given, stderr=subprocess.DEVNULL) as process:
        try:
            while not sum(_size(path) for path in blobs.glob("*.incomplete")):
                assert process.poll() is None and time.monotonic() - started < 60
                time.sleep(0.01)
        finally:
            process.kill()
    server.pause = 0.0
    assert hub.cached(REPO, cache=tmp_path / "cache") is None
    left = list(blobs.glob("*.incomplete"))
    for path in left:
        os.utime(path, (0, 0))
    assert contents(get()) == contents(sealed)
    assert left and not any(path.exists() for path in left)


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # complete, and renamed
        return path.stat().st_size
    return 0


def use_everywhere(server, monkeypatch):
    """As HF_ENDPOINT does, which is read when huggingface_hub is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    path = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + path)


def test_names_are_found_in_order(sealed, server, get, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    use_everywhere(server, monkeypatch)
    assert load_weights(REPO).name == "internet-tiny" and len(server.downloads()) == 8
    asked = len(server.log)
    assert weights.find_weights(REPO) == get(offline=True) and len(server.log) == asked
    shutil.copytree(sealed, tmp_path / "shipped/someone/internet-tiny")
    assert weights.find_weights(REPO) == tmp_path / "shipped" / REPO
    shutil.copytree(sealed, tmp_path / REPO)
    assert weights.find_weights(REPO) == Path(REPO)
    assert weights.find_weights(REPO, revision="main") == get()


def test_a_mistyped_name_or_path_asks_nobody(server, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    use_everywhere(server, monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("intrnet-small", "runs/tiny", "./runs/tiny", "runs/tiny/best"):
        with pytest.raises(BaselineError, match="HB301"):
            load_weights(name)
    with pytest.raises(BaselineError, match=r"`hand-bench baselines get intrnet-small` looks on"):
        load_weights("intrnet-small")
    assert server.log == []


def test_without_huggingface_hub_weights_load_and_the_hub_says_what_is_missing():
    code = (
        "import sys\n"
        "sys.modules['huggingface_hub'] = None\n"
        "from hand_baselines.weights import load_weights\n"
        "from hand_baselines.internet.model import InterNet\n"
        "from hand_bench.errors import BaselineError\n"
        "for call in (lambda: load_weights('someone/x'), lambda: InterNet.push_to_hub(None)):\n"
        "    try:\n"
        "        call()\n"
        "    except BaselineError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.count("HB401 Hub: huggingface_hub is not installed") == 2, done.stderr


def test_shards_and_index_have_the_hubs_form(sealed):
    index = json.loads((sealed / INDEX).read_text())
    sizes = sum(
        v.numel() * v.element_size() for v in load_weights(sealed).network.state_dict().values()
    )
    assert index["metadata"]["total_size"] == sizes
    names = {f"model-0000{k}-of-00005.safetensors" for k in range(1, 6)}
    assert set(index["weight_map"].values()) == names <= set(contents(sealed))


def test_other_errors_pass_as_they_are():
    with pytest.raises(ZeroDivisionError), hub_errors.explained(REPO):
        raise ZeroDivisionError
