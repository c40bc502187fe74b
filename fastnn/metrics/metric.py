"""The base of all metrics: what a program gives for each step, gathered over an epoch."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..losses.eager import Eager, numbers, symbolic, within
from ..losses.loss import fixed
from ..losses.shapes import weighted, weights_for
from ..program.graph import Graph, Tensor, current_graph
from ..program.variable import Variable


class Reading(NamedTuple):
    """What a metric's `result` is inside a step: read when the steps have run."""

    metric: Metric


def _measuring() -> Graph | None:
    """The program that is being traced, if it gathers what metrics take in."""
    graph = current_graph()
    return graph if graph is not None and graph.measured is not None else None


def _readable(result: Callable) -> Callable:
    """A metric's `result` that gives a `Reading` inside a step."""
    @functools.wraps(result)
    def read(self):
        return result(self) if _measuring() is None else Reading(self)

    return read


class Metric:
    """A mean over rows: programs give a total and a count for each step, `result` is their quotient.

    A subclass writes `rows`, on tensors. One that is no mean over rows may, as in Keras, make variables with
    `add_variable` and write `update_state` (which assigns to them) and `result`: in programs they are updated in each
    step.

    Parameters
    ----------
    name : the key in `History` and logs.

    Attributes
    ----------
    total, count : what came in since `reset_state`, in float64.
    target_dtype : the dtype in which `y_true` is wanted: "float32", or "int32" for class numbers.
    ignore_class : a class number whose rows don't count, and which need not be a class; or None.

    Examples
    --------
    >>> metric = MetricFunction(lambda y_true, y_pred: abs(y_true - y_pred), name="distance")
    >>> metric.update_state([1.0, 2.0], [1.5, 4.0])
    >>> metric.update_state([0.0], [0.5])
    >>> metric.result()
    1.0
    """

    target_dtype = "float32"
    ignore_class: int | None = None

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "result" in cls.__dict__:
            cls.result = _readable(cls.result)

    def __init__(self, name: str | None = None, dtype=None):
        if name is not None and not isinstance(name, str):
            raise ValueError(f"{type(self).__name__}: name must be a string; got {name!r}.")
        self.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
        if dtype is not None and str(dtype) != "float32":
            raise ValueError(f"{self.name}: metrics are computed in float32; got dtype={dtype!r}.")
        self.dtype, self._variables = "float32", []
        self._eager = Eager()
        Metric.reset_state(self)  # not a subclass's, which may need what its own __init__ is yet to make

    @property
    def integer_labels(self) -> bool:
        """Whether `y_true` is wanted as class numbers."""
        return self.target_dtype == "int32"

    # ------------------------------------------------------------------ to be declared

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The value of each row, from tensors: shape (B,), or with more axes that are averaged."""
        raise NotImplementedError(f"{type(self).__name__} must override rows(y_true, y_pred).")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        return cls(**config)

    # ------------------------------------------------------------------ in Keras's way

    def add_variable(self, shape=(), initializer="zeros", dtype=None, aggregation=None, name: str | None = None):
        """Make a variable of this metric, which `update_state` assigns to and `reset_state` fills with zeros."""
        from .. import initializers

        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        value = initializers.get(initializer)(shape, dtype or "float32")
        v = Variable(value, name=name or f"variable_{len(self._variables)}", trainable=False, dtype=dtype or "float32")
        v.path = f"{self.name}/{v.name}"
        self._variables.append(v)
        return v

    add_weight = add_variable

    @property
    def variables(self) -> list[Variable]:
        """What `add_variable` made."""
        return list(self._variables)

    @property
    def stateful(self) -> bool:
        """Whether it has an `update_state` of its own instead of `rows`."""
        kind = type(self)
        return kind.update_state is not Metric.update_state and kind.emit is Metric.emit and kind.rows is Metric.rows

    # ------------------------------------------------------------------ in programs

    def emit(self, y_true: Tensor, y_pred: Tensor,
             sample_weight: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        """(weighted total, weight) of a batch: tensors without axes, the weight a number if nothing is weighted.

        The axes behind the first are averaged, so a row counts once however long it is. What the mask of y_pred
        hides does not count.
        """
        values = self.rows(y_true, y_pred)
        if not isinstance(values, Tensor) or values.dtype.kind != "f":
            what = f"a tensor of {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
            raise TypeError(f"{self.name} must give a float tensor made from y_true and y_pred; got {what}.")
        mask = getattr(y_pred, "mask", None)
        if mask is not None:
            mask = weights_for(f"{self.name}, by the mask of y_pred", mask, values.shape)
            if sample_weight is not None:
                mask = mask * weights_for(self.name, sample_weight, values.shape)
            sample_weight = mask
        return self.gather(values, sample_weight)

    def gather(self, values: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """`emit` for the values of the rows."""
        if not values.shape:
            if sample_weight is not None:
                raise ValueError(f"{self.name} gives one number for the whole batch, so sample_weight can't be used.")
            return values, 1.0
        batch = values.shape[0]
        share = batch / max(values.size, 1)
        if sample_weight is None:
            return weighted(values, None, share), float(batch)
        weights = weights_for(self.name, sample_weight, values.shape)
        return weighted(values, weights, share), weighted(weights, None, batch / max(weights.size, 1))

    # ------------------------------------------------------------------ over many steps

    def update(self, total, count) -> None:
        """Take in what `emit` gave: numbers, or arrays with one element for each step."""
        # one after the other: however many steps come at a time, the sums have the same bits
        self.total = float(np.cumsum(np.append(self.total, total), dtype=np.float64)[-1])
        self.count = float(np.cumsum(np.append(self.count, count), dtype=np.float64)[-1])

    @_readable
    def result(self) -> float:
        """The mean of all that came in; 0 if nothing did, as in Keras."""
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        """Forget what came in."""
        self.total = self.count = 0.0
        for v in self._variables:
            v.assign(np.zeros(v.shape))

    def get_state(self) -> dict[str, Any]:
        """What came in so far, as numbers and arrays."""
        found = {k: v for k, v in vars(self).items() if isinstance(v, int | float | np.ndarray)}
        return found | {f"variable {i}": v.numpy() for i, v in enumerate(self._variables)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_state` gave."""
        vars(self).update({k: v for k, v in state.items() if not k.startswith("variable ")})
        for i, v in enumerate(self._variables):
            if f"variable {i}" in state:
                v.assign(state[f"variable {i}"])

    # ------------------------------------------------------------------ on arrays

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        """Take in a batch: of arrays, or inside a model's own step of tensors."""
        if symbolic(y_true, y_pred, sample_weight):
            graph = self._gathering()
            y_true = ops.cast(fixed(graph, y_true, self.target_dtype), self.target_dtype)
            y_pred = fixed(graph, y_pred, "float32")
            graph.measured.append((self, *self.emit(y_true, y_pred, fixed(graph, sample_weight, y_pred.dtype))))
            return
        y_pred = numbers(self.name, "y_pred", y_pred, "float32")
        y_true = numbers(self.name, "y_true", y_true, self.target_dtype, self.ignore_class)
        if self.integer_labels and y_pred.ndim:
            within(self.name, y_true, y_pred.shape[-1], self.ignore_class)
        self._take(self.emit, sample_weight, y_true=y_true, y_pred=y_pred)

    def _gathering(self) -> Graph:
        graph = _measuring()
        if graph is None:
            raise TypeError(f"{self.name}: update_state takes arrays, or tensors inside a model's train_step or "
                            "test_step; in other programs use emit.")
        return graph

    def _take(self, emit: Callable, sample_weight, **arrays: np.ndarray) -> None:
        weights = None if sample_weight is None else numbers(self.name, "sample_weight", sample_weight, "float32")
        self.update(*self._eager(self.name, emit, {**arrays, "sample_weight": weights}))

    def __call__(self, y_true, y_pred, sample_weight=None) -> float:
        """`update_state`, then `result`."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def __repr__(self) -> str:
        config = {k: v for k, v in self.get_config().items() if k != "name"}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in {'name': self.name, **config}.items())})"


class Mean(Metric):
    """The mean of values that are handed in as they are.

    Examples
    --------
    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0, 8.0], sample_weight=[1.0, 1.0, 0.0])
    >>> mean.result()
    2.0
    """

    def __init__(self, name: str | None = "mean", dtype=None):
        super().__init__(name, dtype)

    def emit(self, values: Tensor, sample_weight: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        return self.gather(values, fixed(values.graph, sample_weight, values.dtype))

    def update_state(self, values, sample_weight=None) -> None:
        """Take in values: arrays, or inside a model's own step tensors."""
        graph = _measuring()
        if graph is not None or symbolic(values, sample_weight):
            graph = self._gathering()
            values = ops.cast(fixed(graph, values, "float32"), "float32")
            if not values.shape and isinstance(sample_weight, int | float | np.number):  # one value that counts so much
                weight = float(sample_weight)
                graph.measured.append((self, values * weight, self._count(weight)))
            else:
                graph.measured.append((self, *self.emit(values, sample_weight)))
            return
        self._take(self.emit, sample_weight, values=numbers(self.name, "values", values, "float32"))

    @staticmethod
    def _count(weight: float) -> float:
        return weight

    def __call__(self, values, sample_weight=None) -> float:
        self.update_state(values, sample_weight)
        return self.result()


class Sum(Mean):
    """The sum of values that are handed in as they are, times their weights.

    Examples
    --------
    >>> total = Sum()
    >>> total.update_state([1.0, 3.0, 8.0], sample_weight=[1.0, 1.0, 0.0])
    >>> total.result()
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype=None):
        super().__init__(name, dtype)

    def gather(self, values: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor | float]:
        if not values.shape and sample_weight is None:
            return values, 0.0
        weights = None if sample_weight is None else weights_for(self.name, sample_weight, values.shape)
        return weighted(values, weights, 1.0), 0.0

    @staticmethod
    def _count(weight: float) -> float:
        return 0.0

    def result(self) -> float:
        return self.total


class MetricFunction(Metric):
    """A Python function ``f(y_true, y_pred)`` as a metric: it is traced, so it must use tensors and kernels.

    It gives the value of each row, or one number for the batch.
    """

    def __init__(self, function: Callable[..., Tensor], name: str | None = None, **arguments: Any):
        if not callable(function):
            raise ValueError(f"{type(self).__name__} takes a function of (y_true, y_pred), not {function!r}.")
        super().__init__(name or getattr(function, "__name__", type(function).__name__))
        self.function, self.arguments = function, arguments

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": getattr(self.function, "__name__", repr(self.function)),
                **self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> MetricFunction:
        config = dict(config)
        name = config.pop("function", None)
        if name not in (custom_objects or {}):
            raise ValueError(f"The metric is the Python function {name!r}, which no file can hold: give it in "
                             "custom_objects.")
        return cls(custom_objects[name], **config)


class MeanMetricWrapper(MetricFunction):
    """`MetricFunction` with Keras's name and arguments: the mean of ``fn(y_true, y_pred, **kwargs)`` over rows.

    Examples
    --------
    >>> MeanMetricWrapper(lambda y_true, y_pred, power: abs(y_true - y_pred) ** power, power=2.0)([1.0], [4.0])
    9.0
    """

    def __init__(self, fn: Callable[..., Tensor], name: str | None = None, dtype=None, **kwargs: Any):
        super().__init__(fn, name, **kwargs)
        Metric.__init__(self, self.name, dtype)
