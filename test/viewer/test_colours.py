import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.viewer.colours import NONE, instance_colours, oklch_to_rgb
from gcseg_ros.viewer.overlay import overlay


def test_known_colours():
    # white, black and mid grey need no chroma; pure red from Ottosson's table: L 0.628, C 0.2577, h 29.23 degrees
    got = oklch_to_rgb(
        np.array([1, 0, 0.5998, 0.62796]), np.array([0, 0, 0, 0.25768]), np.radians([0.0, 0.0, 0.0, 29.234])
    )
    assert np.abs(got.astype(int) - [[255] * 3, [0] * 3, [128] * 3, [255, 0, 0]]).max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-5, 60000), max_size=20))
def test_an_id_keeps_its_colour_whatever_else_is_there(ids):
    together = instance_colours(np.array(ids, int))
    assert together.shape == (len(ids), 3)
    for one, colour in zip(ids, together):
        assert (instance_colours(np.array([one])) == colour).all()
        assert (tuple(colour) == NONE) == (one <= 0)


def test_neighbouring_ids_are_told_apart():
    colours = instance_colours(np.arange(1, 500)).astype(int)
    for first in range(0, 480):
        run = colours[first : first + 8]
        distance = np.abs(run[:, None] - run[None]).max(-1) + 999 * np.eye(len(run), dtype=int)
        assert distance.min() >= 20
    assert len(np.unique(colours, axis=0)) == len(colours)


def test_overlay_tints_objects_and_leaves_the_rest():
    colour = np.full((20, 30, 3), 200, np.uint8)
    labels = np.zeros((20, 30), np.uint16)
    labels[5:15, 5:20] = 7
    seen = overlay(colour, labels)
    assert seen.dtype == np.uint8
    assert (seen[labels == 0] == 200).all()
    assert (seen[5, 5:20] == instance_colours(np.array([7]))).all(), "outline in the object's colour"
    inside = seen[10, 10].astype(int)
    assert np.abs(inside - (0.55 * instance_colours(np.array(7)) + 0.45 * 200)).max() <= 2


def test_overlay_of_an_empty_image():
    assert overlay(np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4), np.uint16)).shape == (0, 4, 3)
