"""`pip` as a job sees it: says what is there, installs nothing, and says so when that is a problem.

On AWS a container has an environment of its own that a job may install into. Here a job runs in
the environment of whoever started the offline AWS, which must stay as it is.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

_WITH_VALUE = {"-i", "--index-url", "--extra-index-url", "-c", "--constraint", "-t", "--target"}


def main(arguments: list[str]) -> int:
    """Run one pip command. Returns its exit status."""
    if not arguments or arguments[0] in ("-V", "--version"):
        print("pip offline (a job of the offline AWS installs nothing)")
        return 0
    command, *rest = arguments
    if command in ("list", "freeze"):
        for found in sorted(metadata.distributions(), key=lambda item: item.name.lower()):
            print(f"{found.name}=={found.version}")
        return 0
    if command == "uninstall":
        print("WARNING: Skipping: a job of the offline AWS uninstalls nothing.")
        return 0
    if command != "install":
        print(f"ERROR: A job of the offline AWS has no pip {command}.", file=sys.stderr)
        return 1
    return _install(rest)


def _install(arguments: list[str]) -> int:
    missing = []
    for requirement in _requirements(arguments):
        problem = _problem(requirement)
        if problem:
            missing.append(f"{requirement} ({problem})")
        else:
            print(f"Requirement already satisfied: {requirement}")
    if not missing:
        return 0
    print(
        "ERROR: A job of the offline AWS runs in your own environment and installs nothing. "
        f"Missing: {'; '.join(missing)}. Install it yourself, then start the job again.",
        file=sys.stderr,
    )
    return 1


def _requirements(arguments: list[str]) -> list[str]:
    found: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in ("-r", "--requirement"):
            found += _read(Path(next(words)))
        elif word.startswith("--requirement="):
            found += _read(Path(word.partition("=")[2]))
        elif word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            found.append(word)
    return [each for each in found if each != "pip"]


def _read(path: Path) -> list[str]:
    lines = []
    for line in path.read_text().splitlines():
        line = line.partition(" #")[0].strip()
        if line.startswith(("-r ", "--requirement ")):
            lines += _read(path.parent / line.split(maxsplit=1)[1])
        elif line and not line.startswith(("#", "-")):
            lines.append(line)
    return lines


def _problem(text: str) -> str | None:
    """Why a requirement is not met by what is installed; None if it is."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return "not a name and version that can be looked up"
    if requirement.marker and not requirement.marker.evaluate():
        return None
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "not installed"
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"installed is {installed}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
