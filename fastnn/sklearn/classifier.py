"""MLPClassifier."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from .. import losses
from .base import BaseMLP, validated


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that tells classes apart, with scikit-learn's parameters and more.

    Parameters
    ----------
    hidden_layer_sizes : sequence of ints, or one.
    activation : "identity", "logistic", "tanh", "relu" or another of `fastnn.activations`; or a list with one for each
        hidden layer.
    solver : "adam", "sgd", "lbfgs" (over all rows at once, for small data), or an optimizer of `fastnn.optimizers`,
        taken as a pattern.
    alpha : the penalty ``alpha / 2 / n * sum(w**2)``, n the rows of the batch.
    batch_size : int, or "auto" for ``min(200, rows)``.
    learning_rate : "constant", "invscaling" or "adaptive", for "sgd".
    learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum,
    nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun :
        as in scikit-learn.
    dropout : share of each hidden layer's outputs that training zeroes, or a list with one for each layer.
    class_weight : dict class -> weight, "balanced", or None.
    loss : a loss of `fastnn.losses` by name or object, or a function on tensors, in place of the cross-entropy.

    Attributes
    ----------
    classes_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, coefs_, intercepts_,
    n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_ : as in scikit-learn;
        ``coefs_`` and ``intercepts_`` are copies.
    model_ : the `fastnn.Sequential`.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 8)
    >>> y = np.array(["even", "odd", "odd", "even"] * 8)
    >>> net = MLPClassifier((16,), "tanh", learning_rate_init=0.05, max_iter=300, random_state=1).fit(X, y)
    >>> net.predict([[0.0, 1.0], [1.0, 1.0]])
    array(['odd', 'even'], dtype='<U4')
    """

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, solver="adam", alpha=0.0001, batch_size="auto",
                 learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=200, shuffle=True,
                 random_state=None, tol=1e-4, verbose=False, warm_start=False, momentum=0.9, nesterovs_momentum=True,
                 early_stopping=False, validation_fraction=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8,
                 n_iter_no_change=10, max_fun=15000, dropout=0.0, class_weight=None, loss=None):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.class_weight = class_weight
        self.loss = loss

    def _read(self, X, y, reset: bool, keep_classes: bool):
        X, y = validated(self, X, y, reset=reset, multi_output=True, dtype=[np.float32, np.float64])
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        several = type_of_target(y).startswith("multilabel")
        classes = np.arange(y.shape[1]) if several else np.unique(y)
        if not keep_classes:
            self.classes_, self._several = classes, several
        elif np.setdiff1d(classes, self.classes_).size:
            raise ValueError(f"y holds classes that the classifier was not made for: it knows {self.classes_}.")
        return X, y

    def _targets(self, y):
        if self._several:
            return y.astype(np.float32)
        labels = np.searchsorted(self.classes_, y)
        return labels.astype(np.float32)[:, None] if len(self.classes_) <= 2 else labels.astype(np.int32)

    def _weights(self, sample_weight, X, y):
        weights = super()._weights(sample_weight, X, y)
        if self.class_weight is None:
            return weights
        by_class = compute_sample_weight(self.class_weight, y).astype(np.float32)
        return by_class if weights is None else weights * by_class

    def _stratified(self, y) -> bool:
        return not self._several

    def _outputs(self, y) -> int:
        return len(self.classes_) if self._several or len(self.classes_) > 2 else 1

    def _last(self) -> str:
        return "logistic" if self._several or len(self.classes_) <= 2 else "softmax"

    def _loss(self, outputs: int) -> tuple[losses.Loss, float]:
        """The loss and its factor: scikit-learn adds up the losses of several labels."""
        if self.loss is not None:
            return losses.get(self.loss), 1.0
        if self._last() == "softmax":
            return losses.SparseCategoricalCrossentropy(), 1.0
        return losses.BinaryCrossentropy(), float(outputs)

    def _validation_score(self, X, y) -> float:
        return float(accuracy_score(y, self._labels(self._forward(X))))

    def _labels(self, p: np.ndarray) -> np.ndarray:
        if self._several:
            return (p > 0.5).astype(int)
        if p.shape[1] == 1:
            return self.classes_[np.minimum((p[:, 0] > 0.5).astype(int), len(self.classes_) - 1)]
        return self.classes_[p.argmax(1)]

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One epoch more on X and y; `classes` are all that will ever come, wanted at the first call."""
        self._check_parameters()
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if first:
            several = type_of_target(y).startswith("multilabel")
            self.classes_, self._several = np.unique(classes), several
        X, y = self._read(X, y, reset=first, keep_classes=True)
        weights = self._weights(sample_weight, X, y)
        return self._train(X, y, weights, None, epochs=1, go_on=not first, stops=False)

    def predict_proba(self, X) -> np.ndarray:
        """The probability of each class (of each label), (n, classes)."""
        p = self._forward(X)
        if self._several or p.shape[1] > 1:
            return p / p.sum(1, keepdims=True) if not self._several else p
        return np.hstack([1 - p, p]) if len(self.classes_) == 2 else np.ones_like(p)

    def predict_log_proba(self, X) -> np.ndarray:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X) -> np.ndarray:
        """The most probable class of each row."""
        check_is_fitted(self, "model_")
        return self._labels(self._forward(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
