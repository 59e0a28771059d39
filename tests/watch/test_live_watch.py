"""What a watched training shows while it runs: lines once, and in a notebook one output that is replaced.

IPython is not needed by the library and not installed for the tests: a module in its place records what it is asked to
show. Would miss: what a notebook makes of the HTML.
"""

from __future__ import annotations

import base64
import re
import sys
import types

import pytest

from dlhw.errors import DlhwWarning
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.display import live
from tests.watch.synthetic import training

FIRST = Diagnosis("vanishing-gradient", "The gradient\nvanishes.", "severe", "dense", 3)
SECOND = Diagnosis("vanishing-gradient", "The gradient vanishes.", "severe", "dense_1", 4)
NOTE = Diagnosis("probe-small", "The probe has 20 examples.", "note")
THIRD = Diagnosis("overfitting", "Epoch 3 is the best.", "warning")


@pytest.fixture
def notebook(monkeypatch):
    """A notebook that records: its outputs, each a list of what it has shown."""
    outputs = []

    class Handle:
        def __init__(self, shown):
            self.shown = shown

        def update(self, value):
            self.shown.append(value)

    def display(value, display_id=False):
        assert display_id
        outputs.append([value])
        return Handle(outputs[-1])

    shell = types.SimpleNamespace(kernel=object())
    main, of_display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    main.get_ipython, main.display, main.version_info = lambda: shell, of_display, (9, 0)  # Matplotlib reads it
    of_display.display, of_display.HTML = display, str
    monkeypatch.setitem(sys.modules, "IPython", main)
    monkeypatch.setitem(sys.modules, "IPython.display", of_display)
    return outputs, shell


@pytest.fixture
def found(monkeypatch):
    """Put findings in place of those of the rules: found(FIRST, THIRD)."""

    def put(*diagnoses):
        monkeypatch.setattr(live, "diagnose", lambda settings, result: diagnoses)

    put()
    return put


def test_a_finding_is_one_line_once(found):
    lines = []
    display = live.Display(write=lines.append)
    for diagnoses in ([FIRST], [FIRST, SECOND], [THIRD, FIRST, SECOND]):
        found(*diagnoses)
        display.show(*training())
    assert lines == [
        "severe vanishing-gradient (layer dense, batch 3): The gradient vanishes.",
        "severe vanishing-gradient (layer dense_1, batch 4): The gradient vanishes.",
        "warning overfitting: Epoch 3 is the best.",
    ]


def test_notes_wait_for_the_end(found):
    lines = []
    display = live.Display(write=lines.append)
    found(NOTE, THIRD)
    display.show(*training())
    assert lines == [live.line(THIRD)]
    display.show(*training(), final=True)
    assert lines == [live.line(THIRD), "note probe-small: The probe has 20 examples."]


def test_the_rules_are_asked_for_what_was_recorded(monkeypatch, capsys):
    asked = []
    settings, result = training()
    monkeypatch.setattr(live, "diagnose", lambda *given: asked.append(given) or (THIRD,))
    live.Display().show(settings, result)
    assert capsys.readouterr().out == "warning overfitting: Epoch 3 is the best.\n"
    assert asked[0][0] is settings
    assert asked[0][1] is result


def test_a_notebook_shows_one_output_that_is_replaced(notebook, found):
    outputs, _ = notebook
    lines = []
    display = live.Display(live=True, write=lines.append)
    display.show(*training(epochs=1))
    found(FIRST)
    display.show(*training(epochs=2))
    display.show(*training(epochs=2), final=True)
    assert not lines
    (shown,) = outputs
    first, second, last = shown
    assert "1 epoch · no findings" in first
    assert "2 epochs · 1 severe" in second
    assert "vanishing-gradient" in second
    pictures = re.findall(r'src="data:image/png;base64,([^"]*)" alt="([^"]*)"', second)
    assert [name for _, name in pictures] == list(live.FIGURES)
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for data, _ in pictures)
    assert last.count("<img") == 6
    assert not re.search(r"https?://", last)


@pytest.mark.parametrize("wanted", [True, False])
def test_elsewhere_there_are_lines(wanted, notebook, found):
    outputs, shell = notebook
    found(THIRD)
    if wanted:
        del shell.kernel  # IPython in a terminal
    lines = []
    live.Display(live=wanted, write=lines.append).show(*training())
    assert lines == ["warning overfitting: Epoch 3 is the best."]
    assert outputs == []


def test_without_ipython_nothing_imports_it(monkeypatch, found):
    found(THIRD)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    lines = []
    live.Display(live=True, write=lines.append).show(*training())
    assert lines
    assert "IPython" not in sys.modules


def test_a_picture_that_cannot_be_drawn_costs_the_pictures_and_nothing_else(notebook, found, monkeypatch):
    def broken(*given):
        raise MemoryError("too large")

    monkeypatch.setattr(live, "figures", broken)
    lines = []
    display = live.Display(live=True, write=lines.append)
    found(THIRD)
    with pytest.warns(DlhwWarning, match=r"cannot be shown \(MemoryError: too large\)"):
        display.show(*training())
    found(THIRD, FIRST)
    display.show(*training())
    assert lines == [live.line(THIRD), live.line(FIRST)]


def test_the_styles_reach_no_further_than_the_output():
    text = live.fragment(*training(epochs=1), (FIRST,))
    (styles,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    selectors = re.findall(r"(?:^|})\s*([^{}@]+){", re.sub(r"@media[^{]*{", "}", styles))
    assert selectors
    assert all(part.strip().startswith((".findings", ".dlhw-watch")) for s in selectors for part in s.split(","))
