"""A SageMaker training job of the offline AWS against the bare script on the same data."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS

from .measure import compare

_BUCKET = "benchmark"

_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
_ROWS, _COLUMNS = 60_000, 20

_SCRIPT = """
import os, sys
import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

data = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
model = HistGradientBoostingClassifier(max_iter=120, random_state=0)
model.fit(data[:, 1:], data[:, 0])
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
"""


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    data = _csv()
    with LocalAWS() as aws, tempfile.TemporaryDirectory() as folder:
        bare = _bare(Path(folder), data)
        job = _job(aws, data)
        ours, other = compare(job, bare, times=5)
    allowed = 1.10 * other + 0.5
    yield (
        f"| training job | {1e3 * ours:,.0f} | {1e3 * other:,.0f} | {ours / other:.2f} "
        f"| ≤ 1.10 × + 500 = {1e3 * allowed:,.0f} |"
    )


def _csv() -> bytes:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(_ROWS, _COLUMNS))
    label = (features[:, 0] + generator.normal(size=_ROWS) > 0).astype(int)
    text = io.StringIO()
    np.savetxt(text, np.column_stack([label, features]), fmt="%.6g", delimiter=",")
    return text.getvalue().encode()


def _bare(folder: Path, data: bytes):  # noqa: ANN202
    (folder / "train.csv").write_bytes(data)
    (folder / "train.py").write_text(_SCRIPT)
    environ = {
        "SM_CHANNEL_TRAIN": str(folder),
        "SM_MODEL_DIR": str(folder),
        "OMP_NUM_THREADS": "2",
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "train.py"]
    return lambda: subprocess.run(command, cwd=folder, env=environ, check=True)


def _job(aws: LocalAWS, data: bytes):  # noqa: ANN202
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    s3.create_bucket(Bucket=_BUCKET)
    s3.put_object(Bucket=_BUCKET, Key="train/train.csv", Body=data)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("train.py")
        entry.size = len(_SCRIPT)
        tar.addfile(entry, io.BytesIO(_SCRIPT.encode()))
    s3.put_object(Bucket=_BUCKET, Key="code.tar.gz", Body=archive.getvalue())
    return lambda: _train(sagemaker)


def _train(sagemaker: Any) -> None:
    name = f"benchmark-{time.time_ns()}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=EXECUTION_ROLE_ARN,
        AlgorithmSpecification={"TrainingImage": _IMAGE, "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{_BUCKET}/code.tar.gz",
        },
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{_BUCKET}/train/"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{_BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] != "InProgress":
            break
        time.sleep(0.02)
    if job["TrainingJobStatus"] != "Completed":
        raise RuntimeError(job["FailureReason"])
