"""ScanNet, ScanNet200, ScanNet++ and Replica from their official downloads: `python -m offline_training.datasets`.

annotations  groups of segments -> an instance and a class per vertex
faces        a mesh whose faces have an object -> the object per vertex
scannet, scannetpp, replica  which scenes there are and where their files lie
frames       ScanNet's .sens as a folder of images and poses
"""
