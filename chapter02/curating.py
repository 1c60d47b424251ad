"""What surrounds the curating function: its rights and events, files to send, a stocktaking."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_plus

import pandas as pd
import pyarrow.parquet as pq

# AWS's public layer with pandas and pyarrow; a few regions have it from another account:
# https://aws-sdk-pandas.readthedocs.io/en/stable/layers.html
PANDAS_LAYER = "arn:aws:lambda:{region}:336392948345:layer:AWSSDKPandas-Python313:5"


# ── deploying ────────────────────────────────────────────────────────────────────────────────────


def function_policy(bucket: str, queue_arn: str, log_group_arn: str) -> dict[str, Any]:
    """The least that the function needs: read raw, write two zones, report failures, log."""
    zone = f"arn:aws:s3:::{bucket}"
    allowed = {
        "s3:GetObject": f"{zone}/raw/*",
        "s3:PutObject": [f"{zone}/curated/*", f"{zone}/quarantine/*"],
        "s3:DeleteObject": f"{zone}/quarantine/*",
        "sqs:SendMessage": queue_arn,
        "logs:CreateLogStream": f"{log_group_arn}:*",
        "logs:PutLogEvents": f"{log_group_arn}:*",
    }
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in allowed.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def writing_denied(bucket: str, prefix: str, role_arn: str) -> dict[str, Any]:
    """A statement of a bucket policy that forbids a role to write under a prefix."""
    return {
        "Sid": "NoWriting",
        "Effect": "Deny",
        "Principal": {"AWS": role_arn},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/{prefix}*",
    }


def subscription(function_arn: str) -> dict[str, Any]:
    """A bucket's notification: call the function for each new CSV file under `raw/`."""
    rules = [{"Name": "prefix", "Value": "raw/"}, {"Name": "suffix", "Value": ".csv"}]
    wanted = {
        "LambdaFunctionArn": function_arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    return {"LambdaFunctionConfigurations": [wanted]}


# ── queues ───────────────────────────────────────────────────────────────────────────────────────


def next_message(sqs: Any, queue_url: str, *, timeout_seconds: float = 600) -> dict[str, Any]:
    """The next message of a queue, by long polling. It stays in the queue until you delete it.

    Raises:
        TimeoutError: if none comes in this time.
    """
    until = time.monotonic() + timeout_seconds
    while time.monotonic() < until:
        answer = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=20)
        if answer.get("Messages"):
            return answer["Messages"][0]
    raise TimeoutError(f"no message in {queue_url} after {timeout_seconds} seconds")


def delete_queue(
    sqs: Any, queue_url: str, *, poll_seconds: float = 2.0, timeout_seconds: float = 120
) -> None:
    """Delete a queue and return when SQS no longer lists it, which takes it up to a minute.

    Raises:
        TimeoutError: if it is still listed after this time.
    """
    sqs.delete_queue(QueueUrl=queue_url)
    until = time.monotonic() + timeout_seconds
    while queue_url in sqs.list_queues().get("QueueUrls", []):
        if time.monotonic() > until:
            raise TimeoutError(f"{queue_url} is still there after {timeout_seconds} seconds")
        time.sleep(poll_seconds)


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def place(zone: str, month: int, suffix: str) -> str:
    """The key of a month's flights in a zone of the lake."""
    return f"{zone}/flights/year=2013/month={month:02}/flights{suffix}"


def land(s3: Any, bucket: str, month: int, rows: pd.DataFrame, *, sent: float = 1.0) -> None:
    """Send a month's flights as CSV, with the number of rows announced in the metadata.

    Args:
        sent: the share of the file's bytes that is sent; below 1 for an upload that was cut short.
    """
    csv = rows.to_csv(index=False).encode()
    s3.put_object(
        Bucket=bucket,
        Key=place("raw", month, ".csv"),
        Body=csv[: round(sent * len(csv))],
        Metadata={"rows": str(len(rows))},
    )


def wait_for(s3: Any, bucket: str, zone: str, months: Iterable[int], suffix: str) -> None:
    """Wait until the object of each month is in the zone.

    Raises:
        botocore.exceptions.WaiterError: if one is not there after 100 seconds.
    """
    waiter = s3.get_waiter("object_exists")
    for month in months:
        waiter.wait(Bucket=bucket, Key=place(zone, month, suffix))


def upload_event(bucket: str, key: str) -> dict[str, Any]:
    """The part of S3's event for a new object that the function reads."""
    return {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}}]}


# ── what the lake holds ──────────────────────────────────────────────────────────────────────────


def stocktake(s3: Any, bucket: str) -> pd.DataFrame:
    """Count the rows of each raw file and where they are, from the objects themselves.

    Returns:
        A row for each raw file, indexed by its partition `month=…`: `raw`, `curated` and
        `quarantined` rows, and `reasons`, rule -> rows. `raw` counts the lines below the header.
    """
    found = {}
    for key in _keys(s3, bucket, "raw/"):
        name = key.removeprefix("raw/").removesuffix(".csv")
        lines = _read(s3, bucket, key).rstrip(b"\n").count(b"\n")
        reasons = _reasons(s3, bucket, name)
        found[key.split("/")[-2]] = {
            "raw": lines,
            "curated": _parquet_rows(s3, bucket, f"curated/{name}.parquet"),
            "quarantined": sum(reasons.values()),
            "reasons": reasons,
        }
    return pd.DataFrame.from_dict(found, orient="index")


def fingerprints(s3: Any, bucket: str) -> dict[str, str]:
    """Key -> ETag of all that the function has written: two are equal if no byte differs."""
    pages = s3.get_paginator("list_objects_v2")
    return {
        each["Key"]: each["ETag"]
        for zone in ("curated/", "quarantine/")
        for page in pages.paginate(Bucket=bucket, Prefix=zone)
        for each in page.get("Contents", [])
    }


def _reasons(s3: Any, bucket: str, name: str) -> dict[str, int]:
    stored = _keys(s3, bucket, f"quarantine/{name}")
    if f"quarantine/{name}.reason.json" in stored:
        why = json.loads(_read(s3, bucket, f"quarantine/{name}.reason.json"))
        file = _read(s3, bucket, f"quarantine/{name}.csv")
        return {why["rule"]: file.rstrip(b"\n").count(b"\n")}
    if f"quarantine/{name}.rows.jsonl" in stored:
        lines = _read(s3, bucket, f"quarantine/{name}.rows.jsonl").splitlines()
        return dict(sorted(Counter(json.loads(line)["rule"] for line in lines).items()))
    return {}


def _parquet_rows(s3: Any, bucket: str, key: str) -> int:
    if key not in _keys(s3, bucket, key):
        return 0
    return pq.read_metadata(io.BytesIO(_read(s3, bucket, key))).num_rows


def _keys(s3: Any, bucket: str, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


def _read(s3: Any, bucket: str, key: str) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
