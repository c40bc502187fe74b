"""Attention layers beside Keras's: from the same weights the same results, over masks; dropout, files."""

import numpy as np
import pytest

import fastnn
from fastnn import layers


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


Q, V, K = normal(2, 5, 6), normal(2, 7, 4), normal(2, 7, 3)
SIDE = np.array([[1, 1, 1, 1, 0, 0, 0], [1] * 7], bool)
PAIRS = np.random.default_rng(3).random((2, 5, 7)) < 0.7
PAIRS[..., 0] = True


def compare(ours, theirs, *args, **kwargs):
    got, want = ours(*args, **kwargs), theirs(*args, **kwargs)
    for a, b in zip(got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,)):
        np.testing.assert_allclose(a, np.asarray(b), rtol=2e-5, atol=2e-5)


def same_weights(ours, theirs, *args):
    ours(*args), theirs(*args)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    weights = [normal(*w.shape, seed=i) if w.shape else w for i, w in enumerate(ours.get_weights())]
    ours.set_weights(weights), theirs.set_weights(weights)


CALLS = [{}, {"use_causal_mask": True}, {"value_mask": SIDE}, {"attention_mask": PAIRS},
         {"value_mask": SIDE, "attention_mask": PAIRS, "use_causal_mask": True},
         {"return_attention_scores": True, "use_causal_mask": True, "value_mask": SIDE},
         {"return_attention_scores": True, "attention_mask": PAIRS}]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of JAX's arrays in Keras
@pytest.mark.parametrize("name,arguments", [
    ("MultiHeadAttention", (2, 4)), ("MultiHeadAttention", {"num_heads": 3, "key_dim": 2, "output_shape": (2, 3)}),
    ("MultiHeadAttention", {"num_heads": 1, "key_dim": 5, "use_bias": False}), ("GroupQueryAttention", (4, 4, 2)),
    ("GroupQueryAttention", (4, 2, 1))], ids=str)
def test_heads_give_what_keras_gives(name, arguments):
    keras = pytest.importorskip("keras")
    given = {} if isinstance(arguments, tuple) else arguments
    places = arguments if isinstance(arguments, tuple) else ()
    ours, theirs = (getattr(where.layers, name)(*places, **given) for where in (fastnn, keras))
    same_weights(ours, theirs, Q, V, K)
    for call in CALLS:
        compare(ours, theirs, Q, V, K, **call)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name,arguments", [
    ("Attention", {}), ("Attention", {"use_scale": True}), ("Attention", {"score_mode": "concat", "use_scale": True}),
    ("AdditiveAttention", {}), ("AdditiveAttention", {"use_scale": False})], ids=str)
def test_attention_gives_what_keras_gives(name, arguments):
    keras = pytest.importorskip("keras")
    ours, theirs = (getattr(where.layers, name)(**arguments) for where in (fastnn, keras))
    key = normal(2, 7, 6)
    same_weights(ours, theirs, [Q, V, key])
    for call in ({}, {"use_causal_mask": True}, {"mask": [None, SIDE]}, {"return_attention_scores": True},
                 {"mask": [None, SIDE], "use_causal_mask": True, "return_attention_scores": True}):
        compare(ours, theirs, [Q, V, key], **call)


def test_gradients_with_masks_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    layer = layers.MultiHeadAttention(2, 4, value_dim=3)
    layer(Q, V, K)
    weights = [normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())]
    layer.set_weights(weights)
    upstream = normal(*Q.shape, seed=9)
    _, grads = fastnn.value_and_grad(lambda q, v, k, m, d: fastnn.ops.sum(layer(q, v, k, attention_mask=m) * d),
                                     layer.trainable_variables)(Q, V, K, PAIRS, upstream)
    leaves = [torch.tensor(w, requires_grad=True) for w in weights]
    qk, qb, kk, kb, vk, vb, ok, ob = leaves
    q, k, v = (torch.einsum("btf,fhd->bhtd", torch.tensor(x), w) + b[:, None] for x, w, b in (
        (Q, qk, qb), (K, kk, kb), (V, vk, vb)))
    y = f.scaled_dot_product_attention(q, k, v, attn_mask=torch.tensor(PAIRS)[:, None])
    ((torch.einsum("bhtd,hdf->btf", y, ok) + ob) * torch.tensor(upstream)).sum().backward()
    for got, leaf in zip(grads, leaves, strict=True):
        want = leaf.grad.numpy()
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5 * max(1, np.abs(want).max()))


def test_both_paths_agree_and_masked_queries_give_zeros():
    layer = layers.MultiHeadAttention(2, 4, use_bias=False)
    mask = np.array([[1, 1, 0, 1, 1], [1] * 5], bool)
    y = layer(Q, V, query_mask=mask, value_mask=SIDE)
    z, scores = layer(Q, V, query_mask=mask, value_mask=SIDE, return_attention_scores=True)
    assert not y[0, 2].any() and scores.shape == (2, 2, 5, 7)
    np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-6)
    nothing = layer(Q, V, value_mask=np.zeros((2, 7)), return_attention_scores=True)
    assert not nothing[0].any() and not nothing[1].any()


def test_dropout_is_on_in_training_alone_and_repeats():
    made = [layers.MultiHeadAttention(2, 4, dropout=0.5, seed=3, kernel_initializer="ones") for _ in "ab"]
    drawn = [layer(Q, V, training=True) for layer in made]
    np.testing.assert_array_equal(*drawn)
    assert not np.array_equal(drawn[0], made[0](Q, V))
    np.testing.assert_array_equal(made[0](Q, V), made[1](Q, V))


@pytest.mark.parametrize("call,words", [
    (dict(attention_mask=np.ones((2, 5, 6))), "attention_mask has the shape (2, 5, 6); (5, 7), (2, 5, 7) or (2, "),
    (dict(value_mask=np.ones((2, 5))), "value_mask has the shape (2, 5); (2, 7) is wanted"),
    (dict(query_mask=np.ones((2, 7))), "query_mask has the shape (2, 7); (2, 5) is wanted"),
    (dict(key=K[:, :6]), "as many keys as values")])
def test_masks_of_other_shapes_are_refused(call, words):
    layer = layers.MultiHeadAttention(2, 4, name="looker")
    with pytest.raises(ValueError) as error:
        layer(Q, V, **call)
    assert words in str(error.value) and "looker" in str(error.value) and not layer.built


@pytest.mark.parametrize("make,words", [
    (lambda: layers.MultiHeadAttention(0, 4), "num_heads is 0"),
    (lambda: layers.MultiHeadAttention(2, 4, dropout=1.0), "dropout is 1.0"),
    (lambda: layers.MultiHeadAttention(2, 4, attention_axes=(2,)), "only axis 1"),
    (lambda: layers.GroupQueryAttention(4, 3, 2), "3 heads of queries can't share 2 heads"),
    (lambda: layers.Attention(score_mode="dots"), "did you mean 'dot'"),
    (lambda: layers.TransformerEncoder(8, 2, dropout=-1), "rate is -1"),
    (lambda: layers.RotaryEmbedding(0.5), "max_wavelength is 0.5")])
def test_wrong_arguments_are_refused_when_it_is_made(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_model_of_tokens_learns_and_is_stored(tmp_path):
    fastnn.utils.set_random_seed(0)
    tokens = fastnn.Input((6,))
    x = layers.TokenAndPositionEmbedding(8, 6, 16)(tokens)
    x = layers.TransformerDecoder(32, 2, normalize_first=True)(x)
    model = fastnn.Model(tokens, layers.Dense(8)(x))
    model.compile(fastnn.optimizers.Adam(0.01), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = np.random.default_rng(0).integers(0, 8, (128, 6))
    target = (data + np.roll(data, 1, 1)) % 8  # what stands here and one step before
    target[:, 0] = 0
    losses = model.fit(data, target, epochs=40, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    changed = data.copy()
    changed[:, 4:] = 0
    np.testing.assert_array_equal(model.predict(data, verbose=0)[:, :4], model.predict(changed, verbose=0)[:, :4])
    model.save(tmp_path / "model.fastnn")
    again = fastnn.models.load_model(tmp_path / "model.fastnn")
    np.testing.assert_array_equal(model.predict(data, verbose=0), again.predict(data, verbose=0))


PADDED = np.array([[3, 1, 2, 0, 0], [4, 5, 6, 7, 8]])


def test_masks_of_tokens_reach_the_attention():
    tokens = fastnn.Input((None,))
    x = layers.Embedding(9, 8, mask_zero=True)(tokens)
    y = layers.MultiHeadAttention(2, 4)(x, x)
    model = fastnn.Model(tokens, y)
    embedding, attention = model.layers[1:]
    e = embedding(PADDED)
    want = attention(e, e, query_mask=PADDED != 0, value_mask=PADDED != 0)
    np.testing.assert_allclose(model.predict(PADDED, verbose=0), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["TransformerEncoder", "TransformerDecoder"])
def test_padding_changes_nothing(kind):
    tokens = fastnn.Input((None,))
    x = layers.TokenAndPositionEmbedding(9, 64, 8, mask_zero=True)(tokens)
    model = fastnn.Model(tokens, getattr(layers, kind)(16, 2)(x))
    long, short = (model.predict(t, verbose=0) for t in (PADDED[:1], PADDED[:1, :3]))
    np.testing.assert_allclose(long[:, :3], short, rtol=1e-5, atol=1e-6)
