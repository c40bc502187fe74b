"""fastnn.machine: threads, CPU path, and the measured roofline."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn import machine
from fastnn.kernels import tables

needs_native = pytest.mark.skipif(not tables.native_available(), reason="no compiled modules")


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FASTNN_", "OMP_"))}
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60,
                          env={**clean, **environment})


@pytest.fixture(autouse=True)
def restore_threads():
    before = machine._threads
    yield
    machine._threads = before


def test_set_num_threads():
    machine.set_num_threads(3)
    assert machine.get_num_threads() == 3
    machine.set_num_threads(np.int64(2))
    assert machine.get_num_threads() == 2
    machine.set_num_threads(None)
    assert machine.get_num_threads() >= 1


@pytest.mark.parametrize("bad", [0, -1, 257, 1.5, "2", True])
def test_wrong_numbers_of_threads(bad):
    machine.set_num_threads(2)
    with pytest.raises(ValueError, match="number of threads"):
        machine.set_num_threads(bad)
    assert machine.get_num_threads() == 2


@pytest.mark.parametrize("environment, want", [
    ({"FASTNN_NUM_THREADS": "5"}, "5"), ({"OMP_NUM_THREADS": "3"}, "3"), ({"OMP_NUM_THREADS": "4,2"}, "4"),
    ({"FASTNN_NUM_THREADS": "5", "OMP_NUM_THREADS": "3"}, "5"), ({"FASTNN_NUM_THREADS": "9999"}, "256")])
def test_environment(environment, want):
    done = run_python("from fastnn import machine; print(machine.get_num_threads())", **environment)
    assert done.stdout.strip() == want


@pytest.mark.parametrize("bad", ["0", "-2", "two", "1.5"])
def test_wrong_environment(bad):
    done = run_python("from fastnn import machine; machine.get_num_threads()", FASTNN_NUM_THREADS=bad)
    assert f"ValueError: FASTNN_NUM_THREADS must be a whole number of at least 1, not {bad!r}." in done.stderr


def test_omp_nonsense_is_ignored():
    default = run_python("from fastnn import machine; print(machine.get_num_threads())").stdout
    for value in ("", "many", "0"):
        done = run_python("from fastnn import machine; print(machine.get_num_threads())", OMP_NUM_THREADS=value)
        assert done.stdout == default


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_affinity_counts():
    code = ("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
            "from fastnn import machine; print(machine.get_num_threads())")
    assert run_python(code).stdout.strip() == "1"


def test_quota_of_a_container(tmp_path):
    own = tmp_path / "own"
    own.write_text("12:cpuset:/\n0::/outer/inner\n")
    inner = tmp_path / "root" / "outer" / "inner"
    inner.mkdir(parents=True)
    root = tmp_path / "root"
    assert machine._quota(root, own) == 256
    (inner / "cpu.max").write_text("max 100000\n")
    assert machine._quota(root, own) == 256
    (inner.parent / "cpu.max").write_text("350000 100000\n")
    assert machine._quota(root, own) == 3
    (inner / "cpu.max").write_text("50000 100000\n")
    assert machine._quota(root, own) == 1
    own.write_text("nothing useful")
    assert machine._quota(root, own) == 256


def test_cpu_info():
    info = machine.cpu_info()
    assert set(info) == {"model", "path", "paths", "physical_cores", "logical_cpus", "threads", "caches", "features"}
    assert info["model"]
    assert 1 <= info["physical_cores"] <= info["logical_cpus"]
    assert all(size > 0 for size in info["caches"].values())
    if tables.native_available():
        assert info["path"] in info["paths"]


@needs_native
def test_path_by_environment():
    code = "from fastnn.kernels.native import core; print(core.path())"
    paths = machine.cpu_info()["paths"]
    for path in paths:
        assert run_python(code, FASTNN_CPU=path).stdout.strip() == path
    assert run_python(code, FASTNN_CPU="").stdout.strip() == paths[-1]
    refused = run_python(code, FASTNN_CPU="z80")
    assert "ValueError: CPU path 'z80' can't be used: there is no such path; this machine can run" in refused.stderr


def test_ceilings():
    c = machine.ceilings(1)
    assert c.peak > 0.1 and all(speed > 0.1 for speed in c.copy.values())
    assert c.bandwidth(1) == c.copy[min(c.copy)]
    assert c.bandwidth(1e12) == c.copy[max(c.copy)]
    assert c.names[max(c.copy)] == "memory"
    assert c.seconds(c.peak * 1e9, 0) == pytest.approx(1)
    assert c.seconds(0, c.bandwidth(1e12) * 1e12) == pytest.approx(1000)
    assert machine.ceilings(1) == c  # measured once
    assert "GFLOP/s" in str(c)


def test_without_compiled_modules(monkeypatch):
    monkeypatch.setattr(machine, "_core", lambda: None)
    info = machine.cpu_info()
    assert info["path"] == "numpy" and info["paths"] == []
    c = machine.ceilings(1)
    assert c.peak > 0.1 and all(speed > 0.1 for speed in c.copy.values())
