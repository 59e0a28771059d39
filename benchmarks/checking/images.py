"""Trainings of small classifiers: data, nets and compiled trainers of one setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray
Weights = list[Array]


@dataclass(frozen=True)
class Setting:
    """A net on data, and how it is trained."""

    data: str  # digits, mnist-5k, mnist, fashion-mnist, or blobs
    net: str
    optimizer: str = "sgd"
    rate: float = 0.02
    momentum: float = 0.9
    epochs: int = 15
    batch: int = 32
    examples: int = 0
    activation: str = "relu"

    @property
    def name(self) -> str:
        return f"{self.data}-{self.net}-{self.optimizer}-{self.rate:g}-{self.momentum:g}-{self.batch}-{self.examples}"


@dataclass(frozen=True)
class Data:
    x: Array
    y: Array
    x_test: Array
    y_test: Array
    classes: int

    @property
    def sizes(self) -> dict[str, int]:
        """Facts of the item random-labels."""
        return {"classes": self.classes, "examples": len(self.y), "test_examples": len(self.y_test)}


@cache
def load(name: str, examples: int = 0, most_tests: int = 2000) -> Data:
    """Return a data set: images, or `blobs`, 20 features of five classes as images of 4x5 pixels.

    `mnist-5k` is 5000 images of MNIST, 1000 for testing, drawn with another seed.
    """
    from dlhw import datasets

    if name == "blobs":
        from sklearn.datasets import make_classification

        x, y = make_classification(3000, 20, n_informative=10, n_classes=5, class_sep=1.4, random_state=1)
        x = ((x - x.mean(0)) / x.std(0)).reshape(-1, 4, 5, 1).astype("float32")
        y = y.astype("int32")
        return Data(x[: examples or 2000], y[: examples or 2000], x[2000:], y[2000:], 5)
    if name == "mnist-5k":
        d = datasets.load("mnist", examples=examples or 4000, seed=5)
        return Data(d.x_train, d.y_train, d.x_test[-1000:], d.y_test[-1000:], d.classes)
    d = datasets.load(name, examples=examples or None, seed=3)
    return Data(d.x_train, d.y_train, d.x_test[:most_tests], d.y_test[:most_tests], d.classes)


class Lab:
    """Trains the net of a setting; what was compiled for a batch size and optimizer serves every seed."""

    def __init__(self, setting: Setting, loss: Any = None, outputs: int | None = None) -> None:
        from dlhw import models, training

        self.setting, self.data = setting, load(setting.data, setting.examples)
        self.loss, self.shape = loss or training.cross_entropy, self.data.x.shape[1:]
        self.outputs = outputs or self.data.classes
        self.model = models.image_net(setting.net, self.shape, self.outputs, activation=setting.activation)
        self.trainers: dict[Any, Any] = {}

    def start(self, seed: int) -> Weights:
        from dlhw import models

        kernels = models.architectures.kernels(self.setting.net, self.shape, self.outputs)
        return models.draw_weights(kernels, init="torch", seed=seed)

    def train(
        self,
        seed: int,
        *,
        init_seed: int | None = None,
        labels: Array | None = None,
        weights: Weights | None = None,
        record: bool = False,
        hook: Callable[[int, Any], None] | None = None,
        tests: Array | None = None,
        **changes: Any,
    ) -> Any:
        """Train from a seed, or from weights, and return the curves; `changes` are those of the setting."""
        from dlhw import training

        s = replace(self.setting, **changes)
        kind = s.batch, s.optimizer, s.rate, s.momentum, record
        if kind not in self.trainers:
            momentum = s.momentum if s.optimizer in ("sgd", "nesterov") else 0.0
            optimizer = training.optimizer(s.optimizer, s.rate, momentum)
            self.trainers[kind] = training.Trainer(
                self.model,
                batch_size=s.batch,
                optimizer=optimizer,
                loss=self.loss,
                record=record,
                xla=False,  # compilation would take longer than these trainings
                layout="plain",
            )
        self.model.set_weights(weights or self.start(seed if init_seed is None else init_seed))
        d = self.data
        return self.trainers[kind].fit(
            (d.x, d.y if labels is None else labels),
            (d.x_test, d.y_test if tests is None else tests),
            epochs=s.epochs,
            seed=seed,
            train_eval_examples=None,
            hooks=[hook] if hook else [],
        )

    def weights(self) -> Weights:
        return [w.copy() for w in self.model.get_weights()]

    def logits(self, weights: Weights | None, x: Array) -> Array:
        if weights is not None:
            self.model.set_weights(weights)
        return np.asarray(self.model.predict_on_batch(x), float)


def evaluate(logits: Array, y: Array, log: Callable[[Array], Array] = np.log) -> tuple[float, float]:
    """Return cross entropy and accuracy of logits."""
    shifted = logits - logits.max(1, keepdims=True)
    p = np.exp(shifted)
    own = p[np.arange(len(y)), y] / p.sum(1)
    return float(-log(np.maximum(own, 1e-30)).mean()), float((logits.argmax(1) == y).mean())


CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


def columns(curves: Any, first: int = 1, names: Sequence[str] = CURVES) -> dict[str, Array]:
    """Return the columns of a table of curves from an epoch on."""
    values = {name: np.asarray(getattr(curves, name))[first:] for name in names}
    return {"epoch": np.arange(first, first + len(values[names[0]])), **values}
