"""What the two estimators share: parameters, fitting, persistence."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from .. import files
from ..models.saving import from_bytes
from . import network

BATCH = 64  #: rows of a prediction; always as many, so that a row's result does not depend on the others


def validated(estimator, X, *args, **more):
    """``validate_data`` of scikit-learn 1.6, or the method that it was before."""
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:
        return estimator._validate_data(X, *args, **more)
    return validate_data(estimator, X, *args, **more)


class BaseMLP(BaseEstimator):
    """Parameters, training and persistence of `MLPClassifier` and `MLPRegressor`."""

    def _check_parameters(self) -> None:
        wants = (("alpha", 0, None), ("learning_rate_init", 0, None), ("tol", 0, None), ("momentum", 0, 1),
                 ("beta_1", 0, 1), ("beta_2", 0, 1), ("epsilon", 0, None), ("validation_fraction", 0, 1))
        for name, least, below in wants:
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not value >= least or (below and not value <= below):
                more = f" and at most {below}" if below else ""
                raise ValueError(f"{name} must be a number of at least {least}{more}, got {value!r}.")
        for name in ("max_iter", "max_fun", "n_iter_no_change"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
        if self.learning_rate not in ("constant", "invscaling", "adaptive"):
            raise ValueError("learning_rate must be 'constant', 'invscaling' or 'adaptive', got "
                             f"{self.learning_rate!r}.")

    # ------------------------------------------------------------------ fitting

    def fit(self, X, y, sample_weight=None, validation_data=None):
        """Train on X and y.

        Parameters
        ----------
        X : array-like (n, features). y : targets.
        sample_weight : array-like (n,), or None.
        validation_data : (X, y) to stop by, which then are not cut from the training data; early stopping is on.
        """
        self._check_parameters()
        go_on = bool(self.warm_start) and hasattr(self, "model_")
        X, y = self._read(X, y, reset=True, keep_classes=go_on)
        weights = self._weights(sample_weight, X, y)
        return self._train(X, y, weights, validation_data, epochs=self.max_iter, go_on=go_on)

    def _begin(self, X, y) -> None:
        random = check_random_state(self.random_state)
        entropy = [int(n) for n in random.randint(0, 2**31 - 1, size=4)]
        self._seed = np.random.SeedSequence(entropy)
        self._random = random
        self.model_ = network.build(self, X.shape[1], self._outputs(y), self._last(), self._seed.spawn(1)[0])
        self.n_iter_, self.t_, self.loss_curve_ = 0, 0, []
        self._optimize()

    def _optimize(self) -> None:
        kernels = [layer.kernel for layer in self._dense()]
        loss, factor = self._loss(kernels[-1].shape[1])
        self.model_.compile(network.optimizer(self), network.Penalized(loss, kernels, self.alpha, factor))

    def _dense(self) -> list:
        return [layer for layer in self.model_.layers if hasattr(layer, "kernel")]

    def _train(self, X, y, weights, validation_data, epochs: int, go_on: bool, stops: bool = True):
        held, score = None, None
        if not go_on:
            self._begin(X, y)
        if isinstance(self.solver, str) and self.solver == "lbfgs":
            if not stops:
                raise ValueError("partial_fit takes steps, and solver='lbfgs' has none: use 'adam' or 'sgd'.")
            return self._minimize(X, y, weights, validation_data)
        if stops and validation_data is not None:
            held = self._read(*validation_data, reset=False, keep_classes=True)
        elif stops and self.early_stopping:
            parts = [X, y] if weights is None else [X, y, weights]
            stratify = y if self._stratified(y) else None
            split = train_test_split(*parts, random_state=self._random, test_size=self.validation_fraction,
                                     stratify=stratify)
            held, X, y = (split[1], split[3]), split[0], split[2]
            weights = None if weights is None else split[4]
        if stops:
            self.best_loss_, self.validation_scores_, self.best_validation_score_ = np.inf, None, None
        if held is not None:
            self.best_loss_, self.validation_scores_, self.best_validation_score_ = None, [], -np.inf
            score = lambda: self._validation_score(*held)  # noqa: E731
        size = min(200, len(X)) if self.batch_size == "auto" else min(int(self.batch_size), len(X))
        watch = network.Watch(self, len(X), score)
        if not stops:
            watch._count = lambda e: None
        self.n_iter_ = 0  # as in scikit-learn: of this call, while t_ and loss_curve_ go on
        self.model_.fit(X, self._targets(y), batch_size=size, epochs=epochs, shuffle=bool(self.shuffle), verbose=0,
                        sample_weight=weights, callbacks=[watch], seed=self._seed.spawn(1)[0])
        if stops:
            watch.warn_if_not_converged()
        return self._describe(y)

    def _minimize(self, X, y, weights, validation_data):
        """Training by L-BFGS over all rows."""
        if validation_data is not None or self.early_stopping:
            raise ValueError("solver='lbfgs' goes to the minimum: it takes no validation data and no early stopping.")
        if np.any(self.dropout):
            raise ValueError("solver='lbfgs' needs a loss that does not depend on chance: dropout must be 0.")
        result = self.model_.minimize(X, self._targets(y), sample_weight=weights,
                                      options={"maxiter": self.max_iter, "maxfun": self.max_fun, "gtol": self.tol})
        self.n_iter_, self.loss_ = min(int(result.nit), self.max_iter), float(result.fun)
        self.best_loss_, self.validation_scores_, self.best_validation_score_ = self.loss_, None, None
        if result.nit >= self.max_iter or result.nfev >= self.max_fun:
            warnings.warn(f"lbfgs failed to converge after {result.nit} iterations ({result.message}): raise max_iter "
                          f"({self.max_iter}) or max_fun ({self.max_fun}), or scale the data.", ConvergenceWarning,
                          stacklevel=4)
        return self._describe(y)

    def _describe(self, y):
        """The attributes that every training leaves."""
        self.n_layers_ = len(self._dense()) + 1
        self.n_outputs_ = self._outputs(y)
        self.out_activation_ = self._last()
        return self

    def _weights(self, sample_weight, X, y):
        return None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float32)

    # ------------------------------------------------------------------ using

    def _forward(self, X) -> np.ndarray:
        check_is_fitted(self, "model_")
        X = validated(self, X, reset=False, dtype=[np.float32, np.float64])
        rows = -(-len(X) // BATCH) * BATCH
        full = np.zeros((rows, X.shape[1]), np.float32)
        full[: len(X)] = X
        return self.model_.predict(full, batch_size=BATCH, verbose=0)[: len(X)].astype(np.float64)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer, (inputs, outputs), copied."""
        return [layer.kernel.numpy() for layer in self._fitted()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer, copied."""
        return [layer.bias.numpy() for layer in self._fitted()]

    def _fitted(self) -> list:
        if "model_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        return self._dense()

    # ------------------------------------------------------------------ persistence

    def __getstate__(self) -> dict[str, Any]:
        """The model as the bytes of a safetensors file, with the optimizer's state beside."""
        state = dict(super().__getstate__())
        model = state.pop("model_", None)
        if model is not None:
            from ..models.saving import _state

            tensors, metadata = _state(model, include_optimizer=False)
            for i, (name, value) in enumerate(model.optimizer.get_state().items()):
                tensors[f"optimizer/{i}/{name}"] = np.asarray(value)
            state["_model_bytes"] = files.to_bytes(tensors, metadata)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        data = state.pop("_model_bytes", None)
        super().__setstate__(state)
        if data is not None:
            from ..models.saving import _set_optimizer_state

            self.model_ = from_bytes(data)
            self._optimize()
            self.model_._training_variables()
            _set_optimizer_state(self.model_, files.from_bytes(data)[0], "this pickle")
