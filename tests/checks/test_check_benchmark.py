"""The corpus of the checks: a planted mistake is the mistake that it is called, and the judge counts right.

Would miss: a mistake that people make in another way.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.checking import corpus, judge, register
from benchmarks.checking.families import critical, functions, labels, lines, paths, sizes, spectra, sweeps
from benchmarks.checking.images import Lab, Setting, evaluate
from benchmarks.checking.numpy_net import Net, layer_norms, norm
from dlhw import models
from dlhw.checks.items import items
from dlhw.measure.principal_components import random_walk_shares

TINY = Setting("digits", "8", rate=0.05, epochs=2, batch=20, examples=100)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_gradients_in_numpy_are_those_of_finite_differences():
    x, y = rng().normal(size=(20, 2)), rng().normal(size=(20, 1))
    net = Net(models.initial_weights((2, 5, 4, 1), init="torch", seed=0), "tanh")
    _, gradients = net.gradient(x, y)
    for weights, gradient in zip(net.weights, gradients, strict=True):
        at = np.unravel_index(weights.size // 2, weights.shape)
        step = np.zeros_like(weights)
        step[at] = 1e-6
        ends = []
        for sign in (1, -1):
            weights += sign * step
            ends.append(net.gradient(x, y)[0])
            weights -= sign * step
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(gradient[at], rel=1e-5, abs=1e-9)


def test_norms_of_parts_of_a_batch_exceed_that_of_the_whole():
    x, y = rng().normal(size=(40, 1)), rng().normal(size=(40, 1))
    net = Net(models.initial_weights((1, 6, 1), init="torch", seed=0))
    whole = net.gradient(x, y)[1]
    parts = [net.gradient(x[k : k + 10], y[k : k + 10])[1] for k in range(0, 40, 10)]
    mean = [np.mean([part[k] for part in parts], axis=0) for k in range(4)]
    assert norm(mean) == pytest.approx(norm(whole))
    assert np.mean([norm(part) for part in parts]) > norm(whole)
    assert np.linalg.norm(layer_norms(whole)) == pytest.approx(norm(whole))


def test_mixing_in_place_follows_the_product_of_what_is_left():
    """After alphas a_1 ... a_k the net is b + (1 - a_1) ... (1 - a_k) (a - b), which no line passes."""
    a, b = ([rng().normal(size=(3, 2)), rng().normal(size=2)] for _ in range(2))
    b = [w + 1 for w in b]
    alphas = np.linspace(0, 1, 6)
    for k, weights in enumerate(lines.in_place(a, b, alphas)):
        left = np.prod(1 - alphas[: k + 1])
        for w, p, q in zip(weights, a, b, strict=True):
            assert w == pytest.approx(q + left * (p - q))
    assert all((w == q).all() for w, q in zip(weights, b, strict=True))


def test_grids_that_miss_the_nets_miss_them():
    for grid in lines.MISSING:
        assert min(np.abs(grid).min(), np.abs(grid - 1).min()) > 0.01
    for grid in lines.GRIDS:
        assert np.abs(grid).min() < 1e-9
        assert np.abs(grid - 1).min() < 1e-9


def test_averaging_twice_leaves_the_square_of_the_batch_size():
    each = rng().uniform(1, 2, 60)
    assert sweeps.twice(each, 10) == pytest.approx(each.mean() / 100)


@pytest.mark.parametrize(("widths", "inputs", "outputs"), [((5,), 1, 1), ((10, 18, 15, 4), 1, 1), ((7, 3), 64, 10)])
def test_counts_of_parameters_are_those_of_keras(widths, inputs, outputs):
    model = models.mlp(widths, inputs=inputs, outputs=outputs)
    assert sizes.count(widths, inputs, outputs) == model.count_params()
    kernels = sum(int(np.prod(w.shape)) for w in model.get_weights() if w.ndim == 2)
    assert sizes.without_biases(widths, inputs, outputs) == kernels
    wrong = {slip(widths, inputs, outputs) for slip in sizes.SLIPS.values()}
    assert model.count_params() not in wrong


def test_tables_of_equal_nets_are_equal_or_are_called_unequal():
    for case in sizes.equal(sizes.DESIGNS[0]):
        counts = np.asarray(case.columns["parameters"])
        spread = counts.max() / counts.min() - 1
        if case.mistake is None:
            assert spread < 0.021
        if case.mistake == "counts-not-equal":
            assert spread >= 0.03
            nets = [tuple(map(int, net.split("-"))) for net in case.words["net"]]
            assert counts.tolist() == [models.mlp(net).count_params() for net in nets]


def test_blocks_have_another_number_of_eigenvalues():
    square = rng().normal(size=(13, 13))
    matrix, tensors = square + square.T, [4, 4, 4, 1]  # 1-4-1 with its biases
    wrong = spectra.in_blocks(matrix, tensors)
    assert len(wrong["kernels"]) == 8
    assert len(wrong["one tensor"]) == 4
    assert len(wrong["square blocks"]) == 9 * 4 + 1
    assert wrong["one tensor"] == pytest.approx(np.linalg.eigvalsh(matrix[:4, :4]))


def test_a_random_walk_has_the_shares_of_theory():
    for case in paths.walks((25, 5000)):
        shares = np.asarray(case.columns["share"])
        assert shares[:5] == pytest.approx(random_walk_shares(25)[:5], rel=0.12)


def test_cross_entropy_to_base_ten():
    logits, y = rng().normal(size=(30, 10)), rng().integers(0, 10, 30)
    natural, accuracy = evaluate(logits, y)
    by_hand = -np.log(np.exp(logits[np.arange(30), y]) / np.exp(logits).sum(1)).mean()
    assert natural == pytest.approx(by_hand)
    assert evaluate(logits, y, np.log10)[0] == pytest.approx(by_hand / np.log(10))
    assert accuracy == (logits.argmax(1) == y).mean()


@pytest.mark.slow
def test_nets_between_two_nets_are_those_of_the_line():
    """What is evaluated between nets is what `dlhw.measure.line` gives; in place, only the ends agree."""
    lab, ends = Lab(TINY), []
    for seed in (0, 1):
        lab.train(seed)
        ends.append(lab.weights())
    alphas = np.array([0, 0.25, 0.5, 1.0])
    right = lines.right_line(lab, *ends, alphas)
    own = lines.table(alphas, [lines.measured(lab, lines.mixed(*ends, alpha)) for alpha in alphas])
    in_place = lines.table(alphas, [lines.measured(lab, w) for w in lines.in_place(*ends, alphas)])
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert own[name] == pytest.approx(right[name], rel=1e-4)
        assert in_place[name][[0, -1]] == pytest.approx(right[name][[0, -1]], rel=1e-4)
    assert abs(in_place["train_loss"][2] - right["train_loss"][2]) > 1e-3


@pytest.mark.slow
def test_labels_that_are_drawn_anew_cannot_be_learned():
    from dlhw.datasets import shuffle_labels

    setting = Setting("digits", "200", "adam", 0.003, epochs=30, batch=20, examples=200)
    lab = Lab(setting)
    anew = labels.anew(lab, 0)
    once = lab.train(0, labels=shuffle_labels(lab.data.y, 1.0, 0))
    assert once.train_loss[-1] < 1.0 < 1.8 < anew["train_loss"][-1]


@pytest.mark.slow
def test_gradient_norms_of_a_function_add_up_as_claimed(monkeypatch):
    tiny = ("sinc", "4-3", "tanh", 0.05, 0.0, "sgd", 20)
    monkeypatch.setattr(functions, "SETTINGS", (tiny,))
    made = list(functions.gradient_norms(tiny))
    for case in made:
        if "layer" in case.columns:
            layer = np.asarray(case.columns["layer"])
            total = layer.sum(1) if case.mistake else np.sqrt((layer**2).sum(1))
            assert case.columns["norm"] == pytest.approx(total, rel=1e-4)
    assert {case.mistake for case in made} == {None, "layer-norms-added"}


@pytest.mark.slow
def test_nets_that_were_stopped_have_their_norm_under_a_threshold():
    training = critical.Training("sinc", (3,), "tanh", 300, "sgd", nets=10)
    made = list(critical.stopped(training, 0.9))
    threshold = float(made[0].variant.split()[-1])
    norms = np.concatenate([case.columns["gradient_norm"] for case in made])
    assert (norms < threshold).all()
    assert np.median(norms) > 0.8 * threshold


def test_every_family_has_a_name_of_its_own_and_halves_are_even():
    families = register.families()
    assert len({family.name for family in families}) == len(families)
    halves = corpus.halves(families)
    for source in {family.source for family in families}:
        own = [halves[family.name] for family in families if family.source == source]
        assert abs(own.count("tuning") - own.count("reporting")) <= 1


def test_a_family_is_stored_and_read(tmp_path):
    columns = {"step": np.arange(3), "value": np.array([1.0, 0.5, 0.25])}
    cases = [corpus.Case("loss", columns), corpus.Case("loss", columns | {"value": -columns["value"]}, mistake="x")]
    diverged = corpus.Case("loss", columns | {"value": np.array([1, np.inf, np.nan])})
    family = corpus.Family("source/setting", lambda: [*cases, diverged])
    assert corpus.write(tmp_path, family, "tuning") == 2
    right, wrong = corpus.read(tmp_path)
    assert (right.mistake, wrong.mistake, right.half, right.family) == (None, "x", "tuning", "source/setting")
    assert right.columns["value"] == [1, 0.5, 0.25]


@pytest.mark.parametrize(("part", "whole"), [(0, 30), (3, 40), (25, 25), (7, 9)])
def test_intervals_are_exact(part, whole):
    exact = binomtest(part, whole).proportion_ci(0.95, "exact")
    assert judge.interval(part, whole) == pytest.approx((exact.low, exact.high))


def stored(mistake: str | None, value: float, half: str = "reporting") -> corpus.Stored:
    columns = {"step": [1, 2, 3], "value": [2.0, 1.0, value]}
    return corpus.Stored("loss", columns, {"kind": "mse"}, {}, mistake, family="a/b", half=half, name="a")


def test_the_judge_counts_what_is_named_and_false_alarms():
    cases = [stored("negative-loss", -1.0), stored("another", -1.0), stored("another", 0.5), stored(None, 0.5)]
    verdicts = [judge.verdict(case) for case in (*cases, stored(None, -1.0))]
    assert [v.outcome for v in verdicts] == ["named", "other", "missed", "clear", "alarm"]
    rows = judge.by_mistake(verdicts)
    assert (rows["negative-loss"]["named"], rows["another"]["named"], rows["another"]["other"]) == (1, 0, 1)
    assert judge.by_item(verdicts)["loss"]["codes"] == {"negative-loss": 1}
    page = judge.insert("# Page\n\n## Other\n\ntext\n", "first")
    assert judge.insert(page, "second") == page.replace("first", "second")
    assert "1 of 1 (100 %)" in judge.text(json.loads(json.dumps(judge.summary(verdicts))))


def test_every_planted_code_belongs_to_an_item_that_is_known():
    """Of what the corpus can make without training."""
    cases = [*sizes.equal(sizes.DESIGNS[1]), *paths.walks((9, 300))]
    assert {case.item for case in cases} <= set(items())
    assert {case.mistake for case in cases} == {None, "counts-off", "counts-not-equal", "random-walk-shares"}
