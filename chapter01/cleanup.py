"""Find everything that the notebooks of this book have left in an account, and delete it.

    python cleanup.py                              list what is there; deletes nothing
    python cleanup.py --yes                        delete it
    python cleanup.py --project cloud-native-ml-ch06    only what one chapter has made

Something belongs to the book if its name begins with the project's name or its tag `project` says
so. Finished jobs stay in the history of their service; they cost nothing and cannot be deleted.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError, WaiterError

ROLE_PREFIX = "AmazonSageMaker-ExecutionRole-"


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    Attributes:
        name: how the list calls it.
        client: the service in boto3.
        arn: a pattern of its ARN, the name in a group called `name`.
        find: lists the names of all of them in the account and region.
        delete: deletes one by its name.
        before: what stands in front of the project's name in a name.
    """

    name: str
    client: str
    arn: str
    find: Callable[[Any], Iterable[str]]
    delete: Callable[[Any, str], Any]
    before: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Found:
    """A resource that belongs to the project."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.name} {self.name}"


@dataclass
class Account:
    """What a project has in an account and region, in the order in which to delete it.

    Attributes:
        found: what can be deleted here.
        by_hand: ARNs that carry the tag and are of no kind known here.
    """

    found: list[Found] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


def find_all(session: Any, project: str) -> Account:
    """Find what belongs to the project, by name and by tag. Reads only.

    Raises:
        ValueError: for a project name so short that it could be the beginning of anything.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{7,}", project):
        raise ValueError(
            f"the project {project!r} is not safe to search for: give 8 or more of a-z, 0-9 and -"
        )
    tagged = _tagged(session, project)
    account = Account()
    for kind in KINDS:
        names = {
            name for name in kind.find(session.client(kind.client)) if _ours(kind, name, project)
        }
        for arn in list(tagged):
            if match := re.fullmatch(kind.arn, arn):
                tagged.remove(arn)
                names.add(match["name"])
        account.found += [Found(kind, name) for name in sorted(names)]
    account.by_hand = [arn for arn in tagged if not _part_of_another(arn, account)]
    return account


def _ours(kind: Kind, name: str, project: str) -> bool:
    """Whether the name begins with the project's, in one of the spellings that services ask for."""
    stems = [f"{before}{spelt}" for before in kind.before for spelt in _spellings(project)]
    return any(re.match(rf"{re.escape(stem)}(?![A-Za-z0-9])", name) for stem in stems)


def _spellings(project: str) -> set[str]:
    return {project, project.replace("-", "_")}


def _tagged(session: Any, project: str) -> list[str]:
    """The ARNs whose tag `project` is the project; a chapter's part of it has no tag of its own."""
    client = session.client("resourcegroupstaggingapi")
    wanted = [{"Key": "project", "Values": [project]}]
    pages = client.get_paginator("get_resources").paginate(TagFilters=wanted)
    return [each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]]


def _part_of_another(arn: str, account: Account) -> bool:
    """Tables go with their database, jobs that have ended stay in the history."""
    if re.search(r":(training-job|processing-job|transform-job)/", arn):
        return True
    databases = [each.name for each in account.found if each.kind.name == "Glue database"]
    return any(f":table/{name}/" in arn for name in databases)


def delete_all(session: Any, account: Account) -> list[str]:
    """Delete what was found, in order; go on after a failure.

    Returns what went wrong, one line for each resource that is still there.
    """
    problems = []
    for each in account.found:
        try:
            each.kind.delete(session.client(each.kind.client), each.name)
        except (ClientError, WaiterError) as error:
            if not _is_gone(error):
                problems.append(f"{each}: {error}")
    return problems


def _is_gone(error: Exception) -> bool:
    """Whether there was nothing to delete any more, as after the stack that it was part of."""
    code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
    return any(sign in code for sign in ("NotFound", "NoSuch", "NonExistent", "DoesNotExist"))


# ── how each kind is listed and deleted ──────────────────────────────────────────────────────────


def _list(operation: str, path: str) -> Callable[[Any], Iterator[str]]:
    """A function that lists all names which an operation returns, page by page."""

    def find(client: Any) -> Iterator[str]:
        if client.can_paginate(operation):
            pages = client.get_paginator(operation).paginate()
        else:
            pages = [getattr(client, operation)()]
        outer, _, inner = path.partition("[].")
        for page in pages:
            for each in page.get(outer.removesuffix("[]"), []):
                yield each[inner] if inner else each

    return find


def _call(operation: str, parameter: str, **more: Any) -> Callable[[Any, str], Any]:
    """A function that deletes one resource by one call."""
    return lambda client, name: getattr(client, operation)(**{parameter: name}, **more)


def _delete_rule(events: Any, name: str) -> None:
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    if targets:
        events.remove_targets(Rule=name, Ids=[each["Id"] for each in targets])
    events.delete_rule(Name=name)


def _find_mappings(client: Any) -> Iterator[str]:
    """Event source mappings have no names: id and function, as `id (function)`."""
    for page in client.get_paginator("list_event_source_mappings").paginate():
        for each in page["EventSourceMappings"]:
            yield f"{each['FunctionArn'].rpartition(':')[2]} {each['UUID']}"


def _delete_mapping(client: Any, name: str) -> None:
    client.delete_event_source_mapping(UUID=name.rpartition(" ")[2])


def _find_stacks(cloudformation: Any) -> Iterator[str]:
    """Stacks as their ARNs name them: name and id, as `name/id`."""
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        yield from (each["StackId"].partition(":stack/")[2] for each in page["Stacks"])


def _delete_stack(cloudformation: Any, name: str) -> None:
    """A bucket that holds objects would keep its stack from being deleted: empty it first."""
    name = name.partition("/")[0]
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    for each in pages.search("StackResourceSummaries[]"):
        if each["ResourceType"] == "AWS::S3::Bucket" and each.get("PhysicalResourceId"):
            _empty_bucket(boto3.client("s3"), each["PhysicalResourceId"])
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)


def _delete_state_machine(states: Any, name: str) -> None:
    pages = states.get_paginator("list_state_machines").paginate()
    for arn in pages.search(f"stateMachines[?name=='{name}'].stateMachineArn"):
        states.delete_state_machine(stateMachineArn=arn)


def _delete_endpoint(sagemaker: Any, name: str) -> None:
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name)


def _delete_topic(sns: Any, name: str) -> None:
    for arn in _list("list_topics", "Topics[].TopicArn")(sns):
        if arn.endswith(f":{name}"):
            sns.delete_topic(TopicArn=arn)


def _delete_policy(iam: Any, name: str) -> None:
    arn = next(
        each["Arn"]
        for page in iam.get_paginator("list_policies").paginate(Scope="Local")
        for each in page["Policies"]
        if each["PolicyName"] == name
    )
    for page in iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=arn):
        for role in page["PolicyRoles"]:
            iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def _find_policies(iam: Any) -> Iterator[str]:
    for page in iam.get_paginator("list_policies").paginate(Scope="Local"):
        yield from (each["PolicyName"] for each in page["Policies"])


def _delete_role(iam: Any, name: str) -> None:
    for each in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])
    for each in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=each)
    iam.delete_role(RoleName=name)


def _delete_bucket(s3: Any, name: str) -> None:
    _empty_bucket(s3, name)
    s3.delete_bucket(Bucket=name)


def _empty_bucket(s3: Any, name: str) -> None:
    """Hidden versions keep a bucket from being deleted: delete versions, not objects."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name)
    for page in pages:
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
        if keys:
            answer = s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
            for error in answer.get("Errors", []):
                raise ClientError({"Error": error}, "DeleteObjects")
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        for each in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=name, Key=each["Key"], UploadId=each["UploadId"])


def _account_id() -> str:
    return boto3.client("sts").get_caller_identity()["Account"]


def _find_budgets(budgets: Any) -> Iterator[str]:
    pages = budgets.get_paginator("describe_budgets").paginate(AccountId=_account_id())
    yield from (each["BudgetName"] for page in pages for each in page.get("Budgets", []))


def _delete_budget(budgets: Any, name: str) -> None:
    budgets.delete_budget(AccountId=_account_id(), BudgetName=name)


_ARN = r"arn:aws:{service}:[^:]*:\d*:"


def _kind(
    name: str,
    client: str,
    resource: str,
    find: Callable[[Any], Iterable[str]],
    delete: Callable[[Any, str], Any],
    *before: str,
) -> Kind:
    """A kind from the last part of its ARN, in which `*` stands for the name."""
    arn = _ARN.format(service=_ARN_SERVICES.get(client, client)) + re.escape(resource)
    arn = arn.replace(r"\*", "(?P<name>[^:]+)")
    return Kind(name, client, arn, find, delete, before or ("",))


_ARN_SERVICES = {"budgets": "budgets", "stepfunctions": "states"}

# What calls others first, so that nothing is called while it goes; then what costs by the hour;
# data and what it is encrypted, described and written by at the end.
KINDS: tuple[Kind, ...] = (
    _kind("CloudFormation stack", "cloudformation", "stack/*", _find_stacks, _delete_stack),
    _kind(
        "EventBridge rule", "events", "rule/*", _list("list_rules", "Rules[].Name"), _delete_rule
    ),
    _kind(
        "event source mapping",
        "lambda",
        "event-source-mapping:*",
        _find_mappings,
        _delete_mapping,
    ),
    _kind(
        "Firehose stream",
        "firehose",
        "deliverystream/*",
        _list("list_delivery_streams", "DeliveryStreamNames[]"),
        _call("delete_delivery_stream", "DeliveryStreamName"),
    ),
    _kind(
        "Kinesis stream",
        "kinesis",
        "stream/*",
        _list("list_streams", "StreamNames[]"),
        _call("delete_stream", "StreamName", EnforceConsumerDeletion=True),
    ),
    _kind(
        "SageMaker endpoint",
        "sagemaker",
        "endpoint/*",
        _list("list_endpoints", "Endpoints[].EndpointName"),
        _delete_endpoint,
    ),
    _kind(
        "SageMaker endpoint configuration",
        "sagemaker",
        "endpoint-config/*",
        _list("list_endpoint_configs", "EndpointConfigs[].EndpointConfigName"),
        _call("delete_endpoint_config", "EndpointConfigName"),
    ),
    _kind(
        "SageMaker model",
        "sagemaker",
        "model/*",
        _list("list_models", "Models[].ModelName"),
        _call("delete_model", "ModelName"),
    ),
    _kind(
        "SageMaker feature group",
        "sagemaker",
        "feature-group/*",
        _list("list_feature_groups", "FeatureGroupSummaries[].FeatureGroupName"),
        _call("delete_feature_group", "FeatureGroupName"),
    ),
    _kind(
        "Lambda function",
        "lambda",
        "function:*",
        _list("list_functions", "Functions[].FunctionName"),
        _call("delete_function", "FunctionName"),
    ),
    _kind(
        "SQS queue",
        "sqs",
        "*",
        lambda sqs: (url.rpartition("/")[2] for url in _list("list_queues", "QueueUrls[]")(sqs)),
        lambda sqs, name: sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"]),
    ),
    _kind(
        "SNS topic",
        "sns",
        "*",
        lambda sns: (
            arn.rpartition(":")[2] for arn in _list("list_topics", "Topics[].TopicArn")(sns)
        ),
        _delete_topic,
    ),
    _kind(
        "CloudWatch alarm",
        "cloudwatch",
        "alarm:*",
        _list("describe_alarms", "MetricAlarms[].AlarmName"),
        lambda cloudwatch, name: cloudwatch.delete_alarms(AlarmNames=[name]),
    ),
    _kind(
        "state machine",
        "stepfunctions",
        "stateMachine:*",
        _list("list_state_machines", "stateMachines[].name"),
        _delete_state_machine,
    ),
    _kind(
        "Glue trigger",
        "glue",
        "trigger/*",
        _list("list_triggers", "TriggerNames[]"),
        _call("delete_trigger", "Name"),
    ),
    _kind(
        "Glue workflow",
        "glue",
        "workflow/*",
        _list("list_workflows", "Workflows[]"),
        _call("delete_workflow", "Name"),
    ),
    _kind(
        "Glue job",
        "glue",
        "job/*",
        _list("list_jobs", "JobNames[]"),
        _call("delete_job", "JobName"),
    ),
    _kind(
        "Glue crawler",
        "glue",
        "crawler/*",
        _list("get_crawlers", "Crawlers[].Name"),
        _call("delete_crawler", "Name"),
    ),
    _kind(
        "Glue data quality ruleset",
        "glue",
        "dataQualityRuleset/*",
        _list("list_data_quality_rulesets", "Rulesets[].Name"),
        _call("delete_data_quality_ruleset", "Name"),
    ),
    _kind(
        "Glue database",
        "glue",
        "database/*",
        _list("get_databases", "DatabaseList[].Name"),
        _call("delete_database", "Name"),
    ),
    _kind(
        "Athena workgroup",
        "athena",
        "workgroup/*",
        _list("list_work_groups", "WorkGroups[].Name"),
        _call("delete_work_group", "WorkGroup", RecursiveDeleteOption=True),
    ),
    _kind(
        "log group",
        "logs",
        "log-group:*",
        _list("describe_log_groups", "logGroups[].logGroupName"),
        _call("delete_log_group", "logGroupName"),
        "",
        "/aws/lambda/",
        "/aws/kinesisfirehose/",
        "/aws/sagemaker/Endpoints/",
    ),
    _kind("bucket", "s3", "*", _list("list_buckets", "Buckets[].Name"), _delete_bucket),
    _kind("budget", "budgets", "budget/*", _find_budgets, _delete_budget),
    _kind("IAM policy", "iam", "policy/*", _find_policies, _delete_policy),
    _kind(
        "IAM role",
        "iam",
        "role/*",
        _list("list_roles", "Roles[].RoleName"),
        _delete_role,
        "",
        ROLE_PREFIX,
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 if something is left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", default="cloud-native-ml", help="what names begin with")
    parser.add_argument("--yes", action="store_true", help="delete what is listed")
    options = parser.parse_args(arguments)
    session = boto3.Session()
    try:
        account = find_all(session, options.project)
    except (ClientError, ValueError) as error:
        print(f"stopped, nothing was deleted: {error}", file=sys.stderr)
        return 1
    print(*account.found, sep="\n")
    for arn in account.by_hand:
        print(f"by hand: {arn}")
    if not options.yes:
        print(
            f"{len(account.found)} found in {session.region_name}, nothing deleted; --yes deletes"
        )
        return 0
    problems = delete_all(session, account)
    for problem in problems:
        print(f"still there: {problem}", file=sys.stderr)
    print(f"{len(account.found) - len(problems)} deleted, {len(problems)} still there")
    return 1 if problems or account.by_hand else 0


if __name__ == "__main__":
    sys.exit(main())
