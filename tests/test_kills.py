"""Killed while checkpoints are written: every file is whole, and a fit goes on from it.

``FASTNN_KILLS=100`` kills more often than the ten times that suffice every day.
"""

import errno
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, files, layers, models

resource = pytest.importorskip("resource")
KILLS = int(os.environ.get("FASTNN_KILLS", "10"))
X, Y = np.random.default_rng(0).normal(size=(32, 20)), np.arange(32) % 3
NAMES = ("each.safetensors", "best.safetensors", "batch.safetensors", "saved.safetensors", "weights.safetensors",
         "backup/backup.safetensors")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")


def network():
    fastnn.utils.set_random_seed(5)
    model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(400, "relu"), layers.Dense(100, "relu"),
                               layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(folder, epochs, say=lambda: None):
    """Write a checkpoint of each kind again and again."""
    def save(epoch, logs):
        model.save(folder / "saved.safetensors")
        model.save_weights(folder / "weights.safetensors")

    model = network()
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=[
        callbacks.ModelCheckpoint(folder / "each.safetensors"),
        callbacks.ModelCheckpoint(folder / "best.safetensors", "loss", save_best_only=True, save_weights_only=True),
        callbacks.ModelCheckpoint(folder / "batch.safetensors", save_freq=3),
        callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: say(), on_epoch_end=save),
        callbacks.BackupAndRestore(folder / "backup", save_freq=2, delete_checkpoint=False)])


def in_child(work):
    """Run it in a fork that is killed at the end whatever happens; the process and where it says that it has begun."""
    listen, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(lambda: os.write(tell, b"."))
        finally:
            os._exit(1)
    os.close(tell)
    assert os.read(listen, 1) == b"."
    os.close(listen)
    return pid


def test_killed_at_random_moments(tmp_path):
    def done():
        place = files.read(tmp_path / "backup/backup.safetensors")[1]
        return place["epoch"] * 4 + place["batch"]

    draw, torn = random.Random(3), 0
    fit(tmp_path, 2)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.safetensors")) == sorted(NAMES)
    before, counts = done(), {}
    for _ in range(KILLS):
        pid = in_child(lambda say: fit(tmp_path, 10**9, say))
        time.sleep(draw.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        for name in ("each.safetensors", "batch.safetensors", "saved.safetensors"):
            model = models.load_model(tmp_path / name)
            assert np.isfinite(model.predict(X)).all()
            assert model.optimizer.iterations >= counts.get(name, 0)  # an older file never comes back
            counts[name] = model.optimizer.iterations
        for name in ("best.safetensors", "weights.safetensors"):
            network().load_weights(tmp_path / name)
        assert done() >= before
        before = done()
        left = list(tmp_path.rglob(".*.tmp"))
        torn += bool(left)
        for p in left:
            p.unlink()
    print(f"{KILLS} kills, {torn} of them while a file was written, {before} batches done")
    pid = in_child(lambda say: fit(tmp_path, 10**9, say))
    for _ in range(6000):
        if done() > before:
            break
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert done() > before  # the fit goes on from what is there


def test_what_killed_writers_leave_is_removed(tmp_path):
    path, begin = tmp_path / "a.safetensors", {"x": np.zeros(3)}

    def half(say):
        files._flush = lambda fd: (say(), time.sleep(600))
        files.write(path, begin)

    writers = [in_child(half), in_child(half)]
    dead, alive = (next(p for p in tmp_path.iterdir() if f"-{pid}-" in p.name) for pid in writers)
    os.kill(writers[0], signal.SIGKILL)
    os.waitpid(writers[0], 0)

    def beside(name, age):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
        return name

    pid, random_ = writers[0], "0" * 16
    kept = {alive.name, path.name, beside(f".a.safetensors.01234567-{pid}-{random_}.tmp", files.STALE / 2),
            beside(f".a.safetensors.b.01234567-{pid}-{random_}.tmp", 2 * files.STALE),  # of another file
            beside(f".b.safetensors.{files._place()}-{pid}-{random_}.tmp", 0), beside(".a.safetensors.tmp", 10**6)}
    old = beside(f".a.safetensors.01234567-{os.getpid()}-{random_}.tmp", 2 * files.STALE)
    beside(f".a.safetensors.{files._place()}-{10**30}-{random_}.tmp", 0)
    files.write(path, begin)
    left = {p.name for p in tmp_path.iterdir()}
    os.kill(writers[1], signal.SIGKILL)
    os.waitpid(writers[1], 0)
    assert dead.name not in left and old not in left
    assert left == kept
    files.write(path, begin)
    assert {p.name for p in tmp_path.iterdir()} == kept - {alive.name}


WAYS = {
    "save": lambda model, folder: model.save(folder / "a.safetensors"),
    "save_weights": lambda model, folder: model.save_weights(folder / "a.safetensors"),
    "ModelCheckpoint": lambda model, folder: model.fit(
        X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint(folder / "a.safetensors")]),
    "BackupAndRestore": lambda model, folder: model.fit(
        X, Y, verbose=0, epochs=2 if any(folder.iterdir()) else 1,
        callbacks=[callbacks.BackupAndRestore(folder, delete_checkpoint=False)]),
}


@pytest.fixture(params=WAYS)
def written(request):
    """A way to write and a folder, which anybody can reach, where it has done so once."""
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o755)
        folder = Path(above, "there")
        folder.mkdir()
        WAYS[request.param](network(), folder)
        (path,) = folder.iterdir()
        yield WAYS[request.param], folder, path, path.read_bytes()


def untouched(folder, path, before):
    assert [p.name for p in folder.iterdir()] == [path.name] and path.read_bytes() == before
    files.read(path)


def larger():
    model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(3000), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def refused(write, folder, path, number):
    """The sentence of the error that writing a larger model gave."""
    try:
        write(larger() if "backup" not in path.name else network(), folder)  # another network would be refused
    except OSError as error:
        assert error.errno == number and str(path) in str(error), error
        assert "could not be written and is as it was before" in str(error)
        return
    raise AssertionError("nothing was refused")


def test_a_disk_that_is_full(written, monkeypatch):
    write, folder, path, before = written
    real = os.write

    class Full:
        def __init__(self, file):
            self.file, self.room = file, 10_000

        def write(self, piece):
            if self.room <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= len(piece[: self.room])
            return real(self.file.fileno(), piece[:10_000])

    through = files._write_all
    monkeypatch.setattr(files, "_write_all", lambda f, piece: through(Full(f), piece))
    refused(write, folder, path, errno.ENOSPC)
    untouched(folder, path, before)


def test_a_limit_of_file_sizes(written):
    write, folder, path, before = written

    def work(say):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        refused(write, folder, path, errno.EFBIG)
        say()

    os.waitpid(in_child(work), 0)
    untouched(folder, path, before)


def test_a_folder_that_is_read_only(written):
    write, folder, path, before = written

    def work(say):
        if os.geteuid() == 0:  # who may write anywhere
            os.setuid(65534)
        refused(write, folder, path, errno.EACCES)
        say()

    folder.chmod(0o555)
    try:
        os.waitpid(in_child(work), 0)
    finally:
        folder.chmod(0o755)
    untouched(folder, path, before)
