"""The answer to the question of a sweep, as far as the numbers of a run say."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.sweep.spec import Array, Result, SweepSettings
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range
from dlhw.present.tables import row_medians


def answer(settings: SweepSettings, result: Result) -> list[Finding]:
    """Answer what the variable does: of the batch size, whether large ones are sharp; else, which value is best."""
    if settings.of_batch_size:
        return worse_because_sharp(settings, result)
    what = settings.variable.name.replace("-", " ")
    errors = 100 * (1 - result.test_accuracy)
    fractions = row_medians(errors) / 100
    # All seeds are tested on the same images, so that more seeds do not lower this standard error.
    standard_errors = 100 * np.sqrt(fractions * (1 - fractions) / settings.info.test)
    return findings.lowest(
        [f"{what} {settings.variable.text(point)}" for point in settings.points],
        errors,
        "test error (in %, 100 minus the accuracy)",
        standard_errors=np.nan_to_num(standard_errors).tolist(),
        answers=("{best} generalizes best", f"This run does not show which {what} generalizes best"),
    )


def worse_because_sharp(settings: SweepSettings, result: Result) -> list[Finding]:
    """Answer whether the largest batch generalizes worse than the smallest because its minimum is sharper."""
    small, large = ends(settings)
    gap = result.test_loss - result.train_loss
    sharp = result.keskar[..., 0]
    pair, sides = [small, large], [_side(v[[small, large]]) for v in (gap, sharp)]
    if not all(np.isfinite(v[k]).any() for v in (gap, sharp) for k in pair):
        return []
    a, b = (int(settings.points[k]) for k in pair)
    gaps, boxes = ([format_median_range(v[k]) for k in pair] for v in (gap, sharp))
    sizes = f"generalization gap (test loss − training loss) {gaps[1]} against {gaps[0]} at {a}"
    sharper = {1: "sharper", -1: "flatter"}.get(sides[1], "not shown to be sharper or flatter")
    boxed = f"Keskar's sharpness {boxes[1]} against {boxes[0]}"
    resolved, _ = findings.generalization_gap(gap[pair], None if result.gap_error is None else result.gap_error[pair])
    if settings.seeds == 1:
        text = f"One seed cannot tell whether batch {b} generalizes worse than {a}, or is sharper: {sizes}, {boxed}"
    elif not resolved or sides[0] <= 0:
        why = "too small to be told from zero with these images" if not resolved else "not larger in every seed"
        text = f"Batch {b} is not shown to generalize worse than batch {a}: {sizes}, {why}; and it is {sharper} "
        text += f"({boxed}, the rise of the loss in a small box around the weights, in %)"
    elif sides[1] > 0:
        text = f"Batch {b} generalizes worse than batch {a} and is sharper in every seed: {sizes}, {boxed}; that both "
        text += "go together does not show that sharpness is the reason"
    else:
        shown = "sharpness is not the reason" if sides[1] < 0 else "sharpness is not shown to be the reason"
        text = f"Batch {b} generalizes worse than batch {a} and is {sharper}, so {shown}: {sizes}, {boxed}"
    if (final := np.nanmedian(result.train_accuracy[large])) < findings.CHANCE / settings.info.classes:
        untrained = f"Batch {b} has learned nothing yet (training accuracy {100 * final:.1f} %), so what is compared "
        text = f"{untrained}with batch {a} is an untrained net: {text[0].lower()}{text[1:]}"
    elif settings.equal == "epochs" and settings.updates(b) < settings.updates(a):
        text += f"; but batch {b} took {settings.updates(b)} updates, and batch {a} {settings.updates(a)}"
    return [Finding("large-batches", f"{text}.")]


def _side(values: Array) -> int:
    """Return 1 where all seeds of the second row (2, S) lie above those of the first, −1 where below, else 0.

    It is 0 too where a training diverged.
    """
    low, high = values
    return int(high.min() > low.max()) - int(high.max() < low.min()) if np.isfinite(values).all() else 0


def ends(settings: SweepSettings) -> tuple[int, int]:
    """Return the positions of the smallest and the largest value."""
    order = sorted(range(len(settings.points)), key=settings.points.__getitem__)
    return order[0], order[-1]
