"""Which backend runs programs: one switch, one context manager, one environment variable.

``native`` runs the compiled kernels; ``numba`` runs, in the same executor, kernels that Numba compiles from Python when
they are first used; ``numpy`` runs the meaning of each call and needs nothing compiled. Programs with float64
arithmetic always run on their NumPy meaning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..extras import need
from ..kernels import tables

BACKENDS = ("native", "numba", "numpy")
_backend: str | None = None


def get_backend() -> str:
    """Name of the backend that new programs use.

    Taken from ``FASTNN_BACKEND`` at first use, else ``native`` where the compiled modules are there.
    """
    global _backend
    if _backend is None:
        wanted = os.environ.get("FASTNN_BACKEND")
        _backend = _check(wanted) if wanted else ("native" if tables.native_available() else "numpy")
    return _backend


def set_backend(name: str) -> None:
    """Choose the backend for programs built from now on (built ones are kept beside them).

    Examples
    --------
    >>> import fastnn
    >>> before = fastnn.get_backend()
    >>> fastnn.set_backend("numpy")
    >>> fastnn.get_backend()
    'numpy'
    >>> fastnn.set_backend(before)
    """
    global _backend
    _backend = _check(name)


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Use another backend inside a ``with`` block."""
    before = get_backend()
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before)


def _check(name: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"There is no backend {name!r}; there are {', '.join(BACKENDS)}.")
    if name == "native" and not tables.native_available():
        raise ValueError("The backend 'native' needs the compiled modules of fastnn, which are not there; use 'numpy'.")
    if name == "numba" and not tables.numba_available():
        need("numba", extra="numba")
        raise ValueError("The backend 'numba' runs in the executor of the compiled modules, which are not there; "
                         "use 'numpy'.")
    return name


def available() -> list[str]:
    """The backends that this installation can use."""
    there = {"native": tables.native_available(), "numba": tables.numba_available(), "numpy": True}
    return [name for name in BACKENDS if there[name]]
