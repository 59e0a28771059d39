"""Headers of many spellings are the columns that they mean, and tables the items that they belong to.

Oracle: tables whose item is known. Would miss: a spelling that nobody has thought of.
"""

from __future__ import annotations

import numpy as np
import pytest

import dlhw
from dlhw.checks import spelling
from dlhw.checks.examination import examine
from dlhw.checks.files import read_tables
from dlhw.checks.items import items
from dlhw.checks.matching import match
from dlhw.checks.readers.raw import Raw
from dlhw.errors import UserError
from tests.checks import formats


def raw(headers, rows=6, source="numbers.csv", **values):
    """A table with headers, separated by commas; columns of plausible numbers."""
    columns = {}
    for k, header in enumerate(headers.split(",")):
        columns[header] = tuple(map(float, values.get(header, [0.1 + 0.1 * k + 0.05 * r**1.5 for r in range(rows)])))
    return Raw(source, columns)


def item_of(headers, **values):
    """The item that is inferred, and header by column."""
    (table,) = match([raw(headers, **values)]).tables
    return table.item.name, dict(table.headers)


INFERRED = [
    ("bs,sens", "sensitivity", {"batch": "bs", "value": "sens"}),
    ("Batch Size,Sensitivity", "sensitivity", {"batch": "Batch Size", "value": "Sensitivity"}),
    ("batch_size,value", "sensitivity", {"batch": "batch_size", "value": "value"}),
    ("BATCHSIZE,Frobenius norm (nats),train loss,test loss", "sensitivity",
     {"batch": "BATCHSIZE", "value": "Frobenius norm (nats)", "train_loss": "train loss", "test_loss": "test loss"}),
    ("epoch,loss,val_loss", "loss-curve", {"epoch": "epoch", "train_loss": "loss", "test_loss": "val_loss"}),
    ("Epoch,Train Loss,Test Loss,Train Acc,Test Acc", "loss-curve",
     {"epoch": "Epoch", "train_loss": "Train Loss", "test_loss": "Test Loss", "train_accuracy": "Train Acc",
      "test_accuracy": "Test Acc"}),
    ("loss,accuracy,val_loss,val_accuracy", "loss-curve",
     {"train_loss": "loss", "test_loss": "val_loss", "train_accuracy": "accuracy", "test_accuracy": "val_accuracy"}),
    ("ep,loss (train),loss (test)", "loss-curve",
     {"epoch": "ep", "train_loss": "loss (train)", "test_loss": "loss (test)"}),
    ("epoch,validation accuracy [%]", "loss-curve", {"epoch": "epoch", "test_accuracy": "validation accuracy [%]"}),
    ("epoch,loss", "loss", {"step": "epoch", "value": "loss"}),
    ("iter,Training Loss", "loss", {"step": "iter", "value": "Training Loss"}),
    ("mse", "loss", {"value": "mse"}),
    ("epoch,grad_norm", "gradient-norm", {"iteration": "epoch", "norm": "grad_norm"}),
    ("iteration,gradient norm,loss,layer 1,layer 2,layer3_norm", "gradient-norm",
     {"iteration": "iteration", "norm": "gradient norm", "loss": "loss", "layer": "layer 1, layer 2, layer3_norm"}),
    ("step,‖∇‖,loss", "gradient-norm", {"iteration": "step", "norm": "‖∇‖", "loss": "loss"}),
    ("loss,minimal ratio", "minimal-ratio", {"loss": "loss", "ratio": "minimal ratio"}),
    ("Min_Ratio,Loss,grad norm", "minimal-ratio", {"loss": "Loss", "ratio": "Min_Ratio", "gradient_norm": "grad norm"}),
    ("alpha,train loss,test loss", "interpolation",
     {"alpha": "alpha", "train_loss": "train loss", "test_loss": "test loss"}),
    ("α,loss,val_loss,acc,val_acc", "interpolation",
     {"alpha": "α", "train_loss": "loss", "test_loss": "val_loss", "train_accuracy": "acc",
      "test_accuracy": "val_acc"}),
    ("interpolation ratio,test acc", "interpolation", {"alpha": "interpolation ratio", "test_accuracy": "test acc"}),
    ("# of parameters,train loss,test loss", "parameters",
     {"parameters": "# of parameters", "train_loss": "train loss", "test_loss": "test loss"}),
    ("#params,test acc,time", "parameters", {"parameters": "#params", "test_accuracy": "test acc"}),
    ("Number of Parameters,hidden", "parameters", {"parameters": "Number of Parameters", "net": "hidden"}),
    ("component,explained variance ratio", "pca-path",
     {"component": "component", "share": "explained variance ratio"}),
    ("PC,explained_variance", "pca-path", {"component": "PC", "share": "explained_variance"}),
    ("λ", "hessian", {"eigenvalue": "λ"}),
    ("index,eigenvalues", "hessian", {"rank": "index", "eigenvalue": "eigenvalues"}),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "name", "columns"), INFERRED)
def test_the_item_follows_from_the_headers(headers, name, columns):
    assert item_of(headers) == (name, columns)


def test_every_spelling_of_the_catalogue_is_known_in_any_writing():
    for item in items().values():
        for column in item.columns:
            for header in (column.name, *column.spellings):
                for written in (
                    header.upper(),
                    header.replace(" ", "_"),
                    header.title().replace(" ", "-"),
                    f" {header} ",
                ):
                    written = f"{written}1" if column.many else written
                    assigned = spelling.assign(item, [written], {})
                    assert assigned == {column.name: (written,)}, (item.name, written)


def test_the_name_of_a_column_comes_before_its_spellings():
    assigned = spelling.assign(items()["loss-curve"], ["loss", "acc", "train_loss", "train accuracy"], {})
    assert assigned == {"train_loss": ("train_loss",), "train_accuracy": ("train accuracy",)}


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ("parameters,epoch,train loss,test loss", "parameters or loss-curve"),
        ("alpha,epoch,train loss,test loss", "interpolation or loss-curve"),
    ],
)
def test_what_may_be_several_items_is_refused(headers, names):
    with pytest.raises(UserError, match=f"may be {names}; say `item`"):
        match([raw(headers)])


NO_ITEM = ["value", "step,value", "a,b", "size,loss,test loss", "batch,train loss,test loss", "x,y", "size,loss"]
NO_ITEM += [
    "params",
    "params,time",
    "params,model",
    "learning rate,loss",
    "width,deep loss,flat loss",
    "ratio",
    "epoch,lr",
    "lr,train loss,test loss",
]


@pytest.mark.parametrize("headers", NO_ITEM)
def test_headers_that_say_nothing_are_no_item(headers):
    with pytest.raises(UserError, match=r"no item has the columns .*; say `item` and `columns`"):
        match([raw(headers)])


def test_a_ratio_on_a_grid_is_a_place_on_a_line():
    grid = [k / 10 for k in range(-5, 16)]
    columns = {"ratio": tuple(grid), "loss": tuple(np.abs(grid)), "test loss": tuple(np.abs(grid))}
    assert match([Raw("a.csv", columns)]).tables[0].item.name == "interpolation"
    ratios = Raw("a.csv", {"ratio": (0.5, 0.75, 0.5, 1.0), "loss": (0.1, 0.2, 0.3, 0.4)})
    assert match([ratios]).tables[0].item.name == "minimal-ratio"


@pytest.mark.parametrize("name", items())
def test_a_named_item_takes_its_columns_by_name(name):
    item = items()[name]
    columns = {c.name: tuple("ab") if c.text else (1.0, 0.5) for c in item.columns if not c.many}
    (table,) = match([Raw("a.csv", columns)], name).tables
    assert table.item.name == name
    for column in item.columns:
        if not column.many and not column.text:
            assert sorted(table[column.name]) == [0.5, 1.0]


def test_columns_that_the_user_names():
    table = raw("B,S,val_loss", B=[64, 8, 128, 1, 2, 4])
    (matched,) = match([table], "sensitivity", {"batch": "B", "value": "S"}).tables
    assert matched.headers == {"batch": "B", "value": "S", "test_loss": "val_loss"}
    assert list(matched["batch"]) == [1, 2, 4, 8, 64, 128]
    assert matched["value"][4] == table.columns["S"][0]
    (matched,) = match([table], "", {"batch": "b", "value": "s"}).tables  # only sensitivity has both
    assert matched.item.name == "sensitivity"
    with pytest.raises(UserError, match=r"`columns` batch=Q: there is no header 'Q'; there are B, S, val_loss"):
        match([table], "sensitivity", {"batch": "Q"})
    with pytest.raises(UserError, match="`columns` 'x' is no column of sensitivity; use batch, value, "):
        match([table], "sensitivity", {"x": "B"})
    with pytest.raises(
        UserError, match=r"needs batch and value \(batch size of the training\), and the headers are B, S"
    ):
        match([table], "sensitivity")


@pytest.mark.parametrize(
    ("item", "shape", "names"),
    [
        ("sensitivity", 2, ["batch", "value"]),
        ("loss", 1, ["value"]),
        ("loss", 2, ["step", "value"]),
        ("gradient-norm", 1, ["norm", "iteration"]),
        ("gradient-norm", 2, ["iteration", "norm"]),
        ("hessian", 1, ["eigenvalue"]),
        ("pca-path", 2, ["component", "share"]),
        ("minimal-ratio", 2, ["loss", "ratio"]),
    ],
)
def test_columns_without_header_are_the_required_ones_in_order(tmp_path, item, shape, names):
    values = np.random.default_rng(0).random((9, shape))
    values[:, 0] = np.sort(values[:, 0])
    np.save(tmp_path / "a.npy", values)
    (table,) = dlhw_tables(tmp_path / "a.npy", item)
    assert set(table.columns) == set(names)
    for k in range(shape):
        np.testing.assert_array_equal(table[names[k]], values[:, k])


def dlhw_tables(path, item="", **more):
    from dlhw.checks.files import read_tables

    return read_tables(path, item, **more).tables


def test_rows_of_a_history_are_epochs():
    (table,) = match([raw("loss,val_loss,lr", rows=5, lr=[0.1, 0.1, 0.1, 0.01, 0.01])]).tables
    assert list(table["epoch"]) == [1, 2, 3, 4, 5]


def test_facts():
    table = raw("epoch,loss,val_loss")
    (matched,) = match([table], given={"classes": "10", "kind": "cross-entropy"}).tables
    assert matched.facts == {"classes": 10, "kind": "cross-entropy"}
    own = Raw("a.json", table.columns, facts={"classes": 7, "kind": "mlp", "lr": 0.1})  # kind is that of something else
    assert match([own]).tables[0].facts == {"classes": 7}
    assert match([own], given={"classes": 10}).tables[0].facts == {"classes": 10}
    for item in ("", "loss-curve"):
        with pytest.raises(UserError, match="classes 'ten' must be a whole number: number of classes"):
            match([table], item, given={"classes": "ten"})
        for value in ("1", "-3", "2.5", "nan"):
            with pytest.raises(UserError, match=r"classes .*(is below 2|must be a whole number)"):
                match([table], item, given={"classes": value})
        with pytest.raises(UserError, match=r"`given` '?inputs'? is no fact of loss-curve"):
            match([table], item, given={"inputs": "10"})


def test_facts_of_words():
    table = raw("batch,value")
    assert match([table], given={"data": "MNIST"}).tables[0].facts == {"data": "mnist"}
    with pytest.raises(UserError, match="data 'mnits' is unknown; use mnist"):
        match([table], given={"data": "mnits"})


def test_several_seeds_stay_repeated_values_of_x():
    columns = {"batch": (64.0, 128.0, 64.0, 128.0), "seed": (0.0, 0.0, 1.0, 1.0), "value": (1.0, 2.0, 3.0, 4.0)}
    (table,) = match([Raw("a.csv", columns)]).tables
    assert list(table["batch"]) == [64, 64, 128, 128]
    assert list(table["value"]) == [1, 3, 2, 4]


def test_curves_of_several_nets_are_several_tables():
    columns = {
        "net": ("deep", "deep", "flat", "flat"),
        "epoch": (1.0, 2.0, 1.0, 2.0),
        "train loss": (1.0, 2.0, 3.0, 4.0),
        "test loss": (5.0, 6.0, 7.0, 8.0),
    }
    deep, flat = match([Raw("a.csv", columns)]).tables
    assert (deep.source, flat.source) == ("a.csv, net deep", "a.csv, net flat")
    assert list(flat["train_loss"]) == [3, 4]
    wide = raw("epoch,deep_train_loss,deep_test_loss,flat_train_loss,flat_test_loss")
    deep, flat = match([wide]).tables
    assert (deep.source, flat.source) == ("numbers.csv, deep", "numbers.csv, flat")
    assert list(flat["test_loss"]) == list(wide.columns["flat_test_loss"])
    assert deep.item.name == "loss-curve"


def test_cells_that_are_empty():
    columns = {"epoch": (1.0, 2.0, 3.0, 4.0), "loss": (1.0, None, 3.0, 4.0), "val_loss": (1.0, 2.0, 3.0, 4.0)}
    matched = match([Raw("a.csv", columns)])
    assert list(matched.tables[0]["epoch"]) == [1, 3, 4]
    assert matched.notes == ("a.csv: 1 of 4 rows have an empty cell in epoch, train_loss, test_loss, and are left out",)
    apart = {"epoch": (1.0, 2.0, 3.0), "loss": (1.0, None, 3.0), "val_loss": (None, 2.0, None)}
    (table,) = match([Raw("a.csv", apart)]).tables
    assert list(table["train_loss"]) == [1, 3]
    assert not table.has("test_loss")


def test_numbers_that_are_none():
    header = {"Epoch": (1.0, 2.0, 3.0), "Loss": (1.0, 2.0, float("nan")), "note": ("a", "b", "c")}
    with pytest.raises(
        UserError, match=r"a\.csv: Loss is nan in row 3; leave out the rows of a training that diverged"
    ):
        match([Raw("a.csv", header)])
    with pytest.raises(UserError, match=r"a\.csv: Loss is 'low' in row 2, and no number"):
        match([Raw("a.csv", header | {"Loss": (1.0, "low", 2.0)})])
    with pytest.raises(UserError, match=r"columns differ in length: Epoch has 3, Loss has 2"):
        match([Raw("a.csv", header | {"Loss": (1.0, 2.0)})])
    array = np.array([1.0, np.inf, 2.0])
    with pytest.raises(UserError, match=r"Loss is inf in row 2"):
        match([Raw("a.csv", header | {"Loss": array})])


def test_of_several_tables_what_cannot_be_used_is_noted():
    tables = [
        raw("epoch,loss,val_loss", source="n.ipynb, cell 1"),
        raw("x,y", source="n.ipynb, cell 2"),
        Raw("n.ipynb, cell 3", {"epoch": (1.0, 2.0), "loss": (1.0, float("nan"))}),
        Raw("n.ipynb, cell 4", raw("eigenvalue").columns, cut=True),
    ]
    matched = match(tables)
    assert [table.source for table in matched.tables] == ["n.ipynb, cell 1"]
    assert matched.unrecognized == 2
    assert matched.notes == ("n.ipynb, cell 3: loss is nan in row 2; leave out the rows of a training that diverged",)
    with pytest.raises(UserError, match=r"cell 3: loss is nan in row 2"):
        match(tables[1:])
    with pytest.raises(UserError, match="cut off"):
        match(tables[3:])


def test_an_item_that_is_unknown():
    with pytest.raises(UserError, match="`item` 'sensitivty' is unknown; did you mean sensitivity"):
        match([raw("bs,sens")], "sensitivty")


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_gives_the_same_table(tmp_path, name):
    columns = {"bs": [64.0, 128.0, 256.0], "Sensitivity": [0.3, 0.25, 0.2]}
    suffix, write = formats.FORMATS[name]
    (table,) = dlhw_tables(write(tmp_path / f"numbers.{suffix}", columns))
    assert table.item.name == "sensitivity"
    assert list(table["batch"]) == columns["bs"]
    assert list(table["value"]) == columns["Sensitivity"]
    assert dlhw.checks.examination.examine(table).item == "sensitivity"


def test_the_number_of_a_model_is_no_name_of_a_net():
    columns = {"params": (571.0, 572.0), "model": (1.0, 2.0), "train loss": (1.0, 2.0)}
    for item in ("", "parameters"):
        (table,) = match([Raw("a.csv", columns)], item).tables
        assert not table.has("net")
    (table,) = match([Raw("a.csv", columns | {"model": ("8-4", "12")})]).tables
    assert table.words["net"] == ("8-4", "12")


def test_a_loss_of_one_of_several_nets_may_be_any_loss():
    with pytest.raises(UserError, match="no item has the columns"):
        match([raw("epoch,generator loss,critic loss")])


@pytest.mark.parametrize("name", ["loss-curve", "random-labels", "interpolation"])
def test_x_alone_is_no_measurement(name):
    with pytest.raises(UserError, match=r"needs train_loss \(loss on the training set\), and the headers are seed"):
        match([raw("seed,alpha")], name)


def test_rows_are_numbered_as_in_the_file(tmp_path):
    """Sorted by epoch, less an empty row, and of two trainings in one file."""
    path = tmp_path / "numbers.csv"
    lines = ["epoch,seed,loss,val_loss", "3,0,1,1", "1,1,2,2", "2,1,,1", "1,0,2,2", "3,1,-5,1", "2,0,-4,1", "4,1,1,1"]
    path.write_text("\n".join(lines))
    tables = read_tables(path).tables
    texts = [examine(table).detections[0].text for table in tables]
    assert [text.split(".")[0] for text in texts] == ["train_loss is -4 in row 6", "train_loss is -5 in row 5"]
    for table in tables:
        for k in range(table.rows):
            epoch, _, loss, _ = lines[table.row_number(k)].split(",")
            assert (table.x[k], table["train_loss"][k]) == (float(epoch), float(loss))


def test_an_item_is_a_name():
    with pytest.raises(UserError, match="`item` 3 is unknown; use sensitivity"):
        dlhw.check(3)


def test_rows_of_columns_are_numbered_as_given():
    with pytest.raises(AssertionError, match=r"value is -0\.1 in row 1"):
        dlhw.check("sensitivity", batch=[256, 64, 128], value=[-0.1, 0.3, 0.2])
