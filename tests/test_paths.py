"""`interpolate` with `align` and `curve`: other ways between the two nets of a pair.

Oracles: a pair whose second net is a permuted copy of the first, for which alignment leaves nothing of the distance;
the line itself, whose ends every way shares; findings from numbers written here, on both sides of their thresholds.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import dlhw as library
from dlhw.checkpoints import FolderCheckpoints
from dlhw.errors import UserError
from dlhw.experiments.interpolate import path_findings
from dlhw.experiments.interpolate.findings import summary
from dlhw.experiments.interpolate.lines import Pair
from dlhw.present.curves import CURVES
from dlhw.runs import experiment as registry
from dlhw.runs import runner
from dlhw.runs.context import Context
from dlhw.runs.tasks import detached_task

LINES = registry.get("interpolate")
SETTINGS = dataclasses.replace(LINES.tiny, align=True, curve=True, curve_epochs=3, seeds=1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return runner.execute("interpolate", SETTINGS, Context(checkpoints=FolderCheckpoints(folder), jobs=1)), folder


def test_every_way_has_the_ends_of_the_line(measured):
    result = measured[0].result
    a, b = (int(np.flatnonzero(result.alphas == alpha)[0]) for alpha in (0, 1))
    np.testing.assert_array_equal(result.curve_positions, [0.0, 0.5, 1.0])
    for name in CURVES:
        line, aligned, curve = (getattr(result, prefix + name) for prefix in ("", "aligned_", "curve_"))
        np.testing.assert_allclose(aligned[..., [a, b]], line[..., [a, b]], rtol=1e-5)
        np.testing.assert_allclose(curve[..., [0, -1]], line[..., [a, b]], rtol=1e-5)
    assert (result.aligned_train_loss[..., a + 1] != result.train_loss[..., a + 1]).all()
    assert (result.aligned_distance < result.distance).all()
    assert ((result.moved_units > 0) & (result.moved_units <= 1)).all()


def test_the_run_is_stored_drawn_and_resumed(measured, tmp_path):
    run, folder = measured
    loaded = library.load(run.save(tmp_path))
    assert str(loaded.summary()) == str(run.summary())
    assert set(run.figures()) == set(run.interactive()) == {"line", "paths"}
    assert {"permutation", "curved-path"} <= {finding.code for finding in run.summary().findings}
    numbers = run.summary().numbers["batch-size=20,50"]
    assert numbers["aligned"]["train_barrier_over_chord"]["n"] == numbers["curve"]["train_barrier_over_mean"]["n"] == 1
    assert [row[0] for row in run.summary().rows] == [
        "batch-size=20,50", "batch-size=20,50, line after alignment", "batch-size=20,50, curve",
    ]  # fmt: skip
    steps = []
    parts = FolderCheckpoints(folder)
    again = runner.execute("interpolate", SETTINGS, Context(lambda *a, **_: steps.append(a), parts, jobs=1))
    assert not steps
    np.testing.assert_array_equal(again.result.curve_train_loss, run.result.curve_train_loss)


def test_without_them_nothing_changes(tiny_run):
    run = tiny_run("interpolate")
    assert set(run.figures()) == set(run.interactive()) == {"line"}
    assert run.result.aligned_train_loss is run.result.curve_train_loss is None
    assert {"align", "curve", "matching", "curve_epochs"} <= set(run.settings.unused())
    assert not {"align", "curve", "matching", "curve_epochs"} & set(SETTINGS.unused())
    assert "aligned" not in run.summary().numbers["batch-size=20,50"]


def test_a_permuted_copy_is_brought_back():
    """The trainings of a pair are replaced by a net and its copy with the hidden units of "8" in another order."""
    from dlhw import measure, models
    from dlhw.experiments.interpolate.paths import measure_aligned
    from dlhw.runs.image_trainer import ImageTrainer

    net = models.image_net(SETTINGS.net, (8, 8, 1), 10, seed=5)
    copy = models.copied(net)
    order = np.array([3, 0, 7, 1, 2, 6, 4, 5])
    w, b, v, c = net.get_weights()
    copy.set_weights([w[:, order], b[order], v[order], c])
    ends = [SimpleNamespace(diverged=False, weights=[measure.flat(model)]) for model in (net, copy)]
    trainer = ImageTrainer(SETTINGS, Context())
    arrays = measure_aligned(SETTINGS, trainer, Pair(0, tuple(ends)), detached_task("aligned"))
    assert float(arrays["distance"]) == 0
    assert float(arrays["moved"]) == 1
    assert np.ptp(arrays["train_loss"]) < 1e-6
    lost = [SimpleNamespace(diverged=True, weights=None), ends[1]]
    nothing = measure_aligned(SETTINGS, trainer, Pair(0, tuple(lost)), detached_task("aligned"))
    assert np.isnan(nothing["train_loss"]).all()
    assert np.isnan(nothing["distance"])


@pytest.mark.slow
def test_pairs_that_differ_by_chance_alone():
    """seed=0,1: own starts, or one start and another order of the examples (Frankle et al. 2020)."""
    settings = dataclasses.replace(LINES.tiny, by=("seed=0,1",), seeds=1)
    own, shared = (
        runner.execute("interpolate", dataclasses.replace(settings, own_start=is_own), Context(jobs=1)).result
        for is_own in (True, False)
    )
    assert 0 < shared.distance[0, 0] < own.distance[0, 0] / 2
    np.testing.assert_array_equal(own.train_loss[0, 0, 1], shared.train_loss[0, 0, 1])  # A is one net


def numbers(naive, aligned):
    naive, aligned = np.array(naive, float), np.array(aligned, float)
    share = np.where(naive > path_findings.CLEAR, (naive - aligned) / naive, np.nan)
    moved = np.full(len(naive), 0.9)
    return (
        {"train_barrier_over_chord": naive},
        {"train_barrier_over_chord": aligned, "share_of_permutation": share, "moved_units": moved},
    )


@pytest.mark.parametrize(
    ("naive", "aligned", "words"),
    [
        ([1.0, 2.0], [0.25, 0.5], "75.00 % (75.00 to 75.00) of it was permutation; at least that"),
        ([1.0, 2.0], [0.01, 0.02], "all of it, as far as 0.05 nats show, was permutation"),
        ([1.0, 2.0], [1.5, 2.0], "none of the barrier was shown to be permutation"),
        ([1.0, 2.0], [1.5, 1.0], "falls in some seeds and rises in others"),
        ([0.01, 0.02], [0.0, 0.0], "there was no barrier above 0.05 nats to explain"),
        ([0.01, 2.0], [0.0, 0.0], "only some seeds have a barrier"),
        ([1.0, np.nan], [0.2, np.nan], "with one seed, nothing can be concluded"),
    ],
)
def test_which_part_was_permutation(naive, aligned, words):
    line, other = numbers(naive, aligned)
    (finding,) = path_findings.other_ways(SETTINGS, "batch-size=20,50", line, {"aligned": other}, True)
    assert finding.code == "permutation"
    assert words in finding.text
    assert "closest in their weights" in finding.text
    assert "90.00 %" in finding.text


@pytest.mark.parametrize(
    ("naive", "curve", "words"),
    [
        (
            [1.0, 2.0],
            [0.01, 0.02],
            "joined by a path without a barrier in every seed, which says nothing of the straight",
        ),
        ([1.0, 2.0], [0.5, 0.02], "lower than the line in every seed, but not without a barrier"),
        ([1.0, 2.0], [1.5, 0.02], "not lower than the line in every seed"),
        ([1.0, np.nan], [0.01, np.nan], "with one seed, nothing can be concluded"),
    ],
)
def test_whether_a_curve_joins_the_nets(naive, curve, words):
    line = {"train_barrier_over_chord": np.array(naive)}
    others = {"curve": {"train_barrier_over_chord": np.array(curve)}}
    (finding,) = path_findings.other_ways(SETTINGS, "batch-size=20,50", line, others, True)
    assert finding.code == "curved-path"
    assert words in finding.text


def test_an_end_that_has_learned_nothing_has_no_verdict(measured):
    """Two seeds without a barrier; then those in which B guesses, of two pairs of which the other one has learned."""
    result, codes = measured[0].result, ("barrier", "permutation", "curved-path")
    settings = dataclasses.replace(SETTINGS, seeds=2, by=("batch-size=20,50", "batch-size=20,40"))

    def twice(value):
        if not isinstance(value, np.ndarray) or value.ndim < 2 or len(value) != 1:
            return value
        return np.tile(value, (2, 2, *(1,) * (value.ndim - 2)))

    fields = {f.name: twice(getattr(result, f.name)) for f in dataclasses.fields(result)}
    fields |= {name: 0.1 * np.ones_like(v) for name, v in fields.items() if name.endswith("_loss")}
    fields |= {name: 0.9 * np.ones_like(v) for name, v in fields.items() if name.endswith("_accuracy")}
    flat = dataclasses.replace(result, **fields)
    texts = {code: [f.text for f in summary(settings, flat).findings if f.code == code] for code in codes}
    assert all("there is no barrier above 0.05 nats" in text for text in texts["barrier"])
    assert all("joined by a path without a barrier in every seed" in text for text in texts["curved-path"])
    accuracy = flat.train_accuracy.copy()
    accuracy[1, :, np.flatnonzero(flat.alphas == 1)] = 0.12
    stuck = summary(settings, dataclasses.replace(flat, train_accuracy=accuracy)).findings
    assert [f.code for f in stuck].count("at-chance") == 1
    for code in codes:
        one, other = [f.text for f in stuck if f.code == code]
        assert one == texts[code][0]
        assert "a net that has learned nothing is no end of a path" in other
        assert "without a barrier" not in other
        assert "no barrier" not in other


def test_wrong_settings_are_refused_in_one_line():
    for values, why in (
        ({"matching": "correlation"}, "`matching` applies to `align`, which is off"),
        ({"align": True, "matching": "luck"}, "`matching`"),
        ({"curve_epochs": 0}, "`curve_epochs` 0 must lie in"),
        ({"by": ("seed=0,2",)}, "must be 0 or 1"),
    ):
        with pytest.raises(UserError, match=why) as caught:
            dataclasses.replace(LINES.tiny, **values)
        assert "\n" not in str(caught.value)
