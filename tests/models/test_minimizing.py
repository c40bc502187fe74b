"""minimize and Hessian-vector products: against finite differences, PyTorch and scikit-learn's optimum."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

pytest.importorskip("scipy")
SMOOTH = ["linear", "sigmoid", "tanh", "softplus", "gelu", "silu", "elu", "softsign"]


def data(rows=12, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 4)).astype(np.float32), rng.integers(0, classes, rows)


def network(activation, loss, last="linear", **more):
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(5, activation, **more), layers.Dense(3, last)])
    model.compile(loss=loss)
    return model


def scheme(loss):
    x, labels = data()
    one_hot = np.eye(3, dtype=np.float32)[labels]
    return x, labels if "sparse" in str(loss) or getattr(loss, "name", "").startswith("sparse") else one_hot


LOSSES = [("mse", "linear"), ("huber", "linear"), ("log_cosh", "linear"),
          (fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), "linear"),
          (fastnn.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), "linear"),
          (fastnn.losses.BinaryCrossentropy(from_logits=True), "linear"),
          ("sparse_categorical_crossentropy", "softmax"), ("categorical_crossentropy", "softmax")]


def by_differences(model, x, y, v, step):
    """The gradient's difference along v."""
    objective = model._objective("minimize", x, y, None)
    w = objective.vector()
    found = (objective(w + step * v)[1] - objective(w - step * v)[1]) / (2 * step)
    objective.assign(w)
    return found


def check(model, x, y):
    v = np.random.default_rng(3).normal(size=model.count_params())
    got = model.hessian_vector_product(x, y, v)
    want = by_differences(model, x, y, v, 2e-3)  # of float32 gradients: both errors are near 1e-4 of the whole
    np.testing.assert_allclose(got, want, atol=1e-3 * np.abs(want).max())
    u = np.random.default_rng(4).normal(size=len(v))
    assert np.dot(u, got) == pytest.approx(np.dot(v, model.hessian_vector_product(x, y, u)), rel=1e-4)  # symmetric


@pytest.mark.parametrize("activation", SMOOTH)
def test_products_with_the_hessian_through_activations(activation):
    check(network(activation, "mse"), *scheme("mse"))


@pytest.mark.parametrize("loss, last", LOSSES, ids=lambda p: getattr(p, "name", str(p)))
def test_products_with_the_hessian_of_losses(loss, last):
    check(network("tanh", loss, last), *scheme(loss))


def test_penalties_belong_to_the_hessian():
    plain, held = network("tanh", "mse"), network("tanh", "mse", kernel_regularizer=fastnn.regularizers.L2(0.5))
    x, y = scheme("mse")
    v = np.random.default_rng(3).normal(size=plain.count_params())
    extra = held.hessian_vector_product(x, y, v) - plain.hessian_vector_product(x, y, v)
    np.testing.assert_allclose(extra, np.where(np.arange(len(v)) < 20, v, 0), atol=1e-5)


def test_products_are_pytorchs():
    torch = pytest.importorskip("torch")
    model, (x, labels) = network("tanh", LOSSES[3][0]), data()
    v = np.random.default_rng(3).normal(size=model.count_params())
    ws = [torch.tensor(w.astype(np.float64), requires_grad=True) for w in model.get_weights()]
    z = torch.tanh(torch.tensor(x, dtype=torch.float64) @ ws[0] + ws[1]) @ ws[2] + ws[3]
    loss = torch.nn.functional.cross_entropy(z, torch.tensor(labels))
    grads = torch.autograd.grad(loss, ws, create_graph=True)
    flat = torch.cat([g.reshape(-1) for g in grads])
    want = torch.cat([h.reshape(-1) for h in torch.autograd.grad(flat @ torch.tensor(v), ws)]).numpy()
    np.testing.assert_allclose(model.hessian_vector_product(x, labels, v), want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["L-BFGS-B", "newton-cg", "trust-krylov", "BFGS"])
def test_least_squares_are_found(method):
    x, _ = data(40)
    rng = np.random.default_rng(5)
    y = x @ rng.normal(size=(4, 3)) + rng.normal(size=(40, 3))
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3)])
    model.compile("adam", "mse")
    result = model.minimize(x, y, method, options={"maxiter": 100})
    want = np.linalg.lstsq(np.c_[x, np.ones(40)], y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack(model.get_weights()), want, atol=2e-3)
    assert result.fun == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
    assert model.optimizer.iterations == 0


def test_a_logistic_regression_is_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, labels = data(60, 2)
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(1, "sigmoid", kernel_regularizer=fastnn.regularizers.L2(
        0.5 / 60))])
    model.compile(loss="binary_crossentropy")
    result = model.minimize(x, labels, tol=1e-10)
    theirs = linear_model.LogisticRegression(C=1.0, tol=1e-10).fit(x, labels)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], theirs.coef_[0], atol=1e-3)
    assert result.nit < 40


def test_weights_of_rows_count():
    x, _ = data(10)
    y = np.r_[np.zeros(9), 1.0]
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(1)])
    model.compile(loss="mse")
    weight = np.r_[np.zeros(9), 1.0]
    assert model.minimize(x, y, sample_weight=weight).fun < 1e-6


def test_the_best_weights_so_far_stay_after_an_interruption():
    model, (x, y) = network("tanh", "mse"), scheme("mse")
    seen = []

    def stop(w):
        seen.append(np.array(w))
        if len(seen) == 3:
            raise KeyboardInterrupt

    before = model.evaluate(x, y, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        model.minimize(x, y, callback=stop)
    assert model.evaluate(x, y, verbose=0) < before
    np.testing.assert_allclose(np.concatenate([w.ravel() for w in model.get_weights()]), seen[-1], rtol=1e-6)


def test_refusals():
    x, y = scheme("mse")
    model = network("tanh", "mse")
    with pytest.raises(ValueError, match="Unknown method 'L-BFGS': did you mean 'L-BFGS-B'"):
        model.minimize(x, y, "L-BFGS")
    with pytest.raises(ValueError, match="has 43 trainable weights; v must be a vector"):
        model.hessian_vector_product(x, y, np.zeros(3))
    with pytest.raises(TypeError, match="second derivatives of the loss are not known. activation_grad of 'mish'"):
        network("mish", "mse").hessian_vector_product(x, y, np.zeros(43))
    with pytest.raises(ValueError, match="minimize knows no constraints, and .*kernel has one"):
        network("tanh", "mse", kernel_constraint=fastnn.constraints.NonNeg()).minimize(x, y)
    with pytest.raises(RuntimeError, match="call compile before minimize"):
        fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3)]).minimize(x, y)
    with pytest.raises(ValueError, match="the loss is inf at the first weights"):
        model.set_weights([w * 1e30 for w in model.get_weights()[:2]] + [w * 1e30 for w in model.get_weights()[2:]])
        model.minimize(x, y)
