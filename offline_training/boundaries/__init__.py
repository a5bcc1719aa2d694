"""Training of the RGB-D boundary network (gcseg_ros/masks/boundary_network.py) on generated rooms.

`python -m offline_training.boundaries --steps 12000 --output out/boundaries`
"""
