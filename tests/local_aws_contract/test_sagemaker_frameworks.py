"""The images of PyTorch and TensorFlow: what is trained in them is served by them."""

from __future__ import annotations

import json

import numpy
import pytest
from botocore.exceptions import ClientError

from .sagemaker_help import BUCKET, SageMaker, archive, channel, unpacked

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
PYTORCH = f"{REGISTRY}/pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
PYTORCH_SERVING = f"{REGISTRY}/pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
TENSORFLOW = f"{REGISTRY}/tensorflow-training:2.19.0-cpu-py312-ubuntu22.04-sagemaker"
TENSORFLOW_SERVING = f"{REGISTRY}/tensorflow-inference:2.19.0-cpu"
ROWS = [[1.0, 2.0], [3.0, -1.0]]

# y = 2 a + 3 b + 1, by least squares with the framework's own optimiser.
TRAIN_TORCH = """
import os, torch
torch.manual_seed(0)
x = torch.randn(200, 2)
y = (x @ torch.tensor([[2.0], [3.0]])) + 1
net = torch.nn.Linear(2, 1)
optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(200):
    loss = ((net(x) - y) ** 2).mean()
    optimiser.zero_grad(); loss.backward(); optimiser.step()
print(f"loss={loss.item():.6f};")
torch.jit.script(net).save(os.path.join(os.environ["SM_MODEL_DIR"], "model.pt"))
"""

TRAIN_KERAS = """
import os
import keras, numpy
keras.utils.set_random_seed(0)
x = numpy.random.randn(200, 2).astype("float32")
y = x @ numpy.array([[2.0], [3.0]], "float32") + 1
net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
net.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
history = net.fit(x, y, epochs=40, verbose=0)
print(f"loss={history.history['loss'][-1]:.6f};")
net.export(os.path.join(os.environ["SM_MODEL_DIR"], "1"), verbose=False)
"""

HANDLERS = """
import json

def input_handler(data, context):
    assert context.request_content_type == "application/x-pairs"
    pairs = [pair.split("/") for pair in data.read().decode().split()]
    return json.dumps({"instances": [[float(a), float(b)] for a, b in pairs]})

def output_handler(response, context):
    values = json.loads(response.content)["predictions"]
    return " ".join(f"{value[0]:.1f}" for value in values), "text/plain"
"""


@pytest.fixture
def sagemaker(aws):
    return SageMaker(aws)


def train(sagemaker, name, image, script):
    """The artifact of a script-mode job that prints its loss."""
    uri = sagemaker.put_code({"train.py": script})
    specification = {
        "TrainingImage": image,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
    }
    sagemaker.put("data/train/part-0", "x")
    job = sagemaker.train(
        name,
        {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri},
        AlgorithmSpecification=specification,
        InputDataConfig=[channel("train")],
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["FinalMetricDataList"][0]["Value"] < 0.01
    return job["ModelArtifacts"]["S3ModelArtifacts"]


def ask(sagemaker, name, value, content_type="application/json"):
    body = json.dumps(value) if content_type == "application/json" else value
    return json.loads(sagemaker.invoke(name, body, ContentType=content_type))


def test_pytorch_serves_what_it_has_trained(sagemaker):
    artifact = train(sagemaker, "torch", PYTORCH, TRAIN_TORCH)
    endpoint = sagemaker.deploy("torch", artifact, PYTORCH_SERVING)
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    numpy.testing.assert_allclose(ask(sagemaker, "torch", ROWS), [[9], [4]], atol=0.05)
    numpy.testing.assert_allclose(
        ask(sagemaker, "torch", "1,2\n3,-1\n", "text/csv"), [[9], [4]], atol=0.05
    )


def test_pytorch_needs_a_script_for_weights_alone(sagemaker):
    artifact = sagemaker.put("model.tar.gz", archive({"model.pth": b"weights alone"}))
    endpoint = sagemaker.deploy("weights", artifact, PYTORCH_SERVING)
    assert endpoint["EndpointStatus"] == "Failed"
    sagemaker.log_has("/aws/sagemaker/Endpoints/weights", "AllTraffic/", "saved using torchscript")


def test_tensorflow_serves_what_keras_has_trained(sagemaker):
    artifact = train(sagemaker, "keras", TENSORFLOW, TRAIN_KERAS)
    endpoint = sagemaker.deploy("keras", artifact, TENSORFLOW_SERVING)
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    answer = ask(sagemaker, "keras", {"instances": ROWS})
    numpy.testing.assert_allclose(answer["predictions"], [[9], [4]], atol=0.05)
    answer = ask(sagemaker, "keras", "1,2\n3,-1\n", "text/csv")
    numpy.testing.assert_allclose(answer["predictions"], [[9], [4]], atol=0.05)
    with pytest.raises(ClientError, match="instances"):
        ask(sagemaker, "keras", {"rows": ROWS})

    files = unpacked(sagemaker.read(artifact)) | {"code/inference.py": HANDLERS.encode()}
    both = sagemaker.put("handled.tar.gz", archive(files))
    sagemaker.deploy("handled", both, TENSORFLOW_SERVING)
    text = sagemaker.invoke("handled", "1/2 3/-1", ContentType="application/x-pairs")
    numpy.testing.assert_allclose([float(word) for word in text.split()], [9, 4], atol=0.1)


def test_tensorflow_names_what_is_missing(sagemaker):
    artifact = sagemaker.put("model.tar.gz", archive({"model.keras": b"not a SavedModel"}))
    endpoint = sagemaker.deploy("missing", artifact, TENSORFLOW_SERVING)
    assert endpoint["EndpointStatus"] == "Failed"
    sagemaker.log_has(
        "/aws/sagemaker/Endpoints/missing", "AllTraffic/", "no SavedModel bundle found"
    )


def test_two_instances_train_as_one_by_torch_distributed(sagemaker):
    script = """
import os, json, torch
import torch.distributed as dist
hosts = json.loads(os.environ["SM_HOSTS"])
rank = hosts.index(os.environ["SM_CURRENT_HOST"])
os.environ["GLOO_SOCKET_IFNAME"] = os.environ["SM_NETWORK_INTERFACE_NAME"]
dist.init_process_group("gloo", init_method=f"tcp://{hosts[0]}:29500", rank=rank,
                        world_size=len(hosts))
total = torch.tensor([float(rank + 1)])
dist.all_reduce(total)
print(f"loss={total.item() / 1000};")
assert total.item() == 3
"""
    uri = sagemaker.put_code({"train.py": script})
    sagemaker.put("data/train/part-0", "x")
    job = sagemaker.train(
        "distributed",
        {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri},
        AlgorithmSpecification={"TrainingImage": PYTORCH, "TrainingInputMode": "File"},
        InputDataConfig=[channel("train")],
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5},
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
