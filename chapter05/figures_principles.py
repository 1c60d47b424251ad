"""The pictures of notebook 1. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"
Predict = Callable[[np.ndarray], np.ndarray]


def loss_surfaces(
    losses: Mapping[str, Callable[[float, float], float]],
    paths: Mapping[str, np.ndarray],
    reach: Mapping[str, tuple[float, float, float, float]],
    title: str,
) -> None:
    """Draw the loss over intercept and slope, and the path that the descent took on it.

    Args:
        losses: by the name of the panel, the loss of an intercept and a slope.
        paths: the steps (steps, 2) of each panel.
        reach: the borders of each panel: lowest and highest intercept, lowest and highest slope.
        title: the finding.
    """
    figure, panels = plt.subplots(1, len(losses), figsize=(8.4, 3.4))
    for axes, (name, loss) in zip(np.atleast_1d(panels), losses.items(), strict=True):
        low, high, bottom, top = reach[name]
        intercepts, slopes = np.linspace(low, high, 80), np.linspace(bottom, top, 80)
        height = np.array([[np.log(loss(a, b)) for a in intercepts] for b in slopes])
        axes.contourf(intercepts, slopes, height, levels=18, cmap="Greys", alpha=0.75)
        axes.plot(*paths[name].T, "o-", color=_ORANGE, markersize=3, linewidth=1.2)
        axes.plot(*paths[name][-1], "*", color=_BLUE, markersize=14)
        axes.set(xlabel="intercept", xlim=(low, high), ylim=(bottom, top))
        axes.set_title(name, fontsize=10, fontweight="normal")
        axes.grid(False)
    np.atleast_1d(panels)[0].set_ylabel("slope")
    figure.suptitle(title, fontweight="bold")


def probabilities(
    scores: np.ndarray, classes: np.ndarray, norms: Mapping[str, np.ndarray], title: str
) -> None:
    """Draw the probability of each score, and how long the weights are after each step.

    `scores` (rows,) are log odds, `classes` (rows,) 0 or 1, `norms` lengths by step.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
    line = np.linspace(scores.min(), scores.max(), 200)
    left.plot(line, 1 / (1 + np.exp(-line)), color=_GREY)
    for value, colour, name in ((0, _ORANGE, "malignant"), (1, _BLUE, "benign")):
        mine = scores[classes == value]
        left.plot(mine, np.full(len(mine), value), "|", color=colour, markersize=14)
        left.annotate(
            name, (0, value), (0, 14 if value == 0 else -22), textcoords="offset points",
            color=colour, ha="center",
        )  # fmt: skip
    left.set(xlabel="score $z$", ylabel="probability of benign")
    for (name, lengths), colour in zip(norms.items(), (_ORANGE, _BLUE), strict=False):
        right.plot(np.arange(1, len(lengths)), lengths[1:], color=colour)
        right.annotate(
            name, (len(lengths), lengths[-1]), (4, 0), textcoords="offset points",
            color=colour, va="center",
        )  # fmt: skip
    right.set(xscale="log", xlabel="steps", ylabel="length of the weights")
    right.set_xlim(1, 60 * max(map(len, norms.values())))
    figure.suptitle(title, fontweight="bold")


def neighbours(scores: Mapping[str, Mapping[int, float]], baseline: float, title: str) -> None:
    """Draw accuracy by the number of neighbours, one line each way to measure distance."""
    _, axes = plt.subplots(figsize=(7.2, 3))
    for colour, (name, by_k) in zip((_ORANGE, _BLUE), scores.items(), strict=False):
        axes.plot(list(by_k), list(by_k.values()), "o-", color=colour)
        axes.annotate(
            name, (max(by_k), by_k[max(by_k)]), (8, 0), textcoords="offset points",
            color=colour, va="center",
        )  # fmt: skip
    every_k = list(next(iter(scores.values())))
    axes.set_xscale("log")
    axes.set_xticks(every_k, every_k)
    axes.minorticks_off()
    axes.set(xlabel="neighbours $k$", ylabel="accuracy, held out", title=title)
    axes.set_xlim(0.9, 2.6 * max(every_k))
    axes.axhline(baseline, color=_GREY, linestyle="--", linewidth=1)
    axes.annotate("always benign", (1, baseline), (0, 5), textcoords="offset points", color=_GREY)


def staircases(
    hours: np.ndarray, seen: np.ndarray, said: Mapping[str, Predict], title: str
) -> None:
    """Draw what models say for the hours of a day over what was counted.

    Args:
        hours: (24, columns) rows of one day; the first column is the hour.
        seen: (days, 24) counts of such days.
        said: models by name, each a function of rows.
        title: the finding.
    """
    figure, panels = plt.subplots(1, len(said), figsize=(8.8, 3), sharey=True)
    for axes, (name, predict) in zip(np.atleast_1d(panels), said.items(), strict=True):
        axes.plot(hours[:, 0], seen.T, color="#BFBFBF", linewidth=0.5)
        axes.step(hours[:, 0], predict(hours), where="mid", color=_BLUE)
        axes.set(xlabel="hour of the day", xticks=(0, 6, 12, 18))
        axes.set_title(name, fontsize=10, fontweight="normal")
    np.atleast_1d(panels)[0].set_ylabel("vehicles an hour")
    figure.suptitle(title, fontweight="bold")


def errors_by_tree(
    errors: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str
) -> None:
    """Draw the error after each tree, one panel a table: learned rows grey, held-out rows blue."""
    figure, panels = plt.subplots(1, len(errors), figsize=(8.4, 3))
    for axes, (name, (learned, held_out)) in zip(
        np.atleast_1d(panels), errors.items(), strict=True
    ):
        axes.plot(learned, color=_GREY, label="learned from")
        axes.plot(held_out, color=_BLUE, label="held out")
        best = int(np.argmin(held_out))
        axes.plot(best, held_out[best], "o", color=_ORANGE)
        axes.annotate(
            f"least after {best + 1} trees", (best, held_out[best]), (0, 12),
            textcoords="offset points", color=_ORANGE, ha="left" if best < 60 else "right",
        )  # fmt: skip
        axes.set(xlabel="trees", ylim=(0, None))
        axes.set_title(name, fontsize=10, fontweight="normal")
    np.atleast_1d(panels)[0].set_ylabel("RMSE")
    np.atleast_1d(panels)[-1].legend()
    figure.suptitle(title, fontweight="bold")


def centres(rows: Mapping[str, np.ndarray], title: str) -> None:
    """Show centres (k, 64) as grey pictures, one row for each name."""
    count = len(next(iter(rows.values())))
    figure, panels = plt.subplots(
        len(rows), count, figsize=(8.4, 1.05 * len(rows) + 0.5), squeeze=False
    )
    for line, (name, pictures) in zip(panels, rows.items(), strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture.reshape(8, 8), cmap="gray_r")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.grid(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.suptitle(title, fontweight="bold")


def plane_and_pictures(
    plane: np.ndarray, classes: np.ndarray, rebuilt: Mapping[str, np.ndarray], title: str
) -> None:
    """Draw rows in the plane of two components, and a picture rebuilt from more and more of them.

    `plane` is (rows, 2), `classes` (rows,) the digit of each, `rebuilt` pictures (64,) by name.
    """
    figure = plt.figure(figsize=(8.4, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1))
    axes = left.subplots()
    for digit in range(10):
        points = plane[classes == digit]
        axes.plot(*points.T, ".", color=plt.cm.tab10(digit), markersize=2, alpha=0.6)
        axes.annotate(
            str(digit), np.median(points, axis=0), fontweight="bold", ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "none",
                  "alpha": 0.75},
        )  # fmt: skip
    axes.set(xlabel="first component", ylabel="second component")
    for panel, (name, picture) in zip(right.subplots(2, 2).ravel(), rebuilt.items(), strict=True):
        panel.imshow(picture.reshape(8, 8), cmap="gray_r")
        panel.set_title(name, fontsize=9, fontweight="normal")
        panel.axis("off")
    figure.suptitle(title, fontweight="bold")


def network_learns(losses: Mapping[str, Sequence[float]], weights: np.ndarray, title: str) -> None:
    """Draw the loss by step, and what 16 hidden units look for.

    `losses` by name have one value a step; `weights` (64, units) are those of the first layer.
    """
    figure = plt.figure(figsize=(8.4, 3.2))
    left, right = figure.subfigures(1, 2, width_ratios=(1.3, 1))
    axes = left.subplots()
    for (name, values), colour in zip(losses.items(), (_GREY, _BLUE), strict=False):
        axes.plot(values, color=colour, label=name)
    axes.set(xlabel="steps", ylabel="cross-entropy", yscale="log")
    axes.legend()
    limit = np.abs(weights).max()
    for panel, unit in zip(right.subplots(4, 4).ravel(), weights.T, strict=False):
        panel.imshow(unit.reshape(8, 8), cmap="PuOr", vmin=-limit, vmax=limit)
        panel.axis("off")
    figure.suptitle(title, fontweight="bold")
