"""Docstrings as the site shows them: examples are code, roles of Sphinx are names, and pages of `docs/` are links.

The section that Keras calls `Example` is `Examples` to the reader of Google style.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")


class Examples(griffe.Extension):
    """Renames the section, and links the pages, in every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for every object of the package."""
        if obj.docstring is not None:
            text = ROLE.sub(r"`\1`", obj.docstring.value)
            text = re.sub(r"^(\s*)Example:$", r"\1Examples:", text, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r"\bdocs/([\w/-]+)\.md\b", r"[docs/\1.md](../\1.md)", text)
