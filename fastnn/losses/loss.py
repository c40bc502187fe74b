"""The base of all losses: reduction of the rows' losses to one number, and calls on arrays."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops, spelling
from ..kernels import elementwise
from ..kernels.loss import LOW
from ..program.graph import Tensor
from ..program.variable import Variable
from .eager import Eager, numbers, symbolic, within
from .shapes import weighted, weights_for

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


class Loss:
    """Base of the losses. A subclass writes `call`, on tensors, and `get_config`.

    Parameters
    ----------
    name : for people and messages.
    reduction : what becomes of the losses of the rows, weighted by the sample weights:

        - "sum_over_batch_size", also called "mean": their sum over how many they are. The weights do
          not change the divisor, so a row of weight 2 counts as the row twice.
        - "sum": their sum.
        - "mean_with_sample_weight": their sum over the sum of the weights (0 if that is 0).
        - "none" or None: they stay as they are.

    Attributes
    ----------
    target_dtype : the dtype in which `y_true` is wanted: "float32", or "int32" for class numbers.
    ignore_class : a class number whose rows don't count, and which need not be a class; or None.

    Examples
    --------
    >>> class Cubed(Loss):
    ...     def call(self, y_true, y_pred):
    ...         from fastnn.kernels.elementwise import multiply, subtract
    ...         d = subtract(y_pred, y_true)
    ...         return multiply(multiply(d, d), d)
    >>> Cubed(reduction="sum")(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    np.float32(9.0)
    """

    target_dtype = "float32"
    ignore_class: int | None = None

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype=None):
        if name is not None and not isinstance(name, str):
            raise ValueError(f"{type(self).__name__}: name must be a string; got {name!r}.")
        self.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
        self.reduction = spelling.one_of("reduction", "none" if reduction is None else reduction, REDUCTIONS)
        if dtype is not None and str(dtype) != "float32":
            raise ValueError(f"{self.name}: losses are computed in float32; got dtype={dtype!r}.")
        self._eager = Eager()

    @property
    def integer_labels(self) -> bool:
        """Whether `y_true` is wanted as class numbers."""
        return self.target_dtype == "int32"

    # ------------------------------------------------------------------ to be declared

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The losses of the rows, from tensors: emits kernel calls."""
        raise NotImplementedError(f"{type(self).__name__} must override call(y_true, y_pred).")

    def mask(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        """1 for each row that counts and 0 for those that don't, or None if all do."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        return cls(**config)

    # ------------------------------------------------------------------ what all have

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The losses of the rows, not reduced: shape (B,), or (B, T) for predictions of shape (B, T, C)."""
        made = self.call(y_true, y_pred)
        if not isinstance(made, Tensor) or made.dtype.kind != "f":
            what = f"a tensor of {made.dtype}" if isinstance(made, Tensor) else type(made).__name__
            raise TypeError(f"{self.name} must give a float tensor made from y_true and y_pred; got {what}.")
        return made

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The reduced loss: a tensor for tensors, a number (or array) for arrays."""
        if not symbolic(y_true, y_pred, sample_weight):
            return self._on_arrays(y_true, y_pred, sample_weight)
        graph = next(x.graph for x in (y_pred, y_true, sample_weight) if isinstance(x, Tensor))
        y_pred = y_pred if isinstance(y_pred, Tensor | Variable) else np.asarray(y_pred, np.float32)
        y_pred = graph.tensor(y_pred)
        y_true = fixed(graph, y_true, self.target_dtype if self.target_dtype != "float32" else y_pred.dtype)
        losses = self.rows(y_true, y_pred)
        weights, mask = fixed(graph, sample_weight, losses.dtype), self.mask(y_true, y_pred)
        if y_pred.mask is not None:  # the steps of sequences that count
            mask = y_pred.mask if mask is None else mask * y_pred.mask
            mask = weights_for(f"{self.name}, by the mask of y_pred", mask, losses.shape)
        if mask is None:
            return self.reduce(losses, weights)
        if self.reduction in ("mean", "sum_over_batch_size"):  # over the rows that count
            mask = mask / (ops.mean(mask) + LOW / max(mask.size, 1))
        if weights is not None:
            mask = mask * weights_for(self.name, weights, losses.shape)
        return self.reduce(losses, mask)

    def reduce(self, losses: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The losses of the rows as the reduction says."""
        if not losses.shape:
            if sample_weight is not None:
                raise ValueError(f"{self.name} gives one number for the whole batch, so sample_weight can't be used.")
            return losses
        weights = None if sample_weight is None else weights_for(self.name, sample_weight, losses.shape)
        if self.reduction == "none":
            return losses if weights is None else elementwise.multiply(losses, weights)
        if self.reduction == "sum":
            return weighted(losses, weights, 1.0)
        if self.reduction == "mean_with_sample_weight" and weights is not None:
            total = weighted(losses, weights, 1.0)
            # The sum of the weights as they were broadcast, and 1 where it is 0.
            count = weighted(weights, None, losses.size / max(weights.size, 1))
            return elementwise.divide(total, elementwise.where(count, count, losses.graph.constant(1.0, total.dtype)))
        return weighted(losses, weights, 1.0 / max(losses.size, 1))

    def _on_arrays(self, y_true, y_pred, sample_weight):
        y_pred = numbers(self.name, "y_pred", y_pred, "float32")
        y_true = numbers(self.name, "y_true", y_true, self.target_dtype, self.ignore_class)
        if self.target_dtype == "int32" and y_pred.ndim:
            within(self.name, y_true, y_pred.shape[-1], self.ignore_class)
        weights = None if sample_weight is None else numbers(self.name, "sample_weight", sample_weight, "float32")
        made, = self._eager(self.name, lambda y_true, y_pred, sample_weight: [self(y_true, y_pred, sample_weight)],
                            {"y_true": y_true, "y_pred": y_pred, "sample_weight": weights})
        return made if np.ndim(made) else np.float32(made)

    def __repr__(self) -> str:
        config = {k: v for k, v in self.get_config().items() if k != "name"}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in config.items())})"


def fixed(graph, x, dtype) -> Tensor | None:
    """x as a tensor; arrays become constants of the program in this dtype."""
    if x is None or isinstance(x, Tensor):
        return x
    return graph.tensor(x) if isinstance(x, Variable) else graph.constant(np.asarray(x), dtype)


class LossFunction(Loss):
    """A Python function ``f(y_true, y_pred)`` as a loss: it is traced, so it must use tensors and kernels.

    It gives the loss of each row, or one number for the batch.
    """

    def __init__(self, function: Callable[..., Tensor], reduction: str | None = "sum_over_batch_size",
                 name: str | None = None, **arguments: Any):
        super().__init__(name or getattr(function, "__name__", type(function).__name__), reduction)
        self.function, self.arguments = function, arguments

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": getattr(self.function, "__name__", repr(self.function)),
                **self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> LossFunction:
        config = dict(config)
        name = config.pop("function", None)
        if name not in (custom_objects or {}):
            raise ValueError(f"The loss is the Python function {name!r}, which no file can hold: give it in "
                             f"custom_objects.")
        return cls(custom_objects[name], **config)
