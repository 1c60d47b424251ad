"""The same sum in three ways, and the memory that each takes while it runs.

    python measure_memory.py everything|columns|chunks s3://bucket/folder/

Memory is measured in a process of its own: in a notebook it would be the notebook's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import awswrangler as wr
import pandas as pd
import psutil

COLUMNS = ["customer_id", "quantity", "price"]
ROWS = 100_000  # in memory at a time
EVERY = 0.02  # seconds


@dataclass(frozen=True)
class Measurement:
    """Memory over time, beyond what the imports hold, and the answer."""

    seconds: list[float]
    megabytes: list[float]
    customers: int
    spend: float

    @property
    def peak(self) -> float:
        """The most that was held at any time, in MB beyond the imports."""
        return max(self.megabytes)


def everything(uri: str) -> pd.Series:
    """Read all, then add up: what one writes first."""
    lines = wr.s3.read_parquet(uri)
    lines["spend"] = lines["quantity"] * lines["price"]
    return lines.groupby("customer_id")["spend"].sum()


def columns(uri: str) -> pd.Series:
    """Read three columns of eight, then add up."""
    return spend(wr.s3.read_parquet(uri, columns=COLUMNS))


def chunks(uri: str, rows: int = ROWS) -> pd.Series:
    """Read so many rows at a time, and keep of them only the sums."""
    total = pd.Series(dtype="float64")
    for chunk in wr.s3.read_parquet(uri, columns=COLUMNS, chunked=rows):
        total = total.add(spend(chunk), fill_value=0)
    return total


def spend(lines: pd.DataFrame) -> pd.Series:
    """What each customer has spent in these lines."""
    return (lines["quantity"] * lines["price"]).groupby(lines["customer_id"]).sum()


WAYS: dict[str, Callable[[str], pd.Series]] = {
    "everything": everything,
    "columns": columns,
    "chunks": chunks,
}


def measure(way: str, uri: str) -> Measurement:
    """Run one of WAYS on a folder in S3, in a new process.

    Raises:
        ValueError: if there is no such way.
        RuntimeError: if the process fails, with the last line that it wrote.
    """
    if way not in WAYS:
        raise ValueError(f"the way is one of {', '.join(WAYS)}, not {way!r}")
    command = [sys.executable, str(Path(__file__).resolve()), way, uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RuntimeError(f"reading {uri} by {way} failed: {reason}")
    return Measurement(**json.loads(done.stdout))


def watch(work: Callable[[], pd.Series]) -> Measurement:
    """Do the work in this process and note its resident memory every 20 milliseconds."""
    process = psutil.Process()
    start, base = time.monotonic(), process.memory_info().rss
    seconds, megabytes = [0.0], [0.0]
    done = threading.Event()

    def note() -> None:
        while not done.wait(EVERY):
            seconds.append(round(time.monotonic() - start, 3))
            megabytes.append(round((process.memory_info().rss - base) / 1e6, 1))

    noting = threading.Thread(target=note)
    noting.start()
    try:
        answer = work()
    finally:
        done.set()
        noting.join()
    return Measurement(seconds, megabytes, len(answer), float(answer.sum()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: print the measurement as JSON; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("uri", help="a folder of Parquet objects in S3")
    options = parser.parse_args(arguments)
    # A first request, so that what boto3 loads for it counts as an import.
    wr.s3.list_objects(options.uri)
    print(json.dumps(vars(watch(lambda: WAYS[options.way](options.uri)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
