"""The network: a light U-Net at half of the image's size and below, with full-size input and output by pixel shuffling."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from gcseg_ros.masks.boundary_network import AFFINITY_OFFSETS, CHANNELS

MAPS = 2  # boundary, structure
WIDTHS = (32, 48, 64, 96)  # channels at 1/2, 1/4, 1/8 and 1/16 of the image's size


def convolution(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution and batch norm."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = convolution(width, width, dilation=dilation)
        self.second = convolution(width, width, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class BoundaryUNet(nn.Module):
    """Features (B, CHANNELS, H, W) -> logits: maps (B, 2, H, W), affinities (B, K, H/2, W/2). H, W: multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = WIDTHS
        self.stem = convolution(4 * CHANNELS, half)
        self.encoders = nn.ModuleList(
            [
                Residual(half),
                nn.Sequential(Residual(quarter), Residual(quarter)),
                nn.Sequential(Residual(eighth), Residual(eighth)),
                nn.Sequential(Residual(sixteenth), Residual(sixteenth, dilation=2), Residual(sixteenth, dilation=4)),
            ]
        )
        pairs = list(itertools.pairwise(WIDTHS))
        self.down = nn.ModuleList([convolution(fine, coarse, stride=2) for fine, coarse in pairs])
        self.lateral = nn.ModuleList([nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs])
        self.decoders = nn.ModuleList([convolution(fine, fine) for fine, _ in pairs])
        self.maps = nn.Conv2d(half, 4 * MAPS, 1)
        self.affinities = nn.Conv2d(half, len(AFFINITY_OFFSETS), 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.said(self.known(features)[-1])

    def known(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder makes of them at 1/8, 1/4 and 1/2 of the image's size."""
        x = functional.relu(self.stem(functional.pixel_unshuffle(features, 2)))
        x = self.encoders[0](x)
        skips = []
        for down, encoder in zip(self.down, self.encoders[1:]):
            skips.append(x)
            x = encoder(functional.relu(down(x)))
        decoded = []
        for lateral, decoder in zip(reversed(self.lateral), reversed(self.decoders)):
            x = functional.interpolate(lateral(x), scale_factor=2.0, mode="nearest") + skips.pop()
            x = x + functional.relu(decoder(x))
            decoded.append(x)
        eighth, quarter, half = decoded
        return eighth, quarter, half

    def said(self, half: Tensor) -> tuple[Tensor, Tensor]:
        """The logits."""
        return functional.pixel_shuffle(self.maps(half), 2), self.affinities(half)


def gathered(known: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """What the network knows of every 4x4 pixels, (B, C, H/4, W/4): from the finest to the coarsest."""
    eighth, quarter, half = known
    coarse = functional.interpolate(eighth, scale_factor=2.0, mode="nearest")
    return torch.cat([functional.avg_pool2d(half, 2), quarter, coarse], 1)


class Calibrated(nn.Module):
    """The network with probabilities for output, and the appearance; a boundary's is sigmoid(scale * logit + bias).

    mean (C,), components (C, APPEARANCE_CHANNELS): of what is `gathered`
    """

    def __init__(self, network: BoundaryUNet, scale: float, bias: float, mean: Tensor, components: Tensor) -> None:
        super().__init__()
        self.network, self.scale, self.bias = network, scale, bias
        self.appearance = nn.Conv2d(*components.shape, 1)
        self.appearance.weight.data = components.T[:, :, None, None].clone()
        self.appearance.bias.data = -(mean @ components)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        known = self.network.known(features)
        maps, affinities = self.network.said(known[-1])
        boundary, structure = maps[:, :1] * self.scale + self.bias, maps[:, 1:]
        probabilities = torch.sigmoid(torch.cat([boundary, structure], 1))
        return probabilities, torch.sigmoid(affinities), self.appearance(gathered(known))
