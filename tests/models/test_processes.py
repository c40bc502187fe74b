"""Ctrl-C, threads, forks, memory, and the same bits on every path and number of threads."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fastnn

from .conftest import network

native = pytest.mark.skipif(fastnn.get_backend() != "native", reason="needs the compiled modules")
SETUP = """
import hashlib, os, signal, sys, threading, time
import numpy as np, fastnn
from fastnn import layers, callbacks
fastnn.utils.set_random_seed(3)
rng = np.random.default_rng(0)
y = rng.integers(0, 10, 2000)
x = (rng.normal(size=(2000, 40)) + np.eye(10, 40)[y] * 3).astype("float32")
def make():
    model = fastnn.Sequential([fastnn.Input((40,)), layers.Dense(70, "relu"), layers.BatchNormalization(),
                               layers.Dropout(0.2, seed=1), layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
def bits(model):
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
"""


def run(code, timeout=120, **environment):
    """What a fresh process prints."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(fastnn.__file__).parents[1]), *sys.path])} | environment
    done = subprocess.run([sys.executable, "-c", SETUP + code], env=env, capture_output=True, text=True,
                          timeout=timeout)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@native
def test_same_bits_for_any_threads_and_on_avx2_and_avx512():
    code = """
model = make()
model.fit(x, y, epochs=2, verbose=0, batch_size=100)
print(bits(model))
"""
    paths = [p for p in fastnn.cpu_info()["paths"] if p != "v2"]  # which has no FMA, and so bits of its own
    found = {run(code, FASTNN_NUM_THREADS=str(n), FASTNN_CPU=p) for n in (1, 2) for p in paths}
    assert len(found) == 1


@native
def test_threads_set_at_run_time(digits):
    found, before = [], fastnn.get_num_threads()
    try:
        for n in (1, 2, 1):
            fastnn.set_num_threads(n)
            fastnn.utils.set_random_seed(3)
            model = network(0.2)
            model.fit(*digits, epochs=2, verbose=0)
            found.append(model.get_weights())
    finally:
        fastnn.set_num_threads(before)
    for other in found[1:]:
        for v, w in zip(found[0], other):
            np.testing.assert_array_equal(v, w)


@native
def test_native_and_numpy_learn_alike(digits):
    curves = []
    for name in ("native", "numpy"):
        with fastnn.backend(name):
            fastnn.utils.set_random_seed(3)
            curves.append(network(0.2).fit(*digits, epochs=5, verbose=0, validation_split=0.2).history)
    for key in curves[0]:
        np.testing.assert_allclose(curves[0][key], curves[1][key], rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX signals")
@pytest.mark.parametrize("per_batch", (False, True))
def test_ctrl_c_leaves_a_usable_model_and_its_history(per_batch):
    out = run(f"""
model, ended = make(), []
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands down an ignored one
class Sends(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    def on_train_end(self, logs=None):
        ended.append(time.perf_counter())
    def wants_batches(self, phase="train"):
        return {per_batch}
big, labels = np.concatenate([x] * 100), np.concatenate([y] * 100)
stop = callbacks.EarlyStopping("loss", patience=100, restore_best_weights=True)
try:
    model.fit(big, labels, epochs=2, steps_per_epoch=50, verbose=0)
    model.fit(big, labels, epochs=10000, steps_per_epoch=5, initial_epoch=0, verbose=0, callbacks=[Sends(), stop])
except KeyboardInterrupt:
    assert len(ended) == 1 and len(model.history.epoch) >= 2, (ended, model.history.epoch)
    assert len(model.history.history["loss"]) == len(model.history.epoch)
    assert model.optimizer.iterations >= 100 + 5 * len(model.history.epoch)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), stop.best_weights))
    model.fit(x, y, verbose=0)
    assert np.isfinite(model.evaluate(x, y, verbose=0)[0])
    print("usable")
""")
    assert out == "usable"


def test_two_fits_in_two_threads():
    out = run("""
found = []
for together in (False, True):
    fastnn.utils.set_random_seed(3)
    models = [make(), make()]
    given = dict(epochs=3, verbose=0, shuffle=False)
    work = [threading.Thread(target=m.fit, args=(x, y), kwargs=given) for m in models]
    for t in work:
        t.start()
        if not together:
            t.join()
    for t in work:
        t.join()
    found.append([bits(m) for m in models])
print(found[0] == found[1], found[0][0] != found[0][1])
""")
    assert out == "True True"


def test_predictions_and_evaluations_of_one_model_from_many_threads(digits):
    x, y = digits
    model = network()
    parts = [(x[i : 100 + i], y[i : 100 + i]) for i in range(8)]
    want = [(model.predict(a), model.evaluate(a, b, verbose=0)) for a, b in parts]
    wrong = []

    def work(i):
        for _ in range(20):
            a, b = parts[i]
            if not np.array_equal(model.predict(a), want[i][0]) or model.evaluate(a, b, verbose=0) != want[i][1]:
                wrong.append(i)
            if not np.array_equal(model(a), want[i][0]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fit_in_a_forked_child_after_a_fit_in_its_parent():
    out = run("""
fastnn.set_num_threads(2)
model = make()
model.fit(x, y, epochs=2, verbose=0)
child = os.fork()
if child == 0:
    fastnn.utils.set_random_seed(5)
    model.fit(x, y, epochs=2, verbose=0)
    make().fit(x, y, verbose=0)
    os.write(1, (bits(model) + " ").encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
fastnn.utils.set_random_seed(5)
model.fit(x, y, epochs=2, verbose=0)
os.write(1, bits(model).encode())
""")
    a, b = out.split()
    assert a == b


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
def test_memory_stays_flat():
    out = run("""
def pages():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
import gc
model, seen = make(), []
for i in range(300):
    n = 200 + i % 7
    model.fit(x[:n], y[:n], verbose=0, validation_split=0.1)
    model.predict(x[:n]), model.evaluate(x[:n], y[:n], verbose=0), model(x[: i % 5 + 1]), make() if i % 10 == 0 else 0
    if i % 50 == 49:
        gc.collect()
        seen.append(pages())
print(seen[-1] - seen[1])
""", timeout=300)
    assert float(out) < 30
