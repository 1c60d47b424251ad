"""Reading statements word by word: Hive's DDL, and the frame of CTAS, INSERT and UNLOAD."""

from __future__ import annotations

import re
from typing import Any

from .datatypes import split_top_level
from .errors import MalformedQuery

_GAP = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][\w$]*")
_NAME = re.compile(r"`((?:[^`]|``)+)`|\"((?:[^\"]|\"\")+)\"|([A-Za-z_0-9][\w$]*)")
_STRING = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")


class Scanner:
    """A statement's text and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self._skip()

    def take(self, words: str) -> bool:
        """Read these words if they come next, in any case; whether they did."""
        start = self.position
        for word in words.split():
            pattern = re.escape(word) + (r"(?![\w$])" if word[-1].isalnum() else "")
            found = re.compile(pattern, re.IGNORECASE).match(self.text, self.position)
            if not found:
                self.position = start
                return False
            self.position = found.end()
            self._skip()
        return True

    def expect(self, words: str) -> None:
        """Read these words. Raises MalformedQuery if something else comes next."""
        if not self.take(words):
            raise self.mismatched(f"'{words}'")

    def name(self) -> str:
        """A name, as it is written."""
        found = self._match(_NAME, "<identifier>")
        return next(group for group in found.groups() if group is not None)

    def identifier(self) -> str:
        """A name, in lower case as the catalog has it."""
        return self.name().lower()

    def table(self, database: str) -> tuple[str, str]:
        """`[[catalog.]database.]table`, as database and table."""
        parts = [self.identifier()]
        while self.take("."):
            parts.append(self.identifier())
        return (parts[-2] if len(parts) > 1 else database), parts[-1]

    def string(self) -> str:
        """A text in quotes."""
        single, double = self._match(_STRING, "STRING").groups()
        text = double.replace('""', '"') if single is None else single.replace("''", "'")
        return re.sub(r"\\(.)", r"\1", text)

    def group(self) -> str:
        """What stands in a pair of parentheses."""
        if self.text[self.position : self.position + 1] != "(":
            raise self.mismatched("'('")
        depth, quote = 0, ""
        for index in range(self.position, len(self.text)):
            char = self.text[index]
            if quote:
                quote = "" if char == quote else quote
            elif char in "'\"`":
                quote = char
            elif char in "()":
                depth += 1 if char == "(" else -1
                if depth == 0:
                    inner = self.text[self.position + 1 : index]
                    self.position = index + 1
                    self._skip()
                    return inner
        raise MalformedQuery("mismatched input '<EOF>' expecting ')'")

    def rest(self) -> str:
        """What is left, with blanks for what was read, so that positions in it stay true."""
        text = self.text
        done = re.sub(r"[^\n]", " ", text[: self.position])
        self.position = len(text)
        return (done + text[len(done) :]).rstrip().removesuffix(";")

    def end(self) -> None:
        """Raises MalformedQuery if anything is left."""
        self.take(";")
        if self.position < len(self.text):
            raise self.mismatched("<EOF>")

    def mismatched(self, expected: str) -> MalformedQuery:
        """The error that something else was expected here."""
        line = self.text.count("\n", 0, self.position) + 1
        column = self.position - self.text.rfind("\n", 0, self.position)
        found = _NAME.match(self.text, self.position)
        word = found[0] if found else self.text[self.position : self.position + 1] or "<EOF>"
        return MalformedQuery(
            f"line {line}:{column}: mismatched input '{word}' expecting {expected}"
        )

    def _match(self, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        found = pattern.match(self.text, self.position)
        if not found:
            raise self.mismatched(expected)
        self.position = found.end()
        self._skip()
        return found

    def _skip(self) -> None:
        found = _GAP.match(self.text, self.position)
        self.position = found.end() if found else self.position


def columns(text: str) -> list[dict[str, str]]:
    """Column definitions, `name type [COMMENT 'text'], …`, as Glue has them."""
    found = []
    for part in split_top_level(text):
        scanner = Scanner(part.strip())
        name = scanner.identifier()
        kind, _, comment = re.sub(r"\s+", " ", scanner.rest().strip()).partition(" COMMENT ")
        if not comment:
            kind, _, comment = kind.partition(" comment ")
        if not kind:
            raise MalformedQuery(f"mismatched input '{part.strip()}': a column needs a type")
        column = {"Name": name, "Type": re.sub(r"\s*([<>:,()])\s*", r"\1", kind).lower()}
        if comment:
            column["Comment"] = comment.strip().strip("'")
        found.append(column)
    return found


def properties(text: str) -> dict[str, Any]:
    """`key = value, …`: values are text, numbers as text, or lists of text (`ARRAY['a']`)."""
    found: dict[str, Any] = {}
    for part in split_top_level(text):
        if not part.strip():
            continue
        scanner = Scanner(part.strip())
        quoted = scanner.text[0] in "'\""
        key = scanner.string() if quoted else scanner.identifier()
        scanner.expect("=")
        if scanner.take("ARRAY"):
            inner = scanner.rest().strip().strip("[]")
            found[key] = [Scanner(item.strip()).string().lower() for item in inner.split(",")]
        elif scanner.text[scanner.position : scanner.position + 1] in ("'", '"'):
            found[key] = scanner.string()
        else:
            found[key] = scanner.rest().strip()
    return found
