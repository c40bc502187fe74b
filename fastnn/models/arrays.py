"""What a user calls data, as arrays that the gather kernel can read: converted only where it must be.

Every refusal names the argument (`x`, `y['left']`, `sample_weight` ...) and says what came.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

#: dtypes that the gather kernel reads as they are; what it does not is on the left of WIDENED
GATHERED = tuple(map(np.dtype, ("uint8", "int8", "int16", "int32", "int64", "float32", "float64")))
WIDENED = {np.dtype("uint16"): np.dtype("int32"), np.dtype("uint32"): np.dtype("int64")}
FLOAT32_MAX = float(np.finfo(np.float32).max)
LOOKED_AT = 1 << 28  # bytes: of larger files that are mapped nothing is looked at or converted as a whole
CHUNK = 1 << 17  # values looked at together: both passes over them find them in L2


def as_array(value: Any, name: str) -> np.ndarray:
    """`value` as a C-contiguous native array of a dtype in `GATHERED`, with rows and finite values.

    Nothing is copied if it is that already; nothing of the caller's is ever written to. Narrower and
    wider floats become float32, unsigned integers the next wider signed ones. A file of more than 256 MiB that is
    mapped (`numpy.memmap`) stays as it is: its values are not looked at, and what the kernel does not read is
    converted by `ready`, some rows at a time.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "x").dtype
    dtype('int64')
    >>> as_array([1.0, float("nan")], "x")
    Traceback (most recent call last):
    ValueError: x[1] is nan, but only finite numbers can be computed with.
    """
    array = _to_numpy(value, name)
    array = array.view(np.uint8) if array.dtype == bool else array
    kind = array.dtype.kind
    if kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, but its dtype is {array.dtype}{_hint(array)}.")
    if array.ndim == 0:
        raise ValueError(f"{name} must have rows, but is the single number {array}.")
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}.")
    if is_large_map(array):
        return array
    array = ready(array, name)
    if kind == "f":
        check_finite(array, name)
    return array


def ready(array: np.ndarray, name: str) -> np.ndarray:
    """`array` itself if the gather kernel can read it, else a copy that it can read."""
    return np.require(array, dtype=_target(array, name), requirements=("C", "A"))


def is_ready(array: np.ndarray) -> bool:
    """Whether the gather kernel can read it."""
    native = array.dtype in GATHERED and array.dtype.isnative
    return native and array.flags.c_contiguous and array.flags.aligned


def is_large_map(array: np.ndarray) -> bool:
    """Whether it is, or views, a mapped file of which nothing should be made as a whole."""
    if array.nbytes <= LOOKED_AT:
        return False
    while isinstance(array, np.ndarray):
        array = array.base
    return type(array).__name__ == "mmap"


def _target(array: np.ndarray, name: str) -> np.dtype:
    native = array.dtype.newbyteorder("=")
    if native in GATHERED:
        return native
    if native in WIDENED:
        return WIDENED[native]
    if native.kind == "u":
        if int(array.max()) > np.iinfo(np.int64).max:
            raise ValueError(f"{name} holds {array.max()}, which int64 cannot hold.")
        return np.dtype(np.int64)
    return np.dtype(np.float32)


def _to_numpy(value: Any, name: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            raise ValueError(f"{name} is a masked array with hidden values: fill them, or leave those rows out.")
        return np.asarray(value)
    if value is None:
        raise ValueError(f"{name} is missing (None).")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise ValueError(f"{name} is a sparse matrix ({type(value).__name__}): give {name}.toarray().")
    if hasattr(value, "to_numpy"):
        return _from_frame(value, name)
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (BufferError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        reason = "its rows differ in length" if "inhomogeneous" in str(error) else str(error)
        raise ValueError(f"{name} cannot be read as an array: {reason}.") from None


def _from_frame(frame: Any, name: str) -> np.ndarray:
    """A pandas (or polars) frame or column; a column that does not hold numbers is named."""
    columns = frame.dtypes
    columns = columns.items() if hasattr(columns, "items") else ()  # a Series has one dtype
    for column, dtype in columns:
        kind = getattr(dtype, "kind", "O")
        if kind not in "biuf":
            raise ValueError(f"{name} must hold numbers, but its column {column!r} is of dtype {dtype}.")
    array = np.asarray(frame.to_numpy())
    if array.dtype.kind == "O" and getattr(getattr(frame, "dtype", None), "kind", "f") in "biuf":
        # nullable columns, and bools beside numbers, come as objects
        array = np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))
    return array


def _hint(array: np.ndarray) -> str:
    kind = array.dtype.kind
    if kind == "O":
        first = next(iter(array.flat), None)
        return f" (the first element is {first!r:.60} of type {type(first).__name__})"
    return {"c": "; give real and imaginary parts as two", "U": "; encode text as numbers first",
            "T": "; encode text as numbers first", "S": "; encode text as numbers first",
            "M": "; give times as numbers, for example days since a date"}.get(kind, "")  # fmt: skip


def check_finite(array: np.ndarray, name: str) -> None:
    """ValueError at the first value of a C-contiguous float array that float32 cannot hold."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        # a NaN makes both comparisons false; two reductions cost less than an array of bools
        if part.max() <= FLOAT32_MAX and part.min() >= -FLOAT32_MAX:
            continue
        place = start + int(np.flatnonzero(~(np.abs(part) <= FLOAT32_MAX))[0])
        where = ", ".join(str(int(i)) for i in np.unravel_index(place, array.shape))
        what = flat[place]
        if np.isfinite(what):
            raise ValueError(f"{name}[{where}] is {what}, but float32 ends at {FLOAT32_MAX:.3g}.")
        raise ValueError(f"{name}[{where}] is {what}, but only finite numbers can be computed with.")


def is_several(value: Any) -> bool:
    """Whether `value` stands for several arrays: a dict, or a list or tuple that has arrays in it.

    A list of numbers, or of lists of numbers, is one array. (A list of arrays is never a list of rows:
    as in Keras, each array in it is an input of its own.)
    """
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and any(len(getattr(part, "shape", ())) > 0 for part in value)


def as_arrays(value: Any, name: str) -> tuple[list[np.ndarray], list[str] | None]:
    """One or several arrays as a list, and the names if they came in a dict.

    Examples
    --------
    >>> arrays, names = as_arrays({"left": [1, 2], "right": [3.0, 4.0]}, "x")
    >>> [a.tolist() for a in arrays], names
    ([[1, 2], [3.0, 4.0]], ['left', 'right'])
    """
    if isinstance(value, Mapping):
        if not value:
            raise ValueError(f"{name} is an empty dict.")
        return [as_array(part, f"{name}[{key!r}]") for key, part in value.items()], [str(key) for key in value]
    if is_several(value):
        return [as_array(part, f"{name}[{i}]") for i, part in enumerate(value)], None
    return [as_array(value, name)], None


def as_weights(value: Any, name: str, y: np.ndarray | None, n: int) -> np.ndarray:
    """Sample weights as float32, one per row (shape ``(n,)``) or per leading axes of `y`."""
    weights = as_array(value, name)
    if len(weights) != n:
        raise ValueError(f"{name} has {len(weights)} rows, but the data has {n}.")
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    wanted = (n,) if y is None else y.shape[: weights.ndim]
    if weights.shape != wanted:
        shape = "" if y is None else f" or the leading axes of a y of shape {y.shape}"
        raise ValueError(f"{name} has shape {weights.shape}, but must have ({n},){shape}.")
    return np.ascontiguousarray(weights, np.float32)


def class_indices(y: np.ndarray, name: str = "y") -> np.ndarray:
    """The class of each row, from integer labels (n,) or (n, 1) or from one-hot rows (n, classes)."""
    if y.ndim > 2:
        raise ValueError(f"{name} has shape {y.shape}: classes are labels (n,) or one-hot rows (n, classes).")
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1)
    y = y.reshape(-1)
    if y.dtype.kind == "f":
        _check_integral(y, name)
        return y.astype(np.int64)
    return y.astype(np.int64, copy=False)


def _check_integral(y: np.ndarray, name: str) -> None:
    flat = y.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        wrong = part != np.trunc(part)
        if wrong.any():
            place = np.unravel_index(start + int(wrong.argmax()), y.shape)
            raise ValueError(
                f"{name}[{', '.join(str(int(i)) for i in place)}] is {y[place]}, but a class label is an integer."
            )


def class_weights(y: np.ndarray, class_weight: Mapping | str, classes: int | None = None,
                  name: str = "y") -> np.ndarray:
    """A weight for each row from a dict class -> weight; classes that the dict leaves out have weight 1.

    "balanced" stands for ``rows / (classes in y * rows of the class)``, as in scikit-learn: each class counts as much
    as any other in the end, and the weights' mean is 1.

    Examples
    --------
    >>> class_weights(np.array([0, 1, 1]), {1: 2.0}).tolist()
    [1.0, 2.0, 2.0]
    >>> class_weights(np.array([0, 1, 1]), "balanced").tolist()
    [1.5, 0.75, 0.75]
    """
    balanced = isinstance(class_weight, str) and class_weight == "balanced"
    if not balanced and not isinstance(class_weight, Mapping):
        what = repr(class_weight) if isinstance(class_weight, str) else f"a {type(class_weight).__name__}"
        raise ValueError(f"class_weight must be a dict class -> weight or 'balanced', but is {what}.")
    if classes is not None and y.ndim == 2 and y.shape[1] not in (1, classes):
        raise ValueError(f"class_weight needs {name} with labels (n,) or one-hot rows (n, {classes}), but its shape is "
                         f"{y.shape}.")
    labels = class_indices(y, name)
    if int(labels.min()) < 0:
        raise ValueError(f"class_weight needs labels of at least 0, but {name} holds {int(labels.min())}.")
    if balanced:
        rows = np.bincount(labels)
        there = np.maximum(rows, 1) * np.count_nonzero(rows)
        return (len(labels) / there).astype(np.float32)[labels]
    if classes is None:  # a batch may lack the second of two classes
        classes = y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else max(int(labels.max()) + 1, 2)
    table = np.ones(max(classes, int(labels.max()) + 1), np.float32)
    for key, weight in class_weight.items():
        if isinstance(key, (bool, np.bool_)) or not isinstance(key, (int, np.integer)):
            raise ValueError(f"class_weight: a class is an integer, but {key!r} was given.")
        if not 0 <= key < classes:
            raise ValueError(f"class_weight names class {key}, but the classes are 0 to {classes - 1}.")
        if not isinstance(weight, (int, float, np.number)) or not abs(weight) <= FLOAT32_MAX:
            raise ValueError(f"class_weight: the weight of class {key} must be a finite number, but is {weight!r}.")
        table[key] = weight
    return table[labels]


def check_labels(y: np.ndarray, classes: int, name: str = "y", ignored: Collection[int] = ()) -> np.ndarray:
    """Integer labels, each in [0, classes) or one to be ignored; floats with integral values are taken as int32.

    Examples
    --------
    >>> check_labels(np.array([0.0, 2.0]), 3)
    array([0, 2], dtype=int32)
    >>> check_labels(np.array([0, 3]), 3)
    Traceback (most recent call last):
    ValueError: y[1] is 3, but the labels of 3 classes are 0 to 2.
    """
    if y.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold integer labels, but its dtype is {y.dtype}.")
    if y.dtype.kind == "f":
        check_finite(np.ascontiguousarray(y), name)
        _check_integral(y, name)
    kept = is_large_map(y)
    if y.size and not (0 <= int(y.min()) and int(y.max()) < classes):
        wrong = (y < 0) | (y >= classes)
        wrong &= ~np.isin(y, list(ignored))
        if not wrong.any():
            return y.astype(np.int32) if y.dtype.kind == "f" and not kept else y
        place = np.unravel_index(int(wrong.argmax()), y.shape)
        where = ", ".join(str(int(i)) for i in place)
        raise ValueError(f"{name}[{where}] is {y[place]}, but the labels of {classes} classes are 0 to {classes - 1}.")
    return y.astype(np.int32) if y.dtype.kind == "f" and not kept else y
