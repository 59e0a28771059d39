"""Judge the rules: how often each planted mistake is named, and how often right tables carry a mark."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.checking.corpus import HALVES, Stored, read

RESULTS = Path(__file__).parent.parent / "check_results.json"
README = Path(__file__).parent.parent / "README.md"
HEADING = "## What `dlhw check` recognizes"


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one table."""

    case: Stored
    codes: tuple[str, ...]  # of what they found
    undecided: tuple[str, ...]  # codes of the rules that lacked numbers

    @property
    def outcome(self) -> str:
        """Return named, other, undecided or missed; of a right table alarm or clear."""
        if self.case.mistake is None:
            return "alarm" if self.codes else "clear"
        if self.case.mistake in self.codes:
            return "named"
        if self.codes:
            return "other"
        return "undecided" if self.case.mistake in self.undecided else "missed"


def verdict(case: Stored) -> Verdict:
    from dlhw.checks.examination import examine, table_of
    from dlhw.checks.items import item

    answer = examine(table_of(item(case.item), {**case.columns, **case.facts, **case.words}))
    return Verdict(case, tuple(d.code for d in answer.detections), tuple(code for code, _ in answer.undecided))


def interval(part: int, whole: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact binomial interval of a share (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    outside = (1 - level) / 2
    low = 0.0 if part == 0 else float(beta.ppf(outside, part, whole - part + 1))
    high = 1.0 if part == whole else float(beta.ppf(1 - outside, part + 1, whole - part))
    return low, high


def by_mistake(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Any]]:
    """Return a row a mistake: cases, families, and how many were named, named otherwise, undecided, missed."""
    rows: dict[str, list[Verdict]] = {}
    for v in verdicts:
        if v.case.mistake is not None:
            rows.setdefault(v.case.mistake, []).append(v)
    table: dict[str, dict[str, Any]] = {}
    for code in sorted(rows):
        counts = Counter(v.outcome for v in rows[code])
        outcomes = {name: counts[name] for name in ("named", "other", "undecided", "missed")}
        sizes = {"cases": len(rows[code]), "families": len({v.case.family for v in rows[code]})}
        table[code] = sizes | outcomes | {"interval": interval(counts["named"], len(rows[code]))}
    return table


def by_item(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Any]]:
    """Return a row an item, and one for all: right tables, how many carry a mark, and which."""
    right = [v for v in verdicts if v.case.mistake is None]
    groups = {name: [v for v in right if v.case.item == name] for name in sorted({v.case.item for v in right})}
    table = {}
    for name, group in (groups | {"all": right}).items():
        alarms = [v for v in group if v.codes]
        table[name] = {
            "tables": len(group),
            "families": len({v.case.family for v in group}),
            "false alarms": len(alarms),
            "interval": interval(len(alarms), len(group)) if group else (0.0, 1.0),
            "codes": dict(Counter(code for v in alarms for code in v.codes)),
        }
    return table


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    halves = {half: [v for v in verdicts if v.case.half == half] for half in HALVES}
    return {
        half: {"mistakes": by_mistake(part), "right": by_item(part)}
        for half, part in (halves | {"both": list(verdicts)}).items()
    }


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "–"


def percent(bounds: Sequence[float]) -> str:
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"


def lines_of(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [f"| {' | '.join(map(str, line))} |" for line in (head, ["---"] * len(head), *rows)]


def text(results: dict[str, Any]) -> str:
    """Return the tables of the README: planted mistakes, and right tables."""
    report, tuning, both = results["reporting"], results["tuning"], results["both"]
    reached = [code for code, row in report["mistakes"].items() if row["named"] >= 0.95 * row["cases"]]
    alarms = report["right"].get("all", {"false alarms": 0, "tables": 0, "interval": (0.0, 1.0)})
    planted = sum(row["cases"] for row in both["mistakes"].values())
    head = ("planted mistake", "cases", "named", "interval", "by another name", "undecided", "missed", "tuning: named")
    rows = []
    for code in both["mistakes"]:
        empty: dict[str, Any] = {"cases": 0, "named": 0, "other": 0, "undecided": 0, "missed": 0, "interval": (0, 1)}
        row, tuned = report["mistakes"].get(code, empty), tuning["mistakes"].get(code, empty)
        counts = row["cases"], share(row["named"], row["cases"]), percent(row["interval"])
        others = row["other"], row["undecided"], row["missed"], share(tuned["named"], tuned["cases"])
        rows.append((f"`{code}`", *counts, *others))
    right_head = ("right measurements", "tables", "false alarms", "interval", "named", "tuning: false alarms")
    right_rows = []
    for name, row in both["right"].items():
        none: dict[str, Any] = {"tables": 0, "false alarms": 0, "interval": (0, 1), "codes": {}}
        row, tuned = report["right"].get(name, none), tuning["right"].get(name, none)
        codes = ", ".join(f"`{code}` {count}" for code, count in row["codes"].items()) or "–"
        counted = share(row["false alarms"], row["tables"]), percent(row["interval"]), codes
        right_rows.append((name, row["tables"], *counted, share(tuned["false alarms"], tuned["tables"])))
    return "\n".join(
        [
            f"`python -m benchmarks.check`: {both['right']['all']['tables']} tables of right measurements and "
            f"{planted} with a planted mistake, from other seeds, nets, rates, optimizers and data than the kept runs "
            "(`--make`; digits, blobs, subsets of MNIST and Fashion-MNIST, functions of x). Families, that is settings "
            "with all their tables, are split in two halves by a hash of their names: thresholds were chosen on the "
            "first, the figures are those of the second, with the first in the last column. Intervals are exact "
            "(Clopper and Pearson), and take tables as independent, which those of one family are not quite.",
            "",
            "Goal: at least 12 mistakes named in 95 % of their cases, "
            f"{len(reached)} of {len(report['mistakes'])} are; false alarms at most 1 %: "
            f"{share(alarms['false alarms'], alarms['tables'])}, interval {percent(alarms['interval'])}.",
            "",
            *lines_of(head, rows),
            "",
            *lines_of(right_head, right_rows),
        ]
    )


def detail(v: Verdict) -> str:
    """Return a line on a table that was judged wrong; "" if it was judged right."""
    if v.outcome in ("named", "clear"):
        return ""
    found = ", ".join(v.codes) or "nothing"
    lacking = f"; undecided: {', '.join(v.undecided)}" if v.undecided else ""
    truth = v.case.mistake or "right"
    return f"{v.outcome}: {v.case.half} {v.case.name} ({v.case.variant}): {truth}; found {found}{lacking}"


def insert(page: str, section: str) -> str:
    """Return the page with the section under its heading replaced, or added at the end."""
    before, found, after = page.partition(f"{HEADING}\n")
    if not found:
        return f"{page.rstrip()}\n\n{HEADING}\n\n{section}\n"
    start = after.find("\n## ")
    return f"{before}{HEADING}\n\n{section}\n{after[start:] if start >= 0 else ''}"


def main(
    corpus: Path, half: str | None, details: bool, show: Callable[[str], None] = lambda line: print(line, flush=True)
) -> None:
    verdicts = [verdict(case) for case in read(corpus) if half in (None, case.half)]
    if not verdicts:
        raise SystemExit(f"{corpus} holds no tables; make them with --make")
    results = summary(verdicts)
    if details or half is not None:
        for line in filter(None, map(detail, verdicts)):
            show(line)
        if half is not None:
            for code, row in results[half]["mistakes"].items():
                show(f"{code}: {row}")
            for name, row in results[half]["right"].items():
                show(f"right, {name}: {row}")
            return
        show(text(results))
        return
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    README.write_text(insert(README.read_text(encoding="utf-8"), text(results)), encoding="utf-8")
    show(text(results))
