"""The sentences of a run on both sides of each rule, from made-up numbers.

The rules that experiments share are tested in test_rules.py, those of flatness in test_flatness.py.
Would miss: a rule that is itself unreasonable. Those are for readers.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlhw.experiments.simulate.depth import depth_helps
from dlhw.present import style
from dlhw.runs import experiment as registry

SIMULATE, NORM, LABELS, PARAMS, PATHS, NETS = (
    registry.get(n) for n in ("simulate", "gradient-norm", "random-labels", "sweep-params", "trajectory", "classify")
)
RATIO, PLANES = registry.get("minimal-ratio"), registry.get("landscape")


def said(module, settings, result):
    return " ".join(module.summary(settings, result).sentences)


def curves(train_loss, test_loss, train_accuracy, test_accuracy, diverged_at=None, epochs=4):
    """Fields of a result of curves that are flat at these ends, each (rows, seeds)."""
    ends = {"train_loss": train_loss, "test_loss": test_loss}
    ends |= {"train_accuracy": train_accuracy, "test_accuracy": test_accuracy}
    made = {k: np.repeat(np.asarray(v, float)[..., None], epochs + 1, axis=-1) for k, v in ends.items()}
    shape = made["train_loss"].shape[:2]
    made["diverged_at"] = np.full(shape, -1) if diverged_at is None else np.asarray(diverged_at)
    return made | {"seconds": (1.0,) * (shape[0] * shape[1]), "compile_seconds": (0.0,) * (shape[0] * shape[1])}


def fit(late, dead=((0, 0), (0, 0)), diverged=((-1, -1), (-1, -1))):
    settings = dataclasses.replace(SIMULATE.tiny, models=("2", "3-2"), epochs=4, points=3, seeds=2)
    x = np.linspace(-1, 1, 11)
    loss = np.repeat(np.asarray(late, float)[..., None], 5, axis=-1)
    result = SIMULATE.result(
        x, x, loss, np.zeros((2, 2, 11)), np.array(diverged), np.array(dead, bool), (1.0, 1.0), (0.0, 0.0)
    )
    return said(SIMULATE, settings, result)


def test_simulate_names_the_best_only_apart_and_counts_the_dead_and_the_diverged():
    apart = fit([[0.1, 0.2], [0.3, 0.4]])
    assert "2 has the lowest training MSE" in apart
    assert "all of its seeds lie below all seeds of the others" in apart
    assert "dead" not in apart
    assert "diverged" not in apart
    assert "not separated" in fit([[0.1, 0.35], [0.3, 0.4]])
    assert "1 of 2 trainings of 3-2 end as a constant output" in fit([[0.1, 0.2], [0.3, 0.4]], dead=((0, 0), (0, 1)))
    gone = fit([[0.1, np.nan], [0.3, 0.4]], diverged=((-1, 2), (-1, -1)))
    assert "1 of 2 trainings of 2 diverged and are excluded" in gone
    assert "some trainings diverged: not separated" in gone


def depth(late, models=("190", "10-18-15-4"), diverged=None):
    n, seeds = np.shape(late)
    settings = dataclasses.replace(SIMULATE.tiny, models=models, seeds=seeds)
    error = np.where(
        np.zeros((n, seeds), bool) if diverged is None else np.array(diverged), np.nan, np.array(late, float)
    )
    (finding,) = depth_helps(settings, error)
    assert finding.code == "depth"
    return finding.text


def test_depth_helps_only_where_the_ranges_of_equal_nets_are_apart():
    helps, harms = [[0.3, 0.4], [0.1, 0.2]], [[0.1, 0.2], [0.3, 0.4]]
    assert depth(helps).startswith(
        "On this function depth helps at an equal number of parameters: 10-18-15-4 (5 layers)"
    )
    assert "of 0.15 (0.1 to 0.2), 190 (2 layers) at 0.35 (0.3 to 0.4), and the ranges over 2 seeds do not" in depth(
        helps
    )
    assert depth(harms).startswith("On this function depth does not help at an equal number of parameters")
    assert depth([[0.1, 0.3], [0.2, 0.4]]).startswith("Depth is not shown to help on this function, nor to harm")
    assert depth([[0.2, 0.4], [0.1, 0.3]]).endswith("the ranges over 2 seeds overlap.")
    assert "cannot tell" in depth(helps, diverged=[[0, 0], [1, 0]])
    assert "some trainings diverged" in depth(harms, diverged=[[1, 1], [0, 0]])
    assert "nothing can be concluded" in depth([[0.3], [0.1]])
    assert "equally deep" in depth(helps, models=("190", "3"))
    assert "differ in size too, from 17 to 571 parameters" in depth(helps, models=("190", "3-2"))
    middle = depth([[0.3, 0.4], [9.0, 9.0], [0.1, 0.2]], models=("190", "10-18-15-4", "5-10-10-10-10-10-5"))
    assert "depth helps" in middle  # the deepest against the shallowest
    assert "5-10-10-10-10-10-5 (8 layers)" in middle


@pytest.mark.parametrize(
    ("late", "says"),
    [
        ([[0.1], [0.2]], "falls in every seed while the net learns: 1 (1 to 1) at the start, 0.15 (0.1 to 0.2) over"),
        ([[2.0], [3.0]], "rises in every seed while"),
        ([[0.5], [3.0]], "neither falls nor rises in every seed while"),
        ([[0.5]], "falls in this one seed while"),
    ],
)
def test_gradient_norm_says_how_large_it_is_first(late, says):
    seeds = len(late)
    settings = dataclasses.replace(NORM.tiny, epochs=5, seeds=seeds)
    norm = np.concatenate([np.ones((seeds, 1)), np.repeat(late, 4, axis=1)], axis=1)
    correlation = np.array([[0.5, 0.4, 0.6]] * seeds)
    result = NORM.result(norm, norm, np.ones((seeds, 5, 3)), correlation, np.full(seeds, -1), 1.0, 0.0)
    first, *_ = NORM.summary(settings, result).sentences
    assert says in first
    assert ("it follows the loss" in first) == (seeds > 1)
    other = dataclasses.replace(result, correlation=-correlation[:, [0, 2, 1]])
    assert "it follows the loss" not in NORM.summary(settings, other).sentences[0]


@pytest.mark.parametrize(
    ("correlation", "says", "not_said"),
    [
        ([[0.5, 0.4, 0.6], [0.3, 0.1, 0.5]], "larger where the loss is larger", "do not agree"),
        ([[-0.5, -0.6, -0.4], [-0.3, -0.5, -0.1]], "larger where the loss is smaller", "do not agree"),
        ([[0.5, 0.4, 0.6], [0.1, -0.1, 0.3]], "do not agree on a sign", "In every seed"),
        ([[0.5, np.nan, np.nan], [0.1, np.nan, np.nan]], "needs at least 1000 iterations", "In every seed"),
    ],
)
def test_gradient_norm_claims_a_sign_only_where_every_interval_has_it(correlation, says, not_said):
    settings = dataclasses.replace(NORM.tiny, epochs=5, seeds=2)
    ones = np.ones((2, 5))
    layers = np.ones((2, 5, 3))
    result = NORM.result(ones, ones, layers, np.array(correlation), np.array([-1, -1]), 1.0, 0.0)
    text = said(NORM, settings, result)
    assert says in text
    assert not_said not in text
    gone = dataclasses.replace(result, diverged_at=np.array([-1, 3]))
    assert "1 of 2 trainings of this net diverged" in said(NORM, settings, gone)


def test_random_labels_are_called_learnt_from_99_per_cent_on():
    settings = dataclasses.replace(LABELS.tiny, noise=(0.0, 1.0), epochs=4, seeds=2)
    parts = ([[0.1, 0.1]] * 2, [[1.0, 1.0]] * 2, [[0.99, 0.995], [0.98, 0.989]], [[0.9, 0.9], [0.1, 0.11]])
    text = said(LABELS, settings, LABELS.result(**curves(*parts)))
    assert "true labels: 99 % training accuracy after 0 (0 to 0) epochs in 2 of 2 trainings" in text
    assert "random labels: no training reaches 99 % training accuracy in 4 epochs" in text
    assert "chance is 10 %" in text
    one = dataclasses.replace(settings, seeds=1)
    alone = LABELS.result(**curves(*([row[:1] for row in part] for part in parts)))
    assert "nothing can be concluded" in said(LABELS, one, alone)


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (
            [1.0, 0.995],
            [0.1, 0.11],
            "The net can fit random labels by heart (99.75 % (99.50 to 100.00) of these training",
        ),
        (
            [1.0, 0.6],
            [0.1, 0.11],
            "only in part in 4 epochs (80.00 % (60.00 to 100.00) of these training labels), and 1 of",
        ),
        (
            [0.5, 0.6],
            [0.1, 0.11],
            "gets 10.50 % (10.00 to 11.00) of the test images right, no better than guessing (10 %)",
        ),
        ([0.1, 0.12], [0.1, 0.11], "The net does not learn the random labels in 4 epochs"),
        ([1.0, 1.0], [0.1, 0.3], "clearly more than guessing (10 %), which shuffled labels cannot teach"),
    ],
)
def test_random_labels_answers_what_is_fitted_and_why_the_test_accuracy_is_what_it_is(train, test, says):
    settings = dataclasses.replace(LABELS.tiny, noise=(0.0, 1.0), epochs=4, seeds=2)
    parts = ([[0.1, 0.1]] * 2, [[1.0, 1.0]] * 2, [[1.0, 1.0], train], [[0.9, 0.9], test])
    first, *others = LABELS.summary(settings, LABELS.result(**curves(*parts))).sentences
    assert says in first
    assert ("say nothing about what is in an image" in first) == (max(test) < 0.2)
    contrast = "90.00 % (90.00 to 90.00) after true labels and"
    assert any(contrast in text for text in others) == (np.median(train) >= 0.2)
    without = dataclasses.replace(settings, noise=(0.0, 0.5))
    assert "random labels" not in said(LABELS, without, LABELS.result(**curves(*parts)))


def sweep(test_loss, train_accuracy, seeds=2):
    nets = ("2-2", "4-2", "8-2", "16-2", "32-2", "64-2", "64-4", "64-8", "64-16", "64-32", "128-32", "128-64")
    settings = dataclasses.replace(PARAMS.tiny, nets=nets, epochs=4, seeds=seeds)
    rows = np.asarray(test_loss, float)[:, None] * np.ones(seeds)
    flat = np.full_like(rows, train_accuracy)
    made = curves(np.full_like(rows, 0.5), rows, flat, flat)
    parameters = np.array([settings.parameters(n) for n in nets])
    return said(PARAMS, settings, PARAMS.result(**made, parameters=parameters))


def test_sweep_params_says_a_direction_only_where_the_interval_leaves_zero_out():
    falling, scattered = np.linspace(2, 1, 12), np.array([1, 2, 1.5, 1.1, 1.9, 1.4, 1.2, 1.8, 1.6, 1.3, 1.7, 1.45])
    assert "nets with more parameters have a lower test loss" in sweep(falling, 1.0)
    assert "nets with more parameters have a higher test loss" in sweep(falling[::-1], 1.0)
    assert "the interval includes zero" in sweep(scattered, 1.0)
    assert "with one seed per net nothing can be concluded" in sweep(falling, 1.0, seeds=1)
    undertrained = "how fast the nets learn, not of what they can fit"
    assert undertrained in sweep(falling, 0.98)
    assert undertrained not in sweep(falling, 0.99)


def test_classify_ranks_by_loss_and_by_errors_apart_and_names_the_diverged():
    settings = dataclasses.replace(NETS.tiny, models=("9", "5"), epochs=4, seeds=2)
    ones = [[1.0, 1.0]] * 2
    result = NETS.result(**curves(ones, [[0.1, 0.2], [0.3, 0.4]], ones, [[0.8, 0.9], [0.85, 0.95]]))
    text = said(NETS, settings, result)
    loss = "9 has the lowest test loss (cross entropy, in nats; guessing among 10 classes gives 2.3), 0.15 (0.1 to 0.2)"
    assert f"{loss}, 2 seeds; next is 5 with 0.35 (0.3 to 0.4); all of its seeds lie below" in text
    assert text.startswith(
        "This run does not show which net learns these images best: by the median, 5 has the lowest test "
    )
    assert (
        "error (in %, 100 minus the accuracy), 10 (5 to 15), 2 seeds; next is 9 with 15 (10 to 20); the range of 5 "
        in text
    )
    better = dataclasses.replace(result, test_accuracy=result.test_accuracy * np.array([[[1.15]], [[0.85]]]))
    assert said(NETS, settings, better).startswith("9 learns these images best: 9 has the lowest test error")
    gone = dataclasses.replace(result, diverged_at=np.array([[-1, -1], [2, -1]]))
    assert "1 of 2 trainings of 5 diverged" in said(NETS, settings, gone)


def test_trajectory_sets_the_variance_beside_a_random_walk_from_four_points_on(tiny_run):
    run = tiny_run("trajectory")
    learned = np.full_like(run.result.train_accuracy, 0.9)
    run = dataclasses.replace(run, result=dataclasses.replace(run.result, train_accuracy=learned))
    assert "a random walk of as many points: " in said(PATHS, run.settings, run.result)
    few = dataclasses.replace(run.settings, epochs=2)
    assert "random walk" not in said(PATHS, few, run.result)
    gone = dataclasses.replace(run.result, diverged_at=np.array([-1, 1]))
    assert "1 of 2 trainings of 6-4 diverged and are excluded" in said(PATHS, run.settings, gone)


CRITICAL, FLAT, STALLED = (True, True), (False, False), (False, True)  # |g| below the tolerance, search ended of itself
KEYS = ("loss", "norm", "rho")


def ratios(ends=(CRITICAL, CRITICAL, FLAT), values=((1, 2, 3), (-1, 0, 2), (-2, -1, 4)), flat=0.01, **other):
    settings = dataclasses.replace(RATIO.tiny, net="1", seeds=3, **{k: v for k, v in other.items() if k not in KEYS})
    arrived, finished = np.array(ends).T
    nothing, threes = np.full(3, -1), np.ones(3)
    result = RATIO.result(
        steps=nothing, start_loss=threes, start_norm=threes, loss=np.array(other.get("loss", [0.1, 0.2, 0.3])),
        gradient_norm=np.array(other.get("norm", [1e-16, 1e-16, 1e-5])), flatness=np.full(3, flat), arrived=arrived,
        eigenvalues=np.sort(np.array([[*v, 1.0] for v in values], float)), finished=finished, hessians=np.full(3, 5),
        correlation=np.array([other.get("rho", (0.5, 0.1, 0.9))] * 2), diverged_at=nothing, seconds=1.0,
        compile_seconds=0.0, search_seconds=1.0,
    )  # fmt: skip
    return settings, result, said(RATIO, settings, result)


def test_minimal_ratio_tells_the_ends_of_searches_apart():
    *_, text = ratios()
    assert "2 of 3 nets reached a critical point" in text
    assert "In a gradient-flat region after at most 12 Hessians: 1 of 3 nets, |g| 1e-05" in text
    assert "Spearman correlation of minimal ratio and loss over 3 nets, 1 of them not at a critical point: 0.50" in text
    assert "strict ratio" not in text
    *_, cut = ratios(flat=3.0)
    assert "gradient-flat" not in cut
    assert "Cut off after 12 Hessians: 1 of 3 nets, |g| 1e-05; more `hessians`" in cut
    *_, stalled = ratios(ends=(CRITICAL, CRITICAL, STALLED), flat=3.0)
    assert "No step lowers |g| further: 1 of 3 nets, |g| 1e-05. The signs at these points" in stalled
    assert "In a gradient-flat region" in ratios(ends=(CRITICAL, CRITICAL, STALLED))[2]
    *_, close = ratios(ends=(CRITICAL, CRITICAL, (True, False)))
    assert "Below the tolerance, but cut off after 12 Hessians: 1 of 3 nets, |g| 1e-05" in close
    assert "2 of 3 nets reached" in close
    *_, all_of_them = ratios(ends=(CRITICAL,) * 3)
    assert "are not those of a critical point" not in all_of_them


def test_minimal_ratio_calls_minima_only_what_rounding_cannot_have_made():
    assert "saddle or maximum (curved downwards in some direction): 1 of 2; strict minimum: 1 of 2." in ratios()[2]
    saddles = ratios(values=((-1, 2, 3), (-1, 0, 2), (-2, -1, 4)))[2]
    assert "saddle or maximum (curved downwards in some direction): 2 of 2." in saddles
    flat_to_second_order = ratios(values=((0, 1, 2), (0, 0, 2), (1, 1, 1)))[2]
    assert "undecided to second order (no negative eigenvalue, but zeros): 2 of 2." in flat_to_second_order
    assert "strict minimum" not in flat_to_second_order
    near = ((-1e-9, 1, 2), (1e-9, 1, 2), (1, 1, 1))  # within 10 sqrt(1e-16 * 2)
    text = ratios(values=near)[2]
    assert "2 of them have eigenvalues above rounding but within" in text
    assert "counting those as zero, the ratio is 0.75 (0.75 to 0.75)" in text
    assert "(no negative eigenvalue, but zeros): 1 of 2; undecided because of rounding: 1 of 2." in text
    assert "above rounding but within" not in ratios()[2]
    assert "kinks" in ratios(activation="relu")[2]
    assert "kinks" not in ratios()[2]


def test_minimal_ratio_speaks_of_trends_only_where_there_is_one():
    assert "the interval includes zero" in ratios(rho=(0.5, -0.1, 0.9))[2]
    assert "too few for an interval" in ratios(rho=(-0.5, np.nan, np.nan))[2]
    assert "larger minimal ratio goes with smaller loss" in ratios(rho=(-0.5, -0.9, -0.1))[2]
    one = ratios(loss=[0.1, 0.10001, 0.3])[2]
    assert "All 2 critical points have the same loss, 0.1" in one
    assert "constant output" not in one
    variance = float(np.var(ratios()[0].samples()[1]))
    assert "2 of 2 are at the loss of a constant output" in ratios(loss=[variance, variance, 1.0])[2]
    assert ratios(ends=(CRITICAL,) * 3, loss=[0.1] * 3)[2].count("there is no trend") == 1
    assert "1 of them not at a critical point" in ratios()[2]
    assert "draw the strict one towards one half" in ratios(precision="float32", strict=True)[2]


def test_minimal_ratio_names_the_stopped_and_the_diverged():
    settings, result, text = ratios()
    assert "Stopped in training" not in text
    path = {"path_step": np.array([5, 9, -1]), "path_loss": np.array([1.0, 2.0, np.nan])}
    path |= {"path_norm": np.array([0.1, 0.1, np.nan]), "path_eigenvalues": result.eigenvalues}
    assert "2 of 3 nets, minimal ratio" in said(RATIO, settings, dataclasses.replace(result, **path))
    gone = {name: getattr(result, name).copy() for name in ("loss", "gradient_norm", "flatness", "eigenvalues")}
    for array in gone.values():
        array[2] = np.nan
    gone = dataclasses.replace(result, diverged_at=np.array([-1, -1, 7]), **gone)
    text = said(RATIO, settings, gone)
    assert "1 of 3 trainings of 1 diverged and are excluded" in text
    assert "ut off" not in text


def plane(middle=1.0, corner=2.0, **other):
    settings = dataclasses.replace(PLANES.tiny, grid=3, seeds=1, **other)
    axis, loss = np.array([[-1.0, 0.0, 1.0]]), np.full((1, 3, 3), 3.0)
    loss[0, 1, 1], loss[0, 0, 2] = middle, corner
    marks, away = np.array([[[1.0, 1.0], [0.0, 0.0]]]), np.array([[0.5, 0.0]])
    result = PLANES.result(
        ("6",), (10,), axis, axis, loss, np.full((1, 3, 3), np.nan), np.array([0, 4]), marks, np.array([[4.0, middle]]),
        np.array([[8.0, middle]]), away, np.array([[0.7, 0.2]]), np.full((1, 0, 0, 3), np.nan), np.array([-1]), (1.0,),
    )  # fmt: skip
    return settings, result, said(PLANES, settings, result)


def test_landscape_says_where_the_loss_is_lowest_and_how_far_the_path_is_off():
    settings, result, text = plane()
    assert "6: the net itself has the lowest loss, 1; the loss rises to 3 on the plane that is drawn" in text
    assert "which shows 2 of 10 directions" in text
    assert "differ from it by a factor of 1.5 (1 to 2)" in text
    assert "90.0 % of the variance of the path" in text
    assert "leaves it by up to 0.5" in text
    assert "most at epoch 0 (8 in the plane, 4 at the weights)" in text
    assert "nan" not in text
    assert "nothing can be concluded" in text
    assert (
        "the lowest loss is 0.5, at (-1, 1), at the edge of the grid, below the 1 of the net itself"
        in plane(corner=0.5)[2]
    )
    assert (
        "the net itself has the lowest loss" in plane(middle=1.0, corner=0.99999)[2]
    )  # equal to the digits that are shown
    assert "does not exclude a saddle" in plane(plane="random")[2]
    gone = dataclasses.replace(result, diverged_at=np.array([2]), loss=np.full((1, 3, 3), np.nan))
    assert "6 diverged and has no surface" in said(PLANES, settings, gone)


def test_minimal_ratio_is_drawn_though_all_losses_are_equal():
    settings, result, _ = ratios(ends=(CRITICAL,) * 3, loss=[0.0869, 0.0869 * (1 + 1e-15), 0.0869 * (1 - 1e-15)])
    with style.house_style():
        made = RATIO.figures(settings, result)
    low, high = made["ratio"].axes[0].get_ylim()
    assert low < 0.0869 / 1.5
    assert high > 0.0869 * 1.5
    labels = [text.get_text() for text in made["spectra"].legends[0].get_texts()]
    assert len(labels) == len(set(labels)) >= 2
    assert labels[0].startswith("lowest ratio")
