"""A Lambda function that looks at each daily file before a job is paid for.

EventBridge calls it for every object under `raw/`. A file of the right kind starts the Glue job
that the variable JOB names; a file that has been done already, byte for byte, starts nothing; any
other file is copied to `quarantine/` with the reason beside it.

It prints one line of JSON for each event: `key`, `status`, `reason`.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

import boto3

COLUMNS = [
    "invoice",
    "stock_code",
    "description",
    "quantity",
    "invoice_date",
    "price",
    "customer_id",
    "country",
]
KEY = re.compile(r"raw/day=(\d{4}-\d{2}-\d{2})/[^/]+\.csv")
LONGEST_HEADER = 1024

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Handle one event of the type Object Created.

    Raises:
        botocore.exceptions.ClientError: what S3 or Glue refuses; Lambda tries again, then keeps
            the event in the queue for dead letters.
    """
    bucket, created = event["detail"]["bucket"]["name"], event["detail"]["object"]
    answer = {"key": created["key"], **decide(bucket, created["key"], created["etag"])}
    print(json.dumps(answer))
    return answer


def decide(bucket: str, key: str, etag: str) -> dict[str, str]:
    """Start the job, do nothing, or quarantine; say which, and why."""
    found = KEY.fullmatch(key)
    if not found:
        return quarantine(bucket, key, "the key is not raw/day=YYYY-MM-DD/<name>.csv")
    reason = wrong_header(bucket, key)
    if reason:
        return quarantine(bucket, key, reason)
    day = found[1]
    if done_with(bucket, day) == etag:
        return {"status": "unchanged", "reason": f"features of {day} come from this very file"}
    run = boto3.client("glue").start_job_run(
        JobName=os.environ["JOB"], Arguments={"--day": day, "--key": key, "--etag": etag}
    )
    return {"status": "started", "reason": run["JobRunId"]}


def wrong_header(bucket: str, key: str) -> str:
    """What is wrong with the first line of a file; empty if nothing is."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{LONGEST_HEADER - 1}")["Body"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "InvalidRange":
            return "the file is empty"
        raise
    header = body.read().split(b"\n")[0].decode("utf-8", "replace").strip().split(",")
    missing = [name for name in COLUMNS if name not in header]
    return f"the header lacks {', '.join(missing)}" if missing else ""


def done_with(bucket: str, day: str) -> str | None:
    """The ETag of the file that the features of a day come from; None if there are none."""
    try:
        body = s3.get_object(Bucket=bucket, Key=f"features/day={day}/manifest.json")["Body"]
    except s3.exceptions.NoSuchKey:
        return None
    return json.loads(body.read())["etag"]


def quarantine(bucket: str, key: str, reason: str) -> dict[str, str]:
    """Copy a file aside, with the reason in an object beside it."""
    target = f"quarantine/{key}"
    s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": key})
    s3.put_object(Bucket=bucket, Key=f"{target}.reason.txt", Body=reason.encode())
    return {"status": "quarantined", "reason": reason}
