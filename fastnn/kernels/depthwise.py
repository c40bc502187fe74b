"""Depthwise convolutions: each channel has windows of its own, and no channel meets another.

There is no product of matrices in them: a vector of channels of a pixel is multiplied by the same vector of each tap.
Each number that is read serves one multiplication, or as many as the channel has windows, so memory and not arithmetic
bounds them. With more windows than one per channel, tiles copy the pixels that they need with each channel repeated.
"""

from __future__ import annotations

import numpy as np

from .conv import CONVOLVED, Convolution, before_activation, check_bias
from .dense import ACTIVATIONS, activate, same_dtype, wanted
from .kinds import through
from .spec import Array, blocks, register
from .windows import STRIP, TILE, TILES, Geometry, geometry, place, taps


class _Depthwise(Convolution):
    """What the three kernels share; the sizes are those of a convolution with as many groups as channels."""

    attrs = {n: CONVOLVED[n] for n in ("strides", "dilation", "padding")}

    def _sizes_of(self, x, kernel, **attrs) -> Geometry:
        if len(x) != 4 or len(kernel) != 4 or x[3] != kernel[2]:
            raise ValueError(f"{self.name} needs images [N,H,W,C] and w[KH,KW,C,M], not {list(x)} and w{list(kernel)}.")
        kh, kw, c, m = kernel
        return geometry(self.name, x, (kh, kw, 1, c * m), groups=c, **attrs)

    def terms(self, call):
        g = self.geometry(call)
        return g.KH * g.KW + 8


@register
class depthwise(_Depthwise):  # noqa: N801
    """A convolution of each channel by itself: ``y = activation(sum of taps + b)``.

        y[n,i,j,c M + m] = b[c M + m] + sum over kh, kw of x[n, i s + kh d - top, j s + kw d - left, c] * w[kh,kw,c,m]

    Slots: ``y[N,OH,OW,C M] <- x[N,H,W,C], w[KH,KW,C,M], b[C M]`` (optional).

    Parameters
    ----------
    strides, dilation, padding, activation, alpha : those of `fastnn.kernels.conv.conv`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.depthwise import depthwise
    >>> x, w = np.arange(6.0).reshape(1, 1, 3, 2), np.array([1.0, 10.0, 1.0, 10.0]).reshape(1, 2, 2, 1)
    >>> depthwise(x, w, None)[0, 0].tolist()
    [[2.0, 40.0], [6.0, 80.0]]
    """

    name = "depthwise"
    inputs = ("x", "w", "b")
    optional = ("b",)
    attrs = {**_Depthwise.attrs, "activation": "linear", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}

    def _geometry(self, x, w, b=None, *, strides, dilation, padding, **_):
        return self._sizes_of(x.shape, w.shape, strides=strides, dilation=dilation, padding=padding)

    def infer(self, x, w, b=None, **attrs):
        g = self._geometry(x, w, **attrs)
        check_bias(self.name, w.shape, g.F, b)
        same_dtype(self.name, x, w, b)
        return (Array((g.N, g.OH, g.OW, g.F), x.dtype),)

    def numpy(self, x, w, b=None, *, activation="linear", alpha=1.0, **attrs):
        g = self._geometry(x, w, **attrs)
        z = np.zeros((g.N, g.OH, g.OW, *w.shape[2:]), x.dtype)
        for i, j, pixels in taps(x, g):
            z += pixels[..., None] * w[i, j]
        z = z.reshape(g.N, g.OH, g.OW, g.F)
        return activate(z if b is None else z + b, activation, alpha)

    def rows(self, g):
        return g.rows_of(g.OH, g.padded_width, g.F, False)

    def strip(self, g: Geometry) -> int:
        return g.strip(self.rows(g), g.padded_width, g.F, False)

    def gradient(self, call, y=None):
        from .reduce import reduce_sum

        if y is None:
            return {}
        dz, attrs, x, w = before_activation(call, y), {n: call.attrs[n] for n in _Depthwise.attrs}, call["x"], call["w"]
        need_x, need_w, need_b = wanted(call, "x", "w", "b")
        grads = {}
        if need_x:
            grads["x"] = depthwise_grad_input(dz, w, None, shape=tuple(x.shape[1:3]), **attrs)
        if need_w or (need_b and call["b"] is not None):
            dw, db = depthwise_grad_weight(x, dz, window=tuple(w.shape[:2]), **attrs)
            grads["w"], grads["b"] = reduce_sum(dw, axes=(0,)), reduce_sum(db, axes=(0,))
            if call["b"] is None:
                del grads["b"]
        return grads


@register
class depthwise_grad_input(_Depthwise):  # noqa: N801
    """Gradient of the input of `depthwise`, where y is given ``* activation'(y)``.

    Slots: ``dx[N,H,W,C] <- dz[N,OH,OW,C M], w[KH,KW,C,M], y[N,H,W,C]`` (optional), y the output of the activation that
    made the input.

    Parameters
    ----------
    shape : height and width of the input.
    strides, dilation, padding : those of `depthwise`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.depthwise import depthwise_grad_input
    >>> w = np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    >>> depthwise_grad_input(np.ones((1, 1, 2, 1)), w, None, shape=(1, 3)).ravel().tolist()
    [1.0, 11.0, 10.0]
    """

    name = "depthwise_grad_input"
    outputs = ("dx",)
    inputs = ("dz", "w", "y")
    optional = ("y",)
    attrs = {**_Depthwise.attrs, "shape": ..., "activation": "linear", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}

    def _geometry(self, dz, w, y=None, *, shape, strides, dilation, padding, **_):
        if dz.ndim != 4 or w.ndim != 4:
            raise ValueError(f"{self.name} needs dz[N,OH,OW,C M] and w[KH,KW,C,M], not dz{list(dz.shape)} and "
                             f"w{list(w.shape)}.")
        g = self._sizes_of((dz.shape[0], *shape, w.shape[2]), w.shape, strides=strides, dilation=dilation,
                           padding=padding)
        if tuple(dz.shape[1:]) != (g.OH, g.OW, g.F):
            raise ValueError(f"{self.name}: images of {shape[0]} x {shape[1]} pixels give outputs of the shape "
                             f"[{g.OH}, {g.OW}, {g.F}], not {list(dz.shape[1:])}.")
        return g

    def infer(self, dz, w, y=None, **attrs):
        g = self._geometry(dz, w, **attrs)
        if y is not None and tuple(y.shape) != (g.N, g.H, g.W, g.C):
            raise ValueError(f"{self.name} needs y{[g.N, g.H, g.W, g.C]}, not y{list(y.shape)}.")
        same_dtype(self.name, dz, w, y)
        return (Array((g.N, g.H, g.W, g.C), dz.dtype),)

    def numpy(self, dz, w, y=None, *, activation="linear", alpha=1.0, **attrs):
        g = self._geometry(dz, w, **attrs)
        top, bottom, left, right = g.padding
        dx = np.zeros((g.N, g.H + top + bottom, g.W + left + right, g.C), dz.dtype)
        parts = dz.reshape(*dz.shape[:3], *w.shape[2:])
        for i in range(g.KH):
            for j in range(g.KW):
                dx[place(i, j, g)] += (parts * w[i, j]).sum(-1)
        dx = dx[:, top : top + g.H, left : left + g.W]
        return dx if y is None else through(activation, dx, None, y, alpha)

    def rows(self, g):
        return g.rows_of(g.H, g.turned_width, g.F, True)

    def strip(self, g: Geometry) -> int:  # and, behind it, a row of dx before the windows of a channel are added up
        return g.strip(self.rows(g), g.turned_width, g.F, True) + g.W * g.F

    def tiles(self, call):
        g = self.geometry(call)
        return g.N * blocks(g.H, self.rows(g))

    def terms(self, call):
        g = self.geometry(call)
        return g.KH * g.KW * (g.F // max(g.C, 1)) + 8


@register
class depthwise_grad_weight(_Depthwise):  # noqa: N801
    """Gradients of the weight and bias of `depthwise`, in parts: one for each group of images.

    Slots: ``dw[G,KH,KW,C,M], db[G,C M] <- x[N,H,W,C], dz[N,OH,OW,C M]``; the sums over G are the gradients.

    Parameters
    ----------
    window : KH, KW.
    strides, dilation, padding : those of `depthwise`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.depthwise import depthwise_grad_weight
    >>> dw, db = depthwise_grad_weight(np.arange(3.0).reshape(1, 1, 3, 1), np.ones((1, 1, 2, 1)), window=(1, 2))
    >>> dw.sum(0).ravel().tolist(), db.sum(0).tolist()
    ([1.0, 3.0], [2.0])
    """

    name = "depthwise_grad_weight"
    outputs = ("dw", "db")
    inputs = ("x", "dz")
    dims = (*Convolution.dims, "images")
    attrs = {"window": ..., **_Depthwise.attrs}

    def _geometry(self, x, dz, *, window, **attrs):
        if x.ndim != 4 or dz.ndim != 4 or dz.shape[3] % max(x.shape[3], 1):
            raise ValueError(f"{self.name} needs x[N,H,W,C] and dz[N,OH,OW,C M], not x{list(x.shape)} and "
                             f"dz{list(dz.shape)}.")
        c = x.shape[3]
        g = self._sizes_of(x.shape, (*window, c, dz.shape[3] // max(c, 1)), **attrs)
        if tuple(dz.shape) != (g.N, g.OH, g.OW, g.F):
            raise ValueError(f"{self.name} with x{list(x.shape)} and a window of {window[0]} x {window[1]} needs "
                             f"dz{[g.N, g.OH, g.OW, g.F]}, not dz{list(dz.shape)}.")
        return g

    def images(self, g: Geometry) -> int:
        """Images of a group: about `TILES` groups."""
        return max(1, blocks(g.N, min(TILES, max(1, int(g.flops / TILE)))))

    def infer(self, x, dz, **attrs):
        g = self._geometry(x, dz, **attrs)
        same_dtype(self.name, x, dz)
        parts = max(1, blocks(g.N, self.images(g)))
        return Array((parts, g.KH, g.KW, g.C, g.F // max(g.C, 1)), x.dtype), Array((parts, g.F), x.dtype)

    def numpy(self, x, dz, **attrs):
        g = self._geometry(x, dz, **attrs)
        every, m = self.images(g), g.F // max(g.C, 1)
        starts = range(0, max(g.N, 1), every)
        dw, db = np.zeros((len(starts), g.KH, g.KW, g.C, m), x.dtype), np.zeros((len(starts), g.F), x.dtype)
        for part, n in enumerate(starts):
            some = dz[n : n + every].reshape(-1, g.OH, g.OW, g.C, m)
            db[part] = some.sum((0, 1, 2)).ravel()
            for i, j, pixels in taps(x[n : n + every], g):
                dw[part, i, j] = (pixels[..., None] * some).sum((0, 1, 2))
        return dw, db

    def rows(self, g):
        cut = 1
        while cut < g.OH and g.strip(blocks(g.OH, cut), g.padded_width, g.F, False) > STRIP:
            cut *= 2
        return max(1, blocks(g.OH, cut))

    def strip(self, g: Geometry) -> int:
        return g.strip(self.rows(g), g.padded_width, g.F, False)

    def sizes(self, call):
        return (*super().sizes(call), self.images(self.geometry(call)))

    def tiles(self, call):
        g = self.geometry(call)
        return max(1, blocks(g.N, self.images(g)))

    def terms(self, call):
        g = self.geometry(call)
        return self.images(g) * g.OH * g.OW + 8
