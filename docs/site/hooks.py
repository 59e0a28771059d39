"""Pages and pictures that the site takes from outside of docs/: kept runs, benchmarks, the changelog, the reference."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Page of the site -> file of the repository."""
KEPT = "artifacts/kept/"
NOTEBOOKS = "notebooks/"
REFERENCE = {
    "dlhw": "Run experiments, watch a training, check numbers",
    "dlhw.measure": "Instruments for any Keras model",
    "dlhw.models": "Nets, weights as vectors, copies",
    "dlhw.training": "Training loops and optimizers",
}
"""Packages whose stubs list the public names."""
_IMAGE = re.compile(r'(?<=<p>)<img [^>]*src="([^"]+)"[^>]*>(?=</p>)')
_BLOCK = re.compile(r"(<pre\b.*?</pre>)", re.S)
_CODE = re.compile(r"(?<=<code>)[^<]+(?=</code>)")
_UNBROKEN = re.compile(r"^(?=.*[\s-]).{1,16}$|[^\s-]*-\S{1,28}")
"""Short code such as `--data digits`, or a word with hyphens that fits into a line of a telephone."""
_PATH, _LONG = re.compile(r"[^\s<>]*/[^\s<>]{15,}"), re.compile(r"[^\s<>]{40,}")
_LINK = re.compile(r"(\]\(|(?:src|href)=\")([^)\"\s#]+)(#[^)\"\s]*)?")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures and pages of kept runs, and the pages that are files of the repository."""
    for path in sorted((ROOT / KEPT).rglob("*")):
        if path.suffix in (".png", ".html", ".json", ".md") and "parts" not in path.parts:
            name = path.relative_to(ROOT).as_posix()
            if path.suffix != ".md":
                files.append(File.generated(config, name, abs_src_path=str(path)))
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for package, title in REFERENCE.items():
        files.append(File.generated(config, f"reference/{package}.md", content=_reference(package, title)))
    return files


def _reference(package: str, title: str) -> str:
    """Return the page of a package: every name of its stub, modules last."""
    stub = ROOT / package.replace(".", "/") / "__init__.pyi"
    names = re.findall(r"^from (\S+) import \S+ as (\S+)$", stub.read_text(encoding="utf-8"), re.M)
    public = sorted((name for module, name in names if module != "." and not name.startswith("_")), key=str.lower)
    entries = "\n\n".join(f"::: {package}.{name}" for name in public)
    return f"# `{package}`: {title[0].lower() + title[1:]}\n\n{entries}\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository, which work where the repository is read, into links of the site."""
    folder = posixpath.dirname(page.file.src_uri)
    source = ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if page.file.src_uri.startswith(NOTEBOOKS):
        source = page.file.src_uri

    def on_the_site(match: re.Match[str]) -> str:
        start, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        pages: dict[str, Any] = {file: name for name, file in ELSEWHERE.items()}
        if inside in pages:
            place = pages[inside]
        elif inside.startswith("docs/"):
            place = inside.removeprefix("docs/")
        elif inside.startswith(KEPT):
            place = inside
        elif inside.startswith(NOTEBOOKS) and inside.endswith(".ipynb"):
            place = inside.removesuffix(".ipynb") + ".md"
        elif inside == "notebooks":
            place = "notebooks/index.md"
        elif inside.startswith("notebooks/") and inside.endswith(".ipynb"):
            place = inside.removesuffix(".ipynb") + ".md"
        elif inside == "README.md":
            place = "index.md"
        else:
            return match[0]
        return f"{start}{posixpath.relpath(place, folder or '.')}{anchor}"

    return _LINK.sub(on_the_site, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link every figure to its file, as its text is small on a telephone; keep names with hyphens on one line."""
    linked = _IMAGE.sub(r'<a href="\1">\g<0></a>', html)
    return "".join(part if part.startswith("<pre") else _CODE.sub(_words, part) for part in _BLOCK.split(linked))


def _words(code: re.Match[str]) -> str:
    """Return code that breaks where a reader would: browsers break `sweep-batch`, and `--seeds` after the dashes."""
    text = _PATH.sub(lambda word: re.sub(r"(?<=/)(?=\w)", "<wbr>", word[0]), code[0])
    text = _LONG.sub(lambda word: re.sub(r"(?<=[.(])(?=\w{3})", "<wbr>", word[0]), text)
    return _UNBROKEN.sub(r'<span class="word">\g<0></span>', text)
