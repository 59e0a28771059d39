"""Which measures follow the generalization gap, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlhw.experiments.scoreboard.measures import MEASURES
from dlhw.experiments.scoreboard.ranking import CORRECTED, Row, signed, with_interval
from dlhw.experiments.scoreboard.spec import Settings
from dlhw.experiments.scoreboard.statistics import FEWEST
from dlhw.present.findings import Finding


def answer(settings: Settings, rows: Sequence[Row], resolved: bool, nets: int) -> list[Finding]:
    """Answer which measure follows the gap: over all nets, and along every axis."""
    measures = [row for row in rows if not row.is_control]
    winners = [row for row in measures if row.wins()]
    sure = [row for row in winners if row.wins(CORRECTED)]
    above = [row for row in measures if row.tau.sign() > 0]
    axes = f"along each of the {len(settings.axes)} settings" if len(settings.axes) > 1 else "along the one setting"
    if settings.seeds == 1:
        text = "With one seed per configuration, nothing can be concluded on which measure follows the gap"
    elif not resolved:
        text = f"This run does not show which measure follows the gap: the gaps of its {nets} nets are not resolved"
    elif not all(len(e.draws) for row in measures for e in (row.tau, *row.granulated.axes)):
        text = f"This run does not show which measure follows the gap: intervals need {FEWEST} configurations that "
        text += f"reached the target, and as many groups along every setting; {nets} nets are too few"
    elif sure:
        verb = "follows" if len(sure) == 1 else "follow"
        text = f"{_names(sure)} {verb} the generalization gap over all {nets} nets, and {axes}, with intervals above "
        text += f"zero that allow for {len(MEASURES)} comparisons"
    elif winners:
        verb = "follows" if len(winners) == 1 else "follow"
        text = f"No measure wins for certain: {_names(winners)} {verb} the gap over all {nets} nets and {axes} by "
        text += f"95 % intervals, and none does after a correction for {len(MEASURES)} comparisons"
    elif above:
        text = f"No measure wins: {len(above)} of {len(measures)} rank all {nets} nets as their generalization gap "
        text += f"does, by a 95 % interval above zero, and none of them does so {axes}"
    else:
        text = f"No measure wins: of {len(measures)}, none ranks the {nets} nets as their generalization gap does"
    return [Finding("measures-and-gap", f"{text}.")]


def over_all_nets(rows: Sequence[Row]) -> list[Finding]:
    """State which intervals over all nets lie above zero, and which below."""
    measures = [row for row in rows if not row.is_control]
    if not any(len(row.tau.draws) for row in measures):
        return []
    above = [row for row in measures if row.tau.sign() > 0]
    below = [row for row in measures if row.tau.sign() < 0]
    text = "Kendall's tau over all nets (1: the same order as the gap, −1: the opposite one, 0: none): "
    parts = [f"above zero for {_taus(above)}" if above else "above zero for none"]
    if below:
        parts.append(f"below zero, against what theory expects, for {_taus(below)}")
    others = len(measures) - len(above) - len(below)
    if others:
        parts.append(f"not told from zero for {'all' if others == len(measures) else f'the other {others}'}")
    return [Finding("tau-over-all-nets", f"{text}{'; '.join(parts)}.")]


def over_axes(settings: Settings, rows: Sequence[Row]) -> list[Finding]:
    """State what the granulated tau adds: the best by it, and the axis on which the first over all nets fails."""
    measures = [row for row in rows if not row.is_control and np.isfinite(row.granulated.total.value)]
    if len(settings.axes) < 2 or not measures:
        return []
    best = max(measures, key=lambda row: row.granulated.total.value)
    text = f"Among nets that differ in one setting only, {best.name} has the highest granulated tau, "
    text += f"{with_interval(best.granulated.total)}: {_along(settings, best)}"
    if measures[0] is not best:
        first = measures[0]
        of_first = f"{with_interval(first.granulated.total)}: {_along(settings, first)}"
        text += f"; {first.name}, the first over all nets, has {of_first}"
    everywhere = [row for row in measures if min(e.value for e in row.granulated.axes) > 0]
    text += f". Positive along every setting: {_names(everywhere) if everywhere else 'no measure'}."
    return [Finding("granulated-tau", text)]


def loss_or_error(rows: Sequence[Row]) -> list[Finding]:
    """State for which measures it depends on the kind of gap, that of the loss or that of the error."""
    known = [row for row in rows if not row.is_control and len(row.tau.draws) and len(row.error_tau.draws)]
    if not known:
        return []
    opposite = [row for row in known if row.tau.sign() * row.error_tau.sign() < 0]
    both = [row for row in known if row.tau.sign() > 0 and row.error_tau.sign() > 0]
    text = "With the gap of the error in place of that of the loss, above zero over all nets as well: "
    text += _names(both) if both else "no measure"
    if opposite:
        pairs = [f"{row.name} ({signed(row.tau.value)} and {signed(row.error_tau.value)})" for row in opposite]
        text += (
            f"; the two gaps give opposite answers for {', '.join(pairs)}: a net can be more often right on new images "
        )
        text += "and pay more for its confident mistakes"
    return [Finding("loss-or-error", f"{text}.")]


def controls(rows: Sequence[Row]) -> list[Finding]:
    """Compare the measures with what needs no measurement."""
    known = [row for row in rows if row.is_control and np.isfinite(row.tau.value)]
    if not known:
        return []
    bar = max(known, key=lambda row: row.tau.value)
    higher = [row for row in rows if not row.is_control and row.tau.value > bar.tau.value]
    text = f"Controls: {' and '.join(f'the {row.name} has a tau of {with_interval(row.tau)}' for row in known)}; "
    text += f"{len(higher)} of {len(MEASURES)} measures have a higher one than the {bar.name}."
    if any(row.measure.key == "train_loss" and row.tau.sign() != 0 for row in known):
        text += (
            " The training loss at the stop is related to the gap: part of what a measure ranks may be how far below "
        )
        text += "the target a net stopped."
    return [Finding("controls", text)]


def caution(settings: Settings, rows: Sequence[Row]) -> list[Finding]:
    """State what one data set and many comparisons leave open."""
    if not any(len(row.tau.draws) for row in rows):
        return []
    text = (
        f"{len(MEASURES)} measures are compared: of as many that know nothing of the gap, one in twenty has a 95 % "
        f"interval beside zero by chance. The nets are one architecture on one data set, {settings.data}; the order of "
        "the measures on other data may be another one."
    )
    return [Finding("many-comparisons", text)]


def _names(rows: Sequence[Row]) -> str:
    return ", ".join(row.name for row in rows)


def _taus(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.name} {with_interval(row.tau)}" for row in rows)


def _along(settings: Settings, row: Row) -> str:
    pairs = zip(settings.axes, row.granulated.axes, strict=True)
    return ", ".join(f"{axis.name} {signed(estimate.value)}" for axis, estimate in pairs)
