"""One instance of a training job: its file system, its data, the program that runs on it."""

from __future__ import annotations

import tarfile
import threading
import time
from pathlib import Path
from typing import Any

from ... import containers, storage
from ...containers import script_mode
from ...containers.opt_ml import OptMl, unpack
from ...containers.script_mode import TrainingSettings
from ...gateway import AWSError
from ...logs import LogStream
from ...processes import Outcome
from ...storage import S3Location
from . import inputs, runner
from .checkpoints import Checkpoints, MirroredFolder, tensorboard_files
from .pipes import Pipe
from .training_metrics import MetricReader

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
# Channels in which the SDK sends programs, not data.
_CODE_CHANNELS = ("code", "sm_drivers")


class Instance:
    """What happens on one of a job's instances.

    Attributes:
        ml: its file system.
        command: what was run, as the log shows it.
        log: what it printed.
        checkpoints: None if the job keeps none.
        mirrored: the folders that go to S3 while it runs, checkpoints among them.
    """

    def __init__(
        self,
        root: Path,
        request: dict[str, Any],
        settings: TrainingSettings,
        region: str,
        metrics: MetricReader,
    ) -> None:
        """
        Args:
            root: an empty folder that stands for its file system.
            request: the parameters of CreateTrainingJob, and the job's ARN.
            settings: which instance it is.
        """
        self.ml = OptMl(root)
        self.command: list[str] = []
        self._request, self._settings, self._region = request, settings, region
        self._container = containers.resolve(self._specification["TrainingImage"])
        stream = f"{settings.job_name}/algo-{settings.rank + 1}-{int(time.time())}"
        logs = LogStream(region, LOG_GROUP, stream, settings.job_name)
        self.log = runner.JobLog(self.ml, logs, escape=True, on_line=metrics.read)
        kept = request.get("CheckpointConfig")
        self.checkpoints = Checkpoints(kept, self.ml, settings.job_name) if kept else None
        self.mirrored: list[MirroredFolder] = [self.checkpoints] if self.checkpoints else []
        board = request.get("TensorBoardOutputConfig")
        if board:
            self.mirrored.append(tensorboard_files(board, self.ml, settings.job_name))

    @property
    def is_algorithm(self) -> bool:
        """Whether a built-in algorithm runs, and no script of the user's."""
        has_script = self._specification.get("ContainerEntrypoint") or self._settings.program
        return self._container.has_algorithm and not has_script

    @property
    def _specification(self) -> dict[str, Any]:
        return self._request["AlgorithmSpecification"]

    # ── before ───────────────────────────────────────────────────────────────────────────────────

    def download(self) -> None:
        """Bring configuration, data, checkpoints and script into place.

        Raises:
            AWSError: ClientError, saying what is missing.
        """
        script_mode.write_configuration(self.ml, self._settings)
        for channel in self._request.get("InputDataConfig", []):
            if not self._is_piped(channel):
                self._download(channel)
        if self.checkpoints:
            self.checkpoints.fetch()
        if self._settings.program is not None:
            self._fetch_script()

    def _download(self, channel: dict[str, Any]) -> None:
        name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
        folder = self.ml.path / "input" / "data" / name
        for location, path in self._objects(source):
            inputs.fetch(location, folder, path, self._settings.job_name)
        if name in _CODE_CHANNELS:
            self.ml.adopt_code(folder)

    def _objects(self, source: dict[str, Any]) -> list[tuple[S3Location, Path]]:
        """The objects that this instance gets: all, or every n-th."""
        uri, job = source["S3Uri"], self._settings.job_name
        found = inputs.objects(source["S3DataType"], uri, job)
        if not found:
            role = self._request["RoleArn"]
            message = inputs.objects_missing(uri, self._region, role)
            raise AWSError("ClientError", f"Data download failed:{message}")
        if source.get("S3DataDistributionType") == "ShardedByS3Key":
            return found[self._settings.rank :: len(self._settings.hosts)]
        return found

    def _is_piped(self, channel: dict[str, Any]) -> bool:
        """Whether the program gets the channel as a named pipe.

        The built-in algorithms get files here: which way the bytes come does not change a model.
        """
        mode = channel.get("InputMode") or self._specification.get("TrainingInputMode")
        return mode == "Pipe" and not self.is_algorithm

    def _fetch_script(self) -> None:
        """Unpack what the toolkit's protocol names as the folder of the script."""
        uri = self._settings.submit_directory or ""
        ml, code = self.ml, self.ml.path / "code"
        if not uri.startswith("s3://"):
            folder = ml.locate(uri) if uri else ml.path / "input" / "data" / "code"
            if folder.is_dir() and folder != code:
                code.rmdir()
                code.symlink_to(folder, target_is_directory=True)
            return
        try:
            unpack(storage.read(S3Location.parse(uri), self._settings.job_name), code)
        except (AWSError, tarfile.TarError) as error:
            raise AWSError(
                "ClientError", f"Data download failed:{uri} is not an archive: {error}"
            ) from error
        ml.adopt_code(code)

    # ── the program ──────────────────────────────────────────────────────────────────────────────

    def run(self, timeout: float, stop: threading.Event) -> Outcome:
        """Run the container's program to its end.

        Args:
            timeout: after so many seconds it is ended.
            stop: when this is set it is ended.

        Raises:
            AWSError: ClientError if there is no such program, AlgorithmError if what the script
                requires cannot be installed.
        """
        command, given = self._program(timeout, stop)
        self.command = [self.ml.outward(word) for word in command]
        given = given | self._request.get("Environment", {})
        has_network = not self._request.get("EnableNetworkIsolation", False)
        variables = runner.job_variables(
            self.ml, self._region, self._settings.job_name, given, network=has_network
        )
        pipes = self._open_pipes()
        try:
            return runner.run(
                self.ml,
                command,
                folder=self.ml.path / "code",
                variables=variables,
                log=self.log,
                timeout=timeout,
                stop=stop,
            )
        finally:
            for pipe in pipes:
                pipe.close()

    def failure(self, outcome: Outcome) -> str:
        """Why the program failed: what it wrote into `/opt/ml/output/failure`, and its status.

        A container that writes nothing gives no reason on AWS, and the drivers of the SDK write
        only that the script failed. So that a reader sees the cause, the script's exception is
        added, which on AWS stands in the log alone. At most 1,000 characters.
        """
        code, lines = outcome.returncode, self.log.lines
        written = self.ml.outward(script_mode.failure_file(self.ml))
        if self._settings.program is not None and not written:
            written = script_mode.script_error(self.command, code, lines)
        ending = f", exit code: {code}"
        message = "" if self.is_algorithm else script_mode.error_message(lines)
        if message and message not in written:
            ending = f'\nErrorMessage "{message[-400:]}"{ending}'
        return written[: 1000 - len(ending)] + ending

    def _program(self, timeout: float, stop: threading.Event) -> tuple[list[str], dict[str, str]]:
        """The command, and the variables that tell it who it is."""
        given = {
            "TRAINING_JOB_NAME": self._settings.job_name,
            "TRAINING_JOB_ARN": self._request["TrainingJobArn"],
        }
        entrypoint = self._specification.get("ContainerEntrypoint")
        if entrypoint:
            words = [*entrypoint, *self._specification.get("ContainerArguments", [])]
            return [self.ml.inward(word) for word in words], given
        if self._settings.program is not None:
            command = self._prepare_script(timeout, stop)
            return command, script_mode.toolkit_environment(self.ml, self._settings) | given
        if self._container.has_algorithm:
            return [*self._container.train_command(), str(self.ml.path)], given
        raise AWSError(
            "ClientError",
            f"The image {self._container.image_uri} brings no program that the offline AWS "
            "knows; give a script (SourceCode), or use the image of a built-in algorithm.",
        )

    def _prepare_script(self, timeout: float, stop: threading.Event) -> list[str]:
        """The command of the toolkit's protocol, announced as the toolkit does."""
        command = script_mode.toolkit_command(self.ml, self._settings, runner.python())
        stamp = time.strftime("%Y-%m-%d %H:%M:%S,000", time.gmtime())
        prefix = f"{stamp} sagemaker-training-toolkit INFO    "
        if (self.ml.path / "code" / "requirements.txt").is_file():
            self.log.write(f"{prefix} Installing dependencies from requirements.txt")
            self._install(timeout, stop)
        self.log.write(f"{prefix} Invoking user script")
        self.log.write("Invoking script with the following command:")
        self.log.write(" ".join(command))
        return command

    def _install(self, timeout: float, stop: threading.Event) -> None:
        outcome = runner.run(
            self.ml,
            [runner.python(), "-m", "pip", "install", "-r", "requirements.txt"],
            folder=self.ml.path / "code",
            variables=runner.job_variables(self.ml, self._region, self._settings.job_name, {}),
            log=self.log,
            timeout=timeout,
            stop=stop,
        )
        if outcome.returncode:
            message = script_mode.error_message(self.log.lines)
            raise AWSError(
                "AlgorithmError",
                f"InstallRequirementsError:\nExitCode {outcome.returncode}\n"
                f'ErrorMessage "{message}", exit code: {outcome.returncode}',
            )

    def _open_pipes(self) -> list[Pipe]:
        pipes = []
        for channel in self._request.get("InputDataConfig", []):
            if self._is_piped(channel):
                source = channel["DataSource"]["S3DataSource"]
                pipes.append(
                    Pipe(
                        self.ml.path / "input" / "data",
                        channel["ChannelName"],
                        [location for location, _ in self._objects(source)],
                        self._settings.job_name,
                        wrap=channel.get("RecordWrapperType") == "RecordIO",
                    )
                )
        return pipes
