"""The definition of the node graph, and the files that it names. No ROS."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from gcseg_ros.commands.doctor import dds_profile
from gcseg_ros.errors import UserError
from gcseg_ros.nodes import graph
from gcseg_ros.nodes.graph import (
    MAPPING_ARGUMENTS,
    REPLAY_ARGUMENTS,
    SEGMENTATION_ARGUMENTS,
    SENSORS,
    mapping,
    replay,
    segmentation,
)

ROOT = Path(__file__).parents[2]
SETUP = (ROOT / "setup.py").read_text()


def parameters_of(file):
    """Dotted names and values of a YAML file of parameters."""
    content = yaml.safe_load(Path(file).read_text())
    assert list(content) == ["/**"]
    assert list(content["/**"]) == ["ros__parameters"]
    found = {}

    def walk(values, prefix):
        for name, value in values.items():
            walk(value, f"{prefix}{name}.") if isinstance(value, dict) else found.update({prefix + name: value})

    walk(content["/**"]["ros__parameters"], "")
    return found


def test_topics_and_settings_become_parameters():
    node = mapping({"rgb_topic": "/c", "pose_topic": "/odom", "approx_sync": "false", "sync_queue_size": "5"}).nodes[0]
    assert node.executable == "mapping_node"
    assert node.parameters == {
        "topics.rgb": "/c",
        "topics.pose": "/odom",
        "pose_source": "topic",
        "approx_sync": False,
        "sync_queue_size": 5,
    }
    assert [Path(file).name for file in node.parameter_files] == ["mapping.yaml"]


def test_a_robot_in_a_namespace_may_have_a_tf_of_its_own():
    node = mapping({"namespace": "robot1", "tf_topic": "tf", "tf_static_topic": "tf_static"}).nodes[0]
    assert node.parameters == {"topics.tf": "tf", "topics.tf_static": "tf_static"}


def test_a_bag_switches_simulated_time_and_bag_mode_on():
    planned = mapping({"rosbag": "walk", "rosbag_args": "--rate 0.5 --storage-config-file 'my disk/s.yaml'"})
    assert planned.nodes[0].parameters["use_sim_time"] is True
    files = planned.nodes[0].parameter_files
    assert parameters_of(files[-1]) == {"mode": "bag"}
    (play,) = planned.processes
    assert play[1:8] == ["-m", "gcseg_ros.nodes.when_active", "/mapping_node", "ros2", "bag", "play", "walk"]
    assert "--clock" in play
    assert play[-4:] == ["--rate", "0.5", "--storage-config-file", "my disk/s.yaml"]
    with pytest.raises(UserError, match="rosbag_args cannot be read"):
        mapping({"rosbag": "walk", "rosbag_args": "--remap 'a"})
    assert mapping({"rosbag": "walk", "namespace": "robot/"}).processes[0][3] == "/robot/mapping_node"
    live = mapping({"rosbag": "walk", "mode": "live", "use_sim_time": "false"}).nodes[0].parameters
    assert (live["mode"], live["use_sim_time"]) == ("live", False)


def test_later_files_win(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("")
    node = mapping({"sensor": "zed", "rosbag": "walk", "config_file": str(mine)}).nodes[0]
    assert [Path(file).name for file in node.parameter_files] == ["mapping.yaml", "zed.yaml", "bag.yaml", "mine.yaml"]
    assert node.parameters == {"use_sim_time": True}, "nothing else wins over mine.yaml"


def test_what_is_not_given_is_left_to_the_files(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("")
    for graph_of in (mapping, segmentation):
        assert graph_of({"config_file": str(mine)}).nodes[0].parameters == {}
        given = graph_of({"use_sim_time": "true", "autostart": "false"}).nodes[0].parameters
        assert given == {"use_sim_time": True, "autostart": False}


def test_what_concerns_all_nodes_is_taken_from_the_config_file(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("robot:\n  mapping_node:\n    ros__parameters: {use_sim_time: true, autostart: false, mode: bag}\n")
    asked = {"segmentation": "true", "query": "true", "rviz": "true", "config_file": str(mine)}
    mapper, *others, rviz = mapping(asked).nodes
    assert mapper.parameters == {}
    for node in others:
        assert (node.parameters["use_sim_time"], node.parameters["autostart"]) == (True, False)
        assert "mode" not in node.parameters
    assert rviz.parameters == {"use_sim_time": True}
    assert {node.parameters["use_sim_time"] for node in mapping({**asked, "use_sim_time": "false"}).nodes} == {False}
    assert [node.parameters["autostart"] for node in replay(asked).nodes[2:4]] == [False, False]
    assert segmentation({"rviz": "true", "config_file": str(mine)}).nodes[1].parameters == {"use_sim_time": True}
    mine.write_text("a: [")
    with pytest.raises(UserError, match=r"mine\.yaml cannot be read"):
        mapping(asked)


def test_a_pose_topic_wins_over_the_sensor_s_tf():
    def source(**arguments):
        return mapping({"sensor": "zed", **arguments}).nodes[0].parameters.get("pose_source")

    assert source() is None, "the sensor's file says tf"
    assert source(pose_topic="/odom") == "topic"
    assert source(pose_topic="/odom", pose_source="tf") == "tf"


def test_rviz_follows_the_namespace():
    planned = mapping({"rviz": "true", "namespace": "robot"})
    rviz = planned.nodes[1]
    assert rviz.package == "rviz2"
    assert ("/mapping_node/cloud", "/robot/mapping_node/cloud") in rviz.remappings
    assert rviz.arguments == ["-d", graph.config_file("gcseg.rviz")]
    assert ("/query_node/heatmap", "/robot/query_node/heatmap") in rviz.remappings
    assert len(mapping({}).nodes) == 1


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("/**:\n  ros__parameters: {autostart: false}\n")
    given = {
        "config_file": "~/mine.yaml",
        "rosbag": "~/walk",
        "rviz": "true",
        "rviz_cfg": "~/mine.rviz",
        "query": "true",
    }
    planned = mapping(given)
    mapper, asker, rviz = planned.nodes
    assert mapper.parameter_files[-1] == str(tmp_path / "mine.yaml")
    assert asker.parameters["autostart"] is False
    assert str(tmp_path / "walk") in planned.processes[0]
    assert rviz.arguments == ["-d", str(tmp_path / "mine.rviz")]
    assert segmentation({"config_file": "~/mine.yaml"}).nodes[0].parameter_files[-1] == str(tmp_path / "mine.yaml")


def test_rviz_shows_the_frame_of_the_map():
    rviz = mapping({"rviz": "true", "map_frame_id": "odom"}).nodes[1]
    assert rviz.arguments == ["-d", graph.config_file("gcseg.rviz"), "-f", "odom"]


def test_replay_maps_every_frame():
    mapper, player = replay({"recording": "walk", "rate": "2", "output_dir": "out"}, warn_after_s=30.0).nodes
    assert mapper.parameters["mode"] == "bag"
    assert (mapper.parameters["output_dir"], mapper.parameters["warn_after_s"]) == ("out", 30.0)
    assert player.parameters["flow_control"] is True
    assert player.parameters["rate"] == 2.0


def test_replay_reads_the_recording_as_asked_and_goes_on_with_a_map_of_another_frame():
    asked = {"recording_options": "poses=pose_noisy", "map_frame_id": "odom", "rviz": "true"}
    _, player, rviz = replay({"recording": "walk", "resume": "map", **asked}).nodes
    assert (player.parameters["recording_options"], player.parameters["map_frame_id"]) == ("poses=pose_noisy", "odom")
    assert rviz.arguments[-2:] == ["-f", "odom"]


ASKED = {"segmentation": "true", "query": "true", "namespace": "robot", "log_level": "warn"}


@pytest.mark.parametrize("graph_of", [mapping, replay])
def test_segmentation_and_queries_on_the_map(graph_of):
    planned = graph_of({**ASKED, "device": "cpu", "clip_model": "mine", "checkpoint": "net.pt", "source": "fused"})
    by_name = {node.executable: node for node in planned.nodes}
    assert list(by_name)[-2:] == ["segmentation_node", "query_node"]
    segmenter, asker = by_name["segmentation_node"], by_name["query_node"]
    assert {node.namespace for node in planned.nodes} == {"robot"}
    assert {node.log_level for node in planned.nodes} == {"warn"}
    chosen = {"source": "fused", "checkpoint": "net.pt", "device": "cpu"}
    assert segmenter.parameters.items() >= chosen.items()
    assert by_name["mapping_node"].parameters["cloud_colours"] == "camera", "the network sees what the camera saw"
    assert asker.parameters.items() >= {"topics.cloud": "segmentation_node/cloud", "model": "mine"}.items()
    times = {node.parameters.get("use_sim_time") for node in planned.nodes if node.executable != "replay_node"}
    assert times == {True if graph_of is replay else None}
    assert [Path(file).name for file in segmenter.parameter_files] == ["segmentation.yaml"]


def test_queries_without_segmentation_take_mapping_node_s_instances():
    mapper, asker = mapping({"query": "true"}).nodes
    assert asker.executable == "query_node"
    assert "topics.cloud" not in asker.parameters
    assert "cloud_colours" not in mapper.parameters


def test_segmentation_of_any_cloud(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("")
    given = {"cloud_topic": "/rtabmap/cloud_map", "source": "network", "config_file": str(mine), "rviz": "true"}
    node, rviz = segmentation(given).nodes
    assert node.parameters == {
        "source": "network",
        "topics.cloud": "/rtabmap/cloud_map",
    }
    assert [Path(file).name for file in node.parameter_files] == ["segmentation.yaml", "mine.yaml"]
    assert rviz.package == "rviz2"
    with pytest.raises(UserError, match="does not exist"):
        segmentation({"config_file": "/nowhere.yaml"})


def test_commands_are_what_ros_reads():
    mapper, player = replay({"recording": "synthetic:1", "namespace": "a/b"}).nodes
    assert player.command()[:4] == [sys.executable, "-m", "gcseg_ros.nodes.replay_node", "--ros-args"]
    assert "__ns:=/a/b" in player.command()
    assert 'recording:="synthetic:1"' in player.command(), "quoted, so that it stays a text in YAML"
    assert ["--params-file", graph.config_file("mapping.yaml")] == mapper.command()[6:8]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rgb": "/c"}, "There is no argument rgb"),
        ({"mode": "fast"}, "mode must be one of"),
        ({"sensor": "kinect"}, "sensor must be one of"),
        ({"config_file": "/nowhere.yaml"}, "/nowhere.yaml does not exist"),
        ({"sync_queue_size": "["}, r"sync_queue_size must be a whole number; found '\['\."),
        ({"topic_queue_size": "2026-13-45"}, "topic_queue_size must be a whole number"),
    ],
)
def test_wrong_arguments(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        mapping(arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": "fast"}, "The argument rate must be a number; found 'fast'."),
        ({"rate": ""}, "The argument rate must be a number; found ''."),
        ({"max_frames": "2026-13-45"}, "The argument max_frames must be a whole number"),
        ({"max_frames": "1.5"}, "The argument max_frames must be a whole number"),
        ({"loop": "yes"}, "loop must be one of true, false"),
    ],
)
def test_wrong_arguments_of_replay(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        replay(arguments)


@pytest.mark.parametrize(
    ("distribution", "read"),
    [
        ("", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_dds_profiles_are_named_as_the_distribution_reads_them(monkeypatch, distribution, read):
    names = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
    for name in (*names, "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROS_DISTRO", distribution)
    ((name, profile),) = mapping({}).environment.items()
    assert name == read
    assert Path(profile).is_file()
    (named,) = re.findall(rf"export {read}=(\S+)$", dds_profile().advice)
    assert Path(named).read_text().startswith("<?xml")
    for name in names:  # the user's own stay
        with monkeypatch.context() as given:
            given.setenv(name, __file__)
            assert mapping({}).environment == {}
            assert dds_profile().ok == (name == read)


def test_the_user_s_transports_are_not_overruled(monkeypatch):
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")  # of a container that shares no memory with the camera's
    assert mapping({}).environment == {}
    assert dds_profile().ok
    assert "FASTDDS_BUILTIN_TRANSPORTS=UDPv4" in dds_profile().found


def test_arguments_are_described_and_their_defaults_allowed():
    usual = "rgb_topic depth_topic camera_info_topic pose_topic frame_id map_frame_id approx_sync sync_queue_size topic_queue_size"
    usual += " qos use_sim_time rviz rviz_cfg namespace log_level config_file sensor rosbag rosbag_args"
    assert set(usual.split()) <= {argument.name for argument in MAPPING_ARGUMENTS}
    for argument in (*MAPPING_ARGUMENTS, *REPLAY_ARGUMENTS, *SEGMENTATION_ARGUMENTS):
        assert argument.description
        assert not argument.choices or argument.default in argument.choices


def test_executables_are_installed():
    for node in replay({"segmentation": "true", "query": "true"}).nodes:
        assert re.search(rf'"{node.executable} = gcseg_ros\.nodes\.{node.executable}:main"', SETUP)


def test_everything_in_config_is_a_file():
    # setup.py installs config/* and launch/*.py
    assert all(file.is_file() for file in (ROOT / "config").iterdir())


FILES = ["mapping.yaml", "bag.yaml", *(f"{sensor}.yaml" for sensor in SENSORS)]


@pytest.mark.parametrize("name", FILES)
def test_parameter_files_hold_known_and_allowed_values(name):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    from gcseg_ros.config import build_config, set_value
    from gcseg_ros.nodes.parameters import MappingNodeConfig

    values = {}
    for path, value in parameters_of(graph.config_file(name)).items():
        set_value(values, path, value)
    config = build_config(values, MappingNodeConfig)
    if name == "mapping.yaml":
        assert config == MappingNodeConfig(), "the base file shows the defaults"


def test_the_other_nodes_files_show_their_defaults():
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    from gcseg_ros.config import build_config, flat_fields, set_value
    from gcseg_ros.nodes.parameters import QueryNodeConfig, SegmentationNodeConfig

    for name, model in (("segmentation.yaml", SegmentationNodeConfig), ("query.yaml", QueryNodeConfig)):
        values = {}
        for path, value in parameters_of(graph.config_file(name)).items():
            assert path in dict(flat_fields(model))
            set_value(values, path, value)
        assert build_config(values, model) == model()


def test_every_sensor_names_its_topics_or_how_it_differs():
    for sensor in SENSORS:
        assert parameters_of(graph.config_file(f"{sensor}.yaml"))


def test_rviz_shows_what_the_node_publishes():
    config = yaml.safe_load((ROOT / "config" / "gcseg.rviz").read_text())
    displays = config["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"]: display for display in displays if "Topic" in display}
    assert set(topics) == {f"/{node}/{name}" for node, names in graph.VIEWED.items() for name in names}
    for node, names in graph.VIEWED.items():
        code = (ROOT / "gcseg_ros" / "nodes" / f"{node}.py").read_text()
        assert all(f'"~/{name}"' in code for name in names)
    for name in ("mapping_node/cloud", "segmentation_node/cloud", "query_node/heatmap"):
        cloud = topics[f"/{name}"]
        assert cloud["Color Transformer"] == "RGB8", "the field rgb: instance colours, heat"
        assert cloud["Topic"]["Durability Policy"] == "Transient Local"
    assert config["Visualization Manager"]["Global Options"]["Fixed Frame"] == "map"


def test_dds_profile_has_room_for_images():
    import xml.etree.ElementTree as ET

    root = ET.parse(ROOT / "config" / "fastdds.xml").getroot()
    sizes = [int(element.text) for element in root.iter() if element.tag.endswith("segment_size")]
    assert sizes == [32 * 2**20]


def test_bag_qos_makes_static_transforms_late():
    overrides = yaml.safe_load((ROOT / "config" / "rosbag_qos.yaml").read_text())
    assert overrides["/tf_static"]["durability"] == "transient_local"
    assert json.dumps(overrides)
