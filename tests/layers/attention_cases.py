"""Layers of sequences for the table in `cases`: attention, positions, transformers."""

import numpy as np

from fastnn import layers

from .cases import Case, act

PAIR = [[(2, 3, 5), (2, 4, 6)], [(1, 1, 4), (1, 7, 4)], [(3, 17, 2), (3, 1, 3)]]
ALIKE = [[(2, 3, 5), (2, 4, 5)], [(1, 1, 4), (1, 7, 4)], [(2, 5, 3), (2, 4, 6), (2, 4, 3)]]


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def wide(v):
    return v.numpy().astype(np.float64)


def heads(layer, query, value, key=None, causal=False):
    """Attention with the weights of `layer`, whose heads may share keys."""
    def project(name, x):
        return np.einsum("btf,fhd->bhtd", x, wide(getattr(layer, f"{name}_kernel"))) + (
            wide(getattr(layer, f"{name}_bias"))[:, None] if layer.use_bias else 0)

    q, k, v = project("query", query), project("key", value if key is None else key), project("value", value)
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], 1) for x in (k, v))
    z = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1])
    if causal:
        z = np.where(np.tri(*z.shape[2:], dtype=bool), z, -np.inf)
    out = wide(layer.output_kernel)
    y = np.tensordot((softmax(z) @ v).transpose(0, 2, 1, 3), out, 2)
    return y + wide(layer.output_bias) if layer.use_bias else y


def multi_head(name, make, *, wrong=()):
    return Case(name, make, PAIR, lambda layer, training, *xs: heads(layer, *xs),
                [(None, [(2, 3, 5), (3, 4, 6)], "of one batch"), (None, (2, 3, 5), "a query and a value"),
                 (None, [(2, 3), (2, 3)], "(batch, steps, features)"),
                 ([(2, 3, 5), (2, 4, 6)], [(2, 3, 5), (2, 4, 7)], "was built for a key of width 6"), *wrong])


def dot(layer, training, query, value, key=None):
    return softmax(query @ (value if key is None else key).swapaxes(1, 2) * (
        wide(layer.scale) if layer.scale is not None else 1)) @ value


def concat(layer, training, query, value, key=None):
    z = np.tanh((query[:, :, None] + (value if key is None else key)[:, None]) * wide(layer.scale)).sum(-1)
    return softmax(z * wide(layer.concat_score_weight)) @ value


def additive(layer, training, query, value, key=None):
    z = np.tanh(query[:, :, None] + (value if key is None else key)[:, None])
    return softmax((z * (wide(layer.scale) if layer.use_scale else 1)).sum(-1)) @ value


UNFIT = [(None, [(2, 3, 5), (2, 4, 6)], "keys as wide as queries"), (None, (2, 3, 5), "takes a list"),
         (None, [(2, 3, 5), (1, 4, 5)], "of one batch"), (None, [(2, 5), (2, 5)], "(batch, steps, features)")]


def norm(layer, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.epsilon)
    return x * wide(layer.gamma) + wide(layer.beta)


def dense(layer, x, activation="linear"):
    return act(activation, x @ wide(layer.kernel) + wide(layer.bias))


def block(layer, x, activation, *parts):
    """Residual parts (normalisation, function) one after another, then the dense layers."""
    def feedforward(h):
        return dense(layer.feedforward_output, dense(layer.feedforward_intermediate, h, activation))

    for n, fn in (*parts, (layer.feedforward_layer_norm, feedforward)):
        x = x + fn(norm(n, x)) if layer.normalize_first else norm(n, x + fn(x))
    return x


def encoder(layer, training, x):
    return block(layer, x, "relu", (layer.self_attention_layer_norm, lambda h: heads(layer.self_attention, h, h)))


def decoder(layer, training, x, encoded=None):
    parts = [(layer.self_attention_layer_norm, lambda h: heads(layer.self_attention, h, h, causal=True))]
    if encoded is not None:
        parts.append((layer.cross_attention_layer_norm, lambda h: heads(layer.cross_attention, h, encoded)))
    return block(layer, x, "gelu", *parts)


def rotary(layer, training, x):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] / 100.0 ** (np.arange(half) / half)
    turn = np.exp(1j * angle).reshape(x.shape[1], *[1] * (x.ndim - 3), half)
    z = (x[..., :half] + 1j * x[..., half:]) * turn
    return np.concatenate([z.real, z.imag], -1)


def sines(layer, training, x):
    t, i = np.meshgrid(np.arange(x.shape[1]), np.arange(x.shape[2]), indexing="ij")
    angle = t / 10000.0 ** (2 * (i // 2) / x.shape[2])
    return np.broadcast_to(np.where(i % 2, np.cos(angle), np.sin(angle)), x.shape)


CASES = [
    multi_head("MultiHeadAttention", lambda **k: layers.MultiHeadAttention(2, 3, **k)),
    multi_head("MultiHeadAttention-widths", lambda **k: layers.MultiHeadAttention(
        3, 2, value_dim=5, output_shape=7, use_bias=False, **k)),
    multi_head("MultiHeadAttention-shape", lambda **k: layers.MultiHeadAttention(1, 4, output_shape=(2, 3), **k)),
    multi_head("GroupQueryAttention", lambda **k: layers.GroupQueryAttention(3, 4, 2, **k)),
    Case("Attention", lambda **k: layers.Attention(**k), ALIKE, dot, UNFIT),
    Case("Attention-scale", lambda **k: layers.Attention(use_scale=True, **k), ALIKE, dot, UNFIT),
    Case("Attention-concat", lambda **k: layers.Attention(use_scale=True, score_mode="concat", **k), ALIKE, concat,
         UNFIT),
    Case("AdditiveAttention", lambda **k: layers.AdditiveAttention(**k), ALIKE, additive, UNFIT),
    Case("AdditiveAttention-plain", lambda **k: layers.AdditiveAttention(use_scale=False, **k), ALIKE, additive),
    Case("TransformerEncoder", lambda **k: layers.TransformerEncoder(7, 2, **k), [(2, 3, 4), (1, 1, 6)], encoder,
         [(None, (2, 4), "(batch, steps, features)"), (None, (2, 3, 5), "2 heads can't share 5 features")],
         kinked=True),
    Case("TransformerEncoder-first", lambda **k: layers.TransformerEncoder(7, 2, normalize_first=True, **k),
         [(2, 3, 4)], encoder, kinked=True),
    Case("TransformerDecoder", lambda **k: layers.TransformerDecoder(7, 2, activation="gelu", **k),
         [(2, 3, 4)], decoder, [((2, 3, 4), [(2, 3, 4), (2, 3, 4)], "was built without an encoder; got one")]),
    Case("TransformerDecoder-crossed", lambda **k: layers.TransformerDecoder(7, 2, activation="gelu", **k),
         [[(2, 3, 4), (2, 5, 6)]], decoder),
    Case("TransformerDecoder-first", lambda **k: layers.TransformerDecoder(
        7, 2, activation="gelu", normalize_first=True, **k), [[(2, 3, 4), (2, 5, 6)]], decoder),
    Case("RotaryEmbedding", lambda **k: layers.RotaryEmbedding(100, **k), [(2, 3, 4), (2, 5, 3, 6)], rotary,
         [(None, (2, 3, 5), "an even number"), (None, (2, 4), "an even number")]),
    Case("SinePositionEncoding", lambda **k: layers.SinePositionEncoding(**k), [(2, 3, 5), (1, 4, 2)], sines,
         [(None, (2, 4), "(batch, steps, features)")]),
    Case("PositionEmbedding", lambda **k: layers.PositionEmbedding(4, **k), [(2, 3, 5), (1, 4, 2)],
         lambda layer, training, x: np.broadcast_to(wide(layer.position_embeddings)[: x.shape[1]], x.shape),
         [(None, (2, 5, 3), "at most 4 steps")]),
]
