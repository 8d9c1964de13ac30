"""HTT: features of frames, poses and objects from windows of them, the action from a whole clip.

Conventions
-----------
Pixels are those of a picture of 480 x 270 (`REFERENCE`), whatever size the network looks at; depth
is metres. Joints are in OpenPose order, hands in the order of the taxonomy. A clip has `valid`
frames first, then padding; padding has no influence on anything.

Source: Wen et al., Hierarchical Temporal Transformer, CVPR 2023, section 3; fylwen/HTT
(facts/htt-h2o-fpha.md 4). Where the two differ, see this folder's README.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from hand_baselines.crops import as_float
from hand_baselines.heads import pooled
from hand_baselines.htt.config import HTTConfig
from hand_baselines.htt.transformer import Encoder
from hand_baselines.pretrained import Pretrained
from hand_baselines.resnet import STRIDE, ResNet

#: Width and height of the picture whose pixels are meant.
REFERENCE = (480, 270)
#: u = SCALE a + width / 2; Z = fx DEPTH_SCALE c + NEAREST metres.
SCALE, DEPTH_SCALE, NEAREST = 100.0, 1e-4, 0.4


class Poses(NamedTuple):
    """What the pose block says of frames (..., frames).

    | field | shape | meaning |
    |---|---|---|
    | features | (..., tokens) | what the action block is told |
    | joints | (..., joints, 3) | raw a, b, c (see `decode`) |
    | objects | (..., objects) | logits |
    """

    features: Tensor
    joints: Tensor
    objects: Tensor


class HTTOutput(NamedTuple):
    """What the network says of clips.

    | field | shape | meaning |
    |---|---|---|
    | joints | (batch, frames, joints, 3) | raw a, b, c |
    | objects | (batch, frames, objects) | logits |
    | action | (batch, actions) | logits |
    """

    joints: Tensor
    objects: Tensor
    action: Tensor


class HTTTargets(NamedTuple):
    """What the network should say of clips.

    | field | shape | meaning |
    |---|---|---|
    | pixels | (batch, frames, joints, 2) | px of `REFERENCE` |
    | depth | (batch, frames, joints) | metres |
    | known | (batch, frames, joints) | annotated, in a frame that is there |
    | valid | (batch, frames) | which frames are there |
    | focal | (batch, frames) | fx, px of `REFERENCE` |
    | object, action | (batch,) | class, -1 where it is not known |
    """

    pixels: Tensor
    depth: Tensor
    known: Tensor
    valid: Tensor
    focal: Tensor
    object: Tensor
    action: Tensor


class HTTLosses(NamedTuple):
    """The four terms with their weights; the loss is their sum."""

    pixels: Tensor
    depth: Tensor
    objects: Tensor
    action: Tensor

    @property
    def total(self) -> Tensor:
        """L = L_2D + 100 L_z + L_obj + L_act, by default."""
        return self.pixels + self.depth + self.objects + self.action


class HTT(nn.Module, Pretrained):
    """The network; `PRESETS["paper"]` has 25,498,858 parameters."""

    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("joints.4", "objects.1", "action")

    def __init__(self, config: HTTConfig):
        super().__init__()
        self.config, shows, tokens = config, config.shows, config.tokens
        self.backbone = ResNet(config.depth, width=config.width)
        self.pool = _pool(config, self.backbone.out_channels)
        sizes = (tokens, config.heads, config.layers, config.feedforward)
        self.pose_block = Encoder(*sizes, config.window)
        self.joints = nn.Sequential(
            nn.Linear(tokens, tokens),
            nn.LeakyReLU(),
            nn.Linear(tokens, tokens),
            nn.LeakyReLU(),
            nn.Linear(tokens, 3 * shows.joints),
        )
        # As released: nothing between the two layers.
        self.objects = nn.Sequential(nn.Linear(tokens, tokens), nn.Linear(tokens, shows.objects))
        self.told = _ActionInputs(config) if config.cascade else None
        self.asking = nn.Parameter(torch.randn(tokens))
        self.action_block = Encoder(*sizes, config.clip + 1)
        self.action = nn.Linear(tokens, len(shows.actions))
        self.train()

    def train(self, mode: bool = True) -> HTT:
        """Set the mode; the statistics of batch normalisation never change, its scale learns."""
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, images: Tensor, valid: Tensor) -> HTTOutput:
        """Return what is in clips.

        | tensor | shape |
        |---|---|
        | images | (batch, frames, 3, height, width), bytes or floats in 0 to 1 |
        | valid | (batch, frames), which frames are there; the first always is |
        """
        found = self.features(images[valid])
        features = found.new_zeros(*valid.shape, found.shape[-1])
        features[valid] = found
        return self.look(features, valid)

    def features(self, images: Tensor) -> Tensor:
        """Return the tokens (frames, tokens) of pictures (frames, 3, height, width)."""
        again = self.config.checkpoint and torch.is_grad_enabled()
        parts = images.split(self.config.chunk)
        if again:
            found = [checkpoint(self._encode, part, use_reentrant=False) for part in parts]
        else:
            found = [self._encode(part) for part in parts]
        return torch.cat(found)  # pyright: ignore

    def _encode(self, images: Tensor) -> Tensor:
        colours = as_float(images) - self.config.mean
        return self.pool(self.backbone(colours.contiguous(memory_format=torch.channels_last)))

    def look(self, features: Tensor, valid: Tensor) -> HTTOutput:
        """Return what is in clips (batch, frames, tokens), from the features of their frames."""
        poses = self.poses(features, valid)
        action = self.actions(poses if self.config.cascade else features, valid)
        return HTTOutput(poses.joints, poses.objects, action)

    def poses(self, features: Tensor, valid: Tensor) -> Poses:
        """Return the poses of clips (batch, frames, tokens), window by window.

        The number of frames need not fill the windows.
        """
        frames, window = features.shape[1], self.config.window
        lacking = -frames % window
        sequence = functional.pad(features, (0, 0, 0, lacking)).unflatten(1, (-1, window))
        seen = functional.pad(valid, (0, lacking)).unflatten(1, (-1, window)).flatten(0, 1)
        # A window without any frame looks at its first place: attention needs one.
        seen = torch.cat([torch.ones_like(seen[:, :1]), seen[:, 1:]], dim=1)
        looked = self.pose_block(sequence.flatten(0, 1), seen)
        looked = looked.unflatten(0, sequence.shape[:2]).flatten(1, 2)[:, :frames]
        joints = self.joints(looked).unflatten(-1, (-1, 3))
        return Poses(looked, joints, self.objects(looked))

    def actions(self, frames: Poses | Tensor, valid: Tensor) -> Tensor:
        """Return the logits (batch, actions) of clips; parallel blocks look at the features."""
        told = frames if isinstance(frames, Tensor) else self._told(frames)
        sequence = torch.cat([self.asking.to(told).expand(len(told), 1, -1), told], dim=1)
        seen = functional.pad(valid, (1, 0), value=True)
        return self.action(self.action_block(sequence, seen)[:, 0])

    def _told(self, poses: Poses) -> Tensor:
        assert self.told is not None
        return self.told(poses)

    def targets(self, batch: Mapping[str, Tensor]) -> HTTTargets:
        """Return the targets of a batch of clips (`data.TrainingClips`)."""
        valid = batch["valid"]
        focal = batch["K"][..., 0, 0]
        known = batch["known"] & valid[..., None]
        kept = (batch["pixels"], batch["depth"], known, valid, focal)
        return HTTTargets(*kept, batch["object"], batch["action"])

    def losses(self, output: HTTOutput, targets: HTTTargets) -> HTTLosses:
        """Return the four terms, weighted (see the function `losses`)."""
        return losses(output, targets, self.config)

    def decode(self, output: HTTOutput | Poses, batch: Mapping[str, Tensor]) -> Tensor:
        """Return joints in camera space, mm, with the batch's K (see the function `decode`)."""
        return decode(output.joints, batch["K"], self.config.lens)


class _ActionInputs(nn.Module):
    """One token for each frame, from what the pose block says of it."""

    def __init__(self, config: HTTConfig):
        super().__init__()
        tokens, told = config.tokens, config.action_inputs
        self.config = config
        self.pose = nn.Linear(2 * config.shows.joints, tokens) if "pose" in told else None
        self.object = nn.Linear(config.shows.objects, tokens) if "object" in told else None
        self.mix = nn.Linear(len(told) * tokens, tokens)

    def forward(self, poses: Poses) -> Tensor:
        """Map poses (..., frames) to tokens (..., frames, tokens)."""
        parts = [poses.features] if "feature" in self.config.action_inputs else []
        if self.pose is not None:
            parts.append(self.pose(poses.joints[..., :2].flatten(-2)))
        if self.object is not None:
            parts.append(self.object(poses.objects.softmax(dim=-1)))
        return self.mix(torch.cat(parts, dim=-1))


class _Mean(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return pooled(features)


def _pool(config: HTTConfig, channels: int) -> nn.Module:
    """What turns a feature map into a token."""
    if config.pooling == "mean":
        if channels != config.tokens:
            raise ValueError(f"the mean of {channels} channels is no token of {config.tokens}")
        return _Mean()
    width, height = (-(-side // STRIDE) for side in config.picture_size)
    return nn.Sequential(
        nn.Conv2d(channels, config.reduced, 1),
        nn.Flatten(),
        nn.Linear(config.reduced * width * height, config.tokens),
    )


def losses(output: HTTOutput, targets: HTTTargets, config: HTTConfig) -> HTTLosses:
    """Return the terms with their weights.

    * pixels: mean over known joints, x and y of ``|u - u_gt|``;
    * depth: mean over known joints of ``|Z - Z_gt|``, metres;
    * objects: mean over frames of the cross-entropy;
    * action: mean over clips of the cross-entropy.

    Where all joints of all frames are annotated these are the released code's means over frames.
    A term of which nothing is known is zero.
    """
    pixels, depth = read(output.joints.float(), targets.focal)
    away = (pixels - targets.pixels).abs().mean(dim=-1)
    deeper = (depth - targets.depth).abs()
    thing = targets.object[:, None].expand(targets.valid.shape)
    entropy = _cross_entropy(output.objects, thing)
    named = targets.valid & (thing >= 0)
    acting = _mean(_cross_entropy(output.action, targets.action), targets.action >= 0)
    how = config.frame_mean
    terms = (
        frame_mean(away, targets.known, how),
        frame_mean(deeper, targets.known, how),
        frame_mean(entropy, named, how),
        acting,
    )
    weighted = (weight * term for weight, term in zip(config.loss_weights, terms, strict=True))
    return HTTLosses(*weighted)


def frame_mean(values: Tensor, known: Tensor, how: Literal["batch", "clip"]) -> Tensor:
    """Return the mean of values (batch, frames, ...) that are known.

    "batch": over all of them; "clip": over each clip's, then over the clips that have any.
    """
    if how == "batch":
        return _mean(values, known)
    values, known = values.flatten(1), known.flatten(1)
    each = (values * known).sum(dim=1) / known.sum(dim=1).clamp_min(1)
    return _mean(each, known.any(dim=1))


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp_min(1)


def _cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy (...) of logits (..., classes); anything finite where the class is -1."""
    chances = logits.float().log_softmax(dim=-1)
    return -chances.gather(-1, classes.clamp_min(0)[..., None])[..., 0]


def read(joints: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
    """Read raw a, b, c (..., joints, 3): pixels (..., joints, 2) and depths (..., joints), m.

    ``u = 100 a + 240``, ``v = 100 b + 135``, ``Z = fx c / 10000 + 0.4``; `focal` is fx (...).
    """
    centre = joints.new_tensor(REFERENCE) / 2
    depth = focal[..., None] * DEPTH_SCALE * joints[..., 2] + NEAREST
    return SCALE * joints[..., :2] + centre, depth


@torch.no_grad()
def decode(joints: Tensor, K: Tensor, lens: Literal["fx", "fy"]) -> Tensor:
    """Return joints (..., joints, 3) in camera space, mm, from raw ones.

    `K` (..., 3, 3) is that of the picture of 480 x 270 pixels. With lens "fx" Y is
    ``(v - cy) Z / fx``, as in the released code.
    """
    joints, K = joints.double(), K.double()
    pixels, depth = read(joints, K[..., 0, 0])
    fx, fy = K[..., 0, 0], K[..., 1, 1]
    focal = torch.stack([fx, fx if lens == "fx" else fy], dim=-1)
    ray = (pixels - K[..., None, :2, 2]) / focal[..., None, :]
    points = torch.cat([ray * depth[..., None], depth[..., None]], dim=-1)
    return (1000 * points).float()


def fed(batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Return what the network is called with: pictures, and which frames are there."""
    return batch["image"], batch["valid"]
