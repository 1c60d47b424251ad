"""What a notebook does with the SageMaker SDK, as a program: `test_sagemaker_sdk` runs it.

It needs the environment of the offline AWS before its first import, as a notebook's kernel has it.
What came out of each flow goes into the JSON file that its one argument names; the SDK itself
writes to the standard output.
"""

from __future__ import annotations

import io
import json
import logging
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

_lookups: list[str] = []
_getaddrinfo = socket.getaddrinfo


def _noted(host: Any, *arguments: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name not in ("127.0.0.1", "localhost", "::1", "None"):
        _lookups.append(name)
    return _getaddrinfo(host, *arguments, **options)


socket.getaddrinfo = _noted

import boto3  # noqa: E402
import numpy  # noqa: E402
from sagemaker.core import image_uris  # noqa: E402
from sagemaker.core.helper.session_helper import Session, get_execution_role  # noqa: E402
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor  # noqa: E402
from sagemaker.core.resources import Endpoint, EndpointConfig, Model  # noqa: E402
from sagemaker.core.shapes import (  # noqa: E402
    ContainerDefinition,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    ProductionVariant,
)
from sagemaker.core.training.configs import (  # noqa: E402
    Compute,
    InputData,
    MetricDefinition,
    SourceCode,
)
from sagemaker.serve.model_builder import ModelBuilder  # noqa: E402
from sagemaker.train.model_trainer import ModelTrainer  # noqa: E402

TRAIN_SCRIPT = """
import argparse, os, pathlib, shutil, joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

parser = argparse.ArgumentParser()
parser.add_argument("--strength", type=float, default=1.0)
parser.add_argument("--kind", default="l2")
arguments = parser.parse_args()
print("kind is", arguments.kind)

def read(channel):
    folder = pathlib.Path(os.environ[f"SM_CHANNEL_{channel.upper()}"])
    rows = np.loadtxt(next(folder.glob("*.csv")), delimiter=",")
    return rows[:, 1:], rows[:, 0]

model = LogisticRegression(C=arguments.strength).fit(*read("train"))
features, labels = read("validation")
auc = roc_auc_score(labels, model.predict_proba(features)[:, 1])
print(f"validation-auc={auc:.4f}")
joblib.dump(model, "/opt/ml/model/model.joblib")
code = pathlib.Path(os.environ["SM_MODEL_DIR"], "code")
code.mkdir()
shutil.copy("inference.py", code)
"""

INFERENCE_SCRIPT = """
import json, pathlib, joblib
import numpy as np

def model_fn(model_dir):
    return joblib.load(pathlib.Path(model_dir, "model.joblib"))

def predict_fn(data, model):
    return model.predict_proba(np.atleast_2d(data))[:, 1]
"""

PROCESSING_SCRIPT = """
import pathlib, sys

source, target = map(pathlib.Path, sys.argv[1:])
for path in sorted(path for path in source.iterdir() if path.is_file()):
    lines = path.read_text().splitlines()
    (target / path.name).write_text("\\n".join(lines[:10]) + "\\n")
    print(f"kept 10 of {len(lines)} lines of {path}")
"""


class Flows:
    """The flows, on data of a simple rule with noise."""

    def __init__(self) -> None:
        self.session = Session()
        self.bucket = self.session.default_bucket()
        self.role = get_execution_role()
        self.region = self.session.boto_region_name
        self.folder = Path(tempfile.mkdtemp())
        self.s3 = boto3.client("s3")
        random = numpy.random.default_rng(0)
        features = random.random((400, 3))
        noise = 0.3 * random.random(400)
        labels = (features[:, 0] + 0.2 * features[:, 1] + noise > 0.7).astype(int)
        self.rows = numpy.column_stack([labels, features])
        for name, part in (("train", self.rows[:300]), ("validation", self.rows[300:])):
            self.s3.put_object(Bucket=self.bucket, Key=f"data/{name}/{name}.csv", Body=_csv(part))
        self.channels = [
            InputData(
                channel_name=name,
                data_source=f"s3://{self.bucket}/data/{name}/",
                content_type="text/csv",
            )
            for name in ("train", "validation")
        ]
        self.xgboost = image_uris.retrieve("xgboost", self.region, version="3.0-5")
        self.sklearn = image_uris.retrieve("sklearn", self.region, version="1.4-2")
        self.compute = Compute(instance_type="ml.m5.large", instance_count=1)

    def identity(self) -> Any:
        """Who the notebook is, and where it works."""
        return {"role": self.role, "bucket": self.bucket, "region": self.region}

    def builtin_training(self) -> Any:
        """The built-in algorithm, followed to its end with its log."""
        trainer = ModelTrainer(
            training_image=self.xgboost,
            role=self.role,
            sagemaker_session=self.session,
            base_job_name="builtin",
            compute=self.compute,
            hyperparameters={
                "num_round": 10,
                "objective": "binary:logistic",
                "eval_metric": "auc",
            },
        )
        with _logged() as log:
            trainer.train(input_data_config=self.channels, wait=True, logs=True)
        self.trained = trainer
        job = trainer._latest_training_job
        return {
            "status": job.training_job_status,
            "metrics": {each.metric_name: each.value for each in job.final_metric_data_list},
            "log": log.getvalue(),
        }

    def builtin_endpoint(self) -> Any:
        """From the training job to an endpoint that answers, and back to nothing."""
        builder = ModelBuilder(
            model=self.trained,
            image_uri=self.xgboost,
            role_arn=self.role,
            sagemaker_session=self.session,
            instance_type="ml.m5.large",
        )
        builder.build(model_name="builtin-model")
        endpoint = builder.deploy(endpoint_name="builtin-endpoint")
        answer = endpoint.invoke(
            body=_csv(self.rows[:5, 1:]), content_type="text/csv", accept="text/csv"
        )
        scores = [float(line) for line in answer.body.read().decode().splitlines()]
        status = endpoint.endpoint_status
        self._remove("builtin-endpoint", "builtin-model")
        return {"status": status, "scores": scores, "labels": self.rows[:5, 0].tolist()}

    def script_training(self) -> Any:
        """A script with its metric, under the SDK's own protocol."""
        source = self.folder / "source"
        source.mkdir()
        (source / "train.py").write_text(TRAIN_SCRIPT)
        (source / "inference.py").write_text(INFERENCE_SCRIPT)
        (source / "requirements.txt").write_text("scikit-learn\nnumpy>=1.20\n")
        trainer = self._script_trainer("script", "train.py", {"strength": 0.5, "kind": "l1"})
        with _logged() as log:
            trainer.train(input_data_config=self.channels, wait=True, logs=True)
        self.script = trainer
        job = trainer._latest_training_job
        return {
            "status": job.training_job_status,
            "metrics": {each.metric_name: each.value for each in job.final_metric_data_list},
            "artifact": job.model_artifacts.s3_model_artifacts,
            "log": log.getvalue(),
        }

    def script_endpoint(self) -> Any:
        """The script's model behind its `inference.py`."""
        artifact = self.script._latest_training_job.model_artifacts.s3_model_artifacts
        builder = ModelBuilder(
            s3_model_data_url=artifact,
            image_uri=self.sklearn,
            role_arn=self.role,
            sagemaker_session=self.session,
            instance_type="ml.m5.large",
            env_vars={
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        )
        builder.build(model_name="script-model")
        endpoint = builder.deploy(endpoint_name="script-endpoint")
        answer = endpoint.invoke(
            body=_csv(self.rows[:5, 1:]), content_type="text/csv", accept="application/json"
        )
        scores = json.loads(answer.body.read())
        self._remove("script-endpoint", "script-model")
        return {"scores": scores, "labels": self.rows[:5, 0].tolist()}

    def failing_script(self) -> Any:
        """A script that raises: what the reader is told."""
        (self.folder / "source" / "bad.py").write_text("raise ValueError('no such column: fare')\n")
        trainer = self._script_trainer("failing", "bad.py", {})
        try:
            trainer.train(input_data_config=self.channels, wait=True, logs=False)
        except Exception as error:
            return {"error": type(error).__name__, "message": str(error)}
        return {"error": None}

    def resources(self) -> Any:
        """Model, configuration and endpoint by the SDK's resource classes."""
        artifact = self.trained._latest_training_job.model_artifacts.s3_model_artifacts
        Model.create(
            model_name="resource",
            primary_container=ContainerDefinition(image=self.xgboost, model_data_url=artifact),
            execution_role_arn=self.role,
        )
        EndpointConfig.create(
            endpoint_config_name="resource",
            production_variants=[
                ProductionVariant(
                    variant_name="AllTraffic",
                    model_name="resource",
                    initial_instance_count=1,
                    instance_type="ml.m5.large",
                )
            ],
        )
        endpoint = Endpoint.create(endpoint_name="resource", endpoint_config_name="resource")
        endpoint.wait_for_status("InService")
        answer = endpoint.invoke(body="0.9,0.9,0.1", content_type="text/csv")
        score = float(answer.body.read())
        endpoint.delete()
        endpoint.wait_for_delete()
        EndpointConfig.get("resource").delete()
        Model.get("resource").delete()
        return {"score": score, "models": [each.model_name for each in Model.get_all()]}

    def script_processor(self) -> Any:
        """A processing script of one file, followed to its end with its log."""
        script = self.folder / "shorten.py"
        script.write_text(PROCESSING_SCRIPT)
        processor = ScriptProcessor(
            role=self.role,
            image_uri=self.sklearn,
            command=["python3"],
            instance_count=1,
            instance_type="ml.m5.large",
            sagemaker_session=self.session,
            base_job_name="shorten",
        )
        return self._process(processor, "script-output", code=str(script))

    def framework_processor(self) -> Any:
        """A processing script that is sent with its folder."""
        source = self.folder / "processing"
        source.mkdir()
        (source / "shorten.py").write_text(
            PROCESSING_SCRIPT + "\nfrom helper import note\nnote()\n"
        )
        (source / "helper.py").write_text(
            "import pathlib\n\ndef note():\n"
            "    pathlib.Path('/opt/ml/processing/output/note.txt').write_text('done')\n"
        )
        processor = FrameworkProcessor(
            role=self.role,
            image_uri=self.sklearn,
            instance_count=1,
            instance_type="ml.m5.large",
            sagemaker_session=self.session,
            base_job_name="framework",
        )
        return self._process(
            processor, "framework-output", code="shorten.py", source_dir=str(source)
        )

    def _process(self, processor: Any, prefix: str, **code: str) -> Any:
        read, written = "/opt/ml/processing/input/data", "/opt/ml/processing/output"
        said = io.StringIO()
        stdout, sys.stdout = sys.stdout, said
        try:
            processor.run(
                **code,
                inputs=[
                    ProcessingInput(
                        input_name="data",
                        s3_input=ProcessingS3Input(
                            s3_uri=f"s3://{self.bucket}/data/train/",
                            local_path=read,
                            s3_data_type="S3Prefix",
                            s3_input_mode="File",
                        ),
                    )
                ],
                outputs=[
                    ProcessingOutput(
                        output_name="output",
                        s3_output=ProcessingS3Output(
                            s3_uri=f"s3://{self.bucket}/{prefix}",
                            local_path=written,
                            s3_upload_mode="EndOfJob",
                        ),
                    )
                ],
                arguments=[read, written],
                wait=True,
                logs=True,
            )
        finally:
            sys.stdout = stdout
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)["Contents"]
        return {"keys": [each["Key"] for each in found], "log": said.getvalue()}

    def _script_trainer(self, name: str, script: str, hyperparameters: dict) -> ModelTrainer:
        trainer = ModelTrainer(
            training_image=self.sklearn,
            role=self.role,
            sagemaker_session=self.session,
            base_job_name=name,
            compute=self.compute,
            source_code=SourceCode(
                source_dir=str(self.folder / "source"),
                entry_script=script,
                requirements="requirements.txt",
            ),
            hyperparameters=hyperparameters,
        )
        metric = MetricDefinition(name="validation:auc", regex="validation-auc=([0-9.]+)")
        return trainer.with_metric_definitions([metric])

    def _remove(self, endpoint: str, model: str) -> None:
        client = boto3.client("sagemaker")
        config = client.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        client.delete_endpoint(EndpointName=endpoint)
        client.delete_endpoint_config(EndpointConfigName=config)
        client.delete_model(ModelName=model)


class _logged:
    """The SDK's log messages, which is how it shows the log of a training job."""

    def __enter__(self) -> io.StringIO:
        self._stream = io.StringIO()
        self._handler = logging.StreamHandler(self._stream)
        logging.getLogger("sagemaker").addHandler(self._handler)
        logging.getLogger("sagemaker").setLevel(logging.INFO)
        return self._stream

    def __exit__(self, *error: object) -> None:
        logging.getLogger("sagemaker").removeHandler(self._handler)


def _csv(rows: Any) -> str:
    return "\n".join(",".join(f"{value:g}" for value in row) for row in rows) + "\n"


def main(path: str) -> None:
    """Run all flows in the order of their definition, and write what came out of them."""
    results: dict[str, Any] = {}
    flows = Flows()
    for name in vars(Flows):
        if name.startswith("_"):
            continue
        started = time.perf_counter()
        try:
            results[name] = getattr(flows, name)()
        except Exception:
            results[name] = {"failed": traceback.format_exc()}
        print(f"{name}: {time.perf_counter() - started:.1f} s")
    results["lookups"] = _lookups
    Path(path).write_text(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
