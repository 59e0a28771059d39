"""Every command and every piece of Python on the pages of `docs/` runs as it stands there (with fewer epochs).

Oracle: the commands and the Python themselves. Would miss: numbers in the prose around them.
"""

from __future__ import annotations

import re
import shutil

import pytest

from dlhw.runs.experiment import Experiment
from tests.documented import ROOT, a_model_of_ones_own, a_training_of_ones_own, blocks, commands, smaller

tf = pytest.importorskip("tensorflow")


class WithoutGroup(tf.distribute.MirroredStrategy):
    """A strategy that sums without collectives, which TensorFlow has for one group of devices, that of other tests."""

    def __init__(self):
        super().__init__(cross_device_ops=tf.distribute.ReductionToOneDevice())


PAGES = {p.relative_to(ROOT / "docs").as_posix(): p.read_text(encoding="utf-8") for p in (ROOT / "docs").rglob("*.md")}
PREPARED = {
    "scaling.md": """
import dlhw, keras, numpy as np
model, loss = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), "mse"
x, y = np.ones((4, 3)), np.ones((4, 1))
""",
    "watch.md": """
import keras, numpy as np
x, y = np.linspace(-1, 1, 64)[:, None], np.linspace(-1, 1, 64)[:, None] ** 2
x_val, y_val = x, y
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile("adam", "mse")
""",
}
"""What stands before the Python of pages that speak of the model and the data of their reader."""
FAILING = {
    ("guides/check.md", "dlhw check sensitivity.csv"): 1,
    ("guides/watch.md", "dlhw watch runs/mine"): 1,
}
"""Exit status of commands that report a fault, as their page says, by page and the beginning of the command."""


def status(name, line):
    """Return the exit status that a command of a page should have."""
    return next((code for (page, start), code in FAILING.items() if page == name and line.startswith(start)), 0)


EXECUTED = [name for name, text in sorted(PAGES.items()) if {"console", "python"} & {kind for kind, _ in blocks(text)}]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXECUTED)
def test_what_a_page_tells_to_run_runs(name, inside, tmp_path, monkeypatch):
    """Commands and Python of a page, in their order, in one folder; a block of Python has the names of those before."""
    # The quick preset takes a minute; its settings are checked by `test_report.py`, and here it has smaller ones.
    monkeypatch.setattr(Experiment, "quick_settings", lambda self: self.tiny)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    prepare(PAGES[name], tmp_path)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", WithoutGroup)
    names: dict = {"__name__": "page"}
    exec(PREPARED.get(name, ""), names)
    for language, content in blocks(PAGES[name]):
        if language == "python":
            exec(compile(content, name, "exec"), names)
        elif language == "console":
            for line in commands(content):
                inside(*smaller(line), expect=status(name, line))


def prepare(text, folder):
    """Make the files that a page names and does not make itself: a model, a recorded training, kept runs."""
    if "my-model.keras" in text and 'save("my-model.keras")' not in text:
        a_model_of_ones_own(folder)
    if "runs/mine" in text and 'Watch("runs/mine"' not in text:
        a_training_of_ones_own(folder)
    if "my-datasets" in text:
        (folder / "my-datasets").mkdir()  # what it holds is not read: `smaller` takes the digits
    console = "".join(content for language, content in blocks(text) if language in ("console", "python"))
    for kept in set(re.findall(r"artifacts/kept/[\w-]+/[\w.=,-]+", console)):
        shutil.copytree(ROOT / kept, folder / kept)
