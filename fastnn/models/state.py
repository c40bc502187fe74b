"""The weights of a model by name: state dicts, gradients, partial loading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..layers.layer import Layer
from ..program.variable import Variable

if TYPE_CHECKING:
    from .model import Model


class Keys(NamedTuple):
    """What `load_state_dict` did not find a partner for."""

    missing_keys: list[str]  #: weights of the model that the dict does not hold
    unexpected_keys: list[str]  #: entries of the dict that the model has no weight for


def names_of(layer: Layer) -> list[str]:
    """The names of a layer's or model's variables, in their order: layers from the outside in, then the weight.

    A weight that stands in several places has the name of the first. Names need not differ.

    Examples
    --------
    >>> import fastnn
    >>> inner = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2, name="first")], name="body")
    >>> names_of(fastnn.Sequential([inner, fastnn.layers.Dense(1, use_bias=False, name="head")]))
    ['body/first/kernel', 'body/first/bias', 'head/kernel']
    """
    found: dict[int, str] = {}
    seen: set[int] = set()

    def walk(part: Layer, prefix: str) -> None:
        if id(part) in seen:
            return
        seen.add(id(part))
        for v in part._variables:
            found.setdefault(id(v), prefix + v.name)
        for child in part._children():
            walk(child, f"{prefix}{child.name}/")

    walk(layer, "")
    return [found[id(v)] for v in layer.variables]


def named_variables(model: Layer) -> dict[str, Variable]:
    """Name -> variable, in their order.

    Raises
    ------
    ValueError : two variables have one name, since two layers side by side do.
    """
    names, variables = names_of(model), model.variables
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{model.name} has two weights named {name!r}, so that neither can be told by its name: "
                             "give the layers names of their own.")
    return dict(zip(names, variables))


def state_dict(model: Model) -> dict[str, np.ndarray]:
    """Copies of all weights by name."""
    return {name: v.numpy() for name, v in named_variables(model).items()}


def load_state_dict(model: Model, state: Mapping[str, np.ndarray], strict: bool = True) -> Keys:
    """Overwrite weights by name; nothing changes unless all that are there fit. See `Model.load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(f"Model {model.name}: load_state_dict takes a dict name -> array; got {type(state).__name__}.")
    variables = named_variables(model)
    keys = Keys([n for n in variables if n not in state], [str(n) for n in state if n not in variables])
    if strict and any(keys):
        lacks = f"it lacks {_some(keys.missing_keys)}" if keys.missing_keys else ""
        odd = f"the model has no {_some(keys.unexpected_keys)}" if keys.unexpected_keys else ""
        raise ValueError(f"Model {model.name}: the state dict is of another model: "
                         f"{' and '.join(filter(None, (lacks, odd)))}. With strict=False what fits is taken.")
    values = {n: np.asarray(state[n]) for n in variables if n in state}
    for name, value in values.items():
        v = variables[name]
        if value.shape != v.shape or value.dtype.kind not in "fiub":
            raise ValueError(f"Model {model.name}: {name} has shape {v.shape}; the state dict holds an array of shape "
                             f"{value.shape} and dtype {value.dtype}.")
    for name, value in values.items():
        variables[name].assign(value)
    return keys


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
