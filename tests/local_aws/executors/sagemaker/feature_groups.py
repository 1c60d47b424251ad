"""Feature groups: what is kept of a thing, under which names, in which stores.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateFeatureGroup.html
"""

from __future__ import annotations

from typing import Any

from ... import account
from ...gateway import AWSError, Call, handles
from .common import TAGS, arn, page, require_role, set_tags, without_empty
from .feature_store import GROUPS, FeatureGroup, find, not_found
from .feature_values import RESERVED
from .offline_store import complete

_MOST_FEATURES = 2500
_MOST_PARAMETERS = 25
_KEPT = (
    "FeatureGroupName",
    "RecordIdentifierFeatureName",
    "EventTimeFeatureName",
    "FeatureDefinitions",
    "OnlineStoreConfig",
    "ThroughputConfig",
    "RoleArn",
    "Description",
)


@handles("sagemaker", "CreateFeatureGroup")
def create(call: Call) -> dict[str, Any]:
    """Start to make the feature group: it is Creating until its stores are there."""
    params = call.params
    name = params["FeatureGroupName"]
    if find(call, name):
        raise AWSError(
            "ResourceInUse",
            f"Resource Already Exists: FeatureGroup with name {name} already exists. "
            "Choose a different name.",
        )
    _check_features(params["FeatureDefinitions"], params.get("OnlineStoreConfig") or {})
    _check_roles_of_features(params)
    _check_stores(params)
    created = account.now()
    kept = {key: params[key] for key in _KEPT if key in params}
    description = without_empty(kept) | {
        "FeatureGroupArn": arn(call, "feature-group", name),
        "CreationTime": created,
        "LastModifiedTime": created,
    }
    if params.get("OfflineStoreConfig"):
        description["OfflineStoreConfig"] = complete(
            params["OfflineStoreConfig"], name, created, call.region
        )
    set_tags(description["FeatureGroupArn"], params.get("Tags"))
    group = GROUPS[call.region, name] = FeatureGroup(description, call.region, call.caller)
    group.start(lambda job: group.work(lambda: GROUPS.pop((call.region, name), None)))
    return {"FeatureGroupArn": description["FeatureGroupArn"]}


@handles("sagemaker", "DescribeFeatureGroup")
def describe(call: Call) -> dict[str, Any]:
    """The feature group as it stands."""
    return without_empty(_get(call).describe())


@handles("sagemaker", "ListFeatureGroups")
def list_(call: Call) -> dict[str, Any]:
    """The feature groups of the region."""
    summaries = []
    for (region, _), group in list(GROUPS.items()):
        if region == call.region:
            described = group.describe()
            status = (described.get("OfflineStoreStatus") or {}).get("Status")
            members = ("FeatureGroupName", "FeatureGroupArn", "CreationTime", "FeatureGroupStatus")
            summary = {member: described[member] for member in members}
            summaries.append(summary | {"OfflineStoreStatus": status})
    for member in ("FeatureGroupStatus", "OfflineStoreStatus"):
        wanted = call.params.get(f"{member}Equals")
        summaries = [each for each in summaries if wanted in (None, each[member])]
    answer = page(call, "FeatureGroupSummaries", summaries, name="FeatureGroupName")
    for summary in answer["FeatureGroupSummaries"]:
        if "OfflineStoreStatus" in summary:
            summary["OfflineStoreStatus"] = {"Status": summary["OfflineStoreStatus"]}
    return answer


@handles("sagemaker", "UpdateFeatureGroup")
def update(call: Call) -> dict[str, Any]:
    """Add features, or change how long records stay online: one of them at a time."""
    params = call.params
    group = _get(call)
    given = [
        member
        for member in ("FeatureAdditions", "OnlineStoreConfig", "ThroughputConfig")
        if params.get(member)
    ]
    if len(given) != 1:
        raise _invalid(
            "Give one of FeatureAdditions, OnlineStoreConfig and ThroughputConfig at a time, not "
            f"{' and '.join(given) or 'none'}."
        )
    if group.status != "Created":
        raise _invalid(f"The FeatureGroup {group.group} is {group.status}; wait until Created.")
    with group.lock:
        if given == ["FeatureAdditions"]:
            _add_features(group, params["FeatureAdditions"])
        elif given == ["OnlineStoreConfig"]:
            _change_online_store(group, params["OnlineStoreConfig"])
        else:
            group.description["ThroughputConfig"] = params["ThroughputConfig"]
        group.description["LastModifiedTime"] = account.now()
        group.description["LastUpdateStatus"] = {"Status": "Successful"}
    return {"FeatureGroupArn": group.description["FeatureGroupArn"]}


@handles("sagemaker", "DeleteFeatureGroup")
def delete(call: Call) -> dict[str, Any]:
    """Delete the group and its online store. The data in S3 and the Glue table stay, as on AWS."""
    group = _get(call)
    if group.status == "Deleting":
        return {}
    TAGS.pop(group.description["FeatureGroupArn"], None)
    group.delete()
    if group.failure_reason:  # its worker has ended
        GROUPS.pop((call.region, group.group), None)
    return {}


@handles("sagemaker", "DescribeFeatureMetadata")
def describe_metadata(call: Call) -> dict[str, Any]:
    """What is known of one feature."""
    group, feature = _feature(call)
    kept = group.metadata.get(feature["FeatureName"], {})
    parameters = [{"Key": k, "Value": v} for k, v in kept.get("Parameters", {}).items()]
    created = group.description["CreationTime"]
    return without_empty(
        {
            "FeatureGroupArn": group.description["FeatureGroupArn"],
            "FeatureGroupName": group.group,
            "FeatureName": feature["FeatureName"],
            "FeatureType": feature["FeatureType"],
            "CreationTime": created,
            "LastModifiedTime": kept.get("LastModifiedTime", created),
            "Description": kept.get("Description"),
            "Parameters": parameters,
        }
    )


@handles("sagemaker", "UpdateFeatureMetadata")
def update_metadata(call: Call) -> dict[str, Any]:
    """Describe a feature; parameters are added, changed and removed by their keys."""
    group, feature = _feature(call)
    kept = group.metadata.setdefault(feature["FeatureName"], {})
    parameters = dict(kept.get("Parameters", {}))
    for each in call.params.get("ParameterAdditions") or []:
        parameters[each["Key"]] = each["Value"]
    for key in call.params.get("ParameterRemovals") or []:
        parameters.pop(key, None)
    if len(parameters) > _MOST_PARAMETERS:
        raise _invalid(f"A feature has at most {_MOST_PARAMETERS} parameters.")
    if "Description" in call.params:
        kept["Description"] = call.params["Description"]
    kept |= {"Parameters": parameters, "LastModifiedTime": account.now()}
    return {}


def _get(call: Call) -> FeatureGroup:
    name = call.params["FeatureGroupName"]
    group = find(call, name)
    if group is None:
        raise AWSError("ResourceNotFound", not_found(name))
    return group


def _feature(call: Call) -> tuple[FeatureGroup, dict[str, Any]]:
    group, name = _get(call), call.params["FeatureName"]
    for feature in group.description["FeatureDefinitions"]:
        if feature["FeatureName"] == name:
            return group, feature
    message = f"Resource Not Found: The FeatureGroup {group.group} has no feature {name}"
    raise AWSError("ResourceNotFound", message)


def _invalid(message: str) -> AWSError:
    return AWSError("ValidationException", f"Validation Error: {message}")


def _check_features(features: list[dict[str, Any]], online: dict[str, Any]) -> None:
    names = [feature["FeatureName"].lower() for feature in features]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise _invalid(f"The feature '{name}' is defined more than once.")
    for name in RESERVED:
        if name in names:
            raise _invalid(f"'{name}' is a reserved name; call the feature something else.")
    for feature in features:
        _check_collection(feature, online)


def _check_collection(feature: dict[str, Any], online: dict[str, Any]) -> None:
    name, kind = feature["FeatureName"], feature.get("CollectionType")
    if kind is None:
        return
    if online.get("StorageType") != "InMemory":
        raise _invalid(f"'{name}' is a {kind}: collections need the StorageType InMemory.")
    config = (feature.get("CollectionConfig") or {}).get("VectorConfig")
    if (kind == "Vector") != bool(config):
        raise _invalid(f"'{name}': VectorConfig belongs to a Vector, and only to it.")
    if kind == "Vector" and feature["FeatureType"] != "Fractional":
        raise _invalid(f"The elements of the Vector '{name}' must be Fractional.")


def _check_roles_of_features(params: dict[str, Any]) -> None:
    """Identifier and event time must be among the features, and of a type that can be one."""
    allowed = {
        "RecordIdentifierFeatureName": ("String", "Integral"),
        "EventTimeFeatureName": ("String", "Fractional"),
    }
    features = {feature["FeatureName"]: feature for feature in params["FeatureDefinitions"]}
    for member, kinds in allowed.items():
        name = params[member]
        if name not in features:
            raise _invalid(f"{member} '{name}' is not among the FeatureDefinitions.")
        if features[name]["FeatureType"] not in kinds or features[name].get("CollectionType"):
            raise _invalid(f"{member} '{name}' must be of the type {' or '.join(kinds)}.")


def _check_stores(params: dict[str, Any]) -> None:
    online, offline = params.get("OnlineStoreConfig") or {}, params.get("OfflineStoreConfig")
    if not online.get("EnableOnlineStore") and not offline:
        raise _invalid("Turn on the OnlineStore, or give an OfflineStoreConfig.")
    _check_ttl(online.get("TtlDuration"))
    if offline:
        if online.get("StorageType") == "InMemory":
            raise _invalid("An OnlineStore in memory cannot have an OfflineStore.")
        if not params.get("RoleArn"):
            raise _invalid("An OfflineStore needs a RoleArn to write with.")
    if params.get("RoleArn"):
        require_role(params["RoleArn"])


def _check_ttl(ttl: dict[str, Any] | None) -> None:
    if ttl and (ttl.get("Unit") is None) != (ttl.get("Value") is None):
        raise _invalid("A TtlDuration needs a Unit and a Value.")


def _add_features(group: FeatureGroup, additions: list[dict[str, Any]]) -> None:
    features = [*group.description["FeatureDefinitions"], *additions]
    _check_features(features, group.description.get("OnlineStoreConfig") or {})
    if len(features) > _MOST_FEATURES:
        raise _invalid(f"A feature group has at most {_MOST_FEATURES} features.")
    group.description["FeatureDefinitions"] = features
    if group.offline:
        group.offline.update_table()


def _change_online_store(group: FeatureGroup, change: dict[str, Any]) -> None:
    if not group.online:
        raise _invalid(f"The FeatureGroup {group.group} has no OnlineStore.")
    config = dict(group.description["OnlineStoreConfig"])
    if change.get("StorageType", config.get("StorageType", "Standard")) != config.get(
        "StorageType", "Standard"
    ):
        raise _invalid("The StorageType of a feature group cannot be changed.")
    if "TtlDuration" in change:
        _check_ttl(change["TtlDuration"])
        config.pop("TtlDuration", None)
        config |= without_empty({"TtlDuration": change["TtlDuration"]})
    group.description["OnlineStoreConfig"] = config
