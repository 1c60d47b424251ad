"""Make `flight_schedule.parquet`, the raw data of notebook 5, out of the Flights table.

    python make_flight_schedule.py --tables ../../chapter02/data

The first five months of 2013: what a desk knows of each scheduled flight, and how late it came.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
TABLES = HERE.parent.parent / "chapter02" / "data"
OUTPUT = HERE / "flight_schedule.parquet"
LAST_MONTH = 5
COLUMNS = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "distance",
    "arr_delay",
]


def make(tables: Path) -> pa.Table:
    """The columns and months that the notebook needs, in the order of departure.

    Raises:
        FileNotFoundError: if `flights.parquet` is not in the folder.
    """
    source = tables / "flights.parquet"
    if not source.is_file():
        raise FileNotFoundError(f"{source} is missing; name the folder with --tables")
    flights = pq.read_table(source, columns=COLUMNS)
    flights = flights.filter(pc.less_equal(flights["month"], LAST_MONTH))
    order = ["month", "day", "hour", "minute", "carrier", "flight", "origin"]
    return flights.sort_by([(name, "ascending") for name in order])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, default=TABLES, help="where flights.parquet lies")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    table = make(options.tables)
    handle, name = tempfile.mkstemp(dir=options.output.parent, suffix=".parquet")
    os.close(handle)
    pq.write_table(table, name, compression="zstd", compression_level=19)
    Path(name).replace(options.output)
    print(f"{options.output.name}: {table.num_rows:,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
