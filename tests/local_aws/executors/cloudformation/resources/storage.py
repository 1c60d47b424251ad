"""Amazon S3 and CloudWatch Logs: where things are kept."""

from __future__ import annotations

import json
from typing import Any

from moto.s3.models import s3_backends

from .... import account
from ....errors import AWSError
from . import resource

_Aws = Any
_Properties = dict[str, Any]


def _only(properties: _Properties, known: set[str]) -> None:
    unknown = sorted(set(properties) - known)
    if unknown:
        raise AWSError(
            "NotImplemented",
            f"The offline AWS does not set {', '.join(unknown)} of AWS::S3::Bucket.",
            status=501,
        )


@resource("AWS::S3::Bucket")
class Bucket:
    """A bucket with its settings. It is removed only when it is empty."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        s3 = aws("s3")
        bucket = properties.get("BucketName", name)
        # In us-east-1, S3 gives an owner his bucket again; a stack must not take it over.
        if bucket in s3_backends[account.ACCOUNT_ID]["aws"].buckets:
            raise AWSError("AlreadyExists", f"{bucket} already exists")
        region = s3.meta.region_name
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else place))
        Bucket.update(aws, bucket, {}, properties)
        return bucket, {
            "Arn": f"arn:aws:s3:::{bucket}",
            "DomainName": f"{bucket}.s3.amazonaws.com",
            "RegionalDomainName": f"{bucket}.s3.{region}.amazonaws.com",
        }

    @staticmethod
    def update(aws: _Aws, bucket: str, old: _Properties, new: _Properties) -> None:
        settings = {
            "PublicAccessBlockConfiguration": _public_access,
            "BucketEncryption": _encryption,
            "VersioningConfiguration": _versioning,
            "NotificationConfiguration": _notifications,
            "LifecycleConfiguration": _lifecycle,
            "Tags": _tags,
        }
        _only(new, {"BucketName", *settings})
        for key, put in settings.items():
            if key in new and new[key] != old.get(key):
                put(aws("s3"), bucket, new[key])

    @staticmethod
    def delete(aws: _Aws, bucket: str, properties: _Properties) -> None:
        aws("s3").delete_bucket(Bucket=bucket)


def _public_access(s3: Any, bucket: str, value: _Properties) -> None:
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=value)


def _encryption(s3: Any, bucket: str, value: _Properties) -> None:
    # The template and the service have a name each for the same thing.
    sent_as = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    rules = [
        {sent_as.get(key, key): part for key, part in rule.items()}
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def _versioning(s3: Any, bucket: str, value: _Properties) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=value)


def _notifications(s3: Any, bucket: str, value: _Properties) -> None:
    configuration: _Properties = {}
    if value.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled"):
        configuration["EventBridgeConfiguration"] = {}
    for kind, arn, sent_as in (
        ("LambdaConfigurations", "Function", "LambdaFunctionArn"),
        ("QueueConfigurations", "Queue", "QueueArn"),
        ("TopicConfigurations", "Topic", "TopicArn"),
    ):
        if kind in value:
            sent = {"LambdaConfigurations": "LambdaFunctionConfigurations"}.get(kind, kind)
            configuration[sent] = [_notification(each, arn, sent_as) for each in value[kind]]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)


def _notification(value: _Properties, arn: str, sent_as: str) -> _Properties:
    sent: _Properties = {sent_as: value[arn], "Events": [value["Event"]]}
    if "Filter" in value:
        rules = value["Filter"]["S3Key"]["Rules"]
        sent["Filter"] = {"Key": {"FilterRules": rules}}
    return sent


def _lifecycle(s3: Any, bucket: str, value: _Properties) -> None:
    rules = []
    for rule in value["Rules"]:
        sent = {"ID": rule.get("Id", "rule"), "Status": rule["Status"]}
        sent["Filter"] = {"Prefix": rule.get("Prefix", "")}
        if "ExpirationInDays" in rule:
            sent["Expiration"] = {"Days": rule["ExpirationInDays"]}
        if "Transitions" in rule:
            sent["Transitions"] = [
                {"Days": each["TransitionInDays"], "StorageClass": each["StorageClass"]}
                for each in rule["Transitions"]
            ]
        rules.append(sent)
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _tags(s3: Any, bucket: str, value: list[dict[str, str]]) -> None:
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": value})


@resource("AWS::S3::BucketPolicy")
class BucketPolicy:
    """The policy of a bucket; the bucket's name is its id."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        BucketPolicy.update(aws, properties["Bucket"], {}, properties)
        return properties["Bucket"], {}

    @staticmethod
    def update(aws: _Aws, bucket: str, old: _Properties, new: _Properties) -> None:
        aws("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(new["PolicyDocument"]))

    @staticmethod
    def delete(aws: _Aws, bucket: str, properties: _Properties) -> None:
        aws("s3").delete_bucket_policy(Bucket=bucket)


@resource("AWS::Logs::LogGroup")
class LogGroup:
    """A log group, with how long it keeps its lines."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        logs = aws("logs")
        group = properties.get("LogGroupName", name)
        tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
        logs.create_log_group(logGroupName=group, **({"tags": tags} if tags else {}))
        LogGroup.update(aws, group, {}, properties)
        found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return group, {"Arn": next(g["arn"] for g in found if g["logGroupName"] == group)}

    @staticmethod
    def update(aws: _Aws, group: str, old: _Properties, new: _Properties) -> None:
        if "RetentionInDays" in new:
            days = new["RetentionInDays"]
            aws("logs").put_retention_policy(logGroupName=group, retentionInDays=days)

    @staticmethod
    def delete(aws: _Aws, group: str, properties: _Properties) -> None:
        aws("logs").delete_log_group(logGroupName=group)
