"""Twenty training jobs of a tuning job against the same twenty fits in a loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS

from .measure import compare

_BUCKET = "benchmark"
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
        np.savetxt(path, rows, fmt="%.6g", delimiter=",")
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=_BUCKET)
        for channel in ("train", "validation"):
            s3.upload_file(str(path), _BUCKET, f"{channel}/train.csv")
        ours, other = compare(lambda: _tune(aws), lambda: _loop(path), times=1, warm_up=0)
    yield (
        f"| tuning, {_JOBS} jobs | {1e3 * ours:,.0f} | {1e3 * other:,.0f} | {ours / other:.2f} "
        "| ≤ 1.20 × |"
    )


def _loop(path: Path) -> None:
    """Read the data and fit, twenty times, as twenty scripts would."""
    for depth in range(_JOBS):
        rows = np.loadtxt(path, delimiter=",", dtype="float32")
        data = xgb.DMatrix(rows[:, 1:], label=rows[:, 0], nthread=2)
        settings = {"objective": "binary:logistic", "nthread": 2, "max_depth": 4 + depth % 4}
        xgb.train(settings, data, _ROUNDS, evals=[(data, "validation")], verbose_eval=False)


def _tune(aws: LocalAWS) -> None:
    sagemaker = aws.client("sagemaker")
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
        TrainingJobDefinition=_definition(),
    )
    while True:
        job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if job["HyperParameterTuningJobStatus"] != "InProgress":
            break
        time.sleep(0.05)
    if job["TrainingJobStatusCounters"]["Completed"] != _JOBS:
        raise RuntimeError(f"not all jobs completed: {job}")


def _definition() -> dict[str, Any]:
    return {
        "StaticHyperParameters": _STATIC,
        "AlgorithmSpecification": {"TrainingImage": _IMAGE, "TrainingInputMode": "File"},
        "RoleArn": EXECUTION_ROLE_ARN,
        "InputDataConfig": [
            {
                "ChannelName": channel,
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{_BUCKET}/{channel}/",
                    }
                },
            }
            for channel in ("train", "validation")
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{_BUCKET}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
