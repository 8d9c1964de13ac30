"""WildHands and its family: what they see, what they learn from, what they answer."""

# ruff: noqa: E402 (what follows the check needs torch)

import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from torch.utils.data import default_collate

import hand_bench
from hand_baselines.crops import apply
from hand_baselines.lifting import project
from hand_baselines.mano_data import (
    ASSUMED_FOCAL,
    GIVEN,
    LABELS,
    SIDE,
    UPRIGHT,
    Cut,
    HandPictures,
    Labels,
    Part,
    Ranges,
    Variation,
    intrinsics,
    letterbox,
    turned,
    warped,
)
from hand_baselines.mano_losses import HandLayers, HandLosses, HandsOutput, as_mano, decode
from hand_baselines.mano_losses import losses as hand_losses
from hand_baselines.mano_losses import targets as hand_targets
from hand_baselines.mano_task import training_set
from hand_baselines.models import find_model
from hand_baselines.pictures import Pictures
from hand_baselines.prediction import predict
from hand_baselines.resnet import parameter_count
from hand_baselines.runs import main as train_main
from hand_baselines.samples import picture_root
from hand_baselines.tables import training_table
from hand_baselines.weights import Loaded, load_weights
from hand_bench.data import open_annotations
from hand_bench.errors import BaselineError, DatasetError, TrackError
from hand_bench.tracks import find_track

ARCTIC, EPIC, EGO4D = "handsim-arctic-ego", "handsim-epic-handkps", "handsim-ego4d"
FAMILY = ("wildhands", "handnet", "arcticnet", "handoccnet", "hamer")
WEIGHTS = (1.0,) * 8


@pytest.fixture(scope="module")
def layers():
    return HandLayers.of("handsim")


USUAL = Labels(64)


def pictures_of(tables, *, ranges: Ranges | None = None, labels: Labels | None = USUAL):
    model = find_model("wildhands")
    opened = [training_table(name) for name in tables]
    parts = training_set(model, model.preset("small"), opened).data.parts
    return HandPictures(parts, Cut(128, 1.5), ranges, labels=labels)


def of_track(track: str, labels: Labels) -> HandPictures:
    """Return the pictures of a track itself, with labels: 2D joints are in no training table."""
    opened = open_annotations(find_track(track))
    rows = opened.table([*GIVEN, *LABELS]).combine_chunks().to_batches()[0]
    return HandPictures([Part(rows, Pictures(picture_root(opened)))], Cut(128, 1.5), labels=labels)


def batch_of(data: HandPictures, count: int = 12, seed: int = 0) -> dict[str, torch.Tensor]:
    chosen = np.random.default_rng(seed).choice(len(data), count, replace=False)
    return default_collate([data[(0, int(index))] for index in chosen])


def truth(batch, layers) -> tuple[HandsOutput, object]:
    """Return the targets of a batch as an answer, and the targets."""
    aims = hand_targets(batch, layers)
    return HandsOutput(aims.rotations, aims.betas, aims.camera, aims.camera), aims


# What it sees -----------------------------------------------------------------------------------


def test_the_letterbox_is_the_official_one():
    points = np.array([[960, 540], [0, 0], [1919, 1079], [1000, 500]], float)
    found = apply(letterbox(1920, 1080), points)
    expected = [[112, 112], [0, 49], [223.8833, 174.8833], [116.6667, 107.3333]]
    assert np.allclose(found, expected, atol=1e-4)
    assert pytest.approx(116.666667, abs=1e-5) == ASSUMED_FOCAL


def test_a_picture_that_shrinks_is_averaged_in_place():
    rows, columns = np.mgrid[:400, :600]
    image = np.stack([columns * 255 / 600, rows * 255 / 400, rows * 0], axis=-1).astype(np.uint8)
    found = warped(image, letterbox(600, 400) * (56 / SIDE), 56)
    middle = found[28, 28].astype(float)
    assert np.allclose(middle[:2], [127, 127], atol=1.5) and not found[0].any()
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    assert warped(noise, letterbox(600, 400) * (56 / SIDE), 56)[20:36].std() < 20


@pytest.mark.parametrize("ranges", [None, Ranges(turn_probability=1.0)])
def test_labels_stay_where_the_hands_are(wild_worlds, layers, ranges):
    batch = batch_of(pictures_of([ARCTIC], ranges=ranges))
    points = project(batch["joints"].double(), batch["K"].double()[:, None])
    away = (points - batch["joints_2d"]).norm(dim=-1)[batch["seen"] & batch["joints_known"]]
    assert len(away) > 300 and away.max() < 0.01
    output, aims = truth(batch, layers)
    assert aims.fitted.float().mean() > 0.7
    joints = decode(output, batch["K"], layers).joints
    assert (joints - batch["joints"])[aims.fitted].norm(dim=-1).max() < 0.05


def test_a_turned_picture_turns_the_camera(wild_worlds):
    still, turned = pictures_of([ARCTIC]), pictures_of([ARCTIC])
    variation = Variation(0.5, np.zeros((2, 2)), np.ones(3))
    turned.ranges = Ranges()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Variation, "draw", classmethod(lambda *_given: variation))
        one, other = still[3], turned[3]
    cosine, sine = np.cos(0.5), np.sin(0.5)
    about = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    joints = [sample["joints"].numpy() for sample in (one, other)]
    assert np.allclose(joints[1], joints[0] @ about.T, atol=1e-2)
    assert not np.allclose(one["picture"], other["picture"])


def test_a_crop_shows_its_box(wild_worlds):
    data = pictures_of([ARCTIC])
    sample = data[5]
    cut = Cut(128, 1.5, from_letterbox=True)
    blurred = HandPictures(data.parts, cut, labels=Labels(64))[5]
    side = (sample["boxes"][0, 2] - sample["boxes"][0, 0]).item()
    assert 10 < side < SIDE
    apart = (sample["crops"].float() - blurred["crops"].float()).abs().mean()
    assert 0 < apart < 25  # the same place, sharper


def test_a_hand_without_a_box_has_the_whole_picture(wild_worlds):
    data = pictures_of([EGO4D], labels=None)
    alone = next(s for s in map(data.__getitem__, range(len(data))) if not s["there"].all())
    hand = int(alone["there"][0])
    assert alone["boxes"][hand].tolist() == [0, 0, SIDE - 1, SIDE - 1]
    assert torch.equal(alone["crops"][hand], alone["picture"])


def test_pictures_without_intrinsics_get_those_of_a_wide_camera(wild_worlds):
    from hand_baselines.samples import read_sample
    from hand_bench.annotations import AnnotationBatch

    table = training_table(ARCTIC).table([*GIVEN, *LABELS])
    row = AnnotationBatch(0, table.slice(0, 1).combine_chunks().to_batches()[0])
    sample = replace(read_sample(row, np.zeros((540, 960, 3), np.uint8)), K=np.eye(3))
    assert np.allclose(intrinsics(sample), [[500, 0, 480], [0, 500, 270], [0, 0, 1]])


# What it learns from ----------------------------------------------------------------------------


def test_pictures_of_the_wild_have_masks_and_grasps_alone(wild_worlds):
    batch = batch_of(pictures_of([EPIC, EGO4D]), 24)
    assert not batch["joints_known"].any() and not batch["seen"].any()
    assert not batch["mano_known"].any() and batch["mask_known"].any()
    assert (batch["grasp"] >= 0).any() and batch["grasp"].max() <= 8
    solid = batch_of(pictures_of([ARCTIC]))
    assert not solid["mask_known"].any() and (solid["grasp"] == -1).all()
    points = batch_of(of_track(EPIC, Labels(64, ("points",))))
    assert points["seen"].any() and not points["mask_known"].any()


def test_masks_lie_on_the_hands(wild_worlds):
    data = of_track(EPIC, Labels(SIDE, ("mask", "points")))
    batch, hits = batch_of(data, 24), []
    for hand, seen, mask in zip(
        batch["joints_2d"].flatten(0, 1),
        batch["seen"].flatten(0, 1),
        (batch["mask"] * batch["mask_known"][..., None, None]).flatten(0, 1),
        strict=True,
    ):
        if mask.any():
            x, y = hand[seen].round().long().clamp(0, SIDE - 1).T
            hits.append(mask[y, x].float().mean().item())
    assert len(hits) >= 3 and np.mean(hits) > 0.8


@pytest.mark.parametrize("norm", ["squared", "absolute"])
def test_the_truth_costs_nothing(wild_worlds, layers, norm):
    batch = batch_of(pictures_of([ARCTIC], ranges=Ranges()))
    output, aims = truth(batch, layers)
    for name, term in hand_losses(output, aims, layers, WEIGHTS, norm=norm)._asdict().items():
        limit = 0.02 if name == "points" else 1e-4  # hands without parameters stand anywhere
        assert term < limit or not aims.fitted.all(), name
    moved = output._replace(camera=output.camera + 0.1, betas=output.betas + 1)
    costs = hand_losses(moved, aims, layers, WEIGHTS, norm=norm)
    assert costs.camera > 0.001 and costs.shape > 0.1 and costs.points > 1e-4


def test_poses_of_arctic_are_added_to_the_mean_pose(wild_worlds, layers):
    batch = batch_of(pictures_of([ARCTIC]))
    plain = hand_targets(batch, layers)
    means = torch.stack([layers[hand].hands_mean for hand in range(2)])
    mano = batch["mano"].clone()
    mano[..., 3:48] -= means.flatten(1)
    given = batch | {"mano": mano, "mean_added": torch.ones_like(batch["mean_added"])}
    assert means.abs().max() > 0.3
    assert (hand_targets(given, layers).rotations - plain.rotations).abs().max() < 1e-5
    output = HandsOutput(plain.rotations, plain.betas, plain.camera)
    found = as_mano(output, batch["K"], layers, mean_added=True)[plain.fitted.numpy()]
    assert np.abs(found[:, 3:48] - mano.numpy()[plain.fitted.numpy()][:, 3:48]).max() < 1e-3


def test_hosts_without_scipy_turn_labels_and_give_parameters(wild_worlds, layers, monkeypatch):
    for name in ("scipy", "scipy.spatial", "scipy.spatial.transform"):
        monkeypatch.setitem(sys.modules, name, None)
    batch = batch_of(pictures_of([ARCTIC], ranges=Ranges(turn_probability=1.0)), 2)
    output, _ = truth(batch, layers)
    assert np.isfinite(as_mano(output, batch["K"], layers)).all()


def test_what_is_not_known_costs_nothing_and_has_no_gradient(wild_worlds, layers):
    batch = batch_of(pictures_of([ARCTIC]))
    for name in ("joints_known", "seen", "mano_known", "mask_known"):
        batch[name] = torch.zeros_like(batch[name])
    batch["joints"] = torch.full_like(batch["joints"], torch.nan)
    aims = hand_targets(batch, layers)
    camera = torch.tensor([3.0, 0, 0]).expand(12, 2, 3).clone().requires_grad_()
    output = HandsOutput(aims.rotations, aims.betas, camera, camera, torch.zeros(12, 2, 9))
    terms = hand_losses(output, aims, layers, WEIGHTS)
    assert terms.total == 0
    terms.total.backward()
    assert not camera.grad.any()


def test_the_mask_term_pulls_a_hand_back(wild_worlds, layers):
    """From pictures of the wild alone: a right hand that is moved aside comes back."""
    batch = batch_of(pictures_of([ARCTIC], labels=Labels(64)), 6)
    output, aims = truth(batch, layers)
    with torch.no_grad():
        focal = aims.K[:, 0, 0]
        placed = layers.place(0, output.side(0), focal)
        from hand_baselines.silhouette import soft_silhouette

        vertices = layers.right(**placed, flat_hand_mean=True)[1]
        K = aims.K * torch.tensor([[64 / SIDE], [64 / SIDE], [1.0]])
        drawn = soft_silhouette(vertices, layers.right.faces, K, (64, 64)) > 0.5
    usable = aims.fitted[:, 0] & (drawn.flatten(1).sum(dim=1) > 40)
    assert usable.sum() >= 2
    mask = torch.stack([drawn, drawn], dim=1)
    known = torch.stack([usable, torch.zeros_like(usable)], dim=1)
    aims = aims._replace(mask=mask, mask_known=known)
    shift = torch.tensor([0.0, 0.02, 0.01])
    camera = (output.camera + shift).requires_grad_()
    optimiser = torch.optim.Adam([camera], 1e-3)
    for _ in range(60):
        cost = hand_losses(output._replace(camera=camera), aims, layers, WEIGHTS, sigma=0.25).mask
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
    away = (camera - output.camera)[usable, 0, 1:].norm(dim=-1)
    assert away.mean() < 0.4 * shift.norm()


def test_weights_choose_the_terms(wild_worlds, layers):
    batch = batch_of(pictures_of([ARCTIC]))
    output, aims = truth(batch, layers)
    output = output._replace(betas=output.betas + 1)
    terms = hand_losses(output, aims, layers, (0, 3.0, 0, 0, 0, 0, 0, 0))
    assert terms.total == terms.shape > 0 and HandLosses._fields[1] == "shape"


# What it is made of -----------------------------------------------------------------------------


def test_the_papers_sizes_are_those_of_the_facts():
    """72.0 M with the grasp head; 12.80 M, 4.68 M, 2.85 M, 47.0 M (facts/wildhands.md 5.3)."""
    model = find_model("wildhands")
    with torch.device("meta"):
        network = model.network_class()(model.preset("paper"))
    assert parameter_count(network) == 72_030_313
    parts = {name: parameter_count(part) for name, part in network.named_children()}
    assert parts["convolutions"] == 12_797_952 and parts["backbone"] == 47_016_064
    assert parts["heads"] == 2 * 4_684_400 and parts["grasp"] == 2_847_497


@pytest.mark.parametrize("name", FAMILY)
def test_small_ones_have_at_most_three_million_parameters(name):
    model = find_model(name)
    with torch.device("meta"):
        network = model.network_class()(model.preset("small"))
    assert parameter_count(network) <= 3_000_000


@pytest.mark.parametrize("name", FAMILY)
def test_every_member_learns_a_batch(wild_worlds, tiny_wild, name):
    model = find_model(name)
    config = model.preset("tiny")
    torch.manual_seed(0)
    network = model.network_class()(config).train()
    opened = [training_table(table) for table in (ARCTIC, EPIC)]
    data = model.task().training_set(model, config, opened).data
    batch = default_collate([data[(0, int(k))] for k in (0, 5, 9, len(data) - 2)])
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    costs = []
    for _ in range(24):
        output = network(*model.task().fed(batch))
        assert output.rotations.shape == (4, 2, 16, 3, 3) and output.camera.shape == (4, 2, 3)
        terms = network.losses(output, network.targets(batch))
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        costs.append(terms.total.item())
    assert costs[-1] < 0.8 * costs[0]


VARIANTS = [
    *({"encoding": name} for name in ("none", "dense", "sparse-input", "dense-input")),
    *({"encoding": name} for name in ("focal", "coordinates", "camconv")),
    {"encoding": "none", "correction": "rotation"},
    {"encoding": "none", "correction": "pcl"},
    {"one_trunk": False},
]


@pytest.mark.parametrize("change", VARIANTS, ids=str)
def test_every_variant_of_tables_4_and_5_learns(wild_worlds, tiny_wild, change):
    model = find_model("wildhands")
    config = replace(model.preset("tiny"), **change)
    torch.manual_seed(0)
    network = model.network_class()(config).train()
    batch = batch_of(HandPictures(pictures_of([ARCTIC]).parts, Cut(64, 1.5), labels=Labels(32)), 4)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    costs = []
    for _ in range(8):
        terms = network.losses(network(*model.task().fed(batch)), network.targets(batch))
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        costs.append(terms.total.item())
    assert costs[-1] < costs[0]


def test_only_kpe_tells_where_the_crop_is(wild_worlds, tiny_wild):
    model = find_model("wildhands")
    batch = batch_of(HandPictures(pictures_of([ARCTIC]).parts, Cut(64, 1.5), labels=None), 4)
    moved = batch | {"boxes": batch["boxes"] * 0.5}
    for encoding, same in (("sparse", False), ("none", True)):
        config = replace(model.preset("tiny"), encoding=encoding)
        torch.manual_seed(0)
        network = model.network_class()(config).eval()
        with torch.no_grad():
            answers = [network(*model.task().fed(given)).camera for given in (batch, moved)]
        assert torch.equal(*answers) == same


def test_unknown_encodings_are_named():
    with pytest.raises(ValueError, match="'spare' is none of none, sparse"):
        replace(find_model("wildhands").preset("small"), encoding="spare")


# What it answers --------------------------------------------------------------------------------


def held(name: str) -> Loaded:
    model = find_model(name)
    torch.manual_seed(0)
    network = model.network_class()(model.preset("tiny")).eval()
    return Loaded("tiny", model, "tiny", network, {}, "sha")


@pytest.mark.parametrize("name", FAMILY)
def test_poses_are_answered_and_scored(wild_worlds, tiny_wild, tmp_path, name):
    out = tmp_path / "preds.parquet"
    rows = predict(held(name), ARCTIC, out, workers=0)
    result = hand_bench.evaluate(out, track=ARCTIC, units="mm", resamples=0)
    assert not result.partial and rows == open_annotations(find_track(ARCTIC)).rows
    boxes = "boxes:none" if name == "arcticnet" else "boxes:standard"
    assert result.predictions["inputs"] == [boxes, "K:gt"]


def test_points_are_answered_in_the_picture(wild_worlds, tiny_wild, tmp_path):
    out = tmp_path / "preds.parquet"
    predict(held("wildhands"), EPIC, out, workers=0)
    result = hand_bench.evaluate(out, track=EPIC, resamples=0)
    assert not result.partial and result.score("L2 error 2D").value > 0


def test_answers_are_those_of_the_truth_where_the_network_says_it(wild_worlds, tiny_wild, layers):
    """Parameters of the truth come back as the annotations hold them."""
    batch = batch_of(pictures_of([ARCTIC]))
    output, aims = truth(batch, layers)
    found = as_mano(output, batch["K"], layers)[aims.fitted.numpy()]
    expected = batch["mano"].numpy()[aims.fitted.numpy()]
    assert np.abs(found[:, 48:] - expected[:, 48:]).max() < 0.05  # shape, and mm
    from scipy.spatial.transform import Rotation

    pairs = [Rotation.from_rotvec(each[:, :48].reshape(-1, 3)) for each in (found, expected)]
    assert (pairs[0].inv() * pairs[1]).magnitude().max() < 1e-4


def test_pictures_that_lie_on_their_side_are_seen_upright_and_answered_as_they_lie(
    wild_worlds, layers
):
    """Ego-Exo4D's: the official portrait view has (x, y, z) at (-y, x, z) (facts 2.3)."""
    turn = UPRIGHT["egoexo4d"]
    assert np.allclose(turned(turn) @ [1.0, 2.0, 3.0], [-2, 1, 3])
    lying = pictures_of([ARCTIC])
    upright = HandPictures([part._replace(turn=turn) for part in lying.parts], lying.cut,
                           labels=lying.labels)  # fmt: skip
    before, after = (batch_of(data) for data in (lying, upright))
    known = before["joints_known"].numpy()
    moved = before["joints"].numpy() @ turned(turn).T
    assert np.allclose(after["joints"].numpy()[known], moved[known], atol=1e-3)
    pixels = project(after["joints"].double(), after["K"].double()[:, None]).numpy()
    seen = after["seen"].numpy() & known
    assert np.abs(pixels - after["joints_2d"].numpy())[seen].max() < 0.2
    output, aims = truth(after, layers)
    found = as_mano(output, after["K"], layers, motion=turned(turn))
    fitted = aims.fitted.numpy()
    expected = before["mano"].numpy()[fitted]
    assert np.abs(found[fitted][:, 48:] - expected[:, 48:]).max() < 0.05
    from scipy.spatial.transform import Rotation

    pairs = [Rotation.from_rotvec(each[:, :3]) for each in (found[fitted], expected)]
    assert (pairs[0].inv() * pairs[1]).magnitude().max() < 1e-4


def test_tables_of_datasets_without_a_track_are_trained_on(wild_worlds, tiny_wild, tmp_path):
    given = ["--data", ARCTIC, EPIC, EGO4D, "--preset", "tiny", "--steps", "2", "--batch", "4"]
    given += ["--workers", "0", "--validated", "4", "--no-score", "-o", str(tmp_path / "run")]
    train_main("wildhands", given)
    assert (tmp_path / "run/last/model.safetensors").is_file()
    with pytest.raises(TrackError, match="HB301"):
        training_table("handsim-ego5d")


def test_one_folder_of_pictures_is_not_enough_for_several_tables(wild_worlds, tiny_wild, tmp_path):
    model = find_model("wildhands")
    opened = [training_table(ARCTIC), training_table(EPIC)]
    with pytest.raises(BaselineError, match="HB302 --images"):
        training_set(model, model.preset("tiny"), opened, tmp_path)


# What it shows ----------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path):
    from PIL import Image

    pixels = np.full((120, 200, 3), 90, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "hands.png")
    return tmp_path / "hands.png"


def test_hands_of_a_picture_are_found_in_their_own_boxes(tiny_wild, picture):
    from hand_baselines.demonstration import look

    boxes = [("left", (20, 30, 50, 50)), ("right", (120, 30, 60, 60))]
    (both,) = look(held("wildhands"), picture, boxes=boxes)
    assert both.boxes.shape == (2, 4) and np.isfinite(both.meshes).all()
    (alone,) = look(held("wildhands"), picture, boxes=boxes[:1])
    assert alone.scores.tolist() == [0, 1] and np.isnan(alone.joints[0]).all()
    with pytest.raises(BaselineError, match="several boxes for the left hand"):
        look(held("wildhands"), picture, boxes=[boxes[0], boxes[0]])


def test_a_detectors_boxes_are_looked_at_and_none_is_no_hand(tiny_wild, picture, monkeypatch):
    from hand_baselines.demonstration import look
    from hand_baselines.detector import predict as detecting

    boxes, scores = np.array([[40.0, 60, 80, 90], [10, 10, 50, 50]]), np.array([0.9, 0.1])
    monkeypatch.setattr(detecting, "look_at", lambda *_: (boxes, scores))
    detector = held("wildhands")  # what it is does not matter here: it is not asked
    (found,) = look(held("wildhands"), picture, detector=detector)
    assert np.allclose(found.boxes, boxes[:1]) and found.scores.tolist() == [1.0, 0.0]
    scores[:] = 0.0
    assert look(held("wildhands"), picture, detector=detector) == []


def test_meshes_are_drawn_where_the_hands_are(tiny_wild, picture, wild_worlds, layers, tmp_path):
    from hand_baselines.demonstration import Found, draw
    from hand_bench import drawing

    batch = batch_of(pictures_of([ARCTIC]), 4)
    output, aims = truth(batch, layers)
    row = int(aims.fitted.all(dim=1).nonzero()[0, 0])
    K = batch["K"][row].double().numpy()
    camera = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    meshes = as_mano(output, batch["K"], layers)[row]
    joints = batch["joints"][row].numpy()
    spots = project(torch.tensor(joints), batch["K"][row]).numpy()
    found = Found(np.array([[0, 0, SIDE, SIDE]]), joints, np.ones(2), meshes)
    from PIL import Image

    Image.fromarray(np.full((SIDE, SIDE, 3), 90, np.uint8)).save(picture)
    figure = draw(picture, [found], camera=camera)
    collections = figure.axes[0].collections
    assert len(collections) == 2
    for hand, drawn in enumerate(collections):
        corners = np.concatenate([path.vertices for path in drawn.get_paths()])
        low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
        assert ((spots[hand] >= low) & (spots[hand] <= high)).all()
        assert (high - low < np.ptp(spots[hand], axis=0) + 45).all()
    drawing.save(figure, tmp_path / "meshes.png")
    assert (tmp_path / "meshes.png").stat().st_size > 10_000


def test_predictions_carry_meshes_when_asked(wild_worlds, tiny_wild, tmp_path):
    out = tmp_path / "preds.parquet"
    predict(held("wildhands"), ARCTIC, out, workers=0, meshes=True)
    preds = hand_bench.read_predictions(out)
    assert preds.right_mano.shape == (len(preds.sample_id), 61)
    result = hand_bench.evaluate(out, track=ARCTIC, units="mm", resamples=0)
    assert result.score("MPVPE").value > 0


# On the user's own MANO files --------------------------------------------------------------------


def test_everything_runs_on_mano_files(wild_worlds, tiny_wild, tmp_path, monkeypatch):
    """Made-up hands of 778 vertices, in pickles as MANO's own are."""
    from benchmark.official.mano import make_hand, write_pickle

    (tmp_path / "mano").mkdir()
    for side in ("right", "left"):
        hand = make_hand(778, side=side, seed=2)
        write_pickle(tmp_path / "mano" / f"MANO_{side.upper()}.pkl", hand)
    monkeypatch.setenv("HAND_BENCH_MANO", str(tmp_path / "mano"))
    given = ["--data", ARCTIC, EPIC, "--preset", "tiny", "--config", "hand=mano", "--steps", "2"]
    given += ["--batch", "8", "--workers", "0", "--validated", "0", "--no-score"]
    train_main("wildhands", [*given, "-o", str(tmp_path / "run")])
    loaded = load_weights(tmp_path / "run/last")
    assert loaded.network.layers.right.v_template.shape == (778, 3)
    out = tmp_path / "preds.parquet"
    predict(loaded, ARCTIC, out, workers=0, meshes=True)
    assert np.isfinite(hand_bench.read_predictions(out).right_mano).any()
    monkeypatch.setenv("HAND_BENCH_MANO", str(tmp_path / "nothing"))
    with pytest.raises(DatasetError, match=r"HB202 MANO_RIGHT.pkl: was not found"):
        load_weights(tmp_path / "run/last")
