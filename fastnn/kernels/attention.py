"""Scaled dot product attention and its gradient, over tiles of scores: memory is linear in the sequences' lengths.

The matrix of scores is never stored. It is made in blocks of `ROWS` queries by `KEYS` keys, each row with a running
maximum and a running sum of exponentials (Milakov & Gimelshein, 2018, Online normalizer calculation for softmax,
arXiv:1805.02867; Dao et al., 2022, FlashAttention, arXiv:2205.14135); one number per row, the logarithm of that sum, is
what the gradient needs to make the blocks again.
"""

from __future__ import annotations

import numpy as np

from .dense import SCRATCH, same_dtype
from .dropout import DROPOUT_GROUP, _check_keys, _check_step, kept
from .spec import Array, Call, Kernel, blocks, register

ROWS = DROPOUT_GROUP  #: queries of a block: one group of random numbers for each key
KEYS = 64  #: keys of a block: its scores are 16 KiB, half of an L1


class Attention(Kernel):
    """Base: what queries q[B,T,H,D], keys k[B,S,G,D], values v[B,S,G,E] and a mask may look like."""

    dims = ("B", "T", "S", "H", "G", "D", "E", "MB", "MH", "MT")
    attrs = {"scale": ..., "causal": 0, "offset": 0, "rate": 0.0, "key0": 0, "key1": 0}

    def check(self, q, k, v, mask, step, *, causal, offset, rate, key0, key1, scale) -> None:
        name = self.name
        shapes = f"q{list(q.shape)}, k{list(k.shape)} and v{list(v.shape)}"
        if not q.ndim == k.ndim == v.ndim == 4:
            raise ValueError(f"{name} needs q[B,T,H,D], k[B,S,G,D] and v[B,S,G,E], not {shapes}.")
        (b, t, h, d), (_, s, g, _) = q.shape, k.shape
        if k.shape[:3] != v.shape[:3] or k.shape[0] != b or k.shape[3] != d:
            raise ValueError(f"{name} needs q[B,T,H,D], k[B,S,G,D] and v[B,S,G,E] of equal B, S, G and D, not "
                             f"{shapes}.")
        if 0 in (*q.shape, *k.shape, *v.shape):
            raise ValueError(f"{name} needs at least one of everything, not {shapes}.")
        if h % g:
            raise ValueError(f"{name}: {h} heads of queries can't share {g} heads of keys evenly; the shapes are "
                             f"{shapes}.")
        if mask is not None:
            whole = (b, h, t, s)
            if mask.ndim != 4 or mask.shape[3] != s or any(m not in (1, n) for m, n in zip(mask.shape, whole)):
                raise ValueError(f"{name} needs a mask of shape [{b} or 1, {h} or 1, {t} or 1, {s}], not "
                                 f"{list(mask.shape)}.")
        same_dtype(name, q, k, v, mask)
        if offset < 0 or offset != int(offset):
            raise ValueError(f"{name}: offset is {offset}; a whole number of 0 or more is wanted.")
        if not 0 <= rate < 1:
            raise ValueError(f"{name}: rate is {rate}; it must be at least 0 and below 1.")
        if rate:
            if step is None:
                raise ValueError(f"{name} needs the step's number to drop weights (rate is {rate}).")
            _check_step(name, step)
            _check_keys(name, key0, key1)

    def sizes(self, call: Call) -> tuple[int, ...]:
        q, k, v, mask = (call[n] for n in ("q", "k", "v", "mask"))
        return (*q.shape[:2], k.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3],
                *((0, 0, 0) if mask is None else mask.shape[:3]))

    def pairs(self, call: Call) -> float:
        """How many scores are made."""
        b, t, s, h = self.sizes(call)[:4]
        if not call.attr("causal"):
            return float(b * h * t * s)
        seen = np.minimum(np.arange(1, t + 1) + int(call.attr("offset")), s).sum()
        return float(b * h * seen)


def weights(q, k, mask, *, scale, causal, offset):
    """Softmax weights [B,H,T,S] and the logarithms of the sums of exponentials [B,H,T].

    Where nothing may be seen the weights are 0 and the logarithm is +inf.
    """
    t, s, h = q.shape[1], k.shape[1], q.shape[2]
    z = np.einsum("bthd,bshd->bhts", q, np.repeat(k, h // k.shape[2], 2)) * q.dtype.type(scale)
    seen = np.ones((1, 1, t, s), bool) if mask is None else mask != 0
    if causal:
        seen = seen & (np.arange(s) <= np.arange(t)[:, None] + int(offset))
    z = np.where(seen, z, -np.inf)
    top = z.max(-1, keepdims=True)
    top = np.where(np.isneginf(top), 0, top)
    e = np.exp(z - top)
    total = e.sum(-1, keepdims=True)
    none = total == 0
    log_sum = np.where(none, np.inf, top + np.log(np.where(none, 1, total)))
    return (e / np.where(none, 1, total)).astype(q.dtype), log_sum[..., 0].astype(q.dtype)


def dropped(p, step, *, rate, key0, key1):
    """p / (1 - rate) where dropout keeps an element of p[B,H,T,S], else 0.

    Random numbers are taken key by key, and for each in groups of `ROWS` queries.
    """
    if not rate:
        return p
    b, h, t, s = p.shape
    room = blocks(t, ROWS) * ROWS
    keep = kept(b * h * s * room, rate, float(step), key0, key1).reshape(b, h, s, room)[..., :t].swapaxes(2, 3)
    return np.where(keep, p * p.dtype.type(1 / (1 - rate)), p.dtype.type(0))


def _parts(attrs: dict) -> tuple[dict, dict]:
    """What `weights` and what `dropped` take of the attributes."""
    return ({n: attrs[n] for n in ("scale", "causal", "offset")}, {n: attrs[n] for n in ("rate", "key0", "key1")})


@register
class attention(Attention):
    """Scaled dot product attention: ``y = softmax(scale * q @ k.T + mask) @ v`` in each head.

    Slots: ``y[B,T,H,E], log_sum[B,H,T] <- q[B,T,H,D], k[B,S,G,D], v[B,S,G,E], mask[B or 1, H or 1, T or 1, S]``
    (optional), ``step`` (float64, where rate is not 0). Head h of the queries takes head ``h // (H / G)`` of keys and
    values. A key may be seen where the mask is not 0; a query that may see none gives zeros, and +inf in log_sum,
    which is otherwise the logarithm of the sum of the exponentials of its scores.

    A tile is a block of queries of one head. Vaswani et al. (2017), Attention is all you need, equation 1.

    Parameters
    ----------
    scale : of the scores, 1 / sqrt(D) as a rule.
    causal : 1 if query t may see keys s <= t + offset alone.
    offset : how many keys are older than the first query.
    rate : share of weights that are dropped, as in `dropout`, with its key0, key1 and step; no mask is stored.

    Examples
    --------
    >>> import numpy as np
    >>> q = k = np.zeros((1, 2, 1, 1))
    >>> v = np.array([2.0, 4.0]).reshape(1, 2, 1, 1)
    >>> attention(q, k, v, None, None, scale=1.0, causal=1)[0].ravel()  # the second query sees both keys
    array([2., 3.])
    """

    name = "attention"
    outputs = ("y", "log_sum")
    inputs = ("q", "k", "v", "mask", "step")
    optional = ("mask", "step")

    def infer(self, q, k, v, mask=None, step=None, **attrs):
        self.check(q, k, v, mask, step, **attrs)
        b, t, h, _ = q.shape
        return Array((b, t, h, v.shape[3]), q.dtype), Array((b, h, t), q.dtype)

    def numpy(self, q, k, v, mask=None, step=None, **attrs):
        seen, drop = _parts(attrs)
        p, log_sum = weights(q, k, mask, **seen)
        y = np.einsum("bhts,bshe->bthe", dropped(p, step, **drop), np.repeat(v, q.shape[2] // v.shape[2], 2))
        return y, log_sum

    def tiles(self, call):
        b, t, _, h = self.sizes(call)[:4]
        return b * h * blocks(t, ROWS)

    def scratch(self, call):
        d, e = self.sizes(call)[5:7]  # SCRATCH: the Numba form's products
        return SCRATCH + 4 * (2 * ROWS * KEYS + 3 * ROWS + (d + 2 * e) * ROWS)

    def terms(self, call):
        _, _, s, _, _, d = self.sizes(call)[:6]
        return d + s + 16

    def flops(self, call):
        d, e = self.sizes(call)[5:7]
        return self.pairs(call) * (2 * d + 2 * e + 4)

    def gradient(self, call, *, y, **_):
        if y is None:
            return {}
        made = attention_grad(y, *call.inputs[:3], call["y"], call["log_sum"], *call.inputs[3:], **call.attrs)
        return dict(zip("qkv", made))


@register
class attention_grad(Attention):
    """Gradients of `attention`: with p its weights, dp = dy @ v.T and delta = (dy * y).sum(-1) ::

        dv = p.T @ dy,   dz = p * (dp - delta),   dq = scale * dz @ k,   dk = scale * dz.T @ q

    Slots: ``dq, dk, dv <- dy[B,T,H,E], q, k, v, y, log_sum, mask, step``. The blocks of p are made again from log_sum.
    With dropout p in the first formula and dp are those behind it.

    A tile is all that belongs to one head of keys and values, so that no sum crosses tiles: its heads and blocks of
    queries in order, and for each the blocks of keys in order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.attention import attention, attention_grad
    >>> q, k, v = np.zeros((3, 1, 2, 1, 1))
    >>> y, log_sum = attention(q, k, v, None, None, scale=1.0)
    >>> attention_grad(np.ones((1, 2, 1, 1)), q, k, v, y, log_sum, None, None, scale=1.0)[2].ravel()
    array([1., 1.])
    """

    name = "attention_grad"
    outputs = ("dq", "dk", "dv")
    inputs = ("dy", "q", "k", "v", "y", "log_sum", "mask", "step")
    optional = ("mask", "step")

    def infer(self, dy, q, k, v, y, log_sum, mask=None, step=None, **attrs):
        self.check(q, k, v, mask, step, **attrs)
        b, t, h, _ = q.shape
        if dy.shape != y.shape or y.shape != (b, t, h, v.shape[3]) or log_sum.shape != (b, h, t):
            raise ValueError(f"attention_grad with q{list(q.shape)} and v{list(v.shape)} can't use dy{list(dy.shape)}, "
                             f"y{list(y.shape)} and log_sum{list(log_sum.shape)}.")
        same_dtype(self.name, dy, q, y, log_sum)
        return Array(q.shape, q.dtype), Array(k.shape, k.dtype), Array(v.shape, v.dtype)

    def numpy(self, dy, q, k, v, y, log_sum, mask=None, step=None, **attrs):
        seen, drop = _parts(attrs)
        shared = q.shape[2] // k.shape[2]
        p, _ = weights(q, k, mask, **seen)
        delta = (dy * y).sum(-1).transpose(0, 2, 1)[..., None]
        dp = dropped(np.einsum("bthe,bshe->bhts", dy, np.repeat(v, shared, 2)), step, **drop)
        dz = p * (dp - delta) * q.dtype.type(attrs["scale"])
        dq = np.einsum("bhts,bshd->bthd", dz, np.repeat(k, shared, 2))
        dk = np.einsum("bhts,bthd->bshd", dz, q)
        dv = np.einsum("bhts,bthe->bshe", dropped(p, step, **drop), dy)
        return dq, *(a.reshape(*a.shape[:2], -1, shared, a.shape[3]).sum(3) for a in (dk, dv))

    def tiles(self, call):
        sizes = self.sizes(call)
        return sizes[0] * sizes[4]

    def scratch(self, call):
        d, e = self.sizes(call)[5:7]
        return SCRATCH + 4 * (4 * ROWS * KEYS + 3 * ROWS + (3 * d + 2 * e) * ROWS)

    def terms(self, call):
        _, t, s, h, g, d, e = self.sizes(call)[:7]
        return d + e + s + t * (h // g) + 16

    def units(self, dy, q, k, v, *rest, scale, **attrs):
        """What `dp - delta` is the difference of, times what it is multiplied by."""
        def longest(x):
            return np.sqrt(np.square(x).sum(-1).max())

        size = abs(scale) * longest(dy) * longest(v)
        return {"dq": size * np.abs(k).max(), "dk": size * np.abs(q).max()}

    def flops(self, call):
        d, e = self.sizes(call)[5:7]
        return self.pairs(call) * (6 * d + 4 * e + 6)


@register
class attention_step(Kernel):
    """Attention of one new step on itself and all steps before it, whose keys and values are kept.

    The new key and value are written into place ``at`` of what is kept; then
    ``y = softmax(scale * q @ keys[:at + 1].T) @ values[:at + 1]`` in each head.

    Slots: ``y[B,H,E] <- q[B,H,D], k[B,G,D], v[B,G,E], keys[B,G,S,D], values[B,G,S,E], at[1]`` (int32); keys and values
    are updated in place. Head h of the queries takes head ``h // (H / G)`` of keys and values. Where there is no place
    ``at``, nothing is kept and y is NaN. A tile is one head of keys and values of one row.

    Parameters
    ----------
    scale : of the scores, 1 / sqrt(D) as a rule.

    Examples
    --------
    >>> import numpy as np
    >>> q = k = np.zeros((1, 1, 1))
    >>> keys, values = np.zeros((2, 1, 1, 3, 1))
    >>> values[..., 0, :] = 2
    >>> y, keys, values = attention_step(q, k, np.array([[[4.0]]]), keys, values, np.array([1], np.int32), scale=1.0)
    >>> y.ravel(), values.ravel()
    (array([3.]), array([2., 4., 0.]))
    """

    name = "attention_step"
    outputs = ("y", "keys", "values")
    inputs = ("q", "k", "v", "keys", "values", "at")
    dims = ("B", "S", "H", "G", "D", "E")
    attrs = {"scale": ...}

    def infer(self, q, k, v, keys, values, at, *, scale):
        shapes = ", ".join(f"{n}{list(x.shape)}" for n, x in zip(self.inputs, (q, k, v, keys, values)))
        if not (q.ndim == k.ndim == v.ndim == 3 and keys.ndim == values.ndim == 4):
            raise ValueError(f"attention_step needs q[B,H,D], k[B,G,D], v[B,G,E], keys[B,G,S,D] and values[B,G,S,E], "
                             f"not {shapes}.")
        (b, h, d), (_, g, s, _), e = q.shape, keys.shape, v.shape[2]
        if (k.shape != (b, g, d) or v.shape[:2] != (b, g) or keys.shape != (b, g, s, d)
                or values.shape != (b, g, s, e) or 0 in (b, h, g, s, d, e) or h % g):
            raise ValueError(f"attention_step needs q[B,H,D], k[B,G,D], v[B,G,E], keys[B,G,S,D] and values[B,G,S,E] "
                             f"with H a multiple of G and nothing empty, not {shapes}.")
        if at.dtype != np.int32 or at.shape != (1,):
            raise ValueError(f"attention_step needs the place `at` as one int32, not {at.dtype} of shape "
                             f"{list(at.shape)}.")
        same_dtype(self.name, q, k, v, keys, values)
        return Array((b, h, e), q.dtype), Array(keys.shape, q.dtype), Array(values.shape, q.dtype)

    def numpy(self, q, k, v, keys, values, at, *, scale):
        keys, values, n = keys.copy(), values.copy(), int(at[0]) + 1
        if not 0 < n <= keys.shape[2]:
            return np.full((*q.shape[:2], v.shape[2]), np.nan, q.dtype), keys, values
        keys[:, :, n - 1], values[:, :, n - 1] = k, v
        seen, kept_values = (x[:, :, :n].swapaxes(1, 2) for x in (keys, values))
        p, _ = weights(q[:, None], seen, None, scale=scale, causal=0, offset=0)
        y = np.einsum("bhts,bshe->bthe", p, np.repeat(kept_values, q.shape[1] // k.shape[1], 2))
        return y[:, 0], keys, values

    def sizes(self, call):
        b, h, d = call["q"].shape
        g, s = call["keys"].shape[1:3]
        return b, s, h, g, d, call["v"].shape[2]

    def tiles(self, call):
        return call["k"].shape[0] * call["k"].shape[1]

    def scratch(self, call):
        return 4 * call["keys"].shape[2]

    def terms(self, call):
        _, s, _, _, d, _ = self.sizes(call)
        return d + s + 16

    def flops(self, call):
        b, s, h, _, d, e = self.sizes(call)
        return float(b * h * s * (2 * d + 2 * e + 4))

    def nbytes(self, call):
        """What is kept is read once, and written in one place."""
        return sum(call[n].nbytes for n in ("y", "q", "k", "v", "keys", "values"))
