"""The one engine: tf.GradientTape, compiled. `fit` trains one model, `fit_many` many at once."""

from dlhw.training.ensemble import fit_many
from dlhw.training.history import History
from dlhw.training.loop import fit, train_step, use_xla
from dlhw.training.optimizers import OPTIMIZERS, Optimizer, optimizer

__all__ = ["OPTIMIZERS", "History", "Optimizer", "fit", "fit_many", "optimizer", "train_step", "use_xla"]
