"""A batch as one value, and its parts again."""

from __future__ import annotations


def pack_x_y_sample_weight(x, y=None, sample_weight=None):
    """What a step takes as data: ``x`` (a list of inputs as ``(x,)``), ``(x, y)`` or ``(x, y, sample_weight)``.

    Examples
    --------
    >>> pack_x_y_sample_weight(1), pack_x_y_sample_weight(1, 2)
    (1, (1, 2))
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data):
    """(x, y, sample_weight) of such data, None for what is not there.

    Examples
    --------
    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    data = tuple(data) if isinstance(data, list) else data
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"Data is x, (x, y) or (x, y, sample_weight), but a tuple of {len(data)} came.")
    return (*data, None, None)[:3]
