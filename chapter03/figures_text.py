"""The pictures of notebook 2. Each function draws one figure for the notebook to show.

Colours mean the same everywhere: vermilion negative, grey neutral, blue positive; orange marks
what to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator, PercentFormatter
from sklearn.metrics import confusion_matrix

COLOURS = {"negative": "#D55E00", "neutral": "#8C8C8C", "positive": "#0072B2"}
DOT, MARK = "#0072B2", "#E69F00"


def answers_by_score(scores: pd.Series, ratings: pd.Series, border: float, title: str) -> None:
    """Draw the share of raters who call a text negative, neutral or positive, by its mean score.

    `ratings` holds for each text the whole numbers that its raters gave, from -4 to 4. `border` is
    where neutral ends, in points of the score.
    """
    width = 0.2
    bins = (np.rint(scores.to_numpy() / width) * width).round(1)
    signs = np.sign(np.concatenate(ratings.tolist()).astype(int))
    of_each = np.repeat(bins, ratings.str.len().to_numpy())
    shares = pd.crosstab(of_each, signs, normalize="index").loc[-2.6:2.6]
    _, axes = plt.subplots()
    for sign, (name, colour) in zip((-1, 0, 1), COLOURS.items(), strict=True):
        axes.plot(shares.index, shares[sign], color=colour)
        peak = {-1: -2.0, 0: 0.0, 1: 2.0}[sign]
        height = float(np.interp(peak, shares.index, shares[sign]))
        axes.annotate(name, (peak, height), (0, 6), textcoords="offset points", color=colour)
    for place in (-border, border):
        axes.axvline(place, color="black", linestyle=":", linewidth=1)
    axes.set(xlabel="mean of a text's ratings, points from -4 to 4", title=title)
    axes.set(ylabel="share of its raters", ylim=(0, 1.08))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def scores_by_fold(
    results: Mapping[str, Any], references: Mapping[str, float], title: str, marked: str = ""
) -> None:
    """Draw for each set of features the folds' scores as dots and their mean as a bar.

    `results` are results of `cross_validate` by name, drawn from top to bottom. `references` are
    scores to compare with, drawn as dotted lines. The name `marked` stands out.

    Raises:
        ValueError: if there is no result.
    """
    if not results:
        raise ValueError("no result to draw; cross-validate some features first")
    _, axes = plt.subplots(figsize=(7.2, 0.9 + 0.3 * len(results)))
    for place, (name, result) in enumerate(results.items()):
        colour = MARK if name == marked else DOT
        axes.scatter(
            result.scores, np.full(len(result.scores), place), s=14, color=colour, alpha=0.55
        )
        axes.plot([result.mean] * 2, [place - 0.32, place + 0.32], color=colour, linewidth=3)
        axes.annotate(
            f"{result.mean:.2f}", (1.0, place), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    for name, score in references.items():
        axes.axvline(score, color="black", linestyle=":", linewidth=1)
        axes.annotate(
            name, (score, -0.9), (3, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(results)), list(results))
    axes.set_ylim(len(results) - 0.4, -1.4 if references else -0.6)
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="macro F1 on the fold left out", title=title)
    axes.xaxis.set_major_locator(MultipleLocator(0.05))


def confusion(labels: Any, predictions: Any, title: str) -> None:
    """Draw how often each class is taken for which: rows are what people said, and sum to 100 %."""
    names = list(COLOURS)
    counts = confusion_matrix(labels, predictions, labels=names)
    shares = counts / counts.sum(axis=1, keepdims=True)
    _, axes = plt.subplots(figsize=(5.4, 3.3))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row in range(3):
        for column in range(3):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{shares[row, column]:.0%}\n({counts[row, column]:,})"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(3), names)
    axes.set_yticks(range(3), names)
    axes.grid(visible=False)
    axes.set(xlabel="predicted", ylabel="what people said", title=title)


def shift(scores: pd.DataFrame, title: str) -> None:
    """Draw what features score at home and away, joined by a line.

    `scores` has one row for each set of features, and two columns whose names say what they are.

    Raises:
        ValueError: if there are not two columns.
    """
    if scores.shape[1] != 2:
        raise ValueError(f"two columns are compared, got {list(scores.columns)}")
    away, home = scores.columns
    _, axes = plt.subplots(figsize=(7.2, 1.1 + 0.34 * len(scores)))
    places = np.arange(len(scores))
    axes.hlines(places, scores[away], scores[home], color="#B0B0B0", linewidth=2)
    axes.scatter(scores[away], places, color=MARK, marker="D", s=36, zorder=2, label=away)
    axes.scatter(scores[home], places, color=DOT, s=42, zorder=2, label=home)
    axes.set_yticks(places, scores.index)
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="macro F1 on reviews", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.32), ncols=2)
