"""The pictures of notebook 2. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import roc_auc_score, roc_curve

BLUE, ORANGE, GREY, GREEN = "#0072B2", "#E69F00", "#8C8C8C", "#009E73"


def roc(late: pd.Series, scores: Mapping[str, np.ndarray], title: str) -> None:
    """Draw the ROC curve of each score, with its area in the legend."""
    _, axes = plt.subplots(figsize=(7.2, 4))
    for (name, score), colour in zip(scores.items(), (ORANGE, BLUE, GREY), strict=False):
        wrong, right, _ = roc_curve(late, score)
        area = roc_auc_score(late, score)
        axes.plot(wrong, right, color=colour, label=f"{name}: AUC {area:.2f}")
    axes.plot([0, 1], [0, 1], color="#CCCCCC", linewidth=1, linestyle="--")
    axes.set(title=title, xlabel="flights in time, called late", ylabel="late flights, called late")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="lower right")


def costs(curves: pd.DataFrame, threshold: float, never: float, title: str) -> None:
    """Draw the cost a flight over the threshold, a line for each column of `curves`."""
    _, axes = plt.subplots()
    for column, colour in zip(curves.columns, (BLUE, GREY), strict=True):
        axes.plot(curves.index, curves[column], color=colour, label=column)
    axes.axhline(never, color=ORANGE, linestyle=":", label="never prepare")
    axes.axvline(threshold, color="#333333", linewidth=1, linestyle="--")
    low = curves.min().min()
    axes.text(threshold, low - 4, " 100 / 300", va="bottom", color="#333333")
    axes.set(title=title, xlabel="prepare from this probability on", ylabel="dollars a flight")
    axes.set_ylim(low - 5, 1.12 * never)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="lower right")


def monitor(months: pd.DataFrame, drift: pd.DataFrame, title: str) -> None:
    """Draw drift above, quality in the middle, promise and outcome below, month by month.

    `months` has the columns `AUC`, `baseline` (an AUC as well), `predicted` and `observed`;
    `drift` the PSI of each feature; both indexed by the names of the months.
    """
    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(7.2, 6.4), sharex=True)
    for column, colour in zip(drift.columns, (ORANGE, GREEN, GREY), strict=False):
        top.plot(drift.index, drift[column], marker="o", color=colour, label=column)
    top.axhline(0.25, color="#333333", linewidth=1, linestyle="--")
    top.text(5.35, 0.25, "much", va="center")
    top.set(ylabel="PSI of a feature\n(logarithmic)", yscale="log")
    top.legend(ncols=3)
    middle.plot(months.index, months["AUC"], marker="o", color=BLUE, label="model")
    middle.plot(months.index, months["baseline"], marker="o", color=GREY, label="hour of departure")
    middle.set(ylabel="AUC", ylim=(0.55, 0.75))
    middle.legend(ncols=2, loc="lower left")
    bottom.plot(months.index, months["predicted"], marker="o", color=BLUE, label="predicted")
    bottom.plot(months.index, months["observed"], marker="o", color=ORANGE, label="observed")
    bottom.set(ylabel="late flights", ylim=(0, 0.4))
    bottom.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bottom.legend(ncols=2, loc="lower left")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
