"""Turn the table of flights into what the XGBoost algorithm reads: numbers, label first.

    python prepare_features.py --input data/flight_features.parquet --output prepared

writes

    prepared/train/train.csv            January to September; label first, no header
    prepared/validation/validation.csv  October
    prepared/test/test.csv              November and December
    prepared/keys/validation.csv        which flight each line is, and the baseline's answer
    prepared/keys/test.csv              (with a header; apart, because a training channel
                                        takes every file under its prefix for data)
    prepared/encoding.json              the numbers that stand for the categories

Whatever is learned from data here (the encoding, the baseline) is learned on the training
months alone. A missing number stays an empty field, which XGBoost reads as missing.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

LABEL = "late"
NUMERIC = [
    "day_of_week",
    "departure_minute",
    "scheduled_departures",
    "distance",
    "plane_age",
    "seats",
    "engines",
    "temperature",
    "dew_point",
    "wind_direction",
    "wind_speed",
    "precipitation",
    "pressure",
    "visibility",
    "origin_late_share_3h",
    "carrier_late_share_3h",
    "dest_late_share_6h",
    "carrier_late_share_7d",
    "dest_late_share_7d",
    "origin_overdue",
    "carrier_overdue",
]
CATEGORICAL = ["carrier", "origin", "dest", "manufacturer"]
# `month` is known long before departure and still no feature: a model that has seen January to
# September can only guess what "November" means, and what it guesses is wrong.
FEATURES = NUMERIC + CATEGORICAL
KEYS = ["date", "carrier", "flight", "origin", "dest", "month", "hour"]
SPLITS = {
    "train": ("2013-01-01", "2013-09-30"),
    "validation": ("2013-10-01", "2013-10-31"),
    "test": ("2013-11-01", "2013-12-31"),
}
# How many average flights a category's own flights are mixed with: one unlucky flight to a
# place with three flights a year should not make that place look hopeless.
SMOOTHING_FLIGHTS = 50


class DataError(Exception):
    """The table cannot be used as it is."""


@dataclass(frozen=True)
class Encoding:
    """What replaces categories: the late share of each level among the training flights.

    `overall` is the late share of all of them and stands for a level that they never had.
    """

    overall: float
    shares: dict[str, dict[str, float]]

    def save(self, path: Path) -> None:
        """Write the encoding as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, path: Path) -> Encoding:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet table of flights (a file, or a folder with one or more) and check it.

    Raises DataError if there is no such file or `check_table` finds a fault.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; expected a Parquet file or a folder with some")
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} holds no .parquet file")
    empty = [str(file) for file in files if file.stat().st_size == 0]
    if empty:
        raise DataError(f"{empty[0]} is empty (0 bytes); copy it again")
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    check_table(table)
    return table


def check_table(table: pd.DataFrame) -> None:
    """Raise DataError, naming what is wrong, unless `table` can be split and encoded."""
    missing = [name for name in dict.fromkeys([LABEL, *KEYS, *FEATURES]) if name not in table]
    if missing:
        raise DataError(f"the table lacks the columns {', '.join(missing)}")
    if table.empty:
        raise DataError("the table has no rows")
    unlabelled = int(table[LABEL].isna().sum())
    if unlabelled:
        raise DataError(
            f"{unlabelled} rows have no value in '{LABEL}'; leave out flights that never arrived"
        )
    strange = sorted(set(table[LABEL].unique().tolist()) - {0, 1})
    if strange:
        raise DataError(f"'{LABEL}' must be 0 or 1, found {strange[:3]}")
    text = [name for name in NUMERIC if not pd.api.types.is_numeric_dtype(table[name])]
    if text:
        raise DataError(f"the columns {', '.join(text)} must be numbers")


def split_by_time(
    table: pd.DataFrame, splits: dict[str, tuple[str, str]] = SPLITS
) -> dict[str, pd.DataFrame]:
    """Return the rows of each period: first and last day included, both as YYYY-MM-DD.

    Raises DataError if a period has no flight. Rows outside all periods are left out.
    """
    day = pd.to_datetime(table["date"])
    parts = {name: table[day.between(first, last)] for name, (first, last) in splits.items()}
    for name, part in parts.items():
        if part.empty:
            raise DataError(f"no flight between {' and '.join(splits[name])} for '{name}'")
    return parts


def late_shares(train: pd.DataFrame, by: list[str]) -> pd.Series:
    """Return the smoothed late share of each group of training flights, indexed by `by`.

    (late + m * overall) / (flights + m) with m = SMOOTHING_FLIGHTS: the additive smoothing of
    Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes" (2001).
    """
    counts = train.groupby(by)[LABEL].agg(["sum", "count"])
    overall = train[LABEL].mean()
    return (counts["sum"] + SMOOTHING_FLIGHTS * overall) / (counts["count"] + SMOOTHING_FLIGHTS)


def learn_encoding(train: pd.DataFrame) -> Encoding:
    """Learn from the training flights what number stands for each level of CATEGORICAL."""
    return Encoding(
        overall=float(train[LABEL].mean()),
        shares={name: late_shares(train, [name]).round(6).to_dict() for name in CATEGORICAL},
    )


def encode(table: pd.DataFrame, encoding: Encoding) -> pd.DataFrame:
    """Return FEATURES as floats, shape (n, 25), in the order in which the model takes them.

    A level unknown to the encoding gets the overall share, a missing one stays missing.
    Raises DataError if a column is not there. The label is not needed: what calls an endpoint
    has none.
    """
    missing = [name for name in FEATURES if name not in table]
    if missing:
        raise DataError(f"the table lacks the columns {', '.join(missing)}")
    encoded = table[NUMERIC].astype("float64")
    for name in CATEGORICAL:
        share = table[name].map(encoding.shares[name]).astype("float64")
        encoded[name] = share.mask(share.isna() & table[name].notna(), encoding.overall)
    return encoded[FEATURES]


def unknown_levels(table: pd.DataFrame, encoding: Encoding) -> dict[str, list[str]]:
    """Return the levels of each category that the training flights never had (if any)."""
    unknown = {
        name: sorted(set(table[name].dropna().unique()) - set(encoding.shares[name]))
        for name in CATEGORICAL
    }
    return {name: levels for name, levels in unknown.items() if levels}


def baseline(train: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """Return the answer to beat: how often this carrier was late at this hour before.

    The smoothed late share of the training flights with the same carrier and scheduled hour;
    the overall share where there were none. Index as in `table`.
    """
    by = ["carrier", "hour"]
    shares = late_shares(train, by).rename("baseline").reset_index()
    answers = table[by].merge(shares, how="left", on=by)["baseline"].fillna(train[LABEL].mean())
    return answers.set_axis(table.index)


def to_csv(features: pd.DataFrame, label: pd.Series | None = None) -> bytes:
    """Return `features` as the XGBoost algorithm takes them: no header, label (if any) first.

    UTF-8, six decimals, an empty field where a number is missing. Written by Arrow, which is
    about twenty times as fast as pandas here.
    """
    lines = features.round(6)
    if label is not None:
        lines.insert(0, LABEL, label.astype("int64"))
    text = io.BytesIO()
    pa_csv.write_csv(
        pa.Table.from_pandas(lines, preserve_index=False),
        text,
        pa_csv.WriteOptions(include_header=False, quoting_style="none"),
    )
    return text.getvalue()


def prepare(table: pd.DataFrame, output: Path) -> dict[str, int]:
    """Write the files named at the top of this module below `output`; return rows per split.

    Raises DataError as `check_table` and `split_by_time` do, before anything is written.
    """
    check_table(table)
    parts = split_by_time(table)
    encoding = learn_encoding(parts["train"])
    for name, part in parts.items():
        folder = output / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.csv").write_bytes(to_csv(encode(part, encoding), part[LABEL]))
    (output / "keys").mkdir(exist_ok=True)
    for name in ("validation", "test"):
        keys = parts[name][KEYS].assign(baseline=baseline(parts["train"], parts[name]).round(6))
        keys.to_csv(output / "keys" / f"{name}.csv", index=False, lineterminator="\n")
    encoding.save(output / "encoding.json")
    return {name: len(part) for name, part in parts.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status. The defaults are a processing job's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, default=Path("/opt/ml/processing/input/table"))
    parser.add_argument("--output", type=Path, default=Path("/opt/ml/processing/output"))
    options = parser.parse_args(arguments)
    try:
        rows = prepare(read_table(options.input), options.output)
    except DataError as error:
        print(f"prepare_features: {error}", file=sys.stderr)
        return 1
    for name, count in rows.items():
        print(f"{name:<11}{count:>8,} flights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
