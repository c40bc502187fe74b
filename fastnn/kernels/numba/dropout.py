"""Dropout and random arrays: Philox4x32-10, the same bits as csrc/random.inc and `fastnn.kernels.dropout`.

A group is what eight counters (blocks) give: 32 words, in two rows of 16 called a and b. Place p of them holds word
p % 2 of block p // 2 in a and word 2 + p % 2 in b; so two words of a block are one number of 64 bits.
"""

from __future__ import annotations

import math

import numpy as np

from ..dropout import DROPOUT_GROUP, RANDOM_GROUP
from .form import form, helper
from .math import LN2, bits, exponent, from_bits
from .memory import local

f4, i4, i8, u4, u8 = np.float32, np.int32, np.int64, np.uint32, np.uint64
GROUPS = 16  # made at once: a loop over eight blocks alone would be unrolled and not become vectors
BLOCKS = 8 * GROUPS
LOW, WORD = u8(0xFFFFFFFF), u8(32)
FACTOR0, FACTOR1, WEYL0, WEYL1 = u8(0xD2511F53), u8(0xCD9E8D57), u8(0x9E3779B9), u8(0xBB67AE85)


@helper(noalias=True)
def philox(a, b, block, step, key0, key1):
    """Words of the blocks from this one on, two in each number; only the low halves count, to the last line"""
    for i in range(len(a)):
        x0 = u8(block + i)
        x1, x2, x3, k0, k1 = x0 >> WORD, step, step >> WORD, key0, key1
        for _ in range(10):
            p0, p1 = FACTOR0 * (x0 & LOW), FACTOR1 * (x2 & LOW)
            x0, x1, x2, x3 = (p1 >> WORD) ^ x1 ^ k0, p1, (p0 >> WORD) ^ x3 ^ k1, p0
            k0, k1 = (k0 + WEYL0) & LOW, (k1 + WEYL1) & LOW
        a[i] = (x0 & LOW) | (x1 << WORD)
        b[i] = (x2 & LOW) | (x3 << WORD)


# ---------------------------------------------------------------------- one group's elements

@helper(noalias=True)
def dropout_group(y, x, a, b, limit, scale):
    """y = np.where(kept, x * scale, 0): 16 elements each by the high and low halves of a and of b"""
    for p in range(16):
        y[p] = x[p] * scale if a[p] >> u4(16) >= limit else 0.0
        y[16 + p] = x[16 + p] * scale if a[p] & u4(0xFFFF) >= limit else 0.0
        y[32 + p] = x[32 + p] * scale if b[p] >> u4(16) >= limit else 0.0
        y[48 + p] = x[48 + p] * scale if b[p] & u4(0xFFFF) >= limit else 0.0


@helper(noalias=True)
def uniform_group(y, a, b, low, width):
    """y = low + u * width, u the top 24 bits of a word / 2^24"""
    for p in range(16):
        y[p] = low + f4(i4(a[p] >> u4(8))) * f4(2.0**-24) * width
        y[16 + p] = low + f4(i4(b[p] >> u4(8))) * f4(2.0**-24) * width


@helper
def log_plain(x):
    """The logarithm of x in (0, 1]. No FMA here and below: NumPy has none, and the numbers shall be the same there."""
    e = exponent(x)
    f = from_bits(u4(bits(x) - e)) - 1.0
    p = f4(-0.128792837)
    p = p * f + 0.139855936
    p = p * f + -0.121874541
    p = p * f + 0.140055433
    p = p * f + -0.166802213
    p = p * f + 0.200104356
    p = p * f + -0.249998048
    p = p * f + 0.333332151
    p = p * f + -0.5
    return p * (f * f) + f + f4(i4(e)) * f4(2.0**-23) * LN2


@helper
def sin_cos(f):
    """Sine and cosine of f quarters of a turn, f from -1/2 to 1/2"""
    t = f * f
    s = f4(-0.00468597142)
    s = s * t + 0.079712525
    s = s * t + -0.645966649
    s = s * t + 1.57079637
    c = f4(0.000894473458)
    c = c * t + -0.0208555944
    c = c * t + 0.253668547
    c = c * t + -1.23370051
    return s * f, c * t + 1.0


@helper
def normal_pair(a, b):
    """Two standard normal numbers by Box & Muller (1958): a gives the radius, b the angle"""
    radius = f4(math.sqrt(-2.0 * log_plain(f4(i4((a >> u4(1)) | u4(1))) * f4(2.0**-31))))
    # the angle is b / 2^32 of a turn: a whole number q of quarters, and f = -1/2..1/2 of a quarter
    q = u4(u4((b >> u4(29)) + u4(1)) >> u4(1))
    f = f4(i4(i4(b >> u4(8)) - i4(q << u4(22)))) * f4(2.0**-22)
    s, c = sin_cos(f)
    x, y = s if q & u4(1) else c, c if q & u4(1) else s
    return radius * (-x if (q + u4(1)) & u4(2) else x), radius * (-y if q & u4(2) else y)


@helper(noalias=True)
def normal_group(y, a, b, mean, stddev):
    """y = mean + stddev * z"""
    for p in range(16):
        z0, z1 = normal_pair(a[p], b[p])
        y[p] = mean + stddev * z0
        y[16 + p] = mean + stddev * z1


# ---------------------------------------------------------------------- all groups of some tiles

@helper
def random_groups(make, y, step, key0, key1, first, last, center, spread):
    """y of the groups first..last-1 by `make`, one group after another; the last one may have fewer than 32 elements"""
    a, b, whole = local(BLOCKS, u8), local(BLOCKS, u8), local(RANDOM_GROUP, f4)
    for group in range(first, last, GROUPS):
        count = min(GROUPS, last - group)
        philox(a[: 8 * count], b[: 8 * count], 8 * group, step, key0, key1)
        words_a, words_b = a.view(u4), b.view(u4)
        for g in range(count):
            at = (group + g) * RANDOM_GROUP
            wa, wb = words_a[16 * g : 16 * g + 16], words_b[16 * g : 16 * g + 16]
            if at + RANDOM_GROUP <= len(y):
                make(y[at : at + RANDOM_GROUP], wa, wb, center, spread)
            else:
                make(whole, wa, wb, center, spread)
                for i in range(len(y) - at):
                    y[at + i] = whole[i]


@form(y="f4 N", x="f4 N", step="f8", rate="f8", key0="f8", key1="f8")
def dropout(y, x, step, rate, key0, key1, first, last):
    """y = np.where(kept(...), x / (1 - rate), 0)"""
    a, b = local(BLOCKS, u8), local(BLOCKS, u8)
    before, after = local(DROPOUT_GROUP, f4), local(DROPOUT_GROUP, f4)
    limit, scale = u4(i8(np.rint(rate * 65536.0))), f4(1.0 / (1.0 - rate))
    if limit == 0 and scale == 1.0:
        out, given = y[first * DROPOUT_GROUP : last * DROPOUT_GROUP], x[first * DROPOUT_GROUP :]
        for i in range(len(out)):
            out[i] = given[i]
        return
    for group in range(first, last, GROUPS):
        count = min(GROUPS, last - group)
        philox(a[: 8 * count], b[: 8 * count], 8 * group, u8(i8(step)), u8(i8(key0)), u8(i8(key1)))
        words_a, words_b = a.view(u4), b.view(u4)
        for g in range(count):
            at = (group + g) * DROPOUT_GROUP
            end = at + DROPOUT_GROUP
            wa, wb = words_a[16 * g : 16 * g + 16], words_b[16 * g : 16 * g + 16]
            if end <= len(x):
                dropout_group(y[at:end], x[at:end], wa, wb, limit, scale)
            else:  # the last group has fewer elements
                for i in range(len(x) - at):
                    before[i] = x[at + i]
                dropout_group(after, before, wa, wb, limit, scale)
                for i in range(len(x) - at):
                    y[at + i] = after[i]


@form(y="f4 N", step="f8", key0="f8", key1="f8", low="f8", high="f8")
def random_uniform(y, step, key0, key1, low, high, first, last):
    """y = low + u * (high - low)"""
    random_groups(uniform_group, y, u8(i8(step)), u8(i8(key0)), u8(i8(key1)), first, last, f4(low), f4(high - low))


@form(y="f4 N", step="f8", key0="f8", key1="f8")
def random_normal(y, step, key0, key1, mean, stddev, first, last):
    """y = mean + stddev * z"""
    random_groups(normal_group, y, u8(i8(step)), u8(i8(key0)), u8(i8(key1)), first, last, mean, stddev)
