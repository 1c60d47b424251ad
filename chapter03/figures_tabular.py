"""The pictures of notebook 1. Each function draws one figure for the notebook to show.

Colours mean the same everywhere: blue is the logistic regression, orange the trees, vermilion
what to look at, grey the rest.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator, PercentFormatter

LOGISTIC, TREES, NEITHER, NOTE = "#0072B2", "#E69F00", "#8C8C8C", "#D55E00"
COLOURS = {"logistic": LOGISTIC, "trees": TREES}


def missing_and_late(table: pd.DataFrame, columns: list[str], title: str) -> None:
    """Draw how many flights come late where a column has a value and where it has none.

    Raises:
        ValueError: if a column is complete, so that there is nothing to compare.
    """
    complete = [name for name in columns if table[name].notna().all()]
    if complete:
        raise ValueError(f"no value is missing in {', '.join(complete)}")
    _, axes = plt.subplots(figsize=(7.2, 0.6 + 0.52 * len(columns)))
    for place, name in enumerate(reversed(columns)):
        gone = table[name].isna()
        there, missing = table.loc[~gone, "late"].mean(), table.loc[gone, "late"].mean()
        axes.plot([there, missing], [place, place], color=NEITHER, zorder=1)
        axes.scatter(there, place, color=LOGISTIC, zorder=2, label="value there")
        axes.scatter(missing, place, color=NOTE, marker="D", zorder=2, label="value missing")
    shares = table[columns].isna().mean()
    names = [f"{name}\n({shares[name]:.1%} missing)" for name in reversed(columns)]
    axes.set_yticks(range(len(columns)), names)
    axes.set_ylim(-0.6, len(columns) - 0.4)
    axes.set(xlabel="late flights among those", title=title)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[:2], labels[:2], loc="lower right")


def encodings(
    naive: pd.Series, out_of_fold: pd.Series, label: pd.Series, overall: float, title: str
) -> None:
    """Draw how two encodings of one column are distributed for late and for punctual flights."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.2), sharey=True)
    bins = np.linspace(0, 1, 26)
    for axes, values, name in (
        (panels[0], naive, "naive: own label included"),
        (panels[1], out_of_fold, "out of fold"),
    ):
        for late, colour, text in ((0, NEITHER, "on time"), (1, NOTE, "late")):
            chosen = values[(label == late).to_numpy()]
            weights = np.full(len(chosen), 1 / len(chosen))
            axes.hist(
                chosen, bins, weights=weights, histtype="step", color=colour, lw=2, label=text
            )
        axes.axvline(overall, color="black", linestyle=":", lw=1)
        axes.set(xlabel="encoded value (late share of the plane)")
        axes.set_title(name, weight="normal", size=10)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0].set_ylabel("flights of that outcome")
    panels[1].legend(loc="upper right", title="the flight itself was")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=11)


def permutation(importances: pd.DataFrame, kept: list[str], title: str) -> None:
    """Draw what shuffling each column costs, in AUC: mean and range over the repetitions.

    `importances` has a row for each repetition and a column for each column of the table.
    """
    order = importances.mean().sort_values().index
    _, axes = plt.subplots(figsize=(7.2, 0.9 + 0.21 * len(order)))
    for place, name in enumerate(order):
        values = importances[name]
        colour = LOGISTIC if name in kept else NEITHER
        axes.plot([values.min(), values.max()], [place, place], color=colour, lw=1.5)
        axes.plot(values.mean(), place, "o", color=colour, markersize=5)
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(order)), order, fontsize=8.5)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set(xlabel="AUC lost on validation when the column is shuffled", title=title)
    for colour, text in ((LOGISTIC, "kept"), (NEITHER, "dropped")):
        axes.plot([], [], "o", color=colour, label=text)
    axes.legend(loc="lower right")


def components(curve: pd.DataFrame, without: float, title: str) -> None:
    """Draw AUC and the variance kept against the number of components.

    `curve` is indexed by the number of components and has the columns `variance` (share of the
    variance kept) and `auc`; `without` is the AUC of all columns, without PCA.
    """
    _, axes = plt.subplots(figsize=(7.2, 3.2))
    axes.plot(curve.index, curve["auc"], "o-", color=LOGISTIC)
    axes.axhline(without, color=NEITHER, linestyle=":")
    axes.annotate(
        "all columns, no PCA", (curve.index[0], without), xytext=(0, 4),
        textcoords="offset points", color="#555555", fontsize=9,
    )  # fmt: skip
    for count, row in curve.iterrows():
        axes.annotate(
            f"{row['variance']:.0%}", (count, row["auc"]), xytext=(6, -12),
            textcoords="offset points", fontsize=9,
        )  # fmt: skip
    axes.set(
        xlabel="components kept (number at a point: variance kept)",
        ylabel="validation AUC",
        title=title,
        ylim=(min(curve["auc"].min(), without) - 0.01, max(curve["auc"].max(), without) + 0.008),
    )


def steps(comparisons: pd.DataFrame, title: str) -> None:
    """Draw what each step changed, with 95 % intervals, for each model.

    `comparisons` has the columns `step`, `model`, `difference`, `low`, `high` and `verdict`. A
    full marker stands for a verdict, an open one for noise.
    """
    names = list(dict.fromkeys(comparisons["step"]))
    models = list(dict.fromkeys(comparisons["model"]))
    _, axes = plt.subplots(figsize=(7.2, 1.0 + 0.42 * len(names)))
    for row in comparisons.itertuples():
        shift = 0.16 if row.model == models[0] else -0.16
        place = len(names) - 1 - names.index(row.step) + shift
        colour = COLOURS[row.model]
        axes.plot([row.low, row.high], [place, place], color=colour, lw=1.5)
        face = "white" if row.verdict == "noise" else colour
        axes.plot(row.difference, place, "o", color=colour, markerfacecolor=face, markersize=6)
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(names)), reversed(names))
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.xaxis.set_major_locator(MultipleLocator(0.02))
    axes.set(xlabel="change of the validation AUC, with 95 % interval", title=title)
    for model in models:
        axes.plot([], [], "o-", color=COLOURS[model], label=model)
    axes.plot([], [], "o", color=NEITHER, markerfacecolor="white", label="open: noise")
    axes.legend(loc="lower right")
