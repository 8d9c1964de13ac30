"""Blocks of paired rows in canonical form, and their sums: what an engine works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import pyarrow as pa

from hand_bench.annotations import AnnotationBatch
from hand_bench.array_types import Bool, Float, Int
from hand_bench.arrow import numbers
from hand_bench.declaration import Declaration
from hand_bench.engine_numpy import SideErrors
from hand_bench.errors import Problem, SubmissionError
from hand_bench.geometry import back_project, world_to_camera
from hand_bench.joint_sets import HAND_SIDES, permutation
from hand_bench.layouts import Hand
from hand_bench.meshes import Meshes, Parameters
from hand_bench.pairing import Pair
from hand_bench.rules import masks_of, rule_sums
from hand_bench.sums import Cell, SumsLayout, sample_sums
from hand_bench.tracks import Track


@dataclass
class Side:
    """One hand side of a block: prediction and truth in the track's frame and order, mm or px.

    `counts` are the joints that count in `recommended`; `masks` those that count for rules.
    """

    pred: Float[np.ndarray, "rows 21 3"]
    gt: Float[np.ndarray, "rows 21 3"]
    counts: Bool[np.ndarray, "rows 21"]
    found: Bool[np.ndarray, " rows"]
    masks: dict[str, Bool[np.ndarray, "rows 21"]] = field(default_factory=dict)

    @property
    def true(self) -> Bool[np.ndarray, " rows"]:
        """Whether the hand counts: its wrist does (root rule)."""
        return self.counts[:, 0]

    def rows(self, where: slice) -> Side:
        """Return some of the rows."""
        return Side(self.pred[where], self.gt[where], self.counts[where], self.found[where])

    def before(self, other: Side) -> Side:
        """Join two parts of a track in time order."""
        pairs = ((getattr(self, n), getattr(other, n)) for n in ("pred", "gt", "counts", "found"))
        return Side(*(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]


@dataclass
class Block:
    """Canonical rows; `groups` names the (cell, cluster) that `group` points to."""

    start: int
    ids: pa.Array
    sides: tuple[Side, Side]
    scores: Float[np.ndarray, "rows 2"]
    left_root: Float[np.ndarray, "rows 3"]
    interval: Float[np.ndarray, " rows"]
    interacting: Bool[np.ndarray, " rows"]
    present: Bool[np.ndarray, "rows 2"]
    presence_known: Bool[np.ndarray, " rows"]
    group: Int[np.ndarray, " rows"]
    groups: list[tuple[Cell, str]]
    seam: tuple[Side, Side] | None = None
    image_size: Float[np.ndarray, "rows 2"] | None = None
    mano: tuple[Parameters, Parameters] | None = None
    meshes: Meshes | None = None

    def __len__(self) -> int:
        return len(self.group)


@dataclass
class BlockSums:
    """The sums of a block, and the errors of its rows where they were asked for."""

    block: Block
    values: Float[np.ndarray, "groups width"]
    mrrpe: Float[np.ndarray, " rows"]
    errors: tuple[SideErrors, SideErrors] | None


class Canonical:
    """Turns pairs into canonical blocks for one track and one declaration.

    With `meshes` the parameters of hands are compared too.
    """

    def __init__(
        self,
        track: Track,
        declared: Declaration,
        image_space: bool,
        time_blocks: bool,
        meshes: Meshes | None = None,
    ):
        self.track, self.declared, self.image_space = track, declared, image_space
        self.time_blocks, self.meshes = time_blocks, meshes
        self.order = permutation(declared.joint_set, track.joint_set)
        self.truth = "joints_2d" if track.kind == "pose-2d" else "joints"
        self.masks = tuple(dict.fromkeys(rule.counts for rule in track.rules))
        self.tail: tuple[Side, Side] | None = None
        self.tail_end = -1

    @property
    def columns(self) -> list[str]:
        """The annotation columns that are needed."""
        names = [
            *(f"{side}_{kind}" for side in HAND_SIDES for kind in (self.truth, self.track.counted)),
            *("sequence", "interval", "hand_type_valid"),
            *("hand_type", *self.track.strata),
            *(column for rule in self.track.rules for column in rule.columns),
            *(["time"] if self.time_blocks else []),
            *(["K"] if self.image_space else []),
            *(["T_world_from_camera"] if self._from_world else []),
            *([f"{side}_mano" for side in HAND_SIDES] if self.meshes else []),
        ]
        return list(dict.fromkeys(names))

    @property
    def _from_world(self) -> bool:
        """Whether predictions are in the world frame and the truth is in the camera's."""
        return self.declared.frame == "world" and self.track.frame == "camera"

    def block(self, pair: Pair) -> Block:
        """Convert units, joint order, frame and layout of a pair of rows."""
        truth, pred = pair
        hands = self._hands(pair)
        sides = tuple(
            self._side(truth, side, joints, hand.found)
            for side, joints, hand in zip(HAND_SIDES, hands, pred.hands, strict=True)
        )
        kinds, kind_names = _codes(truth, "hand_type")
        is_kind = {
            s: np.array([n == s for n in kind_names])[kinds] for s in (*HAND_SIDES, "interacting")
        }
        group, groups = self._groups(truth)
        interacting = is_kind["interacting"]
        seam = self._seam(truth.start, sides)
        return Block(
            start=truth.start,
            ids=truth.sample_id,
            sides=sides,  # type: ignore[arg-type]
            scores=np.stack([_presence_score(hand) for hand in pred.hands], axis=1),
            left_root=self._left_root(pair, hands),
            interval=np.nan_to_num(truth["interval"].astype(np.float64)),
            interacting=interacting,
            present=np.stack([is_kind[s] | interacting for s in HAND_SIDES], axis=1),
            presence_known=truth["hand_type_valid"].astype(bool),
            group=group,
            groups=groups,
            seam=seam,
            image_size=self._image_size(truth),
            mano=self._parameters(pair) if self.meshes else None,
            meshes=self.meshes,
        )

    def _parameters(self, pair: Pair) -> tuple[Parameters, Parameters]:
        """MANO's parameters of both hands."""
        truth, found = pair.truth, []
        R = None
        if self._from_world:
            R = truth["T_world_from_camera"][:, :3, :3].swapaxes(1, 2)
        for side, hand in zip(HAND_SIDES, pair.pred.hands, strict=True):
            name = f"{side}_mano"
            gt = np.where(truth.given(name)[:, None], truth[name], np.float32("nan"))
            pred = np.full_like(gt, np.nan) if hand.mano is None else hand.mano
            found.append(Parameters(pred, gt, R))
        return found[0], found[1]

    def _side(self, truth: AnnotationBatch, side: str, joints: np.ndarray, found) -> Side:
        gt = truth[f"{side}_{self.truth}"]
        present = truth.given(f"{side}_{self.truth}")
        if gt.shape[-1] == 2:
            gt = np.concatenate([gt, np.zeros((*gt.shape[:2], 1), np.float32)], axis=2)
        masks = masks_of(side, truth, self.masks, present)
        counted = truth[f"{side}_{self.track.counted}"]
        if counted[~present].any():
            counted = counted & present[:, None]
        return Side(joints, gt, counted, found, masks)

    def _image_size(self, truth: AnnotationBatch) -> np.ndarray | None:
        if not any(rule.frame for rule in self.track.rules):
            return None
        return np.stack([truth["width"], truth["height"]], axis=1).astype(np.float64)

    def _hands(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        if self.image_space:
            return tuple(  # type: ignore[return-value]
                self._lift(pair, hand.joints[..., :2], hand.joints[..., 2], hand.root_depth)
                for hand in pair.pred.hands
            )
        return tuple(self._convert(pair, hand.joints) for hand in pair.pred.hands)  # type: ignore[return-value]

    def _require(self, pair: Pair, column: str, why: str) -> None:
        """Refuse what needs a camera that the annotations do not have (HB113)."""
        lacking = ~pair.truth.given(column)
        if lacking.any():
            sample = pair.truth.sample_id[int(lacking.argmax())].as_py()
            raise SubmissionError(
                Problem(
                    "HB113",
                    f"{self.track.name}, {sample}",
                    f"{why}, but the annotations have no {column} for this sample.",
                    fix="Give joints in the track's own frame.",
                )
            )

    def _convert(self, pair: Pair, joints: np.ndarray) -> np.ndarray:
        if self.declared.scale != 1:
            joints = joints * np.float32(self.declared.scale)
        if self.declared.joint_set != self.track.joint_set:
            joints = joints[:, self.order]
        if self._from_world:
            self._require(pair, "T_world_from_camera", "the joints are in the world frame")
            pose = pair.truth["T_world_from_camera"]
            joints = world_to_camera(joints.astype(np.float64), pose).astype(np.float32)
        return joints

    def _lift(self, pair: Pair, uv: np.ndarray, depth: np.ndarray, root: np.ndarray) -> np.ndarray:
        """InterHand2.6M's lifting (facts 2.2): Z = relative depth + root depth, then the camera."""
        self._require(pair, "K", "2.5D joints must be lifted")
        scale = self.declared.scale
        z = (depth.astype(np.float64) + root[:, None].astype(np.float64)) * scale
        lifted = back_project(uv.astype(np.float64), z, pair.truth["K"])
        return lifted[:, self.order].astype(np.float32)

    def _left_root(self, pair: Pair, hands: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Left wrist seen from the right one: as predicted separately, else from the two hands."""
        pred = pair.pred
        both = (pred.right.found & pred.left.found)[:, None]
        derived = hands[1][:, 0].astype(np.float64) - hands[0][:, 0]
        if self.declared.frame == "root-relative":
            both = np.zeros_like(both)
        derived = np.where(both, derived, np.nan)
        given = None
        if pred.left_root is not None:
            given = pred.left_root.astype(np.float64) * self.declared.scale
            if self._from_world:
                given = np.einsum("nj,njk->nk", given, pair.truth["T_world_from_camera"][:, :3, :3])
        elif self.image_space and pred.relative_root_depth is not None:
            beside = pred.right.root_depth + pred.relative_root_depth
            moved = self._lift(pair, pred.left.joints[..., :2], pred.left.joints[..., 2], beside)
            given = np.where(both, moved[:, 0].astype(np.float64) - hands[0][:, 0], np.nan)
        if given is None:
            return derived
        return np.where(np.isnan(given), derived, given)

    def _groups(self, truth) -> tuple[np.ndarray, list[tuple[Cell, str]]]:
        """Number the (cell, cluster) of each row, in order of appearance."""
        columns = [_codes(truth, name) for name in self.track.strata]
        sequence, sequence_names = _codes(truth, "sequence")
        code = sequence.astype(np.int64)
        for values, names in columns:
            code = code * len(names) + values
        cluster_time = np.zeros(len(code), np.int64)
        if self.time_blocks:
            cluster_time = np.nan_to_num(truth["time"].astype(np.float64), nan=0.0) // 10
            cluster_time = cluster_time.astype(np.int64)
            code = code * (cluster_time.max() + 1) + cluster_time
        _, first, group = np.unique(code, return_index=True, return_inverse=True)
        groups = []
        for row in first:
            cell = tuple(names[values[row]] for values, names in columns)
            cluster = sequence_names[sequence[row]]
            if self.time_blocks:
                cluster = f"{cluster} {cluster_time[row] * 10}s"
            groups.append((cell, cluster))
        return group.astype(np.int64), groups

    def _seam(self, start: int, sides) -> tuple[Side, Side] | None:
        """The two rows before this block and its first two, for acceleration across the cut."""
        seam = None
        if self.tail is not None and self.tail_end == start:
            seam = tuple(
                tail.before(side.rows(slice(2)))
                for tail, side in zip(self.tail, sides, strict=True)
            )
        enough = len(sides[0].found) >= 2
        self.tail = tuple(side.rows(slice(-2, None)) for side in sides) if enough else None
        self.tail_end = start + len(sides[0].found)
        return seam  # type: ignore[return-value]


def sum_block(block: Block, layout: SumsLayout, engine: ModuleType, want_errors: bool) -> BlockSums:
    """Compute the sums of a block.

    Raises
    ------
    SubmissionError
        HB122 for a true hand whose prediction has no extent: Procrustes is undefined.
    """
    values = np.zeros((len(block.groups), layout.width))
    if layout.pose:
        done = _sum_pose(block, layout, engine, values, want_errors)
    else:
        done = BlockSums(block, values, np.full(len(block), np.nan), None)
    for rule in layout.rules:
        for name, sums in rule_sums(rule, block).items():
            values[:, layout.slices[name][0]] = sums.reshape(len(values), -1)
    if layout.pose and block.meshes is not None and block.mano is not None:
        _sum_meshes(block, block.meshes, block.mano, layout, values)
    return done


def _sum_meshes(
    block: Block,
    meshes: Meshes,
    mano: tuple[Parameters, Parameters],
    layout: SumsLayout,
    values: np.ndarray,
) -> None:
    """Fill the sums over meshes of the hands that MPJPE of `recommended` is over."""
    for k, (side, hands) in enumerate(zip(block.sides, mano, strict=True)):
        asked = side.true & side.counts[:, 1:].any(axis=1) & side.found
        asked &= ~np.isnan(hands.gt).any(axis=1)
        pred = np.where(asked[:, None], hands.pred, np.float32("nan"))
        errors = meshes.errors(k, hands._replace(pred=pred))
        found = ~np.isnan(errors)
        summed = {
            "mesh_error": np.where(found, errors, 0.0),
            "mesh_hands": found,
            "mesh_lacking": asked & ~found,
        }
        for name, of_row in summed.items():
            at = layout.slices[name][0].start + k
            values[:, at] = np.bincount(block.group, of_row, len(block.groups))


def _sum_pose(
    block: Block, layout: SumsLayout, engine: ModuleType, values: np.ndarray, want_errors: bool
) -> BlockSums:
    """Fill the sums of `recommended` (and of InterHand2.6M's protocols) into `values`."""
    groups = len(block.groups)
    width = layout.side_width
    errors = tuple(_empty_errors(len(block)) for _ in HAND_SIDES) if want_errors else None
    where = layout.slices["acceleration"][0].start
    for k, side in enumerate(block.sides):
        sums, collapsed = engine.side_sums(
            layout,
            side.pred,
            side.gt,
            side.counts,
            side.found,
            block.group,
            groups,
            errors[k] if errors else None,
        )
        if collapsed >= 0:
            raise SubmissionError(_no_extent(block, k, collapsed))
        sums[:, where : where + 2] = engine.acceleration_sums(
            side.pred, side.gt, side.counts, side.found, block.interval, block.group, groups
        )
        if block.seam is not None:
            head = slice(0, len(block.seam[k].found) - 2)
            sums[:, where : where + 2] += engine.acceleration_sums(
                *_seam_arguments(block, block.seam[k], head), groups
            )
        values[:, k * width : (k + 1) * width] = sums
    mrrpe = _mrrpe(block)
    right, left = block.sides
    values[:, 2 * width : layout.rules_start] = sample_sums(
        layout,
        mrrpe_error=mrrpe,
        mrrpe_asked=block.interacting & right.true & left.true,
        mrrpe_found=right.found & left.found & ~np.isnan(mrrpe),
        scores=block.scores,
        present=block.present,
        presence_known=block.presence_known,
        group=block.group,
        groups=groups,
    )
    return BlockSums(block, values, mrrpe, errors)  # type: ignore[arg-type]


def _seam_arguments(block: Block, seam: Side, head: slice):
    """The seam's four rows; only its last two belong to this block."""
    pad = np.zeros(2)
    interval = np.concatenate([pad, block.interval[head]])
    group = np.concatenate([pad.astype(np.int64), block.group[head]])
    return seam.pred, seam.gt, seam.counts, seam.found, interval, group


def _mrrpe(block: Block) -> np.ndarray:
    right, left = block.sides
    gt = left.gt[:, 0].astype(np.float64) - right.gt[:, 0]
    error = np.linalg.norm(block.left_root - gt, axis=1)
    asked = block.interacting & right.true & left.true & right.found & left.found
    return np.where(asked, error, np.nan)


def _empty_errors(rows: int) -> SideErrors:
    return SideErrors(*(np.full((rows, 21), np.nan) for _ in range(3)))


def _no_extent(block: Block, side: int, row: int) -> Problem:
    return Problem(
        "HB122",
        f"row of {block.ids[row].as_py()}",
        f"the joints of the {HAND_SIDES[side]} hand lie within a micrometre: Procrustes alignment "
        "is undefined.",
        cause="An absent hand written as zeros?",
        fix="Write null where the method sees no hand.",
    )


def _presence_score(hand: Hand) -> np.ndarray:
    if hand.score is None:
        return hand.found.astype(np.float64)
    return np.where(np.isnan(hand.score), hand.found, hand.score).astype(np.float64)


def _codes(truth, name: str) -> tuple[np.ndarray, list[str]]:
    """Codes and names of a text column; null becomes "unknown"."""
    column = truth.table.column(name)
    names = [str(n) for n in column.dictionary.to_pylist()]
    codes = numbers(column.indices, null=len(names))
    return codes, [*names, "unknown"]


def _texts(truth, name: str) -> np.ndarray:
    codes, names = _codes(truth, name)
    return np.array(names, object)[codes]
