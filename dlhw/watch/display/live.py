"""What a watched training shows while it runs: in a notebook its curves, elsewhere a line for every new finding."""

from __future__ import annotations

import base64
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from dlhw.errors import warn
from dlhw.present import render, style
from dlhw.present.templates import load_template
from dlhw.report.writer import TEMPLATES
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.display.figures import CAPTIONS, figures
from dlhw.watch.display.page import DOCUMENTATION, shown, verdict, where
from dlhw.watch.findings import diagnose
from dlhw.watch.spec import Result, Settings

FIGURES = ("loss", "gradient-norm", "update-ratio", "units")
"""Drawn after every epoch."""
DPI = 80


class _Handle(Protocol):
    """The place of an output of a notebook."""

    def update(self, obj: object) -> None:
        """Show another object there."""


class Display:
    """Shows a training after every epoch; nothing that goes wrong here reaches the training.

    Args:
        live: in a notebook, show the curves in place of lines.
        write: where lines go.
    """

    def __init__(self, live: bool = False, write: Callable[[str], object] = print) -> None:
        self.live, self.write = live, write
        self.shown: set[str] = set()
        self.handle: _Handle | None = None

    def show(self, settings: Settings, result: Result, *, final: bool = False) -> None:
        """Show what has been recorded so far.

        Args:
            settings: of the training.
            result: so far.
            final: whether the training has ended. Then every finding is a line; before, only those that are severe.
        """
        findings = tuple(diagnose(settings, result))
        if self.live and in_notebook():
            try:
                self._show(fragment(settings, result, findings, tuple(CAPTIONS) if final else FIGURES))
                return
            except Exception as error:
                self.live = False
                warn(f"the curves cannot be shown ({type(error).__name__}: {error}); findings follow as lines")
        epochs = len(result.epoch_step)
        so_far = "" if final else f"after epoch {epochs}: "
        for finding in findings:
            # What is not severe may change with the next epoch.
            if final or (finding.severity == "severe" and finding.code not in self.shown):
                self.shown.add(finding.code)
                self.write(so_far + line(finding))
        for note in result.notes if final else ():
            self.write(f"not recorded: {note}")

    def _show(self, text: str) -> None:
        output = importlib.import_module("IPython.display")
        if self.handle is None:
            self.handle = output.display(output.HTML(text), display_id=True)
        else:
            self.handle.update(output.HTML(text))


def in_notebook() -> bool:
    """Return whether this program runs in a notebook, which can show HTML; IPython is not imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def line(finding: Diagnosis) -> str:
    """Return a finding as one line: severity, code, where, what was seen."""
    place = where(finding)
    return " ".join(f"{finding.severity} {finding.code}{f' ({place})' if place else ''}: {finding.text}".split())


def fragment(
    settings: Settings, result: Result, findings: tuple[Diagnosis, ...], names: Sequence[str] = FIGURES
) -> str:
    """Return findings and curves as a piece of HTML, which leaves the page around it as it is.

    Args:
        settings: of the training.
        result: so far.
        findings: on it.
        names: of the figures.
    """
    with style.house_style():
        drawn = figures(settings, result, names)
    pictures = [(name, _uri(render.render(fig, "png", DPI))) for name, fig in drawn.items()]
    epochs = len(result.epoch_step)
    return load_template(TEMPLATES, "watch-live.html").render(
        title=settings.model or "model",
        length=f"{epochs} epoch{'' if epochs == 1 else 's'}",
        verdict=verdict(findings),
        findings=[shown(finding) for finding in findings],
        documentation=DOCUMENTATION,
        pictures=pictures,
    )


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
