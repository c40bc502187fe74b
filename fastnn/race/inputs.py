"""Inputs for races: makers of arrays for a kernel's slots, from random numbers, attributes and sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import kernels  # noqa: F401  (fills KERNELS)
from ..kernels import (
    activation,
    attention,
    augment,
    embedding,
    factored,
    pool,
    segments,
    tall,
)
from ..kernels.spec import KERNELS, Kernel

Rng = np.random.Generator
f4 = np.float32


def images(*what: str):
    """Inputs of the convolutions that fill the window's border with zeros: x, dz, w, turned and so on."""
    def make(rng: Rng, attrs, images, height, width, channels, filters):
        shapes = {"x": (images, height, width, channels), "y": (images, height, width, channels),
                  "dz": (images, height, width, filters), "w": (3, 3, channels, filters), "b": (filters,),
                  "turned": (3, 3, filters, channels), "c": (channels,), "each": (3, 3, channels, 1),
                  "dx": (images, height, width, channels)}
        return tuple(normal(rng, *shapes[name]) if name else None for name in what)
    return make



def normal(rng: Rng, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def positive(rng: Rng, *shape: int) -> np.ndarray:
    """Uniform from 0.5 to 3: roots, logarithms and quotients like them."""
    return rng.random(shape, np.float32) * np.float32(2.5) + np.float32(0.5)


def flat(*makers: Callable[..., np.ndarray]):
    """n elements in each slot."""
    return lambda rng, attrs, n: tuple(make(rng, n) for make in makers)


def matrices(*makers: Callable[..., np.ndarray]):
    """rows x columns in each slot."""
    return lambda rng, attrs, rows, columns: tuple(make(rng, rows, columns) for make in makers)


def softmaxed(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def upstream(rng: Rng, attrs: Mapping, n: int) -> tuple:
    """dy, x, y of an activation: x or y, as its derivative needs it."""
    x = normal(rng, n)
    from_output = attrs["kind"] in activation.FROM_OUTPUT
    y = activation.value(attrs["kind"], x, attrs["alpha"]) if from_output else None
    return normal(rng, n), None if from_output else x, y


#: step scalars of the optimizers
SCALARS = {"rate": 1e-3, "alpha": 1e-3, "mu": 0.9, "gain": 1.0, "gamma": 1e-3, "epsilon": 1e-7, "decay": 1e-5,
           "adaptive": 1.0, "l2": 0.1, "keep": 0.0, "overwrite": 0.0}


def update(kernel: Kernel):
    """Inputs of an optimizer: no state drifts to infinity, NaN or denormal numbers however often it is updated."""
    def make(rng: Rng, attrs: Mapping, n: int) -> tuple:
        made: dict[str, Any] = {name: np.float64(SCALARS[name]) for name in kernel.scalars if name in SCALARS}
        made.update(dict.fromkeys(kernel.optional))
        for name in kernel.inputs:
            made.setdefault(name, normal(rng, n))
        if "scale" in kernel.inputs:
            made["scale"] = np.float32(-1)  # anything smaller would end in denormal numbers
        if "v" in made and not kernel.name.startswith("momentum"):
            made["v"] = np.square(made["v"]) + np.float32(2)  # beyond mean**2, which `rmsprop_centered` subtracts
        for name in ("a", "d", "top", "u"):
            if name in made:
                made[name] = np.abs(made[name]) + np.float32(0.5)
        return tuple(made[name] for name in kernel.inputs)
    return make


def by_segment(kernel: Kernel):
    """Inputs of a kernel of segments: four of them, an arena's gap behind each but the last."""
    def make(rng: Rng, attrs: Mapping, n: int) -> tuple:
        ends = [n * i // 4 // 16 * 16 for i in range(4)] + [n]
        rows = [row for i in range(4) for row in segments.cut(ends[i], ends[i + 1], i)]
        made: dict[str, Any] = {name: np.float64(SCALARS[name]) for name in getattr(kernel, "scalars", ())}
        made.update({"pieces": np.array(rows, np.int64).reshape(-1, 3), "adapts": None,
                     "ratio": -np.ones(4, np.float32)})  # anything smaller would end in denormal numbers
        for name in kernel.inputs:
            made.setdefault(name, positive(rng, n) if name == "v" else normal(rng, n))
        if "segments" in kernel.attrs:
            made.update({name: positive(rng, len(rows)) for name in ("partial", "u", "w")})
        return tuple(made[name] for name in kernel.inputs)
    return make


def factors_of_squares(kernel: Kernel):
    """Inputs of Adafactor's kernels for one matrix."""
    def make(rng: Rng, attrs: Mapping, rows: int, columns: int) -> tuple:
        stripes = -(-rows // factored.STRIPE)
        shapes = {"g": (1, rows, columns), "w": (1, rows, columns), "rows": (1, rows), "columns": (1, stripes, columns),
                  "r": (1, rows), "c": (1, columns), "row": (1, rows), "column": (1, columns), "u2": (stripes,),
                  "w2": (stripes,), "scale": (1,)}
        made: dict[str, Any] = {n: normal(rng, *s) if n in "gw" else positive(rng, *s) for n, s in shapes.items()}
        made |= {"rate": np.float64(1e-3), "keep": np.float64(0.9), "decay": None}
        return tuple(made[name] for name in kernel.inputs)
    return make


def probabilities(kernel: Kernel):
    """Inputs of losses and hits by their slots' names."""
    def make(rng: Rng, attrs: Mapping, rows: int, columns: int) -> tuple:
        z = normal(rng, rows, columns) * 2
        alone = "binary" in kernel.name or "sigmoid" in kernel.name
        p = (rng.random(z.shape) if alone else softmaxed(z)) * 0.98 + 0.01
        if kernel.name.startswith("softmax"):
            p = softmaxed(z)
        t = rng.random(z.shape)
        if "hits" in kernel.name:
            t = (t > 0.5) * 1.0
        slots = {"z": z, "p": p, "t": normal(rng, rows, columns) if "error" in kernel.name else t,
                 "labels": rng.integers(0, columns, rows).astype(np.int32), "y": normal(rng, rows, columns),
                 "g": normal(rng, rows)}
        return tuple(slots[name] for name in kernel.inputs)
    return make


def normed(kernel: Kernel):
    """Inputs of batch normalisation by their slots' names; mean and rstd are those of x."""
    def make(rng: Rng, attrs: Mapping, rows: int, columns: int) -> tuple:
        x = normal(rng, rows, columns) + np.float32(0.5)
        var = x.var(0)
        slots = {"x": x, "dy": normal(rng, rows, columns), "gamma": normal(rng, columns), "beta": normal(rng, columns),
                 "mean": x.mean(0), "rstd": 1 / np.sqrt(var + 1e-3), "moving_mean": normal(rng, columns),
                 "moving_var": var + np.float32(0.1), "plus": None, "w": x, "b": None}
        if "means" in kernel.inputs:
            slots["means"], slots["squares"] = tall.batch_norm_moments.numpy(x)
        if "s" in kernel.inputs:
            slots["s"], slots["q"] = tall.batch_norm_grad_sums.numpy(slots["dy"], x, slots["mean"])
        return tuple(slots[name] for name in kernel.inputs)
    return make


def row_normed(kernel: Kernel):
    """Inputs of row normalisation by their slots' names."""
    def make(rng: Rng, attrs: Mapping, rows: int, columns: int) -> tuple:
        x = normal(rng, rows, columns) + np.float32(0.5)
        slots = {"x": x, "dy": normal(rng, rows, columns), "gamma": normal(rng, columns), "beta": normal(rng, columns),
                 "mean": x.mean(1), "rstd": 1 / np.sqrt(x.var(1) + 1e-3)}
        return tuple(slots[name] for name in kernel.inputs)
    return make


def normed_product(rng: Rng, attrs: Mapping, M: int, K: int, N: int) -> tuple:
    """Inputs of `norm_dense_grad`."""
    x, dz = normal(rng, M, K), normal(rng, M, N)
    return (x, x.mean(0), 1 / np.sqrt(x.var(0) + 1e-3), normal(rng, K), normal(rng, K), normal(rng, K, N), dz,
            dz.sum(0), None)


def factors(rng: Rng, attrs: Mapping, M: int, K: int, N: int) -> tuple:
    """Inputs of `matmul`, turned as its attributes say."""
    a, b = (K, M) if attrs["transpose_a"] else (M, K), (N, K) if attrs["transpose_b"] else (K, N)
    return normal(rng, *a), normal(rng, *b)


def attended(rng: Rng, attrs: Mapping, batch: int, length: int, heads: int, dim: int) -> tuple:
    """Inputs of attention: queries, keys and values of one sequence."""
    return (*(normal(rng, batch, length, heads, dim) for _ in "qkv"), None, None)


def attended_next(rng: Rng, attrs: Mapping, batch: int, length: int, heads: int, dim: int) -> tuple:
    """Inputs of attention's next step: the last of a sequence."""
    return (*(normal(rng, batch, heads, dim) for _ in "qkv"), *(normal(rng, batch, heads, length, dim) for _ in "kv"),
            np.array([length - 1], np.int32))


def attended_back(rng: Rng, attrs: Mapping, batch: int, length: int, heads: int, dim: int) -> tuple:
    """Inputs of attention's gradient."""
    q, k, v, mask, step = attended(rng, attrs, batch, length, heads, dim)
    return (normal(rng, *q.shape), q, k, v, *attention.attention(q, k, v, mask, step, **attrs), mask, step)


def updated_by_rows(kernel: Kernel):
    """Inputs of an update by rows: tokens of a table of 1024 rows."""
    def make(rng: Rng, attrs: Mapping, rows: int, columns: int) -> tuple:
        tokens = rng.integers(0, 1024, rows).astype(np.int32)
        scalars = [np.float64(1e-3)] * (len(kernel.inputs) - 3 - len(kernel.outputs))
        tables = (positive(rng, 1024, columns) for _ in kernel.outputs)
        return (normal(rng, rows, columns), *embedding.token_order.numpy(tokens, count=1024), *scalars, *tables)

    return make


def picked(features: bool):
    """Rows of a larger array of uint8, as a data set of images is."""
    def make(rng: Rng, attrs: Mapping, rows: int, columns: int = 1) -> tuple:
        stock = max(8192, rows)
        shape = (stock, columns) if features else (stock,)
        return rng.integers(0, 255 if features else 10, shape).astype(attrs["source"]), rng.integers(0, stock, rows)
    return make


def windows(kernel: Kernel):
    """Inputs of pooling by their slots' names: square images in windows of two by two."""
    def make(rng: Rng, attrs: Mapping, images: int, size: int, channels: int) -> tuple:
        x = normal(rng, images, size, size, channels)
        given = {name: attrs[name] for name in pool.Pool.attrs}
        if kernel.inputs == ("x",):
            return (x,)
        y, place = pool.max_pool(x, **given)
        return tuple({"dy": normal(rng, *y.shape), "place": place}[name] for name in kernel.inputs)
    return make


def seen(rng: Rng, attrs: Mapping, images: int, size: int, channels: int) -> tuple:
    """Inputs of `affine_sample`: images turned by up to a tenth of a turn."""
    matrix = augment.affine_matrix(rng.random((images, augment.DRAWS)), None, height=float(size), width=float(size),
                                   turn_low=-0.1, turn_high=0.1)
    return normal(rng, images, size, size, channels), matrix


def larger(rng: Rng, attrs: Mapping, images: int, size: int, channels: int) -> tuple:
    """Inputs of `resample`: rows twice as many, by linear interpolation."""
    at = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
    low = np.floor(at).astype(np.int32)
    index = np.stack([low, np.minimum(low + 1, size - 1)], 1)
    weight = np.stack([1 - (at - low), at - low], 1)
    return (normal(rng, images, size, size, channels), index, weight, *pool.turned(index, weight, size))


def sequences(kernel: Kernel):
    """Projected inputs, a recurrent matrix and an initial state; for a gradient, what the forward kernel gives too."""
    forward = KERNELS[kernel.name.removesuffix("_grad")]

    def make(rng: Rng, attrs: Mapping[str, Any], B: int, T: int, H: int) -> tuple:
        known: dict[str, Any] = {n: normal(rng, B, H) for n in ("h0", "c0", "dend", "dend_c")}
        known |= {"z": normal(rng, B, T, forward.gates * H), "u": normal(rng, H, forward.gates * H) / f4(H**0.5),
                  "b": normal(rng, forward.gates * H), "dy": normal(rng, B, T, H)}
        if kernel is not forward:
            outputs = forward.numpy(*(known.get(n) for n in forward.inputs), **forward.complete({}))
            known |= zip(forward.outputs, outputs)
        return tuple(known.get(n) for n in kernel.inputs)

    return make
