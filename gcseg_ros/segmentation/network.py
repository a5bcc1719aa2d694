"""Mask3D (Schult et al., ICRA 2023): sparse U-Net, queries, masked attention over four levels, masks and objectness."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcseg_ros.errors import UserError
from gcseg_ros.segmentation.attention import CrossAttentionLayer, FeedForwardLayer, SelfAttentionLayer
from gcseg_ros.segmentation.layers import SparseConvolution
from gcseg_ros.segmentation.positions import FourierEncoding, furthest_points
from gcseg_ros.segmentation.res16unet import ARCHITECTURES, Res16UNet
from gcseg_ros.segmentation.sparse_tensor import SparseTensor
from gcseg_ros.segmentation.windows import WindowHead, monomials, product

LEVELS = 4
"""The decoder attends to the U-Net's strides 16, 8, 4 and 2."""
PAIRS_AT_ONCE = 1 << 24
"""Attention masks are held for this many pairs of a query and a voxel, 12 bytes each."""

LIMITS: dict[str, tuple[float, float]] = {
    "channels": (3, 6),
    "hidden": (2, 1024),
    "heads": (1, 512),
    "feedforward": (1, 8192),
    "rounds": (1, 100),
    "queries": (1, 10_000),
    "classes": (2, 10_000),
    "head_classes": (1, 10_000),
    "keys": (1, 1 << 24),
    "voxel_m": (1e-4, 100.0),
    "box_m": (0.0, 1e5),
    "colour_mean": (-10.0, 10.0),
    "colour_std": (1e-3, 10.0),
}
"""Of the numbers in a NetworkConfig; where these are whole, so are those."""


@dataclass(frozen=True)
class NetworkConfig:
    """What a checkpoint needs to be built again. The defaults are Mask3D's and Segment3D's.

    architecture     of the backbone: 34C | 18A | 14A | tiny
    channels         of the input features: 3 colours, or 6 with the surface's direction (features.py)
    hidden, heads, feedforward   of the decoder
    rounds           how often the decoder goes through the levels, with the same weights
    queries          most instances that can be found
    classes          scores of a query; the last is "no object"
    head_classes     channels of the backbone's own head, which is not used but stands in checkpoints
    keys             in training a level's voxels are drawn down to this many, from stride 16 to 2
    voxel_m          edge of a voxel
    query_features   queries start from their voxel's features (Mask3D's `use_np_features`); else from zeros
    box_m            positions are encoded in a cube of this edge from the scene's corner on; 0: in the scene's own box
    windows          masks fade outside of an ellipsoid that each query tells (windows.py)
    colour_mean, colour_std   colours (0..1) are normalised with these
    """

    architecture: str = "34C"
    channels: int = 3
    hidden: int = 128
    heads: int = 8
    feedforward: int = 1024
    rounds: int = 3
    queries: int = 100
    classes: int = 2
    head_classes: int = 20
    keys: tuple[int, ...] = (200, 800, 3200, 12800)
    voxel_m: float = 0.02
    query_features: bool = False
    box_m: float = 0.0
    windows: bool = False
    colour_mean: tuple[float, ...] = (0.47793125906962, 0.4303257521323044, 0.3749598901421883)
    colour_std: tuple[float, ...] = (0.2834475483823543, 0.27566157565723015, 0.27018971370874995)

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise UserError(
                f"There is no architecture {self.architecture!r}: choose one of {', '.join(ARCHITECTURES)}."
            )
        for name, (low, high) in LIMITS.items():
            value, default = getattr(self, name), getattr(NetworkConfig, name)
            numbers, defaults = (x if isinstance(x, tuple) else (x,) for x in (value, default))
            kinds = int if isinstance(low, int) else (int, float)
            if len(numbers) != len(defaults) or not all(isinstance(x, kinds) and low <= x <= high for x in numbers):
                raise UserError(f"{name} of a network is {default} by default, from {low} to {high}; found {value!r}.")
        if self.hidden % (2 * self.heads):
            raise UserError(f"hidden = {self.hidden} must be a multiple of twice the number of heads ({self.heads}).")


@dataclass(frozen=True)
class Step:
    """What the queries say after one decoder layer: scores (Q, classes) logits, embeddings (Q, D) of their masks."""

    scores: Tensor
    embeddings: Tensor


@dataclass(frozen=True)
class ScenePrediction:
    """Of one scene of N voxels. Masks are products that are taken where they are needed, so that memory stays bounded.

    features  (N, D) mask features of the voxels
    steps     before each decoder layer and after the last; the last is the result, the others serve the auxiliary losses
    anchors   (Q,) the voxels that the queries started from
    """

    features: Tensor
    steps: list[Step]
    anchors: Tensor

    def mask_logits(self, step: Step, voxels: Tensor | slice = slice(None)) -> Tensor:
        """(Q, N): positive where a voxel belongs to the query's mask. voxels: only these."""
        return product(step.embeddings, self.features[voxels])


class Mask3D(nn.Module):
    """forward(x, positions) -> a ScenePrediction for each scene of the batch."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or NetworkConfig()
        self.backbone = Res16UNet(c.architecture, c.channels, c.head_classes)
        channels = self.backbone.pyramid_channels
        self.mask_features_head = SparseConvolution(channels[-1], c.hidden, 1, bias=True)
        self.pos_enc = FourierEncoding(c.hidden)
        self.query_projection = nn.Sequential(
            nn.Linear(c.hidden, c.hidden), nn.ReLU(), nn.Linear(c.hidden, c.hidden), nn.ReLU()
        )
        if c.query_features:
            self.np_feature_projection = nn.Sequential(
                nn.Linear(channels[-1], c.hidden), nn.ReLU(), nn.Linear(c.hidden, c.hidden)
            )
        # The outer list is for the rounds, which share their weights: one entry, as in the published checkpoints.
        self.cross_attention = nn.ModuleList(
            [nn.ModuleList(CrossAttentionLayer(c.hidden, c.heads) for _ in range(LEVELS))]
        )
        self.self_attention = nn.ModuleList(
            [nn.ModuleList(SelfAttentionLayer(c.hidden, c.heads) for _ in range(LEVELS))]
        )
        self.ffn_attention = nn.ModuleList(
            [nn.ModuleList(FeedForwardLayer(c.hidden, c.feedforward) for _ in range(LEVELS))]
        )
        self.lin_squeeze = nn.ModuleList([nn.ModuleList(nn.Linear(n, c.hidden) for n in channels[:LEVELS])])
        self.decoder_norm = nn.LayerNorm(c.hidden)
        self.mask_embed_head = nn.Sequential(nn.Linear(c.hidden, c.hidden), nn.ReLU(), nn.Linear(c.hidden, c.hidden))
        self.class_embed_head = nn.Linear(c.hidden, c.classes)
        if c.windows:
            self.window_head = WindowHead(c.hidden)

    def forward(
        self,
        x: SparseTensor,
        positions: Tensor,
        queries: int | None = None,
        scenes: int | None = None,
        anchors: Tensor | None = None,
    ) -> list[ScenePrediction]:
        """One prediction a scene; a scene without voxels has no queries.

        x          (N, channels) features of the voxels
        positions  (N, 3) where they are, metres
        queries    default: the config's
        scenes     of the batch; default: up to the last that has voxels
        anchors    (A,) voxels of the only scene that a query starts from as well
        """
        pyramid = [y.with_features(y.features.float()) for y in self.backbone(x)]
        mask_features = self.mask_features_head(pyramid[-1]).features
        if self.config.windows:
            mask_features = torch.cat([mask_features, monomials(positions)], 1)
        levels = self._levels(pyramid, mask_features, positions)
        if scenes is None:
            scenes = len(x.level.scene_ends) - 1
        return [
            self._decode([level.scene(scene) for level in levels], queries or self.config.queries, anchors)
            for scene in range(scenes)
        ]

    def _levels(self, pyramid: list[SparseTensor], mask_features: Tensor, positions: Tensor) -> list[_LevelInputs]:
        """What the decoder needs of each level, from stride 16 to 1: means over the voxels' children."""
        levels = []
        pooled = mask_features.detach()
        for i, y in enumerate(reversed(pyramid)):
            levels.append(_LevelInputs(y.features, pooled if i else mask_features, positions, y.level.scene_ends))
            if i < LEVELS:
                pooled, positions = y.level.coarser.mean(pooled), y.level.coarser.mean(positions)
        return levels[::-1]

    def _decode(self, levels: list[_LevelInputs], count: int, more: Tensor | None) -> ScenePrediction:
        """One scene: its queries go through the levels, `rounds` times. more: voxels that queries start from besides."""
        finest = levels[-1]
        anchors = furthest_points(finest.positions, count)
        if more is not None:
            anchors = torch.unique(torch.cat([anchors, more]))
        if not len(anchors):
            nothing = self._step(finest.features.new_zeros(0, self.config.hidden), finest.positions[anchors])
            return ScenePrediction(finest.mask_features, [nothing] * (self.config.rounds * LEVELS + 1), anchors)
        query_positions = self.query_projection(self._encoded(finest.positions, anchors))
        queries = torch.zeros_like(query_positions)
        if self.config.query_features:
            queries = self.np_feature_projection(finest.features[anchors])
        encoded = [self._encoded(y.positions) for y in levels[:LEVELS]]
        starts = finest.positions[anchors]
        # In training other voxels are drawn each time; else all are looked at, which every round shares.
        shared = None if self.training else [self._looked_at(i, levels[i], encoded[i]) for i in range(LEVELS)]
        steps = []
        for _ in range(self.config.rounds):
            for i, level in enumerate(levels[:LEVELS]):
                step = self._step(queries, starts)
                steps.append(step)
                keys, seen = shared[i] if shared else self._looked_at(i, level, encoded[i])
                features, embeddings = level.mask_features[keys], step.embeddings.detach()
                queries = self._attended(i, queries, query_positions, embeddings, features, seen)
                queries = self.self_attention[0][i](queries, query_positions)  # type: ignore[index]
                queries = self.ffn_attention[0][i](queries)  # type: ignore[index]
        return ScenePrediction(finest.mask_features, [*steps, self._step(queries, starts)], anchors)

    def _attended(
        self,
        i: int,
        queries: Tensor,
        query_positions: Tensor,
        embeddings: Tensor,
        features: Tensor,
        seen: tuple[Tensor, Tensor],
    ) -> Tensor:
        """The queries (Q, hidden) after the cross-attention of a level, with its voxels' mask features (N, D); some
        queries at once."""
        some = max(1, PAIRS_AT_ONCE // len(features))
        parts = zip(queries.split(some), query_positions.split(some), embeddings.split(some))
        # A mask's mean over children is the product with the mean feature: masks are linear in the features.
        attended = [
            self.cross_attention[0][i](asked, placed, seen, product(of_masks, features) < 0)  # type: ignore[index]
            for asked, placed, of_masks in parts
        ]
        return torch.cat(attended)

    def _encoded(self, positions: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """(N, 3) -> (R, hidden) of these rows. A training's crops and whole scenes are only alike in a box of fixed size."""
        low = positions.amin(0)
        high = low + self.config.box_m if self.config.box_m else positions.amax(0)
        return self.pos_enc(positions[rows], low, high)

    def _step(self, queries: Tensor, starts: Tensor) -> Step:
        normed = self.decoder_norm(queries)
        embeddings = self.mask_embed_head(normed)
        if self.config.windows:
            embeddings = torch.cat([embeddings, self.window_head(normed, starts)], 1)
        return Step(self.class_embed_head(normed), embeddings)

    def _looked_at(self, i: int, level: _LevelInputs, encoded: Tensor) -> tuple[Tensor | slice, tuple[Tensor, Tensor]]:
        """Which voxels of a level the queries look at, and the keys and values that they see there."""
        keys = self._drawn(len(level.features), i, level.features.device)
        values = self.lin_squeeze[0][i](level.features[keys])  # type: ignore[index]
        return keys, self.cross_attention[0][i].projected(values, encoded[keys])  # type: ignore[index]

    def _drawn(self, voxels: int, level: int, device: torch.device) -> Tensor | slice:
        """In training a random part of a level's voxels, against overfitting and for memory; else all."""
        most = self.config.keys[level]
        if not self.training or voxels <= most:
            return slice(None)
        return torch.randperm(voxels, device=device)[:most]


@dataclass(frozen=True)
class _LevelInputs:
    """One level of the batch, or of one scene: features (N, C), mask_features (N, D), positions (N, 3)."""

    features: Tensor
    mask_features: Tensor
    positions: Tensor
    ends: list[int]

    def scene(self, number: int) -> _LevelInputs:
        """None of the rows where the batch ends before this scene."""
        last = len(self.ends) - 1
        rows = slice(self.ends[min(number, last)], self.ends[min(number + 1, last)])
        return _LevelInputs(
            self.features[rows], self.mask_features[rows], self.positions[rows], [0, rows.stop - rows.start]
        )
