"""Make departures.parquet of this folder from the complete table of chapter 2.

    python make_departures.py

Four weeks of departures from New York, 15 April to 12 May 2013, with the moment each plane left.
The source knows that moment to the minute. Planes that left an airport in the same minute get the
seconds 0, 1, 2, … in the order of their schedule, so that each departure has a moment of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "chapter02" / "data" / "flights.parquet"
FIRST, DAYS = pd.Timestamp("2013-04-15"), 28
ORDER = ["left_at", "scheduled_at", "carrier", "flight"]


def departures(flights: pd.DataFrame) -> pd.DataFrame:
    """The departures of the four weeks, in the order in which planes left.

    Args:
        flights: `flights.parquet` of chapter 2; delays in minutes, `time_hour` in UTC.

    Returns:
        One row for each flight that left: `flight_id`, `origin`, `dest`, `carrier`, `flight`,
        `distance` (miles), `hour` (scheduled, New York time), `scheduled_at` and `left_at` (UTC),
        `delay` and `arrival_delay` (minutes; the latter null for a flight that was diverted).
    """
    day = pd.to_datetime(flights[["year", "month", "day"]])
    inside = (day >= FIRST) & (day < FIRST + pd.Timedelta(days=DAYS))
    rows = flights[inside & flights["dep_delay"].notna()].copy()
    minutes = pd.to_timedelta(rows["minute"], unit="min")
    rows["scheduled_at"] = rows["time_hour"].astype("datetime64[ms]") + minutes
    rows["left_at"] = rows["scheduled_at"] + pd.to_timedelta(rows["dep_delay"], unit="min")
    rows = rows.sort_values(ORDER, kind="stable", ignore_index=True)
    seconds = rows.groupby(["origin", "left_at"]).cumcount()
    rows["left_at"] += pd.to_timedelta(seconds, unit="s")
    rows["flight_id"] = (
        rows["scheduled_at"].dt.strftime("%m%dT%H%M")
        + "-"
        + rows["carrier"]
        + rows["flight"].astype(str)
        + "-"
        + rows["origin"]
    )
    rows["delay"] = rows["dep_delay"].astype("int32")
    rows["arrival_delay"] = rows["arr_delay"].astype("Int32")
    columns = ["flight_id", "origin", "dest", "carrier", "flight", "distance", "hour"]
    times = ["scheduled_at", "left_at"]
    rows = rows[[*columns, *times, "delay", "arrival_delay"]]
    return rows.astype({time: "datetime64[ms]" for time in times})


def main() -> None:
    """Write the file next to this script, or into the folder that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=HERE, help="folder to write into")
    folder = parser.parse_args().to
    table = departures(pd.read_parquet(SOURCE))
    table.to_parquet(folder / "departures.parquet", index=False, compression="zstd")
    print(f"{len(table):,} departures")


if __name__ == "__main__":
    main()
