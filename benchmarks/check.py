"""python -m benchmarks.check [--make] [--references] [--corpus FOLDER] [--only PART ...] [--details]

Without options, judges the rules of `dlhw check` on the corpus, and writes benchmarks/check_results.json and its
section of benchmarks/README.md. `--make` trains what is missing of the corpus first (about 40 minutes of one core);
`--references` rewrites dlhw/checks/references from kept runs and the right tables of the corpus.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("artifacts/check-corpus"))
    parser.add_argument("--make", action="store_true", help="make what is missing of the corpus")
    parser.add_argument("--again", action="store_true", help="with --make: make what is there too")
    parser.add_argument("--only", nargs="*", default=[], help="with --make: parts of names of families")
    parser.add_argument("--references", action="store_true", help="write dlhw/checks/references")
    parser.add_argument("--half", choices=("tuning", "reporting"), help="judge one half only, and write nothing")
    parser.add_argument("--details", action="store_true", help="name the tables that were judged wrong; write nothing")
    chosen = parser.parse_args()
    if chosen.make:
        from benchmarks.checking import corpus, register

        every = register.families()
        wanted = [f for f in every if not chosen.only or any(part in f.name for part in chosen.only)]
        corpus.make(chosen.corpus, wanted, every, chosen.again)
    elif chosen.references:
        from benchmarks.checking import references

        references.write(chosen.corpus)
    else:
        from benchmarks.checking import judge

        judge.main(chosen.corpus, chosen.half, chosen.details)


if __name__ == "__main__":
    main()
