"""What an epoch is made of: the batches that the data gives, and the sums that become its logs."""

from __future__ import annotations

import copy

import numpy as np

from .data import ArrayData, IterableData, batches, check_batch_size, check_steps, epoch_runs
from .step import StepProgram


class Pass:
    """Data as the trainer goes over it: runs of equal batches, each with what it gathers from."""

    def __init__(self, model, data: ArrayData | IterableData, batch_size, shuffle: bool, seed, steps: int | None):
        self.model, self.data, self.steps_asked = model, data, steps
        self.shuffle, self.seed = bool(shuffle), seed
        if isinstance(data, ArrayData):
            self.batch_size = size_of_batches(batch_size, data.n, steps)
            model._check_targets(data)
            full, rest = batches(data.n, self.batch_size)
            self.steps = steps or full + (rest > 0)
        else:
            self.batch_size, self.steps = check_batch_size(batch_size), data.num_batches

    @property
    def ran_out(self) -> bool:
        return getattr(self.data, "ran_out", False)

    def runs(self, epoch: int):
        """(data, indices of shape (steps, batch)) pairs."""
        if isinstance(self.data, ArrayData):
            for rows, size in epoch_runs(self.data.n, self.batch_size, self.shuffle, self.seed, epoch,
                                         self.steps_asked):
                yield self.data, np.ascontiguousarray(rows).reshape(-1, size)
            return
        for batch in self.data.epoch(epoch):
            yield self.model._check_targets(batch), np.arange(batch.n)[None]


def size_of_batches(batch_size, n: int, steps: int | None) -> int:
    """Rows of a batch: what was asked for, else what makes so many steps of n rows, else 32."""
    if batch_size is None and check_steps(steps, "steps") is not None:
        return -(-n // steps)
    return check_batch_size(batch_size)


class Meter:
    """Gathers what the steps of an epoch give into logs: means weighted by rows, and metrics."""

    def __init__(self, model):
        self.model = model
        self.loss = 0.0
        self.parts: dict[str, float] = {}
        self.rows = 0
        self.batches = 0
        self.metrics: dict[str, object] = {}

    def add(self, step: StepProgram, out: dict[str, np.ndarray], start: int, stop: int) -> None:
        """Take in what steps start..stop-1 fetched."""
        def total(name):
            return float(np.sum(out[name][start:stop], dtype=np.float64)) * step.batch

        self.loss += total("loss")
        for key, name in step.parts.items():
            self.parts[key] = self.parts.get(key, 0.0) + total(name)
        self.rows += step.batch * (stop - start)
        self.batches += stop - start
        for key, metric, k, fixed in step.names:
            if key not in self.metrics:  # a copy, so that evaluations in several threads keep apart
                self.metrics[key] = copy.copy(metric)
                self.metrics[key].reset_state()
            count = out[f"count{k}"][start:stop] if fixed is None else np.full(stop - start, fixed)
            self.metrics[key].update(out[f"total{k}"][start:stop], count)

    def logs(self) -> dict[str, float]:
        """The loss and the metrics so far; an array for a metric that has several results."""
        def plain(value):
            return value if np.ndim(value) else float(value)

        rows = max(self.rows, 1)
        return {"loss": self.loss / rows, **{k: v / rows for k, v in self.parts.items()},
                **{k: plain(m.result()) for k, m in self.metrics.items()}}
