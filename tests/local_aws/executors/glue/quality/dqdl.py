"""DQDL, the language of Glue's data quality rules: from text to rules.

https://docs.aws.amazon.com/glue/latest/dg/dqdl.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from ....errors import AWSError, not_implemented

_GRAMMAR = r"""
start: section+
section: "Rules" "=" "[" _list{item} "]"      -> rules
       | "Analyzers" "=" "[" _list{rule} "]"  -> analyzers
_list{each}: each ("," each)* ","?
?item: rule | composite
composite: operand (JOIN operand)+
?operand: "(" item ")"
rule: NAME STRING* condition? where? threshold? label?
where: "where" STRING
threshold: "with" "threshold" condition
label: "labels" "=" "[" STRING "=" STRING ("," STRING "=" STRING)* "]"
condition: COMPARISON value                      -> comparison
         | "between" value "and" value           -> between
         | "not" "between" value "and" value     -> not_between
         | "in" "[" value ("," value)* "]"       -> in_list
         | "not" "in" "[" value ("," value)* "]" -> not_in_list
         | "matches" STRING                      -> matches
         | "not" "matches" STRING                -> not_matches
?value: NUMBER UNIT -> duration
      | NUMBER      -> number
      | STRING      -> text
      | KEYWORD     -> keyword
      | "true"      -> true
      | "false"     -> false
      | "now()"     -> now
      | "(" "now()" SIGN NUMBER UNIT ")" -> moved
JOIN: "and" | "or"
COMPARISON: "!=" | ">=" | "<=" | "=" | ">" | "<"
KEYWORD: "NULL" | "EMPTY" | "WHITESPACES_ONLY"
UNIT: /(minutes?|hours?|days?)\b/
SIGN: "+" | "-"
NAME: /[A-Z][A-Za-z]+/
NUMBER: /-?\d+(\.\d+)?([eE][+-]?\d+)?/
STRING: /"(\\.|[^"\\])*"/
COMMENT: /#[^\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""

RULE_TYPES = frozenset(
    [
        *("AggregateMatch", "ColumnCorrelation", "ColumnCount", "ColumnDataType", "ColumnExists"),
        *("ColumnLength", "ColumnNamesMatchPattern", "ColumnValues", "Completeness", "CustomSql"),
        *("DataFreshness", "DistinctValuesCount", "Entropy", "IsComplete", "IsPrimaryKey"),
        *("IsUnique", "Mean", "ReferentialIntegrity", "RowCount", "RowCountMatch", "SchemaMatch"),
        *("StandardDeviation", "Sum", "UniqueValueRatio", "Uniqueness"),
    ]
)
# Rule types that AWS evaluates and nothing here does.
_NOT_CARRIED_OUT = frozenset(
    [
        *("AllStatistics", "DatasetMatch", "DetectAnomalies", "FileFreshness", "FileMatch"),
        *("FileSize", "FileUniqueness"),
    ]
)
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True)
class Keyword:
    """`NULL`, `EMPTY` or `WHITESPACES_ONLY`."""

    name: str


@dataclass(frozen=True)
class Condition:
    """What a number, a text or a time has to keep: `> 0.9`, `between 1 and 5`, `in ["a", "b"]`.

    `between` leaves out both ends, as DQDL has it.
    """

    operator: str
    values: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value keeps it. None keeps nothing."""
        return value is not None and _OPERATORS[self.operator](value, self.values)


_OPERATORS: dict[str, Callable[[Any, tuple[Any, ...]], bool]] = {
    "=": lambda value, to: value == to[0],
    "!=": lambda value, to: value != to[0],
    ">": lambda value, to: value > to[0],
    ">=": lambda value, to: value >= to[0],
    "<": lambda value, to: value < to[0],
    "<=": lambda value, to: value <= to[0],
    "between": lambda value, to: to[0] < value < to[1],
    "not between": lambda value, to: not to[0] < value < to[1],
    "in": lambda value, to: value in to,
    "not in": lambda value, to: value not in to,
    "matches": lambda value, to: re.fullmatch(to[0], str(value)) is not None,
    "not matches": lambda value, to: re.fullmatch(to[0], str(value)) is None,
}


@dataclass(frozen=True)
class Rule:
    """One rule. `text` is the rule as it was written, on one line."""

    kind: str
    parameters: tuple[str, ...]
    condition: Condition | None = None
    where: str | None = None
    threshold: Condition | None = None
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    text: str = ""


@dataclass(frozen=True)
class Composite:
    """Rules joined by `and` or `or`; from the left where both occur."""

    parts: tuple[Rule | Composite, ...]
    joins: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True)
class Ruleset:
    """What a DQDL document holds."""

    rules: tuple[Rule | Composite, ...]
    analyzers: tuple[Rule, ...] = ()


def parse(text: str) -> Ruleset:
    """Read a DQDL document.

    Raises:
        AWSError: InvalidInputException naming the place, or NotImplemented for a rule type that is
            not carried out offline.
    """
    if re.search(r"\blast\s*\(", text):
        raise AWSError("InvalidInputException", "Dynamic rules are only supported in AWS Glue ETL.")
    try:
        tree = _PARSER.parse(text)
    except UnexpectedInput as error:
        lines = text.splitlines() or [""]
        near = lines[min(error.line, len(lines)) - 1].strip() if error.line > 0 else "the end"
        message = f"Invalid DQDL at line {error.line}, column {error.column}, near: {near}"
        raise AWSError("InvalidInputException", message) from None
    rules: list[Rule | Composite] = []
    analyzers: list[Rule] = []
    for section, items in _Reader(text).transform(tree):
        (rules if section == "rules" else analyzers).extend(items)
    for rule in _flat(rules):
        _check(rule)
    for rule in analyzers:
        _check_kind(rule)
    if not rules and not analyzers:
        raise AWSError("InvalidInputException", "The ruleset has no rules.")
    return Ruleset(tuple(rules), tuple(analyzers))


def _flat(items: list[Rule | Composite]) -> list[Rule]:
    found: list[Rule] = []
    for item in items:
        found += _flat(list(item.parts)) if isinstance(item, Composite) else [item]
    return found


def _check_kind(rule: Rule) -> None:
    if rule.kind in _NOT_CARRIED_OUT:
        raise not_implemented("glue", f"data quality rules of type {rule.kind}")
    if rule.kind not in RULE_TYPES:
        raise AWSError("InvalidInputException", f"Unknown rule type {rule.kind} in: {rule.text}")


def _check(rule: Rule) -> None:
    _check_kind(rule)
    least, most = _PARAMETERS.get(rule.kind, (1, 1))
    if not least <= len(rule.parameters) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        message = f"{rule.kind} takes {wanted} parameters, not {len(rule.parameters)}: {rule.text}"
        raise AWSError("InvalidInputException", message)
    if rule.kind != "CustomSql" and (rule.condition is None) != (rule.kind in _WITHOUT_CONDITION):
        what = "no expression" if rule.condition else "an expression such as > 0.9"
        raise AWSError("InvalidInputException", f"{rule.kind} takes {what}: {rule.text}")


_PARAMETERS = {
    "RowCount": (0, 0),
    "ColumnCount": (0, 0),
    "ColumnCorrelation": (2, 2),
    "ReferentialIntegrity": (2, 2),
    "AggregateMatch": (2, 2),
    "IsPrimaryKey": (1, 20),
}
_WITHOUT_CONDITION = frozenset(
    ["ColumnExists", "ColumnNamesMatchPattern", "IsComplete", "IsPrimaryKey", "IsUnique"]
)


class _Reader(Transformer):
    """From lark's tree to rules. Methods are named as the grammar's rules are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def start(self, sections: list[Any]) -> list[Any]:
        return sections

    def rules(self, items: list[Any]) -> tuple[str, list[Any]]:
        return "rules", items

    def analyzers(self, items: list[Any]) -> tuple[str, list[Any]]:
        return "analyzers", items

    def composite(self, items: list[Any]) -> Composite:
        text = f"({items[0].text})"
        for join, part in zip(items[1::2], items[2::2], strict=True):
            text += f" {join} ({part.text})"
        return Composite(tuple(items[::2]), tuple(str(join) for join in items[1::2]), text)

    def rule(self, items: list[Any]) -> Rule:
        found: dict[str, Any] = {"condition": None}
        parameters = []
        for item in items[1:]:
            if isinstance(item, Token):
                parameters.append(_unquoted(item))
            elif isinstance(item, Condition):
                found["condition"] = item
            else:
                found.update(item)
        rule = Rule(str(items[0]), tuple(parameters), **found)
        return Rule(**{**rule.__dict__, "text": _written(rule)})

    def where(self, items: list[Any]) -> dict[str, str]:
        return {"where": _unquoted(items[0])}

    def threshold(self, items: list[Any]) -> dict[str, Condition]:
        return {"threshold": items[0]}

    def label(self, items: list[Any]) -> dict[str, Any]:
        texts = [_unquoted(item) for item in items]
        return {"labels": dict(zip(texts[::2], texts[1::2], strict=True))}

    def comparison(self, items: list[Any]) -> Condition:
        return Condition(str(items[0]), (items[1],))

    def between(self, items: list[Any]) -> Condition:
        return Condition("between", tuple(items))

    def not_between(self, items: list[Any]) -> Condition:
        return Condition("not between", tuple(items))

    def in_list(self, items: list[Any]) -> Condition:
        return Condition("in", tuple(items))

    def not_in_list(self, items: list[Any]) -> Condition:
        return Condition("not in", tuple(items))

    def matches(self, items: list[Any]) -> Condition:
        return Condition("matches", (_unquoted(items[0]),))

    def not_matches(self, items: list[Any]) -> Condition:
        return Condition("not matches", (_unquoted(items[0]),))

    def number(self, items: list[Any]) -> float | int:
        return float(items[0]) if re.search(r"[.eE]", items[0]) else int(items[0])

    def text(self, items: list[Any]) -> str:
        return _unquoted(items[0])

    def keyword(self, items: list[Any]) -> Keyword:
        return Keyword(str(items[0]))

    def duration(self, items: list[Any]) -> timedelta:
        return timedelta(seconds=float(items[0]) * _SECONDS[str(items[1]).rstrip("s")])

    def true(self, _: list[Any]) -> bool:
        return True

    def false(self, _: list[Any]) -> bool:
        return False

    def now(self, _: list[Any]) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None)

    def moved(self, items: list[Any]) -> datetime:
        step = self.duration(items[1:])
        return self.now([]) + (step if items[0] == "+" else -step)


def _unquoted(token: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", token[1:-1])


# ── rules as text ────────────────────────────────────────────────────────────────────────────────


def _written(rule: Rule) -> str:
    """A rule on one line, as Glue shows it in results."""
    parts = [rule.kind, *(_quoted(parameter) for parameter in rule.parameters)]
    if rule.condition:
        parts.append(_condition(rule.condition))
    if rule.where:
        parts.append(f"where {_quoted(rule.where)}")
    if rule.threshold:
        parts.append(f"with threshold {_condition(rule.threshold)}")
    return " ".join(parts)


def _condition(condition: Condition) -> str:
    values = [_literal(value) for value in condition.values]
    if condition.operator.endswith("between"):
        return f"{condition.operator} {values[0]} and {values[1]}"
    if condition.operator.endswith("in"):
        return f"{condition.operator} [{', '.join(values)}]"
    return f"{condition.operator} {values[0]}"


def _literal(value: Any) -> str:
    if isinstance(value, Keyword):
        return value.name
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 3600:g} hours"
    if isinstance(value, datetime):
        return _quoted(value.isoformat(" ", "seconds"))
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_PARSER = Lark(_GRAMMAR, parser="earley", propagate_positions=False)
