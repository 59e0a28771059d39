"""Rules on random labels, on trainings in NumPy whose labels are shuffled once, anew, in part or not at all.

Would miss: a few per cent of true labels among shuffled ones; labels drawn anew for a net that stops learning in the
first epochs, or seen for fewer than eight; accuracies under chance in a net that has hardly learned.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.stats import kendalltau

from dlhw.checks.trends import tau
from tests.checks import mlp

FACTS = {"classes": 10, "examples": 400, "test_examples": 597}
EPOCHS = 16
ALL = {"train_loss", "test_loss", "train_accuracy", "test_accuracy"}


@functools.cache
def run(seed, shuffled=1.0, anew=False, rate=0.1):
    """Train 100 units on 400 digits; `shuffled`: part of the labels."""
    x, y, x_test, y_test = mlp.digits()
    x, y = x[:400], y[:400]
    weights, rng, rows = mlp.start(seed, 100), np.random.default_rng(seed), []

    def shuffle():
        labels, chosen = y.copy(), rng.permutation(len(y))[: int(shuffled * len(y))]
        labels[chosen] = labels[rng.permutation(chosen)]
        return labels

    labels = shuffle()
    for _ in range(EPOCHS):
        labels = shuffle() if anew else labels
        mlp.epoch(weights, x, labels, rng, rate, batch=16)
        rows.append((*mlp.evaluate(weights, x, labels), *mlp.evaluate(weights, x_test, y_test)))
    return rows


def table(*arguments, names=ALL, **options):
    values = mlp.columns(run(*arguments, **options))
    return {name: v for name, v in values.items() if name in names | {"epoch"}} | FACTS


@pytest.mark.parametrize("names", [ALL, {"train_accuracy", "test_accuracy"}, {"train_loss", "test_loss"}])
@pytest.mark.parametrize("seed", range(4))
def test_labels_that_are_shuffled_once_are_right(seed, names):
    assert mlp.codes("random-labels", **table(seed, names=names)) == set()
    hardly = table(seed, names=names, rate=0.002)  # learns next to nothing in 16 epochs
    assert mlp.codes("random-labels", **hardly) == set()
    assert mlp.lacking("random-labels", "labels-drawn-anew", **hardly) or "train_accuracy" in names


@pytest.mark.parametrize("names", [ALL, {"train_accuracy", "test_accuracy"}])
@pytest.mark.parametrize("seed", range(4))
def test_labels_that_are_drawn_anew_are_named(seed, names):
    assert mlp.codes("random-labels", **table(seed, anew=True, names=names)) == {"labels-drawn-anew"}


def test_labels_drawn_anew_need_eight_epochs():
    values = {name: v[:7] if np.ndim(v) else v for name, v in table(0, anew=True).items()}
    assert "8 epochs" in mlp.lacking("random-labels", "labels-drawn-anew", **values)


@pytest.mark.parametrize(("noise", "trend", "marked"), [(1.0, 0.0, True), (0.2, 0.0, False), (1.0, 3.0, False)])
def test_labels_drawn_anew_from_both_sides(noise, trend, marked):
    """Accuracies of guesses without trend carry the mark; those that hardly differ, or that rise, do not."""
    rng, guesses = np.random.default_rng(0), np.sqrt(0.09 / 5000)
    accuracy = 0.1 + guesses * (noise * rng.normal(size=40) + trend * np.linspace(0, 3, 40))
    values = {"epoch": np.arange(1, 41), "train_accuracy": accuracy, "classes": 10, "examples": 5000}
    assert ("labels-drawn-anew" in mlp.codes("random-labels", **values)) == marked


def test_tau_is_that_of_scipy():
    values = np.random.default_rng(0).permutation(30) + np.arange(30)  # hardly a tie
    values = values + 1e-3 * np.arange(30)
    assert tau(values) == pytest.approx(kendalltau(np.arange(30), values).statistic, abs=1e-12)
    assert tau([1, 1, 2]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("shuffled", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("names", [ALL, {"train_accuracy", "test_accuracy"}])
def test_true_labels_among_the_shuffled_ones_are_named(shuffled, names):
    assert mlp.codes("random-labels", **table(0, shuffled, names=names)) == {"labels-leaked"}


def test_leaked_labels_from_both_sides():
    """The threshold is 0.17 of the way from chance to 1, an accuracy of 0.253."""
    for accuracy, marked in ((0.245, False), (0.26, True)):
        values = {"epoch": [1, 2, 3], "test_accuracy": [accuracy] * 3, "train_accuracy": [0.3, 0.5, 0.7]}
        assert ("labels-leaked" in mlp.codes("random-labels", **values, classes=10)) == marked
    for loss, marked in ((0.93, False), (0.92, True)):
        values = {"epoch": [1, 2, 3], "test_loss": np.array([1.01, loss, 1.2]) * np.log(10)}
        assert ("labels-leaked" in mlp.codes("random-labels", **values, classes=10)) == marked
    untrained = {"epoch": [0, 1, 2, 3], "test_accuracy": [0.9, 0.1, 0.1, 0.1]}  # epoch 0 has learned nothing
    assert mlp.codes("random-labels", **untrained) == set()
    assert mlp.lacking("random-labels", "labels-leaked", epoch=[1, 2], train_accuracy=[0.1, 0.2])


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_against_other_labels_is_under_chance(seed):
    """A net that has learned its labels by heart, evaluated on labels numbered from 1."""
    x, y, *_ = mlp.digits()
    accuracy = mlp.evaluate(mlp.trained(seed), x, (y + 1) % 10)[1]
    values = {"epoch": [8], "train_accuracy": [accuracy], "classes": 10, "examples": len(y)}
    assert mlp.codes("random-labels", **values) == {"train-accuracy-under-chance"}


def test_under_chance_from_both_sides():
    """0.09 - 3 sqrt(0.09/60000) = 0.0863 for 60000 examples, and 0.0615 for 1000."""
    for accuracy, examples, marked in (
        (0.0866, 60000, False),
        (0.0861, 60000, True),
        (0.062, 1000, False),
        (0.061, 1000, True),
    ):
        values = {"epoch": [0, 1], "train_accuracy": [accuracy, 0.12], "classes": 10, "examples": examples}
        assert mlp.codes("random-labels", **values) == ({"train-accuracy-under-chance"} if marked else set())
    assert "number" in mlp.lacking("random-labels", "train-accuracy-under-chance", epoch=[0], train_accuracy=[0.07])


def test_guesses_are_under_chance_as_rarely_as_the_binomial_gives():
    """40000 tables of guesses on 500 examples."""
    accuracies = np.random.default_rng(1).binomial(500, 0.1, 40000) / 500
    bound = 0.09 - 3 * np.sqrt(0.09 / 500)
    assert (accuracies < bound).mean() < 1e-3


def test_tau_of_a_long_sequence_is_that_of_part_of_it():
    values = np.random.default_rng(0).normal(size=100_000) + np.linspace(0, 2, 100_000)
    assert tau(values) == pytest.approx(kendalltau(np.arange(1000), values[::100]).statistic, abs=0.06)
