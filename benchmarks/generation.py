"""Tokens per second of `fastnn.generate`, with keys and values kept and with the window read for each token.

The network is that of examples/char_transformer.py, untrained, with windows of several lengths; each is filled from its
first token to its last. Both ways in turn, the shortest time of some runs.

Usage: python benchmarks/generation.py [--windows 64 256 1024] [--rows 1] [--threads 1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import fastnn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import char_transformer


def tokens_per_second(window: int, rows: int, repeats: int) -> dict[bool, float]:
    """By whether keys and values are kept; tokens of all rows together."""
    char_transformer.CONTEXT = window
    model, first = char_transformer.network(65), np.zeros((rows, 1), int)
    best = {}
    for _ in range(repeats + 1):
        for kept in (True, False):
            start = time.perf_counter()
            fastnn.generate(model, first, window - 1, seed=1, use_cache=kept)
            best[kept] = min(best.get(kept, np.inf), time.perf_counter() - start)
    return {kept: rows * (window - 1) / seconds for kept, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    fastnn.set_num_threads(args.threads)
    print("| window | read for each token | kept | times as many |\n| --- | --- | --- | --- |")
    for window in args.windows:
        found = tokens_per_second(window, args.rows, args.repeats)
        print(f"| {window} | {found[False]:,.0f} | {found[True]:,.0f} | {found[True] / found[False]:.0f} |")


if __name__ == "__main__":
    main()
