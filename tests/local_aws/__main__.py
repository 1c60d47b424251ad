"""The command line of the offline AWS: `python -m tests.local_aws --help`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from .environment import LocalAWS

_REPOSITORY = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, do what it says, return the exit status."""
    options = _parser().parse_args(arguments)
    if options.action == "serve":
        return _serve(options)
    command = {
        "exec": lambda: options.command[options.command[:1] == ["--"] :],
        "lab": lambda: [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={_REPOSITORY}"],
        "run": lambda: _execute("--check", *options.notebook),
        "notebooks": lambda: _execute(*options.notebook),
    }[options.action]()
    if not command:
        _parser().error("exec: say which command to run: exec -- COMMAND …")
    try:
        with LocalAWS(account=options.account, region=options.region, faults=options.faults) as aws:
            return _run(command, aws.environ)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--account", default="123456789012", help="the account id")
    shared.add_argument("--region", default="us-east-1", help="the region of clients naming none")
    shared.add_argument(
        "--faults", default="", help="shares of calls to fail, as throttle=0.05,error=0.02"
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.local_aws", description="An AWS account on this machine, offline."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[shared])

    run = add("exec", "run any command in a fresh account and return its exit status")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    add("lab", "open JupyterLab on the chapters, in a fresh account")
    check = add("run", "run notebooks, each in a fresh account, and leave the files as they are")
    check.add_argument("notebook", nargs="+")
    save = add("notebooks", "run notebooks, each in a fresh account, and save their outputs")
    save.add_argument("notebook", nargs="*", help="default: all of every chapter")
    serve = add("serve", "print the environment as export lines, then serve until stopped")
    serve.add_argument("--port", type=int, default=0, help="default: any free one")
    serve.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    return parser


def _execute(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.notebooks.execute", *arguments]


def _serve(options: argparse.Namespace) -> int:
    # moto reads its account id from the environment, once, when it is imported.
    os.environ["MOTO_ACCOUNT_ID"] = options.account
    from .server import serve

    def announce(lines: list[str]) -> None:
        print("\n".join([*lines, "# ready"]), flush=True)

    serve(
        port=options.port,
        region=options.region,
        faults=options.faults,
        until_stdin_closes=options.until_stdin_closes,
        announce=announce,
    )
    return 0


def _run(command: list[str], environ: dict[str, str]) -> int:
    """Run a command to its end. Signals to this process are for the command to deal with."""
    try:
        process = subprocess.Popen(command, env=environ)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal has sent it to the command as well
    status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
