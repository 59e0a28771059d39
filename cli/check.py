"""`dlhw check`: can these numbers be right?"""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import explain as explaining
from cli import options
from cli.options import Json
from dlhw.errors import require

if TYPE_CHECKING:
    from dlhw.checks.answers import Answer
    from dlhw.checks.matching import Matched
    from dlhw.checks.tables import Table

STYLES = {"impossible": "bold red", "mistake": "bold red", "consistent": "bold green", "undecided": "bold yellow"}
MOST_FIGURES = 6
"""Figures of one file; tables with a mark come first."""
MOST_REASONS = 200
"""Characters of all reasons why something was not decided."""


def _complete_item(incomplete: str) -> list[str]:
    from dlhw.checks.items import items

    return [name for name in items() if name.startswith(incomplete)]


Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE...", help="CSV, NumPy, JSON, notebook, log or event file, or folder of a run."),
]
ItemName = Annotated[str, typer.Option("--item", help="What was measured; see --list.", autocompletion=_complete_item)]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", help="Headers of columns, such as value=sens,batch=bs.", show_default="by their names"),
]
Given = Annotated[
    list[str] | None,
    typer.Option("--given", help="Facts on the numbers, such as classes=10; see --list.", show_default="none"),
]


def check(
    files: Files = None,
    item: ItemName = "",
    columns: Columns = None,
    given: Given = None,
    listed: Annotated[bool, typer.Option("--list", help="List the items: columns, facts and marks.")] = False,
    explain: Annotated[
        str,
        typer.Option(
            "--explain",
            metavar="CODE",
            help="Explain a mark, such as relu-hessian.",
            show_default="none",
            autocompletion=explaining.complete_code,
        ),
    ] = "",
    out: Annotated[Path, typer.Option("--out", help="Folder of the figures, in a folder check.")] = Path("artifacts"),
    json: Json = False,
) -> None:
    """Whether numbers of an experiment can be right, or carry the mark of a known mistake.

    The exit status is 1 if they cannot, or carry one.
    """
    from dlhw.checks.files import read_tables
    from dlhw.runs import store
    from dlhw.storage import files as storage

    if listed:
        unused = not files and not item and not explain
        require(unused, "`list` lists all items; leave out the file, `item` and `explain`")
        return _list(json)
    if explain:
        require(not files and not item, "`explain` explains a mark; leave out the file and `item`")
        return explaining.explain(explain, json)
    require(bool(files), "name a file of numbers, such as numbers.csv; `list` lists what can be checked")
    store.check_writable(out / "check")
    chosen, facts = _pairs(columns, "columns", "value=HEADER"), _pairs(given, "given", "classes=10")
    matched = {path: read_tables(path, item, chosen, facts) for path in dict.fromkeys(files or [])}
    examined = {path: _examined(one) for path, one in matched.items()}
    paths = _draw(examined, out)
    if json:
        values = [_as_json(path, matched[path], examined[path], paths) for path in examined]
        print(storage.to_json(values[0] if len(values) == 1 else values, indent=None))
    else:
        for path, tables in examined.items():
            _print(matched[path], tables, paths)
    marked = any(answer.detections for tables in examined.values() for _, answer in tables)
    raise typer.Exit(int(marked))


def _examined(matched: Matched) -> list[tuple[Table, Answer]]:
    from dlhw.checks.examination import examine

    return [(table, examine(table)) for table in matched.tables]


def _pairs(words: list[str] | None, name: str, example: str) -> dict[str, str]:
    """Return {name: value} of NAME=VALUE."""
    pairs: dict[str, str] = {}
    for word in options.split_commas(words or []):
        key, _, value = (part.strip() for part in word.partition("="))
        require(bool(key and value), f"`{name}` {word!r} must be NAME=VALUE, such as {example}")
        require(key not in pairs, f"`{name}` names {key} twice")
        pairs[key] = value
    return pairs


def _draw(examined: dict[Path, list[tuple[Table, Answer]]], out: Path) -> dict[int, Path]:
    """Write the figures, and return their paths by the identity of the answer."""
    from dlhw.storage import files

    if importlib.util.find_spec("dlhw.checks.figure") is None:
        return {}
    from dlhw.checks.figure import figure  # type: ignore[import-not-found,unused-ignore]
    from dlhw.present import render, style

    paths: dict[int, Path] = {}
    stems: Counter[str] = Counter()
    for path, tables in examined.items():
        stem = (path.name if path.is_dir() else path.stem) or "numbers"
        stems[stem] += 1
        folder = out / "check" / (stem if stems[stem] == 1 else f"{stem}-{stems[stem]}")
        with files.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        chosen = sorted(range(len(tables)), key=lambda k: not tables[k][1].detections)[:MOST_FIGURES]
        several = Counter(tables[k][1].item for k in chosen)
        numbers: Counter[str] = Counter()
        for table, answer in (tables[k] for k in sorted(chosen)):
            numbers[answer.item] += 1
            name = f"{answer.item}-{numbers[answer.item]}" if several[answer.item] > 1 else answer.item
            with style.house_style():
                drawn = render.render(figure(answer, table), "png")
            paths[id(answer)] = folder / f"{name}.png"
            files.write_bytes(paths[id(answer)], drawn)
    return paths


def _as_json(path: Path, matched: Matched, tables: list[tuple[Table, Answer]], paths: dict[int, Path]) -> Any:
    """Return what is known of a file as plain values."""
    return {
        "file": str(path),
        "tables": [
            {
                "source": answer.source,
                "item": answer.item,
                "rows": table.rows,
                "columns": dict(table.headers),
                "verdict": answer.verdict,
                "text": answer.text,
                "detections": [
                    {
                        "code": d.code,
                        "kind": d.kind,
                        "title": d.title,
                        "reason": d.text,
                        "remedy": d.remedy,
                        "false_alarm_rate": d.false_alarm_rate,
                        "docs": d.link,
                        "rows": sorted(table.row_number(row) for row in d.at),
                    }
                    for d in answer.detections
                ],
                "undecided": [{"code": code, "reason": reason} for code, reason in answer.undecided],
                "decided": list(answer.decided),
                "figure": str(paths[id(answer)]) if id(answer) in paths else None,
            }
            for table, answer in tables
        ],
        "unrecognized": matched.unrecognized,
        "notes": list(matched.notes),
    }


def _print(matched: Matched, tables: list[tuple[Table, Answer]], paths: dict[int, Path]) -> None:
    from cli import console

    screen = console.stdout()

    def put(text: str, style: str = "") -> None:
        screen.print(console.as_text(text), style=style, soft_wrap=True)

    for _, answer in tables:
        put(f"{answer.source}: {answer.item}: {answer.text}", STYLES[answer.verdict])
        for detection in answer.detections:
            put(f"  {detection.text}")
            put(f"  What to do: {detection.remedy}")
            put(f"  More: dlhw check --explain {detection.code}, or {detection.link}")
        if answer.verdict == "consistent":
            put(f"  no mark of {', '.join(answer.decided)}")
        for line in _undecided(answer, one_each=len(tables) == 1):
            put(f"  not decided: {line}")
        if id(answer) in paths:
            put(f"  {paths[id(answer)]}")
    for note in matched.notes:
        put(note)
    if matched.unrecognized:
        plural = "tables were" if matched.unrecognized > 1 else "table was"
        put(f"{matched.unrecognized} other {plural} not recognized")
    if paths and len([answer for _, answer in tables if id(answer) not in paths]):
        put(f"{MOST_FIGURES} of {len(tables)} tables are drawn")


def _undecided(answer: Answer, *, one_each: bool) -> list[str]:
    """Return what could not be decided and why: a line each, or all in one, without reasons where these are many."""
    lines = [f"{code} ({reason})" for code, reason in answer.undecided]
    if one_each or not lines:
        return lines
    codes = ", ".join(code for code, _ in answer.undecided)
    joined = "; ".join(lines)
    return [joined if len(joined) <= MOST_REASONS else f"{codes}; --json gives the reasons"]


def _list(json: bool) -> None:
    from cli import console
    from dlhw.checks.items import items
    from dlhw.checks.rule import rules_of
    from dlhw.storage import files

    if json:
        known = {
            name: {
                "title": entry.title,
                "columns": {c.name: c.meaning for c in entry.columns},
                "required": [c.name for c in entry.columns if c.required],
                "facts": {f.name: f.meaning for f in entry.facts},
                "marks": {m.code: m.title for m in rules_of(name)},
            }
            for name, entry in items().items()
        }
        print(files.to_json(known, indent=None))
        return
    screen = console.stdout()
    for name, entry in items().items():
        columns = [c.name if c.required else f"[{c.name}]" for c in entry.columns]
        parts = {"columns": columns, "facts": [f.name for f in entry.facts], "marks": [m.code for m in rules_of(name)]}
        screen.print(console.as_text(f"{name}: {entry.title}"), style="bold", soft_wrap=True)
        for heading, words in parts.items():
            screen.print(console.as_text(f"  {heading}: {', '.join(words) or 'none'}"), soft_wrap=True)
    screen.print(console.as_text("Columns in brackets may be left out. docs/checks.md explains all of them."))
