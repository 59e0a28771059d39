"""Double descent against independent oracles.

- numpy.linalg.lstsq: the solution of least norm on both sides of the threshold and at it, where a Gram matrix is nearly
  singular; would miss an error in the features.
- Closed form of ridge, and scikit-learn's Ridge; the limit of a small penalty is the solution of least norm.
- The Gaussian kernel, to which the features converge as 1 / sqrt(p).
- Published: the peak is at p = n (Belkin et al. 2019), on data whose labels are random.
- A net of the run against a plain loop in NumPy; would miss an error in XLA's compilation only.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import dlhw
from dlhw.errors import UserError
from dlhw.experiments.double_descent import TINY, Settings, samples
from dlhw.experiments.double_descent.figures import families
from dlhw.experiments.double_descent.findings import summary
from dlhw.experiments.double_descent.peaks import highest_peak
from dlhw.experiments.double_descent.random_features import FourierFeatures, median_distance, minimum_norm, solve
from dlhw.models import draw_weights
from dlhw.present import plot, scales
from dlhw.runs.context import Context

RNG = np.random.default_rng(0)


def problem(n, p, d=6, k=3, seed=0):
    x = np.random.default_rng(seed).random((n, d))
    return FourierFeatures.draw(p, d, 0.5, seed)(x), np.random.default_rng(seed + 1).normal(size=(n, k))


@pytest.mark.parametrize("p", [1, 5, 20, 38, 39, 40, 41, 42, 60, 200])
def test_the_solution_of_least_norm_is_that_of_lstsq(p):
    a, y = problem(40, p)
    expected = np.linalg.lstsq(a, y, rcond=None)[0]
    condition = np.linalg.cond(a)
    for ours in (solve(a, y, (1.0,)).least_norm, minimum_norm(a, y)):
        np.testing.assert_allclose(ours, expected, atol=1e-13 * condition * np.abs(expected).max())
    if p >= 40:
        np.testing.assert_allclose(a @ expected, y, atol=1e-12 * condition)


@pytest.mark.parametrize("n", [8, 30])
def test_without_full_rank_it_is_still_that_of_lstsq(n):
    a, y = problem(n, 20)
    a[:, 3], a[1] = a[:, 7], a[0]  # two features that are equal, two examples that are equal
    expected = np.linalg.lstsq(a, y, rcond=None)[0]
    np.testing.assert_allclose(minimum_norm(a, y), expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(solve(a, y, (1.0,)).least_norm, expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("p", [10, 40, 90])
def test_ridge_is_the_closed_form_and_that_of_scikit_learn(p):
    a, y = problem(40, p)
    penalties = (1e-3, 0.1, 10.0)
    for ours, penalty in zip(solve(a, y, penalties).ridge, penalties, strict=True):
        closed = np.linalg.solve(a.T @ a + penalty * np.eye(p), a.T @ y)
        np.testing.assert_allclose(ours, closed, atol=1e-9 * np.abs(closed).max())
        theirs = Ridge(alpha=penalty, fit_intercept=False, solver="svd").fit(a, y).coef_.T
        np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(closed).max())
    small = solve(a, y, (1e-11,))
    if p != 40:  # where the smallest singular value is not small
        np.testing.assert_allclose(small.ridge[0], small.least_norm, atol=1e-3 * np.abs(small.least_norm).max())


def test_the_features_converge_to_the_gaussian_kernel_and_are_nested():
    x = RNG.random((30, 5))
    kernel = np.exp(-np.square(x[:, None] - x).sum(-1) / (2 * 0.7**2))
    errors = []
    for p in (1000, 16000):
        a = FourierFeatures.draw(p, 5, 0.7, 3)(x)
        errors.append(np.abs(a @ a.T - kernel).max())
        assert errors[-1] < 6 * np.sqrt(2 / p)  # a mean of p bounded terms, 900 entries
    few, many = (FourierFeatures.draw(p, 5, 0.7, 3) for p in (300, 1000))
    np.testing.assert_array_equal(few.directions, many.directions[:300])
    np.testing.assert_array_equal(few.shifts, many.shifts[:300])
    pairs = [np.linalg.norm(a - b) for k, a in enumerate(x) for b in x[:k]]
    assert median_distance(x) == pytest.approx(np.median(pairs), rel=1e-12)


def test_the_peak_is_at_as_many_features_as_examples():
    """With half of the labels shuffled, the test error of least norm is largest at p = n, and that of ridge is not."""
    settings = dataclasses.replace(
        TINY,
        examples=100,
        validation=100,
        noise=(0.5,),
        ratios=(0.1, 0.3, 0.7, 1.0, 1.4, 3.0, 10.0),
        nets=False,
        net_ratios=Settings().net_ratios,
    )
    result = dlhw.experiments.double_descent.run(settings, Context())
    assert result.widths.shape == (0,)
    peak = highest_peak(result.test_error[0])
    assert peak is not None
    assert result.features[peak.at] == 100
    assert peak.separated
    losses = np.median(result.test_loss[0], axis=-1)
    assert losses.argmax() == peak.at
    assert losses[peak.at] > 3 * losses[-1]
    assert (result.norm[0, peak.at] > 2 * result.norm[0, -1]).all()
    assert (result.train_error[0, result.features >= 100] == 0).all()
    ridge = result.ridge_test_error[0]
    assert (ridge[peak.at] < result.test_error[0, peak.at] - 0.1).all()
    left_over = highest_peak(ridge)
    assert left_over is None or left_over.height < 0.5 * peak.height


def test_a_run_without_nets_has_no_training_that_diverged(tiny_run):
    run = tiny_run("double-descent")
    nothing = np.zeros((2, 0, 2))
    fields = {f.name: nothing for f in dataclasses.fields(run.result) if f.name.startswith(("net_", "early_"))}
    alone = dataclasses.replace(run.result, **fields, diverged_at=nothing.astype(int), widths=np.array([], int))
    assert not dataclasses.replace(run, result=alone).all_diverged
    assert not run.all_diverged
    lost = dataclasses.replace(run.result, diverged_at=np.ones_like(run.result.diverged_at))
    assert dataclasses.replace(run, result=lost).all_diverged


def test_a_net_is_that_of_a_plain_loop():
    settings = dataclasses.replace(TINY, noise=(0.5,), seeds=1, epochs=4, seed=3)
    result = dlhw.experiments.double_descent.run(settings, Context())
    data, k = samples.load(settings, Context()), -1
    labels, width = data.labels(0.5, 3), int(result.widths[k])
    weights = draw_weights([(64, width), (width, 10)], init=settings.init, seed=3)
    w1, b1, w2, b2 = (w.astype(np.float64) for w in weights)
    velocity, order = [0.0] * 4, np.random.default_rng([3, 2])

    def outputs(x):
        return np.maximum(x @ w1 + b1, 0) @ w2 + b2

    epochs = [(data.error_and_loss(outputs(data.x_validation), data.y_validation)[1], 0, outputs(data.x_test))]
    for epoch in range(1, 5):
        shuffled = order.permutation(40)
        for rows in (shuffled[:20], shuffled[20:]):
            x, y = data.x[rows], data.one_hot(labels[rows])
            h = np.maximum(x @ w1 + b1, 0)
            d = 2 * (h @ w2 + b2 - y) / len(x)
            back = (d @ w2.T) * (h > 0)
            gradients = x.T @ back, back.sum(0), h.T @ d, d.sum(0)
            velocity = [0.9 * v - settings.learning_rate * g for v, g in zip(velocity, gradients, strict=True)]
            w1, b1, w2, b2 = (w + v for w, v in zip((w1, b1, w2, b2), velocity, strict=True))
        epochs.append(
            (data.error_and_loss(outputs(data.x_validation), data.y_validation)[1], epoch, outputs(data.x_test))
        )
    error, loss = data.error_and_loss(outputs(data.x_test), data.y_test)
    assert result.net_test_error[0, k, 0] == pytest.approx(error, abs=1 / 360)
    assert result.net_test_loss[0, k, 0] == pytest.approx(loss, rel=1e-4)
    train = data.error_and_loss(outputs(data.x), labels)
    assert result.net_train_error[0, k, 0] == pytest.approx(train[0], abs=1 / 40)
    assert result.net_train_loss[0, k, 0] == pytest.approx(train[1], rel=1e-4)
    norm = np.sqrt(sum(np.sum(w**2) for w in (w1, b1, w2, b2)))
    assert result.net_norm[0, k, 0] == pytest.approx(norm, rel=1e-5)
    _, best, at_best = min(epochs, key=lambda item: item[0])
    assert result.early_epoch[0, k, 0] == best
    assert result.early_test_loss[0, k, 0] == pytest.approx(data.error_and_loss(at_best, data.y_test)[1], rel=1e-4)
    assert result.parameters[k] == 65 * width + 11 * width - width + 10


def test_the_images_that_select_are_others_than_those_trained_on_and_labels_are_shuffled_once():
    settings = Settings(data="digits", examples=100, validation=50)
    data = samples.load(settings, Context())
    joined = np.concatenate([data.x, data.x_validation])
    assert len(np.unique(joined, axis=0)) == 150
    assert data.x.shape == (100, 64)
    assert 0 <= data.x.min() <= data.x.max() <= 1
    noisy = data.labels(0.2, 0)
    assert 0 < (noisy != data.y).sum() <= 20
    np.testing.assert_array_equal(noisy, data.labels(0.2, 0))
    assert (noisy != data.labels(0.2, 1)).any()


def test_sizes_are_multiples_of_the_threshold():
    settings = Settings()
    assert 4000 in settings.features
    assert settings.threshold_of_nets == 40000
    parameters = [785 * h + 10 * (h + 1) for h in settings.widths]
    ratios = np.array(parameters) / 40000
    np.testing.assert_allclose(ratios, settings.net_ratios, atol=0.011)  # a unit more or less is 795 parameters


def peak_of(medians, spread=0.0):
    values = np.array(medians)[:, None] + spread * np.array([-1.0, 0.0, 1.0])
    return highest_peak(values)


def test_a_peak_needs_lower_points_on_both_sides():
    assert peak_of([0.9, 0.5, 0.3, 0.2]) is None
    assert peak_of([0.1, 0.3, 0.5, 0.9]) is None
    assert peak_of([0.3, 0.2]) is None
    peak = peak_of([0.9, 0.2, 0.6, 0.1, 0.15, 0.1])
    assert (peak.at, peak.before, peak.after) == (2, 1, 3)
    assert peak.height == pytest.approx(0.4)
    assert peak.separated
    assert not peak_of([0.9, 0.2, 0.6, 0.1], spread=0.3).separated


def with_errors(tiny_run, **errors):
    run = tiny_run("double-descent")
    result = run.result
    fields = {
        name: np.broadcast_to(np.array(v)[None, :, None], getattr(result, name).shape) for name, v in errors.items()
    }
    return summary(run.settings, dataclasses.replace(result, **fields))


def codes(summary):
    return [finding.code for finding in summary.findings]


def text_of(summary, code):
    return " ".join(f.text for f in summary.findings if f.code == code)


def test_findings_on_a_peak_and_on_none(tiny_run):
    peaked = with_errors(tiny_run, test_error=[0.3, 0.9, 0.2], ridge_test_error=[0.3, 0.25, 0.2])
    assert "neither always worse nor always better" in text_of(peaked, "double-descent")
    assert "falls to 30 % at 10 features, rises to 90 % at 40 and falls again to 20 % at 160" in str(peaked)
    assert "The peak is at the interpolation threshold (p = n = 40)" in text_of(peaked, "interpolation-peak")
    assert "at 40 features the test error is 25 % in place of 90 %; no peak is left" in text_of(peaked, "ridge")
    falling = {"test_error": [0.9, 0.5, 0.2], "test_loss": [0.9, 0.5, 0.2]}
    none = with_errors(tiny_run, **falling)
    assert "does not show a peak" in text_of(none, "double-descent")
    assert "the test error has no peak" in text_of(none, "interpolation-peak")
    assert "peak" not in text_of(none, "ridge")
    by_loss = with_errors(tiny_run, test_error=[0.9, 0.5, 0.2], test_loss=[0.9, 44.4, 0.2])
    assert "rises to 44.4 at 40 and falls again to 0.2 at 160" in text_of(by_loss, "double-descent")
    stubborn = with_errors(tiny_run, test_error=[0.3, 0.9, 0.2], ridge_test_error=[0.3, 0.6, 0.2])
    assert "a peak is left, 30 points at 40" in text_of(stubborn, "ridge")
    flattened = with_errors(tiny_run, test_error=[0.3, 0.9, 0.2], ridge_test_error=[0.3, 0.31, 0.2])
    assert "hardly any of the peak is left, 1 points at 40" in text_of(flattened, "ridge")


def test_findings_on_nets_that_do_not_interpolate_and_on_penalties_at_the_edge(tiny_run):
    assert "not-interpolated" in codes(with_errors(tiny_run, net_train_error=[0.5, 0.02]))
    assert "not-interpolated" not in codes(with_errors(tiny_run, net_train_error=[0.5, 0.0]))
    chosen = tiny_run("double-descent").result.ridge_penalty
    edge = text_of(with_errors(tiny_run, ridge_penalty=[1e-5, 1.0, 1.0]), "penalty-at-the-edge")
    assert edge.startswith(
        f"In {chosen.size // 3} of {chosen.size} choices, the selected ridge penalty is the smallest"
    )
    assert "penalty-at-the-edge" not in codes(with_errors(tiny_run, ridge_penalty=[1e-3, 1.0, 1.0]))


def test_the_figures_show_the_numbers(tiny_run):
    run = tiny_run("double-descent")
    for name, family in families(run.settings, run.result).items():
        top = run.figures()[name].axes[0]
        line = next(ln for ln in top.lines if ln.get_label() == f"true labels, {family.plain}")
        np.testing.assert_array_equal(line.get_xdata(), family.x)
        np.testing.assert_allclose(line.get_ydata(), 100 * np.median(family.test_error[0], axis=-1))
        assert top.get_xscale() == "log"
        assert any(np.allclose(ln.get_xdata(), family.threshold) for ln in top.lines)


@pytest.mark.parametrize("factor", [1.5, 3, 6, 20, 100, 290, 3000])
def test_the_labels_of_sizes_do_not_touch(factor):
    fig, (axes,) = plot.figure()
    axes.plot([3313, 3313 * factor], [1, 2])
    scales.log_sizes(axes)
    fig.canvas.draw()
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = sorted((t.label1.get_window_extent() for t in shown if t.label1.get_text()), key=lambda box: box.x0)
    assert len(boxes) >= 2
    assert all(b.x0 - a.x1 > 8 for a, b in itertools.pairwise(boxes))
    assert not axes.xaxis.get_minorticklocs().size


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"examples": 1400}, "`examples` 1400 and `validation` 300 exceed the 1437 training examples of digits"),
        ({"examples": 0}, "`examples` 0 must be at least 2"),
        ({"validation": 0}, "`validation` 0 must be positive"),
        ({"noise": ()}, "`noise` is empty"),
        ({"noise": (0.1, 0.1)}, "`noise` names a fraction twice"),
        ({"noise": (1.5,)}, "`noise` 1.5 must lie in"),
        ({"ratios": (0.5, 1.0)}, "`ratios` must have multiples below and above 1"),
        ({"ratios": (0.5, 0.5, 2.0)}, "`ratios` names a multiple twice"),
        ({"net_ratios": (-1.0, 2.0)}, "`net_ratios` -1 must lie in"),
        ({"nets": False, "net_ratios": (0.1, 3.0)}, "`net_ratios` applies to nets, and `nets` is off"),
        ({"examples": 1000, "ratios": (0.5, 900.0)}, "make a matrix of 900,000,000 numbers"),
        ({"bandwidth": 0.0}, "`bandwidth` 0 must be positive"),
        ({"precision": "mixed"}, "`precision` has no effect"),
        ({"batch_size": 500}, "500 must lie in 1..400"),
    ],
)
def test_bad_settings_are_refused_in_one_line(values, message):
    from dlhw.runs.settings import build

    with pytest.raises(UserError, match=message):
        build(Settings, {"data": "digits"} | values)
