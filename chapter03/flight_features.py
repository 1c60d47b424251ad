"""The features of notebook 5 in pandas: what `flight_features_job.py` must agree with.

For the flights of a month, everything comes from the months before it, or from days that were over
when the flight was scheduled to leave. With `late` for an arrival more than 15 minutes late:

    weekday             0 is Monday
    time_sin, time_cos  the time of day as a point on a circle, so that 23:59 is near 0:00
    distance            miles
    route_flights       flights on the route in the months before
    tailnum_late_rate   (late flights + smoothing × overall rate) / (flights + smoothing), for the
    route_late_rate     plane, the route, the carrier at that hour, in the months before; for what
    carrier_hour_…      has not been seen, the overall rate
    origin_late_7d      share of late flights from the airport, eight to two days before: of
                        yesterday's flights some have not arrived yet
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

LATE_AFTER_MINUTES = 15
FIRST_DAY, LAST_DAY = 8, 2
KEYS = ["year", "month", "day", "hour", "minute", "carrier", "flight", "origin", "dest"]
ENCODED = {
    "tailnum": ["tailnum"],
    "route": ["origin", "dest"],
    "carrier_hour": ["carrier", "hour"],
}
FEATURES = [
    "weekday",
    "time_sin",
    "time_cos",
    "distance",
    "route_flights",
    "tailnum_late_rate",
    "route_late_rate",
    "carrier_hour_late_rate",
    "origin_late_7d",
]


def features_of(flights: pd.DataFrame, month: int, smoothing: float = 20) -> pd.DataFrame:
    """Features of the flights of a month.

    Args:
        flights: the columns of `data/flight_schedule.parquet`, at least up to the month.
        month: whose flights get features.
        smoothing: how many flights the overall rate counts for.

    Returns:
        A row for each flight, in the order given: `KEYS`, `late`, `FEATURES`.

    Raises:
        ValueError: if the month has no flights, or no flight before it has an arrival time.
    """
    late = (flights["arr_delay"] > LATE_AFTER_MINUTES).astype("float64")
    flights = flights.assign(late=late.where(flights["arr_delay"].notna()))
    flights["date"] = pd.to_datetime(flights[["year", "month", "day"]])
    flights = flights[flights["month"] <= month]
    past = flights[flights["month"] < month]
    prior = past["late"].mean()
    if np.isnan(prior):
        raise ValueError(f"no flight before month {month} has an arrival time")
    table = flights[flights["month"] == month].reset_index(drop=True)
    if table.empty:
        raise ValueError(f"month {month} holds no flight")
    table["weekday"] = table["date"].dt.day_of_week
    angle = 2 * np.pi * (table["hour"] + table["minute"] / 60) / 24
    table["time_sin"], table["time_cos"] = np.sin(angle), np.cos(angle)
    route_sizes = past.groupby(["origin", "dest"]).size().rename("route_flights")
    table = table.join(route_sizes, on=["origin", "dest"])
    table["route_flights"] = table["route_flights"].fillna(0).astype(int)
    for name, columns in ENCODED.items():
        rate = encoded(past, columns, prior, smoothing).rename(f"{name}_late_rate")
        table = table.join(rate, on=columns)
        table[rate.name] = table[rate.name].fillna(prior)
    table = table.join(recent_days(flights), on=["origin", "date"])
    table["origin_late_7d"] = table["origin_late_7d"].fillna(prior)
    return table[[*KEYS, "late", *FEATURES]]


def encoded(past: pd.DataFrame, columns: list[str], prior: float, smoothing: float) -> pd.Series:
    """The smoothed share of late flights for each value of the columns."""
    grouped = past.groupby(columns)["late"]
    return (grouped.sum() + smoothing * prior) / (grouped.count() + smoothing)


def recent_days(flights: pd.DataFrame) -> pd.Series:
    """For each airport and day, the share of late flights eight to two days before."""
    daily = flights.groupby(["origin", "date"])["late"].agg(["sum", "count"])
    shares = {}
    for origin, days in daily.groupby("origin"):
        days = days.droplevel("origin")
        for date in days.index:
            first = date - pd.Timedelta(days=FIRST_DAY)
            week = days.loc[first : date - pd.Timedelta(days=LAST_DAY)].sum()
            shares[origin, date] = week["sum"] / week["count"] if week["count"] else np.nan
    return pd.Series(shares, name="origin_late_7d").rename_axis(["origin", "date"])


def score(learned: pd.DataFrame, later: pd.DataFrame, columns: list[str]) -> dict[str, float]:
    """The area under the ROC curve of boosted trees on some columns.

    Args:
        learned: the flights to learn from, with `late`, 0 or 1, in every row.
        later: the flights to predict.
        columns: what the model sees.

    Returns:
        `training` and `validation`, the score on each of the two.
    """
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.08, random_state=0)
    model.fit(learned[columns], learned["late"])
    parts = {"training": learned, "validation": later}
    return {
        name: roc_auc_score(part["late"], model.predict_proba(part[columns])[:, 1])
        for name, part in parts.items()
    }
