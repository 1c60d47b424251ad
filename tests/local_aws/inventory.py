"""What an account holds, as its owner would list it: through boto3, service by service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jmespath

from .account import ACCOUNT_ID

# service -> (operation, what to read from its answer). Only what an owner can delete is listed:
# a training job that has ended stays in AWS's history for good, one that runs costs money.
_LISTINGS: dict[str, list[tuple[str, str]]] = {
    "s3": [("list_buckets", "Buckets[].Name")],
    "glue": [
        ("get_databases", "DatabaseList[].Name"),
        ("get_crawlers", "Crawlers[].Name"),
        ("get_jobs", "Jobs[].Name"),
        ("get_triggers", "Triggers[].Name"),
        ("list_workflows", "Workflows[]"),
        ("list_data_quality_rulesets", "Rulesets[].Name"),
    ],
    "athena": [
        ("list_work_groups", "WorkGroups[?Name!='primary'].Name"),
        ("list_named_queries", "NamedQueryIds[]"),
    ],
    "lambda": [
        ("list_functions", "Functions[].FunctionName"),
        ("list_event_source_mappings", "EventSourceMappings[].UUID"),
        ("list_layers", "Layers[].LayerName"),
    ],
    "sagemaker": [
        ("list_endpoints", "Endpoints[].EndpointName"),
        ("list_endpoint_configs", "EndpointConfigs[].EndpointConfigName"),
        ("list_models", "Models[].ModelName"),
        ("list_feature_groups", "FeatureGroupSummaries[].FeatureGroupName"),
        ("list_mlflow_apps", "Summaries[].Name"),
        (
            "list_training_jobs",
            "TrainingJobSummaries[?TrainingJobStatus=='InProgress'].TrainingJobName",
        ),
        (
            "list_processing_jobs",
            "ProcessingJobSummaries[?ProcessingJobStatus=='InProgress'].ProcessingJobName",
        ),
        (
            "list_hyper_parameter_tuning_jobs",
            "HyperParameterTuningJobSummaries[?HyperParameterTuningJobStatus=='InProgress']"
            ".HyperParameterTuningJobName",
        ),
    ],
    "logs": [("describe_log_groups", "logGroups[].logGroupName")],
    "kinesis": [("list_streams", "StreamNames[]")],
    "firehose": [("list_delivery_streams", "DeliveryStreamNames[]")],
    "sqs": [("list_queues", "QueueUrls[]")],
    "sns": [("list_topics", "Topics[].TopicArn")],
    "dynamodb": [("list_tables", "TableNames[]")],
    "cloudwatch": [
        ("describe_alarms", "MetricAlarms[].AlarmName"),
        ("list_dashboards", "DashboardEntries[].DashboardName"),
    ],
    "events": [
        ("list_rules", "Rules[].Name"),
        ("list_archives", "Archives[].ArchiveName"),
        ("list_event_buses", "EventBuses[?Name!='default'].Name"),
    ],
    "budgets": [("describe_budgets", "Budgets[].BudgetName")],
    "stepfunctions": [("list_state_machines", "stateMachines[].name")],
    "cloudformation": [("describe_stacks", "Stacks[].StackName")],
    "ecr": [("describe_repositories", "repositories[].repositoryName")],
    "secretsmanager": [("list_secrets", "SecretList[].Name")],
    "kms": [("list_aliases", "Aliases[?!starts_with(AliasName, 'alias/aws/')].AliasName")],
    "iam": [
        ("list_roles", "Roles[?!contains(Path, 'service-role')].RoleName"),
        ("list_users", "Users[].UserName"),
        ("list_policies", "Policies[].PolicyName"),
    ],
}

# What a listing is asked for: budgets by account, whoever asks, and no policies of AWS's own.
_ASKED = {"describe_budgets": {"AccountId": ACCOUNT_ID}, "list_policies": {"Scope": "Local"}}

# AWS makes these groups for a service, not for a job, and shares them between all jobs: whoever
# cleans up removes the streams of the own jobs and leaves the group.
_SHARED_LOG_GROUPS = (
    "/aws/sagemaker/TrainingJobs",
    "/aws/sagemaker/ProcessingJobs",
    "/aws/sagemaker/TransformJobs",
    "/aws-glue/",
)


def take(client: Callable[[str], Any], services: list[str] | None = None) -> dict[str, list[str]]:
    """List what the account holds: `{"s3 list_buckets": ["my-bucket"], …}`, empty lists left out.

    Args:
        client: gives the boto3 client of a service.
        services: which ones to ask; all by default.
    """
    found: dict[str, list[str]] = {}
    for service, listings in _LISTINGS.items():
        if services is not None and service not in services:
            continue
        for operation, expression in listings:
            names = _list(client(service), operation, expression)
            if operation == "describe_log_groups":
                names = _own_logs(client(service), names)
            if names:
                found[f"{service} {operation}"] = sorted(names)
    return found


def _list(client: Any, operation: str, expression: str) -> list[str]:
    which = _ASKED.get(operation, {})
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate(**which)
    else:
        pages = [getattr(client, operation)(**which)]
    return [name for page in pages for name in jmespath.search(expression, page) or []]


def _own_logs(logs: Any, groups: list[str]) -> list[str]:
    """The log groups, and of a group that a service shares between jobs, the streams in it."""
    found = []
    for group in groups:
        if group.startswith(_SHARED_LOG_GROUPS):
            streams = _list_streams(logs, group)
            found += [f"{group}:{stream}" for stream in streams]
        else:
            found.append(group)
    return found


def _list_streams(logs: Any, group: str) -> list[str]:
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group)
    return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
