"""Multi-layer perceptrons as scikit-learn's estimators, trained by fastnn.

`MLPClassifier` and `MLPRegressor` take scikit-learn's parameters and have its fitted attributes, and have what its
users miss: dropout, an activation for each layer, class weights, a validation set of one's own, other losses.
"""

from __future__ import annotations

from ..extras import need

need("sklearn", extra="sklearn")  # before what imports it

from .classifier import MLPClassifier  # noqa: E402
from .regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
