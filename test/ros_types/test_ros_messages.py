"""Messages to arrays: encodings, row padding, byte order, REP-118, camera_info, poses."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.frames import rigid
from gcseg_ros.ros_types.messages import (
    compressed_depth_to_m,
    compressed_to_rgb,
    image_to_depth_m,
    image_to_rgb,
    intrinsics_from_info,
    nanoseconds,
    pose_matrix,
    seconds,
    stamp_ns,
    to_depth_m,
    to_rgb,
)

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 9))


def image(pixels, encoding, padding=0, bigendian=False, changes=None):
    """A sensor_msgs/Image whose rows are followed by `padding` bytes of rubbish."""
    pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">" if bigendian else "<"))
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    fields = {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": int(bigendian),
        "step": rows.shape[1],
        "data": rows.tobytes(),
    }
    return SimpleNamespace(**{**fields, **(changes or {})})


def compressed(pixels, suffix=".png", header=b"", format="png"):
    ok, data = cv2.imencode(suffix, pixels)
    assert ok
    return SimpleNamespace(format=format, data=header + data.tobytes())


@given(
    pixels=SIZES.flatmap(lambda size: hnp.arrays(np.uint8, (*size, 4))),
    padding=st.integers(0, 5),
    order=st.sampled_from([("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2, 3]), ("bgra8", [2, 1, 0, 3])]),
)
def test_colour_channels_and_padding(pixels, padding, order):
    encoding, channels = order
    msg = image(pixels[..., channels], encoding, padding)
    rgb = image_to_rgb(msg)
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, pixels[..., :3])
    deep = image(pixels[..., channels].astype(np.uint16) << 8, encoding.replace("8", "16"), padding)
    np.testing.assert_array_equal(image_to_rgb(deep), rgb)
    np.testing.assert_array_equal(to_rgb(msg), rgb)


@given(SIZES.flatmap(lambda size: hnp.arrays(np.uint16, size)), st.integers(0, 5), st.booleans())
def test_grey_becomes_three_equal_channels(pixels, padding, bigendian):
    grey = (pixels >> 8).astype(np.uint8)
    expected = np.repeat(grey[..., None], 3, 2)
    np.testing.assert_array_equal(image_to_rgb(image(grey, "mono8", padding)), expected)
    np.testing.assert_array_equal(image_to_rgb(image(pixels, "mono16", padding, bigendian)), expected)


@pytest.mark.parametrize(
    ("encoding", "pattern"),
    [
        ("bayer_rggb8", [[0, 1], [1, 2]]),
        ("bayer_bggr8", [[2, 1], [1, 0]]),
        ("bayer_gbrg8", [[1, 2], [0, 1]]),
        ("bayer_grbg8", [[1, 0], [2, 1]]),
    ],
)
def test_bayer_patterns_give_back_a_plain_colour(encoding, pattern):
    colour = np.array([200, 100, 50], np.uint8)
    mosaic = np.tile(colour[np.array(pattern)], (4, 4))
    plain = np.broadcast_to(colour, (4, 4, 3))
    np.testing.assert_array_equal(image_to_rgb(image(mosaic, encoding))[2:-2, 2:-2], plain)
    deep, deep_encoding = mosaic.astype(np.uint16) << 8, encoding.replace("8", "16")
    still = image(deep, deep_encoding, padding=4, bigendian=True)
    np.testing.assert_array_equal(image_to_rgb(still)[2:-2, 2:-2], plain)
    still = compressed(deep, format=f"{deep_encoding}; png compressed ")
    np.testing.assert_array_equal(compressed_to_rgb(still)[2:-2, 2:-2], plain)
    still = compressed(mosaic, format=f"{encoding}; png compressed ")
    np.testing.assert_array_equal(compressed_to_rgb(still)[2:-2, 2:-2], plain)
    for converted in ("mono8", "bgr8"):
        grey = compressed(mosaic, format=f"{encoding}; png compressed {converted}")
        np.testing.assert_array_equal(compressed_to_rgb(grey), np.repeat(mosaic[..., None], 3, 2))
    whole = compressed(np.ascontiguousarray(plain[..., ::-1]), ".jpg", format=f"{encoding}; jpeg compressed ")
    np.testing.assert_allclose(compressed_to_rgb(whole), plain, atol=3)


@pytest.mark.parametrize(("encoding", "order"), [("yuv422_yuy2", "yuyv"), ("uyvy", "uyvy"), ("yuv422", "uyvy")])
def test_yuv422_of_a_grey_ramp(encoding, order):
    luma = np.tile(np.arange(16, 232, 27, dtype=np.uint8), (4, 1))  # BT.601 video range, chroma 128 = none
    packed = np.stack([luma, np.full_like(luma, 128)] if order == "yuyv" else [np.full_like(luma, 128), luma], -1)
    rgb = image_to_rgb(image(packed, encoding))
    np.testing.assert_allclose(rgb, np.repeat(((luma - 16.0) * 255 / 219)[..., None], 3, 2), atol=1.5)


@pytest.mark.parametrize("encoding", ["yuv422_yuy2", "yuyv", "uyvy", "yuv422"])
def test_yuv422_of_an_odd_width_is_refused(encoding):
    with pytest.raises(UserError, match=rf"encoding {encoding} must have an even width.*; found 7"):
        image_to_rgb(image(np.zeros((4, 7, 2), np.uint8), encoding))


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_yuv420_of_two_colours(encoding):
    rgb = np.repeat([[(200, 40, 40), (40, 40, 200)]], 4, 0).repeat(4, 1).astype(np.uint8)
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)  # Y, then all of U and all of V
    shared = yuv[4:].reshape(2, 2, 4)[[0, 1] if encoding == "nv12" else [1, 0]]
    interleaved = np.concatenate([yuv[:4], np.moveaxis(shared, 0, -1).reshape(2, 8)])
    msg = image(interleaved, encoding, padding=3, changes={"height": 4})
    np.testing.assert_allclose(image_to_rgb(msg), rgb, atol=3)
    for changes in ({"height": 3}, {"width": 7}):
        with pytest.raises(UserError, match="even width and height"):
            image_to_rgb(image(interleaved, encoding, changes={"height": 4, **changes}))
    with pytest.raises(UserError, match=f"8x4 image of encoding {encoding} needs 6 rows"):
        image_to_rgb(image(interleaved[:5], encoding, changes={"height": 4}))


@given(SIZES.flatmap(lambda size: hnp.arrays(np.uint16, size)), st.integers(0, 5), st.booleans())
def test_integer_depth_is_millimetres(pixels, padding, bigendian):
    for encoding in ("16UC1", "mono16"):
        msg = image(pixels, encoding, padding, bigendian)
        depth = image_to_depth_m(msg)
        assert depth.dtype == np.float32
        np.testing.assert_array_equal(depth, pixels.astype(np.float32) * np.float32(0.001))
        np.testing.assert_array_equal(to_depth_m(msg), depth)


@given(SIZES.flatmap(lambda size: hnp.arrays(np.float32, size)), st.integers(0, 5), st.booleans())
def test_float_depth_is_metres_and_odd_values_are_none(pixels, padding, bigendian):
    depth = image_to_depth_m(image(pixels, "32FC1", padding, bigendian))
    usable = np.isfinite(pixels) & (pixels > 0)
    np.testing.assert_array_equal(depth[usable], pixels[usable])
    assert (depth[~usable] == 0).all()


def test_last_row_may_lack_its_padding():
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    msg = image(pixels, "16UC1", padding=6)
    msg.data = msg.data[:-6]
    np.testing.assert_array_equal(image_to_depth_m(msg), image_to_depth_m(image(pixels, "16UC1")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 3}, "at least 8 bytes"),  # rows that overlap
        ({"height": 4}, "truncated"),
        ({"data": b""}, "found step=8 and 0 bytes"),
        ({"width": 0}, "0x3 image"),
        ({"encoding": "rgb8"}, "must be 16UC1"),
        ({"encoding": ""}, "encoding ''"),
    ],
)
def test_depth_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        image_to_depth_m(image(np.ones((3, 4), np.uint16), "16UC1", changes=changes))


def test_depth_on_the_colour_topic_is_refused():
    with pytest.raises(UserError, match="is this the colour topic"):
        image_to_rgb(image(np.ones((3, 4), np.float32), "32FC1"))


def test_compressed_colour():
    bgr = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    np.testing.assert_array_equal(compressed_to_rgb(compressed(bgr)), bgr[..., ::-1])
    smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    np.testing.assert_allclose(to_rgb(compressed(smooth, ".jpg")), smooth[..., ::-1], atol=3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0, 0.3, 0.7, 0.99])
def test_truncated_compressed_colour_is_refused(suffix, share):
    msg = compressed(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8), suffix)
    msg.data = msg.data[: int(share * len(msg.data))]
    with pytest.raises(UserError, match="whole jpeg or png"):
        compressed_to_rgb(msg)


def test_a_message_that_would_fill_the_memory_is_refused():
    huge = compressed(np.zeros((1, 8193), np.uint16))
    for to_array in (to_rgb, to_depth_m):
        with pytest.raises(UserError, match=r"The image has 8193x1 pixels, more than 8192 a side"):
            to_array(huge)


@pytest.mark.parametrize(
    "before", [b"\xff\x01", b"\xff\xd0", b"\xff\x00", b"\xff\xff", b"\xff\xfe\0\0"], ids=lambda marker: marker.hex()
)
def test_no_marker_hides_the_size_of_a_jpeg(before):
    huge = compressed(np.zeros((1, 8193, 3), np.uint8), ".jpg")
    huge.data = huge.data[:2] + before + huge.data[2:]
    with pytest.raises(UserError, match=r"The image has 8193x1 pixels, more than 8192 a side"):
        to_rgb(huge)


@pytest.mark.parametrize("suffix", [".bmp", ".tiff", ".webp"])
def test_formats_whose_size_nobody_looks_at_are_refused(suffix):
    """A kilobyte of them may decode to gigabytes."""
    with pytest.raises(UserError, match=r"must be a whole jpeg or png; .* set the publisher's format to one of these"):
        to_rgb(compressed(np.zeros((8, 8, 3), np.uint8), suffix))


def test_compressed_depth_with_and_without_header():
    mm = np.random.default_rng(0).integers(0, 60000, (6, 8), np.uint16)
    expected = mm.astype(np.float32) * np.float32(0.001)
    for header, format in (
        (b"\0" * 12, "16UC1; compressedDepth png"),
        (b"\0" * 12, "16UC1; compressedDepth"),
        (b"", "16UC1; png"),
    ):
        msg = compressed(mm, header=header, format=format)
        np.testing.assert_array_equal(to_depth_m(msg), expected)


def test_compressed_inverse_depth():
    a, b = 101.0, 1.25  # depth = a / (raw - b), compressed_depth_image_transport
    depth = np.array([[0.5, 1.0, 2.0, 5.0]], np.float32)
    raw = np.append(np.rint(a / depth + b), [[0]], 1).astype(np.uint16)
    header = np.array([1], "<i4").tobytes() + np.array([a, b], "<f4").tobytes()
    found = compressed_depth_to_m(compressed(raw, header=header, format="32FC1; compressedDepth png"))
    np.testing.assert_allclose(found[0, :4], depth[0], rtol=0.03)
    assert found[0, 4] == 0


def rvl(depth):
    """As CompressRVL of the publication, and the size before it as image_transport has it."""
    nibbles = []

    def write(value):
        while True:
            nibbles.append(value & 7 | (8 if value > 7 else 0))
            value >>= 3
            if not value:
                return

    rest, previous = depth.ravel().tolist(), 0
    while rest:
        zeros = next((i for i, value in enumerate(rest) if value), len(rest))
        others = next((i for i, value in enumerate(rest[zeros:]) if not value), len(rest) - zeros)
        write(zeros)
        write(others)
        for value in rest[zeros : zeros + others]:
            delta, previous = value - previous, value
            write(2 * delta if delta >= 0 else -2 * delta - 1)
        rest = rest[zeros + others :]
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{nibble:x}" for nibble in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    return np.array([*depth.shape[::-1], *words], "<u4").tobytes()


def compressed_rvl(depth, header=bytes(12), encoding="16UC1"):
    return SimpleNamespace(format=f"{encoding}; compressedDepth rvl", data=header + rvl(depth))


def test_rvl_worked_by_hand():
    """[0 0 5 4]: two zeros, two others, 5 folded to 10 = 1010b (two nibbles), -1 folded to 1; the first nibble is the highest."""
    data = np.array([4, 1], "<u4").tobytes() + bytes.fromhex("22a11000")[::-1]
    found = to_depth_m(SimpleNamespace(format="16UC1; compressedDepth rvl", data=bytes(12) + data))
    np.testing.assert_allclose(found, [[0, 0, 0.005, 0.004]], atol=1e-7)


@given(hnp.arrays(np.uint16, SIZES, elements=st.sampled_from([0, 1, 7, 4000, 65535])))
def test_rvl_keeps_depth(mm):
    np.testing.assert_allclose(to_depth_m(compressed_rvl(mm)), mm / 1000, atol=1e-4)


def test_rvl_of_inverse_depth():
    header = np.array([1], "<i4").tobytes() + np.array([101.0, 1.25], "<f4").tobytes()
    found = to_depth_m(compressed_rvl(np.array([[0, 100]], np.uint16), header, "32FC1"))
    np.testing.assert_allclose(found, [[0, 101 / (100 - 1.25)]], rtol=1e-6)


def test_broken_rvl_is_refused():
    whole = compressed_rvl(np.random.default_rng(0).integers(0, 5000, (12, 16), np.uint16))
    for size in range(0, len(whole.data) - 4, 3):
        with pytest.raises(UserError, match=r"must be a whole 16-bit png, .* set the publisher's format to png"):
            to_depth_m(SimpleNamespace(format=whole.format, data=whole.data[:size]))
    for words in ([2, 2, 0x60000000], [2, 2, 0x06000000], [2, 2, 0xFFFFFFFF, 0xFFFFFFFF], [0, 0, 0]):
        broken = SimpleNamespace(format=whole.format, data=bytes(12) + np.array(words, "<u4").tobytes())
        with pytest.raises(UserError, match="whole 16-bit png"):
            to_depth_m(broken)
    huge = SimpleNamespace(format=whole.format, data=bytes(12) + np.array([8193, 2, 0], "<u4").tobytes())
    with pytest.raises(UserError, match="8193x2 pixels, more than 8192 a side"):
        to_depth_m(huge)


def test_other_compressed_depth_is_refused():
    with pytest.raises(UserError, match="16-bit png"):
        compressed_depth_to_m(compressed(np.zeros((4, 4, 3), np.uint8), ".jpg", b"\0" * 12))


def info(k=(500, 0, 31, 0, 510, 23, 0, 0, 1), p=(0,) * 12, roi=(0, 0, 0, 0), binning=0, size=(64, 48)):
    x, y, width, height = roi
    return SimpleNamespace(
        width=size[0],
        height=size[1],
        k=np.array(k, float),
        p=np.array(p, float),
        binning_x=binning,
        binning_y=binning,
        roi=SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height),
    )


def test_intrinsics_prefer_the_rectified_camera():
    found = intrinsics_from_info(info())
    assert (found.width, found.height, found.fx, found.fy, found.cx, found.cy) == (64, 48, 500, 510, 31, 23)
    rectified = intrinsics_from_info(info(p=(400, 0, 30, -8, 0, 401, 22, 0, 0, 0, 1, 0)))
    assert (rectified.fx, rectified.fy, rectified.cx, rectified.cy) == (400, 401, 30, 22)


def test_intrinsics_of_a_binned_region():
    found = intrinsics_from_info(info(roi=(8, 4, 40, 32), binning=2))
    assert (found.width, found.height, found.fx, found.fy, found.cx, found.cy) == (20, 16, 250, 255, 11.5, 9.5)


def test_an_uncalibrated_camera_is_refused():
    with pytest.raises(UserError, match="not calibrated"):
        intrinsics_from_info(info(k=(0,) * 9))


def pose(translation, quaternion):
    x, y, z, w = quaternion
    return SimpleNamespace(
        position=SimpleNamespace(x=translation[0], y=translation[1], z=translation[2]),
        orientation=SimpleNamespace(x=x, y=y, z=z, w=w),
    )


def test_pose_matrix_finds_the_pose_in_every_message():
    bare = pose((1, 2, 3), (0, 0, np.sqrt(0.5), np.sqrt(0.5)))
    expected = np.array([[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    transform = SimpleNamespace(translation=bare.position, rotation=bare.orientation)
    stamped = SimpleNamespace(pose=bare)
    for msg in (bare, stamped, SimpleNamespace(pose=stamped), transform, SimpleNamespace(transform=transform)):
        np.testing.assert_allclose(pose_matrix(msg), expected, atol=1e-12)


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (1, 1, 1, 1)])
def test_a_pose_without_rotation_is_refused(quaternion):
    with pytest.raises(UserError, match="unit quaternion"):
        pose_matrix(pose((0, 0, 0), quaternion))


def test_a_pose_that_is_not_finite_is_refused():
    with pytest.raises(UserError, match="finite position"):
        pose_matrix(pose((0, np.inf, 0), (0, 0, 0, 1)))


@given(
    hnp.arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1),
    hnp.arrays(np.float64, 3, elements=st.floats(-100, 100)),
    st.sampled_from([1, -1]),
)
def test_a_frames_pose_survives_a_message_bit_for_bit(quaternion, translation, sign):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_quat(quaternion).as_matrix(), translation
    first = rigid(T)
    msg = pose(first[:3, 3], sign * Rotation.from_matrix(first[:3, :3]).as_quat())
    np.testing.assert_array_equal(rigid(pose_matrix(msg)), first)
    np.testing.assert_allclose(first, T, atol=1e-8)


@given(st.integers(0, 2**62))
def test_stamps_survive_as_seconds(ns):
    stamp = SimpleNamespace(sec=ns // 10**9, nanosec=ns % 10**9)
    assert stamp_ns(stamp) == ns
    assert seconds(nanoseconds(seconds(ns))) == seconds(ns)
