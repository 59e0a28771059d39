"""Saved Keras models of the user's, and the data on which they are evaluated: read, tried, refused before long work."""

from __future__ import annotations

import difflib
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw import datasets
from dlhw.errors import SYSTEM_REFUSES, UserError, require
from dlhw.storage import archives

if TYPE_CHECKING:
    import keras

    from dlhw._tf.losses import Loss

Data = NDArray[np.generic]

MODEL_FILES = (".keras", ".h5", ".hdf5")
"""Endings of the files that Keras reads."""
EXAMPLES = 64
"""Examples on which a model is tried."""
_PAIRS = (("x", "y"), ("x_test", "y_test"))


@dataclass(frozen=True)
class Request:
    """Files of models, and what they are to be evaluated on."""

    paths: tuple[str, ...]
    data: str  # a data set, or an .npz file with arrays x and y
    loss: str = "auto"  # name in Keras; auto: the compiled one, else by the targets
    subset: int = 5000  # most examples
    data_dir: Path | None = None  # folder of the data sets
    option: str = ""  # what messages call the files, such as "`of`"

    def label(self, path: str) -> str:
        """Return what messages call a file."""
        return f"{self.option} {path}".strip()


@dataclass(frozen=True)
class SavedModel:
    """A model of the user's with its loss and data."""

    model: keras.Model
    loss: Loss
    x: Data  # in the shape that the model takes
    y: Data


def prepare(request: Request) -> list[SavedModel]:
    """Read the models and their data, and refuse what cannot be measured.

    Raises:
        UserError: for a file that is not a model, data that do not fit it, and a loss that cannot be computed.
    """
    is_known = request.data in datasets.DATASETS or Path(request.data).is_file()
    sets = ", ".join(datasets.DATASETS)
    close = difflib.get_close_matches(request.data, list(datasets.DATASETS), n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    require(is_known, f"`data` {request.data!r} is not a file; {hint}use {sets}, or an .npz of x and y")
    for path in request.paths:
        known = path.lower().endswith(MODEL_FILES)
        require(known, f"{request.label(path)} is not a file of a Keras model; use {', '.join(MODEL_FILES)}")
    models = [_read(path, request) for path in request.paths]
    if request.data in datasets.DATASETS:  # before it is downloaded
        shape = datasets.dataset_info(request.data).shape
        for path, model in zip(request.paths, models, strict=True):
            _fitted(request.label(path), model, np.empty((0, *shape)), request.data)
    x, y = _data(request)
    labels = [request.label(path) for path in request.paths]
    prepared = []
    for label, model in zip(labels, models, strict=True):
        inputs = _fitted(label, model, x, request.data)
        prepared.append(SavedModel(model, _loss_of(request, label, model, inputs, y), inputs, y))
    for label, saved in zip(labels, prepared, strict=True):
        _check_loss(request, label, saved)
    return prepared


def _read(path: str, request: Request) -> keras.Model:
    """Return the model in a file, with its compiled loss where `loss` is "auto"."""
    label = request.label(path)
    require(Path(path).is_file(), f"{label}: there is no such file")
    try:
        return _load(path, compiled=request.loss == "auto")
    except Exception as error:  # whatever Keras meets in a file of the user
        if isinstance(error, OSError) and error.errno in SYSTEM_REFUSES:
            raise  # of this machine, not of the file
        reason = (str(error) or type(error).__name__).splitlines()[0]
    if request.loss == "auto":
        try:
            _load(path, compiled=False)
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
        else:
            raise UserError(
                f"{label}: the loss or metric that it was compiled with is not known here ({reason}); name a loss "
                "with `loss`"
            )
    if "deserialization of a `Lambda` layer" in reason:
        raise UserError(f"{label} has a Lambda layer, whose code would run here; replace it by a layer of Keras")
    raise UserError(f"{label} cannot be loaded ({reason})")


def _load(path: str, *, compiled: bool) -> keras.Model:
    import keras

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # about the optimizer's state, which is of no use here
        if not path.endswith(MODEL_FILES):  # Keras reads the format off the ending, in lower case
            path = shutil.copy(path, str(Path(folder) / f"model{Path(path).suffix.lower()}"))
        return keras.models.load_model(path, compile=compiled, safe_mode=True)


def _data(request: Request) -> tuple[Data, Data]:
    """Return the inputs and targets that are evaluated: of a data set, or of an .npz file of x and y."""
    if request.data in datasets.DATASETS:
        loaded = datasets.load(request.data, folder=request.data_dir)
        rows = datasets.fixed_sample(len(loaded.x_train), request.subset)
        return loaded.x_train[rows], loaded.y_train[rows]
    try:
        stored = archives.read_arrays(Path(request.data), {name for pair in _PAIRS for name in pair})
        names = next((pair for pair in _PAIRS if all(name in stored for name in pair)), _PAIRS[0])
        x, y = (stored[name] for name in names)
    except (KeyError, *archives.DAMAGED_ARCHIVE) as error:
        raise UserError(f"`data` {request.data} must be an .npz file with arrays x and y ({error})") from None
    alike = x.ndim >= 1 and y.ndim >= 1 and len(x) == len(y) > 0
    require(alike, f"`data` {request.data}: x {x.shape} and y {y.shape} must have as many examples, at least one")
    for name, array in (("x", x), ("y", y)):
        require(array.dtype.kind in "fiub", f"`data` {request.data}: {name} holds {array.dtype}; it must hold numbers")
        require(bool(np.isfinite(array).all()), f"`data` {request.data}: {name} must be finite, and holds nan or inf")
    rows = np.sort(datasets.fixed_sample(len(x), request.subset))
    return x[rows], y[rows]


def _fitted(label: str, model: keras.Model, x: Data, data: str) -> Data:
    """Return x in the shape that the model takes, if it has as many numbers per example."""
    try:
        shape = model.input_shape
    except AttributeError:
        raise UserError(f"{label}: the model has not been built; build it and save it again") from None
    one = isinstance(shape, tuple) and all(s is None or isinstance(s, int) for s in shape)
    require(one, f"{label}: the model has several inputs; surfaces are for models with one")
    wanted = tuple(shape[1:])
    if None in wanted or x.shape[1:] == wanted:
        return x
    fits = int(np.prod(x.shape[1:])) == int(np.prod(wanted))
    require(fits, f"{label}: the model takes inputs of shape {wanted}, `data` {data} has {x.shape[1:]}")
    return x.reshape(-1, *wanted)


def _loss_of(request: Request, label: str, model: keras.Model, x: Data, y: Data) -> Loss:
    """Return `loss`, else the loss that the model was compiled with, else the one that targets and outputs suggest."""
    if request.loss != "auto":
        return request.loss
    given = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    if isinstance(given, (list, tuple)) and len(given) == 1:
        (given,) = given
    if given is not None:
        known = isinstance(given, str) or callable(given)
        require(known, f"{label}: compiled with the losses {given!r}; name one with `loss`")
        return given
    return _loss_by_targets(label, model, x, y)


def _loss_by_targets(label: str, model: keras.Model, x: Data, y: Data) -> Loss:
    from dlhw._tf.losses import are_probabilities, cross_entropy

    if not np.issubdtype(y.dtype, np.integer):
        return "mean_squared_error"
    z = _outputs(label, model, x)
    if z.ndim > 1 and z.shape[-1] > 1 and y.shape != z.shape:
        return "sparse_categorical_crossentropy" if are_probabilities(z) else cross_entropy
    if not np.isin(y, (0, 1)).all():
        return "mean_squared_error"
    require(
        bool(z.min() >= 0 and z.max() <= 1),
        f"{label}: labels are 0 and 1, and the output is not a probability; name a loss with `loss`, such as "
        "mean_squared_error, or compile the model with BinaryCrossentropy(from_logits=True)",
    )
    return "binary_crossentropy"


def _outputs(label: str, model: keras.Model, x: Data) -> NDArray[np.float64]:
    """Return the outputs of some examples."""
    from dlhw._tf.inputs import input_tensors
    from dlhw.models.forward import Forward

    try:
        return np.asarray(Forward(model)(input_tensors(model, x[:EXAMPLES])), np.float64)
    except UserError as error:
        raise UserError(f"{label}: {error}") from None


def _check_loss(request: Request, label: str, saved: SavedModel) -> None:
    """Refuse a model whose loss on its data cannot be computed, before long work starts."""
    import tensorflow as tf

    from dlhw._tf.losses import are_probabilities
    from dlhw.measure import Objective

    if isinstance(saved.loss, str) and saved.loss.endswith("categorical_crossentropy"):
        require(
            are_probabilities(_outputs(label, saved.model, saved.x), 1e-3),
            f"{label}: {saved.loss} expects probabilities, and the outputs are not; compile the model with "
            "from_logits=True, or leave it uncompiled",
        )
    try:
        value = Objective(saved.model, saved.loss, saved.x, saved.y).value().loss
    except (ValueError, TypeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{label}: its loss on `data` {request.data} cannot be computed ({reason})") from None
    require(bool(np.isfinite(value)), f"{label}: its loss on `data` {request.data} is {value}; it must be finite")


def loss_name(loss: Loss) -> str:
    """Return what a loss is called."""
    if isinstance(loss, str):
        return loss
    logits = getattr(loss, "_fn_kwargs", {}).get("from_logits") or getattr(loss, "__name__", "") == "cross_entropy"
    name = str(getattr(loss, "name", getattr(loss, "__name__", type(loss).__name__)))
    return name + (" (from logits)" if logits else "")
