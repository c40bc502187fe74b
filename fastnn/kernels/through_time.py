"""What the meanings of the recurrent kernels share: the order of the steps, masks, states, and the recurrent matrix."""

from __future__ import annotations

import numpy as np


def steps(length: int, backwards: int) -> list[tuple[int, int]]:
    """(place in y, place of the step) in the order in which the steps are taken."""
    if not backwards:
        return [(t, t) for t in range(length)]
    return [(s if backwards == 1 else length - 1 - s, length - 1 - s) for s in range(length)]


def there(mask: np.ndarray | None, t: int):
    """Which rows have step t: True for all without a mask."""
    return True if mask is None else mask[:, t, None] != 0


def zeros(batch: int, like_u: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
    """The state that was given, or zeros."""
    return np.zeros((batch, len(like_u)), like_u.dtype) if state is None else state


def times_u(h: np.ndarray, u: np.ndarray, keep: np.ndarray | None) -> np.ndarray:
    """h @ u, each gate with its dropout; the gates are those that u has columns for."""
    if keep is None:
        return h @ u
    n = len(u)
    return np.concatenate([(h * keep[:, g]) @ u[:, g * n : (g + 1) * n] for g in range(u.shape[1] // n)], 1)


def back_through_u(d: np.ndarray, u: np.ndarray, keep: np.ndarray | None) -> np.ndarray:
    """The gradient of h in `times_u`."""
    if keep is None:
        return d @ u.T
    n = len(u)
    parts = (slice(g * n, (g + 1) * n) for g in range(u.shape[1] // n))
    return sum(d[:, at] @ u[:, at].T * keep[:, g] for g, at in enumerate(parts))
