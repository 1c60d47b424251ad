"""What a Task state can call: the integrations, and the patterns each of them has.

https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jmespath
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel
from moto.core.utils import get_service_model

REQUEST_RESPONSE, SYNC, SYNC_2, CALLBACK = "", "sync", "sync:2", "waitForTaskToken"
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+\d*|\d+")

# Optimized integrations: service -> action -> the patterns beside request-response.
_OPTIMIZED: dict[str, dict[str, tuple[str, ...]]] = {
    "athena": {
        "startQueryExecution": (SYNC,),
        "stopQueryExecution": (),
        "getQueryExecution": (),
        "getQueryResults": (),
    },
    "batch": {"submitJob": (SYNC, CALLBACK)},
    "bedrock": {"invokeModel": ()},
    "codebuild": {"startBuild": (SYNC,), "stopBuild": (), "batchDeleteBuilds": ()},
    "dynamodb": {"getItem": (), "putItem": (), "deleteItem": (), "updateItem": ()},
    "events": {"putEvents": (CALLBACK,)},
    "glue": {"startJobRun": (SYNC,)},
    "lambda": {"invoke": (CALLBACK,)},
    "sagemaker": {
        "createEndpoint": (),
        "createEndpointConfig": (),
        "createHyperParameterTuningJob": (SYNC,),
        "createLabelingJob": (SYNC,),
        "createModel": (),
        "createProcessingJob": (SYNC,),
        "createTrainingJob": (SYNC,),
        "createTransformJob": (SYNC,),
        "updateEndpoint": (),
    },
    "sns": {"publish": (CALLBACK,)},
    "sqs": {"sendMessage": (CALLBACK,)},
    "states": {"startExecution": (SYNC, SYNC_2, CALLBACK)},
}
# Integrations that AWS has and that are refused here, at once and by name.
NOT_CARRIED_OUT = (
    "apigateway",
    "databrew",
    "ecs",
    "eks",
    "elasticmapreduce",
    "emr-containers",
    "emr-serverless",
    "http",
    "mediaconvert",
)
# How botocore names a service, where it is not the name in the resource without hyphens.
_BOTOCORE = {
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "costexplorer": "ce",
    "eventbridge": "events",
    "lexmodelsv2": "lexv2-models",
    "lexruntimev2": "lexv2-runtime",
    "sfn": "stepfunctions",
    "states": "stepfunctions",
}
# How an optimized integration names the service in its errors, and an error that has no shape.
_ERRORS = {
    "athena": ("Athena", "AmazonAthenaException"),
    "batch": ("Batch", "AWSBatchException"),
    "bedrock": ("Bedrock", "AmazonBedrockException"),
    "codebuild": ("CodeBuild", "AWSCodeBuildException"),
    "dynamodb": ("DynamoDB", "AmazonDynamoDBException"),
    "events": ("EventBridge", "AmazonEventBridgeException"),
    "glue": ("Glue", "AWSGlueException"),
    "sagemaker": ("SageMaker", "AmazonSageMakerException"),
    "sns": ("SNS", "AmazonSNSException"),
    "sqs": ("SQS", "AmazonSQSException"),
    "states": ("StepFunctions", "AWSStepFunctionsException"),
}


@dataclass(frozen=True)
class Poll:
    """How `.sync` waits: which call says the state, and where; how the work is stopped.

    Attributes:
        keys: parameters of `describe` and `stop`: name to a JMESPath over `request`, `response`.
        root: JMESPath of what the state gets as its result.
        state: JMESPath of the state within the described.
    """

    describe: str
    keys: Mapping[str, str]
    state: str
    good: tuple[str, ...]
    bad: tuple[str, ...]
    root: str = "@"
    stop: str | None = None
    stop_keys: Mapping[str, str] | None = None


def _sagemaker(kind: str, stop: bool = True) -> Poll:
    name = f"{kind}Name"
    return Poll(
        f"Describe{kind}",
        {name: f"request.{name}"},
        f"{kind}Status" if kind != "LabelingJob" else "LabelingJobStatus",
        ("Completed",),
        ("Failed", "Stopped"),
        stop=f"Stop{kind}" if stop else None,
    )


POLLS: dict[tuple[str, str], Poll] = {
    ("athena", "startQueryExecution"): Poll(
        "GetQueryExecution",
        {"QueryExecutionId": "response.QueryExecutionId"},
        "QueryExecution.Status.State",
        ("SUCCEEDED",),
        ("FAILED", "CANCELLED"),
        stop="StopQueryExecution",
    ),
    ("batch", "submitJob"): Poll(
        "DescribeJobs",
        {"jobs": "[response.jobId || response.JobId]"},
        "status",
        ("SUCCEEDED",),
        ("FAILED",),
        root="jobs[0]",
    ),
    ("codebuild", "startBuild"): Poll(
        "BatchGetBuilds",
        {"ids": "[response.build.id || response.Build.Id]"},
        "Build.BuildStatus || buildStatus",
        ("SUCCEEDED",),
        ("FAILED", "FAULT", "TIMED_OUT", "STOPPED"),
        root="builds[0]",
    ),
    ("glue", "startJobRun"): Poll(
        "GetJobRun",
        {"JobName": "request.JobName", "RunId": "response.JobRunId"},
        "JobRunState",
        ("SUCCEEDED",),
        ("FAILED", "TIMEOUT", "ERROR", "STOPPED", "EXPIRED"),
        root="JobRun",
        stop="BatchStopJobRun",
        stop_keys={"JobName": "request.JobName", "JobRunIds": "[response.JobRunId]"},
    ),
    ("sagemaker", "createHyperParameterTuningJob"): _sagemaker("HyperParameterTuningJob"),
    ("sagemaker", "createLabelingJob"): _sagemaker("LabelingJob"),
    ("sagemaker", "createProcessingJob"): _sagemaker("ProcessingJob"),
    ("sagemaker", "createTrainingJob"): _sagemaker("TrainingJob"),
    ("sagemaker", "createTransformJob"): _sagemaker("TransformJob"),
}


@dataclass(frozen=True)
class Integration:
    """The resource of a Task state, taken apart.

    Attributes:
        service: as botocore names it.
        action: camelCase, as in the resource.
        pattern: one of the four at the top.
        optimized: the service of an optimized integration; None for an AWS SDK one.
        label: the service as the resource names it.
    """

    service: str
    action: str
    pattern: str
    optimized: str | None
    label: str

    @property
    def operation(self) -> OperationModel:
        """botocore's model of the operation."""
        return get_service_model(self.service).operation_model(
            self.action[0].upper() + self.action[1:]
        )

    @property
    def poll(self) -> Poll | None:
        """How `.sync` waits for it."""
        return POLLS.get((self.optimized or "", self.action))

    def error_name(self, code: str) -> str:
        """What the state's Retry and Catch see for an error of the service."""
        shapes = {shape.error_code for shape in self.operation.error_shapes}
        names = {shape.name for shape in self.operation.error_shapes}
        modelled = code in shapes or code in names
        if self.optimized == "lambda":
            return f"Lambda.{code if modelled else 'AWSLambdaException'}"
        if self.optimized:
            prefix, other = _ERRORS[self.optimized]
            return f"{prefix}.{code if modelled else other}"
        prefix = pascal(str(get_service_model(self.service).service_id))
        name = code.rpartition(".")[2] if modelled else prefix
        return f"{prefix}.{name}" if name.endswith("Exception") else f"{prefix}.{name}Exception"


class Unknown(Exception):
    """A resource that Step Functions does not know."""


class NotCarriedOut(Exception):
    """An integration that AWS has and that is not carried out here; `str` names it."""


def parse(resource: str) -> Integration:
    """Take `arn:aws:states:::service:action.pattern` apart.

    Raises:
        Unknown: AWS has no such integration, or not with this pattern.
        NotCarriedOut: the offline AWS does not carry it out.
    """
    parts = resource.split(":", 6)
    if len(parts) < 7 or parts[:3] != ["arn", "aws", "states"]:
        raise Unknown(resource)
    label, (action, _, pattern) = parts[5], parts[6].partition(".")
    if label in NOT_CARRIED_OUT:
        raise NotCarriedOut(resource)
    if label == "aws-sdk":
        name, _, action = action.partition(":")
        service = botocore_name(name)
        if service is None or pattern not in (REQUEST_RESPONSE, CALLBACK):
            raise Unknown(resource)
        found = Integration(service, action, pattern, None, label)
    else:
        patterns = _OPTIMIZED.get(label, {}).get(action)
        if patterns is None or pattern not in (REQUEST_RESPONSE, *patterns):
            raise Unknown(resource)
        service = {"states": "stepfunctions", "bedrock": "bedrock-runtime"}.get(label, label)
        found = Integration(service, action, pattern, label, label)
    model = get_service_model(found.service)
    name = action[:1].upper() + action[1:]
    if not action[:1].islower() or name not in model.operation_names:
        raise Unknown(resource)
    return found


@cache
def botocore_name(name: str) -> str | None:
    """The service that the resource of an AWS SDK integration names; None if there is none."""
    from botocore.session import get_session

    if name in _BOTOCORE:
        return _BOTOCORE[name]
    available = {known.replace("-", ""): known for known in get_session().get_available_services()}
    service = available.get(name)
    try:
        return service if service and get_service_model(service) else None
    except UnknownServiceError:
        return None


def pascal(name: str) -> str:
    """A service's id as error names have it: `DynamoDB` is `DynamoDb`, `SFN` is `Sfn`."""
    return "".join(word[0].upper() + word[1:].lower() for word in _WORD.findall(name))


def filled(keys: Mapping[str, str], request: Any, response: Any) -> dict[str, Any]:
    """Parameters of a call, read from what was asked and answered before."""
    data = {"request": request, "response": response}
    return {name: jmespath.search(path, data) for name, path in keys.items()}
