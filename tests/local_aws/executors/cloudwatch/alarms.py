"""Alarms: kept, evaluated, and what they do when their state changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ... import account, metrics
from ...errors import AWSError, not_implemented
from ...gateway import Call, handles
from ...jobs import Job
from . import actions, composite, expressions
from .evaluation import ALARM, FURTHER_BACK, INSUFFICIENT_DATA, OK, Rule, judge, timestamp
from .statistics import MetricStat, Series, dimensions, series

_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
_ANOMALY = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold")
_LONGEST_DAY, _LONGEST_WEEK = 86_400, 604_800
_MOST_ITEMS = 100
_GATHER_SECONDS = 0.05
# A state that was set by hand stands until the next evaluation; on AWS that is within a minute.
_SET_BY_HAND = timedelta(seconds=60)


@dataclass(frozen=True)
class State:
    """A state of an alarm, why, and since when. `data` is JSON, or empty."""

    value: str
    reason: str
    data: str
    since: datetime


@dataclass
class Alarm:
    """A metric alarm or a composite alarm, in the words of the request that made it."""

    region: str
    params: dict[str, Any]
    state: State
    configured: datetime
    transitioned: datetime
    held_until: datetime | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return self.params["AlarmName"]

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:cloudwatch:{self.region}:{account.ACCOUNT_ID}:alarm:{self.name}"

    @property
    def is_composite(self) -> bool:
        """Whether its state comes from other alarms."""
        return "AlarmRule" in self.params

    @property
    def stats(self) -> dict[str, MetricStat]:
        """The statistics that it watches, by the id of their query."""
        params = self.params
        if self.is_composite:
            return {}
        if params.get("Metrics"):
            queries = params["Metrics"]
            return {q["Id"]: MetricStat.of(q["MetricStat"]) for q in queries if "MetricStat" in q}
        stat = MetricStat(
            params["Namespace"],
            params["MetricName"],
            params.get("Statistic") or params["ExtendedStatistic"],
            int(params["Period"]),
            dimensions(params.get("Dimensions")),
            params.get("Unit"),
        )
        return {"m1": stat}

    def note(self, kind: str, summary: str, data: dict[str, Any]) -> None:
        """Add an item to the history."""
        self.history.append(
            {
                "AlarmName": self.name,
                "AlarmType": "CompositeAlarm" if self.is_composite else "MetricAlarm",
                "Timestamp": account.now(),
                "HistoryItemType": kind,
                "HistorySummary": summary,
                "HistoryData": json.dumps(data),
            }
        )


# (region, name) -> alarm, in the order of their creation
_alarms: dict[tuple[str, str], Alarm] = account.table()
_lock = threading.RLock()


def _of(region: str) -> list[Alarm]:
    with _lock:
        return [alarm for (where, _), alarm in _alarms.items() if where == region]


# ── making and removing ──────────────────────────────────────────────────────────────────────────


@handles("cloudwatch", "PutMetricAlarm")
def put_metric_alarm(call: Call) -> None:
    """Make an alarm, or change it: its state then stays until the evaluation, which is now."""
    params = call.params
    _check(params)
    if params.get("Metrics"):
        _check_queries(params["Metrics"])
    else:
        _check_metric(params)
    _check_periods(params)
    alarm = _put(call)
    evaluate(call.region, [alarm])


@handles("cloudwatch", "PutCompositeAlarm")
def put_composite_alarm(call: Call) -> None:
    """Make an alarm whose state is a rule on the states of others."""
    params = call.params
    _check(params)
    if params.get("ActionsSuppressor"):
        raise not_implemented("cloudwatch", "PutCompositeAlarm with ActionsSuppressor")
    known = {alarm.name: alarm.state.value for alarm in _of(call.region)}
    missing = composite.names(params["AlarmRule"]) - known.keys()
    if missing:
        message = f"The following alarms do not exist: {', '.join(sorted(missing))}"
        raise AWSError("ValidationError", message)
    alarm = _put(call)
    evaluate(call.region, [alarm])


def _put(call: Call) -> Alarm:
    params, now = dict(call.params), account.now()
    name, tags = params["AlarmName"], params.pop("Tags", None)
    with _lock:
        known = _alarms.get((call.region, name))
        if known and known.is_composite != ("AlarmRule" in params):
            message = f"An alarm with the name {name} and another type already exists."
            raise AWSError("ValidationError", message)
        if known is None:
            state = State(INSUFFICIENT_DATA, "Unchecked: Initial alarm creation", "", now)
            known = Alarm(call.region, params, state, now, now)
            _alarms[call.region, name] = known
            known.note("ConfigurationUpdate", f'Alarm "{name}" created', _change(known, "Create"))
            _keep_in_moto(known, tags)
        else:
            known.params, known.configured, known.held_until = params, now, None
            known.note("ConfigurationUpdate", f'Alarm "{name}" updated', _change(known, "Update"))
    return known


def _change(alarm: Alarm, kind: str) -> dict[str, Any]:
    content = {"alarmName": alarm.name, "alarmArn": alarm.arn, "stateValue": alarm.state.value}
    return {"version": "1.0", "type": kind, "createdAlarm": content}


def _keep_in_moto(alarm: Alarm, tags: list[dict[str, str]] | None) -> None:
    """moto has the alarm, too: it keeps the tags, for this API and for the tagging API."""
    nothing = dict.fromkeys(
        ("namespace", "metric_name", "comparison_operator", "statistic", "description")
    )
    _moto(alarm.region).put_metric_alarm(
        name=alarm.name,
        evaluation_periods=1,
        period=60,
        threshold=0.0,
        dimensions=[],
        alarm_actions=[],
        rule=alarm.params.get("AlarmRule"),
        tags=tags,
        **nothing,
    )


def _moto(region: str) -> Any:
    from moto.cloudwatch.models import cloudwatch_backends

    return cloudwatch_backends[account.ACCOUNT_ID][region]


def _check(params: dict[str, Any]) -> None:
    for member in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        actions.check(params.get(member) or [])


def _check_metric(params: dict[str, Any]) -> None:
    if not params.get("MetricName") or not params.get("Namespace"):
        message = "Either MetricName and Namespace or Metrics must be specified."
        raise AWSError("ValidationError", message)
    if bool(params.get("Statistic")) == bool(params.get("ExtendedStatistic")):
        message = "Exactly one of Statistic and ExtendedStatistic must be specified."
        raise AWSError("InvalidParameterCombination", message)
    if not params.get("Period"):
        raise AWSError("ValidationError", "Period must be specified for an alarm on a metric.")
    period = int(params["Period"])
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        message = f"Period must be 10, 20, 30 or a multiple of 60, not {period}"
        raise AWSError("ValidationError", message)


def _check_queries(queries: list[dict[str, Any]]) -> None:
    returned = [query for query in queries if query.get("ReturnData", True)]
    if len(returned) != 1:
        message = "Exactly one element of the metrics list should return data."
        raise AWSError("ValidationError", message)
    stats = [query for query in queries if "MetricStat" in query]
    if not stats:
        raise not_implemented("cloudwatch", "PutMetricAlarm on an expression without a metric")
    if len({int(query["MetricStat"]["Period"]) for query in stats}) > 1:
        message = "Period must be the same for all metrics of the metrics list."
        raise AWSError("ValidationError", message)
    # An expression that cannot be carried out is refused now, and not at the first datum.
    known: dict[str, Series] = {query["Id"]: {} for query in stats}
    _compute(queries, known, range(1))


def _check_periods(params: dict[str, Any]) -> None:
    if params["ComparisonOperator"].startswith(_ANOMALY) or params.get("ThresholdMetricId"):
        raise not_implemented("cloudwatch", "PutMetricAlarm with anomaly detection")
    if "EvaluationPeriods" not in params:
        raise AWSError("ValidationError", "EvaluationPeriods must be specified.")
    if params.get("Threshold") is None:
        raise AWSError("ValidationError", "Threshold must be specified.")
    of, enough = int(params["EvaluationPeriods"]), params.get("DatapointsToAlarm")
    if enough is not None and int(enough) > of:
        message = (
            f"DatapointsToAlarm ({enough}) must be less than or equal to EvaluationPeriods ({of})."
        )
        raise AWSError("ValidationError", message)
    treatment = params.get("TreatMissingData")
    if treatment and treatment not in _TREATMENTS:
        message = (
            f"Option {treatment} is not supported. Supported options for parameter "
            f"TreatMissingData are {', '.join(_TREATMENTS)}."
        )
        raise AWSError("ValidationError", message)
    period = _period(params)
    longest = _LONGEST_WEEK if period >= 3_600 else _LONGEST_DAY
    if of * period > longest:
        message = (
            "Metrics cannot be checked across more than "
            f"{'seven days' if period >= 3_600 else 'a day'} "
            f"(EvaluationPeriods * Period must be <= {longest})."
        )
        raise AWSError("ValidationError", message)


def _period(params: dict[str, Any]) -> int:
    stats = [query["MetricStat"] for query in params.get("Metrics") or [] if "MetricStat" in query]
    return int(stats[0]["Period"] if stats else params["Period"])


@handles("cloudwatch", "DeleteAlarms")
def delete(call: Call) -> None:
    """Delete alarms, unless a composite alarm still asks for one of them."""
    names = set(call.params["AlarmNames"])
    with _lock:
        for alarm in _of(call.region):
            used = alarm.is_composite and alarm.name not in names
            if used and (still := composite.names(alarm.params["AlarmRule"]) & names):
                message = (
                    f"Cannot delete {', '.join(sorted(still))} as there are composite alarm(s) "
                    f"depending on it: {alarm.name}"
                )
                raise AWSError("ValidationError", message)
        for name in names:
            alarm = _alarms.pop((call.region, name), None)
            if alarm is not None:
                _moto(call.region).tagger.delete_all_tags_for_resource(alarm.arn)
    _moto(call.region).delete_alarms(list(names))


@handles("cloudwatch", "EnableAlarmActions", "DisableAlarmActions")
def switch_actions(call: Call) -> None:
    """Switch actions on or off. The state goes on changing without them."""
    for name in call.params["AlarmNames"]:
        alarm = _alarms.get((call.region, name))
        if alarm is not None:
            alarm.params["ActionsEnabled"] = call.operation == "EnableAlarmActions"


@handles("cloudwatch", "SetAlarmState")
def set_state(call: Call) -> None:
    """Set a state by hand, to try out the actions; the next evaluation puts it right."""
    params = call.params
    alarm = _alarms.get((call.region, params["AlarmName"]))
    if alarm is None:
        raise AWSError("ResourceNotFound", f"Alarm {params['AlarmName']} does not exist", 404)
    data = params.get("StateReasonData") or ""
    if data:
        try:
            json.loads(data)
        except ValueError:
            message = f"StateReasonData is not valid JSON: {data[:100]}"
            raise AWSError("InvalidFormat", message) from None
    alarm.held_until = account.now() + _SET_BY_HAND
    _change_state(alarm, params["StateValue"], params["StateReason"], data)
    _settle_composites(call.region)


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


@handles("cloudwatch", "DescribeAlarms")
def describe(call: Call) -> dict[str, Any]:
    """The alarms as they stand now: time may have passed since the last evaluation."""
    params = call.params
    for member in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
        if params.get(member):
            raise not_implemented("cloudwatch", f"DescribeAlarms with {member}")
    evaluate(call.region, _of(call.region))
    kinds = params.get("AlarmTypes") or ["MetricAlarm"]
    found = [
        alarm
        for alarm in _of(call.region)
        if ("CompositeAlarm" if alarm.is_composite else "MetricAlarm") in kinds
        and (not params.get("AlarmNames") or alarm.name in params["AlarmNames"])
        and alarm.name.startswith(params.get("AlarmNamePrefix") or "")
        and alarm.state.value == (params.get("StateValue") or alarm.state.value)
        and _has_action(alarm, params.get("ActionPrefix") or "")
    ]
    start, size = int(params.get("NextToken") or 0), int(params.get("MaxRecords") or 50)
    page = sorted(found, key=lambda alarm: alarm.name)[start : start + size]
    answer: dict[str, Any] = {
        "MetricAlarms": [_described(alarm) for alarm in page if not alarm.is_composite],
        "CompositeAlarms": [_described(alarm) for alarm in page if alarm.is_composite],
    }
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return answer


def _has_action(alarm: Alarm, prefix: str) -> bool:
    members = ("AlarmActions", "OKActions", "InsufficientDataActions")
    arns = [arn for member in members for arn in alarm.params.get(member) or []]
    return not prefix or any(arn.startswith(prefix) for arn in arns)


def _described(alarm: Alarm) -> dict[str, Any]:
    content = {
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        **alarm.params,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured,
        "StateValue": alarm.state.value,
        "StateReason": alarm.state.reason,
        "StateUpdatedTimestamp": alarm.state.since,
        "StateTransitionedTimestamp": alarm.transitioned,
    }
    if not alarm.is_composite:
        content.setdefault("Dimensions", [])
    if alarm.state.data:
        content["StateReasonData"] = alarm.state.data
    return content


@handles("cloudwatch", "DescribeAlarmsForMetric")
def describe_for_metric(call: Call) -> dict[str, Any]:
    """The alarms on exactly this metric."""
    params = call.params
    evaluate(call.region, _of(call.region))
    wanted = dimensions(params.get("Dimensions"))

    def watches(alarm: Alarm) -> bool:
        return any(
            stat.namespace == params["Namespace"]
            and stat.name == params["MetricName"]
            and stat.dimensions == wanted
            and stat.stat in (params.get("Statistic"), params.get("ExtendedStatistic"), stat.stat)
            and stat.period == int(params.get("Period") or stat.period)
            for stat in alarm.stats.values()
        )

    return {"MetricAlarms": [_described(alarm) for alarm in _of(call.region) if watches(alarm)]}


@handles("cloudwatch", "DescribeAlarmHistory")
def describe_history(call: Call) -> dict[str, Any]:
    """What happened to alarms that still exist, newest first."""
    params = call.params
    evaluate(call.region, _of(call.region))
    kinds = params.get("AlarmTypes") or ["MetricAlarm"]
    items = [
        item
        for alarm in _of(call.region)
        if params.get("AlarmName") in (None, alarm.name)
        for item in alarm.history
        if item["AlarmType"] in kinds
        and params.get("HistoryItemType") in (None, item["HistoryItemType"])
        and _is_between(item["Timestamp"], params.get("StartDate"), params.get("EndDate"))
    ]
    oldest_first = params.get("ScanBy") == "TimestampAscending"
    items.sort(key=lambda item: item["Timestamp"])
    if not oldest_first:
        items.reverse()
    start, size = int(params.get("NextToken") or 0), int(params.get("MaxRecords") or _MOST_ITEMS)
    answer: dict[str, Any] = {"AlarmHistoryItems": items[start : start + size]}
    if start + size < len(items):
        answer["NextToken"] = str(start + size)
    return answer


def _is_between(at: datetime, start: datetime | None, end: datetime | None) -> bool:
    def aware(moment: datetime) -> datetime:
        return moment if moment.tzinfo else moment.replace(tzinfo=at.tzinfo)

    return (start is None or aware(start) <= at) and (end is None or at <= aware(end))


# ── evaluating ───────────────────────────────────────────────────────────────────────────────────


class _Evaluator:
    """Evaluates the alarms of a region after new data, so that who puts data does not wait."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._names: set[tuple[str, str]] = set()
        self._job: Job | None = None
        self._guard = threading.Lock()

    def wake(self, metric: tuple[str, str]) -> None:
        """A metric has new data."""
        with self._guard:
            self._names.add(metric)
            if self._job is None:
                self._job = Job("alarms", self.region, status="RUNNING", failed="FAILED")
                self._job.start(self._run)

    def _run(self, job: Job) -> None:
        while True:
            # Data often come many at a time; they are looked at together.
            job.stop_requested.wait(_GATHER_SECONDS)
            with self._guard:
                names, self._names = self._names, set()
                if not names or job.stop_requested.is_set():
                    self._job = None
                    return
            evaluate_watching(self.region, names)


_evaluators: dict[str, _Evaluator] = account.table()


@metrics.on_data
def _new_data(region: str, namespace: str, name: str) -> None:
    if _watching(region, {(namespace, name)}):
        with _lock:
            evaluator = _evaluators.setdefault(region, _Evaluator(region))
        evaluator.wake((namespace, name))


def _watching(region: str, names: Iterable[tuple[str, str]]) -> list[Alarm]:
    wanted = set(names)
    return [
        alarm
        for alarm in _of(region)
        if any((stat.namespace, stat.name) in wanted for stat in alarm.stats.values())
    ]


def evaluate_watching(region: str, names: Iterable[tuple[str, str]]) -> None:
    """Evaluate the alarms on these metrics: (namespace, name)."""
    alarms = _watching(region, names)
    for alarm in alarms:
        alarm.held_until = None
    if alarms:
        evaluate(region, alarms)


def evaluate(region: str, alarms: list[Alarm]) -> None:
    """Bring the states of these alarms up to date, and of the composite alarms after them."""
    if not alarms:
        return
    with _lock:
        for namespace in {stat.namespace for alarm in alarms for stat in alarm.stats.values()}:
            metrics.sample(region, namespace)
        for alarm in alarms:
            if not alarm.is_composite and _alarms.get((region, alarm.name)) is alarm:
                _evaluate(alarm)
        _settle_composites(region)


def _evaluate(alarm: Alarm) -> None:
    now = account.now()
    if alarm.held_until and now < alarm.held_until:
        return
    params, moment = alarm.params, now.timestamp()
    period = _period(params)
    of = int(params["EvaluationPeriods"])
    count = of + FURTHER_BACK

    def age(seconds: float) -> int | None:
        # A client's clock may run a little ahead of this one.
        number = int((moment - seconds) // period) if seconds <= moment else 0
        return number if number < count and seconds <= moment + 1 else None

    found: dict[str, Series] = {}
    for name, stat in alarm.stats.items():
        found[name] = series(alarm.region, stat, age)
    if params.get("Metrics"):
        # Time runs from the oldest period to the newest in an expression, ages the other way.
        turned = {name: _turned(values, count) for name, values in found.items()}
        _compute(params["Metrics"], turned, range(count))
        (returned,) = (q["Id"] for q in params["Metrics"] if q.get("ReturnData", True))
        values, about = _turned(turned[returned], count), {}
    else:
        (values,) = found.values()
        about = {"statistic": params.get("Statistic") or params["ExtendedStatistic"]}
    enough = int(params.get("DatapointsToAlarm") or of)
    missing = params.get("TreatMissingData") or "missing"
    rule = Rule(
        params["ComparisonOperator"], float(params["Threshold"]), of, enough, missing, period
    )
    verdict = judge(rule, values, alarm.state.value, moment, about)
    if verdict.state != alarm.state.value:
        _change_state(alarm, verdict.state, verdict.reason, verdict.data)
    elif alarm.state.value != INSUFFICIENT_DATA and values:
        alarm.state = State(alarm.state.value, verdict.reason, verdict.data, alarm.state.since)


def _turned(values: Series, count: int) -> Series:
    return {count - 1 - number: value for number, value in values.items()}


def _compute(queries: list[dict[str, Any]], known: dict[str, Series], every: range) -> None:
    """Add the results of expressions, which may use each other, to the series of the metrics."""
    waiting = [query for query in queries if "Expression" in query]
    while waiting:
        ids = {query["Id"] for query in waiting}
        ready = [q for q in waiting if not expressions.names(q["Expression"]) & ids]
        if not ready:
            raise AWSError("ValidationError", "The expressions refer to each other in a circle.")
        for query in ready:
            known[query["Id"]] = expressions.evaluate(query["Expression"], known, every)
            waiting.remove(query)


def _settle_composites(region: str) -> None:
    """Composite alarms may ask for each other: go round until no state changes."""
    composites = [alarm for alarm in _of(region) if alarm.is_composite]
    for _ in composites:
        states = {alarm.name: alarm.state.value for alarm in _of(region)}
        changed = False
        for alarm in composites:
            if alarm.held_until and account.now() < alarm.held_until:
                continue
            holds = composite.holds(alarm.params["AlarmRule"], states)
            value = ALARM if holds else OK
            if value != alarm.state.value:
                changed = True
                reason = (
                    f"{alarm.arn} transitioned to {value} as its AlarmRule "
                    f"{'holds' if holds else 'does not hold'}: {alarm.params['AlarmRule']}"
                )
                _change_state(alarm, value, reason, "")
        if not changed:
            return


def _change_state(alarm: Alarm, value: str, reason: str, data: str) -> None:
    """Go into a state; if it is another one, tell those who want to know."""
    now, before = account.now(), alarm.state
    alarm.state = after = State(value, reason, data, now)
    if value == before.value:
        return
    alarm.transitioned = now
    alarm.note(
        "StateUpdate",
        f"Alarm updated from {before.value} to {value}",
        {"version": "1.0", "oldState": _noted(before), "newState": _noted(after)},
    )
    arns = actions.wanted(alarm)
    job = Job(f"alarm-{alarm.name}", alarm.region, status="RUNNING", failed="FAILED")
    job.start(lambda _: _act(alarm, before, after, arns))


def _noted(state: State) -> dict[str, Any]:
    content: dict[str, Any] = {"stateValue": state.value, "stateReason": state.reason}
    if state.data:
        content["stateReasonData"] = json.loads(state.data)
    return content


def _act(alarm: Alarm, before: State, after: State, arns: list[str]) -> None:
    actions.announce(alarm, before, after)
    for arn in arns:
        failure = actions.run(alarm, before, after, arn)
        done = "Failed to execute" if failure else "Successfully executed"
        content = {
            "actionState": "Failed" if failure else "Succeeded",
            "stateUpdateTimestamp": timestamp(after.since),
            "notificationResource": arn,
            "error": failure,
        }
        alarm.note("Action", f"{done} action {arn}", content)
