"""What every notebook costs before its first line: a reset, a kernel, the usual imports."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.local_aws.environment import LocalAWS

from .measure import seconds

_IMPORTS = "import boto3, pandas, matplotlib.pyplot"
_SAGEMAKER = "from sagemaker.train import ModelTrainer"


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    with LocalAWS() as aws:
        aws.client("s3").create_bucket(Bucket="benchmark")
        resets = statistics.median(seconds(aws.reset) for _ in range(5))
        os.environ.update(aws.environ)
        kernel = statistics.median(_execute([]) for _ in range(3))
        imports = statistics.median(_execute([_IMPORTS]) for _ in range(3)) - kernel
        sagemaker = statistics.median(_execute([_SAGEMAKER]) for _ in range(3)) - kernel
        bare = statistics.median(
            seconds(lambda: subprocess.run([sys.executable, "-c", _IMPORTS], check=True))
            for _ in range(3)
        )
    yield f"| a notebook: reset | {1e3 * resets:,.0f} | | | |"
    yield f"| a notebook: kernel | {1e3 * kernel:,.0f} | | | |"
    yield f"| imports of boto3, pandas, matplotlib | {1e3 * imports:,.0f} | {1e3 * bare:,.0f} | | |"
    yield f"| import of the SageMaker SDK | {1e3 * sagemaker:,.0f} | | | |"


def _execute(sources: list[str]) -> float:
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    started = time.perf_counter()
    NotebookClient(notebook, kernel_name="python3").execute()
    return time.perf_counter() - started
