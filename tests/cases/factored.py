"""Cases of Adafactor: one row and column, several stripes, several matrices, vectors."""

import numpy as np

from fastnn.kernels import factored as k
from tests.cases import Case

SHAPES = ((1, 1, 1), (1, 5, 7), (1, 64, 16), (2, 130, 33), (3, 2, 100), (1, 3, 1500))
CASES = []


def arrays(kernel, shape, decay=None):
    b, rows, columns = shape
    stripes = -(-rows // k.STRIPE)
    sizes = {"g": shape, "w": shape, "rows": (b, rows), "columns": (b, stripes, columns), "r": (b, rows),
             "c": (b, columns), "row": (b, rows), "column": (b, columns), "scale": (1,)}

    def make(rng):
        made = {name: rng.normal(size=sizes[name]) if name in "gw" else rng.uniform(0.5, 2.0, sizes[name])
                for name in kernel.inputs if name in sizes}
        made |= {"keep": np.float64(0.7), "decay": decay}
        return tuple(made[name] for name in kernel.inputs)

    return make


for _shape in SHAPES:
    _terms = 32 + _shape[1] // 8 + 32
    CASES += [Case(kernel, arrays(kernel, _shape), {}, str(_shape), terms=_terms)
              for kernel in (k.factored_squares, k.factored_average, k.factored_lengths, k.factored_sgd)]
CASES.append(Case(k.factored_sgd, arrays(k.factored_sgd, (1, 70, 20), np.float64(0.1)), {}, "decay"))
CASES += [Case(k.factored_scale, lambda rng, t=t, d=d, size=size: (rng.random(t) * size, rng.random(t) * size,
                                                                   np.float64(0.1), d),
               {"count": 100.0}, f"{t},{d},{size}") for t in (1, 7) for d in (None, np.float64(0.1))
          for size in (0.0, 1e-6, 1000.0)]
CASES += [Case(k.adafactor, lambda rng, n=n, d=d, s=s: (s * rng.normal(size=n), np.float64(0.8), np.float64(0.1),
                                                        rng.normal(size=n), rng.random(n) + 0.1, d),
               {"threshold": 0.5}, f"{n},{d},{s}", terms=48)
          for n in (0, 1, 15, 33, 300) for d, s in ((None, 1.0), (np.float64(0.1), 0.01))]
