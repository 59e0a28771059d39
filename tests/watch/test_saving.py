"""A watched training in the store: written after epochs, read and compared as other runs are.

Oracles: the arrays themselves, NumPy, and the files of another process. Would miss: a crash of the machine.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import re

import numpy as np
import pytest

import dlhw
from dlhw import report
from dlhw.errors import RunError, UserError
from dlhw.runs import experiment as registry
from dlhw.runs import store
from dlhw.watch import saving
from dlhw.watch.spec import Facts, Settings
from tests.watch.synthetic import ENVIRONMENT, training


@pytest.fixture
def stored(tmp_path):
    settings, result = training(weights=6)
    return saving.save(tmp_path / "mine", settings, result, ENVIRONMENT), settings, result


def test_what_is_read_is_what_was_recorded(stored):
    path, settings, result = stored
    run = dlhw.load(path)
    assert run.experiment == "watch"
    assert run.settings == settings
    assert run.wall_seconds == 12.5
    for field in dataclasses.fields(result):
        mine, theirs = getattr(result, field.name), getattr(run.result, field.name)
        if field.name == "facts":  # nan, which is not known, equals nothing
            assert repr(mine) == repr(theirs)
        else:
            np.testing.assert_array_equal(mine, theirs, err_msg=field.name)
            assert getattr(mine, "dtype", None) == getattr(theirs, "dtype", None)


def test_facts_of_every_kind_come_back(tmp_path):
    facts = Facts(
        hidden_activations=("relu", "tanh"),
        output_shape=(-1, 10),
        target_low=0.0,
        probe_label_shares=(0.25, 0.75),
        constant_layers=("dense",),
        dropout=(0.5,),
    )
    settings, result = training(facts=facts, notes=("no sharpness: two outputs.",), nonfinite_layer="dense")
    run = dlhw.load(saving.save(tmp_path / "a", settings, result, ENVIRONMENT))
    assert repr(run.result.facts) == repr(facts)
    assert run.result.notes == result.notes
    assert "no sharpness: two outputs." in run.summary().notes


def test_the_registry_reads_it_and_no_command_makes_it(tmp_path):
    assert registry.get("watch").settings is Settings
    assert "watch" not in registry.names()
    with pytest.raises(UserError, match=r"^watched trainings are recorded by dlhw\.Watch"):
        dlhw.run("watch")
    with pytest.raises(UserError, match=r"recorded by dlhw\.Watch"):
        dlhw.run("watch", out=tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    with pytest.raises(UserError, match="did you mean 'sweep'"):
        registry.get("swee")


def test_an_epoch_replaces_the_one_before_with_its_figures(tmp_path):
    settings, result = training(epochs=1)
    path = saving.save(tmp_path / "mine", settings, result, ENVIRONMENT, figures=True)
    (path / "watch.html").write_text("of an earlier training")
    (path / "notes.txt").write_text("mine")
    assert (path / "loss.png").is_file()
    settings, result = training(epochs=2)
    saving.save(path, settings, result, ENVIRONMENT)
    assert sorted(p.name for p in path.iterdir()) == ["arrays.npz", "notes.txt", "run.json"]
    assert len(dlhw.load(path).result.epoch_step) == 2
    saving.save(path, settings, result, ENVIRONMENT, figures=True)
    drawn = {p.stem for p in path.glob("*.png")}
    assert drawn == {"loss", "gradient-norm", "update-ratio", "units", "sharpness", "probe"}


def test_the_same_training_gives_the_same_bytes(tmp_path):
    settings, result = training()
    first, second = (saving.save(tmp_path / name, settings, result, ENVIRONMENT) for name in "ab")
    for name in ("run.json", "arrays.npz"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_failed_write_leaves_the_epoch_before(stored, monkeypatch):
    path, settings, _ = stored
    before = {p.name: p.read_bytes() for p in path.iterdir()}

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="cannot be written: No space left on device"):
        saving.save(path, settings, training(epochs=2)[1], ENVIRONMENT)
    monkeypatch.undo()
    saved = {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}
    assert saved == before
    saving.save(path, settings, training(epochs=2)[1], ENVIRONMENT)
    assert len(dlhw.load(path).result.epoch_step) == 2
    assert not [p for p in path.iterdir() if p.name.startswith(".")]


def test_a_folder_is_checked_before_training(stored, tmp_path):
    path, settings, _ = stored
    saving.check_folder(path, settings)
    saving.check_folder(tmp_path / "new", settings)
    assert not (tmp_path / "new").exists()
    other = dataclasses.replace(settings, model="Functional other", parameters=7)
    with pytest.raises(UserError, match=r"holds a run with other settings \(model, parameters\); use `overwrite`"):
        saving.check_folder(path, other)
    saving.check_folder(path, other, overwrite=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="contains files but no run; choose another `folder`, or use `overwrite`") as e:
        saving.check_folder(tmp_path / "files", settings)
    assert "\n" not in str(e.value)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"^`folder`: .*file is not a folder"):
        saving.check_folder(tmp_path / "file", settings)


def test_a_folder_of_another_experiment_is_refused(tmp_path):
    path = dlhw.run("simulate", models=("2",), epochs=3, points=5, seeds=1).save(tmp_path)
    with pytest.raises(UserError, match="holds a run of simulate; choose another `folder`"):
        saving.check_folder(path, Settings())


def test_a_damaged_run_is_refused_with_a_remedy(stored):
    path, settings, _ = stored
    (path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json cannot be read") as error:
        saving.check_folder(path, settings)
    assert "overwrite" in str(error.value)
    saving.check_folder(path, settings, overwrite=True)


def _hold(path, held, release):
    with store.locked(path):
        held.set()
        release.wait(20)


def test_a_reader_is_waited_for(stored, monkeypatch):
    path, settings, result = stored
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(path, held, release))
    other.start()
    try:
        assert held.wait(60)
        monkeypatch.setattr(saving, "WAIT", 0.1)
        with pytest.raises(UserError, match="in use by another process"):
            saving.save(path, settings, result, ENVIRONMENT)
        release.set()
        monkeypatch.setattr(saving, "WAIT", 30.0)
        saving.save(path, settings, result, ENVIRONMENT)
    finally:
        release.set()
        other.join(30)


def test_the_environment_is_that_of_other_runs():
    made = saving.environment(3.5, ("/job:localhost/replica:0/task:0/device:CPU:0",) * 2, "MirroredStrategy")
    usual = dlhw.run("simulate", models=("2",), epochs=3, points=5, seeds=1).environment
    assert set(made) <= set(usual)
    assert (made["device"], made["wall_seconds"], made["strategy"]) == ("2 x CPU", 3.5, "MirroredStrategy")
    assert made["versions"] == usual["versions"]
    assert saving.environment(1.0)["device"] == usual["device"]


def test_two_trainings_are_compared(tmp_path):
    first, second = training(seed=1), training(seed=2, epochs=4)
    runs = [dlhw.load(saving.save(tmp_path / name, *one, ENVIRONMENT)) for name, one in (("a", first), ("b", second))]
    _, table = report.compare(runs, ["a", "b"])
    rows = {row[0]: row[1:] for row in table.rows}
    ends = [f"{one[1].probe_loss[-1]:.3g}" for one in (first, second)]
    assert rows["loss on the probe: loss at batch, the last of each"] == tuple(ends)
    batch = next(values for name, values in rows.items() if name.startswith("loss of the batch"))
    assert batch == tuple(f"{one[1].loss[-1]:.3g}" for one in (first, second))


def test_a_report_takes_trainings_from_the_folder_that_the_user_named(tmp_path):
    for name, seed in (("mine", 1), ("yours", 2)):  # of equal settings, and yet two trainings
        saving.save(tmp_path / "runs" / name, *training(seed=seed), ENVIRONMENT)
    contents, (page, *_) = report.build(tmp_path, from_runs=[tmp_path / "runs"])
    (section,) = contents.sections
    assert [run.heading for run in section.runs] == ["mine", "yours"]
    assert [run.command for run in section.runs] == ["dlhw watch mine", "dlhw watch yours"]
    assert section.title in page.read_text()
    one, _ = report.build(tmp_path / "other", from_runs=[tmp_path / "runs" / "mine"], only=["watch"])
    assert len(one.sections[0].runs) == 1
    with pytest.raises(UserError, match="`only`: watched trainings are recorded by"):
        report.build(tmp_path / "third", only=["watch"])


def test_settings_are_named_as_they_are_and_not_as_options(stored):
    path, *_ = stored
    run = dlhw.load(path)
    names = [row.name for row in report.compose([run]).sections[0].runs[0].settings]
    assert "model" in names
    assert not [name for name in names if name.startswith("-")]
    assert "Gradient" in run._repr_html_() or "gradient" in run._repr_html_()


def test_numbers_on_disk_are_those_of_the_summary(stored):
    path, *_ = stored
    record = json.loads((path / "run.json").read_text())
    numbers = dlhw.load(path).summary().numbers
    assert record["numbers"]["loss_end"] == pytest.approx(numbers["loss_end"])
    assert set(record["numbers"]) == set(numbers)
    assert re.fullmatch("[0-9a-f]{64}", record["digests"]["arrays.npz"])
