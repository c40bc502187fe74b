"""Update rules (optimizers) and, in `schedules`, learning rates that change with the step.

Examples
--------
>>> get("adam").learning_rate
0.001
>>> get("sdg")
Traceback (most recent call last):
ValueError: Unknown optimizer 'sdg': did you mean 'sgd'?
"""

from __future__ import annotations

import inspect

from .. import spelling
from . import schedules
from .adafactor import Adafactor
from .adagrad import Adadelta, Adagrad
from .adam import Adam, AdamW
from .ftrl import Ftrl
from .layerwise import LARS, Lamb, NormalizedSGD
from .lion import Lion
from .moments import Adamax, Nadam, RAdam
from .muon import Muon
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

CLASSES = (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Adamax, Nadam, RAdam, Lion, Ftrl, Adafactor, NormalizedSGD,
           LARS, Lamb, Muon)
KNOWN: dict[str, type[Optimizer]] = {}  #: every name that `get` takes
for _class in CLASSES:
    KNOWN[_class.__name__.lower()] = KNOWN[_class.__name__] = _class

__all__ = ["Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "LARS", "Lamb", "Lion", "Muon",
           "Nadam", "NormalizedSGD", "Optimizer", "RAdam", "RMSprop", "SGD", "deserialize", "get", "schedules",
           "serialize"]


def get(identifier) -> Optimizer:
    """The optimizer that `identifier` means.

    Parameters
    ----------
    identifier : a name in any case (``"adam"``, ``"RMSprop"``), a class, an instance (given back as it
        is), or a config as `serialize` gives it.

    Raises
    ------
    ValueError : the name is not known; the nearest known one is offered.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        if identifier.lower() not in KNOWN:
            raise spelling.unknown("optimizer", identifier, KNOWN)
        return KNOWN[identifier.lower()]()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if inspect.isclass(identifier) and issubclass(identifier, Optimizer):
        return identifier()
    raise ValueError(f"An optimizer is a name, a class, an instance or a config, not {identifier!r}.")


def serialize(optimizer: Optimizer) -> dict:
    """``{"class_name": ..., "config": ...}``, which JSON can hold and `deserialize` reads."""
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"Only an Optimizer can be written as a config, not {optimizer!r}.")
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


def deserialize(config: dict, custom_objects: dict | None = None) -> Optimizer:
    """The optimizer that `serialize` (or Keras's own function) wrote, without its state."""
    name = config.get("class_name")
    known = {**KNOWN, **(custom_objects or {})}
    found = known.get(name) or known.get(name.lower()) if isinstance(name, str) else None
    if found is None:
        raise spelling.unknown("optimizer", name, known)
    return found.from_config(config.get("config") or {}, custom_objects)
