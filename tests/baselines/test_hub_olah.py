"""Weights pulled from a real server: olah, which serves git repositories as the Hub does.

It needs packages that do not go with those of this project (psutil below 6), so it is a program of
its own: HAND_BENCH_OLAH names its Python (``python -m venv V; V/bin/pip install olah``). Without it
the tests install it once into pytest's cache, and are skipped where that cannot be.
"""

# ruff: noqa: E402 (what follows the check needs torch)

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: .[baselines]")

from hand_baselines import hub
from hand_baselines.models import find_model
from hand_baselines.weights import load_weights, save_weights, seal
from hand_bench.errors import BaselineError

REPO = "someone/internet-tiny"


@pytest.fixture(scope="module")
def olah(request) -> list[str]:
    """The command that starts the server."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed: olah serves git repositories")
    given = os.environ.get("HAND_BENCH_OLAH")
    if given:
        return [given, "-m", "olah.server"]
    place = request.config.cache.mkdir("olah")
    if not (place / "venv").is_dir():
        _install(place)
    return [str(place / "venv/bin/python"), "-m", "olah.server"]


def _install(place: Path) -> None:
    """Make an environment with olah; it appears only when it is whole."""
    with tempfile.TemporaryDirectory(dir=place) as made:
        venv = Path(made) / "venv"
        pip = [venv / "bin/python", "-m", "pip", "install", "-q", "--retries", "1", "olah"]
        for command in ([sys.executable, "-m", "venv", venv], pip):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                pytest.skip(f"olah cannot be installed: {done.stderr.strip()[-200:]}")
        with contextlib.suppress(OSError):  # another process was faster
            venv.rename(place / "venv")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    done = subprocess.run(
        ["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A git repository with two commits of weights in several files; the first is tagged v1."""
    from hand_baselines.internet.config import InterNetConfig

    root = tmp_path_factory.mktemp("mirrors")
    folder = root / "models" / REPO
    folder.mkdir(parents=True)
    model = find_model("internet")
    tiny = InterNetConfig(18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, sigma=1.0)
    git(folder, "init", "-q", "-b", "main")
    for number in (1, 2):
        torch.manual_seed(number)
        network = model.network_class()(tiny)
        save_weights(folder, model, "tiny", network, {"number": number}, max_shard=500_000)
        seal(folder)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"weights {number}")
        if number == 1:
            git(folder, "tag", "v1")
    return folder


@pytest.fixture(scope="module")
def server(olah, repository, tmp_path_factory):
    """A running olah that knows only the repository."""
    place = tmp_path_factory.mktemp("olah")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (place / "olah.toml").write_text(
        f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{place}/repos"\n'
        f'mirrors-path = ["{repository.parents[2]}"]\n[accessibility]\noffline = true\n'
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [*olah, "-c", "olah.toml"], cwd=place, stdout=log, stderr=log, env=environment
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/api/models/{REPO}/revision/main", place / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
    started = time.monotonic()
    while time.monotonic() - started < 60 and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    process.kill()
    pytest.skip(f"olah does not start: {log.read_text()[-300:]}")


def test_weights_come_from_olah_once(server, repository, tmp_path):
    folder = hub.get(REPO, endpoint=server, cache=tmp_path)
    assert load_weights(folder).sha256 == load_weights(repository).sha256
    assert load_weights(folder).facts == {"number": 2}
    files = {path.resolve(): path.stat().st_mtime_ns for path in folder.iterdir()}
    assert hub.get(REPO, endpoint=server, cache=tmp_path) == folder
    assert files == {path.resolve(): path.stat().st_mtime_ns for path in folder.iterdir()}
    assert hub.get(REPO, cache=tmp_path, offline=True) == folder


def test_a_tag_and_a_commit_pin_what_comes(server, repository, tmp_path):
    commit = git(repository, "rev-parse", "v1")
    for revision in ("v1", commit):
        folder = hub.get(REPO, revision=revision, endpoint=server, cache=tmp_path)
        assert folder.name == commit and load_weights(folder).facts == {"number": 1}


def test_what_olah_does_not_have_is_named(server, tmp_path):
    with pytest.raises(BaselineError, match=r"HB40[34] someone/nothing"):
        hub.get("someone/nothing", endpoint=server, cache=tmp_path)
    with pytest.raises(BaselineError, match=rf"HB40[34] {REPO}"):
        hub.get(REPO, revision="v9", endpoint=server, cache=tmp_path)
