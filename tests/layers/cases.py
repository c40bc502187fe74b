"""The one table of layers: a new layer is tested by being listed here."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastnn import layers


@dataclass
class Case:
    """A layer, inputs that it takes, and inputs that it refuses.

    `make` takes keyword arguments of every layer (name, dtype ...). An input is a shape with its batch, or a list of
    shapes; `wrong` holds (shape that it is built for or None, shape that is refused, words of the sentence).
    """

    name: str
    make: Callable[..., layers.Layer]
    inputs: list
    meaning: Callable | None = None  #: of (layer, training, *float64 arrays), in NumPy
    wrong: list = field(default_factory=list)
    trained: bool = False  #: whether training=True differs
    kinked: bool = False

    def arrays(self, which=0, seed=0, dtype=np.float64):
        shape, rng = self.inputs[which], np.random.default_rng(seed)
        if isinstance(shape, list):
            return [rng.normal(size=s).astype(dtype) for s in shape]
        return rng.normal(size=shape).astype(dtype)


SIZES = [(1, 1), (5, 3), (17, 16), (33, 31)]


def act(name, x):
    return {"relu": lambda: np.maximum(x, 0), "linear": lambda: x, "tanh": lambda: np.tanh(x),
            "sigmoid": lambda: 1 / (1 + np.exp(-x)), "silu": lambda: x / (1 + np.exp(-x)),
            "elu": lambda: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1), "softplus": lambda: np.log1p(np.exp(x)),
            "selu": lambda: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
            "exponential": lambda: np.exp(x), "mish": lambda: x * np.tanh(np.log1p(np.exp(x))),
            "leaky_relu": lambda: np.where(x > 0, x, 0.2 * x), "gelu": lambda: x * ndtr(x),
            "squareplus": lambda: (x + np.sqrt(x * x + 4)) / 2, "log_sigmoid": lambda: -np.log1p(np.exp(-x)),
            "soft_shrink": lambda: np.sign(x) * np.maximum(abs(x) - 0.5, 0),
            "hard_sigmoid": lambda: np.clip(x / 6 + 0.5, 0, 1), "hard_silu": lambda: x * np.clip(x / 6 + 0.5, 0, 1),
            "log_softmax": lambda: x - np.log(np.exp(x).sum(-1, keepdims=True)),
            "softmax": lambda: np.exp(x) / np.exp(x).sum(-1, keepdims=True)}[name]()


def ndtr(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.ravel()]).reshape(x.shape)


def prelu(layer, training, x):
    return np.where(x > 0, x, layer.alpha.numpy() * x)


def dense(activation=None, bias=True):
    def make(**k):
        return layers.Dense(7, activation, use_bias=bias, bias_initializer="random_normal", **k)

    def meaning(layer, training, x):
        y = x @ layer.kernel.numpy().astype(np.float64)
        return act(activation or "linear", y + layer.bias.numpy() if bias else y)

    return Case(f"Dense-{activation}{'' if bias else '-unbiased'}", make, [*SIZES, (2, 3, 5)], meaning,
                [(None, (4,), "Dense"), ((2, 3), (2, 4), "built for inputs of width 3")], kinked=activation == "relu")


def norm(**arguments):
    def make(**k):
        return layers.BatchNormalization(gamma_initializer="random_normal", beta_initializer="random_normal",
                                         **arguments, **k)

    def meaning(layer, training, x):
        over = tuple(range(x.ndim - 1))
        mean, var = (x.mean(over), x.var(over)) if training else (layer.moving_mean.numpy(),
                                                                  layer.moving_variance.numpy())
        y = (x - mean) / np.sqrt(var + layer.epsilon)
        y = y * layer.gamma.numpy() if layer.scale else y
        return y + layer.beta.numpy() if layer.center else y

    return Case(f"BatchNormalization-{'-'.join(arguments) or 'plain'}", make, [(5, 3), (17, 16), (33, 31), (4, 3, 5)],
                meaning, [(None, (4,), "at least one axis"), ((2, 3), (2, 4), "built for 3 features")], trained=True)


def activation(name):
    return Case(f"Activation-{name}", lambda **k: layers.Activation(name, **k), [*SIZES, (2, 3, 5)],
                lambda layer, training, x: act(name, x), kinked=name == "relu")


CASES = [
    *(dense(a) for a in (None, "relu", "tanh", "sigmoid", "elu", "selu", "silu", "softmax", "softplus")),
    *(dense(a) for a in ("leaky_relu", "squareplus", "log_sigmoid", "hard_sigmoid", "soft_shrink", "mish")),
    dense("relu", bias=False),
    norm(), norm(center=False), norm(scale=False), norm(momentum=0.5, epsilon=0.1), norm(unbiased_moving_variance=True),
    *(activation(a) for a in ("linear", "relu", "tanh", "sigmoid", "elu", "selu", "silu", "softmax", "softplus",
                              "exponential", "mish", "gelu", "hard_silu", "log_softmax")),
    Case("ReLU", lambda **k: layers.ReLU(**k), [*SIZES, (2, 3, 5)], lambda layer, training, x: np.maximum(x, 0),
         kinked=True),
    Case("ReLU-bent", lambda **k: layers.ReLU(1.0, 0.1, 0.5, **k), [*SIZES, (2, 3, 5)],
         lambda layer, training, x: np.where(x > 0.5, np.minimum(x, 1), 0.1 * (x - 0.5)), kinked=True),
    Case("LeakyReLU", lambda **k: layers.LeakyReLU(**k), [*SIZES, (2, 3, 5)],
         lambda layer, training, x: np.where(x > 0, x, 0.3 * x), kinked=True),
    Case("ELU", lambda **k: layers.ELU(0.5, **k), [*SIZES, (2, 3, 5)],
         lambda layer, training, x: np.where(x > 0, x, 0.5 * np.expm1(x)), kinked=True),
    Case("PReLU", lambda **k: layers.PReLU("random_normal", **k), [*SIZES, (2, 3, 5)], prelu,
         [((2, 3), (2, 4), "was built for alphas of shape (3,)")], kinked=True),
    Case("PReLU-shared", lambda **k: layers.PReLU("random_normal", [1, 2], **k), [(2, 3, 5), (2, 3, 4, 5)], prelu,
         [(None, (2, 3), "no axis 2 to share")], kinked=True),
    Case("PReLU-shared-last", lambda **k: layers.PReLU("random_normal", 2, **k), [(2, 3, 5)], prelu, kinked=True),
    Case("Softmax", lambda **k: layers.Softmax(**k), [*SIZES, (2, 3, 5)],
         lambda layer, training, x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    Case("Softmax-axis-1", lambda **k: layers.Softmax(1, **k), [(2, 3, 5)],
         lambda layer, training, x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    Case("Softmax-axes", lambda **k: layers.Softmax([1, 3], **k), [(2, 3, 4, 2)],
         lambda layer, training, x: np.exp(x) / np.exp(x).sum((1, 3), keepdims=True),
         [(None, (2, 3), "there is no axis 3")]),
    Case("Dropout", lambda **k: layers.Dropout(0.4, seed=3, **k), [(5, 3), (33, 31)],
         lambda layer, training, x: None if training else x, trained=True),
    Case("Dropout-nothing", lambda **k: layers.Dropout(0.0, **k), [(5, 3)], lambda layer, training, x: x),
    Case("Flatten", lambda **k: layers.Flatten(**k), [(5, 3), (4, 3, 5), (2, 1, 1, 2), (3,)],
         lambda layer, training, x: x.reshape(len(x), -1)),
    Case("Reshape", lambda **k: layers.Reshape((2, -1), **k), [(5, 4), (3, 2, 5)],
         lambda layer, training, x: x.reshape(len(x), 2, -1), [(None, (2, 3), "can't become (2, -1)")]),
    Case("Add", lambda **k: layers.Add(**k), [[(5, 3)] * 2, [(17, 16)] * 3, [(2, 3, 5), (2, 3, 5)]],
         lambda layer, training, *xs: sum(xs),
         [(None, [(2, 3), (2, 4)], "Add"), (None, (2, 3), "list of at least two")]),
    Case("Concatenate", lambda **k: layers.Concatenate(**k), [[(5, 3), (5, 1)], [(4, 2, 3), (4, 2, 5), (4, 2, 1)]],
         lambda layer, training, *xs: np.concatenate(xs, -1),
         [(None, [(2, 3, 1), (2, 4, 1)], "Concatenate"), (None, [(2, 3)], "list of at least two")]),
    Case("Concatenate-axis-1", lambda **k: layers.Concatenate(axis=1, **k), [[(4, 2, 3), (4, 5, 3)]],
         lambda layer, training, *xs: np.concatenate(xs, 1), [(None, [(2, 3, 1), (2, 3, 2)], "Concatenate")]),
]
