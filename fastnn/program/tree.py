"""Nests of lists, tuples and dicts: what functions take and give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def leaves(tree: Any) -> list:
    """What stands in the nest, in order.

    Examples
    --------
    >>> leaves({"a": [1, 2], "b": (3, None)})
    [1, 2, 3, None]
    """
    if isinstance(tree, list | tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    return [tree]


def rebuild(fn: Callable[[Any], Any], tree: Any) -> Any:
    """The same nest with ``fn`` applied to each leaf, in order.

    Examples
    --------
    >>> rebuild(lambda x: x + 1, {"a": [1, 2], "b": (3,)})
    {'a': [2, 3], 'b': (4,)}
    """
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(rebuild(fn, part) for part in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(rebuild(fn, part) for part in tree)
    if isinstance(tree, dict):
        return {key: rebuild(fn, part) for key, part in tree.items()}
    return fn(tree)
