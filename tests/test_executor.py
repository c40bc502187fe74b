"""The native executor: what a program of kernel calls does, on any number of threads."""

import ctypes
import math
import time

import numpy as np
import pytest

core = pytest.importorskip("fastnn.kernels.native.core")
from fastnn.kernels.native.machine import KERNELS

THREADS = [1, 2, 3, 4, 8]
FOREVER = 1e12


def mixed(x: np.ndarray, work: int) -> np.ndarray:
    """What probe_mix computes."""
    n = x.shape[-1]
    v = x + np.uint64(3) * x[..., (7 * np.arange(n) + 1) % n]
    for _ in range(work):
        v = v * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return v


def chain(levels=12, width=2, tiles=40, work=20, seconds=10e-6, grain=1):
    """A program of `levels` levels with `width` independent calls each, its arrays, and what they shall hold.

    The last level writes the array that the first one reads: each step goes on from the one before.
    """
    x = np.random.default_rng(3).integers(0, 1 << 62, (levels, width, tiles)).astype(np.uint64)
    calls = []
    for level in range(levels):
        for c in range(width):
            buffers = [x[(level + 1) % levels, c].ctypes.data, x[level, c].ctypes.data, 0]
            calls.append((KERNELS["probe_mix"], buffers, [tiles, work], [], tiles, grain, level, 0, seconds, None))
    return core.Executor(calls, [], []), x


def meaning(x: np.ndarray, work: int, steps: int) -> np.ndarray:
    x = x.copy()
    for _ in range(steps):
        for level in range(len(x)):
            x[(level + 1) % len(x)] = mixed(x[level], work)
    return x


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("tiles, work, seconds, grain", [
    (1, 3, 1e-3, 1), (7, 3, 1e-3, 1), (40, 20, 10e-6, 1), (40, 20, 10e-6, 16), (40, 0, 0.0, 1), (300, 5, math.inf, 3),
    (33, 5, math.nan, 1), (5, 0, 1e-3, 100)])
def test_result_is_the_meaning(threads, tiles, work, seconds, grain):
    program, x = chain(5, 3, tiles, work, seconds, grain)
    want = meaning(x, work, 30)
    assert program.run(30, [], [], threads, FOREVER) == 30
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("threads", THREADS)
def test_each_tile_runs_once(threads):
    y = np.zeros((4, 100))
    calls = [(KERNELS["probe_count"], [row.ctypes.data, row.ctypes.data], [], [1.0], n, 3, i // 2, 0, 20e-6, None)
             for i, (row, n) in enumerate(zip(y, (100, 0, 99, 1), strict=True))]
    program = core.Executor(calls)
    assert len(program) == 4
    assert program.run(3000, [], [], threads, FOREVER) == 3000
    want = np.zeros((4, 100))
    want[0], want[2, :99], want[3, 0] = 3000, 3000, 3000
    np.testing.assert_array_equal(y, want)


def test_a_number_of_threads_may_follow_another():
    program, x = chain()
    want = meaning(x, 20, 240)
    for threads in (2, 8, 1, 3, 2, 4, 1, 2, 300, 0, -1, 2) * 20:
        assert program.run(1, [], [], threads, FOREVER) == 1
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("threads", THREADS)
def test_feeds_and_fetches(threads):
    steps, offset = 50, 7
    row_in, row_out = np.zeros(3), np.zeros(3)
    rows = np.arange(3.0 * (steps + offset)).reshape(-1, 3)
    got, every = np.full_like(rows, -1), np.full((steps + offset, 1), -1.0)
    program = core.Executor(
        [(KERNELS["machine_copy"], [row_out.ctypes.data, row_in.ctypes.data], [6, 2, 1, 0], [], 3, 1, 0, 0, 1e-3,
          None)],
        [(row_in.ctypes.data, 24)], [(row_out.ctypes.data, 24), (row_in[1:].ctypes.data, 8)])
    done = program.run(steps, [rows.ctypes.data], [got.ctypes.data, every.ctypes.data], threads, FOREVER, offset)
    assert done == steps
    np.testing.assert_array_equal(got[offset:], rows[offset:])
    np.testing.assert_array_equal(every[offset:, 0], rows[offset:, 1])
    assert (got[:offset] == -1).all() and (every[:offset] == -1).all()


@pytest.mark.parametrize("threads", THREADS)
def test_continuation_runs_on_each_tile(threads):
    n = 50
    x, y = np.arange(n, dtype=np.uint64), np.zeros(n, np.uint64)
    count = np.zeros(n)
    then = (KERNELS["probe_count"], [count.ctypes.data, count.ctypes.data], [], [0.5])
    program = core.Executor([(KERNELS["probe_mix"], [y.ctypes.data, x.ctypes.data, 0], [n, 2], [], n, 4, 0, 0, 1e-4,
                              then)])
    program.run(10, [], [], threads, FOREVER)
    np.testing.assert_array_equal(y, mixed(x, 2))
    np.testing.assert_array_equal(count, np.full(n, 5.0))


@pytest.mark.parametrize("threads", THREADS)
def test_scratch_memory_of_every_thread(threads):
    n = 64
    x = np.arange(n, dtype=np.uint64)
    for size in (8, 4096, 1 << 20, 64):
        y = np.zeros(n, np.uint64)
        program = core.Executor([(KERNELS["probe_scratch"], [y.ctypes.data, x.ctypes.data], [size], [], n, 1, 0, size,
                                  1e-3, None)])
        program.run(5, [], [], threads, FOREVER)
        np.testing.assert_array_equal(y, x)


def test_no_memory_for_scratch_is_told_before_anything_runs():
    y = np.zeros(4)
    program = core.Executor([(KERNELS["probe_count"], [y.ctypes.data, y.ctypes.data], [], [1.0], 4, 1, 0, 1 << 60, 1.0,
                              None)])
    for threads in (1, 2):
        with pytest.raises(MemoryError, match="scratch"):
            program.run(1, [], [], threads, FOREVER)
    assert not y.any()


@pytest.mark.parametrize("threads", [1, 2])
def test_budget_ends_a_run_between_steps(threads):
    program, x = chain(4, 1, 40, 2000)
    start = x.copy()
    done = program.run(10**9, [], [], threads, 0.02)
    assert 1 <= done < 10**9
    if done < 500:  # on a machine of ordinary speed
        np.testing.assert_array_equal(x, meaning(start, 2000, done))
    done = [program.run(1000, [], [], threads, budget) for budget in (0.0, -1.0)]
    assert all(1 <= d < 1000 for d in done)
    assert program.run(0, [], [], threads, FOREVER) == 0
    assert program.run(-3, [], [], threads, FOREVER) == 0


@pytest.mark.parametrize("threads", THREADS)
def test_profile_runs_the_same_steps_and_times_each_call(threads):
    program, x = chain(5, 2, 40, 20)
    want = meaning(x, 20, 25)
    times = program.profile(25, [], [], threads)
    np.testing.assert_array_equal(x, want)
    assert len(times) == 10
    assert all(0 < least <= total / 25 for least, total in times)
    assert program.profile(0, [], [], threads) == []


@pytest.mark.skipif(max(THREADS) < 2, reason="one thread shares nothing")
def test_profile_shares_a_call_that_is_a_small_part_of_its_level():
    program, x = chain(1, 2, 40, 20)
    program.set_costs([1e-3, 1e-1])
    before = core.team_counts()["levels"]
    program.profile(20, [], [], 2)
    assert core.team_counts()["levels"] - before in (0, 40)  # 0: somebody else has the team


def test_costs_may_be_corrected():
    program, x = chain(5, 2, 40, 20, seconds=0.0)
    want = meaning(x, 20, 60)
    levels = [core.team_counts()["levels"]]
    for costs in ([0.0] * 10, [1e-3] * 10, [math.nan, -1.0] * 5):
        program.set_costs(costs)
        program.run(20, [], [], 2, FOREVER)
        levels.append(core.team_counts()["levels"])
    np.testing.assert_array_equal(x, want)
    assert levels[0] == levels[1] and levels[2] == levels[3]
    with pytest.raises(ValueError, match="10 calls; 1 costs"):
        program.set_costs([1.0])


def test_one_call_alone():
    program, x = chain(3, 1, 10, 2)
    want = x.copy()
    want[2] = mixed(want[1], 2)
    program.step_call(1, 2)
    np.testing.assert_array_equal(x, want)
    for i in (-1, 3):
        with pytest.raises(IndexError, match="no call"):
            program.step_call(i)


def test_empty_program():
    program = core.Executor([])
    assert program.run(5, [], [], 2, FOREVER) == 5
    assert program.profile(5, [], [], 2) == []


@pytest.mark.parametrize("change, what", [
    ({"level": -1}, "level -1"), ({"tiles": -1}, "-1 tiles"), ({"grain": 0}, "grain 0"), ({"kernel": 0}, "kernel 0"),
    ({"then": (1, [], [], [])}, "well formed")])
def test_malformed_calls_are_refused(change, what):
    call = {"kernel": KERNELS["probe_nothing"], "buf": [], "dims": [], "attrs": [], "tiles": 1, "grain": 1, "level": 0,
            "scratch": 0, "cost": 0.0, "then": None}
    core.Executor([tuple(call.values())])
    with pytest.raises(ValueError, match=what):
        core.Executor([tuple({**call, **change}.values())])


def test_levels_must_not_fall():
    call = [KERNELS["probe_nothing"], [], [], [], 1, 1, 0, 0, 0.0, None]
    later = [*call[:6], 1, *call[7:]]
    core.Executor([tuple(call), tuple(later)])
    with pytest.raises(ValueError, match="level 0 after 1"):
        core.Executor([tuple(later), tuple(call)])


def test_wrong_number_of_addresses():
    program = core.Executor([], [(np.zeros(1).ctypes.data, 0)], [])
    with pytest.raises(ValueError, match="1 feeds and 0 fetches; 0 and 0"):
        program.run(1, [], [], 1, FOREVER)


def test_garbage_in_the_lists_is_an_error():
    good = (KERNELS["probe_nothing"], [], [], [], 1, 1, 0, 0, 0.0, None)
    for bad in (good[:-1], (*good[:1], ["x"], *good[2:]), (*good[:2], [1.5j], *good[3:]), (*good[:-2], "a", None)):
        with pytest.raises((TypeError, ValueError)):
            core.Executor([bad])


def test_the_callers_float_mode_is_set_aside_and_restored():
    """Denormals count on every thread, though the calling thread may flush them."""
    libm = ctypes.CDLL(None)
    if not hasattr(libm, "fesetround"):
        pytest.skip("no fesetround to be found")
    y = np.zeros(2000)
    program = core.Executor([(KERNELS["probe_count"], [y.ctypes.data] * 2, [], [0.1], 2000, 1, 0, 0, 1e-3, None)])
    upward = 0x800 if hasattr(ctypes, "c_longdouble") and np.dtype(np.longdouble).itemsize == 16 else 0
    program.run(1000, [], [], 1, FOREVER)
    want = y.copy()
    for threads in (1, 2):
        y[:] = 0
        libm.fesetround(upward)
        try:
            program.run(1000, [], [], threads, FOREVER)
            after = libm.fegetround()
        finally:
            libm.fesetround(0)
        assert after == upward
        np.testing.assert_array_equal(y, want)


def test_numba_kernel_joins_a_program():
    numba = pytest.importorskip("numba")
    from numba import carray, types

    pointer = types.CPointer
    signature = types.void(pointer(types.voidptr), pointer(types.int64), pointer(types.float64), types.int64,
                           types.int64)

    @numba.extending.intrinsic
    def as_float64(typing, address):
        def codegen(context, builder, sig, args):
            return builder.bitcast(args[0], context.get_value_type(sig.return_type))
        return types.CPointer(types.float64)(types.voidptr), codegen

    @numba.cfunc(signature)
    def scale(buf, dim, attr, first, last):
        y, x = carray(as_float64(buf[0]), dim[0]), carray(as_float64(buf[1]), dim[0])
        for i in range(first, last):
            y[i] = attr[0] * x[i]

    x, y, total = np.arange(100.0), np.zeros(100), np.zeros(100)
    program = core.Executor([
        (scale.address, [y.ctypes.data, x.ctypes.data], [100], [2.5], 100, 10, 0, 0, 1e-3, None),
        (KERNELS["probe_count"], [total.ctypes.data] * 2, [], [1.0], 100, 10, 1, 0, 1e-3, None)])
    for threads in (1, 2):
        y[:] = 0
        program.run(10, [], [], threads, FOREVER)
        np.testing.assert_array_equal(y, 2.5 * x)
    np.testing.assert_array_equal(total, np.full(100, 20.0))


def test_the_gil_is_free_during_a_run():
    import threading

    program, _arrays = chain(4, 1, 40, 20)
    runner = threading.Thread(target=program.run, args=(10**9, [], [], 2, 0.3))
    runner.start()
    count = 0
    end = time.monotonic() + 10
    while runner.is_alive() and time.monotonic() < end:
        count += 1
    runner.join()
    assert count > 100
