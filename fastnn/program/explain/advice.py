"""What would help most: a short list of rules, each of which says how much of a step its change would save.

A rule looks at the record of a program and at the cost model and gives an `Advice` or None. The gains are estimates
from the same model that predicts times; each rule says in its docstring how its gain is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ... import machine
from ...present.numbers import duration, percent
from ..costs import COSTS, LANES, is_product, padded, shape_of
from ..fuse import operands
from ..timeline import MEETING, step_seconds

if TYPE_CHECKING:
    from ..model import Forecast
    from ..program import Program
    from .record import Report

WORTH = 0.05  #: of a step: what saves less is not said
FAR = 2.0  #: times its predicted time: a call that is so slow is far from its roof
NOISE = 2e-6  #: seconds that a call must be slower than predicted before anything is made of it


@dataclass
class Advice:
    """A change that would make steps shorter.

    Attributes
    ----------
    rule : name of the rule.
    text : what to do and what it would save, in a sentence.
    gain : estimated share of the step's time that it saves, from 0 to 1 (of the time per row for a larger batch).
    """

    rule: str
    text: str
    gain: float


@dataclass
class Case:
    """What a rule looks at."""

    report: Report
    program: Program
    model: Forecast

    @property
    def step(self) -> float:
        """Seconds of a step: measured, where it was, else by its levels."""
        return self.report.measured.get(self.report.threads) or max(step_seconds(self.report.levels), 1e-12)

    @property
    def alone(self) -> float:
        """Seconds of all calls on one thread: gains of single calls are shares of this."""
        return max(sum(self.times), 1e-12)

    @property
    def times(self) -> list[float]:
        """Seconds of each call on one thread: measured, where it was, else predicted."""
        return [c.alone if c.alone is not None else c.seconds if c.seconds is not None else p.seconds
                for c, p in zip(self.report.calls, self.model.calls)]

    @property
    def native(self) -> bool:
        return self.program.backend != "numpy"


def advise(report: Report, program: Program, model: Forecast) -> list[Advice]:
    """All advice that is worth it, the most helpful first; empty where a step is near the roof."""
    case = Case(report, program, model)
    if not case.native:
        found = [interpreted(case)]
    else:
        found = [rule(case) for rule in RULES]
    return sorted((a for a in found if a is not None and a.gain >= WORTH), key=lambda a: -a.gain)


# ---------------------------------------------------------------------- the rules

def interpreted(case: Case) -> Advice | None:
    """Calls on the NumPy backend; the gain is what the compiled kernels would save by the model."""
    measured = case.report.measured.get(1)
    if measured is None and case.program.times:
        measured = sum(case.program.times)
    gain = 1 - case.model.alone / measured if measured else 0.5
    why = ("float64 arithmetic runs on the NumPy meaning of each kernel; in float32" if case.program.wide else
           "this program runs on the NumPy backend; with set_backend('native')")
    saved = f", {percent(gain)} less" if measured else ""
    return Advice("backend", f"{why} the compiled kernels would take {duration(case.model.alone)}{saved}", gain)


def batch(case: Case) -> Advice | None:
    """A larger batch: what a step costs whatever its batch is halved per row when the batch is doubled.

    That is the latency of all calls, the meetings of levels, the updates of the optimizer, and what products wait for
    their weights.
    """
    if not case.program.feeds and not case.program.sources:
        return None
    updates = sum(p.seconds for p, call in zip(case.model.calls, case.program.calls) if _is_update(call))
    latency = sum(p.latency for p, call in zip(case.model.calls, case.program.calls) if not _is_update(call))
    latency += sum(max(0.0, p.seconds - p.latency - p.arithmetic) * _lasting(call)
                   for p, call in zip(case.model.calls, case.program.calls) if is_product(call))
    meetings = MEETING * sum(level.shared for level in case.report.levels)
    fixed = latency + updates / (case.report.threads if case.step < case.alone else 1) + meetings
    gain = min(0.5, 0.5 * fixed / case.step)
    return Advice("batch", f"a batch twice as large: {percent(2 * gain)} of a step does not depend on its rows "
                           f"(calling kernels, reading and updating weights), so a row would take {percent(gain)} "
                           "less", gain)


def width(case: Case) -> Advice | None:
    """Layers whose width fills no whole vectors; the gain is the share of their products that computes nothing."""
    lanes = LANES.get(machine.cpu_info()["path"], 16)
    waste: dict[tuple[str, int], float] = {}
    for p, call in zip(case.model.calls, case.program.calls):
        if is_product(call):
            _, n, _ = shape_of(call)
            layer = call.note.removesuffix(" gradient").rpartition("/")[2]
            if n % lanes and layer:
                waste[layer, n] = waste.get((layer, n), 0.0) + p.arithmetic * (1 - n / padded(n, lanes))
    if not waste:
        return None
    (layer, n), most = max(waste.items(), key=lambda item: item[1])
    wider, narrower = padded(n, lanes), n // lanes * lanes
    other = f"; {narrower} would cost {percent((n - narrower) / n)} less than that" if narrower else ""
    return Advice("width", f"{layer}: {n} columns take as long as {wider}, since vectors hold {lanes}; with {wider} "
                           f"they would be free{other}. {percent(most / case.alone)} of the step computes nothing",
                  most / case.alone)


def fewer_levels(case: Case) -> Advice | None:
    """Fewer, wider layers, where threads share most of the work but many levels are too small for them.

    The gain is what those levels would save if they were shared, and half of the meetings.
    """
    levels, threads = case.report.levels, case.report.threads
    single = [level for level in levels if not level.shared]
    work = sum(level.work for level in levels)
    if threads < 2 or not single or sum(level.work for level in single) > 0.5 * work:
        return None
    lost = sum(level.seconds for level in single) * (1 - 1 / threads) + 0.5 * MEETING * (len(levels) - len(single))
    gain = lost / max(sum(level.seconds for level in levels), 1e-12)
    return Advice("levels", f"fewer, wider layers: {len(single)} of {len(levels)} levels are too small for {threads} "
                            f"threads to share; the same work in larger pieces would save up to {percent(gain)}", gain)


def slots(case: Case) -> Advice | None:
    """An optimizer with fewer slots, where updates wait for memory: the gain is the slots' share of that traffic."""
    gain, arrays, name = 0.0, 0, ""
    for p, call, bytes_from in zip(case.model.calls, case.program.calls, case.model.fetched):
        update = call if _is_update(call) else call.then
        if update is None or not _is_update(update) or len(update.kernel.outputs) < 2:
            continue
        extra = len(update.kernel.outputs) - 1
        touched = extra + 1 + (update is call)
        far = p.far if update is call else p.far * sum(t.nbytes for t in update.outputs) / max(
            sum(bytes_from.values()), 1.0)
        if far > 0.3 * p.seconds or (update is not call and far > 0.05 * p.seconds):
            gain += far * extra / touched
            arrays, name = extra, update.kernel.name
    if not arrays:
        return None
    gain /= case.alone
    return Advice("slots", f"an optimizer with fewer slots: {name} streams {arrays} arrays beside the weights from "
                           f"beyond L2, which is {percent(gain)} of the step", gain)


def one_thread(case: Case) -> Advice | None:
    """One thread, where a measured step is no faster on more."""
    one, many = case.report.measured.get(1), case.report.measured.get(case.report.threads)
    if case.report.threads < 2 or one is None or many is None:
        return None
    gain = 1 - one / many
    return Advice("threads", f"one thread: {case.report.threads} take {duration(many)} where one takes "
                             f"{duration(one)} (set_num_threads(1))", gain)


def far_from_roof(case: Case) -> Advice | None:
    """The call that loses most beside its predicted time, if it takes more than twice that; all of it is the gain."""
    worst, lost = None, 0.0
    for c, p, seconds in zip(case.report.calls, case.model.calls, case.times):
        excess = seconds - p.seconds
        if c.seconds is not None and excess > max(lost, NOISE) and seconds > FAR * p.seconds:
            worst, lost = (c, p, seconds), excess
    if worst is None:
        return None
    c, p, seconds = worst
    return Advice("roof", f"call {c.number} ({c.kernel}) takes {duration(seconds)} where the model expects "
                          f"{duration(p.seconds)} (bound by {c.verdict}): something else used the machine, or the "
                          "kernel can be better", lost / case.alone)


def input_norm(case: Case) -> Advice | None:
    """Normalisation of the data itself: once, before training, instead of in every step."""
    data = {id(call.outputs[0].base) for call in case.program.calls if call.kernel.name == "gather_rows"}
    data |= {id(t) for t in case.program.feeds.values()}
    saved, layer = 0.0, ""
    for call, seconds, p in zip(case.program.calls, case.times, case.model.calls):
        if call.kernel.name == "batch_norm" and id(call["x"].base) in data:
            saved, layer = saved + seconds, call.note.rpartition("/")[2]
        elif call.kernel.name == "norm_dense_grad" and layer:
            rows, columns, terms = shape_of(call)
            plain = 2 * rows * columns * terms / max(call.kernel.flops(call), 1)
            saved += seconds * (1 - plain) if p.arithmetic else 0.0
    if not layer:
        return None
    return Advice("input_norm", f"{layer} normalises the data itself: doing that once before training and leaving the "
                                f"layer out would save {percent(saved / case.alone)} of the step", saved / case.alone)


def data_type(case: Case) -> Advice | None:
    """Data of 8 bytes per number that has to come from memory: the gain is half of the gathers' time."""
    wide = {n: t.dtype for n, t in case.program.sources.items() if t.dtype.itemsize > 4 and len(t.shape) > 1}
    seconds = sum(s for call, s in zip(case.program.calls, case.times) if call.kernel.name == "gather_rows"
                  and any(t is not None and t.memory.source and t.memory.name in wide for t in call.inputs))
    if not wide or not seconds:
        return None
    name, dtype = next(iter(wide.items()))
    gain = 0.5 * seconds / case.alone
    return Advice("data", f"{name} as float32: it is kept as {dtype}, and gathering rows of it takes "
                          f"{percent(2 * gain)} of the step", gain)


def cheaper_activation(case: Case) -> Advice | None:
    """relu in place of an activation with an exponential or an error function; the gain is what that costs more."""
    gain, kinds = 0.0, {}
    peak = machine.measure_peak(1) * 1e9
    relu = {family: COSTS[f"{family}/relu"].element for family in ("activation", "activation_grad")}
    for call in case.program.calls:
        name, kind = call.kernel.name, call.attrs.get("kind", call.attrs.get("activation"))
        family = {"dense": "activation", "conv": "activation", "conv_transpose": "activation",
                  "dense_grad_input": "activation_grad", "conv_grad_input": "activation_grad"}.get(name, name)
        if family in relu and f"{family}/{kind}" in COSTS and kind != "relu":
            extra = (COSTS[f"{family}/{kind}"].element - relu[family]) * call.outputs[0].size / peak
            gain += max(extra, 0.0)
            kinds[kind] = kinds.get(kind, 0.0) + max(extra, 0.0)
    if not kinds:
        return None
    most = max(kinds, key=kinds.get)
    gain /= case.alone
    return Advice("activation", f"relu in place of {most}: its exponentials take {percent(gain)} of the step", gain)


def _lasting(call) -> float:
    """The share of a call's bytes that outlive the step: weights and what belongs to them."""
    tensors = operands(call)
    return sum(t.nbytes for t in tensors if t.memory.array is not None) / max(sum(t.nbytes for t in tensors), 1)


def _is_update(call) -> bool:
    """Whether a call updates weights from a gradient."""
    return call.kernel.flat and "g" in call.kernel.inputs and "w" in call.kernel.outputs


RULES: tuple[Callable[[Case], Advice | None], ...] = (
    batch, width, fewer_levels, slots, one_thread, far_from_roof, input_norm, data_type, cheaper_activation)

__all__ = ["Advice", "advise"]
