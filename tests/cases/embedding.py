"""Cases of embeddings: widths around vectors and blocks of columns, tokens twice, never, and beyond the table."""

import numpy as np

from fastnn.kernels import embedding as k
from tests.cases import Case

# shape of the tokens, rows of the table, its width
SHAPES = [((1,), 1, 1), ((5,), 3, 4), ((16,), 7, 16), ((17, 3), 5, 31), ((2, 3, 4), 9, 33), ((70,), 40, 65),
          ((0,), 3, 4), ((40,), 300, 128)]


def tokens(rng, shape, rows, beyond=False):
    low, high = (-2, rows + 2) if beyond else (0, rows)
    return rng.integers(low, high, shape).astype(np.int32)


def picked(shape, rows, width, beyond=False):
    return lambda rng: (tokens(rng, shape, rows, beyond), rng.normal(size=(rows, width)))


def scattered(shape, rows, width, beyond=False):
    return lambda rng: (rng.normal(size=(*shape, width)), tokens(rng, shape, rows, beyond))


def numbers(n):
    """Whole numbers and others, some of them beyond what is taken."""
    odd = np.array([0.5, -1.0, -0.0, 2.0**24, 2.0**24 + 2, 2.0**31, 1e30, np.nan, np.inf, -np.inf])

    def make(rng):
        x = rng.integers(0, 1000, n).astype(np.float64)
        return (np.where(rng.random(n) < 0.5, x, rng.choice(odd, n)),)
    return make


CASES = [Case(k.whole_numbers, numbers(n), {}, f"{n}", exact=True) for n in (0, 1, 17, 33, 1024, 2500)]
for _shape, _rows, _width in SHAPES:
    for _beyond in (False, True):
        _label = f"{_shape},{_rows}x{_width}{',beyond (nan)' * _beyond}"
        _small = _rows * _width < 200 and not _beyond
        CASES.append(Case(k.embedding, picked(_shape, _rows, _width, _beyond), {}, _label, exact=True, small=_small,
                          grad=("table",) if _small and 0 not in _shape else ()))
        CASES.append(Case(k.embedding_grad, scattered(_shape, _rows, _width, _beyond), {"rows": _rows}, _label,
                          exact=True))


def places(shape, rows, beyond):
    return lambda rng: (tokens(rng, shape, rows, beyond),)


def by_rows(kernel, shape, rows, width, beyond):
    """dy, its tokens in order, step scalars and tables; what averages squares is not below 0."""
    def make(rng):
        order, which = k.token_order.numpy(tokens(rng, shape, rows, beyond), count=rows)
        scalars = [np.float64(0.1) for _ in kernel.inputs[3 : -len(kernel.outputs)]]
        tables = [np.abs(rng.normal(size=(rows, width))) + 0.1 for _ in kernel.outputs]
        return (rng.normal(size=(*shape, width)), order, which, *scalars, *tables)
    return make


for _shape, _rows, _width in [*SHAPES, ((300,), 2**20, 1), ((1000,), 2, 3)]:
    for _beyond in (False, True):
        _label = f"{_shape},{_rows}x{_width}{',beyond' * _beyond}"
        CASES.append(Case(k.token_order, places(_shape, _rows, _beyond), {"count": _rows}, _label, exact=True))
        if _rows < 1000:
            for _kernel in (k.row_sgd, k.row_adagrad, k.row_adam):
                CASES.append(Case(_kernel, by_rows(_kernel, _shape, _rows, _width, _beyond), {}, _label,
                                  terms=20 + int(np.prod(_shape))))
CASES.append(Case(k.token_order, places((50,), k.MOST, True), {"count": k.MOST}, "most", exact=True))
CASES.append(Case(k.row_adagrad, by_rows(k.row_adagrad, (5,), 3, 4, False), {"epsilon": 0.1, "epsilon_inside": 0},
                  "outside", terms=20))
