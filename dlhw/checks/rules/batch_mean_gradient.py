"""Sensitivity from the gradient of the mean loss of a batch: right values divided by the batch size.

|d (1/B sum_j loss_j) / d x_i| = 1/B |d loss_i / d x_i|, so the log-log slope against the batch size falls by 1.
"""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.batch_slopes import LIKELIER, Slope, slope_of
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

FACTORS = {1: "1/B", 2: "1/B²"}


def apply(table: Table) -> Mark | Lacking | None:
    """Mark values that fall with the batch size B as 1/B."""
    return judge(slope_of(table), 1)


def judge(line: Slope | Lacking, factor: int) -> Mark | Lacking | None:
    """Return what a line says of the factor 1/B^k: a mark if that is the likeliest and clearly likelier than none."""
    if isinstance(line, Lacking):
        return line
    if line.factor != factor:
        return None
    evidence, center = line.preference(factor), format_number(10**line.log_batch)
    slope = f"The log-log slope against the batch size is {line.slope:.2f} ± {line.half_width:.2f} (95 %)"
    typical = f"a typical value is {format_number(10**line.log_size)} at batch size {center}"
    if evidence < LIKELIER:
        fits = f"fits {FACTORS[factor]} as well as nets that train less with large batches"
        return Lacking(f"{slope[0].lower()}{slope[1:]}, which {fits}; add batch sizes, or `data`")
    likelier = format_number(float(np.exp(evidence)))
    return Mark(
        f"{slope}, and {typical}: that is {likelier} times as likely with the factor {FACTORS[factor]} as without. "
        "Right ones are mostly between 0.1 and 1.1, where inputs lie in 0 to 1, and their slope between -0.7 and 0.3."
    )


RULE = Rule(
    code="batch-mean-gradient",
    items=("sensitivity",),
    kind="mistake",
    title="the gradient of the batch mean",
    remedy="Take the gradient of the sum of the losses of a batch, or one gradient per example, and average the norms "
    "over all examples.",
    apply=apply,
    false_alarm_rate=0.02,
    basis="measured",
)
