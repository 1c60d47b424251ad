"""S3: moto stores, here is put right what would mislead: see also the replacements in `triggers`.

Every operation passes here, so that an expired presigned URL is refused whatever it is for. Bodies
of objects are not held: they go on to moto as they come in.
"""

from __future__ import annotations

import datetime
import json
import re
from typing import Any, NoReturn
from urllib.parse import parse_qs

from moto.core.utils import get_service_model

from .. import account, s3_events, triggers
from ..errors import AWSError, not_implemented
from ..gateway import Call, Relayed, handles
from ..policies import ALLOWED, EXPLICIT_DENY, Statement, evaluate

triggers.install("s3")

# moto does not look at the sub-resource of these: it would create or delete the bucket, list it, or
# store or send an object.
_MISSING = (
    "CreateBucketMetadataConfiguration",
    "CreateBucketMetadataTableConfiguration",
    "CreateSession",
    "DeleteBucketAnalyticsConfiguration",
    "DeleteBucketIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration",
    "DeleteBucketMetadataConfiguration",
    "DeleteBucketMetadataTableConfiguration",
    "DeleteBucketMetricsConfiguration",
    "DeleteObjectAnnotation",
    "GetBucketAbac",
    "GetBucketAnalyticsConfiguration",
    "GetBucketIntelligentTieringConfiguration",
    "GetBucketMetadataConfiguration",
    "GetBucketMetadataTableConfiguration",
    "GetBucketMetricsConfiguration",
    "GetBucketRequestPayment",
    "GetObjectAnnotation",
    "GetObjectRetention",
    "GetObjectTorrent",
    "ListBucketAnalyticsConfigurations",
    "ListBucketIntelligentTieringConfigurations",
    "ListBucketMetricsConfigurations",
    "ListDirectoryBuckets",
    "ListObjectAnnotations",
    "PutBucketAbac",
    "PutBucketAnalyticsConfiguration",
    "PutBucketIntelligentTieringConfiguration",
    "PutBucketMetricsConfiguration",
    "PutBucketRequestPayment",
    "PutObjectAnnotation",
    "RenameObject",
    "UpdateBucketMetadataAnnotationTableConfiguration",
    "UpdateBucketMetadataInventoryTableConfiguration",
    "UpdateBucketMetadataJournalTableConfiguration",
    "UpdateObjectEncryption",
    "WriteGetObjectResponse",
)
_BUCKET_NAME = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@handles("s3", *(name for name in get_service_model("s3").operation_names if name not in _MISSING))
def answer(call: Call) -> Relayed:
    """moto's answer, unless the URL has expired or the bucket's policy refuses it."""
    refuse_if_expired(call)
    return call.relay()


@handles("s3", *_MISSING)
def refuse(call: Call) -> NoReturn:
    """Neither moto nor this module has the operation."""
    raise not_implemented(call.service, call.operation)


def refuse_if_expired(call: Call) -> None:
    """Refuse a presigned URL, of either signature version, whose time is over."""
    query = parse_qs(call.environ.get("QUERY_STRING", ""))
    if "X-Amz-Expires" in query:
        signed = datetime.datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ")
        signed = signed.replace(tzinfo=datetime.UTC)
        ends = signed + datetime.timedelta(seconds=int(query["X-Amz-Expires"][0]))
    elif "AWSAccessKeyId" in query:
        ends = datetime.datetime.fromtimestamp(int(query["Expires"][0]), datetime.UTC)
    else:
        return
    if account.now() > ends:
        raise AWSError("AccessDenied", "Request has expired", status=403)


# ── buckets ──────────────────────────────────────────────────────────────────────────────────────


@handles("s3", "CreateBucket")
def create_bucket(call: Call) -> Relayed:
    """A bucket whose name keeps S3's rules."""
    refuse_if_expired(call)
    name = call.params["Bucket"]
    is_address = re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name)
    if not _BUCKET_NAME.fullmatch(name) or ".." in name or is_address:
        raise AWSError("InvalidBucketName", "The specified bucket is not valid.", BucketName=name)
    return call.relay()


@handles("s3", "HeadBucket", "ListObjects", "ListObjectsV2", "ListObjectVersions")
def list_objects(call: Call) -> Relayed:
    """The objects, or that there is a bucket, unless its policy denies that; moto does not ask."""
    refuse_if_expired(call)
    bucket = _bucket(call)
    if bucket is not None and bucket.policy is not None:
        versions = call.operation == "ListObjectVersions"
        action = "s3:ListBucketVersions" if versions else "s3:ListBucket"
        principal = _principal(call)
        decision = s3_events.bucket_decision(bucket, action, bucket.arn, principal)
        if decision.result == EXPLICIT_DENY:
            raise AWSError("AccessDenied", "Access Denied", status=403)
    return call.relay()


@handles("s3", "PutBucketPolicy")
def put_policy(call: Call) -> Relayed:
    """Keep a policy that is well formed, of this bucket, and not public where that is blocked."""
    refuse_if_expired(call)
    name = call.params["Bucket"]
    statements = _policy_statements(call.params["Policy"])
    for content in statements:
        _check_statement(content, name)
    bucket = _bucket(call)
    block = bucket.public_access_block if bucket is not None else None
    if block is not None and _is_true(block.block_public_policy) and _is_public(statements):
        message = (
            f"User: {_session_arn(call)} is not authorized to perform: s3:PutBucketPolicy on "
            f'resource: "arn:aws:s3:::{name}" because public policies are prevented by the '
            "BlockPublicPolicy setting in S3 Block Public Access."
        )
        raise AWSError("AccessDenied", message, status=403)
    return call.relay()


def _policy_statements(text: str | bytes) -> list[dict[str, Any]]:
    try:
        policy = json.loads(text)
        statements = policy["Statement"]
    except ValueError:
        message = "Policies must be valid JSON and the first byte must be '{'"
        raise AWSError("MalformedPolicy", message) from None
    except (KeyError, TypeError):
        raise AWSError("MalformedPolicy", "Missing required field Statement") from None
    return statements if isinstance(statements, list) else [statements]


def _check_statement(content: dict[str, Any], bucket: str) -> None:
    for name in ("Effect", "Principal", "Action", "Resource"):
        if name not in content and f"Not{name}" not in content:
            raise AWSError("MalformedPolicy", f"Missing required field {name}")
    resources = content.get("Resource", content.get("NotResource"))
    for resource in resources if isinstance(resources, list) else [resources]:
        if resource.partition(":::")[2].partition("/")[0] not in (bucket, "*", f"{bucket}*"):
            raise AWSError("MalformedPolicy", "Policy has invalid resource")


def _is_public(statements: list[dict[str, Any]]) -> bool:
    """Whether a policy lets anybody in: an allow for everyone, without a condition."""
    return any(
        content["Effect"] == "Allow"
        and content.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and not content.get("Condition")
        for content in statements
    )


@handles("s3", "PutBucketAcl", "PutObjectAcl")
def put_acl(call: Call) -> Relayed:
    """Keep an ACL where the bucket allows any."""
    refuse_if_expired(call)
    _refuse_acl(call)
    return call.relay()


@handles("s3", "PutObject", "UploadPart", "CreateMultipartUpload", "CopyObject")
def put_object(call: Call) -> Relayed:
    """Store an object; an ACL is refused where the bucket does not allow any."""
    refuse_if_expired(call)
    if call.environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        # A plain HTTP client sends this by default, and moto would take the body for a form.
        call.environ["CONTENT_TYPE"] = "binary/octet-stream"
    if call.params.get("ACL") not in (None, "private", "bucket-owner-full-control"):
        _refuse_acl(call)
    return call.relay()


def _refuse_acl(call: Call) -> None:
    bucket = _bucket(call)
    if bucket is not None and _ownership(bucket) == "BucketOwnerEnforced":
        message = "The bucket does not allow ACLs"
        raise AWSError("AccessControlListNotSupported", message)


def _ownership(bucket: Any) -> str | None:
    """Where moto keeps it depends on how it was set."""
    rule = bucket.ownership_rule
    while isinstance(rule, dict):
        rule = rule.get("Rule", rule.get("ObjectOwnership"))
    return rule


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _bucket(call: Call) -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[account.ACCOUNT_ID]["aws"].buckets.get(call.params["Bucket"])


def _principal(call: Call) -> str:
    return s3_events.session(call.environ).principal


def _session_arn(call: Call) -> str:
    return s3_events.session(call.environ).arn


# ── notifications ────────────────────────────────────────────────────────────────────────────────


@handles("s3", "PutBucketNotificationConfiguration")
def put_notification(call: Call) -> Relayed:
    """Keep a configuration whose targets exist and let S3 in: S3 asks them before it answers."""
    refuse_if_expired(call)
    configuration = call.params.get("NotificationConfiguration") or {}
    bucket_arn = f"arn:aws:s3:::{call.params['Bucket']}"
    skipped = call.params.get("SkipDestinationValidation")
    targets = [
        *((item["LambdaFunctionArn"], "function") for item in _of(configuration, "LambdaFunction")),
        *((item["QueueArn"], "queue") for item in _of(configuration, "Queue")),
        *((item["TopicArn"], "topic") for item in _of(configuration, "Topic")),
    ]
    for arn, kind in targets:
        if not skipped and not _lets_s3_in(arn, kind, bucket_arn):
            message = (
                "Unable to validate the following destination configurations: the "
                f"{kind} {arn} does not exist, or its policy does not let s3.amazonaws.com use it "
                f"on behalf of {bucket_arn}"
            )
            raise AWSError(
                "InvalidArgument", message, ArgumentName1=arn, ArgumentValue1="not reachable"
            )
    return call.relay()


def _of(configuration: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return configuration.get(f"{kind}Configurations") or []


def _lets_s3_in(arn: str, kind: str, bucket_arn: str) -> bool:
    actions = {
        "function": "lambda:InvokeFunction",
        "queue": "sqs:SendMessage",
        "topic": "sns:Publish",
    }
    statements = _target_policy(arn, kind)
    if statements is None:
        return False
    context = {"aws:sourcearn": [bucket_arn], "aws:sourceaccount": [account.ACCOUNT_ID]}
    parsed = [Statement(content, "policy", (1, 1), (1, 1)) for content in statements]
    service = "s3.amazonaws.com"
    # A function's statements name the function without its version, and a topic's name any.
    return evaluate(parsed, actions[kind], arn, context, service).result == ALLOWED


def _target_policy(arn: str, kind: str) -> list[dict[str, Any]] | None:
    """The statements of the target's own policy; None if there is no such target."""
    region, name = arn.split(":")[3], arn.rpartition(":")[2]
    if kind == "function":
        from moto.awslambda.models import lambda_backends

        function = lambda_backends[account.ACCOUNT_ID][region].get_function_by_arn(arn)
        return None if function is None else function.policy.statements
    if kind == "queue":
        from moto.sqs.models import sqs_backends

        queue = sqs_backends[account.ACCOUNT_ID][region].queues.get(name)
        text = None if queue is None else queue.policy or {}
    else:
        from moto.sns.models import sns_backends

        topic = sns_backends[account.ACCOUNT_ID][region].topics.get(arn)
        text = None if topic is None else topic.policy
    if text is None:
        return None
    policy = json.loads(text) if isinstance(text, str) else text
    statements = policy.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


# ── S3 Select ────────────────────────────────────────────────────────────────────────────────────


@handles("s3", "SelectObjectContent")
def select(call: Call) -> NoReturn:
    """S3 Select is not open to an account that has not used it before."""
    message = "The specified method is not allowed against this resource."
    raise AWSError("MethodNotAllowed", message, status=405, Method="POST", ResourceType="OBJECT")
