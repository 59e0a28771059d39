"""The folder of `Watch`: a real training that is stored while it runs and at its end, and what cannot be stored.

Would miss: a disk that fails in other ways than by refusing a folder.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dlhw
from dlhw.errors import DlhwWarning, UserError

X = np.linspace(-1, 1, 48, dtype=np.float32)[:, None]
Y = np.sin(3 * X)


def fitted(watch, epochs=3, callbacks=()):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(X, Y, epochs=epochs, batch_size=16, verbose=0, callbacks=[watch, *callbacks])
    return model


def test_what_is_stored_is_what_was_recorded(tmp_path):
    watch = dlhw.Watch(tmp_path / "mine", probe=(X, Y), measures=["loss", "weights"])
    model = fitted(watch)
    run = dlhw.load(tmp_path / "mine")
    assert run.experiment == "watch"
    assert run.settings == watch.settings
    assert run.result.layers == watch.result.layers
    for name in ("step", "loss", "gradient_norm", "update_norm", "history", "probe_loss", "weights"):
        np.testing.assert_array_equal(getattr(run.result, name), getattr(watch.result, name), err_msg=name)
    np.testing.assert_array_equal(run.result.weights[-1], np.concatenate([w.ravel() for w in model.get_weights()]))
    assert run.result.ended == ""
    assert run.environment["wall_seconds"] > 0
    assert (tmp_path / "mine" / "gradient-norm.png").is_file()


def test_a_training_that_is_interrupted_is_stored_as_such(tmp_path):
    def stop(epoch, logs):
        raise KeyboardInterrupt

    callback = keras.callbacks.LambdaCallback(on_epoch_end=stop)
    with pytest.raises(KeyboardInterrupt):
        fitted(dlhw.Watch(tmp_path / "mine"), callbacks=[callback])
    assert dlhw.load(tmp_path / "mine").result.ended == "running"


def test_the_same_training_again_takes_the_place_of_the_first(tmp_path):
    """A cell of a notebook that runs twice: Keras numbers the names of its models."""
    for _ in range(2):
        fitted(dlhw.Watch(tmp_path / "mine"))
    other = dlhw.Watch(tmp_path / "mine", every=2)
    with pytest.raises(UserError, match=r"other settings \(every\); use `overwrite`"):
        fitted(other)
    fitted(dlhw.Watch(tmp_path / "mine", every=2, overwrite=True))
    assert dlhw.load(tmp_path / "mine").settings.every == 2


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"`folder`: .*file is not a folder"):
        dlhw.Watch(tmp_path / "file")


def test_a_folder_that_becomes_a_file_costs_the_record_and_nothing_else(tmp_path):
    watch = dlhw.Watch(tmp_path / "mine")
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: (tmp_path / "mine").write_text(""))
    watch.storing.last = 1e9  # not before the end
    with pytest.warns(DlhwWarning, match="could not be stored"):
        fitted(watch, callbacks=[begin])
    assert any("could not be stored" in note for note in watch.notes)
    assert len(watch.result.step) == 9


@pytest.mark.parametrize("probe", [X, "data.npz", (X,), (X, Y, None)])
def test_a_probe_that_is_no_pair_is_refused(probe):
    with pytest.raises(UserError, match=r"give a pair \(x, y\)"):
        dlhw.Watch(probe=probe)


def test_one_measure_may_be_named_alone():
    assert dlhw.Watch(measures="loss").settings.measures == ("loss",)
    with pytest.raises(UserError, match="`measures` 'flatness' unknown; use loss, units"):
        dlhw.Watch(measures=["flatness"])
