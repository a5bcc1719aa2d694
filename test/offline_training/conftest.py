"""Small furnished rooms as training samples: nothing is rendered."""

import numpy as np
import pytest

from offline_training.labelling.samples import Entry, Sample, begin, write_index, write_sample


def box_room(seed: int) -> Sample:
    """A floor of 3 m and four boxes of one colour each, on a 4 cm grid, about 7000 points."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[0:3:0.04, 0:3:0.04].reshape(2, -1).T
    parts = [np.column_stack([grid, np.zeros(len(grid))])]
    for x, y in ((0.4, 0.4), (1.8, 0.5), (0.5, 1.9), (2.0, 2.0)):
        side = rng.uniform(0.4, 0.7)
        face = np.mgrid[0:side:0.04, 0:side:0.04].reshape(2, -1).T
        flat = np.zeros(len(face))
        for columns in (
            [face[:, 0], face[:, 1], flat + side],
            [face[:, 0], flat, face[:, 1]],
            [flat, face[:, 0], face[:, 1]],
        ):
            parts.append(np.column_stack(columns) + np.array([x, y, 0.02]))
    instance = np.repeat([1, *np.repeat(np.arange(2, 6), 3)], [len(p) for p in parts])
    colours = rng.integers(40, 220, (6, 3))[instance].astype(np.uint8)
    return Sample(np.concatenate(parts).astype(np.float32), colours, instance.astype(np.int32))


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """A folder of three labelled rooms (map) and a scene without instances."""
    folder = tmp_path_factory.mktemp("samples")
    begin(folder, {"stage": 2})
    entries = []
    for seed in range(3):
        room = box_room(seed)
        entry = Entry(f"room{seed}", "map", f"samples/room{seed}.map.npz", "", len(room), 5)
        write_sample(folder / entry.file, room)
        entries.append(entry)
    write_index(folder, [*entries, Entry("empty", "map", "")])
    return folder
