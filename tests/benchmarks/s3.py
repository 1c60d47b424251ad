"""S3 of the offline AWS against moto's own server."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from tests.local_aws.environment import LocalAWS

from .measure import compare, row

_BUCKET = "benchmark"
_MEGABYTE = os.urandom(1 << 20)
_LARGE = os.urandom(200 << 20)


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    with LocalAWS() as aws, stock_moto() as endpoint:
        ours = aws.client("s3")
        stock = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="stock",
            aws_secret_access_key="stock",
        )
        for client in (ours, stock):
            client.create_bucket(Bucket=_BUCKET)
            for number in range(1000):
                client.put_object(Bucket=_BUCKET, Key=f"many/{number:04}", Body=b"x")
        for what, times, action in _ACTIONS:
            times_ours, times_stock = compare(
                lambda action=action: action(ours), lambda action=action: action(stock), times
            )
            yield row(f"S3 {what}", times_ours, times_stock, "≤ 1.0 of stock moto")


def _put(client: Any) -> None:
    client.put_object(Bucket=_BUCKET, Key="one", Body=_MEGABYTE)


def _get(client: Any) -> None:
    client.get_object(Bucket=_BUCKET, Key="one")["Body"].read()


def _upload(client: Any) -> None:
    client.upload_fileobj(io.BytesIO(_LARGE), _BUCKET, "large")


def _download(client: Any) -> None:
    client.download_fileobj(_BUCKET, "large", io.BytesIO())


def _head(client: Any) -> None:
    client.head_object(Bucket=_BUCKET, Key="one")


def _list(client: Any) -> None:
    client.list_objects_v2(Bucket=_BUCKET, Prefix="many/")


_ACTIONS = [
    ("put 1 MB", 30, _put),
    ("get 1 MB", 30, _get),
    ("upload 200 MB", 3, _upload),
    ("download 200 MB", 3, _download),
    ("head", 50, _head),
    ("list 1,000 keys", 10, _list),
]


@contextmanager
def stock_moto() -> Iterator[str]:
    """moto's own server, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "moto.server", "-p", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                # Its log of requests must go somewhere, or the pipe fills and it stops.
                subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
                yield found[1]
                return
        raise RuntimeError("moto's server did not start")
    finally:
        process.kill()
        process.wait()
