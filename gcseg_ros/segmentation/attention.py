"""The transformer layers of the mask decoder (post-norm), with the parameter names of Mask3D and Mask2Former."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class CrossAttentionLayer(nn.Module):
    """Queries (Q, C) look at keys (K, C) that are not blocked for them."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(channels, heads)
        self.norm = nn.LayerNorm(channels)
        initialise(self)

    def forward(
        self, queries: Tensor, query_positions: Tensor, values: Tensor, positions: Tensor, blocked: Tensor
    ) -> Tensor:
        """blocked: (Q, K) bool; a query for which all keys are blocked looks at all of them."""
        blocked = blocked & ~blocked.all(1, keepdim=True)
        seen = attend(self.multihead_attn, queries + query_positions, values + positions, values, ~blocked)
        return self.norm(queries + seen)


class SelfAttentionLayer(nn.Module):
    """Queries look at each other."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads)
        self.norm = nn.LayerNorm(channels)
        initialise(self)

    def forward(self, queries: Tensor, query_positions: Tensor) -> Tensor:
        placed = queries + query_positions
        return self.norm(queries + attend(self.self_attn, placed, placed, queries))


class FeedForwardLayer(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(channels, inner), nn.Linear(inner, channels)
        self.norm = nn.LayerNorm(channels)
        initialise(self)

    def forward(self, queries: Tensor) -> Tensor:
        return self.norm(queries + self.linear2(functional.relu(self.linear1(queries))))


def attend(
    attention: nn.MultiheadAttention, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None = None
) -> Tensor:
    """Multi-head attention of one scene: queries (Q, C), keys and values (K, C), seen (Q, K) bool -> (Q, C).

    The module holds the parameters. Its own forward would write the mask out for every head.
    """
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    q, k, v = (
        functional.linear(x, w, b).view(len(x), attention.num_heads, -1).transpose(0, 1)
        for x, w, b in zip((queries, keys, values), weights, biases)
    )
    result = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return attention.out_proj(result.transpose(0, 1).reshape(len(queries), -1))


def initialise(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
