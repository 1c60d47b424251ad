"""Step Functions as the notebook uses it: definitions filled in, runs waited for and read."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pandas as pd

_VALUE = re.compile(r"\$\{(\w+)\}")
ENTERED, EXITED = "StateEntered", "StateExited"
_FAILED = ("TaskFailed", "TaskTimedOut")


class DefinitionError(ValueError):
    """A definition has a `${Name}` without a value, or is no JSON."""


class ExecutionFailed(Exception):
    """An execution has not succeeded; the message has its error and cause."""


def load_definition(path: str | Path, **values: str) -> str:
    """A definition with its `${Name}`s filled in, as CloudFormation's substitutions do it.

    Raises:
        DefinitionError: naming the value that is missing, or where the JSON is wrong.
    """
    try:
        text = _VALUE.sub(lambda found: values[found[1]], Path(path).read_text("utf-8"))
        return json.dumps(json.loads(text))
    except KeyError as error:
        raise DefinitionError(f"{path}: there is no value for ${{{error.args[0]}}}") from None
    except ValueError as error:
        raise DefinitionError(f"{path}: {error}") from None


def state_names(definition: str) -> list[str]:
    """All states of a definition, those within a map or a branch after the state they are in."""

    def walk(machine: dict[str, Any]) -> Iterator[str]:
        for name, state in machine["States"].items():
            yield name
            inner = [state["ItemProcessor"]] if "ItemProcessor" in state else []
            for part in [*state.get("Branches", []), *inner]:
                yield from walk(part)

    return list(walk(json.loads(definition)))


def role_policy(bucket: str, function_arn: str, processing_role: str) -> dict[str, Any]:
    """What the state machine's role may do: what its states call, and nothing else."""
    of_jobs = "arn:aws:sagemaker:*:*:processing-job/*"
    rule = "arn:aws:events:*:*:rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule"
    reads = ["comprehend:DetectDominantLanguage", "comprehend:DetectEntities"]
    reads += ["comprehend:DetectSentiment", "rekognition:DetectLabels", "rekognition:DetectText"]
    jobs = ["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob"]
    jobs += ["sagemaker:StopProcessingJob", "sagemaker:AddTags"]
    passed = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    return _policy(
        _allow(["s3:ListBucket"], f"arn:aws:s3:::{bucket}"),
        _allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*"),
        _allow(["lambda:InvokeFunction"], function_arn),
        # These three know no resources: they read what the call names.
        _allow([*reads, "textract:DetectDocumentText"], "*"),
        _allow(jobs, of_jobs),
        _allow(["iam:PassRole"], processing_role) | {"Condition": passed},
        # How `.sync` hears of the end of a job.
        _allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], rule),
        # A Distributed Map starts executions of its own.
        _allow(["states:StartExecution"], "arn:aws:states:*:*:stateMachine:*"),
        _allow(["states:DescribeExecution", "states:StopExecution"], "arn:aws:states:*:*:*"),
    )


def bucket_policy(bucket: str, *actions: str) -> dict[str, Any]:
    """What a function or a job may do with the objects of the bucket, and write to its log."""
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    places = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return _policy(
        {"Effect": "Allow", "Action": list(actions), "Resource": places},
        _allow([*logs, "logs:DescribeLogStreams"], "arn:aws:logs:*:*:*"),
    )


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def upload(s3: Any, folder: Path, bucket: str) -> int:
    """Put all files below a folder under their paths; how many there were."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        s3.upload_file(str(path), bucket, path.relative_to(folder).as_posix())
    return len(files)


def read_table(s3: Any, bucket: str, key: str) -> pd.DataFrame:
    """A Parquet table of the bucket."""
    return pd.read_parquet(BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))


def run(client: Any, machine_arn: str, given: dict[str, Any], poll_seconds: float = 1.0) -> str:
    """Start an execution and wait until it has succeeded; its ARN.

    Raises:
        ExecutionFailed: with the error and the cause.
    """
    started = client.start_execution(stateMachineArn=machine_arn, input=json.dumps(given))
    arn = started["executionArn"]
    while (found := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(poll_seconds)
    if found["status"] != "SUCCEEDED":
        raise ExecutionFailed(f"{found['status']}: {found.get('error')}: {found.get('cause')}")
    return arn


def output(client: Any, execution_arn: str) -> Any:
    """What an execution gave."""
    return json.loads(client.describe_execution(executionArn=execution_arn)["output"])


def events(client: Any, execution_arn: str) -> list[dict[str, Any]]:
    """The whole history of an execution."""
    pages = client.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
    return [event for page in pages for event in page["events"]]


def transitions(history: list[dict[str, Any]]) -> int:
    """How many states were entered, retries included: what a Standard workflow is billed for."""
    return sum(event["type"].endswith(ENTERED) for event in history) + retries(history)


def retries(history: list[dict[str, Any]]) -> int:
    """How often a task was tried again: it was scheduled right after it had failed."""
    failed = {event["id"] for event in history if event["type"].endswith(_FAILED)}
    return sum(
        event["type"].endswith("Scheduled") and event["previousEventId"] in failed
        for event in history
    )


def errors(history: list[dict[str, Any]]) -> Counter[str]:
    """How often each error was met by a task, whether it was tried again or caught."""
    found = (event.get("taskFailedEventDetails") for event in history)
    return Counter(details["error"] for details in found if details)


def state_times(history: list[dict[str, Any]]) -> pd.DataFrame:
    """When each state ran: one row for each time it was entered and left.

    Returns:
        Columns `state`, `type` (`Task`, `Map`, …), `begin` and `end` in seconds since the
        execution began. A state that was never left ends with the last event.
    """
    by_id = {event["id"]: event for event in history}
    zero, last = history[0]["timestamp"], history[-1]["timestamp"]
    ends: dict[int, Any] = {}
    for event in history:
        if event["type"].endswith(EXITED):
            name = event["stateExitedEventDetails"]["name"]
            ends[_entry_of(event, name, by_id)] = event["timestamp"]
    rows = [
        {
            "state": event["stateEnteredEventDetails"]["name"],
            "type": event["type"].removesuffix(ENTERED),
            "begin": (event["timestamp"] - zero).total_seconds(),
            "end": (ends.get(event["id"], last) - zero).total_seconds(),
        }
        for event in history
        if event["type"].endswith(ENTERED)
    ]
    return pd.DataFrame(rows, columns=["state", "type", "begin", "end"])


def _entry_of(event: dict[str, Any], name: str, by_id: dict[int, dict[str, Any]]) -> int:
    """The id of the event in which the state was entered that this event leaves; 0 if none."""
    while event := by_id.get(event.get("previousEventId", 0), {}):
        details = event.get("stateEnteredEventDetails")
        if details and details["name"] == name:
            return event["id"]
    return 0


def delete_logs(function: str, jobs: list[str]) -> None:
    """Delete the log group of a function and the log streams of processing jobs."""
    logs, group = boto3.client("logs"), "/aws/sagemaker/ProcessingJobs"
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):  # it was never invoked
        logs.delete_log_group(logGroupName=f"/aws/lambda/{function}")
    for job in jobs:
        found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")
        for stream in found["logStreams"]:
            logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])
