"""Stands in the way of pip in a job: a job may use this environment, but not change it."""

__version__ = "offline"
