"""How good a linear model is: the metrics that Linear Learner reports, and the best threshold.

Source: "Tune a linear learner model",
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner-tuning.html. Computed without
scikit-learn, which takes longer to import than most jobs take to train; a test holds the results
against it.
"""

from __future__ import annotations

from typing import Any

import numpy

Array = numpy.ndarray
Scores = dict[str, tuple[str, float]]


def regression(predictions: Array, targets: Array) -> Scores:
    """The metrics of a regression."""
    errors = predictions - targets
    return {
        "mse": ("loss", float((errors**2).mean())),
        "absolute_loss": ("loss", float(numpy.abs(errors).mean())),
    }


def binary(scores: Array, labels: Array, threshold: float, beta: float) -> Scores:
    """The metrics of a binary classifier that calls 1 what scores at least the threshold."""
    called = scores >= threshold
    found, hits, positives = float(called.sum()), float(labels[called].sum()), float(labels.sum())
    scored = {
        "binary_classification_accuracy": ("score", float((called == (labels == 1)).mean())),
        f"binary_f_{beta:.3f}": ("score", float(_f_score(hits, found, positives, beta))),
        "precision": ("score", hits / max(found, 1.0)),
        "recall": ("score", hits / max(positives, 1.0)),
    }
    if 0 < positives < len(labels):  # There is no curve of one class.
        scored["roc_auc_score"] = ("score", _area(scores, labels))
    return scored


def multiclass(probabilities: Array, labels: Array, top_k: int, beta: float) -> Scores:
    """The metrics of a multiclass classifier; macro: the mean over the classes that appear.

    `dcg` is the mean of 1 / log2(1 + rank) over the rows, where rank is that of the true class.
    """
    truth, called = labels.astype(int), probabilities.argmax(axis=1)
    true_scores = probabilities[numpy.arange(len(truth)), truth]
    ranks = 1 + (probabilities > true_scores[:, None]).sum(axis=1)
    classes = probabilities.shape[1]
    found, positives, hits = (
        numpy.bincount(each, minlength=classes).astype(float)
        for each in (called, truth, truth[called == truth])
    )
    appear = (found > 0) | (positives > 0)
    found, positives, hits = found[appear], positives[appear], hits[appear]
    return {
        "multiclass_accuracy": ("score", float((called == truth).mean())),
        f"multiclass_top_k_accuracy_{top_k}": ("score", float((ranks <= top_k).mean())),
        "dcg": ("score", float((1 / numpy.log2(1 + ranks)).mean())),
        "macro_recall": ("score", float((hits / numpy.maximum(positives, 1)).mean())),
        "macro_precision": ("score", float((hits / numpy.maximum(found, 1)).mean())),
        f"macro_f_{beta:.3f}": ("score", float(_f_score(hits, found, positives, beta).mean())),
    }


def best_threshold(scores: Array, labels: Array, settings: dict[str, Any]) -> tuple[float, float]:
    """The threshold that serves `binary_classifier_model_selection_criteria` best.

    Args:
        scores: of the calibration rows; labels: 0 or 1.
        settings: Linear Learner's hyperparameters.

    Returns:
        The threshold, in the middle between two scores, and the criterion there; more is better.
    """
    ranked, found, hits = _ranking(scores, labels)
    value = _criterion(found, hits, float(labels.sum()), float(len(labels)), settings)
    best = int(value.argmax())
    return _between(ranked, int(found[best])), float(value[best])


def _ranking(scores: Array, labels: Array) -> tuple[Array, Array, Array]:
    """The scores from the highest down, and what the thresholds between them give.

    Returns:
        The scores; for each threshold, from one that calls no row 1 to one that calls all so, the
        number of rows that it calls 1, and how many of these are.
    """
    order = numpy.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = numpy.flatnonzero(numpy.diff(ranked, append=-numpy.inf))  # of rows of equal score
    found = numpy.concatenate([[0], last + 1])
    return ranked, found, numpy.concatenate([[0.0], labels[order].cumsum()[last]])


def _area(scores: Array, labels: Array) -> float:
    """The area under the receiver operating characteristic."""
    _, found, hits = _ranking(scores, labels)
    wrong = found - hits
    steps = numpy.diff(wrong) * (hits[1:] + hits[:-1]) / 2
    return float(steps.sum() / (hits[-1] * wrong[-1]))


def _f_score(hits: Any, found: Any, positives: Any, beta: float) -> Any:
    """The F score of numbers or arrays; 0 where there is nothing to find and nothing found."""
    square = beta**2
    return (1 + square) * hits / numpy.maximum(found + square * positives, 1e-12)


def _criterion(
    found: Array, hits: Array, positives: float, total: float, settings: dict[str, Any]
) -> Array:
    recall = hits / max(positives, 1.0)
    precision = hits / numpy.maximum(found, 1)
    criterion = settings["binary_classifier_model_selection_criteria"]
    if criterion == "accuracy":
        return (total - found - positives + 2 * hits) / total
    if criterion in ("f_beta", "f1"):
        beta = 1.0 if criterion == "f1" else settings["f_beta"]
        return _f_score(hits, found, positives, beta)
    if criterion == "precision_at_target_recall":
        return numpy.where(recall >= settings["target_recall"], precision, recall - 1)
    # Recall at the target precision; where the target is out of reach, the best precision.
    reached = (precision >= settings["target_precision"]) & (found > 0)
    return numpy.where(reached, recall, precision - 1)


def _between(ranked: Array, found: int) -> float:
    """A threshold that so many of the ranked scores reach."""
    if found == 0:
        return float(numpy.nextafter(ranked[0], numpy.inf))
    if found == len(ranked):
        return float(ranked[-1])
    return float((ranked[found - 1] + ranked[found]) / 2)
