"""What importing fastnn brings along, and that it works without its compiled modules."""

import os
import subprocess
import sys
from pathlib import Path

import fastnn

HERE = Path(fastnn.__file__).resolve().parent.parent

BLOCK_NATIVE = """
import importlib.abc, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith("fastnn.kernels.native."):
            raise ImportError(f"{name} is blocked by this test", name=name)

sys.meta_path.insert(0, Block())
"""


def python(code: str, folder: Path, **environment: str) -> list[str]:
    """The lines that this code prints in a fresh interpreter that has the same fastnn; warnings are errors."""
    unset = ("FASTNN_BACKEND", "FASTNN_CPU")
    env = {k: v for k, v in os.environ.items() if k not in unset} | {"PYTHONPATH": str(HERE)} | environment
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, env=env, capture_output=True,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_leaves_alone_what_is_not_always_needed(tmp_path):
    heavy = ["numba", "matplotlib", "sklearn", "pandas", "scipy", "torch", "jax", "keras", "tqdm", "IPython"]
    code = f"import sys, fastnn; print(*[m for m in {heavy} if m in sys.modules])"
    assert python(code, tmp_path) == [""]


def test_importing_does_not_start_threads_or_read_data(tmp_path):
    code = "import threading, fastnn, sys; print(threading.active_count(), 'fastnn.datasets' in sys.modules)"
    assert python(code, tmp_path) == ["1 False"]


TRAIN = """
import numpy as np, fastnn
from fastnn import layers

print(fastnn.get_backend(), fastnn.cpu_info()["path"])
fastnn.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(200, 8)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int32")
model = fastnn.Sequential([fastnn.Input((8,)), layers.BatchNormalization(), layers.Dense(32, "relu"),
                           layers.Dropout(0.1), layers.Dense(2, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=20, epochs=20, validation_split=0.2, verbose=0)
print(history.history["loss"][-1] < 0.9 * history.history["loss"][0])
print(model.predict(x, verbose=0).shape)
print(fastnn.ops.exp(np.zeros(2, "float32")))
"""


def test_trains_without_the_compiled_modules(tmp_path):
    lines = python(BLOCK_NATIVE + TRAIN, tmp_path)
    assert lines == ["numpy numpy", "True", "(200, 2)", "[1. 1.]"]


def test_asking_for_the_native_backend_without_it_is_refused_in_a_sentence(tmp_path):
    code = BLOCK_NATIVE + """
import fastnn
try:
    fastnn.set_backend("native")
except ValueError as error:
    print(error)
"""
    (line,) = python(code, tmp_path)
    assert line == "The backend 'native' needs the compiled modules of fastnn, which are not there; use 'numpy'."


def test_the_backend_that_the_environment_names_is_used(tmp_path):
    assert python("import fastnn; print(fastnn.get_backend())", tmp_path, FASTNN_BACKEND="numpy") == ["numpy"]
