"""What Lambda tells CloudWatch of its functions: for each of them, and over all of a region.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ... import metrics

_running: Counter[str] = Counter()
_lock = threading.Lock()


def put(function: Any, name: str, value: float, unit: str = "Count") -> None:
    """Add a value to a metric of the function. `function` is one of moto's."""
    for dimensions in ({"FunctionName": function.function_name}, {}):
        metrics.put("AWS/Lambda", name, value, unit, dimensions, function.region)


def invocation(function: Any, failed: bool, seconds: float) -> None:
    """An invocation has ended."""
    put(function, "Duration", 1000 * seconds, "Milliseconds")
    put(function, "Errors", float(failed))
    put(function, "Throttles", 0)
    put(function, "Invocations", 1)


@contextlib.contextmanager
def running(function: Any) -> Iterator[None]:
    """While an invocation of the function runs."""
    arn = function.function_arn
    with _lock:
        _running[arn] += 1
        count = _running[arn]
    put(function, "ConcurrentExecutions", count)
    try:
        yield
    finally:
        with _lock:
            _running[arn] -= 1
