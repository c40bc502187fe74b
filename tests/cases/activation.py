"""Activations on both sides of the vector width, softmax with short, odd and long rows."""

import numpy as np

from fastnn.kernels import activation as a
from tests.cases import Case

SIZES = (0, 1, 15, 16, 17, 31, 33, 100, 300, 1027)
ROWS = ((0, 5), (3, 0), (1, 1), (5, 3), (17, 10), (33, 16), (2, 17), (3, 300), (2, 1027), (2, 3, 31))


def away_from_zero(rng, shape):
    """Standard normal values that keep off the kink at 0 of relu and elu."""
    x = rng.normal(0, 2, shape)
    return x + np.copysign(0.05, x)


def forward(n):
    return lambda rng: (away_from_zero(rng, n),)


def backward(kind, n):
    def make(rng):
        x = away_from_zero(rng, n)
        dy = rng.normal(size=n)
        return (dy, None, a.value(kind, x, 0.7)) if kind in a.FROM_OUTPUT else (dy, x, None)
    return make


def rows(n_inputs, shape):
    def make(rng):
        x = rng.normal(0, 3, shape)
        if n_inputs == 1:
            return (x,)
        e = np.exp(x)
        return rng.normal(size=shape), e / e.sum(-1, keepdims=True) if e.size else e
    return make


def log_rows(shape):
    def make(rng):
        dy, y = rows(2, shape)(rng)
        return dy, np.log(y)
    return make


CASES = [Case(a.activation, forward(n), {"kind": kind, "alpha": 0.7}, f"{kind}-{n}", grad=("x",), small=n <= 33)
         for kind in a.KINDS for n in SIZES]
CASES += [Case(a.activation_grad, backward(kind, n), {"kind": kind, "alpha": 0.7}, f"{kind}-{n}", terms=6)
          for kind in a.KINDS for n in (0, 1, 17, 300)]
for shape in ROWS:
    label = "x".join(map(str, shape))
    small = np.prod(shape) <= 200
    terms = 4 + shape[-1] // 16
    CASES += [
        Case(a.softmax, rows(1, shape), {}, label, terms=terms, grad=("x",), small=small),
        Case(a.softmax_grad, rows(2, shape), {}, label, terms=terms),
        Case(a.log_softmax, rows(1, shape), {}, label, terms=terms, grad=("x",), small=small),
        Case(a.log_softmax_grad, log_rows(shape), {}, label, terms=terms + 4),
    ]
