"""BackupAndRestore: a fit that was killed, at any moment, ends with the bits of one that was not."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers
from fastnn.files import FileError

PROGRAM = """
import sys, hashlib, time
import numpy as np, fastnn
from fastnn import callbacks, layers

folder, save_freq = sys.argv[1], sys.argv[2]
fastnn.utils.set_random_seed(5)
rng = np.random.default_rng(0)
y = rng.integers(0, 3, 150)
x = rng.normal(size=(150, 6)) + np.eye(3, 6)[y] * 2
model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(16, "relu"), layers.BatchNormalization(),
                           layers.Dropout(0.3), layers.Dense(3, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

class Says(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        print("batch", flush=True)
        time.sleep(0.002)

keep = callbacks.BackupAndRestore(folder, save_freq if save_freq == "epoch" else int(save_freq))
history = model.fit(x, y, batch_size=16, epochs=6, validation_split=0.2, verbose=0, callbacks=[
    callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9), keep, Says(),
    callbacks.EarlyStopping(patience=1, monitor="loss", restore_best_weights=True),
    callbacks.ReduceLROnPlateau(patience=0, cooldown=1, factor=0.7)])
digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights()))
digest.update(repr(sorted(history.history.items())).encode())
digest.update(repr([float(np.sum(v)) for v in model.optimizer.get_state().values()]).encode())
print("end", digest.hexdigest())
"""


def run(folder, save_freq, kill_after=None):
    """The last line of the program, or None if it was killed after so many batches."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(fastnn.__file__)))
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(save_freq)], stdout=subprocess.PIPE,
                             text=True, env={**os.environ, "PYTHONPATH": path})
    last = None
    with child:
        for i, line in enumerate(child.stdout):
            last = line.strip()
            if i == kill_after:
                child.kill()
                return None
    assert child.returncode == 0
    return last


@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_killed_at_random_moments(tmp_path, save_freq):
    want = run(tmp_path / "whole", save_freq)
    assert want.startswith("end") and os.listdir(tmp_path / "whole") == []
    draw = random.Random(1)
    for _ in range(3):
        assert run(tmp_path / "killed", save_freq, kill_after=draw.randrange(10, 15)) is None
    assert "backup.safetensors" in os.listdir(tmp_path / "killed")
    assert run(tmp_path / "killed", save_freq) == want
    assert "backup.safetensors" not in os.listdir(tmp_path / "killed")


# ---------------------------------------------------------------------------------- within one process


class Crash(Exception):
    pass


class CrashAt(callbacks.Callback):
    """Fail at a batch of an epoch, once."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Crash


def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 4)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def more_metrics():
    return [fastnn.metrics.RootMeanSquaredError(), fastnn.metrics.R2Score()]


def train(folder, crash=None, data=None, seeded=True, save_freq=2, delete=True, more=(), **given):
    if seeded:
        fastnn.utils.set_random_seed(2)
    model = fastnn.Sequential([layers.Dense(8, "tanh"), layers.Dropout(0.2), layers.Dense(1)])
    model.compile(fastnn.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae", *more_metrics()])
    data = problem() if data is None else data()
    data = data if isinstance(data, tuple) else (data,)
    keep = callbacks.BackupAndRestore(folder, save_freq, delete_checkpoint=delete)
    given = {"epochs": 3, "batch_size": 16 if len(data) == 2 else None, **given}
    model.fit(*data, verbose=0, callbacks=[keep, CrashAt(*crash or (-1, 0)), *more], **given)
    return model.get_weights(), model.history.history, model.history.epoch


def same(a, b):
    assert all((v == w).all() for v, w in zip(a[0], b[0], strict=True))
    assert a[1].keys() == b[1].keys() and a[2] == b[2] and a[1]["loss"] == b[1]["loss"]
    for name in a[1]:
        np.testing.assert_allclose(a[1][name], b[1][name], rtol=1e-12)


@pytest.mark.parametrize("at", [(0, 0), (0, 4), (1, 1), (2, 4)])
@pytest.mark.parametrize("save_freq", ["epoch", 1, 2, 7])
def test_crashed_anywhere(tmp_path, at, save_freq):
    want = train(tmp_path / "a", save_freq=save_freq)
    with pytest.raises(Crash):
        train(tmp_path / "b", at, save_freq=save_freq)
    same(train(tmp_path / "b", save_freq=save_freq), want)


def numbered():
    class Batches:
        num_batches = 5

        def __getitem__(self, i):
            x, y = problem()
            return x[i * 14 : i * 14 + 14], y[i * 14 : i * 14 + 14]

        def __len__(self):
            return 5

    return Batches()


def endless():
    while True:
        x, y = problem()
        yield from ((x[i : i + 10], y[i : i + 10]) for i in range(0, 70, 10))


@pytest.mark.parametrize(("data", "steps"), [(numbered, None), (endless, 5), (lambda: list_loader(), None)])
@pytest.mark.parametrize("at", [(0, 3), (1, 3), (2, 0)])
def test_other_data(tmp_path, data, steps, at):
    want = train(tmp_path / "a", data=data, steps_per_epoch=steps)
    with pytest.raises(Crash):
        train(tmp_path / "b", at, data=data, steps_per_epoch=steps)
    same(train(tmp_path / "b", data=data, steps_per_epoch=steps), want)


def list_loader():
    class Loader:
        def __iter__(self):
            x, y = problem()
            return ((x[i : i + 14], y[i : i + 14]) for i in range(0, 70, 14))

    return Loader()


def test_without_a_seed_it_goes_on_with_the_old_one(tmp_path):
    """The process that goes on was seeded otherwise: order of rows and masks are those of the first."""
    want = train(tmp_path / "a")
    with pytest.raises(Crash):
        train(tmp_path / "b", (1, 2))
    fastnn.utils.set_random_seed(99)
    same(train(tmp_path / "b", seeded=False), want)


def test_the_file_stays_or_goes(tmp_path):
    path = tmp_path / "backup.safetensors"
    want = train(tmp_path, delete=False)
    assert path.exists()
    same(train(tmp_path, delete=False), want)  # nothing is left to train
    longer = train(tmp_path, epochs=4)
    assert not path.exists()
    same(train(tmp_path, epochs=4), longer)


def test_the_callbacks_remember(tmp_path):
    """Means of weights, and the lines of a file, are those of a fit that was not disturbed."""
    found = []
    for name, crash in (("a", None), ("b", (3, 1))):
        made = (callbacks.StochasticWeightAveraging(1), callbacks.SnapshotEnsemble(1), callbacks.EMAWeights(0.9),
                callbacks.CSVLogger(tmp_path / name / "log.csv", append=True))
        (tmp_path / name).mkdir()
        if crash:
            with pytest.raises(Crash):
                train(tmp_path / name, crash, epochs=5, save_freq=3, more=made)
            with (tmp_path / name / "log.csv").open("a") as log:
                log.write("half a li")  # as a kill may leave it
        train(tmp_path / name, epochs=5, save_freq=3, more=made)
        swa, snapshots, ema, _ = made
        found.append([np.concatenate([a.ravel() for a in (*swa.average, *sum(snapshots.snapshots, []), *ema.average)])
                      .tolist(), (tmp_path / name / "log.csv").read_text()])
    assert found[0][0] == found[1][0]
    table = [[line.split(",")[0] for line in text.splitlines()] for _, text in found]
    assert table[0] == table[1] == ["epoch", "0", "1", "2", "3", "4"]


def test_steps_run_many_at_a_time(tmp_path):
    assert not callbacks.BackupAndRestore(tmp_path, save_freq=3).wants_batches("train")


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="save_freq must be 'epoch' or a number of batches, but is 0"):
        callbacks.BackupAndRestore(tmp_path, save_freq=0)
    with pytest.raises(ValueError, match="backup_dir must be a path, but is ''"):
        callbacks.BackupAndRestore("")
    with pytest.raises(ValueError, match="only one of them"):
        train(tmp_path / "a", more=[callbacks.BackupAndRestore(tmp_path / "c")])
    with pytest.raises(Crash):
        train(tmp_path, (1, 0))
    with pytest.raises(ValueError, match="had the callbacks BackupAndRestore, CrashAt, History, and this one has"):
        train(tmp_path, more=[callbacks.EarlyStopping("loss")])
    fastnn.files.write(tmp_path / "backup.safetensors", {})
    with pytest.raises(FileError, match="is no backup of a fit"):
        train(tmp_path)
    (tmp_path / "backup.safetensors").write_bytes(b"half a file")
    with pytest.raises(FileError, match="is not a whole file"):
        train(tmp_path)
