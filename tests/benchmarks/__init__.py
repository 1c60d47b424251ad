"""Ratios: the offline AWS against stock moto, the bare program and the naive way."""
