"""Training on several replicas is the same mathematics as on one.

Oracle: the same training on one device, whose steps are held against plain TensorFlow and Keras in test_epochs.py.
Replicas are logical CPUs of one process, so that a mistake that needs real GPUs or a network (NCCL, memory of a device,
a slow peer) would be missed; test_workers.py has two real processes.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from dlhw.errors import UserError
from dlhw.measure import Objective
from dlhw.models import image_net
from dlhw.runs import experiment as registry
from dlhw.runs import image_training, runner
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job
from dlhw.training import Trainer, cross_entropy, optimizer
from dlhw.training.distributed import cluster, plan

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
RNG = np.random.default_rng(0)
X = RNG.random((101, 8, 8, 1))  # 101 = 4 x 25 + 1: the last batch leaves all replicas but one without an example
Y = RNG.integers(0, 3, 101).astype(np.int32)
TEST = X[:41], Y[:41]
KINDS = ("mlp", "cnn", "batch norm and regularizer")


def replicas(n):
    return plan.strategy(plan.make_plan("cpu", "mirrored", n))


def net(kind, dtype):
    if kind != KINDS[2]:
        return image_net({"mlp": "9-7", "cnn": "3c3-p2-5"}[kind], (8, 8, 1), 3, dtype=dtype, seed=1)
    keras.utils.set_random_seed(2)
    x = keras.Input((8, 8, 1), dtype=dtype)
    h = keras.layers.Conv2D(4, 3, use_bias=False, dtype=dtype)(
        x
    )  # a bias would only be rounding: the mean is taken off
    h = keras.layers.BatchNormalization(dtype=dtype)(h)
    h = keras.layers.Flatten(dtype=dtype)(keras.layers.ReLU(dtype=dtype)(h))
    model = keras.Model(x, keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.01), dtype=dtype)(h))
    model.dtype_policy = keras.DTypePolicy(dtype)
    return model


def trained(kind, dtype, strategy, name="sgd", epochs=40, batch_size=25):
    """200 steps, unless told; the model it left, its curves and every array that it holds."""
    model = net(kind, dtype)
    rule = optimizer(name, 0.01 if name == "sgd" else 1e-3, 0.9 if name in ("sgd", "nesterov") else 0.0)
    trainer = Trainer(model, batch_size=batch_size, optimizer=rule, record=True, strategy=strategy)
    curves = trainer.fit((X, Y), TEST, epochs=epochs, seed=5)
    kept = {k: getattr(curves, k) for k in ("train_loss", "test_loss", "step_loss", "gradient_norm")}
    kept["layer_gradient_norms"] = curves.layer_gradient_norms
    kept |= {f"weights {k}": w for k, w in enumerate(model.get_weights())}
    assert curves.train_loss[-1] < curves.train_loss[0]
    return model, curves, kept


@functools.cache
def on_one_device(kind, dtype):
    return trained(kind, dtype, None)


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_replicas_train_as_one_device_does(kind, n):
    """Losses, gradient norms, weights, moving statistics after 200 steps: 8 or 9 examples a replica, at last 1.

    With three replicas in float32 too.
    """
    for dtype, tolerance in [("float64", 1e-10), ("float32", 1e-5)][: n - 1]:
        _, alone, a = on_one_device(kind, dtype)
        _, together, b = trained(kind, dtype, replicas(n))
        np.testing.assert_array_equal(alone.test_accuracy, together.test_accuracy)
        for key, value in a.items():  # relative to the largest entry: a weight near zero has no digits of its own
            far = np.abs(b[key] - value).max() / np.abs(value).max()
            assert far <= tolerance, (dtype, key, far)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nesterov", "adam", "rmsprop", "sam"])
def test_every_optimizer_moves_all_replicas_alike(name):
    kind = KINDS[2] if name == "sam" else "mlp"  # whose second pass must leave the moving statistics
    a, b = (trained(kind, "float64", s, name, epochs=8)[2] for s in (None, replicas(3)))
    for key, value in a.items():
        np.testing.assert_allclose(b[key], value, rtol=1e-9, atol=1e-12, err_msg=key)


def test_the_copies_stay_equal_and_the_model_stays_an_ordinary_one():
    model = net(KINDS[2], "float64")
    trainer = Trainer(model, batch_size=25, optimizer=optimizer("sgd", 0.01, 0.9), strategy=replicas(3))
    curves = trainer.fit((X, Y), TEST, epochs=2)
    for variable in trainer.replicas.model.trainable_variables:
        copies = [v.numpy() for v in trainer.replicas.strategy.experimental_local_results(variable.value)]
        assert len(copies) == 3
        for copy in copies[1:]:
            np.testing.assert_array_equal(copies[0], copy)
    plain = Objective(model, cross_entropy, *TEST)  # an instrument that knows nothing of strategies
    added = float(tf.add_n(model.losses))
    assert plain.value().loss - added == pytest.approx(curves.test_loss[-1], rel=1e-12)
    assert trainer.measure(*TEST) == pytest.approx((curves.test_loss[-1], curves.test_accuracy[-1]), rel=1e-12)


def test_a_training_on_replicas_can_be_taken_up():
    states, ends = [], []
    for resume in (False, True):
        model = net("mlp", "float32")
        trainer = Trainer(model, batch_size=25, optimizer=optimizer("adam", 0.01), strategy=replicas(2))
        more = {"initial_state": states[1]} if resume else {"checkpoint": lambda state, now: states.append(state())}
        trainer.fit((X, Y), TEST, epochs=4, **more)
        ends.append(model.get_weights())
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_that_cannot_be_shared_and_a_model_that_cannot_be_copied_are_refused():
    rule = optimizer("sgd", 0.01)
    with pytest.raises(UserError, match="batch size 2 is smaller than the 3 replicas"):
        Trainer(net("mlp", "float32"), batch_size=2, optimizer=rule, strategy=replicas(3))

    class Own(keras.Model):
        def __init__(self, width):
            super().__init__()
            self.layer = keras.layers.Dense(width)

        def call(self, x):
            return self.layer(x)

    own = Own(3)
    own(X[:1])
    with pytest.raises(UserError, match="use a functional Keras model"):
        Trainer(own, batch_size=4, optimizer=rule, strategy=replicas(2))

    regular = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activity_regularizer="l2")])
    with pytest.raises(UserError, match="activity regularizer"):
        Trainer(regular, batch_size=4, optimizer=rule, strategy=replicas(2))


GROUPS = """
import tensorflow as tf
from dlhw.errors import UserError
from dlhw.models import image_net
from dlhw.training import Trainer, optimizer

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
x, y = tf.random.uniform((20, 2, 2, 1)), tf.zeros(20, "int32")


def train(*devices, **reduction):
    strategy = tf.distribute.MirroredStrategy(devices, **reduction)
    trainer = Trainer(image_net("3", (2, 2, 1), 2), batch_size=10, optimizer=optimizer("sgd", 0.1), strategy=strategy)
    print(trainer.fit((x, y), (x, y), epochs=1).train_loss.shape)


train("CPU:0", "CPU:1")
for devices in (("CPU:1", "CPU:2"), ("CPU:0", "CPU:1", "CPU:2")):
    try:
        train(*devices)
    except UserError as error:
        print(error)
train("CPU:0", "CPU:1")
train("CPU:0", "CPU:1", "CPU:2", cross_device_ops=tf.distribute.ReductionToOneDevice())
"""


@pytest.mark.slow
def test_a_second_group_of_devices_is_refused_and_the_first_goes_on():
    """TensorFlow aborts in the middle of a step, and then refuses the first group too."""
    result = subprocess.run([sys.executable, "-c", GROUPS], capture_output=True, text=True, timeout=300)
    first, other, more, again, apart = result.stdout.splitlines()
    assert first == again == apart == "(2,)", result.stderr
    assert "a MirroredStrategy over CPU:1, CPU:2 after one over CPU:0, CPU:1 fails" in other
    assert "over CPU:0, CPU:1, CPU:2 after one over CPU:0, CPU:1 fails" in more


@pytest.mark.slow
def test_a_batch_too_small_for_the_replicas_is_refused_before_any_training():
    sweep = registry.get("sweep-batch")
    settings = dataclasses.replace(sweep.tiny, sizes=(20, 1))
    trained = []
    context = Context(device="cpu", strategy="mirrored", replicas=2, progress=lambda *a, **k: trained.append(a))
    with pytest.raises(UserError, match="batch size 1 is smaller than the 2 replicas"):
        runner.execute("sweep-batch", settings, context)
    assert trained == []


def planned(gpus, monkeypatch, environment=None, trainings=1, splittable=True, **asked):
    """The plan on a machine with so many GPUs."""
    found = {"GPU": ["gpu"] * gpus}
    real = tf.config.list_physical_devices
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: found.get(kind) or ([] if kind == "GPU" else real(kind))
    )
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (environment or {}).items():
        monkeypatch.setenv(name, value)
    return Context(**asked).plan(trainings, splittable=splittable)


TWO = json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}})


@pytest.mark.parametrize(
    ("gpus", "asked", "more", "kind", "devices"),
    [
        (0, {}, {}, "none", ["/CPU:0"]),
        (1, {}, {}, "none", ["/GPU:0"]),
        (1, {"device": "cpu"}, {}, "none", ["/CPU:0"]),
        (3, {}, {}, "mirrored", ["/GPU:0", "/GPU:1", "/GPU:2"]),
        (3, {}, {"trainings": 3}, "none", ["/GPU:0", "/GPU:1", "/GPU:2"]),
        (3, {"strategy": "mirrored"}, {"trainings": 3}, "mirrored", ["/GPU:0", "/GPU:1", "/GPU:2"]),
        (3, {"strategy": "none"}, {}, "none", ["/GPU:0"]),
        (3, {"strategy": "none"}, {"trainings": 2}, "none", ["/GPU:0", "/GPU:1"]),
        (3, {"replicas": 2}, {}, "mirrored", ["/GPU:0", "/GPU:1"]),
        (3, {}, {"splittable": False}, "none", ["/GPU:0"]),
        (0, {"strategy": "mirrored", "replicas": 3}, {}, "mirrored", ["/CPU:0", "/CPU:1", "/CPU:2"]),
        (0, {}, {"environment": {"TF_CONFIG": TWO}}, "multi-worker", ["/CPU:0"]),
        (0, {}, {"environment": {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}}, "multi-worker", ["/CPU:0"]),
        (0, {}, {"environment": {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}}, "none", ["/CPU:0"]),
        (0, {"strategy": "none"}, {"environment": {"TF_CONFIG": TWO}}, "none", ["/CPU:0"]),
    ],
)
def test_what_is_chosen(gpus, asked, more, kind, devices, monkeypatch):
    plan = planned(gpus, monkeypatch, **more, **asked)
    assert (plan.kind, list(plan.devices)) == (kind, devices)
    assert plan.why


def test_a_worker_knows_its_place(monkeypatch):
    plan = planned(0, monkeypatch, environment={"TF_CONFIG": TWO})
    assert (plan.workers, plan.index, plan.chief) == (2, 1, False)
    plan = planned(0, monkeypatch, environment={"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}, splittable=False)
    assert (plan.workers, plan.chief, plan.synchronous) == (4, True, False)


@pytest.mark.parametrize(
    ("gpus", "asked", "says"),
    [
        (0, {"device": "gpu"}, "finds no GPU"),
        (0, {"strategy": "mirrored"}, "TensorFlow finds one CPU: `replicas` 2 splits it"),
        (1, {"strategy": "mirrored"}, "TensorFlow finds one GPU"),
        (2, {"replicas": 3}, "`replicas` 3 exceeds the 2 GPUs"),
        (0, {"replicas": -1}, "`replicas` -1"),
        (0, {"strategy": "multi-worker"}, "neither TF_CONFIG nor Slurm"),
    ],
)
def test_what_the_machine_cannot_give_is_refused(gpus, asked, says, monkeypatch):
    with pytest.raises(UserError, match=says):
        planned(gpus, monkeypatch, **asked)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object"),
        ('{"cluster": {"worker": ["a:1"]}}', "lacks cluster or task"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "the job ps"),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "list of host:port"),
        ('{"cluster": {"worker": ["a:x"]}, "task": {"type": "worker", "index": 0}}', "list of host:port"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "twice"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}', '"worker" 2 is not one of'),
    ],
)
def test_a_malformed_tf_config_is_one_line(config, says):
    with pytest.raises(UserError, match=says) as error:
        cluster.detect({"TF_CONFIG": config})
    assert "\n" not in str(error.value)


def test_a_cluster_of_chief_and_workers_counts_the_chief_first():
    config = {"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}
    assert cluster.detect({"TF_CONFIG": json.dumps(config)}) == cluster.Cluster(3, 2, "TF_CONFIG")
    assert cluster.detect({"TF_CONFIG": "{}"}) is None
    assert cluster.detect({}) is None


@pytest.mark.gpu
@pytest.mark.slow
def test_a_gpu_trains_as_the_processor_does():
    """Within what TensorFloat-32 is turned off for; skipped, as all tests marked gpu, where there is none."""
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow finds no GPU")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for kind in KINDS:
        found = []
        for device in ("/CPU:0", "/GPU:0"):
            with tf.device(device):
                found.append(trained(kind, "float32", None, epochs=4)[2])
        for key, value in found[0].items():
            assert np.abs(found[1][key] - value).max() <= 1e-4 * np.abs(value).max(), (kind, key)


@pytest.mark.slow
def test_trainings_are_spread_over_the_devices(monkeypatch):
    """Two logical CPUs stand in for two GPUs: each thread takes one, nets lie there, the numbers are the same."""
    classify = registry.get("classify")
    settings = dataclasses.replace(classify.tiny, models=("9",), seeds=2)
    jobs = {f"seed {s}": make_job(settings, "9", s) for s in settings.seed_range}
    both = plan.Plan("none", ("/CPU:0", "/CPU:1"), "two")
    seen: dict[str, set[str]] = {}

    def callback(epoch, model, data):
        seen.setdefault(threading.current_thread().name, set()).update(v.value.device for v in model.variables)
        return {}

    watched = {name: dataclasses.replace(job, callback=callback) for name, job in jobs.items()}
    alone = image_training.train(settings, jobs, Context(jobs=1))
    monkeypatch.setattr(plan, "make_plan", lambda *a, **k: both)
    spread = image_training.train(settings, watched, Context(jobs=2))
    assert len(seen) == 2
    assert sorted(next(iter(devices))[-5:] for devices in seen.values()) == ["CPU:0", "CPU:1"]
    for name in jobs:
        np.testing.assert_allclose(spread[name].test_loss, alone[name].test_loss, rtol=1e-5)


MASKED = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
SUMMED = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the loss is a sum")
@pytest.mark.parametrize("loss", [MASKED, SUMMED], ids=["masked", "summed"])
@pytest.mark.parametrize("batch_size", [25, 26])
def test_masks_sums_and_constraints_are_those_of_the_whole_batch(loss, batch_size):
    """A replica that sees fewer losses that count must not weigh them more; the last batch may hold fewer examples than
    there are replicas."""
    results = []
    for strategy in (None, replicas(3)):
        inputs = keras.Input(X.shape[1:], dtype="float64")
        h = keras.layers.Flatten(dtype="float64")(inputs)
        limit = keras.constraints.MaxNorm(0.5)
        model = keras.Model(inputs, keras.layers.Dense(3, kernel_constraint=limit, dtype="float64")(h))
        model.dtype_policy = keras.DTypePolicy("float64")
        model.set_weights([np.linspace(-0.1, 0.1, w.size).reshape(w.shape) for w in model.get_weights()])
        rule = optimizer("sgd", 0.01)
        trainer = Trainer(model, batch_size=batch_size, optimizer=rule, loss=loss, strategy=strategy, record=True)
        curves = trainer.fit((X, Y), TEST, epochs=3, seed=2)
        results.append([*model.get_weights(), curves.train_loss, curves.step_loss, curves.gradient_norm])
    assert np.linalg.norm(results[0][0], axis=0).max() <= 0.5 + 1e-9
    for alone, together in zip(*results, strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-12)
