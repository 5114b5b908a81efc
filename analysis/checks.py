"""Argument checks: each raises ValueError that names the argument, its value and the rule."""

from __future__ import annotations

import math


def check_share(value: float, name: str) -> float:
    """Return a value in the open interval (0, 1).

    Raises:
        ValueError: It is not.

    >>> check_share(1.5, "alpha")
    Traceback (most recent call last):
    ...
    ValueError: alpha == 1.5, must be in (0, 1)
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} == {value!r}, must be in (0, 1)")
    return value


def check_null_mean(value: float, name: str = "null_mean") -> float:
    """Return the mean of a difference in the open interval (-1, 1).

    Raises:
        ValueError: It is not.
    """
    if not -1 < value < 1:
        raise ValueError(f"{name} == {value!r}, must be in (-1, 1)")
    return value


def check_count(value: int, name: str, most: int | None = None) -> int:
    """Return a count, 0 or more, and not over `most`.

    Raises:
        ValueError: It is not.
    """
    if value < 0:
        raise ValueError(f"{name} == {value!r}, must be >= 0")
    if most is not None and value > most:
        raise ValueError(f"{name} == {value!r}, must be <= {most}")
    return value


def check_positive(value: float, name: str) -> float:
    """Return a finite value above 0.

    Raises:
        ValueError: It is not.
    """
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} == {value!r}, must be > 0 and finite")
    return value
