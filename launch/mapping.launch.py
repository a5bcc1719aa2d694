"""Map live from a camera, or from a bag.

ros2 launch gcseg_ros mapping.launch.py rgb_topic:=/camera/color/image_raw depth_topic:=/camera/aligned_depth/image_raw \
    camera_info_topic:=/camera/color/camera_info pose_topic:=/odom
ros2 launch gcseg_ros mapping.launch.py sensor:=realsense_d435i rviz:=true
ros2 launch gcseg_ros mapping.launch.py sensor:=zed rosbag:=walk rosbag_args:='--rate 0.5'
"""

from gcseg_ros.nodes.graph import MAPPING_ARGUMENTS, mapping
from gcseg_ros.nodes.launching import launch_description


def generate_launch_description():
    return launch_description(MAPPING_ARGUMENTS, mapping)
