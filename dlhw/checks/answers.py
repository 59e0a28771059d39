"""What a check answers: a verdict, the mistakes whose mark the numbers carry, and what could not be decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dlhw.present.findings import Finding

Kind = Literal["impossible", "mistake"]
Verdict = Literal["consistent", "impossible", "mistake", "undecided"]
DOCS = "docs/checks.md"


@dataclass(frozen=True)
class Mark:
    """Evidence that a rule found in the numbers."""

    reason: str  # one or two sentences: what the numbers are, and what right ones would be
    at: tuple[int, ...] = ()  # rows of the table that show it; (): all of them


@dataclass(frozen=True)
class Lacking:
    """Why a rule cannot decide."""

    reason: str  # a clause that follows "not decided:", such as "needs `classes`"


@dataclass(frozen=True)
class Detection(Finding):
    """A mark with what its rule says of it; `code` is a heading in docs/checks.md, `text` the reason."""

    kind: Kind = "mistake"
    title: str = ""  # the mistake, as a noun phrase
    remedy: str = ""
    false_alarm_rate: float = 0.0  # share of right measurements that would carry the mark; 0: none, by arithmetic
    at: tuple[int, ...] = ()  # rows of the table, which is sorted by x, that show it

    @property
    def link(self) -> str:
        """Section of the documentation that explains the mistake."""
        return f"{DOCS}#{self.code}"

    @property
    def explanation(self) -> str:
        """The reason, what to do and where to read more, in one paragraph."""
        return f"{self.text} What to do: {self.remedy} See {self.link}, or `dlhw check` with `explain` {self.code}."


@dataclass(frozen=True)
class Answer:
    """The answer for one table of numbers."""

    item: str
    detections: tuple[Detection, ...]  # impossible ones first
    undecided: tuple[tuple[str, str], ...]  # code of a rule, and why it could not decide
    decided: tuple[str, ...]  # codes of the rules that had the numbers they need and saw no mark
    source: str = ""  # file, cell or table that the numbers come from

    @property
    def verdict(self) -> Verdict:
        """`impossible` before `mistake`; `undecided` if no rule had the numbers that it needs."""
        if self.detections:
            return self.detections[0].kind
        return "consistent" if self.decided else "undecided"

    @property
    def text(self) -> str:
        """The verdict in words."""
        named = " and ".join(f"{detection.code} ({detection.title})" for detection in self.detections)
        words: dict[Verdict, str] = {
            "impossible": f"impossible: {named}",
            "mistake": f"carries the mark of {named}",
            "consistent": "consistent",
            "undecided": "undecided: the numbers do not suffice",
        }
        return words[self.verdict]
