"""How a model server turns a request into an answer: the default functions of AWS's images.

A user's `inference.py` may define `model_fn`, `input_fn`, `predict_fn`, `output_fn`, or
`transform_fn` for the last three; for what it does not define, the image has defaults, which differ
between frameworks (`sklearn`, `xgboost_serving`). Source: https://sagemaker.readthedocs.io, "Using
Scikit-learn" and "Using XGBoost", and https://github.com/aws/sagemaker-inference-toolkit
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
# What `input_fn` gets as text; everything else it gets as bytes.
_TEXT_TYPES = (JSON, CSV)


class RequestError(Exception):
    """A request that the model cannot answer, with the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Answer(NamedTuple):
    """What a model server sends back."""

    body: bytes
    content_type: str
    status: int = 200


class Model(Protocol):
    """Something that can answer requests."""

    def invoke(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """Answer one request. Raises RequestError."""
        ...


class Defaults:
    """The functions of an image for what `inference.py` does not define."""

    def model_fn(self, folder: str) -> Any:
        """Load the model."""
        raise NotImplementedError("Please provide a model_fn implementation.")

    def input_fn(self, body: str | bytes, content_type: str) -> Any:
        """The request as the model takes it."""
        return decode(body, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """The model's answer."""
        return model.predict(data)

    def output_fn(self, prediction: Any, accept: str) -> bytes | str:
        """The answer as the client takes it."""
        return encode(prediction, accept)


class UserModel:
    """A model that a user's module serves.

    Args:
        module: the imported `inference.py`.
        defaults: for the functions that it does not define.
        folder: where the artifact is unpacked.
        default_accept: the content type of the answer if the request asks for none.
    """

    def __init__(self, module: Any, defaults: Defaults, folder: Path, default_accept: str) -> None:
        self._default_accept = default_accept
        self._functions = {
            name: getattr(module, name, None) or getattr(defaults, name)
            for name in ("model_fn", "input_fn", "predict_fn", "output_fn")
        }
        self._transform = getattr(module, "transform_fn", None)
        if self._transform and any(hasattr(module, name) for name in ("input_fn", "output_fn")):
            raise ValueError("Cannot use transform_fn implementation with input_fn or output_fn.")
        self._model = _call(self._functions["model_fn"], str(folder))

    def invoke(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """Answer one request."""
        content_type = (content_type or JSON).strip()
        wanted = accept if accept and accept != "*/*" else self._default_accept
        is_text = content_type.partition(";")[0].strip() in _TEXT_TYPES
        data: str | bytes = body.decode("utf-8") if is_text else body
        if self._transform:
            result = self._transform(self._model, data, content_type, wanted)
        else:
            read = _call(self._functions["input_fn"], data, content_type)
            prediction = _call(self._functions["predict_fn"], read, self._model)
            result = _call(self._functions["output_fn"], prediction, wanted)
        if isinstance(result, tuple):
            result, wanted = result
        content = result.encode("utf-8") if isinstance(result, str) else bytes(result)
        return Answer(content, wanted)


def load_module(path: Path) -> Any:
    """Import a user's module from a file; what lies beside it can be imported by it."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def decode(body: str | bytes, content_type: str) -> Any:
    """An array from JSON, CSV or NumPy's own format. Raises RequestError 415 for anything else."""
    import numpy

    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return numpy.array(json.loads(body))
    if kind == CSV:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        return numpy.genfromtxt(io.StringIO(text), delimiter=",", dtype=numpy.float32)
    if kind == NPY:
        content = body.encode("latin-1") if isinstance(body, str) else body
        return numpy.load(io.BytesIO(content), allow_pickle=False)
    raise unsupported(content_type)


def encode(prediction: Any, accept: str) -> bytes:
    """An array as JSON, CSV or in NumPy's own format. Raises RequestError 415 for others."""
    import numpy

    kind = accept.partition(";")[0].strip().lower()
    values = numpy.asarray(prediction)
    if kind == JSON:
        return json.dumps(values.tolist()).encode()
    if kind == CSV:
        lines = io.StringIO()
        numpy.savetxt(lines, values, delimiter=",", fmt="%s")
        return lines.getvalue().encode()
    if kind == NPY:
        content = io.BytesIO()
        numpy.save(content, values)
        return content.getvalue()
    raise unsupported(accept)


def unsupported(content_type: str) -> RequestError:
    """The refusal of a content type, in the words of AWS's images."""
    return RequestError(
        415,
        f"Content type {content_type} is not supported by this framework.\n\n"
        "            Please implement input_fn to to deserialize the request data or an output_fn "
        "to\n            serialize the response. For more information, see the SageMaker Python "
        "SDK README.",
    )


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a handler; one that takes a last parameter `context` gets None for it."""
    parameters = inspect.signature(function).parameters
    if len(parameters) > len(arguments) and list(parameters)[-1] == "context":
        return function(*arguments, None)
    return function(*arguments)
