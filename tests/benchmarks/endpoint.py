"""An endpoint of the offline AWS against the same model in the client's process."""

from __future__ import annotations

import io
import statistics
import tarfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import xgboost as xgb

from tests.local_aws.account import EXECUTION_ROLE_ARN
from tests.local_aws.environment import LocalAWS

from .measure import compare

_BUCKET = "benchmark"

_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
_ROWS, _COLUMNS, _CLIENTS, _SECONDS = 100, 25, 8, 5


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    generator = np.random.default_rng(0)
    data = generator.normal(size=(5_000, _COLUMNS))
    model = xgb.train(
        {"objective": "binary:logistic", "max_depth": 6, "nthread": 2},
        xgb.DMatrix(data, label=(data[:, 0] > 0).astype(int)),
        100,
    )
    text = io.StringIO()
    np.savetxt(text, data[:_ROWS], fmt="%.6g", delimiter=",")
    payload = text.getvalue()

    def in_process() -> None:
        rows = np.loadtxt(io.StringIO(payload), delimiter=",")
        model.predict(xgb.DMatrix(rows))

    with LocalAWS() as aws:
        _deploy(aws, model)
        runtime = aws.client("sagemaker-runtime")
        ours, other = compare(lambda: _invoke(runtime, payload), in_process, 100, warm_up=5)
        rate = _requests_a_second(aws, payload)
    yield (
        f"| endpoint p50, {_ROWS} rows | {1e3 * ours:.1f} | {1e3 * other:.1f} | "
        f"{ours / other:.2f} | ≤ + 10 = {1e3 * other + 10:.1f} |"
    )
    yield f"| endpoint, requests a second at {_CLIENTS} clients | {rate:,.0f} | | | |"


def _deploy(aws: LocalAWS, model: xgb.Booster) -> None:
    content = bytes(model.save_raw("ubj"))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("xgboost-model")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    s3.create_bucket(Bucket=_BUCKET)
    s3.put_object(Bucket=_BUCKET, Key="model.tar.gz", Body=archive.getvalue())
    sagemaker.create_model(
        ModelName="benchmark",
        ExecutionRoleArn=EXECUTION_ROLE_ARN,
        PrimaryContainer={"Image": _IMAGE, "ModelDataUrl": f"s3://{_BUCKET}/model.tar.gz"},
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName="benchmark",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": "benchmark",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName="benchmark", EndpointConfigName="benchmark")
    while sagemaker.describe_endpoint(EndpointName="benchmark")["EndpointStatus"] == "Creating":
        time.sleep(0.1)


def _invoke(runtime: Any, payload: str) -> None:
    answer = runtime.invoke_endpoint(
        EndpointName="benchmark", ContentType="text/csv", Accept="text/csv", Body=payload
    )
    if len(answer["Body"].read().split()) < 1:
        raise RuntimeError("the endpoint answered nothing")


def _requests_a_second(aws: LocalAWS, payload: str) -> float:
    counts: list[int] = []

    def client() -> None:
        runtime = aws.client("sagemaker-runtime", region_name="us-east-1")
        until, count = time.perf_counter() + _SECONDS, 0
        while time.perf_counter() < until:
            _invoke(runtime, payload)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=client) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _CLIENTS * statistics.mean(counts) / _SECONDS
