"""The thread team under stress: starts and stops, several Python threads, forks, the end of the process."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

core = pytest.importorskip("fastnn.kernels.native.core")
from tests.test_executor import FOREVER, THREADS, chain, meaning

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def run_python(code: str, timeout: float = 60) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize("threads", THREADS)
def test_thousands_of_steps(threads):
    program, x = chain(15, 2, 24, 3)
    want = meaning(x, 3, 3000)
    assert program.run(3000, [], [], threads, FOREVER) == 3000
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_many_short_runs(threads):
    """Starting and stopping: a late worker of one run meets the next one, or none, or a freed program."""
    program, x = chain(2, 1, 6, 1)
    want = meaning(x, 1, 5000)
    for _ in range(5000):
        program.run(1, [], [], threads, FOREVER)
    np.testing.assert_array_equal(x, want)


def test_programs_that_die_right_after_their_run():
    for i in range(2000):
        program, x = chain(2 + i % 3, 1, 4 + i % 5, 1)
        want = meaning(x, 1, 2)
        program.run(2, [], [], 2 + i % 3, FOREVER)
        np.testing.assert_array_equal(x, want)
        del program, x
        if i % 100 == 0:
            gc.collect()


def test_many_python_threads_run_programs_at_once():
    made = [chain(7, 1, 30, 10) for _ in range(6)]
    wants = [meaning(x, 10, 1500) for _, x in made]
    failures = []

    def work(program, threads):
        try:
            done = 0
            while done < 1500:
                done += program.run(1500 - done, [], [], threads, 0.002)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    runners = [threading.Thread(target=work, args=(p, 1 + i % 4)) for i, (p, _) in enumerate(made)]
    for r in runners:
        r.start()
    for r in runners:
        r.join()
    assert not failures
    for (_, x), want in zip(made, wants, strict=True):
        np.testing.assert_array_equal(x, want)


def test_one_program_in_two_threads_is_refused():
    program, _arrays = chain(4, 1, 40, 200)
    refusals = []

    def work():
        for _ in range(50):
            try:
                program.run(10**9, [], [], 2, 0.005)
            except RuntimeError as error:
                refusals.append(str(error))

    runners = [threading.Thread(target=work) for _ in range(2)]
    for r in runners:
        r.start()
    for r in runners:
        r.join()
    assert refusals and all("another thread" in r for r in refusals)
    assert program.run(1, [], [], 2, FOREVER) == 1


def wait_for(pid: int) -> int:
    """Exit code of a child, or fail and kill it after 30 seconds."""
    def too_late(*_):
        os.kill(pid, signal.SIGKILL)
        raise AssertionError("the child hangs")
    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(30)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_child(program, x, want, threads) -> int:
    """Fork; the child runs the program and says by its exit code whether the result is right."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            done = program.run(500, [], [], threads, FOREVER)
            code = 0 if done == 500 and np.array_equal(x, want) and core.team_counts()["workers"] == threads - 1 else 2
        finally:
            os._exit(code)
    return pid


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_after_a_run_while_the_parent_goes_on():
    program, x = chain(6, 1, 30, 10)
    program.run(100, [], [], 2, FOREVER)
    want = meaning(x, 10, 500)
    children = [in_child(program, x, want, threads) for threads in (2, 3)]
    assert program.run(500, [], [], 2, FOREVER) == 500
    np.testing.assert_array_equal(x, want)
    assert [wait_for(pid) for pid in children] == [0, 0]


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_another_thread_runs_a_program():
    busy, _y = chain(6, 1, 30, 10)
    program, x = chain(5, 1, 30, 10)
    want = meaning(x, 10, 500)
    end = threading.Event()

    def keep_busy():
        while not end.is_set():
            busy.run(10**9, [], [], 2, 0.05)

    runner = threading.Thread(target=keep_busy)
    runner.start()
    try:
        for _ in range(10):
            assert wait_for(in_child(program, x, want, 2)) == 0
        # The program that was running at the fork runs in the child too (its arrays are between two states).
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if busy.run(50, [], [], 2, FOREVER) == 50 else 2
            finally:
                os._exit(code)
        assert wait_for(pid) == 0
    finally:
        end.set()
        runner.join()


def test_multiprocessing_children_compute():
    code = """
import multiprocessing as mp, sys
from tests.test_executor import chain, meaning
import numpy as np
def work(i):
    p, x = chain(5, 1, 20, 5)
    w = meaning(x, 5, 50)
    p.run(50, [], [], 2, 1e9)
    return bool((x == w).all())
if __name__ == "__main__":
    assert work(0)
    for method in mp.get_all_start_methods()[:1]:
        with mp.get_context(method).Pool(2) as pool:
            assert all(pool.map(work, range(6)))
    print("fine")
"""
    if "fork" in __import__("multiprocessing").get_all_start_methods():
        done = run_python(code)
        assert done.stdout.strip() == "fine", done.stderr


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "os._exit(3)", "os.kill(os.getpid(), signal.SIGINT)"])
def test_the_process_ends_quietly(ending):
    code = f"""
import os, signal, sys, threading
from tests.test_executor import chain
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands down an ignored one
p, x = chain(5, 1, 20, 5)
p.run(50, [], [], 4, 1e9)
q, y = chain(5, 1, 20, 50)
threading.Thread(target=q.run, args=(10**9, [], [], 4, 0.2), daemon=True).start()
p.run(50, [], [], 4, 1e9)
{ending}
"""
    done = run_python(code)
    if "SIGINT" in ending:
        assert "KeyboardInterrupt" in done.stderr
    else:
        assert done.returncode == (3 if ending else 0) and not done.stderr


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no POSIX signals")
def test_signals_go_to_the_python_threads():
    program, _arrays = chain(4, 1, 40, 20)
    program.run(10, [], [], 4, FOREVER)
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(threading.current_thread()))
    try:
        for _ in range(50):
            os.kill(os.getpid(), signal.SIGUSR1)
            program.run(5, [], [], 4, FOREVER)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(seen) == 50


def test_counts():
    program, _arrays = chain(5, 1, 40, 20)
    before = core.team_counts()
    program.run(3, [], [], 1, FOREVER)
    assert core.team_counts() == before
    end = time.monotonic() + 10  # on a crowded machine the caller works alone for a while
    while core.team_counts()["levels"] == before["levels"] and time.monotonic() < end:
        program.run(20, [], [], 2, FOREVER)
    after = core.team_counts()
    assert after["workers"] >= 1 and after["levels"] > before["levels"]


@pytest.mark.parametrize("flags", [["-fsanitize=thread"], ["-fsanitize=address,undefined"],
                                   ["-fsanitize=thread", "-DFNN_NO_FUTEX"]], ids=["thread", "address", "no_futex"])
def test_the_team_in_c_under_sanitizers(tmp_path, flags):
    root = Path(__file__).parents[1]
    sources = [root / "tests" / "c" / "stress_team.c", root / "csrc" / "team.c", root / "csrc" / "run.c"]
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or not all(s.exists() for s in sources):
        pytest.skip("no compiler or no sources here")
    program = tmp_path / "stress"
    built = subprocess.run([compiler, "-g", "-O1", "-Wall", "-Wextra", "-Werror", *flags, f"-I{root / 'csrc'}",
                            *sources, "-pthread", "-o", program], check=False, capture_output=True, text=True)
    if "sanitize" in built.stderr or "san" in built.stderr and "cannot find" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program, "500"], check=False, capture_output=True, text=True, timeout=120)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("ThreadSanitizer can't run on this kernel")
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
