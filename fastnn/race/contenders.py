"""Who races: NumPy by hand, the NumPy meaning, and the compiled forms in the executor that programs use.

PyTorch and JAX are in `torch_forms` and `jax_forms`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..kernels import single, tables
from ..kernels.spec import Call, Kernel
from ..program.run_native import CLAIM_SECONDS, estimate
from .by_hand import BY_HAND, RANDOM
from .timing import aligned

Arrays = Sequence[np.ndarray | None]


class Bound(NamedTuple):
    """A contender with its arrays.

    run : (repetitions, threads, CPU path) -> anything; what the kernel updates in place goes on from where it is.
    outputs : output slot -> array, as the last repetition left them.
    """

    run: Callable[[int, int | None, str | None], object]
    outputs: Callable[[], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Contender:
    """Somebody who can do what the kernel does.

    Attributes
    ----------
    name : for people.
    backend : "numpy", "numba", "native", "user", "torch", "jax" or "opponent".
    bind : inputs -> `Bound`. Shares the arrays that it can use as they are.
    variants : (threads, CPU path) to be timed; None where that is not ours to choose.
    random : it draws other random numbers than ours.
    """

    name: str
    backend: str
    bind: Callable[[Arrays], Bound]
    variants: tuple[tuple[int | None, str | None], ...] = ((1, None),)
    random: bool = field(default=False)


@dataclass(frozen=True)
class Absent:
    """A contender that is not there, and why."""

    name: str
    reason: str


# ---------------------------------------------------------------------- functions of arrays

def function(kernel: Kernel, call: Callable[..., Any], name: str, backend: str, threads: int | None = 1,
             random: bool = False) -> Contender:
    """A Python function of the kernel's inputs.

    It returns the outputs that are not among the inputs (in their order; the later ones may be missing), and updates
    the others in place.
    """
    def bind(inputs: Arrays) -> Bound:
        last: list[Any] = [None]

        def run(repetitions, _threads, _path):
            result = None
            for _ in range(repetitions):
                result = call(*inputs)
            last[0] = result

        return Bound(run, lambda: by_slot(kernel, inputs, last[0]))

    return Contender(name, backend, bind, ((threads, None),), random)


def by_slot(kernel: Kernel, inputs: Arrays, returned: Any) -> dict[str, np.ndarray]:
    """Output slot -> array: those updated in place from the inputs, the others as returned."""
    if returned is not None and not isinstance(returned, (tuple, list)):
        returned = (returned,)
    inplace = {n: x for n, x in zip(kernel.inputs, inputs) if n in kernel.outputs}
    new = [n for n in kernel.outputs if n not in inplace]
    return {**{n: np.asarray(x) for n, x in zip(new, returned or ())}, **inplace}


def numpy_contenders(kernel: Kernel, attrs: dict[str, Any]) -> list[Contender]:
    """By hand, where that differs from the meaning, and the meaning."""
    threads = None if kernel.name in PRODUCTS else 1  # BLAS has threads of its own
    found = []
    by_hand = BY_HAND.get(kernel.name)
    if by_hand is not None:
        found.append(function(kernel, lambda *inputs: by_hand(*inputs, **attrs), "numpy, by hand", "numpy", threads,
                              kernel.name in RANDOM))
    return [*found, meaning(kernel, attrs, "numpy, meaning" if by_hand else "numpy", threads)]


PRODUCTS = frozenset({"dense", "dense_grad_input", "dense_grad_weight", "norm_dense_grad", "matmul", "conv",
                      "conv_grad_input", "conv_grad_weight", "conv_transpose"})


def meaning(kernel: Kernel, attrs: dict[str, Any], name: str, threads: int | None = 1) -> Contender:
    """The kernel's NumPy meaning; its outputs are new arrays, also of what other forms update in place."""
    def bind(inputs: Arrays) -> Bound:
        last: list[tuple] = [()]

        def run(repetitions, _threads, _path):
            for _ in range(repetitions):
                last[0] = kernel.numpy(*inputs, **attrs)

        return Bound(run, lambda: dict(zip(kernel.outputs, as_tuple(last[0]))))

    return Contender(name, "numpy", bind, ((threads, None),))


def as_tuple(x: Any) -> tuple:
    return x if isinstance(x, tuple) else (x,)


def reference(kernel: Kernel, inputs: Arrays, attrs: dict[str, Any]) -> dict[str, np.ndarray]:
    """The meaning in float64: what all contenders are held against."""
    wide = [x.astype(np.float64) if x is not None and x.dtype == np.float32 else x for x in inputs]
    with np.errstate(all="ignore"):
        return dict(zip(kernel.outputs, map(np.asarray, as_tuple(kernel.numpy(*wide, **attrs)))))


# ---------------------------------------------------------------------- compiled forms

def native(kernel: Kernel, inputs: Arrays, backend: str = "native", **attrs: Any
           ) -> tuple[Callable[[int, int], int], Call]:
    """One kernel as a program of one call: a function (repetitions, threads), and the call with its arrays.

    What the kernel updates in place is updated in `inputs`. ``call.extra["arrays"]`` are (outputs, inputs).

    Parameters
    ----------
    backend : whose form of the kernel runs.

    Raises
    ------
    fastnn.kernels.tables.MissingForm
        That backend has none.

    Examples
    --------
    >>> from fastnn.kernels.elementwise import square
    >>> run, call = native(square, (np.array([1, 2, 3], np.float32),))
    >>> _ = run(1, 1)
    >>> call.extra["arrays"][0][0]
    array([1., 4., 9.], dtype=float32)
    """
    from ..kernels.native import core

    call, described = native_call(kernel, inputs, backend, **attrs)
    program = core.Executor([call])

    def run(repetitions: int, threads: int) -> int:
        return program.run(repetitions, [], [], threads, 1e9)

    run.call = described  # whoever keeps the function alone keeps the arrays too
    return run, described


def native_call(kernel: Kernel, inputs: Arrays, backend: str = "native", **attrs: Any) -> tuple[tuple, Call]:
    """One kernel as a call for `core.Executor`, and the `Call` with its arrays, which must be kept; see `native`."""
    inputs = (*inputs, *[None] * (len(kernel.inputs) - len(inputs)))  # the optional ones at the end
    described = single.describe(kernel, inputs, attrs)
    given = dict(zip(kernel.inputs, inputs))
    outputs = [given[n] if n in given else aligned(np.zeros(a.shape, a.dtype))
               for n, a in zip(kernel.outputs, described.outputs)]
    addresses = [0 if a is None else a.ctypes.data for a in (*outputs, *inputs)]
    tiles, cost = int(kernel.tiles(described)), estimate(described)
    grain = max(1, min(tiles, int(np.ceil(CLAIM_SECONDS * tiles / max(cost, 1e-9)))))
    described.extra["arrays"] = (outputs, inputs)  # keeps them alive
    return (tables.form(backend, kernel), addresses, list(map(int, kernel.sizes(described))),
            kernel.numbers(described.attrs), tiles, grain, 0, int(kernel.scratch(described)), cost, None), described


def compiled(kernel: Kernel, attrs: dict[str, Any], backend: str, threads: Iterable[int],
             paths: Iterable[str | None], name: str | None = None) -> Contender:
    """A compiled form of the kernel, on each CPU path and number of threads."""
    from ..kernels.native import core

    def bind(inputs: Arrays) -> Bound:
        run, call = native(kernel, inputs, _table(backend), **attrs)

        def choose_and_run(repetitions, threads, path):
            if path is not None and path != core.path():
                core.select_path(path)
            run(repetitions, threads)
            if kernel.own_form is not None:
                kernel.own_form.check()

        return Bound(choose_and_run, lambda: dict(zip(kernel.outputs, call.extra["arrays"][0])))

    return Contender(name or backend, backend, bind, tuple((t, path) for path in paths for t in threads))


def compiled_contenders(kernel: Kernel, attrs: dict[str, Any], backends: Iterable[str], threads: Sequence[int],
                        paths: Sequence[str] | None) -> tuple[list[Contender], list[Absent]]:
    """The forms that these backends have of the kernel, and those that they do not."""
    found: list[Contender] = []
    absent: list[Absent] = []
    paths = _paths(paths) if tables.native_available() else []
    for backend in backends:
        try:
            if not paths:
                raise tables.MissingForm("The compiled modules of fastnn, whose executor would run it, are not there.")
            tables.form(_table(backend), kernel)
        except (tables.MissingForm, ImportError) as error:
            absent.append(Absent(backend, str(error)))
            continue
        found.append(compiled(kernel, attrs, backend, threads, paths if backend == "native" else (None,)))
    return found, absent


def _table(backend: str) -> str:
    """The table in which forms of this backend are found: a user's own form is in all."""
    return "native" if backend == "user" else backend


def _paths(wanted: Sequence[str] | None) -> list[str]:
    """CPU paths to race on: all that this machine can run, best last, or those of them that are wanted."""
    from ..kernels.native import core
    from ..spelling import one_of

    if wanted is not None and not list(wanted):
        raise ValueError("paths is empty: give at least one CPU path, or none for all of them.")
    return core.paths() if wanted is None else [one_of("CPU path", path, core.paths()) for path in wanted]
