"""The nets around which a surface is drawn: trained here, or read from files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlhw._labels import fixed_sample
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _fitting, _images, _saved_models, _shared, classify, simulate, trajectory

if TYPE_CHECKING:
    from dlhw.experiments.landscape import Settings

TRAINED = ("simulate", "classify", "trajectory")
OTHER = 2**40  # further trainings of a seed draw from seed + k OTHER, which is no seed that a user can give
PROOF = 4  # examples on which a copy of a saved model must equal it
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
    from dlhw.measure import flat
    from dlhw.measure.copies import copied

    models = [_saved_models.read(path, settings.loss) for path in settings.of]
    x, y = _saved_models.data(settings, context)
    inputs = [_saved_models.fitted(path, model, x) for path, model in zip(settings.of, models, strict=True)]
    losses = [
        _saved_models.loss_of(settings, path, model, own, y)
        for path, model, own in zip(settings.of, models, inputs, strict=True)
    ]
    for path, model, loss, own in zip(settings.of, models, losses, inputs, strict=True):
        _saved_models.check_loss(settings, path, model, loss, own, y)
    ends = [flat(model) for model in models]
    alike = settings.plane != "three-points" or len({_saved_models.architecture(model) for model in models}) == 1
    require(alike, "--plane three-points: the models differ in their layers; give three of one architecture")
    groups = [(0, ends)] if settings.plane == "three-points" else [(k, [end]) for k, end in enumerate(ends)]
    copies = tuple(partial(copied, model, own[:PROOF]) for model, own in zip(models, inputs, strict=True))
    subjects = []
    for k, group in groups:
        for seed in range(settings.seed, settings.seed + settings.seeds):
            name = ", ".join(Path(p).stem for p in settings.of) if len(group) > 1 else Path(settings.of[k]).stem
            subjects.append(
                Subject(
                    label=name if settings.seeds == 1 else f"{name}, plane {seed}",
                    seed=seed,
                    ends=group,
                    path=None,
                    steps=np.empty(0, int),
                    diverged_at=-1,
                    model=copies[k],
                    loss=losses[k],
                    x=inputs[k],
                    y=y,
                    own=copies if len(group) > 1 else (),
                )
            )
    return subjects


def checked(settings: Settings) -> Sequence[str]:
    """`of` held to what is allowed: one experiment, or files of models that are there."""
    of = settings.of
    require(len(of) > 0, f"--of is empty; use {', '.join(TRAINED)}, or files PATH.keras")
    if any(o in TRAINED for o in of):
        require(len(of) == 1, f"--of {','.join(of)}: name one experiment, or files PATH.keras only")
        return of
    for path in of:
        _saved_models.check_path(path, TRAINED)
    return of
