"""The hand layer as a torch module: the differentiable twin of `hand_bench.hand_model.HandModel`.

It is made from a `HandModel`, so it reads the same files (MANO's own or HandSim's) and follows the
same conventions: metres inside, millimetres outside; a pose is the global rotation and those of 15
joints; the hand turns about its root joint, which is not the origin; 21 joints in the order
``mano21``. Linear blend skinning: Romero et al., Embodied Hands, SIGGRAPH Asia 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from hand_bench.hand_model import HandModel

MM = 1000.0
JOINTS = 16


class HandLayer(nn.Module):
    """Joints and vertices of hands from their parameters.

    Buffers hold the model; they move with the module and are not saved with it (the file is
    licensed in MANO's case, and always at hand where the layer is made).

    Parameters
    ----------
    model
        The hand, as `HandModel.load` gives it.
    dtype
        Type of the arithmetic; float32 is within 0.01 mm of the NumPy twin.
    """

    v_template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    weights: Tensor
    rest_joints: Tensor
    rest_changes: Tensor
    hands_mean: Tensor
    tips: Tensor
    faces: Tensor

    def __init__(self, model: HandModel, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.parents = tuple(model.parents)
        arrays = {
            "v_template": model.v_template,
            "shapedirs": model.shapedirs,
            "posedirs": model.posedirs,
            "weights": model.weights,
            "rest_joints": model.J_regressor @ model.v_template,
            "rest_changes": (model.J_regressor @ model.shapedirs.swapaxes(0, 1)).swapaxes(0, 1),
            "hands_mean": model.hands_mean.reshape(15, 3),
        }
        for name, array in arrays.items():
            tensor = torch.as_tensor(array.copy(), dtype=dtype)
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("tips", torch.tensor(model.tips), persistent=False)
        self.register_buffer("faces", torch.as_tensor(model.faces.copy()), persistent=False)

    def forward(
        self,
        *,
        rotvec: Tensor | None = None,
        rotmat: Tensor | None = None,
        betas: Tensor,
        translation: Tensor | None = None,
        flat_hand_mean: bool,
    ) -> tuple[Tensor, Tensor]:
        """Return the joints (n, 21, 3) and the vertices (n, vertices, 3) of posed hands, mm.

        | tensor | shape |
        |---|---|
        | rotvec or rotmat | (n, 16, 3) rotation vectors or (n, 16, 3, 3) matrices |
        | betas | (n, betas) or (betas,) |
        | translation | (n, 3) or (3,), mm; none is zero |

        With ``flat_hand_mean=False`` the file's mean pose is added to `rotvec`; for matrices it
        changes nothing.
        """
        rotations = self._rotations(rotvec, rotmat, flat_hand_mean)
        shape = betas.expand(len(rotations), self.shapedirs.shape[2])
        turned, places, rest = self._skeleton(rotations, shape)
        every = slice(None)
        vertices = self._skin(every, rotations, shape, turned, places, rest)
        joints = torch.cat([places, vertices[:, self.tips]], dim=1)
        shift = 0.0 if translation is None else translation[..., None, :]
        return joints * MM + shift, vertices * MM + shift

    def joints(
        self,
        *,
        rotvec: Tensor | None = None,
        rotmat: Tensor | None = None,
        betas: Tensor,
        translation: Tensor | None = None,
        flat_hand_mean: bool,
    ) -> Tensor:
        """Return only the 21 joints, mm; of the vertices the five tips are skinned."""
        rotations = self._rotations(rotvec, rotmat, flat_hand_mean)
        shape = betas.expand(len(rotations), self.shapedirs.shape[2])
        turned, places, rest = self._skeleton(rotations, shape)
        tips = self._skin(self.tips, rotations, shape, turned, places, rest)
        shift = 0.0 if translation is None else translation[..., None, :]
        return torch.cat([places, tips], dim=1) * MM + shift

    def _rotations(
        self, rotvec: Tensor | None, rotmat: Tensor | None, flat_hand_mean: bool
    ) -> Tensor:
        """The pose as matrices (n, 16, 3, 3)."""
        pose = rotmat if rotvec is None else rotvec
        if pose is None or (rotvec is not None and rotmat is not None):
            raise ValueError("give the pose as rotvec or as rotmat")
        if pose.shape[1:] != ((JOINTS, 3, 3) if rotvec is None else (JOINTS, 3)):
            raise ValueError(f"a pose is (n, 16, 3) or (n, 16, 3, 3), not {tuple(pose.shape)}")
        if rotvec is None:
            return pose
        if not flat_hand_mean:
            pose = torch.cat([pose[:, :1], pose[:, 1:] + self.hands_mean], dim=1)
        return rotvec_to_rotmat(pose)

    def _skeleton(self, rotations: Tensor, shape: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn every joint's frame: its rotation, its place, and its place at rest."""
        rest = self.rest_joints + torch.einsum("nb,jkb->njk", shape, self.rest_changes)
        turned, places = [rotations[:, 0]], [rest[:, 0]]
        for joint, parent in enumerate(self.parents[1:], 1):
            bone = rest[:, joint] - rest[:, parent]
            turned.append(turned[parent] @ rotations[:, joint])
            places.append(places[parent] + _rotate(turned[parent], bone))
        return torch.stack(turned, dim=1), torch.stack(places, dim=1), rest

    def _skin(
        self,
        chosen: Tensor | slice,
        rotations: Tensor,
        shape: Tensor,
        turned: Tensor,
        places: Tensor,
        rest: Tensor,
    ) -> Tensor:
        """Some vertices of posed hands (n, chosen, 3), metres."""
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        bent = (rotations[:, 1:] - identity).flatten(1)
        at_rest = self.v_template[chosen]
        at_rest = at_rest + torch.einsum("nb,vkb->nvk", shape, self.shapedirs[chosen])
        at_rest = at_rest + torch.einsum("nb,vkb->nvk", bent, self.posedirs[chosen])
        moves = torch.cat([turned, (places - _rotate(turned, rest))[..., None]], dim=-1)
        blended = torch.einsum("vj,njrc->nvrc", self.weights[chosen], moves)
        return _rotate(blended[..., :3], at_rest) + blended[..., 3]


def rotvec_to_rotmat(rotvec: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) of rotation vectors (..., 3), smooth at zero."""
    angle = torch.linalg.vector_norm(rotvec, dim=-1)[..., None, None]
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    # sinc is smooth at zero: sin(a) / a, and (1 - cos(a)) / a^2 = sinc(a / 2)^2 / 2.
    once, twice = torch.sinc(angle / torch.pi), torch.sinc(angle / (2 * torch.pi)) ** 2 / 2
    identity = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return identity + once * cross + twice * (cross @ cross)


def rotation_6d_to_rotmat(rotation: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) whose first two rows are made of (..., 6).

    The rows are made orthonormal one after the other (Zhou et al., CVPR 2019), rows as in pytorch3d
    and WildHands.
    """
    first = nn.functional.normalize(rotation[..., :3], dim=-1)
    along = (first * rotation[..., 3:]).sum(dim=-1, keepdim=True)
    second = nn.functional.normalize(rotation[..., 3:] - along * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


def _rotate(R: Tensor, points: Tensor) -> Tensor:
    return (R @ points[..., None])[..., 0]
