"""Which axes of the weights of a model follow which of its hidden units: what may be permuted, and together with what.

`graph.channels_of` reads the graph of a model and gives its groups: channels that one permutation moves together,
such as those of all layers of a residual stream.
"""

from dlhw.models.channels.graph import channels_of
from dlhw.models.channels.groups import Axis, Channels, Reader

__all__ = ["Axis", "Channels", "Reader", "channels_of"]
