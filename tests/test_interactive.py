"""What the report page lets its readers move: the numbers inside of it are those of the run.

Oracles: the arrays of the kept runs and of tiny ones, by NumPy and by brute force; Keras's softmax for the images on
the line. Would miss: a chart that draws right numbers in the wrong place; tests/test_page_in_browser.py reads the page.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from dlhw import datasets
from dlhw.datasets.loading import Data
from dlhw.experiments.interpolate import examples
from dlhw.experiments.interpolate.interactive import coarse_grid
from dlhw.present import curves, style
from dlhw.present.interactive import (
    Axis,
    EmbeddedPage,
    InteractiveFigure,
    Line,
    Panel,
    over_seeds,
    positions_of,
    thinned,
)
from dlhw.report import interactive, writer
from dlhw.report.composition import compose
from dlhw.runs import experiment as registry
from dlhw.runs.run import load

KEPT = sorted((Path(__file__).parent.parent / "artifacts" / "kept").glob("*/*/run.json"))
BUDGET, MOST = 1_200_000, 80_000
"""Bytes of all figures of the kept report, and of one figure."""


@pytest.fixture(scope="module")
def kept():
    """The kept runs by experiment and name of folder."""
    return {(path.parent.parent.name, path.parent.name): load(path.parent) for path in KEPT}


def figure(kept, experiment, name, folder="default"):
    run = kept[experiment, folder]
    return run.settings, run.result, run.interactive()[name]


def lines(panel, view=None):
    return {line.label: line for line in panel.lines if view is None or line.view in ("", view)}


def is_median(line, values):
    """Whether a line is the median, with the range, of values (S, n)."""
    values = np.asarray(values, np.float64)
    np.testing.assert_array_equal(line.y, np.median(values, axis=0))
    if len(values) > 1:
        np.testing.assert_array_equal(line.low, values.min(axis=0))
        np.testing.assert_array_equal(line.high, values.max(axis=0))
    return True


def test_every_figure_belongs_to_a_picture_and_is_small(kept):
    total = 0
    for run in kept.values():
        figures = run.interactive()
        assert figures
        assert set(figures) <= set(run.definition.section.captions)
        for one in figures.values():
            size = len(interactive.as_json(one)[0].encode())
            assert size <= MOST
            total += size
    assert 100_000 < total <= BUDGET


def test_every_experiment_has_interactive_figures(tiny_run):
    for name in registry.names():
        run = tiny_run(name)
        figures = run.interactive()
        assert figures, name
        assert set(figures) <= set(run.figures())
        for one in figures.values():
            assert one.page is not None or (one.panels and len(positions_of(one)))
            keys = {view.key for view in one.views}
            assert all(line.view in keys | {""} for panel in one.panels for line in panel.lines)
            every = [line for panel in one.panels for line in panel.lines]
            seen = {tuple(id(line) for line in every if line.view in ("", key)) for key in keys}
            assert len(seen) == len(keys), name  # no two views show the same


@pytest.mark.parametrize(("name", "scale"), [("classify", None), ("random-labels", 100.0)])
def test_learning_curves_and_the_best_epoch(kept, name, scale):
    _, result, shown = figure(kept, name, "curves")
    loss, other = (list(lines(panel).values()) for panel in shown.panels)
    rows = len(result.train_loss)
    assert len(loss) == len(other) == 3 * rows
    for k in range(rows):
        train, right, mistake = loss[3 * k : 3 * k + 3]
        assert is_median(train, result.train_loss[k])
        assert is_median(right, result.test_loss[k])
        best = [[min(curve[: e + 1]) for e in range(len(curve))] for curve in result.test_loss[k].tolist()]
        assert is_median(mistake, best)
        accuracy = result.test_accuracy[k].astype(float)
        assert is_median(other[3 * k + 1], scale * accuracy if scale else curves.errors(accuracy))
        running = np.array([[max(curve[: e + 1]) for e in range(len(curve))] for curve in accuracy.tolist()])
        assert is_median(other[3 * k + 2], scale * running if scale else curves.errors(running))


def test_simulate_last_epoch_of_one_seed_beside_all_seeds(kept):
    settings, result, shown = figure(kept, "simulate", "loss")
    right, mistake = (list(lines(shown.panels[0], view).values()) for view in ("right", "mistake"))
    epochs = result.loss.shape[-1]
    width = -(-epochs // 400)
    n = epochs // width
    for k in range(len(settings.models)):
        medians = np.median(result.loss[k, :, : n * width].reshape(settings.seeds, n, width), axis=-1)
        assert is_median(right[k], medians)
        np.testing.assert_array_equal(mistake[k].y, result.loss[k, 0, mistake[k].x])
        assert mistake[k].x[-1] == epochs - 1
        tail = np.median(result.loss[k, :, -round(0.05 * settings.epochs) :], axis=1)
        spread = f"({tail.min():.3g} to {tail.max():.3g})"
        assert f"{settings.models[k]} {np.median(tail):.3g} {spread}" in shown.views[0].note
        assert f"{settings.models[k]} {result.loss[k, 0, -1]:.3g}" in shown.views[1].note


def test_simulate_predictions_and_residuals(kept):
    settings, result, shown = figure(kept, "simulate", "fit")
    top, bottom = (list(panel.lines) for panel in shown.panels)
    at = np.searchsorted(result.x, top[0].x)
    np.testing.assert_array_equal(top[0].y, result.y[at])
    for k in range(len(settings.models)):
        of_seeds = result.prediction[k][:, at]
        s = next(s for s in range(settings.seeds) if np.array_equal(of_seeds[s], top[1 + k].y.astype(np.float32)))
        assert sorted(result.loss[k, :, -1])[(settings.seeds - 1) // 2] == result.loss[k, s, -1]
        np.testing.assert_allclose(bottom[k].y, of_seeds[s] - result.y[at], atol=1e-7)


def test_gradient_norms_of_layers_do_not_add_up(kept):
    _, result, shown = figure(kept, "gradient-norm", "layers")
    drawn = lines(shown.panels[0])
    late = np.median(result.loss[:, -250:], axis=1)
    s = int(np.argsort(late)[2])  # the median of five
    norms = result.layer_gradient_norms[s].astype(float)
    for name, values in [
        ("layer 1", norms[:, 0]),
        ("whole net", np.sqrt((norms**2).sum(axis=1))),
        ("sum of the norms", norms.sum(axis=1)),
    ]:
        line = drawn[name]
        for k in (0, 57, len(line.x) - 1):
            window = values[line.x[k] - 50 : line.x[k] + 51]
            np.testing.assert_allclose(line.y[k], np.median(window), rtol=1e-5)
    assert (drawn["sum of the norms"].y > drawn["whole net"].y).all()


def test_gradient_norm_raw_and_smoothed(kept):
    _, result, shown = figure(kept, "gradient-norm", "gradient-norm")
    for panel, values in zip(shown.panels, (result.gradient_norm, result.loss), strict=True):
        raw, smooth = panel.lines
        k = 100
        window = np.median(values[:, smooth.x[k] - 50 : smooth.x[k] + 51], axis=1)
        s = int(np.flatnonzero(values[:, raw.x[k]] == np.float32(raw.y[k]))[0])
        drawn = [smooth.y[k], smooth.low[k], smooth.high[k]]
        np.testing.assert_allclose(drawn, [window[s], window.min(), window.max()])


def test_interpolate_reads_both_curves_and_a_grid_that_misses_the_ends(kept):
    settings, result, shown = figure(kept, "interpolate", "line")
    assert shown.examples is not None
    assert result.example_probabilities is not None
    pairs = len(settings.by)
    for r in range(pairs):
        for panel, kind, scale in ((shown.panels[r], "loss", 1), (shown.panels[pairs + r], "accuracy", 100)):
            drawn = lines(panel)
            for which in ("train", "test"):
                values = scale * getattr(result, f"{which}_{kind}")[r].astype(float)
                assert is_median(drawn[which], values)
                coarse = drawn[f"{which}, coarse"]
                at = [int(np.flatnonzero(result.alphas == x)[0]) for x in coarse.x]
                assert is_median(coarse, values[:, at])
                assert np.abs(coarse.x).min() > 0.05
                assert np.abs(coarse.x - 1).min() > 0.05
    assert len(coarse_grid(np.array([-0.5, 0.0, 0.5, 1.0, 1.5]))) == 3
    assert len(coarse_grid(np.array([0.0, 1.0]))) == 0


def test_sweep_batch(kept):
    settings, result, shown = figure(kept, "sweep-batch", "sensitivity")
    order = np.argsort(settings.sizes)
    loss, error, sensitivity = shown.panels
    assert is_median(lines(loss)["test"], result.test_loss[order].T)
    assert is_median(lines(error)["train"], 100 * (1 - result.train_accuracy[order].T))
    right, mistake = sensitivity.lines
    assert (right.view, mistake.view) == ("right", "mistake")
    assert is_median(right, result.sensitivity[order].T)
    assert is_median(mistake, result.batch_mean_gradient[order].T)
    np.testing.assert_array_equal(right.seeds, result.sensitivity[order].T)
    phi, eigenvalue, jacobian = figure(kept, "sweep-batch", "sharpness")[2].panels
    for k, line in enumerate(phi.lines):
        assert is_median(line, result.keskar[order][..., k].T)
    assert is_median(eigenvalue.lines[0], result.eigenvalue[order].T)
    assert is_median(jacobian.lines[0], result.jacobian[order].T)
    assert phi.lines[0].x.tolist() == sorted(settings.sizes)


def test_sweep_params_reads_nets_by_name(kept):
    settings, result, shown = figure(kept, "sweep-params", "generalization")
    order = np.argsort(result.parameters)
    assert positions_of(shown).tolist() == [settings.nets[k] for k in order]
    gap = (result.test_loss.astype(float) - result.train_loss)[order, :, -1]
    assert is_median(shown.panels[2].lines[0], gap.T)
    assert is_median(lines(shown.panels[0])["test"], result.test_loss[order, :, -1].T)


def test_trajectory_reads_loss_and_accuracy_along_the_path(kept):
    _, result, shown = figure(kept, "trajectory", "pooled")
    assert positions_of(shown).tolist() == result.epochs.tolist()
    for p, panel in enumerate(shown.panels):
        for s, line in enumerate(panel.lines):
            np.testing.assert_array_equal(np.stack([line.x, line.y], 1), result.pooled[p, s])
            if p == 0:
                np.testing.assert_array_equal(line.details["train loss"], result.train_loss[s, result.epochs])
                accuracy = 100 * result.test_accuracy[s, result.epochs].astype(float)
                np.testing.assert_array_equal(line.details["test accuracy (%)"], accuracy)
    own = figure(kept, "trajectory", "own")[2]
    for s, line in enumerate(own.panels[0].lines):
        turned = np.stack([line.x, line.y], 1)
        np.testing.assert_allclose(np.abs(turned), np.abs(result.own[0, s]))
        assert line.x[0] <= 0
    shares = lines(figure(kept, "trajectory", "scree")[2].panels[1])
    assert is_median(shares["each path alone"], result.own_explained[1])
    n = len(result.epochs)
    k = np.arange(1, n)
    walk = 1 / np.sin(np.pi * k / (2 * n)) ** 2
    np.testing.assert_allclose(shares[f"random walk of {n} points"].y, walk / walk.sum())


def test_minimal_ratio_counts_right_and_wrong(kept):
    settings, result, shown = figure(kept, "minimal-ratio", "ratio", "stop=gradient-norm")
    (panel,) = shown.panels
    assert [view.key for view in shown.views] == ["right", "strict", "mistake", "end"]

    def points(view):
        pairs = [np.stack([line.x, line.y], 1) for line in panel.lines if line.view == view]
        return np.array(sorted(np.concatenate(pairs).tolist()))

    strict = (result.eigenvalues > 0).mean(axis=1)
    np.testing.assert_allclose(points("strict"), sorted(zip(strict, result.loss, strict=True)))
    right = points("right")
    assert len(right) == settings.seeds
    assert (np.sort(strict) >= right[:, 0] - 1e-12).all()
    path = points("mistake")
    np.testing.assert_allclose(np.sort(path[:, 1]), np.sort(result.path_loss[np.isfinite(result.path_loss)]))
    line = next(line for line in panel.lines if line.view == "mistake")
    np.testing.assert_array_equal(line.details["|g|"], result.path_norm[line.details["seed"] - settings.seed])
    without = figure(kept, "minimal-ratio", "ratio")[2]
    assert [view.key for view in without.views] == ["right", "strict", "end"]
    counts = lines(figure(kept, "minimal-ratio", "signs", "stop=gradient-norm")[2].panels[0], "mistake")
    order = np.argsort(result.loss, kind="stable")
    np.testing.assert_array_equal(counts["positive"].y, (result.eigenvalues > 0).sum(axis=1)[order])
    np.testing.assert_array_equal(counts["negative"].y, (result.eigenvalues < 0).sum(axis=1)[order])


def test_minimal_ratio_shows_the_end_of_training(kept):
    settings, result, shown = figure(kept, "minimal-ratio", "ratio")
    (line,) = [line for line in shown.panels[0].lines if line.view == "end"]
    of = line.details["seed"] - settings.seed
    assert sorted(of) == list(range(settings.seeds))
    np.testing.assert_array_equal(line.x, (result.start_eigenvalues > 0).mean(axis=1)[of])
    np.testing.assert_array_equal(line.y, result.start_loss[of])
    np.testing.assert_array_equal(line.details["|g|"], result.start_norm[of])
    older = dataclasses.replace(result, start_eigenvalues=None)
    views = kept["minimal-ratio", "default"].definition.interactive(settings, older)["ratio"].views
    assert [view.key for view in views] == ["right", "strict"]


def test_landscape_embeds_its_surface_and_reads_its_path(kept):
    run = kept["landscape", "default"]
    figures = run.interactive()
    page = figures["surface"].page
    data = json.loads(page.data)
    expected = np.vectorize(lambda v: float(f"{v:.4g}"))(run.result.loss[0])
    np.testing.assert_array_equal(data["nets"][0]["loss"], expected)
    assert page.code.replace("%TITLE%", page.title).count("%TITLE%") == 0
    whole = run.pages()["surface"]
    head, tail = page.code.split("%DATA%")
    assert whole.endswith(tail)
    assert whole.startswith(head.split("%TITLE%")[0])
    loss, away = figures["path"].panels
    np.testing.assert_array_equal(loss.lines[0].y, run.result.mark_loss[0])
    np.testing.assert_array_equal(loss.lines[1].y, run.result.plane_loss[0])
    np.testing.assert_array_equal(away.lines[0].y, run.result.away[0])


@pytest.mark.parametrize("name", ["features", "nets"])
def test_double_descent_is_read_at_the_threshold_at_first(kept, name):
    *_, shown = figure(kept, "double-descent", name)
    threshold = {"features": 4000, "nets": 4000 * 10}[name]  # as many as examples, or as their targets
    assert {at for panel in shown.panels for at, _ in panel.marks} == {threshold}
    assert [panel.marks[0][1] for panel in shown.panels] == ["", "", "", "threshold"]
    sizes = np.unique(np.concatenate([line.x for panel in shown.panels for line in panel.lines]))
    ratio = np.maximum(sizes / threshold, threshold / sizes)
    assert ratio[shown.start] == ratio.min() < 1.01
    names = [set(lines(panel, "right")) for panel in shown.panels]
    assert names[2] == names[3] < names[0] == names[1]  # one row of the table holds all that is known of it


def test_scoreboard_names_the_rank_correlation_of_every_panel(kept):
    _, result, shown = figure(kept, "scoreboard", "scatter")
    gap = (result.test_loss - result.train_loss).ravel()
    assert len(shown.panels) == 16
    for panel in shown.panels:
        name, _, tau = panel.title.rpartition(": τ = ")
        points = [np.concatenate([getattr(line, axis) for line in panel.lines]) for axis in "xy"]
        assert float(tau.replace("−", "-")) == pytest.approx(kendalltau(*points).statistic, abs=0.0051)
        assert name == panel.x.label
        np.testing.assert_allclose(np.sort(points[1]), np.sort(gap))


def test_code_of_embedded_pages_stands_in_a_report_once(kept):
    runs = [run for (name, _), run in kept.items() if name == "landscape"]
    # Pictures are slow, and only what they carry is looked at.
    figures = [interactive.as_json(run.interactive()["surface"]) for run in runs]
    assert len(runs) == 4
    assert len({code for _, code in figures}) == 1
    assert all(len(text) < MOST for text, _ in figures)


def test_images_on_the_line(tiny_run):
    run = tiny_run("interpolate")
    result, data = run.result, datasets.load("digits", examples=run.settings.examples, seed=run.settings.seed)
    assert result.example_labels.tolist() == list(range(10))
    first = [data.y_test.tolist().index(label) for label in range(10)]
    np.testing.assert_array_equal(result.example_images, np.round(255 * data.x_test[first]))
    sums = result.example_probabilities.astype(float).sum(axis=-1)
    np.testing.assert_allclose(sums, 1, atol=0.01)
    shown = run.interactive()["line"].examples
    assert shown.predicted.shape == (len(run.settings.by), len(run.settings.grid), 10)
    best = result.example_probabilities.max(axis=-1)
    np.testing.assert_array_equal(shown.probability, best)
    value = interactive.as_value(run.interactive()["line"])["examples"]
    pixels = np.frombuffer(base64.b64decode(value["pixels"]), np.uint8)
    np.testing.assert_array_equal(pixels.reshape(result.example_images.shape), result.example_images)


def test_probabilities_are_those_of_keras():
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    y = np.array([2, 0, 1, 1, 0], np.int32)
    data = Data("x", np.zeros((3, 2, 2, 1), np.float32), y[:3], rng.random((5, 2, 2, 1), np.float32), y, 3)
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    a = model.get_weights()
    b = [rng.normal(size=w.shape).astype(np.float32) for w in a]
    got = examples.probabilities(model, a, b, np.array([0.0, 0.25, 1.0]), data)
    assert examples.first_of_each_class(y).tolist() == [1, 2, 0]
    for k, alpha in enumerate((0.0, 0.25, 1.0)):
        model.set_weights([p + alpha * (q - p) for p, q in zip(a, b, strict=True)])
        expected = keras.ops.softmax(model.predict(data.x_test[[1, 2, 0]], verbose=0))
        np.testing.assert_allclose(got[k], expected, atol=1e-3)


def test_lines_of_an_older_checkpoint_have_no_images():
    assert examples.fields([{"train_loss": np.zeros(3)}]) == {}


def test_a_diverged_pair_predicts_nothing(tiny_run):
    run = tiny_run("interpolate")
    nothing = dataclasses.replace(
        run.result,
        example_probabilities=np.full_like(run.result.example_probabilities, np.nan),
        train_loss=np.full_like(run.result.train_loss, np.nan),
    )
    shown = run.definition.interactive(run.settings, nothing)["line"]
    assert (shown.examples.predicted == -1).all()
    value = json.loads(interactive.as_text(interactive.as_value(shown)))
    assert set(value["panels"][0]["lines"][0]["y"]) == {None}


def test_numbers_have_four_digits_and_whole_places_all():
    values = np.array([1234.567, 0.00012345678, -0.5, 0.0, np.nan, np.inf, 1e-9, 20001])
    assert interactive.numbers(values) == [1235, 0.0001235, -0.5, 0, None, None, 1e-9, 20000]
    assert interactive.places(np.array([20001, 896965])) == [20001, 896965]
    assert interactive.places(np.array([0.05, 1 / 3])) == [0.05, 0.33333]


def test_nothing_in_a_label_ends_the_script():
    line = Line("</script><b>&\u2028", np.arange(2), np.array([1.0, np.nan]))
    page = EmbeddedPage("<p>%TITLE%</p></script>", "<b>", "", "[]")
    text, (key, code) = interactive.as_json(InteractiveFigure((Panel(Axis("x"), Axis("y"), (line,)),), page=page))
    assert "<" not in text + code
    assert "\u2028" not in text
    value = json.loads(text)
    assert value["panels"][0]["lines"][0]["label"] == line.label
    assert value["panels"][0]["lines"][0]["y"] == [1, None]
    assert json.loads(code) == page.code
    assert value["page"]["key"] == key
    assert interactive.as_json(None) == ("", ("", ""))


def test_median_of_what_is_finite():
    line = over_seeds("a", np.arange(3), np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]]))
    np.testing.assert_array_equal(line.y, [2, 5, np.nan])
    np.testing.assert_array_equal(line.low, [1, 5, np.nan])
    assert over_seeds("a", np.arange(2), np.array([[1.0, 2.0]])).low is None
    assert len(thinned("a", np.arange(1000), np.zeros((2, 1000))).x) <= 400


def test_colours_of_the_page_are_those_of_the_pictures():
    css = (writer.TEMPLATES / "interactive" / "chart.css").read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark")
    assert tuple(re.findall(r"--c[0-7]: (#\w+)", light)) == style.COLORS
    assert len(re.findall(r"--c\d: (#\w+)", dark)) == 9


def test_a_page_asks_for_nothing_and_stands_without_script(kept):
    text = writer.html(compose([kept["sweep-batch", "default"], kept["landscape", "default"]]))
    assert not re.search(r"""(src|href|action)\s*=\s*["']?(https?:)?//""", text)
    assert not re.search(r"""url\(\s*["']?(https?:|//)|@import""", text)
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(", text)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    plain = re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
    figures = re.findall(r"<figure.*?</figure>", plain, flags=re.DOTALL)
    assert len(figures) == 7
    assert all("<img" in f and "figcaption" in f for f in figures)
    assert not any("<button" in figure for figure in figures)
    assert text.count('class="page-code"') == 1
    assert text.count('class="chart-numbers"') == 4
