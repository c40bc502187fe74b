"""What training or predicting will cost, told before anything runs: time per step and epoch, memory, what bounds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses, machine
from ..layers.symbolic import flatten
from ..present.numbers import duration, percent, plural, size
from ..program.program import Program
from .array_data import ArrayData
from .compiling import BY_SHAPE, spread
from .order import check_batch_size, check_steps

if TYPE_CHECKING:  # at run time when something is planned: not worth its time at every import
    from ..program.explain.advice import Advice
    from ..program.explain.memory import Part
    from ..program.explain.record import Report


@dataclass
class Plan:
    """What a program will cost by the cost model; `str` gives it as a table, a notebook shows it as HTML.

    Attributes
    ----------
    name : of the program.
    batch_size, threads, backend : what it was planned for.
    step : predicted seconds of a step; None where the program runs on the NumPy backend, which has no model.
    alone : the same on one thread.
    samples, epochs : as given.
    steps : steps of an epoch, the last and smaller one included; None without `samples`.
    memory : a `fastnn.program.explain.memory.Part` for each piece of memory, the data not included.
    data : bytes of the user's data that a step reads from, None without `samples`.
    bounds : verdict -> share of the predicted time of the calls.
    advice : what would help, the most helpful first.
    report : the whole record of the program, call by call.
    """

    name: str
    batch_size: int
    threads: int
    backend: str
    step: float | None
    alone: float | None
    samples: int | None = None
    epochs: int = 1
    steps: int | None = None
    memory: list[Part] = field(default_factory=list)
    data: int | None = None
    bounds: dict[str, float] = field(default_factory=dict)
    advice: list[Advice] = field(default_factory=list)
    report: Report | None = field(default=None, repr=False)

    @property
    def epoch(self) -> float | None:
        """Predicted seconds of an epoch: a last batch that is smaller counts by its rows."""
        if self.step is None or self.samples is None:
            return None
        return self.step * self.samples / self.batch_size

    @property
    def total(self) -> float | None:
        """Predicted seconds of all epochs."""
        return None if self.epoch is None else self.epochs * self.epoch

    @property
    def nbytes(self) -> int:
        """Bytes of weights, optimizer slots, workspace and constants."""
        from ..program.explain.memory import total

        return total(self.memory)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the report as plain dicts, lists, numbers and strings, ready for JSON."""
        plain = {k: v for k, v in self.__dict__.items() if k not in ("report", "memory", "advice")}
        return plain | {"memory": [asdict(p) for p in self.memory], "advice": [asdict(a) for a in self.advice],
                        "epoch": self.epoch, "total": self.total, "nbytes": self.nbytes}

    def lines(self) -> list[tuple[str, str]]:
        """The table as (name, value) pairs."""
        found = []
        if self.step is None:
            found.append(("step", "not known: the cost model is of the compiled kernels"))
        else:
            alone = f" ({duration(self.alone)} on one)" if self.threads > 1 else ""
            found.append(("step", f"{duration(self.step)} on {plural(self.threads, 'thread')}{alone}"))
            found.append(("rows", f"{self.batch_size / self.step:,.0f} per second"))
        if self.epoch is not None:
            found.append(("epoch", f"{duration(self.epoch)}, {plural(self.steps, 'step')} for "
                                   f"{plural(self.samples, 'row')}"))
            if self.epochs > 1:
                found.append((f"{self.epochs} epochs", duration(self.total)))
        if self.bounds:
            shares = sorted(self.bounds.items(), key=lambda item: -item[1])
            found.append(("bound by", ", ".join(f"{name} {percent(share)}" for name, share in shares)))
        found.append(("memory", size(self.nbytes)))
        found += [("  " + p.name, size(p.nbytes) + (" of the workspace" if p.inside else "")) for p in self.memory]
        if self.data is not None:
            found.append(("data", f"{size(self.data)}, read where it is"))
        if self.step is not None:
            found.append(("would help", self.advice[0].text if self.advice else "nothing simple: near the roof"))
        return found

    @property
    def heading(self) -> str:
        """What was planned."""
        return f"{self.name}, {self.backend}"

    def __str__(self) -> str:
        lines = self.lines()
        widest = max(len(name) for name, _ in lines)
        return "\n".join([self.heading, *(f"  {name:<{widest}}  {value}" for name, value in lines)])

    def _repr_html_(self) -> str:
        from ..present.html import html_table, titled

        return titled("plan", self.heading, html_table(("", "planned"), self.lines()))


def plan_of(program: Program, batch_size: int, threads: int | None = None, samples: int | None = None,
            epochs: int = 1) -> Plan:
    """The plan of a program whose steps take `batch_size` rows each."""
    from ..program.explain.record import report
    from ..program.model import forecast

    threads = machine.get_num_threads() if threads is None else machine.check_num_threads(threads)
    model = forecast(program, threads, samples) if program.backend != "numpy" else None
    found = report(program, threads, model=model)
    bounds: dict[str, float] = {}
    if model:
        whole = sum(p.seconds for p in model.calls) or 1.0
        for c, p in zip(found.calls, model.calls):
            bounds[c.verdict] = bounds.get(c.verdict, 0.0) + p.seconds / whole
    data = None
    if samples is not None:
        data = sum(samples * t.nbytes // max(t.shape[0], 1) for t in program.sources.values())
    return Plan(program.name, batch_size, threads, program.backend, model.seconds if model else None,
                model.alone if model else None, samples, epochs,
                None if samples is None else -(-samples // batch_size),
                [p for p in found.memory if p.kind != "data"], data, bounds, found.advice, found)


class Planner:
    """The part of a model that plans."""

    def plan(self, x=None, y=None, batch_size: int = 32, epochs: int = 1, samples: int | None = None,
             threads: int | None = None, training: bool = True) -> Plan:
        """What `fit` (or `predict`) will cost, before anything runs: seconds per step and epoch, and bytes.

        The step is traced as `fit` would trace it, which builds layers and optimizer, and its calls go through the
        cost model (`fastnn.program.costs`) with the measured ceilings of this machine. No step runs, no data is read.

        Parameters
        ----------
        x : data of which shape, dtype and length count, or the shape of one row as a tuple of integers. Not needed
            for a model that knows its inputs; rows are float32 then.
        y : targets; only needed where the loss leaves open what they look like. Else they are class numbers for a
            sparse loss and look like the outputs for all others.
        batch_size : rows of a step.
        epochs : epochs of the training.
        samples : rows of the data, for the time per epoch; the length of `x` by default. Without it data is taken to
            come from memory.
        threads : the current number by default.
        training : False plans `predict` instead, and needs neither loss nor optimizer.

        Returns
        -------
        Plan
            With ``step`` and ``epoch`` in seconds and ``memory`` in bytes; it prints as a table.

        Raises
        ------
        RuntimeError : the model is not compiled, and `training` is True.
        ValueError : the shape of the data is not known.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((20,)), fastnn.layers.Dense(64, "relu"), fastnn.layers.Dense(3)])
        >>> model.compile("adam", "mse")
        >>> plan = model.plan(batch_size=16, samples=1000)
        >>> plan.steps, plan.nbytes < 200_000
        (63, True)
        """
        if training:
            self._need_compiled("plan")
        rows, epochs = check_batch_size(batch_size), check_steps(epochs, "epochs") or 1
        inputs, length = _rows(self, x, rows)
        samples = check_steps(samples, "samples") if samples is not None else length
        if not training:
            data = ArrayData(inputs)
            self._arrange_inputs(data)
            program = self._inference(tuple(a.shape for a in data.x), data.x_names).program
            return plan_of(program, rows, threads, samples, epochs)
        names = ("_metrics", "_losses", "_loss_weights", "_loss_keys")
        before = {n: getattr(self, n, None) for n in names}
        try:
            targets = _like_rows(y, rows)[0] if y is not None else _targets(self, ArrayData(inputs), rows)
            data = self._check_targets(ArrayData(inputs, targets))
            program = self._step_program(data, rows, True).program
        finally:
            if y is None and before["_metrics"] is None:  # what `fit` is given may look otherwise
                self.__dict__.update(before)
        return plan_of(program, rows, threads, samples, epochs)


def _rows(model, x, rows: int):
    """(zeros that look like a batch of x, length of x or None)."""
    if x is None:
        try:
            shapes = [t.shape for t in model.inputs]
        except AttributeError:
            raise ValueError(f"Model {model.name}: plan needs x, or the shape of one row as a tuple of integers, since "
                             "the model does not know its inputs yet.") from None
        arrays = [_zeros(model, (rows, *shape[1:]), np.float32) for shape in shapes]
        return arrays if len(arrays) > 1 else arrays[0], None
    if isinstance(x, tuple) and all(isinstance(n, int | np.integer) for n in x):
        return _zeros(model, (rows, *x), np.float32), None
    return _like_rows(x, rows)


def _zeros(model, shape, dtype) -> np.ndarray:
    if any(n is None or n < 1 for n in shape):
        raise ValueError(f"Model {model.name}: plan needs data (x) or a shape without gaps; one row has the shape "
                         f"{tuple(shape[1:])}.")
    return np.zeros(shape, dtype)


def _like_rows(data, rows: int):
    """(zeros with the row shapes and dtypes of data, its length); lists, tuples and dicts hold several arrays."""
    if isinstance(data, dict):
        parts = {k: _like_rows(v, rows) for k, v in data.items()}
        return {k: v for k, (v, _) in parts.items()}, next(iter(parts.values()))[1] if parts else None
    if isinstance(data, list | tuple) and data and all(hasattr(part, "shape") for part in data):
        parts = [_like_rows(part, rows) for part in data]
        return [v for v, _ in parts], parts[0][1]
    array = data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)
    if not array.shape:
        raise ValueError(f"plan takes arrays with a row for each sample; got {data!r}.")
    return np.zeros((rows, *array.shape[1:]), array.dtype), int(array.shape[0])


def _targets(model, data: ArrayData, rows: int):
    """Targets that the losses of a model take: class numbers for sparse ones, else what looks like the outputs."""
    nest = model._symbolic_outputs(model._arrange_inputs(data))
    outputs, names = flatten(nest), model._names_of_outputs(nest)
    rules = spread(model.name, "loss", model._asked["loss"], names)
    found = []
    for rule, out in zip(rules, outputs):
        shape = (rows, *out.shape[1:])
        if rule in BY_SHAPE:
            sparse = len(shape) > 1 and shape[-1] > 1
        else:
            rule = losses.get(rule, y_shape=shape, output_shape=shape) if rule is not None else None
            sparse = rule is not None and rule.target_dtype == "int32"
        found.append(np.zeros(shape[:-1], np.int64) if sparse else np.zeros(shape, np.float32))
    return found if len(found) > 1 else found[0]


__all__ = ["Plan", "Planner", "plan_of"]
