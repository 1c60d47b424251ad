"""The rule of a composite alarm: `ALARM("a") AND NOT (OK("b") OR INSUFFICIENT_DATA("c"))`.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from ...errors import AWSError

_GRAMMAR = r"""
?start: either
?either: both ("OR"i both)*
?both: single ("AND"i single)*
?single: "NOT"i single -> negated
       | "(" either ")"
       | STATE "(" name ")" -> state
       | "TRUE"i -> always
       | "FALSE"i -> never
?name: QUOTED | APOSTROPHED | BARE
STATE.2: "ALARM" | "OK" | "INSUFFICIENT_DATA"
QUOTED: /"[^"]+"/
APOSTROPHED: /'[^']+'/
BARE: /[^\s()"',]+/
%import common.WS
%ignore WS
"""


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="earley", lexer="dynamic", maybe_placeholders=False)


@functools.lru_cache(maxsize=256)
def _parsed(rule: str) -> Tree[Token] | Token:
    try:
        return _parser().parse(rule)
    except LarkError:
        message = f"Error in AlarmRule: the expression cannot be read: {rule}"
        raise AWSError("ValidationError", message) from None


def names(rule: str) -> set[str]:
    """The alarms that a rule asks for, by name (of an ARN the name is taken).

    Raises:
        AWSError: ValidationError for a rule that cannot be read.
    """
    tree = _parsed(rule)
    return {_name(item.children[1]) for item in tree.find_data("state")}


def holds(rule: str, states: Mapping[str, str]) -> bool:
    """Whether a rule holds, given the states of alarms by their name."""
    return _holds(_parsed(rule), states)


def _name(token: Tree[Token] | Token) -> str:
    text = str(token).strip("\"'")
    return text.rpartition(":alarm:")[2] if text.startswith("arn:") else text


def _holds(tree: Tree[Token] | Token, states: Mapping[str, str]) -> bool:
    children = tree.children
    match tree.data:
        case "either":
            return any(_holds(child, states) for child in children)
        case "both":
            return all(_holds(child, states) for child in children)
        case "negated":
            return not _holds(children[0], states)
        case "state":
            return states.get(_name(children[1])) == str(children[0])
        case "always":
            return True
        case _:
            return False
