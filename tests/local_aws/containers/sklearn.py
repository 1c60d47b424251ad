"""What AWS's scikit-learn image does by itself when it serves a model: nothing but conversions.

The model is loaded by the `model_fn` of the user's `inference.py`; the image has no default for it.
"""

from __future__ import annotations

from typing import Any

from .inference import CSV, JSON, Defaults, decode


class SklearnDefaults(Defaults):
    """Rows in, `predict` of the model out."""

    def input_fn(self, body: str | bytes, content_type: str) -> Any:
        """Text formats become float32, as in the image; NumPy's format keeps its type."""
        data = decode(body, content_type)
        is_text = content_type.partition(";")[0].strip() in (CSV, JSON)
        return data.astype("float32") if is_text else data
