"""Make the folder `items`: documents, pictures, and the register of who may use them.

    python make_items.py

Documents: sentences of product reviews out of `chapter03/data/opinions.parquet`, a few in other
languages, and some that nobody can use. Pictures: of scikit-image and scikit-learn, smaller, one
label that is drawn, and a file that is no picture. The register has the licence of each. Same
packages give the same pictures; the documents never change.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
OPINIONS = HERE.parents[1] / "chapter03/data/opinions.parquet"
EACH = 16  # documents of each opinion
LONGEST = 288  # pixels of the longer side of a picture
BUSY_EVERY = 8  # one document in so many is refused twice before the register answers

# Written for this chapter, and in the public domain (CC0).
OTHERS = {
    "german-1": "Die Kamera ist leicht, schnell und macht auch abends sehr gute Bilder.",
    "german-2": "Nach zwei Wochen war der Akku kaputt, und niemand hat auf meine Mail geantwortet.",
    "french-1": "Le casque est confortable, mais le son est faible et la notice est incomplète.",
    "no-rights": "A fine little player, and the battery lasts for the whole of a long flight.",
    "empty": "",
}
NOT_UTF8 = "Das Gerät ist für Anfänger schön einfach."  # stored as Latin-1
LABEL = ("EXHIBIT 14", "Pressure suit", "Worn in orbit in April 1990", "Lent by NASA")

CC0, PUBLIC, CC_BY = "CC0-1.0", "public domain", "CC-BY-2.0"
PICTURES: dict[str, tuple[str, str]] = {
    "astronaut": ("skimage", PUBLIC),
    "brick": ("skimage", CC0),
    "chelsea": ("skimage", CC0),
    "coffee": ("skimage", CC0),
    "grass": ("skimage", CC0),
    "gravel": ("skimage", CC0),
    "hubble_deep_field": ("skimage", PUBLIC),
    "retina": ("skimage", CC0),
    "rocket": ("skimage", PUBLIC),
    "china": ("sklearn", CC_BY),
    "flower": ("sklearn", CC_BY),
}


class SourceError(Exception):
    """A source is missing or is not what this script was written for."""


def choose(opinions: pd.DataFrame) -> pd.DataFrame:
    """Clear opinions in whole sentences, EACH good and EACH bad, spread over the reviews.

    Raises:
        SourceError: if there are too few.
    """
    reviews = opinions[opinions["source"] == "amazon"].drop_duplicates("text")
    clear = reviews[reviews["text"].str.len().between(60, 200) & (reviews["score"].abs() >= 1)]
    parts = []
    for label in ("positive", "negative"):
        some = clear[clear["label"] == label]
        if len(some) < EACH:
            raise SourceError(f"only {len(some)} {label} sentences in the opinions, {EACH} needed")
        parts.append(some.sample(EACH, random_state=4))
    return pd.concat(parts).sample(frac=1, random_state=4).reset_index(drop=True)


def write_documents(opinions: pd.DataFrame, folder: Path) -> dict[str, dict[str, object]]:
    """Write all documents; their entries in the register."""
    folder.mkdir(parents=True)
    register: dict[str, dict[str, object]] = {}
    for number, row in choose(opinions).iterrows():
        name = f"review-{number + 1:02}.txt"
        (folder / name).write_text(row["text"].strip() + "\n", "utf-8")
        entry: dict[str, object] = {"licence": "MIT", "opinion": row["label"]}
        register[f"documents/{name}"] = entry | ({} if number % BUSY_EVERY else {"busy": 2})
    for name, text in OTHERS.items():
        (folder / f"{name}.txt").write_text(text, "utf-8")
        if name != "no-rights":
            register[f"documents/{name}.txt"] = {"licence": CC0}
    (folder / "not-utf8.txt").write_bytes(NOT_UTF8.encode("latin-1"))
    register["documents/not-utf8.txt"] = {"licence": CC0}
    return register


def _of_skimage(name: str) -> np.ndarray:
    from skimage import data

    return getattr(data, name)()


def _of_sklearn(name: str) -> np.ndarray:
    from sklearn.datasets import load_sample_image

    return load_sample_image(f"{name}.jpg")


_SOURCES: dict[str, Callable[[str], np.ndarray]] = {"skimage": _of_skimage, "sklearn": _of_sklearn}


def draw_label() -> Image.Image:
    """A printed label, as it stands beside a thing in a museum."""
    picture = Image.new("RGB", (640, 300), "white")
    pen = ImageDraw.Draw(picture)
    for place, line in enumerate(LABEL):
        font = ImageFont.load_default(size=44 if place == 0 else 34)
        pen.text((30, 24 + 66 * place), line, fill="black", font=font)
    return picture


def write_pictures(folder: Path) -> dict[str, dict[str, object]]:
    """Write all pictures as JPEG; their entries in the register."""
    folder.mkdir(parents=True)
    register: dict[str, dict[str, object]] = {}
    for name, (source, licence) in PICTURES.items():
        picture = Image.fromarray(_SOURCES[source](name)).convert("RGB")
        picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        picture.save(folder / f"{name}.jpg", quality=88)
        register[f"pictures/{name}.jpg"] = {"licence": licence}
    draw_label().save(folder / "label.jpg", quality=92)
    register["pictures/label.jpg"] = {"licence": CC0}
    (folder / "not-a-picture.jpg").write_text("The photographer has sent the invoice instead.\n")
    register["pictures/not-a-picture.jpg"] = {"licence": CC0}
    return register


def make(output: Path, opinions: Path = OPINIONS) -> None:
    """Write `documents/`, `pictures/` and `register.json` below a folder, which is made anew.

    Raises:
        SourceError: if the opinions are not there, or too few.
    """
    if not opinions.is_file():
        raise SourceError(f"{opinions} is missing; make it with chapter03/data/make_opinions.py")
    shutil.rmtree(output, ignore_errors=True)
    register = write_documents(pd.read_parquet(opinions), output / "documents")
    register |= write_pictures(output / "pictures")
    text = json.dumps(dict(sorted(register.items())), indent=1)
    (output / "register.json").write_text(text + "\n", "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "items")
    parser.add_argument("--opinions", type=Path, default=OPINIONS)
    options = parser.parse_args(arguments)
    try:
        make(options.output, options.opinions)
    except SourceError as error:
        print(f"make_items: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
