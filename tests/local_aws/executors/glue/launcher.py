"""Runs the script of a Glue job, inside the job's own process.

    python launcher.py <folder> <command> <script> <argument>…

Standard error goes to `<folder>/stderr`, since Glue keeps a log stream for it; the exception that
ended the script is written to `<folder>/error`, in the words of Glue's ErrorMessage.
"""

import os
import re
import runpy
import sys
import traceback
from pathlib import Path

# Categories: https://docs.aws.amazon.com/glue/latest/dg/monitor-observability.html
_CATEGORIES = {
    "AnalysisException": "QUERY_ERROR",
    "ParseException": "SYNTAX_ERROR",
    "SyntaxError": "SYNTAX_ERROR",
    "ImportError": "IMPORT_ERROR",
    "FileNotFoundError": "RESOURCE_NOT_FOUND_ERROR",
    "PermissionError": "PERMISSION_ERROR",
    "MemoryError": "OUT_OF_MEMORY_ERROR",
    "GlueArgumentError": "INVALID_ARGUMENT_ERROR",
    "KeyError": "INVALID_ARGUMENT_ERROR",
    "NameError": "INVALID_ARGUMENT_ERROR",
    "TypeError": "INVALID_ARGUMENT_ERROR",
    "ValueError": "INVALID_ARGUMENT_ERROR",
    "SystemExit": "SYSTEM_EXIT_ERROR",
}
_NO_GLUE_CONTEXT = (
    " (GlueContext, DynamicFrames, Job and bookmarks need Glue's own Java libraries, which are "
    "published nowhere: offline, use getResolvedOptions and plain Spark DataFrames)"
)
# How py4j reports what a Java method has thrown: class, message, stack.
_OF_JAVA = re.compile(
    r"(An error occurred while calling [^\n]+)\n: [\w.$]+: (.*?)(?=\n\tat |$)", re.S
)


def words(error: BaseException, script: str, command: str) -> str:
    """An exception as the ErrorMessage of a run.

    That of a Spark job begins with a category and the line of the script.
    """
    text = f"{type(error).__name__}: {error}"
    of_java = _OF_JAVA.match(str(error))
    if of_java:
        text = f"{of_java[1]} {of_java[2]}"
    no_glue = "'JavaPackage' object is not callable" in text or (
        isinstance(error, ImportError) and "awsglue" in text
    )
    if no_glue:
        text += _NO_GLUE_CONTEXT
    if command != "glueetl":
        return text
    names = [each.__name__ for each in type(error).__mro__]
    category = next((_CATEGORIES[name] for name in names if name in _CATEGORIES), None)
    parts = [f"Error Category: {category or 'UNCLASSIFIED_ERROR'}"]
    line = _line(error, script)
    if line:
        parts.append(f"Failed Line Number: {line}")
    spark_class = getattr(error, "getErrorClass", lambda: None)()
    if spark_class:
        parts.append(f"Spark Error Class: {spark_class}")
    return "; ".join([*parts, text])


def _line(error: BaseException, script: str) -> int | None:
    """The line of the script that was at work."""
    if isinstance(error, SyntaxError) and error.filename == script:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == script]
    return lines[-1] if lines else None


def main() -> int:
    """Run the script; 0 if it ended well."""
    folder, command, script = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.dup2(os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    sys.argv = sys.argv[3:]
    sys.path[0] = str(Path(script).parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return 0
        traceback.print_exc()
        (folder / "error").write_text(words(error, script, command))
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)
