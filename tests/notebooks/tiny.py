"""Small notebooks for the tests of the checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from . import form


def code(source: str, printed: str | None = "", *, tags: tuple[str, ...] = ()) -> NotebookNode:
    """A code cell with what it printed when it was saved; None for a cell that was never run."""
    cell = new_code_cell(source)
    if tags:
        cell.metadata["tags"] = list(tags)
    if printed is not None:
        cell.execution_count = 1
    if printed:
        cell.outputs = [new_output("stream", name="stdout", text=printed)]
    return cell


def text(source: str) -> NotebookNode:
    """A Markdown cell."""
    return new_markdown_cell(source)


def notebook(*cells: NotebookNode) -> NotebookNode:
    """A notebook of these cells, in its stored form, the code cells counted from 1."""
    made = new_notebook(cells=list(cells))
    form.normalise(made)
    ran = [cell for cell in made.cells if cell.get("execution_count")]
    for count, cell in enumerate(ran, start=1):
        cell.execution_count = count
    return made


def write(path: Path, *cells: NotebookNode) -> Path:
    """Write a notebook of these cells to a file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(form.as_text(notebook(*cells)))
    return path


def outputs(cell: NotebookNode) -> list[dict[str, Any]]:
    """The outputs of a cell as plain dictionaries."""
    return [dict(output) for output in cell.outputs]
