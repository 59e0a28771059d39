"""One suite over every experiment in the folder: a new file is tested by being there.

What it would miss: a number that is wrong in the same way every time. That is for the tests of the experiment itself.
"""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

import dlhw as library
from cli import options
from dlhw.checkpoints import FolderCheckpoints, RunCheckpoints
from dlhw.errors import UserError
from dlhw.runs import experiment as registry
from dlhw.runs import flags, record_file, runner, settings
from dlhw.runs.context import Context
from dlhw.runs.provenance import cache_key
from dlhw.storage import fields, files

NAMES = registry.names()


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def tiny(name, tiny_run):
    return tiny_run(name)


def changed(tiny, **values):
    return runner.execute(tiny.experiment, dataclasses.replace(tiny.settings, **values), Context()).result


def same(a, b):
    (one, _), (other, _) = fields.split(a), fields.split(b)
    return all(np.array_equal(one[k], other[k], equal_nan=one[k].dtype.kind == "f") for k in one)


def test_a_stored_run_is_the_run(tiny, tmp_path):
    path = tiny.save(tmp_path)
    loaded = library.load(path)
    assert loaded.settings == tiny.settings
    for field in dataclasses.fields(tiny.result):
        mine, theirs = getattr(tiny.result, field.name), getattr(loaded.result, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert mine == theirs
    assert str(loaded.summary()) == str(tiny.summary())
    assert json.loads((path / "run.json").read_text())["schema"] == record_file.SCHEMA


@pytest.mark.slow
def test_the_command_line_repeats_the_run_of_the_library_to_the_byte(tiny, tmp_path, inside):
    words, fields = [], {f.name: f for f in dataclasses.fields(tiny.settings)}
    for key, value in settings.changed(tiny.settings).items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else value
        words += [text] if fields[key].metadata.get("positional") else [flags.flag(key), text]
    answer = json.loads(inside(tiny.experiment, *words, "--out", tmp_path / "a", "--json")[1])
    assert library.load(answer["run"]).settings == tiny.settings
    assert answer["numbers"].keys() == tiny.summary().numbers.keys()
    assert not list((tmp_path / "a" / tiny.experiment).glob("*/parts"))
    first, second = tiny.save(tmp_path / "b"), tmp_path / answer["run"]
    files = sorted(p.name for p in first.iterdir() if p.suffix in (".npz", ".png", ".svg", ".html"))
    assert len(files) >= 3
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


@pytest.mark.slow
def test_another_seed_gives_another_result(tiny):
    assert not same(tiny.result, changed(tiny, seed=tiny.settings.seed + 1))


@pytest.mark.slow
def test_a_stored_run_is_drawn_and_shown_without_tensorflow(tiny, tmp_path, dlhw):
    path = tiny.save(tmp_path)
    figures = {p.name: p.read_bytes() for p in path.iterdir() if p.suffix in (".png", ".svg")}
    for file in figures:
        (path / file).unlink()
    done = dlhw("draw", path, block="tensorflow keras")
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_bytes() for p in path.iterdir() if p.suffix in (".png", ".svg")} == figures
    shown = dlhw("show", path, block="tensorflow keras")
    assert shown.returncode == 0, shown.stderr
    assert all(flags.label(field) in shown.stdout for field in dataclasses.fields(tiny.settings))


def test_stored_runs_are_listed(tiny_run, tmp_path, dlhw, inside):
    path = tiny_run("simulate").save(tmp_path)
    assert path.name in dlhw("list", "--out", tmp_path, "--json", block="tensorflow keras").stdout
    assert re.search(r"CPU, \d+ s", inside("list", "--out", tmp_path)[1])
    record = json.loads(inside("show", path, "--json")[1])
    assert record["numbers"] == json.loads(files.to_json(tiny_run("simulate").summary().numbers))


def test_every_field_has_an_option_with_help_and_the_same_default(name, dlhw):
    module = registry.get(name)
    text = dlhw(name, "--help", block="tensorflow keras").stdout
    flat = " ".join(text.replace("│", " ").split())
    for field in dataclasses.fields(module.settings):
        assert (f"[{field.name.upper()}]" if field.metadata.get("positional") else flags.flag(field.name)) in flat
        assert " ".join(field.metadata["help"].split()[:2]) in flat
    signature = options.command(module.settings, lambda *_: None, "").__signature__
    given = {p.name: p.default for p in signature.parameters.values()}
    assert module.settings(**options.values_of(module.settings, given)) == module.settings()
    assert settings.run_name(module.settings()) == "default"


@pytest.mark.slow
def test_finished_parts_are_taken_up(tiny, tmp_path):
    asked = []

    class Seen(FolderCheckpoints):
        def get(self, part):
            asked.append(part)
            return super().get(part)

    first = runner.execute(tiny.experiment, tiny.settings, Context(checkpoints=Seen(tmp_path)))
    assert list(tmp_path.glob("*.npz"))
    steps = []
    context = Context(lambda *a, **_: steps.append(a), FolderCheckpoints(tmp_path))
    second = runner.execute(tiny.experiment, tiny.settings, context)
    assert steps == []
    assert same(first.result, second.result)
    names = [part.removesuffix(f"-{asked[0].rpartition('-')[2]}") for part in asked]
    key = cache_key(tiny.experiment, tiny.settings, Context())
    own, others = (RunCheckpoints(FolderCheckpoints(tmp_path), k) for k in (key, "another key"))
    assert any(own.get(name) is not None for name in names)
    assert all(others.get(name) is None for name in names)


def test_runs_with_one_context_do_not_share_their_trainings():
    """A notebook makes one Context and runs an experiment with several settings."""
    context = Context(jobs=1)
    for rate in (0.01, 0.3):
        settings = {"data": "digits", "models": ("4",), "epochs": 1, "examples": 100, "seeds": 1, "learning_rate": rate}
        with_one = library.run("classify", context, **settings).result
        assert np.array_equal(with_one.train_loss, library.run("classify", **settings).result.train_loss)


def test_the_key_of_checkpoints_does_not_depend_on_where_trainings_run(tiny):
    """A run that lost its cluster is finished without it."""
    keys = {cache_key(tiny.experiment, tiny.settings, Context(scheduler=s)) for s in ("", "tcp://host:1")}
    assert len(keys) == 1


def test_the_summary_is_whole(tiny):
    summary = tiny.summary()
    assert all(len(row) == len(summary.columns) for row in summary.rows)
    assert not any("nan" in cell for row in summary.rows for cell in row)
    assert summary.sentences
    assert all(s.endswith(".") and "nan" not in s for s in summary.sentences)
    json.loads(files.to_json(summary.numbers))


@pytest.mark.slow
def test_one_seed_carries_no_conclusion(tiny):
    run = dataclasses.replace(tiny, settings=dataclasses.replace(tiny.settings, seeds=1), result=changed(tiny, seeds=1))
    text = " ".join(run.summary().sentences)
    assert "nothing can be concluded" in text or "There is nothing to compare" in text
    assert run.figures()


@pytest.mark.slow
def test_a_run_whose_nets_all_diverge_is_drawn_and_named(tiny):
    of_several = {"sweep": "values", "edge": "learning_rates", "scoreboard": "learning_rates"}.get(tiny.experiment)
    rates = {of_several: (1e29, 1e30)} if of_several else {"learning_rate": 1e30}
    wild = dataclasses.replace(tiny.settings, activation="softplus", **rates)
    run = runner.execute(tiny.experiment, wild, Context())
    assert (run.result.diverged_at >= 0).all()
    assert "diverged" in " ".join(run.summary().sentences)
    assert run.figures()


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="did you mean 'simulate'"):
        library.run("simulat")
    with pytest.raises(UserError, match="did you mean 'epochs'"):
        library.run("simulate", epoch=3)


@pytest.mark.slow
def test_every_seed_is_the_same_net_alone_and_among_others():
    simulate = registry.get("simulate")
    together = runner.execute("simulate", dataclasses.replace(simulate.tiny, seeds=3), Context()).result
    alone = runner.execute("simulate", dataclasses.replace(simulate.tiny, seed=2, seeds=1), Context()).result
    np.testing.assert_allclose(together.loss[:, 2], alone.loss[:, 0], rtol=1e-4)


def test_the_loss_of_simulate_is_that_of_its_predictions_at_the_points():
    run = runner.execute("simulate", registry.get("simulate").tiny, Context())
    error = np.mean((run.result.prediction[..., ::5] - run.result.y[::5]) ** 2, axis=-1)
    np.testing.assert_allclose(error, run.result.loss[..., -1], rtol=1e-4)


def test_the_squares_of_the_layers_add_up():
    run = runner.execute("gradient-norm", registry.get("gradient-norm").tiny, Context())
    whole = np.sqrt(np.sum(run.result.layer_gradient_norms.astype(float) ** 2, axis=-1))
    np.testing.assert_allclose(whole, run.result.gradient_norm, rtol=1e-5)


@pytest.mark.slow
def test_dead_nets_are_counted():
    # On the raw scale, at ten times the usual rate, most small ReLU nets end up constant.
    run = library.run("simulate", models=("10-10",), points=20, epochs=200, seeds=6, scale="raw", learning_rate=0.1)
    flat = np.var(run.result.prediction[..., ::5], axis=-1) < 1e-6 * np.var(run.result.y[::5])
    np.testing.assert_array_equal(run.result.dead, flat & (run.result.diverged_at < 0))
    count = int(run.result.dead.sum())
    assert 0 < count < 6
    assert f"{count} of 6 trainings of 10-10 end as a constant" in " ".join(run.summary().sentences)
