"""Make `flights.parquet`, the table that notebook 2 learns from, out of the Flights tables.

    python make_flights.py --tables ../../chapter02/data

One row is one flight that arrived: its schedule, the weather at its airport three hours before,
the delay of its departure (which nobody knows beforehand: the notebook needs it to fall into the
trap), and whether it arrived more than 15 minutes late.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
TABLES = HERE.parent.parent / "chapter02" / "data"
LATE_AFTER_MINUTES = 15
# The observation of an hour is complete when the hour is over. Three hours back is the latest one
# that is complete two hours before a departure.
WEATHER_LAG = pd.Timedelta(hours=3)
# An anemometer at Newark reported 1,048 miles an hour on 12 February.
WIND_LIMIT = 100
WEATHER = ["temp", "humid", "wind_speed", "precip", "pressure", "visib"]
SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("month", pa.int8()),
        ("weekday", pa.int8()),
        ("hour", pa.int8()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("carrier", pa.string()),
        ("distance", pa.int16()),
        *((name, pa.float32()) for name in WEATHER),
        ("dep_delay", pa.int16()),
        ("late", pa.int8()),
    ]
)


class TablesError(Exception):
    """The Flights tables are not where they should be, or not as they should be."""


def make_table(tables: Path) -> pa.Table:
    """The table, sorted by date, hour, carrier and what follows, so that it is always the same.

    Raises:
        TablesError: if a table or a column is missing.
    """
    flights = _read(tables, "flights", ["year", "month", "day", "time_hour", "arr_delay"])
    weather = _read(tables, "weather", ["origin", "time_hour", *WEATHER])
    flights = flights.dropna(subset=["arr_delay"])
    weather = weather.drop_duplicates(["origin", "time_hour"])
    weather.loc[weather["wind_speed"] > WIND_LIMIT, "wind_speed"] = None
    weather = weather[["origin", "time_hour", *WEATHER]]
    weather["time_hour"] += WEATHER_LAG
    rows = flights.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    rows["date"] = pd.to_datetime(rows[["year", "month", "day"]])
    rows["weekday"] = rows["date"].dt.day_of_week + 1
    rows["late"] = (rows["arr_delay"] > LATE_AFTER_MINUTES).astype(int)
    order = ["date", "hour", "minute", "carrier", "flight", "origin"]
    rows = rows.sort_values(order)[SCHEMA.names]
    return pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False)


def _read(tables: Path, name: str, needed: list[str]) -> pd.DataFrame:
    path = tables / f"{name}.parquet"
    if not path.is_file():
        raise TablesError(f"there is no {path}; give the folder of chapter 2's tables")
    table = pd.read_parquet(path)
    missing = [column for column in needed if column not in table]
    if missing:
        raise TablesError(f"{path} has no column {missing[0]}")
    return table


def write(table: pa.Table, path: Path) -> None:
    """Write the table under a temporary name and move it into place."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".parquet")
    os.close(handle)
    try:
        pq.write_table(table, temporary, compression="zstd", compression_level=19)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of chapter 2's tables")
    parser.add_argument("--output", type=Path, default=HERE / "flights.parquet")
    options = parser.parse_args(arguments)
    try:
        table = make_table(options.tables)
        write(table, options.output)
    except (TablesError, OSError) as error:
        print(f"nothing was written: {error}", file=sys.stderr)
        return 1
    print(f"{table.num_rows:,} flights, {options.output.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
