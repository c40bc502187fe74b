"""Data in memory, or in files that are mapped into it, from which a program gathers the rows of its batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from .ahead import in_threads
from .arrays import as_arrays, as_weights, class_weights, is_ready, is_several, ready
from .order import batches
from .sampling import Sampler, sampler_of

__all__ = ["ArrayData"]

WINDOW = 1 << 26  #: bytes that are converted together, of data that the gather kernel can't read as it is


class ArrayData:
    """Inputs, targets and weights in memory, checked, as lists of C-contiguous native arrays.

    Arrays that are so already are taken without a copy and never written to. So are files of any size that are mapped
    (`numpy.memmap`); of large ones of other dtypes and layouts `pieces` converts some batches at a time.

    Parameters
    ----------
    x : array-like of numbers (n, ...): NumPy arrays of any layout, lists, pandas frames, whatever has
        ``__array__``; or a list, tuple or dict of them for several inputs.
    y : the same for targets, or None.
    sample_weight : array-like (n,), (n, 1) or of the leading axes of y; a list or dict with one for each
        target; or None.
    class_weight : dict class -> weight, for a single target of labels or one-hot rows; or "balanced".
    classes : int, the number of classes where it is known; without it `class_weight` may name the
        classes up to the largest label.

    Attributes
    ----------
    x, y, sample_weight : lists of arrays. `y` and `sample_weight` are empty where none was given;
        weights are float32, and None for a target that has none.
    x_names, y_names : the keys if a dict came, else None.
    n : rows.
    sampler : draws the rows that are trained on, see `draw_by`; None to take each once.

    Raises
    ------
    ValueError : a sentence that names the argument, for dtypes that are not numbers, NaN or infinity,
        empty data, lengths that differ, weights of a wrong shape.

    Examples
    --------
    >>> data = ArrayData(np.zeros((3, 2), np.float32), [0, 1, 1], class_weight={1: 2.0})
    >>> data
    ArrayData(3 rows, x: float32[2], y: int64[], sample_weight: float32[])
    >>> data.sample_weight[0].tolist()
    [1.0, 2.0, 2.0]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping | str | None = None,
        classes: int | None = None,
    ):
        self.x, self.x_names = as_arrays(x, "x")
        self.y, self.y_names = ([], None) if y is None else as_arrays(y, "y")
        self.n = len(self.x[0])
        self.sampler: Sampler | None = None
        self._check_lengths()
        self.sample_weight: list[np.ndarray | None] = []
        if sample_weight is not None:
            self.sample_weight = self._weights(sample_weight)
        if class_weight is not None:
            self.weigh_classes(class_weight, classes)

    def weigh_classes(self, class_weight: Mapping | str, classes: int | None = None) -> None:
        """Give each row the weight of its class, or by "balanced" one by how rare its class is."""
        if any(w is not None for w in self.sample_weight):
            raise ValueError("class_weight and sample_weight cannot both be given: multiply them into sample_weight.")
        if len(self.y) != 1:
            raise ValueError(f"class_weight needs exactly one target, but y holds {len(self.y)}.")
        self.sample_weight = [class_weights(self.y[0], class_weight, classes)]

    def draw_by(self, sampling: Any, classes: int | None = None, behind: int = 0) -> None:
        """Draw rows by class or weight: "balanced", a dict class -> share, or an array of one weight for each row.

        `behind` rows were split off to validate on; the array may hold weights for them too.
        """
        if behind and not isinstance(sampling, (str, Mapping)):
            sampling = as_arrays(sampling, "sampling")[0][0]
            sampling = sampling[: self.n] if len(sampling) == self.n + behind else sampling
        self.sampler = sampler_of(sampling, self.y, self.n, classes)

    def _check_lengths(self) -> None:
        lengths = [(name, len(a)) for name, arrays in (("x", self.x), ("y", self.y)) for a in arrays]
        if len({length for _, length in lengths}) > 1:
            raise ValueError(f"x and y must have equally many rows, but have {_sizes(lengths)}.")

    def _weights(self, given: Any) -> list[np.ndarray | None]:
        targets = self.y or [None]
        if not is_several(given):
            for _target in targets[1:]:  # one array for all targets says one number for each row
                as_weights(given, "sample_weight", None, self.n)
            return [as_weights(given, "sample_weight", target, self.n) for target in targets]
        if isinstance(given, Mapping):
            strange = [key for key in given if key not in (self.y_names or ())]
            if strange:
                raise ValueError(
                    f"sample_weight names the target {strange[0]!r}, but y holds {self.y_names or 'no names'}."
                )
            parts = [(f"sample_weight[{key!r}]", given.get(key)) for key in self.y_names]
        else:
            parts = [(f"sample_weight[{i}]", part) for i, part in enumerate(given)]
        if len(parts) != len(targets):
            raise ValueError(f"sample_weight holds {len(parts)} arrays, but there are {len(targets)} targets.")
        return [
            None if part is None else as_weights(part, name, target, self.n)
            for (name, part), target in zip(parts, targets)
        ]

    def rows(self, start: int, stop: int) -> ArrayData:
        """Rows ``start .. stop - 1``, sharing memory."""
        return self._map(lambda a: a[start:stop])

    def take(self, rows: np.ndarray) -> ArrayData:
        """These rows, copied: what the gather kernel does inside a program."""
        return self._map(lambda a: ready(a[rows], "The data"))

    @property
    def is_ready(self) -> bool:
        """Whether the gather kernel can read all of it; if not, `pieces` or `take` makes what it can."""
        return all(a is None or is_ready(a) for a in (*self.x, *self.y, *self.sample_weight))

    def pieces(self, rows: np.ndarray) -> Iterator[tuple[ArrayData, np.ndarray]]:
        """What the batches `rows`, of shape (steps, batch), are gathered from, and which rows of that they are.

        Once the data itself; of what must be converted first the rows of some batches, in a thread that is one step
        ahead.
        """
        if self.is_ready:
            yield self, rows
            return
        per_row = sum(a[:1].nbytes for a in (*self.x, *self.y, *self.sample_weight) if a is not None)
        steps = max(1, WINDOW // (per_row * rows.shape[1]))

        def piece(part):
            numbers, places = np.unique(part, return_inverse=True)  # sorted, as reading likes it
            return self.take(numbers), places.reshape(part.shape).astype(np.int64, copy=False)

        yield from in_threads((partial(piece, rows[at : at + steps]) for at in range(0, len(rows), steps)), 1, 1)

    def _map(self, some) -> ArrayData:
        part = object.__new__(ArrayData)
        part.__dict__.update(self.__dict__)
        part.x, part.y = [some(a) for a in self.x], [some(a) for a in self.y]
        part.sample_weight = [None if a is None else some(a) for a in self.sample_weight]
        part.n, part.sampler = len(part.x[0]), None
        return part

    def split(self, validation_split: float) -> tuple[ArrayData, ArrayData]:
        """The first rows to train on and, the last fraction, unshuffled, to validate on, each with its sample weights.

        Examples
        --------
        >>> train, validation = ArrayData(np.arange(10.0)).split(0.2)
        >>> train.n, validation.x[0]
        (8, array([8., 9.]))
        """
        number = isinstance(validation_split, (int, float, np.integer, np.floating))
        if not number or isinstance(validation_split, bool) or not 0 < validation_split < 1:
            raise ValueError(f"validation_split must be a number between 0 and 1, but is {validation_split!r}.")
        at = math.floor(self.n * (1.0 - validation_split))
        if at in (0, self.n):
            raise ValueError(f"validation_split={validation_split} of {self.n} rows leaves one of the two parts empty.")
        return self.rows(0, at), self.rows(at, self.n)

    def num_batches(self, batch_size: int) -> int:
        full, rest = batches(self.n, batch_size)
        return full + (rest > 0)

    def __repr__(self) -> str:
        parts = [f"{self.n} rows"]
        for name, arrays in (("x", self.x), ("y", self.y), ("sample_weight", self.sample_weight)):
            if arrays:
                kinds = ("-" if a is None else f"{a.dtype}[{','.join(map(str, a.shape[1:]))}]" for a in arrays)
                parts.append(f"{name}: {' '.join(kinds)}")
        return f"ArrayData({', '.join(parts)})"


def _sizes(lengths: list[tuple[str, int]]) -> str:
    return ", ".join(f"{length} ({name})" for name, length in lengths)
