"""Rewrites for networks of images: batch normalisation in blocks of rows, sums that calls take along."""

import contextlib

import numpy as np
import pytest

import fastnn
from fastnn import Variable, layers, ops
from fastnn.kernels import tall
from fastnn.kernels.norm import batch_norm
from fastnn.kernels.tables import native_available
from fastnn.program import fuse
from fastnn.program.gradient import gradients
from fastnn.program.graph import Graph
from fastnn.program.program import Program

BACKENDS = ("native", "numpy") if native_available() else ("numpy",)
ROWS, COLUMNS = 2200, 33


def residual(backend=BACKENDS[0], join=True, order=0, rows=ROWS):
    """relu(norm(x) + relu(norm(x))) and its gradients; the program's kernels."""
    rng = np.random.default_rng(4)
    v = {n: Variable(rng.normal(size=COLUMNS), name=n) for n in ("gamma", "beta")}
    x = Variable(rng.normal(1, 2, (rows, COLUMNS)), name="x")
    moving = [[Variable(np.full(COLUMNS, s), name=f"m{s}{i}") for s in (0.0, 1.0)] for i in range(2)]
    graph = Graph()
    with graph.active():
        first = ops.relu(batch_norm(graph.tensor(x), v["gamma"], v["beta"], *moving[0])[0])
        second = batch_norm(first * 1.5, None, None, *moving[1])[0]
        y = ops.relu(first + second if order else second + first)
        loss = ops.sum(y * graph.constant(rng.normal(size=(rows, COLUMNS)).astype(np.float32)))
        graph.fetch("y", y)
        for name, g in zip("xgb", gradients(loss, [x, *v.values()])):
            graph.fetch(name, g)
    program = Program(graph, backend, join=join)
    out = {n: np.zeros((1, *t.shape), np.float32) for n, t in program.fetches.items()}
    program.run(1, {}, out)
    out["moving"] = np.array([m.array for pair in moving for m in pair])
    return [c.kernel.name for c in program.calls], out


@pytest.mark.parametrize("order", [0, 1])
def test_the_end_of_a_residual_branch_is_one_call_with_the_bits_of_three(order):
    joined, short = residual(order=order)
    apart, long = residual(join=False, order=order)
    assert joined.count("batch_norm_rows") == 2 == apart.count("batch_norm_rows")
    assert joined.count("activation") == 0 and apart.count("activation") == 2
    assert joined.count("add") == apart.count("add") - 1  # the gradients' sum stays
    for name in short:
        np.testing.assert_array_equal(short[name], long[name], err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_of_rows_give_what_tiles_of_columns_do(backend, monkeypatch):
    names, tall_form = residual(backend)
    assert names.count("batch_norm_moments") == names.count("batch_norm_grad_sums") == 2
    monkeypatch.setattr(fuse, "split_tall", lambda graph, calls: calls)
    names, column_form = residual(backend)
    assert names.count("batch_norm") == names.count("batch_norm_grad") == 2
    for name, want in column_form.items():
        np.testing.assert_allclose(tall_form[name], want, rtol=0, atol=2e-5 * np.abs(want).max(), err_msg=name)


def test_threads_change_no_bit():
    found = []
    before = fastnn.get_num_threads()
    for threads in (1, 2):
        fastnn.set_num_threads(threads)
        found.append(residual()[1])
    fastnn.set_num_threads(before)
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name], err_msg=name)


def test_few_rows_stay_in_one_call():
    assert "batch_norm" in residual(rows=200)[0]
    assert not tall.is_tall(4096, 257) and not tall.is_tall(1000, 64) and not tall.is_tall(50000, 1)
    assert tall.is_tall(50176, 16) and tall.is_tall(3136, 64)


def test_a_sum_that_somebody_changes_first_is_not_joined():
    """The other operand is overwritten between the normalisation and the sum."""
    w = Variable(np.ones((ROWS, COLUMNS)), name="w")
    moving = [Variable(np.full(COLUMNS, s), name=f"m{s}") for s in (0.0, 1.0)]
    x = np.random.default_rng(1).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    graph = Graph()
    with graph.active():
        y = batch_norm(graph.constant(x), None, None, *moving)[0]
        graph.assign(w, graph.tensor(w) * 3.0)
        graph.fetch("y", y + graph.tensor(w))
    program = Program(graph, BACKENDS[0])
    out = {"y": np.zeros((1, ROWS, COLUMNS), np.float32)}
    program.run(1, {}, out)
    np.testing.assert_allclose(out["y"][0], (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3) + 3, atol=1e-4)


def test_wide_matrices_are_refused():
    with pytest.raises(ValueError, match="at most 256 columns"):
        tall.batch_norm_moments.infer(tall.Array((300, 257)))


# ---------------------------------------------------------------------- normalisation in the weights before it

def unsettled(model, seed=2):
    """The model with statistics, scales and shifts as training leaves them."""
    rng = np.random.default_rng(seed)
    for v in model.variables:
        kind = v.path.rsplit("/")[-1]
        if kind in ("moving_variance", "gamma"):
            v.assign(rng.uniform(0.3, 3, v.shape))
        elif kind in ("moving_mean", "beta", "bias"):
            v.assign(rng.normal(0, 0.5, v.shape))
    return model


def separable(dtype="float32"):
    """A block as in MobileNet, and a dense layer behind it, with and without biases."""
    more = {"dtype": dtype}
    return unsettled(fastnn.Sequential([
        fastnn.Input((9, 8, 3), dtype=dtype), layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, **more),
        layers.BatchNormalization(**more), layers.ReLU(**more), layers.Conv2D(5, 1, use_bias=False, **more),
        layers.BatchNormalization(scale=False, epsilon=0.1, **more), layers.Activation("tanh", **more),
        layers.Conv2D(4, 3, groups=1, strides=2, **more), layers.BatchNormalization(center=False, **more),
        layers.Flatten(**more), layers.Dense(6, **more), layers.BatchNormalization(**more)]))


def predicted(model, x, monkeypatch=None):
    """What the model gives, and the kernels of its program; with `monkeypatch` nothing is folded."""
    with (monkeypatch.context() if monkeypatch else contextlib.nullcontext()) as patch:
        if patch is not None:
            patch.setattr(fuse, "fold_norms", lambda graph, calls, wanted: calls)
        model._forget_programs()
        return model.predict(x, batch_size=len(x), verbose=0), [
            c.kernel.name for c in model._inference((x.shape,)).program.calls]


@pytest.mark.parametrize("make,shape,left", [
    (lambda: unsettled(fastnn.applications.ResNet8()), (32, 28, 28, 1), 0),
    (lambda: unsettled(fastnn.applications.ResNet8(pre_activation=True)), (12, 28, 28, 1), 4),  # behind sums
    (separable, (80, 9, 8, 3), 0), (separable, (1, 9, 8, 3), 2)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_normalisation_in_inference_goes_into_the_weights_before_it(make, shape, left, backend, monkeypatch):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with fastnn.backend(backend):
        model = make()
        before = model.get_weights()
        want, plain = predicted(model, x, monkeypatch)
        found, names = predicted(model, x)
    norms = plain.count("batch_norm_inference")
    assert (names.count("batch_norm_inference"), names.count("fold_norm")) == (left, norms - left)
    np.testing.assert_allclose(found, want, atol=2e-5 * np.abs(want).max())
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_folded_float64(monkeypatch):
    model, x = separable("float64"), np.random.default_rng(0).normal(size=(80, 9, 8, 3))
    folding = fastnn.traced(lambda t: model(t), training=False)
    found = folding(x)
    assert found.dtype == np.float64
    assert "batch_norm_inference" not in [c.kernel.name for c in folding.program(x).calls]
    monkeypatch.setattr(fuse, "fold_norms", lambda graph, calls, wanted: calls)
    np.testing.assert_allclose(fastnn.traced(lambda t: model(t), training=False)(x), found, atol=1e-13)


def test_weights_that_change_are_seen():
    model, x = separable(), np.random.default_rng(0).normal(size=(80, 9, 8, 3)).astype(np.float32)
    first = model.predict(x, verbose=0, batch_size=80)
    model.set_weights([w * 1.5 for w in model.get_weights()])
    second = model.predict(x, verbose=0, batch_size=80)
    assert np.abs(first - second).max() > 0.1
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((80, 6)), verbose=0, batch_size=40)
    third = model.predict(x, verbose=0, batch_size=80)
    assert np.abs(third - second).max() > 0.1
    model._forget_programs()
    np.testing.assert_array_equal(model.predict(x, verbose=0, batch_size=80), third)


def test_what_others_read_is_not_folded():
    image = fastnn.Input((8, 8, 2))
    z = layers.Conv2D(3, 3)(image)
    y = layers.BatchNormalization()(z)
    tanh = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="tanh")(image))
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float32)
    for outputs in ([z, y], [y + z], [tanh]):
        model = unsettled(fastnn.Model(image, outputs))
        model.predict(x, verbose=0)
        names = [c.kernel.name for c in model._inference((x.shape,)).program.calls]
        assert "fold_norm" not in names and "batch_norm_inference" in names
    # a frozen normalisation in training: its gradient reads what the convolution gave
    frozen = layers.BatchNormalization(trainable=False)
    model = fastnn.Model(image, layers.GlobalAveragePooling2D()(frozen(layers.Conv2D(3, 3)(image))))
    model.compile("sgd", "mse")
    names = [c.kernel.name for c in model.training_program(x, np.zeros((4, 3))).calls]
    assert "fold_norm" not in names and "batch_norm_inference" in names
