"""What happens around training: history, progress, stopping, learning rates, logs, checkpoints; or your own."""

from tinyllm.callbacks.base import Callback, History, LambdaCallback
from tinyllm.callbacks.logs import CSVLogger, LivePlot
from tinyllm.callbacks.monitors import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TerminateOnNaN
from tinyllm.callbacks.progress import ProgressBar
from tinyllm.callbacks.rates import LearningRateScheduler
from tinyllm.callbacks.resuming import Checkpoint

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "LivePlot",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
