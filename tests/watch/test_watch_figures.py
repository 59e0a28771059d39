"""Table and figures of a watched training: numbers from known arrays, curves against NumPy, the same bytes twice.

Would miss: what only eyes see.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import dlhw
from dlhw.errors import UserError
from dlhw.present import render, style
from dlhw.watch import saving
from dlhw.watch.display import curves
from dlhw.watch.display.figures import CAPTIONS, figures
from dlhw.watch.display.interactive import interactive
from dlhw.watch.display.summary import numbers, summary
from dlhw.watch.spec import Settings
from tests.watch.synthetic import ENVIRONMENT, training


def drawn(settings, result):
    with style.house_style():
        return figures(settings, result)


def lines_of(axes):
    return {line.get_label(): np.array(line.get_xydata()) for line in axes.lines}


def test_the_table_holds_the_numbers_of_known_arrays():
    _, result = training(layers=2, steps_per_epoch=10, epochs=4)
    steps = np.arange(40)
    norm = np.stack([1.0 + steps, np.where(steps < 3, np.nan, 100.0 - steps)], 1)
    updated = steps % 2 == 1  # accumulation over two batches
    result = dataclasses.replace(
        result,
        gradient_norm=norm,
        update_norm=np.where(updated[:, None], 0.5 * norm, 0.0),
        weight_norm=np.stack([np.full(40, 2.0), np.zeros(40)], 1),
        zero_share=np.stack([np.linspace(0, 0.39, 40), np.full(40, 1.0)], 1),
        updated=updated,
        unit_layers=("dense", "activation"),
        unit_counts=np.array([4, 4]),
        dead_share=np.array([[0, 0.1], [0, 0], [0.5, 0], [0.75, np.nan]]),
        saturated_share=np.full((4, 2), np.nan),
    )
    table = summary(Settings(model="net", parameters=10), result)
    # gradient norm at start, median of 1..40, median of the last two; updates: 0.25 * (2, 4, ..., 40), median 5.25
    assert table.rows[0] == ("dense", "1", "20.5", "39.5", "5.25", "19.5 %", "75 %")
    # three batches of another optimizer; weights that are zero have no ratio
    assert table.rows[1] == ("dense_1", "97", "79", "61.5", "–", "100 %", "–")
    assert table.rows[2] == ("activation", "–", "–", "–", "–", "–", "0 %")
    assert table.title == "net (10 weights), 40 batches, 4 epochs"


def test_numbers_are_those_of_numpy():
    settings, result = training(functions=("margin",))
    values = numbers(settings, result)
    norm = np.asarray(result.gradient_norm, np.float64)
    whole = np.linalg.norm(norm, axis=1)
    assert values["gradient_norm_median"] == pytest.approx(np.median(whole))
    assert values["gradient_norm_end"] == pytest.approx(np.median(whole[-20:]))
    assert values["loss_start"] == pytest.approx(result.loss[0])
    assert values["margin_end"] == pytest.approx(np.cos(3))
    assert values["probe_loss_end"] == pytest.approx(2.3 * np.exp(-2.8))
    assert values["history_end"]["val_loss"] == pytest.approx(2.4 * np.exp(-2.5))
    assert values["probe_seconds"] == 2.5
    assert values["first_nonfinite_step"] == -1


def test_the_first_step_that_is_not_finite_is_named():
    settings, result = training()
    share = result.nonfinite_share.copy()
    share[[120, 300], 1] = 0.5
    result = dataclasses.replace(result, nonfinite_share=share, nonfinite_layer="dense_1")
    values = numbers(settings, result)
    assert (values["first_nonfinite_step"], values["nonfinite_layer"]) == (120, "dense_1")


def test_a_long_curve_is_medians_with_its_range():
    random = np.random.default_rng(0)
    values = random.standard_normal(100_000)
    values[::1000] = np.nan
    x = np.arange(len(values))
    line = curves.envelope(x, values)
    assert len(line.x) <= curves.MOST
    keep = np.isfinite(values)
    x, values = x[keep], values[keep]
    first = slice(0, line.width)
    assert line.median[0] == np.median(values[first])
    assert (line.low[0], line.high[0]) == (values[first].min(), values[first].max())
    last = slice(len(values) // line.width * line.width, None)
    assert line.median[-1] == np.median(values[last])
    assert (line.low.min(), line.high.max()) == (values.min(), values.max())
    short = curves.envelope(np.arange(400), np.arange(400.0))
    assert short.width == 1
    np.testing.assert_array_equal(short.median, np.arange(400))


def test_no_figure_draws_more_points_than_can_be_seen():
    figs = drawn(*training(steps_per_epoch=12_500, layers=3))
    assert max(len(line.get_xdata()) for fig in figs.values() for axes in fig.axes for line in axes.lines) <= 400


def test_lines_are_the_recorded_norms():
    settings, result = training(steps_per_epoch=20, clip=0.3)
    figs = drawn(settings, result)
    lines = lines_of(figs["gradient-norm"].axes[0])
    np.testing.assert_allclose(lines["dense_1"][:, 1], result.gradient_norm[:, 1], rtol=1e-6)
    dashed = [line for line in figs["gradient-norm"].axes[0].lines if line.get_linestyle() == "--"]
    clipped = [k for k in range(3) if result.gradient_norm[:, k].max() > 0.3]
    assert len(dashed) == len(clipped)
    assert max(float(np.max(line.get_ydata())) for line in dashed) == pytest.approx(0.3)
    ratios = lines_of(figs["update-ratio"].axes[0])
    np.testing.assert_allclose(ratios["dense"][:, 1], result.update_norm[:, 0] / result.weight_norm[:, 0], rtol=1e-6)
    assert any(set(line.get_ydata()) == {1e-3} for line in figs["update-ratio"].axes[0].lines)
    sharp = lines_of(figs["sharpness"].axes[0])
    np.testing.assert_allclose(sharp["sharpness"][:, 1], result.sharpness)
    np.testing.assert_allclose(sharp["limit of the learning rate"][:, 1], 200)


def test_without_clipping_nothing_is_dashed():
    figs = drawn(*training())
    assert not [line for line in figs["gradient-norm"].axes[0].lines if line.get_linestyle() == "--"]


def test_many_layers_are_a_map():
    settings, result = training(layers=12, units=10)
    figs = drawn(settings, result)
    (mesh,) = figs["gradient-norm"].axes[0].collections
    x, medians = curves.grid(result.step, result.gradient_norm, 240)
    np.testing.assert_allclose(np.ma.filled(mesh.get_array(), np.nan), medians.T)
    assert mesh.get_array().shape == (12, 200)
    np.testing.assert_allclose(medians[0], np.median(result.gradient_norm[:2], axis=0), rtol=1e-6)
    assert x[0] == 0.5
    assert figs["units"].axes[0].collections[0].get_array().shape == (10, 5)
    assert interactive(settings, result) == {}


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_training_that_hardly_began_is_drawn(steps):
    settings, result = training(steps_per_epoch=steps, epochs=1 if steps else 0)
    assert set(drawn(settings, result)) <= set(CAPTIONS)
    assert summary(settings, result).rows


def test_what_was_not_measured_is_not_drawn():
    settings, result = training(epochs=0, steps_per_epoch=0, layers=1)
    nothing = {
        name: np.full(np.shape(getattr(result, name)), np.nan)
        for name in ("probe_loss", "probe_accuracy", "sensitivity", "sharpness", "noise_scale", "dead_share")
    }
    assert drawn(settings, dataclasses.replace(result, **nothing)) == {}
    settings, result = training(loss=np.full(400, np.nan), weights=4)
    figs = drawn(settings, dataclasses.replace(result, sharpness=np.full(5, np.nan)))
    assert "sharpness" not in figs
    assert {"loss", "path"} <= set(figs)


def test_a_training_with_many_infinite_numbers_is_drawn():
    settings, result = training(weights=5)
    bad = {
        name: np.where(np.arange(400) < 350, getattr(result, name).T, np.nan).T
        for name in ("loss", "gradient_norm", "applied_norm", "update_norm", "weight_norm")
    }
    bad["loss"][350:] = np.inf
    weights = result.weights.copy()
    weights[-1] = np.nan
    result = dataclasses.replace(result, **bad, weights=weights)
    figs = drawn(settings, result)
    assert "not finite" in [text.get_text() for text in figs["loss"].axes[0].texts]
    assert set(figs) == set(CAPTIONS)
    assert summary(settings, result).numbers["first_nonfinite_step"] == 350


def test_the_path_has_the_distances_of_the_weights():
    settings, result = training(weights=2)  # in a plane, nothing is lost
    axes = drawn(settings, result)["path"].axes[0]
    points = np.array(axes.lines[0].get_xydata())
    np.testing.assert_allclose(
        np.linalg.norm(points[1:] - points[0], axis=1),
        np.linalg.norm(result.weights[1:] - result.weights[0], axis=1),
        rtol=1e-5,
    )
    assert drawn(*training(weights=2, epochs=0)).get("path") is None


def test_interactive_curves_are_those_of_the_figure():
    settings, result = training(clip=0.3)
    figure = interactive(settings, result)["gradient-norm"]
    lines = {line.label: line for line in figure.panels[0].lines}
    np.testing.assert_allclose(lines["dense"].y, result.gradient_norm[:, 0], rtol=1e-6)
    assert float(lines["dense_2, applied"].y.max()) == pytest.approx(0.3)


def test_drawing_twice_gives_the_same_bytes(tmp_path):
    path = saving.save(tmp_path / "mine", *training(weights=5, functions=("f",)), ENVIRONMENT, figures=True)
    before = {p.name: p.read_bytes() for p in path.iterdir() if p.suffix in (".png", ".svg")}
    assert len(before) == 2 * len(CAPTIONS)
    for name in before:
        (path / name).unlink()
    dlhw.load(path).draw(path)
    assert {p.name: p.read_bytes() for p in path.iterdir() if p.suffix in (".png", ".svg")} == before


def test_figures_of_slides_fit():
    with style.use_scale("slides"):
        for fig in drawn(*training(layers=10, weights=4)).values():
            assert render.render(fig, "svg").startswith(b"<?xml")


def test_measures_that_do_not_exist_are_refused():
    with pytest.raises(UserError, match="`measures` 'colour' unknown; use loss, units"):
        Settings(measures=("colour",))
