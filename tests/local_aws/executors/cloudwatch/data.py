"""Putting and getting data: what moto stores is validated further, and read with all statistics.

moto reads metrics by a part of their dimensions, without percentiles and without metric math.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from ... import account, metrics
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from . import alarms, expressions
from .statistics import MetricStat, Series, compute, dimensions, periods, series

_MOST_DATAPOINTS = 1_440


@handles("cloudwatch", "PutMetricData")
def put_data(call: Call) -> None:
    """Keep data that are not older than two weeks, then look at the alarms that watch them."""
    namespace, data = call.params["Namespace"], call.params.get("MetricData") or []
    if namespace.startswith("AWS/"):
        message = f"The value {namespace} for parameter Namespace is invalid."
        raise AWSError("InvalidParameterValue", message)
    for position, item in enumerate(data, start=1):
        _check_time(position, item.get("Timestamp"))
    call.forward()
    for name in {item["MetricName"] for item in data}:
        metrics.announce(call.region, namespace, name)
    alarms.evaluate_watching(call.region, {(namespace, item["MetricName"]) for item in data})


def _check_time(position: int, at: datetime | None) -> None:
    if at is None:
        return
    age = account.now() - _aware(at)
    if not timedelta(hours=-2) <= age <= timedelta(days=14):
        message = (
            f"The parameter MetricData.member.{position}.Timestamp must specify a time within "
            "the past two weeks and no more than two hours in the future."
        )
        raise AWSError("InvalidParameterValue", message)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@handles("cloudwatch", "GetMetricStatistics")
def get_statistics(call: Call) -> dict[str, Any]:
    """Statistics and percentiles of one metric, with exactly the given dimensions."""
    params = call.params
    plain = list(params.get("Statistics") or [])
    extended = list(params.get("ExtendedStatistics") or [])
    if not plain and not extended:
        message = "Must specify either Statistics or ExtendedStatistics"
        raise AWSError("InvalidParameterCombination", message)
    period = int(params["Period"])
    grid = _Grid(params["StartTime"], params["EndTime"], period, "InvalidParameterValue")
    if grid.count > _MOST_DATAPOINTS:
        message = (
            f"You have requested up to {grid.count:,} datapoints, which exceeds the limit of "
            f"{_MOST_DATAPOINTS:,}. You may reduce the datapoints requested by increasing Period, "
            "or decreasing the time range."
        )
        raise AWSError("InvalidParameterCombination", message)
    stat = MetricStat(
        params["Namespace"],
        params["MetricName"],
        "",
        period,
        dimensions(params.get("Dimensions")),
        params.get("Unit"),
    )
    metrics.sample(call.region, stat.namespace)
    points = []
    for number, data in sorted(periods(call.region, stat, grid.number).items()):
        point = {"Timestamp": grid.time(number), "Unit": data[-1].unit or "None"}
        point |= {name: compute(data, name) for name in plain}
        values = {name: compute(data, name) for name in extended}
        if extended:
            point["ExtendedStatistics"] = {k: v for k, v in values.items() if v is not None}
        points.append(point)
    return {"Label": params["MetricName"], "Datapoints": points}


@handles("cloudwatch", "GetMetricData")
def get_data(call: Call) -> dict[str, Any]:
    """Time series of metrics and of expressions on them."""
    queries = call.params["MetricDataQueries"]
    for query in queries:
        _check_query(query)
    known: dict[str, tuple[Series, _Grid]] = {}
    for query in queries:
        if "MetricStat" in query:
            stat = MetricStat.of(query["MetricStat"])
            grid = _Grid(
                call.params["StartTime"], call.params["EndTime"], stat.period, "ValidationError"
            )
            metrics.sample(call.region, stat.namespace)
            known[query["Id"]] = (series(call.region, stat, grid.number), grid)
    _compute_expressions(queries, known)
    newest_first = call.params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = []
    for query in queries:
        if query.get("ReturnData") is False:
            continue
        found, grid = known[query["Id"]]
        numbers = sorted(found, reverse=newest_first)
        metric = (query.get("MetricStat") or {}).get("Metric") or {}
        results.append(
            {
                "Id": query["Id"],
                "Label": query.get("Label") or metric.get("MetricName") or query["Id"],
                "Timestamps": [grid.time(number) for number in numbers],
                "Values": [found[number] for number in numbers],
                "StatusCode": "Complete",
            }
        )
    return {"MetricDataResults": results, "Messages": []}


def _check_query(query: dict[str, Any]) -> None:
    if ("MetricStat" in query) == ("Expression" in query):
        message = f"The query {query['Id']} must have either MetricStat or Expression."
        raise AWSError("ValidationError", message)
    words = query.get("Expression", "").lstrip().upper()
    if words.startswith(("SELECT", "SEARCH")):
        raise not_implemented("cloudwatch", f"the query {query['Expression']}")


def _compute_expressions(
    queries: list[dict[str, Any]], known: dict[str, tuple[Series, _Grid]]
) -> None:
    """Expressions may use each other, in whatever order they are listed."""
    waiting = [query for query in queries if "Expression" in query]
    ids = {query["Id"] for query in waiting}
    while waiting:
        for query in waiting:
            if not expressions.names(query["Expression"]) & ids:
                break
        else:
            raise AWSError("ValidationError", "The expressions refer to each other in a circle.")
        if not known:
            raise not_implemented("cloudwatch", "GetMetricData of an expression without a metric")
        grid = next(iter(known.values()))[1]
        values = {name: found for name, (found, _) in known.items()}
        result = expressions.evaluate(query["Expression"], values, range(grid.count))
        known[query["Id"]] = (result, grid)
        waiting.remove(query)
        ids.discard(query["Id"])


class _Grid:
    """The periods between two times; they begin at multiples of the period."""

    def __init__(self, start: datetime, end: datetime, period: int, code: str) -> None:
        if _aware(start) >= _aware(end):
            message = "The parameter StartTime must be less than the parameter EndTime."
            raise AWSError(code, message)
        self.period = period
        self.first = math.floor(_aware(start).timestamp() / period) * period
        self.end = _aware(end).timestamp()
        self.count = math.ceil((self.end - self.first) / period)

    def number(self, seconds: float) -> int | None:
        """The number of the period that a time lies in; None outside of all."""
        if not self.first <= seconds < self.end:
            return None
        return int((seconds - self.first) // self.period)

    def time(self, number: int) -> datetime:
        """When a period begins."""
        return datetime.fromtimestamp(self.first + number * self.period, UTC)
