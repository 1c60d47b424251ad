"""Records of feature groups: put, read, changed and deleted.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Feature_Store_Runtime.html
"""

from __future__ import annotations

import base64
import json
from typing import Any

from ..errors import AWSError
from ..gateway import Call, handles
from .sagemaker.feature_store import FeatureGroup, expires_at, find, not_found
from .sagemaker.feature_values import (
    Record,
    Value,
    duration,
    invalid,
    read_moment,
    read_record,
    read_values,
    typed,
)
from .sagemaker.online_store import Entry, expiry

_MOST_UPDATED = 100
_USUAL_PAGE = 100
_PARTIAL = ("Standard_V2", "InMemory")


@handles("sagemaker-featurestore-runtime", "PutRecord")
def put(call: Call) -> dict[str, Any]:
    """Put a record: online if it is the latest, offline in any case."""
    _put(call, call.params, call.params.get("TtlDuration"))
    return {}


@handles("sagemaker-featurestore-runtime", "BatchWriteRecord")
def batch_write(call: Call) -> dict[str, Any]:
    """Put up to 25 records; each that is refused comes back with its reason."""
    errors = []
    for entry in call.params["Entries"]:
        try:
            _put(call, entry, entry.get("TtlDuration") or call.params.get("TtlDuration"))
        except AWSError as error:
            refused = {"ErrorCode": error.code, "ErrorMessage": error.message[:2048]}
            errors.append({"Entry": entry} | refused)
    return {"Errors": errors, "UnprocessedEntries": []}


@handles("sagemaker-featurestore-runtime", "GetRecord")
def get(call: Call) -> dict[str, Any]:
    """The latest record of an identifier; an empty answer if there is none."""
    params = call.params
    group = _online(_group(call, params["FeatureGroupName"], "ResourceNotFound"))
    names = _wanted(group, params.get("FeatureNames"))
    entry = group.get(params["RecordIdentifierValueAsString"])
    if entry is None:
        return {}
    shown = expires_at(entry) if params.get("ExpirationTimeResponse") == "Enabled" else {}
    return {"Record": _as_record(entry.values, names)} | shown


@handles("sagemaker-featurestore-runtime", "BatchGetRecord")
def batch_get(call: Call) -> dict[str, Any]:
    """Records of several groups; identifiers without a record are left out."""
    records: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for asked in call.params["Identifiers"]:
        for identifier in asked["RecordIdentifiersValueAsString"]:
            which = {
                "FeatureGroupName": asked["FeatureGroupName"],
                "RecordIdentifierValueAsString": identifier,
            }
            try:
                found = get(_with(call, asked | which, call.params.get("ExpirationTimeResponse")))
            except AWSError as error:
                errors.append(which | {"ErrorCode": error.code, "ErrorMessage": error.message})
                continue
            if found:
                records.append(which | found)
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}


@handles("sagemaker-featurestore-runtime", "DeleteRecord")
def delete(call: Call) -> dict[str, Any]:
    """Delete a record. A soft delete leaves a mark online, and both leave one offline."""
    params = call.params
    group = _group(call, params["FeatureGroupName"], "ValidationError")
    identifier, text = params["RecordIdentifierValueAsString"], params["EventTime"]
    _check_identifier(group, identifier)
    hard = params.get("DeletionMode") == "HardDelete"
    moment = read_moment(text, group.description)
    group.delete_record(identifier, moment, text, _stores(group, params), hard=hard)
    return {}


@handles("sagemaker-featurestore-runtime", "UpdateRecord")
def update(call: Call) -> dict[str, Any]:
    """Change some features of the record that is there.

    Raises:
        AWSError: ResourceNotFound if there is no record, ConflictException if the record is newer.
    """
    params = call.params
    group = _online(_group(call, params["FeatureGroupName"], "ResourceNotFound"))
    kind = group.description["OnlineStoreConfig"].get("StorageType", "Standard")
    if kind not in _PARTIAL:
        raise invalid(f"UpdateRecord needs the StorageType {' or '.join(_PARTIAL)}, not {kind}.")
    if len(params["Features"]) > _MOST_UPDATED:
        raise invalid(f"At most {_MOST_UPDATED} features can be updated at a time.")
    changes = read_values(group.description, params["Features"])
    stores = _stores(group, params)
    with group.lock:
        record, entry = _updated(group, params, changes)
        group.update(record, stores, entry)
    return {}


@handles("sagemaker-featurestore-runtime", "ListRecords")
def list_(call: Call) -> dict[str, Any]:
    """The record identifiers in the online store, page by page."""
    params = call.params
    group = _online(_group(call, params["FeatureGroupName"], "ResourceNotFound"))
    found = group.identifiers(with_deleted=params.get("IncludeSoftDeletedRecords", False))
    last = _read_token(params.get("NextToken"))
    left = [identifier for identifier in found if last is None or identifier > last]
    size = params.get("MaxResults", _USUAL_PAGE)
    answer: dict[str, Any] = {"RecordIdentifiers": left[:size]}
    if len(left) > size:
        token = json.dumps(left[size - 1]).encode()
        answer["NextToken"] = base64.b64encode(token).decode()
    return answer


# ── parts of a request ───────────────────────────────────────────────────────────────────────────


def _group(call: Call, name: str, code: str) -> FeatureGroup:
    group = find(call, name)
    if group is None:
        raise AWSError(code, not_found(name), 404 if code == "ResourceNotFound" else 400)
    if group.status != "Created":
        raise invalid(f"The FeatureGroup {group.group} is {group.status}; it must be Created.")
    return group


def _online(group: FeatureGroup) -> FeatureGroup:
    if not group.online:
        raise invalid(f"The FeatureGroup {group.group} has no OnlineStore to read from.")
    return group


def _with(call: Call, params: dict[str, Any], expiration: str | None) -> Call:
    """A call like this one, with the parameters of one of the records it asks for."""
    params = params | ({"ExpirationTimeResponse": expiration} if expiration else {})
    return Call(**(vars(call) | {"params": params}))


def _put(call: Call, given: dict[str, Any], ttl: dict[str, Any] | None) -> None:
    group = _group(call, given["FeatureGroupName"], "ValidationError")
    record = read_record(group.description, given["Record"])
    stores = _stores(group, given)
    if ttl and "OnlineStore" not in stores:
        raise invalid("A TtlDuration is about the OnlineStore, which the record does not go to.")
    group.put(record, stores, duration(ttl))


def _stores(group: FeatureGroup, params: dict[str, Any]) -> set[str]:
    """The stores that a request is about: those it names, or all that the group has."""
    present = {"OnlineStore": bool(group.online), "OfflineStore": bool(group.offline)}
    wanted = params.get("TargetStores") or [store for store, is_on in present.items() if is_on]
    for store in wanted:
        if not present[store]:
            raise invalid(f"The FeatureGroup {group.group} has no {store}.")
    return set(wanted)


def _wanted(group: FeatureGroup, names: list[str] | None) -> list[str]:
    known = [feature["FeatureName"] for feature in group.description["FeatureDefinitions"]]
    for name in names or []:
        if name not in known:
            raise invalid(f"'{name}' is no feature of {group.group}.")
    return names or known


def _as_record(values: dict[str, Value], names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "FeatureName": name,
            "ValueAsStringList" if isinstance(values[name], list) else "ValueAsString": values[
                name
            ],
        }
        for name in names
        if name in values
    ]


def _check_identifier(group: FeatureGroup, identifier: str) -> None:
    name = group.description["RecordIdentifierFeatureName"]
    definitions = group.description["FeatureDefinitions"]
    typed(next(each for each in definitions if each["FeatureName"] == name), identifier)


def _updated(
    group: FeatureGroup, params: dict[str, Any], changes: dict[str, Value]
) -> tuple[Record, Entry]:
    """The record with its changes, and what the online store keeps of it."""
    identifier = params["RecordIdentifierValueAsString"]
    key = group.description["RecordIdentifierFeatureName"]
    time_name = group.description["EventTimeFeatureName"]
    if changes.get(key, identifier) != identifier:
        raise invalid(f"The feature '{key}' identifies the record and cannot be changed.")
    found = group.get(identifier)
    if found is None:
        message = f"Resource Not Found: There is no record {identifier} in {group.group}"
        raise AWSError("ResourceNotFound", message, 404)
    ttl = duration(params.get("TtlDuration"))
    if ttl and time_name not in changes:
        raise invalid(f"A TtlDuration needs a value of the event time feature '{time_name}'.")
    event_time, until = found.event_time, found.expires_at
    if time_name in changes:
        event_time = read_moment(str(changes[time_name]), group.description)
        if event_time < found.event_time:
            message = f"The record {identifier} in {group.group} has a later EventTime."
            raise AWSError("ConflictException", message, 409)
        ttl = ttl or (until - found.event_time if until else None)
        until = expiry(event_time, ttl)
    values = found.values | changes
    return Record(identifier, event_time, values), Entry(event_time, values, until)


def _read_token(token: str | None) -> str | None:
    if token is None:
        return None
    try:
        return str(json.loads(base64.b64decode(token)))
    except ValueError:
        raise invalid(f"The NextToken '{token}' is not one that was given out.") from None
