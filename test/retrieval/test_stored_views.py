"""views.npz: what is written comes back, what is broken is refused in one sentence."""

import numpy as np
import pytest
from planted import facing, stored, wall_frame

from gcseg_ros.errors import UserError
from gcseg_ros.retrieval import StoredView, read_views, write_views


@pytest.fixture
def views():
    return [stored(wall_frame("000000")), stored(wall_frame("000005", facing(1, 2, 3), 1.2345, (10, 200, 30)))]


def test_views_come_back(tmp_path, views):
    write_views(tmp_path / "views.npz", views)
    for path in (tmp_path, tmp_path / "views.npz"):
        for before, after in zip(views, read_views(path), strict=True):
            assert (after.name, after.camera, after.depth_camera) == (before.name, before.camera, before.depth_camera)
            np.testing.assert_array_equal(after.pose, before.pose)
            assert (after.jpeg, after.png) == (before.jpeg, before.png)


def test_images_are_as_they_were(views):
    np.testing.assert_allclose(views[1].depth_m(), 1.2345, atol=0.0006)
    np.testing.assert_allclose(views[1].colour(), np.broadcast_to((10, 200, 30), (120, 160, 3)), atol=3)


def test_no_views_are_a_file_as_well(tmp_path):
    write_views(tmp_path / "views.npz", [])
    assert read_views(tmp_path) == []


def test_nothing_is_written_where_it_cannot_be(tmp_path, views):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        write_views(tmp_path / "file" / "views.npz", views)


def changed(path, **arrays):
    with np.load(path) as file:
        content = {**{name: file[name] for name in file.files}, **arrays}
    np.savez(path, **{name: value for name, value in content.items() if value is not None})


@pytest.mark.parametrize(
    "arrays",
    [
        {"version": np.array(99)},
        {"version": None},
        {"pose": None},
        {"pose": np.zeros((2, 4, 4))},
        {"pose": np.full((2, 4, 4), np.nan)},
        {"pose": np.eye(4)},
        {"pose": np.array(["a", "b"])},
        {"camera": np.full((2, 6), np.inf)},
        {"camera": np.zeros((2, 6))},
        {"camera": np.full((2, 6), 1e6)},
        {"name": np.array(["one"])},
        {"name": np.array(3)},
        {"jpeg_end": np.array([10, 5])},
        {"jpeg_end": np.array([10, 10**12])},
        {"jpeg_end": np.array([-3, 10])},
        {"jpeg_end": np.array([1.5, 2.5])},
        {"png": np.zeros(4)},
    ],
    ids=lambda arrays: "-".join(f"{name}:{value!r:.12}" for name, value in arrays.items()),
)
def test_files_that_make_no_sense_are_refused(tmp_path, views, arrays):
    write_views(tmp_path / "views.npz", views)
    changed(tmp_path / "views.npz", **arrays)
    with pytest.raises(UserError, match=r"views\.npz .*gcseg map"):
        read_views(tmp_path)


def test_half_a_file_and_other_files_are_refused(tmp_path, views):
    path = tmp_path / "views.npz"
    with pytest.raises(UserError, match="There are no stored views"):
        read_views(tmp_path)
    write_views(path, views)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive", whole[:200] + b"\xff" * 50 + whole[250:]):
        path.write_bytes(content)
        with pytest.raises(UserError):
            read_views(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").replace(path)
    with pytest.raises(UserError):
        read_views(path)


def test_nothing_pickled_is_loaded(tmp_path):
    np.savez(tmp_path / "views.npz", name=np.array([{"a": 1}], object))
    with pytest.raises(UserError):
        read_views(tmp_path)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_an_image_that_cannot_be_read_is_named(views, kind):
    for data in (b"", b"no image", getattr(views[0], kind)[:40]):
        view = StoredView(**{**vars(views[0]), kind: data})
        with pytest.raises(UserError, match="000000"):
            _ = view.colour() if kind == "jpeg" else view.depth_m()


def test_an_image_of_another_size_or_kind_is_refused(views):
    with pytest.raises(UserError):
        StoredView(**{**vars(views[0]), "png": views[0].jpeg}).depth_m()
    larger = StoredView(**{**vars(views[0]), "camera": views[0].camera.scaled(320, 240)})
    with pytest.raises(UserError):
        larger.colour()
