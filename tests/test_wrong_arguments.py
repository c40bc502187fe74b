"""Wrong arguments are refused when the object is made, or before anything is done, in a sentence.

A line of a table is an expression and what its error says, among other things.
"""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import activations, callbacks, constraints, initializers, layers, losses, metrics, regularizers

X, Y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 3
T, nan = X[:, :1], float("nan")


def compiled(*arguments, **named):
    made = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3)], name="m")
    made.compile(*arguments, **named)


def model(loss="sparse_categorical_crossentropy", units=3, activation="softmax"):
    made = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(units, activation)], name="m")
    made.compile("sgd", loss)
    return made


MADE = r"""
layers.Dense(-1) | units is -1; a positive whole number is wanted.
layers.Dense(0) | units is 0; a positive whole number is wanted.
layers.Dense(2.5) | units is 2.5; a positive whole number is wanted.
layers.Dense("3") | units is '3'; a positive whole number is wanted.
layers.Dense(True) | units is True; a positive whole number is wanted.
layers.Dense(None) | units is None; a positive whole number is wanted.
layers.Dense(3, "rleu") | Unknown activation 'rleu': did you mean 'relu'?
layers.Dense(3, activation=3) | An activation is a name or a function; got 3.
layers.Dense(3, use_bias="no") | use_bias must be True or False; got 'no'.
layers.Dense(3, kernel_initializer="glorot_unifrm") | Unknown initializer 'glorot_unifrm': did you mean
layers.Dense(3, kernel_constraint="max_nrom") | Unknown constraint 'max_nrom': did you mean 'max_norm'?
layers.Dense(3, unitz=3) | Dense takes no argument 'unitz': did you mean 'units'?
layers.Dense(3, name=3) | Dense: name is 3; a non-empty string is wanted.
layers.Dense(3, dtype="int8") | dtype is 'int8'; float32 and float64 can be computed with.
layers.Dense(3, trainable="yes") | trainable must be True or False; got 'yes'.
layers.Dense(3, kernel_regularizer=0.01) | A regularizer is a name, a class, an instance, a config or a function
layers.Dense(3, bias_initializer=0) | An initializer is a name, a class, an instance, a config or a callable

layers.Dropout(1.0) | rate is 1.0; a number in [0, 1) is wanted.
layers.Dropout(-0.1) | rate is -0.1; a number in [0, 1) is wanted.
layers.Dropout("0.5") | rate is '0.5'; a number in [0, 1) is wanted.
layers.Dropout(nan) | rate is nan; a number in [0, 1) is wanted.
layers.Dropout(0.5, seed=-1) | seed must be at least 0, but is -1.
layers.Dropout(0.5, seed="a") | seed must be an integer of at least 0, but is 'a' of type str.
layers.Dropout(0.5, noise_shape=3) | noise_shape is 3; a list of positive whole numbers and None is wanted.
layers.Dropout(None) | rate is None; a number in [0, 1) is wanted.
layers.Dropout(True) | rate is True; a number in [0, 1) is wanted.

layers.AlphaDropout(1) | rate is 1; a number in [0, 1) is wanted.
layers.GaussianDropout(1.5) | rate is 1.5; a number in [0, 1) is wanted.
layers.GaussianNoise(-1) | stddev is -1; a finite number of 0 or more is wanted.
layers.GaussianNoise("a") | stddev is 'a'; a finite number of 0 or more is wanted.
layers.GaussianNoise(nan) | stddev is nan; a finite number of 0 or more is wanted.
layers.SpatialDropout1D(2) | rate is 2; a number in [0, 1) is wanted.
layers.SpatialDropout2D(0.5, "chanels_last") | Unknown data_format 'chanels_last': did you mean 'channels_last'?
layers.ActivityRegularization(l1=-1) | L1L2: l1 is -1; a finite number of 0 or more is wanted.
layers.ActivityRegularization(l2=nan) | L1L2: l2 is nan; a finite number of 0 or more is wanted.

layers.BatchNormalization(momentum=1.5) | momentum is 1.5; a number in [0, 1] is wanted.
layers.BatchNormalization(momentum=-0.1) | momentum is -0.1; a number in [0, 1] is wanted.
layers.BatchNormalization(epsilon=-1) | epsilon is -1; a positive number is wanted.
layers.BatchNormalization(epsilon=nan) | epsilon is nan; a positive number is wanted.
layers.BatchNormalization(axis=0) | axis is 0; a whole number is wanted, and axis 0 is the batch.
layers.BatchNormalization(axis="a") | axis is 'a'; a whole number is wanted, and axis 0 is the batch.
layers.BatchNormalization(center=3) | center must be True or False; got 3.
layers.BatchNormalization(momentum="a") | momentum is 'a'; a number in [0, 1] is wanted.

layers.LayerNormalization(epsilon=-1) | epsilon is -1; a positive number is wanted.
layers.LayerNormalization(axis=0) | axis is 0, but axis 0 is the batch.
layers.LayerNormalization(axis="a") | axis is 'a'; a whole number or a list of them is wanted.
layers.RMSNormalization(epsilon=-1) | epsilon is -1; a positive number is wanted.
layers.GroupNormalization(groups=0) | groups is 0; a positive whole number is wanted, or -1 for one group for
layers.GroupNormalization(groups=2.5) | groups is 2.5; a positive whole number is wanted, or -1 for one group
layers.GroupNormalization(groups="a") | groups is 'a'; a positive whole number is wanted, or -1 for one group
layers.UnitNormalization(axis="a") | axis is 'a'; a whole number or a list of them is wanted.
layers.GroupNormalization(epsilon=-1) | epsilon is -1; a positive number is wanted.

layers.Rescaling("a") | scale is 'a'; a finite number is wanted.
layers.Rescaling(nan) | scale is nan; a finite number is wanted.
layers.Rescaling(1.0, offset="b") | offset is 'b'; a finite number is wanted.
layers.Normalization(mean=1.0) | mean and variance are given together or not at all.
layers.Normalization(mean=0.0, variance=-1.0) | variance holds negative numbers or NaN.

layers.Reshape((-1, -1)) | target_shape is (-1, -1); sizes of at least 1 are wanted, and -1 for
layers.Reshape((0,)) | target_shape is (0,); sizes of at least 1 are wanted, and -1 for one
layers.Reshape("a") | target_shape is 'a'; sizes of at least 1 are wanted, and -1 for one
layers.Reshape((2.5,)) | target_shape is (2.5,); sizes of at least 1 are wanted, and -1 for one
layers.Reshape((-2,)) | target_shape is (-2,); sizes of at least 1 are wanted, and -1 for one
layers.Concatenate(axis="a") | axis is 'a'; a whole number is wanted, and axis 0 is the batch, along
layers.Concatenate(axis=1.5) | axis is 1.5; a whole number is wanted, and axis 0 is the batch, along
layers.Activation("rleu") | Unknown activation 'rleu': did you mean 'relu'?
layers.Input((0,)) | the shape is (0,)
layers.Input((-3,)) | the shape is (-3,)
layers.WeightNormalization(3) | wraps a layer; got 3.
layers.SpectralNormalization(layers.Dense(2), power_iterations=0) | power_iterations is 0; a positive whole number

layers.ReLU(negative_slope=-1) | negative_slope is -1; a finite number of at least 0 is wanted.
layers.ReLU(max_value=-1) | max_value is -1; a finite number of at least 0 is wanted.
layers.ReLU(threshold=-1) | threshold is -1; a finite number of at least 0 is wanted.
layers.LeakyReLU(-1) | negative_slope is -1; a finite number of at least 0 is wanted.
layers.LeakyReLU("a") | negative_slope is 'a'; a finite number of at least 0 is wanted.
layers.ELU("a") | alpha is 'a'; a finite number of at least 0 is wanted.
layers.ELU(nan) | alpha is nan; a finite number of at least 0 is wanted.
layers.PReLU(shared_axes="a") | shared_axes is 'a'; whole numbers from 1 on are wanted (axis 0 is the
layers.PReLU(shared_axes=[0]) | shared_axes is [0]; whole numbers from 1 on are wanted (axis 0 is the
layers.PReLU("zeroes") | Unknown initializer 'zeroes': did you mean 'zeros'?
layers.Softmax(axis="a") | axis is 'a'; a whole number or a list of them is wanted, and axis 0 is
layers.Softmax(axis=1.5) | axis is 1.5; a whole number or a list of them is wanted, and axis 0 is

fastnn.Sequential(3) | takes a list of layers; got 3.
fastnn.Sequential([3]) | Sequential
fastnn.Sequential([layers.Dense]) | Sequential
fastnn.Sequential([layers.Dense(2, name="a"), layers.Dense(2, name="a")]) | Sequential
fastnn.Sequential(layers.Dense(2)) | Sequential
fastnn.Sequential([layers.Dense(2)], name=3) | Sequential: name is 3; a non-empty string is wanted.

losses.get("mes") | Unknown loss 'mes': did you mean 'mse'?
losses.get(3) | A loss is a name, a class, an instance, a config or a function of
losses.MeanSquaredError(reduction="men") | Unknown reduction 'men': did you mean 'mean'?
losses.MeanSquaredError(reduction=3) | Unknown reduction 3: known are 'sum_over_batch_size', 'mean', 'sum'
losses.Huber(delta=-1) | Huber: delta must be above 0; got -1.
losses.Huber(delta="a") | Huber: delta must be a finite number; got 'a'.
losses.Huber(delta=nan) | Huber: delta must be a finite number; got nan.
losses.BinaryCrossentropy(label_smoothing=1.5) | binary_crossentropy: label_smoothing must be in [0, 1]; got 1.5.
losses.BinaryCrossentropy(label_smoothing=-0.1) | binary_crossentropy: label_smoothing must be in [0, 1]; got -0.1.
losses.BinaryCrossentropy(label_smoothing="a") | binary_crossentropy: label_smoothing must be in [0, 1]; got 'a'.
losses.BinaryCrossentropy(from_logits="a") | binary_crossentropy: from_logits must be True or False; got 'a'.
losses.CategoricalCrossentropy(axis=3) | categorical_crossentropy runs over the last axis, axis=-1; got axis=3.
losses.CategoricalCrossentropy(label_smoothing=2) | categorical_crossentropy: label_smoothing must be in [0, 1]
losses.BinaryFocalCrossentropy(gamma=-1) | binary_focal_crossentropy: gamma must be 0 or more; got -1.
losses.BinaryFocalCrossentropy(alpha=2) | binary_focal_crossentropy: alpha must be in [0, 1]; got 2.
losses.CategoricalFocalCrossentropy(alpha=-1) | categorical_focal_crossentropy: alpha must be 0 or more; got -1.
losses.CategoricalFocalCrossentropy(gamma="a") | categorical_focal_crossentropy: gamma must be a finite number; got
losses.CategoricalGeneralizedCrossEntropy(q=0) | categorical_generalized_cross_entropy: q must be in (0, 1); got 0.
losses.CategoricalGeneralizedCrossEntropy(q=2) | categorical_generalized_cross_entropy: q must be in (0, 1); got 2.
losses.Tversky(alpha=-1) | tversky: alpha must be 0 or more; got -1.
losses.Tversky(beta=nan) | tversky: beta must be a finite number; got nan.
losses.Dice(axis="a") | dice: axis must be None, an integer or several of them; got 'a'.
losses.CosineSimilarity(axis="a") | cosine_similarity: axis must be an integer; got 'a'.
losses.Contrastive(-1) | Contrastive: margin must be above 0; got -1.
losses.Triplet(0) | Triplet: margin must be above 0; got 0.
losses.SparseCategoricalCrossentropy(ignore_class="a") | sparse_categorical_crossentropy: ignore_class must be a
losses.SparseCategoricalCrossentropy(ignore_class=1.5) | sparse_categorical_crossentropy: ignore_class must be a
losses.MeanSquaredError(dtype="int8") | mean_squared_error: losses are computed in float32; got dtype='int8'.
losses.MeanSquaredError(name=3) | MeanSquaredError: name must be a string; got 3.

metrics.get("acuracy", y_shape=(3,), output_shape=(3, 1)) | Unknown metric 'acuracy': did you mean 'accuracy'?
metrics.get(3) | A metric is a name, a class, an instance, a config or a function of
metrics.get("iou") | Unknown metric 'iou': did you mean 'io_u'?
metrics.BinaryAccuracy(threshold="a") | BinaryAccuracy: threshold must be a finite number; got 'a'.
metrics.BinaryAccuracy(threshold=nan) | BinaryAccuracy: threshold must be a finite number; got nan.
metrics.TopKCategoricalAccuracy(0) | top_k_categorical_accuracy: k must be at least 1; got 0.
metrics.TopKCategoricalAccuracy(2.5) | top_k_categorical_accuracy: k must be a whole number of 0 or more; got
metrics.AUC(curve="RCO") | Unknown curve 'RCO': did you mean 'ROC'?
metrics.AUC(num_thresholds=1) | auc: num_thresholds must be above 1; got 1.
metrics.AUC(summation_method="a") | Unknown summation_method 'a': known are 'interpolation', 'minoring'
metrics.AUC(thresholds=[2.0]) | auc: thresholds must be in [0, 1]; got [2.0].
metrics.Precision(thresholds=1.5) | precision: thresholds must be in [0, 1]; got 1.5.
metrics.Precision(top_k=0) | precision: top_k must be a whole number of at least 1; got 0.
metrics.Precision(class_id=-1) | precision: class_id must be a whole number of 0 or more; got -1.
metrics.Recall(thresholds="a") | recall: a threshold must be a finite number; got 'a'.
metrics.F1Score(average="macrro") | f1_score: average must be None, 'micro', 'macro' or 'weighted'; got
metrics.FBetaScore(beta=0) | fbeta_score: beta must be above 0; got 0.
metrics.FBetaScore(threshold=2.0) | fbeta_score: threshold must be in (0, 1]; got 2.0.
metrics.R2Score(class_aggregation="a") | r2_score: class_aggregation must be None, 'uniform_average' or
metrics.R2Score(num_regressors=-1) | r2_score: num_regressors must be a whole number of 0 or more; got -1.
metrics.MeanIoU(0) | mean_io_u: num_classes must be above 0; got 0.
metrics.MeanIoU(2.5) | MeanIoU: num_classes must be a whole number of 0 or more; got 2.5.
metrics.IoU(2, [5]) | io_u: target_class_ids must be classes from 0 to 1; got [5].
metrics.IoU(2, []) | io_u: target_class_ids must be classes from 0 to 1; got [].
metrics.SensitivityAtSpecificity(1.5) | sensitivity_at_specificity: specificity must be in [0, 1]; got 1.5.
metrics.PrecisionAtRecall(-0.1) | precision_at_recall: recall must be in [0, 1]; got -0.1.
metrics.SpecificityAtSensitivity(0.5, num_thresholds=0) | SpecificityAtSensitivity: num_thresholds must be above 0
metrics.CosineSimilarity(axis="a") | cosine_similarity: axis must be an integer; got 'a'.
metrics.MeanMetricWrapper(3) | MeanMetricWrapper takes a function of (y_true, y_pred), not 3.
metrics.Mean(name=3) | Mean: name must be a string; got 3.
metrics.MeanSquaredError(dtype="int8") | mean_squared_error: metrics are computed in float32; got dtype='int8'.
metrics.SparseTopKCategoricalAccuracy(k=-1) | sparse_top_k_categorical_accuracy: k must be a whole number of 0 or

initializers.get("glorot_unifrm") | Unknown initializer 'glorot_unifrm': did you mean 'glorot_uniform'?
initializers.get(3) | An initializer is a name, a class, an instance, a config or a callable
initializers.RandomNormal(stddev=-1) | RandomNormal: stddev must be at least 0, but is -1.
initializers.RandomNormal(stddev="a") | RandomNormal: stddev must be a number, but is 'a'.
initializers.RandomNormal(mean=nan) | RandomNormal: mean must be finite, but is nan.
initializers.RandomUniform(minval=1, maxval=0) | RandomUniform: maxval 0 is below minval 1.
initializers.RandomUniform(minval="a") | RandomUniform: minval must be a number, but is 'a'.
initializers.TruncatedNormal(stddev=-1) | TruncatedNormal: stddev must be at least 0, but is -1.
initializers.VarianceScaling(scale=-1) | VarianceScaling: scale must be above 0, but is -1.
initializers.VarianceScaling(scale=0) | VarianceScaling: scale must be above 0, but is 0.
initializers.VarianceScaling(mode="fan_inn") | Unknown mode 'fan_inn': did you mean 'fan_in'?
initializers.VarianceScaling(distribution="nromal") | Unknown distribution 'nromal': known are 'truncated_normal'
initializers.Constant("a") | Constant: value must be numbers, but is 'a'.
initializers.Orthogonal(gain="a") | Orthogonal: gain must be a number, but is 'a'.
initializers.Orthogonal(gain=nan) | Orthogonal: gain must be finite, but is nan.
initializers.Identity(gain="a") | Identity: gain must be a number, but is 'a'.
initializers.GlorotUniform(seed=-1) | seed must be at least 0, but is -1.
initializers.GlorotUniform(seed="a") | seed must be an integer of at least 0, but is 'a' of type str.

regularizers.get(0.01) | A regularizer is a name, a class, an instance, a config or a function
regularizers.L1(-1) | L1: l1 is -1; a finite number of 0 or more is wanted.
regularizers.L2(nan) | L2: l2 is nan; a finite number of 0 or more is wanted.
regularizers.L1L2("a", 1) | L1L2: l1 is 'a'; a finite number of 0 or more is wanted.
regularizers.OrthogonalRegularizer(factor=-1) | OrthogonalRegularizer: factor is -1; a finite number of 0 or more
regularizers.OrthogonalRegularizer(mode="colums") | Unknown mode 'colums': did you mean 'columns'?
regularizers.L2(True) | L2: l2 is True; a finite number of 0 or more is wanted.

constraints.get("max_nrom") | Unknown constraint 'max_nrom': did you mean 'max_norm'?
constraints.get(3) | A constraint is a name, a class, an instance, a config or a function
constraints.MaxNorm(-1) | MaxNorm: max_value is -1; a number of 0 or more is wanted.
constraints.MaxNorm("a") | MaxNorm: max_value is 'a'; a number of 0 or more is wanted.
constraints.MaxNorm(nan) | MaxNorm: max_value is nan; a number of 0 or more is wanted.
constraints.MaxNorm(2, axis="a") | MaxNorm: axis is 'a'; a whole number or a list of them is wanted.
constraints.UnitNorm(axis=1.5) | UnitNorm: axis is 1.5; a whole number or a list of them is wanted.
constraints.MinMaxNorm(2, 1) | MinMaxNorm: min_value is 2 and max_value 1; the first may not be the
constraints.MinMaxNorm(-1, 1) | MinMaxNorm: min_value is -1; a number of 0 or more is wanted.
constraints.MinMaxNorm(rate=2) | MinMaxNorm: rate is 2; a number in [0, 1] is wanted.
constraints.MinMaxNorm(rate="a") | MinMaxNorm: rate is 'a'; a number in [0, 1] is wanted.

activations.get("rleu") | Unknown activation 'rleu': did you mean 'relu'?
activations.get(3) | An activation is a name or a function; got 3.

callbacks.EarlyStopping(patience=-1) | EarlyStopping: patience must be a whole number of 0 or more; got -1.
callbacks.EarlyStopping(patience="a") | EarlyStopping: patience must be a whole number of 0 or more; got 'a'.
callbacks.EarlyStopping(patience=1.5) | EarlyStopping: patience must be a whole number of 0 or more; got 1.5.
callbacks.EarlyStopping(mode="mim") | Unknown mode 'mim': did you mean 'min'?
callbacks.EarlyStopping(min_delta="a") | EarlyStopping: min_delta must be a finite number; got 'a'.
callbacks.EarlyStopping(min_delta=nan) | EarlyStopping: min_delta must be a finite number; got nan.
callbacks.EarlyStopping(monitor=3) | EarlyStopping: monitor must be a name in the logs, but is 3.
callbacks.EarlyStopping(start_from_epoch=-1) | EarlyStopping: start_from_epoch must be a whole number of 0 or more
callbacks.EarlyStopping(baseline="a") | EarlyStopping: baseline must be a finite number; got 'a'.

callbacks.ModelCheckpoint("") | ModelCheckpoint: filepath must be a path, but is ''.
callbacks.ModelCheckpoint(3) | ModelCheckpoint: filepath must be a path, but is 3.
callbacks.ModelCheckpoint("a", save_freq=0) | ModelCheckpoint: save_freq must be 'epoch' or a number of batches
callbacks.ModelCheckpoint("a", save_freq="epochs") | ModelCheckpoint: save_freq must be 'epoch' or a number of
callbacks.ModelCheckpoint("a", mode="mx") | Unknown mode 'mx': did you mean 'max'?
callbacks.ModelCheckpoint("a{epoch", monitor="loss") | ModelCheckpoint: filepath 'a{epoch' is no format: expected
callbacks.ModelCheckpoint("a", initial_value_threshold="a") | ModelCheckpoint: the value to beat first must be a
callbacks.ModelCheckpoint("a", monitor=3) | ModelCheckpoint: monitor must be a name in the logs, but is 3.

callbacks.BackupAndRestore("") | BackupAndRestore: backup_dir must be a path, but is ''.
callbacks.BackupAndRestore(3) | BackupAndRestore: backup_dir must be a path, but is 3.
callbacks.BackupAndRestore("a", save_freq=0) | BackupAndRestore: save_freq must be 'epoch' or a number of batches
callbacks.CSVLogger("") | CSVLogger: filename must be a path, but is ''.
callbacks.CSVLogger(3) | CSVLogger: filename must be a path, but is 3.
callbacks.CSVLogger("a", separator=",,") | CSVLogger: separator must be a string of one character, but is ',,'.
callbacks.CSVLogger("a", separator="") | CSVLogger: separator must be a string of one character, but is ''.
callbacks.CSVLogger("a", append="x") | CSVLogger: append must be True or False; got 'x'.
callbacks.LambdaCallback(on_epoch_edn=print) | Unknown moment 'on_epoch_edn': did you mean 'on_epoch_end'?
callbacks.LambdaCallback(on_epoch_end=3) | LambdaCallback: on_epoch_end must be a function, but is 3.
callbacks.LearningRateScheduler(0.1) | LearningRateScheduler: schedule must be a function, but is 0.1.
callbacks.ReduceLROnPlateau(factor=1) | ReduceLROnPlateau: factor must be above 0 and below 1, but is 1.
callbacks.ReduceLROnPlateau(factor="a") | ReduceLROnPlateau: factor must be a finite number; got 'a'.
callbacks.ReduceLROnPlateau(patience="a") | ReduceLROnPlateau: patience must be a whole number of 0 or more; got
callbacks.ReduceLROnPlateau(cooldown=-1) | ReduceLROnPlateau: cooldown must be a whole number of 0 or more; got -1.
callbacks.ReduceLROnPlateau(min_lr=-1) | ReduceLROnPlateau: min_lr must be 0 or more; got -1.
callbacks.ReduceLROnPlateau(min_delta="a") | ReduceLROnPlateau: min_delta must be a finite number; got 'a'.
callbacks.ReduceLROnPlateau(mode="mn") | Unknown mode 'mn': did you mean 'min'?
callbacks.TensorBoard(histogram_freq=-1) | TensorBoard: histogram_freq must be an integer of at least 0, but is -1.
callbacks.TerminateOnNaN("a") | TerminateOnNaN: raise_error must be True or False; got 'a'.
callbacks.ProgressBar(verbose="x") | verbose must be 0, 1, 2 or 'auto', but is 'x'.
callbacks.StochasticWeightAveraging(0, learning_rate="a") | StochasticWeightAveraging: learning_rate must be a
callbacks.StochasticWeightAveraging(1.5) | StochasticWeightAveraging: start_epoch must be an integer of at least 0
callbacks.EMAWeights(momentum="a") | EMAWeights: momentum must be a finite number; got 'a'.
callbacks.SnapshotEnsemble(2, last=0) | SnapshotEnsemble: last must be an integer of at least 1, but is 0.
"""

USED = r"""
compiled("sdg", "mse") | Unknown optimizer 'sdg': did you mean 'sgd'?
compiled("sgd", "mes") | Unknown loss 'mes': did you mean 'mse'?
compiled("sgd", "mse", metrics=["acuracy"]) | Unknown metric 'acuracy': did you mean 'accuracy'?
compiled("sgd", "mse", metrics="mae2") | Unknown metric 'mae2': did you mean 'mae'?
compiled("sgd", "mse",metrics=[3]) | A metric is a name, a class, an instance, a config or a function of
compiled(3, "mse") | An optimizer is a name, a class, an instance or a config, not 3.
compiled("sgd", 3) | A loss is a name, a class, an instance, a config or a function of
compiled("sgd", "mse", loss_weights="a") | compile: loss_weights must be finite numbers; got 'a'.
compiled("sgd", "mse", loss_weights=[1, 2]) | Model m has 1 outputs
compiled("sgd", "mse", loss_weights=nan) | compile: loss_weights must be finite numbers; got nan.
compiled("sgd", "mse", weighted_metrics=["maae"]) | Unknown metric 'maae': did you mean 'mae'?
compiled("sgd", "mse", steps_per_execution=0) | compile: steps_per_execution must be a whole number of 1 or more, or
compiled(None, "mse") | An optimizer is a name, a class, an instance or a config, not None.
compiled("sgd", {"a": "mse"}) | Model m has no output 'a', which loss names
compiled("sgd", ["mse", "mae"]) | Model m has 1 outputs

model().fit(X, Y + 1) | y[2] is 3, but the labels of 3 classes are 0 to 2.
model().fit(X, Y - 1) | y[0] is -1, but the labels of 3 classes are 0 to 2.
model().fit(X, Y + 0.5) | y[0] is 0.5, but a class label is an integer.
model().fit(X, np.eye(3)[Y]) | sparse_categorical_crossentropy: y_pred has shape (12, 3), so y_true
model().fit(X, np.eye(4)[Y]) | sparse_categorical_crossentropy: y_pred has shape (12, 3), so y_true
model("categorical_crossentropy").fit(X, Y) | categorical_crossentropy: y_true has shape (12,) and y_pred (12, 3)
model("categorical_crossentropy").fit(X, np.eye(4)[Y]) | categorical_crossentropy: y_true has shape (12, 4) and y_pred
model("binary_crossentropy", 1, "sigmoid").fit(X, np.eye(2)[Y % 2]) | binary_crossentropy: y_true has shape (12, 2) and
model("mse",1, None).fit(X, X[:, :2]) | mean_squared_error: y_true has shape (12, 2) and y_pred (12, 1); they
model("mse",3, None).fit(X, X[:, :2]) | mean_squared_error: y_true has shape (12, 2) and y_pred (12, 3); they
model("mse",1, None).fit(X, T.astype(complex)) | y must hold numbers, but its dtype is complex128; give real and
model("mse",1, None).fit(X, T.astype(str)) | y must hold numbers, but its dtype is <U32; encode text as numbers
model("mse",1, None).fit(X, [None]*12) | y must hold numbers, but its dtype is object (the first element is None

model().fit(X, Y, class_weight={3: 1}) | class_weight names class 3, but the classes are 0 to 2.
model().fit(X, Y, class_weight={"a": 1}) | class_weight: a class is an integer, but 'a' was given.
model().fit(X, Y, class_weight="balancd") | class_weight must be a dict class -> weight or 'balanced', but is
model().fit(X, Y, sample_weight=np.ones((12, 2))) | sample_weight has shape (12, 2), but must have (12,) or the leading
model("mse",1, None).fit(X, T, class_weight={0: 1}) | y[0] is 0.1257302210933933, but a class label is an integer.
model().fit(X, Y, class_weight={0: 1}, sample_weight=np.ones(12)) | class_weight and sample_weight cannot both be given

model().fit(X, Y, batch_size=0) | batch_size must be an integer of at least 1, but is 0.
model().fit(X, Y, epochs=-1) | epochs must be an integer of at least 0, but is -1.
model().fit(X, Y, epochs=1.5) | epochs must be an integer of at least 0, but is 1.5.
model().fit(X, Y, epochs="a") | epochs must be an integer of at least 0, but is 'a'.
model().fit(X, Y, verbose=3) | verbose must be 0, 1, 2 or 'auto', but is 3.
model().fit(X, Y, validation_split=1) | validation_split must be a number between 0 and 1, but is 1.
model().fit(X, Y, validation_data=X) | Model m has 1 outputs; got 0 targets (y).
model().fit(X, Y, validation_data=(X,)) | validation_data must be (x, y) or (x, y, sample_weight), but has 1
model().fit(X, Y, validation_freq="a") | validation_freq must be an integer of at least 1, but is 'a'.
model().fit(X, Y, validation_freq=1.5) | validation_freq must be an integer of at least 1, but is 1.5.
model().fit(X, Y, validation_freq=[]) | validation_freq must be an integer or a list of epochs, counted from 1
model().fit(X, Y, validation_freq=[0]) | validation_freq must be an integer or a list of epochs, counted from 1
model().fit(X, Y, validation_steps=0) | validation_steps must be an integer of at least 1, but is 0.
model().fit(X, Y, validation_steps=0, validation_data=(X, Y)) | validation_steps must be an integer of at least 1, but
model().fit(X, Y, validation_batch_size=0, validation_data=(X, Y)) | batch_size must be an integer of at least 1, but is
model().fit(X, Y, steps_per_epoch=1.5) | The number of steps must be an integer of at least 1, but is 1.5.
model().fit(X, Y, initial_epoch=-1) | initial_epoch must be an integer of at least 0, but is -1.
model().fit(X, Y, seed=-1) | seed must be at least 0, but is -1.
model().fit(X, Y, seed="a") | seed must be an integer of at least 0, but is 'a' of type str.
model().fit(X, Y, callbacks=[callbacks.EarlyStopping]) | callbacks: EarlyStopping is a class; give an instance
model().fit(X, Y, callbacks=3) | callbacks: 3 is no callback, it has none of the moments on_epoch_end
model().fit(X, Y, shuffle="yes") | shuffle must be True, False or a number of rows, but is 'yes'.
model().fit(X) | Model m has 1 outputs; got 0 targets (y).
model().fit(None, Y) | x is missing (None).
model().fit(X, None) | Model m has 1 outputs; got 0 targets (y).
model().fit(lambda: 3) | x must be arrays or give batches, but is of type function: call it, and
model().fit([], []) | x is empty: its shape is (0,).
model().fit(X[:0], Y[:0]) | x is empty: its shape is (0, 6).

model().evaluate(X, Y, batch_size=0) | batch_size must be an integer of at least 1, but is 0.
model().evaluate(X, Y, steps=0) | The number of steps must be an integer of at least 1, but is 0.
model().evaluate(X) | Model m has 1 outputs; got 0 targets (y).
model().evaluate(X, Y, verbose="a") | verbose must be 0, 1, 2 or 'auto', but is 'a'.
model().predict(X[:, :5]) | wants samples of shape (6,); got (5,).
model().predict(X, batch_size=0) | batch_size must be an integer of at least 1, but is 0.
model().predict(X[:0]) | x is empty: its shape is (0, 6).
model().predict(X, steps=0) | steps must be an integer of at least 1, but is 0.
model().predict(X, mc=0) | mc must be an integer of at least 1, but is 0.
model().predict(X, verbose="x") | verbose must be 0, 1, 2 or 'auto', but is 'x'.
model().predict("a") | x must hold numbers, but its dtype is <U1; encode text as numbers first.
model().predict(None) | x is missing (None).
model().predict_on_batch(X[:, :2]) | wants samples of shape (6,); got (2,).
model().train_on_batch(X) | Model m has 1 outputs; got 0 targets (y).
model().test_on_batch(X, Y + 5) | y[0] is 5, but the labels of 3 classes are 0 to 2.
model().predict(np.full((2, 6), nan)) | x[0, 0] is nan, but only finite numbers can be computed with.
model().set_weights([1]) | m has 2 weight arrays; got 1.
model().get_layer("x") | Model m has no layer 'x'; it has
model().get_layer(index=5) | Model m has 1 layers; there is no index 5.
model().get_layer() | get_layer takes a name or an index, one of them.

fastnn.utils.set_random_seed(-1) | seed must be at least 0, but is -1.
fastnn.utils.to_categorical([0, 5], 3) | x holds the label 5, but 3 classes are 0 to 2.
fastnn.utils.to_categorical([0.5]) | x holds numbers that are not integers: to_categorical wants class
fastnn.set_backend("nativ") | There is no backend 'nativ'; there are native, numba, numpy.
fastnn.set_num_threads(0) | The number of threads must be a whole number from 1 to 256, not 0.
fastnn.lr_find(model(), X, Y, steps=1) | lr_find: steps must be an integer of at least 2, but is 1.
layers.Dense(3)(np.zeros(2)) | Dense
layers.Dense(3)("a") | Layer
layers.Add()([np.zeros((1, 2)), np.zeros((1, 3))]) | add: the shapes [1, 2] and [1, 3] do not broadcast together.
layers.Add()(np.zeros((1, 2))) | Add
layers.Concatenate()([np.zeros((1, 2)), np.zeros((2, 2))]) | concatenate along axis 1 needs equal shapes elsewhere
layers.Reshape((5,))(np.zeros((1, 6))) | samples of shape (6,) can't become (5,): the sizes differ.
layers.Dense(3, kernel_initializer=lambda s, dtype: np.zeros(2))(np.zeros((1, 2))) | the initializer of kernel gave
layers.PReLU(shared_axes=[3])(np.zeros((1, 2))) | there is no axis 3 to share in the shape (None, 2).
layers.BatchNormalization(axis=1)(np.zeros((1, 2, 3))) | axis is 1
layers.Dropout(0.5, noise_shape=(None, 3))(np.zeros((1, 2)), training=True) | noise_shape is (None, 3); each size
"""

NAMES = {"activations": activations, "callbacks": callbacks, "compiled": compiled, "constraints": constraints,
         "fastnn": fastnn, "initializers": initializers, "layers": layers, "losses": losses, "metrics": metrics,
         "model": model, "nan": nan, "np": np, "regularizers": regularizers, "T": T, "X": X, "Y": Y}
LINES = [line.split(" | ") for line in (MADE + USED).splitlines() if line]


@pytest.mark.parametrize(("expression", "sentence"), LINES, ids=[expression for expression, _ in LINES])
def test_refused(expression, sentence):
    with warnings.catch_warnings(), pytest.raises((ValueError, TypeError)) as caught:
        warnings.simplefilter("error")
        eval(expression, dict(NAMES))
    said = str(caught.value)
    assert sentence in said
    assert "\n" not in said and said[-1] in ".?"


def test_no_line_stands_twice():
    assert len({expression for expression, _ in LINES}) == len(LINES)
