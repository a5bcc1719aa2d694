"""Training of the 3D segmenter (gcseg_ros/segmentation): matching of queries with instances, and losses."""
