"""HandOccNet's two transformers: one brings what is seen to what is hidden, one refines the whole.

Both look from a map of queries to a map of keys and values, which stays the same in all blocks.

Source: Park et al., HandOccNet, CVPR 2022, sections 3.2 and 3.3 (FIT, SET); facts/wildhands.md 5.7.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.handoccnet.config import HandOccNetConfig


class Injecting(nn.Module):
    """FIT: the hidden stream becomes what it finds in the seen one, then both are merged."""

    def __init__(self, config: HandOccNetConfig):
        super().__init__()
        wide = config.channels
        self.blocks = nn.ModuleList(_Block(config, gated=True) for _ in range(config.blocks))
        self.merge = nn.Sequential(
            nn.Conv2d(2 * wide, wide, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(2 * wide, wide, 1)

    def forward(self, hidden: Tensor, seen: Tensor, told: Tensor | None) -> Tensor:
        """Map two streams (n, channels, h, w) to one; `told` (n, channels, 1, 1) or None."""
        for block in self.blocks:
            hidden = block(hidden, seen, told)
        both = torch.cat([seen, hidden], dim=1)
        return self.merge(both) + self.shortcut(both)


class Enhancing(nn.Module):
    """SET: every place looks at all others."""

    def __init__(self, config: HandOccNetConfig):
        super().__init__()
        self.blocks = nn.ModuleList(_Block(config, gated=False) for _ in range(config.blocks))

    def forward(self, features: Tensor, told: Tensor | None) -> Tensor:
        """Map (n, channels, h, w) to the same shape; `told` (n, channels, 1, 1) or None."""
        output = features
        for block in self.blocks:
            output = block(output, features, told)
        return output


class _Block(nn.Module):
    """Attention and a two-layer perceptron over the places of a map.

    Gated attention is multiplied, for each query and head, by the sigmoid of the sum over keys of
    a second product of queries and keys, and replaces its input; the other is added to it. Learned
    positions of queries and keys, and what the network is told, are no part of values.
    """

    def __init__(self, config: HandOccNetConfig, *, gated: bool):
        super().__init__()
        wide, side, self.heads = config.channels, config.side, config.heads
        self.query_places = nn.Parameter(torch.empty(wide, side, side).normal_(std=0.02))
        self.key_places = nn.Parameter(torch.empty(wide, side, side).normal_(std=0.02))
        self.query, self.value = nn.Conv2d(wide, wide, 1), nn.Conv2d(wide, wide, 1)
        # A bias would change all of a query's products alike, which the softmax does not see.
        self.key = nn.Conv2d(wide, wide, 1, bias=False)
        self.gate_query = nn.Conv2d(wide, wide, 1) if gated else None
        self.gate_key = nn.Conv2d(wide, wide, 1) if gated else None
        self.norm = nn.LayerNorm(wide)
        self.mlp = nn.Sequential(
            nn.Linear(wide, config.mlp * wide), nn.GELU(), nn.Linear(config.mlp * wide, wide)
        )

    def forward(self, query: Tensor, key: Tensor, told: Tensor | None) -> Tensor:
        asking, answering = query + self.query_places, key + self.key_places
        if told is not None:
            asking, answering = asking + told, answering + told
        q, k, v = (
            self._split(found)
            for found in (self.query(asking), self.key(answering), self.value(key))
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        gate = self._gate(asking, answering)
        mixed = (mixed if gate is None else gate * mixed).transpose(1, 2).flatten(2)
        tokens = mixed if gate is not None else query.flatten(2).mT + mixed
        tokens = tokens + self.mlp(self.norm(tokens))
        return tokens.mT.unflatten(2, query.shape[2:])

    def _gate(self, asking: Tensor, answering: Tensor) -> Tensor | None:
        """Return the gate (n, heads, places, 1) of every query; keys are summed first."""
        if self.gate_query is None or self.gate_key is None:
            return None
        q, k = self._split(self.gate_query(asking)), self._split(self.gate_key(answering))
        products = (q * k.sum(dim=2, keepdim=True)).sum(dim=-1, keepdim=True)
        return (products / q.shape[-1] ** 0.5).sigmoid()

    def _split(self, features: Tensor) -> Tensor:
        """Split (n, channels, h, w) into heads: (n, heads, places, channels / heads)."""
        return features.flatten(2).unflatten(1, (self.heads, -1)).mT.contiguous()
