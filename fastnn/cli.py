"""The command ``fastnn``: train, explain, race, info and demo from the shell."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence

from .extras import need

RACE_DIMENSIONS = ("n", "rows", "columns", "M", "K", "N")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="fastnn", description="Neural networks on CPUs.")
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train the batch-normalised network on a data set and test it")
    train.add_argument("dataset", nargs="?", default="fashion-mnist", choices=("fashion-mnist", "digits"))
    train.add_argument("--epochs", type=_positive, default=10)
    train.add_argument("--batch-size", type=_positive, default=32)
    train.add_argument("--optimizer", default="sgd")
    train.add_argument("--seed", type=int, default=42)
    train.add_argument("--out", help="folder for the model and the learning curve")

    explain = commands.add_parser("explain", help="print the program of a training step, with times")
    explain.add_argument("dataset", nargs="?", default="fashion-mnist", choices=("fashion-mnist", "digits"))
    explain.add_argument("--batch-size", type=_positive, default=32)
    explain.add_argument("--optimizer", default="sgd")

    _race_arguments(commands.add_parser("race", help="race a kernel in all its forms: NumPy, Numba, native, libraries"))

    commands.add_parser("info", help="print CPU path, threads, measured peak and copy speed, backends, versions")

    demo = commands.add_parser("demo", help="train, test and explain; leave model and learning curve in a folder")
    demo.add_argument("--out", default="demo-output")
    demo.add_argument("--epochs", type=_positive, default=20)

    arguments = parser.parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except (OSError, ImportError, MemoryError, ValueError) as error:
        print(f"fastnn {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return value


def _train(arguments) -> int:
    from . import demo

    demo.train(arguments.dataset, arguments.epochs, arguments.batch_size, arguments.optimizer, arguments.seed,
               arguments.out)
    return 0


def _explain(arguments) -> int:
    from . import demo

    (x, y), _ = demo.load(arguments.dataset)
    model = demo.network(x.shape[1:], arguments.optimizer)
    demo.explain(model, x, y, arguments.batch_size)
    return 0


def _race_arguments(race: argparse.ArgumentParser) -> None:
    race.add_argument("kernels", nargs="*", metavar="KERNEL", help="adam, dense, ...; see --list")
    race.add_argument("--list", action="store_true", help="print which kernel has which forms")
    race.add_argument("--sizes", nargs="+", metavar="SIZE", help="16k 1M (elements), 1024x10, 32x784x300")
    for name in RACE_DIMENSIONS:
        race.add_argument(f"--{name}", metavar="COUNT", help=argparse.SUPPRESS)
    race.add_argument("--attr", nargs="+", default=[], metavar="NAME=VALUE", help="attributes: kind=gelu axes=0")
    race.add_argument("--threads", nargs="+", type=_positive, metavar="T", help="1 and all by default")
    race.add_argument("--backends", nargs="+", metavar="B", help="of numpy numba native torch jax; all by default")
    race.add_argument("--paths", nargs="+", metavar="PATH", help="CPU paths of the native form; all by default")
    race.add_argument("--seconds", type=float, default=0.2, help="for each contender")
    race.add_argument("--cold", action="store_true", help="empty the caches before each run")
    race.add_argument("--picture", metavar="FILE", help="draw the roofline into this file")
    race.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    race.epilog = f"Single dimensions: {', '.join(f'--{n} COUNT' for n in RACE_DIMENSIONS)}."


def _race(arguments) -> int:
    from .race import forms, race
    from .race.report import FOOT
    from .race.sizes import count

    if arguments.list:
        print(forms())
        return 0
    if not arguments.kernels:
        raise ValueError("which kernel? `fastnn race --list` shows all of them.")
    if arguments.picture:
        need("matplotlib", extra="plot")  # now, not after the race
    options = {name: count(value) for name in RACE_DIMENSIONS if (value := getattr(arguments, name)) is not None}
    options |= dict(map(_attribute, arguments.attr))
    taken = {"threads": arguments.threads, "backends": arguments.backends, "paths": arguments.paths}
    total = None
    for kernel in arguments.kernels:
        result = race(kernel, arguments.sizes, seconds=arguments.seconds, cold=arguments.cold, **taken, **options)
        if not arguments.json:
            print(result.tables(), end="\n\n", flush=True)
        total = result if total is None else total + result
    print(total.to_json(indent=1) if arguments.json else f"{total.machine}\n{textwrap.fill(FOOT, 118)}")
    if arguments.picture:
        total.draw().figure.savefig(arguments.picture, dpi=150)
    return 0


def _attribute(text: str) -> tuple[str, object]:
    """NAME=VALUE: a number, numbers with commas between them, none, or text."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"--attr {text}: write NAME=VALUE, such as kind=gelu.")
    if value.lower() == "none":
        return name, None
    for convert in (int, float, lambda v: tuple(map(int, v.split(",")))):
        try:
            return name, convert(value)
        except ValueError:
            continue
    return name, value


def _info(arguments) -> int:
    from . import info

    print(info.report())
    return 0


def _demo(arguments) -> int:
    from . import demo

    demo.main(arguments.out, arguments.epochs)
    return 0


COMMANDS = {"train": _train, "explain": _explain, "race": _race, "info": _info, "demo": _demo}

if __name__ == "__main__":
    sys.exit(main())
