"""From a text to numbers: cleaning, tokens, words reduced, vectors, a lexicon, and Comprehend."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplemma
import snowballstemmer
from scipy.sparse import issparse
from sklearn.base import TransformerMixin, clone
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, normalize
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

LABELS = ["negative", "neutral", "positive"]
SENTIMENTS = ["Positive", "Negative", "Neutral", "Mixed"]  # as Comprehend names its scores
BATCH = 25  # texts in one request to Comprehend's batch operations
LEXICON = ["neg", "neu", "pos", "compound"]

URL = re.compile(r"https?://\S+|www\.\S+")
MENTION = re.compile(r"@\w+")
EMOTICON = re.compile(r"(?<!\w)[:;=]['-]?[)(DPp/\\|*]+|<3+")
# In this order: emoticons, words with their apostrophes, marks that repeat, any other symbol.
TOKEN = re.compile(rf"{EMOTICON.pattern}|@?\w+(?:['’]\w+)*|[!?]+|\.\.+|[^\w\s.,;:\"'()/-]")
LONG = re.compile(r"([a-z])\1{2,}")

# fmt: off
_CONTRACTIONS = frozenset([
    "ain't", "aren't", "can't", "couldn't", "didn't", "doesn't", "don't", "hadn't", "hasn't",
    "haven't", "isn't", "shouldn't", "wasn't", "weren't", "won't", "wouldn't",
])
NEGATIONS = _CONTRACTIONS | {
    "not", "no", "never", "nor", "none", "nothing", "cannot", "without",
}
# fmt: on
# scikit-learn's list has `not` and `never`, but no contractions; most other lists have both.
STOP_WORDS = ENGLISH_STOP_WORDS | _CONTRACTIONS


def check_texts(texts: Iterable[Any]) -> list[str]:
    """The texts as a list.

    Raises:
        TypeError: if one is no string, as a missing value is none. Decide what a missing text
            means before it becomes features: an empty text, or a row to leave out.
    """
    checked = list(texts)
    for position, text in enumerate(checked):
        if not isinstance(text, str):
            raise TypeError(f"text {position} is {text!r}, not a string; fill or drop it first")
    return checked


def letters_only(text: str) -> str:
    """The cleaning of many tutorials: lower case, and nothing but letters."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def letters_only_words(text: str) -> list[str]:
    """The words that `letters_only` leaves of a text."""
    return letters_only(text).split()


def clean(text: str) -> str:
    """`text` with HTML entities decoded, and each URL and mention turned into a word."""
    text = html.unescape(text)
    return " ".join(MENTION.sub(" @user ", URL.sub(" url ", text)).split())


def tokenize(text: str) -> list[str]:
    """Words in lower case, emoticons as they are, and marks that carry a tone, of a raw text.

    Letters that come three times or more come twice: `sooooo` and `sooo` are one word.
    """
    return list(_tokens(text))


@cache  # texts come again with every fold and every choice
def _tokens(text: str) -> tuple[str, ...]:
    tokens = TOKEN.findall(clean(text))
    return tuple(
        each if EMOTICON.match(each) else LONG.sub(r"\1\1", each.lower()) for each in tokens
    )


def characters(text: str) -> list[str]:
    """Each two, three and four characters in a row of each word, with a space at its ends."""
    return list(_characters(text))


@cache
def _characters(text: str) -> tuple[str, ...]:
    words = [f" {word} " for word in clean(text).lower().split()]
    return tuple(
        word[at : at + size]
        for word in words
        for size in (2, 3, 4)
        for at in range(len(word) - size + 1)
    )


def without(stop_words: Iterable[str]) -> Callable[[str], list[str]]:
    """A function that tokenizes a text and leaves out the stop words."""
    left_out = frozenset(stop_words)
    return lambda text: [each for each in tokenize(text) if each not in left_out]


_STEMMER = snowballstemmer.stemmer("english")


@cache
def stem(word: str) -> str:
    """The word without its endings, by Porter's rules (Snowball English): `easily` → `easili`."""
    return _STEMMER.stemWord(word)


@cache
def lemma(word: str) -> str:
    """The word as a dictionary lists it: `went` → `go`. Unknown words stay as they are."""
    return simplemma.lemmatize(word, lang="en")


def stems(text: str) -> list[str]:
    """The stems of a text's tokens."""
    return [stem(each) for each in tokenize(text)]


def lemmas(text: str) -> list[str]:
    """The lemmas of a text's tokens."""
    return [lemma(each) for each in tokenize(text)]


def with_bigrams(tokens: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """A function that gives the tokens of a text and each two neighbours as one more."""

    def both(text: str) -> list[str]:
        words = tokens(text)
        return [*words, *(" ".join(pair) for pair in zip(words, words[1:], strict=False))]

    return both


def lexicon_scores(texts: Iterable[str]) -> np.ndarray:
    """VADER's four numbers of each text, as LEXICON names them; `compound` lies in [-1, 1].

    A text without a word of the lexicon gets a `compound` of 0, as does an empty text.
    """
    analyzer = SentimentIntensityAnalyzer()
    scores = [analyzer.polarity_scores(html.unescape(text)) for text in check_texts(texts)]
    return np.array([[each[name] for name in LEXICON] for each in scores]).reshape(-1, len(LEXICON))


@dataclass(frozen=True)
class WordVectors:
    """Vectors of words and pieces of words, most frequent first: see data/DATA.md.

    `rows` has the row of each token in `vectors`, an array of shape (tokens, dimensions).
    """

    rows: dict[str, int]
    vectors: np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> WordVectors:
        """Read the file that `make_word_vectors.py` has written."""
        with np.load(path) as file:
            rows = {token: row for row, token in enumerate(file["vocabulary"].tolist())}
            return cls(rows, file["vectors"] * file["step"])

    def pieces(self, text: str) -> list[str]:
        """The text in tokens of the vocabulary: the longest that fits, again and again.

        A piece inside a word begins with `##`. A word that cannot be spelled is left out.
        """
        plain = unicodedata.normalize("NFD", clean(text).lower())
        plain = "".join(each for each in plain if not unicodedata.combining(each))
        words = re.findall(r"\w+|[^\w\s]", plain)
        return [piece for word in words for piece in self._spell(word)]

    def _spell(self, word: str) -> list[str]:
        spelled: list[str] = []
        while word:
            prefix = "##" if spelled else ""
            sizes = range(len(word), 0, -1)
            size = next((size for size in sizes if prefix + word[:size] in self.rows), None)
            if size is None:
                return []
            spelled.append(prefix + word[:size])
            word = word[size:]
        return spelled

    def embed(self, texts: Iterable[str], rarity: float | None = None) -> np.ndarray:
        """The mean of each text's word vectors, of length 1; zeros for a text without words.

        With `rarity`, frequent words count less: a / (a + p) for a word of probability p, here
        by Zipf's law (S. Arora and others, "A simple but tough-to-beat baseline for sentence
        embeddings", ICLR 2017, who take about 0.001).
        """
        weights = np.ones(len(self.rows))
        if rarity is not None:
            probability = 1 / np.arange(1, len(self.rows) + 1)
            weights = rarity / (rarity + probability / probability.sum())
        checked = check_texts(texts)
        sums = np.zeros((len(checked), self.vectors.shape[1]))
        for position, text in enumerate(checked):
            rows = [self.rows[piece] for piece in self.pieces(text)]
            sums[position] = weights[rows] @ self.vectors[rows]
        return normalize(sums)  # of length 1, a sum is a mean

    def nearest(self, word: str, count: int = 5) -> list[str]:
        """The words whose vectors point most nearly where that of `word` does.

        Raises:
            KeyError: if the vocabulary does not have the word.
        """
        if word not in self.rows:
            raise KeyError(f"{word!r} is not in the vocabulary of {len(self.rows):,} tokens")
        unit = normalize(self.vectors)
        near = np.argsort(-(unit @ unit[self.rows[word]]), kind="stable")
        tokens = list(self.rows)
        words = [tokens[row] for row in near if not tokens[row].startswith("##")]
        return words[1 : count + 1]


def load_sentence_vectors(path: Path | str) -> np.ndarray:
    """The vectors of the whole encoder, of length 1, a row for each row of `opinions.parquet`."""
    with np.load(path) as file:
        return normalize(file["vectors"] * file["step"])


def lookup(texts: Sequence[str], features: np.ndarray) -> FunctionTransformer:
    """A transformer that knows the features of these texts, computed once beforehand.

    Only for features that learn nothing from the training texts: others would leak.
    """
    known = dict(zip(texts, features, strict=True))
    return FunctionTransformer(lambda wanted: np.array([known[text] for text in wanted]))


def classifier() -> OneVsRestClassifier:
    """Logistic regression, one for each class; a rare class weighs as much as a frequent one."""
    model = LogisticRegression(C=1.0, class_weight="balanced", solver="liblinear", tol=1e-3)
    return OneVsRestClassifier(model)


@dataclass(frozen=True)
class Result:
    """How the classifier did on some features: macro F1 by fold, answers, how many features."""

    scores: np.ndarray
    predictions: np.ndarray
    size: int
    filled: float

    @property
    def mean(self) -> float:
        """The mean of the folds' scores."""
        return float(self.scores.mean())


def cross_validate(features: TransformerMixin, texts: Sequence[str], labels: Any) -> Result:
    """Fit `features` and the classifier on four fifths of the texts, score on the last; five times.

    The folds are the same in every call, so results may be compared fold by fold. `size` is the
    number of features after fitting on all texts, `filled` the share of values that are not 0.
    """
    texts, labels = np.array(check_texts(texts), dtype=object), np.asarray(labels)
    predictions = np.empty(len(labels), dtype=object)
    for train, test in _folds(labels):
        predictions[test] = fit(features, texts[train], labels[train]).predict(texts[test])
    matrix = clone(features).fit_transform(texts)
    filled = matrix.nnz if issparse(matrix) else np.count_nonzero(matrix)
    return judge(predictions, labels, matrix.shape[1], filled / np.prod(matrix.shape))


def judge(predictions: Any, labels: Any, size: int = 0, filled: float = 0.0) -> Result:
    """The result of predictions that somebody has made, scored on the folds of `cross_validate`."""
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    scores = [macro_f1(labels[test], predictions[test]) for _, test in _folds(labels)]
    return Result(np.array(scores), predictions, size, filled)


def _folds(labels: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return folds.split(np.zeros(len(labels)), labels)


def fit(features: TransformerMixin, texts: Sequence[str], labels: Any) -> Pipeline:
    """A new pipeline of `features` and the classifier, fitted."""
    return make_pipeline(clone(features), classifier()).fit(texts, labels)


def macro_f1(labels: Any, predictions: Any) -> float:
    """The mean of the three classes' F1: a class counts as much as another, however rare."""
    return float(f1_score(labels, predictions, labels=LABELS, average="macro", zero_division=0))


class ComprehendError(Exception):
    """Comprehend has answered some texts of a batch, and not this one."""


def in_batches(
    operation: Callable[..., dict[str, Any]], texts: Iterable[str], **parameters: Any
) -> list[dict[str, Any] | None]:
    """What a batch operation of Comprehend says of each text, in the order of the texts.

    `operation` is a method of the client, as `client.batch_detect_sentiment`. A text without a
    character to read is not sent, as Comprehend would refuse it; its answer is None.

    Raises:
        ComprehendError: if Comprehend could not answer one of the texts. It says so in a list
            beside the results, of a request that has otherwise succeeded.
    """
    checked = check_texts(texts)
    answers: list[dict[str, Any] | None] = [None] * len(checked)
    sent = [position for position, text in enumerate(checked) if text.strip()]
    for start in range(0, len(sent), BATCH):
        some = sent[start : start + BATCH]
        response = operation(TextList=[checked[position] for position in some], **parameters)
        for error in response["ErrorList"]:
            where = some[error["Index"]]
            raise ComprehendError(f"text {where}: {error['ErrorCode']}, {error['ErrorMessage']}")
        for result in response["ResultList"]:
            answers[some[result["Index"]]] = result
    return answers


def sentiment_scores(answers: Iterable[dict[str, Any] | None]) -> np.ndarray:
    """The four scores of each sentiment, in the order of SENTIMENTS; zeros where none was asked."""
    nothing = dict.fromkeys(SENTIMENTS, 0.0)
    scores = [answer["SentimentScore"] if answer else nothing for answer in answers]
    return np.array([[each[name] for name in SENTIMENTS] for each in scores]).reshape(-1, 4)


def sentiment_labels(answers: Iterable[dict[str, Any] | None]) -> np.ndarray:
    """Each sentiment as one of LABELS: without a training text of your own. Mixed is neutral."""
    said = [answer["Sentiment"].lower() if answer else "neutral" for answer in answers]
    return np.array(["neutral" if each == "mixed" else each for each in said])


def count_kinds(answers: Iterable[dict[str, Any] | None], key: str) -> pd.DataFrame:
    """How often each type of entity comes in each text, or how many key phrases.

    `key` is `Entities` or `KeyPhrases`, as in the answer. One column for each type.
    """
    found = [
        [each.get("Type", key) for each in answer[key]] if answer else [] for answer in answers
    ]
    kinds = sorted({kind for one in found for kind in one})
    return pd.DataFrame([[one.count(kind) for kind in kinds] for one in found], columns=kinds)


def comprehend_units(texts: Iterable[str]) -> int:
    """The units that one operation bills: each text in hundreds of characters, three at least.

    Source: Amazon Comprehend pricing, https://aws.amazon.com/comprehend/pricing/
    """
    return sum(max(3, -(-len(text) // 100)) for text in check_texts(texts))
