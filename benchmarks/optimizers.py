"""How near to a plain copy is an optimizer's step, and what do schedules, clipping, averages and class weights add?

    python benchmarks/optimizers.py [adam sgd ...] [--size 10M] [--threads 1 2] [--seconds 0.5] [--only steps] [--json]

Updates: one step over `size` parameters (square matrices of 1000 x 1000 and a bias for each). The error comes first:
the largest difference to the NumPy meaning after three steps, in units of the last place of the largest weight. `words`
is what the formula must read and write for each parameter, in float32 numbers; `copy` is that over the time, as a share
of the rate of a plain copy of arrays as large, which takes turns with it in the same process. An update in place can
pass 100 %: it writes lines that it has read, where a copy must first fetch those that it overwrites. The goal is 85 %.
What needs norms takes more than one pass: see the notes of `Lamb`, `LARS` and `Adafactor`.

Step: the batch-normalised network 784-BN-300-BN-100-BN-10 on batches of 32, with and without what is named. All take
turns; `adds` compares minima (the goal is 3 %), `median` the medians.
"""

from __future__ import annotations

import time

import numpy as np
from common import Report, parser

import fastnn
from fastnn import layers, machine, optimizers
from fastnn.kernels.elementwise import copy
from fastnn.models.data import adapt
from fastnn.models.step import StepProgram
from fastnn.optimizers import schedules
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from fastnn.program.variable import Variable, aligned_zeros, pack
from fastnn.race.sizes import count, short
from fastnn.race.timing import minimum_and_median, take_turns

SIDE = 1000
RUN = 64  #: training steps of one timing: fit, too, tabulates and runs many at a time
#: name -> (arguments, words that move for each parameter: read g, read and write w and each slot, and further passes)
UPDATES = {
    "SGD": ({}, 3), "SGD momentum": ({"momentum": 0.9}, 5), "RMSprop": ({}, 5), "RMSprop centered": (
        {"centered": True, "momentum": 0.5}, 9), "Adagrad": ({}, 5), "Adadelta": ({}, 7), "Adam": ({}, 7),
    "Adam amsgrad": ({"amsgrad": True}, 9), "AdamW": ({}, 7), "Adamax": ({}, 7), "Nadam": ({}, 7), "RAdam": ({}, 7),
    "Lion": ({}, 5), "Ftrl": ({}, 7), "NormalizedSGD": ({}, 4), "LARS": ({}, 7), "Lamb": ({}, 10), "Adafactor": ({}, 6),
}  # Muon's products are bound by arithmetic


def made(name: str):
    return optimizers.get(name.partition(" ")[0]).__class__(learning_rate=1e-3, **UPDATES[name][0])


class Update:
    """One optimizer's step over an arena, its gradients standing where they would stand in a training step."""

    def __init__(self, name: str, size: int, side: int = SIDE, backend: str = "native"):
        rng = np.random.default_rng(0)
        sizes = [(side, side), (side,)] * max(1, round(size / (side * side)))
        variables = [Variable(rng.standard_normal(s, np.float32), name=f"w{i}") for i, s in enumerate(sizes)]
        self.optimizer, graph = made(name), Graph(name)
        self.optimizer.build(variables)
        gradients = aligned_zeros(self.optimizer.arena.array.size)
        gradients[:] = rng.standard_normal(gradients.size, np.float32)
        self.optimizer._update_all(graph, graph.bound(gradients, "gradients"), variables)
        self.program = Program(graph, backend=backend)
        self.bytes = 4 * UPDATES[name][1] * self.optimizer.arena.array.size

    def __call__(self, steps: int) -> None:
        while steps > 0:
            steps -= self.program.run(steps)


def error(name: str) -> float:
    """The difference of native form and meaning after three steps on a small arena, in units of the last place."""
    ends = []
    for backend in ("native", "numpy"):
        update = Update(name, 2 * 50 * 50, 50, backend)
        update(3)
        ends.append(update.optimizer.arena.array.astype(np.float64))
    return float(np.abs(ends[0] - ends[1]).max() / np.spacing(np.float32(np.abs(ends[1]).max())))


def copying(size: int) -> tuple:
    """A function that copies `size` floats so many times, and the bytes that move each time."""
    arena = pack([Variable(np.ones(size, np.float32)), Variable(np.zeros(size, np.float32))])
    graph, start = Graph("copy"), arena.offsets[1]
    to, written = graph.flat(arena.array, start, start + size), copy(graph.flat(arena.array, 0, size))
    written.place(to.memory, to.offset)
    program = Program(graph)

    def run(times: int) -> None:
        while times > 0:
            times -= program.run(times)

    return run, 8 * size


def clock(threads: int):
    """A step over 10M parameters takes longer than a busy machine lets it run: on one thread its own time counts."""
    return time.thread_time if threads == 1 else time.perf_counter


def updates(report: Report, names: list[str], size: int, threads: list[int], seconds: float) -> None:
    for name in names:
        wrong, update, (plain, moved) = error(name), Update(name, size), copying(size)
        for n in threads:
            fastnn.set_num_threads(n)
            times = take_turns({"update": update, "copy": plain}, seconds, clock=clock(n))
            (least, median), (best, _) = (minimum_and_median(times[k]) for k in ("update", "copy"))
            report.add(optimizer=name, threads=n, error=wrong, words=UPDATES[name][1], ms=least * 1e3,
                       median=median * 1e3, **{"GB/s": update.bytes / least / 1e9, "copy GB/s": moved / best / 1e9,
                                               "copy": update.bytes / least / (moved / best)})


# ---------------------------------------------------------------------- one step of a network


def network(optimizer) -> fastnn.Sequential:
    fastnn.utils.set_random_seed(0)
    model = fastnn.Sequential([fastnn.Input((784,))])
    for width in (300, 100):
        model.add(layers.BatchNormalization())
        model.add(layers.Dense(width, "relu"))
    model.add(layers.BatchNormalization())
    model.add(layers.Dense(10, "softmax"))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def steps_of(optimizer, class_weight=None, batch: int = 32):
    """A function that does so many times `RUN` training steps."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 255, (4096, 784)).astype(np.uint8), rng.integers(0, 10, 4096)
    model, data = network(optimizer), adapt(x, y)
    if class_weight is not None:
        data.weigh_classes(class_weight, 10)
    model._check_targets(data)
    step = StepProgram(model, data, batch, True)
    step.bind(data)
    index = rng.integers(0, 4096, (RUN, batch))

    def run(times: int) -> None:
        for _ in range(times):
            done = 0
            while done < RUN:
                done += step.program.run(RUN - done, {"index": index}, offset=done)

    run.keep = model  # its programs refer to it
    return run


ADDED = {
    "nothing": lambda: steps_of(optimizers.Adam(1e-3)),
    "nothing again": lambda: steps_of(optimizers.Adam(1e-3)),
    "schedule": lambda: steps_of(optimizers.Adam(schedules.CosineDecay(1e-3, 10**6))),
    "weight decay": lambda: steps_of(optimizers.AdamW(1e-3)),
    "clipvalue": lambda: steps_of(optimizers.Adam(1e-3, clipvalue=1.0)),
    "clipnorm": lambda: steps_of(optimizers.Adam(1e-3, clipnorm=1.0)),
    "global_clipnorm": lambda: steps_of(optimizers.Adam(1e-3, global_clipnorm=1.0)),
    "adaptive_clipnorm": lambda: steps_of(optimizers.Adam(1e-3, adaptive_clipnorm=0.01)),
    "use_ema": lambda: steps_of(optimizers.Adam(1e-3, use_ema=True)),
    "class weights": lambda: steps_of(optimizers.Adam(1e-3), {i: 1.0 + i / 10 for i in range(10)}),
}


def steps(report: Report, threads: list[int], seconds: float) -> None:
    contenders = {name: make() for name, make in ADDED.items()}
    for n in threads:
        fastnn.set_num_threads(n)
        times = take_turns(contenders, 4 * seconds, clock=clock(n))
        found = {name: minimum_and_median(s / RUN for s in t) for name, t in times.items()}
        for name, (least, median) in found.items():
            report.add(**{"step with": name, "threads": n, "us": least * 1e6, "median": median * 1e6,
                          "adds": least / found["nothing"][0] - 1, "adds (median)": median / found["nothing"][1] - 1})


UPDATE_COLUMNS = {"optimizer": "17s", "threads": "d", "error": "6.1f", "words": "d", "ms": "8.2f", "median": "8.2f",
                  "GB/s": "6.1f", "copy GB/s": "6.1f", "copy": "5.0%"}
STEP_COLUMNS = {"step with": "18s", "threads": "d", "us": "8.1f", "median": "8.1f", "adds": "6.1%",
                "adds (median)": "6.1%"}


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("optimizers", nargs="*", help="classes, in any case; all by default")
    p.add_argument("--size", default="10M", help="parameters, also as 512k")
    p.add_argument("--threads", nargs="+", type=int, help="1 and all cores by default")
    p.add_argument("--seconds", type=float, default=0.5, help="for each contender")
    p.add_argument("--only", choices=("updates", "steps"))
    args = p.parse_args(argv)
    threads = args.threads or sorted({1, machine.physical_cores()})
    wanted = {o.lower() for o in args.optimizers}
    names = [n for n in UPDATES if not wanted or n.partition(" ")[0].lower() in wanted]
    if args.only != "steps":
        size = count(args.size)
        report = Report(f"optimizers, {short(size)} parameters", args.json, UPDATE_COLUMNS)
        updates(report, names, size, threads, args.seconds)
    if args.only != "updates":
        steps(Report("optimizers, one step", args.json, STEP_COLUMNS), threads, args.seconds)


if __name__ == "__main__":
    main()
