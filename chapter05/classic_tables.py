"""The four small tables of notebook 1, each cut into what is learned from and what is held out.

Patients, tumours and digits come with scikit-learn, the hours of a road from `data/`; see
data/DATA.md and scikit-learn's "Toy datasets" for where they come from.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
HOURS = [f"h{hour:02}" for hour in range(24)]


class Table(NamedTuple):
    """Rows to learn from and rows held out.

    `x` (n, columns) and `x_held_out` (m, columns) are floats; `y` (n,) and `y_held_out` (m,) the
    values or classes to predict; `columns` names the columns.
    """

    x: np.ndarray
    y: np.ndarray
    x_held_out: np.ndarray
    y_held_out: np.ndarray
    columns: list[str]

    def scaled(self) -> Table:
        """The same table with columns of mean 0 and deviation 1.

        Mean and deviation are those of the rows to learn from: held-out rows must not help.

        Raises:
            ValueError: a column has one value only, and so no deviation to divide by.
        """
        mean, deviation = self.x.mean(axis=0), self.x.std(axis=0)
        if (deviation == 0).any():
            name = self.columns[int(np.argmin(deviation))]
            raise ValueError(f"column {name!r} is constant; drop it before scaling")
        return self._replace(
            x=(self.x - mean) / deviation, x_held_out=(self.x_held_out - mean) / deviation
        )

    def only(self, *columns: str) -> Table:
        """The same rows with these columns alone.

        Raises:
            ValueError: there is no such column.
        """
        unknown = [name for name in columns if name not in self.columns]
        if unknown:
            raise ValueError(f"no column {unknown[0]!r}; there are {', '.join(self.columns)}")
        places = [self.columns.index(name) for name in columns]
        return self._replace(
            x=self.x[:, places], x_held_out=self.x_held_out[:, places], columns=list(columns)
        )


def patients() -> Table:
    """442 people with diabetes: ten measurements, and how far the disease had gone a year later."""
    return _cut(datasets.load_diabetes(scaled=False))


def tumours() -> Table:
    """569 tumours: thirty measurements of cell nuclei, and whether they were benign (1)."""
    return _cut(datasets.load_breast_cancer(), by_class=True)


def digits() -> Table:
    """1,797 handwritten digits: 64 grey values from 0 to 1, and which digit was meant."""
    table = _cut(datasets.load_digits(), by_class=True)
    return table._replace(x=table.x / 16, x_held_out=table.x_held_out / 16)


def road_hours(path: Path = HERE / "data" / "traffic_days.parquet") -> Table:
    """Vehicles an hour on a road: the hours of 2017 to learn from, those of 2018 held out.

    Raises:
        ValueError: the file lacks a column, or a year has no day in it.
    """
    days = pd.read_parquet(path)
    missing = [name for name in ["date", "holiday", *HOURS] if name not in days]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}; make it again (data/DATA.md)")
    year = pd.to_datetime(days["date"]).dt.year
    for wanted in (2017, 2018):
        if not (year == wanted).any():
            raise ValueError(f"{path} has no day of {wanted}; make it again (data/DATA.md)")
    return Table(
        *_hours(days[year == 2017]),
        *_hours(days[year == 2018]),
        columns=["hour", "day_of_week", "holiday", "day_of_year"],
    )


def _hours(days: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """One row an hour instead of one a day: what is known of the hour, and its vehicles."""
    date = pd.to_datetime(days["date"]).dt
    known = pd.DataFrame(
        {"day": date.day_of_week, "holiday": days["holiday"].notna(), "of_year": date.day_of_year}
    )
    hour = np.tile(np.arange(24), len(days))
    x = np.column_stack([hour, known.to_numpy(dtype=float).repeat(24, axis=0)])
    return x, days[HOURS].to_numpy(dtype=float).ravel()


def _cut(data: object, by_class: bool = False) -> Table:
    x, x_held_out, y, y_held_out = train_test_split(
        data.data,
        data.target,
        test_size=1 / 3,
        random_state=0,
        stratify=data.target if by_class else None,
    )
    return Table(x, y, x_held_out, y_held_out, [str(name) for name in data.feature_names])
