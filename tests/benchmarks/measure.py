"""Timing that two sides share: alternate them, and compare medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def compare(
    ours: Callable[[], object], other: Callable[[], object], times: int, warm_up: int = 1
) -> tuple[float, float]:
    """Median seconds of both, called in turn so that a busy machine slows both alike."""
    for _ in range(warm_up):
        ours()
        other()
    samples = [(seconds(ours), seconds(other)) for _ in range(times)]
    return (
        statistics.median(sample[0] for sample in samples),
        statistics.median(sample[1] for sample in samples),
    )


def row(what: str, ours: float, other: float, target: str) -> str:
    """A line of the report: both times in milliseconds and their ratio."""
    ratio = ours / other
    return f"| {what} | {ours * 1e3:,.1f} | {other * 1e3:,.1f} | {ratio:.2f} | {target} |"
