"""Layers against PyTorch's and Keras's: values and gradients from the same weights."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

X2, X4 = (7, 24), (3, 4, 5, 8)


def both(make, shape, reference):
    """Ours and the other's output and gradient by x, for one upstream gradient."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=shape).astype(np.float32) * 2 + 1 for _ in range(2))
    layer = make()
    layer(x)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    given = fastnn.Variable(x, name="x")
    y = layer(x)
    _, grads = fastnn.value_and_grad(lambda d: ops.sum(layer(given * 1.0) * d),
                                     [given, *layer.trainable_variables])(dy)
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, *layer.get_weights())]
    want = reference(torch, *inputs)
    want.backward(torch.tensor(dy))
    for got, other in zip((y, *grads), (want.detach(), *(v.grad for v in inputs)), strict=True):
        size = np.abs(other.numpy()).max()
        np.testing.assert_allclose(got, other.numpy(), rtol=1e-5, atol=1e-5 * size)


@pytest.mark.parametrize("shape", (X2, X4))
def test_layer_normalization(shape):
    both(lambda: layers.LayerNormalization(epsilon=1e-5), shape,
         lambda torch, x, g, b: torch.nn.functional.layer_norm(x, shape[-1:], g, b))


def test_rms_normalization():
    both(lambda: layers.RMSNormalization(epsilon=1e-5), X2,
         lambda torch, x, g: torch.nn.functional.rms_norm(x, X2[-1:], g, 1e-5))


@pytest.mark.parametrize("groups", (1, 2, 8))
@pytest.mark.parametrize("shape", (X2, X4))
def test_group_normalization(shape, groups):
    def reference(torch, x, g, b):
        return torch.nn.functional.group_norm(x.movedim(-1, 1), groups, g, b, 1e-3).movedim(1, -1)

    both(lambda: layers.GroupNormalization(groups), shape, reference)


def test_unit_normalization():
    both(layers.UnitNormalization, X2, lambda torch, x: torch.nn.functional.normalize(x, dim=-1))
    assert not layers.UnitNormalization()(np.zeros((2, 3))).any()


def test_keras_normalizations():
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    x = rng.normal(size=X4).astype(np.float32)
    for name, arguments in (("LayerNormalization", {}), ("LayerNormalization", {"axis": [1, 2]}),
                            ("RMSNormalization", {}), ("UnitNormalization", {"axis": 2}),
                            ("GroupNormalization", {"groups": 4}), ("GroupNormalization", {"groups": 2, "axis": 1})):
        ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
        ours(x), theirs(x)
        weights = [rng.normal(size=w.shape) for w in ours.get_weights()]
        ours.set_weights(weights), theirs.set_weights(weights)
        np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-5, atol=1e-5, err_msg=f"{name} {arguments}")


@pytest.mark.parametrize("shape", ((3, 4, 5, 8), (4, 28, 28, 16), (2, 3, 1, 3)))
def test_batch_normalization_of_images(shape):
    """Statistics over batch, rows and columns: values, moving averages, inference, gradients."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x, dy = (rng.normal(size=shape).astype(np.float32) * 2 + 1 for _ in range(2))
    layer, weights = layers.BatchNormalization(unbiased_moving_variance=True), [
        rng.normal(size=shape[-1]), rng.normal(size=shape[-1]), rng.normal(size=shape[-1]), rng.random(shape[-1]) + 1]
    layer(x)
    layer.set_weights(weights)
    given = fastnn.Variable(x, name="x")
    value = fastnn.value_and_grad(lambda d: ops.sum(layer(given * 1.0, training=True) * d),
                                  [given, *layer.trainable_variables])
    _, grads = value(dy)
    theirs = torch.nn.BatchNorm2d(shape[-1], eps=1e-3, momentum=0.01)
    for name, w in zip(("weight", "bias", "running_mean", "running_var"), weights):
        getattr(theirs, name).data[:] = torch.tensor(w)
    inputs = torch.tensor(x, requires_grad=True)
    y = theirs(inputs.movedim(-1, 1)).movedim(1, -1)
    y.backward(torch.tensor(dy))
    for got, want in zip(grads, (inputs.grad, theirs.weight.grad, theirs.bias.grad)):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-4, atol=1e-5 * np.abs(want.numpy()).max())
    for got, want in zip(layer.get_weights()[2:], (theirs.running_mean, theirs.running_var)):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-5, atol=1e-6)
    theirs.eval()
    want = theirs(inputs.movedim(-1, 1)).movedim(1, -1).detach().numpy()
    np.testing.assert_allclose(layer(x), want, rtol=1e-4, atol=1e-5)
