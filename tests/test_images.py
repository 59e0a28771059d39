"""Nets for images and the experiments on them.

- Parameter counts of the report: exact, and equal to `model.count_params()`.
- PCA against a hand-made singular value decomposition, and on points whose components are known.
Would miss: that the curves mean what they say; that is for test_epochs.py.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlhw import datasets
from dlhw.errors import UserError
from dlhw.experiments.random_labels import epochs_to_fit
from dlhw.experiments.trajectory.compute import project
from dlhw.measure import assign, flat, pca, random_walk_shares
from dlhw.models import architectures, draw_weights, image_net, mlp
from dlhw.models.weights import layer_span
from dlhw.runs import experiment as registry
from dlhw.runs import image_training, runner
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job

pytest.importorskip("keras")


@pytest.mark.parametrize(("name", "count"), [("deep", 359_941), ("wide", 850_610), ("plain", 406_455)])
def test_the_nets_of_the_report_have_its_parameter_counts(name, count):
    assert architectures.count_image(name, (28, 28, 1), 10) == count
    assert image_net(name).count_params() == count


@pytest.mark.parametrize("net", ["400-9", "100-205", "10c5-p2-20c5-p2-50", "3c3"])
def test_counts_agree_with_keras(net):
    for shape in [(28, 28, 1), (32, 32, 3)]:
        assert architectures.count_image(net, shape, 10) == image_net(net, shape).count_params()


def test_the_layers_stand_as_the_string_says():
    model = image_net("20c3-p2-7", activation="tanh")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense"]
    assert [layer.activation.__name__ for layer in model.layers if hasattr(layer, "activation")] == [
        "tanh",
        "tanh",
        "linear",
    ]


def test_a_net_that_does_not_fit_is_refused_with_one_that_would():
    with pytest.raises(UserError, match=r"layer 4, p2, needs 2x2 and gets 1x1 from images of 8x8x1") as caught:
        architectures.kernels("deep", (8, 8, 1), 10)
    fits = str(caught.value).rpartition("such as ")[2]
    assert architectures.count_image(fits, (8, 8, 1), 10) > 0
    for wrong in ("10-3c3", "c3", "p0", "3c", "", "10--5", "99999999"):
        with pytest.raises(UserError, match="net"):
            architectures.kernels(wrong, (28, 28, 1), 10)


def test_convolutions_start_like_those_of_pytorch():
    kernel, bias = draw_weights([(5, 5, 10, 200)], init="torch", seed=0)
    bound = 1 / np.sqrt(250)
    for w in (kernel, bias):
        assert np.abs(w).max() <= bound
        assert np.abs(w).max() > 0.95 * bound
    kernel, bias = draw_weights([(5, 5, 10, 200)], init="keras", seed=0)
    assert kernel.std() == pytest.approx(np.sqrt(2 / (250 + 25 * 200)), rel=0.02)
    assert not bias.any()


def test_flat_weights_go_there_and_back():
    one, other = mlp((4, 3), seed=0), mlp((4, 3), seed=1)
    assign(other, flat(one))
    np.testing.assert_array_equal(flat(other), flat(one))
    with pytest.raises(UserError, match="shape"):
        assign(other, np.zeros(3))
    spans = [layer_span([(1, 4), (4, 3), (3, 1)], k) for k in (1, 2, 3)]
    pieces = np.concatenate([flat(one)[s] for s in spans])
    np.testing.assert_array_equal(pieces, flat(one))
    kernel, bias = one.layers[2].get_weights()
    np.testing.assert_array_equal(flat(one)[spans[1]], np.concatenate([kernel.ravel(), bias]))


def test_pca_equals_a_singular_value_decomposition_by_hand():
    points = np.random.default_rng(0).normal(size=(9, 40)).astype(np.float32)
    found = pca(points, 3)
    centred = points.astype(float) - points.mean(0, dtype=float)
    _, s, rows = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(found.explained, s[:8] ** 2 / np.sum(s**2), rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(found.components * rows[:3], axis=1)), 1, rtol=1e-6)
    np.testing.assert_allclose(found.coordinates(points) ** 2, (centred @ rows[:3].T) ** 2, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(found.explained.sum(), 1)


def test_signs_are_fixed_and_order_is_by_variance():
    direction = np.array([3.0, -4.0, 0.0]) / 5
    points = np.outer([-2.0, 0, 1, 5], direction) + np.outer([0.1, -0.1, 0.1, -0.1], [0, 0, 1.0])
    found = pca(points)
    np.testing.assert_allclose(found.components[0], -direction, atol=0.03)  # its largest entry, -4/5, made positive
    mirrored = pca(-points)
    np.testing.assert_allclose(mirrored.components, found.components, atol=1e-9)
    assert found.explained[0] > 0.99
    assert np.isnan(pca(np.ones((4, 3))).explained).all()


def test_the_null_of_a_random_walk_is_what_a_random_walk_gives():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(300, 4000)), axis=0)
    np.testing.assert_allclose(pca(walk).explained[:3], random_walk_shares(300)[:3], rtol=0.03)
    np.testing.assert_allclose(pca(walk[:6]).explained, random_walk_shares(6), rtol=0.1)
    np.testing.assert_allclose(random_walk_shares(10_000)[:3], 6 / (np.pi * np.arange(1, 4)) ** 2, rtol=1e-3)


def test_the_numbers_of_paths_that_are_known():
    e = np.eye(5)
    straight = np.array([0 * e[0], 1 * e[0], 3 * e[0]])
    corner = np.array([4 * e[1], 4 * e[1] + 3 * e[2], 8 * e[1] + 3 * e[2]])
    found = project([straight, corner], np.array([0, 2]), 3, 3)
    np.testing.assert_allclose(found.travelled, [3, np.nan, 7])
    np.testing.assert_allclose(found.moved, [3, np.nan, 5])
    assert found.apart[0, 2] == pytest.approx(np.sqrt(9 + 64 + 9))
    assert found.apart_at_start[2, 0] == pytest.approx(4)
    np.testing.assert_allclose(found.own_explained[0], [1, 0], atol=1e-12)
    np.testing.assert_allclose(found.own[0], [[-3, 0], [-2, 0], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.own[2], axis=1), [5, 4, 0], atol=1e-5)
    assert np.isnan(found.own[1]).all()


@pytest.mark.slow
def test_the_layer_of_a_trajectory_is_part_of_the_whole():
    module = registry.get("trajectory")
    whole = runner.execute("trajectory", module.tiny, Context()).result
    layers = [
        runner.execute("trajectory", dataclasses.replace(module.tiny, layer=k), Context()).result for k in (1, 2, 3)
    ]
    squares = sum(r.moved[1].astype(float) ** 2 for r in layers)
    np.testing.assert_allclose(np.sqrt(squares), whole.moved[0], rtol=1e-5)
    assert (whole.travelled >= whole.moved).all()


@pytest.mark.slow
def test_labels_are_shuffled_once_and_are_the_same_at_every_epoch(monkeypatch):
    module = registry.get("random-labels")
    calls, seen, shuffle = [], [], datasets.shuffle_labels

    def counted(labels, noise, seed):
        calls.append((noise, seed))
        return shuffle(labels, noise, seed)

    from dlhw.training.program import Program

    run_epoch = Program.train_epoch

    def spy(self, *arguments):
        seen.append(arguments[4].numpy().tobytes())
        return run_epoch(self, *arguments)

    monkeypatch.setattr(datasets, "shuffle_labels", counted)
    monkeypatch.setattr(Program, "train_epoch", spy)
    settings = dataclasses.replace(module.tiny, noise=(1.0,), seeds=1, epochs=4)
    runner.execute("random-labels", settings, Context(jobs=1))
    assert calls == [(1.0, 0)]
    assert len(seen) == 5  # one to compile, four epochs
    assert len(set(seen)) == 1
    true = datasets.load("digits", examples=100).y_train
    np.testing.assert_array_equal(np.frombuffer(seen[0], true.dtype), shuffle(true, 1.0, 0))


@pytest.mark.slow
def test_one_job_and_two_give_the_same_numbers():
    module = registry.get("classify")
    one, two = (runner.execute("classify", module.tiny, Context(jobs=j)).result for j in (1, 2))
    np.testing.assert_allclose(one.test_loss, two.test_loss, rtol=1e-5)


def test_what_is_measured_what_is_shuffled_and_what_comes_first_are_drawn_apart():
    from dlhw.seeds import Stream

    labels = np.repeat(np.arange(10), 200)
    wrong = datasets.shuffle_labels(labels, 0.5, seed=0) != labels
    sample = np.random.default_rng([0, Stream.EVALUATION]).permutation(2000)[:1000]
    first = np.random.default_rng([0, Stream.BATCHES]).permutation(2000)[:1000]
    assert wrong.mean() == pytest.approx(0.45, abs=0.03)
    for rows in (sample, first):
        assert wrong[rows].mean() == pytest.approx(0.45, abs=0.05)


def test_epochs_to_99_percent_are_counted_from_the_curve():
    module = registry.get("random-labels")
    accuracy = np.array([[[0.1, 0.5, 0.991, 0.98, 1.0]], [[0.1, 0.2, 0.3, 0.4, 0.5]]])
    flat_ = np.ones_like(accuracy)
    result = module.result(flat_, accuracy, flat_, accuracy, np.full((2, 1), -1), (1.0, 1.0), (0.5, 0.5))
    np.testing.assert_array_equal(epochs_to_fit(result), [[2], [np.nan]])


@pytest.mark.slow
def test_gradient_norms_on_images_are_those_of_the_batches():
    """Another experiment, `classify`, starts the same nets: their loss on all images is near that of a large batch."""
    tiny = {"data": "digits", "epochs": 10, "batch_size": 600, "learning_rate": 0.05, "seeds": 2, "seed": 3}
    module = registry.get("gradient-norm")
    found = runner.execute("gradient-norm", module.settings(model="8-4", **tiny), Context())
    assert found.result.gradient_norm.shape == (2, 10)
    assert found.settings.parameters == architectures.count((8, 4), 64, 10)
    squares = np.sum(found.result.layer_gradient_norms.astype(float) ** 2, axis=-1)
    np.testing.assert_allclose(np.sqrt(squares), found.result.gradient_norm, rtol=1e-5)
    classify = registry.get("classify")
    start = runner.execute(
        "classify", classify.settings(models=("8-4",), **{**tiny, "epochs": 1, "batch_size": 1437}), Context()
    ).result.train_loss[0, :, 0]
    np.testing.assert_allclose(found.result.loss[:, 0], start, rtol=0.02)  # a batch of 600 against all 1437
    assert "batches of 600" in found.summary().title
    with pytest.raises(UserError, match=r"`batch_size` 2000 must lie in 1\.\.1437"):
        module.settings(data="digits", batch_size=2000)


@pytest.mark.slow
def test_mixed_precision_keeps_weights_and_logits_wide_and_measures_a_wide_net():
    """bfloat16 has 8 bits: the first loss agrees to a hundredth; what is measured of the trained net is of float32."""
    model = image_net("4c3-p2-9", (8, 8, 1), 10, dtype="mixed_bfloat16")
    assert {v.dtype for v in model.weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"bfloat16", "float32"}
    assert model.layers[-1].compute_dtype == "float32"
    settings = {"data": "digits", "examples": 200, "epochs": 3, "learning_rate": 0.05, "seeds": 1}
    wide, mixed = (runner.run("classify", models=("4c3-p2-9",), precision=p, **settings) for p in ("float32", "mixed"))
    np.testing.assert_allclose(mixed.result.train_loss[..., 0], wide.result.train_loss[..., 0], rtol=0.01)
    assert not np.array_equal(mixed.result.train_loss, wide.result.train_loss)
    assert mixed.result.train_loss[0, 0, -1] < mixed.result.train_loss[0, 0, 0]
    chosen = registry.get("classify").settings(models=("9",), precision="mixed", **settings)
    job = make_job(chosen, "9", 0, callback=lambda epoch, model, data: {"wide": np.array(model.compute_dtype)})
    assert image_training.train(chosen, {"a": job}, Context())["a"].measured["wide"] == "float64"


@pytest.mark.slow
def test_xla_can_be_forced_and_forbidden_and_changes_only_the_rounding():
    settings = {"data": "digits", "models": ("9",), "examples": 200, "epochs": 3, "learning_rate": 0.05, "seeds": 1}
    on, off = (runner.run("classify", context=Context(xla=x), **settings) for x in ("on", "off"))
    np.testing.assert_allclose(on.result.test_loss, off.result.test_loss, rtol=1e-5)
