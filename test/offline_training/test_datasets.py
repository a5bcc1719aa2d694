"""Preparation of ScanNet, ScanNet200, ScanNet++ and Replica, on miniature folders with the layout of the official downloads."""

import json
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "recordings"))
from recording_builders import check_frames, make_views, write_scannetpp, write_sens

from gcseg_ros.cli import main as gcseg
from gcseg_ros.clouds.ply import write_cloud
from gcseg_ros.evaluation.truth import load_truth
from gcseg_ros.files import sole_writer
from gcseg_ros.recordings import open_recording
from offline_training.commands import run
from offline_training.datasets.__main__ import main

OBJECTS = {"wall": 200, "floor": 300, "office chair": 150, "unheard-of thing": 120, "rat": 130, None: 50}
"""What annotators wrote -> vertices; the last are in no group."""
LABELS = """id\traw_category\tcategory\tnyu40id\tnyuClass
1\twall\twall\t1\twall
3\tfloor\tfloor\t2\tfloor
5\toffice chair\tchair\t5\tchair
9000\trat\trat\t40\totherprop
"""


def mesh(file, seed=0):
    """A PLY with colours and a face, as the meshes have; its points."""
    rng = np.random.default_rng(seed)
    points = rng.random((sum(OBJECTS.values()), 3)).astype(np.float32)
    colours = rng.integers(0, 256, points.shape).astype(np.uint8)
    lines = [f"{x} {y} {z} {r} {g} {b} 255" for (x, y, z), (r, g, b) in zip(points.tolist(), colours.tolist())]
    properties = [f"property float {c}" for c in "xyz"] + [
        f"property uchar {c}" for c in ("red", "green", "blue", "alpha")
    ]
    faces = ["element face 1", "property list uchar int vertex_indices"]
    header = ["ply", "format ascii 1.0", f"element vertex {len(points)}", *properties, *faces, "end_header"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*header, *lines, "3 0 1 2"]) + "\n")
    return points, colours


def segments_and_groups():
    """Segments of ten vertices with scattered numbers, and a group an object."""
    segment_of = np.repeat(7 * np.arange(sum(OBJECTS.values()) // 10) + 3, 10)
    groups, first = [], 0
    for number, (label, count) in enumerate(OBJECTS.items()):
        segments = np.unique(segment_of[first : first + count]).tolist()
        if label:
            groups.append({"id": number, "objectId": number, "label": label, "segments": segments})
        first += count
    return {"segIndices": segment_of.tolist()}, {"segGroups": groups}


def write_scannet(root, names=("scene0000_00",), split="val"):
    root.mkdir(exist_ok=True)
    (root / "scannetv2-labels.combined.tsv").write_text(LABELS)
    for other in ("train", "val", "test"):
        (root / f"scannetv2_{other}.txt").write_text(
            "scene9999_00\n" + "".join(f"{n}\n" for n in names if other == split)
        )
    segments, groups = segments_and_groups()
    for i, name in enumerate(names):
        scan = root / ("scans_test" if split == "test" else "scans") / name
        mesh(scan / f"{name}_vh_clean_2.ply", i)
        write_sens(scan / f"{name}.sens", make_views(5))
        if split != "test":
            (scan / f"{name}_vh_clean_2.0.010000.segs.json").write_text(json.dumps(segments))
            (scan / f"{name}.aggregation.json").write_text(json.dumps(groups))
    return root


def write_scannet_pp(root):
    scans = root / "data/0a1b2c3d4e/scans"
    points, _ = mesh(scans / "mesh_aligned_0.05.ply")
    segments, groups = segments_and_groups()
    # A cushion lies on the chair: its segments are in both groups.
    cushion = groups["segGroups"][2]["segments"][:3]
    groups["segGroups"].insert(0, {"id": 9, "objectId": 9, "label": "cushion", "segments": cushion})
    # So does a crumb, which is of no class that counts.
    crumb = groups["segGroups"][3]["segments"][-2:]
    groups["segGroups"].append({"id": 8, "objectId": 8, "label": "crumb", "segments": crumb})
    (scans / "segments.json").write_text(json.dumps(segments))
    (scans / "segments_anno.json").write_text(json.dumps(groups))
    write_scannetpp(root / "data/0a1b2c3d4e", make_views(2))
    (root / "splits").mkdir()
    for name, scene in (("nvs_sem_train", ""), ("nvs_sem_val", "0a1b2c3d4e\n"), ("sem_test", "")):
        (root / f"splits/{name}.txt").write_text(scene)
    metadata = root / "metadata/semantic_benchmark"
    metadata.mkdir(parents=True)
    (metadata / "top100.txt").write_text("wall\nfloor\nchair\ncushion\n")
    (metadata / "top100_instance.txt").write_text("chair\ncushion\n")
    (metadata / "map_benchmark.csv").write_text(
        "class,count,semantic_map_to,instance_map_to\noffice chair,3,chair,\nwall,9,,\nrat,1,None,None\n"
    )
    return points


REPLICA_OBJECTS = {"wall": 200, "chair": 150, "undefined": 120, "lamp": 130, "ceiling": 110}
"""What Replica's annotators wrote -> vertices; ids are 7, 8, ... and some faces are of objects 0 and 99, which are not listed."""


def write_replica_scene(folder, order="<"):
    """Polygons of 3, 4 and 5 corners that tell an object's vertices over and over, as the mesh for AI Habitat; its points."""
    rng = np.random.default_rng(0)
    faces, first = [], 0
    for id, count in enumerate(REPLICA_OBJECTS.values(), 7):
        corners = np.tile(np.arange(first, first + count), 2).tolist()
        while corners:
            take = min(3 + len(faces) % 3, len(corners))
            faces.append((corners[:take], id))
            corners = corners[take:]
        first += count
    # Each vertex is in two faces of its object: one more of another object tells nothing, three do.
    faces += [([0, 1, 2], 8)] + 3 * [([3, 4, 5], 8)]
    # What has no face of an object that is listed is of none; of two that are as likely it is the first.
    faces += [([first, first + 1, first + 2], 0), ([first + 3, first + 4, first + 5], 99)]
    faces += [([first + 6, first + 7, first + 8, first + 9], id) for id in (10, 8, 10, 8)]
    points = rng.random((first + 12, 3)).astype(np.float32)
    kind = "binary_little_endian" if order == "<" else "binary_big_endian"
    header = ["ply", f"format {kind} 1.0", f"element vertex {len(points)}"]
    header += [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    header += [f"element face {len(faces)}", "property list uchar uint vertex_indices", "property ushort object_id"]
    data = b"".join(struct.pack(f"{order}6f3B", *point, 0, 0, 1, 10, 20, 30) for point in points.tolist())
    for corners, id in faces:
        data += struct.pack(f"{order}B{len(corners)}IH", len(corners), *corners, id)
    (folder / "habitat").mkdir(parents=True)
    (folder / "habitat/mesh_semantic.ply").write_bytes("\n".join([*header, "end_header\n"]).encode() + data)
    classes = {"chair": 20, "ceiling": 31, "lamp": 47, "wall": 93, "floor": 40}
    objects = [{"id": id, "class_name": name} for id, name in enumerate(REPLICA_OBJECTS, 7)]
    info = {"classes": [{"id": id, "name": name} for name, id in classes.items()], "objects": objects}
    (folder / "habitat/info_semantic.json").write_text(json.dumps(info))
    return points


def sizes(values):
    return {int(i): int(n) for i, n in zip(*np.unique(values, return_counts=True))}


def test_scannet(tmp_path, capsys):
    root, out = write_scannet(tmp_path / "scannet"), tmp_path / "out"
    assert run(main, ["scannet", str(root), "-o", str(out)]) == 0, capsys.readouterr().err
    truth = load_truth(out / "scene0000_00")
    # NYU40's wall, floor and chair; 40 is no class of the benchmark.
    assert sizes(truth.instance) == {0: 300, 1001: 200, 2002: 300, 5003: 150}
    assert sizes(truth.instance[truth.stuff]) == {1001: 200, 2002: 300}
    points, colours = mesh(tmp_path / "again.ply")
    np.testing.assert_allclose(truth.points, points, atol=1e-6)
    np.testing.assert_array_equal(truth.colours, colours)
    text = load_truth(out / "instance_gt/scene0000_00.txt")
    np.testing.assert_array_equal(text.instance, truth.instance)
    np.testing.assert_array_equal(text.stuff, truth.stuff)
    assert (out / "splits/val.txt").read_text() == "scene0000_00\n"
    assert (out / "splits/train.txt").read_text() == ""
    index = json.loads((out / "index.json").read_text())
    assert index["dataset"] == "scannet"
    assert index["scenes"] == [
        {
            "scene": "scene0000_00",
            "split": "val",
            "recording": str(root / "scans/scene0000_00/scene0000_00.sens"),
            "instances": 1,
            "points": 950,
        }
    ]


def test_what_comes_out_is_what_the_commands_take(tmp_path, capsys):
    """The scene's folder is a recording and a truth; a perfect prediction scores 100 with and without stuff."""
    root, out = write_scannet(tmp_path / "scannet"), tmp_path / "out"
    assert run(main, ["scannet", str(root), "-o", str(out), "--frames", "2"]) == 0, capsys.readouterr().err
    scene = out / "scene0000_00"
    views = make_views(5)[::2]
    frames = list(open_recording(scene))
    assert [frame.name for frame in frames] == ["000000", "000002", "000004"]
    for frame, view in zip(frames, views):
        np.testing.assert_allclose(frame.pose, view.pose, atol=1e-6)  # single precision in the file
        view.pose = frame.pose
    check_frames(frames, views)
    truth = load_truth(scene)
    write_cloud(tmp_path / "found.ply", {"points": truth.points, "instance": truth.instance})
    for arguments, count in (([], 3), (["--exclude-stuff"], 1)):
        capsys.readouterr()
        assert gcseg(["evaluate", str(tmp_path / "found.ply"), "--truth", str(scene), "--json", *arguments]) == 0
        figures = json.loads(capsys.readouterr().out)
        assert (figures["ap"], figures["instances"]) == (1, count)


def test_scannet200_has_other_classes(tmp_path, capsys):
    root, out = write_scannet(tmp_path / "scannet"), tmp_path / "out"
    assert run(main, ["scannet200", str(root), "-o", str(out)]) == 0, capsys.readouterr().err
    truth = load_truth(out / "scene0000_00")
    assert sizes(truth.instance) == {0: 300, 1001: 200, 3002: 300, 5003: 150}
    assert sizes(truth.instance[truth.stuff]) == {1001: 200, 3002: 300}


def test_all_objects_count_where_asked(tmp_path, capsys):
    root = write_scannet(tmp_path / "scannet")
    for dataset, expected in (
        ("scannet", {0: 50, 1001: 200, 2002: 300, 5003: 150, 40004: 120, 40005: 130}),
        ("scannet200", {0: 50, 1001: 200, 3002: 300, 5003: 150, 1163004: 120, 9000005: 130}),
    ):
        out = tmp_path / f"{dataset}_out"
        assert run(main, [dataset, str(root), "-o", str(out), "--all-objects"]) == 0, capsys.readouterr().err
        assert sizes(load_truth(out / "scene0000_00").instance) == expected


def test_scannetpp(tmp_path, capsys):
    """The smaller object that counts owns what two share; names are mapped; a class that maps to None is none of the benchmark's."""
    points = write_scannet_pp(tmp_path / "root")
    out = tmp_path / "out"
    assert run(main, ["scannetpp", str(tmp_path / "root"), "-o", str(out)]) == 0, capsys.readouterr().err
    truth = load_truth(out / "0a1b2c3d4e")
    np.testing.assert_allclose(truth.points, points, atol=1e-6)
    assert sizes(truth.instance) == {0: 300, 4001: 30, 1002: 200, 2003: 300, 3004: 120}
    assert sizes(truth.instance[truth.stuff]) == {1002: 200, 2003: 300}
    (entry,) = json.loads((out / "index.json").read_text())["scenes"]
    assert (entry["split"], entry["instances"]) == ("val", 2)
    assert len(list(open_recording(entry["recording"]))) == 2
    everything = tmp_path / "everything"
    arguments = ["scannetpp", str(tmp_path / "root"), "-o", str(everything), "--all-objects"]
    assert run(main, arguments) == 0, capsys.readouterr().err
    assert sizes(load_truth(everything / "0a1b2c3d4e").instance) == {
        0: 50,
        4001: 30,
        1002: 200,
        2003: 300,
        3004: 100,
        5005: 120,
        5006: 130,
        5007: 20,
    }


@pytest.mark.parametrize("order", ["<", ">"])
def test_replica(tmp_path, capsys, order):
    """Vertices are of the object that most of their faces are of, the number is the object's place in the list."""
    points = write_replica_scene(tmp_path / "root/room_0", order)
    (tmp_path / "root/room0").mkdir()
    out = tmp_path / "out"
    assert run(main, ["replica", str(tmp_path / "root"), "-o", str(out)]) == 0, capsys.readouterr().err
    truth = load_truth(out / "room_0")
    np.testing.assert_array_equal(truth.points, points)
    expected = {93001: 200 - 3, 20002: 150 + 3 + 4, 47004: 130, 31005: 110, 0: 120 + 6 + 2}
    assert sizes(truth.instance) == expected
    assert sizes(truth.instance[truth.stuff]) == {93001: 197, 31005: 110}
    assert truth.instance[[0, 1, 2, 3, 4, 5, 6]].tolist() == 3 * [93001] + 3 * [20002] + [93001]
    (entry,) = json.loads((out / "index.json").read_text())["scenes"]
    assert (entry["split"], entry["instances"], entry["recording"]) == ("val", 2, str(tmp_path / "root/room0"))
    everything = tmp_path / "everything"
    assert run(main, ["replica", str(tmp_path / "root"), "-o", str(everything), "--all-objects"]) == 0
    assert sizes(load_truth(everything / "room_0").instance) == {**expected, 0: 8, 94003: 120}


ASCII_MESH = """ply
format ascii 1.0
element vertex 1
property float x
property float y
property float z
element face 1
property list uchar int vertex_indices
property int object_id
end_header
0 0 0
3 0 0 0 7
"""


def cut(size):
    def damage(folder):
        file = folder / "mesh_semantic.ply"
        file.write_bytes(file.read_bytes()[:size])

    return damage


def with_bytes(old, new):
    def damage(folder):
        file = folder / "mesh_semantic.ply"
        file.write_bytes(file.read_bytes().replace(old, new, 1))

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "info_semantic.json").unlink(), "info_semantic.json cannot be read"),
        (lambda folder: (folder / "info_semantic.json").write_text("[]"), "must hold `classes` with an `id` and a `name`"),
        (lambda folder: (folder / "info_semantic.json").write_text('{"classes": [{"id": 0, "name": "x"}]}'), "must hold `classes` with"),
        (lambda folder: (folder / "info_semantic.json").write_text('{"classes": [{"id": 1, "name": "x"}]}'), "Replica's `objects`"),
        (lambda folder: (folder / "mesh_semantic.ply").unlink(), "has no scenes of the split all"),
        (cut(400), "is truncated"),
        (cut(-1), "is truncated, or its faces"),
        (cut(-2000), "is truncated, or its faces"),
        (with_bytes(struct.pack("<B3I", 3, 0, 1, 2), struct.pack("<B3I", 3, 0, 9999, 2)), "its faces name vertices that it does not have"),
        (with_bytes(b"object_id", b"materials"), "must have faces with an `object_id`"),
        (with_bytes(b"uchar uint", b"uint uint"), "must have faces with an `object_id`"),
        (with_bytes(b"element face", b"element edge"), "must be a binary mesh of vertices and faces"),
        (lambda folder: (folder / "mesh_semantic.ply").write_text(ASCII_MESH), "must be a binary mesh of vertices and faces"),
    ],
)  # fmt: skip
def test_a_broken_scene_of_replica_is_one_sentence(tmp_path, capsys, damage, words):
    write_replica_scene(tmp_path / "root/room_0")
    damage(tmp_path / "root/room_0/habitat")
    assert run(main, ["replica", str(tmp_path / "root"), "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def test_test_scenes_have_no_truth(tmp_path, capsys):
    root, out = write_scannet(tmp_path / "scannet", split="test"), tmp_path / "out"
    assert run(main, ["scannet", str(root), "-o", str(out), "--frames", "1"]) == 0, capsys.readouterr().err
    assert len(list(open_recording(out / "scene0000_00"))) == 5
    assert not (out / "instance_gt").exists()
    assert json.loads((out / "index.json").read_text())["scenes"][0]["instances"] is None


def test_it_goes_on_where_it_ended(tmp_path, capsys):
    """A broken scene does not end the others, leaves nothing behind, and is made up for by the same command."""
    root, out = write_scannet(tmp_path / "scannet", ("scene0000_00", "scene0001_00")), tmp_path / "out"
    broken = root / "scans/scene0000_00/scene0000_00.aggregation.json"
    whole = broken.read_text()
    broken.write_text(whole[:100])
    assert run(main, ["scannet", str(root), "-o", str(out)]) == 2
    assert "scene0000_00.aggregation.json" in capsys.readouterr().err
    assert not (out / "scene0000_00").exists()
    done = (out / "scene0001_00/gt_cloud.npz").stat().st_mtime_ns
    broken.write_text(whole)
    assert run(main, ["scannet", str(root), "-o", str(out)]) == 0, capsys.readouterr().err
    assert (out / "splits/val.txt").read_text() == "scene0000_00\nscene0001_00\n"
    assert (out / "scene0001_00/gt_cloud.npz").stat().st_mtime_ns == done
    assert not list(out.rglob(".*"))


def test_a_folder_that_another_process_prepares_is_refused(tmp_path, capsys):
    """Each would write the index and the splits without the other's scenes."""
    root, out = write_scannet(tmp_path / "scannet"), tmp_path / "out"
    with sole_writer(out):
        assert run(main, ["scannet", str(root), "-o", str(out)]) == 2
    assert "is being written by another process" in capsys.readouterr().err
    assert not out.exists()


def without(path):
    def damage(root):
        (root / path).unlink()

    return damage


def with_text(path, text):
    def damage(root):
        (root / path).write_text(text)

    return damage


SCAN = "scans/scene0000_00/scene0000_00"


@pytest.mark.parametrize(
    ("damage", "arguments", "words"),
    [
        (without("scannetv2-labels.combined.tsv"), [], "--label_map"),
        (with_text("scannetv2-labels.combined.tsv", "a\tb\n1\t2\n"), [], "raw_category"),
        (without("scannetv2_val.txt"), [], "github.com/ScanNet"),
        (without(f"{SCAN}_vh_clean_2.ply"), [], "vh_clean_2.ply"),
        (with_text(f"{SCAN}_vh_clean_2.0.010000.segs.json", '{"segIndices": [1, 2]}'), [], "has 2 vertices"),
        (with_text(f"{SCAN}_vh_clean_2.0.010000.segs.json", "[]"), [], "segIndices"),
        (with_text(f"{SCAN}.aggregation.json", '{"segGroups": [{"label": "x"}]}'), [], "segGroups"),
        (without(f"{SCAN}.sens"), ["--frames", "1"], "--type .sens"),
        (with_text(f"{SCAN}.sens", "hello"), ["--frames", "1"], "download it again"),
        (None, ["--scene", "scene0007_00"], "scene0007_00"),
        (None, ["--split", "train"], "has no scenes"),
    ],
)
def test_what_is_missing_is_one_sentence(tmp_path, capsys, damage, arguments, words):
    root, out = write_scannet(tmp_path / "scannet"), tmp_path / "out"
    if damage:
        damage(root)
    assert run(main, ["scannet", str(root), "-o", str(out), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(out.rglob(".*"))


def test_folders_that_are_something_else(tmp_path, capsys):
    root = write_scannet(tmp_path / "scannet")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    assert run(main, ["scannet", str(root), "-o", str(tmp_path / "mine")]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert run(main, ["scannet", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert run(main, ["scannet", str(root), "-o", str(tmp_path / "out")]) == 0
    assert run(main, ["scannet200", str(root), "-o", str(tmp_path / "out")]) == 2
    assert "was prepared with" in capsys.readouterr().err
    for damage in ("[]", "{}", '{"scenes": [{"scene": "scene0000_00"}]}'):
        (tmp_path / "out/index.json").write_text(damage)
        assert run(main, ["scannet", str(root), "-o", str(tmp_path / "out")]) == 2
        assert "index.json is not what this command writes" in capsys.readouterr().err
    assert run(main, ["scannetpp", str(root), "-o", str(tmp_path / "pp"), "--frames", "3"]) == 2
    assert "no .sens files" in capsys.readouterr().err
    assert run(main, ["replica", str(root), "-o", str(tmp_path / "pp"), "--frames", "3"]) == 2
    assert "Replica has no .sens files" in capsys.readouterr().err


def test_depth_is_exported_in_millimetres(tmp_path, capsys):
    root, out = write_scannet(tmp_path / "scannet"), tmp_path / "out"
    assert run(main, ["scannet", str(root), "-o", str(out), "--frames", "4"]) == 0, capsys.readouterr().err
    depth = cv2.imread(str(out / "scene0000_00/depth/000004.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    np.testing.assert_array_equal(depth, make_views(5)[4].depth_mm)
