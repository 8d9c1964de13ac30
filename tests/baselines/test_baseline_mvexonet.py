"""MVExoNet and 2D + Triangulation: sizes, losses by hand, unprojection, refinement, whole runs."""

# ruff: noqa: E402 (what follows the check needs torch)

import importlib.util
import math
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from baselines import view_world as world
from hand_baselines import runs, training
from hand_baselines.instants import (
    MIDDLE,
    Instants,
    Variation,
    keys_of,
    mirrored,
    padded,
    random_turn,
    read_views,
    views_of,
)
from hand_baselines.keypoints2d import config as keypoints_config
from hand_baselines.keypoints2d.model import KeypointNet, KeypointTargets, heatmap_loss
from hand_baselines.keypoints2d.predict import Detector, Triangulator
from hand_baselines.models import find_model
from hand_baselines.mvexonet import config as mvexonet_config
from hand_baselines.mvexonet.model import MVExoNet, MVExoNetTargets, joint_loss, volume_loss
from hand_baselines.mvexonet.predict import Looker, MultiView, box_root, refine
from hand_baselines.mvexonet.v2v import V2V
from hand_baselines.mvexonet.volumes import (
    aggregate,
    from_bins,
    grid,
    project,
    to_bins,
    unproject,
)
from hand_baselines.pictures import Pictures
from hand_baselines.prediction import predict, score
from hand_baselines.resnet import parameter_count
from hand_baselines.tables import open_table
from hand_baselines.training import Job, train
from hand_baselines.training_options import Options
from hand_baselines.view_task import asked_hands, cut_of
from hand_baselines.weights import load_weights
from hand_bench.data import open_annotations
from hand_bench.errors import BaselineError
from hand_bench.geometry import world_to_camera
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.predictions import open_predictions
from hand_bench.tracks import find_track

TINY = replace(
    mvexonet_config.PRESETS["small"],
    width=0.125,
    pyramid=8,
    features=4,
    input_size=32,
    bins=8,
    stem=(4, 3),
    channels=(4, 8),
)
TINY_2D = replace(keypoints_config.PRESETS["small"], width=0.125, features=8, input_size=32)
TRUTH = world.hands("test")
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed: the preset paper takes its EfficientNet from there",
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A preset "tiny" of both models: networks of milliseconds."""
    monkeypatch.setitem(mvexonet_config.PRESETS, "tiny", TINY)
    monkeypatch.setitem(keypoints_config.PRESETS, "tiny", TINY_2D)
    monkeypatch.setattr(training, "plot", lambda *_: None)


@pytest.fixture
def hands(view_world):
    """The hands of the test table, right and left of each instant."""
    opened = open_annotations(find_track(world.TRACK), None)
    pictures = Pictures(view_world / world.WORLD)
    keys = keys_of(opened.table(["sequence", "frame"]))
    instants = Instants(read_views(opened), pictures, keys)
    return [hand for _, hand in asked_hands(instants[k] for k in range(len(instants)))]


@pytest.fixture
def batch(view_world):
    """Four training samples as a batch."""
    model = find_model("mvexonet")
    opened = open_table(find_track(world.TRACK), "train")
    data = model.task().training_set(model, TINY, [opened]).data
    return torch.utils.data.default_collate([data[(0, k)] for k in range(4)])


# ---- sizes ---------------------------------------------------------------------------------------


def test_the_small_presets_have_at_most_3_million_parameters():
    with torch.device("meta"):
        counts = [
            parameter_count(network(module.PRESETS["small"]))
            for network, module in ((KeypointNet, keypoints_config), (MVExoNet, mvexonet_config))
        ]
    assert counts == [1_637_805, 2_582_445] and max(counts) <= 3_000_000


def test_the_volume_network_of_paper_is_that_of_the_source():
    config = mvexonet_config.PRESETS["paper"]
    assert (config.side, config.bins, config.features) == (300.0, 64, 32)
    with torch.device("meta"):
        network = V2V(32, 21, config.stem, config.channels, config.blocks)
        assert network(torch.empty(1, 32, 64, 64, 64)).shape == (1, 21, 64, 64, 64)
    assert parameter_count(network) == 11_944_485


@needs_transformers
def test_the_paper_presets_have_an_efficientnet():
    with torch.device("meta"):
        assert parameter_count(MVExoNet(mvexonet_config.PRESETS["paper"])) == 16_290_753
        network = KeypointNet(keypoints_config.PRESETS["paper"])
        stages = network.backbone.stages(torch.empty(1, 3, 256, 256))
    assert parameter_count(network) == 4_344_849
    assert [tuple(stage.shape[1:]) for stage in stages] == [
        *((24, 64, 64), (40, 32, 32), (112, 16, 16), (1280, 8, 8))
    ]


@needs_transformers
def test_two_steps_of_the_paper_preset(batch):
    # Its layers; crops and volumes are smaller, so that it takes seconds.
    config = replace(mvexonet_config.PRESETS["paper"], input_size=32, bins=32)
    network, batch = MVExoNet(config), {name: value[:2] for name, value in batch.items()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    for _ in range(2):
        output = network(views_of(batch), batch["centre"])
        loss = network.losses(output, network.targets(batch)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None for p in network.parameters()) and torch.isfinite(loss)


@pytest.mark.skipif(
    importlib.util.find_spec("transformers") is not None, reason="transformers is installed"
)
def test_without_transformers_the_paper_preset_says_what_to_install():
    with pytest.raises(BaselineError, match=r"HB401.*\n.*pip install transformers"):
        MVExoNet(mvexonet_config.PRESETS["paper"])


def test_a_model_is_described_also_where_a_preset_cannot_be_built(capsys):
    from hand_baselines.commands import baselines_show

    baselines_show("mvexonet")
    said = capsys.readouterr().out
    assert "2,582,445 parameters" in said and ("transformers" in said or "16,290,753" in said)


# ---- losses by hand ------------------------------------------------------------------------------


def test_the_joint_loss_by_hand():
    places = torch.tensor([[[1.0, 2, 3], [4, 4, 4]]])
    targets = MVExoNetTargets(
        torch.tensor([[[1.0, 5, 0], [0, 0, 0]]]), torch.tensor([[True, False]])
    )
    # |0| + |3| + |3| over three axes, one valid joint.
    assert joint_loss(places, targets).item() == pytest.approx(2.0)


def test_the_volume_loss_by_hand():
    logits = torch.zeros(1, 2, 2, 2, 2)
    logits[0, 0, 1, 0, 1] = math.log(3)  # x = 1, y = 0, z = 1
    targets = MVExoNetTargets(
        torch.tensor([[[0.8, 0.2, 1.3], [9.0, 0, 0]]]), torch.ones(1, 2, dtype=torch.bool)
    )
    # Seven points of 1 and one of 3; the second joint is outside and does not count.
    assert volume_loss(logits, targets).item() == pytest.approx(-math.log(3 / 10), rel=1e-5)


def test_the_2d_loss_is_a_divergence():
    places = torch.tensor([[[[3.0, 2.0]]]])
    targets = KeypointTargets(places, torch.ones(1, 1, 1, dtype=torch.bool))
    x = -((torch.arange(8.0) - 3) ** 2) / 2
    y = -((torch.arange(6.0) - 2) ** 2) / 2
    exact = (y[:, None] + x)[None, None, None]
    assert heatmap_loss(exact + 5, targets, 1.0).item() == pytest.approx(0, abs=1e-5)
    flat = heatmap_loss(torch.zeros(1, 1, 1, 6, 8), targets, 1.0).item()
    p = exact.flatten().softmax(0)
    assert flat == pytest.approx((p * (p * 48).log()).sum().item(), rel=1e-5)


# ---- volumes -------------------------------------------------------------------------------------


def test_places_and_millimetres_are_inverse(batch):
    joints, centre = batch["joints"], batch["centre"]
    places = to_bins(joints, centre, 300.0, 8)
    assert torch.allclose(from_bins(places, centre, 300.0, 8), joints, atol=1e-3)
    points = grid(centre, 300.0, 8)
    index = (5 * 8 + 3) * 8 + 6  # z = 5, y = 3, x = 6
    assert torch.allclose(to_bins(points, centre, 300.0, 8)[:, index], torch.tensor([6.0, 3, 5]))


@pytest.mark.parametrize("side", HAND_SIDES)
def test_a_point_is_projected_where_the_camera_says(hands, side):
    hand = next(hand for hand in hands if hand.side == side)
    cut = cut_of(find_model("mvexonet"), TINY)
    rng, joints = np.random.default_rng(0), TRUTH[0, HAND_SIDES.index(side)]
    turn = random_turn(90.0, rng)
    found = cut.random_views(hand.instant, side, hand.boxes, Variation(), turn, rng)
    views = views_of({k: v[None] for k, v in padded(found, 5).items()})
    local = torch.from_numpy(mirrored(joints, side) @ turn.T).float()[None]
    pixels, depth = project(local, views)
    for k, camera in enumerate(world.cameras()):
        there = camera.project_world(joints) @ found["affine"][k][:, :2].T
        assert np.allclose(pixels[0, k], there + found["affine"][k][:, 2], atol=0.02)
        z = world_to_camera(joints, camera.T_world_from_camera)[:, 2]
        assert np.allclose(depth[0, k], z, atol=0.05)


def test_a_crop_shows_the_joints_where_they_project(hands):
    # A dot of its own colour is drawn on every joint: blue for left hands.
    cut = replace(cut_of(find_model("mvexonet"), TINY), size=256)
    for hand in hands[:2]:
        views = views_of({k: v[None] for k, v in padded(cut.views(*hand[:3]), 5).items()})
        joints = mirrored(TRUTH[0, HAND_SIDES.index(hand.side)], hand.side)
        pixels = project(torch.from_numpy(joints).float()[None], views)[0][0]
        for k in range(5):
            u, v = pixels[k].round().long().clamp(0, 255).unbind(-1)
            assert (views.image[0, k, 0, v, u] > 150).float().mean() > 0.6


def test_unprojecting_reads_the_features_at_the_pixels(batch):
    views = views_of(batch)
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    features = torch.stack([columns, rows]).expand(4, views.there.shape[1], 2, 8, 8)
    points = batch["joints"][:, :10]
    pixels, _ = project(points, views)
    sampled = unproject(features, points, views)
    places = pixels / 4
    inside = ((places > 0) & (places < 7)).all(dim=-1) & views.there[..., None]
    assert inside.float().mean() > 0.5
    assert torch.allclose(sampled.mT[inside], places[inside], atol=1e-3)


def test_nothing_is_seen_behind_a_camera(batch):
    views = views_of(batch)
    centres = -(views.pose[..., :3].mT @ views.pose[..., 3:])[..., 0]
    behind = centres[:, 0] + 2 * (centres[:, 0] - batch["centre"])
    features = torch.ones(4, views.there.shape[1], 2, 8, 8)
    assert (unproject(features, behind[:, None], views)[:, 0] == 0).all()


def test_the_order_of_the_views_and_lacking_ones_change_nothing(batch):
    network = MVExoNet(TINY).eval()
    order = torch.tensor([3, 0, 4, 2, 1])
    views = views_of(batch)
    turned = type(views)(*(value[:, order] for value in views))
    more = type(views)(*(torch.cat([v, torch.zeros_like(v[:, :2])], dim=1) for v in views))
    with torch.no_grad():
        found = network(views, batch["centre"])
        assert torch.allclose(network(turned, batch["centre"]), found, atol=1e-4)
        assert torch.allclose(network(more, batch["centre"]), found, atol=1e-4)


def test_a_view_that_is_given_twice_to_one_view_changes_nothing():
    one = torch.randn(2, 1, 3, 7)
    there = torch.ones(2, 2, dtype=torch.bool)
    assert torch.allclose(aggregate(one.expand(2, 2, 3, 7), there), one[:, 0], atol=1e-6)
    different = torch.randn(2, 2, 3, 7)
    fused = aggregate(different, there)
    # The softmax of the features themselves leans to the larger one.
    assert (fused >= different.mean(dim=1) - 1e-6).all() and (
        fused <= different.amax(1) + 1e-6
    ).all()


# ---- refinement ----------------------------------------------------------------------------------


class Perfect(torch.nn.Module):
    """A network whose heatmaps are Gaussians around the true joints of hands in their order."""

    def __init__(self, joints: np.ndarray):
        super().__init__()
        self.net, self.joints, self.centres, self.affines = MVExoNet(TINY), joints, [], []
        self.config = replace(TINY, bins=32)
        self.net.config = self.config

    def forward(self, views, centre):
        self.centres.append(centre.clone())
        self.affines.append(views.affine.clone())
        joints = torch.from_numpy(self.joints).float()
        places = to_bins(joints, centre, self.config.side, self.config.bins)
        line = torch.arange(self.config.bins, dtype=torch.float32)
        x, y, z = (-((line - places[..., k, None]) ** 2) / 2 for k in range(3))
        return z[..., :, None, None] + y[..., None, :, None] + x[..., None, None, :]

    def decode(self, output, batch):
        return self.net.decode(output, batch)


def test_r1_r2_r3_recentre_on_what_a_perfect_network_finds(hands):
    right = [hand for hand in hands if hand.side == "right"]
    network = Perfect(TRUTH[:, 0])
    look = Looker(network, cut_of(find_model("mvexonet"), TINY), torch.device("cpu"))
    off = TRUTH[:, 0, MIDDLE] + [25.0, -15, 10]
    joints, confidence = refine(look, right, off, 3)
    assert np.abs(joints - TRUTH[:, 0]).max() < 0.5 and (confidence > 0.5).all()
    centres = torch.stack(network.centres).numpy()
    assert np.allclose(centres[0], off, atol=1e-3) and len(centres) == 3
    assert np.abs(centres[1:] - TRUTH[:, 0, MIDDLE]).max() < 0.5
    # The boxes of the table are those of the truth: perfect joints give the same crops.
    assert torch.allclose(network.affines[0], network.affines[2], atol=0.2)


def test_a_hand_that_is_lost_on_the_way_keeps_its_answer(hands):
    calls = []

    def look(some, roots):
        calls.append(len(some))
        far = np.array([hand.side == "left" for hand in some])[:, None, None]
        joints = np.stack([np.tile(root, (21, 1)) for root in roots]) + 1e6 * far
        return joints, np.ones((len(some), 21))

    roots = np.stack([box_root(hand) for hand in hands[:2]])
    joints, _ = refine(look, hands[:2], roots, 3)
    assert calls == [2, 1, 1] and joints[1].min() > 9e5


def test_boxes_around_joints_are_those_of_the_reader(hands):
    from hand_baselines import instants
    from hand_bench.readers import multiview

    assert (instants.ENLARGED, instants.MIN_SEEN) == (multiview.ENLARGED, multiview.MIN_SEEN)
    for hand, joints in zip(hands, TRUTH.reshape(-1, 21, 3), strict=True):
        assert np.allclose(hand.instant.boxes_around(joints), hand.boxes, atol=1e-3)


def test_boxes_meet_near_the_hand(hands):
    truth = TRUTH.reshape(-1, 21, 3)
    roots = np.stack([box_root(hand) for hand in hands])
    assert np.linalg.norm(roots - truth.mean(axis=1), axis=1).max() < 40


def test_a_perfect_2d_network_gives_the_joints_back(hands):
    class Exact(torch.nn.Module):
        def forward(self, views):
            self.views = views

        def decode(self, _, batch):
            joints = np.stack([mirrored(t, h.side) for t, h in zip(truth, hands, strict=True)])
            pixels, _ = project(torch.from_numpy(joints).float(), self.views)
            from hand_baselines.keypoints2d.model import Keypoints

            return Keypoints(pixels, batch["there"][..., None].expand(-1, -1, 21).float())

    truth = TRUTH.reshape(-1, 21, 3)
    cut = cut_of(find_model("keypoints2d"), TINY_2D)
    for method in ("ransac", "algebraic"):
        found = Triangulator(Detector(Exact(), cut, torch.device("cpu")), method)(hands)
        assert np.abs(np.stack([one.joints for one in found]) - truth).max() < 0.2
        assert all((one.views == 5).all() and one.error.max() < 0.05 for one in found)
    some = Triangulator(Detector(Exact(), cut, torch.device("cpu")), views=3)
    found, again = some(hands), some(hands)
    for one, other, joints in zip(found, again, truth, strict=True):
        assert (one.views == 3).all() and np.abs(one.joints - joints).max() < 0.2
        assert np.array_equal(one.joints, other.joints)  # the same views are drawn


def test_hands_that_one_view_sees_are_not_answered(hands):
    boxes = hands[0].boxes.copy()
    boxes[1:] = np.nan
    network = MVExoNet(TINY).eval()
    find = MultiView(Looker(network, cut_of(find_model("mvexonet"), TINY), torch.device("cpu")))
    lost, kept = find([hands[0]._replace(boxes=boxes), hands[1]])
    assert np.isnan(lost.joints).all() and np.isfinite(kept.joints).all()


# ---- whole runs ----------------------------------------------------------------------------------

OPTIONS = Options(steps=3, batch=2, workers=0, save_every=1, evaluate_every=2, warmup=2)


def make_job(name: str) -> Job:
    model = find_model(name)
    config = model.preset("tiny")
    torch.manual_seed(0)
    network = model.network_class()(config)
    opened = open_table(find_track(world.TRACK), "train")
    data, order, facts = model.task().training_set(model, config, [opened])
    return Job(model, "tiny", network, data, order, facts)


class Killed(BaseException):
    """What nobody catches."""


@pytest.mark.parametrize("name", ["keypoints2d", "mvexonet"])
def test_a_run_that_is_killed_goes_on_bit_for_bit(view_world, tmp_path, name):
    def kill(step: int) -> None:
        if step == 2:
            raise Killed

    train(make_job(name), tmp_path / "whole", OPTIONS)
    with pytest.raises(Killed):
        train(make_job(name), tmp_path / "again", OPTIONS, after_step=kill)
    record = train(make_job(name), tmp_path / "again", OPTIONS)
    assert record["resumed"] == 1
    states = [
        torch.load(tmp_path / run / "state.pt", weights_only=True)["network"]
        for run in ("whole", "again")
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_train_predict_and_score_from_end_to_end(view_world, tmp_path):
    flat, out = tmp_path / "keypoints", tmp_path / "mvexonet"
    given = {"batch": 2, "workers": 0, "validated": 1, "steps": 2}
    first = runs.run(find_model("keypoints2d"), world.TRACK, "tiny", flat, **given)
    assert first is not None and (flat / "best").is_dir()
    runs.run(find_model("mvexonet"), world.TRACK, "tiny", out, score=False, **given)
    loaded, preds = load_weights(out / "last"), tmp_path / "preds.parquet"
    options = {"start": str(flat / "best"), "rounds": 2, "workers": 0}
    assert predict(loaded, world.TRACK, preds, part=3, **options) == len(world.FRAMES)
    result = score(preds, find_track(world.TRACK), resamples=0)
    values = {s.metric: s.value for s in result if s.subset == "all" and s.protocol == "paper"}
    assert 0 < values["MPJPE"] < 400
    once, twice = tmp_path / "once.parquet", tmp_path / "twice.parquet"
    predict(loaded, world.TRACK, once, start=str(flat / "best"), rounds=1)
    predict(loaded, world.TRACK, twice, start=str(once), rounds=1)
    ours, theirs = (pq.read_table(path) for path in (twice, preds))
    assert open_predictions(twice).declared.inputs == open_predictions(preds).declared.inputs
    assert ours.column("sample_id").equals(theirs.column("sample_id"))
    for side in HAND_SIDES:
        name = f"{side}_joints"
        values = [np.array(t.column(name).to_pylist(), float) for t in (ours, theirs)]
        np.testing.assert_allclose(*values, atol=1e-3)
        assert np.abs(values[0] - pq.read_table(once).column(name).to_pylist()).max() > 0.02
    with pytest.raises(BaselineError, match="not of the 2D network"):
        predict(loaded, world.TRACK, preds, start=str(out / "last"))
    with pytest.raises(BaselineError, match="at least one is needed"):
        predict(loaded, world.TRACK, preds, rounds=0)


def test_fewer_than_two_views_are_refused_and_some_are_declared(view_world, tmp_path):
    from hand_baselines.keypoints2d.predict import answers
    from hand_baselines.weights import Loaded

    model = find_model("keypoints2d")
    loaded = Loaded("", model, "tiny", KeypointNet(TINY_2D), {}, "")
    opened = open_annotations(find_track("handsim-assemblyhands-annotation"))
    with pytest.raises(BaselineError, match="HB302 --views"):
        answers(loaded, opened, views=1)
    assert answers(loaded, opened, views=2).inputs == ("views:some", "boxes:gt")


def test_tracks_of_single_pictures_are_refused(view_world, tmp_path):
    from hand_baselines.models import MODELS
    from hand_baselines.weights import Loaded

    loaded = Loaded("", MODELS["mvexonet"], "tiny", MVExoNet(TINY), {}, "")
    with pytest.raises(BaselineError, match="asks for something else"):
        predict(loaded, "handsim-assemblyhands", tmp_path / "preds.parquet")


def test_networks_are_measured_on_views_of_their_own():
    from hand_baselines.timing import measure

    for name in ("keypoints2d", "mvexonet"):
        found = measure(find_model(name), "tiny", (1,), device="cpu")
        assert found["gflops"] > 0 and found["rows"][0]["images_per_second"] > 0


def test_views_are_dropped_but_two_stay(hands):
    cut = cut_of(find_model("mvexonet"), TINY)
    varied, counts = Variation(dropped=4), set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        views = cut.random_views(*hands[0][:3], varied, np.eye(3), rng)
        counts.add(len(views["there"]))
    assert counts == {2, 3, 4, 5}
