"""The confusion table as lines of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.doctor.judge import Verdict, as_dict, places


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "–"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines]


def outcome_rows(rows: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    return [
        [
            name,
            share(row["seen"], row["broken"]),
            share(row["located"], row["broken"]),
            share(row["seen first"], row["broken"]),
            share(row["false alarms"], row["healthy"]),
        ]
        for name, row in rows.items()
    ]


HEAD = ("broken: fault seen", "fault located", "seen by the first finding", "healthy: false alarms")


def text(verdicts: Sequence[Verdict], details: bool) -> str:
    """Return the tables; with `details` also what was missed and what was a false alarm."""
    everything = as_dict(verdicts)
    lines = [*table(("half", *HEAD), outcome_rows(everything["table"])), ""]
    lines += [*table(("kind", *HEAD), outcome_rows(everything["kinds"])), ""]
    codes = [[code, *row.values()] for code, row in everything["codes"].items()]
    lines += table(("finding", "right", "of another fault", "false alarms"), codes)
    if details:
        lines += ["", *(line for v in verdicts if (line := _detail(v)))]
    return "\n".join(lines)


def _detail(v: Verdict) -> str:
    """Return one line on a program that was judged wrong; "" if it was judged right."""
    raised = ", ".join(" at ".join([f.code, *sorted(places(f))]) for f in v.findings) or "nothing"
    truth = v.program.truth
    if truth is None:
        return f"false alarm, {v.half}, {v.program.name}: {raised}" if v.findings else ""
    if v.located:
        return ""
    what = "not located" if v.seen else "missed"
    return f"{what}, {v.half}, {v.program.name}: {raised}; true: {' '.join(truth.codes)} at {' '.join(truth.places)}"
