"""Trajectories of fifty steps against PyTorch, Keras and formulas word for word in float64."""

import os

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Nadam, RAdam, RMSprop

from .steps import close, start, trajectory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax")

class Falling:
    """A schedule under which it matters whether the rate is inside the velocity."""

    def __init__(self, first):
        self.first = first

    def table(self, first, count):
        return self.first * 0.9 ** np.arange(first, first + count)


PAIRS = [  # ours, the class and the arguments in PyTorch; only rules that are the same in both
    (lambda: SGD(0.05), "SGD", {"lr": 0.05}),
    (lambda: SGD(0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (lambda: SGD(0.05, momentum=0.8, nesterov=True), "SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    (lambda: SGD(0.05, momentum=0.9, dampening=0.4), "SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.4}),
    (lambda: SGD(Falling(0.05), momentum=0.9, dampening=0.4, lr_in_velocity=False), "SGD",
     {"lr": 0.05, "momentum": 0.9, "dampening": 0.4}),
    (lambda: SGD(Falling(0.05), momentum=0.9, nesterov=True, lr_in_velocity=False), "SGD",
     {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (lambda: RMSprop(0.01, rho=0.8, epsilon=1e-3, epsilon_inside_sqrt=False), "RMSprop",
     {"lr": 0.01, "alpha": 0.8, "eps": 1e-3}),
    (lambda: RMSprop(0.01, momentum=0.5, epsilon=1e-3, epsilon_inside_sqrt=False), "RMSprop",
     {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "momentum": 0.5}),
    (lambda: RMSprop(0.01, momentum=0.5, centered=True, epsilon=1e-2, epsilon_inside_sqrt=False), "RMSprop",
     {"lr": 0.01, "alpha": 0.9, "eps": 1e-2, "momentum": 0.5, "centered": True}),
    (lambda: Adam(0.02, epsilon=1e-2, epsilon_mode="outside"), "Adam", {"lr": 0.02, "eps": 1e-2}),
    (lambda: Adam(0.02, 0.8, 0.95, epsilon_mode="outside"), "Adam", {"lr": 0.02, "eps": 1e-7, "betas": (0.8, 0.95)}),
    (lambda: AdamW(0.02, weight_decay=0.3, epsilon=1e-2, epsilon_mode="outside"), "AdamW",
     {"lr": 0.02, "eps": 1e-2, "weight_decay": 0.3}),
    (lambda: Adam(0.02, epsilon=1e-2, epsilon_mode="outside", amsgrad=True), "Adam",
     {"lr": 0.02, "eps": 1e-2, "amsgrad": True}),
    (lambda: AdamW(0.02, 0.3, 0.8, 0.7, epsilon_mode="outside", amsgrad=True), "AdamW",
     {"lr": 0.02, "betas": (0.8, 0.7), "eps": 1e-7, "weight_decay": 0.3, "amsgrad": True}),
    (lambda: Adagrad(0.1, 0.2, 1e-2, epsilon_inside_sqrt=False), "Adagrad",
     {"lr": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-2}),
    (lambda: Adadelta(0.5, 0.9, 1e-3), "Adadelta", {"lr": 0.5, "rho": 0.9, "eps": 1e-3}),
    (lambda: Adamax(0.02, epsilon=1e-30), "Adamax", {"lr": 0.02, "eps": 1e-30}),
    (lambda: Nadam(0.02, epsilon=1e-2, momentum_decay=0.004), "NAdam", {"lr": 0.02, "eps": 1e-2}),
    (lambda: Nadam(0.02, 0.7, 0.9, momentum_decay=0.1, weight_decay=0.3), "NAdam",
     {"lr": 0.02, "betas": (0.7, 0.9), "eps": 1e-7, "momentum_decay": 0.1, "weight_decay": 0.3,
      "decoupled_weight_decay": True}),
    (lambda: RAdam(0.02, epsilon=1e-2), "RAdam", {"lr": 0.02, "eps": 1e-2}),
    (lambda: RAdam(0.02, 0.8, 0.9, weight_decay=0.3), "RAdam",
     {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-7, "weight_decay": 0.3, "decoupled_weight_decay": True}),
]


@pytest.fixture
def torch64():
    """PyTorch, whose NAdam keeps a product in the default dtype."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("case", range(len(PAIRS)))
def test_trajectory_is_pytorchs(case, dtype, tolerance, torch64):
    torch = torch64
    make, kind, arguments = PAIRS[case]
    values, grads = start()
    theirs = [torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in values]
    other = getattr(torch.optim, kind)(theirs, **arguments)
    for t, row in enumerate(grads):
        if make().schedule is not None:
            other.param_groups[0]["lr"] = make().rates(t, 1)[0]
        for p, g in zip(theirs, row):
            p.grad = torch.tensor(g, dtype=torch.float64)
        other.step()
    close(trajectory(make(), dtype), [p.detach().numpy() for p in theirs], tolerance)


KERAS = [  # the same words mean the same thing
    ("SGD", {"learning_rate": 0.05}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "clipvalue": 0.5}),
    ("RMSprop", {"learning_rate": 0.01, "epsilon": 1e-2}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 0.1, "clipnorm": 2.0}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True, "epsilon": 1e-2}),
    ("RMSprop", {"learning_rate": 0.01, "centered": True, "epsilon": 1e-2}),
    ("Adam", {"learning_rate": 0.02, "epsilon": 1e-2}),
    ("Adam", {"learning_rate": 0.02, "beta_1": 0.5, "beta_2": 0.9, "weight_decay": 0.2, "global_clipnorm": 3.0}),
    ("AdamW", {"learning_rate": 0.02}),
    ("AdamW", {"learning_rate": 0.02, "weight_decay": 0.3, "clipnorm": 1.5}),
    ("Adam", {"learning_rate": 0.02, "beta_2": 0.7, "amsgrad": True, "weight_decay": 0.2}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-2, "weight_decay": 0.2}),
    ("Adadelta", {"learning_rate": 0.5, "epsilon": 1e-3}),
    ("Adadelta", {"learning_rate": 0.5, "rho": 0.8, "epsilon": 1e-3, "weight_decay": 0.2, "clipnorm": 2.0}),
    ("Adamax", {"learning_rate": 0.02}),
    ("Adamax", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.8, "epsilon": 1e-2, "weight_decay": 0.2}),
    ("Nadam", {"learning_rate": 0.02}),
    ("Nadam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-2, "weight_decay": 0.2}),
    ("Lion", {"learning_rate": 0.02}),
    ("Lion", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.9, "weight_decay": 0.2}),
    ("Ftrl", {"learning_rate": 0.1}),
    ("Ftrl", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "l1_regularization_strength": 0.2,
              "l2_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.05, "beta": 0.3}),
    ("Ftrl", {"learning_rate": 0.1, "learning_rate_power": -0.8, "weight_decay": 0.2}),
]


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("case", range(len(KERAS)))
def test_trajectory_is_kerass(keras, case):
    kind, arguments = KERAS[case]
    values, grads = start()
    theirs = [keras.Variable(v) for v in values]
    other = getattr(keras.optimizers, kind)(**arguments)
    other.build(theirs)
    for row in grads:
        other.apply(row)
    close(trajectory(getattr(optimizers, kind)(**arguments)), [v.numpy() for v in theirs], 5e-5)


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in KERAS}))
def test_kerass_config_is_read(keras, kind):
    theirs = keras.optimizers.serialize(getattr(keras.optimizers, kind)(learning_rate=0.25, clipnorm=2.0))
    ours = optimizers.deserialize(theirs)
    assert type(ours).__name__ == kind and ours.clipnorm == 2.0
    np.testing.assert_allclose(ours.learning_rate, 0.25)


def reference_adam(values, grads, rate, b1, b2, epsilon, outside, correct):
    """Algorithm 1 of Kingma & Ba, word for word, in float64."""
    out = []
    for i, w in enumerate(values):
        w = w.astype(float)
        m = v = np.zeros_like(w)
        for t, row in enumerate(grads, 1):
            g = row[i].astype(float)
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            mc, vc = (m / (1 - b1**t), v / (1 - b2**t)) if correct else (m, v)
            if outside or not correct:
                w = w - rate * mc / (np.sqrt(vc) + epsilon)
            else:  # epsilon hat: beside the root that is not corrected
                w = w - rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)
        out.append(w)
    return out


@pytest.mark.parametrize("mode", ["hat", "outside"])
@pytest.mark.parametrize("correct", [True, False])
def test_adam_is_the_papers(mode, correct):
    made = Adam(0.02, 0.8, 0.95, epsilon=0.05, epsilon_mode=mode, bias_correction=correct)
    expected = reference_adam(*start(), 0.02, 0.8, 0.95, 0.05, mode == "outside", correct)
    close(trajectory(made, "float64"), expected, 1e-12)


def test_modes_differ():
    a, b = (trajectory(Adam(0.02, epsilon=0.05, epsilon_mode=m)) for m in ("hat", "outside"))
    assert abs(a[0] - b[0]).max() > 1e-3
