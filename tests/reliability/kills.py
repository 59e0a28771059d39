"""Commands that are killed at random moments, and resumed by themselves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

CODE = "import sys; sys.argv[0] = 'dlhw'; from cli.main import app; app()"
COMMANDS = {
    "ensemble": "simulate --live --models 4-4,6 --epochs 20000 --points 20 --seeds 3",
    "sweep": "sweep-batch 20 50 --data digits --examples 200 --net 8 --epochs 30 --seeds 2",
    "landscape": "landscape --animate --nets 8 --data digits --examples 200 --epochs 40 --grid 25 --subset 200",
    "report": "report --only simulate,gradient-norm,classify",
}
OF_THE_PROCESS = ("environment", "digests")
"""Parts of run.json that differ between equal runs."""
SECONDS = ("seconds", "line_seconds", "compile_seconds", "search_seconds")


@dataclass
class Outcome:
    """What became of a command that was killed several times."""

    name: str
    attempts: list[tuple[int, int]] = field(default_factory=list)  # signal, or 0 if it had ended before; status
    refusals: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


def start(name: str, folder: Path) -> subprocess.Popen[str]:
    """Start a command in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", CODE, *COMMANDS[name].split()]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def result_of(folder: Path) -> dict[str, bytes]:
    """Return what a command left: the bytes of arrays and figures, and run.json without times and digests."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"):
        name = str(path.relative_to(folder))
        if path.name == "live.html":  # it shows the curves that this process saw
            continue
        if path.name == "run.json":
            record = {k: v for k, v in json.loads(path.read_text()).items() if k not in OF_THE_PROCESS}
            files[name] = json.dumps(_without_seconds(record)).encode()
        elif not path.name.startswith("report."):  # it shows the times
            files[name] = path.read_bytes()
        else:
            files[name] = b""
    return files


def _without_seconds(value: object) -> object:
    if isinstance(value, dict):
        return {k: _without_seconds(v) for k, v in value.items() if k not in SECONDS}
    return [_without_seconds(v) for v in value] if isinstance(value, list) else value


def reference(name: str, folder: Path) -> tuple[dict[str, bytes], float]:
    """Run a command without interruption; return what it left, and the seconds that it took."""
    began, process = time.perf_counter(), start(name, folder)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return result_of(folder), time.perf_counter() - began


def kill_and_resume(
    name: str, folder: Path, whole: dict[str, bytes], seconds: float, kills: int, rng: random.Random
) -> Outcome:
    """Kill a command at random moments of its life, let it finish, and compare with a run that nothing interrupted."""
    outcome = Outcome(name)
    for _ in range(kills):
        number, sent = rng.choice([signal.SIGKILL, signal.SIGTERM]), 0
        process, moment = start(name, folder), rng.uniform(0, seconds)
        try:
            _, err = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, number)
            _, err = process.communicate(timeout=60)
            sent = int(number)
        outcome.attempts.append((sent, process.returncode))
        expected = {0, -sent, 143} if sent == signal.SIGTERM else {0, -sent}  # -15: before Python began
        if process.returncode not in expected:
            outcome.refusals.append(f"status {process.returncode}: {err}")
    process = start(name, folder)
    _, err = process.communicate(timeout=300)
    if process.returncode:
        outcome.refusals.append(err)
    left = result_of(folder)
    outcome.differing = [file for file in {*left, *whole} if left.get(file) != whole.get(file)]
    return outcome
