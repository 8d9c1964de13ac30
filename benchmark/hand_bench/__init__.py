"""hand-bench: score 3D hand pose predictions as every dataset's official scorer does.

>>> import hand_bench
>>> result = hand_bench.evaluate("preds.parquet", track="interhand26m")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hand_bench.version import __version__

#: Public names and the modules they live in; imported when they are first used.
_WHERE = {
    "evaluate": "evaluator",
    "Evaluator": "evaluator",
    "ClipEvaluator": "actions",
    "compare": "comparison",
    "diagnose": "diagnosis",
    "validate": "validation",
    "inputs": "model_inputs",
    "template": "model_inputs",
    "views": "model_inputs",
    "convert": "formats.conversion",
    "read_predictions": "predictions",
    "write_predictions": "predictions",
    "write_clips": "predictions",
    "Predictions": "predictions",
    "Result": "results",
    "Score": "results",
    "TRACKS": "tracks",
    "Track": "tracks",
    "HandBenchError": "errors",
    "SubmissionError": "errors",
    "DatasetError": "errors",
    "TrackError": "errors",
}

__all__ = [
    "__version__",
    "evaluate", "Evaluator", "ClipEvaluator", "Result", "Score",
    "compare", "convert", "diagnose", "validate",
    "inputs", "template", "views",
    "read_predictions", "write_predictions", "write_clips", "Predictions",
    "TRACKS", "Track",
    "HandBenchError", "SubmissionError", "DatasetError", "TrackError",
]  # fmt: skip

if TYPE_CHECKING:
    from hand_bench.actions import ClipEvaluator
    from hand_bench.comparison import compare
    from hand_bench.diagnosis import diagnose
    from hand_bench.errors import DatasetError, HandBenchError, SubmissionError, TrackError
    from hand_bench.evaluator import Evaluator, evaluate
    from hand_bench.formats.conversion import convert
    from hand_bench.model_inputs import inputs, template, views
    from hand_bench.predictions import (
        Predictions,
        read_predictions,
        write_clips,
        write_predictions,
    )
    from hand_bench.results import Result, Score
    from hand_bench.tracks import TRACKS, Track
    from hand_bench.validation import validate


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(f"hand_bench.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'hand_bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
