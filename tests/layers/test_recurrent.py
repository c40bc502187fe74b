"""Recurrent layers: against PyTorch and Keras, against their own cells step by step, and what they refuse."""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

B, T, D, H = 3, 5, 4, 6
LENGTHS = np.array([5, 3, 1])
MASK = (np.arange(T) < LENGTHS[:, None]).astype(np.float32)
KINDS = ("SimpleRNN", "LSTM", "GRU")
KERAS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras under a new NumPy


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def states(kind, batch=B, units=H, seed=5):
    """Initial states that differ and are not zero."""
    return [data(batch, units, seed=seed + i) for i in range(2 if kind == "LSTM" else 1)]


def with_weights(layer, x, seed=3, **more):
    """The layer, called once, with weights that are not its first ones."""
    layer(x, **more)
    rng = np.random.default_rng(seed)
    layer.set_weights([0.5 * rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def gradients(layer, x, begin, mask, weigh):
    """Outputs, and the gradients of their weighed sum by x, the initial states and the weights."""
    held = [fastnn.Variable(v, name=f"v{i}") for i, v in enumerate((x, *begin))]

    def loss(*_):
        given = [v * 1.0 for v in held]
        more = {} if mask is None else {"mask": mask}
        outs = layer(given[0], initial_state=given[1:], **more)
        return sum(ops.sum(o * w) for o, w in zip(outs, weigh, strict=True)), outs

    def only_loss(*a):
        return loss(*a)[0]

    wrt = [*held, *layer.trainable_variables]
    _, grads = fastnn.value_and_grad(only_loss, wrt)(np.ones(1, np.float32))
    more = {} if mask is None else {"mask": mask}
    return layer(x, initial_state=begin, **more), grads


def close(a, b, off=2e-5):
    np.testing.assert_allclose(a, b, rtol=off, atol=off * max(1.0, float(np.abs(b).max(initial=0))))


# ---------------------------------------------------------------------- PyTorch


def torch_weights(torch, kind, module, weights, reset_bias):
    """Keras's weights as PyTorch lays them out: transposed; GRU's gates r, z, n."""
    kernel, recurrent, bias = weights

    def order(w):
        if kind != "GRU":
            return w.T if w.ndim == 2 else w
        z, r, n = np.split(w, 3, axis=-1)
        w = np.concatenate([r, z, n], axis=-1)
        return w.T if w.ndim == 2 else w

    first, second = (bias if reset_bias else (bias, np.zeros_like(bias)))
    for name, w in (("weight_ih_l0", kernel), ("weight_hh_l0", recurrent), ("bias_ih_l0", first),
                    ("bias_hh_l0", second)):
        getattr(module, name).data = torch.tensor(np.ascontiguousarray(order(w)))
    return order


@pytest.mark.parametrize("masked", (False, True))
@pytest.mark.parametrize("kind", KINDS)
def test_pytorch(kind, masked):
    """Values and every gradient, with initial states and, where masked, rows of different lengths."""
    torch = pytest.importorskip("torch")
    x, begin = data(B, T, D), states(kind)
    layer = with_weights(getattr(layers, kind)(H, return_sequences=True, return_state=True), x)
    weigh = [data(B, T, H, seed=8), *states(kind, seed=9)]
    if masked:
        weigh[0] *= MASK[..., None]  # PyTorch gives 0 behind the end, Keras the state
    outs, grads = gradients(layer, x, begin, MASK if masked else None, weigh)

    module = {"SimpleRNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}[kind](D, H, batch_first=True)
    order = torch_weights(torch, kind, module, layer.get_weights(), kind == "GRU")
    xt, *s = (torch.tensor(v, requires_grad=True) for v in (x, *begin))
    given = xt
    if masked:
        given = torch.nn.utils.rnn.pack_padded_sequence(xt, torch.tensor(LENGTHS), batch_first=True)
    y, after = module(given, tuple(v[None] for v in s) if kind == "LSTM" else s[0][None])
    if masked:
        y = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=T)[0]
    after = [a[0] for a in (after if kind == "LSTM" else [after])]
    loss = sum((o * torch.tensor(w)).sum() for o, w in zip([y, *after], weigh))
    loss.backward()
    got = outs[0] * MASK[..., None] if masked else outs[0]
    close(got, y.detach().numpy())
    for a, b in zip(outs[1:], after):
        close(a, b.detach().numpy())
    for g, v in zip(grads, (xt, *s)):
        close(g, v.grad.numpy())
    kernel, recurrent, bias = grads[1 + len(s):]
    close(order(kernel), module.weight_ih_l0.grad.numpy())
    close(order(recurrent), module.weight_hh_l0.grad.numpy())
    both = (bias[0], bias[1]) if kind == "GRU" else (bias, bias)
    for g, v in zip(both, (module.bias_ih_l0, module.bias_hh_l0)):
        close(order(g), v.grad.numpy())


# ---------------------------------------------------------------------- Keras


@pytest.fixture
def keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@KERAS
@pytest.mark.parametrize("kind,arguments", [
    ("SimpleRNN", {}), ("SimpleRNN", {"activation": "softsign", "use_bias": False}), ("LSTM", {}),
    ("LSTM", {"activation": "relu", "recurrent_activation": "hard_sigmoid"}), ("GRU", {}),
    ("GRU", {"reset_after": False})])
def test_keras(keras, kind, arguments):
    x, begin = data(B, T, D), states(kind)
    for sequences, back, given in ((True, False, {"initial_state": begin, "mask": MASK > 0}), (False, False, {}),
                                   (True, True, {"initial_state": begin, "mask": MASK > 0})):
        more = dict(return_sequences=sequences, return_state=True, go_backwards=back, **arguments)
        ours, peer = with_weights(getattr(layers, kind)(H, **more), x), getattr(keras.layers, kind)(H, **more)
        peer(x)
        peer.set_weights(ours.get_weights())
        for a, b in zip(ours(x, **given), peer(x, **given), strict=True):
            close(a, np.asarray(b), 2e-6)


@KERAS
@pytest.mark.parametrize("sequences", (False, True))
def test_bidirectional_against_keras(keras, sequences):
    x = data(B, T, D)

    def make(lib):
        return lib.Bidirectional(lib.LSTM(H, return_sequences=sequences, return_state=True))

    ours, peer = with_weights(make(layers), x), make(keras.layers)
    peer(x)
    peer.set_weights(ours.get_weights())
    given = {"initial_state": [*states("LSTM"), *states("LSTM", seed=11)], "mask": MASK > 0}
    for a, b in zip(ours(x, **given), peer(x, **given), strict=True):
        close(a, np.asarray(b), 2e-6)


@pytest.mark.parametrize("merge", ("concat", "sum", "mul", "ave", None))
def test_bidirectional_merges(merge):
    x = data(B, T, D)
    layer = with_weights(layers.Bidirectional(layers.GRU(H, return_sequences=True), merge_mode=merge), x)
    back = layers.GRU(H, return_sequences=True)
    back(x)
    back.set_weights(layer.backward_layer.get_weights())
    a, b = layer.forward_layer(x), back(np.ascontiguousarray(x[:, ::-1]))[:, ::-1]
    want = {"concat": lambda: np.concatenate([a, b], -1), "sum": lambda: a + b, "mul": lambda: a * b,
            "ave": lambda: (a + b) / 2, None: lambda: np.stack([a, b])}[merge]()
    close(np.stack(layer(x)) if merge is None else layer(x), want, 1e-6)
    again = layers.deserialize(layers.serialize(layer))
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.stack(again(x)), np.stack(layer(x)))


@KERAS
def test_a_stack_of_cells_against_keras(keras):
    x = data(B, T, D)

    def make(lib):
        return lib.RNN([lib.LSTMCell(H), lib.GRUCell(3), lib.SimpleRNNCell(2)], return_sequences=True,
                       return_state=True)

    ours, peer = with_weights(make(layers), x), make(keras.layers)
    peer(x)
    peer.set_weights(ours.get_weights())
    got, want = ours(x, mask=MASK), peer(x)
    close(ours(x)[0], np.asarray(want[0]), 2e-6)
    assert got[0].shape == (B, T, 2) and [np.shape(s) for s in got[1]] == [(B, H), (B, H)]
    for t in (3, 4):  # nothing moves where nothing counts
        np.testing.assert_array_equal(got[0][1, t], got[0][1, 2])


@KERAS
def test_training_with_masks_against_keras(keras):
    """A few steps over padded sequences: two layers, a mask through all, loss at each step."""
    x = data(B, T, D) * MASK[..., None]
    y = data(B, T, 1, seed=2)

    def make(lib):
        return lib.Sequential([lib.Input((None, D)), lib.layers.Masking(),
                               lib.layers.Bidirectional(lib.layers.GRU(H, return_sequences=True)),
                               lib.layers.LSTM(4, return_sequences=True),
                               lib.layers.TimeDistributed(lib.layers.Dense(1))])

    ours, peer = make(fastnn), make(keras)
    peer.set_weights(ours.get_weights())
    ours.compile(fastnn.optimizers.SGD(0.1), "mse", metrics=["mae"])
    peer.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    for _ in range(3):
        a, b = (m.train_on_batch(x, y, return_dict=True) for m in (ours, peer))
        close(a["loss"], np.float32(b["loss"]), 1e-5)
    a, b = (m.test_on_batch(x, y, return_dict=True) for m in (ours, peer))
    close(a["mae"], np.float32(b["mae"]), 1e-5)  # in training on JAX, Keras's metrics lose the mask
    for a, b in zip(ours.get_weights(), peer.get_weights(), strict=True):
        close(a, b, 1e-5)


@KERAS
def test_configs_are_read_both_ways(keras):
    for make in (lambda lib: lib.LSTM(H, "relu", dropout=0.1, recurrent_dropout=0.2, go_backwards=True, seed=1,
                                      kernel_regularizer="l2", recurrent_constraint="non_neg"),
                 lambda lib: lib.GRU(H, reset_after=False, return_sequences=True, stateful=True, seed=1),
                 lambda lib: lib.SimpleRNN(H, return_state=True, zero_output_for_mask=True, seed=1)):
        ours, peer = make(layers).get_config(), make(keras.layers).get_config()
        assert set(peer) - {"dtype", "activity_regularizer"} <= set(ours)  # that one only where there is one
        for key in set(peer) - {"dtype", "name", "seed", "activity_regularizer"}:
            if not isinstance(peer[key], dict):
                assert ours[key] == peer[key], key
        type(make(layers)).from_config({k: v for k, v in peer.items() if k != "dtype"})


# ---------------------------------------------------------------------- the kernels against the cells


@pytest.mark.parametrize("kind,arguments", [(k, {}) for k in KINDS] + [("GRU", {"reset_after": False})])
def test_a_sequence_in_one_kernel_is_its_steps(kind, arguments):
    """`LSTM(H)` and `RNN(LSTMCell(H))` with the same weights: outputs and gradients, masked, from both ends."""
    x, begin = data(B, T, D), states(kind)
    for back, sequences in itertools.product((False, True), repeat=2):
        more = dict(return_sequences=sequences, return_state=True, go_backwards=back)
        whole = with_weights(getattr(layers, kind)(H, **arguments, **more), x)
        steps = layers.RNN(getattr(layers, f"{kind}Cell")(H, **arguments), **more)
        steps(x)
        steps.set_weights(whole.get_weights())
        weigh = [data(*((B, T, H) if sequences else (B, H)), seed=8), *states(kind, seed=9)]
        mask = MASK.copy()
        mask[0, 1] = 0  # in the middle, too
        for m in (None, mask):
            (got, grads), (want, others) = (gradients(one, x, begin, m, weigh) for one in (whole, steps))
            for a, b in zip([*got, *grads], [*want, *others], strict=True):
                close(a, b, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_output_for_mask(kind):
    x = data(B, T, D)
    for back, sequences in itertools.product((False, True), repeat=2):
        more = dict(return_sequences=sequences, go_backwards=back, zero_output_for_mask=True)
        whole = with_weights(getattr(layers, kind)(H, **more), x)
        steps = layers.RNN(getattr(layers, f"{kind}Cell")(H), **more)
        steps(x)
        steps.set_weights(whole.get_weights())
        close(whole(x, mask=MASK), steps(x, mask=MASK), 1e-6)
        if sequences:
            hidden = whole(x, mask=MASK)[1, 0 if back else 4]
            np.testing.assert_array_equal(hidden, 0)


def test_one_row_one_step_one_unit():
    x = np.array([[[2.0]]])
    for kind in KINDS:
        assert getattr(layers, kind)(1)(x).shape == (1, 1)
    layer = layers.LSTM(1, kernel_initializer="ones")
    s = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(layer(x), [[s * np.tanh(s * np.tanh(2.0))]], rtol=1e-6)


def test_predicting_saves_nothing_for_a_gradient():
    """What only the backward pass would read is not made where nobody asks for a gradient."""
    model = fastnn.Sequential([fastnn.Input((T, D)), layers.LSTM(H)])
    inference = model._inference(((B, T, D),))
    (call,) = [c for c in inference.program.calls if c.kernel.name == "lstm"]
    assert call.attr("save") == 0 and call["gates"].size == call["y"].size == 0
    model.compile("sgd", "mse")
    (call,) = [c for c in model.training_program(data(B, T, D), data(B, H), B).calls if c.kernel.name == "lstm"]
    assert call.attr("save") == 1 and call["gates"].size == B * T * 4 * H


# ---------------------------------------------------------------------- states


def test_stateful_goes_on_where_the_last_batch_ended():
    fastnn.utils.set_random_seed(1)
    x = data(B, 3 * T, D)
    model = fastnn.Sequential([fastnn.Input(batch_shape=(B, T, D)),
                               layers.LSTM(H, stateful=True, return_sequences=True),
                               layers.GRU(H, stateful=True, return_sequences=True, name="top")])
    free = fastnn.Sequential([fastnn.Input((None, D)), layers.LSTM(H, return_sequences=True),
                              layers.GRU(H, return_sequences=True)])
    free.set_weights(model.get_weights())
    whole = free.predict(x)
    parts = [x[:, i : i + T] for i in range(0, 3 * T, T)]
    for _ in range(2):
        got = [model.predict(p) for p in parts]
        np.testing.assert_array_equal(np.concatenate(got, 1), whole)
        for layer in model.layers:
            layer.reset_state()
    assert model.layers[-1].states[0].shape == (B, H) and len(model.get_weights()) == 6
    with pytest.raises(ValueError, match="holds the states of 3 rows; a batch of 2"):
        model.predict(x[:2, :T])
    model.compile("sgd", "mse")
    model.predict(parts[0])
    before = [v.numpy() for v in model.layers[0].states]
    model.train_on_batch(parts[1], whole[:, :T])
    assert all(np.abs(a - v.numpy()).max() > 0 for a, v in zip(before, model.layers[0].states))


def test_truncated_backpropagation_learns_what_lies_batches_back():
    """The answer is the sign of the first number of four batches before: only a state that is kept can tell."""
    fastnn.utils.set_random_seed(4)
    rng = np.random.default_rng(0)
    model = fastnn.Sequential([fastnn.Input(batch_shape=(8, 2, 1)), layers.GRU(8, stateful=True), layers.Dense(1)])
    model.compile(fastnn.optimizers.Adam(0.02), "mse")
    first, losses = np.sign(rng.normal(size=8)), []
    for _ in range(150):
        model.layers[0].reset_state()
        first = np.sign(rng.normal(size=8))
        for part in range(3):
            x = np.zeros((8, 2, 1))
            x[:, 0, 0] = first if part == 0 else 0
            losses.append(model.train_on_batch(x, first[:, None]))
    assert np.mean(losses[-9:]) < 0.05 < 0.5 < np.mean(losses[:9])


def test_states_that_do_not_fit_are_refused():
    x, layer = data(B, T, D), layers.LSTM(H, name="memory")
    for wrong, words in (([np.ones((2, H))] * 2, r"memory: initial_state 0 has the shape \(2, 6\).*\(3, 6\)"),
                         ([np.ones((B, 5))] * 2, r"initial_state 0 has the shape \(3, 5\)"),
                         ([np.ones((B, H))], "has 2 states; initial_state holds 1")):
        with pytest.raises(ValueError, match=words):
            layer(x, initial_state=wrong)
    with pytest.raises(ValueError, match=r"memory: the mask has the shape \(3, 4\).*\(3, 5\)"):
        layer(x, mask=np.ones((B, 4)))
    with pytest.raises(ValueError, match=r"memory wants sequences \(batch, steps, features\); got .* \(None, 5\)"):
        layers.LSTM(H, name="memory")(np.ones((3, 5)))
    layer(x)
    with pytest.raises(ValueError, match="memory was built for sequences of 4 features"):
        layer(data(B, T, D + 1))
    with pytest.raises(ValueError, match="must know how many rows a batch has"):
        fastnn.Sequential([fastnn.Input((T, D)), layers.GRU(H, stateful=True)])
    with pytest.raises(ValueError, match="not stateful"):
        layer.reset_state()


def test_wrong_arguments_are_refused():
    for make, words in ((lambda: layers.LSTM(0), "units is 0"), (lambda: layers.GRU(2.5), "units is 2.5"),
                        (lambda: layers.LSTM(4, dropout=1.0), "dropout is 1.0"),
                        (lambda: layers.SimpleRNN(4, recurrent_dropout=-0.1), "recurrent_dropout is -0.1"),
                        (lambda: layers.RNN(layers.Dense(3)), "a cell is a layer with a state_size"),
                        (lambda: layers.RNN([]), "a list of cells"),
                        (lambda: layers.Bidirectional(layers.Dense(3)), "a recurrent layer is wanted"),
                        (lambda: layers.Bidirectional(layers.GRU(3), "concatt"), "did you mean 'concat'"),
                        (lambda: layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3)), "both layers go"),
                        (lambda: layers.TimeDistributed("dense"), "wraps a layer")):
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(TypeError, match="LSTM takes no argument 'return_sequence'"):
        layers.LSTM(3, return_sequence=True)


# ---------------------------------------------------------------------- dropout


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_the_same_at_all_steps(kind):
    """With inputs that are the same at all steps and no recurrence, all outputs of a simple cell are the same."""
    x = np.repeat(data(B, 1, 40), T, axis=1)
    layer = getattr(layers, kind)(8, dropout=0.5, return_sequences=True, recurrent_initializer="zeros", seed=3)
    plain = layer(x)
    noisy = layer(x, training=True)
    assert np.abs(noisy - plain).max() > 0.01
    if kind == "SimpleRNN":
        np.testing.assert_array_equal(noisy, np.repeat(noisy[:, :1], T, axis=1))
        assert (noisy[0, 0] != noisy[1, 0]).any() or (plain[0, 0] != plain[1, 0]).any()
    np.testing.assert_array_equal(layer(x), plain)


def test_recurrent_dropout_drops_states():
    x = data(B, T, D)
    layer = layers.SimpleRNN(200, "linear", recurrent_dropout=0.25, recurrent_initializer="identity",
                             kernel_initializer="zeros", seed=3)
    begin = np.ones((B, 200), np.float32)
    got = layer(x, initial_state=begin, training=True)
    assert set(np.round(np.unique(got), 3)) == {0, np.round(np.float32((4 / 3) ** T), 3)}
    assert 0.15 < (got == 0).mean() < 0.35
    np.testing.assert_allclose(layer(x, initial_state=begin), 1)
    for kind in ("LSTM", "GRU"):
        layer = getattr(layers, kind)(H, recurrent_dropout=0.5, dropout=0.2, seed=1)
        assert np.abs(layer(x, training=True) - layer(x)).max() > 1e-3


@pytest.mark.parametrize("kind,options", [("SimpleRNN", {}), ("LSTM", {}), ("GRU", {}),
                                          ("GRU", {"reset_after": False})])
@pytest.mark.parametrize("more", [{}, {"dropout": 0.4, "go_backwards": True}])
def test_dropout_inside_of_the_kernel_is_that_of_single_steps(kind, options, more, monkeypatch):
    """Outputs, and weights after training, are those of the cell's operations one after another."""
    def trained(steps):
        with monkeypatch.context() as patch:
            if steps:
                patch.setattr(getattr(layers, kind), "known", lambda self: False)
            fastnn.utils.set_random_seed(6)
            layer = getattr(layers, kind)(H, recurrent_dropout=0.5, return_sequences=True, seed=1, **options, **more)
            model = fastnn.Sequential([fastnn.Input((T, D)), layers.Masking(), layer, layers.Dense(2)])
            x = data(8, T, D)
            x[3, 2:] = 0
            outputs = layer(x, training=True)
            model.compile(fastnn.optimizers.SGD(0.5), "mse")
            model.fit(x, data(8, T, 2), batch_size=4, epochs=2, shuffle=False, verbose=0)
            names = [c.kernel.name for c in model.training_program(x, data(8, T, 2), 4).calls]
        kernel = "simple_rnn_grad" if kind == "SimpleRNN" else f"{kind.lower()}_grad"
        assert (kernel in names) != steps
        return outputs, model.get_weights()

    (y, weights), (want, others) = trained(False), trained(True)
    close(y, want, 1e-6)
    for a, b in zip(weights, others):
        close(a, b, 2e-5)


# ---------------------------------------------------------------------- as part of models


def test_models_with_masks_of_any_length(tmp_path):
    """A mask makes padding invisible: the same outputs for a sequence by itself and padded to any length."""
    fastnn.utils.set_random_seed(2)
    model = fastnn.Sequential([fastnn.Input((None, D)), layers.Masking(), layers.Bidirectional(
        layers.LSTM(H, return_sequences=True)), layers.GRU(H), layers.Dense(2)])
    x = data(1, 4, D)
    padded = np.concatenate([x, np.zeros((1, 3, D), np.float32)], 1)
    close(model.predict(padded), model.predict(x), 1e-6)
    assert model.output_shape == (None, 2)
    model.compile("adam", "mse")
    model.fit(padded, np.ones((1, 2)), epochs=2, verbose=0)
    model.save(tmp_path / "m.fastnn")
    again = fastnn.models.load_model(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(again.predict(padded), model.predict(padded))
    again.fit(padded, np.ones((1, 2)), verbose=0)


def test_encoder_and_decoder():
    """States go from layer to layer in a functional model."""
    a, b = fastnn.Input((None, D)), fastnn.Input((None, 2))
    _, h, c = layers.LSTM(H, return_state=True)(layers.Masking()(a))
    y = layers.LSTM(H, return_sequences=True)(b, initial_state=[h, c])
    model = fastnn.Model([a, b], layers.Dense(1)(y))
    assert model.output_shape == (None, None, 1)
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    given = [data(B, T, D), data(B, 4, 2, seed=1)]
    np.testing.assert_array_equal(again.predict(given), model.predict(given))
    model.compile("adam", "mse")
    first = model.train_on_batch(given, np.ones((B, 4, 1)))
    for _ in range(20):
        last = model.train_on_batch(given, np.ones((B, 4, 1)))
    assert last < first


def test_own_cells():
    class Minimal(layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = units

        def build(self, input_shape):
            self.w = self.add_weight((input_shape[-1], self.units), name="w")

        def call(self, inputs, states):
            h = ops.tanh(ops.matmul(inputs, self.w) + states[0])
            return h, [h]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    x = data(B, T, D)
    layer = layers.RNN(Minimal(H), return_sequences=True)
    y, h = layer(x), np.zeros((B, H))
    for t in range(T):
        h = np.tanh(x[:, t] @ layer.cell.w.numpy() + h)
        close(y[:, t], h, 1e-5)
    made = layers.deserialize(layers.serialize(layer), custom_objects={"Minimal": Minimal})
    assert made(x).shape == (B, T, H)
    both = layers.Bidirectional(layers.RNN(Minimal(H)))
    assert both(x).shape == (B, 2 * H) and len(both.trainable_variables) == 2


def test_time_distributed():
    x = data(B, T, 3, 4)
    layer = layers.TimeDistributed(fastnn.Sequential([layers.Flatten(), layers.Dense(2)]))
    y = layer(x)
    close(y, np.stack([layer.layer(x[:, t]) for t in range(T)], 1), 1e-6)
    again = layers.deserialize(layers.serialize(layers.TimeDistributed(layers.Dense(2))))
    assert again(data(B, T, D)).shape == (B, T, 2)
    with pytest.raises(ValueError, match="wants sequences"):
        layers.TimeDistributed(layers.Dense(2))(np.ones((2, 3)))
    with pytest.raises(ValueError, match="the mask has the shape"):
        layers.TimeDistributed(layers.Dense(2))(data(B, T, D), mask=np.ones((B, 2)))


@pytest.mark.parametrize("backend", ("numpy", "numba"))
def test_backends_agree(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    x, y = data(B, T, D), data(B, 1, seed=1)
    got = []
    for name in ("native", backend):
        with fastnn.backend(name):
            fastnn.utils.set_random_seed(3)
            model = fastnn.Sequential([fastnn.Input((T, D)), layers.GRU(H, return_sequences=True), layers.LSTM(H),
                                       layers.Dense(1)])
            model.compile("adam", "mse")
            losses = [model.train_on_batch(x, y) for _ in range(3)]
            got.append([*losses, *model.get_weights()])
    for a, b in zip(*got, strict=True):
        close(a, b, 1e-4)
