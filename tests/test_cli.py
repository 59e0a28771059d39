"""The command line as processes: bad input is one line, status 2, and leaves nothing; start-up is light."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dlhw as library
from dlhw.errors import UserError
from dlhw.runs import experiment as registry
from dlhw.runs import record_file, store
from dlhw.storage import files
from tests.reliability import damage

ROOT = Path(__file__).parent.parent
TINY = ["simulate", "--models", "2", "--epochs", "3", "--points", "10", "--seeds", "1"]

BAD = [
    (["simulate", "--func", "sink"], "sink"),
    (["simulate", "--func", "y+1"], "'y'"),
    (["simulate", "--func", "1/x", "--points", "3"], "not finite"),
    (["simulate", "--domain", "1", "1"], "--domain 1 1 is empty"),
    (["simulate", "--domain", "1", "-1"], "LOW must be below HIGH"),
    (["simulate", "--domain", "nan", "1"], "finite"),
    (["simulate", "--epochs", "0"], "--epochs 0"),
    (["simulate", "--epochs", "many"], "many"),
    (["simulate", "--learning-rate", "-0.1"], "--learning-rate -0.1"),
    (["simulate", "--momentum", "-0.1"], "--momentum -0.1"),
    (["simulate", "--momentum", "1"], "[0, 1)"),
    (["classify", "--optimizer", "adam", "--momentum", "0.5"], "--momentum applies to sgd, nesterov and sam"),
    (["simulate", "--seeds", "0"], "--seeds 0"),
    (["simulate", "--seed", "-1"], "--seed -1"),
    (["simulate", "--points", "1"], "--points 1"),
    (["simulate", "--models", "deep,huge"], "'huge'"),
    (["simulate", "--models", "5-x"], "'5-x'"),
    (["simulate", "--models", ""], "--models is empty"),
    (["simulate", "--models", "deep,deep"], "twice"),
    (["simulate", "--scale", "big"], "big"),
    (["simulate", "--init", "he"], "he"),
    (["simulate", "--optimizer", "lion"], "lion"),
    (["simulate", "--activation", "rely"], "rely"),
    (["simulate", "--nonsense"], "--nonsense"),
    (["simulat"], "simulat"),
    (["classify", "--data", "mnisst"], "mnisst"),
    (["classify", "--batch-size", "60001"], "--batch-size 60001 must lie in 1..60000"),
    (["classify", "--batch-size", "0"], "--batch-size 0"),
    (["classify", "--jobs", "0"], "--jobs 0"),
    (["classify", "--examples", "9"], "--examples 9 must lie in 10..60000"),
    (["classify", "--examples", "60", "--batch-size", "61"], "--batch-size 61 must lie in 1..60"),
    (["classify", "--data", "digits", "--models", "deep"], "--models: net 'deep': layer 4, p2, needs 2x2 and gets 1x1"),
    (["classify", "--models", "3c3-x"], "'x' is not a layer"),
    (["random-labels", "--noise", "2"], "--noise 2"),
    (["random-labels", "--noise", "0,0"], "twice"),
    (["trajectory", "--layer", "4"], "--layer 4 must lie in 1..3"),
    (["trajectory", "--every", "25"], "--every 25"),
    (["sweep-params", "--nets", "9"], "at least two"),
    (["gradient-norm", "--model", "0"], "'0'"),
    (["design", "--params", "10", "--layers", "8"], "closest"),
    (["design", "--params", "0"], "--params 0"),
    (["design", "--layers", "2,x"], "'x'"),
    (["design", "--layers", "1"], "--layers 1"),
    (["show", "nowhere"], "nowhere"),
    (["draw", "."], "no run.json"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[" ".join(w) for w, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(words, says, dlhw, tmp_path):
    done = dlhw(*words, block="tensorflow keras")
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_out_that_cannot_be_written_is_refused(dlhw, tmp_path):
    (tmp_path / "file").write_text("")
    for out in ("file", "file/below", "/proc/nowhere"):
        done = dlhw(*TINY, "--out", out)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "--out" in done.stderr


@pytest.mark.slow
def test_data_that_are_not_there_are_refused_in_one_line(dlhw, tmp_path):
    words = ["trajectory", "--epochs", "3", "--seeds", "1"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "mnist.npz").write_bytes(b"PK no")
    for folder, says in (
        ("empty", "does not contain mnist"),
        ("broken", "mnist.npz is damaged"),
        ("none", "is not a folder"),
    ):
        done = dlhw(*words, "--data-dir", folder)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert says in done.stderr
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.slow
def test_data_lists_every_set_and_what_is_wrong_with_it(dlhw, tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"PK no")
    sets = json.loads(dlhw("data", "--data-dir", tmp_path, "--json", block="tensorflow keras").stdout)
    assert "damaged" in sets["mnist"]["status"]
    assert sets["digits"]["status"] == "ready"
    shown = dlhw("data", "--data-dir", tmp_path, block="tensorflow keras").stdout
    assert all(name in shown for name in library.datasets.DATASETS)


@pytest.mark.slow
def test_devices_tells_what_auto_takes_and_why(inside):
    import tensorflow as tf

    told = json.loads(inside("devices", "--json")[1])
    assert len(told["devices"]) == 1 + len(tf.config.list_physical_devices("GPU"))
    assert set(told["auto"]) == {"one training", "many trainings", "simulate and other small nets"}
    assert all(choice["why"] for choice in told["auto"].values())
    assert "CPU:0" in inside("devices")[1]


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_refused(dlhw, tmp_path):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("a GPU is here")
    done = dlhw(*TINY, "--device", "gpu")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_damaged_run_is_replaced_only_when_told(dlhw, tmp_path):
    place = tmp_path / "artifacts" / "simulate" / "epochs=3_models=2_points=10_seeds=1"
    place.mkdir(parents=True)
    (place / "run.json").write_text("{")
    done = dlhw(*TINY)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "--overwrite" in done.stderr
    assert (place / "run.json").read_text() == "{"
    assert dlhw(*TINY, "--overwrite").returncode == 0
    assert json.loads((place / "run.json").read_text())["schema"] == record_file.SCHEMA


def test_names_too_long_for_a_path_are_refused(dlhw):
    for words in (["show", "a" * 300], [*TINY, "--out", "a" * 300]):
        done = dlhw(*words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_a_folder_that_holds_something_else_is_not_overwritten(dlhw, tmp_path):
    place = tmp_path / "artifacts" / "simulate" / "epochs=3_models=2_points=10_seeds=1"
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("mine")
    done = dlhw(*TINY)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert [p.name for p in place.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_a_stored_run_with_other_settings_is_kept_unless_told(dlhw, inside, tmp_path):
    path = tmp_path / json.loads(inside(*TINY, "--json")[1])["run"]
    record = json.loads((path / "run.json").read_text())
    record["settings"]["seed"] = 9
    damage.sealed(path, record)
    refused = dlhw(*TINY)
    assert refused.returncode == 2
    assert "(seed)" in refused.stderr
    inside(*TINY, "--overwrite")


@pytest.mark.slow
def test_a_second_process_is_refused_while_the_first_lives_and_a_dead_one_blocks_nothing(dlhw, tmp_path):
    path = tmp_path / "artifacts" / "simulate" / "epochs=3_models=2_points=10_seeds=1"
    with store.locked(path):
        done = dlhw(*TINY)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "in use" in done.stderr
    hold = f"import os; from pathlib import Path; from dlhw.runs import store; l = store.locked(Path({str(path)!r}))"
    dead = subprocess.run([sys.executable, "-c", f"{hold}; l.__enter__(); os._exit(7)"], check=False)
    assert dead.returncode == 7
    assert (path / ".lock").exists()
    assert dlhw(*TINY).returncode == 0
    assert not (path / ".lock").exists()


@pytest.mark.slow
def test_ctrl_c_says_so_keeps_what_was_trained_and_the_same_command_goes_on(tmp_path):
    words = ["simulate", "--models", "10-10", "--epochs", "3000000", "--points", "10", "--seeds", "1"]
    # A shell that runs these tests in the background would have its jobs ignore the signal.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv[0] = 'dlhw'; "
    code += "from cli.main import app; app()"
    process = subprocess.Popen([sys.executable, "-c", code, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("artifacts/*/*/.lock")):
        time.sleep(0.2)
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted" in said
    assert said.count("\n") == 1
    (part,) = tmp_path.glob("artifacts/*/*/parts/stack-*.npz")
    assert int(np.load(part)["done"]) > 0


@pytest.mark.slow
def test_json_is_all_there_is_on_stdout_and_quiet_says_nothing(dlhw):
    done = dlhw(*TINY, "--json")
    answer = json.loads(done.stdout)
    assert answer["numbers"]["2"]["parameters"] == 7
    assert done.stderr == ""
    quiet = dlhw(*TINY, "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_a_run_prints_its_table_and_folder_and_no_chatter(dlhw):
    done = dlhw(*TINY)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "median of last 5 %" in done.stdout
    assert "artifacts/simulate/epochs=3_models=2_points=10_seeds=1" in done.stdout


@pytest.mark.slow
def test_lists_take_commas_and_may_be_repeated(inside):
    said = inside(*TINY[:1], "--models", "2,3", "--models", "2-2", *TINY[3:], "--json")[1]
    assert list(json.loads(said)["numbers"]) == ["2", "3", "2-2"]


@pytest.mark.slow
def test_design_prints_a_net_that_simulate_takes(dlhw, inside):
    done = dlhw("design", "--params", "571", "--layers", "2,5,8", "--json", block="tensorflow keras")
    nets = json.loads(done.stdout)["nets"]
    assert [n["layers"] for n in nets] == [2, 5, 8]
    assert all(abs(n["parameters"] - 571) <= 0.002 * 571 for n in nets)
    inside("simulate", "--models", ",".join(n["net"] for n in nets), "--epochs", "2", "--quiet")


def test_help_and_version_load_nothing_heavy(dlhw):
    heavy = "tensorflow keras numpy matplotlib scipy sklearn"
    assert "simulate" in dlhw("--help", block=heavy).stdout
    assert re.fullmatch(r"dlhw \d+\.\d+\.\d+\n", dlhw("--version", block=heavy).stdout)


def test_importing_the_library_loads_no_tensorflow():
    code = "import dlhw.runs.store, dlhw.present.plot, dlhw.datasets.functions, sys; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_older_than_a_field_is_the_run_with_its_default(tmp_path):
    settings = registry.get("gradient-norm").settings()
    path = tmp_path / "run"
    path.mkdir()
    record = {"schema": record_file.SCHEMA, "experiment": "gradient-norm", "settings": dataclasses.asdict(settings)}
    record |= {"environment": {"versions": {}, "device": "CPU"}, "numbers": {}, "result": {}, "digests": {}}
    np.savez(path / "arrays.npz")
    old = {k: v for k, v in record["settings"].items() if k not in ("data", "batch_size")}
    damage.sealed(path, json.loads(files.to_json(record | {"settings": old})))
    store.check_free(path, settings)
    with pytest.raises(UserError, match=r"other settings \(batch_size, data\)"):
        store.check_free(path, dataclasses.replace(settings, data="digits", batch_size=32))


def test_a_run_can_have_a_name_and_its_table_leaves_as_csv(inside, tmp_path):
    inside(*TINY, "--name", "my first")
    path = tmp_path / "artifacts" / "simulate" / "my first"
    assert (path / "run.json").is_file()
    rows = inside("show", path, "--csv")[1].splitlines()
    assert rows[0].startswith("net,")
    assert rows[1].startswith("2,")
    assert "stored; --overwrite trains again" in inside(*TINY, "--name", "my first")[1]
    assert "must be a folder's name" in inside(*TINY, "--name", "../escape", expect=2)[1]
    inside(*TINY)
    assert "--csv prints the table of one run" in inside("show", tmp_path / "artifacts", "--csv", expect=2)[1]


def test_the_list_says_when_and_what_was_found(inside, tmp_path):
    inside(*TINY)
    text = " ".join(inside("list")[1].replace("│", " ").split())
    assert re.search(r"\d{4}-\d\d-\d\d, CPU, \d+ s\. This run does not say whether depth helps", text)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("classify", "--data", "minst"), "did you mean mnist?"),
        (("simulate", "--activation", "rely"), "did you mean relu?"),
        (("simulate", "--device", "gup"), "did you mean gpu?"),
    ],
)
def test_a_value_that_is_nearly_right_is_named(words, hint, inside):
    error = inside(*words, expect=2)[1]
    assert hint in error
    assert "Value error" not in error


def test_folders_that_are_not_there_are_refused_by_the_tools(inside):
    assert "--data-dir none is not a folder" in inside("data", "--data-dir", "none", expect=2)[1]
    assert "--out none is not a folder" in inside("list", "--out", "none", expect=2)[1]
    assert "No runs in artifacts." in inside("list")[1]
