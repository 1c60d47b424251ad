"""SageMaker Processing: clean and tokenise documents, and join what the AI services have found.

    python3 preprocess_text.py [--data FOLDER] [--enriched FILE] [--output FOLDER]

The defaults are the folders of a processing job. Writes `text.parquet`: one row for each document
that the pipeline has kept.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

JOB = Path("/opt/ml/processing")
SCORES = ("Positive", "Negative", "Neutral", "Mixed")
_TAG, _ADDRESS = re.compile(r"<[^>]+>"), re.compile(r"https?://\S+|\S+@\S+\.\S+")
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)*")


class InputError(Exception):
    """The enrichment or a document is missing or is not what it should be."""


def clean(text: str) -> str:
    """A text without markup, addresses, odd spaces and compatibility forms."""
    text = unicodedata.normalize("NFKC", html.unescape(text))
    text = _ADDRESS.sub(" ", _TAG.sub(" ", text)).replace("\u2019", "'")
    return " ".join(text.split())


def tokens(text: str) -> list[str]:
    """The words and numbers of a text, in lower case: `It's 3.5 stars` → `it's 3.5 stars`."""
    return [token.lower() for token in _TOKEN.findall(text)]


def describe(text: str) -> dict[str, Any]:
    """Features of a text alone: counts, and shares between 0 and 1."""
    words = tokens(text)
    count = max(len(words), 1)
    return {
        "text": text,
        "tokens": " ".join(words),
        "n_tokens": len(words),
        "n_characters": len(text),
        "unique_share": len(set(words)) / count,
        "mean_length": sum(map(len, words)) / count,
        "exclamations": text.count("!"),
        "negations": sum(word in ("not", "no", "never") or word.endswith("n't") for word in words),
    }


def rows(documents: list[dict[str, Any]], data: Path) -> Iterator[dict[str, Any]]:
    """One row for each kept document. Raises InputError if its file is missing or is no text."""
    for document in documents:
        if document["status"] != "kept":
            continue
        path = data / document["key"].partition("/")[2]
        try:
            text = clean(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{document['key']} cannot be read: {error}") from error
        scores = {name.lower(): document["scores"][name] for name in SCORES}
        found = {"sentiment": document["sentiment"], "n_entities": len(document["entities"])}
        yield {"key": document["key"], **describe(text), **scores, **found}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=JOB / "input/data")
    parser.add_argument("--enriched", type=Path, default=JOB / "input/enriched/enriched.json")
    parser.add_argument("--output", type=Path, default=JOB / "output")
    options = parser.parse_args(arguments)
    try:
        documents = json.loads(options.enriched.read_text())["documents"]
        table = pd.DataFrame(rows(documents, options.data))
        if table.empty:
            raise InputError("no document was kept, so there is no table to write")
    except (InputError, OSError, ValueError, KeyError) as error:
        print(f"preprocess_text: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    table.sort_values("key").to_parquet(options.output / "text.parquet", index=False)
    print(f"{len(table)} documents, {table['n_tokens'].sum():,} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
