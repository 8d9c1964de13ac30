"""Videos of two tables, clips with labels, and what varies in them."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.htt.data import training_clips
from hand_baselines.htt.model import decode
from hand_baselines.htt.recordings import Recordings, frames_and_clips, whole
from hand_baselines.htt.task import training_set
from hand_baselines.htt.views import Ranges, Variation, resized, shifted
from hand_baselines.models import find_model
from hand_baselines.tables import open_table
from hand_bench.annotations import Annotations
from hand_bench.errors import BaselineError, DatasetError
from hand_bench.tracks import find_track

MODEL = find_model("htt")
STILL = Ranges(0.0, 0.0, 0.0, 0.0)


def opened(name: str) -> Annotations:
    return open_table(find_track(name), "train")


def dataset(preset: str, *tracks: str, **options):
    config = MODEL.preset(preset)
    return training_set(MODEL, config, [opened(name) for name in tracks], **options)


def test_poses_and_actions_lead_to_each_other(mini_clips):
    poses, actions = opened("handsim-h2o-pose"), opened("handsim-h2o-action")
    paths = [[part.path for part in frames_and_clips(table) if part] for table in (poses, actions)]
    assert paths[0] == paths[1] == [poses.path, actions.path]


def test_videos_are_the_clips_with_every_frame_once(mini_clips):
    frames, clips = frames_and_clips(opened("handsim-h2o-action"))
    rows = whole(clips, ("sequence", "frame", "end_frame"))
    videos = Recordings(frames).videos(rows)
    assert [len(video.rows) for video in videos] == [41, 19, 43]
    assert sorted(np.concatenate([v.rows for v in videos]).tolist()) == list(range(103))
    assert all(v.numbers.tolist() == list(range(0, 2 * len(v.rows), 2)) for v in videos)


def test_without_clips_what_follows_one_another_is_a_video(mini_clips):
    frames, clips = frames_and_clips(opened("handsim-h2o-pose"))
    rows, recordings = whole(clips, ("sequence", "frame", "end_frame")), Recordings(frames)
    cut = recordings.videos(None)
    assert [v.rows.tolist() for v in cut] == [v.rows.tolist() for v in recordings.videos(rows)]


def test_clips_without_their_frames_are_an_error(mini_clips, tmp_path):
    table = pq.read_table(opened("handsim-h2o-action").path)
    pq.write_table(table, tmp_path / "annotations.parquet")
    with pytest.raises(DatasetError, match="frames is not beside it"):
        frames_and_clips(Annotations.open(tmp_path / "annotations.parquet"))


def test_training_clips_start_everywhere_and_know_their_labels(mini_clips, tiny_htt):
    frames, clips = frames_and_clips(opened("handsim-h2o-action"))
    found = training_clips(frames, clips, tiny_htt)
    # Of 41, 19 and 43 frames: four starts in each block of sixteen.
    assert len(found) == 3 * 4 + 2 * 4 - 1 + 3 * 4
    assert {clip.label for clip in found} == {3, 12, 29}
    assert max(len(clip.rows) for clip in found) == 16


def test_a_dataset_is_trained_on_once(mini_clips, tiny_htt):
    one = dataset("tiny", "handsim-h2o-pose").data
    both = dataset("tiny", "handsim-h2o-pose", "handsim-h2o-action").data
    assert len(one) == len(both)


def test_labels_are_the_true_hands_however_a_clip_is_shifted(mini_clips, tiny_htt):
    data = dataset("tiny", "handsim-h2o-pose").data
    clip, config = data.clips[5][1], data.config
    table = whole(opened("handsim-h2o-pose"), ("left_joints", "right_joints"))
    true = np.concatenate([table["left_joints"], table["right_joints"]], axis=1)[clip.rows]
    item = data[(1, 5)]
    frames = len(clip.rows)
    assert item["valid"].sum() == frames and item["known"][:frames].all()
    fx = item["K"][:, 0, 0, None]
    raw = [
        (item["pixels"] - torch.tensor([240.0, 135.0])) / 100,
        ((item["depth"] - 0.4) / fx * 1e4)[..., None],
    ]
    found = decode(torch.cat(raw, dim=-1), item["K"], "fy")[:frames]
    assert np.abs(found.numpy() - true).max() < 0.05
    still = training_set(MODEL, config, [opened("handsim-h2o-pose")], augmentation=0.0).data[(1, 5)]
    moved = item["pixels"][:frames] - still["pixels"][:frames]
    assert torch.allclose(moved, moved[:1, :1].expand_as(moved), atol=1e-4) and moved[0, 0].any()
    assert (item["object"], item["action"]) == (3, 3)


def test_one_hand_is_trained_on_in_fpha(mini_clips, tiny_htt):
    item = dataset("tiny-fpha", "handsim-fpha-action").data[0]
    assert item["pixels"].shape == (16, 21, 2) and item["known"][0].all()
    assert item["object"] == 9 and item["action"] == 22


def test_a_sample_depends_on_seed_epoch_and_number_alone(mini_clips, tiny_htt):
    first, again = (dataset("tiny", "handsim-h2o-pose", seed=3).data for _ in range(2))
    first[(0, 2)]
    pairs = [(first[(2, 7)][name], again[(2, 7)][name]) for name in ("image", "pixels")]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first[(1, 7)]["image"], first[(2, 7)]["image"])


def test_what_cannot_be_trained_on_is_named(mini_clips, tiny_htt):
    with pytest.raises(BaselineError, match="HB302 handsim-fpha"):
        dataset("tiny", "handsim-fpha-pose")
    with pytest.raises(BaselineError, match="as a whole"):
        dataset("tiny", "handsim-h2o-pose", hands="single")


def test_a_shift_is_by_whole_pixels_and_black_from_outside():
    picture = np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1)
    assert shifted(picture, (1, 0))[..., 0].tolist() == [
        [2, 3, 4, 0],
        [6, 7, 8, 0],
        [10, 11, 12, 0],
    ]
    assert shifted(picture, (-2, 1))[..., 0].tolist() == [[0, 0, 5, 6], [0, 0, 9, 10], [0] * 4]
    assert np.array_equal(shifted(picture, (0, 0)), picture)


def test_nothing_varies_without_ranges():
    rng = np.random.default_rng(0)
    picture = np.full((9, 16, 3), 90, np.uint8)
    drawn = Variation.draw(STILL, 16, 2, rng)
    assert drawn.shift == (0, 0) and np.abs(drawn.apply(picture, 1).astype(int) - 90).max() <= 1


def test_colours_of_a_clip_change_alike():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (9, 16, 3), np.uint8)
    drawn = Variation.draw(Ranges(shift=0.0, blur=0.0), 16, 200, rng)
    assert (np.sort(drawn.orders, axis=1) == np.arange(4)).all()
    same = np.flatnonzero((drawn.orders == drawn.orders[0]).all(axis=1))
    assert len(same) > 1
    assert np.array_equal(drawn.apply(picture, 0), drawn.apply(picture, int(same[1])))


def test_a_picture_is_resized_as_a_whole():
    picture = np.zeros((10, 20, 3), np.uint8)
    assert resized(picture, (20, 10)) is picture
    assert resized(picture, (8, 4)).shape == (4, 8, 3)
