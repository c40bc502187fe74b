"""Kernels that move more than they compute: how near to a plain copy are they, and how far from NumPy?

    python benchmarks/kernels.py [adam sgd ...] [--sizes 16k 256k 4M 32M] [--threads 1 2] [--seconds 0.3] [--json]

For each kernel and size, the error against the float64 meaning comes first, then the times. Kernel, copy and NumPy
take turns in one process. `copy` is the share of the speed of a plain copy with the same working set and threads
(bytes that must be read and written, over time). An update in place can pass 100 % beyond the caches: it writes lines
that it has read, where a copy must first fetch those that it overwrites. `x numpy` is how many times faster than the
NumPy lines below, which are written as one writes them by hand, on one thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from common import EPS, Report, aligned, copier, count, minimum_and_median, native, parser, race, short

from fastnn import machine
from fastnn.kernels import dropout, elementwise, norm, optim, single
from fastnn.kernels.spec import Kernel

SIZES = ("16k", "256k", "4M", "32M")
COLUMNS = 512  # of batch normalisation
RANDOM = np.random.default_rng(0)
CHECKED = 1 << 20  # elements at most of the arrays with which the error is found


@dataclass(frozen=True)
class Entry:
    """A kernel, its inputs for n elements, its attributes, and the same by hand in NumPy (writing its inputs alike)."""

    kernel: Kernel
    make: Callable[[np.random.Generator, int], tuple]
    plain: Callable[..., object]
    attrs: dict = field(default_factory=dict)


def normal(rng, *shape):
    return rng.standard_normal(shape, np.float32)


def number(value):
    return np.array(value, np.float64)


def plain_sgd(g, rate, w):
    w -= np.float32(rate) * g


def plain_momentum(g, rate, mu, w, v):
    v *= np.float32(mu)
    v -= np.float32(rate) * g
    w += v


def plain_rmsprop(g, rate, w, v):
    v += (g * g - v) * np.float32(0.1)
    w -= np.float32(rate) * g / np.sqrt(v + np.float32(1e-7))


def plain_adam(g, alpha, epsilon, w, m, v):
    m += (g - m) * np.float32(0.1)
    v += (g * g - v) * np.float32(0.001)
    w -= np.float32(alpha) * m / (np.sqrt(v) + np.float32(epsilon))


def plain_batch_norm(x, gamma, beta, moving_mean, moving_var):
    mean, var = x.mean(0), x.var(0)
    y = (x - mean) * (gamma / np.sqrt(var + np.float32(1e-3))) + beta
    moving_mean += (mean - moving_mean) * np.float32(0.01)
    moving_var += (var - moving_var) * np.float32(0.01)
    return y


def plain_batch_norm_grad(dy, x, gamma, mean, rstd):
    xhat = (x - mean) * rstd
    dgamma, dbeta = (dy * xhat).sum(0), dy.sum(0)
    n = np.float32(1 / len(x))
    return gamma * rstd * (dy - dbeta * n - xhat * (dgamma * n)), dgamma, dbeta


def plain_dropout(x, step):
    keep = RANDOM.random(x.shape, np.float32) >= np.float32(0.2)
    return x * keep * np.float32(1.25)


def plain_clip(x):
    return np.clip(x, np.float32(-1), np.float32(1))


def matrix(rng, n):
    return normal(rng, n // COLUMNS, COLUMNS)


def batch_norm_grad_inputs(rng, n):
    x = matrix(rng, n)
    return matrix(rng, n), x, normal(rng, COLUMNS), x.mean(0), 1 / np.sqrt(x.var(0) + np.float32(1e-3))


def positive(rng, n):
    return np.square(normal(rng, n))


ENTRIES = {
    "adam": Entry(optim.adam, lambda rng, n: (normal(rng, n), number(1e-3), number(1e-7), normal(rng, n),
                                              normal(rng, n), positive(rng, n)), plain_adam),
    "sgd": Entry(optim.sgd, lambda rng, n: (normal(rng, n), number(1e-3), normal(rng, n)), plain_sgd),
    "momentum": Entry(optim.momentum, lambda rng, n: (normal(rng, n), number(1e-3), number(0.9), normal(rng, n),
                                                      normal(rng, n)), plain_momentum),
    "rmsprop": Entry(optim.rmsprop, lambda rng, n: (normal(rng, n), number(1e-3), normal(rng, n), positive(rng, n)),
                     plain_rmsprop),
    "batch_norm": Entry(norm.batch_norm, lambda rng, n: (matrix(rng, n), normal(rng, COLUMNS), normal(rng, COLUMNS),
                                                         normal(rng, COLUMNS), positive(rng, COLUMNS)),
                        plain_batch_norm),
    "batch_norm_grad": Entry(norm.batch_norm_grad, batch_norm_grad_inputs, plain_batch_norm_grad),
    "dropout": Entry(dropout.dropout, lambda rng, n: (normal(rng, n), number(7)), plain_dropout,
                     dict(rate=0.2, key0=1, key1=2)),
    "clip": Entry(elementwise.clip, lambda rng, n: (normal(rng, n),), plain_clip, dict(low=-1.0, high=1.0)),
}


def error(entry: Entry, n: int) -> float:
    """The largest error of any output against the float64 meaning, in eps times the output's largest magnitude."""
    inputs = entry.make(np.random.default_rng(1), min(n, CHECKED))
    got = single.run(entry.kernel, *inputs, **entry.attrs)
    wide = [x.astype(np.float64) if x.ndim else x for x in inputs]
    want = entry.kernel.numpy(*wide, **entry.kernel.complete(entry.attrs))
    want = want if isinstance(want, tuple) else (want,)
    return max(float(np.abs(g - w).max() / (EPS * max(np.abs(w).max(), 1e-30))) for g, w in zip(got, want))


def measure(name: str, n: int, threads: list[int], seconds: float):
    """One row for each number of threads."""
    entry = ENTRIES[name]
    eps = error(entry, n)
    inputs = tuple(aligned(x) for x in entry.make(np.random.default_rng(0), n))
    run, call = native(entry.kernel, inputs, **entry.attrs)
    outputs, _ = call.extra["arrays"]
    working_set = sum({a.ctypes.data: a.nbytes for a in (*outputs, *inputs)}.values())
    moved = entry.kernel.nbytes(call)
    copy, copied = copier(working_set)

    def plain(repetitions):
        for _ in range(repetitions):
            entry.plain(*inputs)

    contenders = {"numpy": plain}
    for t in threads:
        contenders[f"copy {t}"] = lambda k, t=t: copy(k, t)
        contenders[f"fastnn {t}"] = lambda k, t=t: run(k, t)
    with np.errstate(all="ignore"):
        times = race(contenders, seconds)
    by_hand, _ = minimum_and_median(times["numpy"])
    for t in threads:
        best, median = minimum_and_median(times[f"fastnn {t}"])
        copy_speed = copied / min(times[f"copy {t}"]) / 1e9
        yield dict(kernel=name, elements=short(n), MiB=working_set / 2**20, threads=t, error=eps, us=best * 1e6,
                   median=median * 1e6, **{"GB/s": moved / best / 1e9, "copy GB/s": copy_speed,
                                           "copy": moved / best / 1e9 / copy_speed, "numpy us": by_hand * 1e6,
                                           "x numpy": by_hand / best})


COLUMN_FORMATS = {"kernel": "15s", "elements": "5s", "MiB": "7.2f", "threads": "d", "error": "5.1f", "us": "9.1f",
                  "median": "9.1f", "GB/s": "6.1f", "copy GB/s": "6.1f", "copy": "5.0%", "numpy us": "9.1f",
                  "x numpy": "6.1f"}


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("kernels", nargs="*", help=f"of {', '.join(ENTRIES)}; all by default")
    p.add_argument("--sizes", nargs="+", default=SIZES, metavar="N", help="elements, also as 16k or 4M")
    p.add_argument("--threads", nargs="+", type=int, help="1 and all cores by default")
    p.add_argument("--seconds", type=float, default=0.3, help="for each contender")
    args = p.parse_args(argv)
    unknown = set(args.kernels) - set(ENTRIES)
    if unknown:
        sys.exit(f"There is no entry {sorted(unknown)[0]!r}; there are {', '.join(ENTRIES)}.")
    threads = args.threads or sorted({1, machine.physical_cores()})
    report = Report("kernels", args.json, COLUMN_FORMATS)
    for name in args.kernels or ENTRIES:
        for size in args.sizes:
            for row in measure(name, count(size), threads, args.seconds):
                report.add(**row)


if __name__ == "__main__":
    main()
