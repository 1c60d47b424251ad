"""Create a Glue crawler and run it to its end. boto3 has no waiter for either."""

from __future__ import annotations

import time
from typing import Any


class CrawlFailed(Exception):
    """The crawl did not succeed; the message says why."""


def create_crawler(
    glue: Any, *, poll_seconds: float = 2.0, timeout_seconds: float = 60, **crawler: Any
) -> None:
    """Create a crawler; try again while its role is too new for Glue to take it on.

    Args:
        glue: a boto3 client of AWS Glue.
        poll_seconds: how long to wait between two tries.
        timeout_seconds: how long to go on trying.
        crawler: the parameters of `glue.create_crawler`.

    Raises:
        botocore.exceptions.ClientError: what Glue refuses for another reason, or for too long.
    """
    until = time.monotonic() + timeout_seconds
    while True:
        try:
            glue.create_crawler(**crawler)
            return
        except glue.exceptions.InvalidInputException as error:
            too_new = "unable to assume" in str(error).lower()
            if not too_new or time.monotonic() > until:
                raise
        time.sleep(poll_seconds)


def crawl(glue: Any, name: str, *, poll_seconds: float = 2.0, timeout_seconds: float = 900) -> None:
    """Start the crawler and return when it is ready again.

    Args:
        glue: a boto3 client of AWS Glue.
        name: of a crawler that is ready.
        poll_seconds: how long to wait between two looks.
        timeout_seconds: how long to wait in all.

    Raises:
        CrawlFailed: if the crawl fails, is cancelled or takes too long; with Glue's own reason.
    """
    glue.start_crawler(Name=name)
    until = time.monotonic() + timeout_seconds
    while (crawler := glue.get_crawler(Name=name)["Crawler"])["State"] != "READY":
        if time.monotonic() > until:
            raise CrawlFailed(f"{name} is still {crawler['State']} after {timeout_seconds} seconds")
        time.sleep(poll_seconds)
    last = crawler.get("LastCrawl", {})
    if last.get("Status") != "SUCCEEDED":
        raise CrawlFailed(f"{name}: {last.get('Status')}: {last.get('ErrorMessage', 'no reason')}")
