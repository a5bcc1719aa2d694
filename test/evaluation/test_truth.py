import io
import zipfile

import numpy as np
import pytest

from gcseg_ros.clouds.ply import write_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.truth import carry, load_cloud, load_truth


def example(n: int = 6) -> dict[str, np.ndarray]:
    return {
        "points": np.arange(3 * n, dtype=np.float32).reshape(n, 3),
        "instance": np.arange(n) % 3,
        "stuff": np.arange(n) % 3 == 1,
    }


@pytest.fixture(params=["npz", "ply", "scene", "npz without stuff"])
def truth_path(request, tmp_path):
    arrays = example()
    if request.param == "npz without stuff":
        del arrays["stuff"]
    if request.param == "ply":
        write_cloud(tmp_path / "truth.ply", arrays)
        return tmp_path / "truth.ply"
    name = "gt_cloud.npz" if request.param == "scene" else "truth.npz"
    np.savez_compressed(tmp_path / name, **arrays, count=np.int64(3))
    return tmp_path if request.param == "scene" else tmp_path / name


def test_every_form_of_truth(truth_path):
    truth = load_truth(truth_path)
    np.testing.assert_array_equal(truth.points, example()["points"])
    np.testing.assert_array_equal(truth.instance, example()["instance"])
    if truth.stuff is None:
        with pytest.raises(UserError, match="which points are stuff"):
            truth.without_stuff()
    else:
        np.testing.assert_array_equal(truth.without_stuff().instance, [0, 0, 2, 0, 0, 2])


def test_scannets_text(tmp_path):
    (tmp_path / "scene.txt").write_text("0\n5\n3001\n3002\n1001\n")
    truth = load_truth(tmp_path / "scene.txt")
    np.testing.assert_array_equal(truth.instance, [0, 0, 3001, 3002, 1001])
    assert truth.points is None


def test_labels_of_stuff_mean_nothing_where_ids_have_none(tmp_path):
    np.savez(tmp_path / "a.npz", **example())
    with pytest.raises(UserError, match="no ids that are label x 1000"):
        load_truth(tmp_path / "a.npz", [1])


def test_colours_are_known_by_both_spellings(tmp_path):
    for name in ("colors", "colours"):
        np.savez(tmp_path / "a.npz", **example(), **{name: np.full((6, 3), 7, np.uint8)})
        assert load_truth(tmp_path / "a.npz").colours[0, 0] == 7


BAD_ARRAYS = {
    "no points": ({"points": None}, "no array `points`"),
    "no instance": ({"instance": None}, "no instance per point"),
    "flat points": ({"points": np.zeros(18)}, r"`points` must be \(18, 3\)"),
    "scalar points": ({"points": np.float64(3)}, "`points` must be"),
    "2D points": ({"points": np.zeros((6, 2))}, r"found \(6, 2\)"),
    "text points": ({"points": np.full((6, 3), "a")}, "numbers; found"),
    "too few ids": ({"instance": np.zeros(5, int)}, r"`instance` must be \(6,\)"),
    "float ids": ({"instance": np.zeros(6)}, "integers; found"),
    "negative ids": ({"instance": np.full(6, -1)}, "negative"),
    "nan": ({"points": np.full((6, 3), np.nan)}, "6 are not"),
    "float stuff": ({"stuff": np.full(6, 0.5)}, "`stuff` must be"),
    "objects": ({"points": np.array([None] * 6)}, "not a whole NPZ"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_malformed_arrays(tmp_path, case):
    change, message = BAD_ARRAYS[case]
    arrays = {name: values for name, values in {**example(), **change}.items() if values is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        load_truth(tmp_path / "a.npz")


def whole_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **example(500))
    return buffer.getvalue()


def single_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def promising_much() -> bytes:
    """A header of 10^15 points with nothing behind it."""
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f4", "fortran_order": False, "shape": (10**15, 3)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("points.npy", array.getvalue())
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not an archive", whole_npz()[:1000], single_array(), promising_much()], ids=range(6)
)
def test_malformed_npz(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npz") as error:
        load_truth(tmp_path / "a.npz")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", ["", "\n", "0\n0\n", "1001.5\n", "nan\n", "inf\n", "a\n", "1001 2\n1001 2\n", "99999999999999999999\n"]
)
def test_malformed_text(tmp_path, content):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(UserError, match=r"a\.txt"):
        load_truth(tmp_path / "a.txt")


def test_wrong_places(tmp_path):
    with pytest.raises(UserError, match=r"no truth: expected gt_cloud\.npz"):
        load_truth(tmp_path)
    with pytest.raises(UserError, match=r"There is no file or folder .*none"):
        load_truth(tmp_path / "none.npz")
    with pytest.raises(UserError, match=r"There is no file or folder .*none"):
        load_truth(tmp_path / "none.txt")
    with pytest.raises(UserError, match="gcseg synthesize synthetic:7:demo -o FOLDER"):
        load_truth("synthetic:7:demo")
    with pytest.raises(UserError, match="neither PLY nor NPZ"):
        load_cloud(tmp_path / "a.obj")


def test_carry_takes_the_nearest_within_5_cm():
    points = np.array([[0, 0, 0], [0.1, 0, 0], [1, 0, 0]])
    to = np.array([[0.04, 0, 0], [0.06, 0, 0], [0.149, 0, 0], [0.151, 0, 0], [1, 0, 0.01], [5, 5, 5]])
    labels, near = carry(points, np.array([1, 2, 0]), to)
    np.testing.assert_array_equal(labels, [1, 2, 2, 0, 0, 0])
    np.testing.assert_array_equal(near, [True, True, True, False, True, False])


def test_carry_of_nothing():
    labels, near = carry(np.zeros((0, 3)), np.zeros(0, int), np.zeros((4, 3)))
    assert labels.tolist() == [0] * 4
    assert not near.any()
    assert carry(np.zeros((4, 3)), np.ones(4, int), np.zeros((0, 3)))[0].shape == (0,)


@pytest.mark.parametrize("suffix", [".npz", ".ply"])
def test_clouds_in_survey_coordinates(tmp_path, suffix):
    points, file = np.array([[512_000.1, 5_400_000.2, 3.0]] * 3), tmp_path / f"cloud{suffix}"
    if suffix == ".npz":
        np.savez(file, points=points, instance=np.ones(3, np.int32))
    else:
        rows = "".join(f"{x} {y} {z} 1\n" for x, y, z in points)
        axes = "".join(f"property double {axis}\n" for axis in "xyz")
        file.write_text(f"ply\nformat ascii 1.0\nelement vertex 3\n{axes}property int instance\nend_header\n{rows}")
    with pytest.raises(UserError, match=f"cloud{suffix}: its points are 5400 km from the origin.*subtract"):
        load_truth(file)


def test_one_stray_point_far_away_is_no_reason_to_refuse(tmp_path):
    points = np.zeros((3, 3))
    points[0] = 1e9
    np.savez(tmp_path / "cloud.npz", points=points, instance=np.ones(3, np.int32))
    assert len(load_truth(tmp_path / "cloud.npz").points) == 3
