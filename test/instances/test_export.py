import dataclasses
import errno
import json
import os
import resource
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.clouds.ply import read_cloud, write_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.instances.export import read_instance_map, read_instances_json, write_instances_json, write_instances_ply
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance


def example_map(n: int = 50) -> InstanceMap:
    rng = np.random.default_rng(0)
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    box = ObjectInstance(
        id=7,
        points=20,
        centre=np.array([0.1, 0.2, 0.3]),
        axis_aligned_box=(np.zeros(3), np.ones(3)),
        oriented_box=(np.full(3, 0.5), turn, np.array([1.0, 2.0, 3.0])),
        confidence=0.75,
        first_seen="000000",
        last_seen="000012",
        state="active",
    )
    return InstanceMap(
        rng.normal(size=(n, 3)).astype(np.float32),
        rng.integers(0, 256, (n, 3), dtype=np.uint8),
        rng.choice([0, 7, 65535], n).astype(np.int32),
        rng.random(n, dtype=np.float32),
        [box, dataclasses.replace(box, id=65535, state="dormant")],
    )


def write(path, header: str, body: bytes = b""):
    path.write_bytes(header.encode() + body)
    return path


def test_instances_round_trip(tmp_path):
    expected = example_map()
    write_instances_ply(tmp_path / "instances.ply", expected)
    write_instances_json(tmp_path / "instances.json", expected)
    found = read_instance_map(tmp_path)
    for name in ("points", "colours", "instance", "confidence"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype
    for a, b in zip(found.objects, expected.objects, strict=True):
        assert (a.id, a.points, a.confidence, a.first_seen, a.last_seen, a.state) == (
            b.id, b.points, b.confidence, b.first_seen, b.last_seen, b.state,
        )  # fmt: skip
        np.testing.assert_array_equal(a.centre, b.centre)
        np.testing.assert_array_equal(np.stack(a.axis_aligned_box), np.stack(b.axis_aligned_box))
        for one, other in zip(a.oriented_box, b.oriented_box, strict=True):
            np.testing.assert_array_equal(one, other)
    assert sorted(os.listdir(tmp_path)) == ["instances.json", "instances.ply"]


def test_instances_ply_layout(tmp_path):
    write_instances_ply(tmp_path / "a.ply", example_map(1))
    header, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")
    assert header.decode().splitlines() == [
        "ply",
        "format binary_little_endian 1.0",
        "element vertex 1",
        *(f"property float {c}" for c in "xyz"),
        *(f"property uchar {c}" for c in ("red", "green", "blue")),
        "property int instance",
        "property float confidence",
    ]
    assert len(body) == 23
    assert struct.unpack("<i", body[15:19])[0] == example_map(1).instance[0]


def test_empty_map_round_trip(tmp_path):
    write_instances_ply(tmp_path / "instances.ply", example_map(0))
    write_instances_json(tmp_path / "instances.json", dataclasses.replace(example_map(0), objects=[]))
    found = read_instance_map(tmp_path)
    assert found.points.shape == (0, 3)
    assert found.objects == []


@given(
    n=st.integers(0, 20),
    seed=st.integers(0, 99),
    columns=st.sets(st.sampled_from(["normals", "colours", "instance", "confidence", "stuff"])),
)
@settings(max_examples=30, deadline=None)
def test_any_cloud_round_trip(tmp_path_factory, n, seed, columns):
    rng = np.random.default_rng(seed)
    everything = {
        "points": rng.normal(size=(n, 3)).astype(np.float32),
        "normals": rng.normal(size=(n, 3)).astype(np.float32),
        "colours": rng.integers(0, 256, (n, 3), dtype=np.uint8),
        "instance": rng.integers(-(2**31), 2**31, n).astype(np.int32),
        "confidence": rng.random(n, dtype=np.float32),
        "stuff": rng.random(n) < 0.5,
    }
    cloud = {name: values for name, values in everything.items() if name == "points" or name in columns}
    path = tmp_path_factory.mktemp("cloud") / "a.ply"
    write_cloud(path, cloud)
    found = read_cloud(path)
    assert found.keys() == cloud.keys()
    for name in cloud:
        np.testing.assert_array_equal(found[name], cloud[name])
        assert found[name].dtype == cloud[name].dtype


ROWS = [(1.5, -2.0, 3.25, 0.0, 0.0, 1.0, 10, 20, 255, 4), (0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 1, 2, 3, 0)]
BEFORE = "element camera 2\nproperty double view\nproperty uchar mode\nelement face 2\nproperty list uchar int vertex_indices\nproperty float area\n"
VERTEX = "element vertex 2\ncomment z first\n" + "".join(
    f"property {kind} {name}\n"
    for kind, name in [("float", "z"), ("float32", "y"), ("double", "x"), ("float", "nx"), ("float", "ny"), ("float", "nz"),
                       ("uchar", "red"), ("uint8", "green"), ("uchar", "blue"), ("ushort", "instance"), ("short", "unknown")]
)  # fmt: skip
AFTER = "element edge 1\nproperty list int float weights\n"


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_foreign_files(tmp_path, kind, newline):
    header = f"ply\nformat {kind} 1.0\nobj_info made by hand\n{BEFORE}{VERTEX}{AFTER}end_header\n".replace(
        "\n", newline
    )
    if kind == "ascii":
        vertices = [" ".join(map(str, (*row[2::-1], *row[3:], -5))) for row in ROWS]
        body = newline.join(["0.5 1", "0.5 2", "3 0 1 0 0.5", "0 0.25", *vertices, "1 0.5", ""]).encode()
    else:
        order = "<" if kind == "binary_little_endian" else ">"
        body = struct.pack(order + "dBdB", 0.5, 1, 0.5, 2)
        body += struct.pack(order + "B3if", 3, 0, 1, 0, 0.5) + struct.pack(order + "Bf", 0, 0.25)
        for row in ROWS:
            body += struct.pack(order + "ffdfffBBBHh", *row[2::-1], *row[3:], -5)
        body += struct.pack(order + "if", 1, 0.5)
    found = read_cloud(write(tmp_path / "a.ply", header, body))
    expected = np.array(ROWS)
    np.testing.assert_array_equal(found["points"], expected[:, :3].astype(np.float32))
    np.testing.assert_array_equal(found["normals"], expected[:, 3:6])
    np.testing.assert_array_equal(found["colours"], expected[:, 6:9])
    np.testing.assert_array_equal(found["instance"], expected[:, 9])
    assert set(found) == {"points", "normals", "colours", "instance"}


XYZ = "property float x\nproperty float y\nproperty float z\n"
ASCII = "ply\nformat ascii 1.0\n"
BINARY = "ply\nformat binary_little_endian 1.0\n"


def test_points_without_depth_are_left_out(tmp_path):
    header = f"{ASCII}element vertex 3\n{XYZ}property int instance\nend_header\n"
    found = read_cloud(write(tmp_path / "a.ply", header, b"0 0 1 5\nnan nan nan 6\n0 inf 2 7"))
    np.testing.assert_array_equal(found["points"], [[0, 0, 1]])
    np.testing.assert_array_equal(found["instance"], [5])


def test_blank_lines_are_no_points(tmp_path):
    header = f"{ASCII}element vertex 2\n{XYZ}end_header\n"
    found = read_cloud(write(tmp_path / "a.ply", header, b"\n0 0 1\n \r\n0 0 2\n\n"))
    np.testing.assert_array_equal(found["points"], [[0, 0, 1], [0, 0, 2]])


def test_colours_from_0_to_1_and_ids_as_floats(tmp_path):
    properties = "".join(f"property float {name}\n" for name in ("r", "g", "b", "instance_id"))
    header = f"{ASCII}element vertex 2\n{XYZ}{properties}end_header\n"
    found = read_cloud(write(tmp_path / "a.ply", header, b"0 0 1 0 0.5 1 3\n0 0 1 0.1 0.2 0.3 12\n"))
    np.testing.assert_array_equal(found["colours"], [[0, 128, 255], [26, 51, 76]])
    np.testing.assert_array_equal(found["instance"], [3, 12])


def test_colours_from_0_to_1_may_end_a_little_beyond(tmp_path):
    colours = np.array([[0, 0.5, 1.0000001], [-1e-7, 1.12, 0.2]], "<f4")
    rows = np.concatenate([np.zeros((2, 3), "<f4"), colours], 1)
    properties = "".join(f"property float {name}\n" for name in ("red", "green", "blue"))
    found = read_cloud(
        write(tmp_path / "a.ply", f"{BINARY}element vertex 2\n{XYZ}{properties}end_header\n", rows.tobytes())
    )
    np.testing.assert_array_equal(found["colours"], [[0, 128, 255], [0, 255, 51]])


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("form", ["ascii", "binary"])
def test_colours_of_16_bits_are_scaled_where_they_use_them(tmp_path, form, scale):
    colours = np.array([[0, 10, 128], [7, 254, 255]]) * scale
    found = read_cloud(write(tmp_path / "a.ply", *coloured(form, "ushort", "<u2", colours)))
    np.testing.assert_array_equal(found["colours"], colours // scale)


@pytest.mark.parametrize("form", ["ascii", "binary"])
def test_colours_of_8_bits_that_are_nearly_black_stay_so(tmp_path, form):
    found = read_cloud(write(tmp_path / "a.ply", *coloured(form, "uchar", "<u1", np.array([[0, 1, 1], [1, 0, 0]]))))
    np.testing.assert_array_equal(found["colours"], [[0, 1, 1], [1, 0, 0]])


def coloured(form, kind, dtype, colours):
    """Header and body of a PLY whose points are all at the origin."""
    properties = "".join(f"property {kind} {name}\n" for name in ("red", "green", "blue"))
    rows = np.zeros(len(colours), [("points", "<f4", 3), ("colours", dtype, 3)])
    rows["colours"] = colours
    body = "".join(f"0 0 0 {red} {green} {blue}\n" for red, green, blue in colours).encode()
    begin = ASCII if form == "ascii" else BINARY
    header = f"{begin}element vertex {len(colours)}\n{XYZ}{properties}end_header\n"
    return header, body if form == "ascii" else rows.tobytes()


MALFORMED = {
    "empty": ("", b"", "not a PLY"),
    "another format": ("OFF\n1 0 0\n", b"", "not a PLY"),
    "no end": (f"{BINARY}element vertex 1\n", b"", "end_header"),
    "endless header": (f"{BINARY}" + "comment x\n" * 10_000 + "end_header\n", b"", "end_header"),
    "endless line": (BINARY + "comment " + "x" * 200_000, b"", "end_header"),
    "no format": (f"ply\nelement vertex 0\n{XYZ}end_header\n", b"", "no `format`"),
    "unknown format": ("ply\nformat ascii 2.0\nend_header\n", b"", "format ascii 2.0"),
    "unknown type": (f"{ASCII}element vertex 1\nproperty quaternion x\nend_header\n", b"", "quaternion"),
    "property of nothing": (f"{ASCII}{XYZ}end_header\n", b"", "not understood"),
    "negative count": (f"{ASCII}element vertex -1\n{XYZ}end_header\n", b"", "vertex -1"),
    "float count": (f"{ASCII}element vertex 1\nproperty list float int x\nend_header\n", b"", "not understood"),
    "named twice": (f"{ASCII}element vertex 1\n{XYZ}property float x\nend_header\n", b"1 2 3 4", "twice"),
    "no vertices": (f"{ASCII}element face 0\nproperty int a\nend_header\n", b"", "no vertex element"),
    "no z": (f"{ASCII}element vertex 1\nproperty float x\nend_header\n", b"1\n", "no x, y and z"),
    "no properties": (f"{BINARY}element vertex {10**17}\nend_header\n", b"", "no x, y and z"),
    "list vertex": (f"{BINARY}element vertex 1\n{XYZ}property list int int l\nend_header\n", b"", "lists"),
    "binary bomb": (f"{BINARY}element vertex {10**17}\n{XYZ}end_header\n", b"\0" * 12, "truncated"),
    "ascii bomb": (f"{ASCII}element vertex {10**17}\n{XYZ}end_header\n", b"0 0 0\n", "truncated"),
    "number bomb": (f"{ASCII}element vertex {'9' * 5000}\n{XYZ}end_header\n", b"0 0 0\n", "not understood"),
    "cut binary": (f"{BINARY}element vertex 2\n{XYZ}end_header\n", b"\0" * 23, "truncated"),
    "cut ascii": (f"{ASCII}element vertex 3\n{XYZ}end_header\n", b"1.25 1.25 1.25\n1.25 1.25 1.25\n", "truncated"),
    "ascii words": (f"{ASCII}element vertex 1\n{XYZ}end_header\n", b"one two three\n", "not 3 numbers"),
    "ascii ragged": (f"{ASCII}element vertex 2\n{XYZ}end_header\n", b"1 2 3\n1 2 3 4\n", "not 3 numbers"),
    "cut before": (f"{BINARY}element a 9\nproperty int i\nelement vertex 0\n{XYZ}end_header\n", b"\0" * 8, "within the element a"),
    "cut list": (f"{BINARY}element a 9\nproperty list int int i\nelement vertex 0\n{XYZ}end_header\n", b"\1\0\0\0", "within the element a"),
    "negative list": (f"{BINARY}element a 1\nproperty list int int i\nelement vertex 0\n{XYZ}end_header\n", b"\xff" * 8, "within the element a"),
    "list bomb": (f"{BINARY}element a {10**17}\nproperty list uint double i\nelement vertex 0\n{XYZ}end_header\n", b"\xff" * 8, "within the element a"),
    "ascii before": (f"{ASCII}element a {10**17}\nproperty int i\nelement vertex 0\n{XYZ}end_header\n", b"1\n2\n", "within the element a"),
    "id too large": (f"{BINARY}element vertex 1\n{XYZ}property uint instance\nend_header\n", b"\xff" * 16, "instance must lie"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files(tmp_path, case):
    header, body, message = MALFORMED[case]
    with pytest.raises(UserError, match=message) as error:
        read_cloud(write(tmp_path / "a.ply", header, body))
    assert str(tmp_path / "a.ply") in str(error.value)
    assert "\n" not in str(error.value)


@given(cut=st.integers(0, 300), flips=st.lists(st.tuples(st.integers(0, 299), st.integers(0, 255)), max_size=4))
@settings(max_examples=150, deadline=None)
def test_damaged_files_give_a_cloud_or_one_sentence(tmp_path_factory, cut, flips):
    path = tmp_path_factory.mktemp("damaged") / "a.ply"
    write_instances_ply(path, example_map(5))
    data = bytearray(path.read_bytes())
    for place, value in flips:
        data[place % len(data)] = value
    path.write_bytes(data[: len(data) - cut])
    try:
        found = read_cloud(path)
    except UserError:
        return
    assert {len(values) for values in found.values()} == {len(found["points"])}


def test_missing_files(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_cloud(tmp_path / "none.ply")
    with pytest.raises(UserError, match="cannot be read"):
        read_cloud(tmp_path)
    with pytest.raises(UserError, match=r"no instances\.ply"):
        read_instance_map(tmp_path)
    write_cloud(tmp_path / "instances.ply", {"points": np.zeros((1, 3), np.float32)})
    with pytest.raises(UserError, match="no colours and no instance"):
        read_instance_map(tmp_path)


@pytest.mark.parametrize("content", ["{}x", "3", '{"a": 1}', "[1]", "[{}]", '[{"id": 1}]'])
def test_malformed_instances_json(tmp_path, content):
    (tmp_path / "instances.json").write_text(content)
    with pytest.raises(UserError):
        read_instances_json(tmp_path / "instances.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confidence", "NaN"),
        ("confidence", '"nan"'),
        ("id", "1e999"),
        ("id", "1e30"),
        ("id", "-1"),
        ("centre", "[0, 0, Infinity]"),
    ],
)
def test_instances_json_with_impossible_numbers(tmp_path, name, value):
    file = tmp_path / "instances.json"
    write_instances_json(file, example_map(10))
    entries = json.loads(file.read_text())
    entries[0][name] = "HERE"
    file.write_text(json.dumps(entries).replace('"HERE"', value))
    with pytest.raises(UserError, match=r"instances\.json is not a list of objects .* run gcseg map again"):
        read_instances_json(file)


@pytest.mark.parametrize("room", [3000, 11999])
def test_a_cloud_that_does_not_fit_is_said_not_to(tmp_path, room):
    """Also where only its last bytes do not. A limit of a file's size fails as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(UserError, match=r"cloud.ply cannot be written: File too large") as raised:
            write_cloud(tmp_path / "cloud.ply", {"points": np.zeros((1000, 3), np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.__cause__.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []
