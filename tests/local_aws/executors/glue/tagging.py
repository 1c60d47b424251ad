"""Tags of triggers and workflows: moto keeps them, as it does those of jobs."""

from __future__ import annotations

from typing import Any

from ... import account


def arn(region: str, kind: str, name: str) -> str:
    """The ARN of a `job`, `trigger` or `workflow`."""
    return f"arn:aws:glue:{region}:{account.ACCOUNT_ID}:{kind}/{name}"


def tag(region: str, kind: str, name: str, tags: dict[str, str] | None) -> None:
    """Give tags to what is new."""
    if tags:
        _backend(region).tag_resource(arn(region, kind, name), tags)


def has(region: str, kind: str, name: str, tags: dict[str, str] | None) -> bool:
    """Whether it carries all of these tags."""
    there = _backend(region).get_tags(arn(region, kind, name))
    return (tags or {}).items() <= there.items()


def forget(region: str, kind: str, name: str) -> None:
    """Drop the tags of what is deleted."""
    _backend(region).tagger.delete_all_tags_for_resource(arn(region, kind, name))


def _backend(region: str) -> Any:
    from moto.glue.models import glue_backends

    return glue_backends[account.ACCOUNT_ID][region]
