"""Running notebooks and saving their outputs, through the command line of the offline AWS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from . import form
from .rules import Notebook, few_outputs_are_ignored, metadata_is_normalised, outputs_are_saved
from .tiny import code, text, write

ACCOUNT = """import boto3
s3 = boto3.client("s3")
print(len(s3.list_buckets()["Buckets"]), "buckets")
_ = s3.create_bucket(Bucket="left-behind")"""
DRAW = """from pathlib import Path
from IPython.display import clear_output
from tqdm.auto import tqdm
print("cleared"); clear_output()
for _ in tqdm(range(3)):
    pass
print(Path.cwd().name)"""


def _run(action: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.local_aws", action, *map(str, paths)]
    return subprocess.run(command, cwd=form.REPOSITORY, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two notebooks that run, one that fails; as an author's front end may have left them."""
    folder = tmp_path_factory.mktemp("chapter06")
    for name in ("01_first.ipynb", "02_second.ipynb"):
        write(folder / name, text("# Title"), code(ACCOUNT, None), code(DRAW, None))
    write(folder / "03_fails.ipynb", code("print('started')", None), code("{}['absent']", None))
    node = form.read(folder / "01_first.ipynb")
    node.cells[0].id = "aaaa-bbbb"
    node.cells[1].metadata["execution"] = {"iopub.status.busy": "2026-11-22T10:00:00Z"}
    node.cells[2].metadata["tags"] = ["kept"]
    node.metadata["widgets"] = {}
    (folder / "01_first.ipynb").write_text(form.as_text(node))
    return folder


@pytest.fixture(scope="module")
def saved(folder: Path) -> subprocess.CompletedProcess[str]:
    """All three, run to save their outputs."""
    return _run("notebooks", *sorted(folder.glob("*.ipynb")))


def test_each_notebook_is_run_in_an_empty_account_and_in_its_folder(
    saved: subprocess.CompletedProcess[str], folder: Path
) -> None:
    for name in ("01_first.ipynb", "02_second.ipynb"):
        cells = form.read(folder / name).cells
        assert [out.text for out in cells[1].outputs] == ["0 buckets\n"]
        assert f"{folder.name}\n" in [out.text for out in cells[2].outputs if "text" in out]


def test_the_stored_form_has_numbered_cells_and_no_widgets(
    saved: subprocess.CompletedProcess[str], folder: Path
) -> None:
    notebook = Notebook.load(folder / "01_first.ipynb")
    assert metadata_is_normalised(notebook) == []
    assert outputs_are_saved(notebook) == []
    assert few_outputs_are_ignored(notebook) == []
    assert [cell.id for cell in notebook.cells] == ["cell-01", "cell-02", "cell-03"]
    assert notebook.cells[2].metadata == {"tags": ["kept"]}
    text = (folder / "01_first.ipynb").read_text()
    assert "cleared" not in text.replace('print(\\"cleared', "")
    assert "widget" not in text.replace("widgets", "")


def test_a_notebook_that_fails_is_reported_and_stays_as_it_was(
    saved: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert saved.returncode == 1
    assert f"{folder.name}/03_fails.ipynb  FAILED" in saved.stdout
    assert "KeyError" in saved.stdout
    assert all(cell.execution_count is None for cell in form.read(folder / "03_fails.ipynb").cells)
    assert len(list(folder.iterdir())) == 3


def test_run_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "01_check.ipynb", code("print(1)", None))
    before = path.read_bytes()
    result = _run("run", path)
    assert (result.returncode, path.read_bytes()) == (0, before)
    assert f"{tmp_path.name}/01_check.ipynb" in result.stdout


def test_a_notebook_that_is_not_there_is_named() -> None:
    result = _run("run", Path("chapter99/none.ipynb"))
    assert result.returncode == 2
    assert "There is no chapter99/none.ipynb." in result.stderr


def test_outside_the_offline_aws_it_says_how_to_run_it() -> None:
    command = [sys.executable, "-m", "tests.notebooks.execute"]
    result = subprocess.run(command, cwd=form.REPOSITORY, capture_output=True, text=True, env={})
    assert result.returncode == 2
    assert "python -m tests.local_aws notebooks" in result.stderr
