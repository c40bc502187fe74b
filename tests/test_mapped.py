"""Files larger than memory, mapped: read where they are, some rows at a time."""

import json
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.models import array_data, arrays
from fastnn.models.array_data import ArrayData

DATA_LIMIT = 700 << 20  #: bytes that the process may have of its own; the files have 3 GiB

PROGRAM = """
import json, resource, sys
import numpy as np, fastnn
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]),) * 2)
def mapped(name, dtype):
    return np.memmap(sys.argv[1] + name, dtype, "r", shape=((3 << 30) // 1024 // np.dtype(dtype).itemsize, 1024))
fastnn.set_num_threads(2)
found = []
for x in (mapped("a", "float32"), mapped("a", "uint16")):
    y = np.arange(len(x), dtype="uint8") % 2
    model = fastnn.Sequential([fastnn.Input((1024,)), fastnn.layers.Dense(2, "linear", False, "ones")])
    model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    for shuffle in (True, 4096):
        model.fit(x, y, batch_size=32, steps_per_epoch=10, verbose=0, shuffle=shuffle, validation_data=(x, y),
                  validation_steps=3)
    model.fit(x, y, batch_size=32, steps_per_epoch=4, sampling="balanced", verbose=0)
    model.train_on_batch(x[-40:], y[-40:])
    found.append([model.evaluate(x, y, steps=3, batch_size=40, verbose=0),
                  model.predict(x, steps=2, batch_size=50).shape, float(np.abs(model.get_weights()[0] - 1).max())])
try:
    np.array(x, np.float32)
except MemoryError:
    found.append("too large to copy")
print(json.dumps(found))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts mapped memory elsewhere")
def test_three_gibibytes_in_less_memory(tmp_path):
    path = tmp_path / "a"
    with open(path, "wb") as f:
        f.truncate(3 << 30)  # zeros that take no room on the disk
    if path.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("the file system has no sparse files")
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path) + "/", str(DATA_LIMIT)], capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *found, copied = json.loads(done.stdout)
    assert copied == "too large to copy"  # so the limit is one
    for loss, shape, moved in found:
        assert abs(loss - np.log(2)) < 1e-6 and shape == [100, 2] and moved == 0


@pytest.fixture
def small(monkeypatch):
    """Files of any size count as large, and windows are of a few batches."""
    monkeypatch.setattr(arrays, "LOOKED_AT", 0)
    monkeypatch.setattr(array_data, "WINDOW", 2000)


def on_disk(path, a, order="C"):
    there = np.memmap(path, a.dtype, "w+", shape=a.shape, order=order)
    there[...] = a
    return np.memmap(path, a.dtype, "r", shape=a.shape, order=order)


@pytest.mark.parametrize(("dtype", "order"), [("float32", "C"), ("uint8", "C"), ("float16", "C"), ("uint16", "C"),
                                              ("float32", "F"), (">f4", "C"), ("uint64", "C")])
@pytest.mark.parametrize("labels", ["int64", "uint16", "float32", ">f8"])
def test_the_bits_of_data_in_memory(small, tmp_path, dtype, order, labels):
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 9, (75, 6)).astype(dtype), draw.integers(0, 3, 75).astype(labels)
    weight = draw.random(75).astype("float16")

    def trained(*data):
        fastnn.utils.set_random_seed(3)
        model = fastnn.Sequential([fastnn.Input((6,)), fastnn.layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(*data[:2], sample_weight=data[2], batch_size=8, epochs=2, validation_split=0.2, verbose=0)
        return (history.history, model.evaluate(*data[:2], sample_weight=data[2], verbose=0),
                model.predict(data[0]).tobytes(), model.train_on_batch(*data), model.get_weights()[0].tobytes())

    mapped = on_disk(tmp_path / "x", x, order), on_disk(tmp_path / "y", y), weight
    assert ArrayData(*mapped).is_ready == (dtype in ("float32", "uint8") and order == "C" and
                                           labels in ("int64", "float32"))
    assert trained(*mapped) == trained(x, y, weight)
    assert np.shares_memory(ArrayData(mapped[0]).x[0], mapped[0])
    assert (mapped[0] == x).all() and (mapped[1] == y).all()


def test_labels_of_a_map_are_checked(small, tmp_path):
    model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    y = on_disk(tmp_path / "y", np.array([0, 1, 7], np.uint16))
    with pytest.raises(ValueError, match=r"y\[2\] is 7, but the labels of 3 classes are 0 to 2"):
        model.fit(np.zeros((3, 2)), y, verbose=0)


def test_a_map_that_is_not_large_is_checked(tmp_path):
    x = on_disk(tmp_path / "x", np.array([[1.0], [np.nan]], np.float16))
    with pytest.raises(ValueError, match=r"x\[1, 0\] is nan"):
        ArrayData(x)


class Exported:
    """Nothing but DLPack."""

    def __init__(self, a):
        self.a = a

    def __dlpack__(self, **kwargs):
        return self.a.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.a.__dlpack_device__()


def test_dlpack_is_read_where_it_is():
    a = np.arange(6, dtype=np.float32).reshape(3, 2)
    data = fastnn.models.data.adapt(Exported(a), Exported(a[:, 0].copy()))
    assert np.shares_memory(data.x[0], a) and data.y[0].tolist() == [0, 2, 4]
    a.flags.writeable = False
    assert ArrayData(Exported(a.copy())).n == 3


def test_torch_tensors_are_read_where_they_are():
    torch = pytest.importorskip("torch")
    x, y = torch.arange(12.0).reshape(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    before = x.clone()
    assert np.shares_memory(ArrayData(x).x[0], x.numpy())
    model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert (x == before).all() and model.predict(x).shape == (6, 3)
    for wrong, sentence in ((x.requires_grad_(), "x cannot be read as an array: .*requires grad"),
                            (torch.zeros(2, dtype=torch.bfloat16), "x cannot be read as an array: .*BFloat16")):
        with pytest.raises(ValueError, match=sentence):
            ArrayData(wrong)
