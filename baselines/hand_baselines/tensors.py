"""Tensors of a network in a folder: one safetensors file, or several with an index.

What is larger than `MAX_SHARD` is cut into ``model-00001-of-0000N.safetensors``: whole tensors, in
their order, with ``model.safetensors.index.json`` beside them (Hugging Face's form), which says in
which file each tensor is. Every tensor is in exactly one file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hand_bench import files

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
#: Bytes of tensors in a file; a tensor that is larger has a file of its own.
MAX_SHARD = 16_000_000
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
        return read_file(folder / SINGLE)
    where = _index(folder)
    state: dict[str, Tensor] = {}
    for name in sorted(set(where.values())):
        part = read_file(folder / name)
        if set(part) != {key for key, file in where.items() if file == name}:
            raise ValueError(f"{name} has other tensors than {INDEX} says")
        state |= part
    return state


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


def read_file(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file in single precision; ValueError where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from error
    return {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in state.items()}
