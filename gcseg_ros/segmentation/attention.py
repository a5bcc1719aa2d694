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

    def projected(self, values: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of each head, (heads, K, C / heads), of values and their encoded positions, (K, C) each."""
        return projection(self.multihead_attn, 1, values + positions), projection(self.multihead_attn, 2, values)

    def forward(self, queries: Tensor, query_positions: Tensor, seen: tuple[Tensor, Tensor], blocked: Tensor) -> Tensor:
        """seen: `projected`; blocked: (Q, K) bool; a query for which all keys are blocked looks at all of them."""
        blocked = blocked & ~blocked.all(1, keepdim=True)
        asked = projection(self.multihead_attn, 0, queries + query_positions)
        return self.norm(queries + attend(self.multihead_attn, asked, *seen, ~blocked))


class SelfAttentionLayer(nn.Module):
    """Queries look at each other."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads)
        self.norm = nn.LayerNorm(channels)
        initialise(self)

    def forward(self, queries: Tensor, query_positions: Tensor) -> Tensor:
        placed = queries + query_positions
        inputs = (projection(self.self_attn, i, x) for i, x in enumerate((placed, placed, queries)))
        return self.norm(queries + attend(self.self_attn, *inputs))


class FeedForwardLayer(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(channels, inner), nn.Linear(inner, channels)
        self.norm = nn.LayerNorm(channels)
        initialise(self)

    def forward(self, queries: Tensor) -> Tensor:
        return self.norm(queries + self.linear2(functional.relu(self.linear1(queries))))


def projection(attention: nn.MultiheadAttention, which: int, x: Tensor) -> Tensor:
    """Queries (which = 0), keys (1) or values (2) of each head: (N, C) -> (heads, N, C / heads)."""
    weight, bias = attention.in_proj_weight.chunk(3)[which], attention.in_proj_bias.chunk(3)[which]
    heads = functional.linear(x, weight, bias).view(len(x), attention.num_heads, -1)
    return heads.transpose(0, 1).contiguous()


def attend(
    attention: nn.MultiheadAttention, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None = None
) -> Tensor:
    """Multi-head attention of one scene: projected queries (heads, Q, D), keys and values (heads, K, D), seen (Q, K)
    bool -> (Q, C).

    The module holds the parameters. Its own forward would write the mask out for every head.
    """
    # With a batch dimension PyTorch takes its fused kernel, which never holds the (heads, Q, K) weights.
    (result,) = functional.scaled_dot_product_attention(queries[None], keys[None], values[None], attn_mask=seen)
    return attention.out_proj(result.transpose(0, 1).reshape(queries.shape[1], -1))


def initialise(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
