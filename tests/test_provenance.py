"""What run.json says of device, strategy and workers is the plan that trained.

Two faked GPUs: plans are made for them, and trainings run on logical CPUs in their place. Would miss: a strategy that
TensorFlow itself runs otherwise than it is asked to.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import dlhw
from dlhw import checkpoints
from dlhw.errors import UserError
from dlhw.runs import experiment as registry
from dlhw.runs import provenance, runner
from dlhw.runs.context import Context
from dlhw.training.distributed import plan as plans


@pytest.fixture
def two_devices(monkeypatch):
    """Let `auto` see two devices, which are logical CPUs."""

    def make_plan(device="auto", strategy="auto", replicas=0, trainings=1, *, splittable=True):
        both = ("/CPU:0", "/CPU:1")
        if not splittable:
            return plans.Plan("none", both[:1], "small nets train as stacks, on one device")
        if trainings >= 2:
            return plans.Plan("none", both, "as many trainings as devices")
        return plans.Plan("mirrored", both, "fewer trainings than devices")

    monkeypatch.setattr(plans, "make_plan", make_plan)


def environment(name, **values):
    settings = dataclasses.replace(registry.get(name).tiny, **values)
    return runner.execute(name, settings, Context()).environment


@pytest.mark.slow
def test_several_trainings_on_images_are_spread(two_devices):
    made = environment("gradient-norm", data="digits", epochs=3, points=300, model="8", seeds=5)
    assert (made["strategy"], made["device"]) == ("none", "2 x CPU")


@pytest.mark.slow
def test_one_training_is_split(two_devices):
    made = environment("gradient-norm", data="digits", epochs=3, points=300, model="8", seeds=1)
    assert (made["strategy"], made["device"]) == ("mirrored", "2 x CPU")


@pytest.mark.slow
def test_a_batch_smaller_than_the_replicas_falls_back_to_one_device(two_devices):
    made = environment("classify", models=("8",), batch_size=1, examples=10, epochs=1, seeds=1)
    assert (made["strategy"], made["device"]) == ("none", "CPU")


def test_functions_are_fitted_on_one_device(two_devices):
    made = environment("simulate", seeds=5)
    assert (made["strategy"], made["device"]) == ("none", "CPU")


@pytest.mark.slow
def test_a_surface_of_saved_models_trains_nothing(two_devices, tmp_path):
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.save(tmp_path / "net.keras")
    np.savez(tmp_path / "data.npz", x=np.ones((4, 3), "f"), y=np.ones((4, 1), "f"))
    settings = registry.get("landscape").settings(
        of=(str(tmp_path / "net.keras"),), data=str(tmp_path / "data.npz"), plane="line", grid=3
    )
    made = runner.execute("landscape", settings, Context()).environment
    assert (made["strategy"], made["device"]) == ("none", "CPU")


def test_a_run_that_trained_nothing_needs_no_plan():
    """`landscape` of a saved model, whatever strategy was named: the run must not be lost at its end."""
    made = provenance.environment(Context(strategy="mirrored", replicas=2, device="cpu"))
    assert (made["strategy"], made["device"]) == ("none", "CPU")


def test_a_strategy_for_saved_models_is_refused(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.save(tmp_path / "net.keras")
    context = Context(strategy="mirrored", replicas=2, device="cpu")
    with pytest.raises(UserError, match="`strategy` mirrored: a saved model is not trained"):
        dlhw.run("landscape", context, of=(str(tmp_path / "net.keras"),), data="digits", plane="line", grid=3)


def test_workers_are_those_of_the_plan():
    context = Context()
    context.provenance.plan = plans.Plan("multi-worker", ("/CPU:0",), "TF_CONFIG describes 3 workers", 3, 0)
    assert provenance.environment(context)["strategy"] == "multi-worker, 3 workers"


def test_the_wall_time_of_a_resumed_run_is_that_of_all_its_processes(monkeypatch):
    context = Context()
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(checkpoints, "time", clock)
    now = [100.0]
    put = context.checkpoints.put
    monkeypatch.setattr(context.checkpoints, "put", lambda *a: (now.__setitem__(0, now[0] + 5.0), put(*a)))
    first = runner.execute("simulate", registry.get("simulate").tiny, context)
    assert not first.environment["resumed"]
    assert first.environment["wall_seconds"] >= 5.0
    now[0] = 7000.0  # another process, with a clock of its own
    again = runner.execute("simulate", registry.get("simulate").tiny, context)
    assert again.environment["resumed"]
    assert abs(again.environment["wall_seconds"] - first.environment["wall_seconds"]) <= 10.0
