"""Recurrent layers: one kernel for a whole sequence, forward and backward through time.

What the inputs of all steps give to the gates, ``z[b,t] = x[b,t] @ w + b``, is one product beforehand (`dense`). The
kernel here goes through the steps: ``h @ u`` of the state before, added to z, then the cell's own formulas. Rows of the
batch know nothing of each other, so a tile is a block of rows for all steps, and no thread waits for another between
them. Backward is the same from the last step to the first; it gives dz, from which the products of the dense family
make the gradients of w, u, b and x over all steps at once.

What they share:

- z[B,T,G*H] for G gates of H units, batch first as in Keras; u[H,G*H]; h0[B,H], the state before the first step, absent
  for zeros; mask[B,T], 0 where a step does not count: it leaves the state as it is.
- keep[B,G,H], dropout of the states: gate g multiplies ``h * keep[:, g]``, at all steps the same; absent where nothing
  is dropped.
- y[B,T,H], the states after each step, and `end`[B,H], the one after the last step.
- before[B,T,H], the state before each step: what u multiplied.
- `backwards`: 0 from the first step to the last; 1 from the last to the first, and y in that order too, as Keras has
  it; 2 the same with y in the order of the steps. Everything but y is always in the order of the steps.
- `sequence`: 0 if y is not wanted; `save`: 0 if nobody will ask for a gradient. What is not wanted has no elements.
"""

from __future__ import annotations

import numpy as np

from .dense import ACTIVATIONS, SCRATCH, activate, dense_grad_weight, same_dtype
from .kinds import sigmoid, through
from .spec import Array, Call, Kernel, blocks, like, register
from .through_time import back_through_u, steps, there, times_u, zeros

ROWS = 16  #: rows of a tile: enough for a product to run near its best, few enough for four tiles of a batch of 64


def rows_of(batch: int) -> int:
    """Rows of a tile: about `ROWS`, in an even number of tiles that are about equal."""
    tiles = blocks(batch, ROWS)
    tiles = 2 if tiles == 1 and batch >= ROWS // 2 else tiles + tiles % 2 if tiles > 1 else 1
    return max(1, blocks(batch, tiles))


class Recurrent(Kernel):
    """What forward and backward share: B rows, T steps, H units, tiles of rows."""

    dims = ("B", "T", "H", "rows", "own")
    gates = 1

    def extent(self, call: Call) -> tuple[int, int, int]:
        """B, T, H."""
        z, u = self.sequence_of(call), call["u"]
        return z.shape[0], z.shape[1], u.shape[0]

    def sequence_of(self, call: Call):
        return call["z"]

    def sizes(self, call):
        batch, length, units = self.extent(call)
        return batch, length, units, rows_of(batch), SCRATCH // 4

    def tiles(self, call):
        batch = self.extent(call)[0]
        return blocks(batch, rows_of(batch))

    def scratch(self, call):
        batch, _, units = self.extent(call)
        return SCRATCH + 4 * rows_of(batch) * units * (2 * self.gates + 4)

    def flops(self, call):
        batch, length, units = self.extent(call)
        return batch * length * units * (2.0 * self.gates * units + 12 * self.gates)

    def terms(self, call):
        """A step's sums, and those of every step that a value went through."""
        _, length, units = self.extent(call)
        return max(1, length) * (self.gates * units + 16)

    def check(self, z: Array, u: Array, mask: Array | None, keep: Array | None = None, **states: Array | None) -> None:
        """Refuse shapes that don't fit together."""
        g = self.gates
        if z.ndim != 3 or u.ndim != 2 or u.shape[1] != g * u.shape[0] or z.shape[2] != u.shape[1]:
            h = "H" if g == 1 else f"{g}H"
            raise ValueError(f"{self.name} needs z[B,T,{h}] and u[H,{h}], not z{list(z.shape)} and u{list(u.shape)}.")
        batch, length, units = z.shape[0], z.shape[1], u.shape[0]
        for name, state in states.items():
            if state is not None and state.shape != (batch, units):
                raise ValueError(f"{self.name} with z{list(z.shape)} needs {name}[{batch},{units}], not "
                                 f"{name}{list(state.shape)}.")
        if mask is not None and mask.shape != (batch, length):
            raise ValueError(f"{self.name} with z{list(z.shape)} needs mask[{batch},{length}], not "
                             f"mask{list(mask.shape)}.")
        if keep is not None and keep.shape != (batch, g, units):
            raise ValueError(f"{self.name} with z{list(z.shape)} needs keep[{batch},{g},{units}], not "
                             f"keep{list(keep.shape)}.")
        same_dtype(self.name, z, u, mask, keep, *states.values())


class Forward(Recurrent):
    """Outputs y, end and what is saved."""

    attrs = {"backwards": 0, "sequence": 1, "save": 1}
    saved: tuple[str, ...] = ()  #: outputs that only the gradient reads

    def shapes(self, z: Array, u: Array, sequence: int) -> tuple[Array, Array]:
        """y and end."""
        batch, length, units = z.shape[0], z.shape[1], u.shape[0]
        return like(z, (batch, length, units) if sequence else (0,)), like(z, (batch, units))


class Backward(Recurrent):
    """Outputs dz and the gradients of the initial states, which have no elements if `initial` is 0."""

    attrs = {"backwards": 0, "initial": 1}

    def sequence_of(self, call):
        return call["before"]

    def scratch(self, call):
        return super().scratch(call) + 4 * self.gates * self.extent(call)[2] ** 2  # u, turned

    def gradient_of_y(self, dy, dend, batch, units, dtype):
        """(gradient that arrives at the state after the last step, that of y at one place)."""
        dh = np.zeros((batch, units), dtype) if dend is None else dend
        return dh, lambda place: 0 if dy is None else dy[:, place]


def flat(x, units: int):
    """(B, T, units) as (B T, units)."""
    return x.reshape(x.size // units if units else 0, units)


def states(call: Call, *names: str) -> list[str]:
    """Those of these initial states whose gradient somebody wants."""
    need = call.extra.get("need", call.kernel.inputs)
    return [n for n in names if n in need and call[n] is not None]


def asked(call: Call, *names: str) -> bool:
    """Whether somebody wants the gradient of one of these inputs."""
    need = call.extra.get("need", call.kernel.inputs)
    return any(n in need for n in names)


def weight_gradients(call: Call, before, d, gates: int):
    """Gradients of the columns of u that the first `gates` gates have, and of their bias, from the states before and
    the gates' gradients d of all steps."""
    from .elementwise import multiply
    from .reduce import concat, slice_axis

    units, keep = call["u"].shape[0], call["keep"]
    d = flat(d, d.shape[-1])
    if keep is None:
        return dense_grad_weight(flat(before, units), d, None)
    made = []
    for g in range(gates):
        seen = multiply(before, slice_axis(keep, axis=1, start=g, stop=g + 1))
        made.append(dense_grad_weight(flat(seen, units), slice_axis(d, axis=1, start=g * units, stop=(g + 1) * units),
                                      None))
    dw, db = made[0]
    for w, b in made[1:]:
        dw, db = concat(dw, w, axis=1), concat(db, b, axis=0)
    return dw, db


# ---------------------------------------------------------------------- the simple cell


@register
class simple_rnn(Forward):
    """The simple recurrent cell over a sequence: ``h = activation(z + h @ u)``.

    Slots: ``y[B,T,H], end[B,H], before[B,T,H] <- z[B,T,H], u[H,H], h0[B,H], mask[B,T], keep[B,1,H]``, the last three
    optional. Elman (1990), Finding structure in time. See the module's text for `backwards`, `sequence` and `save`.

    Parameters
    ----------
    activation, alpha : as `dense` has them, those whose derivative is told from the output.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.recurrent import simple_rnn
    >>> y, end, _ = simple_rnn(np.array([[[1.0], [1.0]]]), np.array([[0.5]]), activation="linear")
    >>> y.tolist(), end.tolist()
    ([[[1.0], [1.5]]], [[1.5]])
    """

    name = "simple_rnn"
    outputs = ("y", "end", "before")
    inputs = ("z", "u", "h0", "mask", "keep")
    optional = ("h0", "mask", "keep")
    attrs = {**Forward.attrs, "activation": "tanh", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}
    saved = ("before",)

    def infer(self, z, u, h0=None, mask=None, keep=None, *, backwards=0, sequence=1, save=1, activation="tanh",
              alpha=1.0):
        self.check(z, u, mask, keep, h0=h0)
        return *self.shapes(z, u, sequence), like(z, z.shape if save else (0,))

    def numpy(self, z, u, h0=None, mask=None, keep=None, *, backwards=0, sequence=1, save=1, activation="tanh",
              alpha=1.0):
        h, y, before = zeros(len(z), u, h0), np.zeros_like(z), np.zeros_like(z)
        for place, t in steps(z.shape[1], backwards):
            before[:, t] = h
            h = np.where(there(mask, t), activate(z[:, t] + times_u(h, u, keep), activation, alpha), h)
            y[:, place] = h
        return y if sequence else y[:0, 0, 0], np.array(h), before if save else before[:0, 0, 0]

    def gradient(self, call, y=None, end=None, **saved):
        if y is None and end is None:
            return {}
        a = call.attrs
        want = states(call, "h0")
        dz, dh0 = simple_rnn_grad(y, end, call["before"], call["end"], call["u"], call["mask"], call["keep"],
                                  backwards=a["backwards"], initial=int(bool(want)), activation=a["activation"],
                                  alpha=a["alpha"])
        grads = {"z": dz, **({"h0": dh0} if want else {})}
        if asked(call, "u"):
            grads["u"] = weight_gradients(call, call["before"], dz, 1)[0]
        return grads


@register
class simple_rnn_grad(Backward):
    """Back through time for `simple_rnn`: with ``dh`` of the step behind it, ``dz = (dy + dh) * activation'``, then
    ``dh = dz @ u.T``.

    Slots: ``dz[B,T,H], dh0[B,H] <- dy[B,T,H], dend[B,H], before[B,T,H], end[B,H], u[H,H], mask[B,T],
    keep[B,1,H]``; dy, dend, mask and keep optional.
    """

    name = "simple_rnn_grad"
    outputs = ("dz", "dh0")
    inputs = ("dy", "dend", "before", "end", "u", "mask", "keep")
    optional = ("dy", "dend", "mask", "keep")
    attrs = {**Backward.attrs, "activation": "tanh", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}

    def infer(self, dy, dend, before, end, u, mask=None, keep=None, *, backwards=0, initial=1, activation="tanh",
              alpha=1.0):
        self.check(before, u, mask, keep, dend=dend, end=end)
        return before, like(end, end.shape if initial else (0,))

    def numpy(self, dy, dend, before, end, u, mask=None, keep=None, *, backwards=0, initial=1, activation="tanh",
              alpha=1.0):
        dz = np.zeros_like(before)
        dh, add = self.gradient_of_y(dy, dend, len(before), len(u), u.dtype)
        after = end
        for place, t in steps(before.shape[1], backwards)[::-1]:
            dh = dh + add(place)
            dz[:, t] = np.where(there(mask, t), through(activation, dh, None, after, alpha), 0)
            dh = back_through_u(dz[:, t], u, keep) + np.where(there(mask, t), 0, dh)
            after = before[:, t]
        return dz, np.array(dh, u.dtype) if initial else dh[:0, 0]


# ---------------------------------------------------------------------- LSTM


@register
class lstm(Forward):
    """Long short-term memory over a sequence. With the gates i, f, g, o side by side in z and u, in Keras's order::

        i, f, o = sigmoid(z + h @ u);  g = tanh(z + h @ u)
        c = f * c + i * g
        h = o * tanh(c)

    Slots: ``y[B,T,H], end[B,H], end_c[B,H], before[B,T,H], gates[B,T,4H], carry[B,T,H] <- z[B,T,4H], u[H,4H],
    h0[B,H], c0[B,H], mask[B,T], keep[B,4,H]``, the last four optional; `gates` are those after their functions (0 in
    steps that don't count), `carry` is c after each step. Hochreiter & Schmidhuber (1997), with the forget gate of Gers
    et al. (2000). See the module's text for `backwards`, `sequence` and `save`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.recurrent import lstm
    >>> z = np.array([[[100.0, -100.0, 0.5, 100.0]]])  # i = o = 1, f = 0: h = tanh(tanh(0.5))
    >>> y, end, end_c, *_ = lstm(z, np.zeros((1, 4)))
    >>> y.round(4).tolist(), end_c.round(4).tolist()
    ([[[0.4318]]], [[0.4621]])
    """

    name = "lstm"
    outputs = ("y", "end", "end_c", "before", "gates", "carry")
    inputs = ("z", "u", "h0", "c0", "mask", "keep")
    optional = ("h0", "c0", "mask", "keep")
    saved = ("before", "gates", "carry")
    gates = 4

    def infer(self, z, u, h0=None, c0=None, mask=None, keep=None, *, backwards=0, sequence=1, save=1):
        self.check(z, u, mask, keep, h0=h0, c0=c0)
        y, end = self.shapes(z, u, sequence)
        state = like(z, (*z.shape[:2], len_of(u)) if save else (0,))
        return y, end, end, state, like(z, z.shape if save else (0,)), state

    def numpy(self, z, u, h0=None, c0=None, mask=None, keep=None, *, backwards=0, sequence=1, save=1):
        (batch, length, _), units = z.shape, len(u)
        h, c = zeros(batch, u, h0), zeros(batch, u, c0)
        y, before, carry = (np.zeros((batch, length, units), z.dtype) for _ in range(3))
        gates = np.zeros_like(z)
        for place, t in steps(length, backwards):
            before[:, t] = h
            i, f, g, o = np.split(z[:, t] + times_u(h, u, keep), 4, axis=1)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            gates[:, t] = np.where(there(mask, t), np.concatenate([i, f, g, o], 1), 0)
            c = np.where(there(mask, t), f * c + i * g, c)
            h = np.where(there(mask, t), o * np.tanh(c), h)
            y[:, place], carry[:, t] = h, c
        kept = (before, gates, carry) if save else (z[:0, 0, 0],) * 3
        return y if sequence else y[:0, 0, 0], np.array(h), np.array(c), *kept

    def gradient(self, call, y=None, end=None, end_c=None, **saved):
        if y is None and end is None and end_c is None:
            return {}
        want = states(call, "h0", "c0")
        dz, dh0, dc0 = lstm_grad(y, end, end_c, call["gates"], call["carry"], call["c0"], call["u"],
                                 call["mask"], call["keep"], backwards=call.attr("backwards"),
                                 initial=int(bool(want)))
        grads = {"z": dz, **{n: g for n, g in (("h0", dh0), ("c0", dc0)) if n in want}}
        if asked(call, "u"):
            grads["u"] = weight_gradients(call, call["before"], dz, 4)[0]
        return grads


@register
class lstm_grad(Backward):
    """Back through time for `lstm`. With dh and dc of the step behind it, and dy added to dh::

        dc  = dc + dh * o * (1 - tanh(c)**2)
        dz  = [dc * g * i (1 - i),  dc * c_before * f (1 - f),  dc * i * (1 - g**2),  dh * tanh(c) * o (1 - o)]
        dh  = dz @ u.T;  dc = dc * f

    Slots: ``dz[B,T,4H], dh0[B,H], dc0[B,H] <- dy[B,T,H], dend[B,H], dend_c[B,H], gates[B,T,4H], carry[B,T,H],
    c0[B,H], u[H,4H], mask[B,T], keep[B,4,H]``; dy, dend, dend_c, c0, mask and keep optional.
    """

    name = "lstm_grad"
    outputs = ("dz", "dh0", "dc0")
    inputs = ("dy", "dend", "dend_c", "gates", "carry", "c0", "u", "mask", "keep")
    optional = ("dy", "dend", "dend_c", "c0", "mask", "keep")
    gates = 4

    def sequence_of(self, call):
        return call["gates"]

    def infer(self, dy, dend, dend_c, gates, carry, c0, u, mask=None, keep=None, *, backwards=0, initial=1):
        self.check(gates, u, mask, keep, dend=dend, dend_c=dend_c, c0=c0)
        state = like(gates, (len_of(gates), len_of(u)) if initial else (0,))
        return gates, state, state

    def numpy(self, dy, dend, dend_c, gates, carry, c0, u, mask=None, keep=None, *, backwards=0, initial=1):
        batch, length, units = carry.shape
        dz = np.zeros_like(gates)
        dh, add = self.gradient_of_y(dy, dend, batch, units, u.dtype)
        dc = zeros(batch, u, dend_c)
        order = steps(length, backwards)
        for s in range(length)[::-1]:
            place, t = order[s]
            c, c_before = carry[:, t], carry[:, order[s - 1][1]] if s else zeros(batch, u, c0)
            i, f, g, o = np.split(gates[:, t], 4, axis=1)
            dh, r = dh + add(place), np.tanh(c)
            counts = there(mask, t)
            d = dc + dh * o * (1 - r * r)
            parts = [d * g * i * (1 - i), d * c_before * f * (1 - f), d * i * (1 - g * g), dh * r * o * (1 - o)]
            dz[:, t] = np.where(counts, np.concatenate(parts, 1), 0)
            dc = np.where(counts, d * f, dc)
            dh = back_through_u(dz[:, t], u, keep) + np.where(counts, 0, dh)
        return (dz, np.array(dh, u.dtype), np.array(dc)) if initial else (dz, dh[:0, 0], dc[:0, 0])


def len_of(x: Array) -> int:
    return x.shape[0]


# ---------------------------------------------------------------------- GRU


@register
class gru(Forward):
    """Gated recurrent units over a sequence. With the gates z, r and the candidate side by side, in Keras's order::

        z, r = sigmoid(x + h @ u + b)                    (x is the slot z: what the input gives)
        n = tanh(x + r * (h @ u + b))                    reset_after = 1, as PyTorch and cuDNN have it
        n = tanh(x + (r * h) @ u)                        reset_after = 0, as the paper has it
        h = z * h + (1 - z) * n

    Slots: ``y[B,T,H], end[B,H], before[B,T,H], gates[B,T,3H], inner[B,T,H] <- z[B,T,3H], u[H,3H], b[3H], h0[B,H],
    mask[B,T], keep[B,3,H]``, the last four optional; `gates` are z, r, n (0 in steps that don't count) and `inner` is
    h @ u + b of the candidate, or r * h. Cho et al. (2014), arXiv:1406.1078. See the module's text for `backwards`,
    `sequence` and `save`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.recurrent import gru
    >>> y, end, *_ = gru(np.array([[[-100.0, 0.0, 0.5]]]), np.zeros((1, 3)))  # z = 0: h = tanh(0.5)
    >>> end.round(4).tolist()
    [[0.4621]]
    """

    name = "gru"
    outputs = ("y", "end", "before", "gates", "inner")
    inputs = ("z", "u", "b", "h0", "mask", "keep")
    optional = ("b", "h0", "mask", "keep")
    attrs = {**Forward.attrs, "reset_after": 1}
    saved = ("before", "gates", "inner")
    gates = 3

    def infer(self, z, u, b=None, h0=None, mask=None, keep=None, *, backwards=0, sequence=1, save=1, reset_after=1):
        self.check(z, u, mask, keep, h0=h0)
        if b is not None and (b.shape != u.shape[1:] or not reset_after):
            raise ValueError(f"gru with u{list(u.shape)} needs b[{u.shape[1]}], and only if reset_after is 1; got "
                             f"b{list(b.shape)} and reset_after {reset_after}.")
        same_dtype("gru", z, b)
        state = like(z, (*z.shape[:2], len_of(u)) if save else (0,))
        return *self.shapes(z, u, sequence), state, like(z, z.shape if save else (0,)), state

    def numpy(self, z, u, b=None, h0=None, mask=None, keep=None, *, backwards=0, sequence=1, save=1, reset_after=1):
        (batch, length, _), units = z.shape, len(u)
        h = zeros(batch, u, h0)
        y, before, inner = (np.zeros((batch, length, units), z.dtype) for _ in range(3))
        gates = np.zeros_like(z)
        for place, t in steps(length, backwards):
            before[:, t] = h
            xz, xr, xn = np.split(z[:, t], 3, axis=1)
            p = times_u(h, u, keep) if b is None else times_u(h, u, keep) + b
            update, r = sigmoid(xz + p[:, :units]), sigmoid(xr + p[:, units : 2 * units])
            within = p[:, 2 * units :] if reset_after else r * h if keep is None else r * h * keep[:, 2]
            n = np.tanh(xn + (r * within if reset_after else within @ u[:, 2 * units :]))
            counts = there(mask, t)
            gates[:, t] = np.where(counts, np.concatenate([update, r, n], 1), 0)
            inner[:, t] = np.where(counts, within, 0)
            h = np.where(counts, update * h + (1 - update) * n, h)
            y[:, place] = h
        kept = (before, gates, inner) if save else (z[:0, 0, 0],) * 3
        return y if sequence else y[:0, 0, 0], np.array(h), *kept

    def gradient(self, call, y=None, end=None, **saved):
        if y is None and end is None:
            return {}
        units, after = call["u"].shape[0], call.attr("reset_after")
        want = states(call, "h0")
        dz, di, dh0 = gru_grad(y, end, call["before"], call["gates"], call["inner"], call["u"], call["mask"],
                               call["keep"], backwards=call.attr("backwards"), initial=int(bool(want)),
                               reset_after=after)
        grads = {"z": dz, **({"h0": dh0} if want else {})}
        if asked(call, "u", "b"):
            if after:
                grads["u"], grads["b"] = weight_gradients(call, call["before"], di, 3)
            else:
                from .reduce import concat, slice_axis

                d = flat(dz, 3 * units)
                gated, _ = weight_gradients(call, call["before"], slice_axis(d, axis=1, start=0, stop=2 * units), 2)
                new = dense_grad_weight(flat(call["inner"], units),
                                        slice_axis(d, axis=1, start=2 * units, stop=3 * units), None)[0]
                grads["u"] = concat(gated, new, axis=1)
        return grads


@register
class gru_grad(Backward):
    """Back through time for `gru`. With dh of the step behind it, and dy added to it::

        dz = dh * (h_before - n) * z (1 - z);  dn = dh * (1 - z) * (1 - n**2)
        reset_after = 1:  dr = dn * inner * r (1 - r)
                          dh = dh * z + [dz, dr, dn * r] @ u.T
        reset_after = 0:  q = dn @ u.T of the candidate;  dr = q * h_before * r (1 - r)
                          dh = dh * z + q * r + [dz, dr] @ u.T of the gates
    (with `keep`, each gate's part of a product with u.T times its own)

    Slots: ``dz[B,T,3H], di[B,T,3H], dh0[B,H] <- dy[B,T,H], dend[B,H], before[B,T,H], gates[B,T,3H], inner[B,T,H],
    u[H,3H], mask[B,T], keep[B,3,H]``; dy, dend, mask and keep optional. dz holds [dz, dr, dn]; di,
    if reset_after is 1, [dz, dr, dn * r], the gradient of h @ u + b.
    """

    name = "gru_grad"
    outputs = ("dz", "di", "dh0")
    inputs = ("dy", "dend", "before", "gates", "inner", "u", "mask", "keep")
    optional = ("dy", "dend", "mask", "keep")
    attrs = {**Backward.attrs, "reset_after": 1}
    gates = 3

    def infer(self, dy, dend, before, gates, inner, u, mask=None, keep=None, *, backwards=0, initial=1, reset_after=1):
        self.check(gates, u, mask, keep, dend=dend)
        return (gates, like(gates, gates.shape if reset_after else (0,)),
                like(gates, (len_of(gates), len_of(u)) if initial else (0,)))

    def numpy(self, dy, dend, before, gates, inner, u, mask=None, keep=None, *, backwards=0, initial=1, reset_after=1):
        batch, length, units = before.shape
        dz, di = np.zeros_like(gates), np.zeros_like(gates)
        dh, add = self.gradient_of_y(dy, dend, batch, units, u.dtype)
        for place, t in steps(length, backwards)[::-1]:
            z, r, n = np.split(gates[:, t], 3, axis=1)
            h, dh, counts = before[:, t], dh + add(place), there(mask, t)
            du, dn = dh * (h - n) * z * (1 - z), dh * (1 - z) * (1 - n * n)
            if reset_after:
                dr, q = dn * inner[:, t] * r * (1 - r), 0
                di[:, t] = np.where(counts, np.concatenate([du, dr, dn * r], 1), 0)
            else:
                q = dn @ u[:, 2 * units :].T * (1 if keep is None else keep[:, 2])
                dr = q * h * r * (1 - r)
            dz[:, t] = np.where(counts, np.concatenate([du, dr, dn], 1), 0)
            d, columns = (di[:, t], u) if reset_after else (dz[:, t, : 2 * units], u[:, : 2 * units])
            through_u = back_through_u(d, columns, keep)
            dh = through_u + np.where(counts, dh * z + q * r, dh)
        return dz, di if reset_after else dz[:0, 0, 0], np.array(dh, u.dtype) if initial else dh[:0, 0]
