"""Transformer encoders that are told positions in every layer (facts/htt-h2o-fpha.md 4.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Encoder(nn.Module):
    """Layers with normalisation before each part, and one more at the end; no dropout.

    Parameters
    ----------
    tokens, heads, layers, feedforward
        Size of a token, heads of attention, number of layers, size of their hidden layer.
    longest
        Tokens of the longest sequence.
    """

    places: Tensor

    def __init__(self, tokens: int, heads: int, layers: int, feedforward: int, longest: int):
        super().__init__()
        self.layers = nn.ModuleList(_Layer(tokens, heads, feedforward) for _ in range(layers))
        self.norm = nn.LayerNorm(tokens)
        self.register_buffer("places", sine_places(longest, tokens), persistent=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, sequence: Tensor, seen: Tensor) -> Tensor:
        """Return what tokens become: (batch, length, tokens).

        `seen` (batch, length): which tokens are looked at; at least one of each sequence.
        """
        places = self.places[: sequence.shape[1]].to(sequence.dtype)
        for layer in self.layers:
            sequence = layer(sequence, places, ~seen)
        return self.norm(sequence)


class _Layer(nn.Module):
    """Attention and two linear maps; positions are added to queries and keys, not to values."""

    def __init__(self, tokens: int, heads: int, feedforward: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(tokens), nn.LayerNorm(tokens)
        self.attention = nn.MultiheadAttention(tokens, heads, batch_first=True)
        self.linear1 = nn.Linear(tokens, feedforward)
        self.linear2 = nn.Linear(feedforward, tokens)

    def forward(self, sequence: Tensor, places: Tensor, hidden: Tensor) -> Tensor:
        values = self.norm1(sequence)
        asked = values + places
        mixed, _ = self.attention(asked, asked, values, key_padding_mask=hidden, need_weights=False)
        sequence = sequence + mixed
        return sequence + self.linear2(functional.relu(self.linear1(self.norm2(sequence))))


def sine_places(length: int, tokens: int) -> Tensor:
    """Return (length, tokens): sin(k / 10000^(2i / tokens)) and its cosine, in turn."""
    rate = 10000 ** (-torch.arange(0, tokens, 2, dtype=torch.float64) / tokens)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()
