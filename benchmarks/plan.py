"""Does `model.plan` tell the truth? Predicted and measured times of steps over the workloads of a harness.

    python benchmarks/plan.py --harness FOLDER [mlp_bn tabular ...] [--threads 1 2] [--seconds 3] [--json]
    python benchmarks/plan.py --own

FOLDER holds the module `workloads` of the comparison harness (see README.md, "Beside the peers"). `--own` takes four
networks of this file instead, by which the model's constants for threads were chosen. The prediction is made first,
from the shapes alone and before a step has run; then whole steps are timed, in runs that take turns over the numbers
of threads. `measured` is the shortest run of steps, `median` what to expect today; `ratio` is measured over predicted,
and from 1.0 to 1.3 is the goal. `infer1` is the program of one prediction without the Python around it, `adam10m` an
optimizer step alone.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import islice

import numpy as np
from adapter_fastnn import LOSS, WORKLOADS, network, optimizer, shaped
from common import Report, parser

import fastnn
from fastnn import machine
from fastnn.models.plan import plan_of
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from fastnn.race.timing import minimum_and_median

TURN = 4e-3  # seconds of one run of steps: short, so that some run fits between two turns of other processes
GOAL = (1.0, 1.3)  # measured over predicted
OWN = {  # widths, batch, optimizer, with batch normalisation; none is a workload of the harness
    "norm sgd": ((400, 240, 240, 240, 20), 48, "sgd", True),
    "plain sgd": ((600, 400, 200, 10), 32, "sgd", False),
    "norm adam": ((300, 160, 160, 160, 160, 12), 64, "adam", True),
    "large rmsprop": ((500, 500, 500, 10), 256, "rmsprop", False),
}


def build(w, threads: list[int]):
    """(plans by number of threads, function of a number of steps that runs them) of a workload."""
    from workloads import batches, data

    fastnn.utils.set_random_seed(0)
    x, y = shaped(w, *data(w))
    if w.name == "adam10m":
        program = update(w, x)
        return {t: plan_of(program, 1, t) for t in threads}, lambda n: steps_of(program, n, {})
    model = network(w)
    if w.name == "infer1":
        plans = {t: model.plan(batch_size=1, threads=t, training=False) for t in threads}
        program = model._inference(((1, w.layers[0]),)).program
        return plans, lambda n: steps_of(program, n, {"x0": x[np.arange(n) % 1000, None]})
    model.compile(optimizer(w), LOSS.get(w.name, fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)))
    plans = {t: model.plan(x, y, batch_size=w.batch, threads=t) for t in threads}
    program = model.training_program(x, y, w.batch)
    stream = batches(len(x), w.batch)
    return plans, lambda n: steps_of(program, n, {"index": np.array(list(islice(stream, n)))})


def build_own(name: str, threads: list[int]):
    """The same for a network of `OWN`, on random data."""
    widths, batch, rule, normed = OWN[name]
    model = fastnn.Sequential([fastnn.Input((widths[0],))], name=name.replace(" ", "_"))
    for width in widths[1:-1]:
        model.add(fastnn.layers.Dense(width, "relu"))
        if normed:
            model.add(fastnn.layers.BatchNormalization())
    model.add(fastnn.layers.Dense(widths[-1]))
    model.compile(rule, fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5000, widths[0]), np.float32), rng.integers(0, widths[-1], 5000)
    plans = {t: model.plan(x, y, batch_size=batch, threads=t) for t in threads}
    program = model.training_program(x, y, batch)
    return plans, lambda n: steps_of(program, n, {"index": rng.integers(0, 5000, (n, batch))})


def update(w, grads) -> Program:
    """One optimizer step over the tensors of adam10m."""
    variables = [fastnn.Variable(0.1 * g, name=f"w{i}") for i, g in enumerate(grads)]
    rule = optimizer(w)
    rule.build(variables)
    graph = Graph(w.name)
    rule.apply([graph.constant(g) for g in grads], variables)
    return Program(graph)


def steps_of(program: Program, n: int, feeds: dict) -> float:
    """Seconds per step of a run of n steps."""
    start, done = time.perf_counter(), 0
    while done < n:
        done += program.run(n - done, feeds, offset=done)
    return (time.perf_counter() - start) / n


def measure(run, threads: list[int], predicted: dict[int, float], seconds: float) -> dict[int, list[float]]:
    """Seconds per step of each run, by the number of threads, in turns."""
    times: dict[int, list[float]] = {t: [] for t in threads}
    for t in threads:
        fastnn.set_num_threads(t)
        run(max(20, min(200, int(0.02 / predicted[t]))))  # first touch, calibration
    end = time.perf_counter() + seconds * len(threads)
    while time.perf_counter() < end or len(times[threads[0]]) < 3:
        for t in threads:
            fastnn.set_num_threads(t)
            times[t].append(run(max(1, int(TURN / predicted[t]))))
    return times


def named(name: str):
    """A workload of the harness."""
    from workloads import WORKLOADS as KNOWN

    return KNOWN[name]


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("workloads", nargs="*", default=WORKLOADS, help=f"of {', '.join(WORKLOADS)}; all by default")
    p.add_argument("--harness", default=os.environ.get("PEERS"), help="folder of `workloads.py`; else $PEERS")
    p.add_argument("--own", action="store_true", help="the networks of this file")
    p.add_argument("--threads", nargs="+", type=int, help="1 and all cores by default")
    p.add_argument("--seconds", type=float, default=3.0, help="for each workload and number of threads")
    args = p.parse_args(argv)
    if not args.harness and not args.own:
        sys.exit("--harness FOLDER (or $PEERS) must say where `workloads.py` of the comparison harness is; or --own.")
    sys.path.insert(0, args.harness or ".")
    threads = args.threads or sorted({1, machine.physical_cores()})
    report = Report("plan", args.json, {"workload": "13s", "threads": "d", "predicted us": "9.1f",
                                        "measured us": "9.1f", "median us": "9.1f", "ratio": "5.2f", "MiB": "7.2f",
                                        "bound by": "10s"})
    for name in OWN if args.own else args.workloads:
        plans, run = build_own(name, threads) if args.own else build(named(name), threads)
        times = measure(run, threads, {t: plans[t].step for t in threads}, args.seconds)
        for t in threads:
            best, median = minimum_and_median(times[t])
            bounds = plans[t].bounds
            report.add(workload=name, threads=t, ratio=best / plans[t].step, MiB=plans[t].nbytes / 2**20,
                       **{"predicted us": plans[t].step * 1e6, "measured us": best * 1e6, "median us": median * 1e6,
                          "bound by": max(bounds, key=bounds.get)})
    ratios = [row["ratio"] for row in report.rows]
    inside = sum(GOAL[0] <= r <= GOAL[1] for r in ratios)
    report.say(f"measured / predicted from {min(ratios):.2f} to {max(ratios):.2f}, geometric mean "
               f"{np.exp(np.mean(np.log(ratios))):.2f}; {inside} of {len(ratios)} between {GOAL[0]} and {GOAL[1]}")
    for t in threads:
        report.say(str(machine.ceilings(t)))


if __name__ == "__main__":
    main()
