"""Worlds: the whole chain from making to a report for every sibling, and what the truth says."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hand_bench import data, evaluate, shards
from hand_bench.annotations import Annotations
from hand_bench.cli import main
from hand_bench.errors import DatasetError, HandBenchError, TrackError
from hand_bench.geometry import project
from hand_bench.joint_sets import OPENPOSE
from hand_bench.predictions import clips_table, predictions_table
from hand_bench.readers import handsim
from hand_bench.sim import making
from hand_bench.sim.making import Job, jobs, make, make_shard
from hand_bench.sim.worlds import SIBLINGS, SIZES, SOURCES, WORLDS, find_world
from hand_bench.tracks import TRACKS, Track

pytest.importorskip("numba", reason="HandSim needs the extra `sim`")
TRACK_NAMES = [f"handsim-{real}" for real in SIBLINGS]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Make a world once and give the data folder in which it is prepared."""
    home = tmp_path_factory.mktemp("handsim")
    made: set[str] = set()

    def give(name: str) -> Path:
        source = find_world(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HAND_BENCH_HOME", str(home))
            if source.name not in made:
                make(source.name, size="mini", workers=1)
                made.add(source.name)
        return home

    return give


@pytest.fixture
def world(worlds, monkeypatch):
    """Make a world and use its data folder in this test."""

    def use(name: str) -> Path:
        home = worlds(name)
        monkeypatch.setenv("HAND_BENCH_HOME", str(home))
        return home / find_world(name).name

    return use


def truth_of(track: Track) -> dict:
    """The truth as predictions (hands that are absent are NaN)."""
    if track.kind == "action":
        names, empty = ["label"], 0
    else:
        kind = "joints_2d" if track.kind == "pose-2d" else "joints"
        names, empty = [f"{side}_{kind}" for side in ("right", "left")], np.nan
    found: dict[str, list] = {"sample_id": [], **{name: [] for name in names}}
    for batch in data.open_annotations(track).batches(["sample_id", *names]):
        found["sample_id"] += batch.sample_id.to_pylist()
        for name in names:
            given = batch.given(name).reshape(-1, *[1] * (batch[name].ndim - 1))
            found[name].append(np.where(given, batch[name], empty))
    return {n: v if n == "sample_id" else np.concatenate(v) for n, v in found.items()}


def table(track: Track, preds: dict):
    return (clips_table if track.kind == "action" else predictions_table)(**preds)


def noisy(track: Track, preds: dict, size: float, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    if track.kind == "action":
        wrong = rng.random(len(preds["label"])) < size / 20
        changed = (preds["label"] + 1) % len(track.classes)
        return preds | {"label": np.where(wrong, changed, preds["label"])}
    return {
        n: v if n == "sample_id" else v + rng.normal(0, size, v.shape) for n, v in preds.items()
    }


@pytest.mark.parametrize("name", TRACK_NAMES)
def test_the_whole_chain_works_for_every_sibling(name, world, tmp_path, capsys):
    world(name)
    track = TRACKS[name]
    truth = truth_of(track)
    perfect = evaluate(table(track, truth), track=name, resamples=20)
    assert perfect.primary.value == pytest.approx(1.0, abs=1e-6)
    path = tmp_path / "noisy.parquet"
    pq.write_table(table(track, noisy(track, truth, 6.0)), path)
    main(["evaluate", str(path), "--track", name, "-o", str(tmp_path / "result.json")])
    assert "ranked by" in capsys.readouterr().out
    worse = evaluate(table(track, noisy(track, truth, 14.0)), track=name, resamples=0)
    some = evaluate(path, track=name, resamples=0)
    assert some.primary.value <= 1.0 and worse.primary.value <= some.primary.value
    if track.kind != "action":
        assert 0 < worse.primary.value < some.primary.value < 1
    main(["report", str(path), "--track", name, "-o", str(tmp_path / "report.html")])
    assert (tmp_path / "report.html").stat().st_size > 20_000


@pytest.mark.parametrize("name", [n for n in TRACK_NAMES if TRACKS[n].kind == "pose"])
def test_metrics_react_to_controlled_errors_as_they_should(name, world):
    world(name)
    track = TRACKS[name]
    truth = truth_of(track)
    sides = ("right_joints", "left_joints")

    def scores(**changed) -> dict[str, float]:
        result = evaluate(table(track, truth | changed), track=name, resamples=0)
        return {s.metric: s.value for s in result if s.protocol == "recommended"
                and s.subset == "all"}  # fmt: skip

    shifted = scores(**{s: truth[s] + [30.0, 0, 0] for s in sides})
    assert shifted["MPJPE"] == pytest.approx(0, abs=1e-3)
    assert shifted["MEPE"] == pytest.approx(30, abs=1e-3)
    grown = scores(**{s: truth[s][:, :1] + 1.1 * (truth[s] - truth[s][:, :1]) for s in sides})
    assert grown["MPJPE"] > 3 and grown["PA-MPJPE"] == pytest.approx(0, abs=1e-2)
    exchanged = scores(right_joints=truth["left_joints"], left_joints=truth["right_joints"])
    assert exchanged["hand recall"] < 1 or exchanged["MPJPE"] > 20
    dropped = {s: np.where(np.arange(len(truth[s]))[:, None, None] % 2, truth[s], np.nan)
               for s in sides}  # fmt: skip
    lost = scores(**dropped)
    assert lost["hand recall"] == pytest.approx(0.5, abs=0.15)
    assert lost["AUC(0-50)"] == pytest.approx(lost["hand recall"], abs=0.05)
    assert lost["MPJPE"] == pytest.approx(0, abs=1e-3)


def columns_of(home: Path, table_name: str, names: list[str]) -> dict[str, np.ndarray]:
    """Columns of a prepared table, and which rows of them are given."""
    path = home / table_name / "annotations.parquet"
    parts: dict[str, list] = {}
    for batch in Annotations.open(path).batches(["sample_id", *names]):
        for name in names:
            parts.setdefault(name, []).append(batch[name])
            parts.setdefault(f"{name} given", []).append(batch.given(name))
    return {name: np.concatenate(values) for name, values in parts.items()}


@pytest.mark.parametrize(
    ("name", "part"),
    [("handsim-interhand26m", "test"), ("handsim-assemblyhands", "val"),
     ("handsim-arctic", "ego-val"), ("handsim-egoexo4d", "val")],
)  # fmt: skip
def test_visible_joints_fall_on_their_own_hand(name, part, world):
    home = world(name)
    rows = columns_of(home, part, ["image", "K", "right_joints", "left_joints"])
    visible = {}
    for path in sorted((home / "data").glob("*.parquet")):
        found = pq.read_table(path, columns=["right_visible", "left_visible"]).to_pydict()
        for row in range(len(found["right_visible"])):
            visible[f"data/{path.name}#{row}"] = [found[f"{s}_visible"][row] for s in SIDES]
    on, asked = 0, 0
    for k, image in enumerate(rows["image"]):
        file, _, row = image.rpartition("#")
        mask = shards.read_picture(home / file, int(row), "mask")
        for side, s in enumerate(SIDES):
            seen = visible[image][side]
            if not rows[f"{s}_joints given"][k] or seen is None:
                continue
            pixels = project(rows[f"{s}_joints"][k].astype(float), rows["K"][k]).round().astype(int)
            for (u, v), share in zip(pixels, seen, strict=True):
                if share >= 0.75 and 0 <= u < mask.shape[1] and 0 <= v < mask.shape[0]:
                    asked += 1
                    low = 1 + 16 * side
                    on += low <= mask[v, u] < low + 16 or mask[v, u] == 33
    # A joint on the outline of a thin finger may round to the pixel beside it.
    assert asked > 100 and on / asked > 0.9


SIDES = ("right", "left")


def test_bones_keep_their_length_within_a_person(world):
    home = world("handsim-interhand26m")
    rows = columns_of(home, "test", ["subject", "right_joints"])
    parents, children = np.array(OPENPOSE.bones).T
    given = rows["right_joints given"]
    bones = np.linalg.norm(
        rows["right_joints"][:, children] - rows["right_joints"][:, parents], axis=2
    )
    for subject in set(rows["subject"]):
        mine = bones[given & (rows["subject"] == subject)]
        assert (mine.std(axis=0) < 0.6).all()  # the tips are vertices of the skin: they move a bit
    assert 60 < bones[given].mean(axis=0)[OPENPOSE.bones.index((0, 9))] < 125


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda s: s.name)
def test_no_person_is_in_two_splits(source, world):
    home = world(source.name)
    people = {}
    for prefix, kind in source.tables.items():
        for split in source.splits:
            name = f"{prefix}-{split}" if prefix else split
            found = set(columns_of(home, name, ["subject"])["subject"])
            assert found, (kind, name)
            people.setdefault(split, set()).update(found)
    splits = list(people.values())
    assert sum(map(len, splits)) == len(set().union(*splits))


def test_train_labels_are_noisy_and_test_truth_is_exact(world):
    home = world("handsim-interhand26m")
    paths = {p.name.split("-")[0]: p for p in (home / "data").glob("*.parquet")}
    for split, noise in (("train", True), ("test", False)):
        found = pq.read_table(paths[split]).to_pydict()
        labels = [x for s in SIDES for x in found[f"{s}_label_joints"] if x is not None]
        assert bool(labels) == noise
        if noise:
            pairs = [(a, b) for s in SIDES
                     for a, b in zip(found[f"{s}_joints"], found[f"{s}_label_joints"], strict=True)
                     if b is not None]  # fmt: skip
            error = [np.linalg.norm(np.reshape(a, (21, 3)) - np.reshape(b, (21, 3)), axis=1).mean()
                     for a, b in pairs]  # fmt: skip
            assert 1.0 < np.mean(error) < 6.0


def test_planar_worlds_have_masks_and_grasps_but_no_joints_in_train(world):
    home = world("handsim-epic-handkps")
    train = columns_of(home, "train", ["right_joints", "right_joints_2d"])
    assert not train["right_joints given"].any() and not train["right_joints_2d given"].any()
    test = columns_of(home, "test", ["right_joints", "right_joints_2d"])
    assert not test["right_joints given"].any() and test["right_joints_2d given"].any()
    for side in SIDES:
        names = [f"{side}_{n}" for n in ("grasp", "valid", "in_view", "mano", "bbox")]
        rows = columns_of(home, "train", ["mask", *names])
        known = rows[f"{side}_grasp given"]
        assert rows["mask given"].all() and known.any()
        assert set(rows[f"{side}_grasp"][known]) <= set(range(9))
        assert (rows[f"{side}_grasp"][~known] == -1).all()
        assert not (rows[f"{side}_valid"].any() or rows[f"{side}_in_view"].any())
        assert not rows[f"{side}_mano given"].any() and rows[f"{side}_bbox given"].any()


@pytest.mark.parametrize(
    ("name", "part"),
    [("handsim-ego4d", "train"), ("handsim-arctic", "ego-val"), ("handsim-rhd", "evaluation"),
     ("handsim-desktop-activities", "test")],
)  # fmt: skip
def test_masks_and_grasps_are_those_of_the_shards(name, part, world):
    path = world(name) / part / "annotations.parquet"
    opened = Annotations.open(path)
    names = [f"{s}_{k}" for s in SIDES for k in ("grasp", "visible")]
    names += ["sequence", "image", "mask"]
    for batch in (opened.views() if name.endswith("activities") else opened).batches(names):
        assert np.array_equal(batch["image"], batch["mask"])
        for row in range(0, len(batch), 7):
            file, _, number = batch["mask"][row].rpartition("#")
            stored = pq.read_table(path.parents[1] / file).slice(int(number), 1).to_pylist()[0]
            assert batch["sequence"][row] == stored["sequence"]
            for side in SIDES:
                assert batch.table.column(f"{side}_grasp")[row].as_py() == stored[f"{side}_grasp"]
                seen = stored[f"{side}_visible"]
                share = batch.visible_share(side)[row]
                assert np.isnan(share) if seen is None else share == pytest.approx(np.mean(seen))


def test_tables_of_an_older_form_are_prepared_again(world):
    home = world("handsim-stb")
    path = home / "test" / "annotations.parquet"
    current = path.read_bytes()
    assert data.prepare("handsim-stb", home, split="test")["test"]["skipped"]
    table = pq.read_table(path)
    older = table.schema.metadata | {b"format": b"hand-bench annotations 2"}
    pq.write_table(table.replace_schema_metadata(older), path)
    with pytest.raises(DatasetError, match=r"HB206 .*has the form 'hand-bench annotations 2'"):
        Annotations.open(path)
    assert "skipped" not in data.prepare("handsim-stb", home, split="test")["test"]
    assert path.read_bytes() == current


def test_a_shard_is_the_same_alone_and_among_others(tmp_path):
    source = SOURCES["handsim-stb"]
    (job,) = [j for j in jobs(source, "mini") if j.split == "test"]
    first, second = (tmp_path / name for name in ("a", "b"))
    make_shard(job, first)
    make_shard(next(j for j in jobs(SOURCES["handsim-rhd"], "mini")), second)  # something before
    make_shard(job, second)
    hashes = [hashlib.sha256((f / job.file).read_bytes()).hexdigest() for f in (first, second)]
    assert hashes[0] == hashes[1]


def test_any_number_of_workers_makes_the_same_bytes(tmp_path, home):
    folders = [make("handsim-stb", size="mini", workers=n, out=tmp_path / str(n)) for n in (1, 2)]
    found = [
        {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (f / "data").iterdir()}
        for f in folders
    ]
    assert found[0] == found[1] and len(found[0]) == 2


def test_a_smaller_part_of_a_shard_has_the_same_pictures(tmp_path):
    source = SOURCES["handsim-stb"]
    (job,) = [j for j in jobs(source, "mini") if j.split == "test"]
    make_shard(job, tmp_path)
    last = Job(*(getattr(job, f) for f in ("world", "size", "seed", "prefix", "split")), 1, 2,
               job.recordings[-1:])  # fmt: skip
    make_shard(last, tmp_path)
    whole, part = (pq.read_table(tmp_path / j.file).to_pylist() for j in (job, last))
    assert part == whole[-len(part) :]


def test_a_run_goes_on_where_it_stopped(tmp_path, home, monkeypatch):
    made = []
    original = making.make_shard
    monkeypatch.setattr(
        making, "make_shard", lambda job, folder: made.append(job.file) or original(job, folder)
    )
    make("handsim-stb", size="mini", workers=1, out=tmp_path)
    assert len(made) == len(jobs(SOURCES["handsim-stb"], "mini"))
    (tmp_path / made[0]).unlink()
    again = len(made)
    make("handsim-stb", size="mini", workers=1, out=tmp_path)
    assert made[again:] == made[:1]
    make("handsim-stb", size="mini", seed=1, workers=1, out=tmp_path)
    assert len(made) == again + 1 + again


def test_some_tables_are_made_without_the_others(home, monkeypatch):
    made, prepared = [], []
    monkeypatch.setattr(making, "make_shard", lambda job, folder: made.append(job.file))
    monkeypatch.setattr(data, "prepare", lambda *given, split, **o: prepared.append(split))
    make("handsim-assemblyhands", size="mini", tables=("verbs-val",), workers=1)
    assert made == ["data/val-00000-of-00001.parquet"] and prepared == ["verbs-val"]
    make("handsim-assemblyhands", size="mini", tables=("annotation-test",), workers=1)
    assert made[1:] == ["data/annotation-test-00000-of-00001.parquet"]
    source = SOURCES["handsim-assemblyhands"]
    assert making.estimate_tables(source, "mini", ("val", "verbs-val")) == 96


def test_making_a_table_leaves_the_annotations_of_others_alone(home):
    folder = make("handsim-stb", size="mini", workers=1)
    train, test = (data.folder("handsim-stb", split) for split in ("train", "test"))
    (shard,) = (folder / "data").glob("test-*.parquet")
    before = (train / "annotations.parquet").stat().st_mtime_ns
    shard.unlink()
    make("handsim-stb", size="mini", tables=("test",), workers=1)
    assert (train / "annotations.parquet").stat().st_mtime_ns == before
    assert (test / "annotations.parquet").is_file() and shard.is_file()
    # Another seed's pictures replace those of train too: its annotations would not fit them.
    make("handsim-stb", size="mini", seed=1, tables=("test",), workers=1)
    left = [path.name.split("-")[0] for path in (folder / "data").glob("*.parquet")]
    assert (train / "annotations.parquet").is_file() == ("train" in left)


def test_pictures_open_decoded_in_datasets(world, tmp_path):
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    home = world("handsim-stb")
    files = [str(p) for p in (home / "data").glob("test-*.parquet")]
    rows = datasets.load_dataset("parquet", data_files=files, split="train",
                                 cache_dir=str(tmp_path))  # fmt: skip
    assert rows[0]["image"].size == (256, 256) and rows[0]["mask"].mode == "L"
    assert len(rows[0]["left_joints"]) == 63


def test_a_missing_shard_is_named(world, tmp_path):
    home = world("handsim-stb")
    (tmp_path / "data").mkdir()
    for path in (home / "data").glob("test-*.parquet"):
        name = path.name.replace("of-00001", "of-00002")
        (tmp_path / "data" / name).write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match=r"HB203 .*1 of 2 shards of test are there"):
        handsim.find_shards(tmp_path, "", "test")
    with pytest.raises(DatasetError, match=r"HB202 .*holds no shards data/train"):
        handsim.find_shards(tmp_path, "", "train")


def test_unknown_worlds_and_sizes_name_the_known_ones(home):
    with pytest.raises(TrackError, match="Did you mean 'handsim-h2o-pose'"):
        make("handsim-h2o-poses")
    with pytest.raises(TrackError, match="there is no size 'tiny'"):
        make("handsim-stb", size="tiny")
    with pytest.raises(TrackError, match="there is no table of handsim-stb 'val'"):
        make("handsim-stb", tables=("val",))


def test_a_full_disk_is_noticed_before_anything_is_made(tmp_path, home, monkeypatch):
    monkeypatch.setattr(making.shutil, "disk_usage", lambda _: type("U", (), {"free": 1000})())
    with pytest.raises(HandBenchError, match=r"HB402 .*MB are needed for .* pictures, 0 MB are"):
        make("handsim-stb", size="small", out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_commands_list_describe_and_preview_worlds(tmp_path, capsys):
    main(["sim", "ls"])
    out = capsys.readouterr().out
    assert all(name in out for name in WORLDS)
    main(["sim", "show", "handsim-h2o-action"])
    shown = capsys.readouterr().out
    assert "action-test" in shown and all(f"size {size}" in shown for size in SIZES)
    main(["sim", "preview", "handsim-rhd", "-o", str(tmp_path / "sheet.png")])
    from PIL import Image

    with Image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())) as sheet:
        assert sheet.size == (6 * 256, 4 * 256)


def test_an_interrupted_run_with_another_seed_leaves_no_truth_of_other_pictures(
    tmp_path, home, monkeypatch
):
    make("handsim-stb", size="mini", workers=1, out=tmp_path)
    original = making.make_shard

    def stop_after_one(job, folder):
        if (folder / job.file).is_file() and shards.about(folder / job.file)["seed"] == "1":
            raise KeyboardInterrupt
        original(job, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "make_shard", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        make("handsim-stb", size="mini", seed=1, workers=1, out=tmp_path)
    assert not [m for m in data.prepared() if m["dataset"] == "handsim-stb"]
    monkeypatch.setattr(making, "make_shard", original)
    make("handsim-stb", size="mini", seed=1, workers=1, out=tmp_path)
    assert {m["release"] for m in data.prepared()} == {"HandSim 1, size mini, seed 1"}


def test_shards_of_two_seeds_are_not_one_table(tmp_path, home):
    source = SOURCES["handsim-stb"]
    (job,) = [j for j in jobs(source, "mini") if j.split == "test"]
    for number, seed in ((0, 0), (1, 1)):
        part = Job(job.world, job.size, seed, job.prefix, job.split, number, 2,
                   job.recordings[number : number + 1])  # fmt: skip
        make_shard(part, tmp_path)
    with pytest.raises(DatasetError, match=r"HB203 .*holds shards of different runs"):
        data.prepare("handsim-stb", tmp_path, split="test")


def test_two_worlds_do_not_share_a_folder(tmp_path, home):
    make("handsim-stb", size="mini", workers=1, out=tmp_path)
    with pytest.raises(HandBenchError, match=r"HB402 .*holds the world handsim-stb"):
        make("handsim-rhd", size="mini", workers=1, out=tmp_path)


def test_a_negative_seed_is_refused(home):
    with pytest.raises(TrackError, match="seed -1 is negative"):
        make("handsim-stb", seed=-1)
