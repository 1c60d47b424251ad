"""pytest plugin: runs every notebook in the offline AWS and asks afterwards what it did there.

nbval executes the cells and compares their outputs. Here are the account that they run in, the
checks after the last cell, and the check of a chapter's IAM policy after its last notebook.
With `-m live` the same notebooks run on AWS, as the environment says, and nothing is compared.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError, coalesce_streams

from tests.local_aws.environment import LocalAWS

from . import calls, form, iam, kernels

SHOWS_REFUSAL = {"shows-refusal", "raises-exception", "nbval-raises-exception"}
POLICY = "iam-policy.json"


# ── the account ──────────────────────────────────────────────────────────────────────────────────


@dataclass
class Account:
    """The offline AWS of this process. It is started for the first notebook, and kept."""

    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    aws: LocalAWS | None = None
    # Per chapter folder, the journals of its notebooks that ran to the end.
    journals: dict[Path, dict[str, list[calls.Entry]]] = field(default_factory=dict)

    def fresh(self) -> LocalAWS:
        """The server with an empty account; a new server if the last one no longer answers."""
        if self.aws is not None:
            try:
                self.aws.reset()
                return self.aws
            except OSError:
                self.close()
        self.aws = self.stack.enter_context(LocalAWS())
        return self.aws

    def folder(self) -> str:
        """An empty folder for a kernel, removed at the end."""
        return self.stack.enter_context(tempfile.TemporaryDirectory())

    def close(self) -> None:
        """Stop the server."""
        self.stack.close()
        self.aws = None


_ACCOUNT = pytest.StashKey[Account]()


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker; the server is not started before a notebook needs it."""
    config.addinivalue_line("markers", "live: runs the notebooks on AWS, with your credentials")
    config.stash[_ACCOUNT] = Account()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server of this process, if there is one."""
    if _ACCOUNT in config.stash:
        config.stash[_ACCOUNT].close()


# ── collection ───────────────────────────────────────────────────────────────────────────────────


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Iterator[Any]:
    """Take the place of nbval's collector, and collect the policies beside the notebooks."""
    collectors = yield
    notebooks = [item for item in collectors if isinstance(item, IPyNbFile)]
    others = [item for item in collectors if not isinstance(item, IPyNbFile)]
    if notebooks:
        return [*others, NotebookFile.from_parent(parent, path=file_path)]
    option = parent.config.option
    runs_notebooks = option.nbval or option.nbval_lax
    if file_path.name == POLICY and runs_notebooks and not _is_live(parent.config):
        return [*others, PolicyFile.from_parent(parent, path=file_path)]
    return others


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a chapter's notebooks on one worker, in order and its policy behind them."""
    policies = [item for item in items if isinstance(item, PolicyCheck)]
    for policy in policies:
        notebooks = [n for n, item in enumerate(items) if _chapter_of(item) == policy.path.parent]
        if notebooks:
            items.remove(policy)
            items.insert(notebooks[-1], policy)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker for all of a chapter, so that its policy is checked where its notebooks ran.

    Other tests go by module. (Marking them for `--dist loadgroup` would say the same, but pytest
    9.2 no longer reads the id that pytest-xdist 3.8 writes the group into.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByChapter(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            folder = path.partition("/")[0]
            return folder if folder.startswith("chapter") else path

    return ByChapter(config, log)


def _chapter_of(item: pytest.Item) -> Path | None:
    """The folder of a notebook's item; None for an item of something else."""
    is_ours = isinstance(item, NotebookCell | NotebookCheck | PolicyCheck)
    return item.path.parent if is_ours else None


def _is_live(config: pytest.Config) -> bool:
    words = (config.option.markexpr or "").split()
    return "live" in words and "not" not in words


class NotebookFile(IPyNbFile):
    """A notebook: its cells, then what is asked when they are done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = self.config.stash[_ACCOUNT]
        self.live = _is_live(self.config)
        if self.live:
            self.compare_outputs = False
        self.started = 0.0
        self.ran: list[calls.CellRun] = []
        self.failed_cell: str | None = None
        self._left: list[str] | None = None
        self._journal: list[calls.Entry] = []

    def collect(self) -> Iterator[pytest.Item]:
        """The code cells, as nbval numbers them, and the checks."""
        for cell in super().collect():
            item = NotebookCell.from_parent(
                self,
                name=cell.name,
                cell_num=cell.cell_num,
                cell=cell.cell,
                options=cell.options,
            )
            if self.live:
                item.add_marker(pytest.mark.live)
            yield item
        if not self.live:
            for name, check in _CHECKS.items():
                yield NotebookCheck.from_parent(self, name=name, check=check)

    def setup(self) -> None:
        """Start a kernel in the notebook's folder; offline, in an empty account."""
        self.started = time.time()
        base = dict(os.environ) if self.live else self.account.fresh().environ
        with kernels.as_environment(kernels.environment(base, self.account.folder())):
            super().setup()
        self.kernel.execute_cell_input = self._execute
        self._recorder = NotebookClient(new_notebook(), record_timing=False)
        self._recorder.reset_execution_trackers()
        self._recorder.kc = self.kernel.kc
        self._message_id: str | None = ""

    def _execute(self, source: str, allow_stdin: bool | None = None) -> str:
        """As a front end does it, with history: without one a closing `;` hides no value."""
        return self.kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)

    def get_kernel_message(self, timeout: float | None = None, stream: str = "iopub") -> Any:
        """Pass a message of the kernel on to nbval, and keep the outputs as a front end would.

        nbval itself knows nothing of cleared and updated outputs, so that what it collects differs
        from what is saved in the notebook.
        """
        message = super().get_kernel_message(timeout, stream)
        self._record(message)
        while message["msg_type"] in ("clear_output", "update_display_data"):
            message = super().get_kernel_message(timeout, stream)
            self._record(message)
        return message

    def _record(self, message: dict[str, Any]) -> None:
        cells = self._recorder.nb.cells
        if message["msg_type"] == "execute_input":
            cells.append(new_code_cell())
            self._recorder.clear_before_next_output = False
            self._message_id = _parent_of(message)
        if cells and _parent_of(message) == self._message_id:
            with contextlib.suppress(CellExecutionComplete):
                self._recorder.process_message(message, cells[-1], len(cells) - 1)

    def shown_outputs(self) -> list[NotebookNode]:
        """The outputs of the cell that ran last, as they would be saved."""
        return coalesce_streams(form.without_widgets(self._recorder.nb.cells[-1].outputs))

    def journal(self) -> list[calls.Entry]:
        """The calls that the notebook made; what they left behind is looked at just once."""
        self._look_back()
        return self._journal

    def left_behind(self) -> list[str]:
        """One line for each difference between the account now and one that is new."""
        self._look_back()
        return self._left or []

    def seconds(self) -> float:
        """From the start of the kernel to the end of the last cell that ran."""
        return (self.ran[-1].ended if self.ran else time.time()) - self.started

    def _look_back(self) -> None:
        if self._left is not None:
            return
        aws = self.account.aws
        assert aws is not None
        self._journal = aws.journal()
        used = calls.services_used(self._journal)
        after = calls.holdings(aws, used)
        # The kernel goes first: a thread of the notebook's must not write into the next account.
        self.teardown()
        aws.reset()
        self._left = calls.difference(calls.holdings(aws, used), after)
        chapter = self.account.journals.setdefault(self.path.parent, {})
        chapter[self.path.name] = self._journal


def _parent_of(message: dict[str, Any]) -> str | None:
    return message["parent_header"].get("msg_id")


# ── cells ────────────────────────────────────────────────────────────────────────────────────────


class NotebookCell(IPyNbCell):
    """A code cell, executed; its outputs compared with the saved ones."""

    parent: NotebookFile

    def runtest(self) -> None:
        """Run the cell. After one that raised, offline, the others are skipped."""
        notebook = self.parent
        if notebook.failed_cell and not notebook.live:
            pytest.skip(f"{notebook.failed_cell} failed")
        if notebook.compare_outputs and self.cell.execution_count is None:
            self.raise_cell_error("The cell has no saved outputs; save them with: make notebooks")
        started = time.time()
        try:
            super().runtest()
        except NbCellError as error:
            if not str(error).startswith("Cell outputs differ"):
                notebook.failed_cell = self.name
            raise
        except Exception:
            notebook.failed_cell = self.name
            raise
        finally:
            shows_refusal = bool(SHOWS_REFUSAL.intersection(form.tags(self.cell)))
            run = calls.CellRun(self.name, started, time.time(), shows_refusal)
            notebook.ran.append(run)

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """Compare what a front end would save with what is saved."""
        shown = self.parent.shown_outputs()
        saved = coalesce_streams(form.without_widgets(ref))
        return super().compare_outputs(shown, saved, skip_compare)


# ── after the last cell ──────────────────────────────────────────────────────────────────────────


class CheckFailed(Exception):
    """A check found something; the message is all that is shown."""


class Check(pytest.Item):
    """An item whose failure is a list of findings."""

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the item is, for the report."""
        return self.path, None, f"{self.path.parent.name}/{self.path.name}::{self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The findings alone, without a traceback."""
        if isinstance(excinfo.value, CheckFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class NotebookCheck(Check):
    """A question about what a notebook did in the account."""

    def __init__(self, *, check: Callable[[NotebookFile], list[str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check = check

    def runtest(self) -> None:
        """Ask; raises CheckFailed with the findings."""
        notebook = self.parent
        if notebook.failed_cell:
            pytest.skip(f"{notebook.failed_cell} failed")
        if not notebook.ran:
            pytest.skip("no cell of the notebook ran")
        problems = self._check(notebook)
        cost = (notebook.seconds(), len(notebook.journal()))
        self.user_properties.append(
            ("notebook", (f"{self.path.parent.name}/{self.path.name}", *cost))
        )
        if problems:
            raise CheckFailed("\n".join(problems))


_CHECKS: dict[str, Callable[[NotebookFile], list[str]]] = {
    "the account is empty": NotebookFile.left_behind,
    "no request was refused": lambda notebook: calls.refused(notebook.journal(), notebook.ran),
}


class PolicyFile(pytest.File):
    """A chapter's IAM policy."""

    def collect(self) -> Iterator[pytest.Item]:
        """The one question that is asked of it."""
        yield PolicyCheck.from_parent(self, name="equals the calls made")


class PolicyCheck(Check):
    """The policy allows what the chapter's notebooks did, and no more."""

    def runtest(self) -> None:
        """Hold the policy against the journals of all notebooks in its folder."""
        folder = self.path.parent
        journals = self.config.stash[_ACCOUNT].journals.get(folder, {})
        missing = [p.name for p in sorted(folder.glob("*.ipynb")) if p.name not in journals]
        if missing:
            pytest.skip(
                f"needs the calls of all notebooks; not run to the end: {', '.join(missing)}"
            )
        journal = [entry for entries in journals.values() for entry in entries]
        exact = not self.config.option.nbval_lax  # the check of another SDK's calls
        problems = iam.check(self.path.read_text(), journal, exact=exact)
        if problems:
            remedy = f"The least policy: python -m tests.notebooks.iam {folder.name}"
            raise CheckFailed("\n".join([*problems, remedy]))


# ── the report ───────────────────────────────────────────────────────────────────────────────────


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A table of the notebooks: seconds and calls."""
    costs: dict[str, tuple[float, int]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "notebook":
                    costs[value[0]] = (value[1], value[2])
    if not costs:
        return
    terminalreporter.section("notebooks")
    width = max(map(len, costs))
    terminalreporter.write_line(f"{'notebook':{width}}  seconds  calls")
    for name, (seconds, count) in sorted(costs.items()):
        terminalreporter.write_line(f"{name:{width}}  {seconds:7.1f}  {count:5d}")
