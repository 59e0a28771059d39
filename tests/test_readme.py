"""Every command and every piece of Python in the README runs as it stands there (with fewer epochs)."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from dlhw.runs.experiment import Experiment, get, names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict.fromkeys(re.findall(r"```console\n(.*?)```", README, re.S))
COMMANDS = [line.partition("  #")[0] for block in BLOCKS for line in block.splitlines() if line]
NAMES = names()
SMALLER = {
    "classify": ["--models", "8c3-p2-50"],
    "random-labels": ["--net", "8"],
    "sweep-batch": ["--net", "8"],
    "interpolate": ["--net", "8", "--by", "batch-size=20,50"],
    "landscape": ["--nets", "8", "--grid", "5", "--subset", "50"],
    "double-descent": ["--ratios", "0.5,1,2", "--net-ratios", "0.5,2"],
    "scoreboard": [
        *("--net", "4", "--batch-sizes", "20,50", "--learning-rates", "0.05", "--widths", "1,2", "--radii", "0"),
        *("--target-loss", "2.4", "--curvature-examples", "50"),
    ],
}
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


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
    assert len(COMMANDS) >= 8
    for line in COMMANDS:
        words = shlex.split(line)[1:]
        if words[0] == "sweep-batch":
            words = ["sweep-batch", "20", "50"]  # a hundred images do not fill a batch of 500
        if "my-model.keras" in words:
            words += ["--grid", "5"] if words[0] == "landscape" else []
        elif words[0] in NAMES:
            words += ["--epochs", "400" if "--until" in words else "4", "--seeds", "3" if "tsne" in words else "1"]
        if words[0] == "edge":
            words += ["--every", "2", "--net", "4"]
        if words[0] in NAMES and "my-model.keras" not in words and hasattr(get(words[0]).settings(), "examples"):
            # Tests have no MNIST; the nets of the report do not all fit images of 8x8.
            words += ["--data", "digits", "--examples", "100"]
            words += SMALLER.get(words[0], []) if "--models" not in words else []
        assert inside(*words)[0] == 0, line
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


def a_model_of_ones_own(folder):
    import keras
    import numpy as np

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    model.save(folder / "my-model.keras")
    np.savez(folder / "my-data.npz", x=np.ones((4, 3), "f"), y=np.ones((4, 1), "f"))


def a_training_of_ones_own(folder):
    import keras
    import numpy as np

    from dlhw import Watch

    x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, np.sin(3 * x), epochs=40, batch_size=16, verbose=0, callbacks=[Watch(folder / "runs" / "mine")])


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
    assert all((ROOT / t).is_file() for t in links)


def test_the_time_of_the_report_is_that_of_its_page():
    page = (ROOT / "artifacts" / "kept" / "report" / "report.md").read_text(encoding="utf-8")
    ((hours, minutes),) = re.findall(r"wall time \| (\d+) h (\d+) min", page)
    total = 60 * int(hours) + int(minutes)
    said, parts = re.findall(r"report took (\d+) minutes on two cores.*?:(.*?)\.\n", README, re.S)[0]
    assert int(said) == total
    assert sum(map(int, re.findall(r" (\d+)", parts))) == total
