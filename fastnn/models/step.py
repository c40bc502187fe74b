"""The programs of a model: a training step, an evaluation step, an inference call, for one batch shape."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.data import gather_labels, gather_rows
from ..layers.symbolic import flatten, map_tree
from ..machine import get_num_threads
from ..program.backend import get_backend
from ..program.gradient import gradients
from ..program.graph import Graph, Tensor
from ..program.program import Program, StaleProgram
from ..program.variable import layout_epoch
from . import penalties
from .custom import compiled_losses, trace_own, trace_stateful

CACHE = 16  #: programs that a model keeps; the least recently used goes first


class ProgramCache:
    """Programs by what they were built for; one that went stale is built anew."""

    def __init__(self, limit: int = CACHE):
        self.limit, self.programs = limit, OrderedDict()
        self.lock = threading.RLock()  # many threads may predict with one model

    def get(self, key: tuple, make: Callable[[], Program]) -> Program:
        with self.lock:
            return self._get((get_backend(), *key), make)

    def _get(self, key: tuple, make: Callable[[], Program]) -> Program:
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
        with self.lock:
            self.programs.clear()


def signature(arrays) -> tuple:
    """What a program must know of arrays: row shapes and dtypes."""
    return tuple(None if a is None else (a.shape[1:], a.dtype.str) for a in arrays)


def shaped_like(names: list[str] | None, tensors: list[Tensor]):
    """What a model is called with: a dict if data came in one, else a list, or the only input by itself."""
    if names is not None:
        return dict(zip(names, tensors, strict=True))
    return tensors[0] if len(tensors) == 1 else tensors


def nested_like(nest, arrays: list[np.ndarray]):
    """Arrays in the nest of tensors that a model gave."""
    given = iter(arrays)
    return map_tree(lambda _: next(given), nest)


class StepProgram:
    """A training or evaluation step over data that stays where the user has it.

    The step gathers rows `index` of the sources, runs the model, the losses and the metrics, and in
    training takes gradients and applies the optimizer. Fetches: "loss" and, for each metric, its
    total and weight. Where the model has a step of its own that is traced, and `order` says what is reported. `make`
    makes the program from the graph.
    """

    measures = True  #: whether metrics are computed

    def __init__(self, model, data, batch: int, training: bool, make: Callable[[Graph], Any] = Program):
        self.names: list[tuple[str, Any, str, float | None]] = []  # (key, metric, number of its fetches, fixed weight)
        self.parts: dict[str, str] = {}  # key in the logs -> fetch, for the losses of several outputs
        self.order: dict[str, Any] | None = None  # of a step of the user's: see `trace_own`
        self.shown: list[str] = [m.key for m in model._metrics or ()]  # the keys of those that are reported
        self.stateful: list[tuple[str, Any]] = []  # (key, metric) of metrics that keep variables
        graph = Graph(f"{model.name} {'training' if training else 'evaluation'} step, batch {batch}")
        graph.training = training
        graph.frozen = model._compiled_frozen
        with graph.active():
            self._trace(graph, model, data, batch, training)
        self.batch = batch
        self.program = make(graph)

    def _trace(self, graph: Graph, model, data, batch: int, training: bool) -> None:
        index = graph.feed("index", (batch,), np.int64)
        targets: dict[tuple[int, str], Tensor] = {}

        def target(i: int, dtype: str) -> Tensor:
            """Target i in the dtype that a loss or metric wants; gathered once for each."""
            if (i, dtype) not in targets:
                name, a = f"y{i}", data.y[i]
                source = graph.sources[name] if name in graph.sources else graph.source(name, a.shape, a.dtype)
                gather = gather_labels if dtype == "int32" else gather_rows
                with graph.note("data"):
                    targets[i, dtype] = gather(source, index, source=str(source.dtype))
                for layer, mix in graph.mixes:
                    if dtype == "int32":
                        raise ValueError(f"Model {model.name}: the layer {layer.name} mixes targets, which class "
                                         "numbers can't be; give one-hot targets, with a loss and metrics that take "
                                         "them ('categorical_crossentropy').")
                    targets[i, dtype] = mix(targets[i, dtype])
            return targets[i, dtype]

        with graph.note("data"):
            xs = [gather_rows(graph.source(f"x{i}", a.shape, a.dtype), index, source=str(a.dtype))
                  for i, a in enumerate(data.x)]
            weights = [None if a is None else gather_rows(graph.source(f"w{i}", a.shape, a.dtype), index,
                                                          source=str(a.dtype))
                       for i, a in enumerate(data.sample_weight or [None] * len(data.y))]
        phase = "train" if training else "test"
        if model._own(phase):
            ys = [target(i, "int32" if a.dtype.kind in "iu" else "float32") for i, a in enumerate(data.y)]
            self.names, self.order, self.stateful = trace_own(
                graph, model, data, shaped_like(data.x_names, xs), ys, weights, phase)
            return
        outputs = flatten(model(shaped_like(data.x_names, xs), training=training))
        losses = []
        with graph.note("loss"):
            for i, one, share in compiled_losses(model, target, outputs, weights):
                if model._loss_keys[i]:
                    self.parts[model._loss_keys[i]] = f"loss{i}"
                    graph.fetch(f"loss{i}", one)
                losses.append(one if share == 1 else one * share)
            held = [v for v in model._regularized() if v.regularizer is not None]
            plain = [v for v in held if penalties.is_plain(v.regularizer)]
            losses += [one for _, one in graph.losses]
            losses += [penalties.penalty(graph, v) for v in held if v not in plain]
            if not losses:
                raise ValueError(f"Model {model.name} was compiled without a loss, and no layer adds one: there is "
                                 f"nothing to {'train on' if training else 'measure'}.")
            loss = losses[0]
            for one in losses[1:]:
                loss = loss + one
            whole = loss
            for v in plain:
                whole = whole + penalties.penalty(graph, v)
        if loss.shape:
            raise ValueError(f"Model {model.name}: the loss has shape {loss.shape}; with reduction 'none' it can't be "
                             "trained on or averaged.")
        graph.fetch("loss", whole)
        for k, (metric, which, weigh, key) in enumerate(model._metrics if self.measures else ()):
            y = target(which, metric.target_dtype)
            if metric.stateful:
                self.stateful.append((key, metric))
                with graph.note("metrics"):
                    self.names += trace_stateful(graph, metric, y, outputs[which], weights[which] if weigh else None, k)
                continue
            with graph.note("metrics"):
                total, count = metric.emit(y, outputs[which], weights[which] if weigh else None)
                graph.fetch(f"total{k}", total)
            fixed = None if isinstance(count, Tensor) else float(count)
            if fixed is None:
                graph.fetch(f"count{k}", count)
            self.names.append((key, metric, f"{k}", fixed))
        self._finish(graph, model, loss, training)

    def _finish(self, graph: Graph, model, loss: Tensor, training: bool) -> None:
        """What follows on the loss: in training, gradients and the update; `loss` lacks the plain penalties."""
        if not training:
            return
        variables = model._training_variables()
        if not variables:
            raise ValueError(f"Model {model.name} has no trainable variables: nothing would be trained.")
        grads = gradients(loss, variables)
        with graph.note("regularizers"):
            grads = penalties.add_gradients(grads, variables)
        with graph.note("optimizer"):
            model.optimizer.apply(grads, variables)

    def check_layout(self) -> None:
        self.program.check_layout()

    def bind(self, data) -> None:
        for i, a in enumerate(data.x):
            self.program.bind(f"x{i}", a)
        for i, a in enumerate(data.y):
            if f"y{i}" in self.program.sources:
                self.program.bind(f"y{i}", a)
        for i, a in enumerate(data.sample_weight):
            if a is not None:
                self.program.bind(f"w{i}", a)

    def buffers(self, steps: int) -> dict[str, np.ndarray]:
        """Room for what each of so many steps gives."""
        return {n: np.zeros((steps, *t.shape), t.dtype) for n, t in self.program.fetches.items()}


class InferenceProgram:
    """A model on one batch of float32 rows, training off; with `sampling`, dropout and other noise are on."""

    def __init__(self, fn, shapes, dtypes, name: str, training: bool = False, sampling: bool = False):
        graph = Graph(f"{name} inference, batch {shapes[0][0]}")
        graph.training, graph.sampling = training, sampling
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
        self.backend, self.check = program.backend, program._run.check

    @staticmethod
    def fits(inference: InferenceProgram) -> bool:
        program = inference.program
        plain = not program.scalars and not program.graph.places  # whose data has to be looked at first
        return program.backend != "numpy" and len(program.feeds) == len(program.fetches) == 1 and plain

    def takes(self, x) -> bool:
        return (type(x) is np.ndarray and x.dtype == self.dtype and x.shape == self.shape and x.flags.c_contiguous
                and self.epoch == layout_epoch() and get_backend() == self.backend)

    def __call__(self, x: np.ndarray) -> np.ndarray | None:
        """The output, or None if x holds NaN or infinity."""
        y = np.empty(self.out, np.float32)
        with self.lock:
            done = self.once(x, y, get_num_threads())
            self.check()
            return y if done else None
