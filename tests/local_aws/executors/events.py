"""EventBridge: moto keeps rules and matches events, `event_targets` delivers them.

A schedule does not come round by itself, or an account would never be at rest: whoever wants to see
what it sets off asks for it (`LocalAWS.fire`, or `/local-aws/fire?rule=…&region=…`).
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

from .. import account, event_targets, triggers
from ..errors import AWSError, not_implemented
from ..gateway import Call, controls, handles

triggers.install("events")

_MOST_TARGETS = 5
_RATE = re.compile(r"rate\((?:1 (?:minute|hour|day)|(?:[2-9]|[1-9]\d+) (?:minutes|hours|days))\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_NUMERIC = ("<", "<=", "=", ">=", ">")
_TEXT_OPERATORS = ("prefix", "suffix", "equals-ignore-case", "wildcard")


# ── rules and targets ────────────────────────────────────────────────────────────────────────────


@handles("events", "PutRule")
def put_rule(call: Call) -> dict[str, Any]:
    """Keep a rule whose pattern and schedule can be read."""
    params = call.params
    if params.get("EventPattern"):
        check_pattern(params["EventPattern"])
    schedule = params.get("ScheduleExpression")
    if schedule and not (_RATE.fullmatch(schedule) or _is_cron(schedule)):
        raise AWSError("ValidationException", "Parameter ScheduleExpression is not valid.")
    return call.forward()


def _is_cron(schedule: str) -> bool:
    """Six fields, of which the day of the month or the day of the week is left open by `?`."""
    found = _CRON.fullmatch(schedule)
    return found is not None and (found[3] == "?") != (found[5] == "?")


@handles("events", "PutTargets")
def put_targets(call: Call) -> dict[str, Any]:
    """Keep targets that can be delivered to, with the role that they need."""
    params = call.params
    for target in params["Targets"]:
        _check_target(target)
    rule = _rule(call.region, params["Rule"], params.get("EventBusName"))
    ids = {target["Id"] for target in rule.targets} | {item["Id"] for item in params["Targets"]}
    if len(ids) > _MOST_TARGETS:
        message = "The requested resource exceeds the maximum number allowed."
        raise AWSError("LimitExceededException", message)
    return call.forward()


def _check_target(target: dict[str, Any]) -> None:
    arn = target["Arn"]
    if len(arn.split(":")) < 6 or not arn.startswith("arn:"):
        message = f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
        raise AWSError("ValidationException", message)
    if not event_targets.is_carried_out(arn) and ":event-bus/" not in arn:
        raise not_implemented("events", f"PutTargets with the target {arn}")
    if event_targets.needs_role(arn) and not target.get("RoleArn"):
        raise AWSError("ValidationException", f"RoleArn is required for target {arn}.")
    given = [name for name in ("Input", "InputPath", "InputTransformer") if target.get(name)]
    if len(given) > 1:
        message = f"Only one of Input, InputPath, or InputTransformer must be provided: {given}"
        raise AWSError("ValidationException", message)
    if target.get("Input"):
        try:
            json.loads(target["Input"])
        except ValueError:
            message = f"Invalid Input for target {target['Id']}: it is not valid JSON."
            raise AWSError("ValidationException", message) from None
    dead = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    if dead.endswith(".fifo"):
        message = f"The dead-letter queue {dead} is a FIFO queue; only standard queues can be one."
        raise AWSError("ValidationException", message)


def _rule(region: str, name: str, bus: str | None) -> Any:
    from moto.events.models import events_backends

    bus = (bus or "default").rpartition("/")[2]
    found = events_backends[account.ACCOUNT_ID][region].event_buses.get(bus)
    if found is None:
        raise AWSError("ResourceNotFoundException", f"Event bus {bus} does not exist.")
    if name not in found.rules:
        message = f"Rule {name} does not exist on EventBus {bus}."
        raise AWSError("ResourceNotFoundException", message)
    return found.rules[name]


# ── patterns ─────────────────────────────────────────────────────────────────────────────────────


@handles("events", "TestEventPattern")
def test_event_pattern(call: Call) -> dict[str, Any]:
    """Whether an event, given whole, matches a pattern."""
    from moto.events.models import EventPattern

    check_pattern(call.params["EventPattern"])
    try:
        event = json.loads(call.params["Event"])
    except ValueError:
        message = "Parameter Event is not valid. Reason: it is not valid JSON."
        raise AWSError("ValidationException", message) from None
    needed = ("id", "account", "source", "time", "region", "resources", "detail-type")
    missing = [name for name in needed if not isinstance(event, dict) or name not in event]
    if missing:
        message = f"Parameter Event is not valid. Reason: it has no {', '.join(missing)}."
        raise AWSError("ValidationException", message)
    return {"Result": EventPattern.load(call.params["EventPattern"]).matches_event(event)}


def check_pattern(text: str) -> None:
    """Refuse what is no event pattern; moto takes an operator that it does not know for a match.

    Raises:
        AWSError: InvalidEventPatternException.
    """
    try:
        pattern = json.loads(text)
    except ValueError:
        raise _invalid("Invalid JSON") from None
    if not isinstance(pattern, dict) or not pattern:
        raise _invalid("Filter is not an object" if pattern else "Empty patterns are not allowed")
    _check_node(pattern)


def _invalid(reason: str) -> AWSError:
    message = f"Event pattern is not valid. Reason: {reason}"
    return AWSError("InvalidEventPatternException", message)


def _check_node(node: dict[str, Any]) -> None:
    for name, value in node.items():
        if name == "$or":
            if not isinstance(value, list) or len(value) < 2:
                raise _invalid("$or must be an array of two or more patterns")
            for item in value:
                _check_node(item)
        elif isinstance(value, dict):
            if not value:
                raise _invalid("Empty objects are not allowed")
            _check_node(value)
        elif isinstance(value, list):
            if not value:
                raise _invalid("Empty arrays are not allowed")
            for item in value:
                _check_value(item)
        else:
            raise _invalid(f'"{name}" must be an object or an array')


def _check_value(item: Any) -> None:
    if not isinstance(item, dict):
        if isinstance(item, list):
            raise _invalid("Match value must be String, number, true, false, or null")
        return
    if len(item) != 1:
        raise _invalid("Only one key allowed in match expression")
    ((name, value),) = item.items()
    if name in _TEXT_OPERATORS:
        _check_text(name, value)
    elif name == "exists":
        if not isinstance(value, bool):
            raise _invalid("exists match pattern must be either true or false.")
    elif name == "numeric":
        _check_numeric(value)
    elif name == "cidr":
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise _invalid(f"Malformed CIDR: {value}") from None
    elif name == "anything-but":
        _check_anything_but(value)
    else:
        raise _invalid(f"Unrecognized match type {name}")


def _check_text(name: str, value: Any) -> None:
    if isinstance(value, dict) and name in ("prefix", "suffix"):
        value = value.get("equals-ignore-case")
    if not isinstance(value, str):
        raise _invalid(f"{name} match pattern must be a string")
    if name == "wildcard" and "**" in value:
        raise _invalid("Consecutive wildcard characters")


def _check_numeric(value: Any) -> None:
    ok = isinstance(value, list) and len(value) in (2, 4) and not len(value) % 2
    if not ok or any(sign not in _NUMERIC for sign in value[::2]):
        raise _invalid("Numeric match must be an array of comparisons such as [>, 0, <=, 5]")
    if any(isinstance(limit, bool) or not isinstance(limit, int | float) for limit in value[1::2]):
        raise _invalid("Value of a numeric match must be a number")


def _check_anything_but(value: Any) -> None:
    if isinstance(value, dict):
        ((name, inner),) = value.items() if len(value) == 1 else (("", None),)
        if name not in _TEXT_OPERATORS:
            raise _invalid(f"Unsupported anything-but pattern: {name}")
        for item in _listed(inner):
            _check_text(name, item)
    elif value == [] or any(isinstance(item, dict | list) for item in _listed(value)):
        raise _invalid("anything-but list must hold strings or numbers")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ── schedules ────────────────────────────────────────────────────────────────────────────────────


@controls("fire")
def fire(query: dict[str, str]) -> dict[str, Any]:
    """Let the schedule of a rule come round once. The query names `rule` and `region`."""
    rule = _rule(query.get("region", "us-east-1"), query.get("rule", ""), None)
    if not rule.scheduled_expression:
        raise AWSError("ValidationException", f"The rule {rule.name} has no schedule.")
    event = {
        "version": "0",
        "id": account.new_id(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account.ACCOUNT_ID,
        "time": account.now().timestamp(),
        "region": rule.region_name,
        "resources": [rule.arn],
        "detail": {},
    }
    if rule.state == "DISABLED":
        return {"fired": False}
    event_targets.matched(rule)
    for target in list(rule.targets):
        event_targets.deliver(target, event, rule)
    return {"fired": True}
