"""Attention by blocks of scores, as in the Cython form; blocks that a causal mask cuts stay whole."""

from __future__ import annotations

import numpy as np

from ..attention import KEYS, ROWS
from ..dense import SCRATCH
from ..dropout import DROPOUT_GROUP
from .dropout import dropout_group, philox
from .embedding import NOTHING, copy_row
from .form import form, helper
from .gemm import NEW, product
from .math import exp, log
from .memory import local, scratch
from .rows import LEAST, row_dot, row_max, row_softmax, row_sum

f4, i8, u4, u8 = np.float32, np.int64, np.uint32, np.uint64
BEHIND = SCRATCH // 4  # floats of scratch memory that `product` uses
BLOCK = ROWS * KEYS
INFINITY = f4(np.inf)


# ---------------------------------------------------------------------- a block of scores

@helper
def part(mask, b, h, i, rows, S, MB, MH, MT):
    """The mask's rows for these queries: one row if there is one for all, none without a mask."""
    n = 0 if mask.size == 0 else rows if MT > 1 else 1
    start = (((b if MB > 1 else 0) * MH + (h if MH > 1 else 0)) * MT + (i if MT > 1 else 0)) * S
    return mask[start : start + n * S].reshape(n, S)


@helper
def zero(y):
    """y = 0"""
    for c in range(len(y)):
        y[c] = 0.0


@helper
def scaled(s, mask, n, scale):
    """s *= scale; -inf from element n on and where the mask is 0"""
    for c in range(len(s)):
        s[c] = s[c] * scale
    for c in range(len(mask)):
        s[c] = s[c] if mask[c] != 0.0 else LEAST
    for c in range(n, len(s)):
        s[c] = LEAST


@helper
def exponentials(s, base):
    """s = exp(s - base)"""
    for c in range(len(s)):
        s[c] = exp(s[c] - base)


@helper
def scale_row(y, factor):
    """y *= factor"""
    for c in range(len(y)):
        y[c] *= factor


@helper
def softmax_rows(s, mask, j, m, l, y, limit, scale, start):
    """One block of scores of the online softmax: weights by the rows' new maxima m, sums l and results y brought to
    them."""
    for r in range(len(s)):
        n = min(max(limit + r, 0), s.shape[1])
        row = mask[r if len(mask) > 1 else 0, j : j + s.shape[1]] if len(mask) else s[r, :0]
        scaled(s[r], row, n, scale)
        before = LEAST if start else m[r]
        top = max(before, row_max(s[r]))
        base = f4(0) if top == LEAST else top
        exponentials(s[r], base)
        total = row_sum(s[r])
        share = f4(1) if top == before else exp(before - base)
        m[r] = top
        if start:
            l[r] = total
        else:
            l[r] = total + l[r] * share
            scale_row(y[r], share)


@helper
def weights_rows(s, mask, j, log_sum, limit, scale):
    """s = exp(scale * s - log_sum), 0 where nothing is seen"""
    for r in range(len(s)):
        n = min(max(limit + r, 0), s.shape[1])
        row = mask[r if len(mask) > 1 else 0, j : j + s.shape[1]] if len(mask) else s[r, :0]
        scaled(s[r], row, n, scale)
        exponentials(s[r], log_sum[r])


@helper
def slopes_row(dp, p, delta, scale):
    """dp = scale * p * (dp - delta)"""
    for c in range(len(dp)):
        dp[c] = p[c] * (dp[c] - delta) * scale


@helper
def drop_columns(to, x, group, groups, step, key0, key1, rate):
    """to = dropout(x), each column, which belongs to a key, with a group of random numbers of its own"""
    a, b = local(8, u8), local(8, u8)
    before, after = local(DROPOUT_GROUP, f4), local(DROPOUT_GROUP, f4)
    limit, share = u4(i8(np.rint(rate * 65536.0))), f4(1.0 / (1.0 - rate))
    for c in range(x.shape[1]):
        philox(a[:8], b[:8], 8 * (group + c * groups), u8(i8(step)), u8(i8(key0)), u8(i8(key1)))
        for r in range(len(x)):
            before[r] = x[r, c]
        dropout_group(after, before, a.view(u4), b.view(u4), limit, share)
        for r in range(len(x)):
            to[r, c] = after[r]


# ---------------------------------------------------------------------- the kernels

@form(y="f4 B T H E", log_sum="f4 B H T", q="f4 B T H D", k="f4 B S G D", v="f4 B S G E", mask="f4 MB*MH*MT*S",
      step="f8", rate="f8", key0="f8", key1="f8")
def attention(y, log_sum, q, k, v, mask, step, T, S, H, G, MB, MH, MT, scale, causal, offset, rate, key0, key1, first,
              last):
    """y = softmax(scale * q @ k.T + mask) @ v"""
    down = -(-T // ROWS)
    block, m, l = scratch(BEHIND, (ROWS, KEYS)), scratch(BEHIND + BLOCK, ROWS), scratch(BEHIND + BLOCK + ROWS, ROWS)
    for t in range(first, last):
        b, h, i = t // down // H, t // down % H, t % down * ROWS
        g, rows = h // (H // G), min(ROWS, T - i)
        yi, qi, some = y[b, i : i + rows, h, :], q[b, i : i + rows, h, :], part(mask, b, h, i, rows, S, MB, MH, MT)
        for j in range(0, S, KEYS):
            columns = min(KEYS, S - j)
            limit = i + i8(offset) + 1 - j if causal != 0.0 else S
            if limit + rows - 1 <= 0:
                break
            s = block[:rows, :columns]
            product(s, qi, k[b, j : j + columns, g, :].T, NEW)
            softmax_rows(s, some, j, m, l, yi, limit, scale, j == 0)
            if rate != 0.0:
                drop_columns(s, s, ((b * H + h) * S + j) * down + i // ROWS, down, step, key0, key1, rate)
            product(yi, s, v[b, j : j + columns, g, :], j > 0)
        for r in range(rows):
            none = l[r] == 0.0
            scale_row(yi[r], f4(0) if none else f4(1) / l[r])
            log_sum[b, h, i + r] = INFINITY if none else m[r] + log(l[r])


@form(dq="f4 B T H D", dk="f4 B S G D", dv="f4 B S G E", dy="f4 B T H E", q="f4 B T H D", k="f4 B S G D",
      v="f4 B S G E", y="f4 B T H E", log_sum="f4 B H T", mask="f4 MB*MH*MT*S", step="f8", rate="f8", key0="f8",
      key1="f8")
def attention_grad(dq, dk, dv, dy, q, k, v, y, log_sum, mask, step, T, S, H, G, MB, MH, MT, scale, causal, offset,
                   rate, key0, key1, first, last):
    """dv = p.T @ dy; dz = p * (dy @ v.T - delta); dq = scale * dz @ k; dk = scale * dz.T @ q"""
    down, shared = -(-T // ROWS), H // G
    block, other = scratch(BEHIND, (ROWS, KEYS)), scratch(BEHIND + BLOCK, (ROWS, KEYS))
    third = scratch(BEHIND + 2 * BLOCK, (ROWS, KEYS)) if rate != 0.0 else block
    delta = scratch(BEHIND + 3 * BLOCK, ROWS)
    for t in range(first, last):
        b, g = t // G, t % G
        for j in range(0, S, KEYS):
            columns = min(KEYS, S - j)
            kj, vj = k[b, j : j + columns, g, :], v[b, j : j + columns, g, :]
            for c in range(columns):
                zero(dk[b, j + c, g])
                zero(dv[b, j + c, g])
            new = j == 0
            began = False
            for h in range(g * shared, (g + 1) * shared):
                for i in range(0, T, ROWS):
                    rows = min(ROWS, T - i)
                    limit = i + i8(offset) + 1 - j if causal != 0.0 else S
                    if limit + rows - 1 <= 0:
                        continue
                    s, dp, dropped = block[:rows, :columns], other[:rows, :columns], third[:rows, :columns]
                    qi, dyi = q[b, i : i + rows, h, :], dy[b, i : i + rows, h, :]
                    group = ((b * H + h) * S + j) * down + i // ROWS
                    product(s, qi, kj.T, NEW)
                    some = part(mask, b, h, i, rows, S, MB, MH, MT)
                    weights_rows(s, some, j, log_sum[b, h, i : i + rows], limit, scale)
                    product(dp, dyi, vj.T, NEW)
                    if rate != 0.0:
                        drop_columns(dp, dp, group, down, step, key0, key1, rate)
                        drop_columns(dropped, s, group, down, step, key0, key1, rate)
                    for r in range(rows):
                        delta[r] = row_dot(dyi[r], y[b, i + r, h])
                        slopes_row(dp[r], s[r], delta[r], scale)
                    product(dq[b, i : i + rows, h, :], dp, kj, not new)
                    product(dk[b, j : j + columns, g, :], dp.T, qi, began)
                    product(dv[b, j : j + columns, g, :], dropped.T, dyi, began)
                    began = True


@helper
def add_scaled(y, x, factor):
    """y += factor * x"""
    for c in range(len(y)):
        y[c] += factor * x[c]


@form(y="f4 B*G H//G E", keys="f4 B*G S D", values="f4 B*G S E", q="f4 B*G H//G D", k="f4 B*G D", v="f4 B*G E",
      at="i4 1")
def attention_step(y, keys, values, q, k, v, at, S, scale, first, last):
    """keys[at], values[at] = k, v; y = softmax(scale * q @ keys[:at + 1].T) @ values[:at + 1]"""
    n = i8(at[0]) + 1
    s = scratch(0, S)
    for t in range(first, last):
        if n < 1 or n > S:
            for h in range(y.shape[1]):
                for c in range(y.shape[2]):
                    y[t, h, c] = NOTHING
            continue
        copy_row(keys[t, n - 1], k[t])
        copy_row(values[t, n - 1], v[t])
        for h in range(y.shape[1]):
            for c in range(n):
                s[c] = scale * row_dot(q[t, h], keys[t, c])
            row_softmax(s[:n], s[:n])
            zero(y[t, h])
            for c in range(n):
                add_scaled(y[t, h], values[t, c], s[c])
