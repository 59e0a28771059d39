"""The confusion table, from stored runs alone: what the rules say of broken programs and of healthy trainings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.doctor.program import Program
from benchmarks.doctor.train import OUTCOME, RUN
from dlhw.watch.diagnosis import Diagnosis

ALARMS = ("severe", "warning")
"""Severities that count as saying that something is wrong."""


def places(finding: Diagnosis) -> set[str]:
    """Return the places that a finding names: its layer, without the models around it, and its place."""
    return {finding.layer.rpartition("/")[-1], finding.place} - {""}


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one program."""

    program: Program
    half: str
    findings: tuple[Diagnosis, ...]  # severe ones and warnings only
    healthy: bool = False  # reached its criterion

    @property
    def right(self) -> tuple[Diagnosis, ...]:
        """The findings that are true of a broken program."""
        truth = self.program.truth
        return () if truth is None else tuple(f for f in self.findings if f.code in truth.codes)

    @property
    def seen(self) -> bool:
        return bool(self.right)

    @property
    def first(self) -> bool:
        """Whether the finding that is shown first is true."""
        return bool(self.findings) and self.findings[0] in self.right

    @property
    def located(self) -> bool:
        """Whether a true finding names the layer, or the place, where the fault is."""
        truth = self.program.truth
        return truth is not None and any(places(f) & {*truth.places} for f in self.right)


def verdict(program: Program, half: str, cache: Path) -> Verdict | None:
    """Judge a stored run; None where there is none, or a healthy one missed its criterion."""
    import dlhw
    from dlhw.watch.findings import diagnose

    folder = cache / program.name
    if not (folder / OUTCOME).exists():
        return None
    outcome = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
    if program.criterion is not None and not program.criterion.holds(outcome["scores"]):
        return None
    run = dlhw.load(folder / RUN)
    findings = tuple(f for f in diagnose(run.settings, run.result) if f.severity in ALARMS)
    return Verdict(program, half, findings, outcome["healthy"])


def judge(programs: Sequence[Program], halves: Mapping[str, str], cache: Path) -> list[Verdict]:
    verdicts = (verdict(program, halves[program.name], cache) for program in programs)
    return [v for v in verdicts if v is not None]


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Return one row of the table."""
    every = list(verdicts)
    broken = [v for v in every if v.program.truth is not None]
    healthy = [v for v in every if v.program.truth is None]
    return {
        "broken": len(broken),
        "seen": sum(v.seen for v in broken),
        "seen first": sum(v.first for v in broken),
        "located": sum(v.located for v in broken),
        "healthy": len(healthy),
        "false alarms": sum(bool(v.findings) for v in healthy),
    }


def by_code(verdicts: Iterable[Verdict]) -> dict[str, dict[str, int]]:
    """Return how often a code is right and wrong on broken programs, and raised on healthy ones."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    for v in verdicts:
        codes = {f.code for f in v.findings}
        true = {f.code for f in v.right}
        if v.program.truth is None:
            alarms.update(codes)
        else:
            right.update(true)
            wrong.update(codes - true)
    every = sorted({*right, *wrong, *alarms})
    return {code: {"right": right[code], "other": wrong[code], "false alarms": alarms[code]} for code in every}


def by_kind(verdicts: Iterable[Verdict]) -> dict[str, dict[str, int]]:
    every = list(verdicts)
    kinds = {v.program.kind: None for v in every}
    return {kind: counts(v for v in every if v.program.kind == kind) for kind in kinds}


def as_dict(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return everything for a file: the table, and a row a program."""
    rows = {"both": verdicts} | {half: [v for v in verdicts if v.half == half] for half in ("tuning", "reporting")}
    return {
        "table": {name: counts(row) for name, row in rows.items()},
        "kinds": by_kind(verdicts),
        "codes": by_code(verdicts),
        "programs": [
            {
                "name": v.program.name,
                "half": v.half,
                "broken": v.program.truth is not None,
                "kind": v.program.kind,
                "source": v.program.truth.source if v.program.truth is not None else "",
                "accepted": list(v.program.truth.codes) if v.program.truth is not None else [],
                "findings": [
                    {
                        "code": f.code,
                        "severity": f.severity,
                        "layer": f.layer,
                        "place": f.place,
                        "step": f.step,
                        "text": f.text,
                        "evidence": dict(f.evidence),
                    }
                    for f in v.findings
                ],
                "seen": v.seen,
                "located": v.located,
            }
            for v in verdicts
        ],
    }
