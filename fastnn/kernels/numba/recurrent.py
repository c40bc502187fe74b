"""Recurrent layers, a whole sequence to a call: tiles are blocks of batch rows, each taken through all of its steps.

The states of a tile's rows stand side by side in scratch memory, behind what `product` uses.
"""

from __future__ import annotations

import numpy as np

from .activation import activate, multiply_slope
from .form import form, helper
from .gemm import NEW, copy_turned, product
from .math import sigmoid, tanh
from .memory import scratch

f4 = np.float32
WIDEST = 256  # columns of one `product`
IN_ORDER = 2  # `backwards`: the steps from the last to the first, y in the order of the steps


# ---------------------------------------------------------------------- what the kernels share

@helper
def multiply(c, a, b, add):
    """c = a @ b, or c += a @ b if `add`"""
    for j in range(0, c.shape[1], WIDEST):
        product(c[:, j : j + WIDEST], a, b[:, j : j + WIDEST], add)


@helper
def forth(p, h, u, keep, at, seen):
    """p = h @ u, each gate with its dropout"""
    n = h.shape[1]
    if len(keep) == 0:
        multiply(p, h, u, NEW)
    else:
        for g in range(p.shape[1] // n):
            for r in range(len(h)):
                for j in range(n):
                    seen[r, j] = h[r, j] * keep[at + r, g, j]
            multiply(p[:, g * n : (g + 1) * n], seen, u[:, g * n : (g + 1) * n], NEW)


@helper
def back(dh, d, ut, keep, at, part):
    """dh += d @ ut, each gate with its dropout"""
    n = dh.shape[1]
    if len(keep) == 0:
        multiply(dh, d, ut, ~NEW)
    else:
        for g in range(d.shape[1] // n):
            multiply(part, d[:, g * n : (g + 1) * n], ut[g * n : (g + 1) * n, :], NEW)
            for r in range(len(dh)):
                for j in range(n):
                    dh[r, j] = dh[r, j] + part[r, j] * keep[at + r, g, j]


@helper
def kept(x, keep):
    """x *= keep"""
    for j in range(len(x)):
        x[j] = x[j] * keep[j]


@helper
def load(to, state, at):
    """to = state[at : at + len(to)], or 0 where there is none"""
    for r in range(len(to)):
        for j in range(to.shape[1]):
            to[r, j] = state[at + r, j] if len(state) else f4(0)


@helper
def put(y, x):
    """y = x"""
    for j in range(len(y)):
        y[j] = x[j]


@helper
def clear(y):
    """y = 0"""
    for j in range(len(y)):
        y[j] = f4(0)


@helper
def add_row(y, x):
    """y += x"""
    for j in range(len(y)):
        y[j] = y[j] + x[j]


@helper
def counts(mask, row, t):
    """Whether the row has step t."""
    return len(mask) == 0 or mask[row, t] != f4(0)


@helper
def step(s, length, backwards):
    """The place of the step that is taken as number s."""
    return length - 1 - s if backwards else s


@helper
def place(s, length, backwards):
    """Its place in y."""
    return length - 1 - s if backwards == IN_ORDER else s


@helper(noalias=True)
def gate(p, z):
    """p = sigmoid(z + p)"""
    for j in range(len(p)):
        p[j] = sigmoid(z[j] + p[j])


@helper(noalias=True)
def candidate(p, z):
    """p = tanh(z + p)"""
    for j in range(len(p)):
        p[j] = tanh(z[j] + p[j])


# ---------------------------------------------------------------------- the simple cell

@form(y="f4 B T H", end="f4 B H", before="f4 B T H", z="f4 B T H", u="f4 H H", h0="f4 B H", mask="f4 B T",
      keep="f4 B 1 H", backwards="i8", sequence="i8", save="i8")
def simple_rnn(y, end, before, z, u, h0, mask, keep, B, T, H, rows, own, backwards, sequence, save, activation, alpha,
               first, last):
    """h = activation(z + h @ u)"""
    for tile in range(first, last):
        b = tile * rows
        m = min(rows, B - b)
        h, p = scratch(own, (m, H)), scratch(own + rows * H, (m, H))
        seen = scratch(own + 2 * rows * H, (m, H))
        load(h, h0, b)
        for s in range(T):
            t, to = step(s, T, backwards), place(s, T, backwards)
            forth(p[:, :], h[:, :], u[:, :], keep, b, seen[:, :])
            for r in range(m):
                if save:
                    put(before[b + r, t], h[r])
                if counts(mask, b + r, t):
                    put(h[r], z[b + r, t])
                    add_row(h[r], p[r])
                    activate(activation, h[r], h[r], alpha)
                if sequence:
                    put(y[b + r, to], h[r])
        for r in range(m):
            put(end[b + r], h[r])


@form(dz="f4 B T H", dh0="f4 B H", dy="f4 B T H", dend="f4 B H", before="f4 B T H", end="f4 B H", u="f4 H H",
      mask="f4 B T", keep="f4 B 1 H", backwards="i8", initial="i8")
def simple_rnn_grad(dz, dh0, dy, dend, before, end, u, mask, keep, B, T, H, rows, own, backwards, initial, activation,
                    alpha, first, last):
    """dz = (dy + dh) * activation'; dh = dz @ u.T"""
    ut, part = scratch(own + 2 * rows * H, (H, H)), scratch(own + (2 * rows + H) * H, (rows, H))
    copy_turned(ut, u)
    for tile in range(first, last):
        b = tile * rows
        m = min(rows, B - b)
        dh, d = scratch(own, (m, H)), scratch(own + rows * H, (m, H))
        load(dh, dend, b)
        for s in range(T - 1, -1, -1):
            t, to, after = step(s, T, backwards), place(s, T, backwards), step(min(s + 1, T - 1), T, backwards)
            for r in range(m):
                if len(dy):
                    add_row(dh[r], dy[b + r, to])
                if counts(mask, b + r, t):
                    state = end[b + r] if s == T - 1 else before[b + r, after]
                    put(d[r], dh[r])
                    multiply_slope(activation, d[r], d[r], state, state, alpha)
                    clear(dh[r])
                else:
                    clear(d[r])
                put(dz[b + r, t], d[r])
            if s > 0 or initial:
                back(dh[:, :], d[:, :], ut[:, :], keep, b, part[:m, :])
        if initial:
            for r in range(m):
                put(dh0[b + r], dh[r])


# ---------------------------------------------------------------------- LSTM

@helper(noalias=True)
def lstm_state(h, c, gates):
    """c = f * c + i * g; h = o * tanh(c)"""
    n = len(h)
    i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    for j in range(n):
        c[j] = f[j] * c[j] + i[j] * g[j]
        h[j] = o[j] * tanh(c[j])


@helper(noalias=True)
def lstm_back(dz, dc, dh, gates, c, c_before):
    """See `lstm_grad` in fastnn/kernels/recurrent.py."""
    n = len(dh)
    i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    di, df, dg, do = dz[:n], dz[n : 2 * n], dz[2 * n : 3 * n], dz[3 * n :]
    for j in range(n):
        t = tanh(c[j])
        d = dc[j] + dh[j] * o[j] * (f4(1) - t * t)
        di[j] = d * g[j] * i[j] * (f4(1) - i[j])
        df[j] = d * c_before[j] * f[j] * (f4(1) - f[j])
        dg[j] = d * i[j] * (f4(1) - g[j] * g[j])
        do[j] = dh[j] * t * o[j] * (f4(1) - o[j])
        dc[j] = d * f[j]


@form(y="f4 B T H", end="f4 B H", end_c="f4 B H", before="f4 B T H", gates="f4 B T 4*H", carry="f4 B T H",
      z="f4 B T 4*H", u="f4 H 4*H", h0="f4 B H", c0="f4 B H", mask="f4 B T", keep="f4 B 4 H",
      backwards="i8", sequence="i8", save="i8")
def lstm(y, end, end_c, before, gates, carry, z, u, h0, c0, mask, keep, B, T, H, rows, own, backwards, sequence, save,
         first, last):
    """i, f, g, o = z + h @ u; c = sigmoid(f) * c + sigmoid(i) * tanh(g); h = sigmoid(o) * tanh(c)"""
    for tile in range(first, last):
        b = tile * rows
        m = min(rows, B - b)
        h, c = scratch(own, (m, H)), scratch(own + rows * H, (m, H))
        p, seen = scratch(own + 2 * rows * H, (m, 4 * H)), scratch(own + 6 * rows * H, (m, H))
        load(h, h0, b)
        load(c, c0, b)
        for s in range(T):
            t, to = step(s, T, backwards), place(s, T, backwards)
            forth(p[:, :], h[:, :], u[:, :], keep, b, seen[:, :])
            for r in range(m):
                if save:
                    put(before[b + r, t], h[r])
                if counts(mask, b + r, t):
                    gate(p[r, : 2 * H], z[b + r, t, : 2 * H])
                    candidate(p[r, 2 * H : 3 * H], z[b + r, t, 2 * H : 3 * H])
                    gate(p[r, 3 * H :], z[b + r, t, 3 * H :])
                    lstm_state(h[r], c[r], p[r])
                else:
                    clear(p[r])
                if save:
                    put(gates[b + r, t], p[r])
                    put(carry[b + r, t], c[r])
                if sequence:
                    put(y[b + r, to], h[r])
        for r in range(m):
            put(end[b + r], h[r])
            put(end_c[b + r], c[r])


@form(dz="f4 B T 4*H", dh0="f4 B H", dc0="f4 B H", dy="f4 B T H", dend="f4 B H", dend_c="f4 B H", gates="f4 B T 4*H",
      carry="f4 B T H", c0="f4 B H", u="f4 H 4*H", mask="f4 B T", keep="f4 B 4 H", backwards="i8", initial="i8")
def lstm_grad(dz, dh0, dc0, dy, dend, dend_c, gates, carry, c0, u, mask, keep, B, T, H, rows, own, backwards, initial,
              first, last):
    """dz from dy + dh and dc; dh = dz @ u.T; dc = dc * f"""
    ut, part = scratch(own + 7 * rows * H, (4 * H, H)), scratch(own + (7 * rows + 4 * H) * H, (rows, H))
    copy_turned(ut, u)
    for tile in range(first, last):
        b = tile * rows
        m = min(rows, B - b)
        dh, dc = scratch(own, (m, H)), scratch(own + rows * H, (m, H))
        d, none = scratch(own + 2 * rows * H, (m, 4 * H)), scratch(own + 6 * rows * H, (1, H))
        load(dh, dend, b)
        load(dc, dend_c, b)
        clear(none[0])
        for s in range(T - 1, -1, -1):
            t, to, earlier = step(s, T, backwards), place(s, T, backwards), step(max(s - 1, 0), T, backwards)
            for r in range(m):
                if len(dy):
                    add_row(dh[r], dy[b + r, to])
                if counts(mask, b + r, t):
                    c_before = carry[b + r, earlier] if s > 0 else c0[b + r] if len(c0) else none[0]
                    lstm_back(d[r], dc[r], dh[r], gates[b + r, t], carry[b + r, t], c_before)
                    clear(dh[r])
                else:
                    clear(d[r])
                put(dz[b + r, t], d[r])
            if s > 0 or initial:
                back(dh[:, :], d[:, :], ut[:, :], keep, b, part[:m, :])
        if initial:
            for r in range(m):
                put(dh0[b + r], dh[r])
                put(dc0[b + r], dc[r])


# ---------------------------------------------------------------------- GRU

@helper(noalias=True)
def gru_new(h, p, z):
    """n = tanh(z + r * p); h = update * h + (1 - update) * n, with n in the place of p"""
    n = len(h)
    update, r, within, x = p[:n], p[n : 2 * n], p[2 * n :], z[2 * n :]
    for j in range(n):
        within[j] = tanh(x[j] + r[j] * within[j])
        h[j] = update[j] * h[j] + (f4(1) - update[j]) * within[j]


@helper(noalias=True)
def gru_mix(h, p):
    """h = update * h + (1 - update) * n"""
    n = len(h)
    update, fresh = p[:n], p[2 * n :]
    for j in range(n):
        h[j] = update[j] * h[j] + (f4(1) - update[j]) * fresh[j]


@helper(noalias=True)
def gru_reset(q, p, h):
    """q = r * h"""
    r = p[len(h) : 2 * len(h)]
    for j in range(len(h)):
        q[j] = r[j] * h[j]


@form(y="f4 B T H", end="f4 B H", before="f4 B T H", gates="f4 B T 3*H", inner="f4 B T H", z="f4 B T 3*H", u="f4 H 3*H",
      b="f4 3*H", h0="f4 B H", mask="f4 B T", keep="f4 B 3 H", backwards="i8", sequence="i8", save="i8",
      reset_after="i8")
def gru(y, end, before, gates, inner, z, u, b, h0, mask, keep, B, T, H, rows, own, backwards, sequence, save,
        reset_after, first, last):
    """z, r = sigmoid(z + h @ u + b); n = tanh(z + r * (h @ u + b)), or tanh(z + (r * h) @ u); h = z h + (1 - z) n."""
    for tile in range(first, last):
        at = tile * rows
        m = min(rows, B - at)
        h, q = scratch(own, (m, H)), scratch(own + rows * H, (m, H))
        p, seen = scratch(own + 2 * rows * H, (m, 3 * H)), scratch(own + 5 * rows * H, (m, H))
        load(h, h0, at)
        for s in range(T):
            t, to = step(s, T, backwards), place(s, T, backwards)
            wide = 3 * H if reset_after else 2 * H
            forth(p[:, :wide], h[:, :], u[:, :wide], keep, at, seen[:, :])
            for r in range(m):
                if save:
                    put(before[at + r, t], h[r])
                if len(b):
                    add_row(p[r], b)
                if not counts(mask, at + r, t):
                    clear(q[r])
                    continue
                gate(p[r, : 2 * H], z[at + r, t, : 2 * H])
                if reset_after:
                    put(q[r], p[r, 2 * H :])
                    gru_new(h[r], p[r], z[at + r, t])
                else:
                    gru_reset(q[r], p[r], h[r])
                    if len(keep):
                        kept(q[r], keep[at + r, 2])
            if not reset_after:
                multiply(p[:, 2 * H :], q[:, :], u[:, 2 * H :], NEW)
            for r in range(m):
                if not counts(mask, at + r, t):
                    clear(p[r])
                elif not reset_after:
                    candidate(p[r, 2 * H :], z[at + r, t, 2 * H :])
                    gru_mix(h[r], p[r])
                if save:
                    put(gates[at + r, t], p[r])
                    put(inner[at + r, t], q[r])
                if sequence:
                    put(y[at + r, to], h[r])
        for r in range(m):
            put(end[at + r], h[r])


@helper(noalias=True)
def gru_back(dz, dh, gates, before):
    """dz = dh * (before - n) * z (1 - z); dn = dh * (1 - z) * (1 - n**2); dh = dh * z"""
    n = len(dh)
    update, fresh, du, dn = gates[:n], gates[2 * n :], dz[:n], dz[2 * n :]
    for j in range(n):
        u, d = update[j], dh[j]
        du[j] = d * (before[j] - fresh[j]) * u * (f4(1) - u)
        dn[j] = d * (f4(1) - u) * (f4(1) - fresh[j] * fresh[j])
        dh[j] = d * u


@helper(noalias=True)
def gru_back_after(di, dz, gates, inner):
    """dr = dn * inner * r (1 - r); di = dz, dr, dn * r"""
    n = len(inner)
    r, du, dr, dn = gates[n : 2 * n], dz[:n], dz[n : 2 * n], dz[2 * n :]
    iu, ir, fresh = di[:n], di[n : 2 * n], di[2 * n :]
    for j in range(n):
        d = dn[j] * inner[j] * r[j] * (f4(1) - r[j])
        dr[j] = d
        iu[j], ir[j], fresh[j] = du[j], d, dn[j] * r[j]


@helper(noalias=True)
def gru_back_before(dz, dh, q, gates, before):
    """dr = q * before * r (1 - r); dh += q * r"""
    n = len(dh)
    r, dr = gates[n : 2 * n], dz[n : 2 * n]
    for j in range(n):
        dr[j] = q[j] * before[j] * r[j] * (f4(1) - r[j])
        dh[j] = dh[j] + q[j] * r[j]


@form(dz="f4 B T 3*H", di="f4 B T 3*H", dh0="f4 B H", dy="f4 B T H", dend="f4 B H", before="f4 B T H",
      gates="f4 B T 3*H", inner="f4 B T H", u="f4 H 3*H", mask="f4 B T", keep="f4 B 3 H", backwards="i8",
      initial="i8", reset_after="i8")
def gru_grad(dz, di, dh0, dy, dend, before, gates, inner, u, mask, keep, B, T, H, rows, own, backwards, initial,
             reset_after, first, last):
    """dz, dr, dn from dy + dh; dh = dh * z + what comes through u"""
    ut, part = scratch(own + 8 * rows * H, (3 * H, H)), scratch(own + (8 * rows + 3 * H) * H, (rows, H))
    copy_turned(ut, u)
    for tile in range(first, last):
        b = tile * rows
        m = min(rows, B - b)
        dh, q = scratch(own, (m, H)), scratch(own + rows * H, (m, H))
        d, e = scratch(own + 2 * rows * H, (m, 3 * H)), scratch(own + 5 * rows * H, (m, 3 * H))
        load(dh, dend, b)
        for s in range(T - 1, -1, -1):
            t, to = step(s, T, backwards), place(s, T, backwards)
            for r in range(m):
                if len(dy):
                    add_row(dh[r], dy[b + r, to])
                if not counts(mask, b + r, t):
                    clear(d[r])
                    clear(e[r])
                    continue
                gru_back(e[r], dh[r], gates[b + r, t], before[b + r, t])
                if reset_after:
                    gru_back_after(d[r], e[r], gates[b + r, t], inner[b + r, t])
            if not reset_after:
                multiply(q[:, :], e[:, 2 * H :], ut[2 * H :, :], NEW)
            for r in range(m):
                if not reset_after and len(keep):
                    kept(q[r], keep[b + r, 2])
                if not reset_after and counts(mask, b + r, t):
                    gru_back_before(e[r], dh[r], q[r], gates[b + r, t], before[b + r, t])
                put(dz[b + r, t], e[r])
                if reset_after:
                    put(di[b + r, t], d[r])
            if s > 0 or initial:
                if reset_after:
                    back(dh[:, :], d[:, :], ut[:, :], keep, b, part[:m, :])
                else:
                    back(dh[:, :], e[:, : 2 * H], ut[: 2 * H, :], keep, b, part[:m, :])
        if initial:
            for r in range(m):
                put(dh0[b + r], dh[r])
