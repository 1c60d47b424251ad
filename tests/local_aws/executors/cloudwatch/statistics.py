"""Statistics over the data of a metric, period by period.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ... import metrics
from ...errors import not_implemented

# The number of a period to the value in it; a period without data has none.
Series = dict[int, float]


@dataclass(frozen=True)
class MetricStat:
    """One statistic of one metric. `period` is in seconds."""

    namespace: str
    name: str
    stat: str
    period: int
    dimensions: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> MetricStat:
        """From the structure `MetricStat` of a request."""
        metric = content["Metric"]
        return cls(
            metric.get("Namespace", ""),
            metric.get("MetricName", ""),
            content["Stat"],
            int(content["Period"]),
            dimensions(metric.get("Dimensions")),
            content.get("Unit"),
        )


def dimensions(listed: list[Mapping[str, str]] | None) -> dict[str, str]:
    """Name to value, from the list in a request."""
    return {item["Name"]: item["Value"] for item in listed or []}


def periods(
    region: str, stat: MetricStat, number: Callable[[float], int | None]
) -> dict[int, list[Any]]:
    """The data of a metric by the number of their period.

    Args:
        number: the number of the period that a time (seconds since 1970) lies in; None for one
            that is not wanted.
    """
    found: dict[int, list[Any]] = {}
    for datum in metrics.data(region, stat.namespace, stat.name, stat.dimensions):
        if stat.unit and datum.unit != stat.unit:
            continue
        key = number(metrics.seconds(datum))
        if key is not None:
            found.setdefault(key, []).append(datum)
    return found


def series(region: str, stat: MetricStat, number: Callable[[float], int | None]) -> Series:
    """The statistic in each period that has data."""
    found = {}
    for key, data in periods(region, stat, number).items():
        value = compute(data, stat.stat)
        if value is not None:
            found[key] = value
    return found


def compute(data: list[Any], stat: str) -> float | None:
    """A statistic of some data of moto's: single values, and sets of which statistics are known.

    A percentile needs the single values; without all of them there is none.

    Raises:
        AWSError: 501 for a statistic that is not computed here, such as a trimmed mean.
    """
    single = [datum.value for datum in data if hasattr(datum, "value")]
    sets = [datum for datum in data if not hasattr(datum, "value")]
    count = len(single) + sum(item.sample_count for item in sets)
    total = math.fsum(single) + math.fsum(item.sum for item in sets)
    if stat == "SampleCount":
        return float(count)
    if stat == "Sum":
        return total
    if stat == "Average":
        return total / count if count else None
    if stat == "Minimum":
        return min(single + [item.min for item in sets])
    if stat == "Maximum":
        return max(single + [item.max for item in sets])
    percentile = re.fullmatch(r"p(\d{1,2}(?:\.\d{1,10})?|100)", stat)
    if percentile is None:
        raise not_implemented("cloudwatch", f"the statistic {stat}")
    return None if sets else _percentile(single, float(percentile[1]))


def _percentile(values: list[float], percent: float) -> float:
    """Linear between the two values next to it."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
