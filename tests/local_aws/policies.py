"""What IAM policies allow: the evaluation of one action on one resource.

An explicit deny wins, then an allow; without either the answer is an implicit deny.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import fnmatch
import ipaddress
import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .account import ACCOUNT_ID
from .errors import AWSError

ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY = "allowed", "explicitDeny", "implicitDeny"
Context = Mapping[str, list[str]]


@dataclass(frozen=True)
class Statement:
    """A statement and where it stands. Positions are line and column, counted from 1."""

    content: dict[str, Any]
    policy: str
    start: tuple[int, int]
    end: tuple[int, int]


@dataclass
class Decision:
    """The result, the statements that led to it, and the context keys that were asked for."""

    result: str
    statements: list[Statement] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def parse(document: str, name: str) -> list[Statement]:
    """The statements of a policy document.

    Raises:
        AWSError: InvalidInput if it is not JSON or has no statements.
    """
    try:
        content = json.loads(document)
        content = content["Statement"]
    except (ValueError, KeyError, TypeError):
        message = f"The policy {name} is not valid JSON with a Statement: {document[:200]}"
        raise AWSError("InvalidInput", message) from None
    items = content if isinstance(content, list) else [content]
    spans = _spans(document, len(items))
    return [
        Statement(item, name, _position(document, start), _position(document, end))
        for item, (start, end) in zip(items, spans, strict=True)
    ]


def _spans(document: str, count: int) -> list[tuple[int, int]]:
    """Where the statements begin and end in the text of the document."""
    found = re.search(r'"Statement"\s*:\s*\[?\s*', document)
    position, spans = found.end() if found else 0, []
    decoder = json.JSONDecoder()
    for _ in range(count):
        position += len(document[position:]) - len(document[position:].lstrip(" \t\r\n,"))
        _, end = decoder.raw_decode(document, position)
        spans.append((position, end))
        position = end
    return spans


def _position(document: str, offset: int) -> tuple[int, int]:
    before = document[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def evaluate(
    statements: Iterable[Statement],
    action: str,
    resource: str,
    context: Context | None = None,
    principal: str | None = None,
) -> Decision:
    """Decide on one action, written `service:Operation`, on the ARN of one resource.

    Args:
        statements: of all policies that apply.
        context: condition keys, in lower case, with their values.
        principal: ARN or service name of the caller; None leaves `Principal` out of account.
    """
    context = context or {}
    missing: list[str] = []
    matched: dict[str, list[Statement]] = {"Allow": [], "Deny": []}
    for statement in statements:
        content = statement.content
        if (
            _matches_action(content, action)
            and _matches_resource(content, resource, context)
            and (principal is None or _matches_principal(content, principal))
            and _matches_conditions(content.get("Condition") or {}, context, missing)
        ):
            matched.setdefault(content.get("Effect", "Allow"), []).append(statement)
    missing = list(dict.fromkeys(missing))
    if matched["Deny"]:
        return Decision(EXPLICIT_DENY, matched["Deny"], missing)
    if matched["Allow"]:
        return Decision(ALLOWED, matched["Allow"], missing)
    return Decision(IMPLICIT_DENY, [], missing)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _like(value: str, pattern: str) -> bool:
    """`*` and `?` as wildcards; nothing else is special."""
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _matches_action(content: dict[str, Any], action: str) -> bool:
    action = action.lower()
    if "NotAction" in content:
        return not any(_like(action, item.lower()) for item in _listed(content["NotAction"]))
    return any(_like(action, item.lower()) for item in _listed(content.get("Action", [])))


def _matches_resource(content: dict[str, Any], resource: str, context: Context) -> bool:
    def found(patterns: Any) -> bool:
        return any(_like(resource, _filled(item, context)) for item in _listed(patterns))

    if "NotResource" in content:
        return not found(content["NotResource"])
    # A trust policy has no Resource: it is about the role that it belongs to.
    return found(content["Resource"]) if "Resource" in content else True


def _matches_principal(content: dict[str, Any], principal: str) -> bool:
    if "NotPrincipal" in content:
        return not _is_among(content["NotPrincipal"], principal)
    return _is_among(content.get("Principal", {}), principal)


def _is_among(principals: Any, principal: str) -> bool:
    if principals == "*":
        return True
    given = [item for items in principals.values() for item in _listed(items)]
    account = principal.split(":")[4] if principal.startswith("arn:") else None
    return any(
        item in ("*", principal, account) or (account and item == f"arn:aws:iam::{account}:root")
        for item in given
    )


# ── conditions ───────────────────────────────────────────────────────────────────────────────────


def _matches_conditions(
    conditions: dict[str, dict[str, Any]], context: Context, missing: list[str]
) -> bool:
    """All operators and all their keys must hold; of several values one is enough."""
    return all(
        _holds(name, key, [str(item) for item in _listed(wanted)], context, missing)
        for name, tests in conditions.items()
        for key, wanted in tests.items()
    )


def _holds(name: str, key: str, wanted: list[str], context: Context, missing: list[str]) -> bool:
    quantifier, _, name = name.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    values = context.get(key.lower())
    if name == "Null":
        return (values is None) == (wanted[0].lower() == "true")
    negated = "Not" in name
    if values is None:
        missing.append(key)
        return if_exists or negated or quantifier == "ForAllValues"
    compare = _OPERATORS.get(name.replace("Not", ""))
    if compare is None:
        raise AWSError("InvalidInput", f"The condition operator {name} is not known to IAM.")
    wanted = [_filled(item, context) for item in wanted]

    def one(value: str) -> bool:
        return any(_safely(compare, value, item) for item in wanted) != negated

    return all(map(one, values)) if quantifier == "ForAllValues" else any(map(one, values))


def _safely(compare: Callable[[str, str], bool], value: str, wanted: str) -> bool:
    """A value that does not read as the operator's type does not match."""
    try:
        return compare(value, wanted)
    except ValueError:
        return False


def _numeric(compare: Callable[[Any, Any], bool]) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(float(value), float(wanted))


def _date(compare: Callable[[Any, Any], bool]) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(_timestamp(value), _timestamp(wanted))


def _timestamp(value: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    return datetime.fromisoformat(value).timestamp()


def _in_network(value: str, wanted: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


# Without the word `Not`, which turns the result around.
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": operator.eq,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "BinaryEquals": operator.eq,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "IpAddress": _in_network,
    "NumericEquals": _numeric(operator.eq),
    "NumericLessThan": _numeric(operator.lt),
    "NumericLessThanEquals": _numeric(operator.le),
    "NumericGreaterThan": _numeric(operator.gt),
    "NumericGreaterThanEquals": _numeric(operator.ge),
    "DateEquals": _date(operator.eq),
    "DateLessThan": _date(operator.lt),
    "DateLessThanEquals": _date(operator.le),
    "DateGreaterThan": _date(operator.gt),
    "DateGreaterThanEquals": _date(operator.ge),
}


def _filled(text: str, context: Context) -> str:
    """The text with policy variables such as `${aws:username}` replaced where they are known."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in ("*", "?", "$"):
            return name
        return (context.get(name.lower()) or [found[0]])[0]

    return re.sub(r"\$\{([^}]+)\}", value, text)


def lets_service(
    document: str | Mapping[str, Any] | None,
    service: str,
    action: str,
    resource: str,
    source_arn: str,
    *,
    as_owner: bool = False,
) -> bool:
    """Whether a resource's policy lets a service act on it, on behalf of a source of this account.

    Args:
        document: the policy, as JSON or parsed; None or empty for a resource without one.
        service: such as `events.amazonaws.com`.
        action: such as `sqs:SendMessage`.
        resource, source_arn: ARNs.
        as_owner: whether the service acts as the account that owns the resource, which is what the
            default policy of a topic asks for.
    """
    if not document:
        return False
    text = document if isinstance(document, str) else json.dumps(document)
    context = {
        "aws:sourcearn": [source_arn],
        "aws:sourceaccount": [ACCOUNT_ID],
        "aws:securetransport": ["true"],
    }
    if as_owner:
        context["aws:sourceowner"] = [ACCOUNT_ID]
    statements = parse(text, "resource policy")
    return evaluate(statements, action, resource, context, service).result == ALLOWED
