"""Ask a trained built-in algorithm, and remove what training and asking have made."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import boto3
import numpy as np

import protobuf_io

_ROWS_AT_ONCE = 2000
_LOGS = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/Endpoints/")


def ask(
    name: str, image: str, artifact: str, rows: np.ndarray, role: str, instance_type: str,
    tags: dict[str, str],
) -> list[dict]:  # fmt: skip
    """Deploy an artifact, send rows in batches as RecordIO-protobuf, and delete it again.

    Args:
        name: of the model, the configuration and the endpoint.
        rows: shape (rows, features).

    Returns:
        What the algorithm says of each row.

    Raises:
        botocore.exceptions.WaiterError: the endpoint does not come into service.
    """
    sagemaker = boto3.client("sagemaker")
    given = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    container = {"Image": image, "ModelDataUrl": artifact}
    sagemaker.create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role, **given
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": instance_type,
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **given)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, **given)
    try:
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name)
        return [answer for batch in _batches(rows) for answer in _invoke(name, batch)]
    finally:
        delete_endpoint(name)


def delete_endpoint(name: str) -> None:
    """Delete an endpoint with its configuration and its model: it is what costs money."""
    sagemaker = boto3.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)


def delete_jobs(prefix: str) -> None:
    """Delete the training jobs whose names begin with the prefix, and the logs of all that did."""
    sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
    for name in list_jobs(prefix):
        sagemaker.delete_training_job(TrainingJobName=name)
    streams = logs.get_paginator("describe_log_streams")
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):  # no job has ever run
        for page in streams.paginate(logGroupName=_LOGS[0], logStreamNamePrefix=prefix):
            for stream in page["logStreams"]:
                name = stream["logStreamName"]
                logs.delete_log_stream(logGroupName=_LOGS[0], logStreamName=name)
    groups = logs.get_paginator("describe_log_groups")
    for page in groups.paginate(logGroupNamePrefix=f"{_LOGS[1]}{prefix}"):
        for group in page["logGroups"]:
            logs.delete_log_group(logGroupName=group["logGroupName"])


def list_jobs(prefix: str) -> list[str]:
    """The names of the training jobs that begin with the prefix."""
    pages = boto3.client("sagemaker").get_paginator("list_training_jobs")
    found = pages.paginate(NameContains=prefix).search("TrainingJobSummaries[].TrainingJobName")
    return [name for name in found if name.startswith(prefix)]


def _batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]


def _invoke(name: str, rows: np.ndarray) -> list[dict]:
    answer = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name,
        Body=protobuf_io.write(rows),
        ContentType=protobuf_io.CONTENT_TYPE,
        Accept="application/json",
    )
    (answers,) = json.loads(answer["Body"].read()).values()
    return answers
