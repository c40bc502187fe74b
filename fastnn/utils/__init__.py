"""What Keras keeps in ``keras.utils`` and fastnn has too."""

from __future__ import annotations

import numpy as np

from fastnn.custom_objects import custom_object_scope, get_custom_objects
from fastnn.seeds import set_random_seed

from .packing import pack_x_y_sample_weight, unpack_x_y_sample_weight

__all__ = ["CustomObjectScope", "PyDataset", "Sequence", "clear_session", "custom_object_scope", "get_custom_objects",
           "is_keras_tensor", "normalize", "pack_x_y_sample_weight", "pad_sequences", "set_random_seed",
           "to_categorical", "unpack_x_y_sample_weight"]

CustomObjectScope = custom_object_scope  # Keras's other name
_IN_SAVING = ("deserialize_keras_object", "get_registered_name", "get_registered_object",
              "register_keras_serializable", "serialize_keras_object")


def __getattr__(name: str):
    if name in _IN_SAVING:
        from fastnn import saving

        return getattr(saving, name)
    raise AttributeError(f"module 'fastnn.utils' has no attribute {name!r}")


def clear_session(free_memory: bool = True) -> None:
    """Names of layers count from the beginning again. Nothing else is kept that would have to go."""
    from fastnn.layers.layer import forget_names

    forget_names()


def is_keras_tensor(x) -> bool:
    """Whether x is a symbolic tensor of a model, as `Input` gives them."""
    from fastnn.layers.symbolic import KerasTensor

    return isinstance(x, KerasTensor)


def normalize(x, axis: int = -1, order: int = 2) -> np.ndarray:
    """An array over its norms along an axis; rows of zeros stay.

    Examples
    --------
    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = np.asarray(x)
    norms = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norms == 0, 1, norms)


def pad_sequences(sequences, maxlen: int | None = None, dtype="int32", padding: str = "pre", truncating: str = "pre",
                  value=0.0) -> np.ndarray:
    """Sequences of different lengths as the rows of one array.

    Parameters
    ----------
    sequences : list of lists, or of arrays with the same further axes.
    maxlen : length of all rows; by default that of the longest.
    padding, truncating : "pre" or "post": where `value` fills up, and where what is too long is cut.

    Examples
    --------
    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} is {given!r}; 'pre' and 'post' are known.")
    rows = [np.asarray(s) for s in sequences]
    length = max((len(r) for r in rows), default=0) if maxlen is None else int(maxlen)
    inner = next((r.shape[1:] for r in rows if len(r)), ())
    found = np.full((len(rows), length, *inner), value, dtype)
    for row, given in zip(found, rows):
        if not len(given) or not length:
            continue
        given = given[-length:] if truncating == "pre" else given[:length]
        row[slice(-len(given), None) if padding == "pre" else slice(0, len(given))] = given
    return found


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
