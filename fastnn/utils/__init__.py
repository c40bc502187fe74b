"""What Keras keeps in ``keras.utils`` and fastnn has too."""

from __future__ import annotations

import numpy as np

from fastnn.seeds import set_random_seed

from .packing import pack_x_y_sample_weight, unpack_x_y_sample_weight

__all__ = ["PyDataset", "Sequence", "pack_x_y_sample_weight", "set_random_seed", "to_categorical",
           "unpack_x_y_sample_weight"]


class PyDataset:
    """Base of data that gives its batches by number: override ``__getitem__``, and ``__len__`` or `num_batches`.

    Parameters
    ----------
    workers : threads that ask for batches while the program trains on those before; 0 for none.
    use_multiprocessing : taken for compatibility; there are only threads.
    max_queue_size : how many batches are asked for ahead.

    Examples
    --------
    >>> import fastnn
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, i):
    ...         x = np.arange(i * 8.0, i * 8 + 8)[:, None]
    ...         return x, x**2
    >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> model.fit(Squares(), verbose=0)
    History(1 epochs, loss ...)
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        for name, value, least in (("workers", workers, 0), ("max_queue_size", max_queue_size, 1)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{type(self).__name__}: {name} must be an integer of at least {least}, but is "
                                 f"{value!r}.")
        self.workers, self.max_queue_size = int(workers), int(max_queue_size)
        self.use_multiprocessing = bool(use_multiprocessing)

    def __getitem__(self, index: int):
        """Batch number `index`: ``(x, y)``, ``(x, y, sample_weight)`` or ``(x,)``."""
        raise NotImplementedError(f"{type(self).__name__} must have a method __getitem__ that gives a batch by number.")

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch, or None where they never end: then fit wants `steps_per_epoch`."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must have a method __len__ or a property num_batches.")

    def on_epoch_begin(self) -> None:
        """Before the first batch of an epoch."""

    def on_epoch_end(self) -> None:
        """After the last one: the place to shuffle."""


Sequence = PyDataset  # Keras's older name


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
