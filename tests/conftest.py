"""An offline AWS for tests: one server for the session, an empty account for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local_aws.environment import LocalAWS


@pytest.fixture(scope="session")
def aws_server() -> Iterator[LocalAWS]:
    """The server; use `aws` unless the test keeps the state of others."""
    with LocalAWS() as server:
        yield server


@pytest.fixture
def aws(aws_server: LocalAWS) -> LocalAWS:
    """An empty account."""
    aws_server.reset()
    return aws_server
