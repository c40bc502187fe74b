"""Dropout (Srivastava et al. 2014), forward and backward: y = x / (1 - rate) where kept, else 0; dx of dy likewise.

Both need one mask, and in training the backward pass comes much later. It is stored, or it is made again: Philox4x32-10
(Salmon, Moraes, Dror & Shaw 2011) gives random words as a function of (key, step, number of the block).

Rungs that draw from NumPy's generator keep other elements than the first does. For them the check asks whether each
element is exactly x / (1 - rate) or 0, whether both directions have one mask, and whether about as many are kept as
should be.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastnn.kernels import dropout
from fastnn.race.sizes import short
from fastnn.race.timing import take_turns

from .build import FLAGS
from .ladder import Ladder, error, lists

RATE, KEY0, KEY1, STEP = 0.25, 1, 2, 7
THRESHOLD, SCALE = round(RATE * 2**16), 1 / (1 - RATE)
CONSTANTS = (THRESHOLD, SCALE, KEY0, KEY1, STEP)
TILE = 8192  # elements of a tile of the threaded rung; dropout.c has the same


def problem(n, rng):
    x, dy = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
    return {"y": np.zeros(n, np.float32), "dx": np.zeros(n, np.float32), "x": x, "dy": dy}


def judge(arrays, got) -> float:
    """The error of a rung that keeps other elements than the first; inf if its mask is no fair one."""
    x, dy = arrays["x"], arrays["dy"]
    kept = got["y"] != 0
    n, count = kept.size, int(kept.sum())
    fair = abs(count - n * (1 - RATE)) <= 1 + 5 * np.sqrt(n * RATE * (1 - RATE))
    if not fair or not np.array_equal(kept, got["dx"] != 0):
        return float("inf")
    return error(got, {"y": kept * x * np.float64(SCALE), "dx": kept * dy * np.float64(SCALE)})


def with_mask(arrays):
    return {**arrays, "mask": np.zeros(arrays["x"].size, np.uint8)}


LADDER = Ladder("dropout", problem, outputs=("y", "dx"), flops=lambda n: 2 * n, nbytes=lambda n: 16 * n,
                sizes=(1 << 14, 1 << 18, 1 << 22), check_sizes=(1, 63, 64, 65, 1000, 4 * TILE + 71), tolerance=1)


@lru_cache(maxsize=8)  # a group's eight blocks serve 64 elements
def philox(block):
    """Four words of 32 bits: ten rounds of two products whose halves are crossed over and mixed with a key."""
    w0, w1, w2, w3 = block % 2**32, block >> 32, STEP % 2**32, STEP >> 32
    for i in range(10):
        a, b = 0xD2511F53 * w0, 0xCD9E8D57 * w2
        w0, w1 = (b >> 32) ^ w1 ^ (KEY0 + i * 0x9E3779B9) % 2**32, b % 2**32
        w2, w3 = (a >> 32) ^ w3 ^ (KEY1 + i * 0xBB67AE85) % 2**32, a % 2**32
    return w0, w1, w2, w3


def bits(i):
    """The 16 bits of element i: element 16 q + p of a group of 64 has a half of one word of block p // 2."""
    group, q, p = i // 64, i % 64 // 16, i % 16
    word = philox(8 * group + p // 2)[p % 2 + q // 2 * 2]
    return word % 2**16 if q % 2 else word >> 16


@LADDER.rung("plain Python", "the meaning: 16 bits of Philox for each element", prepare=lists, largest=1 << 13)
def plain_python(y, dx, x, dy):
    for i in range(len(x)):
        y[i] = x[i] * SCALE if bits(i) >= THRESHOLD else 0.0
    for i in range(len(dy)):
        dx[i] = dy[i] * SCALE if bits(i) >= THRESHOLD else 0.0


RANDOM = np.random.default_rng(0)


@LADDER.rung("NumPy", "a float64 for each element decides; the mask is stored", judge=judge)
def numpy(y, dx, x, dy):
    mask = RANDOM.random(x.shape) >= RATE
    return x * mask / np.float32(1 - RATE), dy * mask / np.float32(1 - RATE)


@LADDER.rung("NumPy, no temporaries", "float32 draws into scratch, products in place, one mask kept", judge=judge,
             prepare=lambda a: {**a, "u": np.zeros_like(a["x"]), "mask": np.zeros(a["x"].shape, bool)})
def numpy_in_place(y, dx, x, dy, u, mask):
    RANDOM.random(out=u, dtype=np.float32)
    np.greater_equal(u, np.float32(RATE), out=mask)
    for out, given in ((y, x), (dx, dy)):
        np.multiply(given, np.float32(SCALE), out=out)
        out *= mask


@LADDER.rung("NumPy, 16 bits each", "four times fewer random bits than float64 draws use", judge=judge)
def numpy_16_bits(y, dx, x, dy):
    mask = np.frombuffer(RANDOM.bytes(2 * x.size), np.uint16) >= THRESHOLD
    for out, given in ((y, x), (dx, dy)):
        np.multiply(given, np.float32(SCALE), out=out)
        out *= mask


@LADDER.rung("NumPy, made again", "Philox in whole arrays, in both directions; no mask stored")
def numpy_again(y, dx, x, dy):
    for out, given in ((y, x), (dx, dy)):
        np.multiply(given, np.float32(SCALE), out=out)
        out *= dropout.kept(given.size, RATE, STEP, KEY0, KEY1)


U_M0, U_M1, U_K0, U_K1 = (np.uint64(k) for k in (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85))
U_KEY0, U_KEY1, U_STEP, U_LOW, U_32, U_16 = (np.uint64(k) for k in (KEY0, KEY1, STEP, 2**32 - 1, 32, 16))
F_SCALE, F_ZERO = np.float32(SCALE), np.float32(0)


@LADDER.numba("Numba", "a block's words stay in registers until its eight elements are done")
def numba(y, dx, x, dy):
    for out, given in ((y, x), (dx, dy)):
        for block in range((given.size + 63) // 64 * 8):
            w0, w1, w2, w3 = np.uint64(block), np.uint64(0), U_STEP, np.uint64(0)
            for i in range(10):
                a, b = U_M0 * w0, U_M1 * w2
                w0, w1 = (b >> U_32) ^ w1 ^ (U_KEY0 + np.uint64(i) * U_K0) & U_LOW, b & U_LOW
                w2, w3 = (a >> U_32) ^ w3 ^ (U_KEY1 + np.uint64(i) * U_K1) & U_LOW, a & U_LOW
            at = block // 8 * 64 + block % 8 * 2
            for e, high, low in ((0, w0, w2), (1, w1, w3)):
                for q, word in ((0, high >> U_16), (1, high & np.uint64(0xFFFF)),
                                (2, low >> U_16), (3, low & np.uint64(0xFFFF))):
                    k = at + 16 * q + e
                    if k < given.size:
                        out[k] = given[k] * F_SCALE if word >= THRESHOLD else F_ZERO


def with_constants(arrays):
    return {**arrays, **dict(zip(("threshold", "scale", "key0", "key1", "step"), CONSTANTS))}


def tiles(arrays) -> int:
    return -(-arrays["x"].size // TILE)


LADDER.cython("Cython", "dropout", "the same, typed", prepare=with_constants)
LADDER.c("C, mask stored", "dropout_stored", "numbers once, a byte of mask for each element", attrs=CONSTANTS,
         prepare=with_mask)
LADDER.c("C, made again", "dropout_again", "numbers twice, nothing stored", attrs=CONSTANTS)
LADDER.c("C with vectors", "dropout_vectors", "eight blocks in one vector of 64-bit lanes", attrs=CONSTANTS,
         tiles=tiles, flags=f"{FLAGS} -DPLAIN_PRODUCT")
LADDER.c("C, widening product", "dropout_vectors", "32 x 32 -> 64 bits in one instruction", attrs=CONSTANTS,
         tiles=tiles)
LADDER.c("C, two at once", "dropout_vectors", "two groups' rounds alternate, so that no product is waited for",
         attrs=CONSTANTS, tiles=tiles, flags=f"{FLAGS} -DAT_ONCE=2")
LADDER.c("C, two, mask stored", "dropout_vectors_stored", "the same, numbers once and a byte of mask",
         attrs=CONSTANTS, prepare=with_mask, flags=f"{FLAGS} -DAT_ONCE=2")
LADDER.c("C, threads", "dropout_vectors", "tiles of 8192 elements, taken by threads", attrs=CONSTANTS, tiles=tiles,
         flags=f"{FLAGS} -DAT_ONCE=2", threaded=True)
for name, threaded in (("fastnn", False), ("fastnn, threads", True)):
    LADDER.kernels(name, "as it ships: one kernel, called for x and for dy", threaded=threaded,
                   calls=lambda a: [(dropout.dropout, (a[n], np.array(float(STEP))),
                                     dict(rate=RATE, key0=KEY0, key1=KEY1)) for n in ("x", "dy")],
                   outputs={"y": (0, "y"), "dx": (1, "y")})


def lesson() -> str:
    """What a branch costs that nobody can predict: nanoseconds of an element at several rates."""
    n, rates = 1 << 18, (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    arrays, plain, vectors = LADDER.arrays(n), {}, {}
    for rate in rates:
        attrs = (round(rate * 2**16), 1 / (1 - rate), KEY0, KEY1, STEP)
        plain[rate] = LADDER.bind_c("dropout_again", arrays, [n], attrs).run
        vectors[rate] = LADDER.bind_c("dropout_vectors", arrays, [n], attrs, tiles(arrays), f"{FLAGS} -DAT_ONCE=2").run
    lines = [f"ns for an element in one direction, {short(n)} elements, one thread",
             f"{'rate':>14}" + "".join(f"{rate:>8}" for rate in rates)]
    for name, contenders in (("C, made again", plain), ("C, two at once", vectors)):
        times = take_turns(contenders, 0.2)
        lines.append(f"{name:>14}" + "".join(f"{min(times[rate]) / (2 * n) * 1e9:8.2f}" for rate in rates))
    return "\n".join(lines)
