"""Is a kernel right? Its compiled form against its meaning, and its gradient rule against central differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np

from ..kernels import single, tables
from ..kernels.spec import Array, Kernel
from .graph import Graph
from .program import Program

STEP = 1e-5  # error of the difference: about STEP**2 by its formula, EPS / STEP by rounding
MOST = 200  # coordinates of one input; of larger ones, a random choice
EPS = float(np.finfo(np.float32).eps)


class CheckFailed(AssertionError):
    """A kernel is not what its meaning says; the message tells where and by how much."""


def check_kernel(kernel: Kernel, *inputs, tolerance: float = 64 * EPS, wrt: Sequence[str] | None = None,
                 **attrs) -> None:
    """Compare a kernel's compiled form with its meaning, and its gradient with central differences in float64.

    Parameters
    ----------
    kernel : a built-in kernel or one of your own.
    inputs : arrays to try it on; floats of any size, small enough for differences (some hundred elements).
    tolerance : of the compiled form, relative to the largest magnitude of the output.
    wrt : names of the inputs whose gradient is checked; by default all float inputs, if there is a gradient rule.
    attrs : the kernel's numbers.

    Raises
    ------
    CheckFailed : with the kernel, the output or input, the place and both values.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from fastnn.kernels.activation import activation
    >>> fastnn.check_kernel(activation, np.linspace(-3.01, 3, 40), kind="silu")
    """
    wide = tuple(None if x is None else np.asarray(x) for x in inputs)
    if tables.native_available():
        _check_form(kernel, wide, tolerance, attrs)
    names = wrt
    if names is None:
        floats = [n for n, x in zip(kernel.inputs, wide) if x is not None and x.dtype.kind == "f" and x.ndim]
        names = [n for n in floats if n not in kernel.outputs] if kernel.has_gradient else []
    if names:
        check_rule(kernel, [_as_float64(x) for x in wide], attrs, names)


def _as_float64(x):
    return x.astype(np.float64) if x is not None and x.dtype.kind == "f" else x


def _check_form(kernel: Kernel, inputs, tolerance: float, attrs) -> None:
    narrow = tuple(x.astype(np.float32) if x is not None and x.dtype == np.float64 and x.ndim else x for x in inputs)
    full = kernel.complete(attrs)
    made = kernel.numpy(*map(_as_float64, narrow), **full)
    made = made if isinstance(made, tuple) else (made,)
    for name, got, want in zip(kernel.outputs, single.run(kernel, *narrow, **attrs), made, strict=True):
        want = np.asarray(want)
        if got.shape != want.shape:
            raise CheckFailed(f"{kernel.name}: {name} has the shape {got.shape}; its meaning has {want.shape}.")
        bound = tolerance * max(abs(want[np.isfinite(want)]).max(initial=0.0), 1e-30)
        with np.errstate(invalid="ignore"):
            off = ~((abs(got - want) <= bound) | (got == want) | np.isnan(got) & np.isnan(want))
        if off.any():
            at = np.unravel_index(int(np.argmax(off)), want.shape)
            raise CheckFailed(f"{kernel.name}: {name}{list(map(int, at))} is {got[at]:.7g}; its meaning is "
                              f"{want[at]:.7g} ({int(off.sum())} of {off.size} elements differ by more than "
                              f"{bound:.2g}).")


# ---------------------------------------------------------------------- gradients

def differentiable(kernel: Kernel) -> list[str]:
    """The outputs that the gradient rule names among its parameters, as it must to be handed their gradients."""
    if kernel.own_form is not None:
        return [n for n in kernel.outputs if n not in kernel.inputs]
    parameters = inspect.signature(kernel.gradient).parameters
    return [n for n in kernel.outputs if n in parameters and n not in kernel.inputs]


def central(f: Callable, x: np.ndarray, coordinates) -> np.ndarray:
    """df/dx at some flat coordinates; NaN where f has a kink, told from its two one-sided differences."""
    middle, out = f(x), []
    for i in coordinates:
        values = []
        for h in (-STEP, STEP):
            moved = x.copy()
            moved.reshape(-1)[i] += h
            values.append(f(moved))
        left, right = (middle - values[0]) / STEP, (values[1] - middle) / STEP
        kink = abs(right - left) > 1e-2 * (abs(right) + abs(left)) + 1e-3 * max(1.0, abs(middle))
        out.append(np.nan if kink else (values[1] - values[0]) / (2 * STEP))
    return np.array(out)


def compare(name: str, f: Callable, x: np.ndarray, gradient: np.ndarray) -> None:
    """Raise `CheckFailed` unless `gradient` is that of f at x."""
    if gradient.shape != x.shape:
        raise CheckFailed(f"{name}: gradient of shape {gradient.shape} for an input of shape {x.shape}")
    rng = np.random.default_rng(1)
    coordinates = np.arange(x.size) if x.size <= MOST else rng.choice(x.size, MOST, replace=False)
    want, got = central(f, x, coordinates), gradient.reshape(-1)[coordinates]
    smooth = ~np.isnan(want)
    if smooth.sum() < 0.5 * smooth.size:
        raise CheckFailed(f"{name}: the input stands on kinks: {smooth.sum()} of {smooth.size} left")
    bound = 1e-6 * max(1e-3, abs(want[smooth]).max(initial=0.0), 1e-3 * abs(f(x)))
    off = smooth & ~(abs(got - np.where(smooth, want, 0)) <= bound)
    if off.any():
        k = int(np.argmax(off))
        at = list(map(int, np.unravel_index(coordinates[k], x.shape)))
        raise CheckFailed(f"{name}{at} is {got[k]:.7g}; central differences give {want[k]:.7g}.")


def check_rule(kernel: Kernel, inputs, attrs, names: Sequence[str]) -> None:
    """The gradient rule of one kernel at these inputs (float64), for the input slots in `names`."""
    attrs = kernel.complete(attrs)
    rng = np.random.default_rng(7)
    described = [None if x is None else Array(np.shape(x), np.asarray(x).dtype) for x in inputs]
    outputs = dict(zip(kernel.outputs, kernel.infer(*described, **attrs), strict=True))
    # The outputs are weighed before they are summed: the bare sum of a softmax does not depend on its input.
    weights = {n: rng.normal(size=outputs[n].shape) for n in differentiable(kernel)}
    weights = {n: w for n, w in weights.items() if outputs[n].dtype.kind == "f"}

    graph = Graph(kernel.name)
    feeds = {n: np.asarray(x) for n, x in zip(kernel.inputs, inputs) if x is not None}
    tensors = [None if x is None else graph.feed(n, np.shape(x), np.asarray(x).dtype)
               for n, x in zip(kernel.inputs, inputs)]
    graph.emit(kernel, tensors, attrs)
    call = graph.calls[-1]
    call.extra["need"] = set(names)
    upstream = {n: graph.feed(f"upstream {n}", w.shape, w.dtype) for n, w in weights.items()}
    found = kernel.gradient(call, **upstream)
    missing = [n for n in names if found.get(n) is None]
    if missing:
        raise CheckFailed(f"the rule of {kernel.name} gives no gradient of {missing}")
    for n in names:
        graph.fetch(n, found[n])
    program = Program(graph, backend="numpy", join=False)
    fetches = {n: np.full((1, *found[n].shape), np.nan) for n in names}
    given = {**feeds, **{f"upstream {n}": w for n, w in weights.items()}}
    program.run(1, {n: np.ascontiguousarray(x)[None] for n, x in given.items()}, fetches)

    for n in names:
        place = kernel.inputs.index(n)

        def value(x, place=place):
            moved = [*inputs[:place], x, *inputs[place + 1 :]]
            made = kernel.numpy(*moved, **attrs)
            made = dict(zip(kernel.outputs, made if isinstance(made, tuple) else (made,), strict=True))
            return sum(float(np.sum(w * made[o])) for o, w in weights.items())

        compare(f"{kernel.name}, gradient of {n}", value, np.asarray(inputs[place], np.float64), fetches[n][0])
