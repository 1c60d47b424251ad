"""Chapter 2's helpers: policies, lifecycle rules, costs of a data lake, and a crawl to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import moto
import pytest

from tests.chapters.loading import load

_CHAPTER = Path(__file__).parents[2] / "chapter02"


data_lake = load("chapter02", "data_lake")
crawling = load("chapter02", "crawling")


# ── buckets and policies ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_bucket_is_made_in_its_region_and_safe(region: str) -> None:
    with moto.mock_aws():
        s3 = boto3.client("s3", region_name=region)
        data_lake.create_bucket(s3, "a-lake", region, {"project": "p"})
        found = s3.get_bucket_location(Bucket="a-lake")["LocationConstraint"]
        block = s3.get_public_access_block(Bucket="a-lake")["PublicAccessBlockConfiguration"]
        tags = s3.get_bucket_tagging(Bucket="a-lake")["TagSet"]
        policy = s3.get_bucket_policy(Bucket="a-lake")["Policy"]
    assert (found or "us-east-1") == region
    assert len(block) == 4
    assert all(block.values())
    assert tags == [{"Key": "project", "Value": "p"}]
    assert "aws:SecureTransport" in policy


def test_objects_of_a_prefix_are_listed_and_weighed() -> None:
    with moto.mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="a-lake")
        for key, size in (("raw/a", 600_000), ("raw/b", 400_000), ("curated/c", 5)):
            s3.put_object(Bucket="a-lake", Key=key, Body=b"x" * size)
        assert data_lake.megabytes(data_lake.objects_under(s3, "a-lake", "raw/")) == 1.0
        assert data_lake.objects_under(s3, "a-lake", "nothing/") == []


def test_the_analyst_reads_two_zones_and_writes_none() -> None:
    listing, reading = data_lake.analyst_policy("a-lake")["Statement"]
    assert reading["Action"] == "s3:GetObject"
    assert reading["Resource"] == [
        "arn:aws:s3:::a-lake/curated/*",
        "arn:aws:s3:::a-lake/features/*",
    ]
    assert listing["Condition"]["StringLike"]["s3:prefix"] == ["curated/*", "features/*"]


# ── lifecycle and costs ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, "STANDARD"),
        (29, "STANDARD"),
        (30, "STANDARD_IA"),
        (90, "GLACIER_IR"),
        (364, "GLACIER_IR"),
        (365, "DEEP_ARCHIVE"),
        (9999, "DEEP_ARCHIVE"),
    ],
)
def test_raw_data_grows_cold_by_age(days: int, expected: str) -> None:
    assert data_lake.storage_class_at(days, data_lake.lifecycle_rules()) == expected


def test_s3_takes_the_rules_as_they_are() -> None:
    with moto.mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="a-lake")
        rules = data_lake.lifecycle_rules()
        s3.put_bucket_lifecycle_configuration(
            Bucket="a-lake", LifecycleConfiguration={"Rules": rules}
        )
        stored = s3.get_bucket_lifecycle_configuration(Bucket="a-lake")["Rules"]
    assert [rule["ID"] for rule in stored] == [rule["ID"] for rule in rules]


def test_without_rules_every_month_costs_a_month_more() -> None:
    assert data_lake.monthly_cost(0, 1000, []) == pytest.approx(23.0)
    assert data_lake.monthly_cost(23, 1000, []) == pytest.approx(24 * 23.0)


def test_with_rules_the_costs_are_those_of_each_age() -> None:
    prices = data_lake.PRICES
    # three months: one at 0 days, one at 30, one at 60, one at 90
    expected = 10 * (prices["STANDARD"] + 2 * prices["STANDARD_IA"] + prices["GLACIER_IR"])
    assert data_lake.monthly_cost(3, 10, data_lake.lifecycle_rules()) == pytest.approx(expected)


@pytest.mark.parametrize(("month", "growth"), [(-1, 10.0), (0, -0.5)])
def test_what_cannot_be_is_refused_with_its_value(month: int, growth: float) -> None:
    with pytest.raises(ValueError, match=f"got {month} and {growth}"):
        data_lake.monthly_cost(month, growth, [])


# ── crawlers ─────────────────────────────────────────────────────────────────────────────────────


class _TooNew(Exception):
    """Stands for Glue's InvalidInputException."""


class _Glue:
    """A client whose crawler goes through the given states."""

    class exceptions:  # noqa: N801 (as boto3 names it)
        InvalidInputException = _TooNew

    def __init__(self, crawlers: list[dict[str, Any]], refusals: int = 0, why: str = "") -> None:
        self._crawlers, self._refusals, self._why = crawlers, refusals, why
        self.created = 0

    def create_crawler(self, **_: Any) -> None:
        if self._refusals:
            self._refusals -= 1
            raise _TooNew(self._why)
        self.created += 1

    def start_crawler(self, Name: str) -> None:
        self.started = Name

    def get_crawler(self, Name: str) -> dict[str, Any]:
        crawler = self._crawlers.pop(0) if len(self._crawlers) > 1 else self._crawlers[0]
        return {"Crawler": crawler}


def test_a_crawl_is_waited_for() -> None:
    done = {"State": "READY", "LastCrawl": {"Status": "SUCCEEDED"}}
    glue = _Glue([{"State": "RUNNING"}, {"State": "STOPPING"}, done])
    crawling.crawl(glue, "c", poll_seconds=0)
    assert glue.started == "c"


def test_a_failed_crawl_says_why() -> None:
    failed = {"State": "READY", "LastCrawl": {"Status": "FAILED", "ErrorMessage": "no bucket x"}}
    with pytest.raises(crawling.CrawlFailed, match="c: FAILED: no bucket x"):
        crawling.crawl(_Glue([failed]), "c", poll_seconds=0)


def test_a_crawl_without_end_is_given_up() -> None:
    with pytest.raises(crawling.CrawlFailed, match="still RUNNING after 0 seconds"):
        crawling.crawl(_Glue([{"State": "RUNNING"}]), "c", poll_seconds=0, timeout_seconds=0)


def test_a_role_that_is_too_new_is_tried_again() -> None:
    glue = _Glue([], refusals=2, why="Service is unable to assume provided role.")
    crawling.create_crawler(glue, poll_seconds=0, Name="c")
    assert glue.created == 1


def test_another_refusal_is_passed_on_at_once() -> None:
    glue = _Glue([], refusals=1, why="Database not given")
    with pytest.raises(_TooNew, match="Database not given"):
        crawling.create_crawler(glue, poll_seconds=0, Name="c")
    assert glue.created == 0
