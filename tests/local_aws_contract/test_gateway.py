"""What the gateway promises for every service: who is served, what is refused and recorded."""

from __future__ import annotations

import http.client
from urllib.parse import urlparse

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS


def _request(aws: LocalAWS, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    address = urlparse(aws.environ["AWS_ENDPOINT_URL"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def _signed(aws: LocalAWS) -> str:
    scope = f"{aws.environ['AWS_ACCESS_KEY_ID']}/20260101/us-east-1/s3/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def test_a_signed_request_is_answered(aws: LocalAWS) -> None:
    assert _request(aws, Authorization=_signed(aws)).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "https://evil.example"}],
)
def test_a_request_that_a_web_page_could_send_is_refused(
    aws: LocalAWS, headers: dict[str, str]
) -> None:
    response = _request(aws, Authorization=_signed(aws), **headers)
    assert response.status == 403
    assert b"Only local AWS clients" in response.read()


def test_a_request_without_signature_is_refused(aws: LocalAWS) -> None:
    assert _request(aws).status == 403


@pytest.mark.parametrize("service", ["s3", "sts", "sagemaker", "lambda"])
def test_another_access_key_is_refused_by_every_service(aws: LocalAWS, service: str) -> None:
    client = boto3.client(
        service,
        endpoint_url=aws.environ["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="x",
    )
    call = {
        "s3": "list_buckets",
        "sts": "get_caller_identity",
        "sagemaker": "list_models",
        "lambda": "list_functions",
    }[service]
    with pytest.raises(ClientError) as refused:
        getattr(client, call)()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("path", ["/local-aws/journal", "/local-aws/reset", "/moto-api/reset"])
def test_the_controls_ask_for_their_key(aws: LocalAWS, path: str) -> None:
    assert _request(aws, path).status == 403
    assert _request(aws, path, X_Local_AWS_Key=aws.environ["LOCAL_AWS_KEY"]).status == 200


def test_the_server_listens_on_the_loopback_address_only(aws: LocalAWS) -> None:
    import psutil

    listening = [
        connection.laddr.ip
        for connection in psutil.Process(aws.pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_what_nobody_implements_is_refused_by_name(aws: LocalAWS) -> None:
    with pytest.raises(ClientError, match="glue:SearchTables") as refused:
        aws.client("glue").search_tables()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert refused.value.response["Error"]["Code"] == "NotImplemented"


def test_a_service_that_moto_does_not_know_is_refused_by_name(aws: LocalAWS) -> None:
    with pytest.raises(ClientError, match="rbin:ListRules"):
        aws.client("rbin").list_rules(ResourceType="EBS_SNAPSHOT")


def test_a_retired_service_refuses(aws: LocalAWS) -> None:
    with pytest.raises(ClientError, match="ended on 2026-10-07") as refused:
        aws.client("lookoutequipment").list_datasets()
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_name_that_breaks_the_pattern_is_refused_in_the_words_of_aws(aws: LocalAWS) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("sagemaker").create_model(
            ModelName="under_score", ExecutionRoleArn="arn:aws:iam::123456789012:role/a-role"
        )
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(
        "1 validation error detected: Value 'under_score' at 'modelName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
    )


def test_every_parameter_at_fault_is_named(aws: LocalAWS) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("sagemaker").create_endpoint_config(
            EndpointConfigName="x" * 90,
            ProductionVariants=[
                {
                    "VariantName": "v",
                    "ModelName": "m",
                    "InstanceType": "ml.bogus",
                    "InitialInstanceCount": 1,
                }
            ],
        )
    message = refused.value.response["Error"]["Message"]
    assert "'endpointConfigName'" in message
    assert "'productionVariants.1.member.instanceType'" in message


def test_the_journal_has_every_call_and_how_it_went(aws: LocalAWS) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="journal-test")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="journal-test", Key="nothing")
    made, missed = aws.journal()
    assert (made["service"], made["operation"], made["error"]) == ("s3", "CreateBucket", None)
    assert made["params"]["Bucket"] == "journal-test"
    assert (missed["operation"], missed["error"], missed["status"]) == (
        "GetObject",
        "NoSuchKey",
        404,
    )
    assert {entry["caller"] for entry in (made, missed)} == {"notebook"}


def test_a_reset_empties_the_account_and_its_journal(aws: LocalAWS) -> None:
    aws.client("s3").create_bucket(Bucket="soon-gone")
    aws.reset()
    assert aws.journal() == []
    assert aws.inventory() == {}


def test_ids_are_the_same_in_every_fresh_account(aws: LocalAWS) -> None:
    def key_id() -> str:
        aws.reset()
        return aws.client("kms").create_key()["KeyMetadata"]["KeyId"]

    assert key_id() == key_id()


def test_metadata_keys_keep_their_underscores(aws: LocalAWS) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="metadata")
    s3.put_object(Bucket="metadata", Key="k", Body=b"", Metadata={"my_key": "1"})
    found = s3.head_object(Bucket="metadata", Key="k")["Metadata"]
    assert found == {"my_key": "1"}


def test_faults_come_in_the_words_of_the_service() -> None:
    from botocore.config import Config

    once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    with LocalAWS(faults="throttle=1") as aws:
        for service, call, code in [
            ("s3", "list_buckets", "SlowDown"),
            ("lambda", "list_functions", "TooManyRequestsException"),
            ("sagemaker", "list_models", "ThrottlingException"),
        ]:
            with pytest.raises(ClientError) as refused:
                getattr(aws.client(service, config=once), call)()
            assert refused.value.response["Error"]["Code"] == code


def test_a_client_with_retries_survives_faults() -> None:
    from botocore.config import Config

    patient = Config(retries={"total_max_attempts": 8, "mode": "standard"})
    with LocalAWS(faults="throttle=0.2,error=0.1") as aws:
        s3 = aws.client("s3", config=patient)
        s3.create_bucket(Bucket="stormy")
        for number in range(20):
            s3.put_object(Bucket="stormy", Key=str(number), Body=b"x")
        errors = [entry["error"] for entry in aws.journal()]
        assert s3.list_objects_v2(Bucket="stormy")["KeyCount"] == 20
    assert {"SlowDown", "InternalError"} <= set(errors)
