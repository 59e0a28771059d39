"""Tuned learning rates: stacks of several rates, the choice, and what it is chosen on.

Would miss: a grid that does not suit a problem.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlhw import datasets
from dlhw.checkpoints import MemoryCheckpoints
from dlhw.choices import WITH_MOMENTUM
from dlhw.errors import UserError
from dlhw.models import draw_weights, flat, image_net, mlp
from dlhw.present.tuning import Tuning, tuning_findings
from dlhw.runs import experiment as registry
from dlhw.runs import image_training, runner
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job
from dlhw.runs.settings import run_name
from dlhw.runs.tuning import choose, chosen_rates
from dlhw.training import OPTIMIZERS, Trainer, fit, fit_many, optimizer

SIMULATE, CLASSIFY = registry.get("simulate"), registry.get("classify")
X = np.linspace(-1, 1, 20)[:, None]
Y = np.sin(3 * X)
RATES = (0.003, 0.03, 0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_stack_of_several_rates_equals_trainings_one_by_one(name):
    def rule(rate):
        return optimizer(name, rate, 0.9 if name in WITH_MOMENTUM else 0.0)

    nets = [mlp((4,), activation="tanh", seed=s) for s in range(3)]
    rates = (0.003, 0.03, 0.1)
    together = fit_many(nets, X, Y, steps=25, optimizer=rule(7.0), learning_rates=rates, workers=1, chunk=10)
    for seed, (rate, history, net) in enumerate(zip(rates, together, nets, strict=True)):
        single = mlp((4,), activation="tanh", seed=seed)
        reference = fit(single, X, Y, steps=25, optimizer=rule(rate), compiled=False)
        assert np.allclose(history.loss, reference.loss, rtol=2e-3)
        assert np.allclose(flat(net), flat(single), atol=2e-3)
    assert not np.allclose(together[1].loss, together[2].loss, rtol=0.05)


def test_rates_that_are_not_one_for_every_model_are_refused():
    nets = [mlp((2,), seed=s) for s in range(2)]
    for rates in ((0.1,), (0.1, 0.0)):
        with pytest.raises(UserError, match="one for every model"):
            fit_many(nets, X, Y, steps=1, optimizer="sgd", learning_rates=rates)


def test_the_lowest_median_is_chosen_and_never_a_rate_that_diverged():
    scores = np.array([[[3.0, 3, 9], [2, 4, 4], [1, np.nan, 1]], [[np.nan] * 3, [5, 5, 5], [4, 4, 9]]])
    assert choose(scores).tolist() == [0, 2]
    assert chosen_rates(("a", "b"), scores, (0.1, 0.2, 0.3)).tolist() == [0.1, 0.3]
    scores[1, :, 0] = np.nan
    assert choose(scores).tolist() == [0, -1]
    with pytest.raises(UserError, match=r"b diverged at every learning rate from 0\.1 to 0\.3; name lower"):
        chosen_rates(("a", "b"), scores, (0.1, 0.2, 0.3))


def simulated(**changes):
    values = {"models": ("4", "3-2"), "epochs": 300, "points": 20, "seeds": 2, "tune": True, "tune_rates": RATES}
    return dataclasses.replace(SIMULATE.tiny, **(values | changes))


@pytest.fixture(scope="module")
def tuned():
    return runner.execute("simulate", simulated(), Context())


def test_simulate_reports_the_chosen_rate_on_seeds_that_it_was_not_chosen_on(tuned):
    settings, result = tuned.settings, tuned.result
    assert result.tuning_loss.shape == (2, 3, 3)
    best = np.median(result.tuning_loss, axis=-1).argmin(axis=-1)
    assert result.tuned_rate.tolist() == [RATES[k] for k in best]
    assert min(settings.tuning_seeds) >= 2**31  # no seed that a user can give
    for k, net in enumerate(settings.models):  # against plain runs at the tuned and at the untuned rate
        at = {"models": (net,), "tune": False, "tune_rates": ()}
        rate = float(result.tuned_rate[k])
        same = runner.execute("simulate", simulated(**at, learning_rate=rate), Context()).result
        assert np.allclose(same.loss[0], result.loss[k], rtol=1e-3)
        plain = runner.execute("simulate", simulated(**at), Context()).result
        assert np.allclose(np.median(plain.loss[0, :, -15:], axis=-1), result.untuned_loss[k], rtol=1e-3)


def test_the_scores_are_late_losses_of_trainings_on_the_tuning_seeds(tuned):
    settings = tuned.settings
    x, y = settings.samples()
    nets = [mlp((4,), activation=settings.activation, init=settings.init, seed=seed) for seed in settings.tuning_seeds]
    histories = fit_many(nets, x[:, None], y[:, None], steps=300, optimizer=settings.make_optimizer(RATES[1]))
    late = [np.median(history.loss[-15:]) for history in histories]
    assert np.allclose(late, tuned.result.tuning_loss[0, 1], rtol=1e-3)


def test_the_table_and_the_findings_state_rates_and_gains(tuned):
    summary = tuned.summary()
    column = summary.columns.index("tuned learning rate")
    assert [row[column] for row in summary.rows] == [f"{rate:g}" for rate in tuned.result.tuned_rate]
    texts = [f.text for f in summary.findings if f.code == "tuned"]
    assert "on 3 seeds that are not reported" in texts[0]
    assert "tuned against untuned (learning rate 0.01)" in texts[1]
    assert tuned.figures().keys() == {"loss", "fit", "tuning"}


def finding(chosen, scores, tuned, untuned):
    t = Tuning(
        ("a",), (0.1, 0.2, 0.3), np.array([chosen]), np.array([scores]), 0.25, *np.array([[tuned], [untuned]]), *"qs"
    )
    return {f.code for f in tuning_findings(t)}, " ".join(f.text for f in tuning_findings(t))


def test_the_sentences_on_both_sides_of_their_rules():
    scores = [[3.0, 3], [1, 1], [2, 2]]
    codes, text = finding(0.2, scores, [1.0, 2], [3.0, 4])
    assert codes == {"tuned"}
    assert "lower in every seed" in text
    assert "ranges overlap" in finding(0.2, scores, [1.0, 3.5], [3.0, 4])[1]
    assert "higher in every seed" in finding(0.2, scores, [5.0, 6], [3.0, 4])[1]
    assert "0 tuned and 1 untuned trainings diverged" in finding(0.2, scores, [5.0, 6], [3.0, np.nan])[1]
    codes, text = finding(0.3, [[3.0, 3], [2, 2], [1, 1]], [1.0, 2], [3.0, 4])
    assert "tuned-at-the-edge" in codes
    assert "a has the highest, 0.3" in text
    assert "a has the lowest, 0.1" in finding(0.1, [[1.0, 1], [2, 2], [3, 3]], [1.0, 2], [3.0, 4])[1]
    assert "not chosen (a 0.3)" in finding(0.2, [[3.0, 3], [1, 1], [np.nan, 1]], [1.0, 2], [3.0, 4])[1]
    assert "choice says nothing" in finding(0.2, [[1.005, 1], [1, 1], [1, 1.001]], [1.0, 2], [3.0, 4])[1]
    assert "choice says nothing" not in text


@pytest.mark.parametrize("call", [1, 3], ids=["while tuning", "after it"])
def test_a_tuned_run_that_was_interrupted_ends_with_the_same_bytes(tuned, call):
    store, calls = MemoryCheckpoints(), []

    def interrupt(*args, **kwargs):  # a phase of two stacks reports twice
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.execute("simulate", simulated(), Context(checkpoints=store, progress=interrupt))
    again = runner.execute("simulate", simulated(), Context(checkpoints=store))
    for name in ("loss", "tuned_rate", "tuning_loss", "untuned_loss", "prediction"):
        assert np.array_equal(getattr(again.result, name), getattr(tuned.result, name)), name


def test_tuning_goes_with_stopping_where_the_loss_has_converged():
    run = runner.execute("simulate", simulated(until="converged", epochs=600), Context())
    assert run.result.stopped_at is not None
    assert np.isfinite(run.result.tuning_loss).all()
    assert {"tuned", "until-converged"} <= {f.code for f in run.summary().findings}


@pytest.mark.parametrize("module", [SIMULATE, CLASSIFY], ids=["simulate", "classify"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune_rates": (0.1, 0.2)}, "`tune_rates` applies to a run with `tune`; leave it out"),
        ({"tune_seeds": 2}, "`tune_seeds` applies to a run with `tune`"),
        ({"tune": True, "tune_rates": (0.1,)}, "`tune_rates` 0.1 is one rate; name at least two"),
        ({"tune": True, "tune_rates": (0.1, 0.1)}, "names a rate twice"),
        ({"tune": True, "tune_rates": (0.1, -1.0)}, "every rate must be positive"),
        ({"tune": True, "tune_seeds": 0}, r"`tune_seeds` 0 must lie in 1\.\.100"),
    ],
)
def test_a_grid_that_cannot_be_used_is_refused(module, changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(module.tiny, **changes)


def test_too_few_images_for_validation_are_refused():
    with pytest.raises(UserError, match="too few for 10 classes"):
        dataclasses.replace(CLASSIFY.tiny, tune=True, examples=90)
    with pytest.raises(UserError, match="`batch_size` 190 exceeds the others"):
        dataclasses.replace(CLASSIFY.tiny, tune=True, batch_size=190)


def test_the_default_grid_is_seven_rates_around_the_learning_rate():
    assert np.allclose(SIMULATE.settings(tune=True).rates, 0.01 * 10.0 ** (np.arange(-3, 4) / 2), rtol=2e-3)
    assert SIMULATE.settings(tune=True, learning_rate=0.0123).rates[3] == 0.0123
    assert run_name(SIMULATE.settings()) == run_name(CLASSIFY.settings()) == "default"


def test_validation_images_are_stratified_fixed_and_not_trained_on():
    labels = datasets.load("digits").y_train
    trained, held = datasets.held_out(labels, 10)
    assert sorted([*trained, *held]) == list(range(len(labels)))
    assert len(held) == len(labels) // 10
    counts = np.bincount(labels[held], minlength=10)
    assert np.abs(counts - np.bincount(labels) / 10).max() <= 1
    assert np.array_equal(held, datasets.held_out(labels, 10)[1])


def test_a_job_with_validation_trains_and_evaluates_on_training_images_alone():
    settings = dataclasses.replace(CLASSIFY.tiny, models=("6",))
    job = dataclasses.replace(make_job(settings, "6", 3), validation=True)
    record = image_training.train(settings, {"a": job}, Context())["a"]
    data = datasets.load("digits", examples=200, seed=settings.seed)
    trained, held = datasets.held_out(data.y_train, 10)
    net = image_net("6", data.shape, 10, activation=settings.activation, init=settings.init)
    net.set_weights(draw_weights(settings.kernels("6"), init=settings.init, seed=3))
    trainer = Trainer(net, batch_size=settings.batch_size, optimizer=settings.make_optimizer())
    parts = [(data.x_train[rows], data.y_train[rows]) for rows in (trained, held)]
    curves = trainer.fit(*parts, epochs=settings.epochs, seed=3)
    assert np.allclose(record.train_loss, curves.train_loss, rtol=1e-5)
    assert np.allclose(record.test_loss, curves.test_loss, rtol=1e-5)


def test_classify_chooses_by_validation_and_reports_both_rates_and_resumes():
    settings = dataclasses.replace(
        CLASSIFY.tiny, models=("6",), epochs=3, tune=True, tune_rates=(0.2, 0.02), tune_seeds=1, learning_rate=0.05
    )
    run = runner.execute("classify", settings, Context())
    result = run.result
    assert settings.rates == (0.02, 0.2)
    assert result.tuned_rate[0] == settings.rates[int(result.tuning_loss[0, :, 0].argmin())]
    plain = {"tune": False, "tune_rates": (), "tune_seeds": 3}
    same = dataclasses.replace(settings, **plain, learning_rate=float(result.tuned_rate[0]))
    assert np.allclose(runner.execute("classify", same, Context()).result.test_loss, result.test_loss, rtol=1e-5)
    untuned = runner.execute("classify", dataclasses.replace(settings, **plain), Context()).result
    assert np.allclose(untuned.test_loss[..., -1], result.untuned_loss, rtol=1e-5)
    assert run.figures().keys() == {"curves", "tuning"}
    store, calls = MemoryCheckpoints(), []

    def interrupt(done, total, *args, **kwargs):
        calls.append(done)
        if len(calls) > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.execute("classify", settings, Context(checkpoints=store, progress=interrupt))
    again = runner.execute("classify", settings, Context(checkpoints=store)).result
    for name in ("test_loss", "tuning_loss", "untuned_loss"):
        assert np.array_equal(getattr(again, name), getattr(result, name)), name
