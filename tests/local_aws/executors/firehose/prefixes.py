"""The names of delivered objects: prefixes with expressions, and what stands behind them.

https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo

from ... import account
from ...errors import AWSError

_EXPRESSION = re.compile(r"!\{([A-Za-z]+):([^}]*)\}")
_NAMESPACES = ("timestamp", "firehose", "partitionKeyFromQuery", "partitionKeyFromLambda")
_DEFAULT = "!{timestamp:yyyy/MM/dd/HH}/"
# Letters of Java's DateTimeFormatter, by how often they stand in a row.
_PATTERN = re.compile(r"'([^']*)'|([A-Za-z])\2*|.")


def check(prefix: str, error_prefix: str, *, dynamic: bool) -> None:
    """Refuse what AWS refuses at creation.

    Raises:
        AWSError: InvalidArgumentException.
    """
    used = {name for name, _ in _EXPRESSION.findall(prefix)}
    in_errors = _EXPRESSION.findall(error_prefix)
    unknown = sorted((used | {name for name, _ in in_errors}) - set(_NAMESPACES))
    if unknown:
        raise _invalid(f"The prefix namespace {unknown[0]} is not one of {', '.join(_NAMESPACES)}.")
    if used and not error_prefix:
        raise _invalid(
            "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions."
        )
    if ("firehose", "error-output-type") in _EXPRESSION.findall(prefix):
        raise _invalid("Prefix cannot contain !{firehose:error-output-type}.")
    if error_prefix and in_errors and ("firehose", "error-output-type") not in in_errors:
        raise _invalid("ErrorOutputPrefix must contain !{firehose:error-output-type}.")
    keys = {name for name in used if name.startswith("partitionKey")}
    if keys and not dynamic:
        raise _invalid("Prefix has partition keys, but dynamic partitioning is not enabled.")
    if dynamic and not keys:
        message = "Dynamic partitioning needs a partition key expression in the Prefix."
        raise _invalid(message)
    if dynamic and not error_prefix:
        raise _invalid("ErrorOutputPrefix is required when dynamic partitioning is enabled.")


def _invalid(message: str) -> AWSError:
    return AWSError("InvalidArgumentException", message)


class MissingKey(ValueError):
    """A partition key of the prefix that the record has no value for."""


def partition_of(prefix: str, query: Mapping[str, str], function: Mapping[str, str]) -> str:
    """The prefix with the partition keys of a record filled in; other expressions stay.

    Raises:
        MissingKey: naming the key.
    """
    sources = {"partitionKeyFromQuery": query, "partitionKeyFromLambda": function}

    def fill(match: re.Match[str]) -> str:
        if match[1] not in sources:
            return match[0]
        value = sources[match[1]].get(match[2])
        if value is None or str(value) == "":
            raise MissingKey(f"the record has no value for !{{{match[1]}:{match[2]}}}")
        return str(value)

    return _EXPRESSION.sub(fill, prefix)


def evaluate(prefix: str, arrived: datetime, zone: tzinfo, error_type: str = "") -> str:
    """A prefix with its expressions evaluated.

    Without a timestamp expression it is followed by the hour of arrival. A prefix for errors that
    has expressions is taken as it is, one that has none is followed by the error type as well.

    Args:
        prefix: partition keys already filled in.
        arrived: of the oldest record in the object; aware.
        zone: that timestamps are told in.
        error_type: such as `processing-failed`; for objects with failed records.
    """
    has = {name for name, _ in _EXPRESSION.findall(prefix)}
    if error_type and not has:
        prefix += f"{error_type}/{_DEFAULT}"
    elif not error_type and "timestamp" not in has:
        prefix += _DEFAULT
    moment = arrived.astimezone(zone)

    def fill(match: re.Match[str]) -> str:
        if match[1] == "timestamp":
            return timestamp(match[2], moment)
        return error_type if match[2] == "error-output-type" else account.new_id()[:11]

    return _EXPRESSION.sub(fill, prefix)


def timestamp(pattern: str, moment: datetime) -> str:
    """A moment by a pattern of Java's DateTimeFormatter.

    Raises:
        AWSError: InvalidArgumentException for a letter that is not carried out.
    """
    values = {
        "y": lambda n: f"{moment.year:04}" if n != 2 else f"{moment.year % 100:02}",
        "Y": lambda n: f"{moment.isocalendar().year:04}",
        "u": lambda n: f"{moment.year:04}",
        "M": lambda n: f"{moment:%b}" if n == 3 else f"{moment:%B}" if n > 3 else _number(n),
        "d": lambda n: f"{moment.day:0{n}}",
        "D": lambda n: f"{moment.timetuple().tm_yday:0{n}}",
        "H": lambda n: f"{moment.hour:0{n}}",
        "h": lambda n: f"{(moment.hour - 1) % 12 + 1:0{n}}",
        "m": lambda n: f"{moment.minute:0{n}}",
        "s": lambda n: f"{moment.second:0{n}}",
        "S": lambda n: f"{moment.microsecond:06}".ljust(n, "0")[:n],
        "a": lambda n: f"{moment:%p}",
        "E": lambda n: f"{moment:%a}" if n < 4 else f"{moment:%A}",
        "w": lambda n: f"{moment.isocalendar().week:0{n}}",
        "Z": lambda n: f"{moment:%z}",
    }

    def _number(width: int) -> str:
        return f"{moment.month:0{width}}"

    def fill(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1] or "'"
        letter = match[2]
        if letter is None:
            return match[0]
        if letter not in values:
            raise _invalid(f"The timestamp pattern {pattern!r} has the unknown letter {letter}.")
        return values[letter](len(match[0]))

    return _PATTERN.sub(fill, pattern)


def object_name(stream: str, version: str, arrived: datetime, zone: tzinfo, suffix: str) -> str:
    """What follows the prefix: stream, version, time of the oldest record, an id, and a suffix."""
    moment = arrived.astimezone(zone)
    return f"{stream}-{version}-{moment:%Y-%m-%d-%H-%M-%S}-{account.new_id()}{suffix}"
