"""Around the feature group: its definition, its history, the joins, and what a model gains.

The features themselves are defined once, in `ingest_lambda.update`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import awswrangler as wr
import boto3
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

import deploying
import ingest_lambda
from ingest_lambda import FEATURES, State, to_record, update

DATABASE = "sagemaker_featurestore"
DEFINITIONS = {
    "origin": "String",
    "event_time": "String",
    "delay_now": "Fractional",
    "departures_now": "Fractional",
}
TIME_TO_LIVE = {"Unit": "Hours", "Value": 6}
ASKED_BEFORE = pd.Timedelta(hours=2)
LATE_MINUTES = 15
_ENOUGH = 80
_SCHEDULE = ("hour", "distance", "carrier", "origin")
_WORDS = ("carrier", "origin")

# ── the group ────────────────────────────────────────────────────────────────────────────────────


def create_group(
    name: str, offline_uri: str, role: str, tags: list[dict[str, str]]
) -> dict[str, Any]:
    """Create the feature group of airports with both stores; its description when it is there.

    Args:
        name: of the group.
        offline_uri: where the offline store may write, `s3://bucket/prefix`.
        role: the ARN of the role it writes with.
        tags: of the group.

    Raises:
        RuntimeError: with the reason, if it cannot be created.
    """
    sagemaker = boto3.client("sagemaker")
    deploying.once_the_role_works(
        sagemaker.create_feature_group,
        FeatureGroupName=name,
        RecordIdentifierFeatureName="origin",
        EventTimeFeatureName="event_time",
        FeatureDefinitions=[
            {"FeatureName": feature, "FeatureType": kind} for feature, kind in DEFINITIONS.items()
        ],
        OnlineStoreConfig={"EnableOnlineStore": True, "TtlDuration": TIME_TO_LIVE},
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": offline_uri}},
        RoleArn=role,
        Tags=tags,
    )
    return wait_for_group(name)


def wait_for_group(name: str, *, poll_seconds: float = 2.0) -> dict[str, Any]:
    """The description of a group as soon as it is no longer being created.

    Raises:
        RuntimeError: with AWS's reason, if it could not be created.
    """
    sagemaker = boto3.client("sagemaker")
    wait_until(lambda: _status(name) != "Creating", f"the group {name}", poll_seconds=poll_seconds)
    group = sagemaker.describe_feature_group(FeatureGroupName=name)
    if group["FeatureGroupStatus"] != "Created":
        raise RuntimeError(f"{name} is {group['FeatureGroupStatus']}: {group['FailureReason']}")
    return group


def _status(name: str) -> str:
    sagemaker = boto3.client("sagemaker")
    try:
        return sagemaker.describe_feature_group(FeatureGroupName=name)["FeatureGroupStatus"]
    except sagemaker.exceptions.ResourceNotFound:
        return "Deleted"


def delete_group(name: str) -> None:
    """Delete a group with what AWS leaves behind: its Glue table, and its objects in S3.

    The database goes with its last table. A group that is not there is passed over.
    """
    sagemaker, glue = boto3.client("sagemaker"), boto3.client("glue")
    try:
        group = sagemaker.describe_feature_group(FeatureGroupName=name)
    except sagemaker.exceptions.ResourceNotFound:
        return
    sagemaker.delete_feature_group(FeatureGroupName=name)
    wait_until(lambda: _status(name) == "Deleted", f"the end of {name}")
    offline = group["OfflineStoreConfig"]
    table = offline["DataCatalogConfig"]["TableName"]
    glue.delete_table(DatabaseName=DATABASE, Name=table)
    if not glue.get_tables(DatabaseName=DATABASE)["TableList"]:
        glue.delete_database(Name=DATABASE)
    # The group has a folder of its own, one above `data`.
    wr.s3.delete_objects(offline["S3StorageConfig"]["ResolvedOutputS3Uri"].removesuffix("data"))


def store_policy(bucket: str) -> dict[str, Any]:
    """What Feature Store needs to write below `offline/` of a bucket."""
    return _policy(
        [
            (["s3:PutObject", "s3:PutObjectAcl"], f"arn:aws:s3:::{bucket}/offline/*"),
            (["s3:GetBucketAcl"], f"arn:aws:s3:::{bucket}"),
        ]
    )


def function_policy(group_arn: str, stream_arn: str, log_group_arn: str) -> dict[str, Any]:
    """What the ingesting function needs: its stream, its group, its log."""
    reading = ["DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator"]
    return _policy(
        [
            (["kinesis:" + action for action in [*reading, "ListShards"]], stream_arn),
            (["sagemaker:GetRecord", "sagemaker:PutRecord"], group_arn),
            (["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_group_arn}:*"),
        ]
    )


def _policy(statements: list[tuple[list[str], str]]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": resource}
            for actions, resource in statements
        ],
    }


# ── history ──────────────────────────────────────────────────────────────────────────────────────


def events(departures: pd.DataFrame, shift: pd.Timedelta | None = None) -> list[dict[str, Any]]:
    """Departures as the airports send them, oldest first; moved in time by `shift`.

    Args:
        departures: `origin`, `left_at` (UTC) and `delay` (minutes).
    """
    rows = departures.sort_values("left_at", kind="stable")
    moments = rows["left_at"] + (pd.Timedelta(0) if shift is None else shift)
    return [
        {"origin": origin, "left_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "delay": int(delay)}
        for origin, moment, delay in zip(rows["origin"], moments, rows["delay"], strict=True)
    ]


def history(departures: pd.DataFrame) -> list[State]:
    """The state of each airport after the last departure of each hour, oldest first."""
    return [state for state, following in _states(departures) if _is_last(state, following)]


def _states(departures: pd.DataFrame) -> Iterator[tuple[State, State | None]]:
    """Each state with the one that follows it at the same airport."""
    known: dict[str, State] = {}
    for event in events(departures):
        before = known.get(event["origin"])
        known[event["origin"]] = after = update(before, event)
        if before is not None and after is not before:
            yield before, after
    for state in known.values():
        yield state, None


def _is_last(state: State, following: State | None) -> bool:
    return following is None or _hour(state.event_time) != _hour(following.event_time)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def ingest(name: str, states: list[State], workers: int = 8) -> None:
    """Put states of the past into the offline store, which keeps them all.

    The online store is for the present: there they would have expired on arrival.
    """
    runtime = boto3.client("sagemaker-featurestore-runtime")

    def put(state: State) -> None:
        runtime.put_record(
            FeatureGroupName=name, Record=to_record(state), TargetStores=["OfflineStore"]
        )

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(put, states):
            pass


def wait_for_rows(table: str, count: int, athena: dict[str, Any]) -> int:
    """How many rows the offline store has, as soon as there are at least so many.

    Raises:
        TimeoutError: if they are not there after twenty minutes; AWS says fifteen.
    """
    found = 0

    def arrived() -> bool:
        nonlocal found
        rows = wr.athena.read_sql_query(f"SELECT count(*) AS n FROM {table}", **athena)
        found = int(rows["n"].item())
        return found >= count

    wait_until(arrived, f"{count:,} rows in {table}", timeout_seconds=1200)
    return found


def wait_until(
    done: Callable[[], bool], what: str, *, poll_seconds: float = 2.0, timeout_seconds: float = 900
) -> None:
    """Return as soon as something is done.

    Raises:
        TimeoutError: naming what was waited for.
    """
    until = time.monotonic() + timeout_seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {timeout_seconds} seconds for {what}")
        time.sleep(poll_seconds)


# ── questions and joins ──────────────────────────────────────────────────────────────────────────


def questions(departures: pd.DataFrame) -> pd.DataFrame:
    """A row for each flight: what is known of it two hours before, and whether it came late.

    `asked_at` is when somebody asks, `not_before` the oldest state that the store would still
    have then; `scheduled_at` when the flight should leave. All three as ISO 8601 in UTC.
    """
    landed = departures[departures["arrival_delay"].notna()]
    asked = landed["scheduled_at"] - ASKED_BEFORE
    oldest = asked - pd.Timedelta(hours=TIME_TO_LIVE["Value"])
    moments = {"asked_at": asked, "not_before": oldest, "scheduled_at": landed["scheduled_at"]}
    table = landed[["flight_id", *_SCHEDULE]].assign(
        **{name: moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name, moment in moments.items()},
        late=(landed["arrival_delay"] > LATE_MINUTES).astype("int32"),
    )
    return table.reset_index(drop=True)


def as_of(asked: pd.DataFrame, states: list[State]) -> pd.DataFrame:
    """The point-in-time join in pandas, for comparison with SQL: questions with their features."""
    known = pd.DataFrame([vars(state) for state in states]).sort_values("event_time")
    moments = pd.to_datetime(asked["asked_at"], utc=True).astype(known["event_time"].dtype)
    joined = pd.merge_asof(
        asked.assign(moment=moments).sort_values("moment", kind="stable"),
        known,
        left_on="moment",
        right_on="event_time",
        by="origin",
        tolerance=pd.Timedelta(hours=TIME_TO_LIVE["Value"]),
    )
    return joined.drop(columns=["moment", "event_time"])


def picks(states: pd.DataFrame, flight: pd.Series) -> dict[str, pd.Series]:
    """The state that each of three joins takes for a flight.

    Args:
        states: of the flight's airport, oldest first, `event_time` in UTC.
        flight: with `asked_at` and `scheduled_at`.

    Raises:
        ValueError: if one of the joins finds no state.
    """
    moments = states["event_time"]
    hour = pd.Timestamp(flight["scheduled_at"]).floor("h")
    found = {
        "as of": states[moments <= pd.Timestamp(flight["asked_at"])],
        "same hour": states[(moments >= hour) & (moments < hour + pd.Timedelta(hours=1))],
        "latest": states,
    }
    for name, rows in found.items():
        if rows.empty:
            raise ValueError(f"There is no state for the join '{name}' of {flight['flight_id']}.")
    return {name: rows.iloc[-1] for name, rows in found.items()}


def between(states: list[State], origin: str, begin: str, end: str) -> pd.DataFrame:
    """The states of an airport from one moment to another (ISO 8601, UTC)."""
    table = pd.DataFrame([vars(state) for state in states if state.origin == origin])
    inside = table["event_time"].between(pd.Timestamp(begin), pd.Timestamp(end))
    return table[inside].reset_index(drop=True)


# ── the model ────────────────────────────────────────────────────────────────────────────────────


def split(table: pd.DataFrame, first_day: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Flights that were asked about before a day, and from it on."""
    before = table["asked_at"] < first_day
    return table[before], table[~before]


def train(rows: pd.DataFrame, features: tuple[str, ...] = FEATURES) -> Any:
    """Fit boosted trees on the schedule and these features; missing values are allowed."""
    model = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=50,
        categorical_features="from_dtype",
        random_state=0,
    )
    return model.fit(inputs(rows, features), rows["late"])


def inputs(rows: pd.DataFrame, features: tuple[str, ...] = FEATURES) -> pd.DataFrame:
    """The columns that a model reads, words as categories."""
    table = rows[[*_SCHEDULE, *features]].copy()
    for word in _WORDS:
        table[word] = pd.Categorical(table[word], categories=_CATEGORIES[word])
    return table.astype({name: "float64" for name in ("hour", "distance", *features)})


_CARRIERS = "9E AA AS B6 DL EV F9 FL HA MQ OO UA US VX WN YV"
_CATEGORIES = {"carrier": re.findall(r"\w+", _CARRIERS), "origin": ["EWR", "JFK", "LGA"]}


def auc(model: Any, rows: pd.DataFrame, features: tuple[str, ...] = FEATURES) -> float:
    """The area under the ROC curve: how often a late flight gets a higher score than another."""
    return float(roc_auc_score(rows["late"], scores(model, rows, features)))


def scores(model: Any, rows: pd.DataFrame, features: tuple[str, ...] = FEATURES) -> np.ndarray:
    """The probability that each flight arrives late."""
    return model.predict_proba(inputs(rows, features))[:, 1]


# ── skew ─────────────────────────────────────────────────────────────────────────────────────────


def from_the_table(departures: pd.DataFrame) -> list[State]:
    """The same features as an analyst writes them over the finished table, with one mistake.

    Delays are weighted by their age since the *scheduled* time, as if a plane's delay were known
    when it should have left. At the gate nobody knows it until the plane has gone.
    """
    states: list[State] = []
    half_life = pd.Timedelta(seconds=ingest_lambda.HALF_LIFE_SECONDS)
    for origin, rows in departures.groupby("origin"):
        rows = rows.sort_values("scheduled_at", kind="stable")
        moments = rows["scheduled_at"].astype("datetime64[ns]")
        mean = rows["delay"].astype("float64").ewm(halflife=half_life, times=moments).mean()
        seconds = moments.diff().dt.total_seconds().fillna(0.0)
        weight, weights = 0.0, []
        for factor in 0.5 ** (seconds / ingest_lambda.HALF_LIFE_SECONDS):
            weight = weight * factor + 1.0
            weights.append(weight)
        table = pd.DataFrame({"moment": moments.dt.tz_localize("UTC"), "mean": mean, "n": weights})
        last = table.groupby(table["moment"].dt.floor("h")).last()
        states += [State(str(origin), *values) for values in last.itertuples(index=False)]
    return sorted(states, key=lambda state: state.event_time)


def differing(training: pd.Series, serving: pd.Series, tolerance: float = 1e-6) -> float:
    """The share of rows in which two series of one feature are not the same value.

    Raises:
        ValueError: if they have not the same length.
    """
    if len(training) != len(serving):
        raise ValueError(f"{len(training)} rows cannot be compared with {len(serving)}.")
    same = np.isclose(training, serving, rtol=0, atol=tolerance, equal_nan=True)
    return float(1 - same.mean())


def psi(expected: pd.Series, found: pd.Series, bins: int = 10) -> float:
    """The population stability index of a feature: 0 for the same distribution.

    The sum over bins of (found - expected) * ln(found / expected), with shares of rows in bins
    that each hold a tenth of the expected values; missing values are a bin of their own. A common
    reading: below 0.1 stable, above 0.25 shifted (Siddiqi, Credit Risk Scorecards, 2006).

    Raises:
        ValueError: for a series without rows.
    """
    if not len(expected) or not len(found):
        raise ValueError("The PSI needs rows on both sides.")
    edges = np.unique(np.nanquantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))

    def shares(values: pd.Series) -> np.ndarray:
        present = values.dropna().to_numpy()
        counts = np.bincount(np.searchsorted(edges, present), minlength=len(edges) + 1)
        counts = np.append(counts, values.isna().sum())
        return np.maximum(counts / len(values), 1e-4)

    before, after = shares(expected), shares(found)
    return float(np.sum((after - before) * np.log(after / before)))


# ── the stream ───────────────────────────────────────────────────────────────────────────────────


def send(stream: str, messages: list[dict[str, Any] | str]) -> None:
    """Send messages in their order, keyed by airport, so that each airport keeps its order.

    Raises:
        RuntimeError: if the stream did not take all of a batch; nothing after it is sent.
    """
    kinesis = boto3.client("kinesis")
    for start in range(0, len(messages), 500):
        records = [
            {
                "Data": (each if isinstance(each, str) else json.dumps(each)).encode(),
                "PartitionKey": "unknown" if isinstance(each, str) else each["origin"],
            }
            for each in messages[start : start + 500]
        ]
        failed = kinesis.put_records(StreamName=stream, Records=records)["FailedRecordCount"]
        if failed:
            raise RuntimeError(f"{stream} did not take {failed} of {len(records)} records.")


def replay(departures: pd.DataFrame, begin: str, end: str) -> dict[str, list[Any]]:
    """The departures from `begin` to `end` as if it were `end` now, on a bad day for senders.

    Every fourth of JFK and LaGuardia comes twice, at most twenty. Ten come after everything else.
    Two messages are useless. Newark's are seven hours older than they should be, and fewer.

    Args:
        departures: as in `departures.parquet`.
        begin, end: ISO 8601, UTC.

    Returns:
        `messages` in the order of sending, and `good`, those that count.

    Raises:
        ValueError: if fewer than 80 planes left JFK and LaGuardia in that time.
    """
    moments = departures["left_at"].dt.tz_localize("UTC")
    rows = departures[(moments >= pd.Timestamp(begin)) & (moments < pd.Timestamp(end))]
    shift = pd.Timestamp.now("UTC").floor("s") - pd.Timestamp(end)
    sent = events(rows[rows["origin"] != "EWR"], shift)
    if len(sent) < _ENOUGH:
        raise ValueError(f"{len(sent)} departures are too few to replay; {_ENOUGH} are needed.")
    late = sent[10:60:5]  # ten; the last of each airport are not among them
    good = [event for event in sent if event not in late]
    messages: list[Any] = []
    for number, event in enumerate(good):
        messages += [event, event] if number % 4 == 0 and number < 80 else [event]
    silent = events(rows[rows["origin"] == "EWR"], shift - pd.Timedelta(hours=7))
    messages = [*silent, *messages, "departed!", json.dumps({"origin": "JFK"}), *late]
    return {"messages": messages, "good": good}


def counted(log_group: str) -> dict[str, int]:
    """What the function says of its batches in its log, summed up."""
    totals = {"used": 0, "passed_over": 0, "useless": 0}
    pages = boto3.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=log_group, filterPattern='"passed_over"'):
        for event in page["events"]:
            line = json.loads(event["message"])
            for name in totals:
                totals[name] += line[name]
    return totals


def online(name: str) -> pd.DataFrame:
    """What the online store has of each airport, with the seconds until it forgets it."""
    runtime = boto3.client("sagemaker-featurestore-runtime")
    rows = {}
    for origin in _CATEGORIES["origin"]:
        answer = runtime.get_record(
            FeatureGroupName=name,
            RecordIdentifierValueAsString=origin,
            ExpirationTimeResponse="Enabled",
        )
        values = {each["FeatureName"]: each["ValueAsString"] for each in answer.get("Record", [])}
        row = {feature: float(values[feature]) if values else np.nan for feature in FEATURES}
        if values:
            happened = datetime.fromisoformat(values["event_time"])
            ends = datetime.fromisoformat(answer["ExpiresAt"])
            row["lives_hours"] = (ends - happened).total_seconds() / 3600
        rows[origin] = row
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*FEATURES, "lives_hours"])


def fold(messages: list[dict[str, Any]]) -> dict[str, State]:
    """The last state of each airport after these departures, by the definition itself."""
    known: dict[str, State] = {}
    for message in messages:
        known[message["origin"]] = update(known.get(message["origin"]), message)
    return known
