"""Segment a cloud that grows, of mapping_node or of any other mapping: ids and colours stay with their objects.

ros2 launch gcseg_ros segmentation.launch.py rviz:=true
ros2 launch gcseg_ros segmentation.launch.py cloud_topic:=/rtabmap/cloud_map source:=network checkpoint:=segmenter.pt device:=cuda
"""

from gcseg_ros.nodes.graph import SEGMENTATION_ARGUMENTS, segmentation
from gcseg_ros.nodes.launching import launch_description


def generate_launch_description():
    return launch_description(SEGMENTATION_ARGUMENTS, segmentation)
