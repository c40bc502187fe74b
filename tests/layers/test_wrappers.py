"""Weight and spectral normalisation: against PyTorch, NumPy's singular values, and through saving."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, optimizers
from fastnn.models import load_model

BACKENDS = ("numpy", "native") if fastnn.get_backend() == "native" else ("numpy",)
RNG = np.random.default_rng(0)
X, DY = RNG.normal(size=(9, 6)).astype(np.float32), RNG.normal(size=(9, 4)).astype(np.float32)


def gradients(layer, training=False):
    return fastnn.value_and_grad(lambda x, d: ops.sum(layer(x, training=training) * d), layer.trainable_variables)(
        X, DY)[1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_weight_normalization_as_in_pytorch(backend):
    torch = pytest.importorskip("torch")
    with fastnn.backend(backend):
        layer = layers.WeightNormalization(layers.Dense(4))
        before = layer.layer(X)
        np.testing.assert_allclose(layer(X), before, rtol=1e-5, atol=1e-6)
        names = [v.name for v in layer.trainable_variables]
        weights = {n: RNG.normal(size=v.shape).astype(np.float32) for n, v in zip(names, layer.trainable_variables)}
        for v in layer.trainable_variables:
            v.assign(weights[v.name])
        other = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(6, 4))
        g, v = other.parametrizations.weight.original0, other.parametrizations.weight.original1
        g.data, v.data = torch.tensor(weights["g"])[:, None], torch.tensor(weights["kernel"].T.copy())
        other.bias.data = torch.tensor(weights["bias"])
        y = other(torch.tensor(X))
        y.backward(torch.tensor(DY))
        want = {"g": g.grad[:, 0], "kernel": v.grad.T, "bias": other.bias.grad}
        np.testing.assert_allclose(layer(X), y.detach().numpy(), rtol=1e-5, atol=1e-5)
        for name, grad in zip(names, gradients(layer)):
            np.testing.assert_allclose(grad, want[name].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_spectral_normalization(backend):
    """After enough turns sigma is the largest singular value; its gradient is that of W / sigma(W)."""
    with fastnn.backend(backend):
        layer = layers.SpectralNormalization(layers.Dense(4, use_bias=False), power_iterations=100)
        layer(X)
        w = layer.layer.kernel.numpy().astype(np.float64)
        u, s, vt = np.linalg.svd(w)
        y = layer(X, training=True)
        np.testing.assert_allclose(y, X @ (w / s[0]), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer(X), y, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(abs(layer.vector_u.numpy()[0] @ vt[0]), 1, rtol=1e-5)
        np.testing.assert_array_equal(layer.layer.kernel.numpy(), w.astype(np.float32))
        (grad,) = gradients(layer)
        g = X.T.astype(np.float64) @ DY
        want = g / s[0] - (g * w).sum() / s[0] ** 2 * np.outer(u[:, 0], vt[0])
        np.testing.assert_allclose(grad, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", (layers.WeightNormalization, layers.SpectralNormalization))
def test_in_a_model(kind, tmp_path):
    model = fastnn.Sequential([fastnn.Input((6,)), kind(layers.Dense(5, "tanh", kernel_regularizer="l2")),
                               layers.Dense(4)])
    model.compile(optimizers.SGD(0.1), "mse")
    losses = model.fit(X, DY, epochs=20, batch_size=9, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.get_config() == model.get_config()


def test_refusals():
    with pytest.raises(ValueError, match="wraps a layer"):
        layers.WeightNormalization(3)
    with pytest.raises(ValueError, match="power_iterations is 0"):
        layers.SpectralNormalization(layers.Dense(2), power_iterations=0)
    with pytest.raises(ValueError, match="has no kernel"):
        layers.WeightNormalization(layers.Flatten())(X)
