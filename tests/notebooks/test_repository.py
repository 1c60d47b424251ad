"""The rules on what is in the repository: notebooks, chapters, and every text file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .form import CHAPTERS, REPOSITORY, all_notebooks
from .rules import RULES, Notebook, broken_links, file_problems

NOTEBOOKS = all_notebooks()
CHAPTERS_WITH_NOTEBOOKS = sorted({path.parent for path in NOTEBOOKS})


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def _files() -> list[Path]:
    """The files under version control; all but hidden ones where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    if listing.returncode == 0:
        found = [REPOSITORY / line for line in listing.stdout.splitlines()]
    else:
        found = [p for p in REPOSITORY.rglob("*") if "/." not in str(p.relative_to(REPOSITORY))]
    return sorted(path for path in found if path.is_file())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_notebook_keeps_the_rules(path: Path) -> None:
    notebook = Notebook.load(path)
    problems = [f"{rule.__name__}: {line}" for rule in RULES for line in rule(notebook)]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("chapter", CHAPTERS_WITH_NOTEBOOKS, ids=_name)
def test_chapter_has_a_policy_and_a_page_that_names_its_notebooks(chapter: Path) -> None:
    assert (chapter / "iam-policy.json").is_file(), "write it: python -m tests.notebooks.iam"
    page = (chapter / "README.md").read_text()
    missing = [path.name for path in chapter.glob("*.ipynb") if path.name not in page]
    assert not missing, f"README.md does not name {missing}"


@pytest.mark.parametrize("chapter", sorted(REPOSITORY.glob(CHAPTERS)), ids=_name)
def test_data_has_a_page_on_its_origin(chapter: Path) -> None:
    data = chapter / "data"
    if not data.is_dir():
        pytest.skip("the chapter ships no data")
    page = (data / "DATA.md").read_text()
    tables = [path.name for path in data.iterdir() if path.suffix not in (".md", ".py")]
    missing = [name for name in tables if not name.startswith(".") and name not in page]
    assert not missing, f"DATA.md does not say where {missing} come from"


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    problems = []
    for path in _files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        problems += file_problems(path.relative_to(REPOSITORY), text)
    assert not problems, "\n" + "\n".join(problems)


def test_links_in_pages_resolve() -> None:
    problems = [
        f"{_name(path)}: {line}"
        for path in _files()
        if path.suffix == ".md"
        for line in broken_links(path.read_text(), path)
    ]
    assert not problems, "\n" + "\n".join(problems)


def test_ruff_finds_nothing() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "."],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
