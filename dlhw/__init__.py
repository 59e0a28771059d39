"""How deep networks learn, measured: the classic experiments and their instruments for Keras 3.

    import dlhw
    run = dlhw.run("simulate", func="sinc", epochs=2000)
    run.summary(), run.figures()

Subpackages load on first use, so `import dlhw` costs nothing and reading stored runs needs no TensorFlow.
"""

import os

import lazy_loader

from dlhw.quiet import silence_tensorflow
from dlhw.version import __version__ as __version__

# Set before Keras and TensorFlow are first imported; a user's own choice takes precedence.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3":
    silence_tensorflow()
# TensorFlow turns its oneDNN kernels on by itself only on processors with AVX-512; with AVX2 they halve the time too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
