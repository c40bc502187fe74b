"""The same weights, data and settings as in PyTorch and in Keras: the same training."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers

SIZES = (12, 17, 9, 3)
STEPS, BATCH = 20, 16
OPTIMIZERS = {
    "sgd": (lambda: optimizers.SGD(0.1), lambda o, p: o.SGD(p, 0.1), lambda o: o.SGD(0.1)),
    "nesterov": (lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
                 lambda o, p: o.SGD(p, 0.05, momentum=0.9, nesterov=True),
                 lambda o: o.SGD(0.05, momentum=0.9, nesterov=True)),
    "adam": (lambda: optimizers.Adam(0.01, epsilon=1e-9), lambda o, p: o.Adam(p, 0.01, eps=1e-9),
             lambda o: o.Adam(0.01, epsilon=1e-9)),
}


def data():
    rng = np.random.default_rng(0)
    y = rng.integers(0, SIZES[-1], STEPS * BATCH)
    return (rng.normal(size=(len(y), SIZES[0])) + np.eye(3, SIZES[0])[y]).astype(np.float32), y


def ours(optimizer):
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((SIZES[0],)), layers.BatchNormalization(), layers.Dense(SIZES[1], "relu"),
                               layers.BatchNormalization(), layers.Dense(SIZES[2], "tanh"),
                               layers.BatchNormalization(), layers.Dense(SIZES[3], "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(2)
    model.set_weights([abs(rng.normal(size=w.shape)) * 0.3 + 0.5 if "variance" in v.name or "gamma" in v.name
                       else rng.normal(size=w.shape) * 0.3 for v, w in zip(model.variables, model.get_weights())])
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pytorch(name):
    torch = pytest.importorskip("torch")
    model = ours(OPTIMIZERS[name][0]())
    nn, parts = torch.nn, []
    for layer in model.layers:
        w = [torch.tensor(v) for v in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            part = nn.BatchNorm1d(len(w[0]), eps=1e-3, momentum=0.01)
            part.weight.data, part.bias.data, part.running_mean.data, part.running_var.data = w
            part = _Biased(part, torch)
        else:
            part = nn.Linear(*w[0].shape)
            part.weight.data, part.bias.data = w[0].T.contiguous(), w[1]
        parts.append(part)
    params = [p for part in parts for p in (part.norm if isinstance(part, _Biased) else part).parameters()]
    opt = OPTIMIZERS[name][1](torch.optim, params)

    def forward(x, training):
        for part, activation in zip(parts, (None, torch.relu, None, torch.tanh, None, None)):
            x = part(x, training) if isinstance(part, _Biased) else part(x)
            x = activation(x) if activation else x
        return x

    x, y = data()
    history = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history
    losses = []
    for i in range(0, len(x), BATCH):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(forward(torch.tensor(x[i : i + BATCH]), True),
                                           torch.tensor(y[i : i + BATCH]))
        loss.backward()
        opt.step()
        losses.append(loss.item())
    np.testing.assert_allclose(history["loss"][0], np.mean(losses), rtol=1e-4)
    for layer, part in zip(model.layers, parts):
        if isinstance(part, _Biased):
            n = part.norm
            theirs = [n.weight, n.bias, n.running_mean, n.running_var]
        else:
            theirs = [part.weight.T, part.bias]
        for a, b in zip(layer.get_weights(), theirs):
            np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        z = forward(torch.tensor(x), False)
        np.testing.assert_allclose(model.predict(x), torch.softmax(z, 1).numpy(), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0),
                                   [nn.functional.cross_entropy(z, torch.tensor(y)).item(),
                                    (z.argmax(1).numpy() == y).mean()], rtol=1e-3)


class _Biased:
    """PyTorch's batch norm with the biased moving variance of Keras."""

    def __init__(self, norm, torch):
        self.norm, self.torch = norm, torch

    def __call__(self, x, training):
        n = self.norm
        if not training:
            return self.torch.nn.functional.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, eps=n.eps)
        with self.torch.no_grad():
            n.running_mean.mul_(0.99).add_(0.01 * x.mean(0))
            n.running_var.mul_(0.99).add_(0.01 * x.var(0, unbiased=False))
        return self.torch.nn.functional.batch_norm(x, None, None, n.weight, n.bias, training=True, eps=n.eps)


KERAS = """
import sys, numpy as np, keras
from tests.models.test_peers import OPTIMIZERS, SIZES, BATCH, data
name, folder = sys.argv[1:]
L = keras.layers
model = keras.Sequential([keras.Input((SIZES[0],)), L.BatchNormalization(), L.Dense(SIZES[1], "relu"),
    L.BatchNormalization(), L.Dense(SIZES[2], "tanh"), L.BatchNormalization(), L.Dense(SIZES[3], "softmax")])
model.compile(OPTIMIZERS[name][2](keras.optimizers), "sparse_categorical_crossentropy", metrics=["accuracy"])
given = np.load(folder + "/weights.npz")
model.set_weights([given[f"arr_{i}"] for i in range(len(given.files))])
x, y = data()
h = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, epochs=1).history
np.savez(folder + "/theirs.npz", *model.get_weights(), loss=h["loss"][0], accuracy=h["accuracy"][0],
         predicted=model.predict(x, verbose=0), measured=np.array(model.evaluate(x, y, verbose=0)))
"""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_keras(name, tmp_path):
    if not all(importlib.util.find_spec(m) for m in ("jax", "keras")):
        pytest.skip("needs keras and jax")
    model, (x, y) = ours(OPTIMIZERS[name][0]()), data()
    np.savez(tmp_path / "weights.npz", *model.get_weights())
    env = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KERAS, name, str(tmp_path)], env=env, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = np.load(tmp_path / "theirs.npz")
    history = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"][0], theirs["loss"], rtol=1e-4)
    np.testing.assert_allclose(history["accuracy"][0], theirs["accuracy"], rtol=1e-5)
    for i, w in enumerate(model.get_weights()):
        np.testing.assert_allclose(w, theirs[f"arr_{i}"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.predict(x), theirs["predicted"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), theirs["measured"], rtol=1e-3)
