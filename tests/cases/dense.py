"""Cases of the dense family: rows, columns and depths on both sides of tiles, panels and vectors."""

import numpy as np

from fastnn.kernels.dense import ACTIVATIONS, dense, dense_grad_input, dense_grad_weight, matmul, norm_dense_grad

from . import Case

# M, K, N: every remainder of rows (1..14, 6 a panel on AVX2), of vectors (4, 8, 16 lanes, 1 to 8 at a
# time), several blocks of k (416), several tiles (512 x 256)
SHAPES = [
    (1, 1, 1), (1, 784, 300), (2, 3, 5), (3, 16, 130), (4, 7, 33), (5, 31, 64), (6, 17, 100), (7, 9, 10), (8, 15, 31),
    (9, 33, 16), (10, 48, 17), (11, 20, 48), (12, 5, 96), (13, 64, 15), (14, 100, 32), (15, 16, 1), (16, 300, 47),
    (17, 1, 300), (28, 50, 24), (31, 417, 66), (32, 784, 30), (43, 833, 70), (64, 100, 100), (97, 128, 257),
    (513, 65, 290), (0, 5, 7), (5, 0, 7), (5, 7, 0),
]
FEW = [(1, 20, 40), (5, 30, 17), (33, 450, 70), (64, 100, 100)]


def small(m, k, n):
    return m * k * n < 1000


def layer(m, k, n, bias=True):
    return lambda rng: (rng.normal(size=(m, k)), rng.normal(size=(k, n)), rng.normal(size=n) if bias else None)


def upstream(m, k, n, y=False):
    return lambda rng: (rng.normal(size=(m, n)), rng.normal(size=(k, n)), rng.normal(size=(m, k)) if y else None)


def both(m, k, n):
    return lambda rng: (rng.normal(size=(m, k)), rng.normal(size=(m, n)), None)


def pair(a, b):
    return lambda rng: (rng.normal(size=a), rng.normal(size=b))


def label(*size):
    return "x".join(map(str, size))


CASES = [Case(dense, layer(*s), {"activation": "relu"}, label(*s), terms=s[1] + 4, small=small(*s)) for s in SHAPES]
CASES += [Case(dense, layer(*s, bias=False), {}, f"{label(*s)},no bias", terms=s[1] + 4, small=small(*s)) for s in FEW]
CASES += [Case(dense, layer(*s), {"activation": a, "alpha": 0.7}, f"{label(*s)},{a}", terms=s[1] + 8, small=small(*s))
          for s in FEW for a in ACTIVATIONS]
CASES += [Case(dense, layer(3, 4, 5), {"activation": a, "alpha": 0.7}, f"gradient,{a}", terms=8, grad=("x", "w", "b"))
          for a in ACTIVATIONS]
CASES += [Case(dense, layer(3, 4, 5, bias=False), {}, "gradient,no bias", grad=("x", "w"))]
CASES += [Case(dense_grad_input, upstream(*s), {}, label(*s), terms=s[2] + 4, small=small(*s)) for s in SHAPES]
CASES += [Case(dense_grad_input, upstream(3, 4, 5), {}, "gradient", terms=9, grad=("dz", "w")),
          Case(dense_grad_weight, both(3, 4, 5), {}, "gradient", terms=7, grad=("x", "dz"))]
CASES += [Case(dense_grad_input, upstream(*s, y=True), {"activation": a, "alpha": 0.7}, f"{label(*s)},{a}",
               terms=s[2] + 8, small=small(*s)) for s in FEW for a in ACTIVATIONS]
CASES += [Case(dense_grad_weight, both(*s), {}, label(*s), terms=s[0] + 4, small=small(*s)) for s in SHAPES]
CASES += [Case(dense_grad_weight, both(*s), {}, label(*s), terms=s[0] + 4, small=False)
          for s in [(450, 100, 40), (1000, 33, 300), (20, 300, 600)]]

# packed: a B beyond L2, kept by the first panel; rows 512 floats apart on narrow vectors
CASES += [Case(k, make(*s), {}, f"{label(*s)},packed", terms=max(s) + 4, small=False)
          for s in [(64, 300, 900), (64, 512, 520), (300, 530, 512)]
          for k, make in [(dense, layer), (dense_grad_input, upstream), (dense_grad_weight, both)]]
# both sides of what decides whether x is packed: 257 terms, rows 384 floats apart, 192 columns; several stripes, blocks
CASES += [Case(dense_grad_weight, both(*s), {}, f"{label(*s)},columns", terms=s[0] + 4, small=False)
          for s in [(256, 40, 193), (257, 40, 192), (257, 40, 193), (300, 383, 20), (300, 384, 20), (600, 600, 4)]]


def normed(m, k, n, scale=True, shift=True):
    def make(rng):
        x, w, dz = rng.normal(1, 2, (m, k)), rng.normal(size=(k, n)), rng.normal(size=(m, n))
        return (x, x.mean(0), 1 / np.sqrt(x.var(0) + 1e-3), rng.normal(size=k) if scale else None,
                rng.normal(size=k) if shift else None, w, dz, dz.sum(0), None)
    return make


CASES += [Case(norm_dense_grad, normed(*s), {}, label(*s), terms=s[0] + s[2] + 8, small=False)
          for s in SHAPES if min(s)]
CASES += [Case(norm_dense_grad, normed(9, 40, 33, *on), {}, f"scale,shift={on}", terms=50, small=False)
          for on in ((True, False), (False, True), (False, False))]

MATMULS = [((5, 7), (7, 6), {}), ((2, 3, 4), (2, 4, 5), {}), ((2, 3, 4), (4, 5), {}), ((3, 4), (2, 4, 5), {}),
           ((2, 3, 4), (2, 4, 5), {"sum_batch": 1}), ((1, 1), (1, 1), {}), ((2, 30, 17), (2, 17, 33), {}),
           ((40, 500), (500, 70), {}), ((3, 65, 20), (20, 90), {}), ((7, 20, 450), (7, 450, 20), {"sum_batch": 1}),
           ((0, 3, 4), (0, 4, 5), {}), ((0, 3, 4), (0, 4, 5), {"sum_batch": 1}), ((2, 3, 0), (2, 0, 5), {})]


def turned(shape, turn):
    return (*shape[:-2], shape[-1], shape[-2]) if turn else shape


for _a, _b, _attrs in MATMULS:
    for _ta in (0, 1):
        for _tb in (0, 1):
            _turn = {"transpose_a": _ta, "transpose_b": _tb, **_attrs}
            _small = small(_a[-2], _a[-1], _b[-1]) and min(*_a, *_b) > 0
            CASES.append(Case(matmul, pair(turned(_a, _ta), turned(_b, _tb)), _turn,
                              f"{label(*_a)}@{label(*_b)},{_ta}{_tb}{',sum' * len(_attrs)}",
                              terms=_a[-1] * (_a[0] or 1 if _attrs else 1) + 4, small=_small,
                              grad=("a", "b") if _small else ()))
