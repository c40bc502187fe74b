"""Gradient rules against central differences, in float64."""

import inspect

import numpy as np

from fastnn.kernels.spec import Array, Kernel
from fastnn.program.graph import Graph
from fastnn.program.program import Program

STEP = 1e-5  # error of the difference: about STEP**2 by its formula, EPS / STEP by rounding
MOST = 200  # coordinates of one input; of larger ones, a random choice


def differentiable(kernel: Kernel) -> list[str]:
    """The outputs that the gradient rule names among its parameters, as it must to be handed their gradients."""
    parameters = inspect.signature(kernel.gradient).parameters
    return [n for n in kernel.outputs if n in parameters and n not in kernel.inputs]


def central(f, x: np.ndarray, coordinates) -> np.ndarray:
    """df/dx at some flat coordinates; NaN where f has a kink, told from its two one-sided differences."""
    middle, out = f(x), []
    for i in coordinates:
        values = []
        for h in (-STEP, STEP):
            moved = x.copy()
            moved.reshape(-1)[i] += h
            values.append(f(moved))
        left, right = (middle - values[0]) / STEP, (values[1] - middle) / STEP
        kink = abs(right - left) > 1e-2 * (abs(right) + abs(left)) + 1e-3 * max(1.0, abs(middle))
        out.append(np.nan if kink else (values[1] - values[0]) / (2 * STEP))
    return np.array(out)


def compare(name: str, f, x: np.ndarray, gradient: np.ndarray) -> None:
    """Fail unless `gradient` is that of f at x."""
    assert gradient.shape == x.shape, f"{name}: gradient of shape {gradient.shape} for an input of shape {x.shape}"
    rng = np.random.default_rng(1)
    coordinates = range(x.size) if x.size <= MOST else rng.choice(x.size, MOST, replace=False)
    want, got = central(f, x, coordinates), gradient.reshape(-1)[list(coordinates)]
    smooth = ~np.isnan(want)
    assert smooth.sum() >= 0.5 * smooth.size, f"{name}: the input stands on kinks: {smooth.sum()} of {smooth.size} left"
    scale = max(1e-3, abs(want[smooth]).max(initial=0.0), 1e-3 * abs(f(x)))
    np.testing.assert_allclose(got[smooth], want[smooth], rtol=0, atol=1e-6 * scale, err_msg=name)


def check_rule(kernel: Kernel, inputs, attrs, names) -> None:
    """The gradient rule of one kernel at these inputs (float64), for the input slots in `names`."""
    attrs = kernel.complete(attrs)
    rng = np.random.default_rng(7)
    described = [None if x is None else Array(np.shape(x), np.asarray(x).dtype) for x in inputs]
    outputs = dict(zip(kernel.outputs, kernel.infer(*described, **attrs), strict=True))
    # The outputs are weighed before they are summed: the bare sum of a softmax does not depend on its input.
    weights = {n: rng.normal(size=outputs[n].shape) for n in differentiable(kernel)}
    weights = {n: w for n, w in weights.items() if outputs[n].dtype.kind == "f"}

    graph = Graph(kernel.name)
    feeds = {n: np.asarray(x) for n, x in zip(kernel.inputs, inputs) if x is not None}
    tensors = [None if x is None else graph.feed(n, np.shape(x), np.asarray(x).dtype)
               for n, x in zip(kernel.inputs, inputs)]
    graph.emit(kernel, tensors, attrs)
    call = graph.calls[-1]
    call.extra["need"] = set(names)
    upstream = {n: graph.feed(f"upstream {n}", w.shape, w.dtype) for n, w in weights.items()}
    found = kernel.gradient(call, **upstream)
    missing = [n for n in names if found.get(n) is None]
    assert not missing, f"the rule of {kernel.name} gives no gradient of {missing}"
    for n in names:
        graph.fetch(n, found[n])
    program = Program(graph, backend="numpy", join=False)
    fetches = {n: np.full((1, *found[n].shape), np.nan) for n in names}
    given = {**feeds, **{f"upstream {n}": w for n, w in weights.items()}}
    program.run(1, {n: np.ascontiguousarray(x)[None] for n, x in given.items()}, fetches)

    for n in names:
        place = kernel.inputs.index(n)

        def value(x, place=place):
            moved = [*inputs[:place], x, *inputs[place + 1 :]]
            made = kernel.numpy(*moved, **attrs)
            made = dict(zip(kernel.outputs, made if isinstance(made, tuple) else (made,), strict=True))
            return sum(float(np.sum(w * made[o])) for o, w in weights.items())

        compare(f"{kernel.name}, gradient of {n}", value, np.asarray(inputs[place], np.float64), fetches[n][0])
