"""Values in Feature Store: how a record is held against the features of its group.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateFeatureGroup.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ...errors import AWSError

RESERVED = ("is_deleted", "write_time", "api_invocation_time")
# "Quotas, naming rules and data types" of Feature Store: a record may have 350 KB.
_LARGEST_RECORD = 350 * 1024
_INTEGRAL = re.compile(r"[+-]?\d+")
_FRACTIONAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
_SECONDS = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86_400, "Weeks": 604_800}

# A feature as a record has it: `ValueAsString`, or `ValueAsStringList` of a collection.
Value = str | list[str]


@dataclass(frozen=True)
class Record:
    """A record that fits its feature group.

    Attributes:
        identifier: the value of the record identifier, as it was sent.
        event_time: when it happened, in UTC.
        values: feature -> value, as they were sent.
    """

    identifier: str
    event_time: datetime
    values: dict[str, Value]


def invalid(message: str) -> AWSError:
    """The refusal of a request to the runtime."""
    return AWSError("ValidationError", f"Validation Error: {message}")


def read_record(group: dict[str, Any], given: Iterable[dict[str, Any]]) -> Record:
    """Hold the values of a request against the definition of the feature group.

    Args:
        group: with `FeatureDefinitions` and the names of identifier and event time.
        given: a list of `FeatureValue`.

    Raises:
        AWSError: ValidationError that names the feature, its value and what is allowed.
    """
    values = read_values(group, given)
    for role in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if not values.get(group[role]):
            kind = role.removesuffix("FeatureName")
            raise invalid(f"The record has no value for its {kind} feature '{group[role]}'.")
    event_time = read_moment(str(values[group["EventTimeFeatureName"]]), group)
    return Record(str(values[group["RecordIdentifierFeatureName"]]), event_time, values)


def read_values(group: dict[str, Any], given: Iterable[dict[str, Any]]) -> dict[str, Value]:
    """The values by feature, each of the feature's type. Raises ValidationError."""
    definitions = {each["FeatureName"]: each for each in group["FeatureDefinitions"]}
    values: dict[str, Value] = {}
    for each in given:
        name = each["FeatureName"]
        if name not in definitions:
            known = ", ".join(sorted(definitions)[:20])
            raise invalid(f"'{name}' is no feature of {group['FeatureGroupName']}: {known}.")
        if name in values:
            raise invalid(f"The record has the feature '{name}' more than once.")
        values[name] = _read_value(definitions[name], each)
    size = sum(len(name) + len("".join(value)) for name, value in values.items())
    if size > _LARGEST_RECORD:
        raise invalid(f"The record has {size} bytes; {_LARGEST_RECORD} are allowed.")
    return values


def _read_value(definition: dict[str, Any], given: dict[str, Any]) -> Value:
    name, collection = definition["FeatureName"], definition.get("CollectionType")
    text, many = given.get("ValueAsString"), given.get("ValueAsStringList")
    if (text is None) == (many is None) or (many is None) == bool(collection):
        member = "ValueAsStringList" if collection else "ValueAsString"
        raise invalid(f"The feature '{name}' needs {member}, and nothing else.")
    if text is not None:
        typed(definition, text)
        return text
    for item in many or []:
        typed(definition, item)
    if collection == "Vector":
        size = definition["CollectionConfig"]["VectorConfig"]["Dimension"]
        if len(many or []) != size:
            raise invalid(f"The vector '{name}' has {size} elements, not {len(many or [])}.")
    return list(dict.fromkeys(many or [])) if collection == "Set" else list(many or [])


def typed(definition: dict[str, Any], text: str) -> int | float | str:
    """A value as the offline store has it. Raises ValidationError for one of another type."""
    kind, name = definition["FeatureType"], definition["FeatureName"]
    if kind == "Integral":
        if _INTEGRAL.fullmatch(text) and -(2**63) <= int(text) < 2**63:
            return int(text)
    elif kind == "Fractional":
        if _FRACTIONAL.fullmatch(text):
            return float(text)
    else:
        return text
    raise invalid(f"The feature '{name}' is {kind}; '{text}' is no such value.")


def read_moment(text: str, group: dict[str, Any]) -> datetime:
    """An event time: Unix seconds if the feature is Fractional, else ISO 8601 in UTC.

    Raises:
        AWSError: ValidationError for a text of another form.
    """
    name = group["EventTimeFeatureName"]
    kinds = {each["FeatureName"]: each["FeatureType"] for each in group["FeatureDefinitions"]}
    try:
        if kinds[name] == "Fractional" and _FRACTIONAL.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC)
        if kinds[name] == "String" and _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        pass
    form = (
        "seconds since 1970"
        if kinds[name] == "Fractional"
        else "yyyy-MM-dd'T'HH:mm:ssZ or yyyy-MM-dd'T'HH:mm:ss.SSSZ"
    )
    raise invalid(f"The event time '{text}' of the feature '{name}' is not of the form {form}.")


def duration(ttl: dict[str, Any] | None) -> timedelta | None:
    """A `TtlDuration`; None if there is none."""
    if not ttl or ttl.get("Value") is None:
        return None
    try:
        return timedelta(seconds=int(ttl["Value"]) * _SECONDS[ttl["Unit"]])
    except OverflowError:
        raise invalid(f"A TtlDuration of {ttl['Value']} {ttl['Unit']} is too long.") from None


def iso(moment: datetime) -> str:
    """A time as Feature Store writes it: ISO 8601 in UTC, with milliseconds if it has any."""
    form = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=form).replace("+00:00", "Z")
