"""Print all measurements as one Markdown table: `python -m tests.benchmarks [NAME …]`.

Times are in milliseconds unless the row says otherwise; the ratio is ours to the other's.
"""

from __future__ import annotations

import importlib
import sys

_ALL = ["server", "s3", "training", "endpoint", "athena", "firehose", "stepfunctions", "glue"]
_ALL += ["features", "tabular", "tuning", "builtins", "instances", "notebook"]


def main(names: list[str]) -> int:
    """Run the named measurements, or all; the exit status."""
    unknown = set(names) - set(_ALL)
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; choose from {', '.join(_ALL)}.")
        return 2
    print("| what | ours | other | ratio | target |\n|---|---:|---:|---:|---|")
    for name in names or _ALL:
        for line in importlib.import_module(f".{name}", __package__).report():
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
