"""What a HaMeR-style network is made of: `PRESETS["paper"]` (ViT-H) and `PRESETS["small"]`."""

from __future__ import annotations

from dataclasses import dataclass

from hand_baselines.mano_config import SMALL, ManoConfig
from hand_baselines.presets import SMALL_INPUT, find_preset


@dataclass(frozen=True)
class HaMeRConfig(ManoConfig):
    """Sizes and conventions; the defaults are the paper's, with KPE.

    Attributes
    ----------
    input_size
        Pixels of the square crop's side; its middle three quarters of columns are looked at.
    expansion
        Side of a crop over the longer side of its box.
    patch, padding
        Pixels of a patch's side, and zeros around the picture.
    width, layers, heads, mlp
        Of the encoder: values of a token, blocks, heads of attention, and how many times wider
        than a token the hidden layer is.
    drop_path
        In training, the chance that the last block is left out; earlier ones less, in a line.
    query, decoder_layers, decoder_heads, head_width, decoder_mlp
        Of the decoder: values of its one token, layers, heads of attention, values of each head,
        and values of the hidden layer.
    camera
        s, tx, ty that the answer starts from; rotations start from none and the shape from zero.
    kpe
        Whether the network is told where in the field of view a crop is.
    """

    input_size: int = 256
    expansion: float = 2.5
    patch: int = 16
    padding: int = 2
    width: int = 1280
    layers: int = 32
    heads: int = 16
    mlp: int = 4
    drop_path: float = 0.55
    query: int = 1024
    decoder_layers: int = 6
    decoder_heads: int = 8
    head_width: int = 64
    decoder_mlp: int = 1024
    camera: tuple[float, float, float] = (0.9, 0.0, 0.0)
    kpe: bool = True

    def __post_init__(self) -> None:
        if self.input_size % 8:
            raise ValueError(f"{self.input_size} pixels have no whole eighth to leave out")
        if self.width % self.heads:
            raise ValueError(f"{self.width} values do not fit {self.heads} heads")
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path {self.drop_path} is no chance below 1")

    @property
    def grid(self) -> tuple[int, int]:
        """Return rows and columns of patches."""
        shape = (self.input_size, self.input_size * 3 // 4)
        rows, columns = ((side + 2 * self.padding) // self.patch for side in shape)
        return rows, columns


PRESETS = {
    "paper": HaMeRConfig(),
    "small": HaMeRConfig(
        **SMALL,
        input_size=SMALL_INPUT,
        width=192,
        layers=5,
        heads=6,
        drop_path=0.0,
        query=128,
        decoder_layers=2,
        decoder_heads=4,
        head_width=32,
        decoder_mlp=128,
        camera=(3.0, 0.0, 0.0),
    ),
}


def preset(name: str) -> HaMeRConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "HaMeR", name)
