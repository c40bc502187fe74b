"""What an epoch is made of: the batches that the data gives, and the sums that become its logs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .array_data import ArrayData
from .loading import IterableData
from .order import batches, check_batch_size, check_shuffle, check_steps, epoch_runs
from .step import StepProgram


class Pass:
    """Data as the trainer goes over it: runs of equal batches, each with what it gathers from."""

    def __init__(self, model, data: ArrayData | IterableData, batch_size, shuffle: bool, seed, steps: int | None,
                 phase: str = "train"):
        self.model, self.data, self.steps_asked, self.phase = model, data, steps, phase
        self.shuffle, self.seed = check_shuffle(shuffle), seed
        if isinstance(data, ArrayData):
            self.batch_size = size_of_batches(batch_size, data.n, steps)
            model._check_targets(data, phase)
            if data.sampler is not None and not self.shuffle:
                raise ValueError("sampling draws rows at random, so shuffle must not be False.")
            full, rest = batches(data.n, self.batch_size)
            self.steps = steps or full + (rest > 0)
        else:
            self.batch_size, self.steps = check_batch_size(batch_size), data.num_batches

    @property
    def ran_out(self) -> bool:
        return getattr(self.data, "ran_out", False)

    def runs(self, epoch: int, skip: int = 0):
        """(data, indices of shape (steps, batch)) pairs, without the first `skip` batches."""
        if isinstance(self.data, ArrayData):
            for rows, size in epoch_runs(self.data.n, self.batch_size, self.shuffle, self.seed, epoch,
                                         self.steps_asked, self.data.sampler):
                rows = np.ascontiguousarray(rows).reshape(-1, size)
                if skip < len(rows):
                    yield from self.data.pieces(rows[skip:])
                skip = max(0, skip - len(rows))
            return
        for batch in self.data.epoch(epoch):
            if skip:
                skip -= 1
                continue
            yield self.model._check_targets(batch, self.phase), np.arange(batch.n)[None]

    def go_on(self, place: Place, initial_epoch: int) -> None:
        """Bring a fresh source of data to where the epoch of `place` begins."""
        self.seed = place.seed
        if isinstance(self.data, IterableData):
            self.data.seed = place.seed
            self.model._check_targets(self.data.first())  # which builds the model
            for epoch in range(initial_epoch, place.epoch):
                self.data.pass_over(epoch)


@dataclass
class Place:
    """Where a fit is: what a backup of it must know.

    `keeper` saves it (a `BackupAndRestore`); it sets the place, and `resume`, where a fit goes on that was killed.
    """

    run: Any
    seed: Any
    epoch: int
    arrays: ArrayData | None  #: what is trained on, where it can be read again
    batch_size: int
    batch: int = 0  #: batches of the epoch that are done before it goes on
    meter: Meter | None = None
    meter_state: dict[str, Any] | None = None
    keeper: Any = None
    resume: Callable[[], None] | None = None
    failed: bool = False

    def take_up(self, begun: bool) -> None:
        """Bring back what was saved: before an epoch's callbacks, or after them where the epoch had begun."""
        if self.resume is not None and begun == (self.batch > 0):
            self.resume()
            self.resume = None


def size_of_batches(batch_size, n: int, steps: int | None) -> int:
    """Rows of a batch: what was asked for, else what makes so many steps of n rows, else 32."""
    check_steps(steps, "The number of steps")
    if batch_size is None and steps is not None:
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
        self.metrics: dict[str, Any] = {}
        self.shown: list[str] = []  # which of them are reported
        self.order: dict[str, Any] | None = None  # what a step of the user's reports, see `trace_own`
        self.last: dict[str, float] = {}
        self._metrics_before: dict[str, dict[str, Any]] = {}

    def get_state(self) -> dict[str, Any]:
        """All sums, to go on with them in another process."""
        metrics = {key: m.get_state() for key, m in self.metrics.items()}
        return {"loss": self.loss, "parts": self.parts, "last": self.last, "rows": self.rows, "batches": self.batches,
                "metrics": {**self._metrics_before, **metrics}}

    def set_state(self, state: dict[str, Any]) -> None:
        self.loss, self.parts, self.last = state["loss"], dict(state["parts"]), dict(state.get("last") or {})
        self.rows, self.batches, self._metrics_before = state["rows"], state["batches"], state["metrics"]

    def begin(self, step: StepProgram) -> None:
        """Before steps run: metrics that are first met start anew.

        Those of `compile` as copies, so that evaluations in several threads keep apart; those of a user's step, and
        those that keep variables, themselves.
        """
        self.shown = step.shown
        for key, metric in [*((n[0], n[1]) for n in step.names), *step.stateful]:
            if key in self.metrics:
                continue
            self.metrics[key] = found = metric if step.order is not None or step.stateful else copy.copy(metric)
            found.reset_state()
            found.set_state(self._metrics_before.get(key, {}))

    def add(self, step: StepProgram, out: dict[str, np.ndarray], start: int, stop: int) -> None:
        """Take in what steps start..stop-1 fetched."""
        def onto(before, name):
            # one after the other: however many steps come at a time, the sum has the same bits
            return float(np.cumsum([before, *out[name][start:stop].astype(np.float64) * step.batch])[-1])

        self.order = step.order
        if self.order is None:
            self.loss = onto(self.loss, "loss")
        else:
            self.last.update((n, float(np.ravel(out[n][stop - 1])[0])) for n in out if n.startswith("log"))
        for key, name in step.parts.items():
            self.parts[key] = onto(self.parts.get(key, 0.0), name)
        self.rows += step.batch * (stop - start)
        self.batches += stop - start
        for key, _, k, fixed in step.names:
            count = out[f"count{k}"][start:stop] if fixed is None else np.full(stop - start, fixed)
            self.metrics[key].update(out[f"total{k}"][start:stop], count)

    def logs(self) -> dict[str, float]:
        """The loss and the metrics so far; an array for a metric that has several results."""
        def plain(value):
            return np.asarray(value) if np.ndim(value) else float(value)

        if self.order is not None:
            return {key: self._reported(what, plain) for key, what in self.order.items()}
        rows = max(self.rows, 1)
        return {"loss": self.loss / rows, **{k: v / rows for k, v in self.parts.items()},
                **{k: plain(self.metrics[k].result()) for k in self.shown}}

    def _reported(self, what, plain):
        if not isinstance(what, tuple):
            return what
        kind, name = what
        return self.last[name] if kind == "last" else plain(self.metrics[name].result())
