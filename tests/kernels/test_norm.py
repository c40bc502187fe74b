"""Batch normalisation against PyTorch (training, inference, gradients, moving statistics), and hard data."""

import numpy as np
import pytest

from fastnn.kernels import norm as k
from fastnn.kernels import single, tables
from fastnn.kernels.spec import Array, Call

BACKENDS = ["numpy", *(["native"] if tables.native_available() else [])]
RNG = np.random.default_rng(5)


def data(rows=37, columns=21):
    x = RNG.normal(size=(rows, columns)) * 3 + RNG.normal(size=columns) * 2
    return (a.astype(np.float32) for a in (x, RNG.normal(size=columns), RNG.normal(size=columns),
                                           RNG.normal(size=columns), RNG.uniform(0.5, 2, columns),
                                           RNG.normal(size=(rows, columns))))


def torch_batch_norm(torch, arrays, training):
    """y, gradients of x, gamma, beta, and the moving statistics, in float64."""
    x, gamma, beta, mean, var, dy = (torch.tensor(a, dtype=torch.float64) for a in arrays)
    for t in (x, gamma, beta):
        t.requires_grad_()
    y = torch.nn.functional.batch_norm(x, mean, var, gamma, beta, training=training, momentum=0.1, eps=1e-3)
    y.backward(dy)
    return [t.detach().numpy() for t in (y, x.grad, gamma.grad, beta.grad, mean, var)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_and_its_gradient_agree_with_torch(backend):
    torch = pytest.importorskip("torch")
    x, gamma, beta, mean, var, dy = arrays = list(data())
    y, batch_mean, rstd, mean, var = single.run(k.batch_norm, x, gamma, beta, mean, var, backend=backend,
                                                momentum=0.9, epsilon=1e-3, unbiased_moving_variance=1)
    dx, dgamma, dbeta = single.run(k.batch_norm_grad, dy, x, gamma, batch_mean, rstd, backend=backend)
    for got, want in zip((y, dx, dgamma, dbeta, mean, var), torch_batch_norm(torch, arrays, True), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_inference_and_its_gradient_agree_with_torch(backend):
    torch = pytest.importorskip("torch")
    x, gamma, beta, mean, var, dy = arrays = list(data())
    (y,) = single.run(k.batch_norm_inference, x, gamma, beta, mean, var, backend=backend, epsilon=1e-3)
    grads = single.run(k.batch_norm_inference_grad, dy, x, gamma, mean, var, backend=backend, epsilon=1e-3)
    for got, want in zip((y, *grads), torch_batch_norm(torch, arrays, False), strict=False):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("rows", [50, 3000])
@pytest.mark.parametrize("order", ["mixed", "sorted"])
def test_a_large_mean_does_not_swallow_the_variance(rows, order):
    """With a mean of 1000 deviations, sums of x*x in float32 would leave nothing of the variance."""
    x = (RNG.normal(size=(rows, 3)) + [0.0, 1000.0, -1000.0]).astype(np.float32)
    if order == "sorted":
        x.sort(axis=0)
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    _, mean, rstd, *_ = single.run(k.batch_norm, x, None, None, zero, one, backend=BACKENDS[-1], epsilon=1e-8)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(rstd, 1 / wide.std(0), rtol=1e-5)


def test_equal_rows_give_zero_and_no_nan():
    x = np.full((300, 5), np.float32(0.1))
    zero, one = np.zeros(5, np.float32), np.ones(5, np.float32)
    y, _, rstd, *_ = single.run(k.batch_norm, x, None, None, zero, one, backend=BACKENDS[-1])
    assert np.abs(y).max() < 1e-5
    np.testing.assert_allclose(rstd, 1 / np.sqrt(1e-3), rtol=1e-6)


def test_nan_and_inf_stay_in_their_columns():
    x = RNG.normal(size=(40, 70)).astype(np.float32)
    x[3, 5], x[39, 69] = np.nan, np.inf
    zero, one = np.zeros(70, np.float32), np.ones(70, np.float32)
    y, *_ = single.run(k.batch_norm, x, None, None, zero, one, backend=BACKENDS[-1])
    bad = np.isnan(y).any(0)
    assert np.flatnonzero(bad).tolist() == [5, 69]


def test_a_first_layer_computes_no_gradient_of_the_data():
    class Emitted:
        """Stands for a graph's tensor and records which kernels it was handed to."""

        def __init__(self, shape, log):
            self.shape, self.dtype, self.graph, self.log = shape, np.dtype(np.float32), self, log

        def emit(self, kernel, inputs, attrs):
            self.log.append(kernel.name)
            return tuple(Emitted(a.shape, self.log) for a in kernel.infer(
                *(None if x is None else Array(x.shape) for x in inputs), **attrs))

    log = []
    x, vector = Emitted((4, 3), log), [Emitted((3,), log) for _ in range(4)]
    attrs = k.batch_norm.complete({})
    call = Call(k.batch_norm, (x, *vector), (x, *vector), attrs, extra={"need": {"gamma", "beta"}})
    assert set(k.batch_norm.gradient(call, y=x)) == {"gamma", "beta"}
    call.extra["need"] = {"x"}
    assert set(k.batch_norm.gradient(call, y=x)) == {"x", "gamma", "beta"}
    assert log == ["batch_norm_grad_parameters", "batch_norm_grad"]


def test_bad_shapes_are_refused():
    x, n = np.zeros((4, 3)), np.zeros(3)
    with pytest.raises(ValueError, match=r"batch_norm needs gamma as floats of shape \(3,\) .* got shape \(4,\)"):
        single.describe(k.batch_norm, [x, np.zeros(4), n, n, n], {})
    with pytest.raises(ValueError, match=r"batch_norm needs a float matrix of at least one row, got shape \(0, 3\)"):
        single.describe(k.batch_norm, [x[:0], n, n, n, n], {})
