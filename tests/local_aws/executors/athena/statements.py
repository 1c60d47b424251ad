"""What each kind of statement does: queries here, Hive's DDL in `ddl`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb
from sqlglot import exp

from ... import account
from . import catalog as glue
from . import results, sql, writing
from .catalog import Catalog
from .datatypes import duckdb_type, split_top_level, string_info
from .engine import Answer, Run, open_scan
from .errors import MalformedQuery, QueryError, from_duckdb
from .scanner import Scanner, properties

# (region, workgroup, name): the members of a PreparedStatement.
Prepared = dict[tuple[str, str, str], dict[str, Any]]


@dataclass
class Context:
    """Where and for whom a statement runs."""

    query_id: str
    catalog: Catalog
    database: str
    workgroup: str
    output: str
    parameters: list[str]
    run: Run
    prepared: Prepared
    answers: list[Answer] = field(default_factory=list)

    @property
    def caller(self) -> str:
        return self.catalog.caller

    def query(
        self, tree: exp.Query, text: str, template: str = "{}"
    ) -> tuple[Answer, dict[str, str]]:
        """Run a query; the answer, and how its columns' names are written."""
        tree = sql.bind(tree, self.parameters)
        translation = sql.translate(tree, text, self.resolve, self.database)
        for number, source in enumerate(translation.sources):
            if isinstance(source.scan, dict):
                path = f"athena://{self.query_id}/{number}/"
                source.scan = open_scan(source.scan, self.catalog, path)
        try:
            answer = self.run.execute(translation, template)
        except duckdb.Error as error:
            raise from_duckdb(error, tree, text) from None
        self.answers.append(answer)
        return answer, translation.headings

    def resolve(self, database: str, name: str) -> sql.Source | sql.View | None:
        """What a table's name in a query stands for."""
        if database == "information_schema":
            return self._information(name)
        if not self.catalog.has_database(database):
            raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist")
        base, _, kind = name.partition("$")
        table = self.catalog.table(database, base)
        if table is None:
            return None
        if kind == "partitions":
            return self._partitions(table)
        if glue.is_view(table):
            return glue.view_of(table)
        return sql.Source({**glue.columns_of(table), **glue.keys_of(table)}, table)

    def at(self, name: tuple[str, str]) -> tuple[str, str]:
        """Database and table that a statement names; without a database, in the query's own."""
        return name[0] or self.database, name[1]

    def existing(self, name: tuple[str, str]) -> glue.Table:
        """The table that a DDL statement names."""
        table = self.catalog.table(*self.at(name))
        if table is None:
            raise QueryError(
                "", f"FAILED: SemanticException [Error 10001]: Table not found {name[1]}"
            )
        return table

    def _partitions(self, table: glue.Table) -> sql.Source:
        keys = glue.keys_of(table)
        rows = [tuple(p["Values"]) for p in self.catalog.partitions(table)]
        return sql.Source(keys, sql.values(keys, rows))

    def _information(self, name: str) -> sql.Source | None:
        rows: list[tuple[Any, ...]] = []
        for database in self.catalog.databases():
            home = database["Name"]
            if name == "schemata":
                rows.append(("awsdatacatalog", home))
                continue
            for table in self.catalog.tables(home):
                kind = "VIEW" if glue.is_view(table) else "BASE TABLE"
                if name == "tables":
                    rows.append(("awsdatacatalog", home, table["Name"], kind))
                every = {**glue.columns_of(table), **glue.keys_of(table)}
                for place, (column, duck) in enumerate(every.items() if name == "columns" else ()):
                    described = (column, place + 1, sql.trino_type(duck))
                    rows.append(("awsdatacatalog", home, table["Name"], *described))
        names = {
            "schemata": "catalog_name schema_name",
            "tables": "table_catalog table_schema table_name table_type",
            "columns": "table_catalog table_schema table_name column_name "
            "ordinal_position data_type",
        }.get(name)
        if names is None:
            return None
        kinds = {n: "BIGINT" if n == "ordinal_position" else "VARCHAR" for n in names.split()}
        return sql.Source(kinds, sql.values(kinds, rows))


@dataclass
class Outcome:
    """What a statement leaves.

    Attributes:
        columns: the columns of the result, as GetQueryResults describes them.
        content: of the result file; a table in CSV with a header (`is_table`), or lines of text.
        manifest: the files written, for CTAS, INSERT and UNLOAD.
        rows: how many rows the result has.
        update_count: how many rows were written.
    """

    columns: list[dict[str, Any]] = field(default_factory=list)
    content: bytes = b""
    is_table: bool = False
    manifest: list[str] | None = None
    rows: int = 0
    update_count: int = 0


@dataclass
class Statement:
    """A statement that has been read.

    `kind` and `detail` are AWS's StatementType and SubstatementType; `suffix` ends the name of the
    result file.
    """

    kind: str
    detail: str
    suffix: str
    run: Callable[[Context], Outcome]


def lines(column_names: list[str], rows: list[str]) -> Outcome:
    """The outcome of a DDL statement that answers in lines of text."""
    content = "".join(f"{row}\n" for row in rows).encode()
    return Outcome([string_info(name) for name in column_names], content, rows=len(rows))


def parse(text: str) -> Statement:
    """Read a statement.

    Raises:
        MalformedQuery: with where and what, as AWS words it.
    """
    from . import ddl

    scanner = Scanner(text)
    for words, reader in {**_READERS, **ddl.READERS}.items():
        if scanner.take(words):
            return reader(scanner)
    if not re.match(r"\(|(?:select|with|values|table)\b", text[scanner.position :], re.IGNORECASE):
        raise scanner.mismatched(
            "'ALTER', 'CREATE', 'DEALLOCATE', 'DESCRIBE', 'DROP', 'EXECUTE', 'EXPLAIN', 'INSERT', "
            "'MSCK', 'PREPARE', 'SHOW', 'UNLOAD', <query>"
        )
    return _select(scanner)


def _select(scanner: Scanner) -> Statement:
    text = scanner.rest()
    tree = sql.parse(text)

    def run(context: Context) -> Outcome:
        answer, headings = context.query(tree, text)
        columns = results.columns_of(answer, headings)
        content = results.as_csv(answer, [column["Name"] for column in columns])
        return Outcome(columns, content, is_table=True, rows=answer.table.num_rows)

    return Statement("DML", "SELECT", ".csv", run)


def _explain(scanner: Scanner) -> Statement:
    if scanner.take("ANALYZE"):
        raise MalformedQuery("EXPLAIN ANALYZE is not carried out offline")
    text = scanner.rest()
    tree = sql.parse(text)

    def run(context: Context) -> Outcome:
        answer, _ = context.query(tree, text, "EXPLAIN {}")
        plan = str(answer.table.column(1)[0])
        return lines(["Query Plan"], plan.splitlines())

    return Statement("UTILITY", "EXPLAIN", ".txt", run)


# ── CTAS, INSERT, UNLOAD ─────────────────────────────────────────────────────────────────────────


def create_table_as(scanner: Scanner, *, if_absent: bool) -> Statement:
    """CREATE TABLE name [WITH (…)] AS query [WITH NO DATA]; CREATE TABLE is read already."""
    table_name = scanner.table("")
    given = properties(scanner.group()) if scanner.take("WITH") else {}
    if not scanner.take("AS"):
        raise MalformedQuery(
            "Only CREATE EXTERNAL TABLE and CREATE TABLE AS are carried out offline; "
            "Iceberg tables are not."
        )
    if str(given.get("format", "PARQUET")).upper() not in glue.FORMATS:
        raise MalformedQuery(f"format: use one of {', '.join(sorted(glue.FORMATS))}")
    if "bucketed_by" in given or "bucket_count" in given:
        raise MalformedQuery("bucketed_by is not carried out offline")
    text = scanner.rest()
    no_data = re.search(r"\bWITH\s+(NO\s+)?DATA\s*$", text, re.IGNORECASE)
    tree = sql.parse(text[: no_data.start()] if no_data else text)

    def run(context: Context) -> Outcome:
        database, name = context.at(table_name)
        if context.catalog.table(database, name):
            if if_absent:
                return Outcome()
            message = (
                f"line 1:1: Destination table 'awsdatacatalog.{database}.{name}' already exists"
            )
            raise QueryError("TABLE_ALREADY_EXISTS", message)
        _check_named(tree)
        location = given.get("external_location") or f"{context.output}/tables/{context.query_id}"
        writing.check_empty(location.rstrip("/") + "/", context.caller, f"{database}.{name}")
        if no_data and no_data[1]:
            tree.set("limit", exp.Limit(expression=exp.Literal.number(0)))
        answer, _ = context.query(tree, text)
        types = writing.column_types(answer)
        keys = given.get("partitioned_by", [])
        duck = {column: duckdb_type(kind) for column, kind in types.items()}
        files, partitions = writing.write(answer, duck, keys, location, given, context.caller)
        definition = _definition(name, types, keys, location, given)
        context.catalog.create_table(database, definition)
        table = definition | {"DatabaseName": database}
        context.catalog.add_partitions(table, partitions)
        return _written(answer, files)

    return Statement("DDL", "CREATE_TABLE_AS_SELECT", "", run)


def _definition(
    name: str, types: dict[str, str], keys: list[str], location: str, given: dict[str, Any]
) -> glue.Table:
    form = str(given.get("format", "PARQUET")).upper()
    input_format, output_format, serde = glue.FORMATS[form]
    parameters = {"serialization.format": "1"}
    if form == "TEXTFILE":
        parameters = {"field.delim": str(given.get("field_delimiter", "\x01"))}
    columns = [{"Name": n, "Type": kind} for n, kind in types.items()]
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false"},
        "PartitionKeys": [column for column in columns if column["Name"] in keys],
        "StorageDescriptor": {
            "Columns": [column for column in columns if column["Name"] not in keys],
            "Location": location.rstrip("/") + "/",
            "InputFormat": input_format,
            "OutputFormat": output_format,
            "Compressed": False,
            "SerdeInfo": {"Name": name, "SerializationLibrary": serde, "Parameters": parameters},
        },
    }


def _insert(scanner: Scanner) -> Statement:
    table_name = scanner.table("")
    named = None
    if scanner.text[scanner.position : scanner.position + 1] == "(":
        before, inner = scanner.position, scanner.group()
        if re.match(r"\s*(?:select|with|values)\b", inner, re.IGNORECASE):
            scanner.position = before
        else:
            named = [Scanner(part.strip()).identifier() for part in inner.split(",")]
    text = scanner.rest()
    tree = sql.parse(text)

    def run(context: Context) -> Outcome:
        database, name = context.at(table_name)
        table = context.catalog.table(database, name)
        if table is None:
            message = f"Table 'awsdatacatalog.{database}.{name}' does not exist"
            raise QueryError("TABLE_NOT_FOUND", f"line 1:1: {message}")
        columns, keys = glue.columns_of(table), glue.keys_of(table)
        answer, _ = context.query(tree, text)
        every = {**columns, **keys}
        _check_insert(answer, every, named)
        if named is not None:
            answer = _in_order(answer, every, named)
        properties = {"format": _format_of(table)} | _delimiter_of(table)
        location = glue.location_of(table)
        files, partitions = writing.write(
            answer, every, list(keys), location, properties, context.caller
        )
        context.catalog.add_partitions(table, partitions)
        return _written(answer, files)

    return Statement("DML", "INSERT", "", run)


def _check_insert(answer: Answer, every: dict[str, str], named: list[str] | None) -> None:
    expected = [every.get(name) for name in (named or every)]
    if None in expected:
        missing = next(name for name in named or [] if name not in every)
        message = f"line 1:1: Insert column name does not exist in target table: {missing}"
        raise QueryError("COLUMN_NOT_FOUND", message)
    found = [str(kind) for kind in answer.kinds]
    is_text = [[kind == "VARCHAR" for kind in kinds] for kinds in (expected, found)]
    nulls = [kind == '"NULL"' for kind in found]
    alike = all(a == b or n for a, b, n in zip(*is_text, nulls, strict=False))
    if len(expected) != len(found) or not alike:
        message = (
            "line 1:1: Insert query has mismatched column types: "
            f"Table: [{', '.join(map(str, expected)).lower()}], Query: [{', '.join(found).lower()}]"
        )
        raise QueryError("TYPE_MISMATCH", message)


def _in_order(answer: Answer, every: dict[str, str], named: list[str]) -> Answer:
    """The answer with the table's columns in the table's order; NULL where none is given."""
    import pyarrow as pa

    nothing = pa.nulls(answer.table.num_rows)
    arrays = [answer.table.column(named.index(n)) if n in named else nothing for n in every]
    return Answer(pa.table(arrays, names=list(every)), [], list(every))


def _format_of(table: glue.Table) -> str:
    serde = glue.serde_of(table)[0].lower()
    names = {"parquet": "PARQUET", "json": "JSON", "lazysimple": "TEXTFILE"}
    found = next((form for word, form in names.items() if word in serde), None)
    if found is None:
        raise QueryError("NOT_SUPPORTED", f"Writing with '{serde}' is not carried out offline")
    return found


def _delimiter_of(table: glue.Table) -> dict[str, str]:
    delimiter = glue.serde_of(table)[1].get("field.delim")
    return {"field_delimiter": delimiter} if delimiter else {}


def _unload(scanner: Scanner) -> Statement:
    before = scanner.text[: scanner.position]
    inner = re.sub(r"[^\n]", " ", before) + " " + scanner.group()
    scanner.expect("TO")
    location = scanner.string()
    given = properties(scanner.group()) if scanner.take("WITH") else {}
    scanner.end()
    tree = sql.parse(inner)

    def run(context: Context) -> Outcome:
        writing.check_empty(location.rstrip("/") + "/", context.caller)
        _check_named(tree)
        answer, _ = context.query(tree, inner)
        duck = {n: duckdb_type(kind) for n, kind in writing.column_types(answer).items()}
        keys = given.get("partitioned_by", [])
        files, _ = writing.write(answer, duck, keys, location, given, context.caller)
        return _written(answer, files)

    return Statement("DML", "UNLOAD", "", run)


def _written(answer: Answer, files: list[str]) -> Outcome:
    rows = {"Name": "rows", "Label": "rows", "Type": "bigint", "Precision": 19}
    columns = [string_info("rows") | rows]
    return Outcome(columns, manifest=files, update_count=answer.table.num_rows)


def _check_named(tree: exp.Query) -> None:
    for index, item in enumerate(tree.selects):
        if not isinstance(item, exp.Alias | exp.Column | exp.Star | exp.Dot):
            message = f"line 1:1: Column name not specified at position {index + 1}"
            raise QueryError("MISSING_COLUMN_NAME", message)


# ── prepared statements ──────────────────────────────────────────────────────────────────────────


def _prepare(scanner: Scanner) -> Statement:
    name = scanner.name()
    scanner.expect("FROM")
    text = scanner.rest().strip()
    parse(text)

    def run(context: Context) -> Outcome:
        context.prepared[context.catalog.region, context.workgroup, name] = {
            "StatementName": name,
            "QueryStatement": text,
            "WorkGroupName": context.workgroup,
            "LastModifiedTime": account.now(),
        }
        return Outcome()

    return Statement("DDL", "PREPARE", ".txt", run)


def _execute(scanner: Scanner) -> Statement:
    name = scanner.name()
    values = scanner.rest().strip() if scanner.take("USING") else ""

    def run(context: Context) -> Outcome:
        found = context.prepared.get((context.catalog.region, context.workgroup, name))
        if found is None:
            raise QueryError("NOT_FOUND", f"Prepared statement not found: {name}")
        if values:
            context.parameters = [value.strip() for value in split_top_level(values)]
        return parse(found["QueryStatement"]).run(context)

    return Statement("DML", "EXECUTE", ".csv", run)


def _deallocate(scanner: Scanner) -> Statement:
    name = scanner.name()
    scanner.end()

    def run(context: Context) -> Outcome:
        key = (context.catalog.region, context.workgroup, name)
        if context.prepared.pop(key, None) is None:
            raise QueryError("NOT_FOUND", f"Prepared statement not found: {name}")
        return Outcome()

    return Statement("DDL", "DEALLOCATE_PREPARE", ".txt", run)


_READERS: dict[str, Callable[[Scanner], Statement]] = {
    "EXPLAIN": _explain,
    "INSERT INTO": _insert,
    "UNLOAD": _unload,
    "PREPARE": _prepare,
    "EXECUTE": _execute,
    "DEALLOCATE PREPARE": _deallocate,
}
