"""Cases of what is done by segment: pieces with gaps between them, segments of many pieces, zeros and NaN."""

import numpy as np

from fastnn.kernels import segments as k
from tests.cases import Case

#: (elements, pieces): one segment; three with gaps, one of two pieces; none at all; one longer than a part
PLACES = {
    "one": (40, [(0, 40, 0)]),
    "gaps": (300, [(0, 7, 0), (16, 161, 0), (176, 177, 1), (192, 300, 2)]),
    "none": (16, []),
    "long": (2500, [(0, 2300, 0), (2304, 2500, 1)]),
}
SCALARS = {"rate": 0.1, "mu": 0.9, "alpha": 0.7, "epsilon": 1e-6}


def arrays(kernel, where, scalars=SCALARS, odd=False):
    n, rows = PLACES[where]
    pieces = np.array(rows, np.int64).reshape(-1, 3)

    def make(rng):
        made = []
        for name in kernel.inputs:
            if name == "pieces":
                made.append(pieces)
            elif name in kernel.scalars:
                made.append(np.float64(scalars[name]) if name in scalars else None)
            elif name == "ratio":
                made.append(rng.uniform(0.2, 1.5, pieces[:, 2].max(initial=-1) + 1))
            else:
                x = rng.normal(size=n)
                made.append(x * x + 0.5 if name == "v" and kernel is k.lamb else x)
                if odd and name == "g":
                    made[-1][n // 2] = np.nan
        return tuple(made)

    return make


RULES = [
    (k.piece_squares, {}, {}),
    (k.scale_segments, {}, {}),
    (k.scaled_sgd, {}, {}),
    (k.scaled_sgd, {"decay": 0.1}, {}),
    (k.scaled_momentum, {}, {"pull": 0.3}),
    (k.scaled_momentum, {"decay": 0.1}, {"nesterov": 1}),
    (k.lamb, {}, {}),
    (k.lamb, {"decay": 0.1}, {"beta_1": 0.8, "beta_2": 0.9, "pull": 0.3}),
]
CASES = []
for _kernel, _scalars, _attrs in RULES:
    _label = ",".join(f"{a}={v}" for a, v in {**_attrs, **_scalars}.items())
    for _where in PLACES:
        CASES.append(Case(_kernel, arrays(_kernel, _where, {**SCALARS, **_scalars}), _attrs, f"{_where},{_label}",
                          terms=24))
    if _kernel is not k.lamb:
        CASES.append(Case(_kernel, arrays(_kernel, "gaps", {**SCALARS, **_scalars}, odd=True), _attrs,
                          f"nan,{_label}", terms=24))


def sums(with_weights, adapts):
    pieces = np.array([(0, 4, 0), (4, 6, 0), (6, 7, 1), (7, 8, 2), (8, 9, 3)], np.int64)

    def make(rng):
        u, w = rng.random((2, 5)) * 3
        u[2], w[3] = 0.0, 0.0
        return u, w if with_weights else None, pieces, np.array([1.0, 1, 1, 0]) if adapts else None

    return make


CASES += [Case(k.trust_ratios, sums(w, a), {"segments": 4, **attrs}, f"{w},{a},{attrs}")
          for w, a, attrs in ((True, False, {}), (True, True, {"coefficient": 0.01, "pull": 0.1, "epsilon": 0.01}),
                              (False, False, {}), (False, True, {"epsilon": 1e-3}))]
CASES += [Case(k.clip_ratios, lambda rng: sums(True, False)(rng)[::2], {"segments": 4, "limit": limit}, str(limit))
          for limit in (0.5, 100.0)]


def unit(rows, columns):
    def make(rng):
        g, w = rng.normal(size=(2, rows, columns))
        w[:, : columns // 3] = 0  # the least norm counts
        return g * rng.choice([0.001, 1.0], columns), w

    return make


CASES += [Case(k.clip_units, unit(*shape), {"clipping": 0.3}, f"{shape}", terms=16 + shape[0])
          for shape in ((1, 1), (50, 1), (3, 7), (33, 64), (20, 150), (0, 5), (4, 0))]
