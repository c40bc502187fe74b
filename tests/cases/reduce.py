"""Sums over the first, the last, the middle and all axes; movement of floats and integers."""

import numpy as np

from fastnn.kernels import reduce as r
from tests.cases import Case

REDUCTIONS = (  # shape, axes
    ((1,), (0,)), ((15,), (0,)), ((17,), None), ((300,), (0,)), ((5, 31), (1,)), ((5, 31), (0,)), ((4, 0), (0,)),
    ((0, 4), (1,)), ((33, 16), (0,)), ((33, 16), (1,)), ((100, 10), (0,)), ((3, 1100), (0,)), ((3, 1100), (1,)),
    ((2, 5, 33), (1,)), ((2, 5, 33), (0, 1)), ((2, 5, 33), (1, 2)), ((2, 3, 4, 5), (0, 1, 2)), ((3, 1, 4), (0, 2)),
    ((7, 3), ()), ((2, 40, 70), (1,)),
)
MOVES = ((7,), (5, 17), (33, 16), (2, 3, 4), (3, 17, 18), (2, 1, 5, 3), (0, 3), (1, 1))


def label(shape, *more):
    return " ".join(["x".join(map(str, shape)), *map(str, more)])


def normal(*shapes):
    return lambda rng: tuple(rng.normal(size=s) for s in shapes)


def apart(shape):
    """Values of which no two are near, since a maximum has kinks."""
    n = int(np.prod(shape))
    return lambda rng: (rng.permutation(n).reshape(shape) * 0.1 - 1.0,)


def integers(*shapes):
    return lambda rng: tuple(rng.integers(-2**31, 2**31, s, np.int64).astype(np.int32) for s in shapes)


CASES = []
for shape, axes in REDUCTIONS:
    found = range(len(shape)) if axes is None else axes
    n = int(np.prod([shape[a] for a in found]))
    small = np.prod(shape) <= 160
    for keepdims in (False, True):
        attrs = {"axes": axes, "keepdims": keepdims}
        name = label(shape, axes, "keep" if keepdims else "drop")
        # a sum's error follows the sum of magnitudes, of the order of n, its scale only of sqrt(n)
        CASES.append(Case(r.reduce_sum, normal(shape), attrs, name, terms=max(n, 1), grad=("x",), small=small))
        if n:
            CASES.append(Case(r.reduce_mean, normal(shape), attrs, name, terms=n + 1, grad=("x",), small=small))
            CASES.append(Case(r.reduce_max, apart(shape), attrs, name, exact=True, grad=("x",), small=small))

for shape in MOVES:
    ndim, small = len(shape), np.prod(shape) <= 160
    perms = {None, tuple(range(ndim)), (*range(1, ndim), 0), (*range(ndim - 2), ndim - 1, ndim - 2)[-ndim:]}
    if ndim == 3:
        perms |= {(1, 0, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0)}
    for perm in sorted(perms, key=str):
        attrs, name = {"perm": perm}, label(shape, perm)
        CASES.append(Case(r.transpose, normal(shape), attrs, name, exact=True, grad=("x",), small=small))
        CASES.append(Case(r.transpose, integers(shape), attrs, f"{name} int32"))
    for axis in {0, ndim - 1, -1}:
        n = shape[axis]
        other = tuple(3 if i == axis % ndim else k for i, k in enumerate(shape))
        part = {"axis": axis, "start": n // 3, "stop": n - n // 4}
        around = {"axis": axis, "before": 2, "after": 1}
        for dtype, make in (("", normal), (" int32", integers)):
            attrs = {"exact": True, "grad": (), "small": small} if dtype else {"exact": True, "small": small}
            name = label(shape, axis) + dtype
            CASES += [
                Case(r.concat, make(shape, other), {"axis": axis}, name, **{"grad": ("a", "b"), **attrs}),
                Case(r.slice_axis, make(shape), part, name, **{"grad": ("x",), **attrs}),
                Case(r.pad_axis, make(shape), around, name, **{"grad": ("x",), **attrs}),
            ]



def pixels(rng):
    return (rng.integers(0, 255, (5, 18, 3)).astype(np.uint8),)


CASES.append(Case(r.transpose, pixels, {"perm": (2, 1, 0)}, "uint8"))

for shape, to in (((1,), (33,)), ((17,), (5, 17)), ((5, 1), (5, 17)), ((3, 1, 4), (2, 3, 5, 4)), ((2, 3), (2, 3)),
                  ((1, 3), (0, 3)), ((1, 1), (4, 4))):
    CASES.append(Case(r.broadcast_to, normal(shape), {"shape": to}, label(shape, to), exact=True, grad=("x",)))
    CASES.append(Case(r.broadcast_to, integers(shape), {"shape": to}, label(shape, to, "int32")))
