"""Personal data in an English text: patterns with their check digits, and names that spaCy finds.

A pattern's score says how much its form alone proves. It is 0.99 where a check digit holds or the
form has no other use (a card number, a web address), and less where a word nearby has to tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .english import Span, entities

_NAMED = {"PERSON": "NAME", "DATE": "DATE_TIME", "TIME": "DATE_TIME"}


def _passes_luhn(digits: str) -> bool:
    """The check of card numbers: https://en.wikipedia.org/wiki/Luhn_algorithm"""
    numbers = [int(digit) for digit in reversed(digits)]
    doubled = (number * 2 for number in numbers[1::2])
    return (sum(numbers[::2]) + sum(value - 9 * (value > 9) for value in doubled)) % 10 == 0


def _passes_mod_97(number: str) -> bool:
    """The check of international bank account numbers (ISO 13616)."""
    turned = number[4:] + number[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _passes_routing(digits: str) -> bool:
    """The check of US bank routing numbers: weights 3, 7, 1."""
    weights = (3, 7, 1) * 3
    return sum(int(one) * weight for one, weight in zip(digits, weights, strict=True)) % 10 == 0


@dataclass(frozen=True)
class _Pattern:
    kind: str
    form: re.Pattern[str]
    score: float
    holds: Callable[[str], bool] = lambda _: True


def _pattern(
    kind: str, form: str, score: float, holds: Callable[[str], bool] = lambda _: True
) -> _Pattern:
    return _Pattern(kind, re.compile(form, re.I), score, holds)


# The first that matches a place wins. Where a pattern has a group, the group is what is found.
_PATTERNS = [
    _pattern("URL", r"\b(?:https?://|www\.)[^\s<>\"')]*[^\s<>\"').,;:!?]", 0.99),
    _pattern("EMAIL", r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b", 0.99),
    _pattern(
        "INTERNATIONAL_BANK_ACCOUNT_NUMBER",
        r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        0.99,
        lambda found: _passes_mod_97(found.replace(" ", "").upper()),
    ),
    _pattern(
        "CREDIT_DEBIT_NUMBER",
        r"\b(?:\d[ -]?){12,18}\d\b",
        0.99,
        lambda found: _passes_luhn(re.sub(r"\D", "", found)),
    ),
    _pattern("MAC_ADDRESS", r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b", 0.99),
    _pattern(
        "IP_ADDRESS",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
        0.95,
        lambda found: all(int(part) < 256 for part in found.split(".")),
    ),
    _pattern("AWS_ACCESS_KEY", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", 0.99),
    _pattern("SSN", r"\b(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b", 0.95),
    _pattern("SSN", r"\b(?:SSN|social security (?:number|no\.?))\D{0,12}(\d{4,9})\b", 0.9),
    _pattern(
        "BANK_ROUTING", r"\brouting\b\D{0,20}(\d{9})\b", 0.95, lambda found: _passes_routing(found)
    ),
    _pattern("BANK_ACCOUNT_NUMBER", r"\baccount\b[^\d\n]{0,24}(?:X+)?(\d{6,17})\b", 0.85),
    _pattern("PIN", r"\bPIN\b[^\d\n]{0,12}(\d{4,6})\b", 0.9),
    _pattern("CREDIT_DEBIT_CVV", r"\b(?:CVV2?|CVC|security code)\b\D{0,8}(\d{3,4})\b", 0.9),
    _pattern("CREDIT_DEBIT_EXPIRY", r"\bexp\w*\D{0,12}((?:0[1-9]|1[0-2])/\d{2,4})\b", 0.9),
    _pattern("PASSWORD", r"\bpassword\b(?: is|:)\s*(\S*[^\s.,;!?])", 0.85),
    _pattern("USERNAME", r"\buser ?name\b(?: is|:)\s*(\S*[^\s.,;!?])", 0.85),
    _pattern("AGE", r"\b(\d{1,3}) years? old\b|\bage[d:]? (\d{1,3})\b", 0.85),
    _pattern(
        "PHONE", r"(?<![\w.-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}\b", 0.95
    ),
    _pattern("PHONE", r"\+\d{1,3}(?:[ .-]?\d{2,4}){2,4}\b", 0.9),
    _pattern(
        "ADDRESS",
        r"\b\d{1,5} (?-i:(?:[A-Z][\w.']* ){1,4})(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|"
        r"Boulevard|Blvd|Way|Court|Ct|Place|Pl|Square)\b\.?(?:,? (?:Apt|Suite|Unit)\.? \w+)?"
        r"(?-i:(?:, [A-Z][A-Za-z ]*[a-z](?=[,.\n]|$))?(?:,? [A-Z]{2}\b)?)(?: \d{5}(?:-\d{4})?\b)?",
        0.9,
    ),
]


def personal_data(text: str) -> list[Span]:
    """Personal data in the order of the text, with the types of Comprehend; none overlap."""
    found: list[Span] = []
    for pattern in _PATTERNS:
        for match in pattern.form.finditer(text):
            group = match.lastindex or 0
            begin, end = match.span(group)
            if pattern.holds(match[group]) and not _meets(found, begin, end):
                found.append(Span(begin, end, pattern.kind, pattern.score))
    for entity in entities(text):
        kind = _NAMED.get(entity.kind)
        if kind and not _meets(found, entity.begin, entity.end):
            found.append(Span(entity.begin, entity.end, kind, entity.score))
    return sorted(found, key=lambda span: span.begin)


def _meets(found: list[Span], begin: int, end: int) -> bool:
    return any(span.begin < end and begin < span.end for span in found)
