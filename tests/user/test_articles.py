"""The code of the articles on training deep networks, with only the import lines changed and small data of our own."""

# ruff: noqa: N806  (the names are those of the articles)

import numpy as np
import pytest

import fastnn


@pytest.fixture(autouse=True)
def seeded():
    fastnn.utils.set_random_seed(0)


@pytest.fixture
def images():
    """Pictures of 28 x 28 that show one of ten stripes: training, validation and test."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 260)
    x = rng.uniform(0, 0.3, (260, 28, 28))
    x[np.arange(260), 2 * y + 3] += 0.7
    return (x[:200], y[:200]), (x[200:], y[200:])


def test_initialisers_activations_and_batch_normalisation(images):
    (X_train, y_train), (X_valid, y_valid) = images
    from fastnn import keras

    model = keras.models.Sequential([
        keras.layers.Flatten(input_shape=[28, 28]),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(300, activation="relu", kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(10, activation="softmax")
    ])
    model.summary(print_fn=lambda text: None)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    history = model.fit(X_train, y_train, epochs=3, batch_size=32, validation_data=(X_valid, y_valid), verbose=0)
    assert sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.history["accuracy"][-1] > 0.6
    assert [(var.name, var.trainable) for var in model.layers[1].variables] == [
        ("gamma", True), ("beta", True), ("moving_mean", False), ("moving_variance", False)]


def test_batch_normalisation_before_the_activation(images):
    (X_train, y_train), _ = images
    import fastnn as tf

    model = tf.keras.models.Sequential()
    model.add(tf.keras.layers.Flatten(input_shape=[28, 28]))
    model.add(tf.keras.layers.Dense(30, kernel_initializer="he_normal", use_bias=False))
    model.add(tf.keras.layers.BatchNormalization())
    model.add(tf.keras.layers.Activation("elu"))
    model.add(tf.keras.layers.Dense(10, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer=tf.keras.optimizers.SGD(learning_rate=0.01),
                  metrics=["accuracy"])
    assert len(model.fit(X_train, y_train, epochs=2, verbose=0).epoch) == 2


@pytest.mark.parametrize("name", ("my_model_A", "my_model_A.keras", "my_model_A.h5"))
def test_transfer_learning(images, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (X_train_A, y_train_A), (X_valid_B, y_valid_B) = images
    y_valid_B = (y_valid_B > 4).astype(np.float32)
    X_train_B, y_train_B = X_train_A[:100], (y_train_A[:100] > 4).astype(np.float32)
    import fastnn as tf

    first = tf.keras.models.Sequential([tf.keras.layers.Flatten(input_shape=[28, 28]),
                                        tf.keras.layers.Dense(50, activation="selu"), tf.keras.layers.Dense(
                                            10, activation="softmax")])
    first.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    first.fit(X_train_A, y_train_A, epochs=3, verbose=0)
    first.save(name)

    model_A = tf.keras.models.load_model(name)
    model_B_on_A = tf.keras.models.Sequential(model_A.layers[:-1])
    model_B_on_A.add(tf.keras.layers.Dense(1, activation="sigmoid"))

    model_A_clone = tf.keras.models.clone_model(model_A)
    model_A_clone.set_weights(model_A.get_weights())

    for layer in model_B_on_A.layers[:-1]:
        layer.trainable = False

    optimizer = tf.keras.optimizers.SGD(learning_rate=0.001)
    model_B_on_A.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    history = model_B_on_A.fit(X_train_B, y_train_B, epochs=4, validation_data=(X_valid_B, y_valid_B), verbose=0)
    assert len(history.epoch) == 4
    np.testing.assert_array_equal(model_A.get_weights()[0], model_A_clone.get_weights()[0])

    for layer in model_B_on_A.layers[:-1]:
        layer.trainable = True

    optimizer = tf.keras.optimizers.SGD(learning_rate=0.001)
    model_B_on_A.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    history = model_B_on_A.fit(X_train_B, y_train_B, epochs=16, validation_data=(X_valid_B, y_valid_B), verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert (model_A.get_weights()[0] != model_A_clone.get_weights()[0]).any()  # the layers are shared
    assert len(model_B_on_A.evaluate(X_valid_B, y_valid_B, verbose=0)) == 2


@pytest.mark.parametrize("chosen", ("sgd", "adam", "rmsprop", "SGD", "RMSprop", "Adam"))
def test_optimizers_by_name(images, chosen):
    (X_train, y_train), _ = images
    from fastnn.layers import Dense, Flatten
    from fastnn.models import Sequential

    model = Sequential([Flatten(input_shape=(28, 28)), Dense(10, activation="softmax")])
    model.compile(optimizer=chosen, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    assert len(model.fit(X_train, y_train, epochs=1, batch_size=64, verbose=0).history["loss"]) == 1


def test_a_schedule(images):
    (X_train, y_train), (X_valid, y_valid) = images
    from fastnn import keras
    from fastnn.optimizers import SGD, Adam, RMSprop

    lr_schedule = keras.optimizers.schedules.ExponentialDecay(
        initial_learning_rate=1e-2,
        decay_steps=10000,
        decay_rate=0.9)
    optimizer = Adam(learning_rate=lr_schedule)
    model = keras.Sequential([keras.layers.Flatten(input_shape=(28, 28)), keras.layers.Dense(10, activation="softmax")])
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    model.fit(X_train, y_train, epochs=2, verbose=0)
    assert float(optimizer.learning_rate) == pytest.approx(1e-2 * 0.9 ** (14 / 10000))
    for optimizer in (SGD(learning_rate=0.01, momentum=0.9), SGD(learning_rate=0.01, momentum=0.9, nesterov=True),
                      RMSprop(learning_rate=0.001, rho=0.9), Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999)):
        model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer)
        model.fit(X_train, y_train, epochs=1, verbose=0)


def test_regularisation_and_initialisers_as_classes():
    from fastnn import Sequential, regularizers
    from fastnn.initializers import glorot_normal, he_normal
    from fastnn.layers import Dense, Dropout

    x = np.random.default_rng(0).normal(size=(60, 64))
    y = np.eye(10)[np.arange(60) % 10]
    model = Sequential()
    model.add(Dense(64, input_dim=64,
                    kernel_regularizer=regularizers.l2(0.01),
                    activity_regularizer=regularizers.l1(0.01)))
    model.add(Dropout(0.2))
    model.add(Dense(64, input_dim=64, kernel_initializer=glorot_normal))
    model.add(Dense(64, activation="relu", kernel_initializer=he_normal()))
    model.add(Dropout(0.5))
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x, y, epochs=5, batch_size=20, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_data_sets_of_batches(images):
    (X_train, y_train), (X_valid, y_valid) = images
    from fastnn import keras

    class Dataset:
        def __init__(self, x, y):
            self.x, self.y = x, y

        def __iter__(self):
            return ((self.x[i : i + 50], self.y[i : i + 50]) for i in range(0, len(self.x), 50))

    train_dataset, valid_dataset = Dataset(X_train, y_train), Dataset(X_valid, y_valid)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
    model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    history = model.fit(train_dataset, epochs=4, validation_data=valid_dataset, callbacks=[early], verbose=0)
    assert len(history.history["val_loss"]) == 4
