"""Kernels as PyTorch computes them, as one would write them there for speed: into given outputs, fused where it can.

The functions take tensors by the kernel's slot names and its attributes, and return the outputs that are not among the
inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..kernels.activation import FROM_OUTPUT
from ..kernels.spec import Kernel
from .by_hand import RANDOM
from .contenders import Arrays, Bound, Contender, by_slot

#: kernels that are one function of PyTorch with an `out` argument, of all their inputs
_DIRECT = dict(negative="neg", exp="exp", log="log", sqrt="sqrt", square="square", absolute="abs", sign="sign",
               reciprocal="reciprocal", log1p="log1p", expm1="expm1", erf="erf", add="add", subtract="sub",
               multiply="mul", divide="div", maximum="maximum", minimum="minimum", power="pow")


def contender(kernel: Kernel, attrs: dict[str, Any], threads: Iterable[int]) -> Contender | None:
    """PyTorch's form of the kernel, or None if it has none; ImportError without PyTorch."""
    import torch

    make = _DIRECT.get(kernel.name) and _direct or _FORMS.get(kernel.name)
    if make is None:
        return None

    def bind(inputs: Arrays) -> Bound:
        tensors = [None if x is None else torch.from_numpy(x) if x.ndim else float(x) for x in inputs]
        step = make(torch, kernel, dict(zip(kernel.inputs, tensors)), attrs)
        last: list[Any] = [None]

        def run(repetitions, threads, _path):
            if threads is not None and torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            with torch.no_grad():
                for _ in range(repetitions):
                    last[0] = step()

        def outputs():
            found = last[0] if isinstance(last[0], tuple) else () if last[0] is None else (last[0],)
            return by_slot(kernel, inputs, [x.numpy() for x in found])

        return Bound(run, outputs)

    return Contender("torch", "torch", bind, tuple((t, None) for t in threads), kernel.name in RANDOM)


def _direct(torch, kernel, slots, attrs):
    operation = getattr(torch, _DIRECT[kernel.name])
    arguments = tuple(slots.values())
    y = torch.empty_like(arguments[0])
    return lambda: operation(*arguments, out=y)


_FORMS: dict[str, Callable] = {}


def _form(function: Callable) -> Callable:
    """Decorator: the function (torch, slots, attributes) -> step is PyTorch's form of the kernel of its name."""
    _FORMS[function.__name__] = lambda torch, kernel, slots, attrs: function(torch, slots, attrs)
    return function


# ---------------------------------------------------------------------- elements and rows

_KINDS = dict(relu="relu", sigmoid="sigmoid", tanh="tanh", selu="selu", gelu="gelu", softplus="softplus",
              exponential="exp", relu6="relu6", hard_sigmoid="hardsigmoid", hard_tanh="hardtanh",
              log_sigmoid="logsigmoid", softsign="softsign", mish="mish", hard_silu="hardswish",
              tanh_shrink="tanhshrink")
_NUMBERED = dict(elu="elu", leaky_relu="leaky_relu", celu="celu", hard_shrink="hardshrink", soft_shrink="softshrink")


def activate(torch, x, kind, alpha):
    """The activation of this name."""
    f = torch.nn.functional
    if kind in _NUMBERED:
        return getattr(f, _NUMBERED[kind])(x, alpha)
    if kind in _KINDS:
        return getattr(torch if kind in ("relu", "sigmoid", "tanh", "exponential") else f, _KINDS[kind])(x)
    others = {
        "linear": lambda: x.clone(),
        "gelu_tanh": lambda: f.gelu(x, approximate="tanh"),
        "silu": lambda: f.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x),
        "sparse_plus": lambda: torch.where(x >= 1, x, (x + 1).clamp(0, 2).square() / 4),
        "sparse_sigmoid": lambda: ((x + 1) / 2).clamp(0, 1),
        "squareplus": lambda: (x + torch.sqrt(x * x + alpha)) / 2,
    }
    return others[kind]()


@_form
def activation(torch, s, a):
    if a["kind"] in ("sigmoid", "tanh", "exponential"):
        operation, y = getattr(torch, _KINDS[a["kind"]]), torch.empty_like(s["x"])
        return lambda: operation(s["x"], out=y)
    return lambda: activate(torch, s["x"], a["kind"], a["alpha"])


@_form
def activation_grad(torch, s, a):
    aten, kind, dy = torch.ops.aten, a["kind"], s["dy"]
    of = s["y"] if kind in FROM_OUTPUT else s["x"]
    steps = {
        "linear": lambda: dy.clone(),
        "relu": lambda: aten.threshold_backward(dy, of, 0),
        "sigmoid": lambda: aten.sigmoid_backward(dy, of),
        "tanh": lambda: aten.tanh_backward(dy, of),
        "elu": lambda: aten.elu_backward(dy, a["alpha"], 1.0, 1.0, True, of),
        "selu": lambda: aten.elu_backward(dy, 1.6732632423543772, 1.0507009873554805, 1.0, True, of),
        "gelu": lambda: aten.gelu_backward(dy, of),
        "gelu_tanh": lambda: aten.gelu_backward(dy, of, approximate="tanh"),
        "silu": lambda: aten.silu_backward(dy, of * a["alpha"]),
        "softplus": lambda: aten.softplus_backward(dy, of, 1, 20),
        "exponential": lambda: dy * of,
        "leaky_relu": lambda: aten.leaky_relu_backward(dy, of, a["alpha"], True),
        "relu6": lambda: aten.hardtanh_backward(dy, of, 0, 6),
        "celu": lambda: aten.elu_backward(dy, a["alpha"], 1.0, 1 / a["alpha"], True, of),
        "hard_sigmoid": lambda: torch.where((of > 0) & (of < 1), dy / 6, 0),
        "hard_tanh": lambda: aten.hardtanh_backward(dy, of, -1, 1),
        "hard_shrink": lambda: aten.hardshrink_backward(dy, of, 0),
        "soft_shrink": lambda: aten.hardshrink_backward(dy, of, 0),
        "log_sigmoid": lambda: dy * -torch.expm1(of),
        "sparse_plus": lambda: dy * of.clamp(0, 1).sqrt(),
        "sparse_sigmoid": lambda: torch.where((of > 0) & (of < 1), dy / 2, 0),
        "squareplus": lambda: dy * torch.where(of > 0, of * of / (of * of + a["alpha"] / 4), 0),
        "softsign": lambda: dy / (1 + of.abs()).square(),
        "mish": lambda: aten.mish_backward(dy, of),
        "hard_silu": lambda: aten.hardswish_backward(dy, of),
        "tanh_shrink": lambda: dy * torch.tanh(of).square(),
    }
    return steps[kind]


@_form
def greater(torch, s, a):
    y = torch.empty_like(s["a"])
    return lambda: torch.gt(s["a"], s["b"], out=y)


@_form
def where(torch, s, a):
    c = s["c"] != 0
    return lambda: torch.where(c, s["a"], s["b"])


@_form
def affine(torch, s, a):
    return lambda: s["x"] * a["scale"] + a["offset"]


@_form
def clip(torch, s, a):
    y = torch.empty_like(s["x"])
    return lambda: torch.clamp(s["x"], a["low"], a["high"], out=y)


@_form
def clip_grad(torch, s, a):
    return lambda: torch.ops.aten.hardtanh_backward(s["dy"], s["x"], a["low"], a["high"])


@_form
def copy(torch, s, a):
    y = torch.empty_like(s["x"])
    return lambda: y.copy_(s["x"])


@_form
def fill(torch, s, a):
    y = torch.empty(a["shape"])
    return lambda: y.fill_(a["value"])


@_form
def prelu(torch, s, a):
    return lambda: torch.nn.functional.prelu(s["x"], s["alpha"])


@_form
def glu(torch, s, a):
    return lambda: torch.nn.functional.glu(s["x"], -1)


@_form
def glu_grad(torch, s, a):
    return lambda: torch.ops.aten.glu_backward(s["dy"], s["x"], -1)


@_form
def softmax(torch, s, a):
    return lambda: torch.softmax(s["x"], -1)


@_form
def log_softmax(torch, s, a):
    return lambda: torch.log_softmax(s["x"], -1)


@_form
def softmax_grad(torch, s, a):
    return lambda: torch.ops.aten._softmax_backward_data(s["dy"], s["y"], -1, torch.float32)


@_form
def log_softmax_grad(torch, s, a):
    return lambda: torch.ops.aten._log_softmax_backward_data(s["dy"], s["y"], -1, torch.float32)


# ---------------------------------------------------------------------- products

@_form
def dense(torch, s, a):
    z = torch.empty(s["x"].shape[0], s["w"].shape[1])
    inplace = {"relu": torch.relu_, "sigmoid": torch.sigmoid_, "tanh": torch.tanh_, "selu": torch.selu_,
               "elu": lambda z: torch.nn.functional.elu(z, a["alpha"], inplace=True), "linear": lambda z: z}
    activate_ = inplace.get(a["activation"], lambda z: activate(torch, z, a["activation"], a["alpha"]))
    return lambda: activate_(torch.addmm(s["b"], s["x"], s["w"], out=z))


@_form
def dense_grad_input(torch, s, a):
    dx, kind = torch.empty(s["dz"].shape[0], s["w"].shape[0]), a["activation"]
    if s["y"] is None:
        return lambda: torch.mm(s["dz"], s["w"].T, out=dx)
    grad = {"kind": kind, "alpha": a["alpha"]}
    return lambda: activation_grad(torch, {"dy": torch.mm(s["dz"], s["w"].T, out=dx), "x": None, "y": s["y"]}, grad)()


@_form
def dense_grad_weight(torch, s, a):
    dw, db = torch.empty(s["x"].shape[1], s["dz"].shape[1]), torch.empty(s["dz"].shape[1])
    return lambda: (torch.mm(s["x"].T, s["dz"], out=dw), torch.sum(s["dz"], 0, out=db))


@_form
def matmul(torch, s, a):
    left = s["a"].mT if a["transpose_a"] else s["a"]
    right = s["b"].mT if a["transpose_b"] else s["b"]
    y = torch.empty(0)
    if a["sum_batch"]:
        return lambda: torch.matmul(left, right).sum(0)
    y = torch.matmul(left, right)
    return lambda: torch.matmul(left, right, out=y)


# ---------------------------------------------------------------------- convolutions

def _images(x):
    """(N,H,W,C) as PyTorch sees images with the channels last: the same memory."""
    return x.permute(0, 3, 1, 2)


def _around(a):
    """Zeros on both sides of the two axes, which must be as many; ValueError where PyTorch has no such padding."""
    top, bottom, left, right = a["padding"]
    if top != bottom or left != right:
        raise ValueError("PyTorch's convolutions have as many zeros before an axis as behind it.")
    return [top, left]


@_form
def conv(torch, s, a):
    x, w = _images(s["x"]), s["w"].permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    padding = _around(a)

    def step():
        z = torch.nn.functional.conv2d(x, w, s["b"], a["strides"], padding, a["dilation"], a["groups"])
        y = torch.relu_(z) if a["activation"] == "relu" else activate(torch, z, a["activation"], a["alpha"])
        return y.permute(0, 2, 3, 1)

    return step


@_form
def conv_grad_input(torch, s, a):
    dz, padding = _images(s["dz"]), _around(a)
    w = s["turned"].flip(0, 1).permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)
    x = torch.empty(dz.shape[0], w.shape[1] * a["groups"], *a["shape"])

    def step():
        dx, _, _ = torch.ops.aten.convolution_backward(
            dz, x, w, None, a["strides"], padding, a["dilation"], False, [0, 0], a["groups"], [True, False, False])
        dx = dx.permute(0, 2, 3, 1)
        if s["plus"] is not None:
            dx = dx + s["plus"]
        if s["y"] is None:
            return dx
        kind = {"kind": a["activation"], "alpha": a["alpha"]}
        return activation_grad(torch, {"dy": dx, "x": None, "y": s["y"]}, kind)()

    return step


# ---------------------------------------------------------------------- norm, loss, random numbers

@_form
def batch_norm(torch, s, a):
    momentum, epsilon = 1 - a["momentum"], a["epsilon"]
    moving_mean, moving_var = s["moving_mean"], s["moving_var"]
    if a["unbiased_moving_variance"]:
        return lambda: torch.native_batch_norm(s["x"], s["gamma"], s["beta"], moving_mean, moving_var, True, momentum,
                                               epsilon)

    def step():  # PyTorch's own moving variance is the unbiased one
        y, mean, rstd = torch.native_batch_norm(s["x"], s["gamma"], s["beta"], None, None, True, momentum, epsilon)
        moving_mean.lerp_(mean, momentum)
        moving_var.lerp_(rstd.pow(-2).sub_(epsilon), momentum)
        return y, mean, rstd

    return step


@_form
def batch_norm_inference(torch, s, a):
    return lambda: torch.native_batch_norm(s["x"], s["gamma"], s["beta"], s["moving_mean"], s["moving_var"], False, 0.0,
                                           a["epsilon"])[0]


@_form
def batch_norm_grad(torch, s, a):
    return lambda: torch.ops.aten.native_batch_norm_backward(
        s["dy"], s["x"], s["gamma"], None, None, s["mean"], s["rstd"], True, 0.0, [True, True, True])


@_form
def softmax_cross_entropy(torch, s, a):
    labels, f = s["labels"].long(), torch.nn.functional

    def step():
        logs = torch.log_softmax(s["z"], 1)
        return f.nll_loss(logs, labels, reduction="none"), logs.exp_()

    return step


@_form
def softmax_cross_entropy_grad(torch, s, a):
    labels, g = s["labels"].long()[:, None], s["g"][:, None]
    return lambda: (s["p"] * g).scatter_add_(1, labels, -g)


@_form
def sigmoid_cross_entropy(torch, s, a):
    if a["label_smoothing"]:
        return None
    f = torch.nn.functional
    return lambda: (f.binary_cross_entropy_with_logits(s["z"], s["t"], reduction="none").mean(1), torch.sigmoid(s["z"]))


@_form
def squared_error(torch, s, a):
    return lambda: torch.nn.functional.mse_loss(s["y"], s["t"], reduction="none").mean(1)


@_form
def absolute_error(torch, s, a):
    return lambda: torch.nn.functional.l1_loss(s["y"], s["t"], reduction="none").mean(1)


@_form
def huber_error(torch, s, a):
    return lambda: torch.nn.functional.huber_loss(s["y"], s["t"], reduction="none", delta=a["delta"]).mean(1)


@_form
def dropout(torch, s, a):
    return lambda: torch.dropout(s["x"], a["rate"], True)


@_form
def random_uniform(torch, s, a):
    y = torch.empty(a["shape"])
    return lambda: y.uniform_(a["low"], a["high"])


@_form
def random_normal(torch, s, a):
    y = torch.empty(a["shape"])
    return lambda: y.normal_(a["mean"], a["stddev"])


# ---------------------------------------------------------------------- sums and movement

def _axes(a):
    return None if a["axes"] is None else tuple(a["axes"])


@_form
def reduce_sum(torch, s, a):
    return lambda: torch.sum(s["x"], _axes(a), keepdim=a["keepdims"])


@_form
def reduce_mean(torch, s, a):
    return lambda: torch.mean(s["x"], _axes(a), keepdim=a["keepdims"])


@_form
def reduce_max(torch, s, a):
    axes = _axes(a)
    return lambda: torch.amax(s["x"], () if axes is None else axes, keepdim=a["keepdims"])


def _channels_first(x):
    """(N, H, W, C) as PyTorch sees images; the memory stays as it is."""
    return x.permute(0, 3, 1, 2)


def _one_padding(a):
    """The same on both sides, as PyTorch pads; where they differ there is no form."""
    (top, bottom), (left, right) = a["padding"]
    if top != bottom or left != right:
        raise ValueError("PyTorch pads alike on both sides.")
    return top, left


@_form
def max_pool(torch, s, a):
    x, padding = _channels_first(s["x"]), _one_padding(a)
    return lambda: torch.nn.functional.max_pool2d(x, a["pool"], a["strides"], padding).permute(0, 2, 3, 1)


@_form
def average_pool(torch, s, a):
    x, padding = _channels_first(s["x"]), _one_padding(a)
    more = dict(count_include_pad=False) if a["mean"] else dict(divisor_override=1)
    return lambda: torch.nn.functional.avg_pool2d(x, a["pool"], a["strides"], padding, **more).permute(0, 2, 3, 1)


@_form
def average_pool_grad(torch, s, a):
    dy, padding = _channels_first(s["dy"]), _one_padding(a)
    x = _channels_first(torch.empty(a["shape"]))
    return lambda: torch.ops.aten.avg_pool2d_backward(dy, x, a["pool"], a["strides"], padding, False, False,
                                                      None if a["mean"] else 1).permute(0, 2, 3, 1)


@_form
def broadcast_to(torch, s, a):
    y = torch.empty(a["shape"])
    return lambda: y.copy_(s["x"])


@_form
def transpose(torch, s, a):
    axes = tuple(range(s["x"].ndim))[::-1] if a["perm"] is None else a["perm"]
    turned = s["x"].permute(axes)
    y = torch.empty(turned.shape, dtype=turned.dtype)
    return lambda: y.copy_(turned)


@_form
def concat(torch, s, a):
    y = torch.cat((s["a"], s["b"]), a["axis"])
    return lambda: torch.cat((s["a"], s["b"]), a["axis"], out=y)


@_form
def gather_rows(torch, s, a):
    def step():
        y = torch.index_select(s["source"], 0, s["index"]).to(torch.float32)
        return y if a["scale"] == 1 and a["offset"] == 0 else y.mul_(a["scale"]).add_(a["offset"])

    return step


# ---------------------------------------------------------------------- updates

_LATE = 1e6  # steps after which the bias corrections are 1: alpha and epsilon have them in already


def _fused_adam(torch, s, a, fused, decay):
    step = torch.tensor(_LATE)
    options = dict(lr=s["alpha"], beta1=a["beta_1"], beta2=a["beta_2"], weight_decay=decay, eps=s["epsilon"],
                   amsgrad=False, maximize=False)
    return lambda: fused([s["w"]], [s["g"]], [s["m"]], [s["v"]], [], [step], **options)


@_form
def adam(torch, s, a):
    return _nothing(_fused_adam(torch, s, a, torch._fused_adam_, 0.0))


@_form
def adamw(torch, s, a):
    return _nothing(_fused_adam(torch, s, a, torch._fused_adamw_, s["decay"] / s["alpha"]))


def _nothing(step):
    """The step without its result: all outputs are updated in place."""
    def quiet():
        step()

    return quiet


@_form
def sgd(torch, s, a):
    return _nothing(lambda: s["w"].add_(s["g"], alpha=-s["rate"]))


@_form
def momentum(torch, s, a):
    def step():
        torch.mul(s["v"], s["mu"], out=s["v"]).add_(s["g"], alpha=-s["rate"])
        if a["nesterov"]:
            s["w"].add_(s["v"], alpha=s["mu"]).add_(s["g"], alpha=-s["rate"])
        else:
            s["w"].add_(s["v"])

    return step


@_form
def rmsprop(torch, s, a):
    def step():
        s["v"].mul_(a["rho"]).addcmul_(s["g"], s["g"], value=1 - a["rho"])
        root = (s["v"] + a["epsilon"]).sqrt_() if a["epsilon_inside"] else s["v"].sqrt().add_(a["epsilon"])
        s["w"].addcdiv_(s["g"], root, value=-s["rate"])

    return step


@_form
def scale_inplace(torch, s, a):
    return _nothing(lambda: s["g"].mul_(s["scale"]))


@_form
def clip_inplace(torch, s, a):
    return _nothing(lambda: s["g"].clamp_(-a["limit"], a["limit"]))


@_form
def add_inplace(torch, s, a):
    return _nothing(lambda: s["g"].add_(s["h"]))


@_form
def l2_grad_inplace(torch, s, a):
    return _nothing(lambda: s["g"].add_(s["w"], alpha=a["coefficient"]))


def known() -> frozenset[str]:
    """Names of the kernels that have a form here."""
    return frozenset({*_DIRECT, *_FORMS})
