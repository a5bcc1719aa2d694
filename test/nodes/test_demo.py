"""The demo without ROS; test_node_processes.py has it with ROS."""

from gcseg_ros.files import read_json
from gcseg_ros.nodes import demo


def test_without_ros_the_demo_maps_in_its_own_process(recording, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(demo, "ros_is_installed", lambda: False)
    assert demo.main(["--recording", str(recording), "-o", str(tmp_path / "out")]) == 0
    assert "rclpy is not installed" in capfd.readouterr().out
    assert read_json(tmp_path / "out" / "summary.json")["frames"] == 6


def test_a_demo_without_a_recording_fails_with_a_sentence(tmp_path, capfd):
    assert demo.main(["--recording", str(tmp_path / "nothing"), "-o", str(tmp_path / "out")]) == 2
    assert "no such file or folder" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
