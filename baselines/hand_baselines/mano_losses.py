"""What models that say MANO parameters are trained by, and how their answers become joints.

Conventions
-----------
`HandsOutput` has the right hand first; its camera (s, tx, ty) is that of the letterbox
(`mano_data`): the hand's model stands at ``(tx, ty, 2 f / (224 s))`` metres. Joints of the hand
layer are in the order ``mano21``, those of batches and answers in OpenPose order; millimetres.

Source: WildHands (Prakash et al., ECCV 2024), src/callbacks/loss (facts/wildhands.md 5.4), what is
meant where the released code differs: masks go with the boxes of their own hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.hand_layer import MM, HandLayer, rotvec_to_rotmat
from hand_baselines.lifting import full_to_weak, project, weak_to_full
from hand_baselines.mano_data import SIDE
from hand_baselines.parameters import BETAS, Parameters
from hand_baselines.silhouette import mask_loss, soft_silhouette
from hand_bench.hand_model import rotmat_to_rotvec
from hand_bench.joint_sets import permutation

Norm = Literal["squared", "absolute"]
_TO_OPENPOSE = permutation("mano21", "openpose21").tolist()


class HandsOutput(NamedTuple):
    """What a network says of pictures; the right hand first.

    | field | shape | meaning |
    |---|---|---|
    | rotations | (batch, 2, 16, 3, 3) | matrices, the global one first |
    | betas | (batch, 2, 10) | shape |
    | camera | (batch, 2, 3) | s, tx, ty |
    | first_camera | (batch, 2, 3) | the camera that was begun with; None where there is no such |
    | grasp | (batch, 2, 9) | logits; None where there is no head |
    """

    rotations: Tensor
    betas: Tensor
    camera: Tensor
    first_camera: Tensor | None = None
    grasp: Tensor | None = None

    def side(self, hand: int) -> Parameters:
        """Return the parameters of all right (0) or all left (1) hands."""
        return Parameters(self.rotations[:, hand], self.betas[:, hand], self.camera[:, hand])


class HandsTargets(NamedTuple):
    """What a network should say of pictures: `mano_data.labels`, `there` and K as they are.

    Parameters that are known are rotation matrices, betas and the camera that follows from the
    wrist.

    | field | shape |
    |---|---|
    | rotations, betas, camera | (batch, 2, 16, 3, 3), (batch, 2, 10), (batch, 2, 3) |
    | fitted | (batch, 2): which of these are known |
    | joints, joints_known | (batch, 2, 21, 3), (batch, 2, 21); mm |
    | joints_2d, seen | (batch, 2, 21, 2), (batch, 2, 21); px of the letterbox |
    | mask, mask_known | (batch, 2, m, m), (batch, 2) |
    | grasp | (batch, 2), -1 where it is not known |
    | K | (batch, 3, 3) |
    """

    rotations: Tensor
    betas: Tensor
    camera: Tensor
    fitted: Tensor
    joints: Tensor
    joints_known: Tensor
    joints_2d: Tensor
    seen: Tensor
    mask: Tensor
    mask_known: Tensor
    grasp: Tensor
    K: Tensor


class HandLosses(NamedTuple):
    """The terms with their weights; the loss is their sum.

    | term | of |
    |---|---|
    | pose | rotation matrices |
    | shape | betas |
    | joints | wrist-relative joints, m |
    | points | joints in the picture, in half sides of it |
    | camera | s, tx, ty, of the answer and of what was begun with |
    | apart | the difference of the hands' cameras |
    | grasp | cross-entropy, nats |
    | mask | silhouettes, 0 to 1 |
    """

    pose: Tensor
    shape: Tensor
    joints: Tensor
    points: Tensor
    camera: Tensor
    apart: Tensor
    grasp: Tensor
    mask: Tensor

    @property
    def total(self) -> Tensor:
        """The loss."""
        return torch.stack(list(self)).sum()


class Hands(NamedTuple):
    """Hands in camera space, mm: joints (batch, 2, 21, 3), OpenPose; vertices (batch, 2, v, 3)."""

    joints: Tensor
    vertices: Tensor | None


class HandLayers(nn.Module):
    """The right and the left hand's layer: HandSim's hands, or the user's MANO files."""

    def __init__(self, right: HandLayer, left: HandLayer):
        super().__init__()
        self.right, self.left = right, left

    @classmethod
    def of(cls, hand: str) -> HandLayers:
        """Make the layers of "handsim", or "mano" (`hand_model.find_mano`; HB202 without it)."""
        from hand_bench.meshes import Meshes

        models = Meshes.of("handsim-" if hand == "handsim" else "").models
        return cls(*(HandLayer(model) for model in models))

    def __getitem__(self, hand: int) -> HandLayer:
        return self.left if hand else self.right

    def place(self, hand: int, parameters: Parameters, focal: Tensor) -> dict[str, Tensor]:
        """Return the keywords of a layer that stands the hands of one side where they are."""
        return {
            "rotmat": parameters.rotations,
            "betas": self.shape(hand, parameters.betas),
            "translation": MM * weak_to_full(parameters.camera, focal, SIDE),
        }

    def shape(self, hand: int, betas: Tensor) -> Tensor:
        """Return betas (n, 10) as the layer's file wants them: it may have fewer or more."""
        count = self[hand].shapedirs.shape[2]
        return functional.pad(betas[:, :count], (0, max(count - BETAS, 0)))

    def wrist(self, hand: int, betas: Tensor) -> Tensor:
        """Return where the wrist (n, 3), mm, is without a translation."""
        layer, shape = self[hand], self.shape(hand, betas)
        change = torch.einsum("nb,kb->nk", shape, layer.rest_changes[0])
        return MM * (layer.rest_joints[0] + change)


def focal_length(K: Tensor) -> Tensor:
    """Return the mean focal length (batch,) of intrinsics (batch, 3, 3); turned ones too."""
    return torch.linalg.det(K[:, :2, :2].double()).abs().sqrt().to(K.dtype)


@torch.no_grad()
def targets(batch: Mapping[str, Tensor], layers: HandLayers) -> HandsTargets:
    """Return the targets of a batch of `mano_data.HandPictures`."""
    mano, focal = batch["mano"].float(), focal_length(batch["K"])
    rotvec = mano[..., :48].unflatten(-1, (16, 3)).clone()
    betas, cameras = mano[..., 48:58], []
    for hand in range(2):
        rotvec[:, hand, 1:] += batch["mean_added"][:, None, None] * layers[hand].hands_mean
        wrist = batch["joints"][:, hand, 0] - layers.wrist(hand, betas[:, hand])
        cameras.append(full_to_weak(wrist / MM, focal, SIDE))
    camera = torch.stack(cameras, dim=1)
    in_front = batch["joints_known"][..., 0] & (batch["joints"][..., 0, 2] > 0)
    fitted = batch["mano_known"] & in_front & camera.isfinite().all(dim=-1)
    camera = torch.where(fitted[..., None], camera, 0.0)
    kept = ("joints", "joints_known", "joints_2d", "seen", "mask", "mask_known", "grasp", "K")
    rest = {name: batch[name] for name in kept}
    return HandsTargets(rotvec_to_rotmat(rotvec), betas, camera, fitted, **rest)


def losses(
    output: HandsOutput,
    targets: HandsTargets,
    layers: HandLayers,
    weights: tuple[float, ...],
    *,
    norm: Norm = "squared",
    sigma: float = 1.0,
) -> HandLosses:
    """Return the terms with their weights (see `HandLosses`).

    Each is a mean over the values of the whole batch, of which those that are not known count as
    zero, as in the released code: a source weighs as much as it has samples.

    Parameters
    ----------
    output, targets, layers
        What was said, what should be, and the hands.
    weights
        Of the terms, in their order.
    norm
        Of all but grasps and masks: squared (the paper's) or absolute differences.
    sigma
        Softness of the silhouettes, px^2 of the mask.
    """
    focal = focal_length(targets.K)
    found = [_side(output, targets, layers, hand, focal, norm, sigma) for hand in range(2)]
    terms = {name: found[0][name] + found[1][name] for name in found[0]}
    both = targets.fitted.all(dim=1)
    between = [camera[:, 1] - camera[:, 0] for camera in (output.camera, targets.camera)]
    terms["apart"] = _mean(between[0], between[1], both, norm)
    ordered = (weight * terms[name] for weight, name in zip(weights, _NAMES, strict=True))
    return HandLosses(*ordered)


_NAMES = HandLosses._fields


def _side(
    output: HandsOutput,
    targets: HandsTargets,
    layers: HandLayers,
    hand: int,
    focal: Tensor,
    norm: Norm,
    sigma: float,
) -> dict[str, Tensor]:
    """The terms of one side, without weights."""
    said, fitted = output.side(hand), targets.fitted[:, hand]
    placed = layers.place(hand, said, focal)
    known, seen = targets.joints_known[:, hand], targets.seen[:, hand]
    masked = targets.mask_known[:, hand]
    if masked.any():
        joints, vertices = layers[hand](**placed, flat_hand_mean=True)
    else:
        joints, vertices = layers[hand].joints(**placed, flat_hand_mean=True), None
    joints = joints[:, _TO_OPENPOSE]
    truth = targets.joints[:, hand]
    relative = [(points - points[:, :1]) / MM for points in (joints, truth)]
    pixels = project(joints, targets.K)
    pixels = [2 * points / SIDE - 1 for points in (pixels, targets.joints_2d[:, hand])]
    # A hand that is said to be far off the picture would rule the step.
    pixels[0] = pixels[0].clamp(-_FARTHEST, _FARTHEST)
    terms = {
        "pose": _mean(said.rotations, targets.rotations[:, hand], fitted, norm),
        "shape": _mean(said.betas, targets.betas[:, hand], fitted, norm),
        "joints": _mean(*relative, known & known[:, :1], norm),
        "points": _mean(*pixels, seen, norm),
        "camera": _mean(said.camera, targets.camera[:, hand], fitted, norm),
        "grasp": joints.new_zeros(()),
        "mask": joints.new_zeros(()),
    }
    if output.first_camera is not None:
        first = output.first_camera[:, hand]
        terms["camera"] = terms["camera"] + _mean(first, targets.camera[:, hand], fitted, norm)
    if output.grasp is not None:
        terms["grasp"] = _grasp(output.grasp[:, hand], targets.grasp[:, hand])
    if vertices is not None:
        mask = targets.mask[:, hand]
        zoom = mask.shape[-1] / SIDE
        K = targets.K[masked] * joints.new_tensor([[zoom], [zoom], [1.0]])
        faces, size = layers[hand].faces, (mask.shape[-2], mask.shape[-1])
        drawn = soft_silhouette(vertices[masked], faces, K, size, sigma=sigma)
        every = torch.ones(len(drawn), dtype=torch.bool, device=drawn.device)
        share = masked.sum() / len(masked)
        terms["mask"] = mask_loss(drawn, mask[masked], every) * share
    return terms


#: Half sides of the picture beyond which a joint's place does not matter any more.
_FARTHEST = 4.0


def _grasp(logits: Tensor, grasp: Tensor) -> Tensor:
    each = functional.cross_entropy(logits.float(), grasp.clamp_min(0), reduction="none")
    return (each * (grasp >= 0)).mean()


def _mean(said: Tensor, truth: Tensor, known: Tensor, norm: Norm) -> Tensor:
    """Mean difference over all values; those of samples or joints that are not known are zero."""
    away = said - torch.where(_like(known, truth), truth, said.detach())
    away = away.abs() if norm == "absolute" else away.square()
    return (away * _like(known, away)).mean()


def _like(known: Tensor, values: Tensor) -> Tensor:
    return known.reshape(*known.shape, *[1] * (values.dim() - known.dim()))


@torch.no_grad()
def decode(output: HandsOutput, K: Tensor, layers: HandLayers, *, meshes: bool = False) -> Hands:
    """Return the hands in camera space; K (batch, 3, 3) is the letterbox's."""
    focal, sides = focal_length(K), []
    for hand in range(2):
        placed = layers.place(hand, output.side(hand), focal)
        if meshes:
            sides.append(layers[hand](**placed, flat_hand_mean=True))
        else:
            sides.append((layers[hand].joints(**placed, flat_hand_mean=True), None))
    joints = torch.stack([side[0][:, _TO_OPENPOSE] for side in sides], dim=1)
    vertices = torch.stack([side[1] for side in sides], dim=1) if meshes else None
    return Hands(joints, vertices)


def as_mano(
    output: HandsOutput,
    K: Tensor,
    layers: HandLayers,
    *,
    mean_added: bool = False,
    motion: np.ndarray | None = None,
) -> np.ndarray:
    """Return parameters (batch, 2, 61) as annotations hold them; K is the letterbox's.

    `mean_added`: the dataset's rotations are those that are added to the model's mean pose.
    `motion` (3, 3): from the annotations' frame to the one of the answers (`mano_data.turned`).
    """
    focal, sides = focal_length(K), []
    back = np.eye(3) if motion is None else motion.T
    for hand in range(2):
        said = output.side(hand)
        matrices = said.rotations.detach().double().cpu().numpy().copy()
        matrices[:, 0] = back @ matrices[:, 0]
        vectors = rotmat_to_rotvec(matrices)
        if mean_added:
            vectors[:, 1:] -= layers[hand].hands_mean.double().cpu().numpy()
        shift = (MM * weak_to_full(said.camera, focal, SIDE)).detach().double().cpu().numpy()
        wrist = layers.wrist(hand, said.betas).detach().double().cpu().numpy()
        shift = (wrist + shift) @ back.T - wrist
        betas = said.betas.detach().double().cpu().numpy()
        sides.append(np.concatenate([vectors.reshape(len(vectors), 48), betas, shift], axis=1))
    return np.stack(sides, axis=1).astype(np.float32)
