"""The race itself: find who can, hold them against the meaning, let them take turns."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import machine
from ..kernels import single, tables
from ..kernels.spec import KERNELS, Call, Kernel
from ..program.run_native import BYTES_PER_SECOND
from ..spelling import one_of
from . import contenders as forms
from .agreement import Agreement, compare, compare_random
from .contenders import Absent, Arrays, Contender
from .entries import ENTRIES, Entry, entry
from .report import Race, Row
from .sizes import parse
from .timing import aligned, cache_flusher, minimum_and_median, take_turns

BACKENDS = ("numpy", "numba", "native", "user", "torch", "jax")
CHECKED = 1 << 20  #: elements at most of the arrays on which agreement is found


@dataclass(frozen=True)
class _Heat:
    """One kernel at one size. Agreement is found on a smaller one if that has many elements."""

    kernel: Kernel
    size: dict[str, int]
    attrs: dict[str, Any]
    inputs: tuple
    terms: float  # roundings behind one element, see `agreement.compare`
    smaller: _Heat | None = None

    @property
    def call(self) -> Call:
        return single.describe(self.kernel, self.inputs, self.attrs)


def run_race(kernel: str | Kernel | Any, sizes: Sequence[Any] | None = None, *, inputs: Arrays | None = None,
             opponents: Mapping[str, Any] | None = None, threads: Iterable[int] | int | None = None,
             backends: Iterable[str] | None = None, paths: Sequence[str] | None = None, seconds: float = 0.2,
             cold: bool = False, seed: int = 0, **options: Any) -> Race:
    """Race one kernel in all its forms; see :func:`fastnn.race`."""
    kernel, threads, opponents = _kernel(kernel), _threads(threads), {} if opponents is None else opponents
    if not isinstance(opponents, Mapping):
        raise TypeError(f"opponents is a dict of names and functions or kernels, not {type(opponents).__name__}.")
    wanted = BACKENDS if backends is None else [one_of("backend", b, BACKENDS) for b in backends]
    if not 0 <= seconds < 3600:
        raise ValueError(f"seconds is the time for each contender, at least 0, not {seconds!r}.")
    rows: list[Row] = []
    absent: dict[Absent, None] = {}
    for heat in _heats(kernel, sizes, inputs, seed, options):
        def contenders(heat):
            return _contenders(heat, wanted, threads, paths, opponents)

        with _all_restored(), np.errstate(all="ignore"):
            found, missing = contenders(heat)
            agreements, failed = _agree(heat.smaller or heat, contenders(heat.smaller)[0] if heat.smaller else found)
            more = _timed(heat, [c for c in found if (c.name, c.variants[0]) in agreements], agreements, seconds, cold)
        rows += more
        absent |= dict.fromkeys([*missing, *failed])
    if not rows:
        raise ValueError(f"Nobody can race {kernel.name}: "
                         + " ".join(f"{a.name}: {a.reason}" for a in absent or [Absent("backends", "none given.")]))
    return Race(tuple(rows), tuple(absent), about(rows), cold)


# ---------------------------------------------------------------------- what is raced

def _kernel(kernel: str | Kernel | Any) -> Kernel:
    """The kernel of this name, the kernel itself, or the one behind an op or an optimizer made of a rule."""
    if isinstance(kernel, str):
        return entry(kernel).kernel
    inner = kernel if isinstance(kernel, Kernel) else getattr(kernel, "rule", getattr(kernel, "kernel", None))
    if not isinstance(inner, Kernel):
        raise TypeError(f"What is raced is a kernel or the name of one, not {type(kernel).__name__}.")
    return inner


def _heats(kernel: Kernel, sizes, inputs, seed, options) -> Iterator[_Heat]:
    if inputs is not None:
        yield _heat_on(kernel, inputs, sizes, options)
        return
    if ENTRIES.get(kernel.name) is None or ENTRIES[kernel.name].kernel is not kernel:
        raise ValueError(f"{kernel.name} is no kernel of fastnn's own, so it needs inputs=(...), the arrays to "
                         f"race it on: {', '.join(kernel.inputs)}.")
    the_entry = ENTRIES[kernel.name]
    given = {k: v for k, v in options.items() if k in the_entry.size}
    attrs = {k: v for k, v in options.items() if k not in the_entry.size}
    sizes = [sizes] if isinstance(sizes, (str, int, Mapping)) else sizes if sizes is None else list(sizes)
    if sizes == []:
        raise ValueError("sizes is empty: give at least one, or none for the usual size.")
    default = parse(given, the_entry.size, kernel.name)
    for size in [parse(s, default, kernel.name) for s in sizes] if sizes else [default]:
        heat, less = _of_entry(the_entry, size, attrs, seed), the_entry.smaller(size, CHECKED)
        yield heat if less == size else replace(heat, smaller=_of_entry(the_entry, less, attrs, seed))


def _of_entry(the_entry: Entry, size: dict[str, int], attrs: dict[str, Any], seed: int) -> _Heat:
    full = the_entry.attributes(size, attrs)
    heat = _Heat(the_entry.kernel, size, full, the_entry.inputs(size, full, seed), the_entry.terms(**size))
    _refuse_what_is_trusted(heat.kernel, heat.inputs, full)
    heat.call  # refuses now what the kernel refuses  # noqa: B018
    return heat


def _heat_on(kernel: Kernel, inputs: Arrays, sizes, attrs: dict[str, Any]) -> _Heat:
    """A race on arrays of the user's, which are copied."""
    if sizes is not None:
        raise ValueError("Give either inputs or sizes; inputs have their sizes.")
    inputs = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    inputs += [None] * len([n for n in kernel.inputs[len(inputs) :] if n in kernel.optional])
    if len(inputs) != len(kernel.inputs):
        raise ValueError(f"{kernel.name} has {len(kernel.inputs)} inputs ({', '.join(kernel.inputs)}), but "
                         f"{len(inputs)} arrays were given.")
    scalars = _scalar_dtypes(kernel)
    arrays = [_taken(kernel, name, x, scalars.get(name)) for name, x in zip(kernel.inputs, inputs)]
    full = kernel.complete(attrs)
    _refuse_what_is_trusted(kernel, arrays, full)
    largest = max((x.size for x in arrays if x is not None), default=1)
    heat = _Heat(kernel, {}, full, tuple(arrays), 8.0 + largest**0.5)
    return replace(heat, size=dict(zip(kernel.dims, map(int, kernel.sizes(heat.call)))))


def _taken(kernel: Kernel, name: str, x: Any, scalar: np.dtype | None) -> np.ndarray | None:
    """An array of the user's as kernels take it: aligned, floats in float32, a single number in its own dtype."""
    if x is None:
        if name not in kernel.optional:
            raise ValueError(f"{kernel.name} needs an array for {name}, not None.")
        return None
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{kernel.name} needs an array of numbers for {name}, not of {x.dtype}.")
    if x.dtype.kind == "f":
        x = x.astype(np.float32 if x.ndim else scalar or x.dtype)
    return aligned(x)


def _scalar_dtypes(kernel: Kernel) -> dict[str, np.dtype]:
    """Input slot -> dtype of a single number in it: float64 for step scalars, else float32, as arrays are."""
    if kernel.name in ENTRIES and ENTRIES[kernel.name].kernel is kernel:
        one = _of_entry(ENTRIES[kernel.name], dict.fromkeys(ENTRIES[kernel.name].size, 1), {}, 0)
        wide = {name for name, x in zip(kernel.inputs, one.inputs) if x is not None and x.dtype == np.float64}
    elif not kernel.flat:
        return {}  # as the user's kernel declares it
    else:
        wide = set(getattr(kernel, "scalars", ()))
    return {name: np.dtype(np.float64 if name in wide else np.float32) for name in kernel.inputs}


def _refuse_what_is_trusted(kernel: Kernel, inputs: Arrays, attrs: Mapping[str, Any]) -> None:
    """What the compiled forms do not check, since in a program it can't be wrong."""
    slots = dict(zip(kernel.inputs, inputs))
    if KERNELS.get(kernel.name) is not kernel:
        return
    if "then" in slots and (slots["then"] is not None or any(attrs[n] != kernel.attrs[n] for n in FUSED)):
        raise ValueError(f"{kernel.name} is raced by itself: then is None, and {', '.join(FUSED)} as they are.")
    if "index" in slots and "source" in slots and slots["index"].size:
        low, high, rows = int(slots["index"].min()), int(slots["index"].max()), len(np.atleast_1d(slots["source"]))
        if low < 0 or high >= rows:
            raise ValueError(f"{kernel.name}: the index goes from {low} to {high}; there are rows 0 to {rows - 1}.")


FUSED = ("ahead", "slots", "keep")  #: attributes of the products that run another call on their tiles


def _threads(threads: Iterable[int] | int | None) -> list[int]:
    """Numbers of threads, ascending; one and all by default."""
    if threads is None:
        return sorted({1, machine.get_num_threads()})
    given = list(threads) if isinstance(threads, Iterable) else [threads]
    if not given:
        raise ValueError("threads is empty: give at least one number of threads.")
    return sorted({machine.check_num_threads(t) for t in given})


# ---------------------------------------------------------------------- who races

def _contenders(heat: _Heat, wanted, threads, paths, opponents) -> tuple[list[Contender], list[Absent]]:
    kernel, attrs = heat.kernel, heat.attrs
    found = forms.numpy_contenders(kernel, attrs) if "numpy" in wanted else []
    # A kernel of a user's own brings along the one form that it has.
    languages = ("user",) if kernel.own_form else [b for b in ("numba", "native") if b in wanted]
    compiled, absent = forms.compiled_contenders(kernel, attrs, languages, threads, paths)
    found += compiled
    for library in ("torch", "jax"):
        if library in wanted:
            peer = _peer(library, heat, threads)
            (found if isinstance(peer, Contender) else absent).append(peer)
    for name, opponent in opponents.items():
        if name in {c.name for c in found}:
            raise ValueError(f"An opponent can't be called {name!r}: that is one of fastnn's own.")
        more, missing = _opponent(heat, name, opponent, threads, paths)
        found += more
        absent += missing
    return found, absent


def _peer(library: str, heat: _Heat, threads) -> Contender | Absent:
    """PyTorch or JAX, imported only here."""
    module = importlib.import_module(f"{__package__}.{library}_forms")
    if heat.kernel.name not in KERNELS or KERNELS[heat.kernel.name] is not heat.kernel:
        return Absent(library, f"it does not know {heat.kernel.name}; hand a function over as an opponent.")
    try:
        found = module.contender(heat.kernel, heat.attrs, *([threads] if library == "torch" else []))
    except ImportError as error:
        return Absent(library, f"not installed ({error}).")
    return found or Absent(library, f"no form of {heat.kernel.name} is written down for it.")


def _opponent(heat: _Heat, name: str, opponent: Any, threads, paths) -> tuple[list[Contender], list[Absent]]:
    """A function of the same inputs, a kernel with the same slots, or (kernel, attributes)."""
    kernel, attrs = opponent if isinstance(opponent, tuple) and len(opponent) == 2 else (opponent, {})
    if isinstance(kernel, str) or isinstance(getattr(kernel, "kernel", kernel), Kernel):
        kernel = _kernel(kernel)
        full = kernel.complete(attrs)
        if len(kernel.inputs) != len(heat.kernel.inputs):
            raise ValueError(f"The opponent {name!r} is {kernel.name}, which has the inputs "
                             f"{', '.join(kernel.inputs)}; raced are {', '.join(heat.kernel.inputs)}.")
        _refuse_what_is_trusted(kernel, heat.inputs, full)
        compiled, absent = forms.compiled_contenders(kernel, full, ("numba", "native"), threads, paths)
        return ([_renamed(c, f"{name} ({c.name})", kernel, heat.kernel) for c in compiled],
                [Absent(f"{name} ({a.name})", a.reason) for a in absent])
    if not callable(kernel):
        raise TypeError(f"The opponent {name!r} must be a function, a kernel or (kernel, attributes), not "
                        f"{type(kernel).__name__}.")
    return [forms.function(heat.kernel, kernel, name, "opponent")], []


def _renamed(contender: Contender, name: str, own: Kernel, raced: Kernel) -> Contender:
    """The contender of another kernel; its outputs count as those of the raced one, in their order."""
    def bind(inputs):
        run, outputs = contender.bind(inputs)
        return forms.Bound(run, lambda: dict(zip(raced.outputs, (outputs()[n] for n in own.outputs))))

    return Contender(name, contender.backend, bind, contender.variants)


# ---------------------------------------------------------------------- the run

def _timed(heat: _Heat, contenders: list[Contender], agreements: dict, seconds: float, cold: bool) -> list[Row]:
    """A row for each contender and variant."""
    times, possible = _time(heat, contenders, seconds, cold)
    flops, nbytes = float(heat.kernel.flops(heat.call)), float(heat.kernel.nbytes(heat.call))
    rows = []
    for c in contenders:
        for variant in c.variants:
            best, median = minimum_and_median(times[c.name, variant])
            peak, copy = possible[variant[0] or machine.get_num_threads()]
            rows.append(Row(heat.kernel.name, heat.size, c.name, c.backend, variant[1], variant[0],
                            agreements[c.name, variant], max(best, 1e-9), max(median, 1e-9), flops, nbytes,
                            _working_set(heat), peak, copy))
    return rows


def _agree(heat: _Heat, contenders: list[Contender]) -> tuple[dict[tuple, Agreement], list[Absent]]:
    """How each contender and variant compares; those of other libraries that fail are said to be not there."""
    want = forms.reference(heat.kernel, heat.inputs, heat.attrs)
    found: dict[tuple, Agreement] = {}
    failed = []
    for c in contenders:
        try:
            for threads, path in c.variants:
                bound = c.bind([None if x is None else aligned(x) for x in heat.inputs])
                bound.run(1, threads, path)
                got = bound.outputs()
                found[c.name, (threads, path)] = (compare_random(got, want) if c.random else
                                                  compare(got, want, heat.terms))
        except Exception as error:
            if c.backend in ("native", "numba", "user", "numpy"):
                raise
            failed.append(Absent(c.name, f"it raised {type(error).__name__}: {error}"))
    return found, failed


def _time(heat: _Heat, contenders: list[Contender], seconds: float, cold: bool) -> tuple[dict, dict[int, tuple]]:
    """Seconds of each contender and variant, and what the machine could do in the same turns.

    That is, for each number of threads, the arithmetic in GFLOP/s and the speed of a plain copy in GB/s.
    """
    bound = {c.name: c.bind(heat.inputs) for c in contenders}
    runs: dict[tuple, Callable[[int], object]] = {}
    for c in contenders:
        for threads, path in c.variants:
            runs[c.name, (threads, path)] = _turn(bound[c.name].run, threads, path)
    numbers = {threads or machine.get_num_threads() for c in contenders for threads, _ in c.variants}
    probes = _probes(_working_set(heat), numbers)
    flush = cache_flusher() if cold else None
    times = take_turns({**runs, **{key: _on_path(probe, machine.cpu_info()["path"]) for key, probe in probes.items()}},
                       seconds, flush)
    if not probes:
        return times, {t: (machine.measure_peak(t), machine.measure_copy(_working_set(heat), t)) for t in numbers}
    speed = {key: probe.work / max(min(times[key]), 1e-9) / 1e9 for key, probe in probes.items()}
    return times, {t: (speed["peak", t], speed["copy", t]) for t in numbers}


def _probes(working_set: int, threads: Iterable[int]) -> dict[tuple[str, int], machine.Probe]:
    """What the contenders are held against, to be timed in the same turns; nothing without the compiled modules."""
    if not tables.native_available():
        return {}
    x, y = machine.copy_memory(max(1024, working_set // 8))
    found = {("peak", t): machine.fma_probe(t) for t in threads}
    return found | {("copy", t): machine.copy_probe(x, y, t, seconds=8 * x.size / BYTES_PER_SECOND) for t in threads}


def _on_path(probe: machine.Probe, path: str) -> Callable[[int], object]:
    """The probe on this CPU path, whatever the last contender was on."""
    from ..kernels.native import core

    def run(repetitions: int) -> None:
        if core.path() != path:
            core.select_path(path)
        probe(repetitions)

    return run


def _turn(run, threads, path) -> Callable[[int], object]:
    return lambda repetitions: run(repetitions, threads, path)


def _working_set(heat: _Heat) -> int:
    """Bytes that one run touches: what it moves, but what it updates in place only once."""
    call = heat.call
    inplace = sum(call[n].nbytes for n in heat.kernel.outputs if n in heat.kernel.inputs)
    return max(1, int(heat.kernel.nbytes(call) - inplace))


@contextmanager
def _all_restored() -> Iterator[None]:
    """CPU path and PyTorch's threads are as before, whatever happens inside."""
    core, torch = machine._core(), sys.modules.get("torch")
    path, threads = core.path() if core else None, torch.get_num_threads() if torch else None
    try:
        yield
    finally:
        if core:
            core.select_path(path)
        if torch:
            torch.set_num_threads(threads)


def about(rows: list[Row]) -> dict[str, Any]:
    """The machine, and versions of the libraries that raced."""
    info = machine.cpu_info()
    found = {"CPU": info["model"], "cores": info["physical_cores"], "path": info["path"], "NumPy": np.__version__}
    for name, module in (("Numba", "numba"), ("PyTorch", "torch"), ("JAX", "jax")):
        if module in sys.modules and any(row.backend == module for row in rows):
            found[name] = sys.modules[module].__version__
    return found
