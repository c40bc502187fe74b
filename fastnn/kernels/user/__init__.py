"""Kernels of one's own, written in Python and compiled by Numba to the signature that all kernels have.

`elementwise` makes one from a function of single elements and its derivative, `kernel` from a function over whole
arrays with its own shapes rule and gradient; `fastnn.update_rule` makes an optimizer from a function of one weight. All
run in native programs at native speed, on any number of threads, beside the built-in kernels.
"""

from .elementwise import ElementwiseKernel, elementwise
from .general import GeneralKernel, kernel

__all__ = ["ElementwiseKernel", "GeneralKernel", "elementwise", "kernel"]
