"""SageMaker's built-in algorithms Linear Learner, K-Means, PCA and Random Cut Forest.

Each has a module with `train` and `load`; the rest is what they share. They are written from AWS's
documentation, and read and write what AWS's read and write: the same channels, hyperparameters,
log lines and response formats, and artifacts that open in the same way. The numbers inside come
from NumPy and scikit-learn: a model is as good as AWS's, not the same to the last digit.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from . import metrics

_MODULES = {
    "linear-learner": "linear_learner",
    "kmeans": "kmeans",
    "pca": "pca",
    "randomcutforest": "random_cut_forest",
}
ALGORITHMS = tuple(_MODULES)


def metric_definitions(algorithm: str) -> list[dict[str, str]]:
    """What SageMaker reads from an algorithm's log, as DescribeTrainingJob shows it."""
    return metrics.definitions(algorithm)


def load(algorithm: str, folder: Path) -> Any:
    """The model in the folder of an unpacked artifact, ready to answer.

    Raises:
        Exception: whatever is wrong with the artifact.
    """
    return _module(algorithm).load(folder)


def main(arguments: list[str]) -> int:
    """Run a training job. Its arguments are the algorithm and the root of `/opt/ml`."""
    from .common import run

    algorithm, root = arguments
    return run(Path(root), _module(algorithm).train)


def _module(algorithm: str) -> Any:
    return importlib.import_module(f".{_MODULES[algorithm]}", __name__)
