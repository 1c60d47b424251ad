"""Glue triggers and workflows as a client sees them.

Written from the AWS Glue Web API Reference (triggers, workflows) and the pages "AWS Glue triggers"
and "Performing complex ETL activities using blueprints and workflows in AWS Glue".
"""

from __future__ import annotations

import json

import pytest

from .glue_help import BUCKET, ENDED, lines, refused, run, shell, until


@pytest.fixture
def glue(aws):
    aws.client("s3").create_bucket(Bucket=BUCKET)
    return aws.client("glue")


def runs(glue, name):
    return glue.get_job_runs(JobName=name)["JobRuns"]


def ended(glue, name, count=1):
    def look():
        found = runs(glue, name)
        return (
            found
            if len(found) == count
            and all(r["CompletedOn"] for r in found if "CompletedOn" in r)
            and all(r["JobRunState"] in ENDED for r in found)
            else None
        )

    return until(look)


def test_a_trigger_on_demand(aws, glue):
    shell(aws, "import sys; print(sys.argv[1:3])")
    action = {"JobName": "shell", "Arguments": {"--day": "5"}}
    glue.create_trigger(Name="now", Type="ON_DEMAND", Actions=[action])
    glue.start_trigger(Name="now")
    (done,) = ended(glue, "shell")
    assert done["TriggerName"] == "now"
    assert lines(aws, done["Id"]) == ["['--day', '5']"]


def test_a_schedule_comes_round_when_it_is_active(aws, glue):
    shell(aws, "")
    glue.create_trigger(
        Name="daily",
        Type="SCHEDULED",
        Schedule="cron(15 6 * * ? *)",
        Actions=[{"JobName": "shell"}],
    )
    aws.fire_trigger("daily")
    assert runs(glue, "shell") == []
    glue.start_trigger(Name="daily")
    assert glue.get_trigger(Name="daily")["Trigger"]["State"] == "ACTIVATED"
    aws.fire_trigger("daily")
    ended(glue, "shell")
    glue.stop_trigger(Name="daily")
    aws.fire_trigger("daily")
    assert len(runs(glue, "shell")) == 1


def test_a_schedule_must_be_one(aws, glue):
    shell(aws, "")
    with refused("InvalidInputException", "Schedule"):
        glue.create_trigger(
            Name="daily", Type="SCHEDULED", Schedule="daily", Actions=[{"JobName": "shell"}]
        )
    with refused("EntityNotFoundException"):
        glue.create_trigger(Name="t", Type="ON_DEMAND", Actions=[{"JobName": "nothing"}])


@pytest.mark.parametrize(("script", "starts"), [("", 1), ("raise ValueError", 0)])
def test_a_condition_is_met_by_the_state_it_names(aws, glue, script, starts):
    shell(aws, script, "first")
    shell(aws, "", "second")
    shell(aws, "", "other")
    condition = {"LogicalOperator": "EQUALS", "JobName": "first", "State": "SUCCEEDED"}
    failed = {**condition, "State": "FAILED"}
    for name, job, predicate in (("well", "second", condition), ("badly", "other", failed)):
        glue.create_trigger(
            Name=name,
            Type="CONDITIONAL",
            StartOnCreation=True,
            Predicate={"Conditions": [predicate]},
            Actions=[{"JobName": job}],
        )
    run(glue, "first")
    ended(glue, "second" if starts else "other")
    assert len(runs(glue, "second")) == starts
    assert len(runs(glue, "other")) == 1 - starts


def test_a_workflow_runs_its_jobs_one_after_the_other(aws, glue):
    for name in ("clean", "enrich", "check"):
        shell(aws, "import sys; print('--WORKFLOW_RUN_ID' in sys.argv)", name)
    glue.create_workflow(Name="daily", DefaultRunProperties={"day": "1"})
    glue.create_trigger(
        Name="begin", Type="ON_DEMAND", WorkflowName="daily", Actions=[{"JobName": "clean"}]
    )
    for earlier, later in (("clean", "enrich"), ("enrich", "check")):
        condition = {"LogicalOperator": "EQUALS", "JobName": earlier, "State": "SUCCEEDED"}
        glue.create_trigger(
            Name=f"after-{earlier}",
            Type="CONDITIONAL",
            WorkflowName="daily",
            StartOnCreation=True,
            Predicate={"Conditions": [condition]},
            Actions=[{"JobName": later}],
        )
    run_id = glue.start_workflow_run(Name="daily", RunProperties={"month": "8"})["RunId"]

    def look():
        found = glue.get_workflow_run(Name="daily", RunId=run_id)["Run"]
        return found if found["Status"] == "COMPLETED" else None

    done = until(look)
    assert done["Statistics"]["SucceededActions"] == done["Statistics"]["TotalActions"] == 3
    assert done["WorkflowRunProperties"] == {"day": "1", "month": "8"}
    starts = [runs(glue, name)[0]["StartedOn"] for name in ("clean", "enrich", "check")]
    assert starts == sorted(starts)
    assert lines(aws, runs(glue, "check")[0]["Id"]) == ["True"]

    graph = glue.get_workflow(Name="daily", IncludeGraph=True)["Workflow"]["Graph"]
    assert sorted(node["Name"] for node in graph["Nodes"]) == [
        "after-clean",
        "after-enrich",
        "begin",
        "check",
        "clean",
        "enrich",
    ]
    assert len(graph["Edges"]) == 5


def test_a_workflow_without_a_beginning(aws, glue):
    glue.create_workflow(Name="daily")
    with refused("InvalidInputException", "no start trigger"):
        glue.start_workflow_run(Name="daily")
    with refused("AlreadyExistsException"):
        glue.create_workflow(Name="daily")


def test_a_workflow_that_fails_is_complete_with_a_failed_action(aws, glue):
    shell(aws, "raise ValueError('bad')", "clean")
    glue.create_workflow(Name="daily")
    glue.create_trigger(
        Name="begin",
        Type="SCHEDULED",
        Schedule="cron(0 6 * * ? *)",
        StartOnCreation=True,
        WorkflowName="daily",
        Actions=[{"JobName": "clean"}],
    )
    aws.fire_trigger("begin")

    def look():
        (found,) = glue.get_workflow_runs(Name="daily")["Runs"]
        return found if found["Status"] == "COMPLETED" else None

    assert until(look)["Statistics"]["FailedActions"] == 1


def conditional(glue, name, jobs, action, logical="AND", workflow=None, state="SUCCEEDED"):
    conditions = [{"LogicalOperator": "EQUALS", "JobName": job, "State": state} for job in jobs]
    glue.create_trigger(
        Name=name,
        Type="CONDITIONAL",
        StartOnCreation=True,
        Predicate={"Logical": logical, "Conditions": conditions},
        Actions=[{"JobName": action}],
        **({"WorkflowName": workflow} if workflow else {}),
    )


def over(glue, workflow, count=1):
    """The runs of a workflow once there are so many and all are over, the newest first."""

    def look():
        found = glue.get_workflow_runs(Name=workflow)["Runs"]
        is_over = all(each["Status"] != "RUNNING" for each in found)
        return found if len(found) == count and is_over else None

    return until(look)


@pytest.mark.parametrize(("logical", "starts"), [("AND", 1), ("ANY", 2)])
def test_several_conditions(aws, glue, logical, starts):
    for name in ("one", "two", "after"):
        shell(aws, "", name)
    glue.update_job(
        JobName="after",
        JobUpdate={
            **{k: glue.get_job(JobName="after")["Job"][k] for k in ("Role", "Command")},
            "ExecutionProperty": {"MaxConcurrentRuns": 2},
        },
    )
    conditional(glue, "both", ["one", "two"], "after", logical)
    run(glue, "one")
    run(glue, "two")
    ended(glue, "after", starts)


def test_triggers_that_glue_refuses(aws, glue):
    shell(aws, "")
    condition = {"LogicalOperator": "EQUALS", "JobName": "shell", "State": "SUCCEEDED"}

    def create(**settings):
        given = {"Type": "CONDITIONAL", "Actions": [{"JobName": "shell"}], **settings}
        glue.create_trigger(Name="trigger", **given)

    with refused("InvalidInputException", "needs a Predicate"):
        create()
    with refused("InvalidInputException", "needs Logical"):
        create(Predicate={"Conditions": [condition, condition]})
    with refused("InvalidInputException", "waits for one of"):
        create(Predicate={"Conditions": [{**condition, "State": "RUNNING"}]})
    with refused("EntityNotFoundException", "nothing"):
        create(Predicate={"Conditions": [{**condition, "JobName": "nothing"}]})
    with refused("InvalidInputException", "ON_DEMAND"):
        create(Type="ON_DEMAND", StartOnCreation=True)
    with refused("InvalidInputException", "WorkflowName"):
        create(Type="EVENT")
    with refused("EntityNotFoundException", "Workflow none"):
        create(Type="ON_DEMAND", WorkflowName="none")
    with refused("EntityNotFoundException"):
        glue.get_trigger(Name="trigger")


def test_an_update_of_a_trigger_replaces_it(aws, glue):
    shell(aws, "")
    glue.create_trigger(
        Name="daily",
        Type="SCHEDULED",
        Schedule="cron(15 6 * * ? *)",
        Description="of mine",
        Actions=[{"JobName": "shell"}],
    )
    with refused("InvalidInputException", "Actions"):
        glue.update_trigger(Name="daily", TriggerUpdate={"Schedule": "cron(0 7 * * ? *)"})
    update = {"Schedule": "cron(0 7 * * ? *)", "Actions": [{"JobName": "shell"}]}
    changed = glue.update_trigger(Name="daily", TriggerUpdate=update)["Trigger"]
    assert changed["Schedule"] == "cron(0 7 * * ? *)"
    assert changed["Type"] == "SCHEDULED"
    assert "Description" not in changed


def test_tags_and_pages(aws, glue):
    shell(aws, "")
    for number in range(3):
        tags = {"chapter": str(number)}
        action = {"JobName": "shell"}
        glue.create_trigger(Name=f"t{number}", Type="ON_DEMAND", Actions=[action], Tags=tags)
    glue.create_workflow(Name="flow", Tags={"chapter": "3"})
    assert glue.list_triggers(Tags={"chapter": "1"})["TriggerNames"] == ["t1"]
    page = glue.list_triggers(MaxResults=2)
    assert page["TriggerNames"] == ["t0", "t1"]
    rest = glue.list_triggers(MaxResults=2, NextToken=page["NextToken"])
    assert rest["TriggerNames"] == ["t2"] and "NextToken" not in rest
    arn = "arn:aws:glue:us-east-1:123456789012:{}"
    assert glue.get_tags(ResourceArn=arn.format("trigger/t1"))["Tags"] == {"chapter": "1"}
    assert glue.get_tags(ResourceArn=arn.format("workflow/flow"))["Tags"] == {"chapter": "3"}


def test_a_schedule_that_finds_its_job_running_shows_a_failed_run(aws, glue):
    shell(aws, "import time\ntime.sleep(60)")
    glue.create_trigger(
        Name="often",
        Type="SCHEDULED",
        Schedule="cron(0/5 * * * ? *)",
        StartOnCreation=True,
        Actions=[{"JobName": "shell"}],
    )
    aws.fire_trigger("often")
    aws.fire_trigger("often")
    second, first = runs(glue, "shell")
    assert second["JobRunState"] == "FAILED"
    assert second["ErrorMessage"] == "Max concurrent runs exceeded"
    glue.batch_stop_job_run(JobName="shell", JobRunIds=[first["Id"]])
    ended(glue, "shell", 2)


def test_a_retry_belongs_to_the_run_of_the_workflow(aws, glue):
    """The workflow is not over, and what follows begins, when the second attempt succeeds."""
    script = f"""
import boto3
s3 = boto3.client("s3")
if "tried" not in [each["Key"] for each in s3.list_objects_v2(Bucket="{BUCKET}")["Contents"]]:
    s3.put_object(Bucket="{BUCKET}", Key="tried")
    raise ValueError("the first time")
"""
    shell(aws, script, "unsure", MaxRetries=1)
    shell(aws, "", "after")
    glue.create_workflow(Name="flow")
    glue.create_trigger(
        Name="begin", Type="ON_DEMAND", WorkflowName="flow", Actions=[{"JobName": "unsure"}]
    )
    conditional(glue, "then", ["unsure"], "after", workflow="flow")
    glue.start_workflow_run(Name="flow")
    (done,) = over(glue, "flow")
    counts = {name: count for name, count in done["Statistics"].items() if count}
    assert counts == {"TotalActions": 3, "FailedActions": 1, "SucceededActions": 2}
    assert [each["Attempt"] for each in runs(glue, "unsure")] == [1, 0]


def test_a_workflow_is_stopped_and_nothing_follows(aws, glue):
    shell(aws, "import time\ntime.sleep(60)", "long")
    shell(aws, "", "after")
    glue.create_workflow(Name="flow", MaxConcurrentRuns=1)
    glue.create_trigger(
        Name="begin", Type="ON_DEMAND", WorkflowName="flow", Actions=[{"JobName": "long"}]
    )
    conditional(glue, "then", ["long"], "after", workflow="flow", state="STOPPED")
    run_id = glue.start_workflow_run(Name="flow")["RunId"]
    with refused("ConcurrentRunsExceededException"):
        glue.start_workflow_run(Name="flow")
    glue.stop_workflow_run(Name="flow", RunId=run_id)
    (done,) = until(
        lambda: [
            each
            for each in glue.get_workflow_runs(Name="flow")["Runs"]
            if each["Status"] == "STOPPED"
        ]
    )
    assert done["Statistics"]["StoppedActions"] == 1
    assert runs(glue, "after") == []
    with refused("IllegalWorkflowStateException"):
        glue.stop_workflow_run(Name="flow", RunId=run_id)


def test_jobs_of_a_workflow_share_properties(aws, glue):
    script = """
import sys, boto3
from awsglue.utils import getResolvedOptions
given = getResolvedOptions(sys.argv, ["WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
flow = {"Name": given["WORKFLOW_NAME"], "RunId": given["WORKFLOW_RUN_ID"]}
glue = boto3.client("glue")
seen = glue.get_workflow_run_properties(**flow)["RunProperties"]
glue.put_workflow_run_properties(**flow, RunProperties={"rows": seen["limit"]})
"""
    shell(aws, script)
    glue.create_workflow(Name="flow", DefaultRunProperties={"limit": "7"})
    glue.create_trigger(
        Name="begin", Type="ON_DEMAND", WorkflowName="flow", Actions=[{"JobName": "shell"}]
    )
    run_id = glue.start_workflow_run(Name="flow")["RunId"]
    over(glue, "flow")
    found = glue.get_workflow_run_properties(Name="flow", RunId=run_id)["RunProperties"]
    assert found == {"limit": "7", "rows": "7"}


def test_a_job_that_is_gone_is_an_action_in_error(aws, glue):
    shell(aws, "")
    glue.create_workflow(Name="flow")
    glue.create_trigger(
        Name="begin", Type="ON_DEMAND", WorkflowName="flow", Actions=[{"JobName": "shell"}]
    )
    glue.delete_job(JobName="shell")
    glue.start_workflow_run(Name="flow")
    (done,) = over(glue, "flow")
    assert done["Statistics"]["ErroredActions"] == done["Statistics"]["TotalActions"] == 1


def test_a_workflow_begins_with_events(aws, glue):
    """Two objects that land begin one run; it knows the events."""
    shell(aws, "")
    glue.create_workflow(Name="flow")
    glue.create_trigger(
        Name="landed",
        Type="EVENT",
        WorkflowName="flow",
        EventBatchingCondition={"BatchSize": 2},
        Actions=[{"JobName": "shell"}],
    )
    arn = "arn:aws:glue:us-east-1:123456789012:workflow/flow"
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    allow = {"Effect": "Allow", "Action": "glue:notifyEvent", "Resource": arn}
    iam = aws.client("iam")
    document = {"Version": "2012-10-17"}
    rule_role = iam.create_role(
        RoleName="rule", AssumeRolePolicyDocument=json.dumps({**document, "Statement": [trust]})
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="rule",
        PolicyName="notify",
        PolicyDocument=json.dumps({**document, "Statement": [allow]}),
    )
    events, s3 = aws.client("events"), aws.client("s3")
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {"source": ["aws.s3"], "detail": {"object": {"key": [{"prefix": "raw/"}]}}}
    events.put_rule(Name="landed", EventPattern=json.dumps(pattern))
    answer = events.put_targets(
        Rule="landed", Targets=[{"Id": "1", "Arn": arn, "RoleArn": rule_role}]
    )
    assert answer["FailedEntryCount"] == 0
    s3.put_object(Bucket=BUCKET, Key="raw/1", Body=b"")
    assert glue.get_workflow_runs(Name="flow")["Runs"] == []
    s3.put_object(Bucket=BUCKET, Key="raw/2", Body=b"")
    (done,) = over(glue, "flow")
    assert done["StartingEventBatchCondition"] == {"BatchSize": 2}
    assert len(json.loads(done["WorkflowRunProperties"]["aws:eventIds"])) == 2
    assert done["Statistics"]["SucceededActions"] == 1
