"""A map as a recording of the rerun viewer (https://rerun.io; the extra `viewer`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.packages import extra
from gcseg_ros.viewer.colours import instance_colours


def write_rrd(instances: InstanceMap, path: str | Path) -> None:
    """Side by side the cloud in true colours and by instance with the oriented boxes, z up. Raises UserError where
    rerun is missing."""
    try:
        import rerun as rr
        import rerun.blueprint as rrb
    except ImportError:
        raise UserError(
            f"Writing .rrd needs rerun, which is not installed: {extra('viewer')}; --png needs nothing."
        ) from None
    ids = np.array([found.id for found in instances.objects], int)
    boxes = [found.oriented_box for found in instances.objects]
    turned = [Rotation.from_matrix(rotation).as_quat() for _, rotation, _ in boxes]
    with atomic_path(path) as temporary:
        stream = rr.RecordingStream("gcseg_ros")
        stream.save(temporary)
        stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        radii = 0.01
        stream.log("world/colour", rr.Points3D(instances.points, colors=instances.colours, radii=radii), static=True)
        by_instance = rr.Points3D(instances.points, colors=instance_colours(instances.instance), radii=radii)
        stream.log("world/instances", by_instance, static=True)
        stream.log(
            "world/boxes",
            rr.Boxes3D(
                centers=np.array([centre for centre, _, _ in boxes]).reshape(-1, 3),
                half_sizes=np.array([size for _, _, size in boxes]).reshape(-1, 3) / 2,
                quaternions=np.array(turned).reshape(-1, 4),
                colors=instance_colours(ids),
                labels=[f"{found.id} ({found.confidence:.2f})" for found in instances.objects],
                show_labels=False,
            ),
            static=True,
        )
        views = [
            rrb.Spatial3DView(name="colour", origin="/world", contents=["/world/colour"]),
            rrb.Spatial3DView(name="instances", origin="/world", contents=["/world/instances", "/world/boxes"]),
        ]
        stream.send_blueprint(rrb.Blueprint(rrb.Horizontal(*views), collapse_panels=True))
        stream.flush()
        stream.disconnect()
