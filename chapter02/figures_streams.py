"""The pictures of notebook 2. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import PercentFormatter

BLUE, ORANGE, GREY, GREEN = "#0072B2", "#E69F00", "#8C8C8C", "#009E73"


def shard_shares(shares: pd.DataFrame, title: str) -> None:
    """Draw how much of the records each shard gets, one bar for each choice of key.

    `shares` has a row per choice of key, a column per shard, and values from 0 to 1.
    """
    _, axes = plt.subplots(figsize=(7.2, 1.1 + 0.45 * len(shares)))
    left = pd.Series(0.0, index=shares.index)
    for column, colour in zip(shares.columns, (BLUE, ORANGE), strict=False):
        bars = axes.barh(shares.index, shares[column], left=left, color=colour, label=column)
        labels = [f"{share:.0%}" if share > 0.05 else "" for share in shares[column]]
        axes.bar_label(bars, labels, label_type="center", color="white")
        left += shares[column]
    axes.set(title=title, xlabel="share of the records", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.32))


def reading_order(times: Mapping[str, pd.Series], title: str) -> None:
    """Draw the departures of one plane in the order in which they are read, by choice of key."""
    figure, panels = plt.subplots(1, len(times), figsize=(7.2, 3), sharey=True)
    for axes, (name, values), colour in zip(panels, times.items(), (BLUE, ORANGE), strict=False):
        axes.plot(range(1, len(values) + 1), values, marker="o", color=colour)
        axes.set(xlabel="read as number", title=name)
        axes.set_xticks(range(1, len(values) + 1, 2))
    panels[0].set_ylabel("hours since the first event")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def accounts(rows: pd.DataFrame, title: str) -> None:
    """Draw what became of the records, a stacked bar for each stage.

    `rows` has a row per stage and a column per kind of record, with numbers of records.
    """
    figure, axes = plt.subplots(figsize=(7.2, 1.3 + 0.45 * len(rows)))
    left = pd.Series(0, index=rows.index)
    for column, colour in zip(rows.columns, (BLUE, GREY, ORANGE), strict=True):
        axes.barh(rows.index, rows[column], left=left, color=colour, label=column)
        left += rows[column]
    for place, (_, row) in enumerate(rows.iterrows()):
        text = " + ".join(f"{count:,}" for count in row if count)
        axes.text(row.sum(), place, f"  {text}", va="center")
    # A bar of six records beside thousands: begin where the bars begin to differ.
    axes.set_xlim(0.9 * rows.sum(axis=1).min(), 1.09 * rows.sum(axis=1).max())
    axes.set(title=title, xlabel="records (the axis does not begin at 0)")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    figure.legend(*axes.get_legend_handles_labels(), ncols=3, loc="outside lower center")


def partitions(rows: pd.DataFrame, title: str) -> None:
    """Draw the rows of each day's partition, those that came late on top of the others."""
    _, axes = plt.subplots(figsize=(7.2, 3))
    bottom = pd.Series(0, index=rows.index)
    for column, colour in zip(rows.columns, (BLUE, ORANGE), strict=True):
        axes.bar(rows.index, rows[column], bottom=bottom, color=colour, label=column)
        bottom += rows[column]
    for day, counts in rows.iterrows():
        text = " + ".join(f"{count:,}" for count in counts if count)
        axes.annotate(
            text, (day, counts.sum()), xytext=(0, 3), textcoords="offset points", ha="center"
        )
    axes.set(title=title, xlabel="partition", ylabel="rows")
    axes.set_ylim(0, 1.25 * bottom.max())
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=2)
