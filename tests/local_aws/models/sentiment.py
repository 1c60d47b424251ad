"""How people would feel about an English text: the share that calls it good, bad or neither.

Logistic regression over what VADER's lexicon says of a text (Hutto & Gilbert, ICWSM 2014) and its
words. It was trained by `train_sentiment.py` on the votes of fifteen to twenty readers for each of
15,795 sentences of film reviews and newspaper editorials; so a score of 0.8 means that about eight
in ten readers would say so. The texts themselves are not here, only the coefficients.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import OnDemand, file_in

COEFFICIENTS = Path(__file__).with_name("sentiment.npz")
CLASSES = ("NEGATIVE", "NEUTRAL", "POSITIVE")
# Words in full weight make the model a judge of films: left out of training, editorials are told
# best with half, and tweets do not suffer.
WORD_WEIGHT = 0.5

_LEXICONS = {
    "vader_lexicon.txt": "1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5",
    "emoji_utf8_lexicon.txt": "b8d54223ae1ce22a3e12c1f745316b71678c328eb5f5d3063a842f37cfbe2823",
}
_NEGATIONS = {"not", "no", "never", "without", "hardly", "nothing", "cannot"}
_NEGATED_WORDS = 4
_CLAUSE = re.compile(r"(?<=[.!?;])\s+|\s*\n+\s*|,?\s+(?=(?:but|however|although)\b)", re.I)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[.,;!?:]")


@dataclass(frozen=True)
class Sentiment:
    """Shares of readers, between 0 and 1; the four sum to 1."""

    positive: float
    negative: float
    neutral: float
    mixed: float

    @property
    def prevailing(self) -> str:
        """The class with the highest score."""
        scores = {
            "POSITIVE": self.positive,
            "NEGATIVE": self.negative,
            "NEUTRAL": self.neutral,
            "MIXED": self.mixed,
        }
        return max(scores, key=scores.__getitem__)


def sentiment_of(text: str) -> Sentiment:
    """The sentiment of a text as a whole.

    MIXED is the chance that a reader finds one clause good and another one bad, for the two
    clauses where that chance is highest; the classes share what is left.
    """
    with _model.use() as model:
        whole, *parts = model.shares([text, *clauses(text)])
    mixed = 0.0
    if len(parts) > 1:
        pairs = itertools.permutations(range(len(parts)), 2)
        mixed = float(max(parts[one][2] * parts[other][0] for one, other in pairs))
    negative, neutral, positive = (float(share) * (1 - mixed) for share in whole)
    return Sentiment(positive, negative, neutral, mixed)


def clauses(text: str) -> list[str]:
    """The sentences of a text, cut again where a `but` turns them."""
    return [part for part in _CLAUSE.split(text) if re.search(r"\w", part)][:60]


def words(text: str) -> list[str]:
    """The words of a text in lower case, those that a negation reaches marked with `not_`."""
    found, reach = [], 0
    for word in _WORD.findall(text.lower()):
        if not word[0].isalpha():
            reach = 0
            continue
        found.append(f"not_{word}" if reach > 0 else word)
        negates = word in _NEGATIONS or word.endswith("n't")
        reach = _NEGATED_WORDS if negates else reach - 1
    return found


class Lexicon:
    """VADER, and what it says of a text in numbers."""

    def __init__(self) -> None:
        for name, sha256 in _LEXICONS.items():
            file_in("vaderSentiment", name, sha256)
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self._vader = SentimentIntensityAnalyzer()

    def features(self, text: str) -> list[float]:
        """Twelve numbers: polarity of the text, of its clauses and of its single words."""
        scores = self._vader.polarity_scores(text)
        compound = scores["compound"]
        parts = [self._vader.polarity_scores(part)["compound"] for part in clauses(text)] or [0.0]
        lexicon = self._vader.lexicon
        values = [lexicon[word] for word in re.findall(r"[a-z']+", text.lower()) if word in lexicon]
        return [
            compound,
            abs(compound),
            scores["pos"],
            scores["neg"],
            scores["neu"],
            min(parts),
            max(parts),
            parts[-1],
            float(compound == 0),
            min(sum(value for value in values if value > 0), 12) / 4,
            max(sum(value for value in values if value < 0), -12) / 4,
            min(len(text.split()), 50) / 50,
        ]


class Regression:
    """The trained coefficients, applied."""

    def __init__(self, coefficients: Path = COEFFICIENTS) -> None:
        with np.load(coefficients, allow_pickle=False) as stored:
            arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
        self._mean, self._scale = arrays["mean"], arrays["scale"]
        self._idf, self._intercept = arrays["idf"], arrays["intercept"]
        self._of_features, self._of_words = arrays["of_features"], arrays["of_words"]
        vocabulary = str(arrays["vocabulary"]).split("\n")
        self._position = {word: position for position, word in enumerate(vocabulary)}
        self._lexicon = Lexicon()

    def shares(self, texts: list[str]) -> np.ndarray:
        """One row for each text: the shares of CLASSES, which sum to 1."""
        features = np.array([self._lexicon.features(text) for text in texts])
        scores = (features - self._mean) / self._scale @ self._of_features.T + self._intercept
        scores += np.array([self._score_of_words(text) for text in texts])
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def _score_of_words(self, text: str) -> np.ndarray:
        """TF-IDF with logarithmic counts and length 1, as scikit-learn's TfidfVectorizer has it."""
        known = [self._position[word] for word in words(text) if word in self._position]
        if not known:
            return np.zeros(len(CLASSES))
        positions, counts = np.unique(known, return_counts=True)
        weights = (1 + np.log(counts)) * self._idf[positions]
        weights *= WORD_WEIGHT / np.linalg.norm(weights)
        return self._of_words[:, positions] @ weights


_model = OnDemand(Regression)
