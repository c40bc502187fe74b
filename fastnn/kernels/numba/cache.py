"""Compiled forms on disk: machine code beside a header that says what it was made from.

A file's name holds a hash of everything that the code depends on: the sources of the form and of all functions that it
leads to, the wrapper made from the kernel's spec, the versions of Numba, LLVM, NumPy and Python, the CPU and its
features. A change of any of these is another file; old ones can be deleted at any time. A file that is not whole, by
its checksum, is as good as none. No pickle is stored or loaded.

The folder is ``numba`` in ``FASTNN_CACHE``, or in ``fastnn`` in the user's cache folder; it is private to the user, for
it holds code that will run. ``FASTNN_NUMBA_CACHE=0`` switches the cache off.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import files

if TYPE_CHECKING:
    from .form import Form

MAGIC = b"fastnn numba 1\n"


def folder() -> Path:
    """Where compiled forms are kept."""
    return files.cache_folder("numba")


def key(form: Form, code: str) -> str | None:
    """The hash of what a form's machine code depends on; None if it must not be kept."""
    from . import build, memory, microkernel

    if os.environ.get("FASTNN_NUMBA_CACHE") == "0":
        return None
    parts = [code, build.environment(), *map(inspect.getsource, (build, memory, microkernel))]
    try:
        for part in build.reached(form):
            parts.append(repr(part) if isinstance(part, tuple | str) else inspect.getsource(part))
    except (OSError, TypeError):  # no source to be had
        return None
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _path(name: str, key: str) -> Path:
    return folder() / f"{name}-{key[:32]}.bin"


def save(name: str, key: str, library: Any, symbol: str) -> None:
    """Keep a compiled library. What goes wrong here (a read-only folder, a full disk) costs no more than the time
    to compile again, so it is not told."""
    try:
        kind, what, (code, shared) = library.serialize_using_object_code()
        if what != "object":
            return
        header = json.dumps({"kernel": name, "key": key, "symbol": symbol, "library": kind, "code": len(code),
                             "shared": len(shared)}).encode()
        body = struct.pack("<I", len(header)) + header + code + shared
        path = _path(name, key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.replace(str(path), [MAGIC, hashlib.sha256(body).digest(), body])
    except (AttributeError, OSError, TypeError, ValueError, NotImplementedError):
        return


def load(name: str, key: str) -> tuple[int, Any] | None:
    """(address, what owns the code) of a form compiled before, or None."""
    try:
        path = _path(name, key)
        if not _ours(path.parent) or not _ours(path):
            return None
        data = path.read_bytes()
    except OSError:
        return None
    start = len(MAGIC) + 32
    body = data[start:]
    if not data.startswith(MAGIC) or hashlib.sha256(body).digest() != data[len(MAGIC) : start]:
        return None
    (length,) = struct.unpack("<I", body[:4])
    header = json.loads(body[4 : 4 + length])
    code = body[4 + length : 4 + length + header["code"]]
    shared = body[4 + length + header["code"] :]
    if header["key"] != key or len(shared) != header["shared"]:
        return None
    return _link(header, code, shared)


def _link(header: dict[str, Any], code: bytes, shared: bytes) -> tuple[int, Any] | None:
    from numba.core.registry import cpu_target

    target = cpu_target.target_context
    target.refresh()  # the helpers that compiled code calls
    try:
        library = target.codegen().unserialize_library((header["library"], "object", (code, shared)))
        return library.get_pointer_to_function(header["symbol"]), library
    except (AttributeError, RuntimeError, TypeError, ValueError):  # another Numba than the one it was written for
        return None


def _ours(path: Path) -> bool:
    """Whether nobody else could have written there."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
