"""The pictures of notebook 3."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle


def sheet(pictures: dict[str, np.ndarray], columns: int, title: str) -> np.ndarray:
    """Pictures side by side with their names; returns the axes, row by row."""
    rows = -(-len(pictures) // columns)
    height = 7.2 / columns + 0.25
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.2, min(1.95, height) * rows + 0.4), squeeze=False
    )
    for place in axes.flat:
        place.axis("off")
    for place, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        place.imshow(picture, cmap="gray" if picture.ndim == 2 else None)
        place.set_title(name, fontsize=9, fontweight="normal", loc="center", pad=4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return axes


def digits(pairs: dict[str, np.ndarray], title: str) -> np.ndarray:
    """Rows of small grey pictures: name → count × height × width."""
    count = max(len(pictures) for pictures in pairs.values())
    figure, axes = plt.subplots(
        len(pairs), count, figsize=(7.2, 0.8 * len(pairs) + 0.5), squeeze=False
    )
    for row, (name, pictures) in zip(axes, pairs.items(), strict=True):
        for place, picture in zip(row, pictures, strict=True):
            place.imshow(1 - picture, cmap="gray", vmin=0, vmax=1)
            place.set_xticks([])
            place.set_yticks([])
            place.grid(visible=False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return axes


def augmentation(scores: pd.Series, honest: float, leaking: float, title: str) -> Axes:
    """Accuracy on moved digits by the number of copies, and two ways to measure it.

    Args:
        scores: index copies (0 for the originals), values accuracy.
        honest, leaking: accuracy when digits, or copies, were split at random.
        title: what there is to see.
    """
    _, axes = plt.subplots()
    counts = [f"{copies} moved\n{'copy' if copies == 1 else 'copies'}" for copies in scores.index]
    names = ["originals\nonly", *counts[1:]]
    axes.bar(names, 100 * scores, color="#0072B2", width=0.6)
    for place, value in enumerate(100 * scores):
        axes.annotate(
            f"{value:.0f} %", (place, value), xytext=(0, 3), textcoords="offset points", ha="center"
        )
    axes.bar(
        ["9 copies,\nsplit honestly", "9 copies,\nsplit too late"],
        [100 * honest, 100 * leaking],
        color=["#009E73", "#D55E00"],
        width=0.6,
    )
    for place, value in ((len(scores), honest), (len(scores) + 1, leaking)):
        axes.annotate(
            f"{100 * value:.0f} %",
            (place, 100 * value),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
        )
    axes.set_ylim(0, 108)
    axes.set_ylabel("digits named rightly (%)")
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.set_title(title)
    return axes


def by_dimensions(
    curves: dict[str, pd.DataFrame], levels: dict[str, float], chance: float, title: str
) -> Axes:
    """Accuracy against the number of dimensions.

    Args:
        curves: name → table with index dimensions, columns `mean` and `deviation`.
        levels: name → accuracy of features whose number does not vary.
        chance: the accuracy of guessing.
        title: what there is to see.
    """
    _, axes = plt.subplots()
    for name, table in curves.items():
        (line,) = axes.plot(table.index, 100 * table["mean"], marker="o", label=name)
        low, high = (100 * (table["mean"] + sign * table["deviation"]) for sign in (-1, 1))
        axes.fill_between(table.index, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    for (name, level), color in zip(levels.items(), ("#009E73", "#CC79A7"), strict=False):
        axes.axhline(100 * level, color=color, linestyle=":", label=name)
    axes.axhline(100 * chance, color="#888888", linestyle="--", linewidth=1, label="guessing")
    axes.set_xscale("log", base=2)
    ticks = sorted({d for table in curves.values() for d in table.index})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(25, 60)
    axes.set_xlabel("dimensions")
    axes.set_ylabel("digits named rightly (%)")
    axes.legend(loc="upper left", ncols=2)
    axes.set_title(title)
    return axes


def cuts(change: np.ndarray, starts: np.ndarray, threshold: float, title: str) -> Axes:
    """How much of each frame differs from the one before, and where scenes begin."""
    _, axes = plt.subplots(figsize=(7.2, 2.6))
    axes.fill_between(np.arange(len(change)), 100 * change, color="#0072B2", linewidth=0.8)
    axes.axhline(100 * threshold, color="#888888", linestyle="--", linewidth=1)
    for start in starts[1:]:
        axes.plot(start, 100 * change[start], "v", color="#D55E00", markersize=7)
    axes.set_xlim(0, len(change))
    axes.set_ylim(0, 105)
    axes.set_xlabel("frame")
    axes.set_ylabel("pixels of another colour (%)")
    axes.set_title(title)
    return axes


def boxes(picture: np.ndarray, labels: list[dict], title: str) -> Axes:
    """A picture with a box for each instance that DetectLabels has found."""
    height, width = picture.shape[:2]
    _, axes = plt.subplots(figsize=(5.4, 5.4 * height / width + 0.4))
    axes.imshow(picture)
    axes.axis("off")
    instances = [(label["Name"], each) for label in labels for each in label["Instances"]]
    colours = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7")
    for number, (name, instance) in enumerate(instances):
        box, colour = instance["BoundingBox"], colours[number % len(colours)]
        left, top = box["Left"] * width, box["Top"] * height
        size = box["Width"] * width, box["Height"] * height
        axes.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=colour, lw=2))
        # Boxes of one thing lie upon each other: every second name goes to the lower edge.
        place, align = ((top + 3), "top") if number % 2 == 0 else (top + size[1] - 3, "bottom")
        axes.text(
            left + 3,
            place,
            f"{name} {instance['Confidence']:.0f} %",
            va=align,
            fontsize=9,
            bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": colour, "pad": 2},
        )
    axes.set_title(title)
    return axes
