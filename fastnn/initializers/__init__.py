"""First values of weights, with Keras's names: ``HeNormal()``, ``he_normal()`` or the string ``"he_normal"``.

Examples
--------
>>> get("he_normal")
HeNormal()
>>> he_normal is HeNormal
True
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import numpy as np

from fastnn import spelling

from .constant import Constant, Identity, Ones, Zeros
from .initializer import Initializer, RandomInitializer, compute_fans
from .quadrature import gain
from .random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TorchLinear,
    TruncatedNormal,
    VarianceScaling,
)

__all__ = ["Initializer", "RandomInitializer", "compute_fans", "deserialize", "gain", "get", "serialize"]

CLASSES = (
    Zeros, Ones, Constant, Identity,
    RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling,
    GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform, Orthogonal, TorchLinear,
)  # fmt: skip
KNOWN: dict[str, type[Initializer]] = {}  #: every name that `get` takes
for _class in CLASSES:
    KNOWN[_class.__name__] = KNOWN[re.sub(r"(?<!^)(?=[A-Z])", "_", _class.__name__).lower()] = _class
KNOWN |= {"zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform}
KNOWN |= {"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal}

zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
torch_linear = TorchLinear
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
__all__ += [name for name in KNOWN if name in globals()]


def get(identifier) -> Initializer | Callable | None:
    """The initializer that `identifier` means.

    Parameters
    ----------
    identifier : a name (``"he_normal"``, ``"HeNormal"``), a class, an instance, a config as `serialize`
        gives it, any callable of ``(shape, dtype)``, an array to be taken as it is, or None (gives None).

    Raises
    ------
    ValueError : the name is not known; the nearest known one is offered.

    Examples
    --------
    >>> get({"class_name": "Constant", "config": {"value": 2.0}})
    Constant(value=2.0)
    >>> get("he_norml")
    Traceback (most recent call last):
    ValueError: Unknown initializer 'he_norml': did you mean 'he_normal'?
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        if identifier not in KNOWN:
            raise spelling.unknown("initializer", identifier, KNOWN)
        return KNOWN[identifier]()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, (np.ndarray, np.generic)):
        return _Given(identifier)
    if inspect.isclass(identifier) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier() if inspect.isclass(identifier) else identifier
    raise ValueError(
        f"An initializer is a name, a class, an instance, a config or a callable of (shape, dtype), not {identifier!r}."
    )


class _Given(Initializer):
    """An array as an initializer: its own values, for a weight of its own shape."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        if tuple(shape) != self.values.shape:
            raise ValueError(
                f"The array given as initializer has shape {self.values.shape}, the weight {tuple(shape)}."
            )
        return np.array(self.values, dtype=dtype, order="C")

    def __repr__(self) -> str:
        return f"<array of shape {self.values.shape} as initializer>"

    def get_config(self) -> dict:
        raise ValueError("An array given as initializer has no config, so it cannot be saved: use Constant.")


def serialize(initializer: Initializer | None) -> dict | None:
    """``{"class_name": ..., "config": ...}``, which JSON can hold and `deserialize` reads.

    Examples
    --------
    >>> serialize(HeNormal(seed=3))["class_name"]
    'HeNormal'
    """
    if initializer is None:
        return None
    if not isinstance(initializer, Initializer):
        raise ValueError(f"Only an Initializer can be written as a config, not {initializer!r}.")
    return {"class_name": type(initializer).__name__, "config": initializer.get_config()}


def deserialize(config: dict, custom_objects: dict | None = None) -> Initializer:
    """The initializer that `serialize` (or Keras's own function) wrote."""
    name = config.get("class_name")
    known = {**KNOWN, **(custom_objects or {})}
    if not isinstance(name, str) or name not in known:
        raise spelling.unknown("initializer", name, known)
    return known[name].from_config(config.get("config") or {})
