"""Defaults that belong to a data set: nets that fit it, and rates at which they learn.

CIFAR-10 and mnist-5k are not at hand: that their defaults are valid is tested, not that nets learn with them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import dlhw as library
from dlhw import datasets
from dlhw.errors import UserError
from dlhw.runs import experiment as registry
from dlhw.runs.settings import build, changed, dataset_defaults, default_values, run_name

ON_IMAGES = [
    name for name in registry.names() if "data" in {f.name for f in dataclasses.fields(registry.get(name).settings)}
]


@pytest.mark.parametrize("data", datasets.DATASETS)
@pytest.mark.parametrize("name", ON_IMAGES)
def test_the_defaults_fit_every_data_set(name, data):
    cls = registry.get(name).settings
    settings = build(cls, {"data": data})
    if data == registry.get(name).settings().data:
        assert settings == cls()
        assert run_name(settings) == "default"
    else:
        assert changed(settings) == {"data": data}
        assert run_name(settings) == f"data={data}"
    assert set(dataset_defaults(cls, data)) <= {f.name for f in dataclasses.fields(cls)}


def test_what_is_given_is_never_replaced():
    cls = registry.get("classify").settings
    settings = build(cls, {"data": "digits", "learning_rate": 0.001})  # the default of MNIST
    assert settings.learning_rate == 0.001
    assert settings.models == default_values(settings)["models"] != cls().models
    assert run_name(settings) == "data=digits_learning_rate=0.001"


def test_the_command_tells_given_options_from_defaults(inside, tmp_path):
    words = ["classify", "--data", "digits", "--models", "4", "--epochs", 1, "--seeds", 1, "--examples", 100]
    text = inside(*words)[1]
    assert "Defaults for digits: --learning-rate 0.02" in text
    text = inside(*words, "--learning-rate", "0.001")[1]
    assert "Defaults for digits" not in text
    names = {path.name for path in (tmp_path / "artifacts" / "classify").iterdir()}
    common = "data=digits_epochs=1_examples=100_models=4_seeds=1"
    assert names == {common, common.replace("_models", "_learning_rate=0.001_models")}


def test_a_net_that_does_not_fit_is_refused_with_the_option_and_a_net_that_does():
    with pytest.raises(UserError, match=r"`net`: net '10c5-p2-20c5-p2-50': layer 3, .* such as 8c3-p2-50"):
        build(registry.get("interpolate").settings, {"data": "digits", "net": "10c5-p2-20c5-p2-50"})


def test_nets_that_learned_nothing_are_not_compared(tiny_run):
    run = tiny_run("classify")
    flat = np.full_like(run.result.train_accuracy, 0.1)
    summary = registry.get("classify").summary(run.settings, dataclasses.replace(run.result, train_accuracy=flat))
    assert [finding.code for finding in summary.findings] == ["nothing-learned"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classify", "trajectory", "sweep-params"])
def test_digits_are_learned(name):
    run = library.run(name, data="digits", seeds=1)
    accuracy = run.result.train_accuracy.reshape(-1, run.settings.epochs + 1)[:, -1]
    assert accuracy.min() > 0.8
    assert "nothing-learned" not in {finding.code for finding in run.summary().findings}
