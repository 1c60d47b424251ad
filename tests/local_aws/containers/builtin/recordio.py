"""The format `application/x-recordio-protobuf`: SageMaker's `Record` messages in RecordIO frames.

The message is built from the definition that AWS prints, without generated code. Sources: "Common
Data Formats for Training", https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html, and
for the frames https://mxnet.apache.org/versions/1.9.1/api/architecture/note_data_loading
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy

CONTENT_TYPE = "application/x-recordio-protobuf"
_MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
# The upper three bits of a frame's second word: is the record whole, or which part of one is it?
_WHOLE, _FIRST, _MIDDLE, _LAST = 0, 1, 2, 3
_LENGTH_BITS = 29
# What AWS's definition calls the tensors, and the NumPy type of their values.
_TENSORS = {
    "float32_tensor": numpy.float32,
    "float64_tensor": numpy.float64,
    "int32_tensor": numpy.int32,
}


class FormatError(ValueError):
    """Bytes that are not records."""


# ── frames ───────────────────────────────────────────────────────────────────────────────────────


def frames(content: bytes) -> Iterator[bytes]:
    """The payloads in RecordIO bytes.

    Raises:
        FormatError: a frame does not begin with the magic number, or the bytes end within one.
    """
    position = 0
    parts: list[bytes] = []
    while position < len(content):
        if len(content) - position < 8:
            raise FormatError(f"The record at position {position} ends within its header")
        magic, word = struct.unpack_from("<II", content, position)
        if magic != _MAGIC:
            raise FormatError(
                f"The header of the RecordIO record at position {position} does not start with a "
                "valid magic number"
            )
        part, length = word >> _LENGTH_BITS, word & ((1 << _LENGTH_BITS) - 1)
        start = position + 8
        if start + length > len(content):
            raise FormatError(f"The record at position {position} is cut off")
        parts.append(content[start : start + length])
        if part in (_WHOLE, _LAST):
            # The writer took the magic number out where it had to cut the payload.
            yield _MAGIC_BYTES.join(parts)
            parts = []
        position = start + _padded(length)
    if parts:
        raise FormatError("The last record has no end")


def frame(payload: bytes) -> bytes:
    """One payload as RecordIO; cut where it holds an aligned magic number, as MXNet cuts it."""
    cuts = [at for at in range(0, len(payload) - 3, 4) if payload[at : at + 4] == _MAGIC_BYTES]
    starts, ends = [0, *(cut + 4 for cut in cuts)], [*cuts, len(payload)]
    framed = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        part = _WHOLE if not cuts else _MIDDLE
        if cuts and number == 0:
            part = _FIRST
        elif cuts and number == len(cuts):
            part = _LAST
        length = end - start
        header = struct.pack("<II", _MAGIC, part << _LENGTH_BITS | length)
        framed.append(header + payload[start:end] + b"\0" * (_padded(length) - length))
    return b"".join(framed)


def _padded(length: int) -> int:
    return (length + 3) // 4 * 4


# ── records ──────────────────────────────────────────────────────────────────────────────────────


def read(content: bytes, absent: float = 0.0) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """The features and labels of records.

    Args:
        absent: the value of what a sparse record leaves out.

    Returns:
        The values of the feature `values`, one row for each record, and those of the label
        `values`; None if the records have no labels. Both are float32.

    Raises:
        FormatError: not records, or records of different widths.
    """
    record = record_class()
    rows, labels = [], []
    for payload in frames(content):
        message = record()
        try:
            message.ParseFromString(payload)
        except Exception as error:
            raise FormatError(f"Record {len(rows)} is not a Record message: {error}") from error
        rows.append(_values(message.features, "features", len(rows), absent))
        if message.label:
            labels.append(_values(message.label, "label", len(labels), absent))
    if not rows:
        return numpy.empty((0, 0), numpy.float32), None
    widths = sorted({row.size for row in rows})
    if len(widths) > 1:
        raise FormatError(f"The records have different numbers of features: {widths}")
    if labels and len(labels) != len(rows):
        raise FormatError(f"{len(rows) - len(labels)} of {len(rows)} records have no label")
    if any(label.size != 1 for label in labels):
        raise FormatError("A record has more than one label")
    return numpy.vstack(rows), numpy.concatenate(labels) if labels else None


def write(features: Any, labels: Any | None = None) -> bytes:
    """Rows, dense or a SciPy sparse matrix, and their labels as float32 records.

    Args:
        features: shape (rows, columns).
        labels: shape (rows,); None for records without.
    """
    record = record_class()
    is_sparse = hasattr(features, "tocsr")
    rows = features.tocsr() if is_sparse else numpy.asarray(features, numpy.float32)
    written = []
    for number in range(rows.shape[0]):
        message = record()
        tensor = message.features["values"].float32_tensor
        if is_sparse:
            row = rows[[number]]
            tensor.values.extend(row.data.astype(numpy.float32).tolist())
            tensor.keys.extend(row.indices.tolist())
            tensor.shape.append(rows.shape[1])
        else:
            tensor.values.extend(rows[number].tolist())
        if labels is not None:
            message.label["values"].float32_tensor.values.append(float(labels[number]))
        written.append(frame(message.SerializeToString()))
    return b"".join(written)


def write_labels(rows: Iterable[dict[str, list[float]]]) -> bytes:
    """Answers of a model: for each row a record whose `label` holds float32 tensors by name."""
    record = record_class()
    written = []
    for row in rows:
        message = record()
        for name, values in row.items():
            message.label[name].float32_tensor.values.extend(values)
        written.append(frame(message.SerializeToString()))
    return b"".join(written)


def _values(tensors: Any, member: str, number: int, absent: float) -> numpy.ndarray:
    """The tensor `values` of a map as a dense float32 vector."""
    if "values" not in tensors:
        raise FormatError(f"Record {number} has no {member} named 'values': {sorted(tensors)}")
    value = tensors["values"]
    kind = value.WhichOneof("value")
    if kind not in _TENSORS:
        raise FormatError(
            f"The {member} of record {number} are {kind or 'empty'}; "
            f"they must be one of {', '.join(_TENSORS)}"
        )
    tensor = getattr(value, kind)
    values = numpy.array(tensor.values, _TENSORS[kind]).astype(numpy.float32)
    # A sparse vector without a value has no keys either; it is known by its shape.
    if not tensor.keys and (values.size or not tensor.shape):
        return values
    if not tensor.shape:
        raise FormatError(f"The sparse {member} of record {number} have no shape")
    width = int(numpy.prod(tensor.shape))
    keys = numpy.array(tensor.keys, numpy.int64)
    if keys.size != values.size or keys.max(initial=-1) >= width:
        raise FormatError(
            f"The sparse {member} of record {number} have {values.size} values and {keys.size} "
            f"keys up to {keys.max(initial=-1)}, but the shape is {list(tensor.shape)}"
        )
    dense = numpy.full(width, absent, numpy.float32)
    dense[keys] = values
    return dense


# ── the message ──────────────────────────────────────────────────────────────────────────────────


@functools.cache
def record_class() -> Any:
    """The class of the protobuf message `aialgs.data.Record`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="aialgs/data/record.proto", package="aialgs.data", syntax="proto2"
    )

    def field(message: Any, name: str, number: int, kind: int, **options: Any) -> None:
        repeated = options.pop("repeated", False)
        label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        added = message.field.add(name=name, number=number, type=kind, label=label, **options)
        if repeated and kind not in (kinds.TYPE_MESSAGE, kinds.TYPE_BYTES):
            added.options.packed = True

    for name, kind in (
        ("Float32Tensor", kinds.TYPE_FLOAT),
        ("Float64Tensor", kinds.TYPE_DOUBLE),
        ("Int32Tensor", kinds.TYPE_INT32),
    ):
        tensor = file.message_type.add(name=name)
        field(tensor, "values", 1, kind, repeated=True)
        field(tensor, "keys", 2, kinds.TYPE_UINT64, repeated=True)
        field(tensor, "shape", 3, kinds.TYPE_UINT64, repeated=True)

    binary = file.message_type.add(name="Bytes")
    field(binary, "value", 1, kinds.TYPE_BYTES, repeated=True)
    field(binary, "content_type", 2, kinds.TYPE_STRING)

    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for name, number, kind_name in (
        ("float32_tensor", 2, "Float32Tensor"),
        ("float64_tensor", 3, "Float64Tensor"),
        ("int32_tensor", 7, "Int32Tensor"),
        ("bytes", 9, "Bytes"),
    ):
        kind_path = f".aialgs.data.{kind_name}"
        field(value, name, number, kinds.TYPE_MESSAGE, type_name=kind_path, oneof_index=0)

    record = file.message_type.add(name="Record")
    for name, number, entry_name in (("features", 1, "FeaturesEntry"), ("label", 2, "LabelEntry")):
        entry = record.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        field(entry, "key", 1, kinds.TYPE_STRING)
        field(entry, "value", 2, kinds.TYPE_MESSAGE, type_name=".aialgs.data.Value")
        path = f".aialgs.data.Record.{entry_name}"
        field(record, name, number, kinds.TYPE_MESSAGE, type_name=path, repeated=True)
    for name, number in (("uid", 3), ("metadata", 4), ("configuration", 5)):
        field(record, name, number, kinds.TYPE_STRING)

    # A pool of its own: another library may bring the same message.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))
