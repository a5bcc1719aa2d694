"""An exported network, back as one that can be trained further."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from gcseg_ros.errors import UserError
from offline_training.boundaries.network import WIDTHS, BoundaryUNet


def load_exported(file: Path, inputs: Tensor, widths: tuple[int, int, int, int] = WIDTHS) -> BoundaryUNet:
    """The network of an ONNX file that `export` wrote, without its calibration.

    Export folds batch norms into the convolutions before them. Here each gets back the mean and the spread of what it normalises, measured on
    inputs (B, CHANNELS, H, W) as training makes them, and the scale and shift that undo it: the network says the same, and can go on learning.

    Raises UserError if the file is missing, broken or another network.
    """
    network = BoundaryUNet(widths).eval()
    convolutions, norms = in_order(network, inputs)
    try:
        graph = onnx.load(str(file)).graph
        arrays = {array.name: torch.from_numpy(numpy_helper.to_array(array).copy()) for array in graph.initializer}
        saved = [[arrays[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
        shapes = [(conv.weight.shape, (conv.out_channels,)) for conv in convolutions]
        if [(weight.shape, tuple(bias.shape)) for weight, bias in saved] != shapes:
            raise ValueError("its convolutions are others")
    except Exception as error:  # protobuf and onnx have many exceptions for broken files
        raise UserError(
            f"{file} cannot be trained further: expected a boundary network of this version in ONNX ({' '.join(str(error).split())[:200]})."
        ) from None
    with torch.no_grad():
        for conv, norm, (weight, bias) in zip(convolutions, norms, saved):
            conv.weight.copy_(weight)
            if norm is None:
                assert conv.bias is not None
                conv.bias.copy_(bias)
                continue
            for tensor, value in ((norm.running_mean, 0), (norm.running_var, 1 - norm.eps), (norm.weight, 1)):
                assert tensor is not None
                tensor.fill_(value)
            norm.bias.copy_(bias)
        measured: dict[nn.Module, tuple[Tensor, Tensor]] = {}

        def measure(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
            measured[norm] = given[0].mean((0, 2, 3)), given[0].var((0, 2, 3), unbiased=False)

        hooks = [norm.register_forward_pre_hook(measure) for norm in norms if norm is not None]
        network(inputs)
        for hook in hooks:
            hook.remove()
        for norm in norms:
            if norm is None:
                continue
            mean, variance = measured[norm]
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_(torch.sqrt(variance + norm.eps))
            norm.bias.add_(mean)
    return network


def in_order(network: BoundaryUNet, inputs: Tensor) -> tuple[list[nn.Conv2d], list[nn.BatchNorm2d | None]]:
    """The network's convolutions in the order in which it uses them, and the batch norm after each."""
    used: list[nn.Module] = []
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d))]
    hooks = [layer.register_forward_hook(lambda layer, *_: used.append(layer)) for layer in layers]
    with torch.inference_mode():
        network(inputs[:1])
    for hook in hooks:
        hook.remove()
    convolutions = [layer for layer in used if isinstance(layer, nn.Conv2d)]
    after = dict(zip(used, [*used[1:], None]))
    norms = [after[conv] for conv in convolutions]
    return convolutions, [norm if isinstance(norm, nn.BatchNorm2d) else None for norm in norms]
