"""Numbers of parameters: nets of many sizes, with true counts and with the usual slips, and nets meant to be equal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family

# data, nets, epochs, learning rate, optimizer, examples
SWEEPS: tuple[tuple[str, tuple[str, ...], int, float, str, int], ...] = (
    ("digits", ("4-4", "10-5", "20-10", "50-9", "100-20", "300-50"), 15, 0.02, "sgd", 0),
    ("digits", ("8", "16", "32", "64", "128", "256", "512"), 12, 0.001, "adam", 0),
    ("digits", ("5-5-5", "10-10-10", "20-20-20", "40-40-40", "80-80-80"), 20, 0.003, "adam", 600),
    ("digits", ("30-9", "100-5", "60-60", "200-20", "10-5"), 10, 0.05, "sgd", 300),
    ("mnist-5k", ("10-5", "50-5", "100-50", "300-20"), 4, 0.05, "sgd", 2000),
    ("mnist-5k", ("8", "32", "128", "256"), 4, 0.001, "adam", 0),
    ("fashion-mnist", ("10-10", "30-20", "60-20", "100-40"), 4, 0.001, "adam", 3000),
    ("digits", ("4c3-p2-10", "8c3-p2-30", "16c3-p2-60", "32c3-p2-100"), 8, 0.002, "adam", 0),
)


def widths_of(net: str) -> tuple[int, ...] | None:
    """Return the hidden widths of a net that is written so, None for a convolutional one."""
    return tuple(map(int, net.split("-"))) if net.replace("-", "").isdigit() else None


def count(widths: Sequence[int], inputs: int, outputs: int) -> int:
    sizes = (inputs, *widths, outputs)
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def without_biases(widths: Sequence[int], inputs: int, outputs: int) -> int:
    return count(widths, inputs, outputs) - sum(widths) - outputs


def without_last(widths: Sequence[int], inputs: int, outputs: int) -> int:
    return count(widths, inputs, outputs) - (widths[-1] + 1) * outputs


def other_inputs(widths: Sequence[int], inputs: int, outputs: int) -> int:
    """Count as for the other size of an image: 28x28 for 8x8, and 32x32x3 for 28x28."""
    return count(widths, {64: 784, 784: 3072, 1: 2}[inputs], outputs)


def one_bias(widths: Sequence[int], inputs: int, outputs: int) -> int:
    """One bias a layer in place of one a unit."""
    return without_biases(widths, inputs, outputs) + len(widths) + 1


def units(widths: Sequence[int], inputs: int, outputs: int) -> int:
    return sum(widths) + outputs


SLIPS: dict[str, Callable[[Sequence[int], int, int], int]] = {
    "biases forgotten": without_biases,
    "last layer forgotten": without_last,
    "other inputs": other_inputs,
    "one bias a layer": one_bias,
    "units, not weights": units,
}


def sweep(setting: tuple[Any, ...]) -> Iterator[Case]:
    import dlhw

    data, nets, epochs, rate, optimizer, examples = setting
    seed = 10 * SWEEPS.index(setting)
    run = dlhw.run(
        "sweep-params",
        dlhw.Context(xla="off", layout="plain", jobs=1),
        data=data.removesuffix("-5k"),
        nets=nets,
        epochs=epochs,
        learning_rate=rate,
        optimizer=optimizer,
        examples=examples or (4000 if data == "mnist-5k" else 0),
        batch_size=32,
        seed=seed,
        seeds=3,
    )
    r = run.result
    inputs = 64 if data == "digits" else 784
    dense = [widths for net in nets if (widths := widths_of(net))]
    names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
    for s in range(3):
        curves = {name: getattr(r, name)[:, s, -1] for name in names}
        shown = curves if s < 2 else {"test_loss": curves["test_loss"]}
        facts = {"inputs": inputs, "outputs": 10}
        columns = {"parameters": r.parameters, **shown}
        yield Case("parameters", columns, facts if s % 2 == 0 else {}, {"net": nets}, seed=seed + s)
        if len(dense) < len(nets):
            continue
        for variant, slip in SLIPS.items():
            wrong = np.array([slip(w, inputs, 10) for w in dense])
            columns = {"parameters": wrong, **shown}
            yield Case("parameters", columns, facts, {"net": nets}, "counts-off", seed + s, variant)


# parameters, numbers of layers, inputs, outputs
DESIGNS: tuple[tuple[int, tuple[int, ...], int, int], ...] = (
    (571, (2, 5, 8), 1, 1),
    (300, (2, 3, 4), 1, 1),
    (1000, (2, 4, 6), 1, 1),
    (1500, (2, 3, 5, 9), 1, 1),
    (2500, (3, 6), 1, 1),
    (4000, (2, 5, 7), 1, 1),
    (25000, (2, 3, 5), 64, 10),
    (12000, (2, 4), 64, 10),
    (100000, (2, 3, 6), 784, 10),
    (50000, (2, 4, 5), 784, 10),
)


def equal(setting: tuple[Any, ...]) -> Iterator[Case]:
    """Nets by `dlhw design` at budgets near this one; the same with slips; nets that are equal in another count."""
    from dlhw.errors import UserError
    from dlhw.models.architectures import design, parse

    budget, layers, inputs, outputs = setting
    facts = {"inputs": inputs, "outputs": outputs}
    for seed, factor in enumerate((1.0, 1.13, 0.87)):
        nets = []
        for depth in layers:
            try:
                nets.append(parse(design(round(budget * factor), depth, inputs, outputs, tolerance=0.01).net))
            except UserError:  # no such net is near enough
                continue
        if len(nets) < 2:
            continue
        words = {"net": ["-".join(map(str, w)) for w in nets]}
        for variant, given in (("with facts", facts), ("names only", facts if inputs > 1 else {})):
            counts = np.array([count(w, inputs, outputs) for w in nets])
            yield Case("equal-parameters", {"parameters": counts}, given, words, seed=seed, variant=variant)
        for variant, slip in SLIPS.items():
            wrong = np.array([slip(w, inputs, outputs) for w in nets])
            yield Case("equal-parameters", {"parameters": wrong}, facts, words, "counts-off", seed, variant)
        for variant, widths in unequal(round(budget * factor), layers, inputs, outputs).items():
            counts = np.array([count(w, inputs, outputs) for w in widths])
            if counts.max() < 1.03 * counts.min():  # hardly a mistake
                continue
            words_of = {"net": ["-".join(map(str, w)) for w in widths]}
            yield Case("equal-parameters", {"parameters": counts}, facts, words_of, "counts-not-equal", seed, variant)


def unequal(budget: int, layers: Sequence[int], inputs: int, outputs: int) -> dict[str, list[tuple[int, ...]]]:
    """Return even nets that are equal in weights without biases, in units, and in width."""

    def even(depth: int, size: Callable[[Sequence[int]], int], target: float) -> tuple[int, ...]:
        widths = [(w,) * (depth - 1) for w in range(2, 2 * budget)]
        return min(widths, key=lambda w: abs(size(w) - target))

    weights = partial(without_biases, inputs=inputs, outputs=outputs)
    middle = even(layers[len(layers) // 2], weights, budget)
    return {
        "weights without biases": [even(depth, weights, budget) for depth in layers],
        "units": [even(depth, sum, sum(middle)) for depth in layers],
        "widths": [(middle[0],) * (depth - 1) for depth in layers],
    }


FAMILIES = (
    *(
        Family(f"equal/{budget}-{'-'.join(map(str, layers))}-{inputs}", partial(equal, s))
        for s in DESIGNS
        for budget, layers, inputs, _ in [s]
    ),
    *(Family(f"sizes/{s[0]}-{s[4]}-{s[1][0]}-{s[5]}", partial(sweep, s)) for s in SWEEPS),
)
