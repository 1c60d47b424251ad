"""Run notebooks in the offline AWS and save their outputs.

Called by `python -m tests.local_aws notebooks` and `… run`, which make the environment; each
notebook gets a fresh account. A notebook that fails stays as it was.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from tests.local_aws.environment import control

from . import form, kernels

_SECONDS_PER_CELL = 1800


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, run the notebooks, return 1 if one of them failed."""
    options = _parser().parse_args(arguments)
    if "LOCAL_AWS_KEY" not in os.environ:
        print("Run this in the offline AWS: python -m tests.local_aws notebooks", file=sys.stderr)
        return 2
    paths = options.notebook or form.all_notebooks()
    absent = [str(path) for path in paths if not path.is_file()]
    if absent:
        print(f"There is no {', '.join(absent)}.", file=sys.stderr)
        return 2
    succeeded = [_run_one(path.resolve(), save=not options.check) for path in paths]
    return 0 if all(succeeded) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks.execute", description=__doc__)
    parser.add_argument("--check", action="store_true", help="leave the files as they are")
    parser.add_argument("notebook", nargs="*", type=Path, help="default: all of every chapter")
    return parser


def _run_one(path: Path, *, save: bool) -> bool:
    """Run a notebook in a fresh account; print a line about it."""
    name = f"{path.parent.name}/{path.name}"
    control("reset", dict(os.environ))
    started = time.perf_counter()
    try:
        notebook = run(path, os.environ)
    except (CellControlSignal, CellExecutionError, DeadKernelError, RuntimeError) as error:
        print(f"{name}  FAILED after {time.perf_counter() - started:.1f} s\n{error}", flush=True)
        return False
    print(f"{name}  {time.perf_counter() - started:.1f} s", flush=True)
    if save:
        _save(notebook, path)
    return True


def run(path: Path, environ: Mapping[str, str]) -> NotebookNode:
    """Run a notebook in its own folder and return it with its outputs, normalised.

    Args:
        path: the notebook's file, which is only read.
        environ: the variables of the kernel.

    Raises:
        CellExecutionError: of a cell that raises and is not tagged `raises-exception`.
        CellControlSignal: of a cell that runs for more than half an hour.
    """
    notebook = form.read(path)
    client = _Client(
        notebook,
        timeout=_SECONDS_PER_CELL,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as folder:
        # On its standard error a kernel talks to whoever started it, not to the notebook.
        client.execute(env=kernels.environment(environ, folder), stderr=subprocess.DEVNULL)
    form.normalise(notebook)
    return notebook


class _Client(NotebookClient):
    """Runs a notebook in the kernel that the checks compare it in."""

    def create_kernel_manager(self) -> AsyncKernelManager:
        """The manager of a kernel that the client stops at the end."""
        self.km = kernels.manager()
        return self.km


def _save(notebook: NotebookNode, path: Path) -> None:
    """Replace the file in one step, so that an interruption leaves the old one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(form.as_text(notebook), encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
