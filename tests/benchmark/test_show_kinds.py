"""Samples as pictures beyond 3D in camera space: views of a world, palms, 2D, withheld truth."""

import numpy as np
import pytest

from benchmark import small_tracks
from hand_bench.data import open_annotations
from hand_bench.errors import TrackError
from hand_bench.predictions import open_for_track
from hand_bench.show import read_samples, sample_figure, show


def read(made, path, *rows):
    source = open_for_track(path, made.track)
    annotations = open_annotations(made.track, made.annotations)
    names = [made.sample_id[row] for row in rows]
    return read_samples(source, annotations, made.track, names)


def drawn(made, folder, row=1, joints=None, **options):
    """The sample and its figure, drawn to a file as well."""
    path = made.write(folder / "p.parquet", made.noisy() if joints is None else joints, **options)
    (sample,) = read(made, path, row)
    out = show(path, track=made.track, annotations=made.annotations,
               sample=made.sample_id[row], out=folder / "a.png")  # fmt: skip
    assert out.stat().st_size > 10_000
    return sample, sample_figure(sample, made.track.name)


def test_the_first_view_with_a_picture_is_drawn_over(tmp_path):
    made = small_tracks.world_track(tmp_path, images=True)
    sample, figure = drawn(made, tmp_path)
    over_image, aligned, absolute = figure.axes
    assert sample.view.camera == "side" and over_image.get_title() == "camera side (its axes in 3D)"
    assert over_image.images[0].get_array().shape == (480, 640, 3) and not over_image.texts
    truth = small_tracks.side_view(made.joints[1, 0].astype(float))
    np.testing.assert_allclose(over_image.lines[0].get_xydata()[0], truth[0], atol=0.01)
    assert [aligned.get_title(), absolute.get_title()] == [
        "wrists aligned (MPJPE)",
        "in the world (MEPE)",
    ]


def test_without_pictures_the_first_view_is_drawn_on_a_plain_ground(tmp_path):
    sample, figure = drawn(small_tracks.world_track(tmp_path), tmp_path)
    assert sample.view.camera == "front"
    assert figure.axes[0].texts[0].get_text() == "the picture is not on this machine"
    assert len(figure.axes[0].lines) == 20


def test_views_of_several_samples_are_their_own(tmp_path):
    made = small_tracks.world_track(tmp_path)
    samples = read(made, made.write(tmp_path / "p.parquet", made.noisy()), 9, 2)
    assert [s.sample_id for s in samples] == [made.sample_id[9], made.sample_id[2]]
    assert all(s.view.camera == "front" for s in samples)


def test_without_views_hands_are_drawn_in_3d_only(tmp_path):
    sample, figure = drawn(small_tracks.world_track(tmp_path, views=False), tmp_path)
    assert sample.view is None and len(figure.axes) == 2
    assert figure.axes[0].get_ylabel() == "z, mm"
    assert "no view of this sample is known: in 3D only" in figure.get_suptitle()


def test_withheld_truth_leaves_the_prediction(tmp_path):
    made = small_tracks.world_track(tmp_path, "assemblyhands-two-hand", truth=False, images=True)
    _, figure = drawn(made, tmp_path)
    assert "right hand: predicted, truth withheld" in figure.get_suptitle()
    assert [axes.get_title() for axes in figure.axes[1:]] == ["as predicted"]
    assert [len(axes.lines) for axes in figure.axes] == [10, 10]
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert not [key for key in keys if "truth" in key]


def test_root_relative_hands_of_a_world_are_drawn_at_the_true_wrist(tmp_path):
    made = small_tracks.world_track(tmp_path)
    joints = made.noisy() - made.joints[..., :1, :]
    sample, figure = drawn(made, tmp_path, joints=joints, frame="root-relative")
    assert sample.hands[0].mepe is None
    assert figure.axes[2].get_title() == "root-relative: no place in the world"
    first = [line.get_xydata()[0] for line in figure.axes[0].lines]
    np.testing.assert_allclose(first[0], first[10], atol=0.01)


def test_a_palm_is_no_wrist(tmp_path):
    made = small_tracks.camera_track(tmp_path, "stb", sides=("left",))
    _, figure = drawn(made, tmp_path)
    assert figure.axes[1].get_title() == "palms aligned (MPJPE)"
    assert "right hand: not annotated" in figure.get_suptitle()


def test_without_k_hands_are_drawn_in_3d_only(tmp_path):
    made = small_tracks.camera_track(tmp_path, "fpha-pose", sides=("right",), with_k=False)
    _, figure = drawn(made, tmp_path)
    assert len(figure.axes) == 2
    assert "no camera (K) of this sample is known: in 3D only" in figure.get_suptitle()


def test_2d_hands_are_drawn_over_the_whole_image_and_close_by(tmp_path):
    made = small_tracks.planar_track(tmp_path, images=True)
    sample, figure = drawn(made, tmp_path, row=0)
    whole, near = figure.axes
    assert [whole.get_title(), near.get_title()] == ["whole image", "around the hands"]
    assert not whole.texts and whole.get_xlim() == (-0.5, 639.5)
    left, right = near.get_xlim()
    assert 0 <= left < right <= 640 and right - left < 400
    shown = np.stack([line.get_xydata()[0] for line in whole.lines[5:]])
    np.testing.assert_allclose(shown[0], made.noisy()[0, 1, 0], atol=0.01)
    assert sample.hands[1].errors["l2"] > 0
    title = figure.get_suptitle()
    assert "right hand: not annotated" in title
    assert "left hand: L2 error 2D" in title and "px, PCK@0.2 100 %" in title


def test_2d_errors_are_those_of_the_errors_file(tmp_path):
    import pyarrow.parquet as pq

    from hand_bench import evaluate

    made = small_tracks.planar_track(tmp_path)
    path = made.write(tmp_path / "p.parquet", made.noisy())
    evaluate(path, track=made.track, annotations=made.annotations, resamples=0,
             errors=tmp_path / "e.parquet")  # fmt: skip
    rows = pq.read_table(tmp_path / "e.parquet").to_pylist()
    for sample, row in zip(read(made, path, *range(8)), rows, strict=False):
        for hand in sample.hands:
            assert hand.errors == {k: row[f"{hand.side}_{k}"] for k in ("l2", "pck")}


def test_clips_cannot_be_drawn(tmp_path):
    made = small_tracks.clip_track(tmp_path)
    path = made.write(tmp_path / "p.parquet", label=made.label)
    with pytest.raises(
        TrackError, match=r"HB302 h2o-action-val: has clips and no poses.*\n.*report"
    ):
        show(path, track=made.track, annotations=made.annotations, sample="a", out="a.png")
