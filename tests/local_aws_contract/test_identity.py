"""STS and IAM as a client sees them: who I am, whom I may become, what a policy allows."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.inventory import take

ACCOUNT = "123456789012"
ROLE_NAME = "AmazonSageMaker-ExecutionRole-20260101T000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/{ROLE_NAME}"


def refused(code):
    return pytest.raises(ClientError, match=rf"\({code}\)")


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2)


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def trust(principal, **more):
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


@pytest.fixture
def iam(aws):
    return aws.client("iam")


@pytest.fixture
def worker(iam):
    """A role without policies that the notebook may assume."""
    return iam.create_role(
        RoleName="worker", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    )["Role"]["Arn"]


def decisions(answer):
    return {item["EvalActionName"]: item["EvalDecision"] for item in answer["EvaluationResults"]}


# ── who I am ─────────────────────────────────────────────────────────────────────────────────────


def test_caller_is_the_execution_role_as_in_studio(aws):
    identity = aws.client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE_NAME}/SageMaker"
    assert identity["Account"] == ACCOUNT
    assert identity["UserId"].endswith(":SageMaker")


def test_the_execution_role_is_there_after_each_reset(aws):
    for _ in range(2):
        role = aws.client("iam").get_role(RoleName=ROLE_NAME)["Role"]
        assert role["Arn"] == ROLE
        principals = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        assert {"sagemaker.amazonaws.com", "lambda.amazonaws.com"} <= set(principals)
        aws.reset()


def test_sagemaker_sdk_finds_the_role(aws):
    code = (
        "from sagemaker.core.helper.session_helper import get_execution_role;"
        "print(get_execution_role())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=aws.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == ROLE


# ── other roles ──────────────────────────────────────────────────────────────────────────────────


def test_assumed_role_gives_keys_that_work(aws, worker):
    answer = aws.client("sts").assume_role(RoleArn=worker, RoleSessionName="test")
    assert answer["AssumedRoleUser"]["Arn"].endswith("assumed-role/worker/test")
    keys = answer["Credentials"]
    options = {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }
    identity = aws.client("sts", **options).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/test"
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    aws.client("s3", **options).list_buckets()
    aws.reset()
    with refused("InvalidAccessKeyId"):
        aws.client("s3", **options).list_buckets()


def test_assume_role_asks_the_trust_policy(aws, iam):
    sts = aws.client("sts")
    with refused("AccessDenied"):
        sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/nobody", RoleSessionName="test")
    with refused("AccessDenied"):
        sts.assume_role(RoleArn=ROLE, RoleSessionName="test")
    condition = {"StringEquals": {"sts:ExternalId": "42"}}
    iam.create_role(
        RoleName="guarded",
        AssumeRolePolicyDocument=trust({"AWS": ROLE}, Condition=condition),
    )
    arn = f"arn:aws:iam::{ACCOUNT}:role/guarded"
    with refused("AccessDenied"):
        sts.assume_role(RoleArn=arn, RoleSessionName="test")
    sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId="42")


def test_keys_of_a_user_work_until_deleted(aws, iam):
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    options = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }
    sts = aws.client("sts", **options)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ada"
    iam.delete_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"])
    with refused("InvalidClientTokenId"):
        sts.get_caller_identity()


def test_session_tokens_are_not_for_roles(aws):
    with refused("AccessDenied"):
        aws.client("sts").get_session_token()


# ── policies ─────────────────────────────────────────────────────────────────────────────────────


def test_managed_policies_of_aws_can_be_attached(iam, worker):
    arn = "arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole"
    iam.attach_role_policy(RoleName="worker", PolicyArn=arn)
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    content = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert "glue:*" in content["Statement"][0]["Action"]
    answer = iam.simulate_principal_policy(
        PolicySourceArn=worker, ActionNames=["glue:StartCrawler", "iam:CreateUser"]
    )
    assert decisions(answer) == {"glue:StartCrawler": "allowed", "iam:CreateUser": "implicitDeny"}
    with refused("NoSuchEntity"):
        iam.attach_role_policy(RoleName="worker", PolicyArn="arn:aws:iam::aws:policy/NoSuchOne")


def test_local_policies_are_listed_alone(iam):
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert iam.list_policies(Scope="AWS", MaxItems=5)["Policies"]


def test_the_inventory_names_own_policies_alone(aws, iam):
    iam.create_policy(PolicyName="own", PolicyDocument=document(allow("s3:GetObject")))
    iam.list_policies(Scope="AWS")  # puts AWS's own into moto's account
    assert take(aws.client, ["iam"]) == {"iam list_policies": ["own"]}


def test_simulation_of_inline_policies(iam, worker):
    iam.put_role_policy(
        RoleName="worker",
        PolicyName="read",
        PolicyDocument=document(
            allow(["s3:Get*", "s3:ListBucket"], ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]),
            deny("s3:*", "arn:aws:s3:::lake/secret/*"),
        ),
    )
    answer = iam.simulate_principal_policy(
        PolicySourceArn=worker,
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::lake/a.csv", "arn:aws:s3:::lake/secret/a.csv"],
    )
    assert decisions(answer) == {"s3:GetObject": "explicitDeny", "s3:PutObject": "explicitDeny"}
    get = answer["EvaluationResults"][0]
    assert get["EvalResourceName"] == "arn:${Partition}:s3:::${BucketName}/${ObjectName}"
    by_resource = {
        item["EvalResourceName"]: item["EvalResourceDecision"]
        for item in get["ResourceSpecificResults"]
    }
    assert by_resource == {
        "arn:aws:s3:::lake/a.csv": "allowed",
        "arn:aws:s3:::lake/secret/a.csv": "explicitDeny",
    }
    matched = get["ResourceSpecificResults"][0]["MatchedStatements"][0]
    assert matched["SourcePolicyId"] == "read"
    assert matched["StartPosition"]["Line"] < matched["EndPosition"]["Line"]
    assert answer["IsTruncated"] is False


def test_matched_statement_is_where_it_says(iam):
    text = document(deny("s3:*"), allow("glue:GetTable"))
    answer = iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=["glue:GetTable"])
    matched = answer["EvaluationResults"][0]["MatchedStatements"][0]
    assert matched["SourcePolicyId"] == "PolicyInputList.1"
    lines = text.splitlines()
    first, last = matched["StartPosition"], matched["EndPosition"]
    assert lines[first["Line"] - 1][first["Column"] - 1] == "{"
    part = "\n".join(lines[first["Line"] - 1 : last["Line"]])
    assert json.loads(part.strip().rstrip(",")) == allow("glue:GetTable")


@pytest.mark.parametrize(
    ("statement", "context", "expected"),
    [
        (allow("athena:*"), {}, "allowed"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, {}, "allowed"),
        ({"Effect": "Allow", "NotAction": "athena:*", "Resource": "*"}, {}, "implicitDeny"),
        (allow("ATHENA:startqueryexecution"), {}, "allowed"),
        (
            allow("*", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
            {"aws:RequestedRegion": "eu-west-1"},
            "allowed",
        ),
        (
            allow("*", Condition={"StringEquals": {"aws:RequestedRegion": ["a", "b"]}}),
            {"aws:requestedregion": "c"},
            "implicitDeny",
        ),
        (
            deny("*", Condition={"Bool": {"aws:SecureTransport": "false"}}),
            {"aws:SecureTransport": "false"},
            "explicitDeny",
        ),
        (allow("*", Condition={"StringLike": {"aws:userid": "AROA*"}}), {}, "implicitDeny"),
        (allow("*", Condition={"StringLikeIfExists": {"aws:userid": "AROA*"}}), {}, "allowed"),
        (allow("*", Condition={"StringNotEquals": {"aws:userid": "x"}}), {}, "allowed"),
        (allow("*", Condition={"Null": {"aws:TagKeys": "true"}}), {}, "allowed"),
        (
            allow("*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            {"aws:SourceIp": "10.1.2.3"},
            "allowed",
        ),
        (
            allow("*", Condition={"NumericLessThan": {"s3:max-keys": "10"}}),
            {"s3:max-keys": "11"},
            "implicitDeny",
        ),
        (
            allow("*", Condition={"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}),
            {"aws:CurrentTime": "2026-11-22T00:00:00Z"},
            "allowed",
        ),
    ],
)
def test_statements(iam, statement, context, expected):
    entries = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in context.items()
    ]
    answer = iam.simulate_custom_policy(
        PolicyInputList=[document(statement)],
        ActionNames=["athena:StartQueryExecution"],
        ContextEntries=entries,
    )
    assert decisions(answer) == {"athena:StartQueryExecution": expected}


def test_missing_context_is_named(iam):
    condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    text = document(allow("*", Condition=condition))
    answer = iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=["s3:GetObject"])
    assert answer["EvaluationResults"][0]["MissingContextValues"] == ["aws:RequestedRegion"]
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=[text])["ContextKeyNames"]
    assert keys == ["aws:RequestedRegion"]


def test_permissions_boundary(iam):
    boundary = iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("s3:*")))
    arn = boundary["Policy"]["Arn"]
    role = iam.create_role(
        RoleName="bounded",
        AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"}),
        PermissionsBoundary=arn,
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName="bounded", PolicyName="all", PolicyDocument=document(allow("*")))
    answer = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["s3:GetObject", "glue:GetTable"]
    )
    assert decisions(answer) == {"s3:GetObject": "allowed", "glue:GetTable": "implicitDeny"}
    detail = answer["EvaluationResults"][1]["PermissionsBoundaryDecisionDetail"]
    assert detail == {"AllowedByPermissionsBoundary": False}


def test_policies_of_a_group_count_for_its_users(iam):
    iam.create_group(GroupName="analysts")
    iam.create_user(UserName="ada")
    iam.add_user_to_group(GroupName="analysts", UserName="ada")
    iam.put_group_policy(
        GroupName="analysts", PolicyName="query", PolicyDocument=document(allow("athena:*"))
    )
    answer = iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/ada", ActionNames=["athena:GetQueryResults"]
    )
    assert decisions(answer) == {"athena:GetQueryResults": "allowed"}


def test_pages(iam):
    actions = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[document(allow("*"))],
        ActionNames=actions,
        PaginationConfig={"PageSize": 2},
    )
    pages = list(pages)
    assert [page["IsTruncated"] for page in pages] == [True, False]
    assert [r["EvalActionName"] for page in pages for r in page["EvaluationResults"]] == actions


def test_bad_input(iam):
    with refused("NoSuchEntity"):
        iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/nobody", ActionNames=["s3:GetObject"]
        )
    with refused("InvalidInput"):
        iam.simulate_custom_policy(PolicyInputList=["{"], ActionNames=["s3:GetObject"])
    with refused("InvalidInput"):
        iam.simulate_custom_policy(
            PolicyInputList=[document(allow("*"))], ActionNames=["s3:NoSuchAction"]
        )
