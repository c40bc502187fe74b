"""Kernels made of functions over whole arrays: shapes rules, gradients, threads, and what is refused."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.kernels import single
from fastnn.kernels.numba.form import KernelFault

pytest.importorskip("numba")
pytest.importorskip("fastnn.kernels.native.core")


def scale_rule(dy, x, gain):
    return {"x": dy * gain, "gain": ops.sum(dy * x, axis=0)}


@fastnn.kernel(shapes="x[rows, columns], gain[columns] -> y[rows, columns]", tiles="rows", gradient=scale_rule,
               flops=lambda rows, columns: rows * columns)
def scale_columns(x, gain, y, first, last):
    for r in range(first, last):
        for c in range(len(gain)):
            y[r, c] = x[r, c] * gain[c]


def pair_rule(dy, x, power):
    return power * dy_pairs(dy, x, power=power)


@fastnn.kernel(shapes="dy[rows, half], x[rows, columns] -> dx[rows, columns]", tiles="rows")
def dy_pairs(dy, x, dx, half, first, last, power=2.0):
    for r in range(first, last):
        for j in range(half):
            dx[r, 2 * j] = dy[r, j] * x[r, 2 * j] ** (power - 1.0)
            dx[r, 2 * j + 1] = dy[r, j] * x[r, 2 * j + 1] ** (power - 1.0)


@fastnn.kernel(shapes="x[rows, columns] -> y[rows, half]", tiles="rows", sizes={"half": lambda columns: columns // 2},
               gradient=pair_rule, numpy=lambda x, power: (x**power).reshape(len(x), -1, 2).sum(2))
def pair_sums(x, y, half, first, last, power=2.0):
    """y[r, j] = x[r, 2j]^p + x[r, 2j+1]^p"""
    for r in range(first, last):
        for j in range(half):
            y[r, j] = x[r, 2 * j] ** power + x[r, 2 * j + 1] ** power


@fastnn.kernel(shapes="table[n, width], i4 index[rows] -> y[rows, width]", tiles="rows")
def pick(table, index, y, width, first, last):
    for r in range(first, last):
        for j in range(width):
            y[r, j] = table[index[r], j]


@fastnn.kernel(shapes="x[n] -> total[]")
def total_of(x, total):
    s = 0.0
    for i in range(len(x)):
        s += x[i]
    total[0] = s


def test_compiled_form_meaning_and_gradient_agree():
    rng = np.random.default_rng(0)
    fastnn.check_kernel(scale_columns, rng.normal(size=(5, 3)), rng.normal(size=3))
    fastnn.check_kernel(pair_sums, 1 + rng.random((4, 6)), power=3.0)
    fastnn.check_kernel(dy_pairs, rng.normal(size=(4, 3)), 1 + rng.random((4, 6)))
    fastnn.check_kernel(pick, rng.normal(size=(9, 4)), rng.integers(0, 9, 5).astype(np.int32))


def test_a_wrong_rule_is_found():
    wrong = fastnn.kernel(shapes="x[n] -> y[n]", gradient=lambda dy, x: 2.02 * dy * x)(square_all)
    with pytest.raises(AssertionError, match=r"square_all, gradient of x\[0\] is"):
        fastnn.check_kernel(wrong, np.linspace(1, 2, 5))


def test_a_wrong_form_is_found():
    wrong = fastnn.kernel(shapes="x[n] -> y[n]", numpy=lambda x: np.append(x[:-1] ** 2, x[-1] ** 3))(square_all)
    with pytest.raises(AssertionError, match=r"square_all: y\[4\] is 4; its meaning is 8 \(1 of 5 elements differ"):
        fastnn.check_kernel(wrong, np.linspace(1, 2, 5))


def square_all(x, y):
    for i in range(len(x)):
        y[i] = x[i] * x[i]


class Scale(layers.Layer):
    def build(self, input_shape):
        self.gain = self.add_weight((input_shape[-1],), initializer="ones", name="gain")

    def call(self, x):
        return scale_columns(x, self.gain)


def test_in_a_layer_on_one_and_two_threads():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(512, 64)).astype(np.float32)
    results, before = [], fastnn.get_num_threads()
    for backend, threads in (("native", 1), ("native", 2), ("numba", 1), ("numpy", 1)):
        fastnn.set_num_threads(threads)
        with fastnn.backend(backend):
            fastnn.utils.set_random_seed(2)
            model = fastnn.Sequential([fastnn.Input((64,)), Scale(), layers.Dense(1)])
            model.compile("sgd", "mse")
            losses = model.fit(x, x[:, :1] * 2, batch_size=128, epochs=2, verbose=0).history["loss"]
            results.append((losses, model.get_weights()))
    fastnn.set_num_threads(before)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)
    for losses, _ in results[2:]:
        np.testing.assert_allclose(losses, results[0][0], rtol=1e-5)
    program = model.training_program(x, x[:, :1], 128)
    assert "scale_columns" in program.explain()


@pytest.mark.parametrize("inputs, says", [
    ((np.ones((2, 3)), np.ones(4)), r"scale_columns: columns is 3 before and 4 in gain\[columns\]"),
    ((np.ones(3), np.ones(3)), r"needs x\[rows, columns\] with 2 axes; got the shape \(3,\)"),
    ((np.ones((2, 3), np.int32), np.ones(3)), "needs x of dtype float32; got int32"),
])
def test_wrong_shapes(inputs, says):
    with pytest.raises(ValueError, match=says):
        scale_columns.infer(*[fastnn.kernels.spec.Array(x.shape, x.dtype) for x in inputs])


@pytest.mark.parametrize("options, error, says", [
    ({}, TypeError, "needs shapes"),
    ({"shapes": "x[n]"}, ValueError, "must look like"),
    ({"shapes": "x[n] -> "}, ValueError, "name no output"),
    ({"shapes": "x[2n] -> y[n]"}, ValueError, "must be names"),
    ({"shapes": "x[n], -> y[m]"}, ValueError, "nothing says how large m is"),
    ({"shapes": "q7 x[n] -> y[n]"}, ValueError, "dtype 'q7'"),
    ({"shapes": "a[n] -> y[n]"}, TypeError, "parameter 'x', which is neither"),
    ({"shapes": "x[n] -> y[n]", "tiles": "m"}, ValueError, "tiles of square_all"),
    ({"shapes": "x[n] -> y[n]", "tiles": "n"}, TypeError, "must take first and last"),
])
def test_declarations_that_can_not_be(options, error, says):
    with pytest.raises(error, match=says):
        fastnn.kernel(**options)(square_all)


def test_no_gradient_is_told():
    with pytest.raises(TypeError, match="pick has no gradient, so nothing may be trained through it"):
        table = fastnn.Variable(np.ones((3, 2)))
        fastnn.value_and_grad(lambda i: ops.sum(pick(table, i)), [table])(np.zeros(4, np.int32))


def test_a_number_as_output():
    np.testing.assert_allclose(single.run(total_of, np.arange(5, dtype=np.float32))[0], 10)


def test_an_index_out_of_bounds_is_told_in_a_checked_build():
    checked = fastnn.kernel(shapes="x[n] -> y[n]", check_bounds=True)(write_beyond)
    with pytest.raises(KernelFault, match="write_beyond.*most likely an index beyond an array"):
        single.run(checked, np.ones(4, np.float32))
    fastnn.traced(lambda x: scale_columns(x, np.ones(3, np.float32)))(np.ones((2, 3), np.float32))  # it goes on


def test_the_environment_asks_for_a_checked_build(monkeypatch):
    monkeypatch.setenv("FASTNN_CHECK_BOUNDS", "1")
    with pytest.raises(KernelFault):
        single.run(fastnn.kernel(shapes="x[n] -> y[n]")(write_beyond), np.ones(4, np.float32))


def write_beyond(x, y):
    for i in range(len(x) + 1):
        y[i] = x[i]
