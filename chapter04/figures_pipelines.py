"""The pictures of the notebook on orchestration."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

# Okabe and Ito's colours, by what a state does.
COLOURS = {"Task": "#0072B2", "Parallel": "#CC79A7", "Map": "#E69F00", "other": "#555555"}


def contact_sheet(folder: Path, columns: int = 7) -> None:
    """All files of a folder as small pictures; one that is none is shown as an empty frame."""
    paths = sorted(folder.iterdir())
    rows = -(-len(paths) // columns)
    _, axes = plt.subplots(rows, columns, figsize=(7.2, 1.35 * rows))
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, path in zip(axes.flat, paths, strict=False):
        axis.set_title(path.stem.replace("_", " "), fontsize=6.5, loc="center", pad=3, weight=400)
        try:
            with Image.open(path) as picture:
                axis.imshow(picture.convert("RGB"))
        except UnidentifiedImageError:
            axis.set_axis_on()
            axis.set(xticks=[], yticks=[], facecolor="#F3F3F3", aspect="equal")
            axis.grid(False)
            axis.text(0.5, 0.5, "?", ha="center", va="center", transform=axis.transAxes)


def timeline(times: pd.DataFrame, order: list[str], title: str) -> None:
    """When each state ran: a line for each state, a bar for each time it was entered.

    Args:
        times: as `pipelines.state_times` gives it.
        order: the names of the states, from top to bottom; those that never ran are left out.
        title: the finding.
    """
    ran = set(times["state"])
    places = {name: place for place, name in enumerate(name for name in order if name in ran)}
    _, axis = plt.subplots(figsize=(7.2, 0.19 * len(places) + 0.9))
    kinds = times["type"].where(times["type"].isin(COLOURS), "other")
    shown = max(times["end"].max() / 400, 1e-3)  # what is shorter would not be seen
    for kind, rows in times.assign(kind=kinds).groupby("kind"):
        axis.barh(
            [places[name] for name in rows["state"]],
            np.maximum(rows["end"] - rows["begin"], shown),
            left=rows["begin"],
            height=0.62,
            color=COLOURS[kind],
            alpha=0.55,
            label=kind,
        )
    axis.set_yticks(range(len(places)), list(places), fontsize=7)
    axis.set(xlabel="seconds since the start", title=title)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.legend(loc="lower left", ncols=4)


def scores(table: pd.DataFrame) -> None:
    """What the service says of each document against what people said of it.

    Args:
        table: columns `positive`, `negative` (scores in [0, 1]) and `opinion`.
    """
    _, axis = plt.subplots(figsize=(5.2, 3.2))
    marks = {"positive": ("o", "#0072B2"), "negative": ("X", "#D55E00")}
    for opinion, (marker, colour) in marks.items():
        some = table[table["opinion"] == opinion]
        axis.scatter(
            some["negative"], some["positive"], marker=marker, color=colour, alpha=0.75,
            label=f"people say {opinion}",
        )  # fmt: skip
    axis.plot([0, 1], [0, 1], color="#AAAAAA", linewidth=1, linestyle="--")
    axis.set(
        xlabel="score Negative",
        ylabel="score Positive",
        title="Good reviews lie above the line, bad ones below it",
    )
    axis.legend()


def search_results(folder: Path, queries: pd.DataFrame, side: int = 256) -> None:
    """Tiles that were asked for, and below each the tile that was found.

    Args:
        folder: of the pictures.
        queries: columns `key`, `row`, `column`, `found_key`, `found_row`, `found_column`.
        side: of the squares that the tiles were cut out of, in pixels.
    """
    _, axes = plt.subplots(2, len(queries), figsize=(7.2, 2.5))
    for place, query in enumerate(queries.itertuples()):
        right = query.key == query.found_key
        for axis, tile in (
            (axes[0, place], (query.key, query.row, query.column)),
            (axes[1, place], (query.found_key, query.found_row, query.found_column)),
        ):
            axis.imshow(_tile(folder, *tile, side))
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            name = Path(tile[0]).stem.replace("_deep_field", "")
            axis.set_title(name, fontsize=7, loc="center", pad=3, weight=400)
        for spine in axes[1, place].spines.values():
            spine.set(visible=True, color="#009E73" if right else "#D55E00", linewidth=2.5)
    axes[0, 0].set_ylabel("asked")
    axes[1, 0].set_ylabel("found")


def _tile(folder: Path, key: str, row: int, column: int, side: int) -> np.ndarray:
    with Image.open(folder / key) as picture:
        square = min(picture.size)
        left, top = ((length - square) // 2 for length in picture.size)
        box = (left, top, left + square, top + square)
        pixels = np.asarray(picture.convert("RGB").resize((side, side), box=box))
    size = side // 4
    return pixels[row * size : (row + 1) * size, column * size : (column + 1) * size]
