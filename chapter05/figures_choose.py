"""The pictures of the bake-off. Each function draws one figure for the notebook to show.

Blue is what to look at first, orange its rival, grey the rest, vermilion what is surely worse.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

FIRST, RIVAL, REST, WORSE = "#0072B2", "#E69F00", "#8C8C8C", "#D55E00"


def _title(axes: Axes, text: str) -> None:
    axes.figure.suptitle(text, x=0.01, ha="left", weight="bold", size=11)


def _whiskers(axes: Axes, table: pd.DataFrame, colours: list[str]) -> None:
    """Draw one dot with its interval per row, the first row on top."""
    places = np.arange(len(table))
    axes.hlines(places, table["low"], table["high"], color=colours, linewidth=2.5)
    axes.scatter(table["score"], places, color=colours, s=36, zorder=3)
    axes.set_yticks(places, table.index)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(table) - 0.5, -0.5)


def two_periods(october: pd.DataFrame, test: pd.DataFrame) -> None:
    """Draw the AUC of each contestant with its interval in two periods side by side.

    Both tables have the columns `score`, `low` and `high`, one row per contestant; the order of
    rows is that of `october`, best on top.
    """
    order = october["score"].sort_values(ascending=False).index
    _, panels = plt.subplots(1, 2, figsize=(7.4, 3.2), sharey=True, sharex=True)
    for axes, table, name in zip(panels, (october, test), ("October", "test months"), strict=True):
        best = table["score"].idxmax()
        _whiskers(axes, table.loc[order], [FIRST if n == best else REST for n in order])
        axes.set_title(name, weight="normal", size=10)
        axes.set_xlabel("AUC (95 % of resampled days)")
    _title(panels[0], f"Who leads October ({order[0]}) does not lead the test months")


def differences(by_day: pd.DataFrame, by_row: pd.DataFrame, reference: str) -> None:
    """Draw how much higher each contestant's log loss is than the reference's, with intervals.

    `by_day` and `by_row` have the columns `score`, `low` and `high` from resampling whole days
    and single flights. What is surely worse by days is vermilion; grey is the interval by rows.
    """
    order = by_day["score"].sort_values().index
    table = by_day.loc[order]
    _, axes = plt.subplots(figsize=(7.2, 3.2))
    rows = by_row.loc[order]
    places = np.arange(len(order)) + 0.28
    axes.hlines(places, rows["low"], rows["high"], color=REST, linewidth=2.5)
    _whiskers(axes, table, [WORSE if low > 0 else FIRST for low in table["low"]])
    axes.axvline(0, color="#333333", linewidth=1)
    axes.plot([], [], color=FIRST, label="resampled days: no proof either way")
    axes.plot([], [], color=WORSE, label="resampled days: surely worse")
    axes.plot([], [], color=REST, label="resampled flights: too sure")
    axes.legend(loc="upper right")
    axes.set_xlabel(f"log loss above that of the {reference}")
    tied = ", ".join(table.index[table["low"] <= 0])
    axes.set_title(f"Not told apart from the {reference}:\n{tied}")


def calibration(curves: Mapping[str, Mapping[str, pd.DataFrame]]) -> None:
    """Draw what models said against what happened, before and after calibration.

    For each model (a panel), for each method (a line), a table with the columns `said` and
    `happened`, one row per group of flights.
    """
    _, panels = plt.subplots(
        1, len(curves), figsize=(7.4, 3.0), sharex=True, sharey=True, squeeze=False
    )
    looks = {"as it is": (RIVAL, "o-"), "sigmoid": (FIRST, "s-"), "isotonic": (REST, "^:")}
    for axes, (name, lines) in zip(panels[0], curves.items(), strict=True):
        axes.plot([0, 0.8], [0, 0.8], color="#BBBBBB", linewidth=1)
        for method, table in lines.items():
            colour, mark = looks[method]
            axes.plot(
                table["said"], table["happened"], mark, color=colour, markersize=4,
                linewidth=1.4, label=method,
            )  # fmt: skip
        axes.set_title(name, weight="normal", size=10)
        axes.set_xlabel("said")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xticks([0, 0.25, 0.5, 0.75])
    panels[0][0].set_ylabel("came late")
    panels[0][0].legend(loc="upper left")
    _title(
        panels[0][0], "Calibration mends the balanced model, and worsens the one that was too sure"
    )


def importances(table: pd.DataFrame, most: int = 11) -> None:
    """Draw the `most` features that matter most, one panel per column of the table.

    Each of the three columns is a measure in its own unit; its name becomes the title of its
    panel. Features are in the order of the largest share that they have in any measure.
    """
    order = (table / table.sum()).max(axis=1).sort_values(ascending=False).index
    shown = table.loc[order[:most]]
    _, panels = plt.subplots(1, table.shape[1], figsize=(7.6, 3.5), sharey=True)
    for axes, (name, values), colour in zip(
        panels, shown.items(), (FIRST, RIVAL, REST), strict=True
    ):
        axes.barh(shown.index, values, color=colour)
        axes.set_title(name, weight="normal", size=10)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="x", labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    panels[0].invert_yaxis()
    panels[0].set_xlabel("mean |log odds|")
    panels[1].set_xlabel("mean |log odds|")
    panels[2].set_xlabel("log loss when shuffled")
    _title(panels[0], "The same columns, weighed differently by trees, line and shuffling")


def one_flight(contributions: pd.DataFrame, answers: Mapping[str, float], most: int = 8) -> None:
    """Draw what each feature adds to the log odds of one flight in two models, largest first.

    `contributions` has one column per model, one row per feature; `answers` the probability of
    each model.
    """
    order = contributions.abs().max(axis=1).sort_values(ascending=False).index[:most]
    shown = contributions.loc[order]
    _, axes = plt.subplots(figsize=(7.2, 3.6))
    places = np.arange(most)
    for shift, (name, values), colour in zip(
        (-0.19, 0.19), shown.items(), (FIRST, RIVAL), strict=True
    ):
        axes.barh(
            places + shift, values, height=0.36, color=colour,
            label=f"{name}: {answers[name]:.0%} likely to be late",
        )  # fmt: skip
    axes.set_yticks(places, order)
    axes.invert_yaxis()
    axes.axvline(0, color="#333333", linewidth=1)
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    axes.set_xlabel("adds to the log odds of being late")
    axes.set_title(f"One flight, two answers: they disagree about {order[0]}")


def scorecard(totals: pd.DataFrame) -> None:
    """Draw the grades (0 to 1) of each contestant (row) for each reader (column)."""
    shown = totals.loc[totals.mean(axis=1).sort_values(ascending=False).index]
    _, panels = plt.subplots(1, totals.shape[1], figsize=(7.2, 2.8), sharey=True, squeeze=False)
    for axes, (reader, grades) in zip(panels[0], shown.items(), strict=True):
        colours = [FIRST if name == grades.idxmax() else REST for name in shown.index]
        bars = axes.barh(shown.index, grades, color=colours)
        axes.bar_label(bars, [f"{grade:.2f}" for grade in grades], padding=3, fontsize=9)
        axes.set_title(reader, weight="normal", size=10)
        axes.set_xlim(0, 1.15)
        axes.set_xlabel("grade")
        axes.grid(axis="y", visible=False)
    panels[0][0].invert_yaxis()
    winners = list(dict.fromkeys(shown.idxmax()))
    _title(panels[0][0], f"On the scorecards: {' and '.join(winners)} first")
