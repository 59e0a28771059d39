"""A hundred kills at random moments, and three hundred runs in one process.

python -m benchmarks.reliability [--kills 100] [--runs 300] [--seed 0]
"""

from __future__ import annotations

import argparse
import gc
import random
import tempfile
from collections import Counter
from pathlib import Path

from tests.reliability import kills

KILLS_OF_A_LIFE = 5


def kill(n: int, seed: int) -> None:
    """Print what became of n kills, spread over all commands."""
    rng = random.Random(seed)
    outcomes: list[kills.Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        wholes = {name: kills.reference(name, Path(folder) / name) for name in kills.COMMANDS}
        while (sent := sum(bool(number) for o in outcomes for number, _ in o.attempts)) < n:
            name = list(kills.COMMANDS)[len(outcomes) % len(kills.COMMANDS)]
            place = Path(folder) / f"{name}-{len(outcomes)}"
            outcomes.append(kills.kill_and_resume(name, place, *wholes[name], min(KILLS_OF_A_LIFE, n - sent), rng))
            print(outcomes[-1], flush=True)
    signals = Counter(number for o in outcomes for number, _ in o.attempts if number)
    print(f"kills: {sent} ({dict(signals)}) in {len(outcomes)} lives")
    print(f"refusals: {sum(len(o.refusals) for o in outcomes)}")
    print(f"files that differ: {sum(len(o.differing) for o in outcomes)}")


def soak(n: int) -> None:
    """Print memory and open files while small runs follow each other in one process."""
    import dlhw

    with tempfile.TemporaryDirectory() as folder:
        for k in range(n):
            dlhw.run("simulate", out=folder, run_name=f"run{k}", models=("4",), epochs=20, points=10, seeds=2, seed=k)
            if k + 1 in (20, n // 4, n // 2, 3 * n // 4, n):
                print(f"{k + 1} runs: {resident_mib():.0f} MiB, {open_files()} open files", flush=True)


def resident_mib() -> float:
    """Return the memory of this process after a collection; nan where the system does not tell it as Linux does."""
    gc.collect()
    status = Path("/proc/self/status")
    return int(status.read_text().partition("VmRSS:")[2].split()[0]) / 1024 if status.exists() else float("nan")


def open_files() -> int:
    """Return the number of open files of this process; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.kills:
        kill(chosen.kills, chosen.seed)
    if chosen.runs:
        soak(chosen.runs)
