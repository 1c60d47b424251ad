"""What the SageMaker tests share: data of a simple rule, requests, waiting."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import Any

import numpy

from tests.local_aws.environment import LocalAWS

BUCKET = "sagemaker-tests"
ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-20260101T000000"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
_ENDED = ("Completed", "Failed", "Stopped")


class SageMaker:
    """An account with a bucket, and short ways to say what the tests say often."""

    def __init__(self, aws: LocalAWS) -> None:
        self.aws = aws
        self.s3, self.client = aws.client("s3"), aws.client("sagemaker")
        self.runtime, self.logs = aws.client("sagemaker-runtime"), aws.client("logs")
        self.s3.create_bucket(Bucket=BUCKET)

    def put(self, key: str, body: str | bytes) -> str:
        """Put an object; its URI."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def put_data(self) -> numpy.ndarray:
        """Put 300 rows under `data/train/` and 100 under `data/validation/`; all rows."""
        rows = labelled_rows()
        self.put("data/train/train.csv", as_csv(rows[:300]))
        self.put("data/validation/validation.csv", as_csv(rows[300:]))
        return rows

    def put_code(self, files: dict[str, str], key: str = "code/sourcedir.tar.gz") -> str:
        """Put an archive of scripts; its URI."""
        return self.put(key, archive({name: text.encode() for name, text in files.items()}))

    def train(self, name: str, hyperparameters: dict[str, str], **request: Any) -> dict[str, Any]:
        """Start a training job and wait for its end; its description."""
        self.start_training(name, hyperparameters, **request)
        return self.training(name)

    def start_training(self, name: str, hyperparameters: dict[str, str], **request: Any) -> Any:
        """Start a training job of the built-in algorithm, unless the request says otherwise."""
        usual = {
            "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": [channel("train"), channel("validation")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        return self.client.create_training_job(
            TrainingJobName=name, HyperParameters=hyperparameters, **(usual | request)
        )

    def training(self, name: str, until: tuple[str, ...] = _ENDED) -> dict[str, Any]:
        """The description of a training job once it has one of these statuses."""
        return wait_for(
            lambda: self.client.describe_training_job(TrainingJobName=name),
            lambda job: job["TrainingJobStatus"] in until,
        )

    def process(self, name: str, script: str, **request: Any) -> dict[str, Any]:
        """Start a processing job with a script and wait for its end; its description."""
        self.start_processing(name, script, **request)
        return self.processing(name)

    def start_processing(self, name: str, script: str, **request: Any) -> Any:
        """Start a processing job that runs a script with the inputs and outputs of the request."""
        path = "/opt/ml/processing/input/code"
        code = s3_input("code", self.put(f"code/{name}/script.py", script), path)
        usual = {
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 5,
                }
            },
            "AppSpecification": {
                "ImageUri": SKLEARN,
                "ContainerEntrypoint": ["python3", f"{path}/script.py"],
            },
            "RoleArn": ROLE,
        }
        request["ProcessingInputs"] = [*request.get("ProcessingInputs", []), code]
        return self.client.create_processing_job(ProcessingJobName=name, **(usual | request))

    def processing(self, name: str, until: tuple[str, ...] = _ENDED) -> dict[str, Any]:
        """The description of a processing job once it has one of these statuses."""
        return wait_for(
            lambda: self.client.describe_processing_job(ProcessingJobName=name),
            lambda job: job["ProcessingJobStatus"] in until,
        )

    def log(self, group: str, prefix: str) -> list[str]:
        """The lines of the streams of a group whose name starts with the prefix."""
        found = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)
        lines = []
        for stream in found["logStreams"]:
            events = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )
            lines += [event["message"] for event in events["events"]]
        return lines

    def log_has(self, group: str, prefix: str, text: str) -> None:
        """Wait until a line of the log contains the text."""

        def lines() -> list[str]:
            groups = self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            return self.log(group, prefix) if groups else []

        wait_for(lines, lambda found: any(text in line for line in found))

    def deploy(
        self,
        name: str,
        artifact: str | None,
        image: str = XGBOOST,
        environment: dict[str, str] | None = None,
        **config: Any,
    ) -> dict[str, Any]:
        """Make model, configuration and endpoint of one name, and wait for the endpoint."""
        container = {"Image": image, "Environment": environment or {}}
        if artifact:
            container["ModelDataUrl"] = artifact
        self.client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        self.client.create_endpoint_config(
            EndpointConfigName=name, **({"ProductionVariants": [variant(name)]} | config)
        )
        self.client.create_endpoint(EndpointName=name, EndpointConfigName=name)
        return self.endpoint(name)

    def endpoint(self, name: str) -> dict[str, Any]:
        """The description of an endpoint once it is neither being made nor being changed."""
        return wait_for(
            lambda: self.client.describe_endpoint(EndpointName=name),
            lambda endpoint: endpoint["EndpointStatus"] not in ("Creating", "Updating"),
        )

    def invoke(self, name: str, body: str | bytes, **request: Any) -> bytes:
        """The body that an endpoint answers with."""
        request = {"ContentType": "text/csv"} | request
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **request)
        return answer["Body"].read()

    def read(self, uri: str) -> bytes:
        """The object at a URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def keys(self, prefix: str) -> list[str]:
        """The keys under a prefix."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in listed.get("Contents", [])]


def labelled_rows() -> numpy.ndarray:
    """400 rows: a label, and three features of which it depends on two, with some noise."""
    random = numpy.random.default_rng(0)
    features = random.random((400, 3))
    noise = 0.3 * random.random(400)
    labels = (features[:, 0] + 0.2 * features[:, 1] + noise > 0.7).astype(int)
    return numpy.column_stack([labels, features])


def as_csv(rows: numpy.ndarray) -> str:
    """Rows as lines of CSV without a header."""
    return "\n".join(",".join(f"{value:.6g}" for value in row) for row in rows) + "\n"


def channel(name: str, uri: str | None = None, content_type: str = "text/csv") -> dict[str, Any]:
    """A channel with the data under a URI."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri or f"s3://{BUCKET}/data/{name}/"}
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "DataSource": {"S3DataSource": source},
    }


def s3_input(name: str, uri: str, path: str, **members: Any) -> dict[str, Any]:
    """An input of a processing job."""
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": source | members}


def s3_outputs(path: str, prefix: str, mode: str = "EndOfJob") -> dict[str, Any]:
    """The output of a processing job."""
    target = {"S3Uri": f"s3://{BUCKET}/{prefix}", "LocalPath": path, "S3UploadMode": mode}
    return {"Outputs": [{"OutputName": "output", "S3Output": target}]}


def variant(model: str, name: str = "AllTraffic", **members: Any) -> dict[str, Any]:
    """A production variant."""
    usual = {"InitialInstanceCount": 1, "InstanceType": "ml.m7i.large"}
    return {"VariantName": name, "ModelName": model} | usual | members


def archive(files: dict[str, bytes]) -> bytes:
    """A `.tar.gz` of files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    """The files in a `.tar.gz`."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {
            entry.name: tar.extractfile(entry).read()  # type: ignore[union-attr]
            for entry in tar.getmembers()
            if entry.isfile()
        }


def json_lines(content: bytes) -> list[Any]:
    """The values in lines of JSON."""
    return [json.loads(line) for line in content.decode().splitlines()]


def wait_for(ask: Any, is_done: Any, seconds: float = 120.0) -> Any:
    """Ask until the answer is as wanted. Raises TimeoutError with the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if is_done(answer):
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {answer}")
        time.sleep(0.05)
