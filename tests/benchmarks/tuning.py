"""Twenty training jobs of a tuning job against the same twenty fits in a loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xgboost as xgb

from tests.local_aws.environment import LocalAWS

from . import jobs
from .measure import compare

_CHANNELS = ("train", "validation")
_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
_JOBS, _ROWS, _COLUMNS, _ROUNDS = 20, 100_000, 20, 120
_STATIC = {"objective": "binary:logistic", "eval_metric": "logloss", "num_round": str(_ROUNDS)}


def report() -> Iterator[str]:
    """Lines of a Markdown table. Two jobs run at a time; the loop's fits have two threads each."""
    random = np.random.default_rng(0)
    features = random.normal(size=(_ROWS, _COLUMNS)).astype("float32")
    label = (features[:, 0] + random.normal(size=_ROWS) > 0).astype("float32")
    rows = np.column_stack([label, features])
    with LocalAWS() as aws, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        path.write_bytes(jobs.as_csv(rows))
        jobs.put(aws, {f"{name}/train.csv": path.read_bytes() for name in _CHANNELS})
        ours, other = compare(lambda: _tune(aws), lambda: _loop(path), times=1, warm_up=0)
    yield (
        f"| tuning, {_JOBS} jobs | {1e3 * ours:,.0f} | {1e3 * other:,.0f} | {ours / other:.2f} "
        "| ≤ 1.20 × |"
    )


def _loop(path: Path) -> None:
    """Read the data and fit, twenty times, as twenty scripts would."""
    for depth in range(_JOBS):
        train, validation = (_read(path) for _ in _CHANNELS)
        settings = {"objective": "binary:logistic", "nthread": 2, "max_depth": 4 + depth % 4}
        evals = [(train, "train"), (validation, "validation")]
        xgb.train(settings, train, _ROUNDS, evals=evals, verbose_eval=False)


def _read(path: Path) -> xgb.DMatrix:
    rows = np.loadtxt(path, delimiter=",", dtype="float32")
    return xgb.DMatrix(rows[:, 1:], label=rows[:, 0], nthread=2)


def _tune(aws: LocalAWS) -> None:
    sagemaker = aws.client("sagemaker")
    channels = [jobs.channel(name, "text/csv") for name in _CHANNELS]
    name = f"benchmark-{time.time_ns() % 10**12}"
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {
                "Type": "Minimize",
                "MetricName": "validation:logloss",
            },
            "ResourceLimits": {"MaxNumberOfTrainingJobs": _JOBS, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "4", "MaxValue": "7"}]
            },
            "RandomSeed": 1,
        },
        TrainingJobDefinition=jobs.definition(_IMAGE, channels)
        | {"StaticHyperParameters": _STATIC},
    )
    while True:
        job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if job["HyperParameterTuningJobStatus"] != "InProgress":
            break
        time.sleep(0.05)
    if job["TrainingJobStatusCounters"]["Completed"] != _JOBS:
        raise RuntimeError(f"not all jobs completed: {job}")
