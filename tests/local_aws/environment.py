"""What a process needs to talk to the offline AWS, and a server to talk to.

A notebook knows nothing of this: it reads credentials, region and endpoint from its environment,
as every AWS client does.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CLIENT_FILES = Path(__file__).parent / "client"
_REPOSITORY = Path(__file__).parents[2]
_WAITER_DELAY_SECONDS = 0.2
_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")

# Where the waiter files of this server lie; set when it starts (`write_waiters`).
_waiters: Path | None = None


def variables(
    endpoint: str, access_key: str, region: str, max_attempts: int | None = None
) -> dict[str, str]:
    """The environment variables of a client. Documented switches, but for `sitecustomize`.

    Args:
        endpoint: `http://127.0.0.1:<port>`.
        access_key: one that `account.add_access_key` made.
        region: the region of clients that name none.
        max_attempts: how often a client tries a call; None leaves it at botocore's default.
    """
    values = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": "offline",
        "AWS_SESSION_TOKEN": "offline",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        # Nothing of the reader's own configuration may lead a call to the real AWS.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # `sync-127.0.0.1`, which some calls of Step Functions would go to, is no host.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(_CLIENT_FILES / "sagemaker.yaml"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": endpoint,
        # Under the address of the endpoint there is no page to view a run on.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "PYTHONPATH": str(_CLIENT_FILES),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    if _waiters is not None:
        values["AWS_DATA_PATH"] = str(_waiters)
    if max_attempts is not None:
        values["AWS_MAX_ATTEMPTS"] = str(max_attempts)
        values["AWS_RETRY_MODE"] = "standard"
    return values


def write_waiters(folder: Path) -> None:
    """Write botocore's waiters with short delays, for AWS_DATA_PATH.

    A waiter of SageMaker's looks every 30 to 120 seconds; the jobs here take seconds. The waiters
    go on waiting for as long as they would have.
    """
    global _waiters
    from botocore.loaders import Loader

    loader = Loader(include_default_search_paths=True)
    for service in loader.list_available_services("waiters-2"):
        version = loader.determine_latest_version(service, "waiters-2")
        model = loader.load_data(f"{service}/{version}/waiters-2")
        for waiter in model["waiters"].values():
            seconds = waiter["delay"] * waiter["maxAttempts"]
            waiter["delay"] = _WAITER_DELAY_SECONDS
            waiter["maxAttempts"] = int(seconds / _WAITER_DELAY_SECONDS)
        path = folder / service / version
        path.mkdir(parents=True)
        (path / "waiters-2.json").write_text(json.dumps(model))
    _waiters = folder


def as_exports(values: dict[str, str]) -> list[str]:
    """The variables as lines for a POSIX shell."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return [f"unset {' '.join(_UNSET)}", *exports]


def merged(values: dict[str, str], base: dict[str, str]) -> dict[str, str]:
    """`base` with the variables of the offline AWS; what it has on PYTHONPATH stays on it."""
    kept = {
        name: value
        for name, value in base.items()
        if name not in _UNSET and not name.startswith("AWS_ENDPOINT_URL")
    }
    if base.get("PYTHONPATH"):
        values = values | {"PYTHONPATH": values["PYTHONPATH"] + os.pathsep + base["PYTHONPATH"]}
    return kept | values


class LocalAWS:
    """An offline AWS in a process of its own, for the length of a `with` block.

    Args:
        account: the account id.
        region: the default region.
        faults: as on the command line: `throttle=0.05,error=0.02`.

    Attributes:
        environ: the whole environment for a process that is to talk to it.
    """

    def __init__(
        self, *, account: str = "123456789012", region: str = "us-east-1", faults: str = ""
    ) -> None:
        self._options = ["--account", account, "--region", region]
        self._options += ["--faults", faults] if faults else []
        self.region = region
        self.environ: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> LocalAWS:
        command = [sys.executable, "-m", __package__, "serve", "--until-stdin-closes"]
        self._process = subprocess.Popen(
            [*command, *self._options],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the command that is served; the server ends when its input does.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        values = _read_exports(self._process.stdout)
        if not values:
            raise RuntimeError("The offline AWS did not start; its error is printed above.")
        self.environ = merged(values, dict(os.environ))
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of this account. Options are those of `boto3.client`."""
        import boto3
        from botocore.config import Config
        from botocore.session import get_session

        if options or service not in self._clients:
            defaults = {
                "endpoint_url": self.environ["AWS_ENDPOINT_URL"],
                "aws_access_key_id": self.environ["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": self.environ["AWS_SECRET_ACCESS_KEY"],
                "aws_session_token": self.environ["AWS_SESSION_TOKEN"],
                "region_name": self.region,
            }
            config = Config(inject_host_prefix=False).merge(options.get("config") or Config())
            settings = {**defaults, **options, "config": config}
            session = get_session()
            session.set_config_variable("data_path", self.environ["AWS_DATA_PATH"])
            client = boto3.Session(botocore_session=session).client(service, **settings)
            if options:
                return client
            self._clients[service] = client
        return self._clients[service]

    def reset(self) -> None:
        """Make the account empty."""
        self._control("reset")

    def journal(self) -> list[dict[str, Any]]:
        """All calls since the last reset; see `journal.entries`."""
        return json.loads(self._control("journal"))

    def fire(self, rule: str, region: str | None = None) -> None:
        """Let the schedule of an EventBridge rule come round; none does so by itself."""
        self._control(f"fire?rule={rule}&region={region or self.region}")

    def fire_trigger(self, trigger: str, region: str | None = None) -> None:
        """Let the schedule of a Glue trigger come round; none does so by itself."""
        self._control(f"fire-trigger?trigger={trigger}&region={region or self.region}")

    def inventory(self) -> dict[str, list[str]]:
        """What the account holds; see `inventory.take`."""
        from .inventory import take

        return take(self.client)

    def _control(self, what: str) -> bytes:
        return control(what, self.environ)


def control(what: str, environ: dict[str, str]) -> bytes:
    """Ask the server that `environ` points at for its journal, to reset the account, or to fire.

    `fire?rule=NAME&region=REGION` lets the schedule of an EventBridge rule come round.
    """
    url = f"{environ['AWS_ENDPOINT_URL']}/local-aws/{what}"
    headers = {"X-Local-AWS-Key": environ["LOCAL_AWS_KEY"]}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=headers)
    with opener.open(request, timeout=120) as response:
        return response.read()


def _read_exports(lines: Iterable[str]) -> dict[str, str]:
    """Read `export NAME=value` lines up to the line that says the server is ready."""
    values = {}
    for line in lines:
        if line.startswith("# ready"):
            return values
        words = shlex.split(line)
        if words[:1] == ["export"]:
            name, _, value = words[1].partition("=")
            values[name] = value
    return {}
