"""The engine against MinkowskiEngine's own outputs, dense convolution, plain loops and numerical gradients."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the 3D segmenter needs torch")

from gcseg_ros.errors import UserError  # noqa: E402
from gcseg_ros.segmentation.backends import choose_backend  # noqa: E402
from gcseg_ros.segmentation.coordinates import LARGEST_EXTENT, Level, compact, spread  # noqa: E402
from gcseg_ros.segmentation.layers import SparseConvolution, SparseTransposedConvolution  # noqa: E402
from gcseg_ros.segmentation.sparse_tensor import SparseTensor  # noqa: E402

REFERENCE = Path(__file__).parents[2] / "../shared/data/minkowski_layers.npz"
CASES = {
    "conv1": lambda: SparseConvolution(8, 6, 1),
    "conv3": lambda: SparseConvolution(8, 6, 3),
    "conv5": lambda: SparseConvolution(8, 6, 5),
    "conv3_dil2": lambda: SparseConvolution(8, 6, 3, dilation=2),
    "down2": lambda: SparseConvolution(8, 6, 2, stride=2),
}


@pytest.fixture(scope="module")
def reference():
    if not REFERENCE.is_file():
        pytest.skip(f"{REFERENCE.name} is not here")
    return np.load(REFERENCE, allow_pickle=False)


def random_cloud(seed, count=60, extent=6, scenes=2, low=0, channels=3):
    """Distinct voxels and features in float64."""
    rng = np.random.default_rng(seed)
    xyz = rng.integers(low, low + extent, (count, 3))
    coordinates = np.unique(np.column_stack([rng.integers(0, scenes, count), xyz]), axis=0)
    features = rng.normal(size=(len(coordinates), channels))
    return torch.from_numpy(coordinates), torch.from_numpy(features)


def on_coordinates(x, coordinates):
    """Rows of the sparse tensor in the order of these coordinates."""
    row = {tuple(c): i for i, c in enumerate(x.coordinates.tolist())}
    assert len(row) == len(coordinates)
    return x.features[[row[tuple(c)] for c in coordinates.tolist()]]


def with_kernel(layer, kernel):
    layer = layer.double()
    layer.kernel.data = torch.as_tensor(kernel)
    return layer


@pytest.mark.parametrize("case", CASES)
def test_equals_minkowski_engine(reference, case):
    x, _ = SparseTensor.of_points(
        torch.from_numpy(reference["coords"]), torch.from_numpy(reference["features"]), "torch"
    )
    with torch.no_grad():
        out = with_kernel(CASES[case](), reference[f"{case}_kernel"])(x)
    expected = torch.from_numpy(reference[f"{case}_out"])
    torch.testing.assert_close(on_coordinates(out, reference[f"{case}_coords"]), expected, rtol=0, atol=1e-10)


def test_transposed_equals_minkowski_engine(reference):
    x, _ = SparseTensor.of_points(
        torch.from_numpy(reference["coords"]), torch.from_numpy(reference["features"]), "torch"
    )
    down = with_kernel(CASES["down2"](), reference["down2_kernel"])
    up = with_kernel(SparseTransposedConvolution(6, 5), reference["up2_kernel"])
    with torch.no_grad():
        out = up(down(x), onto=x)
    expected = torch.from_numpy(reference["up2_out"])
    torch.testing.assert_close(on_coordinates(out, reference["up2_coords"]), expected, rtol=0, atol=1e-10)


def plain_loops(coordinates, features, kernel, size, dilation, targets=None):
    """The definition: out[u] = sum over k of x[u + offset_k] W_k, x fastest. targets: the u, default all coordinates."""
    targets = coordinates if targets is None else targets
    at = {tuple(c): i for i, c in enumerate(coordinates.tolist())}
    out = np.zeros((len(targets), kernel.shape[2]))
    for u, (b, x, y, z) in enumerate(targets.tolist()):
        for k in range(size**3):
            dx, dy, dz = ((k // size**a % size - size // 2) * dilation for a in range(3))
            v = at.get((b, x + dx, y + dy, z + dz))
            if v is not None:
                out[u] += features[v] @ kernel[k]
    return out


@given(
    seed=st.integers(0, 10**6),
    low=st.sampled_from([-4, -2000, 0, 1021, 10**9]),
    size_dilation=st.sampled_from([(3, 1), (3, 2), (3, 9), (5, 1), (5, 3)]),
    channels=st.sampled_from([1, 4, 5]),
)
def test_equals_plain_loops_anywhere(seed, low, size_dilation, channels):
    size, dilation = size_dilation
    coordinates, features = random_cloud(seed, extent=6 * dilation, low=low, channels=channels)
    layer = SparseConvolution(channels, 3, size, dilation=dilation).double()
    order = torch.randperm(len(coordinates))
    x, rows = SparseTensor.of_points(coordinates[order], features[order], "torch")
    assert (x.coordinates[rows] == coordinates[order]).all()
    with torch.no_grad():
        out = layer(x)
    expected = plain_loops(coordinates, features.numpy(), layer.kernel.detach().numpy(), size, dilation)
    np.testing.assert_allclose(on_coordinates(out, coordinates).numpy(), expected, rtol=0, atol=1e-12)


def full_grid(scenes, edge, channels, low=0):
    """Every voxel of a cube, and the same as a dense (B, C, x, y, z) tensor."""
    axes = [torch.arange(n) for n in (scenes, edge, edge, edge)]
    coordinates = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).view(-1, 4)
    dense = torch.randn(scenes, channels, edge, edge, edge, dtype=torch.float64)
    features = dense.permute(0, 2, 3, 4, 1).reshape(-1, channels)
    shifted = coordinates.clone()
    shifted[:, 1:] += low
    return shifted, features, dense


@pytest.mark.parametrize(("size", "dilation", "channels"), [(3, 1, 5), (5, 1, 3), (3, 2, 5), (3, 1, 2)])
def test_forward_and_gradients_equal_dense_conv3d(size, dilation, channels):
    """Also tells that both gradients are right for several scenes at once."""
    torch.manual_seed(0)
    coordinates, features, dense = full_grid(2, 6, channels, low=-3)
    layer = SparseConvolution(channels, 4, size, dilation=dilation).double()
    features.requires_grad_()
    dense.requires_grad_()
    # (K, in, out) with x fastest -> (out, in, x, y, z)
    weight = layer.kernel.detach().view(size, size, size, channels, 4).permute(4, 3, 2, 1, 0).clone().requires_grad_()
    expected = torch.nn.functional.conv3d(dense, weight, padding=size // 2 * dilation, dilation=dilation)
    expected = expected.permute(0, 2, 3, 4, 1).reshape(-1, 4)
    x, rows = SparseTensor.of_points(coordinates, features, "torch")
    out = layer(x).features[rows]
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    weights = torch.randn_like(out)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(
        features.grad, dense.grad.permute(0, 2, 3, 4, 1).reshape(-1, channels), rtol=0, atol=1e-10
    )
    in_their_layout = layer.kernel.grad.view(size, size, size, channels, 4).permute(4, 3, 2, 1, 0)
    torch.testing.assert_close(in_their_layout, weight.grad, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_scaling_equals_dense_conv3d(size):
    torch.manual_seed(0)
    coordinates, features, dense = full_grid(2, 6, 3, low=-4)
    down = SparseConvolution(3, 4, size, stride=2).double()
    up = SparseTransposedConvolution(4, 2, size).double()

    def dense_kernel(kernel):
        return kernel.view(size, size, size, *kernel.shape[1:]).permute(4, 3, 2, 1, 0)

    padding = {"stride": 2, "padding": size // 2 if size % 2 else 0}
    coarse = torch.nn.functional.conv3d(dense, dense_kernel(down.kernel), **padding)
    up_kernel = dense_kernel(up.kernel).transpose(0, 1)
    fine = torch.nn.functional.conv_transpose3d(coarse, up_kernel, **padding, output_padding=size % 2)
    x, rows = SparseTensor.of_points(coordinates, features, "torch")
    out = up(down(x), onto=x).features[rows]
    torch.testing.assert_close(out, fine.permute(0, 2, 3, 4, 1).reshape(-1, 2), rtol=0, atol=1e-10)


@given(seed=st.integers(0, 10**6), low=st.sampled_from([-4, -1999, 0, 1021]), size=st.sampled_from([3, 5]))
def test_strided_kernels_of_odd_size_equal_plain_loops(seed, low, size):
    """MinkowskiEngine's convention: an output at floor(c / 2) * 2 of every voxel, offsets count from there."""
    coordinates, features = random_cloud(seed, low=low)
    layer = SparseConvolution(3, 2, size, stride=2).double()
    x, _ = SparseTensor.of_points(coordinates, features, "torch")
    with torch.no_grad():
        out = layer(x)
    corners = coordinates.clone()
    corners[:, 1:] = torch.div(corners[:, 1:], 2, rounding_mode="floor") * 2
    corners = torch.unique(corners, dim=0)
    at_corners = plain_loops(coordinates, features.numpy(), layer.kernel.detach().numpy(), size, 1, corners)
    np.testing.assert_allclose(on_coordinates(out, corners).numpy(), at_corners, rtol=0, atol=1e-12)


def test_layers_that_do_not_exist_are_refused():
    for size, stride, dilation in ((2, 1, 1), (4, 2, 1), (1, 2, 1), (3, 3, 1), (3, 2, 2)):
        with pytest.raises(ValueError, match="there are odd sizes with stride 1"):
            SparseConvolution(3, 2, size, stride, dilation)
    with pytest.raises(ValueError, match="there are sizes 2, 3"):
        SparseTransposedConvolution(3, 2, 4)


@pytest.mark.parametrize(
    ("size", "stride", "dilation", "channels"), [(3, 1, 1, 5), (3, 1, 2, 2), (5, 1, 1, 2), (2, 2, 1, 3), (3, 2, 1, 3)]
)
def test_gradients_are_numerically_right(size, stride, dilation, channels):
    torch.manual_seed(1)
    coordinates, features = random_cloud(3, count=25, extent=4, channels=channels)
    level, rows = Level.of_coordinates(coordinates, "torch")
    layer = SparseConvolution(channels, 2, size, stride, dilation).double()

    def run(x, kernel):
        return torch.func.functional_call(layer, {"kernel": kernel}, (SparseTensor(x, level),)).features

    x = features[torch.argsort(rows)].clone().requires_grad_()
    assert torch.autograd.gradcheck(run, (x, layer.kernel.detach().clone().requires_grad_()))


@pytest.mark.parametrize("size", [2, 3])
def test_transposed_gradients_are_numerically_right(size):
    coordinates, features = random_cloud(4, count=25, extent=4)
    fine, _ = SparseTensor.of_points(coordinates, features, "torch")
    coarse = fine.level.coarser.level
    layer = SparseTransposedConvolution(3, 2, size).double()
    x = torch.randn(len(coarse), 3, dtype=torch.float64, requires_grad=True)

    def run(x, kernel):
        return torch.func.functional_call(layer, {"kernel": kernel}, (SparseTensor(x, coarse), fine)).features

    assert torch.autograd.gradcheck(run, (x, layer.kernel.detach().clone().requires_grad_()))


def test_scenes_of_a_batch_do_not_touch():
    """A batch gives what its scenes give one by one, also where they lie at the same place."""
    layer = torch.nn.Sequential(
        SparseConvolution(3, 6, 3), SparseConvolution(6, 4, 2, 2), SparseConvolution(4, 4, 3)
    ).double()
    coordinates, features = random_cloud(5, count=200, scenes=3)
    with torch.no_grad():
        together = layer(SparseTensor.of_points(coordinates, features, "torch")[0])
        for scene in range(3):
            here = coordinates[:, 0] == scene
            alone = coordinates[here].clone()
            alone[:, 0] = 0
            out = layer(SparseTensor.of_points(alone, features[here], "torch")[0])
            torch.testing.assert_close(together.scenes()[scene], out.features)


def test_coarse_grids_lie_at_multiples_of_the_stride():
    """floor(c / 2) * 2, also for negative coordinates: where MinkowskiEngine has them."""
    coordinates, features = random_cloud(6, low=-3)
    x, _ = SparseTensor.of_points(coordinates, features, "torch")
    level = x.level
    for stride in (2, 4, 8, 16, 32):
        level = level.coarser.level
        expected = coordinates.clone()
        expected[:, 1:] = torch.div(coordinates[:, 1:], stride, rounding_mode="floor") * stride
        assert {tuple(c) for c in level.coordinates.tolist()} == {tuple(c) for c in expected.tolist()}


def test_average_pooling_is_the_mean_of_the_children():
    coordinates, features = random_cloud(7, count=100)
    x, _ = SparseTensor.of_points(coordinates, features, "torch")
    pooled = x.level.coarser.mean(x.features)
    for m in range(len(pooled)):
        torch.testing.assert_close(pooled[m], x.features[x.level.coarser.parent == m].mean(0))


def test_points_that_share_a_voxel_are_averaged():
    coordinates = torch.tensor([[0, 1, 1, 1], [0, 5, 5, 5], [0, 1, 1, 1]])
    x, rows = SparseTensor.of_points(coordinates, torch.tensor([[1.0], [7.0], [3.0]]), "torch")
    assert x.features[rows].flatten().tolist() == [2, 7, 2]


def test_no_voxels_give_no_voxels():
    x, _ = SparseTensor.of_points(torch.zeros(0, 4, dtype=torch.int64), torch.zeros(0, 3), "torch")
    assert SparseConvolution(3, 8, 1)(x).features.shape == (0, 8)
    assert x.scenes() == []


def test_bf16_is_near_fp32():
    coordinates, features = random_cloud(8, count=500, extent=10, channels=16)
    layer = SparseConvolution(16, 16, 3)
    x, _ = SparseTensor.of_points(coordinates, features.float(), "torch")
    with torch.no_grad():
        exact = layer(x).features
        with torch.autocast("cpu", torch.bfloat16):
            half = layer(x).features
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.02 * exact.norm()


def test_threads_do_not_disturb_each_other():
    """Scratch memory is a thread's own: eight threads at once give what one gives."""
    layer = torch.nn.Sequential(SparseConvolution(8, 16, 3), SparseConvolution(16, 8, 3))
    clouds = [random_cloud(seed, count=3000, extent=20, channels=8) for seed in range(8)]

    def run(cloud):
        with torch.no_grad():
            return layer(SparseTensor.of_points(cloud[0], cloud[1].float(), "torch")[0]).features

    expected = [run(cloud) for cloud in clouds]
    results = [None] * 8

    def work(i):
        results[i] = [run(clouds[i]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for several, alone in zip(results, expected):
        for result in several:
            torch.testing.assert_close(result, alone, rtol=0, atol=0)


def test_every_tensor_is_made_on_the_inputs_device():
    """A tensor made without naming the device would land on `meta` here, and mixing devices fails."""
    coordinates, features = random_cloud(9, count=300)
    layer = torch.nn.Sequential(SparseConvolution(3, 8, 5), SparseConvolution(8, 8, 3), SparseConvolution(8, 8, 2, 2))
    up = SparseTransposedConvolution(8, 4)
    features = features.float().requires_grad_()
    with torch.device("meta"):
        x, _ = SparseTensor.of_points(coordinates, features, "torch")
        y = layer[1](layer[0](x))
        up(layer[2](y), onto=y).features.sum().backward()
    assert features.grad.device.type == "cpu"


@pytest.mark.parametrize(
    ("coordinates", "words"),
    [
        (torch.tensor([[0, 0, 0, 0], [0, LARGEST_EXTENT, 0, 0]]), "extends over"),
        (torch.tensor([[-1, 0, 0, 0]]), "Batch indices"),
        (torch.tensor([[1000, 0, 0, 0]]), "Batch indices"),
        (torch.zeros(3, 3, dtype=torch.int64), r"\(N, 4\)"),
        (torch.zeros(3, 4), "integers"),
    ],
)
def test_impossible_coordinates_are_one_sentence(coordinates, words):
    with pytest.raises(UserError, match=words):
        Level.of_coordinates(coordinates, "torch")


def test_backends_are_chosen_by_name():
    assert choose_backend("auto", torch.device("cpu")).name == "torch"
    with pytest.raises(UserError, match="choose auto, torch"):
        choose_backend("fast", torch.device("cpu"))


@given(st.lists(st.integers(0, 2**19 - 1), min_size=1))
def test_spreading_bits_has_an_inverse(values):
    v = torch.tensor(values)
    assert torch.equal(compact(spread(v)), v)
    assert (spread(v) & (spread(v) >> 1)).eq(0).all()
