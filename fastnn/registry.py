"""Names, configs and functions of users as objects of one kind: what regularizers and constraints have in common."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import spelling


class Registry:
    """The classes of one kind by their names, as ``L1L2`` and ``l1_l2``.

    Examples
    --------
    >>> from fastnn.constraints import REGISTRY
    >>> REGISTRY.get("non_neg")
    NonNeg()
    """

    def __init__(self, kind: str, base: type, classes, made: Mapping[str, Callable[[], Any]] | None = None):
        self.kind, self.base, self.made = kind, base, dict(made or {})
        self.known: dict[str, type] = {}
        for c in classes:
            snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", c.__name__).lower()
            self.known[c.__name__] = self.known[snake] = c

    def get(self, identifier: Any):
        """The object that a name, class, instance, config or function means; None stays None."""
        if identifier is None:
            return None
        if isinstance(identifier, str):
            if identifier not in self.known:
                raise spelling.unknown(self.kind, identifier, self.known)
            return self.made.get(identifier, self.known[identifier])()
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if callable(identifier):
            return identifier() if inspect.isclass(identifier) else identifier
        raise ValueError(f"A {self.kind} is a name, a class, an instance, a config or a function, not {identifier!r}.")

    def serialize(self, item: Any) -> dict[str, Any] | None:
        """The config from which `deserialize` makes it again; of a function of a user's there is only the name."""
        if item is None:
            return None
        if isinstance(item, self.base):
            return {"class_name": type(item).__name__, "config": item.get_config()}
        name = getattr(item, "__name__", "")
        if not name.isidentifier():
            raise ValueError(f"The {self.kind} {item!r} has no name under which a file could hold it; use a function "
                             "made with def.")
        return {"class_name": "function", "config": name}

    def deserialize(self, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None):
        """What `serialize`, or Keras, wrote."""
        known = {**self.known, **(custom_objects or {})}
        name = config.get("class_name")
        if name == "function":
            if config.get("config") not in known:
                raise ValueError(f"The {self.kind} {config.get('config')!r} is a function that a config does not hold; "
                                 "give it in custom_objects.")
            return known[config["config"]]
        if name not in known:
            raise spelling.unknown(self.kind, name, known)
        return known[name].from_config(config.get("config") or {})
