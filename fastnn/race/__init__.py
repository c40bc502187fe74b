"""One kernel in all its forms: do they agree, how fast is each, and what could this machine do?

The module itself can be called: ``fastnn.race("adam", n=10**6)``, see :func:`race`.

============  ==========================================================================
`sizes`       sizes as people write them
`entries`     what each kernel is raced on
`by_hand`     kernels as one writes them in NumPy
`contenders`  who races: NumPy, the compiled forms
`torch_forms` kernels as PyTorch computes them
`jax_forms`   kernels as JAX computes them
`agreement`   results against the float64 meaning
`timing`      contenders that take turns
`racing`      the race
`report`      table, HTML, JSON, picture
`forms`       which kernel has which forms
============  ==========================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .forms import Forms, forms
from .racing import BACKENDS, run_race
from .report import Race, Row


def race(kernel: Any, sizes: Sequence[Any] | None = None, *, inputs: Sequence[np.ndarray | None] | None = None,
         opponents: Mapping[str, Any] | None = None, threads: Iterable[int] | int | None = None,
         backends: Iterable[str] | None = None, paths: Sequence[str] | None = None, seconds: float = 0.2,
         cold: bool = False, seed: int = 0, **options: Any) -> Race:
    """Race one kernel in all its forms: NumPy, Numba, native on each CPU path, PyTorch and JAX where installed.

    First each result is held against the kernel's meaning in float64 (up to a million elements; of larger arrays a
    smaller race of the same kind is checked). Then the contenders take turns of about 2 ms on the same aligned
    arrays. Native and Numba forms run in the executor of programs, many repetitions at a time, so that no call from
    Python is counted; the others contain theirs. What a kernel updates in place goes on from turn to turn.

    Parameters
    ----------
    kernel : the name of a kernel, a kernel, or an op of a kernel of one's own (which needs `inputs`).
    sizes : several sizes, each a number, a text such as ``"1024x10"``, or a dict of dimensions. A single number means
        elements (the edge of square matrices for the products).
    inputs : arrays to race on, one for each input of the kernel, instead of random ones. They are copied; float64
        arrays become float32.
    opponents : name -> who else takes part: a function of the same inputs that returns the outputs, another kernel
        with the same slots, or a pair of a kernel and its attributes.
    threads : numbers of threads; by default 1 and :func:`fastnn.get_num_threads`.
    backends : of "numpy", "numba", "native", "torch", "jax"; by default all. Those that are not installed, or have
        no form of the kernel, are named in the result.
    paths : CPU paths for the native form; by default all that this machine can run.
    seconds : for each contender, roughly.
    cold : empty the caches before each run; then runs are timed one by one, with their call from Python.
    seed : of the random inputs.
    options : dimensions (``n``; ``rows``, ``columns``; ``M``, ``K``, ``N``) and attributes of the kernel
        (``kind="gelu"``).

    Returns
    -------
    Race
        Print it, ``draw()`` it under the roofline, or take its ``rows`` or ``to_json()``.

    Raises
    ------
    ValueError
        There is no such kernel, backend, CPU path, size or attribute, or the kernel refuses the arrays.

    References
    ----------
    Williams, Waterman, Patterson: Roofline, Communications of the ACM 52(4), 2009.

    Examples
    --------
    >>> import fastnn
    >>> result = fastnn.race("adam", n=1000, backends=["numpy", "native"], seconds=0.0)
    >>> all(row.agreement.agrees for row in result.rows)
    True
    >>> fastnn.race("adm")
    Traceback (most recent call last):
    ...
    ValueError: Unknown kernel 'adm': did you mean 'adam'?
    """
    return run_race(kernel, sizes, inputs=inputs, opponents=opponents, threads=threads, backends=backends, paths=paths,
                    seconds=seconds, cold=cold, seed=seed, **options)


class _RaceModule(ModuleType):
    __call__ = staticmethod(race)


sys.modules[__name__].__class__ = _RaceModule

__all__ = ["BACKENDS", "Forms", "Race", "Row", "forms", "race"]
