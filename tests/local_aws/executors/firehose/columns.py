"""The column types of the Data Catalog, and the values of JSON that are taken for each.

A reader takes a value that is not null and gives what pyarrow takes for the type, or raises
ValueError, TypeError or ArithmeticError; what it gives is never refused later.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from functools import partial
from typing import Any

import pyarrow as pa

from ...errors import AWSError, not_implemented

Reader = Callable[[Any], Any]

_SIMPLE = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms"),
    "binary": pa.binary(),
}
_EPOCH = datetime(1970, 1, 1)
_PRECISE = Context(prec=76)
# Joda's letters, by how often they stand in a row, as strptime's.
_JODA = {
    "yyyy": "%Y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
    "Z": "%z",
    "ZZ": "%z",
    "a": "%p",
    "hh": "%I",
    "MMM": "%b",
    "EEE": "%a",
}


def arrow_type(hive: str) -> pa.DataType:
    """Hive's type as Arrow's. Raises InvalidSchema for one that is not carried out."""
    hive = hive.strip().lower()
    if hive in _SIMPLE:
        return _SIMPLE[hive]
    if hive == "decimal":
        return pa.decimal128(10, 0)
    if found := re.fullmatch(r"decimal\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", hive):
        return pa.decimal128(int(found[1]), int(found[2] or 0))
    if re.fullmatch(r"(var)?char\(\d+\)", hive):
        return pa.string()
    if found := re.fullmatch(r"(array|map|struct)<(.+)>", hive):
        parts = _split(found[2])
        if found[1] == "array" and len(parts) == 1:
            return pa.list_(arrow_type(parts[0]))
        if found[1] == "map" and len(parts) == 2 and parts[0] == "string":
            return pa.map_(pa.string(), arrow_type(parts[1]))
        pairs = [part.split(":", 1) for part in parts]
        if found[1] == "struct" and all(len(pair) == 2 for pair in pairs):
            return pa.struct([(name.strip(), arrow_type(kind)) for name, kind in pairs])
    raise AWSError("InvalidSchema", f"The column type {hive} is not carried out offline.")


def _split(text: str) -> list[str]:
    """The parts of a list that has lists in it."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "<(") - (char in ">)")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def reader(kind: pa.DataType, moments: tuple[str, ...] = ()) -> Reader:
    """What reads a value for a type. `moments` are the formats of timestamps, if they are given."""
    if pa.types.is_list(kind):
        return partial(_list, _or_null(reader(kind.value_type, moments)))
    if pa.types.is_map(kind):
        return partial(_map, _or_null(reader(kind.item_type, moments)))
    if pa.types.is_struct(kind):
        parts = {part.name: _or_null(reader(part.type, moments)) for part in kind}
        return partial(_struct, parts)
    if pa.types.is_integer(kind):
        return partial(_whole, 2 ** (kind.bit_width - 1))
    if pa.types.is_decimal(kind):
        return partial(_decimal, kind.precision, kind.scale)
    if pa.types.is_timestamp(kind):
        return moment_reader(moments)
    simple: dict[pa.DataType, Reader] = {
        pa.string(): _text,
        pa.bool_(): _truth,
        pa.float32(): _single,
        pa.float64(): _double,
        pa.date32(): _day,
        pa.binary(): _bytes,
    }
    return simple[kind]


def _or_null(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text.encode()  # half of a pair of surrogates is no text
    return text


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("neither true nor false")


def _number(value: Any) -> float | int:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value if isinstance(value, int) else float(value)


def _whole(limit: int, value: Any) -> int:
    number = int(value) if isinstance(value, str) else int(_number(value))
    if not isinstance(value, str) and number != value:
        raise ValueError("not whole")
    if not -limit <= number < limit:
        raise ValueError("too large")
    return number


def _double(value: Any) -> float:
    return float(_number(value))


def _single(value: Any) -> float:
    number = _double(value)
    struct.pack("<f", number)  # raises OverflowError
    return number


def _decimal(precision: int, scale: int, value: Any) -> Decimal:
    try:
        exact = Decimal(value if isinstance(value, str) else str(_number(value)))
        number = exact.quantize(Decimal(1).scaleb(-scale), context=_PRECISE)
    except InvalidOperation:
        raise ValueError("no number") from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** (precision - scale):
        raise ValueError("too large")
    return number


def _day(value: Any) -> date:
    return date.fromisoformat(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value.encode()


def _list(read: Reader, value: Any) -> list[Any]:
    return [read(each) for each in _of(list, value)]


def _map(read: Reader, value: Any) -> list[tuple[str, Any]]:
    return [(_text(key), read(each)) for key, each in _of(dict, value).items()]


def _struct(parts: dict[str, Reader], value: Any) -> dict[str, Any]:
    found = {key.lower(): each for key, each in _of(dict, value).items()}
    return {name: read(found.get(name)) for name, read in parts.items()}


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"not a {kind.__name__}")
    return value


# ── timestamps ───────────────────────────────────────────────────────────────────────────────────


def moment_reader(formats: tuple[str, ...]) -> Reader:
    """What reads a timestamp in one of these formats of Joda's, or `millis`.

    Without any: ISO 8601, with a blank or a T, or seconds or milliseconds since 1970.

    Raises:
        AWSError: 501 for a format that is not carried out.
    """
    if not formats:
        return _moment
    readers = [_since_1970(1000) if each == "millis" else _by(each) for each in formats]

    def read(value: Any) -> datetime:
        for each in readers:
            try:
                return each(value)
            except (ValueError, TypeError, ArithmeticError):
                continue
        raise ValueError(f"none of {', '.join(formats)}")

    return read


def _by(joda: str) -> Reader:
    pieces = []
    for quoted, run, other in _pieces(joda):
        if run and set(run) == {"S"}:
            pieces.append("%f")
        elif run and run not in _JODA:
            raise not_implemented("firehose", f"timestamps of the format {joda!r}")
        else:
            pieces.append(_JODA[run] if run else (quoted or other).replace("%", "%%"))
    pattern = "".join(pieces)
    return lambda value: _without_zone(datetime.strptime(value, pattern))


def _pieces(joda: str) -> list[tuple[str, str, str]]:
    """Quoted text, runs of one letter, and other characters, in order; one of each three."""
    found = re.finditer(r"'([^']*)'|((?P<letter>[A-Za-z])(?P=letter)*)|(.)", joda)
    return [(match[1] or "", match[2] or "", match[4] or "") for match in found]


def _since_1970(parts: int) -> Reader:
    return lambda value: _EPOCH + timedelta(seconds=_number(value) / parts)


def _moment(value: Any) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _since_1970(1000 if abs(value) > 1e11 else 1)(value)
    return _without_zone(datetime.fromisoformat(value))


def _without_zone(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
