"""S3 as a client sees it, where it is more than a store: digests, policies, URLs, events."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import json
import time
import urllib.error
import urllib.request
import zlib

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS

ACCOUNT = "123456789012"
BUCKET = "flights-lake"
ROLE_NAME = "AmazonSageMaker-ExecutionRole-20260101T000000"


@pytest.fixture
def s3(aws):
    client = aws.client("s3", config=Config(retries={"total_max_attempts": 1}))
    client.create_bucket(Bucket=BUCKET)
    return client


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


def encoded(digest):
    return base64.b64encode(digest).decode()


def read(s3, key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def exists(s3, key):
    return s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["KeyCount"] > 0


def fetch(url, method="GET", data=None):
    """Status and body of a plain HTTP request."""
    request = urllib.request.Request(url, method=method, data=data)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect, action, resource=None, principal="*", **more):
    both = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    return {
        "Effect": effect,
        "Principal": principal,
        "Action": action,
        "Resource": resource or both,
        **more,
    }


# ── digests ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "digest",
    [
        {"ContentMD5": encoded(hashlib.md5(b"other").digest())},
        {"ChecksumCRC32": encoded(zlib.crc32(b"other").to_bytes(4, "big"))},
        {"ChecksumSHA1": encoded(hashlib.sha1(b"other").digest())},
        {"ChecksumSHA256": encoded(hashlib.sha256(b"other").digest())},
    ],
)
def test_wrong_digest_is_refused_and_nothing_is_stored(s3, digest):
    with refused("BadDigest"):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"content", **digest)
    assert not exists(s3, "a")


def test_right_digests_are_accepted_and_given_back(s3):
    body = b"content"
    sha = encoded(hashlib.sha256(body).digest())
    answer = s3.put_object(
        Bucket=BUCKET,
        Key="a",
        Body=body,
        ContentMD5=encoded(hashlib.md5(body).digest()),
        ChecksumSHA256=sha,
    )
    assert answer["ChecksumSHA256"] == sha
    assert s3.head_object(Bucket=BUCKET, Key="a", ChecksumMode="ENABLED")["ChecksumSHA256"] == sha
    crc = encoded(zlib.crc32(body).to_bytes(4, "big"))
    assert s3.put_object(Bucket=BUCKET, Key="b", Body=body)["ChecksumCRC32"] == crc


def test_md5_that_is_none(s3):
    with refused("InvalidDigest"):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"content", ContentMD5="nonsense")


def test_wrong_digest_of_a_part(s3):
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="a", ChecksumAlgorithm="SHA256")
    part = {"Bucket": BUCKET, "Key": "a", "UploadId": upload["UploadId"], "PartNumber": 1}
    with refused("BadDigest"):
        s3.upload_part(
            **part, Body=b"content", ChecksumSHA256=encoded(hashlib.sha256(b"x").digest())
        )
    assert "Parts" not in s3.list_parts(Bucket=BUCKET, Key="a", UploadId=upload["UploadId"])
    s3.upload_part(**part, Body=b"content")


def test_content_that_looks_like_a_checksum(s3):
    body = b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    s3.put_object(Bucket=BUCKET, Key="a", Body=body)
    assert read(s3, "a") == body


def test_large_object_comes_back_whole(s3):
    body = bytes(range(256)) * (20 << 12)
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "large")
    target = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", target)
    assert hashlib.sha256(target.getvalue()).digest() == hashlib.sha256(body).digest()


# ── presigned URLs ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_url(aws, s3, version):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"content")
    signer = aws.client("s3", config=Config(signature_version=version))
    parameters = {"Bucket": BUCKET, "Key": "a"}
    url = signer.generate_presigned_url("get_object", Params=parameters)
    assert fetch(url) == (200, b"content")
    short = signer.generate_presigned_url("get_object", Params=parameters, ExpiresIn=1)
    time.sleep(2.1)
    status, body = fetch(short)
    assert status == 403
    assert b"<Code>AccessDenied</Code><Message>Request has expired</Message>" in body


def test_presigned_upload(aws, s3):
    signer = aws.client("s3", config=Config(signature_version="s3v4"))
    parameters = {"Bucket": BUCKET, "Key": "up"}
    url = signer.generate_presigned_url("put_object", Params=parameters)
    assert fetch(url, "PUT", b"content")[0] == 200
    assert read(s3, "up") == b"content"
    late = signer.generate_presigned_url("put_object", Params=parameters, ExpiresIn=1)
    time.sleep(2.1)
    assert fetch(late, "PUT", b"too late")[0] == 403
    assert read(s3, "up") == b"content"


def test_default_presigned_url_of_boto3_works(s3):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a"})
    assert fetch(url) == (200, b"content")


# ── buckets ──────────────────────────────────────────────────────────────────────────────────────


def test_a_new_bucket_is_private_and_encrypted(s3):
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    controls = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert controls == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    answer = s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    assert answer["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=BUCKET)
    assert s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")["ServerSideEncryption"] == "AES256"


def test_encryption_with_a_key(aws, s3):
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    kept = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert kept == [rule]
    answer = s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", key)


def test_acls_are_not_allowed_unless_asked_for(s3):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    with refused("AccessControlListNotSupported"):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"x", ACL="public-read")
    with refused("AccessControlListNotSupported"):
        s3.put_object_acl(Bucket=BUCKET, Key="a", ACL="public-read")
    s3.put_bucket_ownership_controls(
        Bucket=BUCKET,
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    )
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x", ACL="public-read")


@pytest.mark.parametrize("name", ["Upper-Case", "under_score", "a..b", "-first", "10.0.0.1"])
def test_bucket_names(aws, name):
    from botocore.handlers import validate_bucket_name

    client = aws.client("s3", region_name="us-east-1")
    client.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    with refused("InvalidBucketName"):
        client.create_bucket(Bucket=name)


def test_lifecycle_versioning_and_tags_come_back(s3):
    rules = [
        {
            "ID": "tiers",
            "Status": "Enabled",
            "Filter": {"Prefix": "raw/"},
            "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
            "Expiration": {"Days": 365},
        },
        {
            "ID": "clean",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"] == rules
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    first = s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"2")
    old = s3.get_object(Bucket=BUCKET, Key="a", VersionId=first)["Body"].read()
    assert (old, read(s3, "a")) == (b"1", b"2")
    tags = [{"Key": "stage", "Value": "raw"}]
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == tags


@pytest.mark.parametrize("bucket", [BUCKET, "another-bucket"])
def test_settings_that_are_not_kept_are_refused(s3, bucket):
    with refused("NotImplemented"):
        s3.put_bucket_metrics_configuration(
            Bucket=bucket, Id="all", MetricsConfiguration={"Id": "all"}
        )
    with refused("NotImplemented"):
        s3.put_bucket_intelligent_tiering_configuration(
            Bucket=bucket,
            Id="all",
            IntelligentTieringConfiguration={
                "Id": "all",
                "Status": "Enabled",
                "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}],
            },
        )
    with refused("NotImplemented"):
        s3.delete_bucket_metrics_configuration(Bucket=bucket, Id="all")
    assert [item["Name"] for item in s3.list_buckets()["Buckets"]] == [BUCKET]


def test_s3_select_is_closed(s3):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"a,b\n1,2\n")
    with refused("MethodNotAllowed"):
        s3.select_object_content(
            Bucket=BUCKET,
            Key="a",
            Expression="SELECT * FROM s3object",
            ExpressionType="SQL",
            InputSerialization={"CSV": {}},
            OutputSerialization={"CSV": {}},
        )


# ── bucket policies ──────────────────────────────────────────────────────────────────────────────


def test_tls_only_policy_does_not_lock_out(s3):
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    policy = document(statement("Deny", "s3:*", Condition=condition))
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"content")
    assert read(s3, "a") == b"content"
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]) == json.loads(policy)


def test_deny_of_one_action(s3):
    s3.put_object(Bucket=BUCKET, Key="kept/a", Body=b"content")
    deny = statement("Deny", "s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/kept/*")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(deny))
    with refused("AccessDenied"):
        s3.delete_object(Bucket=BUCKET, Key="kept/a")
    assert read(s3, "kept/a") == b"content"
    s3.put_object(Bucket=BUCKET, Key="other", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="other")


def test_deny_of_uploads_without_a_header(s3):
    condition = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
    s3.put_bucket_policy(
        Bucket=BUCKET, Policy=document(statement("Deny", "s3:PutObject", Condition=condition))
    )
    with refused("AccessDenied"):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x", ServerSideEncryption="aws:kms")


def test_deny_for_somebody_else_only(aws, s3):
    role = f"arn:aws:iam::{ACCOUNT}:role/service-role/{ROLE_NAME}"
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    other = statement(
        "Deny", "s3:GetObject", principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}
    )
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(other))
    assert read(s3, "a") == b"x"
    mine = statement("Deny", ["s3:GetObject", "s3:ListBucket"], principal={"AWS": role})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(mine))
    with refused("AccessDenied"):
        read(s3, "a")
    with refused("AccessDenied"):
        s3.list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        document({"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}"}),
        document(statement("Allow", "s3:*", "arn:aws:s3:::another-bucket/*")),
    ],
)
def test_malformed_policies(s3, policy):
    with refused("MalformedPolicy"):
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)


def test_public_policy_is_blocked_until_that_is_lifted(s3):
    public = document(statement("Allow", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/*"))
    with refused("AccessDenied"):
        s3.put_bucket_policy(Bucket=BUCKET, Policy=public)
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=public)
    assert s3.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"]["IsPublic"] is True


# ── events ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def inbox(aws, s3):
    """Reads what S3 has sent to the queue since."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:inbox"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(allowed)})
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"Id": "q", "QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
            ]
        },
    )

    def receive():
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        bodies = [json.loads(message["Body"]) for message in messages]
        return [record for body in bodies for record in body.get("Records", [])]

    assert receive() == []
    return receive


def test_record_of_an_upload(s3, inbox):
    key = "raw data/year=2015/ä+b.csv"
    body = b"content"
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    (record,) = inbox()
    assert record["eventVersion"] == "2.1"
    assert record["eventSource"] == "aws:s3"
    assert record["awsRegion"] == "us-east-1"
    assert record["eventName"] == "ObjectCreated:Put"
    at = datetime.datetime.fromisoformat(record["eventTime"])
    assert abs(at.timestamp() - time.time()) < 60
    principal = record["userIdentity"]["principalId"]
    assert principal.startswith("AWS:AROA") and principal.endswith(":SageMaker")
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert set(record["responseElements"]) == {"x-amz-request-id", "x-amz-id-2"}
    content = record["s3"]
    assert (content["s3SchemaVersion"], content["configurationId"]) == ("1.0", "q")
    assert content["bucket"]["name"] == BUCKET
    assert content["bucket"]["arn"] == f"arn:aws:s3:::{BUCKET}"
    about = content["object"]
    assert about["key"] == "raw+data/year%3D2015/%C3%A4%2Bb.csv"
    assert about["size"] == len(body)
    assert about["eTag"] == hashlib.md5(body).hexdigest()
    assert "versionId" not in about
    assert int(about["sequencer"], 16) > 0


def test_names_of_events(s3, inbox):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    s3.copy_object(Bucket=BUCKET, Key="b", CopySource=f"{BUCKET}/a")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="c")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="c", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(
        Bucket=BUCKET,
        Key="c",
        UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )
    s3.delete_object(Bucket=BUCKET, Key="a")
    records = inbox()
    assert sorted((r["s3"]["object"]["key"], r["eventName"]) for r in records) == [
        ("a", "ObjectCreated:Put"),
        ("a", "ObjectRemoved:Delete"),
        ("b", "ObjectCreated:Copy"),
        ("c", "ObjectCreated:CompleteMultipartUpload"),
    ]
    removed = next(r for r in records if r["eventName"] == "ObjectRemoved:Delete")
    assert set(removed["s3"]["object"]) == {"key", "sequencer"}
    sequence = sorted(records, key=lambda record: record["s3"]["object"]["sequencer"])
    assert sequence[0]["s3"]["object"]["key"] == "a"
    assert sequence[-1]["eventName"] == "ObjectRemoved:Delete"


def test_version_in_the_record(s3, inbox):
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")["VersionId"]
    assert [record["s3"]["object"]["versionId"] for record in inbox()] == [version]


def test_notification_target_must_let_s3_in(aws, s3):
    aws.client("sqs").create_queue(QueueName="closed")
    for name in ("closed", "nobody"):
        configuration = {
            "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
            "Events": ["s3:ObjectCreated:*"],
        }
        with refused("InvalidArgument"):
            s3.put_bucket_notification_configuration(
                Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [configuration]}
            )


def test_event_bridge(aws, s3):
    logs, events = aws.client("logs"), aws.client("events")
    logs.create_log_group(logGroupName="/aws/events/s3")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "arn:aws:logs:us-east-1:*:log-group:/aws/events/*:*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    logs.put_resource_policy(policyName="events", policyDocument=document)
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [BUCKET]}}}
    events.put_rule(Name="uploads", EventPattern=json.dumps(pattern))
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/events/s3"
    events.put_targets(Rule="uploads", Targets=[{"Id": "log", "Arn": arn}])
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_object(Bucket=BUCKET, Key="a b", Body=b"content")
    found = logs.filter_log_events(logGroupName="/aws/events/s3")["events"]
    assert len(found) == 1
    event = json.loads(found[0]["message"])
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["object"]["key"] == "a b"
    assert event["detail"]["object"]["size"] == 7
    assert event["detail"]["reason"] == "PutObject"


def test_a_bucket_that_may_not_be_listed_may_not_be_asked_for(aws: LocalAWS) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="closed")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket"}
    document = {
        "Version": "2012-10-17",
        "Statement": [statement | {"Resource": "arn:aws:s3:::closed"}],
    }
    s3.put_bucket_policy(Bucket="closed", Policy=json.dumps(document))
    with pytest.raises(ClientError) as refused:
        s3.head_bucket(Bucket="closed")
    assert refused.value.response["Error"]["Code"] == "403"
