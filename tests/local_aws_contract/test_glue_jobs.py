"""Glue jobs as a client sees them: definitions, runs, states, logs.

Written from the AWS Glue Web API Reference (jobs, job runs) and the page "Job parameters". States
and faults are tried with Python shell jobs, which start fast; what only Spark does, with few Spark
runs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.local_aws import inventory

from .glue_help import BUCKET, keys, lines, put, refused, role, run, shell, spark, until, wait


@pytest.fixture
def glue(aws):
    aws.client("s3").create_bucket(Bucket=BUCKET)
    return aws.client("glue")


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
        ({"GlueVersion": "7.5"}, "none of 3.0, 4.0, 5.0, 5.1, 6.0"),
        ({"MaxCapacity": 1.0}, "at least 2"),
        ({"Timeout": 10081}, "at most 10080 minutes"),
        ({"MaxRetries": 11}, "from 0 to 10"),
        ({"Role": "nobody"}, "assume role permissions"),
    ],
)
def test_a_definition_that_glue_refuses(aws, glue, settings, message):
    given = {"Role": role(aws), "GlueVersion": "5.1", **settings}
    command = {"Name": "glueetl", "ScriptLocation": "s3://b/s.py"}
    with refused("InvalidInputException", message):
        glue.create_job(Name="job", Command=command, **given)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"MaxCapacity": 0.5}, "0.0625 or 1"),
        ({"WorkerType": "G.1X", "NumberOfWorkers": 2}, "no workers"),
        ({"Timeout": 20000}, "at most 10080"),
    ],
)
def test_a_run_that_glue_refuses(aws, glue, asked, message):
    shell(aws, "")
    with refused("InvalidInputException", message):
        glue.start_job_run(JobName="shell", **asked)
    assert glue.get_job_runs(JobName="shell")["JobRuns"] == []


def test_a_run_may_ask_for_other_workers_than_its_job(aws, glue):
    spark(aws, "", GlueVersion="6.0", ExecutionClass="FLEX")
    assert run(glue, "spark", NumberOfWorkers=5)["MaxCapacity"] == 5.0
    done = run(glue, "spark", WorkerType="G.2X", NumberOfWorkers=3)
    assert done["MaxCapacity"] == 6.0
    assert done["DPUSeconds"] >= 0
    assert run(glue, "spark", MaxCapacity=4.0)["MaxCapacity"] == 4.0


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
    assert any("Traceback" in line for line in lines(aws, done["Id"], "python-jobs/error"))


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
    assert done["ErrorMessage"].startswith(
        f"LAUNCH ERROR | Error downloading from S3 for bucket: {BUCKET}, key: scripts/shell.py."
    )


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


def test_what_is_not_carried_out_is_said_by_the_run(aws, glue):
    """Also to those who did not start the run: a trigger, a schedule."""
    spark(aws, "", GlueVersion="6.0")
    done = run(glue, "spark")
    assert done["JobRunState"] == "FAILED"
    assert (
        "does not run scripts of Glue 6.0; set GlueVersion to 4.0, 5.0, 5.1"
        in (done["ErrorMessage"])
    )
    job = glue.get_job(JobName="spark")["Job"]
    update = {key: job[key] for key in ("Role", "Command")}
    glue.update_job(JobName="spark", JobUpdate={**update, "GlueVersion": "5.1"})
    done = run(glue, "spark", Arguments={"--enable-glue-datacatalog": "true"})
    assert "--enable-glue-datacatalog (the Data Catalog as" in done["ErrorMessage"]
    glue.update_job(
        JobName="spark",
        JobUpdate={"Role": job["Role"], "Command": {**job["Command"], "Name": "gluestreaming"}},
    )
    assert "does not run gluestreaming jobs" in run(glue, "spark")["ErrorMessage"]


def test_runs_come_a_page_at_a_time_the_newest_first(aws, glue):
    shell(aws, "")
    started = [run(glue, "shell")["Id"] for _ in range(3)]
    first = glue.get_job_runs(JobName="shell", MaxResults=2)
    assert [each["Id"] for each in first["JobRuns"]] == started[:0:-1]
    second = glue.get_job_runs(JobName="shell", MaxResults=2, NextToken=first["NextToken"])
    assert [each["Id"] for each in second["JobRuns"]] == started[:1]
    assert "NextToken" not in second
    with refused("InvalidInputException", "NextToken"):
        glue.get_job_runs(JobName="shell", NextToken="elsewhere")


def test_modules_come_from_s3_and_others_must_be_there(aws, glue):
    library = put(aws, "libraries/helper.py", "def answer():\n    return 42\n")
    shell(aws, "import helper\nprint(helper.answer())")
    done = run(glue, "shell", Arguments={"--extra-py-files": library})
    assert lines(aws, done["Id"]) == ["42"]
    done = run(glue, "shell", Arguments={"--additional-python-modules": "pandas,no-such-module"})
    assert "no-such-module, which is not installed here" in done["ErrorMessage"]
    done = run(glue, "shell", Arguments={"--additional-python-modules": "pandas<1,boto3"})
    assert "names pandas<1, but version" in done["ErrorMessage"]


def test_files_lie_beside_the_script_at_work(aws, glue):
    place = put(aws, "settings/limits.json", '{"late": 15}')
    shell(aws, "import json\nprint(json.load(open('limits.json'))['late'])")
    done = run(glue, "shell", Arguments={"--extra-files": place})
    assert lines(aws, done["Id"]) == ["15"]


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
    assert lines(aws, done["Id"], "jobs/output") == ["rows 3 late 2"]

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
    assert done["ErrorMessage"].startswith(
        "Error Category: QUERY_ERROR; Failed Line Number: 7; Spark Error Class: PATH_NOT_FOUND; "
        "AnalysisException: [PATH_NOT_FOUND] Path does not exist: s3://lake-of-jobs/nothing"
    )
    assert lines(aws, done["Id"], "jobs/output") == ["empty 0 None", "nulls 2 None"]


def test_a_bucket_that_is_not_there_fails_the_run(aws, glue):
    """And one whose name the script puts together is found. What Spark wrote before stays."""
    aws.client("s3").create_bucket(Bucket="target-123456789012")
    script = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
account = "123456789012"
spark.range(3).coalesce(1).write.mode("overwrite").json(f"s3://target-{account}/three/")
spark.range(3).write.mode("overwrite").json(f"s3://missing-{account}/local_aws_must_not_write/")
"""
    spark(aws, script)
    done = run(glue, "spark")
    assert done["JobRunState"] == "FAILED"
    assert "Failed Line Number: 6; An error occurred while calling" in done["ErrorMessage"]
    assert "The specified bucket does not exist: missing-123456789012" in done["ErrorMessage"]
    assert not Path("/local_aws_must_not_write").exists()
    written = aws.client("s3").list_objects_v2(Bucket="target-123456789012")["Contents"]
    assert sum(each["Key"].endswith(".json") for each in written) == 1


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


def test_the_words_of_an_error():
    """Those of a Spark job begin with a category, as the page on observability metrics lists."""
    from tests.local_aws.executors.glue.launcher import words

    java = ValueError(
        "An error occurred while calling o28.parquet.\n: java.io.IOException: no bucket\n\tat a.b"
    )
    assert words(java, "s.py", "pythonshell") == (
        "An error occurred while calling o28.parquet. no bucket"
    )
    assert words(KeyError("day"), "s.py", "pythonshell") == "KeyError: 'day'"
    assert words(KeyError("day"), "s.py", "glueetl") == (
        "Error Category: INVALID_ARGUMENT_ERROR; KeyError: 'day'"
    )
    assert words(RuntimeError("?"), "s.py", "glueetl") == (
        "Error Category: UNCLASSIFIED_ERROR; RuntimeError: ?"
    )
