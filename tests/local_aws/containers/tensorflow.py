"""What AWS's TensorFlow image does when it serves a model: TensorFlow Serving, and handlers.

The artifact holds a SavedModel in a folder whose name is a version number. A request is what
TensorFlow Serving's REST interface takes, `{"instances": […]}`; a user's `code/inference.py` may
define `input_handler(data, context)` and `output_handler(response, context)` around it.
Sources: https://www.tensorflow.org/tfx/serving/api_rest and
https://github.com/aws/deep-learning-containers (sagemaker-tensorflow-serving)
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .inference import CSV, JSON, Answer, RequestError

_JSON_LINES = ("application/jsonlines", "application/jsons")


class TensorFlowModel:
    """The newest version of a SavedModel.

    Args:
        folder: where the artifact is unpacked.
        module: the user's `inference.py`, imported; None if there is none.
    """

    def __init__(self, folder: Path, module: Any | None) -> None:
        import tensorflow

        versions = [path.parent for path in folder.rglob("saved_model.pb")]
        versions = [path for path in versions if path.name.isdigit()]
        if not versions:
            raise FileNotFoundError(
                "no SavedModel bundle found: the artifact must hold saved_model.pb in a folder "
                "whose name is a version number, such as 1/saved_model.pb"
            )
        newest = max(versions, key=lambda path: int(path.name))
        self._name, self._version = newest.parent.name, newest.name
        self._model = tensorflow.saved_model.load(str(newest))  # owns what the signature uses
        self._signature = self._model.signatures["serving_default"]
        self._inputs = self._signature.structured_input_signature[1]
        self._module = module
        if module is not None and hasattr(module, "handler"):
            raise NotImplementedError(
                "The offline AWS calls input_handler and output_handler; a `handler` that speaks "
                "to TensorFlow Serving itself is not supported."
            )

    def invoke(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """Answer one request. Raises RequestError."""
        kind = (content_type or JSON).partition(";")[0].strip().lower()
        context = SimpleNamespace(
            model_name=self._name,
            model_version=self._version,
            method="predict",
            rest_uri=None,
            grpc_port=None,
            custom_attributes="",
            request_content_type=content_type or JSON,
            accept_header=accept or JSON,
            content_length=len(body),
        )
        if hasattr(self._module, "input_handler"):
            request = self._module.input_handler(io.BytesIO(body), context)
        else:
            request = _as_request(body, kind)
        try:
            status, content = 200, json.dumps(self._predict(json.loads(request)))
        except RequestError as error:
            status, content = error.status, json.dumps({"error": error.message})
        if hasattr(self._module, "output_handler"):
            response = SimpleNamespace(
                status_code=status, content=content.encode(), json=lambda: json.loads(content)
            )
            answer, answer_type = self._module.output_handler(response, context)
            return Answer(answer if isinstance(answer, bytes) else answer.encode(), answer_type)
        if status != 200:
            raise RequestError(status, content)
        return Answer(content.encode(), JSON)

    def _predict(self, request: Any) -> dict[str, Any]:
        """What TensorFlow Serving answers: the list of outputs, or of their names and values."""
        import tensorflow

        rows = request.get("instances") if isinstance(request, dict) else None
        if not isinstance(rows, list) or not rows:
            raise RequestError(400, 'Missing "instances" or "inputs" key in the request')
        by_name = (
            rows if isinstance(rows[0], dict) else [{next(iter(self._inputs)): r} for r in rows]
        )
        try:
            tensors = {
                name: tensorflow.constant([row[name] for row in by_name], dtype=wanted.dtype)
                for name, wanted in self._inputs.items()
            }
            outputs = {name: each.numpy() for name, each in self._signature(**tensors).items()}
        except (KeyError, TypeError, ValueError, tensorflow.errors.InvalidArgumentError) as error:
            raise RequestError(400, str(error)) from error
        if len(outputs) == 1:
            return {"predictions": next(iter(outputs.values())).tolist()}
        return {
            "predictions": [
                {name: values[row].tolist() for name, values in outputs.items()}
                for row in range(len(rows))
            ]
        }


def _as_request(body: bytes, kind: str) -> str:
    """The body as JSON for TensorFlow Serving. Raises RequestError 415 for an unknown type."""
    text = body.decode("utf-8")
    if kind == JSON:
        return text
    if kind in _JSON_LINES:
        return json.dumps({"instances": [json.loads(line) for line in text.splitlines() if line]})
    if kind == CSV:
        rows = [[float(cell) for cell in line.split(",")] for line in text.splitlines() if line]
        return json.dumps({"instances": rows})
    raise RequestError(415, f"unsupported content type {kind}")
