"""The nets around which a surface is drawn: trained here, or read from files."""

from __future__ import annotations

import dataclasses
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlhw import datasets
from dlhw._labels import fixed_sample
from dlhw.context import Context
from dlhw.errors import UserError, require
from dlhw.experiments import _fitting, _images, _shared, classify, simulate, trajectory

if TYPE_CHECKING:
    from dlhw.experiments.landscape import Settings

TRAINED = ("simulate", "classify", "trajectory")
OTHER = 2**40  # further trainings of a seed draw from seed + k OTHER, which is no seed that a user can give
CLASSIFY_NET = "10c5-p2-20c5-p2-50"


@dataclass(frozen=True)
class Subject:
    """A net with the data on which its loss is measured."""

    label: str
    seed: int
    ends: list[np.ndarray]  # (P,) each: the net, or the three of a plane through three; [] if a training diverged
    path: np.ndarray | None  # (n, P) from the start to the end of training; None: not known
    steps: np.ndarray  # (n,) epochs at which the path was taken
    diverged_at: int
    model: Callable[[], Any]  # a new model to compute with, whatever its weights; what is not trained is its own
    loss: Any
    x: Any
    y: Any
    own: tuple[Callable[[], Any], ...] = ()  # models of `ends`, if what is not trained differs among them


def training(settings: Settings) -> Any:
    """The settings of the training, in the words of its own experiment; a value of 0 or "auto" is that experiment's."""
    name = settings.of[0]
    own: Any = {"simulate": simulate.Settings(), "classify": classify.Settings(), "trajectory": trajectory.Settings()}[
        name
    ]
    kind = _fitting.FitSettings if name == "simulate" else _images.BatchSettings
    fields = {f.name for f in dataclasses.fields(kind)}
    values = {k: getattr(own, k) for k in fields}
    if name != "simulate":
        values["data"] = settings.data if settings.data != "auto" else own.data
    for key in fields - {"data"}:
        given = getattr(settings, key, None)
        if given not in (None, 0, "auto"):
            values[key] = given
    values |= {"seed": settings.seed, "seeds": settings.seeds}
    return kind(**values)


def nets(settings: Settings) -> tuple[str, ...]:
    """The nets, by name; those of the experiment where none is named."""
    usual = {"simulate": "middle", "classify": CLASSIFY_NET, "trajectory": trajectory.Settings().net}
    return settings.nets or (usual[settings.of[0]],)


def find(settings: Settings, context: Context) -> list[Subject]:
    """Train the nets, or read them."""
    if settings.of[0] == "simulate":
        return _functions(settings, context)
    return _on_images(settings, context) if settings.of[0] in TRAINED else _files(settings, context)


def _names(settings: Settings) -> list[tuple[str, int, list[int]]]:
    """Net, seed, and the seeds of the trainings of every subject."""
    several = 3 if settings.plane == "three-points" else 1
    seeds = range(settings.seed, settings.seed + settings.seeds)
    return [(net, s, [s + k * OTHER for k in range(several)]) for net in nets(settings) for s in seeds]


def _label(settings: Settings, net: str, seed: int) -> str:
    one = len(nets(settings)) == 1
    return f"{net}, seed {seed}" if not one else (f"seed {seed}" if settings.seeds > 1 else net)


def _functions(settings: Settings, context: Context) -> list[Subject]:
    from dlhw import architectures, models

    fit = training(settings)
    x, y = _fitting.data(fit)
    keep, groups = _fitting.frames(fit), _names(settings)
    draws = list(dict.fromkeys(seed for _, _, seeds in groups for seed in seeds))
    _, histories = _fitting.fit(fit, nets(settings), context, keep=keep, draws=draws)
    trained = dict(zip([(net, s) for net in nets(settings) for s in draws], histories, strict=True))
    found = []
    for net, seed, seeds in groups:
        each = [trained[net, s] for s in seeds]
        gone = max(-1 if h.diverged_at is None else h.diverged_at for h in each)
        widths = architectures.parse(net)
        found.append(
            Subject(
                _label(settings, net, seed),
                seed,
                [h.weights[-1] for h in each] if gone < 0 else [],
                each[0].weights if gone < 0 else None,
                np.array(keep),
                gone,
                partial(models.mlp, widths, activation=fit.activation),
                "mean_squared_error",
                x[:, None].astype(np.float32),
                y[:, None].astype(np.float32),
            )
        )
    return found


def _on_images(settings: Settings, context: Context) -> list[Subject]:
    from dlhw.training import cross_entropy

    batch = training(settings)
    jobs = {
        f"{net} seed {seed}": _images.job(batch, net, seed, snapshot_every=settings.every)
        for net, _, seeds in _names(settings)
        for seed in seeds
    }
    shared = _shared.Shared(batch, context, len(jobs))
    trained = _images.train(batch, jobs, context, shared)
    shared.prepare()
    some = fixed_sample(batch.training_examples, settings.subset)
    x, y = shared.data.x_train[some], shared.data.y_train[some]
    found = []
    for net, seed, seeds in _names(settings):
        each = [trained[f"{net} seed {s}"] for s in seeds]
        gone = max(int(t["diverged_at"]) for t in each)
        path = each[0]["weights"]
        found.append(
            Subject(
                _label(settings, net, seed),
                seed,
                [t["weights"][-1] for t in each] if gone < 0 else [],
                path if gone < 0 else None,
                settings.every * np.arange(batch.epochs // settings.every + 1),
                gone,
                partial(shared.net, net, "float32"),
                cross_entropy,
                x,
                y,
            )
        )
    return found


def _files(settings: Settings, context: Context) -> list[Subject]:
    """Saved models: with --plane three-points one subject, through all three; else one a file and seed."""
    import keras

    models = []
    for path in settings.of:
        try:
            with warnings.catch_warnings():  # of the optimizer's state, which is of no use here
                warnings.simplefilter("ignore")
                models.append(keras.models.load_model(path, compile=settings.loss == "auto"))
        except Exception as error:  # whatever Keras meets in a file of the user
            said = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"--of: {path} cannot be loaded ({said})") from None
    x, y = _data(settings, context)
    given = [
        (_loss(settings, path, model, y), _fitted(path, model, x))
        for path, model in zip(settings.of, models, strict=True)
    ]
    for path, model, (loss, inputs) in zip(settings.of, models, given, strict=True):
        _tried(settings, path, model, loss, inputs, y)
    ends = [_flat(model) for model in models]
    alike = settings.plane != "three-points" or len({architecture(model) for model in models}) == 1
    require(alike, "--plane three-points: the models differ in their layers; give three of one architecture")
    groups = [(0, ends)] if settings.plane == "three-points" else [(k, [end]) for k, end in enumerate(ends)]
    found = []
    for k, each in groups:
        loss, inputs = given[k]
        for seed in range(settings.seed, settings.seed + settings.seeds):
            name = ", ".join(Path(p).stem for p in settings.of) if len(each) > 1 else Path(settings.of[k]).stem
            label = name if settings.seeds == 1 else f"{name}, plane {seed}"
            found.append(
                Subject(
                    label,
                    seed,
                    each,
                    None,
                    np.empty(0, int),
                    -1,
                    partial(_copy, models[k]),
                    loss,
                    inputs,
                    y,
                    tuple(partial(_copy, model) for model in models) if len(each) > 1 else (),
                )
            )
    return found


def _tried(settings: Settings, path: str, model: Any, loss: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Refuse a model whose loss on its data cannot be computed, before long work starts."""
    import tensorflow as tf

    from dlhw.measure import Objective

    if isinstance(loss, str) and loss.endswith("categorical_crossentropy"):
        z = np.asarray(model(x[:64], training=False))
        sums = bool(z.min() >= 0) and bool(np.allclose(z.sum(axis=-1), 1, atol=1e-3))
        require(sums, f"--of {path}: {loss} expects probabilities, and the outputs are none; compile the model with "
                "from_logits=True, or leave it uncompiled")  # fmt: skip
    try:
        value = Objective(model, loss, x, y).value().loss
    except (ValueError, TypeError, tf.errors.OpError) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"--of {path}: its loss on --data {settings.data} cannot be computed ({said})") from None
    require(bool(np.isfinite(value)), f"--of {path}: its loss on --data {settings.data} is {value}; it must be finite")


def architecture(model: Any) -> str:
    """Layers and shapes of a model as text, without the names, which Keras counts up."""
    layers = []
    for layer in model.layers:
        config = {k: v for k, v in layer.get_config().items() if k not in ("name", "seed")}
        layers.append((type(layer).__name__, str(config), [tuple(v.shape) for v in layer.weights]))
    return str(layers)


def _flat(model: Any) -> np.ndarray:
    from dlhw.measure import flat

    return flat(model)


def _copy(model: Any) -> Any:
    import keras

    made = keras.models.clone_model(model)
    made.set_weights(model.get_weights())
    return made


def _data(settings: Settings, context: Context) -> tuple[Any, Any]:
    """The inputs and targets that are measured, of --data: a set, or an .npz of x and y."""
    if settings.data in datasets.SETS:
        loaded = datasets.load(settings.data, folder=context.data_dir)
        some = fixed_sample(len(loaded.x_train), settings.subset)
        return loaded.x_train[some], loaded.y_train[some]
    try:
        with np.load(settings.data, allow_pickle=False) as stored:
            x, y = stored["x"], stored["y"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"--data {settings.data} must be an .npz file with arrays x and y ({error})") from None
    alike = x.ndim >= 1 and y.ndim >= 1 and len(x) == len(y) > 0
    require(alike, f"--data {settings.data}: x {x.shape} and y {y.shape} must have as many examples, at least one")
    some = np.sort(fixed_sample(len(x), settings.subset))
    return x[some], y[some]


def _fitted(path: str, model: Any, x: np.ndarray) -> np.ndarray:
    """x in the shape that the model takes, if it has as many numbers an example."""
    try:
        shape = model.input_shape
    except AttributeError:
        raise UserError(f"--of {path}: the model has not been built; build it and save it again") from None
    one = isinstance(shape, tuple) and all(s is None or isinstance(s, int) for s in shape)
    require(one, f"--of {path}: the model has several inputs; the surface is drawn of models with one")
    wanted = tuple(shape[1:])
    if None in wanted or x.shape[1:] == wanted:
        return x
    size = int(np.prod(x.shape[1:]))
    require(
        size == int(np.prod(wanted)),
        f"--of {path}: the model takes inputs of shape {wanted}, --data has {x.shape[1:]}",
    )
    return x.reshape(-1, *wanted)


def _loss(settings: Settings, path: str, model: Any, y: np.ndarray) -> Any:
    """--loss, else the loss that the model was compiled with, else what its targets and last layer say."""
    from dlhw.training import cross_entropy

    if settings.loss != "auto":
        return settings.loss
    given = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    if isinstance(given, (list, tuple)) and len(given) == 1:
        (given,) = given
    if given is not None:
        known = isinstance(given, str) or callable(given)
        require(known, f"--of {path}: compiled with the losses {given!r}; name one with --loss")
        return given
    if np.issubdtype(y.dtype, np.integer):
        return "sparse_categorical_crossentropy" if _softmax(model.layers[-1]) else cross_entropy
    return "mean_squared_error"


def _softmax(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) is keras.activations.softmax


def loss_name(loss: Any) -> str:
    """What a loss is called."""
    if isinstance(loss, str):
        return loss
    logits = getattr(loss, "_fn_kwargs", {}).get("from_logits") or getattr(loss, "__name__", "") == "cross_entropy"
    name = str(getattr(loss, "name", getattr(loss, "__name__", type(loss).__name__)))
    return name + (" (from logits)" if logits else "")


def checked(settings: Settings) -> Sequence[str]:
    """`of` held to what is allowed: one experiment, or .keras files that are there."""
    of = settings.of
    require(len(of) > 0, f"--of is empty; use {', '.join(TRAINED)}, or files PATH.keras")
    if any(o in TRAINED for o in of):
        require(len(of) == 1, f"--of {','.join(of)}: name one experiment, or files PATH.keras only")
        return of
    for path in of:
        known = path.endswith(".keras")
        require(known, f"--of {path!r} is unknown; use {', '.join(TRAINED)}, or a file PATH.keras")
        require(Path(path).is_file(), f"--of {path}: there is no such file")
    return of
