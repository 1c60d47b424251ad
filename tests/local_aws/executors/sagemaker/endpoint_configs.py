"""Endpoint configurations: which models an endpoint serves, on what, and to whose share."""

from __future__ import annotations

from typing import Any

from ... import account
from ...gateway import AWSError, Call, handles
from . import models
from .common import TAGS, arn, page, set_tags, without_empty

# (region, name) -> the description.
CONFIGS = account.table()


@handles("sagemaker", "CreateEndpointConfig")
def create(call: Call) -> dict[str, Any]:
    """Keep the configuration. Refuses a name that is taken and models that are not there."""
    params = call.params
    name = params["EndpointConfigName"]
    resource = arn(call, "endpoint-config", name)
    if (call.region, name) in CONFIGS:
        raise AWSError(
            "ValidationException",
            f'Cannot create already existing endpoint configuration "{resource}".',
        )
    variants = [_checked(call, variant) for variant in params["ProductionVariants"]]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise AWSError("ValidationException", f"The variant names {names} are not unique.")
    set_tags(resource, params.get("Tags"))
    described = {key: value for key, value in params.items() if key != "Tags"}
    CONFIGS[call.region, name] = without_empty(described) | {
        "ProductionVariants": variants,
        "EndpointConfigArn": resource,
        "CreationTime": account.now(),
        "EnableNetworkIsolation": params.get("EnableNetworkIsolation", False),
    }
    return {"EndpointConfigArn": resource}


@handles("sagemaker", "DescribeEndpointConfig")
def describe(call: Call) -> dict[str, Any]:
    """The configuration as it was created."""
    return get(call, call.params["EndpointConfigName"])


@handles("sagemaker", "ListEndpointConfigs")
def list_(call: Call) -> dict[str, Any]:
    """The configurations, newest first."""
    members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    configs = [
        {member: config[member] for member in members}
        for (region, _), config in list(CONFIGS.items())
        if region == call.region
    ]
    return page(call, "EndpointConfigs", configs, name="EndpointConfigName")


@handles("sagemaker", "DeleteEndpointConfig")
def delete(call: Call) -> dict[str, Any]:
    """Forget the configuration; endpoints made from it go on, as on AWS."""
    config = get(call, call.params["EndpointConfigName"])
    del CONFIGS[call.region, config["EndpointConfigName"]]
    TAGS.pop(config["EndpointConfigArn"], None)
    return {}


def get(call: Call, name: str) -> dict[str, Any]:
    """The description of a configuration. Raises ValidationException if there is none."""
    config = CONFIGS.get((call.region, name))
    if config is None:
        resource = arn(call, "endpoint-config", name)
        raise AWSError(
            "ValidationException", f'Could not find endpoint configuration "{resource}".'
        )
    return config


def _checked(call: Call, variant: dict[str, Any]) -> dict[str, Any]:
    """The variant with the values that SageMaker fills in."""
    if "ModelName" in variant:
        models.get(call, variant["ModelName"])
    name = variant["VariantName"]
    if not variant.get("ServerlessConfig") and not variant.get("InstanceType"):
        raise AWSError(
            "ValidationException",
            f"The variant {name} needs an InstanceType or a ServerlessConfig.",
        )
    if variant.get("InstanceType") and not variant.get("InitialInstanceCount"):
        raise AWSError("ValidationException", f"The variant {name} needs an InitialInstanceCount.")
    return {"InitialVariantWeight": 1.0} | without_empty(variant)
