"""What training makes small, with Keras's names: ``"mse"``, ``MeanSquaredError()``, ``mean_squared_error``.

Examples
--------
>>> get("mse")
MeanSquaredError(reduction='sum_over_batch_size')
>>> get("mean_sqared_error")
Traceback (most recent call last):
ValueError: Unknown loss 'mean_sqared_error': did you mean 'mean_squared_error'?
"""

from __future__ import annotations

import inspect

from .. import spelling
from .focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    NegativeLogLikelihood,
)
from .functions import (
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    contrastive,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_percentage_error,
    mean_squared_logarithmic_error,
    negative_log_likelihood,
    poisson,
    squared_hinge,
    tversky,
)
from .loss import Loss, LossFunction
from .losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)
from .margin import CategoricalHinge, Contrastive, Hinge, SquaredHinge, Triplet
from .margin import triplet as triplet
from .overlap import Dice, Tversky
from .regression import (
    CosineSimilarity,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
)

FUNCTIONS = {
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    binary_crossentropy: BinaryCrossentropy,
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_generalized_cross_entropy: CategoricalGeneralizedCrossEntropy,
    categorical_hinge: CategoricalHinge,
    contrastive: Contrastive,
    cosine_similarity: CosineSimilarity,
    dice: Dice,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    negative_log_likelihood: NegativeLogLikelihood,
    poisson: Poisson,
    squared_hinge: SquaredHinge,
    tversky: Tversky,
}
KNOWN: dict[str, type[Loss]] = {"Triplet": Triplet, "triplet": Triplet}  #: every name that `get` takes
for _function, _class in FUNCTIONS.items():
    KNOWN[_class.__name__] = KNOWN[_function.__name__] = _class
KNOWN |= {"bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "huber_loss": Huber, "kld": KLDivergence,
          "KLD": KLDivergence, "kullback_leibler_divergence": KLDivergence, "logcosh": LogCosh,
          "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError, "mape": MeanAbsolutePercentageError,
          "MAPE": MeanAbsolutePercentageError, "mse": MeanSquaredError, "MSE": MeanSquaredError,
          "msle": MeanSquaredLogarithmicError, "MSLE": MeanSquaredLogarithmicError, "nll": NegativeLogLikelihood}


def get(identifier, y_shape=None, output_shape=None) -> Loss | None:
    """The loss that `identifier` means.

    Parameters
    ----------
    identifier : a name, a class, an instance (given back as it is), a config as `serialize` gives it, a
        Python function of (y_true, y_pred) on tensors, or None (gives None). "crossentropy" or "ce" is
        chosen by the shapes, as in Keras.
    y_shape, output_shape : shapes of the targets and of the model's output, with or without the batch's size.
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        if identifier.lower() in ("crossentropy", "ce"):
            return by_shapes(identifier, y_shape, output_shape, BinaryCrossentropy, SparseCategoricalCrossentropy,
                             CategoricalCrossentropy)()
        if identifier not in KNOWN:
            raise spelling.unknown("loss", identifier, KNOWN)
        return KNOWN[identifier]()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if inspect.isclass(identifier) and issubclass(identifier, Loss):
        return identifier()
    if callable(identifier):
        return FUNCTIONS[identifier]() if inspect.isfunction(identifier) and identifier in FUNCTIONS else \
            LossFunction(identifier)
    raise ValueError(f"A loss is a name, a class, an instance, a config or a function of (y_true, y_pred), not "
                     f"{identifier!r}.")


def by_shapes(identifier: str, y_shape, output_shape, binary, sparse, categorical):
    """Keras's choice between three: one output, class numbers, one-hot rows."""
    if y_shape is None or output_shape is None:
        raise ValueError(f"What {identifier!r} means depends on the shapes of targets and outputs, which are not known "
                         "here; say which one you mean, such as 'sparse_categorical_" +
                         ("accuracy" if "acc" in identifier.lower() else "crossentropy") + "'.")
    last = output_shape[-1] if len(output_shape) else None
    if last == 1 or len(output_shape) <= 1:
        return binary
    if len(y_shape) < len(output_shape) or (y_shape[-1] == 1 and last != 1):
        return sparse
    return categorical


def serialize(loss: Loss) -> dict:
    """``{"class_name": ..., "config": ...}``, which JSON can hold and `deserialize` reads."""
    if not isinstance(loss, Loss):
        raise ValueError(f"Only a Loss can be written as a config, not {loss!r}.")
    return {"class_name": type(loss).__name__, "config": loss.get_config()}


def deserialize(config: dict | str, custom_objects: dict | None = None) -> Loss:
    """The loss that `serialize` (or Keras's own function) wrote; a bare name is one, too."""
    custom = custom_objects or {}
    if isinstance(config, str):
        return get(custom.get(config, config))
    name = config.get("class_name")
    if name == "LossFunction":
        return LossFunction.from_config(config.get("config") or {}, custom)
    if name == "function" and isinstance(config.get("config"), str):  # as Keras writes a function
        return deserialize(config["config"], custom)
    known = {**KNOWN, **custom}
    if not isinstance(name, str) or name not in known:
        raise spelling.unknown("loss", name, known)
    return known[name].from_config(config.get("config") or {})
