"""Training until converged: the rule on curves whose answer is known, and trainings that stop by it.

Would miss: a rule that is itself unreasonable.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlhw.checkpoints import MemoryCheckpoints
from dlhw.datasets import load
from dlhw.errors import UserError
from dlhw.experiments.simulate.findings import measures
from dlhw.models import flat, image_net, mlp
from dlhw.present import stopping
from dlhw.runs import experiment as registry
from dlhw.runs import runner
from dlhw.runs.context import Context
from dlhw.runs.run import Run
from dlhw.training import Trainer, fit_many, optimizer
from dlhw.training.convergence import OVER_EPOCHS, OVER_STEPS, check_steps, entropy

SIMULATE, CLASSIFY = registry.get("simulate"), registry.get("classify")
X = np.linspace(-1, 1, 20)[:, None]
Y = np.sin(9 * X)


def reached(losses, constant=10.0, rule=OVER_STEPS):
    return bool(rule.reached(np.asarray(losses, float), constant))


def test_the_rule_on_curves_whose_answer_is_known():
    t = np.arange(1000)
    assert reached(np.ones(1000))
    # The medians of two neighbouring windows of 100 steps differ by a factor of 0.989, and by 0.991.
    assert not reached(0.989 ** (t / 100))
    assert reached(0.991 ** (t / 100))
    assert reached(1 + t / 1000)  # it rises
    assert reached(np.where(t % 3 == 0, 100.0, 1.0))  # the median does not see spikes
    falling = 0.9 ** (t / 100)
    assert not reached(np.where(t % 3 == 0, 100.0, falling))
    assert not reached(np.where(t > 900, np.nan, 1.0))
    assert not reached(np.full(1000, np.inf))


def test_the_rule_looks_at_a_tenth_of_the_steps_taken():
    losses = np.ones(1000)
    losses[:800] = 5.0  # before both windows
    assert reached(losses)
    losses[800:900] = 1.02  # the window before the last
    assert not reached(losses)
    assert reached(np.append(losses, np.ones(200)))  # 1200 steps: windows of 120


def test_nothing_stops_before_the_least_step_nor_on_the_first_plateau():
    assert not reached(np.ones(199))
    assert reached(np.ones(200))
    assert not reached(np.ones(9), rule=OVER_EPOCHS)
    assert reached(np.ones(10), rule=OVER_EPOCHS)
    assert not reached(np.full(1000, 0.95), constant=1.0)
    assert reached(np.full(1000, 0.85), constant=1.0)
    many = OVER_STEPS.reached(np.stack([np.full(300, 0.85), np.full(300, 0.95), np.geomspace(0.8, 1e-3, 300)]), 1.0)
    assert many.tolist() == [True, False, False]


def test_checks_are_every_hundredth_and_never_at_the_end():
    assert check_steps(20000)[:3] == [200, 400, 600]
    assert len(check_steps(20000)) == 99
    assert check_steps(50) == list(range(1, 50))
    assert check_steps(1) == []


def test_the_loss_of_the_best_constant_output():
    assert np.isclose(entropy(np.repeat(np.arange(10), 7)), np.log(10))
    assert np.isclose(entropy(np.array([0, 0, 0, 1])), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


def trained(steps=2000, seeds=(0, 1, 2, 3), **more):
    nets = [mlp((4,), seed=s) for s in seeds]
    rule = optimizer("sgd", 0.03, 0.9)
    return fit_many(nets, X, Y, steps=steps, optimizer=rule, workers=1, **more), [flat(net) for net in nets]


def test_every_net_of_a_stack_stops_where_the_rule_holds_first_with_the_weights_of_that_step():
    plain, _ = trained(keep=range(2001))
    stopped, weights = trained(until_converged=True, keep=(0, 2000))
    constant = float(np.var(Y))
    ends = []
    for a, b, end in zip(plain, stopped, weights, strict=True):
        expected = [t for t in check_steps(2000) if reached(a.loss[:t], constant)]
        ends.append(b.stopped_at)
        assert b.stopped_at == (expected[0] if expected else None)
        last = b.stopped_at or 2000
        assert np.allclose(a.loss[: last + 1], b.loss[: last + 1], rtol=1e-6)
        assert np.isnan(b.loss[last + 1 :]).all()
        assert len(b.loss) == 2001
        assert np.array_equal(end, a.weights[last])
        assert np.array_equal(b.weights[1], end)
    assert len({end for end in ends if end}) > 1, ends  # at different steps


def test_where_a_net_stops_does_not_depend_on_the_chunks():
    (a, weights), (b, others) = trained(until_converged=True, chunk=1000), trained(until_converged=True, chunk=37)
    for left, right in zip(a, b, strict=True):
        assert left.stopped_at == right.stopped_at
        assert np.array_equal(left.loss, right.loss, equal_nan=True)
    assert all(np.array_equal(v, w) for v, w in zip(weights, others, strict=True))


def test_a_stack_that_was_interrupted_ends_with_the_same_bytes():
    whole, weights = trained(until_converged=True)
    for interrupted_at in (300, 900):
        store = MemoryCheckpoints()

        def interrupt(done, total, loss, at=interrupted_at):
            if at <= done < total:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            trained(until_converged=True, chunk=50, progress=interrupt, checkpoints=store)
        assert len(store) == 1
        again, others = trained(until_converged=True, checkpoints=store)
        assert [h.stopped_at for h in again] == [h.stopped_at for h in whole]
        assert all(np.array_equal(a.loss, b.loss, equal_nan=True) for a, b in zip(again, whole, strict=True))
        assert all(np.array_equal(v, w) for v, w in zip(others, weights, strict=True))


def test_progress_reaches_the_end_where_every_net_stopped_early():
    calls = []
    histories, _ = trained(steps=4000, seeds=(0, 1, 2), until_converged=True, progress=lambda *a: calls.append(a))
    assert all(h.stopped_at is not None for h in histories)
    assert calls[-1][:2] == (4000, 4000)


def test_a_net_that_diverges_counts_as_diverged():
    calm, wild = mlp((4,), activation="tanh", seed=0), mlp((4,), seed=1)
    wild.set_weights([1e4 * w for w in wild.get_weights()])
    good, bad = fit_many([calm, wild], X, Y, steps=600, optimizer=optimizer("sgd", 0.05), until_converged=True)
    assert bad.diverged_at is not None
    assert bad.stopped_at is None
    assert good.diverged_at is None


def test_simulate_reports_every_net_at_its_own_end():
    settings = dataclasses.replace(
        SIMULATE.tiny, models=("8", "3-2"), epochs=3000, points=20, learning_rate=0.1, until="converged", seeds=3
    )
    run = runner.execute("simulate", settings, Context())
    result, measured = run.result, measures(settings, run.result)
    stops = result.stopped_at
    assert (stops >= 0).any()
    for at in np.ndindex(stops.shape):
        last = stops[at] if stops[at] >= 0 else 3000
        own = result.loss[at][: last + 1].astype(float)
        assert np.isnan(result.loss[at][last + 1 :]).all()
        assert measured["final_mse"][at] == own[-1]
        assert measured["best_mse"][at] == own.min()
        assert measured["late_mse"][at] == np.median(own[-max(1, round(0.05 * last)) :])
    summary = run.summary()
    assert "converged at epoch" in summary.columns
    (finding,) = (f for f in summary.findings if f.code == "until-converged")
    count = int((stops[0] >= 0).sum())
    assert f"8: {count} of 3 converged" in finding.text
    assert run.figures().keys() == {"loss", "fit"}
    plain = runner.execute("simulate", dataclasses.replace(settings, until="epochs"), Context())
    assert plain.result.stopped_at is None
    assert np.allclose(plain.result.loss[~np.isnan(result.loss)], result.loss[~np.isnan(result.loss)], rtol=1e-4)


def test_what_is_compared_and_drawn_after_a_stop():
    curves, stops = np.array([[4.0, 3, np.nan, np.nan], [9.0, 8, 7, np.nan]]), np.array([1, 2])
    last = stopping.last_epochs(stops, curves)
    assert stopping.held(curves, last).tolist() == [[4, 3, 3, 3], [9, 8, 7, 7]]
    assert np.array_equal(stopping.drawn(curves, stops), [[4, 3, 3, np.nan], [9, 8, 7, np.nan]], equal_nan=True)
    assert stopping.drawn(curves, None) is curves
    assert stopping.column(np.array([5, -1, 9])) == "7 (5 to 9), 2 of 3"
    assert stopping.column(np.array([-1, -1])) == "–"


@pytest.fixture(scope="module")
def digits():
    data = load("digits", examples=200)
    return (data.x_train, data.y_train), (data.x_test, data.y_test)


def test_a_trainer_stops_after_the_epoch_at_which_the_rule_holds_first(digits):
    def fit(**more):
        net = image_net("8", (8, 8, 1), 10, seed=0)
        trainer = Trainer(net, batch_size=50, optimizer=optimizer("sgd", 0.1, 0.9))
        return trainer.fit(*digits, epochs=14, **more), flat(net)

    whole, _ = fit()
    asked = []

    def rule(losses):
        asked.append(losses.copy())
        return len(losses) == 6

    stopped, weights = fit(converged=rule)
    assert stopped.stopped_at == 6
    assert whole.stopped_at is None
    assert np.array_equal(stopped.train_loss[:7], whole.train_loss[:7])
    assert np.isnan(stopped.train_loss[7:]).all()
    assert len(stopped.train_loss) == 15
    assert np.array_equal(asked[-1], whole.train_loss[1:7])
    net = image_net("8", (8, 8, 1), 10, seed=0)
    Trainer(net, batch_size=50, optimizer=optimizer("sgd", 0.1, 0.9)).fit(*digits, epochs=6)
    assert np.array_equal(weights, flat(net))


def test_classify_stops_by_the_rule_on_the_training_loss_and_resumes(monkeypatch):
    settings = dataclasses.replace(
        CLASSIFY.tiny, models=("2",), epochs=80, until="converged", learning_rate=0.1, seeds=2, batch_size=50
    )
    whole = runner.execute("classify", dataclasses.replace(settings, until="epochs"), Context()).result
    run = runner.execute("classify", settings, Context())
    result, labels = run.result, load("digits", examples=200, seed=settings.seed).y_train
    for s, loss in enumerate(whole.train_loss[0]):
        expected = [e for e in range(1, 80) if reached(loss[1 : e + 1], entropy(labels), OVER_EPOCHS)]
        assert result.stopped_at[0, s] == (expected[0] if expected else -1)
    assert (result.stopped_at >= 0).any()
    last = np.where(result.stopped_at < 0, 80, result.stopped_at)
    ends = np.take_along_axis(whole.test_loss, last[..., None], -1)[..., 0]
    assert np.allclose(run.summary().numbers["2"]["test_loss"]["median"], np.median(ends))
    assert "until-converged" in [f.code for f in run.summary().findings]
    assert run.figures().keys() == {"curves"}

    monkeypatch.setattr("dlhw.runs.image_recorder.CHECKPOINT_SECONDS", 0.0)
    store = MemoryCheckpoints()

    def interrupt(done, *args, **kwargs):
        if done > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.execute("classify", settings, Context(checkpoints=store, progress=interrupt))
    again = runner.execute("classify", settings, Context(checkpoints=store))
    assert again.environment["resumed"]
    assert np.array_equal(again.result.stopped_at, result.stopped_at)
    assert np.array_equal(again.result.train_loss, result.train_loss, equal_nan=True)


@pytest.mark.parametrize(
    ("module", "epochs", "message"), [(SIMULATE, 200, "before epoch 200"), (CLASSIFY, 10, "before epoch 10")]
)
def test_a_limit_before_the_first_check_is_refused(module, epochs, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(module.tiny, until="converged", epochs=epochs)


def test_a_stored_run_is_read_again(tmp_path):
    settings = dataclasses.replace(SIMULATE.tiny, models=("8",), epochs=400, until="converged")
    run: Run = runner.run("simulate", out=tmp_path, **dataclasses.asdict(settings))
    stored = runner.load(run_folder(tmp_path))
    assert np.array_equal(stored.result.stopped_at, run.result.stopped_at)


def run_folder(out):
    (folder,) = (out / "simulate").iterdir()
    return folder
