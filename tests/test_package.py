"""The package as installed: where it is, what is in it, what importing it needs."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn

HERE = Path(fastnn.__file__).resolve().parent
INSTALLED = os.environ.get("FASTNN_TEST_INSTALLED")
installed = pytest.mark.skipif(not INSTALLED, reason="only where make runs the tests against an installed fastnn")


@installed
def test_the_installed_package_is_tested():
    assert HERE.is_relative_to(Path(INSTALLED).resolve())
    from fastnn.kernels.native import core

    assert Path(core.__file__).resolve().is_relative_to(HERE)


@installed
def test_no_sources_of_compiled_modules_are_installed():
    kinds = {p.suffix for p in HERE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert kinds <= {".py", ".so", ".pyd", ".typed"}
    assert (HERE / "py.typed").exists()


def test_importing_needs_only_what_the_wheel_asks_for(tmp_path):
    """Extras may be missing: importing must not touch them."""
    extras = ["numba", "matplotlib", "sklearn", "pandas", "scipy", "torch"]
    code = f"import sys; sys.modules.update(dict.fromkeys({extras})); import fastnn, fastnn.datasets, fastnn.files"
    env = os.environ | {"PYTHONPATH": str(HERE.parent)}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path, env=env)


def test_the_command_is_there():
    if importlib.util.find_spec("fastnn.cli") is None:
        pytest.skip("this build has no command line")
    from fastnn.cli import main

    assert callable(main)
