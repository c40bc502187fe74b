"""Steps as users write them: `train_step`, `test_step` and `predict_step` of a model, traced into native programs.

The methods here are what a step means, in Keras's words. A model that overrides none of them is trained by the same
meaning in a shorter form (`StepProgram`), in which nothing is gathered or added that need not be.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import metrics as metrics_module
from .. import ops
from ..layers.symbolic import flatten
from ..metrics.metric import Reading
from ..optimizers import Optimizer
from ..program.backend import get_backend
from ..program.gradient import gradients
from ..program.graph import Graph, Tensor, current_graph
from ..program.trace import Cache, Traced
from ..utils.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from .data import ArrayData
from .state import named_variables

STEPS = {"train": "train_step", "test": "test_step", "predict": "predict_step"}


class Steps:
    """The steps of a model, to be overridden.

    A step is traced once for each batch shape and then runs natively, as many at a time as the callbacks allow. Inside,
    everything is a symbolic tensor: use layers, losses, metrics and `fastnn.ops`; `fastnn.gradients` gives gradients,
    an optimizer's ``apply`` uses them, a metric's ``update_state`` takes values in. Several models and optimizers may
    take part. What Python does besides (a print, a counter) is done while tracing, not in each step.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> class Doubled(fastnn.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = fastnn.layers.Dense(1)
    ...     def call(self, x):
    ...         return self.dense(x)
    ...     def train_step(self, data):
    ...         x, y = data
    ...         y_pred = self(x, training=True)
    ...         loss = self.compute_loss(y=2 * y, y_pred=y_pred)
    ...         self.optimizer.apply(fastnn.gradients(loss, self.trainable_variables), self.trainable_variables)
    ...         return {"loss": loss}
    >>> model = Doubled()
    >>> model.compile(fastnn.optimizers.SGD(0.5), "mse")
    >>> history = model.fit(np.eye(2), np.ones((2, 1)), epochs=100, verbose=0)
    >>> model.predict(np.eye(2)).round(2).tolist()
    [[2.0], [2.0]]
    """

    # ------------------------------------------------------------------ to be overridden

    def train_step(self, data) -> dict[str, Any]:
        """One step of training; returns what `fit` reports.

        Parameters
        ----------
        data : ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, as `fit` was given them: tensors, or nests of them. Whole
            numbers in y come as int32, all else as float32.

        Returns
        -------
        dict name -> a metric's ``result()``, reported over the epoch, or a scalar tensor or number, of which the last
        batch's value is reported.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        self._loss_tracker.update_state(loss, sample_weight=flatten(x)[0].shape[0])
        variables = self.trainable_variables
        if not variables:
            raise ValueError(f"Model {self.name} has no trainable variables: nothing would be trained.")
        self.optimizer.apply(gradients(loss, variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data) -> dict[str, Any]:
        """One step of evaluation; as `train_step`, without training."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=flatten(x)[0].shape[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data):
        """What `predict` gives for a batch: tensors, or a nest of them, each with a row for each row of the data."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training: bool = True):
        """The loss that `compile` was told, with what layers added by `add_loss` and the penalties of the weights.

        Parameters
        ----------
        x : not used here; for those who override this.
        y, y_pred, sample_weight : tensors, for several outputs lists or dicts of them.

        Returns
        -------
        scalar tensor.
        """
        graph = current_graph()
        if graph is None:
            raise RuntimeError(f"Model {self.name}: compute_loss is for use inside train_step and test_step; evaluate "
                               "gives the loss of arrays.")
        parts = list(self.losses)
        if y is not None and y_pred is not None and self._asked.get("loss") is not None:
            targets, outputs, weights = self._matched(y, y_pred, sample_weight)
            parts = [one if share == 1 else one * share for _, one, share in compiled_losses(
                self, lambda i, dtype: ops.cast(targets[i], dtype), outputs, weights)] + parts
        if not parts:
            raise ValueError(f"Model {self.name} was compiled without a loss, and no layer adds one: there is nothing "
                             "to compute.")
        loss = parts[0]
        for one in parts[1:]:
            loss = loss + one
        if loss.shape:
            raise ValueError(f"Model {self.name}: the loss has shape {loss.shape}; with reduction 'none' it can't be "
                             "trained on or averaged.")
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict[str, Any]:
        """Take a batch into the metrics that `compile` was told; the results of all metrics by name."""
        if y is not None and (self._asked.get("metrics") or self._asked.get("weighted_metrics")):
            targets, outputs, weights = self._matched(y, y_pred, sample_weight)
            for measured in self._metrics:
                i = measured.output
                measured.metric.update_state(targets[i], outputs[i], weights[i] if measured.weighted else None)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name: in a step for its return, outside as numbers."""
        keys = {id(m.metric): m.key for m in self._metrics or ()}
        results: dict[str, Any] = {}
        for metric in self.metrics:
            found = metric.result()
            results.update(found if isinstance(found, dict) else {keys.get(id(metric), metric.name): found})
        return results

    def _matched(self, y, y_pred, sample_weight):
        """Targets, outputs and weights as lists in one order; losses and metrics are resolved for them."""
        names, outputs = self._names_of_outputs(y_pred), flatten(y_pred)
        targets, weights = self._in_order("y", y, names), [None] * len(outputs)
        if sample_weight is not None:
            weights = self._in_order("sample_weight", sample_weight, names)
            weights = weights * len(outputs) if len(weights) == 1 else weights
        if len(targets) != len(outputs):
            raise ValueError(f"Model {self.name} has {len(outputs)} outputs; got {len(targets)} targets (y).")
        if self._metrics is None:
            self._resolve(names, [t.shape for t in targets], [t.shape for t in outputs])
        return targets, outputs, weights

    def _in_order(self, what: str, nest, names: list[str]) -> list:
        if isinstance(nest, dict):
            missing = next((n for n in names if n not in nest), None)
            if missing is not None and what == "y":
                raise ValueError(f"Model {self.name}: y lacks the output {missing!r}; it holds {', '.join(nest)}.")
            return [nest.get(n) for n in names]
        return flatten(nest)

    # ------------------------------------------------------------------ which steps are a user's

    def _optimizers(self) -> dict[str, Any]:
        """The optimizers of the steps by their places in files: that of `compile`, and for own steps the attributes."""
        found = {"optimizer": self.optimizer}
        for name, value in self.__dict__.items() if self._own("train") else ():
            if isinstance(value, Optimizer) and not any(value is known for known in found.values()):
                found[f"optimizer.{name}"] = value
        return found

    def _own(self, phase: str) -> bool:
        """Whether the step of "train", "test" or "predict" is not the one that stands here."""
        names = (STEPS[phase],) if phase == "predict" else (STEPS[phase], "compute_loss", "compute_metrics")
        return any(getattr(type(self), n) is not getattr(Steps, n) for n in names)

    @property
    def metrics(self) -> list[metrics_module.Metric]:
        """The mean of the loss, the metrics of `compile` once a batch has been seen, and those set as attributes."""
        found = {id(m): m for m in (self._loss_tracker, *(m.metric for m in self._metrics or ()))}
        for key, value in self.__dict__.items():
            if not key.startswith("_") and key != "metrics":
                for item in flatten(value) if isinstance(value, list | tuple | dict) else [value]:
                    if isinstance(item, metrics_module.Metric):
                        found.setdefault(id(item), item)
        return list(found.values())

    @contextmanager
    def _as_compiled(self):
        """Inside, layers are trainable as they were when the model was compiled."""
        frozen = self._compiled_frozen
        if frozen is None:
            yield
            return
        before = [(layer, layer._trainable) for layer in self._flatten_layers()]
        for layer, _ in before:
            layer._trainable = id(layer) not in frozen
        try:
            yield
        finally:
            for layer, trainable in before:
                layer._trainable = trainable

    @property
    def _noise_seed(self):
        """Where the random numbers of this model's own steps come from."""
        from ..seeds import next_seed

        if self.__dict__.get("_noise") is None:
            self._noise = next_seed()
        return self._noise


def compiled_losses(model, target, outputs, weights):
    """(number of the output, its loss, the loss's weight) for each output that is trained on.

    target : ``target(i, dtype)`` gives target i.
    """
    for i, (out, weight, rule, share) in enumerate(zip(outputs, weights, model._losses, model._loss_weights)):
        if rule is not None:
            yield i, rule(target(i, rule.target_dtype), out, weight), share


def trace_own(graph: Graph, model, data, x, y: list[Tensor], weights: list[Tensor | None], phase: str):
    """Trace a user's step on the tensors of a batch; what it reports.

    Returns
    -------
    names : (key, metric, number of its fetches, fixed weight) of what metrics take in.
    order : log key -> key of a metric, or name of a fetch, or a number.
    stateful : (key, metric) of those that take in nothing by fetches.
    """
    graph.measured, graph.seed = [], model._noise_seed
    step = STEPS[phase]
    nest = dict(zip(data.y_names, y)) if data.y_names is not None else y if len(y) > 1 else y[0] if y else None
    given = None
    if any(w is not None for w in weights):
        given = dict(zip(data.y_names, weights)) if data.y_names is not None and y else (
            weights if len(weights) > 1 else weights[0])
    with model._as_compiled():
        logs = getattr(model, step)(pack_x_y_sample_weight(x, nest, given))
    if not isinstance(logs, dict):
        raise TypeError(f"Model {model.name}: {step} must return a dict of what is reported, by name; it returned "
                        f"{type(logs).__name__}.")
    names, keys = [], {}
    for k, (metric, total, count) in enumerate(graph.measured):
        key = keys.setdefault(id(metric), f"{metric.name} {len(keys)}")
        graph.fetch(f"total{k}", total)
        fixed = None if isinstance(count, Tensor) else float(count)
        if fixed is None:
            graph.fetch(f"count{k}", count)
        names.append((key, metric, f"{k}", fixed))
    order: dict[str, Any] = {}
    stateful: dict[str, Any] = {}
    for i, (key, value) in enumerate(logs.items()):
        if isinstance(value, Reading) and id(value.metric) not in keys:  # made of variables, or of other metrics
            name = keys[id(value.metric)] = f"{value.metric.name} {len(keys)}"
            stateful[name] = value.metric
        order[str(key)] = _reported(graph, model, step, str(key), value, i, keys)
    return names, order, list(stateful.items())


def trace_stateful(graph: Graph, metric, y: Tensor, out: Tensor, weight: Tensor | None, k: int):
    """Trace the `update_state` of a metric that keeps variables; what metrics inside of it take in, as `names`."""
    graph.measured = []
    metric.update_state(y, out) if weight is None else metric.update_state(y, out, sample_weight=weight)
    inner, graph.measured = graph.measured, None
    names = []
    for j, (part, total, count) in enumerate(inner):
        graph.fetch(f"total{k}.{j}", total)
        fixed = None if isinstance(count, Tensor) else float(count)
        if fixed is None:
            graph.fetch(f"count{k}.{j}", count)
        names.append((f"{metric.name} {part.name} {id(part)}", part, f"{k}.{j}", fixed))
    return names


def _reported(graph: Graph, model, step: str, key: str, value, i: int, keys: dict[int, str]):
    if isinstance(value, Reading):
        return ("metric", keys[id(value.metric)])
    if isinstance(value, Tensor):
        if value.size != 1:
            raise ValueError(f"Model {model.name}: {step} reports {key!r} as a tensor of shape {value.shape}; a "
                             "scalar is wanted, ops.mean(...) for example.")
        graph.fetch(f"log{i}", value)
        return ("last", f"log{i}")
    if isinstance(value, int | float | np.number) and math.isfinite(value):
        return float(value)
    raise TypeError(f"Model {model.name}: {step} reports {key!r} as {value!r:.80}; a metric's result(), a scalar "
                    "tensor or a number is wanted.")


def batch_gradients(model, x, y, sample_weight, training: bool) -> dict[str, np.ndarray]:
    """See `Model.gradients`."""
    model._need_compiled("gradients")
    data = ArrayData(x, y, sample_weight)
    model._check_targets(data)
    if not model.built:
        model._symbolic_outputs(data)
    wanted = {id(v) for v in model.trainable_variables}
    targets = {name: v for name, v in named_variables(model).items() if id(v) in wanted}
    if not targets:
        raise ValueError(f"Model {model.name} has no trainable variables, so there are no gradients.")
    weights = list(data.sample_weight or [None] * len(data.y))
    arrays = [np.asarray(a, np.float32) for a in data.x] + data.y + [w for w in weights if w is not None]

    def loss_and_gradients(*tensors):
        given = iter(tensors)
        xs, ys = [next(given) for _ in data.x], [next(given) for _ in data.y]
        ws = [None if w is None else next(given) for w in weights]
        inputs = dict(zip(data.x_names, xs)) if data.x_names is not None else xs if len(xs) > 1 else xs[0]
        y_true = dict(zip(data.y_names, ys)) if data.y_names is not None else ys if ys else None
        graph = xs[0].graph
        graph.seed, graph.frozen = model._noise_seed, {id(p) for p in model._flatten_layers() if not p.trainable}
        y_pred = model(inputs, training=training)
        if data.y_names is not None:
            ws = dict(zip(data.y_names, ws))
        loss = model.compute_loss(x=inputs, y=y_true, y_pred=y_pred,
                                  sample_weight=ws if any(w is not None for w in weights) else None, training=training)
        return gradients(loss, list(targets.values()))

    key = (training, tuple(map(id, targets.values())), tuple(data.x_names or ()), tuple(data.y_names or ()),
           tuple(w is None for w in weights), get_backend(), tuple((a.shape, a.dtype.str) for a in arrays))
    if model.__dict__.get("_gradient_programs") is None:
        model._gradient_programs = Cache()
    names = [f"x{i}" for i in range(len(arrays))]
    _, found = model._gradient_programs.run(key, lambda: Traced(
        loss_and_gradients, arrays, names, f"{model.name} gradients", training, get_backend()), arrays)
    return {n: np.zeros(v.shape, v.dtype) if g is None else g for (n, v), g in zip(targets.items(), found)}
