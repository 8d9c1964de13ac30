"""PyTorch's .pt files (since 1.6: a zip), read and written without PyTorch.

The core never imports PyTorch. Like ``torch.load(weights_only=True)``, reading finds only tensors
of plain numbers, texts and containers; whatever else the pickle inside names is refused, so nothing
is ever executed. Writing makes files that ``torch.load(weights_only=True)`` reads; the same tensor
gives the same bytes.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hand_bench.columns import printable
from hand_bench.errors import SubmissionError
from hand_bench.formats import archives
from hand_bench.formats.json_files import damaged

#: Elements that a tensor may have beyond its storage (an expanded one repeats what is stored).
EXPANDED = 1 << 24
_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
_NAMES = {np.dtype(kind): name for name, kind in _STORAGES.items()}


def loads(data: bytes, where: str) -> Any:
    """Read a .pt file from memory: tensors come as arrays, containers and texts as they are.

    Raises
    ------
    SubmissionError
        HB130 where it is damaged, of before PyTorch 1.6, or holds anything else; HB131.
    """
    if data[:2] != b"PK":
        old = "it is a plain pickle, never loaded here" if data[:1] == b"\x80" else "no .pt file"
        raise damaged(where, f"is no PyTorch file ({old})", "Save it with torch.save of today.")
    with archives.Archive(data, where) as archive:
        pickles = [name for name in archive.names if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise damaged(where, "is no PyTorch file (it has no data.pkl)")
        prefix = pickles[0].removesuffix("data.pkl")
        if f"{prefix}byteorder" in archive.names:
            order = archive.read(f"{prefix}byteorder")
            if order.strip() != b"little":
                raise damaged(where, "is written in big-endian order, which is not read")
        try:
            return _Tensors(archive.read(pickles[0]), archive, prefix).load()
        except SubmissionError:
            raise
        except Exception as error:  # a damaged or malicious pickle raises almost anything
            what = printable(str(error))[:100] or type(error).__name__
            raise damaged(
                where,
                f"holds something other than tensors, texts and lists ({what})",
                "It is not loaded: a pickle can run code. Save plain tensors with torch.save.",
            ) from None


class _Storage:
    """Stands for the class of a storage; a new one for each mention, so nothing can be changed."""

    def __init__(self, dtype: Any):
        self.dtype = np.dtype(dtype)


class _Tensors(pickle.Unpickler):
    def __init__(self, data: bytes, archive: archives.Archive, prefix: str):
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._archive, self._prefix = archive, prefix
        self._known: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _Storage(_STORAGES[name])
        allowed = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("collections", "OrderedDict"): dict,
        }
        function = allowed.get((module, name))
        if function is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        # A pickle may set attributes of what it finds: let it be those of a throw-away.
        return lambda *arguments: function(*arguments)

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, storage, key, _place, count = pid
        if kind != "storage" or not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a reference to something that is no storage")
        if key not in self._known:
            values = np.frombuffer(self._archive.read(f"{self._prefix}data/{key}"), np.uint8)
            self._known[key] = values
        size = int(count) * storage.dtype.itemsize
        if not 0 <= size <= self._known[key].size:
            raise pickle.UnpicklingError("a storage that is cut off")
        return self._known[key][:size].view(storage.dtype)


def _tensor(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> np.ndarray:
    """Return a copy of a tensor; its last element must lie within the storage."""
    count = int(np.prod(size, dtype=object)) if size else 1
    if min((offset, *size, *stride), default=0) < 0 or len(size) != len(stride):
        raise pickle.UnpicklingError("a tensor of an impossible shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count > max(storage.size, EXPANDED) or (count and last >= storage.size):
        raise pickle.UnpicklingError("a tensor that is larger than its storage")
    if not count:
        return np.zeros(size, storage.dtype)
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


def dumps(value: np.ndarray | Sequence[str] | Mapping[str, np.ndarray]) -> bytes:
    """Return the bytes of a .pt file with one tensor, a list of texts, or a dict of these."""
    storages: list[np.ndarray] = []
    body = b"\x80\x02" + _pickled(value, storages) + b"."
    members = [("archive/data.pkl", body), ("archive/byteorder", b"little")]
    members += [(f"archive/data/{k}", s.tobytes()) for k, s in enumerate(storages)]
    members += [("archive/version", b"3\n")]
    return archives.pack(members, compressed=False)


def _pickled(value: Any, storages: list[np.ndarray]) -> bytes:
    """Write the opcodes of pickle protocol 2 that make a value."""
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, Mapping):
        items = b"".join(_pickled(k, storages) + _pickled(v, storages) for k, v in value.items())
        return b"}(" + items + b"u"
    if not isinstance(value, np.ndarray):
        return b"](" + b"".join(_pickled(item, storages) for item in value) + b"e"
    array = np.array(value, value.dtype.newbyteorder("<"), order="C")
    strides = tuple(step // array.itemsize for step in array.strides)
    key = _pickled(str(len(storages)), storages)
    storages.append(array)
    name = _NAMES[value.dtype.newbyteorder("=")]
    kind = f"ctorch\n{name}\n".encode()
    storage = b"(" + _pickled("storage", storages) + kind + key + _pickled("cpu", storages)
    storage += _whole(array.size) + b"tQ"
    shape = _whole(0) + _tuple(array.shape) + _tuple(strides)
    hooks = b"\x89" + b"ccollections\nOrderedDict\n" + b")R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + shape + hooks + b"tR"


def _whole(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def _tuple(numbers: Sequence[int]) -> bytes:
    return b"(" + b"".join(map(_whole, numbers)) + b"t"
