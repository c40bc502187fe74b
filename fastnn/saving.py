"""Saving, loading, and the names under which files find classes and functions of your own, as in ``keras.saving``.

Files hold names and numbers, never code. A class or function of your own that a file names is found if it is given to
`load_model` in `custom_objects`, is in a `custom_object_scope`, or was registered when its module was imported.

Examples
--------
>>> import fastnn
>>> @register_keras_serializable(package="mine")
... class Twice(fastnn.layers.Layer):
...     def call(self, x):
...         return 2 * x
>>> get_registered_name(Twice), type(deserialize_keras_object(serialize_keras_object(Twice(name="t")))).__name__
('mine>Twice', 'Twice')
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .custom_objects import custom_object_scope, get_custom_objects, names, registered
from .models.saving import load_model, load_weights, save_model, save_weights

__all__ = ["CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
           "get_registered_name", "get_registered_object", "load_model", "load_weights", "register_keras_serializable",
           "save_model", "save_weights", "serialize_keras_object"]

CustomObjectScope = custom_object_scope  # Keras's other name


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Decorator: files find this class or function by its name from now on.

    Parameters
    ----------
    package, name : Keras's name of it is ``package>name``; files of fastnn hold the name of the class alone.
    """
    def register(item):
        if inspect.isclass(item) and not hasattr(item, "get_config"):
            raise ValueError(f"A class that files can name has get_config; {item.__name__} has not.")
        names[item] = f"{package}>{name or item.__name__}"
        registered[names[item]] = registered[name or item.__name__] = registered[item.__name__] = item
        return item

    return register


def get_registered_name(item) -> str:
    """``package>name`` of what was registered, else its own name."""
    return names.get(item, item.__name__)


def get_registered_object(name: str, custom_objects: dict[str, Any] | None = None):
    """The class or function that was registered under a name, or None."""
    return {**get_custom_objects(), **registered, **(custom_objects or {})}.get(name)


def _kinds():
    from . import activations, constraints, initializers, layers, losses, metrics, optimizers, regularizers
    from .optimizers import schedules

    return ((layers.Layer, layers), (losses.Loss, losses), (metrics.Metric, metrics),
            (optimizers.Optimizer, optimizers), (initializers.Initializer, initializers),
            (regularizers.Regularizer, regularizers), (constraints.Constraint, constraints),
            (schedules.LearningRateSchedule, schedules), (activations.Activation, activations))


def serialize_keras_object(item: Any) -> Any:
    """A layer, loss, optimizer and so on as its class name and config; lists and dicts of them; plain values as they
    are."""
    if item is None or isinstance(item, str | int | float | bool):
        return item
    if isinstance(item, list | tuple):
        return [serialize_keras_object(part) for part in item]
    if isinstance(item, dict):
        return {k: serialize_keras_object(v) for k, v in item.items()}
    for kind, module in _kinds():
        if isinstance(item, kind):
            return module.serialize(item)
    if hasattr(item, "get_config"):
        return {"class_name": type(item).__name__, "config": item.get_config()}
    name = getattr(item, "__name__", "")
    if not name.isidentifier():
        raise ValueError(f"{item!r} has no name under which a config could hold it.")
    return {"class_name": "function", "config": name}


def deserialize_keras_object(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """What `serialize_keras_object` was given."""
    custom = {**registered, **get_custom_objects(), **(custom_objects or {})}
    if isinstance(config, list):
        return [deserialize_keras_object(part, custom_objects) for part in config]
    if not isinstance(config, dict) or "class_name" not in config:
        if isinstance(config, dict):
            return {k: deserialize_keras_object(v, custom_objects) for k, v in config.items()}
        return config
    name = config["class_name"]
    if name == "function":
        if config["config"] not in custom:
            raise ValueError(f"The function {config['config']!r} is not known: register it, or give it in "
                             "custom_objects.")
        return custom[config["config"]]
    from .models import KNOWN_MODELS

    if name in custom and hasattr(custom[name], "from_config"):
        return custom[name].from_config(config["config"])
    for kind, module in _kinds():
        found = getattr(module, str(name), None) or (KNOWN_MODELS.get(name) if kind.__name__ == "Layer" else None)
        if inspect.isclass(found) and issubclass(found, kind):
            taken = inspect.signature(module.deserialize).parameters
            return module.deserialize(config, custom_objects=custom) if "custom_objects" in taken else \
                module.deserialize(config)
    raise ValueError(f"The class {name!r} is not known: register it, or give it in custom_objects.")
