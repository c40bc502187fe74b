"""Arithmetic: equal shapes, rows, columns, single elements; both sides of the vector width."""

import numpy as np

from fastnn.kernels import elementwise as e
from tests.cases import Case

SIZES = (0, 1, 15, 16, 17, 31, 33, 100, 300)
SHAPES = (  # of a and b
    ((17,), (17,)), ((300,), (300,)), ((0, 3), (3,)), ((33,), (1,)), ((1,), (33,)), ((5, 17), (17,)), ((17,), (5, 17)),
    ((5, 17), (5, 1)), ((5, 1), (1, 17)), ((2, 3, 4), (3, 1)), ((2, 1, 4, 1), (3, 1, 5)), ((1, 1), (1,)),
    ((64, 10), (10,)), ((10,), (64, 10)), ((70, 100), (100,)), ((3, 300), (300,)),
)


def label(*shapes):
    return " ".join("x".join(map(str, s)) for s in shapes)


def normal(*shapes):
    return lambda rng: tuple(rng.normal(0, 2, s) for s in shapes)


def apart(*shapes):
    """Values of which no two are nearer than 0.01, for what has a kink where they meet."""
    def make(rng):
        ends = np.cumsum([int(np.prod(s)) for s in shapes])
        values = rng.permutation(ends[-1]) * 0.02 + rng.uniform(0, 0.01, ends[-1]) - 0.01 * ends[-1]
        return tuple(v.reshape(s) for v, s in zip(np.split(values, ends[:-1]), shapes, strict=True))
    return make


def positive(*shapes):
    return lambda rng: tuple(rng.uniform(0.5, 3, s) for s in shapes)


def mixed(make, signed):
    """The first inputs by one maker, those from `signed` on of any sign."""
    def both(rng):
        inputs = make(rng)
        return tuple(x if i < signed else x * rng.choice([-1, 1], x.shape) for i, x in enumerate(inputs))
    return both


CASES = []
for a, b in SHAPES:
    small = np.prod(np.broadcast_shapes(a, b)) <= 130
    for kernel in (e.add, e.subtract, e.multiply):
        CASES.append(Case(kernel, normal(a, b), {}, label(a, b), exact=True, grad=("a", "b"), small=small))
    CASES.append(Case(e.divide, mixed(positive(a, b), 0), {}, label(a, b), exact=True, grad=("a", "b"), small=small))
    for kernel in (e.maximum, e.minimum):
        CASES.append(Case(kernel, apart(a, b), {}, label(a, b), exact=True, grad=("a", "b"), small=small))
    CASES.append(Case(e.greater, normal(a, b), {}, label(a, b), exact=True))
    CASES.append(Case(e.power, mixed(positive(a, b), 1), {}, label(a, b), terms=1, grad=("a", "b"), small=small))


def condition(c, *shapes):
    """Zeros and ones, then normal values, or None where there is no shape."""
    return lambda rng: (rng.integers(0, 2, c).astype(float),
                        *(None if s is None else rng.normal(size=s) for s in shapes))


for c, a, b in (
    ((17,), (17,), (17,)), ((300,), (1,), (300,)), ((33,), (33,), (1,)), ((33,), (1,), (1,)), ((5, 17), None, (17,)),
    ((5, 1), (5, 17), None), ((17,), (5, 1), (17,)), ((2, 3, 1), (1, 4), (3, 4)), ((0,), (1,), (1,)),
    ((4, 4), None, None),
):
    CASES.append(Case(e.where, condition(c, a, b), {}, label(*(s or () for s in (c, a, b))), exact=True,
                      grad=tuple(n for n, s in (("a", a), ("b", b)) if s)))

for n in SIZES:
    small = n <= 33
    for kernel in (e.negative, e.square):
        CASES.append(Case(kernel, normal((n,)), {}, f"{n}", exact=True, grad=("x",), small=small))
    CASES.append(Case(e.sign, normal((n,)), {}, f"{n}", exact=True))
    CASES.append(Case(e.absolute, mixed(positive((n,)), 0), {}, f"{n}", exact=True, grad=("x",), small=small))
    CASES.append(Case(e.reciprocal, mixed(positive((n,)), 0), {}, f"{n}", exact=True, grad=("x",), small=small))
    CASES.append(Case(e.sqrt, positive((n,)), {}, f"{n}", exact=True, grad=("x",), small=small))
    for kernel in (e.log, e.log1p):
        CASES.append(Case(kernel, positive((n,)), {}, f"{n}", terms=1, grad=("x",), small=small))
    for kernel in (e.exp, e.expm1, e.erf):
        CASES.append(Case(kernel, normal((n,)), {}, f"{n}", terms=1, grad=("x",), small=small))
    line, band = {"scale": -1.5, "offset": 0.3}, {"low": -0.105, "high": 0.155}
    CASES.append(Case(e.affine, normal((n,)), line, f"{n}", terms=2, grad=("x",), small=small))
    CASES.append(Case(e.clip, apart((n,)), band, f"{n}", exact=True, grad=("x",), small=small))
    CASES.append(Case(e.clip_grad, normal((n,), (n,)), {"low": -0.5, "high": 1.0}, f"{n}", exact=True))
    CASES.append(Case(e.copy, normal((n,)), {}, f"{n}", exact=True, grad=("x",), small=small))

for dtype in (np.int32, np.uint8, bool):
    CASES.append(Case(e.copy, lambda rng, d=dtype: (rng.integers(0, 2, (3, 17)).astype(d),), {}, np.dtype(dtype).name))
for dtype in e.fill.TYPES:
    CASES.append(Case(e.fill, lambda rng: (), {"value": 3.0, "shape": (5, 17), "dtype": dtype}, dtype, exact=True))
