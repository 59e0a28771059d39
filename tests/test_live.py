"""`--live`: a page in the run folder with loss and gradient norm, rewritten while nets train."""

from __future__ import annotations

import re

import numpy as np
import pytest

import dlhw as library
from dlhw import measure, models
from dlhw.errors import UserError
from dlhw.runs import function_training, live, live_chart, runner, store
from dlhw.runs.context import Context


def test_the_page_shows_every_net_and_reloads_itself_until_the_end(tmp_path):
    page = live.LivePage(tmp_path, "a <run>")
    page.add("net 1", 1, 0.5, lambda: 2.0)
    text = (tmp_path / store.LIVE_PAGE).read_text()
    assert '<meta http-equiv="refresh"' in text
    assert "a &lt;run&gt;" in text
    page.add("net 2", 2, 0.25)
    page.add("net 1", 3, float("nan"))
    page.write("Finished.")
    text = (tmp_path / store.LIVE_PAGE).read_text()
    assert "refresh" not in text
    assert "net 1" in text
    assert "net 2" in text
    assert "nan" not in text
    assert not re.search(r"(?:src|href|url\(|import|fetch)[^>\n]{0,20}//", text)  # needs no network


def test_a_long_training_keeps_few_points():
    curve = live_chart.Curve()
    for step in range(10_000):
        curve.add(step, 1.0)
    assert len(curve.steps) <= live_chart.MOST_POINTS
    assert curve.steps[0] == 0
    assert curve.steps[-1] > 9_000


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("simulate", {"models": ("4-3",), "epochs": 50, "points": 20, "seeds": 2}),
        ("classify", {"data": "digits", "models": ("6",), "epochs": 2, "examples": 100, "seeds": 1}),
    ],
)
def test_a_run_writes_it_and_computes_the_same(name, settings, tmp_path):
    plain = library.run(name, **settings)
    run = library.run(name, Context(live=True), out=tmp_path, **settings)
    text = (store.folder(tmp_path, name, run.settings) / store.LIVE_PAGE).read_text()
    assert "Finished." in text
    assert text.count("<h2>") == 2  # loss, gradient norm
    for field in ("train_loss", "loss"):
        if hasattr(run.result, field):
            assert np.array_equal(getattr(run.result, field), getattr(plain.result, field))


def test_the_gradient_norm_of_a_function_net_is_that_of_its_weights():
    net = models.mlp((4, 3), activation="tanh", seed=1)
    stacked = (v.T if v.ndim > 1 else v[:, None] for v in net.get_weights())  # as a stack has them
    weights = {str(k): v for k, v in enumerate(stacked)}
    other = models.mlp((4, 3), activation="tanh", seed=2)
    before = measure.flat(other)
    x = np.linspace(-1, 1, 20)
    norm = function_training._gradient_norm(other, weights, (x, np.sin(x)))
    x, y = x[:, None].astype("f"), np.sin(x)[:, None].astype("f")
    assert norm == pytest.approx(measure.gradient_norm(net, "mse", x, y)[0], rel=1e-5)
    assert np.array_equal(measure.flat(other), before)


def test_it_needs_a_folder():
    with pytest.raises(UserError, match="`live` writes into the run folder; name `out`"):
        library.run("simulate", Context(live=True))


def test_an_interrupted_run_says_so_and_is_resumed(tmp_path, monkeypatch):
    settings = {"data": "digits", "models": ("6",), "epochs": 2, "examples": 100, "seeds": 1}
    execute = runner.execute
    monkeypatch.setattr(runner, "execute", lambda *a: (execute(*a), (_ for _ in ()).throw(KeyboardInterrupt))[0])
    with pytest.raises(KeyboardInterrupt):
        library.run("classify", Context(live=True), out=tmp_path, **settings)
    (path,) = (tmp_path / "classify").iterdir()
    assert "Interrupted; the same command resumes it." in (path / store.LIVE_PAGE).read_text()
    with pytest.raises(UserError, match="was interrupted; the command that started it resumes it"):
        library.load(path)
    monkeypatch.setattr(runner, "execute", execute)
    library.run("classify", out=tmp_path, **settings)
    assert not (path / store.LIVE_PAGE).exists()  # of the earlier run
