"""The loss of this library's own nets."""

from dlhw._tf.losses import cross_entropy

__all__ = ["cross_entropy"]
