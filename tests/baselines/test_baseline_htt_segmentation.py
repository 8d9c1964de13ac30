"""Videos become clips and windows, clips vote; worked by hand and against the facts."""

import numpy as np
import pytest

from hand_baselines.htt.segmentation import clip_from, clips, training_starts, vote, windows
from hand_baselines.htt.taxonomies import TAXONOMIES


@pytest.mark.parametrize(
    ("frames", "lengths"),
    [
        (1, [1]),
        (2, [1, 1]),
        (256, [128, 128]),
        (257, [128, 128, 1]),
        (402, [128, 128, 73, 73]),
    ],
)
def test_a_video_is_cut_as_released(frames, lengths):
    cut = clips(np.arange(frames), 128)
    assert [len(clip) for clip in cut] == lengths
    assert sorted(np.concatenate(cut).tolist()) == list(range(frames))


def test_a_clip_holds_every_second_frame_of_its_block():
    cut = clips(np.arange(260), 128)
    assert cut[0].tolist() == list(range(0, 256, 2)) and cut[1][:2].tolist() == [1, 3]
    assert cut[2].tolist() == [256, 258] and cut[3].tolist() == [257, 259]


def test_a_video_of_every_second_frame_has_the_even_clips_only():
    cut = clips(np.arange(0, 600, 2), 128)
    assert [len(clip) for clip in cut] == [128, 128, 44] and cut[1][0] == 128


def test_frames_that_lack_are_left_out_and_no_other():
    numbers = np.delete(np.arange(100), [0, 17, 50])
    assert sorted(numbers[np.concatenate(clips(numbers, 16))]) == sorted(numbers)


def test_windows_follow_one_another():
    cut = windows(np.arange(73), 16)
    assert [len(window) for window in cut] == [16, 16, 16, 16, 9]
    assert np.concatenate(cut).tolist() == list(range(73))


def test_training_clips_start_at_the_first_frames_of_every_block():
    starts = training_starts(np.arange(402), 128)
    assert starts.tolist() == [*range(32), *range(256, 288)]
    assert training_starts(np.arange(0, 402, 2), 128).tolist() == [*range(16), *range(128, 144)]
    assert training_starts(np.arange(402), 128, offsets=1).tolist() == [0, 1, 256, 257]


def test_a_training_clip_goes_on_across_blocks():
    numbers = np.arange(402)
    assert clip_from(numbers, 31, 128).tolist() == list(range(31, 31 + 256, 2))
    assert clip_from(numbers, 300, 128).tolist() == list(range(300, 402, 2))


def test_clips_vote_softly_or_with_one_vote_each():
    chances = np.array([[0.1, 0.9, 0.0], [0.6, 0.4, 0.0], [0.55, 0.45, 0.0]])
    assert np.allclose(vote(chances, "soft"), [1.25 / 3, 1.75 / 3, 0])
    assert np.allclose(vote(chances, "hard"), [2 / 3, 1 / 3, 0])
    assert vote(np.array([[0.5, 0.5]]), "hard").argmax() == 0


def test_objects_of_actions_are_those_of_the_facts():
    from hand_bench.sim.objects import FPHA_OBJECT_NAMES, fpha_object

    h2o, fpha = TAXONOMIES["h2o"], TAXONOMIES["fpha"]
    assert (h2o.joints, len(h2o.actions), h2o.objects) == (42, 36, 8)
    assert (fpha.joints, len(fpha.actions), fpha.objects) == (21, 45, 26)
    assert [h2o.object_of[k] for k in (0, 7, 16, 22, 34, 35)] == [0, 7, 2, 4, 3, 2]
    named = [FPHA_OBJECT_NAMES[thing] for thing in fpha.object_of]
    assert named == [fpha_object(action) or "hand" for action in fpha.actions]
