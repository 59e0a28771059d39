"""What a watched training leaves behind, and what it does when it ends early or meets what it cannot record.

Oracle: the same calls without the callback, from the same weights and seed.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

import dlhw
from tests.watch import oracle
from tests.watch.cell import assert_same_bits, compare, optimizers, state
from tests.watch.kinds import CROSS_ENTROPY, Case, L, chain, floats, labels, softmax
from tests.watch.modes import MODES, fit, made, parts, rule_of

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
GRAPH = MODES["graph"]


def case_of(name="functional", mode=GRAPH):
    return made(name, mode)


def traces(model):
    """Names of the attributes of a model and its optimizers, with the types of their values."""
    holders = [model, *optimizers(model)]
    holders += [o.inner_optimizer for o in optimizers(model) if hasattr(o, "inner_optimizer")]
    return [{k: type(v) for k, v in vars(h).items()} for h in holders]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("functional", "graph"),
        pytest.param("mixed_float16", "graph", marks=pytest.mark.slow),
        pytest.param("GAN with two optimizers", "graph", marks=pytest.mark.slow),
        pytest.param("functional", "clipnorm", marks=pytest.mark.slow),
        pytest.param("functional", "eager", marks=pytest.mark.slow),
        pytest.param("functional", "two replicas", marks=pytest.mark.slow),
    ],
)
def test_nothing_stays_on_model_and_optimizer(name, mode):
    left = []
    for callbacks in ([], [dlhw.Watch()]):
        case = case_of(name, MODES[mode])
        methods = [vars(case.model).get("train_step"), *(o.apply.__func__ for o in optimizers(case.model))]
        fit(case, *callbacks)
        assert methods == [vars(case.model).get("train_step"), *(o.apply.__func__ for o in optimizers(case.model))]
        left.append(traces(case.model))
    assert left[0] == left[1]


@pytest.mark.slow
def test_a_saved_model_is_that_of_a_training_without(tmp_path):
    trained = []
    for k, callbacks in enumerate(([], [dlhw.Watch()])):
        case = case_of()
        fit(case, *callbacks)
        case.model.save(tmp_path / f"{k}.keras")
        loaded = keras.models.load_model(tmp_path / f"{k}.keras")
        np.testing.assert_array_equal(loaded.predict(case.x, verbose=0), case.model.predict(case.x, verbose=0))
        assert_same_bits(
            {k: v.numpy() for k, v in enumerate(loaded.variables)},
            {k: v.numpy() for k, v in enumerate(case.model.variables)},
        )
        loaded.fit(case.x, case.y, batch_size=8, shuffle=False, verbose=0)
        trained.append(state(loaded))
    assert_same_bits(*trained)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(1, 0), (0, 1), (1, 1), (1, 0, 1)], ids=str)
@pytest.mark.parametrize("mode", ["graph", "jit", "accumulation"])
def test_trainings_in_a_row(order, mode):
    """Watched (1) and not (0); the record continues over all that are watched."""
    watched, plain, watch = case_of(mode=MODES[mode]), None, dlhw.Watch()
    histories = [fit(watched, *([watch] if k else [])).history for k in order]
    end = state(watched.model)
    plain = case_of(mode=MODES[mode])
    np.testing.assert_equal(histories, [fit(plain).history for _ in order])
    assert_same_bits(end, state(plain.model))
    np.testing.assert_array_equal(watch.result.step, np.arange(8 * sum(order)))
    np.testing.assert_array_equal(watch.result.epoch_step, 4 * np.arange(1, 2 * sum(order) + 1))
    stored = np.concatenate([h["loss"] for k, h in zip(order, histories, strict=True) if k])
    np.testing.assert_allclose(watch.result.history[:, watch.result.history_names.index("loss")], stored, rtol=1e-6)


class Stops(keras.callbacks.Callback):
    """Raises in one of its methods, at the second epoch."""

    def __init__(self, method, error):
        super().__init__()
        self.error, self.epoch = error, -1
        setattr(self, method, self.stop)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def stop(self, *arguments, **named):
        if self.epoch == 1:
            raise self.error


ERRORS = [KeyboardInterrupt(), ValueError("by a callback")]


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS, ids=["KeyboardInterrupt", "ValueError"])
@pytest.mark.parametrize("method", ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end"])
def test_a_training_that_a_callback_ends_by_an_exception(method, error):
    """It can be trained further, with no trace of the callback from the beginning of the next training on."""
    ends = []
    watch = dlhw.Watch()
    for callbacks in ([], [watch]):
        case = case_of()
        with pytest.raises(type(error)):
            fit(case, *callbacks, Stops(method, error))
        recorded = len(watch.result.step) if callbacks else 0
        predicted = case.model.predict(case.x, verbose=0)
        fit(case)
        assert vars(case.model).get("train_step") is None
        ends.append((state(case.model), predicted, traces(case.model)))
    assert_same_bits(ends[0][0], ends[1][0])
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    assert ends[0][2] == ends[1][2]
    assert recorded == {"on_train_batch_begin": 4, "on_train_batch_end": 5, "on_epoch_end": 8}[method]
    assert watch.result.ended == "interrupted"
    assert len(watch.result.step) == recorded, "steps of a training that is not watched are in the record"


def test_an_error_in_the_data():
    """A generator that fails inside of the step: all is removed at once."""
    case, watch = case_of(), dlhw.Watch()
    batches = parts(case)

    def generator():
        for k in range(6):
            if k == 5:
                raise RuntimeError("no more data")
            yield batches[k % 4][:2]

    with pytest.raises(Exception, match="no more data"):
        case.model.fit(generator(), steps_per_epoch=4, epochs=2, verbose=0, callbacks=[watch])
    assert not {"train_step", "compute_loss"} & set(vars(case.model))
    assert "apply" not in vars(case.model.optimizer)
    assert watch.result.ended == "interrupted"
    fit(case)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_that_end_early():
    case, watch = case_of(), dlhw.Watch()
    case.model.fit(case.x, case.y, batch_size=8, steps_per_epoch=4, epochs=3, verbose=0, callbacks=[watch])
    assert watch.result.ended == ""
    np.testing.assert_array_equal(watch.result.step, np.arange(len(watch.result.step)))


@pytest.mark.slow
def test_beside_other_callbacks(tmp_path):
    def others(folder):
        cb = keras.callbacks
        return [
            cb.LearningRateScheduler(lambda epoch, rate: 0.02 / (1 + epoch)),
            cb.EarlyStopping(monitor="loss", patience=1, min_delta=10.0, restore_best_weights=True),
            cb.ModelCheckpoint(folder / "{epoch}.keras"),
            cb.TerminateOnNaN(),
            cb.ReduceLROnPlateau(monitor="loss"),
            cb.CSVLogger(folder / "log.csv"),
        ]

    ends, watch = [], dlhw.Watch()
    for k, own in enumerate(([], [watch])):
        folder = tmp_path / str(k)
        folder.mkdir()
        case = case_of()
        callbacks = others(folder)
        history = fit(case, *callbacks[:3], *own, *callbacks[3:], epochs=5, validation_data=(case.x, case.y)).history
        loaded = keras.models.load_model(folder / "2.keras")
        ends.append((state(case.model), history, (folder / "log.csv").read_text(), state(loaded)))
    assert_same_bits(ends[0][0], ends[1][0])
    assert_same_bits(ends[0][3], ends[1][3])
    np.testing.assert_equal(ends[0][1], ends[1][1])
    assert ends[0][2] == ends[1][2]
    assert len(watch.result.epoch_step) == len(ends[1][1]["loss"]) == 2
    np.testing.assert_allclose(watch.result.learning_rate, np.repeat([0.02, 0.01], 4), rtol=1e-6)
    assert set(watch.result.history_names) >= {"loss", "val_loss"}


@pytest.mark.slow
def test_a_schedule_of_the_learning_rate():
    case, watch = case_of(), dlhw.Watch()
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2, 5], [0.1, 0.01, 0.001])
    case.model.compile(keras.optimizers.SGD(schedule), CROSS_ENTROPY, jit_compile=False)
    fit(case, watch)
    np.testing.assert_allclose(watch.result.learning_rate, [0.1] * 3 + [0.01] * 3 + [0.001] * 2, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["graph", "jit"])
def test_steps_that_loss_scaling_skips(mode):
    """Batch 2 overflows in float16: it is recorded, and no update was made."""

    def build(compiled):
        case = made("mixed_float16", MODES[mode], compiled=compiled)
        case.x[16:24] *= 1e6
        return case

    without = build(True)
    history = fit(without).history
    case, watch = build(True), dlhw.Watch()
    np.testing.assert_equal(fit(case, watch).history, history)
    assert_same_bits(state(case.model), state(without.model))
    result = watch.result
    skipped = np.arange(8) % 4 == 2
    np.testing.assert_array_equal(result.updated, ~skipped)
    assert (result.nonfinite_share[skipped].max(1) > 0).all()
    assert (result.nonfinite_share[~skipped] == 0).all()
    assert (result.applied_norm[skipped] == 0).all()
    assert (result.update_norm[skipped] == 0).all()
    assert float(case.model.optimizer.dynamic_scale.numpy()) == 2.0**13
    other = build(False)
    wanted = oracle.replay(other, MODES[mode], [rule_of(other, MODES[mode], plain=True)], parts(other), 2)
    wanted = {key: [v for v, skip in zip(values, skipped, strict=True) if not skip] for key, values in wanted.items()}
    compare(rows(result, ~skipped), wanted, case, "scaled")


def rows(result, keep):
    import dataclasses

    names = ("step", "optimizer", "loss", "learning_rate", "examples", "updated", *oracle.NORMS, *oracle.SHARES)
    return dataclasses.replace(result, **{name: getattr(result, name)[keep] for name in names})


@pytest.mark.slow
def test_values_that_are_not_finite_are_recorded_as_they_are():
    case, watch = case_of("train_step with compute_loss"), dlhw.Watch()
    case.x[8:16] = np.nan
    fit(case, watch, epochs=1)
    assert np.isfinite(watch.result.gradient_norm[0]).all()
    assert (watch.result.nonfinite_share[1:] > 0).any(1).all()
    assert watch.result.updated.all()
    assert np.isnan(watch.result.loss[1:]).all()


def test_a_large_gradient_is_not_taken_for_infinite():
    """Squares that overflow in float32 are not entries that do."""
    model = chain(L.Dense(1, use_bias=False, kernel_initializer="ones"))
    model.compile(keras.optimizers.SGD(1e-30), "mse", jit_compile=False)
    x, watch = np.full((8, 4), 1e15, np.float32), dlhw.Watch()
    model.fit(x, np.zeros((8, 1)), batch_size=8, verbose=0, callbacks=[watch])
    # The gradient of the mean of (w x)^2 is 2 (w x) x = 8e30 an entry, of four.
    np.testing.assert_allclose(watch.result.gradient_norm, [[1.6e31]], rtol=1e-5)
    np.testing.assert_array_equal(watch.result.nonfinite_share, [[0.0]])


@pytest.mark.slow
def test_nothing_is_drawn_from_any_generator():
    """Shuffled data, dropout without a seed, and what the user draws after training."""
    drawn = []
    for callbacks in ([], [dlhw.Watch()]):
        keras.utils.clear_session()
        keras.utils.set_random_seed(5)
        model = chain(L.Dense(8, "relu"), L.Dropout(0.5), softmax())
        model.compile("adam", CROSS_ENTROPY, jit_compile=False)
        model.fit(floats(4), labels(), batch_size=8, epochs=2, verbose=0, shuffle=True, callbacks=callbacks)
        after = [random.random(), np.random.random(), float(tf.random.uniform([])), float(keras.random.uniform([]))]
        drawn.append((state(model), after))
    assert_same_bits(drawn[0][0], drawn[1][0])
    assert drawn[0][1] == drawn[1][1]


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "every"), [("graph", 1), ("graph", 3), ("steps_per_execution", 2)])
def test_how_often_rows_are_read_changes_nothing(mode, every):
    """More steps than the ring of rows holds."""
    results = []
    for steps in (256, every):
        case, watch = case_of(mode=MODES[mode]), dlhw.Watch(steps_per_read=steps)
        fit(case, watch, epochs=15)
        results.append(watch.result)
        assert not watch.notes
    for name in ("step", "loss", *oracle.NORMS, *oracle.SHARES):
        np.testing.assert_array_equal(getattr(results[0], name), getattr(results[1], name))
    np.testing.assert_array_equal(results[0].step, np.arange(60))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["graph", "jit", "clipnorm"])
def test_details_of_every_other_step(mode):
    """Two programs take turns; the weights are those of one."""
    case, watch, whole = case_of(mode=MODES[mode]), dlhw.Watch(update_every=3), dlhw.Watch()
    history = fit(case, watch).history
    plain = case_of(mode=MODES[mode])
    np.testing.assert_equal(history, fit(plain, whole).history)
    assert_same_bits(state(case.model), state(plain.model))
    detailed = np.arange(8) % 3 == 0
    for name in ("update_norm", "weight_norm", "zero_share"):
        assert np.isnan(getattr(watch.result, name)[~detailed]).all()
        np.testing.assert_array_equal(getattr(watch.result, name)[detailed], getattr(whole.result, name)[detailed])
    for name in ("gradient_norm", "applied_norm", "nonfinite_share", "loss", "updated"):
        np.testing.assert_allclose(getattr(watch.result, name), getattr(whole.result, name), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2], ids=["in a second training", "by two programs in turn"])
def test_draws_that_a_step_compiled_anew_begins_again(steps):
    """TensorFlow's own random operations hold their state where nobody else can reach it; this is a note."""
    for name, is_noted in (("train_step that draws noise", True), ("seeded layers that draw", False)):
        ends, watch = [], dlhw.Watch(update_every=steps)
        for callbacks in ([], [watch]):
            case = case_of(name)
            if steps == 1:
                fit(case)
            fit(case, *callbacks)
            ends.append(state(case.model))
        assert any("state of their own" in note for note in watch.notes) == is_noted
        if not is_noted:
            assert_same_bits(*ends)


@pytest.mark.slow
def test_a_probe_that_fails_does_not_stop_a_training(monkeypatch):
    from dlhw.watch.probes.probe import Prober

    def broken(self):
        raise MemoryError("broken")

    monkeypatch.setattr(Prober, "measure", broken)
    case, watch = case_of(), dlhw.Watch(probe=(floats(4), labels()))
    fit(case, watch)
    assert len(watch.result.step) == 8
    assert len([note for note in watch.notes if "broken" in note]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["functional", "convolutions and batch norm", "dropout", "embedding", "LSTM"])
def test_probes_change_nothing(name):
    """With everything that is measured on the probe, at every epoch, and a function of the user that fails."""

    def fails(model, probe):
        raise ValueError("of the user")

    case = case_of(name)
    probe, watch = (case.x[:6], case.y[:6]), None
    watch = dlhw.Watch(probe=probe, every=1, functions={"size": lambda m, p: float(len(p[0])), "fails": fails})
    history = fit(case, watch).history
    plain = case_of(name)
    np.testing.assert_equal(history, fit(plain).history)
    assert_same_bits(state(case.model), state(plain.model))
    np.testing.assert_array_equal(watch.result.probe_epoch, [0, 1, 2])
    np.testing.assert_array_equal(watch.result.functions[:, 0], [6.0] * 3)
    assert np.isnan(watch.result.functions[:, 1]).all()
    fresh = case_of(name)
    function = keras.losses.get(CROSS_ENTROPY)
    start = float(np.mean(function(case.y[:6], fresh.model(case.x[:6], training=False))))
    assert watch.result.probe_loss[0] == pytest.approx(start, rel=1e-5)


@pytest.mark.slow
def test_a_model_with_nothing_to_train():
    ends = []
    for callbacks in ([], [dlhw.Watch(probe=(floats(4)[:1], labels()[:1]))]):
        case = case_of()
        case.model.trainable = False
        case.model.compile("adam", CROSS_ENTROPY, jit_compile=False)
        with pytest.warns(UserWarning, match="does not have any trainable weights"):
            ends.append((fit(case, *callbacks).history, state(case.model)))
    np.testing.assert_equal(ends[0][0], ends[1][0])
    assert_same_bits(ends[0][1], ends[1][1])
    assert callbacks[0].result.step.shape == (0,)
    assert len(callbacks[0].result.epoch_step) == 2
    assert isinstance(callbacks[0].findings, tuple)


def test_no_steps_and_tiny_probes():
    case, watch = case_of(), dlhw.Watch(probe=(floats(4)[:1], labels()[:1]))
    fit(case, watch, epochs=0)
    assert watch.result.step.shape == (0,)
    assert isinstance(watch.findings, tuple)
    fit(case, watch, epochs=1)
    assert watch.result.step.shape == (4,)
    assert isinstance(watch.findings, tuple)
    assert vars(case.model).get("train_step") is None


class ByHand(keras.Sequential):
    """Plain descent without an optimizer."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        for variable, gradient in zip(
            self.trainable_variables, tape.gradient(loss, self.trainable_variables), strict=True
        ):
            variable.assign_sub(0.1 * gradient)
        return {"loss": loss}


def test_what_cannot_be_recorded_is_named_once_and_training_goes_on():
    ends, watch = [], dlhw.Watch()
    for callbacks in ([], [watch]):
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        model = ByHand([keras.Input((4,)), L.Dense(3, "tanh"), L.Dense(2)])
        model.compile("sgd", "mse", jit_compile=False)
        case = Case(model, floats(4), floats(2, seed=1))
        ends.append((fit(case, *callbacks).history, state(model)))
    np.testing.assert_equal(ends[0][0], ends[1][0])
    assert_same_bits(ends[0][1], ends[1][1])
    assert len(watch.result.step) == 0
    (note,) = watch.notes
    assert "No update is recorded" in note


class Odd(keras.optimizers.SGD):
    """An optimizer whose rule refuses to be looked at: its variables are others than it is given."""

    def apply(self, grads, trainable_variables=None):
        super().apply([2.0 * g for g in grads], trainable_variables)


@pytest.mark.slow
def test_an_optimizer_of_the_users_whose_apply_differs():
    """The raw gradient is what `apply` was given."""
    ends, watch = [], dlhw.Watch()
    for callbacks in ([], [watch]):
        case = case_of()
        case.model.compile(Odd(0.1), CROSS_ENTROPY, jit_compile=False)
        fit(case, *callbacks)
        ends.append(state(case.model))
    assert_same_bits(*ends)
    moved = watch.result.update_norm / 0.1
    np.testing.assert_allclose(moved, 2 * watch.result.gradient_norm, rtol=1e-4)


@pytest.mark.slow
def test_hooks_that_fail_do_not_stop_a_training(monkeypatch):
    """Every part that looks at a step fails; what the training does is unchanged, and is named."""
    from dlhw.watch.steps import first_batch
    from dlhw.watch.steps.tap import OptimizerTap

    plain = case_of()
    history = fit(plain).history

    def broken(*arguments, **named):
        raise RuntimeError("broken")

    for holder, name in ((OptimizerTap, "_before"), (OptimizerTap, "_after"), (first_batch, "statistics")):
        with monkeypatch.context() as patch:
            patch.setattr(holder, name, broken)
            case, watch = case_of(), dlhw.Watch()
            np.testing.assert_equal(fit(case, watch).history, history)
            assert_same_bits(state(case.model), state(plain.model))
            assert [note for note in watch.notes if "broken" in note], (name, watch.notes)
            assert isinstance(watch.findings, tuple)
