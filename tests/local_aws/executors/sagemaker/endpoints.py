"""Endpoints: a model server for each variant, from Creating to the last request."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Iterable
from typing import Any

from ... import account
from ...gateway import AWSError, Call, handles
from ...jobs import Job
from ...logs import LogStream
from . import endpoint_configs, models
from .common import TAGS, arn, only_here, page, set_tags, without_empty
from .model_server import ModelServer

LOG_GROUP = "/aws/sagemaker/Endpoints"
_LONGEST_REASON = 1024

# (region, name) -> Endpoint
ENDPOINTS = account.table()


@handles("sagemaker", "CreateEndpoint")
def create(call: Call) -> dict[str, Any]:
    """Start to deploy; the endpoint is Creating until all its model servers answer."""
    name = call.params["EndpointName"]
    resource = arn(call, "endpoint", name)
    if (call.region, name) in ENDPOINTS:
        raise AWSError(
            "ValidationException", f'Cannot create already existing endpoint "{resource}".'
        )
    config = endpoint_configs.get(call, call.params["EndpointConfigName"])
    variants = _variants(call, config)
    endpoint = Endpoint(call, resource)
    set_tags(resource, call.params.get("Tags"))
    ENDPOINTS[call.region, name] = endpoint
    endpoint.deploy(config, variants)
    return {"EndpointArn": resource}


@handles("sagemaker", "DescribeEndpoint")
def describe(call: Call) -> dict[str, Any]:
    """The endpoint as it stands."""
    return _get(call).describe()


@handles("sagemaker", "ListEndpoints")
def list_(call: Call) -> dict[str, Any]:
    """The endpoints, newest first."""
    members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    summaries = []
    for (region, _), endpoint in list(ENDPOINTS.items()):
        if region == call.region:
            described = endpoint.describe()
            summaries.append({member: described[member] for member in members})
    return page(call, "Endpoints", summaries, name="EndpointName", status="EndpointStatus")


@handles("sagemaker", "UpdateEndpoint")
def update(call: Call) -> dict[str, Any]:
    """Deploy another configuration; the servers of the present one answer until it is ready."""
    endpoint = _get(call)
    config = endpoint_configs.get(call, call.params["EndpointConfigName"])
    endpoint.require("InService", "Failed")
    endpoint.deploy(config, _variants(call, config))
    return {"EndpointArn": endpoint.arn}


@handles("sagemaker", "UpdateEndpointWeightsAndCapacities")
def update_weights(call: Call) -> dict[str, Any]:
    """Change the shares of the variants, and the numbers of instances that are reported."""
    endpoint = _get(call)
    endpoint.require("InService")
    endpoint.reweigh(call.params["DesiredWeightsAndCapacities"])
    return {"EndpointArn": endpoint.arn}


@handles("sagemaker", "DeleteEndpoint")
def delete(call: Call) -> dict[str, Any]:
    """End the model servers and forget the endpoint; nothing of it is left when this answers."""
    endpoint = _get(call)
    endpoint.close()
    ENDPOINTS.pop((call.region, endpoint.name), None)
    TAGS.pop(endpoint.arn, None)
    return {}


def find(region: str, name: str) -> Endpoint | None:
    """The endpoint of a name; None if there is none."""
    return ENDPOINTS.get((region, name))


@account.on_reset
def close_all() -> None:
    """End all model servers."""
    for endpoint in list(ENDPOINTS.values()):
        endpoint.close()


def _get(call: Call) -> Endpoint:
    endpoint = find(call.region, call.params["EndpointName"])
    if endpoint is None:
        resource = arn(call, "endpoint", call.params["EndpointName"])
        raise AWSError("ValidationException", f'Could not find endpoint "{resource}".')
    return endpoint


def _variants(call: Call, config: dict[str, Any]) -> list[Variant]:
    """The variants of a configuration. Refuses what cannot be served here."""
    variants = []
    for settings in config["ProductionVariants"]:
        if "ModelName" not in settings:
            raise only_here("inference components (a variant without ModelName)")
        model = models.get(call, settings["ModelName"])
        if model.get("Containers") and len(model["Containers"]) > 1:
            raise only_here("inference pipelines (a model with several containers)")
        container = model.get("PrimaryContainer") or model["Containers"][0]
        if container.get("Mode") == "MultiModel":
            raise only_here("multi-model endpoints")
        if "ModelPackageName" in container:
            container = _of_package(call, container)
        variants.append(Variant(settings, container))
    return variants


def _of_package(call: Call, container: dict[str, Any]) -> dict[str, Any]:
    """The container of a registered model, with what the model adds to its environment."""
    from moto.sagemaker.models import sagemaker_backends

    name = container["ModelPackageName"]
    package = sagemaker_backends[call.account][call.region].describe_model_package(name)
    registered = package.inference_specification["Containers"][0]
    variables = registered.get("Environment", {}) | container.get("Environment", {})
    return registered | {"Environment": variables}


class Variant:
    """One production variant: its settings, its share of the requests, its model server."""

    def __init__(self, settings: dict[str, Any], container: dict[str, Any]) -> None:
        self.settings, self.container = settings, container
        self.name: str = settings["VariantName"]
        self.weight = float(settings["InitialVariantWeight"])
        self.instances = settings.get("InitialInstanceCount")
        self.server: ModelServer | None = None

    def describe(self) -> dict[str, Any]:
        """The variant as DescribeEndpoint has it."""
        image = self.container.get("Image", "")
        described = {
            "VariantName": self.name,
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": self.instances,
            "DesiredInstanceCount": self.instances,
            "CurrentServerlessConfig": self.settings.get("ServerlessConfig"),
            "DesiredServerlessConfig": self.settings.get("ServerlessConfig"),
            "DeployedImages": [{"SpecifiedImage": image, "ResolvedImage": image}],
        }
        return without_empty(described)


class Endpoint:
    """One endpoint, and whatever serves it."""

    def __init__(self, call: Call, resource: str) -> None:
        self.name, self.region, self.arn = call.params["EndpointName"], call.region, resource
        self._lock = threading.Lock()
        self._dice = random.Random(self.name)
        self._job: Job | None = None
        self._is_closed = False
        self._variants: list[Variant] = []
        now = account.now()
        self._state: dict[str, Any] = {
            "EndpointName": self.name,
            "EndpointArn": resource,
            "EndpointConfigName": call.params["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        self._config: dict[str, Any] = {}

    @property
    def status(self) -> str:
        """The endpoint's status in SageMaker's words."""
        return self._state["EndpointStatus"]

    @property
    def capture(self) -> dict[str, Any] | None:
        """The settings of data capture; None if it is off."""
        settings = self._config.get("DataCaptureConfig", {})
        return settings if settings.get("EnableCapture") else None

    def require(self, *statuses: str) -> None:
        """Raise ValidationException unless the endpoint has one of these statuses."""
        if self.status not in statuses:
            message = f'Cannot update in-progress endpoint "{self.arn}".'
            raise AWSError("ValidationException", message)

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpoint says."""
        with self._lock:
            described = copy.deepcopy(self._state)
            if self._variants:
                described["ProductionVariants"] = [each.describe() for each in self._variants]
            for member in ("DataCaptureConfig", "AsyncInferenceConfig"):
                if member in self._config:
                    described[member] = copy.deepcopy(self._config[member])
        if described.get("DataCaptureConfig"):
            described["DataCaptureConfig"] = _capture_summary(described["DataCaptureConfig"])
        return without_empty(described)

    def deploy(self, config: dict[str, Any], variants: list[Variant]) -> None:
        """Start the model servers of a configuration, then let them take over."""
        with self._lock:
            is_new = not self._variants
            self._state["EndpointStatus"] = "Creating" if is_new else "Updating"
            self._state["LastModifiedTime"] = account.now()
            self._state.pop("FailureReason", None)
            if is_new:
                self._config = config
        # The SDK looks for the log as soon as the endpoint exists.
        logs = {
            variant.name: LogStream(
                self.region,
                f"{LOG_GROUP}/{self.name}",
                f"{variant.name}/i-{account.new_id().replace('-', '')[:17]}",
                self.name,
            )
            for variant in variants
        }
        for log in logs.values():
            log.open()
        self._job = Job(self.name, self.region, status="Creating", failed="Failed")
        self._job.start(lambda job: self._deploy(job, config, variants, logs))

    def reweigh(self, wanted: Iterable[dict[str, Any]]) -> None:
        """Change weights and numbers of instances. Raises ValidationException for an unknown."""
        with self._lock:
            named = {variant.name: variant for variant in self._variants}
            changes = [(named.get(each["VariantName"]), each) for each in wanted]
            for variant, change in changes:
                if variant is None:
                    raise AWSError(
                        "ValidationException",
                        f'The variant name(s) "{change["VariantName"]}" is/are not present '
                        "within endpoint configuration "
                        f'"{self._state["EndpointConfigName"]}".',
                    )
            for variant, change in changes:
                assert variant is not None
                variant.weight = float(change.get("DesiredWeight", variant.weight))
                variant.instances = change.get("DesiredInstanceCount", variant.instances)
            self._state["LastModifiedTime"] = account.now()

    def choose(self, target: str | None) -> Variant:
        """The variant that answers the next request: the one asked for, or one by weight.

        Raises:
            AWSError: ValidationError if there is no such variant.
        """
        with self._lock:
            variants = self._variants
            if target is not None:
                for variant in variants:
                    if variant.name == target:
                        return variant
                raise AWSError(
                    "ValidationError",
                    f"Variant {target} not found for endpoint {self.name} of account "
                    f"{account.ACCOUNT_ID}.",
                )
            if len(variants) == 1:
                return variants[0]
            weights = [variant.weight for variant in variants]
            return self._dice.choices(variants, weights if any(weights) else None)[0]

    def close(self) -> None:
        """End the model servers, also those that are starting."""
        with self._lock:
            self._is_closed = True
            self._state["EndpointStatus"] = "Deleting"
            variants, self._variants = self._variants, []
        if self._job:
            self._job.stop()
            self._job.join(10)
        _stop(variants)

    def _deploy(
        self,
        job: Job,
        config: dict[str, Any],
        variants: list[Variant],
        logs: dict[str, LogStream],
    ) -> None:
        try:
            reason = self._start(job, variants, logs)
        except AWSError as error:
            reason = error.message
        except Exception as error:
            _stop(variants)
            self._settle(None, None, f"InternalServerError: {type(error).__name__}: {error}")
            raise
        if reason is not None:
            _stop(variants)
            self._settle(None, None, reason)
            return
        with self._lock:
            replaced = self._variants
        self._settle(config, variants, None)
        _stop(replaced)

    def _start(self, job: Job, variants: list[Variant], logs: dict[str, LogStream]) -> str | None:
        """Start the servers. Returns why one does not answer; None if all do."""
        for variant in variants:
            log = logs[variant.name]
            variant.server = ModelServer(variant.container, self.region, self.name, log.write)
            if not variant.server.start(job.stop_requested):
                return (
                    f"The primary container for production variant {variant.name} did not pass "
                    "the ping health check. Please check CloudWatch logs for this endpoint."
                )
        return None

    def _settle(
        self,
        config: dict[str, Any] | None,
        variants: list[Variant] | None,
        reason: str | None,
    ) -> None:
        """End a deployment: with the new variants, or with the old ones and the reason."""
        with self._lock:
            if self._is_closed:
                unused = variants or []
            else:
                unused = []
                if config is not None and variants is not None:
                    self._config, self._variants = config, variants
                    self._state["EndpointConfigName"] = config["EndpointConfigName"]
                if reason is not None:
                    self._state["FailureReason"] = reason[:_LONGEST_REASON]
                # An update that fails leaves the endpoint as it was, in service.
                self._state["EndpointStatus"] = "InService" if self._variants else "Failed"
                self._state["LastModifiedTime"] = account.now()
        _stop(unused)


def _stop(variants: list[Variant]) -> None:
    for variant in variants:
        if variant.server:
            variant.server.stop()
            variant.server = None


def _capture_summary(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "EnableCapture": settings.get("EnableCapture", False),
        "CaptureStatus": "Started" if settings.get("EnableCapture") else "Stopped",
        "CurrentSamplingPercentage": settings["InitialSamplingPercentage"],
        "DestinationS3Uri": settings["DestinationS3Uri"],
        "KmsKeyId": settings.get("KmsKeyId"),
    }
