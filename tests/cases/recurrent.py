"""Cases of recurrent kernels: batches on both sides of tiles, units of vectors; masks, states, directions."""

import numpy as np

from fastnn.kernels.dense import ACTIVATIONS
from fastnn.kernels.recurrent import gru, gru_grad, lstm, lstm_grad, simple_rnn, simple_rnn_grad

from . import Case

#: B, T, H: one row, one step, one unit; two tiles; a product of more than 256 columns; none at all
SIZES = [(1, 1, 1), (2, 3, 5), (3, 4, 16), (7, 2, 17), (9, 3, 33), (20, 5, 10), (33, 2, 66), (17, 3, 90), (0, 3, 4)]
SMALL = (2, 3, 4)
#: which optional inputs there are, and the attributes
PLAIN, FULL = {}, {"states": True, "mask": True}
WAYS = [PLAIN, FULL, {"states": True}, {"mask": True, "backwards": 1}, {**FULL, "backwards": 1},
        {**FULL, "backwards": 2}, {"keep": True}, {**FULL, "keep": True, "backwards": 1}]


def lengths(rng, batch, length):
    """Steps that count from the start of each row, at least one; and one in the middle that does not."""
    mask = (np.arange(length) < rng.integers(1, length + 1, batch)[:, None]).astype(float)
    mask[:1, 1:2] = 0
    return mask


def inputs(gates, way, size, bias=False):
    """z, u, (b,) the states and the mask."""
    batch, length, units = size

    def make(rng):
        one = [rng.normal(size=(batch, length, gates * units)),
               rng.normal(size=(units, gates * units)) / np.sqrt(units)]
        if gates == 3:
            one.append(rng.normal(size=3 * units) if bias else None)
        for _ in range(2 if gates == 4 else 1):
            one.append(rng.normal(size=(batch, units)) if way.get("states") else None)
        one.append(lengths(rng, batch, length) if way.get("mask") else None)
        kept = rng.choice([0.0, 1.25], (batch, gates, units), p=[0.2, 0.8]) if way.get("keep") else None
        return *one, kept

    return make


def upstream(kernel, forward, way, size, attrs, all_of=True):
    """Inputs of a gradient kernel: gradients of the outputs, and what the forward kernel gives."""
    def make(rng):
        x = inputs(forward.gates, way, size)(rng)
        out = dict(zip(forward.outputs, forward.numpy(*x, **forward.complete({k: v for k, v in attrs.items()
                                                                              if k in forward.attrs}))))
        known = {**out, **dict(zip(forward.inputs, x))}
        for name, of in (("dy", "y"), ("dend", "end"), ("dend_c", "end_c")):
            if of in out:
                known[name] = rng.normal(size=out[of].shape)
        if not all_of:
            known["dy"] = None
        return tuple(known[n] for n in kernel.inputs)

    return make


def label(size, way, more=""):
    return ",".join(filter(None, ["x".join(map(str, size)), *(k if v is True else f"{k}{v}" for k, v in way.items()),
                                  more]))


CASES = []
for forward, backward, differ in ((simple_rnn, simple_rnn_grad, [{}]), (lstm, lstm_grad, [{}]),
                                  (gru, gru_grad, [{"reset_after": 1}, {"reset_after": 0}])):
    for more in differ:
        for n, size in enumerate(SIZES):
            ways = WAYS if size == (9, 3, 33) else [PLAIN, FULL] if n % 2 else [FULL]
            for way in ways:
                attrs = {**more, **{k: v for k, v in way.items() if k == "backwards"}}
                bias = bool(more.get("reset_after")) and way is not PLAIN
                named, terms = label(size, way, f"{more or ''}"), 8 * size[1] * (size[2] + 8)
                CASES.append(Case(forward, inputs(forward.gates, way, size, bias), attrs, named, terms=terms,
                                  small=False))
                CASES.append(Case(backward, upstream(backward, forward, way, size, attrs), attrs, named, terms=terms,
                                  small=False))
        for way in (PLAIN, FULL, {**FULL, "backwards": 1}, {"states": True, "backwards": 2}, {**FULL, "keep": True}):
            attrs = {**more, **{k: v for k, v in way.items() if k == "backwards"}}
            states = ("h0", "c0") if forward is lstm else ("h0",)
            bias = bool(more.get("reset_after")) and way is not PLAIN
            wrt = ("z", "u", *(("b",) if bias else ()), *(states if way.get("states") else ()))
            CASES.append(Case(forward, inputs(forward.gates, way, SMALL, bias), attrs,
                              label(SMALL, way, f"gradient{more or ''}"), terms=200, grad=wrt))
        size = (5, 3, 7)
        CASES.append(Case(forward, inputs(forward.gates, FULL, size), {**more, "sequence": 0, "save": 0},
                          label(size, {}, f"only the end{more or ''}"), terms=200, small=False))
        CASES.append(Case(backward, upstream(backward, forward, PLAIN, size, more, all_of=False),
                          {**more, "initial": 0}, label(size, {}, f"from the end{more or ''}"), terms=200, small=False))
CASES += [Case(simple_rnn, inputs(1, {"states": True}, SMALL), {"activation": a, "alpha": 0.7}, f"gradient,{a}",
               terms=200, grad=("z", "u", "h0"))
          for a in ACTIVATIONS if a not in ("tanh", "hard_shrink", "soft_shrink", "exponential")]
