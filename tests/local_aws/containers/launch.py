"""Start a program of this package, given its name: `python -P launch.py NAME ARGUMENT…`.

The repository is on the import path only while the package is imported: what a model server runs
afterwards is a user's code, which must find its own modules and the installed libraries alone.
"""

import importlib
import sys
from pathlib import Path

_PROGRAMS = {
    "builtin-train": "tests.local_aws.containers.builtin",
    "xgboost-train": "tests.local_aws.containers.xgboost",
    "serve": "tests.local_aws.containers.serving",
}

if __name__ == "__main__":
    repository = str(Path(__file__).parents[3])
    name, *arguments = sys.argv[1:]
    sys.path.insert(0, repository)
    program = importlib.import_module(_PROGRAMS[name])
    sys.path.remove(repository)
    sys.exit(program.main(arguments))
