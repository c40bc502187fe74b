"""An LSTM over sequences, from a step to a sequence. docs/kernels/lstm.md climbs this ladder.

    i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of x[t] @ w + h @ u + b
    c = f * c + i * g
    h = o * tanh(c)

A size is BxTxDxH: sequences x (B,T,D), w (D,4H), u (H,4H), b (4H), states y (B,T,H), the last c (B,H).
"""

from __future__ import annotations

import math

import numpy as np

from fastnn.kernels import dense, recurrent
from fastnn.race.contenders import native_call
from fastnn.race.timing import aligned, take_turns

from . import build
from .ladder import Ladder, Rung, lists, show_size

#: as `build.FLAGS`, but a product and a sum may become one FMA
FLAGS = build.FLAGS.replace("-ffp-contract=off", "-ffp-contract=fast")
BLOCK = 16  # rows of a tile; lstm.c has the same


def problem(size, rng):
    n, steps, d, h = size
    bias = np.zeros(4 * h, np.float32)
    bias[h : 2 * h] = 1  # of the forget gate
    return {"y": np.zeros((n, steps, h), np.float32), "c": np.zeros((n, h), np.float32),
            "x": rng.standard_normal((n, steps, d), np.float32),
            "w": rng.standard_normal((d, 4 * h), np.float32) / np.float32(d**0.5),
            "u": rng.standard_normal((h, 4 * h), np.float32) / np.float32(h**0.5), "b": bias}


def dims(arrays):
    """B, T, D, H"""
    return (*arrays["x"].shape, len(arrays["u"]))


def blocks(arrays):
    """A tile is BLOCK rows of the batch."""
    return -(-len(arrays["x"]) // BLOCK)


def flops(size):
    n, steps, d, h = size
    return n * steps * h * (2 * 4 * (d + h) + 13)


def nbytes(size):
    n, steps, d, h = size
    return 4 * (n * steps * (d + h) + n * h + 4 * h * (d + h + 1))


SMALL = (2, 6, 8, 16)  # the largest on which plain Python is timed
LADDER = Ladder("lstm", problem, outputs=("y", "c"), flops=flops, nbytes=nbytes,
                sizes=((1, 28, 28, 128), (64, 28, 28, 128), (32, 8, 256, 256)),
                check_sizes=((1, 1, 1, 16), (2, 4, 3, 16), (7, 5, 20, 32), (17, 3, 9, 48), (37, 6, 12, 16)),
                tolerance=32)


# ---------------------------------------------------------------------- Python and NumPy

@LADDER.rung("plain Python", "the meaning, one number at a time", prepare=lists, largest=SMALL)
def plain_python(y, c, x, w, u, b):
    units = len(u)
    for row, sequence in enumerate(x):
        h, carry = [0.0] * units, [0.0] * units
        for t, now in enumerate(sequence):
            z = [b[j] + sum(now[k] * w[k][j] for k in range(len(now))) + sum(h[k] * u[k][j] for k in range(units))
                 for j in range(4 * units)]
            h = list(h)
            for j in range(units):
                i, f = 1 / (1 + math.exp(-z[j])), 1 / (1 + math.exp(-z[units + j]))
                g, o = math.tanh(z[2 * units + j]), 1 / (1 + math.exp(-z[3 * units + j]))
                carry[j] = f * carry[j] + i * g
                h[j] = o * math.tanh(carry[j])
            y[row][t] = h
        c[row] = carry


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gate_by_gate(arrays):
    """The matrices as most textbooks draw them: one for each gate, over [h, x]."""
    both = np.split(np.concatenate([arrays["u"], arrays["w"]]), 4, axis=1)
    return {**{n: arrays[n] for n in ("y", "c", "x")}, "m": [np.ascontiguousarray(m) for m in both],
            "b": np.split(arrays["b"], 4)}


@LADDER.rung("NumPy, gate by gate", "as textbooks draw it: four products a step", prepare=gate_by_gate)
def numpy_gates(y, c, x, m, b):
    c[:] = 0
    h = np.zeros_like(c)
    for t in range(x.shape[1]):
        hx = np.concatenate([h, x[:, t]], axis=1)
        i, f, o = sigmoid(hx @ m[0] + b[0]), sigmoid(hx @ m[1] + b[1]), sigmoid(hx @ m[3] + b[3])
        g = np.tanh(hx @ m[2] + b[2])
        c[:] = f * c + i * g
        h = o * np.tanh(c)
        y[:, t] = h


def side_by_side(arrays):
    """One matrix for all gates, over [h, x]."""
    return {**{n: arrays[n] for n in ("y", "c", "x")}, "m": np.concatenate([arrays["u"], arrays["w"]]),
            "b": arrays["b"]}


def numpy_cell(c, z):
    """The new h; c is written over."""
    i, f, g, o = np.split(z, 4, axis=1)
    c[:] = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c)


@LADDER.rung("NumPy, one product", "the gates side by side: one product a step", prepare=side_by_side)
def numpy_steps(y, c, x, m, b):
    c[:] = 0
    h = np.zeros_like(c)
    for t in range(x.shape[1]):
        h = numpy_cell(c, np.concatenate([h, x[:, t]], axis=1) @ m + b)
        y[:, t] = h


@LADDER.rung("NumPy, inputs first", "what the inputs give: one product for all steps")
def numpy_inputs_first(y, c, x, w, u, b):
    c[:] = 0
    h = np.zeros_like(c)
    z = (x.reshape(-1, x.shape[2]) @ w + b).reshape(*x.shape[:2], -1)
    for t in range(x.shape[1]):
        h = numpy_cell(c, z[:, t] + h @ u)
        y[:, t] = h


@LADDER.numba("Numba", "the plain loops, compiled; the gates innermost",
              options={"fastmath": {"contract"}, "error_model": "numpy"})
def numba_loops(y, c, x, w, u, b):
    units, one = len(u), np.float32(1)
    z = np.empty_like(b)
    for row in range(len(x)):
        c[row] = 0
        for t in range(x.shape[1]):
            z[:] = b
            for k in range(x.shape[2]):
                for j in range(len(z)):
                    z[j] += x[row, t, k] * w[k, j]
            if t > 0:
                for k in range(units):
                    for j in range(len(z)):
                        z[j] += y[row, t - 1, k] * u[k, j]
            for j in range(units):
                i, f = one / (one + np.exp(-z[j])), one / (one + np.exp(-z[units + j]))
                g, o = np.tanh(z[2 * units + j]), one / (one + np.exp(-z[3 * units + j]))
                c[row, j] = f * c[row, j] + i * g
                y[row, t, j] = o * np.tanh(c[row, j])


# ---------------------------------------------------------------------- C

def with_sums(arrays):
    """And z (B,T,4H), where the sums of all steps grow."""
    n, steps, _ = arrays["x"].shape
    return {**arrays, "z": aligned(np.zeros((n, steps, len(arrays["b"])), np.float32))}


def _rung(name, function, idea, **more):
    LADDER.c(name, function, idea, prepare=with_sums, dims=dims, flags=FLAGS, **more)


_rung("C, loops", "lstm_loops", "the same loops in C; exp and tanh are calls")
_rung("C, gates fused", "lstm_fused", "an exp that vectorizes; four gates, c and h in one pass")
_rung("C, register tiles", "lstm_steps", "both products of a step with the sums in registers")
_rung("C, inputs first", "lstm_inputs_first", "what the inputs give: one product for all steps")
_rung("C, blocks of rows", "lstm_rows", "16 rows of the batch go through all steps", tiles=blocks)
_rung("C, no z", "lstm_rows_no_z", "the inputs of each step in turn: its sums stay in cache", tiles=blocks)
_rung("C, threads", "lstm_rows_no_z", "blocks of rows, handed out", tiles=blocks, threaded=True)


# ---------------------------------------------------------------------- fastnn

def forward(arrays, save: int):
    """fastnn's two kernels, and all arrays by name: z of all steps, then the steps."""
    x, u = arrays["x"], arrays["u"]
    product, call = native_call(dense.dense, (x.reshape(-1, x.shape[2]), arrays["w"], arrays["b"]))
    z = call.extra["arrays"][0][0].reshape(*x.shape[:2], -1)
    steps, call = native_call(recurrent.lstm, (z, u, None, None, None), save=save)
    made = dict(zip(recurrent.lstm.outputs, call.extra["arrays"][0]))
    return [product, steps], {**arrays, "z": z, **made, "c": made["end_c"]}


def fastnn(arrays):
    return LADDER.bind_calls(*forward(arrays, save=0))


LADDER.rungs += [Rung("fastnn, one thread", "two kernels; any batch and state, masks, either direction", fastnn),
                 Rung("fastnn, threads", "blocks of rows, handed out", fastnn, threaded=True)]


# ---------------------------------------------------------------------- more for the page

def lesson() -> str:
    """What training costs beyond the forward pass, and how far a gradient goes back."""
    return f"{training(LADDER.sizes[1])}\n\n{reach()}"


def training(size) -> str:
    """Time and memory of the passes of a training step, one thread."""
    arrays, (n, steps, d, h) = LADDER.arrays(size), size
    ahead, _ = forward(arrays, save=0)
    saving, kept = forward(arrays, save=1)
    LADDER.bind_calls(saving, kept).run(1, 1)  # so that the passes below find ordinary values
    dy, u, gates = aligned(np.ones_like(arrays["y"])), arrays["u"], kept["gates"]
    back, call = native_call(recurrent.lstm_grad, (dy, None, None, gates, kept["carry"], None, u, None), initial=0)
    dz = call.extra["arrays"][0][0].reshape(n * steps, 4 * h)
    of_u, kept_u = native_call(dense.dense_grad_weight, (kept["before"].reshape(-1, h), dz, None))
    of_w, kept_w = native_call(dense.dense_grad_weight, (arrays["x"].reshape(-1, d), dz, None))
    of_x, kept_x = native_call(dense.dense_grad_input, (dz, arrays["w"], None))
    states = n * steps * h
    passes = {"forward, nothing kept": (ahead, 0), "forward, for training": (saving, 6 * states),
              "back through time: dz": ([back], 4 * states), "gradient of u": ([of_u], 4 * h * h),
              "gradients of w and b": ([of_w], 4 * h * (d + 1)), "gradient of x": ([of_x], n * steps * d)}
    bound = {name: LADDER.bind_calls(calls, {**kept, "more": (call, kept_u, kept_w, kept_x)})
             for name, (calls, _) in passes.items()}
    times = take_turns({name: lambda k, b=b: b.run(k, 1) for name, b in bound.items()}, 0.5)
    best = {name: min(t) * 1e6 for name, t in times.items()}
    lines = [f"{show_size(size):24} {'us':>10} {'x forward':>10} {'writes, MiB':>12}"]
    lines += [f"{name:24} {us:10.1f} {us / best['forward, nothing kept']:10.2f} {4 * passes[name][1] / 2**20:12.1f}"
              for name, us in best.items()]
    return "\n".join(lines)


def reach(steps: int = 28, units: int = 128) -> str:
    """Length of the gradient that arrives at the first step, for one at the last of length 1."""
    rng = np.random.default_rng(0)
    scale = units**-0.5
    u = rng.standard_normal((units, 4 * units)) * scale
    d = rng.standard_normal((8, units))
    d /= np.linalg.norm(d)
    lines = [f"{'gradient after 28 steps':24} {'of h':>10} {'of c':>10}"]
    z = rng.standard_normal((8, steps, 4 * units))
    _, end, before = recurrent.simple_rnn(z[:, :, :units], u[:, :units])
    _, dh = recurrent.simple_rnn_grad(None, d, before, end, u[:, :units])
    lines.append(f"{'simple RNN':24} {np.linalg.norm(dh):10.1e}")
    for bias in (0, 1, 3):
        shifted = z.copy()
        shifted[:, :, units : 2 * units] += bias
        *_, gates, carry = recurrent.lstm(shifted, u)
        _, dh, dc = recurrent.lstm_grad(None, None, d, gates, carry, None, u)
        lines.append(f"{f'LSTM, forget bias {bias}':24} {np.linalg.norm(dh):10.1e} {np.linalg.norm(dc):10.1e}")
    return "\n".join(lines)
