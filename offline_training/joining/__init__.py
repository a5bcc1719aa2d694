"""Training of the decision that joins pieces of the map into objects (gcseg_ros/finishing/joining.py)."""
