"""Metrics that keep variables, metrics made of metrics, and layers that count."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics, ops
from fastnn.kernels.tables import native_available

BACKENDS = ("native", "numpy") if native_available() else ("numpy",)


@pytest.fixture(params=BACKENDS)
def backend(request):
    with fastnn.backend(request.param):
        yield request.param


def test_metrics_as_attributes_and_sample_weights(digits):
    x, y = digits

    class Weighted(fastnn.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(3, "softmax")
            self.mean, self.hits = metrics.Mean(name="mean"), metrics.SparseCategoricalAccuracy(name="hits")

        def call(self, x):
            return self.dense(x)

        def test_step(self, data):
            x, y, w = fastnn.utils.unpack_x_y_sample_weight(data)
            p = self(x)
            self.mean.update_state(losses.SparseCategoricalCrossentropy(reduction="none")(y, p), sample_weight=w)
            self.hits.update_state(y, p, w)
            return {m.name: m.result() for m in self.metrics[1:]}

    model = Weighted()
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert [m.name for m in model.metrics] == ["loss", "mean", "hits"]
    w = np.linspace(0, 1, len(y))
    found = model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    p = model.predict(x)
    own = -np.log(p[np.arange(len(y)), y])
    assert found["mean"] == pytest.approx(np.average(own, weights=w), rel=1e-4)
    assert found["hits"] == pytest.approx(np.average(p.argmax(1) == y, weights=w), rel=1e-5)
    assert model.mean.result() == found["mean"]


class TruePositives(metrics.Metric):
    """As in Keras's page on metrics."""

    def __init__(self, name="true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_variable(shape=(), initializer="zeros", name="tp")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.cast(y_true, "bool"), ops.cast(ops.greater(y_pred, 0.5), "bool")
        values = ops.cast(ops.logical_and(ops.equal(y_true, True), ops.equal(y_pred, True)), self.dtype)
        if sample_weight is not None:
            values = ops.multiply(values, ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1)))
        self.true_positives.assign(self.true_positives + ops.sum(values))

    def result(self):
        return self.true_positives


class Both(metrics.Metric):
    """A metric made of metrics."""

    def __init__(self, name="both"):
        super().__init__(name=name)
        self.precision, self.recall = metrics.Precision(), metrics.Recall()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.precision.update_state(y_true, y_pred, sample_weight)
        self.recall.update_state(y_true, y_pred, sample_weight)

    def result(self):
        p, r = self.precision.result(), self.recall.result()
        return 2 * p * r / (p + r + 1e-7)

    def reset_state(self):
        self.precision.reset_state()
        self.recall.reset_state()


def test_metrics_that_keep_variables(backend):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), (rng.random((50, 1)) > 0.4).astype(float)
    fastnn.utils.set_random_seed(0)
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1, "sigmoid")])
    wrapped = metrics.MeanMetricWrapper(lambda t, p: ops.mean(ops.abs(t - p), axis=-1), name="wrapped")
    model.compile("sgd", "mse", metrics=[TruePositives(), Both(), "mae", wrapped],
                  weighted_metrics=[TruePositives("weighted")])
    w = rng.uniform(size=50).astype(np.float32)
    for _ in range(2):  # each pass begins anew
        found = model.evaluate(x, y, batch_size=16, sample_weight=w, verbose=0, return_dict=True)
        p = model.predict(x, verbose=0) > 0.5
        assert list(found) == ["loss", "true_positives", "both", "mae", "wrapped", "weighted"]
        assert found["true_positives"] == (p & (y == 1)).sum()
        assert found["weighted"] == pytest.approx((p & (y == 1))[:, 0] @ w, rel=1e-5)
        precision, recall = y[p].mean(), p[y == 1].mean()
        assert found["both"] == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-5)
        assert found["wrapped"] == pytest.approx(found["mae"], rel=1e-6)
        model.set_weights([-v for v in model.get_weights()])
    history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0).history
    assert history["val_true_positives"][-1] == ((model.predict(x, verbose=0) > 0.5) & (y == 1)).sum()
    metric = TruePositives()
    metric.update_state(np.array([[1.0], [0.0], [1.0]]), np.array([[0.9], [0.8], [0.1]]))
    assert float(metric.result()) == 1
    metric.reset_state()
    assert float(metric.result()) == 0


def test_layers_that_count(backend):
    class Total(layers.Layer):
        def __init__(self, n):
            super().__init__()
            self.total = self.add_weight(initializer="zeros", shape=(n,), trainable=False)

        def call(self, inputs):
            self.total.assign_add(ops.sum(inputs, axis=0))
            return self.total

    layer = Total(2)
    assert layer(np.ones((2, 2))).tolist() == [2.0, 2.0]
    assert layer(np.ones((2, 2))).tolist() == [4.0, 4.0]
    assert len(layer.non_trainable_weights) == 1 and layer.trainable_weights == []
    layer.total.assign_sub([1, 1])
    assert layer.total.value.tolist() == [3, 3] and layer.total.numpy().tolist() == [3, 3]
