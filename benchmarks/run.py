"""Run the benchmarks, each in a process of its own; `make bench` runs this.

    python benchmarks/run.py                         # a quick round of a minute or so
    python benchmarks/run.py --full                  # all of them, as long as their numbers need
    python benchmarks/run.py kernels footprint       # some of them
    python benchmarks/run.py kernels adam --sizes 4M # one of them, with options of its own

Their names and questions:

"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Benchmark:
    """quick: its arguments in a quick round, or None if it takes no part; has_json: whether it knows --json."""

    question: str
    quick: tuple[str, ...] | None
    has_json: bool = True


BENCHMARKS = {
    "gemm": Benchmark("how fast is our matrix product beside NumPy's and PyTorch's?",
                      ("--seconds", "0.15", "32x784x300", "256x784x256", "1024x1024x1024"), has_json=False),
    "kernels": Benchmark("how near to a plain copy are the kernels that move more than they compute?",
                         ("--seconds", "0.1", "--sizes", "16k", "256k", "4M")),
    "optimizers": Benchmark("how near to a plain copy is an optimizer's step, and what do schedules and clipping add?",
                            ("--seconds", "0.1", "--threads", "1", "--size", "2M")),
    "contention": Benchmark("what does a step cost while another process burns a core?", ("--seconds", "0.5")),
    "footprint": Benchmark("how much to import, to install, and of memory?", ("--repeats", "7")),
    "team": Benchmark("what does the thread team cost by itself?", None, has_json=False),
    "sweep": Benchmark("how much faster are many small models at once than one after another?", None),
    "accuracy": Benchmark("does it learn as well as Keras does?", None),
}


def run(name: str, arguments=(), as_json: bool = False) -> int:
    """One benchmark in a fresh interpreter; its exit status."""
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    if as_json and BENCHMARKS[name].has_json:
        command.append("--json")
    return subprocess.run(command, check=False).returncode


def main(argv=None) -> int:
    listing = "".join(f"    {name:12}{b.question}\n" for name, b in BENCHMARKS.items())
    p = argparse.ArgumentParser(description=__doc__ + listing, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="name", help="which; all of the round by default")
    p.add_argument("--full", action="store_true", help="with each benchmark's own settings, and the slow ones too")
    p.add_argument("--json", action="store_true", help="JSON lines alone, from those benchmarks that have them")
    args, rest = p.parse_known_args(argv)
    names = list(dict.fromkeys(n for n in args.names if n in BENCHMARKS))
    others = [n for n in args.names if n not in BENCHMARKS]
    if others and not names:
        p.error(f"there is no benchmark {others[0]!r}; there are {', '.join(BENCHMARKS)}")
    if (others or rest) and len(names) != 1:
        p.error(f"{(others + rest)[0]!r} is no option for all benchmarks; give options of its own to one at a time")
    failed = []
    for name in names or [n for n, b in BENCHMARKS.items() if args.full or b.quick is not None]:
        benchmark = BENCHMARKS[name]
        if args.json and not benchmark.has_json:
            continue
        start = time.perf_counter()
        own = (*others, *rest)
        if not args.json:
            print(f"--- {name}: {benchmark.question}", flush=True)
        if run(name, own or (() if args.full else benchmark.quick or ()), args.json):
            failed.append(name)
        if not args.json:
            print(f"--- {name} took {time.perf_counter() - start:.0f} s\n", flush=True)
    if failed:
        print(f"These ended with an error: {', '.join(failed)}.", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
