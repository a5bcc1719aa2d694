"""Pseudo labels (Sec. 3.1 and 3.2): from recordings to training samples."""
