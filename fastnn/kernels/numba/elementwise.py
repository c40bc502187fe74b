"""Arithmetic on elements: two arrays with NumPy's broadcasting, one array, constants and copies."""

from __future__ import annotations

import numpy as np

from ..spec import BLOCK
from .broadcast import SIZE, place, step, total
from .form import elementwise, form, helper
from .math import INF, NAN, TINY, bits, exponent, fma, from_bits, larger, smaller
from .math import erf as own_erf
from .math import log as natural_log
from .memory import copied, number, view

f4, f8, i4, u4 = np.float32, np.float64, np.int32, np.uint32
LN2, ROUND = f8(0.69314718055994530942), f8(6755399441055744.0)  # 1.5 * 2^52: adding it rounds to an integer

# ---------------------------------------------------------------------- two arrays


@elementwise
def add(a, b):
    return a + b


@elementwise
def subtract(a, b):
    return a - b


@elementwise
def multiply(a, b):
    return a * b


@elementwise
def divide(a, b):
    return a / b


@elementwise
def maximum(a, b):
    return b if b > a or b != b else a


@elementwise
def minimum(a, b):
    return b if b < a or b != b else a


@elementwise
def greater(a, b):
    return 1 if a > b else 0


@helper
def log_of_magnitude(x):
    """log x of a float32 >= 0 in float64: x = m 2^e with m in [2/3, 4/3), s = (m - 1) / (m + 1), log m = 2 atanh s"""
    big = x * f4(2.0**23) if x < TINY else x
    e = exponent(big)
    m = f8(from_bits(u4(bits(big) - e)))
    s = (m - f8(1)) / (m + f8(1))
    q = s * s
    p = f8(1) / f8(11) + q * (f8(1) / f8(13))
    p = f8(1) / f8(5) + q * (f8(1) / f8(7) + q * (f8(1) / f8(9) + q * p))
    p = f8(1) + q * (f8(1) / f8(3) + q * p)
    e = f8(f4(i4(e)) * f4(2.0**-23)) - (f8(23) if x < TINY else f8(0))
    y = e * LN2 + f8(2) * s * p
    y = y if x < INF else f8(x)
    return -f8(INF) if x == f4(0) else y


@helper
def exp_within_float32(t):
    """e^t of a float64 as a float32"""
    t = f8(89) if t > f8(89) else f8(-104) if t < f8(-104) else t
    n = (t * (f8(1) / LN2) + ROUND) - ROUND
    r = t - n * LN2
    y = f8(1) / f8(40320) + r * (f8(1) / f8(362880))
    y = f8(1) / f8(120) + r * (f8(1) / f8(720) + r * (f8(1) / f8(5040) + r * y))
    y = f8(1) / f8(2) + r * (f8(1) / f8(6) + r * (f8(1) / f8(24) + r * y))
    y = f8(1) + r * (f8(1) + r * y)
    # times 2^n by two floats: n is between -151 and 129
    i = i4(n if n == n else f8(0))
    half = i4(i >> i4(1))
    return f4(y * f8(from_bits(u4(u4(half + i4(127)) << u4(23)))) * f8(from_bits(u4(u4(i - half + i4(127)) << u4(23)))))


@helper
def real_power(a, b):
    """a**b as C's pow has it, by log and exp in float64"""
    x = abs(a)
    z = exp_within_float32(f8(b) * log_of_magnitude(x))
    # a negative base: odd integers keep its sign, other integers lose it, the rest is no number
    whole = np.trunc(b)
    odd = whole - f4(2) * np.trunc(whole * f4(0.5))
    z = -z if (bits(a) >> u4(31) != 0) & (abs(odd) == f4(1)) & (whole == b) else z
    z = NAN if (a < f4(0)) & (whole != b) & (x < INF) else z
    z = f4(1) if (x == f4(1)) & ((a > f4(0)) | (abs(b) == INF)) else z
    return f4(1) if b == f4(0) else z


@elementwise
def power(a, b):
    return real_power(a, b)


@helper
def where_row(y, c, sc, a, sa, b, sb, n):
    """One row; an absent a or b has the address 0 and the stride 0."""
    y, u, v = view(y, n, f4), number(a, f4), number(b, f4)
    if sc and sa and sb:
        c, a, b = view(c, n, f4), view(a, n, f4), view(b, n, f4)
        for i in range(n):
            u, v = a[i], b[i]  # both are read, so that the choice needs no branch
            y[i] = u if c[i] != f4(0) else v
    elif sc and sa:
        c, a = view(c, n, f4), view(a, n, f4)
        for i in range(n):
            u = a[i]
            y[i] = u if c[i] != f4(0) else v
    elif sc and sb:
        c, b = view(c, n, f4), view(b, n, f4)
        for i in range(n):
            v = b[i]
            y[i] = u if c[i] != f4(0) else v
    elif sc:
        c = view(c, n, f4)
        for i in range(n):
            y[i] = u if c[i] != f4(0) else v
    elif number(c, f4) != f4(0):
        fill_row(y, a, sa, u)
    else:
        fill_row(y, b, sb, v)


@helper
def fill_row(y, x, sx, first):
    """y = x, of which `first` is the first"""
    if sx:
        copied(y, view(x, len(y), f4))
    else:
        for i in range(len(y)):
            y[i] = first


@form(y="address", c="address", a="address", b="address")
def where(y, c, a, b, dim, first, last):
    """y = np.where(c != 0, a, b)"""
    loops = dim[0]
    n, i, stop = dim[loops], first * BLOCK, min(last * BLOCK, total(dim))
    y, c, a, b = np.int64(y), np.int64(c), np.int64(a), np.int64(b)
    sc, sa, sb = step(dim, 0, loops - 1), step(dim, 1, loops - 1), step(dim, 2, loops - 1)
    while i < stop:
        row = i // n
        j = i - row * n
        m = min(n - j, stop - i)
        where_row(y + i * SIZE, c + (place(dim, 0, loops - 1, row) + j * sc) * SIZE, sc,
                  a + (place(dim, 1, loops - 1, row) + j * sa) * SIZE, sa,
                  b + (place(dim, 2, loops - 1, row) + j * sb) * SIZE, sb, m)
        i += m


# ---------------------------------------------------------------------- one array


@elementwise
def negative(x):
    return -x


@elementwise
def exp(x):
    return np.exp(x)


@elementwise
def log(x):
    return natural_log(x)


@elementwise
def sqrt(x):
    return np.sqrt(x)


@elementwise
def square(x):
    return x * x


@elementwise
def absolute(x):
    return abs(x)


@elementwise
def sign(x):
    return 1 if x > 0 else -1 if x < 0 else x


@elementwise
def reciprocal(x):
    return 1 / x


@elementwise
def log1p(x):
    return np.log1p(x)


@elementwise
def expm1(x):
    return np.expm1(x)


@elementwise
def erf(x):
    return own_erf(x)


@elementwise
def affine(x, scale, offset):
    return fma(x, scale, offset)


@elementwise
def clip(x, low, high):
    return smaller(larger(x, low), high)


@elementwise
def clip_grad(dy, x, low, high):
    return 0 if x < low or x > high else dy


# ---------------------------------------------------------------------- constants and copies


@form(y="address", value="f8")
def fill(y, value, N, type, first, last):
    """y[:] = value"""
    part = slice(first * BLOCK, min(last * BLOCK, N))
    if type == 0:
        view(y, N, np.float32)[part] = np.float32(value)
    elif type == 1:
        view(y, N, np.float64)[part] = value
    elif type == 2:
        view(y, N, np.int32)[part] = np.int32(value)
    else:
        view(y, N, np.uint8)[part] = np.uint8(np.int32(value))


@form(y="u1 N*itemsize", x="u1 N*itemsize")
def copy(y, x, N, itemsize, first, last):
    """y[:] = x"""
    part = slice(first * BLOCK * itemsize, min(last * BLOCK, N) * itemsize)
    copied(y[part], x[part])
