"""`dlhw compare`: runs of one experiment on shared axes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Json


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of runs of one experiment.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of all runs; the figure goes into its folder compare.")
    ] = Path("artifacts"),
    json: Json = False,
) -> None:
    """Compare runs of one experiment: one figure, and a table of what differs."""
    from cli import console
    from dlhw import report as library
    from dlhw.present import render, style
    from dlhw.runs import store
    from dlhw.runs.run import load
    from dlhw.storage import files

    folder = out / "compare"
    store.check_writable(folder)
    loaded = [load(path) for path in runs]
    with style.house_style():
        figure, summary = library.compare(loaded, _distinct_names(runs))
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = render.save({loaded[0].experiment: figure}, folder)
    if json:
        rows = {row[0]: dict(zip(summary.columns[1:], row[1:], strict=True)) for row in summary.rows}
        print(files.to_json({"figures": [str(p) for p in paths], "differences": rows}, indent=None))
        return
    console.print_summary(console.stdout(), summary)
    print(paths[0])


def _distinct_names(runs: list[Path]) -> list[str]:
    """Return short names of run folders that tell them apart."""
    names = [path.name or str(path) for path in runs]
    if len(set(names)) < len(names):
        names = [str(path) for path in runs]
    if len(set(names)) < len(names):
        names = [f"{k}: {name}" for k, name in enumerate(names, start=1)]
    return names
