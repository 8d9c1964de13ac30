"""WildHands, HandNet and ArcticNet-SF: one network whose parts are left out.

Source: Prakash et al., 3D Hand Pose Estimation in Everyday Egocentric Images, ECCV 2024, section 3;
ap229997/hands, src/models/hands_light and src/nets (facts/wildhands.md 5.3, 5.6); Fan et al.,
ARCTIC, CVPR 2023, for ArcticNet-SF.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hand_baselines.crops import as_float
from hand_baselines.heads import pooled
from hand_baselines.hmr import Fitted, GraspHead, HMRHead
from hand_baselines.kpe import (
    ENCODINGS,
    camera_rays,
    encode_map,
    pcl_crop,
    pcl_rotation,
    perspective_rotation,
)
from hand_baselines.mano_data import SIDE
from hand_baselines.mano_losses import HandsOutput
from hand_baselines.mano_models import ManoModel
from hand_baselines.parameters import Colours
from hand_baselines.resnet import ResNet
from hand_baselines.wildhands.config import WildHandsConfig


class WildHands(ManoModel):
    """The network; `PRESETS["paper"]` has 72 million parameters."""

    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("convolutions", "heads", "grasp")

    def __init__(self, config: WildHandsConfig):
        super().__init__(config)
        encoding = ENCODINGS[config.encoding]
        self.backbone = Trunks(config, encoding.channels if encoding.joins == "input" else 0)
        channels = self.backbone.out_channels
        features = channels
        self.convolutions = None
        if config.branches != "picture":
            told = encoding.channels if encoding.joins == "features" else 0
            self.convolutions = _Convolutions(channels + told, config)
            features = config.hidden
        self.heads = nn.ModuleList(
            HMRHead(features, config.head, config.iterations, config.dropout) for _ in range(2)
        )
        self.grasp = GraspHead(channels if config.grasp_global else 0, config.grasp)
        if config.initialisation == "kaiming":
            _initialise(self.convolutions)
            for head in self.heads:
                _initialise(head.trunk)
                _initialise(head.camera[:-1])  # pyright: ignore

    def forward(self, picture: Tensor, crops: Tensor, boxes: Tensor, K: Tensor) -> HandsOutput:
        """Return both hands.

        | tensor | shape |
        |---|---|
        | picture | (batch, 3, size, size), bytes or 0 to 1 |
        | crops | (batch, 2, 3, size, size), right hand first |
        | boxes | (batch, 2, 4), x0, y0, x1, y1, px of a letterbox of 224 |
        | K | (batch, 3, 3), px of the same |
        """
        config = self.config
        whole = None
        if config.branches != "crops" or config.grasp_global:
            whole = self.backbone.picture(picture)
        if config.branches == "picture":
            assert whole is not None
            seen = [pooled(whole)] * 2
        else:
            seen = self._crops(picture, crops, boxes, K, whole)
        fitted = [head(features) for head, features in zip(self.heads, seen, strict=True)]
        grasp = [self._grasp(one, whole) for one in fitted]
        if config.correction != "none":
            fitted = [self._corrected(one, boxes[:, k], K) for k, one in enumerate(fitted)]
        said = [one.parameters for one in fitted]
        return HandsOutput(
            torch.stack([one.rotations for one in said], dim=1),
            torch.stack([one.betas for one in said], dim=1),
            torch.stack([one.camera for one in said], dim=1),
            torch.stack([one.first_camera for one in fitted], dim=1),
            torch.stack(grasp, dim=1),
        )

    def _crops(
        self, picture: Tensor, crops: Tensor, boxes: Tensor, K: Tensor, whole: Tensor | None
    ) -> list[Tensor]:
        """Return the features (batch, hidden) of the right and of the left crops."""
        config = self.config
        if config.correction == "pcl":
            crops = _perspective_crops(as_float(picture), boxes, K)
        flat = crops.transpose(0, 1).flatten(0, 1)
        places, cameras = boxes.transpose(0, 1).flatten(0, 1), K.repeat(2, 1, 1)
        name, joins = config.encoding, ENCODINGS[config.encoding].joins
        told = encode_map(name, places, cameras, config.input_size) if joins == "input" else None
        features = self.backbone.crops(flat, told)
        if config.branches == "both":
            assert whole is not None
            features = features + whole.repeat(2, 1, 1, 1)
        if joins == "features":
            encoded = encode_map(name, places, cameras, features.shape[-1])
            features = torch.cat([features, encoded.to(features)], dim=1)
        assert self.convolutions is not None
        return list(self.convolutions(features).chunk(2))

    def _grasp(self, fitted: Fitted, whole: Tensor | None) -> Tensor:
        told = ()
        if self.config.grasp_global:
            assert whole is not None
            told = (whole.sum(dim=(2, 3)),)
        return self.grasp.read(fitted.parameters, *told)

    def _corrected(self, fitted: Fitted, boxes: Tensor, K: Tensor) -> Fitted:
        """Turn the root's rotation from the crop's own camera into the picture's."""
        if self.config.correction == "pcl":
            middle = (boxes[:, :2] + boxes[:, 2:]) / 2
            turn = pcl_rotation(camera_rays(middle, K))
        else:
            turn = perspective_rotation(boxes, K)
        said = fitted.parameters
        root = turn.to(said.rotations)[:, None] @ said.rotations[:, :1]
        rotations = torch.cat([root, said.rotations[:, 1:]], dim=1)
        return fitted._replace(parameters=said._replace(rotations=rotations))


class Trunks(nn.Module):
    """The ResNet of pictures and that of crops; perhaps the same one.

    Parameters
    ----------
    config
        Depth, width, and which are there.
    told
        Channels that crops have besides their colours.
    """

    def __init__(self, config: WildHandsConfig, told: int = 0):
        super().__init__()
        self.colours = Colours() if config.normalised else nn.Identity()
        size = {"depth": config.depth, "width": config.width}
        looks = config.branches != "crops" or config.grasp_global
        crops = config.branches != "picture"
        shared = config.one_trunk and not told
        self.hand = ResNet(**size, in_channels=3 + told) if crops else None
        self.whole = ResNet(**size) if looks and not (crops and shared) else None
        self.out_channels = (self.hand or self.whole).out_channels  # pyright: ignore

    def picture(self, images: Tensor) -> Tensor:
        """Return the features of pictures (batch, 3, size, size)."""
        return self._look(self.whole or self.hand, images)

    def crops(self, images: Tensor, told: Tensor | None = None) -> Tensor:
        """Return the features of crops (batch, 3, size, size), with what is told of each pixel."""
        return self._look(self.hand, images, told)

    def _look(self, trunk: nn.Module | None, images: Tensor, told: Tensor | None = None) -> Tensor:
        assert trunk is not None
        pictures = self.colours(as_float(images))
        if told is not None:
            pictures = torch.cat([pictures, told.to(pictures)], dim=1)
        return trunk(pictures.contiguous(memory_format=torch.channels_last))

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Load a ResNet's weights into both; a first layer that is told more keeps its own."""
        for trunk in (self.hand, self.whole):
            if trunk is None:
                continue
            own = dict(state)
            if trunk.conv1.in_channels != 3:
                own["conv1.weight"] = trunk.conv1.weight.detach()
            trunk.load_backbone(own)


def _perspective_crops(picture: Tensor, boxes: Tensor, K: Tensor) -> Tensor:
    """Return the crops (batch, 2, 3, size, size) of pictures (batch, 3, size, size) by PCL."""
    size = picture.shape[-1]
    zoom = size / SIDE
    camera = K * K.new_tensor([[zoom], [zoom], [1.0]])
    views = [pcl_crop(picture, boxes[:, hand] * zoom, camera, size) for hand in (0, 1)]
    return torch.stack(views, dim=1)


def _initialise(layers: nn.Module | None) -> None:
    """Draw weights such that the values behind each ReLU keep their scale."""
    for layer in layers.modules() if layers is not None else ():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class _Convolutions(nn.Sequential):
    """1x1, 3x3, 3x3 without normalisation, then one vector (facts 5.3)."""

    def __init__(self, channels: int, config: WildHandsConfig):
        first, second, third = config.channels
        one, two = config.padding
        side = config.input_size // 32 - 4 + 2 * (one + two)
        plain = {"bias": False}
        super().__init__(
            *(nn.Conv2d(channels, first, 1, **plain), nn.ReLU()),
            *(nn.Conv2d(first, second, 3, padding=one, **plain), nn.ReLU()),
            *(nn.Conv2d(second, third, 3, padding=two, **plain), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(third * side * side, config.hidden), nn.ReLU()),
        )
