"""The metrics of a training job: numbers that regular expressions find in its log."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from ... import account, metrics
from ...gateway import AWSError

_NAMESPACE = "/aws/sagemaker/TrainingJobs"


class Value(NamedTuple):
    """One value of a metric."""

    value: float
    at: datetime


class MetricReader:
    """Reads metrics line by line, keeps their series, and tells CloudWatch.

    Attributes:
        series: of each metric that has appeared, the values in the order of the log.
    """

    def __init__(self, job: str, region: str, definitions: Iterable[dict[str, str]]) -> None:
        """`definitions` have a `Name` and a `Regex`, whose first group is the value."""
        self.series: dict[str, list[Value]] = {}
        self._job, self._region = job, region
        self._lock = threading.Lock()
        self._definitions = [(each["Name"], _search(compiled(each))) for each in definitions]

    def read(self, line: str) -> None:
        """Take the values out of a line of the log."""
        for name, search in self._definitions:
            found = search(line)
            if found and found.groups():
                self._add(name, found[1])

    def final(self) -> list[dict[str, Any]]:
        """The last value of each metric, as DescribeTrainingJob shows them."""
        names = dict.fromkeys(name for name, _ in self._definitions)
        with self._lock:
            last = {name: self.series[name][-1] for name in names if name in self.series}
        return [
            {"MetricName": name, "Value": each.value, "Timestamp": each.at}
            for name, each in last.items()
        ]

    def _add(self, name: str, text: str | None) -> None:
        try:
            value = float(text or "")
        except ValueError:
            return  # the expression found no number
        now = account.now()
        with self._lock:
            self.series.setdefault(name, []).append(Value(value, now))
        dimensions = {"TrainingJobName": self._job}
        metrics.put(_NAMESPACE, name, value, "None", dimensions, self._region, now)


def compiled(definition: dict[str, str]) -> re.Pattern[str]:
    """The expression of a metric definition. Raises ValidationException if it is none."""
    try:
        return re.compile(definition["Regex"])
    except re.error as error:
        raise AWSError(
            "ValidationException",
            f"The regular expression {definition['Regex']!r} of metric {definition['Name']} is "
            f"not valid: {error}",
        ) from error


def _search(pattern: re.Pattern[str]) -> Callable[[str], re.Match[str] | None]:
    """How a line is searched: what starts with `.*`, as AWS's own do, from the line's start on."""
    return pattern.match if pattern.pattern.startswith(".*") else pattern.search
