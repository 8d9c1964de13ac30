"""Shapes are checked in every test: jaxtyping's hook wraps the package's annotated functions."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

with install_import_hook("hand_bench", "beartype.beartype"):
    import hand_bench  # noqa: F401

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"


@pytest.fixture(scope="session")
def interhand26m_sample() -> Path:
    """Four real images of InterHand2.6M with annotations, beside the repository."""
    root = REAL / "interhand26m"
    if not root.is_dir():
        pytest.skip(
            "the four real InterHand2.6M samples (shared/real) are not beside the repository"
        )
    return root


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty data folder of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("HAND_BENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_home_by_accident(tmp_path_factory):
    """No test may read or write the data folder of whoever runs it."""
    os.environ["HAND_BENCH_HOME"] = str(tmp_path_factory.mktemp("unused-home"))
