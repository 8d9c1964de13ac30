"""HaMeR's network: a vision transformer, and one token that asks it for the hand.

Source: Pavlakos et al., Reconstructing hands in 3D with transformers, CVPR 2024; as a member of the
WildHands family (Prakash et al., ECCV 2024, Table 2) it sees left and right crops alike and its
camera is that of the full picture (facts/wildhands.md 5.7). What differs from them is listed in
this folder's README.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hand_baselines.hamer.config import HaMeRConfig
from hand_baselines.hamer.vit import ViT, attend
from hand_baselines.mano_models import CropModel
from hand_baselines.parameters import (
    Colours,
    EncodingLayers,
    ParameterHead,
    Parameters,
    check_crops,
)


class HaMeR(nn.Module):
    """The network of one crop; `paper` has 672,151,149 parameters, 670,407,789 without KPE."""

    def __init__(self, config: HaMeRConfig):
        super().__init__()
        self.config = config
        self.colours = Colours()
        self.vit = ViT(config)
        self.encoding = EncodingLayers(config.width) if config.kpe else None
        # As released this is a map of the number 0, and a position: together one learned vector.
        self.query = nn.Parameter(torch.empty(1, config.query).normal_(std=0.02))
        self.decoder = nn.ModuleList(_DecoderLayer(config) for _ in range(config.decoder_layers))
        self.head = ParameterHead(config.query, identity=True, camera=config.camera)

    def forward(self, crops: Tensor, encoding: Tensor | None = None) -> Parameters:
        """Return what the hands of crops are.

        | tensor | shape |
        |---|---|
        | crops | (n, 3, input_size, input_size), floats in 0 to 1, left hands not mirrored |
        | encoding | (n, 80) where there is KPE, else None |

        Raises
        ------
        ValueError
            See `parameters.check_crops`.
        """
        check_crops(crops, encoding, size=self.config.input_size, kpe=self.config.kpe)
        margin = self.config.input_size // 8
        images = self.colours(crops[..., margin:-margin])
        told = self._told(encoding)
        tokens = self.vit(images, told)
        if told is not None:
            tokens = tokens + told
        asking = self.query.expand(len(crops), 1, -1)
        for layer in self.decoder:
            asking = layer(asking, tokens)
        return self.head(asking[:, 0])

    def _told(self, encoding: Tensor | None) -> Tensor | None:
        """Return one vector for all tokens: (n, 1, width)."""
        if self.encoding is None or encoding is None:
            return None
        return self.encoding(encoding)[:, None]


class HaMeRHands(CropModel):
    """Both hands of a picture, by a HaMeR that looks at each crop."""

    network_class = HaMeR


class _DecoderLayer(nn.Module):
    """Attention to itself, to the tokens of the crop, and a two-layer perceptron.

    Each comes after normalisation and is added to its input; maps to queries, keys and values have
    no bias.
    """

    def __init__(self, config: HaMeRConfig):
        super().__init__()
        wide, self.heads = config.query, config.decoder_heads
        inner = self.heads * config.head_width
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(wide) for _ in range(3))
        self.own = nn.Linear(wide, 3 * inner, bias=False)
        self.own_projection = nn.Linear(inner, wide)
        self.ask = nn.Linear(wide, inner, bias=False)
        self.answer = nn.Linear(config.width, 2 * inner, bias=False)
        self.projection = nn.Linear(inner, wide)
        self.mlp = nn.Sequential(
            nn.Linear(wide, config.decoder_mlp), nn.GELU(), nn.Linear(config.decoder_mlp, wide)
        )

    def forward(self, asking: Tensor, tokens: Tensor) -> Tensor:
        """Map (n, 1, query) and the crop's tokens (n, patches, width) to (n, 1, query)."""
        own = self.own(self.norm1(asking)).chunk(3, dim=-1)
        asking = asking + self.own_projection(attend(*own, self.heads))
        key, value = self.answer(tokens).chunk(2, dim=-1)
        found = attend(self.ask(self.norm2(asking)), key, value, self.heads)
        asking = asking + self.projection(found)
        return asking + self.mlp(self.norm3(asking))
