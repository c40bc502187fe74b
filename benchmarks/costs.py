"""What do kernels cost beside arithmetic and bandwidth? Measures the table that `model.plan` predicts with.

    taskset -c 0 python benchmarks/costs.py [kernel ...] [--seconds 0.02] [--table | --products | --work] [--json]

Each kernel runs alone on one thread over small shapes whose arrays stay in L1, and

    seconds = launch + lines * line + elements * element

is fitted to the times by non-negative least squares on relative errors (Lawson & Hanson, 1974). `elements` are those of
the largest array, `lines` the rows of a loss or softmax, the columns of a normalisation, the result of a reduction. An
element's cost is said in FLOPs at the measured peak, so that it scales with a machine's vectors and clock; launch and
line in nanoseconds. `worst` is the largest relative error of the fit over the shapes. `--table` prints `COSTS` of
`fastnn/program/costs.py`.

`--products` is about the matrix products instead, alone and with an update on their tiles: measured over predicted time
for shapes on both sides of each cache. By this table the few constants of products in `fastnn/program/costs.py` were
chosen. `--work` is about kernels with loops of their own (attention, windows, maps of images): how many FLOPs at the
peak take as long as one of theirs, the median over some shapes and the range, for the table `WORK` there. No shape here
is one of a workload on which predictions are judged (`benchmarks/plan.py`).
"""

from __future__ import annotations

import functools
import sys
import time

import numpy as np
from common import Report, parser

import fastnn
from fastnn import machine
from fastnn.kernels import (
    activation,
    data,
    dense,
    dropout,
    elementwise,
    embedding,
    errors,
    loss,
    metric,
    norm,
    optim,
    reduce,
    tall,
)
from fastnn.program import costs
from fastnn.program.graph import Graph
from fastnn.program.model import forecast
from fastnn.program.program import Program
from fastnn.race.contenders import native
from fastnn.race.entries import ENTRIES
from fastnn.race.inputs import row_normed
from fastnn.race.timing import aligned

SHAPES = ((1, 16), (1, 256), (4, 48), (24, 12), (48, 10), (12, 33), (16, 64), (3, 400), (40, 27), (2, 900))

PRODUCTS = ((1, 400, 500), (8, 400, 500), (40, 500, 200), (48, 400, 400), (32, 600, 500), (64, 700, 400),
            (100, 512, 512), (64, 1200, 1200), (200, 1200, 600), (160, 900, 16), (160, 20, 900))  # rows, in, out
SEQUENCES = tuple({"batch": b, "length": n, "heads": 2, "dim": d} for b, n, d in (
    (2, 16, 16), (2, 40, 32), (1, 64, 32), (1, 100, 48), (1, 200, 64)))
SQUARES = tuple({"images": 1, "size": s, "channels": c} for s, c in ((8, 16), (14, 8), (14, 32), (20, 16), (24, 3)))
WINDOWED = tuple({"images": 1, "height": s["size"], "width": s["size"], "channels": s["channels"], "filters": 16}
                 for s in SQUARES)
#: kernels with loops of their own, and the shapes of `fastnn.race` that they are timed on
WORKING = {**dict.fromkeys(("attention", "attention_grad", "attention_step"), SEQUENCES),
           **dict.fromkeys(("depthwise", "depthwise_grad_input", "depthwise_grad_weight"), WINDOWED),
           **dict.fromkeys(("max_pool", "max_pool_grad", "average_pool", "average_pool_grad"), SQUARES),
           "affine_sample": SQUARES}
KINDS = ("dense", "grad input", "grad weight", "norm grad", "weight+sgd", "weight+adam")


def normal(*names):
    """Inputs that are matrices of normal values, one for each slot."""
    return lambda rng, shape: tuple(rng.standard_normal(shape, np.float32) for _ in names)


def positive(*names):
    return lambda rng, shape: tuple(rng.uniform(0.5, 2, shape).astype(np.float32) for _ in names)


def slots(kernel):
    """Inputs of a loss, a metric, a normalisation or an update by the names of its slots."""

    def make(rng, shape):
        rows, columns = shape
        made = []
        for name in kernel.inputs:
            if name == "labels":
                made.append(rng.integers(0, columns, rows).astype(np.int32))
            elif name in getattr(kernel, "scalars", ()):
                made.append(np.float32(0.9) if name == "scale" else np.float64(1e-3))
            elif isinstance(kernel, optim.Flat):
                made.append(rng.uniform(0.5, 2, rows * columns).astype(np.float32))
            elif name in ("gamma", "beta", "mean", "rstd", "moving_mean", "moving_var"):
                made.append(rng.uniform(0.5, 1, columns).astype(np.float32))
            elif name in getattr(kernel, "parts", ()):
                parts = -(-rows // tall.block_rows(rows, columns))
                made.append(rng.uniform(0.5, 1, (parts, columns)).astype(np.float32))
            elif name == "plus":
                made.append(None)
            elif name == "g":
                made.append(rng.standard_normal(rows, np.float32))
            else:
                x = rng.uniform(0.1, 0.9, shape).astype(np.float32)
                made.append(x / x.sum(1, keepdims=True) if name == "p" and "binary" not in kernel.name else x)
        return tuple(made)

    return make


def slope(kind):
    """Inputs of `activation_grad`."""
    def make(rng, shape):
        dy, x = normal("dy", "x")(rng, shape)
        return (dy, None, activation.value(kind, x, 1.0)) if kind in activation.FROM_OUTPUT else (dy, x, None)
    return make


def entries() -> dict:
    """key of the table -> (kernel, maker of inputs, attributes)."""
    e, found = elementwise, {}
    for kind in activation.KINDS:
        if kind != "linear":
            found[f"activation/{kind}"] = (activation.activation, normal("x"), {"kind": kind})
            found[f"activation_grad/{kind}"] = (activation.activation_grad, slope(kind), {"kind": kind})
    for kernel in (activation.softmax, activation.log_softmax):
        found[kernel.name] = (kernel, normal("x"), {})
    for kernel in (activation.softmax_grad, activation.log_softmax_grad):
        found[kernel.name] = (kernel, normal("dy", "y"), {})
    for kernel in (e.add, e.subtract, e.multiply, e.divide, e.maximum, e.minimum, e.power, e.greater):
        found[kernel.name] = (kernel, positive("a", "b"), {})
    found["where"] = (e.where, positive("c", "a", "b"), {})
    for kernel in (e.negative, e.exp, e.log, e.sqrt, e.square, e.absolute, e.sign, e.reciprocal, e.log1p, e.expm1,
                   e.erf, e.copy):
        found[kernel.name] = (kernel, positive("x"), {})
    found["affine"] = (e.affine, normal("x"), {"scale": 2.0, "offset": 1.0})
    found["clip"] = (e.clip, normal("x"), {"low": -1.0, "high": 1.0})
    found["clip_grad"] = (e.clip_grad, normal("dy", "x"), {"low": -1.0, "high": 1.0})
    found["dropout"] = (dropout.dropout, lambda rng, shape: (*normal("x")(rng, shape), np.float64(3)),
                        dict(rate=0.2, key0=1, key1=2))
    for kernel in (reduce.reduce_sum, reduce.reduce_mean, reduce.reduce_max):
        for axis, name in ((0, "first"), (1, "last")):
            found[f"{kernel.name}/{name}"] = (kernel, normal("x"), {"axes": (axis,)})
    found["transpose"] = (reduce.transpose, normal("x"), {"perm": None})
    for kernel in (norm.batch_norm, norm.batch_norm_grad, norm.batch_norm_grad_parameters, norm.batch_norm_inference,
                   norm.batch_norm_inference_grad, tall.batch_norm_moments, tall.batch_norm_rows,
                   tall.batch_norm_grad_sums, tall.batch_norm_grad_rows,
                   loss.softmax_cross_entropy, loss.softmax_cross_entropy_grad,
                   loss.softmax_cross_entropy_dense, loss.softmax_cross_entropy_dense_grad, loss.cross_entropy,
                   loss.cross_entropy_grad, loss.cross_entropy_dense, loss.cross_entropy_dense_grad,
                   loss.sigmoid_cross_entropy, loss.sigmoid_cross_entropy_grad, loss.binary_cross_entropy,
                   loss.binary_cross_entropy_grad, errors.squared_error, errors.squared_error_grad,
                   errors.absolute_error, errors.absolute_error_grad, errors.huber_error,
                   errors.huber_error_grad, errors.log_cosh_error, errors.log_cosh_error_grad,
                   metric.sparse_categorical_hits, metric.categorical_hits,
                   metric.binary_hits, optim.sgd, optim.momentum, optim.rmsprop, optim.rmsprop_momentum,
                   optim.rmsprop_centered, optim.adam, optim.adamw, optim.scale_inplace, optim.add_inplace):
        found[kernel.name] = (kernel, slots(kernel), {})
    found["clip_inplace"] = (optim.clip_inplace, slots(optim.clip_inplace), {"limit": 1.0})
    found["l2_grad_inplace"] = (optim.l2_grad_inplace, slots(optim.l2_grad_inplace), {"coefficient": 0.1})
    found["sum_of_squares"] = (optim.sum_of_squares, lambda rng, shape: (normal("g")(rng, shape)[0].ravel(),), {})
    found["weighted_sum"] = (loss.weighted_sum, lambda rng, shape: (normal("v")(rng, shape)[0].ravel(), None), {})
    found["gather_rows"] = (data.gather_rows, rows_of(np.float32), {"source": "float32"})
    found["gather_rows/uint8"] = (data.gather_rows, rows_of(np.uint8), {"source": "uint8", "scale": 1 / 255})
    found["gather_labels"] = (data.gather_labels, labels_of, {"source": "int64"})
    for kernel in (norm.row_norm, norm.row_norm_grad):
        found[kernel.name] = (kernel, functools.partial(normed_rows, kernel), {})
    found["embedding"] = (embedding.embedding, picked, {})
    found["token_order"] = (embedding.token_order, lambda rng, shape: (
        rng.integers(0, 50_000, shape[0] * shape[1]).astype(np.int32),), {"count": 50_000})
    found["whole_numbers"] = (embedding.whole_numbers, lambda rng, shape: (
        rng.integers(0, 99, shape).astype(np.float32),), {})
    return found


def rows_of(dtype):
    return lambda rng, shape: (rng.integers(0, 200, shape).astype(dtype), rng.integers(0, shape[0], shape[0]))


def normed_rows(kernel, rng, shape):
    return row_normed(kernel)(rng, {}, *shape)


def picked(rng, shape):
    """Tokens of a table that has as many rows as there are tokens."""
    return rng.integers(0, shape[0], shape[0]).astype(np.int32), rng.standard_normal(shape, np.float32)


def labels_of(rng, shape):
    n = shape[0] * shape[1]
    return rng.integers(0, 10, n), rng.integers(0, n, n)


def least(run, seconds: float) -> float:
    """Seconds of one repetition, the best of many."""
    run(20, 1)
    start = time.perf_counter()
    run(20, 1)
    repeats = max(1, int(2e-4 * 20 / max(time.perf_counter() - start, 1e-9)))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run(repeats, 1)
        best = min(best, (time.perf_counter() - start) / repeats)
    return best


def fit(key: str, seconds: float, overhead: float, peak: float) -> dict:
    """The row of one kernel."""
    from scipy.optimize import nnls

    kernel, make, attrs = entries()[key]
    features, times = [], []
    for shape in SHAPES:
        shape = shape[0], min(shape[1], getattr(kernel, "widest", shape[1]))
        inputs = tuple(x if x is None or not np.ndim(x) else aligned(x)
                       for x in make(np.random.default_rng(0), shape))
        inputs = tuple(np.asarray(x) if x is not None else None for x in inputs)
        run, call = native(kernel, inputs, **attrs)
        lines, elements = costs.extent(call)
        features.append((1e-9, 1e-9 * lines, elements / (peak * 1e9)))
        times.append(max(least(run, seconds) - overhead, 2e-9))
    features, times = np.array(features), np.array(times)
    found, _ = nnls(features / times[:, None], np.ones(len(times)))
    worst = float(np.abs(features @ found / times - 1).max())
    return dict(kernel=key, launch=found[0], line=found[1], element=found[2], worst=worst)


def empty_step(seconds: float) -> float:
    """Seconds of a step whose only call does nothing: what the executor itself takes."""
    from fastnn.kernels.native import core
    from fastnn.kernels.native import machine as probes

    program = core.Executor([(probes.KERNELS["probe_nothing"], [], [], [], 1, 1, 0, 0, 1e-9, None)])
    return least(lambda n, threads: program.run(n, [], [], threads, 1e9), seconds)


def product(kind: str, m: int, k: int, n: int) -> Program:
    """One matrix product of a dense layer over variables, as a program."""
    graph, rng = Graph(kind), np.random.default_rng(0)

    def made(*shape):
        return graph.tensor(fastnn.Variable(rng.uniform(0.5, 1, shape)))

    x, w, dz, b = made(m, k), made(k, n), made(m, n), made(n)
    with graph.active():
        if kind == "dense":
            outputs = [dense.dense(x, w, b)]
        elif kind == "grad input":
            outputs = [dense.dense_grad_input(dz, w, None)]
        elif kind == "norm grad":
            outputs = dense.norm_dense_grad(x, *(made(k) for _ in range(4)), w, dz, b, None)
        else:
            outputs = dense.dense_grad_weight(x, dz, None)
        if kind.startswith("weight+"):
            g, flat, rate = outputs[0].reshape(-1), w.reshape(-1), graph.constant(np.array(1e-3))
            if kind == "weight+adam":
                optim.adam(g, rate, rate, flat, made(k * n), made(k * n))
            else:
                optim.sgd(g, rate, flat)
            outputs = []
    for i, t in enumerate(outputs):
        graph.fetch(f"y{i}", t)
    return Program(graph)


def products(seconds: float, as_json: bool) -> None:
    """The table of `--products`."""
    fastnn.set_num_threads(1)
    report = Report("costs of products", as_json, {"product": "14s", **{kind: "11.2f" for kind in KINDS}})
    ratios = []
    for m, k, n in PRODUCTS:
        row = {}
        for kind in KINDS:
            program = product(kind, m, k, n)

            def run(steps, threads, program=program):
                done = 0
                while done < steps:
                    done += program.run(steps - done)

            row[kind] = least(run, seconds) / forecast(program, 1).seconds
            ratios.append(row[kind])
        report.add(product=f"{m}x{k}x{n}", **row)
    report.say(f"measured / predicted from {min(ratios):.2f} to {max(ratios):.2f}, median {np.median(ratios):.2f}")
    report.say(str(machine.ceilings(1)))


def work(seconds: float, as_json: bool) -> None:
    """The table of `--work`."""
    peak, overhead = machine.measure_peak(1), empty_step(0.1)
    lanes = costs.LANES[machine.cpu_info()["path"]]
    report = Report("costs of kernels with loops of their own", as_json,
                    {"kernel": "24s", "work": "7.2f", "least": "7.2f", "most": "7.2f"})
    for name, sizes in WORKING.items():
        entry, ratios = ENTRIES[name], []
        for size in sizes:
            attrs = entry.attributes(size, {})
            run, call = native(entry.kernel, entry.inputs(size, attrs), **attrs)
            own = least(run, seconds) - overhead - (costs.LAUNCH + costs.COLD) * 1e-9
            ratios.append(own * peak * 1e9 / (entry.kernel.flops(call) * costs.filled(call, lanes)))
        report.add(kernel=name, work=float(np.median(ratios)), least=min(ratios), most=max(ratios))


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("kernels", nargs="*", help="keys of the table; all by default")
    p.add_argument("--seconds", type=float, default=0.02, help="for each shape")
    p.add_argument("--table", action="store_true", help="as Python source")
    p.add_argument("--products", action="store_true", help="matrix products: measured over predicted")
    p.add_argument("--work", action="store_true", help="kernels with loops of their own")
    args = p.parse_args(argv)
    if args.work:
        work(args.seconds, args.json)
        return
    if args.products:
        products(max(args.seconds, 0.1), args.json)
        return
    known = entries()
    unknown = set(args.kernels) - set(known)
    if unknown:
        sys.exit(f"There is no entry {sorted(unknown)[0]!r}; there are {', '.join(known)}.")
    peak = machine.measure_peak(1)
    overhead = empty_step(0.1)
    report = Report("costs", args.json, {"kernel": "32s", "launch": "7.1f", "line": "7.2f", "element": "7.2f",
                                         "worst": "5.0%"})
    report.say(f"peak {peak:.0f} GFLOP/s; an empty step {overhead * 1e9:.0f} ns")
    rows = []
    for key in args.kernels or known:
        rows.append(fit(key, args.seconds, overhead, peak))
        report.add(**rows[-1])
    if args.table:
        print("COSTS = {")
        for row in rows:
            print(f'    "{row["kernel"]}": Cost({row["launch"]:.0f}, {row["line"]:.1f}, {row["element"]:.2f}),')
        print("}")


if __name__ == "__main__":
    main()
