"""Arithmetic on elements."""

from __future__ import annotations

import numpy as np

from .form import elementwise
from .math import log as natural_log


@elementwise
def square(x):
    return x * x


@elementwise
def exp(x):
    return np.exp(x)


@elementwise
def log(x):
    return natural_log(x)


@elementwise
def affine(x, scale, offset):
    return x * scale + offset
