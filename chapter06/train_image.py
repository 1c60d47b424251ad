"""Train a small convolutional network in PyTorch as a SageMaker training job in script mode.

    python train_image.py --train DIR --validation DIR --model-dir DIR --checkpoints DIR

It keeps a checkpoint after each epoch and goes on from the last one it finds, with the same result
as if it had never been interrupted. On several instances each takes its share of every batch and
the gradients are averaged, with the same result as on one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import nn

import image_data

Metrics = dict[str, float]


class CheckpointError(Exception):
    """A checkpoint that cannot be read, and what to do about it."""


class Settings(NamedTuple):
    """How to train."""

    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 1.5e-3
    augment: bool = True
    seed: int = 0


class Cluster(NamedTuple):
    """The instances that train together, and which of them this is."""

    hosts: tuple[str, ...] = ("alone",)
    rank: int = 0

    @classmethod
    def from_environment(cls) -> Cluster:
        """As SageMaker tells it; one host outside of SageMaker."""
        hosts = tuple(json.loads(os.environ.get("SM_HOSTS", '["alone"]')))
        return cls(hosts, hosts.index(os.environ.get("SM_CURRENT_HOST", hosts[0])))

    def join(self) -> None:
        """Meet the others. With one host there is nobody to meet."""
        if len(self.hosts) > 1:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", os.environ["SM_NETWORK_INTERFACE_NAME"])
            dist.init_process_group(
                "gloo", init_method=f"tcp://{self.hosts[0]}:29400", rank=self.rank,
                world_size=len(self.hosts),
            )  # fmt: skip

    def average(self, network: nn.Module, share: float) -> None:
        """Add up the gradients of all instances, each by its share of the batch."""
        if len(self.hosts) == 1:
            return
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad *= share
                dist.all_reduce(parameter.grad)


ALONE = Cluster()


def build(classes: int) -> nn.Sequential:
    """Two convolutions that find strokes, and one layer that reads digits from them."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 16, classes),
    )  # fmt: skip


def freeze(network: nn.Sequential, weights: dict[str, torch.Tensor]) -> None:
    """Take all layers but the last from another network's weights, and let them be."""
    last = f"{len(network) - 1}."
    kept = {name: each for name, each in weights.items() if not name.startswith(last)}
    network.load_state_dict(network.state_dict() | kept)
    network[:-1].requires_grad_(False)


def read(network: nn.Module, images: Any) -> Any:
    """The class that the network sees in each picture (n, 8, 8); an array (n,)."""
    with torch.no_grad():
        return network(torch.from_numpy(images[:, None])).argmax(1).numpy()


def accuracy(network: nn.Module, pictures: image_data.Pictures) -> float:
    """The share of pictures that the network reads."""
    return float((read(network, pictures.images) == pictures.labels).mean())


class Checkpoint:
    """What a job needs to go on: weights, the optimiser's state, the history."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "last.pt"

    def load(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Metrics]:
        """Restore the last epoch, if there is one; return the metrics of all before.

        Raises:
            CheckpointError: the file is broken, or that of another network.
        """
        if not self._path.is_file():
            return []
        try:
            # Weights only: a pickle could run whatever somebody has put into it.
            kept = torch.load(self._path, weights_only=True)
            network.load_state_dict(kept["network"])
            optimizer.load_state_dict(kept["optimizer"])
            return kept["history"]
        except Exception as error:
            raise CheckpointError(
                f"{self._path} is no checkpoint of this network ({type(error).__name__}); delete "
                "it in S3 to begin anew, or give the job a place of its own"
            ) from error

    def save(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, history: list[Metrics]
    ) -> None:
        """Write beside, then move into place: an interruption leaves the last one whole."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        states = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(states | {"history": history}, part)
        part.replace(self._path)


def train(
    pictures: image_data.Pictures,
    validation: image_data.Pictures,
    settings: Settings,
    *,
    begin_with: dict[str, torch.Tensor] | None = None,
    cluster: Cluster = ALONE,
    checkpoint: Checkpoint | None = None,
    report: Callable[[Metrics], None] = lambda metrics: None,
) -> tuple[nn.Sequential, list[Metrics]]:
    """Train by Adam on the cross-entropy; return the network and the metrics of each epoch.

    Args:
        pictures: what to learn from.
        validation: what to judge each epoch by.
        settings: how to train.
        begin_with: weights whose convolutions are taken over and frozen.
        cluster: the instances that share the work; usually this one alone.
        checkpoint: where to keep, and to look for, the state after each epoch.
        report: called with the metrics of each epoch.
    """
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)  # layers as small as these are slower on several
    torch.use_deterministic_algorithms(True)
    network = build(int(max(pictures.labels.max(), validation.labels.max())) + 1)
    if begin_with:
        freeze(network, begin_with)
    learned = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=settings.learning_rate)
    history = checkpoint.load(network, optimizer) if checkpoint else []
    if history:
        print(f"resumed after epoch {len(history)}", flush=True)
    for number in range(len(history) + 1, settings.epochs + 1):
        part = image_data.epoch(pictures, settings.seed, number, settings.augment)
        for start in range(0, len(part.labels), settings.batch_size):
            stop = min(start + settings.batch_size, len(part.labels))
            own = part.of(range(start + cluster.rank, stop, len(cluster.hosts)))
            said = network(torch.from_numpy(own.images[:, None]))
            loss = nn.functional.cross_entropy(said, torch.from_numpy(own.labels))
            optimizer.zero_grad()
            loss.backward()
            cluster.average(network, len(own.labels) / (stop - start))
            optimizer.step()
        metrics = {"epoch": number, "train_accuracy": accuracy(network, pictures)}
        history.append(metrics | {"validation_accuracy": accuracy(network, validation)})
        report(history[-1])
        if checkpoint and cluster.rank == 0:
            checkpoint.save(network, optimizer, history)
    return network, history


def print_metrics(metrics: Metrics) -> None:
    """Print one epoch in the form that the job's metric definitions read."""
    print(" ".join(f"{name}={value:.4f}" for name, value in metrics.items()), flush=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; the folders' defaults are a training job's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for channel in ("train", "validation"):
        place = os.environ.get(f"SM_CHANNEL_{channel.upper()}", f"/opt/ml/input/data/{channel}")
        parser.add_argument(f"--{channel}", type=Path, default=Path(place))
    place = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    parser.add_argument("--model-dir", type=Path, default=Path(place))
    parser.add_argument("--checkpoints", type=Path, default=Path("/opt/ml/checkpoints"))
    usual = Settings()
    parser.add_argument("--epochs", type=int, default=usual.epochs)
    parser.add_argument("--batch-size", type=int, default=usual.batch_size)
    parser.add_argument("--learning-rate", type=float, default=usual.learning_rate)
    parser.add_argument("--seed", type=int, default=usual.seed)
    options = parser.parse_args(arguments)
    if options.epochs < 1 or options.batch_size < len(Cluster.from_environment().hosts):
        parser.error("--epochs must be at least 1, --batch-size at least the number of instances")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options, cluster = parse(arguments), Cluster.from_environment()
    cluster.join()
    leads = cluster.rank == 0
    try:
        network, history = train(
            image_data.read_channel(options.train),
            image_data.read_channel(options.validation),
            Settings(options.epochs, options.batch_size, options.learning_rate, seed=options.seed),
            cluster=cluster,
            checkpoint=Checkpoint(options.checkpoints),
            report=print_metrics if leads else lambda metrics: None,
        )
    except (image_data.DataError, CheckpointError) as error:
        print(f"train_image: {error}", file=sys.stderr)
        return 1
    if leads:
        options.model_dir.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), options.model_dir / "model.pt")
        (options.model_dir / "metrics.json").write_text(json.dumps(history))
    return 0


if __name__ == "__main__":
    sys.exit(main())
