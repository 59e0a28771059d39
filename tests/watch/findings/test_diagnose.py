"""All rules together: silence where nothing is wrong, causes before consequences, and a heading for every code.

Would miss: rules whose thresholds suit no real training. Those are judged in benchmarks/doctor.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_trainings import FACTS, LAYERS, REGRESSION, codes, falling, training

from dlhw.watch.diagnosis import SEVERITIES
from dlhw.watch.findings import diagnose
from dlhw.watch.findings.rules import EXPLAINS, RULES
from dlhw.watch.spec import Facts

ROOT = Path(__file__).parents[3]
CODES = {
    *("gradient-vanishes", "gradient-explodes", "dead-units", "saturated-units", "update-ratio-high"),
    *("update-ratio-low", "loss-not-finite", "rate-above-edge", "rate-below-edge", "nothing-learned"),
    *("output-and-loss", "broadcast-targets", "inputs-unscaled", "targets-unscaled", "constant-weights"),
    *("overfitting", "running-mean", "noise-scale", "dropout-extreme", "probe-differs", "no-gradient"),
}


@pytest.mark.parametrize("facts", [FACTS, REGRESSION, Facts()], ids=["classes", "numbers", "nothing known"])
@pytest.mark.parametrize("steps", [200, 25, 1])
def test_silence_where_nothing_is_wrong(facts, steps):
    if facts is REGRESSION:
        assert not codes(diagnose(*training(facts, loss=falling(1.2, 0.1, steps))))
    else:
        assert not codes(diagnose(*training(facts, loss=falling(count=steps))))


def test_a_training_that_has_not_begun_gives_no_finding():
    settings, result = training()
    empty = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray) and field.name not in ("updates", "unit_counts"):
            empty[field.name] = value[:0]
    assert diagnose(settings, dataclasses.replace(result, **empty)) == ()


def test_unknown_numbers_give_no_finding():
    """Nothing but nan, as for a model of which nothing could be measured."""
    settings, result = training(Facts())
    unknown = {
        field.name: np.full_like(getattr(result, field.name), np.nan)
        for field in dataclasses.fields(result)
        if np.issubdtype(getattr(getattr(result, field.name), "dtype", int), np.floating)
    }
    assert diagnose(settings, dataclasses.replace(result, **unknown)) == ()


def test_several_optimizers_have_losses_that_are_not_compared():
    flat = np.full(200, 2.3)
    assert "nothing-learned" in codes(diagnose(*training(loss=flat)))
    assert not codes(diagnose(*training(loss=flat, optimizers=("a", "b"), updates=np.array([100, 100]))))


def test_the_most_severe_finding_comes_first():
    found = diagnose(*training({"input_std": 80.0, "target_high": 12.0}, loss=falling(2.4, 1.8)))
    assert codes(found)[:2] == ["output-and-loss", "inputs-unscaled"]
    order = [SEVERITIES.index(finding.severity) for finding in found]
    assert order == sorted(order)


def test_consequences_are_not_reported_beside_their_cause():
    flat = np.full(200, 2.3)
    assert codes(diagnose(*training({"constant_layers": ("dense_0", "dense_1")}, loss=flat))) == ["constant-weights"]
    assert codes(diagnose(*training(dead_share=1.0, zero_share=1.0, loss=flat))) == ["dead-units"]


def test_a_note_does_not_hide_a_severe_finding():
    """Dead units of a training that learns are a note, which does not explain that a layer gets no gradient."""
    zero = np.full((200, LAYERS), 0.1)
    zero[:, 0] = 1.0
    assert codes(diagnose(*training(dead_share=0.6, zero_share=zero))) == ["no-gradient"]


def test_a_cause_is_as_severe_as_what_follows_from_it():
    pixels = {"input_mean": 33.0, "input_std": 79.0, "probe_mean": 33.0, "probe_std": 79.0}
    assert [f.severity for f in diagnose(*training(pixels)) if f.code == "inputs-unscaled"] == ["warning"]
    stuck = diagnose(*training(pixels, loss=np.full(200, 2.3)))
    assert [(f.code, f.severity) for f in stuck if f.severity != "note"] == [("inputs-unscaled", "severe")]


def test_every_finding_says_what_where_and_what_to_do():
    worst = [
        training({"target_high": 12.0, "input_std": 80.0, "dropout": (0.9,), "constant_layers": ("dense_0",)}),
        training({"probe_std": 80.0}, loss=np.where(np.arange(200) < 50, 2.3, np.nan)),
        training(dead_share=1.0, saturated_share=0.9, loss=np.full(200, 2.3), update_norm=5.0),
    ]
    found = [finding for case in worst for judge in RULES for finding in judge(*case)]
    assert len({finding.code for finding in found}) > 8
    for finding in found:
        assert finding.text.endswith(".")
        assert finding.remedy.endswith(".")
        assert re.search(r"\d", finding.text)
        assert re.search(r"\d{4}|Keras|CS231n", finding.source)
        assert finding.evidence
        assert all(isinstance(value, float) for value in finding.evidence.values())


def test_every_code_has_its_heading_and_every_heading_its_code():
    sources = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "dlhw" / "watch" / "findings").glob("*.py"))
    written = set(re.findall(r'"([a-z]+(?:-[a-z]+)+|overfitting)"', sources))
    headings = set(
        re.findall(r"^#+ ([a-z]+(?:-[a-z]+)+|overfitting)$", (ROOT / "docs" / "watch.md").read_text("utf-8"), re.M)
    )
    assert written == CODES
    assert headings == CODES
    assert {code for causes in EXPLAINS.items() for code in (causes[0], *causes[1])} <= CODES


def test_rules_need_no_tensorflow():
    script = "import sys, dlhw.watch.findings; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
