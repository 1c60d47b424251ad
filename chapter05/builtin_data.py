"""The tables of notebook 2, made ready for the algorithms: numbers only, nothing missing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

DATA = Path(__file__).resolve().parent / "data"
HOURS = [f"h{hour:02}" for hour in range(24)]
HABITS = ["recency_days", "orders", "revenue", "products"]
_NUMBERS = [
    "departure_minute", "scheduled_departures", "distance", "plane_age", "temperature",
    "wind_speed", "precipitation", "pressure", "visibility", "origin_late_share_3h",
    "carrier_late_share_3h", "dest_late_share_6h", "carrier_late_share_7d", "dest_late_share_7d",
    "origin_overdue", "carrier_overdue",
]  # fmt: skip
_PARTS = {"train": (1, 9), "validation": (10, 10), "test": (11, 12)}


class Part(NamedTuple):
    """Rows for an algorithm: features (rows, columns), labels (rows,), the table they come from."""

    features: pd.DataFrame
    labels: np.ndarray
    table: pd.DataFrame


def flights() -> dict[str, Part]:
    """The flights from LaGuardia by time: January to September, October, November and December.

    Carriers and days of the week become columns of 0 and 1. What is missing is filled with the
    median of the training months, and a column says that it was.
    """
    table = pd.read_parquet(DATA / "flights.parquet")
    month = pd.to_datetime(table["date"]).dt.month
    features = table[_NUMBERS].astype("float64")
    medians = features[month <= _PARTS["train"][1]].median()
    for name in _NUMBERS:
        if features[name].isna().any():
            features[f"{name}_missing"] = features[name].isna().astype(float)
    features = features.fillna(medians)
    for name in ("carrier", "day_of_week"):
        features = features.join(pd.get_dummies(table[name], prefix=name, dtype=float))
    parts = {}
    for name, (first, last) in _PARTS.items():
        chosen = month.between(first, last)
        labels = table.loc[chosen, "late"].to_numpy(float)
        parts[name] = Part(features[chosen], labels, table[chosen])
    return parts


def shuffled(part: Part, seed: int = 0) -> Part:
    """The rows of a part in random order: stochastic gradient descent needs it."""
    order = np.random.default_rng(seed).permutation(len(part.labels))
    return Part(part.features.iloc[order], part.labels[order], part.table.iloc[order])


def late_share_by_hour(train: pd.DataFrame, flights: pd.DataFrame) -> np.ndarray:
    """The rule of thumb: how often was this carrier late at this hour? (rows,)"""
    hours = [each["departure_minute"] // 60 for each in (train, flights)]
    shares = train["late"].groupby([train["carrier"], hours[0]]).mean()
    asked = pd.MultiIndex.from_arrays([flights["carrier"], hours[1]])
    return shares.reindex(asked).fillna(train["late"].mean()).to_numpy()


def customers() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The customers as they are, and their habits on one scale.

    Habits are counts and sums with a few giants, so they are taken as logarithms first; then
    each gets mean 0 and standard deviation 1, because k-means knows nothing but distance.
    """
    table = pd.read_parquet(DATA / "customers.parquet")
    logged = np.log1p(table[HABITS])
    return table, (logged - logged.mean()) / logged.std()


def working_days() -> tuple[pd.DataFrame, np.ndarray]:
    """Monday to Friday with date, holiday and hours of snow; and their traffic, (days, 24)."""
    table = pd.read_parquet(DATA / "traffic_days.parquet")
    table["date"] = pd.to_datetime(table["date"])
    table = table[table["date"].dt.day_of_week < 5].reset_index(drop=True)
    return table, table[HOURS].to_numpy("float64")


def csv(rows: np.ndarray) -> bytes:
    """Rows as CSV without a header, as the algorithms read it: a label, if any, comes first."""
    return pd.DataFrame(rows).to_csv(header=False, index=False, float_format="%.6g").encode()
