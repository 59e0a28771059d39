"""Real signals at random moments: nothing is lost, nothing refused, and no byte differs in the end.

`python -m benchmarks.reliability` sends a hundred of them.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.reliability import kills

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")]


NAMES = ("sweep", "report")
"""Of the four commands of `kills`; a report holds an ensemble."""


def test_what_is_killed_resumes_to_the_same_bytes(tmp_path):
    seed = random.randrange(10**6)
    with ThreadPoolExecutor(2) as pool:
        references = pool.map(lambda name: kills.reference(name, tmp_path / name), NAMES)
        wholes = dict(zip(NAMES, references, strict=True))

        def life(name):
            folder = tmp_path / f"{name}-killed"
            return kills.kill_and_resume(name, folder, *wholes[name], 4, random.Random(f"{name}{seed}"))

        outcomes = list(pool.map(life, NAMES))
    for outcome in outcomes:
        assert not outcome.refusals, (seed, outcome)
        assert not outcome.differing, (seed, outcome)
        assert outcome.attempts, (seed, outcome)


def test_sigterm_ends_with_a_line_and_status_143(tmp_path):
    words = ["simulate", "--models", "10-10", "--epochs", "3000000", "--points", "10", "--seeds", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", kills.CODE, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while not list(tmp_path.glob("artifacts/*/*/.lock")):
        time.sleep(0.2)
    time.sleep(6)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert said == "dlhw: terminated; finished trainings are stored, and the same command resumes from them\n"
    assert list(tmp_path.glob("artifacts/*/*/parts/stack-*.npz"))


def test_a_deleted_folder_is_told(tmp_path):
    import shutil

    words = ["simulate", "--models", "10-10", "--epochs", "3000000", "--points", "10", "--seeds", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", kills.CODE, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while not list(tmp_path.glob("artifacts/*/*/.lock")):
        time.sleep(0.2)
    shutil.rmtree(tmp_path / "artifacts")
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "cannot be written: its folder was deleted meanwhile" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "artifacts").exists()
