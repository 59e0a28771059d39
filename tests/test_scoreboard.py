"""The scoreboard of measures.

Oracles: SciPy's Kendall tau, also of resamples with ties; a granulated tau worked out by hand; a measure that is a copy
of the gap, and one that is noise; measures of a net taken again from its weights. Would miss: a measure whose
instrument is wrong (those are tested where they are), and whether the bootstrap's intervals hold their level.
"""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest

from dlhw.errors import UserError
from dlhw.experiments.scoreboard import Result, Settings, figures, statistics, summary
from dlhw.experiments.scoreboard.axes import AXES
from dlhw.experiments.scoreboard.measures import MEASURES, measure_net
from dlhw.runs import image_training, jobs, runner
from dlhw.runs.context import Context

LEVELS = np.array(list(itertools.product(range(2), range(3))))


def test_tau_is_that_of_scipy():
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 2)), rng.integers(0, 4, (20, 2)).astype(float)  # with ties
    a[3, 1] = np.nan
    known = np.isfinite(a)
    estimate = statistics.kendall(a, b, resamples=5, seed=1)
    assert estimate.value == pytest.approx(kendalltau(a[known], b[known]).statistic, abs=1e-12)
    counts = np.random.default_rng(1).multinomial(20, np.full(20, 1 / 20), size=5)
    for draw, count in zip(estimate.draws, counts, strict=True):
        rows = np.repeat(np.arange(20), count)
        one, other = a[rows].ravel(), b[rows].ravel()
        known = np.isfinite(one)
        assert draw == pytest.approx(kendalltau(one[known], other[known]).statistic, abs=1e-12)


def test_granulated_tau_is_that_of_the_table():
    gap = np.array([[1.0], [2], [3], [2], [3], [4]])  # rises along both axes
    measure = np.array([[1.0], [2], [3], [3], [2], [2]])
    # First axis, pairs (0, 3), (1, 4), (2, 5): +1, tie 0, -1. Second axis: +1; and of 3, 2, 2: two of three fall.
    result = statistics.granulated(measure, gap, LEVELS, (0, 1))
    assert result.axes[0].value == pytest.approx(0)
    assert result.axes[1].value == pytest.approx((1 - 2 / 3) / 2)
    assert result.total.value == pytest.approx(1 / 12 * 1.0)
    assert np.isnan(result.total.interval()).all()  # three groups are too few


def test_nets_that_are_left_out_leave_the_pairs_of_the_others():
    gap = np.arange(6.0).reshape(6, 1)
    measure = gap.copy()
    measure[0] = np.nan  # its pair along the first axis goes, and of its three along the second one pair stays
    result = statistics.granulated(measure, gap, LEVELS, (0, 1))
    assert [axis.value for axis in result.axes] == [1.0, 1.0]
    measure[1:3] = np.nan
    assert statistics.granulated(measure, gap, LEVELS, (0,)).axes[0].value is not None
    assert np.isnan(statistics.granulated(measure, gap, LEVELS, (0,)).axes[0].value)


def test_a_copy_of_the_gap_wins_and_noise_does_not():
    rng = np.random.default_rng(4)
    levels = np.array(list(itertools.product(range(3), range(2), range(4))))
    gap = rng.normal(size=(24, 3))
    copy = statistics.kendall(np.exp(gap), gap)
    assert copy.value == pytest.approx(1)
    assert copy.interval() == pytest.approx((1, 1))
    granular = statistics.granulated(np.exp(gap), gap, levels, (0, 1, 2))
    assert [axis.value for axis in granular.axes] == pytest.approx([1, 1, 1])
    covered = 0
    for trial in range(20):
        noise = np.random.default_rng(100 + trial).normal(size=gap.shape)
        estimate = statistics.kendall(noise, gap)
        covered += estimate.sign() == 0
        assert abs(statistics.granulated(noise, gap, levels, (0, 1, 2)).total.value) < 0.35
    assert covered >= 16  # of 20, of which 19 are expected


def test_one_axis_makes_a_large_tau_and_a_small_granulated_one():
    """A measure that knows the width alone: the reason for granulated tau."""
    levels = np.array(list(itertools.product(range(3), range(2), range(2))))
    rng = np.random.default_rng(0)
    gap = 10.0 * levels[:, :1] + rng.normal(size=(12, 2))
    measure = levels[:, :1] + np.zeros((12, 2))
    assert statistics.kendall(measure, gap).value > 0.8
    result = statistics.granulated(measure, gap, levels, (0, 1, 2))
    assert [axis.value for axis in result.axes] == [1, 0, 0]
    assert result.total.value == pytest.approx(1 / 3)


@pytest.fixture(scope="module")
def tiny(tiny_run):
    return tiny_run("scoreboard")


def test_a_training_stops_after_the_first_epoch_at_the_target(tiny):
    """Against the whole learning curve of the same training without a target."""
    settings, result = tiny.settings, tiny.result
    configuration = settings.configurations[1]  # batch 50
    own = configuration.settings(settings)
    job = jobs.make_job(own, configuration.net(settings), settings.seed)
    (record,) = image_training.train(settings, {"alone": job}, Context(jobs=1)).values()
    first = int(np.flatnonzero(record.train_loss <= settings.target_loss)[0])
    assert 0 < first < settings.epochs
    assert result.epochs[1, 0] == first
    assert result.train_loss[1, 0] == pytest.approx(record.train_loss[first], rel=1e-5)
    assert result.test_loss[1, 0] == pytest.approx(record.test_loss[first], rel=1e-5)


def test_what_misses_the_target_is_named_and_left_out(tiny):
    settings = dataclasses.replace(tiny.settings, epochs=15)
    run = runner.execute("scoreboard", settings, Context())
    missed = ~(run.result.train_loss <= settings.target_loss)
    assert 0 < missed.sum() < missed.size
    assert np.isnan(run.result.keskar[missed]).all()
    assert np.isfinite(run.result.keskar[~missed]).all()
    (text,) = [f.text for f in run.summary().findings if f.code == "target-not-reached"]
    assert text.startswith(f"{missed.sum()} of {missed.size} trainings")
    c, s = np.argwhere(missed)[0]
    assert f"{settings.configurations[c]}, seed {settings.seed + s}" in text
    assert run.summary().numbers["keskar"]["gap"]["n"] == (~missed).sum()
    assert run.figures()


def test_measures_are_those_of_the_weights():
    """Norms, distance and margins by NumPy; the others by their instruments on the same training images."""
    from dlhw import datasets, measure, models
    from dlhw.training import cross_entropy

    data = datasets.load("digits")
    kernels = ((64, 5), (5, 10))
    model = models.image_net("5", data.shape, 10, seed=3)
    start = model.get_weights()
    end = [w + 0.1 * np.random.default_rng(k).normal(size=w.shape) for k, w in enumerate(start)]
    end[2] = 20 * end[2]
    model.set_weights(end)
    values = measure_net(50, (kernels, "torch", 3), 7, model, data)
    rows = datasets.fixed_sample(len(data.x_train), 50)
    x, y = data.x_train[rows], data.y_train[rows]
    flat = np.concatenate([w.ravel() for w in model.get_weights()]).astype(np.float64)
    assert values["squared_norm"] == pytest.approx((flat**2).sum(), rel=1e-6)
    first = np.concatenate([w.ravel() for w in start])
    assert values["distance"] == pytest.approx(np.linalg.norm(flat - first), rel=1e-5)
    spectral = sum(2 * np.log(np.linalg.norm(w, 2)) for w in (end[0], end[2]))
    assert values["spectral_product"] == pytest.approx(spectral, rel=1e-5)
    assert values["keskar"] == pytest.approx(measure.keskar(model, cross_entropy, x, y, starts=1).value)
    assert values["sensitivity"] == pytest.approx(measure.sensitivity(model, cross_entropy, x, y).mean)
    matrix = measure.hessian_matrix(model, cross_entropy, x, y)
    assert values["eigenvalue"] == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-3)
    assert abs(values["trace"] - np.trace(matrix)) < 5 * values["trace_error"] + 1e-3 * np.trace(matrix)
    assert values["epochs"] == 7
    z = model(x).numpy().astype(np.float64)
    margins = [row[k] - np.delete(row, k).max() for row, k in zip(z, y, strict=True)]
    tenth = np.percentile(margins, 10)
    if tenth > 0:
        assert values["inverse_margin"] == pytest.approx(tenth**-2, rel=1e-4)
    else:
        assert np.isnan(values["inverse_margin"])


def test_configurations_are_every_combination_and_sam_is_one_axis():
    settings = Settings()
    assert len(settings.configurations) == 48 == len(set(settings.configurations))
    assert settings.levels.shape == (48, 5)
    for configuration, levels in zip(settings.configurations, settings.levels, strict=True):
        values = [getattr(settings, axis.field)[k] for axis, k in zip(AXES, levels, strict=True)]
        assert values == [getattr(configuration, axis.key) for axis in AXES]
    radii = {c.radius: c.settings(settings).make_optimizer() for c in settings.configurations}
    assert {radius: optimizer.radius for radius, optimizer in radii.items()} == {0: 0, 0.05: 0.05}
    assert all(optimizer.momentum == settings.momentum for optimizer in radii.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.5}, "`learning_rate` is what `learning_rates` varies"),
        ({"widths": ()}, "`widths` is empty"),
        ({"widths": (1, 0)}, "`widths` 0 must lie in 1/64..64"),
        ({"curvature_examples": 1}, "`curvature_examples` 1 must lie in 2..4000"),
        ({"curvature_examples": 4001}, "`curvature_examples` 4001 must lie in 2..4000"),
        ({"data": "digits", "examples": 200}, "`curvature_examples` 500 must lie in 2..200"),
        ({"radii": (-0.1,)}, "`radii` -0.1"),
        ({"target_loss": 0.0}, "`target_loss` 0 must be positive"),
        ({"batch_sizes": (5000,)}, "`batch_sizes` 5000"),
        ({"weight_decays": (0.0, 0.0)}, "names a value twice"),
        ({"weight_decays": (0.0, 100.0)}, "`weight_decay` 100"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(changes, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        Settings(**changes)
    assert "\n" not in str(caught.value)


def made_up(gap_of_width, follow, seed=0):
    """A result whose gap depends on the settings, with one measure that follows it and thirteen that are noise."""
    settings = Settings(seeds=3)
    rng, shape = np.random.default_rng(seed), (48, 3)
    levels = settings.levels
    gap = 0.2 + 0.03 * levels[:, 1:2] - 0.02 * levels[:, 3:4] + gap_of_width * levels[:, :1] + 0.03 * levels[:, 2:3]
    gap = gap - 0.04 * levels[:, 4:] + 0.002 * rng.normal(size=shape)
    names = [f.name for f in dataclasses.fields(Result)]
    values = {name: rng.uniform(1, 2, shape) for name in names}
    values["train_loss"] = rng.uniform(0.008, 0.01, shape)
    values |= {"test_loss": values["train_loss"] + gap, "gap_error": np.full(shape, 0.01)}
    values |= {"train_accuracy": np.ones(shape), "test_accuracy": 1 - gap / 5, "diverged_at": np.full(shape, -1)}
    values |= {"keskar_settled": np.ones(shape), "eigenvalue_residual": np.zeros(shape), "seconds": (1.0,) * 144}
    values["jacobian"] = gap**2 if follow else values["jacobian"]
    return settings, Result(**values)


def test_a_measure_that_follows_the_gap_everywhere_wins():
    summary_ = summary(*made_up(0.05, follow=True))
    assert summary_.findings[0].code == "measures-and-gap"
    assert summary_.sentences[0].startswith("Jacobian norm follows the generalization gap over all 144 nets")
    assert summary_.rows[0][0] == "Jacobian norm"
    assert summary_.numbers["jacobian"]["wins after correction"]


def test_no_measure_wins_where_all_are_noise():
    summary_ = summary(*made_up(0.05, follow=False))
    assert summary_.sentences[0].startswith("No measure wins")
    assert not any(summary_.numbers[m.key]["wins"] for m in MEASURES)


def test_the_size_of_the_net_is_a_control_that_ranks_them_by_width_alone():
    settings, result = made_up(0.5, follow=False)
    numbers = summary(settings, result).numbers["parameters"]
    assert numbers["gap"]["tau"] > 0.6
    assert numbers["along width"]["tau"] == pytest.approx(1)
    assert numbers["granulated"]["tau"] == pytest.approx(1 / 5)


def test_a_training_loss_that_goes_with_the_gap_is_a_warning():
    settings, result = made_up(0.05, follow=False)
    (quiet,) = [f.text for f in summary(settings, result).findings if f.code == "controls"]
    gap = result.test_loss - result.train_loss
    loss = 0.01 - 0.02 * (gap - gap.min())
    related = dataclasses.replace(result, train_loss=loss, test_loss=loss + gap)
    (warned,) = [f.text for f in summary(settings, related).findings if f.code == "controls"]
    assert "stopped" not in quiet
    assert "how far below the target a net stopped" in warned


def test_a_measure_that_the_two_gaps_judge_differently_is_named():
    settings, result = made_up(0.05, follow=True)
    (same,) = [f.text for f in summary(settings, result).findings if f.code == "loss-or-error"]
    assert "above zero over all nets as well: Jacobian norm" in same
    assert "opposite" not in same
    turned = dataclasses.replace(result, test_accuracy=1 - (0.5 - (result.test_loss - result.train_loss)) / 5)
    (opposite,) = [f.text for f in summary(settings, turned).findings if f.code == "loss-or-error"]
    assert "opposite answers for Jacobian norm (1.00 and −1.00)" in opposite


def test_a_measure_that_ranks_fewer_nets_says_so():
    settings, result = made_up(0.05, follow=True)
    assert not [f for f in summary(settings, result).findings if f.code == "ranked-on-fewer-nets"]
    inverse = result.inverse_margin.copy()
    inverse[:2, 0] = np.nan  # two nets whose 10th percentile of the margins is not positive
    some = summary(settings, dataclasses.replace(result, inverse_margin=inverse))
    (fewer,) = [f.text for f in some.findings if f.code == "ranked-on-fewer-nets"]
    assert "fewer than the 144 nets, those for which they are defined: inverse squared margin on 142." in fewer
    names = [row[0] for row in some.rows]
    assert "inverse squared margin (142 of 144 nets)" in names
    assert [name for name in names if "(" in name] == ["inverse squared margin (142 of 144 nets)"]
    fig = figures(settings, dataclasses.replace(result, inverse_margin=inverse))["scoreboard"]
    starred = [t.get_text() for t in fig.axes[0].get_yticklabels() if t.get_text().endswith("*")]
    assert starred == ["inverse squared margin *"]
    assert any("*: fewer nets" in t.get_text() for t in fig.texts)
