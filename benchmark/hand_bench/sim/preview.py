"""A sheet of pictures of a world, to look at before making it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hand_bench import files
from hand_bench.joint_sets import OPENPOSE
from hand_bench.sim.pictures import Shot, moments, shots
from hand_bench.sim.recordings import recordings
from hand_bench.sim.render import project
from hand_bench.sim.worlds import Source, find_world

#: Colours of the right and the left hand's joints (red, blue), as elsewhere.
COLOURS = ((230, 60, 50), (50, 110, 235))
#: Height of a tile, pixels.
TILE = 256


def preview(
    world: str, path: str | Path, *, seed: int = 0, tiles: int = 24, columns: int = 6
) -> Path:
    """Write a sheet: every second picture has its joints drawn, right red, left blue.

    Raises
    ------
    TrackError
        HB301 for an unknown world.
    HandBenchError
        HB401 without the extra `sim`, HB402 where the picture cannot be written.
    """
    from PIL import Image

    source = find_world(world)
    shown = [_tile(shot, joints=bool(k % 2)) for k, shot in enumerate(_spread(source, seed, tiles))]
    width = max(tile.width for tile in shown)
    sheet = Image.new("RGB", (columns * width, -(-len(shown) // columns) * TILE), "white")
    for k, tile in enumerate(shown):
        sheet.paste(tile, (k % columns * width, k // columns * TILE))
    path = Path(path)
    form = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG"
    with files.replacing(path) as temporary, temporary.open("wb") as stream:
        sheet.save(stream, form, quality=88)
    return path


def _spread(source: Source, seed: int, tiles: int) -> Iterator[Shot]:
    """Yield pictures from all over a world's splits: few of each recording, spread in time."""
    kind = next(kind for kind in source.tables.values() if kind != "clips")
    each = -(-tiles // len(source.splits))
    given = 0
    for split in source.splits:
        left = min(each, tiles - given)
        every = list(recordings(source, split, "small", seed))
        picked = [
            every[k] for k in np.linspace(0, len(every) - 1, min(left, len(every))).astype(int)
        ]
        for place, recording in enumerate(picked):
            share = left // len(picked) + (place < left % len(picked))
            for shot in _few(recording, kind, share):
                given += 1
                yield shot


def _few(recording, kind: str, count: int) -> Iterator[Shot]:
    """Yield some pictures of a recording, of other cameras and clips each."""
    wanted = np.linspace(0.1, 0.9, count)
    instants = recording.instants()
    chosen = {instants[int(share * (len(instants) - 1))] for share in wanted}
    for place, moment in enumerate(moments(recording, sorted(chosen, key=lambda i: i.number))):
        found = list(shots(moment, kind))
        if found:
            yield found[place % len(found)]


def _tile(shot: Shot, *, joints: bool):
    from PIL import Image, ImageDraw

    picture = Image.fromarray(shot.picture.image)
    scale = TILE / picture.height
    picture = picture.resize((round(picture.width * scale), TILE), Image.Resampling.BILINEAR)
    if joints:
        draw = ImageDraw.Draw(picture)
        for side in range(2):
            if shot.moment.clip.present[side]:
                uv = (project(shot.moment.joints[side], shot.view)[0] + 0.5) * scale
                _draw_hand(draw, uv, COLOURS[side])
    return picture


def _draw_hand(draw, uv: np.ndarray, colour: tuple[int, int, int]) -> None:
    if not np.isfinite(uv).all():
        return
    for parent, child in OPENPOSE.bones:
        draw.line([tuple(uv[parent]), tuple(uv[child])], fill=colour, width=2)
    for x, y in uv:
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill="white", outline=colour)
