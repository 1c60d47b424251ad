"""Deploy the pipeline of notebook 1 as a stack, give it files, and see what it makes of them."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pandas as pd

import deploying

TEMPLATE = Path(__file__).with_name("event_pipeline.yaml")
ARTIFACTS = {
    "intake_lambda.zip": "intake_lambda.py",
    "daily_features_job.py": "daily_features_job.py",
}


class TookTooLong(Exception):
    """What was waited for did not happen; the message says what."""


# ── the stack ────────────────────────────────────────────────────────────────────────────────────


def upload_artifacts(bucket: str) -> None:
    """Put the function's archive and the job's script where the template expects them."""
    folder = TEMPLATE.parent
    for key, script in ARTIFACTS.items():
        path = folder / script
        body = deploying.zip_of(path) if key.endswith(".zip") else path.read_bytes()
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def deploy(stack: str, parameters: dict[str, str], tags: dict[str, str]) -> dict[str, str]:
    """Create the stack and wait until it stands; return its outputs.

    Raises:
        botocore.exceptions.WaiterError: if a resource could not be made; `history` says which.
    """
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=_as_list(parameters, "ParameterKey", "ParameterValue"),
        Capabilities=["CAPABILITY_IAM"],
        Tags=_as_list(tags, "Key", "Value"),
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack)
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


def update(stack: str, parameters: dict[str, str]) -> None:
    """Change parameters of the stack and wait until the change is made."""
    cloudformation = boto3.client("cloudformation")
    cloudformation.update_stack(
        StackName=stack,
        UsePreviousTemplate=True,
        Parameters=_as_list(parameters, "ParameterKey", "ParameterValue"),
        Capabilities=["CAPABILITY_IAM"],
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=stack)


def delete(stack: str) -> None:
    """Delete the stack with all its resources, and wait until it is gone."""
    cloudformation = boto3.client("cloudformation")
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack)


def history(stack: str) -> pd.DataFrame:
    """What has happened to the stack: `resource`, `type`, `status`, the oldest first."""
    pages = boto3.client("cloudformation").get_paginator("describe_stack_events")
    events = list(pages.paginate(StackName=stack).search("StackEvents[]"))
    return pd.DataFrame(
        {
            "resource": event["LogicalResourceId"],
            "type": event["ResourceType"],
            "status": event["ResourceStatus"],
        }
        for event in reversed(events)
    )


def _as_list(values: dict[str, str], key: str, value: str) -> list[dict[str, str]]:
    return [{key: name, value: content} for name, content in values.items()]


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def land(lake: str, day: str, lines: pd.DataFrame, name: str = "invoices.csv") -> str:
    """Put a day's invoice lines into the lake as CSV; return the key."""
    key = f"raw/day={day}/{name}"
    body = lines.to_csv(index=False).encode()
    boto3.client("s3").put_object(Bucket=lake, Key=key, Body=body)
    return key


def manifests(lake: str) -> pd.DataFrame:
    """What became of the lines of each day that is complete; a row for each, by day."""
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=lake, Prefix="features/")
    keys = [key for key in pages.search("Contents[].Key") if key and key.endswith("manifest.json")]
    found = [json.loads(s3.get_object(Bucket=lake, Key=key)["Body"].read()) for key in keys]
    return pd.DataFrame(found).set_index("day").drop(columns=["key", "etag"]).sort_index()


def features(lake: str, day: str) -> pd.DataFrame:
    """The features of a day's customers."""
    key = f"features/day={day}/customers.parquet"
    return pd.read_parquet(
        io.BytesIO(boto3.client("s3").get_object(Bucket=lake, Key=key)["Body"].read())
    )


def versions(lake: str, prefix: str) -> dict[str, str]:
    """The ETag of each object under a prefix: a fingerprint of what is in it."""
    objects = boto3.resource("s3").Bucket(lake).objects.filter(Prefix=prefix)
    return {each.key: each.e_tag for each in objects}


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────


def wait_for_features(lake: str, days: list[str]) -> None:
    """Wait until each day has its manifest, which the job writes last."""
    waiter = boto3.client("s3").get_waiter("object_exists")
    for day in days:
        waiter.wait(
            Bucket=lake,
            Key=f"features/day={day}/manifest.json",
            WaiterConfig={"Delay": 2, "MaxAttempts": 150},
        )


def wait_for_answer(function: str, key: str, count: int = 1) -> dict[str, str]:
    """What the function has said about a file, once it has said something `count` times."""
    logs, group = boto3.client("logs"), f"/aws/lambda/{function}"

    def answers() -> list[dict[str, str]]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        lines = [event["message"].strip() for page in pages for event in page["events"]]
        said = [json.loads(line) for line in lines if line.startswith('{"key"')]
        return [answer for answer in said if answer["key"] == key][count - 1 :]

    return wait_until(answers, f"{function} said nothing about {key}")[0]


def wait_for_runs(job: str, count: int, state: str) -> list[dict[str, Any]]:
    """The runs of the job that have ended in a state, once there are `count` of them."""
    glue = boto3.client("glue")

    def ended() -> list[dict[str, Any]]:
        runs = glue.get_job_runs(JobName=job)["JobRuns"]
        found = [run for run in runs if run["JobRunState"] == state]
        return found if len(found) >= count else []

    return wait_until(ended, f"{job} has not {count} runs that are {state}")


def read_mail(queue: str, count: int) -> list[dict[str, Any]]:
    """Take `count` messages out of the queue that stands for a mailbox."""
    sqs, mail = boto3.client("sqs"), []

    def enough() -> bool:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        for message in found.get("Messages", []):
            mail.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(mail) >= count

    wait_until(enough, f"{queue} has not {count} messages")
    return mail


def wait_until(
    look: Callable[[], Any],
    otherwise: str,
    *,
    poll_seconds: float = 2,
    timeout_seconds: float = 600,
) -> Any:
    """What `look` returns as soon as it is true.

    Raises:
        TookTooLong: after `timeout_seconds`, with the words of `otherwise`.
    """
    until = time.monotonic() + timeout_seconds
    while not (found := look()):
        if time.monotonic() > until:
            raise TookTooLong(f"{otherwise} after {timeout_seconds:g} seconds")
        time.sleep(poll_seconds)
    return found


def delete_logs(job: str) -> None:
    """Delete the log streams of the job's runs; the groups belong to all jobs of the account."""
    logs = boto3.client("logs")
    run_ids = [run["Id"] for run in boto3.client("glue").get_job_runs(JobName=job)["JobRuns"]]
    for group in ("/aws-glue/python-jobs/output", "/aws-glue/python-jobs/error"):
        for run_id in run_ids:
            try:
                logs.delete_log_stream(logGroupName=group, logStreamName=run_id)
            except logs.exceptions.ResourceNotFoundException:
                continue
