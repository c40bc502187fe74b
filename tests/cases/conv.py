"""Cases of the convolutions: odd sizes, strides larger than the kernel, dilation, groups, padding of one side."""

import numpy as np

from fastnn.kernels.conv import conv, conv_grad_input, conv_grad_weight, conv_transpose, turn_kernel
from fastnn.kernels.dense import ACTIVATIONS
from fastnn.kernels.windows import geometry

from . import Case

PLAIN = {"strides": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": 1}

# images (N,H,W,C), kernel (KH,KW,C/groups,F), attributes
SHAPES = [
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 5, 4, 3), (3, 2, 3, 4), {}),
    ((1, 3, 3, 2), (3, 3, 2, 5), {}),  # one pixel comes out
    ((2, 7, 6, 1), (3, 3, 1, 17), {"padding": (1, 1, 1, 1)}),  # one channel
    ((3, 8, 9, 5), (3, 3, 5, 16), {"padding": (1, 1, 1, 1), "strides": (2, 2)}),
    ((2, 7, 8, 4), (2, 2, 4, 3), {"strides": (3, 3)}),  # steps over pixels
    ((2, 9, 8, 3), (1, 1, 3, 5), {"strides": (2, 2)}),
    ((2, 9, 10, 4), (3, 2, 4, 6), {"dilation": (2, 3), "padding": (1, 2, 0, 3)}),
    ((2, 8, 7, 6), (3, 3, 2, 9), {"groups": 3, "padding": (1, 1, 1, 1)}),
    ((1, 9, 9, 4), (3, 3, 2, 4), {"groups": 2, "strides": (2, 1), "dilation": (1, 2), "padding": (0, 1, 2, 0)}),
    ((2, 1, 20, 3), (1, 5, 3, 7), {"padding": (0, 0, 4, 0)}),  # a sequence, causal
    ((2, 3, 2, 2), (5, 4, 2, 3), {"padding": (2, 2, 2, 1)}),  # a kernel larger than the image
    ((1, 6, 6, 2), (2, 2, 2, 3), {"strides": (2, 3), "dilation": (3, 2), "padding": (2, 0, 1, 3)}),
    ((0, 5, 5, 2), (3, 3, 2, 4), {}),
]
LARGE = [
    ((3, 14, 13, 20), (3, 3, 20, 70), {"padding": (1, 1, 1, 1)}),
    ((20, 7, 7, 8), (3, 3, 8, 24), {"padding": (1, 1, 1, 1)}),  # several images together, several groups of them
    ((1, 20, 20, 70), (3, 3, 70, 260), {}),  # a kernel beyond L2
    ((2, 12, 400, 30), (5, 5, 30, 8), {"padding": (2, 2, 2, 2)}),  # images cut into rows
    ((17, 12, 11, 9), (3, 3, 9, 12), {"strides": (2, 2), "padding": (0, 1, 0, 1)}),
]
# By Winograd's algorithm, in tiles of 2 x 2 outputs, six to a group, sixteen filters to a panel
WINOGRAD = [
    ((1, 8, 8, 16), (3, 3, 16, 16), {"padding": (1, 1, 1, 1)}),
    ((2, 11, 9, 16), (3, 3, 16, 20), {"padding": (1, 1, 1, 1)}),  # odd sizes, a panel of four filters
    ((3, 8, 11, 21), (3, 3, 21, 33), {}),  # valid; a block of five channels, a panel of one filter
    ((2, 8, 9, 17), (3, 3, 17, 16), {"padding": (2, 2, 2, 2)}),
    ((17, 9, 10, 20), (3, 3, 20, 18), {"padding": (2, 0, 1, 2)}),  # another padding on each side
    ((1, 12, 12, 16), (3, 3, 16, 16), {"padding": (3, 4, 0, 5)}),  # tiles that see no pixel of the image
    ((256, 2, 2, 16), (3, 3, 16, 16), {"padding": (1, 1, 1, 1)}),  # one tile, its patch larger than the image
    ((1, 2, 60, 64), (3, 3, 64, 70), {"padding": (1, 1, 1, 1)}),
    ((16, 24, 2, 64), (3, 3, 64, 70), {"padding": (1, 1, 1, 1)}),  # one column of tiles
    ((1, 31, 30, 32), (3, 3, 32, 48), {"padding": (1, 1, 1, 1)}),  # an image cut into rows
    ((16, 14, 13, 90), (3, 3, 90, 91), {"padding": (1, 1, 1, 1)}),  # a window beyond L2
]


# Where the gradient of the weight takes tiles of 2 x 2 pixels of dz: images, filters, padding
TILED = [
    ((100, 1, 2, 256), 128, (1, 1, 1, 1)),  # one row: half of each tile lies outside
    ((100, 4, 3, 256), 128, (0, 0, 0, 0)),  # one column
    ((40, 2, 2, 16), 32, (1, 1, 1, 1)),  # one tile for each image
    ((8, 4, 4, 16), 16, (0, 0, 0, 0)),  # the patch is the image
    ((3, 7, 6, 16), 16, (1, 1, 1, 1)),  # an odd number of rows
    ((3, 6, 9, 20), 17, (1, 1, 1, 1)),  # an odd number of columns; no whole vectors
    ((2, 9, 8, 8), 40, (0, 1, 2, 0)),  # unequal padding
    ((2, 5, 6, 18), 19, (2, 2, 2, 2)),  # patches that lie outside
    ((2, 23, 28, 16), 16, (0, 0, 0, 0)),  # blocks that end within a row of tiles ...
    ((48, 15, 16, 16), 16, (0, 0, 0, 0)),  # ... and go on in the next image
    ((19, 9, 10, 16), 24, (1, 0, 0, 1)),  # groups of images, the last one smaller
    ((1, 16, 16, 48), 66, (1, 1, 1, 1)),  # filters cut into pieces, the last one narrow
    ((1, 8, 8, 256), 160, (1, 1, 1, 1)),  # rows of a pitch that would share few sets of a cache
]


def attributes(more):
    return {**PLAIN, **more}


def sizes(x, w, more):
    return geometry("case", x, w, **attributes(more))


def label(x, w, more):
    text = ",".join(f"{k}={'x'.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in more.items())
    return f"{'x'.join(map(str, x))}*{'x'.join(map(str, w))}{',' + text if text else ''}"


def layer(x, w, bias=True):
    return lambda rng: (rng.normal(size=x), rng.normal(size=w), rng.normal(size=w[3]) if bias else None)


def upstream(x, w, more, y=False, plus=False):
    g = sizes(x, w, more)
    return lambda rng: (rng.normal(size=(g.N, g.OH, g.OW, g.F)), rng.normal(size=(g.KH, g.KW, g.F, w[2])),
                        rng.normal(size=x) if y else None, rng.normal(size=x) if plus else None)


def spread(x, w, more):
    g = sizes(x, w, more)
    return lambda rng: (rng.normal(size=(g.N, g.OH, g.OW, g.F)), rng.normal(size=(g.KH, g.KW, g.F, w[2])),
                        rng.normal(size=g.C))


def both(x, w, more):
    g = sizes(x, w, more)
    return lambda rng: (rng.normal(size=x), rng.normal(size=(g.N, g.OH, g.OW, g.F)))


CASES = []
for _x, _w, _more in SHAPES + LARGE + WINOGRAD:
    _g, _small = sizes(_x, _w, _more), (_x, _w, _more) in SHAPES
    _in, _out, _pixels = _g.KH * _g.KW * _w[2] + 8, _g.KH * _g.KW * _g.F // _g.groups + 8, _g.N * _g.OH * _g.OW + 8
    _attrs, _shaped, _name = attributes(_more), {**attributes(_more), "shape": _x[1:3]}, label(_x, _w, _more)
    _trained = _small and _x[0] > 0
    CASES += [
        Case(conv, layer(_x, _w), _attrs, _name, terms=_in, small=_small, grad=("x", "w", "b") if _trained else ()),
        Case(conv_grad_input, upstream(_x, _w, _more), _shaped, _name, terms=_out, small=_small),
        Case(conv_transpose, spread(_x, _w, _more), _shaped, _name, terms=_out, small=_small,
             grad=("x", "turned", "b") if _trained else ()),
        Case(conv_grad_weight, both(_x, _w, _more), {**_attrs, "window": _w[:2]}, _name, terms=_pixels, small=_small),
    ]
for _x, _filters, _padding in TILED:
    _w, _more = (3, 3, _x[3], _filters), {"padding": _padding}
    _g = sizes(_x, _w, _more)
    assert conv_grad_weight.winograd(_g), _g
    CASES.append(Case(conv_grad_weight, both(_x, _w, _more), {**attributes(_more), "window": (3, 3)},
                      f"tiles,{label(_x, _w, _more)}", terms=_g.N * _g.OH * _g.OW + 8, small=False))
for _a in ACTIVATIONS:
    _edge = {**PLAIN, "padding": (1, 0, 0, 1), "activation": _a, "alpha": 0.7}
    CASES += [
        Case(conv, layer((2, 4, 5, 3), (2, 2, 3, 18)), _edge, _a, terms=20),
        Case(conv, layer((1, 3, 2, 2), (2, 2, 2, 3), bias=False), _edge, f"gradient,{_a}", terms=20, grad=("x", "w")),
        Case(conv_transpose, spread((1, 3, 2, 2), (2, 2, 2, 3), {"padding": (1, 0, 0, 1)}), {**_edge, "shape": (3, 2)},
             f"gradient,{_a}", terms=20, grad=("x", "turned", "b")),
        Case(conv_grad_input, upstream((2, 4, 5, 3), (2, 2, 3, 18), {"padding": (1, 0, 0, 1)}, y=True),
             {**_edge, "shape": (4, 5)}, _a, terms=80),
    ]
for _a in ("relu", "tanh"):
    for _n, _x, _w in (("", (2, 11, 9, 16), (3, 3, 16, 20)), ("no bias,", (1, 8, 8, 16), (3, 3, 16, 16))):
        _edge = {**PLAIN, "padding": (1, 1, 1, 1), "activation": _a}
        CASES += [
            Case(conv, layer(_x, _w, not _n), _edge, f"winograd,{_n}{_a}", terms=152),
            Case(conv_transpose, spread(_x, _w, _edge), {**_edge, "shape": _x[1:3]}, f"winograd,{_n}{_a}", terms=188),
            Case(conv_grad_input, upstream(_x, _w, _edge, True, not _n), {**_edge, "shape": _x[1:3]},
                 f"winograd,{_n}{_a}", terms=188),
        ]
for _y, _x, _w, _more in ((True, (2, 9, 7, 3), (3, 3, 3, 18), {"padding": (1, 1, 1, 1)}),
                          (False, (2, 9, 7, 3), (3, 3, 3, 18), {"strides": (2, 2), "padding": (0, 1, 0, 1)}),
                          (True, (2, 9, 8, 16), (1, 1, 16, 5), {"strides": (2, 2)}),
                          (False, (2, 11, 9, 20), (3, 3, 20, 16), {"padding": (1, 1, 1, 1)}),
                          (True, (2, 11, 9, 20), (3, 3, 20, 16), {"padding": (1, 1, 1, 1)})):
    _edge = {**attributes(_more), "shape": _x[1:3], "activation": "relu" if _y else "linear"}
    CASES.append(Case(conv_grad_input, upstream(_x, _w, _more, _y, True), _edge, f"plus,{label(_x, _w, _more)}",
                      terms=60))
CASES += [Case(turn_kernel, lambda rng, s=s: (rng.normal(size=s),), {}, "x".join(map(str, s)), exact=True,
               grad=("w",) if np.prod(s) < 100 else ())
          for s in ((1, 1, 1, 1), (2, 3, 2, 4), (3, 3, 20, 33), (1, 5, 16, 16))]
