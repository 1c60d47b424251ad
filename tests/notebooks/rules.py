"""How a notebook reads: rules that can be checked without running it.

Each rule is a function `rule(notebook) -> list[str]`; each line says where, what, and what to do.
`RULES` holds them all. README.md beside this file says what an author writes to keep them.
"""

from __future__ import annotations

import copy
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from . import form

Rule = Callable[["Notebook"], list[str]]
RULES: list[Rule] = []

SECTIONS = ("Set up", "Clean up", "Summary", "Exercises", "Further reading")
FACTS = ("Book section", "AWS services", "Time", "Cost", "Offline")
BULLETS = range(3, 6)
CODE_CELLS = range(12, 31)
WORDS = range(500, 1501)
MEDIAN_LINES, MOST_LINES = 5, 25
IGNORED_SHARE = 0.1
ACCOUNT_ID = "123456789012"


@dataclass(frozen=True)
class Notebook:
    """A notebook as the rules see it."""

    path: Path
    node: NotebookNode

    @classmethod
    def load(cls, path: Path) -> Notebook:
        """Read a notebook file."""
        return cls(path, form.read(path))

    @cached_property
    def cells(self) -> list[NotebookNode]:
        """All cells in order."""
        return self.node.cells

    @cached_property
    def code(self) -> list[NotebookNode]:
        """The code cells."""
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def text(self) -> list[NotebookNode]:
        """The Markdown cells."""
        return [cell for cell in self.cells if cell.cell_type == "markdown"]

    @cached_property
    def prose(self) -> str:
        """The Markdown of all cells without fenced code, where a `#` is no heading."""
        return "\n\n".join(_without_fences(cell.source) for cell in self.text)

    @cached_property
    def headings(self) -> list[tuple[int, str]]:
        """Level and title of each heading."""
        found = re.findall(r"^(#{1,6}) +(.+?) *#*$", self.prose, re.MULTILINE)
        return [(len(marks), title) for marks, title in found]

    def section(self, title: str) -> str:
        """The text under the heading of the second level with this title; empty if there is none.

        `You will learn`, which has no heading, is found as bold text, up to the next heading.
        """
        found = re.search(
            rf"^(?:## +|\*\*){re.escape(title)}\b.*?$(.*?)(?=^## |\Z)",
            self.prose,
            re.MULTILINE | re.DOTALL,
        )
        return found[1] if found else ""

    def where(self, cell: NotebookNode) -> str:
        """A name for a cell: its id, and how it begins."""
        first = cell.source.strip().partition("\n")[0][:40]
        return f"{cell.get('id', 'a cell')} ({first!r})"


def rule(function: Rule) -> Rule:
    """Decorator: adds the function to RULES."""
    RULES.append(function)
    return function


def _without_fences(markdown: str) -> str:
    return re.sub(r"^(```|~~~).*?^\1[^\n]*$", "", markdown, flags=re.MULTILINE | re.DOTALL)


def _bullets(markdown: str) -> list[str]:
    """The bullets of the first list in a text, without those indented below them."""
    found: list[str] = []
    for line in markdown.splitlines():
        bullet = re.match(r"[-*+] +(.+)", line)
        if bullet:
            found.append(bullet[1])
        elif found and line.strip() and not line.startswith(" "):
            break
    return found


# ── the shape ────────────────────────────────────────────────────────────────────────────────────


@rule
def title_is_numbered(notebook: Notebook) -> list[str]:
    """One heading of the first level: `# Chapter 6.1 Train and evaluate a model`."""
    titles = [title for level, title in notebook.headings if level == 1]
    first = notebook.cells[0] if notebook.cells else None
    place = re.match(r"(\d\d)_\w+\.ipynb$", notebook.path.name)
    if not place:
        return [f"The file {notebook.path.name} is not named NN_verb_object.ipynb; rename it."]
    number = re.fullmatch(r"chapter(\d\d)", notebook.path.parent.name)
    wanted = f"# Chapter {int(number[1]) if number else 'N'}.{int(place[1])} "
    if len(titles) != 1:
        return [f"{len(titles)} headings of the first level; keep one, '{wanted}Title'."]
    if first is None or not first.source.startswith(wanted) or first.cell_type != "markdown":
        return [f"The first cell does not begin with '{wanted}Title'; number it so."]
    return []


@rule
def opening_says_what_you_learn(notebook: Notebook) -> list[str]:
    """`**You will learn**` and three to five bullets that start with a verb."""
    bullets = _bullets(notebook.section("You will learn"))
    if len(bullets) not in BULLETS:
        return [
            f"'**You will learn**' has {len(bullets)} bullets; "
            f"write {BULLETS[0]} to {BULLETS[-1]}, one to a line, each starting with a verb."
        ]
    return [
        f"The bullet {bullet[:40]!r} under '**You will learn**' does not start with a verb in its "
        "base form and upper case; write 'Train a model …'."
        for bullet in bullets
        if not _starts_with_verb(bullet)
    ]


# First words of bullets that name a thing instead of what the reader does.
_NO_VERBS = {
    *("A", "An", "The", "This", "That", "These", "You", "We", "It", "To", "How", "What", "Why"),
    *("When", "Where", "Which", "Who", "There", "Your", "Our", "In", "On", "With", "For", "From"),
}


def _starts_with_verb(bullet: str) -> bool:
    word = re.match(r"\W*(\w+)", bullet)
    if not word or not word[1][0].isupper() or word[1] in _NO_VERBS:
        return False
    return word[1].lower() in ("bring", "string", "ring", "spring") or not word[1].endswith("ing")


@rule
def facts_are_in_a_table(notebook: Notebook) -> list[str]:
    """A table of facts: book section, services, time, cost, what stands in offline."""
    before = notebook.prose.partition("\n## ")[0]
    rows = re.findall(r"^\|\s*\**([^|*]+?)\**\s*\|\s*(.*?)\s*\|", before, re.MULTILINE)
    values = {name.lower(): value for name, value in rows}
    problems = []
    for fact in FACTS:
        value = next((v for name, v in values.items() if name.startswith(fact.lower())), None)
        if not value:
            problems.append(f"The table before '## Set up' has no row '| {fact} | … |'; add it.")
    return problems


@rule
def sections_are_in_order(notebook: Notebook) -> list[str]:
    """`## Set up` first; `## Clean up`, `Summary`, `Exercises`, `Further reading` last."""
    titles = [title for level, title in notebook.headings if level == 2]
    missing = [title for title in SECTIONS if titles.count(title) != 1]
    if missing:
        return [f"There is not exactly one '## {title}'; see README.md." for title in missing]
    if titles[0] != SECTIONS[0] or tuple(titles[-4:]) != SECTIONS[1:]:
        return [f"The sections are {titles}; the order is Set up, the work, {SECTIONS[1:]}."]
    work = titles[1:-4]
    wrong = [title for n, title in enumerate(work, 1) if not re.match(rf"{n}\.? \S", title)]
    if wrong or not work:
        return [f"The sections of the work are {work}; number them '## 1 Title', '## 2 Title', …."]
    return []


@rule
def summary_answers_the_opening(notebook: Notebook) -> list[str]:
    """As many bullets in the summary as under `You will learn`."""
    learnt, promised = (_bullets(notebook.section(t)) for t in ("Summary", "You will learn"))
    if len(learnt) == len(promised):
        return []
    return [
        f"'## Summary' has {len(learnt)} bullets and '**You will learn**' {len(promised)}; "
        "state each of the opening's bullets as an outcome."
    ]


@rule
def exercises_have_solutions(notebook: Notebook) -> list[str]:
    """Each exercise has a solution in a collapsed block."""
    section = notebook.section("Exercises")
    opened, closed = section.count("<details>"), section.count("</details>")
    titled = section.count("<summary>")
    if opened == closed == titled and opened in (2, 3):
        return []
    return [
        f"'## Exercises' has {opened} '<details>', {titled} '<summary>' and {closed} '</details>'; "
        "give two or three exercises, each with '<details><summary>Solution</summary> … </details>'"
        "."
    ]


@rule
def further_reading_has_links(notebook: Notebook) -> list[str]:
    """The documentation by title and link."""
    if re.search(r"\[[^]]+\]\(https://[^)]+\)", notebook.section("Further reading")):
        return []
    return ["'## Further reading' has no '[title](https://…)'; link the AWS documentation used."]


# ── cells ────────────────────────────────────────────────────────────────────────────────────────


@rule
def size_is_right(notebook: Notebook) -> list[str]:
    """12 to 30 code cells, at least as many text cells, 500 to 1,500 words."""
    problems = []
    code, text, words = len(notebook.code), len(notebook.text), _words(notebook)
    if code not in CODE_CELLS:
        problems.append(f"{code} code cells; keep to {CODE_CELLS[0]} to {CODE_CELLS[-1]}.")
    if text < code:
        problems.append(f"{text} text cells for {code} code cells; say before each what and why.")
    if words not in WORDS:
        problems.append(f"{words} words of prose; keep to {WORDS[0]} to {WORDS[-1]}.")
    return problems


def _words(notebook: Notebook) -> int:
    """The words a reader reads: no code, tables, tags, addresses or collapsed solutions."""
    text = re.sub(r"<details>.*?</details>", "", notebook.prose, flags=re.DOTALL)
    text = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>|https?://\S+", " ", text)
    return len(re.findall(r"[A-Za-z0-9][\w'’-]*", text))


@rule
def code_cells_are_short(notebook: Notebook) -> list[str]:
    """At most five lines in the median, none over 25."""
    lengths = {
        notebook.where(cell): len([line for line in cell.source.splitlines() if line.strip()])
        for cell in notebook.code
    }
    problems = [
        f"{where} has {length} lines; split it, or move it to a helper script "
        f"(at most {MOST_LINES})."
        for where, length in lengths.items()
        if length > MOST_LINES
    ]
    median = statistics.median(lengths.values()) if lengths else 0
    if median > MEDIAN_LINES:
        problems.append(
            f"The median code cell has {median:g} lines; split cells (at most {MEDIAN_LINES})."
        )
    return problems


_FORBIDDEN = {
    r"^\s*!": "runs a shell; use Python",
    r"^\s*%%(bash|sh|script|system|capture)\b": "runs a shell or hides output; use Python",
    r"^\s*%(pip|conda|sx|system|store|sc)\b": "installs, runs a shell or stores; leave it out",
    r"\bpip3?\s+install\b": "installs; requirements.txt says what is needed",
    r"(?<![\w.])input\(": "waits for typing; set a variable",
    r"\bsleep\(": "polls by sleeping; use a waiter or the SDK's wait",
    r"filterwarnings\(\s*[\"']ignore|simplefilter\(\s*[\"']ignore": "hides warnings",
    r"^\s*if\b.*\b(TEST|TESTING|CI|OFFLINE|LOCAL|MOCK)\w*\b": "branches for tests",
    r"\bendpoint_url\b": "names an endpoint; the environment does that",
    r"\bmoto\b|\blocalhost\b|\b127\.0\.0\.1\b|\blocal_aws\b": "knows of the offline AWS",
    r"aws_access_key_id|aws_secret_access_key": "names credentials; the environment does that",
    r"^\s*#\s*NBVAL_": "uses a marker in a comment; tag the cell instead",
    r"<[A-Z][A-Z_-]+>|\bYOUR[-_]|\bREPLACE[-_ ]ME\b": "leaves a placeholder; compute the value",
}


@rule
def code_is_portable(notebook: Notebook) -> list[str]:
    """Nothing that waits for a person, needs a shell, hides a warning or knows where it runs."""
    return [
        f"{notebook.where(cell)}: {line.strip()[:60]!r} {why}."
        for cell in notebook.code
        for line in cell.source.splitlines()
        for pattern, why in _FORBIDDEN.items()
        if re.search(pattern, line)
    ]


# ── outputs ──────────────────────────────────────────────────────────────────────────────────────


@rule
def outputs_are_saved(notebook: Notebook) -> list[str]:
    """Every code cell was run, in order, without an error that is not shown on purpose."""
    problems = []
    for number, cell in enumerate(notebook.code, start=1):
        if cell.execution_count != number:
            problems.append(
                f"{notebook.where(cell)} was saved as In [{cell.execution_count}], not In "
                f"[{number}]; run all cells in order with: make notebooks"
            )
        raised = [out.ename for out in cell.outputs if out.output_type == "error"]
        if raised and not {"raises-exception", "nbval-raises-exception"} & {*form.tags(cell)}:
            problems.append(
                f"{notebook.where(cell)} was saved with {raised[0]}; mend it, or tag the cell "
                "'raises-exception' if it is shown on purpose."
            )
    return problems


@rule
def few_outputs_are_ignored(notebook: Notebook) -> list[str]:
    """At most a tenth of the code cells carries `nbval-ignore-output`; none is skipped."""
    problems = [
        f"{notebook.where(cell)} is tagged 'nbval-skip'; a cell that cannot run does not belong "
        "in a notebook."
        for cell in notebook.code
        if "nbval-skip" in form.tags(cell)
    ]
    ignored = [cell for cell in notebook.code if "nbval-ignore-output" in form.tags(cell)]
    if len(ignored) > IGNORED_SHARE * len(notebook.code):
        problems.append(
            f"{len(ignored)} of {len(notebook.code)} code cells are tagged 'nbval-ignore-output'; "
            "make outputs the same on every run (at most a tenth)."
        )
    return problems


@rule
def figures_are_described(notebook: Notebook) -> list[str]:
    """The text cell below a figure begins with `**Figure N.**` and says what it shows."""
    problems = []
    for cell, below in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if cell.cell_type != "code" or not _has_picture(cell):
            continue
        caption = below.source if below and below.cell_type == "markdown" else ""
        found = re.match(r"\*\*Figure(?: \d+)?\.\*\*\s+([^\n]+(?:\n[^\n]+)*)", caption)
        if not found or len(found[1].split()) < 8:
            problems.append(
                f"{notebook.where(cell)} draws a figure; begin the text cell below it with "
                "'**Figure 1.**' and a sentence that says what it shows to who cannot see it."
            )
    return problems


def _has_picture(cell: NotebookNode) -> bool:
    return any(
        kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})
    )


@rule
def images_have_alt_text(notebook: Notebook) -> list[str]:
    """Pictures in Markdown say what they show."""
    bare = re.findall(r"!\[\s*\]\([^)]*\)|<img(?![^>]*\balt=[\"'][^\"']+)[^>]*>", notebook.prose)
    return [f"{image[:60]} has no alternative text; describe the picture." for image in bare]


# ── what must not be seen ────────────────────────────────────────────────────────────────────────

_PRIVATE = {
    r"(?<![\w.])/(?:home(?!/sagemaker-user)|root|Users|tmp|private|var/folders)/": (
        "a path of one machine; print paths relative to the notebook"
    ),
    r"\b[A-Z]:\\(?:Users|Windows)": "a path of one machine; print relative paths",
    r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b": "an access key; print no credentials",
    r"X-Amz-(?:Signature|Security-Token)=": "a signed address; cut it at the question mark",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----": "a private key; print no credentials",
    r"\bat 0x[0-9a-f]{6,}>": "a memory address; end the line with ';' or print what matters",
    r"\b127\.0\.0\.1:\d+|\blocalhost:\d+": "the address of the offline AWS; leave it out",
}


@rule
def nothing_private_shows(notebook: Notebook) -> list[str]:
    """No account but the sample one, no machine's paths, no secrets; in sources and outputs."""
    problems = []
    for cell in notebook.cells:
        for text in [cell.source, *_output_texts(cell)]:
            for pattern, why in _PRIVATE.items():
                found = re.search(pattern, text)
                if found:
                    problems.append(f"{notebook.where(cell)} shows {found[0]!r}: {why}.")
            problems += [
                f"{notebook.where(cell)} shows the account id {number}; only {ACCOUNT_ID} may show."
                for number in _account_ids(text)
            ]
    return list(dict.fromkeys(problems))


def _account_ids(text: str) -> list[str]:
    """Numbers of twelve digits; those of AWS's own image registries are public."""
    found = re.findall(r"(?<![\d.])\d{12}(?!\d|\.\d|\.dkr\.ecr)", text)
    return [number for number in found if number != ACCOUNT_ID]


def _output_texts(cell: NotebookNode) -> Iterator[str]:
    """What a cell shows as text: streams, data that is no picture, tracebacks."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield "\n".join(output.get("traceback", []))
        for kind, value in output.get("data", {}).items():
            if isinstance(value, str) and not kind.startswith("image/"):
                yield value


@rule
def metadata_is_normalised(notebook: Notebook) -> list[str]:
    """One kernel, numbered cells, no widgets: the form in which `make notebooks` stores it."""
    stored = copy.deepcopy(notebook.node)
    form.normalise(stored)
    if form.as_text(stored) == form.as_text(notebook.node):
        return []
    return ["Metadata, cell ids or widget outputs are not in the stored form; run: make notebooks"]


# ── links ────────────────────────────────────────────────────────────────────────────────────────


@rule
def links_resolve(notebook: Notebook) -> list[str]:
    """Relative links lead to files in the repository."""
    return broken_links(notebook.prose, notebook.path)


def broken_links(markdown: str, path: Path) -> list[str]:
    """One line for each relative link in the text of the file `path` that leads nowhere."""
    markdown = re.sub(r"`[^`\n]*`", "", _without_fences(markdown))
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", markdown)
    targets += re.findall(r"(?:src|href)=[\"']([^\"']+)", markdown)
    problems = []
    for target in targets:
        if re.match(r"[a-z][a-z0-9+.-]*:|#", target):
            continue
        file = path.parent / target.partition("#")[0]
        if target.startswith("/") or not file.exists():
            problems.append(f"The link to {target} leads nowhere; correct it.")
    return problems


# ── every file of the repository ─────────────────────────────────────────────────────────────────

# Written in two parts, so that this file does not break its own rule.
_REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".org",
    "conda" + ".anaconda.org",
    "proxy" + ".golang.org",
    "repo.maven" + ".apache.org",
    "crates" + ".io",
]
_MACHINE_PATH = r"(?<![\w.~}$*\\])/(?:home(?!/sagemaker-user)|root|Users|work)/[\w.-]+"


def file_problems(path: Path, text: str) -> list[str]:
    """What a text file of the repository must not hold: registry hosts, paths of one machine."""
    problems = [
        f"{path} names the registry {host}; name the package and its version instead."
        for host in _REGISTRIES
        if host in text
    ]
    problems += [
        f"{path} holds the path {found!r} of one machine; make it relative."
        for found in sorted(set(re.findall(_MACHINE_PATH, text)))
    ]
    return problems
