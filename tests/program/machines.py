"""A made-up machine for tests of the cost model: round numbers, small caches."""

import pytest

from fastnn import machine
from fastnn.kernels import tables

KIB, MIB = 1 << 10, 1 << 20
SIZES = {"L1d": 16 * KIB, "L2": 128 * KIB, "L3": 2 * MIB}


def roof(threads=1):
    """100 GFLOP/s and 200, 100, 50, 10 GB/s for each thread; memory is shared."""
    copy = {8 * KIB * threads: 200.0 * threads, 64 * KIB * threads: 100.0 * threads, MIB: 50.0 * threads,
            64 * MIB: 10.0}
    names = dict(zip(copy, ("L1", "L2", "L3", "memory")))
    return machine.Ceilings(threads, 100.0 * threads, copy, names)


def _cpu_info():
    return {"path": "v4", "model": "made up"}


@pytest.fixture
def made_up(monkeypatch):
    """Every prediction is for the made-up machine; tests that take it need the compiled modules to run programs."""
    if not tables.native_available():
        pytest.skip("no compiled modules")
    monkeypatch.setattr(machine, "ceilings", lambda threads=None: roof(threads or 1))
    monkeypatch.setattr(machine, "measure_peak", lambda threads=None: 100.0 * (threads or 1))
    monkeypatch.setattr(machine, "cache_sizes", lambda: dict(SIZES))
    monkeypatch.setattr(machine, "cpu_info", _cpu_info)
    return roof
