"""What the light commands import, and which way imports point."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from hand_bench import write_predictions

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pandas", "scipy", "datasets", "matplotlib", "numba", "torch", "jinja2", "PIL")


def loaded_by(code: str, **environment: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running the code."""
    code += (
        "\nimport sys; print(*{m.split('.')[0] for m in sys.modules}, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return set(done.stderr.splitlines())


def test_evaluate_of_a_small_file_reaches_no_heavy_library(world, tmp_path):
    from benchmark.conftest import as_arrays

    write_predictions(tmp_path / "p.parquet", **as_arrays(world.predictions()), track="demo")
    arguments = ["evaluate", str(tmp_path / "p.parquet"), "--track", "demo"]
    code = f"from hand_bench.cli import main; main({arguments})"
    loaded = loaded_by(code, HAND_BENCH_HOME=str(world.home))
    assert "pyarrow" in loaded
    assert loaded & {*HEAVY, "jaxtyping", "ijson"} == set()


@pytest.mark.parametrize("arguments", [["--help"], ["evaluate", "--help"], ["tracks", "ls"]])
def test_help_reaches_neither_heavy_libraries_nor_numpy(arguments):
    code = f"from hand_bench.cli import main\ntry: main({arguments})\nexcept SystemExit: pass"
    loaded = loaded_by(code)
    assert loaded & set(HEAVY) == set()
    if "--help" in arguments:
        assert not loaded & {"numpy", "pyarrow"}


def imported(folder: Path) -> dict[Path, set[str]]:
    """Top-level names that the modules of a folder import anywhere in their code."""
    found: dict[Path, set[str]] = {}
    for path in folder.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
        found[path] = names
    return found


def test_the_core_imports_neither_torch_nor_jinja2_nor_the_outer_packages():
    forbidden = {"torch", "jinja2", "hand_baselines", "hand_leaderboard"}
    for path, names in imported(ROOT / "benchmark").items():
        assert not names & forbidden, path


@pytest.mark.parametrize(
    ("package", "other"), [("baselines", "hand_leaderboard"), ("leaderboard", "hand_baselines")]
)
def test_the_outer_packages_do_not_import_each_other(package, other):
    for path, names in imported(ROOT / package).items():
        assert other not in names, path


def test_importing_the_package_does_nothing():
    assert not loaded_by("import hand_bench") & {"numpy", "pyarrow", *HEAVY}
