"""The pictures of notebook 2. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

_BLUE, _ORANGE, _GREY, _RED = "#0072B2", "#E69F00", "#8C8C8C", "#D55E00"
_SEGMENTS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]


def scores(values: Mapping[str, float], title: str) -> None:
    """Draw the AUC of each contestant as a bar that begins at 0.5, which is a coin's."""
    _, axes = plt.subplots(figsize=(7, 2.4))
    names = list(values)
    places = np.arange(len(names))[::-1]
    colours = [_ORANGE, *[_BLUE] * (len(names) - 1)]
    widths = [values[name] - 0.5 for name in names]
    bars = axes.barh(places, widths, left=0.5, color=colours)
    axes.bar_label(bars, [f"{values[name]:.3f}" for name in names], padding=4)
    axes.set_yticks(places, names)
    axes.set(
        xlim=(0.5, max(values.values()) + 0.03), xlabel="AUC, November and December", title=title
    )


def effects(weights: pd.Series, title: str, shown: int = 12) -> None:
    """Draw the largest effects of a linear model: log odds for one standard deviation.

    `weights` are effects by feature.
    """
    _, axes = plt.subplots(figsize=(7, 4))
    largest = weights.reindex(weights.abs().sort_values(ascending=False).index)[:shown][::-1]
    axes.barh(largest.index, largest, color=np.where(largest > 0, _RED, _BLUE))
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(xlabel="change of the log odds of being late", title=title)


def elbow(distances: pd.Series, chosen: int, title: str) -> None:
    """Draw the mean squared distance to the nearest centre against the number of centres."""
    _, axes = plt.subplots(figsize=(6, 3))
    axes.plot(distances.index, distances, "o-", color=_BLUE)
    axes.plot(chosen, distances[chosen], "o", markersize=13, fillstyle="none", color=_RED)
    axes.set(xlabel="k", ylabel="mean squared distance", title=title)


def segments(table: pd.DataFrame, labels: np.ndarray, names: list[str], title: str) -> None:
    """Draw customers by recency and revenue, coloured by segment.

    `table` has `recency_days` and `revenue`; `labels` are segment numbers, (customers,).
    """
    _, axes = plt.subplots()
    for number, name in enumerate(names):
        part = table[labels == number]
        axes.scatter(
            part["recency_days"] + 1, part["revenue"], s=6, alpha=0.4,
            color=_SEGMENTS[number], label=f"{name} ({len(part):,})",
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", ylim=(10, None), title=title)
    axes.set(xlabel="days since the last purchase + 1", ylabel="revenue of two years, pounds")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    legend = axes.legend(loc="upper right", framealpha=0.9)
    for handle in legend.legend_handles:
        handle.set_sizes([40])
        handle.set_alpha(1)


def shapes_of_days(
    mean: np.ndarray, components: np.ndarray, shares: np.ndarray, title: str
) -> None:
    """Draw the mean day and what each component adds to it, hour by hour.

    Args:
        mean: vehicles, (24,).
        components: (24, n), the most important first; `shares`: of the variance, (n,).
    """
    figure, panels = plt.subplots(1, components.shape[1], figsize=(9, 3), sharey=True)
    for number, axes in enumerate(panels):
        step = 2000 * components[:, number]
        axes.plot(mean, color=_GREY, label="mean day")
        axes.plot(mean + step, color=_RED, label="much of it")
        axes.plot(mean - step, color=_BLUE, label="little of it")
        axes.set(xlabel="hour", title=f"component {number + 1}: {shares[number]:.0%}")
        axes.set_xticks([0, 6, 12, 18])
    panels[0].set_ylabel("vehicles an hour")
    panels[0].legend(fontsize=8)
    figure.suptitle(title)


def anomalies(table: pd.DataFrame, score: np.ndarray, shown: int, title: str) -> None:
    """Draw the score of each day; holidays and snow are coloured, the highest scores named.

    `table` has `date`, `holiday` and `snow_hours`; `score`: (days,).
    """
    _, axes = plt.subplots(figsize=(9, 4))
    holiday = table["holiday"].notna()
    snow = (table["snow_hours"] >= 6) & ~holiday
    for mask, colour, name in (
        (~holiday & ~snow, _GREY, "other working days"),
        (snow, _BLUE, "six or more hours of snow"),
        (holiday, _RED, "holiday"),
    ):
        axes.plot(table["date"][mask], score[mask], "o", color=colour, markersize=5, label=name)
    line = np.sort(score)[-shown]
    axes.axhline(line, color="black", linewidth=0.8, linestyle="--")
    axes.set(ylabel="anomaly score", title=title)
    axes.legend(loc="upper left", ncols=3)
    axes.set_ylim(None, score.max() * 1.12)
