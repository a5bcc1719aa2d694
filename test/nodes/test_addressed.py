"""Parameters for nodes of other names are told of: ROS passes over them."""

import pytest

from gcseg_ros.nodes.addressed import meant, sections, without_effect


@pytest.mark.parametrize(
    ("pattern", "nodes"),  # as rclpy has it, tried with nodes of these names
    [
        ("/**", ["/n", "/robot/n", "/a/robot/n"]),
        ("/*", ["/n"]),
        ("/n", ["/n"]),
        ("/**/n", ["/n", "/robot/n", "/a/robot/n"]),
        ("/*/n", ["/robot/n"]),
        ("/robot/*", ["/robot/n"]),
        ("/robot/**", ["/robot/n"]),
        ("/**/robot/n", ["/robot/n", "/a/robot/n"]),
        ("/*/**", ["/n", "/robot/n", "/a/robot/n"]),
        ("/m", []),
    ],
)
def test_patterns(pattern, nodes):
    assert [node for node in ("/n", "/robot/n", "/a/robot/n") if meant(pattern, node)] == nodes


def test_sections_have_full_names():
    content = {
        "/robot": {"n": {"ros__parameters": {"a": 1}}},
        "m": {"ros__parameters": {}},
        "**": {"ros__parameters": {"b": 2}},
    }
    assert list(sections(content)) == [("/robot/n", {"a": 1}), ("/m", {}), ("/**", {"b": 2})]
    assert list(sections(["no", "mapping"])) == []


@pytest.mark.parametrize(
    ("node", "names", "told"),
    [
        ("/mapping_node", ["mapping_node"], ""),
        ("/mapping_node", ["/**"], ""),
        ("/mapping_node", ["mapper"], "/mapper"),
        ("/robot/mapping_node", ["mapping_node"], "/mapping_node"),
        ("/robot/mapping_node", ["robot/mapping_node", "other/mapping_node"], ""),
        ("/robot/mapping_node", ["/**", "mapping_node"], "/mapping_node"),
        ("/mapping_node", ["controller_server", "mapping_node", "segmentation_node"], ""),
        ("/mapping_node", ["/**", "maping_node"], "/maping_node"),
        ("/mapping_node", ["amcl", "planner"], "/amcl and /planner"),
    ],
)
def test_a_file_for_other_nodes(tmp_path, node, names, told):
    file = tmp_path / "my.yaml"
    file.write_text("".join(f"{name!r}:\n  ros__parameters:\n    map:\n      voxel_m: 0.1\n" for name in names))
    said = without_effect(node, ["mapping_node", "--ros-args", "--params-file", str(file), "-r", "a:=b"])
    if not told:
        assert said == []
        return
    (sentence,) = said
    assert f"my.yaml for {told} has no effect here: this node is {node};" in sentence


def test_parameters_for_other_nodes():
    arguments = ["-p", "x:y:=1", "--ros-args", "-p", "mapper:map.voxel_m:=0.1", "--param", "mapping_node:mode:=bag"]
    arguments += ["-p", "output_dir:=a:b", "--", "-p", "x:y:=1"]
    (sentence,) = without_effect("/mapping_node", arguments)
    assert sentence.startswith("What is given (mapper:map.voxel_m:=0.1) for /mapper has no effect here")
