"""What fit, evaluate and predict take, in one of two canonical forms.

`ArrayData`: everything is in memory, and the program gathers shuffled rows itself. `IterableData`: batches
come one at a time from a generator, another iterable or a Keras `PyDataset`. `adapt` chooses,
`training_data` does so for all arguments of a fit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastnn import seeds

from .arrays import as_arrays, as_weights, check_labels, class_weights, is_several

__all__ = [
    "ArrayData",
    "IterableData",
    "adapt",
    "batches",
    "check_batch_size",
    "check_labels",
    "check_steps",
    "epoch_order",
    "epoch_runs",
    "training_data",
    "validation",
]

SHUFFLING = 0x5348  # the key of the orders of epochs among whatever else comes from the same seed


class ArrayData:
    """Inputs, targets and weights in memory, checked, as lists of C-contiguous native arrays.

    Arrays that are so already are taken without a copy and never written to.

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
        return self._map(lambda a: a[rows])

    def _map(self, some) -> ArrayData:
        part = object.__new__(ArrayData)
        part.__dict__.update(self.__dict__)
        part.x, part.y = [some(a) for a in self.x], [some(a) for a in self.y]
        part.sample_weight = [None if a is None else some(a) for a in self.sample_weight]
        part.n = len(part.x[0])
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


# ---------------------------------------------------------------------------------- which rows, in which order


def check_batch_size(batch_size: Any) -> int:
    """`batch_size` as an int of at least 1; None is Keras's 32."""
    if batch_size is None:
        return 32
    return _count(batch_size, "batch_size")


def check_steps(steps: Any, name: str = "steps_per_epoch") -> int | None:
    """A number of steps as an int of at least 1, or None."""
    return None if steps is None else _count(steps, name)


def _count(value: Any, name: str) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, but is {value!r}.")
    return int(value)


def batches(n: int, batch_size: int) -> tuple[int, int]:
    """How many full batches n rows make, and how many rows remain for a last, smaller one.

    A batch size above n is no mistake: as in Keras it gives one batch of n rows.

    Examples
    --------
    >>> batches(100, 32), batches(64, 32), batches(5, 32)
    ((3, 4), (2, 0), (0, 5))
    """
    return divmod(n, check_batch_size(batch_size))


def epoch_order(n: int, shuffle: bool, seed: int | np.random.SeedSequence, epoch: int) -> np.ndarray:
    """The order of the n rows in an epoch, an int64 array: it depends on these arguments alone.

    So a fit that is resumed at some epoch goes on with the order that it would have had.

    Examples
    --------
    >>> epoch_order(4, False, 1, 0)
    array([0, 1, 2, 3])
    >>> sorted(epoch_order(4, True, 1, 0).tolist())
    [0, 1, 2, 3]
    """
    if not shuffle:
        return np.arange(n, dtype=np.int64)
    seed = seeds.child(seeds.seed_sequence(seed), SHUFFLING, epoch)
    return np.random.Generator(np.random.PCG64(seed)).permutation(n).astype(np.int64, copy=False)


def epoch_runs(
    n: int,
    batch_size: int,
    shuffle: bool,
    seed: int | np.random.SeedSequence,
    epoch: int,
    steps_per_epoch: int | None = None,
) -> list[tuple[np.ndarray, int]]:
    """An epoch as runs of equal batches: ``(rows, size)``, ``len(rows) // size`` steps each.

    Without `steps_per_epoch` an epoch is one pass over the data: a run of full batches and, where rows
    remain, a run of one smaller batch. With it, an epoch has that many steps and goes on where the one
    before stopped, into the next pass (with its own order) where a pass ends.

    Examples
    --------
    >>> epoch_runs(5, 2, False, 0, 0)
    [(array([0, 1, 2, 3]), 2), (array([4]), 1)]
    >>> epoch_runs(5, 2, False, 0, 1, steps_per_epoch=2)      # the third batch, and the first again
    [(array([4]), 1), (array([0, 1]), 2)]
    """
    full, rest = batches(n, batch_size)
    in_pass = full + (rest > 0)
    first, count = (epoch * in_pass, in_pass) if steps_per_epoch is None else (epoch * steps_per_epoch, steps_per_epoch)
    runs = []
    while count:
        number, start = divmod(first, in_pass)
        stop = min(start + count, in_pass)
        order = epoch_order(n, shuffle, seed, number)
        if start < full:
            runs.append((order[start * batch_size : min(stop, full) * batch_size], batch_size))
        if stop == in_pass and rest:
            runs.append((order[full * batch_size :], rest))
        first, count = first + stop - start, count - (stop - start)
    return runs


# ---------------------------------------------------------------------------------- batches from elsewhere


class IterableData:
    """Batches from a generator, an iterable or a sequence of batches, one at a time, each checked.

    A batch is ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``, where x and y are what
    `ArrayData` takes; it comes out as an `ArrayData`.

    - An iterator (a generator) is used up once: each epoch goes on where the last one stopped. Without
      `steps_per_epoch` the first epoch takes all.
    - Another iterable (a DataLoader, say) starts anew when it has come to its end.
    - Something with ``__getitem__`` and ``__len__`` or ``num_batches``, as Keras's `PyDataset`: batches
      are asked for by number, in shuffled order if `shuffle`; ``on_epoch_begin`` and ``on_epoch_end``
      are called where it has them.

    Attributes
    ----------
    num_batches : steps of an epoch, or None while nobody knows.
    ran_out : True when the source ended before the epoch did; the trainer then stops.

    Examples
    --------
    >>> data = IterableData((np.full((2, 3), i), [i, i]) for i in range(4))
    >>> data.first()
    ArrayData(2 rows, x: int64[3], y: int64[])
    >>> [batch.y[0].tolist() for batch in data.epoch(0)]
    [[0, 0], [1, 1], [2, 2], [3, 3]]
    """

    def __init__(
        self,
        source: Any,
        steps_per_epoch: int | None = None,
        class_weight: Mapping | str | None = None,
        shuffle: bool = False,
        seed: int | np.random.SeedSequence | None = None,
        classes: int | None = None,
    ):
        self.source = source
        self.steps_per_epoch = check_steps(steps_per_epoch)
        self.class_weight: Mapping | str | None = None
        self.classes: int | None = None
        if class_weight is not None:
            self.weigh_classes(class_weight, classes)
        self.shuffle, self.seed = bool(shuffle), seeds.seed_sequence(seed)
        self.ran_out = False
        self._iterator: Iterator | None = None
        self._given = 0  # batches that this iterator has given to epochs
        self._kept: list = []  # a batch that `first` has taken from an iterator
        self._once = hasattr(source, "__next__")
        self._length = None if self._once else _length(source)
        self._numbered = not self._once and hasattr(source, "__getitem__")
        if self._numbered and self.num_batches is None:
            raise ValueError("x has no number of batches (num_batches is None), so steps_per_epoch has to be given.")
        if self._length == 0:
            raise ValueError(f"x, a {type(source).__name__}, holds no batches.")

    def weigh_classes(self, class_weight: Mapping | str, classes: int | None = None) -> None:
        """Give the rows of each batch the weights of their classes."""
        if isinstance(class_weight, str):
            raise ValueError(f"class_weight={class_weight!r} needs all of y, but x gives batches: give a dict class -> "
                             "weight.")
        self.class_weight, self.classes = class_weight, classes

    @property
    def num_batches(self) -> int | None:
        return self.steps_per_epoch or self._length

    def first(self) -> ArrayData:
        """The first batch, which `epoch` gives again: to build a model from."""
        if self._numbered:
            return self._read(self.source[0], 0)
        if not self._kept:
            if self._iterator is None:
                self._iterator = iter(self.source)
            try:
                self._kept.append(next(self._iterator))
            except StopIteration:
                raise ValueError(f"x, a {type(self.source).__name__}, gave no batch.") from None
        return self._read(self._kept[0], 0)

    def epoch(self, epoch: int = 0) -> Iterator[ArrayData]:
        """The batches of an epoch."""
        _call(self.source, "on_epoch_begin")
        count = 0
        for batch in self._numbers(epoch) if self._numbered else self._next_ones():
            yield self._read(batch, count)
            count += 1
        if self.ran_out:
            wanted = f"{self.steps_per_epoch} steps" if self.steps_per_epoch else "a step"
            warnings.warn(
                f"x ran out of batches in epoch {epoch + 1}, after {count} steps where {wanted} were wanted: the run "
                "ends here. A generator must give steps_per_epoch * epochs batches.",
                stacklevel=2,
            )
        elif self.num_batches is None:
            self._length = count  # one pass has shown it
        _call(self.source, "on_epoch_end")

    def pass_over(self, epoch: int) -> None:
        """Leave the batches of an epoch out, as far as a later one begins elsewhere for them."""
        if self._once or (not self._numbered and self.steps_per_epoch is not None):
            for _ in self.epoch(epoch):
                pass

    def _numbers(self, epoch: int) -> Iterator:
        length, steps = self._length, self.num_batches
        order, in_pass = None, -1
        for step in range(epoch * steps, (epoch + 1) * steps):
            if length is None:  # endless: numbers go on
                yield self.source[step]
                continue
            number, place = divmod(step, length)
            if number != in_pass:
                order, in_pass = epoch_order(length, self.shuffle, self.seed, number), number
            yield self.source[int(order[place])]

    def _next_ones(self) -> Iterator:
        count, end = 0, object()
        while self.steps_per_epoch is None or count < self.steps_per_epoch:
            if self._iterator is None:
                self._iterator, self._given = iter(self.source), 0
            batch = self._kept.pop() if self._kept else next(self._iterator, end)
            if batch is not end:
                yield batch
                count, self._given = count + 1, self._given + 1
            elif self._once or not self._given:  # nothing more will come
                self.ran_out = self.steps_per_epoch is not None or count == 0
                return
            else:
                self._iterator = None  # the next pass begins anew
                if self.steps_per_epoch is None and count:
                    return

    def _read(self, batch: Any, number: int) -> ArrayData:
        if isinstance(batch, list):
            batch = tuple(batch)
        if not isinstance(batch, tuple):
            batch = (batch,)
        if not 1 <= len(batch) <= 3:
            raise ValueError(
                f"Batch {number}: a batch is x, (x, y) or (x, y, sample_weight), but a tuple of {len(batch)} came."
            )
        try:
            return ArrayData(*batch, class_weight=self.class_weight, classes=self.classes)
        except ValueError as error:
            raise ValueError(f"Batch {number}: {error}") from None


def _length(source: Any) -> int | None:
    if hasattr(source, "num_batches"):
        number = source.num_batches
        return None if number is None else int(number)
    try:
        return len(source)
    except TypeError:
        return None


def _call(source: Any, moment: str) -> None:
    if callable(getattr(source, moment, None)):
        getattr(source, moment)()


# ---------------------------------------------------------------------------------- one entry for all


def _is_arrays(x: Any) -> bool:
    if isinstance(x, (np.ndarray, list, tuple, range, Mapping, int, float, complex, str, bytes)):
        return True
    return any(hasattr(x, name) for name in ("__array__", "to_numpy", "toarray"))


def adapt(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    class_weight: Mapping | str | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    seed: int | np.random.SeedSequence | None = None,
    classes: int | None = None,
) -> ArrayData | IterableData:
    """`ArrayData` from arrays, `IterableData` from whatever gives batches; either of them passes.

    `steps`, `shuffle` and `seed` only concern iterables here: for arrays see `epoch_runs`.

    Examples
    --------
    >>> adapt([[1.0], [2.0]], [0, 1])
    ArrayData(2 rows, x: float64[1], y: int64[])
    """
    if isinstance(x, (ArrayData, IterableData)):
        return x
    if x is None:
        raise ValueError("x is missing (None).")
    if _is_arrays(x):
        return ArrayData(x, y, sample_weight, class_weight, classes)
    if not any(hasattr(x, name) for name in ("__next__", "__iter__", "__getitem__")):
        hint = ": call it, and give what it returns" if callable(x) else ""
        raise ValueError(f"x must be arrays or give batches, but is of type {type(x).__name__}{hint}.")
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name} must not be given where x, a {type(x).__name__}, gives batches: they carry it.")
    return IterableData(x, steps, class_weight, shuffle, seed, classes)


def validation(
    validation_data: Any, *, steps: int | None = None, classes: int | None = None
) -> ArrayData | IterableData:
    """What Keras takes as `validation_data`: ``(x, y)``, ``(x, y, sample_weight)`` or an iterable of batches."""
    if isinstance(validation_data, (list, tuple)):
        if len(validation_data) not in (2, 3):
            raise ValueError(
                f"validation_data must be (x, y) or (x, y, sample_weight), but has {len(validation_data)} parts."
            )
        parts = list(validation_data)
    else:
        parts = [validation_data]
    try:
        return adapt(*parts, steps=steps, classes=classes)
    except ValueError as error:
        raise ValueError(f"validation_data: {error}") from None


def training_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    class_weight: Mapping | str | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    shuffle: bool = True,
    seed: int | np.random.SeedSequence | None = None,
    classes: int | None = None,
) -> tuple[ArrayData | IterableData, ArrayData | IterableData | None]:
    """All data arguments of `fit` as (training data, validation data or None).

    As in Keras, `validation_data` goes before `validation_split`, and class weights are for the training data alone;
    balanced ones follow from the rows that are trained on.

    Examples
    --------
    >>> training_data(np.zeros((10, 2)), np.zeros(10), validation_split=0.3)
    (ArrayData(7 rows, x: float64[2], y: float64[]), ArrayData(3 rows, x: float64[2], y: float64[]))
    """
    train = adapt(x, y, sample_weight, steps=steps_per_epoch, shuffle=shuffle, seed=seed, classes=classes)
    held_out = None
    if validation_data is not None:
        held_out = validation(validation_data, steps=validation_steps, classes=classes)
    elif validation_split or isinstance(validation_split, bool):
        if not isinstance(train, ArrayData):
            raise ValueError(f"validation_split needs arrays, but x is a {type(x).__name__}: give validation_data.")
        train, held_out = train.split(validation_split)
    if class_weight is not None:
        train.weigh_classes(class_weight, classes)
    return train, held_out
