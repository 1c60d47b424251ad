"""Lambda: does the register let this file in? If it does, with what licence; texts with their text.

The register is one object of the bucket, `register.json`: key to `{"licence": …}`. An entry with
`"busy": n` plays a service with too many callers: its first n attempts are refused.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

REGISTER = "register.json"
LONGEST_TEXT = 5_000  # bytes that Comprehend takes in one call


class Throttled(Exception):
    """The register has too many callers; ask again later."""


class NoRights(Exception):
    """The register does not know the file, so nobody may use it."""


class EmptyDocument(Exception):
    """A document without a word."""


class UnreadableDocument(Exception):
    """A document that is no UTF-8 text, or is too long for one call of Comprehend."""


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Admit one file.

    Args:
        event: `bucket`, `key`, and `attempt`: how often the state has been tried before.

    Returns:
        `licence` of the file, and `text`: what a document says, empty for a picture.

    Raises:
        Throttled, NoRights, EmptyDocument, UnreadableDocument: state machines see the names.
    """
    bucket, key = event["bucket"], event["key"]
    s3 = boto3.client("s3")
    register = json.loads(s3.get_object(Bucket=bucket, Key=REGISTER)["Body"].read())
    entry = register.get(key)
    if entry is None:
        raise NoRights(f"{key} is not in the register")
    if event.get("attempt", 0) < entry.get("busy", 0):
        raise Throttled(f"too many callers ask for {key}")
    text = ""
    if key.endswith(".txt"):
        text = read_text(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return {"licence": entry["licence"], "text": text}


def read_text(key: str, content: bytes) -> str:
    """What a document says. Raises EmptyDocument or UnreadableDocument."""
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UnreadableDocument(f"{key} is not UTF-8: {error.reason}") from error
    if not text:
        raise EmptyDocument(f"{key} has no text")
    if len(text.encode()) > LONGEST_TEXT:
        raise UnreadableDocument(f"{key} has more than {LONGEST_TEXT:,} bytes")
    return text
