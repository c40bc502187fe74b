"""Checks of arguments: each gives the value back, or says in a sentence what is wrong with it."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np


def number(who: str, name: str, value: Any) -> float:
    """A finite number as a Python float."""
    try:
        plain = not isinstance(value, bool | np.bool_ | str | bytes) and np.ndim(value) == 0
        found = float(value) if plain else None
    except (TypeError, ValueError):
        found = None
    if found is None or not math.isfinite(found):
        raise ValueError(f"{who}: {name} must be a finite number; got {value!r}.")
    return found


def at_least_zero(who: str, name: str, value: Any, optional: bool = False) -> float | None:
    """A number of 0 or more, or None where that is allowed."""
    if value is None and optional:
        return None
    found = number(who, name, value)
    if found < 0:
        raise ValueError(f"{who}: {name} must be 0 or more; got {value!r}.")
    return found


def positive(who: str, name: str, value: Any, optional: bool = False) -> float | None:
    """A number above 0, or None where that is allowed."""
    if value is None and optional:
        return None
    found = number(who, name, value)
    if found <= 0:
        raise ValueError(f"{who}: {name} must be above 0; got {value!r}.")
    return found


def share(who: str, name: str, value: Any) -> float:
    """A number in [0, 1): what a moving average keeps, or a momentum."""
    found = number(who, name, value)
    if not 0 <= found < 1:
        raise ValueError(f"{who}: {name} must be in [0, 1); got {value!r}.")
    return found


def up_to_one(who: str, name: str, value: Any) -> float:
    """A number in [0, 1]."""
    found = number(who, name, value)
    if not 0 <= found <= 1:
        raise ValueError(f"{who}: {name} must be in [0, 1]; got {value!r}.")
    return found


def flag(who: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{who}: {name} must be True or False; got {value!r}.")
    return bool(value)


def count_from_one(who: str, name: str, value: Any) -> int | None:
    """A whole number of 1 or more, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or count(who, name, value) < 1:
        raise ValueError(f"{who}: {name} must be a whole number of 1 or more, or None; got {value!r}.")
    return count(who, name, value)


def count(who: str, name: str, value: Any) -> int:
    """A whole number of 0 or more."""
    try:
        found = operator.index(value.item() if isinstance(value, np.ndarray) and value.size == 1 else value)
    except TypeError:
        found = -1
    if found < 0:
        raise ValueError(f"{who}: {name} must be a whole number of 0 or more; got {value!r}.")
    return found
