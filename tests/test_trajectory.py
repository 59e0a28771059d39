"""The path of the weights in a plane: t-SNE is scikit-learn's, and markers have the colours of their values.

Would miss: a picture that cannot be read. Look at it.
"""

from __future__ import annotations

import dataclasses

import matplotlib
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from dlhw.errors import UserError
from dlhw.experiments import trajectory
from dlhw.experiments.trajectory import compute
from dlhw.experiments.trajectory.embedding import embed
from dlhw.experiments.trajectory.paths import points_of
from dlhw.present import scales
from dlhw.runs import runner
from dlhw.runs.context import Context

TINY = trajectory.TINY


def test_t_sne_is_that_of_scikit_learn_on_fifty_principal_components():
    points = np.random.default_rng(0).normal(size=(70, 200))
    reduced = PCA(50, svd_solver="full").fit_transform(points)
    with threadpool_limits(1):
        expected = TSNE(perplexity=12, random_state=3, method="exact").fit_transform(reduced * _signs(points, reduced))
    assert np.allclose(embed(points, 12, 3), expected, atol=1e-3 * np.abs(expected).max())
    assert np.array_equal(embed(points, 12, 3), embed(points, 12, 3))
    assert not np.allclose(embed(points, 12, 3), embed(points, 5, 3), atol=0.1)


def _signs(points, reduced):
    """Those that make the largest entry of every component positive."""
    components = np.linalg.lstsq(reduced, points - points.mean(axis=0), rcond=None)[0]
    return np.sign(components[np.arange(50), np.abs(components).argmax(axis=1)])


def test_a_run_places_all_points_together_and_leaves_out_what_diverged():
    settings = dataclasses.replace(TINY, reduce="tsne", seed=5, seeds=3)
    paths = [np.random.default_rng(k).normal(size=(5, 30)) for k in range(2)]
    placed, perplexity = compute._embed(settings, [paths, [p[:, :9] for p in paths]], np.array([0, 2]), 5)
    assert perplexity == 3.0  # (10 - 1) / 3
    assert np.isnan(placed[:, 1]).all()
    assert np.array_equal(placed[0, [0, 2]].reshape(10, 2), embed(np.concatenate(paths), 3.0, 5))
    few = compute._embed(dataclasses.replace(settings, perplexity=14.0), [paths, paths], np.array([0, 2]), 5)
    assert few[1] is None
    assert np.isnan(few[0]).all()


def test_the_run_states_perplexity_and_seed_and_warns():
    run = runner.execute("trajectory", dataclasses.replace(TINY, reduce="tsne", seed=1), Context())
    plain = runner.execute("trajectory", dataclasses.replace(TINY, seed=1), Context())
    assert np.array_equal(run.result.pooled, plain.result.pooled)
    assert plain.result.tsne is None
    assert "tsne-distances" not in [f.code for f in plain.summary().findings]
    (finding,) = (f for f in run.summary().findings if f.code == "tsne-distances")
    assert "10 points with perplexity 3 and seed 1" in finding.text
    assert "mean nothing" in finding.text
    title = run.figures()["pooled"].texts[0].get_text()
    assert "perplexity 3, seed 1" in title


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"perplexity": 5.0}, "`perplexity` applies to `reduce` tsne, not to pca"),
        ({"reduce": "tsne", "perplexity": 10.0}, "`perplexity` 10 must lie in 1..9, below the 10 points"),
        ({"reduce": "tsne", "perplexity": -1.0}, "`perplexity` -1 must lie in 1..9"),
        ({"reduce": "tsne", "epochs": 2, "seeds": 1}, "needs at least 4 points, not 3"),
    ],
)
def test_what_t_sne_cannot_do_is_refused(changes, message):
    with pytest.raises(UserError, match=message.split("(")[0]):
        dataclasses.replace(TINY, **changes)


def test_markers_are_coloured_by_accuracy_above_and_by_loss_below():
    """The colours of the middle points against viridis on the logarithm of error and of loss."""
    run = runner.execute("trajectory", TINY, Context())
    s, result = 1, run.result
    error, loss = 100 * (1 - result.test_accuracy), result.train_loss
    for row, values in enumerate((-np.log10(error), np.log10(loss))):
        share = (values - values.min()) / np.ptp(values)
        axes = run.figures()["own"].axes[2 * row]
        middle = axes.collections[3 * s]  # middle, start, end of every seed
        assert np.allclose(middle.get_facecolors(), matplotlib.colormaps["viridis"](share[s, 1:-1]), atol=0.01)
        start, end = axes.collections[3 * s + 1], axes.collections[3 * s + 2]
        assert np.allclose(start.get_facecolors(), 1.0)  # hollow
        assert np.allclose(end.get_facecolors(), matplotlib.colormaps["viridis"](share[s, -1:]), atol=0.01)


def test_the_scale_of_accuracies_is_even_in_the_logarithm_of_the_error():
    norm = scales.accuracy_norm(np.array([90.0, 99.9, np.nan]))
    assert np.allclose(norm([90.0, 99.0, 99.9]), [0.0, 0.5, 1.0])
    assert np.allclose(norm.inverse(np.array([0.5])), 99.0)
    assert np.isfinite(scales.accuracy_norm(np.array([100.0]))(100.0))
    assert np.isfinite(scales.accuracy_norm(np.array([np.nan]))(50.0))


def test_the_plane_that_is_drawn_is_that_of_t_sne_where_there_is_one():
    run = runner.execute("trajectory", dataclasses.replace(TINY, reduce="tsne"), Context())
    assert points_of(run.result) is run.result.tsne
    draw, frames = trajectory.animation(run.settings, run.result)
    last = draw(frames - 1).axes[0].lines[1].get_xydata()
    assert np.allclose(last, run.result.tsne[0, 0])
