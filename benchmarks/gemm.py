"""Our matrix product alone, against PyTorch's and NumPy's: GFLOP/s and the error beside them.

    taskset -c 0 python benchmarks/gemm.py [--path v3] [--gradients] [MxKxN ...]

One thread each; the contenders take turns and the best of many repeats counts, so that other load on the
machine meets all alike. Errors are the largest deviation from the product in float64, in units of
float32's eps times the largest element. PyTorch is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import os
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

from fastnn.kernels import single, tables
from fastnn.kernels.dense import dense, dense_grad_input, dense_grad_weight
from fastnn.kernels.native import core

SIZES = ["1024x1024x1024", "2048x2048x2048", "32x784x300", "64x128x128", "128x1024x1024", "512x2048x2048", "1x784x300",
         "32x300x100", "64x100x100", "256x784x256"]


def aligned(a: np.ndarray) -> np.ndarray:
    """A copy whose data starts at a multiple of 64 bytes, as the arrays of a program do."""
    raw = np.empty(a.nbytes + 64, np.uint8)
    shift = -raw.ctypes.data % 64
    out = raw[shift:shift + a.nbytes].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def native(kernel, *inputs, **attrs):
    """A function that runs all tiles of the kernel's native form, and its outputs.

    The one place that knows how a kernel is run.
    """
    inputs = [None if x is None else aligned(x) for x in inputs]
    call = single.describe(kernel, inputs, attrs)
    outputs = [aligned(np.zeros(a.shape, a.dtype)) for a in call.outputs]
    arguments = (tables.form("native", kernel.name), [0 if a is None else a.ctypes.data for a in (*outputs, *inputs)],
                 list(map(int, kernel.sizes(call))), kernel.numbers(call.attrs), 0, kernel.tiles(call),
                 kernel.scratch(call))
    return (lambda: core.call(*arguments)), outputs, (call, inputs)


def race(contenders: dict, seconds: float) -> dict[str, float]:
    """Least time of each function, taking turns until each has had its seconds."""
    best = dict.fromkeys(contenders, float("inf"))
    end = time.perf_counter() + seconds * len(contenders)
    while time.perf_counter() < end:
        for name, f in contenders.items():
            repeats = max(1, min(50, int(2e-3 / best[name]) if best[name] < 1 else 1))
            for _ in range(repeats):
                start = time.perf_counter()
                f()
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def products(m: int, k: int, n: int, rng, gradients: bool):
    """name -> (our function, its output, left, right) of the product and the layer's two gradients."""
    x, w = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
    dz = rng.normal(size=(m, n)).astype(np.float32)
    run, (y,), about = native(dense, x, w, None)
    yield "x @ w", run, y, x, w, about
    if gradients:
        run, (dx,), about = native(dense_grad_input, dz, w, None)
        yield "dz @ w.T", run, dx, dz, w.T, about
        run, (dw, _), about = native(dense_grad_weight, x, dz, None)
        yield "x.T @ dz", run, dw, x.T, dz, about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=SIZES, help="MxKxN")
    parser.add_argument("--path", help="CPU path; the best by default")
    parser.add_argument("--gradients", action="store_true", help="also the two gradients of a dense layer")
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
          f" {'torch':>8} {'numpy':>8} {'error':>6} {'/torch':>7} {'/numpy':>7}")
    for size in args.sizes or SIZES:
        m, k, n = map(int, size.split("x"))
        for name, run, out, left, right, (call, _) in products(m, k, n, rng, args.gradients):
            theirs = np.empty_like(out)
            contenders = {"fastnn": run}
            if not args.alone:
                contenders["numpy"] = lambda left=left, right=right, theirs=theirs: np.matmul(left, right, out=theirs)
                if torch is not None:
                    a, b, c = torch.from_numpy(left), torch.from_numpy(right), torch.empty(out.shape)
                    contenders["torch"] = lambda a=a, b=b, c=c: torch.mm(a, b, out=c)
            best = race(contenders, args.seconds)
            exact = left.astype(np.float64) @ right.astype(np.float64)
            unit = np.finfo(np.float32).eps * np.abs(exact).max()
            rate = {c: 2e-9 * m * k * n / t for c, t in best.items()}
            text = f"{name:10}{size:>16} {call.kernel.tiles(call):>6} {best['fastnn'] * 1e6:>9.1f}"
            text += f" {rate['fastnn']:>8.1f} {np.abs(out - exact).max() / unit:>6.1f}"
            if not args.alone:
                torch_rate, error = rate.get("torch", np.nan), np.abs(theirs - exact).max() / unit
                text += f" {torch_rate:>8.1f} {rate['numpy']:>8.1f} {error:>6.1f}"
                text += f" {rate['fastnn'] / torch_rate:>7.2f} {rate['fastnn'] / rate['numpy']:>7.2f}"
            print(text, flush=True)


if __name__ == "__main__":
    main()
