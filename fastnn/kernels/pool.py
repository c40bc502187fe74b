"""Pooling of images (N, H, W, C): the largest and the mean of each window, with gradients; resampling along an axis.

A window's row starts at ``i * stride - before`` of the input and may reach beyond it: what lies there counts for
nothing, neither as a maximum nor in a mean. A tile is a run of pixels of what is written, over rows and images.

Gradients are gathered: each pixel of dx adds up what the windows that hold it give it, in their order. So nothing is
written twice, however much windows overlap, and the sums have one order for any number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from .broadcast import float_dtype
from .reduce import norm_axis
from .spec import Array, Call, Kernel, blocks, like, register

CHUNK = 1024  #: elements that a tile has at least, if there are as many
Pair = tuple[int, int]


def pixels_per_tile(channels: int) -> int:
    """Pixels that one tile writes."""
    return max(1, CHUNK // max(channels, 1))


def same_padding(size: int, pool: int, stride: int) -> Pair:
    """(before, after) along one axis such that there are ``ceil(size / stride)`` windows; the odd one comes after.

    Examples
    --------
    >>> same_padding(5, 2, 2), same_padding(7, 3, 1), same_padding(4, 1, 3)
    ((0, 1), (1, 1), (0, 0))
    """
    extra = max((blocks(size, stride) - 1) * stride + pool - size, 0)
    return extra // 2, extra - extra // 2


def windows(size: int, pool: int, stride: int, padding: Pair) -> int:
    """How many windows fit along one axis."""
    return (size + sum(padding) - pool) // stride + 1


class Pool(Kernel):
    """Base: ``pool`` (rows, columns of a window), ``strides``, and ``padding`` ((top, bottom), (left, right))."""

    dims = ("N", "H", "W", "C", "OH", "OW", "PH", "PW", "SH", "SW", "top", "left", "pixels")
    attrs = {"pool": ..., "strides": ..., "padding": ((0, 0), (0, 0))}
    hidden = ("pool", "strides", "padding", "shape")
    large, small = "x", "y"  #: the slots of the images and of what their windows give

    def check(self, pool, strides, padding) -> None:
        if min(*pool, *strides) < 1:
            raise ValueError(f"{self.name}: windows of {pool} at strides of {strides}; sizes of at least 1 are wanted.")
        for name, size, sides in zip(("rows", "columns"), pool, padding):
            if min(sides) < 0 or max(sides) >= size:
                raise ValueError(f"{self.name}: a padding of {sides} beside windows of {size} {name}; from 0 to "
                                 f"{size - 1} is wanted, so that no window is empty.")

    def pooled(self, x: Array, pool, strides, padding) -> tuple[int, int, int, int]:
        """The shape of what the windows of x give."""
        float_dtype(self.name, x)
        if x.ndim != 4:
            raise ValueError(f"{self.name} needs images of shape (N, H, W, C), not {list(x.shape)}.")
        self.check(pool, strides, padding)
        n, *size, c = x.shape
        out = [windows(s, p, t, b) for s, p, t, b in zip(size, pool, strides, padding)]
        if min(out) < 1 or min(size) < 1:
            raise ValueError(f"{self.name}: windows of {pool} with a padding of {padding} do not fit into images of "
                             f"{size[0]} x {size[1]}.")
        return n, *out, c

    def sizes(self, call: Call):
        n, h, w, c = self.image(call)
        _, oh, ow, _ = call[self.small].shape
        (ph, pw), (sh, sw), ((top, _), (left, _)) = (call.attr(a) for a in ("pool", "strides", "padding"))
        return n, h, w, c, oh, ow, ph, pw, sh, sw, top, left, pixels_per_tile(c)

    def image(self, call: Call) -> tuple[int, ...]:
        """The shape of the images."""
        return call[self.large].shape

    def tiles(self, call: Call):
        n, h, w, c = call.outputs[0].shape
        return blocks(n * h * w, pixels_per_tile(c)) if c else 0

    def flops(self, call: Call):
        return float(call[self.small].size * math.prod(call.attr("pool")))


class PoolGrad(Pool):
    """Base of the gradients: ``shape`` is that of dx."""

    outputs = ("dx",)
    attrs = {"shape": ..., **Pool.attrs}
    large, small = "dx", "dy"

    def infer(self, dy: Array, *others: Array, shape, pool, strides, padding, **attrs):
        if self.pooled(like(dy, shape), pool, strides, padding) != dy.shape:
            raise ValueError(f"{self.name}: windows of images of shape {list(shape)} give no {list(dy.shape)}.")
        return (like(dy, shape),)

    def flops(self, call: Call):
        per_pixel = math.prod(blocks(p, s) for p, s in zip(call.attr("pool"), call.attr("strides")))
        return float(call["dx"].size * per_pixel)


def _spans(size: int, out: int, stride: int, at: int) -> tuple[slice, slice]:
    """(windows whose element `at` places from their start lies in the input, where these elements lie)."""
    first = max(0, -(at // stride))
    last = min(out, (size - 1 - at) // stride + 1)
    last = max(last, first)
    return slice(first, last), slice(first * stride + at, (last - 1) * stride + at + 1, stride)


def taps(x_shape, out, pool, strides, padding):
    """For each place in a window, in its order: (number, index of the outputs, index of the pixels)."""
    for i in range(pool[0]):
        rows = _spans(x_shape[1], out[0], strides[0], i - padding[0][0])
        for j in range(pool[1]):
            columns = _spans(x_shape[2], out[1], strides[1], j - padding[1][0])
            yield i * pool[1] + j, (slice(None), rows[0], columns[0]), (slice(None), rows[1], columns[1])


def place_dtype(pool: Pair) -> np.dtype:
    """What the number of a place in a window is kept as."""
    return np.dtype(np.uint8 if math.prod(pool) <= 256 else np.int32)


@register
class max_pool(Pool):
    """y = the largest of each window, and the place in the window where it stands.

    Places are counted by rows, from 0. Of equals it is the first, as in PyTorch, Keras and TensorFlow. NaN counts as
    larger than all else (of several, the place is the last one's, as in PyTorch).

    Slots: y (N,OH,OW,C) and place (the same, uint8, int32 for windows of more than 256) written; x (N,H,W,C).

    Examples
    --------
    >>> x = np.array([1.0, 5.0, 5.0, 2.0, 0.0, 3.0]).reshape(1, 2, 3, 1)
    >>> y, place = max_pool(x, pool=(2, 2), strides=(1, 1))
    >>> y.ravel(), place.ravel()
    (array([5., 5.]), array([1, 0], dtype=uint8))
    """

    name = "max_pool"
    outputs = ("y", "place")

    def infer(self, x, *, pool, strides, padding):
        shape = self.pooled(x, pool, strides, padding)
        return like(x, shape), Array(shape, place_dtype(pool))

    def numpy(self, x, *, pool, strides, padding):
        shape = self.pooled(x, pool, strides, padding)
        y = np.full(shape, -np.inf, x.dtype)
        place = np.full(shape, -1, np.int32)
        for number, out, pixels in taps(x.shape, shape[1:3], pool, strides, padding):
            value = x[pixels]
            take = (value > y[out]) | (value != value) | (place[out] < 0)
            y[out], place[out] = np.where(take, value, y[out]), np.where(take, number, place[out])
        return y, place.astype(place_dtype(pool))

    def terms(self, call: Call):
        return 0

    def gradient(self, call: Call, y=None, place=None):
        if y is None:
            return {}
        return {"x": max_pool_grad(y, call["place"], shape=tuple(call["x"].shape), **call.attrs)}


@register
class max_pool_grad(PoolGrad):
    """Gradient of `max_pool`: each window's dy goes to the pixel whose place was kept.

    Slots: dx (N,H,W,C); dy, place (N,OH,OW,C).
    """

    name = "max_pool_grad"
    inputs = ("dy", "place")

    def infer(self, dy, place, *, shape, pool, strides, padding):
        if place.shape != dy.shape or place.dtype != place_dtype(pool):
            raise ValueError(f"max_pool_grad needs a place for each dy, {place_dtype(pool)} of shape {list(dy.shape)}, "
                             f"not {place.dtype}{list(place.shape)}.")
        return super().infer(dy, shape=shape, pool=pool, strides=strides, padding=padding)

    def numpy(self, dy, place, *, shape, pool, strides, padding):
        dx = np.zeros(shape, dy.dtype)
        for number, out, pixels in reversed(list(taps(shape, dy.shape[1:3], pool, strides, padding))):
            dx[pixels] += np.where(place[out] == number, dy[out], dy.dtype.type(0))
        return dx

    def terms(self, call: Call):
        return math.prod(blocks(p, s) for p, s in zip(call.attr("pool"), call.attr("strides"))) - 1


@register
class average_pool(Pool):
    """y = the mean of each window over the pixels that it holds; padding is not counted. ``mean=0``: the sum.

    Slots: y (N,OH,OW,C); x (N,H,W,C).

    Examples
    --------
    >>> x = np.arange(6.0).reshape(1, 2, 3, 1)
    >>> average_pool(x, pool=(2, 2), strides=(2, 2), padding=((0, 0), (0, 1))).ravel()
    array([2. , 3.5])
    """

    name = "average_pool"
    attrs = {**Pool.attrs, "mean": 1}

    def infer(self, x, *, pool, strides, padding, mean):
        return (like(x, self.pooled(x, pool, strides, padding)),)

    def numpy(self, x, *, pool, strides, padding, mean):
        shape = self.pooled(x, pool, strides, padding)
        y = np.zeros(shape, x.dtype)
        for _, out, pixels in taps(x.shape, shape[1:3], pool, strides, padding):
            y[out] += x[pixels]
        return y * shares(x.shape, shape, pool, strides, padding, x.dtype) if mean else y

    def terms(self, call: Call):
        return math.prod(call.attr("pool")) + 1

    def gradient(self, call: Call, *, y):
        return {"x": average_pool_grad(y, shape=tuple(call["x"].shape), **call.attrs)}


def shares(x_shape, y_shape, pool, strides, padding, dtype):
    """1 over the number of pixels of each window, (OH, OW, 1)."""
    counts = []
    for size, out, p, s, (before, _) in zip(x_shape[1:3], y_shape[1:3], pool, strides, padding):
        start = np.arange(out) * s - before
        counts.append(np.minimum(start + p, size) - np.maximum(start, 0))
    return (1 / np.multiply.outer(*counts)).astype(dtype)[:, :, None]


@register
class average_pool_grad(PoolGrad):
    """Gradient of `average_pool`: each pixel gets its share of each window that holds it.

    With ``mean=0`` and windows side by side it repeats the pixels of dy: the nearest upsampling.

    Slots: dx (N,H,W,C); dy (N,OH,OW,C).
    """

    name = "average_pool_grad"
    inputs = ("dy",)
    attrs = {**PoolGrad.attrs, "mean": 1}

    def numpy(self, dy, *, shape, pool, strides, padding, mean):
        dx = np.zeros(shape, dy.dtype)
        dy = dy * shares(shape, dy.shape, pool, strides, padding, dy.dtype) if mean else dy
        for _, out, pixels in reversed(list(taps(shape, dy.shape[1:3], pool, strides, padding))):
            dx[pixels] += dy[out]
        return dx

    def terms(self, call: Call):
        return math.prod(blocks(p, s) for p, s in zip(call.attr("pool"), call.attr("strides")))

    def gradient(self, call: Call, *, dx):
        kept = {name: call.attr(name) for name in average_pool.attrs}
        return {"dy": average_pool(dx, **kept)}


@register
class resample(Kernel):
    """y[o, j, i] = sum over k of weight[j, k] x[o, index[j, k], i]: an axis of x, mixed anew.

    A picture made larger or smaller, elements repeated, picked or turned around: each is one table of J rows with K
    pairs each. Where there are fewer than K pairs, the rest have the weight 0: what they
    point at is not read, nor is what an index beyond x points at. K is walked in order.

    Slots: y (..., J, ...); x (..., n, ...); index (J, K) int32; weight (J, K); back (n, B) int32 and back_weight (n,
    B), the table of the way back (see `turned`), by which the gradient goes. x is seen as (outer, n, inner)
    around `axis`.

    Examples
    --------
    >>> index, weight = np.array([[0, 1], [1, 2]], np.int32), np.full((2, 2), 0.5)
    >>> resample(np.array([1.0, 3.0, 7.0]), index, weight, *turned(index, weight, 3), axis=0)
    array([2., 5.])
    """

    name = "resample"
    inputs = ("x", "index", "weight", "back", "back_weight")
    dims = ("outer", "n", "inner", "J", "K")
    attrs = {"axis": ...}
    hidden = ("axis",)

    def infer(self, x, index, weight, back, back_weight, *, axis):
        axis = norm_axis(self.name, axis, x.shape)
        float_dtype(self.name, x, weight, back_weight)
        for i, w, rows in ((index, weight, None), (back, back_weight, x.shape[axis])):
            matrix = i.ndim == 2 and i.dtype == np.int32 and i.size > 0
            if not matrix or w.shape != i.shape or rows not in (None, i.shape[0]):
                raise ValueError(f"resample along axis {axis} of the shape {list(x.shape)} needs int32 matrices of "
                                 f"indices with as many weights, there and back, not {i.dtype}{list(i.shape)} and "
                                 f"{list(w.shape)}.")
        return (like(x, (*x.shape[:axis], index.shape[0], *x.shape[axis + 1:])),)

    def numpy(self, x, index, weight, back, back_weight, *, axis):
        axis = norm_axis(self.name, axis, x.shape)
        shape = [len(index) if i == axis else 1 for i in range(x.ndim)]
        y = np.zeros([len(index) if i == axis else n for i, n in enumerate(x.shape)], x.dtype)
        for at, w in zip(index.T, weight.T):
            w = np.where((at < 0) | (at >= x.shape[axis]), 0, w).reshape(shape)
            y += np.where(w == 0, 0, np.take(x, at, axis, mode="clip")) * w
        return y

    def sizes(self, call: Call):
        x = call["x"].shape
        axis = norm_axis(self.name, call.attr("axis"), x)
        return math.prod(x[:axis]), x[axis], math.prod(x[axis + 1:]), *call["index"].shape

    def tiles(self, call: Call):
        outer, _, inner, rows, _ = self.sizes(call)
        return blocks(outer * rows, rows_of_resample(inner)) if inner else 0

    def flops(self, call: Call):
        return 2.0 * call["y"].size * call["index"].shape[1]

    def terms(self, call: Call):
        return 2 * call["index"].shape[1]

    def gradient(self, call: Call, *, y):
        there, back = (call["index"], call["weight"]), (call["back"], call["back_weight"])
        return {"x": resample(y, *back, *there, axis=norm_axis(self.name, call.attr("axis"), call["x"].shape))}


def rows_of_resample(inner: int) -> int:
    """Rows of `inner` elements that one tile writes."""
    return max(1, CHUNK // max(inner, 1))


def turned(index: np.ndarray, weight: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The table of the way back, from J places to n.

    Examples
    --------
    >>> turned(np.array([[0], [0], [2]], np.int32), np.ones((3, 1)), 3)
    (array([[0, 1],
           [0, 0],
           [2, 0]], dtype=int32), array([[1., 1.],
           [0., 0.],
           [1., 0.]]))
    """
    places, k = np.nonzero(weight)
    to = index[places, k]
    order = np.argsort(to, kind="stable")
    to, places, values = to[order], places[order], weight[places, k][order]
    count = np.bincount(to, minlength=n)
    width = max(int(count.max(initial=0)), 1)
    at = np.arange(len(to)) - np.repeat(np.cumsum(count) - count, count)
    back, amounts = np.zeros((n, width), np.int32), np.zeros((n, width), weight.dtype)
    back[to, at], amounts[to, at] = places, values
    return back, amounts
