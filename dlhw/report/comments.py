"""What the author of a report writes on its sections: one Markdown file whose headings name them.

A heading is the title of a section, the name of its experiment, or its place in the assignment, such as "1-1 a". Text
before the first heading belongs to the whole report. Headings of lower levels are part of the text.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlhw.errors import UserError, require
from dlhw.report.contents import Comment
from dlhw.runs import experiment as registry

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_LEVEL = 4
"""Of the first headings within a comment: h2 is that of a section, h3 that of its parts."""


def read(path: str | Path) -> str:
    """Return the Markdown of a file of comments, once all its headings are known to name sections.

    Raises:
        UserError: for a file that cannot be read, is empty or not UTF-8, and for a heading that is no section.
    """
    path = Path(path)
    require(path.is_file(), f"`comments` {path}: there is no such file")
    try:
        source = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"`comments` {path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"`comments` {path} cannot be read: {error.strerror or error}") from None
    require(bool(source.strip()), f"`comments` {path} is empty; write a heading, such as # 1-1 a, and text below it")
    comments_of(source, f"`comments` {path}: ")
    return source


def comments_of(source: str, where: str = "") -> dict[str, Comment]:
    """Return the comment on every experiment, by its name; that before the first heading by "".

    Args:
        source: Markdown.
        where: what a message begins with.

    Raises:
        UserError: for a heading that is no section.
    """
    if not source.strip():
        return {}
    parser = _parser()
    tokens = parser.parse(source)
    lines = source.splitlines()
    tops = [k for k, token in enumerate(tokens) if token.type == "heading_open" and token.level == 0]
    highest = min((tokens[k].tag for k in tops), default="h1")
    starts = [k for k in tops if tokens[k].tag == highest]
    names = ["", *(_experiment(_plain(tokens[k + 1]), where) for k in starts)]
    comments: dict[str, Comment] = {}
    for name, first, last in zip(names, [0, *starts], [*starts, len(tokens)], strict=True):
        body = tokens[first:last] if name == "" else tokens[first + 3 : last]
        if not body:
            continue
        begin, end = _lines(body)
        html, markdown = _html(parser, body), _markdown("\n".join(lines[begin:end]))
        before = comments.get(name)
        if before is not None:
            html, markdown = before.html + html, f"{before.markdown}\n\n{markdown}"
        comments[name] = Comment(markdown, html)
    return comments


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", _image)
    return parser


def _image(_: object, tokens: Sequence[Token], k: int, *__: object) -> str:
    """Return an image as text: the page is one file, which loads nothing."""
    from markdown_it.common.utils import escapeHtml

    return escapeHtml(f"![{tokens[k].content}]({tokens[k].attrGet('src')})")


def _html(parser: MarkdownIt, tokens: Sequence[Token]) -> str:
    levels = [int(token.tag[1]) for token in tokens if token.type == "heading_open"]
    shift = _LEVEL - min(levels, default=_LEVEL)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + shift)}"
    return str(parser.renderer.render(tokens, parser.options, {}))


def _markdown(source: str) -> str:
    """Return Markdown as it stands if no viewer makes more of it than text and safe links; else as a block of code."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    is_safe = parser.validateLink
    refused: list[str] = []

    def validate(url: str) -> bool:
        refused.extend([] if is_safe(url) else [url])
        return True

    parser.validateLink = validate  # type: ignore[method-assign]
    tokens = [inner for token in parser.parse(source) for inner in (token, *(token.children or []))]
    active = refused or any(token.type in ("html_block", "html_inline", "image") for token in tokens)
    return textwrap.indent(source, "    ", lambda line: True) if active else source


def _lines(tokens: Sequence[Token]) -> tuple[int, int]:
    places = [token.map for token in tokens if token.map]
    return min(place[0] for place in places), max(place[1] for place in places)


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ()).strip()


def _experiment(heading: str, where: str) -> str:
    """Return the name of the experiment that a heading means."""
    known: dict[str, str] = {}
    sections = {name: registry.get(name).section for name in [*registry.names(), *registry.RECORDED]}
    for name, section in sections.items():
        places = (section.order, f"{section.order} {section.title}") if " " in section.order else ()
        for words in (section.title, name, *places):
            known.setdefault(_key(words), name)
    if (key := _key(heading)) in known:
        return known[key]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    nearest = sections[known[near[0]]].title
    raise UserError(
        f"{where}the heading {heading!r} is no section of a report; the nearest is {nearest!r}, or {known[near[0]]}"
    )


def _key(words: str) -> str:
    return re.sub(r"[\W_]+", "", words).casefold()
