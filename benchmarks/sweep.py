"""How much faster are many small models at once than one after another, in fastnn and in PyTorch?

    python benchmarks/sweep.py                     # 64 replicas of 64-32-10 on the digits, 20 epochs
    python benchmarks/sweep.py --torch-rounds 0    # without PyTorch
    python benchmarks/sweep.py --ways              # the executor alone: other ways to run the same steps

8 learning rates times 8 seeds; every side builds its models, trains them in shuffled batches of 32 and measures loss
and accuracy of training and validation at each epoch. The sides take turns. PyTorch starts from the same weights and
sees the same rows: one model after another (the usual loop, on one thread, its best here), and all models as one
by `torch.func.vmap`. Before times, what they agree in: fastnn's sides to the bit, PyTorch's in its losses.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
from common import Report, parser

import fastnn
from fastnn.kernels.native import core
from fastnn.models.array_data import ArrayData
from fastnn.models.order import epoch_order
from fastnn.models.step import StepProgram
from fastnn.seeds import seed_sequence

BATCH = 32


def data():
    (x, y), (xv, yv) = fastnn.datasets.digits.load_data()
    return [a.reshape(-1, 64).astype(np.float32) / 16 for a in (x, xv)], [a.astype(np.int32) for a in (y, yv)]


(X, XV), (Y, YV) = data()


def build(learning_rate: float):
    model = fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(32, "relu"), fastnn.layers.Dense(10)])
    model.compile(fastnn.optimizers.SGD(learning_rate), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    return model


def grid(count: int) -> dict[str, list]:
    side = round(count**0.5)
    return {"learning_rate": np.logspace(-3, 0, side).tolist(), "seed": list(range(-(-count // side)))}


def settings(count: int):
    return [(rate, seed) for rate in grid(count)["learning_rate"] for seed in grid(count)["seed"]]


def by_sweep(count: int, epochs: int):
    result = fastnn.sweep(build, X, Y, grid(count), epochs=epochs, batch_size=BATCH, validation_data=(XV, YV),
                          verbose=0)
    curves = result.history["val_loss"].reshape(-1, epochs), result.history["loss"].reshape(-1, epochs)
    return curves, result.times


def by_fit(count: int, epochs: int):
    curves, building = [], 0.0
    for rate, seed in settings(count):
        start = time.perf_counter()
        fastnn.utils.set_random_seed(seed)
        model = build(rate)
        building += time.perf_counter() - start
        history = model.fit(X, Y, BATCH, epochs, 0, validation_data=(XV, YV), seed=seed).history
        curves.append((history["val_loss"], history["loss"]))
    return tuple(np.array(c) for c in zip(*curves)), {"set up": building}


def orders(seed: int, epochs: int):
    return [epoch_order(len(X), True, seed_sequence(seed), e) for e in range(epochs)]


def starts(count: int):
    for rate, seed in settings(count):
        fastnn.utils.set_random_seed(seed)
        yield [w.T if w.ndim == 2 else w for w in build(rate).get_weights()]


def torch_net(torch):
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


def by_torch(torch, count: int, epochs: int):
    torch.set_num_threads(1)
    x, y, xv, yv = map(torch.from_numpy, (X, Y.astype(np.int64), XV, YV.astype(np.int64)))
    entropy, curves = torch.nn.functional.cross_entropy, []
    for (rate, seed), weights in zip(settings(count), starts(count)):
        net = torch_net(torch)
        for p, w in zip(net.parameters(), weights):
            p.data.copy_(torch.from_numpy(np.ascontiguousarray(w)))
        optimizer, curve = torch.optim.SGD(net.parameters(), rate), []
        for order in map(torch.from_numpy, orders(seed, epochs)):
            total = hits = 0.0
            for rows in order.split(BATCH):
                optimizer.zero_grad()
                z = net(x[rows])
                loss = entropy(z, y[rows])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
                hits += (z.argmax(1) == y[rows]).sum().item()
            with torch.no_grad():
                found = [(entropy(z := net(a), b).item() * len(a), (z.argmax(1) == b).sum().item())
                         for a, b in zip(xv.split(BATCH), yv.split(BATCH))]
            curve.append((sum(f for f, _ in found) / len(xv), total / len(x)))
        curves.append(list(zip(*curve)))
    return tuple(np.array(c) for c in zip(*curves)), {}


def by_vmap(torch, count: int, epochs: int, threads: int):
    from torch.func import functional_call, grad_and_value, vmap

    torch.set_num_threads(threads)
    x, y, xv, yv = map(torch.from_numpy, (X, Y.astype(np.int64), XV, YV.astype(np.int64)))
    net = torch_net(torch)
    names = [n for n, _ in net.named_parameters()]
    p = {n: torch.from_numpy(np.stack(w)) for n, w in zip(names, zip(*starts(count)))}
    rates = torch.tensor([rate for rate, _ in settings(count)])
    kept = {seed: orders(seed, epochs) for seed in grid(count)["seed"]}

    def entropy(p, a, b):
        z = functional_call(net, p, (a,))
        return torch.nn.functional.cross_entropy(z, b), (z.argmax(-1) == b).sum()

    step, test, curve = vmap(grad_and_value(entropy, has_aux=True)), vmap(entropy, in_dims=(0, None, None)), []
    for e in range(epochs):
        order = torch.from_numpy(np.stack([kept[seed][e] for _, seed in settings(count)]))
        total = hits = 0.0
        for rows in order.split(BATCH, dim=1):
            grads, (loss, hit) = step(p, x[rows], y[rows])
            for n, g in grads.items():
                p[n] -= rates.reshape(-1, *[1] * (g.ndim - 1)) * g
            total, hits = total + loss * rows.shape[1], hits + hit
        with torch.no_grad():
            found = [(test(p, a, b)[0] * len(a)) for a, b in zip(xv.split(BATCH), yv.split(BATCH))]
        curve.append((sum(found) / len(xv), total / len(x)))
    return tuple(torch.stack(c, dim=1).numpy() for c in zip(*curve)), {}


def ways(count: int, steps: int, rounds: int, report: Report) -> None:
    """The same training steps of all replicas in one process: how the threads may share them."""
    models = [build(rate) for rate, _ in settings(count)]
    train = ArrayData(X, Y)
    programs = []
    for model in models:
        model._check_targets(train)
        step = StepProgram(model, train, BATCH, True)
        step.bind(train)
        programs.append(step.program)
    rows = np.random.default_rng(0).permutation(len(X))[: len(X) // BATCH * BATCH].reshape(-1, BATCH)
    rows = np.ascontiguousarray(np.resize(rows, (steps, BATCH)))
    tables = [p.table(steps) for p in programs]
    threads = fastnn.get_num_threads()
    described = [p._run.described() for p in programs]
    calls = sorted((c for d in described for c in d[0]), key=lambda c: c[6])
    by_level = core.Executor(calls, [f for d in described for f in d[1]], [])
    feeds = [a for t in tables for a in (t.ctypes.data, rows.ctypes.data)]
    alone = [core.Executor(d[0], d[1], []) for d in described]
    addresses = np.array(feeds, np.int64)

    def joined(n):
        table = np.array([[k, steps, 2 * k] for k in range(count)], np.int64)
        run = core.Joined(alone, table, np.ones(count, np.int64), addresses)
        while run.run(n, 0.05):
            pass

    def in_turn(n):
        for k, one in enumerate(alone):
            one.run(steps, feeds[2 * k : 2 * k + 2], [], n, 1e9)

    sides = {"one after another, 1 thread": lambda: in_turn(1), f"one after another, {threads} threads":
             lambda: in_turn(threads), f"level by level, {threads} threads":
             lambda: by_level.run(steps, feeds, [], threads, 1e9), "side by side, 1 thread": lambda: joined(1),
             f"side by side, {threads} threads": lambda: joined(threads)}
    times = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - start)
    for name, found in times.items():
        per_step = 1e6 / (steps * count)
        report.add(side=name, best=min(found) * per_step, median=statistics.median(found) * per_step)


def main() -> int:
    p = parser(__doc__)
    p.add_argument("--replicas", type=int, default=64, help="a square number is best")
    p.add_argument("--epochs", type=int, default=20)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--torch-rounds", type=int, default=1, help="of PyTorch's sides, which take long")
    p.add_argument("--ways", action="store_true", help="compare ways to run the same steps, in us per step and replica")
    args = p.parse_args()
    if args.ways:
        ways(args.replicas, 44, args.rounds * 5, Report("sweep", args.json, {"side": "34", "best": "8.2f",
                                                                            "median": "8.2f"}))
        return 0
    report = Report("sweep", args.json, {"side": "34", "differs": "8.1e", "best": "8.3f", "median": "8.3f",
                                         "setup": "8.3f", "ratio": "8.2f"})
    count, epochs = args.replicas, args.epochs
    sides = {"fastnn, all at once": (lambda: by_sweep(count, epochs), args.rounds),
             "fastnn, one after another": (lambda: by_fit(count, epochs), args.rounds)}
    try:
        import torch
    except ImportError:
        torch = None
    if torch and args.torch_rounds:
        sides["PyTorch, one after another"] = (lambda: by_torch(torch, count, epochs), args.torch_rounds)
        for n in sorted({1, fastnn.get_num_threads()}):
            sides[f"PyTorch, by vmap, {n} threads"] = (lambda n=n: by_vmap(torch, count, epochs, n), args.torch_rounds)
    times, setup, curves = {n: [] for n in sides}, {n: [] for n in sides}, {}
    by_sweep(4, 1), by_fit(4, 1)  # first calls
    if "PyTorch, one after another" in sides:
        by_torch(torch, 1, 1), by_vmap(torch, 4, 1, 1)
    for turn in range(args.rounds):
        for name, (side, rounds) in sides.items():
            if turn < rounds:
                start = time.perf_counter()
                curves[name], parts = side()
                times[name].append(time.perf_counter() - start)
                setup[name].append(parts.get("set up"))
    first = next(iter(sides))
    for name, found in times.items():
        apart = [np.abs(a - b)[:, 0] / np.abs(b)[:, 0] for a, b in zip(curves[name], curves[first])]
        differs = float(np.median(np.maximum(*apart)))
        report.add(side=name, differs=differs, best=min(found), median=statistics.median(found),
                   setup=None if setup[name][0] is None else min(setup[name]), ratio=min(found) / min(times[first]))
    report.say(f"Seconds for {count} replicas, {epochs} epochs. differs: relative difference from the first row of the "
               "losses of the first epoch, for the middle replica (those with the highest rate are chaotic); setup: "
               "models built (at once: traced and planned, too); ratio: of the best times.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
