"""Encoding categories: the chapter's vectorised encoders against the row loop they replace."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tests.chapters.loading import ROOT, load

from .measure import compare

_COLUMN = "tailnum"
_SMOOTHING = 20
_ROWS = 10_000  # a row loop over all would take minutes


def report() -> Iterator[str]:
    """Lines of a Markdown table; rows a second are in the name of each."""
    encoders = load("chapter03", "tabular_features")
    flights = pd.read_parquet(ROOT / "chapter03" / "data" / "flight_departures.parquet")
    flights = flights.head(_ROWS)
    frame, label = flights[[_COLUMN]], flights["late"]

    frequency = encoders.FrequencyEncoder()
    target = encoders.OutOfFoldTargetEncoder(smoothing=_SMOOTHING, folds=None)
    measured = {
        "frequency encoding": (
            lambda: frequency.fit_transform(frame)[_COLUMN].to_numpy(),
            lambda: naive_frequency(frame),
        ),
        "target encoding": (
            lambda: target.fit_transform(frame, label)[_COLUMN].to_numpy(),
            lambda: naive_target(frame, label, _SMOOTHING),
        ),
    }
    for what, (ours, naive) in measured.items():
        np.testing.assert_allclose(ours(), naive(), rtol=1e-12)
        fast, slow = compare(ours, naive, times=3)
        rows = f"{len(frame) / fast:,.0f} rows a second, row loop {len(frame) / slow:,.0f}"
        yield (
            f"| {what}, {rows} | {fast * 1e3:,.1f} | {slow * 1e3:,.1f} "
            f"| {fast / slow:.3f} | ≤ 0.1 |"
        )


def naive_frequency(frame: pd.DataFrame) -> np.ndarray:
    """The share of each row's level, one row at a time."""
    counts: Counter = Counter()
    for _, row in frame.iterrows():
        counts[_level(row[_COLUMN])] += 1
    return np.array([counts[_level(row[_COLUMN])] / len(frame) for _, row in frame.iterrows()])


def naive_target(frame: pd.DataFrame, label: pd.Series, smoothing: float) -> np.ndarray:
    """The smoothed mean label of each row's level, one row at a time."""
    sums: dict[str, float] = defaultdict(float)
    counts: Counter = Counter()
    for (_, row), late in zip(frame.iterrows(), label, strict=True):
        sums[_level(row[_COLUMN])] += late
        counts[_level(row[_COLUMN])] += 1
    overall = sum(label) / len(label)
    encoded = []
    for _, row in frame.iterrows():
        level = _level(row[_COLUMN])
        encoded.append((sums[level] + smoothing * overall) / (counts[level] + smoothing))
    return np.array(encoded)


def _level(value: object) -> str:
    return "" if pd.isna(value) else str(value)
