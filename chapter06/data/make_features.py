"""Make `flight_features.parquet`, the table chapter 6 learns from, out of the Flights tables.

    python make_features.py --tables ../../chapter02/data

One row is one flight as a desk sees it at its *decision time*, two hours before the scheduled
departure. A column may only hold what is known at that moment: the schedule, the plane, a
weather observation that is complete by then, and how other flights have left until then. The
target alone looks further: `late`, 1 when the flight arrives more than 15 minutes late.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
TABLES = HERE.parent.parent / "chapter02" / "data"
OUTPUT = HERE / "flight_features.parquet"

MINUTE = 60
HOUR = 3_600
DECISION_LEAD = 2 * HOUR
LATE_AFTER_MINUTES = 15
# The row of hour H may be an observation at any minute of that hour, so it is complete at H+1.
# Three hours before the scheduled hour is the last one that is complete at the decision time.
WEATHER_LAG_HOURS = 3
# An anemometer at Newark reported 1,048 mph on 12 February; no gust of the year passes 67.
WIND_SPEED_LIMIT_MPH = 100
# Some registrations in the source lead to light aircraft and helicopters of 16 seats at most,
# which no airline flew from New York: there the register says nothing about the plane.
AIRLINER_SEATS = 20
# A flight that has not left after this time is cancelled as a rule and no longer waited for.
OVERDUE_UNTIL = 3 * HOUR

WEATHER_COLUMNS = {
    "temp": "temperature",
    "dewp": "dew_point",
    "wind_dir": "wind_direction",
    "wind_speed": "wind_speed",
    "precip": "precipitation",
    "pressure": "pressure",
    "visib": "visibility",
}
SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("carrier", pa.string()),
        ("flight", pa.int32()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("late", pa.int32()),
        ("month", pa.int32()),
        ("day_of_week", pa.int32()),
        ("hour", pa.int32()),
        ("departure_minute", pa.int32()),
        ("scheduled_departures", pa.int32()),
        ("distance", pa.int32()),
        ("plane_age", pa.int32()),
        ("seats", pa.int32()),
        ("engines", pa.int32()),
        ("manufacturer", pa.string()),
        ("temperature", pa.float64()),
        ("dew_point", pa.float64()),
        ("wind_direction", pa.int32()),
        ("wind_speed", pa.float64()),
        ("precipitation", pa.float64()),
        ("pressure", pa.float64()),
        ("visibility", pa.float64()),
        ("origin_late_share_3h", pa.float64()),
        ("carrier_late_share_3h", pa.float64()),
        ("dest_late_share_6h", pa.float64()),
        ("carrier_late_share_7d", pa.float64()),
        ("dest_late_share_7d", pa.float64()),
        ("origin_overdue", pa.int32()),
        ("carrier_overdue", pa.int32()),
    ]
)


class SourceError(Exception):
    """A source table is missing or lacks a column."""


NEEDED_COLUMNS = {
    "flights": [
        "month", "day", "sched_dep_time", "dep_delay", "arr_delay", "carrier", "flight",
        "tailnum", "origin", "dest", "distance", "hour", "minute", "time_hour",
    ],
    "weather": ["origin", "time_hour", *WEATHER_COLUMNS],
    "planes": ["tailnum", "year", "manufacturer", "engines", "seats"],
}  # fmt: skip


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Read `flights`, `weather` and `planes` from the Parquet files in `folder`.

    Raises SourceError naming the file or the columns that are not there.
    """
    tables = {}
    for name, needed in NEEDED_COLUMNS.items():
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise SourceError(
                f"{path} does not exist; name the folder of chapter 2's tables with --tables"
            )
        missing = sorted(set(needed) - set(pq.read_schema(path).names))
        if missing:
            raise SourceError(f"{path} lacks the columns {', '.join(missing)}")
        tables[name] = pd.read_parquet(path, columns=needed)
    return tables


def build_features(
    flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame
) -> pd.DataFrame:
    """Return one row per flight that arrived, with the columns of SCHEMA in its order.

    Cancelled and diverted flights have no arrival delay: they are left out as rows, but still
    count where the desk sees them (the schedule and the flights that are overdue).
    """
    flights = flights.reset_index(drop=True)
    scheduled = scheduled_departure(flights)
    decision = scheduled - DECISION_LEAD
    features = pd.concat(
        [
            schedule_features(flights),
            plane_features(flights, planes),
            weather_features(flights, weather),
            history_features(flights, scheduled, decision),
        ],
        axis="columns",
    )
    features["late"] = (flights["arr_delay"] > LATE_AFTER_MINUTES).astype("int32")
    features["scheduled"] = scheduled
    arrived = features[flights["arr_delay"].notna()]
    ordered = arrived.sort_values(["scheduled", "origin", "carrier", "flight"], kind="stable")
    return ordered[SCHEMA.names].reset_index(drop=True)


def scheduled_departure(flights: pd.DataFrame) -> np.ndarray:
    """Return the scheduled departure of each flight in seconds since 1970, UTC, shape (n,)."""
    hour = flights["time_hour"].to_numpy().astype("datetime64[s]").astype("int64")
    return hour + flights["minute"].to_numpy().astype("int64") * MINUTE


def schedule_features(flights: pd.DataFrame) -> pd.DataFrame:
    """Return what the timetable says: local date and time, route, departures in that hour."""
    date = pd.to_datetime({"year": 2013, "month": flights["month"], "day": flights["day"]})
    columns = ["carrier", "flight", "origin", "dest", "month", "hour", "distance"]
    features = flights[columns].copy()
    features["date"] = date.dt.date
    features["day_of_week"] = date.dt.day_of_week + 1
    features["departure_minute"] = flights["hour"] * 60 + flights["minute"]
    same_hour = flights.groupby(["origin", "time_hour"])["flight"]
    features["scheduled_departures"] = same_hour.transform("size")
    return features


def plane_features(flights: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """Return age in years, seats, engines and maker of the plane; missing if not registered."""
    planes = planes[planes["seats"] >= AIRLINER_SEATS]
    makers = planes["manufacturer"].replace(
        {
            "AIRBUS INDUSTRIE": "AIRBUS",
            "MCDONNELL DOUGLAS AIRCRAFT CO": "MCDONNELL DOUGLAS",
            "MCDONNELL DOUGLAS CORPORATION": "MCDONNELL DOUGLAS",
        }
    )
    register = pd.DataFrame(
        {
            "tailnum": planes["tailnum"],
            "plane_age": 2013 - planes["year"],
            "seats": planes["seats"],
            "engines": planes["engines"],
            "manufacturer": makers,
        }
    )
    joined = flights[["tailnum"]].merge(register, how="left", on="tailnum", validate="m:1")
    return joined.drop(columns="tailnum")


def weather_features(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Return the origin's weather row of WEATHER_LAG_HOURS before the scheduled hour."""
    observed = weather[["origin", "time_hour", *WEATHER_COLUMNS]].rename(columns=WEATHER_COLUMNS)
    believable = observed["wind_speed"] <= WIND_SPEED_LIMIT_MPH
    observed["wind_speed"] = observed["wind_speed"].where(believable)
    observed["time_hour"] = observed["time_hour"] + pd.Timedelta(hours=WEATHER_LAG_HOURS)
    keys = ["origin", "time_hour"]
    joined = flights[keys].merge(observed, how="left", on=keys, validate="m:1")
    return joined.drop(columns=keys)


def history_features(
    flights: pd.DataFrame, scheduled: np.ndarray, decision: np.ndarray
) -> pd.DataFrame:
    """Return how other flights have left until the decision time (seconds since 1970).

    A share is that of the departures in the window before the decision time which left more
    than 15 minutes late; missing if there were none. A count is that of the flights still at
    the gate 15 minutes after their time.
    """
    left = flights["dep_delay"].notna().to_numpy()
    delay = flights["dep_delay"].fillna(0).to_numpy().astype("int64") * MINUTE
    departed = np.where(left, scheduled + delay, np.iinfo("int64").max)
    left_late = delay > LATE_AFTER_MINUTES * MINUTE

    carrier_here = flights["carrier"] + " " + flights["origin"]
    windows = {
        "origin_late_share_3h": (flights["origin"], 3 * HOUR),
        "carrier_late_share_3h": (carrier_here, 3 * HOUR),
        "dest_late_share_6h": (flights["dest"], 6 * HOUR),
        "carrier_late_share_7d": (carrier_here, 7 * 24 * HOUR),
        "dest_late_share_7d": (flights["dest"], 7 * 24 * HOUR),
    }
    columns = {
        name: share_before(group, departed, left_late, decision, window)
        for name, (group, window) in windows.items()
    }
    columns["origin_overdue"] = overdue_at(flights["origin"], scheduled, departed, decision)
    columns["carrier_overdue"] = overdue_at(carrier_here, scheduled, departed, decision)
    return pd.DataFrame(columns)


def share_before(
    group: pd.Series, at: np.ndarray, hit: np.ndarray, query: np.ndarray, window: int
) -> np.ndarray:
    """Return for each row the share of `hit` among its group's events in [query-window, query).

    `at` is when a row's own event happens and becomes known, `query` when the row asks; both in
    seconds, shape (n,). NaN where the window holds no event. Rounded to 3 decimals.
    """
    share = np.full(len(at), np.nan)
    for rows in group.groupby(group).indices.values():
        order = rows[np.argsort(at[rows], kind="stable")]
        hits = np.concatenate([[0], np.cumsum(hit[order])])
        first = np.searchsorted(at[order], query[rows] - window, side="left")
        last = np.searchsorted(at[order], query[rows], side="left")
        events = last - first
        known = events > 0
        share[rows[known]] = (hits[last] - hits[first])[known] / events[known]
    return share.round(3)


def overdue_at(
    group: pd.Series, scheduled: np.ndarray, departed: np.ndarray, query: np.ndarray
) -> np.ndarray:
    """Return for each row how many flights of its group are overdue at its `query` time.

    Overdue: 15 minutes past its scheduled departure, not departed, and not yet given up (see
    OVERDUE_UNTIL). All times in seconds, shape (n,).
    """
    due = scheduled + LATE_AFTER_MINUTES * MINUTE
    gone = np.minimum(np.maximum(departed, due), scheduled + OVERDUE_UNTIL)
    overdue = np.zeros(len(query), dtype="int64")
    for rows in group.groupby(group).indices.values():
        became_due = np.searchsorted(np.sort(due[rows]), query[rows], side="left")
        went = np.searchsorted(np.sort(gone[rows]), query[rows], side="left")
        overdue[rows] = became_due - went
    return overdue


def write_parquet(features: pd.DataFrame, path: Path) -> None:
    """Write `features` with the types of SCHEMA; `path` is never left half written."""
    table = pa.Table.from_pandas(features, schema=SCHEMA, preserve_index=False)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        pq.write_table(
            table.replace_schema_metadata(None).combine_chunks(),
            temporary,
            compression="zstd",
            compression_level=19,
            row_group_size=table.num_rows,
        )
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of chapter 2's tables")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the Parquet file to write")
    options = parser.parse_args(arguments)
    try:
        tables = read_tables(options.tables)
        if not options.output.parent.is_dir():
            raise SourceError(f"the output folder {options.output.parent} does not exist")
    except SourceError as error:
        print(f"make_features: {error}", file=sys.stderr)
        return 1
    features = build_features(**tables)
    write_parquet(features, options.output)
    print(f"{len(features):,} flights, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
