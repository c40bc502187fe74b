"""Rewrites of the call list that save passes over memory; all but three change no bit of any result.

`prune` drops calls whose results nobody reads. `join_updates` hands the optimizer's update of a weight
to the call that makes the weight's gradient: each panel of the gradient is used while it is in cache.
`join_activations` hands an activation to the call before it, `join_slopes` the derivative of one to the
call that makes the gradient before it. `save_nothing` lets calls leave out what only a gradient would have read.
`join_sums` lets the call before an addition add. `skip_detours` saves the first layers of a network a product,
`fold_norms` puts batch normalisation into the weights before it where nothing is trained, and `split_tall` cuts that of
many rows into two calls that threads can share.
"""

from __future__ import annotations

from dataclasses import replace

from ..kernels.spec import BLOCK, Array, Call
from .graph import Graph, Memory, Tensor

FOLDED = ("conv", "depthwise", "dense")  #: kernels of x, w and b, with the features last in w and b
DETOUR_ROWS = 1024  #: `skip_detours` keeps a stripe of so many normalised rows in L2


def prune(calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """The calls that lead to a wanted tensor or write over memory that outlives the program."""
    live: dict[int, set[tuple[int, int]]] = {}  # memory -> parts of it that a kept call or the user reads

    def read(t: Tensor) -> None:
        live.setdefault(id(t.memory), set()).add(_span(t))

    def is_read(t: Tensor) -> bool:
        start, stop = _span(t)
        return any(s < stop and start < e for s, e in live.get(id(t.memory), ()))

    for t in wanted:
        read(t)
    kept = []
    for call in reversed(calls):
        lasting = any(t.memory.array is not None for t in call.outputs)
        if lasting or any(map(is_read, call.outputs)):
            kept.append(call)
            for t in call.inputs:
                if t is not None:
                    read(t)
    return kept[::-1]


def join_updates(graph: Graph, calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """Split flat updates so that each weight gradient that can take its update along does so.

    The gradient itself is not stored where nobody but the update reads it.
    """
    producers = [c for c in calls if "then" in c.kernel.inputs]
    out = list(calls)
    for update in [c for c in calls if _is_update(c)]:
        g = update["g"]
        readers = [t for c in calls if c is not update for t in c.inputs if t is not None and overlap(t, g)]
        joined: list[Call] = []
        for p in sorted(producers, key=lambda p: p.outputs[0].offset):
            dw = p.outputs[0]
            if (p not in out or not _inside(dw, g) or any(overlap(t, dw) for t in readers)
                    or not _may_wait(p, update, out)):
                continue
            then = _part(graph, update, *_elements(dw, g))
            if _tilewise(p, then) and not any(_meet(p, q.then) or _meet(q, then) for q in joined):
                keep = any(overlap(t, dw) for t in wanted)
                attrs = {"ahead": len(then.outputs), "slots": len(then.outputs) + len(then.inputs), "keep": int(keep)}
                out[out.index(p)] = taken = replace(p, attrs={**p.attrs, **attrs}, then=then)
                joined.append(taken)
        if not joined:
            continue
        # The joined calls go first: they may read what the rest of the update overwrites.
        pieces, start = list(joined), 0
        for p in joined:
            first, end = _elements(p.outputs[0], g)
            if first > start:
                pieces.append(_part(graph, update, start, first))
            start = end
        if start < g.size:
            pieces.append(_part(graph, update, start, g.size))
        out = [c for c in out if not any(c is p for p in joined)]
        at = out.index(update)
        out[at : at + 1] = pieces
    return out


def _elements(dw: Tensor, g: Tensor) -> tuple[int, int]:
    """The elements of the flat gradient g that dw fills, the gap behind it included."""
    first = (dw.offset - g.offset) // g.dtype.itemsize
    return first, min(first + -(-dw.size // BLOCK) * BLOCK, g.size)


def _is_update(call: Call) -> bool:
    return call.gate is None and call.kernel.flat and "g" in call.kernel.inputs and "w" in call.kernel.outputs


def _may_wait(call: Call, until: Call, calls: list[Call]) -> bool:
    """Whether `call` may run as late as the update `until`: nobody in between minds."""
    start, stop = calls.index(call), calls.index(until)
    touches, writes = operands(call), written(call)
    return start < stop and not any(
        any(overlap(a, b) for a in written(c) for b in touches) or
        any(overlap(a, b) for a in operands(c) for b in writes) for c in calls[start + 1 : stop])


def _tilewise(call: Call, then: Call) -> bool:
    """Whether the update may overwrite its part while other tiles of `call` still run.

    A slot ``w`` of a gradient kernel is read by the very tile whose update overwrites it.
    """
    reads = [t for n, t in zip(call.kernel.inputs, call.inputs) if t is not None and n != "w"]
    return not any(overlap(a, b) for a in (*reads, *call.outputs) for b in written(then))


def _meet(call: Call, then: Call) -> bool:
    own = [t for t in (*call.outputs, *call.inputs) if t is not None]
    return any(overlap(a, b) for a in own for b in written(then))


def join_activations(calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """Let calls that can (their kernel has an attribute ``activation``) apply the activation that follows them."""
    fetched = {id(t.base) for t in wanted}
    readers = _readers(calls)
    makers = {id(c.outputs[0].base): c for c in calls if "activation" in c.kernel.attrs and "x" in c.kernel.inputs}
    replaced: dict[int, Call | None] = {}
    for call in calls:
        maker = makers.get(id(call["x"].base)) if call.kernel.name == "activation" else None
        if (maker is None or id(maker) in replaced or maker.attrs["activation"] != "linear"
                or call.attrs["kind"] not in maker.kernel.choices["activation"]
                or readers[id(call["x"].base)] != 1 or id(call["x"].base) in fetched):
            continue
        outputs = (call.outputs[0].reshape(maker.outputs[0].shape), *maker.outputs[1:])
        attrs = {**maker.attrs, "activation": call.attrs["kind"], "alpha": call.attrs["alpha"]}
        replaced[id(maker)] = replace(maker, outputs=outputs, attrs=attrs)
        replaced[id(call)] = None
    return [c for c in (replaced.get(id(c), c) for c in calls) if c is not None]


def save_nothing(graph: Graph, calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """Tell calls that save something for their gradient (their kernel has ``saved`` and an attribute ``save``) not to,
    where nobody reads it."""
    readers, fetched = _readers(calls), {id(t.base) for t in wanted}
    out = []
    for call in calls:
        names = getattr(call.kernel, "saved", ())
        if names and call.attrs["save"] and not any(
                id(call[n].base) in fetched or readers.get(id(call[n].base)) for n in names):
            outputs = tuple(Tensor(graph, (0,), t.dtype, Memory(0, n), name=t.name) if n in names else t
                            for n, t in zip(call.kernel.outputs, call.outputs))
            call = replace(call, outputs=outputs, attrs={**call.attrs, "save": 0})
        out.append(call)
    return out


def _readers(calls: list[Call]) -> dict[int, int]:
    """How many slots of the calls read each base tensor, by its id."""
    readers: dict[int, int] = {}
    for call in calls:
        for t in call.inputs:
            if t is not None:
                readers[id(t.base)] = readers.get(id(t.base), 0) + 1
    return readers


def join_slopes(calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """Let calls that can (their kernel has a slot ``y`` and an attribute ``activation``) apply act'(y) themselves.

    ``dx = dz @ w.T`` followed by ``dx * act'(y)`` becomes one call where nobody else reads the first dx.
    """
    fetched = {id(t.base) for t in wanted}
    readers = _readers(calls)
    makers = {id(t.base): c for c in calls for t in c.outputs[:1]}
    replaced: dict[int, Call | None] = {}
    for slope in calls:
        if slope.kernel.name != "activation_grad" or slope["y"] is None:
            continue
        dy, y = slope["dy"], slope["y"]
        maker = makers.get(id(dy.base))
        if (maker is None or id(maker) in replaced or "y" not in maker.kernel.optional or maker["y"] is not None
                or slope.attrs["kind"] not in maker.kernel.choices.get("activation", ())
                or readers[id(dy.base)] != 1 or id(dy.base) in fetched or not _made_before(y, maker, calls)):
            continue
        shape = maker.outputs[0].shape
        inputs = tuple(y.reshape(shape) if n == "y" else t for n, t in zip(maker.kernel.inputs, maker.inputs))
        attrs = {**maker.attrs, "activation": slope.attrs["kind"], "alpha": slope.attrs["alpha"]}
        outputs = (slope.outputs[0].reshape(shape), *maker.outputs[1:])
        replaced[id(maker)] = replace(maker, inputs=inputs, outputs=outputs, attrs=attrs)
        replaced[id(slope)] = None
    return [c for c in (replaced.get(id(c), c) for c in calls) if c is not None]


def skip_detours(calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """Where only the parameters of a normalisation before a dense layer want gradients, make one product, not two.

    The first layers of a network: `dense_grad_input` and `batch_norm_grad_parameters` go, and `norm_dense_grad`
    takes the place of `dense_grad_weight`. The same gradient by another sum, rounded otherwise, so it is done for every
    backend alike.
    """
    from ..kernels.dense import norm_dense_grad
    from ..kernels.reduce import reduce_sum

    fetched = {id(t.base) for t in wanted}
    makers = {id(t.base): c for c in calls for t in c.outputs}
    readers, out = _readers(calls), list(calls)
    for norm in [c for c in calls if c.kernel.name == "batch_norm_grad_parameters"]:
        detour = makers.get(id(norm["dy"].base))
        if (detour is None or detour.kernel.name != "dense_grad_input" or detour["y"] is not None
                or readers[id(norm["dy"].base)] != 1 or id(norm["dy"].base) in fetched
                or norm["x"].shape[0] > DETOUR_ROWS):
            continue
        for weight in [c for c in out if c.kernel.name == "dense_grad_weight"]:
            made = makers.get(id(weight["x"].base))
            if (weight["dz"].base is not detour["dz"].base or made is None or made.kernel.name != "batch_norm"
                    or made["x"].base is not norm["x"].base or made["mean"].base is not norm["mean"].base
                    or weight.outputs[0].shape != detour["w"].shape):
                continue
            db = Call(reduce_sum, (weight["dz"],), (weight.outputs[1],), reduce_sum.complete({"axes": (0,)}),
                      note=weight.note)
            inputs = (norm["x"], norm["mean"], norm["rstd"], made["gamma"], made["beta"], detour["w"], weight["dz"],
                      weight.outputs[1], None)
            joined = Call(norm_dense_grad, inputs, (weight.outputs[0], *norm.outputs), norm_dense_grad.complete({}),
                          note=weight.note)
            # All that these read was there when the last of the three ran.
            at = max(out.index(c) for c in (detour, weight, norm))
            out[at : at + 1] = [db, joined]
            out = [c for c in out if c is not detour and c is not weight and c is not norm]
            break
    return out


def fold_norms(graph: Graph, calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """Put batch normalisation by moving statistics into the kernel and bias of the layer before it.

    A small call scales them in each step, and the layer gives what is normalised. Done where the layer's output has
    more rows than its kernel (taps and channels), and nobody else reads it. Rounded otherwise, so on every backend
    alike.
    """
    from ..kernels.norm import fold_norm

    fetched, readers = {id(t.base) for t in wanted}, _readers(calls)
    makers = {id(c.outputs[0].base): i for i, c in enumerate(calls) if c.kernel.name in FOLDED}
    out: list[list[Call]] = [[c] for c in calls]
    for at, norm in enumerate(calls):
        index = makers.get(id(norm["x"].base)) if norm.kernel.name == "batch_norm_inference" else None
        if index is None:
            continue
        maker, y, weights = calls[index], norm["x"], [t for t in norm.inputs[1:] if t is not None]
        rows, columns = y.shape
        w, b = maker["w"], maker["b"]
        if (maker.attrs["activation"] != "linear" or maker.gate is not None or norm.gate is not None
                or readers[id(y.base)] != 1 or id(y.base) in fetched or y.size != maker.outputs[0].size
                or columns != maker.outputs[0].shape[-1] or rows * columns <= w.size
                or any(t.base.call is not None or not _still(t, calls[index:at]) for t in weights)):
            continue
        matrix = w.reshape(-1, columns)
        inputs = (matrix, b, *norm.inputs[1:])
        made = fold_norm.infer(*(None if t is None else Array(t.shape, t.dtype) for t in inputs), **norm.attrs)
        folded, offset = (Tensor(graph, a.shape, a.dtype, Memory(a.nbytes, n), name=n)
                          for a, n in zip(made, fold_norm.outputs))
        fold = Call(fold_norm, inputs, (folded, offset), fold_norm.complete(norm.attrs), note=norm.note)
        result = norm.outputs[0].reshape(maker.outputs[0].shape)
        out[index] = [fold, replace(maker, inputs=(maker["x"], folded.reshape(w.shape), offset), outputs=(result,))]
        out[at] = []
    return [c for some in out for c in some]


def split_tall(graph: Graph, calls: list[Call]) -> list[Call]:
    """Put the kernels of `fastnn.kernels.tall` in the place of batch normalisations of many rows and few columns.

    Their sums are rounded in another order, so it is done for every backend alike.
    """
    from ..kernels import tall

    def first(call: Call, kernel, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs of a call of this kernel, which goes before `call`."""
        made = kernel.infer(*(Array(t.shape, t.dtype) for t in inputs))
        outputs = tuple(Tensor(graph, a.shape, a.dtype, Memory(a.nbytes, n), name=n)
                        for a, n in zip(made, kernel.outputs))
        out.append(Call(kernel, inputs, outputs, kernel.complete({}), note=call.note, gate=call.gate))
        return outputs

    out: list[Call] = []
    for call in calls:
        if call.kernel.name in ("batch_norm", "batch_norm_grad") and tall.is_tall(*call["x"].shape):
            if call.kernel.name == "batch_norm":
                parts = first(call, tall.batch_norm_moments, call["x"])
                second, inputs = tall.batch_norm_rows, (*call.inputs, *parts, None)
            else:
                parts = first(call, tall.batch_norm_grad_sums, call["dy"], call["x"], call["mean"])
                second, inputs = tall.batch_norm_grad_rows, (*call.inputs, *parts)
            call = replace(call, kernel=second, inputs=inputs, attrs=second.complete(call.attrs))
        out.append(call)
    return out


def join_sums(calls: list[Call], wanted: list[Tensor]) -> list[Call]:
    """Let calls that can (their kernel has an optional slot ``plus``) do the addition that follows them.

    Of two such operands the later one takes the other along, as it has to be there.
    """
    fetched, readers = {id(t.base) for t in wanted}, _readers(calls)
    makers = {id(c.outputs[0].base): i for i, c in enumerate(calls)}
    out: list[Call | None] = list(calls)
    for at, call in enumerate(calls):
        if call.kernel.name != "add" or call.gate is not None or call["a"].shape != call["b"].shape:
            continue
        found = [(makers.get(id(t.base), -1), t, other) for t, other in
                 ((call["a"], call["b"]), (call["b"], call["a"]))]
        index, t, other = max(found, key=lambda f: f[0])
        maker = out[index] if index >= 0 else None
        if (maker is None or maker is not calls[index] or "plus" not in maker.kernel.optional
                or maker["plus"] is not None or maker.attrs["activation"] != "linear" or maker.gate is not None
                or readers[id(t.base)] != 1 or id(t.base) in fetched or t.size != maker.outputs[0].size
                or min(found, key=lambda f: f[0])[0] < 0 or not _still(other, calls[index:at])):
            continue
        shape = maker.outputs[0].shape
        inputs = tuple(other.reshape(shape) if n == "plus" else x for n, x in zip(maker.kernel.inputs, maker.inputs))
        out[index] = replace(maker, inputs=inputs, outputs=(call.outputs[0].reshape(shape), *maker.outputs[1:]))
        out[at] = None
    return [c for c in out if c is not None]


def _still(t: Tensor, calls: list[Call]) -> bool:
    """Whether none of these calls writes over t."""
    return not any(overlap(t, w) for c in calls for w in written(c))


def _made_before(t: Tensor, call: Call, calls: list[Call]) -> bool:
    """Whether t has its value when `call` runs."""
    for c in calls:
        if c is call:
            return False
        if any(o.base is t.base for o in c.outputs):
            return True
    return False


def _span(t: Tensor) -> tuple[int, int]:
    return t.offset, t.offset + t.nbytes


def overlap(a: Tensor, b: Tensor) -> bool:
    (a0, a1), (b0, b1) = _span(a), _span(b)
    return a.memory is b.memory and a0 < b1 and b0 < a1


def _inside(part: Tensor, whole: Tensor) -> bool:
    (p0, p1), (w0, w1) = _span(part), _span(whole)
    return part.memory is whole.memory and w0 <= p0 and p1 <= w1


def _part(graph: Graph, call: Call, start: int, stop: int) -> Call:
    """The flat call on elements start..stop-1 of its arrays; scalars stay."""
    n = call["g"].size

    def cut(t):
        if t is None or not t.shape or t.size != n:
            return t
        return Tensor(graph, (stop - start,), t.dtype, t.memory, t.offset + start * t.dtype.itemsize, name=t.name)

    inputs = tuple(map(cut, call.inputs))
    outputs = tuple(inputs[call.kernel.inputs.index(n)] for n in call.kernel.outputs)
    return Call(call.kernel, inputs, outputs, call.attrs, note=call.note)


def operands(call: Call) -> list[Tensor]:
    """All tensors a call touches, its continuation's included."""
    own = [t for t in (*call.outputs, *call.inputs) if t is not None]
    return own + (operands(call.then) if call.then else [])


def written(call: Call) -> list[Tensor]:
    """The tensors a call writes, its continuation's included."""
    return list(call.outputs) + (written(call.then) if call.then else [])
