"""What is read from a journal and from the account; and what the sanitizers hide."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from nbval.plugin import get_sanitize_patterns

from .calls import CellRun, difference, refused, services_used

PATTERNS = get_sanitize_patterns(Path(__file__).with_name("sanitize.cfg").read_text())


def entry(service: str, operation: str, error: str | None, time: float = 15.0) -> dict[str, Any]:
    """An entry of the journal at a time."""
    names = {"service": service, "operation": operation, "error": error}
    return {**names, "caller": "notebook", "region": "us-east-1", "time": time}


CELLS = [CellRun("Cell 0", 10, 20, shows_refusal=False), CellRun("Cell 1", 20, 30, True)]


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("lightsail", "GetInstances", "NotImplemented"),
        ("sagemaker", "CreateModel", "ValidationException"),
        ("athena", "StartQueryExecution", "InvalidRequestException"),
        ("forecast", "CreateDataset", "AccessDeniedException"),
        ("s3", "PutBucketPolicy", "MalformedPolicy"),
        ("glue", "CreateTable", "InvalidInputException"),
        ("glue", "CreateTable", "InternalFailure"),
    ],
)
def test_a_wrong_request_is_reported_with_its_cell(service: str, operation: str, code: str) -> None:
    problems = refused([entry(service, operation, code)], CELLS)
    assert len(problems) == 1
    assert problems[0].startswith(f"Cell 0: {service}:{operation} by notebook was refused with")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "GetObject", None),
        ("s3", "GetObject", "NoSuchKey"),
        ("glue", "GetTable", "EntityNotFoundException"),
        ("glue", "CreateDatabase", "AlreadyExistsException"),
        ("sagemaker", "DescribeEndpoint", "ValidationException"),
        ("s3", "PutObject", "SlowDown"),
    ],
)
def test_what_is_absent_present_or_busy_is_no_refusal(
    service: str, operation: str, code: str | None
) -> None:
    assert refused([entry(service, operation, code)], CELLS) == []


def test_a_cell_may_show_a_refusal() -> None:
    assert refused([entry("s3", "GetObject", "AccessDenied", time=25.0)], CELLS) == []
    assert refused([entry("s3", "GetObject", "AccessDenied", time=19.9)], CELLS)


def test_things_left_and_things_gone_are_named() -> None:
    before = {"iam list_roles": ["execution-role"]}
    after = {"s3 list_buckets": ["mine"]}
    gone, left = difference(before, after)
    assert "'execution-role' belongs to the account and is gone" in gone
    assert "'mine' is still there" in left and "Clean up" in left
    assert difference(after, after) == []


def test_services_are_looked_up_where_they_were_called() -> None:
    journal = [entry("s3", "A", None), {**entry("s3", "B", None), "region": "eu-west-1"}]
    assert services_used(journal) == {("us-east-1", "s3"), ("eu-west-1", "s3")}


def _sanitized(text: str) -> str:
    for pattern, replacement in PATTERNS:
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("made 2026-11-22T10:11:12.345Z", "made 2026-01-02T03:04:05.678Z"),
        ("made 2026-11-22 10:11:12+00:00", "made 2026-11-22 09:00:00+00:00"),
        ("flights-2026-11-22-10-11-12-345", "flights-2026-11-23-00-00-00-000"),
        ("flights-20261122101112", "flights-20261123000000"),
        ("[11/22/26 10:11:12] INFO", "[11/23/26 00:00:01] INFO"),
        ("took 1.3 s", "took 0.9 s"),
        ("took 12 ms", "took 9 ms"),
        ("0:00:12.5 passed", "0:01:02 passed"),
        ("id 0a1b2c3d-1111-4222-8333-0123456789ab", "id ffffffff-1111-4222-8333-0123456789ab"),
        ("key d41d8cd98f00b204e9800998ecf8427e", "key 00000000000000000000000000000000"),
        ("bucket flights-0a1b2c3d", "bucket flights-99aa88bb"),
    ],
)
def test_ids_and_times_are_hidden(one: str, other: str) -> None:
    assert _sanitized(one) == _sanitized(other) != one


@pytest.mark.parametrize(
    "shown",
    [
        "accuracy 0.8123",
        "336776 rows",
        "delay 12.6 min, 23 minutes late",
        "12,345,678 bytes scanned",
        "20130101 is a day",
        "departs 05:15:00",
        "temperature -12345678",
        "1763856000000",
        "auc 0.71 in the 1980s",
        "deadbeef",
        "0.10 USD an hour, 15 m",
    ],
)
def test_numbers_are_not_hidden(shown: str) -> None:
    assert _sanitized(shown) == shown
