"""Functions as programs: value_and_grad, native steps of one's own, and calls on arrays."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastnn
from fastnn import ops, optimizers
from fastnn.kernels.spec import Array
from fastnn.kernels.tables import native_available
from fastnn.program import trace as trace_module
from fastnn.program.trace import ProgramFunction, run_eager, trace, value_and_grad
from fastnn.program.variable import Variable, pack

BACKENDS = ("native", "numpy") if native_available() else ("numpy",)


@pytest.fixture(params=BACKENDS)
def backend(request):
    with fastnn.backend(request.param):
        yield request.param


class Net:
    """Two dense layers by hand."""

    def __init__(self, sizes, rng, name="net"):
        self.name = name
        self.trainable_variables = []
        for i, (m, n) in enumerate(zip(sizes, sizes[1:])):
            self.trainable_variables += [Variable(rng.normal(size=(m, n)) / np.sqrt(m), name=f"{name}/w{i}"),
                                         Variable(np.zeros(n), name=f"{name}/b{i}")]

    def __call__(self, x):
        w = self.trainable_variables
        for i in range(0, len(w), 2):
            x = x @ w[i] + w[i + 1]
            if i + 2 < len(w):
                x = ops.tanh(x)
        return x


def mse(a, b):
    return ops.mean(ops.square(a - b))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ---------------------------------------------------------------------- trace

def test_trace_gives_the_graph_and_what_the_function_returned():
    graph, (y, n) = trace(lambda a, b: (a + b, 3), [Array((2, 3)), np.zeros(3, np.float32)], names=["a", "b"])
    assert list(graph.feeds) == ["a", "b"] and y.shape == (2, 3) and n == 3
    assert [c.kernel.name for c in graph.calls] == ["add"] and graph.training is False
    assert trace(lambda a: a, [Array((2,))], training=True)[0].training is True


# ---------------------------------------------------------------------- value_and_grad

def test_value_and_gradients(backend, rng):
    net = Net((3, 4, 2), rng)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    loss, grads = value_and_grad(lambda x, y: mse(net(x), y), net)(x, y)
    w0, b0, w1, b1 = (v.numpy().astype(float) for v in net.trainable_variables)
    h = np.tanh(x @ w0 + b0)
    d = 2 * (h @ w1 + b1 - y) / 10
    np.testing.assert_allclose(loss, ((h @ w1 + b1 - y) ** 2).mean(), rtol=1e-5)
    dz = d @ w1.T * (1 - h * h)
    for g, want in zip(grads, (x.T @ dz, dz.sum(0), h.T @ d, d.sum(0)), strict=True):
        assert isinstance(g, np.ndarray) and g.dtype == np.float32
        np.testing.assert_allclose(g, want, rtol=1e-4, atol=1e-6)


def test_variables_may_be_given_in_several_ways(rng):
    net, other = Net((3, 2), rng, "a"), Net((2, 2), rng, "b")
    x = rng.normal(size=(4, 3))

    def loss(x):
        return ops.mean(ops.square(other(net(x))))

    everything = net.trainable_variables + other.trainable_variables
    results = [value_and_grad(loss, v)(x)[1] for v in (None, everything, [net, other])]
    assert [len(r) for r in results] == [4, 4, 4]
    for r in results[1:]:
        for a, b in zip(results[0], r):
            np.testing.assert_array_equal(a, b)
    (g,) = value_and_grad(loss, other.trainable_variables[0])(x)[1]
    np.testing.assert_array_equal(g, results[0][2])


def test_no_dependence_gives_zeros(rng):
    w, unused = Variable(np.ones(3)), Variable(np.ones((2, 2)))
    _, (_, g) = value_and_grad(lambda: ops.sum(w * w), [w, unused])()
    np.testing.assert_array_equal(g, np.zeros((2, 2), np.float32))
    g[...] = 7
    np.testing.assert_array_equal(value_and_grad(lambda: ops.sum(w * w), [w, unused])()[1][1], 0)


def test_auxiliary_results_come_back(backend):
    w = Variable([1.0, 2.0])
    g = value_and_grad(lambda x: (ops.sum(w * x), {"product": w * x, "label": "x"}), has_aux=True)
    (loss, aux), (dw,) = g([3.0, 4.0])
    assert loss == 11 and aux["label"] == "x"
    np.testing.assert_array_equal(aux["product"], [3, 8])
    np.testing.assert_array_equal(dw, [3, 4])


def test_results_are_fresh(backend):
    w = Variable([1.0, 2.0])
    g = value_and_grad(lambda x: ops.sum(w * x))
    first = g([3.0, 4.0])[1][0]
    g([5.0, 6.0])
    np.testing.assert_array_equal(first, [3, 4])
    w.assign([7.0, 8.0])
    assert g([1.0, 1.0])[0] == 15  # and see what a variable holds now


def test_one_program_for_each_combination_of_shapes():
    w, traces = Variable([2.0]), []

    def loss(x):
        traces.append(x.shape)
        return ops.sum(w * x)

    g = value_and_grad(loss)
    for n in (1, 2, 1, 2, 1):
        g(np.ones(n))
    assert traces == [(1,), (2,)]
    g.cache.limit = 2
    for n in (3, 1, 2):  # the least recently used went
        g(np.ones(n))
    assert traces[2:] == [(3,), (2,)] and len(g.cache) == 2
    with fastnn.backend("numpy"):
        g(np.ones(2))
    assert len(traces) == 4 + (fastnn.get_backend() != "numpy")


def test_moved_variables_and_changed_trainability_are_noticed(backend):
    a, b = Variable([1.0, 2.0], name="a"), Variable([3.0, 4.0], name="b")
    g = value_and_grad(lambda x: ops.sum(a * b * x))
    assert g([1.0, 1.0])[0] == 11
    pack([b, a])
    a.assign([10.0, 20.0])
    loss, grads = g([1.0, 1.0])
    assert loss == 110 and len(grads) == 2
    b.trainable = False
    loss, grads = g([1.0, 1.0])
    assert loss == 110 and len(grads) == 1
    np.testing.assert_array_equal(grads[0], [3, 4])


@pytest.mark.parametrize(("given", "arrives"), [
    (np.float64, np.float32), (np.float16, np.float32), (">f4", np.float32), (np.bool_, np.float32),
    (np.int64, np.int32), (np.uint8, np.int32)])
def test_dtypes_that_arrive(given, arrives):
    seen = []
    trainable = Variable([1.0])

    def loss(x):
        seen.append(x.dtype)
        return ops.sum(trainable * trainable)

    value_and_grad(loss)(np.ones(3, given))
    assert seen == [arrives]


def test_float64_variables_make_a_float64_program():
    w = Variable([1.0, 2.0], dtype="float64")
    loss, (g,) = value_and_grad(lambda x: ops.sum(ops.exp(w * x)))(np.array([0.1, 0.2], np.float32))
    assert loss.dtype == g.dtype == np.float64
    x = np.array([0.1, 0.2], np.float32).astype(float)
    np.testing.assert_allclose(g, x * np.exp(x * [1, 2]), rtol=1e-14)


def test_without_variables_the_arrays_decide_on_the_numpy_backend():
    for backend in BACKENDS:
        with fastnn.backend(backend):
            wide = backend == "numpy"
            assert fastnn.program(lambda x: x * 2)(np.ones(2)).dtype == (np.float64 if wide else np.float32)
            assert fastnn.program(lambda x: x * 2)(np.ones(2, np.float32)).dtype == np.float32
            assert run_eager(Scaler(), (np.ones((1, 2)), 0)).dtype == np.float32  # as a layer of float32


def test_strided_read_only_and_nested_arguments(backend):
    w = Variable([1.0, 2.0])
    x = np.arange(8.0)[::-4]
    x.setflags(write=False)
    assert value_and_grad(lambda d, flag: ops.sum(w * d["x"] + d["pair"][1]) if flag else None)(
        {"x": x, "pair": [x, [1.0, 1.0]]}, True)[0] == 7 + 6 + 2


def test_errors_say_what_is_wrong():
    w = Variable([1.0, 2.0])
    with pytest.raises(TypeError, match="must return a scalar tensor.*float"):
        value_and_grad(lambda x: 1.0)([1.0])
    with pytest.raises(ValueError, match="without axes"):
        value_and_grad(lambda x: w * x)([1.0, 2.0])
    with pytest.raises(TypeError, match="pair"):
        value_and_grad(lambda x: ops.sum(w * x), has_aux=True)([1.0, 2.0])
    with pytest.raises(TypeError, match="numbers are wanted"):
        value_and_grad(lambda x: ops.sum(w * x))(np.array(["a", "b"]))
    with pytest.raises(TypeError, match="numbers are wanted"):
        value_and_grad(lambda x: ops.sum(w * x))(np.array([1j, 2]))
    with pytest.raises(ValueError, match="32 bits; 4294967296 does not fit"):
        value_and_grad(lambda x: ops.sum(w))(np.array([2**32]))
    with pytest.raises(ValueError, match="broadcast"):
        value_and_grad(lambda x: ops.sum(w * x))(np.ones(3))


# ---------------------------------------------------------------------- native steps

def gan(rng):
    """A training step of two networks with two optimizers, and the same in NumPy."""
    g_net, d_net = Net((2, 8, 3), rng, "g"), Net((3, 8, 1), rng, "d")
    g_opt, d_opt = optimizers.Adam(0.01), optimizers.SGD(0.05)

    def step(real, noise):
        d_loss = ops.mean(ops.softplus(-d_net(real))) + ops.mean(ops.softplus(d_net(g_net(noise))))
        d_opt.apply(fastnn.gradients(d_loss, d_net.trainable_variables), d_net.trainable_variables)
        g_loss = ops.mean(ops.softplus(-d_net(g_net(noise))))
        g_opt.apply(fastnn.gradients(g_loss, g_net.trainable_variables), g_net.trainable_variables)
        return {"d": d_loss, "g": g_loss}

    return g_net, d_net, step


def test_two_models_and_two_optimizers(backend):
    """Against the same steps taken with value_and_grad and optimizers on arrays."""
    rng = np.random.default_rng(0)
    real, noise = rng.normal(size=(6, 16, 3)) + 2, rng.normal(size=(6, 16, 2))

    g_net, d_net, step = gan(np.random.default_rng(1))
    native = fastnn.program(step)
    found = [native(r, z) for r, z in zip(real, noise)]
    assert all(set(f) == {"d", "g"} and isinstance(f["d"], np.float32) for f in found)

    g2, d2, _ = gan(np.random.default_rng(1))
    g_opt, d_opt = optimizers.Adam(0.01), optimizers.SGD(0.05)
    d_grad = value_and_grad(lambda r, z: ops.mean(ops.softplus(-d2(r))) + ops.mean(ops.softplus(d2(g2(z)))), d2)
    g_grad = value_and_grad(lambda z: ops.mean(ops.softplus(-d2(g2(z)))), g2)
    for f, r, z in zip(found, real, noise):
        d_loss, grads = d_grad(r, z)
        d_opt.apply(grads, d2.trainable_variables)
        g_loss, grads = g_grad(z)
        g_opt.apply(grads, g2.trainable_variables)
        np.testing.assert_allclose([f["d"], f["g"]], [d_loss, g_loss], rtol=1e-5)
    for a, b in zip((*g_net.trainable_variables, *d_net.trainable_variables),
                    (*g2.trainable_variables, *d2.trainable_variables)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


def test_many_steps_at_once_give_the_same_bits(backend):
    rng = np.random.default_rng(0)
    real, noise = rng.normal(size=(9, 16, 3)) + 2, rng.normal(size=(9, 16, 2))
    results = []
    for together in (True, False):
        g_net, d_net, step = gan(np.random.default_rng(1))
        step = fastnn.program(step)
        if together:
            out = step.many(9, real, noise)
        else:
            rows = [step(r, z) for r, z in zip(real, noise)]
            out = {k: np.array([r[k] for r in rows]) for k in rows[0]}
        results.append([out["d"], out["g"], *(v.numpy() for v in (*g_net.trainable_variables,
                                                                  *d_net.trainable_variables))])
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


def test_what_a_step_returns(backend):
    w = Variable(np.arange(3.0))

    @fastnn.program
    def step(x):
        """Adds."""
        return (w + x, None, [ops.sum(x)], "name")

    y, nothing, (s,), name = step(np.ones(3))
    assert isinstance(step, ProgramFunction) and step.__doc__ == "Adds." and step.__name__ == "step"
    assert nothing is None and name == "name" and s == 3
    np.testing.assert_array_equal(y, [1, 2, 3])
    y, _, (s,), _ = step.many(2, [[1.0, 1, 1], [2.0, 2, 2]])
    np.testing.assert_array_equal(s, [3, 6])
    assert y.shape == (2, 3)
    assert step.program(np.ones(3)).feeds["x"].shape == (3,)


def test_many_checks_the_rows():
    step = fastnn.program(lambda x: x * 2)
    with pytest.raises(ValueError, match="x must have 3 rows"):
        step.many(3, np.ones((2, 4)))
    with pytest.raises(ValueError, match="x must have 3 rows"):
        step.many(3, 1.0)


def test_explain_names_the_arguments_and_leaves_the_weights_alone(backend, rng):
    g_net, d_net, step = gan(rng)
    step = fastnn.program(step)
    real, noise = np.ones((4, 3)), np.ones((4, 2))
    text = step.explain(real, noise)
    assert "real" in text and "noise" in text and "g/w0" in text
    before = [v.numpy() for v in g_net.trainable_variables]
    assert " us" in step.explain(real, noise, steps=3)
    for v, b in zip(g_net.trainable_variables, before):
        np.testing.assert_array_equal(v.numpy(), b)


def test_the_decorator_is_also_the_package():
    import fastnn.program.graph as graph_module
    from fastnn.program import graph

    assert graph_module is graph is fastnn.program.graph
    step = fastnn.program(training=False)(lambda x: x)
    assert step.training is False


def test_layers_learn_whether_it_is_training():
    seen = []

    def step(x):
        seen.append(x.graph.training)
        return x

    x = np.ones(1, np.float32)
    fastnn.program(step)(x)
    fastnn.program(training=False)(step)(x)
    value_and_grad(lambda x: ops.sum(step(x)), [])(x)
    assert seen == [True, False, True]


# ---------------------------------------------------------------------- calls on arrays

class Scaler:
    name = "scaler"

    def __init__(self):
        self.w, self.traces = Variable([2.0, 3.0]), 0

    def __call__(self, x, times=1, training=None):
        self.traces += 1
        for _ in range(times):
            x = x * self.w
        return x


def test_eager_calls(backend):
    scaler = Scaler()
    x = np.array([[1.0, 1.0]])
    np.testing.assert_array_equal(run_eager(scaler, (x,)), [[2, 3]])
    np.testing.assert_array_equal(run_eager(scaler, (x,), {"times": 2}), [[4, 9]])
    np.testing.assert_array_equal(run_eager(scaler, ([[1.0, 2.0]],)), [[2, 6]])
    scaler.w.assign([1.0, 1.0])
    np.testing.assert_array_equal(run_eager(scaler, (x,)), [[1, 1]])
    assert scaler.traces == 2  # one for each `times`
    assert x.tolist() == [[1.0, 1.0]]


def test_copies_of_an_owner_start_with_no_programs():
    scaler = Scaler()
    run_eager(scaler, (np.ones((1, 2)),))
    for other in (copy.deepcopy(scaler), pickle.loads(pickle.dumps(scaler))):
        assert len(other._eager_programs) == 0
        other.w.assign([5.0, 5.0])
        np.testing.assert_array_equal(run_eager(other, (np.ones((1, 2)),)), [[5, 5]])
    np.testing.assert_array_equal(run_eager(scaler, (np.ones((1, 2)),)), [[2, 3]])


def test_an_error_while_tracing_leaves_nothing_behind():
    scaler = Scaler()
    with pytest.raises(ValueError, match="broadcast"):
        run_eager(scaler, (np.ones((1, 5)),))
    assert len(scaler._eager_programs) == 0 and fastnn.program.graph.current_graph() is None


def test_threads_may_share_a_program(backend):
    scaler, wrong = Scaler(), []

    def work(k):
        x = np.full((50, 2), float(k))
        for _ in range(100):
            if not np.array_equal(run_eager(scaler, (x,)), x * [2, 3]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and len(scaler._eager_programs) == 1


def test_a_tensor_does_not_leave_its_program():
    kept = []
    run_eager(lambda x: kept.append(x) or x, (np.ones(2),))
    with pytest.raises(TypeError, match="before its program runs"):
        np.asarray(kept[0])
    with pytest.raises(TypeError, match="no truth value"):
        bool(kept[0])
    with pytest.raises(ValueError, match="another program"):
        run_eager(lambda x: x + kept[0], (np.ones(2),))


def test_caches_are_bounded():
    scaler = Scaler()
    for n in range(1, trace_module.CACHED + 5):
        run_eager(scaler, (np.ones((n, 2)),))
    assert len(scaler._eager_programs) == trace_module.CACHED
