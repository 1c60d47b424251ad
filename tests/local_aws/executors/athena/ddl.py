"""Hive's DDL over the catalog: CREATE, ALTER, DROP, MSCK REPAIR, SHOW, DESCRIBE, and views."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.core.exceptions import ServiceException

from ... import storage
from ...storage import S3Location
from . import catalog as glue
from . import sql
from .errors import MalformedQuery, QueryError
from .scanner import Scanner, columns, properties
from .statements import Context, Outcome, Statement, create_table_as, lines

_FAILED = "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "


def _ddl(detail: str, run: Callable[[Context], Outcome | None]) -> Statement:
    return Statement("DDL", detail, ".txt", lambda context: run(context) or Outcome())


def _utility(detail: str, run: Callable[[Context], Outcome]) -> Statement:
    return Statement("UTILITY", detail, ".txt", run)


def _refusing(run: Callable[[], Any]) -> None:
    """Do something in the catalog; what Glue refuses fails the statement as Hive words it."""
    try:
        run()
    except ServiceException as error:
        raise QueryError("", f"{_FAILED}{error.code}(message:{error.message})") from None


def _no_database(name: str) -> QueryError:
    message = f"FAILED: SemanticException [Error 10072]: Database does not exist: {name}"
    return QueryError("", message)


def _check_database(name: str, context: Context) -> None:
    if not context.catalog.has_database(name):
        raise _no_database(name)


# ── CREATE ───────────────────────────────────────────────────────────────────────────────────────


def _create_database(scanner: Scanner) -> Statement:
    if_absent = scanner.take("IF NOT EXISTS")
    name = scanner.identifier()
    description: dict[str, Any] = {}
    if scanner.take("COMMENT"):
        description["Description"] = scanner.string()
    if scanner.take("LOCATION"):
        description["LocationUri"] = scanner.string()
    if scanner.take("WITH DBPROPERTIES"):
        description["Parameters"] = properties(scanner.group())
    scanner.end()

    def run(context: Context) -> None:
        if if_absent and context.catalog.has_database(name):
            return
        _refusing(lambda: context.catalog.create_database(name, description))

    return _ddl("CREATE_DATABASE", run)


def _create_table(scanner: Scanner) -> Statement:
    return create_table_as(scanner, if_absent=scanner.take("IF NOT EXISTS"))


def _create_external_table(scanner: Scanner) -> Statement:
    if_absent = scanner.take("IF NOT EXISTS")
    database, name = scanner.table("")
    definition = _table_definition(scanner, name)

    def run(context: Context) -> None:
        home = database or context.database
        _check_database(home, context)
        if context.catalog.table(home, name):
            if if_absent:
                return
            message = f"AlreadyExistsException(message:Table {name} already exists)"
            raise QueryError("", _FAILED + message)
        glue.columns_of(definition)
        glue.keys_of(definition)
        _refusing(lambda: context.catalog.create_table(home, definition))

    return _ddl("CREATE_TABLE", run)


def _table_definition(scanner: Scanner, name: str) -> glue.Table:
    """The clauses after the name, in the order in which Hive wants them."""
    described = columns(scanner.group())
    comment = scanner.string() if scanner.take("COMMENT") else None
    keys = columns(scanner.group()) if scanner.take("PARTITIONED BY") else []
    if scanner.take("CLUSTERED BY"):
        raise MalformedQuery("CLUSTERED BY is not carried out offline")
    serde, parameters = None, {}
    if scanner.take("ROW FORMAT SERDE"):
        serde = scanner.string()
    elif scanner.take("ROW FORMAT DELIMITED"):
        serde, parameters = glue.LAZY_SIMPLE, _delimiters(scanner)
    if scanner.take("WITH SERDEPROPERTIES"):
        parameters = properties(scanner.group())
    input_format, output_format, usual_serde = _stored_as(scanner)
    if not scanner.take("LOCATION"):
        message = "FAILED: SemanticException Location must be specified for an external table."
        raise MalformedQuery(message)
    location = scanner.string()
    given = properties(scanner.group()) if scanner.take("TBLPROPERTIES") else {}
    scanner.end()
    if not location.startswith("s3://"):
        raise MalformedQuery(f"The location '{location}' is not in S3; write s3://bucket/prefix/")
    return {
        "Name": name,
        "Description": comment or "",
        "Owner": "hadoop",
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": keys,
        "Parameters": {
            "EXTERNAL": "TRUE",
            "transient_lastDdlTime": str(int(time.time())),
            **given,
        },
        "StorageDescriptor": {
            "Columns": described,
            "Location": location,
            "InputFormat": input_format,
            "OutputFormat": output_format,
            "Compressed": False,
            "NumberOfBuckets": -1,
            "SerdeInfo": {
                "SerializationLibrary": serde or usual_serde,
                "Parameters": parameters or {"serialization.format": "1"},
            },
        },
    }


def _delimiters(scanner: Scanner) -> dict[str, str]:
    clauses = {
        "FIELDS TERMINATED BY": "field.delim",
        "ESCAPED BY": "escape.delim",
        "COLLECTION ITEMS TERMINATED BY": "collection.delim",
        "MAP KEYS TERMINATED BY": "mapkey.delim",
        "LINES TERMINATED BY": "line.delim",
        "NULL DEFINED AS": "serialization.null.format",
    }
    found = {}
    for words, key in clauses.items():
        if scanner.take(words):
            place = scanner.position
            found[key] = scanner.string()
            # `'\t'` and `'\n'` are escapes here, and `string` has taken the backslash off.
            raw = scanner.text[place : scanner.position]
            found[key] = {"'\\t'": "\t", "'\\n'": "\n", "'\\001'": "\x01"}.get(
                raw.strip(), found[key]
            )
    if "field.delim" in found:
        found["serialization.format"] = found["field.delim"]
    return found


def _stored_as(scanner: Scanner) -> tuple[str, str, str]:
    if not scanner.take("STORED AS"):
        return glue.FORMATS["TEXTFILE"]
    if scanner.take("INPUTFORMAT"):
        input_format = scanner.string()
        scanner.expect("OUTPUTFORMAT")
        return input_format, scanner.string(), glue.LAZY_SIMPLE
    form = scanner.identifier().upper()
    if form not in glue.FORMATS:
        raise MalformedQuery(f"STORED AS {form}: use one of {', '.join(sorted(glue.FORMATS))}")
    return glue.FORMATS[form]


def _create_view(scanner: Scanner, *, replace: bool = False) -> Statement:
    view_name = scanner.table("")
    scanner.expect("AS")
    text = scanner.rest()
    tree = sql.parse(text)

    def run(context: Context) -> None:
        database, name = context.at(view_name)
        found = context.catalog.table(database, name)
        if found and not (replace and glue.is_view(found)):
            message = f"line 1:1: View already exists: 'awsdatacatalog.{database}.{name}'"
            raise QueryError("ALREADY_EXISTS", message)
        answer, _ = context.query(tree, text, "SELECT * FROM ({}) LIMIT 0")
        described = list(zip(answer.names, answer.kinds, strict=True))
        definition = glue.view_definition(name, text.strip(), context.database, described)
        if found:
            context.catalog.update_table(found, **definition)
        else:
            _refusing(lambda: context.catalog.create_table(database, definition))

    return _ddl("CREATE_VIEW", run)


# ── ALTER, DROP, MSCK ────────────────────────────────────────────────────────────────────────────


def _alter_table(scanner: Scanner) -> Statement:
    name = scanner.table("")
    if scanner.take("ADD PARTITION") or scanner.take("ADD IF NOT EXISTS PARTITION"):
        return _add_partitions(scanner, name)
    if scanner.take("DROP IF EXISTS PARTITION"):
        return _drop_partitions(scanner, name, if_present=True)
    if scanner.take("DROP PARTITION"):
        return _drop_partitions(scanner, name, if_present=False)
    if scanner.take("ADD COLUMNS"):
        new = columns(scanner.group())
        return _ddl("ALTER_TABLE_ADD_COLUMNS", _changing(name, lambda old: old + new))
    if scanner.take("REPLACE COLUMNS"):
        new = columns(scanner.group())
        return _ddl("ALTER_TABLE_REPLACE_COLUMNS", _changing(name, lambda old: new))
    if scanner.take("SET TBLPROPERTIES"):
        given = properties(scanner.group())

        def set_properties(context: Context) -> None:
            table = context.existing(name)
            parameters = {**(table.get("Parameters") or {}), **given}
            context.catalog.update_table(table, Parameters=parameters)

        return _ddl("ALTER_TABLE_SET_TBLPROPERTIES", set_properties)
    if scanner.take("SET LOCATION"):
        location = scanner.string()

        def set_location(context: Context) -> None:
            table = context.existing(name)
            descriptor = {**table["StorageDescriptor"], "Location": location}
            context.catalog.update_table(table, StorageDescriptor=descriptor)

        return _ddl("ALTER_TABLE_SET_LOCATION", set_location)
    raise scanner.mismatched("'ADD', 'DROP', 'REPLACE', 'SET'")


def _changing(name: tuple[str, str], change: Callable[[list], list]) -> Callable[[Context], None]:
    def run(context: Context) -> None:
        table = context.existing(name)
        descriptor = dict(table["StorageDescriptor"])
        descriptor["Columns"] = change(descriptor["Columns"])
        names = [column["Name"] for column in descriptor["Columns"]]
        if len(set(names)) < len(names):
            double = next(n for n in names if names.count(n) > 1)
            raise QueryError("", f"{_FAILED}Duplicate column name: {double}")
        context.catalog.update_table(table, StorageDescriptor=descriptor)

    return run


def _add_partitions(scanner: Scanner, name: tuple[str, str]) -> Statement:
    if_absent = "IF NOT EXISTS" in re.sub(r"\s+", " ", scanner.text[: scanner.position].upper())
    wanted = []
    while True:
        values = properties(scanner.group())
        wanted.append((values, scanner.string() if scanner.take("LOCATION") else None))
        if not scanner.take("PARTITION"):
            break
    scanner.end()

    def run(context: Context) -> None:
        table = context.existing(name)
        present = {tuple(p["Values"]) for p in context.catalog.partitions(table)}
        locations = {}
        for given, location in wanted:
            values = _values(table, given)
            if values in present and not if_absent:
                raise QueryError(
                    "", f"{_FAILED}AlreadyExistsException(message:Partition already exists.)"
                )
            locations[values] = location or glue.location_of(table) + _folder(table, values)
        context.catalog.add_partitions(table, locations)

    return _ddl("ALTER_TABLE_ADD_PARTITION", run)


def _drop_partitions(scanner: Scanner, name: tuple[str, str], *, if_present: bool) -> Statement:
    wanted = [properties(scanner.group())]
    while scanner.take(", PARTITION") or scanner.take("PARTITION"):
        wanted.append(properties(scanner.group()))
    scanner.end()

    def run(context: Context) -> None:
        table = context.existing(name)
        present = {tuple(p["Values"]) for p in context.catalog.partitions(table)}
        for given in wanted:
            values = _values(table, given)
            if values in present:
                context.catalog.delete_partition(table, list(values))
            elif not if_present:
                message = f"FAILED: SemanticException [Error 10006]: Partition not found {given}"
                raise QueryError("", message)

    return _ddl("ALTER_TABLE_DROP_PARTITION", run)


def _values(table: glue.Table, given: dict[str, Any]) -> tuple[str, ...]:
    keys = list(glue.keys_of(table))
    spec = {key.lower(): str(value) for key, value in given.items()}
    if set(spec) != set(keys):
        message = f"FAILED: SemanticException [Error 10098]: partition spec {spec} is not {keys}"
        raise QueryError("", message)
    return tuple(spec[key] for key in keys)


def _folder(table: glue.Table, values: tuple[str, ...]) -> str:
    from .writing import escaped

    pairs = zip(glue.keys_of(table), values, strict=True)
    return "".join(f"{key}={escaped(value)}/" for key, value in pairs)


def _repair(scanner: Scanner) -> Statement:
    name = scanner.table("")
    scanner.end()

    def run(context: Context) -> Outcome:
        table = context.existing(name)
        keys = list(glue.keys_of(table))
        root = S3Location.parse(glue.location_of(table))
        pattern = re.compile("/".join(f"{key}=([^/]+)" for key in keys) + "/", re.IGNORECASE)
        present = {tuple(p["Values"]) for p in context.catalog.partitions(table)}
        found = {}
        for item in storage.list_objects(root, context.caller):
            match = pattern.match(item.location.key[len(root.key) :]) if keys else None
            if match:
                values = tuple(unquote(value) for value in match.groups())
                found[values] = f"{root}{match[0]}"
        new = {values: location for values, location in found.items() if values not in present}
        context.catalog.add_partitions(table, new)
        specs = [_folder(table, values).rstrip("/") for values in new]
        absent = "\t".join(f"{table['Name']}:{spec}" for spec in specs)
        report = [f"Partitions not in metastore:\t{absent}"] if specs else []
        added = (f"Repair: Added partition to metastore {table['Name']}:{spec}" for spec in specs)
        return lines(["result"], [*report, *added])

    return _ddl("MSCK_REPAIR_TABLE", run)  # type: ignore[arg-type]


def _drop_table(scanner: Scanner) -> Statement:
    return _dropping(scanner, "DROP_TABLE")


def _drop_view(scanner: Scanner) -> Statement:
    return _dropping(scanner, "DROP_VIEW")


def _dropping(scanner: Scanner, detail: str) -> Statement:
    if_present = scanner.take("IF EXISTS")
    name = scanner.table("")
    scanner.end()

    def run(context: Context) -> None:
        table = context.catalog.table(*context.at(name))
        if table is not None:
            context.catalog.delete_table(table)
        elif not if_present:
            message = f"FAILED: SemanticException [Error 10001]: Table not found {name[1]}"
            raise QueryError("", message)

    return _ddl(detail, run)


def _drop_database(scanner: Scanner) -> Statement:
    if_present = scanner.take("IF EXISTS")
    name = scanner.identifier()
    cascade = scanner.take("CASCADE")
    scanner.take("RESTRICT")
    scanner.end()

    def run(context: Context) -> None:
        if not context.catalog.has_database(name):
            if if_present:
                return
            raise _no_database(name)
        if not cascade and context.catalog.tables(name):
            message = (
                f"InvalidOperationException(message:Database {name} is not empty. "
                "One or more tables exist.)"
            )
            raise QueryError("", _FAILED + message)
        context.catalog.delete_database(name)

    return _ddl("DROP_DATABASE", run)


# ── SHOW, DESCRIBE ───────────────────────────────────────────────────────────────────────────────


def _show_databases(scanner: Scanner) -> Statement:
    pattern = _pattern(scanner)

    def run(context: Context) -> Outcome:
        names = [database["Name"] for database in context.catalog.databases()]
        found = [n for n in names if pattern is None or re.fullmatch(pattern, n, re.IGNORECASE)]
        return lines(["database_name"], found)

    return _utility("SHOW_DATABASES", run)


def _show_tables(scanner: Scanner, *, views: bool = False) -> Statement:
    database = scanner.identifier() if scanner.take("IN") or scanner.take("FROM") else ""
    pattern = _pattern(scanner)

    def run(context: Context) -> Outcome:
        home = database or context.database
        _check_database(home, context)
        tables = context.catalog.tables(home, pattern)
        names = [table["Name"] for table in tables if glue.is_view(table) or not views]
        return lines(["views" if views else "tab_name"], names)

    return _utility("SHOW_VIEWS" if views else "SHOW_TABLES", run)


def _pattern(scanner: Scanner) -> str | None:
    """Hive's pattern, where `*` is any text and `|` is or, as a regular expression."""
    scanner.take("LIKE")
    if scanner.text[scanner.position : scanner.position + 1] not in ("'", '"'):
        scanner.end()
        return None
    text = scanner.string()
    scanner.end()
    return re.sub(r"(?<!\.)\*", ".*", text)


def _show_partitions(scanner: Scanner) -> Statement:
    name = scanner.table("")
    scanner.end()

    def run(context: Context) -> Outcome:
        table = context.existing(name)
        if not glue.keys_of(table):
            where = f"{table['DatabaseName']}.{table['Name']}"
            raise QueryError("", f"{_FAILED}Table {where} is not a partitioned table")
        found = [_folder(table, tuple(p["Values"])) for p in context.catalog.partitions(table)]
        return lines(["partition"], [folder.rstrip("/") for folder in found])

    return _utility("SHOW_PARTITIONS", run)


def _show_columns(scanner: Scanner) -> Statement:
    if not scanner.take("IN"):
        scanner.expect("FROM")
    name = scanner.table("")
    if scanner.take("IN") or scanner.take("FROM"):
        name = (scanner.identifier(), name[1])
    scanner.end()

    def run(context: Context) -> Outcome:
        table = context.existing(name)
        names = [*glue.columns_of(table), *glue.keys_of(table)]
        return lines(["field"], [f"{column:<20}" for column in names])

    return _utility("SHOW_COLUMNS", run)


def _show_properties(scanner: Scanner) -> Statement:
    name = scanner.table("")
    scanner.end()

    def run(context: Context) -> Outcome:
        parameters = context.existing(name).get("Parameters") or {}
        return lines(["prpt_name", "prpt_value"], [f"{k}\t{v}" for k, v in parameters.items()])

    return _utility("SHOW_TBLPROPERTIES", run)


def _show_create_view(scanner: Scanner) -> Statement:
    name = scanner.table("")
    scanner.end()

    def run(context: Context) -> Outcome:
        database, view = context.at(name)
        text = glue.view_of(context.existing((database, view))).text
        created = f"CREATE VIEW {database}.{view} AS\n{text}"
        return lines(["Create View"], created.splitlines())

    return _utility("SHOW_CREATE_VIEW", run)


def _show_create_table(scanner: Scanner) -> Statement:
    name = scanner.table("")
    scanner.end()

    def run(context: Context) -> Outcome:
        table = context.existing(name)
        if glue.is_view(table):
            raise QueryError("", f"{_FAILED}{name[1]} is a view: use SHOW CREATE VIEW")
        return lines(["createtab_stmt"], _create_statement(table))

    return _utility("SHOW_CREATE_TABLE", run)


def _create_statement(table: glue.Table) -> list[str]:
    descriptor = table["StorageDescriptor"]
    serde, parameters = glue.serde_of(table)
    keys = table.get("PartitionKeys") or []
    return [
        f"CREATE EXTERNAL TABLE `{table['DatabaseName']}.{table['Name']}`(",
        *_defined(descriptor["Columns"]),
        *(["PARTITIONED BY ( ", *_defined(keys)] if keys else []),
        "ROW FORMAT SERDE ",
        f"  '{serde}' ",
        *(["WITH SERDEPROPERTIES ( ", *_listed(parameters)] if parameters else []),
        "STORED AS INPUTFORMAT ",
        f"  '{descriptor.get('InputFormat') or glue.FORMATS['TEXTFILE'][0]}' ",
        "OUTPUTFORMAT ",
        f"  '{descriptor.get('OutputFormat') or glue.FORMATS['TEXTFILE'][1]}'",
        "LOCATION",
        f"  '{descriptor['Location']}'",
        "TBLPROPERTIES (",
        *_listed({k: v for k, v in (table.get("Parameters") or {}).items() if k != "EXTERNAL"}),
    ]


def _defined(described: list[dict[str, str]]) -> list[str]:
    found = []
    for column in described:
        comment = f" COMMENT '{column['Comment']}'" if column.get("Comment") else ""
        found.append(f"  `{column['Name']}` {column['Type']}{comment}")
    return [f"{line}, " for line in found[:-1]] + [f"{found[-1]})"]


def _listed(pairs: dict[str, str]) -> list[str]:
    found = [f"  '{key}'='{value}'" for key, value in pairs.items()] or [""]
    return [f"{line}, " for line in found[:-1]] + [f"{found[-1]})"]


def _describe(scanner: Scanner) -> Statement:
    if scanner.take("EXTENDED") or scanner.take("FORMATTED"):
        raise MalformedQuery("DESCRIBE EXTENDED and FORMATTED are not carried out offline")
    name = scanner.table("")
    scanner.end()

    def run(context: Context) -> Outcome:
        table = context.existing(name)
        keys = table.get("PartitionKeys") or []
        rows = [_row(column) for column in [*table["StorageDescriptor"]["Columns"], *keys]]
        if keys:
            head = f"# {'col_name':<20}\t{'data_type':<20}\t{'comment':<20}"
            rows += ["\t \t ", "# Partition Information\t \t ", head, "\t \t "]
            rows += [_row(key) for key in keys]
        return lines(["col_name", "data_type", "comment"], rows)

    return _utility("DESCRIBE_TABLE", run)


def _row(column: dict[str, str]) -> str:
    parts = (column["Name"], column.get("Type") or "", column.get("Comment") or "")
    return "\t".join(f"{part:<20}" for part in parts)


READERS: dict[str, Callable[[Scanner], Statement]] = {
    "CREATE DATABASE": _create_database,
    "CREATE SCHEMA": _create_database,
    "CREATE EXTERNAL TABLE": _create_external_table,
    "CREATE TABLE": _create_table,
    "CREATE OR REPLACE VIEW": lambda scanner: _create_view(scanner, replace=True),
    "CREATE VIEW": _create_view,
    "ALTER TABLE": _alter_table,
    "MSCK REPAIR TABLE": _repair,
    "DROP TABLE": _drop_table,
    "DROP VIEW": _drop_view,
    "DROP DATABASE": _drop_database,
    "DROP SCHEMA": _drop_database,
    "SHOW DATABASES": _show_databases,
    "SHOW SCHEMAS": _show_databases,
    "SHOW TABLES": _show_tables,
    "SHOW VIEWS": lambda scanner: _show_tables(scanner, views=True),
    "SHOW PARTITIONS": _show_partitions,
    "SHOW COLUMNS": _show_columns,
    "SHOW TBLPROPERTIES": _show_properties,
    "SHOW CREATE VIEW": _show_create_view,
    "SHOW CREATE TABLE": _show_create_table,
    "DESCRIBE": _describe,
    "DESC": _describe,
}
