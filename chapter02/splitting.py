"""Split rows by time, write them as SageMaker reads them, and refuse a split that leaks."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype


class LeakageError(ValueError):
    """A model could see what it will not know when it is asked. The message lists every way."""


# What nobody knows yet when a flight is planned.
KNOWN_LATER = frozenset(["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"])
FEATURES = ("hour", "distance", "weekday", "from_jfk", "from_lga")


def labelled(flights: pd.DataFrame, also: Collection[str] = ()) -> pd.DataFrame:
    """`date`, the label `late`, and FEATURES of the flights that arrived; others have no label.

    Late is more than 15 minutes after schedule. `flights` has the columns of the curated zone, of
    which those in `also` are kept as they are.
    """
    arrived = flights[flights["arr_delay"].notna()].reset_index(drop=True)
    date = pd.to_datetime(arrived[["year", "month", "day"]].astype(int))
    return pd.DataFrame(
        {
            "date": date,
            "late": (arrived["arr_delay"] > 15).astype(int),
            "hour": arrived["hour"],
            "distance": arrived["distance"],
            "weekday": date.dt.day_of_week,
            "from_jfk": (arrived["origin"] == "JFK").astype(int),
            "from_lga": (arrived["origin"] == "LGA").astype(int),
            **{name: arrived[name] for name in also},
        }
    )


def split_by_time(
    rows: pd.DataFrame, time: str, *, validation_from: Any, test_from: Any
) -> dict[str, pd.DataFrame]:
    """Cut rows into `train`, `validation` and `test`, in the order of time.

    Args:
        rows: with a column of dates.
        time: the name of that column.
        validation_from: the first date of the validation part; what comes before is for training.
        test_from: the first date of the test part.

    Raises:
        ValueError: for a missing time, dates in the wrong order, or a part without rows.
    """
    if rows[time].isna().any():
        raise ValueError(f"{int(rows[time].isna().sum())} rows have no {time}; remove them first")
    starts = [pd.Timestamp(validation_from), pd.Timestamp(test_from)]
    if not starts[0] < starts[1]:
        raise ValueError(f"validation_from must be before test_from, got {starts[0]}, {starts[1]}")
    part = (rows[time] >= starts[0]).astype(int) + (rows[time] >= starts[1]).astype(int)
    parts = {
        name: rows[part == number] for number, name in enumerate(("train", "validation", "test"))
    }
    empty = [name for name, found in parts.items() if found.empty]
    if empty:
        raise ValueError(f"no rows for {', '.join(empty)}; choose other dates")
    return parts


def check_for_leakage(
    parts: Mapping[str, pd.DataFrame], time: str, known_later: Collection[str]
) -> None:
    """Fail if the parts, in the order of time, let a model see the future.

    Args:
        parts: name -> rows, the earliest first.
        time: the column with the time of each row.
        known_later: columns whose values are known only after the prediction is needed.

    Raises:
        LeakageError: one line for each column and each pair of parts that leaks.
    """
    found = []
    for name, rows in parts.items():
        found += [
            f"{name} has the column {column}, which is known only later"
            for column in rows.columns
            if column in known_later
        ]
    names = list(parts)
    for place, earlier in enumerate(names):
        for later in names[place + 1 :]:
            found += _overlap(earlier, parts[earlier][time], later, parts[later][time])
    if found:
        raise LeakageError("\n".join(found))


def _overlap(earlier: str, before: pd.Series, later: str, after: pd.Series) -> list[str]:
    before, after = before.dt.normalize(), after.dt.normalize()
    found = []
    shared = set(before) & set(after)
    if shared:
        first = min(shared).date()
        found.append(f"{earlier} and {later} share {len(shared)} days, the first is {first}")
    beyond = int((before > after.min()).sum())
    if beyond:
        found.append(f"{earlier} has {beyond:,} rows from after {later} begins")
    return found


def training_csv(rows: pd.DataFrame, label: str, features: Sequence[str]) -> bytes:
    """CSV as SageMaker's built-in algorithms train on it: the label first, no header, numbers only.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html

    Raises:
        ValueError: for no rows, a value that is missing or no number, or the label as a feature.
    """
    if label in features:
        raise ValueError(f"the label {label} is among the features; a model would only copy it")
    return _numbers(rows, [label, *features]).to_csv(index=False, header=False).encode()


def inference_json_lines(rows: pd.DataFrame, features: Sequence[str]) -> bytes:
    """JSON Lines to ask an endpoint with: on each line an object with `features`, without label.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html

    Raises:
        ValueError: for no rows, or a value that is missing or no number.
    """
    values = _numbers(rows, list(features)).to_numpy(dtype=object).tolist()
    return "".join(json.dumps({"features": each}) + "\n" for each in values).encode()


def _numbers(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The columns in this order, True and False as 1 and 0."""
    if rows.empty:
        raise ValueError("there are no rows to write")
    chosen = rows[columns]
    text = [name for name in columns if not is_numeric_dtype(chosen[name])]
    if text:
        raise ValueError(f"{', '.join(text)}: no numbers; encode them first")
    gaps = [name for name in columns if chosen[name].isna().any()]
    if gaps:
        raise ValueError(f"{', '.join(gaps)}: values are missing; fill or remove them first")
    flags = [name for name in columns if is_bool_dtype(chosen[name])]
    return chosen.astype(dict.fromkeys(flags, int))
