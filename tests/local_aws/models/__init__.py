"""The local models that answer for AWS's AI services.

A model is a file in an installed package. It is found without importing the package (some do not
import any more), held against the SHA-256 it had when its quality was measured, and loaded when it
is first asked for: a server that no AI call has reached holds none of them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import AWSError

__all__ = ["OnDemand", "file_in", "folder_in", "unavailable"]

T = TypeVar("T")


class OnDemand(Generic[T]):
    """A model that is loaded at its first use, and used by one request at a time.

    Most of the engines below keep the state of a run in the model, so two requests must not meet
    in one.
    """

    def __init__(self, load: Callable[[], T]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._model: T | None = None

    @contextmanager
    def use(self) -> Iterator[T]:
        """The model, for the time of the block."""
        with self._lock:
            if self._model is None:
                try:
                    self._model = self._load()
                except ImportError as error:
                    raise unavailable(f"{error}.") from error
            yield self._model

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._model is not None


def file_in(package: str, name: str, sha256: str) -> Path:
    """The path of a model's file in an installed package, which is not imported.

    Raises:
        AWSError: NotImplemented if the package or the file is missing, or is another one.
    """
    path = _folder_of(package) / name
    if not path.is_file():
        raise unavailable(f"{name} is not in the package {package}.")
    _check(path, hashlib.sha256(path.read_bytes()).hexdigest(), sha256)
    return path


def folder_in(package: str, name: str, sha256: str) -> Path:
    """The path of a model that is a folder. Its hash is that of its files' names and hashes.

    Raises:
        AWSError: NotImplemented if the package or the folder is missing, or is another one.
    """
    folder = _folder_of(package) / name
    if not folder.is_dir():
        raise unavailable(f"{name} is not in the package {package}.")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if "__pycache__" in path.parts:
            continue
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    _check(folder, digest.hexdigest(), sha256)
    return folder


def unavailable(reason: str) -> AWSError:
    """The answer where a model cannot be had, with the remedy."""
    return AWSError(
        "NotImplemented",
        f"A local model of the offline AWS is not available: {reason} "
        "Install what tests/requirements.txt names, with tests/constraints.txt.",
        status=501,
    )


def _folder_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.origin:
        raise unavailable(f"the package {package} is not installed.")
    return Path(found.origin).parent


def _check(path: Path, sha256: str, expected: str) -> None:
    if sha256 != expected:
        raise unavailable(f"{path.name} has the SHA-256 {sha256} instead of {expected}.")
