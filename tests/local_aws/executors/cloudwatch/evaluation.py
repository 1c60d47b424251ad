"""What the data of an alarm's metric say: its state, and why.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .statistics import Series

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

# AWS looks further back than EvaluationPeriods when data are missing; how far, it leaves open.
# Its own examples look two periods further.
FURTHER_BACK = 2

_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_TREATED_AS = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


@dataclass(frozen=True)
class Verdict:
    """A state and why. `data` is the JSON of StateReasonData."""

    state: str
    reason: str
    data: str


@dataclass(frozen=True)
class Rule:
    """What an alarm asks of its periods."""

    comparison: str
    threshold: float
    of: int
    enough: int
    missing: str
    period: int

    def breaches(self, value: float) -> bool:
        """Whether a value is on the wrong side of the threshold."""
        return _COMPARISONS[self.comparison][0](value, self.threshold)


def judge(rule: Rule, values: Series, state: str, now: float, about: dict[str, Any]) -> Verdict:
    """The verdict on the values of the last periods.

    Args:
        values: by the age of the period, 0 for the newest; `rule.of + FURTHER_BACK` are looked at.
        state: the present one, which some verdicts leave as it is.
        now: seconds since 1970; the newest period ends here.
        about: members of StateReasonData that the caller knows, such as the statistic.
    """
    found = [(age, values[age]) for age in sorted(values)][: rule.of]
    lacking = rule.of - len(found)
    breaching = [item for item in found if rule.breaches(item[1])]
    fine = [item for item in found if not rule.breaches(item[1])]
    verdict = _state(rule, found, len(breaching), len(fine), lacking, state)
    if verdict is None:
        verdict = state
    shown = breaching if verdict == ALARM else fine
    reason = _reason(rule, verdict, shown, found, lacking, now)
    return Verdict(verdict, reason, _reason_data(rule, found, now, about))


def _state(
    rule: Rule,
    found: list[tuple[int, float]],
    breaching: int,
    fine: int,
    lacking: int,
    state: str,
) -> str | None:
    """The state; None to leave it as it is."""
    if not found and rule.missing == "missing":
        return INSUFFICIENT_DATA
    if rule.missing == "breaching":
        breaching += lacking
    elif rule.missing == "notBreaching":
        fine += lacking
    if breaching >= rule.enough:
        return ALARM
    if fine > rule.of - rule.enough:
        return OK
    if rule.missing == "missing":
        # Fewer values than asked for, but the oldest of them is old enough and none is fine.
        oldest = found[-1][0] + 1 if found else 0
        if not fine and oldest >= rule.enough:
            return ALARM
        if fine:
            return OK
    return None


def _reason(
    rule: Rule,
    state: str,
    shown: list[tuple[int, float]],
    found: list[tuple[int, float]],
    lacking: int,
    now: float,
) -> str:
    if state == INSUFFICIENT_DATA:
        return f"Insufficient Data: {_counted(rule.of)} {_was(rule.of)} unknown."
    treated = _TREATED_AS.get(rule.missing)
    filled = (
        f"{lacking} missing datapoint{'s' * (lacking != 1)} {_was(lacking)} treated as [{treated}]"
    )
    if not found:
        periods = f"{rule.of} period{'s' * (rule.of != 1)}"
        if treated is None:
            return f"Threshold Crossed: no datapoints were received for {periods}."
        return f"Threshold Crossed: no datapoints were received for {periods} and {filled}."
    listed = ", ".join(f"{value} ({_short(now, rule, age)})" for age, value in shown)
    words = _COMPARISONS[rule.comparison][1]
    negation = "" if state == ALARM else "not "
    extra = f" and {filled}" if lacking and treated else ""
    if state == ALARM:
        needed, change = rule.enough, "OK -> ALARM"
    else:
        needed, change = rule.of - rule.enough + 1, "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(shown)} out of the last {rule.of} datapoints [{listed}] "
        f"{_was(len(shown))} {negation}{words} the threshold ({rule.threshold}){extra} "
        f"(minimum {_counted(needed)} for {change} transition)."
    )


def _counted(number: int) -> str:
    return f"{number} datapoint{'s' * (number != 1)}"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _began(now: float, rule: Rule, age: int) -> datetime:
    """The full minute in which a period began."""
    began = now - (age + 1) * rule.period
    return datetime.fromtimestamp(began // 60 * 60 if rule.period >= 60 else began // 1, UTC)


def _short(now: float, rule: Rule, age: int) -> str:
    return _began(now, rule, age).strftime("%d/%m/%y %H:%M:%S")


def timestamp(moment: datetime) -> str:
    """A time as CloudWatch writes it in what it sends: milliseconds and `+0000`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _reason_data(
    rule: Rule, found: list[tuple[int, float]], now: float, about: dict[str, Any]
) -> str:
    oldest_first = found[::-1]
    data: dict[str, Any] = {
        "version": "1.0",
        "queryDate": timestamp(datetime.fromtimestamp(now, UTC)),
    }
    if oldest_first:
        data["startDate"] = timestamp(_began(now, rule, oldest_first[0][0]))
    data |= about
    data |= {
        "period": rule.period,
        "recentDatapoints": [value for _, value in oldest_first],
        "threshold": rule.threshold,
        "evaluatedDatapoints": [
            {"timestamp": timestamp(_began(now, rule, age)), "value": value} for age, value in found
        ],
    }
    return json.dumps(data, separators=(",", ":"))
