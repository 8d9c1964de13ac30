"""Find boxes with a detector: ``python -m hand_baselines.detector.predict --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from hand_baselines.detector.boxes import BoxSet, read_boxes, write_boxes
from hand_baselines.detector.data import GIVEN, PRESENCE, known_sides, true_boxes
from hand_baselines.detector.measures import LEAST, BoxMeasures, measure
from hand_baselines.detector.task import DETECTION, Detections
from hand_baselines.weights import Loaded, load_weights
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.data import open_annotations, quiet
from hand_bench.errors import BaselineError, Problem
from hand_bench.tracks import Track, find_track

Progress = Callable[[str, int, int], None]
#: Samples that are looked at between two reports.
PART = 1024


class Boxes(Protocol):
    """Where boxes of hands come from."""

    @property
    def source(self) -> str:
        """What they depend on, for predictions that go on."""
        ...

    def __call__(self, rows: AnnotationBatch) -> np.ndarray:
        """Return the boxes (rows, 2, 4) of rows, px; NaN where there is none."""
        ...


@dataclass(frozen=True)
class StoredBoxes:
    """Boxes of a file."""

    boxes: BoxSet

    @property
    def source(self) -> str:
        """Hash of the file."""
        return self.boxes.source

    def __call__(self, rows: AnnotationBatch) -> np.ndarray:
        """Return the boxes of rows."""
        return self.boxes.of(rows)[0]


@dataclass(frozen=True)
class NetworkBoxes:
    """Boxes that a detector finds with a score of at least `least`."""

    found: Detections
    sha256: str
    least: float = LEAST

    @property
    def source(self) -> str:
        """Hash of the weights, and the score."""
        return f"{self.sha256} {self.least}"

    def __call__(self, rows: AnnotationBatch) -> np.ndarray:
        """Return the boxes of rows."""
        boxes, scores = self.found.found(rows)
        return np.where((scores >= self.least)[..., None], boxes, np.float32(np.nan))


def boxes_of(
    where: str | Path, opened: Annotations, images: str | Path | None = None, **fed: Any
) -> Boxes:
    """Return the boxes of a file, or of a detector's weights (folder or name), for a table.

    `fed` are batch, workers and device of a detector.

    Raises
    ------
    BaselineError
        HB302 where the weights are of another model; as `boxes.read_boxes` and
        `weights.load_weights`.
    """
    if is_file(where):
        return StoredBoxes(read_boxes(where, opened))
    loaded = load_weights(where)
    _require_detector(loaded)
    return NetworkBoxes(DETECTION.answers(loaded, opened, images, **fed), loaded.sha256)


def is_file(where: str | Path) -> bool:
    """Whether boxes are named by a file and not by weights."""
    return Path(where).suffix == ".parquet" or Path(where).is_file()


def detect(
    where: str | Path,
    track: str | Track,
    out: str | Path | None = None,
    *,
    least: float = LEAST,
    annotations: str | Path | None = None,
    images: str | Path | None = None,
    progress: Progress = quiet,
    **fed: Any,
) -> BoxMeasures:
    """Find the boxes of all samples of a track, and measure them where true ones are known.

    Parameters
    ----------
    where
        Weights of a detector; or a file of boxes, which is only measured.
    track
        A track of single pictures.
    out
        File of boxes to write (see `boxes`); None: none.
    least
        Boxes with a smaller score are left out of the file; AP50 counts them.
    annotations, images
        Prepared annotations and the folder of pictures; default: where they were prepared.
    progress
        Called with (what, done, total).
    fed
        batch, workers and device of the detector.

    Raises
    ------
    BaselineError
        HB302 where the track has no single pictures, or `where` is no detector.
    """
    track = find_track(track)
    opened = open_annotations(track, annotations)
    if track.several_views or track.kind not in ("pose", "pose-2d"):
        raise BaselineError(Problem("HB302", track.name, "has no single pictures to look at."))
    parts, ids, done = [], [], 0
    if is_file(where):
        stored = read_boxes(where, opened)
        look = stored.of
    else:
        loaded = load_weights(where)
        _require_detector(loaded)
        look = DETECTION.answers(loaded, opened, images, **fed).found
    for rows in opened.batches(["sample_id", *GIVEN, *PRESENCE], PART):
        parts.append((true_boxes(rows), known_sides(rows), *look(rows)))
        ids.append(rows.sample_id)
        done += len(rows)
        progress("looking for hands", done, opened.rows)
    truth, known, boxes, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    if out is not None:
        write_boxes(out, BoxSet(pa.concat_arrays(ids), boxes, scores).sure(least))
    return measure(truth, known, boxes, scores, least=least)


def look_at(loaded: Loaded, image: np.ndarray, device: str | None = None) -> tuple[Any, Any]:
    """Return the best box of each side in one picture, and its score.

    | value | shape | meaning |
    |---|---|---|
    | image | (height, width, 3) | bytes |
    | boxes | (2, 4) | x, y, w, h, px, right hand first |
    | scores | (2,) | 0 to 1 |
    """
    import torch

    from hand_baselines.crops import crop_affine
    from hand_baselines.detector.data import whole_square
    from hand_baselines.mano_data import warped

    _require_detector(loaded)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    size = loaded.network.config.input_size  # pyright: ignore
    affine = crop_affine(whole_square(image), size)
    view = torch.from_numpy(np.moveaxis(warped(image, affine, size), 2, 0).copy())
    with torch.no_grad():
        network = loaded.network.to(place).eval()
        batch = {"affine": torch.from_numpy(affine)[None].to(place)}
        said = network.decode(network(view[None].to(place)), batch)  # pyright: ignore
    return said.boxes[0].float().cpu().numpy(), said.scores[0].float().cpu().numpy()


def _require_detector(loaded: Loaded) -> None:
    if loaded.model.task() is not DETECTION:
        what = f"are weights of {loaded.model.name}, which finds no boxes."
        fix = "Name weights of a detector, or a file of boxes (.parquet)."
        raise BaselineError(Problem("HB302", loaded.name, what, fix=fix))


def main(arguments: list[str] | None = None) -> None:
    """Find boxes from the command line of a bare host."""
    from hand_bench.errors import HandBenchError

    parser = argparse.ArgumentParser("python -m hand_baselines.detector.predict")
    parser.add_argument("where", help="folder of weights, a name, or a file of boxes to measure")
    parser.add_argument("--track", required=True)
    parser.add_argument("-o", "--output", dest="out", type=Path, help="file of boxes to write")
    parser.add_argument("--least", type=float, default=LEAST, help="smallest score of a box")
    parser.add_argument("--annotations", type=Path, help="default: the prepared ones")
    parser.add_argument("--images", type=Path, help="folder of pictures")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device")
    try:
        measures = detect(**vars(parser.parse_args(arguments)))
    except HandBenchError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{measures}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
