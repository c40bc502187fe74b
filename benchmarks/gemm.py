"""Our matrix product alone, against PyTorch's and NumPy's: GFLOP/s and the error beside them.

    taskset -c 0 python benchmarks/gemm.py [--path v3] [--gradients] [--numba] [MxKxN ...]

One thread each; the contenders take turns and the best of many repeats counts, so that other load on the
machine meets all alike. Errors are the largest deviation from the product in float64, in units of
float32's eps times the largest element. PyTorch is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

from fastnn.kernels.dense import dense, dense_grad_input, dense_grad_weight
from fastnn.kernels.native import core
from fastnn.race.contenders import native
from fastnn.race.timing import aligned, take_turns

SIZES = ["1024x1024x1024", "2048x2048x2048", "32x784x300", "64x128x128", "128x1024x1024", "512x2048x2048", "1x784x300",
         "32x300x100", "64x100x100", "256x784x256"]


def products(m: int, k: int, n: int, rng, gradients: bool):
    """(name, left, right, kernel, its inputs) of the product and the layer's two gradients."""
    x, w = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
    dz = rng.normal(size=(m, n)).astype(np.float32)
    yield "x @ w", x, w, dense, (x, w, None)
    if gradients:
        yield "dz @ w.T", dz, w.T, dense_grad_input, (dz, w, None)
        yield "x.T @ dz", x.T, dz, dense_grad_weight, (x, dz, None)


def one_call(kernel, inputs, backend="native"):
    """The kernel as a program of one call, on one thread: a function of repetitions, and the call."""
    run, call = native(kernel, [None if x is None else aligned(x) for x in inputs], backend)
    return lambda repetitions: run(repetitions, 1), call


def repeated(function):
    """The function as one of repetitions."""
    def run(repetitions):
        for _ in range(repetitions):
            function()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=SIZES, help="MxKxN")
    parser.add_argument("--path", help="CPU path; the best by default")
    parser.add_argument("--gradients", action="store_true", help="also the two gradients of a dense layer")
    parser.add_argument("--numba", action="store_true", help="also the Numba forms")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each contender and size")
    parser.add_argument("--alone", action="store_true", help="without NumPy and PyTorch")
    args = parser.parse_args()
    core.select_path(args.path)
    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        torch = None
    rng = np.random.default_rng(0)
    print(f"path {core.path()}, one thread; GFLOP/s of the best run; error in eps")
    print(f"{'':10}{'MxKxN':>16} {'tiles':>6} {'us':>9} {'fastnn':>8} {'error':>6}"
          f" {'torch':>8} {'numpy':>8} {'error':>6} {'/torch':>7} {'/numpy':>7}"
          + (f" {'numba':>8} {'/numpy':>7}" if args.numba else ""))
    for size in args.sizes or SIZES:
        m, k, n = map(int, size.split("x"))
        for name, left, right, kernel, inputs in products(m, k, n, rng, args.gradients):
            run, call = one_call(kernel, inputs)
            out = call.extra["arrays"][0][0]
            theirs = np.empty_like(out)
            contenders = {"fastnn": run}
            if args.numba:
                contenders["numba"], kept = one_call(kernel, inputs, "numba")  # the call keeps its arrays
            if not args.alone:
                contenders["numpy"] = repeated(partial(np.matmul, left, right, out=theirs))
                if torch is not None:
                    a, b, c = torch.from_numpy(left), torch.from_numpy(right), torch.empty(out.shape)
                    contenders["torch"] = repeated(partial(torch.mm, a, b, out=c))
            best = {name: min(times) for name, times in take_turns(contenders, args.seconds).items()}
            exact = left.astype(np.float64) @ right.astype(np.float64)
            unit = np.finfo(np.float32).eps * np.abs(exact).max()
            rate = {c: 2e-9 * m * k * n / t for c, t in best.items()}
            text = f"{name:10}{size:>16} {call.kernel.tiles(call):>6} {best['fastnn'] * 1e6:>9.1f}"
            text += f" {rate['fastnn']:>8.1f} {np.abs(out - exact).max() / unit:>6.1f}"
            if not args.alone:
                torch_rate, error = rate.get("torch", np.nan), np.abs(theirs - exact).max() / unit
                text += f" {torch_rate:>8.1f} {rate['numpy']:>8.1f} {error:>6.1f}"
                text += f" {rate['fastnn'] / torch_rate:>7.2f} {rate['fastnn'] / rate['numpy']:>7.2f}"
                if args.numba:
                    text += f" {rate['numba']:>8.1f} {rate['numba'] / rate['numpy']:>7.2f}"
            print(text, flush=True)


if __name__ == "__main__":
    main()
