"""This machine: how many threads it is given, which CPU path runs, and how fast it can be at best.

Peak arithmetic and copy speed are the two lines of the roofline (Williams, Waterman, Patterson: Roofline, 2009)
against which programs are explained. Everything here also answers without the compiled modules, then by timing NumPy.
"""

from __future__ import annotations

import itertools
import os
import platform
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_threads: int | None = None
_cache: dict[tuple, float] = {}
_MAX_THREADS = 256


# ---------------------------------------------------------------------- threads

def get_num_threads() -> int:
    """How many threads programs run on, the calling one included.

    What `set_num_threads` said, else ``FASTNN_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the physical cores that
    this process may use (its affinity mask and its container's CPU quota count).
    """
    global _threads
    if _threads is None:
        _threads = _default_threads()
    return _threads


def set_num_threads(n: int | None) -> None:
    """Run programs on `n` threads from now on; None: on as many as at the start. Results do not depend on it."""
    global _threads
    _threads = None if n is None else check_num_threads(n)


def check_num_threads(n: int) -> int:
    """n, or ValueError if programs can't run on so many threads."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= _MAX_THREADS:
        raise ValueError(f"The number of threads must be a whole number from 1 to {_MAX_THREADS}, not {n!r}.")
    return int(n)


def _default_threads() -> int:
    own = os.environ.get("FASTNN_NUM_THREADS", "").strip()
    if own:
        if not own.isascii() or not own.isdigit() or int(own) < 1:
            raise ValueError(f"FASTNN_NUM_THREADS must be a whole number of at least 1, not {own!r}.")
        return min(int(own), _MAX_THREADS)
    # OpenMP's variable may hold one number per nesting level; one that makes no sense is OpenMP's affair.
    omp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if omp.isascii() and omp.isdigit() and int(omp) > 0:
        return min(int(omp), _MAX_THREADS)
    return min(physical_cores(), _quota(), _MAX_THREADS)


def _allowed() -> set[int]:
    """Numbers of the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def physical_cores() -> int:
    """How many physical cores this process may run on."""
    if sys.platform == "darwin":
        return int(_sysctl("hw.physicalcpu") or os.cpu_count() or 1)
    cores = set()
    for cpu in _allowed():
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        core, package = _text(topology / "core_id"), _text(topology / "physical_package_id")
        cores.add((package, core) if core else cpu)
    return max(1, len(cores))


def _quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Whole CPUs that the container's quota leaves us (cgroup v2, every group above ours counts too)."""
    found = re.search(r"^0::(/.*)$", _text(own), re.MULTILINE)
    least = _MAX_THREADS
    group = root / found[1].lstrip("/") if found else root
    for folder in (group, *group.parents):
        words = _text(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            least = min(least, max(1, int(words[0]) // int(words[1])))
        if folder == root:
            break
    return least


# ---------------------------------------------------------------------- what it is

def cpu_info() -> dict:
    """What fastnn knows about this CPU and makes of it.

    Returns
    -------
    dict with ``model`` (name of the CPU), ``path`` (the CPU path in use: "v2", "v3", "v4", "neon", or "numpy" without
    the compiled modules), ``paths`` (those this machine can run, best last; ``FASTNN_CPU`` chooses), ``physical_cores``
    and ``logical_cpus`` that this process may use, ``threads``, ``caches`` (bytes of "L1d", "L2", "L3" as one core
    sees them) and ``features`` (the instruction sets that matter here).

    Examples
    --------
    >>> info = cpu_info()
    >>> info["path"] in [*info["paths"], "numpy"]
    True
    """
    core = _core()
    return {
        "model": _model(),
        "path": core.path() if core else "numpy",
        "paths": core.paths() if core else [],
        "physical_cores": physical_cores(),
        "logical_cpus": len(_allowed()),
        "threads": get_num_threads(),
        "caches": cache_sizes(),
        "features": _features(),
    }


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches that one core sees: "L1d", "L2", "L3", as far as the system says."""
    sizes = {}
    if sys.platform == "darwin":
        for name, key in (("L1d", "hw.l1dcachesize"), ("L2", "hw.l2cachesize"), ("L3", "hw.l3cachesize")):
            sizes[name] = int(_sysctl(key) or 0)
    for index in Path(f"/sys/devices/system/cpu/cpu{min(_allowed())}/cache").glob("index*"):
        level, kind, size = (_text(index / n) for n in ("level", "type", "size"))
        match = re.fullmatch(r"(\d+)([KMG]?)", size)
        if match and kind != "Instruction":
            sizes["L1d" if level == "1" else f"L{level}"] = int(match[1]) << " KMG".index(match[2] or " ") * 10
    return {name: sizes[name] for name in sorted(sizes) if sizes[name]}


_FEATURES = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
             "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2")


def _features() -> list[str]:
    if sys.platform == "darwin":
        found = f"{_sysctl('machdep.cpu.features')} {_sysctl('machdep.cpu.leaf7_features')}".lower().replace(".", "_")
        flags = set(found.split()) | ({"asimd"} if platform.machine() == "arm64" else set())
    else:
        match = re.search(r"^(?:flags|Features)\s*:(.*)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
        flags = set(match[1].split()) if match else set()
    return [f for f in _FEATURES if f in flags]


def _model() -> str:
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    match = re.search(r"^model name\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()


def _text(path: Path) -> str:
    """What stands in a small system file, or nothing if it can't be read."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _sysctl(name: str) -> str:
    import subprocess  # only here: not worth its time at every import

    try:
        done = subprocess.run(["sysctl", "-n", name], check=False, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _core():
    try:
        from .kernels.native import core, machine  # noqa: F401
    except ImportError:
        return None
    return core


# ---------------------------------------------------------------------- how fast it can be

@dataclass(frozen=True)
class Ceilings:
    """The roofline of this machine for a number of threads.

    Attributes
    ----------
    threads : the number of threads that worked.
    peak : float32 GFLOP/s of multiply-adds that never leave the registers.
    copy : working-set bytes -> GB/s, bytes read plus bytes written, of a plain copy within such a working set. The
        sizes lie inside L1, L2 and L3 of the threads, and beyond all caches.
    names : working-set bytes -> "L1", "L2", "L3" or "memory".
    """

    threads: int
    peak: float
    copy: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def bandwidth(self, nbytes: float) -> float:
        """GB/s to be expected of a kernel that touches this many bytes: that of the next larger working set."""
        for size in sorted(self.copy):
            if nbytes <= size:
                return self.copy[size]
        return self.copy[max(self.copy)]

    def seconds(self, flops: float, nbytes: float) -> float:
        """The least time for this much arithmetic and this many bytes moved."""
        return max(flops / (self.peak * 1e9), nbytes / (self.bandwidth(nbytes) * 1e9))

    def _repr_html_(self) -> str:
        from .present.html import html_table, titled
        from .present.numbers import plural, size

        body = [("multiply-adds in registers", f"{self.peak:.0f} GFLOP/s", "")]
        body += [(f"copy in {self.names[n]}", f"{self.copy[n]:.0f} GB/s", size(n)) for n in sorted(self.copy)]
        return titled("ceilings", plural(self.threads, "thread"), html_table(("", "measured", "working set"), body))

    def __str__(self) -> str:
        sizes = ", ".join(f"{self.names[s]} {self.copy[s]:.0f}" for s in sorted(self.copy))
        return f"{self.threads} thread(s): {self.peak:.0f} GFLOP/s; copy GB/s: {sizes}"


def ceilings(threads: int | None = None) -> Ceilings:
    """Measure the roofline (below half a second), or give what was measured before in this process."""
    threads = threads or get_num_threads()
    caches = cache_sizes()
    l1, l2 = caches.get("L1d", 32 << 10), caches.get("L2", 1 << 20)
    l3 = caches.get("L3", 0)
    # Half of each cache, for all threads together; L3 is shared, and may be by others.
    sizes = {threads * l1 // 2: "L1", threads * l2 // 2: "L2"}
    if l3 >= 4 * threads * l2:
        sizes[l3 // 4] = "L3"
    sizes[min(max(128 << 20, 4 * l3), 512 << 20)] = "memory"
    peak = measure_peak(threads)  # first: it also gives each thread the time to find its core
    return Ceilings(threads, peak, {size: measure_copy(size, threads) for size in sizes}, sizes)


def measure_peak(threads: int | None = None) -> float:
    """GFLOP/s of multiply-adds in registers, on the CPU path in use; the best of several runs.

    Without the compiled modules: of NumPy's matrix product, with whatever threads its BLAS has.
    """
    threads = threads or get_num_threads()
    core = _core()
    key = ("peak", threads, core.path() if core else "numpy")
    if key not in _cache:
        _cache[key] = fma_probe(threads).best() / 1e9 if core else _numpy_peak()
    return _cache[key]


def measure_copy(nbytes: int, threads: int | None = None) -> float:
    """GB/s (bytes read plus bytes written) of a copy whose source and destination take `nbytes` together.

    Without the compiled modules: of NumPy's copy, on one thread.
    """
    threads = threads or get_num_threads()
    core = _core()
    n = max(1024, int(nbytes) // 8)
    key = ("copy", threads, n, core.path() if core else "numpy")
    if key not in _cache:
        _cache[key] = _native_copy(n, threads) if core else _numpy_copy(n)
    return _cache[key]


def measure_stream(nbytes: int, threads: int | None = None) -> float:
    """GB/s as `measure_copy` has it, with stores that pass by the caches: what memory alone can do.

    A plain copy fetches each line that it overwrites, which is not counted; this one does not. Without the compiled
    modules it is `measure_copy`: the C library behind NumPy streams by itself where arrays are large.
    """
    threads = threads or get_num_threads()
    core = _core()
    if core is None:
        return measure_copy(nbytes, threads)
    n = max(1024, int(nbytes) // 8)
    key = ("stream", threads, n, core.path())
    if key not in _cache:
        _cache[key] = _native_copy(n, threads, stream=True)
    return _cache[key]


def _best(once, threads: int = 1, at_least: int = 3) -> float:
    """The shortest of several timings; `once` runs the thing and returns its seconds.

    Several threads get longer: they may need a while until each has a core.
    """
    end = time.perf_counter() + (0.02 if threads == 1 else 0.06)
    times: list[float] = []
    while len(times) < at_least or time.perf_counter() < end:
        times.append(once())
    return max(min(times), 1e-9)


def _timed(action, *args) -> float:
    start = time.perf_counter()
    action(*args)
    return time.perf_counter() - start


@dataclass(frozen=True)
class Probe:
    """A program of one kernel that shows what this machine can do; call it with a number of repetitions.

    Attributes
    ----------
    work : FLOPs, or bytes read and written, of one repetition.
    """

    program: Any
    threads: int
    work: float
    memory: Any  # whose addresses the program has

    def __call__(self, repetitions: int = 1) -> None:
        self.program.run(repetitions, [], [], self.threads, 1e9)

    def best(self) -> float:
        """Work per second in the shortest of several runs."""
        return self.work / _best(lambda: _timed(self), self.threads)


def fma_probe(threads: int) -> Probe:
    """Multiply-adds that never leave the registers, on the CPU path in use. Needs the compiled modules."""
    from .kernels.native import core, machine

    tiles, iterations = 16 * threads, 4000
    sink = np.zeros(16 * tiles, np.float32)
    call = (machine.KERNELS["machine_fma"], [sink.ctypes.data], [iterations], [], tiles, 1, 0, 0, 1e-3, None)
    return Probe(core.Executor([call]), threads, tiles * iterations * machine.fma_flops(), sink)


def copy_memory(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Source and destination of a copy of n floats, aligned as the arrays of a program are.

    They lie an odd number of cache lines apart in each page.
    """
    memory = np.ones(2 * n + 1024, np.float32)
    start = -memory.ctypes.data % 64 // 4
    second = start + (n + 31) // 16 * 16 + 16 * 21
    return memory[start:start + n], memory[second:second + n]


def copy_probe(x: np.ndarray, y: np.ndarray, threads: int, repeat: int = 1, seconds: float = 1e-3,
               stream: bool = False) -> Probe:
    """A plain copy of x to y, `repeat` times in one repetition. Needs the compiled modules.

    stream : with stores that pass by the caches.
    seconds : what the executor takes one repetition to cost; for very short ones it does not wake its team.
    """
    from .kernels.native import core, machine

    n = x.size
    # One tile per thread while that fits a cache, so that each copies the same part each time.
    tiles = threads if n < 1 << 22 else 16 * threads
    block = -(-n // (16 * tiles)) * 16
    call = (machine.KERNELS["machine_copy"], [y.ctypes.data, x.ctypes.data], [n, block, repeat, int(stream)], [],
            -(-n // block), 1, 0, 0, seconds, None)
    return Probe(core.Executor([call]), threads, 8 * n * repeat, (x, y))


def _native_copy(n: int, threads: int, stream: bool = False) -> float:
    """GB/s. What fits no cache is timed in pieces, one after another.

    None is in a cache when its turn comes again, and a piece takes below a millisecond, so that some are undisturbed
    even where other processes want the cores.
    """
    pieces = 1 if n < 1 << 22 else 16
    part, repeat = n // pieces // 16 * 16, max(1, (8 << 20) // n)
    x, y = copy_memory(n)
    probes = [copy_probe(x[i:i + part], y[i:i + part], threads, repeat, stream=stream)
              for i in range(0, pieces * part, part)]
    turn = itertools.cycle(probes)
    return probes[0].work / _best(lambda: _timed(next(turn)), threads, 3 * pieces) / 1e9


def _numpy_peak() -> float:
    n = 384
    a, out = np.full((n, n), 0.5, np.float32), np.empty((n, n), np.float32)
    return 2 * n**3 / _best(lambda: _timed(np.matmul, a, a, out)) / 1e9


def _numpy_copy(n: int) -> float:
    x, y = np.ones(n, np.float32), np.zeros(n, np.float32)
    repeat = max(1, (1 << 20) // n)

    def once():
        start = time.perf_counter()
        for _ in range(repeat):
            np.copyto(y, x)
        return time.perf_counter() - start

    return 8 * n * repeat / _best(once) / 1e9
