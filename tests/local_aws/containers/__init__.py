"""What an image URI means here: which program stands for the container, and how it is run.

A container is a program of this package, run in a process of its own on the folder layout that
SageMaker documents (`/opt/ml`, see `opt_ml`). Nothing in this package knows the server; what runs
in those processes imports nothing but this package and the libraries it needs.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")

# Repository in the registry of AWS -> the framework inside. The account and the region that come
# before it, and the tag that follows, say where it is pulled from and which version it is.
_REPOSITORIES = {
    "linear-learner": "linear-learner",
    "kmeans": "kmeans",
    "pca": "pca",
    "randomcutforest": "randomcutforest",
    "sagemaker-xgboost": "xgboost",
    "sagemaker-scikit-learn": "sklearn",
    "pytorch-training": "pytorch",
    "pytorch-inference": "pytorch",
    "tensorflow-training": "tensorflow",
    "tensorflow-inference": "tensorflow",
    "huggingface-pytorch-training": "huggingface",
    "huggingface-pytorch-inference": "huggingface",
}

# Images whose model server looks for `code/inference.py` by itself; the others ask for the
# variable SAGEMAKER_PROGRAM.
_FINDS_INFERENCE_CODE = {"pytorch", "tensorflow", "huggingface"}

# The frameworks that are algorithms of the package `builtin`.
_BUILT_IN = {"linear-learner", "kmeans", "pca", "randomcutforest"}

_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?:[:@](?P<tag>.+))?"
)


@dataclass(frozen=True)
class Container:
    """An image as this machine knows it.

    Attributes:
        image_uri: as the client gave it.
        framework: `xgboost`, `sklearn`, …; `custom` for an image that is not AWS's.
        version: the framework version in the tag (`3.0-5`); empty if there is none.
    """

    image_uri: str
    framework: str
    version: str

    @property
    def has_algorithm(self) -> bool:
        """Whether the image trains without a script: a built-in algorithm."""
        return self.framework == "xgboost" or self.framework in _BUILT_IN

    def metric_definitions(self) -> list[dict[str, str]]:
        """What SageMaker reads from the log of the built-in algorithm: `Name` and `Regex`."""
        from . import builtin, xgboost

        if self.framework in _BUILT_IN:
            return builtin.metric_definitions(self.framework)
        return xgboost.metric_definitions() if self.framework == "xgboost" else []

    @property
    def finds_inference_code(self) -> bool:
        """Whether its model server takes `code/inference.py` without being told to."""
        return self.framework in _FINDS_INFERENCE_CODE

    def train_command(self) -> list[str]:
        """The program of the built-in algorithm. What it needs yet is the root of `/opt/ml`."""
        if self.framework in _BUILT_IN:
            return [*program("builtin-train"), self.framework]
        return program("xgboost-train")

    def serve_command(self) -> list[str]:
        """The model server. Its arguments are the root of `/opt/ml` and the framework."""
        return program("serve")


def program(name: str) -> list[str]:
    """The command that runs a program of this package in a Python of its own."""
    # -P: the folder of the launcher does not become a place to import from. `xgboost` and
    # `sklearn` must be the libraries, not the modules of this package.
    return [sys.executable, "-P", str(_LAUNCHER), name]


def resolve(image_uri: str) -> Container:
    """What an image URI stands for.

    An image that is not AWS's own is `custom`: it runs a program that the request names, with the
    libraries of this environment, or nothing.
    """
    match = _URI.fullmatch(image_uri)
    if not match:
        return Container(image_uri, "custom", "")
    framework = _REPOSITORIES.get(match["repository"], "custom")
    version = re.match(r"[0-9][0-9.]*(?:-[0-9]+)?(?![0-9.])", match["tag"] or "")
    return Container(image_uri, framework, version[0] if version else "")
