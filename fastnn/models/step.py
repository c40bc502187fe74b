"""The programs of a model: a training step, an evaluation step, an inference call, for one batch shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.data import gather_labels, gather_rows
from ..layers.symbolic import flatten
from ..machine import get_num_threads
from ..program.backend import get_backend
from ..program.gradient import gradients
from ..program.graph import Graph, Tensor
from ..program.program import Program, StaleProgram
from ..program.variable import layout_epoch

CACHE = 16  #: programs that a model keeps; the least recently used goes first


class ProgramCache:
    """Programs by what they were built for; one that went stale is built anew."""

    def __init__(self, limit: int = CACHE):
        self.limit, self.programs = limit, OrderedDict()

    def get(self, key: tuple, make: Callable[[], Program]) -> Program:
        key = (get_backend(), *key)
        program = self.programs.get(key)
        if program is not None:
            try:
                program.check_layout()
            except StaleProgram:
                program = None
        if program is None:
            program = self.programs[key] = make()
            while len(self.programs) > self.limit:
                self.programs.popitem(last=False)
        self.programs.move_to_end(key)
        return program

    def clear(self) -> None:
        self.programs.clear()


def signature(arrays) -> tuple:
    """What a program must know of arrays: row shapes and dtypes."""
    return tuple(None if a is None else (a.shape[1:], a.dtype.str) for a in arrays)


def shaped_like(model, tensors: list[Tensor]):
    """The model's inputs in the nest that it was made with (a single tensor where there is one input)."""
    names = getattr(model, "_input_nest", None)
    if isinstance(names, dict):
        return dict(zip(names, tensors))
    return tensors[0] if len(tensors) == 1 else tensors


class StepProgram:
    """A training or evaluation step over data that stays where the user has it.

    The step gathers rows `index` of the sources, runs the model, the losses and the metrics, and in
    training takes gradients and applies the optimizer. Fetches: "loss" and, for each metric, its
    total and weight.
    """

    def __init__(self, model, data, batch: int, training: bool):
        self.names: list[tuple[Any, str, float | None]] = []  # (metric, fetch name, fixed weight)
        graph = Graph(f"{model.name} {'training' if training else 'evaluation'} step, batch {batch}")
        graph.training = training
        graph.frozen = model._compiled_frozen
        with graph.active():
            self._trace(graph, model, data, batch, training)
        self.batch = batch
        self.program = Program(graph)

    def _trace(self, graph: Graph, model, data, batch: int, training: bool) -> None:
        index = graph.feed("index", (batch,), np.int64)
        with graph.note("data"):
            xs = [gather_rows(graph.source(f"x{i}", a.shape, a.dtype), index, source=str(a.dtype))
                  for i, a in enumerate(data.x)]
            ys = [self._target(graph, f"y{i}", a, loss, index) for i, (a, loss) in enumerate(zip(data.y, model._losses))]
            weights = [None if a is None else gather_rows(graph.source(f"w{i}", a.shape, a.dtype), index, source=str(a.dtype))
                       for i, a in enumerate(data.sample_weight or [None] * len(ys))]
        outputs = flatten(model(shaped_like(model, xs), training=training))
        if len(outputs) != len(ys):
            raise ValueError(f"Model {model.name} has {len(outputs)} outputs; got {len(ys)} targets (y).")
        loss = None
        for y, out, weight, rule, share in zip(ys, outputs, weights, model._losses, model._loss_weights):
            with graph.note("loss"):
                one = rule(y, out, weight)
                one = one if share == 1 else one * share
                loss = one if loss is None else loss + one
        graph.fetch("loss", loss)
        with graph.note("metrics"):
            for k, (metric, which) in enumerate(model._metric_rules(ys, outputs)):
                total, count = metric.emit(ys[which], outputs[which], weights[which])
                graph.fetch(f"total{k}", total)
                fixed = None if isinstance(count, Tensor) else float(count)
                if fixed is None:
                    graph.fetch(f"count{k}", count)
                self.names.append((metric, f"{k}", fixed))
        if training:
            variables = model._training_variables()
            if not variables:
                raise ValueError(f"Model {model.name} has no trainable variables: nothing would be trained.")
            grads = gradients(loss, variables)
            with graph.note("optimizer"):
                model.optimizer.apply(grads, variables)

    @staticmethod
    def _target(graph, name, array, loss, index):
        source = graph.source(name, array.shape, array.dtype)
        if loss.target_dtype == "int32":
            return gather_labels(source, index, source=str(array.dtype))
        return gather_rows(source, index, source=str(array.dtype))

    def check_layout(self) -> None:
        self.program.check_layout()

    def bind(self, data) -> None:
        for i, a in enumerate(data.x):
            self.program.bind(f"x{i}", a)
        for i, a in enumerate(data.y):
            self.program.bind(f"y{i}", a)
        for i, a in enumerate(data.sample_weight):
            if a is not None:
                self.program.bind(f"w{i}", a)

    def buffers(self, steps: int) -> dict[str, np.ndarray]:
        """Room for what each of so many steps gives."""
        return {n: np.zeros((steps, *t.shape), t.dtype) for n, t in self.program.fetches.items()}


class InferenceProgram:
    """A model on one batch of float32 rows, training off."""

    def __init__(self, fn, shapes, dtypes, name: str, training: bool = False):
        graph = Graph(f"{name} inference, batch {shapes[0][0]}")
        graph.training = training
        tensors = [graph.feed(f"x{i}", s, d) for i, (s, d) in enumerate(zip(shapes, dtypes))]
        with graph.active():
            self.nest = fn(tensors)
        for i, t in enumerate(flatten(self.nest)):
            graph.fetch(f"y{i}", t)
        self.program = Program(graph)
        self.shapes = [(t.shape, t.dtype) for t in flatten(self.nest)]

    def check_layout(self) -> None:
        self.program.check_layout()


class ShortCall:
    """One batch of float32 through a native inference program with one input and one output.

    Nothing but what must happen: predicting one row costs little more than its arithmetic.
    """

    def __init__(self, inference: InferenceProgram):
        program = inference.program
        self.shape, self.dtype = program.feeds["x0"].shape, np.dtype(np.float32)
        self.out, _ = inference.shapes[0]
        self.lock, self.once, self.epoch = program.lock, program._run.executor.once, program.epoch

    @staticmethod
    def fits(inference: InferenceProgram) -> bool:
        program = inference.program
        return program.backend == "native" and len(program.feeds) == len(program.fetches) == 1 and not program.scalars

    def takes(self, x) -> bool:
        return (type(x) is np.ndarray and x.dtype == self.dtype and x.shape == self.shape and x.flags.c_contiguous
                and self.epoch == layout_epoch() and get_backend() == "native")

    def __call__(self, x: np.ndarray) -> np.ndarray | None:
        """The output, or None if x holds NaN or infinity."""
        y = np.empty(self.out, np.float32)
        with self.lock:
            return y if self.once(x, y, get_num_threads()) else None
