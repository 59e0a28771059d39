"""The documentation site builds without a warning, holds every public name, and asks nothing of a network.

Oracle: the stubs, and the built HTML itself. Would miss: wrong prose, and what only eyes see.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.documented import ROOT

STUBS = ("dlhw", "dlhw.measure", "dlhw.models", "dlhw.training")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("mkdocs", "mkdocstrings", "material", "nbformat")),
        reason='needs the extra docs: pip install ".[docs]"',
    ),
]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the site, with every warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
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


@pytest.mark.parametrize("package", STUBS)
def test_the_reference_holds_every_public_name(package, site, built):
    stub = (ROOT / package.replace(".", "/") / "__init__.pyi").read_text(encoding="utf-8")
    modules = set(re.findall(r"^from \. import \w+ as (\w+)$", stub, re.M))
    public = {name for name in re.findall(r" as (\w+)$", stub, re.M) if not name.startswith("_")} - modules
    anchors = built[site / "reference" / f"{package}.html"].anchors
    assert len(public) > 5
    assert not {name for name in public if f"{package}.{name}" not in anchors}


def test_every_notebook_has_its_page_and_is_offered_whole(site, built):
    for path in NOTEBOOKS:
        page = built[site / "notebooks" / f"{path.stem}.html"]
        assert f"../assets/notebooks/{path.name}" in page.links
        assert (site / "assets" / "notebooks" / path.name).read_bytes() == path.read_bytes()


def test_names_with_hyphens_stay_on_one_line(built):
    seen = 0
    for path in built:
        text = re.sub(r"<pre\b.*?</pre>", "", path.read_text(encoding="utf-8"), flags=re.S)
        for code in re.findall(r"<code>(.*?)</code>", text, re.S):
            assert re.sub(r"</?span[^>]*>|<wbr>|</?a\b[^>]*>", "", code).count("<") == 0, (path, code)
            outside_of_words = re.sub(r'<span class="word">.*?</span>', "", code)
            broken = re.findall(r"[^\s-]*-\S{1,28}", re.sub(r"<[^>]*>", "", outside_of_words))
            assert not broken, (path, code)
            seen += 'class="word"' in code
    assert seen > 300


def test_code_is_copied_as_it_is_written(site):
    text = (site / "experiments" / "index.html").read_text(encoding="utf-8")
    codes = [re.sub("<[^>]*>", "", code) for code in re.findall(r"<code>(.*?)</code>", text)]
    source = (ROOT / "docs" / "experiments" / "index.md").read_text(encoding="utf-8")
    assert codes == re.findall("`([^`]+)`", source)
