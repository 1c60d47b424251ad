"""MXNet's file of arrays, which `mxnet.ndarray.load` reads: what the artifacts are kept in.

MXNet is retired, but the built-in algorithms still write its format: a `model_algo-1` of K-Means or
PCA is such a file, and that of Linear Learner is a zip with one inside. Layout, all little-endian:
the magic number 0x112, a reserved word, the arrays, their names. Source:
https://github.com/apache/mxnet/blob/1.9.1/src/ndarray/ndarray.cc (`NDArray::Save`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy

_LIST_MAGIC = 0x112
_ARRAY_MAGIC = 0xF993FAC9  # version 2: with the kind of storage
_DENSE, _CPU = 0, 1
# MXNet's numbers for the types of values.
_TYPES = [numpy.float32, numpy.float64, numpy.float16, numpy.uint8, numpy.int32, numpy.int8,
          numpy.int64]  # fmt: skip

Arrays = Mapping[str, numpy.ndarray] | Sequence[numpy.ndarray]


class FormatError(ValueError):
    """Bytes that are not a file of arrays."""


def dump(arrays: Arrays) -> bytes:
    """Arrays, with names or without, as a file's content.

    Raises:
        ValueError: an array of a type that MXNet has not.
    """
    named = isinstance(arrays, Mapping)
    names = list(arrays) if named else []
    values = list(arrays.values()) if named else list(arrays)  # type: ignore[union-attr]
    parts = [struct.pack("<QQQ", _LIST_MAGIC, 0, len(values))]
    parts += [_dump_array(numpy.asarray(each)) for each in values]
    parts.append(struct.pack("<Q", len(names)))
    for name in names:
        encoded = name.encode()
        parts += [struct.pack("<Q", len(encoded)), encoded]
    return b"".join(parts)


def load(content: bytes) -> dict[str, numpy.ndarray] | list[numpy.ndarray]:
    """The arrays in a file's content: by name, or in a list if they have none.

    Raises:
        FormatError: the content is not a file of dense arrays.
    """
    reader = _Reader(content)
    magic, _, count = reader.take("<QQQ")
    if magic != _LIST_MAGIC:
        raise FormatError("Invalid NDArray file format")
    arrays = [_load_array(reader) for _ in range(count)]
    (named,) = reader.take("<Q")
    if not named:
        return arrays
    if named != count:
        raise FormatError(f"Invalid NDArray file format: {count} arrays, {named} names")
    names = []
    for _ in range(named):
        (length,) = reader.take("<Q")
        names.append(reader.bytes(length).decode())
    return dict(zip(names, arrays, strict=True))


def _dump_array(array: numpy.ndarray) -> bytes:
    try:
        kind = _TYPES.index(array.dtype.type)
    except ValueError:
        raise ValueError(f"MXNet has no arrays of {array.dtype}") from None
    header = struct.pack("<IiI", _ARRAY_MAGIC, _DENSE, array.ndim)
    shape = struct.pack(f"<{array.ndim}q", *array.shape)
    return (
        header
        + shape
        + struct.pack("<iii", _CPU, 0, kind)
        + array.astype("<" + array.dtype.str[1:]).tobytes()
    )


def _load_array(reader: _Reader) -> numpy.ndarray:
    magic, storage, dimensions = reader.take("<IiI")
    if magic != _ARRAY_MAGIC or storage != _DENSE:
        raise FormatError("Invalid NDArray file format: not a dense array of version 2")
    shape = reader.take(f"<{dimensions}q")
    _, _, kind = reader.take("<iii")
    if not 0 <= kind < len(_TYPES):
        raise FormatError(f"Invalid NDArray file format: unknown type {kind}")
    dtype = numpy.dtype(_TYPES[kind]).newbyteorder("<")
    count = int(numpy.prod(shape, dtype=numpy.int64))
    return numpy.frombuffer(reader.bytes(count * dtype.itemsize), dtype).reshape(shape)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    def take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.bytes(struct.calcsize(layout)))

    def bytes(self, count: int) -> bytes:
        start, end = self._position, self._position + count
        if end > len(self._content):
            raise FormatError("Invalid NDArray file format: the file is cut off")
        self._position = end
        return self._content[start:end]
