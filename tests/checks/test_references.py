"""References of the checks: bands of right measurements.

Would miss: a band whose right measurements share one mistake.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.checking import references as made
from dlhw.checks import references
from dlhw.checks.items import items

STORED = sorted(path.stem for path in references.FOLDER.glob("*.json"))


def test_references_are_small():
    assert sum(path.stat().st_size for path in references.FOLDER.glob("*.json")) < 60_000


@pytest.mark.parametrize("name", STORED)
def test_bands_are_in_order_and_belong_to_columns(name):
    assert set(STORED) <= set(items())
    columns = {column.name for column in items()[name].columns}
    facts = {fact.name for fact in items()[name].facts}
    assert references.references(name)
    for entry in references.references(name):
        assert entry.tables >= 3
        assert set(entry.setting) <= facts
        assert entry.bands
        assert set(entry.bands) <= columns
        for band in entry.bands.values():
            assert (np.diff(band.x) > 0).all()
            assert (band.low <= band.median).all()
            assert (band.median <= band.high).all()
            if len(band.x) > 1:
                assert (band.high > band.low).any(), "one value is no band"


def test_the_narrowest_setting_that_fits_is_taken():
    shared = references.reference("interpolation", {"shared_start": "yes"})
    own = references.reference("interpolation", {"shared_start": "no"})
    anything = references.reference("interpolation", {})
    assert [dict(entry.setting) for entry in (shared, own, anything)] == [
        {"shared_start": "yes"},
        {"shared_start": "no"},
        {},
    ]
    assert references.reference("sensitivity", {"data": "CIFAR10"}).setting == {}
    assert references.reference("equal-parameters", {}) is None


def test_numbers_of_a_setting_may_differ_a_little():
    assert references.reference("parameters", {"inputs": 784, "outputs": 10}).setting == {"inputs": 784}
    assert references.reference("parameters", {"inputs": 1}).setting == {}


def test_random_labels_do_not_look_learned_in_the_reference():
    """Test accuracy after random labels is that of guessing; after true ones it is not."""
    after_random = references.reference("random-labels", {}).bands["test_accuracy"]
    after_true = references.reference("loss-curve", {}).bands["test_accuracy"]
    assert after_random.median.max() < 0.25
    assert after_true.median[-1] > 0.75


def test_a_band_is_the_quantiles_of_the_curves():
    """Against NumPy on lines whose values at every x are known."""
    x = np.geomspace(10, 1000, 7)
    slopes = np.linspace(1, 2, 11)
    tables = [made.Right({"batch": x, "value": slope * np.log(x)}, "digits", {}) for slope in slopes]
    band = made.band_of("sensitivity", "value", tables)
    at = np.isclose(band["x"], 1000)
    assert at.sum() == 1
    wanted = np.quantile(slopes, made.QUANTILES) * np.log(1000)
    assert [np.array(band[key])[at][0] for key in ("low", "median", "high")] == pytest.approx(wanted, rel=0.01)


def test_there_is_no_band_of_fewer_than_three_tables():
    tables = [made.Right({"batch": [1, 2, 3], "value": [1.0, 2.0, k]}, "digits", {}) for k in range(2)]
    assert made.band_of("sensitivity", "value", tables) is None


def test_points_of_a_scatter_are_grouped_by_x():
    rng = np.random.default_rng(0)
    loss = rng.uniform(0, 1, 400)
    table = made.Right({"loss": loss, "ratio": loss + rng.uniform(-0.01, 0.01, 400)}, "digits", {})
    band = made.band_of("minimal-ratio", "ratio", [table] * 3)
    assert np.abs(np.array(band["median"]) - band["x"]).max() < 0.03


def test_references_load_no_tensorflow():
    code = "import sys; from dlhw.checks.references import reference; reference('loss', {'kind': 'mse'});"
    code += "assert not {'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
