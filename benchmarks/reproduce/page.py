"""The stored values, and the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.reproduce.catalogue import reproductions
from benchmarks.reproduce.reproduction import Values

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "reproductions.md"
HEAD = """# Published numbers, measured again

Every number was published by others and is measured here with dlhw, over several seeds or with an interval. A number
agrees if every repeat lies in a range that follows from the paper. Agreement is no proof, and where a number differs,
its section says why. `python -m benchmarks.reproduce` measures all of them again, `python -m benchmarks.reproduce NAME`
one, and writes this page.
"""


def stored() -> dict[str, Values]:
    """Return the values that were measured, by name of the reproduction."""
    results: dict[str, Values] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return results


def store(name: str, values: Values) -> None:
    """Store the values of a reproduction."""
    results = stored() | {name: {key: float(f"{value:.6g}") for key, value in values.items()}}
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def render() -> str:
    """Return the page, of all reproductions with stored values."""
    results, known = stored(), reproductions()
    shown = [known[name] for name in known if name in results]
    rows = [entry.row(results[entry.name]) for entry in shown]
    table = ["| number | source | published | ours: median (range) | |", "|---|---|---|---|---|", *rows]
    sections = [entry.section(results[entry.name]) for entry in shown]
    return "\n".join([HEAD, *table, "", "\n\n".join(sections), ""])
