"""Files of named arrays and metadata that are whole or refused: safetensors with a checksum.

The safetensors library writes and reads the container. What stands around it here:

- a SHA-256 over every byte of the file (header, names, shapes, metadata, data), kept in the metadata,
- a check of the whole header against the file's size before anything is allocated,
- a write that leaves the old file in its place until the new one is whole and on the disk.

Nothing is ever unpickled. The checksum finds damage; it is no signature, and whoever can write the file
can make a new one.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import math
import os
import platform
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

#: name in a header -> NumPy dtype (little endian, as all of safetensors)
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4",
    "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip
NAMES = {np.dtype(d): n for n, d in DTYPES.items()}

FORMAT = 1  # of what fastnn puts in the metadata; raised when an older fastnn could not read it
KEY = "fastnn"  # the only string in the library's metadata, which keeps no order of several: a JSON object

# The checksum's place in the file is always the same, right after these bytes. While it is made, zeros stand there.
SUM_BEFORE = b'{"__metadata__":{"fastnn":"{\\"sha256\\":\\"'
SUM_START, SUM_END = 8 + len(SUM_BEFORE), 8 + len(SUM_BEFORE) + 64
EMPTY_SUM = "0" * 64

STALE = 3600  # seconds without a change, after which nobody is taken to write a temporary file any more
MAX_HEADER = 100_000_000  # bytes; the library's own limit
MAX_NDIM = 32  # NumPy 1's limit
MAX_BYTES = 2**63 - 1


class FileError(ValueError):
    """A file is damaged, forged, or not one of fastnn's."""


# ---------------------------------------------------------------------- to and from bytes


def cache_folder(name: str) -> Path:
    """Where what can be made or loaded again is kept: FASTNN_CACHE, or ``fastnn`` in the user's cache folder.

    Parameters
    ----------
    name : of what is kept there, a folder below it.
    """
    if own := os.environ.get("FASTNN_CACHE"):
        return Path(own, name)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fastnn", name)


def to_bytes(tensors: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> bytes:
    """The file that :func:`write` would write, as bytes; the same content gives the same bytes.

    Examples
    --------
    >>> arrays, metadata = from_bytes(to_bytes({"w": np.eye(2)}, {"epoch": 3}))
    >>> arrays["w"], metadata
    (array([[1., 0.],
           [0., 1.]]), {'epoch': 3})
    """
    return b"".join(_pieces(tensors, metadata))


def from_bytes(data: bytes, name: str = "The data") -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and metadata of a file in memory; `name` is what errors call it.

    The arrays are new, C-contiguous and writable.

    Raises
    ------
    FileError : the data are not exactly what :func:`to_bytes` made.
    """
    data = bytes(data)
    with _errors_of(name):
        length = _header_length(data[:8], len(data))
        own = _check_header(data[8 : 8 + length], len(data) - 8 - length)
        _check_sum(data)
        if own.get("format") != FORMAT or type(own.get("metadata")) is not dict:
            raise FileError(f"it has format {own.get('format')!r:.40} and this fastnn reads {FORMAT!r}")
        arrays = safetensors.numpy.load(data)
        # Some versions of the library give read-only arrays; pop, so that each goes when its copy is made.
        return {key: np.require(arrays.pop(key), requirements="CW") for key in list(arrays)}, own["metadata"]


def _pieces(tensors: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """The file as three buffers, the middle one the checksum: joining them would copy all once more."""
    own = json.dumps({"sha256": EMPTY_SUM, "format": FORMAT, "metadata": _plain(metadata or {})}, separators=(",", ":"))
    raw = safetensors.numpy.save({_name(k): _storable(k, a) for k, a in tensors.items()}, {KEY: own})
    if raw[8:SUM_START] != SUM_BEFORE:
        raise RuntimeError("The safetensors library writes its header in another way; fastnn must learn it first.")
    if int.from_bytes(raw[:8], "little") > MAX_HEADER:
        raise ValueError(f"The names and metadata take more than the {MAX_HEADER} bytes that a header can have.")
    view = memoryview(raw)
    return view[:SUM_START], hashlib.sha256(raw).hexdigest().encode(), view[SUM_END:]


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"Arrays in a file have strings for names, not {key!r}.")
    if key == "__metadata__":
        raise ValueError("'__metadata__' can't be the name of an array: the file format uses it.")
    _check_text(key)
    return key


def _check_text(key: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValueError(f"The name {key!r} holds a lone surrogate, which no file can hold.") from None


def _storable(key: str, array: Any) -> np.ndarray:
    """C-contiguous and little endian, of a dtype that the file knows; 0-d stays 0-d."""
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in NAMES:
        raise TypeError(f"The array {key!r} has dtype {array.dtype}; a file can hold {', '.join(map(str, NAMES))}.")
    if array.ndim > MAX_NDIM:
        raise ValueError(f"The array {key!r} has {array.ndim} dimensions; a file can hold {MAX_NDIM}.")
    return np.asarray(array, dtype=dtype, order="C")


# ---------------------------------------------------------------------- metadata


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as what JSON knows, or a sentence about the entry that it does not."""
    plain = {}
    for key, value in metadata.items():
        if not isinstance(key, str):
            raise TypeError(f"Metadata in a file have strings for names, not {key!r}.")
        try:
            plain[key] = json.loads(json.dumps(value, default=_number))
        except (TypeError, ValueError, RecursionError) as e:
            raise TypeError(f"The metadata {key!r} can't be written as JSON: {e}.") from None
    return plain


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


# ---------------------------------------------------------------------- checks


@contextlib.contextmanager
def _errors_of(name: str):
    """Every failure to understand `name` as one FileError with its name in front."""
    try:
        yield
    except FileError as e:
        raise FileError(f"{name} is not a whole file of fastnn: {e}.") from None
    except (ValueError, TypeError, KeyError, RecursionError, safetensors.SafetensorError) as e:
        raise FileError(f"{name} is not a whole file of fastnn: the safetensors library says {e}.") from e


def _header_length(first: bytes, size: int) -> int:
    if size < 8 or len(first) < 8:
        raise FileError(f"it has {size} bytes, fewer than the 8 that say how long its header is")
    length = int.from_bytes(first, "little")
    if length > min(size - 8, MAX_HEADER):
        raise FileError(f"its header should have {length} bytes, and the file has {size} in all (limit {MAX_HEADER})")
    return length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FileError("a name stands twice in its header")
    return found


def _parse(text: str, what: str) -> dict[str, Any]:
    if text[:1] != "{":
        raise FileError(f"its {what} does not begin with '{{'")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except FileError:
        raise
    except (ValueError, RecursionError):
        raise FileError(f"its {what} is not JSON") from None


def _check_header(raw: bytes, data_size: int) -> dict[str, Any]:
    """fastnn's own entry of the header, after every array was found to be exactly the bytes that are there.

    Python's integers don't overflow, so that a product of forged sizes is what it is.
    """
    try:
        header = _parse(raw.decode("utf-8"), "header")
    except UnicodeDecodeError:
        raise FileError("its header is not UTF-8") from None
    strings = header.pop("__metadata__", {})
    if type(strings) is not dict or list(strings) != [KEY] or type(strings[KEY]) is not str:
        raise FileError("its metadata are not those that fastnn writes, so there is no checksum")
    spans = sorted(_check_entry(name, entry) for name, entry in header.items())
    for (_, end, a), (begin, _, b) in pairwise(spans):
        if begin != end:
            raise FileError(f"the arrays {a!r} and {b!r} {'overlap' if begin < end else 'have a hole between them'}")
    begin, end = (spans[0][0], spans[-1][1]) if spans else (0, 0)
    if begin != 0 or end != data_size:
        raise FileError(f"its arrays should take the bytes {begin} to {end}, and {data_size} bytes of data are there")
    return _parse(strings[KEY], "metadata")


def _check_entry(name: str, entry: Any) -> tuple[int, int, str]:
    """Where an array begins and ends in the data, and its name."""
    if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FileError(f"the array {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(dtype) is not str or dtype not in DTYPES:
        raise FileError(f"the array {name!r} has the unknown dtype {dtype!r:.40}")
    if type(shape) is not list or len(shape) > MAX_NDIM or not all(_is_size(n) for n in shape):
        raise FileError(f"the array {name!r} has the impossible shape {shape!r:.80}")
    itemsize = np.dtype(DTYPES[dtype]).itemsize
    if math.prod(max(n, 1) for n in shape) * itemsize > MAX_BYTES:  # NumPy leaves zeros out of this product too
        raise FileError(f"the array {name!r} has the impossible shape {shape!r:.80}")
    if type(offsets) is not list or len(offsets) != 2 or not all(_is_size(n) for n in offsets):
        raise FileError(f"the array {name!r} has the impossible data_offsets {offsets!r:.80}")
    begin, end = offsets
    if end - begin != math.prod(shape) * itemsize:
        raise FileError(f"the array {name!r} of {dtype} {shape} can't have {end - begin} bytes")
    return begin, end, name


def _is_size(n: Any) -> bool:
    return type(n) is int and 0 <= n <= MAX_BYTES  # type(): True is an int, and no size


def _check_sum(data: bytes) -> None:
    """Any change of any byte is found: those of the sum itself are compared as they stand in the file."""
    stored = data[SUM_START:SUM_END]
    if data[8:SUM_START] != SUM_BEFORE:
        raise FileError("it has no checksum where fastnn writes it")
    view = memoryview(data)
    digest = hashlib.sha256(view[:SUM_START])
    digest.update(EMPTY_SUM.encode())
    digest.update(view[SUM_END:])
    if digest.hexdigest().encode() != stored:
        raise FileError("its checksum does not fit its content, so it was damaged or changed")


# ---------------------------------------------------------------------- to and from the disk


def read(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and metadata that :func:`write` wrote.

    The arrays are new, C-contiguous and writable, in no particular order.

    Raises
    ------
    FileNotFoundError : there is no such file.
    FileError : it is not exactly what :func:`write` wrote.
    """
    path = os.fspath(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, "There is no file of this name", path) from None
    if not stat.S_ISREG(mode):  # opening a pipe would wait for a writer
        what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise FileError(f"{path} is not a whole file of fastnn: it is {what}.")
    with open(path, "rb") as f:
        with _errors_of(path):
            size = os.fstat(f.fileno()).st_size
            length = _header_length(f.read(8), size)
            _check_header(f.read(length), size - 8 - length)
        f.seek(0)
        return from_bytes(f.read(size), path)


def write(path: str | os.PathLike, tensors: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
    """Write arrays by name, and metadata by name (whatever JSON can say; NumPy scalars become numbers).

    The file appears under its name when it is whole and on the disk; until then, and after any failure,
    what stood there before is untouched. It keeps the permissions of the file that it replaces; a file that
    may not be written is not replaced. Where `path` is a symbolic link, the file that it points to is.

    Raises
    ------
    TypeError, ValueError : something can't be stored; nothing was written.
    OSError : the disk is full, the folder is read-only or missing, ...; the sentence names the file.

    Notes
    -----
    A process that is killed while it writes leaves a hidden file ``.<name>.<place>-<pid>-<random>.tmp`` beside. Nothing
    reads it, and a later write of the same file removes it: at once where that process can be seen to be gone (it ran
    on this machine, since it was started), else when nobody has written to it for an hour.
    """
    path = os.fspath(path)
    replace(path, _pieces(tensors, metadata))


def replace(path: str, pieces: Iterable[Any]) -> None:
    """Make `pieces` (buffers) the content of the file `path`, all or nothing; see :func:`write`."""
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    # A part of the name, so that the whole stays below every file system's limit (255 bytes).
    short = name[:40]
    beside = os.path.join(folder, f".{short}.{_place()}-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        old = _may_replace(target)
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            with open(fd, "wb", buffering=0) as f:
                _remove_stale(folder, short, os.fstat(fd).st_mtime)  # first: the disk may be full of them
                for piece in pieces:
                    _write_all(f, memoryview(piece))
                _keep_permissions(fd, old)
                _flush(fd)
            os.replace(beside, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as e:
        why = e.strerror or str(e)
        raise OSError(e.errno, f"{path} could not be written and is as it was before ({why})") from e
    _flush_folder(folder)


@functools.cache
def _place() -> str:
    """Where this process's number means this process: the machine, since its start, and the container."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _remove_stale(folder: str, name: str, now: float) -> None:
    """Remove what writers of a file that were killed have left, as well as that can be done.

    `now` is by the clock of the file system: the folder may stand on another machine. A writer that is wrongly taken
    for dead (it slept for an hour) fails with an error that says so, and the file is as it was.
    """
    left = re.compile(rf"\.{re.escape(name)}\.([0-9a-f]{{8}})-(\d+)-[0-9a-f]{{16}}\.tmp")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if found := left.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # another process may do the same
                    gone = found[1] == _place() and not _lives(int(found[2]))
                    if gone or now - entry.stat(follow_symlinks=False).st_mtime > STALE:
                        os.unlink(entry.path)


def _lives(pid: int) -> bool:
    """Whether there is, or may be, a process of this number."""
    if os.name != "posix":  # elsewhere signal 0 is not a mere question
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        pass
    return True


def _may_replace(target: str) -> os.stat_result | None:
    """The file that stands there, if any."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "it is no ordinary file")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only")
    return old


def _write_all(f: Any, piece: memoryview) -> None:
    while piece.nbytes:
        n = f.write(piece[: 1 << 26])  # parts, so that Ctrl-C is heard
        piece = piece[n:]


def _keep_permissions(fd: int, old: os.stat_result | None) -> None:
    if old is not None and hasattr(os, "fchmod"):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, old.st_uid, old.st_gid)
        with contextlib.suppress(PermissionError):
            os.fchmod(fd, stat.S_IMODE(old.st_mode))


def _flush(fd: int) -> None:
    os.fsync(fd)
    if sys.platform == "darwin":  # fsync there stops at the drive's own cache
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)


def _flush_folder(folder: str) -> None:
    """Put the new name itself on the disk, where the system can (Windows can't open a folder)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder that may be written but not listed
        return
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # file systems without it
            raise
    finally:
        os.close(fd)
