"""Kernels from functions of single elements."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..broadcast import Flat, broadcast_shape, unbroadcast
from ..numba.form import Form
from . import derivative as derivatives
from .function import Own, Signature, checks_bounds, on_arrays, operations, signature

WHO = "fastnn.elementwise"


class ElementwiseKernel(Own, Flat):
    """A kernel that does the same with every element: what `elementwise` makes.

    It is called on tensors of a program, where it emits itself, or on NumPy arrays, where it gives its meaning in their
    dtype. Arrays of several shapes are broadcast together.

    Attributes
    ----------
    function : the user's function.
    inputs : names of its arrays.
    attrs : its numbers with their defaults.
    """

    def __init__(self, function: Callable, derivative: Any, like: Signature, domain: tuple[float, float],
                 check: bool, check_bounds: bool | None):
        self.name = like.name
        self._own(function)
        self.inputs, self.attrs = like.arrays, dict(like.numbers)
        self.outputs = ("y" if "y" not in self.inputs else "result",)
        self.domain = domain
        self.operations = operations(function)
        samples = derivatives.samples(len(self.inputs), domain)
        self._meaning = on_arrays(function, samples)
        self.own_form = Form(function, self, elementwise=True, guarded=True, checked=checks_bounds(check_bounds))
        if check:
            derivatives.check_values(self)
        self._gradients = {} if derivative is None else {
            name: _Gradient(self, name, d, check_bounds)
            for name, d in derivatives.by_input(self, derivative).items()}
        if check and self._gradients:
            derivatives.check_derivatives(self, self._gradients)

    def numpy(self, *inputs, **attrs):
        with np.errstate(all="ignore"):
            made = self._meaning(*np.broadcast_arrays(*inputs) if len(inputs) > 1 else inputs, **attrs)
        return np.asarray(made, np.result_type(*inputs))

    def __call__(self, *inputs: Any, **attrs: Any):
        if len(inputs) != len(self.inputs):
            raise TypeError(f"{self.name} takes {', '.join(self.inputs)}; got {len(inputs)} arrays.")
        graph = self._graph(inputs)
        if graph is None:
            return super().__call__(*map(_floats, inputs), **attrs)
        from ..reduce import broadcast_to

        tensors = [graph.tensor(x) for x in inputs]
        shape = broadcast_shape(self.name, *(t.shape for t in tensors))
        return super().__call__(*(t if t.shape == shape else broadcast_to(t, shape=shape) for t in tensors), **attrs)

    @property
    def has_gradient(self) -> bool:
        return bool(self._gradients)

    def gradient(self, call, **grads):
        if not self.has_gradient:
            raise TypeError(f"{self.name} has no derivative, so nothing may be trained through it: give one, "
                            f"{WHO}(derivative=...).")
        (upstream,) = grads.values()
        need = call.extra.get("need") or set(self.inputs)
        found = {}
        for name, g in self._gradients.items():
            if name in need:
                given = (upstream, *call.inputs, *([call.outputs[0]] if g.takes_output else []))
                found[name] = unbroadcast(g(*given, **call.attrs), tuple(call[name].shape))
        return found



class _Gradient(Flat):
    """dx = dy f'(x): the gradient of one input of an elementwise kernel."""

    def __init__(self, of: ElementwiseKernel, wrt: str, derivative: Callable, check_bounds: bool | None):
        self.of, self.wrt = of, wrt
        self.name = f"{of.name}_grad" if len(of.inputs) == 1 else f"{of.name}_grad_{wrt}"
        upstream = _free("dy", of.inputs)
        self.takes_output = of.outputs[0] in inspect.signature(derivative).parameters
        self.inputs = (upstream, *of.inputs, *((of.outputs[0],) if self.takes_output else ()))
        self.outputs, self.attrs = (f"d{wrt}",), of.attrs
        self.operations = operations(derivative) + 1
        names = list(inspect.signature(derivative).parameters)
        self.slope = derivative
        product = _product(derivative, upstream, names, self.inputs, of.attrs)
        self.own_form = Form(product, self, elementwise=True, guarded=True, checked=checks_bounds(check_bounds))
        outputs = [of.outputs[0]] if self.takes_output else []
        samples = derivatives.samples(len(of.inputs) + len(outputs), of.domain)
        order = [n for n in names if n in (*of.inputs, *outputs)]
        self._places = [self.inputs.index(n) - 1 for n in order]
        self._numbers = [n for n in names if n in of.attrs]
        self._meaning = on_arrays(derivative, [samples[p] for p in self._places])

    def slope_at(self, *inputs, **attrs):
        """f' at these inputs (and the output, where it takes it), as an array."""
        given = [inputs[p] for p in self._places]
        with np.errstate(all="ignore"):
            return self._meaning(*given, **{n: attrs[n] for n in self._numbers})

    def numpy(self, dy, *inputs, **attrs):
        with np.errstate(all="ignore"):
            return np.asarray(dy * self.slope_at(*inputs, **attrs), dy.dtype)


def _product(derivative: Callable, upstream: str, names: list[str], inputs: tuple, attrs: dict) -> Callable:
    """A function with the gradient kernel's parameters: upstream * derivative(...)."""
    parameters = [*inputs, *(n for n in attrs if n in names)]
    text = f"lambda {', '.join(parameters)}: {upstream} * derivative({', '.join(names)})"
    return eval(text, {"derivative": derivative})  # all names are identifiers, from signatures


def _floats(x):
    return x if isinstance(x, np.ndarray | np.floating) else np.asarray(x, np.float64)


def _free(name: str, taken: tuple[str, ...]) -> str:
    return name if name not in taken else _free(name + "_", taken)


def elementwise(function: Callable | None = None, *, derivative: Any = None,
                domain: tuple[float, float] = (-8.0, 8.0), check: bool = True, check_bounds: bool | None = None):
    """Decorator: a kernel from a Python function of single elements.

        y[i] = function(x[i], ...)        dx[i] = dy[i] * derivative(x[i], ...)

    The result is an op: an activation of a layer, a term of a loss, a step in any function that is traced. Numba
    compiles it when a program first uses it; then it runs in the native executor, on several threads, with its line
    in ``explain``. Literals are float32 in it, and ``exp``, ``log``, ``log1p``, ``expm1``, ``tanh`` and ``erf`` of
    NumPy or ``math`` are fastnn's own, which vectorize.

    Parameters
    ----------
    function : parameters without a default are arrays, those with a default numbers that stay the same in a
        program: ``bent(x, beta=1.5)``, used as ``bent(h)`` or ``bent(h, beta=2.0)``.
    derivative : function with parameters of the same names (any of them, in any order; ``y`` is the output), which
        gives df/dx. For several arrays, a dict of such functions by the array's name; an array that it leaves out
        gets no gradient. Without one, the kernel can be used but not trained through.
    domain : ends of the interval from which the checks take their points; give it where the function is not meant
        for all numbers.
    check : compare the derivative with central differences, and look for values that are not finite. False for a
        derivative that differs on purpose (a straight-through estimator).
    check_bounds : compile with checks of indices, slower; by default as FASTNN_CHECK_BOUNDS says.

    Returns
    -------
    ElementwiseKernel

    Raises
    ------
    TypeError : the parameters are not as above.
    ValueError : the function or its derivative is not finite somewhere in the domain, or the derivative is wrong; the
        sentence names the place.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> def slope(x, beta=1.0):
    ...     s = 1 / (1 + np.exp(-beta * x))
    ...     return s + beta * x * s * (1 - s)
    >>> @fastnn.elementwise(derivative=slope)
    ... def swish(x, beta=1.0):
    ...     return x / (1 + np.exp(-beta * x))
    >>> swish(np.array([0.0, 1.0]), beta=2.0).round(4)
    array([0.    , 0.8808])
    >>> layer = fastnn.layers.Dense(8, activation=swish)

    >>> @fastnn.elementwise(derivative=lambda x: 2 * x + 1)
    ... def square(x):
    ...     return x * x
    Traceback (most recent call last):
    ...
    ValueError: The derivative of square is wrong: at x = -7.84 it gives -14.69, central differences give -15.69.
    """
    if function is None:
        return lambda f: elementwise(f, derivative=derivative, domain=domain, check=check, check_bounds=check_bounds)
    low, high = map(float, domain)
    if not low < high:
        raise ValueError(f"{WHO}: domain must be (low, high) with low below high; got {domain}.")
    return ElementwiseKernel(function, derivative, signature(function, WHO), (low, high), check, check_bounds)
