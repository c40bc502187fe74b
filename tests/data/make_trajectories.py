"""Write trajectories.json: where fifty steps of other libraries' optimizers lead, in float64.

The rows are those of the tables of docs/optimizers.md: ours, the library's, remarks. Run with PyTorch, Keras (and its
backend JAX) and optax installed:

python -m tests.data.make_trajectories
"""

import json
import pathlib
import re

import numpy as np

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "optimizers.md"
SHAPES = [(5, 7), (7,), (3, 1, 2), (33,)]
STEPS = 50
ROW = re.compile(r"^\| `(\w+\(.*?\))` \| `((?:keras|torch|optax|formula)\..*?\))` \|")


def rows():
    """(ours, theirs) of each row that says that two are the same."""
    found = [ROW.match(line) for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return [(m.group(1), m.group(2)) for m in found if m]


def start(seed=0):
    """Weights and gradients, as float32 has them."""
    rng = np.random.default_rng(seed)
    values = [rng.standard_normal(s).astype(np.float32) for s in SHAPES]
    grads = [[rng.standard_normal(s).astype(np.float32) * (1 + t % 3) for s in SHAPES] for t in range(STEPS)]
    return values, grads


class Falling:
    """A rate that is multiplied by 0.9 after each step."""

    def __init__(self, first):
        self.first = first


class Named:
    """Attribute access that gives (name, arguments) for a call, to be made when the parameters are there."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: (name, args, kwargs)


# ---------------------------------------------------------------------- the libraries


def torch_steps(text, values, grads):
    import torch

    torch.set_default_dtype(torch.float64)  # NAdam keeps a product in that
    name, _, kwargs = eval(text, {"torch": Named(), "falling": Falling})
    rate = kwargs["lr"]
    made = [torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in values]
    optimizer = getattr(torch.optim, name)(made, **{**kwargs, "lr": getattr(rate, "first", rate)})
    for t, row in enumerate(grads):
        if isinstance(rate, Falling):
            optimizer.param_groups[0]["lr"] = rate.first * 0.9**t
        for p, g in zip(made, row):
            p.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
    return [p.detach().numpy() for p in made]


def keras_steps(text, values, grads):
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import jax

    jax.config.update("jax_enable_x64", True)
    import keras

    keras.config.set_floatx("float64")
    own, tensor = keras.src.backend, keras.src.backend.convert_to_tensor
    own.numpy.mean = lambda x, **more: jax.numpy.mean(tensor(x), **more)  # Keras's own are in float32
    own.linalg.norm = lambda x, ord=None, axis=None, keepdims=False: jax.numpy.linalg.norm(
        tensor(x), ord=ord, axis=axis, keepdims=keepdims)
    own.numpy.sqrt = lambda x: jax.numpy.sqrt(jax.numpy.asarray(tensor(x), np.float64))
    optimizer = eval(text, {"keras": keras.optimizers,
                            "falling": lambda first: keras.optimizers.schedules.ExponentialDecay(first, 1, 0.9)})
    made = [keras.Variable(v.astype(np.float64), dtype="float64") for v in values]
    optimizer.build(made)
    for row in grads:
        optimizer.apply([g.astype(np.float64) for g in row])
    return [np.asarray(v.numpy()) for v in made]


def optax_steps(text, values, grads):
    import jax

    jax.config.update("jax_enable_x64", True)
    import optax

    optimizer = eval(text, {"optax": optax})
    made = [jax.numpy.asarray(v, np.float64) for v in values]
    state = optimizer.init(made)
    for row in grads:
        updates, state = optimizer.update([jax.numpy.asarray(g, np.float64) for g in row], state, made)
        made = optax.apply_updates(made, updates)
    return [np.asarray(v) for v in made]


# ---------------------------------------------------------------------- formulas, word for word


class Formulas:
    """What no library has: each gives w of one variable and its state for (w, g, t, state)."""

    @staticmethod
    def adam(rate, epsilon):
        """Kingma & Ba 2015 without the two lines of the bias correction."""
        def step(w, g, t, s):
            m, v = 0.9 * s.get("m", 0) + 0.1 * g, 0.999 * s.get("v", 0) + 0.001 * g * g
            return w - rate * m / (np.sqrt(v) + epsilon), {"m": m, "v": v}
        return step

    @staticmethod
    def lars(rate, weight_decay, trust):
        """You et al. 2017, Algorithm 1, with a rate that stays."""
        def step(w, g, t, s):
            norm = np.linalg.norm
            local = trust * norm(w) / (norm(g) + weight_decay * norm(w))
            v = 0.9 * s.get("v", 0) + rate * local * (g + weight_decay * w)
            return w - v, {"v": v}
        return step

    @staticmethod
    def normalized(rate):
        """Descent along the gradient over the norm of each variable's own."""
        return lambda w, g, t, s: (w - rate * g / np.linalg.norm(g), s)

    @staticmethod
    def adagrad(rate):
        """Duchi et al. 2011: from 0, nothing added to the root."""
        def step(w, g, t, s):
            a = s.get("a", 0) + g * g
            return w - rate * g / np.sqrt(a), {"a": a}
        return step


def formula_steps(text, values, grads):
    step = eval(text, {"formula": Formulas})
    made, states = [v.astype(np.float64) for v in values], [{} for _ in values]
    for t, row in enumerate(grads, 1):
        for i, g in enumerate(row):
            made[i], states[i] = step(made[i], g.astype(np.float64), t, states[i])
    return made


LIBRARIES = {"torch": torch_steps, "keras": keras_steps, "optax": optax_steps, "formula": formula_steps}


def steps(text):
    """Where fifty steps lead: one flat array of all variables."""
    made = LIBRARIES[text.partition(".")[0]](text, *start())
    return np.concatenate([np.asarray(v, np.float64).ravel() for v in made])


if __name__ == "__main__":
    lines = [f"{json.dumps(text)}: {json.dumps([float(f'{x:.13g}') for x in steps(text)])}"
             for text in sorted({theirs for _, theirs in rows()})]
    path = pathlib.Path(__file__).with_name("trajectories.json")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
