"""Make `flights.parquet`, the table of the bake-off, out of chapter 6's table of flights.

    python make_flights.py --table ../../chapter06/data/flight_features.parquet

One airport is kept, LaGuardia, with all of its flights of every day. Flights of one day share
their weather, so that a day more teaches more than a flight more of a day that is there already:
a sample must keep days whole, and should keep as many of them as it can.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent.parent / "chapter06" / "data" / "flight_features.parquet"
OUTPUT = HERE / "flights.parquet"
ORIGIN = "LGA"

# Left out: `origin`, which is always LGA; `month` and `hour`, which follow from what is kept; the
# flight number and what the register says of the plane but its age, which take a fifth of the file
# and teach next to nothing.
SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("carrier", pa.string()),
        ("dest", pa.string()),
        ("late", pa.int8()),
        ("day_of_week", pa.int8()),
        ("departure_minute", pa.int16()),
        ("scheduled_departures", pa.int16()),
        ("distance", pa.int16()),
        ("plane_age", pa.float32()),
        ("temperature", pa.float32()),
        ("wind_speed", pa.float32()),
        ("precipitation", pa.float32()),
        ("pressure", pa.float32()),
        ("visibility", pa.float32()),
        ("origin_late_share_3h", pa.float32()),
        ("carrier_late_share_3h", pa.float32()),
        ("dest_late_share_6h", pa.float32()),
        ("carrier_late_share_7d", pa.float32()),
        ("dest_late_share_7d", pa.float32()),
        ("origin_overdue", pa.int16()),
        ("carrier_overdue", pa.int16()),
    ]
)


class SourceError(Exception):
    """The table of flights is not there or not what it should be."""


def read_flights(path: Path) -> pd.DataFrame:
    """Read chapter 6's table. Raises SourceError, naming the remedy, if that cannot be done."""
    if not path.is_file():
        raise SourceError(
            f"{path} does not exist; give chapter 6's flight_features.parquet as --table"
        )
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is not a Parquet file: {error}") from error
    missing = [name for name in ("origin", *SCHEMA.names) if name not in table]
    if missing:
        raise SourceError(f"{path} lacks the columns {', '.join(missing)}")
    return table


def choose(table: pd.DataFrame) -> pa.Table:
    """Return the flights from ORIGIN, all of every day, with the columns and types of SCHEMA.

    Raises SourceError if there is none.
    """
    kept = table.loc[table["origin"] == ORIGIN, SCHEMA.names]
    if kept.empty:
        raise SourceError(f"the table holds no flight from {ORIGIN}")
    return pa.Table.from_pandas(kept, schema=SCHEMA, preserve_index=False, safe=False)


def write(table: pa.Table, path: Path) -> None:
    """Write the table as one row group, without the metadata that pandas would leave."""
    pq.write_table(
        table.replace_schema_metadata(None).combine_chunks(),
        path,
        compression="zstd",
        compression_level=19,
        row_group_size=table.num_rows,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="chapter 6's table of flights")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the Parquet file to write")
    options = parser.parse_args(arguments)
    try:
        flights = choose(read_flights(options.table))
    except SourceError as error:
        print(f"make_flights: {error}", file=sys.stderr)
        return 1
    write(flights, options.output)
    print(f"{flights.num_rows:,} flights, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
