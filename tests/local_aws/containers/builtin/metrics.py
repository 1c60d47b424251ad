"""What SageMaker reads from the logs of the built-in algorithms, as DescribeTrainingJob shows it.

Sources: the pages "Tune a linear learner model", "Tune a K-Means Model" and "Tune an RCF Model" of
https://docs.aws.amazon.com/sagemaker/latest/dg/ for the names. DescribeTrainingJob shows the
expressions for every job; those of RCF and of K-Means follow the pattern of Linear Learner's.
"""

from __future__ import annotations

_REGRESSION = ("mse", "absolute_loss")
_CLASSIFICATION = {
    "binary_classification_accuracy": "binary_classification_accuracy",
    "binary_f_beta": r"binary_f_\S+",
    "precision": "precision",
    "recall": "recall",
    "roc_auc_score": "roc_auc_score",
    "multiclass_accuracy": "multiclass_accuracy",
    "multiclass_top_k_accuracy": r"multiclass_top_k_accuracy_\S+",
    "dcg": "dcg",
    "macro_f_beta": r"macro_f_\S+",
    "macro_precision": "macro_precision",
    "macro_recall": "macro_recall",
}
_PROGRESS = {
    "train:progress": r"#progress_metric: host=\S+, completed (\S+) %",
    "train:throughput": r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
}


def definitions(algorithm: str) -> list[dict[str, str]]:
    """The metric definitions of an algorithm."""
    own = {
        "linear-learner": _linear_learner,
        "kmeans": _kmeans,
        "pca": dict,
        "randomcutforest": _random_cut_forest,
    }[algorithm]()
    return [{"Name": name, "Regex": regex} for name, regex in sorted((_PROGRESS | own).items())]


def _linear_learner() -> dict[str, str]:
    found = {}
    for channel in ("train", "validation", "test"):
        final = rf"#quality_metric: host=\S+, {channel} "
        each_epoch = rf"#quality_metric: host=\S+, epoch=\S+, {channel} "
        loss = r"\S+_objective <loss>=(\S+)"
        if channel == "test":
            found["test:objective_loss"] = final + loss
        else:
            found[f"{channel}:objective_loss"] = each_epoch + loss
            found[f"{channel}:objective_loss:final"] = final + loss
        for metric in _REGRESSION:
            found[f"{channel}:{metric}"] = final + rf"{metric} <loss>=(\S+)"
        for metric, pattern in _CLASSIFICATION.items():
            found[f"{channel}:{metric}"] = final + rf"{pattern} <score>=(\S+)"
    return found


def _kmeans() -> dict[str, str]:
    return {
        f"{channel}:{metric}": rf"#quality_metric: host=\S+, {channel} {metric} <loss>=(\S+)"
        for channel in ("train", "test")
        for metric in ("msd", "ssd")
    }


def _random_cut_forest() -> dict[str, str]:
    return {
        f"test:{metric}": rf"#quality_metric: host=\S+, test {metric} <score>=(\S+)"
        for metric in ("accuracy", "f1", "precision", "recall")
    }
