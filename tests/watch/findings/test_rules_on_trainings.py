"""Rules on gradients, units, updates, rates and curves of a training, on both sides of each threshold."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from made_trainings import EPOCHS, FACTS, LAYERS, REGRESSION, STEPS, falling, training

from dlhw.watch.findings import batches, curves, finite, gradients, learning, rates, ratios, units
from dlhw.watch.findings.progress import chance, progress

STUCK = np.full(STEPS, 2.3)  # at the entropy of ten equal classes, 2.303
SLOW = falling(2.4, 2.1)


def judged(judge, facts=FACTS, **changes):
    return [(finding.severity, finding.layer) for finding in judge(*training(facts, **changes))]


def test_chance_is_the_loss_of_the_best_constant_output():
    """Against the loss of constant outputs on drawn labels and targets, searched for its minimum."""
    shares = np.array([0.5, 0.3, 0.2])
    candidates = np.random.default_rng(0).dirichlet([5, 3, 2], 20000)
    lowest = float((-(shares * np.log(candidates)).sum(axis=1)).min())
    assert chance(dataclasses.replace(FACTS, probe_label_shares=tuple(shares))) == pytest.approx(lowest, rel=1e-3)
    assert chance(FACTS) == pytest.approx(math.log(10))
    y = np.random.default_rng(0).normal(2, 3, 500)
    errors = [np.mean((y - c) ** 2) for c in np.linspace(-5, 5, 2001)]
    assert chance(dataclasses.replace(REGRESSION, probe_target_variance=float(y.var()))) == pytest.approx(
        min(errors), rel=1e-4
    )
    distances = [np.mean(abs(y - c)) for c in np.linspace(-5, 5, 2001)]
    absolute = dataclasses.replace(REGRESSION, loss="mean_absolute_error", probe_target_variance=float(y.var()))
    assert chance(absolute) == pytest.approx(min(distances), rel=0.03)  # of these draws, not of the distribution
    assert math.isnan(chance(dataclasses.replace(FACTS, loss="my_own")))
    assert math.isnan(chance(dataclasses.replace(FACTS, weighted="yes")))
    assert math.isnan(chance(dataclasses.replace(FACTS, probe_label_shares=(1.0,))))


def test_what_a_training_learned_is_the_removed_share_of_chance():
    state = progress(training(loss=falling(2.4, 0.23))[1])
    assert state.learned == pytest.approx(0.9, abs=0.01)
    assert not state.little
    unknown = progress(training({"loss": "my_own", "probe_label_shares": ()}, loss=falling(10.0, 5.0))[1])
    assert unknown.learned == pytest.approx(0.5, abs=0.05)
    assert progress(training(loss=np.full(20, 2.3))[1]).nothing is False  # too few steps to say so


def test_weights_of_examples_make_the_loss_another_one_than_that_of_the_probe():
    """A rare class that counts twenty times: losses are larger, and outputs are no shares of classes."""
    facts = dataclasses.replace(FACTS, probe_label_shares=(0.95, 0.05))
    case = {"loss": falling(1.4, 0.6), "probe_loss": np.array([0.7, 0.5, 0.4, 0.35, 0.3, 0.3])}
    assert judged(learning.nothing_learned, facts, **case) == [("severe", "")]
    weighted = dataclasses.replace(facts, weighted="yes")
    assert judged(learning.nothing_learned, weighted, **case) == []
    assert progress(training(weighted, **case)[1]).learned == pytest.approx(1 - 0.6 / 1.4, abs=0.03)


def test_regularizers_hide_what_was_learned_so_the_accuracy_decides():
    """Nine tenths right, where always naming one of ten classes gets a tenth."""
    facts = dataclasses.replace(FACTS, penalty=5.0)
    assert progress(training(facts, loss=np.full(STEPS, 4.0))[1]).learned == pytest.approx(0.8 / 0.9)
    guessing = training(facts, loss=np.full(STEPS, 4.0), probe_accuracy=0.1)[1]
    assert progress(guessing).nothing
    assert math.isnan(progress(training(facts, loss=np.full(STEPS, 4.0), probe_accuracy=np.nan)[1]).learned)
    assert progress(training(dataclasses.replace(FACTS, penalty=0.01), loss=STUCK)[1]).nothing


ONES = np.ones(LAYERS)
VANISHING = np.array([1e-7, 1e-5, 1e-3, 1e-1])


@pytest.mark.parametrize(
    ("norms", "loss", "expected"),
    [
        (ONES, STUCK, []),
        (VANISHING, STUCK, [("severe", "dense_0")]),
        (VANISHING, SLOW, [("warning", "dense_0")]),
        (VANISHING, falling(), [("note", "dense_0")]),
        (np.array([1.1e-3, 1, 1, 1]), STUCK, []),
        (np.array([0.9e-3, 1, 1, 1]), STUCK, [("severe", "dense_0")]),
        (np.array([1, 1e-4, 1, 1]), STUCK, []),  # not from the input on
        (VANISHING[::-1], STUCK, []),
    ],
)
def test_gradient_vanishes(norms, loss, expected):
    assert judged(gradients.gradient_vanishes, gradient_norm=norms, loss=loss) == expected


def test_the_layer_from_which_on_the_gradient_is_small_is_named():
    """dense_2 has a hundredth of the gradient of the last layer, dense_1 a ten thousandth."""
    text = gradients.gradient_vanishes(*training(gradient_norm=VANISHING, loss=STUCK))[0].text
    assert "from dense_1 on" in text


def test_the_gradient_of_a_layer_is_compared_by_the_size_of_its_entries():
    """A thousandth of the norm in a thousandth of the entries is nearly as much for every entry."""
    norms = np.array([1e-4, 1, 1, 1])
    assert judged(gradients.gradient_vanishes, gradient_norm=norms, loss=STUCK) == [("severe", "dense_0")]
    facts = dataclasses.replace(FACTS, layer_sizes=(100, 10**6, 10**6, 10**6))
    assert judged(gradients.gradient_vanishes, facts, gradient_norm=norms, loss=STUCK) == []


def test_layers_that_normalize_are_no_part_of_the_comparison():
    facts = dataclasses.replace(FACTS, layer_kinds=("BatchNormalization", "Dense", "Dense", "Dense"))
    norms = np.array([1e-6, 1, 1, 1])
    assert judged(gradients.gradient_vanishes, gradient_norm=norms, loss=STUCK)
    assert judged(gradients.gradient_vanishes, facts, gradient_norm=norms, loss=STUCK) == []


def test_gradient_explodes_towards_the_input():
    explodes = gradients.gradient_explodes
    assert judged(explodes, gradient_norm=np.array([1100.0, 30, 5, 1]), loss=STUCK) == [("severe", "dense_0")]
    assert judged(explodes, gradient_norm=np.array([1100.0, 30, 5, 1])) == [("note", "dense_0")]
    assert judged(explodes, gradient_norm=np.array([900.0, 30, 5, 1]), loss=STUCK) == []


def test_gradient_explodes_over_time_while_the_loss_rises():
    grown, mild = np.full((STEPS, LAYERS), 0.5), np.full((STEPS, LAYERS), 0.5)
    grown[150:, 2], mild[150:, 2] = 5000.0, 400.0
    rising = np.linspace(2.3, 50, STEPS)
    assert judged(gradients.gradient_explodes, gradient_norm=grown, loss=rising) == [("severe", "dense_2")]
    assert judged(gradients.gradient_explodes, gradient_norm=mild, loss=rising) == []
    assert judged(gradients.gradient_explodes, gradient_norm=grown) == []


def test_no_gradient():
    zero = np.full((STEPS, LAYERS), 0.3)
    zero[:, 1] = 1.0
    assert judged(gradients.no_gradient, zero_share=zero) == [("warning", "dense_1")]
    assert judged(gradients.no_gradient, zero_share=zero, loss=STUCK) == [("severe", "dense_1")]
    zero[7, 1] = 0.99
    assert judged(gradients.no_gradient, zero_share=zero) == []
    assert judged(gradients.no_gradient, zero_share=1.0, loss=STUCK) == [("severe", "dense_3")]
    assert judged(gradients.no_gradient, zero_share=np.nan) == []


@pytest.mark.parametrize(
    ("share", "loss", "severity"),
    [
        (0.49, STUCK, None),
        (0.51, STUCK, "warning"),
        (0.51, falling(), "note"),
        (1.0, STUCK, "severe"),
        (1.0, falling(), "warning"),
    ],
)
def test_dead_units(share, loss, severity):
    dead = np.full((6, LAYERS - 1), 0.02)
    dead[-1, 1] = share
    expected = [] if severity is None else [(severity, "dense_1")]
    assert judged(units.dead_units, dead_share=dead, loss=loss) == expected


@pytest.mark.parametrize(
    ("share", "loss", "severity"),
    [(0.49, STUCK, None), (0.51, STUCK, "warning"), (0.51, falling(), "note"), (np.nan, STUCK, None)],
)
def test_saturated_units(share, loss, severity):
    saturated = np.full((6, LAYERS - 1), np.nan)
    saturated[:, 2] = share
    expected = [] if severity is None else [(severity, "dense_2")]
    assert judged(units.saturated_units, saturated_share=saturated, loss=loss) == expected


def test_an_output_may_saturate():
    """A sigmoid that is sure of its classes."""
    share = np.full((6, LAYERS - 1), 0.9)
    assert judged(units.saturated_units, saturated_share=share, loss=STUCK) == [("warning", "dense_0")]
    case = {"unit_layers": ("mlp/dense_3",), "unit_counts": np.array([1]), "saturated_share": share[:, :1]}
    assert judged(units.saturated_units, **case, loss=STUCK) == []


@pytest.mark.parametrize(
    ("length", "loss", "severity"),
    [
        (0.9, STUCK, None),
        (1.1, STUCK, "severe"),
        (1.1, SLOW, "warning"),
        (1.1, falling(), "note"),
    ],
)
def test_update_ratio_high(length, loss, severity):
    update = np.full((STEPS, LAYERS), 0.01)
    update[:, 1] = length  # of weights with norm 10
    expected = [] if severity is None else [(severity, "dense_1")]
    assert judged(ratios.update_ratio_high, update_norm=update, loss=loss) == expected


def test_first_updates_that_replace_the_weights_count_as_well():
    """Too high a rate of Adam makes the weights large within a few steps, after which the ratio is small."""
    for loss, expected in ((STUCK, "severe"), (falling(2.4, 1.3), "warning"), (falling(), "note")):
        update = np.full((STEPS, LAYERS), 0.01)
        update[:5, 2] = 2.1
        assert judged(ratios.update_ratio_high, update_norm=update, loss=loss) == [(expected, "dense_2")]


def test_a_loss_that_still_falls_evenly_shows_that_updates_are_short():
    noisy = np.linspace(2.35, 2.25, STEPS) + np.random.default_rng(0).normal(0, 0.01, STEPS)
    assert progress(training(loss=noisy)[1]).falling
    assert not progress(training(loss=STUCK)[1]).falling
    assert not progress(training(loss=STUCK + noisy[::-1] - noisy)[1]).falling
    plateau = np.concatenate([np.linspace(2.35, 2.25, 100), np.full(100, 2.25)])
    assert not progress(training(loss=plateau)[1]).falling
    assert judged(ratios.update_ratio_low, update_norm=1.9e-3, loss=noisy) == [("warning", "")]
    assert judged(ratios.update_ratio_low, update_norm=2.1e-3, loss=noisy) == []
    assert "too short" in learning.nothing_learned(*training(loss=noisy))[0].text


def test_first_updates_and_steps_without_update_are_not_counted():
    update = np.full((STEPS, LAYERS), 0.01)
    update[: STEPS // 10] = 1.9
    assert judged(ratios.update_ratio_high, update_norm=update, loss=STUCK) == []
    updated = np.arange(STEPS) % 2 == 0
    update = np.where(updated[:, None], 1e-3, 0.0) * np.ones(LAYERS)
    assert judged(ratios.update_ratio_low, update_norm=update, updated=updated, loss=STUCK) == []


@pytest.mark.parametrize(
    ("length", "loss", "severity"),
    [(1.1e-4, STUCK, None), (0.9e-4, STUCK, "warning"), (0.9e-4, falling(), "note")],
)
def test_update_ratio_low(length, loss, severity):
    expected = [] if severity is None else [(severity, "")]
    assert judged(ratios.update_ratio_low, update_norm=length, loss=loss) == expected
    one_layer = np.array([length, length, 0.01, length])
    assert judged(ratios.update_ratio_low, update_norm=one_layer, loss=loss) == []


def test_loss_not_finite_names_step_layer_and_cause():
    loss = falling()
    loss[120:] = np.nan
    settings, result = training(loss=loss, nonfinite_layer="dense_2", step=np.arange(STEPS) * 4)
    finding = finite.loss_not_finite(settings, result)[0]
    assert (finding.severity, finding.layer, finding.step) == ("severe", "dense_2", 480)
    assert "batch 480" in finding.text
    assert "ordinary size" in finding.text
    grown = loss.copy()
    grown[100:120] = 1e4
    assert "grew from 2.4 to 1e+04" in finite.loss_not_finite(*training(loss=grown))[0].text
    immediately = np.full(STEPS, np.nan)
    immediately[0] = 2.3
    assert "first batches" in finite.loss_not_finite(*training(loss=immediately))[0].text
    missing = finite.loss_not_finite(*training({"input_nonfinite": 0.02}, loss=immediately))[0]
    assert "2 % of the inputs" in missing.text


def test_a_loss_that_was_not_recorded_and_skipped_steps_are_not_infinite():
    unknown = np.full(STEPS, np.nan)
    assert judged(finite.loss_not_finite, loss=unknown) == []
    assert judged(finite.loss_not_finite, loss=unknown, nonfinite_share=0.2) != []
    skipped = np.zeros((STEPS, LAYERS))
    skipped[3] = 1.0  # the scale of the loss in half precision is searched for
    updated = np.arange(STEPS) != 3
    assert judged(finite.loss_not_finite, nonfinite_share=skipped, updated=updated) == []


def test_missing_inputs_that_relu_hides_are_seen_in_the_gradient_of_the_first_layer():
    share = np.zeros((STEPS, LAYERS))
    share[7:, 0] = 0.03  # one feature of thirty
    finding = finite.loss_not_finite(*training(nonfinite_share=share))[0]
    assert (finding.layer, finding.place, finding.step) == ("dense_0", "data", 7)


def test_the_place_of_a_loss_that_is_not_finite():
    ended = np.where(np.arange(STEPS) < 100, 2.0, np.nan)

    def place(facts=FACTS, loss=ended, **changes):
        return finite.loss_not_finite(*training(facts, loss=loss, **changes))[0].place

    assert place() == "data"
    assert place(dataclasses.replace(FACTS, loss="my_own")) == "loss"
    assert place(update_norm=20.0) == "optimizer"
    grown = np.where(np.arange(STEPS) < 100, np.exp(np.arange(STEPS) / 20), np.nan)
    assert place(loss=grown) == "optimizer"


@pytest.mark.parametrize("above", [1.3, 1.6])
@pytest.mark.parametrize("loss", [np.linspace(2.3, 4.0, STEPS), STUCK, falling()], ids=["rises", "stays", "falls"])
def test_rate_above_edge(above, loss):
    expected = [("severe", "")] if above > 1.5 and loss[-1] >= loss[0] else []
    assert judged(rates.rate_above_edge, sharpness=20.0 * above, loss=loss) == expected


def test_hovering_at_the_edge_and_the_catapult_are_no_faults():
    """Gradient descent on a quadratic diverges above 2 / eta; on nets it hovers there while the loss falls."""
    hovering = falling() * (1 + 0.3 * np.sin(np.arange(STEPS)))
    assert (
        judged(rates.rate_above_edge, sharpness=20.0 * np.array([0.5, 1.0, 1.1, 1.2, 1.1, 1.15]), loss=hovering) == []
    )
    catapult = np.concatenate([np.linspace(2.3, 20, 20), falling(20, 0.5, STEPS - 20)])
    assert judged(rates.rate_above_edge, sharpness=20.0 * np.array([3.0, 0.8, 0.7, 0.7, 0.7, 0.7]), loss=catapult) == []
    once = 20.0 * np.array([0.5, 0.5, 2.0, 0.5, 0.5, 0.5])
    assert judged(rates.rate_above_edge, sharpness=once, loss=np.linspace(2.3, 4, STEPS)) == []


def test_gradient_descent_on_a_quadratic_is_judged_by_its_eigenvalue():
    """f = lambda x² / 2: it diverges exactly where lambda > 2 / eta."""
    for eigenvalue, expected in ((19.0, []), (31.0, [("severe", "")])):
        x, loss = 1.0, []
        for _ in range(STEPS):
            loss.append(eigenvalue * x * x / 2)
            x -= 0.1 * eigenvalue * x
        case = {"loss": np.array(loss), "sharpness": eigenvalue, "learning_rate": 0.1}
        assert judged(rates.rate_above_edge, {"loss": "my_own"}, **case) == expected


@pytest.mark.parametrize(
    ("share", "loss", "seen"),
    [(0.009, SLOW, True), (0.011, SLOW, False), (0.009, falling(), False), (0.009, STUCK, True)],
)
def test_rate_below_edge(share, loss, seen):
    assert bool(judged(rates.rate_below_edge, sharpness=20.0 * share, loss=loss)) is seen


@pytest.mark.parametrize(("end", "seen"), [(2.25, True), (2.2, False)])
def test_nothing_learned_is_less_than_three_per_cent_of_chance(end, seen):
    found = judged(learning.nothing_learned, loss=falling(2.3, end))
    assert bool(found) is seen


def test_nothing_learned_separates_its_causes():
    def cause(**changes):
        return learning.nothing_learned(*training(loss=STUCK, **changes))[0].text

    assert "labels may have nothing to do with the inputs" in cause()
    assert "gradient is small" in cause(gradient_norm=1e-5)
    assert "too short" in cause(update_norm=1e-6)
    assert "updates are long" in cause(update_norm=0.8)
    assert "sorted" in cause(facts=dataclasses.replace(FACTS, target_distinct=1))
    assert "regularizers" in cause(facts=dataclasses.replace(FACTS, penalty=5.0), probe_accuracy=0.1)
    linear = {"unit_layers": ("mlp/dense_3",), "unit_counts": np.array([10]), "dead_share": np.zeros((6, 1))}
    assert "no activation" in cause(**linear, saturated_share=np.zeros((6, 1)))


def test_what_was_learned_by_heart_is_nothing_either():
    """The training loss falls to nothing, but the probe's never below chance: labels have no relation to inputs."""
    at_chance = {"probe_loss": np.array([2.31, 2.31, 2.3, 2.4, 2.9, 3.5]), "probe_accuracy": 0.1}
    case = training(**at_chance)
    case = dataclasses.replace(case[0], probe=400), case[1]
    finding = learning.nothing_learned(*case)[0]
    assert (finding.severity, finding.place) == ("severe", "data")
    assert "for no others" in finding.text
    in_order = dataclasses.replace(FACTS, target_distinct=1)
    assert "sorted" in learning.nothing_learned(case[0], training(in_order, **at_chance)[1])[0].text
    once_better = at_chance | {"probe_loss": np.array([2.31, 2.31, 1.9, 2.4, 2.9, 3.5])}
    assert judged(learning.nothing_learned, **once_better) == []
    sure_but_right = dataclasses.replace(training(**at_chance)[1], probe_accuracy=np.full(6, 0.4))
    assert learning.nothing_learned(case[0], sure_but_right) == []


def test_regression_has_learned_nothing_at_the_variance_of_its_targets():
    assert judged(learning.nothing_learned, REGRESSION, loss=np.full(STEPS, 0.99)) == [("severe", "")]
    assert judged(learning.nothing_learned, REGRESSION, loss=np.full(STEPS, 0.9)) == []


def history(validation):
    shown = np.linspace(2, 0.1, EPOCHS)
    return {"history_names": ("loss", "val_loss"), "history": np.stack([shown, validation], axis=1)}


V = np.concatenate([np.linspace(2, 1, 5), np.linspace(1.1, 1.5, 5)])


@pytest.mark.parametrize(
    ("validation", "severity"),
    [
        (np.linspace(2, 0.3, EPOCHS), None),
        (V, "warning"),
        (np.where(np.arange(EPOCHS) < 5, V, 1.1), "note"),
        (np.where(np.arange(EPOCHS) < 5, V, 1.04), None),
        (np.concatenate([np.linspace(2, 1, 8), [1.5, 1.6]]), None),  # too few epochs after the minimum
        (np.where(np.arange(EPOCHS) % 2, 1.0, 1.7) - 0.001 * (np.arange(EPOCHS) == 1), None),  # noise
    ],
)
def test_overfitting(validation, severity):
    found = curves.overfitting(*training(**history(validation)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    if severity:
        assert "epoch 5" in found[0].text
        assert found[0].step == 5 * STEPS // EPOCHS


@pytest.mark.parametrize(
    ("probe_loss", "severity"),
    [([2.4, 2, 1, 1.2, 1.5, 1.6], "warning"), ([2.4, 2, 1, 1, 1, 0.9], None), ([2.4, 2, 1.5, 1.2, 1, 1.5], None)],
)
def test_overfitting_is_seen_on_the_probe_where_there_is_no_validation(probe_loss, severity):
    columns = {"history_names": ("loss", "mae"), "probe_accuracy": np.array([0.1, 0.5, 0.8, 0.7, 0.6, 0.5])}
    found = curves.overfitting(*training(probe_loss=np.array(probe_loss), **columns))
    assert [f.severity for f in found] == ([severity] if severity else [])
    if severity:
        assert "epoch 2" in found[0].text


@pytest.mark.parametrize(
    ("held_out", "in_training", "severity"),
    [(0.9, 0.95, "note"), (0.7, 0.95, "warning"), (np.linspace(0.9, 0.6, EPOCHS), 0.6, "warning")],
)
def test_a_loss_that_rises_while_accuracies_stay_is_a_note(held_out, in_training, severity):
    columns = [np.linspace(2, 0.1, EPOCHS), V, *(np.broadcast_to(a, EPOCHS) for a in (in_training, held_out))]
    names = ("loss", "val_loss", "accuracy", "val_accuracy")
    found = curves.overfitting(*training(history=np.stack(columns, axis=1), history_names=names))
    assert [f.severity for f in found] == [severity]


def test_overfitting_needs_a_training_loss_that_falls():
    rising = history(V) | {"history": np.stack([np.linspace(0.1, 2, EPOCHS), V], axis=1)}
    assert judged(curves.overfitting, **rising) == []


def test_running_mean_lags_behind_where_the_loss_falls_within_an_epoch():
    """An epoch from 4 to 1 along a line has a mean of 2.5, which is above a validation loss of 2."""
    steep = np.tile(np.linspace(4, 1, 20), EPOCHS)
    columns = {"history": np.tile([2.5, 2.0], (EPOCHS, 1))}
    finding = curves.running_mean(*training(loss=steep, **columns))[0]
    assert finding.severity == "note"
    assert finding.evidence["mean"] == 2.5
    assert finding.evidence["reached"] == pytest.approx(np.median(steep[17:20]))
    assert judged(curves.running_mean, loss=steep, history=np.tile([2.5, 2.6], (EPOCHS, 1))) == []
    only_first = np.concatenate([steep[:20], np.full(STEPS - 20, 1.0)])
    assert judged(curves.running_mean, loss=only_first, history=np.repeat([[2.5, 2], [1, 2]], [1, 9], axis=0)) == []
    assert judged(curves.running_mean, loss=np.full(STEPS, 2.4), **columns) == []
    assert judged(curves.running_mean, loss=steep, history_names=("loss", "mae"), **columns) == []


@pytest.mark.parametrize(
    ("scale", "batch", "loss", "severity"),
    [
        (63000.0, 64, STUCK, None),
        (65000.0, 64, STUCK, "note"),
        (3000.0, 1, STUCK, "warning"),
        (3000.0, 1, falling(), "note"),
        (np.nan, 1, STUCK, None),
    ],
)
def test_noise_scale(scale, batch, loss, severity):
    found = judged(batches.noise_scale, noise_scale=scale, examples=float(batch), loss=loss)
    assert found == ([(severity, "")] if severity else [])
