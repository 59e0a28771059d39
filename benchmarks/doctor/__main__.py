"""python -m benchmarks.doctor train|judge|list [--cache FOLDER] [NAME ...]

`train` stores the run of every program that is not stored yet (about a quarter of an hour), `judge` reads stored runs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.doctor import catalogue


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor", description=__doc__)
    parser.add_argument("action", choices=("train", "judge", "list"))
    parser.add_argument("names", nargs="*", help="parts of names of programs; all if there are none")
    parser.add_argument("--cache", type=Path, default=Path("artifacts/doctor"))
    parser.add_argument("--again", action="store_true", help="train programs whose runs are stored")
    parser.add_argument("--half", choices=catalogue.HALVES, help="judge one half only")
    parser.add_argument("--details", action="store_true", help="name the programs that were judged wrong")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_intermixed_args()
    every = catalogue.programs()
    halves = catalogue.halves(every)
    programs = [p for p in every if not chosen.names or any(part in p.name for part in chosen.names)]
    programs = [p for p in programs if chosen.half in (None, halves[p.name])]
    if chosen.action == "list":
        for p in programs:
            print(f"{p.name}\t{halves[p.name]}\t{p.kind}\t{p.truth.wrong if p.truth else 'healthy'}")
        return
    if chosen.action == "train":
        from benchmarks.doctor.train import train_all

        train_all(
            sorted(programs, key=lambda p: p.seed), chosen.cache, chosen.again, lambda line: print(line, flush=True)
        )
        return
    from benchmarks.doctor import judge, tables

    verdicts = judge.judge(programs, halves, chosen.cache)
    print(json.dumps(judge.as_dict(verdicts), indent=1) if chosen.json else tables.text(verdicts, chosen.details))


if __name__ == "__main__":
    main()
