"""What CloudWatch Logs promises beyond moto. Source: FilterLogEvents, API reference of CloudWatch
Logs, https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

GROUP = "/jobs"


@pytest.fixture
def logs(aws):
    """A client, and a group with one line in each of three streams."""
    client = aws.client("logs")
    client.create_log_group(logGroupName=GROUP)
    for name in ("first/a", "first/b", "second/a"):
        client.create_log_stream(logGroupName=GROUP, logStreamName=name)
        events = [{"timestamp": int(time.time() * 1000), "message": f"from {name}"}]
        client.put_log_events(logGroupName=GROUP, logStreamName=name, logEvents=events)
    return client


def lines(logs, **parameters):
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, **parameters)
    return sorted(pages.search("events[].message"))


def test_a_prefix_chooses_the_streams(logs):
    assert lines(logs) == ["from first/a", "from first/b", "from second/a"]
    assert lines(logs, logStreamNamePrefix="first/") == ["from first/a", "from first/b"]
    assert lines(logs, logStreamNamePrefix="first/", filterPattern='"first/b"') == ["from first/b"]


def test_a_prefix_of_no_stream_finds_nothing(logs):
    assert lines(logs, logStreamNamePrefix="third/") == []


def test_names_and_a_prefix_exclude_each_other(logs):
    with pytest.raises(ClientError, match="InvalidParameterException"):
        lines(logs, logStreamNames=["first/a"], logStreamNamePrefix="first/")


def test_a_group_that_is_not_there(logs):
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logs.filter_log_events(logGroupName="/none", logStreamNamePrefix="first/")
