"""The same kernel in two languages: how far is its Numba form from the native one, and a user's kernel from its twin?

    python benchmarks/languages.py [adam dense ...] [--sizes 16k 256k 4M] [--seconds 0.1] [--json]

One thread each, taking turns in one process. `ratio` is the time of the Python form over the native one; the error,
in ulps of the result's scale against the float64 meaning, comes first. The last lines race two kernels as a user would
write them (swish, AdamW) with the built-in ones, and matrix products with NumPy's BLAS on one thread.
"""

from __future__ import annotations

import numpy as np
from common import Report, parser

import fastnn
from fastnn.kernels import activation, optim, tables
from fastnn.kernels.spec import KERNELS
from fastnn.race.contenders import native
from fastnn.race.entries import entry
from fastnn.race.sizes import count, short
from fastnn.race.timing import aligned, minimum_and_median, take_turns

SIZES = ("16k", "256k", "4M")
PRODUCTS = ("dense", "dense_grad_input", "dense_grad_weight", "norm_dense_grad", "matmul")
SHAPES = ((32, 784, 300), (64, 128, 128), (128, 1024, 1024), (1024, 1024, 1024))
COLUMNS = {"kernel": "38s", "size": "18s", "error": "6.1f", "native us": "10.1f", "python us": "10.1f",
           "numpy us": "10.1f", "ratio": "6.2f"}


@fastnn.elementwise(derivative=lambda x: (1 + np.exp(-x) * (1 + x)) / (1 + np.exp(-x)) ** 2)
def swish(x):
    return x / (1 + np.exp(-x))


@fastnn.update_rule(slots=["m", "v"], scalars={
    "alpha": lambda rate, t, beta_1, beta_2: rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)})
def adamw(w, g, m, v, rate, alpha, decay=0.004, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    return w - rate * decay * w - alpha * m / (np.sqrt(v) + epsilon), m, v


def forms(name: str, size: str | tuple, seconds: float) -> dict:
    """One kernel in both languages."""
    path = fastnn.cpu_info()["path"]
    backends = ["native", "numba"] + (["numpy"] if name in PRODUCTS else [])
    rows = {r.backend: r for r in fastnn.race(name, [size], threads=1, backends=backends, paths=[path],
                                              seconds=seconds).rows}
    numba, compiled = rows["numba"], rows["native"]
    return {"kernel": name, "size": "x".join(map(short, compiled.size.values())),
            "error": numba.agreement.ulps, "native us": compiled.minimum * 1e6, "python us": numba.minimum * 1e6,
            "numpy us": rows["numpy"].minimum * 1e6 if "numpy" in rows else None,
            "ratio": numba.minimum / compiled.minimum}


def sizes_of(name: str, given) -> list:
    """Those to race a kernel on: `given`, but shapes for products, and the usual size for images and sequences."""
    usual = entry(name).size
    if "M" in usual:
        return list(SHAPES)
    return [tuple(usual.values())] if len(usual) > 2 else [count(size) for size in given]


def twins(mine, built_in, inputs, attrs: dict, n: int, seconds: float) -> dict:
    """A user's kernel and the built-in one on the same arrays."""
    own, theirs = (tuple(x if x is None else aligned(x) for x in group) for group in inputs)
    runs = {"native": native(built_in, theirs, **attrs)[0], "python": native(mine, own)[0]}
    times = take_turns({name: (lambda k, run=run: run(k, 1)) for name, run in runs.items()}, seconds)
    least = {name: minimum_and_median(t)[0] for name, t in times.items()}
    return {"kernel": f"a user's {mine.name}", "size": short(n), "native us": least["native"] * 1e6,
            "python us": least["python"] * 1e6, "ratio": least["python"] / least["native"]}


def user_kernels(n: int, seconds: float):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, n), np.float32)
    silu = {"kind": "silu"}
    yield twins(swish, activation.activation, ((x,), (x,)), silu, n, seconds)
    yield twins(swish._gradients["x"], activation.activation_grad, ((dy, x), (dy, x, None)), silu, n, seconds)
    g, w, m = rng.standard_normal((3, n), np.float32)
    v, one = np.square(g) + np.float32(2), np.float64
    mine = (g, one(1e-3), one(1e-3), w, m, v)
    theirs = (g, one(1e-3), one(1e-7), one(4e-6), w, m, v)
    yield twins(adamw.rule, optim.adamw, (mine, theirs), {}, n, seconds)


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("kernels", nargs="*", help="all that have both forms by default")
    p.add_argument("--sizes", nargs="+", default=SIZES, metavar="N", help="elements, also as 16k or 4M")
    p.add_argument("--seconds", type=float, default=0.1, help="for each contender")
    args = p.parse_args(argv)
    report = Report("languages", args.json, COLUMNS)
    both = [n for n in KERNELS if tables.has_form("native", n) and tables.has_form("numba", n)]
    for name in args.kernels or both:
        for size in sizes_of(name, args.sizes):
            report.add(**forms(name, size, args.seconds))
    if not args.kernels:
        for size in map(count, args.sizes):
            for row in user_kernels(size, args.seconds):
                report.add(**row)
    ratios = [r["ratio"] for r in report.rows]
    slow = sorted({r["kernel"] for r in report.rows if r["ratio"] > 2})
    report.say(f"{len(ratios)} ratios: median {np.median(ratios):.2f}, largest {max(ratios):.2f}; above 2: "
               f"{', '.join(slow) or 'none'}.")


if __name__ == "__main__":
    main()
