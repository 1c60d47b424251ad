"""Hyperparameters of the built-in algorithms: declared as their pages describe them, and checked.

The wording of the messages is that of AWS's own toolkit for such algorithms, of which it has
published a copy: https://github.com/aws/sagemaker-rl-container (folder `src/vw-serving`, module
`sagemaker.integration`; Apache License 2.0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy

from .common import ClientError

# Settings of the machinery, which the SDK or a tuning job may send along.
_INTERNAL = (
    "_disable_wait_to_read", "_enable_profiler", "_ftp_port", "_kvstore", "_log_level",
    "_num_gpus", "_num_kv_servers", "_num_slices", "_tuning_objective_metric", "force_dense",
)  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter, as its page in the documentation describes it.

    Attributes:
        read: turns the text into a value. Raises ValueError.
        expects: what the documentation says of the values, for the message.
        default: the value if none is given.
        required: whether a value must be given.
        allowed: whether a value that could be read is one of the valid ones.
    """

    read: Callable[[str], Any]
    expects: str
    default: Any = None
    required: bool = False
    allowed: Callable[[Any], bool] = lambda value: True


def integer(
    low: int, high: int | None = None, *, default: Any = None, auto: bool = False, **options: Any
) -> Parameter:
    """A whole number between two ends, both included; `auto` if the algorithm may choose."""
    between = f"between {low} and {high}" if high is not None else f"of at least {low}"
    return _number(int, f"an integer {between}", low, high, default, auto, **options)


def real(
    low: float | None = None,
    high: float | None = None,
    *,
    default: Any = None,
    auto: bool = False,
    open_ends: bool = False,
) -> Parameter:
    """A number between two ends; `open_ends` leaves the ends themselves out."""
    if low is None and high is None:
        between = ""
    elif high is None:
        between = f" greater than {low:g}" if open_ends else f" of at least {low:g}"
    else:
        between = f" between {low:g} and {high:g}" + (" (both excluded)" if open_ends else "")
    return _number(float, f"a number{between}", low, high, default, auto, open_ends=open_ends)


def choice(*values: str, default: Any = None, required: bool = False) -> Parameter:
    """One of a few words."""
    shown = ", ".join(f"'{value}'" for value in values)
    return Parameter(
        str, f"accepts one of the following: {shown}", default, required, lambda v: v in values
    )


def flag(default: bool | str) -> Parameter:
    """`true` or `false`; `auto` too if that is the default."""
    words: dict[str, Any] = {"true": True, "false": False}
    if default == "auto":
        words["auto"] = "auto"
    shown = ", ".join(f"'{word}'" for word in words)
    return Parameter(
        lambda text: words.get(text.lower(), text),
        f"accepts one of the following: {shown}",
        default,
        allowed=lambda value: value in words.values(),
    )


def words(*values: str, default: tuple[str, ...]) -> Parameter:
    """A list of a few words, as JSON (`["msd", "ssd"]`) or with commas."""

    def read(text: str) -> tuple[str, ...]:
        stripped = text.strip().strip("[]()")
        return tuple(word.strip().strip("'\"") for word in stripped.split(",") if word.strip())

    shown = ", ".join(f"'{value}'" for value in values)
    return Parameter(
        read,
        f"accepts a list of the following: {shown}",
        default,
        allowed=lambda given: bool(given) and all(word in values for word in given),
    )


def validate(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of all hyperparameters, typed, the defaults among them.

    Raises:
        ClientError: the first thing that is wrong, with the name and the value.
    """
    missing = [name for name, each in parameters.items() if each.required and name not in given]
    if missing:
        shown = ", ".join(f"'{name}'" for name in missing)
        raise invalid_hyperparameter(
            f"No value(s) were specified for {shown} which are required hyperparameter(s)"
        )
    unknown = sorted(name for name in given if name not in parameters and name not in _INTERNAL)
    if unknown:
        shown = ", ".join(f"'{name}'" for name in unknown)
        verb = "was" if len(unknown) == 1 else "were"
        raise invalid_hyperparameter(
            f"Additional hyperparameters are not allowed ({shown} {verb} unexpected)"
        )
    values = {name: each.default for name, each in parameters.items()}
    for name, text in given.items():
        if name in parameters:
            values[name] = _read(name, text, parameters[name])
    return values


def invalid_hyperparameter(message: str) -> ClientError:
    """The refusal of hyperparameters, as SageMaker shows it."""
    return ClientError(f"{message} (caused by ValidationError)")


def _read(name: str, text: str, parameter: Parameter) -> Any:
    try:
        value = parameter.read(text)
        is_valid = parameter.allowed(value)
    except ValueError:
        is_valid = False
    if is_valid:
        return value
    expects = parameter.expects
    verb = "which" if expects.startswith("accepts") else "which expects"
    raise invalid_hyperparameter(
        f"The value '{text}' is not valid for the '{name}' hyperparameter {verb} {expects}"
    )


def _number(
    kind: type,
    expects: str,
    low: float | None,
    high: float | None,
    default: Any,
    auto: bool,
    *,
    required: bool = False,
    open_ends: bool = False,
) -> Parameter:
    def allowed(value: Any) -> bool:
        if value == "auto":
            return auto
        inside = numpy.isfinite(value)
        if low is not None:
            inside = inside and (value > low if open_ends else value >= low)
        if high is not None:
            inside = inside and (value < high if open_ends else value <= high)
        return bool(inside)

    if auto:
        expects = f"one of the following: the string 'auto'; or {expects}"
    return Parameter(
        lambda text: "auto" if text == "auto" else kind(text), expects, default, required, allowed
    )
