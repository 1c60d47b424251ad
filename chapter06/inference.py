"""Serve the opinion network: what the PyTorch image calls to answer a request.

The training job puts this file and `text_model.py` into the folder `code` of the model that it
trained. A request is JSON, `{"texts": ["…", …]}`, or one text as `text/plain`; the answer is JSON:
a list with `label`, `probabilities` and `strength` for each text.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from text_model import OpinionModel

JSON, PLAIN = "application/json", "text/plain"
MOST_TEXTS = 1000


def model_fn(model_dir: str) -> OpinionModel:
    """Load the model. Raises text_model.ModelError if the folder holds something else."""
    torch.set_num_threads(1)  # as it was trained; requests come one at a time for each worker
    return OpinionModel.load(model_dir)


def input_fn(request_body: str | bytes | bytearray, content_type: str) -> list[str]:
    """The texts of a request.

    Raises:
        ValueError: the content type, or what the body holds, is not what this model reads.
    """
    kind = content_type.partition(";")[0].strip().lower()
    body = request_body if isinstance(request_body, str) else bytes(request_body).decode("utf-8")
    if kind == PLAIN:
        return [body]
    if kind != JSON:
        raise ValueError(f"content type {content_type!r} is not supported; send {JSON} or {PLAIN}")
    try:
        texts = json.loads(body)["texts"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError('the body must be JSON: {"texts": ["…", …]}') from error
    if not isinstance(texts, list):
        raise ValueError(f"texts must be a list of strings, got {type(texts).__name__}")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {position} is {text!r}, not a string")
    if len(texts) > MOST_TEXTS:
        raise ValueError(f"{len(texts)} texts in one request; send {MOST_TEXTS} at most")
    return texts


def predict_fn(texts: list[str], model: OpinionModel) -> list[dict[str, Any]]:
    """The model's answers."""
    return model.predict(texts)


def output_fn(answers: list[dict[str, Any]], accept: str) -> str:
    """The answers as JSON. Raises ValueError if the client wants something else."""
    if accept.partition(";")[0].strip().lower() not in (JSON, "*/*"):
        raise ValueError(f"this model answers {JSON}, not {accept!r}")
    return json.dumps(answers)
