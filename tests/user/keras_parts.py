"""More of `keras_programs`: losses, metrics, optimizers, what weights are made by, callbacks, data, functions."""

from __future__ import annotations

import numpy as np

from .keras_programs import filled, program, table

# ---------------------------------------------------------------------- losses and metrics

@program
def losses_by_class_and_function(keras):
    rng = np.random.default_rng(0)
    t, p = rng.integers(0, 2, (4, 3)).astype("float32"), rng.uniform(0.05, 0.95, (4, 3)).astype("float32")
    one_hot, labels = np.eye(3, dtype="float32")[[0, 2, 1, 1]], np.array([0, 2, 1, 1])
    found = {}
    for name in ("MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError",
                 "BinaryCrossentropy", "BinaryFocalCrossentropy", "CosineSimilarity", "Hinge", "SquaredHinge", "Huber",
                 "KLDivergence", "LogCosh", "Poisson", "Dice", "Tversky"):
        loss = getattr(keras.losses, name)()
        found[name] = loss(t, p)
        found[name + " weighted"] = getattr(keras.losses, name)(reduction="sum")(
            t, p, sample_weight=None if name in ("Dice", "Tversky") else [1.0, 0.0, 2.0, 0.5])
        assert keras.losses.deserialize(keras.losses.serialize(loss)).name == loss.name
    for name in ("CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"):
        found[name] = getattr(keras.losses, name)()(one_hot, p)
    found["smooth"] = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(one_hot, p)
    found["sparse"] = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)(labels, p)
    found["rows"] = keras.losses.sparse_categorical_crossentropy(labels, p)
    found["get"] = keras.losses.get("mse")(t, p) if callable(keras.losses.get("mse")) else 0
    found["f"] = keras.losses.mean_squared_error(t, p)
    found.pop("get")
    return found


@program
def own_loss(keras):
    x, _, t = table()

    def quartic(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(keras.ops.square(y_true - y_pred)), axis=-1)

    class Half(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.mean(keras.ops.square(y_pred - y_true), axis=-1) / 2

    found = {}
    for name, loss in (("function", quartic), ("class", Half(reduction="sum")), ("named", Half(name="half"))):
        model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
        model.compile(optimizer=keras.optimizers.SGD(0.001), loss=loss)
        found[name] = model.fit(x, t, epochs=2, batch_size=16, shuffle=False, verbose=0).history["loss"]
    return found


@program
def metrics_stand_alone(keras):
    m = keras.metrics
    t, p = np.array([[0], [1], [1], [0], [1]]), np.array([[0.1], [0.8], [0.3], [0.6], [0.9]])
    found = {}
    for metric in (m.BinaryAccuracy(), m.Precision(), m.Recall(), m.AUC(), m.TruePositives(), m.FalseNegatives(),
                   m.MeanSquaredError(), m.RootMeanSquaredError(), m.MeanAbsoluteError(), m.BinaryCrossentropy(),
                   m.Hinge(), m.Poisson(), m.R2Score(), m.CosineSimilarity(axis=0), m.LogCoshError(),
                   m.PrecisionAtRecall(0.5), m.SensitivityAtSpecificity(0.5)):
        metric.update_state(t, p)
        metric.update_state(t[:2], p[1:3])
        found[type(metric).__name__] = metric.result()
        metric.reset_state()
    one_hot, q = np.eye(3)[[0, 2, 1]], np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    for metric in (m.CategoricalAccuracy(), m.TopKCategoricalAccuracy(k=2), m.CategoricalCrossentropy(), m.F1Score(),
                   m.KLDivergence(), m.OneHotMeanIoU(num_classes=3)):
        metric.update_state(one_hot, q)
        found[type(metric).__name__] = metric.result()
    found["sparse"] = m.SparseCategoricalAccuracy()([0, 2, 1], q)
    found["iou"] = m.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])
    mean = m.Mean(name="loss")
    mean.update_state([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0])
    total = m.Sum()
    total.update_state([1.0, 3.0])
    found |= {"mean": mean.result(), "sum": total.result(), "name": mean.name}
    found["functions"] = m.categorical_accuracy(one_hot, q)
    found["b"] = m.binary_accuracy(t, p)
    return found


@program
def own_metric(keras):
    class BinaryTruePositives(keras.metrics.Metric):
        def __init__(self, name="binary_true_positives", **kwargs):
            super().__init__(name=name, **kwargs)
            self.true_positives = self.add_weight(name="tp", shape=(), initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            y_true = keras.ops.cast(y_true, "bool")
            y_pred = keras.ops.cast(keras.ops.greater(y_pred, 0.5), "bool")
            values = keras.ops.logical_and(keras.ops.equal(y_true, True), keras.ops.equal(y_pred, True))
            values = keras.ops.cast(values, self.dtype)
            if sample_weight is not None:
                values = keras.ops.multiply(values, keras.ops.cast(sample_weight, self.dtype))
            self.true_positives.assign(self.true_positives + keras.ops.sum(values))

        def result(self):
            return self.true_positives.value

        def reset_state(self):
            self.true_positives.assign(0)

    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")]))
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="binary_crossentropy",
                  metrics=[BinaryTruePositives(), "accuracy"])
    history = model.fit(x, (t > 0).astype("float32"), epochs=2, batch_size=16, shuffle=False, verbose=0)
    return {k: history.history[k] for k in sorted(history.history)}


@program
def metrics_by_string(keras):
    x, y, t = table()
    found = {}
    for loss, units, target, names in (
            ("mse", 1, t, ["mae", "mse", "RootMeanSquaredError", "mean_absolute_percentage_error"]),
            ("binary_crossentropy", 1, (t > 0) * 1.0, ["accuracy", "AUC", "Precision"]),
            ("sparse_categorical_crossentropy", 3, y, ["accuracy", "sparse_top_k_categorical_accuracy"]),
            ("categorical_crossentropy", 3, keras.utils.to_categorical(y, 3), ["acc", "categorical_crossentropy"])):
        last = {1: "sigmoid", 3: "softmax"}[units]
        model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation=last)]))
        model.compile("sgd", loss, metrics=names)
        logs = model.evaluate(x, target, verbose=0, return_dict=True)
        found |= {f"{loss} {k}": logs[k] for k in sorted(logs)}
    return found


# ---------------------------------------------------------------------- optimizers and schedules

@program
def optimizers_page(keras):
    x, _, t = table()
    found = {}
    o = keras.optimizers
    for optimizer in (o.SGD(0.05, momentum=0.9, nesterov=True), o.RMSprop(0.01, rho=0.8, momentum=0.5), o.Adam(0.01),
                      o.AdamW(0.01, weight_decay=0.1), o.Adagrad(0.1), o.Adadelta(1.0), o.Adamax(0.01), o.Nadam(0.01),
                      o.Ftrl(0.05), o.Lion(0.01), o.Adam(0.01, amsgrad=True, clipnorm=0.1), o.SGD(0.1, clipvalue=0.05),
                      o.SGD(0.1, global_clipnorm=0.2, weight_decay=0.01)):
        model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)]))
        model.compile(optimizer=optimizer, loss="mean_squared_error")
        loss = model.fit(x, t, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]
        found[f"{len(found)} {type(optimizer).__name__}"] = loss
        config = keras.optimizers.serialize(optimizer)
        assert type(keras.optimizers.deserialize(config)) is type(optimizer)
        assert int(optimizer.iterations) == 9
    return found


@program
def schedules_page(keras):
    s = keras.optimizers.schedules
    made = {
        "exponential": s.ExponentialDecay(1e-2, decay_steps=10, decay_rate=0.9),
        "staircase": s.ExponentialDecay(initial_learning_rate=0.1, decay_steps=4, decay_rate=0.96, staircase=True),
        "piecewise": s.PiecewiseConstantDecay([3, 8], [1.0, 0.5, 0.1]),
        "polynomial": s.PolynomialDecay(0.1, 20, 0.01, power=0.5),
        "inverse": s.InverseTimeDecay(0.1, 5, 0.5),
        "cosine": s.CosineDecay(0.1, 20, alpha=0.1, warmup_target=0.2, warmup_steps=5),
        "restarts": s.CosineDecayRestarts(0.1, 6),
    }
    found = {name: [float(schedule(step)) for step in range(25)] for name, schedule in made.items()}
    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=made["exponential"]), loss="mse")
    found["loss"] = model.fit(x, t, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]
    return found


@program
def own_schedule(keras):
    class MyLRSchedule(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self, initial_learning_rate):
            self.initial_learning_rate = initial_learning_rate

        def __call__(self, step):
            return self.initial_learning_rate / (step + 1)

        def get_config(self):
            return {"initial_learning_rate": self.initial_learning_rate}

    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=MyLRSchedule(0.1)), loss="mse")
    return {"loss": model.fit(x, t, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]}


# ---------------------------------------------------------------------- initializers, regularizers, constraints

@program
def initializers_page(keras):
    i = keras.initializers
    found = {"zeros": i.Zeros()((2, 3)), "ones": i.Ones()(shape=(2, 2)), "constant": i.Constant(3.0)((2, 2)),
             "identity": i.Identity(gain=2.0)((2, 2))}
    for made in (i.RandomNormal(mean=0.0, stddev=1.0, seed=1), i.RandomUniform(minval=0.0, maxval=1.0),
                 i.TruncatedNormal(), i.GlorotNormal(), i.GlorotUniform(), i.HeNormal(), i.HeUniform(), i.LecunNormal(),
                 i.LecunUniform(), i.Orthogonal(), i.VarianceScaling(scale=0.1, mode="fan_in", distribution="uniform"),
                 i.get("he_normal"), i.glorot_uniform(), i.he_uniform()):
        found[f"{len(found)} {type(made).__name__}"] = np.shape(made(shape=(4, 3)))
    orthogonal = np.asarray(i.Orthogonal()((5, 3)))
    found["orthogonal"] = orthogonal.T @ orthogonal

    def my_init(shape, dtype=None):
        return keras.ops.ones(shape, dtype=dtype) * 2

    layer = keras.layers.Dense(2, kernel_initializer=my_init, bias_initializer=i.Constant(0.5))
    found["own"] = layer(np.ones((1, 3)))
    return found


@program
def regularizers_page(keras):
    r = keras.regularizers
    w = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")
    found = {"l1": r.L1(0.01)(w), "l2": r.l2(0.02)(w), "both": r.L1L2(l1=0.01, l2=0.01)(w),
             "orthogonal": r.OrthogonalRegularizer(factor=0.01, mode="rows")(w), "string": r.get("l2")(w)}

    class L3(r.Regularizer):
        def __call__(self, x):
            return 0.1 * keras.ops.sum(keras.ops.absolute(x) * keras.ops.square(x))

    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(
        1, kernel_regularizer=L3(), bias_regularizer="l1", activity_regularizer=r.L1(0.01))]))
    model.compile("sgd", "mse")
    found["loss"] = model.fit(x, t, epochs=2, batch_size=16, shuffle=False, verbose=0).history["loss"]
    return found


@program
def constraints_page(keras):
    c = keras.constraints
    w = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")
    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(
        1, kernel_constraint=c.MaxNorm(0.5), bias_constraint="non_neg")]))
    model.compile("sgd", "mse")
    model.fit(x, t, epochs=2, batch_size=16, shuffle=False, verbose=0)
    return {"max": c.MaxNorm(2, axis=0)(w), "nonneg": c.NonNeg()(w), "unit": c.UnitNorm()(w),
            "minmax": c.MinMaxNorm(min_value=0.5, max_value=1.0, rate=0.5)(w), "w": model.get_weights()[0]}


@program
def activations_page(keras):
    a, x = keras.activations, np.linspace(-4, 4, 9).astype("float32").reshape(1, 9)
    names = ("relu", "sigmoid", "softmax", "softplus", "softsign", "tanh", "selu", "elu", "exponential", "leaky_relu",
             "relu6", "silu", "hard_silu", "gelu", "hard_sigmoid", "linear", "mish", "log_softmax", "celu",
             "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus", "squareplus", "log_sigmoid",
             "threshold")
    found = {n: getattr(a, n)(x) if n != "threshold" else a.threshold(x, 1.0, 0.5) for n in names}
    found["by name"] = a.get("swish")(x)
    found["glu"] = a.glu(x[:, :8])
    found["gelu tanh"] = a.gelu(x, approximate=True)
    assert a.serialize(a.relu) == "relu"
    found["back"] = a.deserialize("relu")(x)
    return found


# ---------------------------------------------------------------------- callbacks

@program
def own_callback(keras):
    said = []

    class CustomCallback(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            said.append("train " + " ".join(logs or {}))

        def on_epoch_begin(self, epoch, logs=None):
            said.append(f"epoch {epoch}")

        def on_epoch_end(self, epoch, logs=None):
            said.append(f"end {epoch} {' '.join(sorted(logs))}")

        def on_train_batch_end(self, batch, logs=None):
            said.append(f"batch {batch} {' '.join(sorted(logs))}")

        def on_test_batch_begin(self, batch, logs=None):
            said.append(f"test {batch}")

        def on_predict_batch_end(self, batch, logs=None):
            said.append(f"predict {batch} {' '.join(logs)}")

        def on_train_end(self, logs=None):
            said.append(f"over {' '.join(sorted(logs))}")

    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
    model.compile(optimizer=keras.optimizers.RMSprop(learning_rate=0.1), loss="mean_squared_error",
                  metrics=["mean_absolute_error"])
    model.fit(x, t, batch_size=24, epochs=2, verbose=0, validation_split=0.5, callbacks=[CustomCallback()])
    model.evaluate(x, t, batch_size=24, verbose=0, callbacks=[CustomCallback()])
    model.predict(x, batch_size=24, verbose=0, callbacks=[CustomCallback()])
    return {"said": said}


@program
def early_stopping_at_least_loss(keras):
    class EarlyStoppingAtMinLoss(keras.callbacks.Callback):
        def __init__(self, patience=0):
            super().__init__()
            self.patience, self.best_weights = patience, None

        def on_train_begin(self, logs=None):
            self.wait, self.stopped_epoch, self.best = 0, 0, np.inf

        def on_epoch_end(self, epoch, logs=None):
            current = logs.get("loss")
            if np.less(current, self.best):
                self.best, self.wait = current, 0
                self.best_weights = self.model.get_weights()
            else:
                self.wait += 1
                if self.wait >= self.patience:
                    self.stopped_epoch = epoch
                    self.model.stop_training = True
                    self.model.set_weights(self.best_weights)

    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=1.2), loss="mean_squared_error")
    history = model.fit(x, t, batch_size=12, epochs=30, shuffle=False, verbose=0, callbacks=[EarlyStoppingAtMinLoss()])
    return {"epochs": len(history.epoch), "loss": history.history["loss"]}


@program
def learning_rates_by_callbacks(keras):
    class CustomLearningRateScheduler(keras.callbacks.Callback):
        def __init__(self, schedule):
            super().__init__()
            self.schedule = schedule

        def on_epoch_begin(self, epoch, logs=None):
            lr = self.model.optimizer.learning_rate
            self.model.optimizer.learning_rate = self.schedule(epoch, float(lr))

    x, _, t = table()
    found = {}
    for name, callback in (
            ("own", CustomLearningRateScheduler(lambda epoch, lr: 0.05 if epoch < 2 else lr / 2)),
            ("scheduler", keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr if epoch < 2 else lr * 0.9)),
            ("plateau", keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.2, patience=1, min_delta=0.5,
                                                          min_lr=0.001))):
        model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
        model.compile(keras.optimizers.SGD(), loss="mse")
        history = model.fit(x, t, epochs=5, batch_size=24, shuffle=False, verbose=0, callbacks=[callback])
        found[name] = history.history["loss"]
        found[name + " rate"] = round(float(model.optimizer.learning_rate), 6)
    return found


@program
def ready_made_callbacks(keras):
    x, _, t = table()
    seen = []
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
    model.compile("adam", loss="mse")
    history = model.fit(x, t, epochs=4, verbose=0, shuffle=False, validation_data=(x, t), callbacks=[
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True, start_from_epoch=1),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(sorted(logs)))])
    return {"seen": seen, "val": history.history["val_loss"], "params": history.params["epochs"]}


# ---------------------------------------------------------------------- data

@program
def data_of_several_kinds(keras):
    x, y, t = table()
    found = {}

    def model():
        made = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]))
        made.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
        return made

    def batches():
        while True:
            for i in range(0, 48, 16):
                yield x[i : i + 16], y[i : i + 16]

    found["generator"] = model().fit(batches(), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]
    found["class"] = model().fit(x, y, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, epochs=2, batch_size=16, shuffle=False,
                                 verbose=0).history["accuracy"]
    weights = np.linspace(0, 2, 48)
    found["sample"] = model().fit(x, y, sample_weight=weights, epochs=2, batch_size=16, shuffle=False,
                                  verbose=0).history["loss"]
    one = model()
    found["batch"] = one.train_on_batch(x, y, return_dict=True)["loss"]
    found["test"] = one.test_on_batch(x, y, return_dict=True)["loss"]
    found["predict"] = one.predict_on_batch(x)
    found["steps"] = one.predict(x, batch_size=8, steps=2, verbose=0)
    return found


@program
def utilities(keras):
    u = keras.utils
    return {"cat": u.to_categorical([0, 2, 1], num_classes=4), "norm": u.normalize(np.array([[3.0, 4.0]])),
            "pad": u.pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2, padding="post"),
            "pad2": u.pad_sequences([[1], [2, 3]], value=9), "unpack": u.unpack_x_y_sample_weight((1, 2))[:2],
            "pack": u.pack_x_y_sample_weight(1, 2)}


@program
def operations(keras):
    ops = keras.ops
    a, b = np.arange(1.0, 7.0, dtype="float32").reshape(2, 3), np.ones((2, 3), "float32")
    return {"sum": ops.sum(a, axis=1), "matmul": ops.matmul(a, ops.transpose(b)), "where": ops.where(a > 2, a, b),
            "stack": ops.stack([a, b]), "max": ops.max(a), "argmax": ops.argmax(a, axis=1),
            "one": ops.one_hot([1, 0], 3), "clip": ops.clip(a, 2, 3), "lse": ops.logsumexp(a, axis=1),
            "norm": ops.norm(a), "expand": ops.shape(
                ops.expand_dims(a, 0)), "split": ops.split(a, 3, axis=1)[2], "softmax": ops.softmax(a),
            "eye": ops.eye(3), "arange": ops.arange(5), "any": ops.any(a > 5, axis=0), "cast": ops.cast(a, "int32"),
            "mean": ops.mean(a, axis=0, keepdims=True), "tile": ops.tile(a, (2, 1)), "full": ops.full((2,), 3.0),
            "std": ops.std(a), "pad": ops.pad(a, ((0, 1), (1, 0))), "prod": ops.prod(a, axis=0),
            "numpy": ops.convert_to_numpy(ops.convert_to_tensor([1.0, 2.0])), "dot": ops.dot(a[0], b[0]),
            "floor": ops.floor(a / 2), "rep": ops.repeat(a, 2, axis=0), "tri": ops.triu(ops.ones((3, 3)))}


@program
def functions_on_symbolic_tensors(keras):
    ops = keras.ops
    inputs = keras.Input((4,))
    x = ops.tanh(inputs) * 2.0 - 1.0
    x = ops.concatenate([x, ops.square(inputs)], axis=-1)
    x = ops.sum(x, axis=-1, keepdims=True) / 3.0
    model = keras.Model(inputs, ops.maximum(x, 0.0))
    return {"y": model(table()[0]), "shape": model.output_shape}


@program
def rates_and_variables(keras):
    v = keras.Variable(initializer=np.ones((2, 2)), name="v")
    w = keras.Variable(initializer="zeros", shape=(3,), dtype="float32", trainable=False)
    v.assign_add(np.ones((2, 2)))
    v.assign_sub(np.full((2, 2), 0.5))
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.learning_rate.assign(0.25)
    x, _, t = table()
    model = filled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
    model.compile(optimizer, "mse")
    scheduler = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.optimizer.learning_rate.assign(0.01 * (epoch + 1)))
    loss = model.fit(x, t, epochs=2, batch_size=16, shuffle=False, verbose=0, callbacks=[scheduler]).history["loss"]
    return {"v": v * 2.0, "w": w.numpy(), "loss": loss, "lr": float(optimizer.learning_rate),
            "dtype": model.layers[0].compute_dtype, "x": keras.config.floatx(), "tensor": keras.ops.is_tensor(x)}
