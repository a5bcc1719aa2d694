"""Where the camera goes: walks through free space for recordings, and single random views for training."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter1d, label
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from gcseg_ros.frames import CameraIntrinsics
from gcseg_ros.recordings.synthetic.rendering import cast_depth
from gcseg_ros.recordings.synthetic.room import Room

Array = npt.NDArray[np.float64]
CELL_M = 0.05  # of the grid that ways are looked for on
STEP_M = 0.05  # a frame
TRIES = 40  # of random views of a room, for one
MARGIN_M = 0.15  # from the outline to a random view
GLANCE_EVERY = 24  # frames of a walk


def look_from(eye: npt.ArrayLike, target: npt.ArrayLike, roll: float = 0.0) -> Array:
    """Camera-to-world pose (4,4), optical frame, at `eye` looking at `target`; roll in radians."""
    eye, target = np.asarray(eye, float), np.asarray(target, float)
    forward = target - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    turned = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, :3] = np.stack([turned, np.cos(roll) * down - np.sin(roll) * right, forward], 1)
    pose[:3, 3] = eye
    return pose


def clearance(room: Room, low: float, high: float) -> tuple[Array, Array]:
    """Distance (rows y, columns x) in metres to the nearest thing between heights low and high, 0 outside; and the
    grid's origin."""
    origin = room.corners.min(0) - 0.2
    size = np.ceil((room.corners.max(0) + 0.2 - origin) / CELL_M).astype(int)
    inside = np.zeros((int(size[1]), int(size[0])), np.uint8)
    outline = np.round(((room.corners - origin) / CELL_M - 0.5) * 256).astype(np.int32)
    cv2.fillPoly(inside, [outline], 1, shift=8)
    s = room.solids
    stuff = np.isin(s.instance, [o.id for o in room.objects if o.name in ("wall", "floor", "ceiling")])
    obstacle = ~stuff & (s.lower[:, 2] < high) & (s.upper[:, 2] > low)
    first = np.clip(np.floor((s.lower[obstacle, :2] - origin) / CELL_M).astype(int), 0, size)
    last = np.clip(np.ceil((s.upper[obstacle, :2] - origin) / CELL_M).astype(int), 0, size)
    for (x0, y0), (x1, y1) in zip(first, last):
        inside[y0:y1, x0:x1] = 0
    return distance_transform_edt(inside) * CELL_M, origin


def random_view(room: Room, rng: np.random.Generator) -> tuple[CameraIntrinsics, Array]:
    """A sensible viewpoint: not inside things, not at a bare wall. Returns a 320x240 camera and its pose.

    Half of the views are a robot's or a walker's (0.8 to 1.7 m high, level or looking down a little), some stand close to one
    thing, some come from unusual heights.
    """
    width = 320
    best, score = None, -1.0
    low, high = room.corners.min(0), room.corners.max(0)
    things = [o for o in room.objects if not o.is_stuff]
    kind = rng.choice(["walk", "walk", "object", "close", "odd"])
    for attempt in range(TRIES):
        fx = width * rng.uniform(0.75, 1.05)
        camera = CameraIntrinsics(width, 240, fx, fx, 159.5, 119.5)
        eye = np.array([*rng.uniform(low, high), rng.uniform(0.35, 2.0) if kind == "odd" else rng.uniform(0.8, 1.7)])
        eye[2] = min(eye[2], room.height - 0.3)
        target = np.array([*rng.uniform(low, high), rng.uniform(0.0, 1.2)])
        if kind == "walk":
            reach = np.linalg.norm(target[:2] - eye[:2])
            target[2] = eye[2] - reach * np.tan(np.radians(rng.uniform(-3, 32)))
        elif things:
            box = things[int(rng.integers(len(things)))].box
            target = rng.uniform(box[0], box[1])
            if kind == "close":
                away = target[:2] - eye[:2]
                reach = np.linalg.norm(away) + 1e-9
                eye[:2] = target[:2] - away / reach * min(reach, rng.uniform(0.6, 2.0))
        flat = np.linalg.norm(target[:2] - eye[:2])
        if flat < 0.2 or not inside_outline(room.corners, eye[:2]):
            continue
        # not steeper than 55 degrees down or 12 up (unusual views 30)
        target[2] = np.clip(target[2], eye[2] - 1.4 * flat, eye[2] + (0.6 if kind == "odd" else 0.21) * flat)
        pose = look_from(eye, target, rng.normal(0, 0.05))
        depth, instance = cast_depth(room, camera.scaled(24, 18), pose)
        if (depth[depth > 0] < 0.35).any() or (depth > 0).mean() < 0.6:
            continue
        counts = np.bincount(instance.ravel())
        share = counts[counts > 0] / instance.size
        value = float(-(share * np.log(share)).sum())
        if value > score:
            best, score = (camera, pose), value
        # one view in ten may show little
        if value > 1.6 - attempt * 0.03 or (attempt == 0 and value > 0.5 and rng.random() < 0.1):
            break
    if best is None:
        middle = room.corners.mean(0)
        camera = CameraIntrinsics(width, 240, 262.5, 262.5, 159.5, 119.5)
        return camera, look_from([*middle, 1.5], [*room.corners[0], 0.5])
    return best


def inside_outline(corners: Array, point: npt.ArrayLike) -> bool:
    """Whether a point (2,) lies in the polygon, MARGIN_M from its edges."""
    contour = (corners * 1000).astype(np.float32)
    x, y = np.asarray(point, float) * 1000
    return cv2.pointPolygonTest(contour, (float(x), float(y)), True) > MARGIN_M * 1000


def walk(room: Room, frames: int) -> Array:
    """Poses (frames,4,4) of a walk of about 0.05 m a frame that visits the room's corners, and comes back to where it was.

    It keeps 0.3 m from furniture where the room allows it (0.2 m at least). Half of them are handheld: sway, bob and
    roll; the others wheeled: level.
    """
    rng = np.random.default_rng([room.seed, 0, 77])
    handheld = bool(rng.random() < 0.5)
    height = float(rng.uniform(1.1, 1.6) if handheld else rng.uniform(0.8, 1.3))
    distance, origin = clearance(room, 0.03, height + 0.35)
    for margin in (0.4, 0.35, 0.3, 0.25, 0.2):
        regions, count = label(distance > margin)
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        sizes[0] = 0
        if sizes.max() > min(0.15 * (distance > 0).sum(), 3.0 / CELL_M**2) or margin == 0.2:
            break
    region = regions == int(sizes.argmax())
    cells = np.argwhere(region)
    if len(cells) < 4:
        middle = np.array([*room.corners.mean(0), height])
        angles = np.arange(frames) * 0.05
        return np.stack([look_from(middle, middle + np.array([np.cos(a), np.sin(a), -0.25])) for a in angles])
    route = visit(cells, region, distance, rng, frames)
    track = origin + (route[:, ::-1] + 0.5) * CELL_M
    return poses_along(room, smooth_track(track, distance, origin, frames, margin), height, handheld, rng)


def visit(
    cells: npt.NDArray[np.int64], region: npt.NDArray[np.bool_], distance: Array, rng: np.random.Generator, frames: int
) -> Array:
    """A closed tour (N,2) over grid cells through far apart stations, long enough for the frames."""
    index = np.full(region.shape, -1)
    index[region] = np.arange(len(cells))
    rows, columns, weights = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = cells[(cells[:, 0] + dy < region.shape[0]) & (cells[:, 1] + dx < region.shape[1]) & (cells[:, 1] + dx >= 0)]
        b = index[a[:, 0] + dy, a[:, 1] + dx]
        ok = b >= 0
        rows.append(index[a[ok, 0], a[ok, 1]])
        columns.append(b[ok])
        middle = distance[a[ok, 0], a[ok, 1]]
        weights.append(np.hypot(dy, dx) * (1 + 0.3 / middle))
    graph = coo_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (len(cells),) * 2
    ).tocsr()
    start = int(rng.integers(len(cells)))
    length, here, tour, seen = 0.0, start, [start], [start]
    # smoothing shortens the way
    needed = 1.3 * frames * STEP_M / CELL_M
    while length < needed:
        reach, before = dijkstra(graph, directed=False, indices=here, return_predecessors=True)
        far = np.where(np.isfinite(reach), reach, 0)
        # far from here and from the last stations
        apart = np.min([np.hypot(*(cells - cells[k]).T) for k in seen[-4:]], 0)
        score = apart + 0.2 * far + rng.uniform(0, 8, len(cells))
        goal = int(score.argmax())
        if goal == here:
            goal = int(rng.integers(len(cells)))
            if goal == here:
                break
        leg = [goal]
        while leg[-1] != here:
            leg.append(int(before[leg[-1]]))
        tour += leg[-2::-1]
        length += float(np.hypot(*np.diff(cells[leg], axis=0).T).sum())
        seen.append(goal)
        here = goal
    return cells[tour].astype(float)


def smooth_track(track: Array, distance: Array, origin: Array, frames: int, margin: float) -> Array:
    """Positions (frames,2), evenly spaced, rounded as far as the clearance allows."""
    if len(track) < 2:
        return np.repeat(track[:1], frames, 0)
    for sigma in (12.0, 8.0, 5.0, 3.0, 1.5, 0.5):
        smooth = gaussian_filter1d(track, sigma, axis=0, mode="nearest")
        k = np.clip(((smooth - origin) / CELL_M).astype(int), 0, np.array(distance.shape[::-1]) - 1)
        if (distance[k[:, 1], k[:, 0]] > margin - 0.06).all():
            break
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(smooth, axis=0), axis=1) + 1e-9)])
    step = min(STEP_M, along[-1] / max(frames - 1, 1))
    at = np.arange(frames) * step
    return np.stack([np.interp(at, along, smooth[:, i]) for i in range(2)], 1)


def poses_along(room: Room, track: Array, height: float, handheld: bool, rng: np.random.Generator) -> Array:
    """Look at what there is to see, at new things rather than at old ones, turning at most 3.8 degrees a frame."""
    n = len(track)
    t = np.arange(n)
    pitch = np.radians(rng.uniform(8, 20)) + np.radians(5) * np.sin(t / rng.uniform(25, 60) + rng.uniform(0, 6))
    yaw = gaze(room, track, height, float(pitch.mean()), rng)
    z = np.full(n, height)
    roll = np.zeros(n)
    if handheld:
        z = z + 0.012 * np.sin(t * 0.7) + gaussian_filter1d(rng.normal(0, 0.15, n), 25, mode="nearest")
        roll = gaussian_filter1d(rng.normal(0, 0.12, n), 10, mode="nearest")
        yaw = yaw + gaussian_filter1d(rng.normal(0, 0.04, n), 4, mode="nearest")
        pitch = pitch + gaussian_filter1d(rng.normal(0, 0.04, n), 4, mode="nearest")
    poses = []
    for i in range(n):
        eye = np.array([track[i, 0], track[i, 1], z[i]])
        direction = [np.cos(yaw[i]) * np.cos(pitch[i]), np.sin(yaw[i]) * np.cos(pitch[i]), -np.sin(pitch[i])]
        poses.append(look_from(eye, eye + direction, roll[i]))
    return np.stack(poses)


def gaze(room: Room, track: Array, height: float, pitch: float, rng: np.random.Generator) -> Array:
    """Yaw (N,) along a track (N,2): every GLANCE_EVERY frames the best of 16 directions within reach."""
    n = len(track)
    knots = np.unique(np.append(np.arange(0, n, GLANCE_EVERY), n - 1))
    camera = CameraIntrinsics(24, 18, 19.7, 19.7, 11.5, 8.5)
    things = np.array([0.0] + [0.15 if o.is_stuff or o.is_flat else 1.0 for o in room.objects])
    seen = np.zeros(len(things))
    heading = track[min(20, n - 1)] - track[0]
    yaws = [float(np.arctan2(heading[1], heading[0]))]
    for i, k in enumerate(knots):
        eye = np.array([*track[k], height])
        best, best_score, best_share = yaws[-1], -1e9, seen
        for turned in np.linspace(-np.pi, np.pi, 16, endpoint=False) if i == 0 else np.linspace(-1.35, 1.35, 13):
            yaw = yaws[-1] + turned
            direction = [np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)]
            depth, instance = cast_depth(room, camera, look_from(eye, eye + direction))
            share = np.bincount(instance.ravel(), minlength=len(things)) / instance.size
            interest = float((np.sqrt(share) * things / (1 + 4 * seen)).sum())
            near = float((depth < 0.7).mean())
            score = (
                interest + 0.15 * min(float(depth.mean()), 4.0) - 1.5 * near - 0.12 * abs(turned) + rng.uniform(0, 0.2)
            )
            if score > best_score:
                best, best_score, best_share = yaw, score, share
        seen = seen * 0.93 + (best_share > 0.01)
        yaws.append(best)
    yaw = np.interp(np.arange(n), knots, yaws[1:]) if n > 1 else np.array(yaws[1:])
    return limit_rate(gaussian_filter1d(yaw, 7, mode="nearest"), np.radians(3.8))


def limit_rate(angle: Array, most: float) -> Array:
    """The same course, following by at most `most` a step; forward and backward, so that it neither lags nor leads."""
    for _ in range(2):
        out = angle.copy()
        for i in range(1, len(out)):
            out[i] = out[i - 1] + np.clip(angle[i] - out[i - 1], -most, most)
        angle = out[::-1]
    return angle
