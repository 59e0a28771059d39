"""The settings of a run as a table."""

from __future__ import annotations

import dataclasses

from dlhw.report.contents import SettingRow
from dlhw.runs import settings as settings_
from dlhw.runs.flags import is_pair
from dlhw.runs.run import Run
from dlhw.runs.settings import default_values, text

YES_NO = {"True": "yes", "False": "no"}


def rows(run: Run) -> list[SettingRow]:
    """Return the settings that have an effect in this run."""
    settings, section, label = run.settings, run.definition.section, run.definition.label
    unused = settings.unused() if hasattr(settings, "unused") else ()
    defaults = default_values(settings)
    table = []
    for field in (f for f in dataclasses.fields(settings) if f.name not in unused):
        value, default = getattr(settings, field.name), defaults[field.name]
        between = " " if is_pair(settings, field.name) else ", "
        shown = field.metadata.get("shown") if value == default else None
        usual = (
            ""
            if value == default or run.definition.recorded
            else (YES_NO.get(str(default)) or text(default, between) or "none")
        )
        words = shown or YES_NO.get(str(value)) or settings_.shown(settings, field, between) or "none"
        fixed = field.name in section.assignment_settings and value == field.default
        table.append(SettingRow(label(field), words, usual, run.definition.spelled(field.metadata["help"]), fixed))
    return table
