"""What is called while a model trains, with Keras's names."""

from .backup import BackupAndRestore
from .callback import Callback, CallbackList
from .history import History
from .monitor import EarlyStopping, ModelCheckpoint
from .plateau import ReduceLROnPlateau
from .progress import ProgressBar, check_verbose
from .simple import CSVLogger, LambdaCallback, LearningRateScheduler, TerminateOnNaN

ProgbarLogger = ProgressBar  # Keras's name

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
    "check_verbose",
]
