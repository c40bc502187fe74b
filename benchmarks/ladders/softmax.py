"""Softmax cross-entropy with integer labels, and its gradient. docs/kernels/softmax.md climbs this ladder.

    p = exp(z - max) / sum        loss = log(sum) - (z[label] - max)        dz = (p - onehot(label)) * g

A size is MxN: logits z (M,N), labels and g (M) in; losses (M), p and dz (M,N) out.
"""

from __future__ import annotations

import math

import numpy as np

from fastnn.kernels import loss
from fastnn.race.contenders import native_call

from . import build
from .ladder import Ladder, Rung, like, lists

#: as `build.FLAGS`, but a product and a sum may become one FMA
FLAGS = build.FLAGS.replace("-ffp-contract=off", "-ffp-contract=fast")


def problem(size, rng):
    m, n = size
    z = 3 * rng.standard_normal((m, n), np.float32)
    return {"losses": np.zeros(m, np.float32), "p": np.zeros_like(z), "dz": np.zeros_like(z), "z": z,
            "labels": rng.integers(0, n, m).astype(np.int32), "g": rng.uniform(0.5, 1.5, m).astype(np.float32)}


def dims(arrays):
    """M, N"""
    return arrays["z"].shape


def tiles(arrays):
    """Of sixteen rows each."""
    return -(-len(arrays["z"]) // 16)


#: Operations as fastnn's cost rows count them: 20 for each p and loss, 2 for each dz.
LADDER = Ladder("softmax", problem, outputs=("losses", "p", "dz"), flops=lambda s: 22 * s[0] * s[1],
                nbytes=lambda s: 12 * s[0] * (s[1] + 1), sizes=((32, 10), (1024, 10), (1024, 1000)),
                check_sizes=((1, 1), (1, 10), (3, 2), (16, 16), (17, 10), (33, 31), (50, 33), (20, 100), (18, 1003)),
                tolerance=32)


# ---------------------------------------------------------------------- Python and NumPy

@LADDER.rung("plain Python", "the meaning, one number at a time", prepare=lists, largest=(1024, 10))
def plain_python(losses, p, dz, z, labels, g):
    for i, row in enumerate(z):
        largest = max(row)
        e = [math.exp(x - largest) for x in row]
        total = sum(e)
        p[i] = [x / total for x in e]
        dz[i] = [x * g[i] for x in p[i]]
        dz[i][labels[i]] = (p[i][labels[i]] - 1) * g[i]
        losses[i] = math.log(total) - (row[labels[i]] - largest)


@LADDER.rung("NumPy, naive", "the formula of the textbook; overflows for logits beyond 88")
def numpy_naive(losses, p, dz, z, labels, g):
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    onehot = np.eye(z.shape[1], dtype=z.dtype)[labels]
    return -np.log((p * onehot).sum(axis=1)), p, (p - onehot) * g[:, None]


@LADDER.rung("NumPy, stable", "shifted by the largest; the label's numbers are picked, no one-hot matrix")
def numpy_stable(losses, p, dz, z, labels, g):
    rows = np.arange(len(z))
    shifted = z - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    p = e / total
    dz = p * g[:, None]
    dz[rows, labels] -= g
    return np.log(total[:, 0]) - shifted[rows, labels], p, dz


def workspace(arrays):
    """Two columns and the row numbers, after the problem's own arrays."""
    with_columns = like("g", "g")(arrays)
    return {**with_columns, "rows": np.arange(len(arrays["z"]))}


@LADDER.rung("NumPy, no temporaries", "out= and in place: five passes over the matrix", prepare=workspace)
def numpy_in_place(losses, p, dz, z, labels, g, largest, total, rows):
    np.max(z, axis=1, out=largest)
    np.subtract(z, largest[:, None], out=p)
    losses[:] = p[rows, labels]
    np.exp(p, out=p)
    np.sum(p, axis=1, out=total)
    p /= total[:, None]
    np.multiply(p, g[:, None], out=dz)
    dz[rows, labels] -= g
    np.log(total, out=total)
    np.subtract(total, losses, out=losses)


# ---------------------------------------------------------------------- Numba and Cython

@LADDER.numba("Numba", "the loops of plain Python, compiled", options={"fastmath": {"contract"}})
def numba_loops(losses, p, dz, z, labels, g):
    for i in range(z.shape[0]):
        largest, total, k = z[i, 0], np.float32(0), labels[i]
        for j in range(1, z.shape[1]):
            largest = max(largest, z[i, j])
        for j in range(z.shape[1]):
            p[i, j] = np.exp(z[i, j] - largest)
            total += p[i, j]
        for j in range(z.shape[1]):
            p[i, j] /= total
            dz[i, j] = p[i, j] * g[i]
        dz[i, k] = (p[i, k] - np.float32(1)) * g[i]
        losses[i] = np.log(total) - (z[i, k] - largest)


LADDER.cython("Cython", "loops", "the same, with typed memoryviews and expf", flags=FLAGS)


# ---------------------------------------------------------------------- C

def _rung(name, function, idea, **more):
    LADDER.c(name, function, idea, dims=dims, flags=FLAGS, tiles=tiles, **more)


_rung("C, libm", "softmax_libm", "expf is a call, so that loop stays scalar")
_rung("C, own exp", "softmax_exp", "a polynomial without branches: the compiler vectorizes it")
_rung("C, along the row", "softmax_along", "maximum and sum in 16 lanes, too")
_rung("C, online", "softmax_online", "maximum and sum in one pass, at the price of a second exp")
_rung("C, fused", "softmax_fused", "p and dz leave in the same pass")
_rung("C, across rows", "softmax_across", "up to 32 classes: 16 rows at once, one in each lane")
_rung("C, threads", "softmax_across", "tiles of 16 rows, handed out", threaded=True)


# ---------------------------------------------------------------------- fastnn

def fastnn_pair(arrays):
    """fastnn's two kernels, as a training step runs them: loss and p, then dz."""
    forward, call = native_call(loss.softmax_cross_entropy, (arrays["z"], arrays["labels"]))
    (losses, p), _ = call.extra["arrays"]
    backward, call = native_call(loss.softmax_cross_entropy_grad, (arrays["g"], p, arrays["labels"]))
    (dz,), _ = call.extra["arrays"]
    return LADDER.bind_calls([forward, backward], {**arrays, "losses": losses, "p": p, "dz": dz})


LADDER.rungs += [Rung("fastnn, one thread", "two kernels: loss and p, then dz", fastnn_pair),
                 Rung("fastnn, threads", "tiles of rows, handed out", fastnn_pair, threaded=True)]


# ---------------------------------------------------------------------- more for the page

def lesson() -> str:
    """The textbook's formula beside the shifted one, where exp leaves the range of float32."""
    lines = ["logits                 loss, naive    loss, stable"]
    for shift in (0, 80, 100, -200):
        arrays = problem((1, 3), np.random.default_rng(0))
        arrays["z"] = np.array([[0, 1, -1]], np.float32) + np.float32(shift)
        with np.errstate(all="ignore"):
            naive, stable = (f(*arrays.values())[0][0] for f in (numpy_naive, numpy_stable))
        lines.append(f"{str(arrays['z'][0].tolist()):22} {naive:11.6f} {stable:15.6f}")
    return "\n".join(lines)
