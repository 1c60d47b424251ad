"""The pictures of notebook 4. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
_GREY = "#8C8C8C"
History = Sequence[Mapping[str, float]]


def augmentation(images: np.ndarray, moved: Sequence[np.ndarray], title: str) -> None:
    """Show pictures (n, 8, 8) in the top row, and moved copies of each below."""
    rows = [images, *moved]
    figure, panels = plt.subplots(len(rows), len(images), figsize=(8.4, 1.0 * len(rows) + 0.4))
    for line, pictures in zip(panels, rows, strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture, cmap="gray_r")
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
    for line, name in zip(panels, ["as scanned", *["moved"] * len(moved)], strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.suptitle(title, fontweight="bold")


def seeds(scores: Mapping[str, Sequence[float]], baseline: float, title: str) -> None:
    """Draw a point for each seed's score, one line each way of training, and a baseline."""
    _, axes = plt.subplots(figsize=(7.2, 0.9 + 0.6 * len(scores)))
    for place, (name, values) in enumerate(reversed(scores.items())):
        axes.plot(values, [place] * len(values), "o", color=_COLOURS[0], alpha=0.6, markersize=9)
        axes.text(min(values) - 0.002, place, name, ha="right", va="center")
    axes.axvline(baseline, color=_GREY, linestyle="--")
    axes.annotate(
        "baseline", (baseline, len(scores) - 0.5), (4, 0), textcoords="offset points",
        color=_GREY, va="center",
    )  # fmt: skip
    axes.set(
        yticks=[], ylim=(-0.6, len(scores) - 0.3), title=title,
        xlabel="share of validation digits read",
    )  # fmt: skip
    axes.set_xlim(left=min(baseline, *(min(each) for each in scores.values())) - 0.025)


def curves(histories: Mapping[str, History], title: str, baseline: float) -> None:
    """Draw the validation accuracy of several runs by epoch, and a baseline."""
    _, axes = plt.subplots()
    for colour, (name, history) in zip(_COLOURS, histories.items(), strict=False):
        epochs = [each["epoch"] for each in history]
        values = [each["validation_accuracy"] for each in history]
        axes.plot(epochs, values, color=colour, label=name)
    axes.axhline(baseline, color=_GREY, linestyle="--", label="baseline")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="share of validation digits read", title=title)
    axes.legend(loc="lower right")


def misread(images: np.ndarray, truth: np.ndarray, said: np.ndarray, title: str) -> None:
    """Show the first ten pictures (n, 8, 8) that were read as something else."""
    wrong = np.flatnonzero(truth != said)[:10]
    figure, panels = plt.subplots(1, 10, figsize=(8.6, 1.6))
    for axes in panels:
        axes.axis("off")
    for axes, place in zip(panels, wrong, strict=False):
        axes.imshow(images[place], cmap="gray_r")
        axes.set_title(f"{truth[place]}, not {said[place]}", fontsize=8, fontweight="normal")
    figure.suptitle(title, fontweight="bold")


def transfer(shares: Mapping[str, Mapping[int, Sequence[float]]], title: str) -> None:
    """Draw the share of new digits read by examples of each: a point a seed, a line the mean."""
    _, axes = plt.subplots(figsize=(7.2, 3.4))
    for colour, (name, by_count) in zip(_COLOURS, shares.items(), strict=False):
        for count, values in by_count.items():
            axes.plot([count] * len(values), values, "o", color=colour, alpha=0.4)
        means = [float(np.mean(values)) for values in by_count.values()]
        axes.plot(list(by_count), means, color=colour, label=name)
    counts = list(next(iter(shares.values())))
    axes.set_xscale("log")
    axes.set_xticks(counts, counts)
    axes.minorticks_off()
    axes.set(xlabel="examples of each new digit", ylabel="share read", title=title)
    axes.legend(loc="lower right")
