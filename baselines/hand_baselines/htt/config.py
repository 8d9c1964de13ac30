"""What an HTT is made of: presets `paper` and `small` for H2O, and the same for FPHA.

Every ablation of the paper's Tables 4 and 5 is a value of one attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hand_baselines.htt.taxonomies import TAXONOMIES, Taxonomy
from hand_baselines.presets import SMALL_DEPTH, SMALL_WIDTH, find_preset

#: What the action block can be told of a frame.
ACTION_INPUTS = ("feature", "pose", "object")


@dataclass(frozen=True)
class HTTConfig:
    """Sizes and conventions of an HTT; the defaults are the paper's, on H2O.

    Attributes
    ----------
    taxonomy
        Hands, actions and objects: "h2o" or "fpha" (`taxonomies.TAXONOMIES`).
    depth, width
        The ResNet, and by what its channels are multiplied.
    picture_size
        Width and height that every picture is brought to. Numbers stay those of 480 x 270 pixels.
    mean
        What is subtracted from colours in 0 to 1.
    pooling, reduced
        How a feature map becomes a token: its "mean", or "flat", a linear map of all its places,
        reduced to so many channels first (a mean learns where a hand is slowly). The mean must
        have as many channels as tokens.
    tokens, heads, layers, feedforward
        Of both transformers.
    window, clip
        Frames of a window of the pose block (t), and of a clip of the action block (T).
    spacing
        Frame numbers from one frame of a clip to the next (of 30 a second).
    offsets
        In training a clip starts at each of the first so many frames of every block of a
        sub-sequence. The released code takes as many as the window has.
    cascade
        Whether the action block looks at what the pose block says (the paper), or at the frames'
        own features (Table 5, "parallel").
    action_inputs
        What of the pose block the action block is told: some of `ACTION_INPUTS`.
    lens
        How pixels become Y: by fx, as the released code has it ("fx"), or by fy ("fy").
    voting
        How clips decide on a video's action: "soft", the sum of probabilities (released code), or
        "hard", one vote each (paper).
    frame_mean
        Losses of frames are means over all frames of a batch ("batch", released code), or over
        each clip and then over clips ("clip", the paper's 1/T).
    loss_weights
        Of pixels, metres of depth, objects and actions.
    chunk, checkpoint
        Frames that go through the ResNet at once in training, and whether their inner features
        are computed again in the backward pass instead of being kept: same numbers, less memory.
    """

    taxonomy: str = "h2o"
    depth: int = 18
    width: float = 1.0
    picture_size: tuple[int, int] = (480, 270)
    mean: float = 0.5
    pooling: Literal["mean", "flat"] = "mean"
    reduced: int = 0
    tokens: int = 512
    heads: int = 8
    layers: int = 2
    feedforward: int = 2048
    window: int = 16
    clip: int = 128
    spacing: int = 2
    offsets: int = 16
    cascade: bool = True
    action_inputs: tuple[str, ...] = ACTION_INPUTS
    lens: Literal["fx", "fy"] = "fx"
    voting: Literal["soft", "hard"] = "soft"
    frame_mean: Literal["batch", "clip"] = "batch"
    loss_weights: tuple[float, float, float, float] = (1.0, 100.0, 1.0, 1.0)
    chunk: int = 16
    checkpoint: bool = True

    def __post_init__(self) -> None:
        if self.taxonomy not in TAXONOMIES:
            raise ValueError(f"taxonomy {self.taxonomy!r} is none of {', '.join(TAXONOMIES)}")
        if self.clip % self.window:
            raise ValueError(f"windows of {self.window} frames do not fill clips of {self.clip}")
        unknown = set(self.action_inputs) - set(ACTION_INPUTS)
        if unknown or not self.action_inputs:
            raise ValueError(f"action inputs are some of {', '.join(ACTION_INPUTS)}")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(known)}")

    @property
    def shows(self) -> Taxonomy:
        """Return hands, actions and objects."""
        return TAXONOMIES[self.taxonomy]


_CHOICES = {
    "pooling": ("mean", "flat"),
    "lens": ("fx", "fy"),
    "voting": ("soft", "hard"),
    "frame_mean": ("batch", "clip"),
}
_PAPER = HTTConfig()
#: Whole frames of HandSim as they are stored.
_SMALL = HTTConfig(
    depth=SMALL_DEPTH,
    width=SMALL_WIDTH,
    picture_size=(240, 135),
    mean=0.0,
    pooling="flat",
    reduced=32,
    tokens=128,
    heads=4,
    feedforward=256,
    lens="fy",
    checkpoint=False,
)
PRESETS = {
    "paper": _PAPER,
    "small": _SMALL,
    "paper-fpha": replace(_PAPER, taxonomy="fpha"),
    "small-fpha": replace(_SMALL, taxonomy="fpha"),
}


def preset(name: str) -> HTTConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "HTT", name)
