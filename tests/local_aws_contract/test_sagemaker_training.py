"""Training jobs as a client sees them: the built-in algorithm, scripts, failures, ends."""

from __future__ import annotations

import json
import re

import numpy
import pytest
import xgboost
from botocore.exceptions import ClientError

from .sagemaker_help import (
    BUCKET,
    ROLE,
    SKLEARN,
    XGBOOST,
    SageMaker,
    archive,
    as_csv,
    channel,
    unpacked,
)

GROUP = "/aws/sagemaker/TrainingJobs"
BINARY = {"num_round": "8", "objective": "binary:logistic", "eval_metric": "auc"}


@pytest.fixture
def sagemaker(aws):
    return SageMaker(aws)


def scripted(**request):
    """A request whose program is a script."""
    specification = {"TrainingImage": SKLEARN, "TrainingInputMode": "File"}
    return {"AlgorithmSpecification": specification} | request


class TestBuiltInAlgorithm:
    def test_trains_a_model_that_the_library_can_load(self, sagemaker):
        rows = sagemaker.put_data()
        job = sagemaker.train("trains", BINARY)
        assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
        artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
        assert artifact == f"s3://{BUCKET}/output/trains/output/model.tar.gz"
        files = unpacked(sagemaker.read(artifact))
        assert list(files) == ["xgboost-model"]
        booster = xgboost.Booster()
        booster.load_model(bytearray(files["xgboost-model"]))
        scores = booster.predict(xgboost.DMatrix(rows[300:, 1:]))
        accuracy = ((scores > 0.5) == rows[300:, 0]).mean()
        assert accuracy > 0.85
        assert booster.num_boosted_rounds() == 8

    def test_is_the_model_that_the_library_trains(self, sagemaker):
        rows = sagemaker.put_data()
        job = sagemaker.train(
            "same", {"num_round": "5", "objective": "binary:logistic", "eta": "0.2"}
        )
        files = unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))
        booster = xgboost.Booster()
        booster.load_model(bytearray(files["xgboost-model"]))
        read = numpy.array([[float(f"{value:.6g}") for value in row] for row in rows[:300]])
        data = xgboost.DMatrix(read[:, 1:].astype(numpy.float32), label=read[:, 0])
        bare = xgboost.train({"objective": "binary:logistic", "eta": 0.2, "nthread": 2}, data, 5)
        numpy.testing.assert_allclose(booster.predict(data), bare.predict(data), rtol=1e-5)

    def test_reports_states_times_and_metrics(self, sagemaker):
        sagemaker.put_data()
        job = sagemaker.train("reports", BINARY)
        statuses = [each["Status"] for each in job["SecondaryStatusTransitions"]]
        assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
        assert all("EndTime" in each for each in job["SecondaryStatusTransitions"])
        times = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")
        assert sorted(times, key=lambda name: job[name]) == list(times)
        assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
        metrics = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
        assert set(metrics) == {"train:auc", "validation:auc"}
        assert 0.9 < metrics["validation:auc"] <= metrics["train:auc"] <= 1
        defined = {each["Name"] for each in job["AlgorithmSpecification"]["MetricDefinitions"]}
        assert {"train:rmse", "validation:logloss", "validation:auc"} <= defined
        assert "VpcConfig" not in job and "Tags" not in job

    def test_writes_the_log_of_the_container(self, sagemaker):
        sagemaker.put_data()
        job = sagemaker.train("logs", BINARY)
        lines = sagemaker.log(GROUP, "logs/algo-1-")
        rounds = [line for line in lines if line.startswith("[")]
        assert re.fullmatch(r"\[7\]#011train-auc:[\d.]+#011validation-auc:[\d.]+", rounds[-1])
        last = float(rounds[-1].rpartition(":")[2])
        metrics = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
        assert metrics["validation:auc"] == last
        assert any(line.endswith("Train matrix has 300 rows and 3 columns") for line in lines)
        assert any(line.endswith("Validation matrix has 100 rows") for line in lines)

    def test_weights_rows_by_the_second_column(self, sagemaker):
        rows = sagemaker.put_data()
        weights = numpy.where(rows[:, 0] == 1, 50.0, 1.0)
        weighted = numpy.column_stack([rows[:, 0], weights, rows[:, 1:]])
        uri = sagemaker.put("weighted/rows.csv", as_csv(weighted))
        settings = {"num_round": "3", "objective": "binary:logistic"}
        scores = {}
        for name, given in (("plain", {}), ("weighted", {"csv_weights": "1"})):
            source = uri if given else f"s3://{BUCKET}/data/train/"
            inputs = [channel("train", source)]
            job = sagemaker.train(name, settings | given, InputDataConfig=inputs)
            files = unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))
            booster = xgboost.Booster()
            booster.load_model(bytearray(files["xgboost-model"]))
            scores[name] = booster.predict(xgboost.DMatrix(rows[:, 1:])).mean()
        assert scores["weighted"] > scores["plain"] + 0.1

    @pytest.mark.parametrize("kind", ["text/libsvm", "application/x-parquet", "csv-in-parts"])
    def test_reads_every_content_type(self, sagemaker, tmp_path, kind):
        rows = sagemaker.put_data()
        if kind == "text/libsvm":
            lines = [
                " ".join([f"{row[0]:g}", *(f"{i}:{value:.6g}" for i, value in enumerate(row[1:]))])
                for row in rows
            ]
            sagemaker.put("typed/rows.libsvm", "\n".join(lines) + "\n")
        elif kind == "application/x-parquet":
            import pandas

            path = tmp_path / "rows.parquet"
            frame = pandas.DataFrame(rows, columns=["label", "a", "b", "c"])
            frame.astype({"label": int}).to_parquet(path, index=False)
            sagemaker.put("typed/rows.parquet", path.read_bytes())
        else:
            sagemaker.put("typed/a/part-0.csv", as_csv(rows[:200]))
            sagemaker.put("typed/a/part-1.csv", as_csv(rows[200:]))
        content_type = "text/csv; label_size=1" if kind == "csv-in-parts" else kind
        inputs = [channel("train", f"s3://{BUCKET}/typed/", content_type)]
        job = sagemaker.train("typed", BINARY, InputDataConfig=inputs)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert job["FinalMetricDataList"][0]["Value"] > 0.95
        lines = sagemaker.log(GROUP, "typed/")
        assert any(line.endswith("Train matrix has 400 rows and 3 columns") for line in lines)

    def test_takes_empty_cells_for_missing_values(self, sagemaker):
        sagemaker.put("data/train/rows.csv", "1,0.5,,3\n0,,2,1\n1,0.25,1,\n0,0.1,7,8\n" * 20)
        inputs = [channel("train")]
        settings = {"num_round": "2", "objective": "binary:logistic"}
        job = sagemaker.train("missing", settings, InputDataConfig=inputs)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")

    def test_takes_the_objects_of_a_manifest(self, sagemaker):
        sagemaker.put_data()
        sagemaker.put("data/train/unread.csv", "not,a,number,row\n")
        manifest = [{"prefix": f"s3://{BUCKET}/data/"}, "train/train.csv"]
        uri = sagemaker.put("manifest.json", json.dumps(manifest))
        source = {"S3DataType": "ManifestFile", "S3Uri": uri}
        inputs = [channel("train") | {"DataSource": {"S3DataSource": source}}]
        job = sagemaker.train("manifest", BINARY, InputDataConfig=inputs)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")

    def test_stops_early_and_keeps_the_best_round(self, sagemaker):
        sagemaker.put_data()
        job = sagemaker.train("early", BINARY | {"num_round": "300", "early_stopping_rounds": "5"})
        files = unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))
        booster = xgboost.Booster()
        booster.load_model(bytearray(files["xgboost-model"]))
        rounds = [line for line in sagemaker.log(GROUP, "early/") if line.startswith("[")]
        rounds = [line for line in rounds if "#011" in line]
        assert booster.num_boosted_rounds() == len(rounds) - 5 < 295

    def test_computes_the_metrics_of_the_container(self, sagemaker):
        sagemaker.put_data()
        settings = BINARY | {"eval_metric": "accuracy,f1,logloss"}
        job = sagemaker.train("computed", settings)
        metrics = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
        assert 0.8 < metrics["validation:accuracy"] <= 1
        assert 0.8 < metrics["validation:f1"] <= 1
        assert 0 < metrics["validation:logloss"] < 0.5

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"eta": "2"}, "Hyperparameter eta: 2.0 is not in [0, 1]"),
            ({"subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0, 1]"),
            ({"max_depth": "deep"}, "Hyperparameter max_depth: could not parse value"),
            ({"objective": "binary:best"}, "Hyperparameter objective: binary:best is not in"),
            ({"silent": "1"}, "Extraneous hyperparameter found: silent"),
            ({"eval_metric": "auc,best"}, "Hyperparameter eval_metric: value ['auc', 'best']"),
            ({"eval_metric": "rmse@2"}, "should be one of these options: 'error', 'ndcg', 'map'"),
            ({"objective": "multi:softmax"}, "Require input for parameter 'num_class'"),
            ({"objective": "reg:squarederror"}, "Metric 'auc' can only be applied for"),
            ({"monotone_constraints": "(1,0,0)"}, "monotone_constraints can be used only when"),
        ],
    )
    def test_refuses_a_wrong_hyperparameter(self, sagemaker, given, reason):
        sagemaker.put_data()
        job = sagemaker.train("wrong", BINARY | given)
        assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
        assert job["FailureReason"].startswith("AlgorithmError: framework error:")
        assert reason in job["FailureReason"]
        assert job["FailureReason"].endswith("exit code: 1")
        assert "ModelArtifacts" not in job

    def test_needs_num_round(self, sagemaker):
        sagemaker.put_data()
        job = sagemaker.train("rounds", {"objective": "binary:logistic"})
        assert "Missing required hyperparameter: num_round" in job["FailureReason"]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("1,2,3\n0,cheap,3\n", "could not convert string to float: 'cheap' (rows.csv, row 2"),
            ("label,a,b\n1,2,3\n", "The data must have no header."),
            ("1,2,3\n0,3\n", "Expected 3 columns, got 2: 0,3"),
            ("5,2,3\n0,3,4\n", "label must be in [0,1]"),
        ],
    )
    def test_names_the_bad_row(self, sagemaker, content, reason):
        sagemaker.put("data/train/rows.csv", content)
        job = sagemaker.train("bad-row", BINARY, InputDataConfig=[channel("train")])
        assert job["TrainingJobStatus"] == "Failed"
        assert reason in job["FailureReason"]

    @pytest.mark.parametrize(
        ("inputs", "reason"),
        [
            ([channel("validation")], "Missing required channel: train"),
            (
                [channel("train"), channel("test", f"s3://{BUCKET}/data/train/")],
                "Extraneous channel",
            ),
            (
                [channel("train", content_type="text/html")],
                "text/html is not an accepted ContentTy",
            ),
            ([channel("train", content_type="text/csv;label_size=2")], "label_size must be equal"),
            ([channel("train", content_type="text/libsvm")], "is not 'LIBSVM' format"),
        ],
    )
    def test_refuses_wrong_channels(self, sagemaker, inputs, reason):
        sagemaker.put_data()
        job = sagemaker.train("channels", BINARY, InputDataConfig=inputs)
        assert reason in job["FailureReason"]


class TestScripts:
    def test_gets_arguments_and_variables(self, sagemaker):
        sagemaker.put_data()
        script = """
import json, os, sys
model = {
    "arguments": sys.argv[1:],
    "folder": os.getcwd(),
    "environment": {name: value for name, value in os.environ.items() if name.startswith("SM_")},
    "given": os.environ["GREETING"],
    "secret": os.environ.get("READERS_OWN"),
    "hyperparameters": json.load(open("/opt/ml/input/config/hyperparameters.json")),
    "resources": json.load(open("/opt/ml/input/config/resourceconfig.json")),
    "rows": len(open("/opt/ml/input/data/train/train.csv").readlines()),
}
json.dump(model, open("/opt/ml/model/seen.json", "w"))
print("model folder is", os.environ["SM_MODEL_DIR"])
open("/opt/ml/output/data/extra.txt", "w").write("extra")
"""
        submitted = sagemaker.put_code({"train.py": script})
        job = sagemaker.train(
            "script",
            {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": json.dumps(submitted),
                "rate": "0.5",
                "name": '"two words"',
                "C": "3",
                "where": "/opt/ml/model/here",
            },
            Environment={"GREETING": "hello"},
            **scripted(),
        )
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        seen = json.loads(
            unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"]))["seen.json"]
        )
        folder = seen["folder"].removesuffix("/code")
        assert seen["arguments"][:4] == ["-C", "3", "--name", "two words"]
        assert seen["arguments"][4:] == ["--rate", "0.5", "--where", f"{folder}/model/here"]
        variables = seen["environment"]
        assert variables["SM_MODEL_DIR"] == f"{folder}/model"
        assert variables["SM_CHANNEL_TRAIN"] == f"{folder}/input/data/train"
        assert variables["SM_OUTPUT_DATA_DIR"] == f"{folder}/output/data"
        assert json.loads(variables["SM_HPS"])["rate"] == 0.5
        assert json.loads(variables["SM_CHANNELS"]) == ["train", "validation"]
        assert variables["SM_HP_RATE"] == "0.5" and variables["SM_CURRENT_HOST"] == "algo-1"
        assert seen["given"] == "hello" and seen["secret"] is None
        assert seen["hyperparameters"]["name"] == '"two words"'
        assert seen["resources"]["hosts"] == ["algo-1"]
        assert seen["rows"] == 300
        lines = sagemaker.log(GROUP, "script/")
        assert "model folder is /opt/ml/model" in lines
        assert not any(folder in line for line in lines)
        extra = unpacked(sagemaker.read(f"s3://{BUCKET}/output/script/output/output.tar.gz"))
        assert extra == {"extra.txt": b"extra"}

    def test_runs_the_entry_point_of_the_request(self, sagemaker):
        sagemaker.put_data()
        code = sagemaker.put(
            "code/run.py", "print('ran', open('/opt/ml/input/data/note/n').read())"
        )
        note = sagemaker.put("note/n", "well")
        job = sagemaker.train(
            "entry",
            {},
            AlgorithmSpecification={
                "TrainingImage": SKLEARN,
                "TrainingInputMode": "FastFile",
                "ContainerEntrypoint": ["/bin/sh", "-c"],
                "ContainerArguments": ["python3 /opt/ml/input/data/code/run.py"],
            },
            InputDataConfig=[channel("code", code), channel("note", note)],
        )
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert "ran well" in sagemaker.log(GROUP, "entry/")

    def test_reads_metrics_by_regular_expression(self, sagemaker):
        code = sagemaker.put("code/run.py", "for x in (0.5, 0.75): print(f'loss={x};')")
        definitions = [
            {"Name": "loss", "Regex": "loss=([0-9.]+);"},
            {"Name": "never", "Regex": "never=([0-9.]+)"},
        ]
        job = sagemaker.train(
            "metrics",
            {},
            AlgorithmSpecification={
                "TrainingImage": SKLEARN,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/run.py"],
                "MetricDefinitions": definitions,
            },
            InputDataConfig=[channel("code", code)],
        )
        assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [
            ("loss", 0.75)
        ]
        assert job["AlgorithmSpecification"]["MetricDefinitions"] == definitions

    @pytest.mark.parametrize(
        ("script", "reason", "code"),
        [
            ("raise ValueError('no column fare')", "ValueError: no column fare", 1),
            ("import sys; print('giving up'); sys.exit(7)", "giving up", 7),
            ("open('/opt/ml/output/failure', 'w').write('my reason'); raise SystemExit(3)",
             "my reason", 3),
            ("raise KeyError('x')\n", "KeyError: 'x'", 1),
        ],
    )  # fmt: skip
    def test_says_why_a_script_failed(self, sagemaker, script, reason, code):
        sagemaker.put_data()
        submitted = sagemaker.put_code({"train.py": script})
        job = sagemaker.train(
            "fails",
            {"sagemaker_program": "train.py", "sagemaker_submit_directory": submitted},
            **scripted(),
        )
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("AlgorithmError: ")
        assert reason in job["FailureReason"]
        assert job["FailureReason"].endswith(f"exit code: {code}")
        if reason != "my reason":
            assert "ExecuteUserScriptError" in job["FailureReason"]
        assert "/opt/ml/model" not in sagemaker.keys("output/")

    def test_installs_nothing(self, sagemaker):
        sagemaker.put_data()
        hyperparameters = {"sagemaker_program": "train.py"}
        for name, requirements in (
            ("there", "numpy\n"),
            ("not-there", "numpy\nno-such-thing>=2\n"),
        ):
            submitted = sagemaker.put_code(
                {"train.py": "print('trained')", "requirements.txt": requirements}, f"{name}.tar.gz"
            )
            sagemaker.train(
                name, hyperparameters | {"sagemaker_submit_directory": submitted}, **scripted()
            )
        assert "Requirement already satisfied: numpy" in sagemaker.log(GROUP, "there/")
        job = sagemaker.training("not-there")
        assert "InstallRequirementsError" in job["FailureReason"]
        assert "no-such-thing>=2 (not installed)" in job["FailureReason"]
        assert "trained" not in sagemaker.log(GROUP, "not-there/")

    def test_refuses_an_archive_that_leaves_its_folder(self, sagemaker):
        sagemaker.put_data()
        uri = sagemaker.put("evil.tar.gz", archive({"../../evil.py": b"print()"}))
        job = sagemaker.train(
            "evil",
            {"sagemaker_program": "evil.py", "sagemaker_submit_directory": uri},
            **scripted(),
        )
        assert job["FailureReason"].startswith("ClientError: ")

    def test_reaches_aws_with_the_rights_of_the_job(self, sagemaker):
        sagemaker.put_data()
        script = (
            "import boto3\n"
            f"boto3.client('s3').put_object(Bucket='{BUCKET}', Key='from-job', Body=b'x')\n"
        )
        submitted = sagemaker.put_code({"train.py": script})
        job = sagemaker.train(
            "reaches",
            {"sagemaker_program": "train.py", "sagemaker_submit_directory": submitted},
            **scripted(),
        )
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        calls = [each for each in sagemaker.aws.journal() if each["caller"] == "reaches"]
        assert ("PutObject", "from-job") in [
            (each["operation"], each["params"].get("Key")) for each in calls
        ]
        read = {each["params"].get("Key") for each in calls if each["operation"] == "GetObject"}
        assert {"data/train/train.csv", "code/sourcedir.tar.gz"} <= read

    def test_says_that_an_image_is_not_known(self, sagemaker):
        sagemaker.put_data()
        job = sagemaker.train("image", {}, **scripted())
        assert SKLEARN in job["FailureReason"] and "SourceCode" in job["FailureReason"]


class TestEnds:
    SLEEP = "import time\nopen('/opt/ml/model/half', 'w').write('x')\nprint('up')\ntime.sleep(60)\n"

    def start(self, sagemaker, **request):
        code = sagemaker.put("code/run.py", self.SLEEP)
        specification = {
            "TrainingImage": SKLEARN,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/run.py"],
        }
        sagemaker.start_training(
            "long",
            {},
            AlgorithmSpecification=specification,
            InputDataConfig=[channel("code", code)],
            **request,
        )

    def test_stops_when_asked_to(self, sagemaker):
        self.start(sagemaker)
        sagemaker.log_has(GROUP, "long/", "up")
        assert sagemaker.training("long", ("InProgress",))["SecondaryStatus"] == "Training"
        with pytest.raises(ClientError) as refused:
            sagemaker.client.delete_training_job(TrainingJobName="long")
        assert refused.value.response["Error"]["Code"] == "ResourceInUse"
        sagemaker.client.stop_training_job(TrainingJobName="long")
        job = sagemaker.training("long")
        assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
        assert "FailureReason" not in job
        assert unpacked(sagemaker.read(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"half": b"x"}
        with pytest.raises(ClientError, match="is in status Stopped"):
            sagemaker.client.stop_training_job(TrainingJobName="long")
        sagemaker.client.delete_training_job(TrainingJobName="long")
        assert sagemaker.client.list_training_jobs()["TrainingJobSummaries"] == []

    def test_stops_at_its_time_limit(self, sagemaker):
        self.start(sagemaker, StoppingCondition={"MaxRuntimeInSeconds": 1})
        job = sagemaker.training("long")
        assert job["TrainingJobStatus"] == "Stopped"
        assert job["SecondaryStatus"] == "MaxRuntimeExceeded"

    def test_ends_with_the_account(self, sagemaker):
        self.start(sagemaker)
        sagemaker.log_has(GROUP, "long/", "up")
        sagemaker.aws.reset()
        assert sagemaker.client.list_training_jobs()["TrainingJobSummaries"] == []


class TestRequests:
    def test_refuses_a_name_twice(self, sagemaker):
        sagemaker.put_data()
        sagemaker.train("twice", BINARY)
        with pytest.raises(ClientError) as refused:
            sagemaker.start_training("twice", BINARY)
        assert refused.value.response["Error"]["Code"] == "ResourceInUse"

    def test_does_not_know_other_jobs(self, sagemaker):
        for ask in ("describe", "stop", "delete"):
            with pytest.raises(ClientError) as refused:
                getattr(sagemaker.client, f"{ask}_training_job")(TrainingJobName="other")
            error = refused.value.response["Error"]
            assert error["Code"] == "ValidationException"
            assert error["Message"] == "Requested resource not found."

    @pytest.mark.parametrize("uri", ["s3://sagemaker-tests/nothing/", "s3://no-such-bucket/x"])
    def test_refuses_a_channel_without_objects(self, sagemaker, uri):
        with pytest.raises(ClientError) as refused:
            sagemaker.start_training("empty", BINARY, InputDataConfig=[channel("train", uri)])
        error = refused.value.response["Error"]
        assert error["Code"] == "ValidationException"
        assert f'No S3 objects found under S3 URL "{uri}"' in error["Message"]
        assert ROLE in error["Message"]

    def test_refuses_a_role_that_it_may_not_assume(self, sagemaker):
        sagemaker.put_data()
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        other = sagemaker.aws.client("iam").create_role(
            RoleName="other", AssumeRolePolicyDocument=policy
        )["Role"]["Arn"]
        for role in (other, "arn:aws:iam::123456789012:role/nobody"):
            with pytest.raises(ClientError, match="Could not assume role"):
                sagemaker.start_training("role", BINARY, RoleArn=role)

    def test_says_that_the_output_cannot_be_written(self, sagemaker):
        sagemaker.put_data()
        output = {"S3OutputPath": "s3://no-such-bucket/x"}
        job = sagemaker.train("nowhere", BINARY, OutputDataConfig=output)
        assert job["FailureReason"].startswith("ClientError: Artifact upload failed")

    def test_checks_the_limits_of_spot_training(self, sagemaker):
        sagemaker.put_data()
        with pytest.raises(ClientError, match="Invalid MaxWaitTimeInSeconds"):
            sagemaker.start_training("spot", BINARY, EnableManagedSpotTraining=True)
        condition = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}
        job = sagemaker.train(
            "spot", BINARY, EnableManagedSpotTraining=True, StoppingCondition=condition
        )
        assert job["EnableManagedSpotTraining"] is True
        assert job["StoppingCondition"] == condition
        assert job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]

    @pytest.mark.parametrize(
        "request_",
        [
            {"ResourceConfig": {"VolumeSizeInGB": 5, "InstanceGroups": [
                {"InstanceType": "ml.m5.large", "InstanceCount": 1, "InstanceGroupName": "a"}]}},
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 100,
                                "VolumeSizeInGB": 5}},
        ],
    )  # fmt: skip
    def test_refuses_what_it_would_have_to_pretend(self, sagemaker, request_):
        sagemaker.put_data()
        with pytest.raises(ClientError) as refused:
            sagemaker.start_training("much", BINARY, **request_)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501

    def test_lists_in_pages(self, sagemaker):
        sagemaker.put_data()
        for number in range(3):
            sagemaker.start_training(f"listed-{number}", {})
        for number in range(3):
            sagemaker.training(f"listed-{number}")
        pages = sagemaker.client.get_paginator("list_training_jobs").paginate(
            SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
        )
        names = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
        assert names == [["listed-0", "listed-1"], ["listed-2"]]
        failed = sagemaker.client.list_training_jobs(StatusEquals="Failed", NameContains="-1")
        assert [job["TrainingJobName"] for job in failed["TrainingJobSummaries"]] == ["listed-1"]
        done = sagemaker.client.list_training_jobs(StatusEquals="Completed")
        assert done["TrainingJobSummaries"] == []

    def test_keeps_tags(self, sagemaker):
        sagemaker.put_data()
        tags = [{"Key": "project", "Value": "cloud-native-ml"}]
        resource = sagemaker.start_training("tagged", {}, Tags=tags)["TrainingJobArn"]
        assert sagemaker.client.list_tags(ResourceArn=resource)["Tags"] == tags
        more = [{"Key": "chapter", "Value": "06"}]
        sagemaker.client.add_tags(ResourceArn=resource, Tags=more)
        sagemaker.client.delete_tags(ResourceArn=resource, TagKeys=["project"])
        assert sagemaker.client.list_tags(ResourceArn=resource)["Tags"] == more
        sagemaker.training("tagged")

    def test_works_with_the_waiter(self, sagemaker):
        sagemaker.put_data()
        sagemaker.start_training("waited", BINARY)
        waiter = sagemaker.client.get_waiter("training_job_completed_or_stopped")
        waiter.wait(TrainingJobName="waited", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        assert sagemaker.training("waited")["TrainingJobStatus"] == "Completed"

    @pytest.mark.parametrize(
        ("operation", "request_"),
        [
            (
                "create_transform_job",
                {
                    "TransformJobName": "x",
                    "ModelName": "m",
                    "TransformInput": {
                        "DataSource": {
                            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b"}
                        }
                    },
                    "TransformOutput": {"S3OutputPath": "s3://b"},
                    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
                },
            ),
            ("start_pipeline_execution", {"PipelineName": "x"}),
            ("search", {"Resource": "TrainingJob"}),
        ],
    )
    def test_does_not_pretend(self, sagemaker, operation, request_):
        with pytest.raises(ClientError) as refused:
            getattr(sagemaker.client, operation)(**request_)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_describes_what_moto_keeps_without_empty_structures(sagemaker):
    sagemaker.client.create_model_package_group(ModelPackageGroupName="group")
    described = sagemaker.client.describe_model_package_group(ModelPackageGroupName="group")
    assert described["ModelPackageGroupName"] == "group"
    assert not [name for name, value in described.items() if value in ({}, [], "", None)]


def test_checkpoints_survive_a_job(sagemaker):
    script = """
from pathlib import Path
folder = Path("/opt/ml/checkpoints")
count = len(list(folder.glob("*")))
(folder / f"part-{count}").write_text("x")
print("found", count)
"""
    code = sagemaker.put("code/run.py", script)
    for name in ("first", "second"):
        sagemaker.train(
            name,
            {},
            AlgorithmSpecification={
                "TrainingImage": XGBOOST,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/run.py"],
            },
            InputDataConfig=[channel("code", code)],
            CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints"},
        )
    assert "found 1" in sagemaker.log(GROUP, "second/")
    assert sagemaker.keys("checkpoints/") == ["checkpoints/part-0", "checkpoints/part-1"]
