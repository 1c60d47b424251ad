"""The pictures of notebook 3. Each function draws one figure for the notebook to show.

Colours mean the same everywhere: blue is the network, orange the baseline, grey people or what
needs no model; of the classes vermilion is negative, grey neutral, blue positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, MultipleLocator, PercentFormatter

MODEL, BASELINE, NEITHER, NOTE = "#0072B2", "#E69F00", "#8C8C8C", "#D55E00"
CLASSES = {"negative": "#D55E00", "neutral": "#8C8C8C", "positive": "#0072B2"}


def agreement(opinions: pd.DataFrame, title: str) -> None:
    """Draw for each class how large the share of raters is who gave a text its label.

    `opinions` has the columns `label` and `shares` (of the three classes, per text).
    """
    _, axes = plt.subplots()
    largest = np.array(opinions["shares"].tolist()).max(axis=1)
    # Most panels have twenty raters: each twentieth lies in the middle of its bin.
    edges = np.arange(0.325, 1.05, 0.05)
    for name, colour in CLASSES.items():
        of_class = largest[(opinions["label"] == name).to_numpy()]
        heights, _ = np.histogram(of_class, bins=edges)
        axes.stairs(heights / len(of_class), edges, color=colour, linewidth=2, label=name)
    axes.set(xlabel="raters who gave the text its label", ylabel="texts of this class", title=title)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlim(0.325, 1.025)
    axes.legend(loc="upper left")


def learning_curve(epochs: pd.DataFrame, resumed_after: int, title: str) -> None:
    """Draw loss and macro F1 over the epochs; a dotted line where a new job took over.

    `epochs` is what `judge_opinions.read_epochs` returns.
    """
    best = int(epochs["validation_f1"].idxmax())
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.1))
    for column, colour in (("train_loss", NEITHER), ("validation_loss", MODEL)):
        left.plot(epochs[column], "o-", color=colour, markersize=4)
    last = epochs.iloc[-1]
    for column, name, colour, offset in (
        ("train_loss", "training", NEITHER, 8),
        ("validation_loss", "validation", MODEL, -16),
    ):
        left.annotate(
            name, (epochs.index[-1], last[column]), xytext=(0, offset),
            textcoords="offset points", ha="right", color=colour,
        )  # fmt: skip
    right.plot(epochs["validation_f1"], "o-", color=MODEL, markersize=4)
    right.plot(best, epochs["validation_f1"][best], "o", color=NOTE, markersize=8)
    right.annotate(
        f"epoch {best} is kept", (best, epochs["validation_f1"][best]), xytext=(9, 2),
        textcoords="offset points", color=NOTE,
    )  # fmt: skip
    for axes in (left, right):
        axes.axvline(resumed_after + 0.5, color="black", linestyle=":", linewidth=1)
        axes.xaxis.set_major_locator(MultipleLocator(1))
        axes.set_xlabel("epoch")
    right.annotate(
        "second job", (resumed_after + 0.5, right.get_ylim()[0]), xytext=(4, 6),
        textcoords="offset points", fontsize=9,
    )  # fmt: skip
    left.set_ylabel("loss (lower is better)")
    right.set_ylabel("macro F1, validation")
    right.yaxis.set_major_locator(MaxNLocator(5))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")


def scores(
    found: Mapping[str, tuple[float, float, float]], people: Mapping[str, float], title: str
) -> None:
    """Draw macro F1 as dots with their interval, and what people reach as dotted lines.

    `found` has for each name (score, lower end, upper end); `people` only scores.
    """
    colours = {"network": MODEL, "baseline": BASELINE}
    _, axes = plt.subplots(figsize=(7.2, 1.3 + 0.4 * len(found)))
    for place, (name, (score, low, high)) in enumerate(found.items()):
        colour = next((each for key, each in colours.items() if key in name), NEITHER)
        axes.plot([low, high], [place, place], color=colour, linewidth=3, alpha=0.5)
        axes.plot(score, place, "o", color=colour, markersize=8)
        axes.annotate(
            f"{score:.2f}", (score, place), xytext=(0, 7), textcoords="offset points", ha="center"
        )
    for name, score in people.items():
        axes.axvline(score, color="black", linestyle=":", linewidth=1)
        axes.annotate(
            f"{name}\n{score:.2f}", (score, -0.5), xytext=(4, 0), textcoords="offset points",
            va="top", fontsize=9,
        )  # fmt: skip
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlim(0.15, 1.04)
    axes.set(xlabel="macro F1 on the test texts", title=title)
    axes.grid(axis="y", visible=False)


def accuracy_by_agreement(
    agreement: np.ndarray, right: Mapping[str, np.ndarray], title: str
) -> None:
    """Draw how often each one is right, by how far the panel agrees.

    `agreement` is the share of the largest group of raters, for each text; `right` has for
    `network`, `baseline` and `one rater` whether the answer was the label.
    """
    edges = [0.3, 0.6, 0.7, 0.8, 0.9, 1.0]
    names = ["up to 60%", *(f"to {edge:.0%}" for edge in edges[2:-1]), "over 90%"]
    group = pd.Series(pd.cut(agreement, edges, labels=names))
    _, axes = plt.subplots()
    for name, colour, marker in (
        ("one rater", NEITHER, "s"), ("baseline", BASELINE, "D"), ("network", MODEL, "o"),
    ):  # fmt: skip
        shares = pd.Series(np.asarray(right[name])).groupby(group, observed=False).mean()
        axes.plot(range(len(names)), shares, color=colour, marker=marker, label=name)
    counts = group.value_counts().reindex(names)
    axes.set_xticks(range(len(names)), [f"{name}\n{counts[name]} texts" for name in names])
    axes.set(xlabel="raters who agree on the label", ylabel="right answers", title=title)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="lower right")


def attention(
    texts: Sequence[tuple[list[str], np.ndarray, np.ndarray]], label: str, title: str
) -> None:
    """Draw for each text two bars per token: the attention it gets, and what hiding it does.

    Each of `texts` has the tokens, the share of attention that each token gets from all, and how
    far the probability of `label` falls when the token is hidden.
    """
    figure, panels = plt.subplots(
        2, len(texts), figsize=(7.2, 4.2), sharey="row", height_ratios=(1, 1)
    )
    for column, (tokens, weights, falls) in enumerate(texts):
        places = range(len(tokens))
        top, bottom = panels[0][column], panels[1][column]
        top.bar(places, weights, color=NEITHER)
        top.set_xticks(places, [""] * len(tokens))
        bottom.bar(places, falls, color=[MODEL if fall > 0 else NOTE for fall in falls])
        bottom.axhline(0, color="black", linewidth=0.8)
        bottom.set_xticks(places, [token.strip() for token in tokens], rotation=60, ha="right")
        for axes in (top, bottom):
            axes.grid(axis="x", visible=False)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0][0].set_ylabel("attention received")
    panels[1][0].set_ylabel(f"fall of P({label})\nwhen hidden")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
