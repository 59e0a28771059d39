"""`dlhw.run(..., out=...)` stores, locks and resumes exactly as the command does."""

from __future__ import annotations

import dataclasses

import pytest

import dlhw
from dlhw.errors import UserError
from dlhw.runs import experiment as registry
from dlhw.runs import runner, store
from dlhw.runs.context import Context

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
        dlhw.run("simulate", out=tmp_path, **SETTINGS)
    (path / "run.json").write_text((path / "run.json").read_text().replace('"points": 10', '"points": 11'))
    with pytest.raises(UserError, match="holds a run with other settings"):
        dlhw.run("simulate", out=tmp_path, **SETTINGS)
    assert dlhw.run("simulate", out=tmp_path, overwrite=True, **SETTINGS).settings == run.settings


def test_an_interrupted_run_is_resumed(tmp_path, monkeypatch):
    settings = dataclasses.replace(registry.get("minimal-ratio").tiny, seeds=2)
    written = runner.Run.write

    def crash(self, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Run, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        runner.run_and_store("minimal-ratio", settings, Context(), tmp_path)
    path = store.folder(tmp_path, "minimal-ratio", settings)
    assert len(list((path / "parts").glob("net of seed*"))) == 2
    monkeypatch.setattr(runner.Run, "write", written)
    outcome = runner.run_and_store("minimal-ratio", settings, Context(), tmp_path)
    assert outcome.run is not None
    assert "wall_seconds" not in outcome.run.environment  # resumed
    assert not (path / "parts").exists()
