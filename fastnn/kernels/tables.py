"""Which kernel has which forms: tables of C function pointers by backend and kernel name.

``native`` is filled from the compiled modules when the first kernel of it is asked for, ``numba`` kernel by kernel, as
each is asked for. A kernel of a user's own brings its form along (`Kernel.own_form`), which both use. A form made
elsewhere joins a table by :func:`add_form`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from .spec import KERNELS, Kernel

#: families of kernels: a module of that name holds their specs, one of `native` and one of `numba` their forms
FAMILIES = (
    "elementwise",
    "reduce",
    "dense",
    "activation",
    "norm",
    "tall",
    "dropout",
    "loss",
    "optim",
    "moments",
    "segments",
    "factored",
    "data",
    "embedding",
    "attention",
    "conv",
    "depthwise",
    "recurrent",
    "pool",
    "augment",
)

_forms: dict[str, dict[str, int]] = {"native": {}, "numba": {}}
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


def numba_available() -> bool:
    """Whether Numba is installed, which the executor's compiled module then runs; Numba is not imported for this."""
    return native_available() and find_spec("numba") is not None


def add_form(backend: str, name: str, address: int) -> None:
    """Say where the form of kernel `name` for `backend` stands in memory.

    The address must be that of a C function with the kernel ABI, which stays alive (keep a reference
    to the Numba object that owns it).
    """
    _forms.setdefault(backend, {})[name] = int(address)


def form(backend: str, kernel: str | Kernel) -> int:
    """Address of the form of a kernel (or of its name) for `backend`, or `MissingForm`."""
    if isinstance(kernel, Kernel) and kernel.own_form is not None and backend in _forms:
        return kernel.own_form.address()
    name = kernel if isinstance(kernel, str) else kernel.name
    if backend == "native" and backend not in _loaded:
        _load_native()
    if backend == "numba" and name not in _forms["numba"]:
        _compile(name)
    try:
        return _forms[backend][name]
    except KeyError:
        raise MissingForm(f"The backend {backend!r} has no form of the kernel {name!r}.") from None


def forms(backend: str) -> dict[str, int]:
    """A copy of the table of one backend: of ``numba``, what has been asked for so far."""
    if backend == "native" and backend not in _loaded:
        _load_native()
    return dict(_forms.get(backend, {}))


def has_form(backend: str, name: str) -> bool:
    """Whether a backend has a form of the kernel; nothing is compiled to find out."""
    if backend == "numpy":
        return name in KERNELS
    if backend == "numba":
        from .numba.form import forms as numba_forms

        return name in _forms["numba"] or name in numba_forms()
    return name in forms(backend)


def _load_native() -> None:
    if not native_available():
        raise MissingForm("The compiled modules of fastnn are not there; use fastnn.set_backend('numpy').")
    for module in FAMILIES:
        for name, address in import_module(f"fastnn.kernels.native.{module}").KERNELS.items():
            _forms["native"].setdefault(name, address)
    _loaded.add("native")


def _compile(name: str) -> None:
    from .numba.form import forms as numba_forms

    if name in numba_forms():
        _forms["numba"][name] = numba_forms()[name].address()
