"""What the critical points are that searches reached."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.minimal_ratio.levels import distinct_losses
from dlhw.experiments.minimal_ratio.spec import Array, Result, Settings
from dlhw.experiments.minimal_ratio.spectra import settled_size, spectrum_numbers
from dlhw.measure.eigenvalue_signs import inertia
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range, format_number


def critical_points(settings: Settings, result: Result, mask: NDArray[np.bool_]) -> list[Finding]:
    """State how many searches reached a critical point, and of which type these are; mask: (S,) which did."""
    n = int(mask.sum())
    reached = (
        f"{n} of {settings.seeds} nets reached a critical point: |g| < {settings.arrival:g}, reduced to the level of "
        "rounding."
    )
    if not n:
        return [Finding("critical-points", reached)]
    eigenvalues, norms = result.eigenvalues[mask], result.gradient_norm[mask]
    numbers = spectrum_numbers(eigenvalues, norms)
    ratio = (
        f"Their minimal ratio is {format_median_range(numbers['ratio'])}, or "
        f"{format_median_range(numbers['strict_ratio'])} if every eigenvalue above 0 counts; "
        f"{format_median_range(numbers['zero'])} of {settings.parameters} are zero to rounding."
    )
    return [
        *distinct_losses(result.loss[mask], numbers["ratio"]),
        Finding("critical-points", reached + _by_descent(result, mask)),
        Finding("minimal-ratio", ratio),
        *_unsettled(numbers),
        _types(eigenvalues, norms),
        *_constant_output(settings, result.loss[mask], numbers["positive"]),
    ]


def _by_descent(result: Result, mask: NDArray[np.bool_]) -> str:
    """State how many of the critical points were reached by minimizing the loss."""
    if result.descended is None or not (mask & result.descended).any():
        return ""
    return (
        f" {int((mask & result.descended).sum())} of them were reached by minimizing the loss, which finds minima only."
    )


def _unsettled(numbers: dict[str, Array]) -> list[Finding]:
    """State how many eigenvalues are above rounding, but too small for their sign to mean anything."""
    if not numbers["unsettled"].any():
        return []
    text = (
        f"{int((numbers['unsettled'] > 0).sum())} of them have eigenvalues above rounding but within 10√(|g| λmax), as "
        "nearness to a degenerate point makes them; counting those as zero, the ratio is "
        f"{format_median_range(numbers['settled_ratio'])}."
    )
    return [Finding("minimal-ratio", text)]


def _types(eigenvalues: Array, norms: Array) -> Finding:
    """Count minima, saddles, and points that cannot be told apart."""
    tolerance, least = inertia(eigenvalues).tolerance[:, None], settled_size(eigenvalues, norms)[:, None]
    down = (eigenvalues < -least).any(axis=1)
    unclear = ~down & (eigenvalues < -tolerance).any(axis=1)
    up = (eigenvalues > least).all(axis=1)
    counts = {
        "saddle or maximum (curved downwards in some direction)": np.asarray(down),
        "strict minimum": np.asarray(up),
        "undecided to second order (no negative eigenvalue, but zeros)": ~down & ~unclear & ~up,
        "undecided because of rounding": unclear,
    }
    parts = (f"{name}: {int(mask.sum())} of {len(norms)}" for name, mask in counts.items() if mask.any())
    return Finding("types-of-critical-points", f"Types: {'; '.join(parts)}.")


def _constant_output(settings: Settings, loss: Array, positive: Array) -> list[Finding]:
    """State how many critical points have a constant output."""
    variance = float(np.var(settings.data()[1], axis=0).mean())
    at = np.asarray(np.isclose(loss, variance, rtol=1e-3))
    if not at.any():
        return []
    up = positive[at]
    points = f"; n+ ranges from {up.min():.0f} to {up.max():.0f}: one loss, several points" if np.ptp(up) else ""
    text = (
        f"{int(at.sum())} of {len(loss)} are at the loss of a constant output, {format_number(variance)}, the variance "
        f"of the target, which training leaves: these are not trained nets{points}."
    )
    return [Finding("constant-output", text)]
