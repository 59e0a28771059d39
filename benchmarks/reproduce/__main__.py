"""python -m benchmarks.reproduce [NAME ...] [--list] [--page]

Measures published numbers again, stores them in benchmarks/reproduce/results.json and writes docs/reproductions.md.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.reproduce import page
from benchmarks.reproduce.catalogue import reproductions


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduce", description=__doc__)
    parser.add_argument("names", nargs="*", help="names of reproductions; all if there are none")
    parser.add_argument("--list", action="store_true", help="name them")
    parser.add_argument("--page", action="store_true", help="write the page from the stored values alone")
    chosen = parser.parse_args()
    known = reproductions()
    unknown = [name for name in chosen.names if name not in known]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; use {', '.join(known)}")
    if chosen.list:
        print("\n".join(f"{name}\t{entry.claim}" for name, entry in known.items()))
        return
    for name in [] if chosen.page else chosen.names or known:
        began = time.perf_counter()
        values = known[name].measure()
        page.store(name, values)
        verdict = "agrees" if known[name].agrees(values) else "differs"
        print(f"{name}: {dict(values)}, {verdict} ({time.perf_counter() - began:.0f} s)", flush=True)
    page.PAGE.write_text(page.render(), encoding="utf-8")


if __name__ == "__main__":
    main()
