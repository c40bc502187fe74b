"""Random small networks and functions, each call of some training steps compared with its meaning in float64.

    python benchmarks/fuzz.py --seconds 120 --seed 0 [--backend native]

Prints a line for each program that differs, with the seed that makes it again (``--seed N --count 1``), and at the end
how many were tried. The exit status is 1 if any differed.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings

import numpy as np

import fastnn
from fastnn import layers, losses, ops, optimizers

ACTIVATIONS = (None, "relu", "sigmoid", "tanh", "elu", "selu", "gelu", "silu", "softplus", "exponential", "softmax")
LOSSES = ("mse", "mae", "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy")


def sizes(rng, most: int = 80) -> int:
    """Small sizes, those beside multiples of 16 more often."""
    near = 16 * rng.integers(1, max(2, most // 16)) + rng.integers(-1, 2)
    return int(rng.choice([rng.integers(1, most), near, 1, 2]))


def optimizer(rng):
    """Any optimizer with any of its options."""
    rate = float(10 ** rng.uniform(-4, -1))
    clip = [{}, {}, {"global_clipnorm": 0.5}, {"clipnorm": 0.3}, {"clipvalue": 0.05}][rng.integers(5)]
    kind = rng.integers(6)
    if kind == 0:
        return optimizers.SGD(rate, **clip)
    if kind == 1:
        return optimizers.SGD(rate, momentum=0.9, nesterov=bool(rng.integers(2)), **clip)
    if kind == 2:
        return optimizers.Adam(rate, **clip)
    if kind == 3:
        return optimizers.AdamW(rate, weight_decay=0.01, **clip)
    return optimizers.RMSprop(rate, momentum=float(rng.choice([0.0, 0.9])), centered=bool(kind == 5), **clip)


def network(rng):
    """A random model, compiled, with data for it; and the batch size."""
    width, rows, batch = sizes(rng), int(rng.integers(2, 90)), sizes(rng, 70)
    stack = [fastnn.Input((width,))]
    for _ in range(rng.integers(1, 5)):
        kind = rng.integers(8)
        if kind == 0:
            stack.append(layers.BatchNormalization(scale=bool(rng.integers(2)), center=bool(rng.integers(2))))
        elif kind == 1:
            stack.append(layers.Dropout(float(rng.uniform(0, 0.9))))
        elif kind == 2:
            stack.append(layers.Activation(str(rng.choice([a for a in ACTIVATIONS if a]))))
        else:
            stack.append(layers.Dense(sizes(rng, 200), activation=rng.choice(np.array(ACTIVATIONS, object)),
                                      use_bias=bool(rng.integers(4))))
    loss = str(rng.choice(LOSSES))
    classes = int(rng.integers(2, 12))
    logits = bool(rng.integers(2))
    final = {"mse": None, "mae": None, "binary_crossentropy": "sigmoid"}.get(loss, "softmax")
    stack.append(layers.Dense(classes, activation=None if logits or final is None else final))
    model = fastnn.Sequential(stack)
    made = {"mse": losses.MeanSquaredError, "mae": losses.MeanAbsoluteError}.get(loss)
    if made is None:
        made = {"sparse_categorical_crossentropy": losses.SparseCategoricalCrossentropy,
                "categorical_crossentropy": losses.CategoricalCrossentropy,
                "binary_crossentropy": losses.BinaryCrossentropy}[loss](from_logits=logits)
    else:
        made = made()
    model.compile(optimizer(rng), made, metrics=["accuracy"] if "sparse" in loss else None)
    if rng.integers(2):
        x = rng.integers(0, 255, (rows, width)).astype(np.uint8)
    else:
        x = rng.normal(0, float(10 ** rng.uniform(-2, 2)), (rows, width)).astype(np.float32)
    if "sparse" in loss:
        y = rng.integers(0, classes, rows)
    elif "entropy" in loss:
        y = np.eye(classes, dtype=np.float32)[rng.integers(0, classes, rows)]
    else:
        y = rng.normal(size=(rows, classes)).astype(np.float32)
    weight = rng.uniform(0, 2, rows) if rng.integers(4) == 0 else None
    return model, x, y, batch, weight


def function(rng):
    """A random function of two arrays, with its gradients, as a program; and its feeds."""
    m, n = sizes(rng), sizes(rng)
    w = fastnn.Variable(rng.normal(size=(m, n)), name="w")
    unary = [ops.exp, ops.tanh, ops.square, ops.relu, ops.sigmoid, ops.abs, lambda t: ops.log(ops.square(t) + 0.1),
             lambda t: ops.sqrt(ops.square(t) + 1e-3), lambda t: -t, lambda t: t / (1.0 + ops.square(t))]
    binary = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, ops.maximum, ops.minimum,
              lambda a, b: a / (1.0 + ops.square(b))]
    plan = [(int(rng.integers(3)), int(rng.integers(100)), int(rng.integers(100))) for _ in range(rng.integers(2, 9))]
    shapes = [(m, n), (n,), (m, 1), (1, n), ()]
    other = shapes[rng.integers(len(shapes))]

    @fastnn.program
    def step(a, b):
        made = [a * w, a + b]
        for kind, i, j in plan:
            if kind:
                made.append(unary[i % len(unary)](made[j % len(made)] * 0.5))
            else:
                made.append(binary[i % len(binary)](made[j % len(made)], made[-1]))
        loss = ops.mean(made[-1]) + ops.mean(made[-2])
        return loss, fastnn.gradients(loss, [w])[0]

    feeds = {"a": rng.normal(size=(m, n)).astype(np.float32), "b": rng.normal(size=other).astype(np.float32)}
    return step.program(*feeds.values()), feeds


def attempt(seed: int):
    """The report of one random program."""
    rng = np.random.default_rng(seed)
    fastnn.utils.set_random_seed(seed)
    threads = int(rng.integers(1, 3))
    if rng.integers(3) == 0:
        program, feeds = function(rng)
        return program.diff(1, feeds, threads)
    model, x, y, batch, weight = network(rng)
    program = model.training_program(x, y, batch, weight)
    rows = rng.integers(0, len(x), (3, program.feeds["index"].size))
    return program.diff(3, {"index": rows}, threads)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--backend", default=None)
    options = parser.parse_args()
    if options.backend:
        fastnn.set_backend(options.backend)
    warnings.simplefilter("ignore", fastnn.FastnnWarning)
    start, tried, calls, bad = time.perf_counter(), 0, 0, 0
    while tried < options.count and time.perf_counter() - start < options.seconds:
        seed = options.seed + tried
        try:
            report = attempt(seed)
            calls += report.checked
            if not report:
                bad += 1
                print(f"seed {seed}: {report}")
        except Exception:  # noqa: BLE001 - each is a finding; the next seed goes on
            bad += 1
            print(f"seed {seed}:")
            traceback.print_exc(file=sys.stdout)
        tried += 1
    print(f"{tried} programs, {calls} calls compared, {bad} differ")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
