"""The pictures of notebook 1. Each function draws one figure for the notebook to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

BLUE, ORANGE, GREY, GREEN = "#0072B2", "#E69F00", "#8C8C8C", "#009E73"


def _points(axes: plt.Axes, x: np.ndarray, y: np.ndarray, size: float = 24) -> None:
    for label, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "s")):
        chosen = y == label
        axes.scatter(x[chosen, 0], x[chosen, 1], s=size, c=colour, marker=marker, edgecolor="white")


def lines(panels: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], title: str) -> None:
    """Draw two problems side by side with the line that a perceptron found; it says 1 where shaded.

    A panel is a name, examples of shape (n, 2), labels, and weights with the bias last.
    """
    figure, both = plt.subplots(1, len(panels), figsize=(7.2, 3.2))
    for axes, (name, x, y, weights) in zip(both, panels, strict=True):
        _points(axes, x, y, 24 if len(x) > 4 else 120)
        margin = 0.15 * np.ptp(x, axis=0)
        low, high = x.min(axis=0) - margin, x.max(axis=0) + margin
        if abs(weights[1]) > 1e-12:
            ends = np.array([low[0], high[0]])
            axes.plot(ends, -(weights[0] * ends + weights[2]) / weights[1], color="#333333")
        elif weights[0]:
            axes.axvline(-weights[2] / weights[0], color="#333333")
        across, up = (np.linspace(low[k], high[k], 200) for k in (0, 1))
        sums = weights[0] * across + weights[1] * up[:, None] + weights[2]
        axes.contourf(across, up, sums > 0, levels=[0.5, 1.5], colors=[ORANGE], alpha=0.15)
        axes.set(title=name, xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    both[0].set(xlabel="petal length (cm)", ylabel="petal width (cm)")
    both[1].set(xlabel="first input", ylabel="second input", xticks=[0, 1], yticks=[0, 1])
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def bend(
    x: np.ndarray,
    y: np.ndarray,
    probability: Callable[[np.ndarray], np.ndarray],
    losses: Sequence[float],
    title: str,
) -> None:
    """Draw the loss over the steps, and what the network thinks of the plane."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2))
    left.plot(losses, color=BLUE)
    left.set(xlabel="steps of gradient descent", ylabel="cross-entropy", ylim=(0, None))
    grid = np.linspace(-0.4, 1.4, 90)
    plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    shades = right.contourf(
        grid, grid, probability(plane).reshape(90, 90), levels=np.linspace(0, 1, 11), cmap="cividis"
    )
    _points(right, x, y, 120)
    right.set(xlabel="first input", ylabel="second input", xticks=[0, 1], yticks=[0, 1])
    right.grid(visible=False)
    figure.colorbar(shades, ax=right, label="probability of 1", format=PercentFormatter(1, 0))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def boosting(
    seen: np.ndarray, unseen: np.ndarray, test: Mapping[str, float], unit: str, title: str
) -> None:
    """Draw the error over the number of trees, and beside it the test error of each method.

    `seen` and `unseen` have a row a trial and a column a tree. Trials are thin, their mean bold.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.4), width_ratios=[1.7, 1])
    trees = np.arange(1, seen.shape[1] + 1)
    for rows, colour, name in (
        (seen, GREY, "data it learned from"),
        (unseen, BLUE, "unseen data"),
    ):
        left.plot(trees, rows.T, color=colour, linewidth=0.6, alpha=0.35)
        left.plot(trees, rows.mean(axis=0), color=colour, label=name)
    best = int(unseen.mean(axis=0).argmin())
    lowest = unseen.mean(axis=0)[best]
    left.plot(best + 1, lowest, "o", color=BLUE)
    left.annotate(
        f"least: {best + 1} trees", (best + 1, lowest), xytext=(0, -20),
        textcoords="offset points", ha="center", color=BLUE, fontweight="bold",
    )  # fmt: skip
    left.set(xlabel="trees", ylabel=f"root mean squared error ({unit})")
    left.legend(loc="upper right")
    colours = [BLUE if name == "boosted trees" else GREY for name in test]
    bars = right.bar(range(len(test)), list(test.values()), 0.7, color=colours)
    right.bar_label(bars, [f"{value:.0f}" for value in test.values()], padding=2, fontsize=9)
    right.set_xticks(range(len(test)), [name.replace(" ", "\n") for name in test], fontsize=9)
    right.set(xlabel="on the test data", ylim=(0, 1.12 * max(test.values())))
    right.grid(axis="x", visible=False)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def edges(picture: np.ndarray, filtered: Mapping[str, np.ndarray], title: str) -> None:
    """Draw a picture and what kernels find in it."""
    figure, panels = plt.subplots(1, 1 + len(filtered), figsize=(7.2, 2.4))
    for axes, (name, image) in zip(panels, {"picture": picture, **filtered}.items(), strict=True):
        axes.imshow(image if name == "picture" else np.abs(image), cmap="gray")
        axes.set_title(name, fontsize=9)
        axes.axis("off")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def shifted(accuracies: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Draw the accuracy of each of three networks on digits in place and moved, side by side."""
    _, axes = plt.subplots()
    moves = list(next(iter(accuracies.values())))
    places = np.arange(len(moves))
    for (name, values), offset, colour in zip(
        accuracies.items(), (-0.28, 0, 0.28), (GREY, ORANGE, BLUE), strict=True
    ):
        bars = axes.bar(places + offset, list(values.values()), 0.27, color=colour, label=name)
        axes.bar_label(bars, [f"{value:.0%}" for value in values.values()], padding=2, fontsize=8)
    axes.set_xticks(places, moves)
    axes.set(title=title, ylabel="digits recognised", ylim=(0, 1.25), xlim=(-0.5, len(moves) - 0.5))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=3, loc="upper right")


def attention(weights: np.ndarray, keys: Sequence[int], title: str) -> None:
    """Draw the weight that each place gets (columns) when each key is asked for (rows)."""
    _, axes = plt.subplots(figsize=(7.2, 3.8))
    picture = axes.imshow(weights, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(keys)), [f"{key}" for key in keys])
    axes.set_yticks(range(len(keys)), [f"{key}" for key in keys])
    axes.set(
        title=title, xlabel="key at this place of the sequence", ylabel="key that is asked for"
    )
    axes.grid(visible=False)
    plt.colorbar(picture, ax=axes, label="attention").outline.set_visible(False)


def years(events: Sequence[tuple[int, str, str]], title: str) -> None:
    """Draw dated events (year, name, family) on a line, labels in turn on four levels.

    A family is a line of thought; at most three, each with its colour and mark.
    """
    _, axes = plt.subplots(figsize=(7.2, 3.4))
    axes.axhline(0, color="#333333", linewidth=1)
    looks = zip((BLUE, ORANGE, GREEN), "os^", strict=True)
    families = dict(zip(dict.fromkeys(family for *_, family in events), looks, strict=False))
    for family, (colour, marker) in families.items():
        years_of = [year for year, _, name in events if name == family]
        axes.plot(years_of, [0] * len(years_of), marker, color=colour, label=family, markersize=7)
    label = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    for number, (year, name, _) in enumerate(events):
        level = (1.0, -1.0, 2.3, -2.3)[number % 4]
        axes.plot([year, year], [0, level], color=GREY, linewidth=0.8, zorder=0)
        side = "bottom" if level > 0 else "top"
        axes.text(year, level, f"{year}\n{name}", ha="center", va=side, fontsize=8.5, bbox=label)
    axes.set(xlim=(1952, 2026), ylim=(-3.6, 3.8))
    axes.set_title(title)
    axes.legend(loc="upper left", borderaxespad=0)
    axes.axis("off")
