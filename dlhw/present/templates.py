"""Jinja templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dlhw.errors import UserError

if TYPE_CHECKING:
    import jinja2


def load_template(folder: Path, name: str, **names: object) -> jinja2.Template:
    """Return the template `name` of a folder; text in HTML is escaped, and `md` escapes text in Markdown.

    Args:
        folder: of the template and those that it includes.
        name: of the file.
        **names: values that all of these templates know.
    """
    try:
        import jinja2
    except ImportError:
        raise UserError("the report needs Jinja2: pip install jinja2") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escape_markdown
    environment.globals.update(names)
    return environment.get_template(name)


def escape_markdown(text: object) -> str:
    """Return text in which nothing means anything to Markdown or HTML."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
