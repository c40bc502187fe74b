"""What is watched during training and evaluation, with Keras's names.

Examples
--------
>>> get("mae")
MeanAbsoluteError(name='mae')
>>> get("accuracy", y_shape=(32,), output_shape=(32, 10))
SparseCategoricalAccuracy(name='accuracy')
>>> get("acuracy")
Traceback (most recent call last):
ValueError: Unknown metric 'acuracy': did you mean 'accuracy'?
"""

from __future__ import annotations

import inspect
import re

from .. import losses, spelling
from ..losses import (  # noqa: F401  (in Keras they are here, too)
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .confusion import FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives
from .curves import AUC, PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity
from .errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .functions import (  # noqa: F401
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .metric import Mean, MeanMetricWrapper, Metric, MetricFunction, Sum  # noqa: F401
from .scores import F1Score, FBetaScore, R2Score
from .tally import Tally as Tally

CLASSES = (AUC, Accuracy, BinaryAccuracy, BinaryCrossentropy, BinaryIoU, CategoricalAccuracy, CategoricalCrossentropy,
           CategoricalHinge, CosineSimilarity, F1Score, FBetaScore, FalseNegatives, FalsePositives, Hinge, IoU,
           KLDivergence, LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError, MeanIoU, MeanSquaredError,
           MeanSquaredLogarithmicError, OneHotIoU, OneHotMeanIoU, Poisson, Precision, PrecisionAtRecall, R2Score,
           Recall, RecallAtPrecision, RootMeanSquaredError, SensitivityAtSpecificity, SparseCategoricalAccuracy,
           SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, SquaredHinge, Sum,
           TopKCategoricalAccuracy, TrueNegatives, TruePositives)
#: where the name in small letters is not the class's with underscores
NAMES = {"AUC": "auc", "R2Score": "r2_score", "FBetaScore": "fbeta_score", "KLDivergence": "kl_divergence",
         "LogCoshError": "logcosh", "TopKCategoricalAccuracy": "top_k_categorical_accuracy",
         "SparseTopKCategoricalAccuracy": "sparse_top_k_categorical_accuracy"}
KNOWN: dict[str, type[Metric]] = {}  #: every name that `get` takes
for _class in CLASSES:
    KNOWN[_class.__name__] = _class
    KNOWN[NAMES.get(_class.__name__) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _class.__name__).lower()] = _class
KNOWN |= {"mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
          "rmse": RootMeanSquaredError, "RMSE": RootMeanSquaredError, "bce": BinaryCrossentropy,
          "BCE": BinaryCrossentropy, "acc": Accuracy, "kld": KLDivergence, "KLD": KLDivergence,
          "log_cosh": LogCoshError,
          "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError,
          "msle": MeanSquaredLogarithmicError, "MSLE": MeanSquaredLogarithmicError}
NEEDING = {IoU: "[IoU(num_classes=2, target_class_ids=[0])]", MeanIoU: "[MeanIoU(num_classes=2)]",
           OneHotIoU: "[OneHotIoU(num_classes=2, target_class_ids=[0])]", OneHotMeanIoU: "[OneHotMeanIoU(2)]",
           PrecisionAtRecall: "[PrecisionAtRecall(0.5)]", RecallAtPrecision: "[RecallAtPrecision(0.5)]",
           SensitivityAtSpecificity: "[SensitivityAtSpecificity(0.5)]",
           SpecificityAtSensitivity: "[SpecificityAtSensitivity(0.5)]"}


def get(identifier, loss=None, y_shape=None, output_shape=None) -> Metric | None:
    """The metric that `identifier` means.

    Parameters
    ----------
    identifier : a name, a class, an instance (given back as it is), a config as `serialize` gives it, a
        Python function of (y_true, y_pred) on tensors, or None (gives None). A name becomes the metric's
        name. "accuracy" (or "acc") and "crossentropy" (or "ce") are chosen by the shapes, as in Keras.
    loss : the loss of that output; decides where the shapes are not known.
    y_shape, output_shape : shapes of the targets and of the model's output, with or without the batch's size.
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        return _by_name(identifier, loss, y_shape, output_shape)(name=identifier)
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if inspect.isclass(identifier) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, losses.Loss):
        made = MetricFunction(identifier.rows, name=identifier.name)
        made.target_dtype, made.ignore_class = identifier.target_dtype, identifier.ignore_class
        return made
    if callable(identifier):
        if inspect.isfunction(identifier) and identifier in losses.FUNCTIONS:
            if identifier.__name__ in KNOWN:
                return KNOWN[identifier.__name__]()
            return get(losses.FUNCTIONS[identifier](name=identifier.__name__))
        return MetricFunction(identifier)
    raise ValueError(f"A metric is a name, a class, an instance, a config or a function of (y_true, y_pred), not "
                     f"{identifier!r}.")


def _by_name(name: str, loss, y_shape, output_shape) -> type[Metric]:
    trios = {("accuracy", "acc"): (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy),
             ("crossentropy", "ce"): (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)}
    for words, trio in trios.items():
        if name.lower() in words:
            if (y_shape is None or output_shape is None) and loss is not None:
                kinds = (losses.BinaryCrossentropy, losses.SparseCategoricalCrossentropy,
                         losses.CategoricalCrossentropy)
                for kind, chosen in zip(kinds, trio):
                    if isinstance(loss, kind):
                        return chosen
            return losses.by_shapes(name, y_shape, output_shape, *trio)
    if name not in KNOWN:
        raise spelling.unknown("metric", name, KNOWN)
    if KNOWN[name] in NEEDING:
        raise ValueError(f"The metric {name!r} needs arguments: make it, as in metrics={NEEDING[KNOWN[name]]}.")
    return KNOWN[name]


def serialize(metric: Metric) -> dict:
    """``{"class_name": ..., "config": ...}``, which JSON can hold and `deserialize` reads."""
    if not isinstance(metric, Metric):
        raise ValueError(f"Only a Metric can be written as a config, not {metric!r}.")
    return {"class_name": type(metric).__name__, "config": metric.get_config()}


def deserialize(config: dict | str, custom_objects: dict | None = None) -> Metric:
    """The metric that `serialize` (or Keras's own function) wrote; a bare name is one, too."""
    custom = custom_objects or {}
    if isinstance(config, str):
        return get(custom.get(config, config))
    name = config.get("class_name")
    if name == "MetricFunction":
        return MetricFunction.from_config(config.get("config") or {}, custom)
    known = {**KNOWN, **custom}
    if not isinstance(name, str) or name not in known:
        raise spelling.unknown("metric", name, known)
    return known[name].from_config(config.get("config") or {})
