"""Random labels."""

from __future__ import annotations

import functools

import numpy as np

from benchmarks.reproduce.reproduction import Reproduction, Values

SEEDS = range(3)
EPOCHS, FITTED = 250, 0.99


@functools.cache
def trained(seed: int, noise: float) -> tuple[float, float, float, float]:
    """Return training accuracy, test accuracy, epochs to 99 % and Jacobian norm of a net on digits."""
    from dlhw import datasets, measure, models, training

    data = datasets.load("digits")
    labels = datasets.shuffle_labels(data.y_train, noise=noise, seed=seed) if noise else data.y_train
    net = models.image_net("200-100", data.shape, data.classes, seed=seed)
    trainer = training.Trainer(net, batch_size=64, optimizer=training.optimizer("adam", 0.001))
    curves = trainer.fit((data.x_train, labels), (data.x_test, data.y_test), epochs=EPOCHS, seed=seed)
    fitted = np.flatnonzero(curves.train_accuracy >= FITTED)
    epochs = float(fitted[0]) if len(fitted) else float("nan")
    jacobian = measure.jacobian_norm(net, data.x_test).mean
    return float(curves.train_accuracy[-1]), float(curves.test_accuracy[-1]), epochs, float(jacobian)


def training_accuracy() -> Values:
    """Return the training accuracy on random labels, by seed."""
    return {f"seed {seed}": trained(seed, 1.0)[0] for seed in SEEDS}


def slowdown() -> Values:
    """Return how many times as many epochs random labels take, by seed."""
    return {f"seed {seed}": trained(seed, 1.0)[2] / trained(seed, 0.0)[2] for seed in SEEDS}


def jacobian_ratio() -> Values:
    """Return the Jacobian norm after random labels over that after true ones, by seed."""
    return {f"seed {seed}": trained(seed, 1.0)[3] / trained(seed, 0.0)[3] for seed in SEEDS}


ZHANG = "Zhang et al. 2017: Understanding deep learning requires rethinking generalization"

REPRODUCTIONS = (
    Reproduction(
        "random-labels",
        ZHANG,
        "section 2.1, table 1",
        "A net fits labels that were drawn at random: the training error becomes 0.",
        "accuracy 1.0",
        "Accuracy on the training set with shuffled labels",
        "64-200-100-10 on digits, Adam at 0.001, batch 64, 250 epochs",
        FITTED,
        1.0,
        training_accuracy,
        "Theirs are large convolutional nets on CIFAR-10.",
        command="dlhw random-labels --data digits --seeds 3",
    ),
    Reproduction(
        "random-labels-slowdown",
        ZHANG,
        "section 2.1, figure 1b",
        "Fitting random labels takes longer by a small constant factor only.",
        "a small factor",
        f"Epochs to {FITTED:.0%} training accuracy with shuffled labels, over those with true ones",
        "the nets of random-labels",
        1.0,
        4.0,
        slowdown,
        "Digits with true labels are learned within some epochs by a net of this size, CIFAR-10 is not: the factor is "
        "a property of the task, and small only where the true labels are hard as well.",
        command="dlhw random-labels --data digits --seeds 3",
    ),
    Reproduction(
        "jacobian-of-random-labels",
        "Novak et al. 2018: Sensitivity and generalization in neural networks",
        "experiments on random labels",
        "Nets that were trained on random labels have a larger input-output Jacobian than those trained on true ones.",
        "ratio above 1",
        "Mean Frobenius norm of the Jacobian of the softmax on the test set, with shuffled over with true labels",
        "the nets of random-labels",
        1.0,
        float("inf"),
        jacobian_ratio,
    ),
)
