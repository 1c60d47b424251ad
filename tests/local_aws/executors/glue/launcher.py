"""Runs the script of a Glue job, inside the job's own process.

    python launcher.py <folder> <script> <argument>…

Standard error goes to `<folder>/stderr`, since Glue keeps a log stream for it; the exception that
ended the script is written to `<folder>/error`, in the words of Glue's ErrorMessage.
"""

import os
import runpy
import sys
import traceback
from pathlib import Path

_NO_GLUE_CONTEXT = (
    " (GlueContext, DynamicFrames, Job and bookmarks need Glue's own Java libraries, which are "
    "published nowhere: offline, use getResolvedOptions and plain Spark DataFrames)"
)


def _words(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}".strip()
    no_glue = "'JavaPackage' object is not callable" in text or (
        isinstance(error, ImportError) and "awsglue" in text
    )
    return text + _NO_GLUE_CONTEXT if no_glue else text


def main() -> int:
    """Run the script; 0 if it ended well."""
    folder, script = Path(sys.argv[1]), sys.argv[2]
    os.dup2(os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(script).parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        if ended.code in (None, 0):
            return 0
        (folder / "error").write_text(f"SystemExit: {ended.code}")
        return 1
    except BaseException as error:
        traceback.print_exc()
        (folder / "error").write_text(_words(error))
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)
