"""Causal attention in several heads. docs/kernels/attention.md climbs this ladder.

    s[i,j] = q[i] . k[j] / sqrt(D) for j <= i        y[i] = sum over j of softmax(s[i])[j] v[j]

A size is BxTxHxD: queries, keys, values and outputs y (B,T,H,D); log_sum (B,H,T), the logarithm of the sum of
exponentials of each row of scores, which the gradient needs.
"""

from __future__ import annotations

import math

import numpy as np

from fastnn.kernels import attention as kernels

from . import build
from .ladder import Ladder, lists, show_size

#: as `build.FLAGS`, but a product and a sum may become one FMA
FLAGS = build.FLAGS.replace("-ffp-contract=off", "-ffp-contract=fast")
BLOCK = 128  #: queries and keys of a block in NumPy
SIDE = 64  #: and in C


def problem(size, rng):
    b, t, h, _ = size
    q, k, v = (rng.standard_normal(size, np.float32) for _ in range(3))
    return {"y": np.zeros(size, np.float32), "log_sum": np.zeros((b, h, t), np.float32), "q": 2 * q, "k": k, "v": v}


def heads(arrays):
    """A tile is a head of one sequence."""
    return arrays["q"].shape[0] * arrays["q"].shape[2]


def pairs(size):
    """Scores that causality leaves."""
    b, t, h, _ = size
    return b * h * t * (t + 1) // 2


def flops(size):
    """Of both products, and 20 for each exponential, as in the softmax ladder."""
    return pairs(size) * (4 * size[3] + 20)


def nbytes(size):
    b, t, h, d = size
    return 4 * b * t * h * (4 * d + 1)


SMALL = (1, 64, 1, 32)  # the largest on which plain Python is timed
LADDER = Ladder("attention", problem, outputs=("y", "log_sum"), flops=flops, nbytes=nbytes,
                sizes=((32, 64, 4, 32), (1, 2048, 4, 64)),
                check_sizes=((1, 1, 1, 16), (2, 5, 3, 16), (1, 17, 2, 48), (1, 64, 2, 32), (2, 65, 1, 80),
                             (1, 150, 2, 64)), tolerance=32)


# ---------------------------------------------------------------------- Python and NumPy

@LADDER.rung("plain Python", "the meaning, one query after the other", prepare=lists, largest=SMALL)
def plain_python(y, log_sum, q, k, v):
    for b in range(len(q)):
        for h in range(len(q[b][0])):
            for i in range(len(q[b])):
                query = q[b][i][h]
                s = [sum(x * w for x, w in zip(query, k[b][j][h])) / math.sqrt(len(query)) for j in range(i + 1)]
                largest = max(s)
                e = [math.exp(x - largest) for x in s]
                total = sum(e)
                y[b][i][h] = [sum(p * v[b][j][h][d] for j, p in enumerate(e)) / total for d in range(len(query))]
                log_sum[b][h][i] = largest + math.log(total)


@LADDER.rung("NumPy, whole", "two products and a softmax between; the scores of all heads at once")
def numpy_whole(y, log_sum, q, k, v):
    length, width = q.shape[1], q.shape[3]
    s = q.transpose(0, 2, 1, 3) @ k.transpose(0, 2, 3, 1) / np.sqrt(width, dtype=q.dtype)  # (B, H, T, T)
    s = np.where(np.tri(length, dtype=bool), s, -np.inf).astype(q.dtype, copy=False)
    largest = s.max(axis=-1, keepdims=True)
    e = np.exp(s - largest)
    total = e.sum(axis=-1, keepdims=True)
    return (e / total @ v.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3), (largest + np.log(total))[..., 0]


def workspace(arrays):
    """Room for the scores of one head, and which of them are hidden, after the problem's own arrays."""
    length = arrays["q"].shape[1]
    return {**arrays, "hidden": ~np.tri(length, dtype=bool), "s": np.zeros((length, length), np.float32)}


@LADDER.rung("NumPy, by head", "the same for one head at a time, in place", prepare=workspace)
def numpy_by_head(y, log_sum, q, k, v, hidden, s):
    scale = 1 / np.sqrt(q.shape[3], dtype=q.dtype)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            np.matmul(q[b, :, h] * scale, k[b, :, h].T, out=s)
            np.copyto(s, -np.inf, where=hidden)
            largest = s.max(axis=1, keepdims=True)
            np.exp(np.subtract(s, largest, out=s), out=s)
            total = s.sum(axis=1, keepdims=True)
            y[b, :, h] = s @ v[b, :, h] / total
            log_sum[b, h] = (largest + np.log(total))[:, 0]


@LADDER.rung("NumPy, online", "blocks of keys with a running maximum and sum; hidden blocks are left out")
def numpy_online(y, log_sum, q, k, v):
    length, scale = q.shape[1], 1 / np.sqrt(q.shape[3], dtype=q.dtype)
    q, k, v = (np.ascontiguousarray(a.transpose(0, 2, 1, 3)) for a in (q * scale, k, v))  # (B, H, T, D)
    for i in range(0, length, BLOCK):
        queries = q[:, :, i : i + BLOCK]
        m, total, sums = np.float32(-np.inf), np.float32(0), np.float32(0)
        for j in range(0, i + 1, BLOCK):
            s = queries @ k[:, :, j : j + BLOCK].transpose(0, 1, 3, 2)
            if j == i:
                np.copyto(s, -np.inf, where=~np.tri(s.shape[-1], dtype=bool))
            new = np.maximum(m, s.max(axis=-1, keepdims=True))
            share = np.exp(m - new)
            np.exp(np.subtract(s, new, out=s), out=s)
            total = total * share + s.sum(axis=-1, keepdims=True)
            sums = sums * share + s @ v[:, :, j : j + BLOCK]
            m = new
        y[:, i : i + BLOCK] = (sums / total).transpose(0, 2, 1, 3)
        log_sum[:, :, i : i + BLOCK] = (m + np.log(total))[..., 0]


@LADDER.numba("Numba", "the loops of plain Python, compiled", options={"fastmath": {"contract"}})
def numba_loops(y, log_sum, q, k, v):
    scale = np.float32(1 / np.sqrt(q.shape[3]))
    s = np.empty(q.shape[1], np.float32)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            for i in range(q.shape[1]):
                largest, total = np.float32(-np.inf), np.float32(0)
                for j in range(i + 1):
                    s[j] = 0
                    for d in range(q.shape[3]):
                        s[j] += q[b, i, h, d] * k[b, j, h, d]
                    s[j] *= scale
                    largest = max(largest, s[j])
                y[b, i, h] = 0
                for j in range(i + 1):
                    p = np.exp(s[j] - largest)
                    total += p
                    for d in range(q.shape[3]):
                        y[b, i, h, d] += p * v[b, j, h, d]
                y[b, i, h] /= total
                log_sum[b, h, i] = largest + np.log(total)


# ---------------------------------------------------------------------- C

def _rung(name, function, idea, **more):
    LADDER.c(name, function, idea, dims=lambda a: a["q"].shape, flags=FLAGS, tiles=heads, **more)


def with_room(arrays):
    """Room for all scores, in blocks, behind the problem's own arrays."""
    blocks = -(-arrays["q"].shape[1] // SIDE)
    return {**arrays, "kept": np.zeros(heads(arrays) * (blocks * SIDE) ** 2, np.float32)}


_rung("C, the formula", "attention_formula", "plain loops and expf; the scores of one head in memory")
_rung("C, products", "attention_products", "register tiles and an exp in vectors; all scores of one head in memory")
_rung("C, online", "attention_online", "blocks of 64 x 64 scores, which stay in L1")
_rung("C, causal", "attention_causal", "hidden blocks are left out; blocks that are cut go in strips of 16 queries")
_rung("C, on its side", "attention_side", "a query in each lane: nothing to add up across lanes")
_rung("C, scores kept", "attention_keeping", "the same, with a copy of all scores for the gradient", prepare=with_room)
_rung("C, threads", "attention_side", "head by head, handed out", threaded=True)


# ---------------------------------------------------------------------- fastnn

def fastnn_call(arrays):
    """The kernel as a layer calls it."""
    scale = 1 / math.sqrt(arrays["q"].shape[3])
    return [(kernels.attention, (arrays["q"], arrays["k"], arrays["v"], None, None), {"scale": scale, "causal": 1})]


_OUTPUTS = {"y": (0, "y"), "log_sum": (0, "log_sum")}
LADDER.kernels("fastnn, one thread", "any mask, shared heads of keys, dropout of weights", fastnn_call, _OUTPUTS)
LADDER.kernels("fastnn, threads", "blocks of queries, handed out", fastnn_call, _OUTPUTS, threaded=True)


# ---------------------------------------------------------------------- more for the page

def lesson() -> str:
    """What the scores of all heads take in memory, and what the scale is good for."""
    lines = [f"{'BxTxHxD':12} {'q, k, v, y':>10} {'log_sum':>9} {'a block':>9} {'a head':>9} {'all scores':>11}"]
    for b, t, h, d in (*LADDER.sizes, (1, 8192, 4, 64), (1, 32768, 4, 64)):
        q, log_sum, block, head, scores = (_memory(n) for n in (4 * b * t * h * d, b * t * h, SIDE * SIDE, t * t,
                                                                b * h * t * t))
        lines.append(f"{show_size((b, t, h, d)):12} {q:>10} {log_sum:>9} {block:>9} {head:>9} {scores:>11}")
    lines += ["", "the largest of 64 weights, in the mean over 4096 queries", "   D   q . k    q . k / sqrt(D)"]
    rng = np.random.default_rng(0)
    for d in (4, 16, 64, 256):
        s = rng.standard_normal((4096, d)) @ rng.standard_normal((d, 64))
        lines.append(f"{d:4} {_peaked(s):7.2f} {_peaked(s / math.sqrt(d)):12.2f}")
    return "\n".join(lines)


def _memory(floats: int) -> str:
    size = 4 * floats / 2**10
    return f"{size:.0f} KiB" if size < 1024 else f"{size / 1024:.0f} MiB"


def _peaked(s) -> float:
    """The largest softmax weight of a row, in the mean over rows."""
    return (1 / np.exp(s - s.max(axis=1, keepdims=True)).sum(axis=1)).mean()
