"""Activations with Keras's names: functions of tensors or arrays, found by name.

Each is a callable that knows the kernel it stands for, so that `Dense` can have it computed at the edge of its matrix
product; with other numbers than the default ones it is called: ``activations.relu(x, negative_slope=0.1)``.

Examples
--------
>>> import numpy as np
>>> from fastnn import activations
>>> activations.get("leaky_relu")(np.array([-10.0, 1.0]))
array([-2.,  1.])
>>> activations.get("gelu_tahn")
Traceback (most recent call last):
ValueError: Unknown activation 'gelu_tahn': did you mean 'gelu_tanh'?
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .. import ops  # noqa: F401  (first: it takes its own activations from here)
from ..custom_objects import known_objects
from ..spelling import unknown
from . import elementwise as _elementwise
from . import rows as _rows


class Activation:
    """An activation function: callable on tensors and arrays, found again by its name.

    Attributes
    ----------
    name : as Keras has it; what files and configs hold.
    function : of x and its numbers.
    kind : name of the mode of the kernel `activation` that it is without further numbers; None if it is none.
    alpha : the number of that mode.
    """

    def __init__(self, name: str, function: Callable, kind: str | None = None, alpha: float = 1.0, **defaults: Any):
        self.name = self.__name__ = name
        self.function, self.defaults = function, defaults
        self.kind, self.alpha = kind, alpha
        self.__doc__ = function.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        found = inspect.signature(self.function)
        return found.replace(parameters=[p.replace(default=self.defaults.get(p.name, p.default))
                                         for p in found.parameters.values()])

    def __call__(self, x, *args: Any, **kwargs: Any):
        if self.defaults and not args:
            kwargs = {**self.defaults, **kwargs}
        return self.function(x, *args, **kwargs)

    def __reduce__(self):
        return get, (self.name,)

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


#: alpha of the kinds whose number is not 1 by default
_ALPHAS = {"leaky_relu": 0.2, "hard_shrink": 0.5, "soft_shrink": 0.5, "squareplus": 4.0}


def _named(name: str, module=_elementwise, kind: str | None = None) -> Activation:
    return Activation(name, getattr(module, name), kind, _ALPHAS.get(name, 1.0))


linear, relu, relu6, leaky_relu, elu, selu, celu = (
    _named(n, kind=n) for n in ("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu"))
sigmoid, log_sigmoid, tanh, exponential, softplus, softsign, squareplus, silu, mish = (
    _named(n, kind=n) for n in ("sigmoid", "log_sigmoid", "tanh", "exponential", "softplus", "softsign", "squareplus",
                                "silu", "mish"))
hard_sigmoid, hard_silu, hard_tanh, hard_shrink, soft_shrink, tanh_shrink, sparse_plus, sparse_sigmoid = (
    _named(n, kind=n) for n in ("hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink",
                                "sparse_plus", "sparse_sigmoid"))
gelu = Activation("gelu", _elementwise.gelu, "gelu", approximate=False)
gelu_tanh = Activation("gelu_tanh", _elementwise.gelu, "gelu_tanh", approximate=True)
threshold = _named("threshold")
softmax, log_softmax, sparsemax, glu = (_named(n, _rows) for n in ("softmax", "log_softmax", "sparsemax", "glu"))
swish, hard_swish = silu, hard_silu

_KNOWN: dict[str, Activation] = {a.name: a for a in list(globals().values()) if isinstance(a, Activation)}
_KNOWN |= {"swish": silu, "hard_swish": hard_silu}


def get(identifier: Any) -> Callable:
    """The activation of this name; functions pass through, None is linear.

    Examples
    --------
    >>> from fastnn import activations
    >>> activations.get("relu")
    <activation relu>
    """
    if identifier is None:
        return linear
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier not in _KNOWN and identifier in known_objects(None):
            return known_objects(None)[identifier]
        if identifier not in _KNOWN:
            raise unknown("activation", identifier, _KNOWN)
        return _KNOWN[identifier]
    if callable(identifier):
        return identifier
    raise ValueError(f"An activation is a name or a function; got {identifier!r}.")


def serialize(activation: Callable) -> str | dict[str, str]:
    """The name under which `get` finds it again; a user's function is described as Keras does it.

    A file holds the name of such a function alone; who loads it gives the function in `custom_objects`.

    Raises
    ------
    ValueError : it is a function without a name.
    """
    if isinstance(activation, Activation) and activation in _KNOWN.values():
        return activation.name
    name = getattr(activation, "__name__", "")
    if not name.isidentifier():
        raise ValueError(f"The activation {activation!r} has no name under which a file could hold it; use a function "
                         "made with def.")
    return {"class_name": "function", "config": name}


def deserialize(config: Any, custom_objects: dict[str, Callable] | None = None) -> Callable:
    """The activation that `serialize` described: a name, or a function of the user's by its name.

    Examples
    --------
    >>> deserialize(serialize(get("relu")))
    <activation relu>
    """
    known = known_objects(custom_objects)
    name = config.get("config") if isinstance(config, dict) else config
    if isinstance(name, dict):  # an activation that Keras wrote as an object
        name = name.get("name")
    if name in known:
        return known[name]
    if not isinstance(name, str) or name not in _KNOWN:
        raise unknown("activation", name, [*_KNOWN, *known])
    return _KNOWN[name]
