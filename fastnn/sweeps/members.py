"""The replicas of a sweep before they run: models from settings, and their programs in groups of one structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..callbacks import CallbackList, EarlyStopping, History, LearningRateScheduler, ReduceLROnPlateau
from ..models.data import ArrayData
from ..models.model import Model
from ..models.order import batches, check_batch_size, epoch_order, epoch_runs
from ..models.step import StepProgram
from ..program.replicas import Templates
from ..seeds import seed_sequence, set_random_seed

ALLOWED = (EarlyStopping, LearningRateScheduler, ReduceLROnPlateau)  #: callbacks that a sweep can give each replica


class Member:
    """One replica: a model, and how it is to be trained.

    Attributes
    ----------
    rows, held : int64 arrays, what is trained on and what validated on, of all rows; None for all.
    steps : (training, batch) -> StepProgram.
    callbacks : a CallbackList, or None.
    epochs : epochs that it has trained.
    """

    def __init__(self, number: int, settings: dict[str, Any], model: Model, seed: int, batch_size: int | None):
        self.number, self.settings, self.model = number, settings, model
        self.seed, self.batch_size = seed, batch_size
        self.rows: np.ndarray | None = None
        self.held: np.ndarray | None = None
        self.steps: dict[tuple[bool, int], StepProgram] = {}
        self.callbacks: CallbackList | None = None
        self.epochs = 0

    @property
    def who(self) -> str:
        return f"replica {self.number} ({', '.join(f'{n}={v!r}' for n, v in self.settings.items())})"


def make_models(build: Callable, settings: list[dict[str, Any]], names: list[str], seed: int,
                batch_size: int | None) -> list[Member]:
    """A model for each of the settings, made as after `set_random_seed`; callers keep the user's random state."""
    members: list[Member] = []
    seen: dict[int, int] = {}  # id of what replicas must not share -> replica
    for k, one in enumerate(settings):
        own_seed = one.get("seed", seed)
        size = one.get("batch_size", batch_size)
        check_batch_size(size)
        set_random_seed(own_seed)
        model = build(**{n: one[n] for n in names})
        if not isinstance(model, Model):
            raise TypeError(f"sweep: build must return a compiled model; for {one} it returned {model!r}.")
        member = Member(k, one, model, own_seed, size)
        model._need_compiled("sweep")
        for what, thing in (("model", model), ("optimizer", model.optimizer),
                            *((f"trainable variable {v.path}", v) for v in model.trainable_variables)):
            if seen.setdefault(id(thing), k) != k:
                raise ValueError(f"sweep: build gave {member.who} the {what} that replica {seen[id(thing)]} has; it "
                                 "must make everything that is trained anew each time.")
        members.append(member)
    return members


class Order:
    """Which rows the steps of an epoch gather, for all replicas; what several of them share is made once."""

    def __init__(self, n: int, shuffle: bool | int, steps_per_epoch: int | None, sampler=None):
        self.n, self.shuffle, self.steps, self.sampler = n, shuffle, steps_per_epoch, sampler
        self._kept: dict[tuple, list[np.ndarray]] = {}

    def runs(self, member: Member, epoch: int) -> list[np.ndarray]:
        """Arrays of row numbers (steps, batch): those that `fit` would take with this seed."""
        fold = None if member.rows is None else id(member.rows)
        key = (member.seed, member.batch_size, fold, epoch)
        if key not in self._kept:
            n = self.n if member.rows is None else len(member.rows)
            runs = epoch_runs(n, member.batch_size, self.shuffle, seed_sequence(member.seed), epoch, self.steps,
                              self.sampler)
            if member.rows is not None:
                runs = [(member.rows[rows], size) for rows, size in runs]
            self._kept[key] = [np.ascontiguousarray(rows).reshape(-1, size) for rows, size in runs]
        return self._kept[key]

    def forget(self) -> None:
        self._kept.clear()


class Held:
    """Which rows validation goes over."""

    def __init__(self, data: ArrayData, batch_size: int | None, steps: int | None):
        self.data, self.batch_size, self.steps = data, batch_size, steps
        self._kept: dict[tuple, list[np.ndarray]] = {}

    def runs(self, member: Member) -> list[np.ndarray]:
        size = check_batch_size(member.batch_size if self.batch_size is None else self.batch_size)
        key = (size, None if member.held is None else id(member.held))
        if key not in self._kept:
            rows = epoch_order(self.data.n, False, 0, 0) if member.held is None else member.held
            full, rest = batches(len(rows), size)
            runs = [rows[: full * size].reshape(-1, size)] * (full > 0) + [rows[full * size :][None]] * (rest > 0)
            if self.steps is not None:
                runs = [np.ascontiguousarray(r).reshape(-1, s) for r, s in
                        epoch_runs(len(rows), size, False, 0, 0, self.steps)]
                runs = [rows[r] for r in runs]
            self._kept[key] = [np.ascontiguousarray(r) for r in runs]
        return self._kept[key]


def sources(data: ArrayData) -> dict[str, np.ndarray]:
    """The arrays of data by the names that step programs have for them."""
    named = {f"x{i}": a for i, a in enumerate(data.x)} | {f"y{i}": a for i, a in enumerate(data.y)}
    return named | {f"w{i}": a for i, a in enumerate(data.sample_weight) if a is not None}


class Group:
    """Replicas whose programs have one structure, so that they are run, and their logs made, alike."""

    def __init__(self, members: list[Member]):
        self.members = members

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)


def group(members: list[Member], train: ArrayData, held: Held | None, order: Order) -> tuple[list[Group], int]:
    """Trace the steps of all replicas; the groups, and how many programs had to be planned."""
    training = Templates(sources(train))
    testing = Templates(sources(held.data)) if held is not None else None
    groups: dict[tuple, list[Member]] = {}
    written: dict[int, Member] = {}
    touched: list[tuple[Member, list[np.ndarray]]] = []
    for m in members:
        wanted = [(True, r.shape[1]) for r in order.runs(m, 0)]
        if order.steps is not None:
            wanted += [(True, size) for size in _sizes(order.n if m.rows is None else len(m.rows), m.batch_size)]
        wanted += [(False, r.shape[1]) for r in held.runs(m)] if held is not None else []
        for is_training, size in dict.fromkeys(wanted):
            step = StepProgram(m.model, train if is_training else held.data, size, is_training,
                               (training if is_training else testing).make)
            if step.order is not None or step.stateful:
                raise ValueError(f"Model {m.model.name}: a sweep trains by the step that `compile` describes; a "
                                 "train_step or compute_loss of the model's own, and metrics that keep variables, "
                                 "can't be joined.")
            m.steps[is_training, size] = step
            replica = step.program
            for a in replica.written:
                _refuse_shared(written.setdefault(id(a), m), m)
            touched.append((m, replica.touched))
        runs = (len(order.runs(m, 0)), None if m.rows is None else len(m.rows), m.batch_size,
                None if held is None else tuple(r.shape for r in held.runs(m)))
        key = (runs, *(id(s.program.program) if s.program.executor else m.number for s in m.steps.values()))
        groups.setdefault(key, []).append(m)
    for m, arrays in touched:
        for a in arrays:
            _refuse_shared(written.get(id(a), m), m)
    planned = training.planned + (testing.planned if testing else 0)
    return [Group(g) for g in groups.values()], planned


def _sizes(n: int, batch_size: int) -> list[int]:
    full, rest = batches(n, batch_size)
    return [batch_size] * (full > 0) + [rest] * (rest > 0)


def _refuse_shared(a: Member, b: Member) -> None:
    if a is not b:
        raise ValueError(f"sweep: {a.who} trains what {b.who} uses, too: build must make new layers each time.")


def give_callbacks(members: list[Member], callbacks: Any, epochs: int, steps: list[int]) -> None:
    """A copy of the callbacks for each replica.

    Raises
    ------
    ValueError : one that a sweep can't call.
    """
    import copy

    given = [callbacks] if not isinstance(callbacks, list | tuple) else list(callbacks)
    for one in given:
        if type(one) not in ALLOWED:
            known = ", ".join(c.__name__ for c in ALLOWED)
            raise ValueError(f"sweep: {type(one).__name__} can't be used here, where replicas train side by side; "
                             f"callbacks may be {known}, of which each replica gets a copy.")
    for m, count in zip(members, steps):
        m.callbacks = CallbackList([copy.deepcopy(one) for one in given], add_history=True, model=m.model, verbose=0,
                                   epochs=epochs, steps=count)


def record(member: Member, logs: dict[str, list]) -> None:
    """Leave the curves with the model, as `fit` does."""
    history = History()
    history.set_model(member.model)
    history.set_params({"verbose": 0, "epochs": member.epochs, "steps": None})
    history.history, history.epoch = logs, list(range(member.epochs))
    member.model.history = history
