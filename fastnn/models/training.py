"""compile, fit, evaluate, predict: Keras's training methods, each a few runs of native programs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import callbacks as cb
from .. import losses, metrics, optimizers
from ..layers.symbolic import flatten
from ..seeds import next_seed
from ..warnings import FastnnWarning
from .data import ArrayData, IterableData, adapt, batches, check_batch_size, check_labels, epoch_runs, training_data
from .step import InferenceProgram, ProgramCache, ShortCall, StepProgram, shaped_like, signature

PREDICT_ROWS = 4096  # rows converted to float32 at a time for predict


class Trainer:
    """The training half of a model."""

    def _start_training_state(self) -> None:
        self._step_programs = ProgramCache()
        self._short_call: ShortCall | None = None
        self.compiled = False
        self.stop_training = False
        self.optimizer = None
        self._losses: list = []
        self._loss_weights: list[float] = []
        self._metric_arguments: Any = None
        self._metrics: list | None = None
        self._compiled_frozen: set[int] | None = None
        self._compiled_variables: list | None = None
        self.history = None

    def _forget_programs(self) -> None:
        self._step_programs.clear()
        self.__dict__.pop("_eager_programs", None)
        self._short_call = None

    # ------------------------------------------------------------------ compile

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, loss_weights=None, weighted_metrics=None,
                run_eagerly: bool = False, steps_per_execution: int = 1, jit_compile: Any = "auto") -> None:
        """Say how to train: optimizer, loss and metrics, by name or object.

        Which layers are trainable is read here; change it later and compile again. The last three
        arguments are taken for compatibility: steps always run natively, as many at a time as callbacks allow.

        Parameters
        ----------
        optimizer : name, instance, class or config, see `fastnn.optimizers`.
        loss : name, instance, function, or a list of them for several outputs.
        metrics : list of names, instances or functions (a list of lists for several outputs).
        loss_weights : list of numbers, one per output.
        """
        del run_eagerly, steps_per_execution, jit_compile
        chosen = optimizers.get(optimizer)
        rules = [losses.get(x) for x in (loss if isinstance(loss, list | tuple) else [loss])] if loss is not None else []
        shares = [float(s) for s in loss_weights] if loss_weights is not None else [1.0] * len(rules)
        if len(shares) != len(rules):
            raise ValueError(f"compile got {len(rules)} losses and {len(shares)} loss_weights.")
        asked = list(metrics or []) + list(weighted_metrics or [])
        self._start_training_state()
        self.optimizer, self._losses, self._loss_weights = chosen, rules, shares
        self._metric_arguments = asked
        self.compiled = True
        if self.built:
            self._read_trainable()

    def compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as JSON can hold them.

        Raises
        ------
        ValueError : a loss or metric is a user's function.
        """
        return {"optimizer": optimizers.serialize(self.optimizer), "loss": [losses.serialize(x) for x in self._losses],
                "metrics": [m if isinstance(m, str) else metrics.serialize(metrics.get(m))
                            for m in flatten(self._metric_arguments)],
                "loss_weights": self._loss_weights}

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

    def _need_compiled(self, method: str, with_loss: bool = True) -> None:
        if not self.compiled:
            raise RuntimeError(f"Model {self.name}: call compile before {method}.")
        if with_loss and not self._losses:
            raise ValueError(f"Model {self.name} was compiled without a loss, which {method} needs.")

    def _warn_if_thawed(self) -> None:
        if self._compiled_frozen is None:
            return
        if {id(x) for x in self._flatten_layers() if not x.trainable} != self._compiled_frozen:
            warnings.warn(f"Model {self.name}: trainable was changed after compile, which has no effect on training "
                          "until compile is called again.", FastnnWarning, stacklevel=3)

    def _metric_rules(self, ys, outputs):
        """(metric, index of its output) pairs, resolved from names once shapes are known."""
        if self._metrics is None:
            self._metrics = []
            asked = self._metric_arguments
            nested = len(outputs) > 1 and all(isinstance(m, list | tuple) for m in asked)
            for which, (y, out, rule) in enumerate(zip(ys, outputs, self._losses)):
                for m in asked[which] if nested else asked:
                    metric = metrics.get(m, loss=rule, y_shape=y.shape, output_shape=out.shape)
                    if len(outputs) > 1:
                        metric.name = f"{self.output_names[which]}_{metric.name}"
                    self._metrics.append((metric, which))
        return self._metrics

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that give the outputs."""
        return [t.node.layer.name for t in self.outputs]

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns, in order."""
        return ["loss"] + [m.name for m, _ in self._metrics or ()]

    # ------------------------------------------------------------------ fit

    def fit(self, x=None, y=None, batch_size: int | None = None, epochs: int = 1, verbose="auto", callbacks=None,
            validation_split: float = 0.0, validation_data=None, shuffle: bool = True, class_weight=None,
            sample_weight=None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
            validation_steps: int | None = None, validation_batch_size: int | None = None,
            validation_freq: int = 1):
        """Train for a number of epochs; returns the `History`.

        Parameters
        ----------
        x, y : arrays (any float or integer dtype), lists, data frames; or x a generator of batches.
        batch_size : 32 by default; a batch larger than the data gives one batch of all of it.
        validation_split : share of the last rows to validate on, taken before shuffling.
        validation_data : (x, y) or (x, y, sample_weight).
        class_weight : dict from class to weight.
        verbose : 0 silent, 1 or "auto" a progress bar, 2 a line per epoch.

        Other arguments as in Keras 3. The arrays are read where they are; nothing is written to them.
        """
        self._need_compiled("fit")
        self._warn_if_thawed()
        batch_size, seed = check_batch_size(batch_size), next_seed()
        data, held_out = training_data(
            x, y, sample_weight, class_weight=class_weight, validation_data=validation_data,
            validation_split=validation_split, steps_per_epoch=steps_per_epoch, validation_steps=validation_steps,
            shuffle=shuffle, seed=seed)
        train = Pass(self, data, batch_size, shuffle, seed, steps_per_epoch)
        held_out = held_out and Pass(self, held_out, validation_batch_size or batch_size, False, seed, validation_steps)
        run = cb.CallbackList(callbacks, add_history=True, add_progbar=bool(verbose), model=self, verbose=verbose,
                              epochs=epochs, steps=train.steps)
        self.stop_training = False
        run.on_train_begin()
        logs: dict[str, float] = {}
        for epoch in range(initial_epoch, epochs):
            run.on_epoch_begin(epoch)
            logs = self._epoch(train, epoch, run, training=True)
            if held_out is not None and (epoch + 1 - initial_epoch) % validation_freq == 0:
                found = self._epoch(held_out, 0, run, training=False)
                logs |= {f"val_{k}": v for k, v in found.items()}
            run.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        run.on_train_end(logs)
        return self.history

    def _epoch(self, data: Pass, epoch: int, run, training: bool) -> dict[str, float]:
        """One pass over the data, trained on or only measured; the logs."""
        meter = Meter(self)
        if not training:
            run.on_test_begin()
        for piece, rows in data.runs(epoch):
            self._steps(self._step_program(piece, rows.shape[1], training), rows, meter, run, training)
            if self.stop_training and training:
                break
        logs = meter.logs()
        if data.ran_out:
            self.stop_training = True
        if training and not np.isfinite(logs["loss"]):
            warnings.warn(f"Model {self.name}: the loss of epoch {epoch + 1} is {logs['loss']}.", FastnnWarning,
                          stacklevel=3)
        if not training:
            run.on_test_end(logs)
        return logs

    def _steps(self, step: StepProgram, rows, meter: Meter, run, training: bool) -> None:
        """Run one batch for each line of `rows`, as many at a time as the callbacks allow."""
        one_by_one = run.wants_batches("train" if training else "test")
        begin, end = ((run.on_train_batch_begin, run.on_train_batch_end) if training else
                      (run.on_test_batch_begin, run.on_test_batch_end))
        out, done = step.buffers(len(rows)), 0
        while done < len(rows):
            if one_by_one:
                begin(meter.batches)
            if training:
                step.program.step = self.optimizer.iterations
            n = step.program.run(1 if one_by_one else len(rows) - done, {"index": rows}, out, done)
            meter.add(step, out, done, done + n)
            done += n
            if one_by_one:
                end(meter.batches - 1, meter.logs())
            run.on_progress(meter.batches, meter.logs())
            if training and self.stop_training:
                return

    def _output_shapes(self, data: ArrayData) -> list[tuple[int, ...]]:
        """Shapes of the outputs for one row of this data; builds the layers if they are not built."""
        inference = self._inference(tuple((1, *a.shape[1:]) for a in data.x))
        return [shape for shape, _ in inference.shapes]

    def _check_targets(self, data: ArrayData) -> ArrayData:
        """Refuse targets that the losses can't take, before anything is trained; labels become integers."""
        shapes = self._output_shapes(data)
        if len(data.y) != len(shapes):
            raise ValueError(f"Model {self.name} has {len(shapes)} outputs; got {len(data.y)} targets (y).")
        if len(self._losses) != len(shapes):
            raise ValueError(f"Model {self.name} has {len(shapes)} outputs and was compiled with {len(self._losses)} "
                             "losses.")
        for i, (y, shape, rule) in enumerate(zip(data.y, shapes, self._losses)):
            if rule.target_dtype == "int32":
                name = "y" if len(shapes) == 1 else f"y[{i}]"
                data.y[i] = check_labels(y, shape[-1], name)
        return data

    def _step_program(self, piece: ArrayData, batch: int, training: bool) -> StepProgram:
        key = ("train" if training else "test", batch, signature(piece.x), signature(piece.y),
               signature(piece.sample_weight))
        step = self._step_programs.get(key, lambda: StepProgram(self, piece, batch, training))
        step.bind(piece)
        return step

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict: bool = False):
        """One training step on one batch; the loss and the metrics of that batch."""
        return self._one_batch(x, y, sample_weight, class_weight, True, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict: bool = False):
        """Loss and metrics of one batch, without training."""
        return self._one_batch(x, y, sample_weight, None, False, return_dict)

    def _one_batch(self, x, y, sample_weight, class_weight, training: bool, return_dict: bool):
        self._need_compiled("train_on_batch" if training else "test_on_batch")
        if training:
            self._warn_if_thawed()
        data = self._check_targets(ArrayData(x, y, sample_weight, class_weight))
        meter = Meter(self)
        step = self._step_program(data, data.n, training)
        out = step.buffers(1)
        if training:
            step.program.step = self.optimizer.iterations
        step.program.run(1, {"index": np.arange(data.n)[None]}, out)
        meter.add(step, out, 0, 1)
        return self._answer(meter.logs(), return_dict)

    @staticmethod
    def _answer(logs: dict[str, float], return_dict: bool):
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    # ------------------------------------------------------------------ evaluate, predict

    def evaluate(self, x=None, y=None, batch_size: int | None = None, verbose="auto", sample_weight=None,
                 steps: int | None = None, callbacks=None, return_dict: bool = False):
        """Loss and metrics over data, training off; a list in the order of `metrics_names`, or a dict."""
        self._need_compiled("evaluate")
        data = Pass(self, adapt(x, y, sample_weight, steps=steps), batch_size, False, 0, steps)
        run = cb.CallbackList(callbacks, add_progbar=bool(verbose), model=self, verbose=verbose, steps=data.steps)
        return self._answer(self._epoch(data, 0, run, training=False), return_dict)

    def predict(self, x, batch_size: int | None = None, verbose="auto", steps: int | None = None, callbacks=None):
        """Outputs for all rows of x, as NumPy, computed a batch at a time with training off."""
        data, batch_size = adapt(x, steps=steps), check_batch_size(batch_size)
        run = cb.CallbackList(callbacks, model=self, verbose=verbose)
        run.on_predict_begin()
        if isinstance(data, ArrayData):
            if steps is not None:
                data = data.rows(0, min(data.n, steps * batch_size))
            pieces = [data]
        else:
            pieces = data.epoch(0)
        parts = [self._predict_piece(piece, min(batch_size, piece.n)) for piece in pieces]
        run.on_predict_end()
        nest = parts[0][0]
        arrays = [np.concatenate(a) if len(a) > 1 else a[0] for a in zip(*(p[1] for p in parts))]
        return arrays[0] if not isinstance(nest, list | tuple | dict) else arrays

    def _predict_piece(self, piece: ArrayData, batch: int):
        n, outputs, nest = piece.n, None, None
        for start in range(0, n, max(batch, PREDICT_ROWS // batch * batch)):
            stop = min(n, start + max(batch, PREDICT_ROWS // batch * batch))
            rows = [np.ascontiguousarray(a[start:stop], np.float32) for a in piece.x]
            at = 0
            while at < stop - start:
                size = min(batch, stop - start - at)
                inference = self._inference(tuple((size, *a.shape[1:]) for a in rows))
                if outputs is None:
                    outputs = [np.empty((n, *s[1:]), d) for s, d in inference.shapes]
                    nest = inference.nest
                steps = (stop - start - at) // size
                feeds = {f"x{i}": a[at : at + steps * size].reshape(steps, size, *a.shape[1:])
                         for i, a in enumerate(rows)}
                outs = {f"y{i}": o[start + at : start + at + steps * size].reshape(steps, size, *o.shape[1:])
                        for i, o in enumerate(outputs)}
                done = 0
                while done < steps:
                    done += inference.program.run(steps - done, feeds, outs, done)
                at += steps * size
        return nest, outputs

    def _inference(self, shapes: tuple) -> InferenceProgram:
        return self._step_programs.get(("predict", shapes), lambda: InferenceProgram(
            lambda tensors: self(shaped_like(self, tensors), training=False), shapes,
            [np.float32] * len(shapes), self.name))

    def predict_on_batch(self, x):
        """Outputs for one batch, as NumPy: the quick way to predict a row."""
        short = self._short_call
        if short is not None and short.takes(x):
            y = short(x)
            if y is not None:
                return y
        data = ArrayData(x)
        nest, arrays = self._predict_piece(data, data.n)
        inference = self._inference(tuple((data.n, *a.shape[1:]) for a in data.x))
        self._short_call = ShortCall(inference) if ShortCall.fits(inference) else None
        return arrays[0] if not isinstance(nest, list | tuple | dict) else arrays

    # ------------------------------------------------------------------ looking

    def training_program(self, x, y, batch_size: int = 32, sample_weight=None):
        """The `Program` of a training step for data of this kind, bound to it."""
        self._need_compiled("training_program")
        data = self._check_targets(ArrayData(x, y, sample_weight))
        return self._step_program(data, min(batch_size, data.n), True).program


class Pass:
    """Data as the trainer goes over it: runs of equal batches, each with what it gathers from."""

    def __init__(self, model: Trainer, data: ArrayData | IterableData, batch_size, shuffle: bool, seed,
                 steps: int | None):
        self.model, self.data, self.steps_asked = model, data, steps
        self.batch_size, self.shuffle, self.seed = check_batch_size(batch_size), bool(shuffle), seed
        if isinstance(data, ArrayData):
            model._check_targets(data)
            full, rest = batches(data.n, self.batch_size)
            self.steps = steps or full + (rest > 0)
        else:
            self.steps = data.num_batches

    @property
    def ran_out(self) -> bool:
        return getattr(self.data, "ran_out", False)

    def runs(self, epoch: int):
        """(data, indices of shape (steps, batch)) pairs."""
        if isinstance(self.data, ArrayData):
            for rows, size in epoch_runs(self.data.n, self.batch_size, self.shuffle, self.seed, epoch, self.steps_asked):
                yield self.data, np.ascontiguousarray(rows).reshape(-1, size)
            return
        for batch in self.data.epoch(epoch):
            yield self.model._check_targets(batch), np.arange(batch.n)[None]


class Meter:
    """Gathers what the steps of an epoch give into logs: means weighted by rows, and metrics."""

    def __init__(self, model):
        self.model = model
        self.loss = 0.0
        self.rows = 0
        self.batches = 0
        self.metrics: list = []
        for metric, _ in model._metrics or ():
            metric.reset_state()

    def add(self, step: StepProgram, out: dict[str, np.ndarray], start: int, stop: int) -> None:
        """Take in what steps start..stop-1 fetched."""
        self.loss += float(np.sum(out["loss"][start:stop], dtype=np.float64)) * step.batch
        self.rows += step.batch * (stop - start)
        self.batches += stop - start
        for metric, k, fixed in step.names:
            count = out[f"count{k}"][start:stop] if fixed is None else np.full(stop - start, fixed)
            metric.update(out[f"total{k}"][start:stop], count)
        self.metrics = [m for m, _, _ in step.names]

    def logs(self) -> dict[str, float]:
        return {"loss": self.loss / max(self.rows, 1), **{m.name: float(m.result()) for m in self.metrics}}
