"""The pictures of this chapter. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MultipleLocator, PercentFormatter, StrMethodFormatter

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#8C8C8C"


def zone_sizes(megabytes: Mapping[str, float], title: str) -> None:
    """Draw the size of each zone, in MB, as a bar with its number."""
    _, axes = plt.subplots(figsize=(7.2, 1.2 + 0.45 * len(megabytes)))
    names = list(megabytes)
    bars = axes.barh(names, list(megabytes.values()), color=[GREY, BLUE, ORANGE][: len(names)])
    axes.bar_label(bars, [f"{size:.1f} MB" for size in megabytes.values()], padding=4)
    axes.set(title=title, xlabel="size of all objects (MB)")
    axes.set_xlim(0, 1.15 * max(megabytes.values()))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def small_files(table: pd.DataFrame, title: str) -> None:
    """Draw objects and megabytes of the same table cut into more and more pieces.

    `table` has the columns `objects` and `megabytes`, indexed by how it is cut.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3))
    for axes, column, unit in ((left, "objects", "objects"), (right, "megabytes", "size (MB)")):
        bars = axes.bar(table.index, table[column], color=[BLUE, ORANGE])
        axes.bar_label(bars, [f"{value:,.0f}" for value in table[column]], padding=2)
        axes.set_ylabel(unit)
        axes.set_ylim(0, 1.15 * table[column].max())
        axes.grid(axis="x", visible=False)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def storage_costs(costs: Mapping[str, Sequence[float]], title: str) -> None:
    """Draw what storage costs in each month, one line per plan, labelled at its end."""
    _, axes = plt.subplots()
    for (name, values), colour in zip(costs.items(), (GREY, BLUE, ORANGE), strict=False):
        axes.plot(range(1, len(values) + 1), values, color=colour)
        axes.annotate(
            f"{name}: ${values[-1]:,.0f}",
            (len(values), values[-1]),
            xytext=(-6, 8),
            textcoords="offset points",
            ha="right",
            color=colour,
        )
    axes.set(title=title, xlabel="months since the first file landed", ylabel="storage a month")
    axes.yaxis.set_major_formatter(StrMethodFormatter("${x:,.0f}"))
    axes.set_ylim(0, 1.2 * max(max(values) for values in costs.values()))


def bytes_scanned(megabytes: Mapping[str, float], title: str) -> None:
    """Draw the megabytes that each form of the data made the same query read."""
    _, axes = plt.subplots(figsize=(7.2, 1.1 + 0.45 * len(megabytes)))
    bars = axes.barh(list(megabytes), list(megabytes.values()), color=BLUE)
    bars[0].set_color(GREY)
    labels = [f"{size:.3g} MB" for size in megabytes.values()]
    axes.bar_label(bars, labels, padding=4)
    axes.set(title=title, xlabel="scanned by one query (MB, logarithmic scale)", xscale="log")
    axes.set_xlim(min(megabytes.values()) / 3, 4 * max(megabytes.values()))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def late_share_by_hour(table: pd.DataFrame, title: str) -> None:
    """Draw the share of late flights over the hour of departure, one line per airport.

    `table` has the columns `origin`, `hour` and `late_share` (0 to 1).
    """
    _, axes = plt.subplots()
    colours = (BLUE, ORANGE, GREY)
    for (origin, rows), colour in zip(table.groupby("origin"), colours, strict=False):
        axes.plot(rows["hour"], rows["late_share"], color=colour, label=origin)
    axes.set(title=title, xlabel="scheduled hour of departure", ylabel="late flights")
    axes.xaxis.set_major_locator(MultipleLocator(3))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(bottom=0)
    axes.legend(ncols=3)


def permissions(allowed: pd.DataFrame, title: str) -> None:
    """Draw a table of what is allowed (True) and what is not, with a word in each field."""
    _, axes = plt.subplots(figsize=(7.2, 0.9 + 0.45 * len(allowed)))
    for row, values in enumerate(allowed.to_numpy()):
        for column, value in enumerate(values):
            colour = BLUE if value else "#EFEFEF"
            axes.add_patch(plt.Rectangle((column, row), 0.96, 0.92, color=colour))
            text = "allowed" if value else "denied"
            ink = "white" if value else "#555555"
            axes.text(column + 0.48, row + 0.46, text, ha="center", va="center", color=ink)
    axes.set_xlim(0, len(allowed.columns))
    axes.set_ylim(len(allowed), 0)
    axes.set_xticks([position + 0.48 for position in range(len(allowed.columns))])
    axes.set_xticklabels(allowed.columns)
    axes.set_yticks([position + 0.46 for position in range(len(allowed))])
    axes.set_yticklabels(allowed.index)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(title)
