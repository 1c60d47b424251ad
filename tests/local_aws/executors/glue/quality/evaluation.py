"""The rules of DQDL, evaluated on the tables of the catalog.

Metrics have the names and definitions of Deequ, which Glue Data Quality is built on:
https://docs.aws.amazon.com/glue/latest/dg/dqdl-rule-types.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlglot
from sqlglot import exp

from .... import account
from ....errors import AWSError
from ....lake import Lake
from .dqdl import Composite, Condition, Keyword, Rule

Number = float | int
_TYPES = {
    "Boolean": "boolean",
    "Date": "date",
    "Timestamp": "timestamp",
    "Integer": "integer",
    "Double": "double",
    "Float": "real",
    "Long": "bigint",
}


@dataclass(frozen=True)
class Dataset:
    """A table under the name that rules know it by (`primary`, or an alias)."""

    database: str
    table: str
    columns: dict[str, str]

    @property
    def sql(self) -> str:
        """How a query names it."""
        return f'"{self.database}"."{self.table}"'


@dataclass
class Outcome:
    """How a rule came out. `result` is PASS, FAIL or ERROR."""

    result: str
    message: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


class Evaluator:
    """Evaluates rules on a primary table and the others that they refer to by alias."""

    def __init__(self, lake: Lake, tables: dict[str, tuple[str, str]]) -> None:
        """Find the tables by alias, `primary` among them. Raises EntityNotFoundException."""
        self._lake = lake
        self._datasets = {}
        self._definitions = {}
        for alias, (database, name) in tables.items():
            table = self._definitions[alias] = lake.table(database, name)
            self._datasets[alias] = Dataset(database, name, lake.columns(table))

    @property
    def primary(self) -> Dataset:
        """The table that the rules are about."""
        return self._datasets["primary"]

    def evaluate(self, rule: Rule | Composite) -> Outcome:
        """Evaluate one rule. What is wrong with it becomes an ERROR with the reason."""
        if isinstance(rule, Composite):
            return self._composite(rule)
        try:
            return _RULES[rule.kind](self, rule)
        except AWSError as error:
            if error.code == "NotImplemented":
                raise
            return Outcome("ERROR", error.message)

    def _composite(self, rule: Composite) -> Outcome:
        outcomes = [self.evaluate(part) for part in rule.parts]
        passed = outcomes[0].result == "PASS"
        for join, outcome in zip(rule.joins, outcomes[1:], strict=True):
            other = outcome.result == "PASS"
            passed = (passed and other) if join == "and" else (passed or other)
        metrics = {name: value for each in outcomes for name, value in each.metrics.items()}
        if any(outcome.result == "ERROR" for outcome in outcomes):
            reasons = "; ".join(o.message or "" for o in outcomes if o.result == "ERROR")
            return Outcome("ERROR", reasons, metrics)
        failed = [o.message for o in outcomes if o.message and o.result == "FAIL"]
        return Outcome("PASS" if passed else "FAIL", None if passed else "; ".join(failed), metrics)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────

    def value(self, expression: str, rule: Rule, source: str | None = None) -> Any:
        """The single value of an aggregate over the rows that the rule is about."""
        text = f"SELECT {expression} AS v FROM {source or self.primary.sql}"
        return self.ask(text + _where(rule))[0][0]

    def ask(self, text: str) -> list[tuple[Any, ...]]:
        """The rows of a query in Athena's SQL."""
        return self._lake.ask(text, self.primary.database)

    def column(self, name: str) -> str:
        """A column of the primary table, quoted. Raises InvalidInputException if there is none."""
        if name.lower() not in self.primary.columns:
            known = ", ".join(self.primary.columns)
            message = f"Column {name} is not in {self.primary.table}, which has {known}"
            raise AWSError("InvalidInputException", message)
        return f'"{name.lower()}"'

    def dataset(self, alias: str) -> Dataset:
        """The table of an alias. Raises InvalidInputException."""
        if alias not in self._datasets:
            message = (
                f"There is no data source {alias}; name it in AdditionalDataSources, which has "
                f"{', '.join(sorted(set(self._datasets) - {'primary'})) or 'none'}"
            )
            raise AWSError("InvalidInputException", message)
        return self._datasets[alias]

    def last_modified(self) -> list[datetime]:
        """When the objects of the primary table were written."""
        return self._lake.last_modified(self._definitions["primary"])

    def aliases(self) -> dict[str, Dataset]:
        """All tables by alias."""
        return self._datasets


_Check = Callable[[Evaluator, Rule], Outcome]
_RULES: dict[str, _Check] = {}


def _rule(*kinds: str) -> Callable[[_Check], _Check]:
    def register(check: _Check) -> _Check:
        _RULES.update(dict.fromkeys(kinds, check))
        return check

    return register


def _where(rule: Rule) -> str:
    """The rule's filter, which is written in Spark's SQL, as Athena's."""
    if not rule.where:
        return ""
    try:
        tree = sqlglot.parse_one(f"SELECT 1 FROM t WHERE {rule.where}", read="spark")
    except sqlglot.errors.ParseError as error:
        message = f"The filter {rule.where!r} is no SQL: {error.errors[0]['description']}"
        raise AWSError("InvalidInputException", message) from None
    return f" WHERE {tree.args['where'].this.sql(dialect='trino')}"


def _judged(metric: str, value: Any, condition: Condition) -> Outcome:
    """Hold a metric against a condition, with the message of Glue."""
    metrics = {metric: float(value)} if value is not None else {}
    if value is None:
        return Outcome("FAIL", "Value: NaN does not meet the constraint requirement!", metrics)
    if condition.holds(value):
        return Outcome("PASS", None, metrics)
    shown = float(value) if not isinstance(value, int) else value
    return Outcome("FAIL", f"Value: {shown} does not meet the constraint requirement!", metrics)


def _is(value: Number) -> Condition:
    return Condition("=", (value,))


def _expected(rule: Rule) -> Condition:
    if rule.condition is None:
        raise AWSError("InvalidInputException", f"{rule.kind} needs an expression: {rule.text}")
    return rule.condition


# ── the table ────────────────────────────────────────────────────────────────────────────────────


@_rule("RowCount")
def _row_count(evaluator: Evaluator, rule: Rule) -> Outcome:
    return _judged("Dataset.*.RowCount", evaluator.value("count(*)", rule), _expected(rule))


@_rule("ColumnCount")
def _column_count(evaluator: Evaluator, rule: Rule) -> Outcome:
    count = len(evaluator.primary.columns)
    return _judged("Dataset.*.ColumnCount", count, _expected(rule))


@_rule("ColumnExists")
def _column_exists(evaluator: Evaluator, rule: Rule) -> Outcome:
    (name,) = rule.parameters
    if name.lower() in evaluator.primary.columns:
        return Outcome("PASS")
    return Outcome("FAIL", f"Column {name} does not exist")


@_rule("ColumnNamesMatchPattern")
def _names_match(evaluator: Evaluator, rule: Rule) -> Outcome:
    wrong = [n for n in evaluator.primary.columns if not re.fullmatch(rule.parameters[0], n)]
    share = 1 - len(wrong) / max(len(evaluator.primary.columns), 1)
    metrics = {"Dataset.*.ColumnNamesPatternMatchRatio": share}
    if not wrong:
        return Outcome("PASS", None, metrics)
    return Outcome("FAIL", f"Columns that do not match the pattern: {', '.join(wrong)}", metrics)


# ── completeness and uniqueness ──────────────────────────────────────────────────────────────────


def _completeness(evaluator: Evaluator, rule: Rule) -> tuple[str, Any]:
    name = rule.parameters[0]
    share = f"count({evaluator.column(name)}) * 1e0 / nullif(count(*), 0)"
    return f"Column.{name}.Completeness", evaluator.value(share, rule)


@_rule("IsComplete")
def _is_complete(evaluator: Evaluator, rule: Rule) -> Outcome:
    return _judged(*_completeness(evaluator, rule), _is(1.0))


@_rule("Completeness")
def _completeness_of(evaluator: Evaluator, rule: Rule) -> Outcome:
    return _judged(*_completeness(evaluator, rule), _expected(rule))


def _groups(evaluator: Evaluator, rule: Rule, columns: list[str]) -> tuple[int, int, int]:
    """Rows with values, distinct values, and values that occur once."""
    names = ", ".join(columns)
    present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    where = _where(rule)
    rows = evaluator.ask(
        f"SELECT coalesce(sum(n), 0), count(*), count_if(n = 1) FROM (SELECT count(*) AS n FROM "
        f"{evaluator.primary.sql}{where}{' AND' if where else ' WHERE'} {present} GROUP BY {names})"
    )
    return tuple(int(value) for value in rows[0])  # type: ignore[return-value]


def _uniqueness(evaluator: Evaluator, rule: Rule) -> float | None:
    rows, _, once = _groups(evaluator, rule, [evaluator.column(n) for n in rule.parameters])
    return once / rows if rows else None


@_rule("IsUnique")
def _is_unique(evaluator: Evaluator, rule: Rule) -> Outcome:
    value = _uniqueness(evaluator, rule)
    return _judged(f"Column.{rule.parameters[0]}.Uniqueness", value, _is(1.0))


@_rule("Uniqueness")
def _uniqueness_of(evaluator: Evaluator, rule: Rule) -> Outcome:
    value = _uniqueness(evaluator, rule)
    return _judged(f"Column.{rule.parameters[0]}.Uniqueness", value, _expected(rule))


@_rule("UniqueValueRatio")
def _unique_value_ratio(evaluator: Evaluator, rule: Rule) -> Outcome:
    (name,) = rule.parameters
    _, distinct, once = _groups(evaluator, rule, [evaluator.column(name)])
    value = once / distinct if distinct else None
    return _judged(f"Column.{name}.UniqueValueRatio", value, _expected(rule))


@_rule("DistinctValuesCount")
def _distinct_values(evaluator: Evaluator, rule: Rule) -> Outcome:
    (name,) = rule.parameters
    _, distinct, _ = _groups(evaluator, rule, [evaluator.column(name)])
    return _judged(f"Column.{name}.DistinctValuesCount", distinct, _expected(rule))


@_rule("IsPrimaryKey")
def _is_primary_key(evaluator: Evaluator, rule: Rule) -> Outcome:
    columns = [evaluator.column(name) for name in rule.parameters]
    rows, _, once = _groups(evaluator, rule, columns)
    total = evaluator.value("count(*)", rule)
    names = ",".join(rule.parameters)
    metrics = {
        f"Column.{names}.Completeness": rows / total if total else 0.0,
        f"Column.{names}.Uniqueness": once / rows if rows else 0.0,
    }
    if total and rows == once == total:
        return Outcome("PASS", None, metrics)
    worst = min(metrics.values())
    return Outcome("FAIL", f"Value: {worst} does not meet the constraint requirement!", metrics)


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────

_AGGREGATES = {
    "Mean": ("Mean", "avg(CAST({0} AS double))"),
    "Sum": ("Sum", "sum(CAST({0} AS double))"),
    "StandardDeviation": ("StandardDeviation", "stddev_pop(CAST({0} AS double))"),
}


@_rule(*_AGGREGATES)
def _aggregate(evaluator: Evaluator, rule: Rule) -> Outcome:
    (name,) = rule.parameters
    metric, expression = _AGGREGATES[rule.kind]
    value = evaluator.value(expression.format(evaluator.column(name)), rule)
    return _judged(f"Column.{name}.{metric}", value, _expected(rule))


@_rule("Entropy")
def _entropy(evaluator: Evaluator, rule: Rule) -> Outcome:
    """The entropy of a column's values in nats: minus the sum of p ln p."""
    (name,) = rule.parameters
    column, where = evaluator.column(name), _where(rule)
    rows = evaluator.ask(
        f"SELECT -sum((n * 1e0 / total) * ln(n * 1e0 / total)) FROM (SELECT n, sum(n) OVER () AS "
        f"total FROM (SELECT count(*) AS n FROM {evaluator.primary.sql}"
        f"{where}{' AND' if where else ' WHERE'} {column} IS NOT NULL GROUP BY {column}))"
    )
    return _judged(f"Column.{name}.Entropy", rows[0][0], _expected(rule))


@_rule("ColumnCorrelation")
def _correlation(evaluator: Evaluator, rule: Rule) -> Outcome:
    columns = [f"CAST({evaluator.column(name)} AS double)" for name in rule.parameters]
    value = evaluator.value(f"corr({columns[0]}, {columns[1]})", rule)
    names = ",".join(rule.parameters)
    return _judged(f"Multicolumn.{names}.ColumnCorrelation", value, _expected(rule))


# ── values, row by row ───────────────────────────────────────────────────────────────────────────


@_rule("ColumnValues")
def _column_values(evaluator: Evaluator, rule: Rule) -> Outcome:
    """All values keep the condition, or the share that the threshold asks for.

    A row without a value keeps no condition but `= NULL`. Bounds on numbers are reported as the
    minimum or maximum, of which rows without a value are no part.
    """
    (name,) = rule.parameters
    column, condition = evaluator.column(name), _expected(rule)
    bounds = _BOUNDS.get(condition.operator)
    if bounds and not rule.threshold and _are_numbers(condition):
        found = {
            f"Column.{name}.{metric}": evaluator.value(f"{function}({column})", rule)
            for metric, function in bounds
        }
        metrics = {metric: float(value) for metric, value in found.items() if value is not None}
        wrong = [value for value in found.values() if not condition.holds(value)]
        if not wrong:
            return Outcome("PASS", None, metrics)
        shown = "NaN" if wrong[0] is None else float(wrong[0])
        message = f"Value: {shown} does not meet the constraint requirement!"
        return Outcome("FAIL", message, metrics)
    share = _share(evaluator, rule, _predicate(column, condition, evaluator.primary.columns, name))
    metric = f"Column.{name}.ColumnValues.Compliance"
    return _judged(metric, share, rule.threshold or _is(1.0))


_MINIMUM, _MAXIMUM = ("Minimum", "min"), ("Maximum", "max")
_BOUNDS = {
    ">": [_MINIMUM],
    ">=": [_MINIMUM],
    "<": [_MAXIMUM],
    "<=": [_MAXIMUM],
    "between": [_MINIMUM, _MAXIMUM],
}


def _are_numbers(condition: Condition) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in condition.values
    )


@_rule("ColumnLength")
def _column_length(evaluator: Evaluator, rule: Rule) -> Outcome:
    (name,) = rule.parameters
    length = f"length(CAST({evaluator.column(name)} AS varchar))"
    condition = _expected(rule)
    if rule.threshold:
        share = _share(evaluator, rule, _predicate(length, condition, {}, name))
        return _judged(f"Column.{name}.ColumnLength.Compliance", share, rule.threshold)
    found = {
        f"Column.{name}.MinimumLength": evaluator.value(f"min({length})", rule),
        f"Column.{name}.MaximumLength": evaluator.value(f"max({length})", rule),
    }
    metrics = {metric: float(value) for metric, value in found.items() if value is not None}
    wrong = [value for value in found.values() if not condition.holds(value)]
    if not wrong:
        return Outcome("PASS", None, metrics)
    shown = "NaN" if wrong[0] is None else float(wrong[0])
    return Outcome("FAIL", f"Value: {shown} does not meet the constraint requirement!", metrics)


@_rule("ColumnDataType")
def _data_type(evaluator: Evaluator, rule: Rule) -> Outcome:
    (name,) = rule.parameters
    column, wanted = evaluator.column(name), str(_expected(rule).values[0])
    if wanted not in _TYPES and wanted != "String":
        message = f"ColumnDataType knows {', '.join([*_TYPES, 'String'])}, not {wanted}"
        raise AWSError("InvalidInputException", message)
    text = f"CAST({column} AS varchar)"
    fits = "true" if wanted == "String" else f"try_cast({text} AS {_TYPES[wanted]}) IS NOT NULL"
    share = _share(evaluator, rule, f"({column} IS NULL OR {fits})")
    metric = f"Column.{name}.ColumnDataType.Compliance"
    return _judged(metric, share, rule.threshold or _is(1.0))


def _share(evaluator: Evaluator, rule: Rule, predicate: str) -> Any:
    return evaluator.value(f"avg(CASE WHEN {predicate} THEN 1e0 ELSE 0e0 END)", rule)


def _predicate(subject: str, condition: Condition, columns: dict[str, str], name: str) -> str:
    """The condition as SQL on each row."""
    words = [value for value in condition.values if isinstance(value, Keyword)]
    if words:
        return _keyword_predicate(subject, condition, words)
    kind = columns.get(name.lower(), "")
    values = [_literal(value, kind) for value in condition.values]
    match condition.operator:
        case "between":
            return f"({subject} > {values[0]} AND {subject} < {values[1]})"
        case "not between":
            return f"({subject} <= {values[0]} OR {subject} >= {values[1]})"
        case "in" | "not in":
            return f"{subject} {condition.operator.upper()} ({', '.join(values)})"
        case "matches":
            return f"regexp_like(CAST({subject} AS varchar), {_anchored(condition)})"
        case "not matches":
            return f"NOT regexp_like(CAST({subject} AS varchar), {_anchored(condition)})"
        case operator:
            return f"{subject} {operator} {values[0]}"


def _keyword_predicate(subject: str, condition: Condition, words: list[Keyword]) -> str:
    tests = {
        "NULL": f"{subject} IS NULL",
        "EMPTY": f"CAST({subject} AS varchar) = ''",
        "WHITESPACES_ONLY": f"regexp_like(CAST({subject} AS varchar), '^\\s+$')",
    }
    found = [tests[word.name] for word in words]
    others = tuple(value for value in condition.values if not isinstance(value, Keyword))
    if others:
        found.append(f"{subject} IN ({', '.join(_literal(value, '') for value in others)})")
    either = f"coalesce({' OR '.join(f'({test})' for test in found)}, false)"
    return f"NOT {either}" if condition.operator in ("!=", "not in") else either


def _literal(value: Any, kind: str) -> str:
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(' ', 'seconds')}'"
    if isinstance(value, str):
        text = value.replace("'", "''")
        if kind.upper() in ("DATE", "TIMESTAMP"):
            return f"CAST('{text}' AS {kind})"
        if kind and kind.upper() != "VARCHAR":
            return f"CAST('{text}' AS {exp.DataType.build(kind, dialect='duckdb').sql('trino')})"
        return f"'{text}'"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _anchored(condition: Condition) -> str:
    pattern = str(condition.values[0]).replace("'", "''")
    return f"'^(?:{pattern})$'"


# ── freshness ────────────────────────────────────────────────────────────────────────────────────


@_rule("DataFreshness")
def _freshness(evaluator: Evaluator, rule: Rule) -> Outcome:
    """The age of the oldest and the newest value against a duration."""
    (name,) = rule.parameters
    column = evaluator.column(name)
    condition = _expected(rule)
    now = account.now().replace(tzinfo=None)
    times = [evaluator.value(f"{f}(CAST({column} AS timestamp))", rule) for f in ("max", "min")]
    if None in times:
        return Outcome("FAIL", f"Column {name} holds no time")
    ages = [now - time for time in times]
    hours = [age.total_seconds() / 3600 for age in ages]
    metrics = {
        f"Column.{name}.DataFreshness.Minimum": hours[0],
        f"Column.{name}.DataFreshness.Maximum": hours[1],
    }
    wrong = [hour for age, hour in zip(ages, hours, strict=True) if not condition.holds(age)]
    if not wrong:
        return Outcome("PASS", None, metrics)
    message = f"Value: {wrong[0]} hours does not meet the constraint requirement!"
    return Outcome("FAIL", message, metrics)


# ── SQL, and other tables ────────────────────────────────────────────────────────────────────────


@_rule("CustomSql")
def _custom_sql(evaluator: Evaluator, rule: Rule) -> Outcome:
    """A statement that gives one number, or the rows that pass."""
    (text,) = rule.parameters
    rows = evaluator.ask(_translated(evaluator, text))
    metric = "Dataset.*.CustomSQL"
    if rule.condition is not None:
        if len(rows) != 1 or len(rows[0]) != 1:
            message = f"The statement must give one number, it gave {len(rows)} rows: {text}"
            raise AWSError("InvalidInputException", message)
        value = rows[0][0]
        return _judged(metric, value if isinstance(value, int) else float(value), rule.condition)
    total = evaluator.value("count(*)", rule)
    share = len(rows) / total if total else None
    return _judged(f"{metric}.Compliance", share, rule.threshold or _is(1.0))


def _translated(evaluator: Evaluator, text: str) -> str:
    try:
        tree = sqlglot.parse_one(text, read="spark")
    except sqlglot.errors.ParseError as error:
        message = f"The statement is no SQL: {error.errors[0]['description']}: {text}"
        raise AWSError("InvalidInputException", message) from None
    for table in tree.find_all(exp.Table):
        dataset = evaluator.aliases().get(table.name)
        if dataset:
            alias = table.alias or table.name
            named = exp.table_(dataset.table, db=dataset.database, quoted=True)
            table.replace(exp.alias_(named, alias, table=True))
    return tree.sql(dialect="trino")


def _reference(evaluator: Evaluator, text: str) -> tuple[Dataset, list[str]]:
    """`alias.column` or `alias.{a,b}`: the table, and its columns quoted."""
    alias, _, names = text.partition(".")
    dataset = evaluator.dataset(alias.strip())
    columns = [name.strip() for name in names.strip("{} ").split(",")]
    unknown = [name for name in columns if name.lower() not in dataset.columns]
    if unknown:
        message = f"Column {unknown[0]} is not in {alias}, which has {', '.join(dataset.columns)}"
        raise AWSError("InvalidInputException", message)
    return dataset, [f'"{name.lower()}"' for name in columns]


@_rule("ReferentialIntegrity")
def _referential_integrity(evaluator: Evaluator, rule: Rule) -> Outcome:
    """The share of the primary rows whose values occur in the reference table."""
    own = [evaluator.column(name.strip()) for name in rule.parameters[0].split(",")]
    dataset, other = _reference(evaluator, rule.parameters[1])
    if len(own) != len(other):
        message = f"{len(own)} columns cannot refer to {len(other)}: {rule.text}"
        raise AWSError("InvalidInputException", message)
    same = " AND ".join(f"p.{a} = r.{b}" for a, b in zip(own, other, strict=True))
    listed = ", ".join(other)
    rows = evaluator.ask(
        f"SELECT count(r.{other[0]}) * 1e0 / nullif(count(*), 0) FROM (SELECT * FROM "
        f"{evaluator.primary.sql}{_where(rule)}) p LEFT JOIN "
        f"(SELECT DISTINCT {listed} FROM {dataset.sql}) r ON {same}"
    )
    metric = f"Column.{rule.parameters[0]}.ReferentialIntegrity"
    return _judged(metric, rows[0][0], _expected(rule))


@_rule("RowCountMatch")
def _row_count_match(evaluator: Evaluator, rule: Rule) -> Outcome:
    dataset = evaluator.dataset(rule.parameters[0])
    own = evaluator.value("count(*)", rule)
    other = evaluator.ask(f"SELECT count(*) FROM {dataset.sql}")[0][0]
    value = own / other if other else None
    return _judged(f"Dataset.{rule.parameters[0]}.RowCountMatch", value, _expected(rule))


@_rule("SchemaMatch")
def _schema_match(evaluator: Evaluator, rule: Rule) -> Outcome:
    dataset = evaluator.dataset(rule.parameters[0])
    own, other = evaluator.primary.columns, dataset.columns
    share = sum(other.get(name) == kind for name, kind in own.items()) / max(len(own), 1)
    return _judged(f"Dataset.{rule.parameters[0]}.SchemaMatch", share, _expected(rule))


@_rule("AggregateMatch")
def _aggregate_match(evaluator: Evaluator, rule: Rule) -> Outcome:
    values = []
    for text in rule.parameters:
        found = re.fullmatch(r"(avg|sum)\((?:(\w+)\.)?(\w+)\)", text.replace(" ", ""))
        if not found:
            message = f"AggregateMatch takes avg(…) and sum(…), not {text}"
            raise AWSError("InvalidInputException", message)
        dataset = evaluator.dataset(found[2] or "primary")
        if found[3].lower() not in dataset.columns:
            raise AWSError("InvalidInputException", f"There is no column for {text}")
        function = f'{found[1]}(CAST("{found[3].lower()}" AS double))'
        values.append(evaluator.ask(f"SELECT {function} FROM {dataset.sql}")[0][0])
    share = values[0] / values[1] if values[0] is not None and values[1] else None
    return _judged("Dataset.*.AggregateMatch", share, _expected(rule))
