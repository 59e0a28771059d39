"""docs/assignment.md: every command is one of the program, every kept run is there and was made by its command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlhw.report.presets import preset_settings
from dlhw.runs import experiment as registry
from dlhw.runs.run import load

ROOT = Path(__file__).parent.parent
TABLE = (ROOT / "docs" / "assignment.md").read_text(encoding="utf-8")
LINES = [line for line in TABLE.splitlines() if line.startswith("|")][2:]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES]


def test_every_item_has_a_command_and_a_section():
    assert len(ROWS) >= 27
    names = [name for name in registry.names() if preset_settings(name, "full")]  # others go beyond the assignment
    titles = [registry.get(name).section.title for name in names]
    named = {title for title in titles if any(title in row[2] for row in ROWS)}
    assert len(named) >= len(titles) - 1  # that of `sweep` is shortened
    for item, command, section, _ in ROWS:
        assert item
        assert section
        assert "`dlhw " in command or "--comments" in command or command.startswith(("three", "the same")), item
        assert "partly" not in " ".join((item, command, section))


@pytest.mark.parametrize("row", [row for row in ROWS if re.search(r"`[a-z-]+/", row[3])], ids=lambda row: row[0][:40])
def test_the_kept_run_of_an_item_is_there(row):
    for name in re.findall(r"`([a-z-]+/[^`]+)`", row[3]):
        run = load(ROOT / "artifacts" / "kept" / name)
        assert run.experiment == name.partition("/")[0]
        assert run.summary().findings


def test_commands_name_options_that_there_are():
    for row in ROWS:
        for command in re.findall(r"`dlhw ([a-z-]+)([^`]*)`", row[1]):
            fields = registry.get(command[0]).settings.__dataclass_fields__
            for option in re.findall(r"--([a-z-]+)", command[1]):
                assert option.replace("-", "_") in fields, command
