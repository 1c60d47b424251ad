"""CloudFormation as a client sees it: stacks made, changed, undone and removed.

Written from the AWS CloudFormation User Guide (template anatomy, intrinsic functions, stack
failure options, IAM capabilities, exports) and API Reference.
"""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.local_aws import inventory

LAMBDA_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}

# A function that S3 calls through EventBridge, with its role, dead letters and an alarm.
PIPELINE = """
AWSTemplateFormatVersion: "2010-09-09"
Description: What lands in a bucket is told to a queue by a function.
Parameters:
  Prefix: {Type: String, AllowedPattern: "[a-z-]+", ConstraintDescription: small letters}
  Timeout: {Type: Number, Default: 10, MaxValue: 900}
Conditions:
  Loud: !Equals [!Ref Prefix, loud]
Resources:
  Landing:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub "${Prefix}-landing-${AWS::AccountId}"
      NotificationConfiguration: {EventBridgeConfiguration: {EventBridgeEnabled: true}}
      PublicAccessBlockConfiguration:
        {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true,
         RestrictPublicBuckets: true}
  Told: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: "60"}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}
      Policies:
        - PolicyName: tell
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: "sqs:SendMessage", Resource: !GetAtt Told.Arn}]
  Teller:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: !Sub "${AWS::StackName}-teller"
      Runtime: python3.13
      Handler: index.handler
      MemorySize: 256
      Timeout: !Ref Timeout
      Role: !GetAtt Role.Arn
      Environment: {Variables: {QUEUE: !Ref Told}}
      Code:
        ZipFile: |
          import os
          import boto3

          def handler(event, context):
              key = event["detail"]["object"]["key"]
              boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=key)
              return key
  Arrived:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.s3]
        detail-type: [Object Created]
        detail: {bucket: {name: [!Ref Landing]}}
      Targets: [{Id: teller, Arn: !GetAtt Teller.Arn}]
  MayCall:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref Teller
      Action: lambda:InvokeFunction
      Principal: events.amazonaws.com
      SourceArn: !GetAtt Arrived.Arn
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Condition: Loud
    Properties:
      {Namespace: AWS/Lambda, MetricName: Errors, Statistic: Sum, Period: 60,
       EvaluationPeriods: 1, Threshold: 0, ComparisonOperator: GreaterThanThreshold}
Outputs:
  Bucket: {Value: !Ref Landing, Description: put objects here}
  Queue: {Value: !Ref Told, Export: {Name: !Sub "${AWS::StackName}-queue"}}
"""


def template(resources, **sections):
    return json.dumps({"Resources": resources, **sections})


def queue(name=None, **properties):
    named = {"QueueName": name} if name else {}
    return {"Type": "AWS::SQS::Queue", "Properties": {**named, **properties}}


def refused(code, message=""):
    return pytest.raises(ClientError, match=rf"\({code}\).*{message}")


def deploy(aws, body, name="shop", wait="stack_create_complete", **options):
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=body, **options)
    cloudformation.get_waiter(wait).wait(StackName=name)
    return described(aws, name)


def described(aws, name="shop"):
    return aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]


def remove(aws, name="shop"):
    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)


def outputs(stack):
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def history(aws, name="shop"):
    """(logical id, status), the oldest first."""
    pages = aws.client("cloudformation").get_paginator("describe_stack_events")
    events = list(pages.paginate(StackName=name).search("StackEvents[]"))
    return [(e["LogicalResourceId"], e["ResourceStatus"]) for e in reversed(events)]


def reason_of(aws, logical_id, status, name="shop"):
    pages = aws.client("cloudformation").get_paginator("describe_stack_events")
    for event in pages.paginate(StackName=name).search("StackEvents[]"):
        if (event["LogicalResourceId"], event["ResourceStatus"]) == (logical_id, status):
            return event["ResourceStatusReason"]
    raise AssertionError(f"{logical_id} was never {status}")


# ── a whole pipeline ─────────────────────────────────────────────────────────────────────────────


def parameters(**values):
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def test_the_pipeline_of_a_template_works_and_goes(aws):
    stack = deploy(
        aws, PIPELINE, Parameters=parameters(Prefix="quiet"), Capabilities=["CAPABILITY_IAM"]
    )
    made = outputs(stack)
    assert made["Bucket"] == "quiet-landing-123456789012"
    aws.client("s3").put_object(Bucket=made["Bucket"], Key="one.csv", Body=b"1")

    received = aws.client("sqs").receive_message(QueueUrl=made["Queue"], WaitTimeSeconds=20)
    assert received["Messages"][0]["Body"] == "one.csv"

    attributes = aws.client("sqs").get_queue_attributes(
        QueueUrl=made["Queue"], AttributeNames=["VisibilityTimeout"]
    )
    assert attributes["Attributes"]["VisibilityTimeout"] == "60"
    settings = aws.client("lambda").get_function_configuration(FunctionName="shop-teller")
    assert settings["Timeout"] == 10
    assert not aws.client("cloudwatch").describe_alarms()["MetricAlarms"]

    aws.client("s3").delete_object(Bucket=made["Bucket"], Key="one.csv")
    remove(aws)
    left = {k: v for k, v in inventory.take(aws.client).items() if not k.startswith("logs")}
    assert left == {}


def test_a_condition_decides_what_is_made(aws):
    deploy(aws, PIPELINE, Parameters=parameters(Prefix="loud"), Capabilities=["CAPABILITY_IAM"])
    alarms = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [alarm["MetricName"] for alarm in alarms] == ["Errors"]
    assert alarms[0]["AlarmName"].startswith("shop-Alarm-")


def test_resources_are_made_after_what_they_refer_to(aws):
    deploy(aws, PIPELINE, Parameters=parameters(Prefix="quiet"), Capabilities=["CAPABILITY_IAM"])
    done = [name for name, status in history(aws) if status == "CREATE_COMPLETE"]
    assert done[-1] == "shop"
    for earlier, later in (("Told", "Role"), ("Role", "Teller"), ("Arrived", "MayCall")):
        assert done.index(earlier) < done.index(later)
    found = aws.client("cloudformation").list_stack_resources(StackName="shop")
    assert {each["ResourceStatus"] for each in found["StackResourceSummaries"]} == {
        "CREATE_COMPLETE"
    }


def test_calls_are_those_of_who_asks_for_the_stack(aws):
    deploy(aws, template({"Q": queue("orders")}))
    (made,) = [call for call in aws.journal() if call["operation"] == "CreateQueue"]
    assert made["caller"] == "notebook"


def test_a_service_role_calls_in_its_own_name(aws):
    trust = json.loads(json.dumps(LAMBDA_TRUST).replace("lambda", "cloudformation"))
    arn = aws.client("iam").create_role(
        RoleName="deployer", AssumeRolePolicyDocument=json.dumps(trust)
    )["Role"]["Arn"]
    deploy(aws, template({"Q": queue("orders")}), RoleARN=arn)
    (made,) = [call for call in aws.journal() if call["operation"] == "CreateQueue"]
    assert made["caller"] == "deployer/AWSCloudFormation"


def test_a_role_that_does_not_trust_cloudformation_is_refused(aws):
    arn = aws.client("iam").create_role(
        RoleName="other", AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST)
    )["Role"]["Arn"]
    with refused("ValidationError", "cannot be assumed"):
        aws.client("cloudformation").create_stack(
            StackName="shop", TemplateBody=template({"Q": queue()}), RoleARN=arn
        )


def test_the_tags_of_a_stack_reach_its_resources(aws):
    tags = [{"Key": "project", "Value": "book"}]
    deploy(aws, template({"Q": queue("orders"), "B": {"Type": "AWS::S3::Bucket"}}), Tags=tags)
    url = aws.client("sqs").get_queue_url(QueueName="orders")["QueueUrl"]
    assert aws.client("sqs").list_queue_tags(QueueUrl=url)["Tags"] == {"project": "book"}
    (bucket,) = aws.client("s3").list_buckets()["Buckets"]
    assert bucket["Name"].startswith("shop-b-")
    assert aws.client("s3").get_bucket_tagging(Bucket=bucket["Name"])["TagSet"] == tags


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def test_a_failure_undoes_what_was_made(aws):
    taken = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "taken"}, "DependsOn": "Q"}
    aws.client("s3").create_bucket(Bucket="taken")
    body = template({"Q": queue("orders"), "B": taken, "C": {**queue("late"), "DependsOn": "B"}})
    aws.client("cloudformation").create_stack(StackName="shop", TemplateBody=body)
    with pytest.raises(WaiterError):
        aws.client("cloudformation").get_waiter("stack_create_complete").wait(StackName="shop")

    statuses = history(aws)
    assert described(aws)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ("B", "CREATE_FAILED") in statuses and ("Q", "DELETE_COMPLETE") in statuses
    assert "C" not in [name for name, _ in statuses]
    assert "taken already exists" in reason_of(aws, "B", "CREATE_FAILED")
    assert "QueueUrls" not in aws.client("sqs").list_queues()
    assert aws.client("s3").list_buckets()["Buckets"][0]["Name"] == "taken"


def test_without_rollback_what_was_made_stays(aws):
    body = template({"Q": queue("orders"), "W": {**queue("x" * 81), "DependsOn": "Q"}})
    with pytest.raises(WaiterError):
        deploy(aws, body, DisableRollback=True)
    assert described(aws)["StackStatus"] == "CREATE_FAILED"
    assert len(aws.client("sqs").list_queues()["QueueUrls"]) == 1
    remove(aws)


def test_properties_are_held_against_the_schema_of_the_type(aws):
    job = {"Type": "AWS::Glue::Job", "Properties": {"Command": {"Name": "glueetl"}, "Speed": 9}}
    with pytest.raises(WaiterError):
        deploy(aws, template({"J": job}))
    reason = reason_of(aws, "J", "CREATE_FAILED")
    assert "extraneous key [Speed] is not permitted" in reason
    assert "required key [Role] not found" in reason


def test_a_bucket_that_is_not_empty_is_not_removed(aws):
    deploy(aws, template({"B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "full"}}}))
    aws.client("s3").put_object(Bucket="full", Key="a", Body=b"1")
    with pytest.raises(WaiterError):
        remove(aws)
    assert described(aws)["StackStatus"] == "DELETE_FAILED"
    assert "not empty" in reason_of(aws, "B", "DELETE_FAILED")

    aws.client("cloudformation").delete_stack(StackName="shop", RetainResources=["B"])
    aws.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="shop")
    assert aws.client("s3").list_buckets()["Buckets"][0]["Name"] == "full"


def test_what_was_deleted_by_hand_does_not_stop_the_removal(aws):
    stack = deploy(aws, template({"Q": queue()}, Outputs={"Url": {"Value": {"Ref": "Q"}}}))
    aws.client("sqs").delete_queue(QueueUrl=outputs(stack)["Url"])
    remove(aws)


def test_a_retained_resource_outlives_its_stack(aws):
    deploy(aws, template({"Q": {**queue("kept"), "DeletionPolicy": "Retain"}}))
    remove(aws)
    assert len(aws.client("sqs").list_queues()["QueueUrls"]) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "Template format error"),
        ("just text", "unsupported structure"),
        (json.dumps({"Resources": {}}), "At least one Resources member"),
        (json.dumps({"Resources": {"A": {"Properties": {}}}}), "must contain a Type member"),
        (template({"Q": queue()}, Colour="red"), "Invalid template property"),
        (template({"Q": {"Type": "AWS::SQS::Quill"}}), "Unrecognized resource types"),
        (template({"Q": queue(DelaySeconds={"Ref": "Later"})}), "Unresolved resource dependencies"),
        (
            template({"A": {**queue(), "DependsOn": "B"}, "B": {**queue(), "DependsOn": "A"}}),
            r"Circular dependency between resources: \[A, B\]",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_at_once(aws, body, message):
    cloudformation = aws.client("cloudformation")
    with refused("ValidationError", message):
        cloudformation.create_stack(StackName="shop", TemplateBody=body)
    assert cloudformation.describe_stacks()["Stacks"] == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"Parameters: \[Prefix\] must have values"),
        ({"Prefix": "UPPER"}, "small letters"),
        ({"Prefix": "quiet", "Timeout": "901"}, "Timeout"),
        ({"Prefix": "quiet", "Colour": "red"}, "do not exist in the template"),
    ],
)
def test_parameters_are_checked(aws, values, message):
    with refused("ValidationError", message):
        aws.client("cloudformation").create_stack(
            StackName="shop",
            TemplateBody=PIPELINE,
            Parameters=parameters(**values),
            Capabilities=["CAPABILITY_IAM"],
        )


def test_identities_need_to_be_acknowledged(aws):
    with refused("InsufficientCapabilitiesException", "CAPABILITY_IAM"):
        aws.client("cloudformation").create_stack(
            StackName="shop", TemplateBody=PIPELINE, Parameters=parameters(Prefix="quiet")
        )
    named = {"RoleName": "worker", "AssumeRolePolicyDocument": LAMBDA_TRUST}
    body = template({"R": {"Type": "AWS::IAM::Role", "Properties": named}})
    with refused("InsufficientCapabilitiesException", "CAPABILITY_NAMED_IAM"):
        aws.client("cloudformation").create_stack(
            StackName="shop", TemplateBody=body, Capabilities=["CAPABILITY_IAM"]
        )
    deploy(aws, body, Capabilities=["CAPABILITY_NAMED_IAM"])


def test_what_is_not_made_here_says_so(aws):
    body = template({"V": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}})
    with refused("NotImplemented", "AWS::EC2::VPC"):
        aws.client("cloudformation").create_stack(StackName="shop", TemplateBody=body)
    with refused("NotImplemented", "CreateStackSet"):
        aws.client("cloudformation").create_stack_set(StackSetName="s", TemplateBody=body)


def test_two_stacks_cannot_have_one_name(aws):
    deploy(aws, template({"Q": queue()}))
    with refused("AlreadyExistsException"):
        aws.client("cloudformation").create_stack(
            StackName="shop", TemplateBody=template({"Q": queue()})
        )


def test_an_unknown_stack(aws):
    with refused("ValidationError", "Stack with id nowhere does not exist"):
        aws.client("cloudformation").describe_stacks(StackName="nowhere")
    aws.client("cloudformation").delete_stack(StackName="nowhere")


def test_a_deleted_stack_is_still_known_by_its_id(aws):
    stack = deploy(aws, template({"Q": queue()}))
    remove(aws)
    assert described(aws, stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    with refused("ValidationError", "does not exist"):
        described(aws)


def test_a_protected_stack_is_not_deleted(aws):
    deploy(aws, template({"Q": queue()}), EnableTerminationProtection=True)
    with refused("ValidationError", "TerminationProtection"):
        aws.client("cloudformation").delete_stack(StackName="shop")
    aws.client("cloudformation").update_termination_protection(
        StackName="shop", EnableTerminationProtection=False
    )
    remove(aws)


# ── updates ──────────────────────────────────────────────────────────────────────────────────────


def change(aws, body, wait="stack_update_complete", **options):
    cloudformation = aws.client("cloudformation")
    cloudformation.update_stack(StackName="shop", TemplateBody=body, **options)
    cloudformation.get_waiter(wait).wait(StackName="shop")
    return described(aws)


def test_an_update_touches_only_what_differs(aws):
    deploy(aws, template({"A": queue("a"), "B": queue("b")}))
    before = len(history(aws))
    change(aws, template({"A": queue("a"), "B": queue("b", DelaySeconds=5), "C": queue("c")}))
    touched = {name for name, _ in history(aws)[before:]}
    assert touched == {"shop", "B", "C"}
    url = aws.client("sqs").get_queue_url(QueueName="b")["QueueUrl"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert found["Attributes"]["DelaySeconds"] == "5"


def test_what_the_new_template_leaves_out_is_removed(aws):
    deploy(aws, template({"A": queue("a"), "B": queue("b")}))
    change(aws, template({"A": queue("a")}))
    (url,) = aws.client("sqs").list_queues()["QueueUrls"]
    assert url.endswith("/a")


def test_a_new_name_needs_a_new_resource(aws):
    deploy(aws, template({"A": queue("a")}))
    change(aws, template({"A": queue("z")}))
    (url,) = aws.client("sqs").list_queues()["QueueUrls"]
    assert url.endswith("/z")


def test_an_update_without_a_change_is_refused(aws):
    deploy(aws, template({"A": queue("a")}))
    with refused("ValidationError", "No updates are to be performed"):
        aws.client("cloudformation").update_stack(
            StackName="shop", TemplateBody=template({"A": queue("a")})
        )


def test_an_update_that_fails_goes_back(aws):
    deploy(aws, template({"A": queue("a")}))
    taken = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "taken"}, "DependsOn": "A"}
    aws.client("s3").create_bucket(Bucket="taken")
    with pytest.raises(WaiterError):
        change(aws, template({"A": queue("a", DelaySeconds=5), "B": taken}))
    assert described(aws)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    url = aws.client("sqs").get_queue_url(QueueName="a")["QueueUrl"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert found["Attributes"]["DelaySeconds"] == "0"


def test_a_parameter_may_keep_its_value(aws):
    body = template(
        {"A": queue("a", DelaySeconds={"Ref": "Delay"}, VisibilityTimeout={"Ref": "Hidden"})},
        Parameters={"Delay": {"Type": "Number"}, "Hidden": {"Type": "Number", "Default": 30}},
    )
    deploy(aws, body, Parameters=parameters(Delay="7"))
    keep = {"ParameterKey": "Delay", "UsePreviousValue": True}
    aws.client("cloudformation").update_stack(
        StackName="shop", UsePreviousTemplate=True, Parameters=[keep, *parameters(Hidden="40")]
    )
    aws.client("cloudformation").get_waiter("stack_update_complete").wait(StackName="shop")
    url = aws.client("sqs").get_queue_url(QueueName="a")["QueueUrl"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert found["Attributes"]["DelaySeconds"] == "7"
    assert found["Attributes"]["VisibilityTimeout"] == "40"


# ── exports, templates ───────────────────────────────────────────────────────────────────────────


def test_one_stack_uses_what_another_exports(aws):
    exporting = {"Arn": {"Value": {"Fn::GetAtt": ["Q", "Arn"]}, "Export": {"Name": "the-queue"}}}
    deploy(aws, template({"Q": queue("orders")}, Outputs=exporting), name="first")
    importing = {"Arn": {"Value": {"Fn::ImportValue": "the-queue"}}}
    second = deploy(aws, template({"D": queue()}, Outputs=importing), name="second")
    assert outputs(second)["Arn"].endswith(":orders")
    (export,) = aws.client("cloudformation").list_exports()["Exports"]
    assert export["Name"] == "the-queue"
    with refused("ValidationError", "in use by second"):
        aws.client("cloudformation").delete_stack(StackName="first")
    remove(aws, "second")
    remove(aws, "first")


def test_a_template_is_validated(aws):
    found = aws.client("cloudformation").validate_template(TemplateBody=PIPELINE)
    assert found["Capabilities"] == ["CAPABILITY_IAM"]
    assert {p["ParameterKey"]: p.get("DefaultValue") for p in found["Parameters"]} == {
        "Prefix": None,
        "Timeout": "10",
    }


def test_a_template_may_lie_in_s3(aws):
    aws.client("s3").create_bucket(Bucket="templates")
    body = template({"Q": queue("orders")})
    aws.client("s3").put_object(Bucket="templates", Key="a/shop.json", Body=body)
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(
        StackName="shop", TemplateURL="https://templates.s3.us-east-1.amazonaws.com/a/shop.json"
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="shop")
    found = cloudformation.get_template(StackName="shop")["TemplateBody"]
    assert found == json.loads(body)


def test_a_state_machine_from_a_template(aws):
    trust = json.loads(json.dumps(LAMBDA_TRUST).replace("lambda", "states"))
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
    body = template(
        {
            "R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
            "M": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "StateMachineName": "flow",
                    "RoleArn": {"Fn::GetAtt": ["R", "Arn"]},
                    "Definition": definition,
                },
            },
        },
        Outputs={"Arn": {"Value": {"Ref": "M"}}},
    )
    stack = deploy(aws, body, Capabilities=["CAPABILITY_IAM"])
    arn = outputs(stack)["Arn"]
    found = aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    assert json.loads(found["definition"]) == definition
    remove(aws)
    assert aws.client("stepfunctions").list_state_machines()["stateMachines"] == []
