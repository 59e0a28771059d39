"""`dlhw check --explain`: what a mark means, for whoever has no documentation at hand."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from dlhw.errors import UserError


def complete_code(incomplete: str) -> list[str]:
    """Return the codes of rules that begin with a word."""
    from dlhw.checks.rule import rules

    return [entry.code for entry in rules() if entry.code.startswith(incomplete)]


def explain(code: str, json: bool) -> None:
    """Print what a rule says of its mistake.

    Args:
        code: of the rule.
        json: print one JSON object.

    Raises:
        UserError: if no rule has this code.
    """
    from cli import console
    from dlhw.storage import files

    value = explanation(code)
    if json:
        print(files.to_json(value, indent=None))
        return
    screen = console.stdout()
    screen.print(console.as_text(f"{code}: {value['title']}"), style="bold", soft_wrap=True)
    rate = value["false_alarm_rate"]
    alarms = f"at most {100 * rate:g} %, {value['basis']}" if rate else "none, by arithmetic"
    verdict = "impossible, no measurement gives this" if value["kind"] == "impossible" else "a known mistake"
    for line in (
        *value["about"],
        f"Verdict: {verdict}",
        f"Items: {', '.join(value['items'])}",
        f"What to do: {value['remedy']}",
        f"False alarms: {alarms}",
        f"Threshold and source: {value['docs']} of the repository",
    ):
        screen.print(console.as_text(f"  {line}"), soft_wrap=True)


def explanation(code: str) -> dict[str, Any]:
    """Return what a rule says of its mistake, as plain values; `about` are the paragraphs of its module."""
    from dlhw.checks.answers import DOCS
    from dlhw.checks.rule import rules

    known = {entry.code: entry for entry in rules()}
    if code not in known:
        near = difflib.get_close_matches(code, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
        raise UserError(f"`explain` {code!r} is no mark; {hint}")
    entry = known[code]
    text = importlib.import_module(entry.apply.__module__).__doc__ or ""
    return {
        "code": code,
        "kind": entry.kind,
        "title": entry.title,
        "about": [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")],
        "items": list(entry.items),
        "remedy": entry.remedy,
        "false_alarm_rate": entry.false_alarm_rate,
        "basis": entry.basis,
        "docs": f"{DOCS}#{code}",
    }
