"""Pictures as the network looks at them, and how a clip varies in training (facts 4.1, 4.7).

A picture is brought to the network's size as a whole (Pillow, bilinear). In training every frame
of a clip is shifted by the same whole pixels; what comes from outside is black, and the camera's
principal point moves along, so that poses in camera space stay. Brightness, contrast, saturation
and hue change by the same factors in all frames, in an order that is drawn for every frame, after
a blur that is drawn for every frame.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Ranges:
    """How far clips vary: HTT's values.

    Attributes
    ----------
    shift
        In x and in y, either way, in parts of the picture's width.
    colour
        Brightness, contrast and saturation are multiplied by 1 - colour to 1 + colour.
    hue
        Either way, in parts of the circle.
    blur
        Largest radius of the Gaussian, px.
    """

    shift: float = 0.1
    colour: float = 0.5
    hue: float = 0.15
    blur: float = 0.5

    def times(self, factor: float) -> Ranges:
        """Return ranges that are so much wider."""
        return Ranges(*(factor * value for value in astuple(self)))


#: A smaller radius than this changes nothing, px.
_LEAST_BLUR = 0.05


@dataclass(frozen=True)
class Variation:
    """What was drawn for a clip.

    Attributes
    ----------
    shift
        By how many pixels pictures move to the left and up.
    factors
        Of brightness, contrast, saturation; then the turn of the hue, of 256.
    orders, blurs
        For each frame: the order of the four changes, and the blur's radius.
    """

    shift: tuple[int, int]
    factors: tuple[float, float, float, int]
    orders: np.ndarray
    blurs: np.ndarray

    @classmethod
    def draw(cls, ranges: Ranges, width: int, frames: int, rng: np.random.Generator) -> Variation:
        """Draw the variation of a clip of pictures of a width."""
        x, y = (int(ranges.shift * width * part) for part in rng.uniform(-1, 1, 2))
        factors = rng.uniform(1 - ranges.colour, 1 + ranges.colour, 3).tolist()
        turn = int(256 * rng.uniform(-ranges.hue, ranges.hue))
        orders = rng.permuted(np.tile(np.arange(4), (frames, 1)), axis=1)
        return cls((x, y), (*factors, turn), orders, ranges.blur * rng.uniform(0, 1, frames))

    def apply(self, picture: np.ndarray, frame: int) -> np.ndarray:
        """Return a frame of the clip as it is now; (height, width, 3) bytes."""
        from PIL import Image, ImageFilter

        image = Image.fromarray(picture)
        if self.blurs[frame] >= _LEAST_BLUR:
            image = image.filter(ImageFilter.GaussianBlur(float(self.blurs[frame])))
        for change in self.orders[frame]:
            image = _change(image, int(change), self.factors)
        return shifted(np.asarray(image), self.shift)


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture of a width and height, bilinearly; one that has them already as it is."""
    from PIL import Image

    if picture.shape[1::-1] == tuple(size):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def shifted(picture: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """Move a picture to the left and up by whole pixels; black comes from outside."""
    x, y = shift
    height, width = picture.shape[:2]
    result = np.zeros_like(picture)
    inside = picture[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    top, left = max(-y, 0), max(-x, 0)
    result[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return result


def _change(image: Image, change: int, factors: tuple[float, float, float, int]) -> Image:
    """Change brightness (0), contrast (1), saturation (2) or hue (3)."""
    from PIL import Image as Images
    from PIL import ImageEnhance

    if change == 3 and not factors[3]:
        return image
    if change == 3:
        hue, saturation, value = image.convert("HSV").split()
        turned = (np.asarray(hue).astype(np.int16) + factors[3]) % 256
        parts = (Images.fromarray(turned.astype(np.uint8)), saturation, value)
        return Images.merge("HSV", parts).convert("RGB")
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    return kinds[change](image).enhance(factors[change])
