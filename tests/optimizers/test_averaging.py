"""Gradients accumulated over steps and weights averaged over them, against Keras and by hand."""

import os

import numpy as np
import pytest

import fastnn
from fastnn import optimizers
from fastnn.optimizers import SGD, Adam
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from fastnn.program.variable import Variable

from .steps import STEPS, close, start, variables

CASES = [
    ("Adam", {"learning_rate": 0.02, "gradient_accumulation_steps": 3}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "gradient_accumulation_steps": 4, "clipnorm": 0.7}),
    ("AdamW", {"learning_rate": 0.02, "gradient_accumulation_steps": 2, "global_clipnorm": 2.0, "use_ema": True}),
    ("Adam", {"learning_rate": 0.02, "use_ema": True, "ema_momentum": 0.8}),
    ("RMSprop", {"learning_rate": 0.02, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7}),
    ("Lion", {"learning_rate": 0.01, "use_ema": True, "ema_overwrite_frequency": 3, "gradient_accumulation_steps": 2}),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind, arguments", CASES)
def test_trajectory_is_kerass(kind, arguments):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    values, grads = start()
    theirs, ours = [keras.Variable(v) for v in values], variables(values)
    other, made = getattr(keras.optimizers, kind)(**arguments), getattr(optimizers, kind)(**arguments)
    other.build(theirs)
    for row in grads[:14] if "gradient_accumulation_steps" in arguments else grads:  # Keras compiles at each step
        other.apply(row)
        made.apply(row, ours)
    assert made.iterations == int(other.iterations)
    close([v.numpy() for v in ours], [v.numpy() for v in theirs], 5e-5)
    other.finalize_variable_values(theirs)
    made.finalize_variable_values(ours)
    close([v.numpy() for v in ours], [v.numpy() for v in theirs], 5e-5)


def test_an_update_is_by_the_mean_of_the_steps():
    values, grads = start()
    ours, wholes = variables(values), variables(values)
    made, whole = Adam(0.02, gradient_accumulation_steps=5), Adam(0.02)
    for t in range(0, STEPS, 5):
        for row in grads[t : t + 5]:
            before = [v.numpy().copy() for v in ours]
            assert made.iterations == t // 5
            made.apply(row, ours)
            changed = [bool((v.numpy() != b).all()) for v, b in zip(ours, before)]
            assert changed == [made.steps_done % 5 == 0] * len(ours)
        whole.apply([np.mean(g, axis=0) for g in zip(*grads[t : t + 5])], wholes)
    close([v.numpy() for v in ours], [v.numpy() for v in wholes], 1e-5)


@pytest.mark.parametrize("backend", ["native", "numpy", "numba"])
def test_in_one_program_run(backend):
    values, grads = start()
    by_hand, ours = variables(values), variables(values)
    one, other = (SGD(0.05, 0.9, gradient_accumulation_steps=3, use_ema=True, ema_overwrite_frequency=2, clipnorm=1.0)
                  for _ in range(2))
    for row in grads[:20]:
        one.apply(row, by_hand)
    other.build(ours)
    graph = Graph("step")
    other.apply([graph.feed(v.path, v.shape, v.dtype) for v in ours], ours)
    program = Program(graph, backend=backend)
    feeds = {v.path: np.stack([row[i] for row in grads]) for i, v in enumerate(ours)}
    assert program.run(7, feeds, budget=60) == 7 and other.iterations == 2 and other.steps_done == 7
    assert program.run(13, feeds, offset=7, budget=60) == 13
    close([v.numpy() for v in ours], [v.numpy() for v in by_hand], 1e-6)


def test_nan_of_a_finished_cycle_is_forgotten_by_the_next():
    v = Variable(np.zeros(3))
    optimizer = SGD(1.0, gradient_accumulation_steps=2, clipvalue=1.0)
    optimizer.apply([np.full(3, np.nan)], [v])
    optimizer.apply([np.ones(3)], [v])
    assert np.isnan(v.numpy()).all()
    v.assign(np.zeros(3, np.float32))
    for _ in range(2):
        optimizer.apply([np.ones(3)], [v])
    close([v.numpy()], [-np.ones(3)], 0)


@pytest.mark.parametrize("at", [24, 25, 26])
def test_state_within_a_cycle(at):
    arguments = dict(gradient_accumulation_steps=4, use_ema=True, ema_overwrite_frequency=3)
    values, grads = start()
    made, optimizer = variables(values), Adam(0.02, **arguments)
    for row in grads[:at]:
        optimizer.apply(row, made)
    again, other = variables([v.numpy() for v in made]), Adam(0.02, **arguments)
    other.build(again)
    other.set_state(optimizer.get_state())
    assert (other.steps_done, other.iterations) == (at, at // 4)
    for row in grads[at:]:
        optimizer.apply(row, made)
        other.apply(row, again)
    for a, b in zip(made, again):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_schedule_counts_updates():
    from fastnn.optimizers.schedules import ExponentialDecay

    v = Variable(np.zeros(1))
    optimizer = SGD(ExponentialDecay(1.0, decay_steps=1, decay_rate=0.5), gradient_accumulation_steps=2)
    for _ in range(4):
        optimizer.apply([np.ones(1)], [v])
    close([v.numpy()], [[-1.5]], 1e-7)


def test_fit_ends_with_the_average():
    x, y = np.random.default_rng(0).standard_normal((2, 64, 4)).astype(np.float32)
    ends = []
    for use_ema in (True, False):
        model = fastnn.Sequential([fastnn.layers.Input((4,)), fastnn.layers.Dense(4, kernel_initializer="ones")])
        optimizer = SGD(0.1, use_ema=use_ema, ema_momentum=0.9)
        model.compile(optimizer, "mse")
        model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
        ends.append(model.layers[-1].kernel.numpy())
        if use_ema:
            kernel = model.layers[-1].kernel
            average = optimizer.slots["average"][kernel.offset : kernel.offset + kernel.size]
            np.testing.assert_array_equal(ends[0].ravel(), average)
    assert abs(ends[0] - ends[1]).max() > 1e-3


@pytest.mark.parametrize("threads", [1, 2])
def test_small_batches_accumulated_are_a_large_batch(threads):
    x, y = np.random.default_rng(0).standard_normal((2, 96, 200)).astype(np.float32)
    ends, before = [], fastnn.get_num_threads()
    fastnn.set_num_threads(threads)
    try:
        for batch, steps in ((32, None), (8, 4)):
            layers = [fastnn.layers.Dense(300, "tanh", kernel_initializer=fastnn.initializers.GlorotUniform(seed=1)),
                      fastnn.layers.Dense(200, kernel_initializer=fastnn.initializers.GlorotUniform(seed=2))]
            model = fastnn.Sequential([fastnn.layers.Input((200,)), *layers])
            model.compile(Adam(0.01, epsilon=1e-3, gradient_accumulation_steps=steps, clipnorm=1.0), "mse")
            model.fit(x, y, batch_size=batch, epochs=3, shuffle=False, verbose=0)
            assert model.optimizer.iterations == 9
            ends.append([v.numpy() for v in model.trainable_variables])
    finally:
        fastnn.set_num_threads(before)
    close(*ends, 1e-4)
