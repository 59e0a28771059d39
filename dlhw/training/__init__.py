"""The one engine: tf.GradientTape, compiled. `Trainer` trains one model in mini-batches, `fit` one on the whole batch,
`fit_many` many small ones at once."""

from dlhw.measure.losses import cross_entropy
from dlhw.training.ensemble import fit_many
from dlhw.training.epochs import Stopped, Trainer, every
from dlhw.training.history import Curves, History
from dlhw.training.loop import fit, train_step, use_xla
from dlhw.training.optimizers import OPTIMIZERS, Optimizer, as_optimizer, optimizer

__all__ = [
    "OPTIMIZERS",
    "Curves",
    "History",
    "Optimizer",
    "Stopped",
    "Trainer",
    "as_optimizer",
    "cross_entropy",
    "every",
    "fit",
    "fit_many",
    "optimizer",
    "train_step",
    "use_xla",
]
