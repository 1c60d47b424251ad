"""What AWS's PyTorch image does by itself when it serves a model.

A model saved as TorchScript needs no script; for weights alone the user's `inference.py` has a
`model_fn` that builds the network. Source: https://github.com/aws/sagemaker-pytorch-inference-toolkit
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .inference import CSV, JSON, Defaults, decode, encode

_SUFFIXES = (".pt", ".pth")


class PyTorchDefaults(Defaults):
    """Rows in as a tensor, what the network gives out as nested lists."""

    def model_fn(self, folder: str) -> Any:
        """Load the one TorchScript file of the artifact.

        Raises:
            ValueError: there is none or more than one, or it holds something else.
        """
        import torch

        files = sorted(path.name for path in Path(folder).iterdir() if path.suffix in _SUFFIXES)
        if len(files) != 1:
            raise ValueError(
                f"Exactly one .pth or .pt file is required for PyTorch models: {files}"
            )
        try:
            return torch.jit.load(str(Path(folder) / files[0]), map_location="cpu")
        except RuntimeError as error:
            raise ValueError(
                f"Failed to load {files[0]}. Please ensure model is saved using torchscript."
            ) from error

    def input_fn(self, body: str | bytes, content_type: str) -> Any:
        """Text formats become float32; NumPy's format keeps its type."""
        import torch

        data = decode(body, content_type)
        is_text = content_type.partition(";")[0].strip() in (CSV, JSON)
        return torch.from_numpy(data.astype("float32") if is_text else data)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """The network's output, without gradients."""
        import torch

        with torch.no_grad():
            return model.eval()(data)

    def output_fn(self, prediction: Any, accept: str) -> bytes:
        """The output as the client takes it."""
        is_tensor = hasattr(prediction, "detach")
        return encode(prediction.detach().numpy() if is_tensor else prediction, accept)
