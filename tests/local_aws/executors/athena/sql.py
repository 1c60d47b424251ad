"""Athena's SQL into DuckDB's: names resolved against the catalog, types checked, meaning kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import (
    ErrorLevel,
    OptimizeError,
    ParseError,
    TokenError,
    UnsupportedError,
)
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from . import functions
from .datatypes import quoted, text_literal
from .errors import MalformedQuery, QueryError, called_at, column_not_found, position

# What sqlglot and DuckDB would accept, and Athena does not.
_FOREIGN_TOKENS = {"::", "==", "<=>", "ILIKE", "QUALIFY", "RLIKE"}
_PSEUDO_COLUMN = "$path"


@dataclass
class Source:
    """A table of the catalog as it stands in a query: columns with DuckDB types, in order."""

    columns: dict[str, str]
    scan: Any


@dataclass
class View:
    """A view of the catalog: its text, and the database its names are of."""

    text: str
    database: str


# Gives the table or view for (database, name); None if there is no such table.
Resolve = Callable[[str, str], Source | View | None]


@dataclass
class Translation:
    """A query in DuckDB's SQL. `@scan<n>@` in the text stands for the n-th source."""

    sql: str
    sources: list[Source]
    headings: dict[str, str] = field(default_factory=dict)
    reads_path: bool = False
    stops_early: bool = False


def parse(text: str) -> exp.Query:
    """Read a query (SELECT, WITH, VALUES).

    Raises:
        MalformedQuery: it is no statement of Athena's, in AWS's words as far as they are known.
    """
    try:
        for token in sqlglot.tokenize(text, read="trino"):
            if token.text.upper() in _FOREIGN_TOKENS and token.token_type.name != "STRING":
                raise _mismatched(token.line, token.col - len(token.text) + 1, token.text)
        found = [tree for tree in sqlglot.parse(text, read="trino") if tree is not None]
    except ParseError as error:
        first = error.errors[0]
        word = first.get("highlight") or "<EOF>"
        raise _mismatched(first["line"], first["col"] - len(word) + 1, word) from None
    except TokenError as error:
        raise MalformedQuery(f"line 1:1: {error}") from None
    if len(found) != 1:
        raise MalformedQuery("Only one sql statement is allowed.")
    tree = found[0]
    if not isinstance(tree, exp.Query | exp.Values):
        word = text.split(None, 1)[0]
        raise _mismatched(1, 1, word)
    if isinstance(tree, exp.Subquery) and not tree.alias:
        tree = tree.unnest()
    if any(not select.expressions for select in tree.find_all(exp.Select)):
        raise MalformedQuery("line 1:8: mismatched input 'FROM'. Expecting: '*', <expression>")
    if isinstance(tree, exp.Values):
        tree = exp.select("*").from_(exp.alias_(tree, "values_", table=_value_columns(tree)))
    return tree


def _mismatched(line: int, column: int, word: str) -> MalformedQuery:
    return MalformedQuery(f"line {line}:{max(column, 1)}: mismatched input '{word}'")


def _value_columns(values: exp.Values) -> list[str]:
    first = values.expressions[0]
    width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
    return [f"_col{index}" for index in range(width)]


def bind(tree: exp.Query, parameters: list[str]) -> exp.Query:
    """The query with its `?` replaced by the parameters, each a literal as SQL writes it.

    Raises QueryError if there are more or fewer parameters than `?`.
    """
    tree = tree.copy()
    places = _in_text_order(tree) if tree.find(exp.Placeholder) else []
    if len(places) != len(parameters):
        message = f"Incorrect number of parameters: expected {len(places)} but found"
        raise QueryError("INVALID_PARAMETER_USAGE", f"line 1:1: {message} {len(parameters)}")
    for place, parameter in zip(places, parameters, strict=True):
        try:
            place.replace(sqlglot.parse_one(parameter, read="trino"))
        except ParseError:
            message = f"line 1:1: Invalid parameter: {parameter}"
            raise QueryError("INVALID_PARAMETER_USAGE", message) from None
    return tree


def _in_text_order(tree: exp.Expression) -> list[exp.Placeholder]:
    """The `?` in the order of the text: the generator writes them in that order."""
    numbered = list(tree.find_all(exp.Placeholder))
    for index, place in enumerate(numbered):
        place.set("this", f"p{index}_")
    order = [int(n) for n in re.findall(r":p(\d+)_", tree.sql())]
    return [numbered[index] for index in order]


def translate(tree: exp.Query, text: str, resolve: Resolve, database: str) -> Translation:
    """Translate a query that `parse` read.

    Raises:
        QueryError: a table, column or function that is not there, or types that do not match.
    """
    tree = tree.copy()
    result = Translation("", [], _headings(tree))
    _normalize(tree)
    _place_sources(tree, resolve, database, result, depth=0)
    result.reads_path = any(c.name == _PSEUDO_COLUMN for c in tree.find_all(exp.Column))
    for select in tree.find_all(exp.Select):
        _name_columns(select)
    result.stops_early = _stops_early(tree)
    _check_functions(tree, text)
    tree = _with_types(tree, result)
    _check_types(tree, text)
    tree = _rewrite(tree)
    try:
        sql = tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise QueryError("NOT_SUPPORTED", f"{error} (not carried out offline)") from None
    result.sql = re.sub(r'"?scans_"?\."?scan(\d+)_"?', r"@scan\1@", sql)
    return result


def values(kinds: dict[str, str], rows: list[tuple[Any, ...]]) -> str:
    """A SELECT in DuckDB's SQL that gives these rows, with columns of these types."""
    names = ", ".join(quoted(name) for name in kinds)
    texts = [
        ", ".join(
            f"CAST({text_literal(str(value))} AS {kind})"
            for value, kind in zip(row, kinds.values(), strict=True)
        )
        for row in rows
    ] or [", ".join(f"CAST(NULL AS {kind})" for kind in kinds.values())]
    listed = ", ".join(f"({text})" for text in texts)
    return f"SELECT * FROM (VALUES {listed}) AS v({names})" + ("" if rows else " WHERE false")


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def _headings(tree: exp.Query) -> dict[str, str]:
    """The names of result columns as they are written, by their lower-case form."""
    select = tree.selects
    return {e.alias_or_name.lower(): e.alias_or_name for e in select if e.alias_or_name != "*"}


def _normalize(tree: exp.Expression) -> None:
    """Lower-case every name, and refer to columns by their table's name alone."""
    for name in tree.find_all(exp.Identifier):
        name.set("this", name.this.lower())
    for column in tree.find_all(exp.Column):
        column.set("db", None)
        column.set("catalog", None)


def _place_sources(
    tree: exp.Expression, resolve: Resolve, database: str, result: Translation, depth: int
) -> None:
    """Put a numbered scan in the place of each table, and its query in the place of each view."""
    if depth > 10:
        raise QueryError("INVALID_VIEW", "Views nest more than ten deep")
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier):
            own = isinstance(table.this, exp.Anonymous)
            name = (table.this.name if own else table.this.sql_name()).lower()
            raise QueryError("FUNCTION_NOT_FOUND", f"Table function '{name}' not registered")
        if not table.db and _is_common_table(table):
            continue
        catalog = table.catalog or "awsdatacatalog"
        if catalog != "awsdatacatalog":
            message = f"{position(table)}Catalog '{catalog}' not found"
            raise QueryError("CATALOG_NOT_FOUND", message)
        home = table.db or database
        found = resolve(home, table.name)
        if found is None:
            message = f"Table 'awsdatacatalog.{home}.{table.name}' does not exist"
            raise QueryError("TABLE_NOT_FOUND", position(table) + message)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
        if isinstance(found, View):
            inner = parse(found.text)
            _normalize(inner)
            _place_sources(inner, resolve, found.database, result, depth + 1)
            table.replace(exp.Subquery(this=inner, alias=alias))
        else:
            name = exp.to_identifier(f"scan{len(result.sources)}_")
            result.sources.append(found)
            place = exp.Table(this=name, db=exp.to_identifier("scans_"), alias=alias)
            for extra in ("sample", "joins", "laterals", "pivots"):
                place.set(extra, table.args.get(extra))
            table.replace(place)


def _is_common_table(table: exp.Table) -> bool:
    node = table.parent
    while node is not None:
        if any(cte.alias == table.name for cte in getattr(node, "ctes", [])):
            return True
        node = node.parent
    return False


def _name_columns(select: exp.Select) -> None:
    """Name what has no name `_col0`, `_col1`, … by its place."""
    for index, item in enumerate(select.expressions):
        if not isinstance(item, exp.Alias | exp.Column | exp.Star | exp.Dot | exp.Aliases):
            alias = exp.to_identifier(f"_col{index}")
            select.expressions[index].replace(exp.Alias(this=item.copy(), alias=alias))


def _stops_early(tree: exp.Expression) -> bool:
    """Whether a LIMIT may end the reading before all is read."""
    limited = [limit.parent for limit in tree.find_all(exp.Limit, exp.Fetch)]
    return any(query is not None and not query.args.get("order") for query in limited)


def _with_types(tree: exp.Query, result: Translation) -> exp.Query:
    """The tree with every column resolved and typed, as far as that can be told here."""
    columns = {"none_": {"none_": exp.DataType.build("int")}}  # sqlglot wants one table at least
    visible: dict[str, list[str]] = {}
    for index, source in enumerate(result.sources):
        name = f"scan{index}_"
        visible[name] = list(source.columns)
        columns[name] = {n: _data_type(kind) for n, kind in source.columns.items()}
        if result.reads_path:
            columns[name][_PSEUDO_COLUMN] = exp.DataType.build("varchar")
    schema = MappingSchema({"scans_": columns}, {"scans_": visible}, dialect="trino")
    try:
        qualified = qualify(
            tree.copy(),
            schema=schema,
            dialect="trino",
            expand_alias_refs=False,
            validate_qualify_columns=False,
        )
    except OptimizeError as error:
        unknown = re.search(r"(?:Unknown column|Column): '?\"?([\w$.]+)", str(error))
        if unknown:
            raise column_not_found(_column(tree, unknown[1]), unknown[1]) from None
        return tree
    _refuse_aliases(qualified)
    for number in list(qualified.find_all(exp.Literal)):
        if number.is_number and re.fullmatch(r"\d*\.\d*", number.this):
            number.type = exp.DataType.build(_decimal_of(number.this))
    return annotate_types(qualified, schema=schema, dialect="trino")


@cache
def _data_type(duck: str) -> exp.DataType:
    return exp.DataType.build(duck, "duckdb")


def _column(tree: exp.Expression, name: str) -> exp.Expression | None:
    last = name.rpartition(".")[2].lower()
    return next((c for c in tree.find_all(exp.Column) if c.name.lower() == last), None)


def _refuse_aliases(tree: exp.Expression) -> None:
    """DuckDB lets WHERE, GROUP BY and HAVING use a name that SELECT gives; Athena does not."""
    for select in tree.find_all(exp.Select):
        given = {item.alias for item in select.expressions if isinstance(item, exp.Alias)}
        for part in ("where", "group", "having"):
            clause = select.args.get(part)
            for column in clause.find_all(exp.Column) if clause else []:
                inside = column.find_ancestor(exp.Lambda)
                if not column.table and column.name in given and not inside:
                    raise column_not_found(column)


def _check_functions(tree: exp.Expression, text: str) -> None:
    """DuckDB has functions of its own that Athena has not."""
    for node in tree.find_all(exp.Anonymous):
        name = node.name.lower()
        if name in functions.ABSENT:
            message = f"Function '{name}' is not carried out offline"
            raise QueryError("NOT_SUPPORTED", called_at(text, name) + message)
        if name not in functions.KNOWN:
            message = f"Function '{name}' not registered"
            raise QueryError("FUNCTION_NOT_FOUND", called_at(text, name) + message)


# ── types ────────────────────────────────────────────────────────────────────────────────────────

_KINDS = {
    **dict.fromkeys(exp.DataType.TEXT_TYPES, "text"),
    **dict.fromkeys(exp.DataType.NUMERIC_TYPES, "number"),
    exp.DataType.Type.BOOLEAN: "boolean",
    exp.DataType.Type.DATE: "date",
    exp.DataType.Type.TIMESTAMP: "timestamp",
    exp.DataType.Type.TIMESTAMPTZ: "timestamp",
}
_FLOATING = {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_CALCULATED = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)


def _type(node: exp.Expression | None) -> exp.DataType.Type | None:
    if isinstance(node, exp.Paren):
        return _type(node.this)
    return node.type.this if node is not None and node.type else None


def _kind(node: exp.Expression | None) -> str | None:
    return _KINDS.get(_type(node))


def _is(node: exp.Expression | None, name: str) -> bool:
    return _type(node) == exp.DataType.Type[name]


def _check_types(tree: exp.Expression, text: str) -> None:
    """Refuse what DuckDB would convert without being asked: `year = 2024` where year is text."""
    for node in tree.find_all(*_COMPARED, *_CALCULATED):
        left, right = _kind(node.left), _kind(node.right)
        if left is None or right is None:
            continue
        if isinstance(node, _COMPARED):
            allowed = left == right or {left, right} == {"date", "timestamp"}
        else:
            allowed = (left, right) == ("number", "number")
            if isinstance(node, exp.Sub) and {left, right} <= {"date", "timestamp"}:
                message = "Use date_diff: a difference of dates is not carried out offline"
                raise QueryError("NOT_SUPPORTED", _between(node, text) + message)
        if not allowed:
            sign = {"EQ": "=", "NEQ": "<>"}.get(node.key.upper()) or _sign(node)
            message = f"Cannot apply operator: {_trino(node.left)} {sign} {_trino(node.right)}"
            raise QueryError("TYPE_MISMATCH", _between(node, text) + message)
    for node in tree.find_all(exp.In):
        kinds = {_kind(item) for item in [node.this, *node.expressions]} - {None}
        if len(kinds) > 1 and kinds != {"date", "timestamp"}:
            message = f"IN value and list items must be the same type: {_trino(node.this)}"
            raise QueryError("TYPE_MISMATCH", position(node.this) + message)
    for node in tree.find_all(exp.Between):
        low, high = node.args["low"], node.args["high"]
        kinds = {_kind(node.this), _kind(low), _kind(high)} - {None}
        if len(kinds) > 1 and kinds != {"date", "timestamp"}:
            types = f"{_trino(node.this)} is BETWEEN {_trino(low)} and {_trino(high)}"
            raise QueryError("TYPE_MISMATCH", f"{position(node.this)}Cannot check if {types}")
    for node in tree.find_all(exp.Like):
        if _kind(node.this) not in (None, "text"):
            message = "Left side of LIKE expression must evaluate to a varchar (actual: "
            raise QueryError("TYPE_MISMATCH", f"{position(node.this)}{message}{_trino(node.this)})")
    for node in tree.find_all(exp.DPipe):
        if "number" in (_kind(node.left), _kind(node.right)):
            types = f"({_trino(node.left)}, {_trino(node.right)})"
            message = f"Unexpected parameters {types} for function concat"
            raise QueryError("FUNCTION_NOT_FOUND", position(node) + message)


def _sign(node: exp.Expression) -> str:
    return node.sql("trino")[len(node.left.sql("trino")) :].split()[0]


def _between(node: exp.Expression, text: str) -> str:
    """Where the operator stands: Athena counts from there, not from the left operand."""
    words = [n.meta for n in node.left.find_all(exp.Identifier) if "end" in n.meta]
    if not words:
        return position(node)
    start = max(word["end"] for word in words) + 1
    sign = re.search(r"[=<>!+\-*/%]", text[start:])
    offset = start + (sign.start() if sign else 0)
    return f"line {text.count(chr(10), 0, offset) + 1}:{offset - text.rfind(chr(10), 0, offset)}: "


def _trino(node: exp.Expression) -> str:
    if isinstance(node, exp.Literal):
        if node.is_string:
            return f"varchar({len(node.this)})"
        return _decimal_of(node.this) if "." in node.this else "integer"
    return trino_type(node.type)


def trino_type(duck: str | exp.DataType) -> str:
    """Athena's name of a DuckDB type."""
    name = exp.DataType.build(duck, "duckdb").sql("trino").lower()
    return "timestamp(3)" if name == "timestamp" else name


def _decimal_of(digits: str) -> str:
    whole, _, fraction = digits.partition(".")
    return f"decimal({max(len(whole.lstrip('0') + fraction), 1)},{len(fraction)})"


_SAME_TYPE = (
    exp.Paren, exp.Neg, exp.Abs, exp.Round, exp.Sum, exp.Max, exp.Min, exp.Avg, exp.Window,
    exp.Filter, exp.Nullif,
)  # fmt: skip


def _deciding(node: exp.Expression) -> list[exp.Expression]:
    """The operands that decide what type of number an expression is; none for a leaf."""
    if isinstance(node, _SAME_TYPE):
        return [node.this]
    if isinstance(node, _CALCULATED):
        return [node.left, node.right]
    if isinstance(node, exp.If):
        found = [node.args.get("true"), node.args.get("false")]
    elif isinstance(node, exp.Case):
        found = [
            *(branch.args.get("true") for branch in node.args["ifs"]),
            node.args.get("default"),
        ]
    elif isinstance(node, exp.Coalesce):
        found = [node.this, *node.expressions]
    else:
        return []
    return [part for part in found if part is not None]


def _scale(node: exp.Expression) -> int | None:
    """The scale of a number that Athena computes as a decimal; None if it does not."""
    if isinstance(node, exp.Literal):
        is_decimal = node.is_number and "." in node.this and "e" not in node.this.lower()
        return len(node.this.partition(".")[2]) if is_decimal else None
    parts = _deciding(node)
    scales = [_scale(part) for part in parts]
    if any(scale is not None for scale in scales) and not _is_floating(node):
        known = [scale or 0 for scale in scales]
        return sum(known) if isinstance(node, exp.Mul) else max(known)
    if not parts and _is(node, "DECIMAL"):
        sizes = node.type.expressions
        return int(sizes[1].name) if len(sizes) > 1 else 0
    return None


def _is_floating(node: exp.Expression) -> bool:
    """Whether a value is a double in Athena, where sqlglot takes decimals for doubles, too."""
    if isinstance(node, exp.Literal):
        return "e" in node.this.lower() and not node.is_string
    parts = _deciding(node)
    if isinstance(node, exp.Avg):
        return _scale(node.this) is None
    return any(map(_is_floating, parts)) if parts else _type(node) in _FLOATING


# ── meaning ──────────────────────────────────────────────────────────────────────────────────────


def _rewrite(tree: exp.Expression) -> exp.Expression:
    """Say each expression so that DuckDB computes what Athena would."""
    for node in reversed(list(tree.walk())):
        rule = _RULES.get(type(node))
        new = rule(node) if rule else node
        if new is not node:
            if new.type is None:
                new.type = node.type
            if node is tree:
                tree = new
            else:
                node.replace(new)
    return tree


def _call(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _cast(node: exp.Expression, kind: str) -> exp.Cast:
    return exp.Cast(this=node.copy(), to=exp.DataType.build(kind, "duckdb"))


def _divide(node: exp.Div) -> exp.Expression:
    node.set("typed", False)
    node.set("safe", False)
    if _is_floating(node.left) or _is_floating(node.right):
        return _call("athena_divide", node.left, node.right)
    scale = _scale(node)
    if scale is not None:
        rounded = exp.Round(this=exp.Paren(this=node.copy()), decimals=exp.Literal.number(scale))
        return _cast(rounded, f"DECIMAL(38,{scale})")
    return node


def _keep_date(node: exp.Expression) -> exp.Expression:
    """DuckDB makes a timestamp of a date plus an interval, or of a truncated date."""
    if not _is(node.this, "DATE") or isinstance(node.parent, exp.Cast):
        return node
    if isinstance(node, exp.Add | exp.Sub) and not isinstance(node.expression, exp.Interval):
        return node
    return _cast(node, "DATE")


def _date_difference(node: exp.DateDiff) -> exp.Expression:
    """Whole units that lie between, not boundaries crossed."""
    unit = exp.Literal.string(node.text("unit").lower() or "day")
    return _call("date_sub", unit, node.expression, node.this)


def _convert(node: exp.Cast) -> exp.Expression:
    target, value = node.to, node.this
    if target.this in exp.DataType.TEXT_TYPES:
        if _type(value) in _FLOATING and _scale(value) is None:
            value = _call("athena_double_text", value)
        elif _is(value, "TIMESTAMP"):
            value = _call("athena_timestamp_text", value)
        text = exp.Cast(this=value.copy(), to=exp.DataType.build("varchar"))
        text = type(node)(**text.args)
        sizes = target.expressions
        return exp.Left(this=text, expression=sizes[0].this.copy()) if sizes else text
    if target.this in exp.DataType.INTEGER_TYPES and _type(value) in _FLOATING:
        node.set("this", exp.Round(this=value.copy()))
    if target.this == exp.DataType.Type.TIMESTAMP:
        node.set("to", exp.DataType.build("timestamp", "duckdb"))
    return node


def _regexp_replace(node: exp.RegexpReplace) -> exp.Expression:
    """`$1` of a replacement is `\\1` in DuckDB; Athena replaces all, by nothing unless told."""
    replacement = node.args.get("replacement") or exp.Literal.string("")
    if isinstance(replacement, exp.Literal):
        replacement = exp.Literal.string(re.sub(r"\$(\d)", r"\\\1", replacement.this))
    flags = exp.Literal.string("g")
    return _call("regexp_replace", node.this, node.expression, replacement, flags)


def _percentile(node: exp.ApproxQuantile) -> exp.Expression:
    """The exact percentile: DuckDB's approximation depends on the order of its threads."""
    exact = "quantile_disc" if _type(node.this) in exp.DataType.INTEGER_TYPES else "quantile_cont"
    return _call(exact, node.this, node.args["quantile"])


def _average(node: exp.Expression) -> exp.Expression:
    """The average of decimals is a decimal with as many digits: that of 1.0 and 0.0 is 0.5."""
    if isinstance(node.parent, exp.Window | exp.Filter) and node.arg_key == "this":
        return node
    inner = node
    while isinstance(inner, exp.Window | exp.Filter):
        inner = inner.this
    scale = _scale(inner.this) if isinstance(inner, exp.Avg) else None
    if scale is None:
        return node
    rounded = exp.Round(this=node.copy(), decimals=exp.Literal.number(scale))
    return _cast(rounded, f"DECIMAL(38,{scale})")


def _subscript(node: exp.Bracket) -> exp.Expression:
    """An element that is not there is an error, but for element_at."""
    if len(node.expressions) != 1 or node.args.get("safe"):
        return node
    index = node.expressions[0]
    if _is(node.this, "MAP"):
        return _call("athena_map_at", node.this, index)
    if _is(node.this, "ARRAY"):
        # sqlglot counts from 0; Athena and DuckDB count from 1.
        return _call("athena_array_at", node.this, index + 1)
    return node


def _reduce(node: exp.Reduce) -> exp.Expression:
    """A last function that gives back what it gets can go; DuckDB has none."""
    finish = node.args.get("finish")
    same = isinstance(finish, exp.Lambda) and isinstance(finish.this, exp.Column | exp.Identifier)
    if same and finish.this.name == finish.expressions[0].name:
        node.set("finish", None)
    return node


def _approximate_count(node: exp.ApproxDistinct) -> exp.Expression:
    node.set("accuracy", None)
    return node


def _sequence(node: exp.GenerateSeries) -> exp.Expression:
    return _cast(node, "DATE[]") if _is(node.args["start"], "DATE") else node


def _unnest(node: exp.Unnest) -> exp.Expression:
    """Several arrays, maps, rows and ordinality, which DuckDB's table function has not."""
    alias = node.args.get("alias")
    names = [column.name for column in alias.columns] if alias else []
    offset = node.args.get("offset")
    if isinstance(offset, exp.Identifier):
        names.append(offset.name)
    columns: list[exp.Expression] = []
    for array in node.expressions:
        if _is(array, "MAP"):
            columns += [_call("unnest", _call(f"map_{part}", array)) for part in ("keys", "values")]
        elif array.type and (fields := _row_fields(array.type)):
            columns += [
                _call("unnest", sqlglot.parse_one(f"list_transform(a_, lambda r_: r_.{name})",
                      read="duckdb").transform(lambda n, a=array: a.copy()
                      if isinstance(n, exp.Column) and n.name == "a_" else n))
                for name in fields
            ]  # fmt: skip
        else:
            columns.append(_call("unnest", array))
    if offset:
        ones = exp.Literal.number(1)
        size = _cast(_call("cardinality", node.expressions[0]), "BIGINT")
        last = exp.Add(this=size, expression=ones)
        columns.append(_call("unnest", _call("range", ones, last)))
    if not alias or len(names) != len(columns):
        return node
    items = [
        exp.Alias(this=column, alias=exp.to_identifier(name, quoted=True))
        for column, name in zip(columns, names, strict=True)
    ]
    table = exp.TableAlias(this=alias.this.copy()) if alias.this else None
    return exp.Lateral(this=exp.Subquery(this=exp.select(*items)), alias=table)


def _row_fields(kind: exp.DataType) -> list[str]:
    element = kind.expressions[0] if kind.expressions else None
    if not isinstance(element, exp.DataType) or element.this != exp.DataType.Type.STRUCT:
        return []
    return [part.name for part in element.expressions]


def _function(node: exp.Anonymous) -> exp.Expression:
    name = node.name.lower()
    if name.endswith("_match"):
        test = _call("list_transform", *node.expressions)
        every = _call("list_bool_and" if name == "all_match" else "list_bool_or", test)
        return exp.Not(this=every) if name == "none_match" else every
    if name == "format_datetime":
        return _with_joda("strftime", *node.expressions)
    return node


def _with_joda(name: str, value: exp.Expression, pattern: exp.Expression) -> exp.Expression:
    try:
        layout = exp.Literal.string(functions.joda_format(pattern.name))
    except ValueError as letter:
        message = f"Pattern letter '{letter}' is not carried out offline"
        raise QueryError("NOT_SUPPORTED", position(value) + message) from None
    return _call(name, value, layout)


_RULES: dict[type, Callable[[Any], exp.Expression]] = {
    exp.Div: _divide,
    exp.Add: _keep_date,
    exp.Sub: _keep_date,
    exp.DateAdd: _keep_date,
    exp.DateTrunc: _keep_date,
    exp.TimestampTrunc: _keep_date,
    exp.DateDiff: _date_difference,
    exp.Cast: _convert,
    exp.TryCast: _convert,
    exp.RegexpExtract: lambda n: _call(
        "athena_regexp_extract",
        n.this,
        n.expression,
        n.args.get("group") or exp.Literal.number(0),
    ),
    exp.RegexpReplace: _regexp_replace,
    exp.JSONExtract: lambda n: _call("athena_json_extract", n.this, n.expression),
    exp.JSONExtractScalar: lambda n: _call("athena_json_scalar", n.this, n.expression),
    exp.ArraySize: lambda n: _cast(_call("cardinality", n.this), "BIGINT"),
    exp.ApproxQuantile: _percentile,
    exp.Avg: _average,
    exp.Filter: _average,
    exp.Window: _average,
    exp.Format: lambda n: _call("printf", n.this, *n.expressions),
    exp.Bracket: _subscript,
    exp.GenerateSeries: _sequence,
    exp.Unnest: _unnest,
    exp.Reduce: _reduce,
    exp.ApproxDistinct: _approximate_count,
    exp.Anonymous: _function,
    exp.ParseDatetime: lambda n: _with_joda("strptime", n.this, n.args["format"]),
}
