"""A program as a record: each call with its cost, its times and what bounds it; its levels, memory, threads, advice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ... import machine
from ...kernels import tables
from ...kernels.spec import Call
from ..model import Forecast, forecast
from ..timeline import Level, step_seconds, timeline
from .memory import Part, memory_map
from .names import Names, kernel_name

if TYPE_CHECKING:
    from ...machine import Ceilings
    from ..costs import Prediction
    from ..program import Program
    from .advice import Advice

PYTHON = 1e-5  #: seconds below which a call of the NumPy backend is bound by Python's own cost


@dataclass
class CallRecord:
    """One call of a program.

    Attributes
    ----------
    number, level : its place, from 1 and from 0.
    kernel, buffers : what runs, and ``outputs <- inputs (options)``.
    note : the layer that emitted it.
    flops, nbytes : arithmetic, and bytes that move if nothing is in a cache.
    working_set : distinct bytes that it touches.
    comes_from : level of memory -> bytes that come from there; empty without compiled modules.
    predicted : what the cost model says, in seconds on one thread; None without compiled modules.
    alone : measured seconds on one thread; None before `Program.profile`, or if it ran on more threads only.
    seconds : measured seconds on the program's threads; None before `Program.profile`.
    verdict : what bounds it: "arithmetic", "L1", "L2", "L3", "memory" or "latency"; empty where that can't be told.
    share, roof : the share of this machine's roofline that it reached, and by which bound ("flop" or "bw").
    """

    number: int
    level: int
    kernel: str
    buffers: str
    note: str
    flops: float
    nbytes: float
    working_set: int
    comes_from: dict[str, float]
    predicted: float | None
    alone: float | None
    seconds: float | None
    verdict: str
    share: float | None = None
    roof: str = ""


@dataclass
class Report:
    """What there is to say about a program; `str` gives it as text, a notebook shows it as HTML.

    Attributes
    ----------
    name, backend, threads : of the program, and the number of threads that the report is for.
    calls : a `CallRecord` for each call.
    levels : a `fastnn.program.timeline.Level` for each level, from measured times where there are some, else predicted.
    step : predicted seconds of a step with these threads (None without compiled modules).
    measured : number of threads -> measured seconds of a whole step.
    floor : seconds of a step with any number of threads: the sum over levels of the longest tile and a meeting.
    memory : a `fastnn.program.explain.memory.Part` for each piece of memory.
    workspace, unshared : bytes of the workspace, and what it would be without sharing.
    advice : what would help, the most helpful first; may be empty.
    """

    name: str
    backend: str
    threads: int
    calls: list[CallRecord] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    step: float | None = None
    measured: dict[int, float] = field(default_factory=dict)
    floor: float | None = None
    memory: list[Part] = field(default_factory=list)
    workspace: int = 0
    unshared: int = 0
    advice: list[Advice] = field(default_factory=list)

    @property
    def gained(self) -> float | None:
        """How many times faster a measured step is on these threads than on one."""
        if self.threads < 2 or not {1, self.threads} <= self.measured.keys():
            return None
        return self.measured[1] / self.measured[self.threads]

    @property
    def critical_path(self) -> list[CallRecord]:
        """The slowest call of each level, in order."""
        return [self.calls[level.longest] for level in self.levels]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and strings, ready for JSON."""
        found = asdict(self)
        found["measured"] = {str(k): v for k, v in self.measured.items()}
        return found | {"gained": self.gained}

    def __str__(self) -> str:
        from .text import report_text

        return report_text(self)

    def _repr_html_(self) -> str:
        from .html import report_html

        return report_html(self)


def report(program: Program, threads: int | None = None, predict: bool | None = None,
           model: Forecast | None = None) -> Report:
    """What there is to say about a program, predicted and, after `Program.profile`, measured.

    Parameters
    ----------
    threads : the current number by default.
    predict : whether to ask the cost model, which measures the ceilings of this machine once in a process (below a
        second). By default it is asked if the compiled modules are there and the program runs on them.
    model : what it says, if that is known already.
    """
    threads = threads or (1 if program.backend == "numpy" else machine.get_num_threads())
    if predict is None:
        predict = program.backend != "numpy" or program.times is not None
    if model is None and predict and tables.native_available():
        model = forecast(program, threads)
    roof = ceilings(threads) if program.times or model else None
    found = Report(program.name, program.backend, threads, measured=dict(program.step_times))
    found.calls = _records(program, threads, model, roof)
    _add_levels(found, program, model)
    found.memory = memory_map(program)
    found.workspace, found.unshared = program.plan.nbytes, program.plan.sum_nbytes
    if model is not None:
        from .advice import advise

        found.advice = advise(found, program, model)
    return found


def ceilings(threads: int) -> Ceilings | None:
    """This machine's roofline."""
    return machine.ceilings(threads)


def _records(program: Program, threads: int, model: Forecast | None, roof) -> list[CallRecord]:
    names, records = Names(program), []
    alone = program.call_times.get(1)
    for i, (call, level) in enumerate(zip(program.calls, program.levels)):
        seconds = program.times[i] if program.times else None
        predicted = model.calls[i] if model else None
        share, bound = _share(flops_of(call), nbytes_of(call), seconds, roof)
        records.append(CallRecord(
            i + 1, level, kernel_name(call), names.line(call), call.note, flops_of(call), nbytes_of(call),
            working_set(call), model.fetched[i] if model else {},
            predicted.seconds if predicted and program.backend != "numpy" else None,
            alone[i] if alone else None, seconds, _verdict(program, predicted, alone[i] if alone else seconds),
            share, bound))
    return records


def _verdict(program: Program, predicted: Prediction | None, seconds: float | None) -> str:
    """What bounds a call; see `fastnn.program.costs.Prediction.bound` for how that is told."""
    if predicted is None:
        return ""
    if program.backend == "numpy":
        return predicted.bound(seconds, PYTHON) if seconds is not None else ""
    return predicted.bound(seconds)


def _add_levels(found: Report, program: Program, model: Forecast | None) -> None:
    alone = program.call_times.get(1)
    if alone and (found.threads == 1 or found.threads in program.call_times):
        together = program.call_times.get(found.threads, alone)
        found.levels = timeline(program.calls, program.levels, alone, together, found.threads)
    elif model:
        found.levels = model.levels
    if program.backend != "numpy" and model:
        found.step = model.seconds
    if found.levels:
        found.floor = sum(level.floor for level in found.levels)


def path_seconds(found: Report) -> float:
    """Seconds of a step by its levels."""
    return step_seconds(found.levels)


# ---------------------------------------------------------------------- numbers of a call

def flops_of(call: Call) -> float:
    """FLOPs of a call and of the update on its tiles."""
    return call.kernel.flops(call) + (flops_of(call.then) if call.then else 0.0)


def nbytes_of(call: Call) -> float:
    """Bytes that a call and the update on its tiles move if nothing is in a cache."""
    return call.kernel.nbytes(call) + (nbytes_of(call.then) if call.then else 0.0)


def working_set(call: Call) -> int:
    """Distinct bytes that a call and the update on its tiles touch; of the user's data, the rows that are taken."""
    pieces: dict[tuple, int] = {}
    while call is not None:
        for t in (*call.outputs, *call.inputs):
            if t is not None:
                taken = min(t.nbytes, call.outputs[0].size * t.dtype.itemsize) if t.memory.source else t.nbytes
                pieces[id(t.memory), t.offset, t.nbytes] = taken
        call = call.then
    return sum(pieces.values())


def _share(flops: float, nbytes: float, seconds: float | None, roof) -> tuple[float | None, str]:
    """How near a call is to the roofline, and which bound of it binds."""
    if roof is None or not seconds or not (flops or nbytes):
        return None, ""
    arithmetic, traffic = flops / (roof.peak * 1e9), nbytes / (roof.bandwidth(nbytes) * 1e9)
    least, name = max((arithmetic, "flop"), (traffic, "bw"))
    return least / seconds, name


__all__ = ["CallRecord", "Report", "report"]
