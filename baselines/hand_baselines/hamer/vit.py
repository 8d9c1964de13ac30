"""A vision transformer on the patches of a crop.

Source: Dosovitskiy et al., ICLR 2021, as Xu et al., ViTPose, NeurIPS 2022 have it: padded patches,
the class token's position added to all others, stochastic depth (Huang et al., ECCV 2016); its
sizes are those of facts/wildhands.md 5.7.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.hamer.config import HaMeRConfig


class ViT(nn.Module):
    """The encoder: (n, 3, height, width) to tokens (n, patches, width)."""

    def __init__(self, config: HaMeRConfig):
        super().__init__()
        rows, columns = config.grid
        self.patches = nn.Conv2d(
            3, config.width, config.patch, stride=config.patch, padding=config.padding
        )
        #: That of a class token, which there is not, then those of the patches, row by row.
        self.places = nn.Parameter(torch.empty(1 + rows * columns, config.width))
        last = max(config.layers - 1, 1)
        self.blocks = nn.ModuleList(
            _Block(config, drop=config.drop_path * k / last) for k in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self._initialise()

    def forward(self, images: Tensor, told: Tensor | None = None) -> Tensor:
        """Return the tokens of pictures; `told` (n, 1, width) is added to patches with places."""
        tokens = self.patches(images).flatten(2).mT + self.places[1:] + self.places[:1]
        if told is not None:
            tokens = tokens + told
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.places, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)


class _Block(nn.Module):
    """Attention and a two-layer perceptron, each after normalisation and added to its input."""

    def __init__(self, config: HaMeRConfig, *, drop: float):
        super().__init__()
        wide, self.heads, self.drop = config.width, config.heads, drop
        self.norm1, self.norm2 = nn.LayerNorm(wide, eps=1e-6), nn.LayerNorm(wide, eps=1e-6)
        self.qkv, self.projection = nn.Linear(wide, 3 * wide), nn.Linear(wide, wide)
        self.mlp = nn.Sequential(
            nn.Linear(wide, config.mlp * wide), nn.GELU(), nn.Linear(config.mlp * wide, wide)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm1(tokens)).chunk(3, dim=-1)
        mixed = self.projection(attend(query, key, value, self.heads))
        tokens = tokens + self._kept(mixed)
        return tokens + self._kept(self.mlp(self.norm2(tokens)))

    def _kept(self, change: Tensor) -> Tensor:
        """In training, leave a change (n, tokens, width) out of some samples at random."""
        if not self.training or self.drop == 0:
            return change
        keep = change.new_empty(len(change), 1, 1).bernoulli_(1 - self.drop)
        return change * keep / (1 - self.drop)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Return what queries (n, q, width) find in keys and values (n, k, width): (n, q, width)."""
    parts = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    return functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
