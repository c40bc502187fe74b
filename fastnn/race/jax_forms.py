"""Kernels as JAX computes them: functions of jax.numpy, compiled by XLA, waited for at the end of each repetition.

The functions take arrays by the kernel's slot names and its attributes, and return outputs by slot name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.spec import Kernel
from .by_hand import RANDOM
from .contenders import Arrays, Bound, Contender

#: kernels that are one function of jax.numpy, of all their inputs
_DIRECT = dict(negative="negative", exp="exp", log="log", sqrt="sqrt", square="square", absolute="abs", sign="sign",
               reciprocal="reciprocal", log1p="log1p", expm1="expm1", add="add", subtract="subtract",
               multiply="multiply", divide="divide", maximum="maximum", minimum="minimum", power="power", copy="array")


def contender(kernel: Kernel, attrs: dict[str, Any]) -> Contender | None:
    """JAX's form of the kernel, or None if it has none; ImportError without JAX."""
    import jax

    function = _function(jax, kernel, attrs)
    if function is None:
        return None
    inplace = [n for n in kernel.inputs if n in kernel.outputs]

    def bind(inputs: Arrays) -> Bound:
        slots = {n: None if x is None else jax.numpy.array(x) if x.ndim else float(x)
                 for n, x in zip(kernel.inputs, inputs)}
        # What is updated in place is given away, so that XLA may do so, too.
        state = {n: slots.pop(n) for n in inplace}
        step = jax.jit(lambda state, slots: function(jax, {**slots, **state}, attrs), donate_argnums=(0,))
        if kernel.name in RANDOM:
            slots["key"] = jax.random.key(0)
        last: dict[str, Any] = {}

        def run(repetitions, _threads, _path):
            for _ in range(repetitions):
                out = jax.block_until_ready(step(state, slots))
                state.update((n, out[n]) for n in inplace)
            last.update(out)

        return Bound(run, lambda: {n: np.asarray(x) for n, x in last.items()})

    return Contender("jax", "jax", bind, ((None, None),), kernel.name in RANDOM)


def _function(jax, kernel: Kernel, attrs) -> Callable | None:
    direct = _DIRECT.get(kernel.name)
    if direct:
        return lambda jax, s, a: {"y": getattr(jax.numpy, direct)(*s.values())}
    return _FORMS.get(kernel.name)


_FORMS: dict[str, Callable] = {}


def _form(*outputs: str):
    """Decorator: the function (jax, slots, attributes) gives these outputs of the kernel of its name."""
    def take(function):
        def named(jax, s, a):
            out = function(jax, s, a)
            return dict(zip(outputs, out if isinstance(out, tuple) else (out,)))

        _FORMS[function.__name__] = named
        return function

    return take


@_form("y")
def erf(jax, s, a):
    return jax.scipy.special.erf(s["x"])


def activate(jax, x, kind, alpha):
    """The activation of this name."""
    nn, numpy = jax.nn, jax.numpy
    functions = dict(
        linear=lambda x: x + 0, relu=nn.relu, sigmoid=nn.sigmoid, tanh=numpy.tanh, selu=nn.selu, relu6=nn.relu6,
        gelu=lambda x: nn.gelu(x, approximate=False), gelu_tanh=nn.gelu, softplus=nn.softplus, exponential=numpy.exp,
        elu=lambda x: nn.elu(x, alpha), leaky_relu=lambda x: nn.leaky_relu(x, alpha), celu=lambda x: nn.celu(x, alpha),
        silu=lambda x: x * nn.sigmoid(alpha * x), squareplus=lambda x: nn.squareplus(x, alpha), mish=nn.mish,
        hard_sigmoid=nn.hard_sigmoid, hard_tanh=nn.hard_tanh, hard_silu=nn.hard_silu, log_sigmoid=nn.log_sigmoid,
        sparse_plus=nn.sparse_plus, sparse_sigmoid=nn.sparse_sigmoid, softsign=nn.soft_sign,
        tanh_shrink=lambda x: x - numpy.tanh(x), hard_shrink=lambda x: numpy.where(numpy.abs(x) > alpha, x, 0),
        soft_shrink=lambda x: x - numpy.clip(x, -alpha, alpha))
    return functions[kind](x)


@_form("y")
def activation(jax, s, a):
    return activate(jax, s["x"], a["kind"], a["alpha"])


@_form("y")
def greater(jax, s, a):
    return (s["a"] > s["b"]).astype(np.float32)


@_form("y")
def where(jax, s, a):
    return jax.numpy.where(s["c"] != 0, s["a"], s["b"])


@_form("y")
def affine(jax, s, a):
    return s["x"] * a["scale"] + a["offset"]


@_form("y")
def clip(jax, s, a):
    return jax.numpy.clip(s["x"], a["low"], a["high"])


@_form("dx")
def clip_grad(jax, s, a):
    return jax.numpy.where((s["x"] < a["low"]) | (s["x"] > a["high"]), 0, s["dy"])


@_form("y")
def softmax(jax, s, a):
    return jax.nn.softmax(s["x"])


@_form("y")
def log_softmax(jax, s, a):
    return jax.nn.log_softmax(s["x"])


@_form("dx")
def softmax_grad(jax, s, a):
    return s["y"] * (s["dy"] - (s["dy"] * s["y"]).sum(-1, keepdims=True))


@_form("dx")
def log_softmax_grad(jax, s, a):
    return s["dy"] - jax.numpy.exp(s["y"]) * s["dy"].sum(-1, keepdims=True)


@_form("y")
def dense(jax, s, a):
    return activate(jax, s["x"] @ s["w"] + s["b"], a["activation"], a["alpha"])


@_form("dx")
def dense_grad_input(jax, s, a):
    dx, y, kind = s["dz"] @ s["w"].T, s["y"], a["activation"]
    if y is None or kind == "linear":
        return dx
    where = jax.numpy.where
    slope = dict(relu=lambda: y > 0, sigmoid=lambda: y * (1 - y), tanh=lambda: 1 - y * y,
                 elu=lambda: where(y > 0, 1, y + a["alpha"]),
                 selu=lambda: where(y > 0, 1.0507009873554805, y + 1.7580993408473766),
                 leaky_relu=lambda: where(y > 0, 1, a["alpha"]), relu6=lambda: (y > 0) & (y < 6),
                 celu=lambda: where(y > 0, 1, y / a["alpha"] + 1),
                 hard_sigmoid=lambda: where((y > 0) & (y < 1), 1 / 6, 0),
                 hard_tanh=lambda: jax.numpy.abs(y) < 1, hard_shrink=lambda: y != 0, soft_shrink=lambda: y != 0,
                 log_sigmoid=lambda: -jax.numpy.expm1(y), exponential=lambda: y,
                 sparse_plus=lambda: jax.numpy.sqrt(jax.numpy.clip(y, 0, 1)),
                 sparse_sigmoid=lambda: where((y > 0) & (y < 1), 0.5, 0),
                 squareplus=lambda: where(y > 0, y * y / (y * y + a["alpha"] / 4), 0))
    return dx * slope[kind]()


@_form("dw", "db")
def dense_grad_weight(jax, s, a):
    return s["x"].T @ s["dz"], s["dz"].sum(0)


@_form("y")
def matmul(jax, s, a):
    left = s["a"].mT if a["transpose_a"] else s["a"]
    right = s["b"].mT if a["transpose_b"] else s["b"]
    return (left @ right).sum(0) if a["sum_batch"] else left @ right


@_form("y", "mean", "rstd", "moving_mean", "moving_var")
def batch_norm(jax, s, a):
    x, rows = s["x"], s["x"].shape[0]
    mean, var = x.mean(0), x.var(0)
    rstd = 1 / jax.numpy.sqrt(var + a["epsilon"])
    y = (x - mean) * (rstd * s["gamma"]) + s["beta"]
    if a["unbiased_moving_variance"]:
        var = var * (rows / max(rows - 1, 1))
    return (y, mean, rstd, s["moving_mean"] + (mean - s["moving_mean"]) * (1 - a["momentum"]),
            s["moving_var"] + (var - s["moving_var"]) * (1 - a["momentum"]))


@_form("y")
def batch_norm_inference(jax, s, a):
    scale = s["gamma"] / jax.numpy.sqrt(s["moving_var"] + a["epsilon"])
    return (s["x"] - s["moving_mean"]) * scale + s["beta"]


@_form("dx", "dgamma", "dbeta")
def batch_norm_grad(jax, s, a):
    xhat, rows = (s["x"] - s["mean"]) * s["rstd"], s["x"].shape[0]
    dgamma, dbeta = (s["dy"] * xhat).sum(0), s["dy"].sum(0)
    return s["gamma"] * s["rstd"] * (s["dy"] - dbeta / rows - xhat * (dgamma / rows)), dgamma, dbeta


@_form("losses", "p")
def softmax_cross_entropy(jax, s, a):
    logs = jax.nn.log_softmax(s["z"])
    return -jax.numpy.take_along_axis(logs, s["labels"][:, None], 1)[:, 0], jax.numpy.exp(logs)


@_form("dz")
def softmax_cross_entropy_grad(jax, s, a):
    return (s["p"] - jax.nn.one_hot(s["labels"], s["p"].shape[1])) * s["g"][:, None]


@_form("losses", "p")
def sigmoid_cross_entropy(jax, s, a):
    z, t = s["z"], s["t"] * (1 - a["label_smoothing"]) + 0.5 * a["label_smoothing"]
    losses = jax.numpy.maximum(z, 0) - z * t + jax.numpy.log1p(jax.numpy.exp(-abs(z)))
    return losses.mean(1), jax.nn.sigmoid(z)


@_form("losses")
def squared_error(jax, s, a):
    return jax.numpy.square(s["y"] - s["t"]).mean(1)


@_form("losses")
def absolute_error(jax, s, a):
    return abs(s["y"] - s["t"]).mean(1)


@_form("losses")
def huber_error(jax, s, a):
    far = abs(s["y"] - s["t"])
    near = jax.numpy.minimum(far, a["delta"])
    return (near * (far - near / 2)).mean(1)


@_form("losses")
def log_cosh_error(jax, s, a):
    return jax.numpy.log(jax.numpy.cosh(s["y"] - s["t"])).mean(1)


@_form("y")
def dropout(jax, s, a):
    keep = jax.random.bernoulli(s["key"], 1 - a["rate"], s["x"].shape)
    return jax.numpy.where(keep, s["x"] / (1 - a["rate"]), 0)


@_form("y")
def random_uniform(jax, s, a):
    return jax.random.uniform(s["key"], a["shape"], minval=a["low"], maxval=a["high"])


@_form("y")
def random_normal(jax, s, a):
    return a["mean"] + a["stddev"] * jax.random.normal(s["key"], a["shape"])


def _reduced(name):
    def reduce(jax, s, a):
        axes = None if a["axes"] is None else tuple(a["axes"])
        return {"y": getattr(jax.numpy, name)(s["x"], axis=axes, keepdims=a["keepdims"])}

    return reduce


_FORMS.update(reduce_sum=_reduced("sum"), reduce_mean=_reduced("mean"), reduce_max=_reduced("max"))


@_form("y")
def transpose(jax, s, a):
    return jax.numpy.transpose(s["x"], a["perm"])


@_form("y")
def concat(jax, s, a):
    return jax.numpy.concatenate((s["a"], s["b"]), a["axis"])


@_form("y")
def gather_rows(jax, s, a):
    return s["source"][s["index"]].astype(np.float32) * a["scale"] + a["offset"]


# ---------------------------------------------------------------------- updates

@_form("w")
def sgd(jax, s, a):
    return s["w"] - s["rate"] * s["g"]


@_form("w", "v")
def momentum(jax, s, a):
    v = s["mu"] * s["v"] - s["rate"] * s["g"]
    return s["w"] + (s["mu"] * v - s["rate"] * s["g"] if a["nesterov"] else v), v


@_form("w", "v")
def rmsprop(jax, s, a):
    v, sqrt = s["v"] + (s["g"] * s["g"] - s["v"]) * (1 - a["rho"]), jax.numpy.sqrt
    root = sqrt(v + a["epsilon"]) if a["epsilon_inside"] else sqrt(v) + a["epsilon"]
    return s["w"] - s["rate"] * s["g"] / root, v


@_form("w", "m", "v")
def adam(jax, s, a):
    m = s["m"] + (s["g"] - s["m"]) * (1 - a["beta_1"])
    v = s["v"] + (s["g"] * s["g"] - s["v"]) * (1 - a["beta_2"])
    return s["w"] - s["alpha"] * m / (jax.numpy.sqrt(v) + s["epsilon"]), m, v


@_form("w", "m", "v")
def adamw(jax, s, a):
    return adam(jax, {**s, "w": s["w"] - s["decay"] * s["w"]}, a)


@_form("g")
def scale_inplace(jax, s, a):
    return s["g"] * s["scale"]


@_form("g")
def clip_inplace(jax, s, a):
    return jax.numpy.clip(s["g"], -a["limit"], a["limit"])


@_form("g")
def add_inplace(jax, s, a):
    return s["g"] + s["h"]


@_form("g")
def l2_grad_inplace(jax, s, a):
    return s["g"] + a["coefficient"] * s["w"]


def known() -> frozenset[str]:
    """Names of the kernels that have a form here."""
    return frozenset({*_DIRECT, *_FORMS})
