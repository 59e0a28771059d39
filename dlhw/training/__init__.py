"""Training on `tf.GradientTape`, compiled.

`Trainer` trains one Keras model in mini-batches, `fit` one on the full batch, `fit_many` many small ones at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
