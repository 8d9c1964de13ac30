"""Tensors of a network in a folder: one safetensors file, or several with an index.

What is larger than `MAX_SHARD` is cut into ``model-00001-of-0000N.safetensors``: whole tensors, in
their order, with ``model.safetensors.index.json`` beside them (Hugging Face's form), which says in
which file each tensor is. Every tensor is in exactly one file.

Numbers are stored in single precision, in half precision, or as bytes: a large tensor NAME as whole
numbers from -127 to 127, and `NAME.scale`, a number for each of its first axis by which they are
multiplied; small tensors in half precision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from hand_bench import files

Store = Literal["single", "half", "byte"]
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
#: Bytes of tensors in a file; a tensor that is larger has a file of its own.
MAX_SHARD = 16_000_000
#: Numbers that a tensor has at least to be stored as bytes.
BYTES_FROM = 1024
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


def write(folder: Path, state: Mapping[str, Tensor], max_shard: int | None = MAX_SHARD) -> None:
    """Write tensors into a folder, and remove files of tensors that were there before.

    With `max_shard` None it is always one file.
    """
    parts = _parts(state, max_shard)
    names = [SINGLE]
    if len(parts) > 1:
        names = [f"model-{k:05d}-of-{len(parts):05d}.safetensors" for k in range(1, len(parts) + 1)]
    for name, part in zip(names, parts, strict=True):
        _write(folder / name, part)
    if len(parts) > 1:
        where = {key: name for name, part in zip(names, parts, strict=True) for key in part}
        total = sum(_size(value) for value in state.values())
        files.write_json(
            folder / INDEX,
            {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))},
        )
    else:
        (folder / INDEX).unlink(missing_ok=True)
    for path in folder.glob("model*.safetensors"):
        if path.name not in names and (path.name == SINGLE or _SHARD.fullmatch(path.name)):
            path.unlink()


def read(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a folder.

    Raises
    ------
    ValueError
        Where a file is damaged, or files and index contradict each other.
    """
    if not (folder / INDEX).is_file():
        return _single(_read(folder / SINGLE))
    where = _index(folder)
    state: dict[str, Tensor] = {}
    for name in sorted(set(where.values())):
        part = _read(folder / name)
        if set(part) != {key for key, file in where.items() if file == name}:
            raise ValueError(f"{name} has other tensors than {INDEX} says")
        state |= part
    return _single(state)


def names(folder: Path) -> list[str]:
    """Return the names of the files that hold a folder's tensors, the index among them."""
    if not (folder / INDEX).is_file():
        return [SINGLE]
    return [INDEX, *sorted(set(_index(folder).values()))]


def is_weights_file(name: str) -> bool:
    """Whether a name is one that `write` gives."""
    return name in (SINGLE, INDEX) or _SHARD.fullmatch(name) is not None


def _index(folder: Path) -> dict[str, str]:
    index = json.loads((folder / INDEX).read_text("utf-8"))
    where = index.get("weight_map") if isinstance(index, dict) else None
    names = where.values() if isinstance(where, dict) else ()
    if not names or not all(_SHARD.fullmatch(str(name)) for name in names):
        raise ValueError(f"{INDEX} does not say in which files the tensors are")
    return dict(where or {})


def _parts(state: Mapping[str, Tensor], max_shard: int | None) -> list[dict[str, Tensor]]:
    parts: list[dict[str, Tensor]] = [{}]
    filled = 0
    for key, value in state.items():
        if max_shard is not None and parts[-1] and filled + _size(value) > max_shard:
            parts.append({})
            filled = 0
        parts[-1][key] = value
        filled += _size(value)
    return parts


def _size(value: Tensor) -> int:
    return value.numel() * value.element_size()


def _write(path: Path, state: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    with files.replacing(path) as temporary:
        temporary.write_bytes(save(dict(state), {"format": "pt"}))


def stored(state: Mapping[str, Tensor], store: Store) -> dict[str, Tensor]:
    """Return tensors as they are stored; counters stay whole numbers."""
    if store == "single":
        return dict(state)
    kept: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point():
            kept[name] = value
        elif store == "byte" and value.ndim > 1 and value.numel() >= BYTES_FROM:
            largest = value.flatten(1).abs().amax(dim=1)
            scale = (largest.float() / 127).clamp(min=torch.finfo(torch.float32).tiny)
            kept[name] = (value / _beside(scale, value)).round().clamp(-127, 127).to(torch.int8)
            kept[f"{name}.scale"] = scale
        else:
            kept[name] = value.half()
    return kept


def _single(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return stored tensors in single precision."""
    scales = {name: state[f"{name}.scale"] for name in state if f"{name}.scale" in state}
    found = {}
    for name, value in state.items():
        if name in scales:
            found[name] = value.float() * _beside(scales[name], value)
        elif name.removesuffix(".scale") not in scales:
            found[name] = value.to(torch.float32) if value.is_floating_point() else value
    return found


def _beside(scale: Tensor, value: Tensor) -> Tensor:
    return scale.reshape(-1, *[1] * (value.ndim - 1))


def read_file(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file in single precision; ValueError where it is damaged."""
    return _single(_read(path))


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from error
