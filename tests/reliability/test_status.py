"""What a script sees: exit statuses, and folders that are left as they were."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dlhw.runs import store
from tests.conftest import ROOT

DIVERGING = ("simulate", "--models", "4", "--epochs", 50, "--points", 10, "--seeds", 2, "--learning-rate", 1e6)


def test_a_run_whose_trainings_all_diverged_has_a_status_of_its_own(inside, tmp_path):
    for _ in range(2):  # computed, then stored
        _, said = inside(*DIVERGING, "--json", expect=3)
        assert said == "dlhw: every training of simulate diverged\n"
    (run,) = (tmp_path / "artifacts" / "simulate").iterdir()
    assert json.loads((run / "run.json").read_text())["numbers"]
    assert inside("report", "--from-runs", "artifacts", "--quiet", expect=3)[1].endswith("diverged\n")
    assert (tmp_path / "artifacts" / "report" / "report.html").exists()


def test_what_is_refused_after_the_lock_leaves_no_folder(inside, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("DLHW_DATA_DIR", raising=False)
    said = inside("classify", "--data", "mnist", "--models", "4", "--epochs", 1, "--seeds", 1, expect=2)[1]
    assert "cannot be downloaded" in said
    assert not (tmp_path / "artifacts").exists()


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(KeyboardInterrupt), store.locked(tmp_path / "runs" / "simulate" / "a"):
        raise KeyboardInterrupt
    assert list((tmp_path / "runs").iterdir()) == []
    with store.locked(tmp_path / "runs" / "simulate" / "a"):
        (tmp_path / "runs" / "simulate" / "a" / "file").touch()
    assert [p.name for p in (tmp_path / "runs" / "simulate" / "a").iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk to offer")
def test_output_on_a_full_disk_is_one_line():
    with Path("/dev/full").open("w") as full:
        code = "import sys; sys.argv[0] = 'dlhw'; from cli.main import app; app()"
        words = [sys.executable, "-c", code, "design"]
        ended = subprocess.run(words, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "dlhw: output cannot be read or written: No space left on device\n"
