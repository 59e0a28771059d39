"""report.html -> report.pdf, by WeasyPrint."""

from __future__ import annotations

from types import ModuleType

from dlhw.errors import UserError


def weasyprint() -> ModuleType:
    """Return WeasyPrint.

    Raises:
        UserError: if it is not installed, too old, or a library of the system that it needs is missing.
    """
    try:
        import weasyprint
        import weasyprint.urls
    except ImportError:
        raise UserError('`pdf` needs WeasyPrint: pip install "dlhw[pdf]"') from None
    except OSError as error:  # it loads Pango as it is imported
        reason = str(error).splitlines()[0]
        raise UserError(f"`pdf`: WeasyPrint does not find the library Pango of the system ({reason})") from None
    if not hasattr(weasyprint.urls, "URLFetcher"):
        version = weasyprint.__version__
        raise UserError(f'`pdf`: WeasyPrint {version} is too old: pip install -U "dlhw[pdf]"')
    return weasyprint


def render(page: str) -> bytes:
    """Return a page as PDF. Only what the page itself holds is read."""
    library = weasyprint()
    fetcher = library.urls.URLFetcher(allowed_protocols=["data"])
    return bytes(library.HTML(string=page, url_fetcher=fetcher).write_pdf())
