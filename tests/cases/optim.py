"""Cases of the optimizer updates: every length around the vector widths, zero moments, NaN and huge gradients."""

import numpy as np

from fastnn.kernels import optim as k
from tests.cases import Case

SIZES = (0, 1, 7, 15, 16, 17, 31, 33, 64, 100, 300, 1003)


ODD = (np.nan, np.inf, 1e-30, -1e30, 0.0)


def arrays(kernel, n, scalars, odd=(), positive=("v",), least=2.0):
    """Inputs of one kernel by its slots.

    Slots in `positive` (sums of squares) are `least` or more, a tenth of them zero; a few gradients are `odd`.
    """

    def make(rng):
        made = []
        for name in kernel.inputs:
            if name in kernel.scalars:
                made.append(np.float64(scalars[name]) if name in scalars else None)
                continue
            x = rng.normal(size=n)
            if name in positive and not kernel.name.startswith("momentum"):
                x = np.where(rng.random(n) < 0.1, 0.0, x * x + least)  # away from mean**2: see `centered` below
            if name == "g" and odd and n:
                x[rng.integers(0, n, len(odd))] = odd
            made.append(x)
        return tuple(made)

    return make


RULES = [
    (k.sgd, {"rate": 0.1}, {}),
    (k.momentum, {"rate": 0.1, "mu": 0.9}, {"nesterov": 0}),
    (k.momentum, {"rate": 0.1, "mu": 0.9}, {"nesterov": 1}),
    (k.sgd, {"rate": 0.1, "decay": 0.02}, {}),
    (k.momentum, {"rate": 0.1, "mu": 0.9, "decay": 0.02}, {"nesterov": 0}),
    (k.momentum, {"rate": 0.1, "mu": 0.9, "decay": 0.02}, {"nesterov": 1}),
    (k.momentum_outside, {"rate": 0.1, "mu": 0.9, "gain": 0.3}, {"nesterov": 0}),
    (k.momentum_outside, {"rate": 0.1, "mu": 0.9, "gain": 1.0, "decay": 0.02}, {"nesterov": 1}),
    (k.rmsprop, {"rate": 0.01}, {"rho": 0.9}),
    (k.rmsprop, {"rate": 0.01, "decay": 0.02}, {"rho": 0.9}),
    (k.rmsprop, {"rate": 0.01}, {"rho": 0.99, "epsilon": 1e-8, "epsilon_inside": 0}),
    (k.rmsprop_momentum, {"rate": 0.01, "mu": 0.9}, {"rho": 0.9}),
    (k.rmsprop_momentum, {"rate": 0.01, "mu": 0.9, "decay": 0.02}, {"rho": 0.9, "epsilon_inside": 0}),
    (k.adam, {"alpha": 0.003, "epsilon": 1e-7}, {}),
    (k.adam, {"alpha": 0.003, "epsilon": 1e-8}, {"beta_1": 0.0, "beta_2": 0.5}),
    (k.adamw, {"alpha": 0.003, "epsilon": 1e-7, "decay": 0.02}, {"beta_1": 0.8, "beta_2": 0.99}),
    (k.clip_inplace, {}, {"limit": 0.7}),
    (k.add_inplace, {}, {}),
    (k.accumulate, {"keep": 0.0}, {"factor": 0.25}),
    (k.accumulate, {"keep": 1.0}, {"factor": 0.5}),
    (k.moving_average, {"mu": 0.9, "overwrite": 0.0}, {}),
    (k.moving_average, {"mu": 0.9, "overwrite": 1.0}, {}),
    (k.moving_average, {"mu": 0.0, "overwrite": 0.0}, {}),
    (k.l2_grad_inplace, {}, {"coefficient": 0.01}),
]


def name(attrs, scalars):
    told = {n: v for n, v in scalars.items() if n in ("decay", "mu", "overwrite", "keep")}
    return ",".join(f"{a}={v}" for a, v in {**attrs, **told}.items())


CASES = [Case(kernel, arrays(kernel, n, scalars), attrs, f"{n},{name(attrs, scalars)}", terms=6)
         for kernel, scalars, attrs in RULES for n in SIZES]
CASES += [Case(kernel, arrays(kernel, 100, scalars, ODD), attrs, f"special,{name(attrs, scalars)}", terms=6,
               slack=8)
          for kernel, scalars, attrs in RULES if kernel in (k.sgd, k.momentum, k.clip_inplace, k.add_inplace)]


def centered(n, decay=None):
    """Means that are small beside v, or v - mean**2 would cancel and the error grow without bound."""

    def make(rng):
        g, w, mean, mom = rng.normal(size=(4, n))
        return g, np.float64(0.01), np.float64(0.5), w, g * g + 1.0, 0.3 * mean, mom, decay

    return make


CASES += [Case(k.rmsprop_centered, centered(n, decay), {"epsilon_inside": inside}, f"{n},inside={inside}", terms=16)
          for n in SIZES for inside, decay in ((0, None), (1, np.float64(0.02)))]
CASES += [Case(k.scale_inplace, lambda rng, n=n: (np.float32(0.3), rng.normal(size=n)), {}, str(n)) for n in SIZES]
CASES += [Case(k.sum_of_squares, lambda rng, n=n: (rng.normal(size=n),), {}, str(n), terms=24)
          for n in (*SIZES, 16383, 16384, 16385, 40000)]
CASES += [Case(k.global_norm_scale, lambda rng, n=n: (rng.random(n),), {"limit": limit}, f"{n},{limit}")
          for n in (0, 1, 3, 200) for limit in (0.5, 100.0)]
