"""The pictures of notebook 3."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
GREY, LIGHT_BLUE = "#888888", "#56B4E9"
WIDTH = 7.2  # inches


def sheet(
    pictures: dict[str, np.ndarray], columns: int, title: str, rows_named: tuple[str, ...] = ()
) -> np.ndarray:
    """Pictures side by side with their names; returns the axes, row by row.

    Args:
        pictures: name → height × width, or height × width × 3.
        columns: pictures in a row.
        title: what there is to see.
        rows_named: a name for each row, written to its left.
    """
    rows = -(-len(pictures) // columns)
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures.values())
    room = WIDTH - (0.9 if rows_named else 0)
    size = (WIDTH, rows * (room / columns * tallest + 0.27) + 0.35)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for place in axes.flat:
        _bare(place, framed=False)
    for place, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        place.imshow(picture, cmap="gray" if picture.ndim == 2 else None)
        place.set_title(name, fontsize=9, fontweight="normal", loc="center", pad=4)
    for row, name in zip(axes, rows_named, strict=False):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    _heading(figure, title)
    return axes


def digits(rows: dict[str, np.ndarray], title: str) -> np.ndarray:
    """Rows of small grey pictures: name → count × height × width."""
    count = max(len(pictures) for pictures in rows.values())
    size = (WIDTH, 0.68 * len(rows) + 0.35)
    figure, axes = plt.subplots(len(rows), count, figsize=size, squeeze=False)
    for row, (name, pictures) in zip(axes, rows.items(), strict=True):
        for place, picture in zip(row, pictures, strict=True):
            place.imshow(1 - picture, cmap="gray", vmin=0, vmax=1)
            _bare(place, framed=True)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    _heading(figure, title)
    return axes


def augmentation(scores: pd.Series, early: float, late: float, title: str) -> Axes:
    """Accuracy on moved digits by the number of copies, and two estimates of it for nine copies.

    Args:
        scores: index copies (0 for the originals, and 9 among them), values accuracy.
        early, late: accuracy estimated after a split before, and after, copying.
        title: what there is to see.
    """
    _, axes = plt.subplots()
    copies = [f"{count}\n{'copy' if count == 1 else 'copies'}" for count in scores.index]
    places = np.append(np.arange(len(scores)), [len(scores) + 0.6, len(scores) + 1.6])
    values = 100 * np.append(scores.to_numpy(), [early, late])
    axes.bar(places, values, color=[BLUE] * len(scores) + [GREEN, RED], width=0.66)
    for place, value in zip(places, values, strict=True):
        axes.text(place, value - 7, f"{value:.0f} %", ha="center", va="center", color="white")
    truth, end = 100 * scores[9], places[-1] + 0.4
    start = list(scores.index).index(9) + 0.33
    axes.plot([start, end], [truth, truth], color="black", linestyle=":", linewidth=1.2)
    axes.text(places[-1] - 0.5, 101, "estimated for 9", ha="center")
    axes.set_xticks(places, ["originals\nonly", *copies[1:], "split\nfirst", "split\nlate"])
    axes.set_ylim(0, 108)
    axes.set_ylabel("digits named rightly (%)")
    axes.grid(axis="x", visible=False)
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
    _, axes = plt.subplots(figsize=(WIDTH, 3.8))
    for (name, table), color in zip(curves.items(), (ORANGE, BLUE), strict=False):
        x = table.index.to_numpy()
        axes.plot(x, 100 * table["mean"], marker="o", color=color)
        low, high = (100 * (table["mean"] + sign * table["deviation"]) for sign in (-1, 1))
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
        middle = x[len(x) // 2]
        # Below a curve that rises, above one that has other lines below it.
        height = 100 * table["mean"].iloc[len(x) // 2] + (-8 if color == ORANGE else 4)
        axes.text(middle, height, name, color=color, ha="center", fontweight="bold")
    last = max(table.index.max() for table in curves.values())
    for name, level in {**levels, "guessing": chance}.items():
        axes.axhline(100 * level, color=GREY, linestyle=":", linewidth=1.3)
        # What stands near guessing is written above its line, guessing below.
        align = "top" if name == "guessing" else "baseline"
        axes.text(last * 1.25, 100 * level, name, va=align, color="#333333", fontsize=9)
    axes.set_xscale("log", base=2)
    ticks = sorted({d for table in curves.values() for d in table.index})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(20, 100)
    axes.set_xlim(min(ticks) * 0.85, last * 1.18)
    axes.set_xlabel("dimensions")
    axes.set_ylabel("digits named rightly (%)")
    axes.set_title(title)
    return axes


def cuts(
    series: dict[str, np.ndarray], truth: list[int], threshold: float, title: str
) -> np.ndarray:
    """How much of each frame differs from an earlier one, and where scenes really begin.

    Args:
        series: what each frame is compared with → change, one value for each frame.
        truth: the frames at which a scene begins.
        threshold: of the change.
        title: what there is to see.
    """
    size = (WIDTH, 1.5 * len(series) + 0.6)
    figure, axes = plt.subplots(len(series), 1, figsize=size, sharex=True, squeeze=False)
    for place, (name, change) in zip(axes.flat, series.items(), strict=True):
        steps = np.arange(len(change))
        place.fill_between(steps, 100 * change, step="mid", color=BLUE, linewidth=0)
        place.axhline(100 * threshold, color=GREY, linestyle="--", linewidth=1)
        place.plot(truth, np.full(len(truth), 108), "v", color=RED, markersize=7, clip_on=False)
        place.set_xlim(0, len(change))
        place.set_ylim(0, 105)
        place.set_yticks([0, 50, 100])
        place.set_title(name, fontsize=10, fontweight="normal", pad=9)
    axes[-1, 0].set_xlabel("frame (triangles: a scene begins)")
    figure.supylabel("pixels of another colour (%)", fontsize=10, color="#333333")
    _heading(figure, title)
    return axes


def boxes(picture: np.ndarray, labels: list[dict], title: str) -> Axes:
    """A picture with a box for each instance that DetectLabels has found."""
    height, width = picture.shape[:2]
    _, axes = plt.subplots(figsize=(5.4, 5.4 * height / width + 0.4))
    axes.imshow(picture)
    axes.axis("off")
    instances = [(label["Name"], each) for label in labels for each in label["Instances"]]
    colours = (ORANGE, LIGHT_BLUE, GREEN, PINK)
    for number, (name, instance) in enumerate(instances):
        box, colour = instance["BoundingBox"], colours[number % len(colours)]
        left, top = box["Left"] * width, box["Top"] * height
        size = box["Width"] * width, box["Height"] * height
        axes.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=colour, lw=2))
        # Boxes of one thing lie upon each other: names go to the left and to the right in turn.
        place, align = (left, "right") if number % 2 == 0 else (left + size[0], "left")
        axes.text(
            place,
            top + 14 + 24 * (number // 2),
            f" {name} {instance['Confidence']:.0f} % ",
            ha=align,
            va="center",
            fontsize=10,
            bbox={"facecolor": colour, "edgecolor": colour, "pad": 2},
        )
    axes.set_title(title)
    return axes


def thresholds(counts: pd.DataFrame, title: str) -> Axes:
    """How many labels are kept at each confidence, and how many of them are right.

    Args:
        counts: index least confidence in percent, columns `right` and `wrong`.
        title: what there is to see.
    """
    _, axes = plt.subplots(figsize=(WIDTH, 3.0))
    places = np.arange(len(counts))
    axes.bar(places, counts["right"], color=BLUE, width=0.66, label="right")
    axes.bar(places, counts["wrong"], bottom=counts["right"], color=RED, width=0.66, label="wrong")
    for place, (right, wrong) in enumerate(counts[["right", "wrong"]].to_numpy()):
        if right + wrong:
            share = f"{right / (right + wrong):.0%}"
            axes.text(place, right + wrong + 0.8, share, ha="center", fontsize=9)
    axes.set_xticks(places, [str(each) for each in counts.index])
    axes.set_ylim(0, 1.12 * counts.sum(axis=1).max())
    axes.set_xlabel("least confidence (%); above each bar, the share that is right")
    axes.set_ylabel("labels kept")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper right")
    axes.set_title(title)
    return axes


def features(table: pd.DataFrame, title: str) -> Axes:
    """A table of confidences between 0 and 1, darker where it is surer; empty cells are 0."""
    rows, columns = table.shape
    _, axes = plt.subplots(figsize=(WIDTH, 0.34 * rows + 1.2))
    axes.imshow(table, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for row in range(rows):
        for column in range(columns):
            value = table.iat[row, column]
            if value:
                color = "white" if value > 0.6 else "black"
                axes.text(
                    column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=9
                )
    axes.set_xticks(range(columns), table.columns, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(rows), [str(each) for each in table.index])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_title(title)
    return axes


def _bare(axes: Axes, framed: bool) -> None:
    """No ticks and no grid; a thin frame, or none."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(framed)
        side.set_color("#BBBBBB")


def _heading(figure: plt.Figure, title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
