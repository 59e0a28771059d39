"""A watched training as one page that needs no network: findings first, then the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlhw.present.findings import Finding
from dlhw.present.numbers import format_number
from dlhw.present.templates import load_template
from dlhw.report.composition import section_of
from dlhw.report.writer import TEMPLATES
from dlhw.runs import store
from dlhw.runs.run import Run
from dlhw.storage import files
from dlhw.watch.diagnosis import SEVERITIES, Diagnosis

PAGE = "watch"
"""Name of the page in a run folder."""
WAIT = 10.0
"""Seconds to wait for a process that reads or draws the run."""

DOCUMENTATION = "docs/watch.md"
"""Where the findings are explained, each under its code."""


@dataclass(frozen=True)
class Shown:
    """A finding as the page shows it."""

    severity: str
    code: str
    where: str  # layer and batch; ""
    text: str
    remedy: str
    evidence: tuple[tuple[str, str], ...]
    source: str


def diagnoses(run: Run) -> tuple[Diagnosis, ...]:
    """Return the findings of a watched run, the most severe first."""
    return _diagnoses(run.summary().findings)


def _diagnoses(findings: Sequence[Finding]) -> tuple[Diagnosis, ...]:
    return tuple(finding for finding in findings if isinstance(finding, Diagnosis))


def html(run: Run) -> str:
    """Return the page of a watched run."""
    part = section_of(run)
    findings = _diagnoses(part.runs[0].findings)
    return load_template(TEMPLATES, "watch.html").render(
        part=part,
        run=part.runs[0],
        findings=[shown(finding) for finding in findings],
        verdict=verdict(findings),
        facts=_facts(run),
        documentation=DOCUMENTATION,
        version=run.environment["versions"].get("dlhw", ""),
        title=run.settings.model or "model",
    )


def write(run: Run, folder: Path) -> Path:
    """Write the page into the folder of its run.

    Raises:
        UserError: if another process uses the folder, or it cannot be written.
        RunError: if the disk is full.
    """
    page = html(run).encode()
    with store.locked(folder, WAIT):
        files.write_bytes(folder / f"{PAGE}.html", page)
    return folder / f"{PAGE}.html"


def shown(finding: Diagnosis) -> Shown:
    """Return a finding as the page shows it."""
    evidence = tuple((name.replace("_", " "), format_number(float(value))) for name, value in finding.evidence.items())
    return Shown(finding.severity, finding.code, where(finding), finding.text, finding.remedy, evidence, finding.source)


def where(finding: Diagnosis) -> str:
    """Return the layer and the batch of a finding, in words."""
    words = [f"layer {finding.layer}"] if finding.layer else []
    words += [f"batch {finding.step:,}"] if finding.step >= 0 else []
    return ", ".join(words)


def verdict(findings: tuple[Diagnosis, ...]) -> str:
    """Return how many findings there are of every severity, in words."""
    counts = [(severity, sum(f.severity == severity for f in findings)) for severity in SEVERITIES]
    plural = {"severe": "severe", "warning": "warnings", "note": "notes"}
    words = [f"{n} {severity if n == 1 else plural[severity]}" for severity, n in counts if n]
    return ", ".join(words) or "no findings"


def as_json(run: Run, folder: Path) -> dict[str, Any]:
    """Return the findings and numbers of a watched run as plain values."""
    summary = run.summary()
    findings = _diagnoses(summary.findings)
    return {
        "run": str(folder),
        "severe": any(finding.severity == "severe" for finding in findings),
        "findings": [_as_value(finding) for finding in findings],
        "notes": list(run.result.notes),
        "numbers": summary.numbers,
    }


def _as_value(finding: Diagnosis) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "code": finding.code,
        "layer": finding.layer,
        "step": finding.step,
        "text": finding.text,
        "remedy": finding.remedy,
        "evidence": {name: float(value) for name, value in finding.evidence.items()},
        "source": finding.source,
    }


def _facts(run: Run) -> list[tuple[str, str]]:
    """Return what was watched, and with what, by name."""
    settings, environment = run.settings, run.environment
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    pairs = [
        ("model", f"{settings.model}, {settings.parameters:,} trainable weights"),
        ("optimizer", settings.optimizer),
        ("loss", settings.loss),
        ("probe", f"{settings.probe:,} examples" if settings.probe else "none"),
        ("ended", run.result.ended or "as planned"),
        ("device", environment["device"]),
        ("versions", versions),
        ("date", environment.get("date", "")),
    ]
    return [(name, value) for name, value in pairs if value]
