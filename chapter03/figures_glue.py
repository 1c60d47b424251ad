"""The pictures of notebook 5."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes


def scores(table: pd.DataFrame, title: str) -> Axes:
    """Training and validation AUC of sets of features, a row for each.

    Args:
        table: indexed by the name of the set, with columns `training` and `validation`.
        title: what there is to see.
    """
    _, axes = plt.subplots(figsize=(7.2, 0.5 * len(table) + 1.4))
    places = np.arange(len(table))[::-1]
    axes.hlines(places, table["validation"], table["training"], color="#BBBBBB", linewidth=2)
    axes.scatter(
        table["training"], places, color="#E69F00", label="months it learned from", zorder=3
    )
    axes.scatter(table["validation"], places, color="#0072B2", label="the month after", zorder=3)
    for place, value in zip(places, table["validation"], strict=True):
        axes.annotate(
            f"{value:.2f}",
            (value, place),
            xytext=(-9, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color="#0072B2",
        )
    axes.set_yticks(places, table.index)
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.set_xlim(table.to_numpy().min() - 0.03, table.to_numpy().max() + 0.02)
    axes.set_xlabel("area under the ROC curve")
    axes.grid(axis="y", visible=False)
    axes.set_title(title, pad=30)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return axes


def by_tenth(table: pd.DataFrame, features: dict[str, str], title: str) -> Axes:
    """The share of late flights in each tenth of the flights, ordered by a feature.

    Args:
        table: with `late` and the features; rows without `late` are left out.
        features: column → how the legend calls it.
        title: what there is to see.
    """
    table = table.dropna(subset="late")
    _, axes = plt.subplots()
    for column, label in features.items():
        tenth = pd.qcut(table[column].rank(method="first"), 10, labels=False)
        shares = 100 * table.groupby(tenth)["late"].mean()
        axes.plot(shares.index + 1, shares, marker="o", label=label)
    axes.axhline(100 * table["late"].mean(), color="#888888", linewidth=1, linestyle="--")
    axes.set_xticks(range(1, 11))
    axes.set_ylim(0)
    axes.set_xlabel("tenth of the flights, lowest rate first")
    axes.set_ylabel("late flights (%)")
    axes.legend(loc="upper left")
    axes.set_title(title)
    return axes
