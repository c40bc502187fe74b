"""Batches that come one at a time: from a generator, another iterable or a Keras `PyDataset`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fastnn import seeds

from .ahead import in_threads
from .array_data import ArrayData
from .order import check_steps, epoch_order

__all__ = ["IterableData"]

AHEAD = 2  #: batches that are asked for before they are needed, where a source does not say how many



class IterableData:
    """Batches from a generator, an iterable or a sequence of batches, one at a time, each checked.

    A batch is ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``, where x and y are what
    `ArrayData` takes; it comes out as an `ArrayData`.

    - An iterator (a generator) is used up once: each epoch goes on where the last one stopped. Without
      `steps_per_epoch` the first epoch takes all.
    - Another iterable (a DataLoader, say) starts anew when it has come to its end.
    - Something with ``__getitem__`` and ``__len__`` or ``num_batches``, as Keras's `PyDataset`: batches
      are asked for by number, in shuffled order if `shuffle`; ``on_epoch_begin`` and ``on_epoch_end``
      are called where it has them. While the program trains on one batch, a thread of its own asks for the next
      ``max_queue_size`` ones (2 by default), or several threads if its ``workers`` says so; with ``workers`` 0 nothing
      is asked for ahead, as for generators, whose state is their user's business.

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

    def draw_by(self, sampling: Any, classes: int | None = None, behind: int = 0) -> None:
        raise ValueError("sampling needs arrays, but x gives batches: let them hold the rows that shall be trained on.")

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
        for batch in self._numbered_ones(epoch) if self._numbered else self._next_ones():
            yield batch
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

    def _numbers(self, epoch: int) -> Iterator[int]:
        length, steps = self._length, self.num_batches
        order, in_pass = None, -1
        for step in range(epoch * steps, (epoch + 1) * steps):
            if length is None:  # endless: numbers go on
                yield step
                continue
            number, place = divmod(step, length)
            if number != in_pass:
                order, in_pass = epoch_order(length, self.shuffle, self.seed, number), number
            yield int(order[place])

    def _numbered_ones(self, epoch: int) -> Iterator[ArrayData]:
        def call(count: int, i: int) -> Callable[[], ArrayData]:
            return lambda: self._read(self.source[i], count)

        calls = (call(count, i) for count, i in enumerate(self._numbers(epoch)))
        workers = getattr(self.source, "workers", 1)
        if workers:
            return in_threads(calls, workers, max(getattr(self.source, "max_queue_size", AHEAD), 1))
        return (one() for one in calls)

    def _next_ones(self) -> Iterator[ArrayData]:
        count, end = 0, object()
        while self.steps_per_epoch is None or count < self.steps_per_epoch:
            if self._iterator is None:
                self._iterator, self._given = iter(self.source), 0
            batch = self._kept.pop() if self._kept else next(self._iterator, end)
            if batch is not end:
                yield self._read(batch, count)
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
