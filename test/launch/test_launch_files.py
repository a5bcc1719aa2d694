"""The launch files: with stand-ins that record what they are given, and for real where `launch_ros` is installed."""

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gcseg_ros.nodes.graph import MAPPING_ARGUMENTS, REPLAY_ARGUMENTS, SEGMENTATION_ARGUMENTS

FOLDER = Path(__file__).parents[2] / "launch"
FILES = {
    "mapping.launch.py": MAPPING_ARGUMENTS,
    "replay.launch.py": REPLAY_ARGUMENTS,
    "segmentation.launch.py": SEGMENTATION_ARGUMENTS,
}


@dataclass
class Recorded:
    """An action or substitution of `launch`: its arguments."""

    args: tuple
    given: dict[str, Any] = field(default_factory=dict)

    def __init__(self, *args, **given):
        self.args, self.given = args, given


class LaunchConfiguration(Recorded):
    def perform(self, context):
        return context.launch_configurations[self.args[0]]


@pytest.fixture
def recorder(monkeypatch):
    """Modules `launch` and `launch_ros` that record."""
    names = [
        "LaunchDescription",
        "DeclareLaunchArgument",
        "ExecuteProcess",
        "OpaqueFunction",
        "SetEnvironmentVariable",
        "Node",
    ]
    kinds = {name: type(name, (Recorded,), {}) for name in names} | {"LaunchConfiguration": LaunchConfiguration}
    kinds["ParameterValue"] = lambda value, value_type: value_type(value)
    of_launch = ("launch", "launch.actions", "launch.substitutions")
    for name in (*of_launch, "launch_ros", "launch_ros.actions", "launch_ros.parameter_descriptions"):
        module = ModuleType(name)
        vars(module).update(kinds)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "gcseg_ros.nodes.launching", raising=False)
    yield SimpleNamespace(**kinds)
    sys.modules.pop("gcseg_ros.nodes.launching", None)


def description_of(name):
    spec = importlib.util.spec_from_file_location("launch_file", FOLDER / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def launched(description, **values):
    """What starts when the description is launched with these arguments."""
    *declared, start = description.args[0]
    defaults = {argument.args[0]: argument.given["default_value"] for argument in declared}
    assert set(values) <= set(defaults)
    return start.given["function"](SimpleNamespace(launch_configurations={**defaults, **values}))


def of_kind(actions, kind):
    return [action for action in actions if isinstance(action, kind)]


@pytest.mark.parametrize("name", FILES)
def test_arguments_are_declared(recorder, name):
    *declared, _ = description_of(name).args[0]
    assert [argument.args[0] for argument in declared] == [argument.name for argument in FILES[name]]
    assert all(argument.given["description"] for argument in declared)
    choices = {argument.args[0]: argument.given.get("choices") for argument in declared}
    assert choices["rviz"] == ["true", "false"]


def test_mapping(recorder):
    actions = launched(description_of("mapping.launch.py"), rgb_topic="/c", sensor="zed", namespace="robot")
    (node,) = of_kind(actions, recorder.Node)
    assert (node.given["package"], node.given["executable"]) == ("gcseg_ros", "mapping_node")
    assert node.given["namespace"] == "robot"
    *files, parameters = node.given["parameters"]
    assert [Path(file).name for file in files] == ["mapping.yaml", "zed.yaml"]
    assert parameters["topics.rgb"] == "/c"
    assert node.given["arguments"][-2:] == ["--log-level", "info"]
    assert not of_kind(actions, recorder.ExecuteProcess)


def test_mapping_of_a_bag_with_rviz(recorder):
    actions = launched(description_of("mapping.launch.py"), rosbag="walk", rviz="true")
    mapper, rviz = of_kind(actions, recorder.Node)
    assert mapper.given["parameters"][-1]["use_sim_time"] is True
    assert (rviz.given["package"], rviz.given["executable"]) == ("rviz2", "rviz2")
    (play,) = of_kind(actions, recorder.ExecuteProcess)
    assert play.given["cmd"][3:8] == ["/mapping_node", "ros2", "bag", "play", "walk"]


def test_replay(recorder, monkeypatch):
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    actions = launched(description_of("replay.launch.py"), recording="synthetic:7")
    assert [node.given["executable"] for node in of_kind(actions, recorder.Node)] == ["mapping_node", "replay_node"]
    (variable,) = of_kind(actions, recorder.SetEnvironmentVariable)
    assert variable.args[0] == "FASTDDS_DEFAULT_PROFILES_FILE"
    assert isinstance(actions[0], recorder.SetEnvironmentVariable), "set before anything starts"


def test_everything_at_once(recorder):
    actions = launched(description_of("mapping.launch.py"), segmentation="true", query="true", rviz="true")
    executables = [node.given["executable"] for node in of_kind(actions, recorder.Node)]
    assert executables == ["mapping_node", "segmentation_node", "query_node", "rviz2"]


def test_segmentation(recorder):
    (node,) = of_kind(launched(description_of("segmentation.launch.py"), cloud_topic="/map"), recorder.Node)
    assert (node.given["package"], node.given["executable"]) == ("gcseg_ros", "segmentation_node")
    assert node.given["parameters"][-1]["topics.cloud"] == "/map"


def test_parameters_are_those_that_the_nodes_declare(recorder):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    from gcseg_ros.config import flat_fields
    from gcseg_ros.nodes.parameters import (
        MappingNodeConfig,
        QueryNodeConfig,
        ReplayNodeConfig,
        SegmentationNodeConfig,
    )

    values = {a.name: (a.choices[-1] if a.choices else "1") for a in MAPPING_ARGUMENTS if a.name != "config_file"}
    values |= {"segmentation": "true", "query": "true"}
    started = launched(description_of("mapping.launch.py"), **values) + launched(description_of("replay.launch.py"))
    models = {
        "mapping_node": MappingNodeConfig,
        "replay_node": ReplayNodeConfig,
        "segmentation_node": SegmentationNodeConfig,
        "query_node": QueryNodeConfig,
    }
    declared = {name: {path for path, _ in flat_fields(model)} for name, model in models.items()}
    for node in of_kind(started, recorder.Node):
        if node.given["package"] == "gcseg_ros":
            assert set(node.given["parameters"][-1]) - {"use_sim_time"} <= declared[node.given["executable"]]


@pytest.mark.parametrize("name", FILES)
def test_for_real(name):
    pytest.importorskip("launch_ros", reason="launch_ros comes with a ROS distribution only")
    from launch import LaunchContext

    description = description_of(name)
    context = LaunchContext()
    for argument in description.entities[:-1]:
        argument.execute(context)
    assert description.entities[-1].execute(context)
