"""Losses, their gradients and metrics against PyTorch and hand-worked corners."""

from functools import partial

import numpy as np
import pytest

from fastnn.kernels import errors, metric, single, tables
from fastnn.kernels import loss as k
from fastnn.kernels.spec import Array

BACKENDS = ["numpy", *(["native"] if tables.native_available() else [])]
RNG = np.random.default_rng(11)
M, N = 7, 19
Z = RNG.normal(size=(M, N)).astype(np.float32) * 3
T = RNG.random((M, N)).astype(np.float32)
G = RNG.normal(size=M).astype(np.float32)
LABELS = RNG.integers(0, N, M).astype(np.int32)
P = (RNG.random((M, N)) * 0.9 + 0.05).astype(np.float32)


def torch_check(torch, x, losses_of, got_losses, got_grad):
    """losses_of(tensor) gives the losses per row; compare them and their gradient weighted by G."""
    leaf = torch.tensor(x.astype(np.float64), requires_grad=True)
    losses = losses_of(leaf)
    (losses * torch.tensor(G.astype(np.float64))).sum().backward()
    np.testing.assert_allclose(got_losses, losses.detach().numpy(), rtol=2e-6)
    want = leaf.grad.numpy()
    np.testing.assert_allclose(got_grad, want, rtol=0, atol=2e-6 * np.abs(want).max())


def row_mean(loss, t):
    return lambda x: loss(x, t, reduction="none").mean(1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_softmax_cross_entropy_agrees_with_torch(backend):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    losses, p = single.run(k.softmax_cross_entropy, Z, LABELS, backend=backend)
    (dz,) = single.run(k.softmax_cross_entropy_grad, G, p, LABELS, backend=backend)
    torch_check(torch, Z, lambda z: f.cross_entropy(z, torch.tensor(LABELS.astype(int)), reduction="none"), losses, dz)
    for smoothing in (0.0, 0.15):
        losses, p = single.run(k.softmax_cross_entropy_dense, Z, T, backend=backend, label_smoothing=smoothing)
        (dz,) = single.run(k.softmax_cross_entropy_dense_grad, G, p, T, backend=backend, label_smoothing=smoothing)
        t = torch.tensor(T.astype(np.float64))
        torch_check(torch, Z, partial(
            f.cross_entropy, target=t, reduction="none", label_smoothing=smoothing), losses, dz)


@pytest.mark.parametrize("backend", BACKENDS)
def test_cross_entropy_of_probabilities_agrees_with_its_formula_in_torch(backend):
    torch = pytest.importorskip("torch")
    p = P.copy()
    p[0, :3] = 1e-9  # clipped
    p[1, LABELS[1]] = 1e-9
    t = T * 0.9 + 0.1 / N

    def q(x):
        return torch.clip(x / x.sum(1, keepdim=True), 1e-7, 1 - 1e-7)

    losses, = single.run(k.cross_entropy, p, LABELS, backend=backend)
    dp, = single.run(k.cross_entropy_grad, G, p, LABELS, backend=backend)
    torch_check(torch, p, lambda x: -torch.log(q(x)[torch.arange(M), torch.tensor(LABELS.astype(int))]), losses, dp)
    losses, = single.run(k.cross_entropy_dense, p, T, backend=backend, label_smoothing=0.1)
    dp, = single.run(k.cross_entropy_dense_grad, G, p, T, backend=backend, label_smoothing=0.1)
    torch_check(torch, p, lambda x: -(torch.tensor(t) * torch.log(q(x))).sum(1), losses, dp)


@pytest.mark.parametrize("backend", BACKENDS)
def test_binary_cross_entropy_agrees_with_torch(backend):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    for smoothing in (0.0, 0.2):
        t = torch.tensor(T.astype(np.float64) * (1 - smoothing) + smoothing / 2)
        losses, p = single.run(k.sigmoid_cross_entropy, Z, T, backend=backend, label_smoothing=smoothing)
        (dz,) = single.run(k.sigmoid_cross_entropy_grad, G, p, T, backend=backend, label_smoothing=smoothing)
        torch_check(torch, Z, row_mean(f.binary_cross_entropy_with_logits, t), losses, dz)
        losses, = single.run(k.binary_cross_entropy, P, T, backend=backend, label_smoothing=smoothing)
        dp, = single.run(k.binary_cross_entropy_grad, G, P, T, backend=backend, label_smoothing=smoothing)
        torch_check(torch, P, row_mean(f.binary_cross_entropy, t), losses, dp)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel,gradient,name", [(errors.squared_error, errors.squared_error_grad, "mse_loss"),
                                                  (errors.absolute_error, errors.absolute_error_grad, "l1_loss")])
def test_errors_agree_with_torch(kernel, gradient, name, backend):
    torch = pytest.importorskip("torch")
    losses, = single.run(kernel, Z, T, backend=backend)
    dy, = single.run(gradient, G, Z, T, backend=backend)
    t = torch.tensor(T.astype(np.float64))
    torch_check(torch, Z, lambda y: getattr(torch.nn.functional, name)(y, t, reduction="none").mean(1), losses, dy)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("delta", [0.3, 1.0, 5.0])
def test_huber_agrees_with_torch(delta, backend):
    torch = pytest.importorskip("torch")
    losses, = single.run(errors.huber_error, Z, T, backend=backend, delta=delta)
    dy, = single.run(errors.huber_error_grad, G, Z, T, backend=backend, delta=delta)
    t = torch.tensor(T.astype(np.float64))
    torch_check(torch, Z, lambda y: torch.nn.functional.huber_loss(y, t, reduction="none", delta=delta).mean(1), losses,
                dy)


@pytest.mark.parametrize("backend", BACKENDS)
def test_log_cosh_from_smallest_to_largest_errors(backend):
    d = np.array([[0.0], [1e-20], [1e-6], [-1e-3], [0.5], [-3.0], [19.9], [-20.1], [1e30]], np.float32)
    losses, = single.run(errors.log_cosh_error, d, 0 * d, backend=backend)
    small, wide = d[:4, 0].astype(float), abs(d[4:, 0].astype(float))
    want = np.concatenate([small**2 / 2, wide + np.log1p(np.exp(-2 * wide)) - np.log(2)])
    np.testing.assert_allclose(losses, want, rtol=5e-7, atol=1e-38)
    nan, = single.run(errors.log_cosh_error, np.full((1, 3), np.nan, np.float32), np.zeros((1, 3), np.float32),
                      backend=backend)
    assert np.isnan(nan[0])
    with pytest.raises(ValueError, match="delta above 0, got 0"):
        errors.huber_error.infer(Array((2, 3)), Array((2, 3)), delta=0.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_huge_logits_do_not_overflow(backend):
    z = np.array([[1e4, 0.0, -1e4], [1e38, 1e38, -1e38]], np.float32)
    losses, p = single.run(k.softmax_cross_entropy, z, np.array([2, 0], np.int32), backend=backend)
    np.testing.assert_allclose(losses, [2e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(p, [[1, 0, 0], [0.5, 0.5, 0]], atol=1e-7)
    losses, p = single.run(k.sigmoid_cross_entropy, z[:1], np.zeros((1, 3), np.float32), backend=backend)
    np.testing.assert_allclose(losses, [(1e4 + np.log(2)) / 3], rtol=1e-6)
    assert p.tolist() == [[1.0, 0.5, 0.0]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel", [k.softmax_cross_entropy, k.cross_entropy])
def test_nan_and_bad_labels_make_nan_of_their_rows_alone(kernel, backend):
    z = P.copy()
    z[2, 5] = np.nan
    labels = LABELS.copy()
    labels[[0, 4]] = [N, -1]
    with np.errstate(all="ignore"):
        losses = single.run(kernel, z, labels, backend=backend)[0]
    assert np.isnan(losses).nonzero()[0].tolist() == [0, 2, 4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_sign_of_no_error_is_zero(backend):
    dy, = single.run(errors.absolute_error_grad, np.ones(1, np.float32), np.zeros((1, 4), np.float32),
                     np.array([[0, 1, -1, np.nan]], np.float32), backend=backend)
    np.testing.assert_array_equal(dy, [[0, -0.25, 0.25, np.nan]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_first_maximum_wins_and_nan_is_largest(backend):
    p = np.array([[1, 2, 2, 0], [0, np.nan, 5, np.nan], [-np.inf] * 4, [0, 0, 0, 1]], np.float32)
    hits, = single.run(metric.sparse_categorical_hits, p, np.array([1, 1, 0, 2], np.int32), backend=backend)
    assert hits.tolist() == [1, 1, 1, 0]
    hits, = single.run(metric.categorical_hits, p, p[:, ::-1].copy(), backend=backend)
    assert hits.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_weight_of_two_equals_the_row_twice(backend):
    values = np.arange(1, 40, dtype=np.float32)
    weights = np.where(values % 3 == 0, 2, 1).astype(np.float32)
    (once,) = single.run(k.weighted_sum, values, weights, backend=backend, scale=0.5)
    (twice,) = single.run(k.weighted_sum, np.repeat(values, weights.astype(int)), None, backend=backend, scale=0.5)
    assert once == twice  # all exact in float32


def test_the_gradient_of_the_target_is_that_of_the_other_side():
    (dy,) = single.run(errors.squared_error_grad, G, Z, T, backend="numpy")
    (dt,) = single.run(errors.squared_error_grad, G, T, Z, backend="numpy")
    np.testing.assert_array_equal(dy, -dt)


def test_wrong_shapes_and_dtypes_are_refused():
    with pytest.raises(ValueError, match=r"softmax_cross_entropy needs labels of shape \(7,\), got shape \(6,\)"):
        single.describe(k.softmax_cross_entropy, [Z, LABELS[:6]], {})
    with pytest.raises(ValueError, match="needs labels as int32, got dtype int64"):
        single.describe(k.softmax_cross_entropy, [Z, LABELS.astype(np.int64)], {})
    with pytest.raises(ValueError, match=r"squared_error needs t of shape \(7, 19\), got shape \(7, 18\)"):
        single.describe(errors.squared_error, [Z, T[:, 1:]], {})
    with pytest.raises(ValueError, match="weighted_sum needs weights of the values' shape"):
        single.describe(k.weighted_sum, [G, G[1:]], {})


def test_a_certain_and_wrong_probability_costs_the_same_in_every_form():
    """p = 1 is clipped to the float32 number nearest to 1 - 1e-7, in float64 too."""
    p, t = np.ones((1, 1)), np.zeros((1, 1))
    (native,) = single.run(k.binary_cross_entropy, p.astype(np.float32), t.astype(np.float32))
    np.testing.assert_allclose(native, k.binary_cross_entropy(p, t), rtol=1e-6)
    np.testing.assert_allclose(native, -np.log(2.0**-23), rtol=1e-6)
