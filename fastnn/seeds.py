"""Where random numbers come from: one stream of seeds for the whole package.

Whoever needs random numbers and was given no seed (an initializer, a dropout layer, the shuffling of a
fit) takes the next seed of the package's stream. `set_random_seed` starts that stream anew, so the
same program with the same seed draws the same numbers. A seed is a `numpy.random.SeedSequence`: NumPy
generators take it as it is, and `key_pair` makes the two 32-bit words that key a Philox kernel.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

Seed = "int | np.random.SeedSequence | np.random.Generator | None"  #: what arguments named `seed` take (numpy.random
# takes 10 ms to import, so nothing here touches it before it is needed)


class SeedStream:
    """An endless, repeatable list of seeds; `next` hands out one after the other.

    The i-th seed depends on the stream's own seed and on i alone. Any number of threads may draw: each
    seed is handed out once, though which thread gets which is theirs to settle.

    Examples
    --------
    >>> a, b = SeedStream(7), SeedStream(7)
    >>> key_pair(a.next()) == key_pair(b.next())
    True
    >>> key_pair(a.next()) == key_pair(b.next())
    True
    """

    def __init__(self, seed: int | None = None):
        self._lock = threading.Lock()
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Start again, from `seed` or (None) from the operating system's entropy."""
        entropy = int.from_bytes(os.urandom(16), "little") if seed is None else check_seed(seed)
        with self._lock:
            self._entropy, self._count = entropy, 0

    def next(self) -> np.random.SeedSequence:
        """The next seed: what ``SeedSequence(seed).spawn`` would give at this place."""
        with self._lock:
            place, entropy = self._count, self._entropy
            self._count += 1
        return np.random.SeedSequence(entropy, spawn_key=(place,))

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # another thread may have held the old one when the process forked


_stream = SeedStream()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stream._after_fork)


def check_seed(seed: int) -> int:
    """`seed` as a Python int, or a sentence about what is wrong with it."""
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed must be an integer of at least 0, but is {seed!r} of type {type(seed).__name__}.")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, but is {seed}.")
    return int(seed)


def set_random_seed(seed: int) -> None:
    """Seed everything: Python's `random`, NumPy's global generator and fastnn's own stream.

    What is made and trained afterwards, in the same order, repeats to the bit.

    Parameters
    ----------
    seed : int in [0, 2**32), the range of NumPy's global generator.

    Examples
    --------
    >>> set_random_seed(1); a = key_pair(next_seed())
    >>> set_random_seed(1); b = key_pair(next_seed())
    >>> a == b
    True
    """
    seed = check_seed(seed)
    if seed >= 2**32:
        raise ValueError(f"seed must be below 2**32 (NumPy's global generator takes no more), but is {seed}.")
    import random

    random.seed(seed)
    np.random.seed(seed)
    _stream.reset(seed)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever is seeded and drawn inside, all that `set_random_seed` sets is afterwards as it was.

    Examples
    --------
    >>> set_random_seed(1); a = key_pair(next_seed())
    >>> set_random_seed(1)
    >>> with undisturbed():
    ...     set_random_seed(5)
    >>> key_pair(next_seed()) == a
    True
    """
    import random

    before = random.getstate(), np.random.get_state(), (_stream._entropy, _stream._count)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        with _stream._lock:
            _stream._entropy, _stream._count = before[2]


def next_seed() -> np.random.SeedSequence:
    """The next seed of the package's stream."""
    return _stream.next()


def seed_sequence(seed: Seed) -> np.random.SeedSequence:
    """What the caller gave as `seed`, as a SeedSequence.

    None takes the next seed of the package's stream; an int always gives the same; a Generator is
    asked for 128 bits, so it gives another one at each call.

    Examples
    --------
    >>> seed_sequence(3).entropy
    3
    """
    if seed is None:
        return next_seed()
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if _gives_seeds(seed):
        return seed.next()
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence([int(word) for word in seed.integers(0, 2**32, size=4)])
    return np.random.SeedSequence(check_seed(seed))


def child(seed: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """A seed of its own for each `key`, without counting anything in `seed` (unlike its `spawn`).

    Examples
    --------
    >>> key_pair(child(seed_sequence(1), 5, 0)) == key_pair(child(seed_sequence(1), 5, 1))
    False
    """
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key), pool_size=seed.pool_size)


def key_pair(seed: np.random.SeedSequence) -> tuple[int, int]:
    """The two words in [0, 2**32) that key a Philox4x32 generator.

    Examples
    --------
    >>> key_pair(np.random.SeedSequence(0))
    (2968811710, 3677149159)
    """
    first, second = seed.generate_state(2, np.uint32)
    return int(first), int(second)


def to_config(seed: Seed) -> int | dict | None:
    """`seed` in a form that JSON can hold; a Generator, whose state moves on, is written as None."""
    if isinstance(seed, np.random.SeedSequence):
        entropy = seed.entropy
        entropy = [int(e) for e in entropy] if isinstance(entropy, (list, tuple, np.ndarray)) else entropy
        return {"entropy": entropy, "spawn_key": [int(k) for k in seed.spawn_key]}
    if isinstance(seed, np.random.Generator):
        return None
    return seed if seed is None else int(seed)


def from_config(seed: int | dict | None) -> Seed:
    """What `to_config` wrote, as a seed again; seeds themselves pass.

    Examples
    --------
    >>> seed = np.random.SeedSequence(4, spawn_key=(2,))
    >>> key_pair(from_config(to_config(seed))) == key_pair(seed)
    True
    """
    if isinstance(seed, dict):
        if set(seed) != {"entropy", "spawn_key"}:
            raise ValueError(f"A seed written as a dict has the keys 'entropy' and 'spawn_key', not {sorted(seed)}.")
        return np.random.SeedSequence(seed["entropy"], spawn_key=tuple(seed["spawn_key"]))
    if seed is None or isinstance(seed, (np.random.SeedSequence, np.random.Generator)):
        return seed
    return seed.next() if _gives_seeds(seed) else check_seed(seed)


def _gives_seeds(seed) -> bool:
    """Whether it is a `fastnn.random.SeedGenerator`."""
    return hasattr(seed, "next") and isinstance(getattr(seed, "seed", None), np.random.SeedSequence)
