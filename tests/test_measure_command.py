"""`dlhw measure`: what the instruments say of a saved model, equal to the calls in Python.

Would miss: an instrument that is wrong in Python too; those have tests of their own.
"""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from dlhw import datasets, measure


@pytest.fixture
def saved(tmp_path):
    """A small net on digits in net.keras, and its data in data.npz, named as MNIST's own file names them."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Dense(6, activation="tanh")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(10)(hidden))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(tmp_path / "net.keras")
    data = datasets.load("digits")
    np.savez(tmp_path / "data.npz", x_test=data.x_test, y_test=data.y_test)
    return model, data.x_test, data.y_test


def test_the_numbers_are_those_of_the_functions(saved, inside):
    model, x, y = saved
    told = json.loads(inside("measure", "net.keras", "--data", "data.npz", "--json")[1])
    numbers = told["numbers"]
    assert set(numbers) == {"loss", "gradient", "sensitivity", "jacobian", "sharpness", "hessian"}
    loss = model.loss
    assert numbers["loss"]["loss"] == pytest.approx(measure.Objective(model, loss, x, y).value().loss)
    assert numbers["gradient"]["total"] == pytest.approx(measure.gradient_norm(model, loss, x, y)[0])
    assert numbers["sensitivity"]["mean"] == pytest.approx(measure.sensitivity(model, loss, x, y).mean)
    assert numbers["jacobian"]["mean"] == pytest.approx(measure.jacobian_norm(model, x, of="output").mean)
    assert numbers["sharpness"]["keskar"] == pytest.approx(measure.keskar(model, loss, x, y, epsilon=1e-3).value)
    matrix = measure.hessian_matrix(model, loss, x, y)
    ends = np.linalg.eigvalsh(matrix)[[0, -1]]
    np.testing.assert_allclose(numbers["hessian"]["eigenvalues"], ends, atol=1e-3 * ends[1])
    error = abs(numbers["hessian"]["trace"] - np.trace(matrix))
    assert error < 4 * numbers["hessian"]["trace_standard_error"] < np.trace(matrix)


def test_the_table_can_be_read_by_a_spreadsheet(saved, inside):
    text = inside("measure", "net.keras", "--data", "digits", "--only", "loss,sensitivity", "--csv")[1]
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[0] for row in rows] == ["measure", "loss", "accuracy", "sensitivity"]


def test_an_instrument_that_refuses_the_model_leaves_the_others(tmp_path, inside):
    import keras

    inputs = keras.Input((3,), dtype="int32")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(embedded))
    model.compile("sgd", "mse")
    model.save(tmp_path / "words.keras")
    np.savez(tmp_path / "words.npz", x=np.ones((4, 3), np.int32), y=np.ones((4, 1), np.float32))
    text = " ".join(inside("measure", "words.keras", "--data", "words.npz", "--only", "loss,sensitivity")[1].split())
    assert "sensitivity: a gradient with respect to the inputs needs x to be one array of floats" in text
    assert "mean over the examples" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("none.keras",), "none.keras: there is no such file"),
        (("net.keras", "--data", "minst"), "did you mean mnist?"),
        (("net.keras", "--only", "hesian"), "--only 'hesian' is unknown; did you mean hessian? use loss"),
        (("net.keras", "--subset", "0"), "--subset 0 must be positive"),
        (("data.npz", "--data", "digits"), "data.npz is not a file of a Keras model; use .keras"),
    ],
)
def test_bad_input_is_refused_in_one_line(saved, inside, words, says):
    error = inside("measure", *words, expect=2)[1]
    assert says in error
    assert error.count("\n") == 1


def test_a_random_plane_is_the_default_of_a_file(saved, inside, tmp_path):
    words = ("landscape", "--of", "net.keras", "--data", "digits", "--grid", 3, "--subset", 50)
    assert "Random plane" in " ".join(inside(*words)[1].split())
    (run,) = (tmp_path / "artifacts" / "landscape").iterdir()
    assert "plane" not in run.name


def test_a_surface_is_computed_again_when_a_file_has_changed(saved, inside, tmp_path):
    model, _, _ = saved
    words = ("landscape", "--of", "net.keras", "--data", "data.npz", "--grid", 3, "--subset", 50)
    inside(*words)
    assert "stored; --overwrite trains again" in inside(*words)[1]
    model.set_weights([w + 0.1 for w in model.get_weights()])
    model.save(tmp_path / "net.keras")
    assert "stored" not in inside(*words)[1]
    assert "stored" in inside(*words)[1]
    x = np.load(tmp_path / "data.npz")
    np.savez(tmp_path / "data.npz", x=x["x_test"][::-1], y=x["y_test"][::-1])
    assert "stored" not in inside(*words)[1]
