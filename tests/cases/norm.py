"""Cases of batch and row normalisation: rows around the chunk of 256, columns around the vectors and the tiles."""

import numpy as np

from fastnn.kernels import norm as k
from tests.cases import Case

SHAPES = ((1, 1), (2, 3), (3, 15), (5, 16), (4, 17), (2, 31), (33, 33), (64, 100), (3, 64), (7, 80), (2, 129),
          (255, 5), (256, 3), (257, 2), (600, 20), (1000, 1), (3, 0), (520, 1030))
SMALL = 60  # elements up to which central differences are quick


def matrix(rng, shape):
    """Columns with means and spreads of their own."""
    columns = shape[1]
    return rng.normal(size=shape) * rng.uniform(0.5, 2, columns) + rng.normal(size=columns)


def forward(shape, gamma=True, beta=True):
    def make(rng):
        n = shape[1]
        return (matrix(rng, shape), rng.normal(size=n) if gamma else None, rng.normal(size=n) if beta else None,
                rng.normal(size=n), rng.uniform(0.5, 2, n))

    return make


def backward(kernel, shape, gamma=True):
    """mean and rstd are those of x, or the gradient's terms would not cancel as they do in a program."""

    def make(rng):
        x, n = matrix(rng, shape), shape[1]
        stats = x.mean(0), 1 / np.sqrt(x.var(0) + 1e-3)
        slots = {"dy": rng.normal(size=shape), "x": x, "gamma": rng.normal(size=n) if gamma else None,
                 "mean": stats[0], "rstd": stats[1], "moving_mean": stats[0], "moving_var": x.var(0) + 0.1}
        return tuple(slots[name] for name in kernel.inputs)

    return make


def terms(shape):
    """Roundings of a sum down the rows, which partly cancel, and of what follows."""
    return 16 + 2 * int(min(shape[0], 256) ** 0.5)


def folded(shape, bias, gamma, beta):
    def make(rng):
        n = shape[1]
        return (matrix(rng, shape), *(rng.normal(size=n) if there else None for there in (bias, gamma, beta)),
                rng.normal(size=n), rng.uniform(0.5, 2, n))

    return make


CASES = []
for shape in SHAPES:
    CASES.append(Case(k.fold_norm, folded(shape, True, True, True), {"epsilon": 1e-2}, f"{shape}", 8))
    if shape in ((4, 17), (33, 33)):
        CASES += [Case(k.fold_norm, folded(shape, *(x != i for x in range(3))), {}, f"{shape} without {i}", 8)
                  for i in range(3)]
    for gamma, beta in ((True, True), (False, True), (True, False), (False, False)):
        if not (gamma and beta) and shape not in ((4, 17), (33, 33)):
            continue
        names = tuple(n for n, there in (("x", True), ("gamma", gamma), ("beta", beta)) if there)
        label = f"{shape},{gamma},{beta}"
        small = np.prod(shape) <= SMALL
        CASES += [
            Case(k.batch_norm, forward(shape, gamma, beta), {"epsilon": 1e-2}, label, terms(shape), grad=names,
                 small=small),
            Case(k.batch_norm_inference, forward(shape, gamma, beta), {}, label, 8, grad=names, small=small),
        ]
    for gamma in (True, False):
        CASES += [Case(kernel, backward(kernel, shape, gamma), {}, f"{shape},{gamma}", terms(shape), small=False)
                  for kernel in (k.batch_norm_grad, k.batch_norm_inference_grad)]
    CASES.append(Case(k.batch_norm_grad_parameters, backward(k.batch_norm_grad_parameters, shape), {}, str(shape),
                      terms(shape), small=False))
CASES.append(Case(k.batch_norm, forward((33, 40)), {"momentum": 0.9, "unbiased_moving_variance": 1}, "unbiased", 24,
                  small=False))


def nan_column(rng):
    x, *rest = forward((20, 20))(rng)
    x[3, 4], x[5, 6] = np.nan, np.inf
    return x, *rest


CASES.append(Case(k.batch_norm_inference, nan_column, {}, "nan", 8, small=False))


# ---------------------------------------------------------------------- statistics of rows

ROWS = ((1, 1, 1), (2, 3, 1), (4, 3, 2), (3, 15, 3), (5, 16, 1), (6, 17, 2), (34, 33, 2), (8, 100, 4), (2, 255, 1),
        (2, 256, 1), (3, 600, 1), (300, 5, 1), (600, 33, 2), (0, 4, 1))  # M, N, P


def row_slots(kernel, m, n, p, kind, gamma, beta):
    def make(rng):
        x = rng.normal(size=(m, n)) * rng.uniform(0.5, 2, (m, 1)) + rng.normal(size=(m, 1))
        mean, rstd = k._rows(kind, x, 1e-2)
        slots = {"x": x, "dy": rng.normal(size=(m, n)), "gamma": rng.normal(size=p * n) if gamma else None,
                 "beta": rng.normal(size=p * n) if beta else None, "mean": mean, "rstd": rstd}
        return tuple(slots[name] for name in kernel.inputs)

    return make


for m, n, p in ROWS:
    for kind in k.KINDS:
        for gamma, beta in ((True, True), (True, False), (False, True), (False, False)):
            if (gamma, beta) not in ((True, True), (False, False)) and (m, n) not in ((4, 3), (34, 33)):
                continue
            label = f"{m}x{n}/{p},{kind},{gamma},{beta}"
            names = tuple(name for name, there in (("x", True), ("gamma", gamma), ("beta", beta)) if there)
            CASES.append(Case(k.row_norm, row_slots(k.row_norm, m, n, p, kind, gamma, beta),
                              {"kind": kind, "epsilon": 1e-2}, label, 16, grad=names, small=0 < m * n <= SMALL))
            if gamma == beta:
                CASES.append(Case(k.row_norm_grad, row_slots(k.row_norm_grad, m, n, p, kind, gamma, beta),
                                  {"kind": kind}, label, 24, small=False))
    CASES.append(Case(k.row_norm_grad_parameters, row_slots(k.row_norm_grad_parameters, m, n, p, "layer", True, True),
                      {"width": p * n}, f"{m}x{n}/{p}", 24, small=False))
