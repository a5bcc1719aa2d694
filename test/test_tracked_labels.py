"""Labels of frames, until the map is finished."""

import os
import resource

import numpy as np
import pytest

from gcseg_ros.tracked_labels import read_labels, write_labels


@pytest.mark.parametrize("name", ["000007", "1305031102.175304", "a.npy"])
def test_what_is_read_is_what_was_written(tmp_path, name):
    labels = np.random.default_rng(0).integers(0, 65536, (31, 17)).astype(np.uint16)
    write_labels(tmp_path, name, 70000, labels)
    (file,) = tmp_path.iterdir()
    found, index, back = read_labels(file)
    assert (found, index) == (name, 70000)
    assert back.dtype == np.uint16
    assert np.array_equal(back, labels)


def test_half_a_file_does_not_stay(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_labels(tmp_path, "000007", 0, np.zeros((9, 9), np.uint16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []
