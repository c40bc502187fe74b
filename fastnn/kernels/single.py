"""Run one kernel on NumPy arrays, outside any program: for tests, races and the curious."""

from __future__ import annotations

import numpy as np

from . import tables
from .spec import Array, Call, Kernel


def describe(kernel: Kernel, inputs, attrs) -> Call:
    """The call that these arrays make, with `Array` descriptions in its slots."""
    attrs = kernel.complete(attrs)
    described = tuple(None if x is None else Array(np.shape(x), np.asarray(x).dtype) for x in inputs)
    return Call(kernel, described, tuple(kernel.infer(*described, **attrs)), attrs)


def run(kernel: Kernel, *inputs, backend: str = "native", order=None, **attrs):
    """What `kernel` gives for these arrays in one of its compiled forms; inputs are left alone.

    Parameters
    ----------
    inputs : arrays (or None for an absent optional one), as the kernel's spec names them.
    backend : whose form runs: "native" or "numba"; "python" runs the Numba form as plain Python (slowly, but a
        debugger can step through it), "numpy" is the meaning itself.
    order : list of (first, last) ranges of tiles, run one after another; by default all at once.

    Returns
    -------
    tuple of new arrays, one per output slot.
    """
    if backend == "numpy":
        out = kernel.numpy(*inputs, **kernel.complete(attrs))
        return out if isinstance(out, tuple) else (out,)
    from .native import core

    call = describe(kernel, inputs, attrs)
    inputs += (None,) * (len(kernel.inputs) - len(inputs))
    arrays = {n: None if x is None else np.array(x, order="C") for n, x in zip(kernel.inputs, inputs)}
    outputs = []
    for name, a in zip(kernel.outputs, call.outputs):
        outputs.append(arrays[name] if name in arrays else np.full(a.shape, 170, a.dtype))
    buffers = [*outputs, *(arrays[n] for n in kernel.inputs)]
    addresses = [0 if b is None else b.ctypes.data for b in buffers]
    for first, last in order or [(0, kernel.tiles(call))]:
        if backend == "python":
            _in_python(kernel, addresses, kernel.sizes(call), kernel.numbers(call.attrs), first, last)
        else:
            core.call(tables.form(backend, kernel), addresses, list(map(int, kernel.sizes(call))),
                      kernel.numbers(call.attrs), first, last, kernel.scratch(call))
    if kernel.own_form is not None:
        kernel.own_form.check()
    return tuple(outputs)


def _in_python(kernel: Kernel, addresses, sizes, numbers, first: int, last: int) -> None:
    from .numba.build import python_form
    from .numba.form import forms

    if kernel.own_form is None and kernel.name not in forms():
        raise tables.MissingForm(f"There is no Numba form of the kernel {kernel.name!r} to be run as Python.")
    with np.errstate(all="ignore"):  # whole numbers wrap around in hashes and bit patterns
        python_form(kernel.own_form or forms()[kernel.name])(addresses, list(map(int, sizes)), numbers, first, last)
