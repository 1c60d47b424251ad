"""AWS Glue job (Python shell): what each customer did on one day.

Job arguments:

    --lake  the bucket
    --key   the day's invoice lines, CSV
    --day   as 2010-12-01
    --etag  of that object, kept in the manifest

Writes `features/day=<day>/customers.parquet`, then `manifest.json` beside it, which says how many
lines came in and what became of each. The manifest comes last: where it lies, the day is complete.
The same file always gives the same objects, so a run that is repeated changes nothing.
"""

import io
import json
import sys

import boto3
import pandas as pd
from awsglue.utils import getResolvedOptions

NUMBERS = {"quantity": "a whole number", "price": "a number"}


def read(body: bytes) -> pd.DataFrame:
    """The lines of a file, typed.

    Raises:
        ValueError: naming line, column and value of the first cell that cannot be used.
    """
    lines = pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False)
    for column, kind in NUMBERS.items():
        numbers = pd.to_numeric(lines[column], errors="coerce")
        bad = numbers.isna() | ((column == "quantity") & (numbers % 1 != 0))
        if bad.any():
            first = int(bad.to_numpy().argmax())
            value = lines[column].iloc[first]
            raise ValueError(f"line {first + 2}: {column} {value!r} is not {kind}")
        lines[column] = numbers
    lines["invoice_date"] = pd.to_datetime(lines["invoice_date"])
    return lines


def features_of(lines: pd.DataFrame) -> pd.DataFrame:
    """One row for each customer: what was bought and sent back that day, in pounds and pieces."""
    bought = lines["quantity"] > 0
    lines = lines.assign(
        revenue=(lines["quantity"] * lines["price"]).round(2),
        bought=lines["quantity"].where(bought, 0),
        returned=-lines["quantity"].where(~bought, 0),
        hour=lines["invoice_date"].dt.hour,
    )
    table = lines.groupby("customer_id").agg(
        lines=("stock_code", "size"),
        products=("stock_code", "nunique"),
        invoices=("invoice", "nunique"),
        bought=("bought", "sum"),
        returned=("returned", "sum"),
        revenue=("revenue", "sum"),
        first_hour=("hour", "min"),
        last_hour=("hour", "max"),
    )
    return table.reset_index().astype({"customer_id": "int32"}).round({"revenue": 2})


def main() -> None:
    """Read, count, write."""
    options = getResolvedOptions(sys.argv, ["lake", "key", "day", "etag"])
    s3, lake = boto3.client("s3"), options["lake"]
    lines = read(s3.get_object(Bucket=lake, Key=options["key"])["Body"].read())
    once = lines.drop_duplicates()
    known = once[once["customer_id"] != ""]
    table = features_of(known)
    manifest = {
        "day": options["day"],
        "key": options["key"],
        "etag": options["etag"],
        "lines": len(lines),
        "duplicates": len(lines) - len(once),
        "without_customer": len(once) - len(known),
        "used": int(table["lines"].sum()),
        "customers": len(table),
    }
    folder = f"features/day={options['day']}"
    parquet = io.BytesIO()
    table.to_parquet(parquet, index=False)
    s3.put_object(Bucket=lake, Key=f"{folder}/customers.parquet", Body=parquet.getvalue())
    s3.put_object(Bucket=lake, Key=f"{folder}/manifest.json", Body=json.dumps(manifest).encode())
    print(json.dumps(manifest))


if __name__ == "__main__":
    main()
