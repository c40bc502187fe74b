"""Updates and norms by segment: each variable of an arena, or each layer, has a number of its own.

A segment lies in one or more *pieces* of the arena, `PIECE` elements long at most, which are the tiles of these
kernels: ``pieces`` has a row (start, stop, segment) for each, in the order of the segments. Norms are made in two
halves, sums of squares over pieces and then over the pieces of each segment in their order, so no bit depends on
threads. What stands in no piece (the gaps of an arena, other groups of variables) is left as it is.
"""

from __future__ import annotations

import numpy as np

from .optim import decayed
from .spec import Array, Call, Kernel, blocks, like, register

PIECE = 16384  #: elements of a piece at most
PART = 1024  #: elements whose squares are summed while they are in the first cache
COLUMNS = 64  #: of a tile of `clip_units`


def cut(start: int, stop: int, segment: int) -> list[tuple[int, int, int]]:
    """The pieces of elements start..stop-1.

    Examples
    --------
    >>> cut(0, 20000, 3)
    [(0, 16384, 3), (16384, 20000, 3)]
    """
    return [(at, min(at + PIECE, stop), segment) for at in range(start, stop, PIECE)]


class Segmented(Kernel):
    """Base: ``scalars`` are 0-d, ``flat`` slots have one size, ``pieces`` has a tile in each of its rows."""

    dims = ("n",)
    scalars: tuple[str, ...] = ()
    small: tuple[str, ...] = ("ratio",)  #: one number for each segment
    flops_per_element = 2

    def infer(self, *inputs: Array, **attrs) -> tuple[Array, ...]:
        slots = dict(zip(self.inputs, inputs))
        pieces = slots["pieces"]
        if pieces.ndim != 2 or pieces.shape[1] != 3 or pieces.dtype != np.int64:
            raise ValueError(f"{self.name} needs pieces as int64 of shape (T, 3), got shape {pieces.shape} and dtype "
                             f"{pieces.dtype}.")
        first = slots[self.inputs[0]]
        for name, x in slots.items():
            if x is None or name == "pieces":
                continue
            wanted = () if name in self.scalars else (x.size,) if name in self.small else first.shape
            if x.shape != wanted or x.dtype.kind != "f":
                raise ValueError(f"{self.name} needs {name} as floats of shape {wanted}, got shape {x.shape} and dtype "
                                 f"{x.dtype}.")
        return tuple(like(slots[n]) if n in slots else like(first, (pieces.shape[0],)) for n in self.outputs)

    def sizes(self, call: Call) -> tuple[int, ...]:
        return (call.inputs[0].size, *(call[name].size for name in self.small if name in self.inputs))

    def tiles(self, call: Call) -> int:
        return call["pieces"].shape[0]

    def terms(self, call: Call) -> int:
        return 16 + PART // 64

    def flops(self, call: Call) -> float:
        return float(self.flops_per_element * call.inputs[0].size)


def spread(ratio, pieces, x):
    """Each segment's number at the places of its elements; elsewhere 0."""
    out = np.zeros_like(x)
    for start, stop, segment in pieces:
        out[start:stop] = ratio[segment]
    return out


def squares(x, pieces):
    """Sums of squares over pieces."""
    return np.array([np.square(x[a:b]).sum() for a, b, _ in pieces], x.dtype)


def covered(pieces, new, old):
    """`new` in the pieces, `old` elsewhere."""
    out = np.array(old)
    for start, stop, _ in pieces:
        out[start:stop] = new[start:stop]
    return out


@register
class piece_squares(Segmented):
    """Sums of squares over pieces: the first half of each segment's norm.

    Slots: partial (T) <- x (n), pieces (T,3).

    Examples
    --------
    >>> piece_squares(np.array([1.0, 2.0, 0.0, 3.0]), np.array([[0, 2, 0], [3, 4, 1]]))
    array([5., 9.])
    """

    name = "piece_squares"
    outputs = ("partial",)
    inputs = ("x", "pieces")

    def numpy(self, x, pieces):
        return squares(x, pieces)


class Ratios(Kernel):
    """Base: one number for each of `segments` segments, from sums over their pieces; one tile."""

    outputs = ("ratio",)
    dims = ("count", "segments")
    hidden = ("segments",)

    def infer(self, *inputs: Array, **attrs) -> tuple[Array]:
        pieces = inputs[self.inputs.index("pieces")]
        for name, x in zip(self.inputs, inputs):
            wanted = {"pieces": (len(pieces.shape) and pieces.shape[0], 3), "adapts": (attrs["segments"],)}.get(
                name, (pieces.shape[0],))
            if x is not None and x.shape != wanted:
                raise ValueError(f"{self.name} needs {name} of shape {wanted}, got {x.shape}.")
        return (like(inputs[0], (attrs["segments"],)),)

    def sizes(self, call: Call) -> tuple[int, int]:
        return call["pieces"].shape[0], call.attr("segments")

    def terms(self, call: Call) -> int:
        return 16 + call["pieces"].shape[0]

    def flops(self, call: Call) -> float:
        return float(call["pieces"].shape[0])


def norms(partial, pieces, segments):
    """Each segment's norm, in float64."""
    total = np.zeros(segments)
    np.add.at(total, pieces[:, 2], partial)
    return np.sqrt(total)


@register
class clip_ratios(Ratios):
    """The factors that clip each segment to a norm: ``limit / norm`` where norm > limit, else 1 (NaN stays).

    Slots: ratio (S) <- partial (T), pieces (T,3).

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, arXiv:1211.5063.

    Examples
    --------
    >>> clip_ratios(np.array([9.0, 16.0, 0.25]), np.array([[0, 4, 0], [4, 6, 0], [6, 7, 1]]), segments=2, limit=1.0)
    array([0.2, 1. ])
    """

    name = "clip_ratios"
    inputs = ("partial", "pieces")
    attrs = {"segments": ..., "limit": ...}

    def numpy(self, partial, pieces, segments, limit):
        norm = norms(partial, pieces, segments)
        return np.where(norm <= limit, 1.0, limit / np.maximum(norm, limit)).astype(partial.dtype)


@register
class trust_ratios(Ratios):
    """By what each segment's step is multiplied, from the norms of its step u and its weights w.

        ratio = coefficient * |w| / (|u| + pull * |w| + epsilon)      1 where |w| or |u| is 0
        ratio = coefficient / (|u| + epsilon)                         without w

    Slots: ratio (S) <- u, w (T; w optional) sums of squares, pieces (T,3), adapts (S, optional): where that is 0 the
    ratio is 1.

    References
    ----------
    You, Gitman & Ginsburg (2017), Large batch training of convolutional networks, arXiv:1708.03888, eq. 6.

    Examples
    --------
    >>> trust_ratios(np.array([4.0, 9.0]), np.array([16.0, 0.0]), np.array([[0, 1, 0], [1, 2, 1]]), segments=2)
    array([2., 1.])
    """

    name = "trust_ratios"
    inputs = ("u", "w", "pieces", "adapts")
    optional = ("w", "adapts")
    attrs = {"segments": ..., "coefficient": 1.0, "pull": 0.0, "epsilon": 0.0}

    def numpy(self, u, w, pieces, adapts=None, *, segments, coefficient=1.0, pull=0.0, epsilon=0.0):
        u_norm = norms(u, pieces, segments)
        with np.errstate(divide="ignore", invalid="ignore"):
            if w is None:
                ratio = np.where(u_norm + epsilon == 0, 1.0, coefficient / (u_norm + epsilon))
            else:
                w_norm = norms(w, pieces, segments)
                ratio = coefficient * w_norm / (u_norm + pull * w_norm + epsilon)
                ratio = np.where((w_norm == 0) | (u_norm == 0), 1.0, ratio)
        return (ratio if adapts is None else np.where(adapts == 0, 1.0, ratio)).astype(u.dtype)


@register
class scale_segments(Segmented):
    """``g *= ratio`` of its segment.

    Slots: g (n) updated; ratio (S); pieces (T,3).

    Examples
    --------
    >>> scale_segments(np.array([1.0, 2.0, 3.0]), np.array([2.0, 10.0]), np.array([[0, 1, 0], [2, 3, 1]]))
    array([ 2.,  2., 30.])
    """

    name = "scale_segments"
    dims = ("n", "segments")
    outputs = ("g",)
    inputs = ("g", "ratio", "pieces")
    flops_per_element = 1

    def numpy(self, g, ratio, pieces):
        return covered(pieces, g * spread(ratio, pieces, g), g)


@register
class scaled_sgd(Segmented):
    """Descent by each segment's own rate: ``w -= rate * ratio * g``.

    Slots: w (n) updated; g (n); ratio (S); pieces (T,3); rate, decay 0-d. decay as in `optim`: what w loses before.

    Examples
    --------
    >>> scaled_sgd(np.ones(3), np.array([0.5, 2.0]), np.array([[0, 1, 0], [1, 3, 1]]), 1.0, np.full(3, 4.0))
    array([3.5, 2. , 2. ])
    """

    name = "scaled_sgd"
    dims = ("n", "segments")
    outputs = ("w",)
    inputs = ("g", "ratio", "pieces", "rate", "w", "decay")
    optional = ("decay",)
    scalars = ("rate", "decay")
    flops_per_element = 4

    def numpy(self, g, ratio, pieces, rate, w, decay=None):
        return covered(pieces, decayed(w, decay) - float(rate) * spread(ratio, pieces, g) * g, w)


@register
class scaled_momentum(Segmented):
    """Momentum by each segment's own rate, with decay inside of the step, as LARS has it.

        step = rate * ratio * (g + pull * w)
        v = mu * v + step
        w -= v                  plain
        w -= mu * v + step      nesterov=1, with the new v

    Slots: w, v (n) updated; g (n); ratio (S); pieces (T,3); rate, mu, decay 0-d. decay is what w loses before.

    References
    ----------
    You, Gitman & Ginsburg (2017), Large batch training of convolutional networks, arXiv:1708.03888, Algorithm 1.

    Examples
    --------
    >>> piece = np.array([[0, 1, 0]])
    >>> scaled_momentum(np.array([2.0]), np.array([0.5]), piece, 0.5, 0.5, np.array([1.0]), np.array([4.0]), pull=2.0)
    (array([-2.]), array([3.]))
    """

    name = "scaled_momentum"
    dims = ("n", "segments")
    outputs = ("w", "v")
    inputs = ("g", "ratio", "pieces", "rate", "mu", "w", "v", "decay")
    optional = ("decay",)
    attrs = {"pull": 0.0, "nesterov": 0}
    scalars = ("rate", "mu", "decay")
    flops_per_element = 9

    def numpy(self, g, ratio, pieces, rate, mu, w, v, decay=None, pull=0.0, nesterov=0):
        mu, kept = float(mu), decayed(w, decay)
        step = float(rate) * spread(ratio, pieces, g) * (g + pull * kept)
        new = mu * v + step
        return (covered(pieces, kept - (mu * new + step if nesterov else new), w), covered(pieces, new, v))


@register
class lamb(Segmented):
    """The first half of LAMB: Adam's moments, its step where the gradient was, and the squares of both norms.

        m += (g - m) * (1 - beta_1)
        v += (g*g - v) * (1 - beta_2)
        g = alpha * m / (sqrt(v) + epsilon) + pull * w
        squares = sums of g*g and w*w over each piece

    Slots: g, m, v (n) updated; u2, w2 (T) written; w (n); pieces (T,3); alpha, epsilon, decay 0-d, as in `adam`; w is
    meant as the decay leaves it. `trust_ratios` and `scaled_sgd` do the rest.

    References
    ----------
    You et al. (2020), Large batch optimization for deep learning: training BERT in 76 minutes, arXiv:1904.00962.

    Examples
    --------
    >>> out = lamb(np.array([4.0]), np.array([[0, 1, 0]]), 2.0, 0.0, np.array([3.0]), np.zeros(1), np.zeros(1),
    ...            beta_1=0.5, beta_2=0.75)
    >>> [float(x[0]) for x in out]      # g, m, v, g*g, w*w
    [2.0, 2.0, 4.0, 4.0, 9.0]
    """

    name = "lamb"
    outputs = ("g", "m", "v", "u2", "w2")
    inputs = ("g", "pieces", "alpha", "epsilon", "w", "m", "v", "decay")
    optional = ("decay",)
    attrs = {"beta_1": 0.9, "beta_2": 0.999, "pull": 0.0}
    scalars = ("alpha", "epsilon", "decay")
    flops_per_element = 18

    def scratch(self, call: Call) -> int:
        return 4 * PART

    def numpy(self, g, pieces, alpha, epsilon, w, m, v, decay=None, beta_1=0.9, beta_2=0.999, pull=0.0):
        kept = decayed(w, decay)
        new_m = m + (g - m) * (1 - beta_1)
        new_v = v + (g * g - v) * (1 - beta_2)
        u = float(alpha) * new_m / (np.sqrt(new_v) + float(epsilon)) + pull * kept
        return (covered(pieces, u, g), covered(pieces, new_m, m), covered(pieces, new_v, v), squares(u, pieces),
                squares(kept, pieces))


@register
class clip_units(Kernel):
    """Adaptive clipping: each unit's gradient is scaled down to a share of the norm of its weights.

        limit = clipping * max(|w|, epsilon)
        g *= limit / |g|        where |g| > limit

    A unit is a column of the matrix; norms go down the rows.
    Slots: g (K,N) updated; w (K,N).

    References
    ----------
    Brock, De, Smith & Simonyan (2021), High-performance large-scale image recognition without normalization,
    arXiv:2102.06171, eq. 3.

    Examples
    --------
    >>> clip_units(np.array([[3.0, 0.1], [4.0, 0.0]]), np.array([[0.0, 1.0], [10.0, 0.0]]), clipping=0.25)
    array([[1.5, 0.1],
           [2. , 0. ]])
    """

    name = "clip_units"
    outputs = ("g",)
    inputs = ("g", "w")
    dims = ("K", "N")
    attrs = {"clipping": ..., "epsilon": 1e-3}

    def infer(self, g: Array, w: Array, **attrs) -> tuple[Array]:
        if g.ndim != 2 or g.shape != w.shape or g.dtype.kind != "f":
            raise ValueError(f"clip_units needs float matrices of one shape, got {g.shape} and {w.shape}.")
        return (like(g),)

    def numpy(self, g, w, clipping, epsilon=1e-3):
        limit = clipping * np.maximum(np.sqrt(np.square(w).sum(0)), epsilon)
        norm = np.sqrt(np.square(g).sum(0))
        return g * np.where(norm <= limit, 1.0, limit / np.maximum(norm, limit)).astype(g.dtype)

    def sizes(self, call: Call) -> tuple[int, int]:
        return call["g"].shape

    def tiles(self, call: Call) -> int:
        return blocks(call["g"].shape[1], COLUMNS)

    def scratch(self, call: Call) -> int:
        return 2 * 4 * COLUMNS

    def terms(self, call: Call) -> int:
        return 16 + call["g"].shape[0]

    def flops(self, call: Call) -> float:
        return 5.0 * call["g"].size
