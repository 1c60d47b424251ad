"""The pictures of notebook 3. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
_GREY = "#8C8C8C"
History = Sequence[Mapping[str, float]]


def compare_scales(histories: Mapping[str, History], title: str) -> None:
    """Draw the validation AUC by epoch of several runs.

    `histories` have the metrics of each epoch, by the name of the run.
    """
    _, axes = plt.subplots(figsize=(7, 3))
    for colour, (name, history) in zip(_COLOURS, histories.items(), strict=False):
        axes.plot(_of(history, "epoch"), _of(history, "validation_auc"), "o-", color=colour)
        axes.annotate(
            name, (history[-1]["epoch"], history[-1]["validation_auc"]), (6, 0),
            textcoords="offset points", va="center", color=colour,
        )  # fmt: skip
    axes.set(xlabel="epoch", ylabel="AUC in October", title=title)
    axes.margins(x=0.18)


def learning_curves(histories: Mapping[str, History], title: str) -> None:
    """Draw training and validation loss by epoch, one panel a run, on one scale."""
    figure, panels = plt.subplots(
        1, len(histories), figsize=(4.5 * len(histories), 3.2), sharey=True
    )
    for axes, (name, history) in zip(np.atleast_1d(panels), histories.items(), strict=True):
        epochs = _of(history, "epoch")
        axes.plot(epochs, _of(history, "train_loss"), "o-", color=_GREY, label="training")
        axes.plot(epochs, _of(history, "validation_loss"), "o-", color=_COLOURS[0], label="October")
        best = min(history, key=lambda each: each["validation_loss"])
        axes.plot(best["epoch"], best["validation_loss"], "o", color=_COLOURS[1], markersize=9)
        axes.set(xlabel="epoch", title=name)
    np.atleast_1d(panels)[0].set_ylabel("cross-entropy")
    np.atleast_1d(panels)[0].legend()
    figure.suptitle(title)


def contestants(scores: Mapping[str, Sequence[float]], label: str, title: str) -> None:
    """Draw the score of each contestant; one with several seeds as points and their mean."""
    _, axes = plt.subplots(figsize=(7, 0.7 + 0.55 * len(scores)))
    for place, values in enumerate(reversed(scores.values())):
        axes.plot(values, [place] * len(values), "o", color=_COLOURS[0], alpha=0.5)
        axes.plot(np.mean(values), place, "|", color="black", markersize=22, markeredgewidth=2)
    axes.set_yticks(range(len(scores)), list(reversed(scores)))
    axes.set(xlabel=label, title=title)
    axes.margins(y=0.25)


def wrong_pictures(
    pictures: np.ndarray, truth: np.ndarray, said: np.ndarray, title: str, shown: int = 8
) -> None:
    """Show pictures (n, side, side) that were taken for something else."""
    wrong = np.flatnonzero(truth != said)[:shown]
    figure, panels = plt.subplots(1, shown, figsize=(9, 1.9))
    for axes in panels:
        axes.axis("off")
    for axes, place in zip(panels, wrong, strict=False):
        axes.imshow(pictures[place], cmap="gray_r")
        axes.set_title(f"{truth[place]}, read as {said[place]}", fontsize=8)
    figure.suptitle(title)


def _of(history: History, name: str) -> list[float]:
    return [each[name] for each in history]
