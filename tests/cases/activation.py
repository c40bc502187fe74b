"""Activations on both sides of the vector width, softmax with short, odd and long rows."""

import numpy as np

from fastnn.kernels import activation as a
from fastnn.kernels.curvature import BENDS, STRAIGHT
from tests.cases import Case

SIZES = (0, 1, 15, 16, 17, 31, 33, 100, 300, 1027)
ROWS = ((0, 5), (3, 0), (1, 1), (5, 3), (17, 10), (33, 16), (2, 17), (3, 300), (2, 1027), (2, 3, 31))


KINKS = (-3, -1, -0.7, 0, 0.7, 1, 3, 6)  # of relu and elu, of the hard kinds, of those with an alpha of 0.7


def away_from_kinks(rng, shape):
    """Normal values that keep off all kinks."""
    x = rng.normal(0, 2, shape)
    for kink in KINKS:
        x = np.where(np.abs(x - kink) < 0.05, kink + np.copysign(0.05, x - kink), x)
    return x


def forward(n):
    return lambda rng: (away_from_kinks(rng, n),)


def backward(kind, n):
    def make(rng):
        x = away_from_kinks(rng, n)
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


def second(kind):
    """Whose gradient is checked: the slot that the slope is told from as far as second derivatives are known."""
    if kind in STRAIGHT:
        return ("dy",)
    return ("dy", "y" if kind in a.FROM_OUTPUT else "x") if kind in BENDS else ()


CASES = [Case(a.activation, forward(n), {"kind": kind, "alpha": 0.7}, f"{kind}-{n}", grad=("x",), small=n <= 33)
         for kind in a.KINDS for n in SIZES]
CASES += [Case(a.activation_grad, backward(kind, n), {"kind": kind, "alpha": 0.7}, f"{kind}-{n}", terms=6,
               grad=second(kind), small=n < 50) for kind in a.KINDS for n in (0, 1, 17, 300)]
for shape in ROWS:
    label = "x".join(map(str, shape))
    small = np.prod(shape) <= 200
    terms = 4 + shape[-1] // 16
    CASES += [
        Case(a.softmax, rows(1, shape), {}, label, terms=terms, grad=("x",), small=small),
        Case(a.softmax_grad, rows(2, shape), {}, label, terms=terms, grad=("dy", "y"), small=small),
        Case(a.log_softmax, rows(1, shape), {}, label, terms=terms, grad=("x",), small=small),
        Case(a.log_softmax_grad, log_rows(shape), {}, label, terms=terms + 4),
    ]


def halves(n_inputs, shape):
    """x with twice as many columns, and an upstream gradient."""
    def make(rng):
        x = rng.normal(0, 3, (*shape[:-1], 2 * shape[-1]))
        return (x,) if n_inputs == 1 else (rng.normal(size=shape), x)
    return make


def with_alphas(n_inputs, shape):
    def make(rng):
        x, alpha = away_from_kinks(rng, shape), rng.normal(size=shape[-1])
        return (x, alpha) if n_inputs == 2 else (rng.normal(size=shape), x, alpha)
    return make


def sparse(shape):
    """An upstream gradient and points of the simplex, most of their coordinates 0."""
    def make(rng):
        x = rng.normal(0, 3, shape)
        return rng.normal(size=shape), a.sparsemax(x)
    return make


def gentle(shape):
    """Rows in whose sparsemax no coordinate is about to vanish: there it has kinks."""
    def make(rng):
        x = rng.normal(0, 1, shape)
        for _ in range(200):
            y = a.sparsemax(x) if x.size else x
            tau = np.where(y > 0, x - y, -np.inf).max(-1, keepdims=True) if x.size else 0
            close = np.abs(x - tau) < 0.02
            if not close.any():
                break
            x = np.where(close, rng.normal(0, 1, shape), x)
        return (x,)
    return make


for shape in ROWS:
    label = "x".join(map(str, shape))
    small = np.prod(shape) <= 200
    terms = 8 + shape[-1] // 16
    CASES += [
        Case(a.sparsemax, gentle(shape), {}, label, terms=terms, grad=("x",), small=small),
        Case(a.sparsemax_grad, sparse(shape), {}, label, terms=terms),
        Case(a.glu, halves(1, shape), {}, label, grad=("x",), small=small),
        Case(a.glu_grad, halves(2, shape), {}, label, terms=6),
        Case(a.prelu, with_alphas(2, shape), {}, label, grad=("x", "alpha"), exact=True, small=small),
        Case(a.prelu_grad, with_alphas(3, shape), {}, label, exact=True),
    ]
BENT = {"threshold": 0.7, "slope": 0.3, "top": 3.0, "value": -1.0}
for n in SIZES:
    CASES += [
        Case(a.ramp, forward(n), BENT, f"{n}", grad=("x",), small=n <= 33),
        Case(a.ramp, forward(n), {"threshold": -1.0}, f"{n},defaults", grad=("x",), small=n <= 33),
        Case(a.ramp_grad, lambda rng, n=n: (rng.normal(size=n), away_from_kinks(rng, n)),
             {"threshold": 0.7, "slope": 0.3, "top": 3.0}, f"{n}", exact=True),
    ]
