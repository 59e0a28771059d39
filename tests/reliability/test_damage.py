"""Damaged runs are refused by every command that reads runs: one line that names the file, and no traceback.

Would miss: a change of settings, numbers and all digests that leaves the run consistent.
"""

from __future__ import annotations

import warnings

import pytest

from dlhw.checkpoints import FolderCheckpoints
from dlhw.storage import archives
from tests.reliability import damage

COMMANDS = {
    "show": ("show", "{run}"),
    "show --json": ("show", "{run}", "--json"),
    "draw": ("draw", "{run}"),
    "compare": ("compare", "{good}", "{run}"),
    "check": ("check", "{run}"),
    "report": ("report", "--from-runs", "{runs}", "--only", "simulate", "--out", "out"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    import dlhw

    out = tmp_path_factory.mktemp("good")
    dlhw.run("simulate", out=out, run_name="a", models=("2", "3"), epochs=3, points=5, seeds=2)
    return out / "simulate" / "a"


@pytest.mark.parametrize("kind", damage.KINDS)
def test_damage_is_named_in_one_line_by_every_command(good, tmp_path, inside, monkeypatch, kind):
    monkeypatch.setenv("COLUMNS", "1000")  # no line is broken
    runs = tmp_path / "runs"
    run = damage.copy(good, runs / "simulate" / "b")
    damage.KINDS[kind](run)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in run.iterdir())
    for name, words in COMMANDS.items():
        _, said = inside(*(w.format(run=run, runs=runs, good=good) for w in words), expect=2)
        assert said.startswith("dlhw: "), name
        assert len(said.splitlines()) == 1, said
        assert str(run) in said or (name == "report" and "holds no run" in said), said
    if kind not in ("no record", "record is a folder"):  # else it is not listed as a run
        assert inside("list", "--out", runs)[1].count(str(run)) >= 2  # its place, and what is wrong
    assert sorted((p.name, p.stat().st_mtime_ns) for p in run.iterdir()) == before
    assert not (tmp_path / "out").exists()


def test_every_byte_of_an_archive_counts(tmp_path):
    import numpy as np

    parts = FolderCheckpoints(tmp_path)
    parts.put("net", {"weights": np.arange(4.0), "layout": np.array("plain")})
    file = tmp_path / "net.npz"
    whole, harmless = file.read_bytes(), 0
    for k in range(len(whole)):
        for change in (255, 1):
            file.write_bytes(whole[:k] + bytes([whole[k] ^ change]) + whole[k + 1 :])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                arrays = parts.get("net")
            if arrays is not None:  # a byte that nobody reads, such as a time
                assert np.array_equal(arrays["weights"], np.arange(4.0))
                assert str(arrays["layout"]) == "plain"
                harmless += 1
    assert harmless < len(whole)


def test_a_run_of_an_earlier_version_is_read_with_one_warning(good, tmp_path, inside, monkeypatch):
    from dlhw.runs import record_file

    monkeypatch.setattr(record_file, "_warned", [])
    for name in "cd":
        run = damage.copy(good, tmp_path / "runs" / "simulate" / name)
        damage.changed(damage.delete("digests"))(run)
        damage.changed(damage.put(1, "schema"))(run)
    with pytest.warns(UserWarning, match="is of an earlier version, without digests") as warned:
        inside("show", tmp_path / "runs")
    assert len(warned) == 1


def test_spaces_and_order_in_the_record_do_not_count(good, tmp_path, inside):
    import json

    run = damage.copy(good, tmp_path / "a")
    record = damage.record_of(run)
    (run / "run.json").write_text(json.dumps(dict(reversed(record.items())), indent=7))
    assert inside("show", run) == inside("show", run)


def test_a_damaged_part_is_named_put_aside_and_computed_again(tmp_path):
    import numpy as np

    parts = FolderCheckpoints(tmp_path / "parts")
    parts.put("net", {"weights": np.arange(4.0)})
    parts.put("other", {"weights": np.arange(5.0)})
    assert np.array_equal(parts.get("net")["weights"], np.arange(4.0))
    file = tmp_path / "parts" / "net.npz"
    whole = file.read_bytes()
    changed = archives.read_arrays(file) | {"weights": np.arange(4.0) + 1}
    other = (tmp_path / "parts" / "other.npz").read_bytes()
    for bad in (whole[:-20], b"", other, changed):
        if isinstance(bad, dict):
            np.savez_compressed(file, **bad)
        else:
            file.write_bytes(bad)
        with pytest.warns(UserWarning, match=r"net.npz is damaged .*: it is now net.damaged, and computed again"):
            assert parts.get("net") is None
        assert not file.exists()
        assert (tmp_path / "parts" / "net.damaged").exists()
        parts.put("net", {"weights": np.arange(4.0)})
        assert np.array_equal(parts.get("net")["weights"], np.arange(4.0))
