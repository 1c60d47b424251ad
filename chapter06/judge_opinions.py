"""What raters said of a text, and how the answers of a model compare with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline

import text_model

LABELS = list(text_model.LABELS)
COLUMNS = ["text", "label", "shares", "strength"]  # what a training job needs of an opinion
BATCH = 500  # texts in one request to the endpoint

# epoch=3 train_loss=0.8811 validation_loss=0.9047 validation_f1=0.6745 validation_error=0.4957
_EPOCH = re.compile(r"epoch=(\d+) (train_loss=.*)")
_METRIC = re.compile(r"(\w+)=([-+.\deE]+|nan|inf)")


# ------------------------------------------------------------------------------------ raters


def panel_label(ratings: np.ndarray) -> str:
    """The most frequent answer; of equally frequent ones neutral, or else negative."""
    negative, neutral, positive = (int((np.sign(ratings) == sign).sum()) for sign in (-1, 0, 1))
    if neutral >= max(negative, positive):
        return "neutral"
    return "positive" if positive > negative else "negative"


def one_rater(ratings: Iterable[Sequence[int]], seed: int = 0) -> tuple[list[str], list[str]]:
    """For each text the answer of one rater, drawn at random, and that of all the others.

    Raises:
        ValueError: a text has fewer than two raters.
    """
    random = np.random.default_rng(seed)
    drawn, others = [], []
    for number, given in enumerate(ratings):
        values = np.asarray(given, dtype=int)
        if len(values) < 2:
            raise ValueError(f"text {number} has {len(values)} raters; comparing takes two")
        place = random.integers(len(values))
        drawn.append(LABELS[np.sign(values[place]) + 1])
        others.append(panel_label(np.delete(values, place)))
    return drawn, others


def half_panels(ratings: Iterable[Sequence[int]], seed: int = 0) -> tuple[list[str], list[str]]:
    """For each text the answers of the two halves of its raters, divided at random.

    Raises:
        ValueError: a text has fewer than two raters.
    """
    random = np.random.default_rng(seed)
    halves: tuple[list[str], list[str]] = ([], [])
    for number, given in enumerate(ratings):
        values = random.permutation(np.asarray(given, dtype=int))
        if len(values) < 2:
            raise ValueError(f"text {number} has {len(values)} raters; comparing takes two")
        size = len(values) // 2
        halves[0].append(panel_label(values[:size]))
        halves[1].append(panel_label(values[size : 2 * size]))
    return halves


# ------------------------------------------------------------------------------------ scores


def macro_f1(labels: Sequence[str], answers: Sequence[str]) -> float:
    """The mean of the three classes' F1: a class counts as much as another, however rare."""
    return float(f1_score(labels, answers, labels=LABELS, average="macro", zero_division=0))


def class_f1(labels: Sequence[str], answers: Sequence[str]) -> pd.Series:
    """The F1 of each class, and their mean as `macro`."""
    scores = f1_score(labels, answers, labels=LABELS, average=None, zero_division=0)
    return pd.Series([*scores, scores.mean()], index=[*LABELS, "macro"])


def gains(
    labels: Sequence[str],
    first: Sequence[str],
    second: Sequence[str],
    draws: int = 500,
    seed: int = 0,
) -> np.ndarray:
    """How much more macro F1 `second` has than `first`, on texts drawn with replacement.

    Both answer the same drawn texts each time, so what is easy or hard in a draw is so for both.
    """
    return _drawn_f1(labels, second, draws, seed) - _drawn_f1(labels, first, draws, seed)


def interval(
    labels: Sequence[str], answers: Sequence[str], draws: int = 500, seed: int = 0
) -> tuple[float, float, float]:
    """Macro F1, and the ends of its 95 % interval, from texts drawn with replacement."""
    low, high = np.percentile(_drawn_f1(labels, answers, draws, seed), [2.5, 97.5])
    return macro_f1(labels, answers), float(low), float(high)


def _drawn_f1(labels: Sequence[str], answers: Sequence[str], draws: int, seed: int) -> np.ndarray:
    """Macro F1 of texts drawn with replacement, `draws` times; the same draws for a seed."""
    size = len(LABELS)
    truth, said = (np.searchsorted(LABELS, np.asarray(each, str)) for each in (labels, answers))
    cells = size * truth + said  # of the table of truth by answer
    random = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        rows = random.integers(len(cells), size=len(cells))
        table = np.bincount(cells[rows], minlength=size**2).reshape(size, size)
        both = table.sum(axis=0) + table.sum(axis=1)
        scores.append((2 * table.diagonal() / np.maximum(both, 1)).mean())
    return np.array(scores)


def scores_where(
    chosen: np.ndarray, labels: Sequence[str], answers: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Macro F1 of each one's answers on the texts that are `chosen` (a mask), and on the others."""
    truth = np.asarray(labels)
    return pd.DataFrame(
        {
            name: [macro_f1(truth[rows], np.asarray(said)[rows]) for rows in (chosen, ~chosen)]
            for name, said in answers.items()
        },
        index=[f"{chosen.sum()} such texts", f"{(~chosen).sum()} others"],
    )


# ---------------------------------------------------------------------------------- baseline


def tfidf() -> TfidfVectorizer:
    """Words and pairs of neighbours that occur twice or more, weighed by rarity.

    The words are those that the tokenizer begins with.
    """
    return TfidfVectorizer(
        tokenizer=text_model.words,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 2),
        min_df=2,
        sublinear_tf=True,
    )


def polarity_baseline(class_weight: str | None = "balanced") -> Pipeline:
    """TF-IDF and logistic regression."""
    return make_pipeline(tfidf(), LogisticRegression(class_weight=class_weight, max_iter=500))


def strength_baseline() -> Pipeline:
    """TF-IDF and ridge regression."""
    return make_pipeline(tfidf(), Ridge(alpha=1.0, random_state=0))


# ------------------------------------------------------------------------------- the job's data


def to_lines(opinions: pd.DataFrame) -> str:
    """The opinions as the training script reads them: JSON, one a line.

    Raises:
        ValueError: a column is missing, or there is no opinion.
    """
    missing = [name for name in COLUMNS if name not in opinions.columns]
    if missing:
        raise ValueError(f"the opinions have no column {', '.join(missing)}")
    if opinions.empty:
        raise ValueError("there is no opinion to train on")
    return opinions[COLUMNS].to_json(orient="records", lines=True, force_ascii=False)


def read_epochs(messages: Iterable[str]) -> pd.DataFrame:
    """The metrics that a job has printed: a column for each, indexed by `epoch` from 1.

    Raises:
        ValueError: no line is of an epoch.
    """
    epochs = {
        int(found[1]): {name: float(value) for name, value in _METRIC.findall(found[2])}
        for found in map(_EPOCH.search, messages)
        if found
    }
    if not epochs:
        raise ValueError("the log holds no epoch; did the job get as far as training?")
    return pd.DataFrame.from_dict(epochs, orient="index").rename_axis("epoch").sort_index()


def ask(endpoint: Any, texts: Sequence[str]) -> pd.DataFrame:
    """What an endpoint answers to the texts, a row each: label, strength, a column per class."""
    answers = []
    for start in range(0, len(texts), BATCH):
        body = json.dumps({"texts": list(texts[start : start + BATCH])})
        result = endpoint.invoke(
            body=body, content_type="application/json", accept="application/json"
        )
        answers += json.loads(result.body.read())
    return as_table(answers)


def as_table(answers: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The model's answers as a table: label, strength, and the probability of each class."""
    rows = [{**each["probabilities"], **each} for each in answers]
    return pd.DataFrame(rows, columns=["label", "strength", *LABELS])


def hide_each_token(model: text_model.OpinionModel, text: str, label: str) -> np.ndarray:
    """How much the probability of `label` falls when one token is hidden, for each token."""
    numbers = model.tokenizer.encode(text, model.settings.longest)
    rows = [numbers, *([*numbers[:at], 1, *numbers[at + 1 :]] for at in range(len(numbers)))]
    probabilities = model.probabilities(rows)[:, LABELS.index(label)]
    return probabilities[0] - probabilities[1:]
