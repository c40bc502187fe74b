"""What a call should give: its NumPy meaning in float64, and how far float32 arithmetic may be from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..kernels.data import Gather
from ..kernels.spec import Call

FLOOR = 4.0  #: roundings of an array's largest element that any element of it may be off
PROBES = 3  #: disturbed inputs from which the condition of an output is told


@dataclass
class Slot:
    """One output of a call, or of the update that runs with it.

    ``stored`` is False for a gradient that exists in scratch memory only.
    """

    call: Call
    name: str
    tensor: object
    stored: bool = True


@dataclass
class Inputs:
    """Copies of what a call reads, taken before it runs; ``then`` are those of the update that runs with it."""

    own: list
    then: Inputs | None = None

    def widened(self) -> Inputs:
        """All float32 as float64."""
        wide = [x.astype(np.float64) if x is not None and x.dtype == np.float32 else x for x in self.own]
        return Inputs(wide, self.then and self.then.widened())

    def disturbed(self, rng: np.random.Generator, by: float) -> Inputs:
        """The same in float64, each float off by up to `by` of itself; step scalars (0-d float64) as they are."""
        def off(x):
            data = x is not None and (x.dtype == np.float32 or x.dtype == np.float64 and x.ndim)
            return x * (1 + by * rng.uniform(-1, 1, x.shape)) if data else x

        return Inputs(list(map(off, self.own)), self.then and self.then.disturbed(rng, by))


def slots(call: Call) -> list[Slot]:
    """The outputs of a call in order, then those of the update that runs with it."""
    stored = not (call.then and call.attrs.get("keep") == 0)
    own = [Slot(call, n, t, stored or i > 0) for i, (n, t) in enumerate(zip(call.kernel.outputs, call.outputs))]
    return own + (slots(call.then) if call.then else [])


def take(call: Call, look: Callable[[object], np.ndarray]) -> Inputs:
    """Copies of a call's inputs, `look` being where a tensor stands. Of gathered data, the picked rows alone."""
    own = [None if t is None else look(t) for t in call.inputs]
    if isinstance(call.kernel, Gather):
        source, index = own
        if index.size and not (0 <= index.min() and index.max() < len(source)):
            raise IndexError(f"its index has numbers from {index.min()} to {index.max()}, and there are {len(source)} "
                             "rows")
        own = [source[index], np.arange(len(index))]
    return Inputs([None if x is None else np.array(x) for x in own], take(call.then, look) if call.then else None)


def meaning(call: Call, inputs: Inputs, quiet: bool = True) -> list[np.ndarray]:
    """The outputs that the NumPy meaning gives, in the order of `slots`.

    An update that runs with the call gets the gradient that the meaning gave, with zeros in the gap behind it. With
    `quiet` overflow and underflow raise no flag.
    """
    with np.errstate(all="ignore") if quiet else np.errstate(divide="ignore", invalid="ignore"):
        made = call.kernel.numpy(*inputs.own, **call.attrs)
    made = [np.asarray(x).reshape(t.shape) for x, t in zip(made if isinstance(made, tuple) else (made,), call.outputs)]
    if call.then is None:
        return made
    then, place = call.then, call.then.kernel.inputs.index("g")
    g = np.zeros(then["g"].shape, made[0].dtype)
    g.reshape(-1)[: made[0].size] = made[0].reshape(-1)
    following = [g if i == place else x for i, x in enumerate(inputs.then.own)]
    return made + meaning(then, Inputs(following), quiet)


def tolerances(call: Call, inputs: Inputs, meant: list[np.ndarray], dtypes: list[np.dtype]) -> list[np.ndarray]:
    """How far each element of each output may be from its meaning.

    To first order the error of a sum is at most ``terms * eps`` times the sum of the magnitudes (`Kernel.terms`), and
    where a result is small by cancellation that sum is not. How ill conditioned each element is shows by itself:
    all inputs are disturbed by up to eps, `PROBES` times, and what then moves furthest is::

        tolerance = eps (terms (abs(meant) + moved / eps + unit) + 4 max(abs(meant)))

    with `Kernel.units` as `unit` for outputs that are differences of numbers of a known size, and the last term for
    functions that are near zero in an absolute sense only. (eps is twice the largest relative error of one rounding.)
    Kernels that round nothing (``terms`` 0) have no tolerance. `inputs` are as the call had them, not widened.
    """
    terms = [c.kernel.terms(c) for c in ((call, call.then) if call.then else (call,))]
    kinds = [np.finfo(d).eps if d.kind == "f" else 0.0 for d in dtypes]
    eps = max(kinds, default=0.0)
    with np.errstate(all="ignore"):
        units = call.kernel.units(*inputs.widened().own, **call.attrs)
    rng, moved = np.random.default_rng(0), [0.0] * len(meant)
    own = len(call.outputs)
    if any(terms) and eps and not call.kernel.jumps:
        for _ in range(PROBES):
            other = meaning(call, inputs.disturbed(rng, eps))
            with np.errstate(all="ignore"):
                moved = [np.fmax(m, np.abs(o - w)) if w.dtype.kind == "f" else m
                         for m, o, w in zip(moved, other, meant)]
    out = []
    for i, (want, kind, move) in enumerate(zip(meant, kinds, moved)):
        steps, kernel = (terms[0], call.kernel) if i < own else (sum(terms), call.then.kernel)
        if not (steps and kind):
            out.append(np.zeros(want.shape))
            continue
        size = np.abs(want)
        largest = size[np.isfinite(size)].max(initial=0.0)
        unit = units.get(kernel.outputs[i], 0.0) if i < own else 0.0
        tiny = np.finfo(np.float32).tiny
        out.append(steps * (kind * (size + unit) + np.nan_to_num(move, posinf=0.0) + tiny) + FLOOR * kind * largest)
    return out


def out_of_range(call: Call, inputs: Inputs):
    """The meaning in the inputs' own dtype, and how that leaves its range: "overflow", "underflow", "infinite" inputs.

    Where float32 has no number for what lies between (a square of 1e25, a sum of exponentials), a kernel can't but
    give what follows from infinity or zero.
    """
    left: set[str] = set()
    before = np.seterrcall(lambda kind, flag: left.add(kind))
    try:
        with np.errstate(over="call", under="call"):
            made = meaning(call, inputs, quiet=False)
    finally:
        np.seterrcall(before)
    arrays = inputs.own + (inputs.then.own if inputs.then else [])
    if any(x is not None and x.dtype.kind == "f" and np.isinf(x).any() for x in arrays):
        left.add("infinite")
    return made, left


def pardoned(wrong: np.ndarray, got: np.ndarray, narrow: np.ndarray, tolerance: np.ndarray, left: set[str]):
    """`wrong` without what is no fault of a kernel: the range of its dtype was left on the way.

    What agrees with the meaning in float32 is right. After an overflow it depends on the order of a sum which
    elements are lost, so there nothing can be said of those that are infinite or NaN on either side; and where the
    inputs hold infinity ("infinite"), whether infinity or NaN follows depends on it too.
    """
    if left:
        wrong = np.fmin(wrong, excess(got, narrow, tolerance))
    if got.dtype.kind != "f":
        return wrong
    if "overflow" in left:
        wrong = np.where(np.isfinite(got) & np.isfinite(narrow), wrong, 0.0)
    if "infinite" in left:
        wrong = np.where(np.isfinite(got) | np.isfinite(narrow), wrong, 0.0)
    return wrong


def excess(got: np.ndarray, meant: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """The error of each element in tolerances: above 1 is wrong. NaN belongs where NaN is meant, and only there."""
    with np.errstate(all="ignore"):
        rounded = meant.astype(got.dtype)
        same = got == rounded
        if got.dtype.kind != "f":
            return np.where(same, 0.0, np.inf)
        same |= np.isnan(got) & np.isnan(rounded)
        off = np.abs(got.astype(np.float64) - meant) / tolerance
        return np.where(same, 0.0, np.where(np.isfinite(got) & np.isfinite(rounded), off, np.inf))
