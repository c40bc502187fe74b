"""Adam (Kingma & Ba 2015), one step over a flat array of n weights.

    m += (g - m) * (1 - beta_1)
    v += (g*g - v) * (1 - beta_2)
    w -= alpha * m / (sqrt(v) + epsilon)

alpha holds the learning rate and both bias corrections. Seven arrays pass by: w, m, v are read and written, g is read.
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels import optim
from fastnn.race.sizes import short
from fastnn.race.timing import take_turns

from .ladder import Ladder, like, lists

ALPHA, EPSILON = 1e-3, 1e-7
B1, B2 = 1 - 0.9, 1 - 0.999  # the complements, in double
CONSTANTS = (ALPHA, EPSILON, B1, B2)
TILE = 4096  # elements of a tile of the threaded rung; adam.c has the same
BLOCK = 16384  # elements that NumPy takes at a time: a call costs it half a microsecond, whatever the size


def problem(n, rng):
    w, m, v, g = (rng.standard_normal(n).astype(np.float32) for _ in range(4))
    return {"w": w, "m": m, "v": v * v, "g": g}


def tiles(arrays) -> int:
    return -(-arrays["w"].size // TILE)


LADDER = Ladder("adam", problem, outputs=("w", "m", "v"), flops=lambda n: 12 * n, nbytes=lambda n: 28 * n,
                sizes=(1 << 14, 1 << 18, 1 << 22), check_sizes=(1, 15, 17, 4099), tolerance=8)


@LADDER.rung("plain Python", "the meaning, one number at a time", prepare=lists, largest=1 << 14)
def plain_python(w, m, v, g):
    for i in range(len(w)):
        m[i] += (g[i] - m[i]) * B1
        v[i] += (g[i] * g[i] - v[i]) * B2
        w[i] -= ALPHA * m[i] / (v[i] ** 0.5 + EPSILON)


@LADDER.rung("NumPy", "whole arrays; each operation makes a new one")
def numpy(w, m, v, g):
    m = m + (g - m) * np.float32(B1)
    v = v + (g * g - v) * np.float32(B2)
    w = w - np.float32(ALPHA) * m / (np.sqrt(v) + np.float32(EPSILON))
    return w, m, v


@LADDER.rung("NumPy, no temporaries", "the same passes into one scratch array", prepare=like("w", "w"))
def numpy_in_place(w, m, v, g, s, t):
    np.subtract(g, m, out=s)
    s *= np.float32(B1)
    m += s
    np.multiply(g, g, out=s)
    s -= v
    s *= np.float32(B2)
    v += s
    np.sqrt(v, out=s)
    s += np.float32(EPSILON)
    np.multiply(m, np.float32(ALPHA), out=t)
    t /= s
    w -= t


@LADDER.rung("NumPy, in blocks", "the same on 16384 elements after another, which stay in cache",
             prepare=lambda arrays: {**arrays, "s": np.zeros(BLOCK, np.float32), "t": np.zeros(BLOCK, np.float32)})
def numpy_in_blocks(w, m, v, g, s, t):
    for i in range(0, len(w), BLOCK):
        k = min(BLOCK, len(w) - i)
        numpy_in_place(w[i:i + k], m[i:i + k], v[i:i + k], g[i:i + k], s[:k], t[:k])


F_ALPHA, F_EPSILON, F_B1, F_B2 = map(np.float32, CONSTANTS)  # with float64 constants, all arithmetic would be float64


@LADDER.numba("Numba", "the plain loop, compiled; one pass")
def numba(w, m, v, g):
    for i in range(len(w)):
        m[i] += (g[i] - m[i]) * F_B1
        v[i] += (g[i] * g[i] - v[i]) * F_B2
        w[i] -= F_ALPHA * m[i] / (np.sqrt(v[i]) + F_EPSILON)


LADDER.numba("Numba, vectors", "a division by zero need not raise: now LLVM makes vectors",
             options=dict(error_model="numpy"))(numba)
LADDER.cython("Cython", "adam", "the plain loop with types, through C")
LADDER.c("C, scalar", "adam_fused", "one number at a time, in registers", attrs=CONSTANTS,
         flags="-O2 -fno-tree-vectorize")
LADDER.c("C, three passes", "adam_passes", "vectors made by the compiler, but loop after loop", attrs=CONSTANTS)
LADDER.c("C, fused", "adam_fused", "the same in one pass", attrs=CONSTANTS)
LADDER.c("C with vectors", "adam_vectors", "16 lanes, said explicitly", attrs=CONSTANTS, tiles=tiles)
LADDER.c("C, threads", "adam_vectors", "tiles of 4096 elements, taken by threads", attrs=CONSTANTS, tiles=tiles,
         threaded=True)
for name, threaded in (("fastnn", False), ("fastnn, threads", True)):
    LADDER.kernel(name, optim.adam, "as it ships", attrs=dict(beta_1=0.9, beta_2=0.999), threaded=threaded,
                  inputs=lambda a: (a["g"], np.array(ALPHA), np.array(EPSILON), a["w"], a["m"], a["v"]))


def lesson() -> str:
    """Nanoseconds of 16 weights: the divider alone, the whole step, the step without divider, at several sizes."""
    lines = ["ns for 16 weights, one thread", f"{'weights':>10} {'divider alone':>14} {'Adam':>7} {'no divider':>11}"]
    for n in (1 << 14, 1 << 18, 1 << 22, 1 << 24):
        arrays = LADDER.arrays(n)
        contenders = {"divider alone": LADDER.bind_c("adam_divider", arrays, [n // 16], CONSTANTS),
                      "Adam": LADDER.bind_c("adam_fused", arrays, [n], CONSTANTS),
                      "no divider": LADDER.bind_c("adam_no_divider", arrays, [n], CONSTANTS)}
        times = take_turns({name: bound.run for name, bound in contenders.items()}, 0.3)
        best = {name: min(t) / n * 16e9 for name, t in times.items()}
        lines.append(f"{short(n):>10} {best['divider alone']:14.2f} {best['Adam']:7.2f} {best['no divider']:11.2f}")
    return "\n".join(lines)
