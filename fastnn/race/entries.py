"""What a kernel is raced on: its dimensions with their defaults, inputs of that size, attributes.

One :class:`Entry` for each kernel of `fastnn.kernels.spec.KERNELS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import kernels  # noqa: F401  (fills KERNELS)
from ..kernels import (
    activation,
    attention,
    augment,
    conv,
    data,
    dense,
    depthwise,
    dropout,
    elementwise,
    embedding,
    errors,
    factored,
    loss,
    metric,
    moments,
    norm,
    optim,
    pool,
    recurrent,
    reduce,
    segments,
    tall,
)
from ..kernels.spec import KERNELS, Kernel
from ..spelling import nearest
from .inputs import (
    attended,
    attended_back,
    attended_next,
    by_segment,
    factors,
    factors_of_squares,
    flat,
    images,
    larger,
    matrices,
    normal,
    normed,
    normed_product,
    picked,
    positive,
    probabilities,
    row_normed,
    seen,
    sequences,
    softmaxed,
    update,
    updated_by_rows,
    upstream,
    windows,
)
from .timing import aligned

FLAT = {"n": 1 << 20}
ROWS = {"rows": 4096, "columns": 256}
CLASSES = {"rows": 8192, "columns": 10}
PRODUCT = {"M": 32, "K": 784, "N": 300}
ATTENDED = {"batch": 32, "length": 64, "heads": 4, "dim": 32}
IMAGES = {"images": 16, "height": 28, "width": 28, "channels": 16, "filters": 32}  #: convolved by windows of 3 x 3
SEQUENCE = {"B": 64, "T": 28, "H": 128}
PICTURES = {"images": 64, "size": 24, "channels": 64}  #: pooled by windows of 2 x 2


@dataclass(frozen=True)
class Entry:
    """How a kernel is raced.

    Attributes
    ----------
    kernel : which one.
    make : (random numbers, attributes, dimensions...) -> inputs, floats in any precision.
    size : the dimensions, with the values they have where nobody says otherwise.
    attrs : attributes, where the kernel's own defaults do not serve.
    shaped : dimensions -> attributes that follow from them.
    terms : dimensions -> how many roundings stand behind one element; see `agreement.compare`.
    """

    kernel: Kernel
    make: Callable[..., tuple]
    size: Mapping[str, int]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    shaped: Callable[..., dict[str, Any]] = field(default=lambda **size: {})
    terms: Callable[..., float] = field(default=lambda **size: 8.0)

    def attributes(self, size: Mapping[str, int], given: Mapping[str, Any]) -> dict[str, Any]:
        """All attributes of the kernel for this size; `given` go before the entry's own."""
        shaped = self.shaped(**size)
        for name in given:
            if name in shaped or name not in self.kernel.attrs:
                known = [*self.size, *(a for a in self.kernel.attrs if a not in shaped)]
                raise ValueError(f"{self.kernel.name} can't be raced with {name}={given[name]!r}: it has "
                                 f"{', '.join(known)}.")
        return self.kernel.complete({**self.attrs, **given, **shaped})

    def inputs(self, size: Mapping[str, int], attrs: Mapping[str, Any], seed: int = 0) -> tuple:
        """Inputs of this size: float32 where there are floats (step scalars stay float64), aligned to 64 bytes."""
        made = self.make(np.random.default_rng(seed), attrs, **size)
        return tuple(None if x is None else aligned(_narrow(np.asarray(x))) for x in made)

    def smaller(self, size: Mapping[str, int], elements: int) -> dict[str, int]:
        """This size, with fewer of its first dimension if there are more than so many elements."""
        first, *others = size
        rest = int(np.prod([size[name] for name in others], dtype=np.float64)) if "K" not in size else size["K"]
        return {**size, first: max(1, min(size[first], elements // max(rest, 1)))}


def _narrow(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if x.dtype == np.float64 and x.ndim else x


def _along(rows: int, columns: int) -> float:
    return 16 + columns / 8


def _down(rows: int, columns: int) -> float:
    return 16 + 2 * rows**0.5


def _all(n: int) -> float:
    return 16 + 4 * n**0.5


def _inner(name: str):
    return lambda **size: 16 + 4 * size[name] ** 0.5


def _table() -> list[Entry]:
    e, d, r = elementwise, dense, reduce
    keys = {"key0": 1, "key1": 2}
    made = [Entry(k, flat(normal), FLAT) for k in (
        e.negative, e.exp, e.square, e.absolute, e.sign, e.expm1, e.erf, e.copy)]
    made += [Entry(k, flat(positive), FLAT) for k in (e.log, e.log1p, e.sqrt, e.reciprocal)]
    made += [Entry(k, flat(normal, normal), FLAT) for k in (
        e.add, e.subtract, e.multiply, e.maximum, e.minimum, e.greater)]
    made += [Entry(e.divide, flat(normal, positive), FLAT), Entry(e.power, flat(positive, normal), FLAT)]
    made += [
        Entry(e.where, flat(lambda rng, n: rng.integers(0, 2, n).astype(np.float32), normal, normal), FLAT),
        Entry(e.affine, flat(normal), FLAT, {"scale": 1.5, "offset": -0.5}),
        Entry(e.clip, flat(normal), FLAT, {"low": -1.0, "high": 1.0}),
        Entry(e.clip_grad, flat(normal, normal), FLAT, {"low": -1.0, "high": 1.0}),
        Entry(e.fill, flat(), FLAT, {"value": 1.5}, lambda n: {"shape": (n,)}),
        Entry(activation.activation, flat(normal), FLAT, {"kind": "sigmoid"}),
        Entry(activation.activation_grad, upstream, FLAT, {"kind": "sigmoid"}),
        Entry(activation.ramp, flat(normal), FLAT, {"slope": 0.1, "top": 6.0}),
        Entry(activation.ramp_grad, flat(normal, normal), FLAT, {"slope": 0.1, "top": 6.0}),
        Entry(activation.prelu, lambda rng, attrs, rows, columns: (
            normal(rng, rows, columns), normal(rng, columns)), ROWS),
        Entry(activation.prelu_grad, lambda rng, attrs, rows, columns: (
            normal(rng, rows, columns), normal(rng, rows, columns), normal(rng, columns)), ROWS),
        Entry(activation.glu, lambda rng, attrs, rows, columns: (normal(rng, rows, 2 * columns),), ROWS),
        Entry(activation.glu_grad, lambda rng, attrs, rows, columns: (
            normal(rng, rows, columns), normal(rng, rows, 2 * columns)), ROWS),
        Entry(activation.sparsemax, matrices(normal), ROWS, terms=_along),
        Entry(activation.sparsemax_grad, lambda rng, attrs, rows, columns: (
            normal(rng, rows, columns), activation.sparsemax(normal(rng, rows, columns))), ROWS, terms=_along),
        Entry(activation.softmax, matrices(normal), ROWS, terms=_along),
        Entry(activation.softmax_grad, matrices(normal, lambda *a: softmaxed(normal(*a))), ROWS, terms=_along),
        Entry(activation.log_softmax, matrices(normal), ROWS, terms=_along),
        Entry(activation.log_softmax_grad, matrices(normal, lambda *a: np.log(softmaxed(normal(*a)))), ROWS,
              terms=_along),
        Entry(dropout.dropout, lambda rng, attrs, n: (normal(rng, n), np.float64(7)), FLAT, {"rate": 0.2, **keys}),
        Entry(dropout.random_uniform, lambda rng, attrs, n: (np.float64(7),), FLAT, keys, lambda n: {"shape": (n,)}),
        Entry(dropout.random_normal, lambda rng, attrs, n: (np.float64(7),), FLAT, keys, lambda n: {"shape": (n,)}),
    ]
    made += [
        Entry(d.dense, lambda rng, attrs, M, K, N: (normal(rng, M, K), normal(rng, K, N), normal(rng, N)), PRODUCT,
              {"activation": "relu"}, terms=_inner("K")),
        Entry(d.dense_grad_input, lambda rng, attrs, M, K, N: (
            normal(rng, M, N), normal(rng, K, N), None if attrs["activation"] == "linear" else d.activate(
                normal(rng, M, K), attrs["activation"], attrs["alpha"])), PRODUCT, terms=_inner("N")),
        Entry(d.dense_grad_weight, lambda rng, attrs, M, K, N: (normal(rng, M, K), normal(rng, M, N), None), PRODUCT,
              terms=_inner("M")),
        Entry(d.norm_dense_grad, normed_product, PRODUCT, terms=lambda M, K, N: 32 + 4 * (M**0.5 + N**0.5)),
        Entry(d.matmul, factors, {"M": 512, "K": 512, "N": 512}, terms=_inner("K")),
    ]
    around, relu = {"padding": (1, 1, 1, 1)}, {"activation": "relu"}
    pixels = {"terms": lambda images, height, width, channels, filters: 32 + 4 * (images * height * width) ** 0.5}
    taps = {"terms": lambda images, height, width, channels, filters: 64 + 4 * (9 * max(channels, filters)) ** 0.5}

    def shape(images, height, width, channels, filters):
        return {"shape": (height, width)}

    made += [
        Entry(conv.conv, images("x", "w", "b"), IMAGES, {**around, **relu}, **taps),
        Entry(conv.conv_grad_input, images("dz", "turned", "y", ""), IMAGES, {**around, **relu}, shape, **taps),
        Entry(conv.conv_grad_weight, images("x", "dz"), IMAGES, {**around, "window": (3, 3)}, **pixels),
        Entry(conv.conv_transpose, images("dz", "turned", "c"), IMAGES, {**around, **relu}, shape, **taps),
        Entry(conv.turn_kernel, images("w"), IMAGES),
        Entry(depthwise.depthwise, images("x", "each", "c"), IMAGES, {**around, **relu}),
        Entry(depthwise.depthwise_grad_input, images("dx", "each", "y"), IMAGES, {**around, **relu}, shape),
        Entry(depthwise.depthwise_grad_weight, images("x", "dx"), IMAGES, {**around, "window": (3, 3)}, **pixels),
    ]
    made += [Entry(k, matrices(positive), ROWS, {"axes": (1,)}, terms=lambda rows, columns: _all(rows * columns))
             for k in (r.reduce_sum, r.reduce_mean, r.reduce_max)]
    made += [
        Entry(r.broadcast_to, lambda rng, attrs, rows, columns: (normal(rng, columns),), ROWS, {},
              lambda rows, columns: {"shape": (rows, columns)}),
        Entry(r.transpose, matrices(normal), ROWS),
        Entry(r.concat, matrices(normal, normal), ROWS),
        Entry(r.slice_axis, matrices(normal), ROWS, {"axis": 1},
              lambda rows, columns: {"start": columns // 4, "stop": columns - columns // 4}),
        Entry(r.pad_axis, matrices(normal), ROWS, {"axis": 1, "before": 1, "after": 1}),
    ]
    made += [Entry(k, normed(k), ROWS, terms=_down) for k in (
        norm.batch_norm, norm.batch_norm_grad, norm.batch_norm_grad_parameters, norm.batch_norm_inference,
        norm.batch_norm_inference_grad, norm.fold_norm, tall.batch_norm_moments, tall.batch_norm_rows,
        tall.batch_norm_grad_sums, tall.batch_norm_grad_rows)]
    made += [
        Entry(norm.row_norm, row_normed(norm.row_norm), ROWS, terms=_along),
        Entry(norm.row_norm_grad, row_normed(norm.row_norm_grad), ROWS, terms=_along),
        Entry(norm.row_norm_grad_parameters, row_normed(norm.row_norm_grad_parameters), ROWS, {},
              lambda rows, columns: {"width": columns}, _down),
    ]
    pairs = {"pool": (2, 2), "strides": (2, 2)}
    made += [Entry(k, windows(k), PICTURES, pairs) for k in (pool.max_pool, pool.average_pool)]
    made += [Entry(k, windows(k), PICTURES, pairs, lambda images, size, channels: {
        "shape": (images, size, size, channels)}) for k in (pool.max_pool_grad, pool.average_pool_grad)]
    pictures = {"images": 64, "size": 28, "channels": 3}
    made += [
        Entry(augment.affine_matrix, lambda rng, attrs, n: (rng.random((n, augment.DRAWS)), None), {"n": 1024},
              {"height": 28.0, "width": 28.0, "turn_low": -0.1, "turn_high": 0.1}),
        Entry(augment.affine_sample, seen, pictures, {}, lambda images, size, channels: {"size": (size, size)}),
        Entry(augment.paste_boxes, lambda rng, attrs, images, size, channels: (
            normal(rng, images, size, size, channels), rng.random((images, 4)) * size, None, None), pictures),
        Entry(augment.mix_rows, lambda rng, attrs, rows, columns: (
            normal(rng, rows, columns), rng.random(rows), rng.random(1)), {"rows": 64, "columns": 3072}),
        Entry(augment.quantile, lambda rng, attrs, n: (rng.random(n), np.linspace(-1, 1, 1025)), FLAT),
    ]
    made += [Entry(pool.resample, larger, {"images": 64, "size": 14, "channels": 64}, {"axis": 1})]
    made += [Entry(k, probabilities(k), CLASSES, terms=_along) for k in (
        loss.softmax_cross_entropy, loss.softmax_cross_entropy_grad, loss.softmax_cross_entropy_dense,
        loss.softmax_cross_entropy_dense_grad, loss.cross_entropy, loss.cross_entropy_grad, loss.cross_entropy_dense,
        loss.cross_entropy_dense_grad, loss.sigmoid_cross_entropy, loss.sigmoid_cross_entropy_grad,
        loss.binary_cross_entropy, loss.binary_cross_entropy_grad, errors.squared_error, errors.squared_error_grad,
        errors.absolute_error, errors.absolute_error_grad, errors.huber_error, errors.huber_error_grad,
        errors.log_cosh_error, errors.log_cosh_error_grad, metric.sparse_categorical_hits, metric.categorical_hits,
        metric.binary_hits)]
    made += [
        Entry(loss.weighted_sum, flat(positive, positive), FLAT, {}, lambda n: {"scale": 1 / n}, _all),
        Entry(loss.weighted_sum_grad, lambda rng, attrs, n: (np.float32(0.7), positive(rng, n)), FLAT, {},
              lambda n: {"scale": 1 / n, "shape": (n,)}),
        Entry(optim.sum_of_squares, flat(normal), FLAT, terms=lambda n: 16 + 4 * min(n, optim.SQUARES) ** 0.5),
        Entry(optim.global_norm_scale, flat(positive), {"n": 64}, {"limit": 1.0}, terms=_all),
        Entry(data.gather_rows, picked(features=True), {"rows": 1024, "columns": 784},
              {"source": "uint8", "scale": 1 / 255}),
        Entry(data.gather_labels, picked(features=False), {"rows": 1024}, {"source": "uint8"}),
    ]
    made += [Entry(k, by_segment(k), FLAT, terms=lambda n: 16 + 4 * min(n, optim.SQUARES) ** 0.5) for k in (
        segments.piece_squares, segments.scale_segments, segments.scaled_sgd, segments.scaled_momentum)]
    made += [
        # with a pull, or the step that stands where the gradient was would shrink to denormal numbers
        Entry(segments.lamb, by_segment(segments.lamb), FLAT, {"pull": 1.0},
              terms=lambda n: 16 + 4 * min(n, optim.SQUARES) ** 0.5),
        Entry(segments.clip_ratios, by_segment(segments.clip_ratios), FLAT, {"limit": 1.0}, lambda n: {"segments": 4},
              _all),
        Entry(segments.trust_ratios, by_segment(segments.trust_ratios), FLAT, {}, lambda n: {"segments": 4}, _all),
        Entry(segments.clip_units, matrices(normal, normal), ROWS, {"clipping": 0.01}, terms=_down),
    ]
    made += [Entry(k, make, ATTENDED, {"scale": 0.18, "causal": 1}, terms=lambda batch, length, heads, dim: 32 + length)
             for k, make in ((attention.attention, attended), (attention.attention_grad, attended_back))]
    made += [
        Entry(attention.attention_step, attended_next, ATTENDED, {"scale": 0.18},
              terms=lambda batch, length, heads, dim: 32 + length),
        Entry(embedding.embedding, lambda rng, attrs, rows, columns: (
            rng.integers(0, 1024, rows).astype(np.int32), normal(rng, 1024, columns)), ROWS),
        Entry(embedding.embedding_grad, lambda rng, attrs, rows, columns: (
            normal(rng, rows, columns), rng.integers(0, 1024, rows).astype(np.int32)), ROWS, {"rows": 1024},
            terms=_down),
        Entry(embedding.token_order, lambda rng, attrs, rows, columns: (
            rng.integers(0, 1024, rows).astype(np.int32),), ROWS, {"count": 1024}),
        *(Entry(k, updated_by_rows(k), ROWS, terms=_down) for k in (
            embedding.row_sgd, embedding.row_adagrad, embedding.row_adam)),
        Entry(embedding.whole_numbers, flat(lambda rng, n: rng.integers(0, 1000, n).astype(np.float32)), FLAT),
    ]
    made += [Entry(k, factors_of_squares(k), ROWS, terms=lambda rows, columns: 32 + columns / 8) for k in (
        factored.factored_squares, factored.factored_average, factored.factored_lengths, factored.factored_sgd)]
    made += [
        Entry(factored.factored_scale, factors_of_squares(factored.factored_scale), ROWS, {},
              lambda rows, columns: {"count": rows * columns}, lambda rows, columns: 32),
        Entry(factored.adafactor, lambda rng, attrs, n: (normal(rng, n), np.float64(0.9), np.float64(1e-3),
                                                         normal(rng, n), positive(rng, n), None), FLAT, terms=_all),
    ]
    made += [Entry(k, sequences(k), SEQUENCE, terms=lambda B, T, H: (16 + 4 * H**0.5) * T) for k in (
        recurrent.simple_rnn, recurrent.simple_rnn_grad, recurrent.lstm, recurrent.lstm_grad, recurrent.gru,
        recurrent.gru_grad)]
    updates = {optim.clip_inplace: {"limit": 1.0}, optim.l2_grad_inplace: {"coefficient": 1e-4}}
    made += [Entry(k, update(k), FLAT, updates.get(k, {})) for k in (
        optim.sgd, optim.momentum, optim.momentum_outside, optim.rmsprop, optim.rmsprop_momentum,
        optim.rmsprop_centered, optim.adam, optim.adamw, optim.scale_inplace, optim.clip_inplace, optim.add_inplace,
        optim.accumulate, optim.moving_average, optim.l2_grad_inplace, moments.adagrad, moments.adadelta,
        moments.adam_amsgrad, moments.adamax, moments.nadam, moments.radam, moments.lion, moments.ftrl)]
    return made


ENTRIES: dict[str, Entry] = {entry.kernel.name: entry for entry in _table()}


def entry(name: str) -> Entry:
    """The entry of a kernel, or ValueError that offers the nearest name.

    Examples
    --------
    >>> entry("adam").size
    {'n': 1048576}
    >>> entry("adm")
    Traceback (most recent call last):
    ...
    ValueError: Unknown kernel 'adm': did you mean 'adam'?
    """
    if name not in KERNELS:
        close = nearest(name, KERNELS)
        raise ValueError(f"Unknown kernel {name!r}: " + (f"did you mean {close!r}?" if close else
                                                          "fastnn race --list shows all of them."))
    if name not in ENTRIES:
        raise ValueError(f"The kernel {name!r} is raced on arrays of yours: fastnn.race({name}, inputs=(...)).")
    return ENTRIES[name]
