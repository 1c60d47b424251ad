"""The pictures of notebook 1. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import first_principles as fp
from classic_tables import Table

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"


def loss_surfaces(
    losses: Mapping[str, Callable[[np.ndarray], float]], paths: Mapping[str, np.ndarray], title: str
) -> None:
    """Draw the loss over intercept and slope, and the path that the descent took on it.

    Args:
        losses: by the name of the panel, the loss of an intercept and a slope.
        paths: the steps (steps, 2) of each panel, from (0, 0).
        title: the finding.
    """
    figure, panels = plt.subplots(1, len(losses), figsize=(8.4, 3.4))
    for axes, (name, loss) in zip(np.atleast_1d(panels), losses.items(), strict=True):
        path = paths[name]
        lowest = minimize(loss, path[-1]).x
        half = 1.2 * np.abs(lowest)
        if half[0] < 5 * half[1]:
            half[1] = 0.75 * half[0]  # of one size: let a circle look like one
        intercepts, slopes = (
            np.linspace(middle - each, middle + each, 80)
            for middle, each in zip(lowest / 2, half, strict=True)
        )
        height = np.log([[loss(np.array([a, b])) for a in intercepts] for b in slopes])
        axes.contourf(intercepts, slopes, height, levels=18, cmap="Greys", alpha=0.75)
        axes.plot(*path.T, "o-", color=_ORANGE, markersize=3, linewidth=1.2)
        axes.plot(*lowest, "*", color=_BLUE, markersize=13)
        axes.set(xlabel="intercept")
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
        right_of = value == 0
        left.annotate(
            name, (mine.max() if right_of else mine.min(), value), (8 if right_of else -8, 0),
            textcoords="offset points", color=colour, va="center",
            ha="left" if right_of else "right",
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


def neighbours(scores: Mapping[str, Mapping[int, float]], title: str) -> None:
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


def staircases(road: Table, trees: Mapping[int, fp.Tree], title: str) -> None:
    """Draw what trees say for the hours of a Tuesday in May, over the Tuesdays held out.

    `trees` by depth; `road` is the table of `classic_tables.road_hours`.
    """
    tuesday = np.array([[hour, 1, 0, 150] for hour in range(24)], dtype=float)
    seen = road.y_held_out[road.x_held_out[:, 1] == 1].reshape(-1, 24)
    figure, panels = plt.subplots(1, len(trees), figsize=(8.8, 3), sharey=True)
    for axes, (depth, tree) in zip(np.atleast_1d(panels), trees.items(), strict=True):
        axes.plot(range(24), seen.T, color="#BFBFBF", linewidth=0.5)
        axes.step(range(24), fp.ask(tree, tuesday), where="mid", color=_BLUE)
        axes.set(xlabel="hour of the day", xticks=(0, 6, 12, 18))
        axes.set_title(f"depth {depth}", fontsize=10, fontweight="normal")
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


def centres(runs: Sequence[tuple[np.ndarray, float]], title: str) -> None:
    """Show the centres (k, 64) of runs of k-means as grey pictures, beside the sum they reached."""
    figure, panels = plt.subplots(
        len(runs), len(runs[0][0]), figsize=(8.4, 1.05 * len(runs) + 0.5), squeeze=False
    )
    for line, (pictures, reached) in zip(panels, runs, strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture.reshape(8, 8), cmap="gray_r")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.grid(False)
        line[0].set_ylabel(f"sum {reached:,.0f}", rotation=0, ha="right", va="center")
    figure.suptitle(title, fontweight="bold")


def plane_and_pictures(digits: Table, mean: np.ndarray, components: np.ndarray, title: str) -> None:
    """Draw digits in the plane of two components, and one rebuilt from more and more of them."""
    figure = plt.figure(figsize=(8.4, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1))
    plane, axes = (digits.x - mean) @ components[:2].T, left.subplots()
    for digit in range(10):
        points = plane[digits.y == digit]
        axes.plot(*points.T, ".", color=plt.cm.tab10(digit), markersize=2, alpha=0.6)
        axes.annotate(
            str(digit), np.median(points, axis=0), fontweight="bold", ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "none",
                  "alpha": 0.75},
        )  # fmt: skip
    axes.set(xlabel="first component", ylabel="second component")
    centred = digits.x_held_out[0] - mean
    rebuilt = {
        f"{count} components": mean + centred @ components[:count].T @ components[:count]
        for count in (2, 10, 30)
    }
    rebuilt["the picture"] = digits.x_held_out[0]
    for panel, (name, picture) in zip(right.subplots(2, 2).ravel(), rebuilt.items(), strict=True):
        panel.imshow(picture.reshape(8, 8), cmap="gray_r")
        panel.set_title(name, fontsize=9, fontweight="normal")
        panel.axis("off")
    figure.suptitle(title, fontweight="bold")


def network_learns(losses: Mapping[str, Sequence[float]], weights: np.ndarray, title: str) -> None:
    """Draw the loss by step, and what the 16 strongest hidden units look for.

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
    strongest = weights.T[np.argsort(-np.linalg.norm(weights, axis=0))]
    for panel, unit in zip(right.subplots(4, 4).ravel(), strongest, strict=False):
        panel.imshow(unit.reshape(8, 8), cmap="PuOr", vmin=-limit, vmax=limit)
        panel.axis("off")
    figure.suptitle(title, fontweight="bold")
