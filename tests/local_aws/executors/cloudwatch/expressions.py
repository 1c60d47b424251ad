"""Metric math: arithmetic, comparisons and the common functions, on time series and numbers.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
Python reads the expression; only what is named below is carried out.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...errors import AWSError, not_implemented
from .statistics import Series

Value = Series | float | list[Series]

_ARITHMETIC: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_EACH: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
    "MIN": min,
    "MAX": max,
}


def evaluate(expression: str, known: Mapping[str, Series], every: Iterable[int]) -> Series:
    """The time series that an expression gives.

    Args:
        known: the time series of the other queries, by id.
        every: the numbers of all periods, with or without data (FILL needs them).

    Raises:
        AWSError: ValidationError for an expression that cannot be read or names an unknown id;
            501 for a function that is not carried out here.
    """
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval").body
    except SyntaxError:
        raise _invalid(expression, "Error in expression: it cannot be read") from None
    value = _Evaluation(expression, known, list(every)).value(tree)
    if isinstance(value, list):
        raise _invalid(expression, "The expression gives several time series, not one")
    return value if isinstance(value, dict) else dict.fromkeys(every, value)


def _invalid(expression: str, why: str) -> AWSError:
    return AWSError("ValidationError", f"{why} [{expression}]")


class _Evaluation:
    def __init__(self, text: str, known: Mapping[str, Series], every: list[int]) -> None:
        self.text, self.known, self.every = text, known, every

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self._named(name)
            case ast.List(elts=items):
                return [self._series(item) for item in items]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return _combined(operator.mul, -1.0, self.value(inner))
            case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _ARITHMETIC:
                return _combined(_ARITHMETIC[type(kind)], self.value(left), self.value(right))
            case ast.Compare(left=left, ops=[kind], comparators=[right]):
                if type(kind) in _ARITHMETIC:
                    return _combined(_ARITHMETIC[type(kind)], self.value(left), self.value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._called(name, arguments)
        raise not_implemented("cloudwatch", f"the metric math expression {self.text}")

    def _named(self, name: str) -> Series:
        if name not in self.known:
            raise _invalid(self.text, f"There is no query with the id {name}")
        return self.known[name]

    def _series(self, node: ast.expr) -> Series:
        value = self.value(node)
        if not isinstance(value, dict):
            raise _invalid(self.text, "A list holds time series")
        return value

    def _called(self, name: str, arguments: list[ast.expr]) -> Value:
        if name == "METRICS" and not arguments:
            return list(self.known.values())
        if name in _STATISTICS and len(arguments) == 1:
            return _aggregated(_STATISTICS[name], self.value(arguments[0]))
        if name in _EACH and len(arguments) == 1:
            each = _EACH[name]
            return _combined(lambda value, _: float(each(value)), self.value(arguments[0]), 0.0)
        if name == "FILL" and len(arguments) == 2:
            return self._filled(*arguments)
        if name == "IF" and len(arguments) in (2, 3):
            return self._chosen(*arguments)
        raise not_implemented("cloudwatch", f"the metric math function {name} in {self.text}")

    def _filled(self, what: ast.expr, by: ast.expr) -> Series:
        base = self._series(what)
        if isinstance(by, ast.Name) and by.id == "REPEAT":
            filled, last = {}, None
            # Periods are numbered in the order of time.
            for number in sorted(self.every):
                last = base.get(number, last)
                if last is not None:
                    filled[number] = last
            return filled
        if isinstance(by, ast.Name) and by.id == "LINEAR":
            raise not_implemented("cloudwatch", "FILL with LINEAR")
        value = self.value(by)
        other = value if isinstance(value, dict) else dict.fromkeys(self.every, value)
        return {**other, **base}  # type: ignore[dict-item]

    def _chosen(self, condition: ast.expr, *choices: ast.expr) -> Series:
        test = self.value(condition)
        tests = test if isinstance(test, dict) else dict.fromkeys(self.every, test)
        values: list[Any] = [self.value(choice) for choice in choices] + [{}]
        found = {}
        for number, holds in tests.items():
            choice = values[0] if holds else values[1]
            value = choice.get(number) if isinstance(choice, dict) else choice
            if value is not None:
                found[number] = float(value)
        return found


def _combined(function: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    """The function on each period that both have; a division by zero gives no value."""
    if isinstance(left, list) or isinstance(right, list):
        left_list = left if isinstance(left, list) else None
        items = left_list if left_list is not None else right
        return [
            _combined(function, item, right)
            if left_list is not None
            else _combined(function, left, item)
            for item in items  # type: ignore[union-attr]
        ]  # type: ignore[return-value]
    if not isinstance(left, dict) and not isinstance(right, dict):
        return float(function(left, right))
    numbers = left.keys() if isinstance(left, dict) else right.keys()  # type: ignore[union-attr]
    if isinstance(left, dict) and isinstance(right, dict):
        numbers = left.keys() & right.keys()
    found = {}
    for number in numbers:
        first = left[number] if isinstance(left, dict) else left
        second = right[number] if isinstance(right, dict) else right
        try:
            found[number] = float(function(first, second))
        except ZeroDivisionError:
            continue
    return found


def _aggregated(function: Callable[[list[float]], float], value: Value) -> Value:
    """Of one series a number over all its periods; of several a series over all of them."""
    if isinstance(value, dict):
        return function(list(value.values())) if value else {}
    if not isinstance(value, list):
        return function([value])
    numbers = {number for item in value for number in item}
    return {n: function([item[n] for item in value if n in item]) for n in sorted(numbers)}


def names(expression: str) -> set[str]:
    """The ids that an expression uses; empty for one that cannot be read."""
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval")
    except SyntaxError:
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
