"""The one list of kernel cases: parity, gradient checks and benchmarks all walk it.

Each family's module here lists its `Case`s in ``CASES``; a new kernel is one entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from fastnn.kernels.spec import Kernel

FAMILIES = ("elementwise", "reduce", "dense", "activation", "norm", "dropout", "loss", "optim", "moments", "data",
            "pool")
EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Case:
    """One kernel on one set of inputs.

    make(rng) gives the inputs in the widest dtype that makes sense (floats in float64; None for an
    absent optional one). Floats are handed to the native form as float32 and to the meaning as the
    same values in float64. `terms` is how many roundings an output element goes through (for a
    product, the accumulation length): the allowed error is `slack * terms * EPS` times the scale of
    the output, `scale(reference)`, by default its largest magnitude.
    """

    kernel: Kernel
    make: Callable[[np.random.Generator], tuple]
    attrs: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    terms: int = 4
    slack: float = 2.0
    grad: tuple[str, ...] = ()  # input slots whose gradient is checked against central differences
    exact: bool = False  # bits must equal the meaning computed in float32
    small: bool = True  # small enough for central differences

    @property
    def id(self) -> str:
        return f"{self.kernel.name}[{self.label}]" if self.label else self.kernel.name

    def inputs(self, seed: int = 0) -> tuple:
        """The inputs rounded to float32 where they are floats (so that both forms see one value)."""
        made = self.make(np.random.default_rng(seed))
        return tuple(narrow(x) for x in made)


def narrow(x):
    """float64 arrays as float32, all else unchanged. Zero-dimensional float64 are step scalars and stay."""
    if x is None:
        return None
    x = np.asarray(x)
    return x.astype(np.float32) if x.dtype == np.float64 and x.ndim else x


def widen(x):
    return x.astype(np.float64) if x is not None and x.dtype == np.float32 else x


def all_cases() -> list[Case]:
    return [c for f in FAMILIES for c in import_module(f"tests.cases.{f}").CASES]
