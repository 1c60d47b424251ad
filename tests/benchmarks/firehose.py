"""Records through Amazon Data Firehose, until they lie in S3, against writing the same objects."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS

from .measure import compare

_BUCKET, _STREAM, _BATCH = "benchmark", "benchmark", 500
_RECORDS = [json.dumps({"n": n, "text": "x" * 80}).encode() + b"\n" for n in range(10_000)]
_FUNCTION = """
def handler(event, context):
    return {"records": [{**record, "result": "Ok"} for record in event["records"]]}
"""


def report() -> Iterator[str]:
    """Lines of a Markdown table: times in milliseconds, the rate in the first column."""
    with LocalAWS() as aws:
        aws.client("s3").create_bucket(Bucket=_BUCKET)
        for what, processing in (("put", None), ("put, function", _calling(aws))):
            _create(aws.client("firehose"), processing)
            ours, other = compare(lambda: _through(aws), lambda: _directly(aws), 3)
            rate = len(_RECORDS) / ours
            yield (
                f"| Firehose {what}, 10,000 records ({rate:,.0f}/s) | {ours * 1e3:,.1f} "
                f"| {other * 1e3:,.1f} | {ours / other:.2f} | against put_object by batch |"
            )
            aws.client("firehose").delete_delivery_stream(DeliveryStreamName=_STREAM)
            while aws.client("firehose").list_delivery_streams()["DeliveryStreamNames"]:
                time.sleep(0.05)


def _batches() -> Iterator[list[bytes]]:
    for start in range(0, len(_RECORDS), _BATCH):
        yield _RECORDS[start : start + _BATCH]


def _through(aws: LocalAWS) -> None:
    """Put all records, and wait until S3 has their bytes."""
    firehose, wanted = aws.client("firehose"), _size(aws) + sum(map(len, _RECORDS))
    for batch in _batches():
        records = [{"Data": each} for each in batch]
        firehose.put_record_batch(DeliveryStreamName=_STREAM, Records=records)
    until = time.monotonic() + 60
    while _size(aws) < wanted:
        if time.monotonic() > until:
            raise TimeoutError("Firehose has not delivered in a minute")
        time.sleep(0.01)


def _directly(aws: LocalAWS) -> None:
    s3 = aws.client("s3")
    for number, batch in enumerate(_batches()):
        s3.put_object(Bucket=_BUCKET, Key=f"direct/{number:04}", Body=b"".join(batch))


def _size(aws: LocalAWS) -> int:
    pages = (
        aws.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=_BUCKET, Prefix="firehose/")
    )
    return sum(found["Size"] for page in pages for found in page.get("Contents", []))


def _create(firehose: Any, processing: dict[str, Any] | None) -> None:
    destination: dict[str, Any] = {
        "RoleARN": EXECUTION_ROLE_ARN,
        "BucketARN": f"arn:aws:s3:::{_BUCKET}",
        "Prefix": "firehose/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
    }
    if processing:
        destination["ProcessingConfiguration"] = processing
    firehose.create_delivery_stream(
        DeliveryStreamName=_STREAM, ExtendedS3DestinationConfiguration=destination
    )
    while True:
        found = firehose.describe_delivery_stream(DeliveryStreamName=_STREAM)
        if found["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE":
            return
        time.sleep(0.05)


def _calling(aws: LocalAWS) -> dict[str, Any]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", _FUNCTION)
    made = aws.client("lambda").create_function(
        FunctionName="benchmark",
        Runtime="python3.13",
        Handler="main.handler",
        Role=EXECUTION_ROLE_ARN,
        Code={"ZipFile": packed.getvalue()},
    )
    given = {"LambdaArn": made["FunctionArn"], "BufferIntervalInSeconds": "0"}
    listed = [{"ParameterName": n, "ParameterValue": v} for n, v in given.items()]
    return {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": listed}]}
