"""Activations: functions of tensors or NumPy arrays, found by name.

Each is a small callable that knows the kernel it stands for, so that `Dense` can have it computed at
the edge of its matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..kernels.activation import activation as _activation
from ..kernels.activation import softmax as _softmax
from ..spelling import unknown

SELU_SCALE = 1.0507009873554805  # Klambauer et al. 2017, eq. 14
SELU_ALPHA = 1.6732632423543772


class Activation:
    """An activation function: callable on tensors and arrays, equal by name and arguments.

    Attributes
    ----------
    name : as Keras has it; what files and configs hold.
    kind : name of the kernel's mode.
    alpha : its one number.
    """

    def __init__(self, name: str, kind: str, doc: str, alpha: float = 1.0):
        self.name = self.__name__ = name
        self.kind, self.alpha, self.__doc__ = kind, alpha, doc

    def __call__(self, x):
        return _activation(x, kind=self.kind, alpha=self.alpha)

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


class _Softmax(Activation):
    def __call__(self, x):
        return _softmax(x)


linear = Activation("linear", "linear", "x itself.")
relu = Activation("relu", "relu", "max(x, 0); its gradient at 0 is 0 (Nair & Hinton 2010).")
sigmoid = Activation("sigmoid", "sigmoid", "1 / (1 + exp(-x)).")
tanh = Activation("tanh", "tanh", "The hyperbolic tangent.")
elu = Activation("elu", "elu", "x where positive, else exp(x) - 1 (Clevert et al. 2016).")
selu = Activation("selu", "selu", "A scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017); "
                                  "wants LeCun-normal weights.")
gelu = Activation("gelu", "gelu", "x times the normal distribution function of x, by erf (Hendrycks & Gimpel 2016).")
gelu_tanh = Activation("gelu_tanh", "gelu_tanh", "gelu by its tanh approximation (Hendrycks & Gimpel 2016, section 2).")
silu = Activation("silu", "silu", "x * sigmoid(x), also known as swish (Ramachandran et al. 2017).")
softplus = Activation("softplus", "softplus", "log(1 + exp(x)).")
exponential = Activation("exponential", "exponential", "exp(x).")
softmax = _Softmax("softmax", "softmax", "exp(x) over its sum along the last axis.")

_KNOWN: dict[str, Activation] = {a.name: a for a in (
    linear, relu, sigmoid, tanh, elu, selu, gelu, gelu_tanh, silu, softplus, exponential, softmax)}
_KNOWN["swish"] = silu
swish = silu


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
    if isinstance(identifier, str):
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
