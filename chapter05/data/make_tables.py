"""Make `customers.parquet` and `traffic_days.parquet`, the tables of notebook 2.

    python make_tables.py --retail ../../chapter04/data/retail.parquet \
        --traffic ../../chapter03/data/traffic.parquet

Customers come from invoice lines, days from hourly counts; see DATA.md for origin and licences.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
END = pd.Timestamp("2011-12-10")
HOURS = [f"h{hour:02}" for hour in range(24)]


def customers(lines: pd.DataFrame) -> pd.DataFrame:
    """One row a customer with at least one purchase: recency, frequency, money and habits.

    Args:
        lines: invoice lines with `invoice`, `stock_code`, `quantity`, `invoice_date`, `price` and
            `customer_id`; a cancelled order has an invoice number that begins with C.

    Raises:
        ValueError: a column is not there.
    """
    _require(lines, ["invoice", "stock_code", "quantity", "invoice_date", "price", "customer_id"])
    known = lines[lines["customer_id"].notna()].drop_duplicates()
    bought = known[(known["quantity"] > 0) & (known["price"] > 0)]
    bought = bought.assign(revenue=bought["quantity"] * bought["price"])
    groups = bought.groupby("customer_id")
    table = pd.DataFrame(
        {
            "recency_days": (END - groups["invoice_date"].max()).dt.days,
            "orders": groups["invoice"].nunique(),
            "revenue": groups["revenue"].sum().round(2),
            "products": groups["stock_code"].nunique(),
        }
    )
    cancelled = known[known["invoice"].str.startswith("C")].groupby("customer_id")["invoice"]
    table["cancelled"] = cancelled.nunique().reindex(table.index, fill_value=0)
    table.index = table.index.astype("int32")
    return table.reset_index()


def traffic_days(hours: pd.DataFrame) -> pd.DataFrame:
    """One row a day with all its 24 hours: the vehicles of each hour, the holiday, hours of snow.

    Args:
        hours: `date_time`, `traffic_volume`, `weather_main`, and `holiday`, which names it in the
            first hour only.

    Raises:
        ValueError: a column is not there.
    """
    _require(hours, ["date_time", "traffic_volume", "holiday", "weather_main"])
    snow = hours[hours["weather_main"] == "Snow"].drop_duplicates("date_time")["date_time"]
    hours = hours.drop_duplicates("date_time")
    date, hour = hours["date_time"].dt.date, hours["date_time"].dt.hour
    table = hours.assign(date=date, hour=hour).pivot(
        index="date", columns="hour", values="traffic_volume"
    )
    table = table.dropna().astype("int16").set_axis(HOURS, axis=1)
    names = hours.assign(date=date).dropna(subset="holiday").groupby("date")["holiday"].first()
    table.insert(0, "holiday", names.reindex(table.index))
    snowed = snow.dt.date.value_counts().reindex(table.index, fill_value=0)
    table.insert(1, "snow_hours", snowed.astype("int8"))
    return table.reset_index()


def _require(table: pd.DataFrame, columns: list[str]) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")


def _write(table: pd.DataFrame, name: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=HERE, suffix=".parquet")
    os.close(handle)
    table.to_parquet(temporary, compression="zstd", index=False)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(HERE / name)
    print(f"{name}: {len(table):,} rows")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--retail", type=Path, required=True)
    parser.add_argument("--traffic", type=Path, required=True)
    given = parser.parse_args()
    _write(customers(pd.read_parquet(given.retail)), "customers.parquet")
    _write(traffic_days(pd.read_parquet(given.traffic)), "traffic_days.parquet")
