"""What the measurements of training jobs share: data in S3, a script, a job to its end."""

from __future__ import annotations

import io
import tarfile
import time
from typing import Any

import numpy as np

from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS

BUCKET = "benchmark"


def as_csv(rows: np.ndarray) -> bytes:
    """Rows as text, six digits a value, without a header."""
    text = io.StringIO()
    np.savetxt(text, rows, fmt="%.6g", delimiter=",")
    return text.getvalue().encode()


def put(aws: LocalAWS, objects: dict[str, bytes]) -> None:
    """Write objects into the bucket of the measurements, which is made if need be."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for key, body in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def put_script(aws: LocalAWS, script: str) -> dict[str, str]:
    """Pack a script as the SDK does; the hyperparameters of a job that runs it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("train.py")
        entry.size = len(script.encode())
        tar.addfile(entry, io.BytesIO(script.encode()))
    put(aws, {"code.tar.gz": archive.getvalue()})
    return {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://{BUCKET}/code.tar.gz",
    }


def channel(name: str, content_type: str | None = None) -> dict[str, Any]:
    """The input channel of everything below `name/`."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}
    made = {"ChannelName": name, "DataSource": {"S3DataSource": source}}
    return made | ({"ContentType": content_type} if content_type else {})


def definition(image: str, channels: list[dict[str, Any]], instances: int = 1) -> dict[str, Any]:
    """What CreateTrainingJob and the definition of a tuning job have in common."""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 1}
    return {
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": EXECUTION_ROLE_ARN,
        "InputDataConfig": channels,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": resources,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def train(aws: LocalAWS, hyperparameters: dict[str, str], request: dict[str, Any]) -> Any:
    """Run a training job to its end; its description.

    Raises:
        RuntimeError: it failed, with its reason.
    """
    sagemaker, name = aws.client("sagemaker"), f"benchmark-{time.time_ns()}"
    sagemaker.create_training_job(TrainingJobName=name, HyperParameters=hyperparameters, **request)
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] == "Completed":
            return job
        if job["TrainingJobStatus"] != "InProgress":
            raise RuntimeError(f"{name}: {job['FailureReason']}")
        time.sleep(0.02)
