"""Instruments: pure functions of a model, a loss and data. They do not depend on experiments or plots.

The names load on first use, so that figures are drawn with `barriers` and `eigenvalue_signs` where TensorFlow is not
installed. `__init__.pyi` is the list of instruments. No module has the name of a function: importing it would shadow
the function.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
