"""The kernel that notebooks run in, the same for those that save outputs and those that compare."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from jupyter_client.manager import AsyncKernelManager
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

# What a terminal or pytest tells its programs, and what would show in a notebook's outputs.
_TERMINAL = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE")


def environment(base: Mapping[str, str], folder: str) -> dict[str, str]:
    """The variables of a kernel: `base` without those of a terminal; sets in a fixed order, UTC.

    Threads of numerical libraries sleep while they wait, since several kernels share the cores.

    Args:
        base: the variables to start from.
        folder: an empty one for IPython, in place of the reader's start-up files and history.
    """
    kept = {
        name: value
        for name, value in base.items()
        if name not in _TERMINAL and not name.startswith("PYTEST_")
    }
    fixed = {"PYTHONHASHSEED": "0", "TZ": "UTC", "IPYTHONDIR": folder}
    return kept | fixed | {"OMP_WAIT_POLICY": "PASSIVE"}


def manager() -> AsyncKernelManager:
    """A kernel with the packages of this process, whatever kernels the machine has installed."""
    return AsyncKernelManager(
        kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()
    )


@contextlib.contextmanager
def as_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Replace this process's variables, for a library that hands its own on and takes no others."""
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
