"""Rules on what model, loss and first batch say before any training, on both sides of each threshold."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from made_trainings import FACTS, REGRESSION, codes, falling, training

from dlhw.watch.findings import diagnose, outputs, ranges, scales, starts

BINARY = dataclasses.replace(
    FACTS,
    loss="binary_crossentropy",
    output_activation="sigmoid",
    output_shape=(-1, 1),
    target_shape=(-1, 1),
    target_high=1.0,
    target_distinct=2,
    probe_label_shares=(0.5, 0.5),
)


def judged(judge, facts=FACTS, /, losses=None, **changes):
    case = training(dataclasses.replace(facts, **changes), **({} if losses is None else {"loss": losses}))
    return [(finding.severity, finding.layer) for finding in judge(*case)]


OUTPUT = "dense_3"
SEVERAL = {"target_shape": (-1, 10), "target_high": 1.0, "target_one_hot": "no"}  # labels an example
MISMATCHES = [
    (FACTS, {"output_shape": (-1, 1), "target_high": 0.0}, "severe"),  # softmax over one unit
    (BINARY, {"output_activation": "softmax"}, "severe"),
    (REGRESSION, {"output_activation": "softmax"}, "severe"),
    (FACTS, {"loss": "categorical_crossentropy", "output_shape": (-1, 1), "output_activation": "sigmoid"}, "severe"),
    (FACTS, {"output_activation": "linear"}, "severe"),  # logits as probabilities
    (FACTS, {"output_activation": "relu"}, "severe"),
    (BINARY, {"output_activation": "tanh"}, "severe"),
    (FACTS, {"target_low": 1.0, "target_high": 10.0}, "severe"),  # classes from 1
    (FACTS, {"target_low": -1.0, "target_high": 1.0}, "severe"),
    (BINARY, {"target_high": 9.0}, "severe"),
    (BINARY, {"target_low": -1.0}, "severe"),
    (BINARY, {"output_shape": (-1, 10), "output_activation": "softmax", "target_one_hot": "yes"}, "warning"),
    (BINARY, {"output_shape": (-1, 10), "target_one_hot": "yes"}, "warning"),
    (FACTS, {"output_activation": "sigmoid"}, "warning"),  # exclusive classes
    (FACTS, {**SEVERAL, "loss": "categorical_crossentropy"}, "warning"),
    (FACTS, {**SEVERAL, "loss": "mean_squared_error"}, "warning"),
    (BINARY, {"loss": "mean_squared_error"}, "warning"),
    (FACTS, {"loss": "mean_squared_error", "target_one_hot": "yes", "target_high": 1.0}, "warning"),
]
FITTING = [
    (FACTS, {}),
    (FACTS, {"output_activation": "linear", "from_logits": "yes"}),
    (FACTS, {"output_activation": "my_own"}),
    (FACTS, {"output_activation": ""}),
    (FACTS, {"target_high": math.nan, "target_low": math.nan}),
    (BINARY, {}),
    (BINARY, {"output_activation": "linear", "from_logits": "yes"}),
    (BINARY, {"target_low": 0.05, "target_high": 0.95}),  # smoothed labels
    (BINARY, {"output_shape": (-1, 10), "target_one_hot": "no"}),  # several labels an example
    (BINARY, {"output_shape": (-1, 28, 28, 1), "target_integer": "no"}),  # autoencoder of pixels
    (REGRESSION, {}),
    (REGRESSION, {"output_activation": "sigmoid", "target_low": 0.0, "target_high": 1.0}),
    (REGRESSION, {"target_integer": "yes", "target_low": 1.0, "target_high": 5.0}),  # ratings
]


@pytest.mark.parametrize(("facts", "changes", "severity"), MISMATCHES)
def test_outputs_that_do_not_fit_the_loss(facts, changes, severity):
    assert judged(outputs.output_and_loss, facts, **changes) == [(severity, OUTPUT)]


@pytest.mark.parametrize(("facts", "changes"), FITTING)
def test_outputs_that_fit_the_loss(facts, changes):
    assert judged(outputs.output_and_loss, facts, **changes) == []


@pytest.mark.parametrize(
    ("metric", "distinct", "seen"),
    [("accuracy", 10, True), ("mae", 10, False), ("accuracy", 2, False), ("accuracy", 30, False)],
)
def test_labels_as_numbers_are_seen_by_the_accuracy_that_judges_them(metric, distinct, seen):
    changes = {"target_integer": "yes", "target_distinct": distinct, "target_low": 0.0, "target_high": 9.0}
    case = training(dataclasses.replace(REGRESSION, **changes), history_names=("loss", metric))
    assert [f.severity for f in outputs.output_and_loss(*case)] == (["warning"] if seen else [])


def test_two_softmaxes_are_a_warning_that_says_whether_keras_undid_one():
    """The lowest loss of probabilities that are taken as logits: one class at 1, the others at 0."""
    scores = np.eye(10)[0]
    lowest = float(np.log(np.exp(scores).sum()) - scores[0])
    above, below = falling(2.3, 1.02 * lowest), falling(2.3, 0.9 * lowest)
    facts = dataclasses.replace(FACTS, from_logits="yes")
    for losses, words in ((above, "cannot fall below"), (below, "Keras took the values before")):
        finding = outputs.output_and_loss(*training(facts, loss=losses))[0]
        assert finding.severity == "warning"
        assert words in finding.text
    shares = (0.7, 0.3)  # of zeros and ones: a zero costs log 2 at an output of 0, a one log(1 + 1/e) at 1
    lowest = 0.7 * math.log(2) + 0.3 * math.log(1 + math.exp(-1))
    facts = dataclasses.replace(BINARY, from_logits="yes", probe_label_shares=shares)
    for end, words in ((1.01 * lowest, "cannot fall below"), (0.9 * lowest, "Keras took the values before")):
        assert words in outputs.output_and_loss(*training(facts, loss=falling(1.0, end)))[0].text


@pytest.mark.parametrize(
    ("activation", "low", "high", "severity"),
    [
        ("relu", -1.0, 1.0, "warning"),
        ("relu", -5.0, -1.0, None),
        ("relu", 0.0, 50.0, None),
        ("tanh", -1.0, 1.0, None),
        ("tanh", -1.01, 1.01, None),  # within the margin
        ("tanh", -2.0, 2.0, "warning"),
        ("tanh", 10.0, 50.0, "severe"),
        ("sigmoid", 0.0, 1.0, None),
        ("sigmoid", -1.0, 1.0, "warning"),
        ("sigmoid", 0.0, 9.0, "severe"),
        ("linear", -1e6, 1e6, None),
        ("my_own", -1e6, 1e6, None),
    ],
)
def test_targets_that_an_activation_cannot_reach(activation, low, high, severity):
    expected = [] if severity is None else [(severity, OUTPUT)]
    if (activation, high) == ("relu", -1.0):
        expected = [("severe", OUTPUT)]  # all of them negative
    changes = {"output_activation": activation, "target_low": low, "target_high": high}
    assert judged(ranges.targets_out_of_reach, REGRESSION, **changes) == expected


def pairs(outputs_shape, targets_shape, keras_loss):
    """Number of pairs that NumPy subtracts for a batch of 7, after what Keras does to a last axis of one."""
    a, b = (np.zeros(tuple(7 if n < 0 else n for n in shape)) for shape in (outputs_shape, targets_shape))
    if keras_loss and a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        a = a[..., 0]
    if keras_loss and b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        b = b[..., 0]
    try:
        return (a - b).size, a.size, b.size
    except ValueError:  # such a training does not start
        return 0, 0, 0


@pytest.mark.parametrize("loss", ["mean_squared_error", "my_own"])
@pytest.mark.parametrize(
    ("outputs_shape", "targets_shape"),
    [
        ((-1, 1), (-1, 1)),
        ((-1, 1), (-1,)),
        ((-1,), (-1, 1)),
        ((-1, 5), (-1, 1)),
        ((-1, 1), (-1, 3)),
        ((-1, 20, 1), (-1, 1)),
        ((-1, 20, 1), (-1, 20)),
        ((-1, 20, 1), (-1, 20, 1)),
        ((-1, 8, 8, 1), (-1, 8, 8)),
        ((-1, 8, 8, 3), (-1, 8, 8, 3)),
    ],
)
def test_targets_are_broadcast_exactly_where_numpy_pairs_more_entries(outputs_shape, targets_shape, loss):
    size, a, b = pairs(outputs_shape, targets_shape, loss == "mean_squared_error")
    changes = {"output_shape": outputs_shape, "target_shape": targets_shape, "loss": loss}
    facts = dataclasses.replace(REGRESSION, **changes)
    expected = [] if size == a == b else [("severe" if loss != "my_own" else "warning", OUTPUT)]
    found = ranges.broadcast_targets(*training(facts, loss=np.full(200, 1.0)))
    assert [(f.severity, f.layer) for f in found] == expected


def test_a_loss_of_the_users_may_treat_its_shapes_itself():
    changes = {"output_shape": (-1, 1), "target_shape": (-1,), "loss": "my_own"}
    assert judged(ranges.broadcast_targets, REGRESSION, losses=falling(1.0, 0.05), **changes) == [("note", OUTPUT)]


def test_classes_are_not_broadcast():
    assert judged(ranges.broadcast_targets) == []


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, False),
        ({"input_mean": 33.0, "input_std": 79.0}, True),  # pixels
        ({"input_mean": 0.13, "input_std": 0.31}, False),
        ({"input_mean": 33.0 / 255**2, "input_std": 79.0 / 255**2}, True),  # divided twice
        ({"input_mean": 0.0, "input_std": 9.9}, False),
        ({"input_mean": 0.0, "input_std": 10.1}, True),
        ({"input_mean": 33.0, "input_std": 79.0, "first_layers": ("Rescaling", "Conv2D")}, False),
        ({"input_mean": 5000.0, "input_std": 2000.0, "first_layers": ("Embedding",)}, False),
        ({"input_mean": math.nan, "input_std": math.nan}, False),
        ({"input_mean": 0.0, "input_std": 0.0, "input_nonfinite": 0.0}, True),  # nothing but zeros
    ],
)
def test_inputs_unscaled(changes, seen):
    assert bool(judged(scales.inputs_unscaled, **changes)) is seen


@pytest.mark.parametrize(
    ("high", "end", "severity"), [(99.0, 0.99, None), (500.0, 0.99, "warning"), (500.0, 0.1, "note")]
)
def test_large_targets_are_a_warning_where_little_was_learned(high, end, severity):
    facts = dataclasses.replace(REGRESSION, target_high=high)
    found = scales.targets_unscaled(*training(facts, loss=falling(1.0, end)))
    assert [f.severity for f in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("mean", "std", "seen"),
    [(0, 1, False), (0, 4.9, False), (0, 5.1, True), (0, 0.1, True), (2.9, 1, False), (3.1, 1, True)],
)
def test_probe_differs(mean, std, seen):
    assert bool(judged(scales.probe_differs, probe_mean=float(mean), probe_std=float(std))) is seen


@pytest.mark.parametrize(
    ("layers", "where"),
    [
        ((), []),
        (("dense_3",), []),
        (("dense_1", "dense_3"), [("note", "dense_1")]),
        (("dense_0", "dense_1"), [("severe", "dense_0")]),
        (("mlp/dense_2", "mlp/dense_3"), [("severe", "dense_2")]),
    ],
)
def test_constant_weights_matter_before_other_constant_weights(layers, where):
    assert judged(starts.constant_weights, constant_layers=layers) == where
    if where == [("note", "dense_1")]:
        stuck = np.full(200, 2.3)
        assert judged(starts.constant_weights, constant_layers=layers, losses=stuck) == [("warning", "dense_1")]


@pytest.mark.parametrize(("first", "second", "copies"), [(0.3, 0.2, 1), (0.3, None, 3), (None, 0.2, 3)])
def test_units_stay_copies_exactly_if_the_weights_behind_them_are_equal_too(first, second, copies):
    """Gradient descent on a net x -> tanh(x A) B of three hidden units: how many differ after 50 steps."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    a = rng.normal(size=(2, 3)) if first is None else np.full((2, 3), first)
    b = rng.normal(size=(3, 1)) if second is None else np.full((3, 1), second)
    for _ in range(50):
        h = np.tanh(x @ a)
        error = (h @ b - y) / len(x)
        a, b = a - 0.1 * x.T @ (error @ b.T * (1 - h**2)), b - 0.1 * h.T @ error
    assert len({tuple(column.round(9)) for column in a.T}) == copies


@pytest.mark.parametrize(("rates", "seen"), [((), False), ((0.5, 0.75), False), ((0.2, 0.8), True)])
def test_dropout_extreme(rates, seen):
    assert bool(judged(starts.dropout_extreme, dropout=rates)) is seen


def test_none_of_the_fitting_outputs_raises_any_alarm():
    for facts, changes in FITTING:
        loss = falling(0.9, 0.05) if facts is not FACTS else falling()
        assert not codes(diagnose(*training(dataclasses.replace(facts, **changes), loss=loss)))
