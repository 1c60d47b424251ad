"""Chapter 1's scripts: an account prepared, prepared again, and cleared of one project alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.chapters.loading import load
from tests.local_aws.account import ACCOUNT_ID, EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS
from tests.local_aws.policies import ALLOWED, evaluate, parse

_CHAPTER = Path(__file__).parents[2] / "chapter01"
PROJECT = "cloud-native-ml-test"


setup_account = load("chapter01", "setup_account")
cleanup = load("chapter01", "cleanup")


@pytest.fixture
def session(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """A session as a reader's script makes it: everything from the environment."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


def statement(sid: str, size: int = 0) -> dict[str, Any]:
    """A statement about one bucket; its Sid makes it as long as wanted."""
    sid = sid + "x" * size
    return {"Sid": sid, "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}


@pytest.fixture
def settings(session: boto3.Session) -> Any:
    policies = {
        "chapter02": {"Version": "2012-10-17", "Statement": [statement("Two")]},
        "chapter06": {"Version": "2012-10-17", "Statement": [statement("Six")]},
    }
    return setup_account.Settings(ACCOUNT_ID, session.region_name, PROJECT, policies)


def prepare(session: boto3.Session, settings: Any) -> list[str]:
    """Apply what differs; return what that was."""
    found = setup_account.changes(session, settings)
    for change in found:
        change.apply()
    return [change.what for change in found]


# ── set-up ───────────────────────────────────────────────────────────────────────────────────────


def test_comparing_changes_nothing(aws: LocalAWS, session: boto3.Session, settings: Any) -> None:
    before = aws.inventory()
    assert len(setup_account.changes(session, settings)) == 15
    assert aws.inventory() == before


def test_the_second_run_finds_nothing_to_do(session: boto3.Session, settings: Any) -> None:
    assert len(prepare(session, settings)) == 15
    assert prepare(session, settings) == []


def test_the_bucket_is_private_encrypted_versioned_and_tls_only(
    session: boto3.Session, settings: Any
) -> None:
    prepare(session, settings)
    s3 = session.client("s3")
    bucket = {"Bucket": settings.bucket}
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert s3.get_bucket_lifecycle_configuration(**bucket)["Rules"][0]["ID"] == "leftovers-expire"
    policy = json.loads(s3.get_bucket_policy(**bucket)["Policy"])
    assert policy == setup_account.tls_only(settings.bucket)


def test_a_role_is_trusted_on_behalf_of_its_own_account_alone(settings: Any) -> None:
    (allowed,) = setup_account.trust(ACCOUNT_ID)["Statement"]
    assert allowed["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT_ID}}


def test_what_somebody_changed_is_put_right(session: boto3.Session, settings: Any) -> None:
    prepare(session, settings)
    session.client("s3").delete_public_access_block(Bucket=settings.bucket)
    iam = session.client("iam")
    open_door = json.dumps(setup_account.trust("999999999999"))
    iam.update_assume_role_policy(RoleName=settings.role, PolicyDocument=open_door)
    assert prepare(session, settings) == [
        "block public access to it",
        "let SageMaker AI alone take the role on",
    ]
    role = iam.get_role(RoleName=settings.role)["Role"]
    assert role["AssumeRolePolicyDocument"] == setup_account.trust(ACCOUNT_ID)


def test_the_role_loses_what_it_no_longer_needs(session: boto3.Session, settings: Any) -> None:
    prepare(session, settings)
    fewer = replace(settings, policies={"chapter06": settings.policies["chapter06"]})
    (what,) = prepare(session, fewer)
    assert what.startswith(f"detach {PROJECT}-chapter02-1")
    attached = session.client("iam").list_attached_role_policies(RoleName=settings.role)
    names = [each["PolicyName"] for each in attached["AttachedPolicies"]]
    assert names == [f"{PROJECT}-chapter06-1"]


def test_a_policy_can_be_updated_more_often_than_iam_keeps_versions(
    session: boto3.Session, settings: Any
) -> None:
    prepare(session, settings)
    for number in range(7):
        document = {"Version": "2012-10-17", "Statement": [statement(f"Round{number}")]}
        settings = replace(settings, policies={**settings.policies, "chapter06": document})
        assert prepare(session, settings) == [f"update the policy {PROJECT}-chapter06-1"]
    arn = settings.policy_arn(f"{PROJECT}-chapter06-1")
    assert len(session.client("iam").list_policy_versions(PolicyArn=arn)["Versions"]) == 5


def test_the_budget_warns_twice_and_follows_the_settings(
    session: boto3.Session, settings: Any
) -> None:
    prepare(session, settings)
    budgets = session.client("budgets", region_name="us-east-1")
    key = {"AccountId": ACCOUNT_ID, "BudgetName": PROJECT}
    warnings = budgets.describe_notifications_for_budget(**key)["Notifications"]
    assert {each["Threshold"] for each in warnings} == {80.0, 100.0}
    prepare(session, replace(settings, monthly_dollars=35))
    limit = budgets.describe_budget(**key)["Budget"]["BudgetLimit"]
    assert float(limit["Amount"]) == 35


def test_an_address_is_subscribed_once(session: boto3.Session, settings: Any) -> None:
    settings = replace(settings, email="reader@example.com")
    assert any("reader@example.com" in each for each in prepare(session, settings))
    assert prepare(session, settings) == []


def test_a_long_policy_is_cut_into_several(settings: Any) -> None:
    long = {"Version": "2012-10-17", "Statement": [statement(f"S{n}", 900) for n in range(12)]}
    made = setup_account.managed_policies(replace(settings, policies={"chapter09": long}))
    assert list(made) == [f"{PROJECT}-chapter09-1", f"{PROJECT}-chapter09-2"]
    assert [each for document in made.values() for each in document["Statement"]] == long[
        "Statement"
    ]
    for document in made.values():
        assert len(json.dumps(document, separators=(",", ":"))) <= setup_account.POLICY_SIZE


def test_more_policies_than_a_role_holds_are_refused(settings: Any) -> None:
    policies = {f"chapter{n:02}": settings.policies["chapter02"] for n in range(2, 13)}
    with pytest.raises(ValueError, match="11 policies do not fit .* name fewer chapters"):
        setup_account.managed_policies(replace(settings, policies=policies))


def test_a_chapter_without_a_policy_is_named() -> None:
    with pytest.raises(ValueError, match=r"no iam-policy.json in chapter99; there is chapter"):
        setup_account.chapter_policies([99])


def test_the_role_of_a_chapter_can_do_its_work_and_no_more(settings: Any) -> None:
    policies = setup_account.chapter_policies([6])
    made = setup_account.managed_policies(replace(settings, policies=policies))
    statements = [each for name, text in made.items() for each in parse(json.dumps(text), name)]
    job = f"arn:aws:sagemaker:us-east-1:{ACCOUNT_ID}:training-job/cloud-native-ml-ch06-01-x"

    def may(action: str, resource: str) -> bool:
        return evaluate(statements, action, resource, {}).result == ALLOWED

    assert may("sagemaker:CreateTrainingJob", job)
    assert not may("sagemaker:CreateTrainingJob", job.replace("ch06", "ch07"))
    assert not may("iam:CreateUser", f"arn:aws:iam::{ACCOUNT_ID}:user/somebody")


def test_quotas_are_looked_up_by_name(session: boto3.Session) -> None:
    needed = (
        setup_account.Quota("lambda", "Concurrent executions", 10),
        setup_account.Quota("lambda", "No such quota", 1),
    )
    known, unknown = setup_account.quotas(session, needed)
    assert known.enough
    assert known.value and known.value >= 10
    assert unknown.value is None
    assert not unknown.enough


def test_a_dry_run_says_what_it_would_do(
    aws: LocalAWS, session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    before = aws.inventory()
    assert setup_account.main(["--dry-run", "--project", PROJECT, "--chapters", "6"]) == 0
    assert "create the role AmazonSageMaker-ExecutionRole-" in capsys.readouterr().out
    assert aws.inventory() == before


@pytest.mark.parametrize("wrong", [["--project", "My Project"], ["--monthly-dollars", "0"]])
def test_arguments_that_make_no_sense_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        setup_account.main(wrong)


def test_a_bucket_of_somebody_else_stops_the_run(
    session: boto3.Session, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(session, settings)
    policy = setup_account.tls_only(settings.bucket)
    policy["Statement"][0] |= {"Condition": {}, "Action": "s3:ListBucket"}
    session.client("s3").put_bucket_policy(Bucket=settings.bucket, Policy=json.dumps(policy))
    assert setup_account.main(["--project", PROJECT, "--chapters", "6"]) == 1
    assert "stopped: " in capsys.readouterr().err


# ── clean-up ─────────────────────────────────────────────────────────────────────────────────────


def furnish(session: boto3.Session, project: str) -> None:
    """A bit of everything that the first chapters make, with this project's name."""
    s3, glue, region = session.client("s3"), session.client("glue"), session.region_name
    bucket, database = f"{project}-lake", project.replace("-", "_")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket=bucket, Key="a", Body=body)
    s3.delete_object(Bucket=bucket, Key="a")
    s3.create_multipart_upload(Bucket=bucket, Key="half")
    glue.create_database(DatabaseInput={"Name": database})
    columns = {"Columns": [{"Name": "a", "Type": "int"}], "Location": f"s3://{bucket}/a/"}
    glue.create_table(DatabaseName=database, TableInput={"Name": "t", "StorageDescriptor": columns})
    session.client("athena").create_work_group(Name=project)
    queue = session.client("sqs").create_queue(QueueName=f"{project}-dead-letters")["QueueUrl"]
    session.client("sns").create_topic(Name=f"{project}-news")
    session.client("logs").create_log_group(logGroupName=f"/aws/lambda/{project}-curate")
    session.client("kinesis").create_stream(StreamName=project, ShardCount=1)
    events = session.client("events")
    events.put_rule(Name=project, EventPattern='{"source": ["aws.s3"]}')
    arn = f"arn:aws:sqs:{region}:{ACCOUNT_ID}:{project}-dead-letters"
    events.put_targets(Rule=project, Targets=[{"Id": "1", "Arn": arn}])
    assert queue
    furnish_pipelines(session, project)


def furnish_pipelines(session: boto3.Session, project: str) -> None:
    """What chapters 3 and 4 make: jobs, a state machine, a feature group, a stack with a bucket."""
    s3, glue = session.client("s3"), session.client("glue")
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{project}-lake/job.py"}
    glue.create_job(Name=project, Role=EXECUTION_ROLE_ARN, Command=command)
    glue.create_workflow(Name=project)
    glue.create_trigger(
        Name=project, Type="ON_DEMAND", WorkflowName=project, Actions=[{"JobName": project}]
    )
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    session.client("stepfunctions").create_state_machine(
        name=project, definition=json.dumps(definition), roleArn=EXECUTION_ROLE_ARN
    )
    session.client("sagemaker").create_feature_group(
        FeatureGroupName=project,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "Fractional"},
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        RoleArn=EXECUTION_ROLE_ARN,
    )
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{project}-of-stack"}}
    template = {"Resources": {"Lake": bucket, "Queue": {"Type": "AWS::SQS::Queue"}}}
    cloudformation = session.client("cloudformation")
    cloudformation.create_stack(StackName=project, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=project)
    s3.put_object(Bucket=f"{project}-of-stack", Key="a", Body=b"1")


def test_nothing_is_deleted_without_yes(aws: LocalAWS, session: boto3.Session) -> None:
    furnish(session, PROJECT)
    before = aws.inventory()
    assert cleanup.main(["--project", PROJECT]) == 0
    assert aws.inventory() == before


def test_everything_of_the_project_goes_and_nothing_else(
    aws: LocalAWS, session: boto3.Session, settings: Any
) -> None:
    furnish(session, f"{PROJECT}ing")
    others = aws.inventory()
    furnish(session, PROJECT)
    prepare(session, settings)
    assert cleanup.main(["--project", PROJECT, "--yes"]) == 0
    assert aws.inventory() == others
    assert cleanup.find_all(session, PROJECT).found == []


def test_what_is_tagged_is_found_under_any_name(session: boto3.Session) -> None:
    s3 = session.client("s3")
    s3.create_bucket(Bucket="holiday-pictures-of-mine")
    s3.create_bucket(Bucket="somebody-elses")
    tags = {"TagSet": [{"Key": "project", "Value": PROJECT}]}
    s3.put_bucket_tagging(Bucket="holiday-pictures-of-mine", Tagging=tags)
    found = cleanup.find_all(session, PROJECT)
    assert [str(each) for each in found.found] == ["bucket holiday-pictures-of-mine"]


def test_what_the_script_cannot_delete_is_named(
    session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = [{"Key": "project", "Value": PROJECT}]
    table = {
        "TableName": "aside",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
    }
    session.client("dynamodb").create_table(**table, Tags=tags)
    assert cleanup.main(["--project", PROJECT, "--yes"]) == 1
    assert "by hand: arn:aws:dynamodb" in capsys.readouterr().out


def test_one_failure_does_not_keep_the_rest(
    session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    furnish(session, PROJECT)
    bucket = f"{PROJECT}-lake"
    policy = setup_account.tls_only(bucket)
    policy["Statement"][0] |= {"Condition": {}, "Action": "s3:DeleteObject*"}
    session.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert cleanup.main(["--project", PROJECT, "--yes"]) == 1
    assert f"still there: bucket {bucket}" in capsys.readouterr().err
    assert [str(each) for each in cleanup.find_all(session, PROJECT).found] == [f"bucket {bucket}"]


@pytest.mark.parametrize("name", ["", "ml", "*", "aws"])
def test_a_name_that_could_be_anybodys_is_refused(
    name: str, session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cleanup.main(["--project", name, "--yes"]) == 1
    assert "nothing was deleted" in capsys.readouterr().err
