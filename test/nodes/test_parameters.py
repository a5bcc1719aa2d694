"""Every setting is a ROS parameter with a description; mistakes are one sentence."""

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from gcseg_ros.config import Config, flat_fields
from gcseg_ros.errors import UserError
from gcseg_ros.nodes.parameters import (
    MappingNodeConfig,
    QueryNodeConfig,
    ReplayNodeConfig,
    SegmentationNodeConfig,
    declare,
    read,
)


class Log:
    """Collects what a node's logger warns of."""

    def __init__(self, node):
        self.lines = []
        node.get_logger = lambda: self

    def warning(self, line):
        self.lines.append(line)


def node_with(ros, **parameters):
    import rclpy

    return ros.add(lambda **arguments: rclpy.create_node("n", **arguments), **parameters)


@pytest.mark.parametrize("model", [MappingNodeConfig, ReplayNodeConfig])
def test_the_defaults_survive(ros, model):
    node = node_with(ros)
    declare(node, model)
    assert read(node, model) == model()


def test_all_core_settings_are_parameters_with_a_description(ros):
    node = node_with(ros)
    declare(node, MappingNodeConfig)
    for path, info in flat_fields(Config):
        assert node.describe_parameter(path).description == info.description
    assert all(node.describe_parameter(path).description for path, _ in flat_fields(MappingNodeConfig))


def test_values_reach_the_models(ros):
    node = node_with(
        ros, tracking__keyframe_stride=7, map__voxel_m=0.05, mode="bag", topics__rgb="/c", masks__levels=[0.5]
    )
    declare(node, MappingNodeConfig)
    config = read(node, MappingNodeConfig)
    assert config.core == Config(tracking={"keyframe_stride": 7}, map={"voxel_m": 0.05}, masks={"levels": (0.5,)})
    assert (config.mode, config.topics.rgb) == ("bag", "/c")


def test_a_whole_number_is_fine_where_a_number_is_expected(ros):
    node = node_with(ros, rate=3)
    declare(node, ReplayNodeConfig)
    assert read(node, ReplayNodeConfig).rate == 3.0
    node = node_with(ros, body_to_camera=[0, 0, 0, 1, 0, 0, 0])
    declare(node, MappingNodeConfig)
    assert read(node, MappingNodeConfig).body_to_camera == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (MappingNodeConfig, "output_dir"),
        (MappingNodeConfig, "resume"),
        (ReplayNodeConfig, "recording"),
        (SegmentationNodeConfig, "checkpoint"),
        (QueryNodeConfig, "model"),
        (QueryNodeConfig, "weights"),
    ],
)
def test_a_tilde_is_the_home_folder(ros, monkeypatch, model, name):
    monkeypatch.setenv("HOME", "/house")
    for given, path in (("~/maps/kitchen", "/house/maps/kitchen"), ("synthetic:1", "synthetic:1")):
        node = node_with(ros, **{name: given})
        declare(node, model)
        assert getattr(read(node, model), name) == path


def test_null_as_gcseg_config_prints_it_is_the_default(ros):
    node = node_with(ros, masks__boundary_network="null", foundation__weights_dir="null", output_dir="null")
    declare(node, MappingNodeConfig)
    config = read(node, MappingNodeConfig)
    assert (config.masks.boundary_network, config.foundation.weights_dir) == (None, None)
    assert config.output_dir == "null", "a folder may be called so"


def test_limits_and_choices_are_described(ros):
    node = node_with(ros)
    declare(node, MappingNodeConfig)
    iou = node.describe_parameter("tracking.match_iou")
    assert (iou.floating_point_range[0].from_value, iou.floating_point_range[0].to_value) == (0.0, 1.0)
    assert node.describe_parameter("sync_queue_size").integer_range[0].to_value == 1000
    assert node.describe_parameter("mode").additional_constraints == "one of: live, bag"
    assert node.describe_parameter("map.voxel_m").additional_constraints == "> 0, <= 1"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"tracking__match_iou": 3.0}, "tracking.match_iou must be a number > 0, < 1; found 3.0"),
        ({"tracking__match_iou": 1.0}, "tracking.match_iou = 1.0 is not allowed"),
        ({"masks__sam__stability_score_offset": -1.0}, "masks.sam.stability_score_offset = -1.0 is not allowed"),
        ({"map__voxel_m": "thick"}, "map.voxel_m must be a number > 0, <= 1; found 'thick'"),
        ({"mode": "fast"}, "mode = 'fast' is not allowed"),
        ({"mode": 3}, "mode must be one of: live, bag; found 3"),
        ({"autostart": "yes"}, "autostart must be true or false"),
        ({"sync_queue_size": 0}, "sync_queue_size must be a whole number"),
        ({"body_to_camera": ["1", "2"]}, "body_to_camera must be a list of numbers"),
        ({"body_to_camera": None}, "body_to_camera must be a list of numbers; found None"),  # what ROS makes of []
    ],
)
def test_a_wrong_value_is_one_sentence(ros, parameters, sentence):
    def configure(node):
        declare(node, MappingNodeConfig)
        return read(node, MappingNodeConfig)

    with pytest.raises(UserError) as error:
        configure(node_with(ros, **parameters))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_parameter_is_said(ros):
    node = node_with(ros, traking__keyframe_stride=3, zzz=1, use_sim_time=True, use_sim_times=True)
    log = Log(node)
    declare(node, MappingNodeConfig)
    assert len(log.lines) == 3
    assert "did you mean tracking.keyframe_stride?" in log.lines[0]
    assert "zzz is not known" in log.lines[1]
