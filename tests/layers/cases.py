"""The one table of layers: a new layer is tested by being listed here."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastnn import layers
from fastnn.kernels.spec import KERNELS

from .conv_cases import convolutions


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


def row_norm(**arguments):
    """LayerNormalization with these arguments."""
    def make(**k):
        return layers.LayerNormalization(gamma_initializer="random_normal", beta_initializer="random_normal",
                                         **arguments, **k)

    def meaning(layer, training, x):
        axes = layer.axis if isinstance(layer.axis, list) else [layer.axis]
        axes = tuple(sorted(a % x.ndim for a in axes))
        y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + layer.epsilon)
        shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        y = y * layer.gamma.numpy().reshape(shape) if layer.scale else y
        return y + layer.beta.numpy().reshape(shape) if layer.center else y

    several = "axis" in arguments
    return Case(f"LayerNormalization-{'-'.join(arguments) or 'plain'}{arguments.get('axis', '')}", make,
                [(4, 3, 5), (2, 7, 17)] if several else [(1, 1), (5, 3), (17, 16), (33, 31), (4, 3, 5)], meaning,
                [] if several else [(None, (4,), "axis is -1"),
                                    *([((2, 3), (2, 4), "built for features of shape (3,)")] if any(
                                        arguments.get(n, True) for n in ("scale", "center")) else [])])


def rms_meaning(layer, training, x):
    return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + layer.epsilon) * layer.scale.numpy()


def group(groups, **arguments):
    def make(**k):
        return layers.GroupNormalization(groups, gamma_initializer="random_normal", beta_initializer="random_normal",
                                         **arguments, **k)

    def meaning(layer, training, x):
        axis = layer.axis % x.ndim
        z = np.moveaxis(x, axis, 1)
        parts = z.reshape(len(z), z.shape[1] if groups == -1 else groups, -1)
        z = ((parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + layer.epsilon)).reshape(
            z.shape)
        shape = (-1, *[1] * (z.ndim - 2))
        z = z * layer.gamma.numpy().reshape(shape) if layer.scale else z
        z = z + layer.beta.numpy().reshape(shape) if layer.center else z
        return np.moveaxis(z, 1, axis)

    inputs = [(5, 6), (17, 34), (4, 3, 2, 8), (3, 5, 2)] if groups in (2, -1) else [(5, 6), (3, 6, 4)]
    return Case(f"GroupNormalization-{groups}{'-'.join(arguments)}", make, inputs, meaning,
                [] if groups == -1 else [(None, (3, 5), "can't be parted"), ((2, 6), (2, 12), "built for 6 channels")])


def normalization(**arguments):
    def meaning(layer, training, x):
        kept = {a % x.ndim for a in layer.axis}
        shape = [n if i in kept else 1 for i, n in enumerate(x.shape)]
        mean, deviation = (np.asarray(v, np.float64).reshape(shape) for v in (layer.mean, np.sqrt(layer.variance)))
        return x * deviation + mean if layer.invert else (x - mean) / deviation

    given = "-".join(f"{k}={v}" for k, v in arguments.items())
    return Case(f"Normalization-{given or 'plain'}", lambda **k: layers.Normalization(**arguments, **k), [(4, 3, 5)],
                meaning, [] if given else [(None, (4,), "axis is (-1,)"), ((2, 3), (2, 4), "features of shape (3,)")])


def weight_normalized(layer, training, x):
    v = layer.layer.kernel.numpy().astype(np.float64)
    return x @ (v * (layer.g.numpy() / np.linalg.norm(v, axis=0))) + layer.layer.bias.numpy()


def recurrent(kind, **arguments):
    def make(**k):
        return getattr(layers, kind)(6, recurrent_initializer="random_normal", bias_initializer="random_normal",
                                     **arguments, **k)

    def meaning(layer, training, x):
        kernel, u, *bias = (w.astype(np.float64) for w in layer.get_weights())
        more = {"sequence": int(layer.return_sequences), "backwards": int(layer.go_backwards)}
        if kind != "GRU":
            y, end, *_ = KERNELS[{"LSTM": "lstm", "SimpleRNN": "simple_rnn"}[kind]](x @ kernel + bias[0], u, **more)
        else:
            first, second = bias[0] if layer.reset_after else (bias[0], None)
            y, end, *_ = KERNELS["gru"](x @ kernel + first, u, second, reset_after=int(layer.reset_after), **more)
        return y if layer.return_sequences else end

    return Case(f"{kind}-{'-'.join(arguments) or 'plain'}", make, [(2, 3, 4), (17, 2, 5)], meaning,
                [(None, (2, 3), "wants sequences"), ((2, 3, 4), (2, 3, 5), "built for sequences of 4 features")])


def activation(name):
    return Case(f"Activation-{name}", lambda **k: layers.Activation(name, **k), [*SIZES, (2, 3, 5)],
                lambda layer, training, x: act(name, x), kinked=name == "relu")


CASES = [
    *(dense(a) for a in (None, "relu", "tanh", "sigmoid", "elu", "selu", "silu", "softmax", "softplus")),
    *(dense(a) for a in ("leaky_relu", "squareplus", "log_sigmoid", "hard_sigmoid", "soft_shrink", "mish")),
    dense("relu", bias=False),
    row_norm(), row_norm(center=False), row_norm(scale=False), row_norm(center=False, scale=False),
    row_norm(axis=1), row_norm(axis=[1, 2]), row_norm(axis=[-1, 1], epsilon=0.1),
    Case("RMSNormalization", lambda **k: layers.RMSNormalization(**k), [*SIZES, (4, 3, 5)], rms_meaning,
         [(None, (4,), "axis is -1"), ((2, 3), (2, 4), "built for features of shape (3,)")]),
    Case("UnitNormalization", lambda **k: layers.UnitNormalization(**k), [(5, 3), (17, 16), (33, 31), (4, 3, 5)],
         lambda layer, training, x: x / np.sqrt(np.square(x).sum(-1, keepdims=True)), [(None, (4,), "axis is -1")]),
    Case("UnitNormalization-axis", lambda **k: layers.UnitNormalization([1, 2], **k), [(4, 3, 5)],
         lambda layer, training, x: x / np.sqrt(np.square(x).sum((1, 2), keepdims=True))),
    group(2), group(-1), group(3, axis=1), group(2, center=False), group(2, scale=False),
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
    Case("PReLU-shared", lambda **k: layers.PReLU("random_normal", shared_axes=[1, 2], **k), [(2, 3, 5), (2, 3, 4, 5)],
         prelu, [(None, (2, 3), "no axis 2 to share")], kinked=True),
    Case("PReLU-shared-last", lambda **k: layers.PReLU("random_normal", shared_axes=2, **k), [(2, 3, 5)], prelu,
         kinked=True),
    Case("Softmax", lambda **k: layers.Softmax(**k), [*SIZES, (2, 3, 5)],
         lambda layer, training, x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    Case("Softmax-axis-1", lambda **k: layers.Softmax(1, **k), [(2, 3, 5)],
         lambda layer, training, x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    Case("Softmax-axes", lambda **k: layers.Softmax([1, 3], **k), [(2, 3, 4, 2)],
         lambda layer, training, x: np.exp(x) / np.exp(x).sum((1, 3), keepdims=True),
         [(None, (2, 3), "there is no axis 3")]),
    recurrent("SimpleRNN"), recurrent("LSTM"), recurrent("GRU"), recurrent("GRU", reset_after=False),
    recurrent("LSTM", return_sequences=True), recurrent("SimpleRNN", return_sequences=True, go_backwards=True),
    Case("Bidirectional", lambda **k: layers.Bidirectional(layers.GRU(3, name="gru", dtype=k.get("dtype")), **k),
         [(2, 3, 4)], lambda layer, training, x: None, [(None, (2, 3), "wants sequences")]),
    Case("RNN", lambda **k: layers.RNN([layers.LSTMCell(3, name="a", dtype=k.get("dtype")), layers.GRUCell(
        2, name="b", dtype=k.get("dtype"))], **k), [(2, 3, 4)], lambda layer, training, x: None),
    Case("TimeDistributed", lambda **k: layers.TimeDistributed(layers.Dense(
        6, name="inner", kernel_initializer="ones", dtype=k.get("dtype")), **k), [(2, 3, 4)],
         lambda layer, training, x: x @ layer.layer.kernel.numpy() + layer.layer.bias.numpy()),
    Case("Dropout", lambda **k: layers.Dropout(0.4, seed=3, **k), [(5, 3), (33, 31)],
         lambda layer, training, x: None if training else x, trained=True),
    Case("Dropout-nothing", lambda **k: layers.Dropout(0.0, **k), [(5, 3)], lambda layer, training, x: x),
    *(Case(name, lambda make=make, **k: make(**k), inputs,
           lambda layer, training, x: None if training else x, wrong, trained=True) for name, make, inputs, wrong in (
        ("Dropout-noise-shape", lambda **k: layers.Dropout(0.4, noise_shape=(None, 1, None), **k), [(4, 3, 5)], []),
        ("AlphaDropout", lambda **k: layers.AlphaDropout(0.3, **k), [(5, 3), (4, 3, 5)], []),
        ("AlphaDropout-noise-shape", lambda **k: layers.AlphaDropout(0.3, [None, 1], **k), [(5, 3)], []),
        ("GaussianDropout", lambda **k: layers.GaussianDropout(0.3, **k), [(5, 3), (4, 3, 5)], []),
        ("GaussianNoise", lambda **k: layers.GaussianNoise(0.3, **k), [(5, 3), (4, 3, 5)], []),
        ("SpatialDropout1D", lambda **k: layers.SpatialDropout1D(0.4, **k), [(4, 3, 5)], [(None, (2, 3), "3 axes")]),
        ("SpatialDropout2D", lambda **k: layers.SpatialDropout2D(0.4, **k), [(4, 3, 2, 5)],
         [(None, (2, 3, 4), "4 axes")]),
        ("SpatialDropout2D-first", lambda **k: layers.SpatialDropout2D(0.4, "channels_first", **k), [(4, 3, 2, 5)],
         []),
        ("SpatialDropout3D", lambda **k: layers.SpatialDropout3D(0.4, **k), [(4, 3, 2, 2, 5)],
         [(None, (2, 3, 4, 5), "5 axes")]))),
    Case("WeightNormalization", lambda **k: layers.WeightNormalization(
        layers.Dense(7, name="inner", dtype=k.get("dtype")), **k), [(5, 3), (17, 16)], weight_normalized),
    Case("ActivityRegularization", lambda **k: layers.ActivityRegularization(0.1, 0.2, **k), [(5, 3)],
         lambda layer, training, x: x),
    Case("Masking", lambda **k: layers.Masking(0.25, **k), [(4, 3, 5)], lambda layer, training, x: x,
         [(None, (3,), "wants sequences")]),
    Case("Rescaling", lambda **k: layers.Rescaling(0.5, -1, **k), [(5, 3), (2, 3, 4)],
         lambda layer, training, x: x * 0.5 - 1),
    normalization(), normalization(invert=True), normalization(axis=1), normalization(axis=(1, 2)),
    normalization(axis=None), normalization(mean=1.5, variance=4.0), normalization(mean=[0.0] * 5, variance=[2.0] * 5),
    Case("Flatten", lambda **k: layers.Flatten(**k), [(5, 3), (4, 3, 5), (2, 1, 1, 2), (3,)],
         lambda layer, training, x: x.reshape(len(x), -1)),
    Case("Reshape", lambda **k: layers.Reshape((2, -1), **k), [(5, 4), (3, 2, 5)],
         lambda layer, training, x: x.reshape(len(x), 2, -1), [(None, (2, 3), "can't become (2, -1)")]),
    *convolutions(),
]


from .spatial_cases import SPATIAL  # noqa: E402  (it needs Case)

CASES += SPATIAL
