"""Files and pages of others: no code in them runs, and their markup stays text.

The whole test suite runs without a network (`_no_network`), and every command of the README with it.
"""

from __future__ import annotations

import json
import socket

import numpy as np
import pytest

import dlhw
from dlhw import datasets
from dlhw.runs import record_file
from tests.reliability import damage

MARKUP = "<script>alert('&')</script>"
CONSOLE = "[red]x[/blue] \x1b[31m"


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_lambda_layer_is_refused_and_does_not_run(tmp_path, inside, ending):
    import keras

    trace = tmp_path / "trace"
    place = str(trace)
    inputs = keras.Input((2,))
    layer = keras.layers.Lambda(lambda x: (open(place, "w").close(), x)[1])  # noqa: PTH123
    keras.Model(inputs, keras.layers.Dense(1)(layer(inputs))).save(tmp_path / f"model.{ending}")
    trace.unlink()
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 2), "f"), y=np.zeros((4, 1), "f"))
    for words in (("measure", f"model.{ending}"), ("landscape", "--of", f"model.{ending}", "--grid", 5)):
        _, said = inside(*words, "--data", "data.npz", expect=2)
        assert "has a Lambda layer, whose code would run here" in said
        assert len(said.splitlines()) == 1
    assert not trace.exists()


def test_data_are_not_unpickled(tmp_path, inside):
    import keras

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "trace"), "w")

    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=np.array([Trap()], object), y=np.zeros(1))
    said = inside("measure", "model.keras", "--data", "data.npz", expect=2)[1]
    assert "must be an .npz file with arrays x and y" in said
    assert not (tmp_path / "trace").exists()


def strings_in(value, path=()):
    """The paths of all strings of a record."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from strings_in(inner, (*path, key))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    dlhw.run("simulate", out=out, run_name="a", models=("2",), epochs=3, points=5, seeds=1)
    surface = {"of": ("simulate",), "nets": ("2",), "epochs": 3, "grid": 3, "plane": "random"}
    dlhw.run("landscape", out=out, run_name="a", **surface)
    return out


def accepted(run, path):
    """Whether a run may hold markup at one place of its record; a setting that is not valid may not."""
    damage.changed(damage.put(MARKUP, *path), seal=True)(run)
    try:
        dlhw.load(run)
    except dlhw.UserError:
        return False
    return True


@pytest.mark.parametrize("name", ["simulate", "landscape"])
def test_markup_in_any_string_of_a_run_stays_text(runs, tmp_path, inside, name):
    record = damage.record_of(runs / name / "a")
    run = damage.copy(runs / name / "a", tmp_path / "runs" / name / "a")
    places = []
    for path in [path for path in strings_in(record) if path[0] != "digests"]:
        places += [path] if accepted(run, path) else []
        damage.sealed(run, damage.record_of(runs / name / "a"))
    assert len(places) > 10
    for path in places:
        damage.changed(damage.put(MARKUP, *path), seal=True)(run)
    inside("report", "--from-runs", tmp_path / "runs", "--out", "out", "--quiet")
    inside("draw", run, "--format", "svg")
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert page.count("alert(") >= 3
    for file in (page, *(p.read_text() for p in (*run.glob("*.html"), *run.glob("*.svg")))):
        assert MARKUP not in file


@pytest.mark.parametrize("name", ["simulate", "landscape"])
def test_markup_of_the_terminal_stays_text(runs, tmp_path, inside, name):
    run = damage.copy(runs / name / "a", tmp_path / "runs" / name / "a")
    for place in (("environment", "device"), ("environment", "versions", "keras"), ("environment", "date")):
        damage.changed(damage.put(CONSOLE, *place), seal=True)(run)
    for words in (("show", run), ("list", "--out", tmp_path / "runs"), ("compare", runs / name / "a", run)):
        said = inside(*words)[1]
        assert "\x1b" not in said
        assert "[red]x[/blue]" in said or words[0] == "compare"


def test_the_record_of_a_run_may_hold_any_text(runs, tmp_path):
    run = damage.copy(runs / "simulate" / "a", tmp_path / "a")
    damage.changed(damage.put("\u2028 \ud83d\ude00 \x00", "environment", "device"), seal=True)(run)
    assert dlhw.load(run).environment["device"].endswith("\x00")
    assert json.loads((run / record_file.RECORD).read_text())["schema"] == record_file.SCHEMA


def test_a_download_is_the_only_request(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("DLHW_DATA_DIR", raising=False)
    with pytest.raises(OSError, match="a test asked the network"):
        socket.create_connection(("example.org", 80))
    with pytest.raises(dlhw.UserError, match="cannot be downloaded"):
        datasets.load("mnist")
    assert datasets.load("digits").x_train.shape[0] > 1000
