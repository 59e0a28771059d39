"""Keras models: built from strings and widths, copied, widened, and their weights as vectors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
