"""Map a recording of any format over DDS, every frame of it: a folder, a bag, or a synthetic room.

ros2 launch gcseg_ros replay.launch.py recording:=synthetic:1 rviz:=true
"""

from gcseg_ros.nodes.graph import REPLAY_ARGUMENTS, replay
from gcseg_ros.nodes.launching import launch_description


def generate_launch_description():
    return launch_description(REPLAY_ARGUMENTS, replay)
