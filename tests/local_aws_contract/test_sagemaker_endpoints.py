"""Models, endpoint configurations and endpoints as a client sees them."""

from __future__ import annotations

import io
import json
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy
import psutil
import pytest
import xgboost
from botocore.exceptions import ClientError
from sklearn.linear_model import LogisticRegression

from .sagemaker_help import (
    BUCKET,
    ROLE,
    SKLEARN,
    XGBOOST,
    SageMaker,
    archive,
    as_csv,
    json_lines,
    labelled_rows,
    variant,
    wait_for,
)

GROUP = "/aws/sagemaker/Endpoints"
SCRIPT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}


@pytest.fixture
def sagemaker(aws):
    return SageMaker(aws)


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    rows = labelled_rows()
    data = xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])
    return xgboost.train({"objective": "binary:logistic", "seed": 1}, data, 10)


@pytest.fixture
def artifact(sagemaker, booster) -> str:
    content = archive({"xgboost-model": bytes(booster.save_raw("ubj"))})
    return sagemaker.put("models/xgboost.tar.gz", content)


def scripted(sagemaker, script: str, **files: bytes) -> str:
    """An artifact with an `inference.py`."""
    content = archive({"code/inference.py": script.encode()} | files)
    return sagemaker.put("models/scripted.tar.gz", content)


class TestXGBoost:
    def test_answers_as_the_library_does(self, sagemaker, booster, artifact):
        rows = labelled_rows()[:100, 1:]
        endpoint = sagemaker.deploy("xgb", artifact)
        assert endpoint["EndpointStatus"] == "InService"
        answer = sagemaker.runtime.invoke_endpoint(
            EndpointName="xgb", Body=as_csv(rows), ContentType="text/csv"
        )
        assert answer["ContentType"] == "text/csv; charset=utf-8"
        assert answer["InvokedProductionVariant"] == "AllTraffic"
        scores = [float(line) for line in answer["Body"].read().decode().splitlines()]
        read = numpy.loadtxt(io.StringIO(as_csv(rows)), delimiter=",", dtype=numpy.float32)
        numpy.testing.assert_allclose(scores, booster.predict(xgboost.DMatrix(read)), rtol=1e-6)

    def test_takes_and_gives_every_content_type(self, sagemaker, artifact):
        sagemaker.deploy("xgb", artifact)
        row = "0.9,0.8,0.1\n0.1,0.2,0.3"
        plain = [float(line) for line in sagemaker.invoke("xgb", row).decode().splitlines()]
        libsvm = sagemaker.invoke(
            "xgb", "0:0.9 1:0.8 2:0.1\n0:0.1 1:0.2 2:0.3", ContentType="text/libsvm"
        )
        assert [float(line) for line in libsvm.decode().splitlines()] == plain
        answer = json.loads(sagemaker.invoke("xgb", row, Accept="application/json"))
        assert [each["score"] for each in answer["predictions"]] == plain
        lines = json_lines(sagemaker.invoke("xgb", row, Accept="application/jsonlines"))
        assert [each["score"] for each in lines] == plain
        missing = sagemaker.invoke("xgb", "0.9,,0.1")
        assert 0 <= float(missing) <= 1

    def test_gives_what_is_selected(self, sagemaker, artifact):
        selected = {"SAGEMAKER_INFERENCE_OUTPUT": "predicted_label,probability,probabilities"}
        sagemaker.deploy("xgb", artifact, environment=selected)
        answer = json.loads(
            sagemaker.invoke("xgb", "0.9,0.9,0.1\n0.1,0.1,0.1", Accept="application/json")
        )["predictions"]
        assert [each["predicted_label"] for each in answer] == [1, 0]
        for each in answer:
            assert each["probabilities"][1] == each["probability"]
            assert sum(each["probabilities"]) == pytest.approx(1)

    def test_reads_a_pickled_model(self, sagemaker, booster):
        content = archive({"xgboost-model": pickle.dumps(booster)})
        sagemaker.deploy("old", sagemaker.put("models/old.tar.gz", content))
        assert float(sagemaker.invoke("old", "0.9,0.9,0.1")) > 0.5

    @pytest.mark.parametrize(
        ("body", "request_", "status", "message"),
        [
            ("1", {"ContentType": "application/json"}, 415, "not an accepted ContentType: csv"),
            ("1,2", {}, 400, "Feature size of csv inference data 2 is not consistent with"),
            ("a,b,c", {}, 415, "please ensure data is in csv format"),
            ("1,2,3", {"Accept": "image/png"}, 406, "Accept type image/png is not supported"),
        ],
    )
    def test_refuses_as_the_container_does(
        self, sagemaker, artifact, body, request_, status, message
    ):
        sagemaker.deploy("xgb", artifact)
        with pytest.raises(sagemaker.runtime.exceptions.ModelError) as refused:
            sagemaker.invoke("xgb", body, **request_)
        answer = refused.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert answer["OriginalStatusCode"] == status
        assert message in answer["OriginalMessage"]
        said = answer["Error"]["Message"]
        assert said.startswith(f"Received client error ({status}) from primary with message")
        assert "logEventViewer:group=/aws/sagemaker/Endpoints/xgb" in said
        assert float(sagemaker.invoke("xgb", "0.9,0.9,0.1")) > 0.5


class TestScripts:
    def model(self) -> tuple[LogisticRegression, bytes]:
        rows = labelled_rows()
        model = LogisticRegression().fit(rows[:, 1:], rows[:, 0])
        content = io.BytesIO()
        joblib.dump(model, content)
        return model, content.getvalue()

    def test_uses_the_functions_of_the_script(self, sagemaker):
        model, content = self.model()
        script = """
import io, json, os, joblib
import numpy as np

def model_fn(model_dir):
    assert model_dir == "/opt/ml/model", model_dir
    return joblib.load(os.path.join(model_dir, "model.joblib"))

def input_fn(body, content_type):
    assert content_type == "text/csv" and isinstance(body, str)
    return np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2)

def predict_fn(rows, model):
    return model.predict_proba(rows)[:, 1]

def output_fn(scores, accept):
    return json.dumps({"scores": scores.tolist(), "accept": accept}), "application/json"
"""
        uri = scripted(sagemaker, script, **{"model.joblib": content})
        sagemaker.deploy("script", uri, SKLEARN, SCRIPT)
        answer = sagemaker.runtime.invoke_endpoint(
            EndpointName="script", Body="0.9,0.8,0.1", ContentType="text/csv", Accept="text/plain"
        )
        said = json.loads(answer["Body"].read())
        assert answer["ContentType"] == "application/json" and said["accept"] == "text/plain"
        expected = model.predict_proba([[0.9, 0.8, 0.1]])[:, 1]
        assert said["scores"] == pytest.approx(expected.tolist())

    def test_has_defaults_for_the_rest(self, sagemaker):
        model, content = self.model()
        script = (
            "import joblib, pathlib\n"
            "def model_fn(model_dir):\n"
            "    return joblib.load(pathlib.Path(model_dir, 'model.joblib'))\n"
        )
        uri = scripted(sagemaker, script, **{"model.joblib": content})
        sagemaker.deploy("script", uri, SKLEARN, SCRIPT)
        rows = numpy.array([[0.9, 0.9, 0.1], [0.1, 0.1, 0.1]])
        expected = model.predict(rows).tolist()
        assert json.loads(sagemaker.invoke("script", as_csv(rows))) == expected
        as_json = {"ContentType": "application/json", "Accept": "text/csv"}
        answer = sagemaker.invoke("script", json.dumps(rows.tolist()), **as_json)
        assert [float(line) for line in answer.decode().splitlines()] == expected
        body, numpy_type = io.BytesIO(), "application/x-npy"
        numpy.save(body, rows)
        answer = sagemaker.invoke(
            "script", body.getvalue(), ContentType=numpy_type, Accept=numpy_type
        )
        assert numpy.load(io.BytesIO(answer)).tolist() == expected
        with pytest.raises(ClientError, match="Received client error .415."):
            sagemaker.invoke("script", "x", ContentType="image/png")

    def test_takes_bytes_as_they_are(self, sagemaker):
        script = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return bytes(reversed(body)), content_type
"""
        uri = scripted(sagemaker, script)
        sagemaker.deploy("bytes", uri, SKLEARN, SCRIPT)
        every = bytes(range(256))
        answer = sagemaker.invoke("bytes", every, ContentType="application/octet-stream")
        assert answer == every[::-1]
        large = b"x" * (6 * 1024 * 1024)
        answer = sagemaker.invoke("bytes", large, ContentType="application/octet-stream")
        assert len(answer) == len(large)
        with pytest.raises(ClientError) as refused:
            sagemaker.invoke("bytes", large + b"x", ContentType="application/octet-stream")
        assert "less than or equal to 6291456" in str(refused.value)

    def test_hands_on_what_the_script_raises(self, sagemaker):
        script = """
def model_fn(model_dir):
    print("loading from", model_dir)
    return None

def input_fn(body, content_type):
    raise KeyError("fare")
"""
        sagemaker.deploy("raises", scripted(sagemaker, script), SKLEARN, SCRIPT)
        with pytest.raises(sagemaker.runtime.exceptions.ModelError) as refused:
            sagemaker.invoke("raises", "1")
        answer = refused.value.response
        assert answer["OriginalStatusCode"] == 500 and "'fare'" in answer["OriginalMessage"]
        assert '"/opt/ml/model/code/inference.py", line 7' in answer["OriginalMessage"]
        lines = sagemaker.log(f"{GROUP}/raises", "AllTraffic/")
        assert "loading from /opt/ml/model" in lines
        assert "KeyError: 'fare'" in lines

    def test_fetches_the_script_from_s3(self, sagemaker):
        script = "def model_fn(d): return 2\ndef predict_fn(x, m): return x * m\n"
        submitted = sagemaker.put_code({"serve.py": script})
        artifact = sagemaker.put("models/empty.tar.gz", archive({"weights": b""}))
        environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": submitted}
        sagemaker.deploy("fetched", artifact, SKLEARN, environment)
        assert json.loads(sagemaker.invoke("fetched", "1,2")) == [2, 4]


class TestStates:
    def test_fails_when_the_model_does_not_load(self, sagemaker):
        artifact = sagemaker.put("models/bad.tar.gz", archive({"xgboost-model": b"not a model"}))
        endpoint = sagemaker.deploy("bad", artifact)
        assert endpoint["EndpointStatus"] == "Failed"
        assert endpoint["FailureReason"] == (
            "The primary container for production variant AllTraffic did not pass the ping health "
            "check. Please check CloudWatch logs for this endpoint."
        )
        lines = sagemaker.log(f"{GROUP}/bad", "AllTraffic/")
        assert any(
            "Model at /opt/ml/model/xgboost-model cannot be loaded" in each for each in lines
        )
        with pytest.raises(ClientError) as refused:
            sagemaker.invoke("bad", "1,2,3")
        assert refused.value.response["Error"]["Code"] == "ValidationError"

    def test_fails_when_the_artifact_is_gone(self, sagemaker, artifact):
        container = {"Image": SKLEARN, "ModelDataUrl": artifact}
        sagemaker.client.create_model(
            ModelName="gone", PrimaryContainer=container, ExecutionRoleArn=ROLE
        )
        sagemaker.s3.delete_object(Bucket=BUCKET, Key="models/xgboost.tar.gz")
        sagemaker.client.create_endpoint_config(
            EndpointConfigName="gone", ProductionVariants=[variant("gone")]
        )
        sagemaker.client.create_endpoint(EndpointName="gone", EndpointConfigName="gone")
        endpoint = sagemaker.endpoint("gone")
        assert endpoint["EndpointStatus"] == "Failed"
        assert "Failed to download model data for container" in endpoint["FailureReason"]
        assert artifact in endpoint["FailureReason"]

    def test_fails_when_the_artifact_is_no_archive(self, sagemaker):
        endpoint = sagemaker.deploy("broken", sagemaker.put("models/broken.tar.gz", b"not a tar"))
        assert "Failed to extract model data archive" in endpoint["FailureReason"]

    def test_has_a_log_from_the_start(self, sagemaker, artifact):
        sagemaker.deploy("logged", artifact)
        groups = sagemaker.logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
        assert [group["logGroupName"] for group in groups] == [f"{GROUP}/logged"]
        streams = sagemaker.logs.describe_log_streams(logGroupName=f"{GROUP}/logged")["logStreams"]
        assert streams[0]["logStreamName"].startswith("AllTraffic/i-")

    def test_divides_requests_by_weight(self, sagemaker, artifact):
        for name in ("a", "b"):
            sagemaker.client.create_model(
                ModelName=name,
                PrimaryContainer={"Image": XGBOOST, "ModelDataUrl": artifact},
                ExecutionRoleArn=ROLE,
            )
        variants = [
            variant("a", "often", InitialVariantWeight=3),
            variant("b", "seldom", InitialVariantWeight=1),
        ]
        sagemaker.client.create_endpoint_config(
            EndpointConfigName="two", ProductionVariants=variants
        )
        sagemaker.client.create_endpoint(EndpointName="two", EndpointConfigName="two")
        described = sagemaker.endpoint("two")["ProductionVariants"]
        assert [each["CurrentWeight"] for each in described] == [3, 1]

        def asked(**request):
            answer = sagemaker.runtime.invoke_endpoint(
                EndpointName="two", Body="1,2,3", ContentType="text/csv", **request
            )
            return answer["InvokedProductionVariant"]

        counted = Counter(asked() for _ in range(80))
        assert 45 <= counted["often"] <= 75
        assert asked(TargetVariant="seldom") == "seldom"
        with pytest.raises(ClientError, match="Variant never not found"):
            asked(TargetVariant="never")
        sagemaker.client.update_endpoint_weights_and_capacities(
            EndpointName="two",
            DesiredWeightsAndCapacities=[{"VariantName": "often", "DesiredWeight": 0}],
        )
        assert {asked() for _ in range(10)} == {"seldom"}

    def test_changes_its_configuration(self, sagemaker, artifact):
        sagemaker.deploy("first", artifact)
        script = "def model_fn(d): return None\ndef predict_fn(x, m): return [42]\n"
        sagemaker.client.create_model(
            ModelName="second",
            PrimaryContainer={
                "Image": SKLEARN,
                "ModelDataUrl": scripted(sagemaker, script),
                "Environment": SCRIPT,
            },
            ExecutionRoleArn=ROLE,
        )
        sagemaker.client.create_endpoint_config(
            EndpointConfigName="second", ProductionVariants=[variant("second")]
        )
        sagemaker.client.update_endpoint(EndpointName="first", EndpointConfigName="second")
        assert float(sagemaker.invoke("first", "0.9,0.9,0.1").strip(b"[]\n")) is not None
        endpoint = sagemaker.endpoint("first")
        assert endpoint["EndpointConfigName"] == "second"
        assert json.loads(sagemaker.invoke("first", "1,2,3")) == [42]

    def test_stays_in_service_when_an_update_fails(self, sagemaker, artifact):
        sagemaker.deploy("stays", artifact)
        bad = sagemaker.put("models/bad.tar.gz", archive({"xgboost-model": b"not a model"}))
        sagemaker.client.create_model(
            ModelName="bad",
            PrimaryContainer={"Image": XGBOOST, "ModelDataUrl": bad},
            ExecutionRoleArn=ROLE,
        )
        sagemaker.client.create_endpoint_config(
            EndpointConfigName="bad", ProductionVariants=[variant("bad")]
        )
        sagemaker.client.update_endpoint(EndpointName="stays", EndpointConfigName="bad")
        endpoint = sagemaker.endpoint("stays")
        assert endpoint["EndpointStatus"] == "InService"
        assert endpoint["EndpointConfigName"] == "stays"
        assert "did not pass the ping health check" in endpoint["FailureReason"]
        assert float(sagemaker.invoke("stays", "0.9,0.9,0.1")) > 0.5

    def test_answers_many_at_once(self, sagemaker, booster, artifact):
        sagemaker.deploy("busy", artifact)
        rows = labelled_rows()[:64, 1:]
        read = numpy.loadtxt(io.StringIO(as_csv(rows)), delimiter=",", dtype=numpy.float32)
        expected = booster.predict(xgboost.DMatrix(read))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda row: sagemaker.invoke("busy", as_csv([row])), rows))
        numpy.testing.assert_allclose([float(each) for each in answers], expected, rtol=1e-6)

    def test_captures_data(self, sagemaker, artifact):
        capture = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 50,
            "DestinationS3Uri": f"s3://{BUCKET}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        }
        endpoint = sagemaker.deploy("captured", artifact, DataCaptureConfig=capture)
        assert endpoint["DataCaptureConfig"]["CaptureStatus"] == "Started"
        scores = [sagemaker.invoke("captured", "0.9,0.9,0.1") for _ in range(4)]
        keys = sagemaker.keys("captured/captured/AllTraffic/")
        assert len(keys) == 2
        (line,) = json_lines(sagemaker.read(f"s3://{BUCKET}/{keys[0]}"))
        assert line["captureData"]["endpointInput"]["data"] == "0.9,0.9,0.1"
        assert line["captureData"]["endpointOutput"]["data"] == scores[0].decode()

    def test_leaves_no_process_behind(self, sagemaker, artifact):
        def servers() -> int:
            children = psutil.Process(sagemaker.aws.pid).children(recursive=True)
            return len([each for each in children if "launch.py" in " ".join(each.cmdline())])

        sagemaker.deploy("brief", artifact)
        assert servers() == 1
        sagemaker.client.delete_endpoint(EndpointName="brief")
        assert servers() == 0
        with pytest.raises(ClientError, match="Could not find endpoint"):
            sagemaker.client.describe_endpoint(EndpointName="brief")
        sagemaker.client.create_endpoint(EndpointName="again", EndpointConfigName="brief")
        sagemaker.endpoint("again")
        sagemaker.aws.reset()
        assert servers() == 0

    def test_serves_nobody_else(self, sagemaker, artifact):
        import http.client

        sagemaker.deploy("closed", artifact)
        server = psutil.Process(sagemaker.aws.pid)
        (child,) = [each for each in server.children() if "launch.py" in " ".join(each.cmdline())]
        (listening,) = [each for each in child.net_connections("tcp") if each.status == "LISTEN"]
        assert listening.laddr.ip == "127.0.0.1"
        connection = http.client.HTTPConnection("127.0.0.1", listening.laddr.port, timeout=10)
        for method, path in (("GET", "/ping"), ("POST", "/invocations")):
            connection.request(method, path, b"1,2,3" if method == "POST" else None)
            response = connection.getresponse()
            assert response.status == 403 and response.read() == b""


class TestRequests:
    def test_does_not_know_other_endpoints(self, sagemaker):
        with pytest.raises(ClientError) as refused:
            sagemaker.invoke("nobody", "1")
        error = refused.value.response["Error"]
        assert error["Code"] == "ValidationError"
        assert error["Message"] == "Endpoint nobody of account 123456789012 not found."
        arn = "arn:aws:sagemaker:us-east-1:123456789012"
        for ask, name, message in (
            ("describe_endpoint", "EndpointName", f'Could not find endpoint "{arn}:endpoint/x".'),
            ("delete_endpoint", "EndpointName", f'Could not find endpoint "{arn}:endpoint/x".'),
            ("describe_model", "ModelName", f'Could not find model "{arn}:model/x".'),
            (
                "delete_endpoint_config",
                "EndpointConfigName",
                f'Could not find endpoint configuration "{arn}:endpoint-config/x".',
            ),
        ):
            with pytest.raises(ClientError) as refused:
                getattr(sagemaker.client, ask)(**{name: "x"})
            assert refused.value.response["Error"]["Code"] == "ValidationException"
            assert refused.value.response["Error"]["Message"] == message

    def test_refuses_a_model_without_artifact(self, sagemaker):
        missing = f"s3://{BUCKET}/nothing/model.tar.gz"
        with pytest.raises(ClientError) as refused:
            sagemaker.client.create_model(
                ModelName="m",
                PrimaryContainer={"Image": SKLEARN, "ModelDataUrl": missing},
                ExecutionRoleArn=ROLE,
            )
        error = refused.value.response["Error"]
        assert error["Code"] == "ValidationException"
        assert error["Message"] == f"Could not find model data at {missing}."

    def test_refuses_names_twice(self, sagemaker, artifact):
        sagemaker.deploy("twice", artifact)
        container = {"Image": SKLEARN, "ModelDataUrl": artifact}
        for kind, request in (
            ("model", {"ModelName": "twice", "PrimaryContainer": container}),
            (
                "endpoint_config",
                {"EndpointConfigName": "twice", "ProductionVariants": [variant("twice")]},
            ),
            ("endpoint", {"EndpointName": "twice", "EndpointConfigName": "twice"}),
        ):
            with pytest.raises(ClientError, match="Cannot create already existing"):
                getattr(sagemaker.client, f"create_{kind}")(**request)

    def test_describes_without_empty_structures(self, sagemaker, artifact):
        sagemaker.deploy("lean", artifact)
        model = sagemaker.client.describe_model(ModelName="lean")
        config = sagemaker.client.describe_endpoint_config(EndpointConfigName="lean")
        endpoint = sagemaker.client.describe_endpoint(EndpointName="lean")
        assert "VpcConfig" not in model and "Containers" not in model
        assert "DataCaptureConfig" not in config and "DataCaptureConfig" not in endpoint
        assert config["ProductionVariants"][0]["InitialVariantWeight"] == 1
        assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 1

    def test_lists_and_tags(self, sagemaker, artifact):
        tags = [{"Key": "chapter", "Value": "06"}]
        resource = sagemaker.client.create_model(
            ModelName="tagged",
            PrimaryContainer={"Image": SKLEARN, "ModelDataUrl": artifact},
            ExecutionRoleArn=ROLE,
            Tags=tags,
        )["ModelArn"]
        assert sagemaker.client.list_tags(ResourceArn=resource)["Tags"] == tags
        assert [each["ModelName"] for each in sagemaker.client.list_models()["Models"]] == [
            "tagged"
        ]
        assert sagemaker.client.list_models(NameContains="other")["Models"] == []
        sagemaker.client.delete_model(ModelName="tagged")
        assert sagemaker.client.list_models()["Models"] == []

    def test_serves_a_registered_model(self, sagemaker, artifact):
        sagemaker.client.create_model_package_group(ModelPackageGroupName="group")
        package = sagemaker.client.create_model_package(
            ModelPackageGroupName="group",
            ModelApprovalStatus="Approved",
            InferenceSpecification={
                "Containers": [{"Image": XGBOOST, "ModelDataUrl": artifact}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )["ModelPackageArn"]
        sagemaker.client.create_model(
            ModelName="registered",
            PrimaryContainer={"ModelPackageName": package},
            ExecutionRoleArn=ROLE,
        )
        sagemaker.client.create_endpoint_config(
            EndpointConfigName="registered", ProductionVariants=[variant("registered")]
        )
        sagemaker.client.create_endpoint(EndpointName="registered", EndpointConfigName="registered")
        assert sagemaker.endpoint("registered")["EndpointStatus"] == "InService"
        assert float(sagemaker.invoke("registered", "0.9,0.9,0.1")) > 0.5

    def test_serves_a_serverless_variant(self, sagemaker, artifact):
        serverless = {
            "VariantName": "AllTraffic",
            "ModelName": "less",
            "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 2},
        }
        endpoint = sagemaker.deploy("less", artifact, ProductionVariants=[serverless])
        described = endpoint["ProductionVariants"][0]["CurrentServerlessConfig"]
        assert described == serverless["ServerlessConfig"]
        assert float(sagemaker.invoke("less", "0.9,0.9,0.1")) > 0.5

    def test_does_not_pretend(self, sagemaker, artifact):
        for name, request in (
            ("multi", {"Containers": [{"Image": SKLEARN}, {"Image": SKLEARN}]}),
            (
                "many",
                {
                    "PrimaryContainer": {
                        "Image": SKLEARN,
                        "Mode": "MultiModel",
                        "ModelDataUrl": f"s3://{BUCKET}/models/",
                    }
                },
            ),
        ):
            sagemaker.client.create_model(ModelName=name, ExecutionRoleArn=ROLE, **request)
            sagemaker.client.create_endpoint_config(
                EndpointConfigName=name, ProductionVariants=[variant(name)]
            )
            with pytest.raises(ClientError) as refused:
                sagemaker.client.create_endpoint(EndpointName=name, EndpointConfigName=name)
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        with pytest.raises(ClientError) as refused:
            sagemaker.runtime.invoke_endpoint_async(
                EndpointName="many", InputLocation=f"s3://{BUCKET}/x"
            )
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_reports_a_model_server_that_has_died(sagemaker, artifact):
    sagemaker.deploy("dies", artifact)
    assert sagemaker.invoke("dies", "0.9,0.9,0.1")
    for child in psutil.Process(sagemaker.aws.pid).children():
        if "launch.py" in " ".join(child.cmdline()):
            child.kill()
            wait_for(child.status, lambda status: status == psutil.STATUS_ZOMBIE)
    with pytest.raises(sagemaker.runtime.exceptions.ModelError):
        sagemaker.invoke("dies", "0.9,0.9,0.1")
