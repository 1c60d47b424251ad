"""What the training scripts of notebook 3 share: a channel's table, and the scale of its columns.

It runs in AWS's PyTorch and TensorFlow images as well, and so needs nothing but NumPy and pandas.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

LABEL = "late"


class DataError(ValueError):
    """Data from which nothing can be learned, with what to do about it."""


class Table(NamedTuple):
    """Features (rows, columns), float32; labels (rows,), 0 or 1; the names of the columns."""

    features: np.ndarray
    labels: np.ndarray
    names: list[str]


class Scale(NamedTuple):
    """The mean and the standard deviation of each column, from the training rows alone."""

    mean: np.ndarray
    deviation: np.ndarray

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Columns with mean 0 and deviation 1; a constant column becomes 0."""
        return ((features - self.mean) / self.deviation).astype("float32")

    def save(self, path: Path) -> None:
        """Write the scale as JSON: whoever asks the model needs it."""
        path.write_text(json.dumps({name: each.tolist() for name, each in self._asdict().items()}))


def read_channel(folder: Path) -> Table:
    """The Parquet files of a channel as one table.

    Raises:
        DataError: there is no file, no column `late`, or a value that is missing or no number.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise DataError(f"{folder} holds no Parquet file; is the channel's S3 prefix right?")
    table = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    if LABEL not in table:
        raise DataError(f"{folder} has no column '{LABEL}', only {', '.join(map(str, table))}")
    if table[LABEL].isna().any():
        row = int(np.flatnonzero(table[LABEL].isna())[0])
        raise DataError(f"{folder}: the label of row {row} is missing; drop such rows")
    if not table[LABEL].isin([0, 1]).all():
        wrong = table.loc[~table[LABEL].isin([0, 1]), LABEL].iloc[0]
        raise DataError(f"{folder}: a label is {wrong}; it must be 0 or 1")
    features = table.drop(columns=LABEL)
    missing = features.columns[features.isna().any()]
    if len(missing):
        raise DataError(f"{folder}: values are missing in {', '.join(missing)}; fill them first")
    return Table(features.to_numpy("float32"), table[LABEL].to_numpy("float32"), list(features))


def learn_scale(features: np.ndarray) -> Scale:
    """The scale of the training rows."""
    deviation = features.std(axis=0)
    return Scale(features.mean(axis=0), np.where(deviation > 0, deviation, 1))


def area_under_curve(labels: np.ndarray, scores: np.ndarray) -> float:
    """AUC: the probability that a row labelled 1 scores higher than one labelled 0, ties half.

    Computed from ranks, since an image may lack scikit-learn. Source: Mann and Whitney, "On a test
    of whether one of two random variables is stochastically larger than the other", 1947
    """
    ranks = pd.Series(scores).rank().to_numpy()
    positive = labels == 1
    count = positive.sum()
    if count in (0, len(labels)):
        raise DataError("the labels are all alike; AUC needs both")
    return float(
        (ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(labels) - count))
    )
