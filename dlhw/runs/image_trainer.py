"""Data and compiled trainers of a run on images, shared by its threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlhw import datasets
from dlhw.choices import Device, Layout, Xla
from dlhw.errors import require
from dlhw.models.architectures import parse_layers
from dlhw.runs.base_settings import ImageSettings
from dlhw.runs.context import Context
from dlhw.runs.image_recorder import TrainingRecorder
from dlhw.runs.jobs import Job
from dlhw.runs.tasks import Task
from dlhw.runs.tuning import VALIDATION_SHARE

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from dlhw._tf.compiled import Programs
    from dlhw.training import Trainer


class ImageTrainer:
    """Trains jobs; a thread that trains the same net again compiles nothing again.

    It is pickled as its settings; a process that unpickles it twice gets one object.

    Args:
        settings: what all trainings share.
        context: of the run.
        trainings: number of trainings; it decides whether several devices train one net together or one each.
    """

    def __init__(self, settings: ImageSettings, context: Context, trainings: int = 1) -> None:
        self.settings, self.context, self.trainings = settings, context, trainings
        self.plan = context.plan(trainings)
        self.own, self.lock = threading.local(), threading.Lock()
        self.next_device = itertools.cycle(self.plan.devices)
        self.copies: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}

    def __reduce__(self) -> Any:
        c = self.context
        return _unpickled, (self.settings, c.device, c.xla, c.layout, c.data_dir, self.trainings)

    def check_batches(self, sizes: Sequence[int]) -> None:
        """Refuse batches that the replicas cannot share; if replicas were chosen automatically, use one device."""
        replicas, size = len(self.plan.devices) * self.plan.workers, min(sizes)
        if not self.plan.synchronous or size >= replicas:
            return
        few = f"batch size {size} is smaller than the {replicas} replicas that share a batch"
        is_automatic = self.context.strategy == "auto" and self.plan.kind == "mirrored"
        require(is_automatic, f"{few}; use a larger batch or fewer `replicas`")
        self.plan = replace(self.plan, kind="none", devices=self.plan.devices[:1], why=few)
        self.next_device = itertools.cycle(self.plan.devices)

    def load_data(self) -> None:
        """Load the data, once."""
        with self.lock:
            if not hasattr(self, "data"):
                s = self.settings
                self.data = datasets.load(
                    s.data, folder=self.context.data_dir, examples=s.examples or None, seed=s.seed
                )

    @property
    def device(self) -> str:
        """The device of this thread: threads take the devices in turn, unless these train together."""
        if not hasattr(self.own, "device"):
            with self.lock:
                self.own.device = self.plan.devices[0] if self.plan.synchronous else next(self.next_device)
        return str(self.own.device)

    @property
    def images(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Training and test images on the device of this thread."""
        import tensorflow as tf

        self.load_data()
        device = self.device
        with self.lock:
            if device not in self.copies:
                with tf.device(device):
                    self.copies[device] = tf.constant(self.data.x_train), tf.constant(self.data.x_test)
        return self.copies[device]

    def _examples(self, job: Job) -> tuple[tuple[tf.Tensor, np.ndarray], tuple[tf.Tensor, np.ndarray]]:
        """Return images and labels that a job trains on, and those that it evaluates after every epoch."""
        import tensorflow as tf

        labels = self.data.y_train if job.labels is None else job.labels(self.data.y_train)
        if not job.validation:
            return (self.images[0], labels), (self.images[1], self.data.y_test)
        parts = datasets.held_out(self.data.y_train, VALIDATION_SHARE)
        train, validation = ((tf.gather(self.images[0], rows), labels[rows]) for rows in parts)
        return train, validation

    def evaluation_subset(self) -> tuple[tf.Tensor, np.ndarray]:
        """Return the training examples that are evaluated: images as a tensor, true labels."""
        import tensorflow as tf

        n = self.settings.training_examples
        if self.settings.full_train_metrics or n <= datasets.EVALUATED:
            return self.images[0], self.data.y_train
        rows = datasets.fixed_sample(n, datasets.EVALUATED)
        return tf.gather(self.images[0], rows), self.data.y_train[rows]

    def net(self, net: str, dtype: str) -> keras.Model:
        """Return the model of a net string for these images, in a precision or policy of Keras."""
        from dlhw import models

        s = self.settings
        shape, classes = self.data.shape, self.data.classes
        return models.image_net(net, shape, classes, activation=s.activation, init=s.init, dtype=dtype)

    def wants_layout(self, job: Job) -> bool:
        """Whether the training of a job takes the batch-innermost layout, told before TensorFlow is initialized."""
        from dlhw.models.layout_rule import pays

        c, kinds = self.context, {layer.kind for layer in parse_layers(job.net)}
        if c.layout != "auto" or c.xla == "off" or self.settings.precision != "float32" or self.plan.synchronous:
            return c.layout == "batch-innermost"
        if any("GPU" in device for device in self.plan.devices):
            return False
        examples = job.epochs * self.settings.training_examples
        return pays("training", examples, convolves="conv" in kinds, pools="pool" in kinds)

    def train(self, job: Job, task: Task) -> dict[str, np.ndarray]:
        """Train one net from its initial weights, or from the state of an earlier process; a packed TrainingRecord."""
        import tensorflow as tf

        from dlhw import models
        from dlhw._tf.compiled import sharing

        s = self.settings
        self.load_data()
        with tf.device(self.device), sharing(self._programs()):
            trainer = self._trainer(job)
            init_seed = job.seed if job.init_seed is None else job.init_seed
            init = (job.settings or s).init
            trainer.model.set_weights(models.draw_weights(s.kernels(job.net), init=init, seed=init_seed))
            folder = self.context.tensorboard if self.plan.chief else None
            recorder = TrainingRecorder(
                job,
                task,
                self.data,
                folder,
                lambda: self.net(job.net, "float64") if s.precision == "mixed" else None,
                self.context.live_page,
            )
            train, evaluated = self._examples(job)
            curves = trainer.fit(
                train,
                evaluated,
                epochs=job.epochs,
                updates=job.updates,
                seed=job.seed,
                train_eval_examples=None if s.full_train_metrics else datasets.EVALUATED,
                hooks=[recorder],
                log=recorder.log if recorder.writer is not None or recorder.live_page is not None else None,
                progress=task.report,
                should_stop=task.should_stop,
                checkpoint=recorder.checkpoint,
                initial_state=recorder.state,
                converged=_stopping_rule(job, train[1]),
            )
            recorder.measure_at_end(trainer.model, curves)
        return recorder.record(curves, trainer.layout).pack()

    def _programs(self) -> Programs:
        """Return the compiled measurements of this thread, which all trainings of a net share."""
        if not hasattr(self.own, "programs"):
            self.own.programs = {}
        return self.own.programs

    def _model(self, net: str) -> keras.Model:
        """Return the model of a net, which the thread keeps: every training sets its weights."""
        if getattr(self.own, "net", None) != net:
            dtype = "float32" if self.settings.precision == "float32" else "mixed_bfloat16"
            self.own.net, self.own.model = net, self.net(net, dtype)
            self._programs().clear()
        return self.own.model

    def _trainer(self, job: Job) -> Trainer:
        """Return the trainer of jobs of this kind, which the thread keeps."""
        from dlhw.training import Trainer, use_xla
        from dlhw.training.distributed import plan as plans

        s, xla = self.settings, self.context.xla
        steps = job.epochs * s.steps_per_epoch(job.batch_size)
        optimizer = (job.settings or s).make_optimizer(job.learning_rate)
        kind = job.net, job.batch_size, optimizer, job.record_updates, steps
        if getattr(self.own, "kind", None) != kind:
            model = self._model(job.net)
            self.own.trainer = Trainer(
                model,
                batch_size=job.batch_size,
                optimizer=optimizer,
                xla=use_xla(model, steps) if xla == "auto" else xla == "on",
                layout="plain" if xla == "off" else self.context.layout,
                record=job.record_updates,
                strategy=plans.strategy(self.plan) if self.plan.synchronous else None,
            )
            self.own.kind = kind
        return self.own.trainer


def _stopping_rule(job: Job, labels: np.ndarray) -> Callable[[np.ndarray], bool] | None:
    """Return the rule by which a training on these labels stops, as a function of its losses; None: it does not."""
    from dlhw.training import convergence

    target = job.target_loss
    if target is not None:
        return lambda losses: bool(losses[-1] <= target)
    if not job.until_converged:
        return None
    constant = convergence.entropy(labels)
    return lambda losses: bool(convergence.OVER_EPOCHS.reached(losses, constant))


_UNPICKLED: dict[str, ImageTrainer] = {}


def _unpickled(
    settings: ImageSettings, device: Device, xla: Xla, layout: Layout, data_dir: Path | None, trainings: int
) -> ImageTrainer:
    key = repr((settings, device, xla, layout, data_dir, trainings))
    if key not in _UNPICKLED:
        from dlhw.models.forward import set_layout

        set_layout(layout)
        _UNPICKLED.clear()  # data of another run are of no more use here
        context = Context(device=device, xla=xla, layout=layout, data_dir=data_dir, strategy="none")
        _UNPICKLED[key] = ImageTrainer(settings, context, trainings)
    return _UNPICKLED[key]
