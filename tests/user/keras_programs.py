"""Small programs in Keras's vocabulary, each a function of the module that they import: `fastnn` or `keras`.

What one returns (a dict of numbers and arrays) is the same for both. Weights are set by `filled`, so that nothing
depends on how either draws numbers.
"""

from __future__ import annotations

import numpy as np

PROGRAMS = []


def program(fn):
    PROGRAMS.append(fn)
    return fn


def filled(model):
    """The model with weights that follow from their sizes; variances are positive."""
    names = [getattr(v, "path", v.name).rsplit("/", 1)[-1] for v in model.weights]
    weights = []
    for k, (name, w) in enumerate(zip(names, model.get_weights())):
        value = 0.4 * np.cos(1.7 * np.arange(w.size) + k).reshape(w.shape)
        weights.append(np.abs(value) + 0.5 if "variance" in name or "gamma" in name else value)
    model.set_weights(weights)
    return model


def table(n=48, features=4, classes=3):
    """Rows, class numbers, and a number for each row."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(n, features)).astype("float32")
    y = (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0.5)
    return x, np.minimum(y, classes - 1), (x @ np.linspace(-1, 1, features)).astype("float32")[:, None]


# ---------------------------------------------------------------------- models

@program
def sequential_guide(keras):
    layers = keras.layers
    model = keras.Sequential(name="my_sequential")
    model.add(keras.Input(shape=(4,)))
    model.add(layers.Dense(2, activation="relu", name="layer1"))
    model.add(layers.Dense(3, activation="relu", name="layer2"))
    model.add(layers.Dense(4, name="layer3"))
    names = [layer.name for layer in model.layers]
    model.pop()
    filled(model)
    x = np.ones((3, 4))
    extractor = keras.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
    features = extractor.predict(x, verbose=0)
    one = keras.Model(inputs=model.inputs, outputs=model.get_layer(name="layer1").output)
    return {"names": names, "n": len(model.weights), "y": model(x), "first": features[0], "second": features[1],
            "one": one(x), "shape": model.output_shape}


@program
def delayed_build(keras):
    model = keras.Sequential([keras.layers.Dense(2, activation="relu"), keras.layers.Dense(4)])
    assert not model.built
    model(np.ones((1, 4)))
    assert model.built
    return {"n": len(model.weights), "params": model.count_params(), "y": filled(model)(np.ones((2, 4)))}


@program
def functional_guide(keras):
    layers = keras.layers
    x, y, _ = table()
    inputs = keras.Input(shape=(4,), name="numbers")
    h = layers.Dense(8, activation="relu")(inputs)
    h = layers.Dense(8, activation="relu")(h)
    outputs = layers.Dense(3)(h)
    model = filled(keras.Model(inputs=inputs, outputs=outputs, name="numbers_model"))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  optimizer=keras.optimizers.RMSprop(), metrics=["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=2, validation_split=0.25, shuffle=False, verbose=0)
    scores = model.evaluate(x, y, verbose=0)
    return {"name": model.name, "loss": history.history["loss"], "val": history.history["val_accuracy"],
            "scores": scores, "params": model.count_params(), "keys": sorted(history.history)}


@program
def shared_encoder_and_decoder(keras):
    layers = keras.layers
    x, _, _ = table()
    encoder_input = keras.Input(shape=(4,), name="data")
    code = layers.Dense(2, activation="tanh")(encoder_input)
    encoder = keras.Model(encoder_input, code, name="encoder")
    decoder_input = keras.Input(shape=(2,), name="code")
    decoder = keras.Model(decoder_input, layers.Dense(4)(decoder_input), name="decoder")
    autoencoder_input = keras.Input(shape=(4,), name="again")
    autoencoder = keras.Model(autoencoder_input, decoder(encoder(autoencoder_input)), name="autoencoder")
    filled(autoencoder).compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    loss = autoencoder.fit(x, x, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]
    names = [layer.name for layer in autoencoder.layers]
    return {"loss": loss, "code": encoder.predict(x, verbose=0), "names": names[1:]}


@program
def ensemble(keras):
    def get_model():
        inputs = keras.Input(shape=(4,))
        return filled(keras.Model(inputs, keras.layers.Dense(1)(inputs)))

    model1, model2 = get_model(), get_model()
    inputs = keras.Input(shape=(4,))
    outputs = keras.layers.add([model1(inputs), model2(inputs)])
    return {"y": keras.Model(inputs=inputs, outputs=outputs)(np.eye(4))}


@program
def several_inputs_and_outputs(keras):
    layers = keras.layers
    x, y, t = table()
    title, body = keras.Input(shape=(4,), name="title"), keras.Input(shape=(4,), name="body")
    h = layers.concatenate([layers.Dense(3, "relu")(title), layers.Dense(3, "tanh")(body)])
    priority = layers.Dense(1, name="priority")(h)
    department = layers.Dense(3, name="department")(h)
    model = filled(keras.Model(inputs=[title, body], outputs={"priority": priority, "department": department}))
    model.compile(optimizer=keras.optimizers.RMSprop(1e-3),
                  loss={"priority": keras.losses.BinaryCrossentropy(from_logits=True),
                        "department": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
                  loss_weights={"priority": 1.0, "department": 0.2})
    history = model.fit({"title": x, "body": x[::-1].copy()},
                        {"priority": (t > 0).astype("float32"), "department": y},
                        epochs=2, batch_size=12, shuffle=False, verbose=0)
    return {"loss": history.history["loss"]}


@program
def residual_toy(keras):
    layers = keras.layers
    inputs = keras.Input(shape=(4,))
    x = layers.Dense(6, activation="relu")(inputs)
    block = layers.add([layers.Dense(6, activation="relu")(x), x])
    block = layers.Dense(6, activation="relu")(block) + block
    model = filled(keras.Model(inputs, layers.Dense(3)(block), name="toy"))
    return {"y": model.predict(table()[0], verbose=0), "layers": len(model.weights)}


@program
def subclassed_model(keras):
    class MyModel(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense1 = keras.layers.Dense(32, activation="relu")
            self.dense2 = keras.layers.Dense(5, activation="softmax")
            self.dropout = keras.layers.Dropout(0.5)

        def call(self, inputs, training=False):
            x = self.dense1(inputs)
            x = self.dropout(x, training=training)
            return self.dense2(x)

    model = MyModel()
    model(np.ones((1, 4)))
    return {"y": filled(model)(np.eye(4)), "n": len(model.trainable_variables)}


@program
def config_round_trip(keras):
    inputs = keras.Input(shape=(4,))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="relu", kernel_regularizer="l2")(inputs))
    again = keras.Model.from_config(model.get_config())
    stack = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    same = keras.Sequential.from_config(stack.get_config())
    json = keras.models.model_from_json(model.to_json())
    layer = keras.layers.Dense(3, activation="relu")
    config = layer.get_config()
    again_layer = keras.layers.Dense.from_config(config)
    return {"y": filled(again)(np.eye(4)), "s": filled(same)(np.eye(3)), "j": filled(json)(np.eye(4)),
            "units": [config["units"], again_layer.units], "activation": config["activation"],
            "bias": config["use_bias"], "l": keras.layers.deserialize(keras.layers.serialize(layer)).units}


@program
def clone_and_set_weights(keras):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    filled(model)
    new = keras.models.clone_model(model)
    new.set_weights(model.get_weights())

    def relu_instead(layer):
        config = layer.get_config()
        if "activation" in config:
            config["activation"] = "relu"
        return layer.__class__.from_config(config)

    other = keras.models.clone_model(model, clone_function=relu_instead)
    other.set_weights(model.get_weights())
    return {"y": new(np.eye(4)), "relu": other(np.eye(4)), "names": len(new.layers)}


@program
def summary_to_text(keras):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="only")])
    lines = []
    model.summary(print_fn=lambda text, *args, **kwargs: lines.append(text))
    model.summary(line_length=90, show_trainable=True, expand_nested=True,
                  print_fn=lambda text, **_: lines.append(text))
    return {"named": all("only (Dense)" in text for text in lines)}


# ---------------------------------------------------------------------- transfer learning

@program
def transfer_guide_trainable(keras):
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    counts = [len(layer.weights), len(layer.trainable_weights), len(layer.non_trainable_weights)]
    norm = keras.layers.BatchNormalization()
    norm.build((None, 4))
    counts += [len(norm.weights), len(norm.trainable_weights), len(norm.non_trainable_weights)]
    layer.trainable = False
    counts += [len(layer.trainable_weights), len(layer.non_trainable_weights)]
    inner = keras.Sequential([keras.Input(shape=(3,)), keras.layers.Dense(3, activation="relu"),
                              keras.layers.Dense(3, activation="relu")])
    model = keras.Sequential([keras.Input(shape=(3,)), inner, keras.layers.Dense(3, activation="sigmoid")])
    model.trainable = False
    assert inner.trainable is False and inner.layers[0].trainable is False
    return {"counts": counts}


@program
def freezing_one_layer(keras):
    x, _, t = table(features=3)
    layer1, layer2 = keras.layers.Dense(3, activation="relu"), keras.layers.Dense(3, activation="sigmoid")
    model = filled(keras.Sequential([keras.Input(shape=(3,)), layer1, layer2]))
    layer1.trainable = False
    initial = layer1.get_weights()
    model.compile(optimizer="adam", loss="mse")
    model.fit(x, np.repeat(t, 3, 1), epochs=2, batch_size=16, shuffle=False, verbose=0)
    assert all((a == b).all() for a, b in zip(initial, layer1.get_weights()))
    return {"weights": layer2.get_weights()[0]}


@program
def fine_tuning(keras):
    x, _, t = table()
    base_model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, activation="relu"),
                                          keras.layers.BatchNormalization()], name="base"))
    base_model.trainable = False
    inputs = keras.Input(shape=(4,))
    h = base_model(inputs, training=False)
    outputs = keras.layers.Dense(1)(h)
    model = keras.Model(inputs, outputs)
    model.layers[-1].set_weights([0.1 * np.ones((6, 1)), np.zeros(1)])
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=keras.losses.MeanSquaredError(),
                  metrics=[keras.metrics.MeanAbsoluteError()])
    first = model.fit(x, t, epochs=2, batch_size=16, shuffle=False, verbose=0).history
    base_model.trainable = True
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.MeanSquaredError(),
                  metrics=[keras.metrics.MeanAbsoluteError()])
    # What `training=False` means from here on Keras's guide and its code see differently: see the tests.
    return {"first": first["loss"], "mae": first["mean_absolute_error"], "n": len(model.trainable_variables)}


# ---------------------------------------------------------------------- layers

@program
def core_and_activation_layers(keras):
    layers, x = keras.layers, np.linspace(-3, 3, 12).reshape(3, 4).astype("float32")
    made = [layers.Activation("relu"), layers.Activation(keras.activations.sigmoid), layers.ReLU(), layers.ReLU(6.0),
            layers.LeakyReLU(negative_slope=0.5), layers.ELU(), layers.Softmax(), layers.Softmax(axis=1),
            layers.ReLU(max_value=2, negative_slope=0.1, threshold=0.5), layers.PReLU(alpha_initializer="ones"),
            layers.Flatten(), layers.Reshape((2, 2)), layers.Rescaling(1 / 3, offset=1.0),
            layers.LayerNormalization(), layers.RMSNormalization(), layers.UnitNormalization(),
            layers.BatchNormalization(), layers.GroupNormalization(groups=2), layers.Dropout(0.5),
            layers.GaussianNoise(0.1), layers.ActivityRegularization(l1=0.1)]
    return {f"{i} {type(layer).__name__}": layer(x) for i, layer in enumerate(made)}


@program
def softmax_with_a_mask(keras):
    x = np.array([[1.0, 2.0, 1.0], [0.0, 3.0, 1.0]], "float32")
    mask = np.array([[True, False, True], [True, True, True]])
    return {"y": keras.layers.Softmax()(x, mask), "shape": keras.layers.Softmax().compute_output_shape((None, 3))}


@program
def merging_layers(keras):
    a, b = np.arange(6.0).reshape(2, 3).astype("float32"), np.ones((2, 3), "float32")
    return {"add": keras.layers.Add()([a, b]), "concat": keras.layers.Concatenate(axis=1)([a, b]),
            "f": keras.layers.add([a, b, b])}


@program
def normalization_adapts(keras):
    x = table()[0]
    layer = keras.layers.Normalization()
    layer.adapt(x)
    fixed = keras.layers.Normalization(mean=1.0, variance=4.0)
    inverse = keras.layers.Normalization(mean=2.0, variance=2.0, invert=True)
    return {"y": layer(x), "fixed": fixed(x), "inverse": inverse(x)}


@program
def batch_normalization_in_training(keras):
    x = table()[0]
    layer = keras.layers.BatchNormalization(momentum=0.9)
    layer.build((None, 4))
    y = layer(x, training=True)
    return {"y": y, "again": layer(x, training=False), "moving": layer.get_weights()[2]}


@program
def own_layers_guide(keras):
    class Linear(keras.layers.Layer):
        def __init__(self, units=32, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True)
            self.b = self.add_weight(shape=(self.units,), initializer="random_normal", trainable=True)

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.w) + self.b

        def get_config(self):
            config = super().get_config()
            config.update({"units": self.units})
            return config

    class MLPBlock(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.linear_1, self.linear_2, self.linear_3 = Linear(4), Linear(4), Linear(1)

        def call(self, inputs):
            x = keras.activations.relu(self.linear_1(inputs))
            x = keras.activations.relu(self.linear_2(x))
            return self.linear_3(x)

    block = MLPBlock()
    y = block(np.ones((3, 6)))
    layer = Linear(64, name="own")
    again = Linear.from_config(layer.get_config())
    y = filled(block)(np.ones((3, 6)))
    return {"y": y, "weights": len(block.weights), "units": again.units, "name": again.name}


@program
def own_layer_with_a_loss(keras):
    class ActivityRegularizationLayer(keras.layers.Layer):
        def __init__(self, rate=1e-2):
            super().__init__()
            self.rate = rate

        def call(self, inputs):
            self.add_loss(self.rate * keras.ops.mean(inputs))
            return inputs

    x, _, t = table()
    inputs = keras.Input(shape=(4,))
    outputs = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(1e-3))(ActivityRegularizationLayer(0.1)(
        inputs))
    model = filled(keras.Model(inputs, outputs))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    return {"loss": model.fit(x, t, epochs=2, batch_size=16, shuffle=False, verbose=0).history["loss"],
            "w": model.get_weights()[0], "e": model.evaluate(x, t, verbose=0)}


@program
def own_layer_in_training_and_not(keras):
    class Shift(keras.layers.Layer):
        def call(self, inputs, training=None):
            return inputs + 1.0 if training else inputs

    layer, x = Shift(), np.zeros((2, 2))
    model = keras.Sequential([keras.Input((2,)), layer])
    return {"a": layer(x), "b": layer(x, training=True), "m": model(x, training=True), "p": model.predict(x, verbose=0)}


def plain(value):
    """Numbers, arrays and lists of them as NumPy; text, and shapes with None, as lists."""
    if isinstance(value, str) or isinstance(value, list | tuple) and value and isinstance(value[0], str | list):
        return value
    if isinstance(value, list | tuple) and any(v is None for v in value):
        return list(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value, float)
