"""Folders of the container that S3 mirrors while a training job runs.

Checkpoints: SageMaker copies what lies in S3 into the folder before the program starts, and what
the program writes there to S3 as it goes, so that a job that starts anew can go on where the last
one ended. TensorBoard's files go the second way only.
Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TensorBoardOutputConfig.html
"""

from __future__ import annotations

from pathlib import Path

from ... import storage
from ...containers.opt_ml import OptMl
from ...storage import S3Location
from . import inputs

_CHECKPOINTS = "/opt/ml/checkpoints"
_TENSORBOARD = "/opt/ml/output/tensorboard"
# (size, time of the last change in nanoseconds)
_Stamp = tuple[int, int]


class MirroredFolder:
    """A folder of one instance whose files go to S3.

    Attributes:
        saved: the number of files that have been sent.
    """

    def __init__(self, location: S3Location, folder: Path, caller: str) -> None:
        self._location, self._folder, self._caller = location, folder, caller
        self._sent: dict[Path, _Stamp] = {}
        self._seen: dict[Path, _Stamp] = {}
        self.saved = 0

    def send(self, *, settled: bool = True) -> None:
        """Copy to S3 what has changed since the last time.

        Args:
            settled: leave out a file that has changed since the last look: somebody may be writing
                it. At the end nobody is.
        """
        stamps = self._stamps()
        for path, stamp in stamps.items():
            changed = self._sent.get(path) != stamp
            if changed and (not settled or self._seen.get(path) == stamp):
                target = self._location / path.relative_to(self._folder).as_posix()
                storage.write(target, path.read_bytes(), self._caller)
                self._sent[path] = stamp
                self.saved += 1
        self._seen = stamps

    def _stamps(self) -> dict[Path, _Stamp]:
        stamps = {}
        for path in sorted(self._folder.rglob("*")):
            try:
                status = path.stat()
            except FileNotFoundError:  # renamed or removed by the program in this moment
                continue
            if path.is_file():
                stamps[path] = (status.st_size, status.st_mtime_ns)
        return stamps


class Checkpoints(MirroredFolder):
    """The checkpoints of one instance, by a job's CheckpointConfig."""

    def __init__(self, configuration: dict[str, str], ml: OptMl, caller: str) -> None:
        folder = ml.locate(configuration.get("LocalPath", _CHECKPOINTS))
        super().__init__(S3Location.parse(configuration["S3Uri"]), folder, caller)

    def fetch(self) -> None:
        """Copy the checkpoints of earlier runs into the folder."""
        inputs.download("S3Prefix", str(self._location), self._folder, self._caller)
        self._sent = self._stamps()


def tensorboard_files(configuration: dict[str, str], ml: OptMl, job_name: str) -> MirroredFolder:
    """What a script writes for TensorBoard, by a job's TensorBoardOutputConfig."""
    target = S3Location.parse(configuration["S3OutputPath"]) / job_name / "tensorboard-output"
    return MirroredFolder(target, ml.locate(configuration.get("LocalPath", _TENSORBOARD)), job_name)
