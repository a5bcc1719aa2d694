"""ScanNet, ScanNet200 and ScanNet++ from their official downloads: `python -m offline_training.datasets`.

annotations  groups of segments -> an instance and a class per vertex
scannet, scannetpp  which scenes there are and where their files lie
frames       ScanNet's .sens as a folder of images and poses
"""
