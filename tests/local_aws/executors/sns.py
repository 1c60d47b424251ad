"""Amazon SNS: moto carries it out; it is counted, and functions hear of it."""

from __future__ import annotations

from .. import triggers

triggers.install("sns")
