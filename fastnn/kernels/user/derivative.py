"""Is a user's derivative there, finite and right?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .function import forgiving

if TYPE_CHECKING:
    from .elementwise import ElementwiseKernel

COUNT = 95  # points of a check: odd, so that none is the middle of the domain, where kinks like to be
STEP = 1e-6  # of the central differences, relative: their error is about STEP**2 by formula and EPS / STEP by rounding
TOLERANCE = 1e-5


def samples(arrays: int, domain: tuple[float, float]) -> list[np.ndarray]:
    """Points for each array: over the whole domain, in another order for each, and off the numbers where kinks are."""
    low, high = domain
    shares = (np.arange(COUNT) + 0.5) / COUNT  # never an end
    points = low + (high - low) * (shares + 0.0054 * np.sin(1 + np.arange(COUNT)))
    rng = np.random.default_rng(11)
    return [points if k == 0 else rng.permutation(points) for k in range(arrays)]


def by_input(kernel: ElementwiseKernel, derivative: Any) -> dict[str, Callable]:
    """Name of an array -> its derivative, or TypeError in a sentence."""
    if not isinstance(derivative, dict):
        if len(kernel.inputs) > 1:
            raise TypeError(f"{kernel.name} has the arrays {', '.join(kernel.inputs)}: give its derivatives as a dict "
                            "with a function for each.")
        derivative = {kernel.inputs[0]: derivative}
    for name, d in derivative.items():
        if name not in kernel.inputs:
            raise TypeError(f"{kernel.name} has no array {name!r} to have a derivative; it has "
                            f"{', '.join(kernel.inputs)}.")
        if not inspect.isfunction(d):
            raise TypeError(f"The derivative of {kernel.name} by {name} must be a Python function, not "
                            f"{type(d).__name__}.")
        known = {*kernel.inputs, *kernel.outputs, *kernel.attrs}
        for parameter in inspect.signature(d).parameters:
            if parameter not in known:
                raise TypeError(f"The derivative of {kernel.name} has a parameter {parameter!r}; known are "
                                f"{', '.join(sorted(known))} (y is the output).")
    return derivative


def check_values(kernel: ElementwiseKernel) -> None:
    """An error if the function does not give one number, or a number that is not finite at a point of its domain."""
    points = samples(len(kernel.inputs), kernel.domain)
    with np.errstate(all="ignore"):
        first = forgiving(kernel.function)(*(p[0] for p in points), **kernel.attrs)
    if not isinstance(first, int | float | np.number) or isinstance(first, complex):
        raise TypeError(f"The function {kernel.name} gives {first!r} at {_place(kernel, points, 0)}; a kernel of "
                        "elements gives one number.")
    values = kernel.numpy(*points, **kernel.attrs)
    bad = ~np.isfinite(values)
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"The function {kernel.name} gives {values[i]} at {_place(kernel, points, i)}; if it is meant "
                         "for a smaller domain, give domain=(low, high).")


def check_derivatives(kernel: ElementwiseKernel, gradients: dict[str, Any]) -> None:
    """ValueError if a derivative is not finite, or not that of the function."""
    points = samples(len(kernel.inputs), kernel.domain)
    y = kernel.numpy(*points, **kernel.attrs)
    for k, name in enumerate(kernel.inputs):
        if name not in gradients:
            continue
        g = gradients[name]
        which = f"The derivative of {kernel.name}" + (f" by {name}" if len(kernel.inputs) > 1 else "")
        got = np.broadcast_to(np.asarray(g.slope_at(*points, *([y] if g.takes_output else []), **kernel.attrs),
                                         np.float64), y.shape)
        if not np.isfinite(got).all():
            i = int(np.argmax(~np.isfinite(got)))
            raise ValueError(f"{which} gives {got[i]} at {_place(kernel, points, i)}.")
        want, smooth = _differences(kernel, points, k)
        wrong = smooth & (abs(got - want) > TOLERANCE * np.maximum(1.0, abs(want)))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ValueError(f"{which} is wrong: at {_place(kernel, points, i)} it gives {got[i]:.4g}, central "
                             f"differences give {want[i]:.4g}.")


def _differences(kernel: ElementwiseKernel, points: list[np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Central differences along array k, and where the two one-sided ones agree, so that there is no kink."""
    h = STEP * np.maximum(1.0, abs(points[k]))

    def at(shift):
        return kernel.numpy(*(p + shift if j == k else p for j, p in enumerate(points)), **kernel.attrs)

    middle, left, right = at(0.0), at(-h), at(h)
    before, after = (middle - left) / h, (right - middle) / h
    smooth = abs(after - before) <= 1e-3 * np.maximum(1.0, abs(after) + abs(before))
    return (right - left) / (2 * h), smooth


def _place(kernel: ElementwiseKernel, points: list[np.ndarray], i: int) -> str:
    return ", ".join(f"{n} = {p[i]:.3g}" for n, p in zip(kernel.inputs, points))
