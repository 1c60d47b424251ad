"""Runs of Glue jobs, workflows, crawlers and rules of data quality, waited for. boto3 has no
waiters for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd

import deploying

# Dollars for one DPU (4 processors, 16 GB) and hour of a Spark job in us-east-1, list price.
# https://aws.amazon.com/glue/pricing/
DPU_HOUR = 0.44
SHORTEST_BILLED_SECONDS = 60
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR")


class RunFailed(Exception):
    """A run did not succeed; the message says why."""


def job_policy(bucket: str) -> dict[str, Any]:
    """What a job may do: use the objects of one bucket, and write its logs."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": f"arn:aws:s3:::{bucket}/*",
            },
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": "arn:aws:logs:*:*:log-group:/aws-glue/*",
            },
        ],
    }


def catalog_statement(region: str, account: str, database: str) -> dict[str, Any]:
    """What a crawler or a check of data quality needs of the Data Catalog: one database."""
    catalog = f"arn:aws:glue:{region}:{account}"
    return {
        "Effect": "Allow",
        "Action": [
            "glue:GetDatabase",
            "glue:GetTable",
            "glue:CreateTable",
            "glue:UpdateTable",
            "glue:GetPartitions",
            "glue:BatchGetPartition",
            "glue:BatchCreatePartition",
        ],
        "Resource": [
            f"{catalog}:catalog",
            f"{catalog}:database/{database}",
            f"{catalog}:table/{database}/*",
        ],
    }


def run_job(glue: Any, job: str, arguments: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a job to its end; return the JobRun, whether it succeeded or not."""
    started = deploying.once_the_role_works(
        glue.start_job_run, JobName=job, Arguments=arguments or {}
    )
    run_id = started["JobRunId"]
    return _wait(lambda: glue.get_job_run(JobName=job, RunId=run_id)["JobRun"], "JobRunState")


def run_workflow(glue: Any, workflow: str) -> dict[str, Any]:
    """Run a workflow to its end; return the Run with its statistics."""
    run_id = glue.start_workflow_run(Name=workflow)["RunId"]
    return _wait(
        lambda: glue.get_workflow_run(Name=workflow, RunId=run_id)["Run"],
        "Status",
        ended=("COMPLETED", "STOPPED", "ERROR"),
    )


def check_quality(glue: Any, database: str, table: str, ruleset: str, role: str) -> pd.DataFrame:
    """Evaluate a ruleset on a table: a row for each rule, with `rule`, `passed`, `message`.

    Raises:
        RunFailed: with Glue's reason.
    """
    source = {"GlueTable": {"DatabaseName": database, "TableName": table}}
    started = glue.start_data_quality_ruleset_evaluation_run(
        DataSource=source, Role=role, NumberOfWorkers=2, RulesetNames=[ruleset]
    )
    run_id = started["RunId"]
    run = _wait(lambda: glue.get_data_quality_ruleset_evaluation_run(RunId=run_id), "Status")
    if run["Status"] != "SUCCEEDED":
        raise RunFailed(f"{run_id} is {run['Status']}: {run.get('ErrorString', 'no reason given')}")
    result = glue.get_data_quality_result(ResultId=run["ResultIds"][0])
    return pd.DataFrame(
        {
            "rule": each["Description"],
            "passed": each["Result"] == "PASS",
            "message": each.get("EvaluationMessage", ""),
        }
        for each in result["RuleResults"]
    )


def output_of(logs: Any, run_id: str) -> list[str]:
    """What a run has printed."""
    events = logs.get_log_events(
        logGroupName="/aws-glue/jobs/output", logStreamName=run_id, startFromHead=True
    )
    return [event["message"] for event in events["events"]]


def dollars(run: dict[str, Any]) -> float:
    """What a run of a Spark job costs: DPUs × hours, at least one minute, by the second.

    Raises:
        ValueError: if the run has not ended.
    """
    if run["JobRunState"] not in _ENDED:
        raise ValueError(f"run {run['Id']} is still {run['JobRunState']}")
    seconds = max(run["ExecutionTime"], SHORTEST_BILLED_SECONDS)
    return run["MaxCapacity"] * seconds / 3600 * DPU_HOUR


def delete_logs(logs: Any, run_ids: list[str]) -> None:
    """Delete the log streams of runs; the groups belong to all jobs of the account."""
    for group in ("/aws-glue/jobs/output", "/aws-glue/jobs/error"):
        for run_id in run_ids:
            try:
                logs.delete_log_stream(logGroupName=group, logStreamName=run_id)
            except logs.exceptions.ResourceNotFoundException:
                continue


def _wait(
    look: Callable[[], dict[str, Any]],
    member: str,
    *,
    ended: tuple[str, ...] = _ENDED,
    poll_seconds: float = 2.0,
    timeout_seconds: float = 1800,
) -> dict[str, Any]:
    until = time.monotonic() + timeout_seconds
    while (found := look())[member] not in ended:
        if time.monotonic() > until:
            raise RunFailed(f"still {found[member]} after {timeout_seconds} seconds")
        time.sleep(poll_seconds)
    return found
