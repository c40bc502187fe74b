"""Arithmetic on elements: two arrays with NumPy's broadcasting, one array, and constants."""

from __future__ import annotations

import math

import numpy as np

from .broadcast import Broadcast, Flat, gradients
from .spec import Array, Kernel, blocks, like, register

_erf = np.frompyfunc(math.erf, 1, 1)


def _silent(function):
    """Without NumPy's warnings: infinities and NaN say it themselves (as in 1 / 0)."""
    def quiet(self, *args, **attrs):
        with np.errstate(all="ignore"):
            return function(self, *args, **attrs)
    return quiet


# ---------------------------------------------------------------------- two arrays


@register
class add(Broadcast):
    """y = a + b, broadcast."""

    name = "add"

    def numpy(self, a, b):
        return a + b

    def gradient(self, call, *, y):
        return gradients(call, a=lambda: y, b=lambda: y)


@register
class subtract(Broadcast):
    """y = a - b, broadcast."""

    name = "subtract"

    def numpy(self, a, b):
        return a - b

    def gradient(self, call, *, y):
        return gradients(call, a=lambda: y, b=lambda: negative(y))


@register
class multiply(Broadcast):
    """y = a b, broadcast."""

    name = "multiply"

    def numpy(self, a, b):
        return a * b

    def gradient(self, call, *, y):
        return gradients(call, a=lambda: multiply(y, call["b"]), b=lambda: multiply(y, call["a"]))


@register
class divide(Broadcast):
    """y = a / b, broadcast; a / 0 is an infinity or NaN."""

    name = "divide"

    @_silent
    def numpy(self, a, b):
        return a / b

    def gradient(self, call, *, y):
        b = call["b"]
        return gradients(call, a=lambda: divide(y, b), b=lambda: negative(divide(multiply(y, call["y"]), b)))


@register
class maximum(Broadcast):
    """y = max(a, b), broadcast; NaN if one is NaN. Where they are equal the gradient goes to a."""

    name = "maximum"

    def numpy(self, a, b):
        return np.maximum(a, b)

    def gradient(self, call, *, y):
        larger = greater(call["b"], call["a"])
        return gradients(call, a=lambda: where(larger, None, y), b=lambda: where(larger, y, None))

    def terms(self, call):
        return 0


@register
class minimum(Broadcast):
    """y = min(a, b), broadcast; NaN if one is NaN. Where they are equal the gradient goes to a."""

    name = "minimum"

    def numpy(self, a, b):
        return np.minimum(a, b)

    def gradient(self, call, *, y):
        larger = greater(call["a"], call["b"])
        return gradients(call, a=lambda: where(larger, None, y), b=lambda: where(larger, y, None))

    def terms(self, call):
        return 0


@register
class power(Broadcast):
    """y = a^b, broadcast, as C's pow has it: NaN for a < 0 and b not whole; a^0 = 1.

    dy/da = b a^(b - 1); dy/db = y log(a), taken as 0 where a <= 0.
    """

    name = "power"

    @_silent
    def numpy(self, a, b):
        return np.power(a, b)

    def gradient(self, call, *, y):
        a, b = call["a"], call["b"]

        def for_a():
            return multiply(y, multiply(b, power(a, affine(b, offset=-1.0))))

        def for_b():
            positive = greater(a, affine(a, scale=0.0))
            log_a = log(where(positive, a, affine(positive, scale=0.0, offset=1.0)))
            return multiply(y, multiply(call["y"], log_a))

        return gradients(call, a=for_a, b=for_b)

    def flops(self, call):
        return 3 * call["y"].size


@register
class greater(Broadcast):
    """y = 1 where a > b, else 0, in the dtype of a and b; broadcast. Its gradient is nil.

    Examples
    --------
    >>> import numpy as np
    >>> greater(np.array([1.0, 2.0, 3.0]), np.array([2.0]))
    array([0., 0., 1.])
    """

    name = "greater"

    def numpy(self, a, b):
        return np.greater(a, b).astype(a.dtype)

    def gradient(self, call, *, y):
        return {}

    def terms(self, call):
        return 0


@register
class where(Broadcast):
    """y = a where c is not 0, else b, broadcast; an absent a or b is 0. c has no gradient.

    Examples
    --------
    >>> import numpy as np
    >>> where(np.array([1.0, 0.0]), np.array([5.0, 6.0]), None)
    array([5., 0.])
    """

    name = "where"
    inputs = ("c", "a", "b")
    optional = ("a", "b")

    def numpy(self, c, a, b):
        zero = c.dtype.type(0)
        return np.where(c != 0, zero if a is None else a, zero if b is None else b)

    def flops(self, call):
        return 0

    def gradient(self, call, *, y):
        return gradients(call, a=lambda: where(call["c"], y, None), b=lambda: where(call["c"], None, y))

    def terms(self, call):
        return 0


# ---------------------------------------------------------------------- one array


@register
class negative(Flat):
    """y = -x."""

    name = "negative"

    def numpy(self, x):
        return -x

    def gradient(self, call, *, y):
        return {"x": negative(y)}

    def terms(self, call):
        return 0


@register
class exp(Flat):
    """y = e^x."""

    name = "exp"

    @_silent
    def numpy(self, x):
        return np.exp(x)

    def gradient(self, call, *, y):
        return {"x": multiply(y, call["y"])}


@register
class log(Flat):
    """y = ln x; -inf at 0, NaN below."""

    name = "log"

    @_silent
    def numpy(self, x):
        return np.log(x)

    def gradient(self, call, *, y):
        return {"x": divide(y, call["x"])}


@register
class sqrt(Flat):
    """y = sqrt(x); NaN below 0."""

    name = "sqrt"

    @_silent
    def numpy(self, x):
        return np.sqrt(x)

    def gradient(self, call, *, y):
        return {"x": divide(affine(y, scale=0.5), call["y"])}


@register
class square(Flat):
    """y = x^2."""

    name = "square"

    def numpy(self, x):
        return x * x

    def gradient(self, call, *, y):
        return {"x": multiply(affine(y, scale=2.0), call["x"])}


@register
class absolute(Flat):
    """y = |x|. Its gradient at 0 is 0."""

    name = "absolute"

    def numpy(self, x):
        return np.abs(x)

    def gradient(self, call, *, y):
        return {"x": multiply(y, sign(call["x"]))}

    def terms(self, call):
        return 0


@register
class sign(Flat):
    """y = -1, 0 or 1 as x is below, at or above 0. Its gradient is nil."""

    name = "sign"

    def numpy(self, x):
        return np.sign(x)

    def gradient(self, call, *, y):
        return {}

    def terms(self, call):
        return 0


@register
class reciprocal(Flat):
    """y = 1 / x."""

    name = "reciprocal"

    @_silent
    def numpy(self, x):
        return 1 / x

    def gradient(self, call, *, y):
        return {"x": negative(multiply(y, square(call["y"])))}


@register
class log1p(Flat):
    """y = ln(1 + x), exact for small x."""

    name = "log1p"
    operations = 2

    @_silent
    def numpy(self, x):
        return np.log1p(x)

    def gradient(self, call, *, y):
        return {"x": divide(y, affine(call["x"], offset=1.0))}


@register
class expm1(Flat):
    """y = e^x - 1, exact for small x."""

    name = "expm1"
    operations = 2

    @_silent
    def numpy(self, x):
        return np.expm1(x)

    def gradient(self, call, *, y):
        return {"x": multiply(y, affine(call["y"], offset=1.0))}


@register
class erf(Flat):
    """y = erf(x), 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Examples
    --------
    >>> import numpy as np
    >>> erf(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8427])
    """

    name = "erf"
    operations = 3

    def numpy(self, x):
        return np.asarray(_erf(x)).astype(x.dtype)

    def gradient(self, call, *, y):
        return {"x": multiply(affine(y, scale=2 / math.sqrt(math.pi)), exp(negative(square(call["x"]))))}


@register
class affine(Flat):
    """y = scale x + offset, two numbers.

    Examples
    --------
    >>> import numpy as np
    >>> affine(np.array([1.0, 2.0]), scale=10.0, offset=-1.0)
    array([ 9., 19.])
    """

    name = "affine"
    attrs = {"scale": 1.0, "offset": 0.0}
    operations = 2

    def numpy(self, x, *, scale, offset):
        return x * scale + offset

    def gradient(self, call, *, y):
        return {"x": y if call.attr("scale") == 1.0 else affine(y, scale=call.attr("scale"))}


@register
class clip(Flat):
    """y = x, but low where it is below and high where it is above; NaN stays."""

    name = "clip"
    attrs = {"low": -math.inf, "high": math.inf}
    operations = 2

    def infer(self, x, *, low, high):
        if not low <= high:
            raise ValueError(f"clip needs low <= high, not low {low} and high {high}.")
        return super().infer(x)

    def numpy(self, x, *, low, high):
        return np.clip(x, low, high)

    def gradient(self, call, *, y):
        return {"x": clip_grad(y, call["x"], **call.attrs)}


@register
class clip_grad(Flat):
    """dx = dy where low <= x <= high, else 0: the gradient of `clip`."""

    name = "clip_grad"
    outputs = ("dx",)
    inputs = ("dy", "x")
    attrs = {"low": -math.inf, "high": math.inf}
    operations = 2

    def numpy(self, dy, x, *, low, high):
        return np.where((x < low) | (x > high), dy.dtype.type(0), dy)

    def terms(self, call):
        return 0


# ---------------------------------------------------------------------- constants and copies


@register
class fill(Kernel):
    """y = value everywhere. It has no input: in a program ``graph.emit(fill, (), attrs)`` emits it.

    Examples
    --------
    >>> fill(value=7.0, shape=(2,))
    array([7., 7.], dtype=float32)
    """

    name = "fill"
    inputs = ()
    dims = ("N", "type")
    attrs = {"value": ..., "shape": ..., "dtype": "float32"}
    hidden = ("shape", "dtype")
    TYPES = ("float32", "float64", "int32", "uint8")  # `type` is the place in this tuple

    def infer(self, *, value, shape, dtype):
        if np.dtype(dtype).name not in self.TYPES:
            raise ValueError(f"fill makes arrays of {', '.join(self.TYPES)}, not {np.dtype(dtype)}.")
        return (Array(tuple(shape), np.dtype(dtype)),)

    def numpy(self, *, value, shape, dtype):
        return np.full(shape, value, dtype)

    def sizes(self, call):
        return (call["y"].size, self.TYPES.index(call["y"].dtype.name))

    def tiles(self, call):
        return blocks(call["y"].size)

    def gradient(self, call, *, y):
        return {}

    def terms(self, call):
        return 0


@register
class copy(Kernel):
    """y = x, of any dtype."""

    name = "copy"
    dims = ("N", "itemsize")
    flat = True

    def infer(self, x):
        return (like(x),)

    def numpy(self, x):
        return np.array(x)

    def sizes(self, call):
        return (call["x"].size, call["x"].dtype.itemsize)

    def tiles(self, call):
        return blocks(call["x"].size)

    def gradient(self, call, *, y):
        return {"x": y}

    def terms(self, call):
        return 0
