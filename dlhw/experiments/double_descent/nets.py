"""Nets of one hidden layer, trained by squared error to the last epoch, and measured at the best one too."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlhw.choices import Xla
from dlhw.experiments.double_descent.samples import Labels, Samples
from dlhw.experiments.double_descent.spec import Settings
from dlhw.runs.tasks import Arrays, Task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from dlhw.training import Trainer


class NetTrainer:
    """Trains nets; a thread that trains the same width again compiles nothing again."""

    def __init__(self, settings: Settings, data: Samples, device: str, xla: Xla) -> None:
        self.settings, self.data, self.device, self.xla = settings, data, device, xla
        self.own = threading.local()

    def train(self, width: int, noise: float, seed: int, task: Task) -> Arrays:
        """Return errors, losses and norm after the last epoch, and after that of the lowest validation loss."""
        import tensorflow as tf

        from dlhw import models
        from dlhw.models import flat

        s, data, began = self.settings, self.data, time.perf_counter()
        labels = data.labels(noise, seed)
        with tf.device(self.device):
            trainer = self._trainer(width)
            net: keras.Model = trainer.model
            net.set_weights(models.draw_weights(s.kernels(str(width)), init=s.init, seed=seed))
            best = _BestEpoch(net)
            curves = trainer.fit(
                (self._images(data.x), labels),
                (self._images(data.x_validation), data.y_validation),
                epochs=s.epochs,
                seed=seed,
                progress=task.report,
                should_stop=task.should_stop,
                log=best.see,
            )
            last, at_end = self._measured(trainer, data.x_test, data.y_test), net.get_weights()
            norm = float(np.linalg.norm(flat(net)))
            train = self._measured(trainer, data.x, labels)
            net.set_weights(best.weights)
            early = self._measured(trainer, data.x_test, data.y_test)
            net.set_weights(at_end)
        values = (train[0], last[0], train[1], last[1], norm, early[0], early[1], float(best.epoch))
        names = ("net_train_error", "net_test_error", "net_train_loss", "net_test_loss", "net_norm")
        names += ("early_test_error", "early_test_loss", "early_epoch")  # type: ignore[assignment]
        has_diverged = curves.diverged_at is not None
        arrays = {n: np.array(np.nan if has_diverged else v) for n, v in zip(names, values, strict=True)}
        diverged_at = np.array(-1 if curves.diverged_at is None else curves.diverged_at)
        return arrays | {"diverged_at": diverged_at, "seconds": np.array(time.perf_counter() - began)}

    def _images(self, x: np.ndarray) -> np.ndarray:
        return x.astype(np.float32).reshape(len(x), *self.settings.info.shape)

    def _measured(self, trainer: Trainer, x: np.ndarray, y: Labels) -> tuple[float, float]:
        """Return error and squared error."""
        loss, accuracy = trainer.measure(self._images(x), y)
        return 1.0 - accuracy, loss

    def _trainer(self, width: int) -> Trainer:
        """Return the trainer of a width, which the thread keeps."""
        from dlhw import models
        from dlhw.training import Trainer, use_xla

        s = self.settings
        if getattr(self.own, "width", None) != width:
            net = models.image_net(str(width), s.info.shape, s.info.classes, activation=s.activation, init=s.init)
            steps = s.epochs * s.steps_per_epoch(s.batch_size)
            xla = use_xla(net, steps) if self.xla == "auto" else self.xla == "on"
            self.own.trainer = Trainer(
                net, batch_size=s.batch_size, optimizer=s.make_optimizer(), loss=squared_error, xla=xla
            )
            self.own.width = width
        trainer: Trainer = self.own.trainer
        return trainer


class _BestEpoch:
    """The weights after the epoch of the lowest validation loss so far, which the trainer evaluates as its test."""

    def __init__(self, net: keras.Model) -> None:
        self.net, self.loss, self.epoch = net, np.inf, 0
        self.weights: list[np.ndarray] = net.get_weights()

    def see(self, epoch: int, row: Mapping[str, float]) -> None:
        """Store the weights after an epoch if its loss is the lowest."""
        if row["test_loss"] < self.loss:
            self.loss, self.epoch, self.weights = row["test_loss"], epoch, self.net.get_weights()


def squared_error(labels: tf.Tensor, outputs: tf.Tensor) -> Any:
    """Return the squared error of every example against the one-hot label, summed over the classes."""
    import tensorflow as tf

    targets = tf.one_hot(tf.reshape(tf.cast(labels, tf.int32), [-1]), outputs.shape[-1], dtype=outputs.dtype)
    return tf.reduce_sum(tf.square(outputs - targets), -1)
