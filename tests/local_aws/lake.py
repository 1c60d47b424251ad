"""The tables of the Data Catalog, asked by a service: one query, as Athena would answer it."""

from __future__ import annotations

from typing import Any

import duckdb

from . import account, storage
from .errors import AWSError
from .executors.athena import catalog as glue
from .executors.athena import engine, sql
from .executors.athena.errors import MalformedQuery, QueryError
from .storage import S3Location

Table = dict[str, Any]


class Lake:
    """What a caller finds in the catalog of a region. Reads are journaled as the caller's."""

    def __init__(self, region: str, caller: str) -> None:
        self._catalog = glue.Catalog(region, caller)

    def table(self, database: str, name: str) -> Table:
        """The definition of a table.

        Raises:
            AWSError: EntityNotFoundException.
        """
        found = self._catalog.table(database, name)
        if found is None:
            message = f"Table {name} not found in database {database}."
            raise AWSError("EntityNotFoundException", message)
        return found

    def columns(self, table: Table) -> dict[str, str]:
        """The columns of a table, partition keys included, with DuckDB's types."""
        return {**glue.columns_of(table), **glue.keys_of(table)}

    def last_modified(self, table: Table) -> list[Any]:
        """When each object of the table was written, in UTC."""
        location = S3Location.parse(glue.location_of(table))
        return [
            found.last_modified for found in storage.list_objects(location, self._catalog.caller)
        ]

    def ask(self, text: str, database: str) -> list[tuple[Any, ...]]:
        """The rows of a query in Athena's SQL.

        Raises:
            AWSError: with the reason, if the query is wrong or its data cannot be read.
        """
        query_id = account.new_id()
        try:
            tree = sql.parse(text)
            translation = sql.translate(tree, text, self._resolve, database)
            for number, source in enumerate(translation.sources):
                if isinstance(source.scan, dict):
                    path = f"athena://{query_id}/{number}/"
                    source.scan = engine.open_scan(source.scan, self._catalog, path)
            answer = engine.Run(query_id, self._catalog, None).execute(translation)
        except (MalformedQuery, QueryError, duckdb.Error) as error:
            raise AWSError("InvalidInputException", str(error)) from None
        return [tuple(row.values()) for row in answer.table.to_pylist()]

    def _resolve(self, database: str, name: str) -> sql.Source | sql.View | None:
        table = self._catalog.table(database, name)
        if table is None:
            return None
        if glue.is_view(table):
            return glue.view_of(table)
        return sql.Source(self.columns(table), table)
