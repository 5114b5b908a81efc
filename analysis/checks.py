"""Argument checks: each raises ValueError that names the argument, its value and the rule."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


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


def check_probability(value: float, name: str) -> float:
    """Return a value in the closed interval [0, 1].

    Raises:
        ValueError: It is not.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} == {value!r}, must be in [0, 1]")
    return value


def check_finite(value: float, name: str) -> float:
    """Return a finite value.

    Raises:
        ValueError: It is not.
    """
    if not math.isfinite(value):
        raise ValueError(f"{name} == {value!r}, must be finite")
    return value


def check_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return values of shape (n,) as an array of floats, all finite.

    Raises:
        ValueError: They are not.

    >>> check_values([1.0, float("nan")], "differences")
    Traceback (most recent call last):
    ...
    ValueError: differences[1] == nan, must be finite
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name}.shape == {array.shape!r}, must be (n,)")
    finite = np.isfinite(array)
    if not finite.all():
        place = int(np.argmin(finite))
        raise ValueError(f"{name}[{place}] == {float(array[place])!r}, must be finite")
    return array
