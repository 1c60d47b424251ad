"""The pictures of notebook 4. Each function draws one figure for the notebook to show."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.dates import DateFormatter, MonthLocator
from matplotlib.ticker import PercentFormatter

BLUE, ORANGE, GREY, GREEN = "#0072B2", "#E69F00", "#8C8C8C", "#009E73"
_PERCENT = PercentFormatter(1, decimals=0)


def delays(counts: pd.DataFrame, median: float, mean: float, title: str) -> None:
    """Draw how many flights arrived how late.

    `counts` has the columns `minutes` (the beginning of a bin of five) and `flights`.
    """
    _, axes = plt.subplots()
    colours = [ORANGE if minutes >= 15 else BLUE for minutes in counts["minutes"]]
    axes.bar(counts["minutes"], counts["flights"] / 1000, width=4.6, align="edge", color=colours)
    top = counts["flights"].max() / 1000
    for value, name, side in ((median, "median", "right"), (mean, "mean", "left")):
        axes.axvline(value, color="#333333", linewidth=1, linestyle="--")
        text = f" {name} {value:+.0f} "
        axes.text(value, 1.06 * top, text, ha=side, va="center", color="#333333")
    axes.text(60, 0.35 * top, "late by the book's\ndefinition: more\nthan 15 minutes", color=ORANGE)
    axes.set(title=title, xlabel="arrival delay (minutes)", ylabel="flights (thousands)")
    axes.set_ylim(0, 1.12 * top)
    axes.grid(axis="x", visible=False)


def cancelled_days(share: pd.Series, worst: dict[str, str], title: str) -> None:
    """Draw the share of cancelled flights of each day; name the worst.

    `share` is indexed by date; `worst` maps a date to its name.
    """
    _, axes = plt.subplots()
    axes.vlines(share.index, 0, share, color=BLUE, linewidth=1.3)
    for day, name in worst.items():
        height, late = share[pd.Timestamp(day)], pd.Timestamp(day).month > 8
        axes.annotate(
            name,
            (pd.Timestamp(day), height),
            xytext=(-4 if late else 4, 3),
            textcoords="offset points",
            ha="right" if late else "left",
        )
    axes.set(title=title, ylabel="cancelled flights", ylim=(0, 0.7))
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.xaxis.set_major_locator(MonthLocator())
    axes.xaxis.set_major_formatter(DateFormatter("%b"))
    axes.grid(axis="x", visible=False)


def hours_and_months(share: pd.DataFrame, title: str) -> None:
    """Draw a heat map of the share of late flights, a row for each month, a column per hour."""
    _, axes = plt.subplots(figsize=(7.2, 3.8))
    picture = axes.imshow(share, aspect="auto", cmap="cividis", vmin=0, vmax=0.6)
    axes.set_xticks(range(0, len(share.columns), 2), share.columns[::2])
    axes.set_yticks(range(len(share)), [f"{pd.Timestamp(2013, m, 1):%b}" for m in share.index])
    axes.set(title=title, xlabel="scheduled hour of departure")
    axes.grid(visible=False)
    bar = plt.colorbar(picture, ax=axes, format=_PERCENT, label="late flights", shrink=0.9)
    bar.outline.set_visible(False)


def by_bins(table: pd.DataFrame, xlabel: str, title: str) -> None:
    """Draw two shares, late and cancelled, over bins of something, with the number of flights.

    `table` is indexed by the names of the bins and has `late`, `cancelled` and `flights`.
    """
    _, axes = plt.subplots()
    places = np.arange(len(table))
    for column, offset, colour in (("late", -0.2, BLUE), ("cancelled", 0.2, ORANGE)):
        bars = axes.bar(places + offset, table[column], 0.38, color=colour, label=column)
        axes.bar_label(bars, [f"{share:.0%}" for share in table[column]], padding=2, fontsize=9)
    names = [
        f"{name}\n{n:,} flights" for name, n in zip(table.index, table["flights"], strict=True)
    ]
    axes.set_xticks(places, names)
    axes.set(title=title, xlabel=xlabel, ylabel="share of flights")
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylim(0, 1.2 * table["late"].max())
    axes.grid(axis="x", visible=False)
    axes.legend()


def unmatched(share: pd.Series, overall: float, title: str) -> None:
    """Draw the share of rows that find no partner in a join, by carrier, the largest first."""
    _, axes = plt.subplots()
    share = share.sort_values(ascending=False)
    colours = [ORANGE if value > 0.5 else BLUE for value in share]
    bars = axes.bar(share.index, share, color=colours)
    axes.bar_label(bars, [f"{value:.0%}" for value in share], padding=2, fontsize=8)
    axes.axhline(overall, color=GREY, linestyle="--", linewidth=1)
    axes.text(len(share) - 0.5, overall + 0.02, f"all flights: {overall:.0%}", ha="right")
    axes.set(title=title, xlabel="carrier", ylabel="flights without a plane's record")
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_ylim(0, 1.1)
    axes.grid(axis="x", visible=False)


def carriers(table: pd.DataFrame, title: str) -> None:
    """Draw observed against expected lateness of each carrier, joined by a line.

    `table` is indexed by carrier and has `late` and `expected`, both shares.
    """
    table = table.sort_values("late")
    _, axes = plt.subplots(figsize=(7.2, 1.2 + 0.27 * len(table)))
    axes.hlines(table.index, table["expected"], table["late"], color=GREY, linewidth=1.2)
    axes.plot(
        table["expected"], table.index, "o", color=ORANGE, label="expected: same hours, airports"
    )
    axes.plot(table["late"], table.index, "o", color=BLUE, label="observed")
    axes.set(title=title, xlabel="late flights")
    axes.xaxis.set_major_formatter(_PERCENT)
    axes.legend(loc="lower right")


def rules(results: pd.DataFrame, title: str) -> None:
    """Draw a line for each rule, marked as passed or failed.

    `results` has the columns `rule` and `passed`.
    """
    _, axes = plt.subplots(figsize=(7.2, 0.7 + 0.3 * len(results)))
    for row, (rule, passed) in enumerate(zip(results["rule"], results["passed"], strict=True)):
        axes.add_patch(plt.Rectangle((0, row - 0.38), 0.09, 0.76, color=BLUE if passed else ORANGE))
        word = "pass" if passed else "FAIL"
        axes.text(0.045, row, word, ha="center", va="center", color="white", fontweight="bold")
        axes.text(0.105, row, rule, va="center", family="monospace", fontsize=8.5)
    axes.set(xlim=(0, 1), ylim=(len(results) - 0.5, -0.5))
    axes.set_title(title)
    axes.axis("off")
