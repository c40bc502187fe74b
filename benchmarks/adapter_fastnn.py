"""fastnn for the peers' benchmark: whole training steps as `fastnn.models` runs them.

`fastnn` is what `fit` does (many steps in one native run over shuffled indices); `fastnn-numpy` is the
same program on the NumPy backend. The interface is that of the harness's template: PEERS, and
make(peer, workload, threads) -> run(steps) -> loss of the last step.
"""

from itertools import islice

import numpy as np

import fastnn
from fastnn import layers
from fastnn.program.graph import Graph
from fastnn.program.program import Program

PEERS = ("fastnn", "fastnn-numpy")
HE = dict(kernel_initializer="he_normal")
WORKLOADS = ("mlp_bn", "mlp_adam", "tabular", "deep_narrow", "cnn", "lstm", "gpt", "resnet", "autoencoder", "infer1",
             "adam10m", "mlp_wide")
LOSS = dict(tabular="mse", autoencoder=fastnn.losses.BinaryCrossentropy(from_logits=True))


def norm():
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def network(w):
    """The layers of a workload; logits come out."""
    if w.name == "gpt":
        from workloads import GPT

        return gpt(**GPT)
    if w.name in ("cnn", "resnet"):
        return images(w)
    if w.name == "lstm":
        return fastnn.Sequential([fastnn.Input((28, w.layers[0])), layers.LSTM(w.layers[1]), layers.Dense(w.layers[2])],
                                 name=w.name)
    model = fastnn.Sequential([fastnn.Input((w.layers[0],))], name=w.name)
    hidden, last = w.layers[1:-1], w.layers[-1]
    for width in hidden:
        if w.name == "mlp_bn":
            model.add(norm())
        if w.name == "deep_narrow":
            for layer in (layers.Dense(width, **HE), norm(), layers.Activation("elu")):
                model.add(layer)
        else:
            model.add(layers.Dense(width, "elu" if w.name == "tabular" else "relu", **HE))
        if w.name in ("mlp_adam", "mlp_wide"):
            model.add(layers.Dropout(0.2))
    if w.name == "mlp_bn":
        model.add(norm())
    model.add(layers.Dense(last, "softmax" if w.name == "infer1" else None, **HE))
    return model


def gpt(vocab, context, width, heads, blocks):
    """A decoder alone: pre-norm blocks, their two halves written out."""
    tokens = fastnn.Input((context,))
    x = layers.TokenAndPositionEmbedding(vocab, context, width, fastnn.initializers.RandomNormal(stddev=0.02))(tokens)
    for _ in range(blocks):
        h = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(h, h, use_causal_mask=True)])
        h = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.Dense(width)(layers.Dense(4 * width, "gelu")(h))])
    return fastnn.Model(tokens, layers.Dense(vocab)(layers.LayerNormalization(epsilon=1e-5)(x)), name="gpt")


def images(w):
    """The two networks of images; logits come out. PyTorch's moving averages, not Keras's, as the peers have them."""
    if w.name == "cnn":
        return fastnn.Sequential([
            fastnn.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Dropout(0.25), layers.Flatten(),
            layers.Dense(w.layers[1], "relu"), layers.Dropout(0.5), layers.Dense(w.layers[2])], name="cnn")
    model = fastnn.applications.ResNet8(classifier_activation=None)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum, layer.epsilon = 0.9, 1e-5
    return model


def optimizer(w):
    o = fastnn.optimizers
    return {"sgd": lambda: o.SGD(w.lr), "nesterov": lambda: o.SGD(w.lr, momentum=0.9, nesterov=True),
            "rmsprop": lambda: o.RMSprop(w.lr, rho=0.9), "none": lambda: "sgd",
            "adam": lambda: o.Adam(w.lr, epsilon=1e-8),
            "adamw": lambda: o.AdamW(w.lr, weight_decay=0.01, epsilon=1e-8)}[w.optimizer]()


def shaped(w, x, y):
    """The harness's rows of 784 pixels as the network of a workload wants them."""
    if w.name in ("cnn", "resnet", "lstm"):
        x = x.reshape(-1, 28, 28) if w.name == "lstm" else x.reshape(-1, 28, 28, 1)
    return x, y


def make(peer, w, threads):
    if w.name not in WORKLOADS:
        return None
    from workloads import batches, data

    fastnn.set_num_threads(threads)
    fastnn.set_backend("numpy" if peer == "fastnn-numpy" else "native")
    fastnn.utils.set_random_seed(0)
    x, y = shaped(w, *data(w))
    if w.name == "adam10m":
        return optimizer_only(w, x)
    model = network(w)
    if w.name == "infer1":
        return infer(model, x)
    loss = LOSS.get(w.name, fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.compile(optimizer(w), loss)
    program = model.training_program(x, y, w.batch)
    stream = batches(len(x), w.batch)

    def run(n):
        index = np.concatenate(list(islice(stream, n))).reshape(n, w.batch)
        losses, done = np.zeros(n, np.float32), 0
        while done < n:
            done += program.run(n - done, {"index": index}, {"loss": losses}, offset=done)
        return float(losses[-1])
    return run


def infer(model, x):
    def run(n):
        for i in range(n):
            p = model.predict_on_batch(x[i % 1000:i % 1000 + 1])
        return float(-np.log(p.max()))
    return run


def optimizer_only(w, grads):
    variables = [fastnn.Variable(0.1 * g, name=f"w{i}") for i, g in enumerate(grads)]
    rule = optimizer(w)
    rule.build(variables)
    graph = Graph("adam10m")
    rule.apply([graph.constant(g) for g in grads], variables)
    program = Program(graph)

    def run(n):
        done = 0
        while done < n:
            done += program.run(n - done)
        return float(variables[0].array[0])
    return run
