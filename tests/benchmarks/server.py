"""How soon the server answers, and what it weighs before it is asked anything."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import psutil

from tests.local_aws.environment import LocalAWS


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    ready, megabytes = [], []
    for _ in range(5):
        started = time.perf_counter()
        with LocalAWS() as aws:
            ready.append(time.perf_counter() - started)
            megabytes.append(psutil.Process(aws.pid).memory_info().rss / 1e6)
    seconds = statistics.median(ready)
    yield f"| server ready | {1e3 * seconds:,.0f} | | | ≤ 1,500 |"
    yield f"| memory idle, MB | {statistics.median(megabytes):,.0f} | | | ≤ 250 |"
