"""Make `rated_opinions.parquet`, the texts that notebook 3 learns from, out of chapter 3's table.

    python make_rated_opinions.py --opinions ../../chapter03/data/opinions.parquet

One row is one text with what its raters said, as a network learns it: the share that called it
negative, neutral and positive, and how strongly they felt, whatever the direction. Same table and
same pyarrow give the same bytes; another pyarrow gives the same values.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
OPINIONS = HERE.parents[1] / "chapter03" / "data" / "opinions.parquet"
OUTPUT = HERE / "rated_opinions.parquet"

LABELS = ("negative", "neutral", "positive")
NEEDED = ("source", "id", "text", "ratings")
# Of twenty parts of the texts, how many are for training, and for validation: 70, 15 and 15 %.
PARTS, TRAIN, VALIDATION = 20, 14, 3

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("id", pa.string()),
        ("text", pa.string()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("shares", pa.list_(pa.float32())),
        ("strength", pa.float32()),
        ("ratings", pa.list_(pa.int8())),
    ]
)


class SourceError(Exception):
    """The table of opinions is missing or is not the one that this script was written for."""


def shares(ratings: Sequence[int]) -> list[float]:
    """The share of raters below, at and above 0."""
    signs = [(rating > 0) - (rating < 0) for rating in ratings]
    return [signs.count(sign) / len(signs) for sign in (-1, 0, 1)]


def label(of_each: Sequence[float]) -> str:
    """The raters' most frequent answer; of equally frequent ones neutral, or else negative."""
    negative, neutral, positive = of_each
    if neutral >= max(negative, positive):
        return "neutral"
    return "positive" if positive > negative else "negative"


def split(text: str) -> str:
    """The part that a text belongs to, by a hash: it never moves, and its repetitions follow it."""
    place = crc32(" ".join(text.lower().split()).encode()) % PARTS
    if place < TRAIN:
        return "train"
    return "validation" if place < TRAIN + VALIDATION else "test"


def make_rated_opinions(path: Path) -> pa.Table:
    """The table, in the order of the source.

    Raises:
        SourceError: the file is missing, lacks a column, or has a text that nobody rated.
    """
    if not path.is_file():
        raise SourceError(f"{path} does not exist; make_opinions.py of chapter 3 makes it")
    table = pq.read_table(path)
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise SourceError(f"{path.name} has no column {', '.join(missing)}")
    rows = []
    for row in table.select(NEEDED).to_pylist():
        if not row["ratings"]:
            raise SourceError(f"nobody rated text {row['id']} of {row['source']}")
        of_each = shares(row["ratings"])
        row |= {"split": split(row["text"]), "shares": of_each, "label": label(of_each)}
        row["strength"] = sum(map(abs, row["ratings"])) / len(row["ratings"])
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write `table` to `path`, which is either the complete new file or still the old one."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        pq.write_table(table, temporary, compression="zstd", compression_level=19)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--opinions", type=Path, default=OPINIONS, help="chapter 3's table")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the Parquet file to write")
    options = parser.parse_args(arguments)
    try:
        if not options.output.parent.is_dir():
            raise SourceError(f"the output folder {options.output.parent} does not exist")
        table = make_rated_opinions(options.opinions)
    except SourceError as error:
        print(f"make_rated_opinions: {error}", file=sys.stderr)
        return 1
    write_parquet(table, options.output)
    print(f"{table.num_rows:,} texts, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
