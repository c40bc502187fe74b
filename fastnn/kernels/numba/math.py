"""exp, log, tanh, erf and kin for one float32: the functions of csrc/math.inc in Python.

They have no branches, so that LLVM vectorizes a loop over them; the polynomials, steps and therefore (on a CPU with
FMA) the bits are those of the C functions, whose file says how near they come. Here ``a if c else b`` is a choice
between two numbers that are both computed.
"""

from __future__ import annotations

import numpy as np

from .form import Helper, helper

#: those that stand in for NumPy's and math's functions of the same name
__all__ = ["exp", "expm1", "log", "log1p", "tanh", "erf", "copysign"]

f4, i4, u4 = np.float32, np.int32, np.uint32
LN2_HI, LN2_LO, LN2 = f4(0.693359375), f4(-2.12194440e-4), f4(0.693147182)
MAGIC, MAGIC_BITS = f4(12582912.0), u4(0x4B400000)  # 1.5 * 2^23: adding it rounds to an integer
TINY = f4(2.0**-126)
INF, NAN = f4(np.inf), f4(np.nan)


def _fma():
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def fma(context, a, b, c):
        """a * b + c with one rounding."""
        def generate(target, builder, signature, args):
            return builder.fma(*args)

        return types.float32(types.float32, types.float32, types.float32), generate

    return fma


# The float64 product of two float32 is exact; its sum with the third is rounded to float64 before it is to float32.
fma = Helper(lambda a, b, c: f4(float(a) * float(b) + float(c)), _fma)
fma.__name__ = "fma"


def _llvm(name: str):
    """What makes an LLVM function of two float32 callable."""
    def make():
        from llvmlite import ir
        from numba.core import types
        from numba.extending import intrinsic

        @intrinsic
        def call(context, a, b):
            def generate(target, builder, signature, args):
                kind = args[0].type
                return builder.call(builder.module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind] * 2)),
                                    args)

            return types.float32(types.float32, types.float32), generate

        return call

    return make


#: the larger and the smaller of two, NaN if one is NaN: loops over them become vectors, those over comparisons don't
maximum = Helper(lambda a, b: np.maximum(a, b), _llvm("llvm.maximum"))
minimum = Helper(lambda a, b: np.minimum(a, b), _llvm("llvm.minimum"))
maximum.__name__, minimum.__name__ = "maximum", "minimum"


@helper
def bits(x):
    """The bits of a float32 as a uint32."""
    return f4(x).view(u4)


@helper
def from_bits(u):
    """The float32 of these bits."""
    return u4(u).view(f4)


@helper
def copysign(x, y):
    """The magnitude of x with the sign of y."""
    return from_bits(bits(x) & u4(0x7FFFFFFF) | bits(y) & u4(0x80000000))


@helper
def larger(a, b):
    """The larger; NaN in a stays, NaN in b does not."""
    return b if a < b else a


@helper
def smaller(a, b):
    """The smaller; NaN in a stays, NaN in b does not."""
    return b if a > b else a


@helper
def reduced(x):
    """(n, r, i): n = round(x / ln 2), r = x - n ln 2, and n as an integer in two's complement; |x| < 2^21."""
    t = fma(x, f4(1.44269504), MAGIC)
    n = t - MAGIC
    r = fma(n, -LN2_LO, fma(n, -LN2_HI, x))
    return n, r, u4(bits(t) - MAGIC_BITS)


@helper
def exp(x):
    """e^x"""
    n, r, i = reduced(larger(smaller(x, f4(89.0)), f4(-104.0)))
    p = f4(0.00138201355)
    p = fma(p, r, f4(0.00836868584))
    p = fma(p, r, f4(0.0416682735))
    p = fma(p, r, f4(0.166665211))
    p = fma(p, r, f4(0.49999994))
    p = fma(p, r, f4(1.0))
    p = fma(p, r, f4(1.0))
    # times 2^i in two steps: the first is exact, the second rounds once into denormals or to infinity
    half = u4(i4(i) >> i4(1))
    return p * from_bits(u4(half + u4(127)) << u4(23)) * from_bits(u4(i - half + u4(127)) << u4(23))


@helper
def expm1(x):
    """e^x - 1, without the cancellation near 0"""
    n, r, i = reduced(larger(smaller(x, f4(89.0)), f4(-18.0)))
    p = f4(0.000197633883)
    p = fma(p, r, f4(0.00139323424))
    p = fma(p, r, f4(0.00833354425))
    p = fma(p, r, f4(0.0416664928))
    p = fma(p, r, f4(0.166666657))
    p = fma(p, r, f4(0.5))
    p = fma(p * r, r, r)
    s = from_bits(u4(i + u4(126)) << u4(23))  # 2^(n-1), so that 2^128 is not needed
    y = f4(2.0) * fma(p, s, s - f4(0.5))
    return x if abs(x) < f4(2.0**-25) else y


@helper
def log1p_small(f):
    """log(1 + f) for f in [-1/3, 1/3]"""
    p = f4(-0.128792837)
    p = fma(p, f, f4(0.139855936))
    p = fma(p, f, f4(-0.121874541))
    p = fma(p, f, f4(0.140055433))
    p = fma(p, f, f4(-0.166802213))
    p = fma(p, f, f4(0.200104356))
    p = fma(p, f, f4(-0.249998048))
    p = fma(p, f, f4(0.333332151))
    p = fma(p, f, f4(-0.5))
    return fma(p, f * f, f)


@helper
def exponent(x):
    """x = m 2^e with m in [2/3, 4/3): e as it stands in the bits of a float"""
    return u4(bits(x) - u4(0x3F2AAAAB)) & u4(0xFF800000)  # the bits of 2/3


@helper
def log(x):
    """The natural logarithm"""
    small = x < TINY
    a = x * f4(2.0**23) if small else x
    e = exponent(a)
    n = fma(f4(i4(e)), f4(2.0**-23), f4(-23.0) if small else f4(0.0))
    y = fma(n, LN2, log1p_small(from_bits(u4(bits(a) - e)) - f4(1.0)))
    y = y if x < INF else x
    y = NAN if x < f4(0.0) else y
    return -INF if x == f4(0.0) else y


@helper
def log1p_finite(x):
    """log(1 + x) for finite x > -1; what the sum 1 + x loses of x is brought back by one FMA"""
    e = exponent(f4(1.0) + x)
    s = from_bits(u4(u4(0x40800000) - e)) * f4(0.25)  # 2^-e; 4 keeps it above the denormals
    f = fma(x, s, s - f4(1.0))
    return fma(f4(i4(e)) * f4(2.0**-23), LN2, log1p_small(f))


@helper
def log1p(x):
    """log(1 + x)"""
    y = log1p_finite(x)
    y = y if x < INF else x
    y = NAN if x < f4(-1.0) else y
    return -INF if x == f4(-1.0) else y


@helper
def sigmoid(x):
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows"""
    e = exp(-abs(x))
    return (e if x < f4(0.0) else f4(1.0)) / (f4(1.0) + e)


@helper
def tanh(x):
    """The hyperbolic tangent"""
    a, s = abs(x), x * x
    big = f4(1.0) - f4(2.0) / (f4(1.0) + exp(f4(2.0) * a))
    p = f4(-0.00624606479)
    p = fma(p, s, f4(0.0210525058))
    p = fma(p, s, f4(-0.0538478531))
    p = fma(p, s, f4(0.133325458))
    p = fma(p, s, f4(-0.333333164))
    p = fma(p * s, x, x)
    return p if a < f4(0.55) else copysign(big, x)


@helper
def erfc_tail(t):
    """erfc(t) for t >= 0.9, right to about 1e-8 in all (the relative error grows beyond t = 4)"""
    p = f4(-1.0764772e-05)
    p = fma(p, t, f4(0.000318072212))
    p = fma(p, t, f4(-0.00362295634))
    p = fma(p, t, f4(0.0237202402))
    p = fma(p, t, f4(-0.106187649))
    p = fma(p, t, f4(-0.635181487))
    p = fma(p, t, f4(-0.128640965))
    return exp(fma(p, t, -t))


@helper
def erf_small(x):
    """erf(x) for |x| <= 0.92"""
    s = x * x
    p = f4(-0.000600380125)
    p = fma(p, s, f4(0.00499585364))
    p = fma(p, s, f4(-0.0267685801))
    p = fma(p, s, f4(0.11281877))
    p = fma(p, s, f4(-0.376125008))
    p = fma(p, s, f4(0.128379151))
    return fma(p, x, x)


@helper
def erf(x):
    """The error function"""
    a = abs(x)
    big = copysign(f4(1.0) - erfc_tail(smaller(a, f4(20.0))), x)
    return erf_small(x) if a < f4(0.92) else big


@helper
def normal_cdf(x):
    """The standard normal distribution function, (1 + erf(x / sqrt 2)) / 2, and exp(-x * x / 2) (0 beyond 15)"""
    a = smaller(abs(x), f4(20.0))
    v = a / fma(a, f4(0.3), f4(1.0))
    p = f4(2.50060998e-06)
    p = fma(p, v, f4(-2.99386083e-05))
    p = fma(p, v, f4(8.57492269e-05))
    p = fma(p, v, f4(0.000264961243))
    p = fma(p, v, f4(-0.000364376261))
    p = fma(p, v, f4(-0.0189319439))
    p = fma(p, v, f4(0.130329221))
    p = fma(p, v, f4(-0.398943365))
    p = fma(p, v, f4(0.5))
    e = exp(f4(-0.5) * a * a)
    tail = p * e
    return (tail if x < f4(0.0) else f4(1.0) - tail), e


@helper
def softplus(x):
    """log(1 + e^x)"""
    return larger(x, f4(0.0)) + log1p_finite(exp(-abs(x)))
