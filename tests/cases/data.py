"""Cases of the gather kernels: every source dtype, rows around the vector widths, no rows, rows twice."""

import numpy as np

from fastnn.kernels import data as k
from tests.cases import Case


def rows(dtype, shape, batch):
    def make(rng):
        if np.dtype(dtype).kind == "f":
            x = rng.normal(size=shape).astype(dtype)
        elif dtype == "bool":
            x = rng.integers(0, 2, shape).astype(bool)
        else:
            high = min(np.iinfo(dtype).max, 1000)
            x = rng.integers(0 if dtype == "uint8" else -high, high, shape).astype(dtype)
        return x.astype(dtype), rng.integers(0, shape[0], batch)

    return make


SHAPES = [((7, n), 5) for n in (1, 15, 16, 17, 31, 33, 100, 784)]
SHAPES += [((3,), 8), ((4, 0), 3), ((6, 3), 0), ((5, 28, 28), 60), ((4, 2, 3, 2), 9)]


def source(dtype):
    return "uint8" if dtype == "bool" else dtype


CASES = []
for shape, batch in SHAPES:
    for dtype in ("uint8", "int8", "int16", "int32", "int64", "float32", "bool"):  # float64: see test_data.py
        label = f"{dtype},{shape},{batch}"
        CASES.append(Case(k.gather_rows, rows(dtype, shape, batch), {"scale": 1 / 255, "offset": -0.5,
                                                                     "source": source(dtype)}, label, terms=4))
        CASES.append(Case(k.gather_rows, rows(dtype, shape, batch), {"source": source(dtype)}, f"{label},copy",
                          exact=True))
        CASES.append(Case(k.gather_labels, rows(dtype, shape, batch), {"source": source(dtype)}, label))
