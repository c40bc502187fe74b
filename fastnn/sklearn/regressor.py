"""MLPRegressor."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d

from .. import losses, ops
from .base import BaseMLP, validated


class HalfSquaredError(losses.Loss):
    """``(y_true - y_pred)**2 / 2``, whose gradients scikit-learn adds up over outputs (and reports their mean)."""

    def call(self, y_true, y_pred):
        return ops.sum(ops.square(y_true - y_pred), axis=-1) * 0.5


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron for numbers, with scikit-learn's parameters and more.

    Parameters
    ----------
    loss : "squared_error" (halved and, as scikit-learn's gradients are, added up over outputs), or a loss of
        `fastnn.losses` by name or object, or a function on tensors.
    others : as for `MLPClassifier`.

    Attributes
    ----------
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, coefs_, intercepts_,
    n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_, model_ : as for `MLPClassifier`.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> net = MLPRegressor(hidden_layer_sizes=(32,), activation="tanh", learning_rate_init=0.02, max_iter=500,
    ...                    random_state=0).fit(X, X[:, 0] ** 2)
    >>> bool(net.score(X, X[:, 0] ** 2) > 0.95)
    True
    """

    def __init__(self, loss="squared_error", hidden_layer_sizes=(100,), activation="relu", *, solver="adam",
                 alpha=0.0001, batch_size="auto", learning_rate="constant", learning_rate_init=0.001, power_t=0.5,
                 max_iter=200, shuffle=True, random_state=None, tol=1e-4, verbose=False, warm_start=False,
                 momentum=0.9, nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1, beta_1=0.9,
                 beta_2=0.999, epsilon=1e-8, n_iter_no_change=10, max_fun=15000, dropout=0.0):
        self.loss = loss
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

    def _read(self, X, y, reset: bool, keep_classes: bool):
        X, y = validated(self, X, y, reset=reset, multi_output=True, y_numeric=True, dtype=[np.float32, np.float64])
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _targets(self, y):
        return np.asarray(y, np.float32).reshape(len(y), -1)

    def _stratified(self, y) -> bool:
        return False

    def _outputs(self, y) -> int:
        return 1 if y.ndim == 1 else y.shape[1]

    def _last(self) -> str:
        return "identity"

    def _loss(self, outputs: int) -> tuple[losses.Loss, float]:
        return (HalfSquaredError() if self.loss == "squared_error" else losses.get(self.loss)), 1.0

    def _validation_score(self, X, y) -> float:
        return float(r2_score(y, self.predict(X)))

    def partial_fit(self, X, y, sample_weight=None):
        """One epoch more on X and y."""
        self._check_parameters()
        first = not hasattr(self, "model_")
        X, y = self._read(X, y, reset=first, keep_classes=True)
        return self._train(X, y, self._weights(sample_weight, X, y), None, epochs=1, go_on=not first, stops=False)

    def predict(self, X) -> np.ndarray:
        """The numbers for each row."""
        y = self._forward(X)
        return y[:, 0] if y.shape[1] == 1 else y
