"""What Keras keeps in ``keras.utils`` and fastnn has too."""

from __future__ import annotations

import numpy as np

from fastnn.seeds import set_random_seed

from .packing import pack_x_y_sample_weight, unpack_x_y_sample_weight

__all__ = ["pack_x_y_sample_weight", "set_random_seed", "to_categorical", "unpack_x_y_sample_weight"]


def to_categorical(x, num_classes: int | None = None) -> np.ndarray:
    """Integer labels as rows with a single one.

    Parameters
    ----------
    x : integers in [0, num_classes) of any shape; a last axis of length 1 is dropped. Floats with
        integral values pass.
    num_classes : int, or None for ``max(x) + 1``.

    Returns
    -------
    ndarray of float64 as in Keras, of shape ``x.shape + (num_classes,)``.

    Examples
    --------
    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = np.asarray(x)
    if labels.dtype.kind == "f":
        if not (np.isfinite(labels).all() and (labels == np.trunc(labels)).all()):
            raise ValueError("x holds numbers that are not integers: to_categorical wants class labels.")
        labels = labels.astype(np.int64)
    elif labels.dtype.kind not in "biu":
        raise ValueError(f"x must hold integer class labels, but its dtype is {labels.dtype}.")
    labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if not labels.size:
            raise ValueError("x is empty, so num_classes has to be given.")
        num_classes = int(labels.max()) + 1
    wrong = (labels < 0) | (labels >= num_classes)
    if wrong.any():
        raise ValueError(
            f"x holds the label {int(labels[wrong].flat[0])}, but {num_classes} classes are 0 to {num_classes - 1}."
        )
    rows = np.zeros((labels.size, num_classes))
    rows[np.arange(labels.size), labels.ravel()] = 1
    return rows.reshape(*labels.shape, num_classes)
