"""Cases of the updates by the sizes or signs of past gradients, with and without decay."""

import numpy as np

from fastnn.kernels import moments as k
from tests.cases import Case

from . import optim
from .optim import SIZES

POSITIVE = {"a", "v", "d", "u", "top"}
ODD = (np.nan, 1e-30, 0.0)


def arrays(kernel, n, scalars, odd=()):
    return optim.arrays(kernel, n, scalars, odd, POSITIVE, least=0.5)


ADAM = {"alpha": 0.003, "epsilon": 1e-7}
RULES = [
    (k.adagrad, {"rate": 0.1}, {}),
    (k.adagrad, {"rate": 0.1}, {"epsilon": 1e-8, "epsilon_inside": 0}),
    (k.adadelta, {"rate": 0.5}, {"rho": 0.9, "epsilon": 1e-4}),
    (k.adam_amsgrad, ADAM, {}),
    (k.adamax, {"alpha": 0.003}, {"beta_2": 0.9}),
    (k.nadam, {**ADAM, "gamma": 0.002}, {"beta_1": 0.8}),
    (k.radam, {**ADAM, "adaptive": 1.0}, {}),
    (k.radam, {**ADAM, "adaptive": 0.0}, {}),
    (k.lion, {"rate": 0.01}, {"beta_2": 0.9}),
    (k.ftrl, {"rate": 0.1, "l2": 0.01}, {"l1": 0.3, "shrinkage": 0.02}),
    (k.ftrl, {"rate": 0.1, "l2": 0.0}, {"power": -0.8, "l1": 0.1}),
]
CASES = []
for _kernel, _scalars, _attrs in RULES:
    _label = ",".join(f"{a}={v}" for a, v in {**_attrs, "adaptive": _scalars.get("adaptive", "-")}.items())
    _terms = 16 if _kernel is k.ftrl else 8
    for _n in SIZES:
        CASES.append(Case(_kernel, arrays(_kernel, _n, _scalars), _attrs, f"{_n},{_label}", terms=_terms))
    _decaying = {**_scalars, "decay": 0.02}
    CASES.append(Case(_kernel, arrays(_kernel, 103, _decaying), _attrs, f"decay,{_label}", terms=_terms))
    CASES.append(Case(_kernel, arrays(_kernel, 103, _scalars, ODD), _attrs, f"special,{_label}", terms=_terms))
