"""What the tests of Glue jobs, triggers and workflows share."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError

BUCKET = "lake-of-jobs"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")


def refused(code, message=""):
    return pytest.raises(ClientError, match=rf"\({code}\).*{message}")


def role(aws, name="runner", service="glue"):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"][
        "Arn"
    ]


def put(aws, key, body):
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


def keys(aws, prefix=""):
    found = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", [])]


def shell(aws, script, name="shell", **settings):
    """A Python shell job with this script."""
    try:
        arn = aws.client("iam").get_role(RoleName="runner")["Role"]["Arn"]
    except ClientError:
        arn = role(aws)
    location = put(aws, f"scripts/{name}.py", script)
    command = {"Name": "pythonshell", "ScriptLocation": location, "PythonVersion": "3.9"}
    aws.client("glue").create_job(Name=name, Role=arn, Command=command, **settings)
    return name


def spark(aws, script, name="spark", **settings):
    """A Spark job with this script."""
    location = put(aws, f"scripts/{name}.py", script)
    settings = {"WorkerType": "G.1X", "NumberOfWorkers": 2, "GlueVersion": "5.1", **settings}
    command = {"Name": "glueetl", "ScriptLocation": location, "PythonVersion": "3"}
    aws.client("glue").create_job(Name=name, Role=role(aws), Command=command, **settings)
    return name


def wait(glue, name, run_id):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        run = glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]
        if run["JobRunState"] in ENDED:
            return run
        time.sleep(0.1)
    raise AssertionError(f"{name} did not end: {run}")


def run(glue, name, **params):
    return wait(glue, name, glue.start_job_run(JobName=name, **params)["JobRunId"])


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def lines(aws, run_id, group="python-jobs/output"):
    found = aws.client("logs").get_log_events(
        logGroupName=f"/aws-glue/{group}", logStreamName=run_id, startFromHead=True
    )
    return [event["message"] for event in found["events"]]
