"""Matrix products: dense layers, their gradients, and matmul. `gemm.product` does the work; here are its edges."""

from __future__ import annotations

import numpy as np

from .activation import LINEAR, activate, multiply_slope
from .form import form, helper
from .gemm import NEW, line, product
from .math import fma
from .memory import call_kernel, scratch, view
from .rows import row_dot

f4 = np.float32


@form(y="f4 M N", x="f4 M K", w="f4 K N", b="f4 N")
def dense(y, x, w, b, M, N, rows, columns, activation, alpha, first, last):
    """y = activation(x @ w + b)"""
    down = -(-M // rows)
    for t in range(first, last):
        # Tiles go down the columns: a thread that takes the first or last of them reads a part of w only.
        i, j = t % down * rows, t // down * columns
        tile = y[i : i + rows, j : j + columns]
        product(tile, x[i : i + rows, :], w[:, j : j + columns], NEW)
        for r in range(len(tile)):
            row = y[i + r, j : j + columns]
            if len(b):
                add_row(row, b[j : j + columns])
            if activation != LINEAR:
                activate(activation, row, row, alpha)


@form(dx="f4 M K", dz="f4 M N", w="f4 K N", y="f4 M K")
def dense_grad_input(dx, dz, w, y, M, rows, columns, activation, alpha, first, last):
    """dx = dz @ w.T * activation'(y)"""
    down = -(-M // rows)
    for t in range(first, last):
        i, j = t % down * rows, t // down * columns
        tile = dx[i : i + rows, j : j + columns]
        product(tile, dz[i : i + rows, :], w[j : j + columns, :].T, NEW)
        if len(y) and activation != LINEAR:
            for r in range(len(tile)):
                row, out = dx[i + r, j : j + columns], y[i + r, j : j + columns]
                multiply_slope(activation, row, row, out, out, alpha)


@form(dw="f4 K N", db="f4 N", x="f4 M K", dz="f4 M N", then="address")
def dense_grad_weight(dw, db, x, dz, then, K, N, rows, columns, panel, ahead, slots, keep, first, last):
    """dw = x.T @ dz; db = dz.sum(0)"""
    share = -(-N // max(1, -(-K // rows)))  # of db, per tile: whole blocks of 16
    share = -(-share // 16) * 16
    for t in range(first, last):
        i = t * rows
        g = panel_of(dw, i, rows, panel, then, keep)
        for j in range(0, N, columns):
            product(g[:, j : j + columns], x[:, i : i + rows].T, dz[:, j : j + columns], NEW)
        sum_rows(db[t * share : (t + 1) * share], dz[:, t * share : (t + 1) * share])
        run_then(then, g, i * N, int(ahead), int(slots), keep)


@form(dw="f4 K N", dgamma="f4 K", dbeta="f4 K", x="f4 M K", mean="f4 K", rstd="f4 K", gamma="f4 K", beta="f4 K",
      w="f4 K N", dz="f4 M N", db="f4 N", then="address")
def norm_dense_grad(dw, dgamma, dbeta, x, mean, rstd, gamma, beta, w, dz, db, then, M, N, rows, columns, panel, ahead,
                    slots, keep, first, last):
    """g = ((x - mean) * rstd).T @ dz; dw = gamma * g + beta * db; dgamma = (w * g).sum(1); dbeta = (w * db).sum(1)"""
    for t in range(first, last):
        i = t * rows
        g = panel_of(dw, i, rows, panel, then, keep)
        m = len(g)
        # the normalised data, behind what `product` and `panel_of` use
        n = scratch(panel + rows * N + 16, (M, m))
        for r in range(M):
            normalize(n[r], x[r, i : i + m], mean[i : i + m], rstd[i : i + m])
        for j in range(0, N, columns):
            product(g[:, j : j + columns], n[:, :].T, dz[:, j : j + columns], NEW)
        for r in range(m):
            dgamma[i + r] = row_dot(w[i + r], g[r])
            dbeta[i + r] = row_dot(w[i + r], db)
            scale_back(g[r], db, gamma[i + r] if len(gamma) else f4(1), beta[i + r] if len(beta) else f4(0))
        run_then(then, g, i * N, int(ahead), int(slots), keep)


@form(y="address", a="address", b="address", transpose_a="i8", transpose_b="i8", sum_batch="i8")
def matmul(y, a, b, batch, M, K, N, a_step, b_step, rows, columns, transpose_a, transpose_b, sum_batch, first, last):
    """y = op(a) @ op(b), where op turns the last two axes if asked to; y.sum(0) if sum_batch"""
    down, across = -(-M // rows), -(-N // columns)
    terms = K if batch > 0 else 0  # an empty sum is 0
    for t in range(first, last):
        i, j = t // across % down * rows, t % across * columns
        n = 0 if sum_batch else t // across // down
        c = view(y + np.uintp(4 * n * M * N), (M, N), f4)[i : i + rows, j : j + columns]
        for s in range(n, max(batch, 1) if sum_batch else n + 1):
            left = matrix(a, s * a_step, M, terms, transpose_a)
            right = matrix(b, s * b_step, terms, N, transpose_b)
            product(c, left[i : i + rows, :], right[:, j : j + columns], s > n)


# ---------------------------------------------------------------------- edges

@helper
def matrix(address, start, rows, columns, turned):
    """The matrix of this shape that stands `start` floats further on; `turned`, its transpose does."""
    shape = (columns, rows) if turned else (rows, columns)
    stored = view(address + np.uintp(4 * start), shape, f4)[:, :]
    return stored.T if turned else stored


@helper
def add_row(y, b):
    """y += b"""
    for j in range(len(y)):
        y[j] += b[j]


@helper
def sum_rows(y, x):
    """y = x.sum(0), row after row"""
    for j in range(len(y)):
        y[j] = 0.0
    for r in range(len(x)):
        add_row(y, line(x, r))


@helper
def normalize(y, x, mean, rstd):
    """y = (x - mean) * rstd"""
    for j in range(len(y)):
        y[j] = (x[j] - mean[j]) * rstd[j]


@helper
def scale_back(g, db, gamma, beta):
    """g = gamma * g + beta * db"""
    for j in range(len(g)):
        g[j] = fma(gamma, g[j], beta * db[j])


# ---------------------------------------------------------------------- the call that goes on with a gradient

@helper
def panel_of(dw, i, rows, panel, then, keep):
    """Where rows i..i+rows-1 of the gradient are computed: in dw, or in scratch memory if only `then` reads them."""
    here = dw[i : i + rows]
    if then == 0 or keep != 0.0:
        return here
    # The last block of `then` may reach beyond the panel: it finds zeros, as in the gaps between arrays.
    memory = scratch(panel, here.size + 16)
    memory[here.size :] = 0.0
    return memory[: here.size].reshape(here.shape)


@helper
def run_then(then, g, start, ahead, slots, keep):
    """Run the call `then`, if there is one, on the gradient's elements start..start+g.size-1, which are in g."""
    if then == 0:
        return
    # an fnn_call of csrc/fastnn.h: kernel, buf, dim, attr
    call = view(then, 4, np.uint64)
    buf = call[1]
    if keep == 0.0:
        there, here = view(buf, slots, np.uint64), scratch(0, 2 * slots).view(np.uint64)
        for s in range(slots):
            here[s] = there[s]
        # It looks for the gradient's element `start` so far behind the beginning.
        here[ahead] = g.ctypes.data - 4 * start
        buf = here.ctypes.data
    call_kernel(call[0], buf, call[2], call[3], start // 16, -(-(start + g.size) // 16))
