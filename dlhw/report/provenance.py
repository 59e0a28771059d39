"""Where the numbers of a report come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dlhw.present.numbers import format_duration
from dlhw.runs.run import Run


def made_with(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return versions, devices, data, seeds and times of runs, by name."""

    def all_of(key: Callable[[Run], str]) -> str:
        return "; ".join(dict.fromkeys(key(run) for run in runs))

    names = list(dict.fromkeys(run.experiment for run in runs))
    own = {name: [run for run in runs if run.experiment == name] for name in names}
    times = [f"{name} {sum_of_durations(own[name])}" for name in names]
    seeded = [name for name in names if not own[name][0].definition.recorded]
    seeds = [f"{name} {' and '.join(dict.fromkeys(_seeds(run.settings) for run in own[name]))}" for name in seeded]
    return [
        ("versions", all_of(lambda run: ", ".join(f"{k} {v}" for k, v in run.environment["versions"].items()))),
        ("device", all_of(lambda run: f"{run.environment['device']} ({run.environment.get('machine', '')})")),
        ("data", all_of(_data)),
        ("seeds", ", ".join(seeds) or "those of the programs"),
        ("wall time", f"{format_duration(sum(run.wall_seconds for run in runs))} in all: " + ", ".join(times)),
    ]


def sum_of_durations(runs: Iterable[Run]) -> str:
    """Return how long runs took; about, where of one of them only the times of its trainings are stored."""
    are_known = all("wall_seconds" in run.environment for run in runs)
    return ("" if are_known else "about ") + format_duration(sum(run.wall_seconds for run in runs))


def _data(run: Run) -> str:
    usual = "those of the program" if run.definition.recorded else "function"
    return run.definition.dataset(run.settings) or usual


def _seeds(settings: Any) -> str:
    first, n = settings.seed, settings.seeds
    return str(first) if n == 1 else f"{first} to {first + n - 1}"
