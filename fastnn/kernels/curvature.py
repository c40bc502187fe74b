"""Second derivatives: the gradient rules of kernels that are gradients themselves, made of first-order kernels.

They serve Hessian-vector products, which nobody takes in every step, so they have no kernels of their own.
"""

from __future__ import annotations

import math

from . import elementwise as e
from .kinds import FROM_OUTPUT
from .reduce import reduce_sum
from .spec import Call

#: kinds whose slope is the same on each side of their kinks: nothing comes back through it
STRAIGHT = frozenset({"linear", "relu", "leaky_relu", "relu6", "hard_sigmoid", "hard_tanh", "hard_shrink",
                      "soft_shrink", "sparse_sigmoid"})


def _where_negative(y, value: float):
    """`value` where y <= 0, else 0."""
    return e.affine(e.greater(y, e.affine(y, scale=0.0)), scale=-value, offset=value)


def _gelu_tanh(x):
    c, d = math.sqrt(2 / math.pi), 0.044715
    x = e.clip(x, low=-100.0, high=100.0)
    square = e.square(x)
    t = _activation(e.multiply(e.affine(square, scale=c * d, offset=c), x), "tanh")
    rest = e.affine(e.square(t), scale=-1.0, offset=1.0)
    inner = e.affine(square, scale=3 * c * d, offset=c)  # the derivative of what tanh is taken of
    bend = e.subtract(e.affine(square, scale=3 * c * d), e.multiply(e.multiply(x, t), e.square(inner)))
    return e.multiply(rest, e.add(inner, bend))


def _gelu(x):
    square = e.square(e.clip(x, low=-100.0, high=100.0))
    density = e.affine(e.exp(e.affine(square, scale=-0.5)), scale=1 / math.sqrt(2 * math.pi))
    return e.multiply(density, e.affine(square, scale=-1.0, offset=2.0))


def _silu(x, alpha):
    z = e.clip(e.affine(x, scale=alpha), low=-1000.0, high=1000.0)
    s = _activation(z, "sigmoid")
    slope = e.multiply(s, e.affine(s, scale=-1.0, offset=1.0))
    bent = e.affine(e.multiply(z, e.affine(s, scale=-2.0, offset=1.0)), offset=2.0)
    return e.affine(e.multiply(slope, bent), scale=alpha)


def _sigmoid_slope(x):
    s = _activation(x, "sigmoid")
    return e.multiply(s, e.affine(s, scale=-1.0, offset=1.0))


def _tanh_shrink(x):
    t = _activation(x, "tanh")
    return e.affine(e.multiply(t, e.affine(e.square(t), scale=-1.0, offset=1.0)), scale=2.0)


def _softsign(x):
    per = e.reciprocal(e.affine(e.absolute(x), offset=1.0))
    return e.affine(e.multiply(e.sign(x), e.multiply(per, e.square(per))), scale=-2.0)


def _activation(x, kind):
    from .activation import activation

    return activation(x, kind=kind)


#: kind -> the derivative of its slope with respect to what that is told from: y of those in `FROM_OUTPUT`, else x
BENDS = {
    "sigmoid": lambda y, a: e.affine(y, scale=-2.0, offset=1.0),
    "tanh": lambda y, a: e.affine(y, scale=-2.0),
    "elu": lambda y, a: _where_negative(y, 1.0),
    "selu": lambda y, a: _where_negative(y, 1.0),
    "celu": lambda y, a: _where_negative(y, 1 / a),
    "exponential": lambda y, a: e.affine(y, scale=0.0, offset=1.0),
    "log_sigmoid": lambda y, a: e.negative(e.exp(y)),
    "gelu": lambda x, a: _gelu(x),
    "gelu_tanh": lambda x, a: _gelu_tanh(x),
    "silu": _silu,
    "softplus": lambda x, a: _sigmoid_slope(x),
    "softsign": lambda x, a: _softsign(x),
    "tanh_shrink": lambda x, a: _tanh_shrink(x),
}


def of_activation(call: Call, dx) -> dict:
    """Gradients of `activation_grad`: through dy, and through what the slope is told from."""
    from .activation import activation_grad

    kind, alpha, grads = call.attr("kind"), call.attr("alpha"), {}
    need = call.extra.get("need", call.kernel.inputs)
    if "dy" in need:
        grads["dy"] = activation_grad(dx, call["x"], call["y"], **call.attrs)
    told = "y" if kind in FROM_OUTPUT else "x"
    if told in need and kind not in STRAIGHT:
        if kind not in BENDS:
            raise TypeError(f"activation_grad of {kind!r} has no gradient: there are no second derivatives of it; they "
                            f"are known of {', '.join(sorted(STRAIGHT | set(BENDS)))}.")
        grads[told] = e.multiply(e.multiply(dx, call["dy"]), BENDS[kind](call[told], alpha))
    return grads


def of_softmax(call: Call, dx) -> dict:
    """Gradients of `softmax_grad`: its matrix is symmetric; y stands in it twice."""
    from .activation import softmax_grad

    dy, y = call["dy"], call["y"]
    last = (dy.ndim - 1,)
    mean = reduce_sum(e.multiply(dy, y), axes=last, keepdims=True)
    back = reduce_sum(e.multiply(dx, y), axes=last, keepdims=True)
    return {"dy": softmax_grad(dx, y),
            "y": e.subtract(e.multiply(dx, e.subtract(dy, mean)), e.multiply(dy, back))}


def of_rows(call: Call, dz, slots: dict) -> dict:
    """Gradients of a loss's gradient, ``f(slots) * g`` by rows: of g here, of the slots by what `slots` gives."""
    need = call.extra.get("need", call.kernel.inputs)
    grads = {name: make() for name, make in slots.items() if name in need}
    if "g" in need:
        ones = e.affine(call["g"], scale=0.0, offset=1.0)
        plain = call.kernel(*(ones if n == "g" else x for n, x in zip(call.kernel.inputs, call.inputs)), **call.attrs)
        grads["g"] = reduce_sum(e.multiply(dz, plain), axes=(1,))
    return grads


def times_g(call: Call, dz, scale: float = 1.0):
    """dz * g by rows, times a number."""
    found = e.multiply(dz, call["g"].reshape(-1, 1))
    return found if scale == 1.0 else e.affine(found, scale=scale)
