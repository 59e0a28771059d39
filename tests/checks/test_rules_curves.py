"""Rules on losses and accuracies against epochs, on trainings in NumPy and on Keras's own History.

Would miss: running means of a net whose loss falls by less than 3 % in its steepest epoch, or whose steepest epoch has
a large gap between training and test already; a base-10 logarithm in curves that begin after the first epoch.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.checks import mlp

FACTS = {"kind": "cross-entropy", "classes": 10}
SETTINGS = [(0, (30,), 0.1), (1, (30,), 0.1), (2, (100,), 0.3), (3, (20, 20), 0.1), (4, (60,), 0.03)]


def after(seed, widths, rate, first=1):
    return mlp.columns(mlp.curves(seed, 8, widths, rate)[0][first:], first)


@pytest.mark.parametrize(("seed", "widths", "rate"), SETTINGS)
def test_curves_after_the_epoch_are_right_and_running_means_are_named(seed, widths, rate):
    for first in (0, 1):
        assert mlp.codes("loss-curve", **after(seed, widths, rate, first), **FACTS) == set()
    running = mlp.columns(mlp.curves(seed, 8, widths, rate)[1])
    assert mlp.codes("loss-curve", **running, **FACTS) == {"running-mean"}
    assert mlp.codes("loss-curve", **after(seed, widths, rate)) == set()  # nothing known of the loss


def test_the_history_of_keras_is_a_running_mean_and_its_evaluate_is_not():
    import keras

    x, y, x_test, y_test = mlp.digits()
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(30, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    rows = []
    take = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: rows.append((*model.evaluate(x, y, 600, 0), *model.evaluate(x_test, y_test, 600, 0)))
    )
    history = model.fit(x, y, epochs=5, validation_data=(x_test, y_test), verbose=0, callbacks=[take]).history
    names = {
        "train_loss": "loss",
        "train_accuracy": "accuracy",
        "test_loss": "val_loss",
        "test_accuracy": "val_accuracy",
    }
    table = {"epoch": range(1, 6)} | {name: history[key] for name, key in names.items()}
    assert mlp.codes("loss-curve", **table, **FACTS) == {"running-mean"}
    assert mlp.codes("loss-curve", **mlp.columns(rows), **FACTS) == set()


def test_the_share_of_a_running_mean_from_both_sides():
    """The test loss halves; the mean of an exponential fall is 0.4427 above its end, of which 0.35 is the threshold."""
    above = 1 / np.log(2) - 1
    for share, marked in ((0.33, False), (0.37, True)):
        test = np.log(10) * 0.5 ** np.arange(1, 6)
        train = test * (1 + share * above)
        table = {"epoch": np.arange(1, 6), "train_loss": train, "test_loss": test}
        assert ("running-mean" in mlp.codes("loss-curve", **table, **FACTS)) == marked


def test_running_means_are_undecided_without_a_fall_every_epoch_and_both_losses():
    flat = {"epoch": [1, 2, 3], "train_loss": [2.29, 2.28, 2.27], "test_loss": [2.28, 2.27, 2.26]}
    assert "falls" in mlp.lacking("loss-curve", "running-mean", **flat, **FACTS)
    skipping = after(0, (30,), 0.1)
    skipping["epoch"] = skipping["epoch"] * 5
    assert "every epoch" in mlp.lacking("loss-curve", "running-mean", **skipping, **FACTS)
    assert mlp.lacking("loss-curve", "running-mean", epoch=[1, 2], train_loss=[2, 1], **FACTS)
    assert "number of classes" in mlp.lacking("loss-curve", "running-mean", **after(0, (30,), 0.1))


@pytest.mark.parametrize("name", ["loss-curve", "loss"])
def test_base_ten_and_sums_over_the_batch_are_named_at_the_start(name):
    values = after(0, (30,), 0.1, first=0)
    columns = {"loss": {"step": values["epoch"], "value": values["train_loss"]}, "loss-curve": values}[name]
    assert mlp.codes(name, **columns, **FACTS) == set()
    for factor, code in ((1 / np.log(10), "log-base-ten"), (32, "start-off"), (784, "start-off")):
        scaled = {k: v * factor if "loss" in k or k == "value" else v for k, v in columns.items()}
        assert mlp.codes(name, **scaled, **FACTS) == {code}
    if name == "loss":
        later = {"step": columns["step"][1:], "value": columns["value"][1:] / np.log(10)}
        assert mlp.lacking(name, "log-base-ten", **later, **FACTS)


def test_starts_from_both_sides():
    def codes(start, step=0, **facts):
        return mlp.codes("loss", step=[step, step + 1], value=[start, 0.5 * start], **(FACTS | facts))

    ten = np.log(10)
    assert codes(1.9 * ten) == set()
    assert codes(2.1 * ten) == {"start-off"}
    for start in (0.95, 1.0, 1.29):
        assert codes(start) == {"log-base-ten"}
    for start in (0.93, 1.31):  # pretrained, perhaps
        assert codes(start) == set()
    assert codes(1.0, step=1) == set()  # may be the loss after the first epoch
    assert codes(np.log(2)) == {"start-off"}  # binary cross entropy, averaged over the outputs
    assert codes(np.log(2), classes=2) == set()
    assert codes(ten / 10) == {"start-off"}
    assert codes(40.0, kind="mse") == set()
    assert "batches of 32" in mlp.reason("loss", "start-off", step=[0, 1], value=[32 * ten, 60], **FACTS)


def test_the_cross_entropy_of_wrong_predictions_from_both_sides():
    """The least a wrong prediction can cost: two classes of equal probability."""
    for factor, marked in ((0.97, True), (1.0, False)):
        loss = factor * 0.4 * np.log(2)
        table = {"epoch": [1], "train_loss": [round(loss, 6)], "train_accuracy": [0.600001]}
        assert ("loss-contradicts-accuracy" in mlp.codes("loss-curve", **table, **FACTS)) == marked
        assert mlp.lacking("loss-curve", "loss-contradicts-accuracy", **table)
        assert mlp.codes("loss-curve", **table, kind="mse") == set()


def test_no_net_undercuts_what_its_wrong_predictions_cost():
    """Weights of any size, trained or not."""
    x, y, *_ = mlp.digits()
    for seed in range(20):
        weights = [w * 3.0 ** (seed % 5 - 2) for w in (mlp.start(seed, 20) if seed % 2 else mlp.trained(0))]
        loss, accuracy = mlp.evaluate(weights, x, y)
        assert loss >= (1 - accuracy) * np.log(2)


def test_accuracies_outside_0_to_1_are_impossible():
    values = after(0, (30,), 0.1)
    below = values["test_accuracy"] - values["test_accuracy"].max() - 0.1
    assert "accuracy-out-of-range" in mlp.codes("loss-curve", **(values | {"test_accuracy": below}), **FACTS)
    sums = values["test_accuracy"] * 597
    assert "accuracy-out-of-range" in mlp.codes("loss-curve", **(values | {"test_accuracy": sums}), **FACTS)
    assert mlp.codes("loss-curve", **(values | {"test_accuracy": 100 * values["test_accuracy"]}), **FACTS) == set()


def test_losses_that_never_change_or_never_fall_are_named():
    steps = np.arange(6)
    assert mlp.codes("loss", step=steps, value=np.full(6, 0.4321)) == {"constant-loss"}
    assert mlp.codes("loss", step=steps, value=[0.4321] * 5 + [0.4322]) == set()
    assert "digits" in mlp.lacking("loss", "constant-loss", step=steps, value=np.full(6, 0.43))
    assert mlp.codes("loss", step=steps, value=[1.0, 1.11, 1.2, 1.3, 1.2, 1.4]) == {"never-below-the-start"}
    assert mlp.codes("loss", step=steps, value=[1.0, 1.09, 1.2, 1.3, 1.2, 1.4]) == set()


def test_exchanged_columns_are_named_where_the_net_overfits():
    x, y, x_test, y_test = mlp.digits()
    weights, rng, rows = mlp.start(0, 60), np.random.default_rng(0), []
    labels, y_test = (np.where(rng.random(len(v)) < 0.3, rng.integers(0, 10, len(v)), v) for v in (y[:150], y_test))
    for _ in range(60):
        mlp.epoch(weights, x[:150], labels, rng, 0.3, batch=10)
        rows.append((*mlp.evaluate(weights, x[:150], labels), *mlp.evaluate(weights, x_test, y_test)))
    right = mlp.columns(rows)
    swapped = right | {"train_loss": right["test_loss"], "test_loss": right["train_loss"]}
    assert mlp.codes("loss-curve", **right) == set()
    assert "train-and-test-swapped" in mlp.codes(
        "loss-curve", epoch=right["epoch"], **{k: swapped[k] for k in ("train_loss", "test_loss")}
    )
    assert mlp.lacking("loss-curve", "train-and-test-swapped", **after(0, (30,), 0.1), **FACTS)


def test_several_trainings_in_one_table_are_judged_by_their_means():
    tables = [mlp.columns(mlp.curves(seed, 8)[0][1:]) for seed in (0, 1)]
    running = [mlp.columns(mlp.curves(seed, 8)[1]) for seed in (0, 1)]
    for two, expected in ((tables, set()), (running, {"running-mean"})):
        joined = {name: np.concatenate([t[name] for t in two]) for name in two[0]}
        assert mlp.codes("loss-curve", **joined, **FACTS) == expected
