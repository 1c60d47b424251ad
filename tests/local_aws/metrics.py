"""What the services tell CloudWatch of themselves: counts as they happen, levels when asked for.

The data lie with moto, beside those that a client puts. Who wants to know that a metric has new
data (the alarms) says so with `on_data`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from . import account


class Level(NamedTuple):
    """The present value of a metric that is a level and not a count, such as a queue's length."""

    name: str
    value: float
    unit: str
    dimensions: Mapping[str, str]


Listener = Callable[[str, str, str], None]
Sampler = Callable[[str], Iterable[Level]]

_listeners: list[Listener] = []
_samplers: dict[str, list[Sampler]] = {}
# (region, namespace, metric, dimensions) -> the minute and the datum of the newest level
_newest: dict[tuple[Any, ...], tuple[int, Any]] = account.table()
_lock = threading.Lock()


def put(
    namespace: str,
    name: str,
    value: float,
    unit: str,
    dimensions: Mapping[str, str],
    region: str,
    at: datetime | None = None,
) -> None:
    """Add one value to a metric, as the service itself does on AWS.

    Args:
        namespace: such as `AWS/Lambda`.
        name: the metric, such as `Invocations`.
        unit: one of CloudWatch's, such as `Count`, `Milliseconds` or `Bytes`.
        dimensions: name to value, such as `{"FunctionName": "curate"}`; may be empty.
        at: when it was measured, aware; now by default.
    """
    _backend(region).metric_data.append(_datum(namespace, name, value, unit, dimensions, at))
    announce(region, namespace, name)


def announce(region: str, namespace: str, name: str) -> None:
    """Say that a metric has new data."""
    for listener in _listeners:
        listener(region, namespace, name)


def on_data(listener: Listener) -> Listener:
    """Decorator: call the function with region, namespace and name of a metric with new data.

    It is called in the thread of whoever puts the data and has to return at once.
    """
    _listeners.append(listener)
    return listener


def levels(namespace: str) -> Callable[[Sampler], Sampler]:
    """Decorator: the function gives the levels of a namespace in a region, at this moment."""

    def register(function: Sampler) -> Sampler:
        _samplers.setdefault(namespace, []).append(function)
        return function

    return register


def sample(region: str, namespace: str) -> None:
    """Measure the levels of a namespace; one value a minute is kept, the newest, as on AWS."""
    minute = int(account.now().timestamp() // 60)
    for sampler in _samplers.get(namespace, []):
        for level in sampler(region):
            key = (region, namespace, level.name, frozenset(level.dimensions.items()))
            with _lock:
                known, datum = _newest.get(key, (None, None))
                if known == minute:
                    datum.value = float(level.value)
                    continue
                name, value, unit, dimensions = level
                datum = _datum(namespace, name, value, unit, dimensions, None)
                _backend(region).metric_data.append(datum)
                _newest[key] = (minute, datum)


def data(region: str, namespace: str, name: str, dimensions: Mapping[str, str]) -> list[Any]:
    """moto's data of the metric with exactly these dimensions, in the order they came in."""
    wanted, backend = dict(dimensions), _backend(region)
    # moto computes what S3 reports of its buckets whenever it is asked.
    everything = backend.get_all_metrics() if namespace == "AWS/S3" else list(backend.metric_data)
    return [
        item
        for item in everything
        if item.name == name
        and item.namespace == namespace
        and {dimension.name: dimension.value for dimension in item.dimensions} == wanted
    ]


def seconds(datum: Any) -> float:
    """When a datum of moto's was measured, in seconds since 1970."""
    at = datum.timestamp
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _datum(
    namespace: str,
    name: str,
    value: float,
    unit: str,
    dimensions: Mapping[str, str],
    at: datetime | None,
) -> Any:
    from moto.cloudwatch.models import MetricDatum

    listed = [{"Name": key, "Value": item} for key, item in dimensions.items()]
    # moto compares with times that have no zone.
    moment = (at or account.now()).astimezone(UTC).replace(tzinfo=None)
    return MetricDatum(namespace, name, float(value), listed, moment, unit)


def _backend(region: str) -> Any:
    from moto.cloudwatch.models import cloudwatch_backends

    return cloudwatch_backends[account.ACCOUNT_ID][region]
