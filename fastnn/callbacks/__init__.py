"""What is called while a model trains, with Keras's names."""

from .averaging import EMAWeights, SnapshotEnsemble, StochasticWeightAveraging, SwapEMAWeights
from .backup import BackupAndRestore
from .callback import Callback, CallbackList
from .history import History
from .monitor import EarlyStopping, ModelCheckpoint
from .plateau import ReduceLROnPlateau
from .progress import ProgressBar, check_verbose
from .simple import CSVLogger, LambdaCallback, LearningRateScheduler, TerminateOnNaN
from .tensorboard import TensorBoard

ProgbarLogger = ProgressBar  # Keras's name

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EMAWeights",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "SnapshotEnsemble",
    "StochasticWeightAveraging",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "check_verbose",
]
