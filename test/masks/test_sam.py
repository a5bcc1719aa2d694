"""Automatic masks of SAM and SAM 2: real code, tiny random networks; against the packages' own generators."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from tiny_networks import answering_nearby, tiny_sam, tiny_sam2

from gcseg_ros.config import FoundationConfig, MasksConfig, SamConfig
from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.masks import build_generator, sam, sam_networks
from gcseg_ros.masks.sam import SamGenerator, build_sam_generator, packed, unpacked
from gcseg_ros.masks.sam_networks import Sam2Images, SamImages, load_sam
from gcseg_ros.networks.runtime import Portions, Runtime
from gcseg_ros.views import InputConfig, ViewBuilder

CPU = Runtime.of(FoundationConfig(device="cpu"))
KNOBS = {
    "points_per_side": 5,
    "points_per_batch": 7,
    "pred_iou_thresh": 0.05,
    "stability_score_thresh": 0.3,
    "stability_score_offset": 0.3,
    "box_nms_thresh": 0.4,
    "crop_n_layers": 1,
    "crop_nms_thresh": 0.4,
    "crop_overlap_ratio": 0.3,
    "crop_n_points_downscale_factor": 2,
}


@pytest.fixture(scope="module")
def network():
    network = tiny_sam()
    return answering_nearby(network, network.mask_decoder, network.prompt_encoder)


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(0)
    v, u = np.mgrid[:72, :96]
    picture = np.repeat((40 * np.sin(v / 9) + 60)[..., None], 3, 2) + rng.normal(0, 5, (72, 96, 3))
    for _ in range(6):
        y, x, r = rng.uniform(10, 60), rng.uniform(10, 85), rng.uniform(5, 15)
        picture[(v - y) ** 2 + (u - x) ** 2 < r * r] = rng.uniform(0, 255, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def by_package(generator, picture):
    found = generator.generate(picture)
    shape = (0, *picture.shape[:2])
    binary = np.stack([mask["segmentation"] for mask in found]) if found else np.zeros(shape, bool)
    return binary.astype(bool), np.array([mask["predicted_iou"] for mask in found])


@pytest.mark.parametrize(
    "changed",
    [{}, {"crop_n_layers": 0}, {"min_mask_region_area": 60}, {"points_per_batch": 64}, {"box_nms_thresh": 1.0, "crop_nms_thresh": 1.0}],
)  # fmt: skip
def test_the_same_masks_as_segment_anything_for_the_same_knobs(network, picture, changed):
    knobs = {**KNOBS, **changed}
    theirs, scores = by_package(SamAutomaticMaskGenerator(network, **knobs), picture)
    generator = SamGenerator(SamConfig(scales="together", **knobs), SamImages(network), CPU)
    (ours,) = generator.scales(picture)
    assert len(theirs) > 10
    np.testing.assert_array_equal(ours.binary, theirs)
    np.testing.assert_allclose(ours.score, scores, rtol=1e-6)


@pytest.mark.parametrize("changed", [{}, {"min_mask_region_area": 60}])
def test_scales_apart_are_what_the_package_gives_when_it_is_shown_one_scale(network, picture, changed):
    """Largest, middle and smallest mask of every point, each scale with its own search for duplicates."""
    knobs = {**KNOBS, **changed}
    ours = SamGenerator(SamConfig(scales="apart", **knobs), SamImages(network), CPU).scales(picture)
    assert [masks.fine.all() for masks in ours] == [True, True, False]
    for scale, masks in enumerate(ours):
        package = SamAutomaticMaskGenerator(network, **knobs)
        package.predictor.predict_torch = only_scale(package.predictor.predict_torch, scale)
        theirs, _ = by_package(package, picture)
        assert len(theirs) > 3
        np.testing.assert_array_equal(masks.binary, theirs)


def only_scale(predict, scale):
    def sliced(*arguments, **options):
        masks, iou, low = predict(*arguments, **options)
        rank = (masks > 0).sum((2, 3)).argsort(dim=1, stable=True)[:, scale]
        rows = torch.arange(len(masks))
        return masks[rows, rank][:, None], iou[rows, rank][:, None], low

    return sliced


def test_crops_encoded_together_are_the_crops_encoded_one_by_one(network, picture):
    alone, together = (
        SamGenerator(SamConfig(crops_per_batch=n, **KNOBS), SamImages(network), CPU).scales(picture) for n in (1, 5)
    )
    for a, b in zip(alone, together):
        assert abs(len(a) - len(b)) <= 1  # rounding differs with the size of a batch
        common = min(len(a), len(b))
        assert (a.binary[:common] == b.binary[:common]).mean() > 0.99


def view_of(picture, width):
    camera = CameraIntrinsics(96, 72, 90, 90, 47.5, 35.5)
    depth = np.full((72, 96), 2, np.float32)
    return ViewBuilder(InputConfig(working_width_px=width))(Frame("0", 0.0, picture, depth, camera, np.eye(4)))


def test_proposals_are_the_masks_without_the_redundant_ones(network, picture):
    generator = SamGenerator(SamConfig(**KNOBS), SamImages(network), CPU)
    view = view_of(picture, 96)
    proposals = generator(view)
    subpart, part, whole = generator.scales(picture)
    kept = list(whole.binary)
    kept += [
        m for fine in (subpart, part) for m in fine.binary if all((m & M).sum() <= 0.8 * m.sum() for M in whole.binary)
    ]
    assert set(np.unique(proposals.detections)) <= set(range(len(kept) + 1))
    np.testing.assert_array_equal(proposals.detections > 0, np.any(kept, axis=0))
    assert len(proposals.levels) == 3
    covered = np.any([*subpart.binary, *part.binary, *whole.binary], axis=0)
    np.testing.assert_array_equal(proposals.levels[0] > 0, covered)
    assert len(np.unique(proposals.levels[0])) > len(np.unique(proposals.levels[2]))


def test_there_are_no_masks_where_there_is_no_depth(network, picture):
    generator = SamGenerator(SamConfig(**KNOBS), SamImages(network), CPU)
    view = view_of(picture, 96)
    window = np.zeros_like(view.depth_m, bool)
    window[10:40, 30:70] = True
    whole, cut = generator(view), generator(replace(view, depth_m=np.where(window, 0, view.depth_m)))
    assert (whole.detections[window] > 0).any()
    for before, after in zip((whole.detections, *whole.levels), (cut.detections, *cut.levels)):
        np.testing.assert_array_equal(after, np.where(window, 0, before))


def test_masks_are_found_in_the_picture_and_reduced_to_the_view(network, picture):
    generator = SamGenerator(SamConfig(**KNOBS), SamImages(network), CPU)
    view = view_of(picture, 64)
    view = replace(view, depth_m=view.depth_m[:36, :48])
    assert generator(replace(view, depth_m=np.full((36, 48), 2, np.float32))).detections.shape == (36, 48)
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2, :1] = True  # half of one block
    masks[1, 3, 3] = True  # a quarter of one
    small = unpacked(packed(masks), (4, 4), (2, 2))
    assert small.tolist() == [[[True, False], [False, False]], [[False, False], [False, False]]]


def test_masks_are_unpacked_a_few_at_a_time(monkeypatch):
    """All at once, 500 masks of a picture of 1920 x 1440 pixels would take 1.4 GB."""
    masks = torch.from_numpy(np.random.default_rng(0).random((7, 6, 9)) < 0.5)
    blocks = masks.numpy().reshape(7, 2, 3, 3, 3).sum(axis=(2, 4)) >= 4.5
    at_once, unpackbits = [], np.unpackbits
    monkeypatch.setattr(sam, "UNPACKED", 2 * 6 * 9)
    monkeypatch.setattr(np, "unpackbits", lambda rows, **how: at_once.append(len(rows)) or unpackbits(rows, **how))
    np.testing.assert_array_equal(unpacked(packed(masks), (6, 9), (2, 3)), blocks)
    np.testing.assert_array_equal(unpacked(packed(masks), (6, 9), (6, 9)), masks)
    assert at_once == [2, 2, 2, 1] * 2


def test_a_picture_without_masks(network, picture):
    generator = SamGenerator(
        SamConfig(**{**KNOBS, "pred_iou_thresh": 1.0, "min_mask_region_area": 9}), SamImages(network), CPU
    )
    proposals = generator(view_of(picture, 96))
    assert proposals.detections.max() == 0
    assert [level.max() for level in proposals.levels] == [0, 0, 0]


def test_sam2_gives_the_masks_of_its_own_generator(picture):
    network = tiny_sam2()
    answering_nearby(network, network.sam_mask_decoder, network.sam_prompt_encoder)
    knobs = {**KNOBS, "stability_score_thresh": 0.2, "pred_iou_thresh": 0.01}
    package = SAM2AutomaticMaskGenerator(network, **knobs)
    images = Sam2Images(network)
    package.predictor._bb_feat_sizes = images.predictor._bb_feat_sizes
    theirs, scores = by_package(package, picture)
    (ours,) = SamGenerator(SamConfig(scales="together", **knobs), images, CPU).scales(picture)
    assert len(theirs) > 5
    np.testing.assert_array_equal(ours.binary, theirs)
    np.testing.assert_allclose(ours.score, scores, rtol=1e-6)


# -- files ------------------------------------------------------------------------------------------------------------


def test_the_architecture_is_read_off_the_checkpoint(picture, tmp_path):
    network = tiny_sam()
    torch.save(network.state_dict(), tmp_path / "sam.pth")
    config = MasksConfig(generator="sam", sam=SamConfig(weights=str(tmp_path / "sam.pth"), **KNOBS))
    generator = build_generator(config, FoundationConfig(device="cpu"))
    expected = SamGenerator(SamConfig(**KNOBS), SamImages(network), CPU)
    for ours, theirs in zip(generator.scales(picture), expected.scales(picture)):
        np.testing.assert_array_equal(ours.binary, theirs.binary)
    again = build_generator(config, FoundationConfig(device="cpu"))
    assert again.images.network is generator.images.network, "one copy in memory"


def test_the_three_published_sizes():
    with torch.device("meta"):
        for name in ("vit_b", "vit_l", "vit_h"):
            package = sam_model_registry[name]()
            state, theirs = package.state_dict(), package.image_encoder
            built = sam_networks._sam_of_shapes(state)
            assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in state.items()}
            assert [b.window_size for b in built.image_encoder.blocks] == [b.window_size for b in theirs.blocks]
            assert built.image_encoder.blocks[0].attn.num_heads == theirs.blocks[0].attn.num_heads


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("/tmp/gcseg_evil"),))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a checkpoint", "cannot be read as a checkpoint of SAM"),
        ({"a": torch.zeros(3)}, "no checkpoint of SAM or MobileSAM.*gcseg weights list"),
        ([1, 2], "holds no parameters"),
        ({"model": Evil()}, "cannot be read"),
    ],
)
def test_wrong_files(tmp_path, content, says):
    file = tmp_path / "wrong.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(UserError, match=says):
        load_sam(file, CPU)
    assert not Path("/tmp/gcseg_evil").exists()


def test_a_truncated_or_changed_checkpoint(network, tmp_path):
    file = tmp_path / "sam.pth"
    torch.save(network.state_dict(), file)
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(UserError, match="cannot be read"):
        load_sam(file, CPU)
    state = network.state_dict()
    state["mask_decoder.iou_token.weight"] = state.pop("mask_decoder.iou_token.weight")[:, :3]
    torch.save(state, file)
    with pytest.raises(UserError, match=r"1 parameters .*mask_decoder\.iou_token\.weight"):
        load_sam(file, CPU)


def test_missing_weights_and_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("GCSEG_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(UserError, match="gcseg weights fetch sam-vit-h"):
        build_sam_generator(MasksConfig(generator="sam"), FoundationConfig(device="cpu"))
    with pytest.raises(UserError, match=r"foundation.device must be"):
        Runtime.of(FoundationConfig(device="quantum"))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"finds no GPU.*foundation\.device=cpu"):
            build_sam_generator(MasksConfig(generator="sam"), FoundationConfig(device="cuda"))


def test_a_missing_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package torch"):
        build_generator(MasksConfig(generator="sam"))


def test_a_full_gpu_halves_what_goes_through_at_once_and_says_so_then_gives_up(network, picture, caplog):
    images, asked = SamImages(network), []
    predict = images.predict

    def limited(index, points):
        asked.append(len(points))
        if len(points) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return predict(index, points)

    images.predict = limited
    generator = SamGenerator(SamConfig(**{**KNOBS, "points_per_batch": 8}), images, CPU)
    limit = 4
    masks = generator.scales(picture)
    assert "going on with half of masks.sam.points_per_batch" in caplog.text
    expected = SamGenerator(SamConfig(**{**KNOBS, "points_per_batch": 4}), SamImages(network), CPU).scales(picture)
    for ours, theirs in zip(masks, expected):
        np.testing.assert_array_equal(ours.binary, theirs.binary)
    limit = 2
    with pytest.raises(UserError, match=r"also with half as much.*lower masks\.sam\.points_per_batch"):
        generator.scales(picture)
    assert max(asked) == 8
    assert Portions("x").of(5) == 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same_masks(picture, tmp_path):
    torch.save(tiny_sam().state_dict(), tmp_path / "sam.pth")
    config = MasksConfig(generator="sam", sam=SamConfig(weights=str(tmp_path / "sam.pth"), **KNOBS))
    on_cpu, on_gpu = (
        build_sam_generator(config, FoundationConfig(device=device, precision="float32")).scales(picture)
        for device in ("cpu", "cuda")
    )
    assert sum(len(masks) for masks in on_cpu) > 0
    for a, b in zip(on_cpu, on_gpu, strict=True):
        assert abs(len(a) - len(b)) <= 1  # rounding differs
        common = min(len(a), len(b))
        assert not common or (a.binary[:common] == b.binary[:common]).mean() > 0.95
