"""Initializers that draw: plain distributions, those scaled by the weight's shape, orthogonal ones."""

from __future__ import annotations

import math

import numpy as np

from fastnn import spelling
from fastnn.seeds import Seed

from .initializer import (
    RandomInitializer,
    check_dtype,
    check_number,
    check_shape,
    compute_fans,
    draw,
    truncated_normal,
)

TRUNCATED_DEVIATION = 0.87962566103423978  # of a standard normal cut at -2 and 2; the digits are Keras's


class RandomNormal(RandomInitializer):
    """Normal values.

    Parameters
    ----------
    mean, stddev : float
    seed : int, SeedSequence, Generator, or None for the next of the package's stream.

    Examples
    --------
    >>> RandomNormal(stddev=0.1, seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None):
        self.mean = check_number(mean, "mean", self)
        self.stddev = check_number(stddev, "stddev", self)
        if self.stddev < 0:
            raise ValueError(f"{type(self).__name__}: stddev must be at least 0, but is {stddev!r}.")
        super().__init__(seed)

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        rng = self.generator()
        return draw(shape, dtype, lambda n: rng.standard_normal(n) * self.stddev + self.mean, self)

    def get_config(self) -> dict:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal values, none farther than two deviations from the mean: those are drawn again.

    Parameters
    ----------
    mean, stddev : float, of the normal distribution before it is cut.
    seed : int, SeedSequence, Generator, or None for the next of the package's stream.

    Examples
    --------
    >>> w = TruncatedNormal(stddev=1.0, seed=1)((1000,))
    >>> bool(abs(w).max() <= 2)
    True
    """

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        rng = self.generator()
        return draw(shape, dtype, lambda n: truncated_normal(rng, n) * self.stddev + self.mean, self)


class RandomUniform(RandomInitializer):
    """Values spread evenly over [minval, maxval).

    Parameters
    ----------
    minval, maxval : float
    seed : int, SeedSequence, Generator, or None for the next of the package's stream.

    Examples
    --------
    >>> w = RandomUniform(0.0, 1.0, seed=1)((1000,))
    >>> bool(w.min() >= 0 and w.max() < 1)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None):
        self.minval = check_number(minval, "minval", self)
        self.maxval = check_number(maxval, "maxval", self)
        if self.maxval < self.minval:
            raise ValueError(f"RandomUniform: maxval {maxval} is below minval {minval}.")
        super().__init__(seed)

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        return _uniform(self, shape, dtype, self.minval, self.maxval)

    def get_config(self) -> dict:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


def _uniform(who: RandomInitializer, shape, dtype, low: float, high: float) -> np.ndarray:
    """Uniform values in [low, high), also after rounding to `dtype`."""
    rng = who.generator()
    out = draw(shape, dtype, lambda n: rng.random(n) * (high - low) + low, who)
    top = out.dtype.type(high)
    if high > low:  # rounding may reach the open end
        np.copyto(out, np.nextafter(top, out.dtype.type(low)), where=out >= top)
    return out


class VarianceScaling(RandomInitializer):
    """Values whose variance follows the weight's shape: ``scale / n``.

    n is the number of inputs (``mode="fan_in"``), of outputs (``"fan_out"``) or their mean
    (``"fan_avg"``), see `compute_fans`. The distribution is

    - ``"truncated_normal"``: normal, drawn again beyond two deviations. Cutting shrinks the deviation to
      0.8796 of what it was, so the normal starts from ``sqrt(scale / n) / 0.87962566103423978``;
    - ``"untruncated_normal"``: normal with deviation ``sqrt(scale / n)``;
    - ``"uniform"``: within ``-sqrt(3 * scale / n)`` and ``sqrt(3 * scale / n)``.

    Parameters
    ----------
    scale : float above 0.
    mode, distribution : str, as above.
    seed : int, SeedSequence, Generator, or None for the next of the package's stream.
    input_axes, output_axes : lists of int, the axes that count as inputs and outputs.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852.

    Examples
    --------
    >>> w = VarianceScaling(scale=2.0, mode="fan_in", seed=1)((200, 500))
    >>> print(round(float(w.std()), 2))       # sqrt(2 / 200)
    0.1
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes=None,
        output_axes=None,
    ):
        self.scale = check_number(scale, "scale", self)
        if self.scale <= 0:
            raise ValueError(f"{type(self).__name__}: scale must be above 0, but is {scale!r}.")
        self.mode = spelling.one_of("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        if isinstance(distribution, str):
            distribution = distribution.lower()
            distribution = "truncated_normal" if distribution == "normal" else distribution
        self.distribution = spelling.one_of(
            "distribution", distribution, ("truncated_normal", "untruncated_normal", "uniform")
        )
        if (input_axes is None) != (output_axes is None):
            raise ValueError(f"{type(self).__name__}: input_axes and output_axes must be given together.")
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        shape = check_shape(shape)
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return _uniform(self, shape, dtype, -limit, limit)
        rng = self.generator()
        if self.distribution == "untruncated_normal":
            return draw(shape, dtype, lambda n: rng.standard_normal(n) * math.sqrt(variance), self)
        deviation = math.sqrt(variance) / TRUNCATED_DEVIATION
        return draw(shape, dtype, lambda n: truncated_normal(rng, n) * deviation, self)

    def get_config(self) -> dict:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **self._shared_config(),
        }

    def _shared_config(self) -> dict:
        return {**RandomInitializer.get_config(self), "input_axes": self.input_axes, "output_axes": self.output_axes}


class _Named(VarianceScaling):
    """A VarianceScaling with a name of its own: scale, mode and distribution are the class's."""

    rule: tuple[float, str, str]

    def __init__(self, seed: Seed = None, input_axes=None, output_axes=None):
        super().__init__(*self.rule, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict:
        return self._shared_config()


class GlorotUniform(_Named):
    """Uniform within ``±sqrt(6 / (fan_in + fan_out))``: for tanh, sigmoid, softmax; Keras's default for kernels.

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.

    Examples
    --------
    >>> w = GlorotUniform(seed=1)((2, 4))      # limit 1
    >>> bool(abs(w).max() < 1)
    True
    """

    rule = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Truncated normal with deviation ``sqrt(2 / (fan_in + fan_out))``.

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.
    """

    rule = (1.0, "fan_avg", "truncated_normal")


class HeNormal(_Named):
    """Truncated normal with deviation ``sqrt(2 / fan_in)``: for ReLU and its relatives.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852.
    """

    rule = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform within ``±sqrt(6 / fan_in)``: for ReLU and its relatives.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852.
    """

    rule = (2.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal with deviation ``sqrt(1 / fan_in)``: for SELU.

    References
    ----------
    LeCun et al. (1998), Efficient BackProp; Klambauer et al. (2017), Self-normalizing neural networks,
    arXiv:1706.02515.
    """

    rule = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform within ``±sqrt(3 / fan_in)``.

    References
    ----------
    LeCun et al. (1998), Efficient BackProp.
    """

    rule = (1.0, "fan_in", "uniform")


class TorchLinear(RandomInitializer):
    """What PyTorch's `Linear` begins with: uniform within -1 / sqrt(fan_in) and 1 / sqrt(fan_in).

    PyTorch writes it as ``kaiming_uniform_(weight, a=sqrt(5))``: sqrt(6 / ((1 + a^2) fan_in)) is that bound. It gives
    the bias the same, fan_in being the kernel's: as a bias initializer of `Dense` this takes it from there, elsewhere
    it must be told.

    Parameters
    ----------
    fan_in : int, inputs of each output; None takes it from the shape, which a vector does not tell.
    seed : int, SeedSequence, Generator, or None for the next of the package's stream.

    Examples
    --------
    >>> from fastnn import layers
    >>> layer = layers.Dense(300, kernel_initializer="torch_linear", bias_initializer="torch_linear")
    >>> layer.build((None, 400))
    >>> [round(float(abs(w).max()), 3) for w in layer.get_weights()]       # 1 / sqrt(400)
    [0.05, 0.05]
    """

    def __init__(self, fan_in: int | None = None, seed: Seed = None):
        whole = isinstance(fan_in, (int, np.integer)) and not isinstance(fan_in, bool)
        if fan_in is not None and not (whole and fan_in > 0):
            raise ValueError(f"TorchLinear: fan_in must be a positive whole number, but is {fan_in!r}.")
        self.fan_in = None if fan_in is None else int(fan_in)
        super().__init__(seed)

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        shape = check_shape(shape)
        if self.fan_in is None and len(shape) < 2:
            raise ValueError(f"TorchLinear: a weight of shape {shape} does not tell how many inputs there are; "
                             "give fan_in.")
        limit = 1 / math.sqrt(max(1, self.fan_in or compute_fans(shape)[0]))
        return _uniform(self, shape, dtype, -limit, limit)

    def beside(self, shape) -> TorchLinear:
        """This one, for the bias beside a kernel of this shape."""
        if self.fan_in is not None:
            return self
        return TorchLinear(compute_fans(shape)[0], seed=self._source)

    def get_config(self) -> dict:
        return {**super().get_config(), "fan_in": self.fan_in}


class Orthogonal(RandomInitializer):
    """A random orthogonal matrix times `gain`, evenly distributed over all of them.

    A weight of more than two axes is one matrix of ``shape[-1]`` columns. Where there are more rows
    than columns, the columns are orthonormal; otherwise the rows are.

    Parameters
    ----------
    gain : float
    seed : int, SeedSequence, Generator, or None for the next of the package's stream.

    References
    ----------
    Saxe et al. (2014), Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks, arXiv:1312.6120.

    Examples
    --------
    >>> q = Orthogonal(seed=1)((3, 3), "float64")
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None):
        self.gain = check_number(gain, "gain", self)
        super().__init__(seed)

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        shape, dtype = check_shape(shape), check_dtype(dtype, self)
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: the weight must have two axes or more, but its shape is {shape}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self.generator().standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diagonal(r))  # without this the distribution is not even (Mezzadri 2007)
        q = q if rows >= columns else q.T
        return np.ascontiguousarray((self.gain * q).reshape(shape), dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "gain": self.gain}
