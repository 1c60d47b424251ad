"""A SageMaker training job of the offline AWS against the bare script on the same data."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.local_aws.environment import LocalAWS

from . import jobs
from .measure import compare

_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
_ROWS, _COLUMNS = 60_000, 20

_SCRIPT = """
import os, sys
import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

data = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
model = HistGradientBoostingClassifier(max_iter=120, random_state=0)
model.fit(data[:, 1:], data[:, 0])
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
"""


def report() -> Iterator[str]:
    """Lines of a Markdown table."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(_ROWS, _COLUMNS))
    label = (features[:, 0] + generator.normal(size=_ROWS) > 0).astype(int)
    data = jobs.as_csv(np.column_stack([label, features]))
    with LocalAWS() as aws, tempfile.TemporaryDirectory() as folder:
        jobs.put(aws, {"train/train.csv": data})
        script = jobs.put_script(aws, _SCRIPT)
        request = jobs.definition(_IMAGE, [jobs.channel("train")])
        bare = _bare(Path(folder), data)
        ours, other = compare(lambda: jobs.train(aws, script, request), bare, times=5)
    allowed = 1.10 * other + 0.5
    yield (
        f"| training job | {1e3 * ours:,.0f} | {1e3 * other:,.0f} | {ours / other:.2f} "
        f"| ≤ 1.10 × + 500 = {1e3 * allowed:,.0f} |"
    )


def _bare(folder: Path, data: bytes) -> Callable[[], object]:
    (folder / "train.csv").write_bytes(data)
    (folder / "train.py").write_text(_SCRIPT)
    environ = {
        "SM_CHANNEL_TRAIN": str(folder),
        "SM_MODEL_DIR": str(folder),
        "OMP_NUM_THREADS": "2",
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "train.py"]
    return lambda: subprocess.run(command, cwd=folder, env=environ, check=True)
