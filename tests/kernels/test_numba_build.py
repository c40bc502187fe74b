"""How Numba forms are made: lazily, one by one, kept on disk under what they are made of, and as plain Python."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.kernels import single
from fastnn.kernels.elementwise import affine, square
from fastnn.kernels.numba import cache, form
from tests.test_imports import BLOCK_NATIVE, python

pytest.importorskip("numba")
pytest.importorskip("fastnn.kernels.native.core")

RUN = """
import sys, numpy as np, fastnn
from fastnn.kernels import single
from fastnn.kernels.elementwise import exp
from fastnn.kernels.numba.form import forms
assert "numba" not in sys.modules
y, = single.run(exp, np.float32([0, 1]), backend="numba")
print([round(float(v), 4) for v in y], sorted(n for n, f in forms().items() if f.compiled))
"""

BLOCK_NUMBA = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else found(name, *rest)

import importlib.abc
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "numba" or name.startswith("numba."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


def test_choosing_the_backend_imports_nothing(tmp_path):
    code = "import sys, fastnn; fastnn.set_backend('numba'); print('numba' in sys.modules)"
    assert python(code, tmp_path) == ["False"]


def test_the_environment_chooses_it(tmp_path):
    assert python("import fastnn; print(fastnn.get_backend())", tmp_path, FASTNN_BACKEND="numba") == ["numba"]


def test_only_the_kernel_that_is_used_is_compiled(tmp_path):
    assert python(RUN, tmp_path, FASTNN_CACHE=str(tmp_path)) == ["[1.0, 2.7183] ['exp']"]


def test_another_process_takes_the_code_from_the_disk(tmp_path):
    first = python(RUN, tmp_path, FASTNN_CACHE=str(tmp_path))
    (kept,) = (tmp_path / "numba").glob("exp-*.bin")
    changed = kept.stat().st_mtime_ns
    assert python(RUN + "import fastnn.kernels.numba.form as f; print(type(f.forms()['exp']._keep).__name__)", tmp_path,
                  FASTNN_CACHE=str(tmp_path)) == [*first, "JITCodeLibrary"]
    assert kept.stat().st_mtime_ns == changed


def test_without_the_cache_nothing_is_written(tmp_path):
    python(RUN, tmp_path, FASTNN_CACHE=str(tmp_path), FASTNN_NUMBA_CACHE="0")
    assert not (tmp_path / "numba").exists()


def test_a_folder_that_can_not_be_written_is_done_without(tmp_path):
    (tmp_path / "numba").write_text("a file where the folder should be")
    assert python(RUN, tmp_path, FASTNN_CACHE=str(tmp_path)) == ["[1.0, 2.7183] ['exp']"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path))
    return tmp_path / "numba"


def fresh(function, kernel):
    """A form beside those in the table."""
    return form.Form(function, kernel, elementwise=True)


def test_a_changed_source_is_another_file(folder):
    def one(x):
        return x * x

    def two(x):
        return x * x + 0.0 * x

    keys = []
    for function in (one, two, one):
        made = fresh(function, square)
        from fastnn.kernels.numba.build import wrapper_code
        keys.append(cache.key(made, wrapper_code(made)))
    assert keys[0] == keys[2] != keys[1]


SCALE = 3.0


def test_what_a_function_leads_to_belongs_to_the_key(folder, monkeypatch):
    from fastnn.kernels.numba.build import wrapper_code

    def helper(x):
        return np.exp(x)

    def constant(x):
        return x * SCALE

    def calls(x):
        return helper(x)

    def keys():
        return [cache.key(f, wrapper_code(f)) for f in (fresh(constant, square), fresh(calls, square))]

    before = keys()
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    after = keys()
    assert before[0] != after[0] and before[1] == after[1]
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert keys()[1] != after[1]


@pytest.mark.parametrize("damage", [
    lambda data: data[:100], lambda data: b"", lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    lambda data: b"pickle" + data[6:]], ids=["short", "empty", "a bit", "other"])
def test_a_damaged_file_is_as_good_as_none(folder, damage):
    address = fresh(square_of, square).address()
    (kept,) = folder.glob("square-*.bin")
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    again = fresh(square_of, square)
    assert again.address() != address
    assert kept.read_bytes() == whole or kept.read_bytes()[:40] != damage(whole)[:40]  # written anew


def square_of(x):
    return x * x


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files here")
def test_a_file_that_others_could_have_written_is_not_loaded(folder):
    fresh(square_of, square).address()
    (kept,) = folder.glob("square-*.bin")
    kept.chmod(0o666)
    again = fresh(square_of, square)
    again.address()
    assert type(again._keep).__name__ == "CFunc"


def test_the_folder_is_private(folder):
    fresh(square_of, square).address()
    assert folder.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_with_the_jit_off_programs_run_in_python(tmp_path):
    code = """
import numpy as np, fastnn, sys
fastnn.set_backend("numba")
f = fastnn.traced(lambda x: fastnn.ops.exp(x) * 2)
print([round(float(v), 4) for v in f(np.float32([0, 1]))])
from fastnn.kernels.numba.form import forms
print(type(forms()["exp"]._keep).__name__)
"""
    assert python(code, tmp_path, NUMBA_DISABLE_JIT="1") == ["[2.0, 5.4366]", "CFunctionType"]


def test_a_debugger_can_step_through_a_form():
    seen = []

    def tracer(frame, event, arg):
        if frame.f_code.co_name == "affine" and frame.f_code.co_filename.endswith("elementwise.py"):
            seen.append(dict(frame.f_locals))
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        single.run(affine, np.float32([1, 2]), backend="python", scale=2.0, offset=0.5)
    finally:
        sys.settrace(before)
    assert {"x", "scale", "offset"} <= set(seen[0])


def test_without_numba_the_error_names_the_extra(tmp_path):
    code = BLOCK_NUMBA + """
import fastnn, numpy as np
try:
    fastnn.set_backend("numba")
except ImportError as error:
    print(error)
mine = fastnn.elementwise(derivative=lambda x: 2 * x)(lambda x: x * x)
print(mine(np.ones(2)))
try:
    fastnn.traced(lambda x: mine(x))(np.ones(2, "float32"))
except ImportError as error:
    print(error)
with fastnn.backend("numpy"):
    print(fastnn.traced(lambda x: mine(x))(np.ones(2, "float32")))
"""
    wanted = "This needs numba, which is not installed: pip install fastnn[numba]"
    assert python(code, tmp_path) == [wanted, "[1. 1.]", wanted, "[1. 1.]"]


def test_without_the_compiled_modules_the_backend_is_refused(tmp_path):
    code = BLOCK_NATIVE + """
import fastnn
try:
    fastnn.set_backend("numba")
except ValueError as error:
    print(error)
"""
    assert python(code, tmp_path) == ["The backend 'numba' runs in the executor of the compiled modules, which are not "
                                      "there; use 'numpy'."]


def test_a_form_with_an_unknown_parameter_is_refused():
    with pytest.raises(TypeError, match="has a parameter 'z'; the kernel has y, x, N, first, last"):
        form.Form(lambda z: z, square).wrapper()


def test_a_missing_form_is_told():
    from fastnn.kernels.spec import Kernel

    class NoForm(Kernel):
        name = "no_form"

    with pytest.raises(LookupError, match="The backend 'numba' has no form of the kernel 'no_form'"):
        fastnn.kernels.tables.form("numba", NoForm())


def test_both_processes_of_a_fork_can_compile(tmp_path):
    """Code compiled before a fork goes on in the child, which can compile more."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    code = """
import os, numpy as np, fastnn
from fastnn.kernels import single
from fastnn.kernels.elementwise import exp, log
single.run(exp, np.ones(3, "float32"), backend="numba")
pid = os.fork()
y, = single.run(log, single.run(exp, np.ones(3, "float32"), backend="numba")[0], backend="numba")
if pid == 0:
    os._exit(0 if abs(y - 1).max() < 1e-6 else 1)
print(os.waitpid(pid, 0)[1], abs(y - 1).max() < 1e-6)
"""
    assert python(code, tmp_path, FASTNN_CACHE=str(tmp_path), FASTNN_NUMBA_CACHE="0") == ["0 True"]


def test_sources_hold_no_pickle():
    text = Path(cache.__file__).read_text()
    assert "import pickle" not in text and "pickle.load" not in text
