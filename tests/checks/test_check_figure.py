"""The figure of a check: what is drawn is what was checked, and every item can be drawn.

Would miss: a figure that is right and ugly.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.text import Text

from dlhw.checks.answers import Answer, Detection
from dlhw.checks.examination import table_of
from dlhw.checks.figure import figure
from dlhw.checks.items import items
from dlhw.present.render import render

SOME, MANY = 3, 3000
REASON = "The log-log slope of value against batch is -1.00 (95 % interval -1.02 to -0.98). Right ones have none."


def columns_of(name: str, rows: int) -> dict[str, object]:
    rng = np.random.default_rng(rows)
    values: dict[str, object] = {}
    for k, column in enumerate(items()[name].columns):
        if column.text:
            values[column.name] = [f"{8 + r}-{4 + r}" for r in range(rows)]
        elif column.fraction:
            values[column.name] = rng.uniform(0, 1, rows) / (rows if name == "pca-path" else 1)
        elif column.many:
            values[column.name] = rng.uniform(0.1, 1, (rows, 3))
        elif column.name == "parameters":
            values[column.name] = rng.integers(100, 10_000, rows)
        elif name == "hessian" and column.name == "eigenvalue":
            values[column.name] = np.sort(rng.normal(0, 1, rows) ** 3)
        else:
            values[column.name] = np.arange(1.0, rows + 1) if k == 0 else rng.uniform(0.1, 3, rows)
    return values


def answer_of(name: str, at: tuple[int, ...] | None) -> Answer:
    if at is None:
        return Answer(name, (), (("running-mean", "there is no test loss"),), ("negative-loss", "log-base-ten"))
    mark = Detection("a-mistake", REASON, "mistake", "the gradient of a batch mean", "Take one an example.", 0.01, at)
    return Answer(name, (mark,), (), ())


@pytest.mark.parametrize("rows", [SOME, MANY])
@pytest.mark.parametrize("name", sorted(items()))
def test_every_item_can_be_drawn(name, rows):
    rows = 12 if rows == MANY and name == "equal-parameters" else rows
    table = table_of(items()[name], columns_of(name, rows))
    for at in (None, (0, 2), ()):
        fig = figure(answer_of(name, at), table)
        assert len(render(fig, "png", 60)) > 3000
        written = " ".join(text.get_text() for text in fig.texts).replace("\n", " ")
        assert name in written
        assert ("consistent" if at is None else REASON) in written
        box = fig.bbox
        for text in fig.findobj(Text):
            if text.get_text() and text.get_visible() and text in fig.texts:
                extent = text.get_window_extent()
                assert box.x0 <= extent.x0
                assert extent.x1 <= box.x1
                assert box.y0 <= extent.y0
                assert extent.y1 <= box.y1


def test_rows_that_show_a_mistake_are_ringed():
    table = table_of(items()["sensitivity"], {"batch": [16, 32, 64, 128], "value": [4.0, 3.0, 2.0, 1.0]})
    (axes,) = figure(answer_of("sensitivity", (1, 3)), table).axes
    (ring,) = [line for line in axes.lines if line.get_label() == "where it shows"]
    assert ring.get_xdata().tolist() == [32, 128]
    assert ring.get_ydata().tolist() == [3, 1]


def test_the_numbers_are_drawn_as_they_are():
    values = {"batch": [64, 16, 256], "value": [0.2, 0.3, 0.1]}
    (axes,) = figure(answer_of("sensitivity", None), table_of(items()["sensitivity"], values)).axes
    (mine,) = [line for line in axes.lines if line.get_label() == "yours"]
    assert dict(zip(mine.get_xdata(), mine.get_ydata(), strict=True)) == {16: 0.3, 64: 0.2, 256: 0.1}
    assert axes.get_xscale() == axes.get_yscale() == "log"


@pytest.mark.parametrize("size", [1e-6, 0.3, 40.0])
def test_the_range_is_that_of_the_numbers(size):
    """Right sensitivities are 0.1 to 1.1: numbers far from them fill the panel, and words say where right ones are."""
    values = {"batch": [64, 256, 1024], "value": [size, 3 * size, 2 * size]}
    (axes,) = figure(answer_of("sensitivity", None), table_of(items()["sensitivity"], values)).axes
    low, high = np.log10(axes.get_ylim())
    assert low < np.log10(size)
    assert high > np.log10(3 * size)
    assert high - low <= 4.5 * np.log10(3)
    words = [text.get_text() for text in axes.texts]
    assert [word.split(":")[0].split()[-1] for word in words] == {1e-6: ["above"], 0.3: [], 40.0: ["below"]}[size]


def test_a_band_near_the_numbers_is_in_the_range():
    values = {"batch": [64, 256, 1024], "value": [0.1, 0.02, 0.004]}
    (axes,) = figure(answer_of("sensitivity", None), table_of(items()["sensitivity"], values)).axes
    assert axes.get_ylim()[1] > 1
    assert not axes.texts


def test_a_band_at_other_losses_does_not_stretch_the_axis():
    values = {"loss": [1e-9, 3e-9, 8e-9], "ratio": [0.9, 1.2, 0.8]}
    (axes,) = figure(answer_of("minimal-ratio", None), table_of(items()["minimal-ratio"], values)).axes
    assert axes.get_xlim()[1] < 1e-8
    assert axes.get_ylim()[1] > 1.2
    assert "right measurements lie at" in axes.texts[0].get_text()


def test_norms_of_layers_are_drawn_as_the_root_of_their_squares():
    layers = np.array([[3.0, 4.0], [6.0, 8.0], [5.0, 12.0]])
    table = table_of(items()["gradient-norm"], {"iteration": [1, 2, 3], "norm": [7, 14, 17], "layer": layers})
    axes = figure(answer_of("gradient-norm", None), table).axes[0]
    (root,) = [line for line in axes.lines if "sum of squares" in line.get_label()]
    assert root.get_ydata().tolist() == [5, 10, 13]


def test_counts_that_follow_from_the_widths_are_beside_the_stated_ones():
    """Against counts by hand: (1 + 1) 3 + (3 + 1) 1 = 10, and (1 + 1) 2 + (2 + 1) 2 + (2 + 1) 1 = 13."""
    values = {"parameters": [6, 8], "net": ["3", "2-2"], "inputs": 1, "outputs": 1}
    (axes,) = figure(answer_of("equal-parameters", ()), table_of(items()["equal-parameters"], values)).axes
    ticks = {float(x) for line in axes.lines for x in np.ravel(line.get_xdata())}
    assert ticks == {10, 13}
    assert sorted(bar.get_width() for bar in axes.patches) == [6, 8]


def test_a_figure_loads_neither_tensorflow_nor_scipy():
    code = """
import sys
from dlhw.checks.examination import examine, table_of
from dlhw.checks.figure import figure
from dlhw.checks.items import item
from dlhw.present.render import render
for name, values in {
    "pca-path": {"share": [0.6, 0.2, 0.1]},
    "equal-parameters": {"parameters": [571, 572], "net": ["190", "10-18-15-4"], "inputs": 1, "outputs": 1},
    "loss": {"value": [2.3, 1.2, 0.4]},
}.items():
    table = table_of(item(name), values)
    render(figure(examine(table), table), "png")
assert not {"tensorflow", "keras", "sklearn", "scipy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
