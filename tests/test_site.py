"""The documentation site: what its pages tell to run runs, it builds without a warning, it asks nothing of a network.

Oracle: the commands and Python themselves, the stubs, the built HTML. Would miss: wrong prose, and what only eyes see.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from dlhw.runs.experiment import Experiment
from tests.documented import ROOT, a_model_of_ones_own, a_training_of_ones_own, blocks, commands, smaller

PAGES = {p.relative_to(ROOT / "docs").as_posix(): p.read_text(encoding="utf-8") for p in (ROOT / "docs").rglob("*.md")}
STUBS = ("dlhw", "dlhw.measure", "dlhw.models", "dlhw.training")
NEEDS_MKDOCS = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mkdocs", "mkdocstrings", "material", "nbformat")),
    reason='needs the extra docs: pip install ".[docs]"',
)
PREPARED = {
    "scaling.md": """
import dlhw, keras, numpy as np
model, loss = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), "mse"
x, y = np.ones((4, 3)), np.ones((4, 1))
""",
    "watch.md": """
import keras, numpy as np
x, y = np.linspace(-1, 1, 64)[:, None], np.linspace(-1, 1, 64)[:, None] ** 2
x_val, y_val = x, y
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile("adam", "mse")
""",
}
"""What stands before the Python of pages that speak of the model and the data of their reader."""
FAILING = {("guides/watch.md", "dlhw watch runs/mine"): 1}
"""Exit status of commands that report a fault, as their page says."""


EXECUTED = [name for name, text in sorted(PAGES.items()) if {"console", "python"} & {kind for kind, _ in blocks(text)}]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXECUTED)
def test_what_a_page_tells_to_run_runs(name, inside, tmp_path, monkeypatch):
    """Commands and Python of a page, in their order, in one folder; a block of Python has the names of those before."""
    # The quick preset takes a minute; its settings are checked by `test_report.py`, and here it has smaller ones.
    monkeypatch.setattr(Experiment, "quick_settings", lambda self: self.tiny)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    prepare(PAGES[name], tmp_path)
    names: dict = {"__name__": "page"}
    exec(PREPARED.get(name, ""), names)
    for language, content in blocks(PAGES[name]):
        if language == "python":
            exec(compile(content, name, "exec"), names)
        elif language == "console":
            for line in commands(content):
                inside(*smaller(line), expect=FAILING.get((name, line), 0))


def prepare(text, folder):
    """Make the files that a page names and does not make itself: a model, a recorded training, kept runs."""
    if "my-model.keras" in text and 'save("my-model.keras")' not in text:
        a_model_of_ones_own(folder)
    if "runs/mine" in text and 'Watch("runs/mine"' not in text:
        a_training_of_ones_own(folder)
    console = "".join(content for language, content in blocks(text) if language in ("console", "python"))
    for kept in set(re.findall(r"artifacts/kept/[\w-]+/[\w.=,-]+", console)):
        shutil.copytree(ROOT / kept, folder / kept)


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@NEEDS_MKDOCS
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem[:2])
def test_a_notebook_holds_no_outputs(path):
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert code[0].source.startswith("try:\n    import dlhw\nexcept ImportError:")
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    graded = [cell for cell in code if "solution" in cell.metadata.get("tags", ())]
    assert 2 <= len(graded) <= 3
    assert sum("dlhw.check(" in cell.source for cell in code) >= 2
    if path == NOTEBOOKS[0]:
        assert len(NOTEBOOKS) == 10


@NEEDS_MKDOCS
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem[:2])
def test_a_notebook_runs_from_a_clean_kernel(path, tmp_path):
    pytest.importorskip("nbclient")
    import nbformat

    from docs.site.notebooks import execute

    target = tmp_path / path.name
    execute(path, target)
    outputs = [out for cell in nbformat.read(target, as_version=4).cells for out in cell.get("outputs", ())]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert not [out.text for out in outputs if out.get("name") == "stderr"]  # no warning of any library
    assert sum("consistent" in out.get("text", "") or "undecided" in out.get("text", "") for out in outputs) >= 2


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the site, with every warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Page(HTMLParser):
    """Collects the anchors of a page, what it links to, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.loaded.append(values["href"])
        self.loaded += [values[name] for name in ("src", "poster", "data") if name in values and tag != "div"]
        self.loaded += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]
        self.loaded += re.findall(r"url\(['\"]?([^'\")]+)", values.get("style", ""))


@pytest.fixture(scope="session")
def built(site):
    """The pages of the site that MkDocs made: path -> Page."""
    kept = site / "artifacts"  # pages of the reports, which have tests of their own
    paths = [p for p in site.rglob("*.html") if kept not in p.parents]
    return {p: Page(p.read_text(encoding="utf-8")) for p in paths}


def outside(target):
    return urlsplit(target).scheme in ("http", "https") or target.startswith("//")


@NEEDS_MKDOCS
@pytest.mark.slow
def test_no_page_asks_a_network(site, built):
    assert len(built) > 25
    for path, page in built.items():
        assert not [target for target in page.loaded if outside(target)], path
        for style in re.findall(r"<style[^>]*>(.*?)</style>", path.read_text(encoding="utf-8"), re.S):
            assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", style), path
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet
    # What the scripts of the theme would fetch: diagrams and the counts of a repository, of which there are none.
    for path in built:
        text = path.read_text(encoding="utf-8")
        assert 'class="mermaid"' not in text, path
        assert "data-md-component=source" not in text, path


@NEEDS_MKDOCS
@pytest.mark.slow
def test_links_and_pictures_of_the_site_resolve(site, built):
    wanted = 0
    for path, page in built.items():
        for target in (*page.links, *page.loaded):
            parts = urlsplit(target)
            if parts.scheme or outside(target):
                continue
            there = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            if path.name == "404.html" and parts.path.startswith("/"):
                there = site / unquote(parts.path).lstrip("/")  # it is shown at any depth
            there = there / "index.html" if there.is_dir() else there
            assert there.is_file(), f"{path.relative_to(site)}: {target}"
            if parts.fragment and there in built and not parts.fragment.startswith("__"):
                assert unquote(parts.fragment) in built[there].anchors, f"{path.relative_to(site)}: {target}"
            wanted += 1
    assert wanted > 1000


@NEEDS_MKDOCS
@pytest.mark.slow
@pytest.mark.parametrize("package", STUBS)
def test_the_reference_holds_every_public_name(package, site, built):
    stub = (ROOT / package.replace(".", "/") / "__init__.pyi").read_text(encoding="utf-8")
    modules = set(re.findall(r"^from \. import \w+ as (\w+)$", stub, re.M))
    public = {name for name in re.findall(r" as (\w+)$", stub, re.M) if not name.startswith("_")} - modules
    anchors = built[site / "reference" / f"{package}.html"].anchors
    assert len(public) > 5
    assert not {name for name in public if f"{package}.{name}" not in anchors}


@NEEDS_MKDOCS
@pytest.mark.slow
def test_every_notebook_has_its_page_and_is_offered_whole(site, built):
    for path in NOTEBOOKS:
        page = built[site / "notebooks" / f"{path.stem}.html"]
        assert f"../assets/notebooks/{path.name}" in page.links
        assert (site / "assets" / "notebooks" / path.name).read_bytes() == path.read_bytes()
