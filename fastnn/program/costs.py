"""The cost model: what a call takes on this machine, before it runs.

A call is bound by its arithmetic, by the level of memory that its data comes from, or by neither: then by what it costs
to call it at all. All three are estimated: from what was measured of the machine (`fastnn.machine.ceilings`), from
where the data is (`residency`) and from one table, `COSTS`, of what each kernel does beside multiplying and adding.
The bound is the roofline of Williams, Waterman & Patterson (2009) with one roof for each cache.

`COSTS` comes from ``benchmarks/costs.py --table``, which times every kernel alone on small shapes in L1. The numbers of
the matrix products come from ``benchmarks/costs.py --products``, those of `WORK` from ``--work``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from ..kernels import winograd
from ..kernels.recurrent import Backward, Recurrent
from ..kernels.spec import Call
from ..machine import Ceilings
from .residency import LEVELS, Fetched, picked_rows


class Cost(NamedTuple):
    """What a kernel takes where its data is in L1: ``launch + lines * line + elements * element``."""

    launch: float  #: nanoseconds of a call
    line: float  #: nanoseconds of a line, see `extent`
    element: float  #: FLOPs at the measured peak that an element takes as long as


#: Zen 4, AVX-512; keys are kernels, some with the option on which the cost depends
COSTS = {
    "activation/relu": Cost(9, 0.0, 4.66),
    "activation_grad/relu": Cost(7, 0.0, 4.71),
    "activation/sigmoid": Cost(8, 0.0, 47.06),
    "activation_grad/sigmoid": Cost(5, 0.0, 6.99),
    "activation/tanh": Cost(8, 0.0, 62.32),
    "activation_grad/tanh": Cost(5, 0.0, 5.21),
    "activation/elu": Cost(8, 0.0, 41.58),
    "activation_grad/elu": Cost(5, 0.0, 5.07),
    "activation/selu": Cost(8, 0.0, 43.45),
    "activation_grad/selu": Cost(5, 0.0, 5.42),
    "activation/gelu": Cost(6, 0.0, 62.54),
    "activation_grad/gelu": Cost(8, 0.0, 66.97),
    "activation/gelu_tanh": Cost(10, 0.0, 85.83),
    "activation_grad/gelu_tanh": Cost(10, 0.0, 116.92),
    "activation/silu": Cost(8, 0.0, 49.84),
    "activation_grad/silu": Cost(10, 0.0, 75.20),
    "activation/softplus": Cost(11, 0.0, 86.39),
    "activation_grad/softplus": Cost(9, 0.0, 50.34),
    "activation/exponential": Cost(14, 0.0, 40.59),
    "activation_grad/exponential": Cost(7, 0.0, 7.00),
    "softmax": Cost(0, 18.0, 46.81),
    "log_softmax": Cost(0, 35.6, 42.85),
    "softmax_grad": Cost(1, 3.0, 9.89),
    "log_softmax_grad": Cost(0, 8.2, 36.24),
    "add": Cost(8, 0.1, 4.94),
    "subtract": Cost(8, 0.0, 4.92),
    "multiply": Cost(8, 0.1, 4.85),
    "divide": Cost(6, 0.0, 10.00),
    "maximum": Cost(7, 0.1, 7.50),
    "minimum": Cost(8, 0.0, 7.40),
    "power": Cost(16, 0.0, 376.74),
    "greater": Cost(7, 0.1, 5.41),
    "where": Cost(8, 0.0, 7.35),
    "negative": Cost(2, 0.0, 3.69),
    "exp": Cost(3, 0.0, 34.66),
    "log": Cost(2, 0.0, 42.07),
    "sqrt": Cost(0, 0.0, 19.21),
    "square": Cost(2, 0.0, 3.84),
    "absolute": Cost(2, 0.0, 3.71),
    "sign": Cost(2, 0.0, 6.86),
    "reciprocal": Cost(1, 0.0, 11.10),
    "log1p": Cost(3, 0.0, 37.53),
    "expm1": Cost(2, 0.0, 41.74),
    "erf": Cost(11, 0.0, 93.89),
    "copy": Cost(1, 0.0, 5.59),
    "affine": Cost(4, 0.0, 5.21),
    "clip": Cost(2, 0.0, 7.21),
    "clip_grad": Cost(4, 0.0, 7.56),
    "dropout": Cost(44, 1.2, 23.17),
    "reduce_sum/first": Cost(11, 0.0, 5.93),
    "reduce_sum/last": Cost(1, 2.7, 3.21),
    "reduce_mean/first": Cost(12, 0.2, 5.49),
    "reduce_mean/last": Cost(2, 2.7, 3.40),
    "reduce_max/first": Cost(10, 0.0, 9.27),
    "reduce_max/last": Cost(1, 3.4, 11.97),
    "transpose": Cost(1, 0.0, 11.34),
    "batch_norm": Cost(90, 1.7, 21.42),
    "batch_norm_grad": Cost(89, 1.4, 23.89),
    "batch_norm_grad_parameters": Cost(22, 0.6, 13.21),
    "batch_norm_moments": Cost(40, 0.4, 11.29),
    "batch_norm_rows": Cost(100, 1.4, 11.31),
    "batch_norm_grad_sums": Cost(34, 0.4, 9.57),
    "batch_norm_grad_rows": Cost(97, 2.0, 15.89),
    "batch_norm_inference": Cost(80, 0.6, 16.65),
    "batch_norm_inference_grad": Cost(71, 1.0, 18.83),
    "row_norm": Cost(13, 11.9, 17.44),
    "row_norm_grad": Cost(1, 7.6, 16.11),
    "softmax_cross_entropy": Cost(12, 25.1, 54.81),
    "softmax_cross_entropy_grad": Cost(2, 3.3, 3.94),
    "softmax_cross_entropy_dense": Cost(0, 32.8, 66.76),
    "softmax_cross_entropy_dense_grad": Cost(2, 5.2, 8.36),
    "cross_entropy": Cost(4, 8.2, 3.82),
    "cross_entropy_grad": Cost(1, 6.2, 7.98),
    "cross_entropy_dense": Cost(0, 18.3, 73.77),
    "cross_entropy_dense_grad": Cost(0, 11.0, 36.84),
    "sigmoid_cross_entropy": Cost(4, 23.7, 97.84),
    "sigmoid_cross_entropy_grad": Cost(1, 3.7, 5.05),
    "binary_cross_entropy": Cost(0, 14.0, 102.80),
    "binary_cross_entropy_grad": Cost(1, 4.1, 11.35),
    "squared_error": Cost(2, 2.9, 4.39),
    "squared_error_grad": Cost(3, 1.1, 4.75),
    "absolute_error": Cost(1, 3.3, 5.97),
    "absolute_error_grad": Cost(2, 4.1, 7.30),
    "sparse_categorical_hits": Cost(7, 0.0, 150.06),
    "categorical_hits": Cost(7, 0.0, 325.96),
    "binary_hits": Cost(10, 1.8, 10.98),
    "sgd": Cost(2, 0.0, 4.75),
    "momentum": Cost(3, 0.0, 8.13),
    "rmsprop": Cost(1, 0.0, 32.80),
    "rmsprop_momentum": Cost(9, 0.0, 31.32),
    "rmsprop_centered": Cost(5, 0.0, 33.94),
    "adam": Cost(3, 0.0, 32.34),
    "adamw": Cost(1, 0.0, 33.97),
    "scale_inplace": Cost(2, 0.0, 3.83),
    "add_inplace": Cost(1, 0.0, 4.92),
    "clip_inplace": Cost(2, 0.0, 4.05),
    "l2_grad_inplace": Cost(2, 0.0, 5.56),
    "sum_of_squares": Cost(13, 0.0, 3.00),
    "weighted_sum": Cost(2, 0.0, 5.12),
    "embedding": Cost(4, 1.7, 3.75),
    "token_order": Cost(284, 0.0, 471.92),
    "whole_numbers": Cost(2, 0.0, 112.79),
    "gather_rows": Cost(10, 3.3, 3.39),
    "gather_rows/uint8": Cost(6, 2.9, 3.77),
    "gather_labels": Cost(0, 0.0, 237.96),
}
#: kernels with loops of their own: the FLOPs at the peak that take as long as one of theirs (Zen 4, AVX-512)
WORK = {
    "attention": 1.7, "attention_grad": 1.5, "attention_step": 6.5,
    "depthwise": 2.5, "depthwise_grad_input": 2.8, "depthwise_grad_weight": 3.1,
    "max_pool": 16.0, "max_pool_grad": 15.0, "average_pool": 10.4, "average_pool_grad": 16.0,
    "affine_sample": 6.0,
}
LAUNCH = 20.0  #: nanoseconds of a call that has no `Cost`
COLD = 15.0  #: nanoseconds that a call takes more among others than when it is repeated: code and branches are new
#: nanoseconds that a row of the user's data takes to arrive if it stands at a random place of that level
MISS = {"L2": 2.0, "L3": 15.0, "memory": 80.0}
#: nanoseconds that each of the first lines of an array takes, before it is fetched ahead
FIRST = {"L2": 1.0, "L3": 7.0, "memory": 25.0}
# Products: the share of the peak that the micro-kernels reach, and bytes moved in L2 per element beside them.
PRODUCT_LAUNCH = 50.0  #: nanoseconds
MICRO = 0.985  #: of the peak, at whole vectors
STORED = 4.0  #: bytes per element of the result
TRANSFORMED = 10.0  #: bytes per element of what products by points go over (Winograd's form)
TURNED = 9.0  #: bytes per element of an operand that is turned around: it is read and written once more
PACKED = 4.0  #: the same for one that is packed as it stands, most of which hides behind the first panel of rows
STRIDED = 1.25  #: panels of an operand beyond L2 arrive so many times more slowly than a copy: rows are far apart
PACK_ROWS, PACK_FROM = 31, 1 << 18  #: rows and elements from which on `dense` packs its weights
STEPWISE = 0.87  #: of the peak, what the products of a recurrent layer's steps reach: few rows, and they stop at each
GATE = {"forth": 110.0, "back": 60.0}  #: FLOPs at the peak that take as long as a gate of one unit at one step
SCALED_ROW = 15.0  #: nanoseconds per row of the weight for `norm_dense_grad`'s way back through the normalisation
SCALED = 9.0  #: FLOPs per element of the weight for the same
LANES = {"v2": 4, "neon": 4, "v3": 8, "v4": 16}  #: floats of a vector


@dataclass
class Prediction:
    """What the model says of one call on one thread.

    Attributes
    ----------
    latency : seconds of calling it, of its lines, of waiting for rows at random places.
    arithmetic : seconds of its instructions with all data in L1.
    traffic : level -> seconds of fetching from there what the caches nearer by lack. "L1" is what loads and stores
        alone take; it is part of `arithmetic`.
    seconds : of the whole call: latency and the longer of the others, as far as they overlap.
    """

    latency: float = 0.0
    arithmetic: float = 0.0
    traffic: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def far(self) -> float:
        """Seconds of fetching from beyond L2."""
        return self.traffic.get("L3", 0.0) + self.traffic.get("memory", 0.0)

    def __add__(self, other: Prediction) -> Prediction:
        """One after the other."""
        traffic = {k: self.traffic.get(k, 0.0) + other.traffic.get(k, 0.0) for k in {**self.traffic, **other.traffic}}
        return Prediction(self.latency + other.latency, self.arithmetic + other.arithmetic, traffic,
                          self.seconds + other.seconds)

    def bound(self, measured: float | None = None, least: float = 3e-7) -> str:
        """The verdict: "latency", "arithmetic", "L1", "L2", "L3" or "memory".

        Latency, if the call takes less than `least` seconds (measured, else predicted), or if calling it, its rows and
        the wait for rows at random places are the largest part. If fetching is, the level that takes most of it.
        Else arithmetic, which is called L1 where loads and stores within L1 make the most of it.
        """
        if (measured if measured is not None else self.seconds) < least:
            return "latency"
        beyond = {level: seconds for level, seconds in self.traffic.items() if level != "L1"}
        fetching = sum(beyond.values())
        if self.latency >= max(self.arithmetic, fetching):
            return "latency"
        if fetching > self.arithmetic:
            return max(beyond, key=beyond.get)
        return "L1" if self.traffic.get("L1", 0.0) > 0.6 * self.arithmetic else "arithmetic"


class Machine(NamedTuple):
    """What the model knows of a machine: its measured ceilings and the floats of a vector."""

    roof: Ceilings
    lanes: int = 16

    def traffic(self, nbytes: dict[str, float]) -> dict[str, float]:
        """Seconds for each level beyond L1."""
        return {level: n / (self.speed(level) * 1e9) for level, n in nbytes.items() if level != "L1" and n}

    def speed(self, level: str) -> float:
        """GB/s of a copy within this level; of the next one beyond where it was not measured."""
        for size in sorted(self.roof.copy):
            name = self.roof.names[size]
            if name == level or LEVELS.index(name) > LEVELS.index(level):
                return self.roof.copy[size]
        return self.roof.copy[max(self.roof.copy)]


def predict(call: Call, fetched: tuple[Fetched, ...], machine: Machine) -> Prediction:
    """What a call takes on one thread, the update that runs on its tiles included.

    Parameters
    ----------
    fetched : what `residency.fetched` found for the call, and for its update.
    """
    own = _product(call, fetched[0], machine) if is_product(call) else _stream(call, fetched[0], machine)
    if not call.then:
        return own
    then = predict(call.then, fetched[1:], machine)
    # Short stretches between the products: what they wait for does not hide behind what they compute.
    then.seconds = then.latency + then.arithmetic + then.far
    return own + then


def extent(call: Call) -> tuple[int, int]:
    """(lines, elements) of a call as its `Cost` counts them.

    Elements are those of the largest array, each row of a matrix filled up to 16 where the kernel works by rows or
    columns; lines are the columns of a normalisation, the results of a reduction, else the rows.
    """
    name = call.kernel.name
    if name in ("gather_rows", "gather_labels", "embedding"):
        y = call.outputs[0]
        lines = call["tokens"].size if name == "embedding" else y.shape[0] if y.shape and name == "gather_rows" else 0
        return lines, y.size
    largest = max((t for t in (*call.outputs, *call.inputs) if t is not None), key=lambda t: (t.size, len(t.shape)))
    if len(largest.shape) < 2 or call.kernel.flat:
        return 0, largest.size
    lines, columns = math.prod(largest.shape[:-1]), largest.shape[-1]
    if name.startswith("reduce_"):
        return call.outputs[0].size, largest.size
    if not (name.startswith(("batch_norm", "softmax", "log_softmax")) or name.endswith("_hits")
            or "entropy" in name or "error" in name):
        return lines, largest.size
    return (columns if name.startswith("batch_norm") else lines), lines * -(-columns // 16) * 16


def cost_of(call: Call, machine: Machine) -> Cost:
    """The entry of `COSTS` for a call, or one made of its FLOPs and bytes."""
    name = call.kernel.name
    if name in COSTS:
        found = COSTS[name]
        if name == "gather_rows" and call.inputs[0].dtype.itemsize < 4:
            found = COSTS["gather_rows/uint8"]
        return found
    if name.startswith("reduce_"):
        axes, ndim = call.attrs.get("axes"), len(call.inputs[0].shape)
        last = axes is None or ndim - 1 in [a % ndim for a in axes]
        key = f"{name}/{'last' if last else 'first'}"
    else:
        key = f"{name}/{call.attrs.get('kind', '')}"
    if key in COSTS:
        return COSTS[key]
    elements = max(extent(call)[1], 1)
    if isinstance(call.kernel, Recurrent):
        batch, length, units = call.kernel.extent(call)
        gates = GATE["back" if isinstance(call.kernel, Backward) else "forth"] * call.kernel.gates
        products = 2.0 * call.kernel.gates * units / STEPWISE
        return Cost(PRODUCT_LAUNCH, 0.0, batch * length * units * (gates + products) / elements)
    in_l1 = call.kernel.nbytes(call) / (machine.speed("L1") * 1e9)
    flops = WORK.get(name, 2.0) * call.kernel.flops(call) * (filled(call, machine.lanes) if name in WORK else 1.0)
    return Cost(LAUNCH, 0.0, max(flops, in_l1 * machine.roof.peak * 1e9) / elements)


def filled(call: Call, lanes: int) -> float:
    """What whole vectors of channels are of the channels, for kernels that work pixel by pixel on images."""
    shape = call.outputs[0].shape if call.kernel.name != "depthwise_grad_weight" else call["x"].shape
    images = len(shape) == 4 and not call.kernel.name.startswith("attention")
    return padded(shape[3], lanes) / shape[3] if images and shape[3] else 1.0


def _stream(call: Call, fetched: Fetched, machine: Machine) -> Prediction:
    """A kernel that passes over its arrays: arithmetic and fetching overlap."""
    cost, (lines, elements) = cost_of(call, machine), extent(call)
    latency = (cost.launch + COLD + lines * cost.line + _misses(call, fetched.nbytes) + _starts(fetched)) * 1e-9
    arithmetic = elements * cost.element / (machine.roof.peak * 1e9)
    traffic = machine.traffic(fetched.nbytes)
    seconds = latency + max(arithmetic, sum(traffic.values()))
    traffic["L1"] = call.kernel.nbytes(call) / (machine.speed("L1") * 1e9)
    return Prediction(latency, arithmetic, traffic, seconds)


def _misses(call: Call, fetched: dict[str, float]) -> float:
    """Nanoseconds of waiting for rows that a gather takes from random places."""
    picked = picked_rows(call)
    if picked is not None:
        return min(picked) * sum(MISS.get(level, 0.0) * n for level, n in fetched.items()) / (
            sum(fetched.values()) or 1.0)
    if not any(t is not None and t.memory.source for t in call.inputs if hasattr(t, "memory")):
        return 0.0
    rows, total = call.outputs[0].shape[0] if call.outputs[0].shape else 1, sum(fetched.values()) or 1.0
    return rows * sum(MISS.get(level, 0.0) * nbytes / total for level, nbytes in fetched.items())


def _starts(fetched: Fetched) -> float:
    """Nanoseconds until the first lines of each array are there and the prefetcher runs ahead."""
    return sum(FIRST.get(level, 0.0) * lines for level, lines in fetched.starts.items())


# ---------------------------------------------------------------------- matrix products

CONVOLUTIONS = ("conv", "conv_grad_input", "conv_grad_weight", "conv_transpose")
PRODUCTS = frozenset(("dense", "dense_grad_input", "dense_grad_weight", "norm_dense_grad", "matmul", *CONVOLUTIONS))


def is_product(call: Call) -> bool:
    return call.kernel.name in PRODUCTS


def shape_of(call: Call) -> tuple[int, int, int]:
    """(rows, columns, terms) of the result of a matrix product; those of a batch count as rows."""
    name = call.kernel.name
    if name == "dense":
        (m, k), n = call["x"].shape, call["w"].shape[1]
        return m, n, k
    if name == "dense_grad_input":
        m, (k, n) = call["dz"].shape[0], call["w"].shape
        return m, k, n
    if name == "matmul":
        batch, m, k, n = call.kernel.sizes(call)[:4]
        return batch * m, n, k
    if name in CONVOLUTIONS:
        return _convolved(call)
    (m, k), n = call["x"].shape, call["dz"].shape[1]
    return k, n, m


def _convolved(call: Call) -> tuple[int, int, int]:
    """The same of a convolution: its groups are so many products, each with its share of the columns."""
    g = call.kernel.geometry(call)
    pixels, window, channels, filters = g.N * g.OH * g.OW, g.KH * g.KW, g.C // g.groups, g.F // g.groups
    if call.kernel.name != "conv_grad_weight" and call.kernel.winograd(g):
        rows, columns, channels, filters = call.kernel.outputs_of(g)  # a product for each of 16 points of the tiles
        return g.N * 16 * winograd.tiles(rows, columns), filters, channels
    if call.kernel.name == "conv":
        return pixels * g.groups, filters, window * channels
    if call.kernel.name == "conv_grad_weight":
        if call.kernel.winograd(g):     # a product for each of 16 points, over tiles of 2 x 2 pixels
            return 16 * channels, filters, g.N * winograd.tiles(g.OH, g.OW)
        return window * channels * g.groups, filters, pixels
    # phases of a stride share the taps: as many products as there are pixels of dz, however many there are of x
    return pixels * g.groups, channels, window * filters


def padded(n: int, lanes: int) -> int:
    """Columns that a product of n columns computes: whole vectors."""
    return -(-n // lanes) * lanes


def _product(call: Call, fetched: Fetched, machine: Machine) -> Prediction:
    """A matrix product: fetching from near hides behind the arithmetic; packing and fetching from far away don't."""
    rows, columns, terms = shape_of(call)
    peak, l2 = machine.roof.peak * 1e9, machine.speed("L2") * 1e9
    arithmetic = 2.0 * rows * padded(columns, machine.lanes) * terms / (MICRO * peak)
    arithmetic += (STORED * rows * columns + _packed(call)) / l2
    name, latency = call.kernel.name, (PRODUCT_LAUNCH + COLD) * 1e-9
    if name == "norm_dense_grad":
        arithmetic += SCALED * rows * columns / peak + SCALED_ROW * rows * 1e-9
    arithmetic += _edges(call, rows * columns) / peak
    traffic = {level: s if level == "L2" else s * STRIDED for level, s in machine.traffic(fetched.nbytes).items()}
    # Forward products walk along the rows of their weights: what L3 holds of them comes ahead of time.
    near = traffic.get("L2", 0.0) + (traffic.get("L3", 0.0) if name == "dense" else 0.0)
    seconds = latency + max(arithmetic, near) + sum(traffic.values()) - near
    traffic["L1"] = call.kernel.nbytes(call) / (machine.speed("L1") * 1e9)
    return Prediction(latency, arithmetic, traffic, seconds)


def _packed(call: Call) -> float:
    """Bytes' worth of packing an operand or turning it around."""
    name = call.kernel.name
    if name == "dense_grad_input":
        return TURNED * call["w"].size
    if name == "matmul" and call.attr("transpose_b"):
        return TURNED * call["b"].size
    if name == "conv_grad_weight" and call.kernel.winograd(call.kernel.geometry(call)):
        rows, columns, tiles = shape_of(call)
        return TRANSFORMED * tiles * (rows + 16 * columns)
    rows, columns, terms = shape_of(call)
    packs = name in ("dense", "matmul") and rows >= PACK_ROWS and columns * terms >= PACK_FROM
    return PACKED * columns * terms if packs else 0.0


def _edges(call: Call, elements: int) -> float:
    """FLOPs' worth of the activation, or of its derivative, at the edges of the tiles."""
    kind = call.attrs.get("activation", "linear")
    forward = call.kernel.name in ("dense", "conv", "conv_transpose")
    if kind == "linear" or forward and kind == "relu":
        return 0.0
    family = "activation" if forward else "activation_grad"
    entry = COSTS.get(f"{family}/{kind}")
    return entry.element * elements if entry else 0.0
