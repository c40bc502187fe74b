"""Cases of batch normalisation in blocks of rows: one block and several, whole and not, columns around the vectors."""

import numpy as np

from fastnn.kernels import tall as k
from tests.cases import Case
from tests.cases.norm import matrix, terms

SHAPES = ((1, 1), (5, 3), (256, 64), (300, 16), (600, 64), (1100, 33), (600, 100), (520, 256), (17000, 1), (2500, 15))


def slots(kernel, shape, gamma=True, beta=True, plus=False):
    """Inputs by their slots' names; what earlier kernels give is what they would give."""

    def make(rng):
        x, n = matrix(rng, shape), shape[1]
        dy, mean = rng.normal(size=shape), x.mean(0)
        means, squares = k.batch_norm_moments.numpy(x)
        s, q = k.batch_norm_grad_sums.numpy(dy, x, mean)
        given = {"x": x, "dy": dy, "mean": mean, "rstd": 1 / np.sqrt(x.var(0) + 1e-3), "means": means,
                 "squares": squares, "s": s, "q": q, "gamma": rng.normal(size=n) if gamma else None,
                 "beta": rng.normal(size=n) if beta else None, "plus": rng.normal(size=shape) if plus else None,
                 "moving_mean": rng.normal(size=n), "moving_var": rng.uniform(0.5, 2, n)}
        return tuple(given[name] for name in kernel.inputs)

    return make


CASES = []
for shape in SHAPES:
    CASES += [Case(kernel, slots(kernel, shape), {}, str(shape), terms(shape), small=False)
              for kernel in (k.batch_norm_moments, k.batch_norm_rows, k.batch_norm_grad_sums, k.batch_norm_grad_rows)]
CASES.append(Case(k.batch_norm_grad_rows, slots(k.batch_norm_grad_rows, (600, 64), gamma=False), {}, "no gamma",
                  terms((600, 64)), small=False))
for activation in ("relu", "elu"):
    for gamma, beta, plus in ((True, True, True), (False, True, False), (True, False, True)):
        CASES.append(Case(k.batch_norm_rows, slots(k.batch_norm_rows, (600, 64), gamma, beta, plus),
                          {"activation": activation, "momentum": 0.9, "unbiased_moving_variance": 1},
                          f"{activation},{gamma},{beta},{plus}", terms((600, 64)), small=False))
