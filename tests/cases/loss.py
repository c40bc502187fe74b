"""Cases of the losses and metrics: columns around the block of 16, several tiles of rows, bad labels, NaN."""

import numpy as np

from fastnn.kernels import errors, metric
from fastnn.kernels import loss as k
from tests.cases import Case

SHAPES = ((1, 1), (3, 2), (4, 10), (2, 15), (3, 16), (2, 17), (5, 31), (2, 33), (0, 10), (900, 10), (3, 300), (9, 784))


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def inputs(kernel, shape, hard=False):
    """Inputs by their slots' names. With `hard`: large logits, bad labels, p beyond the bounds, equal elements."""

    def make(rng):
        rows, columns = shape
        z = rng.normal(size=shape) * (30 if hard else 2)
        p = softmax(z) if "binary" not in kernel.name and "sigmoid" not in kernel.name else rng.random(shape)
        p = p * 0.98 + 0.01  # away from the bounds of 1e-7, where the gradient jumps
        if kernel.name.startswith("cross_entropy"):
            p = p * rng.uniform(0.5, 2, (rows, 1))  # divided by its sum anyway
        labels = rng.integers(0, columns, rows).astype(np.int32)
        t = rng.random(shape)
        if hard:
            labels[::2] = [-1, columns, -(2**31), 2**31 - 1, columns + 16][: len(labels[::2])]
            p[:, ::3] = rng.choice([0.0, 1e-9], p[:, ::3].shape)
        if "hits" in kernel.name:
            p, t = p.round(1), (t > 0.5) * 1.0
        y = rng.normal(size=shape)
        slots = {"z": z, "p": p, "labels": labels, "t": t if "error" not in kernel.name else y + rng.normal(size=shape),
                 "y": y, "g": rng.normal(size=rows)}
        return tuple(slots[name] for name in kernel.inputs)

    return make


# roundings that matter beside the sums: exp, log, quotient
KERNELS = (
    (k.softmax_cross_entropy, ("z",)), (k.softmax_cross_entropy_grad, ("g", "p")),
    (k.softmax_cross_entropy_dense, ("z",)), (k.softmax_cross_entropy_dense_grad, ("g", "p")),
    (k.cross_entropy, ("p",)), (k.cross_entropy_grad, ()),
    (k.cross_entropy_dense, ("p",)), (k.cross_entropy_dense_grad, ()),
    (k.sigmoid_cross_entropy, ("z",)), (k.sigmoid_cross_entropy_grad, ("g", "p")),
    (k.binary_cross_entropy, ("p",)), (k.binary_cross_entropy_grad, ()),
    (errors.squared_error, ("y", "t")), (errors.squared_error_grad, ("g", "y", "t")),
    (errors.absolute_error, ("y", "t")), (errors.absolute_error_grad, ("g",)),
    (errors.huber_error, ("y", "t")), (errors.huber_error_grad, ("g", "y", "t")),
    (errors.log_cosh_error, ("y", "t")), (errors.log_cosh_error_grad, ("g", "y", "t")),
    (metric.sparse_categorical_hits, ()), (metric.categorical_hits, ()), (metric.binary_hits, ()),
)

CASES = []
for kernel, grad in KERNELS:
    for shape in SHAPES:
        if shape == (1, 1) and "cross_entropy" in kernel.name and "sigmoid" not in kernel.name:
            continue  # one class: log 1, and p - t = 0, of which nothing but rounding would be compared
        terms = 12 + shape[1] // 16
        CASES.append(Case(kernel, inputs(kernel, shape), {}, str(shape), terms, grad=grad,
                          small=0 < shape[0] * shape[1] <= 60))
        if "label_smoothing" in kernel.attrs and shape in ((4, 10), (2, 17)):
            CASES.append(Case(kernel, inputs(kernel, shape), {"label_smoothing": 0.2}, f"{shape},smooth", terms,
                              grad=grad))
    CASES.append(Case(kernel, inputs(kernel, (9, 21), hard=True), {}, "hard", 24, small=False))
for kernel in (errors.huber_error, errors.huber_error_grad):
    CASES.append(Case(kernel, inputs(kernel, (4, 19)), {"delta": 0.25}, "delta=0.25", 13,
                      grad=("y", "t") if kernel is errors.huber_error else (), small=False))
CASES.append(Case(metric.binary_hits, inputs(metric.binary_hits, (4, 19)), {"threshold": 0.25}, "threshold=0.25"))

for n in (0, 1, 15, 16, 17, 33, 300, 5000):
    CASES += [
        Case(k.weighted_sum, lambda rng, n=n: (rng.random(n), None), {"scale": 1 / max(n, 1)}, str(n), 8 + n // 16,
             grad=("values",), small=n < 50),
        Case(k.weighted_sum, lambda rng, n=n: (rng.random(n), rng.random(n)), {}, f"{n},weights", 8 + n // 16,
             grad=("values", "weights"), small=n < 50),
        Case(k.weighted_sum_grad, lambda rng: (np.float32(0.7), None), {"scale": 0.25, "shape": (n,)}, str(n),
             grad=("g",), small=n < 50),
        Case(k.weighted_sum_grad, lambda rng, n=n: (np.float32(0.7), rng.random(n)), {"scale": 0.25, "shape": (n,)},
             f"{n},weights", grad=("g", "weights"), small=n < 50),
    ]
