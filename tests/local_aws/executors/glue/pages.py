"""Lists of jobs, runs, triggers and workflows, a page at a time."""

from __future__ import annotations

from typing import Any

from ...errors import AWSError
from ...gateway import Call


def page(call: Call, member: str, items: list[Any], size: int = 200) -> dict[str, Any]:
    """The page that a request asks for; its NextToken is where the next one begins."""
    token = call.params.get("NextToken") or "0"
    if not token.isdigit():
        raise AWSError("InvalidInputException", f"NextToken '{token}' is not valid.")
    start = int(token)
    end = start + min(call.params.get("MaxResults") or size, size)
    answer: dict[str, Any] = {member: items[start:end]}
    if end < len(items):
        answer["NextToken"] = str(end)
    return answer
