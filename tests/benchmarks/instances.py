"""A network trained by two instances, processes here, against the same one trained by one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.local_aws.environment import LocalAWS

from . import jobs
from .measure import compare

_IMAGE = (
    "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
    "pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
)

# One thread each: on two cores, two instances have twice the machine of one. The network is wide
# enough that a step computes for longer than it takes to send 0.3 million gradients.
_SCRIPT = """
import json, os
import torch
import torch.distributed as dist

torch.set_num_threads(1)
torch.manual_seed(0)
hosts = json.loads(os.environ["SM_HOSTS"])
rank, size = hosts.index(os.environ["SM_CURRENT_HOST"]), len(hosts)
if size > 1:
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["SM_NETWORK_INTERFACE_NAME"]
    dist.init_process_group("gloo", init_method=f"tcp://{hosts[0]}:29500", rank=rank,
                            world_size=size)
x = torch.randn(8192, 64)
y = (x[:, :1] * x[:, 1:2]).sign()
network = torch.nn.Sequential(
    torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(),
    torch.nn.Linear(512, 1),
)
optimizer = torch.optim.Adam(network.parameters())
for step in range(60):
    loss = ((network(x[rank::size]) - y[rank::size]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    if size > 1:
        for parameter in network.parameters():
            dist.all_reduce(parameter.grad)
            parameter.grad /= size
    optimizer.step()
if rank == 0:
    torch.save(network.state_dict(), os.path.join(os.environ["SM_MODEL_DIR"], "model.pt"))
"""


def report() -> Iterator[str]:
    """Lines of a Markdown table; starting the processes counts, as it does for a reader."""
    with LocalAWS() as aws:
        jobs.put(aws, {"train/nothing": b"-"})
        script = jobs.put_script(aws, _SCRIPT)
        one, two = (
            jobs.definition(_IMAGE, [jobs.channel("train")], instances=count) for count in (1, 2)
        )
        ours, other = compare(
            lambda: jobs.train(aws, script, two), lambda: jobs.train(aws, script, one), times=3
        )
    yield (
        f"| two instances against one | {1e3 * ours:,.0f} | {1e3 * other:,.0f} "
        f"| {ours / other:.2f} | below 1 |"
    )
