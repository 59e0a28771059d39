"""The programs on which findings are judged: named, described, built, split; and the counting of the table.

Would miss: a program whose stated fault is not the one that it has.
"""

from __future__ import annotations

import re
from collections import Counter

import keras
import numpy as np
import pytest

from benchmarks.doctor import catalogue, judge, tables
from benchmarks.doctor.program import CODES, PLACES, Criterion, Program, Truth
from benchmarks.doctor.train import built
from dlhw.watch.diagnosis import Diagnosis

PROGRAMS = catalogue.programs()
BROKEN = [p for p in PROGRAMS if p.truth is not None]
HEALTHY = [p for p in PROGRAMS if p.truth is None]


def test_there_are_enough_programs_and_their_names_are_unique():
    assert len(BROKEN) >= 36
    assert len(HEALTHY) >= 100
    assert len({p.name for p in PROGRAMS}) == len(PROGRAMS)
    assert all(re.fullmatch(r"[a-z0-9-]+", p.name) for p in PROGRAMS)


def test_every_broken_program_is_described():
    for program in BROKEN:
        truth = program.truth
        assert truth.codes, program.name
        assert {*truth.codes} <= {*CODES}, program.name
        assert truth.places, program.name
        assert truth.wrong.endswith("."), program.name
        assert truth.source, program.name
        assert program.criterion is None, program.name
    posts = re.findall(r"Stack Overflow (\d+)", " ".join(p.truth.source for p in BROKEN))
    assert len(posts) >= 30
    assert len({*posts}) == len(posts)


def test_every_healthy_training_has_a_criterion():
    assert all(p.criterion is not None for p in HEALTHY)
    assert len({p.kind for p in HEALTHY}) >= 5
    assert len({p.family for p in HEALTHY}) >= 40


def test_halves_are_even_fixed_and_keep_families_together():
    halves = catalogue.halves(PROGRAMS)
    for kind in (BROKEN, HEALTHY):
        count = Counter(halves[p.name] for p in kind)
        assert abs(count["tuning"] - count["reporting"]) <= 0.15 * len(kind)
    assert halves == catalogue.halves(PROGRAMS[::-1])
    of_family = {(p.family, halves[p.name]) for p in PROGRAMS}
    assert len(of_family) == len({p.family for p in PROGRAMS})


def _quick(program: Program) -> bool:
    return program.truth is not None or program.seed == 0


CASES = [p if _quick(p) else pytest.param(p, marks=pytest.mark.slow) for p in PROGRAMS]


@pytest.mark.parametrize("program", CASES, ids=lambda p: p.name)
def test_every_program_builds(program, monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda *args, **kwargs: None)  # of layers that are trained beforehand
    training = built(program)
    outputs = training.model(_first(training.probe[0], 3), training=False)
    assert training.model.compiled
    assert outputs.shape[0] == 3
    layers = {layer.name for layer in training.model.layers}
    if program.truth is not None:
        assert {*program.truth.places} <= layers | {*PLACES}, program.name
    if training.y is not None:
        assert len(training.y) == len(_first(training.x, None))


def _first(x, n):
    return _one(x)[:n] if not isinstance(x, list) else ([part[:n] for part in x] if n else x[0])


def _one(x):
    return np.asarray(x)


def finding(code: str, layer: str = "", place: str = "") -> Diagnosis:
    return Diagnosis(code, "", layer=layer, place=place)


def test_counts_of_a_table_worked_out_by_hand():
    truth = Truth("kind", "Wrong.", ("dead-units", "rate-above-edge"), ("dense_2", "optimizer"), "none")
    broken = Program("a", None, truth=truth, kind="kind")
    well = Program("b", None, criterion=Criterion("accuracy", 0.9), kind="net")
    verdicts = [
        judge.Verdict(broken, "tuning", (finding("dead-units", "dense_1"),)),  # seen, wrong layer
        judge.Verdict(broken, "tuning", (finding("overfitting"), finding("dead-units", "net/dense_2"))),  # not first
        judge.Verdict(broken, "reporting", (finding("rate-above-edge", place="optimizer"),)),
        judge.Verdict(broken, "reporting", (finding("overfitting", "dense_2"),)),  # missed
        judge.Verdict(well, "reporting", (finding("noise-scale"),)),
        judge.Verdict(well, "reporting", ()),
    ]
    assert judge.counts(verdicts) == {
        "broken": 4, "seen": 3, "seen first": 2, "located": 2, "healthy": 2, "false alarms": 1,
    }  # fmt: skip
    codes = judge.by_code(verdicts)
    assert codes["dead-units"] == {"right": 2, "other": 0, "false alarms": 0}
    assert codes["overfitting"] == {"right": 0, "other": 2, "false alarms": 0}
    assert codes["noise-scale"] == {"right": 0, "other": 0, "false alarms": 1}
    assert "| both | 3 of 4 (75 %) | 2 of 4 (50 %) | 2 of 4 (50 %) | 1 of 2 (50 %) |" in tables.text(verdicts, True)


def test_a_criterion_holds_on_its_side_and_never_for_what_is_not_a_number():
    assert Criterion("accuracy", 0.9).holds({"accuracy": 0.9})
    assert not Criterion("accuracy", 0.9).holds({"accuracy": 0.89})
    assert Criterion("loss", 0.1, at_least=False).holds({"loss": 0.1})
    assert not Criterion("loss", 0.1, at_least=False).holds({"loss": float("nan")})
    assert not Criterion("loss", 0.1, at_least=False).holds({})
