"""Losses and metrics on plain arrays: small programs, kept for the shapes that they were traced for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..program.backend import get_backend
from ..program.graph import Graph, Tensor
from ..program.program import Program


class Eager:
    """Runs a traced function on arrays; a copy or pickle of it starts with no programs.

    Parameters
    ----------
    limit : how many programs are kept; the one used longest ago goes first.
    """

    def __init__(self, limit: int = 8):
        self.limit = limit
        self._programs: OrderedDict[tuple, tuple[Program, list]] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self):
        return Eager, (self.limit,)

    def __call__(self, name: str, trace: Callable[..., Sequence[Tensor | float]],
                 arrays: Mapping[str, np.ndarray | None]) -> list[Any]:
        """What ``trace(**tensors)`` gives for these arrays: arrays for tensors, numbers as they are.

        An input that is ``None`` is handed on as ``None``.
        """
        given = {n: np.asarray(a, order="C") for n, a in arrays.items() if a is not None}
        key = (get_backend(), tuple((n, a.shape, a.dtype.str) for n, a in given.items()))
        with self._lock:
            if key not in self._programs:
                self._programs[key] = self._trace(name, trace, arrays)
                if len(self._programs) > self.limit:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(key)
            program, results = self._programs[key]
            out = {n: np.empty((1, *t.shape), t.dtype) for n, t in program.fetches.items()}
            program.run(1, {n: a[None] for n, a in given.items()}, out)
        return [out[r][0] if isinstance(r, str) else r for r in results]

    @staticmethod
    def _trace(name: str, trace, arrays) -> tuple[Program, list]:
        graph = Graph(name)
        tensors = {n: None if a is None else graph.feed(n, np.shape(a), a.dtype) for n, a in arrays.items()}
        results = []
        for i, made in enumerate(trace(**tensors)):
            if isinstance(made, Tensor):
                graph.fetch(f"result {i}", made)
            results.append(f"result {i}" if isinstance(made, Tensor) else made)
        return Program(graph), results


def symbolic(*values: Any) -> bool:
    """Whether any of these is a tensor of a program."""
    return any(isinstance(v, Tensor) for v in values)


def numbers(who: str, what: str, value: Any, dtype: str, ignored: int | None = None) -> np.ndarray:
    """An argument as an array of numbers of `dtype`; labels (int32) must be whole and 0 or more, or `ignored`.

    Raises
    ------
    ValueError : it holds something else than numbers.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{who}: {what} must hold numbers; got dtype {array.dtype}.")
    if dtype == "int32":
        whole = array.astype(np.int64) if array.dtype.kind != "f" else np.trunc(array)
        known = whole if ignored is None else whole[whole != ignored]
        if not np.array_equal(whole, array) or (known.size and (known.min() < 0 or known.max() >= 2**31)):
            raise ValueError(f"{who}: {what} must hold class numbers 0, 1, 2, ...; got values from {array.min()} to "
                             f"{array.max()} of dtype {array.dtype}.")
    return array.astype(dtype)


def within(who: str, labels: np.ndarray, classes: int, ignored: int | None = None) -> None:
    """Refuse class numbers that the output has no place for, but for the one that is ignored."""
    labels = labels if ignored is None else labels[labels != ignored]
    if labels.size and labels.max() >= classes:
        raise ValueError(f"{who}: y_true holds the class {labels.max()}, but y_pred has {classes} classes (0 to "
                         f"{classes - 1}).")
