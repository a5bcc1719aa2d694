"""PointCloud2 of every layout -> arrays. No ROS: messages are anything with the attributes."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.errors import UserError
from gcseg_ros.ros_types.clouds import TYPES, to_point_cloud

NUMBER = {name: number for number, name in TYPES.items()}
RNG = np.random.default_rng(0)


def message(columns, shape=None, order="<", padding=(0, 0), gaps=0, row_step=None):
    """A PointCloud2 of `columns` (name -> (N,) array), with `gaps` bytes before each, and padded points and rows.

    padding: bytes after each point and after each row
    """
    count = len(next(iter(columns.values())))
    height, width = shape or (1, count)
    fields, offset = [], 0
    for name, values in columns.items():
        offset += gaps
        fields.append(SimpleNamespace(name=name, offset=offset, datatype=NUMBER[values.dtype.str[1:]], count=1))
        offset += values.itemsize
    step = offset + padding[0]
    step_of_row = width * step + padding[1]
    rows = RNG.integers(0, 256, (height, step_of_row)).astype(np.uint8)
    points = rows[:, : width * step].reshape(height, width, step)
    for field, values in zip(fields, columns.values()):
        raw = values.astype(values.dtype.newbyteorder(order)).view(np.uint8).reshape(height, width, values.itemsize)
        points[..., field.offset : field.offset + values.itemsize] = raw
    return SimpleNamespace(
        height=height, width=width, fields=fields, is_bigendian=order == ">", point_step=step, data=rows.tobytes(),
        row_step=step_of_row if row_step is None else row_step,
    )  # fmt: skip


def xyz(count=6, kind=np.float32):
    return {name: RNG.random(count).astype(kind) for name in "xyz"}


def packed(colours):
    r, g, b = colours.astype(np.uint32).T
    return r << 16 | g << 8 | b


@given(
    st.permutations(["x", "y", "z", "rgb", "instance_id", "confidence", "intensity"]),
    st.sampled_from(["<", ">"]),
    st.sampled_from([(1, 6), (2, 3), (3, 2)]),
    st.tuples(st.integers(0, 5), st.integers(0, 9)),
    st.integers(0, 3),
    st.sampled_from(["u4", "f4"]),
    st.sampled_from([np.uint8, np.int16, np.uint32, np.int32, np.float32, np.float64]),
    st.sampled_from([np.float32, np.float64]),
)
def test_any_layout_gives_the_same_arrays(order, endian, shape, padding, gaps, rgb, ids, kind):
    colours, labels = RNG.integers(0, 256, (6, 3)), np.array([0, 1, 2, 3, 100, 7])
    columns = {**xyz(kind=kind), "rgb": packed(colours).view(rgb), "instance_id": labels.astype(ids)}
    columns |= {"confidence": np.linspace(0, 1, 6).astype(np.float32), "intensity": RNG.random(6)}
    cloud = to_point_cloud(message({name: columns[name] for name in order}, shape, endian, padding, gaps))
    np.testing.assert_array_equal(cloud.points, np.stack([columns[n] for n in "xyz"], axis=1).astype(np.float32))
    np.testing.assert_array_equal(cloud.colours, colours)
    np.testing.assert_array_equal(cloud.instance, labels)
    np.testing.assert_array_equal(cloud.confidence, columns["confidence"])
    assert (cloud.points.dtype, cloud.colours.dtype, cloud.instance.dtype) == (np.float32, np.uint8, np.int32)
    assert cloud.left_out == 0


def test_only_x_y_z():
    cloud = to_point_cloud(message(xyz()))
    assert len(cloud) == 6
    assert cloud.colours is cloud.instance is cloud.confidence is None


def test_colours_of_their_own_fields_and_rgba():
    colours = RNG.integers(0, 256, (6, 3)).astype(np.uint8)
    apart = to_point_cloud(message({**xyz(), **dict(zip("rgb", colours.T.copy()))}))
    np.testing.assert_array_equal(apart.colours, colours)
    rgba = packed(colours) | np.uint32(0xFF000000)
    np.testing.assert_array_equal(to_point_cloud(message({**xyz(), "rgba": rgba})).colours, colours)


def test_points_that_cannot_be_are_left_out_and_counted():
    columns = {**xyz(), "instance_id": np.arange(6, dtype=np.uint32)}
    columns["x"][0], columns["y"][1], columns["z"][2], columns["x"][3] = np.nan, np.inf, -np.inf, 1e30
    cloud = to_point_cloud(message(columns))
    assert cloud.left_out == 4
    assert cloud.instance.tolist() == [4, 5]


def test_ids_and_confidences_that_are_no_such_numbers():
    columns = {
        **xyz(4),
        "instance_id": np.array([np.nan, -3, 1e12, 2]),
        "confidence": np.array([np.nan, -1, 7, 0.5], np.float32),
    }
    cloud = to_point_cloud(message(columns))
    assert cloud.instance.tolist() == [0, 0, 2**31 - 1, 2]
    assert cloud.confidence.tolist() == [0, 0, 1, 0.5]


@pytest.mark.parametrize("shape", [(1, 0), (0, 0), (0, 5)])
def test_zero_points(shape):
    columns = {**xyz(0), "rgb": np.zeros(0, np.uint32), "instance_id": np.zeros(0, np.uint32)}
    cloud = to_point_cloud(message(columns, shape))
    assert (len(cloud), cloud.colours.shape, cloud.instance.shape, cloud.left_out) == (0, (0, 3), (0,), 0)


def test_one_row_may_leave_row_step_out():
    assert len(to_point_cloud(message(xyz(), row_step=0))) == 6


def test_the_last_row_needs_no_padding():
    whole = message(xyz(), (2, 3), padding=(0, 9))
    whole.data = whole.data[:-9]
    assert len(to_point_cloud(whole)) == 6


def broken(change):
    made = message({**xyz(), "rgb": np.zeros(6, np.uint32)})
    change(made)
    return made


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.fields.clear(), "must have the fields x, y and z; found none"),
        (lambda m: m.fields.pop(0), "found y, z, rgb"),
        (lambda m: setattr(m, "data", m.data[:-1]), "truncated or its header is wrong"),
        (lambda m: setattr(m, "data", b""), "truncated or its header is wrong"),
        (lambda m: setattr(m, "row_step", 5), "truncated or its header is wrong"),
        (lambda m: setattr(m, "point_step", 0), "truncated or its header is wrong"),
        (lambda m: setattr(m, "width", 2**32 - 1), "truncated or its header is wrong"),
        (lambda m: setattr(m.fields[0], "offset", 13), "field x of a cloud must be one number"),
        (lambda m: setattr(m.fields[1], "datatype", 0), "field y of a cloud must be one number"),
        (lambda m: setattr(m.fields[2], "count", 2), "field z of a cloud must be one number"),
        (lambda m: setattr(m.fields[3], "offset", 2**31), "field rgb of a cloud must be one number"),
    ],
)
def test_what_is_malformed_is_one_sentence(change, sentence):
    with pytest.raises(UserError) as error:
        to_point_cloud(broken(change))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 3), st.integers(0, 60), st.binary(max_size=300))
def test_no_message_does_worse_than_a_sentence(seed, step, height, row_step, data):
    rng = np.random.default_rng(seed)
    fields = [
        SimpleNamespace(name=name, offset=int(rng.integers(0, 30)), datatype=int(rng.integers(0, 10)), count=int(rng.integers(0, 3)))
        for name in ("x", "y", "z", "rgb", "instance_id", "confidence")
    ]  # fmt: skip
    made = SimpleNamespace(
        height=height, width=int(rng.integers(0, 9)), fields=fields, is_bigendian=bool(seed % 2), point_step=step,
        row_step=row_step, data=data,
    )  # fmt: skip
    try:
        cloud = to_point_cloud(made)
    except UserError:
        return
    assert np.isfinite(cloud.points).all()
