"""Which rows the batches of an epoch hold, and in which order."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import seeds

from .sampling import Sampler

__all__ = ["batches", "check_batch_size", "check_shuffle", "check_steps", "epoch_order", "epoch_runs"]

SHUFFLING = 0x5348  # the key of the orders of epochs among whatever else comes from the same seed
PIECES = 16  #: neighbouring rows are read together: a window of shuffled rows is made of so many pieces



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


def check_shuffle(shuffle: Any) -> bool | int:
    """`shuffle` of `fit`: a bool, or the rows of a window."""
    if isinstance(shuffle, (bool, np.bool_)):
        return bool(shuffle)
    if not isinstance(shuffle, (int, np.integer)) or shuffle < 0:
        raise ValueError(f"shuffle must be True, False or a number of rows, but is {shuffle!r}.")
    return int(shuffle)


def batches(n: int, batch_size: int) -> tuple[int, int]:
    """How many full batches n rows make, and how many rows remain for a last, smaller one.

    A batch size above n is no mistake: as in Keras it gives one batch of n rows.

    Examples
    --------
    >>> batches(100, 32), batches(64, 32), batches(5, 32)
    ((3, 4), (2, 0), (0, 5))
    """
    return divmod(n, check_batch_size(batch_size))


def epoch_order(n: int, shuffle: bool | int, seed: int | np.random.SeedSequence, epoch: int) -> np.ndarray:
    """The order of the n rows in an epoch, an int64 array: it depends on these arguments alone.

    So a fit that is resumed at some epoch goes on with the order that it would have had.

    Parameters
    ----------
    shuffle : False for 0, 1, 2 ...; True for any order; a number of rows to shuffle within windows of so many rows,
        each made of 16 pieces of neighbouring rows from anywhere. At any time only the rows of a window, or two, are
        read, so that data that is larger than memory comes from the disk in long runs. The pieces begin elsewhere in
        each epoch.

    Examples
    --------
    >>> epoch_order(4, False, 1, 0)
    array([0, 1, 2, 3])
    >>> sorted(epoch_order(4, True, 1, 0).tolist())
    [0, 1, 2, 3]
    """
    if shuffle is False or shuffle == 0:
        return np.arange(n, dtype=np.int64)
    generator = _generator(seed, epoch)
    if shuffle is True:
        return generator.permutation(n).astype(np.int64, copy=False)
    return _in_windows(n, shuffle, generator)


def _generator(seed: int | np.random.SeedSequence, epoch: int) -> np.random.Generator:
    seed = seeds.child(seeds.seed_sequence(seed), SHUFFLING, epoch)
    return np.random.Generator(np.random.PCG64(seed))


def _in_windows(n: int, window: int, generator: np.random.Generator) -> np.ndarray:
    piece = max(1, window // PIECES)
    edges = np.unique(np.r_[0, np.arange(generator.integers(piece), n, piece), n])
    starts, lengths = edges[:-1], np.diff(edges)
    order = generator.permutation(len(starts))
    starts, lengths = starts[order], lengths[order]
    rows = np.arange(n) + np.repeat(starts - np.r_[0, np.cumsum(lengths)[:-1]], lengths)
    for start in range(0, n, window):
        generator.shuffle(rows[start : start + window])
    return rows.astype(np.int64, copy=False)


def epoch_runs(
    n: int,
    batch_size: int,
    shuffle: bool | int,
    seed: int | np.random.SeedSequence,
    epoch: int,
    steps_per_epoch: int | None = None,
    sampler: Sampler | None = None,
) -> list[tuple[np.ndarray, int]]:
    """An epoch as runs of equal batches: ``(rows, size)``, ``len(rows) // size`` steps each.

    Without `steps_per_epoch` an epoch is one pass over the data: a run of full batches and, where rows
    remain, a run of one smaller batch. With it, an epoch has that many steps and goes on where the one
    before stopped, into the next pass (with its own order) where a pass ends. A `sampler` draws the n rows of a pass
    in place of an order.

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
        if sampler is None:
            order = epoch_order(n, shuffle, seed, number)
        else:
            order = sampler.draw(n, batch_size, _generator(seed, number))
        if start < full:
            runs.append((order[start * batch_size : min(stop, full) * batch_size], batch_size))
        if stop == in_pass and rest:
            runs.append((order[full * batch_size :], rest))
        first, count = first + stop - start, count - (stop - start)
    return runs
