"""Compiles a ladder's C and Cython with the reader's own compiler, into a cache folder.

A built file's name holds a digest of its sources, its flags and its tools, so that it is built anew exactly when one
of them changes. What can't be built raises `Missing`, whose text is a sentence: that rung is left out, no more.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from fastnn.files import cache_folder

HERE = Path(__file__).resolve().parent
#: fastnn's own C code, for rungs that include it
CSRC = HERE.parents[1] / "csrc"

NATIVE = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
#: What a rung is compiled with unless it says otherwise: all that this CPU has, no FMA where the source has none, and
#: neither errno nor exception flags, which would keep sqrt out of vectors.
FLAGS = f"-O3 {NATIVE} -ffp-contract=off -fno-math-errno -fno-trapping-math"
ALWAYS = ["-std=gnu11", "-fPIC", "-shared", "-fvisibility=default", "-Wall", "-Wno-psabi", "-Wno-unused-function"]


class Missing(Exception):
    """A tool or source is not there, or does not work here; a sentence says what and why."""


@cache
def compiler() -> tuple[list[str], str]:
    """The C compiler as a command, and the first line of its version. CC, where set, else cc, gcc or clang."""
    own = os.environ.get("CC")
    for command in [own] if own else ["cc", "gcc", "clang"]:
        words = shlex.split(command)
        if not words or shutil.which(words[0]) is None:
            continue
        version = subprocess.run([*words, "--version"], check=False, capture_output=True, text=True)
        if version.returncode == 0:
            return words, version.stdout.splitlines()[0]
    raise Missing(f"there is no C compiler ({'CC is ' + own if own else 'cc, gcc or clang'} was looked for)")


def numba() -> ModuleType:
    """Numba, or `Missing`."""
    try:
        import numba
    except ImportError:
        raise Missing("Numba is not installed: pip install fastnn[numba]") from None
    return numba


@cache
def library(source: str, flags: str = FLAGS) -> ctypes.CDLL:
    """The functions of one of this folder's C files."""
    return ctypes.CDLL(str(shared_object(source, flags)))


@cache
def shared_object(source: str, flags: str = FLAGS) -> Path:
    """The file that `library` loads; objdump shows what the compiler made of it."""
    headers = [f"-I{CSRC}"] if CSRC.is_dir() else []
    return _built(HERE / source, [*shlex.split(flags), *headers], _compile)


@cache
def module(source: str, flags: str = FLAGS) -> ModuleType:
    """One of this folder's Cython files as a module."""
    if importlib.util.find_spec("Cython") is None:
        raise Missing("Cython is not installed: pip install cython")
    from Cython import __version__ as version

    name = f"fastnn_ladder_{Path(source).stem}"
    more = [f"-I{sysconfig.get_paths()['include']}", "-Wno-unused-variable", "-Wno-maybe-uninitialized"]
    if sys.platform == "darwin":
        more += ["-undefined", "dynamic_lookup"]

    def make(path: Path, flags: list[str], target: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, f"{name}.c")
            _run([sys.executable, "-m", "cython", "-3", "--module-name", name, str(path), "-o", str(made)],
                 f"Cython {version} did not translate {source}")
            _compile(made, flags, target)

    built = _built(HERE / source, [*shlex.split(flags), *more], make, f"Cython {version}, Python {sys.version}")
    spec = importlib.util.spec_from_file_location(name, built)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def _built(source: Path, flags: list[str], make: Callable[[Path, list[str], Path], None], tools: str = "") -> Path:
    if sys.platform == "win32":
        raise Missing("the C and Cython rungs are built with GCC or Clang on Linux and macOS only")
    if not source.exists():
        raise Missing(f"{source.name} is not there")
    digest = hashlib.sha256()
    for part in (compiler()[1], tools, *flags, *_machine()):
        digest.update(part.encode() + b"\0")
    for file in (source, *sorted(HERE.glob("*.h")), *sorted(CSRC.glob("*.[hi]*"))):
        digest.update(file.read_bytes())
    target = cache_folder("ladders") / f"{source.stem}-{digest.hexdigest()[:16]}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_suffix(f".{os.getpid()}")
        make(source, flags, aside)
        aside.replace(target)  # whole or not there, also with two processes at it
    return target


def _compile(source: Path, flags: list[str], target: Path) -> None:
    words = compiler()[0]
    _run([*words, *ALWAYS, *flags, f"-I{HERE}", str(source), "-o", str(target), "-lm"],
         f"{words[0]} did not compile {source.name}")


def _machine() -> tuple[str, ...]:
    """-march=native means something else on another CPU, and the cache may be in a shared home folder."""
    from fastnn import machine

    info = machine.cpu_info()
    return (info["model"], *info["features"])


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{what}: {(done.stderr or done.stdout).strip()[-600:]}")
