"""Sampling by class or by row: which rows the batches hold where not every row shall count alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import spelling

from .arrays import as_array, class_indices

__all__ = ["ClassSampler", "RowSampler", "Sampler", "sampler_of"]


class Sampler:
    """Draws the rows of a pass; nothing is copied but their numbers.

    Both kinds draw systematically: of `count` rows that stand for shares p, each is drawn ``floor(count * p)`` or
    ``ceil(count * p)`` times, in the mean ``count * p`` times, so there is less noise than in independent draws.
    """

    def draw(self, count: int, batch_size: int, generator: np.random.Generator) -> np.ndarray:
        """`count` rows for batches of `batch_size` rows (the last one may be smaller), as int64."""
        raise NotImplementedError(f"{type(self).__name__} must override draw(self, count, batch_size, generator).")


def _systematic(cumulative: np.ndarray, size: int, generator: np.random.Generator, times: int = 1) -> np.ndarray:
    """`times` draws of `size` places each, by shares that add up to ``cumulative[-1]``; shape (times, size)."""
    at = (np.arange(size) + generator.random((times, 1))) / size * cumulative[-1]
    drawn = np.searchsorted(cumulative, at, side="right")
    return np.minimum(drawn, len(cumulative) - 1)  # where rounding led to the very end


class ClassSampler(Sampler):
    """Each batch draws its classes by given shares, and from each class its rows in shuffled order.

    Of a class that is drawn more often than it has rows each row comes again before any comes a third time; of one
    that is drawn less often no row comes twice in a pass.

    Parameters
    ----------
    labels : int array (n,), the class of each row.
    shares : dict class -> share of the batches' rows, in any unit; None for equal shares of the classes that are there.

    References
    ----------
    Buda, Maki & Mazurowski (2018), A systematic study of the class imbalance problem in convolutional neural
    networks, arXiv:1710.05381: oversampling of this kind.

    Examples
    --------
    >>> sampler = ClassSampler(np.array([0] * 90 + [1] * 10))
    >>> rows = sampler.draw(100, 20, np.random.default_rng(0))
    >>> (rows.reshape(5, 20) >= 90).sum(axis=1).tolist(), np.bincount(rows)[90:].tolist()
    ([10, 10, 10, 10, 10], [5, 5, 5, 5, 5, 5, 5, 5, 5, 5])
    """

    def __init__(self, labels: np.ndarray, shares: Mapping[int, float] | None = None):
        classes, counts = np.unique(labels, return_counts=True)
        order = np.argsort(labels, kind="stable")
        self.rows = dict(zip(classes.tolist(), np.split(order, np.cumsum(counts)[:-1])))
        shares = dict.fromkeys(self.rows, 1.0) if shares is None else self._check(shares)
        self.classes = [c for c in self.rows if shares[c] > 0]
        self._cumulative = np.cumsum([shares[c] for c in self.classes], dtype=np.float64)

    def _check(self, shares: Mapping[int, float]) -> dict[int, float]:
        for key, share in shares.items():
            if isinstance(key, (bool, np.bool_)) or not isinstance(key, (int, np.integer)):
                raise ValueError(f"sampling: a class is an integer, but {key!r} was given.")
            check_share(share, f"class {key}")
            if share > 0 and key not in self.rows:
                raise ValueError(f"sampling names class {key}, of which y has no row.")
        for key in self.rows:
            if key not in shares:
                raise ValueError(f"sampling says nothing of class {key}, which y holds: give it a share, or 0 to leave "
                                 "its rows out.")
        if not any(shares.values()):
            raise ValueError("sampling gives every class the share 0.")
        return {int(key): float(share) for key, share in shares.items()}

    def draw(self, count: int, batch_size: int, generator: np.random.Generator) -> np.ndarray:
        full, rest = divmod(count, batch_size)
        parts = [_systematic(self._cumulative, batch_size, generator, full)] if full else []
        parts += [_systematic(self._cumulative, rest, generator)] if rest else []
        places = np.concatenate([generator.permuted(part, axis=1).ravel() for part in parts])
        drawn = np.empty(count, np.int64)
        for place, name in enumerate(self.classes):
            where, rows = np.flatnonzero(places == place), self.rows[name]
            rounds = [generator.permutation(rows) for _ in range(-(-len(where) // len(rows)))]
            if rounds:
                drawn[where] = np.concatenate(rounds)[: len(where)]
        return drawn


class RowSampler(Sampler):
    """Each row is drawn as often as its weight says.

    Parameters
    ----------
    weights : float array (n,) of numbers of at least 0, in any unit.

    Examples
    --------
    >>> rows = RowSampler(np.array([1.0, 0.0, 3.0])).draw(8, 4, np.random.default_rng(0))
    >>> np.bincount(rows).tolist()
    [2, 0, 6]
    """

    def __init__(self, weights: np.ndarray):
        if not (weights >= 0).all() or not weights.any():
            raise ValueError("sampling: the weights of rows must be at least 0, and one above it.")
        self._rows = np.flatnonzero(weights)  # a row of weight 0 is not even drawn by rounding
        self._cumulative = np.cumsum(weights[self._rows], dtype=np.float64)

    def draw(self, count: int, batch_size: int, generator: np.random.Generator) -> np.ndarray:
        drawn = self._rows[_systematic(self._cumulative, count, generator)[0]]
        generator.shuffle(drawn)
        return drawn.astype(np.int64, copy=False)


def check_share(share: Any, of: str) -> None:
    number = isinstance(share, (int, float, np.integer, np.floating)) and not isinstance(share, bool)
    if not number or not 0 <= share < np.inf:
        raise ValueError(f"sampling: the share of {of} must be a finite number of at least 0, but is {share!r}.")


def sampler_of(sampling: Any, y: list[np.ndarray], n: int, classes: int | None = None) -> Sampler:
    """The sampler that `fit`'s argument means, for n rows with these targets; `classes` are those of the model."""
    if isinstance(sampling, str):
        spelling.one_of("sampling", sampling, ("balanced",))
    if not isinstance(sampling, (str, Mapping)):
        weights = as_array(sampling, "sampling")
        if weights.shape != (n,):
            raise ValueError(f"sampling must be 'balanced', a dict class -> share, or one weight for each of the {n} "
                             f"rows, but has shape {weights.shape}.")
        return RowSampler(weights.astype(np.float64))
    if len(y) != 1:
        raise ValueError(f"sampling by class needs exactly one target, but y holds {len(y)}.")
    labels = class_indices(y[0])
    for key in sampling if isinstance(sampling, Mapping) and classes is not None else ():
        if isinstance(key, (int, np.integer)) and not 0 <= key < classes:
            raise ValueError(f"sampling names class {key}, but the classes are 0 to {classes - 1}.")
    return ClassSampler(labels, None if isinstance(sampling, str) else sampling)
