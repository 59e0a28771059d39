"""`dlhw.run(..., out=...)` stores, locks and resumes exactly as the command does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import dlhw
from dlhw.errors import UserError
from dlhw.runs import experiment as registry
from dlhw.runs import reuse, runner, store
from dlhw.runs.context import Context
from dlhw.runs.flags import with_flags
from dlhw.runs.records import TrainingRecord
from dlhw.training.distributed import plan as plans
from tests.reliability import damage

SETTINGS = {"models": ("2",), "epochs": 20, "points": 10, "seeds": 1}


def test_a_run_is_stored_as_the_command_stores_it(tmp_path, inside):
    run = dlhw.run("simulate", out=tmp_path / "a", **SETTINGS)
    inside("simulate", "--models", "2", "--epochs", 20, "--points", 10, "--seeds", 1, "--out", tmp_path / "b")
    mine, theirs = (store.folder(tmp_path / k, "simulate", run.settings) for k in "ab")
    names = sorted(p.name for p in mine.iterdir() if not p.name.startswith("."))
    assert names == sorted(p.name for p in theirs.iterdir() if not p.name.startswith("."))
    assert "run.json" in names
    for name in names:
        if name != "run.json":  # it holds the seconds that the run took
            assert (mine / name).read_bytes() == (theirs / name).read_bytes(), name


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dlhw.run("simulate", **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_or_with_another_run_is_refused(tmp_path):
    run = dlhw.run("simulate", out=tmp_path, **SETTINGS)
    path = store.folder(tmp_path, "simulate", run.settings)
    with store.locked(path), pytest.raises(UserError, match="is in use by another process"):
        dlhw.run("simulate", out=tmp_path, overwrite=True, **SETTINGS)
    damage.changed(damage.put(11, "settings", "points"), seal=True)(path)
    with pytest.raises(UserError, match="holds a run with other settings"):
        dlhw.run("simulate", out=tmp_path, **SETTINGS)
    assert dlhw.run("simulate", out=tmp_path, overwrite=True, **SETTINGS).settings == run.settings


def test_an_interrupted_run_is_resumed(tmp_path, monkeypatch):
    settings = dataclasses.replace(registry.get("minimal-ratio").tiny, seeds=2)
    written = runner.Run.write

    def crash(self, path, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Run, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        runner.run_and_store("minimal-ratio", settings, Context(), tmp_path)
    path = store.folder(tmp_path, "minimal-ratio", settings)
    assert len(list((path / "parts").glob("net of seed*"))) == 2
    monkeypatch.setattr(runner.Run, "write", written)
    outcome = runner.run_and_store("minimal-ratio", settings, Context(), tmp_path)
    assert outcome.run is not None
    assert outcome.run.environment["resumed"]
    assert not (path / "parts").exists()


def computed(tmp_path, monkeypatch, context=None, **more):
    """Whether a second run of the same settings is computed again."""
    calls = []
    execute = runner.execute
    monkeypatch.setattr(runner, "execute", lambda *a: (calls.append(a), execute(*a))[1])
    run = dlhw.run("simulate", context, out=tmp_path, **SETTINGS, **more)
    assert run.result.loss.shape == (1, 1, 21)
    return bool(calls)


def test_a_finished_run_is_not_computed_again(tmp_path, monkeypatch):
    first = dlhw.run("simulate", out=tmp_path, **SETTINGS)
    path = store.folder(tmp_path, "simulate", first.settings)
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    assert not computed(tmp_path, monkeypatch)
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    assert computed(tmp_path, monkeypatch, overwrite=True)


@pytest.mark.parametrize("context", [{"device": "cpu"}, {"xla": "off"}], ids=str)
def test_another_request_is_computed(tmp_path, monkeypatch, context):
    dlhw.run("simulate", out=tmp_path, **SETTINGS)
    assert computed(tmp_path, monkeypatch, Context(**context))


def test_other_versions_and_other_devices_are_computed(tmp_path, monkeypatch):
    first = dlhw.run("simulate", out=tmp_path, **SETTINGS)
    path = store.folder(tmp_path, "simulate", first.settings)
    damage.changed(damage.put("3.0.0", "environment", "versions", "keras"), seal=True)(path)
    assert computed(tmp_path, monkeypatch)
    damage.changed(damage.put("NVIDIA H100", "environment", "device"), seal=True)(path)
    assert computed(tmp_path, monkeypatch)
    monkeypatch.setattr(reuse, "_may_have_gpus", lambda: True)  # then TensorFlow is asked, and finds none here
    assert not computed(tmp_path, monkeypatch)

    def plan(self, trainings=1, *, splittable=True):
        assert not splittable  # on several devices, nets on a function still train on one
        return plans.Plan("none", ("/CPU:0", "/CPU:1"), "a test")

    monkeypatch.setattr(Context, "plan", plan)
    assert computed(tmp_path, monkeypatch)


def test_an_animation_is_added_to_a_stored_run_that_recorded_it(tmp_path, monkeypatch):
    run = dlhw.run("simulate", Context(animate=True), out=tmp_path, **SETTINGS)
    gif = store.folder(tmp_path, "simulate", run.settings) / "simulate.gif"
    gif.unlink()
    assert not computed(tmp_path, monkeypatch, Context(animate=True))
    assert gif.read_bytes()[:3] == b"GIF"
    dlhw.run("simulate", out=tmp_path, overwrite=True, **SETTINGS)  # records no frames
    assert computed(tmp_path, monkeypatch, Context(animate=True))


@pytest.mark.parametrize(
    ("name", "context", "says"),
    [
        ("sweep-params", {"animate": True}, "sweep-params has no animation"),
        ("simulate", {"scheduler": "tcp://localhost:1"}, "small nets train as stacks"),
        ("classify", {"data_dir": "missing"}, "is not a folder"),
    ],
)
def test_a_context_that_does_not_fit_is_refused_without_a_folder_too(name, context, says):
    with pytest.raises(UserError, match=says):
        dlhw.run(name, Context(**context))


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ({"device": "gup"}, "`device` 'gup' is unknown; did you mean gpu"),
        ({"strategy": "split"}, "`strategy` 'split' is unknown"),
        ({"xla": "yes"}, "`xla` 'yes' is unknown"),
        ({"jobs": -1}, "`jobs` -1 must be at least 1"),
        ({"replicas": -1}, "`replicas` -1 must be positive"),
    ],
)
def test_a_context_is_checked_when_it_is_made(context, says):
    with pytest.raises(UserError, match=says):
        Context(**context)


def test_a_worker_that_is_not_the_chief_gets_the_run_and_writes_nothing(tmp_path, monkeypatch):
    plan = plans.Plan("mirrored", ("/CPU:0",), "a test", workers=2, index=1)
    monkeypatch.setattr(Context, "plan", lambda *_, **__: plan)
    outcome = runner.run_and_store("simulate", registry.get("simulate").tiny, Context(), tmp_path)
    assert outcome.run.result.loss.shape[1] == registry.get("simulate").tiny.seeds
    assert outcome.note == "worker 1 of 2 is done; the chief writes the run"
    assert list(tmp_path.iterdir()) == []


def test_a_callback_cannot_replace_what_the_training_records():
    curve = np.zeros(2)
    record = TrainingRecord(curve, curve, curve, curve, -1, 0.0, 0.0, measured={"train_loss": curve, "extra": curve})
    with pytest.raises(UserError, match="a callback returned train_loss, which the training itself records"):
        record.pack()


def test_messages_name_options_of_the_command_and_nothing_else():
    text = "`learning_rate` 0 must be positive; layers ignore `dtype`"
    assert with_flags(text, {"learning_rate"}) == "--learning-rate 0 must be positive; layers ignore `dtype`"
    assert with_flags("`sizes` twice", {"sizes"}) == "SIZES twice"


def test_a_run_is_shown_in_one_line():
    run = dlhw.run("simulate", **SETTINGS)
    assert repr(run).startswith("<Run of simulate: epochs=20, points=10, seeds=1, models=('2',); see .result")
    assert "\n" not in repr(run)


def test_an_interrupted_run_is_not_replaced_by_another_of_its_name(tmp_path, monkeypatch):
    write = runner.Run.write

    def crash(self, path, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Run, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        dlhw.run("simulate", out=tmp_path, run_name="mine", **SETTINGS)
    monkeypatch.setattr(runner.Run, "write", write)
    other = SETTINGS | {"epochs": 5}
    with pytest.raises(UserError, match=r"holds an interrupted run with other settings \(epochs\); use"):
        dlhw.run("simulate", out=tmp_path, run_name="mine", **other)
    assert store.begun(tmp_path / "simulate" / "mine")["settings"]["epochs"] == 20
    assert dlhw.run("simulate", out=tmp_path, run_name="mine", **SETTINGS).settings.epochs == 20
    assert not (tmp_path / "simulate" / "mine" / "parts").exists()


def test_an_interrupted_run_names_its_command(tmp_path, inside):
    path = tmp_path / "artifacts" / "simulate" / "mine"
    path.mkdir(parents=True)
    store.begin(path, "simulate", registry.get("simulate").settings(epochs=7))
    command = "dlhw simulate --epochs 7 resumes it"
    assert command in " ".join(inside("list")[1].split())
    assert command in inside("show", "artifacts/simulate/mine", expect=2)[1]
