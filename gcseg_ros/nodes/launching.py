"""A graph as a launch description. Imports `launch` and `launch_ros`, which come with a ROS distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from gcseg_ros.nodes.graph import Argument, Graph
from launch import LaunchDescription


def launch_description(arguments: Iterable[Argument], build: Callable[[Mapping[str, str]], Graph]) -> LaunchDescription:
    """Declares `arguments`; when launched, starts what `build` makes of their values."""
    arguments = tuple(arguments)
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            **({"choices": list(argument.choices)} if argument.choices else {}),
        )
        for argument in arguments
    ]

    def start(context: Any) -> list[Any]:
        return actions(build({a.name: LaunchConfiguration(a.name).perform(context) for a in arguments}))

    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def actions(graph: Graph) -> list[Any]:
    """Environment first, then nodes, then other processes."""
    environment = [SetEnvironmentVariable(name, value) for name, value in graph.environment.items()]
    nodes = [
        Node(
            package=node.package,
            executable=node.executable,
            name=node.executable,
            namespace=node.namespace,
            parameters=[*node.parameter_files, *([typed(node.parameters)] if node.parameters else [])],
            remappings=node.remappings,
            arguments=[*node.arguments, "--ros-args", "--log-level", node.log_level],
            output="screen",
        )
        for node in graph.nodes
    ]
    return [*environment, *nodes, *(ExecuteProcess(cmd=command, output="screen") for command in graph.processes)]


def typed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Texts stay texts: launch would read "7" as a number."""
    return {k: ParameterValue(v, value_type=str) if isinstance(v, str) else v for k, v in parameters.items()}
