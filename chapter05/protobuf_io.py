"""RecordIO-protobuf, the format that SageMaker's built-in algorithms read fastest: write and read.

A file is a row of frames: a magic number, the length of the payload, the payload, zeros up to a
multiple of four bytes. Each payload is a `Record` message of Protocol Buffers, with the features
and the label of one row.

The wire format of so small a message is a few lines, so nothing has to be generated or installed.
Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html for the message,
https://protobuf.dev/programming-guides/encoding/ for its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

CONTENT_TYPE = "application/x-recordio-protobuf"
_MAGIC = 0xCED7230A
_BYTES = 2  # the wire type of everything here: a length, and so many bytes
# The numbers that AWS's definition gives to the fields.
_FEATURES, _LABEL = 1, 2
_KEY, _VALUE = 1, 2
_FLOAT32_TENSOR = 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3


def write(features: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    """Rows as the content of a RecordIO-protobuf file.

    Args:
        features: shape (rows, columns), sent as float32.
        labels: shape (rows,); None for data without labels.

    Raises:
        ValueError: the shapes do not fit, or a value is not a finite number.
    """
    features = np.asarray(features, np.float32)
    if features.ndim != 2:
        raise ValueError(f"features have shape {features.shape}; give rows and columns")
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0, 0])
        raise ValueError(f"row {row} holds a value that is not finite; fill or drop it first")
    if labels is None:
        return b"".join(_frame(_record(row)) for row in features)
    labels = np.asarray(labels, np.float32)
    if labels.shape != (len(features),):
        raise ValueError(f"{len(features)} rows have labels of shape {labels.shape}")
    return b"".join(
        _frame(_record(row, label)) for row, label in zip(features, labels, strict=True)
    )


def write_sparse(indices: list[np.ndarray], values: list[np.ndarray], width: int) -> bytes:
    """Rows that are mostly zeros: for each row the columns that are not, and their values.

    Raises:
        ValueError: a column lies outside the width, or values are missing.
    """
    frames = []
    for row, (keys, numbers) in enumerate(zip(indices, values, strict=True)):
        if len(keys) != len(numbers) or (len(keys) and max(keys) >= width):
            raise ValueError(
                f"row {row} has {len(keys)} columns up to {max(keys, default=0)} and "
                f"{len(numbers)} values; the width is {width}"
            )
        packed_keys = b"".join(_varint(int(key)) for key in keys)
        tensor = (
            _field(_VALUES, np.asarray(numbers, "<f4").tobytes())
            + _field(_KEYS, packed_keys)
            + _field(_SHAPE, _varint(width))
        )
        frames.append(_frame(_entry(_FEATURES, tensor)))
    return b"".join(frames)


def read(content: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Features (rows, columns) and labels (rows,), or None, of a RecordIO-protobuf file.

    Raises:
        ValueError: the bytes are cut off or are something else, with the place.
    """
    rows, labels = [], []
    for payload in frames(content):
        parts = {_FEATURES: None, _LABEL: None}
        for number, entry in _fields(payload):
            if number in parts:
                value = dict(_fields(dict(_fields(entry))[_VALUE]))
                parts[number] = _tensor(value[_FLOAT32_TENSOR])
        rows.append(parts[_FEATURES])
        if parts[_LABEL] is not None:
            labels.append(parts[_LABEL][0])
    if labels and len(labels) != len(rows):
        raise ValueError(f"only {len(labels)} of {len(rows)} records have a label")
    return np.stack(rows), np.array(labels, np.float32) if labels else None


def frames(content: bytes) -> Iterator[bytes]:
    """The payloads of RecordIO bytes, one after the other. Raises ValueError as `read` does."""
    position = 0
    while position < len(content):
        header = content[position : position + 8]
        if len(header) < 8:
            raise ValueError(f"the header at byte {position} is cut off")
        magic, length = struct.unpack("<II", header)
        if magic != _MAGIC:
            raise ValueError(f"no record begins at byte {position}: {header[:4]!r}")
        payload = content[position + 8 : position + 8 + length]
        if len(payload) < length:
            raise ValueError(
                f"the record at byte {position} is cut off: {len(payload)} of {length}"
            )
        yield payload
        position += 8 + length + -length % 4


# ── a record ─────────────────────────────────────────────────────────────────────────────────────


def _record(row: np.ndarray, label: float | None = None) -> bytes:
    record = _entry(_FEATURES, _field(_VALUES, row.astype("<f4").tobytes()))
    if label is not None:
        record += _entry(_LABEL, _field(_VALUES, struct.pack("<f", label)))
    return record


def _entry(number: int, tensor: bytes) -> bytes:
    """An entry of the maps `features` and `label`: the key `values`, and a float32 tensor."""
    value = _field(_FLOAT32_TENSOR, tensor)
    return _field(number, _field(_KEY, b"values") + _field(_VALUE, value))


def _tensor(encoded: bytes) -> np.ndarray:
    parts = dict(_fields(encoded))
    values = np.frombuffer(parts.get(_VALUES, b""), "<f4").astype(np.float32)
    if _KEYS not in parts:
        return values
    dense = np.zeros(_varints(parts[_SHAPE])[0], np.float32)
    dense[_varints(parts[_KEYS])] = values
    return dense


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────


def _frame(payload: bytes) -> bytes:
    return struct.pack("<II", _MAGIC, len(payload)) + payload + b"\0" * (-len(payload) % 4)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """A number in groups of seven bits; the highest bit of a byte says that more follow."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _varints(content: bytes) -> list[int]:
    values, position = [], 0
    while position < len(content):
        value, position = _read_varint(content, position)
        values.append(value)
    return values


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message: their numbers and contents."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        if tag & 7 != _BYTES:
            raise ValueError(f"field {tag >> 3} has the wire type {tag & 7}; only {_BYTES} is read")
        length, position = _read_varint(message, position)
        yield tag >> 3, message[position : position + length]
        position += length


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(content):
            raise ValueError("a message is cut off within a number")
        byte = content[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
