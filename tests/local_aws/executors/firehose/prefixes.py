"""The names of delivered objects: prefixes with expressions, and what stands behind them.

https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from ... import account
from ...errors import AWSError

LONGEST = 512  # characters of a prefix that is evaluated

Key = tuple[str, str]

_EXPRESSION = re.compile(r"!\{([A-Za-z]+):([^{}]+)\}")
_KEY_SPACES = ("partitionKeyFromQuery", "partitionKeyFromLambda")
_NAMESPACES = ("timestamp", "firehose", *_KEY_SPACES)
_FIREHOSE = ("error-output-type", "random-string")
_ERROR_TYPE = "!{firehose:error-output-type}"
_HOUR = "!{timestamp:yyyy/MM/dd/HH}/"
# Letters of Java's DateTimeFormatter, by how often they stand in a row; quoted text is literal.
_PATTERN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|.", re.DOTALL)


def check(prefix: str, error_prefix: str, *, dynamic: bool) -> None:
    """Refuse what AWS refuses at creation.

    Raises:
        AWSError: InvalidArgumentException.
    """
    used, in_errors = _EXPRESSION.findall(prefix), _EXPRESSION.findall(error_prefix)
    for text in (prefix, error_prefix):
        if "!{" in _EXPRESSION.sub("", text):
            raise _invalid(f"'!{{' starts an expression !{{namespace:value}}, not so in {text!r}.")
    for namespace, value in used + in_errors:
        if namespace not in _NAMESPACES:
            names = ", ".join(_NAMESPACES)
            raise _invalid(f"The prefix namespace {namespace} is not one of {names}.")
        if namespace == "firehose" and value not in _FIREHOSE:
            raise _invalid(f"The namespace firehose has no {value}, only {', '.join(_FIREHOSE)}.")
    if used and not error_prefix:
        raise _invalid(
            "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions."
        )
    if ("firehose", "error-output-type") in used:
        raise _invalid("Prefix cannot contain !{firehose:error-output-type}.")
    if in_errors and ("firehose", "error-output-type") not in in_errors:
        raise _invalid("ErrorOutputPrefix must contain !{firehose:error-output-type}.")
    if any(namespace in _KEY_SPACES for namespace, _ in in_errors):
        raise _invalid("ErrorOutputPrefix cannot contain partition keys.")
    _check_keys(keys_of(prefix), error_prefix, dynamic=dynamic)
    for text in (prefix, error_prefix):
        evaluate(text, account.now(), UTC, keys=dict.fromkeys(used, ""))


def _check_keys(keys: list[Key], error_prefix: str, *, dynamic: bool) -> None:
    if keys and not dynamic:
        raise _invalid("Prefix has partition keys, but dynamic partitioning is not enabled.")
    if dynamic and not keys:
        raise _invalid("Dynamic partitioning needs a partition key expression in the Prefix.")
    if dynamic and not error_prefix:
        raise _invalid("ErrorOutputPrefix is required when dynamic partitioning is enabled.")


def _invalid(message: str) -> AWSError:
    return AWSError("InvalidArgumentException", message)


def completed(prefix: str) -> str:
    """The prefix as it is evaluated: followed by the hour of arrival, unless it says otherwise.

    That is by a timestamp of its own, or by partition keys.
    """
    spaces = {namespace for namespace, _ in _EXPRESSION.findall(prefix)}
    return prefix if spaces & {"timestamp", *_KEY_SPACES} else prefix + _HOUR


def completed_for_errors(prefix: str, error_prefix: str) -> str:
    """The prefix of failed records; one without expressions is followed by error type and hour."""
    given = error_prefix or prefix
    return given if _EXPRESSION.search(given) else f"{given}{_ERROR_TYPE}/{_HOUR}"


def keys_of(prefix: str) -> list[Key]:
    """The partition keys in a prefix: namespace and name of each."""
    return [found for found in _EXPRESSION.findall(prefix) if found[0] in _KEY_SPACES]


class MissingKey(ValueError):
    """A partition key of the prefix that the record has no value for."""


def partition_of(
    keys: list[Key], query: Mapping[str, str], function: Mapping[str, str]
) -> dict[Key, str]:
    """The values that a record has for the partition keys of the prefix.

    Raises:
        MissingKey: naming the key.
    """
    sources = dict(zip(_KEY_SPACES, (query, function), strict=True))
    values = {}
    for space, name in keys:
        value = sources[space].get(name)
        if value is None or str(value) == "":
            raise MissingKey(f"the record has no value for !{{{space}:{name}}}")
        values[space, name] = str(value)
    return values


def evaluate(
    prefix: str,
    arrived: datetime,
    zone: tzinfo,
    error_type: str = "",
    keys: Mapping[Key, str] | None = None,
) -> str:
    """A prefix with its expressions evaluated.

    Args:
        arrived: of the oldest record in the object; aware.
        zone: that timestamps are told in.
        error_type: such as `processing-failed`; for objects with failed records.
        keys: values of the partition keys.

    Raises:
        AWSError: InvalidArgumentException if it comes out too long.
    """
    moment, values = arrived.astimezone(zone), keys or {}

    def fill(match: re.Match[str]) -> str:
        space, name = match.groups()
        if space == "timestamp":
            return timestamp(name, moment)
        if space == "firehose":
            return error_type if name == "error-output-type" else account.new_id()[:11]
        return values[space, name]

    found = _EXPRESSION.sub(fill, prefix)
    if len(found) > LONGEST:
        raise _invalid(f"The prefix has more than {LONGEST} characters: {found[:60]}…")
    return found


def timestamp(pattern: str, moment: datetime) -> str:
    """A moment by a pattern of Java's DateTimeFormatter.

    Raises:
        AWSError: InvalidArgumentException for a letter that is not carried out.
    """
    values = {
        "y": lambda n: f"{moment.year % 100:02}" if n == 2 else f"{moment.year:0{n}}",
        "u": lambda n: f"{moment.year % 100:02}" if n == 2 else f"{moment.year:0{n}}",
        "Y": lambda n: f"{moment.isocalendar().year:04}",
        "M": lambda n: f"{moment:%b}" if n == 3 else f"{moment:%B}" if n > 3 else month(n),
        "d": lambda n: f"{moment.day:0{n}}",
        "D": lambda n: f"{moment.timetuple().tm_yday:0{n}}",
        "H": lambda n: f"{moment.hour:0{n}}",
        "h": lambda n: f"{(moment.hour - 1) % 12 + 1:0{n}}",
        "m": lambda n: f"{moment.minute:0{n}}",
        "s": lambda n: f"{moment.second:0{n}}",
        "S": lambda n: f"{moment.microsecond:06}".ljust(n, "0")[:n],
        "a": lambda _: f"{moment:%p}",
        "E": lambda n: f"{moment:%a}" if n < 4 else f"{moment:%A}",
        "w": lambda n: f"{moment.isocalendar().week:0{n}}",
        "Z": lambda _: f"{moment:%z}",
    }

    def month(width: int) -> str:
        return f"{moment.month:0{width}}"

    def fill(match: re.Match[str]) -> str:
        quoted, letter = match.groups()
        if quoted is not None:
            return quoted.replace("''", "'") or "'"
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
