"""Metric filters of log groups: what they look for in a line, and the metrics they make of it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from typing import Any

from . import account, metrics
from .errors import not_implemented

_TERM = re.compile(r'\s*([?-]?)("(?:[^"\\]|\\.)*"|[^\s"{}\[\]%]+)')
_PROPERTY = re.compile(r"\$((?:\.[\w-]+|\[\d+\])+)")
_COMPARISON = re.compile(
    r'\{\s*(\$(?:\.[\w-]+|\[\d+\])+)\s*(=|!=|<=|>=|<|>)\s*("[^"]*"|[^\s"]+)\s*\}'
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matcher(pattern: str) -> Callable[[str], bool]:
    """What tells whether a line matches: terms, phrases, or one comparison of a JSON property.

    All plain terms must be in the line, none with `-`, and of those with `?` at least one.

    Raises:
        AWSError: 501 for a pattern of another kind.
    """
    pattern = pattern.strip()
    if pattern.startswith("{"):
        return _property_matcher(pattern)
    terms, position = [], 0
    while position < len(pattern):
        found = _TERM.match(pattern, position)
        if found is None:
            raise not_implemented("logs", f"the filter pattern {pattern}")
        terms.append((found[1], found[2].strip('"')))
        position = found.end()
    needed = [text for sign, text in terms if sign == ""]
    excluded = [text for sign, text in terms if sign == "-"]
    optional = [text for sign, text in terms if sign == "?"]

    def matches(line: str) -> bool:
        return (
            all(text in line for text in needed)
            and not any(text in line for text in excluded)
            and (not optional or bool(needed) or any(text in line for text in optional))
        )

    return matches


def _property_matcher(pattern: str) -> Callable[[str], bool]:
    found = _COMPARISON.fullmatch(pattern)
    if found is None:
        raise not_implemented("logs", f"the filter pattern {pattern}")
    path, sign, wanted = found.groups()
    compare = _OPERATORS[sign]

    def matches(line: str) -> bool:
        value = _property(line, path)
        if value is None:
            return False
        if not wanted.startswith('"') and isinstance(value, int | float):
            try:
                return compare(value, float(wanted))
            except ValueError:
                return False
        text = re.escape(wanted.strip('"')).replace(r"\*", ".*")
        same = re.fullmatch(text, str(value)) is not None
        return same if sign == "=" else not same if sign == "!=" else False

    return matches


def _property(line: str, path: str) -> Any:
    """The property of a line that is JSON; None if it is not, or has no such property."""
    try:
        value = json.loads(line)
        for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", path):
            value = value[int(index)] if index else value[name]
    except (ValueError, LookupError, TypeError):
        return None
    return value


def count(filters: list[dict[str, Any]], events: list[dict[str, Any]], region: str) -> None:
    """Add to the metrics of these filters (moto's) what the log events amount to."""
    for item in filters:
        matches = matcher(item["filterPattern"])
        lines = [event["message"] for event in events]
        matching = [line for line in lines if matches(line)]
        for transformation in item["metricTransformations"]:
            for line in matching:
                _put(transformation, line, region)
            default = transformation.get("defaultValue")
            if default is not None and not transformation.get("dimensions"):
                for _ in range(len(lines) - len(matching)):
                    _put({**transformation, "metricValue": str(default)}, "", region)


def _put(transformation: dict[str, Any], line: str, region: str) -> None:
    value: Any = transformation["metricValue"]
    if _PROPERTY.fullmatch(value):
        value = _property(line, value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return  # AWS makes no metric of what is not a number
    named = {}
    for name, path in (transformation.get("dimensions") or {}).items():
        named[name] = _property(line, path)
        if named[name] is None:
            return
    metrics.put(
        transformation["metricNamespace"],
        transformation["metricName"],
        number,
        transformation.get("unit") or "None",
        {name: str(item) for name, item in named.items()},
        region,
        account.now(),
    )
