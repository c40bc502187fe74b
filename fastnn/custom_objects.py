"""The classes and functions of users that files may name: registered for good, or for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

registered: dict[str, Any] = {}  #: name -> what was registered
names: dict[Any, str] = {}  #: what was registered -> its name with its package
_scope: dict[str, Any] = {}


def get_custom_objects() -> dict[str, Any]:
    """A dict that may be written to: name -> class or function."""
    return _scope


@contextmanager
def custom_object_scope(*custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Inside, files find these classes and functions by their names."""
    before = dict(_scope)
    for given in custom_objects:
        _scope.update(given)
    try:
        yield
    finally:
        _scope.clear()
        _scope.update(before)


def known_objects(custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """Those given, in front of those in scope, in front of those registered."""
    return {**registered, **_scope, **(custom_objects or {})}
