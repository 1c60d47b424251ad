"""Workgroups, prepared statements, named queries, and the catalog as Athena's API shows it."""

from __future__ import annotations

import copy
from typing import Any

from ... import account
from ...gateway import AWSError, Call, handles
from .catalog import Catalog, Table
from .statements import Prepared

PREPARED: Prepared = account.table()
_CATALOG = "AwsDataCatalog"


def backend(region: str) -> Any:
    """moto's Athena of the region, which keeps workgroups, named queries and data catalogs."""
    from moto.athena.models import athena_backends

    return athena_backends[account.ACCOUNT_ID][region]


def work_group(region: str, name: str) -> Any:
    """moto's workgroup. Raises InvalidRequestException if there is none of that name."""
    found = backend(region).work_groups.get(name)
    if found is None:
        raise AWSError("InvalidRequestException", f"WorkGroup {name} is not found.")
    return found


def paged(call: Call, member: str, items: list[Any], limit: int) -> dict[str, Any]:
    """One page of a list; NextToken is where the next begins."""
    token = call.params.get("NextToken") or "0"
    if not token.isdigit():
        raise AWSError("InvalidRequestException", f"NextToken '{token}' is not one of ours")
    start = int(token)
    end = start + min(call.params.get("MaxResults") or limit, limit)
    page: dict[str, Any] = {member: items[start:end]}
    if end < len(items):
        page["NextToken"] = str(end)
    return page


# ── workgroups ───────────────────────────────────────────────────────────────────────────────────


@handles("athena", "GetWorkGroup", "DeleteWorkGroup")
def existing_work_group(call: Call) -> Any:
    name = call.params["WorkGroup"]
    work_group(call.region, name)
    if call.operation == "DeleteWorkGroup":
        if name == "primary":
            raise AWSError("InvalidRequestException", "Cannot delete WorkGroup primary.")
        prepared = [key for key in PREPARED if key[:2] == (call.region, name)]
        if prepared and not call.params.get("RecursiveDeleteOption"):
            raise AWSError("InvalidRequestException", f"WorkGroup {name} is not empty")
        for key in prepared:
            del PREPARED[key]
    return call.relay()


@handles("athena", "UpdateWorkGroup")
def update_work_group(call: Call) -> None:
    group = work_group(call.region, call.params["WorkGroup"])
    group.description = call.params.get("Description", group.description)
    group.state = call.params.get("State", group.state)
    updates = copy.deepcopy(call.params.get("ConfigurationUpdates") or {})
    result_updates = updates.pop("ResultConfigurationUpdates", {})
    group.configuration = _updated(group.configuration, updates)
    current = group.configuration.get("ResultConfiguration") or {}
    group.configuration["ResultConfiguration"] = _updated(current, result_updates)


def _updated(current: dict[str, Any], updates: dict[str, Any]) -> dict[str, Any]:
    """`RemoveX: true` takes X away, `XUpdates` replaces members of X, `X` replaces X."""
    changed = dict(current)
    for name, value in updates.items():
        if name.startswith("Remove"):
            if value:
                changed.pop(name.removeprefix("Remove"), None)
        elif name.endswith("Updates"):
            changed[name.removesuffix("Updates")] = value
        else:
            changed[name] = value
    return changed


# ── prepared statements ──────────────────────────────────────────────────────────────────────────


@handles("athena", "CreatePreparedStatement")
def create_prepared(call: Call) -> None:
    key = _prepared_key(call)
    if key in PREPARED:
        message = f"Prepared statement {key[2]} already exists in WorkGroup {key[1]}"
        raise AWSError("InvalidRequestException", message)
    _store_prepared(call, key)


@handles("athena", "UpdatePreparedStatement")
def update_prepared(call: Call) -> None:
    _prepared(call)
    _store_prepared(call, _prepared_key(call))


def _store_prepared(call: Call, key: tuple[str, str, str]) -> None:
    PREPARED[key] = {
        "StatementName": key[2],
        "QueryStatement": call.params["QueryStatement"],
        "WorkGroupName": key[1],
        "Description": call.params.get("Description", ""),
        "LastModifiedTime": account.now(),
    }


@handles("athena", "GetPreparedStatement")
def get_prepared(call: Call) -> dict[str, Any]:
    return {"PreparedStatement": _prepared(call)}


@handles("athena", "DeletePreparedStatement")
def delete_prepared(call: Call) -> None:
    _prepared(call)
    del PREPARED[_prepared_key(call)]


@handles("athena", "ListPreparedStatements")
def list_prepared(call: Call) -> dict[str, Any]:
    group = call.params["WorkGroup"]
    work_group(call.region, group)
    found = [
        {name: statement[name] for name in ("StatementName", "LastModifiedTime")}
        for key, statement in sorted(PREPARED.items())
        if key[:2] == (call.region, group)
    ]
    return paged(call, "PreparedStatements", found, 50)


def _prepared_key(call: Call) -> tuple[str, str, str]:
    group = call.params["WorkGroup"]
    work_group(call.region, group)
    return call.region, group, call.params["StatementName"]


def _prepared(call: Call) -> dict[str, Any]:
    key = _prepared_key(call)
    if key not in PREPARED:
        message = f"PreparedStatement {key[2]} was not found"
        raise AWSError("ResourceNotFoundException", message, ResourceName=key[2])
    return PREPARED[key]


# ── named queries ────────────────────────────────────────────────────────────────────────────────


@handles("athena", "GetNamedQuery", "DeleteNamedQuery", "UpdateNamedQuery")
def named_query(call: Call) -> Any:
    queries, name = backend(call.region).named_queries, call.params["NamedQueryId"]
    if name not in queries:
        raise AWSError("InvalidRequestException", f"NamedQuery {name} was not found")
    if call.operation == "GetNamedQuery":
        return call.relay()
    if call.operation == "DeleteNamedQuery":
        del queries[name]
        return None
    queries[name].name = call.params["Name"]
    queries[name].query_string = call.params["QueryString"]
    queries[name].description = call.params.get("Description", queries[name].description)
    return None


# ── the catalog ──────────────────────────────────────────────────────────────────────────────────


@handles("athena", "ListDataCatalogs")
def list_data_catalogs(call: Call) -> dict[str, Any]:
    own = backend(call.region).list_data_catalogs()
    found = [{"CatalogName": _CATALOG, "Type": "GLUE"}, *own]
    return paged(call, "DataCatalogsSummary", found, 50)


@handles("athena", "GetDataCatalog")
def get_data_catalog(call: Call) -> Any:
    name = call.params["Name"]
    if name.lower() == _CATALOG.lower():
        return {"DataCatalog": {"Name": _CATALOG, "Type": "GLUE", "Parameters": {}}}
    if name not in backend(call.region).data_catalogs:
        raise AWSError("InvalidRequestException", f"Data catalog '{name}' not found")
    return call.relay()


@handles("athena", "ListDatabases")
def list_databases(call: Call) -> dict[str, Any]:
    databases = [_database(found) for found in _catalog(call).databases()]
    return paged(call, "DatabaseList", databases, 50)


@handles("athena", "GetDatabase")
def get_database(call: Call) -> dict[str, Any]:
    return {"Database": _database(_home(call))}


@handles("athena", "ListTableMetadata")
def list_table_metadata(call: Call) -> dict[str, Any]:
    database = _home(call)["Name"]
    tables = _catalog(call).tables(database, call.params.get("Expression"))
    return paged(call, "TableMetadataList", [_metadata(table) for table in tables], 50)


@handles("athena", "GetTableMetadata")
def get_table_metadata(call: Call) -> dict[str, Any]:
    database, name = _home(call)["Name"], call.params["TableName"]
    table = _catalog(call).table(database, name)
    if table is None:
        raise _not_found("GetTable", f"Table {name} not found.")
    return {"TableMetadata": _metadata(table)}


def _catalog(call: Call) -> Catalog:
    name = call.params["CatalogName"]
    if name.lower() != _CATALOG.lower():
        raise AWSError("InvalidRequestException", f"Data catalog '{name}' not found")
    return Catalog(call.region, call.caller)


def _home(call: Call) -> dict[str, Any]:
    name = call.params["DatabaseName"]
    found = _catalog(call).database(name)
    if found is None:
        raise _not_found("GetDatabase", f"Database {name} not found.")
    return found


def _not_found(operation: str, message: str) -> AWSError:
    text = (
        f"An error occurred (EntityNotFoundException) when calling the {operation} operation: "
        f"{message}"
    )
    return AWSError("MetadataException", text)


def _database(found: dict[str, Any]) -> dict[str, Any]:
    names = ("Name", "Description", "Parameters")
    return {name: found[name] for name in names if found.get(name)}


def _metadata(table: Table) -> dict[str, Any]:
    described = {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "LastAccessTime": table.get("LastAccessTime") or table["CreateTime"],
        "TableType": table.get("TableType") or "",
        "Columns": (table.get("StorageDescriptor") or {}).get("Columns") or [],
        "PartitionKeys": table.get("PartitionKeys") or [],
        "Parameters": table.get("Parameters") or {},
    }
    keep = ("Name", "Type", "Comment")
    for member in ("Columns", "PartitionKeys"):
        described[member] = [{k: c[k] for k in keep if c.get(k)} for c in described[member]]
    return described
