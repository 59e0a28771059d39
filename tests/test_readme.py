"""Every command and every piece of Python in the README runs as it stands there (with fewer epochs)."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from dlhw.runs.experiment import Experiment
from tests.documented import ROOT, a_model_of_ones_own, a_training_of_ones_own, commands, fenced, smaller

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = commands("".join(fenced(README, "console")))
PYTHON = fenced(README, "python")


@pytest.mark.slow
def test_the_commands_run(inside, tmp_path, monkeypatch):
    from dlhw import run

    # The quick preset takes a minute; its settings are checked by `test_report.py`, and here it has smaller ones.
    monkeypatch.setattr(Experiment, "quick_settings", lambda self: self.tiny)

    stored = run("simulate", models=("2",), points=10, epochs=3, seeds=1).save(tmp_path / "stored")
    for place in ("artifacts", "artifacts/kept"):
        shutil.copytree(stored, tmp_path / place / "simulate" / "default")
    a_model_of_ones_own(tmp_path)
    a_training_of_ones_own(tmp_path)
    numbers_that_fall(tmp_path)
    assert len(COMMANDS) >= 8
    for line in COMMANDS:
        inside(*smaller(line), expect=int(line.startswith("dlhw check")))  # whose numbers carry a mark
    assert_that_git_ignores(tmp_path / "artifacts")


def assert_that_git_ignores(folder):
    """Whatever the README's commands write: `git status` is clean after them."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    written = [p.relative_to(folder.parent).as_posix() for p in folder.rglob("*") if p.is_file()]
    kept = {name for name in written if name.startswith("artifacts/kept/")}
    assert len(written) - len(kept) > 50
    command = ["git", "-C", str(ROOT), "check-ignore", "--no-index", "--stdin"]
    ignored = subprocess.run(command, input="\n".join(written), capture_output=True, text=True, check=True).stdout
    assert {name for name in written if name not in kept} <= set(ignored.splitlines())
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files", "artifacts"], capture_output=True, text=True)
    assert all(name.startswith("artifacts/kept/") for name in tracked.stdout.splitlines())


def numbers_that_fall(folder):
    """Sensitivities with the factor 1/B."""
    rows = ["batch size,sensitivity", *(f"{2**k},{1.9 / 2**k:.3g}" for k in range(6, 11))]
    (folder / "numbers.csv").write_text("\n".join(rows))


@pytest.mark.slow
@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_the_python_runs(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "my-model.keras" in code:
        a_model_of_ones_own(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert capsys.readouterr().out  # every block prints what it found
    if "watch" in names:
        assert names["watch"].findings[0].code == "gradient-vanishes"
        assert (tmp_path / "runs" / "mine" / "gradient-norm.png").is_file()
    if "model" in names:
        return
    if "answer" in names:
        assert names["answer"].verdict == "consistent"
        return
    if "run" in names:
        assert set(names["figures"]) == {"loss", "fit"}
    elif "phi" in names:
        assert names["slope"].mean > 0
        assert names["top"].converged.all()
        assert names["phi"].value > 0
    elif "found" in names:
        assert names["found"].loss.shape == (11, 11)
        test = names["data"].x_test, names["data"].y_test
        own = names["measure"].Objective(names["net"], names["cross_entropy"], *test).value()
        assert names["found"].loss[5, 5] == pytest.approx(own.loss, rel=1e-5)
    elif "matched" in names:
        second, images = names["nets"][1], names["data"].x_test
        before = second(images).numpy()
        second.set_weights(names["matched"].weights)
        assert second(images).numpy() == pytest.approx(before, abs=1e-5)
        largest = names["measure"].eigenpairs(names["curvature"], k=60).values  # of a matrix that has no negative ones
        assert 0.9 * names["trace"].value < largest.sum() < names["trace"].value
    elif "curves" in names:
        assert names["curves"].test_accuracy[-1] > 0.8
        assert len(names["path"]) == 4
        assert names["shares"][0] > 0.5
    else:
        assert all(history.loss[-1] < history.loss[0] for history in names["histories"])
        assert names["total"] > 0


def test_the_pictures_and_links_exist():
    links = [t for t in re.findall(r"\]\(([^)]+)\)", README) if "://" not in t]
    assert any(t.endswith(".png") for t in links)
    assert all((ROOT / t.partition("#")[0]).exists() for t in links)


def test_the_time_of_the_report_is_that_of_its_page():
    page = (ROOT / "artifacts" / "kept" / "report" / "report.md").read_text(encoding="utf-8")
    ((hours, minutes),) = re.findall(r"wall time \| (\d+) h (\d+) min", page)
    total = 60 * int(hours) + int(minutes)
    said, parts = re.findall(r"report took (\d+) minutes on two cores.*?:(.*?)\.\n", README, re.S)[0]
    assert int(said) == total
    assert sum(map(int, re.findall(r" (\d+)", parts))) == total
