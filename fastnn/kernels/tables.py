"""Which kernel has which forms: tables of C function pointers by backend and kernel name.

``native`` is filled from the compiled modules when the first kernel of it is asked for. A kernel
written elsewhere (a Numba ``@cfunc`` of the ABI) joins a table by :func:`add_form`.
"""

from __future__ import annotations

from importlib import import_module

NATIVE_MODULES = ("elementwise", "reduce", "dense", "activation", "norm", "dropout", "loss", "optim", "data")

_forms: dict[str, dict[str, int]] = {"native": {}}
_loaded: set[str] = set()


class MissingForm(LookupError):
    """A backend has no form of a kernel, or the backend itself is not there."""


def native_available() -> bool:
    """Whether the compiled modules can be imported."""
    try:
        import_module("fastnn.kernels.native.core")
    except ImportError:
        return False
    return True


def add_form(backend: str, name: str, address: int) -> None:
    """Say where the form of kernel `name` for `backend` stands in memory.

    The address must be that of a C function with the kernel ABI, which stays alive (keep a reference
    to the Numba object that owns it).
    """
    _forms.setdefault(backend, {})[name] = int(address)


def form(backend: str, name: str) -> int:
    """Address of the form of kernel `name` for `backend`, or `MissingForm`."""
    if backend == "native" and backend not in _loaded:
        _load_native()
    try:
        return _forms[backend][name]
    except KeyError:
        raise MissingForm(f"The backend {backend!r} has no form of the kernel {name!r}.") from None


def forms(backend: str) -> dict[str, int]:
    """A copy of the table of one backend."""
    if backend == "native" and backend not in _loaded:
        _load_native()
    return dict(_forms.get(backend, {}))


def _load_native() -> None:
    if not native_available():
        raise MissingForm("The compiled modules of fastnn are not there; use fastnn.set_backend('numpy').")
    for module in NATIVE_MODULES:
        for name, address in import_module(f"fastnn.kernels.native.{module}").KERNELS.items():
            _forms["native"].setdefault(name, address)
    _loaded.add("native")
