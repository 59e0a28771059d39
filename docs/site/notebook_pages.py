"""Pages of the site from the notebooks, with the outputs of the copies that `docs/site/notebooks.py` ran.

A notebook becomes Markdown, so that it looks like every other page, in light and dark mode and on a telephone, that its
links are checked, and that it loads no script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "notebooks"
EXECUTED = ROOT / ".cache" / "notebooks"
FOLDER, DOWNLOADS = "notebooks", "assets/notebooks"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
WIDTH = 95
"""Characters in a line of a page; printed text with longer lines is prose, which wraps, and no table."""
NOT_RUN = """!!! note "Without outputs"
    This notebook was not run when the page was made; `make docs` runs all of them.
"""
INTRODUCTION = """# Notebooks

Ten questions, each on a Keras model of your own, on digits or functions of x, in less than a minute on two cores. Each
ends with exercises that grade themselves: `dlhw.check` says whether your numbers are possible, and whether they carry
the mark of a known mistake.

To run them, install dlhw and Jupyter and open the folder `notebooks/` of the repository. Where nothing is installed,
the first cell installs dlhw from the repository that the notebook lies in.

"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add one page for every notebook, its figures, the notebook itself, and the page that lists all."""
    overview = INTRODUCTION
    for source in sorted(SOURCES.glob("*.ipynb")):
        notebook, ran = latest(source)
        figures: dict[str, bytes] = {}
        first, *others = page(notebook, source.stem, figures)
        download = f"[Download this notebook](../{DOWNLOADS}/{source.name}){{ download }}\n"
        content = "\n\n".join([first, download if ran else download + "\n" + NOT_RUN, *others])
        files.append(File.generated(config, f"{FOLDER}/{source.stem}.md", content=content))
        files.append(File.generated(config, f"{DOWNLOADS}/{source.name}", abs_src_path=str(source)))
        for name, image in figures.items():
            files.append(File.generated(config, f"{FOLDER}/{name}", content=image))
        overview += f"- [{title(notebook)}]({source.stem}.md): {question(notebook)}\n"
    files.append(File.generated(config, f"{FOLDER}/index.md", content=overview))
    return files


def latest(source: Path) -> tuple[Any, bool]:
    """Return the copy with outputs if it was made from the notebook as it is now, else the notebook itself."""
    executed = EXECUTED / source.name
    if executed.is_file():
        copy = nbformat.read(executed, as_version=4)
        if copy.metadata.get("source") == hashlib.sha256(source.read_bytes()).hexdigest():
            return copy, True
    return nbformat.read(source, as_version=4), False


def title(notebook: Any) -> str:
    """Return the first heading, without its number."""
    return str(notebook.cells[0].source).splitlines()[0].removeprefix("# ").split(". ", 1)[-1]


def question(notebook: Any) -> str:
    """Return the first sentence in bold type."""
    return re.findall(r"\*\*(.+?)\*\*", str(notebook.cells[0].source), re.S)[0]


def page(notebook: Any, stem: str, figures: dict[str, bytes]) -> Iterator[str]:
    """Yield the cells as Markdown; figures are added to `figures` under their file names."""
    heading, _, text = str(notebook.cells[0].source).partition("\n")
    yield heading
    yield text.strip("\n")
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            yield str(cell.source)
            continue
        block = "\n\n".join([f"```python\n{cell.source}\n```", *outputs(cell, title(notebook), stem, figures)])
        if "solution" in cell.metadata.get("tags", ()):
            block = '??? example "Solution"\n\n' + "\n".join(f"    {line}".rstrip() for line in block.splitlines())
        yield block


def outputs(cell: Any, name: str, stem: str, figures: dict[str, bytes]) -> Iterator[str]:
    """Yield what a cell printed and drew."""
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "image/png" in data:
            file = f"{stem}-{len(figures) + 1}.png"
            figures[file] = base64.b64decode(data["image/png"])
            yield f"![{name}: figure {len(figures)}]({file})"
        else:
            text = ANSI.sub("", str(output.get("text") or data.get("text/plain", ""))).rstrip()
            wrapped = " .wrapped" if max(map(len, text.splitlines()), default=0) > WIDTH else ""
            yield f"``` {{ .text .output{wrapped} }}\n{text}\n```"
