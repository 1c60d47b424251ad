"""Script mode: how a user's training script is found, told its settings, and asked why it failed.

Two protocols lead to a script. `ModelTrainer` of the SageMaker SDK uploads the script as channel
`code` and its own drivers as channel `sm_drivers`, and names `/bin/bash … sm_train.sh` as the entry
point of the container: that program does everything itself. The other, older one is the SageMaker
training toolkit that AWS's images contain: hyperparameters `sagemaker_program` and
`sagemaker_submit_directory` name the script and an archive in S3, and the toolkit passes the other
hyperparameters as arguments and everything else as variables `SM_…`. This module stands for the
toolkit, and writes the files that a container of either kind finds in `/opt/ml/input/config`.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .opt_ml import OptMl

HOST = "algo-1"
_GROUP = "homogeneousCluster"
_CPUS = 2
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
# What a tuning job tells a training job; no argument of the script.
_TUNED_METRIC = "_tuning_objective_metric"
_TOOLKIT_NAMES = {"sagemaker_program", "sagemaker_submit_directory"}


@dataclass(frozen=True)
class TrainingSettings:
    """What a training container is told.

    `channels` has, for each channel, what `inputdataconfig.json` says of it; `hyperparameters` are
    strings, as the API has them. `instances` are that many, of which this is number `rank`.
    """

    job_name: str
    instance_type: str
    hyperparameters: dict[str, str] = field(default_factory=dict)
    channels: dict[str, dict[str, str]] = field(default_factory=dict)
    instances: int = 1
    rank: int = 0

    @property
    def hosts(self) -> list[str]:
        """The names by which the instances know each other.

        On AWS they are `algo-1`, `algo-2`, … Here several processes of one machine must find each
        other, and no name server knows those names: they get addresses of the loopback network.
        """
        if self.instances == 1:
            return [HOST]
        return [f"127.0.0.{rank + 1}" for rank in range(self.instances)]

    @property
    def host(self) -> str:
        """The name of this instance."""
        return self.hosts[self.rank]

    @property
    def network_interface(self) -> str:
        """Over which the instances reach each other."""
        return "eth0" if self.instances == 1 else _LOOPBACK

    @property
    def program(self) -> str | None:
        """The script of the toolkit's protocol; None if the job does not use it."""
        value = self.hyperparameters.get("sagemaker_program")
        return None if value is None else str(_decoded(value))

    @property
    def submit_directory(self) -> str | None:
        """Where the archive with the script lies: an S3 URI, or a path in the container."""
        value = self.hyperparameters.get("sagemaker_submit_directory")
        return None if value is None else str(_decoded(value))

    @property
    def arguments(self) -> dict[str, Any]:
        """The hyperparameters that are the script's own, with the types they had in the SDK."""
        return {
            name: _decoded(value)
            for name, value in self.hyperparameters.items()
            if not name.startswith("sagemaker_") and name != _TUNED_METRIC
        }

    @property
    def resources(self) -> dict[str, Any]:
        """The content of `resourceconfig.json`."""
        return {
            "current_group_name": _GROUP,
            "current_host": self.host,
            "current_instance_type": self.instance_type,
            "hosts": self.hosts,
            "instance_groups": [
                {
                    "hosts": self.hosts,
                    "instance_group_name": _GROUP,
                    "instance_type": self.instance_type,
                }
            ],
            "network_interface_name": self.network_interface,
        }


def write_configuration(ml: OptMl, settings: TrainingSettings) -> None:
    """Write the files of `/opt/ml/input/config` and make the folders that every container has."""
    for name in ("input/config", "input/data", "model", "output/data", "code", "checkpoints"):
        (ml.path / name).mkdir(parents=True, exist_ok=True)
    hyperparameters = {name: ml.inward(text) for name, text in settings.hyperparameters.items()}
    contents = {
        "hyperparameters": hyperparameters,
        "inputdataconfig": settings.channels,
        "resourceconfig": settings.resources,
    }
    for name, content in contents.items():
        (ml.path / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def toolkit_command(ml: OptMl, settings: TrainingSettings, python: str) -> list[str]:
    """The command by which the toolkit starts the script, in the folder `/opt/ml/code`."""
    assert settings.program is not None
    arguments = [ml.inward(text) for text in _as_arguments(settings.arguments)]
    program = settings.program
    if (ml.path / "code" / "setup.py").exists():
        return [python, "-m", program.removesuffix(".py"), *arguments]
    if program.endswith(".py"):
        return [python, program, *arguments]
    return ["/bin/sh", "-c", f'./{program} "$@"', program, *arguments]


def toolkit_environment(ml: OptMl, settings: TrainingSettings) -> dict[str, str]:
    """The variables `SM_…` by which the toolkit tells a script where things are.

    Source: https://github.com/aws/sagemaker-training-toolkit, ENVIRONMENT_VARIABLES.md
    """
    folders = {
        "input_dir": "input",
        "input_config_dir": "input/config",
        "model_dir": "model",
        "output_dir": "output",
        "output_data_dir": "output/data",
        "output_intermediate_dir": "output/intermediate",
    }
    paths: dict[str, Any] = {name: str(ml.path / below) for name, below in folders.items()}
    program = settings.program or ""
    values: dict[str, Any] = paths | {
        "hosts": settings.hosts,
        "current_host": settings.host,
        "current_instance_type": settings.instance_type,
        "current_instance_group": _GROUP,
        "current_instance_group_hosts": settings.hosts,
        "instance_groups": [_GROUP],
        "is_hetero": False,
        "network_interface_name": settings.network_interface,
        "num_cpus": _CPUS,
        "num_gpus": 0,
        "log_level": 20,
        "hps": settings.arguments,
        "channels": sorted(settings.channels),
        "resource_config": settings.resources,
        "input_data_config": settings.channels,
        "module_name": program.removesuffix(".py"),
        "module_dir": settings.submit_directory or "",
        "user_entry_point": program,
        "user_args": _as_arguments(settings.arguments),
        "framework_params": {
            name: _decoded(value)
            for name, value in settings.hyperparameters.items()
            if name.startswith("sagemaker_") and name not in _TOOLKIT_NAMES
        },
    }
    values["training_env"] = {
        "channel_input_dirs": {
            channel: str(ml.path / "input" / "data" / channel) for channel in settings.channels
        },
        "current_host": settings.host,
        "hosts": settings.hosts,
        "hyperparameters": settings.arguments,
        "input_data_config": settings.channels,
        "job_name": settings.job_name,
        "is_master": settings.rank == 0,
        "master_hostname": settings.hosts[0],
        "user_entry_point": program,
    } | paths
    for channel in settings.channels:
        values[f"channel_{channel}"] = str(ml.path / "input" / "data" / channel)
    for name, value in settings.arguments.items():
        values[f"hp_{name}"] = value
    return {f"SM_{name.upper()}": ml.inward(_as_text(value)) for name, value in values.items()}


def script_error(command: list[str], returncode: int, lines: list[str]) -> str:
    """What the toolkit writes into `/opt/ml/output/failure` when the script has failed."""
    message = error_message(lines)
    shown = " ".join(command)
    return (
        f'ExecuteUserScriptError:\nExitCode {returncode}\nErrorMessage "{message}"\n'
        f'Command "{shown}"'
    )


def error_message(lines: list[str]) -> str:
    """What a program said last about why it failed: its exception, or else its last words."""
    starts = [
        position
        for position, line in enumerate(lines)
        if line.startswith("Traceback (most recent call last):")
    ]
    if starts:
        after = [line for line in lines[starts[-1] + 1 :] if line and not line[0].isspace()]
        raised = [line for line in after if re.match(r"[\w.]+(:|$)", line)]
        if raised:
            return raised[0]
    said = [line for line in lines if line.strip()]
    return "\n".join(said[-3:])


def failure_file(ml: OptMl) -> str:
    """What the container wrote into `/opt/ml/output/failure`; empty if nothing."""
    path: Path = ml.path / "output" / "failure"
    return path.read_text(errors="replace").strip() if path.is_file() else ""


def _decoded(text: str) -> Any:
    """The value of a hyperparameter: the SDK sends JSON, boto3 users send plain text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _as_arguments(values: dict[str, Any]) -> list[str]:
    arguments = []
    for name in sorted(values):
        value = values[name]
        if isinstance(value, dict):
            value = ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}"]
        arguments += ["" if value is None else str(value)]
    return arguments


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
