"""Models: what to serve, in which image. CreateModel looks whether the artifact is there."""

from __future__ import annotations

from typing import Any

from ... import account, storage
from ...gateway import AWSError, Call, handles
from ...storage import S3Location
from .common import TAGS, arn, page, require_role, set_tags, without_empty

# (region, name) -> the description.
MODELS = account.table()


@handles("sagemaker", "CreateModel")
def create(call: Call) -> dict[str, Any]:
    """Keep the model. Refuses a name that is taken and an artifact that is not in S3."""
    params = call.params
    name = params["ModelName"]
    resource = arn(call, "model", name)
    if (call.region, name) in MODELS:
        raise AWSError("ValidationException", f'Cannot create already existing model "{resource}".')
    if bool(params.get("PrimaryContainer")) == bool(params.get("Containers")):
        raise AWSError(
            "ValidationException",
            "You must specify either a PrimaryContainer or a list of Containers, and not both.",
        )
    if params.get("ExecutionRoleArn"):
        require_role(params["ExecutionRoleArn"])
    for container in params.get("Containers") or [params["PrimaryContainer"]]:
        _check_container(container, name)
    set_tags(resource, params.get("Tags"))
    described = {key: value for key, value in params.items() if key != "Tags"}
    MODELS[call.region, name] = without_empty(described) | {
        "ModelArn": resource,
        "CreationTime": account.now(),
        "EnableNetworkIsolation": params.get("EnableNetworkIsolation", False),
    }
    return {"ModelArn": resource}


@handles("sagemaker", "DescribeModel")
def describe(call: Call) -> dict[str, Any]:
    """The model as it was created."""
    return get(call, call.params["ModelName"])


@handles("sagemaker", "ListModels")
def list_(call: Call) -> dict[str, Any]:
    """The models, newest first."""
    members = ("ModelName", "ModelArn", "CreationTime")
    models = [
        {member: model[member] for member in members}
        for (region, _), model in list(MODELS.items())
        if region == call.region
    ]
    return page(call, "Models", models, name="ModelName")


@handles("sagemaker", "DeleteModel")
def delete(call: Call) -> dict[str, Any]:
    """Forget the model; the artifact and what serves it stay, as on AWS."""
    model = get(call, call.params["ModelName"])
    del MODELS[call.region, model["ModelName"]]
    TAGS.pop(model["ModelArn"], None)
    return {}


def get(call: Call, name: str) -> dict[str, Any]:
    """The description of a model. Raises ValidationException if there is none."""
    model = MODELS.get((call.region, name))
    if model is None:
        resource = arn(call, "model", name)
        raise AWSError("ValidationException", f'Could not find model "{resource}".')
    return model


def artifact_uri(container: dict[str, Any]) -> str | None:
    """Where the artifact of a container lies; None if it has none."""
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return container.get("ModelDataUrl") or source.get("S3Uri")


def _check_container(container: dict[str, Any], model: str) -> None:
    if not container.get("Image") and not container.get("ModelPackageName"):
        raise AWSError("ValidationException", "A container needs an Image or a ModelPackageName.")
    uri = artifact_uri(container)
    if uri is None or container.get("Mode") == "MultiModel":
        return
    if not _is_there(S3Location.parse(uri), model):
        raise AWSError("ValidationException", f"Could not find model data at {uri}.")


def _is_there(location: S3Location, caller: str) -> bool:
    """Whether there is the object of a key, or any object under a prefix that ends with a slash."""
    try:
        if location.key.endswith("/"):
            return bool(storage.list_objects(location, caller))
        storage.head(location, caller)
    except AWSError:
        return False
    return True
