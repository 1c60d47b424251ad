"""Make `flight_departures.parquet`, the table of notebook 1, out of the Flights tables.

    python make_flight_departures.py --tables ../../chapter02/data

Every fifth flight of 2013 that arrived, in the order of its scheduled departure, described by
what is known two hours before it: the timetable, the plane and a weather observation. Values are
left as they are in the source, gaps, odd spellings and a broken anemometer included: to mend
them is the notebook's subject. One column breaks the rule on purpose, `dep_delay`.
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
OUTPUT = HERE / "flight_departures.parquet"
EVERY = 5
LATE_AFTER_MINUTES = 15
# The row of hour H may be an observation at any minute of that hour, so it is complete at H+1.
# Three hours before the scheduled hour is the last one that is complete two hours ahead.
WEATHER_LAG = pd.Timedelta(hours=3)

SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("month", pa.int32()),
        ("day_of_week", pa.int32()),
        ("departure_minute", pa.int32()),
        ("carrier", pa.string()),
        ("flight", pa.int32()),
        ("tailnum", pa.string()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("distance", pa.int32()),
        ("plane_year", pa.int32()),
        ("manufacturer", pa.string()),
        ("model", pa.string()),
        ("seats", pa.int32()),
        ("temp", pa.float64()),
        ("dewp", pa.float64()),
        ("humid", pa.float64()),
        ("wind_dir", pa.float64()),
        ("wind_speed", pa.float64()),
        ("wind_gust", pa.float64()),
        ("precip", pa.float64()),
        ("pressure", pa.float64()),
        ("visib", pa.float64()),
        ("dep_delay", pa.int32()),
        ("late", pa.int32()),
    ]
)
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"]
WEATHER += ["precip", "pressure", "visib"]
PLANE = ["manufacturer", "model", "seats"]
NEEDED = {
    "flights": [
        "year", "month", "day", "hour", "minute", "time_hour", "carrier", "flight", "tailnum",
        "origin", "dest", "distance", "dep_delay", "arr_delay",
    ],
    "planes": ["tailnum", "year", *PLANE],
    "weather": ["origin", "time_hour", *WEATHER],
}  # fmt: skip


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Read `flights`, `planes` and `weather` from the Parquet files in the folder.

    Raises:
        FileNotFoundError: if one of the files is not there.
        ValueError: if one lacks a column.
    """
    tables = {}
    for name, needed in NEEDED.items():
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; name the folder with --tables")
        missing = sorted(set(needed) - set(pq.read_schema(path).names))
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
        tables[name] = pd.read_parquet(path, columns=needed)
    return tables


def make(flights: pd.DataFrame, planes: pd.DataFrame, weather: pd.DataFrame) -> pa.Table:
    """One row for every fifth flight that arrived, with the columns of SCHEMA in its order.

    Cancelled and diverted flights have no arrival delay, hence no label, and are left out.
    """
    arrived = flights[flights["arr_delay"].notna()]
    arrived = arrived.assign(
        date=pd.to_datetime(arrived[["year", "month", "day"]]),
        departure_minute=arrived["hour"] * 60 + arrived["minute"],
        late=(arrived["arr_delay"] > LATE_AFTER_MINUTES).astype("int32"),
    )
    arrived["day_of_week"] = arrived["date"].dt.day_of_week + 1
    order = ["date", "departure_minute", "origin", "carrier", "flight"]
    sample = arrived.sort_values(order, kind="stable").iloc[::EVERY].drop(columns="year")

    register = planes.rename(columns={"year": "plane_year"})
    sample = sample.merge(register, how="left", on="tailnum", validate="m:1")
    observed = weather.assign(time_hour=weather["time_hour"] + WEATHER_LAG)
    sample = sample.merge(observed, how="left", on=["origin", "time_hour"], validate="m:1")
    table = pa.Table.from_pandas(sample[SCHEMA.names], schema=SCHEMA, preserve_index=False)
    return table.replace_schema_metadata(None).combine_chunks()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of chapter 2's tables")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    try:
        table = make(**read_tables(options.tables))
    except (FileNotFoundError, ValueError) as error:
        print(f"make_flight_departures: {error}", file=sys.stderr)
        return 1
    handle, name = tempfile.mkstemp(dir=options.output.parent, suffix=".parquet")
    os.close(handle)
    pq.write_table(
        table, name, compression="zstd", compression_level=19, row_group_size=table.num_rows
    )
    Path(name).chmod(0o644)
    Path(name).replace(options.output)
    print(f"{options.output.name}: {table.num_rows:,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
