"""Numbers of parameters that do not follow from the widths of the nets."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.checks.widths import count, counted, widths_of

MOST_INPUTS, MOST_OUTPUTS = 4096, 1000


def _kernels(sizes: Sequence[int]) -> int:
    return sum(a * b for a, b in itertools.pairwise(sizes))


SLIPS: dict[str, Callable[[Sequence[int]], int]] = {
    "the kernels without the biases": _kernels,
    "the layers without the last one": lambda sizes: count(sizes[:-1]),
    "the layers without the first one": lambda sizes: count(sizes[1:]),
    "one bias a layer in place of one a unit": lambda sizes: _kernels(sizes) + len(sizes) - 1,
    "the units and not the weights": lambda sizes: sum(sizes[1:]),
    "the kernels and the biases of the hidden layers": lambda sizes: count(sizes) - sizes[-1],
}


def apply(table: Table) -> Mark | Lacking | None:
    """Mark counts that are not those of dense layers with biases."""
    rows = [(r, widths_of(net)) for r, net in enumerate(table.words.get("net", ()))]
    dense = [(r, widths) for r, widths in rows if widths]
    if not dense:
        return Lacking("needs the hidden widths of the nets, such as 64-32, in a column named net")
    given = [float(table["parameters"][r]) for r, _ in dense]
    if not table.has("inputs", "outputs"):
        return _any_shape(given, [widths for _, widths in dense])
    inputs, outputs = int(table.number("inputs")), int(table.number("outputs"))
    sizes = [counted(widths, inputs, outputs, n) for (_, widths), n in zip(dense, given, strict=True)]
    off = [k for k, n in enumerate(given) if not same(count(sizes[k]), n)]
    if not off:
        return None
    k = off[0]
    chain = "-".join(map(str, sizes[k]))
    reason = f"{chain} has {count(sizes[k]):,} weights and biases, and not {given[k]:,.0f}. "
    return Mark(reason + _slip(given, sizes), tuple(dense[k][0] for k in off))


def same(true: int, given: float) -> bool:
    """Whether a count is another one, rounded as its trailing zeros say."""
    zeros = len(re.findall(r"0*$", f"{given:.0f}")[0]) if given >= 1000 else 0
    return abs(true - given) <= (10**zeros / 2 if zeros > 1 else 0)


def _slip(given: Sequence[float], sizes: Sequence[Sequence[int]]) -> str:
    for words, slip in SLIPS.items():
        if all(slip(s) == n for s, n in zip(sizes, given, strict=True)):
            return f"What was counted is {words}."
    chains = [s[1:-1] for s in sizes]
    for inputs in range(1, MOST_INPUTS + 1):
        if all(count((inputs, *c, s[-1])) == n for c, s, n in zip(chains, sizes, given, strict=True)):
            return f"These are the counts for {inputs} inputs in place of {sizes[0][0]}."
    return "A dense layer from a to b units has (a + 1) b of them."


def _any_shape(given: Sequence[float], widths: Sequence[tuple[int, ...]]) -> Mark | Lacking | None:
    """Look for numbers of inputs and outputs that give every count; two nets and more leave hardly a choice."""
    first = widths[0]
    for inputs in range(1, MOST_INPUTS + 1):
        outputs, remainder = divmod(given[0] - count((inputs, *first)), first[-1] + 1)
        fits = remainder == 0 and 1 <= outputs <= MOST_OUTPUTS
        if fits and all(count((inputs, *w, int(outputs))) == n for w, n in zip(widths, given, strict=True)):
            return None if len(given) > 1 else Lacking("needs the numbers of inputs and outputs, or a second net")
    if any(same(count(w), n) for w, n in zip(widths, given, strict=True)) or any(n % 100 == 0 for n in given):
        return Lacking(
            "needs the numbers of inputs and outputs"
        )  # widths with both of them, or counts that were rounded
    return Mark(
        "No numbers of inputs and outputs give these counts for these hidden widths. "
        "A dense layer from a to b units has (a + 1) b weights and biases."
    )


RULE = Rule(
    code="counts-off",
    items=("parameters", "equal-parameters"),
    kind="mistake",
    title="counts that do not follow from the widths",
    remedy="Take `model.count_params()`, or add (a + 1) b over the layers, the output layer included.",
    apply=apply,
)
