"""The gradient of causal attention; the second half of docs/kernels/attention.md climbs this ladder.

    p = exp(s - log_sum)      dp[i,j] = dy[i] . v[j]      delta[i] = dy[i] . y[i]      dz = p (dp - delta) / sqrt(D)
    dv = p.T dy               dq = dz k                   dk = dz.T q

A size is BxTxHxD: as in attention.py, whose y and log_sum are inputs here.
"""

from __future__ import annotations

import math

import numpy as np

from fastnn.kernels import attention as kernels

from . import attention
from .attention import FLAGS, SIDE, SMALL, heads, numpy_whole, pairs
from .ladder import Ladder, lists

PAGE = "attention"


def problem(size, rng):
    arrays = attention.problem(size, rng)
    y, log_sum = numpy_whole(*arrays.values())
    new = {n: np.zeros(size, np.float32) for n in ("dq", "dk", "dv")}
    return {**new, "dy": rng.standard_normal(size, np.float32), "q": arrays["q"], "k": arrays["k"], "v": arrays["v"],
            "y": np.ascontiguousarray(y), "log_sum": log_sum}


def flops(size):
    """Of the four products that no way saves, and 20 for each exponential."""
    return pairs(size) * (8 * size[3] + 20)


def nbytes(size):
    b, t, h, d = size
    return 4 * b * t * h * (8 * d + 1)


LADDER = Ladder("attention_grad", problem, outputs=("dq", "dk", "dv"), flops=flops, nbytes=nbytes,
                sizes=attention.LADDER.sizes, check_sizes=attention.LADDER.check_sizes[1:], tolerance=64)


# ---------------------------------------------------------------------- Python and NumPy

@LADDER.rung("plain Python", "the formulas, one pair after the other", prepare=lists, largest=SMALL)
def plain_python(dq, dk, dv, dy, q, k, v, y, log_sum):
    length, width = len(q[0]), len(q[0][0][0])
    for b in range(len(q)):
        for h in range(len(q[b][0])):
            for rows in (dq[b], dk[b], dv[b]):
                for row in rows:
                    row[h] = [0.0] * width
            for i in range(length):
                query, slope = q[b][i][h], dy[b][i][h]
                delta = sum(g * x for g, x in zip(slope, y[b][i][h]))
                for j in range(i + 1):
                    key, value = k[b][j][h], v[b][j][h]
                    p = math.exp(sum(x * w for x, w in zip(query, key)) / math.sqrt(width) - log_sum[b][h][i])
                    dz = p * (sum(g * x for g, x in zip(slope, value)) - delta) / math.sqrt(width)
                    for d in range(width):
                        dv[b][j][h][d] += p * slope[d]
                        dq[b][i][h][d] += dz * key[d]
                        dk[b][j][h][d] += dz * query[d]


def with_weights(arrays):
    """The matrix of weights, which the forward pass has kept."""
    q, k, log_sum = (arrays[n] for n in ("q", "k", "log_sum"))
    s = q.transpose(0, 2, 1, 3) @ k.transpose(0, 2, 3, 1) / np.sqrt(q.shape[3], dtype=q.dtype)
    return {**arrays, "p": np.tril(np.exp(np.minimum(s - log_sum[..., None], 0)))}


@LADDER.rung("NumPy, whole", "the matrix of weights was kept; that of slopes is made", prepare=with_weights)
def numpy_kept(dq, dk, dv, dy, q, k, v, y, log_sum, p):
    q, k, v, dy, y = (a.transpose(0, 2, 1, 3) for a in (q, k, v, dy, y))  # (B, H, T, D)
    delta = (dy * y).sum(axis=-1, keepdims=True)
    dz = p * (dy @ v.swapaxes(2, 3) - delta) / np.sqrt(q.shape[3], dtype=q.dtype)
    made = dz @ k, dz.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ dy
    return tuple(a.transpose(0, 2, 1, 3) for a in made)


# ---------------------------------------------------------------------- C

def with_scores(arrays):
    """The scores as the C rung keeps them: blocks on their side, keys by queries, behind one another."""
    q, k = arrays["q"], arrays["k"]
    b, t, h, d = q.shape
    room = -(-t // SIDE)
    s = np.zeros((b, h, room * SIDE, room * SIDE), np.float32)
    np.matmul(q.transpose(0, 2, 1, 3) / np.sqrt(d, dtype=q.dtype), k.transpose(0, 2, 3, 1), out=s[:, :, :t, :t])
    blocks = s.reshape(b, h, room, SIDE, room, SIDE).transpose(0, 1, 2, 4, 5, 3)
    return {**arrays, "kept": np.ascontiguousarray(blocks)}


def _rung(name, function, idea, **more):
    LADDER.c(name, function, idea, dims=lambda a: a["q"].shape, flags=FLAGS, tiles=heads,
             source="attention.c", **more)


_rung("C, kept", "attention_grad_kept", "blocks of 64 x 64; the scores come from memory", prepare=with_scores)
_rung("C, remade", "attention_grad_remade", "the scores are made again, from q, k and log_sum")
_rung("C, kept, threads", "attention_grad_kept", "head by head, handed out", prepare=with_scores, threaded=True)
_rung("C, remade, threads", "attention_grad_remade", "head by head, handed out", threaded=True)


# ---------------------------------------------------------------------- fastnn

def fastnn_call(arrays):
    """The kernel as a training step calls it."""
    scale = 1 / math.sqrt(arrays["q"].shape[3])
    inputs = (*(arrays[n] for n in ("dy", "q", "k", "v", "y", "log_sum")), None, None)
    return [(kernels.attention_grad, inputs, {"scale": scale, "causal": 1})]


_OUTPUTS = {n: (0, n) for n in ("dq", "dk", "dv")}
LADDER.kernels("fastnn, one thread", "any mask, shared heads of keys, dropout of weights", fastnn_call, _OUTPUTS)
LADDER.kernels("fastnn, threads", "head by head, handed out", fastnn_call, _OUTPUTS, threaded=True)
