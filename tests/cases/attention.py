"""Cases of attention: lengths around blocks of 64 and strips of 16, other lengths of keys, shared heads, masks."""

import numpy as np

from fastnn.kernels import attention as k
from tests.cases import Case

# B, T, S, H, G, D, E
SHAPES = [(1, 1, 1, 1, 1, 1, 1), (2, 3, 5, 2, 1, 4, 3), (1, 1, 70, 1, 1, 5, 2), (1, 17, 1, 2, 2, 3, 1),
          (2, 16, 16, 1, 1, 8, 8), (1, 33, 47, 2, 2, 16, 16), (2, 64, 64, 4, 4, 32, 32), (1, 65, 130, 4, 2, 7, 9),
          (1, 130, 65, 2, 1, 20, 33), (1, 200, 200, 1, 1, 64, 64), (1, 5, 6, 1, 1, 300, 270)]
MASKS = ((1, 1, 1), (1, 2, 1), (2, 1, 3), (2, 2, 3))  # for the shape (2, 3, 5, 2, 1, ...)


def size(shape):
    """Attributes that every case has; the scale keeps the weights apart."""
    return {"scale": 1.3 / shape[5] ** 0.5}


def arrays(shape, mask=None, rate=False, hidden=()):
    """q, k, v, a mask of this shape that leaves about two keys of three, or None, and the step's number."""
    def make(rng):
        b, t, s, h, g, d, e = shape
        m = None
        if mask is not None:
            m = (rng.random((*mask, s)) < 0.67).astype(np.float64)
            for row in hidden:
                m[..., row, :] = 0
        return (rng.normal(size=(b, t, h, d)), rng.normal(size=(b, s, g, d)), rng.normal(size=(b, s, g, e)), m,
                np.float64(3) if rate else None)
    return make


def upstream(shape, mask, rate, hidden, attrs):
    """Inputs of the gradient: y and log_sum are those that the meaning gives."""
    def make(rng):
        q, key, v, m, step = (None if x is None else x if np.ndim(x) == 0 else x.astype(np.float32).astype(np.float64)
                              for x in arrays(shape, mask, rate, hidden)(rng))
        y, log_sum = k.attention.numpy(q, key, v, m, step, **k.attention.complete(attrs))
        return rng.normal(size=y.shape), q, key, v, y, log_sum, m, step
    return make


CASES = []


def add(shape, label, mask=None, rate=0.0, hidden=(), **attrs):
    b, t, s, h, g, d, e = shape
    attrs = {**size(shape), **attrs}
    if rate:
        attrs |= {"rate": rate, "key0": 11, "key1": 2**32 - 5}
    small = max(b * t * h * d, b * s * g * max(d, e)) <= 200
    given = (shape, mask, rate > 0, hidden)
    CASES.append(Case(k.attention, arrays(*given), attrs, label, terms=d + s + 16, grad=("q", "k", "v"), small=small))
    CASES.append(Case(k.attention_grad, upstream(*given, attrs), attrs, label, small=False,
                      terms=d + e + s + t * (h // g) + 16, slack=8.0))  # dp - delta cancels


for _shape in SHAPES:
    _label = "x".join(map(str, _shape))
    add(_shape, _label)
    add(_shape, f"{_label},causal", causal=1)
    add(_shape, f"{_label},padding", mask=(_shape[0], 1, 1))
for _mask in MASKS:
    add((2, 3, 5, 2, 1, 4, 3), f"mask {_mask}", mask=_mask)
    add((2, 3, 5, 2, 1, 4, 3), f"mask {_mask},causal,dropped", mask=_mask, causal=1, rate=0.3)
add((2, 3, 5, 2, 1, 4, 3), "offset 2", causal=1, offset=2)
add((1, 70, 150, 2, 1, 6, 5), "offset 50", causal=1, offset=50)
add((1, 70, 150, 2, 2, 6, 5), "offset 90, dropped", causal=1, offset=90, rate=0.5)
add((1, 100, 100, 2, 1, 6, 5), "dropped", rate=0.1)
add((1, 100, 100, 2, 1, 6, 5), "hidden rows", mask=(1, 1, 100), hidden=(0, 3, 99), causal=1)
add((1, 3, 4, 1, 1, 2, 2), "a hidden row", mask=(1, 1, 3), hidden=(1,))


def kept(shape, at):
    """A new step of each row, and keys and values of a sequence that is filled up to place `at`."""
    def make(rng):
        b, s, h, g, d, e = shape
        keys, values = rng.normal(size=(b, g, s, d)), rng.normal(size=(b, g, s, e))
        keys[:, :, at + 1 :] = values[:, :, at + 1 :] = np.nan  # of a step that is not there yet nothing is read
        return (rng.normal(size=(b, h, d)), rng.normal(size=(b, g, d)), rng.normal(size=(b, g, e)), keys, values,
                np.array([at], np.int32))
    return make


# B, S, H, G, D, E, and the place of the new step
for _shape, _at in [((1, 1, 1, 1, 1, 1), 0), ((2, 5, 2, 1, 4, 3), 0), ((2, 5, 2, 1, 4, 3), 4),
                    ((3, 40, 4, 2, 17, 33), 20), ((1, 300, 2, 2, 64, 32), 299), ((2, 5, 2, 1, 4, 3), 5),
                    ((2, 5, 2, 1, 4, 3), -1)]:
    _label = f"{'x'.join(map(str, _shape))} at {_at}{' (nan)' * (_at != _shape[1] - 1)}"
    CASES.append(Case(k.attention_step, kept(_shape, _at), {"scale": 1.3 / _shape[4] ** 0.5}, _label,
                      terms=_shape[4] + _shape[1] + 16, exact=not 0 <= _at < _shape[1]))
