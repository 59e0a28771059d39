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
from dlhw.watch import live
from dlhw.watch.diagnosis import Diagnosis
from tests.watch.synthetic import training

FIRST = Diagnosis("vanishing-gradient", "The gradient\nvanishes.", "severe", "dense", 3)
SECOND = Diagnosis("vanishing-gradient", "The gradient vanishes.", "severe", "dense_1", 4)
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


def test_a_finding_is_one_line_once():
    lines = []
    show = live.Display(write=lines.append)
    settings, result = training()
    show(settings, result, [FIRST])
    show(settings, result, [FIRST, SECOND])
    show(settings, result, [THIRD, FIRST, SECOND])
    assert lines == [
        "severe vanishing-gradient (layer dense, batch 3): The gradient vanishes.",
        "severe vanishing-gradient (layer dense_1, batch 4): The gradient vanishes.",
        "warning overfitting: Epoch 3 is the best.",
    ]


def test_the_rules_are_asked_where_no_findings_are_given(monkeypatch, capsys):
    asked = []
    settings, result = training()
    monkeypatch.setattr(live, "diagnose", lambda *given: asked.append(given) or (THIRD,))
    live.Display()(settings, result)
    assert capsys.readouterr().out == "warning overfitting: Epoch 3 is the best.\n"
    assert asked[0][0] is settings
    assert asked[0][1] is result


def test_a_notebook_shows_one_output_that_is_replaced(notebook):
    outputs, _ = notebook
    lines = []
    show = live.Display(live=True, write=lines.append)
    settings, result = training(epochs=1)
    show(settings, result, [])
    settings, result = training(epochs=2)
    show(settings, result, [FIRST])
    assert not lines
    (shown,) = outputs
    first, second = shown
    assert "1 epoch · no findings" in first
    assert "2 epochs · 1 severe" in second
    assert "vanishing-gradient" in second
    pictures = re.findall(r'src="data:image/png;base64,([^"]*)" alt="([^"]*)"', second)
    assert [name for _, name in pictures] == list(live.FIGURES)
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for data, _ in pictures)
    assert not re.search(r"https?://", second)


@pytest.mark.parametrize("wanted", [True, False])
def test_elsewhere_there_are_lines(wanted, notebook):
    outputs, shell = notebook
    if wanted:
        del shell.kernel  # IPython in a terminal
    lines = []
    live.Display(live=wanted, write=lines.append)(*training(), [THIRD])
    assert lines == ["warning overfitting: Epoch 3 is the best."]
    assert outputs == []


def test_without_ipython_nothing_imports_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    lines = []
    live.Display(live=True, write=lines.append)(*training(), [THIRD])
    assert lines
    assert "IPython" not in sys.modules


def test_a_picture_that_cannot_be_drawn_costs_the_pictures_and_nothing_else(notebook, monkeypatch):
    def broken(*given):
        raise MemoryError("too large")

    monkeypatch.setattr("dlhw.watch.figures.figures", broken)
    lines = []
    show = live.Display(live=True, write=lines.append)
    with pytest.warns(DlhwWarning, match=r"cannot be shown \(MemoryError: too large\)"):
        show(*training(), [THIRD])
    show(*training(), [THIRD, FIRST])
    assert lines == [live.line(THIRD), live.line(FIRST)]


def test_the_styles_reach_no_further_than_the_output():
    text = live.fragment(*training(epochs=1), (FIRST,))
    (styles,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    selectors = re.findall(r"(?:^|})\s*([^{}@]+){", re.sub(r"@media[^{]*{", "}", styles))
    assert selectors
    assert all(part.strip().startswith((".findings", ".dlhw-watch")) for s in selectors for part in s.split(","))
