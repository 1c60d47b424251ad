"""How good a linear model is: the metrics that Linear Learner reports, and the best threshold.

Source: "Tune a linear learner model",
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner-tuning.html
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
    from sklearn import metrics

    found = (scores >= threshold).astype(int)
    truth = labels.astype(int)
    precision, recall, f_beta, _ = metrics.precision_recall_fscore_support(
        truth, found, beta=beta, average="binary", zero_division=0
    )
    scored = {
        "binary_classification_accuracy": ("score", float((found == truth).mean())),
        f"binary_f_{beta:.3f}": ("score", float(f_beta)),
        "precision": ("score", float(precision)),
        "recall": ("score", float(recall)),
    }
    if len(numpy.unique(truth)) == 2:  # There is no curve of one class.
        scored["roc_auc_score"] = ("score", float(metrics.roc_auc_score(truth, scores)))
    return scored


def multiclass(probabilities: Array, labels: Array, top_k: int, beta: float) -> Scores:
    """The metrics of a multiclass classifier.

    `dcg` is the mean of 1 / log2(1 + rank) over the rows, where rank is that of the true class.
    """
    from sklearn import metrics

    truth = labels.astype(int)
    found = probabilities.argmax(axis=1)
    true_scores = probabilities[numpy.arange(len(truth)), truth]
    ranks = 1 + (probabilities > true_scores[:, None]).sum(axis=1)
    precision, recall, f_beta, _ = metrics.precision_recall_fscore_support(
        truth, found, beta=beta, average="macro", zero_division=0
    )
    return {
        "multiclass_accuracy": ("score", float((found == truth).mean())),
        f"multiclass_top_k_accuracy_{top_k}": ("score", float((ranks <= top_k).mean())),
        "dcg": ("score", float((1 / numpy.log2(1 + ranks)).mean())),
        "macro_recall": ("score", float(recall)),
        "macro_precision": ("score", float(precision)),
        f"macro_f_{beta:.3f}": ("score", float(f_beta)),
    }


def best_threshold(scores: Array, labels: Array, settings: dict[str, Any]) -> tuple[float, float]:
    """The threshold that serves `binary_classifier_model_selection_criteria` best.

    Args:
        scores: of the calibration rows; labels: 0 or 1.
        settings: Linear Learner's hyperparameters.

    Returns:
        The threshold, in the middle between two scores, and the criterion there; more is better.
    """
    order = numpy.argsort(-scores, kind="stable")
    ranked, truth = scores[order], labels[order]
    # One candidate for each number of rows called 1, where the scores differ; and none at all.
    last = numpy.flatnonzero(numpy.diff(ranked, append=-numpy.inf))
    found = numpy.concatenate([[0], last + 1])
    hits = numpy.concatenate([[0.0], truth.cumsum()[last]])
    positives = float(truth.sum())
    value = _criterion(found, hits, positives, float(len(truth)), settings)
    best = int(value.argmax())
    return _between(ranked, int(found[best])), float(value[best])


def _criterion(
    found: Array, hits: Array, positives: float, total: float, settings: dict[str, Any]
) -> Array:
    recall = hits / max(positives, 1.0)
    precision = hits / numpy.maximum(found, 1)
    criterion = settings["binary_classifier_model_selection_criteria"]
    if criterion == "accuracy":
        return (total - found - positives + 2 * hits) / total
    if criterion in ("f_beta", "f1"):
        square = 1.0 if criterion == "f1" else settings["f_beta"] ** 2
        return (1 + square) * hits / numpy.maximum(found + square * positives, 1e-12)
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
