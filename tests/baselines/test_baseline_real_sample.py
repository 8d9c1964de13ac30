"""A perfect InterNet on the four real samples of InterHand2.6M: what whole bins cost."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.crops import apply, crop_affine
from hand_baselines.heads import gaussian_heatmaps
from hand_baselines.internet.config import PRESETS
from hand_baselines.internet.model import InterNetOutput, decode
from hand_baselines.internet.targets import make_targets
from hand_baselines.lifting import left_root, lift_hands
from hand_bench import data
from hand_bench.geometry import project, square_box
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import find_track

#: Mean error (mm) of the valid joints, and of the relative root, per annotation (facts 6.3).
GOLDEN = {
    326750: (2.60163, 2.73258),
    286291: (2.00339, 1.51579),
    680801: (2.00594, None),
    471953: (2.36908, None),
}
CONFIG = PRESETS["paper"]


def both(row, name: str) -> np.ndarray:
    return np.stack([row[f"{side}_{name}"][0] for side in HAND_SIDES]).astype(np.float64)


@pytest.fixture
def rows(interhand26m_sample, home):
    """The samples one by one, by annotation id."""
    data.prepare("interhand26m", interhand26m_sample, split="test")
    columns = ["annotation_id", "K", "bbox", "hand_type"]
    columns += [f"{side}_{what}" for side in HAND_SIDES for what in ("joints", "valid", "in_view")]
    annotations = data.open_annotations(find_track("interhand26m"), None)
    (batch,) = annotations.batches(columns)
    singles = (batch.slice(k, 1) for k in range(len(batch)))
    return {int(single["annotation_id"][0]): single for single in singles}


def decoded_truth(row) -> tuple[dict, torch.Tensor, torch.Tensor]:
    """Decode perfect heatmaps of a sample; return the batch, lifted hands and relative root."""
    joints, seen = np.nan_to_num(both(row, "joints"), nan=1.0), both(row, "in_view").astype(bool)
    affine = crop_affine(square_box(row["bbox"][0].astype(float)), CONFIG.input_size)
    arrays = {
        "joints": joints,
        "joints_2d": apply(affine, project(joints, row["K"][0])),
        "valid": both(row, "valid").astype(bool),
        "in_view": seen,
        "present": seen.any(axis=1),
        "present_known": np.array(True),
        "affine": affine,
        "K": row["K"][0],
    }
    batch = {name: torch.as_tensor(array)[None] for name, array in arrays.items()}
    targets = make_targets(batch, CONFIG)
    # In float64, as the golden values: at half a bin the side to which it is rounded matters.
    heatmaps = gaussian_heatmaps(targets.joints, (CONFIG.bins,) * 3, CONFIG.sigma)
    decoded = decode(
        InterNetOutput(heatmaps, targets.root_depth, 0 * targets.present), batch["affine"], CONFIG
    )
    hands = (decoded.joints_2d, decoded.relative_depth)
    depth = batch["joints"][:, :, 0, 2]
    lifted = lift_hands(*hands, depth, batch["K"])[0]
    return batch, lifted, left_root(*hands, depth[:, 0], decoded.relative_root_depth, batch["K"])[0]


@pytest.mark.parametrize("annotation", GOLDEN)
def test_the_quantisation_floor_of_the_facts(rows, annotation):
    batch, lifted, root = decoded_truth(rows[annotation])
    truth, seen = batch["joints"][0], batch["in_view"][0]
    errors = ((lifted - lifted[:, :1]) - (truth - truth[:, :1])).norm(dim=-1)
    mean, relative = GOLDEN[annotation]
    assert errors[seen].mean().item() == pytest.approx(mean, abs=2e-4)
    if relative is not None:
        assert (root - (truth[1, 0] - truth[0, 0])).norm().item() == pytest.approx(
            relative, abs=2e-3
        )
