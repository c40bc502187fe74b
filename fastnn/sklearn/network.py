"""The network of an estimator: its layers, its loss with scikit-learn's penalty, and when its training stops."""

from __future__ import annotations

import copy
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .. import layers, ops, optimizers
from ..callbacks import Callback
from ..initializers import RandomUniform
from ..losses import Loss
from ..models import Sequential

ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}  # scikit-learn's names


class Penalized(Loss):
    """A loss and, as in scikit-learn, ``alpha / 2 / n`` times the sum of squares of the kernels.

    The loss comes times `factor`. n are the rows of the batch, or the sum of their weights: unlike
    ``kernel_regularizer`` it depends on the batch.
    """

    def __init__(self, loss: Loss, kernels: list, alpha: float, factor: float = 1.0):
        super().__init__(loss.name)
        self.loss, self.kernels, self.alpha, self.target_dtype = loss, kernels, float(alpha), loss.target_dtype
        self.factor = factor

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is None:
            loss, share = self.loss(y_true, y_pred), 0.5 * self.alpha / y_pred.shape[0]
        else:  # a weight of 2 is the row twice, in the mean and in the number of rows
            rule = copy.copy(self.loss)
            rule.reduction = "mean_with_sample_weight"
            loss, share = rule(y_true, y_pred, sample_weight), 0.5 * self.alpha / ops.sum(sample_weight)
        loss = loss * self.factor if self.factor != 1 else loss
        if not self.alpha:
            return loss
        for kernel in self.kernels:
            loss = loss + ops.sum(ops.square(kernel)) * share
        return loss


def build(estimator, features: int, outputs: int, last: str, seed: np.random.SeedSequence) -> Sequential:
    """The model of an estimator, with scikit-learn's initial weights: Glorot's, for biases too.

    The bound of the uniform numbers is ``sqrt(6 / (fan_in + fan_out))``, with 2 in place of 6 for logistic units.
    """
    widths = [*hidden_sizes(estimator), outputs]
    names = [*per_layer(estimator, "activation", len(widths) - 1), last]
    rates = per_layer(estimator, "dropout", len(widths) - 1)
    made, fan_in, seeds = [layers.Input((features,))], features, iter(seed.spawn(3 * len(widths)))
    for i, (width, name) in enumerate(zip(widths, names)):
        bound = float(np.sqrt((2.0 if name == "logistic" else 6.0) / (fan_in + width)))
        made.append(layers.Dense(
            width, ACTIVATIONS.get(name, name), name=f"layer_{i}",
            kernel_initializer=RandomUniform(-bound, bound, seed=next(seeds)),
            bias_initializer=RandomUniform(-bound, bound, seed=next(seeds))))
        own = next(seeds)
        if i < len(rates) and rates[i]:
            made.append(layers.Dropout(rates[i], seed=own, name=f"dropout_{i}"))
        fan_in = width
    return Sequential(made, name="mlp")


def hidden_sizes(estimator) -> list[int]:
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in sizes):
        raise ValueError(f"hidden_layer_sizes must be integers of at least 1, got {estimator.hidden_layer_sizes!r}.")
    return [int(n) for n in sizes]


def per_layer(estimator, what: str, count: int) -> list:
    """A parameter that may be given once for all hidden layers or for each."""
    given = getattr(estimator, what)
    if isinstance(given, (list, tuple)):
        if len(given) != count:
            raise ValueError(f"{what} has {len(given)} entries for {count} hidden layers.")
        return list(given)
    return [given] * count


def optimizer(estimator):
    """What `solver` names, with scikit-learn's formulas; or an optimizer of fastnn's, taken as a pattern."""
    e = estimator
    if e.solver == "adam":
        return optimizers.Adam(e.learning_rate_init, e.beta_1, e.beta_2, e.epsilon)
    if e.solver == "sgd":
        return optimizers.SGD(e.learning_rate_init, e.momentum, bool(e.nesterovs_momentum) and e.momentum > 0)
    if e.solver == "lbfgs":
        return optimizers.SGD()  # compile wants one; `minimize` leaves it alone
    if isinstance(e.solver, optimizers.Optimizer):
        return optimizers.deserialize(optimizers.serialize(e.solver))
    raise ValueError(f"solver must be 'adam', 'sgd', 'lbfgs' or an optimizer of fastnn.optimizers, got {e.solver!r}.")


class Watch(Callback):
    """Scikit-learn's bookkeeping after each epoch: curves, its rules for the rate, and when to stop."""

    def __init__(self, estimator, rows: int, score=None):
        super().__init__()
        self.estimator, self.rows, self.score = estimator, rows, score
        self.count, self.best_weights = 0, None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += self.rows
        e.loss_ = logs["loss"]
        e.loss_curve_.append(e.loss_)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        self._count(e)
        if e.solver == "sgd" and e.learning_rate == "invscaling":
            self.model.optimizer.learning_rate = e.learning_rate_init / (e.t_ + 1) ** e.power_t
        if not np.isfinite(e.loss_):
            raise ValueError("Solver produced non-finite parameter weights. The input data may contain large values "
                             "and need to be preprocessed.")
        if self.count > e.n_iter_no_change:
            self._stop(e)

    def _count(self, e) -> None:
        if self.score is None:
            self.count = self.count + 1 if e.loss_ > e.best_loss_ - e.tol else 0
            e.best_loss_ = min(e.best_loss_, e.loss_)
            return
        score = self.score()
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        self.count = self.count + 1 if score < e.best_validation_score_ + e.tol else 0
        if score > e.best_validation_score_:
            e.best_validation_score_, self.best_weights = score, self.model.get_weights()

    def _stop(self, e) -> None:
        rate = self.model.optimizer.learning_rate
        if e.solver == "sgd" and e.learning_rate == "adaptive" and rate > 1e-6:
            self.model.optimizer.learning_rate = rate / 5
            self.count = 0
            return
        self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def warn_if_not_converged(self) -> None:
        if not self.model.stop_training:
            warnings.warn(f"Stochastic Optimizer: Maximum iterations ({self.estimator.max_iter}) reached and the "
                          "optimization hasn't converged yet.", ConvergenceWarning, stacklevel=4)
