"""Glue crawlers: look through S3, find tables and their partitions, write them to the Data Catalog.

moto keeps what a crawler is configured with; what it does and how its crawls went is kept here.
Table names, parameters and formats are those that AWS's crawler writes.
https://docs.aws.amazon.com/glue/latest/dg/add-crawler.html
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ... import account
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from ...jobs import Job
from ...logs import LogStream
from .catalog import Catalog, Outcome
from .tables import Crawled, find_tables, list_target

_LOG_GROUP = "/aws-glue/crawlers"
_DEFAULTS: dict[str, Any] = {
    "Classifiers": [],
    "SchemaChangePolicy": {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DEPRECATE_IN_DATABASE",
    },
    "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"},
    "LineageConfiguration": {"CrawlerLineageSettings": "DISABLE"},
}
# Parameters of UpdateCrawler, and the attribute of moto's crawler that holds each.
_ATTRIBUTES = {
    "Role": "role",
    "DatabaseName": "database_name",
    "Description": "description",
    "Targets": "targets",
    "Schedule": "schedule",
    "Classifiers": "classifiers",
    "TablePrefix": "table_prefix",
    "SchemaChangePolicy": "schema_change_policy",
    "RecrawlPolicy": "recrawl_policy",
    "LineageConfiguration": "lineage_configuration",
    "Configuration": "configuration",
    "CrawlerSecurityConfiguration": "crawler_security_configuration",
}

# How a crawl went, as the crawler and the triggers that wait for it put it.
_OUTCOMES = {"COMPLETED": "SUCCEEDED", "STOPPED": "CANCELLED", "FAILED": "FAILED"}

# Called with region, crawler and outcome of each crawl that has ended.
on_end: list[Callable[[str, str, str], None]] = []

# (region, crawler name) -> its crawls, oldest first
_crawls: dict[tuple[str, str], list[Crawl]] = account.table()
# (region, crawler name) -> the folders that its crawls have seen
_known_folders: dict[tuple[str, str], set[str]] = account.table()


@dataclass
class Crawl:
    """One run of a crawler. `state` is the crawler's while it lasts, READY afterwards."""

    crawl_id: str
    job: Job
    started: datetime
    state: str = "RUNNING"
    status: str = "RUNNING"
    ended: datetime | None = None
    error: str | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def log(self, level: str, message: str) -> None:
        """Write a line as a crawler does, with the crawl's id in front."""
        assert self.job.log is not None
        self.job.log.write(f"[{self.crawl_id}] {level} : {message}")

    @property
    def seconds(self) -> float:
        """How long it took, or has been running."""
        return ((self.ended or account.now()) - self.started).total_seconds()


class _Stopped(Exception):
    """The crawl was asked to stop."""


# ── configuration ────────────────────────────────────────────────────────────────────────────────


@handles("glue", "CreateCrawler")
def create(call: Call) -> dict[str, Any]:
    """Keep a crawler's configuration, with AWS's defaults."""
    _check(call.params)
    return call.forward({**_DEFAULTS, **call.params})


@handles("glue", "UpdateCrawler")
def update(call: Call) -> None:
    """Change what is given, leave the rest."""
    crawler = _crawler(call.region, call.params["Name"])
    _refuse_if_running(call.region, crawler.name)
    current = {name: getattr(crawler, attribute) for name, attribute in _ATTRIBUTES.items()}
    _check({**current, **call.params})
    for name, attribute in _ATTRIBUTES.items():
        if name in call.params:
            setattr(crawler, attribute, call.params[name])
    crawler.version += 1
    crawler.last_updated = account.now().replace(tzinfo=None)


@handles("glue", "DeleteCrawler")
def delete(call: Call) -> dict[str, Any]:
    """Delete a crawler and the record of its crawls; not while it runs."""
    name = call.params["Name"]
    _refuse_if_running(call.region, name)
    answer = call.forward()
    _crawls.pop((call.region, name), None)
    _known_folders.pop((call.region, name), None)
    return answer


@handles("glue", "GetCrawler")
def get(call: Call) -> dict[str, Any]:
    """A crawler, its state and its last crawl."""
    return {"Crawler": _described(call.region, call.forward()["Crawler"])}


@handles("glue", "GetCrawlers", "BatchGetCrawlers")
def get_many(call: Call) -> dict[str, Any]:
    """Crawlers, their states and last crawls."""
    answer = call.forward()
    crawlers = [_described(call.region, crawler) for crawler in answer.get("Crawlers", [])]
    return {**answer, "Crawlers": crawlers}


def _check(params: dict[str, Any]) -> None:
    """Refuse what AWS refuses, and what would be crawled on AWS but is not here."""
    targets = params.get("Targets") or {}
    given = {kind for kind, paths in targets.items() if paths}
    if not given:
        raise AWSError("InvalidInputException", "Crawler must have at least one target.")
    if given != {"S3Targets"}:
        kinds = ", ".join(sorted(given - {"S3Targets"}))
        raise not_implemented("glue", f"crawling of {kinds}")
    if params.get("Classifiers"):
        raise not_implemented("glue", "crawling with custom classifiers")
    if any(not target.get("Path") for target in targets["S3Targets"]):
        raise AWSError("InvalidInputException", "The path of an S3 target must not be empty.")
    try:
        json.loads(params.get("Configuration") or "{}")
    except ValueError:
        message = f"The crawler's Configuration is not valid JSON: {params['Configuration']}"
        raise AWSError("InvalidInputException", message) from None
    recrawl = (params.get("RecrawlPolicy") or {}).get("RecrawlBehavior")
    if recrawl == "CRAWL_EVENT_MODE":
        raise not_implemented("glue", "crawling by S3 events (CRAWL_EVENT_MODE)")
    policy = params.get("SchemaChangePolicy") or _DEFAULTS["SchemaChangePolicy"]
    if recrawl == "CRAWL_NEW_FOLDERS_ONLY" and set(policy.values()) != {"LOG"}:
        message = (
            'The SchemaChangePolicy for "Crawl new folders only" Amazon S3 target can have only '
            "LOG DeleteBehavior value and LOG UpdateBehavior value."
        )
        raise AWSError("InvalidInputException", message)


def _crawler(region: str, name: str) -> Any:
    from moto.glue.models import glue_backends

    crawler = glue_backends[account.ACCOUNT_ID][region].crawlers.get(name)
    if crawler is None:
        message = f"Crawler entry with name {name} does not exist"
        raise AWSError("EntityNotFoundException", message)
    return crawler


def _latest(region: str, name: str) -> Crawl | None:
    crawls = _crawls.get((region, name))
    return crawls[-1] if crawls else None


def _refuse_if_running(region: str, name: str) -> None:
    crawl = _latest(region, name)
    if crawl and crawl.state != "READY":
        message = f"Crawler with name {name} is in state {crawl.state}"
        raise AWSError("CrawlerRunningException", message)


def _described(region: str, crawler: dict[str, Any]) -> dict[str, Any]:
    """moto's description with the state and the last crawl put in."""
    described = {**_DEFAULTS, **{name: value for name, value in crawler.items() if value != {}}}
    described.setdefault(
        "LakeFormationConfiguration", {"UseLakeFormationCredentials": False, "AccountId": ""}
    )
    crawls = _crawls.get((region, crawler["Name"]), [])
    running = bool(crawls) and crawls[-1].state != "READY"
    described["State"] = crawls[-1].state if crawls else "READY"
    described["CrawlElapsedTime"] = round(1000 * crawls[-1].seconds) if running else 0
    finished = [crawl for crawl in crawls if crawl.ended]
    if finished:
        described["LastCrawl"] = _last_crawl(finished[-1], crawler["Name"])
    return described


def _last_crawl(crawl: Crawl, name: str) -> dict[str, Any]:
    last = {
        "Status": _OUTCOMES[crawl.status],
        "LogGroup": _LOG_GROUP,
        "LogStream": name,
        "MessagePrefix": crawl.crawl_id,
        "StartTime": crawl.started,
    }
    return last | ({"ErrorMessage": crawl.error} if crawl.error else {})


# ── crawls ───────────────────────────────────────────────────────────────────────────────────────


@handles("glue", "StartCrawler")
def start(call: Call) -> None:
    """Start a crawl."""
    begin(call.region, call.params["Name"])


def begin(region: str, name: str) -> None:
    """Start a crawl. Raises EntityNotFoundException, CrawlerRunningException."""
    crawler = _crawler(region, name)
    latest = _latest(region, name)
    if latest and latest.state != "READY":
        message = f"Crawler with name {name} has already started"
        raise AWSError("CrawlerRunningException", message)
    log = LogStream(region, _LOG_GROUP, name, f"crawler {name}")
    job = Job(name, region, status="RUNNING", failed="FAILED", log=log)
    crawl = Crawl(account.new_id(), job, account.now())
    _crawls.setdefault((region, name), []).append(crawl)
    job.start(lambda _: _run(crawl, crawler, region))


@handles("glue", "StopCrawler")
def stop(call: Call) -> None:
    """Ask a crawl to end."""
    name = call.params["Name"]
    _crawler(call.region, name)
    crawl = _latest(call.region, name)
    if crawl is None or crawl.state == "READY":
        message = f"Crawler with name {name} isn't running"
        raise AWSError("CrawlerNotRunningException", message)
    if crawl.state == "STOPPING":
        message = f"Crawler with name {name} is already stopping"
        raise AWSError("CrawlerStoppingException", message)
    crawl.state = "STOPPING"
    crawl.job.stop()


def _run(crawl: Crawl, crawler: Any, region: str) -> None:
    try:
        crawl.log("BENCHMARK", f"Running Start Crawl for Crawler {crawler.name}")
        _crawl(crawl, crawler, region)
        crawl.status = "COMPLETED"
    except _Stopped:
        crawl.status = "STOPPED"
        crawl.log("INFO", "The crawl was stopped before it had finished")
    except AWSError as error:
        crawl.status, crawl.error = "FAILED", error.message
        crawl.log("ERROR", error.message)
    except Exception as error:
        crawl.status, crawl.error = "FAILED", f"Internal Service Exception: {error}"
        raise
    finally:
        crawl.state = "STOPPING"
        crawl.ended = account.now()
        for kind, counts in crawl.outcome.by_kind():
            crawl.log("INFO", f"Run Summary For {kind}:")
            for change, names in counts:
                crawl.log("INFO", f"{change}: {len(names)}")
        crawl.log("BENCHMARK", "Crawler has finished running and is in state READY")
        crawl.job.status = crawl.status
        crawl.state = "READY"
        for listener in on_end:
            listener(region, crawler.name, _OUTCOMES[crawl.status])


def _crawl(crawl: Crawl, crawler: Any, region: str) -> None:
    configuration = json.loads(crawler.configuration or "{}")
    new_only = (crawler.recrawl_policy or {}).get("RecrawlBehavior") == "CRAWL_NEW_FOLDERS_ONLY"
    known = _known_folders.setdefault((region, crawler.name), set())
    tables: list[Crawled] = []
    prefixes: list[str] = []
    for target in crawler.targets["S3Targets"]:
        location, files = list_target(target, crawler.role, f"crawler {crawler.name}")
        prefixes.append(str(location))
        if not files:
            crawl.log("WARN", f"No files to classify were found at {location}")
        tables += find_tables(
            location,
            files,
            table_level=(configuration.get("Grouping") or {}).get("TableLevelConfiguration"),
            prefix=crawler.table_prefix or "",
            caller=f"crawler {crawler.name}",
            warn=lambda message: crawl.log("WARN", message),
            go_on=lambda: _raise_if_stopped(crawl),
        )
    crawl.log(
        "BENCHMARK",
        f"Classification complete, writing results to database {crawler.database_name}",
    )
    policy = crawler.schema_change_policy
    shown = json.dumps(policy, separators=(",", ":"))
    crawl.log("INFO", f"Crawler configured with SchemaChangePolicy {shown}.")
    catalog = Catalog(
        region=region,
        database=crawler.database_name,
        crawler=crawler.name,
        crawl_id=crawl.crawl_id,
        role=crawler.role,
        policy=policy,
        output=configuration.get("CrawlerOutput") or {},
        outcome=crawl.outcome,
        log=crawl.log,
    )
    for table in tables:
        _raise_if_stopped(crawl)
        catalog.write(table, known if new_only else set())
    if not new_only:
        catalog.handle_missing(prefixes, tables)
    known.update(folder for table in tables for folder in table.folders)
    crawl.log("BENCHMARK", "Finished writing to Catalog")


def _raise_if_stopped(crawl: Crawl) -> None:
    if crawl.job.stop_requested.is_set():
        raise _Stopped


# ── history ──────────────────────────────────────────────────────────────────────────────────────

_COMPARISONS = {
    "EQ": lambda one, other: one == other,
    "NE": lambda one, other: one != other,
    "GT": lambda one, other: one > other,
    "GE": lambda one, other: one >= other,
    "LT": lambda one, other: one < other,
    "LE": lambda one, other: one <= other,
}


@handles("glue", "ListCrawls")
def list_crawls(call: Call) -> dict[str, Any]:
    """The crawls of a crawler, newest first."""
    name = call.params["CrawlerName"]
    _crawler(call.region, name)
    crawls = [
        crawl
        for crawl in reversed(_crawls.get((call.region, name), []))
        if all(_matches(crawl, condition) for condition in call.params.get("Filters") or [])
    ]
    first = int(call.params.get("NextToken") or 0)
    last = first + int(call.params.get("MaxResults") or 20)
    answer: dict[str, Any] = {"Crawls": [_history(crawl, name) for crawl in crawls[first:last]]}
    if last < len(crawls):
        answer["NextToken"] = str(last)
    return answer


def _matches(crawl: Crawl, condition: dict[str, str]) -> bool:
    values: dict[str, Any] = {
        "CRAWL_ID": crawl.crawl_id,
        "STATE": crawl.status,
        "START_TIME": crawl.started.timestamp() * 1000,
        "END_TIME": crawl.ended.timestamp() * 1000 if crawl.ended else None,
        "DPU_HOUR": _dpu_hours(crawl),
    }
    value, wanted = values[condition["FieldName"]], condition["FieldValue"]
    if value is None:
        return False
    compare = _COMPARISONS[condition["FilterOperator"]]
    return compare(value, type(value)(wanted))


def _history(crawl: Crawl, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "CrawlId": crawl.crawl_id,
        "State": crawl.status,
        "StartTime": crawl.started,
        "Summary": crawl.outcome.summary(),
        "DPUHour": _dpu_hours(crawl),
        "LogGroup": _LOG_GROUP,
        "LogStream": name,
        "MessagePrefix": crawl.crawl_id,
    }
    if crawl.ended:
        entry["EndTime"] = crawl.ended
    if crawl.error:
        entry["ErrorMessage"] = crawl.error
    return entry


def _dpu_hours(crawl: Crawl) -> float:
    """What the crawl would be billed: two DPUs for the time it ran."""
    return round(2 * crawl.seconds / 3600, 6)


@handles("glue", "GetCrawlerMetrics")
def metrics(call: Call) -> dict[str, Any]:
    """Run times and what the crawls have done to the catalog."""
    from moto.glue.models import glue_backends

    asked = call.params.get("CrawlerNameList")
    names = asked or list(glue_backends[account.ACCOUNT_ID][call.region].crawlers)
    return {"CrawlerMetricsList": [_metrics(call.region, name) for name in names]}


def _metrics(region: str, name: str) -> dict[str, Any]:
    _crawler(region, name)
    crawls = _crawls.get((region, name), [])
    seconds = [crawl.seconds for crawl in crawls if crawl.ended]
    running = bool(crawls) and crawls[-1].state != "READY"
    return {
        "CrawlerName": name,
        "TimeLeftSeconds": 0.0,
        "StillEstimating": running,
        "LastRuntimeSeconds": seconds[-1] if seconds else 0.0,
        "MedianRuntimeSeconds": statistics.median(seconds) if seconds else 0.0,
        "TablesCreated": sum(len(crawl.outcome.tables["ADD"]) for crawl in crawls),
        "TablesUpdated": sum(len(crawl.outcome.tables["UPDATE"]) for crawl in crawls),
        "TablesDeleted": sum(len(crawl.outcome.tables["DELETE"]) for crawl in crawls),
    }
