"""`interpolate` and `sweep-batch`: that their numbers are those of the nets that they say.

- Another experiment (`classify`) trains the same nets: losses at the ends of a line, and after a batch size, are its
  own. Would miss what the two share: that is for test_epochs.py.
- The popular mistake is 1/B of the sensitivity where B divides the test set.
The instruments themselves are held against known numbers in test_measure.py.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlhw import datasets
from dlhw.checkpoints import FolderCheckpoints
from dlhw.errors import UserError
from dlhw.experiments.interpolate import findings as of_lines
from dlhw.experiments.interpolate.spec import parse
from dlhw.present.curves import CURVES
from dlhw.runs import callbacks, executors, runner
from dlhw.runs import experiment as registry
from dlhw.runs.context import Context
from dlhw.runs.settings import build
from dlhw.runs.variations import widened

LINES, SWEEP, CLASSIFY = (registry.get(name) for name in ("interpolate", "sweep-batch", "classify"))
OVER = registry.get("sweep")


def run(module, name, **values):
    return runner.execute(name, dataclasses.replace(module.tiny, **values), Context())


def classify(batch_size, rate, seed=0):
    """The nets of both TINY settings, trained by another experiment."""
    return run(
        CLASSIFY, "classify", models=("8",), examples=100, batch_size=batch_size, learning_rate=rate, seed=seed, seeds=1
    ).result


@pytest.mark.slow
def test_the_ends_of_a_line_are_the_trained_nets():
    pairs = ("batch-size=64,20", "learning-rate=0.05,0.2")
    found = run(LINES, "interpolate", by=pairs, seeds=1, alphas=(0.5,)).result
    np.testing.assert_array_equal(found.alphas, [0, 0.5, 1])
    a = classify(64, 0.05)
    for name in CURVES:
        value = getattr(found, name)
        np.testing.assert_allclose(value[:, 0, 0], getattr(a, name)[0, 0, -1], rtol=1e-5)  # A is one net in both pairs
    assert found.train_loss[0, 0, 2] != found.train_loss[1, 0, 2]
    assert found.train_loss[0, 0, 2] != pytest.approx(float(classify(20, 0.05).train_loss[0, 0, -1]), rel=1e-5)
    shared = run(LINES, "interpolate", by=pairs, seeds=1, alphas=(0.5,), own_start=False).result
    assert (shared.distance < found.distance / 2).all()
    np.testing.assert_allclose(shared.train_loss[:, 0, 0], a.train_loss[0, 0, -1], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "settings"),
    [
        ("optimizer=sgd,adam", {"optimizer": "adam"}),
        ("init=torch,keras", {"init": "keras"}),
        ("weight-decay=0,2", {"weight_decay": 2.0}),
        ("momentum=0.9,0.5", {"momentum": 0.5}),
        ("epochs=2,1", {"epochs": 1}),
    ],
)
def test_b_differs_from_a_in_the_named_setting_alone(by, settings):
    """On full batches, where the order of the examples, which is B's own, does not matter."""
    done = run(LINES, "interpolate", by=(by,), seeds=1, alphas=(0.5,), own_start=False, batch_size=100)
    found = done.result
    assert done.figures().keys() == done.interactive().keys() == {"line"}
    shared = {"models": ("8",), "examples": 100, "batch_size": 100, "learning_rate": 0.05, "seeds": 1}
    a, b = (run(CLASSIFY, "classify", **shared | more).result.train_loss[0, 0, -1] for more in ({}, settings))
    assert a != pytest.approx(b, rel=1e-4)
    np.testing.assert_allclose(found.train_loss[0, 0, [0, 2]], [a, b], rtol=1e-5)


@pytest.mark.slow
def test_a_pair_with_a_training_that_diverged_has_no_line_and_says_so():
    tiny = dataclasses.replace(LINES.tiny, by=("learning-rate=0.05,1e30", "batch-size=20,50"), activation="softplus")
    done = runner.execute("interpolate", tiny, Context())
    assert np.isnan(done.result.train_loss[0]).all()
    assert np.isfinite(done.result.train_loss[1]).all()
    text = " ".join(done.summary().sentences)
    assert "2 of 2 trainings of one of the two nets of learning-rate=0.05,1e30 diverged" in text
    learned = done.result.train_accuracy * 0 + 0.9
    done = dataclasses.replace(done, result=dataclasses.replace(done.result, train_accuracy=learned))
    assert "learning rate 0.05 and 1e+30: no line" in " ".join(done.summary().sentences)
    assert done.figures()


def test_pairs_are_parsed_or_refused_with_a_reason():
    for text, values in [
        ("batch-size=64,512", (64, 512)),
        ("optimizer=sgd,adam", ("sgd", "adam")),
        ("weight-decay=0,1e-3", (0, 1e-3)),
        ("init=torch, keras", ("torch", "keras")),
        ("label-noise=0,0.5", (0, 0.5)),
        ("epochs=1,2", (1, 2)),
        ("momentum=0.5,0.9", (0.5, 0.9)),
    ]:
        what, both = parse(text)
        assert what.name == text.partition("=")[0]
        assert both == values
        LINES.settings(by=(text,))
    for wrong, why in [
        ("batch-size=64", "1 values"),
        ("batch-size=64,64", "the same"),
        ("batch-size=64,64.0", "the same"),
        ("batch-size=1.5,2", "whole number"),
        ("learning-rate=0,1", "positive"),
        ("learning-rate=inf,1", "finite"),
        ("momentum=0,1", r"must lie in \[0, 1\)"),
        ("weight-decay=0,-1", r"must lie in \[0, 1000\)"),
        ("label-noise=0,1.5", r"must lie in \[0, 1\]"),
        ("optimizer=sgd,adamw", "'adamw' is unknown; use sgd, nesterov, adam, rmsprop, sam"),
        ("optimiser=sgd,adam", "did you mean optimizer"),
        ("activation=relu,tanh", "unknown; use batch-size"),
        ("batch-size=a,b", "'a' is not a number"),
        ("decay=decoupled,l2", "where `weight_decay` is positive"),
    ]:
        with pytest.raises(UserError, match=why):
            LINES.settings(by=(wrong,))
    with pytest.raises(UserError, match="names a pair twice"):
        LINES.settings(by=("momentum=0.5,0.9", "momentum=0.50,0.9"))
    with pytest.raises(UserError, match=r"70000 must lie in 1\.\.60000"):
        LINES.settings(by=("batch-size=64,70000",))
    with pytest.raises(UserError, match="finite"):
        LINES.settings(alphas=(0.0, float("nan")))


@pytest.mark.slow
def test_a_sweep_measures_the_nets_that_it_trained():
    found = run(SWEEP, "sweep-batch", seeds=1, sizes=(20, 50, 100)).result
    for k, size in enumerate((20, 50, 100)):
        other = classify(size, 0.05)
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            np.testing.assert_allclose(getattr(found, name)[k, 0], getattr(other, name)[0, 0, -1], rtol=1e-5)
    np.testing.assert_allclose(found.batch_mean_gradient[0], found.sensitivity[0] / 20, rtol=1e-5)  # 20 divides 360
    assert found.start_sensitivity.shape == (1,)
    assert (found.keskar > 0).all()
    assert (found.eigenvalue_residual < 0.01 * found.eigenvalue).all()


@pytest.mark.slow
def test_a_sweep_over_batch_sizes_is_sweep_batch():
    own = run(SWEEP, "sweep-batch", sizes=(20, 50)).result
    general = run(OVER, "sweep", over="batch-size", values=(20.0, 50.0), batch_size=64, learning_rate=0.05).result
    for field in dataclasses.fields(own):
        if "seconds" not in field.name:
            np.testing.assert_array_equal(getattr(general, field.name), getattr(own, field.name), err_msg=field.name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("over", "values", "settings"),
    [
        ("learning-rate", (0.02, 0.1), {"learning_rate": 0.1}),
        ("weight-decay", (0.0, 3.0), {"weight_decay": 3.0}),
        ("momentum", (0.0, 0.5), {"momentum": 0.5}),
        ("width", (1.0, 2.0), {"models": ("16",)}),
    ],
)
def test_a_sweep_trains_the_nets_that_it_names(over, values, settings):
    done = run(OVER, "sweep", over=over, values=values, seeds=1, examples=100)
    shared = {"models": ("8",), "examples": 100, "batch_size": 50, "learning_rate": 0.001, "seeds": 1}
    other = run(CLASSIFY, "classify", **shared | settings).result
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        np.testing.assert_allclose(getattr(done.result, name)[1, 0], getattr(other, name)[0, 0, -1], rtol=1e-5)
    assert done.summary().columns[0] == over.replace("-", " ")
    assert done.figures()


@pytest.mark.slow
def test_sharpness_under_label_noise_is_that_of_the_labels_trained_on(monkeypatch):
    from dlhw import measure

    seen = []
    keskar = measure.keskar
    monkeypatch.setattr(measure, "keskar", lambda m, f, x, y, **more: seen.append(y) or keskar(m, f, x, y, **more))
    run(OVER, "sweep", over="label-noise", values=(0.0, 1.0), seeds=1, curvature_examples=100)
    data = datasets.load("digits", examples=100, seed=0)
    rows = datasets.fixed_sample(100, 100)
    wanted = data.y_train[rows], datasets.shuffle_labels(data.y_train, 1.0, 0)[rows]
    assert any(np.array_equal(y, wanted[0]) for y in seen)
    assert any(np.array_equal(y, wanted[1]) for y in seen)


def test_wrong_variables_of_a_sweep_are_refused():
    for wrong, why in [
        ({"over": "width", "values": (1.0, 1.0)}, "`values` names 1 twice"),
        ({"over": "width", "values": (1.0,)}, "at least two values of width"),
        ({"over": "width", "values": (0.0, 1.0)}, r"`values` 0: width 0 must lie in 1/64\.\.64"),
        ({"over": "batch-size", "values": (1.5, 2)}, "whole number"),
        ({"over": "batch-size", "values": (64, 70000)}, r"70000 must lie in 1\.\.60000"),
        ({"over": "momentum", "values": (0.0, 1.0)}, r"must lie in \[0, 1\)"),
        ({"over": "label-noise", "values": (0.0, 2.0)}, r"must lie in \[0, 1\]"),
        ({"over": "weight-decay", "weight_decay": 0.1}, "`weight_decay` 0.1 is what `over` varies"),
        ({"over": "learning-rate", "learning_rate": 0.1}, "`learning_rate` 0.1 is what `over` varies"),
        ({"over": "widht"}, "did you mean width"),
        ({"equal": "updates"}, "`equal` applies to batch sizes"),
        ({"over": "momentum", "optimizer": "adam"}, "`momentum` applies to sgd"),
    ]:
        with pytest.raises(UserError, match=why):
            build(OVER.settings, wrong)
    assert build(OVER.settings, {"over": "width"}).values == (0.25, 0.5, 1, 2, 4)
    assert build(OVER.settings, {"data": "digits"}).values == (0.003, 0.01, 0.03, 0.1)


def test_the_width_of_a_net_is_that_of_its_filters_and_units():
    assert widened("20c3-p2-16c3-p2-700-95-90", 0.5) == "10c3-p2-8c3-p2-350-48-45"
    assert widened("plain", 2) == "40c3-60-30"
    assert widened("1-3", 0.1) == "1-1"


@pytest.mark.slow
def test_equal_updates_are_equal():
    settings = dataclasses.replace(SWEEP.tiny, sizes=(25, 40), equal="updates", epochs=3, seeds=1)
    assert [settings.updates(s) for s in settings.sizes] == [12, 12]
    assert [SWEEP.settings(sizes=(64, 8000)).updates(s) for s in (64, 8000)] == [20 * 938, 20 * 8]
    done = runner.execute("sweep-batch", settings, Context())
    assert np.isfinite(done.result.sensitivity).all()
    assert "Equal updates, 12 each" in " ".join(done.summary().sentences)


@pytest.mark.slow
def test_lines_are_taken_up_where_they_were_left(tmp_path, monkeypatch):
    parts = FolderCheckpoints(tmp_path)
    first = runner.execute("interpolate", LINES.tiny, Context(checkpoints=parts, jobs=2))
    names = sorted(p.name.rsplit("-", 1)[0] for p in tmp_path.glob("*.npz"))
    names.remove("elapsed")
    assert names == ["line 0 seed 0", "line 0 seed 1", *(f"training {k} seed {s}" for k in (0, 1) for s in (0, 1))]
    next(tmp_path.glob("line 0 seed 1*")).unlink()
    units, threads = set(), []
    monkeypatch.setattr(executors, "limit_threads", lambda jobs, **_: threads.append(jobs))
    again = runner.execute("interpolate", LINES.tiny, Context(lambda *a, **_: units.add(a[3]), parts, jobs=2))
    assert units == {"points"}
    assert threads == [2]  # of the four trainings, though one line is missing: else it would round otherwise
    np.testing.assert_array_equal(again.result.curvature, first.result.curvature)
    np.testing.assert_array_equal(again.result.test_loss, first.result.test_loss)


def test_sentences_on_both_sides_of_the_rules():
    """Made-up numbers: the text follows them."""
    settings = dataclasses.replace(SWEEP.tiny, sizes=(10, 1000), examples=1000, seeds=2)
    shape = (2, 2)
    flat = {k: np.ones(shape) for k in ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "jacobian")}
    result = SWEEP.result(
        **flat,
        sensitivity=np.array([[1.0, 1.1], [2.0, 2.2]]),
        sensitivity_error=np.zeros(shape),
        batch_mean_gradient=np.array([[0.1, 0.11], [0.002, 0.0022]]),
        start_sensitivity=np.full(2, 0.5),
        keskar=np.ones((2, 2, 1)),
        eigenvalue=np.ones(shape),
        eigenvalue_residual=np.zeros(shape),
        diverged_at=np.full(shape, -1),
        seconds=(1.0,) * 4,
    )
    text = " ".join(SWEEP.summary(settings, result).sentences)
    assert "all seeds higher at 1000" in text
    assert "50 times smaller at 1000 than at 10. The number of batches alone" in text
    assert "36 and 1 of 360 test images, accounts for a factor of 36; the remaining 1.4 is due to the net" in text
    curvature = "Largest Hessian eigenvalue (largest curvature of the loss)"
    assert f"{curvature}: 1 (1 to 1) at batch 10, 1 (1 to 1) at 1000; the ranges overlap" in text
    assert "its fall shows mostly the division by the batch size" in text
    sharper = dataclasses.replace(result, eigenvalue=np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert "all seeds higher at 1000" in SWEEP.summary(settings, sharper).sentences[3]
    three = dataclasses.replace(settings, sizes=(10, 100, 1000))
    hill = {
        f.name: np.concatenate([v[:1], v[:1], v[1:]])
        for f in dataclasses.fields(result)
        if f.name not in ("start_sensitivity", "seconds") and (v := getattr(result, f.name)) is not None
    }
    hill = dataclasses.replace(result, **hill, seconds=(1.0,) * 6)
    hill = dataclasses.replace(hill, sensitivity=np.array([[1.0, 1.1], [5.0, 6.0], [2.0, 2.2]]))
    assert (
        SWEEP.summary(three, hill)
        .sentences[2]
        .startswith(
            "Sensitivity is not monotone: its largest median, 5.5, is at 100, with all seeds beyond those at both ends."
        )
    )
    within = dataclasses.replace(hill, sensitivity=np.array([[1.0, 1.1], [2.1, 6.0], [2.0, 2.2]]))
    assert SWEEP.summary(three, within).sentences[2].startswith("The seeds do not show whether sensitivity is monotone")
    flat_nets = dataclasses.replace(result, sensitivity=np.zeros(shape), batch_mean_gradient=np.zeros(shape))
    assert "In 4 trainings, the gradients vanish" in " ".join(SWEEP.summary(settings, flat_nets).sentences)
    assert SWEEP.figures(settings, dataclasses.replace(flat_nets, eigenvalue=np.zeros(shape)))
    loose = dataclasses.replace(result, eigenvalue_residual=np.array([[0.0, 0.1], [0.0, 0.0]]))
    assert "1 of the largest eigenvalues did not converge" in " ".join(SWEEP.summary(settings, loose).sentences)
    crossed = dataclasses.replace(result, sensitivity=np.array([[1.0, 2.1], [2.0, 2.2]]))
    assert "the ranges overlap" in " ".join(SWEEP.summary(settings, crossed).sentences)


@pytest.mark.parametrize(
    ("gap", "sharp", "says"),
    [
        ([[0.1, 0.2], [0.3, 0.4]], [[1, 2], [3, 4]], "generalizes worse than batch 10 and is sharper in every seed"),
        (
            [[0.1, 0.2], [0.3, 0.4]],
            [[3, 4], [1, 2]],
            "generalizes worse than batch 10 and is flatter, so sharpness is not",
        ),
        ([[0.1, 0.2], [0.3, 0.4]], [[1, 3], [2, 4]], "so sharpness is not shown to be the reason"),
        ([[0.1, 0.3], [0.2, 0.4]], [[1, 2], [3, 4]], "not shown to generalize worse than batch 10: generalization gap"),
        ([[0.001, 0.002], [0.003, 0.004]], [[1, 2], [3, 4]], "too small to be told from zero with these images"),
        ([[0.1, 0.2], [0.3, np.nan]], [[1, 2], [3, np.nan]], "not shown to generalize worse"),
        ([[0.1], [0.3]], [[1], [3]], "One seed cannot tell whether batch 1000 generalizes worse"),
    ],
)
def test_whether_large_batches_generalize_worse_because_they_are_sharp(gap, sharp, says):
    """0.005 is the standard error of every gap: 0.1 and more are resolved, 0.001 to 0.004 are not."""
    gap, shape = np.array(gap), np.shape(gap)
    settings = dataclasses.replace(SWEEP.tiny, sizes=(10, 1000), examples=1000, seeds=shape[1])
    names = ("train_accuracy", "test_accuracy", "jacobian", "sensitivity", "sensitivity_error", "batch_mean_gradient")
    ones = {name: np.ones(shape) for name in (*names, "eigenvalue", "eigenvalue_residual", "train_loss")}
    result = SWEEP.result(
        **ones,
        test_loss=1 + gap,
        start_sensitivity=np.ones(shape[1]),
        keskar=np.array(sharp, float)[..., None],
        diverged_at=np.where(np.isfinite(gap), -1, 3),
        seconds=(1.0,) * gap.size,
        gap_error=np.full(shape, 0.005),
    )
    first = SWEEP.summary(settings, result).findings[0]
    assert first.code == "large-batches"
    assert says in first.text
    assert first.text.endswith("batch 1000 took 2 updates, and batch 10 200.")
    half = dataclasses.replace(result, train_accuracy=np.array([[1.0], [0.19]]) * np.ones(shape))
    text = SWEEP.summary(settings, half).sentences[0]
    assert text.startswith(
        "Batch 1000 has learned nothing yet (training accuracy 19.0 %), so what is compared with batch"
    )
    assert says.lower() in text.lower()


def test_barriers_on_both_sides_of_the_rules():
    names = ("test_accuracy_at_a", "test_accuracy_at_b", "lowest_test_accuracy_between")
    level = {k: np.ones(2) for k in names}
    dip = {**level, "lowest_test_accuracy_between": np.array([0.9, 0.8]), "train_barrier_over_chord": np.ones(2)}
    assert "falls 15 (10 to 20) points below that of the worse net" in of_lines._barrier("pair", dip, True)[0].text
    for height, what in [
        ([0.5, 0.6], "a barrier in every seed"),
        ([0.0, 0.01], "no barrier"),
        ([0.0, 1.0], "disagree"),
    ]:
        (finding,) = of_lines._barrier("pair", {**level, "train_barrier_over_chord": np.array(height)}, True)
        assert what in finding.text
        assert "does not fall below that of the worse net" in finding.text


def test_the_error_of_a_gap_is_that_of_its_examples():
    """Oracle: NumPy on the losses of a net of known logits."""
    from dlhw.models import image_net

    data = datasets.load("digits")
    net = image_net("8", data.shape, data.classes, seed=1)
    losses = []
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        z = np.asarray(net(x), np.float64)
        losses.append(np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y])
    expected = np.sqrt(sum(v.var(ddof=1) / len(v) for v in losses))
    assert float(callbacks.gap_error_after(3, 3, net, data)["gap_error"]) == pytest.approx(expected, rel=1e-4)
    assert callbacks.gap_error_after(3, 2, net, data) == {}
