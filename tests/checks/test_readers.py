"""What people have is read as it was written: every format, spellings of programs, and what is refused.

Oracle: the numbers that were written. Would miss: a program whose output differs from what is known here.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from dlhw.checks.readers import opening
from dlhw.errors import UserError
from tests.checks import formats

TABLE = {
    "batch": [64.0, 128.0, 512.0, 4000.0],
    "value": [0.3125, 1e-05, 12.5, -7.25],
    "loss": [2.302585, 1.5, 0.1, 3.0],
}


def read(path):
    """The columns of every table of a file."""
    raws = opening.read(path)
    return [{name: list(column) for name, column in raw.columns.items()} for raw in raws]


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_table_is_read_back_as_it_was_written(tmp_path, name):
    suffix, write = formats.FORMATS[name]
    assert read(write(tmp_path / f"numbers.{suffix}", TABLE)) == [TABLE]


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize("seed", range(4))
def test_any_numbers_survive_every_format(tmp_path, name, seed):
    rng = np.random.default_rng(seed)
    rows, width = int(rng.integers(2, 40)), int(rng.integers(2, 5))
    names = ["epoch", "train_loss", "val_loss", "accuracy", "lr"][: width + 1]
    columns = {n: list(rng.standard_normal(rows) * 10.0 ** rng.integers(-8, 6, rows)) for n in names}
    columns["epoch"] = [float(k + 3) for k in range(rows)]
    suffix, write = formats.FORMATS[name]
    assert read(write(tmp_path / f"numbers.{suffix}", columns)) == [columns]


@pytest.mark.parametrize("index", ["batch", None])
def test_the_index_of_a_data_frame_is_a_column_if_it_has_a_name(tmp_path, index):
    for shown in ({"html": formats.html(TABLE, index=index)}, formats.plain(TABLE, index=index)):
        assert read(formats.notebook(tmp_path / "n.ipynb", shown)) == [TABLE]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("64,0.5\n128,0.25\n", {"column 1": [64, 128], "column 2": [0.5, 0.25]}),
        ("eigenvalue\n1\n-2e-3\n+.5\n3.\n", {"eigenvalue": [1, -0.002, 0.5, 3]}),
        ("a;b\n0,5;1\n0,25;2\n", {"a": [0.5, 0.25], "b": [1, 2]}),
        ("a,b\n−1,2 %\n3,50%\n", {"a": [-1, 3], "b": [0.02, 0.5]}),
        ("a,b\n1,\n2,5\n", {"a": [1, 2], "b": [None, 5]}),
        ("a,b\n1,nan\ninf,5\n", {"a": [1, np.inf], "b": [np.nan, 5]}),
        (",a,b\n0,5,6\n1,7,8\n", {"a": [5, 7], "b": [6, 8]}),
        ("Unnamed: 0,a\n0,5\n1,7\n", {"a": [5, 7]}),
        ("a,a\n0,5\n1,7\n", {"a": [0, 1], "a.1": [5, 7]}),
        ("net,params\n64-32,571\n10,31\n", {"net": ["64-32", 10], "params": [571, 31]}),
        ("a,b\ntensor(0.5),np.float64(2.0)\n1,3\n", {"a": [0.5, 1], "b": [2, 3]}),
        (",0,1,2\nloss,3,2,1\nacc,.1,.2,.3\n", {"loss": [3, 2, 1], "acc": [0.1, 0.2, 0.3]}),
        ("epoch,set,loss\n1,train,3\n1,test,4\n2,train,1\n2,test,2\n",
         {"epoch": [1, 2], "train loss": [3, 1], "test loss": [4, 2]}),
        ("epoch,metric,value\n1,loss,3\n2,loss,2\n2,val_loss,5\n",
         {"epoch": [1, 2], "loss": [3, 2], "val_loss": [None, 5]}),
        ("epoch,metric,value\n1,loss,3\n1,loss,4\n2,loss,2\n2,loss,1\n", {"epoch": [1, 1, 2, 2], "loss": [3, 4, 2, 1]}),
        ("#params,loss\n100,3\n200,2\n", {"params": [100, 200], "loss": [3, 2]}),
        ('"a, in nats";b\n1;2\n3;4\n', {"a, in nats": [1, 3], "b": [2, 4]}),
    ],
)  # fmt: skip
def test_spellings_of_text_tables(tmp_path, text, columns):
    path = tmp_path / "numbers.csv"
    path.write_text(text)
    (table,) = read(path)
    assert list(table) == list(columns)
    for name, values in columns.items():
        assert all(a == b or (a != a and b != b) for a, b in zip(table[name], values, strict=True))


KERAS = {
    "Keras 3": (
        "Epoch 1/3\n\x1b[1m  1/118\x1b[0m \x1b[37m━━\x1b[0m \x1b[1m1:05\x1b[0m 5ms/step - accuracy: 0.0859 - loss: 2.3"
        "\x08\x08\x08\x08\r\x1b[1m118/118\x1b[0m \x1b[32m━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m2s\x1b[0m 9ms/step - "
        "accuracy: 0.8 - loss: 0.5 - val_accuracy: 0.9 - val_loss: 0.4\n"
        "Epoch 2/3\n\x1b[1m118/118\x1b[0m \x1b[32m━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m1s\x1b[0m 4ms/step - accuracy: 0.9 - "
        "loss: 2.5e-01 - val_accuracy: 0.95 - val_loss: 0.3\n"
        "Epoch 3/3\n\x1b[1m118/118\x1b[0m ━ \x1b[1m1s\x1b[0m - accuracy: 1.0 - loss: 0.125 - val_accuracy: 0.96 "
        "- val_loss: 0.2\n"
    ),
    "bar of Keras 2": (
        "Epoch 1/3\n\r 32/1000 [>.............................] - ETA: 1s - loss: 2.3 - accuracy: 0.1\x08\x08\x08\x08"
        "\r1000/1000 [==============================] - 1s 83us/sample - loss: 0.5 - accuracy: 0.8 - val_loss: 0.4 - "
        "val_accuracy: 0.9\nEpoch 2/3\n1000/1000 [==============================] - 0s 5ms/step - loss: 0.25 - "
        "accuracy: 0.9 - val_loss: 0.3 - val_accuracy: 0.95\nEpoch 3/3\n1000/1000 [====] - 0s - loss: 0.125 - "
        "accuracy: 1.0 - val_loss: 0.2 - val_accuracy: 0.96\n"
    ),
    "one line an epoch": (
        "Train on 1000 samples, validate on 10 samples\n"
        "Epoch 1/3\n1000/1000 - 3s - loss: 0.5 - accuracy: 0.8 - val_loss: 0.4 - val_accuracy: 0.9\n"
        "Epoch 2/3\n1000/1000 - 3s - 1ms/step - loss: 0.25 - accuracy: 0.9 - val_loss: 0.3 - val_accuracy: 0.95\n"
        "Epoch 3/3\n1000/1000 - 3s - loss: 0.125 - accuracy: 1.0000 - val_loss: 0.2 - val_accuracy: 0.96\n"
    ),
    "with a callback": (
        "Epoch 1/3\n1000/1000 - 3s - loss: 0.5 - accuracy: 0.8 - val_loss: 0.4 - val_accuracy: 0.9\n\n"
        "Epoch 1: val_loss improved from inf to 0.40000, saving model to best.keras\n"
        "Epoch 2/3\n1000/1000 - 3s - loss: 0.25 - accuracy: 0.9 - val_loss: 0.3 - val_accuracy: 0.95\n\n"
        "Epoch 2: val_loss improved from 0.4 to 0.3, saving model to best.keras\n"
        "Epoch 3/3\n1000/1000 - 3s - loss: 0.125 - accuracy: 1.0000 - val_loss: 0.2 - val_accuracy: 0.96\n"
    ),
}  # fmt: skip
CURVES = {
    "loss": [0.5, 0.25, 0.125],
    "accuracy": [0.8, 0.9, 1],
    "val_loss": [0.4, 0.3, 0.2],
    "val_accuracy": [0.9, 0.95, 0.96],
}


@pytest.mark.parametrize("name", KERAS)
def test_what_keras_prints(tmp_path, name):
    (table,) = read(formats.notebook(tmp_path / "n.ipynb", KERAS[name]))
    assert table == {"epoch": [1, 2, 3]} | CURVES
    log = tmp_path / "training.log"
    log.write_text(KERAS[name])
    assert read(log) == [table]


def test_what_keras_prints_now(tmp_path):
    import keras

    x = np.random.default_rng(0).standard_normal((64, 3)).astype("f")
    for verbose in (1, 2):
        code = (
            "import keras, numpy as np, json; keras.utils.set_random_seed(0);"
            f"x = np.random.default_rng(0).standard_normal((64, 3)).astype('f');"
            "m = keras.Sequential([keras.layers.Dense(1)]); m.compile('sgd', 'mse', metrics=['mae']);"
            f"h = m.fit(x, x[:, :1], epochs=3, verbose={verbose}, validation_data=(x, x[:, 1:2]));"
            "json.dump(h.history, open('history.json', 'w'))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        (table,) = read(formats.notebook(tmp_path / "n.ipynb", done.stdout))
        (history,) = read(tmp_path / "history.json")
        assert set(table) == {"epoch", *history}
        for key, values in history.items():
            np.testing.assert_allclose(table[key], values, atol=6e-5)
    assert keras.__version__
    assert x.shape == (64, 3)


def test_an_interrupted_training_and_the_next(tmp_path):
    first = "Epoch 1/9\n9/9 - 3s - loss: 0.5 - acc: 0.8\nEpoch 2/9\n9/9 - 3s - loss: 0.4 - acc: 0.9\nEpoch 3/9\n"
    second = "Epoch 1/2\n9/9 - 3s - loss: 0.7 - acc: 0.1\nEpoch 2/2\n9/9 - 3s - loss: 0.6 - acc: 0.2\n"
    tables = read(formats.notebook(tmp_path / "n.ipynb", first + second))
    assert tables == [
        {"epoch": [1, 2], "loss": [0.5, 0.4], "acc": [0.8, 0.9]},
        {"epoch": [1, 2], "loss": [0.7, 0.6], "acc": [0.1, 0.2]},
    ]


LOOPS = {
    "epoch {}, loss {}, acc {}": ("loss", "acc"),
    "epoch: {} loss: {} acc: {}": ("loss", "acc"),
    "Epoch [{}/3], Loss: {}, Accuracy: {}": ("Loss", "Accuracy"),
    "Epoch {}/3 | Train Loss: {} | Test Acc: {}": ("Train Loss", "Test Acc"),
    "Epoch {}: train_loss={}, val_acc={}": ("train_loss", "val_acc"),
    "[epoch {}] train loss = {}; val loss = {}": ("train loss", "val loss"),
    "Epoch: {:g} \tTraining Loss: {:.6f} \tValidation Loss: {:.6f}": ("Training Loss", "Validation Loss"),
    "epoch {} - loss tensor({}) - grad norm tensor({})": ("loss", "grad norm"),
    "epoch={} loss={} acc={}": ("loss", "acc"),
    "Epoch - {:g} Train Loss - {:.6f} Test Loss - {:.6f}": ("Train Loss", "Test Loss"),
    "Epoch [{}/3]\nTrain Loss: {}, Test Loss: {}": ("Train Loss", "Test Loss"),
    "Epoch {}/3:\nTrain loss = {}\nTest loss = {}": ("Train loss", "Test loss"),
}


@pytest.mark.parametrize("line", LOOPS)
def test_lines_of_training_loops(tmp_path, line):
    rows = [(1, 0.5, 0.25), (2, 0.375, 0.5), (3, 0.0625, 0.75)]
    text = "Using device: cuda:0\n" + "".join(line.format(*row) + "\n" for row in rows) + "done in 3.2 s\n"
    (table,) = read(formats.notebook(tmp_path / "n.ipynb", text))
    assert list(table.values()) == [[1, 2, 3], [0.5, 0.375, 0.0625], [0.25, 0.5, 0.75]]
    assert list(table) == ["epoch", *LOOPS[line]]


def test_per_cent_and_fractions_in_lines(tmp_path):
    text = "Epoch 1: loss 0.5, Accuracy: 9821/10000 (98%)\nEpoch 2: loss 0.25, Accuracy: 9900/10000 (99%)\n"
    assert read(formats.notebook(tmp_path / "a.ipynb", text)) == [
        {"epoch": [1, 2], "loss": [0.5, 0.25], "Accuracy": [0.9821, 0.99]}
    ]
    text = "Epoch 1: loss 0.5, acc: 88.5%\nEpoch 2: loss 0.25, acc: 90%\n"
    assert read(formats.notebook(tmp_path / "b.ipynb", text))[0]["acc"] == [0.885, 0.9]


def test_lines_of_training_and_of_test_are_one_table(tmp_path):
    text = "".join(f"epoch {k} train loss {1 / k}\nepoch {k} test loss {2 / k}\n" for k in (1, 2, 4))
    assert read(formats.notebook(tmp_path / "n.ipynb", text)) == [
        {"epoch": [1, 2, 4], "train loss": [1, 0.5, 0.25], "test loss": [2, 1, 0.5]}
    ]


def test_arrays_that_were_printed(tmp_path):
    text = "eigenvalues = [-1.0 2.5\n 3.0]\nratio: array([0.5, 0.25], dtype=float32)\nn: [1, 2]\nname: ['a', 'b']\n"
    tables = read(formats.notebook(tmp_path / "n.ipynb", text))
    assert tables == [{"eigenvalues": [-1, 2.5, 3]}, {"ratio": [0.5, 0.25], "n": [1, 2]}]


def test_a_table_that_was_cut_off_is_no_table(tmp_path):
    rows = "".join(f"<tr><th>{k}</th><td>{k}</td></tr>" for k in ("0", "1", "...", "9"))
    (raw,) = opening.read(
        formats.notebook(tmp_path / "n.ipynb", {"html": f"<table><tr><th></th><th>eig</th></tr>{rows}</table>"})
    )
    assert raw.cut
    text = "     eig  loss\n0    1.0   0.5\n1    2.0   0.5\n..   ...   ...\n9    2.0   0.5\n"
    (raw,) = opening.read(formats.notebook(tmp_path / "n.ipynb", text))
    assert raw.cut


def test_where_a_table_is(tmp_path):
    path = formats.notebook(
        tmp_path / "n.ipynb", "no numbers", formats.plain(TABLE), formats.plain(TABLE) + KERAS["Keras 3"]
    )
    sources = [raw.source for raw in opening.read(path)]
    assert sources == [f"{path}, cell 3", f"{path}, cell 4, table 1", f"{path}, cell 4, table 2"]


def test_matrices_of_layers(tmp_path):
    layers = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "a.npz", iteration=np.arange(3), layer=layers, momentum=0.5, image=np.zeros((2, 2, 2)))
    (raw,) = opening.read(tmp_path / "a.npz")
    assert {n: list(c) for n, c in raw.columns.items()} == {
        "iteration": [0, 1, 2],
        "layer 1": [0, 2, 4],
        "layer 2": [1, 3, 5],
    }
    assert raw.facts == {"momentum": 0.5}


@pytest.mark.parametrize("shape", [(7,), (7, 2), (2, 7)])
def test_arrays_without_names(tmp_path, shape):
    values = np.random.default_rng(0).standard_normal(shape)
    np.save(tmp_path / "a.npy", values)
    (table,) = read(tmp_path / "a.npy")
    oriented = values[:, None] if values.ndim == 1 else values if len(values) == 7 else values.T
    assert np.array_equal(np.array(list(table.values())).T, oriented)
    assert list(table) == [f"column {k + 1}" for k in range(oriented.shape[1])]


class Trap:
    """What would write a file if it were unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (str(self.place), "w")


def test_nothing_is_unpickled(tmp_path):
    trap = np.array([Trap(tmp_path / "trace")], object)
    np.save(tmp_path / "a.npy", trap)
    np.savez(tmp_path / "b.npz", value=trap)
    for name in ("a.npy", "b.npz"):
        with pytest.raises(UserError, match=f"{name} holds Python objects, which are not unpickled"):
            opening.read(tmp_path / name)
    assert not (tmp_path / "trace").exists()


BAD = {
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b" \n\n", "is empty"),
    "comments.csv": (b"# a\n# b\n", "there are no numbers"),
    "binary.csv": (bytes(range(256)) * 9, "is no text"),
    "ragged.csv": (b"a,b\n1,2\n3\n", "line 3 has 1 cells, and the first 2"),
    "unquoted.csv": (b"params,loss\n8,000,0.5\n", "line 2 has 3 cells, and the first 2; thousands"),
    "thousands.csv": (b'params,loss\n"60,000",0.5\n', "60,000 has a thousands separator"),
    "spaces.csv": (b"params,loss\n60 000,0.5\n", "60 000 has a thousands separator"),
    "german.csv": (b"params;loss\n60.000;0,5\n", "60.000 has a thousands separator"),
    "both.csv": (b"params;loss\n1.234,5;0,5\n", "1.234,5 has a thousands separator"),
    "unclear.csv": (b"params;loss\n1,234;5\n", "1,234 may be a decimal or a thousands separator"),
    "broken.json": (b'{"loss": [1, 2', "is no JSON: Expecting ',' delimiter in line 1"),
    "deep.json": (b"[" * 100000, "is no JSON that can be read"),
    "words.json": (b'{"loss": "low"}', "there are no lists of numbers"),
    "broken.ipynb": (b'{"cells": ', "is no JSON"),
    "list.ipynb": (b"[1, 2]", "is no notebook"),
    "none.ipynb": (b'{"cells": [{"cell_type": "code", "outputs": []}]}', "has no outputs; run its cells"),
    "words.ipynb": (b'{"cells": [{"outputs": [{"output_type": "stream", "text": "hi"}]}]}', "no output is a table"),
    "odd.ipynb": (b'{"cells": [{"outputs": [3, {"output_type": "display_data", "data": 1}]}]}', "no output"),
    "broken.npy": (b"\x93NUMPY\x01\x00oops", "is no NumPy file, or is damaged"),
    "broken.npz": (b"PK\x03\x04oops", "is no NumPy file, or is damaged"),
    "text.npy": (b"1 2 3", "holds Python objects|is no NumPy file"),
    "book.xlsx": (b"PK\x03\x04", "files are not read; save the numbers as CSV"),
    "model.h5": (b"\x89HDF\r\n", "files are not read; save the numbers as CSV"),
    "events.out.tfevents.1": (b"x" * 40, "is no event file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_one_line(tmp_path, name):
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as refused:
        opening.read(tmp_path / name)
    assert len(str(refused.value).splitlines()) == 1
    assert str(tmp_path / name) in str(refused.value)


def test_damaged_copies_are_read_or_refused(tmp_path):
    """No byte that is lost or changed leads to anything but a table or one line."""
    rng, lines = np.random.default_rng(0), []
    for suffix, write in formats.FORMATS.values():
        path = write(tmp_path / f"numbers.{suffix}", TABLE)
        data = path.read_bytes()
        for _ in range(12):
            broken = bytearray(data[: int(rng.integers(1, len(data)))] if rng.random() < 0.5 else data)
            broken[int(rng.integers(len(broken)))] = int(rng.integers(256))
            path.write_bytes(bytes(broken))
            try:
                opening.read(path)
            except UserError as error:
                lines += [str(error)]
    assert lines
    assert all(len(line.splitlines()) == 1 for line in lines)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(UserError, match="has 1024 MiB, and at most 64 are read"):
        opening.read(tmp_path / "huge.csv")


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(UserError, match="there is no such file or folder"):
        opening.read(tmp_path / "absent")
    with pytest.raises(UserError, match=r"is not a run|no run"):
        opening.read(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json"):
        opening.read(tmp_path)


def test_scalars_of_tensorboard(tmp_path):
    import keras

    x = np.random.default_rng(0).standard_normal((64, 3)).astype("f")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    logs = keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False)
    history = model.fit(x, x[:, :1], epochs=3, verbose=0, validation_data=(x, x[:, 1:2]), callbacks=[logs]).history
    (raw,) = [raw for raw in opening.read(tmp_path / "logs") if "train loss" in raw.columns]
    columns = {name: list(column) for name, column in raw.columns.items()}
    assert columns["step"][:3] == [1, 2, 3]
    for name, key in (("train loss", "loss"), ("validation loss", "val_loss"), ("train mae", "mae")):
        np.testing.assert_allclose(columns[name][:3], history[key], rtol=1e-6)


def test_event_files_of_other_writers(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path))
    for step in range(4):
        values = [Summary.Value(tag="Loss/train", simple_value=1 / (step + 1)), Summary.Value(tag="text")]
        writer.add_event(Event(step=step, summary=Summary(value=values)))
    writer.close()
    (file,) = tmp_path.iterdir()
    for path in (file, tmp_path):
        (table,) = read(path)
        assert table["step"] == [0, 1, 2, 3]
        np.testing.assert_allclose(table["Loss train"], [1, 1 / 2, 1 / 3, 1 / 4], rtol=1e-6)
    file.write_bytes(file.read_bytes()[:-5])  # while it is written
    assert read(file)[0]["step"] == [0, 1, 2]


def test_event_files_need_the_extra(tmp_path, dlhw):
    (tmp_path / "events.out.tfevents.1").write_bytes(b"x" * 40)
    done = dlhw("check", "events.out.tfevents.1", block="tensorboard")
    assert done.returncode == 2
    line = "dlhw: events.out.tfevents.1: event files need TensorBoard; pip install 'dlhw[tensorboard]'"
    assert done.stderr.splitlines() == [line]


def test_json_that_python_writes(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps({"loss": [1.0, float("nan")], "lr": 0.1, "kind": "mse", "who": {"a": "b"}})
    )
    (raw,) = opening.read(tmp_path / "a.json")
    assert raw.facts == {"lr": 0.1, "kind": "mse"}
    assert np.isnan(raw.columns["loss"][1])


def test_lines_of_batches_are_numbered(tmp_path):
    text = "".join(
        f"Train Epoch: {e} [{640 * k}/1920 ({33 * k}%)]\tLoss: {1 / (3 * e + k)}\n" for e in (1, 2) for k in range(3)
    )
    (table,) = read(formats.notebook(tmp_path / "n.ipynb", text))
    assert table == {"iteration": [1, 2, 3, 4, 5, 6], "Loss": [1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 7, 1 / 8]}


def test_lines_of_several_trainings(tmp_path):
    line = "Model - {} :: Epoch - {} Train Loss - {} Test Loss - {}\n"
    text = "".join(line.format(m, e, 1 / (m + e), 2 / (m + e)) for m in (1, 2) for e in range(3))
    assert read(formats.notebook(tmp_path / "n.ipynb", "Total params - 571\n" + text + "Done in 3 s\n")) == [
        {"epoch": [0, 1, 2], "Model": [m] * 3, "Train Loss": one, "Test Loss": two}
        for m, one, two in ((1, [1, 1 / 2, 1 / 3], [2, 1, 2 / 3]), (2, [1 / 2, 1 / 3, 1 / 4], [1, 2 / 3, 1 / 2]))
    ]


def test_the_last_epochs_of_many_trainings_are_one_table(tmp_path):
    rows = [(2784, 0.25, 1.5), (4999, 0.5, 2.0), (2500, 0.75, 2.5), (4999, 0.125, 0.5)]
    line = "Training model {}\nepoch - {} Minimal Ratio - {}  Loss - {}\n"
    text = "".join(line.format(k, *row) for k, row in enumerate(rows))
    (table,) = read(formats.notebook(tmp_path / "n.ipynb", text))
    assert [table[name] for name in ("epoch", "Minimal Ratio", "Loss")] == [list(c) for c in zip(*rows, strict=True)]


def test_lines_without_epochs_and_with_words_that_come_twice(tmp_path):
    line = "w= {} | params= {:,} | train loss {} acc {}% | test loss {} acc {}%\n"
    rows = [(0.5, 18514, 1.25, 50.0, 1.5, 25.0), (1.0, 1218514, 0.75, 75.0, 1.0, 50.0)]
    (table,) = read(formats.notebook(tmp_path / "n.ipynb", "".join(line.format(*row) for row in rows)))
    assert table == {
        "params": [18514, 1218514],
        "w": [0.5, 1],
        "train loss": [1.25, 0.75],
        "train acc": [0.5, 0.75],
        "test loss": [1.5, 1],
        "test acc": [0.25, 0.5],
    }
