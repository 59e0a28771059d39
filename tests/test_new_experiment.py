"""Adding an experiment is adding one file: its command, storage, redraw and section in a report follow.

Done in a copy of the package, in processes of their own. Would miss: an experiment that trains on images; the shared
tests (test_experiments.py) run over every experiment in the folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The experiment of CONTRIBUTING.md.
CODE = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.S)


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for name in ("dlhw", "cli"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert CODE is not None
    (folder / "dlhw" / "experiments" / "weight_norm.py").write_text(CODE[1], encoding="utf-8")

    def run(*words: object) -> str:
        code = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv[0] = 'dlhw'; from cli.main import app; app()"
        command = [sys.executable, "-c", code, *map(str, words)]
        environment = os.environ | {"COLUMNS": "120"}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run, folder


@pytest.mark.slow
def test_an_experiment_is_one_file(call):
    run, folder = call
    assert "weight-norm" in run("--help")
    assert "--widths" in run("weight-norm", "--help")
    record = json.loads(run("weight-norm", "--widths", "2,4", "--epochs", 5, "--points", 10, "--seeds", 2, "--json"))
    path = folder / record["run"]
    assert {"run.json", "arrays.npz", "norms.png", "norms.svg"} <= {p.name for p in path.iterdir()}
    before = (path / "norms.png").read_bytes()
    (path / "norms.png").unlink()
    run("draw", path)
    assert (path / "norms.png").read_bytes() == before
    run("report", "--from-runs", folder / "artifacts", "--out", folder / "out")
    page = (folder / "out" / "report" / "report.md").read_text(encoding="utf-8")
    assert "## Norm of the weights" in page
    assert "weight-norm-norms.png" in page
