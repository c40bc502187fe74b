"""Cases of the depthwise convolutions: one window per channel and several, sizes on both sides of a vector."""

from fastnn.kernels.dense import ACTIVATIONS
from fastnn.kernels.depthwise import depthwise, depthwise_grad_input, depthwise_grad_weight
from fastnn.kernels.windows import geometry

from . import Case
from .conv import label

PLAIN = {"strides": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0)}

# images (N,H,W,C), window (KH,KW,C,M), attributes
SHAPES = [
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 5, 4, 3), (3, 2, 3, 1), {}),
    ((2, 5, 6, 3), (3, 3, 3, 2), {"padding": (1, 1, 1, 1)}),
    ((1, 3, 3, 17), (3, 3, 17, 1), {}),  # one pixel comes out
    ((2, 8, 9, 5), (3, 3, 5, 3), {"padding": (0, 1, 1, 1), "strides": (2, 2)}),
    ((2, 7, 8, 2), (2, 2, 2, 1), {"strides": (3, 3)}),
    ((1, 9, 10, 4), (3, 2, 4, 1), {"dilation": (2, 3), "padding": (1, 2, 0, 3)}),
    ((2, 1, 20, 3), (1, 5, 3, 1), {"padding": (0, 0, 4, 0)}),
    ((1, 6, 6, 2), (2, 2, 2, 2), {"strides": (2, 3), "dilation": (3, 2), "padding": (2, 0, 1, 3)}),
    ((2, 3, 2, 2), (5, 4, 2, 1), {"padding": (2, 2, 2, 1)}),
    ((0, 5, 5, 2), (3, 3, 2, 1), {}),
]
LARGE = [
    ((3, 14, 13, 40), (3, 3, 40, 1), {"padding": (1, 1, 1, 1)}),
    ((17, 9, 11, 33), (5, 3, 33, 2), {"padding": (2, 2, 1, 1)}),
    ((2, 12, 400, 40), (3, 3, 40, 1), {"padding": (1, 1, 1, 1), "strides": (1, 2)}),  # images cut into rows
]


def sizes(x, w, more):
    kh, kw, c, m = w
    return geometry("case", x, (kh, kw, 1, c * m), groups=c, **{**PLAIN, **more})


def layer(x, w, bias=True):
    return lambda rng: (rng.normal(size=x), rng.normal(size=w), rng.normal(size=w[2] * w[3]) if bias else None)


def upstream(x, w, more, y=False):
    g = sizes(x, w, more)
    return lambda rng: (rng.normal(size=(g.N, g.OH, g.OW, g.F)), rng.normal(size=w), rng.normal(size=x) if y else None)


def both(x, w, more):
    g = sizes(x, w, more)
    return lambda rng: (rng.normal(size=x), rng.normal(size=(g.N, g.OH, g.OW, g.F)))


CASES = []
for _x, _w, _more in SHAPES + LARGE:
    _g, _small = sizes(_x, _w, _more), (_x, _w, _more) in SHAPES
    _attrs, _name, _taps = {**PLAIN, **_more}, label(_x, _w, _more), _g.KH * _g.KW + 8
    CASES += [
        Case(depthwise, layer(_x, _w), _attrs, _name, terms=_taps, small=_small,
             grad=("x", "w", "b") if _small and _x[0] else ()),
        Case(depthwise_grad_input, upstream(_x, _w, _more), {**_attrs, "shape": _x[1:3]}, _name, terms=_taps * _w[3],
             small=_small),
        Case(depthwise_grad_weight, both(_x, _w, _more), {**_attrs, "window": _w[:2]}, _name,
             terms=_g.N * _g.OH * _g.OW + 8, small=_small),
    ]
for _a in ACTIVATIONS:
    _edge = {**PLAIN, "padding": (1, 0, 0, 1), "activation": _a, "alpha": 0.7}
    CASES += [
        Case(depthwise, layer((1, 3, 2, 3), (2, 2, 3, 2), bias=False), _edge, f"gradient,{_a}", terms=20,
             grad=("x", "w")),
        Case(depthwise_grad_input, upstream((2, 4, 5, 3), (2, 2, 3, 2), {"padding": (1, 0, 0, 1)}, y=True),
             {**_edge, "shape": (4, 5)}, _a, terms=30),
    ]
