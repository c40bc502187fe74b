"""What fit, evaluate and predict take, in one of two canonical forms.

`ArrayData`: everything is in memory, and the program gathers shuffled rows itself. `IterableData`: batches
come one at a time from a generator, another iterable or a Keras `PyDataset`. `adapt` chooses,
`training_data` does so for all arguments of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .array_data import ArrayData
from .loading import IterableData

__all__ = ["ArrayData", "IterableData", "adapt", "training_data", "validation"]



def _is_arrays(x: Any) -> bool:
    if isinstance(x, (np.ndarray, list, tuple, range, Mapping, int, float, complex, str, bytes)):
        return True
    return any(hasattr(x, name) for name in ("__array__", "__dlpack__", "to_numpy", "toarray"))


def adapt(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    class_weight: Mapping | str | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    seed: int | np.random.SeedSequence | None = None,
    classes: int | None = None,
) -> ArrayData | IterableData:
    """`ArrayData` from arrays, `IterableData` from whatever gives batches; either of them passes.

    `steps`, `shuffle` and `seed` only concern iterables here: for arrays see `epoch_runs`.

    Examples
    --------
    >>> adapt([[1.0], [2.0]], [0, 1])
    ArrayData(2 rows, x: float64[1], y: int64[])
    """
    if isinstance(x, (ArrayData, IterableData)):
        return x
    if x is None:
        raise ValueError("x is missing (None).")
    if _is_arrays(x):
        return ArrayData(x, y, sample_weight, class_weight, classes)
    if not any(hasattr(x, name) for name in ("__next__", "__iter__", "__getitem__")):
        hint = ": call it, and give what it returns" if callable(x) else ""
        raise ValueError(f"x must be arrays or give batches, but is of type {type(x).__name__}{hint}.")
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name} must not be given where x, a {type(x).__name__}, gives batches: they carry it.")
    return IterableData(x, steps, class_weight, shuffle, seed, classes)


def validation(
    validation_data: Any, *, steps: int | None = None, classes: int | None = None
) -> ArrayData | IterableData:
    """What Keras takes as `validation_data`: ``(x, y)``, ``(x, y, sample_weight)`` or an iterable of batches."""
    if isinstance(validation_data, (list, tuple)):
        if len(validation_data) not in (2, 3):
            raise ValueError(
                f"validation_data must be (x, y) or (x, y, sample_weight), but has {len(validation_data)} parts."
            )
        parts = list(validation_data)
    else:
        parts = [validation_data]
    try:
        return adapt(*parts, steps=steps, classes=classes)
    except ValueError as error:
        raise ValueError(f"validation_data: {error}") from None


def training_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    class_weight: Mapping | str | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    shuffle: bool = True,
    seed: int | np.random.SeedSequence | None = None,
    classes: int | None = None,
) -> tuple[ArrayData | IterableData, ArrayData | IterableData | None]:
    """All data arguments of `fit` as (training data, validation data or None).

    As in Keras, `validation_data` goes before `validation_split`, and class weights are for the training data alone;
    balanced ones follow from the rows that are trained on.

    Examples
    --------
    >>> training_data(np.zeros((10, 2)), np.zeros(10), validation_split=0.3)
    (ArrayData(7 rows, x: float64[2], y: float64[]), ArrayData(3 rows, x: float64[2], y: float64[]))
    """
    train = adapt(x, y, sample_weight, steps=steps_per_epoch, shuffle=shuffle, seed=seed, classes=classes)
    held_out = None
    if validation_data is not None:
        held_out = validation(validation_data, steps=validation_steps, classes=classes)
    elif validation_split or isinstance(validation_split, bool):
        if not isinstance(train, ArrayData):
            raise ValueError(f"validation_split needs arrays, but x is a {type(x).__name__}: give validation_data.")
        train, held_out = train.split(validation_split)
    if class_weight is not None:
        train.weigh_classes(class_weight, classes)
    return train, held_out
