"""Each rule on a notebook that keeps it, and on one that breaks it in one place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from . import rules
from .rules import RULES, Notebook, broken_links, file_problems
from .tiny import code, notebook, text

OPENING = """# Chapter 6.1 Train and evaluate a model

Which flights will be late? A model can tell.

**You will learn**
- Train a model on a managed machine
- **Evaluate** it on what it has not seen
- Bring it to an endpoint

| | |
|---|---|
| **Book section** | Chapter 6 |
| **AWS services** | SageMaker |
| **Time** | 1 minute offline, 15 minutes on AWS |
| **Cost on AWS** | 0.10 USD, worked out on 2026-11-22 |
| **Offline** | XGBoost on this machine |
"""
SUMMARY = """## Summary
- You trained a model on a managed machine.
- You evaluated it.
- It answered.
"""
EXERCISE = """1. Change the depth.

<details><summary>Solution</summary>

```python
depth = 3
```

</details>
"""
EXERCISES = f"## Exercises\n{EXERCISE}\n{EXERCISE}"
READING = "## Further reading\n[Train a model](https://docs.aws.amazon.com/sagemaker/)"
CAPTION = "**Figure 1.** Bars that fall from left to right; the last is half of the first."
SENTENCE = "You look at the numbers here and see what they say about the flights of that day. " * 3


def _good() -> NotebookNode:
    cells = [text(OPENING), text("## Set up"), code("import math")]
    for number in range(1, 12):
        heading = f"## {number} Work\n" if number < 3 else ""
        cells += [text(heading + SENTENCE), code(f"value = {number}\nvalue", f"{number}\n")]
    figure = code("draw()")
    figure.outputs = [new_output("display_data", data={"image/png": "AAAA"})]
    cells += [text("Now you draw the numbers."), figure, text(CAPTION)]
    cells += [text("## Clean up"), code("remove()"), text(SUMMARY), text(EXERCISES), text(READING)]
    return notebook(*cells)


def _notebook(change: Callable[[NotebookNode], object] | None = None) -> Notebook:
    """The good notebook, changed."""
    node = _good()
    if change:
        change(node)
    return Notebook(Path("chapter06/01_train_and_evaluate.ipynb"), node)


def _replace(old: str, new: str) -> Callable[[NotebookNode], None]:
    """A change of text wherever it stands."""

    def change(node: NotebookNode) -> None:
        assert any(old in cell.source for cell in node.cells)
        for cell in node.cells:
            cell.source = cell.source.replace(old, new)

    return change


def _append_code(source: str) -> Callable[[NotebookNode], None]:
    def change(node: NotebookNode) -> None:
        node.cells[2].source += "\n" + source

    return change


def _print(printed: str) -> Callable[[NotebookNode], None]:
    def change(node: NotebookNode) -> None:
        node.cells[2].outputs = [new_output("stream", name="stdout", text=printed)]

    return change


def _tag(tag: str, count: int) -> Callable[[NotebookNode], None]:
    def change(node: NotebookNode) -> None:
        for cell in [cell for cell in node.cells if cell.cell_type == "code"][:count]:
            cell.metadata["tags"] = [tag]

    return change


def _raise(node: NotebookNode) -> None:
    node.cells[2].outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]


def _swap_counts(node: NotebookNode) -> None:
    node.cells[2].execution_count, node.cells[4].execution_count = 2, 1


def _forget_output(node: NotebookNode) -> None:
    node.cells[4].execution_count = None


def _add_code_cells(node: NotebookNode) -> None:
    node.cells += [new_code_cell("1") for _ in range(20)]


def _lengthen_all(node: NotebookNode) -> None:
    for cell in node.cells:
        if cell.cell_type == "code":
            cell.source = "\n".join(["value = 1"] * 6)


def _add_title(node: NotebookNode) -> None:
    node.cells.append(new_markdown_cell("# Another"))


def _name_kernel(node: NotebookNode) -> None:
    node.metadata.kernelspec.name = "conda-env-mine"


def _name_cell(node: NotebookNode) -> None:
    node.cells[3].id = "4f9a1c2e"


def _keep_widgets(node: NotebookNode) -> None:
    node.metadata["widgets"] = {}


def _fold(node: NotebookNode) -> None:
    node.cells[2].metadata["collapsed"] = True


BROKEN = [
    (rules.title_is_numbered, _replace("# Chapter 6.1 Train", "# Train"), "first cell"),
    (rules.title_is_numbered, _replace("Chapter 6.1", "Chapter 6.2"), "'# Chapter 6.1 Title'"),
    (rules.title_is_numbered, _add_title, "2 headings of the first level"),
    (rules.opening_says_what_you_learn, _replace("- Bring it", "Bring it"), "has 2 bullets"),
    (rules.opening_says_what_you_learn, _replace("You will learn", "Aims"), "has 0 bullets"),
    (rules.opening_says_what_you_learn, _replace("Bring it", "Bringing it"), "with a verb"),
    (rules.opening_says_what_you_learn, _replace("Bring it", "The endpoint"), "with a verb"),
    (rules.opening_says_what_you_learn, _replace("Bring it", "bring it"), "with a verb"),
    (rules.facts_are_in_a_table, _replace("| **Offline** |", "| **Here** |"), "'| Offline |"),
    (rules.facts_are_in_a_table, _replace("| SageMaker |", "| |"), "'| AWS services |"),
    (rules.sections_are_in_order, _replace("## Clean up", "## Tidy up"), "'## Clean up'"),
    (rules.sections_are_in_order, _replace("## Set up", "## 0 Start\n## Set up"), "the order is"),
    (rules.sections_are_in_order, _replace("## 2 Work", "## Work"), "number them"),
    (rules.summary_answers_the_opening, _replace("- It answered.", ""), "2 bullets"),
    (rules.exercises_have_solutions, _replace("</details>", ""), "0 '</details>'"),
    (rules.exercises_have_solutions, _replace(EXERCISES, "## Exercises"), "0 '<details>'"),
    (rules.further_reading_has_links, _replace("https://docs", "docs"), "link the AWS"),
    (rules.size_is_right, _add_code_cells, "34 code cells"),
    (rules.size_is_right, _add_code_cells, "text cells for"),
    (rules.size_is_right, _replace(SENTENCE, "Short."), "words of prose"),
    (rules.size_is_right, _replace(SENTENCE, SENTENCE * 4), "words of prose"),
    (rules.code_cells_are_short, _append_code("x = 1\n" * 25), "26 lines"),
    (rules.code_cells_are_short, _lengthen_all, "median code cell has 6 lines"),
    (rules.code_is_portable, _append_code("!ls"), "runs a shell"),
    (rules.code_is_portable, _replace("import math", "%%bash\nls"), "runs a shell"),
    (rules.code_is_portable, _append_code("%store value"), "stores"),
    (rules.code_is_portable, _append_code("name = input('Bucket: ')"), "waits for typing"),
    (rules.code_is_portable, _append_code("time.sleep(5)"), "polls by sleeping"),
    (rules.code_is_portable, _append_code('warnings.filterwarnings("ignore")'), "hides warnings"),
    (rules.code_is_portable, _append_code("%pip install boto3"), "installs"),
    (rules.code_is_portable, _append_code("if TEST_MODE: pass"), "branches for tests"),
    (rules.code_is_portable, _append_code("boto3.client('s3', endpoint_url=u)"), "an endpoint"),
    (rules.code_is_portable, _append_code("import moto"), "the offline AWS"),
    (rules.code_is_portable, _append_code("host = 'localhost'"), "the offline AWS"),
    (rules.code_is_portable, _append_code("# NBVAL_IGNORE_OUTPUT"), "tag the cell"),
    (rules.code_is_portable, _append_code("bucket = '<BUCKET>'"), "placeholder"),
    (rules.outputs_are_saved, _forget_output, "In [None]"),
    (rules.outputs_are_saved, _swap_counts, "In [2], not In [1]"),
    (rules.outputs_are_saved, _raise, "ValueError"),
    (rules.few_outputs_are_ignored, _tag("nbval-ignore-output", 2), "2 of 14"),
    (rules.few_outputs_are_ignored, _tag("nbval-skip", 1), "nbval-skip"),
    (rules.figures_are_described, _replace("**Figure 1.**", "Here"), "draws a figure"),
    (rules.figures_are_described, _replace(CAPTION, "**Figure 1.** Bars."), "draws a figure"),
    (rules.images_have_alt_text, _replace("## Set up", "![](map.png)"), "map.png"),
    (rules.images_have_alt_text, _replace("## Set up", "<img src='map.png'>"), "map.png"),
    (rules.nothing_private_shows, _print("arn:aws:iam::999888777666:role/x"), "999888777666"),
    (rules.nothing_private_shows, _print("saved in /" + "home/reader/model"), "a path of one"),
    (rules.nothing_private_shows, _print("/" + "tmp/ipykernel_12/3.py:1: Warning"), "a path of"),
    (rules.nothing_private_shows, _print("AKIA" + "Q" * 16), "an access key"),
    (rules.nothing_private_shows, _print("https://b/k?X-Amz-Signature=0"), "a signed address"),
    (rules.nothing_private_shows, _print("<Axes object at 0x7f31c2a4d0>"), "a memory address"),
    (rules.nothing_private_shows, _print("http://127.0.0.1:5000/b"), "the offline AWS"),
    (rules.metadata_is_normalised, _name_kernel, "make notebooks"),
    (rules.metadata_is_normalised, _name_cell, "make notebooks"),
    (rules.metadata_is_normalised, _keep_widgets, "make notebooks"),
    (rules.metadata_is_normalised, _fold, "make notebooks"),
    (rules.links_resolve, _replace("## Set up", "## Set up\n[data](data/none.csv)"), "none.csv"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_notebook_keeps_the_rule(rule: rules.Rule) -> None:
    assert rule(_notebook()) == []


@pytest.mark.parametrize(("rule", "change", "message"), BROKEN)
def test_the_rule_finds_what_breaks_it(
    rule: rules.Rule, change: Callable[[NotebookNode], object], message: str
) -> None:
    problems = rule(_notebook(change))
    assert problems
    assert message in " ".join(problems)


def test_every_rule_has_a_notebook_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BROKEN} == {*RULES}


def test_an_error_may_be_shown_on_purpose() -> None:
    def change(node: NotebookNode) -> None:
        _raise(node)
        node.cells[2].metadata["tags"] = ["raises-exception"]

    assert rules.outputs_are_saved(_notebook(change)) == []


@pytest.mark.parametrize(
    "printed",
    [
        "arn:aws:iam::123456789012:role/x",
        "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        "1763856000000 ms, 0.123456789012",
        "/opt/ml/model and /home/sagemaker-user",
    ],
)
def test_what_is_public_may_show(printed: str) -> None:
    assert rules.nothing_private_shows(_notebook(_print(printed))) == []


@pytest.mark.parametrize(
    "source", ["df.input('x')", "value != 3", "wait_for(job)", "print(sleeping)", "motor = 1"]
)
def test_code_that_looks_forbidden_but_is_not(source: str) -> None:
    assert rules.code_is_portable(_notebook(_append_code(source))) == []


def test_rules_leave_the_notebook_as_it_is() -> None:
    checked = _notebook()
    before = copy.deepcopy(checked.node)
    for rule in RULES:
        rule(checked)
    assert checked.node == before


def test_links_are_followed_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    page = tmp_path / "README.md"
    page.write_text("[data](data) [top](#top) [web](https://aws.amazon.com) `[x](y)`")
    assert broken_links(page.read_text(), page) == []
    assert broken_links("[gone](data/gone.csv#row)", page) == [
        "The link to data/gone.csv#row leads nowhere; correct it."
    ]
    assert broken_links("[absolute](/data)", page)


def test_files_name_no_registry_and_no_machine() -> None:
    path = Path("tests/example.py")
    assert file_problems(path, "pip install -r requirements.txt; /opt/ml; /var/task") == []
    assert "registry" in file_problems(path, "see https://" + "pypi" + ".org/project/x")[0]
    assert "one machine" in file_problems(path, 'open("/' + 'home/reader/x.csv")')[0]
