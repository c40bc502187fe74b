"""Convolutions: forward, the gradients of input and weight, and the transposed convolution.

All are products of matrices that nobody builds. With channels last, the pixels below one row of the kernel lie side by
side in memory: the numbers that output pixel j of a row needs start at ``j * stride * C`` and go on for ``KW * C``.
So a row of outputs is a sum over the kernel's rows of products whose left operand is the image itself, read with a
pitch of ``stride * C``; the matrix of patches, im2col, exists in no memory.

What lies outside of an image counts as zero: images with padding are copied to scratch memory with zeros around, the
rows of one tile at a time. The gradient of the input is a convolution of dz with the kernel turned around; where the
stride is s, there are s * s such, one for each phase of the input's pixels, over the taps that meet them. Each element
is summed by FMA over rows, columns and channels of the kernel, in this order, so the bits depend neither on tiles nor
on threads nor, where there is FMA, on the CPU path.

Windows of 3 x 3 over many channels are computed with fewer multiplications, see `fastnn.kernels.winograd`: forward, the
gradient of the input and the transposed convolution, whose sums go over channels at each of 16 points, and the gradient
of the window, whose sums go over tiles.
"""

from __future__ import annotations

import numpy as np

from . import winograd
from .dense import ACTIVATIONS, SCRATCH, activate, same_dtype, wanted
from .kinds import through
from .spec import Array, Call, Kernel, blocks, register
from .windows import DIMS, STRIP, TILE, TILES, Geometry, convolved, geometry, spread, taps

PIXELS = 256  #: the weight's gradient goes over at least so many pixels between two visits of its memory


#: attributes that say which convolution it is, with their defaults
CONVOLVED = {"strides": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": 1}


class Convolution(Kernel):
    """What the kernels of a convolution share: attributes, sizes, cost."""

    dims = DIMS
    attrs = CONVOLVED
    hidden = (*CONVOLVED, "shape", "window")

    def geometry(self, call: Call) -> Geometry:
        """The sizes of the convolution behind this call."""
        return self._geometry(*call.inputs, **call.attrs)

    def _geometry(self, *inputs, **attrs) -> Geometry:
        raise NotImplementedError(f"{type(self).__name__} must override _geometry(self, *inputs, **attrs).")

    def rows(self, g: Geometry) -> int:
        """Rows of a tile."""
        return g.rows_of(g.OH, g.padded_width, g.C, False)

    def tiles(self, call):
        g = self.geometry(call)
        return g.N * blocks(g.OH, self.rows(g))

    def runs(self, g: Geometry) -> int:
        """Runs of terms behind one element: taps of the kernel."""
        return g.KH * g.KW

    def sizes(self, call):
        g = self.geometry(call)
        return (*g.sizes, self.rows(g), self.runs(g))

    def scratch(self, call):
        g = self.geometry(call)
        return _scratch(self.runs(g), self.strip(g))

    def strip(self, g: Geometry) -> int:
        """Floats of the copy that a tile may make of the pixels that it reads."""
        return g.strip(self.rows(g), g.padded_width, g.C, False)

    def flops(self, call):
        return self.geometry(call).flops + 2.0 * call.outputs[0].size

    def terms(self, call):
        g = self.geometry(call)
        return g.KH * g.KW * (g.C // g.groups) + 8


class _Direct(Convolution):
    """A convolution of pixels with windows, forward or turned: by Winograd's algorithm where that pays."""

    dims = (*DIMS, "winograd")

    def outputs_of(self, g: Geometry) -> tuple[int, int, int, int]:
        """Rows, columns, channels and filters of the sums: those of y, or where windows are turned those of x."""
        return g.OH, g.OW, g.C, g.F

    def winograd(self, g: Geometry) -> bool:
        """Whether `fastnn.kernels.winograd` does it."""
        rows, *sizes = self.outputs_of(g)
        return winograd.pays(g, min(rows, blocks(self.cut(g), 2) * 2), *sizes)

    def cut(self, g: Geometry) -> int:
        """Rows of a tile in the direct form."""
        return super().rows(g)

    def rows(self, g):
        rows = self.cut(g)
        return blocks(rows, 2) * 2 if self.winograd(g) else rows

    def sizes(self, call):
        g = self.geometry(call)
        return (*super().sizes(call), winograd.together(*self.outputs_of(g)[2:]) if self.winograd(g) else 0)

    def scratch(self, call):
        g = self.geometry(call)
        floats = winograd.scratch(*self.outputs_of(g)[2:]) if self.winograd(g) else 0
        return max(4 * floats, super().scratch(call))

    def flops(self, call):
        g = self.geometry(call)
        if not self.winograd(g):
            return super().flops(call)
        return winograd.flops(g, *self.outputs_of(g)) + 2.0 * call.outputs[0].size

    def terms(self, call):
        g = self.geometry(call)
        channels = self.outputs_of(g)[2]
        return winograd.terms(channels) if self.winograd(g) else g.KH * g.KW * (channels // g.groups) + 8


def _scratch(runs: int, floats: int) -> int:
    """Bytes for where the runs begin and for a strip; at least what the product of the Numba forms needs."""
    return max(SCRATCH, -(-16 * runs // 64) * 64 + 4 * floats)


def _known(attrs: dict, **more) -> dict:
    """The attributes that say which convolution it is."""
    return {n: attrs[n] for n in CONVOLVED} | more


@register
class conv(_Direct):  # noqa: N801
    """A convolution (in the words of signal processing: a correlation): ``y = activation(sum of taps + b)``.

        y[n,i,j,f] = b[f] + sum over kh, kw, c of x[n, i s + kh d - top, j s + kw d - left, c] * w[kh,kw,c,f]

    Slots: ``y[N,OH,OW,F] <- x[N,H,W,C], w[KH,KW,C/groups,F], b[F]`` (optional). Pixels outside of x count as zero. In
    group g the channels g C/groups ... of x meet the filters g F/groups ... only. A sequence is an image of one row.

    Parameters
    ----------
    strides, dilation : steps between outputs, and between the kernel's taps, along rows and columns.
    padding : rows of zeros above and below, columns left and right.
    activation, alpha : those of `fastnn.kernels.dense.dense`.

    Notes
    -----
    Windows of 3 x 3 with strides, dilation and groups of 1 and at least 16 channels and filters are computed by
    Winograd's algorithm F(2x2, 3x3), where `fastnn.kernels.winograd.pays`: 16 multiplications for 4 outputs instead of
    36. Its rounding error is at most ``64/9 (C + 11)`` times ``eps/2 * 9 C max|x| max|w|``, maxima over the pixels and
    weights behind an output, that of the direct sum ``9 C`` times that; a pixel that is tiny beside another one of the
    same window may be lost though the direct sum would keep it, and next to an infinite one finite outputs may be NaN.

    References
    ----------
    Winograd (1980), Arithmetic complexity of computations, SIAM.
    Lavin & Gray (2016), Fast algorithms for convolutional neural networks, arXiv:1509.09308.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.conv import conv
    >>> x, w = np.arange(9.0).reshape(1, 3, 3, 1), np.ones((2, 2, 1, 1))
    >>> conv(x, w, None)[0, :, :, 0].tolist()
    [[8.0, 12.0], [20.0, 24.0]]
    """

    name = "conv"
    inputs = ("x", "w", "b")
    optional = ("b",)
    attrs = {**CONVOLVED, "activation": "linear", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}

    def _geometry(self, x, w, b=None, **attrs):
        return geometry(self.name, x.shape, w.shape, **attrs)

    def infer(self, x, w, b=None, **attrs):
        g = self._geometry(x, w, **attrs)
        check_bias(self.name, w.shape, g.F, b)
        same_dtype(self.name, x, w, b)
        return (Array((g.N, g.OH, g.OW, g.F), x.dtype),)

    def numpy(self, x, w, b=None, *, activation="linear", alpha=1.0, **attrs):
        z = convolved(x, w, self._geometry(x, w, **attrs))
        return activate(z if b is None else z + b, activation, alpha)

    def gradient(self, call, y=None):
        if y is None:
            return {}
        dz, attrs, x = before_activation(call, y), _known(call.attrs), call["x"]
        need_x, need_w, need_b = wanted(call, "x", "w", "b")
        grads = {}
        if need_x:
            shape = tuple(x.shape[1:3])
            grads["x"] = conv_grad_input(dz, turn_kernel(call["w"]), None, None, shape=shape, **attrs)
        if need_w or (need_b and call["b"] is not None):
            grads["w"], grads["b"] = weight_gradients(x, dz, call["w"].shape, attrs)
            if call["b"] is None:
                del grads["b"]
        return grads


def check_bias(name: str, kernel, filters: int, b) -> None:
    if b is not None and tuple(b.shape) != (filters,):
        raise ValueError(f"{name} with w{list(kernel)} needs b[{filters}], not b{list(b.shape)}.")


def before_activation(call: Call, dy):
    """The gradient before the activation at the edge."""
    from .activation import activation_grad

    kind, alpha = call.attr("activation"), call.attr("alpha")
    return dy if kind == "linear" else activation_grad(dy, None, call["y"], kind=kind, alpha=alpha)


def weight_gradients(x, dz, kernel, attrs):
    """The gradients of weight and bias: parts of groups of images, and their sum."""
    from .reduce import reduce_sum

    dw, db = conv_grad_weight(x, dz, window=tuple(kernel[:2]), **attrs)
    if dw.shape[0] == 1:
        return dw.reshape(*kernel), db.reshape(db.shape[1])
    return reduce_sum(dw, axes=(0,)), reduce_sum(db, axes=(0,))


@register
class turn_kernel(Kernel):  # noqa: N801
    """A convolution's kernel turned around: ``y[i,j] = w[KH-1-i, KW-1-j].T``, its own inverse.

    Slots: ``y[KH,KW,F,C] <- w[KH,KW,C,F]``. The gradient of a convolution's input is a convolution with it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.conv import turn_kernel
    >>> turn_kernel(np.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[[[2.0, 3.0]], [[0.0, 1.0]]]]
    """

    name = "turn_kernel"
    inputs = ("w",)
    dims = ("KH", "KW", "C", "F")

    def infer(self, w):
        if w.ndim != 4:
            raise ValueError(f"turn_kernel needs w[KH,KW,C,F], not w{list(w.shape)}.")
        same_dtype(self.name, w)
        return (Array((*w.shape[:2], w.shape[3], w.shape[2]), w.dtype),)

    def numpy(self, w):
        return np.ascontiguousarray(w[::-1, ::-1].swapaxes(2, 3))

    def sizes(self, call):
        return call["w"].shape

    def tiles(self, call):
        return call["w"].shape[0] * call["w"].shape[1]

    def terms(self, call):
        return 0

    def gradient(self, call, y=None):
        return {} if y is None else {"w": turn_kernel(y)}


class _Turned(_Direct):
    """Kernels that go over the pixels of x, whose sums go over dz and the kernel turned around."""

    attrs = {**CONVOLVED, "shape": ..., "activation": "linear", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}

    def _geometry(self, dz, turned, *_, shape, **attrs):
        if dz.ndim != 4 or turned.ndim != 4:
            raise ValueError(f"{self.name} needs images [N,OH,OW,F] and a turned kernel [KH,KW,F,C/groups], not "
                             f"{list(dz.shape)} and {list(turned.shape)}.")
        kh, kw, f, c = turned.shape
        g = geometry(self.name, (dz.shape[0], *shape, c * attrs["groups"]), (kh, kw, c, f), **attrs)
        if tuple(dz.shape[1:]) != (g.OH, g.OW, g.F):
            raise ValueError(f"{self.name}: images of {shape[0]} x {shape[1]} pixels give outputs of the shape "
                             f"[{g.OH}, {g.OW}, {g.F}], not {list(dz.shape[1:])}.")
        return g

    def outputs_of(self, g):
        return g.H, g.W, g.F, g.C

    def cut(self, g):
        return g.rows_of(g.H, g.turned_width, g.F, True)

    def tiles(self, call):
        g = self.geometry(call)
        return g.N * blocks(g.H, self.rows(g))

    def strip(self, g: Geometry) -> int:
        return g.strip(self.rows(g), g.turned_width, g.F, True)


@register
class conv_grad_input(_Turned):  # noqa: N801
    """Gradient of a convolution's input; where plus is given ``+ plus``, then where y is given ``* activation'(y)``.

    Slots: ``dx[N,H,W,C] <- dz[N,OH,OW,F], turned[KH,KW,F,C/groups], y[N,H,W,C], plus[N,H,W,C]``, the last two optional.
    `turned` is the kernel as `turn_kernel` gives it; y is the output of the activation that made the convolution's
    input, as for `fastnn.kernels.dense.dense_grad_input`; plus is the gradient from another reader of that input.

    Parameters
    ----------
    shape : height and width of the input.
    strides, dilation, padding, groups : those of `conv`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.conv import conv_grad_input, turn_kernel
    >>> w = turn_kernel(np.arange(4.0).reshape(2, 2, 1, 1))
    >>> conv_grad_input(np.ones((1, 2, 2, 1)), w, None, None, shape=(3, 3))[0, :, :, 0].tolist()
    [[0.0, 1.0, 1.0], [2.0, 6.0, 4.0], [2.0, 5.0, 3.0]]
    """

    name = "conv_grad_input"
    outputs = ("dx",)
    inputs = ("dz", "turned", "y", "plus")
    optional = ("y", "plus")

    def infer(self, dz, turned, y=None, plus=None, **attrs):
        g = self._geometry(dz, turned, **attrs)
        for name, a in (("y", y), ("plus", plus)):
            if a is not None and tuple(a.shape) != (g.N, g.H, g.W, g.C):
                raise ValueError(f"{self.name} needs {name}{[g.N, g.H, g.W, g.C]}, not {name}{list(a.shape)}.")
        same_dtype(self.name, dz, turned, y, plus)
        return (Array((g.N, g.H, g.W, g.C), dz.dtype),)

    def numpy(self, dz, turned, y=None, plus=None, *, activation="linear", alpha=1.0, **attrs):
        dx = spread(dz, turned, self._geometry(dz, turned, **attrs))
        dx = dx if plus is None else dx + plus
        return dx if y is None else through(activation, dx, None, y, alpha)


@register
class conv_transpose(_Turned):  # noqa: N801
    """A transposed convolution (Zeiler et al., 2010): what the gradient of `conv` does to dz is done to x.

    Slots: ``y[N,H,W,C] <- x[N,h,w,F], turned[KH,KW,F,C/groups], b[C]`` (optional), and ``y = activation(... + b)``.

    Parameters
    ----------
    shape : height and width of the output; `conv` with the same attributes makes images of h x w pixels of it.
    strides, dilation, padding, groups : those of that `conv`.
    activation, alpha : those of `fastnn.kernels.dense.dense`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.conv import conv_transpose, turn_kernel
    >>> x, w = np.array([1.0, 2.0]).reshape(1, 1, 2, 1), np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    >>> conv_transpose(x, turn_kernel(w), None, shape=(1, 4), strides=(1, 2)).ravel().tolist()
    [1.0, 10.0, 2.0, 20.0]
    """

    name = "conv_transpose"
    inputs = ("x", "turned", "b")
    optional = ("b",)

    def infer(self, x, turned, b=None, **attrs):
        g = self._geometry(x, turned, **attrs)
        check_bias(self.name, turned.shape, g.C, b)
        same_dtype(self.name, x, turned, b)
        return (Array((g.N, g.H, g.W, g.C), x.dtype),)

    def numpy(self, x, turned, b=None, *, activation="linear", alpha=1.0, **attrs):
        z = spread(x, turned, self._geometry(x, turned, **attrs))
        return activate(z if b is None else z + b, activation, alpha)

    def gradient(self, call, y=None):
        if y is None:
            return {}
        dz, attrs, turned = before_activation(call, y), _known(call.attrs), call["turned"]
        need_x, need_w, need_b = wanted(call, "x", "turned", "b")
        grads = {}
        if need_x:
            grads["x"] = conv(dz, turn_kernel(turned), None, **attrs)
        if need_w:
            kh, kw, f, c = turned.shape
            grads["turned"] = turn_kernel(weight_gradients(dz, call["x"], (kh, kw, c, f), attrs)[0])
        if need_b and call["b"] is not None:
            from .reduce import reduce_sum

            grads["b"] = reduce_sum(dz, axes=(0, 1, 2))
        return grads


@register
class conv_grad_weight(Convolution):  # noqa: N801
    """Gradients of a convolution's weight and bias, in parts: one for each group of images.

    Slots: ``dw[G,KH,KW,C/groups,F], db[G,F] <- x[N,H,W,C], dz[N,OH,OW,F]``; the sums over G are the gradients. How
    many groups there are depends on shapes only: as many as threads may want, few enough that the parts are small
    beside the images.

    For 3 x 3 taps, neighbours in steps of one, the native form takes tiles of 2 x 2 pixels of dz where that is faster
    (`winograd`; Lavin & Gray 2016, arXiv:1509.09308, F(3x3, 2x2)): with d the 4 x 4 pixels of x below a tile,

        dw = G' [ sum over tiles of (A dz A') * (B' d B) ] G        (* element by element, ' transposed)

    16 multiplications for a tile, channel and filter instead of 36. The matrices hold 0, 1, -1 and 1/2 only; the error
    stays within the bound of the sum over pixels.

    Parameters
    ----------
    window : KH, KW.
    strides, dilation, padding, groups : those of `conv`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.conv import conv_grad_weight
    >>> dw, db = conv_grad_weight(np.arange(9.0).reshape(1, 3, 3, 1), np.ones((1, 2, 2, 1)), window=(2, 2))
    >>> dw.sum(0)[:, :, 0, 0].tolist(), db.sum(0).tolist()
    ([[8.0, 12.0], [20.0, 24.0]], [4.0])
    """

    name = "conv_grad_weight"
    outputs = ("dw", "db")
    inputs = ("x", "dz")
    dims = (*DIMS, "images", "block", "cuts", "squares")
    attrs = {"window": ..., **CONVOLVED}

    def _geometry(self, x, dz, *, window, **attrs):
        if x.ndim != 4 or dz.ndim != 4:
            raise ValueError(f"{self.name} needs x[N,H,W,C] and dz[N,OH,OW,F], not x{list(x.shape)} and "
                             f"dz{list(dz.shape)}.")
        g = geometry(self.name, x.shape, (*window, x.shape[3] // attrs["groups"], dz.shape[3]), **attrs)
        if tuple(dz.shape) != (g.N, g.OH, g.OW, g.F):
            raise ValueError(f"{self.name} with x{list(x.shape)} and a kernel of {window[0]} x {window[1]} needs "
                             f"dz{[g.N, g.OH, g.OW, g.F]}, not dz{list(dz.shape)}.")
        return g

    def infer(self, x, dz, **attrs):
        g = self._geometry(x, dz, **attrs)
        same_dtype(self.name, x, dz)
        parts = blocks(g.N, self.images(g)) or 1
        return Array((parts, g.KH, g.KW, g.C // g.groups, g.F), x.dtype), Array((parts, g.F), x.dtype)

    def numpy(self, x, dz, **attrs):
        g = self._geometry(x, dz, **attrs)
        every, shape = self.images(g), (g.KH, g.KW, g.C // g.groups, g.F)
        starts = range(0, max(g.N, 1), every)
        dw, db = np.zeros((len(starts), *shape), x.dtype), np.zeros((len(starts), g.F), x.dtype)
        for part, n in enumerate(starts):
            rows = dz[n : n + every].reshape(-1, g.F)
            db[part] = rows.sum(0)
            for i, j, pixels in taps(x[n : n + every], g._replace(N=len(dz[n : n + every]))):
                columns = np.split(pixels.reshape(-1, g.C), g.groups, -1)
                dw[part, i, j] = np.concatenate(
                    [c.T @ d for c, d in zip(columns, np.split(rows, g.groups, -1))], -1)
        return dw, db

    def images(self, g: Geometry) -> int:
        """Images of a group: about `TILES` groups, but no more parts of dw than a quarter of the images' size.

        Winograd's form makes its parts in less time: up to the images' size, and a power of two, for even shares.
        """
        most = g.N * (g.H * g.W * g.C + g.OH * g.OW * g.F) // (g.KH * g.KW * (g.C // g.groups) * g.F)
        worth = max(1, int(g.flops / TILE))
        if self.winograd(g):
            return blocks(g.N, 1 << min(TILES, max(1, most), worth).bit_length() - 1)
        return max(1, blocks(g.N, min(TILES, max(1, most // 4), worth)))

    def winograd(self, g: Geometry) -> bool:
        """Whether the native form takes tiles of 2 x 2 pixels of dz, see `fastnn.kernels.winograd`."""
        return winograd.gradient_pays(g)

    def squares(self, g: Geometry) -> int:
        """Tiles of 2 x 2 pixels whose transforms are looked at together; 0 where they are not taken."""
        if not self.winograd(g):
            return 0
        tiles = self.images(g) * winograd.tiles(g.OH, g.OW)
        return min(tiles, winograd.squares(g.C, winograd.width(g.F, self.cuts(g))))

    def rows(self, g):
        """Rows of dz that are looked at together: all if they and the pixels that they meet fit into a strip."""
        cut = 1
        while cut < g.OH and self._strip(g, blocks(g.OH, cut)) > STRIP:
            cut *= 2
        return max(1, blocks(g.OH, cut))

    def block(self, g: Geometry) -> int:
        """Images that are looked at together: where they are small, as many as make pixels enough."""
        if self.rows(g) < g.OH:
            return 1
        most = STRIP // max(1, self._strip(g, g.OH))
        return max(1, min(blocks(PIXELS, max(g.OH * g.OW, 1)), most, self.images(g)))

    def cuts(self, g: Geometry) -> int:
        """Pieces of dw that are tiles of their own, where there are few groups of images: its rows of taps.

        In Winograd's form its filters, also where the sums would else leave L2 far behind; never two pieces, for the
        Numba form goes over rows of taps all the same.
        """
        parts, large = blocks(g.N, self.images(g)), g.flops > 4 * TILE
        if not self.winograd(g):
            return g.KH if parts < TILES // 2 and large else 1
        cuts = max(winograd.gradient_cuts(g), TILES // 2 // parts if parts < TILES // 4 and large else 1)
        return 1 if cuts == 1 or g.F < 48 else blocks(g.F, winograd.width(g.F, max(cuts, 4)))

    def _strip(self, g: Geometry, rows: int) -> int:
        """Floats of so many rows of dz and of the padded pixels that they meet."""
        return g.strip(rows, g.padded_width, g.C, False) + rows * g.OW * g.F

    def runs(self, g):
        return self.block(g) * self.rows(g)

    def sizes(self, call):
        g = self.geometry(call)
        return (*g.sizes, self.rows(g), self.runs(g), self.images(g), self.block(g), self.cuts(g),
                self.squares(g))

    def tiles(self, call):
        g = self.geometry(call)
        return max(1, blocks(g.N, self.images(g))) * self.cuts(g)

    def strip(self, g: Geometry) -> int:
        return self.block(g) * g.strip(self.rows(g), g.padded_width, g.C, False)

    def scratch(self, call):
        g = self.geometry(call)
        if not self.winograd(g):
            return super().scratch(call)
        floats = winograd.gradient_scratch(g.C, winograd.width(g.F, self.cuts(g)), self.squares(g))
        return max(SCRATCH, 4 * floats)

    def flops(self, call):
        g = self.geometry(call)
        return (winograd.gradient_flops(g) if self.winograd(g) else g.flops) + g.N * g.OH * g.OW * g.F

    def terms(self, call):
        g = self.geometry(call)
        if not self.winograd(g):
            return self.images(g) * g.OH * g.OW + 8
        return winograd.gradient_terms(self.images(g) * winograd.tiles(g.OH, g.OW))
