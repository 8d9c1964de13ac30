"""Weights of a backbone for another model: from a folder of weights, a file, or the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from hand_baselines.tensors import read_file
from hand_baselines.weights import load_weights
from hand_bench import files
from hand_bench.errors import BaselineError, Problem

#: Of a repository on the Hub, the file that is taken.
FILE = "model.safetensors"


def start_from(network: nn.Module, where: str | Path) -> str:
    """Load a network's backbone; return a sentence for its record.

    Parameters
    ----------
    network
        Anything with a `ResNet` as its ``backbone``.
    where
        A folder or name of this project's weights, of whichever model, whose backbone is taken; a
        ``.safetensors`` file with torchvision's names; or a repository on the Hub with such a file
        ("timm/resnet50.tv_in1k": ImageNet).

    Raises
    ------
    BaselineError
        HB301 where there is no such thing, HB302 where the network has no backbone, HB402 where
        the file is damaged or of another size.
    """
    if not hasattr(network, "backbone"):
        what = "are for models that look at pictures."
        raise BaselineError(Problem("HB302", "--backbone-weights", what))
    state, source = _read(where)
    network.backbone.load_backbone(state)  # pyright: ignore
    return f"backbone of {source}; the rest random"


def _read(where: str | Path) -> tuple[Mapping[str, Tensor], str]:
    path = Path(where)
    if path.suffix == ".safetensors":
        return _tensors(path), f"{path.name} (sha256 {files.sha256(path)[:16]})"
    if str(where).startswith("timm/"):
        return _tensors(_download(str(where))), str(where)
    loaded = load_weights(where)
    source = f"{loaded.name} (sha256 {loaded.sha256[:16]})"
    return loaded.network.backbone.state_dict(), source  # pyright: ignore


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return read_file(path)
    except (OSError, ValueError) as error:
        raise BaselineError(Problem("HB402", str(path), f"cannot be read ({error}).")) from error


def _download(repo: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repo, FILE))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        fix = "Download it elsewhere and name the .safetensors file, or leave the option out."
        raise BaselineError(Problem("HB402", repo, f"cannot be had: {reason}", fix=fix)) from error
