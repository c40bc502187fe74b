"""Variables: named arrays that outlive programs, and the arenas in which they lie side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .operators import Operators

ALIGN = 64  #: bytes; a cache line, and the widest vector

_layout_epoch = 0


def layout_epoch() -> int:
    """Counts how often any variable moved in memory; programs compare it before they run."""
    return _layout_epoch


def aligned_zeros(count: int, dtype=np.float32) -> np.ndarray:
    """A zeroed 1-D array whose first byte stands at a multiple of `ALIGN`."""
    dtype = np.dtype(dtype)
    raw = np.zeros(count * dtype.itemsize + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + count * dtype.itemsize].view(dtype)


def padded(count: int, itemsize: int) -> int:
    """Elements that `count` take in an arena, up to the next aligned place."""
    step = ALIGN // itemsize
    return -(-count // step) * step


class Arena:
    """One contiguous, aligned piece of memory in which variables lie one after another.

    The gaps between them (to the next aligned place) are zero and stay zero under every optimizer,
    so one kernel call may run over the whole.
    """

    def __init__(self, sizes: Sequence[int], dtype=np.float32):
        self.dtype = np.dtype(dtype)
        self.offsets, end = [], 0
        for size in sizes:
            self.offsets.append(end)
            end += padded(size, self.dtype.itemsize)
        self.array = aligned_zeros(end, self.dtype)

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)  # from a copy or a pickle, whose memory need not be aligned
        self.array = aligned_zeros(len(state["array"]), self.dtype)
        self.array[...] = state["array"]


class Variable(Operators):
    """A named array that layers and optimizers own and programs read and write.

    Its arithmetic is that of `fastnn.ops`: part of the program that is being traced, else NumPy's.

    Parameters
    ----------
    value : its first value; copied. In its place `initializer`, which is a value, or with `shape` a name or function of
        `fastnn.initializers`.
    name : for people, messages and files.
    trainable : whether gradients are taken for it; read when a model is compiled.

    Examples
    --------
    >>> v = Variable(np.ones(3), name="scale")
    >>> v.assign([1, 2, 3])
    >>> v.numpy()
    array([1., 2., 3.], dtype=float32)
    """

    sparse = False  #: whether optimizers are to update it by the rows that a step touches: a table of an `Embedding`
    __array_priority__ = 100  # NumPy arrays on the left of an operator give way

    def __init__(self, value=None, name: str = "variable", trainable: bool = True, dtype="float32",
                 regularizer=None, constraint=None, *, initializer=None, shape=None):
        if value is None:
            value = _first_value(name, initializer, shape, dtype)
        value = np.asarray(value, dtype)
        self.name = name
        self.path = name
        self.trainable = trainable
        self.regularizer = regularizer
        self.constraint = constraint
        self.shape = value.shape
        self.dtype = value.dtype
        self.arena = Arena([value.size], value.dtype)
        self.offset = 0
        self._view()
        self.array[...] = value

    def _view(self) -> None:
        self.array = self.arena.array[self.offset : self.offset + self.size].reshape(self.shape)

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k != "array"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._view()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def move(self, arena: Arena, offset: int) -> None:
        """Take the value along to another place; programs built before notice and lay out anew."""
        global _layout_epoch
        old = self.array
        self.arena, self.offset = arena, offset
        self._view()
        self.array[...] = old
        _layout_epoch += 1

    def numpy(self) -> np.ndarray:
        """A copy of the value."""
        return self.array.copy()

    @property
    def value(self) -> np.ndarray:
        """A read-only look at the value; while a program is traced, the tensor that stands for it there."""
        from .graph import current_graph

        graph = current_graph()
        if graph is not None:
            return graph.variable(self)
        view = self.array.view()
        view.flags.writeable = False
        return view

    def assign(self, value) -> None:
        """Overwrite the value in place: at once by an array, by a tensor in each step of its program.

        Raises
        ------
        ValueError : the shape differs.
        """
        if hasattr(value, "graph"):
            value.graph.assign(self, value)
            return
        value = np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(f"Variable {self.path!r} has shape {self.shape}; got a value of shape {value.shape}.")
        self.array[...] = value

    def assign_add(self, value) -> None:
        """`assign` the sum of it and a value."""
        self.assign(self + value)

    def assign_sub(self, value) -> None:
        """`assign` it less a value."""
        self.assign(self - value)

    def __float__(self) -> float:
        if self.size != 1:
            raise TypeError(f"Variable {self.path!r} of shape {self.shape} is not one number.")
        return float(self.array.reshape(()))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.array, dtype=dtype)

    def __repr__(self) -> str:
        return f"<Variable {self.path}, shape={self.shape}, dtype={self.dtype}>"


def _first_value(name: str, initializer, shape, dtype):
    from .. import initializers

    if initializer is None:
        raise TypeError(f"Variable {name!r} needs a value, or an initializer.")
    if not isinstance(initializer, str | dict) and not callable(initializer):
        return initializer
    if shape is None:
        raise TypeError(f"Variable {name!r}: the initializer {initializer!r} needs a shape.")
    return initializers.get(initializer)(tuple(shape), str(np.dtype(dtype)))


def pack(variables: Iterable[Variable]) -> Arena:
    """Move variables of one dtype side by side into a new arena, in this order."""
    variables = list(variables)
    arena = Arena([v.size for v in variables], variables[0].dtype if variables else np.float32)
    for v, offset in zip(variables, arena.offsets):
        v.move(arena, offset)
    return arena


def packed(variables: Sequence[Variable]) -> bool:
    """Whether these variables are all of one arena, in this order."""
    if not variables:
        return True
    arena = variables[0].arena
    return len(arena.offsets) == len(variables) and all(
        v.arena is arena and v.offset == o for v, o in zip(variables, arena.offsets))
