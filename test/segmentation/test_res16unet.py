"""The backbone: Mask3D's parameters, and a U-Net that keeps its voxels."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the 3D segmenter needs torch")

from gcseg_ros.segmentation.res16unet import ARCHITECTURES, Res16UNet  # noqa: E402
from gcseg_ros.segmentation.sparse_tensor import SparseTensor  # noqa: E402

KEYS = Path(__file__).parents[2] / "../shared/data/res16unet34c_keys.json"


def cloud(count=300, extent=40, seed=0):
    torch.manual_seed(seed)
    coordinates = torch.cat([torch.zeros(count, 1), torch.randint(0, extent, (count, 3))], 1).long()
    return SparseTensor.of_points(coordinates, torch.randn(count, 3), "torch")[0]


def test_34c_has_all_parameters_of_mask3d():
    if not KEYS.is_file():
        pytest.skip(f"{KEYS.name} is not here")
    shapes = json.loads(KEYS.read_text())
    network = Res16UNet("34C")
    network.load_state_dict({name: torch.zeros(shape) for name, shape in shapes.items()}, strict=True)
    assert {name: list(p.shape) for name, p in network.state_dict().items()} == shapes


@pytest.mark.parametrize("architecture", ["14A", "tiny"])
def test_the_pyramid_goes_from_stride_16_to_the_inputs_voxels(architecture):
    network = Res16UNet(architecture).eval()
    x = cloud()
    with torch.no_grad():
        pyramid = network(x)
    assert [y.level.stride for y in pyramid] == [16, 8, 4, 2, 1]
    assert pyramid[-1].level is x.level
    assert (
        tuple(y.features.shape[1] for y in pyramid)
        == network.pyramid_channels
        == ARCHITECTURES[architecture].planes[3:]
    )


def test_every_parameter_but_the_unused_head_gets_a_gradient():
    network = Res16UNet("tiny")
    sum(y.features.square().mean() for y in network(cloud())).backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    assert without == {"final.kernel", "final.bias"}


def test_one_voxel_can_be_trained_on():
    """Batch normalisation has no variance there."""
    network = Res16UNet("tiny").train()
    pyramid = network(SparseTensor.of_points(torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 3), "torch")[0])
    assert torch.isfinite(pyramid[-1].features).all()
    pyramid[-1].features.sum().backward()
