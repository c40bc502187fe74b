"""Kernels made of functions of single elements: values, gradients, use in models, and what is refused."""

import copy
import math

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.kernels import single
from fastnn.kernels.numba.form import KernelFault
from tests.cases import EPS

numba = pytest.importorskip("numba")
pytest.importorskip("fastnn.kernels.native.core")


def swish_slope(x, beta=1.0):
    s = 1 / (1 + np.exp(-beta * x))
    return s + beta * x * s * (1 - s)


@fastnn.elementwise(derivative=swish_slope)
def swish(x, beta=1.0):
    return x / (1 + np.exp(-beta * x))


@fastnn.elementwise(derivative=lambda x, y: 1 - y * y)
def my_tanh(x):
    return math.tanh(x)


@fastnn.elementwise(derivative=lambda x, low=0.25: 1.0 if x > 0 else low)
def kinked(x, low=0.25):
    if x > 0:
        return x
    return low * x


@fastnn.elementwise(derivative={"p": lambda p, t: 2 * (p - t) if abs(p - t) < 1 else 2 * np.sign(p - t),
                                "t": lambda p, t: -2 * (p - t) if abs(p - t) < 1 else -2 * np.sign(p - t)})
def bounded_error(p, t):
    d = abs(p - t)
    return d**2 if d < 1 else 2 * d - 1


SIZES = [0, 1, 15, 16, 17, 1000]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kernel, attrs", [(swish, {"beta": 1.5}), (my_tanh, {}), (kinked, {"low": 0.1})],
                         ids=lambda v: getattr(v, "name", ""))
def test_compiled_form_agrees_with_the_function(kernel, attrs, n):
    x = np.random.default_rng(n).normal(0, 3, n).astype(np.float32)
    (got,) = single.run(kernel, x, **attrs)
    want = kernel(x.astype(float), **attrs)
    assert want.dtype == np.float64 and got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=0, atol=8 * EPS * abs(want).max(initial=1.0))


@pytest.mark.parametrize("kernel, attrs, inputs", [
    (swish, {"beta": 2.0}, 1), (my_tanh, {}, 1), (kinked, {}, 1), (bounded_error, {}, 2)], ids=lambda v: getattr(
        v, "name", ""))
def test_gradient_agrees_with_central_differences(kernel, attrs, inputs):
    x = np.random.default_rng(1).normal(size=(inputs, 5, 7))
    fastnn.check_kernel(kernel, *x, **attrs)


def test_a_check_of_a_wrong_rule_fails():
    wrong = fastnn.elementwise(derivative=lambda x: 1.01 * np.cos(x), check=False)(lambda x: np.sin(x))
    with pytest.raises(AssertionError, match=r"function, gradient of x\[0\] is .*; central differences give"):
        fastnn.check_kernel(wrong, np.linspace(-1, 1, 9))


def test_python_numbers_stay_float32_and_whole_powers_stay_products():
    @fastnn.elementwise
    def mixed(x):
        return 2 * x**3 + math.pi * x - 1 / 3 + x // 1

    x = np.linspace(-4.3, 4, 101, dtype=np.float32)
    np.testing.assert_allclose(single.run(mixed, x)[0], mixed(x.astype(float)), rtol=1e-5, atol=1e-5)
    text = next(iter(mixed.own_form._keep._library.get_asm_str().split("\n\n")))
    assert "pow" not in text


def trained(activation, backend="native", threads=1, loss="mse", epochs=3):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(256, 20)).astype(np.float32)
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(threads)
    try:
        with fastnn.backend(backend):
            fastnn.utils.set_random_seed(5)
            model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(512, activation=activation), layers.Dense(1)])
            model.compile(fastnn.optimizers.SGD(0.01), loss)
            history = model.fit(x, np.tanh(x[:, :1]), batch_size=64, epochs=epochs, verbose=0)
            return history.history["loss"], model.get_weights(), model.training_program(x, x[:, :1], 64)
    finally:
        fastnn.set_num_threads(before)


def test_as_activation_it_trains_as_its_built_in_twin():
    mine, _, program = trained(swish)
    built_in, _, _ = trained("silu")
    np.testing.assert_allclose(mine, built_in, rtol=1e-5)
    assert {"swish", "swish_grad"} <= {c.kernel.name for c in program.calls}
    assert "swish_grad" in program.explain()


@pytest.mark.parametrize("kernel", [swish, kinked], ids=["arrays", "elements"])
def test_backends_and_threads_agree(kernel):
    losses, weights, _ = trained(kernel)
    np.testing.assert_allclose(trained(kernel, "numpy")[0], losses, rtol=1e-5)
    for a, b in zip(weights, trained(kernel, threads=2)[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_as_a_term_of_a_loss():
    def loss(y_true, y_pred):
        return ops.mean(bounded_error(y_pred, y_true))

    losses, _, program = trained("relu", loss=loss)
    assert losses[-1] < losses[0]
    assert "bounded_error_grad_p" in {c.kernel.name for c in program.calls}
    assert "bounded_error_grad_t" not in {c.kernel.name for c in program.calls}  # the targets need no gradient


def test_in_a_traced_function_with_broadcasting():
    @fastnn.traced
    def f(p, t):
        return bounded_error(p, t)

    p, t = np.arange(6, dtype=np.float32).reshape(2, 3) / 4, np.float32([0.1, 0.2, 0.3])
    np.testing.assert_allclose(f(p, t), bounded_error(p.astype(float), t.astype(float)), rtol=1e-6)
    vp, vt = fastnn.Variable(p), fastnn.Variable(t)
    _, (dp, dt) = fastnn.value_and_grad(lambda: ops.sum(bounded_error(vp, vt)), [vp, vt])()
    assert dp.shape == (2, 3) and dt.shape == (3,)
    np.testing.assert_allclose(dt, -dp.sum(0), rtol=1e-6)


def test_a_copy_of_a_model_keeps_the_kernel():
    model = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(3, activation=swish)])
    x = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_saved_model_finds_the_kernel_by_name(tmp_path):
    model = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(3, activation=swish), layers.Activation(my_tanh)])
    model.save(tmp_path / "m.fastnn")
    x = np.ones((4, 2), np.float32)
    again = fastnn.models.load_model(tmp_path / "m.fastnn", custom_objects={"swish": swish, "my_tanh": my_tanh})
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(ValueError, match="'swish'.*custom_objects"):
        fastnn.models.load_model(tmp_path / "m.fastnn")


# ---------------------------------------------------------------------- what is refused

@pytest.mark.parametrize("function, error, says", [
    (lambda *x: x, TypeError, r"parameter \*x; a kernel takes a fixed number"),
    (lambda **x: x, TypeError, r"parameter \*\*x"),
    (lambda k=1.0: k, TypeError, "no parameter without a default"),
    (lambda x, k="a": x, TypeError, "the default of k in function is 'a'"),
    (abs, TypeError, "needs a Python function"),
    (lambda x: "a", TypeError, "gives 'a' at x = -7.84; a kernel of elements gives one number"),
    (lambda x: (x, x), TypeError, "gives one number"),
    (lambda x: None, TypeError, "gives None at x = -7.84"),
    (lambda x: math.log(x), ValueError, "gives nan at x = -7.84; if it is meant for a smaller domain"),
    (lambda x: np.exp(300 * x), ValueError, "gives inf at x = "),
])
def test_functions_that_can_not_be_kernels(function, error, says):
    with pytest.raises(error, match=says):
        fastnn.elementwise(function)


@pytest.mark.parametrize("derivative, error, says", [
    (lambda x: 2 * x + 1, ValueError, r"of function is wrong: at x = -7.84 it gives -14.69, central differences give"),
    (lambda x: float("nan"), ValueError, "The derivative of function gives nan at x = -7.84"),
    (lambda x: x / (x - x), ValueError, "gives -?inf|gives nan"),
    (lambda z: 2 * z, TypeError, "has a parameter 'z'"),
    ({"z": lambda x: 2 * x}, TypeError, "no array 'z'"),
    ("2x", TypeError, "must be a Python function"),
])
def test_wrong_derivatives(derivative, error, says):
    with pytest.raises(error, match=says):
        fastnn.elementwise(derivative=derivative)(lambda x: x * x)


def test_several_arrays_need_a_derivative_each():
    with pytest.raises(TypeError, match="give its derivatives as a dict"):
        fastnn.elementwise(derivative=lambda a, b: b)(lambda a, b: a * b)


def test_a_missing_derivative_is_told_when_it_is_needed():
    no_slope = fastnn.elementwise(lambda x: x * x)
    assert trained_forward(no_slope).shape == (4, 3)
    with pytest.raises(TypeError, match="function has no derivative, so nothing may be trained through it"):
        trained(no_slope)


def trained_forward(activation):
    model = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(3, activation=activation)])
    return model.predict(np.ones((4, 2), np.float32), verbose=0)


def test_a_domain_bounds_the_checks():
    root = fastnn.elementwise(derivative=lambda x, y: 0.5 / y, domain=(0.01, 9))(lambda x: math.sqrt(x))
    x = np.linspace(0.1, 4, 33)
    fastnn.check_kernel(root, x)
    with pytest.raises(ValueError, match="low below high"):
        fastnn.elementwise(domain=(2, 1))(lambda x: x)


def test_an_exception_inside_is_told_and_the_process_survives():
    @fastnn.elementwise(derivative=lambda x: 1.0)
    def picky(x):
        if x > 100:
            raise ValueError("too large")
        return x + 0.0

    model = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(1, kernel_initializer="ones"),
                               layers.Activation(picky)])
    assert model.predict(np.ones((4, 2), np.float32), verbose=0).shape == (4, 1)
    with pytest.raises(KernelFault, match="The kernel 'picky' raised an exception"):
        model.predict(np.full((4, 2), 99, np.float32), verbose=0)
    assert model.predict(np.ones((4, 2), np.float32), verbose=0).shape == (4, 1)  # it goes on
    with pytest.raises(ValueError, match="too large"), fastnn.backend("numpy"):
        model.predict(np.full((4, 2), 99, np.float32), verbose=0)


def test_what_numba_can_not_compile_is_told_when_it_is_compiled():
    unsupported = fastnn.elementwise(lambda x: x + 0 * len({"a": [x, "b"]}.items()))
    with pytest.raises(TypeError, match="The kernel 'function' can't be compiled by Numba: "):
        trained_forward(unsupported)


def test_a_function_that_calls_itself_is_refused():
    def endless(x):
        return x if x < 1 else endless(x - 1)

    with pytest.raises(TypeError, match="calls itself"):
        single.run(fastnn.elementwise(endless), np.ones(3, np.float32))


def test_nan_goes_through():
    assert np.isnan(single.run(swish, np.float32([np.nan, 1.0]))[0]).tolist() == [True, False]
