"""Every gradient rule against central differences in float64, driven by the one list of cases."""

import inspect

import numpy as np
import pytest

from fastnn.kernels.elementwise import affine
from fastnn.kernels.spec import KERNELS, Kernel
from fastnn.program.kernel_check import check_rule
from tests.cases import all_cases, widen

CASES = [c for c in all_cases() if c.grad and c.small]
ONE_EACH = list({c.kernel.name: c for c in reversed(CASES)}.values())


def check(case):
    inputs = tuple(widen(x) for x in case.inputs())
    with np.errstate(all="ignore"):
        check_rule(case.kernel, inputs, case.attrs, case.grad)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_rule_agrees_with_central_differences(case):
    check(case)


@pytest.mark.parametrize("case", ONE_EACH, ids=lambda c: c.kernel.name)
def test_a_rule_that_is_wrong_by_one_percent_fails(case, monkeypatch):
    def size(c):
        return sum(np.size(c.inputs()[c.kernel.inputs.index(n)]) for n in c.grad)

    case = max((c for c in CASES if c.kernel is case.kernel), key=size)
    kind, right = type(case.kernel), type(case.kernel).gradient

    def wrong(self, call, **grads):
        found = right(self, call, **grads)
        return {n: g if g is None else affine(g, scale=1.01) for n, g in found.items()}

    wrong.__signature__ = inspect.signature(right)  # the check reads there which outputs have a gradient
    monkeypatch.setattr(kind, "gradient", wrong)
    with pytest.raises(AssertionError):
        check(case)


def test_every_rule_has_a_case():
    with_rule = {name for name, kernel in KERNELS.items() if type(kernel).gradient is not Kernel.gradient}
    # their gradient is nil
    silent = {"affine_matrix", "fill", "greater", "quantile", "random_normal", "random_uniform", "sign"}
    assert with_rule - {c.kernel.name for c in CASES} <= silent
