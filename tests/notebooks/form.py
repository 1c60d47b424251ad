"""The form in which notebooks are stored, so that a diff shows what changed and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

CHAPTERS = "chapter[0-9][0-9]"
REPOSITORY = Path(__file__).parents[2]

_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_LANGUAGE = {"name": "python"}
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# What front ends and jupytext note about a cell, for themselves.
_TRANSIENT = ("ExecuteTime", "collapsed", "execution", "lines_to_next_cell", "scrolled", "trusted")


def all_notebooks(root: Path = REPOSITORY) -> list[Path]:
    """The notebooks of every chapter, in reading order."""
    return sorted(root.glob(f"{CHAPTERS}/*.ipynb"))


def read(path: Path) -> NotebookNode:
    """Read a notebook file."""
    return nbformat.read(path, as_version=4)


def as_text(notebook: NotebookNode) -> str:
    """The notebook as its file holds it."""
    return nbformat.writes(notebook, indent=1) + "\n"


def normalise(notebook: NotebookNode) -> None:
    """Give a notebook its stored form, in place: one kernel, numbered cells, no widgets."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": _KERNEL, "language_info": _LANGUAGE})
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        for name in _TRANSIENT:
            cell.metadata.pop(name, None)
        if cell.cell_type == "code":
            cell.outputs = without_widgets(cell.outputs)


def without_widgets(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs but for widgets, which cannot be shown without the kernel that made them.

    A progress display that removes itself leaves an output with nothing in it; that goes as well.
    """
    return [
        output
        for output in outputs
        if _WIDGET_VIEW not in output.get("data", {}) and not _is_blank(output)
    ]


def _is_blank(output: NotebookNode) -> bool:
    data = output.get("data", {})
    if not data or not set(data) <= {"text/plain", "text/html"}:
        return False
    shown = data.get("text/plain", "") + re.sub(r"<[^>]*>", "", data.get("text/html", ""))
    return not shown.strip()


def tags(cell: NotebookNode) -> list[str]:
    """The tags in a cell's metadata."""
    return list(cell.metadata.get("tags", []))
