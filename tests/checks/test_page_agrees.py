"""The report's page checks numbers that readers type by the same rules as `dlhw check`: both give one answer.

Oracle: dlhw.checks itself, whose rules have tests of their own. Every table is judged by both, and codes, sentences and
the rules without a mark must be equal. Would miss: a rule that both have wrong, and a column that no panel offers.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from dlhw.checks.examination import examine, table_of
from dlhw.checks.in_page import IN_PAGE, rules_in_page
from dlhw.checks.items import item
from dlhw.report import interactive
from dlhw.report.writer import TEMPLATES
from tests.test_page_in_browser import CHROMIUM, in_browser
from tests.test_page_in_browser import kept as kept
from tests.test_page_in_browser import page as page

FILES = ("checks.js", "check_rules.js", "check_curves.js")


def sensitivities():
    """Sweeps that fall as B^-k, rise, scatter, or have a sign."""
    for k, noise, seed in itertools.product((-0.3, 0.0, 0.4, 1.0, 2.0), (0.02, 0.3), range(2)):
        rng = np.random.default_rng(seed)
        batch = np.array([16, 64, 256, 1024, 4096])
        yield batch, 0.3 * batch**-k * np.exp(noise * rng.normal(size=5))
    yield [64, 128, 256], [0.3, -0.2, 0.1]
    yield [256, 64, 128, 32], [0.1, 0.3, 0.2, -0.2]
    yield [64, 128], [0.3, 0.2]
    yield np.tile([32, 128, 512], 9), 3 / np.tile([32, 128, 512], 9) + np.linspace(0, 1e-4, 27)
    yield 2 ** np.arange(3, 27), 2.0 ** -np.arange(3, 27)


def lines():
    """Curves over alpha: with a barrier, in place, constant, on a coarse grid, with several seeds, below zero."""
    for alphas in (np.linspace(-1, 2, 61), np.linspace(-1, 2, 50), np.linspace(0, 1, 11), [0.2, 0.8]):
        a = np.asarray(alphas)
        yield a, 0.1 + 1.5 * np.exp(-20 * (a - 0.5) ** 2)
        yield a, 0.2 + np.abs(np.cumprod(1 - a))
        yield a, np.full(len(a), 0.12345)
        yield a, np.round(0.1 + 0.01 * a, 1)
    yield np.tile(np.linspace(0, 1, 5), 2), np.linspace(0.2, 0.9, 10)
    yield [0, 0.5, 1], [0.1, -0.5, 0.2]
    yield [1, 0, 0.5, 0.5], [0.1, 0.2, 0.2, -0.5]


def epochs():
    """Losses and accuracies of trainings on random labels, that learn, do not, or leak; in per cent too."""
    rng, x = np.random.default_rng(0), np.arange(0, 30)
    yield x, 2.3 * np.exp(-x / 20)
    yield x, 2.303 + 1e-4 * rng.normal(size=30)
    yield x, 0.1 + 0.9 * (1 - np.exp(-x / 10))
    yield x, 0.1 + 0.0012 * rng.normal(size=30)
    yield x[:12], 0.1 + 0.0012 * rng.normal(size=12)
    yield x[:12], 2.303 + 1e-4 * rng.normal(size=12)
    yield np.arange(1201), 0.1 + 0.0012 * rng.normal(size=1201)
    yield x, 10 + 0.12 * rng.normal(size=30)
    yield x, 0.1 + 0.0001 * x
    yield x, np.full(30, 0.31)
    yield x, np.full(30, 0.07)
    yield x[:4], [2.3, 2.1, 1.9, 1.5]
    yield x, 1 + x / 10
    yield x, np.where(x == 7, 101.3, 90.1)
    yield x, 150 + rng.normal(size=30)
    yield x[:6], np.full(6, 1.23456)


def shares():
    """Shares of a random walk, of a line, of several paths."""
    k = np.arange(1, 9)
    walk = 1 / np.sin(np.pi * k / 18) ** 2
    yield k, walk / walk.sum()
    yield k, 100 * walk / walk.sum()
    yield k, 0.9**k / 10
    yield k[:2], [0.6, 0.15]
    yield np.tile(k, 2), np.tile(walk / walk.sum(), 2)


PAIRS = {
    ("sensitivity", "batch", "value"): sensitivities,
    ("interpolation", "alpha", "train_loss"): lines,
    ("interpolation", "alpha", "test_loss"): lines,
    ("interpolation", "alpha", "test_accuracy"): lines,
    ("random-labels", "epoch", "train_loss"): epochs,
    ("random-labels", "epoch", "test_loss"): epochs,
    ("random-labels", "epoch", "train_accuracy"): epochs,
    ("random-labels", "epoch", "test_accuracy"): epochs,
    ("loss-curve", "epoch", "train_loss"): epochs,
    ("loss-curve", "epoch", "test_accuracy"): epochs,
    ("loss", "step", "value"): epochs,
    ("pca-path", "component", "share"): shares,
    ("minimal-ratio", "ratio", "loss"): lines,
}


def tables():
    for (name, x, y), pairs in PAIRS.items():
        for a, b in pairs():
            yield name, x, y, [float(v) for v in a], [float(v) for v in b]


def judged(name, x, y, a, b):
    answer = examine(table_of(item(name), {x: a, y: b}))
    marks = [[found.code, found.text] for found in answer.detections if found.code in IN_PAGE]
    return {"marks": sorted(marks), "decided": sorted(code for code in answer.decided if code in IN_PAGE)}


def test_every_rule_of_the_page_is_one_of_the_checks():
    assert {entry["code"] for entry in rules_in_page()} == set(IN_PAGE)
    assert all(entry["remedy"] and entry["title"] for entry in rules_in_page())


def test_the_tables_carry_every_mark_and_none():
    answers = [judged(*table) for table in tables()]
    assert {code for answer in answers for code, _ in answer["marks"]} == set(IN_PAGE)
    assert {code for answer in answers for code in answer["decided"]} >= set(IN_PAGE) - {"ratio-not-a-count"}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_both_give_the_same_answer(tmp_path):
    code = "\n".join((TEMPLATES / "interactive" / name).read_text(encoding="utf-8") for name in FILES)
    checks = [
        {"item": name, "x": x, "y": y, **first_and_fractions(name, x, y), "columns": [a, b]}
        for name, x, y, a, b in tables()
    ]
    script = f"""const rules = {interactive.check_rules()}, checks = {interactive.as_text(checks)};
    return checks.map(check => {{
      const {{ marks, decided }} = examine(check.item, tableOf(check, ...check.columns), rules);
      return {{ marks: marks.map(({{ code, reason }}) => [code, reason]).sort(), decided: decided.sort() }};
    }});"""
    answers = in_browser(f"<html><head></head><body><script>{code}</script></body></html>", script, tmp_path)
    for table, answer in zip(tables(), answers, strict=True):
        assert answer == judged(*table), table


def first_and_fractions(name, x, y):
    names = [column.name for column in item(name).columns if column.name in (x, y)]
    return {"first": names[0], "fractions": [n for n in names if item(name).column(n).fraction]}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_box_says_what_the_numbers_carry(page, tmp_path):
    script = """const f = figure("sweep-batch", 0), own = f.querySelector("details.chart-own"), out = {};
    const choice = own.querySelector("select"), said = () => own.querySelector(".chart-answer").textContent;
    choice.value = [...choice.options].findIndex(option => option.text.includes("sensitivity"));
    for (const [name, text] of Object.entries(TEXTS)) {
      own.querySelector("textarea").value = text;
      own.querySelectorAll("button")[0].click();
      out[name] = said();
      own.querySelectorAll("button")[1].click();
    }
    return { ...out, removed: said() };"""
    texts = {"falling": "64,0.1\n256,0.025\n1024,0.00625\n4096,0.00156", "flat": "64,.31\n256,.24\n1024,.2\n4096,.25"}
    texts["negative"] = "batch,value\n256,.3\n64,-.2\n128,.1"
    got = in_browser(page, script.replace("TEXTS", json.dumps(texts)), tmp_path)
    assert got["falling"].startswith("They carry the mark of batch-mean-gradient, the gradient of the batch mean.")
    assert "What to do: Take the gradient of the sum of the losses" in got["falling"]
    assert got["flat"].startswith("They carry no mark of batch-mean-gradient, batch-mean-gradient-twice")
    assert "value is -0.2 in row 2." in got["negative"]
    assert got["removed"] == ""
