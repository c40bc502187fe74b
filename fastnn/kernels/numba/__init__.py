"""The kernels once more, in Python that Numba compiles: same names, same C signature, same executor.

A form of a kernel is one Python function with the slots, sizes and numbers of the kernel's spec as parameters:

>>> from fastnn.kernels.numba.form import forms
>>> print(forms()["square"].source())
def square(x):
    return x * x
<BLANKLINE>

Nothing is compiled, and Numba is not imported, until a program with ``fastnn.set_backend("numba")`` asks for a form.
``fastnn.kernels.single.run(kernel, ..., backend="python")`` runs the same function as plain Python, so that a debugger
can step through it; with ``NUMBA_DISABLE_JIT=1`` whole programs do.
"""
