"""KPE and what it is compared to: golden values, geometry, the forms, shapes, types and devices."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.crops import apply, crop_affine, crop_intrinsics
from hand_baselines.kpe import (
    ENCODINGS,
    angles,
    cam_conv,
    camera_rays,
    dense,
    encode,
    encode_map,
    no_intrinsics,
    pcl_crop,
    pcl_grid,
    pcl_intrinsics,
    pcl_rotation,
    perspective_rotation,
    sparse,
)
from hand_bench.errors import BaselineError

#: EPIC's made-up camera in the letterbox picture (facts 3.2), and the box of the golden values.
EPIC = torch.tensor([[1000 * 224 / 1920, 0, 112], [0, 1000 * 224 / 1920, 112], [0, 0, 1]]).double()
BOX = torch.tensor([100.0, 90, 140, 150]).double()
#: A wide, uneven camera, and boxes away from its middle.
WIDE = torch.tensor([[90.0, 0, 104], [0, 100, 118], [0, 0, 1]]).double()
BOXES = torch.tensor([[150.0, 20, 210, 80], [10, 140, 50, 220], [90, 0, 130, 30]]).double()


def test_epics_letterbox_and_its_intrinsics():
    affine = crop_affine(np.array([0.0, -420, 1920, 1920]), 224)
    points = np.array([[960.0, 540], [0, 0], [1919, 1079], [1000, 500]])
    expected = [[112, 112], [0, 49], [223.8833, 174.8833], [116.6667, 107.3333]]
    assert np.allclose(apply(affine, points), expected, atol=1e-4)
    K = np.array([[1000.0, 0, 960], [0, 1000, 540], [0, 0, 1]])
    assert np.allclose(crop_intrinsics(K, affine), EPIC.numpy())


def test_the_angles_of_the_worked_example():
    corners = torch.tensor([[120.0, 120], [100, 90], [100, 150], [140, 90], [140, 150]]).double()
    expected = torch.tensor(
        [
            [0.068464, 0.068464],
            [-0.102497, -0.186383],
            [-0.102497, 0.314878],
            [0.235545, -0.186383],
            [0.235545, 0.314878],
        ]
    ).double()
    assert torch.allclose(angles(corners, EPIC), expected, atol=1e-6)


def test_the_sparse_encoding_of_the_worked_example():
    vector = sparse(BOX, EPIC)
    assert vector.shape == (80,)
    centre = [0.068411, 0.997657, 0.068411, 0.997657, 0.136501, 0.990640, 0.136501, 0.990640]
    corner = [-0.102317, 0.994752, -0.185306, 0.982681]
    assert torch.allclose(vector[:8], torch.tensor(centre).double(), atol=1e-6)
    assert torch.allclose(vector[16:20], torch.tensor(corner).double(), atol=1e-6)


def test_corners_go_left_top_left_bottom_right_top_right_bottom():
    first_sines = sparse(BOX, EPIC)[16:32:2].asin()
    x0, y0, x1, y1 = -0.102497, -0.186383, 0.235545, 0.314878
    expected = torch.tensor([x0, y0, x0, y1, x1, y0, x1, y1]).double()
    assert torch.allclose(first_sines, expected, atol=1e-6)


def test_values_are_encoded_by_frequency_then_value_then_sine_and_cosine():
    values = torch.tensor([0.1, -0.7, 2.0]).double()
    code = encode(values, 3)
    expected = [f(2**k * v) for k in range(3) for v in values.tolist() for f in (np.sin, np.cos)]
    assert torch.allclose(code, torch.tensor(expected).double())
    assert encode(values[None, None], 5).shape == (1, 1, 30)


def test_each_axis_has_its_own_focal_length_and_middle():
    points = torch.tensor([104.0 + 90, 118 - 100]).double()
    assert torch.allclose(angles(points, WIDE), torch.tensor([1.0, -1]).double() * torch.pi / 4)
    many = angles(points.expand(2, 4, 2), torch.stack([WIDE, EPIC])[:, None])
    assert many.shape == (2, 4, 2) and not torch.allclose(many[0], many[1])


def test_a_dense_map_holds_the_angles_of_the_boxs_pixels_with_y_along_the_rows():
    maps = dense(BOXES, WIDE, 7)
    assert maps.shape == (3, 16, 7, 7)
    x0, y0, x1, y1 = BOXES.unbind(-1)
    places = {
        (0, 0): (x0, y0),
        (0, 6): (x1, y0),
        (6, 0): (x0, y1),
        (6, 6): (x1, y1),
        (3, 3): ((x0 + x1) / 2, (y0 + y1) / 2),
        (2, 3): ((x0 + x1) / 2, y0 + (y1 - y0) / 3),
    }
    for (row, column), place in places.items():
        expected = encode(angles(torch.stack(place, dim=-1), WIDE))
        assert torch.allclose(maps[..., row, column], expected)


def test_camconv_holds_angles_centred_and_normalised_coordinates():
    maps = cam_conv(BOXES, WIDE, 5)
    assert maps.shape == (3, 6, 5, 5)
    point = torch.tensor([210.0, 20]).double()  # the first box's right upper corner
    expected = [*angles(point, WIDE), 210 - 104, 20 - 118, 420 / 224 - 1, 40 / 224 - 1]
    assert torch.allclose(maps[0, :, 0, 4], torch.tensor(expected).double())


def test_the_released_maps_are_transposed_and_lie_in_the_corner_of_an_empty_canvas():
    box = torch.tensor([150.0, 20, 190, 80]).double()
    canvas = dense(box, WIDE, 224, form="released")
    assert canvas.shape == (16, 224, 224)
    row, column = 39, 25
    expected = encode(angles(torch.tensor([150.0 + row, 20 + column]).double(), WIDE))
    assert torch.allclose(canvas[:, row, column], expected)
    assert not canvas[:, 40:].any() and not canvas[:, :, 60:].any()
    assert canvas[1, :40, :60].all()  # a cosine
    small = dense(box, WIDE, 7, form="released")
    step = 223 / 6  # the second place of seven lies between pixels 37 and 38
    between = (38 - step) * canvas[:, 37, 0] + (step - 37) * canvas[:, 38, 0]
    assert torch.allclose(small[:, 1, 0], between)
    assert not small[:, 2:].any() and not small[:, :, 3:].any()
    assert cam_conv(BOXES, WIDE, 7, form="released")[0, 2:4, 0, 0].tolist() == [150 - 104, 20 - 118]


def test_without_intrinsics_the_camera_is_a_right_angle_wide_or_left_out():
    K = torch.tensor([[112.0, 0, 112], [0, 112, 112], [0, 0, 1]]).double()
    assert torch.allclose(no_intrinsics(BOXES, atan=True), sparse(BOXES, K))
    plain = no_intrinsics(BOX, atan=False)
    x, y = 2 * 120 / 224 - 1, 2 * 90 / 224 - 1
    assert plain[:2].tolist() == pytest.approx([np.sin(x), np.cos(x)])
    assert plain[18:20].tolist() == pytest.approx([np.sin(y), np.cos(y)])
    assert plain[16 + 48 : 16 + 50].tolist() == pytest.approx(
        [np.sin(8 * (200 / 224 - 1)), np.cos(8 * (200 / 224 - 1))]
    )


def test_the_rotation_of_the_worked_example():
    expected = [
        [0.957826, 0.054063, 0.282216],
        [0, 0.982141, -0.188144],
        [-0.287348, 0.180209, 0.940721],
    ]
    ray = torch.tensor([0.3, -0.2, 1]).double()
    assert torch.allclose(pcl_rotation(ray), torch.tensor(expected).double(), atol=1e-6)
    assert torch.allclose(pcl_rotation(5 * ray), pcl_rotation(ray))


def corrections():
    return {
        "geometric": perspective_rotation(BOXES, WIDE),
        "released": perspective_rotation(BOXES, WIDE, form="released"),
        "pcl": pcl_rotation(camera_rays((BOXES[:, :2] + BOXES[:, 2:]) / 2, WIDE)),
    }


@pytest.mark.parametrize("name", ["geometric", "released", "pcl"])
def test_corrections_are_rotations(name):
    rotation = corrections()[name]
    assert rotation.shape == (3, 3, 3)
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).double().expand(3, 3, 3))
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(3).double())


@pytest.mark.parametrize("name", ["geometric", "pcl"])
def test_corrections_turn_the_optical_axis_onto_the_ray_of_the_crop(name):
    turned = corrections()[name] @ torch.tensor([0.0, 0, 1]).double()
    pixels = turned @ WIDE.T
    assert torch.allclose(pixels[:, :2] / pixels[:, 2:], (BOXES[:, :2] + BOXES[:, 2:]) / 2)


def test_the_geometric_correction_turns_about_y_then_about_the_level_x_axis():
    horizontal = torch.tensor([190.0, 108, 202, 128]).double()  # centre on the line y = cy
    a = np.arctan((196 - 104) / 90)
    about_y = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    assert np.allclose(perspective_rotation(horizontal, WIDE), about_y)


def test_the_released_correction_turns_by_the_horizontal_angle_about_x():
    def about(axis, angle):
        i, j = [(1, 2), (2, 0)][axis]
        matrix = np.eye(3)
        matrix[[i, j], [i, j]] = np.cos(angle)
        matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
        return matrix

    a, b = angles(torch.tensor([180.0, 50]).double(), WIDE).tolist()
    expected = about(0, -a) @ about(1, -b)
    assert np.allclose(perspective_rotation(BOXES[0], WIDE, form="released"), expected)


def test_a_pcl_grid_is_the_homography_of_the_virtual_camera():
    grid = pcl_grid(BOXES, WIDE, 9)
    rotation, virtual = corrections()["pcl"], pcl_intrinsics(BOXES, WIDE)
    projection = WIDE @ rotation @ torch.linalg.inv(virtual)
    for row, column in ((0, 0), (2, 7), (8, 3)):
        place = projection @ torch.tensor([column / 8, row / 8, 1]).double()
        assert torch.allclose(grid[:, row, column], place[:, :2] / place[:, 2:])


def test_in_its_middle_a_pcl_crop_is_as_large_as_the_longer_side_of_its_box():
    grid, step = pcl_grid(BOXES, WIDE, 1001), 1 / 500
    middle, longer = (BOXES[:, :2] + BOXES[:, 2:]) / 2, torch.tensor([60.0, 80, 40]).double()
    assert torch.allclose(grid[:, 500, 500], middle)
    across, down = grid[:, 500, 501] - grid[:, 500, 499], grid[:, 501, 500] - grid[:, 499, 500]
    assert torch.allclose(across[:, 0], longer * step, rtol=1e-4)
    assert torch.allclose(down[:, 1], longer * step, rtol=1e-4)
    assert (down[:, 0].abs() < 1e-4).all()  # what is upright in the middle stays upright


def test_a_pcl_crop_in_the_middle_of_the_camera_is_the_plain_crop():
    box = torch.tensor([74.0, 88, 134, 148]).double()
    grid, plain = pcl_grid(box, WIDE, 3), torch.tensor([74.0, 104, 134]).double()
    assert torch.allclose(grid[0, :, 0], plain) and torch.allclose(grid[:, 0, 1], plain + 14)


def test_a_pcl_crop_keeps_a_straight_line_straight():
    box, size = torch.tensor([[130.0, 10, 220, 100]]).double(), 101
    x, y = torch.meshgrid(*(torch.arange(224).double(),) * 2, indexing="xy")
    line = torch.tensor([0.8, -0.6, 0]).double()
    line[2] = -(line[0] * 188 + line[1] * 55)  # 13 pixels off the box's middle
    picture = torch.exp(-((line[0] * x + line[1] * y + line[2]) ** 2) / 8)[None, None]
    crop = pcl_crop(picture, box, WIDE, size)[0, 0, 20:81]
    found = (crop * torch.arange(size)).sum(-1) / crop.sum(-1) / (size - 1)
    to_picture = WIDE @ perspective_rotation(box, WIDE) @ pcl_intrinsics(box, WIDE).inverse()
    moved = (line @ to_picture)[0]
    expected = -(moved[1] * torch.arange(20, 81) / (size - 1) + moved[2]) / moved[0]
    assert (found - expected).abs().max() * (size - 1) < 0.5
    bend = found[1:-1] - (found[:-2] + found[2:]) / 2
    assert bend.abs().max() * (size - 1) < 0.1


def test_a_pcl_crop_has_the_middle_of_the_box_in_its_middle_and_zeros_outside():
    x, y = torch.meshgrid(*(torch.arange(224).double(),) * 2, indexing="xy")
    middle = (BOXES[:, :2] + BOXES[:, 2:]) / 2
    spots = [torch.exp(-((x - u) ** 2 + (y - v) ** 2) / 8) for u, v in middle]
    crops = pcl_crop(torch.stack(spots)[:, None], BOXES, WIDE, 65)
    assert crops.shape == (3, 1, 65, 65)
    assert crops.flatten(1).argmax(-1).tolist() == [32 * 65 + 32] * 3
    grid = pcl_grid(BOXES, WIDE, 65)
    outside = ((grid < -1) | (grid > 224)).any(-1)
    white = pcl_crop(torch.ones(3, 1, 224, 224), BOXES, WIDE, 65)
    assert outside[2].any() and not white[:, 0][outside].any()


def test_a_pcl_crop_is_sampled_bilinearly_at_its_grid():
    x, y = torch.meshgrid(*(torch.arange(224).double(),) * 2, indexing="xy")
    ramps = pcl_crop(torch.stack([x, y]).expand(3, 2, 224, 224), BOXES, WIDE, 16)
    grid = pcl_grid(BOXES, WIDE, 16)
    inside = ((grid >= 0) & (grid <= 223)).all(-1)
    assert torch.allclose(ramps.movedim(1, -1)[inside], grid[inside])


def test_what_is_behind_the_camera_is_outside_the_picture():
    K = torch.tensor([[20.0, 0, 112], [0, 20, 112], [0, 0, 1]])
    grid = pcl_grid(torch.tensor([0.0, 100, 224, 224]), K, 9)
    corner = pcl_grid(torch.tensor([112.0, 112, 336, 336]), K, 9)
    assert grid.isfinite().all() and corner.isfinite().all()
    assert corner[-1, -1].tolist() == [-1e4, -1e4]


def test_channels_are_the_papers():
    joins = {name: (e.channels, e.joins) for name, e in ENCODINGS.items()}
    assert joins == {
        "none": (0, "features"),
        "sparse": (80, "features"),
        "dense": (16, "features"),
        "sparse-input": (80, "input"),
        "dense-input": (16, "input"),
        "focal": (80, "features"),
        "coordinates": (80, "features"),
        "camconv": (6, "features"),
    }
    inputs = torch.cat([torch.ones(3, 3, 8, 8), encode_map("sparse-input", BOXES, WIDE, 8)], dim=1)
    assert inputs.shape == (3, 83, 8, 8)


@pytest.mark.parametrize("form", ["intended", "released"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_maps_are_those_of_the_functions(name, form):
    size = 12 if ENCODINGS[name].joins == "input" else 7
    maps = encode_map(name, BOXES, WIDE, size, form=form)
    assert maps.shape == (3, ENCODINGS[name].channels, size, size)
    expected = {
        "sparse": lambda: sparse(BOXES, WIDE)[..., None, None],
        "dense": lambda: dense(BOXES, WIDE, size, form=form),
        "focal": lambda: no_intrinsics(BOXES, atan=True)[..., None, None],
        "coordinates": lambda: no_intrinsics(BOXES, atan=False)[..., None, None],
        "camconv": lambda: cam_conv(BOXES, WIDE, size, form=form),
        "none": lambda: torch.empty(3, 0, size, size),
    }[name.removesuffix("-input")]()
    assert (maps == expected).all()


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_batch_is_its_samples_and_each_has_its_own_camera(name):
    K = torch.stack([WIDE, EPIC, WIDE + EPIC])
    maps = encode_map(name, BOXES, K, 7)
    for index in range(3):
        alone = encode_map(name, BOXES[index : index + 1], K[index], 7)
        assert torch.allclose(maps[index], alone[0])


def results(boxes, K, pictures):
    forms = ("intended", "released")
    maps = [encode_map(name, boxes, K, 7, form=form) for name in ENCODINGS for form in forms]
    turns = [perspective_rotation(boxes, K, form=form) for form in ("geometric", "released")]
    return [*maps, *turns, pcl_grid(boxes, K, 5), pcl_crop(pictures, boxes, K, 5)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_results_have_the_type_of_the_intrinsics_and_whole_boxes_will_do(dtype):
    pictures = torch.rand(3, 2, 224, 224, generator=torch.Generator().manual_seed(0))
    exact = results(BOXES, WIDE, pictures.double())
    found = results(BOXES.to(torch.int16), WIDE.to(dtype), pictures.to(dtype))
    assert {tensor.dtype for tensor in found} == {dtype}
    limit = {torch.float64: 1e-12, torch.float32: 1e-3}.get(dtype)
    for one, other in zip(found, exact, strict=True):
        assert one.isfinite().all()
        assert limit is None or torch.allclose(one.double(), other, rtol=limit, atol=limit)


def test_nothing_leaves_the_device():
    tensors = results(BOXES.to("meta"), WIDE.to("meta"), torch.ones(3, 2, 224, 224, device="meta"))
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize(
    "function",
    [
        sparse,
        lambda boxes, K: dense(boxes, K, 2),
        lambda boxes, K: cam_conv(boxes, K, 2),
        lambda boxes, K: pcl_grid(boxes, K, 2),
        perspective_rotation,
    ],
    ids=["sparse", "dense", "camconv", "pcl", "perspective"],
)
def test_gradients_flow_to_the_boxes_and_the_intrinsics(function):
    inputs = (BOXES[:2].clone().requires_grad_(), WIDE.clone().requires_grad_())
    assert torch.autograd.gradcheck(function, inputs)
    for slope in torch.autograd.functional.jacobian(function, inputs):
        assert slope.any()


def test_the_sparse_encoding_depends_on_focal_length_and_principal_point():
    jacobian = torch.autograd.functional.jacobian(lambda K: sparse(BOX, K), WIDE)
    assert jacobian.any(dim=0).tolist() == [[True, False, True], [False, True, True], [False] * 3]


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(BaselineError, match=r"(?s)no encoding 'spars'.*Did you mean 'sparse'"):
        encode_map("spars", BOXES, WIDE, 7)
    with pytest.raises(BaselineError, match="no form 'Released'"):
        dense(BOXES, WIDE, 7, form="Released")
    with pytest.raises(BaselineError, match=r"(?s)no form 'euler'.*geometric, released"):
        perspective_rotation(BOXES, WIDE, form="euler")
