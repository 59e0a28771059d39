"""What the trainings of one run on images share, and what one of them keeps."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlhw import architectures, datasets
from dlhw._labels import MEASURED, fixed_sample
from dlhw.context import Context, Device, Xla
from dlhw.errors import require
from dlhw.experiments import _curves, _parts

if TYPE_CHECKING:
    from dlhw.experiments._images import ImageSettings, Job

RECORDS = ("step_loss", "gradient_norm", "layer_gradient_norms")
KEEP_SECONDS = 30.0
"""Between two states of one training: enough that writing them costs nothing, little to lose."""


class Shared:
    """Data and compiled trainers of a run: a thread that trains the same net again compiles nothing again.

    trainings: how many there are; they decide whether several devices train one net together or one each.
    Pickled, it travels as its settings, and a process that unpickles it twice has one.
    """

    def __init__(self, settings: ImageSettings, context: Context, trainings: int = 1) -> None:
        from dlhw.training import distribution

        self.settings, self.context, self.trainings = settings, context, trainings
        self.plan = distribution.plan(context, trainings)
        self.own, self.lock = threading.local(), threading.Lock()
        self.turn = itertools.cycle(self.plan.devices)
        self.copies: dict[str, tuple[Any, Any]] = {}

    def __reduce__(self) -> Any:
        c = self.context
        return _unpickled, (self.settings, c.device, c.xla, c.data_dir, self.trainings)

    def check_batches(self, sizes: Sequence[int]) -> None:
        """Refuse batches that the replicas cannot share; where nobody asked for replicas, do without them."""
        replicas, size = len(self.plan.devices) * self.plan.workers, min(sizes)
        if not self.plan.together or size >= replicas:
            return
        few = f"batch size {size} is smaller than the {replicas} replicas that share a batch"
        chosen = self.context.strategy == "auto" and self.plan.kind == "mirrored"
        require(chosen, f"{few}; use a larger batch or fewer --replicas")
        self.plan = replace(self.plan, kind="none", devices=self.plan.devices[:1], why=few)
        self.turn = itertools.cycle(self.plan.devices)

    def prepare(self) -> None:
        """Load the data, once."""
        with self.lock:
            if not hasattr(self, "data"):
                some = self.settings.examples or None
                self.data = datasets.load(
                    self.settings.data, folder=self.context.data_dir, examples=some, seed=self.settings.seed
                )

    @property
    def device(self) -> str:
        """That of this thread: threads take the devices in turn, unless these train together."""
        if not hasattr(self.own, "device"):
            with self.lock:
                self.own.device = self.plan.devices[0] if self.plan.together else next(self.turn)
        return self.own.device

    @property
    def images(self) -> tuple[Any, Any]:
        """Training and test images on the device of this thread."""
        import tensorflow as tf

        self.prepare()
        device = self.device
        with self.lock:
            if device not in self.copies:
                with tf.device(device):
                    self.copies[device] = tf.constant(self.data.x_train), tf.constant(self.data.x_test)
        return self.copies[device]

    def sample(self) -> tuple[Any, np.ndarray]:
        """The training examples that are measured: images as a tensor, true labels."""
        import tensorflow as tf

        n = self.settings.training_examples
        if self.settings.full_train_metrics or n <= MEASURED:
            return self.images[0], self.data.y_train
        some = fixed_sample(n, MEASURED)
        return tf.gather(self.images[0], some), self.data.y_train[some]

    def net(self, net: str, dtype: str) -> Any:
        """The model of a net string, for these images, in a precision or policy of Keras."""
        from dlhw import models

        s = self.settings
        about = self.data.shape, self.data.classes
        return models.image_net(net, *about, activation=s.activation, init=s.init, dtype=dtype)

    def trainer(self, job: Job) -> Any:
        """A trainer for jobs of this kind, kept by the thread."""
        from dlhw.training import Trainer, distribution, optimizer, use_xla

        s, xla = self.settings, self.context.xla
        steps = job.epochs * -(-s.training_examples // job.batch_size)
        kind = job.net, job.batch_size, job.learning_rate, job.record, steps
        if getattr(self.own, "kind", None) != kind:
            model = self.net(job.net, "float32" if s.precision == "float32" else "mixed_bfloat16")
            self.own.trainer = Trainer(
                model,
                batch_size=job.batch_size,
                optimizer=optimizer(s.optimizer, job.learning_rate, s.momentum),
                xla=use_xla(model, steps) if xla == "auto" else xla == "on",
                record=job.record,
                strategy=distribution.strategy(self.plan) if self.plan.together else None,
            )
            self.own.kind = kind
        return self.own.trainer

    def train(self, job: Job, part: _parts.Part) -> dict[str, np.ndarray]:
        """Train one net from its start, or from the state that an earlier process left, and return its arrays."""
        import tensorflow as tf

        from dlhw import models

        s = self.settings
        self.prepare()
        with tf.device(self.device):
            trainer = self.trainer(job)
            shapes = architectures.kernels(job.net, self.data.shape, self.data.classes)
            start = job.seed if job.start is None else job.start
            trainer.model.set_weights(models.draw_weights(shapes, init=s.init, seed=start))
            labels = self.data.y_train if job.labels is None else job.labels(self.data.y_train)
            seen = _Seen(self, job, part)
            curves = trainer.fit(
                (self.images[0], labels),
                (self.images[1], self.data.y_test),
                epochs=job.epochs,
                updates=job.updates,
                seed=job.seed,
                measured=None if s.full_train_metrics else MEASURED,
                hooks=[seen],
                scalars=seen.tell if seen.board is not None else None,
                progress=part.report,
                stop=part.stop,
                keep=seen.keep,
                resume=seen.state,
            )
        if seen.board is not None:
            seen.board.close()
        arrays = {k: getattr(curves, k).astype(np.float32) for k in _curves.CURVES}
        if job.record:
            arrays |= {k: getattr(curves, k).astype(np.float32) for k in RECORDS}
        arrays["diverged_at"] = np.array(-1 if curves.diverged_at is None else curves.diverged_at)
        arrays["seconds"], arrays["compile_seconds"] = np.array(curves.seconds), np.array(curves.compile_seconds)
        return arrays | seen.found()


class _Seen:
    """What is kept of a training besides its curves: weights on the way, what a watch gave, and its state."""

    def __init__(self, shared: Shared, job: Job, part: _parts.Part) -> None:
        self.shared, self.job, self.part = shared, job, part
        self.kept: dict[str, np.ndarray] = {}
        self.weights: list[np.ndarray] = []
        self.state = part.state()
        self.due = time.monotonic() + KEEP_SECONDS
        for name, array in (self.state or {}).items():
            if name.startswith("seen "):
                self.kept[name.removeprefix("seen ")] = array
        self.weights = list(self.kept.pop("weights", ()))
        self.board, self.model = None, None
        self.copy: Any = None  # of the net, in float64
        if shared.context.tensorboard is not None and shared.plan.chief:
            from dlhw.training.board import Board

            self.board = Board(shared.context.tensorboard / part.name)

    def __call__(self, epoch: int, model: Any) -> None:
        """Called after every epoch."""
        from dlhw.measure import flat

        self.model = model
        if self.job.snapshot_every and epoch % self.job.snapshot_every == 0:
            self.weights.append(flat(model))
        if self.job.watch is not None:
            self.kept.update(self.job.watch(epoch, self._wide(model), self.shared.data))

    def tell(self, epoch: int, scalars: Mapping[str, float]) -> None:
        """Write what was measured, and the distribution of the weights, for TensorBoard."""
        from dlhw.training.board import weights_of

        if self.board is not None:
            self.board.write(epoch, scalars, weights_of(self.model))

    def _wide(self, model: Any) -> Any:
        """The net on which measures are taken: of one trained in mixed precision a copy in float64."""
        if self.shared.settings.precision == "float32":
            return model
        self.copy = self.copy or self.shared.net(self.job.net, "float64")
        self.copy.set_weights(model.get_weights())
        return self.copy

    def found(self) -> dict[str, np.ndarray]:
        """All of it."""
        return self.kept | ({"weights": np.stack(self.weights)} if self.weights else {})

    def keep(self, state: Callable[[], Mapping[str, np.ndarray]], now: bool) -> None:
        """Keep the state of the training, if it is time or the training stops here."""
        if now or time.monotonic() >= self.due:
            self.part.keep({**state(), **{f"seen {k}": v for k, v in self.found().items()}})
            self.due = time.monotonic() + KEEP_SECONDS


_UNPICKLED: dict[str, Shared] = {}


def _unpickled(settings: ImageSettings, device: Device, xla: Xla, data_dir: Path | None, trainings: int) -> Shared:
    key = repr((settings, device, xla, data_dir, trainings))
    if key not in _UNPICKLED:
        _UNPICKLED.clear()  # data of another run are of no more use here
        context = Context(device=device, xla=xla, data_dir=data_dir, strategy="none")
        _UNPICKLED[key] = Shared(settings, context, trainings)
    return _UNPICKLED[key]
