"""Running the replicas of a sweep: some epochs of all of them as one joined run, and the logs that come of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import machine
from ..metrics import Metric
from ..program.program import BUDGET
from .members import Group, Held, Member, Order

MEMORY = 1 << 26  #: bytes that the rows, tables and results of one joined run may take


class Run:
    """So many steps of one program, the same for all replicas of a group but for the rows that they gather."""

    def __init__(self, slot: tuple[bool, int], steps: int, epoch: int, rows: list[np.ndarray]):
        self.slot, self.steps, self.epoch, self.rows = slot, steps, epoch, rows
        self.first = 0  # its first step among those of the program in the block
        self.place = 0  # and among the training steps of the block


class Block:
    """Some epochs of one group: what its programs are fed, and what they give."""

    def __init__(self, group: Group, members: list[Member], epochs: range, order: Order, held: Held | None,
                 due: Callable[[int], bool]):
        self.group, self.members, self.epochs = group, members, epochs
        self.runs: list[Run] = []
        self.steps: dict[tuple[bool, int], int] = {}
        self.trained = 0
        for epoch in epochs:
            for rows in zip(*(order.runs(m, epoch) for m in members), strict=True):
                self._add(True, epoch, list(rows))
            if held is not None and due(epoch):
                for rows in zip(*(held.runs(m) for m in members), strict=True):
                    self._add(False, epoch, list(rows))
        self.out = {slot: {name: np.zeros((len(members), count, *t.shape), t.dtype)
                           for name, t in self._replica(members[0], slot).fetches.items()}
                    for slot, count in self.steps.items()}
        self.tables = {slot: self._tables(slot) for slot in self.steps}

    @staticmethod
    def _replica(member: Member, slot):
        return member.steps[slot].program

    def _add(self, training: bool, epoch: int, rows: list[np.ndarray]) -> None:
        steps, batch = rows[0].shape
        run = Run((training, batch), steps, epoch, rows)
        run.first, run.place = self.steps.get(run.slot, 0), self.trained
        self.steps[run.slot] = run.first + steps
        self.trained += steps * training
        self.runs.append(run)

    def _tables(self, slot: tuple[bool, int]) -> np.ndarray | None:
        """The step scalars of all replicas, (replica, step, scalar), for all training steps or those of a test."""
        if not self._replica(self.members[0], slot).scalars:
            return None
        count = self.trained if slot[0] else self.steps[slot]
        return np.stack([self._replica(m, slot).table(m.model.optimizer.steps_done if slot[0] else 0, count)
                         for m in self.members])

    # ------------------------------------------------------------------ in the native executor

    def stretches(self) -> tuple[np.ndarray, np.ndarray]:
        """(program, steps, first address) of each run, (replica, run, 3), and the addresses, one row per replica."""
        slots, count = list(self.steps), len(self.members)
        table, columns = np.zeros((count, len(self.runs), 3), np.int64), []
        for j, run in enumerate(self.runs):
            table[:, j] = slots.index(run.slot), run.steps, len(columns)
            columns += self._addresses(run)
        addresses = np.stack(np.broadcast_arrays(*columns), axis=1).astype(np.int64)
        table[:, :, 0] += len(slots) * np.arange(count)[:, None]
        table[:, :, 2] += addresses.shape[1] * np.arange(count)[:, None]
        return table, addresses

    def _addresses(self, run: Run) -> list[np.ndarray]:
        """For each feed and fetch of a run, where its first row stands for each replica."""
        scalars, place = self.tables[run.slot], run.place if run.slot[0] else run.first
        rows = np.array([r.ctypes.data for r in run.rows], np.int64)
        feeds = [np.zeros(1, np.int64) if scalars is None else _at(scalars, place), rows]
        return feeds + [_at(a, run.first) for a in self.out[run.slot].values()]

    def executors(self) -> list:
        return [self._replica(m, slot).executor for m in self.members for slot in self.steps]

    def told(self, done: list[int]) -> None:
        """Let optimizers count the steps that were done."""
        for m, steps in zip(self.members, done):
            for run in self.runs:
                n = min(steps, run.steps)
                steps -= n
                if run.slot[0] and n:
                    self._replica(m, run.slot).advance(n)

    # ------------------------------------------------------------------ on the NumPy backend

    def run_in_turn(self) -> None:
        for k, m in enumerate(self.members):
            for run in self.runs:
                program, done = self._replica(m, run.slot).program, 0
                out = {n: a[k, run.first : run.first + run.steps] for n, a in self.out[run.slot].items()}
                while done < run.steps:
                    program.step = m.model.optimizer.steps_done if run.slot[0] else run.first + done
                    done += program.run(run.steps - done, {"index": run.rows[k]}, out, done)

    # ------------------------------------------------------------------ what came of it

    def logs(self, keys: dict[bool, list[str]]) -> list[dict[str, np.ndarray]]:
        """For each epoch: name -> values of all replicas; `keys` are the names of the results by `training`."""
        found = []
        for epoch in self.epochs:
            logs = {}
            for training in (True, False):
                runs = [r for r in self.runs if r.epoch == epoch and r.slot[0] == training]
                if runs:
                    prefix = "" if training else "val_"
                    logs |= {prefix + n: v for n, v in zip(keys[training], self._results(runs))}
            found.append(logs)
        return found

    def _results(self, runs: list[Run]) -> list[np.ndarray]:
        """What `Meter.logs` gives, for all replicas: the same sums in the same order."""
        step = self.members[0].steps[runs[0].slot]
        rows = sum(run.slot[1] * run.steps for run in runs)
        values = [self._sum("loss", runs, by_rows=True) / rows]
        values += [self._sum(name, runs, by_rows=True) / rows for name in step.parts.values()]
        return values + [self._metric(i, runs) for i in range(len(step.names))]

    def _part(self, name: str, run: Run) -> np.ndarray:
        return self.out[run.slot][name][:, run.first : run.first + run.steps]

    def _sum(self, name: str, runs: list[Run], by_rows: bool = False) -> np.ndarray:
        parts = [self._part(name, run).astype(np.float64) * (run.slot[1] if by_rows else 1) for run in runs]
        return np.cumsum(np.concatenate([np.zeros((len(self.members), 1)), *parts], axis=1), axis=1)[:, -1]

    def _metric(self, i: int, runs: list[Run]) -> np.ndarray:
        _, metric, k, _ = self.members[0].steps[runs[0].slot].names[i]
        fixed = [self.members[0].steps[run.slot].names[i][3] for run in runs]
        if type(metric).update is Metric.update and type(metric).result is Metric.result:
            totals = self._sum(f"total{k}", runs)
            if fixed[0] is None:
                counts = self._sum(f"count{k}", runs)
            else:
                counts = np.full(len(totals), sum(run.steps * each for run, each in zip(runs, fixed)))
            return np.divide(totals, counts, out=np.zeros(len(totals)), where=counts != 0)
        found = []
        for r, m in enumerate(self.members):
            meter = copy.copy(m.steps[runs[0].slot].names[i][1])
            meter.reset_state()
            for run, each in zip(runs, fixed):
                count = self._part(f"count{k}", run)[r] if each is None else np.full(run.steps, each)
                meter.update(self._part(f"total{k}", run)[r], count)
            found.append(meter.result())
        return np.array(found, np.float64)


def _at(a: np.ndarray, step: int) -> np.ndarray:
    """The address of a step in an array (replica, step, ...), for each replica."""
    return a.ctypes.data + np.arange(len(a), dtype=np.int64) * a.strides[0] + step * a.strides[1]


def run_blocks(blocks: list[Block], progress: Callable[[float], Any]) -> None:
    """Run blocks of all groups side by side; `progress` gets the share that is done, a few times per second."""
    native = [b for b in blocks if b.executors()[0] is not None]
    for b in blocks:
        if b not in native:
            b.run_in_turn()
    if not native:
        progress(1.0)
        return
    from ..kernels.native import core

    executors, tables, counts, addresses, width = [], [], [], [], 0
    for b in native:
        table, places = b.stretches()
        table[:, :, 0] += len(executors)
        table[:, :, 2] += width
        width += places.size
        executors += b.executors()
        tables.append(table.reshape(-1, 3))
        counts += [table.shape[1]] * table.shape[0]
        addresses.append(places.reshape(-1))
    tables = np.concatenate(tables)
    joined = core.Joined(executors, tables, np.array(counts, np.int64), np.concatenate(addresses))
    total = max(1, int(tables[:, 1].sum()))
    try:
        while joined.run(machine.get_num_threads(), BUDGET):
            progress(sum(joined.done()) / total)
    finally:
        done, at = joined.done(), 0
        for b in native:
            b.told(done[at : at + len(b.members)])
            at += len(b.members)
    for b in native:
        for slot in b.steps:
            b._replica(b.members[0], slot).program._run.check()
    progress(1.0)


def epochs_at_once(groups: list[Group], order: Order, held: Held | None) -> int:
    """How many epochs fit into one joined run."""
    size = 0
    for g in groups:
        m, rows = g.members[0], 0
        for training, runs in ((True, order.runs(m, 0)), (False, held.runs(m) if held else [])):
            for r in runs:
                step = m.steps[training, r.shape[1]].program
                each = sum(t.nbytes for t in step.fetches.values()) + 16 * len(step.scalars)
                rows += len(r) * each + 8 * r.size
        size += rows * len(g.members)
    return max(1, MEMORY // max(size, 1))
