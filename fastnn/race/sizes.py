"""Sizes as people write them: 1000000, 16k, 4M, 1024x10."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_UNITS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def count(text: str | int) -> int:
    """A positive whole number, also as 16k or 4M (powers of two: 16 384 and 4 194 304).

    Raises
    ------
    ValueError
        It is no such number.

    Examples
    --------
    >>> count("16k"), count("300")
    (16384, 300)
    >>> count("many")
    Traceback (most recent call last):
    ...
    ValueError: 'many' is no size: write a positive whole number, also as 16k or 4M.
    """
    found = re.fullmatch(r"([0-9]{1,18})([kMG]?)", str(text).strip())
    if isinstance(text, bool) or not found or int(found[1]) < 1:
        raise ValueError(f"{text!r} is no size: write a positive whole number, also as 16k or 4M.")
    return int(found[1]) * _UNITS[found[2]]


def short(n: int) -> str:
    """The reverse of `count`.

    Examples
    --------
    >>> short(16384), short(1000)
    ('16k', '1000')
    """
    for unit in "GMk":
        if n >= _UNITS[unit] and n % _UNITS[unit] == 0:
            return f"{n // _UNITS[unit]}{unit}"
    return str(n)


def parse(given: object, default: Mapping[str, int], kernel: str) -> dict[str, int]:
    """One size of a kernel as its dimensions: `default` has their names, and the values of those not given.

    Parameters
    ----------
    given : a mapping of dimensions; one number for each dimension, as a sequence or as text with x between them; or
        a single number. That means elements where a kernel has ``n`` or ``rows`` and ``columns`` (the columns stay as
        they are), and the edge of square matrices where it has ``M``, ``K`` and ``N``.

    Examples
    --------
    >>> parse("1024x10", {"rows": 64, "columns": 100}, "softmax")
    {'rows': 1024, 'columns': 10}
    >>> parse(6400, {"rows": 1, "columns": 100}, "softmax")
    {'rows': 64, 'columns': 100}
    >>> parse(512, {"M": 1, "K": 1, "N": 1}, "matmul")
    {'M': 512, 'K': 512, 'N': 512}
    """
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - set(default))
        if unknown:
            raise ValueError(f"{kernel} has no dimension {unknown[0]!r}; its sizes are {', '.join(default)}.")
        return {name: count(given.get(name, value)) for name, value in default.items()}
    parts = given.split("x") if isinstance(given, str) else list(given) if isinstance(given, Sequence) else [given]
    values = [count(part) for part in parts]
    if len(values) == len(default):
        return dict(zip(default, values))
    if len(values) != 1:
        raise ValueError(f"{kernel} has the sizes {', '.join(default)}; {given!r} are {len(values)} numbers.")
    if "columns" in default:
        return {"rows": max(1, values[0] // default["columns"]), "columns": default["columns"]}
    if "K" in default:
        return dict.fromkeys(default, values[0])
    usual = "x".join(map(str, default.values()))
    raise ValueError(f"{kernel} has the sizes {', '.join(default)}; {given!r} is one number: give all, as in {usual}.")


def describe(size: Mapping[str, int]) -> str:
    """For people.

    Examples
    --------
    >>> describe({"rows": 1024, "columns": 10})
    'rows=1024 columns=10'
    """
    return " ".join(f"{name}={value}" for name, value in size.items())
