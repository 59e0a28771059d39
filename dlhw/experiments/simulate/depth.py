"""Whether depth helps, as far as the numbers of a run of `simulate` say."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.simulate.spec import Settings
from dlhw.models import architectures
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range

EQUAL = 0.01
"""Nets whose numbers of parameters differ by no more than this fraction count as equal in size."""


def depth_helps(settings: Settings, error: np.ndarray) -> list[Finding]:
    """Answer whether depth helps: the net of most layers against that of fewest, at equal numbers of parameters.

    Args:
        settings: of the run.
        error: (N, S), nan where a training diverged.
    """
    widths = [architectures.parse(net) for net in settings.models]
    sizes = [architectures.count(w) for w in widths]
    deep, shallow = (int(pick([len(w) for w in widths])) for pick in (np.argmax, np.argmin))
    if len(widths[deep]) == len(widths[shallow]):
        text = "This run does not say whether depth helps: its nets are all equally deep."
        return [Finding("depth", text)]
    if max(sizes) > (1 + EQUAL) * min(sizes):
        text = f"This run does not say whether depth helps: its nets differ in size too, from {min(sizes)} to "
        text += f"{max(sizes)} "
        return [Finding("depth", text + "parameters, so a difference between them may be due to either.")]
    measured = [error[k][np.isfinite(error[k])] for k in (deep, shallow)]
    ends = [f"{settings.models[k]} ({len(widths[k]) + 1} layers)" for k in (deep, shallow)]
    what = f"{ends[0]} ends at a training error (mean squared error) of {format_median_range(error[deep])}, "
    what += f"{ends[1]} at {format_median_range(error[shallow])}"
    seeds = settings.seeds
    if seeds == 1:
        text = f"One seed cannot tell whether depth helps on this function: {what}; nothing can be concluded."
    elif min(len(v) for v in measured) < seeds:
        text = f"The seeds cannot tell whether depth helps on this function: {what}, and some trainings diverged."
    elif float(measured[0].max()) < float(measured[1].min()):
        text = f"On this function depth helps at an equal number of parameters: {what}, and {_apart(seeds)}."
    elif float(measured[1].max()) < float(measured[0].min()):
        text = f"On this function depth does not help at an equal number of parameters: {what}, and {_apart(seeds)}."
    else:
        text = f"Depth is not shown to help on this function, nor to harm: {what}, and the ranges over {seeds} seeds "
        text += "overlap."
    return [Finding("depth", text)]


def _apart(seeds: int) -> str:
    return f"the ranges over {seeds} seeds do not overlap; other functions and more steps may differ"
