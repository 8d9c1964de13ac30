"""Weights: tensors and ``config.json`` in one folder, and where they are found.

``config.json`` says which model it is, its preset and configuration, and what else it needs to
answer (the mean depth of training wrists); a network is built from it alone. Names and shapes must
fit exactly. Shipped weights are stored in half precision or as bytes, and computed with in single
precision; `tensors` says how, and how large networks are cut into several files. What is published
has the SHA-256 of these files in ``config.json``.

A name is looked for in this order: a path, ``baselines/weights/NAME`` of the repository, the Hub's
cache on this machine, the Hub. Only ORG/NAME is asked for on the Hub: no mistyped name leaves the
machine (`hand-bench baselines get NAME` does ask for a plain name).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from hand_baselines import tensors
from hand_baselines.models import Model, find_model
from hand_bench import files
from hand_bench.errors import BaselineError, Problem, unknown_name
from hand_bench.results import Result

FORMAT = "hand-bench baseline 1"
WEIGHTS, CONFIG = tensors.SINGLE, "config.json"
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
        Of the weights: of the file, or of the SHA-256 of all files where there are several.
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
    store: tensors.Store = "single",
    max_shard: int | None = tensors.MAX_SHARD,
) -> None:
    """Write a network into a folder; each file appears only when it is complete.

    `store` says how numbers are stored (see `tensors`; counters stay whole). Networks of more than
    `max_shard` bytes are cut into several files; None: never.

    Raises
    ------
    BaselineError
        HB402 where a number is too large for half precision, or not finite.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    state = tensors.stored(state, store)
    broken = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        what = f"{len(broken)} tensors are not finite, e.g. {broken[0]}."
        raise BaselineError(Problem("HB402", str(folder), what))
    folder = Path(folder)
    tensors.write(folder, state, max_shard)
    about = {
        "format": FORMAT,
        "model": model.name,
        "preset": preset,
        "config": asdict(network.config),  # pyright: ignore
        "facts": dict(facts),
    }
    files.write_json(folder / CONFIG, about)


def sealed(folder: str | Path) -> dict[str, Any]:
    """Return ``config.json`` with the SHA-256 of the tensors' files."""
    folder = Path(folder)
    digests = {name: files.sha256(folder / name) for name in tensors.names(folder)}
    return {**read_config(folder), "sha256": digests}


def seal(folder: str | Path) -> None:
    """Write the SHA-256 of the tensors' files into ``config.json``."""
    files.write_json(Path(folder) / CONFIG, sealed(folder))


def load_weights(where: str | Path, *, revision: str | None = None) -> Loaded:
    """Load weights by path or name; `revision` is a branch, tag or commit on the Hub.

    Raises
    ------
    BaselineError
        HB301 for an unknown name, HB402 where files are damaged or do not fit, HB403 to HB405
        where the Hub is asked in vain.
    """
    folder = find_weights(where, revision=revision)
    try:
        about = read_config(folder)
        digests = {name: files.sha256(folder / name) for name in tensors.names(folder)}
        _require_sealed(about, digests)
        model = find_model(about["model"])
        config = model.config_class()(**_tuples(about["config"]))
        network = model.network_class()(config)
        network.load_state_dict(tensors.read(folder), strict=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, BaselineError):
            raise
        raise _unreadable(folder, error) from error
    preset, facts = about.get("preset", ""), about.get("facts", {})
    return Loaded(_name(folder), model, preset, network.eval(), facts, _digest(digests))


def take_weights(network: nn.Module, where: str | Path) -> str:
    """Load into a network what fits of other weights; return a sentence for its record.

    Tensors with the same name and shape fit: the same model with another configuration, or a model
    that is built of the same parts.

    Raises
    ------
    BaselineError
        HB302 where nothing fits; else as `load_weights`.
    """
    loaded = load_weights(where)
    own = network.state_dict()
    there = {k: v for k, v in loaded.network.state_dict().items() if k in own}
    fitting = {k: v for k, v in there.items() if v.shape == own[k].shape}
    if not fitting:
        what = f"has no tensor that fits: these are weights of {loaded.model.name}."
        raise BaselineError(Problem("HB302", f"--initial-weights {where}", what))
    network.load_state_dict(fitting, strict=False)
    of = f"{loaded.name} (sha256 {loaded.sha256[:16]})"
    return f"{len(fitting)} of {len(own)} tensors of {of}"


def find_weights(where: str | Path, *, revision: str | None = None) -> Path:
    """Return the folder with weights: a path, a shipped name, or a repository of the Hub.

    Raises
    ------
    BaselineError
        HB301 where there is none of them, HB403 to HB405 where the Hub is asked in vain.
    """
    for folder in (Path(where), SHIPPED / where):
        if revision is None and (folder / CONFIG).is_file():
            return folder
    from hand_baselines import hub

    folder = hub.cached(str(where), revision=revision)
    if folder is not None:
        return folder
    if hub.is_repo(str(where)):
        return hub.get(str(where), revision=revision)
    problem = unknown_name("folder or name of weights", str(where), shipped())
    if "/" not in str(where):
        more = f"`hand-bench baselines get {where}` looks on the Hub."
        problem = replace(problem, fix=f"{problem.fix} {more}".strip())
    raise BaselineError(problem)


def shipped() -> list[str]:
    """Return the names of the repository's weights."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def read_config(folder: Path) -> dict[str, Any]:
    """Return what ``config.json`` says; KeyError or ValueError where it is none of this project."""
    about = json.loads((folder / CONFIG).read_text("utf-8"))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        form = about.get("format") if isinstance(about, dict) else None
        raise KeyError(f"format {form!r}")
    return about


def _require_sealed(about: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    sealed = about.get("sha256", digests)
    changed = [name for name in {**sealed, **digests} if sealed.get(name) != digests.get(name)]
    if changed:
        raise ValueError(f"{changed[0]} has another SHA-256 than {CONFIG} says")


def _digest(digests: Mapping[str, str]) -> str:
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256("".join(digests.values()).encode()).hexdigest()


def _name(folder: Path) -> str:
    """Name of the folder; in the Hub's cache that of the repository."""
    repo = folder.parent.parent.name
    cached = folder.parent.name == "snapshots" and repo.startswith("models--")
    return repo.rsplit("--", 1)[-1] if cached else folder.name


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
            fix=f"A folder of weights has {WEIGHTS} (or {tensors.INDEX}) and {CONFIG}.",
        )
    )


def kept_result(folder: Path, track: str) -> Result | None:
    """Return the scores beside weights, where the predictions beside them are what they score.

    None where one of the files lacks, for other predictions, and for another track.
    """
    preds, path = folder / "predictions.parquet", folder / "result.json"
    if not preds.is_file() or not path.is_file():
        return None
    result = Result.load(path)
    same = result.predictions.get("sha256") == files.sha256(preds)
    return result if same and result.track["name"] == track else None
