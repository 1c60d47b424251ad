"""The pictures of notebook 2. Each function draws one figure for the notebook to show.

Blue is what the notebook recommends, orange and grey what it is compared with, vermilion what to
look at.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

GOOD, OTHER, PLAIN, NOTE, FOURTH = "#0072B2", "#E69F00", "#8C8C8C", "#D55E00", "#009E73"
COLOURS = (PLAIN, OTHER, GOOD, FOURTH)


def bytes_scanned(megabytes: Mapping[str, float], title: str) -> None:
    """Draw the megabytes that each way to ask has read, on a logarithmic scale."""
    if min(megabytes.values()) <= 0:
        raise ValueError("a bar of 0 MB has no place on a logarithmic scale")
    _, axes = plt.subplots(figsize=(7.2, 0.9 + 0.42 * len(megabytes)))
    colours = [PLAIN] * (len(megabytes) - 1) + [GOOD]
    bars = axes.barh(list(megabytes), list(megabytes.values()), color=colours, height=0.62)
    axes.bar_label(bars, [f"{value:,.3g} MB" for value in megabytes.values()], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(min(megabytes.values()) / 3, 6 * max(megabytes.values()))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(title=title, xlabel="scanned, MB (logarithmic)")


def row_groups(files: Mapping[str, pd.DataFrame], value: float, title: str) -> None:
    """Draw the range of values of each row group as a line, in a panel for each file.

    `files` are tables with the columns `min` and `max`. Groups that may hold `value` stand out.
    """
    _, panels = plt.subplots(
        1, len(files), figsize=(7.2, 3.4), sharex=True, sharey=True, squeeze=False
    )
    for axes, (name, groups) in zip(panels[0], files.items(), strict=True):
        hit = (groups["min"] <= value) & (groups["max"] >= value)
        colours = hit.map({True: NOTE, False: PLAIN})
        axes.hlines(groups.index, groups["min"], groups["max"], colors=colours, linewidth=5)
        axes.axvline(value, color=NOTE, linestyle="--", linewidth=1, zorder=0)
        axes.set_title(f"{name}: {hit.sum()} of {len(groups)} read", fontweight="normal")
        axes.set(xlabel="customer_id")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="x", labelsize=9)
    panels[0, 0].set_ylabel("row group")
    panels[0, 0].invert_yaxis()
    plt.gcf().suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")


def memory(runs: Mapping[str, object], title: str) -> None:
    """Draw memory over time, a line a run; `runs` have `seconds` and `megabytes`."""
    _, axes = plt.subplots(figsize=(7.2, 3.8))
    styles = (("--", PLAIN), ("-", PLAIN), ("-", OTHER), ("--", GOOD), ("-", GOOD))
    for (name, run), (line, colour) in zip(runs.items(), styles, strict=False):
        # Work takes longer on more data: a share of the time makes the runs comparable.
        share = [moment / run.seconds[-1] for moment in run.seconds]
        label = f"{name}: {run.peak:,.0f} MB"
        axes.plot(share, run.megabytes, line, color=colour, linewidth=1.6, label=label)
    axes.set_ylim(0, 1.1 * max(run.peak for run in runs.values()))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set(title=title, xlabel="share of the running time", ylabel="memory, MB")
    axes.legend(loc="upper left", title="peak", alignment="left")


def estimates(errors: Mapping[str, pd.DataFrame], title: str) -> None:
    """Draw the error of estimates by the size of the sample, a panel for each that is estimated.

    `errors` maps what is estimated to a table: a row a size, a column a way to sample.
    """
    _, panels = plt.subplots(1, len(errors), figsize=(7.2, 3.4), squeeze=False)
    for axes, (name, table) in zip(panels[0], errors.items(), strict=True):
        for way, colour in zip(table, COLOURS, strict=False):
            axes.plot(table.index, table[way], "o-", color=colour, markersize=5, label=way)
        axes.set_xscale("log")
        axes.set_xticks(table.index, [f"{size:,}" for size in table.index])
        axes.minorticks_off()
        axes.set_ylim(0, None)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_title(name, fontweight="normal")
        axes.set(xlabel="customers harvested")
    panels[0, 0].set_ylabel("error of the estimate")
    panels[0, -1].legend(loc="upper right")
    plt.gcf().suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")


def learning_curves(
    curves: Mapping[str, pd.DataFrame], bytes_each: float, baseline: float, title: str
) -> None:
    """Draw the score against the bytes harvested: means of the draws, with their range.

    `curves` have the columns `size` and `score`; `bytes_each` is what a customer costs.
    """
    _, axes = plt.subplots(figsize=(7.2, 3.8))
    colours = (GOOD, OTHER, FOURTH, NOTE)
    for (name, curve), colour in zip(curves.items(), colours, strict=False):
        by_size = curve.groupby("size")["score"]
        megabytes = by_size.mean().index * bytes_each / 1e6
        axes.plot(megabytes, by_size.mean(), "o-", color=colour, markersize=5, label=name)
        axes.fill_between(megabytes, by_size.min(), by_size.max(), color=colour, alpha=0.13)
    axes.axhline(baseline, color=PLAIN, linestyle="--", label="baseline: who came last")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set(title=title, xlabel="harvested, MB (logarithmic)", ylabel="AUC, autumn 2011")
    axes.legend(loc="lower right")
