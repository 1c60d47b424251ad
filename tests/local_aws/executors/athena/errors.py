"""How a query fails: Athena's error codes, with the reason as Athena words it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from sqlglot import exp

# The types that AWS's error catalog gives these codes; others go without.
_ERROR_TYPES = {"COLUMN_NOT_FOUND": 1006, "TABLE_NOT_FOUND": 1301}


class QueryError(Exception):
    """A statement that fails while it runs: the execution ends as FAILED with this reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code

    def as_athena_error(self) -> dict[str, Any]:
        """The `AthenaError` of the execution's status."""
        error = {"ErrorCategory": 2, "Retryable": False, "ErrorMessage": str(self)}
        if self.code in _ERROR_TYPES:
            error["ErrorType"] = _ERROR_TYPES[self.code]
        return error


class MalformedQuery(Exception):
    """A text that is no statement of Athena's: refused before it becomes an execution."""


class Cancelled(Exception):
    """The query was stopped, by a client or by a limit; the text is the reason."""


def position(node: exp.Expression | None) -> str:
    """`line 1:8: ` for the first word of the node, as it stands in the query."""
    words = [n for n in node.find_all(exp.Identifier) if "col" in n.meta] if node else []
    if not words:
        words = [node] if node is not None and "col" in node.meta else []
    if not words:
        return "line 1:1: "
    first = min(words, key=lambda word: word.meta["start"]).meta
    return f"line {first['line']}:{first['col'] - (first['end'] - first['start'])}: "


def called_at(text: str, function: str) -> str:
    """`line 1:8: ` for the first call of a function in the text."""
    found = re.search(rf"\b{re.escape(function)}\s*\(", text, re.IGNORECASE)
    start = found.start() if found else 0
    return f"line {text.count(chr(10), 0, start) + 1}:{start - text.rfind(chr(10), 0, start)}: "


def column_not_found(node: exp.Expression | None, name: str = "") -> QueryError:
    """The error for a name that is no column."""
    if isinstance(node, exp.Column):
        name = f"{node.table}.{node.name}" if node.table else node.name
    reason = "cannot be resolved or requester is not authorized to access requested resources"
    return QueryError("COLUMN_NOT_FOUND", f"{position(node)}Column '{name}' {reason}")


def from_duckdb(error: Exception, tree: exp.Expression, sql: str) -> QueryError:
    """Athena's error for what DuckDB refused of `tree`, which is `sql`."""
    text = re.sub(r"\n\nLINE \d+:.*", "", str(error), flags=re.DOTALL)
    text = re.sub(r"athena://[^\s\"]*/([^/\s\"]+)", lambda path: unquote(path[1]), text)
    for pattern, code, message in _TRANSLATED:
        if found := re.search(pattern, text, re.IGNORECASE):
            named = found.groupdict().get("name")
            node = _find(tree, named) if named else None
            if code == "COLUMN_NOT_FOUND":
                return column_not_found(node, named or "")
            words = {key: value or "" for key, value in found.groupdict().items()}
            prefix = position(node) if node is not None else ""
            if code == "FUNCTION_NOT_FOUND":
                prefix = called_at(sql, named or "")
            return QueryError(code, prefix + message.format(**words))
    kind = text.partition(":")[2].strip() or text
    return QueryError("GENERIC_USER_ERROR", kind)


_TRANSLATED = [
    (r"column \"(?P<name>[^\"]+)\" referenced that exists", "COLUMN_NOT_FOUND", ""),
    (r"referenced column \"(?P<name>[^\"]+)\" not found", "COLUMN_NOT_FOUND", ""),
    (r"does not have a column named \"(?P<name>[^\"]+)\"", "COLUMN_NOT_FOUND", ""),
    (r"referenced table \"(?P<name>[^\"]+)\" not found", "COLUMN_NOT_FOUND", ""),
    (
        r"column \"(?P<name>[^\"]+)\" must appear in the GROUP BY",
        "EXPRESSION_NOT_AGGREGATE",
        "'{name}' must be an aggregate expression or appear in GROUP BY clause",
    ),
    (
        r"ambiguous reference.*?\"(?P<name>[^\"]+)\"",
        "AMBIGUOUS_NAME",
        "Column '{name}' is ambiguous",
    ),
    (r"(?P<text>error parsing field value.*)", "HIVE_BAD_DATA", "{text}"),
    (r"(?P<text>malformed json in file.*)", "HIVE_CURSOR_ERROR", "{text}"),
    (r"division by zero", "DIVISION_BY_ZERO", "Division by zero"),
    (
        r"function with name \"?(?P<name>\w+)\"? does not exist",
        "FUNCTION_NOT_FOUND",
        "Function '{name}' not registered",
    ),
    (
        r"no function matches.*?'(?P<name>\w+)\((?P<types>[^']*)\)'",
        "FUNCTION_NOT_FOUND",
        "Unexpected parameters ({types}) for function {name}",
    ),
    (
        r"overflow in (?P<what>\w+) of \w+ \((?P<values>[^)]*)\)",
        "NUMERIC_VALUE_OUT_OF_RANGE",
        "{what} overflow: {values}",
    ),
    (
        r"value (?P<value>\S+) can't be cast|type \w+ with value (?P<big>\S+) can't be cast",
        "INVALID_CAST_ARGUMENT",
        "Value is out of range: {value}{big}",
    ),
    (
        r"could not convert string '(?P<value>.*?)' to (?P<type>\w+)",
        "INVALID_CAST_ARGUMENT",
        "Cannot cast '{value}' to {type}",
    ),
    (
        r"invalid (?P<type>date|timestamp|time) field format: \"?(?P<value>[^\",]*)",
        "INVALID_CAST_ARGUMENT",
        "Value cannot be cast to {type}: {value}",
    ),
    (r"(?P<text>(?:array subscript|key not present).*)", "INVALID_FUNCTION_ARGUMENT", "{text}"),
    (
        r"failed to cast value: (?P<text>.*)",
        "INVALID_CAST_ARGUMENT",
        "{text}",
    ),
    (r"more than one row returned by a subquery", "SUBQUERY_MULTIPLE_ROWS",
     "Scalar sub-query has returned multiple rows"),
    (r"could not parse string (?P<text>.*)", "INVALID_FUNCTION_ARGUMENT", "Invalid format: {text}"),
]  # fmt: skip


def _find(tree: exp.Expression, name: str) -> exp.Expression | None:
    """The first column of that name, or of that table, in the query."""
    columns = list(tree.find_all(exp.Column))
    by_name = (c for c in columns if c.name.lower() == name.lower())
    by_table = (c for c in columns if c.table.lower() == name.lower())
    return next(by_name, None) or next(by_table, None)
