"""From Python functions to programs: run a function once on symbolic tensors and keep the calls that it emits.

`value_and_grad` serves those who write their own loop, `ProgramFunction` (the decorator ``@fastnn.program``)
makes a whole training step native, `run_eager` is what a layer or model does with NumPy arrays.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from ..kernels.spec import Array
from .backend import get_backend
from .gradient import gradients
from .graph import Graph, Tensor
from .program import Program, StaleProgram
from .tree import leaves, rebuild
from .variable import Variable

INT32, FLOAT32, FLOAT64 = map(np.dtype, (np.int32, np.float32, np.float64))
CACHED = 16  #: programs that one function, layer or model keeps; the least recently used goes first


def trace(fn: Callable, specs: Sequence[Array], names: Sequence[str] = (), training: bool = False,
          name: str = "") -> tuple[Graph, Any]:
    """Call ``fn`` on symbolic tensors of these shapes and dtypes.

    Parameters
    ----------
    specs : anything with ``shape`` and ``dtype``, for instance arrays.
    names : of the tensors; x0, x1 ... by default. They become the program's feeds.
    training : what layers take for ``training=None``.

    Returns
    -------
    the `Graph` with the calls that ``fn`` emitted, and what ``fn`` returned.

    Examples
    --------
    >>> graph, y = trace(lambda x: x * 2 + 1, [np.zeros((3, 2), np.float32)])
    >>> y.shape
    (3, 2)
    """
    graph = Graph(name or getattr(fn, "__name__", "program"))
    return graph, _emit(graph, fn, specs, names, training)


def _emit(graph: Graph, fn: Callable, specs, names, training: bool):
    graph.training = training
    names = list(names) or [f"x{i}" for i in range(len(specs))]
    tensors = [graph.feed(n, s.shape, s.dtype) for n, s in zip(names, specs, strict=True)]
    with graph.active():
        return fn(*tensors)


# ---------------------------------------------------------------------- arrays that come in

def as_data(x: Any) -> np.ndarray:
    """x as an array of a dtype that programs take: any float as it is, whole numbers and bool alike."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"An array of dtype {array.dtype} came where numbers are wanted (float, integer or bool).")
    return array


def arrives_as(array: np.ndarray, wide: bool = False) -> np.dtype:
    """The dtype in which a program gets this array: float32 (or float64) for float and bool, int32 for integers."""
    return INT32 if array.dtype.kind in "iu" else FLOAT64 if wide else FLOAT32


def _convert(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype == INT32 and array.dtype.itemsize >= 4 and array.dtype != dtype and array.size:
        least, most = array.min(), array.max()
        if least < -(2**31) or most >= 2**31:
            raise ValueError(f"Integers in programs have 32 bits; {least if least < 0 else most} does not fit.")
    if array.shape:
        return np.ascontiguousarray(array, dtype=dtype)
    return np.asarray(array, dtype=dtype)


# ---------------------------------------------------------------------- one traced function

class Traced:
    """A function, traced for arrays of some shapes, as a program.

    Attributes
    ----------
    program : the `Program`; its feeds carry the names of the arguments.
    wide : compute in float64; ``None``: where the variables are float64 or, without any, all float arrays of a
        program of the NumPy backend.
    variables : the trainable variables that the trace met, in order of first use.
    """

    def __init__(self, fn: Callable, arrays: Sequence[np.ndarray], names: Sequence[str], name: str, training: bool,
                 backend: str, wide: bool | None = None):
        self.wide, self._seed = wide, None
        for attempt in range(4):  # an optimizer may move variables while it is traced, once
            graph, self.result = self._trace(fn, arrays, names, name, training, backend)
            fetched = {id(t): t for t in leaves(self.result) if isinstance(t, Tensor)}
            self.fetches = {key: f"y{i}" for i, key in enumerate(fetched)}
            for key, t in fetched.items():
                graph.fetch(self.fetches[key], t)
            try:
                self.program = Program(graph, backend)
                break
            except StaleProgram:
                if attempt == 3:
                    raise
        self.graph, self.names = graph, list(graph.feeds)
        self.variables = [t.variable for t in graph.variables.values() if t.variable.trainable]

    def _trace(self, fn, arrays, names, name, training, backend):
        """In float32, and anew in float64 if that turns out to be meant."""
        def attempt(wide):
            graph = Graph(name)
            graph.seed = self._seed  # traced anew it draws the same numbers
            specs = [Array(a.shape, arrives_as(a, wide)) for a in arrays]
            try:
                return graph, _emit(graph, fn, specs, names, training), None
            except (TypeError, ValueError) as error:
                return graph, None, error
            finally:
                self._seed = graph.seed

        graph, result, error = attempt(bool(self.wide))
        floats = [v.dtype for v in (t.variable for t in graph.variables.values()) if v.dtype.kind == "f"]
        given = {a.dtype for a in arrays if a.dtype.kind == "f"} if self.wide is None and backend == "numpy" else set()
        if not self.wide and (FLOAT64 in floats or not floats and given == {FLOAT64}):
            graph, result, error = attempt(True)
        if error is not None:
            raise error
        return graph, result

    def run(self, arrays: Sequence[np.ndarray], steps: int | None = None, counter: Counter | None = None):
        """What the function returns for these arrays, as fresh arrays.

        Parameters
        ----------
        steps : run so many steps; each array then has a leading axis with one row per step, and so has
            what comes back. ``None`` runs one step on the arrays as they are.
        counter : counts the steps over all programs of one function.
        """
        program, n = self.program, 1 if steps is None else steps
        feeds = {}
        for name, array in zip(self.names, arrays, strict=True):
            array = _convert(array, program.feeds[name].dtype)
            feeds[name] = array[None] if steps is None else array
        fetches = {name: np.empty((n, *t.shape), t.dtype) for name, t in program.fetches.items()}
        with program.lock:
            if counter is not None:
                program.step = counter.value
            done = 0
            while done < n:
                done += program.run(n - done, feeds, fetches, offset=done)
                if counter is not None:
                    counter.value = program.step

        def value(leaf):
            if not isinstance(leaf, Tensor):
                return leaf
            rows = fetches[self.fetches[id(leaf)]]
            return rows[0] if steps is None else rows

        return rebuild(value, self.result)


class Counter:
    """Steps done, over all programs of one function."""

    def __init__(self):
        self.value = 0


class Cache:
    """The programs of one function, by the shapes and dtypes of its arrays and the backend; bounded.

    It is not copied or pickled along with its owner: the copy starts with an empty one.
    """

    def __init__(self, limit: int = CACHED):
        self.limit, self.counter = limit, Counter()
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """The entry of this key, built if it is not there."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = build()
                self._entries[key] = entry
                while len(self._entries) > self.limit:
                    self._entries.popitem(last=False)
            else:
                self._entries.move_to_end(key)
            return entry

    def drop(self, key: Hashable) -> None:
        """Forget an entry."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def __deepcopy__(self, memo):
        return Cache(self.limit)

    def __reduce__(self):
        return Cache, (self.limit,)

    def run(self, key: Hashable, build: Callable[[], Traced], arrays, steps=None, check=lambda traced: True):
        """Run the entry of this key; built anew where a variable moved or `check` says no."""
        for _ in range(4):
            traced = self.get(key, build)
            try:
                if check(traced):
                    return traced, traced.run(arrays, steps, self.counter)
            except StaleProgram:
                pass
            self.drop(key)
        raise StaleProgram(f"The variables of {traced.program.name} move in memory all the time.")


def _signature(arrays: Sequence[np.ndarray]) -> tuple:
    return (get_backend(), *((a.shape, a.dtype.kind in "iu", a.dtype == FLOAT64) for a in arrays))


def _names(fn: Callable, count: int) -> list[str]:
    """Names for this many positional arguments of fn."""
    try:
        known = [p.name for p in inspect.signature(fn).parameters.values()
                 if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        known = []
    return (known + [f"x{i}" for i in range(len(known), count)])[:count]


class _Arguments:
    """Positional arguments, split into the arrays and the nest that they stand in."""

    def __init__(self, fn: Callable, args: tuple):
        self.fn = fn
        self.tree = rebuild(lambda x: x if x is None or isinstance(x, bool | str) else as_data(x), args)
        flat = leaves(self.tree)
        self.arrays = [x for x in flat if isinstance(x, np.ndarray)]
        self.key = tuple(None if isinstance(x, np.ndarray) else (type(x), x) for x in flat) + _shape_of(self.tree)

    @property
    def names(self) -> list[str]:
        """A name for each array, after the argument of fn that it stands in."""
        names = []
        for name, part in zip(_names(self.fn, len(self.tree)), self.tree):
            count = sum(isinstance(x, np.ndarray) for x in leaves(part))
            names += [name] if count == 1 else [f"{name}{i}" for i in range(count)]
        return names

    def call(self, fn: Callable) -> Callable:
        """fn as a function of the arrays alone."""
        def flat(*tensors):
            given = iter(tensors)
            return fn(*rebuild(lambda x: next(given) if isinstance(x, np.ndarray) else x, self.tree))

        return flat


def _shape_of(tree) -> tuple:
    """The nest's form, for keys."""
    if isinstance(tree, list | tuple):
        return (type(tree), *map(_shape_of, tree))
    if isinstance(tree, dict):
        return (dict, *((k, _shape_of(v)) for k, v in tree.items()))
    return ()


# ---------------------------------------------------------------------- what users call

def value_and_grad(fn: Callable, variables=None, has_aux: bool = False, training: bool = True) -> Callable:
    """A function that gives the value of ``fn`` and its gradients, for people who write their own loop.

    Parameters
    ----------
    fn : takes arrays (symbolic tensors while it is traced), uses layers, losses and `fastnn.ops`, and returns a
        scalar; with ``has_aux`` a pair of it and anything else that is wanted back.
    variables : what to differentiate with respect to: a list of variables, a layer or model or a list of them
        (their ``trainable_variables``), or None for all trainable variables that ``fn`` uses, in order of first use.
    training : what layers take for ``training=None``.

    Returns
    -------
    ``g(*arrays)`` -> (value, list of gradients), as NumPy; with ``has_aux`` ((value, aux), gradients). A variable on
    which the value does not depend has a gradient of zeros. Float arrays arrive in ``fn`` as float32 (float64 for
    float64 variables), integers as int32. One program is kept for each combination of shapes.

    Examples
    --------
    >>> from fastnn import ops
    >>> w = Variable([1.0, 2.0], name="w")
    >>> g = value_and_grad(lambda x: ops.sum(ops.square(w * x)))
    >>> value, (dw,) = g(np.array([3.0, 1.0]))
    >>> float(value), dw.tolist()
    (13.0, [18.0, 4.0])
    """
    cache = Cache()

    def wanted(graph: Graph | None) -> list[Variable] | None:
        if variables is None:
            return None if graph is None else [
                t.variable for t in graph.variables.values() if t.variable.trainable and t.dtype.kind == "f"]
        given = variables if isinstance(variables, list | tuple) else [variables]
        return [v for g in given for v in ([g] if isinstance(g, Variable) else g.trainable_variables)]

    def differentiate(*args):
        out = fn(*args)
        if has_aux and not (isinstance(out, tuple) and len(out) == 2):
            raise TypeError("With has_aux, the function must return a pair: the loss and anything else.")
        loss, aux = out if has_aux else (out, None)
        if not isinstance(loss, Tensor):
            raise TypeError(f"The function must return a scalar tensor made from its arguments or variables; "
                            f"it returned {type(loss).__name__}.")
        targets = wanted(loss.graph)
        return loss, aux, gradients(loss, targets), [_Held(v) for v in targets]

    @functools.wraps(fn)
    def g(*args):
        given = _Arguments(fn, _tidy(args))
        key = (given.key, training, *_signature(given.arrays))

        def build():
            return Traced(given.call(differentiate), given.arrays, given.names, getattr(fn, "__name__", "function"),
                          training, get_backend())

        def still_true(traced):
            now = wanted(None if variables is not None else traced.graph)
            held = [h.variable for h in traced.result[3]]
            return len(now) == len(held) and all(a is b for a, b in zip(now, held))

        _, (loss, aux, grads, held) = cache.run(key, build, given.arrays, check=still_true)
        grads = [np.zeros(h.variable.shape, h.variable.dtype) if d is None else d for d, h in zip(grads, held)]
        loss = loss[()]
        return ((loss, aux) if has_aux else loss), grads

    g.cache = cache
    return g


class _Held:
    """A variable in the result of a traced function; a leaf of its own."""

    def __init__(self, variable: Variable):
        self.variable = variable


class ProgramFunction:
    """A training step of one's own as a native program: what the decorator ``@fastnn.program`` makes.

    Inside, `fastnn.gradients` takes gradients and ``optimizer.apply(grads, variables)`` updates; several models and
    optimizers may take part. Called on arrays it runs one step and gives what the function returns as NumPy; `many`
    runs many steps in one go, with no Python in between. One program is kept for each combination of shapes.

    Parameters
    ----------
    fn : takes arrays (symbolic tensors while it is traced), returns a tensor or a nest of them, or nothing.
    training : what layers take for ``training=None``.

    Examples
    --------
    >>> import fastnn
    >>> w = Variable([1.0, 2.0], name="w")
    >>> @fastnn.program
    ... def half_square(x):
    ...     return (w * x) ** 2 * 0.5
    >>> half_square([2.0, 3.0])
    array([ 2., 18.], dtype=float32)
    >>> half_square.many(2, [[2.0, 3.0], [0.0, 1.0]])
    array([[ 2., 18.],
           [ 0.,  2.]], dtype=float32)
    """

    def __init__(self, fn: Callable, training: bool = True):
        functools.update_wrapper(self, fn)
        self.fn, self.training, self.cache = fn, training, Cache()

    def __call__(self, *args):
        given = _Arguments(self.fn, _tidy(args))
        return self._values(self.cache.run(*self._entry(given), given.arrays)[1], None)

    def many(self, n: int, *args):
        """Run n steps; each array has a leading axis with one row per step, and so has what comes back."""
        given = _Arguments(self.fn, _tidy(args))
        for name, a in zip(given.names, given.arrays):
            if a.ndim == 0 or len(a) != n:
                raise ValueError(f"{self.__name__}: for {n} steps, {name} must have {n} rows, one for each step; "
                                 f"its shape is {a.shape}.")
        if n < 1:
            raise ValueError(f"{self.__name__}: the number of steps is {n}; at least one is wanted.")
        rows = [a[0] for a in given.arrays]
        return self._values(self.cache.run(*self._entry(given, rows), given.arrays, n)[1], n)

    def program(self, *args) -> Program:
        """The program for arrays of these shapes."""
        given = _Arguments(self.fn, _tidy(args))
        return self.cache.get(*self._entry(given)).program

    def explain(self, *args, steps: int = 0, **options) -> str:
        """The program for these arrays as a table; timed over so many steps on these arrays, if any."""
        given = _Arguments(self.fn, _tidy(args))
        traced = self.cache.get(*self._entry(given))
        if steps:
            feeds = {n: np.repeat(_convert(a, traced.program.feeds[n].dtype)[None], steps, 0)
                     for n, a in zip(traced.names, given.arrays)}
            traced.program.profile(steps, feeds)
        return traced.program.explain(**options)

    def _entry(self, given: _Arguments, rows=None):
        """Key of the cache, and how to build what belongs there."""
        rows = given.arrays if rows is None else rows

        def build():
            return Traced(given.call(self.fn), rows, given.names, self.__name__, self.training, get_backend())

        return (given.key, *_signature(rows)), build

    def _values(self, result, n):
        return rebuild(lambda x: x[()] if isinstance(x, np.ndarray) and n is None else x, result)

    def __repr__(self) -> str:
        return f"<ProgramFunction {self.__name__}, {len(self.cache)} programs>"


def run_eager(owner: Any, args: tuple = (), kwargs: dict[str, Any] | None = None, training: bool = False,
              integers_as: str | None = None) -> Any:
    """What ``owner(*args, **kwargs)`` gives for NumPy arrays, by a small program kept on ``owner``.

    Everything with an array interface among the arguments (lists of plain numbers too) is data; all else is part of
    what is traced. The result is made of fresh arrays. Integers become floats of the dtype `integers_as`, if given.
    """
    kwargs = kwargs or {}
    cache = owner.__dict__.get("_eager_programs")
    if cache is None:
        cache = owner.__dict__.setdefault("_eager_programs", Cache())
    tree = (_tidy(args), {k: _tidy_one(v) if hasattr(v, "__array__") else v for k, v in kwargs.items()})
    if integers_as is not None:
        tree = rebuild(lambda x: x.astype(integers_as) if isinstance(x, np.ndarray) and x.dtype.kind in "iu"
                       else x, tree)
    flat = leaves(tree)
    arrays = [x for x in flat if isinstance(x, np.ndarray)]
    fixed = tuple("array" if isinstance(x, np.ndarray) else (type(x), _hashable(x)) for x in flat)
    key = (fixed, _shape_of(tree), training, *_signature(arrays))

    def call(*tensors):
        given = iter(tensors)
        a, k = rebuild(lambda x: next(given) if isinstance(x, np.ndarray) else x, tree)
        return owner(*a, **k)

    def build():
        name = getattr(owner, "name", type(owner).__name__)
        names = ["x"] if len(arrays) == 1 else [f"x{i}" for i in range(len(arrays))]
        return Traced(call, arrays, names, name, training, get_backend(), getattr(owner, "dtype", None) == "float64")

    return cache.run(key, build, arrays)[1]


def _tidy(args: tuple) -> tuple:
    return tuple(map(_tidy_one, args))


def _tidy_one(x):
    """Arrays for what is meant as one: anything with an array interface, and lists of plain numbers."""
    if isinstance(x, Tensor | Variable | np.ndarray):
        return as_data(x.array if isinstance(x, Variable) else x) if not isinstance(x, Tensor) else x
    if hasattr(x, "__array__"):
        return as_data(x)
    if isinstance(x, list | tuple):
        parts = leaves(x)
        if parts and isinstance(x, list) and all(isinstance(p, int | float | np.number) for p in parts):
            return as_data(x)
        return type(x)(map(_tidy_one, x)) if not hasattr(x, "_fields") else type(x)(*map(_tidy_one, x))
    if isinstance(x, dict):
        return {k: _tidy_one(v) for k, v in x.items()}
    return x


def _hashable(x):
    try:
        hash(x)
    except TypeError:
        return id(x)
    return x


def traced(fn: Callable | None = None, *, training: bool = True):
    """Decorator: a training step of one's own as a native program, see `ProgramFunction`.

    ``@fastnn.program`` is the same.
    """
    return ProgramFunction(fn, training) if fn is not None else lambda f: ProgramFunction(f, training)
