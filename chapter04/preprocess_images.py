"""SageMaker Processing: resize pictures, cut them into tiles, and describe each tile by numbers.

    python3 preprocess_images.py [--data FOLDER] [--enriched FILE] [--output FOLDER]

The defaults are the folders of a processing job. Writes `tiles.parquet`, one row for each tile of
each picture that the pipeline has kept, and `pictures.parquet` with labels and lines of text.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

JOB = Path("/opt/ml/processing")
SIDE, TILE = 256, 64  # pixels
BINS = 8


class InputError(Exception):
    """The enrichment or a picture is missing or is not what it should be."""


def load(path: Path) -> np.ndarray:
    """A picture as floats in [0, 1], shape (SIDE, SIDE, 3): its middle square, resized.

    Raises:
        InputError: if the file is no picture.
    """
    try:
        with Image.open(path) as picture:
            square = min(picture.size)
            left, top = ((length - square) // 2 for length in picture.size)
            box = (left, top, left + square, top + square)
            resized = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS, box)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path.name} is no picture: {error}") from error
    return np.asarray(resized, dtype=np.float64) / 255


def tiles(pixels: np.ndarray, side: int = TILE) -> np.ndarray:
    """Cut a picture into tiles that do not overlap: (rows, columns, side, side, 3)."""
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    cut = pixels[: rows * side, : columns * side]
    return cut.reshape(rows, side, columns, side, 3).swapaxes(1, 2)


def describe(tile: np.ndarray) -> np.ndarray:
    """22 numbers: mean and deviation of each colour, brightness and edge histograms.

    The brightness is normalised to mean 0 and deviation 1 before its gradients are taken, so that
    the same thing in the shade has the same edges.
    """
    grey = tile @ np.array([0.299, 0.587, 0.114])
    normal = (grey - grey.mean()) / (grey.std() + 1e-6)
    down, right = np.gradient(normal)
    strength, angle = np.hypot(down, right), np.arctan2(down, right) % np.pi
    edges, _ = np.histogram(angle, bins=BINS, range=(0, np.pi), weights=strength)
    levels, _ = np.histogram(grey, bins=BINS, range=(0, 1), density=False)
    colour = tile.reshape(-1, 3)
    parts = (colour.mean(axis=0), colour.std(axis=0), levels / grey.size, edges / grey.size)
    return np.concatenate(parts)


FEATURES = [
    *(f"mean_{name}" for name in "rgb"),
    *(f"deviation_{name}" for name in "rgb"),
    *(f"level_{n}" for n in range(BINS)),
    *(f"edge_{n}" for n in range(BINS)),
]


def rows(keys: list[str], data: Path) -> Iterator[dict[str, Any]]:
    """One row for each tile of each picture: where it is, and its features."""
    for key in keys:
        for row, line in enumerate(tiles(load(data / key.partition("/")[2]))):
            for column, tile in enumerate(line):
                place = {"key": key, "row": row, "column": column}
                yield place | dict(zip(FEATURES, describe(tile).round(6), strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=JOB / "input/data")
    parser.add_argument("--enriched", type=Path, default=JOB / "input/enriched/enriched.json")
    parser.add_argument("--output", type=Path, default=JOB / "output")
    options = parser.parse_args(arguments)
    try:
        pictures = json.loads(options.enriched.read_text())["pictures"]
        kept = [picture for picture in pictures if picture["status"] == "kept"]
        table = pd.DataFrame(rows(sorted(picture["key"] for picture in kept), options.data))
        if table.empty:
            raise InputError("no picture was kept, so there is no table to write")
    except (InputError, OSError, ValueError, KeyError) as error:
        print(f"preprocess_images: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    table.to_parquet(options.output / "tiles.parquet", index=False)
    seen = pd.DataFrame(kept)[["key", "labels", "lines"]].sort_values("key")
    seen.to_parquet(options.output / "pictures.parquet", index=False)
    print(f"{len(kept)} pictures, {len(table)} tiles")
    return 0


if __name__ == "__main__":
    sys.exit(main())
