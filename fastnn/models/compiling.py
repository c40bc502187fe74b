"""What `compile` was told: losses and metrics by output, resolved when the shapes of outputs and targets are known."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import checks, losses, metrics, optimizers, spelling
from ..layers.layer import Layer
from ..layers.shapes import infer
from ..layers.symbolic import KerasTensor, flatten
from .array_data import ArrayData
from .arrays import check_labels
from .step import ProgramCache, ShortCall, shaped_like

BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")  # names whose meaning depends on the shapes


class Measured(NamedTuple):
    """A metric of one output."""

    metric: metrics.Metric
    output: int
    weighted: bool
    key: str  #: its name in logs


class Compiled:
    """The half of a model that says how it is trained."""

    def _start_training_state(self) -> None:
        self._step_programs = ProgramCache()
        self._short_call: ShortCall | None = None
        self.compiled = False
        self.stop_training = False
        self.optimizer = None
        self._asked: dict[str, Any] = {}
        self._losses: list = []
        self._loss_weights: list[float] = []
        self._metrics: list[Measured] | None = None
        self._compiled_frozen: set[int] | None = None
        self._compiled_variables: list | None = None
        self._outputs_of: dict[tuple, Any] = {}
        self.history = None
        self._samples = 0  # batches that `predict` has drawn with noise
        self._own_steps = 0  # training steps done by a `train_step` of the user's
        self._loss_tracker = metrics.Mean(name="loss")
        self._gradient_programs = None

    def _forget_programs(self) -> None:
        """The layers have changed: nothing that was derived from them holds."""
        self._step_programs.clear()
        self.__dict__.pop("_eager_programs", None)
        self._gradient_programs = None
        self._short_call = self._metrics = self._compiled_variables = self._compiled_frozen = None
        self._outputs_of.clear()

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, loss_weights=None, weighted_metrics=None,
                run_eagerly: bool = False, steps_per_execution: int = 1, jit_compile: Any = "auto",
                auto_scale_loss: bool = True) -> None:
        """Say how to train: optimizer, loss and metrics, by name or object.

        Which layers are trainable is read here; change it later and compile again. The last four
        arguments are taken for compatibility: steps always run natively, as many at a time as callbacks allow.

        Parameters
        ----------
        optimizer : name, instance, class or config, see `fastnn.optimizers`.
        loss : name, instance, class, config or function; for several outputs a list with one for each (None for
            an output that is not trained on) or a dict by the outputs' names.
        metrics : list of names, instances, classes or functions; for several outputs a list of lists or a dict.
            Sample and class weights don't count.
        weighted_metrics : the same, with sample and class weights.
        loss_weights : numbers, as a list or dict like the losses.
        """
        del run_eagerly, jit_compile, auto_scale_loss
        if steps_per_execution != "auto":
            checks.count_from_one("compile", "steps_per_execution", steps_per_execution)
        chosen = optimizers.get(optimizer)
        asked = {"loss": map_leaves(_loss, loss), "metrics": map_leaves(_metric, metrics),
                 "weighted_metrics": map_leaves(_metric, weighted_metrics),
                 "loss_weights": map_leaves(_share, loss_weights)}
        names = getattr(self, "output_names", None) if self.built else None
        for what in ("loss", "loss_weights") if names else ():
            spread(self.name, what, asked[what], names)
        if isinstance(loss_weights, list | tuple):
            count = len(loss) if isinstance(loss, list | tuple) else 1
            if isinstance(loss, list | tuple) and len(loss_weights) != count:
                raise ValueError(f"compile got {count} losses and {len(loss_weights)} loss_weights.")
        self._start_training_state()
        self.optimizer, self._asked = chosen, asked
        self.loss = asked["loss"]
        self.compiled = True
        if self.built:
            self._read_trainable()
        elif self._own("train"):  # of which variables it trains only its step knows
            self._compiled_frozen = {id(x) for x in self._flatten_layers() if not x.trainable}

    def compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as JSON can hold them; of a function of the user's there is only the name."""
        def plain(leaf):
            if isinstance(leaf, losses.Loss):
                return losses.serialize(leaf)
            return metrics.serialize(leaf) if isinstance(leaf, metrics.Metric) else leaf

        return {"optimizer": optimizers.serialize(self.optimizer),
                **{what: map_leaves(plain, nest) for what, nest in self._asked.items()}}

    def compile_from_config(self, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> None:
        """`compile` with what `compile_config` gave; `custom_objects` holds classes and functions by name."""
        def made(read):
            return lambda leaf: read(leaf, custom_objects) if isinstance(leaf, dict | str) else leaf

        def nest(what, read):
            return map_leaves(made(read), config[what], leaf=lambda v: isinstance(v, dict) and "class_name" in v)

        def by_name(read):
            return lambda leaf, custom: leaf if leaf in BY_SHAPE else read(leaf, custom)

        self.compile(optimizers.deserialize(config["optimizer"], custom_objects),
                     nest("loss", by_name(losses.deserialize)), nest("metrics", by_name(metrics.deserialize)),
                     config["loss_weights"], nest("weighted_metrics", by_name(metrics.deserialize)))

    def _read_trainable(self) -> None:
        self._compiled_frozen = {id(x) for x in self._flatten_layers() if not x.trainable}
        self._compiled_variables = self.trainable_variables

    def _training_variables(self) -> list:
        """The variables of the optimizer; built at the first step, when every layer has its weights."""
        if self._compiled_variables is None:
            self._read_trainable()
        if self.optimizer is not None:
            self.optimizer.build(self._compiled_variables)
        return self._compiled_variables

    def _regularized(self) -> list:
        """The variables whose regularizers count: those that are trained (as `trainable` was at compile)."""
        if self._compiled_variables is None:
            self._read_trainable()
        return self._compiled_variables

    def _need_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(f"Model {self.name}: call compile before {method}.")

    # ------------------------------------------------------------------ once the shapes are known

    def _symbolic_outputs(self, data: ArrayData):
        """The nest of outputs for one row of such data, as symbolic tensors; builds layers that are not built."""
        key = (tuple(data.x_names or ()), *(a.shape[1:] for a in data.x))
        if key not in self._outputs_of:
            declared = getattr(self, "inputs", ()) if self.built else ()
            batches = [t.shape[0] for t in declared] if len(declared) == len(data.x) else [None] * len(data.x)
            inputs = [KerasTensor((batch, *a.shape[1:])) for batch, a in zip(batches, data.x)]
            self._outputs_of[key] = infer(self, (shaped_like(data.x_names, inputs),), {})
        return self._outputs_of[key]

    def _classes(self, data: ArrayData) -> int | None:
        """How many classes the only output tells apart, or None if it holds one number for each row."""
        outputs = flatten(self._symbolic_outputs(self._arrange_inputs(data)))
        several = len(outputs) == 1 and len(outputs[0].shape) > 1 and outputs[0].shape[-1] != 1
        return outputs[0].shape[-1] if several else None

    def _arrange_inputs(self, data: ArrayData) -> ArrayData:
        """Inputs from a dict in the order of the model's; a model that is only a `call` gets the dict itself."""
        names = getattr(self, "input_names", None) if self.built else None
        if names is None:
            return data
        if data.x_names is not None:
            for name in names:
                if name not in data.x_names:
                    raise ValueError(f"Model {self.name} wants an input named {name!r}; x holds "
                                     f"{', '.join(data.x_names)}.")
            data.x, data.x_names = [data.x[data.x_names.index(name)] for name in names], None
        if len(data.x) != len(names):
            raise ValueError(f"Model {self.name} has {len(names)} inputs ({', '.join(names)}); x holds {len(data.x)}.")
        return data

    def _names_of_outputs(self, nest) -> list[str]:
        if isinstance(nest, dict):
            return list(nest)
        known = getattr(self, "output_names", None) if self.built else None
        return known or [f"output_{i + 1}" for i in range(len(flatten(nest)))]

    def _check_targets(self, data: ArrayData, phase: str = "train") -> ArrayData:
        """Refuse data that the model or its losses can't take, before anything is trained; labels become integers."""
        self._arrange_inputs(data)
        if self._own(phase) and not (data.y and (self._asked["loss"] or self._asked["metrics"])
                                     and type(self).call is not Layer.call):
            return data  # what its own step makes of the data only that step knows
        nest = self._symbolic_outputs(data)
        outputs, names = flatten(nest), self._names_of_outputs(nest)
        if not data.y and not any(self._asked[what] for what in ("loss", "metrics", "weighted_metrics")):
            if self._metrics is None:  # what layers add is all that is trained on
                self._resolve(names, [None] * len(outputs), [t.shape for t in outputs])
            return data
        if data.y_names is not None and len(outputs) == len(names):
            order = [_place(f"Model {self.name}: y", name, data.y_names) for name in names]
            if sorted(data.y_names) != sorted(names):
                odd = next(n for n in data.y_names if n not in names)
                raise ValueError(f"Model {self.name} has no output {odd!r}, which y names; it has {', '.join(names)}.")
            data.y, data.y_names = [data.y[i] for i in order], None
            data.sample_weight = data.sample_weight and [data.sample_weight[i] for i in order]
        if len(data.y) != len(outputs):
            raise ValueError(f"Model {self.name} has {len(outputs)} outputs; got {len(data.y)} targets (y).")
        if self._metrics is None:
            self._resolve(names, [y.shape for y in data.y], [t.shape for t in outputs])
        for i, (y, out) in enumerate(zip(data.y, outputs)):
            rules = [self._losses[i], *(m.metric for m in self._metrics if m.output == i)]
            if any(rule is not None and rule.target_dtype == "int32" for rule in rules):
                ignored = {rule.ignore_class for rule in rules if rule is not None} - {None}
                data.y[i] = check_labels(y, out.shape[-1], "y" if len(outputs) == 1 else f"y[{names[i]!r}]", ignored)
        return data

    def _resolve(self, names: list[str], y_shapes: list, output_shapes: list) -> None:
        """Losses and metrics for each output."""
        count = len(names)
        rules = spread(self.name, "loss", self._asked["loss"], names)
        if not isinstance(self._asked["loss"], list | tuple | dict):
            rules = rules * count if len(rules) < count else rules
        rules = [losses.get(r, y_shape=y, output_shape=o) for r, y, o in zip(rules, y_shapes, output_shapes)]
        shares = spread(self.name, "loss_weights", self._asked["loss_weights"], names)
        measured = []
        for what in ("metrics", "weighted_metrics"):
            asked = self._asked[what]
            if count == 1 and not isinstance(asked, dict):
                asked = [flatten(asked) if asked is not None else None]
            for i, part in enumerate(spread(self.name, what, asked, names)):
                for m in flatten(part) if part is not None else ():
                    metric = metrics.get(m, loss=rules[i], y_shape=y_shapes[i], output_shape=output_shapes[i])
                    if metric is not None:
                        key = metric.name if count == 1 else f"{names[i]}_{metric.name}"
                        measured.append(Measured(metric, i, what == "weighted_metrics", key))
        self._losses, self._loss_weights = rules, [1.0 if s is None else s for s in shares]
        self._loss_keys = [f"{n}_loss" if rule is not None else None for n, rule in zip(names, rules)]
        if sum(rule is not None for rule in rules) < 2:
            self._loss_keys = [None] * count
        self._metrics = measured

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns, in order."""
        if self._metrics is None:
            return ["loss"]
        return ["loss", *(k for k in self._loss_keys if k), *(m.key for m in self._metrics)]


def spread(model: str, what: str, given, names: list[str]) -> list:
    """An argument of `compile` as a list with one entry for each output."""
    if given is None:
        return [None] * len(names)
    if isinstance(given, dict):
        for key in given:
            if key not in names:
                close = spelling.nearest(str(key), names)
                hint = f"did you mean {close!r}?" if close else f"it has {', '.join(names)}."
                raise ValueError(f"Model {model} has no output {key!r}, which {what} names; {hint}")
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple):
        if len(given) != len(names):
            raise ValueError(f"Model {model} has {len(names)} outputs ({', '.join(names)}) and was compiled with "
                             f"{len(given)} entries of {what}.")
        return list(given)
    if len(names) > 1 and what != "loss":
        raise ValueError(f"Model {model} has {len(names)} outputs: {what} must be a list with an entry for each, or a "
                         "dict by their names.")
    return [given] * len(names)


def map_leaves(fn, tree, leaf=lambda v: isinstance(v, dict) and "class_name" in v):
    """fn on each leaf of lists and dicts; a dict that is a config is one leaf."""
    if tree is None:
        return None
    if isinstance(tree, list | tuple):
        return [map_leaves(fn, part, leaf) for part in tree]
    if isinstance(tree, dict) and not leaf(tree):
        return {k: map_leaves(fn, part, leaf) for k, part in tree.items()}
    return fn(tree)


def _loss(leaf):
    return leaf if isinstance(leaf, str) and leaf.lower() in BY_SHAPE[2:] else losses.get(leaf)


def _metric(leaf):
    return leaf if isinstance(leaf, str) and leaf.lower() in BY_SHAPE else metrics.get(leaf)


def _share(value) -> float:
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError(f"compile: loss_weights must be finite numbers; got {value!r}.")
    return float(value)


def _place(who: str, name: str, known: list[str]) -> int:
    if name not in known:
        raise ValueError(f"{who} lacks the output {name!r}; it holds {', '.join(known)}.")
    return known.index(name)


__all__ = ["Compiled", "Measured", "map_leaves", "spread"]
