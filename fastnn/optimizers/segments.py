"""Which pieces of an arena belong together: what kernels that work by segment are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..kernels.segments import cut
from ..program.variable import Variable


def pieces_of(variables: Sequence[Variable], segment: Mapping[int, int] | None = None) -> np.ndarray:
    """The pieces of these variables in their arena, in the order of the segments.

    Parameters
    ----------
    segment : id of a variable -> number of its segment; by default each is one of its own, in this order.
    """
    numbers = segment or {id(v): i for i, v in enumerate(variables)}
    rows = [row for v in variables for row in cut(v.offset, v.offset + v.size, numbers[id(v)])]
    return np.array(sorted(rows, key=lambda row: row[2]), np.int64).reshape(-1, 3)
