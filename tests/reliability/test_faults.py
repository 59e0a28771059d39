"""Every operation on files of a save fails once, by a full disk or by a sudden exit.

Afterwards the folder holds the run that it held, the new one, or one that the same command resumes; the same command
then leaves the bytes of a run that nothing interrupted. Would miss: a disk that reorders what was synced.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import dlhw
from dlhw.errors import RunError, UserError
from dlhw.report import writer
from dlhw.runs import runner, store
from dlhw.runs.context import Context
from dlhw.runs.run import Run, load
from dlhw.storage import files
from tests.reliability.faults import Faults, Killed

SETTINGS = {"models": ("2",), "epochs": 3, "points": 5, "seeds": 1}


@pytest.fixture(scope="module")
def finished():
    return dlhw.run("simulate", **SETTINGS)


@pytest.fixture
def command(monkeypatch, finished, tmp_path):
    """The command, which computes one part and then draws two small figures; no time for TensorFlow and Matplotlib."""

    def execute(name, settings, context):
        part = context.checkpoints.get("part")
        if part is None:
            context.checkpoints.put("part so far", {"rows": np.arange(3.0)})
            part = {"rows": np.arange(5.0)}
            context.checkpoints.put("part", part)
            context.checkpoints.drop("part so far")
        assert np.array_equal(part["rows"], np.arange(5.0))
        return dataclasses.replace(finished, settings=settings)

    def draw(self, folder, **_):
        for form in ("png", "svg"):
            files.write_bytes(folder / f"loss.{form}", f"{self.settings.epochs} {form}".encode())

    monkeypatch.setattr(runner, "execute", execute)
    monkeypatch.setattr(Run, "draw", draw)

    def call(*, overwrite=False, epochs=3):
        settings = dataclasses.replace(finished.settings, epochs=epochs)
        return runner.run_and_store("simulate", settings, Context(), tmp_path, overwrite, "mine")

    return call


def contents(folder):
    """The bytes of every file; a lock that a dead process left behind locks nothing."""
    if not folder.exists():
        return {}
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != ".lock"}


def interrupted(call, kill):
    """Whether the call was stopped by the fault; a full disk gives one line."""
    try:
        call()
    except Killed:
        return kill
    except RunError as error:
        line = str(error)
    else:
        return False
    assert not kill
    assert "No space left on device" in line
    assert "\n" not in line
    return True


@pytest.mark.parametrize("kill", [True, False], ids=["exit", "full disk"])
@pytest.mark.parametrize("over", [False, True], ids=["new", "over another run"])
def test_a_save_that_fails_anywhere_loses_nothing(tmp_path, monkeypatch, command, kill, over):
    path = tmp_path / "simulate" / "mine"
    command(epochs=3)
    reference = contents(path)
    assert reference.keys() == {"arrays.npz", "loss.png", "loss.svg", "run.json"}
    assert json.loads(reference["run.json"])["settings"]["epochs"] == 3
    faults = Faults(monkeypatch, tmp_path, kill=kill)
    failing, seen = 0, set()
    while True:
        faults.start()
        if over:
            command(epochs=7, overwrite=True)
            (path / "loss-slides.png").write_bytes(b"of the old run")
            (path / "notes.txt").write_text("mine")
        else:
            for file in path.iterdir():
                file.unlink()
        faults.start(failing)
        stopped = interrupted(lambda: command(epochs=3, overwrite=over), kill)
        seen |= set(faults.log)
        fired = len(faults.log) > failing
        faults.start()
        if over and stopped:
            assert load(path).settings.epochs in (3, 7)
            assert load(path).settings.epochs == 3 or (path / "loss-slides.png").exists()
        elif stopped and store.holds_run(path):
            assert load(path).settings.epochs == 3
        command(epochs=3, overwrite=over and load(path).settings.epochs == 7)
        after = contents(path)
        assert after.pop("notes.txt", b"mine") == b"mine"
        assert after == reference, f"operation {failing}"
        if not fired:  # there are no more operations
            break
        failing += 1
    assert failing > 40
    assert {"mkstemp", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir"} <= seen


@pytest.mark.parametrize("kill", [True, False], ids=["exit", "full disk"])
def test_a_report_that_fails_anywhere_stays_whole(tmp_path, monkeypatch, finished, kill):
    def reported(caption):
        picture = type("Picture", (), {"file": f"{caption}.png", "png": caption.encode(), "caption": caption})
        section = type("Section", (), {"pictures": (picture,)})
        return type("Report", (), {"sections": (section,), "caption": caption})

    def as_json(report, folder):
        return {"parts": [{"experiment": "simulate", "figures": {f"{report.caption}.png": ""}, "run": "x"}]}

    class Template:
        def render(self, report):
            return report.caption

    monkeypatch.setattr(writer, "as_json", as_json)
    monkeypatch.setattr(writer, "load_template", lambda *_, **names: Template())
    folder = tmp_path / "report"
    writer.write(reported("new"), folder)
    new = contents(folder)
    writer.write(reported("old"), folder)
    old = contents(folder)
    assert old.keys() == {"old.png", "report.html", "report.json", "report.md"}
    faults = Faults(monkeypatch, tmp_path, kill=kill)
    failing = 0
    while True:
        faults.start()
        writer.write(reported("old"), folder)
        assert contents(folder) == old
        faults.start(failing)
        interrupted(lambda: writer.write(reported("new"), folder), kill)
        fired = len(faults.log) > failing
        faults.start()
        with store.locked(folder):
            writer.complete(folder)  # what every report begins with
        assert contents(folder) in (old, new), f"operation {failing}"
        if not fired:  # there are no more operations
            break
        failing += 1
    assert failing > 20


def test_files_of_the_user_stay(tmp_path, command):
    path = tmp_path / "simulate" / "mine"
    command(epochs=7)
    (path / ".new").mkdir()
    own = [path / name for name in (".notes.tmp", "thesis.txt", "my-plot.png", ".new/precious")]
    for file in own:
        file.write_text("mine")
    command(epochs=3, overwrite=True)
    assert [file.read_text() for file in own] == ["mine"] * 4


def test_a_folder_in_the_place_of_a_file_is_replaced(tmp_path, command):
    path = tmp_path / "simulate" / "mine"
    command(epochs=3)
    reference = contents(path)
    for name in reference:
        (path / name).unlink()
        (path / name).mkdir()
        (path / name / "inner").touch()
        command(epochs=3, overwrite=True)
        assert contents(path) == reference


def test_what_is_not_finished_is_no_run(tmp_path, monkeypatch, command, inside):
    faults = Faults(monkeypatch, tmp_path, kill=True)
    faults.start()
    command(epochs=7)
    failing = 0
    while True:
        faults.start(failing)
        interrupted(lambda: command(epochs=3, overwrite=True), kill=True)
        fired = len(faults.log) > failing
        faults.start()
        shown = inside("show", tmp_path / "simulate")[1]  # the parent folder: one run, and no hidden one
        assert shown.count("Settings of") == 1
        command(epochs=7, overwrite=True)
        if not fired:
            break
        failing += 5
    assert failing > 40


def test_another_process_that_finished_meanwhile_is_not_overwritten(tmp_path, monkeypatch, command):
    from dlhw.runs import checks

    check = checks.check_inputs

    def meanwhile(*args):
        monkeypatch.setattr(runner, "check_inputs", check)
        command(epochs=7)  # of the same name, while this process was loading TensorFlow
        return check(*args)

    monkeypatch.setattr(runner, "check_inputs", meanwhile)
    with pytest.raises(UserError, match=r"holds a run with other settings \(epochs\)"):
        command(epochs=3)
    assert load(tmp_path / "simulate" / "mine").settings.epochs == 7


def test_a_run_that_is_replaced_while_it_is_read_is_read(tmp_path, monkeypatch, command):
    from dlhw.runs import run as runs

    path = tmp_path / "simulate" / "mine"
    command(epochs=7)
    read = runs.read_record

    def meanwhile(folder):
        record = read(folder)
        monkeypatch.setattr(runs, "read_record", read)
        command(epochs=3, overwrite=True)
        (path / "arrays.npz").touch()
        return record | {"digests": {"arrays.npz": "0" * 64}}  # as if the arrays were another run's

    monkeypatch.setattr(runs, "read_record", meanwhile)
    assert load(path).settings.epochs == 3


def test_a_folder_that_cannot_be_synced_is_no_obstacle(tmp_path, monkeypatch, command):
    import errno
    import os
    import stat

    fsync = os.fsync

    def refuse(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    assert command(epochs=3).run.settings.epochs == 3


def test_threads_begin_the_parts_once(tmp_path):
    import sys
    from concurrent.futures import ThreadPoolExecutor

    from dlhw.checkpoints import FolderCheckpoints

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for k in range(20):
            parts = FolderCheckpoints(tmp_path / str(k) / "parts")
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda n, parts=parts: parts.put(f"part {n}", {"a": np.arange(3.0) + n}), range(4)))
            for n in range(4):
                np.testing.assert_array_equal(parts.get(f"part {n}")["a"], np.arange(3.0) + n)
    finally:
        sys.setswitchinterval(interval)


def test_two_reports_at_once_are_one_after_the_other(tmp_path, monkeypatch):
    from dlhw.report import builder

    monkeypatch.setattr(writer, "WAIT", 0.0)
    with store.locked(tmp_path / "report-quick"), pytest.raises(UserError, match="is in use by another process"):
        writer.write(None, tmp_path / "report-quick")
    assert builder.writer.WAIT == 0.0


def test_a_damaged_report_is_not_replaced_unasked(tmp_path):
    from dlhw.report import builder

    (tmp_path / "report-quick").mkdir()
    (tmp_path / "report-quick" / "report.json").write_text('{"parts": [{"experi')
    with pytest.raises(UserError, match=r"report.json cannot be read .*; use `overwrite` to leave out what it holds"):
        builder.build(tmp_path, only=["simulate"])
    assert not (tmp_path / "simulate").exists()
