"""Tables updated by the rows that a batch touches: as in PyTorch, and as whole tables are where that is the same."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn import optimizers as o

ROWS, WIDTH, BATCH, LENGTH = 40, 5, 3, 4


@pytest.fixture
def rng():
    return np.random.default_rng(6)


def network(table, sparse, rows=ROWS, **kwargs):
    """Logits of two classes from the mean of the tokens' vectors; the layers behind are not trained."""
    tokens = fastnn.Input((LENGTH,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(rows, WIDTH, weights=table, sparse=sparse, name="table",
                                                         **kwargs)(tokens))
    head = layers.Dense(1, use_bias=False, kernel_initializer=fastnn.initializers.Constant(0.7), trainable=False)
    return fastnn.Model(tokens, head(ops.tanh(x)))


def data(rng, rows=ROWS):
    """Tokens of a few rows, some twice in a batch, and targets."""
    return rng.choice([0, 1, 1, 7, rows - 1], (4 * BATCH, LENGTH)), rng.normal(size=(4 * BATCH, 1))


def fitted(optimizer, table, x, y, sparse, epochs=3, **kwargs):
    model = network(table, sparse, len(table), **kwargs)
    model.compile(optimizer, "mse")
    model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)
    return model, model.get_layer("table").embeddings.numpy()


def kernels(model, x, y):
    return [c.kernel.name for c in model.training_program(x, y, BATCH).calls]


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("ours,theirs", [
    (o.SGD(0.5), ("SGD", {"lr": 0.5})),
    (o.Adagrad(0.3, epsilon=1e-6, initial_accumulator_value=0.2, epsilon_inside_sqrt=False),
     ("Adagrad", {"lr": 0.3, "eps": 1e-6, "initial_accumulator_value": 0.2})),
    (o.Adam(0.05, epsilon=1e-8), ("SparseAdam", {"lr": 0.05, "eps": 1e-8})),
    (o.Adam(o.schedules.StepDecay(0.1, 2, 0.5), 0.8, 0.9, epsilon=1e-4),
     ("SparseAdam", {"lr": None, "betas": (0.8, 0.9), "eps": 1e-4})),
])
def test_as_pytorch(ours, theirs, rng):
    torch = pytest.importorskip("torch")
    table, (x, y) = rng.normal(size=(ROWS, WIDTH)).astype(np.float32), data(rng)
    rates = [float(ours.rates(t, 1)[0]) for t in range(12)]
    model, found = fitted(ours, table, x, y, sparse=True)
    weight = torch.nn.Embedding.from_pretrained(torch.tensor(table.astype(np.float64)), freeze=False, sparse=True)
    name, numbers = theirs
    other = getattr(torch.optim, name)(weight.parameters(), **{**numbers, "lr": rates[0]})
    for t in range(12):
        at = slice(t % 4 * BATCH, (t % 4 + 1) * BATCH)
        other.param_groups[0]["lr"] = rates[t]
        other.zero_grad()
        out = torch.tanh(weight(torch.tensor(x[at])).mean(1)).sum(1) * 0.7
        ((out - torch.tensor(y[at, 0])) ** 2).mean().backward()
        other.step()
    np.testing.assert_allclose(found, weight.weight.detach().numpy(), atol=3e-6)
    np.testing.assert_array_equal(found[2:7], table[2:7])
    assert "embedding_grad" not in kernels(model, x, y)


@pytest.mark.parametrize("make", [lambda: o.SGD(0.5), lambda: o.Adagrad(0.3),
                                  lambda: o.SGD(0.5, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)])
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_all_rows_by_rows_are_the_same_bits(make, backend, rng):
    table, (x, y) = rng.normal(size=(ROWS, WIDTH)).astype(np.float32), data(rng)
    with fastnn.backend(backend):
        model, found = fitted(make(), table, x, y, sparse=False)
        assert any(name.startswith("row_") for name in kernels(model, x, y))
        # a penalty of nothing stands in the way of an update by rows
        whole, want = fitted(make(), table, x, y, sparse=False, embeddings_regularizer=lambda w: 0.0 * ops.sum(w))
        assert not any(name.startswith("row_") for name in kernels(whole, x, y))
    np.testing.assert_array_equal(found, want)


def test_small_tables_and_other_rules_are_updated_whole(rng):
    x, y = data(rng, 9)
    for optimizer, rows in ((o.SGD(0.1), 9), (o.Adam(), ROWS), (o.SGD(0.1, momentum=0.5), ROWS),
                            (o.Adagrad(weight_decay=0.1), ROWS), (o.SGD(0.1, clipnorm=0.1), ROWS),
                            (o.SGD(0.1, gradient_accumulation_steps=2), ROWS)):
        model, _ = fitted(optimizer, rng.normal(size=(rows, WIDTH)), x, y, sparse=False, epochs=1)
        assert not any(name.startswith("row_") for name in kernels(model, x, y))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_lazy_adam_in_other_backends_and_on_any_number_of_threads(backend, rng):
    rows, x = 300, rng.integers(0, 290, (64, LENGTH))
    table, y = rng.normal(size=(rows, WIDTH)), rng.normal(size=(64, 1))
    given = (table, x, y, True)
    before = fastnn.get_num_threads()
    try:
        fastnn.set_num_threads(1)
        _, one = fitted(o.Adam(0.1), *given)
        fastnn.set_num_threads(2)
        np.testing.assert_array_equal(fitted(o.Adam(0.1), *given)[1], one)
    finally:
        fastnn.set_num_threads(before)
    with fastnn.backend(backend):
        np.testing.assert_allclose(fitted(o.Adam(0.1), *given)[1], one, atol=2e-5)


def test_what_lies_beside_the_table_is_trained_too(rng):
    x, y = data(rng)
    model = fastnn.Sequential([fastnn.Input((LENGTH,)), layers.Embedding(ROWS, WIDTH, sparse=True), layers.Dense(3),
                               layers.Flatten(), layers.Dense(1)])
    before = model.get_weights()
    model.compile(o.Adam(0.1), "mse")
    model.fit(x, y, batch_size=BATCH, verbose=0)
    changed = [np.abs(a - b).max(tuple(range(1, a.ndim))) > 0 for a, b in zip(before, model.get_weights())]
    assert np.flatnonzero(changed[0]).tolist() == sorted(set(x.ravel()))
    assert all(c.all() for c in changed[1:])
    assert model.optimizer.iterations == 4
    assert model.training_program(x, y, BATCH).diff(2, {"index": np.arange(2 * BATCH).reshape(2, BATCH)})


@pytest.mark.parametrize("optimizer,words", [
    (o.RMSprop(), "RMSprop has no update by rows"), (o.SGD(0.1, momentum=0.9), "momentum moves all rows"),
    (o.AdamW(), "weight decay moves all rows"), (o.Adam(amsgrad=True), "amsgrad"),
    (o.Adam(global_clipnorm=1.0), "gradients are clipped"),
    (o.Adam(gradient_accumulation_steps=2), "gradients are accumulated"),
])
def test_refusals(optimizer, words, rng):
    x, y = data(rng)
    with pytest.raises(ValueError, match=rf"table/embeddings is the table of an Embedding with sparse=True.*{words}"):
        fitted(optimizer, rng.normal(size=(ROWS, WIDTH)), x, y, sparse=True)


def test_more_refusals(rng):
    with pytest.raises(ValueError, match="embeddings_regularizer and sparse=True don't go together"):
        layers.Embedding(5, 2, embeddings_regularizer="l2", sparse=True)
    twice, tokens = layers.Embedding(ROWS, WIDTH, sparse=True), fastnn.Input((LENGTH,))
    x = twice(tokens) * twice(tokens + 1.0)
    model = fastnn.Model(tokens, layers.Dense(1)(layers.Flatten()(x)))
    model.compile(o.Adam(), "mse")
    given = rng.integers(0, 9, (BATCH, LENGTH)), rng.normal(size=(BATCH, 1))
    with pytest.raises(ValueError, match="the table is used more than once"):
        model.fit(*given, verbose=0)
    model.compile(o.SGD(), "mse")
    model.fit(*given, verbose=0)
    with pytest.raises(ValueError, match="its gradient is an array"):
        o.Adam().apply([np.zeros((ROWS, WIDTH))], [twice.embeddings])


def test_the_config_says_it():
    layer = layers.Embedding(5, 2, sparse=True)
    assert layers.Embedding.from_config(layer.get_config()).sparse
    assert "sparse" not in layers.Embedding(5, 2).get_config()
