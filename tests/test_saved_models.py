"""Saved models of the user's: what is read, what loss is taken, which models count as one architecture, odd paths.

Oracles: Keras's own evaluation of the saved model, and files written here by hand.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile

import numpy as np
import pytest

import dlhw
from cli.options import split_paths
from dlhw import datasets
from dlhw.errors import UserError
from dlhw.experiments import landscape
from dlhw.models import wiring
from dlhw.runs import saved_models, settings

import keras  # isort: skip
import tensorflow as tf  # isort: skip

L = keras.layers


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(7)


def rng():
    return np.random.default_rng(0)


def chain(*layers, shape=(3,)):
    return keras.Sequential([keras.Input(shape), *layers])


def loss_of(model, x, y):
    wanted = landscape.Settings(of=("trajectory",))
    return saved_models._loss_of(wanted, "net.keras", model, x, y)


def test_an_uncompiled_net_gets_the_loss_of_its_targets_and_outputs():
    x, labels = rng().normal(size=(9, 3)).astype("f"), rng().integers(0, 3, 9)
    inner = chain(L.Dense(3, activation="softmax"))
    inputs = keras.Input((3,))
    by_op = keras.Model(inputs, keras.ops.softmax(L.Dense(3)(inputs)))
    for model in (inner, keras.Sequential([keras.Input((3,)), inner]), by_op):
        assert loss_of(model, x, labels) == "sparse_categorical_crossentropy"
    assert saved_models.loss_name(loss_of(chain(L.Dense(3)), x, labels)) == "cross_entropy (from logits)"
    one = chain(L.Dense(1, activation="sigmoid"))
    assert loss_of(one, x, labels % 2) == "binary_crossentropy"
    assert loss_of(one, x, np.zeros(9, int)) == "binary_crossentropy"  # sparse cross entropy would be 0
    assert loss_of(chain(L.Dense(1)), x, labels + 5) == "mean_squared_error"
    assert loss_of(one, x, labels.astype("f")) == "mean_squared_error"
    with pytest.raises(UserError, match="the output is not a probability; name a loss with `loss`"):
        loss_of(chain(L.Dense(1)), 9 * x, labels % 2)


def test_names_seeds_and_initializers_do_not_make_another_architecture():
    def net(seed, activation="tanh", units=4):
        init = keras.initializers.GlorotUniform(seed=seed)
        inner = chain(L.Dense(units, activation=activation, kernel_initializer=init), L.Dropout(0.1, seed=seed))
        inputs = keras.Input((5, 3))
        h = L.TimeDistributed(inner)(inputs)
        return keras.Model(inputs, L.Bidirectional(L.LSTM(2, kernel_initializer=init, seed=seed))(h))

    one = wiring.architecture(net(1))
    assert one == wiring.architecture(net(2))
    assert one != wiring.architecture(net(1, activation="relu"))
    assert one != wiring.architecture(net(1, units=5))
    a = keras.Input((3,))
    h = L.Dense(3)(a)
    around, through = keras.Model(a, L.Add()([h, a])), keras.Model(a, L.Add()([h, h]))
    assert wiring.architecture(around) != wiring.architecture(through)


@pytest.fixture
def files(tmp_path):
    """A compiled net in every format and with awkward names, and its data."""
    model = chain(L.Dense(4, activation="tanh"), L.Dense(1))
    model.compile(loss="mae")
    x, y = rng().normal(size=(12, 3)).astype("f"), rng().normal(size=(12, 1)).astype("f")
    model.save(tmp_path / "plain.keras")
    (tmp_path / "my,net=2.keras").write_bytes((tmp_path / "plain.keras").read_bytes())
    (tmp_path / "LOUD.KERAS").write_bytes((tmp_path / "plain.keras").read_bytes())
    model.save(tmp_path / "old.h5")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.savez(tmp_path / "DATA=1,2.NPZ", x_test=x, y_test=y)
    (tmp_path / "DATA=1,2.NPZ.npz").rename(tmp_path / "DATA=1,2.NPZ")
    return tmp_path, model.evaluate(x, y, verbose=0)


def test_files_of_every_format_and_name_are_read(files, inside):
    folder, expected = files
    grid = ["--plane", "line", "--grid", "3", "--json", "--quiet"]
    for name, stored in {
        "my,net=2.keras": "data.npz", "LOUD.KERAS": "DATA=1,2.NPZ", "old.h5": "data.npz",
    }.items():  # fmt: skip
        args = ["--of", folder / name, "--data", folder / stored, "--out", folder / "runs"]
        # Keras cannot read the loss "mae" back from its own .h5 files.
        named = ["--loss", "mae"] if name.endswith("h5") else []
        _, out = inside("landscape", *args, *grid, *named)
        (row,) = [v for v in json.loads(out)["numbers"].values() if "lowest" in v]
        assert row["loss"] == pytest.approx(expected, rel=1e-4)
    two = f"{folder / 'my,net=2.keras'},{folder / 'plain.keras'}"
    assert split_paths([two, "simulate,classify"]) == [*map(str, (folder / "my,net=2.keras", folder / "plain.keras")),
                                                      "simulate", "classify"]  # fmt: skip


def test_paths_that_read_alike_get_folders_of_their_own():
    @dataclasses.dataclass(frozen=True)
    class Own:
        of: tuple[str, ...] = settings.option((), "", paths=True)

    one, two = (settings.run_name(Own(v)) for v in (("a,b.keras",), ("a", "b.keras")))
    assert one != two == "of=a,b.keras"


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), -1)


def test_a_loss_that_is_not_known_here_is_named_as_such(tmp_path):
    model = chain(L.Dense(1))
    local = keras.saving.register_keras_serializable("elsewhere")(own_loss)
    model.compile(loss=local)
    model.save(tmp_path / "net.keras")
    keras.saving.get_custom_objects().pop("elsewhere>own_loss")
    with zipfile.ZipFile(tmp_path / "net.keras") as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    config = parts["config.json"].replace(b'"module": "builtins"', b'"module": "nowhere"')
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as changed:
        for name, content in (parts | {"config.json": config}).items():
            changed.writestr(name, content)
    path = str(tmp_path / "net.keras")
    with pytest.raises(UserError, match=r"compiled with is not known here .*; name a loss with `loss`"):
        saved_models._read(path, saved_models.Request((path,), "mnist"))
    assert saved_models._read(path, saved_models.Request((path,), "mnist", "mse")).count_params() == 4


def test_damaged_and_odd_data_is_refused_in_a_line(tmp_path):
    np.savez_compressed(tmp_path / "bad.npz", x=np.zeros((50, 3)), y=np.zeros(50))
    raw = bytearray((tmp_path / "bad.npz").read_bytes())
    at = raw.index(b"x.npy") + 20
    raw[at : at + 12] = b"\xff" * 12  # inside of the compressed bytes
    (tmp_path / "bad.npz").write_bytes(raw)
    np.savez(tmp_path / "texts.npz", x=np.array([["a"]]), y=np.zeros(1))
    np.savez(tmp_path / "objects.npz", x=np.array([[None]], object), y=np.zeros(1))
    np.savez(tmp_path / "nan.npz", x=np.zeros((2, 3)), y=np.array([np.nan, 0]))
    for name, words in {
        "bad.npz": "must be an .npz file", "texts.npz": "x holds <U1; it must hold numbers",
        "objects.npz": "must be an .npz file", "nan.npz": "y must be finite",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=words) as caught:
            saved_models._data(saved_models.Request((), str(tmp_path / name)))
        assert "\n" not in str(caught.value)


def test_labels_outside_the_classes_of_a_saved_model(files, inside):
    folder, _ = files
    net = chain(L.Dense(3))
    net.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    net.save(folder / "three.keras")
    np.savez(folder / "four.npz", x=np.ones((4, 3), "f"), y=np.arange(4))
    args = ["--of", folder / "three.keras", "--data", folder / "four.npz", "--plane", "random"]
    _, err = inside("landscape", *args, "--out", folder / "runs", expect=2)
    assert "label 3 is not a class of a model with 3 outputs" in " ".join(err.split())
    assert not (folder / "runs").exists()


@keras.saving.register_keras_serializable("test")
class Response(L.Layer):
    def call(self, x):
        return tf.nn.local_response_normalization(x)


def test_a_net_without_second_derivatives_has_no_map_of_curvature(files, inside):
    folder, _ = files
    net = chain(L.Reshape((1, 1, 3)), L.Dense(4, activation="tanh"), Response(name="lrn"), L.Flatten(), L.Dense(1))
    net.compile(loss=keras.losses.MeanSquaredError())
    net.save(folder / "lrn.keras")
    args = ["--of", folder / "lrn.keras", "--data", folder / "data.npz", "--plane", "random", "--grid", "3"]
    _, err = inside("landscape", *args, "--curvature", "3", "--out", folder / "runs", expect=2)
    assert "layer 'lrn' (Response) has no second derivative" in " ".join(err.split())
    assert not (folder / "runs").exists()


def test_settings_take_numpy_scalars():
    run = dlhw.run("simulate", epochs=np.int64(3), seeds=np.int32(1), learning_rate=np.float32(0.5),
                   models=np.array(["5", "6"]))  # fmt: skip
    assert run.settings.epochs == 3
    assert type(run.settings.epochs) is int
    assert type(run.settings.learning_rate) is float
    assert run.settings.models == ("5", "6")
    for wrong in (np.float64(2.5), np.bool_(True), np.array([[3]])):
        with pytest.raises(UserError, match="must be a whole number"):
            dlhw.run("simulate", epochs=wrong)


def test_the_folders_of_kaggle_are_read(tmp_path):
    """Kaggle unpacks every IDX file into a folder of the file's name, sometimes beside a second copy."""

    def idx(array):
        return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()

    arrays = [np.full((2, 3, 3), 1, np.uint8), np.array([1, 2], np.uint8)] * 2
    names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
    for name, array in zip(names, arrays, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(idx(array))
    for stored, array in zip(datasets.readers.mnist(tmp_path), arrays, strict=True):
        np.testing.assert_array_equal(stored, array)
