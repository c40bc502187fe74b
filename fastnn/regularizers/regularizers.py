"""The regularizers. Sorted so that each adds one idea to the one before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops, spelling


def check_factor(who: object, name: str, value: Any) -> float:
    """A finite number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < math.inf:
        raise ValueError(f"{type(who).__name__}: {name} is {value!r}; a finite number of 0 or more is wanted.")
    return float(value)


class Regularizer:
    """Base: ``regularizer(x)`` gives a scalar, made of `fastnn.ops`, that is added to the loss.

    Attributes
    ----------
    l1, l2 : where both are numbers, the penalty is ``l1 * sum(abs(x)) + l2 * sum(x**2)``: training then adds its
        gradient to that of the weight in place, without a gradient program of its own. None elsewhere.

    Examples
    --------
    >>> class Root(Regularizer):
    ...     def __call__(self, x):
    ...         return ops.sqrt(ops.sum(ops.square(x)))
    >>> float(Root()(np.array([3.0, 4.0])))
    5.0
    """

    l1: float | None = None
    l2: float | None = None

    def __call__(self, x):
        raise NotImplementedError(f"{type(self).__name__} must override __call__(self, x).")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make it again."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class L1L2(Regularizer):
    """``l1 * sum(abs(x)) + l2 * sum(x**2)``, Zou & Hastie's (2005) elastic net.

    Parameters
    ----------
    l1, l2 : the factors, 0 by default; the name "l1_l2" alone means 0.01 for both.

    Examples
    --------
    >>> float(L1L2(l1=0.5, l2=0.25)(np.array([1.0, -2.0])))
    2.75
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = check_factor(self, "l1", 0.0 if l1 is None else l1)
        self.l2 = check_factor(self, "l2", 0.0 if l2 is None else l2)

    def __call__(self, x):
        parts = [ops.sum(ops.absolute(x)) * self.l1] if self.l1 else []
        parts += [ops.sum(ops.square(x)) * self.l2] if self.l2 else []
        return parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else ops.sum(x) * 0.0

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """``l1 * sum(abs(x))``: pulls every number towards 0 by the same amount, so that many end there.

    Tibshirani (1996), Regression shrinkage and selection via the lasso.

    Examples
    --------
    >>> float(L1(0.5)(np.array([1.0, -2.0])))
    1.5
    """

    def __init__(self, l1: float | None = 0.01):
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """``l2 * sum(x**2)``: pulls every number towards 0 by a share of itself (Hoerl & Kennard 1970, Ridge regression).

    Examples
    --------
    >>> float(L2(0.5)(np.array([1.0, -2.0])))
    2.5
    """

    def __init__(self, l2: float | None = 0.01):
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """The mean over pairs of rows (or columns) of ``factor * abs(cosine of their angle)``.

    Brock et al. (2017), Neural photo editing with introspective adversarial networks, arXiv:1609.07093, section 3.3.

    Parameters
    ----------
    factor : the weight of the penalty.
    mode : "rows" or "columns".

    Examples
    --------
    >>> float(OrthogonalRegularizer(2.0)(np.array([[1.0, 0.0], [3.0, 0.0]])))
    2.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = check_factor(self, "factor", factor)
        self.mode = spelling.one_of("mode", mode, ("rows", "columns"))

    def __call__(self, x):
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer takes matrices; got the shape {tuple(x.shape)}.")
        axis = 1 if self.mode == "rows" else 0
        size = x.shape[1 - axis]
        if size < 2:
            return ops.sum(x) * 0.0
        # 1e-14 inside the root, as Keras's normalize has 1e-7 outside: a row of zeros stays zeros
        unit = x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), np.asarray(1e-14, x.dtype)))
        product = ops.matmul(unit, ops.transpose(unit)) if axis else ops.matmul(ops.transpose(unit), unit)
        others = ops.absolute(product * (1 - np.eye(size)).astype(x.dtype))
        return ops.sum(others) * (self.factor / (size * (size - 1)))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}
