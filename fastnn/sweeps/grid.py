"""Settings: what a grid or a list of them says, and which function each is for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np

from .. import spelling

OF_FIT = ("seed", "batch_size")  #: settings that the training takes, whether `build` wants them or not
FOLD = "fold"  #: the axis of a cross-validation


class Grid:
    """What a sweep goes through.

    Attributes
    ----------
    axes : name -> its values, in the order of the axes of the results; empty where a list of settings was given.
    settings : a dict for each replica, the last axis running fastest.
    shape : of the results, without epochs.

    Examples
    --------
    >>> grid = Grid({"learning_rate": [0.1, 1.0], "seed": range(3)})
    >>> grid.shape, grid.settings[1]
    ((2, 3), {'learning_rate': 0.1, 'seed': 1})
    >>> Grid([{"units": 8}, {"units": 16}]).shape
    (2,)
    """

    def __init__(self, grid: Mapping[str, Iterable] | Iterable[Mapping[str, Any]], folds: int | None = None):
        self.axes: dict[str, list] = {}
        if isinstance(grid, Mapping):
            self.axes = {_name(n): _values(n, v) for n, v in grid.items()}
            settings = [dict(zip(self.axes, values)) for values in product(*self.axes.values())]
        else:
            settings = _listed(grid)
        if folds is not None:
            if any(FOLD in s for s in settings):
                raise ValueError(f"sweep: with cv the name {FOLD!r} is taken, but the grid has a setting of that name.")
            settings = [{**s, FOLD: k} for s in settings for k in range(folds)]
            if self.axes or isinstance(grid, Mapping):
                self.axes[FOLD] = list(range(folds))
        self.settings: list[dict[str, Any]] = settings
        self.shape = tuple(len(v) for v in self.axes.values()) if self.axes else (len(settings),)
        assert math.prod(self.shape) == len(settings)

    @property
    def names(self) -> list[str]:
        return list(self.settings[0])


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"sweep: the names of a grid must be strings; got {name!r}.")
    return name


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _values(name: str, values: Any) -> list:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise TypeError(f"sweep: grid[{name!r}] must be a list of values; got {values!r}. For one value write "
                        f"[{values!r}].")
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ValueError(f"sweep: grid[{name!r}] must have one axis; got an array of shape {values.shape}.")
    values = [_plain(v) for v in values]
    if not values:
        raise ValueError(f"sweep: grid[{name!r}] is empty; there would be nothing to train.")
    return values


def _listed(grid: Any) -> list[dict[str, Any]]:
    if isinstance(grid, str | bytes) or not hasattr(grid, "__iter__"):
        raise TypeError(f"sweep: grid must be a dict of lists or a list of dicts; got {grid!r}.")
    settings = list(grid)
    if not settings:
        raise ValueError("sweep: the list of settings is empty; there would be nothing to train.")
    for k, one in enumerate(settings):
        if not isinstance(one, Mapping):
            raise TypeError(f"sweep: grid must be a dict of lists or a list of dicts; entry {k} is {one!r}.")
        if set(one) != set(settings[0]):
            odd = sorted(map(str, set(one) ^ set(settings[0])))[0]
            raise ValueError(f"sweep: all settings must have the same names, but entry {k} and entry 0 differ in "
                             f"{odd!r}.")
    return [{_name(n): _plain(one[n]) for n in settings[0]} for one in settings]


def for_build(build: Callable, names: list[str]) -> list[str]:
    """The settings that `build` is called with.

    Raises
    ------
    TypeError : `build` is no function, wants more than there is, or has no use for a setting.
    """
    if not callable(build) or hasattr(build, "compiled"):
        raise TypeError("sweep: build must be a function that makes and compiles a model from settings; got "
                        f"{build!r}.")
    who = getattr(build, "__name__", "build")
    parameters = inspect.signature(build).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return [n for n in names if n != FOLD or FOLD in {p.name for p in parameters}]
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for name in names:
        if name not in known and name not in (*OF_FIT, FOLD):
            close = spelling.nearest(name, [*known, *OF_FIT])
            hint = f"did you mean {close!r}?" if close else f"it takes {', '.join(known) or 'none'}."
            raise TypeError(f"sweep: {who} has no parameter {name!r}, which the grid names; {hint}")
    for p in parameters:
        if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and p.name not in names:
            raise TypeError(f"sweep: {who} wants {p.name!r}, which the grid does not name; it has "
                            f"{', '.join(names) or 'nothing'}.")
    return [n for n in names if n in known]
