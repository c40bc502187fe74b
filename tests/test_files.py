"""Files: whole or refused, old or new and never in between."""

import errno
import hashlib
import json
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn import files
from fastnn.files import FileError

ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(3, np.int64), "none": np.zeros((0, 5), "?")}
METADATA = {"layers": [{"name": "dense", "units": 3}], "note": 'é "quoted" \\ \u4e2d'}
SAMPLE = files.to_bytes(ARRAYS, METADATA)
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions and signals")


def same(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------- round trips


@pytest.mark.parametrize("dtype", files.DTYPES.values(), ids=files.DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (7,), (2, 3, 5), (1,) * 32], ids=str)
def test_every_dtype_and_shape_comes_back(dtype, shape, tmp_path):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    files.write(tmp_path / "a", {"x": array, "y": array})
    arrays, metadata = files.read(tmp_path / "a")
    assert set(arrays) == {"x", "y"} and metadata == {}
    for a in arrays.values():
        same(a, array)
        assert a.flags.c_contiguous and a.flags.writeable and a.dtype.isnative


any_name = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda s: s != "__metadata__")
any_array = hnp.arrays(st.sampled_from(list(files.NAMES)), hnp.array_shapes(min_dims=0, min_side=0))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(any_name, any_array), st.dictionaries(st.text(), any_json))
def test_anything_comes_back(arrays, metadata):
    data = files.to_bytes(arrays, metadata)
    got, got_metadata = files.from_bytes(data)
    assert got_metadata == metadata and set(got) == set(arrays)
    for name, a in arrays.items():
        assert got[name].tobytes() == a.tobytes()  # NaN bits too
        assert (got[name].shape, got[name].dtype) == (a.shape, a.dtype)
    assert files.to_bytes(arrays, metadata) == data


def memory_layouts():
    base = np.arange(48, dtype=np.float64).reshape(4, 12)
    read_only = base.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"x" + base.tobytes(), np.uint8)[1:].view(np.float64)
    return {
        "big endian": base.astype(">f8"), "big endian, strided": base.astype(">f8")[::2, ::-3], "Fortran": base.T,
        "negative strides": base[::-1, ::-1], "every second": base[::2, 1::2], "read-only": read_only,
        "unaligned": unaligned, "broadcast": np.broadcast_to(np.float64(2), (3, 4)),
        "0-d big endian": np.array(7, ">i4"), "scalar": np.float32(1.5), "list": [1.0, 2.0],
    }  # fmt: skip


@pytest.mark.parametrize("name", memory_layouts())
def test_memory_layouts_are_stored_right(name):
    given = memory_layouts()[name]
    array = np.asarray(given)
    got = files.from_bytes(files.to_bytes({"x": given}))[0]["x"]
    same(got, array.astype(array.dtype.newbyteorder("=")))


def test_the_file_is_an_ordinary_safetensors_file(tmp_path):
    files.write(tmp_path / "a", ARRAYS, METADATA)
    loaded = safetensors.numpy.load_file(tmp_path / "a")
    for name, a in ARRAYS.items():
        same(loaded[name], a)


def test_numpy_scalars_in_metadata_become_numbers():
    metadata = {"rate": np.float32(0.5), "epoch": np.int64(3), "done": np.bool_(True), "shape": (1, np.int8(2))}
    got = files.from_bytes(files.to_bytes({}, metadata))[1]
    assert got == {"rate": 0.5, "epoch": 3, "done": True, "shape": [1, 2]}


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "names"),
    [
        ({"x": np.zeros(2, complex)}, {}, TypeError, "'x'.*complex128"),
        ({"x": np.array([object()])}, {}, TypeError, "'x'.*object"),
        ({"x": "text"}, {}, TypeError, "'x'"),
        ({"x": np.zeros(2, "M8[s]")}, {}, TypeError, "'x'"),
        ({"x": np.zeros(2, "f4,i4")}, {}, TypeError, "'x'"),
        ({1: np.zeros(2)}, {}, TypeError, "1"),
        ({"__metadata__": np.zeros(2)}, {}, ValueError, "__metadata__"),
        ({"\ud800": np.zeros(2)}, {}, ValueError, "surrogate"),
        ({}, {"f": print}, TypeError, "'f'"),
        ({}, {"f": np.zeros(2)}, TypeError, "'f'"),
        ({}, {3: 1}, TypeError, "3"),
    ],
)
def test_what_can_not_be_stored_is_refused_and_nothing_is_written(tensors, metadata, error, names, tmp_path):
    files.write(tmp_path / "a", ARRAYS, METADATA)
    with pytest.raises(error, match=names):
        files.write(tmp_path / "a", tensors, metadata)
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == SAMPLE


# ---------------------------------------------------------------------- damaged files


def refused(data, tmp_path, match=None):
    """Both readers refuse these bytes with the one class, in one sentence that names the file."""
    with pytest.raises(FileError, match=match):
        files.from_bytes(data)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(FileError, match=match) as caught:
        files.read(path)
    message = str(caught.value)
    assert str(path) in message and message.endswith(".") and "\n" not in message and len(message) < 400


def test_truncated_anywhere(tmp_path):
    for n in range(len(SAMPLE)):
        with pytest.raises(FileError):
            files.from_bytes(SAMPLE[:n])
    for n in (0, 1, 7, 8, 9, len(SAMPLE) // 2, len(SAMPLE) - 1):
        refused(SAMPLE[:n], tmp_path)


def test_longer_than_it_should_be(tmp_path):
    refused(SAMPLE + b"\0", tmp_path, "bytes of data are there")
    refused(SAMPLE + SAMPLE, tmp_path, "bytes of data are there")


def test_every_flipped_bit_of_a_small_file_is_found():
    for i in range(len(SAMPLE)):
        for bit in range(8):
            damaged = bytearray(SAMPLE)
            damaged[i] ^= 1 << bit
            with pytest.raises(FileError):
                files.from_bytes(damaged)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_are_found(data):
    damaged = bytearray(SAMPLE)
    for i in data.draw(st.lists(st.integers(0, len(SAMPLE) - 1), min_size=1, max_size=4, unique=True)):
        damaged[i] = data.draw(st.integers(0, 255).filter(lambda b, i=i: b != SAMPLE[i]))
    with pytest.raises(FileError):
        files.from_bytes(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x02" + b"\0" * 7 + b"{}")
def test_any_bytes_end_in_the_one_class(data):
    with pytest.raises(FileError):
        files.from_bytes(data)


# ---------------------------------------------------------------------- forged files


def forge(header, data=b"", own=None):
    """A file with a right checksum and whatever header: what a clever enemy, not an accident, makes."""
    if own is None:
        own = {"sha256": files.EMPTY_SUM, "format": 1, "metadata": {}}
    if isinstance(header, dict):
        header = json.dumps(header, separators=(",", ":"))[1:-1]
    own = json.dumps(json.dumps(own, separators=(",", ":")))
    raw = ('{"__metadata__":{"fastnn":' + own + "}" + ("," + header if header else "") + "}").encode()
    whole = struct.pack("<Q", len(raw)) + raw + data
    digest = hashlib.sha256(whole).hexdigest().encode()
    return whole[: files.SUM_START] + digest + whole[files.SUM_END :]


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)} | more


def test_the_forge_makes_good_files_too():
    arrays, metadata = files.from_bytes(forge({"x": entry()}, bytes(8)))
    same(arrays["x"], np.zeros(2, np.float32))
    assert metadata == {}


X = '"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
FORGED = {
    "unknown dtype": {"x": entry("F31")},
    "dtype that NumPy lacks": {"x": entry("BF16", (4,))},
    "dtype of another kind": {"x": entry(7)},
    "pickle-like dtype": {"x": entry("O")},
    "negative size": {"x": entry(shape=(-2,))},
    "two negative sizes": {"x": entry(shape=(-1, -2))},
    "huge size": {"x": entry(shape=(2**62,))},
    "product that overflows 64 bits to 8": {"x": entry(shape=(2**32 + 1, 2**32 * 2, 2**61))},
    "product that overflows to 0": {"x": entry(shape=(2**32, 2**32), offsets=(0, 0))},
    "empty and huge": {"x": entry(shape=(0, 2**62, 2**62), offsets=(0, 0)), "y": entry()},
    "size over 64 bits": {"x": entry(shape=(2**70, 0), offsets=(0, 0))},
    "size as a float": {"x": entry(shape=(2.0,))},
    "size as true": {"x": entry(shape=(2, True))},
    "size as text": {"x": entry(shape=("2",))},
    "nested shape": {"x": entry(shape=([2],))},
    "shape of another kind": {"x": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}},
    "too many dimensions": {"x": entry(shape=(1,) * 65 + (2,))},
    "a million dimensions": {"x": entry(shape=(2**60,) * 10**6)},
    "shape and offsets differ": {"x": entry(shape=(3,))},
    "offsets the wrong way": {"x": entry(offsets=(8, 0))},
    "negative offset": {"x": entry(offsets=(-8, 0))},
    "offset beyond the file": {"x": entry(offsets=(8, 16))},
    "offset over 64 bits": {"x": entry(offsets=(2**64, 2**64 + 8))},
    "offset as a float": {"x": entry(offsets=(0.0, 8.0))},
    "three offsets": {"x": entry(offsets=(0, 8, 8))},
    "one offset": {"x": entry(offsets=(0,))},
    "overlap, the same bytes": {"x": entry(), "y": entry()},
    "overlap, in part": {"x": entry(shape=(1,), offsets=(0, 4)), "y": entry(shape=(2,), offsets=(2, 10))},
    "hole at the start": {"x": entry(shape=(1,), offsets=(4, 8))},
    "hole between": {"x": entry("U8", (3,), (0, 3)), "y": entry("U8", (4,), (4, 8))},
    "hole at the end": {"x": entry(shape=(1,), offsets=(0, 4))},
    "no arrays but data": {},
    "missing offsets": {"x": {"dtype": "F32", "shape": [2]}},
    "unknown field": {"x": entry(extra=1)},
    "entry of another kind": {"x": [1, 2]},
    "duplicate name": f"{X},{X}",
    "duplicate name, escaped": X + "," + X.replace('"x"', '"\\u0078"'),
    "duplicate field": '"x":{"dtype":"U8","dtype":"F32","shape":[2],"data_offsets":[0,8]}',
    "duplicate metadata": X + ',"__metadata__":{}',
    "lone surrogate": X.replace('"x"', '"\\ud800"'),
    "NaN size": X.replace("[2]", "[NaN]"),
    "infinite size": X.replace("[2]", "[1e999]"),
    "number of 10 000 digits": X.replace("[2]", "[" + "9" * 10_000 + "]"),
    "trailing comma": X + ",",
    "deep nesting": '"x":' + "[" * 100_000 + "]" * 100_000,
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_headers_are_refused(what, tmp_path):
    refused(forge(FORGED[what], bytes(8)), tmp_path)
    if what != "lone surrogate":  # that one our check leaves to the library
        with pytest.raises(FileError, match=r"(?s)^(?!.*library)"):
            files.from_bytes(forge(FORGED[what], bytes(8)))


OWN = {
    "no checksum": {"format": 1, "metadata": {}},
    "another format": {"sha256": files.EMPTY_SUM, "format": 2, "metadata": {}},
    "no metadata": {"sha256": files.EMPTY_SUM, "format": 1},
    "metadata of another kind": {"sha256": files.EMPTY_SUM, "format": 1, "metadata": []},
    "checksum of another kind": {"sha256": [files.EMPTY_SUM], "format": 1, "metadata": {}},
    "a list": [files.EMPTY_SUM],
    "nothing": None,
}


@pytest.mark.parametrize("what", OWN)
def test_forged_own_metadata_are_refused(what, tmp_path):
    refused(forge({"x": entry()}, bytes(8), OWN[what] or {}), tmp_path)


def test_header_longer_than_the_file_allocates_nothing(tmp_path):
    for length in (len(SAMPLE), 2**31, 2**40, 2**63, 2**64 - 1):
        refused(struct.pack("<Q", length) + SAMPLE[8:], tmp_path, "header should have")


def test_a_header_over_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_HEADER", 10)
    refused(SAMPLE, tmp_path, "limit 10")
    with pytest.raises(ValueError, match="header"):
        files.to_bytes({}, {})


def test_headers_that_are_no_text_or_no_object(tmp_path):
    for raw in (b"\xff" * 20, b"[]", b"{", b" {}", "{}".encode("utf-16"), b"\xef\xbb\xbf{}", b"null", b""):
        refused(struct.pack("<Q", len(raw)) + raw, tmp_path)


def test_files_of_others_are_refused(tmp_path):
    refused(safetensors.numpy.save({"x": np.zeros(2)}), tmp_path, "checksum")
    refused(safetensors.numpy.save({"x": np.zeros(2)}, {"format": "pt"}), tmp_path, "checksum")
    refused(b"\x80\x04\x95pickle", tmp_path)
    refused(b"PK\x03\x04" + bytes(100), tmp_path)


def test_missing_files_folders_and_pipes(tmp_path):
    for path in (tmp_path / "none", tmp_path / "none" / "deeper"):
        with pytest.raises(FileNotFoundError, match=r"no file of this name.*none"):
            files.read(path)
    with pytest.raises(FileError, match="folder"):
        files.read(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileError, match="ordinary"):
            files.read(tmp_path / "pipe")
        with pytest.raises(OSError, match="ordinary"):
            files.write(tmp_path / "pipe", ARRAYS)


# ---------------------------------------------------------------------- the old file until the new one is whole


OLD = {"x": np.zeros(3, np.float32)}


@pytest.fixture
def old(tmp_path):
    """A file, in a folder of its own, that must survive the test."""
    path = tmp_path / "folder" / "m.safetensors"
    path.parent.mkdir()
    files.write(path, OLD, {"which": "old"})
    yield path
    assert os.listdir(path.parent) == [path.name]  # no temporary file either
    assert files.read(path)[1] == {"which": "old"}


@pytest.mark.parametrize("where", ["_write_all", "_flush", "_keep_permissions"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt(), MemoryError()])
def test_a_failure_anywhere_leaves_the_old_file(old, where, error, monkeypatch):
    def fail(*args):
        raise error

    monkeypatch.setattr(files, where, fail)
    with pytest.raises(type(error)) as caught:
        files.write(old, ARRAYS)
    if isinstance(error, OSError):
        assert caught.value.errno == errno.ENOSPC and str(old) in str(caught.value)


@POSIX
def test_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    done = []
    fsync, rename = os.fsync, os.replace

    def logged_fsync(fd):
        done.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else f"{os.fstat(fd).st_size} bytes")
        fsync(fd)

    def logged_rename(a, b):
        done.append("rename")
        assert os.path.dirname(a) == os.path.dirname(b)
        rename(a, b)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_rename)
    files.write(tmp_path / "a", ARRAYS, METADATA)
    assert done == [f"{len(SAMPLE)} bytes", "rename", "folder"]


def test_a_failing_rename_leaves_the_old_file(old, monkeypatch):
    def fail(*args):
        raise PermissionError(errno.EACCES, "used by another process")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError, match="used by another"):
        files.write(old, ARRAYS)


WRITE_TOO_MUCH = """
import resource, sys
import numpy as np
from fastnn import files
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    files.write(sys.argv[1], {"x": np.ones(1_000_000)})
except OSError as e:
    assert sys.argv[1] in str(e), e
    sys.exit(7)
"""


@POSIX
def test_a_limit_on_file_size_in_the_midst_of_a_write(old):
    assert subprocess.run([sys.executable, "-c", WRITE_TOO_MUCH, old], env=child_env()).returncode == 7


@POSIX
def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs mount")
    if done.returncode:
        pytest.skip("needs the right to mount")
    try:
        path = disk / "m.safetensors"
        files.write(path, OLD, {"which": "old"})
        with pytest.raises(OSError, match="could not be written") as caught:
            files.write(path, {"x": np.ones(100_000)})
        assert caught.value.errno == errno.ENOSPC
        assert os.listdir(disk) == [path.name] and files.read(path)[1] == {"which": "old"}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def child_env():
    """The environment for a child that must find this same fastnn."""
    return os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(files.__file__))}


WRITE_FOREVER = """
import itertools, sys
import numpy as np
from fastnn import files
for i in itertools.count(1):
    files.write(sys.argv[1], {"x": np.full(200_000, i, np.float32)}, {"i": i})
    if i == 1:
        print("writing", flush=True)
"""


@POSIX
def test_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "m.safetensors"
    moments = random.Random(1)
    command = [sys.executable, "-c", WRITE_FOREVER, path]
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=child_env()) as p:
            assert p.stdout.readline() == b"writing\n"
            time.sleep(moments.uniform(0, 0.03))
            p.send_signal(signal.SIGKILL)
        arrays, metadata = files.read(path)
        same(arrays["x"], np.full(200_000, metadata["i"], np.float32))


# ---------------------------------------------------------------------- permissions and links


@POSIX
def test_permissions_follow_the_umask_then_the_old_file(tmp_path):
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "a", OLD)
        assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o640
        os.chmod(tmp_path / "a", 0o604)
        files.write(tmp_path / "a", OLD)
        assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o604
    finally:
        os.umask(before)


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everything")
def test_read_only_files_and_folders(old):
    os.chmod(old, 0o444)
    with pytest.raises(PermissionError, match="read-only"):
        files.write(old, ARRAYS)
    os.chmod(old, 0o644)
    os.chmod(old.parent, 0o555)
    try:
        with pytest.raises(PermissionError, match="could not be written"):
            files.write(old, ARRAYS)
    finally:
        os.chmod(old.parent, 0o755)


def test_places_where_no_file_can_be(old):
    for path in (old / "below a file", old.parent / "missing" / "a"):
        with pytest.raises(OSError, match="could not be written"):
            files.write(path, ARRAYS)
    with pytest.raises(OSError, match="folder"):
        files.write(old.parent, ARRAYS)


@POSIX
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real" / "m", tmp_path / "link")
    files.write(tmp_path / "link", OLD)
    assert os.path.islink(tmp_path / "link") and os.listdir(tmp_path / "real") == ["m"]


def test_a_long_name_and_a_bare_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m", "x" * 250, "é" * 100):
        files.write(name, OLD)
        assert set(files.read(name)[0]) == {"x"}
