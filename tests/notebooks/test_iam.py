"""The policy check: what calls need, and policies that allow too little or too much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_aws.account import EXECUTION_ROLE_ARN, EXECUTION_ROLE_NAME

from .iam import Need, check, least_policy, needs

ARN = "arn:aws:{}:us-east-1:123456789012:{}"


def call(service: str, operation: str, *, error: str | None = None, **params: Any) -> dict:
    """An entry of the journal."""
    return {
        "service": service,
        "operation": operation,
        "params": params,
        "region": "us-east-1",
        "caller": "notebook",
        "status": 200,
        "error": error,
        "time": 0.0,
    }


def policy(*statements: dict[str, Any]) -> str:
    """A policy document of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | list[str], resources: str | list[str], **more: Any) -> dict[str, Any]:
    """A statement that allows actions on resources."""
    return {"Sid": "One", "Effect": "Allow", "Action": actions, "Resource": resources, **more}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (call("s3", "ListBuckets"), {Need("s3:ListAllMyBuckets", "*")}),
        (call("s3", "ListObjectsV2", Bucket="b"), {Need("s3:ListBucket", "arn:aws:s3:::b")}),
        (call("s3", "HeadBucket", Bucket="b"), {Need("s3:ListBucket", "arn:aws:s3:::b")}),
        (
            call("s3", "HeadObject", Bucket="b", Key="k/x"),
            {Need("s3:GetObject", "arn:aws:s3:::b/k/x")},
        ),
        (
            call("s3", "GetObject", Bucket="b", Key="k", VersionId="1"),
            {Need("s3:GetObjectVersion", "arn:aws:s3:::b/k")},
        ),
        (
            call("s3", "DeleteObjects", Bucket="b", Delete={"Objects": [{"Key": "1"}]}),
            {Need("s3:DeleteObject", "arn:aws:s3:::b/1")},
        ),
        (
            call("s3", "CopyObject", Bucket="b", Key="k", CopySource="a/j"),
            {
                Need("s3:PutObject", "arn:aws:s3:::b/k"),
                Need("s3:GetObject", "arn:aws:s3:::a/j"),
            },
        ),
        (
            call("s3", "UploadPart", Bucket="b", Key="k"),
            {Need("s3:PutObject", "arn:aws:s3:::b/k")},
        ),
        (
            call("s3", "PutBucketLifecycleConfiguration", Bucket="b"),
            {Need("s3:PutLifecycleConfiguration", "arn:aws:s3:::b")},
        ),
        (
            call("s3", "PutPublicAccessBlock", Bucket="b"),
            {Need("s3:PutBucketPublicAccessBlock", "arn:aws:s3:::b")},
        ),
        (
            call("s3", "DeleteBucketCors", Bucket="b"),
            {Need("s3:PutBucketCORS", "arn:aws:s3:::b")},
        ),
        (call("sts", "GetCallerIdentity"), set()),
        (
            call("sagemaker", "CreateModel", ModelName="M", ExecutionRoleArn=EXECUTION_ROLE_ARN),
            {
                Need("sagemaker:CreateModel", ARN.format("sagemaker", "model/m")),
                Need("iam:PassRole", EXECUTION_ROLE_ARN, "sagemaker.amazonaws.com"),
            },
        ),
        (
            call("sagemaker", "CreateEndpoint", EndpointName="e", EndpointConfigName="c"),
            {
                Need("sagemaker:CreateEndpoint", ARN.format("sagemaker", "endpoint/e")),
                Need("sagemaker:CreateEndpoint", ARN.format("sagemaker", "endpoint-config/c")),
            },
        ),
        (
            call("sagemaker", "CreateEndpointConfig", EndpointConfigName="c", Tags=[{"Key": "k"}]),
            {
                Need(
                    "sagemaker:CreateEndpointConfig",
                    ARN.format("sagemaker", "endpoint-config/c"),
                ),
                Need("sagemaker:AddTags", ARN.format("sagemaker", "endpoint-config/c")),
            },
        ),
        (
            call("sagemaker", "CreateMlflowApp", Name="m", Tags=[{"Key": "k"}]),
            {
                Need("sagemaker:CreateMlflowApp", ARN.format("sagemaker", "mlflow-app/app-*")),
                Need("sagemaker:AddTags", ARN.format("sagemaker", "mlflow-app/app-*")),
            },
        ),
        (
            call("sagemaker", "CallMlflowAppApi", Arn=ARN.format("sagemaker", "mlflow-app/app-A")),
            {Need("sagemaker:CallMlflowAppApi", ARN.format("sagemaker", "mlflow-app/app-A"))},
        ),
        (
            call("sagemaker-runtime", "InvokeEndpoint", EndpointName="e"),
            {Need("sagemaker:InvokeEndpoint", ARN.format("sagemaker", "endpoint/e"))},
        ),
        (
            call("sagemaker", "ListTags", ResourceArn=ARN.format("sagemaker", "model/m")),
            {Need("sagemaker:ListTags", ARN.format("sagemaker", "model/m"))},
        ),
        (call("sagemaker", "ListTrainingJobs"), {Need("sagemaker:ListTrainingJobs", "*")}),
        (
            call("lambda", "Invoke", FunctionName=ARN.format("lambda", "function:f")),
            {Need("lambda:InvokeFunction", ARN.format("lambda", "function:f"))},
        ),
        (
            call("glue", "GetTable", DatabaseName="d", Name="t"),
            {
                Need("glue:GetTable", ARN.format("glue", "catalog")),
                Need("glue:GetTable", ARN.format("glue", "database/d")),
                Need("glue:GetTable", ARN.format("glue", "table/d/t")),
            },
        ),
        (
            call("glue", "CreateDatabase", DatabaseInput={"Name": "d"}),
            {
                Need("glue:CreateDatabase", ARN.format("glue", "catalog")),
                Need("glue:CreateDatabase", ARN.format("glue", "database/d")),
            },
        ),
        (
            call("glue", "StartCrawler", Name="c"),
            {Need("glue:StartCrawler", ARN.format("glue", "crawler/c"))},
        ),
        (
            call("glue", "CreateCrawler", Name="c", Role=EXECUTION_ROLE_NAME),
            {
                Need("glue:CreateCrawler", "*"),
                Need("iam:PassRole", EXECUTION_ROLE_ARN, "glue.amazonaws.com"),
            },
        ),
        (
            call("athena", "StartQueryExecution", WorkGroup="w"),
            {Need("athena:StartQueryExecution", ARN.format("athena", "workgroup/w"))},
        ),
        (
            call("athena", "StartQueryExecution"),
            {Need("athena:StartQueryExecution", ARN.format("athena", "workgroup/primary"))},
        ),
        (
            call("athena", "GetQueryExecution", QueryExecutionId="q"),
            {Need("athena:GetQueryExecution", "")},
        ),
        (
            call("logs", "GetLogEvents", logGroupName="/g", logStreamName="s"),
            {Need("logs:GetLogEvents", ARN.format("logs", "log-group:/g:log-stream:s"))},
        ),
        (
            call("logs", "DescribeLogStreams", logGroupName="/g"),
            {Need("logs:DescribeLogStreams", ARN.format("logs", "log-group:/g:*"))},
        ),
        (
            call("cloudwatch", "PutMetricData", Namespace="n"),
            {Need("cloudwatch:PutMetricData", "*")},
        ),
        (
            call(
                "stepfunctions",
                "StartExecution",
                stateMachineArn=ARN.format("states", "stateMachine:m"),
            ),
            {Need("states:StartExecution", ARN.format("states", "stateMachine:m"))},
        ),
        (
            call("iam", "GetRole", RoleName=EXECUTION_ROLE_NAME),
            {Need("iam:GetRole", EXECUTION_ROLE_ARN)},
        ),
    ],
    ids=lambda value: f"{value['service']}-{value['operation']}" if isinstance(value, dict) else "",
)
def test_a_call_needs_these_actions(entry: dict[str, Any], expected: set[Need]) -> None:
    assert needs([entry]) == expected


def test_a_role_pulls_the_image_of_its_job_and_sends_metrics() -> None:
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
    found = needs(
        [
            {
                "service": "sagemaker",
                "operation": "CreateModel",
                "params": {"ModelName": "m", "PrimaryContainer": {"Image": uri}},
                "region": "us-east-1",
                "caller": "notebook",
                "status": 200,
                "error": None,
            }
        ]
    )
    assert Need("ecr:BatchGetImage", "arn:aws:ecr:*:*:repository/sagemaker-xgboost") in found
    assert Need("ecr:GetAuthorizationToken", "*") in found
    assert Need("cloudwatch:PutMetricData", "*") in found


def test_a_querys_workgroup_is_known_from_its_start() -> None:
    later = call("athena", "GetQueryExecution", QueryExecutionId="q")
    found = needs([call("athena", "StartQueryExecution", WorkGroup="w"), later])
    assert Need("athena:GetQueryExecution", ARN.format("athena", "workgroup/w")) in found


def test_a_refused_call_needs_nothing() -> None:
    denied = call("s3", "GetObject", Bucket="b", Key="k", error="AccessDenied")
    absent = call("s3", "GetObject", Bucket="b", Key="k", error="NoSuchKey")
    assert needs([denied]) == set()
    assert needs([absent]) == {Need("s3:GetObject", "arn:aws:s3:::b/k")}


def test_calls_of_a_role_that_the_notebook_made_are_that_roles_business() -> None:
    made = call("iam", "CreateRole", RoleName="reader", Path="/lake/")
    of_role = {**call("s3", "ListBuckets"), "caller": "reader/session"}
    of_job = {**call("s3", "ListBuckets"), "caller": "flights-job"}
    role = "arn:aws:iam::123456789012:role/lake/reader"
    assert needs([made, of_role]) == {Need("iam:CreateRole", role)}
    assert Need("s3:ListAllMyBuckets", "*") in needs([made, of_job])


@pytest.mark.parametrize(
    ("role", "is_notebooks"),
    [(EXECUTION_ROLE_ARN, True), ("arn:aws:iam::123456789012:role/curator", False)],
)
def test_calls_of_a_function_with_a_role_of_its_own_are_that_roles_business(
    role: str, is_notebooks: bool
) -> None:
    made = call("lambda", "CreateFunction", FunctionName="curate", Role=role)
    of_function = {**call("s3", "ListBuckets"), "caller": "function curate"}
    assert (Need("s3:ListAllMyBuckets", "*") in needs([made, of_function])) is is_notebooks


def test_a_layer_must_be_allowed_too() -> None:
    layer = "arn:aws:lambda:us-east-1:336392948345:layer:AWSSDKPandas-Python313:5"
    made = call("lambda", "CreateFunction", FunctionName="f", Layers=[layer])
    assert Need("lambda:GetLayerVersion", layer) in needs([made])


def test_queues_are_known_by_their_address_and_alarms_by_their_names() -> None:
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/failures"
    receive = call("sqs", "ReceiveMessage", QueueUrl=url)
    look = call("cloudwatch", "DescribeAlarms", AlarmNames=["a", "b"])
    assert needs([receive]) == {Need("sqs:ReceiveMessage", ARN.format("sqs", "failures"))}
    alarms = {ARN.format("cloudwatch", f"alarm:{name}") for name in "ab"}
    assert needs([look]) == {Need("cloudwatch:DescribeAlarms", arn) for arn in alarms}


def test_a_log_group_with_tags_needs_the_action_that_replaced_tag_log_group() -> None:
    made = call("logs", "CreateLogGroup", logGroupName="/g", tags={"project": "p"})
    actions = {need.action for need in needs([made])}
    assert actions == {"logs:CreateLogGroup", "logs:TagResource"}


def test_a_key_of_aws_is_nothing_to_ask_for() -> None:
    made = call("kinesis", "StartStreamEncryption", StreamName="s", KeyId="alias/aws/kinesis")
    stream = ARN.format("kinesis", "stream/s")
    assert needs([made]) == {Need("kinesis:StartStreamEncryption", stream)}


def test_a_budget_is_named_within_the_request_and_tagged_beside_it() -> None:
    budget = {"BudgetName": "monthly"}
    made = call("budgets", "CreateBudget", Budget=budget, ResourceTags=[{"Key": "k", "Value": "v"}])
    arn = "arn:aws:budgets::123456789012:budget/monthly"
    actions = {"budgets:ModifyBudget", "budgets:TagResource"}
    assert needs([made]) == {Need(action, arn) for action in actions}
    listed = call("budgets", "DescribeBudgets", AccountId="123456789012")
    assert needs([listed]) == {Need("budgets:ViewBudget", arn.replace("monthly", "*"))}


def test_a_role_in_a_path_is_tagged_there() -> None:
    tags = [{"Key": "k", "Value": "v"}]
    made = call("iam", "CreateRole", RoleName="r", Path="/service-role/", Tags=tags)
    arn = "arn:aws:iam::123456789012:role/service-role/r"
    assert Need("iam:TagRole", arn) in needs([made])


def test_an_operation_without_a_known_action_is_named() -> None:
    with pytest.raises(ValueError, match="s3:NoSuchOperation"):
        needs([call("s3", "NoSuchOperation")])


READ = [
    call("s3", "GetObject", Bucket="flights-0a1b2c3d", Key="raw/x.csv"),
    call("s3", "PutObject", Bucket="flights-0a1b2c3d", Key="raw/x.csv"),
]
OBJECTS = "arn:aws:s3:::flights-*/*"


def test_a_policy_that_equals_the_calls_passes() -> None:
    assert check(policy(allow(["s3:GetObject", "s3:PutObject"], OBJECTS)), READ) == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (allow("s3:GetObject", OBJECTS), "s3:PutObject is called on"),
        (allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], OBJECTS), "s3:DeleteObject"),
        (
            allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::lake-*/*"),
            "s3:GetObject is called",
        ),
        (allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::flights-*"[:-2]), "not allowed"),
        (
            allow(["s3:GetObject", "s3:PutObject"], [OBJECTS, "arn:aws:s3:::other-*/*"]),
            "no call needs the resource arn:aws:s3:::other-*/*",
        ),
        (allow(["s3:GetObject", "s3:PutObject"], "*"), "limit it to arn:aws:s3:::flights"),
        (allow("s3:*", OBJECTS), "s3:* has a wildcard"),
        ({"Effect": "Allow", "NotAction": "s3:X", "Resource": "*"}, "NotAction does not belong"),
        ({"Effect": "Allow", "Action": "s3:GetObject"}, "Resource is missing"),
        (
            allow(
                ["s3:GetObject", "s3:PutObject"],
                OBJECTS,
                Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
            ),
            "not allowed",
        ),
    ],
)
def test_a_policy_that_differs_fails(statement: dict[str, Any], message: str) -> None:
    assert message in " ".join(check(policy(statement), READ))


def test_what_only_studios_sdk_calls_has_a_statement_of_its_own() -> None:
    needed = allow(["s3:GetObject", "s3:PutObject"], OBJECTS)
    more = allow("s3:DeleteObject", OBJECTS)
    assert check(policy(needed, more), READ)
    assert check(policy(needed, more), READ, exact=False) == []
    assert check(policy(needed, {**more, "Sid": "StudioObjects"}), READ) == []
    assert check(policy(more), READ, exact=False)


def test_a_deny_that_hits_a_call_fails() -> None:
    deny = {"Sid": "No", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    allowed = allow(["s3:GetObject", "s3:PutObject"], OBJECTS)
    assert "s3:PutObject is called" in " ".join(check(policy(allowed, deny), READ))


def test_a_role_may_be_passed_to_the_services_that_get_it_and_no_others() -> None:
    journal = [call("sagemaker", "CreateModel", ModelName="m", ExecutionRoleArn=EXECUTION_ROLE_ARN)]
    create = allow("sagemaker:CreateModel", "arn:aws:sagemaker:*:*:model/*")

    def passing(*services: str) -> dict[str, Any]:
        names = [f"{service}.amazonaws.com" for service in services]
        condition = {"StringEquals": {"iam:PassedToService": names}}
        return allow("iam:PassRole", EXECUTION_ROLE_ARN, Condition=condition)

    assert check(policy(create, passing("sagemaker")), journal) == []
    assert "iam:PassRole is called" in " ".join(check(policy(create, passing("glue")), journal))
    both = check(policy(create, passing("sagemaker", "glue")), journal)
    assert both == ["Statement One: no role is passed to glue.amazonaws.com; remove it."]
    assert "iam:PassRole is called" in " ".join(check(policy(create), journal))


def test_a_policy_that_is_no_json_is_reported() -> None:
    assert "cannot be read" in check("{", READ)[0]


def test_the_least_policy_passes_and_holds_no_name_of_this_run() -> None:
    journal = [
        *READ,
        call("s3", "CreateBucket", Bucket="flights-0a1b2c3d"),
        call("s3", "ListBuckets"),
        call("glue", "GetTables", DatabaseName="flights_0a1b2c3d"),
        call("athena", "GetQueryExecution", QueryExecutionId="q"),
        call(
            "sagemaker",
            "CreateTrainingJob",
            TrainingJobName="flights-20261122-101500-123",
            RoleArn=EXECUTION_ROLE_ARN,
            Tags=[{"Key": "project"}],
        ),
        call("logs", "PutLogEvents", logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="a"),
        call("sagemaker", "CreateMlflowApp", Name="flights"),
        call(
            "sagemaker",
            "CallMlflowAppApi",
            Arn=ARN.format("sagemaker", "mlflow-app/app-6UCX73SMHZCF"),
        ),
    ]
    least = least_policy(needs(journal))
    document = json.dumps(least)
    assert check(document, journal) == []
    assert "0a1b2c3d" not in document and "123456789012" not in document
    assert "20261122" not in document and "6UCX73SMHZCF" not in document
    again = json.loads(
        json.dumps(journal).replace("0a1b2c3d", "9f8e7d6c").replace("6UCX73SMHZCF", "ANFQ3RACFV2G")
    )
    assert check(document, again) == []
