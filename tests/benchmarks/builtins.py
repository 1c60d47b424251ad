"""The stand-ins of the built-in algorithms against scikit-learn: score and time on one table.

The library's side is a bare script that reads the same file and fits, as a reader without
SageMaker would write it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.local_aws.environment import LocalAWS

from . import jobs

_REGISTRY = "382416733822.dkr.ecr.us-east-1.amazonaws.com"
_ROWS, _COLUMNS = 40_000, 20

_LIBRARY = """
import sys
import numpy as np
train, test = (np.loadtxt(path, delimiter=",", dtype="float32") for path in sys.argv[1:])
"""
_LOGISTIC = """
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train[:, 1:], train[:, 0])
print(roc_auc_score(test[:, 0], model.predict_proba(test[:, 1:])[:, 1]))
"""
_K_MEANS = """
from sklearn.cluster import KMeans
model = KMeans(8, n_init=3, random_state=0).fit(train)
print(-model.score(test) / len(test))
"""
_CASES = {
    # the library's script, the metric to compare, the algorithm's hyperparameters
    "linear-learner": (
        _LOGISTIC,
        "test:roc_auc_score",
        {"predictor_type": "binary_classifier", "epochs": "5", "mini_batch_size": "500"},
    ),
    "kmeans": (_K_MEANS, "test:msd", {"k": "8", "feature_dim": str(_COLUMNS + 1)}),
}


def report() -> Iterator[str]:
    """Lines of a Markdown table: seconds, then the scores."""
    random = np.random.default_rng(0)
    centres = random.normal(scale=2, size=(8, _COLUMNS))
    features = centres[random.integers(8, size=_ROWS)] + random.normal(size=(_ROWS, _COLUMNS))
    label = (features[:, 0] + random.normal(size=_ROWS) > 0).astype(int)
    rows = np.column_stack([label, features])
    parts = {"train": jobs.as_csv(rows[:-8000]), "test": jobs.as_csv(rows[-8000:])}
    with LocalAWS() as aws, tempfile.TemporaryDirectory() as folder:
        for name, body in parts.items():
            (Path(folder) / f"{name}.csv").write_bytes(body)
        jobs.put(aws, {f"{name}/part.csv": body for name, body in parts.items()})
        for algorithm, (script, metric, hyperparameters) in _CASES.items():
            size = "label_size=0" if algorithm == "kmeans" else "label_size=1"
            channels = [jobs.channel(name, f"text/csv;{size}") for name in parts]
            request = jobs.definition(f"{_REGISTRY}/{algorithm}:1", channels)
            started = time.perf_counter()
            job = jobs.train(aws, hyperparameters, request)
            ours = time.perf_counter() - started
            score = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
            command = [sys.executable, "-c", _LIBRARY + script]
            command += [f"{folder}/{name}.csv" for name in parts]
            started = time.perf_counter()
            told = subprocess.run(command, check=True, capture_output=True, text=True)
            other = time.perf_counter() - started
            yield (
                f"| {algorithm}, {metric} {score[metric]:.4f}, library {float(told.stdout):.4f} "
                f"| {1e3 * ours:,.0f} | {1e3 * other:,.0f} | {ours / other:.2f} | |"
            )
