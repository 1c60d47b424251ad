"""The chapters' feature code against the naive form, row by row or pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from tests.chapters.loading import load

from .measure import compare

_DATA = Path(__file__).parents[2] / "chapter03" / "data"


def report() -> Iterator[str]:
    """Lines of a Markdown table: rows, or pixels, a second of either form."""
    flights = pd.read_parquet(_DATA / "flight_schedule.parquet").head(50_000)
    past = flights.assign(late=(flights["arr_delay"] > 15).astype(float))
    encoded = load("chapter03", "flight_features").encoded
    yield _line(
        "smoothed rate by plane, rows",
        len(past),
        lambda: past["tailnum"].map(encoded(past, ["tailnum"], 0.2, 20)),
        lambda: _rates_by_loop(past, 0.2, 20),
    )
    images = load("chapter03", "image_features")
    picture = images.read_picture(_DATA / "pictures" / "cat.jpg")
    yield _line(
        "picture to grey, pixels",
        picture.shape[0] * picture.shape[1],
        lambda: images.to_grey(picture),
        lambda: images.to_grey_by_loop(picture),
    )


def _rates_by_loop(past: pd.DataFrame, prior: float, smoothing: float) -> list[float]:
    """What the encoder does, as somebody would write it who thinks in rows."""
    late: dict[str, float] = {}
    count: dict[str, int] = {}
    for _, row in past.iterrows():
        late[row["tailnum"]] = late.get(row["tailnum"], 0) + row["late"]
        count[row["tailnum"]] = count.get(row["tailnum"], 0) + 1
    rates = {k: (late[k] + smoothing * prior) / (count[k] + smoothing) for k in count}
    return [rates[row["tailnum"]] for _, row in past.iterrows()]


def _line(
    name: str, amount: int, vectorised: Callable[[], object], naive: Callable[[], object]
) -> str:
    ours, other = compare(vectorised, naive, times=3)
    return (
        f"| {name} a second | {amount / ours:,.0f} | {amount / other:,.0f} "
        f"| {other / ours:,.0f} times as fast | |"
    )
