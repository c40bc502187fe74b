"""Pooling over odd sizes, strides above and below the window, padding, one pixel, one channel; resampling."""

import numpy as np

from fastnn.kernels import pool as p
from tests.cases import Case

NONE = ((0, 0), (0, 0))
#: images, window, strides, padding
SHAPES = (
    ((1, 1, 1, 1), (1, 1), (1, 1), NONE), ((2, 4, 6, 3), (2, 2), (2, 2), NONE), ((1, 5, 7, 16), (2, 2), (2, 2), NONE),
    ((2, 5, 7, 17), (3, 3), (2, 2), ((1, 1), (0, 1))), ((1, 7, 5, 1), (3, 2), (1, 1), ((1, 1), (0, 0))),
    ((2, 7, 8, 2), (2, 2), (3, 4), NONE), ((3, 1, 9, 5), (1, 3), (1, 2), ((0, 0), (1, 1))),
    ((1, 6, 6, 33), (3, 3), (1, 1), ((1, 1), (1, 1))), ((1, 3, 3, 4), (3, 3), (3, 3), NONE),
    ((2, 8, 9, 40), (2, 3), (2, 3), NONE), ((1, 20, 19, 2), (17, 16), (2, 3), ((3, 4), (15, 0))),
    ((1, 40, 40, 1), (1, 1), (3, 3), NONE),
)


def label(shape, *more):
    return " ".join(["x".join(map(str, shape)), *map(str, more)])


def apart(*shape):
    """Values of which no two are near, since a maximum has kinks."""
    n = int(np.prod(shape))
    return lambda rng: (rng.permutation(n).reshape(shape) * 0.01 - 1.0,)


def out_of(shape, size, strides, padding):
    return (shape[0], *(p.windows(*a) for a in zip(shape[1:3], size, strides, padding)), shape[3])


def upstream(shape, size, strides, padding, places=True):
    """dy, and where its windows' maxima stand in some images."""
    def make(rng):
        x = rng.normal(size=shape)
        y, place = p.max_pool(x, pool=size, strides=strides, padding=padding)
        dy = rng.normal(size=y.shape)
        return (dy, place) if places else (dy,)
    return make


def drawn(n, rows, k):
    """x and a table of `rows` rows with up to k pairs, there and back."""
    def make(rng, shape):
        index = rng.integers(0, n, (rows, k)).astype(np.int32)
        weight = np.where(rng.random((rows, k)) < 0.2, 0, rng.normal(size=(rows, k)))
        return rng.normal(size=shape), index, weight, *p.turned(index, weight, n)
    return make


CASES = []
for shape, size, strides, padding in SHAPES:
    attrs = {"pool": size, "strides": strides, "padding": padding}
    name, small = label(shape, size, strides), np.prod(shape) <= 400
    terms = int(np.prod(size)) + 1
    CASES += [
        Case(p.max_pool, apart(*shape), attrs, name, exact=True, grad=("x",), small=small),
        Case(p.max_pool_grad, upstream(shape, size, strides, padding), {**attrs, "shape": shape}, name, terms=terms),
    ]
    for mean in (1, 0):
        more = {**attrs, "mean": mean}
        CASES += [
            Case(p.average_pool, apart(*shape), more, f"{name} {mean}", terms=terms, grad=("x",), small=small),
            Case(p.average_pool_grad, upstream(shape, size, strides, padding, places=False), {**more, "shape": shape},
                 f"{name} {mean}", terms=terms, grad=("dy",), small=small),
        ]

for shape, axis, rows, k in (((5,), 0, 7, 2), ((3, 4, 5), 1, 9, 3), ((2, 6, 17), -2, 3, 1), ((4, 33), 0, 5, 4),
                             ((2, 3, 40, 30), 2, 2, 5), ((2, 1, 3), 1, 1, 1)):
    make = drawn(shape[axis], rows, k)
    CASES.append(Case(p.resample, lambda rng, make=make, shape=shape: make(rng, shape), {"axis": axis},
                      label(shape, axis, rows, k), terms=2 * k, grad=("x",)))
