"""Data sets: where they are found, what is refused, what a download leaves behind. Nothing here needs the network."""

import gzip
import hashlib
import http.server
import os
import socket
import struct
import sys
import threading

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import digits, fashion_mnist, idx, store


def as_idx(array, code=0x08):
    array = np.asarray(array)
    head = struct.pack(">BBBB", 0, 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(idx.DTYPES[code]).tobytes()


RNG = np.random.default_rng(0)
MADE = {
    "train-images-idx3-ubyte.gz": RNG.integers(0, 256, (6, 28, 28)),
    "train-labels-idx1-ubyte.gz": RNG.integers(0, 10, 6),
    "t10k-images-idx3-ubyte.gz": RNG.integers(0, 256, (3, 28, 28)),
    "t10k-labels-idx1-ubyte.gz": RNG.integers(0, 10, 3),
}
RAW = {name: as_idx(a) for name, a in MADE.items()}
PACKED = {name: gzip.compress(raw) for name, raw in RAW.items()}
PARTS = tuple(store.Part(name, len(raw), hashlib.sha256(raw).hexdigest()) for name, raw in RAW.items())


class Server:
    """HTTP on loopback: `files` by name are served, `asked` says what was asked for."""

    def __init__(self):
        self.files, self.asked, self.cut, self.silent = dict(PACKED), [], False, threading.Event()
        self.hold = False
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                name = self.path.rsplit("/", 1)[-1]
                owner.asked.append(name)
                if name not in owner.files:
                    return self.send_error(404)
                data = owner.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if owner.cut or owner.hold else data)
                if owner.hold:
                    self.wfile.flush()
                    owner.silent.wait(20)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.silent.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(fashion_mnist, "URL", server.url)
    yield server
    server.close()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders of the test's own in place of the machine's: FASTNN_DATA, the system's, the cache."""
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    folders = [tmp_path / "own", tmp_path / "system", tmp_path / "cache" / "fashion-mnist"]
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "folders", lambda dataset: folders)
    monkeypatch.setattr(fashion_mnist, "PARTS", PARTS)
    return folders


def fill(folder):
    folder.mkdir(parents=True)
    for name, data in PACKED.items():
        (folder / name).write_bytes(data)


def check(loaded):
    for got, want in zip([a for pair in loaded for a in pair], MADE.values(), strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == np.uint8 and got.flags.c_contiguous and got.flags.writeable


@pytest.mark.parametrize("which", range(3))
def test_found_in_each_place_without_asking_the_network(which, places, server):
    fill(places[which])
    check(fashion_mnist.load_data())
    assert server.asked == []


def test_downloaded_once_into_the_cache(places, server):
    check(fashion_mnist.load_data())
    assert server.asked == list(PACKED)
    assert {p.name: p.read_bytes() for p in places[2].iterdir()} == PACKED
    check(fashion_mnist.load_data())
    assert len(server.asked) == 4


def test_a_damaged_file_is_not_taken_and_the_cache_is_mended(places, server):
    fill(places[2])
    bad = places[2] / "t10k-labels-idx1-ubyte.gz"
    bad.write_bytes(gzip.compress(RAW[bad.name][:-1] + b"\x63"))
    check(fashion_mnist.load_data())
    assert server.asked == [bad.name] and bad.read_bytes() == PACKED[bad.name]


NAME = "train-images-idx3-ubyte.gz"
BAD = {
    "not gzip": (b"<html>a portal</html>", "gzip"),
    "cut gzip": (PACKED[NAME][:-20], "gzip"),
    "empty": (b"", "unpack to"),
    "flipped byte": (PACKED[NAME][:400] + bytes([PACKED[NAME][400] ^ 1]) + PACKED[NAME][401:], "gzip|SHA-256"),
    "other content": (gzip.compress(bytes(len(RAW[NAME]))), "SHA-256"),
    "too short": (gzip.compress(RAW[NAME][:-1]), "unpack to"),
    "too long": (gzip.compress(RAW[NAME] + b"\0"), "unpack to"),
    "a bomb": (gzip.compress(bytes(10_000_000)), "unpack to|longer"),
    "endless": (bytes(100_000), "longer than"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_downloads_are_refused_and_leave_nothing(what, places, server):
    server.files[NAME], match = BAD[what]
    with pytest.raises(datasets.DatasetNotFound, match=match):
        fashion_mnist.load_data()
    assert not places[2].exists() or not list(places[2].iterdir())


def test_downloads_that_break_off_stall_or_fail(places, server, monkeypatch):
    server.cut = True
    with pytest.raises(datasets.DatasetNotFound):
        fashion_mnist.load_data()
    server.cut, server.hold = False, True
    monkeypatch.setattr(store, "TIMEOUT", 0.2)
    with pytest.raises(datasets.DatasetNotFound, match="timed out"):
        fashion_mnist.load_data()
    server.silent.set()
    server.files.clear()
    with pytest.raises(datasets.DatasetNotFound, match="404"):
        fashion_mnist.load_data()


def test_the_error_names_places_address_and_what_to_do(places, server):
    server.files.clear()
    fill(places[1])
    (places[1] / NAME).write_bytes(b"damaged")
    with pytest.raises(FileNotFoundError) as caught:
        fashion_mnist.load_data()
    message = str(caught.value)
    for part in [*map(str, places), server.url + NAME, "FASTNN_DATA", "dataset-fashion-mnist", "gzip"]:
        assert part in message


def test_nobody_listens(places, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "URL", "http://127.0.0.1:1/")
    with pytest.raises(datasets.DatasetNotFound, match=r"127\.0\.0\.1:1"):
        fashion_mnist.load_data()


def test_an_answer_that_is_not_http(places, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(fashion_mnist, "URL", f"http://127.0.0.1:{listener.getsockname()[1]}/")

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail server ready\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(datasets.DatasetNotFound, match="not whole HTTP"):
            fashion_mnist.load_data()
        thread.join(10)


def test_a_cache_that_can_not_be_written_only_warns(places, server, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.warns(UserWarning, match="could not be kept"):
        check(fashion_mnist.load_data())


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("FASTNN_DATA", "FASTNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    system = store.Path("/usr/share/datasets/x")
    assert store.folders("x") == [system, tmp_path / ".cache" / "fastnn" / "x"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.folders("x") == [system, tmp_path / "xdg" / "fastnn" / "x"]
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "d"))
    assert store.folders("x") == [tmp_path / "d", tmp_path / "d" / "x", system, tmp_path / "c" / "x"]


def test_the_real_files_where_this_machine_has_them():
    if not any(all((f / p.name).exists() for p in fashion_mnist.PARTS) for f in store.folders("fashion-mnist")):
        pytest.skip("Fashion-MNIST is not on this machine")
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert (x_train.shape, x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert (np.bincount(y_train) == 6000).all() and (np.bincount(y_test) == 1000).all()
    assert len(fashion_mnist.CLASS_NAMES) == 10
    assert fashion_mnist.CLASS_NAMES[y_train[0]] == "Ankle boot"  # the first picture of the data set's own page


# ---------------------------------------------------------------------- digits


def test_digits_are_split_by_digit_and_always_the_same():
    pytest.importorskip("sklearn")
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert (x_train.shape, y_train.shape) == ((1438, 8, 8), (1438,))
    assert (x_test.shape, y_test.shape) == ((359, 8, 8), (359,))
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert (np.abs(np.bincount(y_train) - 4 * np.bincount(y_test)) <= 2).all()
    everything = np.concatenate([x_train, x_test])
    assert len(np.unique(everything, axis=0)) == 1797  # none twice: no test picture is among the others
    again = digits.load_data()
    np.testing.assert_array_equal(x_test, again[1][0])
    assert hashlib.sha256(y_test.tobytes()).hexdigest()[:16] == "85127d38d0fb39a6"


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"fastnn\[sklearn\]"):
        digits.load_data()


# ---------------------------------------------------------------------- IDX


@pytest.mark.parametrize("code", idx.DTYPES)
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 3), (), (1,) * 7], ids=str)
def test_idx_round_trip(code, shape):
    array = np.random.default_rng(1).integers(0, 100, shape).astype(idx.DTYPES[code])
    got = idx.parse(as_idx(array, code))
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


GOOD = as_idx(np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        *[(GOOD[:n], "x") for n in range(len(GOOD))],
        (GOOD + b"\0", "should have 18 bytes"),
        (b"\1" + GOOD[1:], "two zeros"),
        (b"\0\1" + GOOD[2:], "two zeros"),
        (b"\0\0\x07" + GOOD[3:], "dtype 0x07"),
        (b"\0\0\x08\xff" + GOOD[4:], "255 dimensions"),
        (b"\0\0\x08\xff" + bytes(2000), "255 dimensions"),
        (b"\0\0\x0e\x20" + b"\xff" * 128 + bytes(64), "should have"),
    ],
)
def test_bad_idx_is_refused(data, match):
    with pytest.raises(ValueError, match=f"^x .*{match}|^{match}"):
        idx.parse(data, "x")
