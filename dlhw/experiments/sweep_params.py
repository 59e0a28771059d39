"""Does a net with more parameters generalize worse?

Held fixed: data, optimizer, rate, batch size and epochs; ten multilayer perceptrons 784-a-b-10 that differ in a and b.
References: Neyshabur et al. 2015, In search of the real inductive bias; Belkin et al. 2019, Reconciling modern
machine-learning practice and the classical bias-variance trade-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw import plot
from dlhw.context import Context
from dlhw.errors import require
from dlhw.experiments import _curves, _flatness, _images
from dlhw.section import Line, Section, Series
from dlhw.settings import option
from dlhw.statistics import spearman
from dlhw.summary import Summary, lowest, statistics

FITTED = 0.99  # training accuracy at which a net counts as fitted


@dataclass(frozen=True)
class Settings(_images.BatchSettings):
    """What `dlhw sweep-params` takes."""

    epochs: int = option(10, "Passes over the training set.")
    learning_rate: float = option(0.0001, "Step size of the optimizer.")
    nets: tuple[str, ...] = option(
        ("400-9", "100-5", "50-5", "600-50", "10-5", "300-20", "400-50", "750-405", "100-50", "100-205"),
        "Nets: hidden widths such as 400-9, or layers such as 20c3-p2-100.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets(self.nets, "--nets")
        require(len(self.nets) > 1, "--nets needs at least two nets to compare")


@dataclass(frozen=True)
class Result(_curves.Curves):
    """A row a net."""

    parameters: NDArray[np.integer]  # (R,)
    gap_error: NDArray[np.floating] | None = None  # (R, S) standard error of test loss - train loss over the images


SECTION = Section(
    "1-3 b",
    "Number of parameters and generalization",
    fixed=("data", "nets", "epochs", "batch_size", "learning_rate", "momentum", "optimizer", "activation", "init"),
    captions={"generalization": "Loss, accuracy and their gaps after the last epoch against the number of parameters."},
    mistakes=(
        "Points are joined to a curve: nets of nearly equal size differ in shape, and learn unlike.",
        "At a small rate and few epochs no net has fitted: speed is compared, and called generalization.",
    ),
    quick={
        "data": "digits",
        "nets": ("4-4", "10-5", "20-10", "50-9", "100-20", "300-50"),
        "epochs": 15,
        "learning_rate": 0.01,
        "seeds": 2,
    },
)

TINY = Settings(data="digits", nets=("4-3", "8-4", "16-5"), examples=200, epochs=2, learning_rate=0.05, seeds=2)


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed."""
    watch = partial(_flatness.gap_error_after, settings.epochs)
    jobs = {net: partial(_images.job, settings, net, watch=watch) for net in settings.nets}
    found = _images.train_rows(settings, jobs, context, ("gap_error",))
    return Result(parameters=np.array([settings.parameters(net) for net in settings.nets]), **found)


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """`generalization`: loss, accuracy and their gaps at the end against the number of parameters."""
    made, axes = plot.figure(4, height=8.6, heights=(1.3, 1.3, 1.0, 1.0))
    x, found = result.parameters, _curves.ends(result)
    for panel, kind, scale in ((axes[0], "loss", 1.0), (axes[1], "accuracy", 100.0)):
        for k, which in enumerate(("train", "test")):
            # No line: nets of nearly equal size can differ in shape, and learn unlike.
            plot.dots(panel, x, scale * found[f"{which}_{kind}"], which, k, linestyle="")
    gaps = found["test_loss"] - found["train_loss"], 100 * (found["train_accuracy"] - found["test_accuracy"])
    for panel, values in zip(axes[2:], gaps, strict=True):
        plot.dots(panel, x, values, "", 2, linestyle="")
        panel.axhline(0, color=plot.TRUTH, linewidth=0.8)
    axes[0].set(ylabel="cross entropy (nats)", xscale="log")
    axes[1].set_ylabel("accuracy (%)")
    axes[2].set_ylabel("test − train (nats)")
    axes[3].set(ylabel="train − test (points)", xlabel="parameters")
    axes[0].set_title(f"After {settings.epochs} epochs on {settings.where()}{_curves.gone(result.diverged_at)}")
    plot.legend(axes[0], "dots: seeds, bar: median" if settings.seeds > 1 else "one seed")
    return {"generalization": made}


def series(settings: Settings, result: Result) -> Series:
    """Test loss at the end against the number of parameters."""
    order = np.argsort(result.parameters, kind="stable")
    values = _curves.ends(result)["test_loss"][order].T
    lines = (Line("test loss", result.parameters[order], values),)
    return Series("parameters", "test cross entropy (nats)", lines, log_x=True, log_y=True)


def summary(settings: Settings, result: Result) -> Summary:
    """A row a net, by number of parameters; the rank correlation of size with test error and gap."""
    found = _curves.ends(result)
    order = np.argsort(result.parameters, kind="stable")
    gap = found["test_loss"] - found["train_loss"]
    seconds = _curves.seconds(settings, result.seconds)
    numbers: dict[str, Any] = {}
    rows = []
    for k in order:
        net = settings.nets[k]
        numbers[net] = {
            "parameters": int(result.parameters[k]),
            **{name: statistics(values[k]) for name, values in found.items()},
            "gap": statistics(gap[k]),
            "diverged": int((result.diverged_at[k] >= 0).sum()),
            "seconds": statistics(seconds[k]),
        }
        losses = [_curves.mean_std(v) for v in (found["train_loss"][k], found["test_loss"][k], gap[k])]
        shares = [_curves.percent(found[n][k]) for n in ("train_accuracy", "test_accuracy")]
        gone = f"{int((result.diverged_at[k] >= 0).sum())} of {settings.seeds}"
        rows.append((net, f"{result.parameters[k]:,}", *losses, *shares, gone, f"{seconds[k].mean():.1f}"))
    columns: tuple[str, ...] = ("net", "parameters", "train loss", "test loss", "gap", "train accuracy, %")
    columns += ("test accuracy, %", "diverged", "seconds")
    title = f"sweep-params on {settings.where()}: after {settings.epochs} epochs, {_curves.statistic(settings.seeds)}"
    said = [lowest(settings.nets, found["test_loss"], "test loss")]
    resolved, sentence = _curves.gap_is_resolved(gap, result.gap_error)
    for name, values in (("test loss", found["test_loss"]), ("gap of the loss", gap)):
        rho, low, high = spearman(result.parameters, _curves.mean(values), seed=settings.seed)
        n = int(np.isfinite(values).any(axis=1).sum())
        numbers[f"spearman of parameters and {name}"] = {"rho": rho, "low": low, "high": high, "n": n}
        if name != "test loss":
            said += sentence
        if np.isfinite(low) and (resolved or name == "test loss"):
            what = f"Spearman's correlation of parameters and {name}"
            side = "a lower" if rho < 0 else "a higher"
            holds = "the interval holds zero" if low <= 0 <= high else f"more parameters go with {side} {name}"
            holds += ", but one seed a net decides nothing" if settings.seeds == 1 else ""
            said.append(f"{what}: {rho:.2f} ({low:.2f} to {high:.2f}, bootstrap over {n} nets); {holds}.")
    best = np.nanmax(_curves.median(found["train_accuracy"])) if np.isfinite(found["train_accuracy"]).any() else np.nan
    if best < FITTED:
        said.append(
            f"No net learns 99 % of the training set in {settings.epochs} epochs (highest median {100 * best:.1f} %): "
            "what is compared is how fast nets learn, not what they can hold."
        )
    said += _curves.divergences(settings.nets, result.diverged_at)
    return Summary(title, columns, tuple(rows), tuple(said), numbers)
