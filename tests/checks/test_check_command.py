"""`dlhw check`: what it prints, its status, its figures, what it refuses, and its documentation.

Oracles: rules and figures that are put in place of the real ones, and runs that are known to be right. Would miss: what
only eyes see.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from dlhw.checks import examination
from dlhw.checks import rule as rules
from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.files import read_tables
from dlhw.checks.items import items
from tests.checks import formats

ROOT = Path(__file__).parent.parent.parent
KEPT = sorted(path.parent for path in (ROOT / "artifacts/kept").glob("*/*/run.json"))
NO_ITEM = ("double-descent", "edge", "landscape", "scoreboard", "sweep")
RUNS = [path for path in KEPT if path.parent.name not in NO_ITEM]
GOOD = "epoch,loss,val_loss\n1,2.3,2.4\n2,1.5,1.6\n3,1.2,1.4\n"
BAD = GOOD.replace("1.2", "-1.2")


def rule(code, outcome, kind="mistake", items_=("loss-curve",)):
    """A rule that always says the same."""
    return rules.Rule(code, items_, kind, f"the title of {code}", f"Undo {code}.", lambda table: outcome, 0.01)


@pytest.fixture
def only(monkeypatch):
    """Put rules in place of the real ones: only(rule("a", None), ...)."""

    def put(*chosen):
        monkeypatch.setattr(rules, "rules", lambda: chosen)

    return put


@pytest.fixture
def numbers(tmp_path):
    """Write a text into a file of the folder where commands run."""

    def write(text, name="numbers.csv"):
        (tmp_path / name).write_text(text)
        return name

    return write


def test_numbers_that_carry_no_mark(inside, numbers, only):
    only(rule("calm", None), rule("lost", Lacking("fewer than 9 rows")))
    lines = inside("check", numbers(GOOD))[1].splitlines()
    assert lines[:3] == [
        "numbers.csv: loss-curve: consistent",
        "  no mark of calm",
        "  not decided: lost (fewer than 9 rows)",
    ]


def test_numbers_that_carry_a_mark(inside, tmp_path, numbers, only, capfd):
    from cli.main import app

    only(rule("wild", Mark("Rows 1 and 2 are wild. Right ones are not.", (0, 1))), rule("calm", None))
    numbers(GOOD)
    with pytest.raises(SystemExit) as ended:
        app(["check", str(tmp_path / "numbers.csv"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].endswith("numbers.csv: loss-curve: carries the mark of wild (the title of wild)")
    assert lines[1:4] == [
        "  Rows 1 and 2 are wild. Right ones are not.",
        "  What to do: Undo wild.",
        "  More: dlhw check --explain wild, or docs/checks.md#wild",
    ]


def test_what_is_impossible_comes_first(dlhw, numbers):
    done = dlhw("check", numbers(BAD), "--out", "out")
    assert done.returncode == 1
    first, second, third, *_ = done.stdout.splitlines()
    assert first.startswith("numbers.csv: loss-curve: impossible: negative-loss (a loss below zero)")
    assert second == "  train_loss is -1.2 in row 3. Squared errors and cross entropies cannot be negative."
    assert third.startswith("  What to do: ")
    assert done.stderr == ""


def test_undecided_is_no_alarm(inside, numbers, only):
    only(rule("lost", Lacking("fewer than 9 rows")))
    assert inside("check", numbers(GOOD))[1].startswith(
        "numbers.csv: loss-curve: undecided: the numbers do not suffice\n  not decided: lost (fewer than 9 rows)\n"
    )


def test_json(inside, numbers, only):
    only(rule("lost", Lacking("few")), rule("calm", None))
    numbers(GOOD)
    value = json.loads(inside("check", "numbers.csv", "--json")[1])
    (table,) = value["tables"]
    assert value["file"] == "numbers.csv"
    assert (value["unrecognized"], value["notes"]) == (0, [])
    assert table["item"] == "loss-curve"
    assert table["verdict"] == table["text"] == "consistent"
    assert table["columns"] == {"epoch": "epoch", "train_loss": "loss", "test_loss": "val_loss"}
    assert (table["rows"], table["decided"]) == (3, ["calm"])
    assert table["undecided"] == [{"code": "lost", "reason": "few"}]
    numbers(GOOD, "b.csv")
    values = json.loads(inside("check", "numbers.csv", "b.csv", "--json")[1])
    assert [value["file"] for value in values] == ["numbers.csv", "b.csv"]


def test_json_of_a_mark(dlhw, numbers):
    done = dlhw("check", numbers(BAD), "--json", "--out", "out")
    (table,) = json.loads(done.stdout)["tables"]
    assert done.returncode == 1
    (detection,) = [d for d in table["detections"] if d["code"] == "negative-loss"]
    assert detection["rows"] == [3]
    assert (detection["kind"], detection["false_alarm_rate"]) == ("impossible", 0)
    assert detection["docs"] == "docs/checks.md#negative-loss"
    assert {"reason", "remedy", "title"} < set(detection)


def test_options_reach_the_numbers(inside, numbers, only):
    seen = []
    spy = rules.Rule("spy", ("sensitivity",), "mistake", "", "", lambda table: seen.append(table))
    only(spy)
    numbers("B;S\n64;0,5\n128;0,25\n", "mine.csv")
    inside("check", "mine.csv", "--item", "sensitivity", "--columns", "batch=B,value=S", "--given", "data=digits")
    assert list(seen[0]["batch"]) == [64, 128]
    assert list(seen[0]["value"]) == [0.5, 0.25]
    assert seen[0].facts == {"data": "digits"}
    assert seen[0].source == "mine.csv"


def test_a_notebook_is_searched_for_every_item(inside, tmp_path, only):
    only(rule("calm", None, items_=tuple(items())))
    curves = {"loss": [1.0, 0.5, 0.25], "val_loss": [1.1, 0.7, 0.6]}
    flat = {"batch size": [64.0, 128.0, 256.0], "sensitivity": [0.3, 0.31, 0.3]}
    other = {"x": [1.0, 2.0], "y": [1.0, 2.0]}
    shown = [formats.plain(curves), {"html": formats.html(flat)}, formats.plain(other)]
    formats.notebook(tmp_path / "n.ipynb", *shown)
    lines = [line for line in inside("check", "n.ipynb")[1].splitlines() if not line.startswith("  ")]
    assert lines == [
        "n.ipynb, cell 2: loss-curve: consistent",
        "n.ipynb, cell 3: sensitivity: consistent",
        "1 other table was not recognized",
    ]
    assert not (tmp_path / "out").exists()


@pytest.fixture
def drawn(monkeypatch):
    """Put a figure in place of the real one, and return what it is called with."""
    import importlib.util
    import types

    from matplotlib.figure import Figure

    calls = []

    def figure(answer, table):
        calls.append((answer, table))
        return Figure(figsize=(1, 1))

    module = types.ModuleType("dlhw.checks.figure")
    module.figure = figure
    module.__spec__ = importlib.util.spec_from_loader("dlhw.checks.figure", None)
    monkeypatch.setitem(sys.modules, "dlhw.checks.figure", module)
    monkeypatch.setattr("dlhw.checks.figure", module, raising=False)
    return calls


def test_figures_are_written_and_named(inside, tmp_path, numbers, only, drawn):
    only(rule("calm", None, items_=("loss-curve", "sensitivity")))
    text = inside("check", numbers(GOOD), "--out", "runs")[1]
    assert text.splitlines()[-1] == "  runs/check/numbers/loss-curve.png"
    assert (tmp_path / "runs/check/numbers/loss-curve.png").read_bytes()[:4] == b"\x89PNG"
    (answer, table), *_ = drawn
    assert (answer.item, table.item.name) == ("loss-curve", "loss-curve")
    curves = {"loss": [1.0, 0.5, 0.25], "val_loss": [1.1, 0.7, 0.6]}
    formats.notebook(tmp_path / "n.ipynb", *[formats.plain(curves)] * 9)
    lines = inside("check", "n.ipynb", "--out", "runs")[1].splitlines()
    assert [line.strip() for line in lines if line.endswith(".png")] == [
        f"runs/check/n/loss-curve-{k + 1}.png" for k in range(6)
    ]
    assert lines[-1] == "6 of 9 tables are drawn"
    assert not [p for p in (tmp_path / "runs").rglob("*") if p.name.startswith(".")]


REFUSED = {
    ("absent.csv",): "absent.csv: there is no such file or folder",
    (): "name a file of numbers, such as numbers.csv; --list lists what can be checked",
    ("numbers.csv", "--item", "sensitivty"): "--item 'sensitivty' is unknown; did you mean sensitivity?",
    ("numbers.csv", "--item", "sensitivity"): "numbers.csv: sensitivity needs batch and value (batch size of the "
    "training), and the headers are epoch, loss, val_loss; name it by --columns batch=HEADER",
    ("numbers.csv", "--columns", "loss"): "--columns 'loss' must be NAME=VALUE, such as value=HEADER",
    ("numbers.csv", "--columns", "epoch=E"): "--columns epoch=E: there is no header 'E'; there are epoch, loss",
    ("numbers.csv", "--given", "classes=ten"): "loss-curve: classes 'ten' must be a whole number: number of classes",
    ("numbers.csv", "--given", "width=3"): "--given width is no fact of loss-curve; use kind, classes",
    ("numbers.csv", "--given", "classes=3,classes=4"): "--given names classes twice",
    ("numbers.csv", "--list"): "--list lists all items; leave out the file, --item and --explain",
    ("--list", "--explain", "relu-hessian"): "--list lists all items; leave out the file, --item and --explain",
    ("numbers.csv", "unclear.csv"): "unclear.csv: no item has the columns a, b; say --item and --columns",
    ("diverged.csv",): "diverged.csv: loss is nan in row 2; leave out the rows of a training that diverged",
    ("unequal.json",): "unequal.json: columns differ in length: epoch has 3, loss has 2, val_loss has 3",
    (".",): ". is not a run",
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_one_line_and_nothing_is_written(inside, tmp_path, numbers, words, drawn):
    numbers(GOOD)
    numbers("a,b\n1,2\n2,3\n", "unclear.csv")
    numbers("epoch,loss,val_loss\n1,2.3,3\n2,nan,3\n", "diverged.csv")
    numbers('{"epoch": [1, 2, 3], "loss": [1, 2], "val_loss": [1, 2, 3]}', "unequal.json")
    before = sorted(tmp_path.rglob("*"))
    line = inside("check", *words, "--out", "out", expect=2)[1]
    assert line.startswith(f"dlhw: {REFUSED[words]}")
    assert len(line.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert not drawn


def test_an_out_that_cannot_be_written(inside, numbers, drawn):
    numbers(GOOD)
    line = inside("check", "numbers.csv", "--out", "numbers.csv", expect=2)[1]
    assert line == "dlhw: --out: numbers.csv is not a folder; choose another place\n"


def test_markup_stays_text(inside, numbers, only):
    only(rule("calm", Lacking("[red]x[/blue] \x1b[31m")))
    text = inside("check", numbers(GOOD, "[red]a[.csv"))[1]
    assert "[red]x[/blue]" in text
    assert "[red]a[.csv" in text
    assert "\x1b" not in text


def test_the_list_names_everything(inside):
    text = inside("check", "--list")[1]
    listed = json.loads(inside("check", "--list", "--json")[1])
    assert set(listed) == set(items())
    for name, item in items().items():
        names = [name, *(c.name for c in item.columns), *(f.name for f in item.facts)]
        names += [entry.code for entry in rules.rules_of(name)]
        for word in names:
            assert word in text
        assert set(listed[name]["columns"]) == {c.name for c in item.columns}


def test_no_tensorflow_is_loaded_and_a_check_is_fast(dlhw, numbers):
    numbers(GOOD)
    heavy = "tensorflow keras sklearn scipy pandas"
    dlhw("check", "numbers.csv")  # fonts
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = dlhw("check", "numbers.csv", block=heavy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("numbers.csv: loss-curve: ")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


@pytest.mark.parametrize("path", RUNS, ids=[str(path.relative_to(ROOT / "artifacts/kept")) for path in RUNS])
def test_our_own_runs_raise_no_alarm(path):
    matched = read_tables(path)
    answers = [examination.examine(table) for table in matched.tables]
    alarms = [(a.source, d.code, d.text) for a in answers for d in a.detections]
    assert not alarms
    assert answers
    assert not matched.notes
    assert {answer.item for answer in answers} <= ITEMS_OF[path.parent.name]


ITEMS_OF = {
    "classify": {"loss-curve"},
    "gradient-norm": {"gradient-norm"},
    "interpolate": {"interpolation"},
    "minimal-ratio": {"minimal-ratio"},
    "random-labels": {"random-labels", "loss-curve"},
    "simulate": {"loss", "equal-parameters"},
    "sweep-batch": {"sensitivity"},
    "sweep-params": {"parameters"},
    "trajectory": {"pca-path", "loss-curve"},
    "watch": {"gradient-norm"},
}


def test_numbers_of_a_run_are_those_of_its_result():
    import numpy as np

    import dlhw
    from dlhw.experiments.minimal_ratio import spec

    path = ROOT / "artifacts/kept/sweep-batch/default"
    run = dlhw.load(path)
    tables = read_tables(path).tables
    assert len(tables) == run.settings.seeds
    for s, table in enumerate(tables):
        np.testing.assert_array_equal(table["batch"], run.settings.sizes)
        np.testing.assert_array_equal(table["value"], run.result.sensitivity[:, s])
        assert table.facts == {"data": run.settings.data}
    path = ROOT / "artifacts/kept/minimal-ratio/default"
    run = dlhw.load(path)
    np.testing.assert_array_equal(read_tables(path, "hessian").tables[0]["eigenvalue"], run.result.eigenvalues[0])
    (table,) = read_tables(path).tables
    order = np.argsort(run.result.loss[run.result.arrived], kind="stable")
    expected = spec.ratios(run.settings, run.result.eigenvalues)[run.result.arrived][order]
    np.testing.assert_array_equal(table["ratio"], expected)
    np.testing.assert_array_equal(table["loss"], run.result.loss[run.result.arrived][order])


NOTHING = {
    "double-descent/default": "holds no run of an experiment that measures an item; name a file or another run",
    "landscape/default": "holds no run of an experiment that measures an item; name a file or another run",
    "sweep/default": "every training diverged, or what varies is no batch size; there is no item",
}


@pytest.mark.parametrize("name", NOTHING)
def test_runs_that_measure_no_item(inside, name):
    line = inside("check", ROOT / "artifacts/kept" / name, expect=2)[1]
    assert line.endswith(f"{NOTHING[name]}\n")
    assert len(line.splitlines()) == 1


def test_a_folder_of_runs_is_all_of_them():
    tables = read_tables(ROOT / "artifacts/kept/trajectory").tables
    assert {table.item.name for table in tables} == {"pca-path", "loss-curve"}
    assert (len({table.source for table in tables}), len(tables)) == (16, 32)


@pytest.mark.parametrize("entry", rules.rules(), ids=lambda entry: entry.code)
def test_a_mark_is_explained_without_the_documentation(entry, inside):
    status, text = inside("check", "--explain", entry.code)
    lines = text.splitlines()
    assert status == 0
    assert lines[0] == f"{entry.code}: {entry.title}"
    about = " ".join(sys.modules[entry.apply.__module__].__doc__.split())
    assert " ".join(line.strip() for line in lines[1:-5]) == about
    assert lines[-3] == f"  What to do: {entry.remedy}"
    rate = (
        f"at most {100 * entry.false_alarm_rate:g} %, {entry.basis}"
        if entry.false_alarm_rate
        else "none, by arithmetic"
    )
    assert lines[-2] == f"  False alarms: {rate}"
    value = json.loads(inside("check", "--explain", entry.code, "--json")[1])
    assert (value["kind"], value["remedy"], value["docs"]) == (entry.kind, entry.remedy, f"docs/checks.md#{entry.code}")


def test_a_mark_that_there_is_not_is_refused(dlhw, numbers):
    done = dlhw("check", "--explain", "relu-hesian")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dlhw: --explain 'relu-hesian' is no mark; did you mean relu-hessian?\n"
    done = dlhw("check", numbers(GOOD), "--explain", "relu-hessian")
    assert done.returncode == 2
    assert done.stderr == "dlhw: --explain explains a mark; leave out the file and --item\n"


DOCS = (ROOT / "docs/checks.md").read_text(encoding="utf-8")


def test_every_rule_is_a_heading_of_the_documentation():
    marks = DOCS[DOCS.index("## Marks") :]
    headings = re.findall(r"^### (\S+)$", marks, flags=re.MULTILINE)
    assert sorted(headings) == sorted(entry.code for entry in rules.rules())


PARAGRAPHS = ["What is wrong.", "How it shows.", "Threshold.", "How to do it right."]


@pytest.mark.parametrize("entry", rules.rules(), ids=lambda entry: entry.code)
def test_every_mark_is_documented_with_the_rate_of_its_rule(entry):
    text = DOCS.split(f"\n### {entry.code}\n")[1].split("\n### ")[0]
    assert re.findall(r"^\*\*(.*?)\*\*", text, flags=re.MULTILINE) == PARAGRAPHS
    threshold = " ".join(text[text.index("**Threshold.**") : text.index("**How to do it right.**")].split())
    rate = f"False alarms: at most {100 * entry.false_alarm_rate:g} %," if entry.false_alarm_rate else "No false alarms"
    assert rate in threshold
    assert ("measured" in entry.basis) == ("%, measured (" in threshold)


def table_of_items():
    """The table of docs/checks.md, from the catalogue."""
    lines = ["| item | columns | facts |", "|---|---|---|"]
    for name, item in items().items():
        columns = "; ".join(
            f"{'**' + c.name + '**' if c.required else c.name}{'' if not c.many else ' 1, 2, ...'}: {c.meaning}"
            for c in item.columns
        )
        facts = "; ".join(
            f"{f.name}: {f.meaning}{' (' + ', '.join(f.choices) + ')' if f.choices else ''}" for f in item.facts
        )
        lines.append(f"| `{name}`: {item.title} | {columns} | {facts or 'none'} |")
    return "\n".join(lines)


def test_the_documentation_lists_the_catalogue():
    begin, end = "<!-- items -->\n", "\n<!-- end of items -->"
    assert DOCS[DOCS.index(begin) + len(begin) : DOCS.index(end)] == table_of_items()


if __name__ == "__main__":  # writes the table
    begin, end = "<!-- items -->\n", "<!-- end of items -->"
    head, tail = DOCS[: DOCS.index(begin) + len(begin)], DOCS[DOCS.index(end) :]
    (ROOT / "docs/checks.md").write_text(f"{head}{table_of_items()}\n{tail}", encoding="utf-8")
    subprocess.run(["git", "diff", "--stat"], check=True)
