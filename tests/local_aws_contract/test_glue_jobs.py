"""Glue jobs as a client sees them: definitions, runs, states, logs, triggers and workflows.

Written from the AWS Glue Web API Reference (jobs, job runs, triggers, workflows) and the page "Job
parameters". States and faults are tried with Python shell jobs, which start fast; what only Spark
does, with few Spark runs.
"""

from __future__ import annotations

import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import inventory

BUCKET = "lake-of-jobs"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")


def refused(code, message=""):
    return pytest.raises(ClientError, match=rf"\({code}\).*{message}")


@pytest.fixture
def glue(aws):
    aws.client("s3").create_bucket(Bucket=BUCKET)
    return aws.client("glue")


def role(aws, name="runner", service="glue"):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"][
        "Arn"
    ]


def put(aws, key, body):
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


def keys(aws, prefix=""):
    found = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", [])]


def shell(aws, script, name="shell", **settings):
    """A Python shell job with this script."""
    try:
        arn = aws.client("iam").get_role(RoleName="runner")["Role"]["Arn"]
    except ClientError:
        arn = role(aws)
    location = put(aws, f"scripts/{name}.py", script)
    command = {"Name": "pythonshell", "ScriptLocation": location, "PythonVersion": "3.9"}
    aws.client("glue").create_job(Name=name, Role=arn, Command=command, **settings)
    return name


def spark(aws, script, name="spark", **settings):
    """A Spark job with this script."""
    location = put(aws, f"scripts/{name}.py", script)
    settings = {"WorkerType": "G.1X", "NumberOfWorkers": 2, "GlueVersion": "5.1", **settings}
    command = {"Name": "glueetl", "ScriptLocation": location, "PythonVersion": "3"}
    aws.client("glue").create_job(Name=name, Role=role(aws), Command=command, **settings)
    return name


def wait(glue, name, run_id):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        run = glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]
        if run["JobRunState"] in ENDED:
            return run
        time.sleep(0.1)
    raise AssertionError(f"{name} did not end: {run}")


def run(glue, name, **params):
    return wait(glue, name, glue.start_job_run(JobName=name, **params)["JobRunId"])


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def lines(aws, run_id, group="output"):
    found = aws.client("logs").get_log_events(
        logGroupName=f"/aws-glue/jobs/{group}", logStreamName=run_id, startFromHead=True
    )
    return [event["message"] for event in found["events"]]


# ── definitions ──────────────────────────────────────────────────────────────────────────────────


def test_a_job_is_kept_with_what_glue_fills_in(aws, glue):
    shell(aws, "", DefaultArguments={"--day": "1"}, Tags={"chapter": "03"})
    job = glue.get_job(JobName="shell")["Job"]
    assert job["MaxCapacity"] == 0.0625
    assert job["Timeout"] == 2880
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert glue.list_jobs()["JobNames"] == ["shell"]
    assert glue.list_jobs(Tags={"chapter": "04"})["JobNames"] == []
    found = glue.batch_get_jobs(JobNames=["shell", "none"])
    assert [job["Name"] for job in found["Jobs"]] == ["shell"]
    assert found["JobsNotFound"] == ["none"]


def test_the_same_job_twice_is_one_and_another_is_refused(aws, glue):
    shell(aws, "")
    shell(aws, "")
    with refused("IdempotentParameterMismatchException"):
        shell(aws, "", MaxRetries=2)


def test_an_update_replaces_the_definition(aws, glue):
    shell(aws, "", MaxRetries=2)
    job = glue.get_job(JobName="shell")["Job"]
    command = {key: job["Command"][key] for key in ("Name", "ScriptLocation")}
    glue.update_job(JobName="shell", JobUpdate={"Role": job["Role"], "Command": command})
    assert glue.get_job(JobName="shell")["Job"]["MaxRetries"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WorkerType": "G.1X", "NumberOfWorkers": 2, "MaxCapacity": 2.0}, "do not set Max"),
        ({"WorkerType": "G.1X"}, "must be set together"),
        ({"WorkerType": "G.1X", "NumberOfWorkers": 1}, "at least 2"),
        ({"GlueVersion": "2.0"}, "end of life"),
        ({"Role": "nobody"}, "assume role permissions"),
    ],
)
def test_a_definition_that_glue_refuses(aws, glue, settings, message):
    given = {"Role": role(aws), "GlueVersion": "5.1", **settings}
    command = {"Name": "glueetl", "ScriptLocation": "s3://b/s.py"}
    with refused("InvalidInputException", message):
        glue.create_job(Name="job", Command=command, **given)


def test_a_role_of_another_service_is_refused(aws, glue):
    command = {"Name": "pythonshell", "ScriptLocation": "s3://b/s.py"}
    with refused("InvalidInputException", "assume role permissions"):
        glue.create_job(Name="job", Role=role(aws, "other", "lambda"), Command=command)


def test_jobs_and_triggers_count_as_left_behind(aws, glue):
    shell(aws, "")
    glue.create_trigger(Name="now", Type="ON_DEMAND", Actions=[{"JobName": "shell"}])
    glue.create_workflow(Name="flow")
    left = inventory.take(aws.client, ["glue"])
    assert left == {
        "glue get_jobs": ["shell"],
        "glue get_triggers": ["now"],
        "glue list_workflows": ["flow"],
    }
    glue.delete_trigger(Name="now")
    glue.delete_workflow(Name="flow")
    glue.delete_job(JobName="shell")
    glue.delete_job(JobName="shell")
    assert inventory.take(aws.client, ["glue"]) == {}


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_script_gets_its_arguments_and_calls_aws(aws, glue):
    script = """
import sys, boto3
from awsglue.utils import getResolvedOptions
options = getResolvedOptions(sys.argv, ["JOB_NAME", "day", "bucket"])
boto3.client("s3").put_object(Bucket=options["bucket"], Key="done", Body=options["day"].encode())
print("wrote", options["day"], "for", options["JOB_NAME"])
"""
    shell(aws, script, DefaultArguments={"--day": "1", "--bucket": BUCKET})
    done = run(glue, "shell", Arguments={"--day": "2"})
    assert done["JobRunState"] == "SUCCEEDED"
    assert done["Arguments"] == {"--day": "2"}
    assert aws.client("s3").get_object(Bucket=BUCKET, Key="done")["Body"].read() == b"2"
    assert lines(aws, done["Id"]) == ["wrote 2 for shell"]
    calls = {call["caller"] for call in aws.journal() if call["operation"] == "PutObject"}
    assert "runner/GlueJobRunnerSession" in calls


def test_a_script_that_fails_says_why(aws, glue):
    shell(aws, "print('so far')\nraise ValueError('the column arr_delay is missing')")
    done = run(glue, "shell")
    assert done["JobRunState"] == "FAILED"
    assert done["ErrorMessage"] == "ValueError: the column arr_delay is missing"
    assert lines(aws, done["Id"]) == ["so far"]
    assert any("Traceback" in line for line in lines(aws, done["Id"], "error"))


def test_a_failed_run_is_tried_again_as_often_as_the_job_says(aws, glue):
    shell(aws, "raise SystemExit(3)", MaxRetries=2)
    run(glue, "shell")
    found = until(
        lambda: [
            each
            for each in [glue.get_job_runs(JobName="shell")["JobRuns"]]
            if len(each) == 3 and all(r["JobRunState"] == "FAILED" for r in each)
        ]
    )[0]
    assert [each["Attempt"] for each in found] == [2, 1, 0]
    assert found[0]["PreviousRunId"] == found[1]["Id"]
    assert found[0]["ErrorMessage"] == "SystemExit: 3"


def test_a_missing_script_fails_the_run(aws, glue):
    shell(aws, "")
    aws.client("s3").delete_object(Bucket=BUCKET, Key="scripts/shell.py")
    done = run(glue, "shell")
    assert done["JobRunState"] == "FAILED"
    assert "scripts/shell.py" in done["ErrorMessage"]


def test_a_run_is_stopped(aws, glue):
    shell(aws, "import time\nprint('begun', flush=True)\ntime.sleep(60)")
    run_id = glue.start_job_run(JobName="shell")["JobRunId"]
    until(
        lambda: (
            glue.get_job_run(JobName="shell", RunId=run_id)["JobRun"]["JobRunState"] == "RUNNING"
        )
    )
    stopped = glue.batch_stop_job_run(JobName="shell", JobRunIds=[run_id, "jr_none"])
    assert [each["JobRunId"] for each in stopped["SuccessfulSubmissions"]] == [run_id]
    (error,) = stopped["Errors"]
    assert error["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert wait(glue, "shell", run_id)["JobRunState"] == "STOPPED"


def test_only_so_many_runs_at_a_time(aws, glue):
    shell(aws, "import time\ntime.sleep(60)")
    run_id = glue.start_job_run(JobName="shell")["JobRunId"]
    with refused("ConcurrentRunsExceededException", "Concurrent runs exceeded for shell"):
        glue.start_job_run(JobName="shell")
    glue.batch_stop_job_run(JobName="shell", JobRunIds=[run_id])
    wait(glue, "shell", run_id)
    second = glue.start_job_run(JobName="shell")["JobRunId"]
    glue.batch_stop_job_run(JobName="shell", JobRunIds=[second])


def test_what_is_unknown(aws, glue):
    with refused("EntityNotFoundException"):
        glue.start_job_run(JobName="nothing")
    with refused("EntityNotFoundException"):
        glue.get_job(JobName="nothing")
    shell(aws, "")
    with refused("EntityNotFoundException"):
        glue.get_job_run(JobName="shell", RunId="jr_none")


def test_what_is_not_carried_out_is_said(aws, glue):
    spark(aws, "", GlueVersion="6.0")
    with refused("NotImplemented", "GlueVersion 6.0"):
        glue.start_job_run(JobName="spark")
    job = glue.get_job(JobName="spark")["Job"]
    update = {key: job[key] for key in ("Role", "Command")}
    glue.update_job(JobName="spark", JobUpdate={**update, "GlueVersion": "5.1"})
    with refused("NotImplemented", "enable-glue-datacatalog"):
        glue.start_job_run(JobName="spark", Arguments={"--enable-glue-datacatalog": "true"})


def test_modules_come_from_s3_and_others_must_be_there(aws, glue):
    library = put(aws, "libraries/helper.py", "def answer():\n    return 42\n")
    shell(aws, "import helper\nprint(helper.answer())")
    done = run(glue, "shell", Arguments={"--extra-py-files": library})
    assert lines(aws, done["Id"]) == ["42"]
    done = run(glue, "shell", Arguments={"--additional-python-modules": "pandas,no-such-module"})
    assert "no-such-module, which is not installed here" in done["ErrorMessage"]


def test_the_end_of_a_run_is_an_event(aws, glue):
    queue = aws.client("sqs").create_queue(QueueName="ends")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:ends"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
        ],
    }
    aws.client("sqs").set_queue_attributes(
        QueueUrl=queue, Attributes={"Policy": json.dumps(policy)}
    )
    pattern = {"source": ["aws.glue"], "detail": {"state": ["FAILED"]}}
    aws.client("events").put_rule(Name="ends", EventPattern=json.dumps(pattern))
    aws.client("events").put_targets(Rule="ends", Targets=[{"Id": "1", "Arn": arn}])
    shell(aws, "raise ValueError('bad day')")
    done = run(glue, "shell")
    (message,) = aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail-type"] == "Glue Job State Change"
    assert event["detail"]["jobRunId"] == done["Id"]
    assert event["detail"]["message"] == "ValueError: bad day"


# ── Spark ────────────────────────────────────────────────────────────────────────────────────────

DELAYS = """
import sys
from awsglue.utils import getResolvedOptions
from pyspark.sql import SparkSession, functions as F

options = getResolvedOptions(sys.argv, ["lake"])
spark = SparkSession.builder.getOrCreate()
spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
flights = spark.read.parquet(options["lake"] + "/raw/")
flights = flights.withColumn("late", (F.col("delay") > 15).cast("int"))
flights.write.mode("overwrite").partitionBy("month").parquet(options["lake"] + "/features/")
print("rows", flights.count(), "late", flights.agg(F.sum("late")).first()[0])
"""


def parquet(aws, key, **columns):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return put(aws, key, sink.getvalue().to_pybytes())


def test_a_spark_script_reads_and_writes_s3(aws, glue):
    parquet(aws, "raw/one.parquet", month=[1, 1, 2], delay=[3, 40, 99])
    put(aws, "features/month=1/stale.parquet", b"of an earlier run")
    put(aws, "features/month=7/other.parquet", b"of another month")
    spark(aws, DELAYS)
    done = run(glue, "spark", Arguments={"--lake": f"s3://{BUCKET}"})
    assert done.get("ErrorMessage") is None
    assert done["JobRunState"] == "SUCCEEDED"
    assert lines(aws, done["Id"]) == ["rows 3 late 2"]

    written = keys(aws, "features/")
    assert "features/month=1/stale.parquet" not in written
    assert "features/month=7/other.parquet" in written
    assert not any(key.endswith(".crc") for key in written)
    (first,) = [key for key in written if key.startswith("features/month=1/")]
    body = aws.client("s3").get_object(Bucket=BUCKET, Key=first)["Body"].read()
    assert pq.read_table(pa.BufferReader(body)).to_pydict() == {"delay": [3, 40], "late": [0, 1]}
    assert done["MaxCapacity"] == 2.0


def test_bad_input_of_a_spark_script(aws, glue):
    """An empty place fails the run; a column without any value is a column without values."""
    parquet(aws, "empty/raw/none.parquet", month=pa.array([], pa.int32()), delay=pa.array([], "i4"))
    parquet(aws, "nulls/raw/a.parquet", month=[1, 1], delay=pa.array([None, None], pa.int32()))
    script = f"""
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
for name in ("empty", "nulls"):
    delays = spark.read.parquet("s3://{BUCKET}/" + name + "/raw/")
    print(name, delays.count(), delays.agg(F.avg("delay")).first()[0])
spark.read.parquet("s3://{BUCKET}/nothing/")
"""
    spark(aws, script)
    done = run(glue, "spark")
    assert done["JobRunState"] == "FAILED"
    assert "Path does not exist" in done["ErrorMessage"] and "nothing" in done["ErrorMessage"]
    assert lines(aws, done["Id"]) == ["empty 0 None", "nulls 2 None"]


def test_dynamic_frames_are_refused_with_a_remedy(aws, glue):
    script = """
from pyspark.context import SparkContext
from awsglue.context import GlueContext
GlueContext(SparkContext.getOrCreate())
"""
    spark(aws, script)
    done = run(glue, "spark")
    assert done["JobRunState"] == "FAILED"
    assert "use getResolvedOptions and plain Spark DataFrames" in done["ErrorMessage"]


# ── triggers and workflows ───────────────────────────────────────────────────────────────────────


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
