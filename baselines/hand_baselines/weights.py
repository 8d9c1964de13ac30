"""Weights: ``model.safetensors`` and ``config.json`` in one folder, and where they are found.

``config.json`` says which model it is, its preset and configuration, and what else it needs to
answer (the mean depth of training wrists); a network is built from it alone. Names and shapes must
fit exactly. Shipped weights are stored in half precision and computed with in single precision.

A name is looked for in this order: a path, then ``baselines/weights/NAME`` of the repository.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hand_baselines.models import Model, find_model
from hand_bench import files
from hand_bench.errors import BaselineError, Problem, unknown_name

FORMAT = "hand-bench baseline 1"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
#: The repository's own weights; absent where only the wheel is installed.
SHIPPED = Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True)
class Loaded:
    """A network with its weights, ready to answer.

    Attributes
    ----------
    name
        Name of the folder: "internet-small".
    model, preset
        Which model it is, and the name of its configuration.
    network
        In evaluation mode, float32.
    facts
        What else it answers with: ``root_depth``, the mean depth of each wrist, mm.
    sha256
        Of the weights file.
    """

    name: str
    model: Model
    preset: str
    network: nn.Module
    facts: Mapping[str, Any]
    sha256: str


def save_weights(
    folder: str | Path,
    model: Model,
    preset: str,
    network: nn.Module,
    facts: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write a network into a folder; each file appears only when it is complete.

    With `half` the numbers are stored in half precision (counters stay whole).

    Raises
    ------
    BaselineError
        HB402 where a number is too large for half precision, or not finite.
    """
    from safetensors.torch import save

    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    broken = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        what = f"{len(broken)} tensors are not finite, e.g. {broken[0]}."
        raise BaselineError(Problem("HB402", str(folder), what))
    folder = Path(folder)
    with files.replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(state, {"format": "pt"}))
    about = {
        "format": FORMAT,
        "model": model.name,
        "preset": preset,
        "config": asdict(network.config),  # pyright: ignore
        "facts": dict(facts),
    }
    files.write_json(folder / CONFIG, about)


def load_weights(where: str | Path) -> Loaded:
    """Load weights by path or name.

    Raises
    ------
    BaselineError
        HB301 for an unknown name, HB402 where files are damaged or do not fit.
    """
    folder = find_weights(where)
    try:
        about = json.loads((folder / CONFIG).read_text("utf-8"))
        if about["format"] != FORMAT:
            raise KeyError(f"format {about['format']!r}")
        model = find_model(about["model"])
        config = model.config_class()(**_tuples(about["config"]))
        network = model.network_class()(config)
        network.load_state_dict(read_tensors(folder / WEIGHTS), strict=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, BaselineError):
            raise
        raise _unreadable(folder, error) from error
    digest = files.sha256(folder / WEIGHTS)
    preset, facts = about.get("preset", ""), about.get("facts", {})
    return Loaded(folder.name, model, preset, network.eval(), facts, digest)


def find_weights(where: str | Path) -> Path:
    """Return the folder with weights: a path, or a name among the shipped ones.

    Raises
    ------
    BaselineError
        HB301 where there is neither.
    """
    for folder in (Path(where), SHIPPED / where):
        if (folder / CONFIG).is_file():
            return folder
    raise BaselineError(unknown_name("folder or name of weights", str(where), shipped()))


def shipped() -> list[str]:
    """Return the names of the repository's weights."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file in single precision; ValueError where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in state.items()}


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where configurations have tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _unreadable(folder: Path, error: Exception) -> BaselineError:
    reason = " ".join(str(error).split())[:200]
    return BaselineError(
        Problem(
            "HB402",
            str(folder),
            f"holds no usable weights ({type(error).__name__}: {reason}).",
            cause="A damaged copy, or weights of another model?",
            fix=f"A folder of weights has {WEIGHTS} and {CONFIG}.",
        )
    )
