"""Dropout and random arrays: numbers made from (key, step, index) whenever they are needed.

The generator is Philox4x32-10 (Salmon, Moraes, Dror & Shaw, 2011, Parallel random numbers: as easy as
1, 2, 3). It keeps no state: a layer's key and the step's number give the same numbers forward and
backward, in every backend, with any number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from .broadcast import float_dtype
from .spec import Array, Call, Kernel, blocks, like, register

DROPOUT_GROUP = 64  #: elements served by a group of 8 blocks: 16 bits each
RANDOM_GROUP = 32  #: the same for `random_uniform` and `random_normal`: 32 bits each


def philox(counter: np.ndarray, key0: int, key1: int) -> np.ndarray:
    """The blocks of Philox4x32-10 for these counters, (n, 4) words of 32 bits each.

    Examples
    --------
    >>> [hex(w) for w in philox(np.zeros((1, 4), np.uint64), 0, 0)[0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    x0, x1, x2, x3 = np.asarray(counter, np.uint64).T
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for i in range(10):
        k0, k1 = np.uint64((key0 + i * 0x9E3779B9) % 2**32), np.uint64((key1 + i * 0xBB67AE85) % 2**32)
        p0, p1 = np.uint64(0xD2511F53) * x0, np.uint64(0xCD9E8D57) * x2
        x0, x1, x2, x3 = (p1 >> shift) ^ x1 ^ k0, p1 & low, (p0 >> shift) ^ x3 ^ k1, p0 & low
    return np.stack([x0, x1, x2, x3], 1).astype(np.uint32)


def groups(n: int, step: float, key0: int, key1: int) -> tuple[np.ndarray, np.ndarray]:
    """Words of n groups of 8 blocks, as csrc/random.h lays them out: A and B, (n, 16) each."""
    block = np.arange(8 * n, dtype=np.uint64)
    step = int(step) % 2**64
    counter = np.stack([block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), np.full_like(block, step % 2**32),
                        np.full_like(block, step >> 32)], 1)
    words = philox(counter, int(key0), int(key1)).reshape(n, 8, 2, 2)
    return words[:, :, 0].reshape(n, 16), words[:, :, 1].reshape(n, 16)


def kept(n: int, rate: float, step: float, key0: int, key1: int) -> np.ndarray:
    """Which of n elements dropout keeps."""
    a, b = groups(blocks(n, DROPOUT_GROUP), step, key0, key1)
    bits = np.stack([a >> 16, a & 0xFFFF, b >> 16, b & 0xFFFF], 1)
    return (bits >= threshold(rate)).reshape(-1)[:n]


def threshold(rate: float) -> int:
    """An element is dropped if its 16 bits are below this."""
    return round(rate * 2**16)


def _check_keys(name: str, key0: int, key1: int) -> None:
    for key in (key0, key1):
        if not (0 <= key < 2**32 and key == int(key)):
            raise ValueError(f"{name}: the keys are whole numbers from 0 to 2**32 - 1, not {key}.")


def _check_step(name: str, step: Array) -> None:
    if step.shape != () or step.dtype != np.float64:
        raise ValueError(f"{name}: step is a float64 of shape [], not {step.dtype}{list(step.shape)}.")


@register
class dropout(Kernel):
    """y = x / (1 - rate) where the element is kept, else 0; each is dropped with probability `rate`.

    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting; in the
    inverted form, which leaves the mean as it is. Which elements are kept depends on the keys, the step
    and the element's place alone, so no mask is stored: the gradient is the dropout of dy.

    x, y : any shape, one float dtype. step : the number of the training step, a float64 of shape [].
    rate is in [0, 1) and taken to the nearest of 2^-16; key0 and key1 are whole, 32 bits each.

    Examples
    --------
    >>> import numpy as np
    >>> dropout(np.ones(8), 0.0, rate=0.5, key0=1, key1=2)
    array([0., 2., 0., 2., 0., 0., 0., 0.])
    """

    name = "dropout"
    inputs = ("x", "step")
    dims = ("N",)
    attrs = {"rate": ..., "key0": ..., "key1": ...}

    def infer(self, x, step, *, rate, key0, key1):
        float_dtype(self.name, x)
        _check_step(self.name, step)
        _check_keys(self.name, key0, key1)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout: rate is {rate}; it must be at least 0 and below 1.")
        return (like(x),)

    def numpy(self, x, step, *, rate, key0, key1):
        keep = kept(x.size, rate, float(step), key0, key1).reshape(x.shape)
        return np.where(keep, x * x.dtype.type(1 / (1 - rate)), x.dtype.type(0))

    def sizes(self, call: Call):
        return (call["x"].size,)

    def tiles(self, call: Call):
        return blocks(call["x"].size, DROPOUT_GROUP)

    def flops(self, call: Call):
        return call["x"].size

    def gradient(self, call: Call, *, y):
        return {"x": dropout(y, call["step"], **call.attrs)}


class _Random(Kernel):
    """Random arrays of `shape`, the same bits in every backend; float32, or those numbers as float64. No gradient."""

    inputs = ("step",)
    dims = ("N",)
    hidden = ("shape", "dtype")

    def infer(self, step, *, key0, key1, shape, dtype, **attrs):
        _check_step(self.name, step)
        _check_keys(self.name, key0, key1)
        return (Array(tuple(shape), np.dtype(dtype)),)

    def sizes(self, call: Call):
        return (call["y"].size,)

    def tiles(self, call: Call):
        return blocks(call["y"].size, RANDOM_GROUP)

    def gradient(self, call: Call, *, y):
        return {}

    def terms(self, call: Call):
        return 0  # the meaning is written in float32, step by step as the compiled form

    def words(self, step, key0, key1, shape) -> tuple[np.ndarray, np.ndarray]:
        return groups(blocks(math.prod(shape), RANDOM_GROUP), float(step), key0, key1)


@register
class random_uniform(_Random):
    """y uniform in [low, high) (high itself only by rounding): low + u (high - low), u of 24 bits.

    Examples
    --------
    >>> random_uniform(0.0, key0=1, key1=2, shape=(3,)).round(4)
    array([0.0219, 0.597 , 0.3711], dtype=float32)
    """

    name = "random_uniform"
    attrs = {"key0": ..., "key1": ..., "low": 0.0, "high": 1.0, "shape": ..., "dtype": "float32"}

    def numpy(self, step, *, key0, key1, low, high, shape, dtype):
        u = np.stack(self.words(step, key0, key1, shape), 1).reshape(-1)[: math.prod(shape)]
        u = (u >> 8).astype(np.float32) * np.float32(2**-24)
        return (np.float32(low) + u * np.float32(high - low)).reshape(shape).astype(dtype, copy=False)


@register
class random_normal(_Random):
    """y normal with this mean and standard deviation, |y - mean| below 6.6 of it.

    By Box & Muller (1958), A note on the generation of random normal deviates: radius
    sqrt(-2 ln u), angle uniform. Written without fused operations, as csrc/random.inc is, so that the
    bits agree.

    Examples
    --------
    >>> random_normal(0.0, key0=1, key1=2, shape=(3,)).round(4)
    array([1.5888, 0.8803, 0.773 ], dtype=float32)
    """

    name = "random_normal"
    attrs = {"key0": ..., "key1": ..., "mean": 0.0, "stddev": 1.0, "shape": ..., "dtype": "float32"}

    def numpy(self, step, *, key0, key1, mean, stddev, shape, dtype):
        f4 = np.float32
        a, b = self.words(step, key0, key1, shape)
        radius = np.sqrt(f4(-2) * log_plain(((a >> 1) | 1).astype(f4) * f4(2**-31)))
        q = ((b >> 29) + 1) >> 1  # whole quarters of a turn; f is what is left, -1/2..1/2 of a quarter
        f = ((b >> 8).astype(np.int32) - (q << 22).astype(np.int32)).astype(f4) * f4(2**-22)
        sin, cos = sin_cos(f)
        x, y = np.where(q & 1, sin, cos), np.where(q & 1, cos, sin)
        z = np.stack([radius * np.where((q + 1) & 2, -x, x), radius * np.where(q & 2, -y, y)], 1)
        z = f4(mean) + f4(stddev) * z
        return z.reshape(-1)[: math.prod(shape)].reshape(shape).astype(dtype, copy=False)


def sin_cos(f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of f quarters of a turn, f from -1/2 to 1/2, as csrc/random.h has them."""
    t = f * f
    return (horner(t, -0.00468597142, 0.079712525, -0.645966649, 1.57079637) * f,
            horner(t, 0.000894473458, -0.0208555944, 0.253668547, -1.23370051, 1.0))


def horner(x: np.ndarray, *coefficients: float) -> np.ndarray:
    """The polynomial with these coefficients, highest first, rounding to float32 at each sign."""
    p = np.float32(coefficients[0])
    for c in coefficients[1:]:
        p = p * x + np.float32(c)
    return p


def log_plain(x: np.ndarray) -> np.ndarray:
    """ln of float32 in (0, 1], step by step as `fnn_log_plain` of csrc/random.inc."""
    bits = x.view(np.uint32)
    e = (bits - np.float32(2 / 3).view(np.uint32)) & np.uint32(0xFF800000)
    f = (bits - e).view(np.float32) - np.float32(1)
    n = e.view(np.int32).astype(np.float32) * np.float32(2**-23)
    p = horner(f, -0.128792837, 0.139855936, -0.121874541, 0.140055433, -0.166802213, 0.200104356, -0.249998048,
               0.333332151, -0.5)
    return p * (f * f) + f + n * np.float32(0.693147182)
