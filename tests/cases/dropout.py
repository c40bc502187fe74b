"""Dropout at several rates, sizes around its groups of 64 elements; random arrays."""

import numpy as np

from fastnn.kernels import dropout as d
from tests.cases import Case

SIZES = (0, 1, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 300, 1000)


def draw(n, step):
    return lambda rng: (rng.normal(size=n), np.float64(step))


CASES = [Case(d.dropout, draw(n, 7), {"rate": 0.3, "key0": 123, "key1": 2**32 - 1}, f"{n}", exact=True, grad=("x",),
              small=n <= 65) for n in SIZES]
CASES += [Case(d.dropout, draw(257, step), {"rate": rate, "key0": 5, "key1": 6}, f"{rate} step {step:g}", exact=True)
          for rate in (0.0, 1e-6, 0.5, 0.9, 0.999999) for step in (0, 1, 2.0**40 + 3)]
CASES += [Case(d.dropout, draw((5, 3, 17), 1), {"rate": 0.5, "key0": 5, "key1": 6}, "5x3x17", exact=True)]
for shape in ((0,), (1,), (31,), (32,), (33,), (5, 17), (1000,)):
    key = {"key0": 9, "key1": 2**31, "shape": shape}
    uniform, normal = {"low": -0.3, "high": 0.7}, {"mean": 0.1, "stddev": 2.0}
    for kernel, attrs in ((d.random_uniform, uniform), (d.random_normal, normal)):
        CASES.append(Case(kernel, lambda rng: (np.float64(3),), {**key, **attrs}, f"{shape}", exact=True))
