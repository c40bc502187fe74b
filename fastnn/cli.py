"""The command ``fastnn``: train, explain, info and demo from the shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


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

    commands.add_parser("info", help="print CPU path, threads, measured peak and copy speed, backends, versions")

    demo = commands.add_parser("demo", help="train, test and explain; leave model and learning curve in a folder")
    demo.add_argument("--out", default="demo-output")
    demo.add_argument("--epochs", type=_positive, default=20)

    arguments = parser.parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except (FileNotFoundError, ImportError, ValueError) as error:
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


def _info(arguments) -> int:
    from . import info

    print(info.report())
    return 0


def _demo(arguments) -> int:
    from . import demo

    demo.main(arguments.out, arguments.epochs)
    return 0


COMMANDS = {"train": _train, "explain": _explain, "info": _info, "demo": _demo}

if __name__ == "__main__":
    sys.exit(main())
